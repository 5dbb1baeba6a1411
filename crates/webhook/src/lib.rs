//! Webhooks: events as JSON lines, posted to the addresses that the configuration names.
//!
//! Whoever tells of an event copies its line into a bounded piece of memory ([`Webhook::put`]). Each webhook has a thread of its own,
//! which moves lines from there into a bounded buffer on disk and posts them in batches, each signed, until the receiver takes them. Mail never
//! waits for any of it: what has no room is dropped and counted.

mod backoff;
mod buffer;
mod filter;
mod position;
mod segments;
mod sender;
mod settings;
mod signature;
mod status;
mod webhook;

pub use filter::Filter;
pub use sender::{Refused, post_once};
pub use settings::Settings;
pub use signature::{KeyError, Keys};
pub use status::{Failing, Status};
pub use webhook::{StartError, Webhook};
