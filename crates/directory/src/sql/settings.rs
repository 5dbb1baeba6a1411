//! Where a SQL directory is and what to ask it.

use std::path::PathBuf;
use std::time::Duration;

use crate::foreign::ForeignKeys;
use crate::schemes::SchemeRules;

/// A SQL directory. The queries are described in the module documentation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SqlSettings {
    /// Where the database is.
    pub place: SqlPlace,
    /// The query that finds the stored password of a login.
    pub password_query: String,
    /// The query that finds out whether a recipient's address exists. Without it, the directory knows no recipients.
    pub recipient_query: Option<String>,
    /// The query that finds the keys of a login for mechanisms that never show the password. Default: the password query.
    pub key_query: Option<String>,
    /// The query that finds the account of a login that was proved by other means. Default: the password query.
    pub account_query: Option<String>,
    /// The query that finds the groups of an account, by its canonical login.
    pub group_query: Option<String>,
    /// The groups that may log in. Default: everybody may.
    pub allowed_groups: Vec<String>,
    /// The mechanisms for which there are keys. Default none.
    pub keys: ForeignKeys,
    /// Which stored passwords are accepted.
    pub schemes: SchemeRules,
    /// How long a verified password need not be hashed again. Default 60 seconds; zero disables this. The query is made
    /// each time, so that a change takes effect at once.
    pub cache_ttl: Duration,
    /// Most passwords hashed at the same time. Default: half the processors, at least 1.
    pub workers: usize,
    /// Longest time for one check, over all servers, hashing included. Default 5 seconds.
    pub timeout: Duration,
    /// Most connections to each server. Default 8; 1 to 256.
    pub pool_size: usize,
    /// How long a server that failed is tried last. Default 30 seconds.
    pub retry_primary_after: Duration,
}

/// Where the database is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SqlPlace {
    /// An SQLite file. It is opened for reading and never created.
    File(PathBuf),
    /// One or more servers with the same data.
    Servers(SqlServers),
}

/// Servers that hold the same data.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SqlServers {
    /// The database engine.
    pub engine: SqlEngine,
    /// The servers, tried in order: `host`, `host:port`, `[IPv6]:port`, or the path of a Unix socket (for PostgreSQL the
    /// folder it is in). At least one, at most 16.
    pub servers: Vec<String>,
    /// The name of the database.
    pub database: String,
    /// The database user.
    pub user: String,
    /// File with its password, one line, readable only by its owner.
    pub password_file: Option<PathBuf>,
    /// Whether connections use TLS.
    pub tls: SqlTls,
    /// The authorities that must have issued the servers' certificates. Default: those the system trusts.
    pub ca_file: Option<PathBuf>,
}

/// The database engine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SqlEngine {
    /// PostgreSQL, from version 10.
    PostgreSql,
    /// MySQL and MariaDB.
    MySql,
}

impl SqlEngine {
    /// The default port.
    #[must_use]
    pub const fn port(self) -> u16 {
        match self {
            Self::PostgreSql => 5_432,
            Self::MySql => 3_306,
        }
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PostgreSql => "PostgreSQL",
            Self::MySql => "MySQL",
        }
    }
}

/// Whether connections to servers use TLS. Certificates are always verified, and a server without TLS where it is
/// required is an outage, never a reason to continue unencrypted. A Unix socket needs none.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SqlTls {
    /// Required except for servers on this machine.
    #[default]
    Remote,
    /// Required everywhere.
    Always,
    /// Never: stored passwords cross the network in the clear.
    Never,
}

impl SqlSettings {
    /// Settings with all defaults.
    #[must_use]
    pub fn new(place: SqlPlace, password_query: impl Into<String>) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            place,
            password_query: password_query.into(),
            recipient_query: None,
            key_query: None,
            account_query: None,
            group_query: None,
            allowed_groups: Vec::new(),
            keys: ForeignKeys::default(),
            schemes: SchemeRules::default(),
            cache_ttl: Duration::from_secs(60),
            workers: (processors / 2).max(1),
            timeout: Duration::from_secs(5),
            pool_size: 8,
            retry_primary_after: Duration::from_secs(30),
        }
    }
}
