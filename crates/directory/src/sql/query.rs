//! Queries with named parameters, translated for each engine.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::Range;

use postern_table::Expansion;

/// Longest query, in octets.
pub(super) const QUERY_MAX: usize = 16_384;

/// The SQL dialect: dialects differ in quoting and in how parameters are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Dialect {
    PostgreSql,
    MySql,
    Sqlite,
}

/// A query ready to be prepared.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Query {
    /// The SQL with the engine's own parameters.
    pub(super) sql: String,
    /// The values to bind, in order.
    parameters: Vec<Parameter>,
    /// The positions of parameters in `sql`.
    places: Vec<Range<usize>>,
    /// What `:mechanism` stands for.
    mechanism: &'static str,
    /// Texts that contain parts of the key, in a query written in Postfix's form.
    texts: Vec<Expansion>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Parameter {
    Whole,
    Local,
    Domain,
    /// In a query for keys.
    Mechanism,
    /// One of `texts`.
    Text(usize),
}

impl Query {
    /// Reads a query. The error says what is wrong with it.
    ///
    /// It must contain `:login`, `:address` or `:local`: otherwise it would find the same for everybody.
    pub(crate) fn parse(text: &str, dialect: Dialect) -> Result<Self, String> {
        let query = Self::of_keys(text, dialect)?;
        if query.parameters.contains(&Parameter::Mechanism) {
            return Err("has :mechanism, which only `key_query` may have".into());
        }
        Ok(query)
    }

    /// The same for a query for keys, which may also contain `:mechanism`.
    pub(super) fn of_keys(text: &str, dialect: Dialect) -> Result<Self, String> {
        if text.len() > QUERY_MAX {
            return Err("is longer than 16,384 octets".into());
        }
        let mut query = Self::empty(text.len());
        let mut rest = text.trim().trim_end_matches(';').trim_end();
        while let Some(first) = rest.chars().next() {
            let quoted = quoted_len(rest, query.sql.chars().next_back(), dialect)?;
            let taken = if quoted > 0 {
                query.sql.push_str(&rest[..quoted]);
                quoted
            } else {
                match first {
                    ':' => query.colon(rest, dialect)?,
                    ';' => return Err("holds more than one statement".into()),
                    '?' if dialect != Dialect::PostgreSql => {
                        return Err("has a `?`: use named parameters, such as :login".into());
                    }
                    _ => {
                        query.sql.push(first);
                        first.len_utf8()
                    }
                }
            };
            rest = &rest[taken..];
        }
        if !query
            .parameters
            .iter()
            .any(|parameter| matches!(parameter, Parameter::Whole | Parameter::Local))
        {
            return Err(
                "would find the same for everybody: it has to name :login, :address or :local, not in quotes"
                    .into(),
            );
        }
        Ok(query)
    }

    /// An empty query with room for that many octets.
    pub(super) fn empty(octets: usize) -> Self {
        Self {
            sql: String::with_capacity(octets),
            parameters: Vec::new(),
            places: Vec::new(),
            mechanism: "",
            texts: Vec::new(),
        }
    }

    /// Adds a parameter for a text with parts of the key. `cast` gives its type if the server cannot infer it.
    pub(super) fn bind(&mut self, text: Expansion, dialect: Dialect, cast: &str) {
        self.texts.push(text);
        self.parameters.push(Parameter::Text(self.texts.len() - 1));
        let number = self.parameters.len();
        let start = self.sql.len();
        // Writing to a string does not fail.
        let _ = match dialect {
            Dialect::MySql => write!(self.sql, "?"),
            Dialect::PostgreSql => write!(self.sql, "${number}"),
            Dialect::Sqlite => write!(self.sql, "?{number}"),
        };
        if dialect != Dialect::MySql {
            self.places.push(start..self.sql.len());
        }
        self.sql.push_str(cast);
    }

    /// Whether it can be used for a key: a key without a domain is useless for a query that uses the domain.
    pub(crate) fn fits(&self, key: &str) -> bool {
        let fits = |text: &Expansion| text.fill(key, "", &|part| part.to_owned()).is_some();
        self.texts.iter().all(fits)
    }

