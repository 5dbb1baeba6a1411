//! What is known of a client when its rules are judged, and what has to be found out for them.

use std::net::IpAddr;

use jiff::civil::DateTime;

use super::action::Action;
use super::names::AddressKey;
use crate::relay::CertificateFacts;
use crate::screen::finding::{ClientName, Known};

/// How far a session has come. Each stage knows all that the ones before it knew.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Stage {
    /// It has begun: the address is known, and what DNS says of it.
    #[default]
    Connect,
    /// The client has introduced itself.
    Helo,
    /// `MAIL`: from here to the end of the message TLS and the login stay as they are.
    Mail,
    /// `RCPT`.
    Rcpt,
    /// The message has come.
    Data,
}

impl Stage {
    /// All, in their order.
    pub const ALL: [Self; 5] = [Self::Connect, Self::Helo, Self::Mail, Self::Rcpt, Self::Data];

    /// What the client does then, for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Helo => "helo",
            Self::Mail => "mail",
            Self::Rcpt => "rcpt",
            Self::Data => "data",
        }
    }
}

/// An address of the envelope.
#[derive(Clone, Copy, Debug, Default)]
pub enum Party<'a> {
    /// Not said yet.
    #[default]
    Unknown,
    /// `<>`.
    Null,
    /// This one.
    Address(&'a AddressKey),
}

impl<'a> Party<'a> {
    /// Its address, if it has one.
    #[must_use]
    pub const fn address(self) -> Option<&'a AddressKey> {
        match self {
            Self::Address(address) => Some(address),
            Self::Unknown | Self::Null => None,
        }
    }
}

/// Where a recipient is, before rules are asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Destination {
    /// In a local domain.
    Local,
    /// In a relay domain.
    Relay,
    /// Elsewhere.
    Elsewhere,
}

/// TLS of a session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TlsState<'a> {
    /// The version, such as `TLSv1.3`.
    pub version: &'a str,
}

/// What is known without asking anybody.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// How far the session has come.
    pub stage: Stage,
    /// The name of the listener.
    pub listener: &'a str,
    /// The client's address.
    pub peer: IpAddr,
    /// What it calls itself, in small letters; empty before it has.
    pub helo: &'a str,
    /// What is wrong with that name by itself: no full host name or address literal, or one of this server's.
    pub helo_faults: HeloFaults,
    /// TLS, where it has started.
    pub tls: Option<TlsState<'a>>,
    /// The client's certificate, if and only if it was verified.
    pub certificate: Option<&'a CertificateFacts>,
    /// Whom it acts as, if it has logged in.
    pub login: Option<&'a str>,
    /// Whether it has neither logged in nor may relay.
    pub stranger: bool,
    /// The sender of the envelope.
    pub sender: Party<'a>,
    /// The recipient in question.
    pub recipient: Party<'a>,
    /// Where that is.
    pub destination: Option<Destination>,
    /// The addresses of `From`; known with the message.
    pub authors: &'a [AddressKey],
    /// The size of the message: as announced, or, once it has come, as it is.
    pub size: u64,
    /// The time on the clock of this machine.
    pub now: DateTime,
}

/// What is wrong with the name in `HELO`, without asking DNS.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct HeloFaults {
    /// Neither a full host name nor an address literal.
    pub syntax: bool,
    /// Nothing that can be a host name, full or not, or an address.
    pub invalid: bool,
    /// A name or address of this server.
    pub own: bool,
}

/// Something that has to be found out.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Question {
    /// What the client's address is called.
    ClientName,
    /// Whether DNS knows the name in `HELO`.
    Helo,
    /// Whether the domain of the sender takes mail.
    Sender,
    /// Whether the domain of the recipient takes mail.
    Recipient,
    /// At which addresses the hosts are that take mail for the sender's domain.
    SenderMx,
    /// Whether the sender exists, if its domain is one of this server's.
    SenderListed,
    /// Whether the DNS list with this number knows its subject.
    List(usize),
    /// What the look-up with this number finds.
    LookUp(usize),
    /// What the policy service with this number wants done.
    Service(usize),
    /// Whether the limit with this number has room; asking counts.
    Limit(usize),
}

/// How long an answer holds.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Scope {
    /// As long as the session.
    Session,
    /// Until the client calls itself otherwise.
    Helo,
    /// For one transaction.
    Transaction,
    /// For one recipient.
    Recipient,
}

/// What came of a question.
#[derive(Clone, Debug)]
pub enum Answer {
    /// So it is; or there is room.
    Yes,
    /// So it is not; or there is nothing to be found, or no room.
    No,
    /// A table or service wants this done.
    Action(Action),
    /// They are there.
    Addresses(Vec<IpAddr>),
    /// Nobody could say, and why.
    Unsure(String),
}

/// What was found out so far.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    client: Option<ClientName>,
    known: Vec<(Question, Scope, Known)>,
    found: Vec<(Question, Scope, Answer)>,
}

impl Answers {
    /// Keeps what the client's address is called. That holds for the session.
    pub fn client_is(&mut self, name: ClientName) {
        self.client = Some(name);
    }

    /// Keeps what DNS says of a domain.
    pub fn domain_is(&mut self, question: Question, scope: Scope, known: Known) {
        self.known.push((question, scope, known));
    }

    /// Keeps what came of another question.
    pub fn found(&mut self, question: Question, scope: Scope, answer: Answer) {
        self.found.push((question, scope, answer));
    }

    /// Forgets what does not hold any more: all answers of this scope and of narrower ones.
    pub fn forget(&mut self, scope: Scope) {
        self.known.retain(|(_, of, _)| *of < scope);
        self.found.retain(|(_, of, _)| *of < scope);
    }

    /// Forgets what nobody could say: it may be otherwise by now.
    pub fn forget_unsure(&mut self) {
        let client = self.client.take();
        self.client =
            client.filter(|name| !matches!(name, ClientName::Unsure { .. } | ClientName::Unanswered(_)));
        self.known
            .retain(|(.., known)| !matches!(known, Known::Unanswered(_)));
        self.found
            .retain(|(.., answer)| !matches!(answer, Answer::Unsure(_)));
    }

    /// What the client's address is called.
    #[must_use]
    pub const fn client(&self) -> Option<&ClientName> {
        self.client.as_ref()
    }

    /// What DNS says of a domain.
    #[must_use]
    pub fn domain(&self, question: Question) -> Option<&Known> {
        let mut known = self.known.iter();
        known
            .find(|(asked, ..)| *asked == question)
            .map(|(.., known)| known)
    }

    /// What came of another question.
    #[must_use]
    pub fn of(&self, question: Question) -> Option<&Answer> {
        let mut found = self.found.iter();
        found
            .find(|(asked, ..)| *asked == question)
            .map(|(.., answer)| answer)
    }
}
