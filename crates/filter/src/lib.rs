//! Filters on sockets: [`Service`] is one filter with its settings, shared by all sessions; [`Session`] is one SMTP session's
//! dialogue with it.
//!
//! What may be sent and answered is decided by `postern-milter`. This crate opens connections, keeps time limits, sends and
//! reads, and turns everything that can go wrong into a [`Failure`] of one message.

mod address;
mod body;
mod clock;
mod end;
mod failure;
mod link;
mod service;
mod session;
mod settings;
mod wanted;
mod wire;

pub use address::{Address, AddressError};
pub use body::NewBody;
pub use end::{End, EndError};
pub use failure::{Cause, During, Failure};
pub use service::{Notice, Service};
pub use session::Session;
pub use settings::{Filter, Timeouts};
