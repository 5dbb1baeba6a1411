//! A receiver with everything it works with, in a scratch folder.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use postern_directory::aliases::Aliases;
use postern_directory::{Directories, DirectorySettings, KeyKind, KeyPolicy, UserStore, UsersSettings};
use postern_events::Observers;
use postern_mail::QueueId;
use postern_net::ca::{Authority, AuthorityRequest, CertificateRequest};
use postern_net::file::Existing;
use postern_net::listen;
use postern_net::resolver::{Resolver, ResolverSettings};
use postern_net::tls::{ServerTls, ServerTlsSettings, TlsIdentityFiles};
use postern_policy::DomainSet;
use postern_receive::{
    Deps, ListenerSettings, LoadGauge, Receiver, Role, Settings, SocketListener, SocketSettings,
};
use postern_sasl::{DecoySecret, Mechanism};
use postern_spool::{Inspectors, Message, Spool, SpoolSettings, SqliteSpool};
use postern_testkit::smtp::{Client, TlsOptions};
use secrecy::SecretString;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What a test may change.
pub(crate) struct Options {
    pub(crate) settings: Settings,
    pub(crate) listener: ListenerSettings,
    /// Directories in place of the users' file with `acaird` in it.
    pub(crate) directories: Option<Vec<DirectorySettings>>,
    pub(crate) aliases: &'static str,
    pub(crate) spool: Option<Arc<dyn Spool>>,
    pub(crate) tls: bool,
    pub(crate) observers: Observers,
    pub(crate) inspectors: Inspectors,
    /// The name server; without one there are no answers.
    pub(crate) names: Option<SocketAddr>,
    /// How long to wait for it.
    pub(crate) names_within: Duration,
}

/// A receiver on a free port, with `acaird` (`pass word`) as its user.
pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) spool: Arc<dyn Spool>,
    pub(crate) settings: Arc<ArcSwap<Settings>>,
    pub(crate) listener: Arc<ArcSwap<ListenerSettings>>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) receiver: Receiver,
    load: Arc<AtomicU64>,
    folder: TempDir,
    serving: Option<JoinHandle<()>>,
    runtime: Runtime,
}

pub(crate) const HOST: &str = "challenger.example";

impl Options {
    pub(crate) fn new(role: Role) -> Self {
        let mut settings = Settings::new(HOST, HOST.parse().unwrap());
        settings.relay.local_domains = DomainSet::new([HOST]).unwrap();
        settings.relay.relay_domains = DomainSet::new(["relay.example"]).unwrap();
        settings.relay.login_relays = true;
        // Test machines are small.
        settings.room.min_free = 0;
        // Mechanisms are tested without TLS, so that no certificate is needed.
        settings.auth.least_bits = Some(0);
        Self {
            settings,
            listener: ListenerSettings::new("test", role),
            directories: None,
            aliases: "staff: acaird, someone@outside.example\nroot: acaird\n",
            spool: None,
            tls: true,
            observers: Observers::nobody(),
            inspectors: Inspectors::default(),
            names: None,
            names_within: Duration::from_millis(500),
        }
    }

    pub(crate) fn mx() -> Self {
        Self::new(Role::Mx)
    }

    pub(crate) fn submission() -> Self {
        Self::new(Role::Submission)
    }

    pub(crate) fn start(self) -> Server {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        self.start_on(runtime)
    }

    /// On one thread, whose time can be controlled: the server runs while [`Server::runtime`] has something to block on.
    pub(crate) fn start_on_one_thread(self) -> Server {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        self.start_on(runtime)
    }

