//! What an attacker tries at the login: to find out who exists, to replay an exchange, to guess with many mechanisms at once,
//! to fill the memory with unfinished exchanges.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use postern_sasl::{ClientContext, ClientExchange, Credentials, Mechanism, Nonce, ScramHash};
use postern_testkit::sink::Sink;
use postern_testkit::slapd::{PEOPLE, Slapd};
use postern_testkit::smtp::Client;
use secrecy::SecretString;

use crate::harness::{Site, resident_kib};

const KNOWN: &str = "tester@relay.test";
/// As long as the known one, so that length makes no difference.
const UNKNOWN: &str = "nobody@relay.test";
const RIGHT: &str = "test word";

const WITH_KEYS: [Mechanism; 6] = [
    Mechanism::CramMd5,
    Mechanism::DigestMd5,
    Mechanism::Scram(ScramHash::Sha1),
    Mechanism::Scram(ScramHash::Sha256),
    Mechanism::Scram(ScramHash::Sha512),
    Mechanism::Ntlm,
];

/// A site with every password mechanism.
fn site(hop: u16, in_auth: &str, extra: &str) -> Site {
    let mut names = vec!["\"PLAIN\"".to_owned(), "\"LOGIN\"".to_owned()];
    names.extend(WITH_KEYS.map(|mechanism| format!("\"{}\"", mechanism.name())));
    let extra = format!(
        "[auth]\nmechanisms = [{}]\nscram_iterations = 4096\n{in_auth}\n{extra}",
        names.join(", ")
    );
    Site::relay(hop, &extra)
}

/// Guesses cost nothing and lock nobody out.
const FREE: &str = "free_failures = 1000\nfailures_until_lockout = 100000\nnetwork_failures = 1000000\nlogin_failures = 1000000\n";

/// What the server said in an exchange: the challenges, and the last reply.
#[derive(Debug)]
struct Said {
    sent: Vec<String>,
    challenges: Vec<String>,
    reply: String,
}

impl Said {
    /// What a stranger sees that does not depend on random numbers.
    fn shape(&self) -> (Vec<usize>, &str) {
        let lengths = self.challenges.iter().map(String::len).collect();
        (lengths, &self.reply)
    }
}

fn exchange(mechanism: Mechanism, login: &str, password: &str) -> ClientExchange {
    let credentials = Credentials {
        login: login.into(),
        password: Some(SecretString::from(password)),
        ..Credentials::default()
    };
    let now = u64::try_from(jiff::Timestamp::now().as_second()).unwrap();
    let context = ClientContext::new("mx.relay.test", 25, Nonce::new(rand::random()), now);
    mechanism.client(&credentials, &context).unwrap()
}

fn try_login(client: &mut Client, mechanism: Mechanism, login: &str, password: &str) -> Said {
    let mut exchange = exchange(mechanism, login, password);
    let mut line = format!("AUTH {}", mechanism.name());
    if let Some(initial) = exchange.initial() {
        line = format!("{line} {}", BASE64.encode(initial.as_slice()));
    }
    let (mut sent, mut challenges) = (vec![line.clone()], Vec::new());
    let mut reply = client.say(&line).unwrap();
    while let Some(challenge) = reply.strip_prefix("334 ").map(str::to_owned) {
        let octets = BASE64.decode(&challenge).unwrap();
        challenges.push(challenge);
        let response = exchange.step(&octets).unwrap();
        sent.push(BASE64.encode(response.as_slice()));
        reply = client.say(sent.last().unwrap()).unwrap();
    }
    Said {
        sent,
        challenges,
        reply,
    }
}

/// The median time of a denial.
fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Two kinds of logins alternating, so that load on the machine affects both.
fn compare_times(what: &str, rounds: usize, mut time: impl FnMut(&str) -> Duration) {
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    // An additional password hash or directory round trip would exceed this.
    let alike = |known: Duration, unknown: Duration| {
        let bound = (known.max(unknown) / 2).max(Duration::from_millis(10));
        known.abs_diff(unknown) <= bound
    };
    // A busy machine makes some rounds slow. Only a difference in every batch counts.
    for batch in 0..BATCHES {
        for round in 0..rounds {
            let order = if round % 2 == 0 {
                [KNOWN, UNKNOWN]
            } else {
                [UNKNOWN, KNOWN]
            };
            for login in order {
                let times = if login == KNOWN { &mut known } else { &mut unknown };
                times.push(time(login));
            }
        }
        let (of_known, of_unknown) = (median(&mut known), median(&mut unknown));
        println!("{what}: known {of_known:?}, unknown {of_unknown:?}");
        if alike(of_known, of_unknown) {
            return;
        }
        assert!(
            batch + 1 < BATCHES,
            "{what}: known {of_known:?}, unknown {of_unknown:?}"
        );
        known.clear();
        unknown.clear();
    }
}

