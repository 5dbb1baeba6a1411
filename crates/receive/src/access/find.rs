//! Looks up what access rules depend on: DNS names, DNS lists, tables, policy services, limits. `explain` uses the same code.

use std::time::Duration;

use postern_directory::aliases::Aliases;
use postern_directory::tables::Lookup;
use postern_directory::{Directories, Lead};
use postern_mail::Mailbox;
use postern_policy::access::keys::{Form, LookUp, Subject};
use postern_policy::access::names::AddressKey;
use postern_policy::access::written::{self, Context};
use postern_policy::access::{AccessRules, Answer, Answers, Facts, Party, Question, Scope};
use postern_policy::limit::Counted;
use postern_policy::screen::finding::{ClientName, Known};
use postern_policy::screen::helo::HeloName;
use postern_policy::screen::list::{
    Answered, DnsList, Subject as ListSubject, address_question, domain_question,
};
use postern_table::{Address, Key, Plan, Subject as Sought};

use super::state::{Accessing, Matter};
use super::{facts, services_asked};
use crate::Settings;
use crate::screen::look::{Look, Question as ListQuestion};
use crate::session::Session;

/// One question to be answered.
pub(super) struct Finding<'a> {
    pub(super) matter: &'a Matter<'a>,
    pub(super) session: &'a Session,
}

impl Finding<'_> {
    /// Finds the answer to a question, and keeps it. Futures that wait for the network are boxed, so that a table look-up does
    /// not pay for their size.
    pub(super) async fn find(&self, question: Question, access: &mut Accessing) {
        let session = self.session;
        match question {
            Question::ClientName => {
                let name = match session.called.clone() {
                    Some(name) => name,
                    None => Box::pin(self.look().client_name(session.peer.ip())).await,
                };
                access.answers.client_is(name);
            }
            Question::Helo | Question::Sender | Question::Recipient => {
                Box::pin(self.domain(question, access)).await
            }
            Question::SenderMx => {
                let answer = Box::pin(self.sender_mx(access)).await;
                access.answers.found(question, Scope::Transaction, answer);
            }
            Question::SenderListed => {
                let answer = Box::pin(self.sender_listed(access)).await;
                access.answers.found(question, Scope::Transaction, answer);
            }
            Question::List(number) => Box::pin(self.list(number, access)).await,
            Question::LookUp(number) => self.look_up(number, access).await,
            Question::Service(number) => {
                let answer = Box::pin(services_asked::ask(number, self.matter, access, session)).await;
                access.answers.found(question, Scope::Recipient, answer);
            }
            Question::Limit(number) => {
                let has_room = self.count(number);
                let answer = if has_room { Answer::Yes } else { Answer::No };
                access.answers.found(question, Scope::Recipient, answer);
            }
        }
    }

    fn look(&self) -> Look {
        Look::new(self.session.shared.deps.resolver.clone(), limit(self.session))
    }

    /// Whether DNS may be asked about one more name that the client chose.
    fn may_look(&self, access: &mut Accessing) -> Result<(), String> {
        let most = self.session.profile.settings.screen.lookups;
        access.lookups = access.lookups.saturating_add(1);
        if access.lookups > most && self.session.is_stranger() {
            return Err(format!(
                "more than {most} names of one session to look up (`lookups` in [screen])"
            ));
        }
        Ok(())
    }

    async fn domain(&self, question: Question, access: &mut Accessing) {
        let (scope, name) = {
            let facts = facts::facts(access, self.matter, self.session);
            match question {
                Question::Helo => (Scope::Helo, facts.helo.to_owned()),
                Question::Sender => (Scope::Transaction, domain_of(&facts, true)),
                _ => (Scope::Recipient, domain_of(&facts, false)),
            }
        };
        let is_own = name
            .parse()
            .is_ok_and(|domain| self.session.judge().is_own_domain(&domain));
        let known = if is_own {
            Known::Yes
        } else {
            match self.may_look(access) {
                Ok(()) => self.look().known(&name).await,
                Err(reason) => Known::Unanswered(reason),
            }
        };
        access.answers.domain_is(question, scope, known);
    }

    async fn sender_mx(&self, access: &mut Accessing) -> Answer {
        let sender = access.sender.as_ref().and_then(|sender| sender.key.as_ref());
        let Some(domain) = sender.map(|sender| sender.domain().to_owned()) else {
            return Answer::No;
        };
        let is_own = domain
            .parse()
            .is_ok_and(|domain| self.session.judge().is_own_domain(&domain));
        if is_own {
            return Answer::No;
        }
        match self.may_look(access) {
            Ok(()) => match self.look().mail_addresses(&domain).await {
                Ok(addresses) => Answer::Addresses(addresses),
                Err(reason) => Answer::Unsure(reason),
            },
            Err(reason) => Answer::Unsure(reason),
        }
    }

    /// Whether the sender exists. One in a remote domain is assumed to.
    async fn sender_listed(&self, access: &Accessing) -> Answer {
        let sender = access.sender.as_ref().and_then(|sender| sender.key.as_ref());
        let Some(mailbox) = sender.and_then(|sender| sender.whole().parse::<Mailbox>().ok()) else {
            return Answer::Yes;
        };
        let session = self.session;
        let deps = &session.shared.deps;
        let (directories, aliases) = (deps.directories.load_full(), deps.aliases.load_full());
        listed(&mailbox, &session.profile.settings, &directories, &aliases).await
    }

    async fn list(&self, number: usize, access: &mut Accessing) {
        let rules = &self.session.profile.access.rules;
        let Some(list) = rules.lists.get(number) else {
            return;
        };
        let (scope, asked) = {
            let facts = facts::facts(access, self.matter, self.session);
            (scope_of_list(list), question_of_list(list, &facts))
        };
        let may = match list.subject {
            ListSubject::Client => Ok(()),
            ListSubject::Helo | ListSubject::Sender => self.may_look(access),
        };
        let answer = match (asked, may) {
            (None, _) => Answer::No,
            (Some(_), Err(reason)) => Answer::Unsure(reason),
            (Some(asked), Ok(())) => {
                let found = self.look().ask(asked).await;
                crate::screen::tell_health_of(&found, list, self.session);
                match (&found.found, found.read(list)) {
                    (Err(reason), _) => Answer::Unsure(reason.clone()),
                    (Ok(_), Some(Answered::Listed(_))) => Answer::Yes,
                    (Ok(_), _) => Answer::No,
                }
            }
        };
        access.answers.found(Question::List(number), scope, answer);
    }

    async fn look_up(&self, number: usize, access: &mut Accessing) {
        let settings = &self.session.profile.access;
        let (Some(look_up), Some(table)) = (settings.rules.look_ups.get(number), settings.tables.get(number))
        else {
            access
                .answers
                .found(Question::LookUp(number), Scope::Recipient, Answer::No);
            return;
        };
        let keys = {
            let facts = facts::facts(access, self.matter, self.session);
            keys_of(
                look_up,
                &facts,
                &access.answers,
                self.session.profile.settings.identity.tag_separator,
            )
        };
        let keys = match keys {
            Ok(keys) => keys,
            Err(None) => {
                let name = Box::pin(self.look().client_name(self.session.peer.ip())).await;
                access.answers.client_is(name);
                return;
            }
            Err(Some(reason)) => {
                access.answers.found(
                    Question::LookUp(number),
                    Scope::Transaction,
                    Answer::Unsure(reason),
                );
                return;
            }
        };
        let answer = look_into(table, &keys, look_up, &settings.rules).await;
        access
            .answers
            .found(Question::LookUp(number), scope_of(look_up.subject), answer);
    }

    /// Counts a recipient against a limit; returns whether it was within it.
    fn count(&self, number: usize) -> bool {
        let session = self.session;
        let Some(named) = session.profile.access.rules.limits.get(number) else {
            return true;
        };
        let limits = &session.profile.settings.limits_of_clients;
        let Some(limit) = limits.iter().find(|limit| limit.name == named.name) else {
            return true;
        };
        let mut tally = session.shared.tally.lock();
        tally
            .count(limit, Counted::Recipient, session.peer.ip(), crate::time::now())
            .is_ok()
    }
}

