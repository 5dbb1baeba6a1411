//! Tables of all kinds with one interface: in files, in SQL, in LDAP.
//!
//! A [`Lookup`] returns a text for a key. Tables in files or in the configuration are in memory and answer at once; a database is
//! queried over its pool of connections, with bound parameters, and its answers are cached for a short time. A table that cannot
//! be queried is [`Down`]: the caller must defer what depends on it (a 4xx reply), and never treats it as an empty answer.
//!
//! [`Tables`] opens what a configuration names, once for each.
//!
//! # To add a kind of table
//!
//! One in text: a [`Format`](postern_table::Format) in `postern-table`. One that is queried: a module here with its settings and
//! a type that has `get`, a variant of [`Source`], and of [`External`](postern_table::External) if Postfix has a name for it.

mod asker;
mod cache;
mod domains;
mod file;
mod known;
mod ldap;
mod owners;
mod postfix;
mod routes;
mod service;
mod settings;
mod source;
mod sql;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _};
use postern_table::{Key, Mistake, Reference, Table};

use crate::environment::Environment;

pub use self::asker::on_behalf;
use self::cache::Cache;
pub use self::domains::DomainTable;
pub use self::file::{TableMistake, read_file};
use self::known::FRESH_MAX;
pub use self::owners::OwnerTables;
pub use self::postfix::read_external;
pub use self::routes::RouteLookup;
pub use self::settings::{CacheRules, LdapTable, Question, ResultRules, Source, SqlTable};
pub(crate) use self::source::TableDirectory;
pub use self::source::TableSettings;
use self::{ldap::LdapSource, service::ServiceSource, sql::SqlSource};

/// Longest key that is looked up in a database, in octets. Nothing that is looked up is longer.
const KEY_MAX: usize = 1_024;

/// A table cannot be queried now. Its text is for the log.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{table} cannot be asked: {reason}")]
pub struct Down {
    /// The table, as the configuration names it.
    pub table: String,
    /// Why.
    pub reason: String,
}

/// A table's entry for a key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// The value, never empty.
    pub value: String,
    /// The file and line where it is written, if it is in a file.
    pub at: Option<(PathBuf, usize)>,
}

/// The result of looking up the keys of a plan.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hit {
    /// The key that was found.
    pub key: Key,
    /// The table's entry for it.
    pub answer: Answer,
    /// The table, as the configuration names it.
    pub table: String,
}

/// One table. Cheap to clone.
#[derive(Clone)]
pub struct Lookup(Arc<Inner>);

struct Inner {
    /// The name in the configuration.
    name: String,
    kind: Kind,
}

enum Kind {
    Memory(Table, Option<PathBuf>),
    Asked(Box<Asked>),
    /// Several tables; the first that has the key decides.
    First(Vec<Lookup>),
    Union(Vec<Lookup>),
    Pipe(Vec<Lookup>),
}

/// A table that is queried over a connection.
struct Asked {
    settings: Source,
    environment: OnceLock<Environment>,
    backend: OnceLock<Result<Backend, String>>,
    cache: Cache,
}

enum Backend {
    Sql(SqlSource),
    Ldap(LdapSource),
    Service(ServiceSource),
}

impl Lookup {
    /// A table in memory, from the file if it has one.
    #[must_use]
    pub fn of_table(name: impl Into<String>, table: Table, file: Option<PathBuf>) -> Self {
        Self::new(name, Kind::Memory(table, file))
    }

    /// A table that is queried. No connection is made yet; the certificates it names are read now to check that they can be.
    ///
    /// # Errors
    ///
    /// A wrong setting; the text says which, and the remedy.
    pub fn of_source(name: impl Into<String>, settings: Source, cache: CacheRules) -> Result<Self, String> {
        Backend::new(&settings, &Environment::default())?;
        let asked = Asked {
            settings,
            environment: OnceLock::new(),
            backend: OnceLock::new(),
            cache: Cache::new(cache),
        };
        Ok(Self::new(name, Kind::Asked(Box::new(asked))))
    }

