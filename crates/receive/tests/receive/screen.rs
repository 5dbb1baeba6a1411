//! Strangers are screened with a real name server: lists, demands, early talking; and the effects of a slow name server.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use postern_events::{Event, Observer, Observers};
use postern_policy::screen::finding::{Act, Demand};
use postern_policy::screen::list::{DnsList, Subject};
use postern_testkit::smtp::{Client, TlsOptions};
use postern_testkit::unbound::Unbound;

use crate::harness::{HOST, Options, Server};

const ZONES: &[&str] = &[
    "local-zone: \"bl.example.\" static",
    "local-data: \"1.2.0.192.bl.example. 60 A 127.0.0.2\"",
    "local-data: \"2.2.0.192.bl.example. 60 A 127.0.0.10\"",
    "local-data: \"3.2.0.192.bl.example. 60 A 127.0.0.2\"",
    "local-zone: \"wl.example.\" static",
    "local-data: \"3.2.0.192.wl.example. 60 A 127.0.0.2\"",
    "local-zone: \"dbl.example.\" static",
    "local-data: \"spam.example.dbl.example. 60 A 127.0.1.2\"",
    "local-zone: \"parked.example.\" redirect",
    "local-data: \"parked.example. 60 A 198.51.100.1\"",
    "local-zone: \"public.example.\" redirect",
    "local-data: \"public.example. 60 A 127.255.255.254\"",
    "local-zone: \"down.example.\" refuse",
    "local-zone: \"silent.example.\" deny",
    "local-zone: \"known.example.\" static",
    "local-data: \"known.example. 60 A 192.0.2.1\"",
    "local-data: \"mx.known.example. 60 MX 10 known.example.\"",
    "local-data: \"null.known.example. 60 MX 0 .\"",
    "local-data: \"text.known.example. 60 TXT nothing\"",
    "local-zone: \"2.0.192.in-addr.arpa.\" static",
    "local-data: \"1.2.0.192.in-addr.arpa. 60 PTR known.example.\"",
    "local-data: \"2.2.0.192.in-addr.arpa. 60 PTR known.example.\"",
    "local-data: \"4.2.0.192.in-addr.arpa. 60 PTR x.down.example.\"",
    "local-zone: \"3.0.192.in-addr.arpa.\" refuse",
];

/// Keeps events as texts.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Observer for Notes {
    fn observe(&self, event: &Event<'_>) {
        self.0.lock().unwrap().push(format!("{event:?}"));
    }
}

impl Notes {
    fn all(&self, word: &str) -> Vec<String> {
        let notes = self.0.lock().unwrap();
        notes
            .iter()
            .filter(|note| note.starts_with(word))
            .cloned()
            .collect()
    }
}

/// Options for a receiver behind a proxy that says where its clients are, with the name server.
fn options(names: &Unbound) -> (Options, Notes) {
    let notes = Notes::default();
    let mut options = Options::mx();
    options.names = Some((Ipv4Addr::LOCALHOST, names.port()).into());
    options.observers = Observers::new(vec![Box::new(notes.clone())]);
    options.listener.proxy_from = vec!["127.0.0.0/8".parse().unwrap()];
    options.settings.timeouts.reverse_lookup = Duration::ZERO;
    // A busy machine must not look like a name server that does not answer.
    options.settings.screen.timeout = Duration::from_secs(30);
    (options, notes)
}

fn list(zone: &str, score: i32) -> DnsList {
    DnsList {
        name: zone.to_owned(),
        zone: zone.to_owned(),
        subject: Subject::Client,
        answers: Vec::new(),
        score,
        text: None,
    }
}

fn stranger(server: &Server, last: u8) -> Client {
    client_at(server, Ipv4Addr::new(192, 0, 2, last), "client.away.example")
}

fn client_at(server: &Server, source: Ipv4Addr, helo: &str) -> Client {
    let (mut client, greeting) = Client::connect_for(source, server.port, "").unwrap();
    assert!(greeting.starts_with("220 "), "{greeting}");
    let reply = client.say(&format!("EHLO {helo}")).unwrap();
    assert!(reply.starts_with("250"), "{reply}");
    client
}

