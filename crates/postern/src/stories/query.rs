//! What to search for, recognised by the form of the argument.

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use postern_history::{OUTCOMES, Query, Term};
use postern_mail::QueueId;
use postern_policy::Rule;

use crate::admin::requests::TraceRequest;

/// What can stand before `=`.
const KINDS: [&str; 9] = [
    "queue",
    "session",
    "message-id",
    "address",
    "domain",
    "login",
    "rule",
    "client",
    "outcome",
];

/// The maximum number of results by default.
const LIMIT: u32 = 100;

/// All conditions of a search, which must all match.
///
/// # Errors
///
/// An invalid term.
pub(crate) fn of(asked: TraceRequest) -> Result<Query, String> {
    if let Some(problem) = reversed(asked.since, asked.until) {
        return Err(problem);
    }
    let mut groups = Vec::new();
    for what in &asked.what {
        groups.push(terms(what)?);
    }
    let one = |term: Option<Term>| term.map(|term| vec![term]);
    groups.extend(one(asked.login.map(Term::Login)));
    groups.extend(one(asked.client.map(Term::Client)));
    groups.extend(one(asked.address.map(Term::Address)));
    if let Some(outcome) = asked.outcome {
        groups.push(vec![outcome_term(outcome)?]);
    }
    groups.extend(one(asked.rule.map(Term::Rule)));
    Ok(Query {
        groups,
        since: asked.since,
        until: asked.until,
        limit: usize::try_from(asked.limit.unwrap_or(LIMIT)).unwrap_or(usize::MAX),
        all_sessions: asked.sessions,
    })
}

/// The problem of a time span that ends before it begins.
pub(crate) fn reversed(since: Option<Timestamp>, until: Option<Timestamp>) -> Option<String> {
    let (since, until) = (since?, until?);
    (since > until).then(|| format!("--since {since:.0} is later than --until {until:.0}: exchange them"))
}

/// What became of mail that is kept and never delivered.
pub(crate) const SANDBOXED: &str = "sandboxed";

fn outcome_term(word: String) -> Result<Term, String> {
    match OUTCOMES.contains(&word.as_str()) {
        true => Ok(Term::Outcome(word)),
        // It is on hold, and by which rule is what sets it apart.
        false if word == SANDBOXED => Ok(Term::Rule(Rule::SandboxKept.name().to_owned())),
        false => Err(format!(
            "{word:?} is not an outcome: one of {}, {SANDBOXED}",
            OUTCOMES.join(", ")
        )),
    }
}

/// What a word may mean.
fn terms(what: &str) -> Result<Vec<Term>, String> {
    if let Some((kind, value)) = what.split_once('=')
        && let Some(term) = named(kind, value)
    {
        return term.map(|term| vec![term]);
    }
    if let Some((kind, _)) = what.split_once('=')
        && is_word(kind)
        && !what.contains('@')
    {
        return Err(format!(
            "unknown kind {kind:?}: use one of {} before the \"=\", or login={what} for a login with such a name",
            KINDS.join(", ")
        ));
    }
    let text = || what.to_owned();
    if let Some(network) = network(what) {
        return Ok(vec![Term::Client(network)]);
    }
    if looks_like_network(what) {
        return Err(no_network(what));
    }
    if let Ok(queue) = what.parse::<QueueId>() {
        return Ok(vec![Term::Queue(queue.to_string())]);
    }
    Ok(if what == "<>" {
        vec![Term::Address(text())]
    } else if what.contains('@') {
        vec![
            Term::Address(text()),
            Term::MessageId(text()),
            Term::Login(text()),
        ]
    } else if what.starts_with('<') {
        vec![Term::MessageId(text())]
    } else if is_session(what) {
        vec![Term::Session(text()), Term::Login(text())]
    } else if what.contains('.') {
        vec![Term::Domain(text()), Term::Login(text()), Term::MessageId(text())]
    } else {
        vec![Term::Login(text()), Term::Session(text())]
    })
}

fn named(kind: &str, value: &str) -> Option<Result<Term, String>> {
    let text = value.to_owned();
    Some(Ok(match kind {
        "queue" => Term::Queue(text.to_ascii_uppercase()),
        "session" => Term::Session(text),
        "message-id" => Term::MessageId(text),
        "address" => Term::Address(text),
        "domain" => Term::Domain(text),
        "login" => Term::Login(text),
        "rule" => Term::Rule(text),
        "client" => {
            return Some(network(value).map(Term::Client).ok_or_else(|| no_network(value)));
        }
        "outcome" => return Some(outcome_term(text)),
        _ => return None,
    }))
}

