//! `[[directory]]`, whose keys depend on its `kind`.

use std::path::PathBuf;
use std::time::Duration;

use postern_directory::{SearchScope, SqlTls};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::words::{LdapUrl, SchemeName, SqlQuery, SqlServer};
use crate::config::kinds::{Choice, Count, FilePath, Line, List, OneOf, Switch, Time, shape, tables_of};
use crate::config::problem::Span;
use crate::config::read::{At, Below, Entries, Kind, Place, Reader, table};

/// One source of accounts.
#[derive(Clone, Debug)]
pub(crate) enum Directory {
    Users(UsersTable),
    Ldap(Box<LdapTable>),
    Saslauthd(SaslauthdTable),
    Sql(Box<SqlTable>),
    Pam(PamTable),
}

table! {
    /// Postern's own users, managed by `postern user`. Passwords are kept as argon2id hashes, and beside them the keys that the
    /// mechanisms in [auth] need. Who reads the file can log in with those of CRAM-MD5, DIGEST-MD5 and NTLM, not with SCRAM's.
    UsersTable {
        /// The database. Made if missing, for Postern alone.
        database: PathBuf = FilePath, optional "\"users.db\"" else "`users.db` in `state_dir`";
        /// How long a password that was verified is not hashed again. A change of the password counts at once all the same.
        cache_time: Duration = Time("0", "1h"), default "\"1m\"";
        /// Whether a login by PLAIN or LOGIN gives a user the keys that lack, so that a site moves to SCRAM without new passwords.
        upgrade_keys: bool = Switch, default "true";
        /// Whether a hash of an older scheme, as `postern user import` brings it, is replaced by argon2id at the next login.
        upgrade_hashes: bool = Switch, default "true";
        /// Most passwords hashed at the same time. Each takes about 20 ms and 19 MiB.
        workers: u64 = Count(1..=256), optional "2" else "half of the processors, at least one";
        /// The longest time for one login. After it the client is told `454 4.7.0`.
        timeout: Duration = Time("100ms", "2m"), default "\"5s\"";
    }
}

table! {
    /// LDAP: the entry of the login is searched, then the password is tried by a bind as that entry.
    ///
    /// In filters `{login}` stands for what the client typed, `{local}` and `{domain}` for its parts before and after the
    /// last `@`, all of them escaped.
    LdapTable {
        /// The servers, all with the same tree. The next one is asked when one is down. `ldap://` without `starttls` sends
        /// passwords in the clear and is meant for loopback.
        servers: Vec<At<String>> = List(LdapUrl), required "[\"ldap://ldap1.example.org/\", \"ldap://ldap2.example.org/\"]";
        /// Where the search starts.
        search_base: String = Line(1_024), required "\"ou=People,dc=example,dc=org\"";
        /// How far it goes: `subtree`, `onelevel` or `base`.
        scope: SearchScope = OneOf::<SearchScope>::new(), default "\"subtree\"";
        /// The filter that finds the entry of a login.
        filter: String = Line(1_024), default "\"(uid={login})\"";
        /// The filter that finds the entry of a recipient in `local_domains`; `{address}` is the address.
        recipient_filter: String = Line(1_024), optional "\"(|(mail={address})(mailAlternateAddress={address}))\"" else "`({mail_attribute}={address})`";
        /// The identity for searches.
        bind_dn: String = Line(1_024), optional "\"cn=postern,ou=Services,dc=example,dc=org\"" else "searches are anonymous";
        /// A file whose first line is the password of `bind_dn`, readable by its owner alone.
        bind_password_file: PathBuf = FilePath, optional "\"ldap.pass\"" else "needed with `bind_dn`";
        /// The attribute whose first value is the login in the log and for the sender rule.
        login_attribute: String = Line(128), default "\"uid\"";
        /// The attribute with the addresses of an entry.
        mail_attribute: String = Line(128), default "\"mail\"";
        /// Whether `ldap://` connections start TLS before anything else is sent. Certificates are verified.
        starttls: bool = Switch, default "false";
        /// Authorities that the servers' certificates must lead up to, in PEM form.
        ca_file: PathBuf = FilePath, optional "\"certs/ldap-ca.crt\"" else "those that the system trusts";
        /// The longest time for one login over all servers. After it the client is told `454 4.7.0`.
        timeout: Duration = Time("100ms", "2m"), default "\"5s\"";
        /// Most connections to each server for searches, and as many for binds.
        pool_size: u64 = Count(1..=256), default "8";
        /// How long a server that failed is asked last.
        retry_primary_after: Duration = Time("1s", "1d"), default "\"30s\"";
        /// How long a login that was granted counts without asking again; an account that is locked meanwhile, and a password
        /// that was changed, are good until then. A keyed digest of the password is kept in memory, nothing else of it.
        cache_time: Duration = Time("0", "10m"), default "\"0\"";
    }
}

