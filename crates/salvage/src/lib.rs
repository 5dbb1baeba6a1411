//! Damaged SQLite files: their log before SQLite sees it, and the rows on pages that SQLite refuses. What the rows mean is up
//! to their owner: the spool's queue, the directory's own users.

pub mod fuzz;
mod pages;
mod wal;

pub use pages::{Pages, Row, Value};
pub use wal::{Verdict, Wal};
