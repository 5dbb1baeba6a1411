//! The same MIMEDefang filter under a real sendmail and under Postern: the results are identical, octet by octet, except for
//! trace fields.

use std::fs;

use postern_testkit::milter::MimeDefang;
use postern_testkit::process::{free_port, wait_until};
use postern_testkit::sendmail::Sendmail;
use postern_testkit::sink::{Sink, Taken};
use postern_testkit::smtp::Client;

use super::{tables, tried};
use crate::harness::Site;

const FILTER: &str = r#"
sub filter_begin {
    action_bounce('Not here', 554, '5.7.1') if $Subject =~ /unwanted/;
    action_tempfail('Not now', 451, '4.7.1') if $Subject =~ /later/;
}
sub filter {
    my ($entity, $name, $extension, $type) = @_;
    return action_drop_with_warning('A program was taken out.') if $extension eq '.exe';
    return action_accept();
}
sub filter_end {
    my ($entity) = @_;
    action_add_header('X-Looked-At', "by $SendmailMacros{'j'} for $Sender from $RelayAddr $Helo");
    action_change_header('Subject', 'changed') if $Subject =~ /change/;
    action_delete_header('X-Gone');
    action_insert_header('X-Top', 'inserted', 0) if $Subject =~ /change/;
    add_recipient('<extra@relay.test>') if $Subject =~ /copy/;
    delete_recipient('<dan@relay.test>') if $Subject =~ /copy/;
    change_sender('<other@outside.example>') if $Subject =~ /sender/;
    action_sm_quarantine('looks odd') if $Subject =~ /odd/;
}
"#;

fn messages() -> Vec<(&'static str, String)> {
    let head = |subject: &str| {
        format!(
            "From: Ann <ann@outside.example>\r\nTo: Bob <bob@relay.test>\r\nSubject: {subject}\r\n\
             Date: Mon, 30 Nov 2026 12:00:00 +0000\r\nMessage-ID: <{subject}@outside.example>\r\n"
        )
    };
    let plain = |subject: &str| format!("{}\r\nHello.\r\n", head(subject));
    let parts = "--x\r\nContent-Type: text/plain\r\n\r\nHello.\r\n--x\r\nContent-Type: application/octet-stream\r\n\
                 Content-Disposition: attachment; filename=a.exe\r\n\r\nMZ\r\n--x--\r\n";
    vec![
        ("plain", plain("plain")),
        (
            "dots-and-folds",
            format!(
                "{}X-Folded: one\r\n\ttwo\r\n  three\r\nX-Gone: 1\r\nX-Gone: 2\r\nX-Kept:  two  blanks\r\n\r\n.dot\r\n..dots\r\n\r\n\r\nend\r\n",
                head("dots-and-folds")
            ),
        ),
        ("change", plain("change")),
        ("copy", plain("copy")),
        ("sender", plain("sender")),
        (
            "program",
            format!(
                "{}MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n{parts}",
                head("program")
            ),
        ),
        ("unwanted", plain("unwanted")),
        ("later", plain("later")),
        ("odd", plain("odd")),
    ]
}

/// Sends all of them over one connection; the replies to each.
fn send(port: u16) -> Vec<String> {
    let (mut client, _) = Client::connect(port).unwrap();
    client.say("EHLO client.example").unwrap();
    let replies = messages().into_iter().map(|(_, message)| {
        client
            .mail(
                "ann@outside.example",
                &["bob@relay.test", "dan@relay.test"],
                &message,
            )
            .unwrap()
    });
    replies.collect()
}

/// The code with its enhanced status, and the text if it is a refusal: the text after 250 is each server's own.
fn comparable(reply: &str) -> String {
    let reply = reply.trim_end();
    match reply.starts_with('2') {
        true => reply.chars().take(9).collect(),
        false => reply.to_owned(),
    }
}

/// A message without `Received` fields; the rest as it is.
fn without_trace(content: &str) -> String {
    let (header, body) = content.split_once("\r\n\r\n").unwrap();
    let mut kept = String::new();
    let mut skipping = false;
    for line in header.split("\r\n") {
        if !line.starts_with([' ', '\t']) {
            skipping = line.starts_with("Received:");
        }
        if !skipping {
            kept.push_str(line);
            kept.push_str("\r\n");
        }
    }
    format!("{kept}\r\n{body}")
}

