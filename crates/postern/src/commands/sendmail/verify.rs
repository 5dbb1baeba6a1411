//! `sendmail -bv` and `-bt`: what would happen to a recipient. Root sees it rule by rule, others the server's reply to `RCPT`.

use std::io::BufRead as _;

use postern_submit::addresses::scan;
use postern_submit::transfer::ask;
use postern_submit::{ExitStatus, Handover, Options};

use super::common::{Caller, Places, complain, is_administrator};
use super::listing::from_environment;
use crate::args::ExplainSessionArgs;
use crate::commands::{self, explain};
use crate::exit::{Exit, Failure};
use crate::{locate, output, visible};

/// Reports for each recipient on the command line what would happen to it.
pub(super) fn run(options: &Options, places: &Places) -> Result<ExitStatus, Failure> {
    let arguments = options.recipients.iter();
    let recipients: Vec<String> = arguments
        .flat_map(|argument| scan(argument.as_bytes()))
        .map(|found| found.text)
        .collect();
    if recipients.is_empty() {
        complain("no recipient: name one on the command line");
        return Ok(ExitStatus::Usage);
    }
    judge(recipients, options, places)
}

/// The same for addresses that are typed in, one per line. The rule set numbers that sendmail expects before an address are
/// ignored.
pub(super) fn test(options: &Options, places: &Places) -> Result<ExitStatus, Failure> {
    output::print("an address a line; each is judged as a recipient")?;
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        let is_number = |word: &&str| {
            word.split(',')
                .all(|part| !part.is_empty() && part.bytes().all(|c| c.is_ascii_digit()))
        };
        let words: Vec<&str> = line.split_whitespace().collect();
        let from = usize::from(words.len() > 1 && words.first().is_some_and(is_number));
        let recipients: Vec<String> = words[from..].iter().map(|word| (*word).to_owned()).collect();
        if recipients
            .first()
            .is_some_and(|first| matches!(first.as_str(), "quit" | "exit"))
        {
            break;
        }
        if recipients.is_empty() {
            continue;
        }
        match judge(recipients, options, places) {
            Ok(_) => {}
            Err(failure) if failure.message.is_empty() => {}
            Err(failure) => complain(&failure.message),
        }
    }
    Ok(ExitStatus::Ok)
}

fn judge(recipients: Vec<String>, options: &Options, places: &Places) -> Result<ExitStatus, Failure> {
    let caller = Caller::find();
    if is_administrator() {
        let written = commands::written(&locate::existing(&from_environment())?)?;
        let domain = written.origin();
        let whole = |address: &String| match address.contains('@') {
            true => address.clone(),
            false => format!("{address}@{domain}"),
        };
        let recipients: Vec<String> = recipients.iter().map(whole).collect();
        let sender = match &options.sender {
            Some(sender) if sender.is_empty() => String::new(),
            Some(sender) => whole(sender),
            None => whole(&caller.name),
        };
        let args =
            ExplainSessionArgs::for_local(from_environment(), &caller.name, Some(&sender), &recipients)
                .map_err(|message| Failure::new(Exit::Usage, message))?;
        return match explain::run(&args) {
            Ok(()) => Ok(ExitStatus::Ok),
            Err(failure) if failure.message.is_empty() => Ok(ExitStatus::NoUser),
            Err(failure) => Err(failure),
        };
    }
    let handover = Handover {
        sender: options.sender.clone(),
        recipients,
        ..Handover::default()
    };
    let asked = places
        .connect()
        .map_err(|error| error.to_string())
        .and_then(|mut stream| ask(&mut stream, &caller.name, &handover).map_err(|error| error.to_string()));
    let replies = match asked {
        Ok(replies) => replies,
        Err(error) => {
            complain(&format!("the server cannot be asked: {error}"));
            return Ok(ExitStatus::TryAgain);
        }
    };
    let mut status = ExitStatus::Ok;
    for (recipient, reply) in replies {
        let said = format!("{} {}", reply.code, reply.text);
        let word = if reply.is_success() {
            "deliverable"
        } else {
            "refused"
        };
        output::print(&visible::line(&format!("{recipient}... {word}: {said}")))?;
        if !reply.is_success() && status == ExitStatus::Ok {
            status = ExitStatus::of_reply(&reply);
        }
    }
    Ok(status)
}
