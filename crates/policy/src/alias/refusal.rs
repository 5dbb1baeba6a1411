//! Refusals in an administrator's own words: `550 5.1.1 text`, sendmail's and Postfix's `error:…`.

use std::fmt;

use postern_mail::Status;

/// Longest text, in octets: a reply line has 512 (RFC 5321 section 4.5.3.1.5).
const TEXT_MAX: usize = 400;

/// A refusal in an administrator's own words.
#[derive(Clone, Debug, Eq, PartialEq, Hash)]
pub struct RefusalText {
    /// 4xx or 5xx.
    pub code: u16,
    /// The enhanced status, of the same class.
    pub status: Status,
    /// The text.
    pub text: Box<str>,
}

/// An invalid refusal.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "{0}; write \"550 5.1.1 text\", with a code from 400 to 599 and, if wanted, an enhanced code of the same class"
)]
pub struct BadRefusal(&'static str);

/// Words of sendmail's `error` mailer, with their meaning (RFC 3463). A text without a code gets 553 there, even after `tempfail`,
/// although that is a permanent refusal and surely not meant.
const WORDS: &[(&str, u16, Status)] = &[
    ("nouser", 553, Status(5, 1, 1)),
    ("nohost", 553, Status(5, 1, 2)),
    ("unavailable", 553, Status(5, 0, 0)),
    ("software", 553, Status(5, 3, 0)),
    ("config", 553, Status(5, 3, 5)),
    ("protocol", 553, Status(5, 5, 0)),
    ("usage", 553, Status(5, 5, 4)),
    ("tempfail", 450, Status(4, 0, 0)),
];

impl RefusalText {
    /// Reads `550 5.1.1 text`, `550 text`, `5.1.1 text` or `text`. Only a code gets the enhanced code of its class, `5.0.0`; only
    /// an enhanced code gets 550 or 450; only a text gets `550 5.1.1`.
    ///
    /// # Errors
    ///
    /// [`BadRefusal`].
    pub fn parse(text: &str) -> Result<Self, BadRefusal> {
        let text = text.trim();
        let (code, rest) = match word(text) {
            Some((word, rest)) if is_code(word) => (Some(code_of(word)?), rest),
            _ => (None, text),
        };
        let (status, rest) = match word(rest) {
            Some((word, rest)) if word.parse::<Status>().is_ok() => (word.parse::<Status>().ok(), rest),
            _ => (None, rest),
        };
        Self::new(code, status, rest)
    }

    /// Reads the text after `error:` in sendmail's tables: `5.7.1:550 text`, `nouser 550 text`, `nouser text`, `550 text`, or a text
    /// alone, which is `553 5.3.0`. A status before the text, as in Postfix, is accepted as well.
    ///
    /// # Errors
    ///
    /// [`BadRefusal`].
    pub fn parse_error_mailer(text: &str) -> Result<Self, BadRefusal> {
        let text = text.trim();
        if let Some((status, rest)) = text.split_once(':')
            && let Ok(status) = status.trim().parse::<Status>()
        {
            let rest = rest.trim();
            return match word(rest) {
                Some((word, words)) if is_code(word) => Self::new(Some(code_of(word)?), Some(status), words),
                _ if status.0 == 5 => Self::new(Some(553), Some(status), rest),
                _ => Self::new(None, Some(status), rest),
            };
        }
        let first = text.split([' ', '\t', ':']).next().unwrap_or_default();
        let known = WORDS.iter().find(|(word, ..)| word.eq_ignore_ascii_case(first));
        let Some((_, code, status)) = known else {
            let is_coded = is_code(first) || first.parse::<Status>().is_ok();
            return if is_coded || text.is_empty() {
                Self::parse(text)
            } else {
                Self::new(Some(553), Some(Status(5, 3, 0)), text)
            };
        };
        let rest = text[first.len()..].trim_start_matches([' ', '\t', ':']);
        match word(rest) {
            // If the text has a code, sendmail only adds the status of its class.
            Some((word, _)) if is_code(word) => Self::parse(rest),
            _ => Self::new(Some(*code), Some(*status), rest),
        }
    }

    fn new(code: Option<u16>, status: Option<Status>, text: &str) -> Result<Self, BadRefusal> {
        let (code, status) = match (code, status) {
            (Some(code), Some(status)) => (code, status),
            (Some(code), None) => (code, Status(class(code), 0, 0)),
            (None, Some(status)) => (u16::from(status.0) * 100 + 50, status),
            (None, None) => (550, Status(5, 1, 1)),
        };
        if class(code) != status.0 {
            return Err(BadRefusal(
                "the code and the enhanced code are of different classes",
            ));
        }
        if status.0 == 2 {
            return Err(BadRefusal("2.x.x says yes"));
        }
        if text.chars().any(char::is_control) {
            return Err(BadRefusal("a control character in the text"));
        }
        if text.len() > TEXT_MAX {
            return Err(BadRefusal("over 400 octets of text"));
        }
        let text = if text.is_empty() { "Address refused" } else { text };
        Ok(Self {
            code,
            status,
            text: text.into(),
        })
    }
}

/// As it is written in the configuration, and as a client sees it.
impl fmt::Display for RefusalText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.code, self.status, self.text)
    }
}

