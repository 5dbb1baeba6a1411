//! Filters that sites run.

use std::sync::Arc;

use postern_filter::{End, EndError, Filter, Service};
use postern_milter::{Actions, Change, Peer, Verdict};
use postern_testkit::milter::{MimeDefang, OpenDkim};

use crate::support::service;

#[tokio::test]
async fn opendkim_signs() {
    let opendkim = OpenDkim::start_signing("example.org");
    let (service, notices) = service(Filter::new("opendkim", opendkim.address().parse().unwrap()));
    let agreement = service.negotiate().await.unwrap();
    assert!(agreement.actions.has(Actions::ADD_HEADER));
    let macros = [
        ("j", "mx.example.org"),
        ("i", "q1"),
        ("{daemon_name}", "submission"),
    ];
    for _ in 0..2 {
        let mut session = service.session();
        let peer = Peer::Network([127, 0, 0, 1].into(), 4_711);
        session.connect("localhost", peer, &macros).await.unwrap();
        session.helo("client.example.org", &macros).await.unwrap();
        session.mail("<a@example.org>", &[], &macros).await.unwrap();
        session.rcpt("<b@example.net>", &[], true, &macros).await.unwrap();
        session.data(&macros).await.unwrap();
        for (name, value) in [
            ("From", " a@example.org"),
            ("To", " b@example.net"),
            ("Subject", "  folded\r\n\there"),
            ("Date", " Mon, 30 Nov 2026 12:00:00 +0000"),
            ("Message-ID", " <1@example.org>"),
        ] {
            session.header(name.as_bytes(), value.as_bytes()).await.unwrap();
        }
        session.eoh(&macros).await.unwrap();
        session.body(b"Hello.\r\n").await.unwrap();
        let end = session.end(&macros, &mut Vec::new()).await.unwrap();
        session.quit().await;
        assert!(
            matches!(end.verdict, Verdict::Accept | Verdict::Continue),
            "{:?}",
            end.verdict
        );
        let signature = end.changes.iter().find_map(|change| match change {
            Change::InsertField { index, name, value } if name == "DKIM-Signature" => Some((*index, value)),
            _ => None,
        });
        let (index, value) = signature.unwrap_or_else(|| panic!("{:?}", end.changes));
        let value = String::from_utf8_lossy(value);
        assert!(
            index <= 1 && value.contains("d=example.org; s=test;"),
            "{index} {value}"
        );
        assert!(
            value.contains("\r\n\t") && !value.replace("\r\n", "").contains(['\r', '\n']),
            "{value:?}"
        );
    }
    assert!(notices.lock().unwrap().is_empty(), "{notices:?}");
}

/// A filter as sites write them: it adds a field and a recipient, drops programs, rejects and quarantines.
const MIMEDEFANG: &str = r#"
sub filter_begin {
    action_bounce('Not here', 554, '5.7.1') if $Subject =~ /unwanted/;
}
sub filter {
    my ($entity, $name, $extension, $type) = @_;
    return action_drop_with_warning('A program was taken out.') if $extension eq '.exe';
    return action_accept();
}
sub filter_end {
    my ($entity) = @_;
    action_add_header('X-Looked-At', "by $SendmailMacros{'j'} for $Sender");
    action_change_header('Subject', 'changed') if $Subject =~ /change/;
    add_recipient('<extra@example.org>') if $Subject =~ /copy/;
    action_sm_quarantine('looks odd') if $Subject =~ /odd/;
}
"#;

/// A message with a text and a program.
const BODY: &str = "--x\r\nContent-Type: text/plain\r\n\r\nHello.\r\n--x\r\nContent-Type: application/octet-stream\r\n\
                    Content-Disposition: attachment; filename=a.exe\r\n\r\nMZ\r\n--x--\r\n";

async fn submit(service: &Arc<Service>, subject: &str, multipart: bool) -> Result<(End, Vec<u8>), EndError> {
    let macros = [
        ("j", "mx.example.org"),
        ("i", "q1"),
        ("_", "localhost [127.0.0.1]"),
    ];
    let mut session = service.session();
    let peer = Peer::Network([127, 0, 0, 1].into(), 4_711);
    session.connect("localhost", peer, &macros).await?;
    session.helo("client.example.org", &macros).await?;
    session.mail("<a@example.org>", &[], &macros).await?;
    session.rcpt("<b@example.org>", &[], true, &macros).await?;
    session.data(&macros).await?;
    let kind = if multipart {
        " multipart/mixed;\r\n\tboundary=x"
    } else {
        " text/plain"
    };
    let subject = format!(" {subject}");
    for (name, value) in [
        ("From", " a@example.org"),
        ("Subject", &subject),
        ("MIME-Version", " 1.0"),
        ("Content-Type", kind),
    ] {
        session.header(name.as_bytes(), value.as_bytes()).await?;
    }
    session.eoh(&macros).await?;
    session
        .body(if multipart { BODY.as_bytes() } else { b"Hello.\r\n" })
        .await?;
    let mut new_body = Vec::new();
    let end = session.end(&macros, &mut new_body).await?;
    session.quit().await;
    Ok((end, new_body))
}

#[tokio::test]
async fn mimedefang_adds_drops_rejects_and_quarantines() {
    let mimedefang = MimeDefang::start(MIMEDEFANG);
    let (service, notices) = service(Filter::new("mimedefang", mimedefang.address().parse().unwrap()));
    let added = Change::AddField {
        name: "X-Looked-At".into(),
        value: b" by mx.example.org for <a@example.org>".to_vec(),
    };

    let (end, _) = submit(&service, "nothing special", false).await.unwrap();
    assert!(
        matches!(end.verdict, Verdict::Accept | Verdict::Continue),
        "{:?}",
        end.verdict
    );
    assert!(end.changes.contains(&added), "{:?}", end.changes);
    assert!(!end.body_replaced);

    let (end, body) = submit(&service, "with a program", true).await.unwrap();
    let body = String::from_utf8(body).unwrap();
    assert!(
        end.body_replaced && end.changes.contains(&added),
        "{:?}",
        end.changes
    );
    assert!(
        body.contains("Hello.\r\n") && body.contains("A program was taken out."),
        "{body}"
    );
    assert!(!body.contains("a.exe"), "{body}");
    assert!(!body.replace("\r\n", "").contains(['\r', '\n']), "{body:?}");

    let (end, _) = submit(&service, "unwanted", false).await.unwrap();
    let Verdict::Reply(reply) = end.verdict else {
        panic!("{:?}", end.verdict)
    };
    assert_eq!(
        (reply.code(), reply.enhanced(), reply.lines()[0].as_str()),
        (554, Some((5, 7, 1)), "Not here")
    );
    assert!(end.changes.is_empty());

    let (end, _) = submit(&service, "an odd one, change it, copy it", false)
        .await
        .unwrap();
    assert!(
        end.changes.contains(&Change::Quarantine("looks odd".into())),
        "{:?}",
        end.changes
    );
    let recipient = Change::AddRecipient {
        recipient: "<extra@example.org>".into(),
        parameters: String::new(),
    };
    assert!(end.changes.contains(&recipient), "{:?}", end.changes);
    let subject = Change::ChangeField {
        index: 1,
        name: "Subject".into(),
        value: b" changed".to_vec(),
    };
    assert!(end.changes.contains(&subject), "{:?}", end.changes);
    assert!(notices.lock().unwrap().is_empty(), "{notices:?}");
}