/// How often times are compared before they count as different.
const BATCHES: usize = 4;

#[test]
fn neither_time_nor_form_of_a_denial_tells_who_exists() {
    let sink = Sink::start();
    let mut site = site(sink.port(), FREE, "");
    site.start();
    for mechanism in [&[Mechanism::Plain, Mechanism::Login][..], &WITH_KEYS[..]].concat() {
        let mut shapes: Vec<(Vec<usize>, String)> = Vec::new();
        compare_times(mechanism.name(), 11, |login| {
            let mut client = site.tls_client(site.submission);
            let start = Instant::now();
            let said = try_login(&mut client, mechanism, login, "wrong");
            let took = start.elapsed();
            assert_eq!(said.reply, "535 5.7.0 authentication failed");
            let (lengths, reply) = said.shape();
            shapes.push((lengths, reply.to_owned()));
            took
        });
        // CRAM-MD5's challenge contains numbers from the clock.
        if mechanism != Mechanism::CramMd5 {
            shapes.dedup();
            assert_eq!(shapes.len(), 1, "{mechanism}: {shapes:?}");
        }
    }
}

#[test]
fn ldap_does_not_tell_who_exists_by_its_time() {
    let sink = Sink::start();
    // An expensive hash, as in real directories: only for the tester, since a nonexistent user has none.
    let hashed = "{CRYPT}$6$rounds=20000$saltsaltsaltsalt$\
                  VJjLHbcLyXVzXBgjYpIOSRbOyJSeQkMPdHTsZsFoGkWlPRYtBHVbPwQYSLqWcVNgaxWyXBwEdTdOMTdwTCAbM/";
    let slapd = Slapd::start();
    slapd.modify(&format!(
        "dn: uid=tester,{PEOPLE}\nchangetype: add\nobjectClass: inetOrgPerson\nuid: tester\ncn: tester\nsn: tester\n\
         mail: {KNOWN}\nuserPassword: {hashed}\n"
    ));
    let mut site = Site::relay(sink.port(), &format!("[auth]\n{FREE}"));
    let config = std::fs::read_to_string(site.path("postern.toml")).unwrap().replace(
        "kind = \"users\"",
        &format!(
            "kind = \"ldap\"\nservers = [\"{}\"]\nsearch_base = \"{PEOPLE}\"\nfilter = \"(mail={{login}})\"",
            slapd.url()
        ),
    );
    std::fs::write(site.path("postern.toml"), config).unwrap();
    site.start();
    compare_times("PLAIN by LDAP", 15, |login| {
        let mut client = site.tls_client(site.submission);
        let start = Instant::now();
        let reply = client.login(login, "wrong").unwrap();
        assert_eq!(reply, "535 5.7.0 authentication failed");
        start.elapsed()
    });
}

/// The first message of the server in SCRAM, without its nonce: salt and iterations.
fn salt(site: &Site, hash: ScramHash, login: &str) -> String {
    let mut client = site.tls_client(site.submission);
    let said = try_login(&mut client, Mechanism::Scram(hash), login, "wrong");
    let first = String::from_utf8(BASE64.decode(&said.challenges[0]).unwrap()).unwrap();
    first.split_once(",s=").unwrap().1.to_owned()
}

