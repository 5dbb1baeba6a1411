//! Addresses that some reader may show for a field, wherever in it they are: in a display name, in an encoded word, in a comment,
//! after the bracket. The lax counterpart of [`mailbox_list`](crate::mailbox_list).

mod encoded;

use self::encoded::decoded;

/// How often the result of decoding is decoded again. No reader is known to decode more than once.
const ROUNDS: usize = 3;

/// Something that looks like an address.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub struct Lookalike {
    /// The text before the `@`, without quotes around it.
    pub local: String,
    /// The text after it.
    pub domain: String,
}

impl Lookalike {
    /// Without what people put around an address: `'ann@example.org'`.
    #[must_use]
    pub fn trimmed(&self) -> &str {
        self.local
            .trim_matches(|c: char| is_ornament(c) || "'`.-/=*_|".contains(c))
    }
}

/// Everything that looks like an address in the value of a field, in order and once each. `None` if an encoded word has a charset
/// in which octets other than ASCII's may be an `@`, so that there is no telling.
///
/// An `@` between blanks counts only if a domain with a dot follows: `Ann @ Work` is a name.
#[must_use]
pub fn lookalikes(value: &str) -> Option<Vec<Lookalike>> {
    let mut found = Vec::new();
    let mut view = value.to_owned();
    for _ in 0..ROUNDS {
        let plain = as_seen(&view);
        find(&plain, &mut found);
        find(&without_comments(&plain), &mut found);
        let next = decoded(&view)?;
        if next == view {
            break;
        }
        view = next;
    }
    found.sort();
    found.dedup();
    Some(found)
}

/// A text as a screen shows it: without invisible characters, and with the plain form of those that look the same.
fn as_seen(text: &str) -> String {
    let invisible = |c: char| {
        matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}')
            || (c.is_control() && c != '\t')
    };
    text.chars()
        .filter(|&c| !invisible(c))
        .map(|c| match c {
            '\u{ff20}' | '\u{fe6b}' => '@',
            '\u{3002}' | '\u{ff0e}' | '\u{ff61}' | '\u{2024}' | '\u{fe52}' => '.',
            c if c.is_whitespace() => ' ',
            c => c,
        })
        .collect()
}

/// A text without balanced parentheses and their content, and without backslashes.
fn without_comments(text: &str) -> String {
    let mut depth = 0_usize;
    let mut kept = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            '\\' => {}
            c if depth == 0 => kept.push(c),
            _ => {}
        }
    }
    kept
}

fn find(text: &str, found: &mut Vec<Lookalike>) {
    for (at, _) in text.match_indices('@') {
        let (before, after) = (text[..at].trim_end(), text[at + 1..].trim_start());
        let apart = before.len() < at || after.len() < text.len() - at - 1;
        let local = local_of(before);
        let domain = domain_of(after);
        let named = !local.is_empty() || before.ends_with('"');
        if named && !domain.is_empty() && (!apart || domain.contains('.')) {
            found.push(Lookalike {
                local: local.to_owned(),
                domain: domain.to_owned(),
            });
        }
    }
}

fn local_of(before: &str) -> &str {
    if let Some(quoted) = before.strip_suffix('"') {
        return &quoted[quoted.rfind('"').map_or(0, |at| at + 1)..];
    }
    let ends = |c: char| c.is_whitespace() || "()<>[],;:\"@\\".contains(c);
    let start = before
        .char_indices()
        .rfind(|&(_, c)| ends(c))
        .map_or(0, |(at, c)| at + c.len_utf8());
    &before[start..]
}

fn domain_of(after: &str) -> &str {
    if after.starts_with('[') {
        return &after[..after.find(']').map_or(after.len(), |at| at + 1)];
    }
    let end = after
        .find(|c: char| {
            let plain = c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            !plain && (c.is_ascii() || c.is_whitespace() || is_ornament(c))
        })
        .unwrap_or(after.len());
    after[..end].trim_matches(|c| matches!(c, '.' | '-' | '_'))
}

