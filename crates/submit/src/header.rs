//! The header of a message as submitted by a program: its fields, those that are removed, and a `From` if there is none.

use std::ops::Range;

use crate::addresses;

/// Fields that are removed from a message, as in Postfix (`message_drop_headers`): blind copies would show, and the others are
/// for the delivering host.
const DROPPED: [&str; 4] = ["bcc", "resent-bcc", "return-path", "content-length"];

/// Fields that name recipients, and those of a resent message.
const RECIPIENTS: [&str; 3] = ["to", "cc", "bcc"];
const RESENT: [&str; 3] = ["resent-to", "resent-cc", "resent-bcc"];

/// Fields whose addresses get a domain if they have none.
const ADDRESSES: [&str; 11] = [
    "from",
    "sender",
    "reply-to",
    "to",
    "cc",
    "resent-from",
    "resent-sender",
    "resent-reply-to",
    "resent-to",
    "resent-cc",
    "disposition-notification-to",
];

/// One field in a header.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Field {
    /// In lower case.
    name: String,
    /// The whole field, with its line ends.
    whole: Range<usize>,
    /// What follows the colon, without the last line end.
    value: Range<usize>,
}

/// A header whose lines end in CRLF, without the empty line.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Header {
    octets: Vec<u8>,
}

impl Header {
    /// The header at the beginning of a message, and where the body begins. A line that cannot be part of a header ends it; a
    /// mailbox separator (`From anna Mon Nov 23 …`) in the first line is dropped.
    #[must_use]
    pub fn split(content: &[u8]) -> (Self, usize) {
        let mut at = 0;
        let mut octets = Vec::new();
        let mut first = true;
        while let Some(end) = line_end(&content[at..]).map(|len| at + len) {
            let line = &content[at..end];
            if line == b"\r\n" {
                return (Self { octets }, end);
            }
            if first && line.starts_with(b"From ") {
                first = false;
                at = end;
                continue;
            }
            let continues = line.starts_with(b" ") || line.starts_with(b"\t");
            if !(field_name(line).is_some() || continues && !octets.is_empty()) {
                break;
            }
            first = false;
            octets.extend_from_slice(line);
            at = end;
        }
        (Self { octets }, at)
    }

    /// From a header that was already read.
    #[must_use]
    pub fn from_octets(octets: Vec<u8>) -> Self {
        Self { octets }
    }

    /// As it is sent.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// The recipients that it names: those of `Resent-` fields if there are any, else those of `To`, `Cc` and `Bcc`.
    #[must_use]
    pub fn recipients(&self) -> Vec<String> {
        let fields = self.fields();
        let resent = fields.iter().any(|field| field.name.starts_with("resent-"));
        let names = if resent { RESENT } else { RECIPIENTS };
        let named = fields.iter().filter(|field| names.contains(&field.name.as_str()));
        named
            .flat_map(|field| addresses::scan(&self.octets[field.value.clone()]))
            .map(|found| found.text)
            .collect()
    }

