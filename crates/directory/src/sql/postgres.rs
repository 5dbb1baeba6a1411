//! PostgreSQL.

use std::borrow::Cow;
use std::error::Error as _;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use futures_util::TryStreamExt;
use parking_lot::Mutex;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use secrecy::{ExposeSecret, SecretString};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_postgres::types::{Format, FromSql, IsNull, Kind, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage, Socket};
use tracing::debug;

use super::place::Place;
use super::query::Query;
use super::rows::{Cell, ROWS_MAX, Rows};
use super::settings::SqlServers;
use crate::failover::Fault;
use crate::pool::Pool;

type BoxError = Box<dyn std::error::Error + Sync + Send>;

/// One server.
pub(crate) struct Postgres {
    config: Config,
    tls: Option<Arc<ClientConfig>>,
    /// The statement that begins each transaction.
    begin: Arc<str>,
    columns: Arc<Columns>,
    pool: Pool<Connection>,
}

/// The columns of each query that has returned no rows so far; at most one entry per query of the directory.
type Columns = Mutex<Vec<(String, Vec<String>)>>;

struct Connection {
    client: Client,
    /// Begins a transaction with a time limit on the server.
    begin: Arc<str>,
    columns: Arc<Columns>,
}

impl Postgres {
    pub(super) fn new(
        place: &Place,
        servers: &SqlServers,
        password: Option<&SecretString>,
        tls: Option<Arc<ClientConfig>>,
        timeout: Duration,
        pool_size: usize,
    ) -> Self {
        let mut config = Config::new();
        match place {
            Place::Tcp { host, port } => config.host(host).port(*port),
            Place::Socket(folder) => config.host_path(folder),
        };
        config
            .dbname(&servers.database)
            .user(&servers.user)
            .application_name("postern")
            .keepalives_idle(Duration::from_secs(60))
            .ssl_mode(if tls.is_some() {
                SslMode::Require
            } else {
                SslMode::Disable
            });
        if let Some(password) = password {
            config.password(password.expose_secret());
        }
        Self {
            config,
            tls,
            columns: Arc::default(),
            // A query that kept running after nobody waits for it would tie up the server.
            begin: format!(
                "BEGIN; SET LOCAL statement_timeout = {}",
                timeout.as_millis().max(1)
            )
            .into(),
            pool: Pool::new(place.to_string(), pool_size),
        }
    }

    /// Asks; a connection that no longer works, or whose prepared query no longer fits the tables, is replaced by a new
    /// one.
    pub(super) async fn ask(&self, query: &Query, whole: &str, deadline: Instant) -> Result<Rows, Fault> {
        let mut lease = self.pool.lease(deadline, |_| true).await?;
        if let Some(connection) = lease.left_over.take() {
            match connection.ask(query, whole).await {
                Ok(rows) => {
                    lease.give_back(connection);
                    return Ok(rows);
                }
                Err(fault) => debug!(target: "postern::directory", ?fault, "connection was stale"),
            }
        }
        let connection = self.connect().await?;
        let rows = connection.ask(query, whole).await?;
        lease.give_back(connection);
        Ok(rows)
    }

    async fn connect(&self) -> Result<Connection, Fault> {
        let failed = |error: tokio_postgres::Error| Fault::Server(tell(&error));
        let client = match &self.tls {
            None => {
                let (client, connection) = self.config.connect(NoTls).await.map_err(failed)?;
                drive(connection);
                client
            }
            Some(tls) => {
                let connector = Connector(Arc::clone(tls));
                let (client, connection) = self.config.connect(connector).await.map_err(failed)?;
                drive(connection);
                client
            }
        };
        Ok(Connection {
            client,
            begin: Arc::clone(&self.begin),
            columns: Arc::clone(&self.columns),
        })
    }
}

/// Runs until the client is dropped. Its error is returned by the pending query.
fn drive(connection: impl Future<Output = Result<(), tokio_postgres::Error>> + Send + 'static) {
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            debug!(target: "postern::directory", error = %tell(&error), "PostgreSQL connection ended");
        }
    });
}

impl Connection {
    /// Asks in a transaction of its own. Nothing outlives it on the server, neither a setting nor a prepared statement: behind a
    /// pooler such as pgbouncer, the next transaction may run on another connection, and another client's on this one.
    async fn ask(&self, query: &Query, whole: &str) -> Result<Rows, Fault> {
        // All three are sent at once and are answered in order. After a query that failed, COMMIT means ROLLBACK.
        let (begun, rows, ended) = tokio::join!(
            self.client.batch_execute(&self.begin),
            self.rows(query, whole),
            self.client.batch_execute("COMMIT"),
        );
        begun.map_err(of_query)?;
        let mut rows = rows?;
        ended.map_err(of_query)?;
        if rows.rows.is_empty() {
            rows.columns = self.known_columns(query).await?;
        }
        Ok(rows)
    }

    async fn rows(&self, query: &Query, whole: &str) -> Result<Rows, Fault> {
        // The server infers the types itself.
        let values = query
            .values(whole)
            .into_iter()
            .map(|value| (Text(value), Type::UNKNOWN));
        let stream = self
            .client
            .query_typed_raw(&query.sql, values)
            .await
            .map_err(of_query)?;
        let mut stream = pin!(stream);
        let mut rows = Vec::new();
        let mut columns = Vec::new();
        while let Some(row) = stream.try_next().await.map_err(of_query)? {
            if rows.len() == ROWS_MAX {
                return Err(Fault::Question(format!(
                    "the query gives more than {ROWS_MAX} rows"
                )));
            }
            if rows.is_empty() {
                let names = row.columns().iter().map(|column| column.name().to_lowercase());
                columns = names.collect();
            }
            let cells = (0..row.len()).map(|index| row.try_get::<_, Cell>(index));
            rows.push(cells.collect::<Result<Vec<_>, _>>().map_err(of_query)?);
        }
        Ok(Rows { columns, rows })
    }