    /// A colon: a parameter, a cast, or something else. Returns the length of what it introduces.
    fn colon(&mut self, rest: &str, dialect: Dialect) -> Result<usize, String> {
        let after = &rest[1..];
        if after.starts_with(':') {
            self.sql.push_str("::");
            return Ok(2);
        }
        let len = after
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(after.len());
        let name = &after[..len];
        if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            // A slice `[1:2]`, an assignment `:=`.
            self.sql.push(':');
            return Ok(1);
        }
        let parameter = match name {
            "login" | "address" | "key" => Parameter::Whole,
            "local" => Parameter::Local,
            "domain" => Parameter::Domain,
            "mechanism" => Parameter::Mechanism,
            other => {
                return Err(format!(
                    "has the unknown parameter :{other}; there are :login, :local, :domain and :address"
                ));
            }
        };
        if dialect == Dialect::MySql {
            self.parameters.push(parameter);
            self.sql.push('?');
            return Ok(1 + len);
        }
        let number = match self.parameters.iter().position(|known| *known == parameter) {
            Some(index) => index + 1,
            None => {
                self.parameters.push(parameter);
                self.parameters.len()
            }
        };
        let sign = if dialect == Dialect::PostgreSql { '$' } else { '?' };
        let start = self.sql.len();
        // Writing to a string does not fail.
        let _ = write!(self.sql, "{sign}{number}");
        self.places.push(start..self.sql.len());
        Ok(1 + len)
    }

    /// The query with NULL in place of every parameter, so that nothing has to be bound: it finds nothing but has the same
    /// columns. Not for MySQL.
    pub(super) fn blank(&self) -> String {
        let mut blank = String::with_capacity(self.sql.len());
        let mut end = 0;
        for place in &self.places {
            blank.push_str(&self.sql[end..place.start]);
            blank.push_str("NULL");
            end = place.end;
        }
        blank.push_str(&self.sql[end..]);
        blank
    }

    /// The values to bind for a login or address: its parts are those before and after the last `@`; without `@`, the local
    /// part is all of it and the domain is empty.
    pub(super) fn values<'a>(&self, whole: &'a str) -> Vec<Cow<'a, str>> {
        let (local, domain) = whole.rsplit_once('@').unwrap_or((whole, ""));
        self.parameters
            .iter()
            .map(|parameter| match parameter {
                Parameter::Whole => Cow::Borrowed(whole),
                Parameter::Local => Cow::Borrowed(local),
                Parameter::Domain => Cow::Borrowed(domain),
                Parameter::Mechanism => Cow::Borrowed(self.mechanism),
                Parameter::Text(index) => {
                    let text = self.texts.get(*index);
                    let filled = text.and_then(|text| text.fill(whole, "", &|part| part.to_owned()));
                    Cow::Owned(filled.unwrap_or_default())
                }
            })
            .collect()
    }

    /// The part of a login that this query uses; it serves as the account's name if the answer has none. That is without the
    /// domain if the query ignores it, since the client may have made it up.
    pub(super) fn named<'a>(&self, whole: &'a str) -> &'a str {
        let looks_at = |wanted| self.parameters.contains(&wanted);
        match whole.rsplit_once('@') {
            Some((local, _)) if !looks_at(Parameter::Whole) && !looks_at(Parameter::Domain) => local,
            _ => whole,
        }
    }

    /// The same query for the keys of this mechanism.
    pub(super) fn for_mechanism(&self, mechanism: &'static str) -> Self {
        Self {
            mechanism,
            ..self.clone()
        }
    }

    /// Whether there is nothing to bind.
    pub(super) fn binds_nothing(&self) -> bool {
        self.parameters.is_empty()
    }

    /// How many values there are.
    pub(super) fn count(&self) -> usize {
        self.parameters.len()
    }
}

