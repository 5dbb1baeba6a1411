//! The questions put to a SQL directory, over its servers in turn.

use std::sync::Arc;
use std::time::{Duration, Instant};

use postern_mail::Mailbox;
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use secrecy::SecretString;
use tracing::warn;

use super::account::{self, Answer, Found};
use super::mysql::MySql;
use super::place::Place;
use super::postgres::Postgres;
use super::query::{Query, dialect};
use super::rows::Rows;
use super::settings::{SqlEngine, SqlPlace, SqlServers, SqlSettings, SqlTls};
use super::sqlite::Sqlite;
use crate::directories::SetUpError;
use crate::failover::{Failover, Fault};
use crate::hashing::Hashing;
use crate::schemes::{SchemeRules, Stored};
use crate::secret_file::read_secret;
use crate::tls;
use crate::verdict::{Account, DenyReason, Finding, Outage};

/// Most servers of one directory.
const SERVERS_MAX: usize = 16;

/// Longest text of a server that goes into a log line, in characters.
const TEXT_MAX: usize = 300;

/// A SQL directory.
pub(crate) struct Sql {
    password_query: Query,
    recipient_query: Option<Query>,
    schemes: SchemeRules,
    timeout: Duration,
    servers: Vec<Server>,
    failover: Failover,
    hashing: Hashing,
}

enum Server {
    Postgres(Box<Postgres>),
    MySql(MySql),
    Sqlite(Sqlite),
}

impl Sql {
    /// Checks the settings and reads their files; connects to nothing yet.
    pub(crate) fn new(settings: SqlSettings) -> Result<Self, SetUpError> {
        check_numbers(&settings)?;
        let engine = match &settings.place {
            SqlPlace::File(_) => None,
            SqlPlace::Servers(servers) => Some(servers.engine),
        };
        let parse = |key, text: &str| {
            Query::parse(text, dialect(engine)).map_err(|error| SetUpError::setting(key, error))
        };
        let password_query = parse("password_query", &settings.password_query)?;
        let recipient_query = match &settings.recipient_query {
            Some(text) => Some(parse("recipient_query", text)?),
            None => None,
        };
        if let Some(scheme) = &settings.schemes.default_scheme
            && !Stored::knows(scheme)
        {
            let message = format!("{scheme:?} is no known scheme, such as \"SSHA512\"");
            return Err(SetUpError::setting("default_scheme", message));
        }
        let (kind, names, servers) = match &settings.place {
            SqlPlace::File(path) => {
                let sqlite = Server::Sqlite(Sqlite::new(path, settings.pool_size));
                ("SQLite", vec![path.display().to_string()], vec![sqlite])
            }
            SqlPlace::Servers(servers) => {
                let (names, list) = connectable(servers, &settings)?;
                (servers.engine.name(), names, list)
            }
        };
        Ok(Self {
            password_query,
            recipient_query,
            schemes: settings.schemes,
            timeout: settings.timeout,
            servers,
            failover: Failover::new(kind, names, settings.retry_primary_after),
            hashing: Hashing::new(settings.workers, settings.cache_ttl),
        })
    }

    /// Whether this is the login's password.
    pub(crate) async fn check_password(
        &self,
        login: &str,
        password: &SecretString,
    ) -> Result<Finding, Outage> {
        let end = Instant::now() + self.timeout;
        tokio::time::timeout_at(end.into(), self.check(login, password, end))
            .await
            .unwrap_or_else(|_| {
                let ms = self.timeout.as_millis();
                Err(Outage::new(format!("no time to hash within {ms} ms")))
            })
    }

    async fn check(&self, login: &str, password: &SecretString, end: Instant) -> Result<Finding, Outage> {
        let rows = self.ask(&self.password_query, login, end).await?;
        let found = match account::of_password(&rows).map_err(Outage::new)? {
            Answer::Found(found) => found,
            Answer::Unknown => {
                self.hashing.spend(password).await?;
                return Ok(Finding::Denied(DenyReason::UnknownUser));
            }
            Answer::Ambiguous => {
                self.hashing.spend(password).await?;
                return Ok(Finding::Denied(DenyReason::Ambiguous));
            }
        };
        let Found {
            login: canonical,
            stored,
            enabled,
            addresses,
        } = found;
        let Some(text) = stored else {
            self.hashing.spend(password).await?;
            return Ok(Finding::Denied(DenyReason::Disabled));
        };
        let stored = Stored::parse(&text, &self.schemes)
            .map_err(|error| Outage::of_entry(format!("the stored password of {login:?}: {error}")))?;
        let right = self.hashing.verify(text, stored, password, enabled).await?;
        Ok(match (right, enabled) {
            (true, true) => Finding::Granted(Account {
                login: canonical.unwrap_or_else(|| login.to_owned()),
                addresses,
                ..Account::default()
            }),
            (true, false) => Finding::Denied(DenyReason::Disabled),
            (false, _) => Finding::Denied(DenyReason::WrongPassword),
        })
    }