    fn start_on(self, runtime: Runtime) -> Server {
        let folder = tempfile::tempdir().unwrap();
        let load = Arc::new(AtomicU64::new(0.0_f64.to_bits()));
        let reading = Arc::clone(&load);
        let gauge = LoadGauge::from_source(move || f64::from_bits(reading.load(Ordering::Relaxed)));
        let keys = key_policy(&self.settings);
        let tls = self.tls.then(|| certificates(&folder));
        let settings = Arc::new(ArcSwap::from_pointee(self.settings));
        let listener_settings = Arc::new(ArcSwap::from_pointee(self.listener));
        let _inside = runtime.enter();
        let spool = self.spool.unwrap_or_else(|| {
            Arc::new(SqliteSpool::open(SpoolSettings::new(folder.path().join("queue"))).unwrap())
        });
        let directories = self
            .directories
            .unwrap_or_else(|| vec![DirectorySettings::Users(users(&folder, keys))]);
        let directories = runtime.block_on(Directories::open(directories)).unwrap();
        let receiver = Receiver::new(Deps {
            observers: self.observers,
            spool: Arc::clone(&spool),
            inspectors: Arc::new(ArcSwap::from_pointee(self.inspectors)),
            settings: Arc::clone(&settings),
            tls: Arc::new(ArcSwap::from_pointee(tls)),
            directories: Arc::new(ArcSwap::from_pointee(directories)),
            tokens: Arc::default(),
            aliases: Arc::new(ArcSwap::from_pointee(aliases(&folder, self.aliases))),
            resolver: Resolver::new(&ResolverSettings {
                nameservers: vec![
                    self.names
                        .unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 1))),
                ],
                attempt_timeout: self.names_within,
                timeout: self.names_within.max(ResolverSettings::default().timeout),
                ..ResolverSettings::default()
            })
            .unwrap(),
            load: gauge,
            budgets: Arc::default(),
            decoy: DecoySecret::new([7; 32]),
        });
        let socket = listen::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let port = socket.local_addr().unwrap().port();
        let shutdown = CancellationToken::new();
        let serving = runtime.spawn({
            let (receiver, listener, shutdown) =
                (receiver.clone(), Arc::clone(&listener_settings), shutdown.clone());
            async move {
                receiver
                    .serve(socket, listener, CancellationToken::new(), shutdown)
                    .await
            }
        });
        drop(_inside);
        Server {
            port,
            spool,
            settings,
            listener: listener_settings,
            shutdown,
            receiver,
            load,
            folder,
            serving: Some(serving),
            runtime,
        }
    }
}

impl Server {
    pub(crate) fn connect(&self) -> Client {
        let (client, greeting) = Client::connect(self.port).unwrap();
        assert!(greeting.starts_with("220 "), "{greeting}");
        client
    }

    /// Connects, starts TLS, and greets inside it.
    pub(crate) fn connect_secured(&self) -> Client {
        let ca = self.ca();
        let mut client = self
            .connect()
            .starttls(TlsOptions {
                name: HOST,
                ca: &ca,
                identity: None,
            })
            .unwrap();
        let reply = client.say("EHLO helo").unwrap();
        assert!(reply.starts_with("250-"), "{reply}");
        client
    }

    pub(crate) fn logged_in(&self) -> Client {
        let mut client = self.connect_secured();
        let reply = client.login("acaird", "pass word").unwrap();
        assert_eq!(reply, "235 2.0.0 OK Authenticated");
        client
    }

    /// Opens a socket for other servers, and returns its path.
    pub(crate) fn open_socket(&self, settings: SocketSettings) -> PathBuf {
        let path = self.folder.path().join(&settings.name);
        let _inside = self.runtime.enter();
        let listener = SocketListener::Unix(tokio::net::UnixListener::bind(&path).unwrap());
        let (receiver, settings) = (self.receiver.clone(), Arc::new(ArcSwap::from_pointee(settings)));
        let shutdown = self.shutdown.clone();
        self.runtime.spawn(async move {
            receiver.serve_socket(listener, settings, shutdown).await;
        });
        path
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }

    /// A client certificate of the CA, and its key.
    pub(crate) fn identity(&self) -> (PathBuf, PathBuf) {
        (
            self.folder.path().join("client.crt"),
            self.folder.path().join("client.key"),
        )
    }

    pub(crate) fn set_load(&self, load: f64) {
        self.load.store(load.to_bits(), Ordering::Relaxed);
        // The gauge is read at most once a second.
        std::thread::sleep(Duration::from_millis(1_100));
    }

    /// The message named in the reply to the end of data.
    pub(crate) fn message(&self, reply: &str) -> (Arc<Message>, String) {
        let (message, content) = self.queued_message(reply);
        (message, String::from_utf8(content).unwrap())
    }

    /// Why a message is held.
    pub(crate) fn hold_of(&self, id: QueueId) -> Option<String> {
        let detail = self.runtime.block_on(self.spool.show(id)).unwrap();
        detail.expect("the message is in the queue").summary.hold
    }

