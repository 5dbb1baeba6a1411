//! sendmail's lines.

use super::gathered::{Gathered, Left, Outcome};
use super::pieces::{bare, field, in_brackets, reply};

/// Reads a line; returns whether it was one of sendmail's about mail.
pub(super) fn line(gathered: &mut Gathered, program: &str, process: &str, text: &str) -> bool {
    if !matches!(
        program,
        "sm-mta" | "sendmail" | "sm-msp-queue" | "sm-msp" | "sendmail-in" | "sm-que"
    ) {
        return false;
    }
    if let Some(at) = text.find("AUTH=server") {
        let rest = &text[at..];
        if let (Some(client), Some(login)) = (in_brackets(rest), field(rest, "authid=", &[',', ' '])) {
            gathered
                .logins
                .insert(process.to_owned(), (client, login.to_owned()));
        }
        return true;
    }
    if text.starts_with("ruleset=") {
        gathered.leave(Left::NoRecipient, 1);
        return true;
    }
    let Some((id, rest)) = text.split_once(": ") else {
        return false;
    };
    let is_id = id.len() >= 10 && id.bytes().all(|octet| octet.is_ascii_alphanumeric());
    if !is_id {
        return false;
    }
    if rest.starts_with("from=") {
        from(gathered, process, id, rest);
    } else if rest.starts_with("to=") {
        to(gathered, id, rest);
    } else if rest.starts_with("ruleset=") {
        ruleset(gathered, id, rest);
    } else if rest.starts_with("Milter: ") && rest.contains("reject=") {
        gathered.leave(Left::Content, 1);
        gathered.open.remove(id);
    } else if let Some((address, words)) = rest.strip_prefix('<').and_then(|rest| rest.split_once(">... ")) {
        unknown(gathered, id, address, words);
    } else {
        return false;
    }
    true
}

/// `from=<a@b>, size=…, relay=host [192.0.2.1]`: the sender of a message, even if all its recipients were refused.
fn from(gathered: &mut Gathered, process: &str, id: &str, rest: &str) {
    let client = field(rest, "relay=", &[]).and_then(in_brackets);
    let login = gathered
        .logins
        .get(process)
        .filter(|(known, _)| Some(*known) == client)
        .map(|(_, login)| login.clone());
    let sender = bare(field(rest, "from=", &[',']).unwrap_or_default());
    let service = field(rest, "daemon=", &[',', ' ']).unwrap_or_default().to_owned();
    // `root@localhost` without an address means local submission.
    let is_local = client.is_none();
    let message = gathered.open(id);
    message.client = client;
    message.is_local = is_local;
    message.login = login;
    message.sender = Some(sender);
    message.service = service;
    if field(rest, "nrcpts=", &[',']) == Some("0") {
        gathered.ended(id);
    }
}

/// `to=<a@b>,<c@d>, delay=…, stat=Sent`. Recipients given by the client are in angle brackets, alias targets are not.
fn to(gathered: &mut Gathered, id: &str, rest: &str) {
    let list = rest
        .trim_start_matches("to=")
        .split(", ")
        .next()
        .unwrap_or_default();
    let Some(message) = gathered.open.get_mut(id) else {
        return;
    };
    let mut by_alias = 0;
    for recipient in list.split(',') {
        if !recipient.starts_with('<') {
            by_alias += u64::from(!message.is_local);
            continue;
        }
        message.taken(bare(recipient));
    }
    if by_alias > 0 && rest.contains("stat=Sent") {
        gathered.leave(Left::Alias, by_alias);
    }
}

/// `ruleset=check_rcpt, arg1=<x@y>, relay=host [192.0.2.1], reject=550 5.7.1 <x@y>... Relaying denied`.
fn ruleset(gathered: &mut Gathered, id: &str, rest: &str) {
    let said = rest.split_once("reject=").map_or("", |(_, said)| said);
    let (Some((code, words)), Some(client)) = (reply(said), field(rest, "relay=", &[]).and_then(in_brackets))
    else {
        return;
    };
    let argument = bare(field(rest, "arg1=", &[',']).unwrap_or_default());
    if !rest.starts_with("ruleset=check_rcpt") {
        return gathered.leave(Left::NoRecipient, 1);
    }
    let outcome = Outcome::Refused(code, words.to_owned());
    // The sender follows in the message's `from=` line, after all recipients.
    let message = gathered.open(id);
    message.client.get_or_insert(client);
    message.refused(argument, outcome);
}

fn unknown(gathered: &mut Gathered, id: &str, address: &str, words: &str) {
    let outcome = Outcome::Refused(550, words.to_owned());
    let message = gathered.open(id);
    message.refused(address.to_owned(), outcome);
}
