//! What `postern explain` says about access rules: which one decides, and why each earlier one does not match.

use jiff::Zoned;
use postern_directory::Directories;
use postern_directory::aliases::Aliases;
use postern_mail::{Mailbox, mailbox_list};
use postern_net::resolver::Resolver;
use postern_policy::access::delegation::Request;
use postern_policy::access::facts::TlsState;
use postern_policy::access::names::AddressKey;
use postern_policy::access::written::{self, Context};
use postern_policy::access::{
    AccessRefusal, AccessRule, AccessRules, Action, Answer, Answers, Destination, Facts, Noted, Outcome,
    Party, Question, Scope, Stage, Step, Why, Words, judge,
};
use postern_policy::rule::{Rule, Ruling};
use postern_policy::screen::finding::{ClientName, Known};
use postern_policy::screen::list::Answered;
use postern_receive::access::facts::faults_of;
use postern_receive::access::find::{keys_of, listed, look_into, question_of_list};
use postern_receive::access::service::ask_once;
use postern_receive::judge::Judge;
use postern_receive::screen::look::Look;

use super::explain::Course;
use crate::args::ExplainSessionArgs;

/// Most questions for one judgement.
const QUESTIONS_MAX: usize = 1_000;

/// What rules say about a recipient.
#[derive(Default)]
pub(super) struct Said {
    /// Whether a rule accepts it.
    pub(super) accepted: bool,
    /// Whether that is a reason to relay.
    pub(super) relays: bool,
    /// Whether a rule refuses it, or discards its mail.
    pub(super) over: bool,
    /// Where its mail goes instead.
    pub(super) redirect: Option<Mailbox>,
}

/// A session whose rules are reported, each at the first stage where it is known whether it matches.
pub(super) struct Telling<'a> {
    judged: &'a Judge<'a>,
    resolver: &'a Resolver,
    directories: &'a Directories,
    aliases: &'a Aliases,
    helo: String,
    sender: Option<AddressKey>,
    authors: Vec<AddressKey>,
    has_tls: bool,
    size: u64,
    /// What was found out before the recipient.
    answers: Answers,
    /// Rules that were already reported.
    told: Vec<String>,
    /// Whether a rule has refused the session or the sender.
    over: bool,
}

impl<'a> Telling<'a> {
    pub(super) fn new(
        course: &Course<'a>,
        judged: &'a Judge<'a>,
        (resolver, directories): (&'a Resolver, &'a Directories),
        args: &ExplainSessionArgs,
    ) -> Self {
        let separator = judged.settings.identity.tag_separator;
        let sender = args.from.mailbox();
        let written = args.author.clone().or_else(|| sender.map(ToString::to_string));
        let authors = written.and_then(|from| mailbox_list(&from)).unwrap_or_default();
        let key = |mailbox| AddressKey::new(mailbox, separator);
        Self {
            judged,
            resolver,
            directories,
            aliases: course.aliases(),
            helo: args.helo.to_ascii_lowercase(),
            sender: sender.map(key),
            authors: authors.iter().map(key).collect(),
            has_tls: args.bits.is_none_or(|bits| bits > 0),
            size: args.size,
            answers: Answers::default(),
            told: Vec::new(),
            over: false,
        }
    }

