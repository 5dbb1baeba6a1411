//! `postern explain`: a whole session, rule by rule, without one.
//!
//! The rules are those that a session is judged by (`postern_receive::judge`), the directories and name servers the real ones. Nothing
//! is taken and nothing is sent. What depends on the moment is left out: the load, how many sessions there are, and budgets.

mod content;
mod course;
mod filters;
mod message;
mod way;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use nix::unistd::User;
use postern_directory::{Account, Directories, Lead, Member};
use postern_mail::{Domain, ForwardPath, Mailbox, complete_login};
use postern_net::ca::CertificateInfo;
use postern_net::dial;
use postern_net::resolver::Resolver;
use postern_net::tls::Verify;
use postern_policy::access::Destination;
use postern_policy::admission;
use postern_policy::identity::{self, ActAs, Identity};
use postern_policy::local::LocalUser;
use postern_policy::login::Denial;
use postern_policy::privacy::PrivacyRefusal;
use postern_policy::recipient::RecipientRefusal;
use postern_policy::relay::{CertificateFacts, RelayRefusal, RelayVerdict};
use postern_policy::rule::{Rule, Ruling, Verdict};
use postern_receive::judge::{Ground, Judge, is_trusted};
use postern_receive::{ListenerSettings, ListenerTls, identity_of};
use serde::Serialize;

pub(super) use self::course::{Course, Setting, setting_behind, table_in_reason};

use self::course::Step;
use self::message::Given;
use super::auth_explain::{Found, OfferClient, asks_for_passwords, either, find, nameless, offer, opened};
use super::{explain_access as access, explain_past, explain_screen as screen, explain_signing};
use crate::args::ExplainSessionArgs;
use crate::config::Config;
use crate::config::checked::ListenerConfig;
use crate::exit::{Exit, Failure, chain};
use crate::{locate, output, rights, visible};

/// Bits of TLS where nothing is said of them.
const BITS: u32 = 256;

#[derive(Debug, Serialize)]
struct Explanation {
    /// Whether the message would be taken for all recipients.
    allowed: bool,
    /// The first rule that refuses, or that by which the message is taken.
    decided: &'static str,
    client: Client,
    steps: Vec<Step>,
    /// The rule that has it thrown away, for all recipients.
    #[serde(skip)]
    discarded: Option<&'static str>,
}

/// What was found out about the client.
#[derive(Debug, Serialize)]
struct Client {
    peer: String,
    /// The name of its address, if that leads back.
    name: Option<String>,
    listener: String,
    bits: u32,
    /// What became of its certificate: `OK`, `NO` or `FAIL`.
    certificate: &'static str,
    login: Option<String>,
    acts_as: Option<String>,
}

/// Goes through a session.
pub(crate) fn run(args: &ExplainSessionArgs) -> Result<(), Failure> {
    if let Some(session) = &args.session {
        return explain_past::run(session, args);
    }
    let path = locate::existing(&args.config)?;
    let config = super::checked(&path)?;
    let given = Given::of(args)?;
    let args = &given.sized(args);
    let certificate = args
        .certificate
        .as_deref()
        .map(|file| shown(file, &config))
        .transpose()?;
    rights::enter(&config.state_dir)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::from_error(Exit::System, "cannot start", &error))?;
    let explanation = runtime.block_on(async {
        let sources = Sources::open(&config).await?;
        explain(&config, &sources, certificate, &given, args).await
    })?;
    if args.json.json {
        output::print_json(&explanation)?;
    } else {
        show(&explanation)?;
    }
    if explanation.allowed {
        Ok(())
    } else {
        Err(Failure::silent(Exit::No))
    }
}

/// What the client's certificate says, and whether it would be verified.
fn shown(file: &Path, config: &Config) -> Result<(CertificateFacts, Verify), Failure> {
    let chain = postern_trust::read_certificates(file)
        .map_err(|error| Failure::new(Exit::InputOutput, chain(&error)))?;
    let told = chain.first().map(|leaf| CertificateInfo::from_der(leaf));
    let Some(Ok(info)) = told else {
        return Err(Failure::new(
            Exit::InputOutput,
            format!("{} holds no certificate that can be read", file.display()),
        ));
    };
    let verify = config
        .tls
        .as_ref()
        .map_or(Verify::No, |tls| tls.judge_client(&chain));
    let facts = CertificateFacts {
        subject: info.subject,
        issuer: info.issuer,
        fingerprint: info.fingerprint_sha256,
    };
    Ok((facts, verify))
}

