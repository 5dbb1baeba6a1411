//! `[[directory]]`, whose keys depend on its `kind`.

use std::path::PathBuf;
use std::time::Duration;

use postern_directory::{LdapCheck, SearchScope, SqlTls};
use postern_sasl::Mechanism;
use postern_table::Reference;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::tables::TableReference;
use super::words::{EngineWord, HostName, LdapUrl, MechanismName, SchemeName, SqlQuery, SqlServer};
use crate::config::kinds::{
    Choice, Count, FilePath, Line, List, OneOf, OneOrList, Switch, Time, shape, tables_of,
};
use crate::config::problem::Span;
use crate::config::read::{At, Below, Entries, Kind, Place, Reader, table};

/// One source of accounts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Directory {
    Users(UsersTable),
    Ldap(Box<LdapTable>),
    Saslauthd(SaslauthdTable),
    Dovecot(DovecotTable),
    Sql(Box<SqlTable>),
    Pam(PamTable),
    Table(RecipientsTable),
    System(SystemTable),
}

table! {
    /// Postern's own users, managed by `postern user`. Passwords are stored as argon2id hashes, along with the keys that the
    /// mechanisms in [auth] need. Whoever can read the file can authenticate with the keys of CRAM-MD5, DIGEST-MD5 and NTLM, but
    /// not with those of SCRAM.
    UsersTable {
        /// The database. Created if missing, readable by Postern alone.
        database: PathBuf = FilePath, optional "\"users.db\"" else "`users.db` in `state_dir`";
        /// How long a verified password is not hashed again. A changed password still takes effect at once.
        cache_time: Duration = Time("0", "1h"), default "\"1m\"";
        /// The minimum length, in characters, of a password that `postern user` sets. Imported hashes are not checked.
        password_length: u64 = Count(1..=128), default "8";
        /// Whether authentication with PLAIN or LOGIN adds the keys that a user lacks, so that a site moves to SCRAM without new passwords.
        upgrade_keys: bool = Switch, default "true";
        /// Whether a hash of an older scheme, from `postern user import`, is replaced by argon2id when the user next authenticates.
        upgrade_hashes: bool = Switch, default "true";
        /// Most passwords hashed at the same time. Each takes about 20 ms and 19 MiB.
        workers: u64 = Count(1..=256), optional "2" else "half of the processors, at least one";
        /// The time limit for checking one user's credentials. After it the client is told `454 4.7.0`.
        timeout: Duration = Time("100ms", "2m"), default "\"5s\"";
    }
}

