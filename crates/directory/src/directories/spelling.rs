//! Whether a directory has found an account by a name that is not exactly its own.

use postern_mail::normal_login;

use crate::verdict::Account;

/// Whether the account's name differs from the one asked for in a way that only the directory's folding of letters can explain.
///
/// ASCII names in normal form are not folded any further. An account found by something else, such as a number or a short name,
/// also has a different name: those cases are recognised by all names being ASCII.
pub(super) fn is_other_spelling(asked: &str, account: &Account) -> bool {
    let names = || std::iter::once(&account.login).chain(&account.addresses);
    if asked.is_ascii() && names().all(|name| name.is_ascii()) {
        return false;
    }
    // The name of an app password is the account's followed by a label.
    let owner = asked.rsplit_once('#').map_or(asked, |(owner, _)| owner);
    !names().any(|name| normal_login(name).is_ok_and(|name| name == asked || name == owner))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_spellings() {
        let account = |login: &str, addresses: &[&str]| Account {
            login: login.into(),
            addresses: addresses.iter().map(|&address| address.to_owned()).collect(),
            ..Account::default()
        };
        #[rustfmt::skip]
        let cases = [
            // what the case shows                asked                  account                                   another spelling
            ("its own name",                      "jorg",                account("jorg", &[]),                      false),
            ("in the letters of the row",         "j\u{f6}rg",           account("J\u{d6}RG", &[]),                 false),
            ("an accent too many",                "j\u{f6}rg",           account("jorg", &[]),                      true),
            ("an accent too few",                 "jorg",                account("j\u{f6}rg", &[]),                 true),
            ("a sharp s",                         "weiss",               account("wei\u{df}", &[]),                 true),
            ("by an address",                     "ann@relay.test",      account("u77", &["ann@relay.test"]),       false),
            ("by an address with another accent", "\u{e1}nn@relay.test", account("u77", &["ann@relay.test"]),       true),
            ("by a number",                       "4711",                account("ann", &["ann@relay.test"]),       false),
            ("by an app password",                "j\u{f6}rg#phone",     account("j\u{f6}rg", &[]),                 false),
            ("by an app password, with accents",  "j\u{f6}rg#phone",     account("jorg", &[]),                      true),
        ];
        for (shows, asked, account, want) in cases {
            assert_eq!(is_other_spelling(asked, &account), want, "{shows}");
        }
    }
}
