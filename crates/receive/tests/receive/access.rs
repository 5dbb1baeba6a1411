//! Access rules in sessions: at each stage, with tables, policy services and messages.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use postern_directory::tables::Lookup;
use postern_mail::{NewField, Status};
use postern_policy::access::condition::TlsTest;
use postern_policy::access::keys::{Form, LookUp, Subject};
use postern_policy::access::names::{AddressSet, NameSet};
use postern_policy::access::{
    AccessRule, AccessRules, Action, Class, Condition, Destination, Fault, Limit as RuleLimit, Stage, Test,
    Words,
};
use postern_policy::limit::Limit;
use postern_policy::network::NetworkPrefix;
use postern_receive::{AccessSettings, Role, ServiceSettings};
use postern_testkit::smtp::Client;
use postern_testkit::unbound::Unbound;

use crate::harness::{HOST, Options, Server};

fn when(tests: Vec<Test>) -> Vec<Condition> {
    vec![Condition {
        key: "test",
        negated: false,
        tests,
    }]
}

fn addresses(patterns: &[&str]) -> AddressSet {
    let mut set = AddressSet::default();
    patterns.iter().for_each(|pattern| set.insert(pattern).unwrap());
    set
}

fn names(patterns: &[&str]) -> NameSet {
    let mut set = NameSet::default();
    patterns.iter().for_each(|pattern| set.insert(pattern).unwrap());
    set
}

fn client(network: &str) -> Test {
    Test::Client([network.parse::<ipnet::IpNet>().unwrap()].into_iter().collect())
}

fn from(pattern: &str) -> Vec<Condition> {
    when(vec![Test::Sender(addresses(&[pattern]))])
}

fn to(pattern: &str) -> Vec<Condition> {
    when(vec![Test::Recipient(addresses(&[pattern]))])
}

fn refuse(text: &str) -> Action {
    Action::Refuse(Words::new(550, Status(5, 7, 1), text).unwrap())
}

const ACCEPT: Action = Action::Accept { relay: false };

fn rule(name: &str, conditions: Vec<Condition>, action: Action) -> AccessRule {
    AccessRule {
        from: Stage::Rcpt,
        ..AccessRule::new(name, conditions, action)
    }
}

fn at(stage: Stage, rule: AccessRule) -> AccessRule {
    AccessRule { from: stage, ..rule }
}

fn settings(rules: Vec<AccessRule>) -> AccessSettings {
    let mut rules = AccessRules {
        rules,
        ..AccessRules::default()
    };
    rules.prepare();
    AccessSettings {
        rules,
        ..AccessSettings::default()
    }
}

fn server(access: AccessSettings) -> Server {
    let mut options = Options::mx();
    options.settings.access = Arc::new(access);
    options.settings.identity.tag_separator = Some('+');
    options.start()
}

fn greeted(server: &Server) -> Client {
    let mut client = server.connect();
    let reply = client.say("EHLO mx.away.example").unwrap();
    assert!(reply.starts_with("250"), "{reply}");
    client
}

/// The reply to a local recipient.
fn ask(client: &mut Client, from: &str, to: &str) -> String {
    client.say("RSET").unwrap();
    let reply = client.say(&format!("MAIL FROM:<{from}>")).unwrap();
    if !reply.starts_with("250") {
        return format!("MAIL {reply}");
    }
    client.say(&format!("RCPT TO:<{to}>")).unwrap()
}

fn send(client: &mut Client, from: &str, to: &[&str], text: &str) -> String {
    client.say("RSET").unwrap();
    client.mail(from, to, text).unwrap()
}

