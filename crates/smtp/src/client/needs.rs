//! Whether a peer can take a message at all, decided before any of it is sent.

use postern_mail::sevenbit::Obstacle;
use postern_mail::{BodyKind, Envelope, Mailbox, ReversePath, Status};

use super::capabilities::Capabilities;
use super::command::Declared;

/// What is known of a message's content.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Content {
    /// Octets of header and body, counting every line end as two (RFC 1870 section 3).
    pub size: u64,
    /// Whether there is an octet above 127 anywhere.
    pub eight_bit: bool,
    /// Whether there is one in the header.
    pub eight_bit_header: bool,
    /// Whether it cannot be sent with `DATA`: bare CR or LF, NUL, or a line of over 998 octets.
    pub binary: bool,
}

/// What to do with 8-bit content for a peer without `8BITMIME`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum EightBit {
    /// Convert it to 7 bits, part by part; bounce with 5.6.3 what cannot be converted, as RFC 6152 section 3 says.
    #[default]
    Convert,
    /// Bounce with 5.6.3.
    Bounce,
    /// Send it as it is.
    SendAnyway,
}

/// Why this peer cannot take this message. All reasons are permanent.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unmet {
    /// Larger than the peer's `SIZE`.
    #[error("the message has {size} octets, the next hop takes {limit}")]
    TooLarge {
        /// Size of the message.
        size: u64,
        /// The peer's limit.
        limit: u64,
    },
    /// An address or header field needs `SMTPUTF8`.
    #[error("the message needs SMTPUTF8, which the next hop does not offer")]
    Utf8,
    /// 8-bit content, no `8BITMIME`.
    #[error("the message has 8-bit content, and the next hop does not offer 8BITMIME")]
    EightBit,
    /// Content that needs conversion but cannot be converted.
    #[error("the next hop takes 7 bits, and the message cannot be converted: {0}")]
    Unconvertible(Obstacle),
    /// Binary content, no `BINARYMIME`.
    #[error("the message has binary content, and the next hop does not offer BINARYMIME")]
    Binary,
}

impl Unmet {
    /// The status that the bounce reports.
    #[must_use]
    pub fn status(self) -> Status {
        match self {
            Self::TooLarge { .. } => Status(5, 3, 4),
            Self::Utf8 => Status(5, 6, 7),
            Self::EightBit | Self::Binary | Self::Unconvertible(_) => Status(5, 6, 3),
        }
    }
}

/// Whether `address` can be written without `SMTPUTF8`. Domains are A-labels, so the local part decides.
#[must_use]
pub fn is_ascii(address: &Mailbox) -> bool {
    address.local().is_ascii()
}

