//! Thousands of hosts that accept connections and say nothing: they delay only each other.
//!
//! There is no time limit for them here, so mail that arrives has not waited for any of them.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::{Bench, CONTENT, Names, PATIENCE, envelope, put_from, settings, spool_at};
use postern_deliver::{PlacesStatus, Settings};
use postern_mail::QueueId;
use postern_net::tls::Verification;
use postern_policy::DomainSet;
use postern_policy::route::Target;
use postern_spool::{Origin, OutcomeKind, Spool as _};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// Longer than any test.
const FOR_EVER: Duration = Duration::from_secs(3_600);

/// Places for connections in these tests: 100 are reserved for users, 40 for strangers, 20 for reports; half of each for new
/// hosts.
const PLACES: usize = 200;

const SILENT: usize = 2_000;

/// Every address of 127.0.0.0/8 on one port: 127.0.0.x accepts mail (127.0.0.66 refuses it), all others only accept connections.
struct World {
    port: u16,
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    /// Open silent connections by address, and the most there were.
    silent: HashMap<IpAddr, (usize, usize)>,
    /// When each message was accepted.
    taken: Vec<Instant>,
}

impl World {
    async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let task = tokio::spawn({
            let seen = seen.clone();
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let IpAddr::V4(at) = stream.local_addr().unwrap().ip() else {
                        continue;
                    };
                    let seen = seen.clone();
                    tokio::spawn(async move {
                        match at.octets() {
                            [_, 0, 0, last] => drop(take_mail(stream, last == 66, &seen).await),
                            _ => say_nothing(stream, at.into(), &seen).await,
                        }
                    });
                }
            }
        });
        Self { port, seen, task }
    }

    fn silent(&self) -> usize {
        self.seen
            .lock()
            .unwrap()
            .silent
            .values()
            .map(|(open, _)| open)
            .sum()
    }

    /// The most connections that were open at once at one address.
    fn most_at_one(&self) -> usize {
        let seen = self.seen.lock().unwrap();
        seen.silent.values().map(|(_, most)| *most).max().unwrap_or(0)
    }

    fn taken(&self) -> usize {
        self.seen.lock().unwrap().taken.len()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn say_nothing(stream: TcpStream, at: IpAddr, seen: &Mutex<Seen>) {
    {
        let mut seen = seen.lock().unwrap();
        let (open, most) = seen.silent.entry(at).or_default();
        *open += 1;
        *most = (*most).max(*open);
    }
    let mut stream = BufReader::new(stream);
    let _ = stream.read_line(&mut String::new()).await;
    seen.lock().unwrap().silent.get_mut(&at).unwrap().0 -= 1;
}

async fn take_mail(stream: TcpStream, refuses: bool, seen: &Mutex<Seen>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 mx.test\r\n").await?;
    let (mut line, mut body) = (String::new(), false);
    while {
        line.clear();
        stream.read_line(&mut line).await? > 0
    } {
        let reply: &[u8] = match (body, line.split_whitespace().next().unwrap_or_default()) {
            (true, ".") => {
                body = false;
                seen.lock().unwrap().taken.push(Instant::now());
                b"250 done\r\n"
            }
            (true, _) => continue,
            (false, "EHLO") => b"250 mx.test\r\n",
            (false, "RCPT") if refuses => b"550 5.1.1 nobody\r\n",
            (false, "DATA") => {
                body = true;
                b"354 go\r\n"
            }
            (false, "QUIT") => b"221 bye\r\n",
            (false, _) => b"250 ok\r\n",
        };
        stream.write_all(reply).await?;
    }
    Ok(())
}

/// `dN.silent.test` is a silent host with a network of its own, all of `one.test` is one silent host, `liveN.test` accepts mail.
fn names() -> Names {
    let mut zones = String::from("    local-zone: \"test.\" static\n");
    for n in 0..SILENT {
        let _ = writeln!(
            zones,
            "    local-data: \"d{n}.silent.test. 600 A 127.{}.{}.1\"",
            1 + n / 250,
            1 + n % 250
        );
    }
    for n in 0..50 {
        let _ = writeln!(zones, "    local-data: \"live{n}.test. 600 A 127.0.0.{}\"", 2 + n);
    }
    zones.push_str(
        "    local-data: \"no.test. 600 A 127.0.0.66\"\n    local-zone: \"one.test.\" redirect\n    \
         local-data: \"one.test. 600 A 127.200.0.1\"\n",
    );
    Names::start(&zones)
}

fn start(names: &Names, world: &World, change: impl FnOnce(&mut Settings)) -> Bench {
    let mut settings = settings();
    settings.mx_port = world.port;
    settings.mx_networks = vec!["127.0.0.0/8".parse().unwrap()];
    settings.limits.connections = PLACES;
    settings.timeouts.greeting = FOR_EVER;
    settings.timeouts.crowded = FOR_EVER;
    settings.retry.intervals = vec![FOR_EVER];
    settings.retry.expire_after = FOR_EVER * 24;
    change(&mut settings);
    let folder = tempfile::tempdir().unwrap();
    let spool = spool_at(folder.path());
    Bench::over(folder, spool, settings, &names.resolver(), Verification::None)
}

async fn put(bench: &Bench, origin: Origin, from: &str, to: &str) -> QueueId {
    put_from(&bench.spool, origin, envelope(from, &[to]), CONTENT.as_bytes()).await
}

async fn until(what: &str, done: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "{what} awaited");
        sleep(Duration::from_millis(5)).await;
    }
}

