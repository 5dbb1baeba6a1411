//! What an entry says about its account: login, addresses, groups.

use ldap3::SearchEntry;
use zeroize::Zeroizing;

use super::settings::LdapSettings;
use crate::verdict::Account;

/// A group that an entry is in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Group {
    pub(super) dn: String,
    pub(super) name: String,
}

/// The values of an attribute, whose name the server may return in different case.
pub(super) fn values<'a>(entry: &'a SearchEntry, attribute: &str) -> &'a [String] {
    entry
        .attrs
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(attribute))
        .map_or(&[], |(_, values)| values.as_slice())
}

/// The same for secrets, which are removed from the entry.
pub(super) fn take_secrets(entry: &mut SearchEntry, attribute: &str) -> Vec<Zeroizing<String>> {
    // The name may be followed by options, such as `;x-hidden`.
    let is_it = |name: &str| {
        name.split(';')
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case(attribute))
    };
    let mut taken = Vec::new();
    for (name, values) in &mut entry.attrs {
        if is_it(name) {
            taken.extend(values.drain(..).map(Zeroizing::new));
        }
    }
    taken
}

/// The account in an entry, without its groups.
pub(super) fn account(entry: &SearchEntry, typed: &str, settings: &LdapSettings) -> Account {
    let names = values(entry, &settings.login_attribute);
    let login = names
        .iter()
        .find(|name| name.eq_ignore_ascii_case(typed))
        .or_else(|| names.first())
        .map_or_else(|| typed.to_owned(), Clone::clone);
    let mut addresses = Vec::new();
    for attribute in &settings.mail_attributes {
        for address in values(entry, attribute).iter().filter_map(|value| address(value)) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
    }
    Account {
        login,
        addresses,
        ..Account::default()
    }
}

/// An address in lower case. A prefix `smtp:`, as Exchange writes it, is removed; other prefixes with a colon do not mean
/// mail addresses.
fn address(value: &str) -> Option<String> {
    let value = value.trim();
    let bare = match value.split_once(':') {
        Some((kind, rest)) if kind.eq_ignore_ascii_case("smtp") => rest,
        Some((kind, _)) if !kind.contains(['"', '@']) => return None,
        _ => value,
    };
    (!bare.is_empty()).then(|| bare.to_lowercase())
}

/// The group with this distinguished name; its name is the value of the first part.
pub(super) fn group(dn: &str) -> Group {
    Group {
        dn: dn.to_owned(),
        name: first_value(dn),
    }
}

/// The value of the first part of a distinguished name (RFC 4514 section 3), without its escapes.
fn first_value(dn: &str) -> String {
    let value = dn.split_once('=').map_or(dn, |(_, rest)| rest).trim_start();
    let octets = value.as_bytes();
    let (mut out, mut at) = (Vec::new(), 0);
    while let Some(&octet) = octets.get(at) {
        match octet {
            b',' | b'+' | b';' => break,
            b'\\' => {
                let digit = |at: usize| octets.get(at).and_then(|octet| char::from(*octet).to_digit(16));
                match (digit(at + 1), digit(at + 2)) {
                    (Some(high), Some(low)) => {
                        out.push(u8::try_from(high << 4 | low).unwrap_or_default());
                        at += 3;
                    }
                    _ => {
                        out.extend(octets.get(at + 1));
                        at += 2;
                    }
                }
            }
            _ => {
                out.push(octet);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).trim_end().to_owned()
}

/// A form in which equal distinguished names are equal: lower case, without blanks around `,` and `=`.
fn normal(dn: &str) -> String {
    let mut out = String::with_capacity(dn.len());
    for c in dn.trim().chars().flat_map(char::to_lowercase) {
        match c {
            ' ' if out.ends_with([',', '=']) && !out.ends_with("\\,") => {}
            ',' | '=' => {
                while out.ends_with(' ') && !out.ends_with("\\ ") {
                    out.pop();
                }
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}

/// Whether an entry is at or below another.
pub(super) fn is_below(dn: &str, base: &str) -> bool {
    let (dn, base) = (normal(dn), normal(base));
    let rest = dn.strip_suffix(&base);
    rest.is_some_and(|rest| {
        rest.is_empty() || base.is_empty() || (rest.ends_with(',') && !rest.ends_with("\\,"))
    })
}

/// Whether one of the groups is among those allowed, each written as name or as distinguished name.
pub(super) fn is_allowed(groups: &[Group], allowed: &[String]) -> bool {
    allowed.iter().any(|wanted| {
        groups.iter().any(|group| match wanted.contains('=') {
            true => normal(&group.dn) == normal(wanted),
            false => group.name.to_lowercase() == wanted.to_lowercase(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let cases = [
            ("as most have it", "Ann@Relay.test", Some("ann@relay.test")),
            (
                "the first of Exchange",
                "SMTP:Ann@relay.test",
                Some("ann@relay.test"),
            ),
            ("a further one", "smtp:a.b@relay.test", Some("a.b@relay.test")),
            ("of another system", "x500:/o=Org/cn=ann", None),
            ("of a telephone", "sip:ann@relay.test", None),
            (
                "a colon in quotes",
                "\"a:b\"@relay.test",
                Some("\"a:b\"@relay.test"),
            ),
            ("nothing", "smtp:", None),
        ];
        for (shows, value, want) in cases {
            assert_eq!(address(value).as_deref(), want, "{shows}");
        }
    }

    #[test]
    fn names_of_groups() {
        let cases = [
            ("cn=mail,ou=Groups,dc=x", "mail"),
            ("CN=Mail Users,OU=Groups,DC=x", "Mail Users"),
            ("cn=a\\,b,dc=x", "a,b"),
            ("cn=gr\\c3\\bcn,dc=x", "grün"),
            ("cn=a+uid=b,dc=x", "a"),
            ("cn=mail", "mail"),
            ("cn=x\\", "x"),
            ("", ""),
        ];
        for (dn, want) in cases {
            assert_eq!(group(dn).name, want, "{dn}");
        }
    }

    #[test]
    fn places_of_groups() {
        let cases = [
            (
                "cn=mail,ou=Groups,dc=x",
                "ou=groups, DC = X",
                true,
                "however it is written",
            ),
            ("ou=Groups,dc=x", "ou=Groups,dc=x", true, "the base itself"),
            ("cn=mail,dc=x", "ou=Groups,dc=x", false, "beside it"),
            (
                "cn=mail,xou=Groups,dc=x",
                "ou=Groups,dc=x",
                false,
                "a part of a name",
            ),
            (
                "cn=mail\\,ou=Groups,dc=x",
                "ou=Groups,dc=x",
                false,
                "a comma that belongs to a name",
            ),
            ("cn=mail,dc=x", "", true, "everywhere"),
        ];
        for (dn, base, want, shows) in cases {
            assert_eq!(is_below(dn, base), want, "{shows}");
        }
    }

    #[test]
    fn who_may() {
        let groups = [group("cn=Mail,ou=Groups,dc=x"), group("cn=staff,ou=Groups,dc=x")];
        let cases = [
            ("mail", true, "by name, whatever the case"),
            ("cn=mail, ou=groups, dc=x", true, "by its whole name"),
            ("cn=mail,ou=Others,dc=x", false, "a group of that name elsewhere"),
            ("mai", false, "a part of it"),
            ("", false, "nothing"),
        ];
        for (allowed, want, shows) in cases {
            assert_eq!(is_allowed(&groups, &[allowed.to_owned()]), want, "{shows}");
        }
        assert!(!is_allowed(&groups, &[]), "nobody where none is allowed");
        assert!(!is_allowed(&[], &["mail".to_owned()]), "in no group");
    }
}
