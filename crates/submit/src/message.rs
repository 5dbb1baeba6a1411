//! A message from standard input, prepared for submission: line ends, the dot that ends it, recipients in its header.

use std::io::BufRead;

use crate::addresses;
use crate::handover::Handover;
use crate::header::Header;
use crate::options::Options;

/// Longest line in octets, without its end (RFC 5322 section 2.1.1). Longer ones are broken.
pub const LINE_MAX: usize = 998;

/// Most recipients of one message.
pub const RECIPIENTS_MAX: usize = 50_000;

/// Most octets that are read of a message, before the server says how many it accepts.
pub const SIZE_MAX: usize = 1 << 30;

/// A complete message in memory.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Message {
    /// Its header; addresses in it may lack a domain.
    pub header: Header,
    /// Its body, lines ending in CRLF.
    pub body: Vec<u8>,
}

/// A prepared submission.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Prepared {
    /// Its envelope.
    pub handover: Handover,
    /// The message.
    pub message: Message,
}

/// The user who submits a message.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The name of the account.
    pub name: &'a str,
    /// The full name of the person, if the account has one.
    pub full_name: Option<&'a str>,
}

/// Why a message cannot be submitted.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// It cannot be read.
    #[error("cannot read the message from standard input: {0}")]
    Read(#[from] std::io::Error),
    /// It is larger than [`SIZE_MAX`].
    #[error("the message is larger than {} MiB", SIZE_MAX >> 20)]
    TooLarge,
    /// It has no recipient.
    #[error("no recipient: name one on the command line, or in To, Cc or Bcc with -t")]
    NoRecipient,
    /// More than [`RECIPIENTS_MAX`].
    #[error("more than {RECIPIENTS_MAX} recipients")]
    TooManyRecipients,
}

impl Message {
    /// Reads a message to its end: that of the input, or a line with only a dot, unless `dots_are_text`.
    ///
    /// Every line gets CRLF as its end. A CR within a line becomes a space, as in Postfix, since progress bars in the output of
    /// jobs are full of them; NUL is left out; a line of more than [`LINE_MAX`] octets is broken before a blank, or where it must
    /// be.
    ///
    /// # Errors
    ///
    /// [`MessageError::Read`], [`MessageError::TooLarge`].
    pub fn read(input: &mut dyn BufRead, dots_are_text: bool) -> Result<Self, MessageError> {
        let mut content = Vec::new();
        let mut line = Vec::new();
        loop {
            line.clear();
            if std::io::Read::take(&mut *input, SIZE_MAX as u64 + 1).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            let text = line.strip_suffix(b"\n").unwrap_or(&line);
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            if text == b"." && !dots_are_text {
                break;
            }
            put_line(text, &mut content);
            if content.len() > SIZE_MAX {
                return Err(MessageError::TooLarge);
            }
        }
        let (header, at) = Header::split(&content);
        content.drain(..at);
        Ok(Self {
            header,
            body: content,
        })
    }
}

/// Appends one line, cleaned, with its end.
fn put_line(line: &[u8], content: &mut Vec<u8>) {
    let mut text: Vec<u8> = line.iter().filter(|octet| **octet != 0).copied().collect();
    text.iter_mut()
        .filter(|octet| **octet == b'\r')
        .for_each(|octet| *octet = b' ');
    let mut rest = text.as_slice();
    while rest.len() > LINE_MAX {
        // Not the first octet: breaking a line of blanks would never end.
        let blank = rest[1..=LINE_MAX]
            .iter()
            .rposition(|octet| matches!(octet, b' ' | b'\t'));
        let at = blank.map_or_else(|| boundary(rest, LINE_MAX - 1), |at| at + 1);
        content.extend_from_slice(&rest[..at]);
        content.extend_from_slice(if blank.is_some() { b"\r\n" } else { b"\r\n " });
        rest = &rest[at..];
    }
    content.extend_from_slice(rest);
    content.extend_from_slice(b"\r\n");
}

