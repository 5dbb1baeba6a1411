//! Every answer and every change, by filters on libmilter.

use std::time::Duration;

use postern_filter::{Filter, Service};
use postern_milter::chain::{Chain, Outcome};
use postern_milter::edit::{self, Field};
use postern_milter::{Actions, Change, DataSize, Event, Steps, Verdict, Version};
use postern_testkit::milter::PythonMilter;

use crate::support::{Came, HEADER, deliver, greet, message, service};

fn settings(filter: &PythonMilter) -> Filter {
    Filter::new("python", filter.address().parse().expect("an address"))
}

const MACROS: [(&str, &str); 8] = [
    ("j", "mx.example"),
    ("i", "q1"),
    ("{daemon_name}", "inbound"),
    ("{tls_version}", "TLSv1.3"),
    ("{auth_authen}", "acaird"),
    ("{mail_addr}", "a@example.org"),
    ("{rcpt_addr}", "b@example.org"),
    ("{msg_id}", "<1@example.org>"),
];

#[tokio::test]
async fn everything_is_told() {
    let filter = PythonMilter::start(
        "class Filter(Recorder):\n    WATCHED = ['j', 'i', '{tls_version}', '{auth_authen}', '{rcpt_addr}', '{msg_id}']",
    );
    let (service, _) = service(settings(&filter));
    let mut session = service.session();
    greet(&mut session, "mx.example", "client.example", &MACROS).await;
    let (end, _) = message(&mut session, &[b'x'; 70_000], &MACROS).await.end();
    assert_eq!((end.verdict, end.changes), (Verdict::Continue, vec![]));
    session.quit().await;
    filter.wait_for("'close'", 1);
    // The values in the order in which the filter looks for them.
    let known = " j='mx.example'";
    let tls = " {tls_version}='TLSv1.3'";
    let in_message = format!("{known} i='q1'{tls} {{auth_authen}}='acaird'");
    let after_rcpt = format!("{in_message} {{rcpt_addr}}='b@example.org'");
    let id = " {msg_id}='<1@example.org>'";
    #[rustfmt::skip]
    let expected = [
        format!("'connect' 'mx.example' ('192.0.2.7', 4711){known}"),
        format!("'helo' 'client.example'{known}{tls}"),
        format!("'unknown' 'XYZZY a b'{known}{tls}"),
        format!("'mail' '<a@example.org>' 'SIZE=100' 'BODY=8BITMIME'{in_message}"),
        format!("'rcpt' '<b@example.org>' 'NOTIFY=NEVER'{after_rcpt}"),
        format!("'data'{after_rcpt}"),
        format!("'header' 'From' b'a@example.org'{after_rcpt}"),
        format!("'header' 'Subject' b' two blanks\\n\\tfolded'{after_rcpt}"),
        format!("'header' 'X-Gone' b'\\ttab'{after_rcpt}"),
        format!("'header' 'Message-ID' b'<1@example.org>'{after_rcpt}"),
        format!("'eoh'{after_rcpt}"),
        format!("'body' 65535{after_rcpt}"),
        format!("'body' 4465{after_rcpt}"),
        format!("'eom'{after_rcpt}{id}"),
        "'close'".to_owned(),
    ];
    assert_eq!(filter.notes(), expected);
}

