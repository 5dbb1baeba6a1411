//! The domain whose policy counts: that of `From` (RFC 7489 section 6.6.1).

use postern_mail::{Domain, Header, mailbox_list};

/// Most octets of `From` examined.
const FROM_MAX: usize = 64 << 10;

/// Why there is no single author domain. If one were guessed, the user's mail program might show another.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NoAuthor {
    /// There is no `From`.
    #[error("the message has no From")]
    Missing,
    /// There are several.
    #[error("the message has more than one From")]
    Several,
    /// It is ambiguous.
    #[error("From cannot be read without doubt")]
    Doubtful,
    /// It names addresses of several domains.
    #[error("From names several domains")]
    Domains,
}

/// The author's domain, normalised.
///
/// # Errors
///
/// [`NoAuthor`].
pub fn author(header: &Header) -> Result<Domain, NoAuthor> {
    let mut fields = header.named("From");
    let (_, field) = fields.next().ok_or(NoAuthor::Missing)?;
    if fields.next().is_some() {
        return Err(NoAuthor::Several);
    }
    if field.raw().len() > FROM_MAX {
        return Err(NoAuthor::Doubtful);
    }
    // Display names in a character set other than UTF-8 do not make the address ambiguous; in a domain, their replacement
    // characters are not valid.
    let value = field.unfolded();
    let list = mailbox_list(&String::from_utf8_lossy(&value)).ok_or(NoAuthor::Doubtful)?;
    let mut domains = list.iter().map(postern_mail::Mailbox::domain);
    let first = domains.next().ok_or(NoAuthor::Doubtful)?;
    if first.name().is_none() {
        return Err(NoAuthor::Doubtful);
    }
    if domains.any(|other| other != first) {
        return Err(NoAuthor::Domains);
    }
    Ok(first.clone())
}
