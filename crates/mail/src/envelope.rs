//! The envelope: sender, recipients, and what the client asked for them.

use serde::{Deserialize, Serialize};

use crate::address::{Mailbox, ReversePath};

/// What one transaction collected: who sends, to whom, and under which conditions.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Envelope {
    /// `MAIL FROM` (RFC 5321 section 4.1.1.2).
    pub sender: ReversePath,
    /// `RCPT TO`, in the order given; never empty once spooled.
    pub recipients: Vec<Recipient>,
    /// `RET=`, how much of the message a failure report shall return (RFC 3461 section 4.3).
    pub ret: Option<Ret>,
    /// `ENVID=`, decoded from xtext (RFC 3461 section 4.4); at most 100 octets.
    pub envid: Option<String>,
    /// `BODY=` (RFC 6152, RFC 3030).
    pub body: BodyKind,
    /// Whether `SMTPUTF8` was given (RFC 6531).
    pub smtputf8: bool,
    /// `AUTH=` on `MAIL`, decoded, if this client may say so (RFC 4954 section 5). `<>` is `Some("")`.
    pub auth: Option<String>,
}

/// One recipient with its delivery status notification requests.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Recipient {
    /// Where to deliver. Always qualified: a bare `postmaster` has been given a domain.
    pub address: Mailbox,
    /// `NOTIFY=` (RFC 3461 section 4.1).
    pub notify: Notify,
    /// `ORCPT=` as `type;address`, decoded from xtext (RFC 3461 section 4.2).
    pub orcpt: Option<String>,
}

impl Recipient {
    /// A recipient for whom nothing special was asked.
    #[must_use]
    pub fn new(address: Mailbox) -> Self {
        Self {
            address,
            notify: Notify::default(),
            orcpt: None,
        }
    }
}

/// `NOTIFY=` of one recipient (RFC 3461 section 4.1).
///
/// When nothing was asked, failures and delays are reported, successes are not.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Notify {
    /// The parameter was not given.
    #[default]
    Unspecified,
    /// `NEVER`.
    Never,
    /// Any of the three, at least one set.
    On {
        /// `SUCCESS`.
        success: bool,
        /// `FAILURE`.
        failure: bool,
        /// `DELAY`.
        delay: bool,
    },
}

/// `RET=` (RFC 3461 section 4.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ret {
    /// The whole message.
    Full,
    /// Header fields only.
    Headers,
}

/// What the client declared of the body.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub enum BodyKind {
    /// No declaration, or `BODY=7BIT`.
    #[default]
    SevenBit,
    /// `BODY=8BITMIME` (RFC 6152).
    EightBitMime,
    /// `BODY=BINARYMIME` (RFC 3030): may hold bare CR and LF, and lines without end.
    BinaryMime,
}
