//! Addresses rewritten, headers checked, copies made: a real Postfix and Postern with the same tables and the same messages, and
//! the results of both.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use postern_testkit::postfix::Postfix;
use postern_testkit::process::wait_until;
use postern_testkit::sink::{Sink, Taken};
use postern_testkit::smtp::Client;

use crate::harness::Site;

const CANONICAL: &str = "vera@havelock.example v.stone@havelock.example\n@printers.lan scanner@havelock.example\nold@a.example new@a.example\n\
                         new@a.example newest@a.example\n@b.example @c.example\n";
const RECIPIENTS: &str = "team@outside.example crew@outside.example\n";
const GENERIC: &str =
    "root@relay1.havelock.example it@havelock.example\n@mon.lan monitoring@havelock.example\n";
const HEADER_CHECKS: &str = "/^Subject:.*\\[TEST MAIL\\]/ DISCARD test mail\n/^X-Priority: 1/ IGNORE\n/^Subject: Undelivered.*Re: Invoice/ REJECT \
                             loop of the ticket system\n/^(To|Cc):.*all-staff@outside\\.example/ REDIRECT moderator@outside.example\n\
                             /^List-Id: *<(.*)>/ PREPEND X-Bulk: $1\n/^X-Old: (.*)$/ REPLACE X-New: was $1\n/^X-Hold:/ HOLD odd\n/^X-Warn:/ WARN \
                             look\n/^X-Copy:/ BCC archive@outside.example\n/^Content-Disposition:.*\\.exe/ REJECT 5.7.9 a program\n";
const BODY_CHECKS: &str = "/^Dear lottery winner/ REJECT\n/^secret line/ IGNORE\n/^old line/ REPLACE new line\n/^late line/ PREPEND early line\n";
const OUT_CHECKS: &str = "/^User-Agent:/ REPLACE X-Client: hidden\n/^X-Inside:/ IGNORE\n";

struct Both {
    site: Site,
    ours: Sink,
    postfix: Postfix,
    theirs: Sink,
    _tables: tempfile::TempDir,
}

fn write_tables(folder: &Path) {
    for (name, text) in [
        ("canonical", CANONICAL),
        ("recipients", RECIPIENTS),
        ("generic", GENERIC),
        ("header_checks", HEADER_CHECKS),
        ("body_checks", BODY_CHECKS),
        ("out_checks", OUT_CHECKS),
    ] {
        fs::write(folder.join(name), text).unwrap();
    }
}

fn both() -> Both {
    let (ours, theirs) = (Sink::start(), Sink::start());
    let tables = tempfile::tempdir_in("/tmp").unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(tables.path(), open).unwrap();
    write_tables(tables.path());
    let at = tables.path().display();
    let postfix = Postfix::start(
        &[],
        &format!(
            "mynetworks = 127.0.0.0/8\nrecipient_delimiter = +\nrelayhost = [127.0.0.1]:{}\nmyorigin = havelock.example\nsmtp_tls_security_level = none\n\
             sender_canonical_maps = texthash:{at}/canonical\nrecipient_canonical_maps = texthash:{at}/recipients\n\
             masquerade_domains = !lab.havelock.example havelock.example\nmasquerade_exceptions = root\n\
             smtp_generic_maps = texthash:{at}/generic\nheader_checks = regexp:{at}/header_checks\n\
             body_checks = regexp:{at}/body_checks\nsmtp_header_checks = regexp:{at}/out_checks\n\
             sender_bcc_maps = inline:{{boss@havelock.example=secretary@outside.example}}\n\
             recipient_bcc_maps = inline:{{press@outside.example=lawyer@outside.example}}\n",
            theirs.port()
        ),
    );
    let mut site = Site::relay_with(
        ours.port(),
        "origin = \"havelock.example\"",
        "[relay]\nnetworks = [\"127.0.0.0/8\"]\n\
         [[rewrite]]\nname = \"append\"\nclasses = [\"header_sender\", \"header_recipient\"]\nappend_origin = \"havelock.example\"\n\
         [[rewrite]]\nname = \"senders\"\nclasses = [\"envelope_sender\", \"header_sender\"]\ntable = \"hash:canonical\"\n\
         [[rewrite]]\nname = \"recipients\"\nclasses = [\"envelope_recipient\", \"header_recipient\"]\ntable = \"hash:recipients\"\n\
         [[rewrite]]\nname = \"masquerade\"\nclasses = [\"envelope_sender\", \"header_sender\", \"header_recipient\"]\n\
         masquerade_domains = [\"!lab.havelock.example\", \"havelock.example\"]\nexceptions = [\"root@\"]\n\
         [[rewrite]]\nname = \"generic\"\nat = \"out\"\n\
         classes = [\"envelope_sender\", \"envelope_recipient\", \"header_sender\", \"header_recipient\"]\ntable = \"hash:generic\"\n\
         [[header_check]]\nname = \"office\"\nparts = [\"header\", \"mime\", \"nested\"]\ntable = \"regexp:header_checks\"\n\
         [[header_check]]\nname = \"text\"\nparts = [\"body\"]\ntable = \"regexp:body_checks\"\n\
         [[header_check]]\nname = \"out\"\nat = \"out\"\ntable = \"regexp:out_checks\"\n\
         [[copy]]\nname = \"boss\"\ntable = \"inline:{boss@havelock.example=secretary@outside.example}\"\nlook_up = \"sender\"\n\
         [[copy]]\nname = \"press\"\nrecipients = [\"press@outside.example\"]\nto = [\"lawyer@outside.example\"]\n",
    );
    write_tables(&site.path(""));
    let config = fs::read_to_string(site.path("postern.toml")).unwrap();
    let bare = config.replacen(
        "role = \"mx\"\n",
        "role = \"mx\"\nbare_addresses = \"complete\"\n",
        1,
    );
    fs::write(site.path("postern.toml"), bare).unwrap();
    site.start();
    Both {
        site,
        ours,
        postfix,
        theirs,
        _tables: tables,
    }
}

