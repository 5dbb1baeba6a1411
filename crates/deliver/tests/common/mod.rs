//! A spool and a deliverer for one test, and hosts that follow a script.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use jiff::Timestamp;
use postern_deliver::{Deliverer, Deps, Everybody, Mailboxes, NoTokens, Settings, TlsClients};
use postern_events::{Event, Observer, Observers};
use postern_mail::address::ParseOptions;
use postern_mail::{BodyKind, Envelope, Mailbox, QueueId, Recipient, ReversePath};
use postern_net::resolver::{Resolver, ResolverSettings};
use postern_net::tls::{ClientTls, ClientTlsSettings, ServerTls, Verification};
use postern_policy::DomainSet;
use postern_policy::retry::RetrySettings;
use postern_policy::route::{Hop, Protocol, RouteRule, RouteTable, Target, TlsLevel};
use postern_spool::{
    HistoryEntry, Inspectors, MessageDetail, NewMessage, Origin, OutcomeKind, RecipientState, Spool,
    SpoolSettings, SqliteSpool,
};
use postern_testkit::process::{Server, program};
use tempfile::TempDir;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Keeps each event as a text.
struct Notes(Arc<Mutex<Vec<String>>>);

impl Observer for Notes {
    fn observe(&self, event: &Event<'_>) {
        self.0.lock().unwrap().push(format!("{event:?}"));
    }
}

/// Spool, deliverer, and the folder they live in.
pub struct Bench {
    pub folder: TempDir,
    pub spool: Arc<SqliteSpool>,
    pub inspectors: Arc<ArcSwap<Inspectors>>,
    pub settings: Arc<ArcSwap<Settings>>,
    pub deliverer: Deliverer,
    /// Each reported event, as text.
    pub told: Arc<Mutex<Vec<String>>>,
    shutdown: CancellationToken,
    running: JoinHandle<()>,
}

/// Fast retries, no warnings, no routes: everything by MX.
pub fn settings() -> Settings {
    let routes = RouteTable {
        rules: Vec::new(),
        local_domains: DomainSet::default(),
        local: Target::Maildir(PathBuf::from("/nonexistent")),
        ..RouteTable::default()
    };
    let mut settings = Settings::new("relay.test", routes);
    settings.retry = RetrySettings {
        intervals: vec![Duration::from_secs(1)],
        expire_after: Duration::from_secs(60),
        warn_after: None,
    };
    settings.timeouts.shutdown = Duration::from_secs(2);
    settings
}

/// Mail for `domains` goes to these ports of this machine, in cleartext.
pub fn rule(domains: &str, ports: &[u16]) -> RouteRule {
    let via = ports
        .iter()
        .map(|port| Hop::parse(&format!("127.0.0.1:{port}"), 25).unwrap())
        .collect();
    let target = Target::Hosts {
        via,
        protocol: Protocol::Smtp,
    };
    RouteRule {
        tls: TlsLevel::None,
        ..RouteRule::new(DomainSet::new([domains]).unwrap(), target)
    }
}

/// All mail goes to these ports.
pub fn to_ports(ports: &[u16]) -> Settings {
    let mut settings = settings();
    settings.routes.rules = vec![rule("*", ports)];
    settings
}

pub fn spool_at(folder: &Path) -> Arc<SqliteSpool> {
    Arc::new(SqliteSpool::open(SpoolSettings::new(folder.join("queue"))).unwrap())
}

impl Bench {
    pub fn start(settings: Settings) -> Self {
        let folder = TempDir::new().unwrap();
        let spool = spool_at(folder.path());
        Self::over(
            folder,
            spool,
            settings,
            &ResolverSettings::default(),
            Verification::None,
        )
    }

    pub fn over(
        folder: TempDir,
        spool: Arc<SqliteSpool>,
        settings: Settings,
        resolver: &ResolverSettings,
        verified: Verification,
    ) -> Self {
        Self::among(folder, spool, settings, resolver, verified, Arc::new(Everybody))
    }

    /// Starts with these mailboxes.
    pub fn start_among(settings: Settings, mailboxes: Arc<dyn Mailboxes>) -> Self {
        let folder = TempDir::new().unwrap();
        let spool = spool_at(folder.path());
        let (resolver, verified) = (ResolverSettings::default(), Verification::None);
        Self::among(folder, spool, settings, &resolver, verified, mailboxes)
    }

