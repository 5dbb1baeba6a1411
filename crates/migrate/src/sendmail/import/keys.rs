//! Keys of the access table: tags, networks, addresses.

use std::net::IpAddr;

/// A key's tag in lower case, and what it is about.
pub(super) fn tagged(key: &str) -> (&'static str, &str) {
    const TAGS: &[&str] = &[
        "connect",
        "from",
        "to",
        "spam",
        "greetpause",
        "clientrate",
        "clientconn",
        "tls_srv",
        "tls_clt",
        "tls_rcpt",
        "try_tls",
        "srv_features",
        "certissuer",
        "certsubject",
        "authinfo",
    ];
    // IPv6 addresses have a tag of their own, which belongs to them.
    let Some((start, rest)) = key.split_once(':') else {
        return ("", key);
    };
    let tag = TAGS.iter().find(|tag| start.eq_ignore_ascii_case(tag));
    match tag {
        Some(tag) => (tag, rest),
        None if is_word(start) => (UNKNOWN, rest),
        None => ("", key),
    }
}

/// The tag for keys with an unknown tag.
pub(super) const UNKNOWN: &str = "unknown";

/// Whether this can be a tag rather than part of an address.
fn is_word(start: &str) -> bool {
    let is_letter = |octet: u8| octet.is_ascii_alphabetic() || octet == b'_' || octet == b'-';
    !start.is_empty()
        && !start.eq_ignore_ascii_case("ipv6")
        && start.bytes().all(is_letter)
        && !start.bytes().all(|octet| octet.is_ascii_hexdigit())
}

/// The network meant by a sendmail key: all or leading octets of an address, or `IPv6:` with leading groups.
pub(super) fn network(key: &str) -> Option<String> {
    if let Some(groups) = key.strip_prefix("IPv6:") {
        if groups.parse::<IpAddr>().is_ok() {
            return Some(groups.to_owned());
        }
        let groups: Vec<&str> = groups.split(':').collect();
        let are_groups = groups.iter().all(|group| u16::from_str_radix(group, 16).is_ok());
        return are_groups.then(|| format!("{}::/{}", groups.join(":"), groups.len() * 16));
    }
    let octets: Vec<&str> = key.split('.').collect();
    if octets.len() > 4 || !octets.iter().all(|octet| octet.parse::<u8>().is_ok()) {
        return None;
    }
    let mut whole = octets.clone();
    whole.resize(4, "0");
    Some(if octets.len() == 4 {
        key.to_owned()
    } else {
        format!("{}/{}", whole.join("."), octets.len() * 8)
    })
}

/// The address patterns meant by a key: an address, `user@` in any domain, or a domain and all its subdomains.
pub(super) fn pattern(key: &str) -> Vec<String> {
    if key.contains('@') {
        vec![key.to_owned()]
    } else {
        vec![format!("@{key}"), format!(".{key}")]
    }
}

/// A sendmail distinguished name, `/C=DE/O=Lanternet/CN=x+20y`, in RFC 4514 form: reversed, with blanks for `+20`.
pub(super) fn distinguished_name(name: &str) -> String {
    let parts: Vec<String> = name
        .split('/')
        .filter(|part| !part.is_empty())
        .map(|part| escaped(&decoded(part)))
        .collect();
    let turned: Vec<String> = parts.into_iter().rev().collect();
    turned.join(",")
}

/// `+XX` are octets that the table cannot hold.
fn decoded(part: &str) -> String {
    let mut octets = Vec::with_capacity(part.len());
    let mut rest = part;
    while let Some((plain, after)) = rest.split_once('+') {
        octets.extend_from_slice(plain.as_bytes());
        let code = after.get(..2).and_then(|code| u8::from_str_radix(code, 16).ok());
        match code {
            Some(code) => {
                octets.push(code);
                rest = &after[2..];
            }
            None => {
                octets.push(b'+');
                rest = after;
            }
        }
    }
    octets.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&octets).into_owned()
}

fn escaped(part: &str) -> String {
    let Some((kind, value)) = part.split_once('=') else {
        return part.to_owned();
    };
    let mut text = format!("{kind}=");
    for letter in value.chars() {
        if matches!(letter, ',' | '+' | '"' | '\\' | '<' | '>' | ';') {
            text.push('\\');
        }
        text.push(letter);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read() {
        #[rustfmt::skip]
        let cases = [
            // the key               its tag        what it is about     the network, if it is one
            ("Connect:10.4",         "connect",     "10.4",              Some("10.4.0.0/16")),
            ("10.6.1.9",             "",            "10.6.1.9",          Some("10.6.1.9")),
            ("IPv6:2001:db8",        "",            "IPv6:2001:db8",     Some("2001:db8::/32")),
            ("connect:IPv6:2001:db8::1", "connect", "IPv6:2001:db8::1",  Some("2001:db8::1")),
            ("To:pager@x.example",   "to",          "pager@x.example",   None),
            ("ClientRate:",          "clientrate",  "",                  None),
            ("x.example",            "",            "x.example",         None),
            ("300.1",                "",            "300.1",             None),
        ];
        for (key, tag, subject, expected) in cases {
            assert_eq!(tagged(key), (tag, subject), "{key}");
            assert_eq!(network(subject).as_deref(), expected, "{key}");
        }
    }

    #[test]
    fn names_are_turned_round() {
        #[rustfmt::skip]
        let cases = [
            ("/C=DE/O=Lanternet/CN=Lanternet+20CA", "CN=Lanternet CA,O=Lanternet,C=DE"),
            ("/O=A+2C B/CN=x",                      "CN=x,O=A\\, B"),
            ("/CN=odd+zz",                          "CN=odd\\+zz"),
            ("",                                    ""),
        ];
        for (name, expected) in cases {
            assert_eq!(distinguished_name(name), expected, "{name}");
        }
    }
}