fn class(code: u16) -> u8 {
    if code / 100 == 4 { 4 } else { 5 }
}

/// The first word, and what follows it.
fn word(text: &str) -> Option<(&str, &str)> {
    if text.is_empty() {
        return None;
    }
    let end = text.find([' ', '\t']).unwrap_or(text.len());
    Some((&text[..end], text[end..].trim_start()))
}

fn is_code(word: &str) -> bool {
    word.len() == 3 && word.bytes().all(|octet| octet.is_ascii_digit())
}

fn code_of(word: &str) -> Result<u16, BadRefusal> {
    match word.parse() {
        Ok(code @ 400..=599) => Ok(code),
        _ => Err(BadRefusal("the code is not one that refuses")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_read() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows           written                                   told
            ("all of it",                    "551 5.1.6 moved away",                   Some("551 5.1.6 moved away")),
            ("a code",                       "450 later",                              Some("450 4.0.0 later")),
            ("an enhanced code, as Postfix", "5.1.2 this customer is closed",          Some("550 5.1.2 this customer is closed")),
            ("a temporary one",              "4.2.1 later",                            Some("450 4.2.1 later")),
            ("words alone",                  "no such person",                         Some("550 5.1.1 no such person")),
            ("nothing",                      "",                                       Some("550 5.1.1 Address refused")),
            ("a number that is no code",     "5500 of them",                           Some("550 5.1.1 5500 of them")),
            ("classes that differ",          "550 4.2.1 x",                            None),
            ("a yes",                        "250 ok",                                 None),
            ("an enhanced yes",              "2.0.0 ok",                               None),
            ("a line end",                   "550 a\r\nb",                             None),
        ];
        for (shows, written, told) in cases {
            let read = RefusalText::parse(written).map(|read| read.to_string());
            assert_eq!(read.ok().as_deref(), told, "{shows}");
        }
    }

    #[test]
    fn what_stands_behind_error() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows           written                                   told, as a real sendmail 8.17 says it
            ("status and code",              "5.7.1:550 we do not take these",         "550 5.7.1 we do not take these"),
            ("status and text",              "5.1.2:gone",                             "553 5.1.2 gone"),
            ("a word and a code",            "nouser 550 No such user here",           "550 5.0.0 No such user here"),
            ("a word and a text",            "nouser No such user here",               "553 5.1.1 No such user here"),
            ("a word and a colon",           "nohost:no such host",                    "553 5.1.2 no such host"),
            ("for now",                      "tempfail 450 come back",                 "450 4.0.0 come back"),
            ("for now, without a code",      "tempfail come back",                     "450 4.0.0 come back"),
            ("a word of few",                "usage read the manual",                  "553 5.5.4 read the manual"),
            ("a code and a status",          "550 5.7.2 not here",                     "550 5.7.2 not here"),
            ("Postfix's transport",          "5.1.2 out of business",                  "550 5.1.2 out of business"),
            ("a word that is none",          "nobody lives here",                      "553 5.3.0 nobody lives here"),
        ];
        for (shows, written, told) in cases {
            let read = RefusalText::parse_error_mailer(written).map(|read| read.to_string());
            assert_eq!(read.as_deref(), Ok(told), "{shows}");
        }
    }
}
