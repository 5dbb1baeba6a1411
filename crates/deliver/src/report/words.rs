//! Texts of reports for people elsewhere, which disclose nothing about this site.

use postern_mail::Status;

use crate::relay::Relay;

/// Replaces what is not disclosed.
const HIDDEN: &str = "(not shown)";

/// What happened, by its status (RFC 3463), where our own text would name hosts, paths or logins of this site.
pub(super) fn of(status: Status) -> &'static str {
    match (status.1, status.2) {
        (1, 2) => "the domain does not exist",
        (1, 10) => "the domain takes no mail",
        (1, _) => "the address is not known",
        (2, 1) => "the mailbox is closed",
        (2, 2) => "the mailbox is full",
        (3, 4) | (2, 3) => "the message is too large",
        (2, _) => "the mailbox cannot take it",
        (3, 1) => "the mail system is full",
        (4, 1) => "the host does not answer",
        (4, 2) => "the connection was lost",
        (4, 3) => "the name service does not answer",
        (4, 4) => "the domain cannot be reached",
        (4, 5) => "the host accepts no more mail for now",
        (4, 6) => "the message is in a mail loop",
        (4, 7) => "there was no time left",
        (6, 7) => "the message needs SMTPUTF8, which the next host does not take",
        (6, _) => "the next host does not take content of this kind",
        (7, _) => "a requirement of security was not met",
        _ => "the mail system has a fault",
    }
}

/// A reply of a host of this site, without places: paths, sockets, addresses, its own name.
pub(super) fn without_places(reply: &str, relay: &Relay) -> String {
    let host = relay.name().filter(|name| name.contains('.'));
    let words = reply.split(' ').map(|word| {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric() && c != '/');
        let is_path = bare.starts_with('/') && bare.len() > 1
            || bare.contains("=/")
            || (bare.contains(":/") && !bare.contains("://"));
        let is_address = bare.parse::<std::net::IpAddr>().is_ok();
        let is_host = host.is_some_and(|host| bare.eq_ignore_ascii_case(host));
        if is_path || is_address || is_host {
            HIDDEN
        } else {
            word
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// A text with one address replaced by another, ignoring case.
pub(super) fn replaced(text: &str, address: &str, by: &str) -> String {
    let (lower, wanted) = (text.to_ascii_lowercase(), address.to_ascii_lowercase());
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for (at, _) in lower.match_indices(&wanted) {
        out.push_str(&text[from..at]);
        out.push_str(by);
        from = at + wanted.len();
    }
    out.push_str(&text[from..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_of_this_sites_hosts() {
        let socket = || Relay::unix(std::path::Path::new("/run/lmtp"));
        let host = || Relay::Unnamed("10.0.0.5:25".parse().unwrap());
        let named = || Relay::named("store.lan.example");
        #[rustfmt::skip]
        let cases = [
            ("words",               "550 5.1.1 <bob@x.example> User unknown",       socket(),         "550 5.1.1 <bob@x.example> User unknown"),
            ("a path",              "451 4.3.0 cannot write /var/mail/bob: full",    socket(),         "451 4.3.0 cannot write (not shown) full"),
            ("a path behind equals", "451 4.3.0 home=/srv/bob",                      host(),            "451 4.3.0 (not shown)"),
            ("its own name",        "250 2.0.0 taken by store.lan.example",          named(), "250 2.0.0 taken by (not shown)"),
            ("an address",          "554 5.7.1 [10.0.0.5] says no",                  host(),            "554 5.7.1 (not shown) says no"),
            ("a page to read",      "550 5.7.1 see https://x.example/why",           host(),            "550 5.7.1 see https://x.example/why"),
            ("a lone slash",        "550 5.7.1 spam / virus",                        host(),            "550 5.7.1 spam / virus"),
        ];
        for (shows, reply, relay, expected) in cases {
            assert_eq!(without_places(reply, &relay), expected, "{shows}");
        }
    }

    #[test]
    fn addresses_behind_aliases() {
        for (text, expected) in [
            (
                "550 <Boss@Private.example> unknown",
                "550 <sales@x.example> unknown",
            ),
            ("550 no such user", "550 no such user"),
            ("ä boss@private.example", "ä sales@x.example"),
        ] {
            assert_eq!(
                replaced(text, "boss@private.example", "sales@x.example"),
                expected
            );
        }
    }
}
