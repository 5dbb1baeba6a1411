//! What guessing passwords costs, whom it affects, and what an administrator sees and does about it.

use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use postern_store::{Record, Space, SqliteStore, Store as _};
use postern_testkit::process::{Server, program, wait_until};
use postern_testkit::sink::Sink;
use postern_testkit::slapd::{PEOPLE, Slapd};
use postern_testkit::smtp::Client;

use crate::harness::{Site, binary};

const RIGHT: &str = "test word";

/// Failures cost no time, so that the tests take little.
const QUICK: &str = "first_delay = \"0s\"\n";

fn site(in_auth: &str, extra: &str) -> (Sink, Site) {
    let sink = Sink::start();
    let site = Site::relay(sink.port(), &format!("[auth]\n{QUICK}{in_auth}\n{extra}"));
    (sink, site)
}

/// One attempt on a separate connection.
fn login(site: &Site, login: &str, password: &str) -> String {
    site.tls_client(site.submission).login(login, password).unwrap()
}

fn code(reply: &str) -> &str {
    &reply[..3]
}

/// The salt and iterations that SCRAM shows for a login. The exchange is cancelled.
fn salt(site: &Site, name: &str) -> String {
    let mut client = site.tls_client(site.submission);
    let challenge = begin_scram(&mut client, name);
    client.say("*").unwrap();
    let first = String::from_utf8(BASE64.decode(challenge).unwrap()).unwrap();
    first.split_once(",s=").unwrap().1.to_owned()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

fn begin_scram(client: &mut Client, name: &str) -> String {
    let first = BASE64.encode(format!("n,,n={name},r=abcdefgh"));
    let reply = client.say(&format!("AUTH SCRAM-SHA-256 {first}")).unwrap();
    reply
        .strip_prefix("334 ")
        .map_or_else(|| panic!("{name}: {reply}"), str::to_owned)
}

#[test]
fn spellings_of_a_name_have_one_salt_or_many_whether_somebody_has_it_or_not() {
    let (_sink, mut site) = site(
        "mechanisms = [\"SCRAM-SHA-256\", \"PLAIN\"]\nfailures_until_lockout = 1000\nnetwork_failures = 100000\n",
        "",
    );
    site.add_user("j\u{f6}rg@relay.test", RIGHT);
    site.start();
    // Existing and nonexistent names, with the same variations of spelling.
    let spellings = |name: &str, plain: &str| -> Vec<String> {
        let capitals = name.to_uppercase().replace("@RELAY.TEST", "@Relay.Test");
        vec![
            format!("{name}@relay.test"),
            format!("{capitals}@Relay.Test."),
            format!("\"{name}\"@relay.test"),
            format!(" {name}@relay.test"),
            format!("{plain}@relay.test"),
            format!("{name}\u{ad}@relay.test"),
            format!("{name}\u{301}@relay.test"),
        ]
    };
    let pattern = |name: &str, plain: &str| -> Vec<usize> {
        let salts: Vec<String> = spellings(name, plain)
            .iter()
            .map(|name| salt(&site, name))
            .collect();
        let first = |salt: &String| salts.iter().position(|other| other == salt).unwrap();
        salts.iter().map(first).collect()
    };
    let nobody = pattern("k\u{f6}rg", "korg");
    assert_eq!(nobody, [0, 0, 0, 0, 4, 5, 6]);
    assert_eq!(pattern("j\u{f6}rg", "jorg"), nobody, "and somebody's");
    assert_eq!(pattern("tester", "t\u{e9}ster"), pattern("nobody", "n\u{f3}body"));
}

#[test]
fn an_account_has_one_count_by_whatever_name_it_is_tried() {
    let slapd = Slapd::start();
    slapd.modify(&format!(
        "dn: uid=tester,{PEOPLE}\nchangetype: add\nobjectClass: inetOrgPerson\nuid: tester\ncn: tester\nsn: tester\n\
         mail: tester@relay.test\nmail: t.ester@relay.test\nuserPassword: {RIGHT}\n"
    ));
    let (_sink, mut site) = site("failures_until_lockout = 7\n", "");
    let config = std::fs::read_to_string(site.path("postern.toml"))
        .unwrap()
        .replace(
            "kind = \"users\"",
            &format!(
                "kind = \"ldap\"\nservers = [\"{}\"]\nsearch_base = \"{PEOPLE}\"\n\
             filter = \"(|(uid={{login}})(mail={{login}}))\"",
                slapd.url()
            ),
        );
    std::fs::write(site.path("postern.toml"), config).unwrap();
    site.start();
    let names = [
        "tester",
        "TESTER",
        "\u{ff54}ester",
        "tester@relay.test",
        "Tester@Relay.Test.",
        "t.ester@relay.test",
        "\"t.ester\"@relay.test",
    ];
    let replies: Vec<String> = (0..3)
        .flat_map(|round| names.map(|name| login(&site, name, &format!("wrong {round}"))))
        .collect();
    let checked = replies.iter().filter(|reply| code(reply) == "535").count();
    assert!(checked <= 7, "{checked}: {replies:?}");
    for name in names {
        let reply = login(&site, name, RIGHT);
        assert_eq!(code(&reply), "454", "{name}: the right one, locked out: {reply}");
    }
    site.wait_for_log(&["login=tester"]);
}

#[test]
fn exchanges_given_up_after_the_challenge_end_in_a_lockout() {
    let (_sink, mut site) = site(
        "mechanisms = [\"SCRAM-SHA-256\", \"PLAIN\"]\nfailures_until_lockout = 4\n",
        "",
    );
    site.start();
    let mut client = site.tls_client(site.submission);
    for _ in 0..3 {
        begin_scram(&mut client, "tester@relay.test");
        assert_eq!(client.say("*").unwrap(), "501 5.0.0 AUTH aborted");
        client.say("RSET").unwrap();
    }
    for _ in 0..5 {
        // Disconnected in the middle of it.
        begin_scram(&mut site.tls_client(site.submission), "tester@relay.test");
    }
    wait_until("the lockout", || site.log().contains("throttle.lockout"));
    assert_eq!(code(&login(&site, "tester@relay.test", RIGHT)), "454");
}

#[test]
fn who_goes_on_guessing_is_barred_and_users_of_the_network_are_not() {
    let (_sink, mut site) = site(
        "network_failures = 6\nnetwork_failures_until_lockout = 10\nfailures_until_lockout = 3\n",
        "",
    );
    site.add_user("boss@relay.test", RIGHT);
    site.start();
    assert_eq!(code(&login(&site, "tester@relay.test", RIGHT)), "235");
    let replies: Vec<String> = (0..12)
        .map(|number| login(&site, &format!("user{number}@relay.test"), "wrong"))
        .collect();
    let checked = replies.iter().filter(|reply| code(reply) == "535").count();
    assert_eq!(checked, 10, "{replies:?}");
    assert_eq!(replies[11], "454 4.7.0 Too many failed logins, try again later");
    assert_eq!(
        code(&login(&site, "boss@relay.test", RIGHT)),
        "454",
        "not from there before"
    );
    assert_eq!(
        code(&login(&site, "tester@relay.test", RIGHT)),
        "235",
        "from there before"
    );
    site.wait_for_log(&["network locked out"]);
    let log = site.log();
    let warnings = log
        .lines()
        .filter(|line| line.contains("network locked out"))
        .collect::<Vec<_>>();
    assert!(
        matches!(&warnings[..], [line] if line.contains("failures=10")),
        "one, with the count: {warnings:?}"
    );

    // And what an administrator does about it.
    for number in 0..3 {
        login(&site, "tester@relay.test", &format!("wrong {number}"));
    }
    let lockouts = site.ok(&["auth", "lockouts", "--json"]);
    let lockouts: serde_json::Value = serde_json::from_str(&lockouts).unwrap();
    let told: Vec<_> = lockouts
        .as_array()
        .unwrap()
        .iter()
        .map(|lockout| (&lockout["network"], &lockout["login"]))
        .collect();
    assert_eq!(told.len(), 2, "{lockouts}");
    assert!(
        told.iter()
            .any(|(network, login)| **network == "127.0.0.1/32" && login.is_null()),
        "{lockouts}"
    );
    assert!(
        told.iter().any(|(_, login)| **login == "tester@relay.test"),
        "{lockouts}"
    );
    let shown = site.ok(&["auth", "lockouts"]);
    assert!(
        shown.contains("tester@relay.test") && shown.contains("locked out for"),
        "{shown}"
    );
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    assert_eq!(site.run(&["auth", "unlock"]).status.code(), Some(64), "whom?");
    for (old, new) in [
        (&["auth", "bars", "--json"][..], "`postern auth lockouts`"),
        (&["auth", "unbar", "--login", "ann"], "`postern auth unlock`"),
    ] {
        let old = site.run(old);
        assert_eq!(old.status.code(), Some(64));
        let said = [old.stdout, old.stderr].concat();
        assert!(String::from_utf8_lossy(&said).contains(new), "{new}");
    }
    let nobody = site.run(&["auth", "unlock", "--login", "nobody"]);
    assert_eq!(nobody.status.code(), Some(1));
    assert_eq!(
        site.ok(&["auth", "unlock", "--login", "Tester@relay.test"])
            .trim(),
        "ended one lockout"
    );
    assert_eq!(code(&login(&site, "tester@relay.test", RIGHT)), "235");
    assert_eq!(
        site.ok(&["auth", "unlock", "--network", "127.0.0.1"]).trim(),
        "ended one lockout"
    );
    assert_eq!(code(&login(&site, "boss@relay.test", RIGHT)), "235");
    assert_eq!(site.ok(&["auth", "lockouts"]).trim(), "nobody is locked out");
    wait_until("the act in the log", || site.log().contains("lockouts lifted"));
}

/// Otherwise a restart would lose what distinguishes legitimate users from attackers in their network.
#[test]
fn logins_and_lockouts_outlive_a_restart() {
    let (_sink, mut site) = site(
        "network_failures = 6\nnetwork_failures_until_lockout = 10\nfailures_until_lockout = 3\n",
        "",
    );
    site.add_user("boss@relay.test", RIGHT);
    site.start();
    assert_eq!(code(&login(&site, "tester@relay.test", RIGHT)), "235");
    for number in 0..3 {
        login(&site, "boss@relay.test", &format!("wrong {number}"));
    }
    assert_eq!(code(&login(&site, "boss@relay.test", RIGHT)), "454");
    assert!(site.take_server().terminate().success());

    site.start();
    assert_eq!(
        code(&login(&site, "boss@relay.test", RIGHT)),
        "454",
        "the lockout goes on"
    );
    assert_eq!(
        site.ok(&["auth", "unlock", "--login", "boss@relay.test"]).trim(),
        "ended one lockout"
    );
    for number in 0..12 {
        login(&site, &format!("user{number}@relay.test"), "wrong");
    }
    assert_eq!(
        code(&login(&site, "boss@relay.test", RIGHT)),
        "454",
        "its network is locked out, and it was never in from there"
    );
    assert_eq!(
        code(&login(&site, "tester@relay.test", RIGHT)),
        "235",
        "from there before the restart"
    );
    assert!(site.take_server().terminate().success());

    site.start();
    let lockouts = site.ok(&["auth", "lockouts", "--json"]);
    assert!(
        lockouts.contains("127.0.0.1/32") && !lockouts.contains("boss@relay.test"),
        "what was lifted stays so: {lockouts}"
    );
}

/// Otherwise an attacker who can crash the server could guess endlessly, always one failure short of the lockout.
#[test]
fn failures_short_of_a_lock_out_count_after_a_crash() {
    let (_sink, mut site) = site("failures_until_lockout = 3\n", "");
    site.start();
    for number in 0..2 {
        assert_eq!(
            code(&login(&site, "tester@relay.test", &format!("wrong {number}"))),
            "535"
        );
    }
    wait_until("the failures on disk", || {
        let kept = SqliteStore::read(&site.path("state/state.db")).unwrap();
        let records = kept.map(|store| block_on(async { store.all(Space::LoginFailures).await.unwrap() }));
        let is_pair = |record: &Record| {
            record.key.contains("127.0.0.1\",\"tester@relay.test") && record.value.contains("\"halves\":4")
        };
        records.is_some_and(|records| records.iter().any(is_pair))
    });
    site.take_server().crash();
    site.start();
    assert_eq!(code(&login(&site, "tester@relay.test", "wrong again")), "535");
    assert_eq!(
        code(&login(&site, "tester@relay.test", RIGHT)),
        "454",
        "the third failure, one of them after the crash"
    );
}

#[test]
fn nobody_queues_up_behind_a_directory_that_hangs() {
    let hangs = TcpListener::bind("127.0.0.1:0").unwrap();
    let directory = format!(
        "[[directory]]\nkind = \"ldap\"\nservers = [\"ldap://{}\"]\nsearch_base = \"dc=none\"\ntimeout = \"2s\"\n",
        hangs.local_addr().unwrap()
    );
    let (_sink, mut site) = site("", &directory);
    site.start();
    let one = |_| code(&login(&site, "ann@relay.test", RIGHT)).to_owned();
    let replies: Vec<String> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..30).map(|number| scope.spawn(move || one(number))).collect();
        all.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(replies.iter().all(|reply| reply == "454"), "{replies:?}");
    wait_until("the reason of the last ones", || {
        site.log().contains("known to be down")
    });
    assert_eq!(
        code(&login(&site, "tester@relay.test", RIGHT)),
        "235",
        "whom another one knows"
    );
}