#[tokio::test]
async fn what_is_asked_for_when_the_connection_opens() {
    let filter = PythonMilter::start(
        r"
class Filter(Recorder):
    WATCHED = ['{client_addr}', 'j', '{rcpt_addr}']
    SYMBOLS = {Milter.M_ENVRCPT: '{client_addr}'}
    @Milter.noreply
    def hello(self, name):
        self.note('helo', name)
        return Milter.CONTINUE
    def envrcpt(self, recipient, *parameters):
        self.note('rcpt', recipient)
        return Milter.CONTINUE
    @Milter.nocallback
    def envfrom(self, sender, *parameters):
        return Milter.CONTINUE
    @Milter.noreply
    @Milter.decode('bytes')
    def header(self, name, value):
        self.note('header', name, value)
        return Milter.CONTINUE
Milter.enable_protocols(Filter, Milter.P_HDR_LEADSPC | Milter.P_RCPT_REJ)
FLAGS = Milter.ADDHDRS | Milter.SETSYMLIST
",
    );
    let (service, _) = service(settings(&filter));
    let agreement = service.negotiate().await.unwrap();
    assert_eq!(agreement.version, Version::NEWEST);
    let steps = Steps::LEADING_BLANKS
        | Steps::REJECTED_RECIPIENTS
        | Steps::QUIET_HELO
        | Steps::QUIET_HEADER
        | Steps::NO_MAIL
        | Steps::SKIP;
    assert_eq!(agreement.steps.to_string(), steps.to_string());
    let mut session = service.session();
    let known = [
        ("{client_addr}", "192.0.2.7"),
        ("j", "mx.example"),
        ("{rcpt_addr}", "b@example.org"),
    ];
    greet(&mut session, "mx.example", "client.example", &known).await;
    message(&mut session, b"", &known).await.end();
    session.quit().await;
    filter.wait_for("'eom'", 1);
    let notes = filter.notes();
    assert!(!notes.iter().any(|line| line.starts_with("'mail'")), "{notes:#?}");
    let expected = [
        "'rcpt' '<b@example.org>' {client_addr}='192.0.2.7' j='mx.example'",
        "'rcpt' '<nobody@example.org>' {client_addr}='192.0.2.7' j='mx.example'",
    ];
    let rcpt: Vec<_> = notes.iter().filter(|line| line.starts_with("'rcpt'")).collect();
    assert_eq!(
        rcpt, expected,
        "the refused one, too, and what was asked for instead of the usual"
    );
    let header: Vec<_> = notes.iter().filter(|line| line.contains("'Subject'")).collect();
    assert!(
        header[0].starts_with("'header' 'Subject' b'  two blanks\\n\\tfolded'"),
        "{header:?}"
    );
}

#[tokio::test]
async fn every_change() {
    let filter = PythonMilter::start(
        r"
class Filter(Recorder):
    def eom(self):
        self.progress()
        self.addheader('X-Added', 'one\n two')
        self.addheader('X-Top', 'top', 0)
        self.addheader('X-Below', 'below', 1)
        self.chgheader('subject', 1, 'new')
        self.chgheader('X-Gone', 1, '')
        self.chgheader('X-Other', 3, 'other')
        self.addrcpt('<c@example.org>')
        self.addrcpt('<d@example.org>', 'NOTIFY=NEVER')
        self.delrcpt('<b@example.org>')
        self.replacebody(b'a\r\n' * 30000)
        self.replacebody(b'last')
        self.chgfrom('<n@example.org>', 'SIZE=1')
        self.quarantine('looks odd')
        return Milter.ACCEPT
",
    );
    let (service, _) = service(settings(&filter));
    let (end, body) = deliver(&service, b"body\r\n").await.end();
    assert_eq!(end.verdict, Verdict::Accept);
    assert!(end.body_replaced);
    assert_eq!(body.len(), 90_000 + 6);
    assert!(body.ends_with(b"a\r\nlast\r\n"));

    let header = [("Received", " by us")].into_iter().chain(HEADER);
    let header: Vec<_> = header
        .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
        .collect();
    let fields: Vec<_> = edit::fields(header.iter().copied(), 1, &end.changes)
        .into_iter()
        .map(|field| {
            let (name, value) = match field {
                Field::Kept(place) => header[place],
                Field::New { name, value } => (name, value),
            };
            format!(
                "{}:{}",
                String::from_utf8_lossy(name),
                String::from_utf8_lossy(value)
            )
        })
        .collect();
    #[rustfmt::skip]
    assert_eq!(fields, [
        "X-Top: top",
        "X-Below: below",
        "Received: by us",
        "From: a@example.org",
        "Subject: new",
        "Message-ID: <1@example.org>",
        "X-Added: one\r\n two",
        "X-Other: other",
    ]);
    let others: Vec<_> = end.changes.into_iter().skip(6).collect();
    let added = |recipient: &str, parameters: &str| Change::AddRecipient {
        recipient: recipient.into(),
        parameters: parameters.into(),
    };
    #[rustfmt::skip]
    assert_eq!(others, [
        added("<c@example.org>", ""),
        added("<d@example.org>", "NOTIFY=NEVER"),
        Change::RemoveRecipient("<b@example.org>".into()),
        Change::ChangeSender { sender: "<n@example.org>".into(), parameters: "SIZE=1".into() },
        Change::Quarantine("looks odd".into()),
    ]);
}

