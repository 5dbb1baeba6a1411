//! `FILTER` and `BCC` of access tables and header checks: a real Postfix and Postern with the same tables and the same messages,
//! and whom they reach; and a message with a special route keeps it across a restart.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use postern_testkit::postfix::Postfix;
use postern_testkit::process::{free_port, wait_until};
use postern_testkit::sink::Sink;
use postern_testkit::smtp::Client;

use crate::harness::Site;

/// Where mail normally goes, and where an access table and a header check send it.
struct Sinks([Sink; 3]);

impl Sinks {
    fn start() -> Self {
        Self([Sink::start(), Sink::start(), Sink::start()])
    }

    fn write_tables(&self, folder: &Path) {
        let [_, by_access, by_check] = self.0.each_ref().map(Sink::port);
        let access = format!(
            "filter@outside.example FILTER smtp:[127.0.0.1]:{by_access}\nboth@outside.example FILTER smtp:[127.0.0.1]:{by_access}\n\
             copy@outside.example BCC archive@outside.example\nown@outside.example BCC joe@outside.example\n"
        );
        let checks = format!(
            "/^X-Filter:/ FILTER smtp:[127.0.0.1]:{by_check}\n/^X-Copy:/ BCC archive@outside.example\n"
        );
        fs::write(folder.join("access"), access).unwrap();
        fs::write(folder.join("checks"), checks).unwrap();
    }

    /// Who got a message, and through which of them.
    fn reached(&self, id: &str) -> BTreeSet<String> {
        let marker = format!("Message-ID: <{id}@probe.example>");
        let mut all = BTreeSet::new();
        for (name, sink) in ["usual", "access", "check"].into_iter().zip(&self.0) {
            for taken in sink.taken() {
                if taken.content.contains(&marker) {
                    let to = taken.rcpt.iter().filter_map(|to| to.split_whitespace().next());
                    all.extend(to.map(|to| format!("{name} {to}")));
                }
            }
        }
        all
    }
}

#[rustfmt::skip]
const PROBES: &[(&str, &str, &[&str], &str)] = &[
    // id        from                       to                                                field
    ("plain",    "ann@outside.example",     &["joe@outside.example"],                         ""),
    ("filter",   "filter@outside.example",  &["joe@outside.example", "jim@other.example"],    ""),
    ("copy",     "copy@outside.example",    &["joe@outside.example"],                         ""),
    ("own",      "own@outside.example",     &["joe@outside.example"],                         ""),
    ("check",    "ann@outside.example",     &["joe@outside.example"],                         "X-Filter: yes\r\n"),
    ("both",     "both@outside.example",    &["joe@outside.example"],                         "X-Filter: yes\r\n"),
    ("all",      "filter@outside.example",  &["joe@outside.example"],                         "X-Copy: yes\r\n"),
];

fn send(port: u16) {
    let (mut client, _) = Client::connect(port).unwrap();
    client.say("EHLO client.example").unwrap();
    for (id, from, to, field) in PROBES {
        let text = format!("From: {from}\r\nMessage-ID: <{id}@probe.example>\r\n{field}\r\nhello\r\n");
        let reply = client.mail(from, to, &text).unwrap();
        assert!(reply.starts_with("250"), "{id}: {reply}");
    }
}

fn site(hop: u16) -> Site {
    Site::relay(
        hop,
        "[relay]\nnetworks = [\"127.0.0.0/8\"]\n\
         [[access]]\nname = \"senders\"\ntable = \"hash:access\"\nlook_up = \"sender\"\nverdict = \"table\"\n\
         [[header_check]]\nname = \"fields\"\ntable = \"regexp:checks\"\n",
    )
}

#[test]
fn messages_go_as_with_postfix() {
    let (ours, theirs) = (Sinks::start(), Sinks::start());
    let tables = tempfile::tempdir_in("/tmp").unwrap();
    fs::set_permissions(tables.path(), fs::Permissions::from_mode(0o755)).unwrap();
    theirs.write_tables(tables.path());
    let at = tables.path().display();
    let postfix = Postfix::start(
        &[],
        &format!(
            "mynetworks = 127.0.0.0/8\nrelayhost = [127.0.0.1]:{}\nsmtp_tls_security_level = none\n\
             smtpd_sender_restrictions = check_sender_access texthash:{at}/access\nheader_checks = regexp:{at}/checks\n",
            theirs.0[0].port()
        ),
    );
    let mut site = site(ours.0[0].port());
    ours.write_tables(&site.path(""));
    site.start();
    send(postfix.port());
    send(site.mx);
    let all = |sinks: &Sinks| {
        let reached = PROBES.iter().map(|(id, ..)| (*id, sinks.reached(id)));
        reached.collect::<Vec<_>>()
    };
    wait_until("Postfix to be done", || {
        all(&theirs).iter().all(|(_, reached)| !reached.is_empty())
            && theirs.reached("filter").len() == 2
            && theirs.reached("copy").len() == 2
            && theirs.reached("all").len() == 2
    });
    wait_until("the same to come of it here", || all(&ours) == all(&theirs));
    site.wait_for_log(&["rule=access.detoured"]);
    site.wait_for_log(&["rule=check.detoured"]);
    site.wait_for_log(&["rule=access.copied"]);
}

#[test]
fn a_way_of_its_own_lasts_over_a_restart() {
    let usual = Sink::start();
    let filter = free_port();
    let mut site = Site::relay(
        usual.port(),
        &format!(
            "[relay]\nnetworks = [\"127.0.0.0/8\"]\n\
             [[access]]\nname = \"filtered\"\nsender = \"filter@outside.example\"\nverdict = \"detour\"\nway = \"smtp:[127.0.0.1]:{filter}\"\n\
             [[access]]\nname = \"archived\"\nsender = \"filter@outside.example\"\nverdict = \"copy\"\nto = \"archive@outside.example\"\n"
        ),
    );
    site.start();
    let mut client = site.client();
    client.say("EHLO client.example").unwrap();
    client
        .mail(
            "filter@outside.example",
            &["joe@outside.example"],
            "Subject: kept\r\n\r\nhello\r\n",
        )
        .unwrap();
    client
        .mail(
            "ann@outside.example",
            &["joe@outside.example"],
            "Subject: usual\r\n\r\nhello\r\n",
        )
        .unwrap();
    let _ = usual.wait_for("Subject: usual");
    wait_until("a deferral", || {
        site.ok(&["queue", "list", "--json"]).contains("efused")
    });
    site.take_server().crash();
    let filter = Sink::start_on(filter);
    site.start();
    site.ok(&["queue", "flush"]);
    let taken = filter.wait_for("Subject: kept");
    assert_eq!(taken.rcpt.len(), 2, "{taken:?}");
    wait_until("an empty queue", || site.queue_is_empty());
    assert_eq!(usual.total(), 1);
    let explained = site.run(&[
        "explain",
        "--peer",
        "127.0.0.1",
        "--from",
        "filter@outside.example",
        "--to",
        "joe@outside.example",
    ]);
    let explained = String::from_utf8_lossy(&explained.stdout).into_owned();
    assert!(
        explained.contains("access.detoured") && explained.contains("access.copied"),
        "{explained}"
    );
}
