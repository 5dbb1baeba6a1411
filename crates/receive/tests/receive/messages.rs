//! What is in the queue after `250`.

use postern_mail::{BodyKind, Notify, Ret, ReversePath};
use postern_policy::privacy::Privacy;
use postern_receive::Role;
use postern_testkit::smtp::{Client, TlsOptions};

use crate::harness::{HOST, Options, Server, begin_message};

const TEXT: &str = "Subject: test\n\nHello\n.hidden\n";

/// Sends to the user of the server and returns what is in the queue.
fn content(server: &Server, client: &mut Client) -> String {
    let reply = client
        .mail("a@a.example", &["acaird@challenger.example"], TEXT)
        .unwrap();
    server.message(&reply).1
}

/// The trace field of a message, unfolded, without its id and date.
fn trace(content: &str) -> String {
    let end = content.find("\r\n").map_or(0, |_| {
        let mut end = 0;
        for line in content.split_inclusive("\r\n") {
            if end > 0 && !line.starts_with(['\t', ' ']) {
                break;
            }
            end += line.len();
        }
        end
    });
    let unfolded = content[..end].replace("\r\n", " ").replace('\t', "");
    let (start, rest) = unfolded.split_once(" id ").expect("an id");
    let (_, rest) = rest.split_at(13);
    let (rest, date) = rest.rsplit_once("; ").expect("a date");
    assert!(date.trim().len() > 25, "{date}");
    format!("{start} id X{rest}").trim().to_owned()
}

#[test]
fn trace_fields() {
    let server = Options { ..Options::mx() }.start();
    let ca = server.ca();
    let mut plain = server.connect();
    let from = "Received: from helo (localhost [127.0.0.1])";
    let by = "by challenger.example (Postern)";

    plain.say("HELO helo").unwrap();
    assert_eq!(
        trace(&content(&server, &mut plain)),
        format!("{from} {by} with SMTP id X")
    );
    plain.say("EHLO helo").unwrap();
    assert_eq!(
        trace(&content(&server, &mut plain)),
        format!("{from} {by} with ESMTP id X")
    );

    let mut secured = server.connect_secured();
    let with_tls = trace(&content(&server, &mut secured));
    assert_eq!(
        with_tls,
        format!(
            "{from} {by} with ESMTPS id X (version=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 bits=256 verify=NO)"
        )
    );

    let (certificate, key) = server.identity();
    let options = TlsOptions {
        name: HOST,
        ca: &ca,
        identity: Some((&certificate, &key)),
    };
    let mut known = server.connect().starttls(options).unwrap();
    known.say("EHLO helo").unwrap();
    assert!(trace(&content(&server, &mut known)).ends_with("verify=OK)"));
}

#[test]
fn trace_of_a_submission_and_what_it_lacks() {
    let server = Options::submission().start();
    let mut client = server.logged_in();
    let content = content(&server, &mut client);
    assert_eq!(
        trace(&content),
        "Received: from helo (localhost [127.0.0.1]) (authenticated bits=0) by challenger.example (Postern) \
         with ESMTPSA id X (version=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 bits=256 verify=NO)"
    );
    assert!(content.contains("\r\nDate: "), "{content}");
    assert!(content.contains("\r\nMessage-ID: <"), "{content}");
    assert!(
        content.contains(
            "@challenger.example>\r\nFrom: a@a.example\r\nSubject: test\r\n\r\nHello\r\n.hidden\r\n"
        ),
        "{content}"
    );
}

#[test]
fn a_stranger_message_is_not_completed() {
    let server = Options::mx().start();
    let content = content(&server, &mut server.connect());
    assert!(
        !content.contains("Date: ") && !content.contains("Message-ID"),
        "{content}"
    );
    assert!(content.ends_with("\r\nSubject: test\r\n\r\nHello\r\n.hidden\r\n"));
}