/// The client's name tells the filter what to answer at which step.
const ANSWERS: &str = r"
class Filter(Recorder):
    def answer(self, stage):
        self.note(stage)
        if stage != self.stage:
            return Milter.CONTINUE
        if self.what == 'reply':
            self.setreply('550', '5.7.1', 'first line', 'second line')
            return Milter.REJECT
        if self.what == 'later':
            self.setreply('451', '4.7.1', 'not now')
            return Milter.TEMPFAIL
        return getattr(Milter, self.what)
    def connect(self, host, family, address):
        self.stage, self.what = host.split('.')
        return self.answer('connect')
    def hello(self, name): return self.answer('helo')
    def envfrom(self, sender, *parameters): return self.answer('mail')
    def envrcpt(self, recipient, *parameters): return self.answer('rcpt')
    def data(self): return self.answer('data')
    def unknown(self, line): return self.answer('unknown')
    def header(self, name, value): return self.answer('header')
    def eoh(self): return self.answer('eoh')
    def body(self, piece): return self.answer('body')
    def eom(self): return self.answer('eom')
";

async fn answered(service: &std::sync::Arc<Service>, stage: &str, what: &str) -> Came {
    let mut session = service.session();
    let greeted = greet(&mut session, &format!("{stage}.{what}"), "client.example", &()).await;
    if !matches!(greeted, Came::Verdict(Event::Unknown, Verdict::Continue)) {
        return greeted;
    }
    let came = message(&mut session, b"body\r\n", &()).await;
    session.quit().await;
    came
}

#[tokio::test]
async fn every_answer_at_every_stage() {
    let filter = PythonMilter::start(ANSWERS);
    let (service, _) = service(settings(&filter));
    let stages = [
        ("connect", Event::Connect),
        ("helo", Event::Helo),
        ("unknown", Event::Unknown),
        ("mail", Event::Mail),
        ("rcpt", Event::Rcpt),
        ("data", Event::Data),
        ("header", Event::Header),
        ("eoh", Event::EndOfHeader),
        ("body", Event::Body),
        ("eom", Event::End),
    ];
    for (name, event) in stages {
        for what in ["REJECT", "TEMPFAIL", "ACCEPT", "DISCARD", "reply", "later"] {
            if what == "DISCARD" && !event.in_message() {
                continue;
            }
            let shows = format!("{what} at {event}");
            let (at, verdict) = answered(&service, name, what).await.verdict();
            // The single piece of a small body is sent when the end shows that no more comes.
            let told_at = if event == Event::Body { Event::End } else { event };
            assert_eq!(at, told_at, "{shows}");
            match (what, verdict) {
                ("reply", Verdict::Reply(reply)) => {
                    assert_eq!(
                        (reply.code(), reply.enhanced()),
                        (550, Some((5, 7, 1))),
                        "{shows}"
                    );
                    assert_eq!(reply.lines(), ["first line", "second line"], "{shows}");
                }
                ("later", Verdict::Reply(reply)) => {
                    assert_eq!(
                        (reply.code(), reply.enhanced()),
                        (451, Some((4, 7, 1))),
                        "{shows}"
                    );
                }
                ("REJECT", Verdict::Reject)
                | ("TEMPFAIL", Verdict::Tempfail)
                | ("ACCEPT", Verdict::Accept)
                | ("DISCARD", Verdict::Discard) => {}
                (_, verdict) => panic!("{shows}: {verdict:?}"),
            }
        }
    }
    // Skip ends the header for the filter, or the body, and nothing else.
    for (name, told) in [("header", 1), ("body", 1)] {
        let before = filter.notes().len();
        let (event, verdict) = answered(&service, name, "SKIP").await.verdict();
        assert_eq!(
            (event, verdict),
            (Event::End, Verdict::Continue),
            "skip at {name}"
        );
        let notes = &filter.notes()[before..];
        let count = notes.iter().filter(|line| *line == &format!("'{name}'")).count();
        assert_eq!(count, told, "{notes:?}");
    }
}

