//! Trust anchors of DNSSEC: the keys at which every chain of trust begins.

use super::error::ResolverSetupError;
use hickory_resolver::proto::dnssec::TrustAnchors;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// Largest file of trust anchors that is read. A key has less than a kilobyte.
const FILE_MAX: u64 = 1 << 20;

/// The anchors in a file of DNSKEY records in zone file format, together with those of the root, which are built in. Root keys in
/// the file replace the built-in ones.
///
/// # Errors
///
/// The file cannot be read, is not in that format, or has no key.
pub(super) fn load(file: Option<&Path>) -> Result<TrustAnchors, ResolverSetupError> {
    let Some(path) = file else {
        return Ok(TrustAnchors::default());
    };
    let bad =
        |why: &dyn std::fmt::Display| ResolverSetupError(format!("trust anchors {}: {why}", path.display()));
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(FILE_MAX + 1).read_to_string(&mut text))
        .map_err(|error| bad(&error))?;
    if text.len() as u64 > FILE_MAX {
        return Err(bad(&"larger than 1 MiB"));
    }
    parse(&text).map_err(|why| bad(&why))
}

fn parse(text: &str) -> Result<TrustAnchors, String> {
    if !text.contains("DNSKEY") {
        return Err("there is no DNSKEY record in it".to_owned());
    }
    let mut anchors: TrustAnchors = text
        .parse()
        .map_err(|error| format!("not DNSKEY records as in a zone file: {error}"))?;
    if anchors.is_empty() {
        let built_in = TrustAnchors::default();
        for key in (0..built_in.len()).filter_map(|index| built_in.get(index)) {
            anchors.insert(key);
        }
    }
    Ok(anchors)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==";

    #[test]
    fn files_of_anchors() {
        let built_in = TrustAnchors::default().len();
        #[rustfmt::skip]
        let cases = [
            // what the case shows                    text                                           keys of the root
            ("another key of the root",               format!(". 3600 IN DNSKEY {KEY}\n"),           Some(1)),
            ("a comment",                             format!("; the lab's\n. IN DNSKEY {KEY}\n"),   Some(1)),
            ("a zone beside the root",                format!("lab.example. IN DNSKEY {KEY}\n"),     Some(built_in)),
            ("nothing",                               String::new(),                                 None),
            ("DS records",                            ". IN DS 20326 8 2 E06D\n".to_owned(),         None),
            ("not base 64",                           ". IN DNSKEY 257 3 13 ???\n".to_owned(),       None),
        ];
        for (shows, text, keys) in cases {
            let read = parse(&text);
            assert_eq!(
                read.as_ref().ok().map(TrustAnchors::len),
                keys,
                "{shows}: {:?}",
                read.as_ref().err()
            );
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = load(Some(Path::new("/nonexistent/anchors"))).err();
        let text = error.map(|error| error.to_string()).unwrap_or_default();
        assert!(text.contains("/nonexistent/anchors"), "{text}");
    }
}
