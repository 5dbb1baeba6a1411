//! Postfix's files.

mod defaults;
mod import;
mod main_cf;
mod master_cf;
mod reference;
mod text;

pub use import::{ROWS, Special, import};
pub use main_cf::{Layer, MainCf, Parameter};
pub use master_cf::{MasterCf, Service};
pub use text::{LogicalLine, logical_lines, words};