/// Checks a query for PostgreSQL (`Some(true)`), MySQL (`Some(false)`) or SQLite (`None`) as far as possible without a
/// database. The error says what is wrong, in words that follow the key's name.
///
/// # Errors
///
/// Unknown parameters, none at all, several statements, open quotes.
pub fn check(text: &str, engine: Option<super::SqlEngine>) -> Result<(), String> {
    Query::parse(text, dialect(engine)).map(drop)
}

/// The same for a query for keys.
///
/// # Errors
///
/// As [`check`].
pub fn check_keys(text: &str, engine: Option<super::SqlEngine>) -> Result<(), String> {
    Query::of_keys(text, dialect(engine)).map(drop)
}

/// Whether a query finds the same for a login in any domain, because it uses only `:local`. False for what is not a valid
/// query.
#[must_use]
pub fn takes_any_domain(text: &str, engine: Option<super::SqlEngine>) -> bool {
    Query::of_keys(text, dialect(engine)).is_ok_and(|query| query.named("a@b") == "a")
}

pub(crate) fn dialect(engine: Option<super::SqlEngine>) -> Dialect {
    match engine {
        Some(super::SqlEngine::PostgreSql) => Dialect::PostgreSql,
        Some(super::SqlEngine::MySql) => Dialect::MySql,
        None => Dialect::Sqlite,
    }
}

/// The length of the quoted text or comment at the beginning; 0 if there is none.
pub(super) fn quoted_len(rest: &str, before: Option<char>, dialect: Dialect) -> Result<usize, String> {
    let octets = rest.as_bytes();
    let escapes = match dialect {
        Dialect::MySql => true,
        // Only in E'…'.
        Dialect::PostgreSql => matches!(before, Some('e' | 'E')),
        Dialect::Sqlite => false,
    };
    match (octets[0], octets.get(1)) {
        (b'\'', _) => until_quote(octets, b'\'', escapes),
        (b'"', _) => until_quote(octets, b'"', dialect == Dialect::MySql),
        (b'`', _) if dialect != Dialect::PostgreSql => until_quote(octets, b'`', false),
        (b'[', _) if dialect == Dialect::Sqlite => match rest.find(']') {
            Some(end) => Ok(end + 1),
            None => Err("has a `[` without `]`".into()),
        },
        (b'-', Some(b'-')) => Ok(rest.find('\n').unwrap_or(rest.len())),
        (b'#', _) if dialect == Dialect::MySql => Ok(rest.find('\n').unwrap_or(rest.len())),
        (b'/', Some(b'*')) => comment_len(octets, dialect == Dialect::PostgreSql),
        (b'$', _) if dialect == Dialect::PostgreSql => dollar_len(rest, before),
        _ => Ok(0),
    }
}

/// A doubled quote stands for one.
fn until_quote(octets: &[u8], quote: u8, escapes: bool) -> Result<usize, String> {
    let mut index = 1;
    while let Some(&octet) = octets.get(index) {
        let doubled = octet == quote && octets.get(index + 1) == Some(&quote);
        if doubled || (escapes && octet == b'\\') {
            index += 2;
        } else if octet == quote {
            return Ok(index + 1);
        } else {
            index += 1;
        }
    }
    Err(format!("has an open {}", char::from(quote)))
}

fn comment_len(octets: &[u8], nested: bool) -> Result<usize, String> {
    let (mut index, mut depth) = (2, 1_usize);
    while let Some(two) = octets.get(index..index + 2) {
        match two {
            b"*/" => {
                depth -= 1;
                index += 2;
                if depth == 0 {
                    return Ok(index);
                }
            }
            b"/*" if nested => {
                depth += 1;
                index += 2;
            }
            _ => index += 1,
        }
    }
    Err("has a comment that does not end".into())
}

/// PostgreSQL's `$tag$ … $tag$`.
fn dollar_len(rest: &str, before: Option<char>) -> Result<usize, String> {
    // Within a name it is an ordinary letter.
    if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$') {
        return Ok(0);
    }
    let Some(end) = rest[1..].find('$') else {
        return parameter_or_nothing(rest);
    };
    let tag = &rest[..end + 2];
    let name = &tag[1..tag.len() - 1];
    let is_name = name.chars().all(|c| c.is_alphanumeric() || c == '_')
        && !name.starts_with(|c: char| c.is_ascii_digit());
    if !is_name {
        return parameter_or_nothing(rest);
    }
    match rest[tag.len()..].find(tag) {
        Some(found) => Ok(tag.len() + found + tag.len()),
        None => Err(format!("has an open {tag}")),
    }
}

