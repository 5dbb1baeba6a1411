//! The cookie that holds a login at the page.

/// Its name over TLS: browsers take it with `Secure` and for this host alone, and no other host of the domain can set it.
const OVER_TLS: &str = "__Host-postern";

/// Its name on loopback without TLS.
const PLAIN: &str = "postern";

const fn name(tls: bool) -> &'static str {
    if tls { OVER_TLS } else { PLAIN }
}

/// The value of ours in a field `Cookie`. A name that is there twice is not ours: somebody else has set one of them.
pub(super) fn value(field: &str, tls: bool) -> Option<&str> {
    let pairs = field.split(';').filter_map(|pair| pair.trim().split_once('='));
    let mut ours = pairs.filter(|(key, _)| *key == name(tls)).map(|(_, value)| value);
    let first = ours.next().filter(|value| !value.is_empty())?;
    ours.next().is_none().then_some(first)
}

/// The field `Set-Cookie` for a login, or for its end where there is no value.
pub(super) fn set(value: Option<&str>, tls: bool) -> String {
    let secure = if tls { "; Secure" } else { "" };
    let age = if value.is_none() { "; Max-Age=0" } else { "" };
    format!(
        "{}={}; Path=/; HttpOnly; SameSite=Strict{secure}{age}",
        name(tls),
        value.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_is_found_and_nobody_elses() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows         field                              TLS    value
            ("alone",                      "__Host-postern=abc",              true,  Some("abc")),
            ("among others",               "a=1; __Host-postern=abc; b=2",    true,  Some("abc")),
            ("without TLS",                "postern=abc",                     false, Some("abc")),
            ("the plain one over TLS",     "postern=abc",                     true,  None),
            ("twice",                      "postern=abc; postern=evil",       false, None),
            ("a name that ends alike",     "xpostern=abc",                    false, None),
            ("ended",                      "postern=",                        false, None),
            ("none",                       "",                                true,  None),
        ];
        for (shows, field, tls, wanted) in cases {
            assert_eq!(value(field, tls), wanted, "{shows}");
        }
    }

    #[test]
    fn scripts_and_other_sites_do_not_get_it() {
        let wanted = "__Host-postern=abc; Path=/; HttpOnly; SameSite=Strict; Secure";
        assert_eq!(set(Some("abc"), true), wanted);
        assert_eq!(
            set(None, false),
            "postern=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0"
        );
    }
}