#[test]
fn strangers_cannot_read_the_directory_by_trying() {
    let sink = Sink::start();
    let mut site = Site::relay_with(
        sink.port(),
        "local_domains = [\"local.test\"]",
        "[limits]\nunknown_recipients = 5\n[delivery]\nmaildir = \"mail/{local}\"\n",
    );
    site.add_user("ann@local.test", RIGHT);
    site.start();
    let mut client = site.client();
    client.say("EHLO prober").unwrap();
    let rcpt = |client: &mut Client, name: &str| {
        client.say("MAIL FROM:<a@b.example>").unwrap();
        let reply = client.say(&format!("RCPT TO:<{name}@local.test>")).unwrap();
        client.say("RSET").unwrap();
        code(&reply).to_owned()
    };
    assert_eq!(rcpt(&mut client, "ann"), "250");
    for number in 0..5 {
        assert_eq!(rcpt(&mut client, &format!("guess{number}")), "550");
    }
    site.wait_for_log(&["answers delayed", "recipient.probe"]);
    let timed = |client: &mut Client, name: &str| {
        let begun = Instant::now();
        let code = rcpt(client, name);
        (code, begun.elapsed() >= Duration::from_secs(1))
    };
    // Existing users continue to get mail, and an answer about them takes as long as one about nonexistent users.
    for (name, code) in [("guess6", "550"), ("ann", "250")] {
        assert_eq!(timed(&mut client, name), (code.to_owned(), true), "{name}");
    }
    let mut another = site.client();
    another.say("EHLO prober").unwrap();
    assert_eq!(
        timed(&mut another, "ann"),
        ("250".to_owned(), true),
        "in another session"
    );
    assert_eq!(rcpt(&mut another, "postmaster"), "250");
    let mut user = site.tester();
    assert_eq!(
        rcpt(&mut user, "guess7"),
        "550",
        "who has logged in is no stranger"
    );
    assert_eq!(rcpt(&mut user, "ann"), "250");
}

