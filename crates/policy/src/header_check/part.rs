//! Which parts of a message a check examines.

/// A part of a message.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Part {
    /// The message's own header, and the fields that this server adds on top.
    Header,
    /// MIME fields in the message's own header, and all fields in the headers of its parts.
    Mime,
    /// The headers of messages within the message.
    Nested,
    /// The lines of the body.
    Body,
}

/// A set of parts.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Parts(u8);

/// MIME fields (RFC 2045).
const OF_MIME: [&str; 6] = [
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "Content-Disposition",
    "Content-ID",
    "Content-Description",
];

impl Part {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Header, Self::Mime, Self::Nested, Self::Body];

    /// Its word in the configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Mime => "mime",
            Self::Nested => "nested",
            Self::Body => "body",
        }
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Header => 1,
            Self::Mime => 2,
            Self::Nested => 4,
            Self::Body => 8,
        }
    }
}

/// Whether this is the name of a MIME field.
#[must_use]
pub fn is_mime(name: &[u8]) -> bool {
    OF_MIME
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

/// The name of a field.
pub(super) fn name_of(octets: &[u8]) -> &[u8] {
    let colon = octets.iter().position(|&octet| octet == b':').unwrap_or(0);
    octets[..colon].trim_ascii_end()
}

impl Parts {
    /// Whether this part is in the set.
    #[must_use]
    pub const fn holds(self, part: Part) -> bool {
        self.0 & part.bit() != 0
    }

    /// Whether any of them comes after the header.
    #[must_use]
    pub const fn in_body(self) -> bool {
        self.holds(Part::Mime) || self.holds(Part::Nested) || self.holds(Part::Body)
    }

    /// Whether a field or line in `part` is examined: the message's own MIME fields belong to two parts.
    pub(super) fn has(self, part: Part, octets: &[u8]) -> bool {
        self.holds(part) || (part == Part::Header && self.holds(Part::Mime) && is_mime(name_of(octets)))
    }
}

impl FromIterator<Part> for Parts {
    fn from_iter<T: IntoIterator<Item = Part>>(parts: T) -> Self {
        Self(parts.into_iter().fold(0, |bits, part| bits | part.bit()))
    }
}