/// A message: its envelope, additional header fields, and body.
struct Probe {
    id: &'static str,
    from: &'static str,
    to: &'static [&'static str],
    header: &'static str,
    body: &'static str,
}

const JOE: &[&str] = &["joe@outside.example"];
const TEXT: &str = "Hello.\r\n";

/// A message to Joe with a short text.
const fn probe(id: &'static str, from: &'static str, header: &'static str) -> Probe {
    Probe {
        id,
        from,
        to: JOE,
        header,
        body: TEXT,
    }
}

impl Probe {
    const fn to(self, to: &'static [&'static str]) -> Self {
        Self { to, ..self }
    }

    const fn with(self, body: &'static str) -> Self {
        Self { body, ..self }
    }
}

#[rustfmt::skip]
const PROBES: &[Probe] = &[
    // id             sender                              header
    probe("plain",      "ann@outside.example",              "From: Ann <ann@outside.example>\r\nTo: Joe <joe@outside.example>\r\n"),
    probe("canonical",  "vera@havelock.example",            "From: \"Stone, V.\" <vera@havelock.example>\r\nReply-To: vera+list@havelock.example (me (here))\r\nTo: vera@havelock.example\r\n"),
    probe("detail",     "vera+x@havelock.example",          "From: vera+x@havelock.example\r\n"),
    probe("again",      "old@a.example",                    "From: old@a.example\r\n"),
    probe("domain",     "copier3@printers.lan",             "From: Copier <copier3@printers.lan>\r\n"),
    probe("moved",      "u@b.example",                      "From: u@b.example\r\nSender: =?utf-8?q?J=C3=BC?= <w@b.example>\r\n"),
    probe("recipient",  "ann@outside.example",              "From: ann@outside.example\r\nTo: Team <team@outside.example>, joe@outside.example\r\nCc: Us: team@outside.example, x@y.example;\r\n").to(&["team@outside.example", "joe@outside.example"]),
    probe("masquerade", "vera@pc12.havelock.example",       "From: x@pc12.havelock.example\r\nTo: y@a.b.havelock.example, z@bench.lab.havelock.example\r\n"),
    probe("exposed",    "root@pc12.havelock.example",       "From: root@pc12.havelock.example\r\n"),
    probe("lab",        "anna@bench.lab.havelock.example",  "From: anna@bench.lab.havelock.example\r\n"),
    probe("bare",       "cron",                             "From: cron (Cron Daemon)\r\nTo: root\r\n"),
    probe("null",       "",                                 "From: MAILER-DAEMON@pc12.havelock.example\r\n"),
    probe("generic",    "nagios@mon.lan",                   "From: Nagios <nagios@mon.lan>\r\n"),
    probe("removed",    "ann@outside.example",              "From: a@outside.example\r\nX-Priority: 1\r\nX-Inside: yes\r\nUser-Agent: Foo/1\r\n"),
    probe("replaced",   "ann@outside.example",              "From: a@outside.example\r\nX-Old: this\r\nList-Id: <ads.example>\r\nX-Warn: 1\r\n"),
    probe("redirected", "ann@outside.example",              "From: a@outside.example\r\nTo: all-staff@outside.example\r\n").to(&["joe@outside.example", "jim@outside.example"]),
    probe("bcc",        "ann@outside.example",              "From: a@outside.example\r\nX-Copy: 1\r\n"),
    probe("rejected",   "ann@outside.example",              "From: a@outside.example\r\nSubject: Undelivered: Re: Invoice 4\r\n"),
    probe("discarded",  "ann@outside.example",              "From: a@outside.example\r\nSubject: my\r\n [TEST MAIL]\r\n"),
    probe("held",       "ann@outside.example",              "From: a@outside.example\r\nX-Hold: 1\r\n"),
    probe("attached",   "ann@outside.example",              "From: a@outside.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n").with("--b\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename=a.exe\r\n\r\nMZ\r\n--b--\r\n"),
    probe("nested",     "ann@outside.example",              "From: a@outside.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n").with("--b\r\nContent-Type: message/rfc822\r\n\r\nX-Priority: 1\r\nX-Old: that\r\nSubject: in\r\n\r\nold line\r\n--b--\r\n"),
    probe("body",       "ann@outside.example",              "From: a@outside.example\r\n").with("one\r\nsecret line\r\nold line\r\nlate line\r\nlast"),
    probe("lottery",    "ann@outside.example",              "From: a@outside.example\r\n").with("Dear lottery winner, you\r\n"),
    probe("boss",       "boss@havelock.example",            "From: boss@havelock.example\r\n").to(&["joe@outside.example", "secretary@outside.example"]),
    probe("boss-copy",  "boss@havelock.example",            "From: boss@havelock.example\r\n"),
    probe("press",      "ann@outside.example",              "From: a@outside.example\r\n").to(&["press@outside.example"]),
];