#[test]
fn proofs_that_can_be_guessed_at_are_for_tls() {
    let mechanisms = "mechanisms = [\"SCRAM-SHA-256\", \"CRAM-MD5\", \"PLAIN\"]\n";
    for (in_auth, offered) in [
        ("", false),
        ("least_bits = 0\n", true),
        ("least_bits = 128\n", false),
    ] {
        let (_sink, mut site) = site(&format!("{mechanisms}{in_auth}"), "");
        site.start();
        let mut client = Client::connect(site.submission).unwrap().0;
        let hello = client.say("EHLO helo").unwrap();
        assert_eq!(hello.contains("SCRAM-SHA-256"), offered, "{in_auth}: {hello}");
        assert_eq!(hello.contains("CRAM-MD5"), offered, "{in_auth}: {hello}");
        if !offered {
            let first = BASE64.encode("n,,n=tester@relay.test,r=abcdefgh");
            let reply = client.say(&format!("AUTH SCRAM-SHA-256 {first}")).unwrap();
            assert_eq!(code(&reply), "503", "{reply}");
        }
        let mut inside = site.tls_client(site.submission);
        begin_scram(&mut inside, "tester@relay.test");
    }
}

#[test]
fn passwords_are_not_too_short() {
    let (_sink, site) = site("", "");
    let add =
        |password: &str| site.run_with(&["user", "add", "ann@relay.test", "--password-stdin"], password);
    let refused = add("1234567");
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        said.contains("7 characters") && said.contains("at least 8"),
        "{said}"
    );
    assert!(
        add("p\u{e4}\u{df}word").status.code() == Some(1),
        "characters are counted, not octets"
    );
    assert!(add("12345678").status.success());
    assert!(
        site.run(&["user", "passwd", "ann@relay.test", "--generate"])
            .status
            .success()
    );
}

