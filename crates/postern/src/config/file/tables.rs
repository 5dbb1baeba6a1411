//! `[[table]]`, whose keys depend on its `kind`, and names of tables in other keys.

use std::path::PathBuf;
use std::time::Duration;

use postern_directory::{SearchScope, SqlTls};
use postern_policy::DomainSet;
use postern_table::{Format, Reference, read_parameters};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::words::{EngineWord, LdapUrl, SqlQuery, SqlServer};
use crate::config::kinds::{
    Choice, Count, FilePath, Line, List, OneOf, OneOrList, Switch, Time, shape, split, tables_of, text,
};
use crate::config::problem::Span;
use crate::config::read::{At, Below, Entries, Kind, Place, Reader, table};

/// One table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TableSource {
    File(FileTable),
    Text(TextTable),
    Sql(Box<SqlLookup>),
    Ldap(Box<LdapLookup>),
    Tables(TablesTable),
}

impl TableSource {
    /// The name, if it is written.
    pub(crate) fn name(&self) -> Option<&At<String>> {
        match self {
            Self::File(table) => table.name.as_ref(),
            Self::Text(table) => table.name.as_ref(),
            Self::Sql(table) => table.name.as_ref(),
            Self::Ldap(table) => table.name.as_ref(),
            Self::Tables(table) => table.name.as_ref(),
        }
    }
}

table! {
    /// A table in a file.
    FileTable {
        /// The name, by which other keys refer to it as `"table:NAME"`.
        name: String = TableName, required "\"customers\"";
        /// The file. It is read at start and at each reload.
        path: PathBuf = FilePath, required "\"tables/customers\"";
        /// Its format:
        ///
        /// - `postfix`: what `postmap` compiles: a key, blanks, a value; a line that begins with a blank continues the previous
        ///   one.
        /// - `sendmail`: what `makemap` compiles: a key, blanks, a value, one line each.
        /// - `list`: words, each a key: domains, addresses.
        /// - `cidr`: networks in order, `192.0.2.0/24 value`, with `!`, `if` and `endif`.
        /// - `pcre`, `regexp`: patterns in order, `/pattern/flags value`, with `!`, `if`, `endif`, and `$1` in values.
        ///   Case-insensitive unless the flag `i` is given. Time is linear in the text: patterns that need more, such as
        ///   look-around, are mistakes.
        format: Format = OneOf::<Format>::new(), default "\"postfix\"";
    }
}

table! {
    /// A table in the configuration itself.
    TextTable {
        /// The name, by which other keys refer to it as `"table:NAME"`.
        name: String = TableName, required "\"customers\"";
        /// The text, in the given `format`.
        text: String = TableText, required "\"example.net  smtp:[mail.example.net]\"";
        /// Its format; see kind `file`.
        format: Format = OneOf::<Format>::new(), default "\"postfix\"";
    }
}

table! {
    /// Several tables under one name: the first that has a key decides.
    TablesTable {
        /// The name, by which other keys refer to it as `"table:NAME"`.
        name: String = TableName, required "\"customers\"";
        /// The tables in order.
        tables: Vec<At<Reference>> = List(TableReference), required "[\"hash:/etc/postfix/virtual\", \"pcre:/etc/postfix/virtual.pcre\"]";
    }
}