    /// What is known at a stage. TLS, a certificate or a login may be added until `MAIL`.
    fn facts(&self, stage: Stage) -> Facts<'_> {
        let judged = self.judged;
        let is_settled = stage >= Stage::Mail;
        let sender = self.sender.as_ref().map_or(Party::Null, Party::Address);
        let helo = if stage >= Stage::Helo { &*self.helo } else { "" };
        let domains = &judged.settings.relay.local_domains;
        Facts {
            stage,
            listener: &judged.listener.name,
            peer: judged.peer,
            helo,
            helo_faults: faults_of(helo, &judged.settings.hostname, domains),
            tls: (is_settled && self.has_tls).then_some(TlsState { version: "TLSv1.3" }),
            certificate: judged.certificate.filter(|_| is_settled),
            login: judged
                .identity
                .filter(|_| is_settled)
                .map(postern_policy::identity::Identity::login),
            stranger: judged.identity.is_none() && judged.relay_reason().is_none(),
            sender: if is_settled { sender } else { Party::Unknown },
            recipient: Party::Unknown,
            destination: None,
            authors: if stage == Stage::Data { &self.authors } else { &[] },
            size: if is_settled { self.size } else { 0 },
            now: Zoned::now().datetime(),
        }
    }

    /// Judges what is known at these stages, before there is a recipient.
    pub(super) async fn early(
        &mut self,
        course: &mut Course<'_>,
        stages: impl IntoIterator<Item = Stage>,
        args: &ExplainSessionArgs,
    ) {
        let rules = &self.judged.settings.access.rules;
        for stage in stages {
            if rules.is_empty() || self.over || !rules.are_judged_at(stage) {
                continue;
            }
            let command = match stage {
                Stage::Connect => "connection".to_owned(),
                Stage::Helo => format!("EHLO {}", args.helo),
                _ => format!("MAIL FROM:{}", args.from),
            };
            let mut answers = std::mem::take(&mut self.answers);
            let mut told = std::mem::take(&mut self.told);
            let facts = self.facts(stage);
            self.settle(&facts, &mut answers).await;
            let outcome = skipped(course, &command, (rules, &facts, &answers), &mut told);
            let over = matches!(outcome, Outcome::Refused { .. } | Outcome::Unsure { .. });
            if over {
                decide(course, &command, outcome, &facts, &answers);
            }
            self.over = over;
            self.told = told;
            self.answers = answers;
        }
    }

    /// Judges a recipient, and then the message.
    pub(super) async fn recipient(
        &self,
        course: &mut Course<'_>,
        (mailbox, destination): (&Mailbox, Destination),
    ) -> Said {
        let rules = &self.judged.settings.access.rules;
        let recipient = AddressKey::new(mailbox, self.judged.settings.identity.tag_separator);
        if rules.is_empty() {
            return Said {
                accepted: destination != Destination::Elsewhere && rules.always_reach(&recipient),
                ..Said::default()
            };
        }
        if self.over {
            return Said {
                over: true,
                ..Said::default()
            };
        }
        let (mut told, mut answers) = (self.told.clone(), self.answers.clone());
        // Some rules wait for the message.
        for stage in [Stage::Rcpt, Stage::Data] {
            let command = match stage {
                Stage::Data => "end of DATA".to_owned(),
                _ => format!("RCPT TO:<{mailbox}>"),
            };
            let facts = Facts {
                recipient: Party::Address(&recipient),
                destination: Some(destination),
                ..self.facts(stage)
            };
            self.settle(&facts, &mut answers).await;
            let outcome = skipped(course, &command, (rules, &facts, &answers), &mut told);
            if !matches!(outcome, Outcome::NotYet) || stage == Stage::Data {
                return decide(course, &command, outcome, &facts, &answers);
            }
        }
        Said::default()
    }
}

/// Adds why each rule does not match, unless already `told`; records those, and returns the overall result.
fn skipped<'a>(
    course: &mut Course<'_>,
    command: &str,
    (rules, facts, answers): (&'a AccessRules, &Facts<'_>, &'a Answers),
    told: &mut Vec<String>,
) -> Outcome<'a> {
    let mut skipped: Vec<(&AccessRule, String)> = Vec::new();
    let outcome = judge(rules, facts, answers, |rule, step| {
        let why = match step {
            Step::Fails(condition) if condition.negated => {
                format!("`{}` excludes it", condition.key)
            }
            Step::Fails(condition) => format!("`{}` does not hold", condition.key),
            Step::Waits(_) if facts.stage == Stage::Data => "waits for a later stage".to_owned(),
            Step::Does(Action::LookUp(number)) if says_nothing(answers, *number) => {
                "its table has no entry for it".to_owned()
            }
            Step::Waits(_) | Step::Does(_) => return,
        };
        skipped.push((rule, why));
    });
    for (rule, why) in skipped {
        let name = rule.to_string();
        if told.contains(&name) {
            continue;
        }
        let ruling = Ruling {
            rule: Rule::AccessSkipped,
            reason: &format_args!("{rule}: {why}"),
        };
        course.add_named(command, &ruling, Some(&rule.name));
        told.push(name);
    }
    outcome
}

