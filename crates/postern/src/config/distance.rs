//! Which known word an unknown one was meant to be.

/// The word of `known` nearest to `typed`, if it is near enough to be a typing error.
///
/// Near enough means one edit (insert, delete, replace, swap of neighbours) for every three letters, and at
/// least one; case and `-` for `_` do not count. Otherwise, a word that contains the other.
pub(crate) fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |word: &str| word.to_lowercase().replace('-', "_");
    let wanted = plain(typed);
    let letters = wanted.chars().count();
    let bound = (letters / 3).max(1);
    let holds =
        |word: &str| letters >= 4 && word.len() >= 4 && (word.contains(&wanted) || wanted.contains(word));
    known
        .into_iter()
        .filter_map(|word| {
            let (other, distance) = (plain(word), strsim::osa_distance(&wanted, &plain(word)));
            match distance {
                near if near <= bound => Some((near, word)),
                far if holds(&other) => Some((letters + far, word)),
                _ => None,
            }
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_word() {
        let known = [
            "address",
            "name",
            "role",
            "tls",
            "message_size_limit",
            "expire_after",
        ];
        #[rustfmt::skip]
        let cases = [
            // what the case shows       typed                 nearest
            ("a letter dropped",         "adress",             Some("address")),
            ("letters swapped",          "rloe",               Some("role")),
            ("a hyphen",                 "message-size-limit", Some("message_size_limit")),
            ("case",                     "TLS",                Some("tls")),
            ("several slips in a long",  "mesage_size_limt",   Some("message_size_limit")),
            ("a part of a longer one",   "message_size",       Some("message_size_limit")),
            ("nothing like it",          "colour",             None),
            ("short words need care",    "xyz",                None),
        ];
        for (shows, typed, want) in cases {
            assert_eq!(nearest(typed, known), want, "{shows}");
        }
    }
}
