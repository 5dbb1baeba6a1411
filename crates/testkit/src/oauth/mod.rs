//! A provider of tokens (OAuth 2.0 and OpenID Connect) on a loopback port, over real TLS, with real keys.
//!
//! It publishes its description and keys, answers introspection, and issues tokens for client credentials, refresh tokens
//! and device codes. A test may roll its keys over, break it, stop it and start it again.

mod grants;
mod keys;
mod serve;
mod shared;

use std::collections::HashMap;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value, json};
use tempfile::TempDir;

use self::grants::Grants;
pub use self::keys::Algorithm;
use self::keys::SigningKey;
pub use self::shared::{AUDIENCE, CLIENT_ID, CLIENT_SECRET, OWNER, unix_now};
use self::shared::{Shared, State};

/// A running provider. Stopped when dropped.
pub struct OauthProvider {
    folder: TempDir,
    port: u16,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for OauthProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OauthProvider")
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

impl OauthProvider {
    /// Starts with one RS256 key, on a free port.
    ///
    /// # Panics
    ///
    /// When it cannot be started, or openssl is not installed.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(Algorithm::Rs256)
    }

    /// Starts with one key of this algorithm.
    ///
    /// # Panics
    ///
    /// As [`OauthProvider::start`].
    #[must_use]
    pub fn start_with(algorithm: Algorithm) -> Self {
        let folder = TempDir::new().expect("a scratch folder");
        crate::slapd::make_certificate(folder.path());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free loopback port");
        let port = listener
            .local_addr()
            .expect("a bound socket has an address")
            .port();
        let provider = Self {
            shared: Arc::new(Shared {
                issuer: format!("https://localhost:{port}/realms/test"),
                tls: serve::tls(folder.path()),
                state: Mutex::new(State {
                    keys: vec![SigningKey::generate(algorithm, "key-1")],
                    opaque: HashMap::new(),
                    grants: Grants::default(),
                    requests: HashMap::new(),
                    broken: None,
                    lifetime: 300,
                    next: 1,
                    generation: 1,
                }),
                stop: AtomicBool::new(false),
            }),
            folder,
            port,
        };
        serve::accept(listener, Arc::clone(&provider.shared));
        provider
    }