#[test]
fn recipients_are_judged() {
    let field = NewField::new("X-Partner", b"yes").unwrap();
    let access = settings(vec![
        rule("friend", from("friend@away.example"), ACCEPT),
        rule(
            "not this one",
            to(&format!("root@{HOST}")),
            refuse("{sender} may not write to {recipient} from {address}"),
        ),
        rule(
            "domain",
            from("@bad.example"),
            Action::Refuse(Words::new(450, Status(4, 7, 1), "later").unwrap()),
        ),
        rule(
            "go away",
            from("gone@away.example"),
            Action::Refuse(Words::new(421, Status(4, 7, 0), "bye").unwrap()),
        ),
        rule("noise", from("noise@away.example"), Action::Discard),
        rule("odd", from("odd@away.example"), Action::Hold("looks odd".into())),
        rule("partner", from("@partner.example"), Action::Tag(field)),
        rule(
            "moved",
            to(&format!("moved@{HOST}")),
            Action::Redirect(format!("acaird@{HOST}").parse().unwrap()),
        ),
        rule(
            "no TLS",
            when(vec![Test::Tls(TlsTest::Any)]),
            refuse("no TLS here"),
        ),
    ]);
    let server = server(access);
    let mut client = greeted(&server);
    let acaird = format!("acaird@{HOST}");
    let root = format!("root@{HOST}");
    #[rustfmt::skip]
    let cases = [
        // what the case shows          sender                  recipient     reply
        ("nothing against it",          "ann@away.example",     &*acaird,     "250 2.1.5"),
        ("a recipient",                 "ann@away.example",     &*root,       "550 5.7.1 <root@challenger.example>... ann@away.example may not write to root@challenger.example from 127.0.0.1 (session "),
        ("no sender",                   "",                     &*root,       "550 5.7.1 <root@challenger.example>... <> may not"),
        ("an exception before it",      "friend@away.example",  &*root,       "250 2.1.5"),
        ("for now",                     "x@bad.example",        &*acaird,     "450 4.7.1 <acaird@challenger.example>... later (session "),
        ("who does not exist",          "ann@away.example",     "no@challenger.example", "550 5.1.1"),
        ("elsewhere",                   "friend@away.example",  "x@outside.example",     "550 5.7.1 <x@outside.example>... Relaying denied"),
    ];
    for (shows, from, to, reply) in cases {
        let said = ask(&mut client, from, to);
        assert!(said.starts_with(reply), "{shows}: {said}");
    }
    let said = ask(&mut greeted(&server), "gone@away.example", &acaird);
    assert!(said.starts_with("421 4.7.0 "), "{said}");

    let reply = send(
        &mut client,
        "odd@away.example",
        &[&acaird],
        "Subject: x\r\n\r\nhi\r\n",
    );
    let (message, _) = server.message(&reply);
    assert_eq!(
        server.hold_of(message.id).as_deref(),
        Some("access.held: \"odd\": looks odd")
    );
    let reply = send(
        &mut client,
        "p@partner.example",
        &[&acaird, &format!("staff@{HOST}")],
        "Subject: x\r\n\r\nhi\r\n",
    );
    let (_, text) = server.message(&reply);
    assert_eq!(text.matches("X-Partner: yes\r\n").count(), 1, "{text}");
    let reply = send(
        &mut client,
        "ann@away.example",
        &[&format!("moved@{HOST}")],
        "Subject: x\r\n\r\nhi\r\n",
    );
    let (message, _) = server.message(&reply);
    assert_eq!(message.envelope.recipients[0].address.to_string(), acaird);
}

#[test]
fn a_sender_before_is_none_of_the_next_introduction() {
    let access = settings(vec![
        at(Stage::Connect, rule("bad", from("@bad.example"), refuse("no"))),
        at(Stage::Connect, rule("friends", from("@away.example"), ACCEPT)),
        rule("others", Vec::new(), refuse("others")),
    ]);
    let server = server(access);
    let mut client = greeted(&server);
    let acaird = format!("acaird@{HOST}");
    // Each is judged by itself, whatever came before in the same session.
    #[rustfmt::skip]
    let cases = [
        ("x@bad.example",     "MAIL 550 5.7.1"),
        ("ann@away.example",  "250"),
        ("x@bad.example",     "MAIL 550 5.7.1"),
        ("x@other.example",   "550 5.7.1"),
        ("ann@away.example",  "250"),
    ];
    for (sender, reply) in cases {
        let said = client.say("EHLO mx.away.example").unwrap();
        assert!(said.starts_with("250"), "before {sender}: {said}");
        for _ in 0..2 {
            let said = ask(&mut client, sender, &acaird);
            assert!(said.starts_with(reply), "{sender}: {said}");
        }
    }
}