#[test]
fn authwarnings_tell_of_clients_without_a_name() {
    let warning = "\r\nX-Authentication-Warning: challenger.example: localhost [127.0.0.1] didn't use HELO protocol\r\n";
    for (flags, greets, warned) in [
        (&["authwarnings"][..], false, true),
        (&["authwarnings"][..], true, false),
        (&["public"][..], false, false),
    ] {
        let mut options = Options::mx();
        options.settings.privacy = Privacy::parse(flags).unwrap();
        let server = options.start();
        let mut client = server.connect();
        if greets {
            client.say("HELO c").unwrap();
        }
        let content = content(&server, &mut client);
        assert_eq!(content.contains(warning), warned, "{flags:?} {greets}: {content}");
    }
}

#[test]
fn nobodyreturn_asks_for_header_fields_whatever_the_client_asked_for() {
    let mut options = Options::mx();
    options.settings.privacy = Privacy::parse(["nobodyreturn"]).unwrap();
    let server = options.start();
    let mut client = server.connect();
    client.say("MAIL FROM:<a@a.example> RET=FULL").unwrap();
    client.say("RCPT TO:<acaird@challenger.example>").unwrap();
    client.say("DATA").unwrap();
    let (message, _) = server.message(&client.say("x: y\r\n\r\n.").unwrap());
    assert_eq!(message.envelope.ret, Some(Ret::Headers));
}

#[test]
fn the_submitter_is_hidden_where_asked() {
    let mut options = Options::submission();
    options.settings.hide_submitter = true;
    options.settings.show_login = true;
    let server = options.start();
    let content = content(&server, &mut server.logged_in());
    let head = content.split("\r\nDate").next().unwrap();
    assert!(
        !head.contains("127.0.0.1") && !head.contains("helo") && !head.contains("acaird"),
        "{head}"
    );
    assert!(head.contains("ESMTPSA"), "{head}");
}

#[test]
fn the_login_is_shown_where_asked() {
    let mut options = Options::submission();
    options.settings.show_login = true;
    let server = options.start();
    let content = content(&server, &mut server.logged_in());
    assert!(content.contains("acaird"), "{content}");
}

#[test]
fn the_envelope_with_all_its_parameters() {
    let server = Options::submission().start();
    let mut client = server.logged_in();
    for line in [
        "MAIL FROM:<a@a.example> RET=HDRS ENVID=QQ+2B1 BODY=8BITMIME SIZE=20 SMTPUTF8 AUTH=b+3Dc@a.example",
        "RCPT TO:<b@outside.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;c@outside.example",
        "RCPT TO:<d@outside.example> NOTIFY=NEVER",
    ] {
        assert!(client.say(line).unwrap().starts_with("250"), "{line}");
    }
    client.say("DATA").unwrap();
    client.send(b"Subject: x\r\n\r\n").unwrap();
    let (message, content) = server.message(&client.say(".").unwrap());
    let envelope = &message.envelope;
    assert_eq!(envelope.sender.to_string(), "<a@a.example>");
    assert_eq!(
        (envelope.ret, envelope.envid.as_deref()),
        (Some(Ret::Headers), Some("QQ+1"))
    );
    assert_eq!((envelope.body, envelope.smtputf8), (BodyKind::EightBitMime, true));
    assert_eq!(envelope.auth.as_deref(), Some("b=c@a.example"));
    let [first, second] = &envelope.recipients[..] else {
        panic!("{:?}", envelope.recipients)
    };
    assert_eq!(first.orcpt.as_deref(), Some("rfc822;c@outside.example"));
    assert_eq!(
        first.notify,
        Notify::On {
            success: true,
            failure: true,
            delay: false
        }
    );
    assert_eq!(
        (second.address.to_string().as_str(), second.notify),
        ("d@outside.example", Notify::Never)
    );
    assert_eq!(message.login.as_deref(), Some("acaird"));
    assert!(message.session.is_some());
    assert!(content.contains("with UTF8SMTPSA id "), "{content}");
}

