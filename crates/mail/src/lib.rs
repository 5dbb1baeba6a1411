//! The words that all other crates speak: addresses, envelopes, status codes, header fields, reports.
//!
//! Nothing here opens a socket or a file, reads a clock, draws a random number, or awaits.

pub mod address;
pub mod envelope;
pub mod queue_id;
pub mod status;

pub use address::{AddressError, Domain, ForwardPath, Mailbox, ReversePath};
pub use envelope::{BodyKind, Envelope, Notify, Recipient, Ret};
pub use queue_id::QueueId;
pub use status::Status;
