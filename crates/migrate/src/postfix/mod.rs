//! Postfix's files.

mod defaults;
mod main_cf;
mod master_cf;
mod reference;
mod text;

pub use main_cf::{Layer, MainCf, Parameter};
pub use master_cf::{MasterCf, Service};
pub use text::{LogicalLine, logical_lines, words};