fn network(text: &str) -> Option<IpNet> {
    let text = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    let address = text
        .parse::<IpAddr>()
        .map(|address| IpNet::from(address.to_canonical()));
    address.ok().or_else(|| text.parse().ok())
}

fn no_network(text: &str) -> String {
    format!(
        "{text:?} is neither an address nor a network; write it as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32"
    )
}

/// Whether it can be meant as an address or network of a client alone: digits, dots and colons, and a length.
fn looks_like_network(text: &str) -> bool {
    let (address, length) = text.split_once('/').unwrap_or((text, ""));
    let is_four = address.split('.').count() == 4
        && address
            .bytes()
            .all(|octet| octet.is_ascii_digit() || octet == b'.');
    let is_six = address.matches(':').count() > 1
        && address
            .bytes()
            .all(|octet| octet.is_ascii_hexdigit() || matches!(octet, b':' | b'.'));
    (is_four || is_six) && length.bytes().all(|octet| octet.is_ascii_alphanumeric())
}

fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|octet| octet.is_ascii_lowercase() || octet == b'-')
}

/// Whether it looks as a session's id does: two numbers in hexadecimal.
fn is_session(text: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|octet| octet.is_ascii_hexdigit());
    text.split_once('-')
        .is_some_and(|(start, number)| is_number(start) && is_number(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_word_means() {
        let text = str::to_owned;
        let net = |text: &str| Term::Client(text.parse().unwrap());
        use Term::{Address, Domain, Login, MessageId, Outcome, Queue, Session};
        #[rustfmt::skip]
        let cases = [
            // what the case shows      as it is typed          what is looked for
            ("a queue id",              "01hj3k8q2m7xa",        Ok(vec![Queue(text("01HJ3K8Q2M7XA"))])),
            ("a session",               "674c5a00-1f",          Ok(vec![Session(text("674c5a00-1f")), Login(text("674c5a00-1f"))])),
            ("an address",              "a@b.example",          Ok(vec![Address(text("a@b.example")), MessageId(text("a@b.example")), Login(text("a@b.example"))])),
            ("nobody",                  "<>",                   Ok(vec![Address(text("<>"))])),
            ("a domain",                "b.example",            Ok(vec![Domain(text("b.example")), Login(text("b.example")), MessageId(text("b.example"))])),
            ("a login",                 "anna",                 Ok(vec![Login(text("anna")), Session(text("anna"))])),
            ("a client",                "192.0.2.7",            Ok(vec![net("192.0.2.7/32")])),
            ("as the log shows it",     "[2001:db8::1]",        Ok(vec![net("2001:db8::1/128")])),
            ("a network",               "192.0.2.0/24",         Ok(vec![net("192.0.2.0/24")])),
            ("by its kind",             "login=b.example",      Ok(vec![Login(text("b.example"))])),
            ("an outcome",              "outcome=bounced",      Ok(vec![Outcome(text("bounced"))])),
            ("no outcome",              "outcome=lost",         Err("\"lost\" is not an outcome: one of delivered, deferred, bounced, expired, held, released, removed, discarded, refused, accepted, sandboxed".to_owned())),
            ("in the sandbox",          "outcome=sandboxed",    Ok(vec![Term::Rule(text("sandbox.kept"))])),
            ("an unknown kind",         "x=y",                  Err("unknown kind \"x\": use one of queue, session, message-id, address, domain, login, rule, client, outcome before the \"=\", or login=x=y for a login with such a name".to_owned())),
            ("no network",              "192.0.2.0/33",         Err(no_network("192.0.2.0/33"))),
            ("no address",              "192.0.2.300",          Err(no_network("192.0.2.300"))),
            ("no network of IPv6",      "2001:db8::/200",       Err(no_network("2001:db8::/200"))),
            ("no client",               "client=mx",            Err(no_network("mx"))),
            ("another sign of equality", "a=b@c.example",       Ok(vec![Address(text("a=b@c.example")), MessageId(text("a=b@c.example")), Login(text("a=b@c.example"))])),
        ];
        for (shows, typed, wanted) in cases {
            assert_eq!(terms(typed), wanted, "{shows}");
        }
    }
}
