//! Revoked accounts, and sessions that administrators list and end.

use std::fs;

use postern_testkit::process::{free_port, wait_until};
use postern_testkit::sink::Sink;
use postern_testkit::slapd::{PEOPLE, ROOT_DN, ROOT_PASSWORD, Slapd, SlapdOptions, person};
use postern_testkit::smtp::Client;

use crate::harness::{Site, private};

const OVER: &str = "421 4.7.0 Login no longer valid, log in again";

fn begins(client: &mut Client) -> String {
    client.say("MAIL FROM:<tester@relay.test>").unwrap()
}

#[test]
fn the_command_line_ends_the_sessions_of_who_is_locked_out() {
    let sink = Sink::start();
    let mut site = Site::relay(sink.port(), "");
    site.start();
    site.add_user("bob@relay.test", "bob's own word");
    let mut bob = site.tls_client(site.submission);
    assert!(
        bob.login("bob@relay.test", "bob's own word")
            .unwrap()
            .starts_with("235")
    );

    let commands: [&[&str]; 3] = [
        &["user", "passwd", "tester@relay.test", "--generate"],
        &["user", "disable", "tester@relay.test"],
        &["user", "remove", "tester@relay.test"],
    ];
    let mut password = "test word".to_owned();
    for command in commands {
        let mut session = site.tls_client(site.submission);
        let reply = session.login("tester@relay.test", &password).unwrap();
        assert!(reply.starts_with("235"), "{command:?}: {reply}");
        assert!(begins(&mut session).starts_with("250"));
        let said = site.ok(command);
        assert!(said.contains("ended 1 session"), "{command:?}: {said}");
        assert_eq!(session.reply().unwrap(), OVER, "{command:?}");
        assert!(session.say("NOOP").is_err(), "{command:?}");
        if let Some((_, made)) = said.split_once("password: ") {
            password = made.lines().next().unwrap().to_owned();
        }
        if command[1] == "disable" {
            site.ok(&["user", "enable", "tester@relay.test"]);
        }
    }
    site.wait_for_log(&["login.revoked", "tester@relay.test", "unknown user"]);

    // Only an app password.
    let said = site.ok(&["user", "app-password", "add", "bob@relay.test", "phone"]);
    let app_password = said
        .split_once("password: ")
        .unwrap()
        .1
        .lines()
        .next()
        .unwrap()
        .to_owned();
    let mut phone = site.tls_client(site.submission);
    assert!(
        phone
            .login("bob@relay.test", &app_password)
            .unwrap()
            .starts_with("235")
    );
    let said = site.ok(&["user", "app-password", "revoke", "bob@relay.test", "phone"]);
    assert!(said.contains("ended 1 session"), "{said}");
    assert_eq!(phone.reply().unwrap(), OVER);
    assert!(bob.say("NOOP").unwrap().starts_with("250"));
}

#[test]
fn a_reload_ends_what_it_takes_away() {
    let sink = Sink::start();
    let mut site = Site::relay(sink.port(), "[auth]\nmechanisms = [\"PLAIN\", \"LOGIN\"]\n");
    site.start();
    let mut session = site.tester();
    site.ok(&["reload"]);
    assert!(begins(&mut session).starts_with("250"), "nothing was taken away");
    let path = site.path("postern.toml");
    let config = fs::read_to_string(&path).unwrap();
    fs::write(&path, config.replace("[\"PLAIN\", \"LOGIN\"]", "[\"LOGIN\"]")).unwrap();
    site.ok(&["reload"]);
    assert_eq!(session.reply().unwrap(), OVER);
    site.wait_for_log(&["login.mechanism", "tester@relay.test"]);
}

#[test]
fn sessions_are_listed_and_ended_by_login() {
    let hop = free_port();
    let mut site = Site::relay(hop, "[retry]\nintervals = [\"1h\"]\n");
    assert_eq!(
        site.run(&["sessions", "list"]).status.code(),
        Some(69),
        "no server"
    );
    site.start();
    let mut session = site.tester();
    let reply = session
        .mail("tester@relay.test", &["x@outside.example"], "Subject: a\r\n\r\na")
        .unwrap();
    assert!(reply.starts_with("250"), "{reply}");
    let mut stranger = site.client();
    stranger.say("EHLO helo").unwrap();

    let listed = site.ok(&["sessions", "list"]);
    assert!(
        listed.contains("tester@relay.test") && listed.contains("PLAIN") && listed.contains("submission"),
        "{listed}"
    );
    assert!(listed.lines().all(|line| line.chars().count() <= 80), "{listed}");
    let json = site.ok(&["sessions", "list", "--json", "--login", "Tester@relay.test"]);
    assert!(
        json.contains("\"TLSv1.3\"") && json.matches("\"session\"").count() == 1,
        "{json}"
    );
    assert!(
        site.ok(&["sessions", "list", "--listener", "mx"])
            .contains("127.0.0.1")
    );
    assert!(
        site.ok(&["sessions", "list", "--network", "192.0.2.0/24"])
            .contains("no such session")
    );

    // Nobody ends all by mistake.
    assert_eq!(site.run(&["sessions", "end"]).status.code(), Some(64));
    assert_eq!(
        site.run(&["sessions", "end", "--login", "nobody"]).status.code(),
        Some(1)
    );
    assert!(
        site.ok(&["sessions", "end", "--login", "tester@relay.test"])
            .contains("ended 1 session")
    );
    assert!(session.reply().unwrap().starts_with("421 4.7.0 Session ended"));
    site.wait_for_log(&["sessions ended", "tester@relay.test", "by="]);
    assert!(stranger.say("NOOP").unwrap().starts_with("250"));
    site.ok(&["sessions", "end", "--all"]);
    assert!(stranger.reply().unwrap().starts_with("421"));
    wait_until("they are gone", || {
        site.ok(&["sessions", "list", "--json"]).trim() == "[]"
    });

    // Mail sent with a stolen login can be found by login.
    let of = |login: &str| site.ok(&["queue", "list", "--json", "--login", login]);
    assert!(of("TESTER@relay.test").contains("x@outside.example"));
    assert_eq!(of("nobody").trim(), "[]");
    let held = site.ok(&["queue", "hold", "--login", "tester@relay.test"]);
    assert!(held.contains("1 message"), "{held}");
    site.ok(&["queue", "release", "--login", "tester@relay.test"]);
    site.ok(&["queue", "remove", "--login", "tester@relay.test"]);
    assert!(site.queue_is_empty());
}

