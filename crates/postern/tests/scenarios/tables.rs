//! Tables of domains and recipients: in a database, in files, down, and changed by a reload.

use std::fs;

use postern_testkit::process::{free_port, wait_until};
use postern_testkit::sink::Sink;

use crate::harness::Site;

const PATTERN: &str = "/^pattern[0-9]+\\.test$/ x\n";

fn site(hop: u16) -> Site {
    let (mx, submission, submissions) = (free_port(), free_port(), free_port());
    let config = format!(
        "hostname = \"mx.relay.test\"\nstate_dir = \"state\"\n\
         local_domains = [\"local.test\"]\n\
         relay_domains = [\"table:customers\", \"pcre:patterns\", \"list:domains\"]\n\
         relay_recipients = [\"hash:recipients\"]\n\
         [[listener]]\nname = \"mx\"\naddress = \"127.0.0.1:{mx}\"\nrole = \"mx\"\n\
         [[listener]]\nname = \"submission\"\naddress = \"127.0.0.1:{submission}\"\nrole = \"submission\"\n\
         [[listener]]\nname = \"submissions\"\naddress = \"127.0.0.1:{submissions}\"\nrole = \"submission\"\ntls = \"implicit\"\n\
         [tls]\ncertificate = \"certs/relay.crt\"\nkey = \"certs/relay.key\"\n\
         [[directory]]\nkind = \"users\"\n\
         [[directory]]\nkind = \"table\"\nrecipients = \"hash:mailboxes\"\n\
         [[table]]\nname = \"customers\"\nkind = \"sql\"\nengine = \"sqlite\"\nfile = \"mail.db\"\n\
         query = \"SELECT name FROM domains WHERE name = :key\"\n\
         [[route]]\ndomains = [\"local.test\"]\nto = \"maildir\"\n\
         [[route]]\ndomains = [\"*\"]\nvia = [\"127.0.0.1:{hop}\"]\ntls = \"none\"\n"
    );
    let mut site = Site::new(&config, "relay", &["mx.relay.test", "localhost"]);
    (site.mx, site.submission, site.submissions) = (mx, submission, submissions);
    sql(
        &site,
        "CREATE TABLE domains (name TEXT); INSERT INTO domains VALUES ('customer.test')",
    );
    fs::write(site.path("patterns"), PATTERN).unwrap();
    fs::write(site.path("domains"), "listed.test\n").unwrap();
    fs::write(
        site.path("recipients"),
        "ann@customer.test x\n@pattern7.test x\nbob@listed.test x\n",
    )
    .unwrap();
    fs::write(site.path("mailboxes"), "carl@local.test carl/\n").unwrap();
    site.add_user("tester@relay.test", "test word");
    site
}

fn sql(site: &Site, text: &str) {
    let connection = rusqlite::Connection::open(site.path("mail.db")).unwrap();
    connection.execute_batch(text).unwrap();
}

/// The reply to `RCPT`.
fn rcpt(site: &Site, to: &str) -> String {
    let mut client = site.client();
    client.say("EHLO helo").unwrap();
    client.say("MAIL FROM:<joe@outside.example>").unwrap();
    client.say(&format!("RCPT TO:<{to}>")).unwrap()
}

