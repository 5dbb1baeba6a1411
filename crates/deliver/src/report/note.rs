//! What a report says about a recipient.

use postern_mail::Status;

use crate::outcome::Notice;
use crate::relay::Relay;

/// What one recipient's line in a report is made of.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    pub(crate) index: u32,
    pub(crate) notice: Notice,
    pub(crate) status: Status,
    pub(crate) relay: Relay,
    pub(crate) text: String,
    /// Whether `text` is a host's reply.
    pub(crate) replied: bool,
    /// Whether the host is public in DNS for the domain. Names, addresses and paths of others are not disclosed.
    pub(crate) public: bool,
    /// Whether the message expired.
    pub(crate) expired: bool,
}