table! {
    /// LDAP: the user's entry is searched, then the password is checked by a bind as that entry.
    ///
    /// In filters `{login}` stands for the user name that the client sent, `{local}` and `{domain}` for its parts before and after
    /// the last `@`, all of them escaped.
    LdapTable {
        /// The servers, all with the same tree. If one is down, the next is asked. `ldap://` without `starttls` sends
        /// passwords in the clear and is meant for loopback.
        servers: Vec<At<String>> = List(LdapUrl), optional "[\"ldap://ldap1.example.org/\", \"ldap://ldap2.example.org/\"]" else "needed without `discover`";
        /// A domain that names its servers in DNS (`_ldap._tcp`, by priority and weight), in place of `servers`. They are looked
        /// up again once a minute, and those outside the domain are ignored: forged DNS could name any host.
        discover: String = HostName, optional "\"example.org\"" else "`servers` are asked";
        /// Presets: none, or those for Active Directory: user principal name or account name as user name, addresses
        /// from `mail` and `proxyAddresses`, groups from `memberOf`. Keys of this table take precedence.
        flavour: FlavourWord = OneOf::<FlavourWord>::new(), default "\"generic\"";
        /// Where the search starts.
        search_base: String = Line(1_024), required "\"ou=People,dc=example,dc=org\"";
        /// How far it goes: `subtree`, `onelevel` or `base`.
        scope: SearchScope = OneOf::<SearchScope>::new(), default "\"subtree\"";
        /// The filter that finds a user's entry.
        filter: String = Line(1_024), optional "\"(uid={login})\"" else "`(uid={login})`, or what `flavour` says";
        /// The filter that finds the entry of a recipient in `local_domains`; `{address}` is the address.
        recipient_filter: String = Line(1_024), optional "\"(|(mail={address})(mailAlternateAddress={address}))\"" else "the address in any `mail_attribute`";
        /// How a password is checked: `bind` as the entry, or `compare` with the stored one in `password_attribute`, which
        /// `bind_dn` must be allowed to read. With `compare`, locked and expired accounts are recognized only by their
        /// attributes.
        check: LdapCheck = OneOf::<LdapCheck>::new(), default "\"bind\"";
        /// The name to bind as at once, without a search: `{local}@corp.example.org` for Active Directory, or
        /// `uid={login},ou=People,dc=example,dc=org`. The entry is read with the user's own rights, so that no `bind_dn` is
        /// needed; without one, this directory cannot look up recipients, keys or users of certificates.
        direct_bind: String = Line(1_024), optional "\"{local}@corp.example.org\"" else "the entry is searched first";
        /// The attribute with stored passwords, for `compare` and for keys.
        password_attribute: String = Line(128), default "\"userPassword\"";
        /// The scheme of stored passwords without a prefix. `"PLAIN"` for servers that store them in cleartext.
        default_scheme: String = SchemeName, optional "\"PLAIN\"" else "only crypt(3) strings need no name";
        /// Whether `compare` accepts a password stored in cleartext, `{CLEAR}` or `{PLAIN}`.
        allow_plain: bool = Switch, default "false";
        /// Mechanisms for which entries have keys: SCRAM keys in `key_attribute` (RFC 5803) or `password_attribute`
        /// (`{SCRAM-SHA-256}`), those of CRAM-MD5 and DIGEST-MD5 there too (`{CRAM-MD5}`), and NT hashes in `nt_attribute`. They
        /// are offered if `mechanisms` names them.
        keys: Vec<At<Mechanism>> = List(MechanismName), default "[]";
        /// The attribute with SCRAM keys.
        key_attribute: String = Line(128), default "\"authPassword\"";
        /// The attribute with NT hashes.
        nt_attribute: String = Line(128), default "\"sambaNTPassword\"";
        /// Whether keys are derived from a cleartext password at each login. It costs as much hashing as `scram_iterations` for
        /// each attempt with SCRAM, even for user names that do not exist.
        derive_keys: bool = Switch, default "false";
        /// Most passwords hashed and keys made at the same time.
        workers: u64 = Count(1..=256), optional "2" else "half of the processors, at least one";
        /// The attribute of an entry with the names of its groups.
        member_of_attribute: String = Line(128), optional "\"memberOf\"" else "none, or what `flavour` says";
        /// The filter that finds the groups of an entry: `{dn}` is its name, `{login}` its login. For groups within groups in Active
        /// Directory: `(member:1.2.840.113556.1.4.1941:={dn})`.
        group_filter: String = Line(1_024), optional "\"(&(objectClass=groupOfNames)(member={dn}))\"" else "groups are not searched";
        /// Where groups are searched, and below which those of `member_of_attribute` count.
        group_base: String = Line(1_024), optional "\"ou=Groups,dc=example,dc=org\"" else "`search_base`, and everywhere";
        /// The attribute with the name of a group.
        group_attribute: String = Line(128), default "\"cn\"";
        /// Who may authenticate: the members of these groups, each by its name or by its distinguished name. Names match wherever
        /// the group is below `group_base`, so set that, or use distinguished names.
        allowed_groups: Vec<At<String>> = List(Line(1_024)), default "[]";
        /// The identity for searches.
        bind_dn: String = Line(1_024), optional "\"cn=postern,ou=Services,dc=example,dc=org\"" else "searches are anonymous";
        /// A file whose first line is the password of `bind_dn`, readable only by its owner.
        bind_password_file: PathBuf = FilePath, optional "\"ldap.pass\"" else "needed with `bind_dn`";
        /// The attribute whose first value is the user name in the log and for the sender rule.
        login_attribute: String = Line(128), optional "\"uid\"" else "`uid`, or what `flavour` says";
        /// The attribute with the addresses of an entry, or several. A prefix `smtp:` is removed; values with other prefixes, as
        /// in `proxyAddresses`, are skipped.
        mail_attribute: Vec<At<String>> = OneOrList(Line(128)), optional "[\"mail\", \"mailAlternateAddress\"]" else "`mail`, or what `flavour` says";
        /// Whether `ldap://` connections start TLS before anything else is sent. Certificates are verified.
        starttls: bool = Switch, default "false";
        /// Authorities that must have issued the servers' certificates, in PEM form.
        ca_file: PathBuf = FilePath, optional "\"certs/ldap-ca.crt\"" else "those that the system trusts";
        /// The time limit for checking one user's credentials, over all servers. After it the client is told `454 4.7.0`.
        timeout: Duration = Time("100ms", "2m"), default "\"5s\"";
        /// Most connections to each server for searches, and as many for binds.
        pool_size: u64 = Count(1..=256), default "8";
        /// How long a server that failed is tried last.
        retry_primary_after: Duration = Time("1s", "1d"), default "\"30s\"";
        /// How long a granted login counts without asking again; until then, an account that has been locked, or the old
        /// password, still works. Only a keyed digest of the password is kept in memory.
        cache_time: Duration = Time("0", "10m"), default "\"0\"";
    }
}

