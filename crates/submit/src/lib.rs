//! Local submission, without sockets or files: sendmail's command line, a message from standard input, its transfer over an open
//! stream, the form in which it waits in the drop folder, and the exit status that tells a program what happened to it.
//!
//! A message is prepared once ([`message`]), and then handled the same way whether the server is running ([`transfer`]) or not
//! ([`dropped`]): the server transfers dropped messages to itself.

pub mod addresses;
pub mod custody;
pub mod dropped;
pub mod exit;
pub mod handover;
pub mod header;
pub mod message;
pub mod options;
pub mod transfer;

pub use exit::ExitStatus;
pub use handover::{BadWord, Handover};
pub use message::{Message, MessageError, Prepared};
pub use options::{Errors, Mode, Name, Options, UsageError};
pub use transfer::{Outcome, Refusal, TransferError};
