//! What the server sends: each command with its data.

use std::net::IpAddr;

use bytes::{BufMut as _, BytesMut};

use crate::frame;
use crate::macros::MacroStage;
use crate::negotiation::Options;
use crate::strings;

/// Where a client connects from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Peer {
    /// An address and a port. An IPv4 address inside an IPv6 one (`::ffff:192.0.2.1`) is sent as the IPv4 address.
    Network(IpAddr, u16),
    /// A Unix socket, by its path.
    Unix(Vec<u8>),
    /// Unknown, as for mail submitted by a program on this host.
    Unknown,
}

/// A command to a filter. NULs in strings are removed; see [`Command::put`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Command<'a> {
    /// `O`: offers what both could do.
    Negotiate(Options),
    /// `D`: macros for the following step.
    Macros {
        /// The step.
        stage: MacroStage,
        /// Names and values.
        values: Vec<(&'a [u8], &'a [u8])>,
    },
    /// `C`: a client has connected.
    Connect {
        /// Its name, or its address in brackets.
        host: &'a [u8],
        /// Where it connects from.
        peer: Peer,
    },
    /// `H`: what it said with `HELO` or `EHLO`.
    Helo(&'a [u8]),
    /// `M`: the sender with its angle brackets, and parameters.
    Mail {
        /// `<a@example.org>`, or `<>`.
        sender: &'a [u8],
        /// `SIZE=1000`, one item each.
        parameters: Vec<&'a [u8]>,
    },
    /// `R`: a recipient, as for the sender.
    Rcpt {
        /// `<b@example.org>`.
        recipient: &'a [u8],
        /// `NOTIFY=NEVER`, one item each.
        parameters: Vec<&'a [u8]>,
    },
    /// `T`: `DATA` was said, or the first `BDAT`.
    Data,
    /// `U`: a command that the server does not know, with its arguments.
    Unknown(&'a [u8]),
    /// `L`: a header field.
    Header {
        /// Its name, without the colon.
        name: &'a [u8],
        /// Its value, folded with LF only.
        value: &'a [u8],
    },
    /// `N`: the header is over.
    EndOfHeader,
    /// `B`: a piece of the body, with CRLF.
    Body(&'a [u8]),
    /// `E`: the message is over.
    ///
    /// A last piece of the body could come with it, but `libmilter` would then answer twice.
    End,
    /// `A`: the message is given up.
    Abort,
    /// `Q`: the connection ends.
    Quit,
    /// `K`: the session ends, another follows on the same connection.
    QuitNewConnection,
}

/// A packet that is not a command.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CommandError {
    /// No command has this name.
    #[error("no command has the name {0:#04x}")]
    Unknown(u8),
    /// The data do not match the command.
    #[error("the data of command {} make no sense", char::from(*.0))]
    Malformed(u8),
}

impl<'a> Command<'a> {
    /// The octet that names it.
    #[must_use]
    pub const fn name(&self) -> u8 {
        match self {
            Self::Negotiate(_) => b'O',
            Self::Macros { .. } => b'D',
            Self::Connect { .. } => b'C',
            Self::Helo(_) => b'H',
            Self::Mail { .. } => b'M',
            Self::Rcpt { .. } => b'R',
            Self::Data => b'T',
            Self::Unknown(_) => b'U',
            Self::Header { .. } => b'L',
            Self::EndOfHeader => b'N',
            Self::Body(_) => b'B',
            Self::End => b'E',
            Self::Abort => b'A',
            Self::Quit => b'Q',
            Self::QuitNewConnection => b'K',
        }
    }

    /// Appends the packet to `out` and returns how many octets of data it has.
    ///
    /// NULs inside of strings are left out, since a filter would take what follows for the next string; pieces of the body keep
    /// theirs. The caller must check that the data are within the agreed size: a filter drops the connection otherwise.
    pub fn put(&self, out: &mut BytesMut) -> usize {
        let start = out.len();
        frame::put(out, self.name(), |out| self.put_data(out));
        out.len() - start - frame::HEAD
    }

    fn put_data(&self, out: &mut BytesMut) {
        match self {
            Self::Negotiate(options) => options.put(out),
            Self::Macros { stage, values } => {
                out.put_u8(stage.command());
                for (name, value) in values {
                    strings::put(out, name);
                    strings::put(out, value);
                }
            }
            Self::Connect { host, peer } => {
                strings::put(out, host);
                peer.put(out);
            }
            Self::Helo(text) | Self::Unknown(text) => strings::put(out, text),
            Self::Mail {
                sender: address,
                parameters,
            }
            | Self::Rcpt {
                recipient: address,
                parameters,
            } => {
                strings::put(out, address);
                for parameter in parameters {
                    strings::put(out, parameter);
                }
            }
            Self::Header { name, value } => {
                strings::put(out, name);
                strings::put(out, value);
            }
            Self::Body(piece) => out.put_slice(piece),
            Self::Data
            | Self::EndOfHeader
            | Self::End
            | Self::Abort
            | Self::Quit
            | Self::QuitNewConnection => {}
        }
    }

    /// Reads a command, as a filter does.
    ///
    /// # Errors
    ///
    /// [`CommandError`].
    pub fn parse(name: u8, data: &'a [u8]) -> Result<Self, CommandError> {
        Self::parse_data(name, data)?.ok_or(CommandError::Malformed(name))
    }

    fn parse_data(name: u8, data: &'a [u8]) -> Result<Option<Self>, CommandError> {
        let bare = |command| data.is_empty().then_some(command);
        Ok(match name {
            b'O' => Options::parse(data).map(Self::Negotiate),
            b'D' => parse_macros(data),
            b'C' => parse_connect(data),
            b'H' => strings::one(data).map(Self::Helo),
            b'U' => strings::one(data).map(Self::Unknown),
            b'M' => address(data).map(|(sender, parameters)| Self::Mail { sender, parameters }),
            b'R' => address(data).map(|(recipient, parameters)| Self::Rcpt {
                recipient,
                parameters,
            }),
            b'L' => strings::two(data).map(|[name, value]| Self::Header { name, value }),
            b'B' => Some(Self::Body(data)),
            b'T' => bare(Self::Data),
            b'N' => bare(Self::EndOfHeader),
            b'E' => bare(Self::End),
            b'A' => bare(Self::Abort),
            b'Q' => bare(Self::Quit),
            b'K' => bare(Self::QuitNewConnection),
            _ => return Err(CommandError::Unknown(name)),
        })
    }
}

impl Peer {
    fn put(&self, out: &mut BytesMut) {
        match self {
            Self::Unknown => out.put_u8(b'U'),
            Self::Unix(path) => {
                out.put_u8(b'L');
                out.put_u16(0);
                strings::put(out, path);
            }
            Self::Network(address, port) => {
                let address = address.to_canonical();
                out.put_u8(if address.is_ipv4() { b'4' } else { b'6' });
                out.put_u16(*port);
                strings::put(out, address.to_string().as_bytes());
            }
        }
    }
}

fn parse_macros(data: &[u8]) -> Option<Command<'_>> {
    let (command, data) = data.split_first()?;
    let strings = strings::all(data)?;
    let pairs = strings.chunks_exact(2);
    pairs.remainder().is_empty().then_some(())?;
    let values = pairs.map(|pair| (pair[0], pair[1])).collect();
    let stage = MacroStage::of_command(*command)?;
    Some(Command::Macros { stage, values })
}