table! {
    /// saslauthd of Cyrus SASL, for sites that keep it.
    SaslauthdTable {
        /// Its socket: `mux` in the folder that it was given with `-m`.
        socket: PathBuf = FilePath, default "\"/run/saslauthd/mux\"";
        /// The name of the service, by which PAM finds its configuration.
        service: String = Line(128), default "\"smtp\"";
        /// The realm for logins that name none.
        realm: String = Line(255), optional "\"example.org\"" else "none";
        /// Whether `user@realm` is sent as user and realm apart, as Cyrus SASL's own library does. `saslauthd -r` joins them again.
        split_realm: bool = Switch, default "true";
        /// The longest time for one login. After it the client is told `454 4.7.0`.
        timeout: Duration = Time("100ms", "2m"), default "\"5s\"";
        /// How long a login that was granted counts without asking again; what changes meanwhile is seen after it.
        cache_time: Duration = Time("0", "10m"), default "\"0\"";
    }
}

table! {
    /// PAM: the password and the account are checked by the modules of a service. `postern pam-helper` asks them, with the rights that
    /// they need; Postern itself has none. Prompts for anything but one password end the login.
    PamTable {
        /// The helper's socket. It takes questions of `user` alone.
        socket: PathBuf = FilePath, default "\"/run/postern-pam/socket\"";
        /// The service: the name of a file in `/etc/pam.d`.
        service: String = Line(128), default "\"smtp\"";
        /// The folder of the service's file.
        service_folder: PathBuf = FilePath, optional "\"pam.d\"" else "/etc/pam.d";
        /// The longest time for one login; a module that takes longer is cut off. After it the client is told `454 4.7.0`.
        timeout: Duration = Time("1s", "2m"), default "\"10s\"";
        /// Most logins under way at once. Each is a process of the helper.
        workers: u64 = Count(1..=256), default "16";
        /// How long a login that was granted counts without asking again; what changes meanwhile is seen after it.
        cache_time: Duration = Time("0", "10m"), default "\"0\"";
    }
}

table! {
    /// SQL: the stored password is read with your own query and checked here.
    ///
    /// In queries `:login` (or `:address`) stands for what the client typed or for the recipient's address, `:local` and
    /// `:domain` for its parts before and after the last `@`. They become parameters of a prepared statement: nothing that
    /// a client sends becomes part of the SQL.
    ///
    /// Stored passwords may be `{SSHA}`, `{SSHA256}`, `{SSHA512}`, `{SHA}`, `{SMD5}` and their like, crypt(3) strings
    /// (`$1$`, `$2a$`, `$2b$`, `$2y$`, `$5$`, `$6$`, `$y$`, argon2) with or without `{CRYPT}`, `{PBKDF2}`, and
    /// `{SCRAM-SHA-1}` or `{SCRAM-SHA-256}` keys.
    SqlTable {
        /// What the servers run: `postgresql`, `mysql` (which is MariaDB too), or `sqlite` for a file.
        engine: EngineWord = OneOf::<EngineWord>::new(), required "\"postgresql\"";
        /// The file of SQLite. It is opened for reading and never made.
        file: PathBuf = FilePath, optional "\"accounts.db\"" else "needed with `engine = \"sqlite\"`";
        /// The servers, all with the same data: `host`, `host:port`, or the path of a Unix socket (for PostgreSQL the folder
        /// it is in). The next one is asked when one is down.
        servers: Vec<At<String>> = List(SqlServer), optional "[\"db1.example.org\", \"db2.example.org:5433\"]" else "needed but for SQLite";
        /// The name of the database.
        database: String = Line(128), optional "\"mail\"" else "needed but for SQLite";
        /// Who asks. It needs to read, no more.
        user: String = Line(128), optional "\"postern\"" else "needed but for SQLite";
        /// A file whose first line is the password of `user`, readable by its owner alone.
        password_file: PathBuf = FilePath, optional "\"sql.pass\"" else "there is no password";
        /// Which connections are secured by TLS, always with the certificate verified: `remote` for those to other machines,
        /// `always`, `never`. Unix sockets need none.
        tls: SqlTls = OneOf::<SqlTls>::new(), default "\"remote\"";
        /// Authorities that the servers' certificates must lead up to, in PEM form.
        ca_file: PathBuf = FilePath, optional "\"certs/db-ca.crt\"" else "those that the system trusts";
        /// The query that finds the stored password. Its columns are known by name: `password`, and where you have them
        /// `login` (the name in the log), `address` (for the sender rule; several rows, or several with blanks between) and
        /// `enabled`. Without a column `password` the first one is it.
        password_query: String = SqlQuery, required "\"SELECT hash AS password, name AS login FROM accounts WHERE name = :login\"";
        /// The query that finds out whether a recipient in `local_domains` exists: there is a row, and its first value is not
        /// NULL, false or 0.
        recipient_query: String = SqlQuery, optional "\"SELECT 1 FROM addresses WHERE address = :address\"" else "this directory knows no recipients";
        /// The scheme of stored passwords that name none.
        default_scheme: String = SchemeName, optional "\"PLAIN-MD5\"" else "only crypt(3) strings need no name";
        /// Whether a password may be stored as it is, `{PLAIN}`.
        allow_plain: bool = Switch, default "false";
        /// How long a password that was verified is not hashed again. A change of the stored one counts at once all the same.
        cache_time: Duration = Time("0", "1h"), default "\"1m\"";
        /// Most passwords hashed at the same time.
        workers: u64 = Count(1..=256), optional "2" else "half of the processors, at least one";
        /// The longest time for one login over all servers. After it the client is told `454 4.7.0`.
        timeout: Duration = Time("100ms", "2m"), default "\"5s\"";
        /// Most connections to each server.
        pool_size: u64 = Count(1..=256), default "8";
        /// How long a server that failed is asked last.
        retry_primary_after: Duration = Time("1s", "1d"), default "\"30s\"";
    }
}