/// The last position up to `at` that is not within a UTF-8 character.
fn boundary(text: &[u8], at: usize) -> usize {
    let begins = |place: &usize| text[*place] & 0xc0 != 0x80;
    (at - 3..=at).rev().find(begins).unwrap_or(at)
}

impl Prepared {
    /// Prepares a message according to the command line.
    ///
    /// With `-t`, the recipients of the header are added to those of the command line, as in Postfix (sendmail removes them
    /// instead). `Bcc` is always removed. A `From` is added if there is none; date and message id are added by the server.
    ///
    /// # Errors
    ///
    /// [`MessageError::NoRecipient`], [`MessageError::TooManyRecipients`].
    pub fn new(options: &Options, caller: Caller<'_>, mut message: Message) -> Result<Self, MessageError> {
        let mut recipients: Vec<String> = Vec::new();
        for argument in &options.recipients {
            recipients.extend(
                addresses::scan(argument.as_bytes())
                    .into_iter()
                    .map(|found| found.text),
            );
        }
        if options.header_recipients {
            recipients.extend(message.header.recipients());
        }
        let mut seen = std::collections::HashSet::new();
        recipients.retain(|recipient| seen.insert(recipient.clone()));
        match recipients.len() {
            0 => return Err(MessageError::NoRecipient),
            1..=RECIPIENTS_MAX => {}
            _ => return Err(MessageError::TooManyRecipients),
        }
        message.header.drop_private_fields();
        let resent = message.header.has("resent-to") || message.header.has("resent-cc");
        let has_author = message.header.has("from") || resent && message.header.has("resent-from");
        if !has_author {
            let sender = options.sender.as_deref();
            let full_name = match (&options.full_name, sender) {
                (Some(given), _) => Some(given.as_str()),
                // The name of another sender is unknown.
                (None, None) => caller.full_name,
                (None, Some(sender)) => caller.full_name.filter(|_| sender == caller.name),
            };
            let address = match sender {
                Some("") => "MAILER-DAEMON",
                Some(sender) => sender,
                None => caller.name,
            };
            message.header.put_from(full_name, address);
        }
        Ok(Self {
            handover: Handover {
                sender: options.sender.clone(),
                recipients,
                notify: options.notify,
                ret: options.ret,
                envid: options.envid.clone(),
            },
            message,
        })
    }
}

