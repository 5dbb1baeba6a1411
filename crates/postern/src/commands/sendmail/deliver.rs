//! Submits a message to the server, or to the drop folder if the server does not accept it now.

use std::io::Cursor;

use postern_submit::message::Caller as From;
use postern_submit::transfer::{Order, transfer};
use postern_submit::{
    Errors, ExitStatus, Handover, Message, MessageError, Options, Outcome, Prepared, Refusal, TransferError,
};

use super::common::{Caller, Places, complain};
use super::drop;

/// Reads a message from standard input and submits it.
pub(super) fn run(options: &Options, places: &Places) -> ExitStatus {
    let status = hand_in(options, places);
    match options.errors {
        Errors::Zero => ExitStatus::Ok,
        Errors::Print | Errors::Quiet => status,
    }
}

fn hand_in(options: &Options, places: &Places) -> ExitStatus {
    let say = |text: &str| {
        if options.errors != Errors::Quiet {
            complain(text);
        }
    };
    let caller = Caller::find();
    let from = From {
        name: &caller.name,
        full_name: caller.full_name.as_deref(),
    };
    let prepared = Message::read(&mut std::io::stdin().lock(), options.dots_are_text)
        .and_then(|message| Prepared::new(options, from, message));
    let prepared = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            say(&error.to_string());
            return match error {
                MessageError::Read(_) => ExitStatus::NoInput,
                MessageError::TooLarge => ExitStatus::Unavailable,
                MessageError::NoRecipient => ExitStatus::Usage,
                MessageError::TooManyRecipients => ExitStatus::Data,
            };
        }
    };
    if let Err(error) = prepared.handover.check() {
        say(&error.to_string());
        return ExitStatus::Data;
    }
    let later = match to_server(&prepared, &caller, options.verbose, places) {
        Ok(outcome) => {
            let failed = outcome.failed();
            for refusal in &failed {
                say(&format!("{}: {}", refusal.recipient, refusal.reply));
            }
            let status = failed.first().map(|refusal| ExitStatus::of_reply(&refusal.reply));
            let later = outcome.later();
            match (status, later.is_empty()) {
                (status, true) => return status.unwrap_or(ExitStatus::Ok),
                (Some(status), false) => {
                    let kept = keep(&prepared, &names(later), places, &say, options.verbose);
                    return if kept == ExitStatus::Ok { status } else { kept };
                }
                (None, false) => names(later),
            }
        }
        // It is unknown whether the server has it. Delivering twice is better than never.
        Err(_) => prepared.handover.recipients.clone(),
    };
    keep(&prepared, &later, places, &say, options.verbose)
}

fn names(refusals: Vec<Refusal>) -> Vec<String> {
    refusals.into_iter().map(|refusal| refusal.recipient).collect()
}

fn to_server(
    prepared: &Prepared,
    caller: &Caller,
    verbose: bool,
    places: &Places,
) -> Result<Outcome, TransferError> {
    let mut stream = places.connect().map_err(TransferError::Stream)?;
    let mut show = |line: &str| {
        if verbose {
            println_visible(line);
        }
    };
    let mut body = Cursor::new(&prepared.message.body);
    let order = Order {
        user: &caller.name,
        handover: &prepared.handover,
        header: &prepared.message.header,
        body_at: 0,
        body_len: prepared.message.body.len() as u64,
        body: &mut body,
    };
    transfer(&mut stream, order, &mut show)
}

/// Puts a message into the drop folder for the recipients that will get it later.
fn keep(
    prepared: &Prepared,
    recipients: &[String],
    places: &Places,
    say: &dyn Fn(&str),
    verbose: bool,
) -> ExitStatus {
    let handover = Handover {
        recipients: recipients.to_vec(),
        ..prepared.handover.clone()
    };
    match drop::write(&handover, &prepared.message, &places.drop) {
        Ok(()) => {
            if verbose {
                println_visible("the server does not take it now: kept until it does");
            }
            ExitStatus::Ok
        }
        Err(error) => {
            say(&format!(
                "the server does not take the message now, and it cannot be kept in {}: {error}",
                places.drop.display()
            ));
            ExitStatus::TryAgain
        }
    }
}

fn println_visible(line: &str) {
    // A caller that closed the output does not want to know.
    let _ = crate::output::print(&crate::visible::line(line));
}
