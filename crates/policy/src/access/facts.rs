//! What is known of a client when rules are judged, and what must be looked up for them.

use std::net::IpAddr;

use jiff::civil::DateTime;

use super::action::Action;
use super::names::AddressKey;
use crate::relay::CertificateFacts;
use crate::screen::finding::{ClientName, Known};

/// How far a session has come. Each stage knows all that the ones before it knew.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Stage {
    /// It has begun: the address is known, and what DNS says about it.
    #[default]
    Connect,
    /// The client has introduced itself.
    Helo,
    /// `MAIL`: from here to the end of the message, TLS and authentication do not change.
    Mail,
    /// `RCPT`.
    Rcpt,
    /// The message has been received.
    Data,
}

impl Stage {
    /// All, in their order.
    pub const ALL: [Self; 5] = [Self::Connect, Self::Helo, Self::Mail, Self::Rcpt, Self::Data];

    /// What the client does in this stage, for people.
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
    /// Not given yet.
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
    /// In any other domain.
    Elsewhere,
}

/// TLS of a session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TlsState<'a> {
    /// The version, such as `TLSv1.3`.
    pub version: &'a str,
}

/// What is known without any look-up.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// How far the session has come.
    pub stage: Stage,
    /// The name of the listener.
    pub listener: &'a str,
    /// The client's address.
    pub peer: IpAddr,
    /// Its `HELO` name in lower case; empty before it gave one.
    pub helo: &'a str,
    /// What is wrong with that name, without any look-up.
    pub helo_faults: HeloFaults,
    /// TLS, if it has started.
    pub tls: Option<TlsState<'a>>,
    /// The client's certificate, if and only if it was verified.
    pub certificate: Option<&'a CertificateFacts>,
    /// The user it acts as, if it has authenticated.
    pub login: Option<&'a str>,
    /// Whether it has not authenticated and may not relay.
    pub stranger: bool,
    /// The sender of the envelope.
    pub sender: Party<'a>,
    /// The recipient in question.
    pub recipient: Party<'a>,
    /// The kind of domain it is in.
    pub destination: Option<Destination>,
    /// The addresses of `From`; known with the message.
    pub authors: &'a [AddressKey],
    /// The size of the message: as announced, or the real one once received.
    pub size: u64,
    /// The local time.
    pub now: DateTime,
}

/// What is wrong with the name in `HELO`, without asking DNS.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct HeloFaults {
    /// Neither a full host name nor an address literal.
    pub syntax: bool,
    /// Nothing that could be a host name, full or not, or an address.
    pub invalid: bool,
    /// A name or address of this server.
    pub own: bool,
}

/// Something that must be looked up.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Question {
    /// The host name of the client's address.
    ClientName,
    /// Whether DNS knows the name in `HELO`.
    Helo,
    /// Whether the domain of the sender accepts mail.
    Sender,
    /// Whether the domain of the recipient accepts mail.
    Recipient,
    /// The addresses of the hosts that accept mail for the sender's domain.
    SenderMx,
    /// Whether the sender exists, if its domain is one of this server's.
    SenderListed,
    /// Whether the DNS list with this number lists its subject.
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
    /// Until the client gives another `HELO` name.
    Helo,
    /// For one transaction.
    Transaction,
    /// For one recipient.
    Recipient,
}

/// The answer to a question.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Yes; or there is room.
    Yes,
    /// No; or nothing was found, or there is no room.
    No,
    /// A table or service wants this done.
    Action(Action),
    /// They have these addresses.
    Addresses(Vec<IpAddr>),
    /// It could not be found out, for this reason.
    Unsure(String),
}

/// The answers so far.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    client: Option<ClientName>,
    known: Vec<(Question, Scope, Known)>,
    found: Vec<(Question, Scope, Answer)>,
}

impl Answers {
    /// Keeps the client's host name, for the whole session.
    pub fn client_is(&mut self, name: ClientName) {
        self.client = Some(name);
    }

    /// Keeps what DNS says about a domain.
    pub fn domain_is(&mut self, question: Question, scope: Scope, known: Known) {
        self.known.push((question, scope, known));
    }

    /// Keeps the answer to another question.
    pub fn found(&mut self, question: Question, scope: Scope, answer: Answer) {
        self.found.push((question, scope, answer));
    }

    /// Forgets all answers of this scope and of narrower ones.
    pub fn forget(&mut self, scope: Scope) {
        self.known.retain(|(_, of, _)| *of < scope);
        self.found.retain(|(_, of, _)| *of < scope);
    }

    /// Forgets failed look-ups: they may succeed now.
    pub fn forget_unsure(&mut self) {
        let client = self.client.take();
        self.client =
            client.filter(|name| !matches!(name, ClientName::Unsure { .. } | ClientName::Unanswered(_)));
        self.known
            .retain(|(.., known)| !matches!(known, Known::Unanswered(_)));
        self.found
            .retain(|(.., answer)| !matches!(answer, Answer::Unsure(_)));
    }

    /// The host name of the client's address.
    #[must_use]
    pub const fn client(&self) -> Option<&ClientName> {
        self.client.as_ref()
    }

    /// What DNS says about a domain.
    #[must_use]
    pub fn domain(&self, question: Question) -> Option<&Known> {
        let mut known = self.known.iter();
        known
            .find(|(asked, ..)| *asked == question)
            .map(|(.., known)| known)
    }

    /// The answer to another question.
    #[must_use]
    pub fn of(&self, question: Question) -> Option<&Answer> {
        let mut found = self.found.iter();
        found
            .find(|(asked, ..)| *asked == question)
            .map(|(.., answer)| answer)
    }
}
