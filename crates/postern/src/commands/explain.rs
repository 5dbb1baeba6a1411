//! `postern explain`: simulates a whole session, rule by rule.
//!
//! The rules are those of real sessions (`postern_receive::judge`), and so are the directories and name servers. Nothing is
//! accepted and nothing is sent. What depends on the current state is left out: the load, the number of sessions, and how much of
//! a budget is used.

mod answer;
mod budgets;
mod client;
mod content;
mod course;
mod filters;
mod login;
mod message;
mod recipient;
mod sandbox;
mod scope;
mod way;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use postern_directory::{Directories, Member};
use postern_net::resolver::Resolver;
use postern_net::tls::Verify;
use postern_policy::access::Stage;
use postern_policy::admission;
use postern_policy::identity::Identity;
use postern_policy::login::Denial;
use postern_policy::privacy::PrivacyRefusal;
use postern_policy::relay::CertificateFacts;
use postern_policy::rule::{Rule, Ruling, Verdict};
use postern_receive::judge::{Ground, Judge};
use postern_receive::{ListenerSettings, ListenerTls, identity_of};

pub(super) use self::course::{Course, Setting, setting_behind, table_in_reason};
pub(super) use self::way::where_to;

use self::answer::{Client, Explanation, show};
use self::client::{local_user, name_of, qualified, shown, the_listener};
use self::course::Step;
use self::login::log_in;
use self::message::Given;
use self::recipient::{recipient, ruled_of};
use super::auth_explain::either;
use super::{explain_access as access, explain_past, explain_screen as screen, explain_signing};
use crate::args::ExplainSessionArgs;
use crate::config::Config;
use crate::config::checked::ListenerConfig;
use crate::exit::{Exit, Failure, chain};
use crate::{locate, output, rights};

/// Bits of TLS if not given.
const BITS: u32 = 256;

/// Simulates a session.
pub(crate) fn run(args: &ExplainSessionArgs) -> Result<(), Failure> {
    if let Some(session) = &args.session {
        return explain_past::run(session, args);
    }
    let path = locate::existing(&args.config)?;
    let enter = |config: &Config| rights::enter(&config.state_dir);
    let explanation = explained(&path, args, enter)?;
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

/// Simulates a session under the configuration as it is written now. `enter` is called before anything but the configuration is opened.
fn explained(
    path: &Path,
    args: &ExplainSessionArgs,
    enter: impl FnOnce(&Config) -> Result<(), Failure>,
) -> Result<Explanation, Failure> {
    let config = super::checked(path)?;
    let given = Given::of(args)?;
    let args = &given.sized(args);
    let certificate = args
        .certificate
        .as_deref()
        .map(|file| shown(file, &config))
        .transpose()?;
    enter(&config)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::from_error(Exit::System, "cannot start", &error))?;
    runtime.block_on(async {
        let sources = Sources::open(&config).await?;
        explain(&config, &sources, certificate, &given, args).await
    })
}

/// The same for the server, as `--json` prints it. It blocks.
///
/// # Errors
///
/// What is wrong with the arguments or the configuration, in words.
pub(crate) fn for_page(path: &Path, args: &ExplainSessionArgs) -> Result<serde_json::Value, String> {
    let explanation = explained(path, args, |_| Ok(())).map_err(|failure| failure.message)?;
    serde_json::to_value(&explanation).map_err(|error| error.to_string())
}

/// The sources asked: directories and name servers.
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

/// The outcome of a session, in short.
#[derive(Debug)]
pub(super) struct Brief {
    /// Whether the message would be accepted.
    pub(super) allowed: bool,
    /// The rule that decides.
    pub(super) rule: &'static str,
    /// Why it refuses.
    pub(super) reason: String,
    /// The setting because of which it refuses, with its place; empty if it is not set.
    pub(super) setting: String,
    /// Whether the refusal is temporary.
    pub(super) for_now: bool,
    /// Whether a skipped policy service would have been asked.
    pub(super) unasked: bool,
}

/// The note in place of a policy service that is not asked.
pub(super) const NOT_ASKED: &str = "the policy service is not asked";

/// The same as an explained session, without the text for people.
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
    let args = &qualified(args, config, &listener.settings)?;
    let has_tls = config.tls.is_some() && listener.settings.tls != ListenerTls::Off;
    let bits = args.bits.unwrap_or(if has_tls { BITS } else { 0 });
    let mut course = Course {
        config,
        listener,
        steps: Vec::new(),
        detour: None,
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
    let mut args = args.clone();
    args.bits = Some(bits);
    let args = &args;
    let before_login = course.steps.len();
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
    let proved = args.login.as_deref().map(|login| {
        let domain = config.receive.auth.default_domain.as_deref();
        postern_mail::complete_login(login, domain).into_owned()
    });
    let mut rules = access::Telling::new(&course, &judge, (resolver, directories), args);
    let before = course.steps.len();
    rules
        .early(&mut course, [Stage::Connect, Stage::Helo], args)
        .await;
    // This comes before the login, but the login had to be known first.
    let early = course.steps.len() - before;
    course.steps[before_login..].rotate_right(early);
    begin(&mut course, &judge, args).await;
    let names: Vec<&str> = [proved.as_deref(), identity.as_ref().map(Identity::login)]
        .into_iter()
        .flatten()
        .filter(|_| identity.is_some())
        .collect();
    scope::mail(&mut course, &names, args).await;
    rules.early(&mut course, [Stage::Mail], args).await;
    filters::filters(&mut course, &judge, args);
    let mut ground = Ground::Here;
    let mut taken = Vec::new();
    let mut ruled = Vec::with_capacity(args.to.len());
    for mailbox in &args.to {
        ruled.push(ruled_of(&mut course, &judge, &rules, mailbox).await);
    }
    // If a rule accepts a stranger's recipients, nothing else is checked.
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
    budgets::about(
        &mut course,
        &judge,
        login.as_ref().map(|account| account.login.as_str()),
        args,
    );
    sandbox::about(&mut course, &judge, args);
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