table! {
    /// saslauthd of Cyrus SASL, for sites that keep it.
    SaslauthdTable {
        /// Its socket: `mux` in the folder given with `-m`.
        socket: PathBuf = FilePath, default "\"/run/saslauthd/mux\"";
        /// The service name, with which PAM finds its configuration.
        service: String = Line(128), default "\"smtp\"";
        /// The realm for logins that name none.
        realm: String = Line(255), optional "\"example.org\"" else "none";
        /// Whether `user@realm` is sent as separate user and realm, as Cyrus SASL's own library does. `saslauthd -r` joins them
        /// again.
        split_realm: bool = Switch, default "true";
        /// The realms that logins may have, besides `realm`; a login in another one is refused. Without them, any realm is
        /// allowed, and PAM and others behind saslauthd ignore it: then the account is the part before the `@`, and owns no
        /// address, unless the realm is `realm`. Set it if saslauthd's accounts differ by realm.
        realms: Vec<At<String>> = List(Line(255)), default "[]";
        /// The time limit for checking one user's credentials. After it the client is told `454 4.7.0`.
        timeout: Duration = Time("100ms", "2m"), default "\"5s\"";
        /// How long a granted login counts without asking again; changes are only noticed after that.
        cache_time: Duration = Time("0", "10m"), default "\"0\"";
    }
}

table! {
    /// Dovecot's auth service: the accounts that an IMAP server already has. Passwords only, so just the mechanisms PLAIN and
    /// LOGIN work with it; keys stay with Dovecot.
    DovecotTable {
        /// Its socket: a `unix_listener` of `service auth`, such as the one for Postfix.
        socket: PathBuf = FilePath, optional "\"/run/dovecot/auth-client\"" else "`server` is needed";
        /// Its `inet_listener` in place of `socket`. The protocol has no TLS.
        server: String = Line(255), optional "\"127.0.0.1:12345\"" else "`socket` is needed";
        /// The service name, with which Dovecot's configuration can tell clients apart (`%s`).
        service: String = Line(128), default "\"smtp\"";
        /// The time limit for checking one user's credentials. After it the client is told `454 4.7.0`. Dovecot delays a refusal
        /// by two seconds.
        timeout: Duration = Time("100ms", "2m"), default "\"10s\"";
        /// How long a granted login counts without asking again; changes are only noticed after that.
        cache_time: Duration = Time("0", "10m"), default "\"0\"";
    }
}

table! {
    /// PAM: the password and the account are checked by the modules of a service. `postern pam-helper` asks them, with the
    /// privileges that they need; Postern itself has none. Prompts for anything but one password end the login.
    PamTable {
        /// The helper's socket. It only answers `user`.
        socket: PathBuf = FilePath, default "\"/run/postern-pam/socket\"";
        /// The service: the name of a file in `/etc/pam.d`.
        service: String = Line(128), default "\"smtp\"";
        /// Domains that are removed from a login before PAM is asked: with `["example.org"]`, `ann@example.org` logs in as the
        /// account `ann`. A login in another domain is passed on unchanged.
        domains: Vec<At<String>> = List(HostName), default "[]";
        /// The folder of the service's file.
        service_folder: PathBuf = FilePath, optional "\"pam.d\"" else "/etc/pam.d";
        /// The longest time for one login; a module that takes longer is killed. After it the client is told `454 4.7.0`.
        timeout: Duration = Time("1s", "2m"), default "\"10s\"";
        /// Most concurrent logins. Each is a process of the helper.
        workers: u64 = Count(1..=256), default "16";
        /// How long a granted login counts without asking again; changes are only noticed after that.
        cache_time: Duration = Time("0", "10m"), default "\"0\"";
    }
}

