//! MySQL and MariaDB.

mod prelude;
mod secured;
mod tell;

use std::sync::Arc;
use std::time::Instant;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, OptsBuilder, Params, Value};
use rustls::ClientConfig;
use secrecy::{ExposeSecret, SecretString};
use tracing::debug;

use self::secured::{KEEPALIVE, Secured};
use self::tell::tell;
use crate::failover::Fault;
use crate::pool::Pool;
use crate::sql::place::Place;
use crate::sql::query::Query;
use crate::sql::rows::{Cell, ROWS_MAX, Rows};
use crate::sql::settings::SqlServers;

/// One server.
pub(crate) struct MySql {
    options: OptsBuilder,
    secured: Option<Secured>,
    pool: Pool<Conn>,
}

impl MySql {
    /// `tls` says which certificates are trusted; `None` for an unencrypted connection. A Unix socket needs none.
    pub(super) fn new(
        place: &Place,
        servers: &SqlServers,
        password: Option<&SecretString>,
        tls: Option<Arc<ClientConfig>>,
        pool_size: usize,
    ) -> Self {
        let options = OptsBuilder::default()
            .user(Some(&servers.user))
            .pass(password.map(|password| password.expose_secret()))
            .db_name(Some(&servers.database))
            .prefer_socket(false)
            .tcp_keepalive(Some(KEEPALIVE));
        let (options, secured) = match (place, tls) {
            (Place::Tcp { host, port }, Some(tls)) => (options, Some(Secured::new(host, *port, tls))),
            (Place::Tcp { host, port }, None) => (options.ip_or_hostname(host).tcp_port(*port), None),
            (Place::Socket(path), _) => (options.socket(path.to_str()), None),
        };
        Self {
            options,
            secured,
            pool: Pool::new(place.to_string(), pool_size),
        }
    }

    /// Asks; a connection that the server has closed since its last use is replaced by a new one.
    pub(super) async fn ask(&self, query: &Query, whole: &str, deadline: Instant) -> Result<Rows, Fault> {
        let mut lease = self.pool.lease(deadline, |_| true).await?;
        if let Some(mut connection) = lease.left_over.take() {
            match ask_on(&mut connection, query, whole).await {
                Ok(rows) => {
                    lease.give_back(connection);
                    return Ok(rows);
                }
                Err(fault) => debug!(target: "postern::directory", ?fault, "connection was stale"),
            }
        }
        let mut connection = self.connect().await?;
        let rows = ask_on(&mut connection, query, whole).await?;
        lease.give_back(connection);
        Ok(rows)
    }

    async fn connect(&self) -> Result<Conn, Fault> {
        let options = self.options.clone();
        match &self.secured {
            Some(secured) => secured.connect(options).await,
            None => Conn::new(options)
                .await
                .map_err(|error| Fault::Server(tell(&error))),
        }
    }
}

async fn ask_on(connection: &mut Conn, query: &Query, whole: &str) -> Result<Rows, Fault> {
    let statement = connection.prep(query.sql.as_str()).await.map_err(of_query)?;
    if usize::from(statement.num_params()) != query.count() {
        return Err(Fault::Question(
            "the query has parameters besides the named ones".into(),
        ));
    }
    let columns = statement
        .columns()
        .iter()
        .map(|column| column.name_str().to_lowercase())
        .collect();
    let values = query.values(whole);
    let values = values.iter().map(|value| Value::from(value.as_ref())).collect();
    let mut answer = connection
        .exec_iter(statement, Params::Positional(values))
        .await
        .map_err(of_query)?;
    let mut rows = Vec::new();
    while let Some(row) = answer.next().await.map_err(of_query)? {
        if rows.len() == ROWS_MAX {
            return Err(Fault::Question(format!(
                "the query gives more than {ROWS_MAX} rows"
            )));
        }
        rows.push(row.unwrap().into_iter().map(cell).collect());
    }
    Ok(Rows { columns, rows })
}

fn cell(value: Value) -> Cell {
    match value {
        Value::NULL => Cell::Null,
        Value::Bytes(octets) => Cell::octets(octets),
        Value::Int(number) => Cell::Number(number),
        Value::UInt(number) => Cell::Number(i64::try_from(number).unwrap_or(i64::MAX)),
        Value::Float(_) | Value::Double(_) => Cell::Other("a number with a fraction".into()),
        Value::Date(..) | Value::Time(..) => Cell::Other("a time".into()),
    }
}

/// A broken connection, a server that stops or is overloaded: another may succeed. Anything else is the query's fault.
fn of_query(error: Error) -> Fault {
    let told = tell(&error);
    match &error {
        // Too many connections, shutdown, connection killed, out of resources, read failure of replication.
        Error::Server(server)
            if !matches!(
                server.code,
                1_037..=1_041 | 1_053 | 1_203 | 1_226 | 1_317 | 1_927 | 3_024 | 1_969
            ) =>
        {
            if is_of_data(server.code) {
                Fault::Entry(told)
            } else {
                Fault::Question(told)
            }
        }
        _ => Fault::Server(told),
    }
}

/// Whether the server could not accept the parameter's text: a mix of collations, or a character missing from its character
/// set. Anyone can type such a login; the query is not at fault.
const fn is_of_data(code: u16) -> bool {
    matches!(code, 1_267 | 1_270 | 1_271 | 1_366 | 3_854)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mysql_async::ServerError;

    #[test]
    fn whose_fault_it_is() {
        #[rustfmt::skip]
        let cases = [
            (1_040, "server",   "too many connections"),
            (1_146, "question", "no such table"),
            (1_267, "entry",    "a mix of collations"),
            (1_366, "entry",    "a character that the column's set has not"),
            (3_854, "entry",    "the same, for the whole connection"),
        ];
        for (code, want, shows) in cases {
            let error = ServerError {
                code,
                message: "no".into(),
                state: "HY000".into(),
            };
            let got = match of_query(Error::Server(error)) {
                Fault::Server(_) => "server",
                Fault::Question(_) => "question",
                Fault::Busy(_) => "busy",
                Fault::Entry(_) => "entry",
            };
            assert_eq!(got, want, "{shows}");
        }
    }
}