#[test]
fn domains_and_recipients_from_tables() {
    let sink = Sink::start();
    let mut site = site(sink.port());
    let said = site.run(&["check"]);
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    site.start();
    #[rustfmt::skip]
    let cases = [
        ("ann@customer.test",      "250",       "a domain in SQL, a listed recipient"),
        ("ann+shop@customer.test", "250",       "with a detail"),
        ("bob@customer.test",      "550 5.1.1", "no recipient"),
        ("any@pattern7.test",      "250",       "a domain by pattern, all of it listed"),
        ("any@pattern8.test",      "550 5.1.1", "a domain by pattern, none of it"),
        ("bob@listed.test",        "250",       "a domain in a list"),
        ("x@other.test",           "550 5.7.1", "in no table"),
        ("x@a.customer.test",      "550 5.7.1", "below a domain that is listed without a dot"),
        ("carl@local.test",        "250",       "a mailbox in a table"),
        ("dora@local.test",        "550 5.1.1", "and one that is not"),
        ("tester@relay.test",      "550 5.7.1", "a user of no domain here"),
    ];
    for (to, want, shows) in cases {
        let reply = rcpt(&site, to);
        assert!(reply.starts_with(want), "{shows}: {reply}");
    }
    site.wait_for_log(&["rule=recipient.unlisted", "bob@customer.test"]);

    let mut client = site.client();
    client.say("EHLO helo").unwrap();
    client
        .mail(
            "joe@outside.example",
            &["ann@customer.test"],
            "Subject: to a table\r\n\r\nhello",
        )
        .unwrap();
    let _ = sink.wait_for("Subject: to a table");

    // The same rules when asked beforehand, with file and line.
    let explained = site.ok(&[
        "explain",
        "--peer",
        "192.0.2.1",
        "--from",
        "joe@outside.example",
        "--to",
        "bob@listed.test",
    ]);
    assert!(explained.contains("recipients:3"), "{explained}");
    let refused = site.run(&[
        "explain",
        "--peer",
        "192.0.2.1",
        "--from",
        "joe@outside.example",
        "--to",
        "zoe@listed.test",
    ]);
    assert!(
        String::from_utf8_lossy(&refused.stdout).contains("recipient.unlisted"),
        "{refused:?}"
    );
}

#[test]
fn a_table_that_is_down_defers_and_a_reload_reads_files_again() {
    let sink = Sink::start();
    let mut site = site(sink.port());
    site.start();
    assert!(rcpt(&site, "ann@customer.test").starts_with("250"));
    sql(&site, "ALTER TABLE domains RENAME TO moved");
    // The table's recent answers count; what was not asked is unknown.
    assert!(rcpt(&site, "ann@customer.test").starts_with("250"));
    let reply = rcpt(&site, "ann@new.test");
    assert!(reply.starts_with("451 4.4.3"), "{reply}");
    site.wait_for_log(&["rule=recipient.table", "ann@new.test"]);
    let said = site.run(&["check"]);
    assert!(
        String::from_utf8_lossy(&said.stderr).contains("the table customers cannot be asked"),
        "{said:?}"
    );
    sql(
        &site,
        "ALTER TABLE moved RENAME TO domains; INSERT INTO domains VALUES ('new.test')",
    );
    wait_until("the table answers again", || {
        rcpt(&site, "ann@new.test").starts_with("550 5.1.1")
    });

    // Files are read again as a whole, or not at all.
    fs::write(site.path("recipients"), "ann@new.test x\nbroken\n").unwrap();
    let refused = site.run(&["reload"]);
    assert!(!refused.status.success());
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        told.contains("recipients:2") && told.contains("has no value"),
        "{told}"
    );
    assert!(
        rcpt(&site, "ann@customer.test").starts_with("250"),
        "what was there goes on to count"
    );
    fs::write(site.path("recipients"), "ann@new.test x\n").unwrap();
    site.ok(&["reload"]);
    assert!(rcpt(&site, "ann@new.test").starts_with("250"));
    assert!(rcpt(&site, "ann@customer.test").starts_with("550 5.1.1"));
}

