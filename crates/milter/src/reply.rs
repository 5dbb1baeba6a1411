//! What a filter sends: each answer and each change with its data.

use bytes::{BufMut as _, BytesMut};

use crate::frame;
use crate::negotiation::Options;
use crate::reply_code::{ReplyCode, ReplyCodeError};
use crate::strings;

/// A packet from a filter.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reply<'a> {
    /// `O`: its choice from what was offered.
    Negotiate(Options),
    /// `l`: the macros that it wants at a stage; usually they come with its choice.
    SetMacroList {
        /// The stage's number.
        stage: u32,
        /// Names separated by spaces or commas.
        names: &'a [u8],
    },
    /// `c`: go on.
    Continue,
    /// `a`: accept the message or connection; it need not see more.
    Accept,
    /// `r`: refuse permanently.
    Reject,
    /// `t`: refuse temporarily.
    Tempfail,
    /// `d`: accept the message and discard it.
    Discard,
    /// `s`: no more of this kind in this message.
    Skip,
    /// `p`: still at work.
    Progress,
    /// `f`: close the client's connection.
    ConnectionFailure,
    /// `4`: tell the client 421 and close its connection.
    Shutdown,
    /// `y`: refuse with this reply.
    ReplyCode(ReplyCode),
    /// `h`: add a header field at the end.
    AddHeader {
        /// Its name.
        name: &'a [u8],
        /// Its value.
        value: &'a [u8],
    },
    /// `i`: insert a header field.
    InsertHeader {
        /// Before which field, counted from 0.
        index: u32,
        /// Its name.
        name: &'a [u8],
        /// Its value.
        value: &'a [u8],
    },
    /// `m`: change a header field; delete it if the value is empty.
    ChangeHeader {
        /// Which field with this name, counted from 1.
        index: u32,
        /// Its name.
        name: &'a [u8],
        /// Its new value.
        value: &'a [u8],
    },
    /// `b`: the next piece of a new body.
    ReplaceBody(&'a [u8]),
    /// `+`: add a recipient.
    AddRecipient(&'a [u8]),
    /// `2`: add a recipient with parameters.
    AddRecipientWithParameters {
        /// The recipient.
        recipient: &'a [u8],
        /// Parameters separated by spaces, if there are any.
        parameters: Option<&'a [u8]>,
    },
    /// `-`: remove a recipient.
    RemoveRecipient(&'a [u8]),
    /// `e`: change the envelope's sender.
    ChangeSender {
        /// The sender.
        sender: &'a [u8],
        /// Parameters separated by spaces, if there are any.
        parameters: Option<&'a [u8]>,
    },
    /// `q`: quarantine the message.
    Quarantine(&'a [u8]),
}

/// A packet that is neither an answer nor a change.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ReplyError {
    /// No answer has this name.
    #[error("no answer has the name {0:#04x}")]
    Unknown(u8),
    /// The data do not match the answer.
    #[error("the data of answer {} make no sense", char::from(*.0))]
    Malformed(u8),
    /// An invalid reply code.
    #[error("its reply to the client makes no sense")]
    ReplyCode(#[source] ReplyCodeError),
}

impl<'a> Reply<'a> {
    /// The octet that names it.
    #[must_use]
    pub const fn name(&self) -> u8 {
        match self {
            Self::Negotiate(_) => b'O',
            Self::SetMacroList { .. } => b'l',
            Self::Continue => b'c',
            Self::Accept => b'a',
            Self::Reject => b'r',
            Self::Tempfail => b't',
            Self::Discard => b'd',
            Self::Skip => b's',
            Self::Progress => b'p',
            Self::ConnectionFailure => b'f',
            Self::Shutdown => b'4',
            Self::ReplyCode(_) => b'y',
            Self::AddHeader { .. } => b'h',
            Self::InsertHeader { .. } => b'i',
            Self::ChangeHeader { .. } => b'm',
            Self::ReplaceBody(_) => b'b',
            Self::AddRecipient(_) => b'+',
            Self::AddRecipientWithParameters { .. } => b'2',
            Self::RemoveRecipient(_) => b'-',
            Self::ChangeSender { .. } => b'e',
            Self::Quarantine(_) => b'q',
        }
    }

    /// Its name in messages to people.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Negotiate(_) => "negotiation",
            Self::SetMacroList { .. } => "list of macros",
            Self::Continue => "continue",
            Self::Accept => "accept",
            Self::Reject => "reject",
            Self::Tempfail => "tempfail",
            Self::Discard => "discard",
            Self::Skip => "skip",
            Self::Progress => "progress",
            Self::ConnectionFailure => "connection failure",
            Self::Shutdown => "shutdown",
            Self::ReplyCode(_) => "reply code",
            Self::AddHeader { .. } => "add field",
            Self::InsertHeader { .. } => "insert field",
            Self::ChangeHeader { .. } => "change field",
            Self::ReplaceBody(_) => "replace body",
            Self::AddRecipient(_) => "add recipient",
            Self::AddRecipientWithParameters { .. } => "add recipient with parameters",
            Self::RemoveRecipient(_) => "remove recipient",
            Self::ChangeSender { .. } => "change sender",
            Self::Quarantine(_) => "quarantine",
        }
    }

    /// Reads an answer.
    ///
    /// # Errors
    ///
    /// [`ReplyError`]: the filter does not speak the protocol, and nothing that follows can be trusted.
    pub fn parse(name: u8, data: &'a [u8]) -> Result<Self, ReplyError> {
        Self::parse_data(name, data)?.ok_or(ReplyError::Malformed(name))
    }

    fn parse_data(name: u8, data: &'a [u8]) -> Result<Option<Self>, ReplyError> {
        let bare = |reply| data.is_empty().then_some(reply);
        Ok(match name {
            b'O' => Options::parse(data).map(Self::Negotiate),
            b'l' => strings::number(data).and_then(|(stage, rest)| {
                strings::one(rest).map(|names| Self::SetMacroList { stage, names })
            }),
            b'c' => bare(Self::Continue),
            b'a' => bare(Self::Accept),
            b'r' => bare(Self::Reject),
            b't' => bare(Self::Tempfail),
            b'd' => bare(Self::Discard),
            b's' => bare(Self::Skip),
            b'p' => bare(Self::Progress),
            b'f' => bare(Self::ConnectionFailure),
            b'4' => bare(Self::Shutdown),
            b'y' => match strings::one(data) {
                Some(text) => Some(Self::ReplyCode(
                    ReplyCode::parse(text).map_err(ReplyError::ReplyCode)?,
                )),
                None => None,
            },
            b'h' => strings::two(data).map(|[name, value]| Self::AddHeader { name, value }),
            b'i' => indexed(data).map(|(index, [name, value])| Self::InsertHeader { index, name, value }),
            b'm' => indexed(data).map(|(index, [name, value])| Self::ChangeHeader { index, name, value }),
            b'b' => Some(Self::ReplaceBody(data)),
            b'+' => strings::one(data).map(Self::AddRecipient),
            b'2' => with_parameters(data).map(|(recipient, parameters)| Self::AddRecipientWithParameters {
                recipient,
                parameters,
            }),
            b'-' => strings::one(data).map(Self::RemoveRecipient),
            b'e' => {
                with_parameters(data).map(|(sender, parameters)| Self::ChangeSender { sender, parameters })
            }
            b'q' => strings::one(data).map(Self::Quarantine),
            _ => return Err(ReplyError::Unknown(name)),
        })
    }

    /// Appends the packet to `out`, as a filter does. A reply code is written with its enhanced code in each line.
    pub fn put(&self, out: &mut BytesMut) {
        frame::put(out, self.name(), |out| self.put_data(out));
    }

    fn put_data(&self, out: &mut BytesMut) {
        match self {
            Self::Negotiate(options) => options.put(out),
            Self::SetMacroList { stage, names } => {
                out.put_u32(*stage);
                strings::put(out, names);
            }
            Self::ReplyCode(reply) => strings::put(out, &written(reply)),
            Self::AddHeader { name, value } => {
                strings::put(out, name);
                strings::put(out, value);
            }
            Self::InsertHeader { index, name, value } | Self::ChangeHeader { index, name, value } => {
                out.put_u32(*index);
                strings::put(out, name);
                strings::put(out, value);
            }
            Self::ReplaceBody(piece) => out.put_slice(piece),
            Self::AddRecipient(text) | Self::RemoveRecipient(text) | Self::Quarantine(text) => {
                strings::put(out, text);
            }
            Self::AddRecipientWithParameters {
                recipient: address,
                parameters,
            }
            | Self::ChangeSender {
                sender: address,
                parameters,
            } => {
                strings::put(out, address);
                if let Some(parameters) = parameters {
                    strings::put(out, parameters);
                }
            }
            Self::Continue
            | Self::Accept
            | Self::Reject
            | Self::Tempfail
            | Self::Discard
            | Self::Skip
            | Self::Progress
            | Self::ConnectionFailure
            | Self::Shutdown => {}
        }
    }
}

fn indexed(data: &[u8]) -> Option<(u32, [&[u8]; 2])> {
    let (index, rest) = strings::number(data)?;
    Some((index, strings::two(rest)?))
}

fn with_parameters(data: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    match strings::all(data)?[..] {
        [address] => Some((address, None)),
        [address, parameters] => Some((address, Some(parameters))),
        _ => None,
    }
}

fn written(reply: &ReplyCode) -> Vec<u8> {
    let enhanced = reply
        .enhanced()
        .map_or(String::new(), |(class, subject, detail)| {
            format!("{class}.{subject}.{detail} ")
        });
    let last = reply.lines().len().saturating_sub(1);
    let lines = reply.lines().iter().enumerate().map(|(number, line)| {
        let hyphen = if number == last { ' ' } else { '-' };
        format!("{}{hyphen}{enhanced}{}", reply.code(), line.replace('%', "%%"))
    });
    lines.collect::<Vec<_>>().join("\r\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn from_the_wire() {
        #[rustfmt::skip]
        let cases: [(&str, u8, &[u8], Option<Reply<'_>>); 27] = [
            ("continue",                            b'c', b"",              Some(Reply::Continue)),
            ("with data that do not belong",        b'c', b"\0",            None),
            ("accept",                              b'a', b"",              Some(Reply::Accept)),
            ("reject",                              b'r', b"",              Some(Reply::Reject)),
            ("tempfail",                            b't', b"",              Some(Reply::Tempfail)),
            ("discard",                             b'd', b"",              Some(Reply::Discard)),
            ("skip",                                b's', b"",              Some(Reply::Skip)),
            ("progress",                            b'p', b"",              Some(Reply::Progress)),
            ("connection failure",                  b'f', b"",              Some(Reply::ConnectionFailure)),
            ("shutdown",                            b'4', b"",              Some(Reply::Shutdown)),
            ("a field",                             b'h', b"X\0v\0",        Some(Reply::AddHeader { name: b"X", value: b"v" })),
            ("a field without end",                 b'h', b"X\0v",          None),
            ("a field and more",                    b'h', b"X\0v\0w\0",     None),
            ("inserted",                            b'i', b"\0\0\0\x01X\0v\0", Some(Reply::InsertHeader { index: 1, name: b"X", value: b"v" })),
            ("changed",                             b'm', b"\0\0\0\x02X\0\0", Some(Reply::ChangeHeader { index: 2, name: b"X", value: b"" })),
            ("an index cut short",                  b'm', b"\0\0\x02",      None),
            ("a body",                              b'b', b"a\0b",          Some(Reply::ReplaceBody(b"a\0b"))),
            ("an empty body",                       b'b', b"",              Some(Reply::ReplaceBody(b""))),
            ("a recipient",                         b'+', b"<a@b>\0",       Some(Reply::AddRecipient(b"<a@b>"))),
            ("a recipient with parameters",         b'2', b"<a@b>\0NOTIFY=NEVER\0", Some(Reply::AddRecipientWithParameters { recipient: b"<a@b>", parameters: Some(b"NOTIFY=NEVER") })),
            ("with none",                           b'2', b"<a@b>\0",       Some(Reply::AddRecipientWithParameters { recipient: b"<a@b>", parameters: None })),
            ("with too many strings",               b'2', b"<a@b>\0x\0y\0", None),
            ("no recipient",                        b'2', b"",              None),
            ("a recipient less",                    b'-', b"<a@b>\0",       Some(Reply::RemoveRecipient(b"<a@b>"))),
            ("another sender",                      b'e', b"<>\0",          Some(Reply::ChangeSender { sender: b"<>", parameters: None })),
            ("quarantine",                          b'q', b"a virus\0",     Some(Reply::Quarantine(b"a virus"))),
            ("macros",                              b'l', b"\0\0\0\x02i j\0", Some(Reply::SetMacroList { stage: 2, names: b"i j" })),
        ];
        for (shows, name, data, expected) in cases {
            let got = Reply::parse(name, data);
            let expected = expected.ok_or(ReplyError::Malformed(name));
            assert_eq!(got, expected, "{shows}");
            if let Ok(reply) = got {
                assert_eq!(reply.name(), name);
                let mut wire = BytesMut::new();
                reply.put(&mut wire);
                assert_eq!(&wire[5..], data, "{shows}");
            }
        }
        assert_eq!(Reply::parse(b'z', b""), Err(ReplyError::Unknown(b'z')));
        assert!(matches!(
            Reply::parse(b'y', b"250 ok\0"),
            Err(ReplyError::ReplyCode(_))
        ));
        assert_eq!(
            Reply::parse(b'y', b"550 no end"),
            Err(ReplyError::Malformed(b'y'))
        );
    }

    #[test]
    fn a_reply_code_comes_back_as_it_was() {
        for text in [
            &b"550-5.7.1 a 100%% b\r\n550 5.7.1 c\0"[..],
            b"451 \0",
            b"421 4.7.0 x\0",
        ] {
            let reply = Reply::parse(b'y', text).unwrap();
            let mut wire = BytesMut::new();
            reply.put(&mut wire);
            assert_eq!(Reply::parse(wire[4], &wire[5..]).unwrap(), reply);
        }
    }

    proptest! {
        #[test]
        fn no_octets_panic_and_what_is_read_is_written(name: u8, data in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(reply) = Reply::parse(name, &data) {
                let mut wire = BytesMut::new();
                reply.put(&mut wire);
                prop_assert_eq!(Reply::parse(wire[4], &wire[5..]), Ok(reply));
            }
        }
    }
}
