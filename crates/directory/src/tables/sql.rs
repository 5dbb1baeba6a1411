//! Tables in SQL databases.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::settings::{Question, ResultRules, SqlTable};
use crate::environment::Environment;
use crate::failover::{Failover, Fault};
use crate::sql::{Cell, Connecting, Dialect, Query, Rows, Server, SqlPlace, connectable, dialect};
use crate::time;
use crate::verdict::Outage;

/// A database and its query.
pub(super) struct SqlSource {
    query: Query,
    /// The same with its parameters cast to text, for a PostgreSQL that could not infer their type.
    typed: Option<Query>,
    is_typed: AtomicBool,
    result: ResultRules,
    timeout: Duration,
    servers: Vec<Server>,
    failover: Failover,
}

impl SqlSource {
    /// Makes no connection yet. The error says which setting is wrong.
    pub(super) fn new(settings: &SqlTable, environment: &Environment) -> Result<Self, String> {
        let dialect = dialect(match &settings.place {
            SqlPlace::File(_) => None,
            SqlPlace::Servers(servers) => Some(servers.engine),
        });
        let of_query = |error: String| format!("`query` {error}");
        let (query, typed) = match &settings.query {
            Question::Own(text) => (Query::parse(text, dialect).map_err(of_query)?, None),
            Question::Postfix(text) => {
                let typed = (dialect == Dialect::PostgreSql).then(|| Query::of_postfix(text, dialect, true));
                (
                    Query::of_postfix(text, dialect, false).map_err(of_query)?,
                    typed.transpose().map_err(of_query)?,
                )
            }
        };
        let connecting = Connecting {
            password: settings.password.clone(),
            timeout: settings.timeout,
            pool_size: settings.pool_size,
            observers: &environment.observers,
        };
        let (kind, names, servers) =
            connectable(&settings.place, &connecting).map_err(|error| error.text())?;
        Ok(Self {
            query,
            typed,
            is_typed: AtomicBool::new(false),
            result: settings.result.clone(),
            timeout: settings.timeout,
            servers,
            failover: Failover::new(
                kind,
                names,
                settings.retry_primary_after,
                environment.observers.clone(),
            ),
        })
    }

    /// The value of a key.
    pub(super) async fn get(&self, key: &str) -> Result<Option<String>, Outage> {
        if !self.result.holds(key) || !self.query.fits(key) {
            return Ok(None);
        }
        let end = time::now() + self.timeout;
        let rows = self
            .failover
            .ask(end, |index, deadline| self.ask(index, key, deadline))
            .await?;
        let values = texts(&rows).map_err(Outage::new)?;
        self.result.join(key, &values).map_err(Outage::new)
    }

    async fn ask(&self, index: usize, key: &str, deadline: Instant) -> Result<Rows, Fault> {
        let server = &self.servers[index];
        let typed = self
            .typed
            .as_ref()
            .filter(|_| self.is_typed.load(Ordering::Relaxed));
        let answer = server.ask(typed.unwrap_or(&self.query), key, deadline).await;
        match (answer, &self.typed) {
            // The code for a type that cannot be determined.
            (Err(Fault::Question(told)), Some(typed)) if told.contains("42P18") => {
                let answer = server.ask(typed, key, deadline).await;
                if answer.is_ok() {
                    self.is_typed.store(true, Ordering::Relaxed);
                }
                answer
            }
            // A text that the database's character set cannot represent: no row contains it either.
            (Err(Fault::Entry(_)), _) => Ok(Rows::default()),
            (answer, _) => answer,
        }
    }
}

/// All values of an answer as texts, row by row.
fn texts(rows: &Rows) -> Result<Vec<String>, String> {
    let mut texts = Vec::new();
    for cell in rows.rows.iter().flatten() {
        match cell {
            Cell::Null => {}
            Cell::Text(text) => texts.push(text.to_string()),
            Cell::Number(number) => texts.push(number.to_string()),
            Cell::List(list) => texts.extend(list.iter().cloned()),
            Cell::Other(kind) => {
                return Err(format!(
                    "`query` gives a value that is {kind}; have it make that text"
                ));
            }
        }
    }
    Ok(texts)
}
