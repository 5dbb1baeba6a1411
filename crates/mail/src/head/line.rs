//! Classifies one line of a header.

use memchr::memchr;

/// A line, by its form.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Line<'a> {
    /// Nothing but a line end: the header ends here.
    Empty,
    /// It begins with a blank, so it belongs to the line before.
    Continuation {
        /// Whether it holds nothing but blanks. Some readers end the header at such a line.
        blank: bool,
    },
    /// A field.
    Field {
        /// Its name, without blanks before the colon (RFC 5322 section 4.5).
        name: &'a [u8],
        /// Where the colon is.
        colon: usize,
    },
    /// A mailbox separator, `From` and a blank, with any number of `>` before it.
    Separator {
        /// Whether it holds a time of day, as real ones do and sentences rarely do.
        dated: bool,
    },
    /// Anything else.
    Other,
}

/// Field names that prove that the header goes on, however odd the line before. Not every name does, since text has lines like
/// `http://…` and `PS: …`.
const KNOWN: &[&str] = &[
    "apparently-to",
    "authentication-results",
    "auto-submitted",
    "bcc",
    "cc",
    "comments",
    "content-description",
    "content-disposition",
    "content-id",
    "content-language",
    "content-length",
    "content-transfer-encoding",
    "content-type",
    "date",
    "delivered-to",
    "disposition-notification-to",
    "dkim-signature",
    "domainkey-signature",
    "errors-to",
    "from",
    "importance",
    "in-reply-to",
    "keywords",
    "lines",
    "mail-followup-to",
    "mailbox-line",
    "message-id",
    "mime-version",
    "organization",
    "original-recipient",
    "precedence",
    "priority",
    "received",
    "received-spf",
    "references",
    "reply-to",
    "return-path",
    "return-receipt-to",
    "sender",
    "sensitivity",
    "status",
    "subject",
    "thread-index",
    "thread-topic",
    "to",
    "user-agent",
];

/// Prefixes of further known names.
const KNOWN_BEGINNINGS: &[&str] = &["arc-", "list-", "resent-", "x-"];

impl<'a> Line<'a> {
    pub(super) fn of(line: &'a [u8]) -> Self {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        match text.first() {
            None => Self::Empty,
            Some(b' ' | b'\t') => Self::Continuation {
                blank: text.iter().all(|octet| matches!(octet, b' ' | b'\t')),
            },
            Some(_) => Self::field(text).unwrap_or_else(|| Self::without_field(text)),
        }
    }

    fn field(text: &'a [u8]) -> Option<Self> {
        let colon = memchr(b':', text)?;
        let behind = text[..colon]
            .iter()
            .rposition(|octet| !matches!(octet, b' ' | b'\t'))?;
        let name = &text[..=behind];
        let is_name = name.iter().all(u8::is_ascii_graphic);
        is_name.then_some(Self::Field { name, colon })
    }

    fn without_field(text: &[u8]) -> Self {
        let behind = text.iter().position(|&octet| octet != b'>').unwrap_or(text.len());
        if !text[behind..].starts_with(b"From ") {
            return Self::Other;
        }
        let is_time = |part: &[u8]| {
            let digit = |at: usize| part[at].is_ascii_digit();
            digit(0) && digit(1) && part[2] == b':' && digit(3) && digit(4)
        };
        Self::Separator {
            dated: text.windows(5).any(is_time),
        }
    }
}

/// Whether a field with this name proves that the header goes on.
pub(super) fn is_known(name: &[u8]) -> bool {
    KNOWN
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
        || KNOWN_BEGINNINGS.iter().any(|beginning| {
            name.len() > beginning.len() && name[..beginning.len()].eq_ignore_ascii_case(beginning.as_bytes())
        })
}
