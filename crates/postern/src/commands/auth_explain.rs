//! `postern auth explain`: what a login may do, and which rule decides.

use std::net::IpAddr;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use postern_directory::{Account, DenyReason, Directories, DirectorySettings, PasswordVerdict};
use postern_mail::{ReversePath, complete_login};
use postern_policy::identity::{self, ActAs, Basis, Claims, Identity, SenderRefusal};
use postern_policy::login::SessionFacts;
use postern_policy::rule::{Rule, Says, Verdict};
use postern_receive::judge::{Ground, Judge, Offer, is_trusted};
use postern_receive::{AuthRule, ListenerSettings, Role, identity_of};
use postern_sasl::{Layers, Mechanism};
use serde::Serialize;

use crate::args::{ConfigArg, ExplainArgs};
use crate::config::Config;
use crate::config::checked::ListenerConfig;
use crate::exit::{Exit, Failure, chain};
use crate::{locate, output, rights, visible};

/// One question with its answer.
#[derive(Debug, Serialize)]
struct Line {
    question: String,
    allowed: bool,
    #[serde(serialize_with = "by_name")]
    rule: Rule,
    reason: String,
}

fn by_name<S: serde::Serializer>(rule: &Rule, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(rule.name())
}

/// What the directories know about one account.
#[derive(Debug, Serialize)]
struct Facts {
    login: String,
    /// Whether a directory that can be asked without a password knows it.
    known: bool,
    addresses: Vec<String>,
    groups: Vec<String>,
    acts_for: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Explanation {
    /// Whom the session would act as.
    account: Facts,
    verdicts: Vec<Line>,
}

/// Asks the rules and directories of the configuration, as the server would. If anything is refused, the exit status says so.
pub(crate) fn run(at: &ConfigArg, args: &ExplainArgs) -> Result<(), Failure> {
    let path = locate::existing(at)?;
    let config = super::checked(&path)?;
    rights::enter(&config.state_dir)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::from_error(Exit::System, "cannot start", &error))?;
    let explanation = runtime.block_on(explain(&config, args))?;
    if args.json.json {
        output::print_json(&explanation)?;
    } else {
        show(&explanation)?;
    }
    if explanation.verdicts.iter().all(|line| line.allowed) {
        Ok(())
    } else {
        Err(Failure::silent(Exit::No))
    }
}

async fn explain(config: &Config, args: &ExplainArgs) -> Result<Explanation, Failure> {
    let directories = Directories::open(super::those_there(config.directories.clone()))
        .await
        .map_err(|error| Failure::new(Exit::InputOutput, chain(&error)))?;
    let mut verdicts = Vec::new();
    let domain = config.receive.auth.default_domain.as_deref();
    let login = complete_login(&args.login, domain);
    let (mut known, mut account) = match find(&directories, &login).await? {
        Found::Known(account) => (true, account),
        Found::Denied(reason) if asks_for_passwords(config) && reason == DenyReason::UnknownUser => {
            (false, nameless(&login))
        }
        Found::Denied(reason) => {
            verdicts.push(Line {
                question: "log in".into(),
                allowed: false,
                rule: Rule::LoginDenied,
                reason: reason.to_string(),
            });
            (false, nameless(&login))
        }
    };
    if let Some(mechanism) = args.mechanism {
        verdicts.push(trust(config, mechanism, args));
    }
    if args.mechanism.is_some() || args.listener.is_some() {
        verdicts.extend(listeners(config, &directories, args)?);
    }
    if let Some(authzid) = &args.acts_as {
        let identity = identity_of(&account);
        let (line, other) = act(config, &identity, &complete_login(authzid, domain));
        verdicts.push(line);
        if let Some(other) = other {
            (known, account) = match find(&directories, &other).await? {
                Found::Known(account) => (true, account),
                Found::Denied(reason) => {
                    if let Some(line) = verdicts.last_mut() {
                        line.allowed = false;
                        line.reason.push_str(&format!("; that account: {reason}"));
                    }
                    (false, nameless(&other))
                }
            };
            account.acts_for.clear();
        }
    }
    let identity = identity_of(&account);
    let refused = verdicts.iter().any(|line| line.rule == Rule::LoginAuthorization);
    if !refused {
        // Without a mechanism, shows what trusted logins may do.
        let trusted = args
            .mechanism
            .is_none_or(|mechanism| is_trusted(&config.receive, mechanism, args.bits));
        let claims = Claims {
            from: args.from.iter().map(String::as_str).collect(),
            sender: args.header_sender.iter().map(String::as_str).collect(),
            ..Claims::default()
        };
        let sender = args.sender.iter().filter_map(ReversePath::mailbox);
        let claimed = identity::claimed(&claims);
        let addresses = sender.chain(&args.submitter).cloned().chain(claimed).collect();
        if let Err(refusal) = config.receive.learn_owners(addresses).await {
            verdicts.push(Line {
                question: "owners of the addresses".into(),
                allowed: false,
                rule: refusal.rule(),
                reason: refusal.to_string(),
            });
        }
        verdicts.extend(senders(config, &identity, trusted, args));
    }
    let account = Facts {
        login: account.login.clone(),
        known,
        addresses: identity.own_addresses().into_iter().map(str::to_owned).collect(),
        groups: account.groups,
        acts_for: account.acts_for.into_iter().map(|owner| owner.login).collect(),
    };
    Ok(Explanation { account, verdicts })
}

