//! Postfix's configuration files for tables in databases, which `mysql:`, `pgsql:`, `sqlite:` and `ldap:` refer to.

use std::path::{Path, PathBuf};
use std::time::Duration;

use postern_table::{Expansion, External, Mistake, Of, Parameters, read_parameters};
use secrecy::SecretString;

use super::file::{TableMistake, read_text};
use super::settings::{LdapTable, Question, ResultRules, Source, SqlTable};
use crate::ldap::{LdapSettings, SearchScope};
use crate::sql::{SqlEngine, SqlPlace, SqlServers, SqlTls};

/// Largest such file, in octets.
const FILE_MAX: usize = 256 * 1_024;

/// Where MySQL's own library looks for a server when it is told `localhost`.
const MYSQL_SOCKETS: [&str; 2] = ["/run/mysqld/mysqld.sock", "/var/run/mysqld/mysqld.sock"];

/// Time limit and connections, with Postfix's defaults or those of the other sources.
const TIMEOUT: Duration = Duration::from_secs(5);
const POOL_SIZE: usize = 8;
const RETRY_AFTER: Duration = Duration::from_secs(30);

/// Parameters about Postfix's own operation, which have no meaning here.
const WITHOUT_MEANING: [&str; 12] = [
    "charset",
    "encoding",
    "idle_interval",
    "retry_interval",
    "require_result_set",
    "version",
    "recursion_limit",
    "cache",
    "cache_expiry",
    "cache_size",
    "debuglevel",
    "tls_random_file",
];

/// The state while a file is read.
struct Reader<'a> {
    path: &'a Path,
    parameters: Parameters,
    /// The parameters that were read.
    known: Vec<&'static str>,
    mistakes: Vec<Mistake>,
    warnings: Vec<Mistake>,
}

/// Reads such a file. Blocking.
///
/// # Errors
///
/// A file that cannot be read; what is missing or unsupported. Messages never contain any of a password.
pub fn read_external(
    external: External,
    path: &Path,
) -> Result<(Source, Vec<TableMistake>), Vec<TableMistake>> {
    let place = |mistake| TableMistake::new(path, mistake);
    let whole = |message: String| vec![place(Mistake { line: 0, message })];
    let octets = read_text(path, FILE_MAX).map_err(whole)?;
    let text = String::from_utf8(octets).map_err(|_| whole("is not UTF-8".into()))?;
    let parameters =
        read_parameters(&text).map_err(|mistakes| mistakes.into_iter().map(place).collect::<Vec<_>>())?;
    let mut reader = Reader {
        path,
        parameters,
        known: Vec::new(),
        mistakes: Vec::new(),
        warnings: Vec::new(),
    };
    let source = match external {
        External::Ldap => reader.ldap().map(Source::Ldap),
        External::MySql => reader.sql(Some(SqlEngine::MySql)).map(Source::Sql),
        External::PostgreSql => reader.sql(Some(SqlEngine::PostgreSql)).map(Source::Sql),
        External::Sqlite => reader.sql(None).map(Source::Sql),
    };
    reader.note_unknown();
    match source {
        Some(source) if reader.mistakes.is_empty() => {
            Ok((source, reader.warnings.into_iter().map(place).collect()))
        }
        _ => Err(reader.mistakes.into_iter().map(place).collect()),
    }
}