#[test]
fn mail_is_thrown_away_for_one_recipient_and_for_all() {
    let access = settings(vec![
        rule("noise", to(&format!("root@{HOST}")), Action::Discard),
        rule(
            "author",
            when(vec![Test::Author(addresses(&["@ads.example"]))]),
            Action::Discard,
        ),
    ]);
    let server = server(access);
    let mut client = greeted(&server);
    let (acaird, root) = (format!("acaird@{HOST}"), format!("root@{HOST}"));
    let text = "From: <ann@away.example>\r\n\r\nhi\r\n";
    let reply = send(&mut client, "ann@away.example", &[&root, &acaird], text);
    let (message, _) = server.message(&reply);
    assert_eq!(message.envelope.recipients.len(), 1);
    assert_eq!(message.envelope.recipients[0].address.to_string(), acaird);
    for (to, text) in [(&root, text), (&acaird, "From: <a@ads.example>\r\n\r\nhi\r\n")] {
        let reply = send(&mut client, "ann@away.example", &[to], text);
        assert!(reply.starts_with("250 2.0.0 "), "{reply}");
    }
    // In chunks, too.
    client.say("MAIL FROM:<ann@away.example>").unwrap();
    client.say(&format!("RCPT TO:<{root}>")).unwrap();
    client.send(b"BDAT 4 LAST\r\nhi\r\n").unwrap();
    let reply = client.reply().unwrap();
    assert!(reply.starts_with("250 2.0.0 "), "{reply}");
    let reply = ask(&mut client, "ann@away.example", &acaird);
    assert!(reply.starts_with("250"), "the session goes on: {reply}");
    assert_eq!(server.queued(), 1);
}

#[test]
fn each_stage_has_its_say() {
    let named = || when(vec![Test::Helo(names(&["bad.example"]))]);
    #[rustfmt::skip]
    let cases = [
        // what the case shows           rule                                                                               HELO             connect                  HELO             MAIL                              RCPT
        ("at once",                      at(Stage::Connect, rule("a", when(vec![client("127.0.0.0/8")]), refuse("no"))),    "mx.example",    "554 5.7.1 no (session ", "",             "",                               ""),
        ("at HELO",                      at(Stage::Connect, rule("a", named(), refuse("no"))),                              "bad.example",   "220 ",                  "550 5.7.1 no ", "",                               ""),
        ("another HELO",                 at(Stage::Connect, rule("a", named(), refuse("no"))),                              "good.example",  "220 ",                  "250-",          "250 2.1.0",                      "250 2.1.5"),
        ("at MAIL",                      at(Stage::Connect, rule("a", from("@away.example"), refuse("no"))),                "mx.example",    "220 ",                  "250-",          "550 5.7.1 <ann@away.example>... no ", ""),
        ("at RCPT, however early known", rule("a", when(vec![client("127.0.0.0/8")]), refuse("no")),                        "mx.example",    "220 ",                  "250-",          "250 2.1.0",                      "550 5.7.1 <acaird@challenger.example>... no "),
        ("at MAIL, said so",             at(Stage::Mail, rule("a", when(vec![client("127.0.0.0/8")]), refuse("no"))),       "mx.example",    "220 ",                  "250-",          "550 5.7.1 <ann@away.example>... no ", ""),
        ("another client",               at(Stage::Connect, rule("a", when(vec![client("10.0.0.0/8")]), refuse("no"))),     "mx.example",    "220 ",                  "250-",          "250 2.1.0",                      "250 2.1.5"),
        ("for now",                      at(Stage::Connect, rule("a", vec![], Action::Refuse(Words::new(450, Status(4, 7, 1), "no").unwrap()))), "mx.example", "421 4.7.1 no ", "", "", ""),
    ];
    for (shows, rule, name, connect, helo, mail, rcpt) in cases {
        let server = server(settings(vec![rule]));
        let (mut client, greeting) = Client::connect(server.port).unwrap();
        assert!(greeting.starts_with(connect), "{shows}: {greeting}");
        for (line, reply) in [
            (format!("EHLO {name}"), helo),
            ("MAIL FROM:<ann@away.example>".to_owned(), mail),
            (format!("RCPT TO:<acaird@{HOST}>"), rcpt),
        ] {
            if reply.is_empty() {
                break;
            }
            let said = client.say(&line).unwrap();
            assert!(said.starts_with(reply), "{shows}: {line}: {said}");
        }
    }
}

