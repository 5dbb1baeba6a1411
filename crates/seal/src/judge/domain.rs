//! Names of domains as signatures and records have them.

use postern_mail::Domain;

/// A domain in its one form: lower-case A-labels, no dot at the end. `None` for what is no name of several labels.
#[must_use]
pub fn normal(text: &str) -> Option<String> {
    let domain = Domain::parse(text, true).ok()?;
    let name = domain.name()?;
    (name.len() <= 253 && name.contains('.')).then(|| name.to_owned())
}

/// Whether `name` is `domain` or below it. Both are in their one form.
#[must_use]
pub fn is_within(name: &str, domain: &str) -> bool {
    name == domain || name.strip_suffix(domain).is_some_and(|left| left.ends_with('.'))
}