/// An unknown command inside a message does not make libmilter ignore the header, even with a filter that wants no `DATA`.
#[tokio::test]
async fn unknown_commands_inside_of_a_message() {
    for data in [
        "",
        "    @Milter.nocallback\n    def data(self): return Milter.CONTINUE\n",
    ] {
        let filter = PythonMilter::start(&format!("class Filter(Recorder):\n    pass\n{data}"));
        let (service, _) = service(settings(&filter));
        let mut session = service.session();
        session
            .connect("mx.example", crate::support::PEER, &())
            .await
            .unwrap();
        session.helo("client.example", &()).await.unwrap();
        session.mail("<>", &[], &()).await.unwrap();
        session.unknown(b"XYZZY").await.unwrap();
        session.rcpt("<a@example.org>", &[], true, &()).await.unwrap();
        session.unknown(b"XYZZY").await.unwrap();
        session.data(&()).await.unwrap();
        session.header(b"From", b" x").await.unwrap();
        session.eoh(&()).await.unwrap();
        let end = session.end(&(), &mut Vec::new()).await.unwrap();
        assert_eq!(end.verdict, Verdict::Continue);
        session.quit().await;
        filter.wait_for("'header'", 1);
        filter.wait_for("'eom'", 1);
        assert!(
            !filter.notes().iter().any(|line| line.starts_with("'abort'")),
            "{:#?}",
            filter.notes()
        );
    }
}

#[tokio::test]
async fn several_messages_and_aborts() {
    let filter = PythonMilter::start("class Filter(Recorder): pass");
    let (service, _) = service(settings(&filter));
    let mut session = service.session();
    greet(&mut session, "mx.example", "client.example", &()).await;
    message(&mut session, b"", &()).await.end();
    session.mail("<>", &[], &()).await.unwrap();
    session.abort().await;
    // STARTTLS: another EHLO.
    session.helo("client.example", &()).await.unwrap();
    message(&mut session, b"", &()).await.end();
    session.mail("<>", &[], &()).await.unwrap();
    session.quit().await;
    filter.wait_for("'close'", 1);
    let count = |what: &str| {
        filter
            .notes()
            .iter()
            .filter(|line| line.starts_with(what))
            .count()
    };
    assert_eq!(
        (count("'mail'"), count("'abort'"), count("'eom'"), count("'helo'")),
        (4, 2, 2, 2)
    );
}

#[tokio::test]
async fn over_tcp() {
    let filter = PythonMilter::start_tcp(
        "class Filter(Recorder):\n    def eom(self):\n        self.addheader('X', 'y')\n        return Milter.CONTINUE",
        postern_testkit::process::free_port(),
    );
    let mut settings = settings(&filter);
    settings.data_size = DataSize::Huge;
    let (service, _) = service(settings);
    let (end, _) = deliver(&service, &[b'x'; 300_000]).await.end();
    assert_eq!(end.changes.len(), 1);
}

/// Progress notes are not an answer, however many come.
#[tokio::test]
async fn progress() {
    let filter = PythonMilter::start(
        r"
class Filter(Recorder):
    def envfrom(self, *_):
        self.progress()
        return Milter.CONTINUE
    def eom(self):
        for _ in range(500):
            self.progress()
        return Milter.REJECT
",
    );
    let (service, _) = service(settings(&filter));
    assert_eq!(
        deliver(&service, b"").await.verdict(),
        (Event::End, Verdict::Reject)
    );
}

