//! Reports, as whole messages.

use jiff::Timestamp;
use postern_mail::report::{
    Action, Original, RETURN_WHOLE_MAX, Report, ReportKind, ReportRecipient, reduced,
};
use postern_mail::{BodyKind, Mailbox, Notify, Ret, ReversePath, Status};

const ORIGINAL: &[u8] =
    b"From: a@home.example\r\nTo: b@away.example\r\nSubject: hello\r\n\r\nHello there.\r\n";

fn address(text: &str) -> Mailbox {
    text.parse().expect("an address of the test")
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time of the test")
}

/// The inputs of a report, of which a test changes some.
struct Case {
    kind: ReportKind,
    to: &'static str,
    recipient: &'static str,
    orcpt: Option<&'static str>,
    envid: Option<&'static str>,
    action: Action,
    status: Status,
    remote_mta: Option<&'static str>,
    diagnostic: Option<&'static str>,
    reason: Option<&'static str>,
    will_retry_until: Option<Timestamp>,
    ret: Option<Ret>,
    smtputf8: bool,
    head: Vec<u8>,
    rest: Vec<u8>,
    len: Option<u64>,
}

fn failure() -> Case {
    Case {
        kind: ReportKind::Failure,
        to: "a@home.example",
        recipient: "b@away.example",
        orcpt: None,
        envid: None,
        action: Action::Failed,
        status: Status(5, 1, 1),
        remote_mta: Some("mx.away.example"),
        diagnostic: Some("550 5.1.1 <b@away.example>... User unknown"),
        reason: None,
        will_retry_until: None,
        ret: None,
        smtputf8: false,
        head: ORIGINAL.to_vec(),
        rest: Vec::new(),
        len: None,
    }
}

impl Case {
    fn build(&self) -> (postern_mail::Envelope, String) {
        let from = address("MAILER-DAEMON@relay.example");
        let to = address(self.to);
        let recipient = address(self.recipient);
        let report = Report {
            kind: self.kind,
            reporting_mta: "relay.example",
            from: &from,
            to: &to,
            id: "01HJ3K8Q2M7XB",
            original_id: "01HJ3K8Q2M7XA",
            date: at("2026-11-22T10:00:00Z"),
            arrival: at("2026-11-22T09:30:20Z"),
            envid: self.envid,
            ret: self.ret,
            smtputf8: self.smtputf8,
            recipients: vec![ReportRecipient {
                address: &recipient,
                orcpt: self.orcpt,
                action: self.action,
                status: self.status,
                remote_mta: self.remote_mta,
                diagnostic: self.diagnostic,
                reason: self.reason,
                last_attempt: Some(at("2026-11-22T09:59:58Z")),
                will_retry_until: self.will_retry_until,
            }],
            original: Original {
                head: &self.head,
                rest: &self.rest,
                len: self.len.unwrap_or((self.head.len() + self.rest.len()) as u64),
            },
            return_whole_max: RETURN_WHOLE_MAX,
        };
        let message = report.build();
        let content = String::from_utf8(message.content).expect("the originals of the tests are UTF-8");
        for line in content.split_inclusive("\r\n") {
            let text = line
                .strip_suffix("\r\n")
                .unwrap_or_else(|| panic!("unended line {line:?}"));
            assert!(text.len() <= 998 && !text.contains(['\r', '\n']), "{line:?}");
        }
        (message.envelope, content)
    }

    /// The part with this number, from 0, without its delimiter.
    fn part(&self, number: usize) -> String {
        let (_, content) = self.build();
        let parts: Vec<_> = content.split("--postern-01HJ3K8Q2M7XB-0").collect();
        assert_eq!(parts.len(), 5, "head, three parts, end: {content}");
        assert_eq!(parts[4], "--\r\n");
        parts[number + 1].trim_start_matches("\r\n").to_owned()
    }
}