/// Decides what to declare on `MAIL`, or why the message cannot go to this peer.
///
/// With [`EightBit::Convert`] the caller converts content for which this returns [`Unmet::EightBit`] or [`Unmet::Binary`], and
/// asks again with the result.
///
/// `recipient` is any one recipient of the transaction; call this once for the recipients for which [`is_ascii`] holds and once
/// for the others, so that one non-ASCII address does not hold up the rest.
///
/// # Errors
///
/// See [`Unmet`].
pub fn check(
    envelope: &Envelope,
    recipient: &Mailbox,
    content: &Content,
    peer: &Capabilities,
    eight_bit: EightBit,
) -> Result<Declared, Unmet> {
    if let Some(limit) = peer.size.filter(|&limit| limit != 0 && content.size > limit) {
        return Err(Unmet::TooLarge {
            size: content.size,
            limit,
        });
    }
    let ascii_sender = match &envelope.sender {
        ReversePath::Null => true,
        ReversePath::Mailbox(mailbox) => is_ascii(mailbox),
    };
    let utf8 = !ascii_sender || !is_ascii(recipient) || (envelope.smtputf8 && content.eight_bit_header);
    if utf8 && !peer.smtputf8 {
        return Err(Unmet::Utf8);
    }
    let body = match envelope.body {
        BodyKind::BinaryMime if peer.binary_mime => BodyKind::BinaryMime,
        BodyKind::BinaryMime if content.binary => return Err(Unmet::Binary),
        _ if peer.eight_bit_mime => {
            if content.eight_bit || envelope.body != BodyKind::SevenBit {
                BodyKind::EightBitMime
            } else {
                BodyKind::SevenBit
            }
        }
        _ if content.eight_bit && eight_bit != EightBit::SendAnyway => return Err(Unmet::EightBit),
        _ => BodyKind::SevenBit,
    };
    Ok(Declared {
        size: peer.size.map(|_| content.size),
        body,
        smtputf8: utf8,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox(local: &str) -> Mailbox {
        Mailbox::new(local, postern_mail::Domain::Name("example.org".into())).unwrap()
    }

    #[test]
    fn what_a_peer_can_take() {
        let size = |size| Capabilities {
            size: Some(size),
            ..Capabilities::default()
        };
        let none = Capabilities::default();
        let eight = Capabilities {
            eight_bit_mime: true,
            ..Capabilities::default()
        };
        let utf8 = Capabilities {
            eight_bit_mime: true,
            smtputf8: true,
            ..Capabilities::default()
        };
        let binary = Capabilities {
            eight_bit_mime: true,
            chunking: true,
            binary_mime: true,
            ..Capabilities::default()
        };
        let plain = Content {
            size: 100,
            ..Content::default()
        };
        let high = Content {
            eight_bit: true,
            ..plain
        };
        let high_header = Content {
            eight_bit: true,
            eight_bit_header: true,
            ..plain
        };
        let bare = Content {
            binary: true,
            ..plain
        };
        let declared = |body, smtputf8| {
            Ok(Declared {
                size: None,
                body,
                smtputf8,
            })
        };
        use BodyKind::{BinaryMime, EightBitMime, SevenBit};
        #[rustfmt::skip]
        let cases = [
            // what the case shows              to       BODY=         SMTPUTF8 content    peer      declared
            ("nothing needed",                  "a",     SevenBit,     false, plain,       &none,    declared(SevenBit, false)),
            ("too large",                       "a",     SevenBit,     false, plain,       &size(99), Err(Unmet::TooLarge { size: 100, limit: 99 })),
            ("just fits",                       "a",     SevenBit,     false, plain,       &size(100), Ok(Declared { size: Some(100), body: SevenBit, smtputf8: false })),
            ("SIZE without a limit",            "a",     SevenBit,     false, plain,       &size(0), Ok(Declared { size: Some(100), body: SevenBit, smtputf8: false })),
            ("8 bit declared, none there",      "a",     EightBitMime, false, plain,       &none,    declared(SevenBit, false)),
            ("8 bit there, not offered",        "a",     EightBitMime, false, high,        &none,    Err(Unmet::EightBit)),
            ("8 bit there, never declared",     "a",     SevenBit,     false, high,        &eight,   declared(EightBitMime, false)),
            ("8 bit offered",                   "a",     EightBitMime, false, high,        &eight,   declared(EightBitMime, false)),
            ("UTF-8 recipient, not offered",    "ü",     SevenBit,     true,  plain,       &eight,   Err(Unmet::Utf8)),
            ("UTF-8 recipient, offered",        "ü",     SevenBit,     true,  plain,       &utf8,    declared(SevenBit, true)),
            ("UTF-8 declared, none there",      "a",     SevenBit,     true,  plain,       &eight,   declared(SevenBit, false)),
            ("UTF-8 header, not offered",       "a",     EightBitMime, true,  high_header, &eight,   Err(Unmet::Utf8)),
            ("8-bit header, never declared",    "a",     EightBitMime, false, high_header, &eight,   declared(EightBitMime, false)),
            ("binary, offered",                 "a",     BinaryMime,   false, bare,        &binary,  declared(BinaryMime, false)),
            ("binary, not offered",             "a",     BinaryMime,   false, bare,        &eight,   Err(Unmet::Binary)),
            ("binary declared, text in truth",  "a",     BinaryMime,   false, plain,       &eight,   declared(EightBitMime, false)),
            ("binary declared, ASCII in truth", "a",     BinaryMime,   false, plain,       &none,    declared(SevenBit, false)),
        ];
        for (shows, to, body, smtputf8, content, peer, expected) in cases {
            let envelope = Envelope {
                sender: ReversePath::Null,
                recipients: vec![],
                ret: None,
                envid: None,
                body,
                smtputf8,
                auth: None,
            };
            let got = check(&envelope, &mailbox(to), &content, peer, EightBit::Bounce);
            assert_eq!(got, expected, "{shows}");
        }
    }

    #[test]
    fn eight_bit_can_be_sent_anyway() {
        let envelope = Envelope {
            sender: ReversePath::Null,
            recipients: vec![],
            ret: None,
            envid: None,
            body: BodyKind::EightBitMime,
            smtputf8: false,
            auth: None,
        };
        let content = Content {
            eight_bit: true,
            ..Content::default()
        };
        let got = check(
            &envelope,
            &mailbox("a"),
            &content,
            &Capabilities::default(),
            EightBit::SendAnyway,
        );
        assert_eq!(
            got,
            Ok(Declared {
                size: None,
                body: BodyKind::SevenBit,
                smtputf8: false
            })
        );
    }
}
