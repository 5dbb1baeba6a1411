//! SQL directories.

use postern_directory::sql::is_local_server;
use postern_directory::sql::takes_any_domain as of_any_domain;
use postern_directory::{SchemeRules, SqlEngine, SqlPlace, SqlServers, SqlSettings, SqlTls};

use super::{Checking, clamp, directory_mistakes, files, logins, values};
use crate::config::file::{EngineWord, SqlTable};
use crate::config::problem::Span;
use crate::config::read::At;

/// The engine, `Some(None)` for SQLite; `None` if the problems say why not.
fn engine(table: &SqlTable) -> Option<Option<SqlEngine>> {
    Some(match table.engine.as_ref()?.value {
        EngineWord::PostgreSql => Some(SqlEngine::PostgreSql),
        EngineWord::MySql => Some(SqlEngine::MySql),
        EngineWord::Sqlite => None,
    })
}

/// Whether a query of this directory finds the same for a login in any domain.
pub(super) fn takes_any_domain(table: &SqlTable, query: &str) -> bool {
    engine(table).is_some_and(|engine| of_any_domain(query, engine))
}

/// The settings; `None` if the problems say why not.
pub(super) fn check(table: &SqlTable, span: Option<Span>, c: &mut Checking<'_>) -> Option<SqlSettings> {
    let engine = engine(table)?;
    let queries = [
        ("password_query", table.password_query.as_ref()),
        ("key_query", table.key_query.as_ref()),
    ];
    if engine == Some(SqlEngine::MySql) {
        for (key, query) in &queries {
            warn_of_folding(key, *query, c);
        }
    }
    if let Some(ca) = &table.ca_file {
        files::readable(ca, "the authorities", c.problems);
    }
    if let Some(file) = &table.password_file {
        files::secret(file, "the password file", c.problems);
    }
    let place = match engine {
        None => file(table, span.clone(), c)?,
        Some(engine) => SqlPlace::Servers(servers(table, engine, span.clone(), c)?),
    };
    let text = |at: &Option<At<String>>| at.as_ref().map(|at| at.value.clone());
    let usual = SqlSettings::new(place, table.password_query.as_ref()?.value.clone());
    let settings = SqlSettings {
        recipient_query: text(&table.recipient_query),
        key_query: text(&table.key_query),
        account_query: text(&table.account_query),
        group_query: text(&table.group_query),
        allowed_groups: values(&table.allowed_groups.value),
        keys: logins::foreign_keys(&table.keys.value, *table.derive_keys, c),
        schemes: SchemeRules {
            allow_plain: *table.allow_plain,
            default_scheme: table.default_scheme.as_ref().map(|at| at.value.clone()),
        },
        cache_ttl: *table.cache_time,
        workers: table
            .workers
            .as_ref()
            .map_or(usual.workers, |workers| clamp(workers.value)),
        timeout: *table.timeout,
        pool_size: clamp(*table.pool_size),
        retry_primary_after: *table.retry_primary_after,
        ..usual
    };
    for mistake in settings.mistakes() {
        let at = place_of(table, mistake.key).or_else(|| span.clone());
        directory_mistakes::tell(mistake, at, c.problems);
    }
    Some(settings)
}

/// Where a key that can be wrong is written.
fn place_of(table: &SqlTable, key: &str) -> Option<Span> {
    fn at<T>(at: &Option<At<T>>) -> Option<Span> {
        at.as_ref()?.span.clone()
    }
    match key {
        "servers" => at(&table.servers),
        "password_query" => at(&table.password_query),
        "recipient_query" => at(&table.recipient_query),
        "account_query" => at(&table.account_query),
        "group_query" => at(&table.group_query),
        "key_query" => at(&table.key_query),
        "allowed_groups" => table.allowed_groups.span.clone(),
        "default_scheme" => at(&table.default_scheme),
        "pool_size" => table.pool_size.span.clone(),
        "workers" => at(&table.workers),
        "timeout" => table.timeout.span.clone(),
        _ => None,
    }
}

/// Its collations find a row by differently spelled names, and without the row's own name that goes unnoticed.
fn warn_of_folding(key: &str, query: Option<&At<String>>, c: &mut Checking<'_>) {
    let Some(query) = query.filter(|query| !tells_login(query)) else {
        return;
    };
    c.problems.warning(
        query.span.clone(),
        format!("`{key}` of MySQL does not give the row's own name"),
        "its collations take \"j\u{f6}rg\" for \"jorg\": failed logins are then counted for each spelling by itself",
        "add the column `login`, such as `SELECT hash AS password, name AS login FROM …`",
    );
}

/// Whether a column of the answer is called `login`.
fn tells_login(query: &str) -> bool {
    let lower = query.to_lowercase();
    let columns = lower
        .split_once(" from ")
        .map_or(lower.as_str(), |(columns, _)| columns);
    let words = columns.split(|c: char| !(c.is_alphanumeric() || "_:".contains(c)));
    words.into_iter().any(|word| word == "login")
}

fn file(table: &SqlTable, span: Option<Span>, c: &mut Checking<'_>) -> Option<SqlPlace> {
    if let Some(servers) = &table.servers {
        c.problems.warning(
            servers.span.clone(),
            "`servers` with `engine = \"sqlite\"`",
            "has no effect",
            "remove it: SQLite is a file",
        );
    }
    let Some(file) = &table.file else {
        missing("file", "\"accounts.db\"", "SQLite", span, c);
        return None;
    };
    files::readable(file, "the database", c.problems);
    Some(SqlPlace::File(file.value.clone()))
}

fn servers(
    table: &SqlTable,
    engine: SqlEngine,
    span: Option<Span>,
    c: &mut Checking<'_>,
) -> Option<SqlServers> {
    if let Some(file) = &table.file {
        c.problems.warning(
            file.span.clone(),
            format!("`file` with {}", engine.name()),
            "has no effect",
            "remove it, or write `engine = \"sqlite\"`",
        );
    }
    let wanted = [
        ("servers", "[\"db.example.org\"]", table.servers.is_none()),
        ("database", "\"mail\"", table.database.is_none()),
        ("user", "\"postern\"", table.user.is_none()),
    ];
    for (key, example, _) in wanted.into_iter().filter(|(_, _, is_missing)| *is_missing) {
        missing(key, example, engine.name(), span.clone(), c);
    }
    let servers = table.servers.as_ref()?;
    warn_of_clear_text(table, servers, c);
    Some(SqlServers {
        engine,
        servers: values(&servers.value),
        database: table.database.as_ref()?.value.clone(),
        user: table.user.as_ref()?.value.clone(),
        password_file: table.password_file.as_ref().map(|at| at.value.clone()),
        tls: *table.tls,
        ca_file: table.ca_file.as_ref().map(|at| at.value.clone()),
    })
}

fn warn_of_clear_text(table: &SqlTable, servers: &At<Vec<At<String>>>, c: &mut Checking<'_>) {
    if *table.tls != SqlTls::Never {
        return;
    }
    for server in servers.iter().filter(|server| !is_local_server(server)) {
        c.problems.warning(
            server.span.clone(),
            format!(
                "stored passwords cross the network in the clear from {}",
                server.value
            ),
            "without TLS",
            "leave out `tls = \"never\"`",
        );
    }
}

fn missing(key: &str, example: &str, engine: &str, span: Option<Span>, c: &mut Checking<'_>) {
    c.problems.error(
        span,
        format!("`{key}` is missing in [[directory]] of kind \"sql\""),
        format!("{engine} needs it"),
        format!("add for example `{key} = {example}`"),
    );
}
