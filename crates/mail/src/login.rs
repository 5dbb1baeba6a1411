//! Logins that are meant to be the same one.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

use crate::{Mailbox, ParseOptions};

/// A form in which spellings of one login are equal, for counting what was tried with it.
///
/// Directories are generous: they look up addresses without regard to quotes, trailing dots and the many ways to write a domain,
/// and databases fold case, accents, widths and what cannot be seen. Who could make a login that looks new by each
/// of these would never be slowed down. So this form folds more than any of them does; two accounts that share one have
/// their failures counted together, and nothing else. It names nobody: never look an account up by it.
#[must_use]
pub fn fold_login(login: &str) -> String {
    let login = login.trim();
    let is_plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-_+#=@.".contains(&octet);
    if login.bytes().all(is_plain) && !login.ends_with('.') {
        return login.to_ascii_lowercase();
    }
    let options = ParseOptions {
        utf8: true,
        ..ParseOptions::default()
    };
    let address = Mailbox::parse(login, &options).map(|mailbox| mailbox.key());
    let folded: String = address
        .as_deref()
        .unwrap_or(login)
        .nfkd()
        .flat_map(char::to_lowercase)
        .filter(|c| !is_combining_mark(*c) && !is_unseen(*c))
        .collect();
    let words: Vec<&str> = folded.split_whitespace().collect();
    words.join(" ").trim_end_matches('.').to_owned()
}

/// Control characters, and those that Unicode has left out where they cannot be shown (Default_Ignorable_Code_Point).
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spellings_of_one_login() {
        #[rustfmt::skip]
        let cases = [
            ("as it is",                 "you@relay.test"),
            ("case",                     "YOU@Relay.TEST"),
            ("blanks around",            " you@relay.test "),
            ("quoted",                   "\"you\"@relay.test"),
            ("quoted, with backslash",   "\"y\\ou\"@relay.test"),
            ("a domain with its dot",    "you@relay.test."),
            ("a wide letter",            "you@r\u{ff45}lay.test"),
            ("a full stop of China",     "you@relay\u{3002}test"),
            ("a soft hyphen",            "you@re\u{ad}lay.test"),
            ("a blank of no width",      "you@re\u{200b}lay.test"),
            ("the same before the @",    "y\u{200b}ou@relay.test"),
            ("a long s",                 "you@relay.te\u{17f}t"),
            ("an accent for MySQL",      "yo\u{fa}@relay.test"),
            ("wide, before the @",       "\u{ff59}ou@relay.test"),
        ];
        for (shows, login) in cases {
            assert_eq!(fold_login(login), "you@relay.test", "{shows}");
        }
        #[rustfmt::skip]
        let cases = [
            ("a bare name",              "ACaird",            "acaird"),
            ("blanks inside, for LDAP",  "ann  \u{a0} mann",  "ann mann"),
            ("a label is part of it",    "you@relay.test#a",  "you@relay.test#a"),
            ("another one",              "yu@relay.test",     "yu@relay.test"),
            ("nothing to be seen",       "\u{200b}",          ""),
        ];
        for (shows, login, want) in cases {
            assert_eq!(fold_login(login), want, "{shows}");
        }
    }

    proptest! {
        /// Case counts for nothing.
        #[test]
        fn case_is_folded(login in "[ -~]{0,20}(@[ -~]{0,20})?") {
            prop_assert_eq!(fold_login(&login), fold_login(&login.to_ascii_uppercase()));
        }

        /// Addresses that a directory takes for one are one here.
        #[test]
        fn addresses_with_one_key_are_one(login in "[a-zA-Z\"\\\\.\u{ad}\u{17f}]{1,8}@[a-zA-Z\u{ad}\u{ff41}-\u{ff5a}]{1,8}\\.(test|TEST)\\.?") {
            let options = ParseOptions { utf8: true, ..ParseOptions::default() };
            if let Ok(mailbox) = Mailbox::parse(&login, &options) {
                prop_assert_eq!(fold_login(&login), fold_login(&mailbox.key()));
            }
        }
    }
}