fn parse_connect(data: &[u8]) -> Option<Command<'_>> {
    let end = data.iter().position(|&octet| octet == 0)?;
    let (host, data) = (&data[..end], &data[end + 1..]);
    let (family, data) = data.split_first()?;
    if *family == b'U' {
        return data.is_empty().then_some(Command::Connect {
            host,
            peer: Peer::Unknown,
        });
    }
    let (port, data) = data.split_first_chunk::<2>()?;
    let text = strings::one(data)?;
    let peer = match family {
        b'L' => Peer::Unix(text.to_vec()),
        b'4' | b'6' => {
            let address: IpAddr = std::str::from_utf8(text).ok()?.parse().ok()?;
            (address.is_ipv4() == (*family == b'4')).then_some(())?;
            Peer::Network(address.to_canonical(), u16::from_be_bytes(*port))
        }
        _ => return None,
    };
    Some(Command::Connect { host, peer })
}

fn address(data: &[u8]) -> Option<(&[u8], Vec<&[u8]>)> {
    let mut strings = strings::all(data)?;
    if strings.is_empty() {
        return None;
    }
    let address = strings.remove(0);
    Some((address, strings))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::bits::{Actions, Steps};

    fn wire(command: &Command<'_>) -> Vec<u8> {
        let mut out = BytesMut::new();
        let len = command.put(&mut out);
        assert_eq!(out.len(), len + frame::HEAD);
        out.to_vec()
    }

    #[test]
    fn on_the_wire() {
        let network = |address: &str| Peer::Network(address.parse().unwrap(), 0x1234);
        let connect = |peer| Command::Connect {
            host: b"mx.example",
            peer,
        };
        let options = Options {
            version: 6,
            actions: Actions::ALL,
            steps: Steps::from_bits(0x1f_ffff),
            lists: Vec::new(),
        };
        #[rustfmt::skip]
        let cases: [(Command<'_>, &[u8]); 19] = [
            (Command::Negotiate(options),                   b"\0\0\0\x0dO\0\0\0\x06\0\0\x01\xff\0\x1f\xff\xff"),
            (Command::Macros { stage: MacroStage::Mail, values: vec![(b"i", b"x1"), (b"{auth_type}", b"")] },
                                                            b"\0\0\0\x14DMi\0x1\0{auth_type}\0\0"),
            (connect(network("192.0.2.1")),                 b"\0\0\0\x19Cmx.example\x004\x12\x34192.0.2.1\0"),
            (connect(network("::ffff:192.0.2.1")),          b"\0\0\0\x19Cmx.example\x004\x12\x34192.0.2.1\0"),
            (connect(network("::1")),                       b"\0\0\0\x13Cmx.example\x006\x12\x34::1\0"),
            (connect(Peer::Unix(b"/x".to_vec())),           b"\0\0\0\x12Cmx.example\0L\0\0/x\0"),
            (connect(Peer::Unknown),                        b"\0\0\0\x0dCmx.example\0U"),
            (Command::Helo(b"me"),                          b"\0\0\0\x04Hme\0"),
            (Command::Mail { sender: b"<>", parameters: vec![b"SIZE=1", b"BODY=7BIT"] },
                                                            b"\0\0\0\x15M<>\0SIZE=1\0BODY=7BIT\0"),
            (Command::Rcpt { recipient: b"<a@b>", parameters: vec![] }, b"\0\0\0\x07R<a@b>\0"),
            (Command::Data,                                 b"\0\0\0\x01T"),
            (Command::Unknown(b"XYZ 1"),                    b"\0\0\0\x07UXYZ 1\0"),
            (Command::Header { name: b"To", value: b"a,\n b" }, b"\0\0\0\x0aLTo\0a,\n b\0"),
            (Command::EndOfHeader,                          b"\0\0\0\x01N"),
            (Command::Body(b"a\0\r\n"),                     b"\0\0\0\x05Ba\0\r\n"),
            (Command::End,                                  b"\0\0\0\x01E"),
            (Command::Abort,                                b"\0\0\0\x01A"),
            (Command::Quit,                                 b"\0\0\0\x01Q"),
            (Command::QuitNewConnection,                    b"\0\0\0\x01K"),
        ];
        for (command, expected) in cases {
            assert_eq!(wire(&command), expected, "{command:?}");
        }
    }

    #[test]
    fn a_nul_never_makes_two_strings() {
        let header = Command::Header {
            name: b"Subject",
            value: b"a\0b",
        };
        assert_eq!(wire(&header), b"\0\0\0\x0cLSubject\0ab\0");
    }

    #[test]
    fn malformed() {
        #[rustfmt::skip]
        let cases: [(&str, u8, &[u8]); 10] = [
            ("no end of a string",          b'H', b"me"),
            ("two strings",                 b'H', b"me\0you\0"),
            ("no sender",                   b'M', b""),
            ("a field without a value",     b'L', b"To\0"),
            ("data where none belong",      b'T', b"x"),
            ("an address of another family", b'C', b"h\x004\0\0::1\0"),
            ("an unknown family",           b'C', b"h\0X\0\0::1\0"),
            ("a macro without a value",     b'D', b"Ci\0"),
            ("macros for the body",         b'D', b"Bi\0x\0"),
            ("options cut short",           b'O', b"\0\0\0\x06"),
        ];
        for (shows, name, data) in cases {
            assert_eq!(
                Command::parse(name, data),
                Err(CommandError::Malformed(name)),
                "{shows}"
            );
        }
        assert_eq!(Command::parse(b'z', b""), Err(CommandError::Unknown(b'z')));
    }

    /// A string without NUL.
    fn text() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(1..=255_u8, 0..20)
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(
            kind in 0..12_usize,
            first in text(),
            second in text(),
            more in proptest::collection::vec(text(), 0..4),
            address: IpAddr,
            port: u16,
        ) {
            let command = match kind {
                0 => Command::Macros { stage: MacroStage::Rcpt, values: vec![(&first, &second)] },
                1 => Command::Connect { host: &first, peer: Peer::Network(address.to_canonical(), port) },
                2 => Command::Connect { host: &first, peer: Peer::Unix(second) },
                3 => Command::Helo(&first),
                4 => Command::Mail { sender: &first, parameters: more.iter().map(Vec::as_slice).collect() },
                5 => Command::Rcpt { recipient: &first, parameters: more.iter().map(Vec::as_slice).collect() },
                6 => Command::Unknown(&first),
                7 => Command::Header { name: &first, value: &second },
                8 => Command::Body(&first),
                9 => Command::Connect { host: &first, peer: Peer::Unknown },
                10 => Command::Abort,
                _ => Command::End,
            };
            let octets = wire(&command);
            prop_assert_eq!(Command::parse(octets[4], &octets[5..]), Ok(command));
        }

        #[test]
        fn no_octets_panic(name: u8, data in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Command::parse(name, &data);
        }
    }
}
