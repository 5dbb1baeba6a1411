//! Postfix's lines.

use super::gathered::{Decision, Gathered, Left, Outcome};
use super::pieces::{bare, field, in_brackets, reply};

/// Reads a line; returns whether it was one of Postfix's about mail.
pub(super) fn line(gathered: &mut Gathered, program: &str, text: &str) -> bool {
    let mut parts = program.rsplit('/');
    let (Some(name), Some(next)) = (parts.next(), parts.next()) else {
        return false;
    };
    // postfix/submission/smtpd: the service stands between the two.
    let service = if parts.next().is_some() { next } else { "" };
    match name {
        "smtpd" | "postscreen" => asked(gathered, service, text),
        "cleanup" => content(gathered, text),
        "pickup" => {
            if let Some((id, _)) = queue_id(text) {
                gathered.open(id).is_local = true;
            }
            true
        }
        "qmgr" => queued(gathered, text),
        "smtp" | "lmtp" | "local" | "virtual" | "pipe" | "error" | "discard" | "relay" => {
            delivered(gathered, text)
        }
        _ => false,
    }
}

/// `4X1abc: text`; letters and digits make an id.
fn queue_id(text: &str) -> Option<(&str, &str)> {
    let (id, rest) = text.split_once(": ")?;
    let is_id = id.len() >= 6 && id.bytes().all(|octet| octet.is_ascii_alphanumeric());
    is_id.then_some((id, rest))
}

fn asked(gathered: &mut Gathered, service: &str, text: &str) -> bool {
    let (id, rest) = match text.strip_prefix("NOQUEUE: ") {
        Some(rest) => ("", rest),
        None => match queue_id(text) {
            Some(found) => found,
            None => return false,
        },
    };
    if rest.starts_with("client=") {
        let message = gathered.open(id);
        message.client = in_brackets(rest);
        service.clone_into(&mut message.service);
        message.login = field(rest, "sasl_username=", &[',', ' ']).map(str::to_owned);
        return true;
    }
    if rest.starts_with("milter-reject: ") {
        gathered.leave(Left::Content, 1);
        return true;
    }
    let Some((kind, rest)) = rest.split_once(": ") else {
        return false;
    };
    let outcome = match kind {
        "reject" => {
            // `RCPT from host[192.0.2.1]: 554 5.7.1 <x>: Relay access denied; from=…`; postscreen has a port after the bracket.
            let said = rest.split_once(']').map_or("", |(_, rest)| rest);
            let said = said.split_once(": ").map_or("", |(_, rest)| rest);
            let Some((code, words)) = reply(said) else {
                return false;
            };
            let words = words.split("; from=").next().unwrap_or(words);
            Outcome::Refused(code, words.to_owned())
        }
        "discard" => Outcome::Taken,
        // These do something in addition; whether the mail is accepted is logged elsewhere.
        "hold" | "filter" | "redirect" | "prepend" | "warn" | "info" | "permit" | "reject_warning"
        | "bcc" => return true,
        _ => return false,
    };
    refused(gathered, service, rest, outcome)
}

fn refused(gathered: &mut Gathered, service: &str, rest: &str, outcome: Outcome) -> bool {
    let ends = [' ', ',', ';'];
    let (Some(client), Some(recipient)) = (in_brackets(rest), field(rest, "to=<", &['>'])) else {
        gathered.leave(Left::NoRecipient, 1);
        return true;
    };
    let decision = Decision {
        client,
        service: service.to_owned(),
        // A refusal names the login if that is the reason.
        login: rest
            .split_once("not owned by user ")
            .map(|(_, user)| user.split(ends).next().unwrap_or_default().to_owned()),
        helo: field(rest, "helo=<", &['>']).map(str::to_owned),
        sender: field(rest, "from=<", &['>']).unwrap_or_default().to_owned(),
        recipient: recipient.to_owned(),
        outcome,
    };
    let place = gathered.place.clone();
    gathered.decided(decision, &place);
    true
}

/// Checks of header and body, and filters at the end of a message.
fn content(gathered: &mut Gathered, text: &str) -> bool {
    let Some((id, rest)) = queue_id(text) else {
        return false;
    };
    let is_refused = rest.starts_with("reject: ") || rest.starts_with("milter-reject: ");
    if is_refused {
        gathered.leave(Left::Content, 1);
        gathered.open.remove(id);
    }
    is_refused || rest.starts_with("message-id=")
}

fn queued(gathered: &mut Gathered, text: &str) -> bool {
    let Some((id, rest)) = queue_id(text) else {
        return false;
    };
    if rest == "removed" {
        gathered.ended(id);
        return true;
    }
    if let Some(from) = field(rest, "from=<", &['>']) {
        let sender = from.to_owned();
        // Bounces have neither a client nor a submitter.
        if let Some(message) = gathered.open.get_mut(id) {
            message.sender = Some(sender);
        }
        return true;
    }
    false
}

fn delivered(gathered: &mut Gathered, text: &str) -> bool {
    let Some((id, rest)) = queue_id(text) else {
        return false;
    };
    let Some(to) = field(rest, "to=<", &['>']) else {
        return false;
    };
    let named = field(rest, "orig_to=<", &['>']).unwrap_or(to);
    let named = bare(named);
    if let Some(message) = gathered.open.get_mut(id) {
        message.taken(named);
    }
    true
}
