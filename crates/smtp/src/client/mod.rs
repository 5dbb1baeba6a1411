//! The client's side of a dialogue, without sockets: what to send next, and what the answers mean.
//!
//! # How it is driven
//!
//! A driver owns the stream and two buffers. [`Opening`] leads from the greeting to [`Capabilities`], through `STARTTLS` if
//! wanted; [`needs::check`] then says whether this peer can take this message at all; [`Transaction`] hands over one message and
//! ends with a [`Verdict`] for each recipient. Both write commands into a buffer and say what they wait for; the driver reads
//! replies with [`ReplyParser`] and applies the time limit of the [`Stage`].
//!
//! # What happens when the peer lacks an extension
//!
//! | The message needs | the peer does not offer it | rule |
//! | --- | --- | --- |
//! | more than its `SIZE` | not sent, bounced 5.3.4 | RFC 1870 section 6.1 |
//! | `SMTPUTF8` (non-ASCII address or header field) | not sent, bounced 5.6.7 | RFC 6531 section 3.5 |
//! | `SMTPUTF8` was declared, but everything is ASCII | sent without | RFC 6531 section 3.6 |
//! | `8BITMIME` (an octet above 127) | converted to 7 bits; what cannot be is bounced 5.6.3; or bounced, or sent as it is, where the operator chose so | RFC 6152 section 3 |
//! | `8BITMIME` was declared, but everything is ASCII | sent without | RFC 6152 section 3 |
//! | `BINARYMIME` | converted or bounced 5.6.3 likewise, unless the content has neither bare line ends nor NUL nor long lines: then it is sent as 8-bit | RFC 3030 section 3 |
//! | `DSN` | sent without; a success report says "relayed" | RFC 3461 section 5.2.2 |
//! | `ENHANCEDSTATUSCODES` | the status is made from the code | RFC 3463 |
//! | `PIPELINING`, `CHUNKING` | one command at a time, `DATA` | RFC 2920, RFC 3030 |
//!
//! # What happens when the peer offers an extension and then refuses it
//!
//! `SIZE`, `AUTH=`, `BODY=8BITMIME` for ASCII content, and all of `DSN` are optional: where a refusal may be about them,
//! [`objection`] says so, and the driver tries once more without them. What the message needs is never left out. A peer that does
//! not know `BDAT` gets the message with `DATA`, over a new connection, since there is no telling what it took the octets of the
//! chunk for.
//!
//! Peers differ on 8-bit content: Postfix and sendmail re-encode it (which breaks DKIM signatures of others), Exim, qmail and OpenSMTPD
//! send it as it is, which RFC 6152 forbids but works in practice, since hosts that cannot handle the eighth bit are gone. The
//! default is to convert ([`postern_mail::sevenbit`]); [`needs::EightBit::SendAnyway`] is for a next hop known to be 8-bit clean,
//! [`needs::EightBit::Bounce`] for a site that wants such mail bounced.
//!
//! RFC 5321, 2033 (LMTP), 2920, 3030, 3207, 3461, 6152, 6531, 9422 (LIMITS).

pub mod capabilities;
pub mod command;
pub mod needs;
pub mod objection;
pub mod opening;
pub mod parser;
pub mod stuff;
pub mod transaction;

pub use capabilities::Capabilities;
pub use needs::{Content, Unmet};
pub use opening::{Opening, OpeningStep, StartTls};
pub use parser::{ReplyError, ReplyLimits, ReplyParser};
pub use postern_mail::Stage;
pub use stuff::DotStuffer;
pub use transaction::{BodyForm, Finished, Next, Order, Transaction, Verdict};

/// The protocol to speak.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Hash)]
pub enum Protocol {
    /// SMTP (RFC 5321): one reply at the end of the data.
    #[default]
    Smtp,
    /// LMTP (RFC 2033): `LHLO`, and a reply for each recipient at the end of the data.
    Lmtp,
}