    /// Several tables in order: the first that has a key decides.
    #[must_use]
    pub fn of_tables(name: impl Into<String>, tables: Vec<Self>) -> Self {
        Self::new(name, Kind::First(tables))
    }

    fn new(name: impl Into<String>, kind: Kind) -> Self {
        Self(Arc::new(Inner {
            name: name.into(),
            kind,
        }))
    }

    /// The table, as the configuration names it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Gives it its environment: the observers to notify when servers fail. Only the first call counts; without it, nobody is
    /// notified.
    pub fn start(&self, environment: &Environment) {
        match &self.0.kind {
            Kind::Memory(..) => {}
            Kind::Asked(asked) => {
                let _ = asked.environment.set(environment.clone());
            }
            Kind::First(parts) | Kind::Union(parts) | Kind::Pipe(parts) => {
                parts.iter().for_each(|part| part.start(environment))
            }
        }
    }

    /// The file it was read from, if it is in memory and came from one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match &self.0.kind {
            Kind::Memory(_, file) => file.as_deref(),
            _ => None,
        }
    }

    /// The table, if it is entirely in memory.
    #[must_use]
    pub fn in_memory(&self) -> Option<&Table> {
        match &self.0.kind {
            Kind::Memory(table, _) => Some(table),
            _ => None,
        }
    }

    /// Whether it is only queried with whole keys; see [`Table::is_pattern`].
    #[must_use]
    pub fn is_pattern(&self) -> bool {
        match &self.0.kind {
            Kind::Memory(table, _) => table.is_pattern(),
            Kind::Asked(_) => false,
            Kind::First(parts) | Kind::Union(parts) | Kind::Pipe(parts) => parts.iter().any(Self::is_pattern),
        }
    }

    /// For how long what it said need not be asked for again by those who decide without waiting: a moment, and not at all where it keeps
    /// no answers.
    fn fresh_for(&self) -> Duration {
        match &self.0.kind {
            Kind::Memory(..) => FRESH_MAX,
            Kind::Asked(asked) => asked.cache.keeps_for().min(FRESH_MAX),
            Kind::First(parts) | Kind::Union(parts) | Kind::Pipe(parts) => {
                parts.iter().map(Self::fresh_for).min().unwrap_or(FRESH_MAX)
            }
        }
    }

    /// Whether every look-up is answered from memory, so that none ever fails.
    #[must_use]
    pub fn is_at_hand(&self) -> bool {
        match &self.0.kind {
            Kind::Memory(..) => true,
            Kind::Asked(_) => false,
            Kind::First(parts) | Kind::Union(parts) | Kind::Pipe(parts) => parts.iter().all(Self::is_at_hand),
        }
    }

    /// Its entry for a key.
    ///
    /// # Errors
    ///
    /// [`Down`] if it cannot be queried now.
    pub fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Answer>, Down>> {
        match &self.0.kind {
            Kind::Memory(table, file) => {
                let answer = of_memory(table, file.as_deref(), key);
                std::future::ready(Ok(answer)).boxed()
            }
            Kind::Asked(asked) => self.ask(asked, key).boxed(),
            Kind::First(parts) => async move {
                for part in parts {
                    if let Some(answer) = part.get(key).await? {
                        return Ok(Some(answer));
                    }
                }
                Ok(None)
            }
            .boxed(),
            Kind::Union(parts) => async move {
                let mut values = Vec::new();
                for part in parts {
                    values.extend(part.get(key).await?.map(|answer| answer.value));
                }
                Ok((!values.is_empty()).then(|| Answer {
                    value: values.join(","),
                    at: None,
                }))
            }
            .boxed(),
            Kind::Pipe(parts) => async move {
                let mut value = key.to_owned();
                for part in parts {
                    match part.get(&value).await? {
                        Some(answer) => value = answer.value,
                        None => return Ok(None),
                    }
                }
                Ok(Some(Answer { value, at: None }))
            }
            .boxed(),
        }
    }

    /// The same without waiting, if the table is in memory; `None` if it must be queried.
    #[must_use]
    pub fn get_now(&self, key: &str) -> Option<Option<Answer>> {
        match &self.0.kind {
            Kind::Memory(table, file) => Some(of_memory(table, file.as_deref(), key)),
            _ if self.is_at_hand() => self.get(key).now_or_never()?.ok(),
            _ => None,
        }
    }

    /// Its entry for the first of these keys that it contains.
    ///
    /// # Errors
    ///
    /// As [`Self::get`].
    pub async fn find(&self, keys: &[Key]) -> Result<Option<Hit>, Down> {
        match &self.0.kind {
            Kind::First(parts) => find_in(parts, keys).await,
            _ => find_in(std::slice::from_ref(self), keys).await,
        }
    }

    /// The tables it consists of, if it is several in order; otherwise itself.
    #[must_use]
    pub fn parts(&self) -> &[Self] {
        match &self.0.kind {
            Kind::First(parts) => parts,
            _ => std::slice::from_ref(self),
        }
    }

    async fn ask(&self, asked: &Asked, key: &str) -> Result<Option<Answer>, Down> {
        if key.is_empty() || key.len() > KEY_MAX || key.chars().any(char::is_control) {
            return Ok(None);
        }
        let key = key.to_lowercase();
        if let Some(kept) = asked.cache.get(&key) {
            return Ok(kept.map(|value| Answer { value, at: None }));
        }
        let down = |reason: String| Down {
            table: self.0.name.clone(),
            reason,
        };
        let backend = asked.backend.get_or_init(|| {
            let environment = asked.environment.get().cloned().unwrap_or_default();
            Backend::new(&asked.settings, &environment)
        });
        let found = match backend {
            Ok(Backend::Sql(sql)) => sql.get(&key).await,
            Ok(Backend::Ldap(ldap)) => ldap.get(&key).await,
            Ok(Backend::Service(service)) => service.get(&key).await,
            Err(reason) => return Err(down(reason.clone())),
        };
        let found = found.map_err(|outage| down(outage.reason))?;
        asked.cache.insert(key, found.clone());
        Ok(found.map(|value| Answer { value, at: None }))
    }
}

