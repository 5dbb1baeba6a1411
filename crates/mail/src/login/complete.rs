//! The domain of a login that was typed without one.

use std::borrow::Cow;

use super::normal_login;

/// The login that is meant by one without a domain, where there is a default: `ann` is `ann@default.domain`, and the app password
/// `ann#phone` is `ann@default.domain#phone`.
///
/// One that has a domain stays to the letter, as does a Windows name with its domain in front (`DOMAIN\ann`), and what is
/// no valid login. `domain` is a name in ASCII and small letters.
#[must_use]
pub fn complete_login<'a>(login: &'a str, domain: Option<&str>) -> Cow<'a, str> {
    let Some(domain) = domain else {
        return Cow::Borrowed(login);
    };
    // In the normal form an at sign is one, however wide it was typed.
    let Ok(normal) = normal_login(login) else {
        return Cow::Borrowed(login);
    };
    let (owner, label) = match normal.rsplit_once('#') {
        Some((owner, label)) if !owner.is_empty() => (owner, Some(label)),
        _ => (normal.as_str(), None),
    };
    if owner.contains(['@', '\\']) {
        return Cow::Borrowed(login);
    }
    Cow::Owned(match label {
        Some(label) => format!("{owner}@{domain}#{label}"),
        None => format!("{owner}@{domain}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn logins_without_a_domain() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows        typed                   default        meant
            ("no default",                "Ann",                  None,          "Ann"),
            ("a name",                    "ann",                  Some("b.c"),   "ann@b.c"),
            ("in capitals",               "ANN",                  Some("b.c"),   "ann@b.c"),
            ("blanks around",             " ann ",                Some("b.c"),   "ann@b.c"),
            ("an app password",           "ann#phone",            Some("b.c"),   "ann@b.c#phone"),
            ("an address as its label",   "ann#x@y.example",      Some("b.c"),   "ann@b.c#x@y.example"),
            ("a domain",                  "Ann@X.example",        Some("b.c"),   "Ann@X.example"),
            ("a domain and a label",      "ann@x.example#phone",  Some("b.c"),   "ann@x.example#phone"),
            ("a wide at sign",            "ann\u{ff20}x.example", Some("b.c"),   "ann\u{ff20}x.example"),
            ("a domain of Windows",       "FCCC\\ann",            Some("b.c"),   "FCCC\\ann"),
            ("nobody's",                  "an\u{ad}n",            Some("b.c"),   "an\u{ad}n"),
            ("nothing",                   "",                     Some("b.c"),   ""),
        ];
        for (shows, typed, domain, meant) in cases {
            assert_eq!(complete_login(typed, domain), meant, "{shows}");
        }
    }

    proptest! {
        /// Once it has a domain, nothing is added.
        #[test]
        fn it_is_complete_once(login in "\\PC{0,12}(#\\PC{0,4})?") {
            let once = complete_login(&login, Some("b.c")).into_owned();
            prop_assert_eq!(complete_login(&once, Some("b.c")), once.as_str());
        }

        /// Spellings of one login stay spellings of one login.
        #[test]
        fn spellings_stay_together(login in "[a-zA-Z.+_-]{1,12}(#[a-z]{0,4})?") {
            let form = |login: &str| normal_login(&complete_login(login, Some("b.c")));
            prop_assert_eq!(form(&login), form(&login.to_ascii_uppercase()));
        }
    }
}