/// What the directories say about a login without its password.
pub(super) enum Found {
    Known(Account),
    Denied(DenyReason),
}

/// Whether a directory that can only be asked with a password may know the login.
pub(super) fn asks_for_passwords(config: &Config) -> bool {
    let needs_password = |directory: &DirectorySettings| match directory {
        DirectorySettings::Saslauthd(_) | DirectorySettings::Pam(_) | DirectorySettings::Dovecot(_) => true,
        DirectorySettings::Users(_)
        | DirectorySettings::Ldap(_)
        | DirectorySettings::Sql(_)
        | DirectorySettings::Table(_)
        | DirectorySettings::System(_) => false,
    };
    config.directories.iter().any(needs_password)
}

/// An account known only by name.
pub(super) fn nameless(login: &str) -> Account {
    Account {
        login: login.to_owned(),
        ..Account::default()
    }
}

pub(super) async fn find(directories: &Directories, login: &str) -> Result<Found, Failure> {
    match directories.find_account(login).await {
        PasswordVerdict::Granted(account) => Ok(Found::Known(account)),
        PasswordVerdict::Denied(reason) => Ok(Found::Denied(reason)),
        PasswordVerdict::Unavailable { reason, .. } => Err(Failure::new(
            Exit::Unavailable,
            format!("a directory cannot be asked: {reason}"),
        )),
    }
}

fn trust(config: &Config, mechanism: Mechanism, args: &ExplainArgs) -> Line {
    let settings = &config.receive;
    let verdict = settings
        .relay
        .by_login(is_trusted(settings, mechanism, args.bits));
    let verdict: &dyn Verdict = match &verdict {
        Ok(reason) => reason,
        Err(refusal) => refusal,
    };
    let rule = verdict.rule();
    let reason = match rule {
        Rule::RelayLogin => "`login_mechanisms` and `login_least_bits` are met",
        Rule::RelayLoginUntrusted => "`login_mechanisms` or `login_least_bits` in [relay]",
        _ => "`logins = false` in [relay]",
    };
    Line {
        question: format!("relay after {mechanism} with {} bits", args.bits),
        allowed: rule.says() == Says::Yes,
        rule,
        reason: reason.into(),
    }
}

/// Whether the mechanism is offered, on each listener in question: if none is named, all on which authentication is possible.
fn listeners(config: &Config, directories: &Directories, args: &ExplainArgs) -> Result<Vec<Line>, Failure> {
    let named = |name: &String, listener: &ListenerConfig| {
        *name == listener.settings.name || *name == listener.address.to_string()
    };
    let asked: Vec<_> = config
        .listeners
        .iter()
        .filter(|listener| match &args.listener {
            Some(name) => named(name, listener),
            None => listener.settings.auth != AuthRule::Off,
        })
        .collect();
    if let (Some(name), true) = (&args.listener, asked.is_empty()) {
        return Err(Failure::new(Exit::No, format!("there is no listener {name}")));
    }
    let mut lines = Vec::new();
    for listener in asked {
        let client = OfferClient {
            peer: args.peer,
            bits: args.bits,
            certificate: None,
        };
        let offer = offer(config, listener, directories, &client);
        let mechanisms: Vec<Mechanism> = args
            .mechanism
            .map_or_else(|| offer.mechanisms.to_vec(), |one| vec![one]);
        for mechanism in mechanisms {
            let verdict = opened(&offer, listener, mechanism);
            lines.push(Line {
                question: format!("{mechanism} on {} from {}", listener.settings.name, args.peer),
                allowed: verdict.is_ok(),
                rule: match verdict {
                    Ok(()) => Rule::LoginOffered,
                    Err(_) => Rule::LoginNotOffered,
                },
                reason: verdict.map_or_else(|reason| reason, |()| "all conditions are met".into()),
            });
        }
    }
    Ok(lines)
}

/// The client to whom a mechanism would be offered.
pub(super) struct OfferClient {
    pub(super) peer: IpAddr,
    /// Bits of its TLS session; 0 for none.
    pub(super) bits: u32,
    /// Whether it has presented a verified certificate; `None` if it can when a mechanism asks for one.
    pub(super) certificate: Option<bool>,
}

/// What decides which mechanisms this client is offered.
pub(super) fn offer<'a>(
    config: &'a Config,
    listener: &'a ListenerConfig,
    directories: &'a Directories,
    client: &OfferClient,
) -> Offer<'a> {
    let auth = &config.receive.auth;
    let inside_tls = client.bits > 0;
    Offer {
        auth,
        mechanisms: listener.settings.mechanisms.as_ref().unwrap_or(&auth.mechanisms),
        least_bits: listener.settings.least_bits.or_else(|| auth.least_bits()),
        facts: SessionFacts {
            peer: Some(client.peer),
            tls_bits: inside_tls.then_some(client.bits),
            channel_known: inside_tls,
            certificate: client.certificate.unwrap_or(true),
            today: TimeZone::UTC.to_datetime(Timestamp::now()).date(),
        },
        layers: if inside_tls {
            Layers::default()
        } else {
            auth.layers
        },
        directories,
        takes_tokens: !config.providers.is_empty(),
    }
}

