//! sendmail's files.

mod import;
mod mc;

pub use import::{Goes, ROWS, Row, import};
pub use mc::{Mc, PREDEFINED, Section};