    /// The same as octets.
    pub(crate) fn queued_message(&self, reply: &str) -> (Arc<Message>, Vec<u8>) {
        let id: QueueId = reply
            .strip_prefix("250 2.0.0 ")
            .and_then(|rest| rest.split(' ').next())
            .unwrap_or_else(|| panic!("no queue id in {reply}"))
            .parse()
            .unwrap();
        self.runtime.block_on(async {
            let message = self
                .spool
                .load(id)
                .await
                .unwrap()
                .expect("the message is in the queue");
            let mut content = Vec::new();
            let mut body = self.spool.open_body(&message);
            while let Some(piece) = body.piece().await.unwrap() {
                content.extend_from_slice(&piece);
            }
            (message, content)
        })
    }

    /// The own users' file, opened as by another process.
    pub(crate) fn users(&self) -> UserStore {
        UserStore::open(&self.folder.path().join("users.db")).unwrap()
    }

    /// The runtime, for whatever must be awaited.
    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Messages in the queue.
    pub(crate) fn queued(&self) -> u64 {
        self.spool.counts().messages
    }

    /// Checks the logins of all open sessions.
    pub(crate) fn recheck_logins(&self) -> usize {
        self.runtime.block_on(self.receiver.recheck_logins())
    }

    /// Closes the queue under the server.
    pub(crate) fn close_spool(&self) {
        self.runtime.block_on(self.spool.close()).unwrap();
    }

    /// Tells the server to stop and waits until it has.
    pub(crate) fn stop(&mut self) {
        self.shutdown.cancel();
        if let Some(serving) = self.serving.take() {
            self.runtime.block_on(serving).unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.cancel();
        if let Some(serving) = self.serving.take() {
            serving.abort();
        }
        let _ = self.runtime.block_on(self.spool.close());
    }
}

/// Goes as far as `354`, for a message to the server's user.
pub(crate) fn begin_message(client: &mut Client) {
    for line in ["MAIL FROM:<a@a.example>", "RCPT TO:<acaird@challenger.example>"] {
        assert!(client.say(line).unwrap().starts_with("250"), "{line}");
    }
    assert!(client.say("DATA").unwrap().starts_with("354"));
}

fn certificates(folder: &TempDir) -> ServerTls {
    let path = |name: &str| folder.path().join(name);
    let now = Timestamp::now();
    let authority = Authority::create(&AuthorityRequest::new("test CA"), now).unwrap();
    authority
        .credentials()
        .save(&path("ca.crt"), &path("ca.key"), None, Existing::Keep)
        .unwrap();
    for (names, name) in [
        (vec![HOST.to_owned()], "host"),
        (vec!["laptop.example".to_owned()], "client"),
    ] {
        let issued = authority.issue(&CertificateRequest::new(names), now).unwrap();
        issued
            .save(
                &path(&format!("{name}.crt")),
                &path(&format!("{name}.key")),
                None,
                Existing::Keep,
            )
            .unwrap();
    }
    ServerTls::load(&ServerTlsSettings {
        identities: vec![TlsIdentityFiles {
            certificate: path("host.crt"),
            key: path("host.key"),
            passphrase_file: None,
        }],
        client_ca: Some(path("ca.crt")),
        ..ServerTlsSettings::default()
    })
    .unwrap()
}

/// The keys that the mechanisms of the settings need.
pub(crate) fn key_policy(settings: &Settings) -> KeyPolicy {
    let auth = &settings.auth;
    let needed = |mechanism: &Mechanism| KeyKind::needed(mechanism.properties().needs, &auth.realm);
    let mut kinds: Vec<KeyKind> = auth.mechanisms.iter().filter_map(needed).collect();
    kinds.dedup();
    KeyPolicy {
        kinds,
        iterations: auth.scram_iterations,
    }
}

fn users(folder: &TempDir, keys: KeyPolicy) -> UsersSettings {
    let database = folder.path().join("users.db");
    let store = UserStore::open(&database).unwrap().with_keys(keys.clone());
    let addresses = [
        "acaird@challenger.example".to_owned(),
        "acaird@fccc.example".to_owned(),
    ];
    store
        .add("acaird", &SecretString::from("pass word"), &addresses)
        .unwrap();
    UsersSettings {
        database,
        domains: vec![HOST.to_owned()],
        keys,
        ..UsersSettings::default()
    }
}

fn aliases(folder: &TempDir, text: &str) -> Aliases {
    let path = folder.path().join("aliases");
    fs::File::create(&path)
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    Aliases::load(&path, &|domain| domain.name() == Some(HOST)).unwrap()
}
