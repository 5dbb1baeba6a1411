//! Questions to the driver within a transaction. Only an answer gives the dialogue back.

use postern_mail::{Envelope, ForwardPath, Notify, Recipient, Ret, ReversePath};

use super::{Answer, Dialogue, Ground, Transaction};
use crate::reply::{Reply, texts};

/// May this sender begin a transaction?
#[derive(Debug)]
#[must_use]
pub struct AskSender<'d> {
    pub(super) dialogue: &'d mut Dialogue,
    pub(super) transaction: Box<Transaction>,
}

/// May the client send to this recipient?
#[derive(Debug)]
#[must_use]
pub struct AskRecipient<'d> {
    pub(super) dialogue: &'d mut Dialogue,
    pub(super) path: ForwardPath,
    pub(super) notify: Notify,
    pub(super) orcpt: Option<String>,
}

/// May the client send the message?
#[derive(Debug)]
#[must_use]
pub struct AskData<'d> {
    pub(super) dialogue: &'d mut Dialogue,
    pub(super) transaction: Box<Transaction>,
}

impl AskSender<'_> {
    /// What the transaction would begin with.
    #[must_use]
    pub fn envelope(&self) -> &Envelope {
        &self.transaction.envelope
    }

    /// The sender.
    #[must_use]
    pub fn sender(&self) -> &ReversePath {
        &self.transaction.envelope.sender
    }

    /// What the client says of the message's size (RFC 1870).
    #[must_use]
    pub fn declared_size(&self) -> Option<u64> {
        self.transaction.declared_size
    }

    /// What the client says in `AUTH=`; empty for `<>`.
    #[must_use]
    pub fn submitter(&self) -> Option<&str> {
        self.transaction.envelope.auth.as_deref()
    }

    /// Treats `AUTH=`, if given, as `AUTH=<>`: this client is not trusted to say who submitted the message (RFC 4954 section 5).
    pub fn forget_submitter(&mut self) {
        if let Some(auth) = &mut self.transaction.envelope.auth {
            auth.clear();
        }
    }

    /// Forgets `ENVID=`, and has bounces return the header only: the client is unknown, and what it makes the server send to a
    /// possibly forged address should be small.
    pub fn forget_requests(&mut self) {
        let envelope = &mut self.transaction.envelope;
        envelope.envid = None;
        envelope.ret = Some(Ret::Headers);
    }

    /// It may.
    pub fn accept(self) -> Reply {
        let reply = texts::sender_ok(&self.transaction.envelope.sender);
        self.dialogue.transaction = Some(self.transaction);
        reply
    }

    /// It may not.
    pub fn refuse(self, reply: Reply) -> Reply {
        reply
    }
}

impl AskRecipient<'_> {
    /// The recipient.
    #[must_use]
    pub fn path(&self) -> &ForwardPath {
        &self.path
    }

    /// Which reports the client wants for it.
    #[must_use]
    pub fn notify(&self) -> Notify {
        self.notify
    }

    /// `ORCPT=` as `type;address`.
    #[must_use]
    pub fn orcpt(&self) -> Option<&str> {
        self.orcpt.as_deref()
    }

    /// The sender of the transaction.
    #[must_use]
    pub fn sender(&self) -> Option<&ReversePath> {
        self.dialogue
            .transaction()
            .map(|transaction| &transaction.envelope.sender)
    }

    /// What the client says of the message's size (RFC 1870).
    #[must_use]
    pub fn declared_size(&self) -> Option<u64> {
        self.dialogue
            .transaction()
            .and_then(|transaction| transaction.declared_size)
    }

    /// Recipients accepted in this transaction so far, including those whose mail is discarded.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.dialogue.transaction().map_or(0, |transaction| {
            transaction.envelope.recipients.len() + transaction.discarded as usize
        })
    }

    /// Whether this address was already accepted in this transaction, so that no check is needed again.
    #[must_use]
    pub fn is_repeated(&self) -> bool {
        let ForwardPath::Mailbox { mailbox, .. } = &self.path else {
            return false;
        };
        let taken = self.dialogue.transaction();
        taken.is_some_and(|taken| {
            taken
                .envelope
                .recipients
                .iter()
                .any(|known| known.address == *mailbox)
        })
    }

    /// Yes, on this ground: the message goes to `recipients`, more than one if an alias was expanded. Duplicates are dropped.
    pub fn accept(self, ground: Ground, recipients: impl IntoIterator<Item = Recipient>) -> Reply {
        let reply = texts::recipient_ok(&self.path);
        if let Some(transaction) = &mut self.dialogue.transaction {
            transaction.ground = transaction.ground.max(ground);
            for recipient in recipients {
                transaction.add(recipient);
            }
        }
        reply
    }

    /// Tells the client yes, but discards mail for this recipient.
    pub fn discard(self) -> Reply {
        let reply = texts::recipient_ok(&self.path);
        if let Some(transaction) = &mut self.dialogue.transaction {
            transaction.discarded = transaction.discarded.saturating_add(1);
        }
        reply
    }

    /// No. A permanent refusal counts against the client.
    pub fn refuse(self, reply: Reply) -> Answer {
        if reply.is_permanent() {
            self.dialogue.refused_recipients += 1;
            if self.dialogue.refused_recipients > self.dialogue.rules.limits.refused_recipients_max {
                return Answer::close(texts::TOO_MANY_BAD_RECIPIENTS);
            }
        }
        Answer::stay(reply)
    }
}

impl AskData<'_> {
    /// Sender, recipients and parameters.
    #[must_use]
    pub fn transaction(&self) -> &Transaction {
        &self.transaction
    }

    /// Yes: send [`texts::START_DATA`], then feed what follows to a [`DataDecoder`](crate::body::DataDecoder).
    pub fn start(self) -> Box<Transaction> {
        self.dialogue.idle_commands = 0;
        self.transaction
    }

    /// No. The transaction ends.
    pub fn refuse(self, reply: Reply) -> Reply {
        reply
    }
}
