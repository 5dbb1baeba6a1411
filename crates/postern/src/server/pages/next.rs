//! Where a login leads on to.

/// The address, if it is a page of ours; empty for any other.
pub(super) fn safe(next: &str) -> &str {
    let is_ours = next.starts_with('/')
        && !next.starts_with("//")
        && !next.starts_with("/login")
        && next
            .bytes()
            .all(|octet| octet.is_ascii_graphic() && octet != b'\\');
    if is_ours { next } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_nowhere_else() {
        #[rustfmt::skip]
        let cases = [
            ("/queue?held=yes",          true),
            ("/queue/01HJ3K8Q2M7XA",     true),
            ("",                         false),
            ("https://evil.example/",    false),
            ("//evil.example/",          false),
            ("/\\evil.example/",         false),
            ("/\t/evil.example/",        false),
            ("javascript:alert(1)",      false),
            ("/login",                   false),
        ];
        for (next, ours) in cases {
            assert_eq!(safe(next) == next && !next.is_empty(), ours, "{next:?}");
        }
    }
}