/// Who is asked: directories and name servers.
#[derive(Debug)]
pub(super) struct Sources {
    directories: Directories,
    resolver: Resolver,
}

impl Sources {
    pub(super) async fn open(config: &Config) -> Result<Self, Failure> {
        let directories = Directories::open(super::those_there(config.directories.clone()))
            .await
            .map_err(|error| Failure::new(Exit::InputOutput, chain(&error)))?;
        let resolver = Resolver::new(&config.resolver)
            .map_err(|error| Failure::from_error(Exit::Config, "cannot look up names", &error))?;
        Ok(Self {
            directories,
            resolver,
        })
    }
}

/// What would come of a session, in short.
#[derive(Debug)]
pub(super) struct Brief {
    /// Whether the message would be taken.
    pub(super) allowed: bool,
    /// The rule that decides.
    pub(super) rule: &'static str,
    /// Why it refuses.
    pub(super) reason: String,
    /// The setting by which it refuses, with its place; empty where it is not written.
    pub(super) setting: String,
    /// Whether it refuses for now only.
    pub(super) for_now: bool,
    /// Whether a policy service that is left out would have been asked.
    pub(super) unasked: bool,
}

/// The note that stands in the place of a policy service that is not asked.
pub(super) const NOT_ASKED: &str = "the policy service is not asked";

/// The same as a session that is explained, without what is for people.
pub(super) async fn brief(
    config: &Config,
    sources: &Sources,
    args: &ExplainSessionArgs,
) -> Result<Brief, Failure> {
    let given = Given::of(args)?;
    let explanation = explain(config, sources, None, &given, args).await?;
    let is_unasked = |step: &Step| step.rule == Rule::AccessNoted.name() && step.reason.ends_with(NOT_ASKED);
    let unasked = explanation.steps.iter().any(is_unasked);
    let refused = explanation.steps.into_iter().find(|step| !step.allowed);
    let written = |step: &Step| {
        step.setting
            .as_ref()
            .filter(|setting| setting.file.is_some())
            .map(ToString::to_string)
    };
    Ok(Brief {
        allowed: explanation.allowed,
        rule: explanation.decided,
        setting: refused.as_ref().and_then(written).unwrap_or_default(),
        for_now: refused.as_ref().is_some_and(Step::is_for_now),
        unasked,
        reason: refused.map(|step| step.reason).unwrap_or_default(),
    })
}

