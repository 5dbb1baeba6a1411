//! What local programs hand in, without sockets or files: sendmail's command line, a message from standard input, its transfer over
//! an open stream, the form in which it waits in the drop folder, and the exit status that tells a program what became of it.
//!
//! A message is made ready once ([`message`]), and then goes the same way whether the server is there ([`transfer`]) or not
//! ([`dropped`]): what was dropped is transferred by the server to itself.

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
