//! Look-up tables: those of `[[table]]`, and direct references in other keys. Each is opened once.

use std::collections::HashSet;

use postern_directory::tables::{
    CacheRules, LdapTable, Lookup, Question, ResultRules, Source, SqlTable, TableMistake, read_file,
};
use postern_directory::{LdapSettings, SqlEngine, SqlPlace, SqlServers};
use postern_table::{Expansion, Of, Reference, parse};

use super::{Checking, clamp, files, values};
use crate::config::distance::nearest;
use crate::config::file::{
    EngineWord, FileTable, LdapLookup, SqlLookup, TableSource, TablesTable, TextTable,
};
use crate::config::problem::Span;
use crate::config::read::At;

/// Opens every `[[table]]`. Those made of others come last, so that the order in the file does not matter.
pub(super) fn check(c: &mut Checking<'_>) {
    let file = c.file;
    let mut seen: HashSet<&str> = HashSet::new();
    let is_made_of_others = |table: &&At<TableSource>| matches!(table.value, TableSource::Tables(_));
    let (last, first): (Vec<_>, Vec<_>) = file.table.iter().partition(is_made_of_others);
    for table in first.into_iter().chain(last) {
        let Some(name) = table.value.name() else { continue };
        if !seen.insert(&name.value) {
            c.problems.error(
                name.span.clone(),
                format!("two [[table]] have the name {:?}", name.value),
                "which of them is meant?",
                "give each its own name",
            );
            continue;
        }
        let opened = match &table.value {
            TableSource::File(one) => of_file(one, &name.value, c),
            TableSource::Text(one) => of_text(one, &name.value, c),
            TableSource::Tables(one) => of_tables(one, &name.value, c),
            TableSource::Sql(one) => of_sql(one, &name.value, table.span.clone(), c),
            TableSource::Ldap(one) => of_ldap(one, &name.value, table.span.clone(), c),
        };
        if let Some(lookup) = opened {
            c.tables.add(&name.value, lookup);
        }
    }
}

/// The table to which a key refers; `None` if the problems say why not.
pub(super) fn open(reference: &Reference, span: Option<Span>, c: &mut Checking<'_>) -> Option<Lookup> {
    if let Reference::Named(name) = reference {
        if let Some(known) = c.tables.named(name) {
            return Some(known.clone());
        }
        unknown(name, span, c);
        return None;
    }
    let before = c.tables.warnings().len();
    match c.tables.open(reference) {
        Ok(lookup) => {
            let warnings = c.tables.warnings()[before..].to_vec();
            warn(&warnings, span, c);
            Some(lookup)
        }
        Err(mistakes) => {
            tell(&mistakes, span, c);
            None
        }
    }
}

/// The tables to which a key refers, as far as they can be opened.
pub(super) fn open_all(references: &[At<Reference>], c: &mut Checking<'_>) -> Vec<Lookup> {
    let mut opened = Vec::with_capacity(references.len());
    for reference in references {
        opened.extend(open(&reference.value, reference.span.clone(), c));
    }
    opened
}

/// A name without a table. One whose table could not be opened has been reported.
fn unknown(name: &str, span: Option<Span>, c: &mut Checking<'_>) {
    let names = c.file.table.iter().filter_map(|table| table.value.name());
    let names: Vec<&str> = names.map(|name| name.value.as_str()).collect();
    if names.contains(&name) {
        return;
    }
    let remedy = match nearest(name, names.iter().copied()) {
        Some(known) => format!("write \"table:{known}\""),
        None if names.is_empty() => "add a [[table]] with this name".to_owned(),
        None => format!("add a [[table]] with this name; there are {}", names.join(", ")),
    };
    c.problems.error(
        span,
        format!("there is no [[table]] with the name {name:?}"),
        "unknown",
        remedy,
    );
}

fn tell(mistakes: &[TableMistake], span: Option<Span>, c: &mut Checking<'_>) {
    for mistake in mistakes {
        let remedy = match mistake.line {
            0 => format!("repair {}, or name another table", mistake.file.display()),
            line => format!("correct line {line} of {}", mistake.file.display()),
        };
        c.problems
            .error(span.clone(), mistake.to_string(), "in this table", remedy);
    }
}

fn warn(warnings: &[TableMistake], span: Option<Span>, c: &mut Checking<'_>) {
    for warning in warnings {
        c.problems.warning(
            span.clone(),
            warning.to_string(),
            "in this table",
            "see the guide, \"Tables\"",
        );
    }
}

