//! Conversion between text and DNS names.

use super::error::ResolveError;
use hickory_resolver::proto::rr::Name;

/// Turns text into a fully qualified name (RFC 1035 section 2.3.1, with underscores).
pub(super) fn checked_name(text: &str) -> Result<Name, ResolveError> {
    let bad = || ResolveError::BadName(text.to_owned());
    let host = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_')
    };
    if host.len() > 253 || !host.split('.').all(label) {
        return Err(bad());
    }
    let mut name = Name::from_ascii(host).map_err(|_| bad())?;
    name.set_fqdn(true);
    Ok(name)
}

/// The same for names from strangers' records, whose labels may have any printable character of ASCII.
pub(super) fn printable_name(text: &str) -> Result<Name, ResolveError> {
    let bad = || ResolveError::BadName(text.to_owned());
    let host = text.strip_suffix('.').unwrap_or(text);
    let label =
        |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(|octet| octet.is_ascii_graphic());
    if host.len() > 253 || !host.split('.').all(label) {
        return Err(bad());
    }
    let mut name = Name::from_labels(host.split('.').map(str::as_bytes)).map_err(|_| bad())?;
    name.set_fqdn(true);
    Ok(name)
}

/// Lower-case and without a trailing dot.
pub(super) fn host_text(name: &Name) -> String {
    let mut text = name.to_lowercase().to_ascii();
    if text.ends_with('.') {
        text.pop();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let long = "a".repeat(64);
        let longest = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "a".repeat(61));
        #[rustfmt::skip]
        let cases = [
            // what the case shows       text                       accepted
            ("plain",                    "mx.example.org",          true),
            ("trailing dot",             "mx.example.org.",         true),
            ("underscore",               "_smtp.example.org",       true),
            ("A-label",                  "xn--bcher-kva.example",   true),
            ("253 octets",               longest.as_str(),          true),
            ("label of 64 octets",       long.as_str(),             false),
            ("empty",                    "",                        false),
            ("root",                     ".",                       false),
            ("empty label",              "a..b",                    false),
            ("hyphen in front",          "-a.example",              false),
            ("escape",                   "a\\.b",                   false),
            ("blank",                    "a b",                     false),
            ("line end",                 "a\r\nb",                  false),
            ("literal",                  "[192.0.2.1]",             false),
            ("beyond ASCII",             "bücher.example",          false),
        ];
        for (shows, text, accepted) in cases {
            assert_eq!(checked_name(text).is_ok(), accepted, "{shows}");
        }
        assert!(checked_name("a").unwrap().is_fqdn(), "no search list is applied");
    }

    #[test]
    fn names_that_strangers_make_up() {
        for (text, accepted) in [
            ("_dmarc.example.org", true),
            ("a+b=c._spf.example.org", true),
            ("%7Euser.example.org", true),
            ("a\\.b", true),
            ("a b.example.org", false),
            ("a..b", false),
            ("b\u{fc}cher.example", false),
            ("", false),
        ] {
            assert_eq!(printable_name(text).is_ok(), accepted, "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn an_accepted_name_comes_back(text in "[a-z0-9_][a-z0-9_-]{0,62}(\\.[a-z0-9_][a-z0-9_-]{0,62}){0,2}") {
            proptest::prop_assert_eq!(host_text(&checked_name(&text).unwrap()), text);
        }
    }
}