/// A filter that dies, hangs and comes back, as a real process.
#[tokio::test]
async fn down_and_up_again() {
    let mut filter = PythonMilter::start(
        r"
class Filter(Recorder):
    def header(self, name, value):
        if value == 'die':
            os._exit(1)
        return Milter.CONTINUE
",
    );
    let mut settings = settings(&filter);
    settings.timeouts.command = Duration::from_secs(5);
    let (service, notices) = service(settings);
    let mut session = service.session();
    greet(&mut session, "mx.example", "client.example", &()).await;
    session.mail("<>", &[], &()).await.unwrap();
    session.rcpt("<a@example.org>", &[], true, &()).await.unwrap();
    session.data(&()).await.unwrap();
    session.header(b"X", b" die").await.unwrap_err();
    session.abort().await;
    message(&mut session, b"", &()).await.failure();
    filter.restart();
    // At some time the pause is over, and the first message after it finds that the filter is back.
    let (end, _) = loop {
        match message(&mut session, b"", &()).await {
            Came::Failed(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            came => break came.end(),
        }
    };
    assert_eq!(end.verdict, Verdict::Continue);
    let told = notices.lock().unwrap().clone();
    assert_eq!(told.len(), 2, "{told:?}");
    filter.freeze();
    message(&mut session, b"", &()).await.failure();
    filter.resume();
    loop {
        match message(&mut session, b"", &()).await {
            Came::Failed(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            came => {
                came.end();
                break;
            }
        }
    }
    assert!(!service.is_down());
}

/// Two filters: what the first changes, the second sees.
#[tokio::test]
async fn one_behind_the_other() {
    let first = PythonMilter::start(
        r"
class Filter(Recorder):
    def eom(self):
        self.addheader('X-First', 'was here')
        self.replacebody(b'replaced\r\n')
        return Milter.ACCEPT
FLAGS = Milter.ADDHDRS | Milter.CHGBODY
",
    );
    let second = PythonMilter::start(
        r"
class Filter(Recorder):
    seen = ''
    def header(self, name, value):
        if name == 'X-First':
            self.seen += value
        return Milter.CONTINUE
    def body(self, piece):
        self.seen += ', ' + piece.decode().strip()
        return Milter.CONTINUE
    def eom(self):
        self.quarantine(self.seen)
        return Milter.CONTINUE
FLAGS = Milter.QUARANTINE
",
    );
    let (one, _) = service(settings(&first));
    let (two, _) = service(settings(&second));
    let mut sessions = [one.session(), two.session()];
    let mut chain = Chain::new(2);
    for session in &mut sessions {
        greet(session, "mx.example", "client.example", &()).await;
    }
    let agreements: Vec<_> = sessions
        .iter()
        .map(|session| session.agreement().cloned())
        .collect();
    let agreements: Vec<_> = agreements.iter().map(Option::as_ref).collect();
    assert_eq!(
        postern_milter::chain::runs(&agreements),
        [0..1, 1..2],
        "the second has to wait"
    );
    assert_eq!(agreements[1].unwrap().actions, Actions::QUARANTINE);

    let mut header: Vec<(String, Vec<u8>)> = vec![("From".into(), b" x".to_vec())];
    let mut body = b"as it came\r\n".to_vec();
    let mut held = Vec::new();
    for (place, session) in sessions.iter_mut().enumerate() {
        session.mail("<>", &[], &()).await.unwrap();
        session.rcpt("<a@example.org>", &[], true, &()).await.unwrap();
        session.data(&()).await.unwrap();
        for (name, value) in &header {
            session.header(name.as_bytes(), value).await.unwrap();
        }
        session.eoh(&()).await.unwrap();
        session.body(&body).await.unwrap();
        let mut new_body = Vec::new();
        let end = session.end(&(), &mut new_body).await.unwrap();
        assert_eq!(chain.answered(place, Event::End, end.verdict), None);
        let edited = edit::fields(
            header
                .iter()
                .map(|(name, value)| (name.as_bytes(), value.as_slice())),
            0,
            &end.changes,
        );
        let edited = edited
            .into_iter()
            .map(|field| match field {
                Field::Kept(place) => header[place].clone(),
                Field::New { name, value } => (String::from_utf8_lossy(name).into_owned(), value.to_vec()),
            })
            .collect();
        header = edited;
        if end.body_replaced {
            body = new_body;
        }
        held.extend(
            end.changes
                .into_iter()
                .filter(|change| matches!(change, Change::Quarantine(_))),
        );
    }
    assert_eq!(chain.outcome(), Some(Outcome::Take));
    assert_eq!(held, [Change::Quarantine("was here, replaced".into())]);
}
