//! sendmail's files.

mod cf;
mod import;
mod mc;
mod read;

pub use import::{FEATURES, ROWS, Same, Special, import};
pub use mc::{Mc, PREDEFINED, Section};