#[test]
fn messages_are_judged_by_what_is_in_them() {
    let author = |pattern: &str| when(vec![Test::Author(addresses(&[pattern]))]);
    let access = settings(vec![
        rule("friend", from("friend@away.example"), ACCEPT),
        rule("boss", author("ceo@challenger.example"), refuse("not you")),
        rule("big", when(vec![Test::LargerThan(2_000)]), refuse("too much")),
        rule(
            "list",
            author("list@away.example"),
            Action::Redirect("moderator@outside.example".parse().unwrap()),
        ),
        rule(
            "watched",
            author("watched@away.example"),
            Action::Hold("watched".into()),
        ),
    ]);
    let server = server(access);
    let mut client = greeted(&server);
    let acaird = format!("acaird@{HOST}");
    let message = |author: &str| format!("From: \"A, B\" <{author}>\r\n\r\nhi\r\n");
    let big = format!(
        "{}{}",
        message("ann@away.example"),
        "x".repeat(70).add_line().repeat(40)
    );
    #[rustfmt::skip]
    let cases = [
        // what the case shows       sender                  text                                      reply
        ("an author",                "ann@away.example",     message("CEO@challenger.example"),        "550 5.7.1 not you (session "),
        ("an exception",             "friend@away.example",  message("ceo@challenger.example"),        "250 2.0.0"),
        ("another",                  "ann@away.example",     message("ann@away.example"),              "250 2.0.0"),
        ("a large one",              "ann@away.example",     big,                                      "550 5.7.1 too much (session "),
    ];
    for (shows, from, text, reply) in cases {
        let said = send(&mut client, from, &[&acaird], &text);
        assert!(said.starts_with(reply), "{shows}: {said}");
    }
    let said = client.say("MAIL FROM:<ann@away.example> SIZE=3000").unwrap();
    assert!(said.starts_with("250"), "{said}");
    let said = client.say(&format!("RCPT TO:<{acaird}>")).unwrap();
    assert!(
        said.starts_with("550 5.7.1 <acaird@challenger.example>... too much "),
        "{said}"
    );
    let reply = send(
        &mut client,
        "ann@away.example",
        &[&acaird],
        &message("list@away.example"),
    );
    let (taken, _) = server.message(&reply);
    assert_eq!(taken.envelope.recipients.len(), 1);
    assert_eq!(
        taken.envelope.recipients[0].address.to_string(),
        "moderator@outside.example"
    );
    let reply = send(
        &mut client,
        "ann@away.example",
        &[&acaird],
        &message("watched@away.example"),
    );
    let (taken, _) = server.message(&reply);
    assert_eq!(
        server.hold_of(taken.id).as_deref(),
        Some("access.held: \"watched\": watched")
    );
}

/// Adds a line end to a text.
trait AddLine {
    fn add_line(self) -> String;
}

impl AddLine for String {
    fn add_line(mut self) -> String {
        self.push_str("\r\n");
        self
    }
}

#[test]
fn a_rule_can_be_a_reason_to_relay() {
    let access = settings(vec![rule(
        "branch",
        when(vec![client("127.0.0.0/8")]),
        Action::Accept { relay: true },
    )]);
    let server = server(access);
    let mut client = greeted(&server);
    let said = ask(&mut client, "scan@branch.example", "joe@outside.example");
    assert!(said.starts_with("250 2.1.5"), "{said}");
    let said = ask(
        &mut client,
        "scan@branch.example",
        "joe%outside.example@challenger.example",
    );
    assert!(said.starts_with("550 5.7.1"), "{said}");
    let reply = send(
        &mut client,
        "scan@branch.example",
        &["joe@outside.example"],
        "Subject: x\r\n\r\nhi\r\n",
    );
    assert!(reply.starts_with("250"), "{reply}");
}

#[test]
fn who_may_not_relay_can_hear_of_it_otherwise() {
    let words = Words::new(454, Status(4, 7, 1), "Relay access denied").unwrap();
    let access = settings(vec![
        rule(
            "relaying",
            when(vec![Test::Destination(Destination::Elsewhere)]),
            Action::Refuse(words),
        ),
        rule(
            "ghost",
            when(vec![Test::Fault(Fault::SenderUnlisted)]),
            refuse("no such sender"),
        ),
    ]);
    let server = server(access);
    let mut client = greeted(&server);
    let acaird = format!("acaird@{HOST}");
    for (from, to, reply) in [
        (
            "ann@away.example",
            "joe@outside.example",
            "454 4.7.1 <joe@outside.example>... Relay access denied ",
        ),
        ("ann@away.example", &*acaird, "250"),
        (
            "ghost@challenger.example",
            &*acaird,
            "550 5.7.1 <acaird@challenger.example>... no such sender ",
        ),
        ("acaird@challenger.example", &*acaird, "250"),
    ] {
        let said = ask(&mut client, from, to);
        assert!(said.starts_with(reply), "{from} to {to}: {said}");
    }
}