#[test]
fn mail_in_the_queue_knows_its_domains_after_a_restart() {
    let hop = free_port();
    let mut site = site(hop);
    // Local mailboxes, from a queried table.
    let config = fs::read_to_string(site.path("postern.toml")).unwrap();
    let config = config
        .replace(
            "local_domains = [\"local.test\"]",
            "local_domains = [\"table:customers\"]",
        )
        .replace("relay_domains = [\"table:customers\", ", "relay_domains = [")
        .replace("[[route]]\ndomains = [\"local.test\"]\nto = \"maildir\"\n", "");
    fs::write(
        site.path("postern.toml"),
        format!("{config}[delivery]\nlmtp = [\"127.0.0.1:{hop}\"]\n"),
    )
    .unwrap();
    fs::write(site.path("mailboxes"), "ann@customer.test x\n").unwrap();
    site.start();
    let mut client = site.client();
    client.say("EHLO helo").unwrap();
    client
        .mail(
            "joe@outside.example",
            &["ann@customer.test"],
            "Subject: waits\r\n\r\nhello",
        )
        .unwrap();
    wait_until("a deferral", || {
        site.ok(&["queue", "list", "--json"]).contains("efused")
    });
    site.take_server().crash();
    sql(&site, "ALTER TABLE domains RENAME TO moved");
    site.start();
    site.ok(&["queue", "flush"]);
    // Whose domain it is cannot be determined, so it is not routed at all.
    let list = site.ok(&["queue", "list", "--json"]);
    assert!(list.contains("ann@customer.test"), "{list}");
    sql(&site, "ALTER TABLE moved RENAME TO domains");
    let shown = || site.ok(&["queue", "list", "--json"]);
    wait_until("it still waits for its own host", || {
        shown().contains("ann@customer.test")
    });
}