impl Reader<'_> {
    fn get(&mut self, name: &'static str) -> Option<String> {
        self.known.push(name);
        self.parameters.get(name).map(str::to_owned)
    }

    fn words(&mut self, name: &'static str) -> Vec<String> {
        self.known.push(name);
        self.parameters
            .words(name)
            .into_iter()
            .map(str::to_owned)
            .collect()
    }

    fn mistake(&mut self, name: &str, message: impl Into<String>) {
        self.mistakes.push(Mistake {
            line: self.parameters.line(name),
            message: message.into(),
        });
    }

    fn warning(&mut self, name: &str, message: impl Into<String>) {
        self.warnings.push(Mistake {
            line: self.parameters.line(name),
            message: message.into(),
        });
    }

    fn number(&mut self, name: &'static str) -> usize {
        match self.get(name).map(|text| text.parse()) {
            None => 0,
            Some(Ok(number)) => number,
            Some(Err(_)) => {
                self.mistake(name, format!("`{name}` is not a number"));
                0
            }
        }
    }

    fn flag(&mut self, name: &'static str, default: bool) -> bool {
        match self.get(name).as_deref() {
            None => default,
            Some("yes" | "1" | "true") => true,
            Some("no" | "0" | "false") => false,
            Some(_) => {
                self.mistake(name, format!("`{name}` is neither `yes` nor `no`"));
                default
            }
        }
    }

    fn expansion(&mut self, name: &'static str, text: &str, of: Of) -> Option<Expansion> {
        match Expansion::parse(text, of) {
            Ok(expansion) => Some(expansion),
            Err(error) => {
                self.mistake(name, format!("`{name}` {error}"));
                None
            }
        }
    }

    /// How answers are converted, the same for all.
    fn result(&mut self) -> ResultRules {
        let old = self.get("result_filter");
        let format = self.get("result_format").or(old);
        let format = format.filter(|text| text != "%s");
        let domains = self.words("domain");
        if let Some(table) = domains.iter().find(|domain| domain.contains([':', '/'])) {
            self.mistake(
                "domain",
                format!("`domain` names {table}, and tables are not read there: write the domains"),
            );
        }
        ResultRules {
            format: format.and_then(|text| self.expansion("result_format", &text, Of::Answer)),
            most: self.number("expansion_limit"),
            domains: domains.iter().map(|domain| domain.to_lowercase()).collect(),
        }
    }

    fn note_unknown(&mut self) {
        let names: Vec<(String, usize)> = self
            .parameters
            .names()
            .into_iter()
            .map(|(name, line)| (name.to_owned(), line))
            .collect();
        for (name, line) in names {
            if !self.known.contains(&name.as_str()) && !WITHOUT_MEANING.contains(&name.as_str()) {
                self.warnings.push(Mistake {
                    line,
                    message: format!("`{name}` is not known here and has no effect: remove it"),
                });
            }
        }
    }

    fn sql(&mut self, engine: Option<SqlEngine>) -> Option<SqlTable> {
        let query = self.query(engine);
        let result = self.result();
        let password = self.get("password");
        let place = match engine {
            None => match self.get("dbpath") {
                Some(path) => Some(SqlPlace::File(self.path_of(&path))),
                None => {
                    self.mistake("dbpath", "`dbpath` is missing: name the database's file");
                    None
                }
            },
            Some(engine) => self.servers(engine).map(SqlPlace::Servers),
        };
        if password.is_some() {
            self.note_open_file();
        }
        Some(SqlTable {
            place: place?,
            password: password.map(SecretString::from),
            query: Question::Postfix(query?),
            result,
            timeout: TIMEOUT,
            pool_size: POOL_SIZE,
            retry_primary_after: RETRY_AFTER,
        })
    }

    /// The query, or Postfix's older parameters for it.
    fn query(&mut self, engine: Option<SqlEngine>) -> Option<String> {
        let query = self.get("query");
        let function = match engine {
            Some(SqlEngine::PostgreSql) => self.get("select_function"),
            _ => None,
        };
        let old = ["table", "select_field", "where_field"].map(|name| self.get(name));
        let conditions = self.get("additional_conditions").unwrap_or_default();
        if query.is_some() {
            return query;
        }
        if let Some(function) = function {
            return Some(format!("SELECT {function}('%s')"));
        }
        if let [Some(table), Some(select), Some(field)] = old {
            return Some(format!(
                "SELECT {select} FROM {table} WHERE {field} = '%s' {conditions}"
            ));
        }
        self.mistake(
            "query",
            "`query` is missing: write for example `query = SELECT destination FROM aliases WHERE source = '%s'`",
        );
        None
    }

    fn servers(&mut self, engine: SqlEngine) -> Option<SqlServers> {
        let mut hosts = self.words("hosts");
        if hosts.is_empty() {
            hosts.push("localhost".to_owned());
        }
        let mut servers = Vec::new();
        for host in hosts {
            match self.server(engine, &host) {
                Ok(server) => servers.push(server),
                Err(message) => self.mistake("hosts", message),
            }
        }
        let database = self.get("dbname");
        if database.is_none() {
            self.mistake("dbname", "`dbname` is missing: name the database");
        }
        for name in ["option_file", "option_group"] {
            if self.get(name).is_some() {
                self.warning(
                    name,
                    format!("`{name}` is not read here: write what it says into this file"),
                );
            }
        }
        let (ca_file, tls) = self.tls();
        Some(SqlServers {
            engine,
            servers,
            database: database?,
            user: self.get("user").unwrap_or_else(|| "postfix".to_owned()),
            password_file: None,
            tls: if tls { SqlTls::Always } else { SqlTls::Never },
            ca_file,
        })
    }

    /// Authorities, and whether TLS is used: with Postfix, that is the case if any of its parameters is set.
    fn tls(&mut self) -> (Option<PathBuf>, bool) {
        let ca_file = self.get("tls_CAfile");
        let others = [
            "tls_cert_file",
            "tls_key_file",
            "tls_CApath",
            "tls_ciphers",
            "tls_verify_cert",
        ];
        let mut tls = ca_file.is_some();
        for name in others {
            let given = self.get(name);
            tls |= given.is_some();
            let ignored = name != "tls_verify_cert" || given.as_deref() == Some("no");
            if given.is_some() && ignored {
                self.warning(
                    name,
                    format!("`{name}` has no effect: certificates are always verified, against `tls_CAfile` or those that the system trusts"),
                );
            }
        }
        (ca_file.map(|path| self.path_of(&path)), tls)
    }

    /// A server in the form of our settings. `localhost` means a socket for MySQL's library, and the network for
    /// PostgreSQL's.
    fn server(&self, engine: SqlEngine, host: &str) -> Result<String, String> {
        if host.contains("://") {
            return Err("`hosts` has a URL: write host, or inet:host:port, or unix:/path".into());
        }
        if let Some(path) = host.strip_prefix("unix:") {
            let path = match engine {
                // The folder is needed.
                SqlEngine::PostgreSql => path.split("/.s.PGSQL.").next().unwrap_or(path),
                SqlEngine::MySql => path,
            };
            return Ok(path.to_owned());
        }
        let host = host.strip_prefix("inet:").unwrap_or(host);
        if engine == SqlEngine::MySql && host == "localhost" {
            let socket = MYSQL_SOCKETS.iter().find(|path| Path::new(path).exists());
            return Ok(socket.map_or_else(|| "127.0.0.1".to_owned(), |path| (*path).to_owned()));
        }
        crate::sql::check_server(host)
            .map(|()| host.to_owned())
            .map_err(|error| format!("`hosts`: {error}"))
    }

    fn ldap(&mut self) -> Option<LdapTable> {
        let result = self.result();
        let size = self.number("size_limit");
        let filter = self
            .get("query_filter")
            .unwrap_or_else(|| "(mailacceptinggeneralid=%s)".to_owned());
        let mut attributes = self.words("result_attribute");
        for name in ["leaf_result_attribute", "terminal_result_attribute"] {
            let more = self.words(name);
            if !more.is_empty() {
                self.mistake(
                    name,
                    format!(
                        "`{name}` is not known how to follow here: name the attribute in `result_attribute`"
                    ),
                );
            }
        }
        if self.get("special_result_attribute").is_some() {
            self.mistake(
                "special_result_attribute",
                "`special_result_attribute` leads to further entries, which are not followed here: ask for them with a filter of \
                 their own, such as (memberOf=cn=%u,ou=Groups,dc=example,dc=org)",
            );
        }
        if attributes.is_empty() {
            attributes.push("maildrop".to_owned());
        }
        let base = self.get("search_base");
        if base.is_none() {
            self.mistake(
                "search_base",
                "`search_base` is missing: name where the search starts",
            );
        }
        let scope = match self.get("scope").as_deref() {
            None | Some("sub") => SearchScope::Subtree,
            Some("one") => SearchScope::OneLevel,
            Some("base") => SearchScope::Base,
            Some(_) => {
                self.mistake("scope", "`scope` is neither `sub`, `one` nor `base`");
                SearchScope::Subtree
            }
        };
        let urls = self.urls();
        let (starttls, ca_file) = self.ldap_tls();
        let timeout = match self.number("timeout") {
            0 => TIMEOUT,
            seconds => Duration::from_secs(seconds as u64).min(Duration::from_secs(120)),
        };
        let bind = self.bind();
        let filter = self.expansion("query_filter", &filter, Of::Question);
        let base = base.and_then(|text| self.expansion("search_base", &text, Of::Question));
        for name in ["dereference", "chase_referrals", "bind_method"] {
            if self
                .get(name)
                .is_some_and(|value| !matches!(value.as_str(), "0" | "no" | "simple"))
            {
                self.warning(name, format!("`{name}` is not done here"));
            }
        }
        Some(LdapTable {
            servers: LdapSettings {
                servers: urls,
                scope,
                starttls,
                ca_file,
                timeout,
                pool_size: POOL_SIZE,
                retry_primary_after: RETRY_AFTER,
                ..LdapSettings::default()
            },
            bind,
            base: base?,
            filter: filter?,
            attributes,
            result: ResultRules {
                most: if result.most == 0 { size } else { result.most },
                ..result
            },
        })
    }

    fn ldap_tls(&mut self) -> (bool, Option<PathBuf>) {
        let starttls = self.flag("start_tls", false);
        let ca_file = self.get("tls_ca_cert_file");
        for name in ["tls_ca_cert_dir", "tls_cert", "tls_key", "tls_cipher_suite"] {
            if self.get(name).is_some() {
                self.warning(
                    name,
                    format!("`{name}` has no effect here: name authorities in `tls_ca_cert_file`"),
                );
            }
        }
        if !self.flag("tls_require_cert", true) {
            self.warning(
                "tls_require_cert",
                "`tls_require_cert = no` has no effect: certificates are always verified",
            );
        }
        (starttls, ca_file.map(|path| self.path_of(&path)))
    }

    fn urls(&mut self) -> Vec<String> {
        let port = self.number("server_port");
        let port = if port == 0 { 389 } else { port };
        let mut hosts = self.words("server_host");
        if hosts.is_empty() {
            hosts.push("localhost".to_owned());
        }
        let mut urls = Vec::new();
        for host in hosts {
            if host.starts_with("ldapi:") {
                self.mistake(
                    "server_host",
                    "`server_host` names a socket (ldapi:), which is not asked: name ldap://127.0.0.1/",
                );
            } else if host.contains("://") {
                let slash = if host.matches('/').count() == 2 { "/" } else { "" };
                urls.push(format!("{host}{slash}"));
            } else if host.contains(':') && !host.starts_with('[') {
                urls.push(format!("ldap://{host}/"));
            } else {
                urls.push(format!("ldap://{host}:{port}/"));
            }
        }
        urls
    }

    /// The bind identity. Postfix binds, anonymously if there is no name, unless told not to.
    fn bind(&mut self) -> Option<(String, SecretString)> {
        let dn = self.get("bind_dn");
        let password = self.get("bind_pw");
        match self.get("bind").as_deref() {
            Some("no" | "none") => return None,
            Some("sasl") => self.mistake(
                "bind",
                "`bind = sasl` is not done here: bind with `bind_dn` and `bind_pw`",
            ),
            _ => {}
        }
        let dn = dn?;
        if password.is_some() {
            self.note_open_file();
        }
        Some((dn, SecretString::from(password.unwrap_or_default())))
    }

    /// Warns about a password in a file that everybody can read.
    fn note_open_file(&mut self) {
        use std::os::unix::fs::MetadataExt;
        let is_open = std::fs::metadata(self.path).is_ok_and(|metadata| metadata.mode() & 0o004 != 0);
        if is_open {
            let message = format!(
                "holds a password and is readable by everybody: chmod o-r {}",
                self.path.display()
            );
            self.warnings.push(Mistake { line: 0, message });
        }
    }

    /// A path in the file; relative ones start at its folder.
    fn path_of(&self, path: &str) -> PathBuf {
        self.path.parent().unwrap_or_else(|| Path::new("/")).join(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(external: External, text: &str) -> Result<(Source, Vec<TableMistake>), Vec<TableMistake>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.cf");
        std::fs::write(&path, text).unwrap();
        read_external(external, &path)
    }

    fn sql(external: External, text: &str) -> SqlTable {
        match read(external, text) {
            Ok((Source::Sql(table), _)) => table,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_query_of_each_age() {
        let place =
            "hosts = inet:db.example.org:3307 unix:/run/x.sock\nuser = me\npassword = p#1\ndbname = mail\n";
        #[rustfmt::skip]
        let cases = [
            (External::MySql,      "query = SELECT d FROM a WHERE s='%s'\n   AND active=1", "SELECT d FROM a WHERE s='%s'   AND active=1"),
            (External::MySql,      "table = a\nselect_field = d\nwhere_field = s\nadditional_conditions = and active = 1", "SELECT d FROM a WHERE s = '%s' and active = 1"),
            (External::PostgreSql, "select_function = f", "SELECT f('%s')"),
        ];
        for (external, text, want) in cases {
            let table = sql(external, &format!("{place}{text}"));
            assert_eq!(table.query.text(), want);
            let SqlPlace::Servers(servers) = table.place else {
                panic!("no servers")
            };
            assert_eq!(servers.servers, ["db.example.org:3307", "/run/x.sock"]);
            assert_eq!((servers.user.as_str(), servers.tls), ("me", SqlTls::Never));
        }
        let shown = format!(
            "{:?}",
            sql(External::MySql, &format!("{place}query = SELECT '%s'"))
        );
        assert!(!shown.contains("p#1"), "a password is not shown: {shown}");
        let file = sql(External::Sqlite, "dbpath = /x/mail.db\nquery = SELECT '%s'");
        assert_eq!(file.place, SqlPlace::File("/x/mail.db".into()));
    }

    #[test]
    fn ldap() {
        let text = "server_host = ldap1.example.org ldaps://ldap2.example.org\nserver_port = 1389\nsearch_base = ou=%d,o=x\n\
                    query_filter = (mail=%s)\nresult_attribute = mail, maildrop\nresult_format = %u@y\nbind_dn = cn=me\n\
                    bind_pw = secret\nscope = one\ntimeout = 3\nexpansion_limit = 4\nstart_tls = yes\n";
        let Ok((Source::Ldap(table), warnings)) = read(External::Ldap, text) else {
            panic!("not read")
        };
        assert_eq!(
            table.servers.servers,
            ["ldap://ldap1.example.org:1389/", "ldaps://ldap2.example.org/"]
        );
        assert_eq!(
            (table.servers.scope, table.servers.starttls),
            (SearchScope::OneLevel, true)
        );
        assert_eq!(
            (table.result.most, table.servers.timeout),
            (4, Duration::from_secs(3))
        );
        assert_eq!(table.attributes, ["mail", "maildrop"]);
        assert!(table.bind.is_some_and(|(dn, _)| dn == "cn=me"));
        assert!(
            warnings
                .iter()
                .all(|warning| warning.message.contains("readable by everybody")),
            "{warnings:?}"
        );
    }

    #[test]
    fn mistakes() {
        #[rustfmt::skip]
        let cases = [
            (External::MySql,  "dbname = x",                                        "`query` is missing"),
            (External::MySql,  "query = SELECT '%s'",                               "`dbname` is missing"),
            (External::PostgreSql, "hosts = postgresql://db\ndbname = x\nquery = SELECT '%s'", "has a URL"),
            (External::Sqlite, "query = SELECT '%s'",                               "`dbpath` is missing"),
            (External::MySql,  "dbname = x\nquery = SELECT '%s'\nresult_format = %x", "stands for nothing"),
            (External::MySql,  "dbname = x\nquery = SELECT '%s'\ndomain = hash:/x", "tables are not read there"),
            (External::MySql,  "dbname = x\nquery = SELECT '%s'\nexpansion_limit = a", "is not a number"),
            (External::Ldap,   "query_filter = (mail=%s)",                          "`search_base` is missing"),
            (External::Ldap,   "search_base = o=x\nspecial_result_attribute = member", "are not followed here"),
            (External::Ldap,   "search_base = o=x\nserver_host = ldapi://x",        "a socket"),
            (External::Ldap,   "search_base = o=x\nbind = sasl",                    "is not done here"),
            (External::MySql,  "nonsense",                                          "is not a parameter"),
        ];
        for (external, text, want) in cases {
            let mistakes = read(external, text).expect_err(text);
            let told = format!("{mistakes:?}");
            assert!(told.contains(want), "{text}: {told}");
        }
        let Ok((_, warnings)) = read(External::Sqlite, "dbpath = x\nquery = SELECT '%s'\nfoo = 1") else {
            panic!("not read")
        };
        assert!(
            warnings[0].to_string().contains("table.cf:3: `foo` is not known"),
            "{warnings:?}"
        );
    }
}