    /// Whether it has a field; the name is given in lower case.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.fields().iter().any(|field| field.name == name)
    }

    /// Removes fields that must not be sent.
    pub fn drop_private_fields(&mut self) {
        let fields = self.fields();
        let kept = fields
            .iter()
            .filter(|field| !DROPPED.contains(&field.name.as_str()));
        self.octets = kept
            .flat_map(|field| &self.octets[field.whole.clone()])
            .copied()
            .collect();
    }

    /// Adds a `From` in front: a name, if there is one, and an address.
    pub fn put_from(&mut self, full_name: Option<&str>, address: &str) {
        let name = full_name.map(phrase).filter(|name| !name.is_empty());
        let field = match name {
            Some(name) => format!("From: {name} <{address}>\r\n"),
            None => format!("From: {address}\r\n"),
        };
        self.octets.splice(..0, field.into_bytes());
    }

    /// Gives a domain to addresses that have none.
    #[must_use]
    pub fn qualified(&self, domain: &str) -> Self {
        let mut octets = Vec::with_capacity(self.octets.len() + 128);
        for field in self.fields() {
            let value = &self.octets[field.value.clone()];
            let whole = ADDRESSES
                .contains(&field.name.as_str())
                .then(|| addresses::qualified(value, domain))
                .flatten();
            match whole {
                Some(value) => {
                    octets.extend_from_slice(&self.octets[field.whole.start..field.value.start]);
                    octets.extend_from_slice(&value);
                    octets.extend_from_slice(&self.octets[field.value.end..field.whole.end]);
                }
                None => octets.extend_from_slice(&self.octets[field.whole]),
            }
        }
        Self { octets }
    }

    fn fields(&self) -> Vec<Field> {
        let mut fields: Vec<Field> = Vec::new();
        let mut at = 0;
        while at < self.octets.len() {
            let end = line_end(&self.octets[at..]).map_or(self.octets.len(), |len| at + len);
            let line = &self.octets[at..end];
            let text_end = end - if line.ends_with(b"\r\n") { 2 } else { 0 };
            match (field_name(line), fields.last_mut()) {
                (None, Some(last)) => {
                    last.whole.end = end;
                    last.value.end = text_end;
                }
                (name, _) => fields.push(Field {
                    value: at + name.map_or(0, |name| (name.len() + 1).min(text_end - at))..text_end,
                    name: name.map(trimmed).unwrap_or_default(),
                    whole: at..end,
                }),
            }
            at = end;
        }
        fields
    }
}

/// Octets of the first line with its CRLF; `None` if no line ends.
fn line_end(content: &[u8]) -> Option<usize> {
    memchr::memmem::find(content, b"\r\n").map(|at| at + 2)
}

/// The text before the colon of a line that begins a field (RFC 5322 section 2.2), with blanks after the name.
fn field_name(line: &[u8]) -> Option<&[u8]> {
    let colon = memchr::memchr(b':', line)?;
    let before = &line[..colon];
    let name = before.trim_ascii_end();
    let fits = |octet: &u8| octet.is_ascii_graphic();
    (!name.is_empty() && name.iter().all(fits)).then_some(before)
}

fn trimmed(name: &[u8]) -> String {
    String::from_utf8_lossy(name.trim_ascii_end()).to_ascii_lowercase()
}

/// Octets of text in one encoded word.
const WORD_TEXT: usize = 42;