#[test]
fn a_salt_stays_what_it_was_whoever_it_belongs_to() {
    let sink = Sink::start();
    let mut site = site(sink.port(), FREE, "");
    site.start();
    let salts = |site: &Site| {
        [ScramHash::Sha1, ScramHash::Sha256]
            .into_iter()
            .flat_map(|hash| [KNOWN, UNKNOWN, "another@relay.test"].map(|login| salt(site, hash, login)))
            .collect::<Vec<_>>()
    };
    let before = salts(&site);
    assert_eq!(salts(&site), before, "asked again");
    assert!(site.take_server().terminate().success());
    site.start();
    assert_eq!(salts(&site), before, "after a restart");
    let mut different = before.clone();
    different.sort_unstable();
    different.dedup();
    assert_eq!(different.len(), before.len(), "one each: {before:?}");
}

#[test]
fn an_exchange_that_was_seen_is_of_no_use() {
    let sink = Sink::start();
    let mut site = site(sink.port(), FREE, "");
    site.start();
    for mechanism in WITH_KEYS {
        let mut client = site.tls_client(site.submission);
        let seen = try_login(&mut client, mechanism, KNOWN, RIGHT);
        assert!(seen.reply.starts_with("235"), "{mechanism}: {}", seen.reply);
        // Verbatim, on another connection, while the first one is still open.
        let mut thief = site.tls_client(site.submission);
        let mut last = String::new();
        for line in &seen.sent {
            last = thief.say(line).unwrap();
            if !last.starts_with("334") {
                break;
            }
        }
        assert!(last.starts_with('5'), "{mechanism}: {last}");
        let reply = thief.say("MAIL FROM:<tester@relay.test>").unwrap();
        assert!(reply.starts_with("530"), "{mechanism}: {reply}");
    }
}

#[test]
fn guesses_count_together_whatever_the_mechanism() {
    let sink = Sink::start();
    let mut site = site(
        sink.port(),
        "free_failures = 1000\nfailures_until_lockout = 8\nnetwork_failures = 1000\nfirst_delay = \"0s\"\n",
        "",
    );
    site.start();
    let guesses: Vec<String> = std::thread::scope(|scope| {
        let site = &site;
        let threads: Vec<_> = [&[Mechanism::Plain, Mechanism::Login][..], &WITH_KEYS[..]]
            .concat()
            .into_iter()
            .map(|mechanism| {
                scope.spawn(move || {
                    (0..4)
                        .map(|_| {
                            let mut client = site.tls_client(site.submission);
                            try_login(&mut client, mechanism, KNOWN, "wrong").reply
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    let denied = guesses.iter().filter(|reply| reply.starts_with("535")).count();
    assert!(
        (1..=8).contains(&denied),
        "{denied} guesses were checked: {guesses:?}"
    );
    // The lockout applies to every mechanism, even with the right password.
    for mechanism in [
        Mechanism::Plain,
        Mechanism::Scram(ScramHash::Sha256),
        Mechanism::CramMd5,
    ] {
        let mut client = site.tls_client(site.submission);
        let said = try_login(&mut client, mechanism, KNOWN, RIGHT);
        assert!(said.reply.starts_with("4"), "{mechanism}: {}", said.reply);
    }
}

#[test]
fn exchanges_half_done_leave_nothing_behind() {
    let sink = Sink::start();
    // The memory for failed logins is full before measuring.
    let mut site = site(sink.port(), &format!("{FREE}remembered = 100\n"), "");
    site.start();
    let pid = site.server().pid();
    let begin = |client: &mut Client, number: u32| {
        // Each with a different login, so that anything kept per login would grow.
        let first = BASE64.encode(format!("n,,n=guess{number}@relay.test,r=abcdefgh"));
        let reply = client.say(&format!("AUTH SCRAM-SHA-256 {first}")).unwrap();
        assert!(reply.starts_with("334"), "{reply}");
    };
    let mut number = 0;
    let mut round = |count: u32| {
        for _ in 0..count / 20 {
            let mut client = site.tls_client(site.submission);
            for _ in 0..19 {
                number += 1;
                begin(&mut client, number);
                assert_eq!(client.say("*").unwrap(), "501 5.0.0 AUTH aborted");
                // Consecutive mistakes end the session; a valid command keeps it.
                client.say("RSET").unwrap();
            }
            // And the last one is abandoned in the middle.
            number += 1;
            begin(&mut client, number);
        }
    };
    round(400);
    let before = resident_kib(pid);
    round(2_000);
    let grown = resident_kib(pid).saturating_sub(before);
    assert!(grown < 8 * 1024, "{grown} KiB more after 2,000 exchanges");
}
