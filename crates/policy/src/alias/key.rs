//! The keys under which an address is looked up, the most specific first.

use std::borrow::Cow;

use postern_mail::Mailbox;

use super::Form;

/// How specific a key is, the most specific first. Every table is asked for one rank before any is asked for the next, as Postfix
/// does with its maps.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Rank {
    /// `user+detail@domain`, or `user@domain` of an address without a detail.
    Whole,
    /// `user++@domain`: any detail that is not empty.
    SomeDetail,
    /// `user+*@domain`: any detail, an empty one too.
    AnyDetail,
    /// `user@domain`, of an address with a detail.
    WithoutDetail,
    /// `user+detail`, in a local domain.
    WholeName,
    /// `user`, in a local domain.
    NameWithoutDetail,
    /// `++@domain`: anybody with a detail that is not empty.
    DomainSomeDetail,
    /// `+*@domain`: anybody with a detail.
    DomainAnyDetail,
    /// `@domain`: anybody.
    Domain,
}

/// One key, with what its right side may refer to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Key {
    /// What to look up, in lower case; the local part is unquoted.
    pub text: String,
    /// How specific it is.
    pub rank: Rank,
    /// The detail, with its separator, that the address has but the key has not, for right sides that get it back.
    pub detail: Option<String>,
}

impl Key {
    /// Whether it is the whole address. Patterns are only matched against that, as in Postfix.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.rank == Rank::Whole
    }
}

/// The keys of an address, the most specific first.
///
/// `separator` is between name and detail; without one there are no details. `is_local` says that the domain is local, for which
/// Postfix's tables may name a user without a domain. An address literal has only itself as a key.
#[must_use]
pub fn keys(address: &Mailbox, form: Form, separator: Option<char>, is_local: bool) -> Vec<Key> {
    let written = address.unquoted_local();
    // The detail keeps its case.
    let tail = split(&written, separator).map_or("", |(user, ..)| &written[user.len()..]);
    let local = folded(&written).into_owned();
    let Some(domain) = address.domain().name() else {
        return vec![Key {
            text: address.key(),
            rank: Rank::Whole,
            detail: None,
        }];
    };
    let parts = split(&local, separator);
    let mut keys = Vec::with_capacity(7);
    let mut add = |text: String, rank, detail: Option<&str>| {
        keys.push(Key {
            text,
            rank,
            detail: detail.map(str::to_owned),
        });
    };
    add(format!("{local}@{domain}"), Rank::Whole, None);
    let wildcards = form != Form::Postfix;
    if let Some((user, plus, detail)) = parts {
        if wildcards && !detail.is_empty() {
            add(format!("{user}{plus}{plus}@{domain}"), Rank::SomeDetail, None);
        }
        if wildcards {
            add(format!("{user}{plus}*@{domain}"), Rank::AnyDetail, None);
        }
        add(format!("{user}@{domain}"), Rank::WithoutDetail, Some(tail));
    }
    if is_local && form == Form::Postfix {
        add(local.clone(), Rank::WholeName, None);
        if let Some((user, ..)) = parts {
            add(user.to_owned(), Rank::NameWithoutDetail, Some(tail));
        }
    }
    if let Some((_, plus, detail)) = parts.filter(|_| wildcards) {
        if !detail.is_empty() {
            add(format!("{plus}{plus}@{domain}"), Rank::DomainSomeDetail, None);
        }
        add(format!("{plus}*@{domain}"), Rank::DomainAnyDetail, None);
    }
    add(format!("@{domain}"), Rank::Domain, None);
    keys
}

/// User, separator and detail of a local part; `None` if there is no detail. A local part that begins with the separator is a
/// name.
pub(super) fn split(local: &str, separator: Option<char>) -> Option<(&str, char, &str)> {
    let plus = separator?;
    let (user, detail) = local.split_once(plus)?;
    (!user.is_empty()).then_some((user, plus, detail))
}

fn folded(local: &str) -> Cow<'_, str> {
    if local.chars().any(char::is_uppercase) {
        Cow::Owned(local.to_lowercase())
    } else {
        Cow::Borrowed(local)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(address: &str, form: Form, separator: Option<char>, is_local: bool) -> Vec<String> {
        let address: Mailbox = address.parse().unwrap();
        let keys = keys(&address, form, separator, is_local);
        assert!(
            keys.is_sorted_by_key(|key| key.rank),
            "{address}: the closest first"
        );
        keys.into_iter().map(|key| key.text).collect()
    }

    #[test]
    fn the_keys_of_an_address() {
        use Form::{Own, Postfix, Sendmail};
        type Case<'a> = (&'a str, &'a str, Form, Option<char>, bool, &'a [&'a str]);
        let plus = Some('+');
        #[rustfmt::skip]
        let cases: &[Case<'_>] = &[
            // what the case shows               address               form      separator local  keys
            ("no detail",                        "Ann@A.Example",      Postfix,  plus, false, &["ann@a.example", "@a.example"]),
            ("a detail, with Postfix",           "ann+x@a.example",    Postfix,  plus, false, &["ann+x@a.example", "ann@a.example", "@a.example"]),
            ("names without a domain, there",    "ann+x@a.example",    Postfix,  plus, true,  &["ann+x@a.example", "ann@a.example", "ann+x", "ann", "@a.example"]),
            ("a detail, with sendmail",          "ann+x@a.example",    Sendmail, plus, true,  &["ann+x@a.example", "ann++@a.example", "ann+*@a.example", "ann@a.example", "++@a.example", "+*@a.example", "@a.example"]),
            ("an empty detail",                  "ann+@a.example",     Sendmail, plus, false, &["ann+@a.example", "ann+*@a.example", "ann@a.example", "+*@a.example", "@a.example"]),
            ("our own has the keys of both",     "ann@a.example",      Own,      plus, true,  &["ann@a.example", "@a.example"]),
            ("another separator",                "ann-x@a.example",    Postfix,  Some('-'), false, &["ann-x@a.example", "ann@a.example", "@a.example"]),
            ("no separator",                     "ann+x@a.example",    Postfix,  None, false, &["ann+x@a.example", "@a.example"]),
            ("the first separator counts",       "ann+x+y@a.example",  Postfix,  plus, false, &["ann+x+y@a.example", "ann@a.example", "@a.example"]),
            ("a name that begins with it",       "+x@a.example",       Sendmail, plus, false, &["+x@a.example", "@a.example"]),
            ("quotes are not part of a name",    "\"a b\"@a.example",  Postfix,  plus, false, &["a b@a.example", "@a.example"]),
            ("an address literal",               "ann+x@[192.0.2.1]",  Own,      plus, true,  &["ann+x@[192.0.2.1]"]),
        ];
        for (shows, address, form, separator, is_local, wanted) in cases {
            assert_eq!(texts(address, *form, *separator, *is_local), *wanted, "{shows}");
        }
    }

    #[test]
    fn a_key_without_the_detail_remembers_it() {
        let address: Mailbox = "Ann+Shop@a.example".parse().unwrap();
        let keys = keys(&address, Form::Postfix, Some('+'), false);
        let details: Vec<Option<&str>> = keys.iter().map(|key| key.detail.as_deref()).collect();
        assert_eq!(
            details,
            [None, Some("+Shop"), None],
            "as Postfix has it, `@domain` gives none back"
        );
    }
}
