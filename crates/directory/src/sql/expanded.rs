//! Queries as Postfix writes them, `… WHERE address = '%s'`, made into prepared statements.
//!
//! Postfix inserts the key into the text of the query. Here a quoted text with placeholders becomes one parameter, whose value
//! has them filled in: the database sees the same text, but never as SQL.

use postern_table::{Expansion, Of};

use super::query::{Dialect, QUERY_MAX, Query, quoted_len};

impl Query {
    /// Reads a query with `%s`, `%u`, `%d` and `%1` to `%9`. The error says what is wrong with it.
    ///
    /// `typed` says of each parameter that it is a text, for a PostgreSQL that cannot infer it.
    pub(crate) fn of_postfix(text: &str, dialect: Dialect, typed: bool) -> Result<Self, String> {
        if text.len() > QUERY_MAX {
            return Err("is longer than 16,384 octets".into());
        }
        let cast = if typed && dialect == Dialect::PostgreSql {
            "::text"
        } else {
            ""
        };
        let mut query = Self::empty(text.len());
        let mut rest = text.trim().trim_end_matches(';').trim_end();
        while let Some(first) = rest.chars().next() {
            let before = query.sql.chars().next_back();
            let quoted = quoted_len(rest, before, dialect)?;
            if quoted > 0 {
                let part = &rest[..quoted];
                query.quoted(part, dialect, cast)?;
                rest = &rest[quoted..];
                continue;
            }
            match first {
                '%' => {
                    let place: String = rest.chars().take(2).collect();
                    if place == "%%" {
                        query.sql.push('%');
                    } else {
                        let text = Expansion::parse(&place, Of::Question)?;
                        query.bind(text, dialect, cast);
                    }
                    rest = &rest[place.len()..];
                    continue;
                }
                ';' => return Err("holds more than one statement".into()),
                '?' if dialect != Dialect::PostgreSql => {
                    return Err(
                        "has a `?`, which is for parameters: name what is looked up, such as '%s'".into(),
                    );
                }
                _ => query.sql.push(first),
            }
            rest = &rest[first.len_utf8()..];
        }
        if query.binds_nothing() {
            return Err("would find the same for every key: it has to have '%s', '%u' or '%d'".into());
        }
        Ok(query)
    }

    /// A part in quotes, or a comment.
    fn quoted(&mut self, part: &str, dialect: Dialect, cast: &str) -> Result<(), String> {
        let quote = part.chars().next().unwrap_or_default();
        let is_text = quote == '\'' || (quote == '"' && dialect == Dialect::MySql);
        if !is_text {
            if matches!(quote, '"' | '`' | '[') && part.contains('%') {
                return Err(format!(
                    "has a `%` in the name {part}: what is looked up cannot be a name"
                ));
            }
            self.sql.push_str(part);
            return Ok(());
        }
        if !part.contains('%') {
            self.sql.push_str(part);
            return Ok(());
        }
        let escapes = dialect == Dialect::MySql;
        let escaped =
            matches!(self.sql.chars().next_back(), Some('e' | 'E')) && dialect == Dialect::PostgreSql;
        if escaped && part.contains('\\') {
            return Err(format!(
                "has places and backslashes in {part}: write it without the `E` before its quote"
            ));
        }
        let text = Expansion::parse(&meaning(&part[1..part.len() - 1], quote, escapes), Of::Question)?;
        if escaped {
            self.sql.pop();
        }
        self.bind(text, dialect, cast);
        Ok(())
    }
}

/// The meaning of a quoted text, without its engine's escapes.
fn meaning(inside: &str, quote: char, escapes: bool) -> String {
    let mut meaning = String::with_capacity(inside.len());
    let mut chars = inside.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            c if c == quote => {
                chars.next_if_eq(&quote);
                meaning.push(quote);
            }
            '\\' if escapes => match chars.next() {
                Some('n') => meaning.push('\n'),
                Some('t') => meaning.push('\t'),
                Some('r') => meaning.push('\r'),
                Some('0') => meaning.push('\0'),
                // Those of LIKE are kept.
                Some(c @ ('%' | '_')) => {
                    meaning.push('\\');
                    meaning.push(c);
                }
                Some(c) => meaning.push(c),
                None => {}
            },
            c => meaning.push(c),
        }
    }
    meaning
}