async fn explain(
    config: &Config,
    sources: &Sources,
    certificate: Option<(CertificateFacts, Verify)>,
    given: &Given,
    args: &ExplainSessionArgs,
) -> Result<Explanation, Failure> {
    let Sources {
        directories,
        resolver,
    } = sources;
    let local = local_user(config, args)?;
    let door = ListenerConfig {
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        settings: ListenerSettings::local(),
    };
    let listener = match &local {
        Some(_) => &door,
        None => the_listener(config, args.listener.as_deref())?,
    };
    let has_tls = config.tls.is_some() && listener.settings.tls != ListenerTls::Off;
    let bits = args.bits.unwrap_or(if has_tls { BITS } else { 0 });
    let mut course = Course {
        config,
        listener,
        steps: Vec::new(),
    };
    let verified = certificate
        .as_ref()
        .filter(|(_, verify)| verify.is_ok() && bits > 0)
        .map(|(facts, _)| facts);
    if let Some((facts, Verify::Fail(reason))) = &certificate {
        let ruling = Ruling {
            rule: Rule::LoginCertificate,
            reason: &format_args!("{}: {reason}", facts.subject),
        };
        course.add("TLS handshake with a certificate", &ruling);
    }
    let (login, trusted) = log_in(&mut course, directories, bits, verified.is_some(), args).await?;
    let identity = login.as_ref().map(identity_of);
    let settings = Arc::new(config.receive.clone()).at(&listener.settings);
    let judge = Judge {
        settings: &settings,
        listener: &listener.settings,
        peer: args.peer(),
        certificate: verified,
        identity: identity.as_ref(),
        trusted,
        local_user: local.as_ref(),
    };
    begin(&mut course, &judge, args).await;
    filters::filters(&mut course, &judge, args);
    let mut ground = Ground::Here;
    let mut taken = Vec::new();
    let mut ruled = Vec::with_capacity(args.to.len());
    for mailbox in &args.to {
        ruled.push(ruled_of(&mut course, &judge, (resolver, directories), mailbox, args).await);
    }
    // Nothing else is asked of a stranger whose recipients a rule accepts.
    if !ruled.iter().all(|said| said.accepted) {
        screen::look(&mut course, &judge, resolver, args).await;
    }
    for (before, (mailbox, said)) in args.to.iter().zip(ruled).enumerate() {
        let reached = recipient(&mut course, &judge, directories, (before, mailbox, said), args).await;
        if let Some((needed, recipients)) = reached {
            ground = ground.max(needed);
            taken.extend(recipients.into_iter().map(|leads_to| (mailbox, leads_to)));
        }
    }
    if course.steps.iter().all(|step| step.allowed) {
        message::judged(&mut course, &judge, resolver, given, args).await?;
    }
    finish(&mut course, &judge, ground, given, args);
    let login_name = identity.as_ref().map(Identity::login);
    let mut args = args.clone();
    if course.steps.iter().all(|step| step.allowed) {
        args.from = content::message(&mut course, &judge, given, &taken, &args).await;
    }
    let args = &args;
    for (named, Member { address, sender }) in &taken {
        way::way(&mut course, resolver, address, login_name, args).await;
        match sender {
            // Reports keep the null sender.
            Some(owner) if args.from.mailbox().is_some() => {
                screen::under_owner(&mut course, address, owner);
            }
            _ => screen::rewritten(&mut course, &judge, (*named, address), &args.from),
        }
    }
    let discards = |step: &&Step| {
        let whole = step.rule == Rule::CheckDiscarded.name();
        whole || (step.rule == Rule::AccessDiscarded.name() && taken.is_empty())
    };
    let discarded = course.steps.iter().find(discards).map(|step| step.rule);
    let refused = course.steps.iter().find(|step| !step.allowed);
    let decided = refused.map_or_else(|| judge.acceptance(ground).rule().name(), |step| step.rule);
    Ok(Explanation {
        allowed: refused.is_none(),
        decided,
        client: Client {
            peer: args.peer().to_string(),
            name: name_of(resolver, config, args).await,
            listener: listener.settings.name.clone(),
            bits,
            certificate: certificate.as_ref().map_or("NO", |(_, verify)| verify.word()),
            login: args
                .login
                .clone()
                .or_else(|| local.as_ref().map(|user| user.label.clone())),
            acts_as: login_name.filter(|_| args.acts_as.is_some()).map(str::to_owned),
        },
        steps: course.steps,
        discarded,
    })
}

/// The user of this machine, where it is about one.
fn local_user(config: &Config, args: &ExplainSessionArgs) -> Result<Option<LocalUser>, Failure> {
    let Some(name) = &args.local else {
        return Ok(None);
    };
    if config.local.is_none() {
        let message = "this server takes no mail from programs of this machine: `[local]` is missing";
        return Err(Failure::new(Exit::No, message));
    }
    match User::from_name(name) {
        Ok(Some(user)) => Ok(Some(postern_receive::local_user(
            user.uid.as_raw(),
            Some(name),
            &config.receive,
        ))),
        Ok(None) => Err(Failure::new(
            Exit::No,
            format!("there is no account {name:?} on this machine"),
        )),
        Err(error) => Err(Failure::from_error(
            Exit::System,
            "cannot look up the account",
            &error,
        )),
    }
}