/// A display name: as it is, in quotes, or if not ASCII, in encoded words (RFC 2047 section 5). Control characters are left out.
fn phrase(name: &str) -> String {
    let name: String = name.trim().chars().filter(|c| !c.is_control()).collect();
    if !name.is_ascii() {
        let mut words: Vec<String> = Vec::new();
        let mut word = String::new();
        for c in name.chars() {
            let encoded = encoded(c);
            if !word.is_empty() && word.len() + encoded.len() > WORD_TEXT {
                words.push(std::mem::take(&mut word));
            }
            word.push_str(&encoded);
        }
        words.push(word);
        let words: Vec<String> = words.iter().map(|word| format!("=?UTF-8?Q?{word}?=")).collect();
        return words.join("\r\n ");
    }
    let atom = |c: char| c.is_ascii_alphanumeric() || " !#$%&'*+-/=?^_`{|}~".contains(c);
    if name.chars().all(atom) {
        return name;
    }
    let mut quoted = String::from("\"");
    for c in name.chars() {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

/// A character in the encoding `Q` of a phrase.
fn encoded(c: char) -> String {
    match c {
        ' ' => "_".to_owned(),
        c if c.is_ascii_alphanumeric() => c.to_string(),
        c => {
            let mut buffer = [0; 4];
            let octets = c.encode_utf8(&mut buffer).bytes();
            octets.map(|octet| format!("={octet:02X}")).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &str) -> Header {
        Header::from_octets(text.as_bytes().to_vec())
    }

    fn text(header: &Header) -> &str {
        std::str::from_utf8(header.octets()).unwrap()
    }

    #[test]
    fn where_the_body_begins() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows      content                                      header                     body
            ("as it should be",         "To: a\r\nCc: b\r\n\r\nx: y\r\n",            "To: a\r\nCc: b\r\n",      "x: y\r\n"),
            ("no header",               "hello there\r\n",                           "",                        "hello there\r\n"),
            ("no header, empty line",   "\r\nhello: there\r\n",                      "",                        "hello: there\r\n"),
            ("no empty line",           "To: a\r\nhello there\r\n",                  "To: a\r\n",               "hello there\r\n"),
            ("a header alone",          "To: a\r\n",                                 "To: a\r\n",               ""),
            ("nothing",                 "",                                          "",                        ""),
            ("folded",                  "To: a,\r\n b\r\n\tc\r\n\r\n",               "To: a,\r\n b\r\n\tc\r\n", ""),
            ("a mailbox separator",     "From a Mon Nov 23\r\nTo: a\r\n\r\nb",       "To: a\r\n",               "b"),
            ("a continuation of none",  " x\r\nTo: a\r\n",                           "",                        " x\r\nTo: a\r\n"),
            ("blanks before a colon",   "To : a\r\n\r\n",                            "To : a\r\n",              ""),
        ];
        for (shows, content, head, body) in cases {
            let (split, at) = Header::split(content.as_bytes());
            assert_eq!((text(&split), &content[at..]), (head, body), "{shows}");
        }
    }

    #[test]
    fn recipients_stand_in_these_fields() {
        #[rustfmt::skip]
        let cases: [(&str, &[&str]); 4] = [
            ("To: a, B <b@x.example>\r\nCc: c\r\nbcc: d\r\nX-To: e\r\nReply-To: f\r\n", &["a", "b@x.example", "c", "d"]),
            ("To: a\r\nResent-To: b\r\nResent-Bcc: c\r\n",                            &["b", "c"]),
            ("To : a,\r\n b\r\n",                                                     &["a", "b"]),
            ("Subject: To: a\r\n",                                                    &[]),
        ];
        for (head, expected) in cases {
            assert_eq!(header(head).recipients(), expected, "{head}");
        }
    }

    #[test]
    fn blind_copies_are_taken_out() {
        let mut head =
            header("To: a\r\nBCC: secret,\r\n more\r\nSubject: x\r\nResent-Bcc: s\r\nReturn-Path: <z>\r\n");
        head.drop_private_fields();
        assert_eq!(text(&head), "To: a\r\nSubject: x\r\n");
    }

    #[test]
    fn a_from_of_any_name() {
        #[rustfmt::skip]
        let cases = [
            (None,                  "From: anna\r\n"),
            (Some(""),              "From: anna\r\n"),
            (Some("Anna Berg"),     "From: Anna Berg <anna>\r\n"),
            (Some("Berg, A. \"B\""), "From: \"Berg, A. \\\"B\\\"\" <anna>\r\n"),
            (Some("A\r\nBcc: b"),   "From: \"ABcc: b\" <anna>\r\n"),
            (Some("J\u{f6}rg M"),   "From: =?UTF-8?Q?J=C3=B6rg_M?= <anna>\r\n"),
        ];
        for (name, expected) in cases {
            let mut head = Header::default();
            head.put_from(name, "anna");
            assert_eq!(text(&head), expected);
        }
        let mut long = Header::default();
        long.put_from(Some(&"\u{e4}".repeat(60)), "anna");
        assert!(
            text(&long).lines().all(|line| line.len() <= 76),
            "{}",
            text(&long)
        );
    }

    #[test]
    fn addresses_get_a_domain() {
        let head =
            header("From: Anna <anna>\r\nTo: bea,\r\n carl@x.example\r\nSubject: anna\r\nX-To: dora\r\n");
        let want = "From: Anna <anna@h.example>\r\nTo: bea@h.example,\r\n carl@x.example\r\nSubject: anna\r\nX-To: dora\r\n";
        assert_eq!(text(&head.qualified("h.example")), want);
    }

    proptest::proptest! {
        #[test]
        fn nothing_is_lost(content in "(([A-Za-z:,<> \t]{0,12})(\r\n)?){0,12}") {
            let (head, at) = Header::split(content.as_bytes());
            proptest::prop_assert!(at <= content.len());
            let again: Vec<u8> = head.fields().iter().flat_map(|field| &head.octets[field.whole.clone()]).copied().collect();
            proptest::prop_assert_eq!(&again, &head.octets);
            let _ = head.qualified("h.example");
        }
    }
}
