//! Filter templates: `(&(objectClass=person)(uid={login}))`.

use std::borrow::Cow;

use ldap3::ldap_escape;

/// A filter with places for parts of a login or address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Template {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Piece {
    Text(String),
    Whole,
    Local,
    Domain,
}

impl Template {
    /// Reads a template. The error says what is wrong with it.
    ///
    /// It has to name `{login}`, `{address}` or `{local}`: one that does not finds the same entry for everybody.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            let (before, after) = rest.split_at(open);
            let Some(close) = after.find('}') else {
                return Err(format!("`{{` without `}}` in {text:?}"));
            };
            let piece = match &after[1..close] {
                "login" | "address" => Piece::Whole,
                "local" => Piece::Local,
                "domain" => Piece::Domain,
                other => {
                    return Err(format!(
                        "unknown placeholder {{{other}}} in {text:?}: there are {{login}}, {{local}}, {{domain}} and, for \
                         recipients, {{address}}"
                    ));
                }
            };
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(piece);
            rest = &after[close + 1..];
        }
        pieces.push(Piece::Text(rest.to_owned()));
        if !pieces
            .iter()
            .any(|piece| matches!(piece, Piece::Whole | Piece::Local))
        {
            return Err(format!(
                "{text:?} would find the same entry for everybody: it has to name {{login}} or {{local}}"
            ));
        }
        let template = Self { pieces };
        ldap3::parse_filter(template.fill("a@b"))
            .map_err(|()| format!("{text:?} is no LDAP filter (RFC 4515), such as (uid={{login}})"))?;
        Ok(template)
    }

    /// The filter for a login or address, with everything escaped that could change its meaning.
    pub(crate) fn fill(&self, whole: &str) -> String {
        let (local, domain) = whole.rsplit_once('@').unwrap_or((whole, ""));
        self.pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => Cow::Borrowed(text.as_str()),
                Piece::Whole => ldap_escape(whole),
                Piece::Local => ldap_escape(local),
                Piece::Domain => ldap_escape(domain),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn templates() {
        let cases = [
            ("the default", "(uid={login})", Ok("(uid=a.caird@fccc.example)")),
            ("the local part", "(uid={local})", Ok("(uid=a.caird)")),
            (
                "both parts",
                "(&(uid={local})(o={domain}))",
                Ok("(&(uid=a.caird)(o=fccc.example))"),
            ),
            (
                "an address",
                "(|(mail={address})(alias={address}))",
                Ok("(|(mail=a.caird@fccc.example)(alias=a.caird@fccc.example))"),
            ),
            (
                "no place for the login",
                "(uid=acaird)",
                Err("same entry for everybody"),
            ),
            (
                "the domain alone tells nobody apart",
                "(o={domain})",
                Err("same entry for everybody"),
            ),
            (
                "an unknown placeholder",
                "(uid={user})",
                Err("unknown placeholder {user}"),
            ),
            ("an open brace", "(uid={login)", Err("without")),
            ("no filter", "uid={login})", Err("no LDAP filter")),
            ("nothing", "", Err("same entry")),
        ];
        for (shows, text, want) in cases {
            let got = Template::parse(text).map(|template| template.fill("a.caird@fccc.example"));
            match (got, want) {
                (Ok(got), Ok(want)) => assert_eq!(got, want, "{shows}"),
                (Err(got), Err(want)) => assert!(got.contains(want), "{shows}: {got}"),
                (got, _) => panic!("{shows}: {got:?}"),
            }
        }
    }

    #[test]
    fn logins_that_try_to_be_filters() {
        let cases = [
            ("everybody", "*", "(uid=\\2a)"),
            (
                "another condition",
                "a)(objectClass=*",
                "(uid=a\\29\\28objectClass=\\2a)",
            ),
            ("an escape", "a\\2a", "(uid=a\\5c2a)"),
            ("a NUL", "a\0b", "(uid=a\\00b)"),
            ("a letter above ASCII stays", "jürgen", "(uid=jürgen)"),
            ("two at signs", "a@b@c", "(uid=a@b@c)"),
        ];
        let template = Template::parse("(uid={login})").unwrap();
        for (shows, login, want) in cases {
            assert_eq!(template.fill(login), want, "{shows}");
        }
        assert_eq!(
            Template::parse("(uid={local})").unwrap().fill("a@b@c"),
            "(uid=a@b)",
            "split at the last one"
        );
    }

    proptest! {
        /// Whatever the login, the filter stays one equality test of one attribute.
        #[test]
        fn the_shape_never_changes(login in "\\PC{1,30}|[*()\\\\\\x00a-c]{1,10}") {
            let filter = Template::parse("(uid={login})").unwrap().fill(&login);
            let inner = &filter["(uid=".len()..filter.len() - 1];
            prop_assert!(!inner.contains(['(', ')', '*', '\0']), "{}", filter);
            prop_assert!(ldap3::parse_filter(&filter).is_ok(), "{}", filter);
            prop_assert_eq!(ldap3::ldap_unescape(inner).unwrap(), login);
        }
    }
}