/// The name of a person in the comment field of an account: up to the first comma, with `&` for the account's name.
#[must_use]
pub fn person(gecos: &str, account: &str) -> Option<String> {
    let name = gecos.split(',').next().unwrap_or_default();
    let mut letters = account.chars();
    let capital: String = letters
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .chain(letters)
        .collect();
    let name = name.replace('&', &capital);
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Name;

    fn read(text: &str, dots_are_text: bool) -> (String, String) {
        let message = Message::read(&mut text.as_bytes(), dots_are_text).unwrap();
        let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).unwrap();
        (text(message.header.octets()), text(&message.body))
    }

    #[test]
    fn lines_and_dots() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows        input                       dots   header          body
            ("Unix lines",                "To: a\n\nx\ny\n",          false, "To: a\r\n",    "x\r\ny\r\n"),
            ("lines of a network",        "To: a\r\n\r\nx\r\n",       false, "To: a\r\n",    "x\r\n"),
            ("no last line end",          "To: a\n\nx",               false, "To: a\r\n",    "x\r\n"),
            ("a dot ends it",             "\nx\n.\ny\n",              false, "",             "x\r\n"),
            ("a dot of a network",        "\nx\n.\r\ny\n",            false, "",             "x\r\n"),
            ("a dot that is text",        "\nx\n.\ny\n",              true,  "",             "x\r\n.\r\ny\r\n"),
            ("two dots are text",         "\n..\n",                   false, "",             "..\r\n"),
            ("a progress bar",            "\n10%\r20%\r\n",           false, "",             "10% 20%\r\n"),
            ("NUL",                       "\na\0b\n",                 false, "",             "ab\r\n"),
            ("text at once",              "hello there\n",            false, "",             "hello there\r\n"),
            ("nothing",                   "",                         false, "",             ""),
        ];
        for (shows, input, dots, header, body) in cases {
            assert_eq!(read(input, dots), (header.to_owned(), body.to_owned()), "{shows}");
        }
    }

    #[test]
    fn long_lines_are_broken() {
        let words = format!("\n{}\n", "word ".repeat(500));
        let (_, body) = read(&words, false);
        assert!(body.split("\r\n").all(|line| line.len() <= LINE_MAX), "{body}");
        assert_eq!(
            body.replace("\r\n", ""),
            "word ".repeat(500),
            "nothing but line ends is new"
        );
        let (_, body) = read(&format!("\n{}\n", "\u{20ac}".repeat(1_000)), false);
        assert!(body.split("\r\n").all(|line| line.len() <= LINE_MAX));
        assert_eq!(
            body.replace("\r\n ", "").trim_end().chars().count(),
            1_000,
            "no character was cut"
        );
        let (header, _) = read(&format!("Subject: {}\n\n", "x".repeat(3_000)), false);
        assert!(
            header
                .split("\r\n")
                .skip(1)
                .all(|line| line.is_empty() || line.starts_with(' ')),
            "{header}"
        );
    }

    fn prepared(line: &str, text: &str) -> Result<Prepared, MessageError> {
        let options = Options::parse(Name::Sendmail, line.split_whitespace().map(str::to_owned)).unwrap();
        let message = Message::read(&mut text.as_bytes(), options.dots_are_text).unwrap();
        let caller = Caller {
            name: "anna",
            full_name: Some("Anna Berg"),
        };
        Prepared::new(&options, caller, message)
    }

    #[test]
    fn who_gets_it_and_from_whom() {
        #[rustfmt::skip]
        let cases: [(&str, &str, &[&str], &str); 9] = [
            // command line          input                                  recipients          header
            ("bea",                  "Subject: x\n\n",                      &["bea"],           "From: Anna Berg <anna>\r\nSubject: x\r\n"),
            ("-FCronDaemon root",    "Subject: x\n\n",                      &["root"],          "From: CronDaemon <anna>\r\nSubject: x\r\n"),
            ("-f carl bea",          "\n",                                  &["bea"],           "From: carl\r\n"),
            ("-f <> bea",            "\n",                                  &["bea"],           "From: MAILER-DAEMON\r\n"),
            ("bea",                  "From: x@y.example\nBcc: z\n\n",       &["bea"],           "From: x@y.example\r\n"),
            ("-t",                   "From: a\nTo: b, c\nBcc: d\n\n",       &["b", "c", "d"],   "From: a\r\nTo: b, c\r\n"),
            ("-t b e",               "From: a\nTo: b, c\n\n",               &["b", "e", "c"],   "From: a\r\nTo: b, c\r\n"),
            ("b,c d",                "From: a\nTo: z\n\n",                  &["b", "c", "d"],   "From: a\r\nTo: z\r\n"),
            ("-t",                   "Resent-From: a\nResent-To: b\nTo: c\n\n", &["b"],         "Resent-From: a\r\nResent-To: b\r\nTo: c\r\n"),
        ];
        for (line, text, recipients, header) in cases {
            let ready = prepared(line, text).unwrap();
            assert_eq!(ready.handover.recipients, recipients, "{line}");
            assert_eq!(
                String::from_utf8_lossy(ready.message.header.octets()),
                header,
                "{line}"
            );
        }
        assert!(matches!(
            prepared("-t", "Subject: x\n\nTo: a\n"),
            Err(MessageError::NoRecipient)
        ));
    }

    #[test]
    fn people() {
        #[rustfmt::skip]
        let cases = [
            ("Anna Berg,,,", "anna", Some("Anna Berg")), ("& Berg", "anna", Some("Anna Berg")), (",,,", "anna", None), ("", "anna", None),
        ];
        for (gecos, account, expected) in cases {
            assert_eq!(person(gecos, account).as_deref(), expected);
        }
    }
}