/// The unit's filter forbids calls that change resources, but hashing needs one of them.
#[test]
fn hashing_steps_back_under_the_filter_of_the_unit() {
    let _ = program("/usr/share/doc/python3-seccomp", "python3-seccomp");
    let packaging = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/postern.service");
    let unit = std::fs::read_to_string(&packaging).unwrap();
    let forbids = unit.replace("SystemCallFilter=setpriority\n", "");
    assert_ne!(unit, forbids);
    for (shows, unit, complains) in [("as it is", &unit, false), ("without the line", &forbids, true)] {
        let (_sink, site) = site("", "");
        std::fs::write(site.path("unit"), unit).unwrap();
        let mut command = Command::new("/usr/bin/python3");
        command
            .arg(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios/unit_filter.py"))
            .arg(site.path("unit"))
            .arg(binary())
            .args(["serve", "--config"])
            .arg(site.path("postern.toml"))
            .current_dir(site.path(""));
        let server = Server::start(&mut command, &site.path("log"));
        wait_until("the server", || {
            std::net::TcpStream::connect(("127.0.0.1", site.submission)).is_ok()
        });
        assert_eq!(code(&login(&site, "tester@relay.test", RIGHT)), "235", "{shows}");
        if complains {
            wait_until("a word about it", || {
                site.log().contains("SystemCallFilter=setpriority")
            });
        } else {
            // The warning would come before the login, whose line is already there.
            wait_until("the login", || site.log().contains("mechanism=PLAIN"));
            assert!(
                !site.log().contains("priority of all other work"),
                "{}",
                site.log()
            );
        }
        assert!(server.terminate().success());
    }
}