table! {
    /// Tables of recipients, as Postfix's `virtual_mailbox_maps` and `local_recipient_maps`: they say which addresses in
    /// `local_domains` exist, but check no passwords.
    RecipientsTable {
        /// The tables. An address exists if one of them has it, its user name, or `@` and its domain; values do not matter.
        recipients: Vec<At<Reference>> = OneOrList(TableReference), required "[\"table:mailboxes\"]";
    }
}

table! {
    /// The users of this machine, from the name service: `/etc/passwd`, and other sources in `/etc/nsswitch.conf`. It says who
    /// exists, but checks no passwords. `min_uid` in [system_users] says who has a mailbox; the rest of that table, how mail gets
    /// there.
    SystemTable {
        /// The domains of `local_domains` whose users these are.
        domains: Vec<At<String>> = List(HostName), default "[]";
    }
}

table! {
    /// SQL: the stored password is read with your own query and checked here.
    ///
    /// In queries `:login` (or `:address`) stands for what the client typed, or for the recipient's address, `:local` and
    /// `:domain` for its parts before and after the last `@`. They become parameters of a prepared statement: nothing that a
    /// client sends becomes part of the SQL.
    ///
    /// Stored passwords may be `{SSHA}`, `{SSHA256}`, `{SSHA512}`, `{SHA}`, `{SMD5}` and the like, crypt(3) strings (`$1$`,
    /// `$2a$`, `$2b$`, `$2y$`, `$5$`, `$6$`, `$y$`, argon2) with or without `{CRYPT}`, `{PBKDF2}`, and `{SCRAM-SHA-1}` or
    /// `{SCRAM-SHA-256}` keys.
    SqlTable {
        /// The database engine: `postgresql`, `mysql` (which is MariaDB too), or `sqlite` for a file.
        engine: EngineWord = OneOf::<EngineWord>::new(), required "\"postgresql\"";
        /// The SQLite file. It is opened for reading and never created.
        file: PathBuf = FilePath, optional "\"accounts.db\"" else "needed with `engine = \"sqlite\"`";
        /// The servers, all with the same data: `host`, `host:port`, or the path of a Unix socket (for PostgreSQL the folder it
        /// is in). If one is down, the next is asked.
        servers: Vec<At<String>> = List(SqlServer), optional "[\"db1.example.org\", \"db2.example.org:5433\"]" else "needed but for SQLite";
        /// The name of the database.
        database: String = Line(128), optional "\"mail\"" else "needed but for SQLite";
        /// The database user. It only needs to read.
        user: String = Line(128), optional "\"postern\"" else "needed but for SQLite";
        /// A file whose first line is the password of `user`, readable only by its owner.
        password_file: PathBuf = FilePath, optional "\"sql.pass\"" else "there is no password";
        /// Which connections use TLS, always with verified certificates: `remote` for those to other machines, `always`, `never`.
        /// Unix sockets need none.
        tls: SqlTls = OneOf::<SqlTls>::new(), default "\"remote\"";
        /// Authorities that must have issued the servers' certificates, in PEM form.
        ca_file: PathBuf = FilePath, optional "\"certs/db-ca.crt\"" else "those that the system trusts";
        /// The query that finds the stored password. Its columns are recognised by name: `password`, and if present `login` (the
        /// name in the log), `address` (for the sender rule; several rows, or several separated by blanks), `enabled`, `group`
        /// (several rows, or several separated by commas), `key` and `nt_hash`. Without a column `password`, the first column is
        /// used.
        password_query: String = SqlQuery, required "\"SELECT hash AS password, name AS login FROM accounts WHERE name = :login\"";
        /// The query that finds the keys for mechanisms that never show the password: `:mechanism` is `SCRAM-SHA-256`, `CRAM-MD5`
        /// and so on. Its columns are as in `password_query`, and the first one is the key if none is named `key`.
        key_query: String = SqlQuery, optional "\"SELECT value AS key, name AS login FROM keys WHERE name = :login AND mechanism = :mechanism\"" else "`password_query`";
        /// The query that finds the account of a login that was proved by a certificate, a ticket or a token, with the same
        /// columns but no password.
        account_query: String = SqlQuery, optional "\"SELECT name AS login, enabled FROM accounts WHERE name = :login\"" else "`password_query`";
        /// The query that finds the groups of an account, one per row; `:login` is its name as in `login`.
        group_query: String = SqlQuery, optional "\"SELECT grp FROM members WHERE name = :login\"" else "the column `group`, if there is one";
        /// Who may authenticate: the members of these groups.
        allowed_groups: Vec<At<String>> = List(Line(255)), default "[]";
        /// Mechanisms for which there are keys, in a column `key` or in `password`: `{SCRAM-SHA-256}` and the like, RFC 5803's
        /// form, `{CRAM-MD5}`, `{DIGEST-MD5}`, and NT hashes in a column `nt_hash`. They are offered if `mechanisms` names them.
        keys: Vec<At<Mechanism>> = List(MechanismName), default "[]";
        /// Whether keys are derived from a cleartext password (`{PLAIN}`) at each login. It costs as much hashing as
        /// `scram_iterations` for each attempt with SCRAM, even for user names that do not exist.
        derive_keys: bool = Switch, default "false";
        /// The query that finds out whether a recipient in `local_domains` exists: there is a row, and its first value is not
        /// NULL, false or 0.
        recipient_query: String = SqlQuery, optional "\"SELECT 1 FROM addresses WHERE address = :address\"" else "this directory knows no recipients";
        /// The scheme of stored passwords without a prefix.
        default_scheme: String = SchemeName, optional "\"PLAIN-MD5\"" else "only crypt(3) strings need no name";
        /// Whether a password may be stored in cleartext, `{PLAIN}`.
        allow_plain: bool = Switch, default "false";
        /// How long a verified password is not hashed again. A changed password still takes effect at once.
        cache_time: Duration = Time("0", "1h"), default "\"1m\"";
        /// Most passwords hashed at the same time.
        workers: u64 = Count(1..=256), optional "2" else "half of the processors, at least one";
        /// The time limit for checking one user's credentials, over all servers. After it the client is told `454 4.7.0`.
        timeout: Duration = Time("100ms", "2m"), default "\"5s\"";
        /// Most connections to each server.
        pool_size: u64 = Count(1..=256), default "8";
        /// How long a server that failed is tried last.
        retry_primary_after: Duration = Time("1s", "1d"), default "\"30s\"";
    }
}

