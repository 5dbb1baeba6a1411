//! Whether a request that changes something comes from a page of ours.

/// What a browser says of where a request comes from.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Said<'a> {
    /// `Sec-Fetch-Site`, which browsers send to HTTPS and to loopback.
    pub(super) site: Option<&'a str>,
    /// `Origin`; it is `null` where pages name no referrer, as ours do.
    pub(super) origin: Option<&'a str>,
    /// `Host`.
    pub(super) host: Option<&'a str>,
}

/// Whether it may be one of our forms. The forms carry a token besides.
pub(super) fn is_ours(said: Said<'_>) -> bool {
    match (said.site, said.origin, said.host) {
        (Some(site), ..) => site == "same-origin",
        (None, Some(origin), Some(host)) => {
            let bare = origin
                .strip_prefix("https://")
                .or_else(|| origin.strip_prefix("http://"));
            bare.is_some_and(|bare| !bare.is_empty() && bare.eq_ignore_ascii_case(host))
        }
        (None, ..) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_change_something() {
        let host = Some("mx.example:8443");
        #[rustfmt::skip]
        let cases = [
            // what the case shows            site                 origin                          ours
            ("a form of ours",                Some("same-origin"), Some("null"),                   true),
            ("another host of our domain",    Some("same-site"),   Some("https://www.example"),    false),
            ("another site",                  Some("cross-site"),  Some("https://evil.example"),   false),
            ("another site that claims ours", Some("cross-site"),  Some("https://mx.example:8443"), false),
            ("typed by hand",                 Some("none"),        None,                           false),
            ("a browser of old",              None,                Some("https://mx.example:8443"), true),
            ("the same without TLS",          None,                Some("http://MX.example:8443"), true),
            ("another port",                  None,                Some("https://mx.example"),     false),
            ("a sandboxed frame",             None,                Some("null"),                   false),
            ("a program",                     None,                None,                           false),
        ];
        for (shows, site, origin, ours) in cases {
            assert_eq!(is_ours(Said { site, origin, host }), ours, "{shows}");
        }
        let nowhere = Said {
            origin: Some("https://"),
            host: Some(""),
            ..Said::default()
        };
        assert!(!is_ours(nowhere));
    }
}
