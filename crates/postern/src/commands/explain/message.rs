//! A message in a file: its authors, and the SPF, DKIM, DMARC and ARC results.

use postern_mail::header::HeaderScan;
use postern_net::resolver::Resolver;
use postern_policy::authenticity::{Action, outcomes};
use postern_policy::identity::Claims;
use postern_policy::rule::{Rule, Ruling};
use postern_receive::Role;
use postern_receive::judge::Judge;

use super::course::Course;
use crate::args::ExplainSessionArgs;
use crate::exit::{Exit, Failure};
use crate::judge;
use crate::judge::file::{self, Bringer};

/// The message that was given, if there is one.
pub(super) struct Given(Option<Message>);

struct Message {
    content: Vec<u8>,
    scan: HeaderScan,
}

impl Given {
    /// Reads it.
    pub(super) fn of(args: &ExplainSessionArgs) -> Result<Self, Failure> {
        let Some(path) = &args.message else {
            return Ok(Self(None));
        };
        let content = file::read(path)
            .map_err(|error| Failure::io(&format!("cannot read {}", path.display()), &error))?;
        let mut scan = HeaderScan::new();
        scan.feed(&content);
        scan.finish();
        Ok(Self(Some(Message { content, scan })))
    }

    /// The arguments, with the size of the message.
    pub(super) fn sized(&self, args: &ExplainSessionArgs) -> ExplainSessionArgs {
        let mut args = args.clone();
        if let Self(Some(message)) = self {
            args.size = message.content.len() as u64;
        }
        args
    }

    /// The message, if one was given.
    pub(super) fn content(&self) -> Option<&[u8]> {
        self.0.as_ref().map(|message| message.content.as_slice())
    }

    /// The values of `From`: those of the message, or the one given instead.
    pub(super) fn authors<'a>(&'a self, args: &'a ExplainSessionArgs) -> Vec<&'a str> {
        match &self.0 {
            Some(message) => message.scan.from_values().collect(),
            None => args.author.as_deref().into_iter().collect(),
        }
    }

    /// All fields that claim an author or sender.
    pub(super) fn claims<'a>(&'a self, args: &'a ExplainSessionArgs) -> Claims<'a> {
        let from = self.authors(args);
        match &self.0 {
            None => Claims {
                from,
                ..Claims::default()
            },
            Some(Message { scan, .. }) => Claims {
                from,
                sender: scan.sender_values().collect(),
                resent: scan.resent_values().collect(),
                in_doubt: scan.from_is_in_doubt(),
            },
        }
    }
}

/// Judges as the server would, if it would: mail from strangers to listeners with the role `mx`.
pub(super) async fn judged(
    course: &mut Course<'_>,
    who: &Judge<'_>,
    resolver: &Resolver,
    given: &Given,
    args: &ExplainSessionArgs,
) -> Result<(), Failure> {
    let settings = &course.config.judge;
    let is_judged = who.listener.role == Role::Mx && who.identity.is_none() && who.relay_reason().is_none();
    let Given(Some(message)) = given else {
        return Ok(());
    };
    if !is_judged || settings.checks.is_none() {
        return Ok(());
    }
    let bringer = Bringer {
        peer: args.peer(),
        helo: &args.helo,
        sender: args.from.mailbox(),
    };
    let judgement = file::judge(&message.content, bringer, settings, resolver).await;
    let verdict = judge::of(&judgement, (bringer.peer, bringer.helo, bringer.sender), settings)
        .map_err(|error| Failure::from_error(Exit::Software, "cannot write the results", &error))?;
    let text = judgement.text(&settings.authserv_id, bringer.sender, bringer.helo);
    let of_each = outcomes(&verdict.results, &settings.actions);
    for (method, outcome) in ["dmarc", "spf", "dkim", "arc"].into_iter().zip(of_each) {
        let found: Vec<&str> = text
            .split(";\n\t")
            .filter(|line| line.split('=').next() == Some(method))
            .collect();
        if found.is_empty() {
            continue;
        }
        let found = found.join("; ");
        let (rule, action) = outcome.unwrap_or((Rule::JudgePassed, Action::Nothing));
        let decides = verdict.decided.filter(|decided| decided.rule == rule);
        let excepted = decides.is_some_and(|decided| decided.excepted);
        let reason = match (outcome, excepted) {
            (None, _) => found,
            (_, true) => format!("{found}: nothing, an exception holds"),
            _ => format!("{found}: {}", action.word()),
        };
        let refused = decides.is_some() && verdict.action == Action::Reject;
        course.add_judged(
            method.to_ascii_uppercase(),
            &Ruling {
                rule,
                reason: &reason,
            },
            !refused,
        );
    }
    Ok(())
}