/// The envelope and the message with this id.
fn delivered(sink: &Sink, id: &str) -> (String, Vec<String>, String) {
    let marker = format!("Message-ID: <{id}@outside.example>");
    let _ = sink.wait_for(&marker);
    let taken: Vec<Taken> = sink
        .taken()
        .into_iter()
        .filter(|taken| taken.content.contains(&marker))
        .collect();
    let address = |argument: &str| argument.split_whitespace().next().unwrap_or_default().to_owned();
    let mut recipients: Vec<String> = taken
        .iter()
        .flat_map(|taken| &taken.rcpt)
        .map(|to| address(to))
        .collect();
    recipients.sort();
    (
        address(&taken[0].mail),
        recipients,
        without_trace(&taken[0].content),
    )
}

#[test]
fn mimedefang_gives_the_same_under_sendmail() {
    let port = free_port();
    let _mimedefang = MimeDefang::start_tcp(FILTER, port);
    let sink = Sink::start();
    let sendmail = Sendmail::start(port, sink.port());
    let address = format!("inet:{port}@127.0.0.1");
    let site = Site::relay(1, &tables(&[("mimedefang", &address)], ""));
    let out = site.path("out");
    let arguments = [
        "--from",
        "ann@outside.example",
        "--to",
        "bob@relay.test",
        "--to",
        "dan@relay.test",
        "--client",
        "127.0.0.1",
        "--client-name",
        "localhost",
        "--helo",
        "client.example",
        "--output",
        out.to_str().unwrap(),
    ];
    for ((id, message), reply) in messages().iter().zip(send(sendmail.port())) {
        let (_, report) = tried(&site, "mimedefang", message, &arguments);
        match *id {
            "unwanted" | "later" => assert_eq!(report["reason"], reply.trim_end(), "{id}"),
            "odd" => {
                assert!(reply.starts_with("250"), "{reply}");
                assert_eq!(report["outcome"], "held", "{report}");
                // Quarantine is a hold, under either name.
                wait_until("sendmail's quarantine", || sendmail.quarantined() == 1);
            }
            id => {
                assert_eq!(report["outcome"], "through", "{report}");
                let mut recipients: Vec<String> = report["to"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|to| format!("<{}>", to.as_str().unwrap()))
                    .collect();
                recipients.sort();
                let sender = format!("<{}>", report["from"].as_str().unwrap());
                let ours = (sender, recipients, fs::read_to_string(&out).unwrap());
                assert_eq!(delivered(&sink, id), ours, "{id}");
            }
        }
    }
}

#[test]
fn what_is_delivered_behind_it_is_the_same() {
    let port = free_port();
    let _mimedefang = MimeDefang::start_tcp(FILTER, port);
    let (after_sendmail, after_postern) = (Sink::start(), Sink::start());
    let sendmail = Sendmail::start(port, after_sendmail.port());
    let address = format!("inet:{port}@127.0.0.1");
    let mut postern = Site::relay(after_postern.port(), &tables(&[("mimedefang", &address)], ""));
    postern.start();
    let (theirs, ours) = (send(sendmail.port()), send(postern.mx));
    for ((id, _), (theirs, ours)) in messages().iter().zip(theirs.iter().zip(&ours)) {
        assert_eq!(comparable(theirs), comparable(ours), "{id}");
        match *id {
            "unwanted" | "later" => assert!(ours.starts_with(['4', '5']), "{ours}"),
            "odd" => assert!(ours.starts_with("250"), "{ours}"),
            id => {
                let (theirs, ours) = (delivered(&after_sendmail, id), delivered(&after_postern, id));
                assert_eq!(theirs, ours, "{id}");
            }
        }
    }
    // Quarantine is a hold, under either name.
    wait_until("sendmail's quarantine", || sendmail.quarantined() == 1);
    let held = postern.ok(&["queue", "list", "--held", "--json"]);
    assert!(held.contains("looks odd"), "{held}");
    for sink in [&after_sendmail, &after_postern] {
        let came = sink
            .taken()
            .iter()
            .any(|taken| taken.content.contains("<odd@outside.example>"));
        assert!(!came, "what is held is not delivered");
    }
}