#[test]
fn a_failure() {
    let (envelope, content) = Case {
        orcpt: Some("rfc822;B+c@away.example"),
        envid: Some("QQ314159"),
        ..failure()
    }
    .build();
    assert_eq!(
        content,
        "Date: Sun, 22 Nov 2026 10:00:00 +0000\r\n\
         From: Mail Delivery System <MAILER-DAEMON@relay.example>\r\n\
         To: <a@home.example>\r\n\
         Subject: Undelivered mail returned to sender\r\n\
         Message-ID: <01HJ3K8Q2M7XB@relay.example>\r\n\
         Auto-Submitted: auto-replied\r\n\
         MIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status;\r\n\
         \x20boundary=\"postern-01HJ3K8Q2M7XB-0\"\r\n\
         \r\n\
         --postern-01HJ3K8Q2M7XB-0\r\n\
         Content-Type: text/plain; charset=us-ascii\r\n\
         \r\n\
         This is the mail system at relay.example.\r\n\
         \r\n\
         Your message could not be delivered to the recipients below.\r\n\
         It will not be tried again for them.\r\n\
         \r\n\
         <b@away.example>: the host mx.away.example refused it:\r\n\
         \x20   550 5.1.1 <b@away.example>... User unknown\r\n\
         \r\n\
         --postern-01HJ3K8Q2M7XB-0\r\n\
         Content-Type: message/delivery-status\r\n\
         \r\n\
         Reporting-MTA: dns; relay.example\r\n\
         Original-Envelope-Id: QQ314159\r\n\
         X-Postern-Queue-ID: 01HJ3K8Q2M7XA\r\n\
         Arrival-Date: Sun, 22 Nov 2026 09:30:20 +0000\r\n\
         \r\n\
         Original-Recipient: rfc822; B+c@away.example\r\n\
         Final-Recipient: rfc822; b@away.example\r\n\
         Action: failed\r\n\
         Status: 5.1.1\r\n\
         Remote-MTA: dns; mx.away.example\r\n\
         Diagnostic-Code: smtp; 550 5.1.1 <b@away.example>... User unknown\r\n\
         Last-Attempt-Date: Sun, 22 Nov 2026 09:59:58 +0000\r\n\
         \r\n\
         --postern-01HJ3K8Q2M7XB-0\r\n\
         Content-Type: message/rfc822\r\n\
         \r\n\
         From: a@home.example\r\n\
         To: b@away.example\r\n\
         Subject: hello\r\n\
         \r\n\
         Hello there.\r\n\
         \r\n\
         --postern-01HJ3K8Q2M7XB-0--\r\n"
    );
    assert_eq!(envelope.sender, ReversePath::Null, "no report on a report");
    assert_eq!(envelope.recipients.len(), 1);
    assert_eq!(envelope.recipients[0].address, address("a@home.example"));
    assert_eq!(envelope.recipients[0].notify, Notify::Never);
    assert_eq!((envelope.body, envelope.smtputf8), (BodyKind::SevenBit, false));
}

#[test]
fn a_delay() {
    let case = Case {
        kind: ReportKind::Delay,
        action: Action::Delayed,
        status: Status(4, 4, 1),
        remote_mta: None,
        diagnostic: None,
        reason: Some("no host could be reached"),
        will_retry_until: Some(at("2026-11-27T09:30:20Z")),
        ret: Some(Ret::Full),
        ..failure()
    };
    assert!(case.part(0).ends_with(
        "<b@away.example>: not delivered yet\r\n\
         \x20   no host could be reached\r\n\
         \x20   Delivery is tried until Fri, 27 Nov 2026 09:30:20 +0000.\r\n\r\n"
    ));
    assert!(case.part(1).ends_with(
        "Final-Recipient: rfc822; b@away.example\r\n\
         Action: delayed\r\n\
         Status: 4.4.1\r\n\
         Diagnostic-Code: X-Postern; no host could be reached\r\n\
         Last-Attempt-Date: Sun, 22 Nov 2026 09:59:58 +0000\r\n\
         Will-Retry-Until: Fri, 27 Nov 2026 09:30:20 +0000\r\n\r\n"
    ));
    assert!(
        case.part(2).starts_with("Content-Type: text/rfc822-headers\r\n"),
        "the body is still under way"
    );
}

#[test]
fn a_success() {
    for (action, word) in [
        (Action::Delivered, "delivered"),
        (Action::Relayed, "relayed"),
        (Action::Expanded, "expanded"),
    ] {
        let case = Case {
            kind: ReportKind::Success,
            action,
            status: Status(2, 0, 0),
            diagnostic: None,
            ..failure()
        };
        assert!(
            case.part(1)
                .contains(&format!("Action: {word}\r\nStatus: 2.0.0\r\n"))
        );
        assert!(case.part(2).starts_with("Content-Type: text/rfc822-headers\r\n"));
    }
}

