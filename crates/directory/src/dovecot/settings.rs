//! How to reach Dovecot's auth service.

use std::path::PathBuf;
use std::time::Duration;

/// How to reach Dovecot's auth service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DovecotSettings {
    /// Where it listens.
    pub place: DovecotPlace,
    /// Name of the service, with which Dovecot's configuration can tell the askers apart. Default `smtp`.
    pub service: String,
    /// Longest time for one login, connecting included. Default 10 seconds: Dovecot holds a refusal back for two.
    pub timeout: Duration,
    /// How long a granted login counts without asking again. Default zero: it is not remembered.
    pub cache_ttl: Duration,
}

/// Where Dovecot's auth service listens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DovecotPlace {
    /// A `unix_listener` of it.
    Path(PathBuf),
    /// An `inet_listener`, as `host:port`. The password goes there in the clear.
    Server(String),
}

impl Default for DovecotSettings {
    fn default() -> Self {
        Self {
            place: DovecotPlace::Path(PathBuf::from("/run/dovecot/auth-client")),
            service: "smtp".into(),
            timeout: Duration::from_secs(10),
            cache_ttl: Duration::ZERO,
        }
    }
}

impl std::fmt::Display for DovecotPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Server(server) => f.write_str(server),
        }
    }
}
