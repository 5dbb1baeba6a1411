//! The vocabulary of all other crates: addresses, envelopes, status codes, header fields, reports.
//!
//! Nothing here opens a socket or a file, reads a clock, draws a random number, or awaits.

pub mod address;
pub mod address_list;
mod causes;
pub mod content;
pub mod date;
pub mod envelope;
mod failure;
pub mod fields;
pub mod head;
pub mod header;
mod login;
mod lookalike;
mod mailbox_list;
mod proof;
pub mod queue_id;
mod quoted_printable;
pub mod received;
pub mod report;
pub mod returned;
pub mod sevenbit;
pub mod status;
pub mod visible;
pub mod xtext;

pub use address::{
    AddressError, AddressLimits, Domain, ForwardPath, Mailbox, ParseOptions, ReversePath, is_rewritten,
};
pub use causes::chain;
pub use envelope::{BodyKind, Envelope, Notify, Recipient, Ret};
pub use failure::{FailureFact, FailureKind, Stage};
pub use fields::{FieldEdit, Header, NewField};
pub use login::{NoNormalForm, complete_login, fold_login, normal_login};
pub use lookalike::{Lookalike, lookalikes};
pub use mailbox_list::mailbox_list;
pub use proof::Proof;
pub use queue_id::QueueId;
pub use status::Status;
