//! Which header fields a signature covers.

use postern_mail::Header;

use super::error::{NAMES_MAX, SignError};

/// Fields that are oversigned: signed once more than they occur, so that none can be added (RFC 6376 section 8.15). These are the
/// fields for author, recipients, subject, and how the content is encoded.
pub const OVERSIGNED: [&str; 12] = [
    "From",
    "Reply-To",
    "To",
    "Cc",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
];

/// Fields that are signed if present (RFC 6376 section 5.4.1). A mailing list or a forwarding client may add them on purpose and
/// leave the rest of the message alone; then the signature is still valid.
pub const SIGNED: [&str; 21] = [
    "Sender",
    "Content-ID",
    "Content-Description",
    "Content-Disposition",
    "Content-Language",
    "Resent-Date",
    "Resent-From",
    "Resent-Sender",
    "Resent-To",
    "Resent-Cc",
    "Resent-Message-ID",
    "List-Id",
    "List-Help",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-Subscribe",
    "List-Post",
    "List-Owner",
    "List-Archive",
    "Feedback-ID",
    "Autocrypt",
];

/// The names of the signed fields. `From` is always among them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FieldNames {
    oversigned: Vec<String>,
    signed: Vec<String>,
}

impl Default for FieldNames {
    fn default() -> Self {
        Self::new(OVERSIGNED, SIGNED)
    }
}

impl FieldNames {
    /// Oversigned names, and names that are signed if present. A name in both counts as oversigned; `From` is put first if it is
    /// missing.
    #[must_use]
    pub fn new<A: AsRef<str>, B: AsRef<str>>(
        oversigned: impl IntoIterator<Item = A>,
        signed: impl IntoIterator<Item = B>,
    ) -> Self {
        let mut names = Self {
            oversigned: vec!["From".to_owned()],
            signed: Vec::new(),
        };
        for name in oversigned {
            let name = name.as_ref();
            if !names.has(name) {
                names.oversigned.push(name.to_owned());
            }
        }
        for name in signed {
            let name = name.as_ref();
            if !names.has(name) {
                names.signed.push(name.to_owned());
            }
        }
        names
    }

    fn has(&self, name: &str) -> bool {
        let mut all = self.oversigned.iter().chain(&self.signed);
        all.any(|one| one.eq_ignore_ascii_case(name))
    }

    /// The names for `h=` with this header.
    pub(super) fn names(&self, header: &Header) -> Result<Vec<&str>, SignError> {
        if header.named("From").next().is_none() {
            return Err(SignError::NoFrom);
        }
        let mut names = Vec::new();
        for (list, more) in [(&self.oversigned, 1), (&self.signed, 0)] {
            for name in list {
                let count = header.named(name).count() + more;
                if names.len() + count > NAMES_MAX {
                    return Err(SignError::TooManyFields);
                }
                names.extend(std::iter::repeat_n(name.as_str(), count));
            }
        }
        Ok(names)
    }
}