fn places(bench: &Bench, class: &str) -> PlacesStatus {
    let all = bench.deliverer.places();
    all.into_iter().find(|one| one.class == class).unwrap()
}

/// Mail of this origin for many hosts, new and known, all of it delivered.
async fn all_arrive(bench: &Bench, origin: Origin) {
    let mut ids = Vec::new();
    for n in 0..100 {
        ids.push(put(bench, origin, "ann@own.test", &format!("b@live{}.test", n % 10)).await);
    }
    for id in ids {
        let history = bench.outcomes(id, 1).await;
        assert_eq!(history[0].kind, OutcomeKind::Delivered);
        assert_eq!(history[0].attempts, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_mail_for_silent_hosts_delays_no_user() {
    let (names, world) = (names(), World::start().await);
    let bench = start(&names, &world, |_| {});
    for n in 0..SILENT {
        put(
            &bench,
            Origin::Stranger,
            "x@y.test",
            &format!("x@d{n}.silent.test"),
        )
        .await;
    }
    until("silent hosts", || world.silent() >= 10).await;
    all_arrive(&bench, Origin::Smtp).await;
    all_arrive(&bench, Origin::Report).await;
    assert_eq!(bench.spool.counts().messages as usize, SILENT, "all others wait");
    let strangers = places(&bench, "strangers");
    assert!(
        strangers.unproven <= strangers.unproven_most && strangers.unproven >= 10,
        "{strangers:?}"
    );
    let listed = bench.deliverer.destinations();
    assert!(
        listed
            .iter()
            .filter(|one| one.in_line && one.waiting_by_class.strangers > 0)
            .count()
            > 1_000
    );
    assert!(
        listed
            .iter()
            .any(|one| one.destination == "mx:live3.test" && one.proven)
    );
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bounces_to_silent_hosts_delay_nobody() {
    let (names, world) = (names(), World::start().await);
    let bench = start(&names, &world, |_| {});
    for n in 0..1_300 {
        put(
            &bench,
            Origin::Stranger,
            &format!("x@d{n}.silent.test"),
            "nobody@no.test",
        )
        .await;
    }
    until("reports in line", || places(&bench, "reports").in_line > 1_000).await;
    all_arrive(&bench, Origin::Smtp).await;
    all_arrive(&bench, Origin::Stranger).await;
    let reports = places(&bench, "reports");
    assert!(reports.unproven <= reports.unproven_most, "{reports:?}");
    bench.stop().await;
}

/// Nor does a user's own mail for silent hosts: hosts that have accepted mail recently keep their places, local mail needs none.
#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_work_keep_their_places() {
    let (names, world) = (names(), World::start().await);
    let mailboxes = tempfile::tempdir().unwrap();
    let bench = start(&names, &world, |settings| {
        settings.routes.local_domains = DomainSet::new(["own.test"]).unwrap();
        settings.routes.local = Target::Maildir(mailboxes.path().join("{local}"));
    });
    all_arrive(&bench, Origin::Smtp).await;
    for n in 0..SILENT {
        put(
            &bench,
            Origin::Smtp,
            "ann@own.test",
            &format!("x@d{n}.silent.test"),
        )
        .await;
    }
    until("silent hosts", || world.silent() >= 25).await;
    all_arrive(&bench, Origin::Smtp).await;
    for n in 0..20 {
        let id = put(&bench, Origin::Smtp, "ann@own.test", &format!("box{n}@own.test")).await;
        assert_eq!(bench.outcomes(id, 1).await[0].kind, OutcomeKind::Delivered);
    }
    assert_eq!(bench.spool.counts().messages as usize, SILENT);
    bench.stop().await;
}

/// A DNS wildcard makes unlimited domains, but no more connections to the one host behind them.
#[tokio::test(flavor = "multi_thread")]
async fn one_silent_host_behind_many_names_gets_few_connections() {
    let (names, world) = (names(), World::start().await);
    let bench = start(&names, &world, |settings| {
        settings.timeouts.crowded = Duration::from_secs(2)
    });
    for n in 0..500 {
        put(&bench, Origin::Smtp, "ann@own.test", &format!("x@w{n}.one.test")).await;
    }
    until("hosts in line for the address", || {
        places(&bench, "users").in_line_for_address > 100
    })
    .await;
    for n in 0..20 {
        put(
            &bench,
            Origin::Smtp,
            "ann@own.test",
            &format!("x@d{n}.silent.test"),
        )
        .await;
    }
    all_arrive(&bench, Origin::Smtp).await;
    // The next ones get their turn when earlier ones have been given up.
    let tried = |bench: &Bench| {
        let all = bench.deliverer.destinations();
        all.iter()
            .filter(|one| one.destination.contains(".one.test") && one.last_error.is_some())
            .count()
    };
    until("turns", || tried(&bench) > 12).await;
    // Six at a time; the host may see new ones before it sees that earlier ones have ended.
    assert!(
        world.most_at_one() <= 12,
        "{} connections to one address",
        world.most_at_one()
    );
    bench.stop().await;
}

/// With the defaults: how long a user's mail takes beside two thousand silent hosts. Prints a figure; run it by name.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn measure_latency_beside_silent_hosts() {
    for (who, origin) in [
        ("nobody", None),
        ("strangers", Some(Origin::Stranger)),
        ("the user", Some(Origin::Smtp)),
    ] {
        let (names, world) = (names(), World::start().await);
        let bench = start(&names, &world, |settings| {
            let defaults = Settings::new("relay.test", settings.routes.clone());
            settings.timeouts = defaults.timeouts;
            settings.limits = defaults.limits;
        });
        for n in 0..SILENT * usize::from(origin.is_some()) {
            put(
                &bench,
                origin.unwrap(),
                "ann@own.test",
                &format!("x@d{n}.silent.test"),
            )
            .await;
        }
        let mut took = Vec::new();
        for n in 0..1_000 {
            let began = Instant::now();
            put(
                &bench,
                Origin::Smtp,
                "ann@own.test",
                &format!("b@live{}.test", n % 50),
            )
            .await;
            while world.taken() <= n {
                sleep(Duration::from_micros(500)).await;
            }
            took.push(world.seen.lock().unwrap().taken[n] - began);
        }
        took.sort();
        println!(
            "silent hosts of {who}: median {:?}, p99 {:?}, longest {:?}; {} silent connections",
            took[500],
            took[990],
            took[999],
            world.silent()
        );
        bench.stop().await;
    }
}