/// What happens to an account: LDAP and SQL accounts that are disabled, removed or given another password while
/// their session is open.
type Change<'a> = &'a dyn Fn();

#[test]
fn accounts_of_others_are_looked_at_before_each_message() {
    let sink = Sink::start();
    let people = ["changed", "removed", "kept"].map(|uid| {
        let uid = format!("{uid}-ldap");
        person(
            &uid,
            &[&format!("{uid}@relay.test")],
            "{SHA}PLzZCtxLGSqHpiWFC38jHK3fDrM=",
        )
    });
    let slapd = Slapd::start_with(&SlapdOptions {
        ldif: people.concat(),
        ..SlapdOptions::default()
    });
    let extra = format!(
        "[[directory]]\nkind = \"ldap\"\nservers = [\"{}\"]\nsearch_base = \"{PEOPLE}\"\ncheck = \"compare\"\n\
         bind_dn = \"{ROOT_DN}\"\nbind_password_file = \"ldap.pass\"\n\
         [[directory]]\nkind = \"sql\"\nengine = \"sqlite\"\nfile = \"accounts.db\"\n\
         password_query = \"SELECT hash AS password, name AS login, active AS enabled FROM accounts WHERE name = :login\"\n\
         [auth]\nrecheck = \"0\"\n",
        slapd.url()
    );
    let mut site = Site::relay(sink.port(), &extra);
    private(&site.path("ldap.pass"), ROOT_PASSWORD);
    let database = rusqlite::Connection::open(site.path("accounts.db")).unwrap();
    database
        .execute_batch(
            "CREATE TABLE accounts (name TEXT PRIMARY KEY, hash TEXT, active INTEGER NOT NULL);\
             INSERT INTO accounts VALUES ('changed-sql', '{SHA}PLzZCtxLGSqHpiWFC38jHK3fDrM=', 1), ('removed-sql', '{SHA}PLzZCtxLGSqHpiWFC38jHK3fDrM=', 1),\
                 ('disabled-sql', '{SHA}PLzZCtxLGSqHpiWFC38jHK3fDrM=', 1), ('kept-sql', '{SHA}PLzZCtxLGSqHpiWFC38jHK3fDrM=', 1)",
        )
        .unwrap();
    site.start();
    let sql = |text: &str| database.execute_batch(text).unwrap();
    let entry =
        |uid: &str, lines: &str| slapd.modify(&format!("dn: uid={uid},{PEOPLE}\nchangetype: {lines}\n"));
    #[rustfmt::skip]
    let cases: [(&str, Change<'_>, Option<&str>); 7] = [
        ("changed-ldap",  &|| entry("changed-ldap", "modify\nreplace: userPassword\nuserPassword: other"),  Some("password changed")),
        ("removed-ldap",  &|| entry("removed-ldap", "delete"),                                              Some("unknown user")),
        ("kept-ldap",     &|| entry("kept-ldap", "modify\nreplace: sn\nsn: other"),                         None),
        ("changed-sql",   &|| sql("UPDATE accounts SET hash = '{SHA}0JQeaNqPOBUf+Gph/Fn3xc+fyqI=' WHERE name = 'changed-sql'"),  Some("password changed")),
        ("removed-sql",   &|| sql("DELETE FROM accounts WHERE name = 'removed-sql'"),                       Some("unknown user")),
        ("disabled-sql",  &|| sql("UPDATE accounts SET active = 0 WHERE name = 'disabled-sql'"),            Some("account disabled")),
        ("kept-sql",      &|| sql("UPDATE accounts SET active = 1 WHERE name = 'kept-sql'"),                None),
    ];
    for (login, change, reason) in cases {
        let mut session = site.tls_client(site.submission);
        let reply = session.login(login, "word").unwrap();
        assert!(reply.starts_with("235"), "{login}: {reply}\n{}", site.log());
        assert!(begins(&mut session).starts_with("250"), "{login}");
        assert!(session.say("RSET").unwrap().starts_with("250"), "{login}");
        change();
        let reply = begins(&mut session);
        match reason {
            None => assert!(reply.starts_with("250"), "{login}: {reply}"),
            Some(reason) => {
                assert_eq!(reply, OVER, "{login}");
                site.wait_for_log(&["login.revoked", login, reason]);
            }
        }
    }
}