/// The name of the client's address, as long as a session would wait for it.
async fn name_of(resolver: &Resolver, config: &Config, args: &ExplainSessionArgs) -> Option<String> {
    let limit = config.receive.timeouts.reverse_lookup;
    if limit.is_zero() {
        return None;
    }
    let asked = tokio::time::timeout(limit, resolver.reverse(args.peer())).await;
    asked.ok()?.ok()?
}

/// The listener of this name or address, or the first.
fn the_listener<'a>(config: &'a Config, name: Option<&str>) -> Result<&'a ListenerConfig, Failure> {
    let is_meant = |listener: &&ListenerConfig| {
        name.is_none_or(|name| name == listener.settings.name || name == listener.address.to_string())
    };
    config.listeners.iter().find(is_meant).ok_or_else(|| {
        let names: Vec<&str> = config
            .listeners
            .iter()
            .map(|listener| listener.settings.name.as_str())
            .collect();
        let name = name.unwrap_or_default();
        Failure::new(
            Exit::No,
            format!("there is no listener {name}; there are {}", names.join(", ")),
        )
    })
}

/// The login, as far as it can be told without a password: whose account it is, and whether it is trusted.
async fn log_in(
    course: &mut Course<'_>,
    directories: &Directories,
    bits: u32,
    certificate: bool,
    args: &ExplainSessionArgs,
) -> Result<(Option<Account>, bool), Failure> {
    let domain = course.config.receive.auth.default_domain.as_deref();
    let Some(login) = args.login.as_deref().map(|login| complete_login(login, domain)) else {
        return Ok((None, false));
    };
    let client = OfferClient {
        peer: args.peer(),
        bits,
        certificate: Some(certificate),
    };
    let offer = offer(course.config, course.listener, directories, &client);
    let is_open = |mechanism: &_| opened(&offer, course.listener, *mechanism).is_ok();
    let mechanism = args
        .mechanism
        .or_else(|| offer.mechanisms.iter().copied().find(is_open));
    let command = mechanism.map_or_else(|| "AUTH".to_owned(), |mechanism| format!("AUTH {mechanism}"));
    let verdict = match mechanism {
        Some(mechanism) => opened(&offer, course.listener, mechanism),
        None => Err("no mechanism is open there".to_owned()),
    };
    course.add(
        &command,
        &Ruling {
            rule: match verdict {
                Ok(()) => Rule::LoginOffered,
                Err(_) => Rule::LoginNotOffered,
            },
            reason: &verdict
                .as_ref()
                .err()
                .map_or("all conditions are met", String::as_str),
        },
    );
    let Some(mechanism) = mechanism.filter(|_| verdict.is_ok()) else {
        return Ok((None, false));
    };
    let account = match find(directories, &login).await? {
        Found::Known(account) => account,
        Found::Denied(postern_directory::DenyReason::UnknownUser) if asks_for_passwords(course.config) => {
            nameless(&login)
        }
        Found::Denied(reason) => {
            let ruling = Ruling {
                rule: Denial::Denied.rule(),
                reason: &reason,
            };
            course.add(command, &ruling);
            return Ok((None, false));
        }
    };
    let trusted = is_trusted(&course.config.receive, mechanism, bits);
    let Some(authzid) = args
        .acts_as
        .as_deref()
        .map(|authzid| complete_login(authzid, domain))
    else {
        return Ok((Some(account), trusted));
    };
    let own = identity_of(&account);
    match identity::act_as(&own, &authzid, &course.config.receive.identity) {
        Ok(verdict @ ActAs::Itself) => {
            course.add(format!("acts as {authzid}"), &verdict);
            Ok((Some(account), trusted))
        }
        Ok(verdict @ ActAs::Other { login: other, .. }) => match find(directories, other).await? {
            Found::Known(mut other) => {
                course.add(format!("acts as {authzid}"), &verdict);
                other.acts_for.clear();
                Ok((Some(other), trusted))
            }
            Found::Denied(reason) => {
                let ruling = Ruling {
                    rule: Denial::Denied.rule(),
                    reason: &reason,
                };
                course.add(format!("acts as {authzid}"), &ruling);
                Ok((None, false))
            }
        },
        Err(refusal) => {
            course.add(format!("acts as {authzid}"), &refusal);
            Ok((None, false))
        }
    }
}