#[test]
fn how_much_goes_back() {
    let large = RETURN_WHOLE_MAX as u64 + 1;
    type Row = (
        &'static str,
        Option<Ret>,
        &'static [u8],
        &'static [u8],
        Option<u64>,
        bool,
        &'static str,
    );
    #[rustfmt::skip]
    let cases: Vec<Row> = vec![
        // what the case shows       RET                 head              rest         length       whole   words
        ("nothing asked",            None,               ORIGINAL,         b"",         None,        true,   ""),
        ("whole asked",              Some(Ret::Full),    ORIGINAL,         b"more\r\n", None,        true,   ""),
        ("head asked",               Some(Ret::Headers), ORIGINAL,         b"",         None,        false,  ""),
        ("too large",                Some(Ret::Full),    ORIGINAL,         b"",         Some(large), false,  "too large"),
        ("not all at hand",          Some(Ret::Full),    ORIGINAL,         b"",         Some(100),   false,  "too large"),
        ("binary",                   Some(Ret::Full),    ORIGINAL,         b"a\0b",     None,        false,  "binary"),
        ("smuggled line end",        Some(Ret::Full),    ORIGINAL,         b"a\nb\r\n", None,        false,  "binary"),
        ("no line end at the end",   Some(Ret::Full),    ORIGINAL,         b"more",     None,        true,   ""),
        ("no body",                  Some(Ret::Full),    b"Subject: a\r\n", b"",        None,        true,   ""),
        ("head in two pieces",       Some(Ret::Headers), b"Received: x\r\n", ORIGINAL, None,        false,  ""),
        ("head in the second piece", Some(Ret::Headers), b"",              ORIGINAL,    None,        false,  ""),
    ];
    for (shows, ret, head, rest, len, whole, words) in cases {
        let case = Case {
            ret,
            head: head.to_vec(),
            rest: rest.to_vec(),
            len,
            ..failure()
        };
        let kind = if whole {
            "message/rfc822"
        } else {
            "text/rfc822-headers"
        };
        let returned = case.part(2);
        assert!(
            returned.starts_with(&format!("Content-Type: {kind}\r\n\r\n")),
            "{shows}: {returned}"
        );
        assert_eq!(
            returned.contains("Hello there."),
            whole && head == ORIGINAL,
            "{shows}"
        );
        assert!(returned.contains("Subject: "), "{shows}");
        assert!(case.part(0).contains(words), "{shows}");
    }
}

#[test]
fn internationalised_addresses_and_messages() {
    let case = Case {
        to: "jörg@home.example",
        recipient: "käthe+x@away.example",
        orcpt: Some("utf-8;KÄTHE@away.example"),
        smtputf8: true,
        head: "Subject: grüße\r\n\r\nhallo\r\n".as_bytes().to_vec(),
        ..failure()
    };
    let (envelope, content) = case.build();
    assert_eq!((envelope.body, envelope.smtputf8), (BodyKind::EightBitMime, true));
    assert!(content.contains("To: <jörg@home.example>\r\n"));
    assert!(
        content.contains("\r\nContent-Transfer-Encoding: 8bit\r\n\r\n--postern"),
        "the whole is 8bit too"
    );
    let status = case.part(1);
    assert!(
        status.starts_with(
            "Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit\r\n"
        )
    );
    assert!(status.contains("Original-Recipient: utf-8; KÄTHE@away.example\r\n"));
    assert!(
        status.contains("Final-Recipient: utf-8; käthe\\x{2B}x@away.example\r\n"),
        "RFC 6533 section 3: {status}"
    );
    assert!(
        case.part(2)
            .starts_with("Content-Type: message/global\r\nContent-Transfer-Encoding: 8bit\r\n")
    );

    let head_only = Case {
        ret: Some(Ret::Headers),
        ..case
    };
    assert!(
        head_only
            .part(2)
            .starts_with("Content-Type: message/global-headers\r\n")
    );
}

