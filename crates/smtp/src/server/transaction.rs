//! What one transaction has collected.

use postern_mail::{Envelope, Recipient};

/// What one transaction has collected.
#[derive(Debug)]
pub struct Transaction {
    /// Sender, recipients, and what was asked for them.
    pub envelope: Envelope,
    /// `SIZE=` (RFC 1870).
    pub declared_size: Option<u64>,
    /// Why its recipients were accepted: the widest ground that any of them needed.
    pub ground: Ground,
    /// Recipients that were accepted but whose mail is discarded: they are not in the envelope. The message is received even if
    /// there are no others.
    pub discarded: u32,
    pub(super) in_chunks: bool,
}

/// Why a recipient was accepted, from what any client may do to what few may.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Ground {
    /// It is local.
    Here,
    /// It is in a domain for which this server relays.
    Behind,
    /// The client may relay to any domain.
    Relayed,
}

impl Transaction {
    /// Whether the first chunk has come.
    #[must_use]
    pub fn in_chunks(&self) -> bool {
        self.in_chunks
    }

    /// Adds a recipient, unless its address is already there.
    pub(super) fn add(&mut self, recipient: Recipient) {
        let recipients = &mut self.envelope.recipients;
        if !recipients.iter().any(|known| known.address == recipient.address) {
            recipients.push(recipient);
        }
    }
}
