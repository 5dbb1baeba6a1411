//! `postern judge`: whether a message in a file is authentic.

use postern_net::resolver::Resolver;
use postern_policy::authenticity::Action;
use postern_seal::judge::{Checks, Judgement};
use serde::Serialize;

use crate::args::JudgeArgs;
use crate::config::JudgeSettings;
use crate::exit::{Exit, Failure};
use crate::judge::file::{self, Bringer};
use crate::judge::{self, Verdict};
use crate::{locate, output};

/// Judges a message.
pub(crate) fn run(args: &JudgeArgs) -> Result<(), Failure> {
    let config = super::checked(&locate::existing(&args.config)?)?;
    let content = file::read(&args.file)
        .map_err(|error| Failure::io(&format!("cannot read {}", args.file.display()), &error))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::from_error(Exit::System, "cannot start", &error))?;
    let settings = JudgeSettings {
        checks: Checks::ALL,
        ..config.judge.clone()
    };
    let resolver = Resolver::new(&config.resolver)
        .map_err(|error| Failure::from_error(Exit::Config, "cannot look up names", &error))?;
    let bringer = Bringer {
        peer: args.peer,
        helo: &args.helo,
        sender: args.from.mailbox(),
    };
    let judgement = runtime.block_on(file::judge(&content, bringer, &settings, &resolver));
    let who = (args.peer, args.helo.as_str(), args.from.mailbox());
    let verdict = judge::of(&judgement, who, &settings)
        .map_err(|error| Failure::from_error(Exit::Software, "cannot write the results", &error))?;
    let text = judgement.text(&settings.authserv_id, args.from.mailbox(), &args.helo);
    let shown = Shown::of(&judgement, &verdict, &text);
    if args.json.json {
        output::print_json(&shown)?;
    } else {
        output::print(&shown.text())?;
    }
    match verdict.action {
        Action::Reject => Err(Failure::silent(Exit::No)),
        _ => Ok(()),
    }
}

/// What is shown.
#[derive(Serialize)]
struct Shown<'a> {
    author: Option<String>,
    spf: Option<&'static str>,
    dkim: Option<&'static str>,
    dmarc: Option<&'static str>,
    arc: Option<&'static str>,
    signatures: Vec<Signature>,
    action: &'static str,
    rule: Option<&'static str>,
    reason: Option<String>,
    reply: Option<String>,
    authentication_results: &'a str,
}

/// A signature.
#[derive(Serialize)]
struct Signature {
    result: &'static str,
    domain: Option<String>,
    selector: Option<String>,
    reason: Option<String>,
}

impl<'a> Shown<'a> {
    fn of(judgement: &Judgement, verdict: &Verdict, text: &'a str) -> Self {
        let results = &verdict.results;
        let decided = verdict.decided;
        Self {
            author: judgement.author.as_ref().ok().map(ToString::to_string),
            spf: results.spf.map(|result| result.word()),
            dkim: results.dkim.map(|result| result.word()),
            dmarc: results.dmarc.map(|(result, _)| result.word()),
            arc: results.arc.map(|result| result.word()),
            signatures: judgement.dkim.iter().map(Signature::of).collect(),
            action: verdict.action.word(),
            rule: decided.map(|decided| decided.rule.name()),
            reason: decided.map(|decided| decided.to_string()),
            reply: decided
                .filter(|_| verdict.action == Action::Reject)
                .map(|decided| {
                    let (code, status, text) = decided.told();
                    format!("{code} {status} {text}")
                }),
            authentication_results: text,
        }
    }

    fn text(&self) -> String {
        let mut lines = vec![format!("Authentication-Results: {}", self.authentication_results)];
        lines.push(String::new());
        lines.push(match (self.rule, &self.reason) {
            (Some(rule), Some(reason)) => format!("{}: {rule}: {reason}", self.action),
            _ => format!("{}: all is well", self.action),
        });
        lines.extend(self.reply.clone());
        lines.join("\n")
    }
}

impl Signature {
    fn of(outcome: &postern_seal::judge::dkim::Outcome) -> Self {
        Self {
            result: outcome.result.word(),
            domain: outcome.domain.clone(),
            selector: outcome.selector.clone(),
            reason: outcome.fault.as_ref().map(ToString::to_string),
        }
    }
}