#[test]
fn ascii_recipients_keep_the_status_in_ascii() {
    let case = Case {
        orcpt: Some("utf-8;jörg@away.example"),
        diagnostic: Some("550 5.1.1 unbekannter Empfänger"),
        ..failure()
    };
    let status = case.part(1);
    assert!(
        status.starts_with("Content-Type: message/delivery-status\r\n\r\n"),
        "{status}"
    );
    assert!(status.is_ascii());
    assert!(status.contains("Original-Recipient: utf-8; j\\x{F6}rg@away.example\r\n"));
    assert!(status.contains("Diagnostic-Code: smtp; 550 5.1.1 unbekannter Empf?nger\r\n"));
    assert!(case.part(0).starts_with(
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n"
    ));
    assert!(case.part(0).contains("unbekannter Empf=C3=A4nger\r\n"));
    let (envelope, _) = case.build();
    assert_eq!(
        (envelope.body, envelope.smtputf8),
        (BodyKind::SevenBit, false),
        "any host takes it, whatever the refusing one said"
    );
}

#[test]
fn who_cannot_read_utf8_gets_utf8_addresses_in_ascii() {
    let case = Case {
        recipient: "käthe@away.example",
        smtputf8: true,
        ..failure()
    };
    let (envelope, content) = case.build();
    assert_eq!((envelope.body, envelope.smtputf8), (BodyKind::SevenBit, false));
    assert!(
        content.contains("Content-Type: message/delivery-status\r\n\r\n"),
        "{content}"
    );
    assert!(
        content.contains("Final-Recipient: utf-8; k\\x{E4}the@away.example\r\n"),
        "{content}"
    );
    assert!(content.contains("<k=C3=A4the@away.example>"), "{content}");
}

#[test]
fn a_report_can_be_made_plainer() {
    let case = Case {
        head: "Subject: grüße\r\n\r\nhallo\r\n".as_bytes().to_vec(),
        ..failure()
    };
    let (envelope, content) = case.build();
    assert_eq!(envelope.body, BodyKind::EightBitMime);
    let plainer = reduced(content.as_bytes()).expect("there is a body to leave away");
    let plainer = String::from_utf8(plainer).unwrap();
    assert!(plainer.is_ascii());
    assert!(
        plainer.contains("Subject: gr=C3=BC=C3=9Fe\r\n") && !plainer.contains("hallo"),
        "{plainer}"
    );
    assert!(
        plainer.contains("Final-Recipient: rfc822; b@away.example\r\n"),
        "{plainer}"
    );
    let last = String::from_utf8(reduced(plainer.as_bytes()).expect("and a head")).unwrap();
    assert!(
        !last.contains("Subject: gr") && last.contains("Final-Recipient"),
        "{last}"
    );
    assert_eq!(reduced(last.as_bytes()), None);
}

#[test]
fn what_a_host_says_cannot_break_a_report() {
    let endless = "x".repeat(5_000);
    let wordy = "word ".repeat(2_000);
    #[rustfmt::skip]
    let cases = [
        // what the case shows      reply                                           in the status
        ("line break",              "550 no\r\n\r\nAction: delivered",              "Diagnostic-Code: smtp; 550 no    Action: delivered\r\n"),
        ("control characters",      "550 \u{7}no\0",                                "Diagnostic-Code: smtp; 550 ?no?\r\n"),
        ("a delimiter",             "--postern-01HJ3K8Q2M7XB-1--",                  "Diagnostic-Code: smtp; --postern-01HJ3K8Q2M7XB-1--\r\n"),
        ("a word without end",      endless.leak(),                                 "Diagnostic-Code: smtp;\r\n xxx"),
        ("words without end",       wordy.leak(),                                   "word\r\n word"),
    ];
    for (shows, reply, expected) in cases {
        let case = Case {
            diagnostic: Some(reply),
            ..failure()
        };
        let status = case.part(1);
        assert!(status.contains(expected), "{shows}: {status}");
        assert_eq!(status.matches("\r\nAction: ").count(), 1, "{shows}");
        assert!(status.len() < 3_500, "{shows}");
    }
}

#[test]
fn the_original_cannot_hold_the_boundary() {
    for cut in [0, 20, ORIGINAL.len(), ORIGINAL.len() + 12] {
        let mut whole = ORIGINAL.to_vec();
        whole.extend_from_slice(b"--postern-01HJ3K8Q2M7XB-0--\r\nforged\r\n");
        let rest = whole.split_off(cut);
        let (_, content) = Case {
            head: whole,
            rest,
            ..failure()
        }
        .build();
        assert!(
            content.contains("boundary=\"postern-01HJ3K8Q2M7XB-1\"\r\n"),
            "cut at {cut}"
        );
        assert!(
            content.ends_with("forged\r\n\r\n--postern-01HJ3K8Q2M7XB-1--\r\n"),
            "cut at {cut}"
        );
    }
}
