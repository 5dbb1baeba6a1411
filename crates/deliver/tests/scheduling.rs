//! Who is served when: connections, pauses, restarts, administrators.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use common::{Bench, CONTENT, Host, PATIENCE, envelope, put, rule, settings, shown, spool_at, to_ports};
use postern_deliver::Settings;
use postern_net::resolver::ResolverSettings;
use postern_net::tls::Verification;
use postern_spool::{Selection, Spool as _};
use postern_testkit::process::{free_port, program, wait_for_port, wait_until};
use postern_testkit::sink::Sink;

const HELLO: &str = "S 220 mx.test\nC EHLO relay.test\nS 250-mx.test\nS 250-PIPELINING\nS 250 8BITMIME\n";
const TAKE: &str = "C MAIL\nC RCPT\nC DATA\nS 250 ok\nS 250 ok\nS 354 go\nBODY\nS 250 done\n";

fn restart(
    folder: tempfile::TempDir,
    spool: std::sync::Arc<postern_spool::SqliteSpool>,
    settings: Settings,
) -> Bench {
    Bench::over(
        folder,
        spool,
        settings,
        &ResolverSettings::default(),
        Verification::None,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_host_is_tried_when_one_is_down() {
    let sink = Sink::start();
    let busy = Host::start(&["S 421 4.3.2 busy\n"]).await;
    let bench = Bench::start(to_ports(&[free_port(), busy.port, sink.port()]));
    let id = bench.put("", &["b@x.test"], CONTENT).await;
    let history = bench.outcomes(id, 1).await;
    assert_eq!(history[0].attempt.relay, format!("127.0.0.1:{}", sink.port()));
    assert_eq!(history[0].attempts, 1);
    bench.stop().await;
}

/// If the connection is lost before the end of the data, nobody has the message: the next host gets it in the same attempt.
#[tokio::test(flavor = "multi_thread")]
async fn the_next_host_is_tried_when_one_cannot_go_on() {
    let slow = "S 220 mx.test\nC EHLO relay.test\nS 250 mx.test\n";
    let eager = "S 220 mx.test\nC EHLO relay.test\nS 250-mx.test\nS 250-CHUNKING\nS 250 PIPELINING\n";
    #[rustfmt::skip]
    let cases = [
        ("closed at MAIL",                  format!("{HELLO}C MAIL\n"),                                                true),
        ("closed at MAIL, step by step",    format!("{slow}C MAIL\n"),                                                 true),
        ("closed at RCPT",                  format!("{HELLO}C MAIL\nS 250 ok\nC RCPT\n"),                             true),
        ("closed at DATA",                  format!("{slow}C MAIL\nS 250 ok\nC RCPT\nS 250 ok\nC DATA\n"),            true),
        ("closed, content on its way",      format!("{eager}C MAIL\nC RCPT\n"),                                        true),
        ("going down at RCPT",              format!("{slow}C MAIL\nS 250 ok\nC RCPT\nS 421 4.3.2 going down\nEOF"),   true),
        ("disk full",                       format!("{slow}C MAIL\nS 452 4.3.1 full\nC QUIT\nS 221 bye\n"),           true),
        ("no reply",                        format!("{HELLO}C MAIL\nS what\n"),                                       true),
        ("closed at the end of data",       format!("{HELLO}C MAIL\nC RCPT\nC DATA\nS 250 ok\nS 250 ok\nS 354 go\nBODY\n"), false),
        ("greylisted",                      format!("{slow}C MAIL\nS 250 ok\nC RCPT\nS 450 4.2.0 later\nC RSET\nS 250 ok\nEOF"), false),
    ];
    for (shows, script, next) in cases {
        let sink = Sink::start();
        let host = Host::start(&[&script]).await;
        let mut settings = to_ports(&[host.port, sink.port()]);
        settings.retry.intervals = vec![Duration::from_secs(600)];
        let bench = Bench::start(settings);
        let id = bench.put("", &["b@x.test"], CONTENT).await;
        if next {
            let history = bench.outcomes(id, 1).await;
            assert_eq!(history[0].attempts, 1, "{shows}");
            assert_eq!(
                history[0].attempt.relay,
                format!("127.0.0.1:{}", sink.port()),
                "{shows}"
            );
        } else {
            bench.deferral(id).await;
            assert_eq!(sink.total(), 0, "{shows}");
        }
        bench.stop().await;
    }
}

/// A host that accepts connections and then always times out costs a few of them, not one per message.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_lets_time_limits_pass_counts_as_dead() {
    let host = Host::start(&[&format!("{HELLO}HANG")]).await;
    let mut settings = to_ports(&[host.port]);
    settings.retry.intervals = vec![Duration::from_secs(600)];
    settings.timeouts.mail = Duration::from_millis(200);
    let bench = Bench::start(settings);
    for _ in 0..60 {
        bench.put("", &["b@x.test"], CONTENT).await;
    }
    let last = bench.put("", &["b@x.test"], CONTENT).await;
    bench.deferral(last).await;
    assert!(host.connections() <= 6, "{} connections", host.connections());
    assert!(bench.deliverer.destinations()[0].paused_until.is_some());
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_closed_while_it_waited_costs_no_attempt() {
    let scripts = [
        ("closed in silence", format!("{HELLO}{TAKE}WAIT 100\n")),
        (
            "closed with a word",
            format!("{HELLO}{TAKE}WAIT 100\nS 421 4.4.2 idle too long\nEOF"),
        ),
        (
            "421 to the next MAIL",
            format!("{HELLO}{TAKE}C MAIL\nS 421 4.4.2 too many messages\n"),
        ),
        ("closed at the next MAIL", format!("{HELLO}{TAKE}C MAIL\n")),
    ];
    for (shows, first) in scripts {
        let host = Host::start(&[&first, &format!("{HELLO}{TAKE}EOF")]).await;
        let bench = Bench::start(to_ports(&[host.port]));
        for pause in [300, 0] {
            let id = bench.put("", &["b@x.test"], CONTENT).await;
            let history = bench.outcomes(id, 1).await;
            assert_eq!(history[0].attempts, 1, "{shows}");
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        assert_eq!(host.connections(), 2, "{shows}");
        bench.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_and_dead_destinations_delay_nobody() {
    let sink = Sink::start();
    let slow = Host::start(&["HANG"]).await;
    let mut settings = settings();
    settings.routes.rules = vec![
        rule("slow.test", &[slow.port]),
        rule("dead.test", &[free_port()]),
        rule("*", &[sink.port()]),
    ];
    settings.limits.connections = 12;
    settings.limits.waiting_per_destination = 10;
    settings.limits.waiting = 20;
    settings.retry.intervals = vec![Duration::from_secs(1)];
    let bench = Bench::start(settings);
    for n in 0..100 {
        bench
            .put(
                "",
                &[&format!("b{n}@slow.test"), &format!("b{n}@dead.test")],
                CONTENT,
            )
            .await;
    }
    // The time limit for the slow host is far longer than this test waits for anything.
    for n in 0..20 {
        let id = bench.put("", &[&format!("b{n}@quick.test")], CONTENT).await;
        bench.outcomes(id, 1).await;
    }
    let status = bench.deliverer.destinations();
    let slow_status = status
        .iter()
        .find(|status| status.destination.contains(&slow.port.to_string()))
        .unwrap();
    assert!(
        slow_status.connections <= 2,
        "few until it has shown that it works: {slow_status:?}"
    );
    assert!(
        slow_status.backlog,
        "what does not fit waits in the spool: {slow_status:?}"
    );
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_destination_is_not_asked_for_every_message_and_found_when_it_is_back() {
    let port = free_port();
    let mut settings = to_ports(&[port]);
    settings.retry.intervals = vec![Duration::from_secs(1)];
    let bench = Bench::start(settings);
    let mut ids = Vec::new();
    for n in 0..200 {
        ids.push(bench.put("", &[&format!("b{n}@x.test")], CONTENT).await);
    }
    for id in &ids {
        bench.deferral(*id).await;
    }
    let status = bench.deliverer.destinations();
    assert_eq!(status.len(), 1);
    assert!(
        status[0]
            .last_error
            .as_ref()
            .is_some_and(|(_, text)| text.contains("cannot connect")),
        "{status:?}"
    );
    let sink = Sink::start_on(port);
    for id in &ids {
        bench.outcomes(*id, 1).await;
    }
    assert_eq!(sink.total(), 200);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_grants_few_connections_gets_all_mail_over_those() {
    // Every connection but the first is refused.
    let host = Host::start(&[
        &format!("{HELLO}{}EOF", format!("{TAKE}WAIT 20\n").repeat(30)),
        "S 421 4.7.0 one at a time\n",
    ])
    .await;
    let bench = Bench::start(to_ports(&[host.port]));
    let first = bench.put("", &["b@x.test"], CONTENT).await;
    bench.outcomes(first, 1).await;
    let mut ids = Vec::new();
    for n in 0..20 {
        ids.push(bench.put("", &[&format!("b{n}@x.test")], CONTENT).await);
    }
    for id in ids {
        let history = bench.outcomes(id, 1).await;
        assert_eq!(
            history[0].attempts, 1,
            "a refused connection is no attempt while another one works"
        );
    }
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_queued_before_the_start_is_delivered() {
    let folder = tempfile::tempdir().unwrap();
    let spool = spool_at(folder.path());
    let mut ids = Vec::new();
    for n in 0..500 {
        ids.push(
            put(
                &spool,
                envelope("", &[&format!("b@d{}.test", n % 50)]),
                CONTENT.as_bytes(),
            )
            .await,
        );
    }
    let sink = Sink::start();
    let bench = restart(folder, spool, to_ports(&[sink.port()]));
    for id in ids {
        bench.outcomes(id, 1).await;
    }
    assert_eq!(sink.total(), 500);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_is_bounded_and_loses_nothing() {
    let slow = Host::start(&[&format!(
        "{HELLO}C MAIL\nC RCPT\nC DATA\nS 250 ok\nS 250 ok\nS 354 go\nBODY\nHANG"
    )])
    .await;
    let bench = Bench::start(to_ports(&[slow.port]));
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(bench.put("", &["b@x.test"], CONTENT).await);
    }
    wait_until("the slow host has a message", || !slow.bodies().is_empty());
    // It ends, although the slow host never answers.
    let (folder, spool) = bench.stop().await;
    let sink = Sink::start();
    let bench = restart(folder, spool, to_ports(&[sink.port()]));
    for id in ids {
        let history = bench.outcomes(id, 1).await;
        assert_eq!(history[0].attempts, 1);
    }
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn administrators_are_obeyed_at_once() {
    let port = free_port();
    let mut settings = to_ports(&[port]);
    settings.retry.intervals = vec![Duration::from_secs(600)];
    let bench = Bench::start(settings);
    let mut ids = Vec::new();
    for n in 0..4 {
        let id = bench.put("", &[&format!("b{n}@d{n}.test")], CONTENT).await;
        bench.deferral(id).await;
        ids.push(id);
    }
    let sink = Sink::start_on(port);
    assert!(bench.deliverer.destinations()[0].paused_until.is_some());
    assert_eq!(
        bench
            .spool
            .remove(Selection::Ids(vec![ids[0]]), "anna")
            .await
            .unwrap(),
        1
    );
    assert_eq!(
        bench
            .spool
            .hold(Selection::Ids(vec![ids[1]]), "anna", "looks odd")
            .await
            .unwrap(),
        1
    );
    assert_eq!(
        bench
            .spool
            .retry_now(Selection::Ids(vec![ids[2]]), "anna")
            .await
            .unwrap(),
        1
    );
    bench.outcomes(ids[2], 1).await;
    assert_eq!(bench.spool.flush(None, "anna").await.unwrap(), 1);
    bench.outcomes(ids[3], 1).await;
    assert_eq!(sink.total(), 2);
    assert_eq!(
        bench
            .spool
            .release(Selection::Ids(vec![ids[1]]), "anna")
            .await
            .unwrap(),
        1
    );
    bench.outcomes(ids[1], 1).await;
    assert_eq!(shown(&bench.outcomes(ids[0], 1).await), ["b0@d0.test removed  "]);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_is_kept() {
    let sink = Sink::start();
    let mut settings = to_ports(&[sink.port()]);
    settings.limits.rate_per_destination = Some(20.0);
    let bench = Bench::start(settings);
    let start = Instant::now();
    let mut ids = Vec::new();
    for _ in 0..21 {
        ids.push(bench.put("", &["b@x.test"], CONTENT).await);
    }
    for id in ids {
        bench.outcomes(id, 1).await;
    }
    let took = start.elapsed();
    assert!(Duration::from_millis(950) < took, "{took:?}");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_change_under_way() {
    let (first, second) = (Sink::start(), Sink::start());
    let bench = Bench::start(to_ports(&[first.port()]));
    let id = bench.put("", &["b@x.test"], CONTENT).await;
    bench.outcomes(id, 1).await;
    bench.settings.store(to_ports(&[second.port()]).into());
    let id = bench.put("", &["b@x.test"], CONTENT).await;
    bench.outcomes(id, 1).await;
    assert_eq!((first.total(), second.total()), (1, 1));
    bench.stop().await;
}

/// A slow host with a backlog earns connections with the messages it accepts, although no fresh one comes.
#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_is_worked_off_over_more_and_more_connections() {
    let slow =
        "C MAIL\nC RCPT\nC DATA\nS 250 ok\nS 250 ok\nS 354 go\nBODY\nWAIT 100\nS 250 done\n".repeat(60);
    let host = Host::start(&[&format!("{HELLO}{slow}EOF")]).await;
    let mut settings = to_ports(&[host.port]);
    settings.limits.connections_per_destination = 8;
    let bench = Bench::start(settings);
    let mut last = None;
    for _ in 0..60 {
        last = Some(bench.put("", &["b@x.test"], CONTENT).await);
    }
    if let Some(last) = last {
        bench.outcomes(last, 1).await;
    }
    assert_eq!(host.connections(), 8);
    bench.stop().await;
}

/// What an administrator does about a host that hangs: configure another one, and reload.
#[tokio::test(flavor = "multi_thread")]
async fn mail_that_waits_follows_new_settings() {
    const MESSAGES: usize = 300;
    let sink = Sink::start();
    let hangs = Host::start(&["HANG"]).await;
    let mut settings = to_ports(&[hangs.port]);
    // Some wait in memory since they arrived, others only in the spool.
    settings.limits.waiting_per_destination = 100;
    let bench = Bench::start(settings);
    for _ in 0..MESSAGES {
        bench.put("", &["b@x.test"], CONTENT).await;
    }
    bench.settings.store(to_ports(&[sink.port()]).into());
    bench.deliverer.reloaded();
    let end = Instant::now() + PATIENCE;
    // Two are being sent to the one that hangs.
    while sink.total() < MESSAGES as u64 - 2 {
        assert!(Instant::now() < end, "{} of {MESSAGES}", sink.total());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bench.stop().await;
}

/// Postfix's own sink takes a few thousand messages; the figure is printed for information.
#[tokio::test(flavor = "multi_thread")]
async fn smtp_sink_gets_every_message_once() {
    const MESSAGES: usize = 3_000;
    let sink = program("/usr/sbin/smtp-sink", "postfix");
    let port = free_port();
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("sink.log");
    let mut command = Command::new(sink);
    command
        .arg("-c")
        .arg("-u")
        .arg("root")
        .arg(format!("127.0.0.1:{port}"))
        .arg("1000");
    let mut running = postern_testkit::process::Server::start(&mut command, Path::new(&log));
    wait_for_port(port);
    let bench = Bench::start(to_ports(&[port]));
    let content = format!(
        "Subject: x\r\n\r\n{}",
        "0123456789abcdef0123456789abcdef\r\n".repeat(120)
    );
    let start = Instant::now();
    let spool = bench.spool.clone();
    let mut putting = tokio::task::JoinSet::new();
    for part in 0..20 {
        let (spool, content) = (spool.clone(), content.clone());
        putting.spawn(async move {
            let mut ids = Vec::new();
            for n in 0..MESSAGES / 20 {
                ids.push(
                    put(
                        &spool,
                        envelope("a@example.org", &[&format!("b{part}-{n}@x.test")]),
                        content.as_bytes(),
                    )
                    .await,
                );
            }
            ids
        });
    }
    let ids: Vec<_> = putting.join_all().await.into_iter().flatten().collect();
    for id in &ids {
        let history = bench.outcomes(*id, 1).await;
        assert_eq!((history.len(), history[0].attempts), (1, 1));
    }
    let took = start.elapsed();
    println!(
        "{MESSAGES} messages in {took:?}: {:.0}/s",
        MESSAGES as f64 / took.as_secs_f64()
    );
    assert_eq!(bench.spool.counts().messages, 0);
    assert!(running.runs());
    bench.stop().await;
}
