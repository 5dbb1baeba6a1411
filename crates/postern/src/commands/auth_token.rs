//! `postern auth explain-token` and `postern auth providers`.

use std::io::Read as _;
use std::path::Path;

use postern_directory::{DenyReason, Directories, DirectorySettings, PasswordVerdict};
use postern_events::Observers;
use postern_mail::complete_login;
use postern_oauth::verify::{AccountRule, Explanation, Owner, Step, TOKEN_MAX, Verdict, Verifier};
use secrecy::SecretString;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::args::{ConfigArg, JsonArg};
use crate::control::protocol::{ProviderLine, Request};
use crate::exit::{Exit, Failure, chain};
use crate::{locate, output, rights};

/// What `--json` prints.
#[derive(Serialize)]
struct View<'a> {
    provider: Option<&'a str>,
    steps: Vec<StepView<'a>>,
    /// `taken`, `refused` or `unavailable`.
    verdict: &'static str,
    login: Option<String>,
    reason: Option<String>,
}

#[derive(Serialize)]
struct StepView<'a> {
    rule: &'a str,
    says: &'a str,
    ok: bool,
    problem: Option<&'a str>,
}

/// Shows what each rule finds in a token.
pub(crate) fn explain(
    file: &Path,
    login: Option<&str>,
    json: JsonArg,
    arg: &ConfigArg,
) -> Result<(), Failure> {
    let path = locate::existing(arg)?;
    let config = super::checked(&path)?;
    if config.providers.is_empty() {
        let message = format!("there is no [[auth.provider]] in {}", path.display());
        return Err(Failure::new(Exit::Config, message));
    }
    let token = read(file)?;
    rights::enter(&config.state_dir)?;
    let verifier = Verifier::open(config.providers, None, &Observers::nobody())
        .map_err(|error| Failure::new(Exit::Config, chain(&error)))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::io("cannot start the runtime", &error))?;
    let domain = config.receive.auth.default_domain.as_deref();
    let login = login.map(|login| complete_login(login, domain));
    let mut explanation = runtime.block_on(verifier.explain(&token, login.as_deref()));
    if let Verdict::Owner(owner) = &mut explanation.verdict {
        owner.login = complete_login(&owner.login, domain).into_owned();
    }
    let account = match &explanation.verdict {
        Verdict::Owner(owner) => Some(runtime.block_on(account(owner, config.directories))?),
        _ => None,
    };
    let (verdict, login, reason) = match (&explanation.verdict, &account) {
        (Verdict::Owner(owner), Some(step)) => match &step.problem {
            None => ("taken", Some(owner.login.clone()), None),
            problem => ("refused", Some(owner.login.clone()), problem.clone()),
        },
        (Verdict::Unavailable(reason), _) => ("unavailable", None, Some(reason.clone())),
        (Verdict::Refused(refusal), _) => ("refused", None, Some(refusal.to_string())),
        (Verdict::Owner(owner), None) => ("taken", Some(owner.login.clone()), None),
    };
    explanation.steps.extend(account);
    if json.json {
        output::print_json(&view(&explanation, verdict, login, reason))?;
    } else {
        show(&explanation)?;
        output::print(&match (login, reason) {
            (Some(login), None) => format!("\ntaken: the login is {login}"),
            (_, reason) => format!("\n{verdict}: {}", reason.unwrap_or_default()),
        })?;
    }
    if verdict == "taken" {
        Ok(())
    } else {
        Err(Failure::silent(Exit::No))
    }
}

/// Whether a directory knows the owner.
async fn account(owner: &Owner, directories: Vec<DirectorySettings>) -> Result<Step, Failure> {
    let directories = Directories::open(super::those_there(directories))
        .await
        .map_err(|error| Failure::new(Exit::Config, chain(&error)))?;
    let (says, problem) = match directories.find_account(&owner.login).await {
        PasswordVerdict::Granted(account) => (account.login, None),
        PasswordVerdict::Denied(DenyReason::UnknownUser) if owner.account == AccountRule::Optional => {
            ("no directory knows it, and none has to".into(), None)
        }
        PasswordVerdict::Denied(reason) => (owner.login.clone(), Some(format!("{}: {reason}", owner.login))),
        PasswordVerdict::Unavailable { reason, .. } => (
            owner.login.clone(),
            Some(format!("cannot be found out now: {reason}")),
        ),
    };
    Ok(Step {
        rule: "account",
        says,
        problem,
    })
}

