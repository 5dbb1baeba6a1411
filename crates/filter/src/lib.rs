//! Filters on sockets: [`Service`] is one filter with its settings, shared by all sessions; [`Session`] is what one SMTP session
//! has with it.
//!
//! What is said, and what may be answered, is `postern-milter`'s. This crate opens connections, keeps the time, sends and reads,
//! and makes of everything that can go wrong a [`Failure`] of one message.

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