fn of_file(table: &FileTable, name: &str, c: &mut Checking<'_>) -> Option<Lookup> {
    let path = table.path.as_ref()?;
    if !files::readable(path, "the table", c.problems) {
        return None;
    }
    match read_file(&path.value, *table.format) {
        Ok(parsed) => {
            let warnings: Vec<TableMistake> = parsed
                .warnings
                .into_iter()
                .map(|warning| TableMistake {
                    file: path.value.clone(),
                    line: warning.line,
                    message: warning.message,
                })
                .collect();
            warn(&warnings, path.span.clone(), c);
            c.tables.warn(warnings);
            Some(Lookup::of_table(name, parsed.table, Some(path.value.clone())))
        }
        Err(mistakes) => {
            tell(&mistakes, path.span.clone(), c);
            None
        }
    }
}

fn of_text(table: &TextTable, name: &str, c: &mut Checking<'_>) -> Option<Lookup> {
    let text = table.text.as_ref()?;
    match parse(text.as_bytes(), *table.format) {
        Ok(parsed) => {
            for warning in parsed.warnings {
                c.problems.warning(
                    text.span.clone(),
                    format!("`text` of the table {name:?}, {warning}"),
                    "in this table",
                    "see the guide, \"Tables\"",
                );
            }
            Some(Lookup::of_table(name, parsed.table, None))
        }
        Err(mistakes) => {
            for mistake in mistakes {
                c.problems.error(
                    text.span.clone(),
                    format!("`text` of the table {name:?}, {mistake}"),
                    "in this table",
                    format!("correct line {} of the text", mistake.line.max(1)),
                );
            }
            None
        }
    }
}

fn of_tables(table: &TablesTable, name: &str, c: &mut Checking<'_>) -> Option<Lookup> {
    let list = table.tables.as_ref()?;
    let mut opened = Vec::new();
    for one in &list.value {
        if matches!(&one.value, Reference::Named(other) if other == name) {
            c.problems.error(
                one.span.clone(),
                format!("the table {name:?} includes itself"),
                "leads nowhere",
                "remove it",
            );
            return None;
        }
        opened.push(open(&one.value, one.span.clone(), c)?);
    }
    if opened.is_empty() {
        c.problems.error(
            list.span.clone(),
            format!("the table {name:?} includes no tables"),
            "empty",
            "name at least one, such as \"hash:/etc/postfix/virtual\"",
        );
        return None;
    }
    Some(Lookup::of_tables(name, opened))
}

fn of_sql(table: &SqlLookup, name: &str, span: Option<Span>, c: &mut Checking<'_>) -> Option<Lookup> {
    let query = table.query.as_ref()?;
    let engine = match table.engine.as_ref()?.value {
        EngineWord::PostgreSql => Some(SqlEngine::PostgreSql),
        EngineWord::MySql => Some(SqlEngine::MySql),
        EngineWord::Sqlite => None,
    };
    if let Err(error) = postern_directory::sql::check_query(&query.value, engine) {
        c.problems.error(
            query.span.clone(),
            format!("`query` {error}"),
            "in this query",
            "write for example `query = \"SELECT destination FROM aliases WHERE source = :key\"`",
        );
        return None;
    }
    if let Some(ca) = &table.ca_file
        && !files::readable(ca, "the authorities", c.problems)
    {
        return None;
    }
    if let Some(file) = &table.password_file
        && !files::secret(file, "the password file", c.problems)
    {
        return None;
    }
    let place = match engine {
        None => {
            let Some(file) = &table.file else {
                missing("file", "\"mail.db\"", span, c);
                return None;
            };
            if !files::readable(file, "the database", c.problems) {
                return None;
            }
            SqlPlace::File(file.value.clone())
        }
        Some(engine) => {
            let wanted = [
                ("servers", "[\"db.example.org\"]", table.servers.is_none()),
                ("database", "\"mail\"", table.database.is_none()),
                ("user", "\"postern\"", table.user.is_none()),
            ];
            for (key, example, _) in wanted.into_iter().filter(|(_, _, is_missing)| *is_missing) {
                missing(key, example, span.clone(), c);
            }
            SqlPlace::Servers(SqlServers {
                engine,
                servers: values(&table.servers.as_ref()?.value),
                database: table.database.as_ref()?.value.clone(),
                user: table.user.as_ref()?.value.clone(),
                password_file: table.password_file.as_ref().map(|at| at.value.clone()),
                tls: *table.tls,
                ca_file: table.ca_file.as_ref().map(|at| at.value.clone()),
            })
        }
    };
    let source = Source::Sql(SqlTable {
        place,
        password: None,
        query: Question::Own(query.value.clone()),
        result: ResultRules::default(),
        timeout: *table.timeout,
        pool_size: clamp(*table.pool_size),
        retry_primary_after: *table.retry_primary_after,
    });
    let cache = CacheRules {
        time: *table.cache_time,
        time_without: *table.negative_cache_time,
        entries: clamp(*table.cache_entries),
    };
    of_source(source, cache, name, span, c)
}

