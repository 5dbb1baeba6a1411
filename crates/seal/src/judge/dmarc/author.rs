//! The one domain whose policy counts: that of `From` (RFC 7489 section 6.6.1).

use postern_mail::{Domain, Header, mailbox_list};

/// Most octets of `From` that are read.
const FROM_MAX: usize = 64 << 10;

/// Why there is no one author's domain. Whoever guessed at one would let a reader see another.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NoAuthor {
    /// There is no `From`.
    #[error("the message has no From")]
    Missing,
    /// There are several.
    #[error("the message has more than one From")]
    Several,
    /// It cannot be read without doubt.
    #[error("From cannot be read without doubt")]
    Doubtful,
    /// It names addresses of several domains.
    #[error("From names several domains")]
    Domains,
}

/// The author's domain, in its one form.
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
    // Names in another character set than UTF-8 are no doubt about the address; in a domain what stands for them is not valid.
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
