//! sendmail's files.

mod mc;

pub use mc::{Mc, PREDEFINED, Section};
