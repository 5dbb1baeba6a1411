//! What observers are told about a session: the rule by which a message was accepted or refused, and the facts about it.

use std::sync::{Arc, Mutex};

use postern_events::{Event, Observer, Observers};

use crate::harness::{HOST, Options, Server};

/// Keeps events as texts.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Observer for Notes {
    fn observe(&self, event: &Event<'_>) {
        self.0.lock().unwrap().push(format!("{event:?}"));
    }
}

impl Notes {
    /// The last event that begins with `word`. It is told before the client gets the reply.
    fn last(&self, word: &str) -> String {
        let notes = self.0.lock().unwrap();
        let found = notes.iter().rfind(|note| note.starts_with(word)).cloned();
        found.unwrap_or_else(|| panic!("no {word} in {notes:?}"))
    }
}

fn start(mut options: Options) -> (Server, Notes) {
    let notes = Notes::default();
    options.observers = Observers::new(vec![Box::new(notes.clone())]);
    (options.start(), notes)
}

#[test]
fn a_message_says_why_it_was_taken() {
    let from = "user@challenger.example";
    #[rustfmt::skip]
    let cases = [
        // what the case shows            a listed network  a login  recipients                            event
        ("a mailbox here",                false,            false,   vec!["acaird"],                       "rule=local.recipient from="),
        ("a domain behind here",          false,            false,   vec!["acaird", "x@relay.example"],    "rule=relay.domain from="),
        ("a listed network",              true,             false,   vec!["acaird", "x@outside.example"],  "rule=relay.network reason=127.0.0.0/8"),
        ("which a local mailbox needs not", true,           false,   vec!["acaird"],                       "rule=local.recipient from="),
        ("a login",                       false,            true,    vec!["x@outside.example"],            "rule=relay.login sender_rule=sender.any from="),
        ("a login from a listed network", true,             true,    vec!["x@outside.example"],            "rule=relay.login sender_rule=sender.any from="),
    ];
    for (shows, listed, login, to, event) in cases {
        let mut options = Options::mx();
        options.listener.auth = postern_receive::AuthRule::Offer;
        if listed {
            options.settings.relay.networks = vec!["127.0.0.0/8".parse().unwrap()];
        }
        let (server, notes) = start(options);
        let mut client = if login {
            server.logged_in()
        } else {
            let mut client = server.connect();
            client.say("EHLO helo").unwrap();
            client
        };
        let to: Vec<String> = to
            .iter()
            .map(|name| match name.contains('@') {
                true => (*name).to_owned(),
                false => format!("{name}@{HOST}"),
            })
            .collect();
        let to: Vec<&str> = to.iter().map(String::as_str).collect();
        let reply = client.mail(from, &to, "From: x@y.example\r\n\r\nx\r\n").unwrap();
        assert!(reply.starts_with("250 "), "{shows}: {reply}");
        let told = notes.last("accepted ");
        assert!(told.contains(event), "{shows}: {told}");
    }
}

#[test]
fn a_refusal_says_from_whom_and_to_whom() {
    let (server, notes) = start(Options::mx());
    let mut client = server.connect();
    client.say("EHLO client.example").unwrap();
    client.say("MAIL FROM:<x@y.example>").unwrap();
    client.say("RCPT TO:<user@outside.example>").unwrap();
    let told = notes.last("refused ");
    for part in [
        "helo=\"client.example\"",
        "from=<x@y.example>",
        "to=<user@outside.example>",
        "rule=relay.denied",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    client.say(&format!("RCPT TO:<acaird@{HOST}>")).unwrap();
    client.say("DATA").unwrap();
    let reply = client.say("a\r\rb\r\n.").unwrap();
    assert!(reply.starts_with("554 "), "{reply}");
    let told = notes.last("refused ");
    for part in ["from=<x@y.example>", "to=acaird@", "recipients=1", "rule=body."] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[test]
fn logins_that_never_reach_a_mechanism_and_what_privacy_refuses_are_told() {
    let mut options = Options::submission();
    options.settings.privacy.no_expn = true;
    options.settings.privacy.need_mail_helo = true;
    let (server, notes) = start(options);
    let mut open = server.connect();
    #[rustfmt::skip]
    let cases = [
        ("MAIL FROM:<x@y.example>", "503", "privacy.needmailhelo"),
        ("EHLO helo",               "250", ""),
        ("EXPN staff",              "502", "privacy.noexpn"),
        ("AUTH PLAIN",              "503", "login.not-offered"),
        ("MAIL FROM:<x@y.example>", "530", "login.required"),
    ];
    for (line, code, rule) in cases {
        let reply = open.say(line).unwrap();
        assert!(reply.starts_with(code), "{line}: {reply}");
        if !rule.is_empty() {
            let told = notes.last("refused ");
            assert!(told.contains(&format!("rule={rule} ")), "{line}: {told}");
        }
    }
    let mut secured = server.connect_secured();
    #[rustfmt::skip]
    let cases = [
        ("AUTH NONSENSE",  "504", "login.not-offered"),
        ("AUTH PLAIN !!!", "501", "login.malformed"),
        ("AUTH",           "501", "login.malformed"),
        ("AUTH LOGIN",     "334", ""),
        ("*",              "501", "login.given-up"),
    ];
    for (line, code, rule) in cases {
        let reply = secured.say(line).unwrap();
        assert!(reply.starts_with(code), "{line}: {reply}");
        if !rule.is_empty() {
            let told = notes.last("refused ");
            assert!(told.contains(&format!("rule={rule} ")), "{line}: {told}");
        }
    }
}
