//! The level `fingerprint` of `smtp_tls_policy_maps`: hosts are known by their certificates' fingerprints.

/// The fingerprints that the attributes of a policy name, or those of `smtp_tls_fingerprint_cert_match` where they name none.
///
/// # Errors
///
/// Why they cannot be used here: there are none, or they are not SHA-256.
pub(super) fn of(attributes: &str, usual: &str, digest: &str) -> Result<Vec<String>, String> {
    let named = attributes
        .split_whitespace()
        .filter_map(|word| word.strip_prefix("match="));
    let named: Vec<&str> = named.flat_map(|list| list.split('|')).collect();
    let written = if named.is_empty() {
        usual
            .split(|letter: char| letter.is_whitespace() || matches!(letter, ',' | '|'))
            .collect()
    } else {
        named
    };
    let digits = written
        .into_iter()
        .map(|one| one.replace(':', "").to_ascii_lowercase());
    let found: Vec<String> = digits.filter(|one| !one.is_empty()).collect();
    let is_sha256 = |one: &String| one.len() == 64 && one.bytes().all(|octet| octet.is_ascii_hexdigit());
    if found.is_empty() {
        return Err("no fingerprint is named".to_owned());
    }
    if !digest.eq_ignore_ascii_case("sha256") || !found.iter().all(is_sha256) {
        return Err(format!("they are by {digest}, and only SHA-256 is used here"));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_of_a_policy() {
        let one = "3d".repeat(32);
        let two = "e7".repeat(32);
        let colons = ["3D"; 32].join(":");
        let not_sha = "they are by md5, and only SHA-256 is used here";
        type Row<'a> = (&'a str, &'a str, &'a str, Result<&'a [&'a str], &'a str>);
        #[rustfmt::skip]
        let cases: &[Row<'_>] = &[
            (&format!("match={colons}"),            "",                     "sha256", Ok(&[&one])),
            (&format!("match={one}|{two}"),         "",                     "SHA256", Ok(&[&one, &two])),
            (&format!("match={one} match={two}"),   &one,                   "sha256", Ok(&[&one, &two])),
            ("",                                    &format!("{one}, {two}"), "sha256", Ok(&[&one, &two])),
            ("",                                    "",                     "sha256", Err("no fingerprint is named")),
            ("match=00:11",                         "",                     "md5",    Err(not_sha)),
        ];
        for (attributes, usual, digest, expected) in cases {
            let expected = expected.map(|list| list.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>());
            assert_eq!(
                of(attributes, usual, digest),
                expected.map_err(str::to_owned),
                "{attributes}"
            );
        }
    }
}