    fn among(
        folder: TempDir,
        spool: Arc<SqliteSpool>,
        settings: Settings,
        resolver: &ResolverSettings,
        verified: Verification,
        mailboxes: Arc<dyn Mailboxes>,
    ) -> Self {
        let _ = tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
            .with_test_writer()
            .try_init();
        let told = Arc::<Mutex<Vec<String>>>::default();
        let settings = Arc::new(ArcSwap::from_pointee(settings));
        let inspectors = Arc::<ArcSwap<Inspectors>>::default();
        let tls = TlsClients {
            unverified: ClientTls::load(&ClientTlsSettings::new(Verification::None)).unwrap(),
            verified: ClientTls::load(&ClientTlsSettings::new(verified)).unwrap(),
        };
        let deliverer = Deliverer::new(Deps {
            spool: spool.clone(),
            inspectors: inspectors.clone(),
            settings: settings.clone(),
            resolver: Resolver::new(resolver).unwrap(),
            tls: Arc::new(ArcSwap::from_pointee(tls)),
            tokens: Arc::new(NoTokens),
            mailboxes,
            observers: Observers::new(vec![Box::new(Notes(told.clone()))]),
        });
        let shutdown = CancellationToken::new();
        let running = tokio::spawn({
            let (deliverer, shutdown) = (deliverer.clone(), shutdown.clone());
            async move { deliverer.run(shutdown).await }
        });
        Self {
            folder,
            spool,
            inspectors,
            settings,
            told,
            deliverer,
            shutdown,
            running,
        }
    }

    pub async fn put(&self, from: &str, to: &[&str], content: &str) -> QueueId {
        self.put_envelope(envelope(from, to), content.as_bytes()).await
    }

    pub async fn put_envelope(&self, envelope: Envelope, content: &[u8]) -> QueueId {
        put(&self.spool, envelope, content).await
    }