#[test]
fn what_strangers_ask_of_reports_is_not_heard() {
    let mut options = Options::mx();
    options.settings.relay.networks = vec!["192.0.2.0/24".parse().unwrap()];
    let server = options.start();
    let mut client = server.connect();
    for line in [
        "MAIL FROM:<victim@a.example> RET=FULL ENVID=QQ1",
        "RCPT TO:<acaird@challenger.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x@y.example",
        "RCPT TO:<a@relay.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;x@y.example",
        "RCPT TO:<b@relay.example>",
        "RCPT TO:<staff@challenger.example> NOTIFY=SUCCESS ORCPT=rfc822;x@y.example",
    ] {
        assert!(client.say(line).unwrap().starts_with("250"), "{line}");
    }
    client.say("DATA").unwrap();
    let (message, _) = server.message(&client.say("x: y\r\n\r\n.").unwrap());
    let envelope = &message.envelope;
    assert_eq!(
        (envelope.ret, envelope.envid.as_deref()),
        (Some(Ret::Headers), None)
    );
    let failure = Notify::On {
        success: false,
        failure: true,
        delay: false,
    };
    let heard: Vec<_> = envelope
        .recipients
        .iter()
        .map(|to| (to.address.to_string(), to.notify, to.orcpt.as_deref()))
        .collect();
    assert_eq!(
        heard,
        [
            ("acaird@challenger.example".to_owned(), Notify::Never, None),
            ("a@relay.example".to_owned(), failure, None),
            ("b@relay.example".to_owned(), Notify::FailureAlone, None),
            (
                "someone@outside.example".to_owned(),
                Notify::Never,
                Some("rfc822;staff@challenger.example")
            ),
        ]
    );
}

#[test]
fn a_listed_network_is_heard() {
    let mut options = Options::mx();
    options.settings.relay.networks = vec!["127.0.0.0/8".parse().unwrap()];
    let server = options.start();
    let mut client = server.connect();
    for line in [
        "MAIL FROM:<a@a.example> RET=FULL ENVID=QQ1",
        "RCPT TO:<acaird@challenger.example> NOTIFY=SUCCESS ORCPT=rfc822;x@y.example",
    ] {
        assert!(client.say(line).unwrap().starts_with("250"), "{line}");
    }
    client.say("DATA").unwrap();
    let (message, _) = server.message(&client.say("x: y\r\n\r\n.").unwrap());
    let envelope = &message.envelope;
    assert_eq!(
        (envelope.ret, envelope.envid.as_deref()),
        (Some(Ret::Full), Some("QQ1"))
    );
    assert!(envelope.recipients[0].notify.success());
    assert_eq!(
        envelope.recipients[0].orcpt.as_deref(),
        Some("rfc822;x@y.example")
    );
}

#[test]
fn heads_are_put_in_order_by_data_and_in_chunks() {
    let server = Options::mx().start();
    let mut client = server.connect();
    #[rustfmt::skip]
    let cases = [
        // what the case shows    message                                                                what lies in the queue behind the trace
        ("a mailbox separator",   "From root Sun Nov 22 10:00:00 2026\r\nSubject: x\r\n\r\nbody\r\n",    "Mailbox-Line: From root Sun Nov 22 10:00:00 2026\r\nSubject: x\r\n\r\nbody\r\n"),
        ("a stray line",          "Subject: x\r\nno field\r\nTo: b\r\n\r\nbody\r\n",                   "Subject: x\r\nX-Stray-Line: no field\r\nTo: b\r\n\r\nbody\r\n"),
        ("no empty line",         "Subject: x\r\nHello,\r\n\r\nbody\r\n",                             "Subject: x\r\n\r\nHello,\r\n\r\nbody\r\n"),
        ("a stranger's fields",   "Date: x\r\nFrom:\r\n\r\nbody\r\n",                                 "Date: x\r\nFrom:\r\n\r\nbody\r\n"),
    ];
    for (shows, message, expected) in cases {
        begin_message(&mut client);
        client.send(message.as_bytes()).unwrap();
        let (_, content) = server.message(&client.say(".").unwrap());
        assert!(
            content.ends_with(&format!("0000\r\n{expected}")),
            "{shows}: {content}"
        );

        for line in ["MAIL FROM:<a@a.example>", "RCPT TO:<acaird@challenger.example>"] {
            client.say(line).unwrap();
        }
        for piece in message.as_bytes().chunks(7) {
            client
                .send(format!("BDAT {}\r\n", piece.len()).as_bytes())
                .unwrap();
            client.send(piece).unwrap();
            assert!(client.reply().unwrap().starts_with("250"));
        }
        let (_, content) = server.message(&client.say("BDAT 0 LAST").unwrap());
        assert!(
            content.ends_with(&format!("0000\r\n{expected}")),
            "{shows}, in chunks: {content}"
        );
    }
}

