//! Look-ups against a real name server: unbound with zones of its own, on a loopback port.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use postern_net::resolver::{MxRecord, ResolveError, Resolver, ResolverSettings};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const ZONES: &str = r#"
    local-zone: "test." static
    local-data: "many.test. 60 MX 20 B.many.test."
    local-data: "many.test. 60 MX 10 a.many.test."
    local-data: "many.test. 60 MX 20 a.many.test."
    local-data: "null.test. 60 MX 0 ."
    local-data: "bare.test. 60 A 192.0.2.9"
    local-data: "alias.test. 60 CNAME many.test."
    local-data: "circle.test. 60 CNAME circle.test."
    local-data: "one.circle.test. 60 CNAME two.circle.test."
    local-data: "two.circle.test. 60 CNAME one.circle.test."
    local-data: "a.many.test. 60 A 192.0.2.1"
    local-data: "a.many.test. 60 A 192.0.2.2"
    local-data: "a.many.test. 60 AAAA 2001:db8::1"
    local-data: "six.test. 60 AAAA 2001:db8::6"
    local-data: "text.test. 60 TXT nothing"
    local-data: "under_score.test. 60 A 192.0.2.5"
    local-zone: "kept.example." static
    local-data: "kept.example. 60 SOA kept.example. nobody.kept.example. 1 60 60 60 60"
    local-zone: "refuse.example." refuse
    local-zone: "silent.example." deny
    local-zone: "2.0.192.in-addr.arpa." static
    local-data: "1.2.0.192.in-addr.arpa. 60 PTR A.many.test."
    local-data: "2.2.0.192.in-addr.arpa. 60 PTR nowhere.test."
    local-data: "2.2.0.192.in-addr.arpa. 60 PTR a.many.test."
    local-data: "3.2.0.192.in-addr.arpa. 60 PTR a.many.test."
    local-data: "4.2.0.192.in-addr.arpa. 60 PTR nowhere.test."
    local-data: "5.2.0.192.in-addr.arpa. 60 PTR under_score.test."
    local-data: '6.2.0.192.in-addr.arpa. 60 PTR a\013\010b.test.'
    local-data: "7.2.0.192.in-addr.arpa. 60 PTR x.refuse.example."
    local-zone: "8.b.d.0.1.0.0.2.ip6.arpa." static
    local-data: "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. 60 PTR a.many.test."
"#;

/// A running unbound, stopped when dropped.
struct Unbound {
    child: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Unbound {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let large: String = (0..90)
            .map(|n| format!("    local-data: \"large.test. 60 MX {n} host-{n}.large.test.\"\n"))
            .collect();
        let chain: String = (0..40)
            .map(|n| {
                format!(
                    "    local-data: \"chain{n}.test. 60 CNAME chain{}.test.\"\n",
                    n + 1
                )
            })
            .collect();
        let configuration = format!(
            "server:\n    interface: 127.0.0.1\n    port: {port}\n    do-daemonize: no\n    use-syslog: no\n    \
             chroot: \"\"\n    username: \"\"\n    pidfile: \"\"\n    directory: \"{}\"\n    num-threads: 1\n    \
             module-config: \"iterator\"\n    access-control: 127.0.0.0/8 allow\n{ZONES}{large}{chain}remote-control:\n    \
             control-enable: no\n",
            folder.path().display()
        );
        let file = folder.path().join("unbound.conf");
        std::fs::write(&file, configuration).unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let child = Command::new("unbound")
            .arg("-c")
            .arg(&file)
            .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("unbound does not start: install the Debian package unbound");
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut unbound = Self {
            child,
            address,
            _folder: folder,
        };
        unbound.wait_until_up();
        unbound
    }