#[cfg(test)]
mod tests {
    use Dialect::{MySql, PostgreSql, Sqlite};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn places_become_parameters() {
        #[rustfmt::skip]
        let cases = [
            ("one",              PostgreSql, "SELECT d FROM a WHERE s='%s' AND active",        "SELECT d FROM a WHERE s=$1 AND active", "u@x.org"),
            ("one",              MySql,      "SELECT d FROM a WHERE s='%s' AND active=1;",     "SELECT d FROM a WHERE s=? AND active=1", "u@x.org"),
            ("one",              Sqlite,     "SELECT d FROM a WHERE s='%s'",                   "SELECT d FROM a WHERE s=?1", "u@x.org"),
            ("parts",            MySql,      "SELECT CONCAT('%u', '@', t) WHERE n='%d'",       "SELECT CONCAT(?, '@', t) WHERE n=?", "u|x.org"),
            ("with text",        MySql,      "LIKE '%%.%d' OR a = '%u@%d'",                    "LIKE ? OR a = ?", "%.x.org|u@x.org"),
            ("doubled quotes",   Sqlite,     "a = 'it''s %s'",                                 "a = ?1", "it's u@x.org"),
            ("escapes",          MySql,      "a = \"it\\'s\\t%s\"",                            "a = ?", "it's\tu@x.org"),
            ("no quotes",        MySql,      "a = %s AND b %% 2",                              "a = ? AND b % 2", "u@x.org"),
            ("labels",           Sqlite,     "a = '%2.%1'",                                    "a = ?1", "x.org"),
            ("E of PostgreSQL",  PostgreSql, "a = E'%s'",                                      "a = $1", "u@x.org"),
            ("others stay",      PostgreSql, "a = 'x' AND \"b\" = '%s' -- '%s'",               "a = 'x' AND \"b\" = $1 -- '%s'", "u@x.org"),
        ];
        for (shows, dialect, text, sql, values) in cases {
            let query =
                Query::of_postfix(text, dialect, false).unwrap_or_else(|error| panic!("{shows}: {error}"));
            assert_eq!(query.sql, sql, "{shows}, {dialect:?}");
            assert_eq!(query.values("u@x.org").join("|"), values, "{shows}, {dialect:?}");
        }
        let typed = Query::of_postfix("SELECT CONCAT('%u', 'x')", PostgreSql, true).unwrap();
        assert_eq!(typed.sql, "SELECT CONCAT($1::text, 'x')");
    }

    #[test]
    fn keys_that_say_nothing_to_it() {
        let query = Query::of_postfix("SELECT CONCAT('%u', '@', t) WHERE n='%d'", MySql, false).unwrap();
        for (key, fits) in [("u@x.org", true), ("@x.org", false), ("x.org", false)] {
            assert_eq!(query.fits(key), fits, "{key}");
        }
        assert!(
            Query::of_postfix("SELECT '%s'", MySql, false)
                .unwrap()
                .fits("@x.org")
        );
    }

    #[test]
    fn what_is_no_query() {
        #[rustfmt::skip]
        let cases = [
            ("SELECT 1",                         MySql,      "same for every key"),
            ("SELECT '%s'; DROP TABLE a",        MySql,      "more than one"),
            ("SELECT a FROM `%s`",               MySql,      "cannot be a name"),
            ("SELECT a FROM \"%s\"",             PostgreSql, "cannot be a name"),
            ("SELECT '%x'",                      MySql,      "stands for nothing"),
            ("SELECT '%s",                       MySql,      "open '"),
            ("SELECT '%s' WHERE ?",              MySql,      "`?`"),
        ];
        for (text, dialect, want) in cases {
            let error = Query::of_postfix(text, dialect, false).unwrap_err();
            assert!(error.contains(want), "{text}: {error}");
        }
    }

    proptest! {
        /// Whatever the query and the key, one is never part of the other, and nothing panics.
        #[test]
        fn any_query(text in "[a-z '\"`$;?/*#%\\[\\]\\\\-]{0,30}('%s'|%u)?[a-z '\"$*/%]{0,10}", key in "\\PC{1,20}") {
            for dialect in [PostgreSql, MySql, Sqlite] {
                if let Ok(query) = Query::of_postfix(&text, dialect, false) {
                    prop_assert_eq!(query.values(&key).len(), query.count());
                }
            }
        }
    }
}