/// The engines of SQL directories.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum EngineWord {
    PostgreSql,
    MySql,
    Sqlite,
}

impl Choice for EngineWord {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("postgresql", Self::PostgreSql),
        ("mysql", Self::MySql),
        ("sqlite", Self::Sqlite),
    ];
}

impl Choice for SqlTls {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("remote", Self::Remote),
        ("always", Self::Always),
        ("never", Self::Never),
    ];
}

/// The kinds of directories.
#[derive(Clone, Copy, Debug)]
pub(crate) enum DirectoryWord {
    Users,
    Ldap,
    Saslauthd,
    Sql,
    Pam,
}

impl Choice for DirectoryWord {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("users", Self::Users),
        ("ldap", Self::Ldap),
        ("saslauthd", Self::Saslauthd),
        ("sql", Self::Sql),
        ("pam", Self::Pam),
    ];
}

impl Choice for SearchScope {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("subtree", Self::Subtree),
        ("onelevel", Self::OneLevel),
        ("base", Self::Base),
    ];
}

/// The key that chooses.
const KEY: &str = "kind";

/// Any number of `[[directory]]`.
pub(super) struct DirectoryKind;

impl DirectoryKind {
    fn read_one(
        table: &DeTable<'_>,
        span: Span,
        header: &str,
        reader: &mut Reader<'_>,
    ) -> Option<At<Directory>> {
        let place = Place {
            table: header.to_owned(),
            key: KEY.into(),
            example: "\"ldap\"".into(),
            element: false,
        };
        let Some(kind) = table.get(KEY) else {
            reader.problems.error(
                Some(span),
                format!("`kind` is missing in {header}"),
                "needs it",
                format!(
                    "add for example `kind = \"ldap\"`; known: {}",
                    OneOf::<DirectoryWord>::new().describe()
                ),
            );
            return None;
        };
        let word = OneOf::<DirectoryWord>::new().read(kind, &place, reader)?;
        let header = match kind.get_ref().as_str() {
            Some(name) => format!("{header} of kind {name:?}"),
            None => header.to_owned(),
        };
        let entries = Entries::new(table, Some(span.clone()), header, reader);
        let value = match word {
            DirectoryWord::Users => Directory::Users(entries.read_all_but(KEY)),
            DirectoryWord::Ldap => Directory::Ldap(Box::new(entries.read_all_but(KEY))),
            DirectoryWord::Saslauthd => Directory::Saslauthd(entries.read_all_but(KEY)),
            DirectoryWord::Sql => Directory::Sql(Box::new(entries.read_all_but(KEY))),
            DirectoryWord::Pam => Directory::Pam(entries.read_all_but(KEY)),
        };
        Some(At {
            value,
            span: Some(span),
        })
    }
}

impl Kind for DirectoryKind {
    type Value = Vec<At<Directory>>;

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
                shape::<UsersTable>(Some("users")),
                shape::<LdapTable>(Some("ldap")),
                shape::<SaslauthdTable>(Some("saslauthd")),
                shape::<SqlTable>(Some("sql")),
                shape::<PamTable>(Some("pam")),
            ],
        })
    }
}