/// Non-ASCII quotation marks, dashes and brackets.
fn is_ornament(c: char) -> bool {
    matches!(c, '\u{a1}' | '\u{ab}' | '\u{b4}' | '\u{b7}' | '\u{bb}' | '\u{bf}' | '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205e}'
        | '\u{3001}'..='\u{3003}' | '\u{3008}'..='\u{301f}' | '\u{ff08}' | '\u{ff09}' | '\u{ff0c}' | '\u{ff1a}'..='\u{ff1e}' | '\u{fffd}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mailbox_list::mailbox_list;

    #[test]
    fn what_looks_like_an_address() {
        #[rustfmt::skip]
        let cases: &[(&str, &str, Option<&[&str]>)] = &[
            ("an address",                     "a@x.example",                                            Some(&["a@x.example"])),
            ("no address",                     "Ann Caird",                                              Some(&[])),
            ("another before the brackets",    "boss@y.example <a@x.example>",                           Some(&["a@x.example", "boss@y.example"])),
            ("in quotes",                      "\"boss@y.example\" <a@x.example>",                       Some(&["a@x.example", "boss@y.example"])),
            ("in a comment",                   "a@x.example (boss@y.example)",                           Some(&["a@x.example", "boss@y.example"])),
            ("behind the bracket",             "<a@x.example> \"boss@y.example\"",                       Some(&["a@x.example", "boss@y.example"])),
            ("an encoded word, by letters",    "=?utf-8?q?boss=40y.example?= <a@x.example>",             Some(&["a@x.example", "boss@y.example"])),
            ("by base64",                      "=?UTF-8?B?Ym9zc0B5LmV4YW1wbGU=?= <a@x.example>",         Some(&["a@x.example", "boss@y.example"])),
            ("in two words",                   "=?utf-8?q?boss?= =?utf-8?q?=40y.example?= <a@x.example>", Some(&["a@x.example", "boss@y.example"])),
            ("with a language",                "=?iso-8859-1*en?q?boss=40y.example?= <a@x.example>",     Some(&["a@x.example", "boss@y.example"])),
            ("in quotes all the same",         "\"=?utf-8?q?boss=40y.example?=\" <a@x.example>",         Some(&["a@x.example", "boss@y.example"])),
            ("decoded twice",                  "=?utf-8?q?=3D=3Futf-8=3Fq=3Fboss=3D40y.example=3F=3D?= <a@x.example>", Some(&["a@x.example", "boss@y.example"])),
            ("in UTF-7",                       "=?utf-7?q?boss+AEA-y.example?= <a@x.example>",           None),
            ("in UTF-16",                      "=?utf-16?b?AGIAQAB5?= <a@x.example>",                    None),
            ("blanks around the at",           "boss @ y.example <a@x.example>",                         Some(&["a@x.example", "boss@y.example"])),
            ("a name with an at",              "Ann @ Work <a@x.example>",                               Some(&["a@x.example"])),
            ("a nickname",                     "@ann <a@x.example>",                                     Some(&["a@x.example"])),
            ("no dot, no blanks",              "boss@corp <a@x.example>",                                Some(&["a@x.example", "boss@corp"])),
            ("a full-width at",                "boss\u{ff20}y.example <a@x.example>",                    Some(&["a@x.example", "boss@y.example"])),
            ("a character nobody sees",        "bo\u{200b}ss@y.ex\u{ad}ample <a@x.example>",             Some(&["a@x.example", "boss@y.example"])),
            ("a comment inside",               "boss(x)@y.example",                                      Some(&["boss@y.example"])),
            ("a quoted local part",            "\"bo ss\"@y.example",                                    Some(&["bo ss@y.example"])),
            ("a literal",                      "a@[192.0.2.1]",                                          Some(&["a@[192.0.2.1]"])),
            ("Japanese, in escape sequences",  "=?iso-2022-jp?B?GyRCJSIlQCVYGyhC?= <a@x.example>",       Some(&["a@x.example"])),
            ("no charset that is known",       "=?x-mine?q?a?= <a@x.example>",                           None),
            ("no encoded word",                "=?utf-8?x?a?= a@x.example =?",                           Some(&["a@x.example"])),
        ];
        for (shows, value, expected) in cases {
            let found = lookalikes(value).map(|found| {
                let texts = found.iter().map(|one| format!("{}@{}", one.local, one.domain));
                texts.collect::<Vec<_>>()
            });
            let expected = expected.map(|texts| texts.iter().map(|text| (*text).to_owned()).collect());
            assert_eq!(found, expected, "{shows}");
        }
    }

    #[test]
    fn what_people_put_around_an_address() {
        let found = lookalikes("'ann@x.example' »ann@x.example« <ann@x.example>").unwrap_or_default();
        assert!(found.iter().all(|one| one.trimmed() == "ann"), "{found:?}");
    }

    proptest! {
        /// Every address that the strict reader finds is found by the lax reader too.
        #[test]
        fn the_lax_reader_sees_what_the_strict_one_does(value in "[ab@.<>\",() =?]{0,30}|\\PC{0,40}") {
            if let (Some(list), Some(found)) = (mailbox_list(&value), lookalikes(&value)) {
                for mailbox in list {
                    let local = mailbox.unquoted_local();
                    prop_assert!(
                        found.iter().any(|one| local.ends_with(one.local.as_str()) || one.local.ends_with(&*local)),
                        "{mailbox} in {value:?}, found {found:?}"
                    );
                }
            }
        }
    }
}