/// Adds the result of all rules.
fn decide(
    course: &mut Course<'_>,
    command: &str,
    outcome: Outcome<'_>,
    facts: &Facts<'_>,
    answers: &Answers,
) -> Said {
    let mut said = Said::default();
    let decided = |course: &mut Course<'_>, rule: Rule, by: &AccessRule, reason: &str| {
        let ruling = Ruling {
            rule,
            reason: &format_args!("{by}{reason}"),
        };
        course.add_named(command, &ruling, Some(&by.name));
    };
    match outcome {
        Outcome::Passed(noted) => {
            note(course, command, &noted, &mut said);
            let ruling = Ruling {
                rule: Rule::AccessPassed,
                reason: &"no access rule decides",
            };
            course.add(command, &ruling);
            course.without_setting();
        }
        Outcome::Accepted { rule, relay, noted } => {
            note(course, command, &noted, &mut said);
            (said.accepted, said.relays) = (true, relay);
            let why = if relay {
                Rule::RelayAccess
            } else {
                Rule::AccessAccepted
            };
            decided(course, why, rule, "");
        }
        Outcome::Exempt => {
            said.accepted = true;
            let ruling = Ruling {
                rule: Rule::AccessExempt,
                reason: &"one of `exempt_recipients`",
            };
            course.add(command, &ruling);
        }
        Outcome::Refused { rule, words, limit } => {
            said.over = true;
            let why = limit.map_or(Why::Verdict, Why::Limit);
            let ruling = Ruling {
                rule: postern_policy::Verdict::rule(&AccessRefusal { rule, why }),
                reason: &format_args!(
                    "{rule}: {} {} {}",
                    words.code,
                    words.status,
                    filled(words, facts, answers)
                ),
            };
            course.add_named(command, &ruling, Some(&rule.name));
            course.with_code(words.code);
        }
        Outcome::Discarded { rule, .. } => {
            said.over = true;
            decided(course, Rule::AccessDiscarded, rule, "");
        }
        Outcome::Unsure { rule, reason } => {
            said.over = true;
            decided(course, Rule::AccessUnsure, rule, &format!(": {reason}"));
            course.with_code(postern_policy::access::refusal::UNSURE.0);
        }
        Outcome::NotYet | Outcome::Ask(_) => {}
    }
    said
}

/// Whether a table was queried and had no entry for any key.
fn says_nothing(answers: &Answers, number: usize) -> bool {
    matches!(answers.of(Question::LookUp(number)), Some(Answer::No))
}

/// The reply text, with the client's own data filled in as in a session.
fn filled(words: &Words, facts: &Facts<'_>, answers: &Answers) -> String {
    let address = facts.peer.to_canonical().to_string();
    let name = match answers.client() {
        Some(ClientName::Confirmed(name)) => name.as_str(),
        _ => "unknown",
    };
    words.filled(&[
        ("address", &address),
        ("name", name),
        ("helo", facts.helo),
        ("sender", facts.sender.address().map_or("<>", AddressKey::whole)),
        (
            "recipient",
            facts.recipient.address().map_or("", AddressKey::whole),
        ),
    ])
}

/// Adds what rules do with the message.
fn note(course: &mut Course<'_>, command: &str, noted: &Noted<'_>, said: &mut Said) {
    let mut add = |rule: Rule, by: &AccessRule, what: &dyn std::fmt::Display| {
        let ruling = Ruling {
            rule,
            reason: &format_args!("{by}: {what}"),
        };
        course.add_named(command, &ruling, Some(&by.name));
    };
    if let Some((by, reason)) = noted.hold {
        add(Rule::AccessHeld, by, &reason);
    }
    if let Some((by, to)) = noted.redirect {
        add(Rule::AccessRedirected, by, &format_args!("to {to}"));
        said.redirect = Some(to.clone());
    }
    if let Some((by, detour)) = noted.detour {
        add(Rule::AccessDetoured, by, detour);
    }
    for (by, to) in &noted.copies {
        add(Rule::AccessCopied, by, &format_args!("to {to}"));
    }
    for (by, field) in &noted.tags {
        add(Rule::AccessTagged, by, &field.name());
    }
    for (by, text) in &noted.notes {
        add(Rule::AccessNoted, by, text);
    }
    if let Some((_, detour)) = noted.detour {
        course.detour = Some(detour.clone());
    }
}