#[test]
fn some_recipients_can_always_be_reached() {
    let mut access = settings(vec![rule("all", vec![], refuse("no"))]);
    access.rules.exempt = ["postmaster".into(), "abuse".into()].into_iter().collect();
    let server = server(access);
    let mut client = greeted(&server);
    for (to, reply) in [
        (format!("postmaster@{HOST}"), "250"),
        ("postmaster".to_owned(), "250"),
        (format!("acaird@{HOST}"), "550 5.7.1"),
        ("abuse@relay.example".to_owned(), "250"),
    ] {
        let said = ask(&mut client, "ann@away.example", &to);
        assert!(said.starts_with(reply), "{to}: {said}");
    }
}

const ZONES: &[&str] = &[
    "local-zone: \"known.example.\" static",
    "local-data: \"known.example. 60 A 192.0.2.1\"",
    "local-data: \"pool.known.example. 60 A 192.0.2.2\"",
    "local-data: \"mx.known.example. 60 MX 10 inside.known.example.\"",
    "local-data: \"inside.known.example. 60 A 10.1.2.3\"",
    "local-zone: \"down.example.\" refuse",
    "local-zone: \"nowhere.example.\" static",
    "local-zone: \"2.0.192.in-addr.arpa.\" static",
    "local-data: \"2.2.0.192.in-addr.arpa. 60 PTR pool.known.example.\"",
    "local-data: \"3.2.0.192.in-addr.arpa. 60 PTR liar.known.example.\"",
];

#[test]
fn names_are_looked_up_where_a_rule_depends_on_them() {
    let dns = Unbound::start_with(&ZONES.join("\n"));
    let mut options = Options::mx();
    options.names = Some((Ipv4Addr::LOCALHOST, dns.port()).into());
    options.listener.proxy_from = vec!["127.0.0.0/8".parse().unwrap()];
    options.settings.timeouts.reverse_lookup = Duration::ZERO;
    options.settings.screen.timeout = Duration::from_secs(30);
    options.settings.access = Arc::new(settings(vec![
        rule(
            "pool",
            when(vec![Test::ClientName(names(&[".known.example"]))]),
            refuse("pool of {helo}"),
        ),
        rule(
            "liar",
            when(vec![Test::ReverseName(names(&["liar.known.example"]))]),
            refuse("liar"),
        ),
        rule(
            "sender",
            when(vec![Test::Fault(Fault::SenderUnknown)]),
            refuse("no such domain"),
        ),
        rule(
            "mx",
            when(vec![Test::SenderMx(
                ["10.0.0.0/8".parse::<ipnet::IpNet>().unwrap()]
                    .into_iter()
                    .collect(),
            )]),
            refuse("private MX"),
        ),
    ]));
    let server = options.start();
    #[rustfmt::skip]
    let cases = [
        // what the case shows         client  sender                reply
        ("a name that leads back",     2,      "a@known.example",    "550 5.7.1 <acaird@challenger.example>... pool of mx.away.example (session "),
        ("one that does not",          3,      "a@known.example",    "550 5.7.1 <acaird@challenger.example>... liar "),
        ("none",                       4,      "a@known.example",    "250"),
        ("a domain that is not there", 4,      "a@nowhere.example",  "550 5.7.1 <acaird@challenger.example>... no such domain "),
        ("DNS does not answer",        4,      "a@down.example",     "451 4.7.1 <acaird@challenger.example>... Access rules cannot be evaluated now"),
        ("no sender",                  4,      "",                   "250"),
        ("hosts that cannot be",       4,      "a@mx.known.example", "550 5.7.1 <acaird@challenger.example>... private MX "),
    ];
    for (shows, last, sender, reply) in cases {
        let source = Ipv4Addr::new(192, 0, 2, last);
        let (mut client, _) = Client::connect_for(source, server.port, "").unwrap();
        client.say("EHLO mx.away.example").unwrap();
        let said = ask(&mut client, sender, &format!("acaird@{HOST}"));
        assert!(said.starts_with(reply), "{shows}: {said}");
    }
}