    async fn known_columns(&self, query: &Query) -> Result<Vec<String>, Fault> {
        if let Some((_, columns)) = self.columns.lock().iter().find(|(sql, _)| *sql == query.sql) {
            return Ok(columns.clone());
        }
        let columns = self.ask_columns(query).await?;
        self.columns.lock().push((query.sql.clone(), columns.clone()));
        Ok(columns)
    }

    /// The columns of a query. An answer without rows does not include them.
    async fn ask_columns(&self, query: &Query) -> Result<Vec<String>, Fault> {
        let alone = format!("BEGIN READ ONLY; {}; ROLLBACK", query.blank());
        let answer = self.client.simple_query(&alone).await.map_err(of_query)?;
        let described = answer.iter().find_map(|message| match message {
            SimpleQueryMessage::RowDescription(columns) => Some(columns),
            _ => None,
        });
        let names = described
            .iter()
            .flat_map(|columns| columns.iter())
            .map(|column| column.name().to_lowercase());
        Ok(names.collect())
    }
}

/// Connection trouble, a server that is starting, stopping or overloaded: another may succeed. Anything else is the query's
/// fault.
fn of_query(error: tokio_postgres::Error) -> Fault {
    let told = tell(&error);
    match error.code().map(|code| code.code()) {
        None if error.as_db_error().is_none() && error.is_closed() => Fault::Server(told),
        // Only the named parameters are bound, but the query contains others.
        Some("08P01") => Fault::Question(format!(
            "the query has parameters besides the named ones ({told})"
        )),
        // Out of resources, operator intervention (with the statement's time limit), system error, connection.
        Some(code)
            if ["53", "57", "58", "08", "XX"]
                .iter()
                .any(|class| code.starts_with(class)) =>
        {
            Fault::Server(told)
        }
        // A hot standby whose snapshot was lost.
        Some("40001") => Fault::Server(told),
        // Data exceptions: the login is not a number where one is needed, or has characters missing from the encoding. Anyone
        // can type such a login; the query is not at fault.
        Some(code) if code.starts_with("22") => Fault::Entry(told),
        None => Fault::Server(told),
        Some(_) => Fault::Question(told),
    }
}

/// The error with its causes, on one line.
fn tell(error: &tokio_postgres::Error) -> String {
    let mut told = match error.as_db_error() {
        Some(db) => format!("{} {}: {}", db.severity(), db.code().code(), db.message()),
        None => error.to_string(),
    };
    let mut cause = if error.as_db_error().is_some() {
        None
    } else {
        error.source()
    };
    while let Some(error) = cause {
        told.push_str(": ");
        told.push_str(&error.to_string());
        cause = error.source();
    }
    super::text::one_line(&told)
}

/// A text for a parameter of any type: it is sent in text form, and the server converts it to the type that the query needs.
#[derive(Debug)]
struct Text<'a>(Cow<'a, str>);

impl ToSql for Text<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
        out.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Cell {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, BoxError> {
        if let Kind::Domain(inner) = kind.kind() {
            return Self::from_sql(inner, raw);
        }
        Ok(match *kind {
            Type::BOOL => Self::Number(bool::from_sql(kind, raw)?.into()),
            Type::INT2 => Self::Number(i16::from_sql(kind, raw)?.into()),
            Type::INT4 => Self::Number(i32::from_sql(kind, raw)?.into()),
            Type::INT8 => Self::Number(i64::from_sql(kind, raw)?),
            // Padded with blanks.
            Type::BPCHAR => Self::text(std::str::from_utf8(raw)?.trim_end_matches(' ')),
            Type::TEXT | Type::VARCHAR | Type::NAME | Type::UNKNOWN | Type::BYTEA => {
                Self::octets(raw.to_vec())
            }
            Type::TEXT_ARRAY | Type::VARCHAR_ARRAY => {
                let list = Vec::<Option<String>>::from_sql(kind, raw)?;
                Self::List(list.into_iter().flatten().collect())
            }
            _ if kind.name() == "citext" || matches!(kind.kind(), Kind::Enum(_)) => {
                Self::octets(raw.to_vec())
            }
            _ => Self::Other(format!("of the type {}", kind.name())),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, BoxError> {
        Ok(Self::Null)
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Makes TLS connections with certificates verified.
#[derive(Clone)]
struct Connector(Arc<ClientConfig>);

struct Handshake(Arc<ClientConfig>, ServerName<'static>);

struct Secured(tokio_rustls::client::TlsStream<Socket>);

impl MakeTlsConnect<Socket> for Connector {
    type Stream = Secured;
    type TlsConnect = Handshake;
    type Error = rustls::pki_types::InvalidDnsNameError;

    fn make_tls_connect(&mut self, host: &str) -> Result<Handshake, Self::Error> {
        let name = ServerName::try_from(host.to_owned())?;
        Ok(Handshake(Arc::clone(&self.0), name))
    }
}

impl TlsConnect<Socket> for Handshake {
    type Stream = Secured;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Secured>> + Send>>;

    fn connect(self, stream: Socket) -> Self::Future {
        Box::pin(async move {
            let connector = tokio_rustls::TlsConnector::from(self.0);
            connector.connect(self.1, stream).await.map(Secured)
        })
    }
}

impl TlsStream for Secured {
    /// None: the certificate has been verified.
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for Secured {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Secured {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
