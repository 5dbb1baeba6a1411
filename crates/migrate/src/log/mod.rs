//! What an old server decided, according to its log: who sent what to whom, and whether it was accepted.
//!
//! Lines are read one after the other: Postfix's and sendmail's are distinguished by their form. What lines say about a message
//! is joined by its queue id; both open messages and results are bounded.

mod postfix;
mod sendmail;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

/// Most distinct decisions kept; further ones are only counted.
pub const DECISIONS_MAX: usize = 500_000;

/// Most messages still missing lines.
const OPEN_MAX: usize = 100_000;

/// Longest line examined, in octets.
const LINE_MAX: usize = 16 * 1_024;

/// A request and its outcome.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Decision {
    /// The client.
    pub client: IpAddr,
    /// The service, as the log calls it: `submission`, `MTA`; empty if the log does not say.
    pub service: String,
    /// The authenticated user.
    pub login: Option<String>,
    /// The client's `HELO` name, if the log has it.
    pub helo: Option<String>,
    /// The sender; empty for `<>`.
    pub sender: String,
    /// The recipient.
    pub recipient: String,
    /// The outcome.
    pub outcome: Outcome,
}

/// The outcome.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Outcome {
    /// The recipient was accepted.
    Taken,
    /// It was refused: code and text.
    Refused(u16, String),
}

/// A position in a file.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Place {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: u64,
}

/// How often something was decided, and where first.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Seen {
    /// How often.
    pub count: u64,
    /// Where first.
    pub place: Place,
}

/// Why decisions cannot be replayed.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Left {
    /// The content decided: a filter, or a check of the header or the body.
    Content,
    /// The log does not say who the recipient was: the client was refused before.
    NoRecipient,
    /// It was submitted on the machine itself.
    Local,
    /// An alias led there: sendmail's log does not show the address that the client gave.
    Alias,
    /// There were too many different ones.
    TooMany,
}

impl Left {
    /// Its description, for display.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Content => {
                "decided by the content: see `postern milters try` and `postern explain --message`"
            }
            Self::NoRecipient => "refused before a recipient was named",
            Self::Local => "handed in on the machine itself",
            Self::Alias => "taken by way of an alias: the log of sendmail does not say who was named",
            Self::TooMany => "beyond 500,000 different ones",
        }
    }
}

/// Reads logs.
#[derive(Debug, Default)]
pub struct Reader {
    decisions: HashMap<Decision, Seen>,
    left: HashMap<Left, u64>,
    open: HashMap<String, Open>,
    /// sendmail's logins, by the process that serves the session.
    logins: HashMap<String, (IpAddr, String)>,
    /// Number of lines read, and of those about mail.
    lines: (u64, u64),
    place: Place,
}

/// What is known about a message so far.
#[derive(Clone, Debug, Default)]
struct Open {
    client: Option<IpAddr>,
    is_local: bool,
    service: String,
    login: Option<String>,
    sender: Option<String>,
    recipients: Vec<(String, Outcome)>,
    /// The recipients seen, for fast look-up however many there are.
    named: HashSet<String>,
    place: Place,
}

impl Open {
    /// Marks the recipient as accepted, unless it already has an outcome.
    fn taken(&mut self, recipient: String) {
        if self.named.insert(recipient.clone()) {
            self.recipients.push((recipient, Outcome::Taken));
        }
    }

    fn refused(&mut self, recipient: String, outcome: Outcome) {
        self.named.insert(recipient.clone());
        self.recipients.push((recipient, outcome));
    }
}

impl Reader {
    /// A reader that has read nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What follows is in this file.
    pub fn file(&mut self, name: &str) {
        self.place = Place {
            file: name.to_owned(),
            line: 0,
        };
    }

    /// Reads a line.
    pub fn line(&mut self, line: &str) {
        self.place.line += 1;
        self.lines.0 += 1;
        if line.len() > LINE_MAX {
            return;
        }
        let Some((program, process, text)) = parted(line) else {
            return;
        };
        let is_known = postfix::line(self, program, text) || sendmail::line(self, program, process, text);
        self.lines.1 += u64::from(is_known);
    }