/// `MAIL`.
async fn begin(course: &mut Course<'_>, judge: &Judge<'_>, args: &ExplainSessionArgs) {
    let command = format!("MAIL FROM:{}", args.from);
    if let Err(refusal) = judge
        .settings
        .learn_owners(args.from.mailbox().cloned().into_iter().collect())
        .await
    {
        course.add(&command, &refusal);
    }
    if args.helo.is_empty() && judge.settings.privacy.need_mail_helo {
        course.add(&command, &PrivacyRefusal::NeedMailHelo);
    }
    if judge.lacks_login() {
        let ruling = Ruling {
            rule: Denial::Required.rule(),
            reason: &"no login",
        };
        course.add(&command, &ruling);
    }
    if let Some(verdict) = judge.sender(&args.from, &course.config.aliases) {
        course.add(&command, either(&verdict));
    }
    if let Err(refusal) = admission::admit_size(args.size, &judge.settings.admission) {
        course.add(format!("{command} SIZE={}", args.size), &refusal);
    }
}

/// Whether a recipient in a relay domain is among those that exist, if there are tables of them.
async fn listed(
    course: &mut Course<'_>,
    judge: &Judge<'_>,
    command: &str,
    recipient: &Mailbox,
) -> Option<()> {
    if !judge.settings.lists_recipients(recipient) {
        return Some(());
    }
    match judge.settings.relay_recipient(recipient).await {
        Ok(Some(hit)) => {
            let at = hit
                .answer
                .at
                .map(|(file, line)| format!(", {}:{line}", file.display()));
            let reason = format!("{} has {}{}", hit.table, hit.key.text, at.unwrap_or_default());
            let ruling = Ruling {
                rule: Rule::RelayDomain,
                reason: &reason,
            };
            course.add(command, &ruling);
            Some(())
        }
        Ok(None) => Some(()),
        // That takes a connection, which only the server makes.
        Err(RecipientRefusal::NextHopDown(_)) => {
            let ruling = Ruling {
                rule: Rule::RelayDomain,
                reason: &"if its next hop takes it, which the server asks",
            };
            course.add(command, &ruling);
            Some(())
        }
        Err(refusal) => {
            course.add(command, &refusal);
            None
        }
    }
}

/// What access rules say of a recipient.
async fn ruled_of(
    course: &mut Course<'_>,
    judge: &Judge<'_>,
    sources: (&Resolver, &Directories),
    mailbox: &Mailbox,
    args: &ExplainSessionArgs,
) -> access::Said {
    let path = ForwardPath::Mailbox {
        mailbox: mailbox.clone(),
        source_route: false,
    };
    let own_literal = matches!(mailbox.domain(), Domain::Literal(ip) if dial::is_own(*ip));
    // One that cannot be asked is told of with the recipient.
    if judge.settings.learn(mailbox.domain()).await.is_err() {
        return access::Said::default();
    }
    let destination = match judge.relay(&path, own_literal) {
        RelayVerdict::Local { .. } => Destination::Local,
        RelayVerdict::RelayDomain { .. } => Destination::Relay,
        RelayVerdict::Relay { .. } => Destination::Elsewhere,
        RelayVerdict::Refuse(RelayRefusal::Denied) if judge.settings.access.rules.judges_denied => {
            Destination::Elsewhere
        }
        RelayVerdict::Refuse(_) => return access::Said::default(),
    };
    access::look(course, judge, sources, (mailbox, destination), args).await
}