    /// Waits until `count` recipients have their outcome.
    pub async fn outcomes(&self, id: QueueId, count: usize) -> Vec<HistoryEntry> {
        let end = Instant::now() + PATIENCE;
        loop {
            let history = self.spool.history(id).await.unwrap();
            if history.len() >= count {
                return history;
            }
            let shown = self.spool.show(id).await.unwrap();
            assert!(
                Instant::now() < end,
                "{id}: {count} outcomes awaited, {history:#?} {shown:#?}"
            );
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until a recipient was deferred, and shows the message.
    pub async fn deferral(&self, id: QueueId) -> MessageDetail {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(detail) = self.spool.show(id).await.unwrap()
                && detail
                    .recipients
                    .iter()
                    .any(|recipient| recipient.state == RecipientState::Queued && recipient.attempts > 0)
            {
                return detail;
            }
            let history = self.spool.history(id).await.unwrap();
            assert!(
                history.is_empty() && Instant::now() < end,
                "{id}: a deferral awaited, {history:#?}"
            );
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until delivery ends by itself, and returns how.
    pub async fn ended(self) -> Result<(), tokio::task::JoinError> {
        let ended = tokio::time::timeout(PATIENCE, self.running).await;
        ended.expect("delivery ends")
    }

    /// Stops delivery, and returns what is needed to start again.
    pub async fn stop(self) -> (TempDir, Arc<SqliteSpool>) {
        self.shutdown.cancel();
        tokio::time::timeout(PATIENCE, self.running)
            .await
            .expect("delivery ends")
            .unwrap();
        (self.folder, self.spool)
    }
}

/// A name server for one test.
pub struct Names {
    _folder: TempDir,
    _server: Server,
    address: SocketAddr,
}

impl Names {
    /// With these lines in its configuration.
    pub fn start(zones: &str) -> Self {
        let unbound = program("/usr/sbin/unbound", "unbound");
        let folder = tempfile::tempdir().unwrap();
        let address = free_for_both();
        let file = folder.path().join("unbound.conf");
        let text = format!(
            "server:\n    interface: 127.0.0.1\n    port: {}\n    do-daemonize: no\n    use-syslog: no\n    chroot: \"\"\n    \
             username: \"\"\n    pidfile: \"\"\n    directory: \"{}\"\n    num-threads: 1\n    module-config: \"iterator\"\n    \
             access-control: 127.0.0.0/8 allow\n{zones}remote-control:\n    control-enable: no\n",
            address.port(),
            folder.path().display()
        );
        std::fs::write(&file, text).unwrap();
        let mut command = std::process::Command::new(unbound);
        command.arg("-c").arg(&file);
        let server = Server::start(&mut command, &folder.path().join("log"));
        postern_testkit::process::wait_for_port(address.port());
        Self {
            _folder: folder,
            _server: server,
            address,
        }
    }

    pub fn resolver(&self) -> ResolverSettings {
        ResolverSettings {
            nameservers: vec![self.address],
            attempt_timeout: Duration::from_millis(500),
            timeout: Duration::from_secs(3),
            ..ResolverSettings::default()
        }
    }
}

fn free_for_both() -> SocketAddr {
    loop {
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = tcp.local_addr().unwrap();
        if UdpSocket::bind(address).is_ok() {
            return address;
        }
    }
}

pub async fn put(spool: &SqliteSpool, envelope: Envelope, content: &[u8]) -> QueueId {
    put_from(spool, Origin::Smtp, envelope, content).await
}

pub async fn put_from(spool: &SqliteSpool, origin: Origin, envelope: Envelope, content: &[u8]) -> QueueId {
    let id = spool.next_id();
    let mut body = spool.body_writer(id);
    body.write(content).await.unwrap();
    let message = NewMessage {
        id,
        envelope,
        received_at: Timestamp::now(),
        prefix: Bytes::from_static(b"Received: from test by relay.test; Sun, 22 Nov 2026 09:30:20 +0000\r\n"),
        body: body.finish().await.unwrap(),
        login: None,
        session: Some("test".into()),
        hold: None,
        origin,
        detour: None,
        queue_only: false,
        note: None,
    };
    spool.put(message).await.unwrap();
    id
}

pub fn mailbox(text: &str) -> Mailbox {
    Mailbox::parse(
        text,
        &ParseOptions {
            utf8: true,
            ..ParseOptions::default()
        },
    )
    .unwrap()
}

pub fn envelope(from: &str, to: &[&str]) -> Envelope {
    Envelope {
        sender: if from.is_empty() {
            ReversePath::Null
        } else {
            ReversePath::Mailbox(mailbox(from))
        },
        recipients: to.iter().map(|to| Recipient::new(mailbox(to))).collect(),
        ret: None,
        envid: None,
        body: BodyKind::SevenBit,
        smtputf8: false,
        auth: None,
    }
}

/// `a@b.test bounced 5.1.1 550 no` for each outcome, in the order of recipients.
pub fn shown(history: &[HistoryEntry]) -> Vec<String> {
    let mut history: Vec<&HistoryEntry> = history.iter().collect();
    history.sort_by_key(|entry| entry.index);
    let kind = |kind| match kind {
        OutcomeKind::Delivered => "delivered",
        OutcomeKind::Bounced => "bounced",
        OutcomeKind::Expired => "expired",
        OutcomeKind::Removed => "removed",
    };
    history
        .iter()
        .map(|entry| {
            let status = entry
                .attempt
                .status
                .map(|status| status.to_string())
                .unwrap_or_default();
            format!(
                "{} {} {status} {}",
                entry.address,
                kind(entry.kind),
                entry.attempt.reply
            )
        })
        .collect()
}

pub const CONTENT: &str = "From: a@example.org\r\nSubject: test\r\n\r\nHello\r\n.dot\r\n..\r\n";

/// A host that plays a script for each connection, the last one for all further ones.
///
/// A script has a step on each line: `S text` says a line, `C text` reads one that must begin so, `BODY` reads to the final dot, `CHUNK n`
/// reads n octets, `TLS` performs the handshake, `WAIT ms` waits, `HANG` waits for ever, `EOF` reads until the client closes. At
/// its end the connection is closed.
pub struct Host {
    pub port: u16,
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    connections: usize,
    lines: Vec<String>,
    bodies: Vec<Vec<u8>>,
    faults: Vec<String>,
}

impl Host {
    pub async fn start(scripts: &[&str]) -> Self {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), scripts).await
    }

    pub async fn start_at(address: SocketAddr, scripts: &[&str]) -> Self {
        Self::serve(TcpListener::bind(address).await.unwrap(), scripts, None)
    }

    pub async fn start_tls(tls: ServerTls, scripts: &[&str]) -> Self {
        Self::start_tls_at((Ipv4Addr::LOCALHOST, 0).into(), tls, scripts).await
    }

    pub async fn start_tls_at(address: SocketAddr, tls: ServerTls, scripts: &[&str]) -> Self {
        let end = Instant::now() + PATIENCE;
        loop {
            match TcpListener::bind(address).await {
                Ok(listener) => return Self::serve(listener, scripts, Some(tls)),
                // The previous host takes a moment to release the port.
                Err(error) => assert!(Instant::now() < end, "{address}: {error}"),
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    fn serve(listener: TcpListener, scripts: &[&str], tls: Option<ServerTls>) -> Self {
        let port = listener.local_addr().unwrap().port();
        let scripts: Vec<String> = scripts.iter().map(|script| (*script).to_owned()).collect();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let task = tokio::spawn({
            let seen = seen.clone();
            async move {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    stream.set_nodelay(true).unwrap();
                    play_next(stream, &scripts, &seen, tls.clone());
                }
            }
        });
        Self { port, seen, task }
    }

    pub fn start_unix(path: &Path, scripts: &[&str]) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let scripts: Vec<String> = scripts.iter().map(|script| (*script).to_owned()).collect();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let task = tokio::spawn({
            let seen = seen.clone();
            async move {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    play_next(stream, &scripts, &seen, None);
                }
            }
        });
        Self { port: 0, seen, task }
    }

    /// All lines that clients sent outside of content.
    pub fn lines(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        assert_eq!(seen.faults, Vec::<String>::new(), "lines: {:#?}", seen.lines);
        seen.lines.clone()
    }

    pub fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }

    pub fn bodies(&self) -> Vec<Vec<u8>> {
        self.seen.lock().unwrap().bodies.clone()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.task.abort();
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

fn play_next(
    stream: impl Stream + 'static,
    scripts: &[String],
    seen: &Arc<Mutex<Seen>>,
    tls: Option<ServerTls>,
) {
    let place = {
        let mut seen = seen.lock().unwrap();
        seen.connections += 1;
        seen.connections - 1
    };
    let script = scripts[place.min(scripts.len() - 1)].clone();
    let seen = seen.clone();
    tokio::spawn(async move { play(Box::new(stream), &script, &seen, tls).await });
}

async fn play(stream: Box<dyn Stream>, script: &str, seen: &Mutex<Seen>, tls: Option<ServerTls>) {
    let mut stream = BufReader::new(stream);
    for step in script.lines().map(str::trim).filter(|step| !step.is_empty()) {
        let (verb, rest) = step.split_once(' ').unwrap_or((step, ""));
        match verb {
            "S" => {
                // Several replies in one packet have `\r\n`, spelled out, between them.
                let text = rest.replace("\\r\\n", "\r\n");
                if stream.write_all(format!("{text}\r\n").as_bytes()).await.is_err() {
                    return;
                }
            }
            "C" => {
                let mut line = String::new();
                let _ = stream.read_line(&mut line).await;
                let line = line.trim_end().to_owned();
                let fits = line.starts_with(rest);
                let mut seen = seen.lock().unwrap();
                let over = line.is_empty() || line == "QUIT";
                if !fits && !over {
                    seen.faults.push(format!("{rest:?} awaited, got {line:?}"));
                }
                seen.lines.push(line);
                if !fits {
                    return;
                }
            }
            "BODY" => {
                let mut body = Vec::new();
                while !body.ends_with(b"\r\n.\r\n") && body != b".\r\n" {
                    if stream.read_until(b'\n', &mut body).await.unwrap_or(0) == 0 {
                        return;
                    }
                }
                seen.lock().unwrap().bodies.push(body);
            }
            "CHUNK" => {
                let mut body = vec![0; rest.parse().unwrap()];
                if stream.read_exact(&mut body).await.is_ok() {
                    seen.lock().unwrap().bodies.push(body);
                }
            }
            "TLS" => {
                let made = tls
                    .as_ref()
                    .expect("a host with TLS")
                    .accept(stream.into_inner(), PATIENCE, false)
                    .await;
                let Ok((secured, _)) = made else { return };
                stream = BufReader::new(Box::new(secured));
            }
            "WAIT" => sleep(Duration::from_millis(rest.parse().unwrap())).await,
            "HANG" => sleep(Duration::from_secs(3_600)).await,
            "EOF" => {
                let _ = stream.read_to_end(&mut Vec::new()).await;
            }
            other => panic!("no such step: {other}"),
        }
    }
}