impl Choice for SqlTls {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("remote", Self::Remote),
        ("always", Self::Always),
        ("never", Self::Never),
    ];
}

/// What an LDAP table presets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum FlavourWord {
    Generic,
    ActiveDirectory,
}

impl Choice for FlavourWord {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("generic", Self::Generic),
        ("active-directory", Self::ActiveDirectory),
    ];
}

impl Choice for LdapCheck {
    const WORDS: &'static [(&'static str, Self)] = &[("bind", Self::Bind), ("compare", Self::Compare)];
}

/// The kinds of directories.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum DirectoryWord {
    Users,
    Ldap,
    Saslauthd,
    Dovecot,
    Sql,
    Pam,
    Table,
    System,
}

impl Choice for DirectoryWord {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("users", Self::Users),
        ("ldap", Self::Ldap),
        ("saslauthd", Self::Saslauthd),
        ("dovecot", Self::Dovecot),
        ("sql", Self::Sql),
        ("pam", Self::Pam),
        ("table", Self::Table),
        ("system", Self::System),
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
            DirectoryWord::Dovecot => Directory::Dovecot(entries.read_all_but(KEY)),
            DirectoryWord::Sql => Directory::Sql(Box::new(entries.read_all_but(KEY))),
            DirectoryWord::Pam => Directory::Pam(entries.read_all_but(KEY)),
            DirectoryWord::Table => Directory::Table(entries.read_all_but(KEY)),
            DirectoryWord::System => Directory::System(entries.read_all_but(KEY)),
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
                shape::<DovecotTable>(Some("dovecot")),
                shape::<SqlTable>(Some("sql")),
                shape::<PamTable>(Some("pam")),
                shape::<RecipientsTable>(Some("table")),
                shape::<SystemTable>(Some("system")),
            ],
        })
    }
}
