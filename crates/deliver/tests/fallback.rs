//! Fallback hosts: when all hosts of MX records fail temporarily, or cannot be found, mail goes there.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use postern_net::resolver::{Dnssec, ResolverSettings};
use postern_net::tls::Verification;
use postern_policy::route::{Hop, HopHost};
use postern_testkit::process::free_port;
use postern_testkit::signed::SignedZones;

use self::common::{Bench, Host, settings, shown, spool_at};

const TALK: &str = "S 220 hi\nC EHLO\nS 250 mx.test\nC MAIL\nS 250 ok\nC RCPT\nS 250 ok\nC DATA\nS 354 go\nBODY\nS 250 done\nEOF";
const BUSY: &str = "S 421 too busy\nEOF";

#[tokio::test(flavor = "multi_thread")]
async fn mail_goes_there_when_all_else_fails() {
    let zones = SignedZones::start(
        "
        open.lab MX 10 mx.open.lab.
        mx.open.lab A 127.0.0.2
        closed.lab MX 10 mx.closed.lab.
        mx.closed.lab A 127.0.0.3
        busy.lab MX 10 mx.busy.lab.
        mx.busy.lab A 127.0.0.4
        none.lab MX 0 .
        ",
    );
    #[rustfmt::skip]
    let cases = [
        // what the case shows                     domain         outcome                  whether it goes to the fallback
        ("its own host takes it",                  "open.lab",    "delivered 2.0.0",       false),
        ("nobody listens at its host",             "closed.lab",  "delivered 2.0.0",       true),
        ("its host puts it off",                   "busy.lab",    "delivered 2.0.0",       true),
        ("there is no such domain",                "gone.lab",    "delivered 2.0.0",       true),
        ("it takes no mail",                       "none.lab",    "bounced 5.1.10",        false),
    ];
    for (shows, domain, expected, goes_there) in cases {
        let (port, other) = (free_port(), free_port());
        let fallback = SocketAddr::from(([127, 0, 0, 5], other));
        let mut settings = settings();
        settings.mx_port = port;
        settings.mx_networks = vec!["127.0.0.0/29".parse().unwrap()];
        settings.fallback = vec![Hop {
            host: HopHost::Ip(fallback.ip()),
            port: other,
        }];
        let resolver = ResolverSettings {
            nameservers: vec![zones.address()],
            attempt_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(60),
            dnssec: Dnssec::Off,
            ..ResolverSettings::default()
        };
        let _open = Host::start_at(SocketAddr::from(([127, 0, 0, 2], port)), &[TALK]).await;
        let _busy = Host::start_at(SocketAddr::from(([127, 0, 0, 4], port)), &[BUSY]).await;
        let behind = Host::start_at(fallback, &[TALK]).await;
        let folder = tempfile::tempdir().unwrap();
        let spool = spool_at(folder.path());
        let bench = Bench::over(folder, spool, settings, &resolver, Verification::None);
        let to = format!("b@{domain}");
        let id = bench.put("", &[&to], "Subject: x\r\n\r\nhello\r\n").await;
        let history = shown(&bench.outcomes(id, 1).await);
        assert!(
            history[0].starts_with(&format!("{to} {expected}")),
            "{shows}: {history:?}"
        );
        assert_eq!(behind.connections() == 1, goes_there, "{shows}");
        bench.stop().await;
    }
}