fn of_memory(table: &Table, file: Option<&Path>, key: &str) -> Option<Answer> {
    let found = table.get(key).filter(|found| !found.value.is_empty())?;
    let line = found.line;
    Some(Answer {
        value: found.value.into_owned(),
        at: file.filter(|_| line > 0).map(|file| (file.to_owned(), line)),
    })
}

impl Backend {
    fn new(settings: &Source, environment: &Environment) -> Result<Self, String> {
        match settings {
            Source::Sql(settings) => SqlSource::new(settings, environment).map(Self::Sql),
            Source::Ldap(settings) => LdapSource::new(settings, environment).map(Self::Ldap),
            Source::Service(service) => Ok(Self::Service(ServiceSource::new(service.clone()))),
        }
    }
}

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lookup").field(&self.0.name).finish()
    }
}

impl PartialEq for Lookup {
    /// Whether it is the very same table.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Lookup {}

/// Looks for keys in tables: the first key found in any table decides, and among tables the first.
///
/// # Errors
///
/// [`Down`] if a table that has precedence cannot be queried: its answer is unknown.
pub async fn find_in(tables: &[Lookup], keys: &[Key]) -> Result<Option<Hit>, Down> {
    for key in keys {
        for table in tables {
            if key.is_part && table.is_pattern() {
                continue;
            }
            // A table in memory needs no future.
            let answer = match &table.0.kind {
                Kind::Memory(memory, file) => of_memory(memory, file.as_deref(), &key.text),
                _ => table.get(&key.text).await?,
            };
            if let Some(answer) = answer {
                return Ok(Some(Hit {
                    key: key.clone(),
                    answer,
                    table: table.name().to_owned(),
                }));
            }
        }
    }
    Ok(None)
}

/// The tables that a configuration names.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    named: Vec<(String, Lookup)>,
    direct: Vec<(Reference, Lookup)>,
    warnings: Vec<TableMistake>,
}