fn parameter_or_nothing(rest: &str) -> Result<usize, String> {
    if rest[1..].starts_with(|c: char| c.is_ascii_digit()) {
        return Err("has a `$` and a number: use named parameters, such as :login".into());
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Dialect::{MySql, PostgreSql, Sqlite};
    use proptest::prelude::*;

    #[test]
    fn parameters_of_each_engine() {
        #[rustfmt::skip]
        let cases = [
            ("one",                     PostgreSql, "SELECT p FROM u WHERE l = :login",            "SELECT p FROM u WHERE l = $1", "a@b@c"),
            ("one",                     MySql,      "SELECT p FROM u WHERE l = :login;",           "SELECT p FROM u WHERE l = ?", "a@b@c"),
            ("one",                     Sqlite,     "SELECT p FROM u WHERE l = :login ; ",         "SELECT p FROM u WHERE l = ?1", "a@b@c"),
            ("the same twice",          PostgreSql, ":login OR :address",                          "$1 OR $1", "a@b@c"),
            ("the same twice",          MySql,      ":login OR :address",                          "? OR ?", "a@b@c a@b@c"),
            ("the same twice",          Sqlite,     ":login OR :address",                          "?1 OR ?1", "a@b@c"),
            ("the parts",               PostgreSql, "l=:local AND d=:domain AND l=:local",         "l=$1 AND d=$2 AND l=$1", "a@b c"),
            ("the parts",               MySql,      "l=:local AND d=:domain AND l=:local",         "l=? AND d=? AND l=?", "a@b c a@b"),
            ("a cast",                  PostgreSql, ":login::citext",                              "$1::citext", "a@b@c"),
            ("a slice",                 PostgreSql, "a[1:2] = :login",                             "a[1:2] = $1", "a@b@c"),
            ("in quotes it is text",    PostgreSql, "':login' || ':' || :login",                   "':login' || ':' || $1", "a@b@c"),
            ("a doubled quote",         Sqlite,     "'it''s :login' = :login",                     "'it''s :login' = ?1", "a@b@c"),
            ("a backslash is text",     Sqlite,     "'\\' = :login",                               "'\\' = ?1", "a@b@c"),
            ("a backslash escapes",     MySql,      "'\\' :login' = :login",                       "'\\' :login' = ?", "a@b@c"),
            ("E'…' escapes",            PostgreSql, "E'\\' :login' = :login",                      "E'\\' :login' = $1", "a@b@c"),
            ("names in quotes",         Sqlite,     "\":login\" = [a:login] || `:login` || :login", "\":login\" = [a:login] || `:login` || ?1", "a@b@c"),
            ("a line comment",          PostgreSql, "x -- :login\n= :login",                       "x -- :login\n= $1", "a@b@c"),
            ("a comment of MySQL",      MySql,      "x # it's :login\n= :login",                   "x # it's :login\n= ?", "a@b@c"),
            ("a comment in a comment",  PostgreSql, "/* /* :login */ :login */ :login",            "/* /* :login */ :login */ $1", "a@b@c"),
            ("which MySQL does not nest", MySql,    "/* /* :login */ :login",                      "/* /* :login */ ?", "a@b@c"),
            ("dollar quotes",           PostgreSql, "$a$ :login ' $a$ || :login",                  "$a$ :login ' $a$ || $1", "a@b@c"),
            ("a question mark of jsonb", PostgreSql, "j ? 'x' AND l = :login",                     "j ? 'x' AND l = $1", "a@b@c"),
            ("letters above ASCII",     Sqlite,     "größe = :login",                              "größe = ?1", "a@b@c"),
        ];
        for (shows, dialect, text, sql, values) in cases {
            let query = Query::parse(text, dialect).unwrap_or_else(|error| panic!("{shows}: {error}"));
            assert_eq!(query.sql, sql, "{shows}, {dialect:?}");
            assert_eq!(query.values("a@b@c").join(" "), values, "{shows}, {dialect:?}");
        }
        let bare = Query::parse(":local :domain", Sqlite).unwrap();
        assert_eq!(bare.values("acaird"), ["acaird", ""], "no domain");
    }

    #[test]
    fn blank_queries_bind_nothing() {
        #[rustfmt::skip]
        let cases = [
            ("one",                "SELECT h FROM a WHERE n = :login",                  "SELECT h FROM a WHERE n = NULL"),
            ("several",            "SELECT h FROM a WHERE (:local, :domain) = (l, d)",  "SELECT h FROM a WHERE (NULL, NULL) = (l, d)"),
            ("the same twice",     "SELECT h FROM a WHERE n = :login OR m = :login;",   "SELECT h FROM a WHERE n = NULL OR m = NULL"),
            ("one that looks so",  "SELECT '$1', h FROM a WHERE n = :login::text",      "SELECT '$1', h FROM a WHERE n = NULL::text"),
        ];
        for (shows, text, blank) in cases {
            assert_eq!(Query::parse(text, PostgreSql).unwrap().blank(), blank, "{shows}");
        }
    }

    #[test]
    fn queries_for_keys() {
        let text = "SELECT value FROM keys WHERE name = :login AND mechanism = :mechanism";
        for dialect in [PostgreSql, MySql, Sqlite] {
            let query = Query::of_keys(text, dialect).unwrap().for_mechanism("NTLM");
            assert_eq!(query.values("a@b"), ["a@b", "NTLM"], "{dialect:?}");
            assert!(Query::parse(text, dialect).unwrap_err().contains("key_query"));
        }
        let error = Query::of_keys("SELECT :mechanism", Sqlite).unwrap_err();
        assert!(error.contains("same for everybody"), "{error}");
    }

    #[test]
    fn what_is_no_query() {
        let long = format!(":login {}", "x".repeat(QUERY_MAX));
        #[rustfmt::skip]
        let cases = [
            ("nothing",                 Sqlite,     "",                               "same for everybody"),
            ("no parameter",            Sqlite,     "SELECT p FROM u",                "same for everybody"),
            ("the domain alone",        Sqlite,     "SELECT :domain",                 "same for everybody"),
            ("in quotes alone",         Sqlite,     "SELECT ':login'",                "not in quotes"),
            ("an unknown one",          Sqlite,     "SELECT :user",                   ":user"),
            ("two statements",          Sqlite,     "SELECT :login; DROP TABLE u",    "more than one"),
            ("a bare placeholder",      MySql,      "SELECT ? , :login",              "`?`"),
            ("a numbered placeholder",  PostgreSql, "SELECT $1, :login",              "`$`"),
            ("an open quote",           PostgreSql, "SELECT 'x, :login",              "open '"),
            ("an open name",            PostgreSql, "SELECT \"x, :login",             "open \""),
            ("an open comment",         Sqlite,     "SELECT :login /* x",             "does not end"),
            ("an open dollar quote",    PostgreSql, "SELECT :login, $a$ x",           "open $a$"),
            ("too long",                Sqlite,     &long,                            "16,384"),
        ];
        for (shows, dialect, text, want) in cases {
            let error = Query::parse(text, dialect).expect_err(shows);
            assert!(error.contains(want), "{shows}: {error}");
        }
    }

    proptest! {
        /// Whatever the query and the login, one is never part of the other, and nothing panics.
        #[test]
        fn any_query(text in "[a-z '\"`$:;?/*#\\[\\]\\\\-]{0,30}(:login|:local)?[a-z '\"$*/]{0,10}", login in "\\PC{1,20}") {
            for dialect in [PostgreSql, MySql, Sqlite] {
                if let Ok(query) = Query::parse(&text, dialect) {
                    prop_assert_eq!(query.values(&login).len(), query.count());
                }
            }
        }
    }
}