table! {
    /// A table in a SQL database. The value of a key is the result of the query: all columns of all rows, joined by commas.
    /// Results are cached for a short time; a database that cannot be queried makes mail wait (4xx), and lets nothing through.
    SqlLookup {
        /// The name, by which other keys refer to it as `"table:NAME"`.
        name: String = TableName, required "\"customers\"";
        /// The database engine: `postgresql`, `mysql` (which is MariaDB too), or `sqlite` for a file.
        engine: EngineWord = OneOf::<EngineWord>::new(), required "\"postgresql\"";
        /// The SQLite file. It is opened for reading and never created.
        file: PathBuf = FilePath, optional "\"mail.db\"" else "needed with `engine = \"sqlite\"`";
        /// The servers, all with the same data. If one is down, the next is asked.
        servers: Vec<At<String>> = List(SqlServer), optional "[\"db1.example.org\", \"db2.example.org\"]" else "needed, but for SQLite";
        /// The name of the database.
        database: String = Line(128), optional "\"mail\"" else "needed, but for SQLite";
        /// The database user.
        user: String = Line(128), optional "\"postern\"" else "needed, but for SQLite";
        /// A file whose first line is the password of `user`, readable only by its owner.
        password_file: PathBuf = FilePath, optional "\"sql.pass\"" else "no password is given";
        /// Whether connections use TLS, with verified certificates: `remote` for servers on other machines, `always`, or `never`.
        tls: SqlTls = OneOf::<SqlTls>::new(), default "\"remote\"";
        /// Authorities that must have issued the servers' certificates, in PEM form.
        ca_file: PathBuf = FilePath, optional "\"certs/db-ca.crt\"" else "those that the system trusts";
        /// The query: `:key` is what is looked up, `:local` and `:domain` are its parts before and after the last `@`. They become
        /// parameters of a prepared statement: nothing that a client sends becomes part of the SQL.
        query: String = SqlQuery, required "\"SELECT destination FROM aliases WHERE source = :key\"";
        /// How long a value is cached.
        cache_time: Duration = Time("0", "1h"), default "\"1m\"";
        /// How long the absence of a value is cached.
        negative_cache_time: Duration = Time("0", "1h"), default "\"10s\"";
        /// Most keys cached.
        cache_entries: u64 = Count(0..=1_000_000), default "10000";
        /// The time limit for one query, over all servers.
        timeout: Duration = Time("100ms", "2m"), default "\"5s\"";
        /// Most connections to each server.
        pool_size: u64 = Count(1..=256), default "8";
        /// How long a server that failed is tried last.
        retry_primary_after: Duration = Time("1s", "1d"), default "\"30s\"";
    }
}

table! {
    /// A table in an LDAP directory: the values of some attributes of the entries that a filter finds, joined by commas. They are
    /// cached for a short time; a directory that cannot be queried makes mail wait (4xx), and lets nothing through.
    LdapLookup {
        /// The name, by which other keys refer to it as `"table:NAME"`.
        name: String = TableName, required "\"customers\"";
        /// The servers, all with the same tree. If one is down, the next is asked.
        servers: Vec<At<String>> = List(LdapUrl), required "[\"ldap://ldap1.example.org/\", \"ldap://ldap2.example.org/\"]";
        /// Where the search starts.
        search_base: String = Line(1_024), required "\"ou=People,dc=example,dc=org\"";
        /// How far it goes: `subtree`, `onelevel` or `base`.
        scope: SearchScope = OneOf::<SearchScope>::new(), default "\"subtree\"";
        /// The filter: `{key}` is what is looked up, `{local}` and `{domain}` are its parts before and after the last `@`, escaped.
        filter: String = Line(1_024), required "\"(mailAlternateAddress={key})\"";
        /// The attribute with the values, or several.
        attribute: Vec<At<String>> = OneOrList(Line(128)), required "\"mail\"";
        /// The identity for searches.
        bind_dn: String = Line(1_024), optional "\"cn=postern,ou=Services,dc=example,dc=org\"" else "searches are anonymous";
        /// A file whose first line is the password of `bind_dn`, readable only by its owner.
        bind_password_file: PathBuf = FilePath, optional "\"ldap.pass\"" else "needed with `bind_dn`";
        /// Whether `ldap://` connections start TLS before anything else is sent. Certificates are verified.
        starttls: bool = Switch, default "false";
        /// Authorities that must have issued the servers' certificates, in PEM form.
        ca_file: PathBuf = FilePath, optional "\"certs/ldap-ca.crt\"" else "those that the system trusts";
        /// How long a value is cached.
        cache_time: Duration = Time("0", "1h"), default "\"1m\"";
        /// How long the absence of a value is cached.
        negative_cache_time: Duration = Time("0", "1h"), default "\"10s\"";
        /// Most keys cached.
        cache_entries: u64 = Count(0..=1_000_000), default "10000";
        /// The time limit for one query, over all servers.
        timeout: Duration = Time("100ms", "2m"), default "\"5s\"";
        /// Most connections to each server.
        pool_size: u64 = Count(1..=256), default "8";
        /// How long a server that failed is tried last.
        retry_primary_after: Duration = Time("1s", "1d"), default "\"30s\"";
    }
}