/// Whether an address exists here; one in a remote domain is assumed to.
pub async fn listed(
    mailbox: &Mailbox,
    settings: &Settings,
    directories: &Directories,
    aliases: &Aliases,
) -> Answer {
    let relay = &settings.relay;
    if relay.is_here(mailbox.domain()) {
        return match settings.residents(directories, aliases).lead(mailbox).await {
            Lead::Nobody => Answer::No,
            Lead::Unknown(reason) => Answer::Unsure(reason),
            _ => Answer::Yes,
        };
    }
    if settings.relay_recipients.is_empty() || !relay.relay_domains.contains_by_name(mailbox.domain()) {
        return Answer::Yes;
    }
    match settings.relay_recipient(mailbox).await {
        Ok(Some(_)) => Answer::Yes,
        Ok(None) => Answer::No,
        Err(down) => Answer::Unsure(down.to_string()),
    }
}

fn domain_of(facts: &Facts<'_>, sender: bool) -> String {
    let party = if sender { facts.sender } else { facts.recipient };
    party
        .address()
        .map(|address| address.domain().to_owned())
        .unwrap_or_default()
}

/// How long an answer about this subject holds.
#[must_use]
pub const fn scope_of(subject: Subject) -> Scope {
    match subject {
        // Between two transactions a session may authenticate, and a table may change.
        Subject::Client | Subject::ClientName | Subject::ReverseName | Subject::Login | Subject::Sender => {
            Scope::Transaction
        }
        Subject::Helo => Scope::Helo,
        Subject::Recipient => Scope::Recipient,
    }
}