#[test]
fn what_is_not_valid_in_a_submission_is_replaced() {
    let server = Options::submission().start();
    let mut client = server.logged_in();
    let reply = client
        .mail(
            "a@a.example",
            &["b@outside.example"],
            "Message-ID: abc\nDate: yesterday\nFrom: Scanner\nTo : b\nSubject: x\n\nFrom: y\n",
        )
        .unwrap();
    let (_, content) = server.message(&reply);
    for name in ["Date: ", "Message-ID: <", "From: a@a.example\r\n"] {
        assert!(content.contains(&format!("\r\n{name}")), "{name}: {content}");
    }
    assert!(
        content.ends_with("\r\nFrom: a@a.example\r\nTo: b\r\nSubject: x\r\n\r\nFrom: y\r\n"),
        "{content}"
    );
    let head = content.split("\r\n\r\n").next().unwrap();
    assert!(
        !head.contains("abc") && !head.contains("yesterday") && !head.contains("Scanner"),
        "{head}"
    );
}

#[test]
fn aliases_lead_on_and_reports_name_the_alias() {
    let server = Options::mx().start();
    let mut client = server.connect();
    let reply = client
        .mail(
            "",
            &["Staff@challenger.example", "acaird@challenger.example"],
            TEXT,
        )
        .unwrap();
    let (message, _) = server.message(&reply);
    assert_eq!(message.envelope.sender, ReversePath::Null);
    let recipients: Vec<_> = message
        .envelope
        .recipients
        .iter()
        .map(|to| (to.address.to_string(), to.orcpt.clone()))
        .collect();
    let alias = Some("rfc822;Staff@challenger.example".to_owned());
    assert_eq!(
        recipients,
        [
            ("acaird@challenger.example".to_owned(), alias.clone()),
            ("someone@outside.example".to_owned(), alias),
        ],
        "and the user who is on the list is there once"
    );
}

#[test]
fn large_bodies_in_chunks_and_lines() {
    let server = Options::mx().start();
    let mut client = server.connect();
    let line = format!("{}\r\n", "x".repeat(998));
    let body = format!("Subject: big\r\n\r\n{}", line.repeat(300));
    begin_message(&mut client);
    client.send(body.as_bytes()).unwrap();
    let (_, content) = server.message(&client.say(".").unwrap());
    assert!(content.ends_with(&body));

    for line in ["MAIL FROM:<a@a.example>", "RCPT TO:<acaird@challenger.example>"] {
        client.say(line).unwrap();
    }
    for piece in body.as_bytes().chunks(100_000) {
        client
            .send(format!("BDAT {}\r\n", piece.len()).as_bytes())
            .unwrap();
        client.send(piece).unwrap();
        assert!(client.reply().unwrap().starts_with("250"));
    }
    let (_, content) = server.message(&client.say("BDAT 0 LAST").unwrap());
    assert!(content.ends_with(&body));
}

#[test]
fn a_message_without_a_head_gets_an_empty_line_after_the_trace() {
    let server = Options::mx().start();
    let reply = server
        .connect()
        .mail("a@a.example", &["acaird@challenger.example"], "no header here\n")
        .unwrap();
    let (_, content) = server.message(&reply);
    assert!(content.ends_with("\r\n\r\nno header here\r\n"), "{content}");
}

#[test]
fn a_message_that_was_broken_off_is_not_queued() {
    let server = Options::new(Role::Mx).start();
    let mut client = server.connect();
    begin_message(&mut client);
    client.send(b"Subject: x\r\n\r\nhalf").unwrap();
    drop(client);
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(server.spool.counts().messages, 0);
    assert_eq!(server.receiver.sessions(), 0, "the session is over");
}