fn message(probe: &Probe) -> String {
    format!(
        "{}Date: Mon, 30 Nov 2026 12:00:00 +0000\r\nMessage-ID: <{}@probe.example>\r\n\r\n{}",
        probe.header, probe.id, probe.body
    )
}

/// Code and enhanced status of a reply.
fn status(reply: &str) -> String {
    reply.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

/// Sends them all; the replies.
fn send(port: u16) -> Vec<String> {
    let (mut client, _) = Client::connect(port).unwrap();
    client.say("EHLO client.example").unwrap();
    let replies = PROBES
        .iter()
        .map(|probe| client.mail(probe.from, probe.to, &message(probe)).unwrap());
    replies.collect()
}

/// The fields without trace, each on one line with single blanks, and the body.
fn comparable(content: &str) -> String {
    let (header, body) = content.split_once("\r\n\r\n").unwrap_or((content, ""));
    let unfolded = header.replace("\r\n\t", " ").replace("\r\n ", " ");
    let mut text = String::new();
    for line in unfolded
        .split("\r\n")
        .filter(|line| !line.starts_with("Received:"))
    {
        let words: Vec<&str> = line.split_whitespace().collect();
        let _ = writeln!(text, "{}", words.join(" "));
    }
    format!("{text}\n{}", body.trim_end())
}

/// All deliveries of a message: sender, recipient, content.
fn deliveries(sink: &Sink, id: &str) -> Vec<(String, String, String)> {
    let marker = format!("Message-ID: <{id}@probe.example>");
    let came = sink.taken().into_iter();
    let came: Vec<Taken> = came.filter(|taken| taken.content.contains(&marker)).collect();
    let address = |argument: &str| argument.split_whitespace().next().unwrap_or_default().to_owned();
    let mut all = Vec::new();
    for taken in &came {
        for to in &taken.rcpt {
            all.push((address(&taken.mail), address(to), comparable(&taken.content)));
        }
    }
    all.sort();
    // Postfix delivers twice to a recipient who also gets a copy.
    all.dedup();
    all
}

#[test]
fn postfix_and_postern_make_the_same_of_it() {
    let mut both = both();
    let (ours, theirs) = (send(both.site.mx), send(both.postfix.port()));
    let mut told = String::new();
    for (probe, (ours, theirs)) in PROBES.iter().zip(ours.iter().zip(&theirs)) {
        let (ours, theirs) = (status(ours), status(theirs));
        // Postfix says 5.7.1 for a refusal, and 2.0.0 for everything else.
        if ours != theirs {
            let _ = writeln!(told, "{}: {ours} here, {theirs} there", probe.id);
        }
    }
    let taken = PROBES
        .iter()
        .zip(&theirs)
        .filter(|(_, reply)| reply.starts_with("250"));
    for (probe, _) in taken {
        if matches!(probe.id, "discarded" | "held") {
            continue;
        }
        wait_until(&format!("{} in both places", probe.id), || {
            let (ours, theirs) = (
                deliveries(&both.ours, probe.id),
                deliveries(&both.theirs, probe.id),
            );
            ours.len() >= theirs.len() && !theirs.is_empty()
        });
    }
    wait_until("Postern's queue to hold what is held alone", || {
        both.site
            .ok(&["queue", "list", "--json"])
            .matches("\"queue\"")
            .count()
            == 1
    });
    for probe in PROBES {
        let (ours, theirs) = (
            deliveries(&both.ours, probe.id),
            deliveries(&both.theirs, probe.id),
        );
        if ours != theirs {
            let _ = writeln!(told, "{}:\n  here  {ours:#?}\n  there {theirs:#?}", probe.id);
        }
    }
    assert!(told.is_empty(), "{told}");
    assert!(deliveries(&both.ours, "discarded").is_empty() && deliveries(&both.ours, "held").is_empty());
    both.site.wait_for_log(&[
        "rule=rewrite.changed",
        "vera@havelock.example becomes v.stone@havelock.example",
    ]);
    both.site
        .wait_for_log(&["rule=check.edited", "remove X-Priority"]);
    both.site.wait_for_log(&["rule=check.discarded", "test mail"]);
    both.site
        .wait_for_log(&["rule=check.redirected", "moderator@outside.example"]);
    both.site
        .wait_for_log(&["rule=copy.added", "lawyer@outside.example"]);
    let _ = both.site.server();
}

/// Asserts that a message arrived with this sender and these authors.
fn assert_came(sink: &Sink, id: &str, sender: &str, author: &str) {
    let came = sink.wait_for(&format!("<{id}@probe.example>"));
    assert!(came.mail.starts_with(sender), "{id}: {}", came.mail);
    let field = format!("From: {author}\r\n");
    assert!(came.content.contains(&field), "{id}: {}", came.content);
}

const OUT_RULES: &str = "[relay]\nnetworks = [\"127.0.0.0/8\"]\n\
    [[rewrite]]\nname = \"outside\"\nat = \"out\"\n\
    classes = [\"envelope_sender\", \"envelope_recipient\", \"header_sender\", \"header_recipient\"]\ntable = \"hash:generic\"\n\
    [[header_check]]\nname = \"out\"\nat = \"out\"\nfields = [\"X-Inside\"]\nverdict = \"remove\"\n";

/// Outgoing mail is rewritten at each attempt, from memory and from the queue on disk, small or in a file; the queue keeps the
/// original.
#[test]
fn what_leaves_later_is_rewritten_too() {
    let hop = postern_testkit::process::free_port();
    let mut site = Site::relay(hop, OUT_RULES);
    fs::write(
        site.path("generic"),
        "root@pc.inside.example it@relay.test\nfar@inside.example far@outside.example\n",
    )
    .unwrap();
    site.start();
    let large = "A line of some length, so that the body is kept in a file.\r\n".repeat(3_000);
    let mut client = site.client();
    client.say("EHLO client.example").unwrap();
    for (id, body) in [("small", "text\r\n"), ("large", large.as_str())] {
        let message = format!(
            "From: Root <root@pc.inside.example>\r\nX-Inside: {id}\r\nMessage-ID: <{id}@probe.example>\r\n\r\n{body}"
        );
        let reply = client
            .mail("root@pc.inside.example", &["far@inside.example"], &message)
            .unwrap();
        assert!(reply.starts_with("250"), "{reply}");
    }
    site.wait_for_log(&["deferred", "from=<root@pc.inside.example>"]);
    let listed = site.ok(&["queue", "list"]);
    assert!(
        listed.contains("root@pc.inside.example"),
        "the queue keeps what came: {listed}"
    );
    site.start();
    let sink = Sink::start_on(hop);
    for (id, body) in [("small", "text\r\n"), ("large", large.as_str())] {
        let came = sink.wait_for(&format!("<{id}@probe.example>"));
        assert!(came.mail.starts_with("<it@relay.test>"), "{}", came.mail);
        assert!(
            came.rcpt[0].starts_with("<far@outside.example>"),
            "{:?}",
            came.rcpt
        );
        assert!(
            came.content.contains("\r\nFrom: Root <it@relay.test>\r\n"),
            "{}",
            &came.content[..400]
        );
        assert!(!came.content.contains("X-Inside"));
        assert!(came.content.ends_with(body));
    }
    site.wait_for_log(&[
        "reworked",
        "rule=rewrite.changed",
        "outside: header root@pc.inside.example becomes it@relay.test",
    ]);
}

const IN_RULES: &str = "[relay]\nnetworks = [\"127.0.0.2/32\"]\n\
    [[rewrite]]\nname = \"everybody\"\nclasses = [\"header_sender\"]\nclients = [\"all\"]\nmasquerade_domains = [\"away.example\"]\n\
    [[rewrite]]\nname = \"ours\"\nclasses = [\"envelope_sender\", \"header_sender\"]\nmasquerade_domains = [\"relay.test\"]\n\
    [[rewrite]]\nname = \"slow\"\nclasses = [\"envelope_sender\"]\nclients = [\"all\"]\ndomains = [\"down.example\"]\ntable = \"table:gone\"\n\
    [[table]]\nname = \"gone\"\nkind = \"sql\"\nengine = \"sqlite\"\nfile = \"gone.db\"\nquery = \"SELECT v FROM t WHERE k = :key\"\n\
    [[header_check]]\nname = \"trace\"\nclients = [\"logins\"]\nfields = [\"Received\"]\nverdict = \"remove\"\n";

/// Whose mail is rewritten, however it arrives, and what happens if a table does not answer.
#[test]
fn whose_mail_and_by_which_way() {
    let sink = Sink::start();
    let mut site = Site::relay(sink.port(), IN_RULES);
    // A database without the queried table.
    fs::write(site.path("gone.db"), "").unwrap();
    site.start();
    let from = |last: u8| {
        let source = std::net::Ipv4Addr::new(127, 0, 0, last);
        let (mut client, _) = Client::connect_from(source, site.mx).unwrap();
        client.say("EHLO client.example").unwrap();
        client
    };
    let message = |id: &str, header: &str| {
        format!(
            "{header}From: A <a@pc.away.example>, b@pc.relay.test\r\nMessage-ID: <{id}@probe.example>\r\n\r\ntext\r\n"
        )
    };
    let signed = "DKIM-Signature: v=1; a=rsa-sha256; d=away.example; s=s; h=from; bh=x; b=x\r\n";
    #[rustfmt::skip]
    let cases = [
        // what the case shows     client  header   sender as it went out   From
        ("inside",                 2,      "",      "<b@relay.test>",       "A <a@away.example>, b@relay.test"),
        ("inside-signed",          2,      signed,  "<b@relay.test>",       "A <a@away.example>, b@relay.test"),
    ];
    for (id, last, header, sender, author) in cases {
        let reply = from(last)
            .mail("b@pc.relay.test", &["joe@relay.test"], &message(id, header))
            .unwrap();
        assert!(reply.starts_with("250"), "{reply}");
        assert_came(&sink, id, sender, author);
    }
    // The same for an authenticated client with BDAT, where the trace is also removed.
    let mut tester = site.tester();
    let text = message("chunks", "");
    tester.say("MAIL FROM:<b@pc.relay.test>").unwrap();
    tester.say("RCPT TO:<joe@relay.test>").unwrap();
    tester
        .send(format!("BDAT {} LAST\r\n{text}", text.len()).as_bytes())
        .unwrap();
    let reply = tester.reply().unwrap();
    assert!(reply.starts_with("250"), "{reply}");
    let came = sink.wait_for("<chunks@probe.example>");
    assert!(came.mail.starts_with("<b@relay.test>") && came.content.contains("b@relay.test\r\n"));
    assert!(!came.content.contains("Received:"), "{}", came.content);

    let reply = from(2)
        .mail("a@down.example", &["joe@relay.test"], &message("down", ""))
        .unwrap();
    assert!(reply.starts_with("451 4.3.0"), "{reply}");
    site.wait_for_log(&["rule=rewrite.unsure", "gone"]);

    let explained = site.run(&[
        "explain",
        "--login",
        "tester@relay.test",
        "--listener",
        "submission",
        "--peer",
        "192.0.2.9",
        "--from",
        "b@pc.relay.test",
        "--to",
        "joe@relay.test",
        "--author",
        "B <b@pc.relay.test>",
    ]);
    let text = String::from_utf8_lossy(&explained.stdout).into_owned();
    assert!(
        text.contains("ours: header b@pc.relay.test becomes b@relay.test"),
        "{text}"
    );
    assert!(
        text.contains("ours: envelope_sender b@pc.relay.test becomes b@relay.test"),
        "{text}"
    );
    let config = fs::read_to_string(site.path("postern.toml")).unwrap();
    let line = config
        .split("name = \"ours\"")
        .next()
        .unwrap()
        .matches('\n')
        .count();
    assert!(
        text.contains(&format!("postern.toml:{line}")),
        "the rule is named with its line {line}: {text}"
    );
}

#[test]
fn mistakes_are_found_before_mail_comes() {
    let site = Site::relay(
        1,
        "[[rewrite]]\nname = \"round\"\nclasses = [\"envelope_sender\"]\ntable = \"hash:round\"\n\
         [[rewrite]]\nname = \"two ways\"\nclasses = [\"envelope_sender\"]\ntable = \"hash:round\"\nmasquerade_as = \"a.example\"\n\
         [[rewrite]]\nname = \"all\"\nclasses = [\"envelope_sender\"]\nmasquerade_as = \"a.example\"\nclients = [\"insid\"]\n\
         [[header_check]]\nname = \"odd\"\ntable = \"regexp:odd\"\n\
         [[header_check]]\nname = \"late\"\nat = \"out\"\nfields = [\"A\"]\nverdict = \"refuse\"\n\
         [[header_check]]\nname = \"pattern\"\nfields = [\"A\"]\npattern = \"(\"\nverdict = \"remove\"\n\
         [[copy]]\nname = \"nobody\"\n",
    );
    fs::write(
        site.path("round"),
        "a@a.example b@a.example\nb@a.example a@a.example\n",
    )
    .unwrap();
    fs::write(site.path("odd"), "/^A:/ WHATEVER\n/^B:/ FILTER slow:\n").unwrap();
    let said = site.run(&["check"]);
    let told = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(!said.status.success());
    for words in [
        "table and masquerade_as",
        "`masquerade_as` without `domains`",
        "did you mean \"inside\"?",
        "\"WHATEVER\" is not a valid verdict for header checks",
        "unknown transport \"slow\"",
        "cannot do this when mail leaves",
        "`pattern` in [[header_check]]",
        "a [[copy]] without recipients",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let round = "[[rewrite]]\nname = \"round\"\nclasses = [\"envelope_sender\"]\ntable = \"hash:round\"\n";
    let site = Site::relay(1, round);
    fs::write(
        site.path("round"),
        "a@a.example b@a.example\nb@a.example a@a.example\n",
    )
    .unwrap();
    let told = String::from_utf8_lossy(&site.run(&["check"]).stderr).into_owned();
    assert!(told.contains("leads back to itself"), "{told}");
}

/// Strangers' mail: our addresses stay as they are, and so does a signed header, unless configured otherwise.
#[test]
fn mail_that_passes_through() {
    let sink = Sink::start();
    let port = postern_testkit::process::free_port();
    let rule = |name: &str, domain: &str, more: &str| {
        format!(
            "[[rewrite]]\nname = \"{name}\"\nclasses = [\"envelope_sender\", \"header_sender\"]\nmasquerade_domains = [\"{domain}\"]\n{more}\n"
        )
    };
    let mut site = Site::relay(
        sink.port(),
        &format!(
            "[[listener]]\nname = \"proxied\"\naddress = \"127.0.0.1:{port}\"\nproxy_protocol = [\"127.0.0.0/8\"]\n{}{}{}",
            rule("ours", "relay.test", ""),
            rule("all", "away.example", "clients = [\"all\"]"),
            rule(
                "signed too",
                "odd.example",
                "clients = [\"203.0.113.0/24\"]\nsigned = true"
            ),
        ),
    );
    site.start();
    let signed = "ARC-Seal: i=1\r\n";
    #[rustfmt::skip]
    let cases = [
        ("open",   "",      "<b@pc.relay.test>",   "a@away.example, b@pc.relay.test, c@odd.example"),
        ("sealed", signed,  "<b@pc.relay.test>",   "a@pc.away.example, b@pc.relay.test, c@odd.example"),
    ];
    for (id, header, sender, author) in cases {
        let (mut client, greeting) =
            Client::connect_for(std::net::Ipv4Addr::new(203, 0, 113, 9), port, "").unwrap();
        assert!(greeting.starts_with("220"), "{greeting}");
        client.say("EHLO client.example").unwrap();
        let text = format!(
            "{header}From: a@pc.away.example, b@pc.relay.test, c@pc.odd.example\r\nMessage-ID: <{id}@probe.example>\r\n\r\ntext\r\n"
        );
        let reply = client
            .mail("b@pc.relay.test", &["joe@relay.test"], &text)
            .unwrap();
        assert!(reply.starts_with("250"), "{reply}");
        assert_came(&sink, id, sender, author);
    }
}

/// Nobody learns about a copy: neither from a reply, nor from a report of success or failure. What cannot be rewritten on the way
/// out waits.
#[test]
fn what_senders_do_not_hear() {
    let sink = Sink::start();
    let mut site = Site::relay(
        sink.port(),
        "[relay]\nnetworks = [\"127.0.0.0/8\"]\n\
         [[copy]]\nname = \"archive\"\nto = [\"reject-archive@outside.example\"]\n\
         [[copy]]\nname = \"second\"\nrecipients = [\"joe@outside.example\"]\nto = [\"second@outside.example\"]\n\
         [[rewrite]]\nname = \"slow\"\nat = \"out\"\nclasses = [\"envelope_sender\"]\ndomains = [\"down.example\"]\ntable = \"table:gone\"\n\
         [[table]]\nname = \"gone\"\nkind = \"sql\"\nengine = \"sqlite\"\nfile = \"gone.db\"\nquery = \"SELECT v FROM t WHERE k = :key\"\n",
    );
    fs::write(site.path("gone.db"), "").unwrap();
    site.start();
    let mut client = site.client();
    client.say("EHLO client.example").unwrap();
    client.say("MAIL FROM:<ann@outside.example>").unwrap();
    let reply = client
        .say("RCPT TO:<joe@outside.example> NOTIFY=SUCCESS,FAILURE")
        .unwrap();
    assert!(reply.starts_with("250") && !reply.contains("archive"), "{reply}");
    client.say("DATA").unwrap();
    let reply = client
        .say("From: ann@outside.example\r\nSubject: copied\r\n\r\ntext\r\n.")
        .unwrap();
    assert!(reply.starts_with("250"), "{reply}");
    let came = sink.wait_for("Subject: copied");
    assert!(!came.content.contains("archive") && !came.content.contains("second@"));
    site.wait_for_log(&["bounced", "to=reject-archive@outside.example", "report=no"]);
    site.wait_for_log(&["delivered", "to=second@outside.example"]);
    wait_until("an empty queue", || site.queue_is_empty());
    let told: Vec<Taken> = sink
        .taken()
        .into_iter()
        .filter(|taken| taken.mail.starts_with("<>"))
        .collect();
    assert!(
        told.iter()
            .all(|report| !report.content.contains("archive") && !report.content.contains("second@")),
        "{told:?}"
    );

    let reply = client
        .mail(
            "x@down.example",
            &["joe@outside.example"],
            "Subject: waits\r\n\r\ntext\r\n",
        )
        .unwrap();
    assert!(reply.starts_with("250"), "{reply}");
    site.wait_for_log(&["deferred", "from=<x@down.example>", "gone cannot be asked"]);
}
