//! Whether the password of an entry was changed since a login, as far as the entry tells.

use ldap3::SearchEntry;
use zeroize::Zeroizing;

use super::account::values;
use crate::mark::Mark;

/// When a password was set, as various servers record it. They omit attributes that they do not know, and each is updated
/// only with the password, not with other changes to the entry.
pub(super) const ATTRIBUTES: &[&str] = &[
    // OpenLDAP's ppolicy and 389 Directory Server
    "pwdChangedTime",
    // Active Directory
    "pwdLastSet",
    // RFC 2307, Samba 3, and Kerberos in LDAP
    "shadowLastChange",
    "sambaPwdLastSet",
    "krbLastPwdChange",
];

/// The mark of an entry's password, made from the stored passwords and when they were set; `None` if none of that can be
/// read.
pub(super) fn mark(entry: &SearchEntry, passwords: &[Zeroizing<String>]) -> Option<Mark> {
    // A server returns several values in any order.
    let mut parts: Vec<&[u8]> = passwords.iter().map(|text| text.as_bytes()).collect();
    for name in ATTRIBUTES {
        parts.extend(
            values(entry, name)
                .iter()
                .flat_map(|value| [name.as_bytes(), value.as_bytes()]),
        );
    }
    if parts.is_empty() {
        return None;
    }
    parts.sort_unstable();
    Some(Mark::of(parts))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn what_shows_another_password() {
        let entry = |pairs: &[(&str, &str)]| SearchEntry {
            dn: String::new(),
            attrs: pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), vec![(*value).to_owned()]))
                .collect(),
            bin_attrs: HashMap::new(),
        };
        let stored = |texts: &[&str]| -> Vec<Zeroizing<String>> {
            texts
                .iter()
                .map(|text| Zeroizing::new((*text).to_owned()))
                .collect()
        };
        let time = entry(&[("pwdChangedTime", "20261130120000Z")]);
        let later = entry(&[("PWDCHANGEDTIME", "20261130120001Z")]);
        let same = entry(&[("PwdChangedTime", "20261130120000Z"), ("mail", "ann@example.org")]);
        let windows = entry(&[("pwdLastSet", "20261130120000Z")]);
        let none = entry(&[("mail", "ann@example.org")]);
        let base = mark(&time, &[]);
        #[rustfmt::skip]
        let cases = [
            // what the case shows           entry     stored               the same
            ("the same time",                &same,    stored(&[]),         true),
            ("another time",                 &later,   stored(&[]),         false),
            ("the same under another name",  &windows, stored(&[]),         false),
            ("a stored one beside it",       &time,    stored(&["{X}y"]),   false),
            ("nothing",                      &none,    stored(&[]),         false),
        ];
        for (shows, entry, passwords, want) in cases {
            assert_eq!(mark(entry, &passwords) == base, want, "{shows}");
        }
        assert_eq!(mark(&none, &[]), None, "what says nothing has no mark");
        assert_eq!(
            mark(&none, &stored(&["a", "b"])),
            mark(&none, &stored(&["b", "a"])),
            "in any order"
        );
    }
}