/// `RCPT`; gives where the mail goes, and on which ground.
async fn recipient(
    course: &mut Course<'_>,
    judge: &Judge<'_>,
    directories: &Directories,
    (before, mailbox, said): (usize, &Mailbox, access::Said),
    args: &ExplainSessionArgs,
) -> Option<(Ground, Vec<Member>)> {
    let command = format!("RCPT TO:<{mailbox}>");
    if let Err(refusal) = admission::admit_recipient(before, &judge.settings.admission) {
        course.add(command, &refusal);
        return None;
    }
    let path = ForwardPath::Mailbox {
        mailbox: mailbox.clone(),
        source_route: false,
    };
    let own_literal = matches!(mailbox.domain(), Domain::Literal(ip) if dial::is_own(*ip));
    if let Err(down) = judge.settings.learn(mailbox.domain()).await {
        course.add(&command, &RecipientRefusal::Table(down.to_string()));
        return None;
    }
    let verdict = judge.relay(&path, own_literal);
    if matches!(verdict, RelayVerdict::Refuse(RelayRefusal::Denied)) && said.relays {
        return Some((
            Ground::Relayed,
            vec![Member::new(said.redirect.unwrap_or_else(|| mailbox.clone()))],
        ));
    }
    course.add(&command, &verdict);
    if said.over {
        return None;
    }
    if let Some(to) = said.redirect {
        return Some((Ground::Here, vec![Member::new(to)]));
    }
    let is_for_us = matches!(
        verdict,
        RelayVerdict::RelayDomain { .. } | RelayVerdict::Local { .. }
    );
    if is_for_us && let Some(Err(refusal)) = judge.stranger_sender(&args.from) {
        course.add(&command, &refusal);
        return None;
    }
    let aliases = &course.config.aliases;
    let (ground, mailbox) = match verdict {
        RelayVerdict::Refuse(_) => return None,
        RelayVerdict::RelayDomain { recipient } => (Ground::Behind, recipient),
        RelayVerdict::Relay { recipient, .. } => {
            if let Some(verdict) = judge.machine_sender(&args.from, aliases) {
                course.add(&command, either(&verdict));
                verdict.ok()?;
            }
            (Ground::Relayed, recipient)
        }
        RelayVerdict::Local { recipient } => {
            let ForwardPath::Mailbox { mailbox, .. } = recipient else {
                return None;
            };
            match judge.returned(&mailbox, Timestamp::now()) {
                Some(Ok(original)) => {
                    let ruling = Ruling {
                        rule: Rule::SrsReturned,
                        reason: &original,
                    };
                    course.add(command, &ruling);
                    return Some((Ground::Here, vec![Member::new(original)]));
                }
                Some(Err(refusal)) => {
                    course.add(command, &refusal);
                    return None;
                }
                None => {}
            }
            (Ground::Here, mailbox)
        }
    };
    let named = mailbox.clone();
    let mailbox = content::recipient(course, judge, &command, mailbox).await?;
    let rewritten = mailbox != named;
    let asks_aliases = rewritten || ground == Ground::Here || !aliases.addresses().is_empty();
    if judge.listener.filtered || !asks_aliases {
        if ground == Ground::Behind && !judge.listener.filtered {
            listed(course, judge, &command, &mailbox).await?;
        }
        return routed(course, judge, command, (ground, vec![Member::new(mailbox)]), args).await;
    }
    let residents = judge.settings.residents(directories, aliases);
    for step in residents.trail(&mailbox).await {
        let leads = match step.value.strip_prefix("refused: ") {
            Some(words) => format!("is refused: {words}"),
            None => format!("leads to {}", step.value),
        };
        let reason = format!("{} {leads}, in {}", step.key, step.place);
        let ruling = Ruling {
            rule: Rule::RecipientEntry,
            reason: &reason,
        };
        // By address it stands in an `[[alias]]`, by name in the file.
        let of_file = aliases.place(&step.key).is_some_and(|place| place == step.place);
        let key = of_file.then_some("aliases");
        course.add_at(format!("alias of {}", step.address), &ruling, (key, &step.place));
    }
    let refusal = match residents.lead(&mailbox).await {
        Lead::Itself if ground == Ground::Behind && !rewritten => {
            listed(course, judge, &command, &mailbox).await?;
            return routed(course, judge, command, (ground, vec![Member::new(mailbox)]), args).await;
        }
        Lead::Itself => {
            return routed(course, judge, command, (ground, vec![Member::new(mailbox)]), args).await;
        }
        Lead::Alias(members) => {
            return routed(course, judge, command, (ground, members), args).await;
        }
        Lead::Nobody if ground != Ground::Here && !rewritten => {
            if ground == Ground::Behind {
                listed(course, judge, &command, &mailbox).await?;
            }
            return routed(course, judge, command, (ground, vec![Member::new(mailbox)]), args).await;
        }
        Lead::Refused(text) => RecipientRefusal::Told(text),
        Lead::Broken => RecipientRefusal::Alias(mailbox.to_string()),
        Lead::Nobody => RecipientRefusal::Unknown(mailbox.to_string()),
        Lead::Unknown(reason) => RecipientRefusal::Directory(reason),
    };
    course.add(command, &refusal);
    None
}

