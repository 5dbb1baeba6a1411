//! Changes requested by a filter: checked, and in the form in which they go into a message.

use crate::bits::Actions;
use crate::lines::value_from_filter;
use crate::reply::Reply;
use crate::strings::shown;

/// Longest name of a field that a filter may give, in octets.
pub const NAME_MAX: usize = 255;

/// Longest address with its parameters that a filter may give, in octets.
pub const ADDRESS_MAX: usize = 2_048;

/// A change of the message or its envelope. A new body is not one of these, since it may be larger than memory.
///
/// Values of fields are everything after the colon: leading blanks, folds with CRLF, no line end after the last line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Change {
    /// A field at the end of the header.
    AddField {
        /// Its name.
        name: String,
        /// Its value.
        value: Vec<u8>,
    },
    /// A field at another position; [`crate::edit::fields`] says how `index` counts.
    InsertField {
        /// Before which field.
        index: u32,
        /// Its name.
        name: String,
        /// Its value.
        value: Vec<u8>,
    },
    /// A new value for a field.
    ChangeField {
        /// Which field with this name, from 1.
        index: u32,
        /// Its name.
        name: String,
        /// Its new value.
        value: Vec<u8>,
    },
    /// A deleted field.
    DeleteField {
        /// Which field with this name, from 1.
        index: u32,
        /// Its name.
        name: String,
    },
    /// A new recipient.
    AddRecipient {
        /// The address as the filter wrote it, usually with angle brackets.
        recipient: String,
        /// Parameters of `RCPT` separated by spaces; empty if there are none.
        parameters: String,
    },
    /// A removed recipient.
    RemoveRecipient(String),
    /// A new sender.
    ChangeSender {
        /// The address as the filter wrote it; `<>` or empty for none.
        sender: String,
        /// Parameters of `MAIL` separated by spaces; empty if there are none.
        parameters: String,
    },
    /// The message is held, for this reason.
    Quarantine(String),
}

/// A change that cannot be made.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ChangeError {
    /// A field's name that would break the header (RFC 5322 section 2.2), or is longer than [`NAME_MAX`].
    #[error("{0:?} is not a valid field name")]
    FieldName(String),
    /// An address, or parameters, with control characters, not UTF-8, or longer than [`ADDRESS_MAX`]; or no recipient at all.
    #[error("{0:?} is not an address")]
    Address(String),
}

/// The action that must have been agreed before an answer of this kind is legal; `None` for one that asks for no change.
#[must_use]
pub const fn action(reply: &Reply<'_>) -> Option<Actions> {
    match reply {
        Reply::AddHeader { .. } | Reply::InsertHeader { .. } => Some(Actions::ADD_HEADER),
        Reply::ChangeHeader { .. } => Some(Actions::CHANGE_HEADER),
        Reply::ReplaceBody(_) => Some(Actions::REPLACE_BODY),
        Reply::AddRecipient(_) => Some(Actions::ADD_RECIPIENT),
        Reply::AddRecipientWithParameters { .. } => Some(Actions::ADD_RECIPIENT_WITH_PARAMETERS),
        Reply::RemoveRecipient(_) => Some(Actions::REMOVE_RECIPIENT),
        Reply::ChangeSender { .. } => Some(Actions::CHANGE_SENDER),
        Reply::Quarantine(_) => Some(Actions::QUARANTINE),
        _ => None,
    }
}

impl Change {
    /// The change that an answer asks for; `None` for a piece of a new body and for answers that ask for none.
    ///
    /// `leading_blanks` says that both sides agreed to keep the blanks in front of values.
    ///
    /// # Errors
    ///
    /// [`ChangeError`] if the change would break the message and cannot be corrected.
    pub fn of(reply: &Reply<'_>, leading_blanks: bool) -> Result<Option<Self>, ChangeError> {
        let raw = |value| value_from_filter(value, leading_blanks);
        Ok(Some(match *reply {
            Reply::AddHeader { name, value } => Self::AddField {
                name: field_name(name)?,
                value: raw(value),
            },
            Reply::InsertHeader { index, name, value } => Self::InsertField {
                index,
                name: field_name(name)?,
                value: raw(value),
            },
            Reply::ChangeHeader {
                index,
                name,
                value: [],
            } => Self::DeleteField {
                index,
                name: field_name(name)?,
            },
            Reply::ChangeHeader { index, name, value } => Self::ChangeField {
                index,
                name: field_name(name)?,
                value: raw(value),
            },
            Reply::AddRecipient(recipient) => Self::AddRecipient {
                recipient: recipient_address(recipient)?,
                parameters: String::new(),
            },
            Reply::AddRecipientWithParameters {
                recipient,
                parameters,
            } => Self::AddRecipient {
                recipient: recipient_address(recipient)?,
                parameters: text(parameters.unwrap_or_default())?,
            },
            Reply::RemoveRecipient(recipient) => Self::RemoveRecipient(recipient_address(recipient)?),
            Reply::ChangeSender { sender, parameters } => Self::ChangeSender {
                sender: text(sender)?,
                parameters: text(parameters.unwrap_or_default())?,
            },
            Reply::Quarantine(reason) => Self::Quarantine(shown(reason)),
            _ => return Ok(None),
        }))
    }

