//! How the parts of a message are to be converted, or why they cannot be.

/// Why a message cannot be converted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Obstacle {
    /// Octets above 127 in a header field of the message or of a part of it.
    #[error("a header field has octets beyond ASCII")]
    Header,
    /// 8-bit content within `multipart/signed`.
    #[error("a signed part has 8-bit content, and its signature would not hold")]
    Signed,
    /// 8-bit content in a part that is declared to be encoded, or in an unknown encoding.
    #[error("a part with an encoding of its own has 8-bit content")]
    Encoded,
    /// A multipart without a boundary, parts nested more than 50 deep, or more than 10,000 parts in all.
    #[error("its parts cannot be told apart")]
    Structure,
}

/// How each part of one message is to be converted.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Plan {
    /// In the order in which their headers begin.
    pub(super) steps: Vec<Step>,
}

/// How to convert one part.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Step {
    pub(super) form: Form,
    /// Whether it is a message without `MIME-Version`.
    pub(super) version: bool,
    /// The charset to declare, for a message that declares nothing about its content.
    pub(super) charset: Option<Charset>,
}

/// How the content of a part is sent.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Form {
    /// Nothing is changed.
    #[default]
    AsIs,
    /// The content is sent as it is, and declared as `7bit`.
    SevenBit,
    QuotedPrintable,
    Base64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Charset {
    Utf8,
    /// RFC 1428 section 3.
    Unknown,
}

impl Charset {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "utf-8",
            Self::Unknown => "unknown-8bit",
        }
    }
}

impl Form {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::AsIs | Self::SevenBit => "7bit",
            Self::QuotedPrintable => "quoted-printable",
            Self::Base64 => "base64",
        }
    }
}
