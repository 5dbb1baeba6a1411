//! What is known for the rules of a session, and what is judged.

use jiff::civil::DateTime;
use postern_mail::{Mailbox, ReversePath};
use postern_policy::access::facts::HeloFaults;
use postern_policy::access::names::AddressKey;
use postern_policy::access::{Answers, Destination, RuledOut, Scope, Stage};

use super::notes::Notes;

/// What is known for the rules of a session.
#[derive(Default)]
pub(crate) struct Accessing {
    pub(super) answers: Answers,
    /// Rules that need not be looked at, by what is known.
    pub(super) ruled_out: RuledOut,
    /// What the client calls itself, in small letters, as the answers about it have it.
    pub(super) helo: String,
    /// What is wrong with that by itself.
    pub(super) helo_faults: HeloFaults,
    /// The sender of the transaction under way.
    pub(super) sender: Option<Sender>,
    /// Names of the client's choosing that were looked up in DNS.
    pub(super) lookups: u32,
    /// Recipients that were taken and about which rules have still to be judged when the message has come.
    pub(super) open: Vec<Open>,
    /// What rules want done with the message.
    pub(super) notes: Notes,
    /// The rule by which a recipient elsewhere was taken.
    pub(super) relayed_by: Option<String>,
    /// The number of the transaction, for policy services.
    pub(super) transactions: u64,
}

/// The sender of a transaction, as rules see it.
pub(super) struct Sender {
    pub(super) key: Option<AddressKey>,
}

/// A recipient about which not all was known.
pub(super) struct Open {
    pub(super) named: Mailbox,
    pub(super) key: AddressKey,
    pub(super) destination: Destination,
    /// Where its mail goes.
    pub(super) goes: Vec<Mailbox>,
    pub(super) answers: Answers,
}

/// What is judged.
pub(crate) struct Matter<'a> {
    pub(super) stage: Stage,
    /// The time on the clock of this machine, where rules depend on it.
    pub(super) now: DateTime,
    pub(super) recipient: Option<(&'a AddressKey, Destination)>,
    pub(super) authors: &'a [AddressKey],
    pub(super) size: u64,
    pub(super) recipients: usize,
    pub(super) queue: &'a str,
}

impl Accessing {
    /// A transaction begins: what DNS and tables could not say before is asked again.
    pub(super) fn begin_transaction(&mut self, sender: &ReversePath, separator: Option<char>) {
        self.forget(Scope::Transaction);
        self.answers.forget_unsure();
        self.open.clear();
        self.notes = Notes::default();
        self.relayed_by = None;
        self.transactions += 1;
        self.sender = Some(Sender {
            key: sender
                .mailbox()
                .map(|mailbox| AddressKey::new(mailbox, separator)),
        });
    }

    /// The client calls itself so.
    pub(super) fn calls_itself(&mut self, helo: &str, faults: HeloFaults) {
        // It ends a transaction, too.
        self.sender = None;
        self.forget(Scope::Transaction);
        if self.helo != helo {
            self.forget(Scope::Helo);
            helo.clone_into(&mut self.helo);
            self.helo_faults = faults;
        }
    }

    /// Forgets what holds no longer than this.
    pub(super) fn forget(&mut self, scope: Scope) {
        self.answers.forget(scope);
        self.ruled_out.forget(scope);
    }
}