    /// Its approximate size in memory in octets, for a limit on all changes together.
    #[must_use]
    pub fn size(&self) -> usize {
        64 + match self {
            Self::AddField { name, value }
            | Self::InsertField { name, value, .. }
            | Self::ChangeField { name, value, .. } => name.len() + value.len(),
            Self::DeleteField { name: text, .. } | Self::RemoveRecipient(text) | Self::Quarantine(text) => {
                text.len()
            }
            Self::AddRecipient {
                recipient: address,
                parameters,
            }
            | Self::ChangeSender {
                sender: address,
                parameters,
            } => address.len() + parameters.len(),
        }
    }
}

fn field_name(name: &[u8]) -> Result<String, ChangeError> {
    let legal = |octet: &u8| octet.is_ascii_graphic() && *octet != b':';
    match std::str::from_utf8(name) {
        Ok(text) if !name.is_empty() && name.len() <= NAME_MAX && name.iter().all(legal) => {
            Ok(text.to_owned())
        }
        _ => Err(ChangeError::FieldName(shown(name))),
    }
}

fn recipient_address(octets: &[u8]) -> Result<String, ChangeError> {
    match text(octets)? {
        address if matches!(address.trim(), "" | "<>") => Err(ChangeError::Address(shown(octets))),
        address => Ok(address),
    }
}

fn text(octets: &[u8]) -> Result<String, ChangeError> {
    match std::str::from_utf8(octets) {
        Ok(text) if text.len() <= ADDRESS_MAX && !text.chars().any(char::is_control) => Ok(text.to_owned()),
        _ => Err(ChangeError::Address(shown(octets))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_break_a_header() {
        #[rustfmt::skip]
        let cases: [(&str, &[u8], bool); 9] = [
            ("usual",               b"X-Spam-Status",       true),
            ("every sign but one",  b"!#$%&'*+-.^_`{|}~",   true),
            ("a line end",          b"X\r\nBcc",            false),
            ("a line end, LF",      b"X\nBcc",              false),
            ("a colon",             b"X: a",                false),
            ("a blank",             b"X Y",                 false),
            ("not ASCII",           b"X\xc3\xa4",           false),
            ("nothing",             b"",                    false),
            ("too long",            &[b'x'; NAME_MAX + 1],  false),
        ];
        for (shows, name, legal) in cases {
            for reply in [
                Reply::AddHeader { name, value: b"v" },
                Reply::InsertHeader {
                    index: 1,
                    name,
                    value: b"v",
                },
                Reply::ChangeHeader {
                    index: 1,
                    name,
                    value: b"v",
                },
                Reply::ChangeHeader {
                    index: 1,
                    name,
                    value: b"",
                },
            ] {
                let got = Change::of(&reply, false);
                assert_eq!(matches!(got, Ok(Some(_))), legal, "{shows}");
                assert_eq!(matches!(got, Err(ChangeError::FieldName(_))), !legal, "{shows}");
            }
        }
    }

    #[test]
    fn addresses() {
        #[rustfmt::skip]
        let cases: [(&str, &[u8], bool, bool); 7] = [
            // what the case shows      address                         recipient   sender
            ("usual",                   b"<a@b.example>",               true,       true),
            ("without brackets",        b"a@b.example",                 true,       true),
            ("internationalized",       "<\u{e4}@b.example>".as_bytes(), true,      true),
            ("nobody",                  b"<>",                          false,      true),
            ("nothing",                 b"",                            false,      true),
            ("a command smuggled in",   b"<a@b>\r\nRCPT TO:<c@d>",      false,      false),
            ("not UTF-8",               b"<\xff@b>",                    false,      false),
        ];
        for (shows, address, recipient, sender) in cases {
            let works = |reply| Change::of(&reply, false).is_ok();
            assert_eq!(works(Reply::AddRecipient(address)), recipient, "{shows}");
            assert_eq!(works(Reply::RemoveRecipient(address)), recipient, "{shows}");
            assert_eq!(
                works(Reply::AddRecipientWithParameters {
                    recipient: address,
                    parameters: None
                }),
                recipient,
                "{shows}"
            );
            assert_eq!(
                works(Reply::ChangeSender {
                    sender: address,
                    parameters: None
                }),
                sender,
                "{shows}"
            );
        }
        let smuggled = Reply::ChangeSender {
            sender: b"<>",
            parameters: Some(b"SIZE=1\r\nDATA"),
        };
        assert!(Change::of(&smuggled, false).is_err());
    }

    #[test]
    fn values() {
        let reply = Reply::ChangeHeader {
            index: 2,
            name: b"Subject",
            value: b"a\n b",
        };
        let changed = |value: &[u8]| Change::ChangeField {
            index: 2,
            name: "Subject".into(),
            value: value.to_vec(),
        };
        assert_eq!(Change::of(&reply, false), Ok(Some(changed(b" a\r\n b"))));
        assert_eq!(Change::of(&reply, true), Ok(Some(changed(b"a\r\n b"))));
        assert_eq!(
            Change::of(&Reply::Quarantine(b"bad\r\nthing"), false),
            Ok(Some(Change::Quarantine("bad??thing".into())))
        );
    }

    #[test]
    fn what_asks_for_no_change() {
        for reply in [
            Reply::Continue,
            Reply::Progress,
            Reply::ReplaceBody(b"x"),
            Reply::Skip,
        ] {
            assert_eq!(Change::of(&reply, false), Ok(None));
        }
        assert_eq!(action(&Reply::ReplaceBody(b"")), Some(Actions::REPLACE_BODY));
        assert_eq!(action(&Reply::Continue), None);
    }
}
