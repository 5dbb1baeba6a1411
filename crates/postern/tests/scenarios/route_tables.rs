//! Routes from queried tables: SQL, LDAP, patterns; down at `RCPT`, in the queue, and up again.

use std::fs;

use postern_testkit::process::{free_port, wait_until};
use postern_testkit::sink::Sink;
use postern_testkit::slapd::{self, PEOPLE, Slapd, SlapdOptions};

use crate::harness::Site;

/// A relay whose routes are in a file, a database, patterns and a directory, in this order.
fn site(hop: u16, slapd: &Slapd) -> Site {
    let config = "[[table]]\nname = \"ways\"\nkind = \"sql\"\nengine = \"sqlite\"\nfile = \"mail.db\"\n\
         query = \"SELECT way FROM ways WHERE name = :key\"\ncache_time = \"0s\"\nnegative_cache_time = \"0s\"\n\
         [[route]]\ntable = [\"hash:transport\", \"table:ways\", \"pcre:patterns\", \"ldap:./ldap.cf\"]\ntls = \"none\"\n";
    let mut site = Site::relay_with(hop, "", config);
    let text = fs::read_to_string(site.path("postern.toml")).unwrap();
    let text = text.replace(
        "relay_domains = [\"relay.test\"]",
        "relay_domains = [\"relay.test\", \"*.test\"]",
    );
    fs::write(site.path("postern.toml"), text).unwrap();
    fs::write(
        site.path("transport"),
        "file.test error:5.1.2 by a file\nboth.test error:5.1.2 by a file\n.wide.test error:5.1.2 by a file\n",
    )
    .unwrap();
    fs::write(
        site.path("patterns"),
        "/^list-(.*)@(.*)\\.test$/ error:5.1.2 a list of $2 by a pattern\n",
    )
    .unwrap();
    fs::write(
        site.path("ldap.cf"),
        format!(
            "server_host = {}\nversion = 3\nbind = no\nsearch_base = {PEOPLE}\n\
             query_filter = (mail=%s)\nresult_attribute = uid\nresult_format = error:5.1.2 %s by a directory\n",
            slapd.url()
        ),
    )
    .unwrap();
    sql(
        &site,
        &format!(
            "CREATE TABLE ways (name TEXT, way TEXT);
             INSERT INTO ways VALUES ('sql.test', 'error:5.1.2 by a database'), ('both.test', 'error:5.1.2 by a database'),
             ('vip@both.test', 'error:5.1.2 an address by a database'), ('mail.test', 'smtp:[127.0.0.1]:{hop}'),
             ('bad.test', 'uucp:somewhere')"
        ),
    );
    site.start();
    site
}

fn sql(site: &Site, text: &str) {
    let connection = rusqlite::Connection::open(site.path("mail.db")).unwrap();
    connection.execute_batch(text).unwrap();
}

fn rcpt(site: &Site, to: &str) -> String {
    let mut client = site.client();
    client.say("EHLO helo").unwrap();
    client.say("MAIL FROM:<joe@outside.example>").unwrap();
    client.say(&format!("RCPT TO:<{to}>")).unwrap()
}

fn people() -> Slapd {
    Slapd::start_with(&SlapdOptions {
        ldif: slapd::person("rosa", &["rosa@person.test"], "word"),
        ..SlapdOptions::default()
    })
}

#[test]
fn the_closest_key_of_all_tables_decides() {
    let slapd = people();
    let sink = Sink::start();
    let site = site(sink.port(), &slapd);
    #[rustfmt::skip]
    let cases = [
        ("x@file.test",         "550 5.1.2 by a file",                    "a file"),
        ("x@sql.test",          "550 5.1.2 by a database",                "a database"),
        ("x@both.test",         "550 5.1.2 by a file",                    "the first table that has the key"),
        ("vip@both.test",       "550 5.1.2 an address by a database",     "an address before its domain, in whichever table"),
        ("vip+a@both.test",     "550 5.1.2 an address by a database",     "without the detail"),
        ("x@deep.wide.test",    "550 5.1.2 by a file",                    "a domain above"),
        ("list-a@file.test",    "550 5.1.2 a list of file by a pattern",  "a pattern is asked with the address, before domains"),
        ("rosa@person.test",    "550 5.1.2 rosa by a directory",          "LDAP"),
        ("other@person.test",   "250",                                    "no table"),
        ("x@mail.test",         "250",                                    "a host by a database"),
        ("x@bad.test",          "451 4.3.0",                              "no route at all"),
    ];
    for (to, want, shows) in cases {
        let reply = rcpt(&site, to);
        let said = reply.replace(&format!("<{to}>... "), "");
        assert!(said.starts_with(want), "{shows}: {reply}");
    }
    let mut client = site.client();
    client.say("EHLO helo").unwrap();
    client
        .mail(
            "joe@outside.example",
            &["x@mail.test"],
            "Subject: by a database\r\n\r\nhello",
        )
        .unwrap();
    let _ = sink.wait_for("Subject: by a database");
    for (to, want) in [("x@mail.test", "in ways"), ("x@bad.test", "451 4.3.0")] {
        let told = site.run(&[
            "explain",
            "--peer",
            "192.0.2.1",
            "--from",
            "joe@outside.example",
            "--to",
            to,
        ]);
        let told = String::from_utf8_lossy(&told.stdout).into_owned();
        assert!(told.contains(want), "{told}");
    }
}

#[test]
fn a_table_of_routes_that_is_down_defers_and_is_never_passed_by() {
    let slapd = people();
    let closed = free_port();
    let mut site = site(closed, &slapd);
    sql(
        &site,
        "INSERT INTO ways VALUES ('two.test', 'smtp:[127.0.0.1]:1')",
    );
    let mut client = site.client();
    client.say("EHLO helo").unwrap();
    client
        .mail(
            "joe@outside.example",
            &["x@two.test"],
            "Subject: one\r\n\r\nhello",
        )
        .unwrap();
    wait_until("a deferral", || {
        site.ok(&["queue", "list", "--json"]).contains("efused")
    });
    sql(&site, "ALTER TABLE ways RENAME TO moved");
    let reply = rcpt(&site, "new@two.test");
    assert!(reply.starts_with("451 4.3.0"), "{reply}");

    // Nothing is remembered across a restart; the mail waits for the table and says so.
    site.take_server().crash();
    let sink = Sink::start();
    site.start();
    site.ok(&["queue", "flush"]);
    wait_until("a deferral by the table", || {
        site.ok(&["queue", "list", "--json"])
            .contains("the table of routes ways cannot be asked")
    });
    sql(
        &site,
        &format!(
            "ALTER TABLE moved RENAME TO ways; UPDATE ways SET way = 'smtp:[127.0.0.1]:{}' WHERE name = 'two.test'",
            sink.port()
        ),
    );
    wait_until("delivery by the table", || {
        site.ok(&["queue", "flush"]);
        site.queue_is_empty()
    });
    let _ = sink.wait_for("Subject: one");
}
