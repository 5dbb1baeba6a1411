//! Strangers are checked before their mail is accepted, and bounces of forwarded mail find their way back.

use std::fs;
use std::net::Ipv4Addr;

use postern_testkit::sink::Sink;
use postern_testkit::smtp::Client;
use postern_testkit::unbound::Unbound;

use crate::harness::{Site, private};

const ZONES: &[&str] = &[
    "local-zone: \"bl.example.\" static",
    "local-data: \"7.0.0.127.bl.example. 60 A 127.0.0.2\"",
    "local-data: \"9.0.0.127.bl.example. 60 A 127.0.0.10\"",
    "local-zone: \"parked.example.\" redirect",
    "local-data: \"parked.example. 60 A 198.51.100.1\"",
    "local-zone: \"away.example.\" static",
    "local-data: \"away.example. 60 MX 10 mx.away.example.\"",
];

fn site(sink: &Sink, names: &Unbound) -> Site {
    let top = "local_domains = [\"home.example\"]\naliases = \"aliases\"\n";
    let extra = format!(
        "[dns]\nnameservers = [\"{}\"]\n\
         [screen]\nrefuse = 3\nhold = 2\ntag = 2\nsender_unknown = \"reject\"\n\
         [[dns_list]]\nzone = \"bl.example\"\nanswers = [\"127.0.0.2\"]\nscore = 3\ntext = \"{{address}} is not welcome\"\n\
         [[dns_list]]\nzone = \"bl.example\"\nname = \"policy\"\nanswers = [\"127.0.0.10\"]\nscore = 2\n\
         [[dns_list]]\nzone = \"parked.example\"\nscore = 5\n\
         [srs]\ndomain = \"home.example\"\nsecret_file = \"srs.secret\"\n",
        format_args!("127.0.0.1:{}", names.port())
    );
    let site = Site::relay_with(sink.port(), top, &extra);
    fs::write(site.path("aliases"), "far: friend@outside.example\n").unwrap();
    private(
        &site.path("srs.secret"),
        "a secret of this test\nthe secret before that one\n",
    );
    site
}

fn stranger(site: &Site, last: u8) -> Client {
    let (mut client, greeting) = Client::connect_from(Ipv4Addr::new(127, 0, 0, last), site.mx).unwrap();
    assert!(greeting.starts_with("220 "), "{greeting}");
    client.say("EHLO mx.away.example").unwrap();
    client
}

fn send(site: &Site, last: u8, from: &str, to: &str) -> String {
    let text = format!("From: <{from}>\r\nSubject: from {last} to {to}\r\n\r\nhi\r\n");
    stranger(site, last).mail(from, &[to], &text).unwrap()
}

#[test]
fn strangers_are_looked_at_and_reports_find_back() {
    let sink = Sink::start();
    let names = Unbound::start_with(&ZONES.join("\n"));
    let mut site = site(&sink, &names);
    site.start();

    let reply = send(&site, 7, "ann@away.example", "far@home.example");
    assert!(reply.starts_with("550 5.7.1 127.0.0.7 is not welcome"), "{reply}");
    let reply = send(&site, 8, "ann@nowhere.away.example", "far@home.example");
    assert!(reply.starts_with("553 5.1.8 "), "{reply}");
    let reply = send(&site, 9, "ann@away.example", "far@home.example");
    assert!(reply.starts_with("250 "), "{reply}");
    site.wait_for_log(&[
        "refused",
        "rule=screen.refused",
        "bl.example=3 (client 127.0.0.2)",
    ]);
    site.wait_for_log(&["refused", "rule=sender.unknown"]);
    site.wait_for_log(&["screened", "rule=screen.held", "policy=2"]);
    let held = site.ok(&["queue", "list", "--json"]);
    assert!(held.contains("screen.held: score 2: policy=2"), "{held}");
    let failures = site.log().matches("dns list fails").count();
    assert_eq!(failures, 1, "{}", site.log());

    let reply = send(&site, 8, "ann@away.example", "far@home.example");
    assert!(reply.starts_with("250 "), "{reply}");
    let taken = sink.wait_for("from 8 to far@home.example");
    let sender = taken
        .mail
        .split(' ')
        .next()
        .unwrap()
        .trim_matches(['<', '>'])
        .to_owned();
    assert!(
        sender.starts_with("SRS0=") && sender.ends_with("=away.example=ann@home.example"),
        "{sender}"
    );
    site.wait_for_log(&["reworked", "rule=srs.rewritten", &format!("becomes <{sender}>")]);
    assert!(!taken.content.contains("X-Postern-Screen"), "{}", taken.content);
    let reply = send(&site, 8, "", &sender);
    assert!(reply.starts_with("250 "), "{reply}");
    let report = sink.wait_for(&format!("from 8 to {sender}"));
    assert!(
        report.rcpt[0].starts_with("<ann@away.example> "),
        "{:?}",
        report.rcpt
    );
    assert!(report.mail.starts_with("<> "), "{}", report.mail);
    let forged = sender.replace("=ann@", "=bob@");
    let reply = send(&site, 8, "", &forged);
    assert!(reply.starts_with("550 5.1.1 "), "{reply}");
    site.wait_for_log(&["refused", "rule=srs.forged"]);

    let client = |last: &str| ["--peer".to_owned(), format!("127.0.0.{last}")];
    type Case<'a> = (&'a str, &'a str, &'a str, &'a str, &'a str, &'a [&'a str]);
    #[rustfmt::skip]
    let cases: [Case<'_>; 6] = [
        // what the case shows   client  from                         to                   decided by          among the steps
        ("a listed client",      "7",    "ann@away.example",          "far@home.example",  "screen.refused",   &["screen.listed: 127.0.0.2, score 3", "screen.listed: not listed",
                                                                                                               "screen.listed: counts as not listed: it answers 198.51.100.1"]),
        ("one to be held",       "9",    "ann@away.example",          "far@home.example",  "local.recipient",  &["screen.held: score 2: policy=2"]),
        ("no such domain",       "8",    "ann@nowhere.away.example",  "far@home.example",  "sender.unknown",   &[]),
        ("forwarded mail",       "8",    "ann@away.example",          "far@home.example",  "local.recipient",  &["srs.rewritten: MAIL FROM:<SRS0="]),
        ("a report",             "8",    "<>",                        &sender,             "local.recipient",  &["srs.returned: ann@away.example"]),
        ("a forged one",         "8",    "<>",                        &forged,             "srs.forged",       &[]),
    ];
    for (shows, last, from, to, decided, among) in cases {
        let [option, peer] = client(last);
        let (said, steps) = site.explained(&[&option, &peer, "--from", from, "--to", to]);
        assert_eq!(said["decided"], decided, "{shows}: {said:#}");
        for step in among {
            assert!(steps.contains(step), "{shows}: {step}: {steps}");
        }
    }
}