/// Whom the mail reaches, unless its route refuses.
async fn routed(
    course: &mut Course<'_>,
    judge: &Judge<'_>,
    command: String,
    (ground, reached): (Ground, Vec<Member>),
    args: &ExplainSessionArgs,
) -> Option<(Ground, Vec<Member>)> {
    let all: Vec<&Mailbox> = reached.iter().map(|member| &member.address).collect();
    if let Some(text) = judge.route_refusal(&args.from, &all).await {
        course.add(command, &RecipientRefusal::Told(text));
        return None;
    }
    Some((ground, reached))
}

/// The end of `DATA`.
fn finish(
    course: &mut Course<'_>,
    judge: &Judge<'_>,
    ground: Ground,
    given: &Given,
    args: &ExplainSessionArgs,
) {
    let sender = args.from.mailbox().map(ToString::to_string);
    let authors = given.authors(args);
    let mut claims = given.claims(args);
    if claims.from.is_empty() {
        claims.from.extend(sender.as_deref());
    }
    let question = match claims.from.first() {
        Some(from) => format!("From: {from}"),
        None => "a message without From".to_owned(),
    };
    let verdict = judge.author(ground, &claims, &course.config.aliases);
    if let Some(verdict) = &verdict {
        course.add(question, either(verdict));
    }
    if !course.steps.iter().all(|step| step.allowed) {
        return;
    }
    course.add("end of DATA", &judge.acceptance(ground));
    let message = explain_signing::Message {
        relays: judge.relay_reason().is_some(),
        from: &authors,
        sender: args.from.mailbox(),
        answers: judge.answers_for(&authors, &args.from, &course.config.aliases),
        author_rule: verdict.and_then(Result::ok).map(|basis| basis.rule()),
    };
    if let Some((rule, reason)) = explain_signing::verdict(course.config, &message) {
        course.add(
            "signature",
            &Ruling {
                rule,
                reason: &reason,
            },
        );
    }
}

fn show(explanation: &Explanation) -> Result<(), Failure> {
    let client = &explanation.client;
    let mut text = format!(
        "{} at {}, {} bits of TLS, certificate {}",
        match &client.name {
            Some(name) => format!("{name} [{}]", client.peer),
            None => client.peer.clone(),
        },
        client.listener,
        client.bits,
        client.certificate
    );
    if let Some(login) = &client.login {
        text.push_str(&format!(", login {login}"));
    }
    output::print(&visible::line(&text))?;
    let rows = explanation.steps.iter().map(|step| {
        vec![
            step.command.clone(),
            if step.allowed { "yes" } else { "no" }.to_owned(),
            step.rule.to_owned(),
            step.reason.clone(),
            step.setting
                .as_ref()
                .map_or_else(String::new, ToString::to_string),
        ]
    });
    output::print_table(
        &["command", "allowed", "rule", "why", "setting"],
        &[],
        &[],
        rows.collect(),
    )?;
    let sentence = conclusion(explanation);
    output::print(&output::wrapped(&sentence, output::terminal_width()))
}

/// What comes of all, in a sentence.
fn conclusion(explanation: &Explanation) -> String {
    if let Some(step) = explanation.steps.iter().find(|step| !step.allowed) {
        let comes = if step.is_for_now() { "put off" } else { "refused" };
        // In the log the column has this name.
        let remedy = step.remedy.replace("`reason`", "WHY");
        return format!(
            "The session would be {comes} by {}. What would change that: {remedy}.",
            step.rule
        );
    }
    match explanation.discarded {
        Some(rule) => format!("The message would be taken, and thrown away, by {rule}."),
        None => format!("The message would be taken, by {}.", explanation.decided),
    }
}