/// Whether a mechanism is available there, or why not.
pub(super) fn opened(
    offer: &Offer<'_>,
    listener: &ListenerConfig,
    mechanism: Mechanism,
) -> Result<(), String> {
    if listener.settings.auth == AuthRule::Off {
        return Err("nobody logs in there".to_owned());
    }
    offer.open(mechanism).map_err(|reason| reason.to_string())
}

/// Whether the login may act as somebody, and whose account that is.
fn act(config: &Config, identity: &Identity, authzid: &str) -> (Line, Option<String>) {
    let question = format!("{} acts as {authzid}", identity.login());
    let line = |allowed, rule, reason| Line {
        question: question.clone(),
        allowed,
        rule,
        reason,
    };
    match identity::act_as(identity, authzid, &config.receive.identity) {
        Ok(verdict @ ActAs::Itself) => (line(true, verdict.rule(), "itself".into()), None),
        Ok(verdict @ ActAs::Other { login, basis }) => (
            line(true, verdict.rule(), basis.to_string()),
            Some(login.to_owned()),
        ),
        Err(refusal) => (line(false, refusal.rule(), refusal.to_string()), None),
    }
}

fn senders(config: &Config, identity: &Identity, trusted: bool, args: &ExplainArgs) -> Vec<Line> {
    // The listener only matters for relaying.
    let listener = ListenerSettings::new("", Role::Submission);
    let judge = Judge {
        settings: &config.receive,
        listener: &listener,
        peer: args.peer,
        certificate: None,
        identity: Some(identity),
        trusted,
        local_user: None,
    };
    let aliases = &config.aliases;
    let line = |question: String, verdict: &dyn Verdict| Line {
        question,
        allowed: verdict.rule().says() == Says::Yes,
        rule: verdict.rule(),
        reason: verdict.reason().to_string(),
    };
    let mut lines = Vec::new();
    if let Some(verdict) = args
        .sender
        .as_ref()
        .and_then(|sender| judge.sender(sender, aliases))
    {
        let sender = args.sender.as_ref().unwrap_or(&ReversePath::Null);
        lines.push(line(format!("MAIL FROM:{sender}"), either(&verdict)));
    }
    if let Some(submitter) = &args.submitter {
        let question = format!("AUTH={submitter}");
        match judge.submitter(&submitter.to_string(), aliases) {
            Ok(()) => lines.push(line(question, either(&judge.names(submitter, aliases)))),
            Err(refusal) => lines.push(Line {
                allowed: false,
                ..line(question, &refusal)
            }),
        }
    }
    if !args.from.is_empty() || !args.header_sender.is_empty() {
        let claims = Claims {
            from: args.from.iter().map(|value| value.trim()).collect(),
            sender: args.header_sender.iter().map(|value| value.trim()).collect(),
            ..Claims::default()
        };
        let fields = args.from.iter().map(|value| format!("From: {value}"));
        let senders = args.header_sender.iter().map(|value| format!("Sender: {value}"));
        let question = fields.chain(senders).collect::<Vec<_>>().join(", ");
        if let Some(verdict) = judge.author(Ground::Here, &claims, aliases) {
            lines.push(line(question, either(&verdict)));
        }
    }
    lines
}

/// Yes or no, with the reason.
pub(super) fn either<'v>(verdict: &'v Result<Basis<'_>, SenderRefusal>) -> &'v dyn Verdict {
    match verdict {
        Ok(basis) => basis,
        Err(refusal) => refusal,
    }
}

fn show(explanation: &Explanation) -> Result<(), Failure> {
    let Facts {
        login,
        known,
        addresses,
        groups,
        acts_for,
    } = &explanation.account;
    let or_none = |list: &[String]| match list {
        [] => "none".to_owned(),
        list => list.join(" "),
    };
    let mut text = visible::line(login).into_owned();
    if !known {
        text.push_str(
            "\n  no directory that can be asked without its password knows it as an account that is open",
        );
    }
    text.push_str(&format!(
        "\n  addresses: {}\n  groups: {}\n  delegate of: {}\n",
        or_none(addresses),
        or_none(groups),
        or_none(acts_for)
    ));
    output::print(&text)?;
    let rows = explanation.verdicts.iter().map(|line| {
        vec![
            visible::line(&line.question).into_owned(),
            if line.allowed { "yes" } else { "no" }.to_owned(),
            line.rule.to_string(),
            line.reason.clone(),
        ]
    });
    match explanation.verdicts.as_slice() {
        [] => output::print("ask more with --as, --sender, --from, --submitter, --mechanism, --listener"),
        _ => output::print_table(&["question", "allowed", "rule", "why"], &[], &[], rows.collect()),
    }
}