impl Choice for Format {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("postfix", Self::Postfix),
        ("sendmail", Self::Sendmail),
        ("list", Self::List),
        ("cidr", Self::Cidr),
        ("pcre", Self::Pcre),
        ("regexp", Self::Regexp),
    ];
}

/// The kinds of tables.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum TableWord {
    File,
    Text,
    Tables,
    Sql,
    Ldap,
}

impl Choice for TableWord {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("file", Self::File),
        ("text", Self::Text),
        ("tables", Self::Tables),
        ("sql", Self::Sql),
        ("ldap", Self::Ldap),
    ];
}

/// The name of a table.
pub(crate) struct TableName;

impl Kind for TableName {
    type Value = String;

    fn describe(&self) -> String {
        "name of letters, digits, `-`, `_` and `.`".into()
    }

    fn read(&self, value: &Spanned<DeValue<'_>>, place: &Place, reader: &mut Reader<'_>) -> Option<String> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        text(value, place, reader, "a name in quotes", |written| {
            if !written.is_empty() && written.len() <= 64 && written.chars().all(fits) {
                Ok(written.to_owned())
            } else {
                Err((
                    "not a name: 1 to 64 letters, digits, `-`, `_` and `.`".into(),
                    place.remedy(),
                ))
            }
        })
    }
}

/// The text of a table, which may have several lines.
pub(crate) struct TableText;

impl Kind for TableText {
    type Value = String;

    fn describe(&self) -> String {
        "text, which may have several lines".into()
    }

    fn read(&self, value: &Spanned<DeValue<'_>>, place: &Place, reader: &mut Reader<'_>) -> Option<String> {
        text(value, place, reader, "a text in quotes", |written| {
            Ok(written.to_owned())
        })
    }
}

/// The name of a table: `"table:NAME"`, or one of Postfix's such as `"hash:/etc/postfix/virtual"`. Its paths start at the folder of the
/// configuration.
pub(crate) struct TableReference;

impl Kind for TableReference {
    type Value = Reference;

    fn describe(&self) -> String {
        "table such as \"table:NAME\" or \"hash:/etc/postfix/virtual\"".into()
    }

    fn sample(&self) -> String {
        "\"table:customers\"".into()
    }

    fn read(
        &self,
        value: &Spanned<DeValue<'_>>,
        place: &Place,
        reader: &mut Reader<'_>,
    ) -> Option<Reference> {
        let read = text(value, place, reader, "the name of a table in quotes", |written| {
            Reference::parse(written).map_err(|error| {
                let whole = error.to_string();
                match whole.rsplit_once(": ") {
                    Some((label, remedy)) => (label.to_owned(), remedy.to_owned()),
                    None => split(&error, place),
                }
            })
        })?;
        let span = value.span();
        let read = read.with_paths(&mut |path| match path.to_str() {
            Some(path) => reader.resolve(path, span.clone()),
            None => path,
        });
        for path in named_within(&read) {
            reader.resolve(&path, span.clone());
        }
        Some(read)
    }
}

/// The files that Postfix's file on a database names: the server opens them too. One that cannot be read is complained of later.
fn named_within(reference: &Reference) -> Vec<String> {
    let of_file = |path: &PathBuf| {
        let is_small = std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() <= 1 << 20);
        let text = is_small.then(|| std::fs::read_to_string(path).ok()).flatten();
        let parameters = text.and_then(|text| read_parameters(&text).ok());
        let folder = path.parent().map(PathBuf::from).unwrap_or_default();
        let named = |name| Some(folder.join(parameters.as_ref()?.get(name)?).display().to_string());
        ["dbpath", "tls_CAfile", "tls_ca_cert_file"]
            .into_iter()
            .filter_map(named)
            .collect::<Vec<_>>()
    };
    match reference {
        Reference::External(_, path) => of_file(path),
        Reference::Union(parts) | Reference::Pipe(parts) => parts.iter().flat_map(named_within).collect(),
        _ => Vec::new(),
    }
}