    fn wait_until_up(&mut self) {
        let until = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(self.address).is_err() {
            let log = std::fs::read_to_string(self._folder.path().join("log")).unwrap_or_default();
            assert!(
                self.child.try_wait().unwrap().is_none() && Instant::now() < until,
                "unbound is not up: {log}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn resolver(&self) -> Resolver {
        Resolver::new(&settings(self.address)).unwrap()
    }

    fn stop(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Unbound {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn settings(server: SocketAddr) -> ResolverSettings {
    ResolverSettings {
        nameservers: vec![server],
        attempt_timeout: Duration::from_millis(300),
        timeout: Duration::from_secs(3),
        ..ResolverSettings::default()
    }
}

/// A port that is free for UDP and TCP alike.
fn free_port() -> u16 {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = tcp.local_addr().unwrap();
        if UdpSocket::bind(address).is_ok() {
            return address.port();
        }
    }
}

fn mx(preference: u16, exchange: &str) -> MxRecord {
    MxRecord {
        preference,
        exchange: exchange.to_owned(),
    }
}

/// The kind of an error, without its text.
fn kind(error: &ResolveError) -> &'static str {
    match error {
        ResolveError::NoSuchDomain(_) => "no such domain",
        ResolveError::NoData(_) => "no data",
        ResolveError::BadName(_) => "bad name",
        ResolveError::Temporary { .. } => "temporary",
        _ => "other",
    }
}

#[tokio::test]
async fn mail_exchangers() {
    let unbound = Unbound::start();
    let resolver = unbound.resolver();
    let many = vec![
        mx(10, "a.many.test"),
        mx(20, "a.many.test"),
        mx(20, "b.many.test"),
    ];
    #[rustfmt::skip]
    let cases = [
        // what the case shows                   domain                    answer
        ("in the order of preference",           "many.test",              Ok(many.clone())),
        ("the case of letters",                  "Many.TEST",              Ok(many.clone())),
        ("through an alias",                     "alias.test",             Ok(many)),
        ("an alias of itself",                   "circle.test",            Err("temporary")),
        ("aliases in a circle",                  "one.circle.test",        Err("temporary")),
        ("too many aliases",                     "chain0.test",            Err("temporary")),
        ("null MX",                              "null.test",              Ok(vec![mx(0, "")])),
        ("an address alone",                     "bare.test",              Err("no data")),
        ("no such name",                         "none.test",              Err("no such domain")),
        ("the server refuses",                   "refuse.example",         Err("temporary")),
        ("the server is silent",                 "silent.example",         Err("temporary")),
        ("no name at all",                       "no name",                Err("bad name")),
        ("an address",                           "[192.0.2.1]",            Err("bad name")),
    ];
    for (shows, domain, expected) in cases {
        let got = resolver.mx(domain).await;
        assert_eq!(got.as_ref().map_err(kind).cloned(), expected, "{shows}: {got:?}");
    }
    let large = resolver.mx("large.test").await.unwrap();
    assert_eq!(large.len(), 90, "more than fits into a datagram");
}

#[tokio::test]
async fn addresses() {
    let unbound = Unbound::start();
    let resolver = unbound.resolver();
    #[rustfmt::skip]
    let cases = [
        // what the case shows               host                  answer, sorted
        ("both families",                    "a.many.test",        Ok("192.0.2.1 192.0.2.2 2001:db8::1")),
        ("a trailing dot",                   "a.many.test.",       Ok("192.0.2.1 192.0.2.2 2001:db8::1")),
        ("IPv6 alone",                       "six.test",           Ok("2001:db8::6")),
        ("IPv4 alone",                       "bare.test",          Ok("192.0.2.9")),
        ("an IPv4 address",                  "192.0.2.77",         Ok("192.0.2.77")),
        ("an IPv6 address",                  "2001:db8::77",       Ok("2001:db8::77")),
        ("neither",                          "text.test",          Err("no data")),
        ("an alias to neither",              "alias.test",         Err("no data")),
        ("no such name",                     "none.test",          Err("no such domain")),
        ("the server refuses",               "x.refuse.example",   Err("temporary")),
        ("the server is silent",             "x.silent.example",   Err("temporary")),
        ("no name at all",                   "a..b",               Err("bad name")),
    ];
    for (shows, host, expected) in cases {
        let got = resolver.addresses(host).await;
        let text = got.as_ref().map_err(kind).map(|addresses| {
            let mut addresses = addresses.clone();
            addresses.sort();
            addresses
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" ")
        });
        assert_eq!(text.as_deref(), expected.as_deref(), "{shows}: {got:?}");
    }
    let both = resolver.addresses("a.many.test").await.unwrap();
    assert!(
        both.first().is_some_and(IpAddr::is_ipv6),
        "IPv6 comes first: {both:?}"
    );
}

#[tokio::test]
async fn names_of_addresses() {
    let unbound = Unbound::start();
    let resolver = unbound.resolver();
    #[rustfmt::skip]
    let cases = [
        // what the case shows                       address               name
        ("leads back",                               "192.0.2.1",          Ok(Some("a.many.test"))),
        ("one of two leads back",                    "192.0.2.2",          Ok(Some("a.many.test"))),
        ("the name has other addresses: forged",     "192.0.2.3",          Ok(None)),
        ("the name does not exist",                  "192.0.2.4",          Ok(None)),
        ("underscore",                               "192.0.2.5",          Ok(Some("under_score.test"))),
        ("a line end in the name",                   "192.0.2.6",          Ok(None)),
        ("no name for now",                          "192.0.2.7",          Err("temporary")),
        ("no pointer",                               "192.0.2.99",         Ok(None)),
        ("IPv6",                                     "2001:db8::1",        Ok(Some("a.many.test"))),
        ("IPv4 inside IPv6",                         "::ffff:192.0.2.1",   Ok(Some("a.many.test"))),
    ];
    for (shows, address, expected) in cases {
        let got = resolver.reverse(address.parse().unwrap()).await;
        let text = got.as_ref().map_err(kind).map(Option::as_deref);
        assert_eq!(text, expected, "{shows}: {got:?}");
    }
}

#[tokio::test]
async fn answers_are_kept() {
    let unbound = Unbound::start();
    let resolver = unbound.resolver();
    let asked = resolver.mx("many.test").await.unwrap();
    let denied = resolver.mx("none.kept.example").await;
    assert_eq!(denied.as_ref().map_err(kind), Err("no such domain"));
    unbound.stop();
    assert_eq!(resolver.clone().mx("MANY.test.").await.unwrap(), asked);
    assert_eq!(
        resolver.mx("none.kept.example").await,
        denied,
        "its SOA record says for how long"
    );
    let gone = resolver.mx("null.test").await.unwrap_err();
    assert!(gone.is_temporary(), "{gone}");
}

#[tokio::test]
async fn whom_to_ask_changes_in_all_clones() {
    let unbound = Unbound::start();
    let resolver = Resolver::new(&settings(SocketAddr::from(([127, 0, 0, 1], free_port())))).unwrap();
    let clone = resolver.clone();
    assert_eq!(
        clone.mx("many.test").await.as_ref().map_err(kind),
        Err("temporary")
    );
    resolver.become_like(&unbound.resolver());
    assert_eq!(clone.mx("many.test").await.map(|found| found.len()), Ok(3));
}

#[tokio::test]
async fn silence_is_bounded() {
    // A socket that takes questions and never answers.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let settings = ResolverSettings {
        attempt_timeout: Duration::from_secs(30),
        timeout: Duration::from_millis(300),
        ..settings(silent.local_addr().unwrap())
    };
    let resolver = Resolver::new(&settings).unwrap();
    let answer = resolver.mx("many.test").await.unwrap_err();
    assert!(answer.is_temporary(), "{answer}");
    assert!(answer.to_string().contains("no answer within 0.3 s"), "{answer}");
}

#[tokio::test]
async fn a_dead_server_does_not_matter_beside_a_live_one() {
    let unbound = Unbound::start();
    let dead = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let settings = ResolverSettings {
        nameservers: vec![dead, unbound.address],
        ..settings(unbound.address)
    };
    let resolver = Resolver::new(&settings).unwrap();
    assert_eq!(resolver.mx("null.test").await.unwrap(), [mx(0, "")]);
}
