//! sendmail's files.

mod cf;
mod import;
mod mc;

pub use import::{FEATURES, Feature, Goes, ROWS, Row, To, import};
pub use mc::{Mc, PREDEFINED, Section};
