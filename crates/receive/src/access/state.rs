//! What the rules of a session know, and what is judged.

use jiff::civil::DateTime;
use postern_mail::{Mailbox, ReversePath};
use postern_policy::access::facts::HeloFaults;
use postern_policy::access::names::AddressKey;
use postern_policy::access::{Answers, Destination, RuledOut, Scope, Stage};

use super::notes::Notes;

/// What the rules of a session know.
#[derive(Default)]
pub(crate) struct Accessing {
    pub(super) answers: Answers,
    /// Rules that cannot match, given what is known.
    pub(super) ruled_out: RuledOut,
    /// The client's `HELO` name in lower case, as in the answers about it.
    pub(super) helo: String,
    /// What is wrong with that name, without any look-up.
    pub(super) helo_faults: HeloFaults,
    /// The sender of the current transaction.
    pub(super) sender: Option<Sender>,
    /// How many names that the client chose were looked up in DNS.
    pub(super) lookups: u32,
    /// Accepted recipients for which some rules must wait for the message.
    pub(super) open: Vec<Open>,
    /// What the rules want done with the message.
    pub(super) notes: Notes,
    /// The rule by which a remote recipient was accepted.
    pub(super) relayed_by: Option<String>,
    /// The number of the transaction, for policy services.
    pub(super) transactions: u64,
}

/// The sender of a transaction, as rules see it.
pub(super) struct Sender {
    pub(super) key: Option<AddressKey>,
}

/// A recipient for which some rules must wait for the message.
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
    /// The local time, if rules depend on it.
    pub(super) now: DateTime,
    pub(super) recipient: Option<(&'a AddressKey, Destination)>,
    pub(super) authors: &'a [AddressKey],
    pub(super) size: u64,
    pub(super) recipients: usize,
    pub(super) queue: &'a str,
}

impl Accessing {
    /// Begins a transaction: what DNS and tables could not answer before is asked again.
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

    /// Takes the client's `HELO` name.
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

    /// Forgets answers that hold no longer than this.
    pub(super) fn forget(&mut self, scope: Scope) {
        self.answers.forget(scope);
        self.ruled_out.forget(scope);
    }
}
