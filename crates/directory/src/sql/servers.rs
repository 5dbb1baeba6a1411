//! Where a database is: servers with their pools, or a file.

use std::sync::Arc;
use std::time::{Duration, Instant};

use postern_events::{Observers, notice, shown};
use secrecy::SecretString;

use super::mistakes::of_servers;
use super::mysql::MySql;
use super::place::Place;
use super::postgres::Postgres;
use super::query::Query;
use super::rows::Rows;
use super::settings::{SqlEngine, SqlPlace, SqlServers, SqlTls};
use super::sqlite::Sqlite;
use crate::error::SetUpError;
use crate::failover::Fault;
use crate::secret_file::read_secret;

/// One server, or the file.
pub(crate) enum Server {
    Postgres(Box<Postgres>),
    MySql(Box<MySql>),
    Sqlite(Sqlite),
}

/// How they are connected to.
pub(crate) struct Connecting<'a> {
    /// The password, if it is not in a file of its own.
    pub(crate) password: Option<SecretString>,
    /// Longest time for one question.
    pub(crate) timeout: Duration,
    /// Most connections to each server.
    pub(crate) pool_size: usize,
    /// The observers to notify.
    pub(crate) observers: &'a Observers,
}

/// The engine, the servers' names, and the servers ready to be connected to.
pub(crate) fn connectable(
    place: &SqlPlace,
    connecting: &Connecting<'_>,
) -> Result<(&'static str, Vec<String>, Vec<Server>), SetUpError> {
    match place {
        SqlPlace::File(path) => {
            let sqlite = Server::Sqlite(Sqlite::new(path, connecting.pool_size));
            Ok(("SQLite", vec![path.display().to_string()], vec![sqlite]))
        }
        SqlPlace::Servers(servers) => {
            let (names, list) = servers_of(servers, connecting)?;
            Ok((servers.engine.name(), names, list))
        }
    }
}

impl Server {
    /// The rows that a query finds.
    pub(crate) async fn ask(&self, query: &Query, whole: &str, deadline: Instant) -> Result<Rows, Fault> {
        match self {
            Self::Postgres(server) => server.ask(query, whole, deadline).await,
            Self::MySql(server) => server.ask(query, whole, deadline).await,
            Self::Sqlite(file) => file.ask(query, whole, deadline).await,
        }
    }
}

/// Servers on the network or on sockets, with their names.
fn servers_of(
    servers: &SqlServers,
    connecting: &Connecting<'_>,
) -> Result<(Vec<String>, Vec<Server>), SetUpError> {
    if let Some(mistake) = of_servers(servers) {
        return Err(mistake.into());
    }
    let parse = |text: &String| Place::parse(text, servers.engine.port());
    let places = servers.servers.iter().map(parse).collect::<Result<Vec<_>, _>>();
    let places = places.map_err(|error| SetUpError::setting("servers", error))?;
    let password = match (&servers.password_file, &connecting.password) {
        (Some(file), _) => Some(read_secret(file).map_err(SetUpError::SecretFile)?),
        (None, password) => password.clone(),
    };
    let trust = if places.iter().any(|place| wants_tls(place, servers.tls)) {
        let trust = postern_trust::client_config(servers.ca_file.as_deref());
        Some(Arc::new(trust.map_err(|error| {
            SetUpError::setting("ca_file", error.to_string())
        })?))
    } else {
        None
    };
    let mut list = Vec::with_capacity(places.len());
    for place in &places {
        let trust = trust.as_ref().filter(|_| wants_tls(place, servers.tls));
        if trust.is_none() && !place.is_local() {
            notice!(
                connecting.observers,
                Directory Warning "stored passwords cross the network in the clear",
                Server = shown(place),
            );
        }
        list.push(match servers.engine {
            SqlEngine::PostgreSql => Server::Postgres(Box::new(Postgres::new(
                place,
                servers,
                password.as_ref(),
                trust.cloned(),
                connecting.timeout,
                connecting.pool_size,
            ))),
            SqlEngine::MySql => Server::MySql(Box::new(MySql::new(
                place,
                servers,
                password.as_ref(),
                trust.cloned(),
                connecting.pool_size,
            ))),
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