    /// All decisions, once everything was read; also what could not be matched up, and how many lines were read and were about
    /// mail.
    #[must_use]
    pub fn finish(mut self) -> (HashMap<Decision, Seen>, HashMap<Left, u64>, (u64, u64)) {
        let open: Vec<Open> = self.open.drain().map(|(_, open)| open).collect();
        for message in open {
            self.close(&message);
        }
        (self.decisions, self.left, self.lines)
    }

    /// The message with a queue id, created if unknown.
    fn open(&mut self, id: &str) -> &mut Open {
        if self.open.len() >= OPEN_MAX && !self.open.contains_key(id) {
            // Lines of the oldest may be missing: what is known about each counts now.
            let open: Vec<Open> = self.open.drain().map(|(_, open)| open).collect();
            for message in open {
                self.close(&message);
            }
        }
        let place = self.place.clone();
        self.open.entry(id.to_owned()).or_insert_with(|| Open {
            place,
            ..Open::default()
        })
    }

    /// Finishes a message that gets no more lines.
    fn ended(&mut self, id: &str) {
        if let Some(message) = self.open.remove(id) {
            self.close(&message);
        }
    }

    fn close(&mut self, message: &Open) {
        let count = message.recipients.len() as u64;
        let Some(client) = message.client else {
            if message.is_local {
                self.leave(Left::Local, count.max(1));
            }
            return;
        };
        for (recipient, outcome) in &message.recipients {
            let decision = Decision {
                client,
                service: message.service.clone(),
                login: message.login.clone(),
                helo: None,
                sender: message.sender.clone().unwrap_or_default(),
                recipient: recipient.clone(),
                outcome: outcome.clone(),
            };
            self.decided(decision, &message.place.clone());
        }
    }

    fn decided(&mut self, decision: Decision, place: &Place) {
        if !decision.recipient.contains('@') {
            return self.leave(Left::NoRecipient, 1);
        }
        if self.decisions.len() >= DECISIONS_MAX && !self.decisions.contains_key(&decision) {
            return self.leave(Left::TooMany, 1);
        }
        let seen = self.decisions.entry(decision).or_insert_with(|| Seen {
            count: 0,
            place: place.clone(),
        });
        seen.count += 1;
    }

    fn leave(&mut self, why: Left, count: u64) {
        *self.left.entry(why).or_default() += count;
    }
}

/// Splits a syslog line: the program with its tags, its process id, and the message. Both date formats are understood.
fn parted(line: &str) -> Option<(&str, &str, &str)> {
    let (head, text) = line.split_once("]: ")?;
    let (before, process) = head.rsplit_once('[')?;
    let is_process = !process.is_empty() && process.bytes().all(|octet| octet.is_ascii_digit());
    let program = before.rsplit(' ').next()?;
    is_process.then_some((program, process, text))
}

/// The value of `name=…` in a text, up to its end.
fn field<'t>(text: &'t str, name: &str, ends: &[char]) -> Option<&'t str> {
    let mut rest = text;
    loop {
        let at = rest.find(name)?;
        let begins = at == 0 || rest[..at].ends_with([' ', ',', ';']);
        let value = &rest[at + name.len()..];
        if begins {
            return Some(value.split(ends).next().unwrap_or(value));
        }
        rest = value;
    }
}

/// The address between the first `[` and `]`; IPv6 may have a prefix `IPv6:`.
fn in_brackets(text: &str) -> Option<IpAddr> {
    let inside = text.split_once('[')?.1.split_once(']')?.0;
    inside.trim_start_matches("IPv6:").parse().ok()
}

/// An address without its angle brackets.
fn bare(text: &str) -> String {
    text.trim()
        .trim_start_matches('<')
        .trim_end_matches('>')
        .to_owned()
}

/// A reply's code and the text after it.
fn reply(text: &str) -> Option<(u16, &str)> {
    let code: u16 = text.get(..3)?.parse().ok()?;
    (400..600).contains(&code).then(|| (code, text[3..].trim()))
}
