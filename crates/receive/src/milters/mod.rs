//! Mail filters in sessions: each is told what happens, and decides.
//!
//! [`Services`] are all filters, shared by all sessions; [`Filtering`] is one session's exchange with those that serve its
//! listener. A session without filters has no `Filtering` at all.

mod apply;
mod changes_room;
mod content;
mod envelope;
pub(crate) mod facts;
mod filtering;
mod header;
mod notes;
mod ruled;
mod services;
pub(crate) mod steps;
mod strangers;

pub(crate) use self::content::Stopped;
pub(crate) use self::filtering::Filtering;
pub(crate) use self::ruled::Ruled;
pub use self::services::FailingMilter;
pub(crate) use self::services::{Milter, Services};
