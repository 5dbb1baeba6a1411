//! Domain names in signatures and records.

use postern_mail::Domain;

/// A normalised domain: lower-case A-labels, no trailing dot. `None` if it is not a name of several labels.
#[must_use]
pub fn normal(text: &str) -> Option<String> {
    let domain = Domain::parse(text, true).ok()?;
    let name = domain.name()?;
    (name.len() <= 253 && name.contains('.')).then(|| name.to_owned())
}

/// Whether `name` is `domain` or below it. Both are normalised.
#[must_use]
pub fn is_within(name: &str, domain: &str) -> bool {
    name == domain || name.strip_suffix(domain).is_some_and(|left| left.ends_with('.'))
}
