//! What is gathered from the lines of a log.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

/// Most distinct decisions kept; further ones are only counted.
pub const DECISIONS_MAX: usize = 500_000;

/// Most messages still missing lines.
const OPEN_MAX: usize = 100_000;

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

/// What is known about a message so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Open {
    pub(super) client: Option<IpAddr>,
    pub(super) is_local: bool,
    pub(super) service: String,
    pub(super) login: Option<String>,
    pub(super) sender: Option<String>,
    pub(super) recipients: Vec<(String, Outcome)>,
    /// The recipients seen, for fast look-up however many there are.
    pub(super) named: HashSet<String>,
    pub(super) place: Place,
}

impl Open {
    /// Marks the recipient as accepted, unless it already has an outcome.
    pub(super) fn taken(&mut self, recipient: String) {
        if self.named.insert(recipient.clone()) {
            self.recipients.push((recipient, Outcome::Taken));
        }
    }

    pub(super) fn refused(&mut self, recipient: String, outcome: Outcome) {
        self.named.insert(recipient.clone());
        self.recipients.push((recipient, outcome));
    }
}

/// All that the lines have said so far.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) decisions: HashMap<Decision, Seen>,
    pub(super) left: HashMap<Left, u64>,
    pub(super) open: HashMap<String, Open>,
    /// sendmail's logins, by the process that serves the session.
    pub(super) logins: HashMap<String, (IpAddr, String)>,
    pub(super) place: Place,
}

impl Gathered {
    /// The message with a queue id, created if unknown.
    pub(super) fn open(&mut self, id: &str) -> &mut Open {
        if self.open.len() >= OPEN_MAX && !self.open.contains_key(id) {
            // Lines of the oldest may be missing: what is known about each counts now.
            self.close_all();
        }
        let place = self.place.clone();
        self.open.entry(id.to_owned()).or_insert_with(|| Open {
            place,
            ..Open::default()
        })
    }

    /// Finishes a message that gets no more lines.
    pub(super) fn ended(&mut self, id: &str) {
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

    pub(super) fn decided(&mut self, decision: Decision, place: &Place) {
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

    pub(super) fn leave(&mut self, why: Left, count: u64) {
        *self.left.entry(why).or_default() += count;
    }

    /// Finishes all messages.
    pub(super) fn close_all(&mut self) {
        let open: Vec<Open> = self.open.drain().map(|(_, open)| open).collect();
        for message in open {
            self.close(&message);
        }
    }
}
