//! Adds the default domain to a user name without one.

use std::borrow::Cow;

use super::normal_login;

/// Completes a user name without a domain, if there is a default domain: `ann` becomes `ann@default.domain`, and the app password
/// `ann#phone` is `ann@default.domain#phone`.
///
/// One with a domain stays unchanged, as do a Windows name with its domain in front (`DOMAIN\ann`) and an invalid user name.
/// `domain` is a lower-case ASCII name.
#[must_use]
pub fn complete_login<'a>(login: &'a str, domain: Option<&str>) -> Cow<'a, str> {
    let Some(domain) = domain else {
        return Cow::Borrowed(login);
    };
    // In the normal form a full-width `@` is an ordinary one.
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

        /// Spellings of one user name stay spellings of one user name.
        #[test]
        fn spellings_stay_together(login in "[a-zA-Z.+_-]{1,12}(#[a-z]{0,4})?") {
            let form = |login: &str| normal_login(&complete_login(login, Some("b.c")));
            prop_assert_eq!(form(&login), form(&login.to_ascii_uppercase()));
        }
    }
}