#[test]
fn tables_decide() {
    let table = |text: &str, format| {
        Lookup::of_table(
            "t",
            postern_table::parse(text.as_bytes(), format).unwrap().table,
            None,
        )
    };
    let mut access = settings(vec![
        rule("clients", vec![], Action::LookUp(0)),
        rule("senders", vec![], Action::LookUp(1)),
        rule("tags", vec![], Action::LookUp(2)),
        rule(
            "members",
            when(vec![Test::LookUp(3, Stage::Rcpt)]),
            refuse("member"),
        ),
    ]);
    let look_up = |subject, form| LookUp {
        table: "t".into(),
        subject,
        form,
        relay: false,
    };
    access.rules.look_ups = vec![
        look_up(Subject::Client, Form::Postfix),
        look_up(Subject::Sender, Form::Postfix),
        look_up(Subject::Sender, Form::Sendmail),
        look_up(Subject::Recipient, Form::Members),
    ];
    access.rules.classes = vec![Class {
        name: "nobody".into(),
        rules: vec![AccessRule::new("class", vec![], refuse("class"))],
    }];
    access.rules.prepare();
    access.tables = vec![
        table("10.0.0.0/8 REJECT\n", postern_table::Format::Cidr),
        table(
            "bad.example REJECT not from there\nfriend@bad.example OK\nclass@away.example nobody, permit\n<> DUNNO\nbroken@away.example NONSENSE\n",
            postern_table::Format::Postfix,
        ),
        table(
            "From:cyber.example\tREJECT\nFrom:mailing@cyber.example\tOK\nFrom:paint.example\tERROR:\"550 5.7.1 no paint\"\n",
            postern_table::Format::Sendmail,
        ),
        table(&format!("root@{HOST} x\n"), postern_table::Format::Postfix),
    ];
    let server = server(access);
    let mut client = greeted(&server);
    #[rustfmt::skip]
    let cases = [
        ("not there",             "ann@away.example",       "acaird",  "250"),
        ("a domain",              "x@bad.example",          "acaird",  "554 5.7.1 <acaird@challenger.example>... not from there "),
        ("a domain below",        "x@a.bad.example",        "acaird",  "554 5.7.1 "),
        ("an exception",          "friend+x@bad.example",   "acaird",  "250"),
        ("a class",               "class@away.example",     "acaird",  "550 5.7.1 <acaird@challenger.example>... class "),
        ("what nobody knows",     "broken@away.example",    "acaird",  "451 4.7.1 "),
        ("no sender",             "",                       "acaird",  "250"),
        ("with a tag",            "x@cyber.example",        "acaird",  "550 5.7.1 <acaird@challenger.example>... Access denied "),
        ("its exception",         "mailing@cyber.example",  "acaird",  "250"),
        ("in quotes",             "x@paint.example",        "acaird",  "550 5.7.1 <acaird@challenger.example>... no paint "),
        ("who is in a table",     "ann@away.example",       "root",    "550 5.7.1 <root@challenger.example>... member "),
    ];
    for (shows, from, to, reply) in cases {
        let said = ask(&mut client, from, &format!("{to}@{HOST}"));
        assert!(said.starts_with(reply), "{shows}: {said}");
    }
}

/// The requests that it received.
type Requests = Arc<Mutex<Vec<String>>>;

/// The number of connections.
type Connections = Arc<Mutex<usize>>;

/// A policy service that answers each request with what `answers` returns for its recipient's name, and keeps the requests.
fn policy_service(answers: fn(&str) -> &'static str) -> (u16, Requests, Connections) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (asked, connections) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(0)));
    let (kept, counted) = (Arc::clone(&asked), Arc::clone(&connections));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            *counted.lock().unwrap() += 1;
            let kept = Arc::clone(&kept);
            std::thread::spawn(move || {
                let mut request = String::new();
                let mut octets = [0; 4_096];
                loop {
                    let Ok(read @ 1..) = stream.read(&mut octets) else {
                        return;
                    };
                    request.push_str(std::str::from_utf8(&octets[..read]).unwrap());
                    while let Some((one, rest)) = request.split_once("\n\n") {
                        let recipient = one
                            .lines()
                            .find_map(|line| line.strip_prefix("recipient="))
                            .unwrap_or_default();
                        let answer = answers(recipient);
                        kept.lock().unwrap().push(one.to_owned());
                        if answer == "close" {
                            return;
                        }
                        stream.write_all(answer.as_bytes()).unwrap();
                        request = rest.to_owned();
                    }
                }
            });
        }
    });
    (port, asked, connections)
}