fn of_ldap(table: &LdapLookup, name: &str, span: Option<Span>, c: &mut Checking<'_>) -> Option<Lookup> {
    let filter = expansion(table.filter.as_ref()?, "filter", c);
    let base = expansion(table.search_base.as_ref()?, "search_base", c);
    if let Some(ca) = &table.ca_file
        && !files::readable(ca, "the authorities", c.problems)
    {
        return None;
    }
    if let Some(file) = &table.bind_password_file
        && !files::secret(file, "the password file", c.problems)
    {
        return None;
    }
    let source = Source::Ldap(LdapTable {
        servers: LdapSettings {
            servers: values(&table.servers.as_ref()?.value),
            scope: *table.scope,
            bind_dn: table.bind_dn.as_ref().map(|at| at.value.clone()),
            bind_password_file: table.bind_password_file.as_ref().map(|at| at.value.clone()),
            starttls: *table.starttls,
            ca_file: table.ca_file.as_ref().map(|at| at.value.clone()),
            timeout: *table.timeout,
            pool_size: clamp(*table.pool_size),
            retry_primary_after: *table.retry_primary_after,
            ..LdapSettings::default()
        },
        bind: None,
        base: base?,
        filter: filter?,
        attributes: values(&table.attribute.as_ref()?.value),
        result: ResultRules::default(),
    });
    let cache = CacheRules {
        time: *table.cache_time,
        time_without: *table.negative_cache_time,
        entries: clamp(*table.cache_entries),
    };
    of_source(source, cache, name, span, c)
}

fn of_source(
    source: Source,
    cache: CacheRules,
    name: &str,
    span: Option<Span>,
    c: &mut Checking<'_>,
) -> Option<Lookup> {
    match Lookup::of_source(name, source, cache) {
        Ok(lookup) => Some(lookup),
        Err(message) => {
            c.problems.error(
                span,
                format!("the table {name:?} cannot be asked: {message}"),
                "in this table",
                "correct what is named",
            );
            None
        }
    }
}

/// A text with `{key}`, `{local}` and `{domain}`.
fn expansion(at: &At<String>, key: &str, c: &mut Checking<'_>) -> Option<Expansion> {
    let mut text = at.value.replace('%', "%%");
    for (place, part) in [
        ("{key}", "%s"),
        ("{address}", "%s"),
        ("{local}", "%u"),
        ("{domain}", "%d"),
    ] {
        text = text.replace(place, part);
    }
    let made = match text.contains(['{', '}']) {
        true => Err("has an unknown placeholder: there are {key}, {local} and {domain}".to_owned()),
        false => Expansion::parse(&text, Of::Question),
    };
    match made {
        Ok(expansion) => Some(expansion),
        Err(error) => {
            c.problems.error(
                at.span.clone(),
                format!("`{key}` of a table {error}"),
                "in this text",
                "write for example `filter = \"(mail={key})\"`",
            );
            None
        }
    }
}

fn missing(key: &str, example: &str, span: Option<Span>, c: &mut Checking<'_>) {
    c.problems.error(
        span,
        format!("`{key}` is missing in [[table]] of kind \"sql\""),
        "needs it",
        format!("add for example `{key} = {example}`"),
    );
}

/// Adds the domains of a table that lists them individually. A domain with a leading dot, or `*.`, stands for all names below
/// it. Anything that is not a domain is reported.
pub(super) fn domains(
    lookup: &Lookup,
    set: &mut postern_policy::DomainSet,
    span: Option<Span>,
    key: &str,
    c: &mut Checking<'_>,
) {
    for part in lookup.parts() {
        let Some(entries) = part.in_memory().and_then(|table| table.entries()) else {
            continue;
        };
        for (domain, _, line) in entries.iter() {
            let pattern = match domain.strip_prefix('.') {
                Some(below) => format!("*.{below}"),
                None => domain.to_owned(),
            };
            if pattern == "*" || set.insert(&pattern).is_err() {
                c.problems.error(
                    span.clone(),
                    format!(
                        "{} names {domain:?} in line {line}, which is not a domain",
                        part.name()
                    ),
                    format!("in `{key}`"),
                    "write a name such as example.org, or .example.org for all names below it",
                );
            }
        }
    }
}

/// Whether a table has individual keys in memory.
pub(super) fn is_listed(lookup: &Lookup) -> bool {
    let parts = lookup.parts();
    parts
        .iter()
        .all(|part| part.in_memory().is_some_and(|table| table.entries().is_some()))
}
