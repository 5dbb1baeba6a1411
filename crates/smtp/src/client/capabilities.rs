//! What a peer said it can do, in its answer to `EHLO` or `LHLO` (RFC 5321 section 4.1.1.1).

use crate::reply::Reply;

/// The extensions a peer offers. After `HELO` or before any greeting: none.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Capabilities {
    /// The name the peer gives itself: the first word of its answer.
    pub name: String,
    /// `PIPELINING` (RFC 2920).
    pub pipelining: bool,
    /// `CHUNKING` (RFC 3030).
    pub chunking: bool,
    /// `BINARYMIME` (RFC 3030); counts only together with `CHUNKING`.
    pub binary_mime: bool,
    /// `8BITMIME` (RFC 6152).
    pub eight_bit_mime: bool,
    /// `SMTPUTF8` (RFC 6531).
    pub smtputf8: bool,
    /// `DSN` (RFC 3461).
    pub dsn: bool,
    /// `ENHANCEDSTATUSCODES` (RFC 2034).
    pub enhanced_status_codes: bool,
    /// `STARTTLS` (RFC 3207).
    pub starttls: bool,
    /// `SIZE` (RFC 1870); 0 when offered without a limit.
    pub size: Option<u64>,
    /// `AUTH` (RFC 4954): whether `MAIL` may carry `AUTH=`.
    pub auth: bool,
    /// The mechanisms listed for `AUTH`, in capitals, without duplicates; at most the first 32.
    pub auth_mechanisms: Vec<Box<str>>,
    /// `LIMITS RCPTMAX=` (RFC 9422): recipients in one transaction.
    pub recipients_max: Option<usize>,
    /// `LIMITS MAILMAX=` (RFC 9422): transactions on one connection.
    pub transactions_max: Option<u32>,
}

/// Most mechanisms that are kept.
const MECHANISMS_MAX: usize = 32;

/// Longest name of a mechanism (RFC 4422 section 3.1).
const MECHANISM_NAME_MAX: usize = 20;

impl Capabilities {
    /// Reads the answer. Keywords are case-insensitive; unknown ones are ignored.
    #[must_use]
    pub fn parse(reply: &Reply) -> Self {
        let mut lines = reply.lines();
        let first = lines.next().unwrap_or_default();
        let mut found = Self {
            name: first.split_whitespace().next().unwrap_or_default().to_owned(),
            ..Self::default()
        };
        for line in lines {
            found.take(line);
        }
        found.binary_mime &= found.chunking;
        found
    }

    fn take(&mut self, line: &str) {
        // Some old servers write `AUTH=LOGIN`.
        let mut words = line.split([' ', '\t', '=']).filter(|word| !word.is_empty());
        let Some(keyword) = words.next() else { return };
        match keyword.to_ascii_uppercase().as_str() {
            "PIPELINING" => self.pipelining = true,
            "CHUNKING" => self.chunking = true,
            "BINARYMIME" => self.binary_mime = true,
            "8BITMIME" => self.eight_bit_mime = true,
            "SMTPUTF8" => self.smtputf8 = true,
            "DSN" => self.dsn = true,
            "ENHANCEDSTATUSCODES" => self.enhanced_status_codes = true,
            "STARTTLS" => self.starttls = true,
            "AUTH" => {
                self.auth = true;
                words.for_each(|name| self.take_mechanism(name));
            }
            "SIZE" => self.size = Some(words.next().and_then(|word| word.parse().ok()).unwrap_or(0)),
            "LIMITS" => self.take_limits(line),
            _ => {}
        }
    }

    fn take_mechanism(&mut self, name: &str) {
        let fits = name.len() <= MECHANISM_NAME_MAX
            && name
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'));
        if fits
            && self.auth_mechanisms.len() < MECHANISMS_MAX
            && !self
                .auth_mechanisms
                .iter()
                .any(|known| known.eq_ignore_ascii_case(name))
        {
            self.auth_mechanisms.push(name.to_ascii_uppercase().into());
        }
    }

    fn take_limits(&mut self, line: &str) {
        for (name, value) in line
            .split_whitespace()
            .skip(1)
            .filter_map(|word| word.split_once('='))
        {
            match name.to_ascii_uppercase().as_str() {
                "RCPTMAX" => self.recipients_max = value.parse().ok().filter(|&max| max > 0),
                "MAILMAX" => self.transactions_max = value.parse().ok().filter(|&max| max > 0),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_to_ehlo() {
        let none = || Capabilities {
            name: "mx.example".into(),
            ..Capabilities::default()
        };
        #[rustfmt::skip]
        let cases = [
            ("nothing offered",         "mx.example Hello",                       none()),
            ("lower case",              "mx.example\npipelining",                 Capabilities { pipelining: true, ..none() }),
            ("size with a limit",       "mx.example\nSIZE 1000",                  Capabilities { size: Some(1000), ..none() }),
            ("size without",            "mx.example\nSIZE",                       Capabilities { size: Some(0), ..none() }),
            ("size that is no number",  "mx.example\nSIZE lots",                  Capabilities { size: Some(0), ..none() }),
            ("binary needs chunking",   "mx.example\nBINARYMIME",                 none()),
            ("binary with chunking",    "mx.example\nBINARYMIME\nCHUNKING",       Capabilities { binary_mime: true, chunking: true, ..none() }),
            ("old form of AUTH",        "mx.example\nAUTH=LOGIN",                 Capabilities { auth: true, auth_mechanisms: vec!["LOGIN".into()], ..none() }),
            ("both forms of AUTH",      "mx.example\nAUTH=LOGIN\nAUTH plain login", Capabilities { auth: true, auth_mechanisms: vec!["LOGIN".into(), "PLAIN".into()], ..none() }),
            ("mechanisms of no name",   "mx.example\nAUTH X\u{1b}[2J",            Capabilities { auth: true, ..none() }),
            ("limits",                  "mx.example\nLIMITS RCPTMAX=5 MAILMAX=9", Capabilities { recipients_max: Some(5), transactions_max: Some(9), ..none() }),
            ("limits of nothing",       "mx.example\nLIMITS RCPTMAX=0",           none()),
            ("unknown and empty lines", "mx.example\nXFOO bar\n\nDSN",            Capabilities { dsn: true, ..none() }),
            ("keyword on line one",     "PIPELINING",                             Capabilities { name: "PIPELINING".into(), ..Capabilities::default() }),
        ];
        for (shows, text, expected) in cases {
            assert_eq!(Capabilities::parse(&Reply::bare(250, text)), expected, "{shows}");
        }
    }
}
