//! What the `EHLO` answer offers (RFC 5321 section 4.1.1.1).

use std::fmt::Write as _;

use crate::reply::Reply;

/// The extensions offered at one moment of one session.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    /// Largest message in octets (RFC 1870); 0 says that there is no fixed limit.
    pub size_max: u64,
    /// RFC 3461.
    pub dsn: bool,
    /// RFC 3207; never inside TLS.
    pub starttls: bool,
    /// RFC 4954: the mechanisms available now; without any, there is no `AUTH` line.
    pub mechanisms: &'a [&'static str],
    /// RFC 3030.
    pub chunking: bool,
    /// RFC 3030; offered together with `CHUNKING` only.
    pub binarymime: bool,
    /// RFC 6531.
    pub smtputf8: bool,
}

impl Offer<'_> {
    /// The whole answer. `client` is what the greeted client is called: name and address.
    #[must_use]
    pub fn reply(&self, hostname: &str, client: &str) -> Reply {
        let mut text = String::with_capacity(256);
        let _ = write!(text, "{hostname} Hello {client}, pleased to meet you");
        let mut line = |word: &str| {
            text.push('\n');
            text.push_str(word);
        };
        line("ENHANCEDSTATUSCODES");
        line("PIPELINING");
        line("8BITMIME");
        if self.size_max == 0 {
            line("SIZE");
        } else {
            line(&format!("SIZE {}", self.size_max));
        }
        for (offered, word) in [
            (self.dsn, "DSN"),
            (self.starttls, "STARTTLS"),
            (self.chunking, "CHUNKING"),
            (self.chunking && self.binarymime, "BINARYMIME"),
            (self.smtputf8, "SMTPUTF8"),
        ] {
            if offered {
                line(word);
            }
        }
        if !self.mechanisms.is_empty() {
            line(&format!("AUTH {}", self.mechanisms.join(" ")));
        }
        line("HELP");
        Reply::new(250, None, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_names_what_is_offered() {
        let none = Offer {
            size_max: 0,
            dsn: false,
            starttls: false,
            mechanisms: &[],
            chunking: false,
            binarymime: true,
            smtputf8: false,
        };
        let always = [
            "mx.example Hello c [192.0.2.1], pleased to meet you",
            "ENHANCEDSTATUSCODES",
            "PIPELINING",
            "8BITMIME",
        ];
        let lines = |offer: &Offer<'_>| {
            let reply = offer.reply("mx.example", "c [192.0.2.1]");
            let lines: Vec<String> = reply.lines().map(str::to_owned).collect();
            assert_eq!(lines[..4], always);
            lines[4..].join(" / ")
        };
        assert_eq!(lines(&none), "SIZE / HELP", "binary parts need chunks");
        let all = Offer {
            size_max: 1_000,
            dsn: true,
            starttls: true,
            mechanisms: &["LOGIN", "PLAIN"],
            chunking: true,
            binarymime: true,
            smtputf8: true,
        };
        assert_eq!(
            lines(&all),
            "SIZE 1000 / DSN / STARTTLS / CHUNKING / BINARYMIME / SMTPUTF8 / AUTH LOGIN PLAIN / HELP"
        );
    }
}