fn with_service(service: ServiceSettings) -> AccessSettings {
    let mut access = settings(vec![
        rule("ask", vec![], Action::Service(0)),
        rule("last", to(&format!("root@{HOST}")), refuse("last")),
    ]);
    access.rules.services = vec!["grey".into()];
    access.services = vec![service];
    access
}

#[test]
fn policy_services_decide() {
    let (port, asked, connections) = policy_service(|recipient| match recipient.split('@').next() {
        Some("acaird") => "action=DUNNO\n\n",
        Some("staff") => "action=REJECT not you\n\n",
        Some("root") => "action=DEFER_IF_PERMIT Greylisted for 5 minutes\n\n",
        Some("postmaster") => "action=PREPEND X-Grey: was\n\n",
        Some("closed") => "close",
        _ => "nonsense\n\n",
    });
    let address = format!("inet:127.0.0.1:{port}").parse().unwrap();
    let server = server(with_service(ServiceSettings::new("grey", address)));
    let mut client = greeted(&server);
    #[rustfmt::skip]
    let cases = [
        ("it says nothing",          "acaird@challenger.example",  "250 2.1.5"),
        ("it refuses",               "staff@challenger.example",   "554 5.7.1 <staff@challenger.example>... not you "),
        ("refused after all",        "root@challenger.example",    "550 5.7.1 <root@challenger.example>... last "),
        ("it closes",                "closed@challenger.example",  "451 4.3.5 "),
        ("it makes no sense",        "other@challenger.example",   "451 4.3.5 "),
        ("and works again",          "acaird@challenger.example",  "250 2.1.5"),
    ];
    for (shows, to, reply) in cases {
        let said = ask(&mut client, "ann@away.example", to);
        assert!(said.starts_with(reply), "{shows}: {said}");
    }
    let reply = send(
        &mut client,
        "ann@away.example",
        &["postmaster@challenger.example"],
        "Subject: x\r\n\r\nhi\r\n",
    );
    let (_, text) = server.message(&reply);
    assert!(text.contains("X-Grey: was\r\n"), "{text}");
    let asked = asked.lock().unwrap();
    for line in [
        "request=smtpd_access_policy",
        "protocol_state=RCPT",
        "helo_name=mx.away.example",
        "sender=ann@away.example",
        "recipient=acaird@challenger.example",
        "client_address=127.0.0.1",
        "client_name=localhost",
        "sasl_username=",
        "policy_context=test",
    ] {
        assert!(asked[0].lines().any(|one| one == line), "{line}: {}", asked[0]);
    }
    let connections = *connections.lock().unwrap();
    assert!(
        connections < asked.len(),
        "connections are used again: {connections} for {}",
        asked.len()
    );
}

#[test]
fn a_policy_service_that_fails_is_no_way_through() {
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    let address = || format!("inet:127.0.0.1:{port}").parse().unwrap();
    for (optional, reply) in [(false, "451 4.3.5 "), (true, "250 2.1.5")] {
        let server = server(with_service(ServiceSettings {
            optional,
            ..ServiceSettings::new("grey", address())
        }));
        let said = ask(
            &mut greeted(&server),
            "ann@away.example",
            "acaird@challenger.example",
        );
        assert!(said.starts_with(reply), "{optional}: {said}");
    }
    // One that never answers.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let server = server(with_service(ServiceSettings {
        timeout: Duration::from_millis(200),
        ..ServiceSettings::new(
            "grey",
            format!("inet:127.0.0.1:{}", silent.local_addr().unwrap().port())
                .parse()
                .unwrap(),
        )
    }));
    let said = ask(
        &mut greeted(&server),
        "ann@away.example",
        "acaird@challenger.example",
    );
    assert!(said.starts_with("451 4.3.5 "), "{said}");
}