/// How long the answer of a DNS list holds.
#[must_use]
pub const fn scope_of_list(list: &DnsList) -> Scope {
    match list.subject {
        ListSubject::Client => Scope::Session,
        ListSubject::Helo => Scope::Helo,
        ListSubject::Sender => Scope::Transaction,
    }
}

/// What to ask a DNS list; `None` if there is nothing to ask.
#[must_use]
pub fn question_of_list(list: &DnsList, facts: &Facts<'_>) -> Option<ListQuestion> {
    let name = match list.subject {
        ListSubject::Client => Some(address_question(facts.peer, &list.zone)),
        ListSubject::Helo => {
            let name = HeloName::of(facts.helo);
            name.host().and_then(|host| domain_question(host, &list.zone))
        }
        ListSubject::Sender => {
            let sender = facts.sender.address()?;
            domain_question(sender.domain(), &list.zone)
        }
    };
    Some(ListQuestion {
        zone: list.zone.clone(),
        subject: list.subject,
        name: name?,
    })
}

/// The keys of a look-up, in order; `separator` is between the name and the detail of an address.
///
/// # Errors
///
/// `None` if the client's host name must be looked up first; otherwise why there are no keys.
pub fn keys_of(
    look_up: &LookUp,
    facts: &Facts<'_>,
    answers: &Answers,
    separator: Option<char>,
) -> Result<Vec<Key>, Option<String>> {
    let mut buffer = [0; 4];
    let separators: &str = separator.map_or("", |separator| separator.encode_utf8(&mut buffer));
    let sought = match look_up.subject {
        Subject::Client => Some(Sought::Network(facts.peer)),
        Subject::ClientName | Subject::ReverseName => match (answers.client(), look_up.subject) {
            (None, _) => return Err(None),
            (Some(ClientName::Confirmed(name)), _)
            | (Some(ClientName::Unconfirmed(name) | ClientName::Unsure { name, .. }), Subject::ReverseName) => {
                Some(Sought::Name(name))
            }
            (Some(ClientName::Unsure { reason, .. } | ClientName::Unanswered(reason)), _) => {
                return Err(Some(reason.clone()));
            }
            // This is Postfix's word for it.
            (Some(ClientName::Unconfirmed(_) | ClientName::Nameless), _) => {
                (look_up.form == Form::Postfix).then_some(Sought::Name("unknown"))
            }
        },
        Subject::Helo => Some(Sought::Name(facts.helo)).filter(|_| !facts.helo.is_empty()),
        Subject::Sender => of_party(facts.sender, separators, look_up.form),
        Subject::Recipient => of_party(facts.recipient, separators, look_up.form),
        Subject::Login => facts.login.map(Sought::Name),
    };
    let plan = if look_up.subject == Subject::Login {
        Plan::Exact
    } else {
        Plan::Access
    };
    Ok(match sought {
        None => Vec::new(),
        Some(sought) if look_up.form == Form::Sendmail => {
            Plan::sendmail_access(look_up.subject.tag(), true, &sought)
        }
        Some(sought) => plan.keys(&sought),
    })
}

fn of_party<'a>(party: Party<'a>, separators: &'a str, form: Form) -> Option<Sought<'a>> {
    match party {
        Party::Unknown => None,
        // Sendmail looks for `<@>`.
        Party::Null => Some(Sought::Name(if form == Form::Sendmail { "<@>" } else { "<>" })),
        Party::Address(address) => Address::of(AddressKey::whole(address), separators).map(Sought::Address),
    }
}

/// The table's entry for the first of these keys that it has.
pub async fn look_into(table: &Lookup, keys: &[Key], look_up: &LookUp, rules: &AccessRules) -> Answer {
    match table.find(keys).await {
        Ok(None) => Answer::No,
        Ok(Some(hit)) => read(&hit.answer.value, &hit.key.text, look_up, rules),
        Err(down) => Answer::Unsure(down.to_string()),
    }
}

/// Interprets the result of a table look-up.
fn read(text: &str, key: &str, look_up: &LookUp, rules: &AccessRules) -> Answer {
    let class = |name: &str| rules.classes.iter().position(|class| *class.name == *name);
    let context = Context {
        class: &class,
        relay: look_up.relay,
    };
    let read = match look_up.form {
        Form::Members => return Answer::Yes,
        Form::Postfix => written::postfix(text, context),
        Form::Sendmail => written::sendmail(text, context),
    };
    match read {
        Ok(action) => Answer::Action(action),
        Err(error) => Answer::Unsure(format!("{}: {key}: {error}", look_up.table)),
    }
}

/// How long one question may take.
fn limit(session: &Session) -> Duration {
    let timeout = session.profile.settings.screen.timeout;
    session.patience_for(timeout).min(session.life_left())
}