/// The reply to a local recipient.
fn ask(client: &mut Client, from: &str) -> String {
    client.say("RSET").unwrap();
    let reply = client.say(&format!("MAIL FROM:<{from}>")).unwrap();
    assert!(reply.starts_with("250"), "{reply}");
    client.say(&format!("RCPT TO:<acaird@{HOST}>")).unwrap()
}

#[test]
fn what_lists_say_adds_up() {
    let names = Unbound::start_with(&ZONES.join("\n"));
    let (mut options, notes) = options(&names);
    let screen = &mut options.settings.screen;
    screen.thresholds.refuse = Some(3);
    screen.lists = vec![
        DnsList {
            answers: vec!["127.0.0.2".parse().unwrap()],
            text: Some("{address} ({helo}) from {sender}: see {list}".to_owned()),
            ..list("bl.example", 3)
        },
        DnsList {
            name: "bl-policy".to_owned(),
            answers: vec!["127.0.0.10-127.0.0.11".parse().unwrap()],
            ..list("bl.example", 2)
        },
        list("wl.example", -2),
        DnsList {
            subject: Subject::Sender,
            ..list("dbl.example", 1)
        },
        DnsList {
            name: "helo-dbl".to_owned(),
            subject: Subject::Helo,
            ..list("dbl.example", 3)
        },
    ];
    let server = options.start();
    #[rustfmt::skip]
    let cases = [
        // what the case shows                     client  sender             reply
        ("listed",                                 1,      "a@away.example",  "550 5.7.1 192.0.2.1 (client.away.example) from <a@away.example>: see bl.example (session "),
        ("listed without a sender",                1,      "",                "550 5.7.1 192.0.2.1 (client.away.example) from <>: see bl.example (session "),
        ("with an answer that counts less",        2,      "a@away.example",  "250 "),
        ("and the sender is listed, too",          2,      "a@spam.example",  "550 5.7.1 Service unavailable, 192.0.2.2 is listed by bl-policy (session "),
        ("somebody speaks for it",                 3,      "a@away.example",  "250 "),
        ("not enough",                             3,      "a@spam.example",  "250 "),
        ("known to nobody",                        9,      "a@away.example",  "250 "),
    ];
    for (shows, client, sender, reply) in cases {
        let said = ask(&mut stranger(&server, client), sender);
        assert!(said.starts_with(reply), "{shows}: {said}");
    }
    let mut named = client_at(&server, Ipv4Addr::new(192, 0, 2, 9), "spam.example");
    let said = ask(&mut named, "a@away.example");
    assert!(said.contains("is listed by helo-dbl"), "{said}");
    let told = notes.all("refused").join("\n");
    for part in [
        "rule=screen.refused",
        "reason=score 3: bl.example=3 (client 127.0.0.2)",
        "reason=score 3: bl-policy=2 (client 127.0.0.10), dbl.example=1 (sender 127.0.1.2)",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    // The relay rules refuse it first, and nothing is looked up.
    let mut client = stranger(&server, 1);
    client.say("MAIL FROM:<a@away.example>").unwrap();
    let said = client.say("RCPT TO:<x@outside.example>").unwrap();
    assert!(said.contains("Relaying denied"), "{said}");
    let said = client.say("RCPT TO:<x@relay.example>").unwrap();
    assert!(said.contains("see bl.example"), "a domain behind us: {said}");
}

#[test]
fn lists_that_are_none_count_for_nothing_and_are_told_once() {
    let names = Unbound::start_with(&ZONES.join("\n"));
    let (mut options, notes) = options(&names);
    options.settings.screen.thresholds.refuse = Some(1);
    options.settings.screen.lists = ["parked.example", "public.example", "down.example"]
        .map(|zone| list(zone, 5))
        .to_vec();
    let server = options.start();
    for _ in 0..3 {
        let said = ask(&mut stranger(&server, 1), "a@away.example");
        assert!(said.starts_with("250 "), "{said}");
    }
    let told = notes.all("dns list fails");
    assert_eq!(told.len(), 3, "{told:?}");
    for (zone, why) in [
        ("parked.example", "198.51.100.1, which no list does"),
        (
            "public.example",
            "127.255.255.254, which means that it does not answer questions from here",
        ),
        ("down.example", "Query Refused"),
    ] {
        let about = |line: &&String| line.contains(zone);
        let line = told.iter().find(about).unwrap();
        assert!(line.contains(why), "{line}");
    }
}

#[test]
fn who_has_waited_for_dns_long_enough_is_let_in() {
    let names = Unbound::start_with(&ZONES.join("\n"));
    let (mut options, notes) = options(&names);
    options.settings.screen.thresholds.refuse = Some(1);
    options.settings.screen.timeout = Duration::from_millis(200);
    options.settings.screen.lists = vec![list("silent.example", 5)];
    options.settings.screen.acts[Demand::SenderKnown.index()] = Act::Reject;
    let server = options.start();
    let mut client = stranger(&server, 1);
    let said = ask(&mut client, "");
    assert!(
        said.starts_with("250 "),
        "a list that does not answer does not count: {said}"
    );
    let told = notes.all("dns list fails").join("\n");
    assert!(told.contains("no answer within 0.2 s"), "{told}");
    let said = ask(&mut client, "a@x.silent.example");
    assert!(
        said.starts_with("451 4.1.8"),
        "a demand that nobody can judge: {said}"
    );
}

#[test]
fn while_sessions_are_scarce_nobody_waits_long_for_dns() {
    let names = Unbound::start_with(&ZONES.join("\n"));
    let (mut options, _) = options(&names);
    let hour = Duration::from_secs(3_600);
    options.settings.screen.timeout = hour;
    options.settings.screen.thresholds.refuse = Some(1);
    options.settings.screen.lists = vec![list("silent.example", 5)];
    // Long enough for a busy machine, and very short compared with the hour.
    options.settings.timeouts.stress = Duration::from_secs(5);
    options.settings.admission.sessions = 20;
    options.settings.admission.sessions_per_network = None;
    let server = options.start();
    // Strangers take all places that they can, and wait for a name server that does not answer.
    std::thread::scope(|scope| {
        for net in 1..=6 {
            let server = &server;
            scope.spawn(move || {
                let source = Ipv4Addr::new(20 + net, 0, 113, 1);
                let mut client = client_at(server, source, "client.away.example");
                let said = ask(&mut client, "a@away.example");
                assert!(said.starts_with("250 "), "{said}");
            });
        }
    });
}

/// A client that is already waiting when sessions become scarce does not wait as long as before.
#[test]
fn a_wait_for_dns_ends_early_when_sessions_become_scarce_meanwhile() {
    // It receives questions, and never answers.
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let hour = Duration::from_secs(3_600);
    let notes = Notes::default();
    let mut options = Options::mx();
    options.names = Some(silent.local_addr().unwrap());
    options.names_within = hour;
    options.observers = Observers::new(vec![Box::new(notes.clone())]);
    options.listener.proxy_from = vec!["127.0.0.0/8".parse().unwrap()];
    options.settings.timeouts.reverse_lookup = Duration::ZERO;
    options.settings.screen.timeout = hour;
    options.settings.screen.thresholds.refuse = Some(1);
    options.settings.screen.lists = vec![DnsList {
        subject: Subject::Sender,
        ..list("silent.example", 5)
    }];
    options.settings.timeouts.stress = Duration::from_secs(1);
    options.settings.admission.sessions = 20;
    options.settings.admission.sessions_per_network = None;
    let server = options.start();
    let mut waiting = client_at(&server, Ipv4Addr::new(20, 0, 113, 1), "client.away.example");
    waiting.say("MAIL FROM:<a@away.example>").unwrap();
    waiting
        .send(format!("RCPT TO:<acaird@{HOST}>\r\n").as_bytes())
        .unwrap();
    // It has begun to wait.
    silent.recv(&mut [0; 512]).unwrap();
    let others: Vec<_> = (1..20)
        .map_while(|net| {
            let source = Ipv4Addr::new(20 + net, 0, 113, 1);
            notes
                .all("sessions are scarce")
                .is_empty()
                .then(|| Client::connect_for(source, server.port, "").unwrap())
        })
        .collect();
    assert!(
        !notes.all("sessions are scarce").is_empty(),
        "{} sessions",
        others.len()
    );
    let said = waiting.reply().unwrap();
    assert!(
        said.starts_with("250 "),
        "a list without an answer does not count: {said}"
    );
    assert!(notes.all("dns list fails").is_empty(), "nor is it to blame");
}

#[test]
fn demands() {
    use Demand::{ClientConfirmed, ClientNamed, HeloForeign, HeloKnown, HeloSyntax, SenderKnown};
    let names = Unbound::start_with(&ZONES.join("\n"));
    let a = |last| Ipv4Addr::new(192, 0, 2, last);
    let elsewhere = Ipv4Addr::new(192, 0, 3, 1);
    #[rustfmt::skip]
    let cases = [
        // demand           client     HELO                sender                    reply          rule
        (HeloSyntax,        a(1),      "client",           "a@away.example",         "550 5.7.1 ",  "helo.syntax"),
        (HeloSyntax,        a(1),      "192.0.2.1",        "a@away.example",         "550 5.7.1 ",  "helo.syntax"),
        (HeloSyntax,        a(1),      "[192.0.2.1]",      "a@away.example",         "250 ",        ""),
        (HeloForeign,       a(1),      HOST,               "a@away.example",         "550 5.7.1 ",  "helo.own"),
        (HeloForeign,       a(1),      "[127.0.0.1]",      "a@away.example",         "550 5.7.1 ",  "helo.own"),
        (HeloForeign,       a(1),      "known.example",    "a@away.example",         "250 ",        ""),
        (HeloKnown,         a(1),      "known.example",    "a@away.example",         "250 ",        ""),
        (HeloKnown,         a(1),      "mx.known.example", "a@away.example",         "250 ",        ""),
        (HeloKnown,         a(1),      "no.known.example", "a@away.example",         "550 5.7.1 ",  "helo.unknown"),
        (HeloKnown,         a(1),      "x.down.example",   "a@away.example",         "450 4.7.1 ",  "helo.dns"),
        (HeloKnown,         a(1),      "[192.0.2.1]",      "a@away.example",         "250 ",        ""),
        (ClientNamed,       a(1),      "c.example",        "a@away.example",         "250 ",        ""),
        (ClientNamed,       a(2),      "c.example",        "a@away.example",         "250 ",        ""),
        (ClientNamed,       a(3),      "c.example",        "a@away.example",         "550 5.7.25 ", "client.nameless"),
        (ClientNamed,       elsewhere, "c.example",        "a@away.example",         "450 4.7.25 ", "client.dns"),
        (ClientConfirmed,   a(1),      "c.example",        "a@away.example",         "250 ",        ""),
        (ClientConfirmed,   a(2),      "c.example",        "a@away.example",         "550 5.7.25 ", "client.unconfirmed"),
        (ClientConfirmed,   a(3),      "c.example",        "a@away.example",         "550 5.7.25 ", "client.unconfirmed"),
        (ClientConfirmed,   a(4),      "c.example",        "a@away.example",         "450 4.7.25 ", "client.dns"),
        (SenderKnown,       a(1),      "c.example",        "a@known.example",        "250 ",        ""),
        (SenderKnown,       a(1),      "c.example",        "a@mx.known.example",     "250 ",        ""),
        (SenderKnown,       a(1),      "c.example",        "a@null.known.example",   "550 5.7.27 ", "sender.null-mx"),
        (SenderKnown,       a(1),      "c.example",        "a@no.known.example",     "553 5.1.8 ",  "sender.unknown"),
        (SenderKnown,       a(1),      "c.example",        "a@text.known.example",   "553 5.1.8 ",  "sender.unknown"),
        (SenderKnown,       a(1),      "c.example",        "a@x.down.example",       "451 4.1.8 ",  "sender.dns"),
        (SenderKnown,       a(1),      "c.example",        "acaird@challenger.example", "250 ",     ""),
        (SenderKnown,       a(1),      "c.example",        "a@[192.0.2.1]",          "250 ",        ""),
        (SenderKnown,       a(1),      "c.example",        "",                       "250 ",        ""),
    ];
    for demand in Demand::ALL {
        let (mut options, notes) = options(&names);
        options.settings.screen.acts[demand.index()] = Act::Reject;
        let server = options.start();
        for (_, source, helo, from, reply, rule) in cases.iter().filter(|(about, ..)| about == demand) {
            let said = ask(&mut client_at(&server, *source, helo), from);
            assert!(
                said.starts_with(reply),
                "{demand:?} {source} {helo} {from}: {said}"
            );
            if !rule.is_empty() {
                let told = notes.all("refused").pop().unwrap();
                assert!(told.contains(&format!("rule={rule} ")), "{told}");
            }
        }
    }
}

#[test]
fn what_is_let_through_is_written_down() {
    let names = Unbound::start_with(&ZONES.join("\n"));
    let (mut options, notes) = options(&names);
    let screen = &mut options.settings.screen;
    screen.lists = vec![list("bl.example", 3)];
    screen.thresholds.tag = Some(1);
    screen.thresholds.hold = Some(3);
    screen.acts[Demand::SenderKnown.index()] = Act::Mark;
    let server = options.start();
    let text = "X-Postern-Screen: score=-99\r\nSubject: x\r\n\r\nx\r\n";
    let send = |last: u8, from: &str| {
        let reply = stranger(&server, last)
            .mail(from, &[&format!("acaird@{HOST}")], text)
            .unwrap();
        let (message, content) = server.message(&reply);
        let held = server
            .runtime()
            .block_on(server.spool.show(message.id))
            .unwrap()
            .unwrap()
            .summary
            .hold;
        (content, held)
    };
    let (content, held) = send(1, "a@known.example");
    assert!(
        content.contains("X-Postern-Screen: score=3;\r\n\tbl.example=3 (client 127.0.0.2)\r\n"),
        "{content}"
    );
    assert!(!content.contains("-99"), "{content}");
    let held = format!("{held:?}");
    assert!(held.contains("screen.held: score 3: bl.example=3"), "{held}");
    let told = notes.all("screened").pop().unwrap();
    assert!(
        told.contains("rule=screen.held reason=score 3: bl.example=3"),
        "{told}"
    );
    let (content, held) = send(9, "a@no.known.example");
    assert!(
        content.contains("X-Postern-Screen: sender.unknown\r\n"),
        "{content}"
    );
    assert!(held.is_none(), "{held:?}");
    let (content, _) = send(9, "a@known.example");
    assert!(!content.contains("X-Postern-Screen"), "{content}");
}

#[test]
fn who_is_known_is_not_looked_at() {
    let names = Unbound::start_with(&ZONES.join("\n"));
    let strict = |options: &mut Options| {
        let screen = &mut options.settings.screen;
        screen.lists = vec![list("bl.example", 9)];
        screen.thresholds.refuse = Some(1);
        screen.acts = [Act::Reject; Demand::ALL.len()];
        options.listener.auth = postern_receive::AuthRule::Offer;
    };
    let net = || vec!["192.0.2.0/24".parse().unwrap()];
    let (mut listed, _) = options(&names);
    strict(&mut listed);
    listed.settings.relay.networks = net();
    let (mut excepted, _) = options(&names);
    strict(&mut excepted);
    excepted.settings.screen.except = net();
    for (shows, options) in [("a listed network", listed), ("an exception", excepted)] {
        let server = options.start();
        let said = ask(
            &mut client_at(&server, Ipv4Addr::new(192, 0, 2, 1), "bad"),
            "a@no.known.example",
        );
        assert!(said.starts_with("250 "), "{shows}: {said}");
    }
    let (mut options, _) = options(&names);
    strict(&mut options);
    let server = options.start();
    let ca = server.ca();
    let tls = TlsOptions {
        name: HOST,
        ca: &ca,
        identity: None,
    };
    let mut client = stranger(&server, 1).starttls(tls).unwrap();
    client.say("EHLO bad").unwrap();
    assert!(ask(&mut client, "a@no.known.example").starts_with("55"));
    client.say("RSET").unwrap();
    assert!(client.login("acaird", "pass word").unwrap().starts_with("235"));
    let said = ask(&mut client, "a@no.known.example");
    assert!(said.starts_with("250 "), "a login: {said}");
}

#[test]
fn early_talk_is_refused_or_counts() {
    let names = Unbound::start_with(&ZONES.join("\n"));
    let connect = |server: &Server, early: &str| {
        Client::connect_for(Ipv4Addr::new(192, 0, 2, 9), server.port, early).unwrap()
    };
    let with = |score, except: &[&str]| {
        let (mut options, notes) = options(&names);
        options.settings.timeouts.greeting_delay = Duration::from_millis(300);
        let screen = &mut options.settings.screen;
        screen.early_talk_score = score;
        screen.thresholds.refuse = Some(2);
        screen.except = except.iter().map(|net| net.parse().unwrap()).collect();
        (options.start(), notes)
    };
    let early = "EHLO c.away.example\r\n";
    let (server, notes) = with(None, &[]);
    let (_, greeting) = connect(&server, early);
    assert!(greeting.starts_with("554 5.7.1 "), "{greeting}");
    assert!(notes.all("refused")[0].contains("rule=greeting.early-talker"));
    let (server, _) = with(None, &["192.0.2.0/24"]);
    let (_, greeting) = connect(&server, early);
    assert!(greeting.starts_with("220 "), "an exception: {greeting}");
    for (score, reply) in [(1, "250 "), (2, "550 5.7.1 ")] {
        let (server, notes) = with(Some(score), &[]);
        let (mut client, greeting) = connect(&server, early);
        assert!(greeting.starts_with("220 "), "{greeting}");
        client.reply().unwrap();
        let said = ask(&mut client, "a@away.example");
        assert!(said.starts_with(reply), "{said}");
        if score == 2 {
            let told = notes.all("refused").pop().unwrap();
            assert!(
                told.contains("rule=screen.refused reply") && told.contains("early-talk=2"),
                "{told}"
            );
        }
        let (mut patient, _) = connect(&server, "");
        patient.say("EHLO c.away.example").unwrap();
        let said = ask(&mut patient, "a@away.example");
        assert!(said.starts_with("250 "), "{said}");
    }
}

#[test]
fn a_session_has_only_so_many_names_looked_up() {
    let names = Unbound::start_with(&ZONES.join("\n"));
    let (mut options, notes) = options(&names);
    options.settings.screen.acts[Demand::SenderKnown.index()] = Act::Mark;
    options.settings.screen.lookups = 3;
    let server = options.start();
    let mut client = stranger(&server, 9);
    for number in 0..3 {
        let said = ask(&mut client, &format!("a@s{number}.known.example"));
        assert!(said.starts_with("250 "), "{said}");
        // Further recipients of the same message cost nothing.
        let said = client.say("RCPT TO:<x@relay.example>").unwrap();
        assert!(said.starts_with("250 "), "{said}");
    }
    let said = ask(&mut client, "a@s4.known.example");
    assert!(said.starts_with("451 4.7.1 "), "{said}");
    assert!(notes.all("refused")[0].contains("rule=screen.lookups"));
    assert!(ask(&mut stranger(&server, 9), "a@s4.known.example").starts_with("250 "));
}

#[test]
fn what_is_off_asks_nobody() {
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    silent.set_nonblocking(true).unwrap();
    let mut options = Options::mx();
    options.names = Some(silent.local_addr().unwrap());
    options.listener.proxy_from = vec!["127.0.0.0/8".parse().unwrap()];
    options.settings.timeouts.reverse_lookup = Duration::ZERO;
    let server = options.start();
    let said = ask(&mut stranger(&server, 1), "a@away.example");
    assert!(said.starts_with("250 "), "{said}");
    let asked = silent.recv(&mut [0; 512]).map_err(|error| error.kind());
    assert_eq!(asked, Err(std::io::ErrorKind::WouldBlock));
}