fn view<'a>(
    explanation: &'a Explanation,
    verdict: &'static str,
    login: Option<String>,
    reason: Option<String>,
) -> View<'a> {
    let steps = explanation.steps.iter().map(|step| StepView {
        rule: step.rule,
        says: &step.says,
        ok: step.problem.is_none(),
        problem: step.problem.as_deref(),
    });
    View {
        provider: explanation.issuer.as_deref(),
        steps: steps.collect(),
        verdict,
        login,
        reason,
    }
}

fn show(explanation: &Explanation) -> Result<(), Failure> {
    let rows = explanation.steps.iter().map(|step| {
        vec![
            step.rule.to_owned(),
            step.problem.clone().unwrap_or_else(|| "ok".into()),
            step.says.clone(),
        ]
    });
    output::print_table(&["rule", "finds", "the token says"], &[], &[0], rows.collect())
}

/// Reads the token from a file or standard input. White space around it, and `Bearer` before it, are not part of it.
fn read(file: &Path) -> Result<SecretString, Failure> {
    // Room for white space and the prefix, and one octet to detect that it is too long.
    let most = TOKEN_MAX as u64 + 64;
    let mut text = Zeroizing::new(String::new());
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(most).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(most).read_to_string(&mut text))
    };
    read.map_err(|error| Failure::io(&format!("cannot read {}", file.display()), &error))?;
    let token = text.trim();
    let token = match token.split_once(' ') {
        Some((word, rest)) if word.eq_ignore_ascii_case("bearer") => rest.trim(),
        _ => token,
    };
    if token.is_empty() || token.len() > TOKEN_MAX || !token.bytes().all(|octet| octet.is_ascii_graphic()) {
        let message = format!(
            "{} holds no token: it is one word of up to {TOKEN_MAX} visible ASCII characters",
            file.display()
        );
        return Err(Failure::new(Exit::No, message));
    }
    Ok(SecretString::from(token))
}

/// Shows what the running server knows about its providers. If one fails, the exit status says so.
pub(crate) fn providers(json: JsonArg, arg: &ConfigArg) -> Result<(), Failure> {
    let written = super::written(&locate::existing(arg)?)?;
    let Some(mut client) = super::reach(&written)? else {
        let message = format!(
            "no server runs on {}; `postern check` asks the providers without one",
            written.state_dir().display()
        );
        return Err(Failure::new(Exit::Unavailable, message));
    };
    let lines: Vec<ProviderLine> =
        serde_json::from_value(client.ask(&Request::Providers)?).map_err(|error| {
            Failure::from_error(Exit::Software, "cannot understand the server's answer", &error)
        })?;
    if json.json {
        output::print_json(&lines)?;
    } else if lines.is_empty() {
        output::print("there are no providers of tokens")?;
    } else {
        let rows = lines.iter().map(|line| {
            let age = line.age.and_then(|age| i64::try_from(age).ok());
            vec![
                line.issuer.clone(),
                line.check.clone(),
                line.problem.clone().unwrap_or_else(|| "ok".into()),
                age.map(|age| format!("{} ago", output::span(age)))
                    .unwrap_or_default(),
                line.keys.clone().unwrap_or_default(),
            ]
        });
        let head = ["provider", "check", "state", "keys fetched", "keys"];
        output::print_table(&head, &[], &[0], rows.collect())?;
    }
    match lines.iter().any(|line| line.problem.is_some()) {
        true => Err(Failure::silent(Exit::No)),
        false => Ok(()),
    }
}