    /// Whether the recipient query finds this address.
    pub(crate) async fn recipient_exists(&self, address: &Mailbox) -> Result<bool, Outage> {
        let Some(query) = &self.recipient_query else {
            return Ok(false);
        };
        let end = Instant::now() + self.timeout;
        let rows = self.ask(query, &address.key(), end).await?;
        Ok(account::of_recipient(&rows))
    }

    async fn ask(&self, query: &Query, whole: &str, end: Instant) -> Result<Rows, Outage> {
        let ask = |index: usize, deadline| self.servers[index].ask(query, whole, deadline);
        self.failover.ask(end, ask).await
    }
}

impl Server {
    async fn ask(&self, query: &Query, whole: &str, deadline: Instant) -> Result<Rows, Fault> {
        match self {
            Self::Postgres(server) => server.ask(query, whole, deadline).await,
            Self::MySql(server) => server.ask(query, whole, deadline).await,
            Self::Sqlite(file) => file.ask(query, whole, deadline).await,
        }
    }
}

fn check_numbers(settings: &SqlSettings) -> Result<(), SetUpError> {
    if !(1..=256).contains(&settings.pool_size) {
        let message = format!("is {}, must be from 1 to 256", settings.pool_size);
        return Err(SetUpError::setting("pool_size", message));
    }
    if settings.workers == 0 {
        return Err(SetUpError::setting("workers", "must be at least 1"));
    }
    if settings.timeout.is_zero() {
        return Err(SetUpError::setting(
            "timeout",
            "must be longer than zero, such as \"5s\"",
        ));
    }
    Ok(())
}

/// The servers with their names, ready to be connected to.
fn connectable(
    servers: &SqlServers,
    settings: &SqlSettings,
) -> Result<(Vec<String>, Vec<Server>), SetUpError> {
    let count = servers.servers.len();
    if !(1..=SERVERS_MAX).contains(&count) {
        let message = format!("has {count} servers, must have from 1 to {SERVERS_MAX}");
        return Err(SetUpError::setting("servers", message));
    }
    let parse = |text: &String| Place::parse(text, servers.engine.port());
    let places = servers.servers.iter().map(parse).collect::<Result<Vec<_>, _>>();
    let places = places.map_err(|error| SetUpError::setting("servers", error))?;
    let password = match &servers.password_file {
        Some(file) => Some(read_secret(file).map_err(SetUpError::SecretFile)?),
        None => None,
    };
    let trust = if places.iter().any(|place| wants_tls(place, servers.tls)) {
        Some(Trust::read(servers).map_err(|error| SetUpError::setting("ca_file", error))?)
    } else {
        None
    };
    let mut list = Vec::with_capacity(count);
    for place in &places {
        let trust = trust.as_ref().filter(|_| wants_tls(place, servers.tls));
        if trust.is_none() && !place.is_local() {
            warn!(target: "postern::directory", server = %place, "stored passwords cross the network in the clear");
        }
        list.push(match servers.engine {
            SqlEngine::PostgreSql => Server::Postgres(Box::new(Postgres::new(
                place,
                servers,
                password.as_ref(),
                trust.map(|trust| Arc::clone(&trust.config)),
                settings.timeout,
                settings.pool_size,
            ))),
            SqlEngine::MySql => Server::MySql(MySql::new(
                place,
                servers,
                password.as_ref(),
                trust.map(|trust| trust.roots.as_slice()),
                settings.pool_size,
            )),
        });
    }
    Ok((places.iter().map(Place::to_string).collect(), list))
}

fn wants_tls(place: &Place, tls: SqlTls) -> bool {
    match (place, tls) {
        (Place::Socket(_), _) | (_, SqlTls::Never) => false,
        (_, SqlTls::Always) => true,
        (place, SqlTls::Remote) => !place.is_local(),
    }
}

/// Whom to trust, in the forms of both clients.
struct Trust {
    config: Arc<ClientConfig>,
    roots: Vec<CertificateDer<'static>>,
}

impl Trust {
    fn read(servers: &SqlServers) -> Result<Self, String> {
        let ca_file = servers.ca_file.as_deref();
        Ok(Self {
            config: tls::client_config(ca_file)?,
            roots: tls::roots(ca_file)?,
        })
    }
}

/// A server's text on one line, not too long: it must not forge log lines.
pub(super) fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(TEXT_MAX)
        .collect()
}
