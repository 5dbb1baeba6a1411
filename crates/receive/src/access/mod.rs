//! Access rules in a session: facts are gathered, rules are judged at each stage ([`postern_policy::access`]), what they lack is found
//! out, and what they want done is done. A session whose listener has no rules has nothing of this.

mod end;
pub mod facts;
pub mod find;
mod noted;
pub mod service;
mod settings;
mod stages;

use std::time::Duration;

use jiff::Zoned;
use postern_mail::{Mailbox, ReversePath};
use postern_policy::access::facts::HeloFaults;
use postern_policy::access::names::AddressKey;
use postern_policy::access::{Answers, Destination, Outcome, Scope, Stage, judge};

use self::find::Finding;
use self::noted::Notes;
pub use self::settings::{AccessSettings, ServiceSettings};
use crate::io::{End, Io};
use crate::session::Session;

pub(crate) use self::end::end;
pub(crate) use self::service::Services;
pub(crate) use self::stages::{AtRecipient, Judged};
pub(crate) use self::stages::{connect, helo, recipient, sender};

/// Questions that one judgement may take: more than there are, unless tables lead in circles.
const QUESTIONS_MAX: usize = 1_000;

/// What is known for the rules of a session.
#[derive(Default)]
pub(crate) struct Accessing {
    answers: Answers,
    /// What the client calls itself, in small letters, as the answers about it have it.
    helo: String,
    /// What is wrong with that by itself.
    helo_faults: HeloFaults,
    /// The sender of the transaction under way.
    sender: Option<Sender>,
    /// Names of the client's choosing that were looked up in DNS.
    lookups: u32,
    /// Recipients that were taken and about which rules have still to be judged when the message has come.
    open: Vec<Open>,
    /// What rules want done with the message.
    notes: Notes,
    /// The rule by which a recipient elsewhere was taken.
    relayed_by: Option<String>,
    /// The number of the transaction, for policy services.
    transactions: u64,
}

/// The sender of a transaction, as rules see it.
struct Sender {
    key: Option<AddressKey>,
}

/// A recipient about which not all was known.
struct Open {
    named: Mailbox,
    key: AddressKey,
    destination: Destination,
    /// Where its mail goes.
    goes: Vec<Mailbox>,
    answers: Answers,
}

/// What is judged.
pub(crate) struct Matter<'a> {
    stage: Stage,
    recipient: Option<(&'a AddressKey, Destination)>,
    authors: &'a [AddressKey],
    size: u64,
    recipients: usize,
    queue: &'a str,
}

impl Accessing {
    /// Of a session whose listener has rules.
    pub(crate) fn of(session: &Session) -> Option<Box<Self>> {
        (!session.profile.access.rules.is_empty()).then(|| {
            let mut access = Box::<Self>::default();
            access.helo_faults = facts::faults_in(&access.helo, session);
            access
        })
    }

    /// A transaction begins: what DNS and tables could not say before is asked again.
    fn begin_transaction(&mut self, sender: &ReversePath, separator: Option<char>) {
        self.answers.forget(Scope::Transaction);
        self.answers.forget_unsure();
        self.open.clear();
        self.notes = Notes::default();
        self.relayed_by = None;
        self.transactions += 1;
        self.sender = Some(Sender {
            key: sender
                .mailbox()
                .map(|mailbox| AddressKey::new(mailbox, separator)),
        });
    }

    /// The client calls itself so.
    fn calls_itself(&mut self, helo: &str, faults: HeloFaults) {
        if self.helo != helo {
            self.answers.forget(Scope::Helo);
            helo.clone_into(&mut self.helo);
            self.helo_faults = faults;
        }
    }

    /// Finds out what the rules lack, until they have said all that can be said at a stage. What was said to the client before is sent
    /// before anybody is waited for.
    async fn settle(
        &mut self,
        matter: &Matter<'_>,
        io: Option<&mut Io>,
        session: &Session,
    ) -> Result<(), End> {
        let access = &session.profile.access;
        let now = Zoned::now().datetime();
        let mut io = io;
        for _ in 0..QUESTIONS_MAX {
            let question = {
                let facts = facts::facts(self, matter, now, session);
                match judge(&access.rules, &facts, &self.answers, |_, _| {}) {
                    Outcome::Ask(question) => question,
                    _ => return Ok(()),
                }
            };
            if let Some(io) = io.take() {
                io.flush().await?;
            }
            Finding { matter, now, session }.find(question, self).await;
        }
        Ok(())
    }

    /// Says what comes of the rules, by what is known now.
    fn outcome<'a>(&'a self, matter: &Matter<'_>, session: &'a Session) -> Outcome<'a> {
        let facts = facts::facts(self, matter, Zoned::now().datetime(), session);
        judge(&session.profile.access.rules, &facts, &self.answers, |_, _| {})
    }
}

/// How long one question may take.
fn limit(session: &Session) -> Duration {
    let timeout = session.profile.settings.screen.timeout;
    session.patience_for(timeout).min(session.life_left())
}