impl Tables {
    /// Adds the table of a `[[table]]`.
    pub fn add(&mut self, name: &str, table: Lookup) {
        self.named.push((name.to_owned(), table));
    }

    /// The table of a `[[table]]` with this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Lookup> {
        self.named
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, table)| table)
    }

    /// The names of all `[[table]]`, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.named.iter().map(|(name, _)| name.as_str())
    }

    /// All tables, those with a name first.
    pub fn all(&self) -> impl Iterator<Item = &Lookup> {
        let named = self.named.iter().map(|(_, table)| table);
        named.chain(self.direct.iter().map(|(_, table)| table))
    }

    /// Warnings for the authors of tables, found while reading them.
    #[must_use]
    pub fn warnings(&self) -> &[TableMistake] {
        &self.warnings
    }

    /// Adds a warning for the author of a table.
    pub fn warn(&mut self, warnings: impl IntoIterator<Item = TableMistake>) {
        self.warnings.extend(warnings);
    }

    /// The table that a reference names, opened once. Files are read now. Blocking.
    ///
    /// # Errors
    ///
    /// All mistakes in its files; a name without a `[[table]]`.
    pub fn open(&mut self, reference: &Reference) -> Result<Lookup, Vec<TableMistake>> {
        if let Some((_, known)) = self.direct.iter().find(|(known, _)| known == reference) {
            return Ok(known.clone());
        }
        let name = reference.to_string();
        let table = match reference {
            Reference::Named(name) => {
                return self.named(name).cloned().ok_or_else(|| {
                    let message = format!("there is no [[table]] with the name {name:?}");
                    vec![TableMistake::new("", Mistake { line: 0, message })]
                });
            }
            Reference::File(format, path) => {
                let parsed = read_file(path, *format)?;
                let warnings = parsed.warnings.into_iter();
                self.warnings
                    .extend(warnings.map(|warning| TableMistake::new(path, warning)));
                Lookup::of_table(name, parsed.table, Some(path.clone()))
            }
            Reference::External(external, path) => {
                let (source, warnings) = read_external(*external, path)?;
                self.warnings.extend(warnings);
                Lookup::of_source(name, source, CacheRules::default())
                    .map_err(|message| vec![TableMistake::new(path, Mistake { line: 0, message })])?
            }
            Reference::Service(service) => {
                let source = Source::Service(service.clone());
                Lookup::of_source(name, source, CacheRules::default())
                    .map_err(|message| vec![TableMistake::new("", Mistake { line: 0, message })])?
            }
            Reference::Inline(_) | Reference::Constant(_) => match reference.table() {
                Some(table) => Lookup::of_table(name, table, None),
                None => return Err(Vec::new()),
            },
            Reference::Union(parts) => Lookup::new(name, Kind::Union(self.open_all(parts)?)),
            Reference::Pipe(parts) => Lookup::new(name, Kind::Pipe(self.open_all(parts)?)),
        };
        self.direct.push((reference.clone(), table.clone()));
        Ok(table)
    }

    fn open_all(&mut self, parts: &[Reference]) -> Result<Vec<Lookup>, Vec<TableMistake>> {
        let mut mistakes = Vec::new();
        let mut opened = Vec::new();
        for part in parts {
            match self.open(part) {
                Ok(table) => opened.push(table),
                Err(wrong) => mistakes.extend(wrong),
            }
        }
        if mistakes.is_empty() {
            Ok(opened)
        } else {
            Err(mistakes)
        }
    }

    /// Gives all of them their environment.
    pub fn start(&self, environment: &Environment) {
        self.all().for_each(|table| table.start(environment));
    }
}
