//! The conditions of rules.

use std::collections::HashSet;

use super::facts::{Answer, Answers, Destination, Facts, Party, Question, Stage};
use super::names::{AddressSet, NameSet};
use super::networks::NetworkSet;
use super::times::TimeWindow;
use crate::origin::LoginSet;
use crate::relay::CertificateRule;
use crate::screen::finding::{ClientName, Known};
use crate::screen::list::DnsList;

/// A condition: one of its tests holds; or, if negated, none does.
#[derive(Clone, Debug)]
pub struct Condition {
    /// Its key in the configuration, to show to people.
    pub key: &'static str,
    /// Whether it holds if none of the tests does.
    pub negated: bool,
    /// The tests.
    pub tests: Vec<Test>,
}

/// One test.
#[derive(Clone, Debug)]
pub enum Test {
    /// The client's address is in one of these networks.
    Client(NetworkSet),
    /// The client's forward-confirmed host name is one of these.
    ClientName(NameSet),
    /// The client's first host name is one of these, confirmed or not.
    ReverseName(NameSet),
    /// Its `HELO` name is one of these.
    Helo(NameSet),
    /// TLS is like this.
    Tls(TlsTest),
    /// Its verified certificate is one of these.
    Certificate(Vec<CertificateRule>),
    /// It has authenticated as one of these users.
    Login(LoginSet),
    /// It has not authenticated.
    NoLogin,
    /// It has not authenticated and may not relay.
    Stranger,
    /// It came to one of these listeners.
    Listener(HashSet<Box<str>>),
    /// The sender of the envelope is one of these.
    Sender(AddressSet),
    /// A host that accepts mail for the sender's domain has an address in one of these networks.
    SenderMx(NetworkSet),
    /// The recipient is one of these.
    Recipient(AddressSet),
    /// The recipient is in this kind of domain.
    Destination(Destination),
    /// An address of `From` is one of these.
    Author(AddressSet),
    /// The message is larger than this, in octets.
    LargerThan(u64),
    /// The local time is in this window.
    Time(TimeWindow),
    /// Something is wrong with the client or the envelope.
    Fault(Fault),
    /// The scores of DNS lists add up to enough.
    Lists {
        /// The lists.
        lists: Vec<ListTerm>,
        /// The lowest sum that matches.
        least: i32,
    },
    /// The look-up with this number finds something; its subject is known from this stage on.
    LookUp(usize, Stage),
}

/// A DNS list in a sum.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ListTerm {
    /// Its number.
    pub list: usize,
    /// What it adds if it lists its subject.
    pub score: i32,
    /// The stage from which it can be asked.
    pub stage: Stage,
}

/// A test of TLS.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TlsTest {
    /// No TLS.
    None,
    /// Any TLS.
    Any,
    /// The client has presented a certificate that was verified.
    Verified,
    /// It is this version, as `TLSv1.2`.
    Version(&'static str),
}

/// What can be wrong with a client or an envelope.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Fault {
    /// `HELO` gives neither a full host name nor an address literal.
    HeloSyntax,
    /// It gives nothing that could be a host name, full or not, or an address.
    HeloInvalid,
    /// It gives a name or an address of this server.
    HeloOwn,
    /// DNS does not know the name that it gives.
    HeloUnknown,
    /// The client's address has no host name.
    ClientNameless,
    /// No host name of it is confirmed by an address record.
    ClientUnconfirmed,
    /// The sender's domain has no dot in it.
    SenderNotFull,
    /// The sender's domain accepts no mail: it has neither MX records nor an address, or a null MX.
    SenderUnknown,
    /// The sender is in a domain of this server, but does not exist.
    SenderUnlisted,
    /// The recipient's domain has no dot in it.
    RecipientNotFull,
    /// The recipient's domain accepts no mail.
    RecipientUnknown,
}

/// Whether a condition holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Holds<'a> {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// It depends on what comes later in the session.
    Later,
    /// It depends on the answer to this question.
    Ask(Question),
    /// It cannot be found out, for this reason.
    Unsure(&'a str),
}

impl Condition {
    /// Whether it holds.
    #[must_use]
    pub fn holds<'a>(&self, facts: &Facts<'_>, answers: &'a Answers) -> Holds<'a> {
        let mut open = Holds::No;
        for test in &self.tests {
            let found = test.holds(facts, answers);
            if found == Holds::Yes {
                return if self.negated { Holds::No } else { Holds::Yes };
            }
            if found.rank() > open.rank() {
                open = found;
            }
        }
        match (open, self.negated) {
            (Holds::No, true) => Holds::Yes,
            (open, _) => open,
        }
    }
}

impl Holds<'_> {
    /// Which of several results counts for all: what can be asked now is asked before waiting for the rest.
    const fn rank(&self) -> u8 {
        match self {
            Self::No => 0,
            Self::Unsure(_) => 1,
            Self::Later => 2,
            Self::Ask(_) => 3,
            Self::Yes => 4,
        }
    }
}