impl Telling<'_> {
    async fn settle(&self, facts: &Facts<'_>, answers: &mut Answers) {
        let rules = &self.judged.settings.access.rules;
        for _ in 0..QUESTIONS_MAX {
            let Outcome::Ask(question) = judge(rules, facts, answers, |_, _| {}) else {
                return;
            };
            self.find(question, facts, answers).await;
        }
    }

    fn look(&self) -> Look {
        Look::new(self.resolver.clone(), self.judged.settings.screen.timeout)
    }

    async fn find(&self, question: Question, facts: &Facts<'_>, answers: &mut Answers) {
        let access = &self.judged.settings.access;
        let answer = match question {
            Question::ClientName => {
                answers.client_is(self.look().client_name(facts.peer).await);
                return;
            }
            Question::Helo | Question::Sender | Question::Recipient => {
                let known = self.domain(question, facts).await;
                answers.domain_is(question, Scope::Recipient, known);
                return;
            }
            Question::SenderMx => match facts.sender.address() {
                None => Answer::No,
                Some(sender) => match self.look().mail_addresses(sender.domain()).await {
                    Ok(addresses) => Answer::Addresses(addresses),
                    Err(reason) => Answer::Unsure(reason),
                },
            },
            Question::SenderListed => {
                let sender = facts.sender.address();
                match sender.and_then(|sender| sender.whole().parse::<Mailbox>().ok()) {
                    None => Answer::Yes,
                    Some(mailbox) => {
                        let (directories, aliases) = (self.directories, self.aliases);
                        listed(&mailbox, self.judged.settings, directories, aliases).await
                    }
                }
            }
            Question::List(number) => match access.rules.lists.get(number) {
                None => Answer::No,
                Some(list) => match question_of_list(list, facts) {
                    None => Answer::No,
                    Some(asked) => {
                        let found = self.look().ask(asked).await;
                        match (&found.found, found.read(list)) {
                            (Err(reason), _) => Answer::Unsure(reason.clone()),
                            (Ok(_), Some(Answered::Listed(_))) => Answer::Yes,
                            (Ok(_), _) => Answer::No,
                        }
                    }
                },
            },
            Question::LookUp(number) => {
                let (Some(look_up), Some(table)) =
                    (access.rules.look_ups.get(number), access.tables.get(number))
                else {
                    return answers.found(question, Scope::Recipient, Answer::No);
                };
                let separator = self.judged.settings.identity.tag_separator;
                match keys_of(look_up, facts, answers, separator) {
                    Ok(keys) => look_into(table, &keys, look_up, &access.rules).await,
                    Err(None) => {
                        answers.client_is(self.look().client_name(facts.peer).await);
                        return;
                    }
                    Err(Some(reason)) => Answer::Unsure(reason),
                }
            }
            Question::Service(number) => self.service(number, facts, answers).await,
            // What was done before is not known here.
            Question::Limit(_) => Answer::Yes,
        };
        answers.found(question, Scope::Recipient, answer);
    }

    async fn domain(&self, question: Question, facts: &Facts<'_>) -> Known {
        let name = match question {
            Question::Helo => facts.helo,
            Question::Sender => facts.sender.address().map_or("", AddressKey::domain),
            _ => facts.recipient.address().map_or("", AddressKey::domain),
        };
        if name
            .parse()
            .is_ok_and(|domain| self.judged.is_own_domain(&domain))
        {
            return Known::Yes;
        }
        self.look().known(name).await
    }

    async fn service(&self, number: usize, facts: &Facts<'_>, answers: &Answers) -> Answer {
        let access = &self.judged.settings.access;
        let Some(service) = access.services.get(number) else {
            return Answer::No;
        };
        let peer = facts.peer.to_string();
        let name = match answers.client() {
            Some(ClientName::Confirmed(name)) => name.as_str(),
            _ => "unknown",
        };
        let request = Request {
            protocol_state: if facts.stage == Stage::Data {
                "END-OF-MESSAGE"
            } else {
                "RCPT"
            },
            protocol_name: "ESMTP",
            helo_name: facts.helo,
            sender: facts.sender.address().map_or("", AddressKey::whole),
            recipient: facts.recipient.address().map_or("", AddressKey::whole),
            client_address: &peer,
            client_name: name,
            reverse_client_name: name,
            instance: "explain",
            sasl_username: facts.login.unwrap_or_default(),
            size: facts.size,
            policy_context: facts.listener,
            ..Request::default()
        };
        let said = match ask_once(service, &request).await {
            Ok(said) => said,
            Err(reason) => return Answer::Unsure(format!("{}: {reason}", service.name)),
        };
        let class = |name: &str| access.rules.classes.iter().position(|class| *class.name == *name);
        let context = Context {
            class: &class,
            relay: false,
        };
        match written::postfix(&said, context) {
            Ok(action) => Answer::Action(action),
            Err(error) => Answer::Action(Action::Note(format!("{}: {error}", service.name).into())),
        }
    }
}