/// A domain, all names below one, all, or a table of domains; a text, in which a table's paths are whole.
pub(crate) struct DomainOrTable;

impl Kind for DomainOrTable {
    type Value = String;

    fn describe(&self) -> String {
        "domain, \"*.domain\", \"*\", or a table such as \"table:NAME\" or \"list:/etc/mail/relay-domains\""
            .into()
    }

    fn sample(&self) -> String {
        "\"example.org\"".into()
    }

    fn read(&self, value: &Spanned<DeValue<'_>>, place: &Place, reader: &mut Reader<'_>) -> Option<String> {
        if value.get_ref().as_str().is_some_and(Reference::is_meant) {
            return TableReference
                .read(value, place, reader)
                .map(|reference| reference.to_string());
        }
        text(
            value,
            place,
            reader,
            "a domain in quotes",
            |written| match DomainSet::new([written]) {
                Ok(_) => Ok(written.to_owned()),
                Err(error) => Err(split(&error, place)),
            },
        )
    }
}

/// The key that chooses.
const KEY: &str = "kind";

/// Any number of `[[table]]`.
pub(super) struct TableKind;

impl TableKind {
    fn read_one(
        table: &DeTable<'_>,
        span: Span,
        header: &str,
        reader: &mut Reader<'_>,
    ) -> Option<At<TableSource>> {
        let place = Place {
            table: header.to_owned(),
            key: KEY.into(),
            example: "\"file\"".into(),
            element: false,
        };
        let Some(kind) = table.get(KEY) else {
            reader.problems.error(
                Some(span),
                format!("`kind` is missing in {header}"),
                "needs it",
                format!(
                    "add for example `kind = \"file\"`; known: {}",
                    OneOf::<TableWord>::new().describe()
                ),
            );
            return None;
        };
        let word = OneOf::<TableWord>::new().read(kind, &place, reader)?;
        let header = match kind.get_ref().as_str() {
            Some(name) => format!("{header} of kind {name:?}"),
            None => header.to_owned(),
        };
        let entries = Entries::new(table, Some(span.clone()), header, reader);
        let value = match word {
            TableWord::File => TableSource::File(entries.read_all_but(KEY)),
            TableWord::Text => TableSource::Text(entries.read_all_but(KEY)),
            TableWord::Tables => TableSource::Tables(entries.read_all_but(KEY)),
            TableWord::Sql => TableSource::Sql(Box::new(entries.read_all_but(KEY))),
            TableWord::Ldap => TableSource::Ldap(Box::new(entries.read_all_but(KEY))),
        };
        Some(At {
            value,
            span: Some(span),
        })
    }
}

impl Kind for TableKind {
    type Value = Vec<At<TableSource>>;

    fn describe(&self) -> String {
        "tables".into()
    }

    fn read(
        &self,
        value: &Spanned<DeValue<'_>>,
        place: &Place,
        reader: &mut Reader<'_>,
    ) -> Option<Self::Value> {
        let header = place.header(true);
        let tables = tables_of(value, place, &header, reader)?;
        let read = tables
            .into_iter()
            .filter_map(|(table, span)| Self::read_one(table, span, &header, reader));
        Some(read.collect())
    }

    fn below(&self) -> Option<Below> {
        Some(Below {
            repeated: true,
            shapes: vec![
                shape::<FileTable>(Some("file")),
                shape::<TextTable>(Some("text")),
                shape::<TablesTable>(Some("tables")),
                shape::<SqlLookup>(Some("sql")),
                shape::<LdapLookup>(Some("ldap")),
            ],
        })
    }
}
