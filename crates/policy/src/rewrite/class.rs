//! The classes of addresses: of senders and recipients, in envelope and header.

/// A class of addresses. The words are Postfix's (`canonical_classes`, `masquerade_classes`).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Class {
    /// `MAIL FROM`.
    EnvelopeSender,
    /// `RCPT TO`.
    EnvelopeRecipient,
    /// Fields with senders: `From`, `Sender`, `Reply-To` and similar.
    HeaderSender,
    /// Fields with recipients: `To`, `Cc`, `Bcc` and similar.
    HeaderRecipient,
}

/// A set of classes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Classes(u8);

/// Fields with addresses of senders. `Reply-To` and those that ask for receipts say where to answer the sender.
const OF_SENDERS: [&str; 11] = [
    "From",
    "Sender",
    "Reply-To",
    "Errors-To",
    "Return-Receipt-To",
    "Disposition-Notification-To",
    "Mail-Followup-To",
    "Mail-Reply-To",
    "Resent-From",
    "Resent-Sender",
    "Return-Path",
];

/// Fields with addresses of recipients. As in Postfix, `Resent-Reply-To` is one of them.
const OF_RECIPIENTS: [&str; 8] = [
    "To",
    "Cc",
    "Bcc",
    "Apparently-To",
    "Resent-To",
    "Resent-Cc",
    "Resent-Bcc",
    "Resent-Reply-To",
];

impl Class {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::EnvelopeSender,
        Self::EnvelopeRecipient,
        Self::HeaderSender,
        Self::HeaderRecipient,
    ];

    /// Its word in the configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::EnvelopeSender => "envelope_sender",
            Self::EnvelopeRecipient => "envelope_recipient",
            Self::HeaderSender => "header_sender",
            Self::HeaderRecipient => "header_recipient",
        }
    }

    /// The class of the addresses in a field with this name; `None` for a field without addresses.
    #[must_use]
    pub fn of_field(name: &[u8]) -> Option<Self> {
        let is = |known: &&str| name.eq_ignore_ascii_case(known.as_bytes());
        if OF_SENDERS.iter().any(is) {
            Some(Self::HeaderSender)
        } else if OF_RECIPIENTS.iter().any(is) {
            Some(Self::HeaderRecipient)
        } else {
            None
        }
    }

    /// Whether it is in the header.
    #[must_use]
    pub const fn is_in_header(self) -> bool {
        matches!(self, Self::HeaderSender | Self::HeaderRecipient)
    }

    const fn bit(self) -> u8 {
        match self {
            Self::EnvelopeSender => 1,
            Self::EnvelopeRecipient => 2,
            Self::HeaderSender => 4,
            Self::HeaderRecipient => 8,
        }
    }
}

impl Classes {
    /// Whether a class is in the set.
    #[must_use]
    pub const fn has(self, class: Class) -> bool {
        self.0 & class.bit() != 0
    }

    /// Whether one of them is in the header.
    #[must_use]
    pub const fn in_header(self) -> bool {
        self.has(Class::HeaderSender) || self.has(Class::HeaderRecipient)
    }
}

impl FromIterator<Class> for Classes {
    fn from_iter<T: IntoIterator<Item = Class>>(classes: T) -> Self {
        Self(classes.into_iter().fold(0, |bits, class| bits | class.bit()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_with_addresses() {
        #[rustfmt::skip]
        let cases: [(&[u8], Option<Class>); 6] = [
            (b"FROM",        Some(Class::HeaderSender)),
            (b"reply-to",    Some(Class::HeaderSender)),
            (b"Resent-Cc",   Some(Class::HeaderRecipient)),
            (b"To",          Some(Class::HeaderRecipient)),
            (b"Message-ID",  None),
            (b"",            None),
        ];
        for (name, class) in cases {
            assert_eq!(Class::of_field(name), class);
        }
        let some: Classes = [Class::EnvelopeSender, Class::HeaderSender].into_iter().collect();
        assert!(some.has(Class::HeaderSender) && some.in_header() && !some.has(Class::HeaderRecipient));
        assert!(!Classes::default().in_header());
    }
}