impl Test {
    fn holds<'a>(&self, facts: &Facts<'_>, answers: &'a Answers) -> Holds<'a> {
        match self {
            Self::Client(networks) => yes(networks.contains(facts.peer)),
            Self::ClientName(names) => match answers.client() {
                None => Holds::Ask(Question::ClientName),
                Some(ClientName::Confirmed(name)) => yes(names.contains(name)),
                Some(ClientName::Unconfirmed(_) | ClientName::Nameless) => Holds::No,
                Some(ClientName::Unsure { reason, .. } | ClientName::Unanswered(reason)) => {
                    Holds::Unsure(reason)
                }
            },
            Self::ReverseName(names) => match answers.client() {
                None => Holds::Ask(Question::ClientName),
                Some(
                    ClientName::Confirmed(name)
                    | ClientName::Unconfirmed(name)
                    | ClientName::Unsure { name, .. },
                ) => yes(names.contains(name)),
                Some(ClientName::Nameless) => Holds::No,
                Some(ClientName::Unanswered(reason)) => Holds::Unsure(reason),
            },
            Self::Helo(names) => from(facts, Stage::Helo, || yes(names.contains(facts.helo))),
            Self::Tls(test) => match test {
                _ if facts.stage < Stage::Mail && facts.tls.is_none() => Holds::Later,
                TlsTest::None => yes(facts.tls.is_none()),
                TlsTest::Any => yes(facts.tls.is_some()),
                TlsTest::Verified => yes(facts.certificate.is_some()),
                TlsTest::Version(version) => yes(facts.tls.is_some_and(|tls| tls.version == *version)),
            },
            Self::Certificate(rules) => match facts.certificate {
                Some(certificate) => yes(rules.iter().any(|rule| rule.matches(certificate))),
                None if facts.stage < Stage::Mail => Holds::Later,
                None => Holds::No,
            },
            Self::Login(logins) => match facts.login {
                Some(login) => yes(logins.find(Some(login)).is_some()),
                None if facts.stage < Stage::Mail => Holds::Later,
                None => Holds::No,
            },
            Self::NoLogin => match facts.login {
                Some(_) => Holds::No,
                None if facts.stage < Stage::Mail => Holds::Later,
                None => Holds::Yes,
            },
            Self::Stranger => match facts.stranger {
                false => Holds::No,
                true if facts.stage < Stage::Mail => Holds::Later,
                true => Holds::Yes,
            },
            Self::Listener(names) => yes(names.contains(facts.listener)),
            Self::Sender(addresses) => party(facts.sender, addresses),
            Self::SenderMx(networks) => mx_holds(networks, facts, answers),
            Self::Recipient(addresses) => party(facts.recipient, addresses),
            Self::Destination(destination) => match facts.destination {
                None => Holds::Later,
                Some(found) => yes(found == *destination),
            },
            Self::Author(addresses) => from(facts, Stage::Data, || {
                yes(facts
                    .authors
                    .iter()
                    .any(|author| addresses.contains(Some(author))))
            }),
            // The announced size may be exceeded.
            Self::LargerThan(size) if facts.stage < Stage::Data => {
                if facts.size > *size {
                    Holds::Yes
                } else {
                    Holds::Later
                }
            }
            Self::LargerThan(size) => yes(facts.size > *size),
            Self::Time(window) => yes(window.contains(facts.now)),
            Self::Fault(fault) => fault.holds(facts, answers),
            Self::Lists { lists, least } => lists_hold(lists, *least, facts, answers),
            Self::LookUp(number, stage) => {
                from(facts, *stage, || match answers.of(Question::LookUp(*number)) {
                    None => Holds::Ask(Question::LookUp(*number)),
                    Some(Answer::Yes | Answer::Action(_)) => Holds::Yes,
                    Some(Answer::No | Answer::Addresses(_)) => Holds::No,
                    Some(Answer::Unsure(reason)) => Holds::Unsure(reason),
                })
            }
        }
    }
}

fn yes<'a>(holds: bool) -> Holds<'a> {
    if holds { Holds::Yes } else { Holds::No }
}

/// A test that can be made from a stage on.
fn from<'a>(facts: &Facts<'_>, stage: Stage, holds: impl FnOnce() -> Holds<'a>) -> Holds<'a> {
    if facts.stage < stage {
        Holds::Later
    } else {
        holds()
    }
}

fn party<'a>(party: Party<'_>, addresses: &AddressSet) -> Holds<'a> {
    match party {
        Party::Unknown => Holds::Later,
        Party::Null => yes(addresses.contains(None)),
        Party::Address(address) => yes(addresses.contains(Some(address))),
    }
}

/// Address literals and `<>` have no such hosts.
fn mx_holds<'a>(networks: &NetworkSet, facts: &Facts<'_>, answers: &'a Answers) -> Holds<'a> {
    match facts.sender {
        Party::Unknown => Holds::Later,
        Party::Null => Holds::No,
        Party::Address(sender) if sender.domain().starts_with('[') => Holds::No,
        Party::Address(_) => match answers.of(Question::SenderMx) {
            None => Holds::Ask(Question::SenderMx),
            Some(Answer::Addresses(hosts)) => yes(hosts.iter().any(|host| networks.contains(*host))),
            Some(Answer::Unsure(reason)) => Holds::Unsure(reason),
            Some(_) => Holds::No,
        },
    }
}

