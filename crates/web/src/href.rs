//! Addresses of pages, made of names that may be anything.

/// The address of a page below the root: `path(&["account", "a/b"])` is `/account/a%2Fb`. It always begins with one slash, so that it
/// never leads to another host.
#[must_use]
pub fn path(names: &[&str]) -> String {
    if names.is_empty() {
        return "/".to_owned();
    }
    let mut whole = String::new();
    for name in names {
        whole.push('/');
        // A lone dot or two would be taken for a step in the path.
        if matches!(*name, "." | "..") {
            name.bytes()
                .for_each(|octet| whole.push_str(&format!("%25{octet:02X}")));
        } else {
            encode(name, &mut whole);
        }
    }
    whole
}

/// An address with a query of what is not empty, behind the query that it may have.
#[must_use]
pub fn query(path: &str, pairs: &[(&str, &str)]) -> String {
    let mut whole = path.to_owned();
    for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        whole.push(if whole.contains('?') { '&' } else { '?' });
        encode(name, &mut whole);
        whole.push('=');
        encode(value, &mut whole);
    }
    whole
}

/// All but the unreserved characters of RFC 3986 section 2.3.
fn encode(text: &str, into: &mut String) {
    for octet in text.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
            into.push(char::from(octet));
        } else {
            into.push_str(&format!("%{octet:02X}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_names() {
        #[rustfmt::skip]
        let cases: &[(&str, &[&str], &str)] = &[
            // what the case shows    names                              the address
            ("the root",              &[],                               "/"),
            ("a message",             &["queue", "01HJ3K8Q2M7XA"],       "/queue/01HJ3K8Q2M7XA"),
            ("a slash in a name",     &["account", "a/b"],               "/account/a%2Fb"),
            ("another host",          &["/evil.example"],                "/%2Fevil.example"),
            ("markup",                &["account", "\"><b>"],            "/account/%22%3E%3Cb%3E"),
            ("letters beyond ASCII",  &["account", "jürgen"],            "/account/j%C3%BCrgen"),
        ];
        for (shows, names, want) in cases {
            assert_eq!(path(names), *want, "{shows}");
        }
        assert!(!path(&["account", ".."]).contains(".."));
        assert_eq!(
            query("/queue", &[("a", ""), ("b", "x&y=z"), ("c", "1")]),
            "/queue?b=x%26y%3Dz&c=1"
        );
        assert_eq!(
            query("/queue?held=yes", &[("done", "hold")]),
            "/queue?held=yes&done=hold"
        );
    }
}
