//! Reads the results of rewriting tables.

use postern_mail::address::ParseOptions;
use postern_mail::{AddressError, AddressLimits, Domain, Mailbox};

/// A value that is not an address.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadTarget {
    /// It is empty.
    #[error("is empty; write an address")]
    Empty,
    /// It is not a valid address.
    #[error(
        "{0:?} is not an address: {1}; write one, \"@example.org\" for the same user there, or a name alone"
    )]
    Address(String, AddressError),
    /// There are several.
    #[error("{0:?} is several addresses; an address can become one only")]
    Several(String),
}

/// Reads a table's value for an address: `user@domain`; `@domain` for the same user there; or `user`, which gets the domain
/// `origin`. `detail`, with its separator, is appended to a user that the value names.
///
/// # Errors
///
/// [`BadTarget`].
pub fn target(
    value: &str,
    address: &Mailbox,
    detail: Option<&str>,
    origin: &Domain,
) -> Result<Mailbox, BadTarget> {
    let value = value.trim();
    if value.is_empty() {
        return Err(BadTarget::Empty);
    }
    let short = || value.chars().take(200).collect::<String>();
    let bad = |error| BadTarget::Address(short(), error);
    if let Some(domain) = value.strip_prefix('@') {
        let domain = Domain::parse(domain, true).map_err(bad)?;
        return Mailbox::new(&address.unquoted_local(), domain).map_err(bad);
    }
    let options = ParseOptions {
        utf8: true,
        default_domain: Some(origin),
        limits: AddressLimits::STORED,
    };
    let made = match Mailbox::parse(value, &options) {
        Ok(made) => made,
        Err(_) if value.contains(',') => return Err(BadTarget::Several(short())),
        Err(error) => return Err(bad(error)),
    };
    match detail {
        Some(detail) => {
            let local = format!("{}{detail}", made.unquoted_local());
            Mailbox::new(&local, made.domain().clone()).map_err(bad)
        }
        None => Ok(made),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_tables() {
        let address: Mailbox = "anna+x@pc.oak.example".parse().unwrap();
        let origin: Domain = "oak.example".parse().unwrap();
        #[rustfmt::skip]
        let cases = [
            ("anna.keller@oak.example",  None,        Ok("anna.keller@oak.example")),
            ("anna.keller@oak.example",  Some("+x"),  Ok("anna.keller+x@oak.example")),
            ("@oak.example",             Some("+x"),  Ok("anna+x@oak.example")),
            ("anna.keller",              None,        Ok("anna.keller@oak.example")),
            ("\"anna keller\"",          None,        Ok("\"anna keller\"@oak.example")),
            ("",                         None,        Err("is empty")),
            ("a@b.example, c@d.example", None,        Err("several addresses")),
            ("a b",                      None,        Err("is not an address")),
            ("@",                        None,        Err("is not an address")),
        ];
        for (value, detail, expected) in cases {
            let made = target(value, &address, detail, &origin);
            match (made, expected) {
                (Ok(made), Ok(expected)) => assert_eq!(made.to_string(), expected, "{value}"),
                (Err(error), Err(expected)) => {
                    assert!(error.to_string().contains(expected), "{value}: {error}")
                }
                (made, _) => panic!("{value}: {made:?}"),
            }
        }
    }
}
