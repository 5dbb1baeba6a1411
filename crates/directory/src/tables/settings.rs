//! Where a table that must be queried is, and how to query it.

use std::time::Duration;

use postern_table::{Expansion, Service};
use secrecy::SecretString;

use crate::ldap::LdapSettings;
use crate::sql::SqlPlace;

/// Where a table that must be queried is.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a configuration has a few of them")]
pub enum Source {
    /// In a SQL database.
    Sql(SqlTable),
    /// In an LDAP directory.
    Ldap(LdapTable),
    /// Behind a service on a socket.
    Service(Service),
}

/// A table in a SQL database: a value for each row and column that a query returns, joined by commas.
#[derive(Clone, Debug)]
pub struct SqlTable {
    /// Where the database is.
    pub place: SqlPlace,
    /// The password, if the place names no file with it.
    pub password: Option<SecretString>,
    /// The query.
    pub query: Question,
    /// How the answer is converted.
    pub result: ResultRules,
    /// Longest time for one query, over all servers.
    pub timeout: Duration,
    /// Most connections to each server.
    pub pool_size: usize,
    /// How long a server that failed is tried last.
    pub retry_primary_after: Duration,
}

/// A table in an LDAP directory: a value for each value of some attributes of the entries found, joined by commas.
#[derive(Clone, Debug)]
pub struct LdapTable {
    /// The servers, TLS, time limits. The rest is ignored.
    pub servers: LdapSettings,
    /// The bind identity, with the password, if `servers` names no file with it.
    pub bind: Option<(String, SecretString)>,
    /// Where the search starts.
    pub base: Expansion,
    /// The search filter.
    pub filter: Expansion,
    /// The attributes whose values are returned.
    pub attributes: Vec<String>,
    /// How the answer is converted.
    pub result: ResultRules,
}

/// A query, by the syntax in which it is written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Question {
    /// With `:key`, `:local` and `:domain`.
    Own(String),
    /// With `%s`, `%u`, `%d`, `%1` to `%9`, as in Postfix.
    Postfix(String),
}

impl Question {
    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Own(text) | Self::Postfix(text) => text,
        }
    }
}

/// How an answer is converted.
#[derive(Clone, Debug, Default)]
pub struct ResultRules {
    /// The format of each value.
    pub format: Option<Expansion>,
    /// Most values of one answer; more are an outage, as with Postfix. 0 for no limit except that on rows.
    pub most: usize,
    /// The domains to whose addresses queries are limited, in lower case; if empty, all keys are looked up.
    pub domains: Vec<String>,
}

/// How long answers are cached.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CacheRules {
    /// How long a value is cached. Default one minute; zero for not at all.
    pub time: Duration,
    /// How long a negative answer is cached. Default ten seconds.
    pub time_without: Duration,
    /// Most keys. Default 10,000; 0 for no cache.
    pub entries: usize,
}

impl Default for CacheRules {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(60),
            time_without: Duration::from_secs(10),
            entries: 10_000,
        }
    }
}

impl ResultRules {
    /// Whether a key is looked up at all. With `domains`, only addresses with a local part are.
    pub(super) fn holds(&self, key: &str) -> bool {
        if self.domains.is_empty() {
            return true;
        }
        match key.rsplit_once('@') {
            Some((local, domain)) => !local.is_empty() && self.domains.iter().any(|known| known == domain),
            None => false,
        }
    }

    /// The values joined into one text; `None` if there are none. The error says that there are too many.
    pub(super) fn join(&self, key: &str, values: &[String]) -> Result<Option<String>, String> {
        let mut joined = String::new();
        let mut count = 0;
        for value in values.iter().filter(|value| !value.is_empty()) {
            let value = match &self.format {
                None => value.clone(),
                Some(format) => match format.fill(key, value, &|part| part.to_owned()) {
                    Some(value) => value,
                    None => continue,
                },
            };
            count += 1;
            if self.most > 0 && count > self.most {
                return Err(format!(
                    "more than {} values for one key (expansion_limit)",
                    self.most
                ));
            }
            if !joined.is_empty() {
                joined.push(',');
            }
            joined.push_str(&value);
        }
        Ok((!joined.is_empty()).then_some(joined))
    }
}

#[cfg(test)]
mod tests {
    use postern_table::Of;

    use super::*;

    #[test]
    fn answers() {
        let rules = |format: &str, most| ResultRules {
            format: Some(Expansion::parse(format, Of::Answer).unwrap()),
            most,
            domains: Vec::new(),
        };
        let values: Vec<String> = ["a@x", "", "b"].map(str::to_owned).to_vec();
        #[rustfmt::skip]
        let cases = [
            (rules("%s", 0),       Ok(Some("a@x,b")),        "empty values are left out"),
            (rules("%d", 0),       Ok(Some("x")),            "and those without the part"),
            (rules("[%s]:%D", 0),  Ok(Some("[a@x]:k,[b]:k")), "text around each"),
            (rules("%s", 2),       Ok(Some("a@x,b")),        "as many as may be"),
            (rules("%s", 1),       Err(()),                  "too many"),
        ];
        for (rules, want, shows) in cases {
            let got = rules.join("u@k", &values).map_err(|_| ());
            assert_eq!(
                got,
                want.map(|text: Option<&str>| text.map(str::to_owned)),
                "{shows}"
            );
        }
        assert_eq!(ResultRules::default().join("u@k", &[]), Ok(None));
    }

    #[test]
    fn keys_of_its_domains_alone() {
        let rules = ResultRules {
            domains: vec!["x.org".into()],
            ..ResultRules::default()
        };
        for (key, want) in [
            ("u@x.org", true),
            ("u@y.org", false),
            ("@x.org", false),
            ("x.org", false),
            ("u", false),
        ] {
            assert_eq!(rules.holds(key), want, "{key}");
            assert!(ResultRules::default().holds(key));
        }
    }
}
