//! Delivery to local users, each with the user's own permissions.
//!
//! The server itself has no such permissions. It hands a message to a helper over a Unix socket ([`wire`]); the helper starts a
//! process for it, which becomes the user ([`rights`]) and then does what [`worker`] says: it reads `~/.forward` ([`forward`])
//! and writes into a Maildir ([`maildir`]) or an mbox ([`mbox`]), or runs a program ([`agent`]). The server only names the user:
//! which mailbox and which agent to use, the helper takes from the configuration itself.

pub mod agent;
pub mod content;
pub mod forward;
pub mod lock;
pub mod maildir;
pub mod mbox;
pub mod pipe;
pub mod rights;
pub mod settings;
pub mod trouble;
pub mod wire;
pub mod worker;

pub use self::settings::{Field, Form, Part, Pipe, Settings};
pub use self::trouble::{Kind, Trouble};
pub use self::wire::{Reply, Request};