/// A list that does not answer counts as not listing the client, as in `[screen]`.
fn lists_hold<'a>(lists: &[ListTerm], least: i32, facts: &Facts<'_>, answers: &'a Answers) -> Holds<'a> {
    if lists.iter().any(|term| facts.stage < term.stage) {
        return Holds::Later;
    }
    let mut sum = 0_i32;
    for term in lists {
        match answers.of(Question::List(term.list)) {
            None => return Holds::Ask(Question::List(term.list)),
            Some(Answer::Yes) => sum = sum.saturating_add(term.score),
            Some(_) => {}
        }
    }
    yes(sum >= least)
}

impl Fault {
    fn holds<'a>(self, facts: &Facts<'_>, answers: &'a Answers) -> Holds<'a> {
        match self {
            Self::HeloSyntax => from(facts, Stage::Helo, || yes(facts.helo_faults.syntax)),
            Self::HeloInvalid => from(facts, Stage::Helo, || yes(facts.helo_faults.invalid)),
            Self::HeloOwn => from(facts, Stage::Helo, || yes(facts.helo_faults.own)),
            // A malformed name cannot be looked up.
            Self::HeloUnknown => from(facts, Stage::Helo, || match facts.helo_faults.syntax {
                true => Holds::No,
                false => unknown(Question::Helo, answers, false),
            }),
            Self::ClientNameless | Self::ClientUnconfirmed => match answers.client() {
                None => Holds::Ask(Question::ClientName),
                Some(ClientName::Confirmed(_)) => Holds::No,
                Some(ClientName::Nameless) => Holds::Yes,
                Some(ClientName::Unanswered(reason)) => Holds::Unsure(reason),
                Some(ClientName::Unconfirmed(_)) => yes(self == Self::ClientUnconfirmed),
                Some(ClientName::Unsure { .. }) if self == Self::ClientNameless => Holds::No,
                Some(ClientName::Unsure { reason, .. }) => Holds::Unsure(reason),
            },
            Self::SenderNotFull => not_full(facts.sender),
            Self::RecipientNotFull => not_full(facts.recipient),
            Self::SenderUnlisted => match facts.sender {
                Party::Unknown => Holds::Later,
                Party::Null => Holds::No,
                Party::Address(_) => match answers.of(Question::SenderListed) {
                    None => Holds::Ask(Question::SenderListed),
                    Some(Answer::Unsure(reason)) => Holds::Unsure(reason),
                    Some(found) => yes(matches!(found, Answer::No)),
                },
            },
            Self::SenderUnknown => domain_unknown(facts.sender, Question::Sender, answers),
            Self::RecipientUnknown => domain_unknown(facts.recipient, Question::Recipient, answers),
        }
    }

    /// All of them, with the words of the configuration.
    pub const ALL: [(&'static str, Self); 11] = [
        ("helo_syntax", Self::HeloSyntax),
        ("helo_invalid", Self::HeloInvalid),
        ("helo_own", Self::HeloOwn),
        ("helo_unknown", Self::HeloUnknown),
        ("client_nameless", Self::ClientNameless),
        ("client_unconfirmed", Self::ClientUnconfirmed),
        ("sender_not_full", Self::SenderNotFull),
        ("sender_unknown", Self::SenderUnknown),
        ("sender_unlisted", Self::SenderUnlisted),
        ("recipient_not_full", Self::RecipientNotFull),
        ("recipient_unknown", Self::RecipientUnknown),
    ];
}

/// An address literal counts as a full name.
fn not_full<'a>(party: Party<'_>) -> Holds<'a> {
    match party {
        Party::Unknown => Holds::Later,
        Party::Null => Holds::No,
        Party::Address(address) => {
            let domain = address.domain();
            yes(!domain.starts_with('[') && !domain.contains('.'))
        }
    }
}

fn domain_unknown<'a>(party: Party<'_>, question: Question, answers: &'a Answers) -> Holds<'a> {
    match party {
        Party::Unknown => Holds::Later,
        Party::Null => Holds::No,
        Party::Address(address) if address.domain().starts_with('[') => Holds::No,
        Party::Address(_) => unknown(question, answers, true),
    }
}

/// Whether DNS does not know a domain or, if it must accept mail, says that it accepts none.
fn unknown(question: Question, answers: &Answers, takes_mail: bool) -> Holds<'_> {
    match answers.domain(question) {
        None => Holds::Ask(question),
        Some(Known::Yes) => Holds::No,
        Some(Known::No) => Holds::Yes,
        Some(Known::NullMx) => yes(takes_mail),
        Some(Known::Unanswered(reason)) => Holds::Unsure(reason),
    }
}

/// The stage from which a DNS list can be asked.
#[must_use]
pub fn stage_of_list(list: &DnsList) -> Stage {
    use crate::screen::list::Subject;
    match list.subject {
        Subject::Client => Stage::Connect,
        Subject::Helo => Stage::Helo,
        Subject::Sender => Stage::Mail,
    }
}