    /// The issuer: `https://localhost:PORT/realms/test`.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.shared.issuer
    }

    /// The address of one of its services: `jwks`, `introspect`, `tokeninfo`, `token`, `device`.
    #[must_use]
    pub fn address(&self, service: &str) -> String {
        format!("{}/{service}", self.shared.issuer)
    }

    /// The authority that signed its certificate.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }

    /// A file with [`CLIENT_SECRET`], readable only by its owner.
    ///
    /// # Panics
    ///
    /// When it cannot be written.
    #[must_use]
    pub fn secret_file(&self) -> PathBuf {
        let path = self.folder.path().join("client.secret");
        write_private(&path, CLIENT_SECRET);
        path
    }

    /// A signed token with the usual claims, replaced by these; `null` removes one.
    #[must_use]
    pub fn token(&self, changes: Value) -> String {
        let claims = Value::Object(self.claims(changes));
        let state = self.shared.state();
        let key = state.keys.last().expect("there is always a key");
        key.sign(&key.header(), &claims)
    }

    /// The same with another header: its members replace those of the usual one; `null` removes one.
    #[must_use]
    pub fn token_with_header(&self, header: Value, changes: Value) -> String {
        let claims = Value::Object(self.claims(changes));
        let state = self.shared.state();
        let key = state.keys.last().expect("there is always a key");
        let mut usual = key.header().as_object().cloned().unwrap_or_default();
        merge(&mut usual, header);
        key.sign(&Value::Object(usual), &claims)
    }

    /// A token signed by somebody else, under the name of the provider's key or of a nonexistent one.
    #[must_use]
    pub fn forged(&self, kid: Option<&str>, changes: Value) -> String {
        let claims = Value::Object(self.claims(changes));
        let (algorithm, ours) = {
            let state = self.shared.state();
            let key = state.keys.last().expect("there is always a key");
            (key.algorithm(), key.kid().to_owned())
        };
        let stranger = SigningKey::generate(algorithm, kid.unwrap_or(&ours));
        stranger.sign(&stranger.header(), &claims)
    }

    /// A token that declares that it has no signature, and has none.
    #[must_use]
    pub fn unsigned(&self, changes: Value) -> String {
        keys::unsigned(&Value::Object(self.claims(changes)))
    }

    /// A token signed by HMAC with the provider's public key as the secret, in the form that a vulnerable program would
    /// accept.
    #[must_use]
    pub fn confused(&self, changes: Value) -> String {
        let claims = Value::Object(self.claims(changes));
        self.shared
            .state()
            .keys
            .last()
            .expect("there is always a key")
            .confuse(&claims)
    }

    /// An opaque token for which introspection returns these claims.
    #[must_use]
    pub fn opaque(&self, changes: Value) -> String {
        let claims = self.claims(changes);
        let mut state = self.shared.state();
        let token = format!("opaque-{}-{}", self.port, state.next);
        state.next += 1;
        state.opaque.insert(token.clone(), claims);
        token
    }

    /// Makes an opaque token inactive.
    pub fn revoke(&self, token: &str) {
        self.shared.state().opaque.remove(token);
    }

    /// Signs with a new key from now on. The old ones stay published until [`retire`](Self::retire).
    pub fn rollover(&self, algorithm: Algorithm) {
        let mut state = self.shared.state();
        state.generation += 1;
        let kid = format!("key-{}", state.generation);
        state.keys.push(SigningKey::generate(algorithm, &kid));
    }

    /// Publishes only the newest key.
    pub fn retire(&self) {
        let mut state = self.shared.state();
        let newest = state.keys.pop();
        state.keys.clear();
        state.keys.extend(newest);
    }

    /// Its keys, as it publishes them.
    #[must_use]
    pub fn jwks(&self) -> String {
        self.shared.state().jwks()
    }

    /// Answers everything with this status; `None` restores it.
    pub fn break_with(&self, status: Option<u16>) {
        self.shared.state().broken = status;
    }

    /// Closes its port, as an outage does.
    pub fn stop(&self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // Wakes the accepting thread.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        crate::process::wait_until("the provider to close its port", || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err()
        });
    }

    /// Opens its port again.
    ///
    /// # Panics
    ///
    /// If it is in use by another process.
    pub fn restart(&self) {
        self.shared.stop.store(false, Ordering::SeqCst);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).expect("the provider's own port");
        serve::accept(listener, Arc::clone(&self.shared));
    }

    /// How many requests a service has had, broken or not.
    #[must_use]
    pub fn requests(&self, service: &str) -> usize {
        let path = format!("/realms/test/{service}");
        self.shared.state().requests.get(&path).copied().unwrap_or(0)
    }

    /// Sets the lifetime of tokens from the token endpoint from now on, in seconds.
    pub fn set_lifetime(&self, seconds: u64) {
        self.shared.state().lifetime = seconds;
    }

    /// A refresh token for [`OWNER`], as a user obtains it once.
    #[must_use]
    pub fn refresh_token(&self) -> String {
        self.shared.state().grants.new_refresh_token()
    }

    /// Withdraws all refresh tokens.
    pub fn revoke_refresh_tokens(&self) {
        self.shared.state().grants.revoke();
    }

    /// Acts as a user on the device page: enters the code and consents or refuses. False if no device is waiting with this
    /// code.
    pub fn decide(&self, user_code: &str, agree: bool) -> bool {
        self.shared.state().grants.decide(user_code, agree)
    }

    fn claims(&self, changes: Value) -> Map<String, Value> {
        let mut claims = self.shared.claims(300);
        merge(&mut claims, changes);
        claims
    }
}

impl Drop for OauthProvider {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

impl State {
    fn jwks(&self) -> String {
        let keys: Vec<Value> = self.keys.iter().map(SigningKey::jwk).collect();
        json!({ "keys": keys }).to_string()
    }
}

fn merge(into: &mut Map<String, Value>, changes: Value) {
    let Value::Object(changes) = changes else { return };
    for (name, value) in changes {
        if value.is_null() {
            into.remove(&name);
        } else {
            into.insert(name, value);
        }
    }
}

fn write_private(path: &Path, text: &str) {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .expect("a private file");
    file.write_all(text.as_bytes()).expect("a private file");
}
