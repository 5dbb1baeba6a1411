//! The mail server's side of the milter protocol, versions 2 to 6, without I/O.
//!
//! A filter is a program that inspects mail while it arrives, answers each step, and may change the message at its end. The
//! protocol has no RFC; it is what sendmail's `libmilter` speaks.
//!
//! From the wire upwards: [`frame`] cuts packets, [`command`] and [`reply`] give them types, [`negotiation`] settles what both
//! sides can do, [`macros`] says which names are sent with which step and [`facts`] what they mean, [`conversation`] knows what
//! may be sent next and which answer is legal, [`change`] and [`edit`] hold and apply a filter's changes, [`chain`] combines
//! several filters, and [`outage`] remembers that one is down. `postern-filter` opens the sockets.

pub mod bits;
pub mod chain;
pub mod change;
pub mod command;
pub mod conversation;
pub mod edit;
pub mod facts;
pub mod frame;
pub mod fuzz;
pub mod lines;
pub mod macros;
pub mod negotiation;
pub mod outage;
pub mod reply;
pub mod reply_code;
mod strings;

pub use bits::{Actions, DataSize, Steps, Version};
pub use chain::Chain;
pub use change::{Change, ChangeError};
pub use command::{Command, Peer};
pub use conversation::{Answer, Conversation, Event, Fault, Plan, Verdict};
pub use macros::{MacroLists, MacroStage, Macros};
pub use negotiation::{Agreement, NegotiationError, Offer};
pub use outage::Outage;
pub use reply::{Reply, ReplyError};
pub use reply_code::ReplyCode;