#[test]
fn keys_are_looked_up_as_the_server_does() {
    let site = site(free_port());
    let told = site.ok(&["table", "customers", "customer.test"]);
    assert_eq!(told, "customer.test: customer.test\n");
    let told = site.ok(&["table", "hash:recipients", "--plan", "address", "x@pattern7.test"]);
    assert!(
        told.contains("x@pattern7.test: x  (by @pattern7.test, ") && told.contains("recipients:2)"),
        "{told}"
    );
    let missing = site.run(&["table", "hash:recipients", "nobody@customer.test"]);
    assert_eq!(missing.status.code(), Some(1));
    let told = site.ok(&["table", "hash:recipients", "ann@customer.test", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (json[0]["found"].as_bool(), json[0]["line"].as_u64()),
        (Some(true), Some(1))
    );
    let unknown = site.run(&["table", "custmers", "x"]);
    assert!(
        String::from_utf8_lossy(&unknown.stderr).contains("there are customers"),
        "{unknown:?}"
    );
    sql(&site, "DROP TABLE domains");
    let down = site.run(&["table", "customers", "customer.test"]);
    assert_eq!(down.status.code(), Some(75), "{down:?}");
    assert!(
        String::from_utf8_lossy(&down.stdout).contains("cannot be asked"),
        "{down:?}"
    );
    assert_eq!(
        site.ok(&["table", "list:domains"]).trim_end().rsplit(": ").next(),
        Some("1 entry")
    );
}

#[test]
fn the_next_hop_is_asked_about_recipients() {
    let mut behind = Site::relay_with(free_port(), "local_domains = [\"labs.test\"]", "");
    let config = fs::read_to_string(behind.path("postern.toml")).unwrap();
    // A different host than the one in front: otherwise it would look like a loop.
    let config = config.replace("hostname = \"mx.relay.test\"", "hostname = \"mx.labs.test\"");
    fs::write(behind.path("postern.toml"), config).unwrap();
    behind.add_user("ann@labs.test", "test word");
    behind.add_user("bob@labs.test", "test word");
    behind.start();
    let mut front = Site::relay_with(
        behind.mx,
        "ask_next_hop = [\"*\"]\nrelay_recipients = [\"hash:recipients\"]",
        "",
    );
    let config = fs::read_to_string(front.path("postern.toml")).unwrap();
    let config = config.replace(
        "relay_domains = [\"relay.test\"]",
        "relay_domains = [\"relay.test\", \"labs.test\"]",
    );
    fs::write(front.path("postern.toml"), config).unwrap();
    fs::write(front.path("recipients"), "@relay.test x\n").unwrap();
    front.start();
    #[rustfmt::skip]
    let cases = [
        ("ann@labs.test",   "250",       "the next hop takes it"),
        ("ghost@labs.test", "550 5.1.1", "the next hop refuses it"),
        ("any@relay.test",  "250",       "a table has it, and nobody is asked"),
    ];
    for (to, want, shows) in cases {
        let reply = rcpt(&front, to);
        assert!(reply.starts_with(want), "{shows}: {reply}");
    }
    front.wait_for_log(&["rule=recipient.next-hop", "ghost@labs.test", "550 5.1.1"]);
    assert!(behind.take_server().terminate().success());
    // Its answers are remembered for a while; what was not asked is unknown.
    assert!(rcpt(&front, "ann@labs.test").starts_with("250"));
    assert!(rcpt(&front, "ghost@labs.test").starts_with("550 5.1.1"));
    let reply = rcpt(&front, "bob@labs.test");
    assert!(reply.starts_with("451 4.4.1"), "{reply}");
    front.wait_for_log(&["rule=recipient.next-hop-down", "bob@labs.test"]);
    // Only queries were sent there, and nothing waits here.
    assert!(front.queue_is_empty());
}

#[test]
fn owners_of_sender_addresses_from_a_table() {
    let sink = Sink::start();
    let mut site = Site::relay(
        sink.port(),
        "[relay]\nsenders = \"own\"\n[identity]\nowners = [\"table:owners\"]\nstrangers = \"owned\"\n\
         [[table]]\nname = \"owners\"\nkind = \"sql\"\nengine = \"sqlite\"\nfile = \"mail.db\"\n\
         query = \"SELECT login FROM owners WHERE address = :key\"\n",
    );
    sql(
        &site,
        "CREATE TABLE owners (address TEXT, login TEXT); INSERT INTO owners VALUES \
         ('board@relay.test', 'tester@relay.test'), ('board@relay.test', 'other@relay.test'), ('@team.test', 'tester@relay.test'), \
         ('boss@relay.test', 'boss@relay.test')",
    );
    site.start();
    let mut tester = site.tester();
    #[rustfmt::skip]
    let cases = [
        ("tester@relay.test",     "250",       "its own"),
        ("board@relay.test",      "250",       "one of two owners"),
        ("board+x@relay.test",    "250",       "with a detail"),
        ("any@team.test",         "250",       "all of a domain"),
        ("boss@relay.test",       "553 5.7.1", "somebody else's"),
        ("nobody@relay.test",     "553 5.7.1", "nobody's"),
    ];
    for (from, want, shows) in cases {
        let reply = tester.say(&format!("MAIL FROM:<{from}>")).unwrap();
        assert!(reply.starts_with(want), "{shows}: {reply}");
        tester.say("RSET").unwrap();
    }
    // Also in the message.
    let content = |from: &str| format!("From: {from}\r\nSubject: owners\r\n\r\nhello");
    let mut send = |from: &str| {
        tester
            .mail("board@relay.test", &["x@outside.example"], &content(from))
            .unwrap_or_else(|error| error.to_string())
    };
    assert!(send("Board <board@relay.test>").starts_with("250"));
    let refused = send("Boss <boss@relay.test>");
    assert!(refused.contains("550"), "{refused}");
    let explained = site.ok(&[
        "auth",
        "explain",
        "--login",
        "tester@relay.test",
        "--sender",
        "board@relay.test",
    ]);
    assert!(explained.contains("identity.table"), "{explained}");

    // An outsider cannot send mail with an address that has an owner.
    let stranger = |from: &str| {
        let mut client = site.client();
        client.say("EHLO helo").unwrap();
        client.say(&format!("MAIL FROM:<{from}>")).unwrap();
        client.say("RCPT TO:<x@relay.test>").unwrap()
    };
    assert!(stranger("board@relay.test").starts_with("553 5.7.1"));
    assert!(stranger("joe@outside.example").starts_with("250"));
    site.wait_for_log(&["rule=sender.login"]);
    sql(&site, "ALTER TABLE owners RENAME TO moved");
    let mut tester = site.tester();
    let reply = tester.say("MAIL FROM:<late@relay.test>").unwrap();
    assert!(reply.starts_with("451 4.4.3"), "{reply}");
}
