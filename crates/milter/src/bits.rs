//! The numbers that both sides agree on when a connection opens: version, actions, steps, size of a packet's data.

use std::fmt;
use std::ops::BitOr;

/// A version of the protocol that Postern speaks.
///
/// Version 3 brought unknown commands, 4 the `DATA` step, 6 everything above bit 9 of the steps and above bit 5 of the actions.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Version(u32);

impl Version {
    /// The oldest that Postern speaks.
    pub const OLDEST: Self = Self(2);
    /// The newest that exists.
    pub const NEWEST: Self = Self(6);

    /// The version with this number; `None` for one that Postern does not speak.
    #[must_use]
    pub const fn new(number: u32) -> Option<Self> {
        match number {
            2..=6 => Some(Self(number)),
            _ => None,
        }
    }

    /// Its number on the wire.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// All actions that this version knows.
    #[must_use]
    pub const fn actions(self) -> Actions {
        if self.0 >= 6 { Actions::ALL } else { Actions(0x3f) }
    }

    /// All steps that this version knows, without the bits for sizes.
    #[must_use]
    pub const fn steps(self) -> Steps {
        Steps(match self.0 {
            2 => 0x7f,
            3 => 0x7f | Steps::NO_UNKNOWN.0,
            4 | 5 => 0x7f | Steps::NO_UNKNOWN.0 | Steps::NO_DATA.0,
            _ => 0x001f_ffff,
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

macro_rules! bit_set {
    ($name:ident) => {
        impl $name {
            /// None of them.
            pub const NONE: Self = Self(0);

            /// The set with these bits on the wire.
            #[must_use]
            pub const fn from_bits(bits: u32) -> Self {
                Self(bits)
            }

            /// Its bits on the wire.
            #[must_use]
            pub const fn bits(self) -> u32 {
                self.0
            }

            /// Whether all of `other` are among these.
            #[must_use]
            pub const fn has(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// These and `other`.
            #[must_use]
            pub const fn with(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }

            /// These without `other`.
            #[must_use]
            pub const fn without(self, other: Self) -> Self {
                Self(self.0 & !other.0)
            }
        }

        impl BitOr for $name {
            type Output = Self;

            fn bitor(self, other: Self) -> Self {
                self.with(other)
            }
        }

        impl fmt::Display for $name {
            /// The names, or the bits that have none, separated by commas.
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut rest = self.0;
                let mut comma = "";
                for &(bits, name) in Self::NAMES {
                    if rest & bits.0 == bits.0 {
                        write!(out, "{comma}{name}")?;
                        rest &= !bits.0;
                        comma = ", ";
                    }
                }
                match (rest, comma) {
                    (0, "") => out.write_str("none"),
                    (0, _) => Ok(()),
                    _ => write!(out, "{comma}{rest:#x}"),
                }
            }
        }
    };
}

/// What a filter may ask for at the end of a message (`SMFIF_`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Actions(u32);

bit_set!(Actions);

impl Actions {
    /// Add and insert header fields.
    pub const ADD_HEADER: Self = Self(0x01);
    /// Replace the body.
    pub const REPLACE_BODY: Self = Self(0x02);
    /// Add recipients without parameters.
    pub const ADD_RECIPIENT: Self = Self(0x04);
    /// Remove recipients.
    pub const REMOVE_RECIPIENT: Self = Self(0x08);
    /// Change and delete header fields.
    pub const CHANGE_HEADER: Self = Self(0x10);
    /// Quarantine the message, which Postern calls a hold.
    pub const QUARANTINE: Self = Self(0x20);
    /// Change the envelope's sender.
    pub const CHANGE_SENDER: Self = Self(0x40);
    /// Add recipients with parameters.
    pub const ADD_RECIPIENT_WITH_PARAMETERS: Self = Self(0x80);
    /// Ask for macros by name. Not an action, but one of these bits.
    pub const SET_MACRO_LISTS: Self = Self(0x100);
    /// All of them.
    pub const ALL: Self = Self(0x1ff);
    /// Those that change what a later filter sees of the message's content.
    pub const CONTENT: Self = Self(0x13);

    /// Each with its word for display.
    pub const NAMES: &[(Self, &str)] = &[
        (Self::ADD_HEADER, "add fields"),
        (Self::CHANGE_HEADER, "change fields"),
        (Self::REPLACE_BODY, "replace body"),
        (Self::ADD_RECIPIENT, "add recipients"),
        (
            Self::ADD_RECIPIENT_WITH_PARAMETERS,
            "add recipients with parameters",
        ),
        (Self::REMOVE_RECIPIENT, "remove recipients"),
        (Self::CHANGE_SENDER, "change sender"),
        (Self::QUARANTINE, "quarantine"),
        (Self::SET_MACRO_LISTS, "ask for macros"),
    ];

    /// Whether any of `other` is among these.
    #[must_use]
    pub const fn any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// Which steps a filter does without, which it does not answer, and what else it can do (`SMFIP_`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Steps(u32);

bit_set!(Steps);

impl Steps {
    /// Connections are not told.
    pub const NO_CONNECT: Self = Self(0x01);
    /// `HELO` and `EHLO` are not told.
    pub const NO_HELO: Self = Self(0x02);
    /// `MAIL` is not told.
    pub const NO_MAIL: Self = Self(0x04);
    /// `RCPT` is not told.
    pub const NO_RCPT: Self = Self(0x08);
    /// The body is not sent.
    pub const NO_BODY: Self = Self(0x10);
    /// Header fields are not sent.
    pub const NO_HEADER: Self = Self(0x20);
    /// The end of the header is not told.
    pub const NO_END_OF_HEADER: Self = Self(0x40);
    /// No answer for header fields.
    pub const QUIET_HEADER: Self = Self(0x80);
    /// Unknown commands are not told.
    pub const NO_UNKNOWN: Self = Self(0x100);
    /// `DATA` is not told.
    pub const NO_DATA: Self = Self(0x200);
    /// The answer "skip" is understood.
    pub const SKIP: Self = Self(0x400);
    /// Refused recipients are told too.
    pub const REJECTED_RECIPIENTS: Self = Self(0x800);
    /// No answer for connections.
    pub const QUIET_CONNECT: Self = Self(0x1000);
    /// No answer for `HELO`.
    pub const QUIET_HELO: Self = Self(0x2000);
    /// No answer for `MAIL`.
    pub const QUIET_MAIL: Self = Self(0x4000);
    /// No answer for `RCPT`.
    pub const QUIET_RCPT: Self = Self(0x8000);
    /// No answer for `DATA`.
    pub const QUIET_DATA: Self = Self(0x1_0000);
    /// No answer for unknown commands.
    pub const QUIET_UNKNOWN: Self = Self(0x2_0000);
    /// No answer for the end of the header.
    pub const QUIET_END_OF_HEADER: Self = Self(0x4_0000);
    /// No answer for pieces of the body.
    pub const QUIET_BODY: Self = Self(0x8_0000);
    /// Values of header fields keep their leading blanks, in both directions.
    pub const LEADING_BLANKS: Self = Self(0x10_0000);
    /// Data of packets up to 256 KiB less one octet.
    pub const DATA_256_KIB: Self = Self(0x1000_0000);
    /// Data of packets up to 1 MiB less one octet.
    pub const DATA_1_MIB: Self = Self(0x2000_0000);
    /// The bits for sizes.
    pub const SIZES: Self = Self(0x3000_0000);

    /// Each with its word for display.
    pub const NAMES: &[(Self, &str)] = &[
        (Self::NO_CONNECT, "no connect"),
        (Self::NO_HELO, "no helo"),
        (Self::NO_MAIL, "no mail"),
        (Self::NO_RCPT, "no rcpt"),
        (Self::NO_DATA, "no data"),
        (Self::NO_UNKNOWN, "no unknown"),
        (Self::NO_HEADER, "no header"),
        (Self::NO_END_OF_HEADER, "no end of header"),
        (Self::NO_BODY, "no body"),
        (Self::QUIET_CONNECT, "no answer to connect"),
        (Self::QUIET_HELO, "no answer to helo"),
        (Self::QUIET_MAIL, "no answer to mail"),
        (Self::QUIET_RCPT, "no answer to rcpt"),
        (Self::QUIET_DATA, "no answer to data"),
        (Self::QUIET_UNKNOWN, "no answer to unknown"),
        (Self::QUIET_HEADER, "no answer to header"),
        (Self::QUIET_END_OF_HEADER, "no answer to end of header"),
        (Self::QUIET_BODY, "no answer to body"),
        (Self::SKIP, "skip"),
        (Self::REJECTED_RECIPIENTS, "rejected recipients"),
        (Self::LEADING_BLANKS, "leading blanks"),
        (Self::DATA_256_KIB, "data of 256 KiB"),
        (Self::DATA_1_MIB, "data of 1 MiB"),
    ];
}

/// How much data a packet to a filter may have.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum DataSize {
    /// 65,535 octets, which every filter accepts.
    #[default]
    Usual,
    /// 262,143 octets.
    Large,
    /// 1,048,575 octets.
    Huge,
}

impl DataSize {
    /// In octets, without the octet that names the command.
    #[must_use]
    pub const fn octets(self) -> usize {
        match self {
            Self::Usual => 65_535,
            Self::Large => 262_143,
            Self::Huge => 1_048_575,
        }
    }

    /// The bit that offers it, or agrees to it.
    #[must_use]
    pub const fn step(self) -> Steps {
        match self {
            Self::Usual => Steps::NONE,
            Self::Large => Steps::DATA_256_KIB,
            Self::Huge => Steps::DATA_1_MIB,
        }
    }

    /// The size for these bits.
    #[must_use]
    pub const fn of(steps: Steps) -> Self {
        if steps.has(Steps::DATA_1_MIB) {
            Self::Huge
        } else if steps.has(Steps::DATA_256_KIB) {
            Self::Large
        } else {
            Self::Usual
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows     number  actions        steps
            ("older than any filter",  1,      None),
            ("the first with a body",  2,      Some((0x3f,    0x7f))),
            ("unknown commands",       3,      Some((0x3f,    0x17f))),
            ("the DATA step",          4,      Some((0x3f,    0x37f))),
            ("never released",         5,      Some((0x3f,    0x37f))),
            ("all there is",           6,      Some((0x1ff,   0x1f_ffff))),
            ("not written yet",        7,      None),
        ];
        for (shows, number, expected) in cases {
            let got = Version::new(number).map(|version| (version.actions().bits(), version.steps().bits()));
            assert_eq!(got, expected, "{shows}");
        }
    }

    #[test]
    fn sizes() {
        for size in [DataSize::Usual, DataSize::Large, DataSize::Huge] {
            assert_eq!(DataSize::of(size.step()), size);
            assert_eq!(
                (size.octets() + 1).count_ones(),
                1,
                "one less than a power of two"
            );
        }
        assert_eq!(DataSize::of(Steps::SIZES), DataSize::Huge, "the larger of both");
    }

    #[test]
    fn shown() {
        assert_eq!(Actions::NONE.to_string(), "none");
        assert_eq!(
            (Actions::QUARANTINE | Actions::ADD_HEADER).to_string(),
            "add fields, quarantine"
        );
        assert_eq!(Steps::from_bits(0x8000_0010).to_string(), "no body, 0x80000000");
        let named = Steps::NAMES.iter().fold(0, |all, (bits, _)| all | bits.bits());
        assert_eq!(named, Version::NEWEST.steps().bits() | Steps::SIZES.bits());
        let named = Actions::NAMES.iter().fold(0, |all, (bits, _)| all | bits.bits());
        assert_eq!(named, Actions::ALL.bits());
    }
}