fn limit(name: &str) -> Limit {
    Limit {
        name: name.into(),
        listeners: None,
        networks: None,
        strangers: false,
        by_rule: false,
        window: Duration::from_secs(7 * 86_400),
        most: [0; 4],
        sessions: 0,
        network: NetworkPrefix::default(),
    }
}

#[test]
fn clients_have_limits() {
    let with = |limit: Limit| {
        let mut options = Options::new(Role::Mx);
        options.settings.limits_of_clients = vec![limit];
        options.start()
    };
    let acaird = format!("acaird@{HOST}");
    let server = with(Limit {
        most: [2, 0, 0, 0],
        ..limit("connections")
    });
    let (_one, _two) = (server.connect(), server.connect());
    let (_, greeting) = Client::connect(server.port).unwrap();
    assert!(
        greeting.starts_with("421 4.3.2 Too many connections from your network"),
        "{greeting}"
    );

    let server = with(Limit {
        sessions: 1,
        ..limit("sessions")
    });
    let mut one = server.connect();
    let (_, greeting) = Client::connect(server.port).unwrap();
    assert!(greeting.starts_with("421 4.3.2 "), "{greeting}");
    one.say("QUIT").unwrap();
    drop(one);
    let again = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        Client::connect(server.port).is_ok_and(|(_, greeting)| greeting.starts_with("220"))
    });
    assert!(again, "a place is free again when a session ends");

    let server = with(Limit {
        most: [0, 1, 0, 0],
        ..limit("messages")
    });
    let mut client = greeted(&server);
    assert!(ask(&mut client, "ann@away.example", &acaird).starts_with("250"));
    let said = ask(&mut client, "ann@away.example", &acaird);
    assert!(said.starts_with("MAIL 450 4.7.1 "), "{said}");

    let server = with(Limit {
        most: [0, 0, 1, 0],
        ..limit("recipients")
    });
    let mut client = greeted(&server);
    assert!(ask(&mut client, "ann@away.example", &acaird).starts_with("250"));
    let said = client.say(&format!("RCPT TO:<root@{HOST}>")).unwrap();
    assert!(said.starts_with("450 4.7.1 "), "{said}");
}

#[test]
fn rules_count_against_limits() {
    let mut options = Options::mx();
    options.settings.limits_of_clients = vec![Limit {
        most: [0, 0, 1, 0],
        by_rule: true,
        ..limit("bulk")
    }];
    let mut access = settings(vec![rule("bulk mail", from("@bulk.example"), Action::Limit(0))]);
    access.rules.limits = vec![RuleLimit {
        name: "bulk".into(),
        words: Words::new(450, Status(4, 7, 1), "too many of these").unwrap(),
    }];
    options.settings.access = Arc::new(access);
    let server = options.start();
    let mut client = greeted(&server);
    for (from, reply) in [
        ("a@bulk.example", "250"),
        (
            "a@bulk.example",
            "450 4.7.1 <acaird@challenger.example>... too many of these ",
        ),
        ("a@away.example", "250"),
    ] {
        let said = ask(&mut client, from, &format!("acaird@{HOST}"));
        assert!(said.starts_with(reply), "{from}: {said}");
    }
}

#[test]
fn a_listener_can_have_its_own() {
    let mut options = Options::mx();
    options.settings.access = Arc::new(settings(vec![rule("general", vec![], refuse("general"))]));
    options.listener.access = Some(Arc::new(settings(vec![rule(
        "own",
        from("@bad.example"),
        refuse("own"),
    )])));
    options.listener.networks = Some(vec!["127.0.0.0/8".parse().unwrap()]);
    options.listener.message_size = Some(100_000);
    let server = options.start();
    let mut client = server.connect();
    let reply = client.say("EHLO mx.away.example").unwrap();
    assert!(reply.contains("SIZE 100000"), "{reply}");
    for (from, to, reply) in [
        ("ann@away.example", "acaird@challenger.example", "250"),
        (
            "ann@bad.example",
            "acaird@challenger.example",
            "550 5.7.1 <acaird@challenger.example>... own ",
        ),
        ("ann@away.example", "joe@outside.example", "250"),
    ] {
        let said = ask(&mut client, from, to);
        assert!(said.starts_with(reply), "{from} to {to}: {said}");
    }
}
