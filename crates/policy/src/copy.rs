//! Copies of mail for others, such as an archive (Postfix's `always_bcc`, `sender_bcc_maps`, `recipient_bcc_maps`).

use postern_mail::{Envelope, Mailbox, Notify, Recipient};

use crate::access::names::{AddressKey, AddressSet};
use crate::rewrite::{Client, Whose};

/// Most copies of one message.
pub const COPIES_MAX: usize = 100;

/// A rule for copies.
#[derive(Clone, Debug)]
pub struct CopyRule {
    /// Its name, in the log.
    pub name: Box<str>,
    /// Whose mail is copied.
    pub whose: Whose,
    /// The listeners whose mail is copied; empty for all.
    pub listeners: Vec<Box<str>>,
    /// Which messages are copied, and to whom.
    pub of: CopyOf,
}

/// Which messages are copied, and to whom.
#[derive(Clone, Debug)]
pub enum CopyOf {
    /// All, to these.
    All(Vec<Mailbox>),
    /// Those from these senders.
    Senders(AddressSet, Vec<Mailbox>),
    /// Those to these recipients, as the client named them.
    Recipients(AddressSet, Vec<Mailbox>),
    /// As the table with this number says for the sender.
    SenderTable(usize),
    /// As the table with this number says for a recipient.
    RecipientTable(usize),
}

impl CopyRule {
    /// Whether it applies to mail from this client at this listener.
    #[must_use]
    pub fn is_for(&self, client: &Client, listener: &str) -> bool {
        self.whose.holds(client)
            && (self.listeners.is_empty() || self.listeners.iter().any(|one| **one == *listener))
    }

    /// Who gets copies because of the sender of a message, `None` for `<>`, unless a table must be asked.
    #[must_use]
    pub fn by_sender(&self, sender: Option<&AddressKey>) -> &[Mailbox] {
        match &self.of {
            CopyOf::All(to) => to,
            CopyOf::Senders(senders, to) if senders.contains(sender) => to,
            _ => &[],
        }
    }

    /// The same for a recipient.
    #[must_use]
    pub fn by_recipient(&self, recipient: &AddressKey) -> &[Mailbox] {
        match &self.of {
            CopyOf::Recipients(recipients, to) if recipients.contains(Some(recipient)) => to,
            _ => &[],
        }
    }
}

/// Adds a copy for this address, unless it gets the message anyway; returns whether it was added.
pub fn add(envelope: &mut Envelope, to: &Mailbox) -> bool {
    let mut recipients = envelope.recipients.iter();
    let is_new = recipients.all(|known| known.address.key() != to.key());
    if is_new {
        envelope.smtputf8 |= !to.is_ascii();
        envelope.recipients.push(recipient(to.clone()));
    }
    is_new
}

/// A recipient of a copy, about which no reports are sent.
fn recipient(address: Mailbox) -> Recipient {
    Recipient {
        notify: Notify::Never,
        ..Recipient::new(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_copies_go() {
        let set = |pattern: &str| {
            let mut set = AddressSet::default();
            set.insert(pattern).unwrap();
            set
        };
        let to = || vec!["archive@a.example".parse::<Mailbox>().unwrap()];
        let rule = |of| CopyRule {
            name: "r".into(),
            whose: Whose::everybody(),
            listeners: Vec::new(),
            of,
        };
        let key = |address: &str| AddressKey::new(&address.parse().unwrap(), Some('+'));
        let ann = key("Ann+x@a.example");
        let senders = rule(CopyOf::Senders(set("ann@a.example"), to()));
        let recipients = rule(CopyOf::Recipients(set("@a.example"), to()));
        let all = rule(CopyOf::All(to()));
        assert_eq!(senders.by_sender(Some(&ann)), to());
        assert!(
            senders.by_sender(Some(&key("bob@a.example"))).is_empty() && senders.by_sender(None).is_empty()
        );
        assert!(senders.by_recipient(&ann).is_empty());
        assert_eq!(recipients.by_recipient(&ann), to());
        assert!(recipients.by_sender(Some(&ann)).is_empty());
        assert_eq!(all.by_sender(None), to());
        assert_eq!(recipient(to().remove(0)).notify, Notify::Never);
    }
}
