//! Filter templates: `(&(objectClass=person)(uid={login}))`.

use ldap3::{dn_escape, ldap_escape};

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
    /// In a filter for groups: the entry's distinguished name.
    Dn,
}

/// How values are escaped.
#[derive(Clone, Copy)]
enum Escape {
    /// As RFC 4515 section 3 asks.
    Filter,
    /// As RFC 4514 section 2.4 asks.
    Dn,
    /// Not at all.
    None,
}

impl Template {
    /// Reads a template. The error says what is wrong with it.
    ///
    /// It must contain `{login}`, `{address}` or `{local}`: otherwise it would find the same entry for everybody.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let template = Self::read(text, false)?;
        template.check_filter(text, "{login} or {local}")?;
        Ok(template)
    }

    /// Reads a filter for groups, which must contain `{dn}` or `{login}`.
    pub(crate) fn of_groups(text: &str) -> Result<Self, String> {
        let template = Self::read(text, true)?;
        template.check_filter(text, "{dn} or {login}")?;
        Ok(template)
    }

    /// Reads the name to bind as.
    pub(crate) fn of_bind(text: &str) -> Result<Self, String> {
        let template = Self::read(text, false)?;
        if template.tells_apart() {
            Ok(template)
        } else {
            Err(format!(
                "{text:?} would be the same for everybody: it has to name {{login}} or {{local}}"
            ))
        }
    }

    fn tells_apart(&self) -> bool {
        let tells = |piece: &Piece| matches!(piece, Piece::Whole | Piece::Local | Piece::Dn);
        self.pieces.iter().any(tells)
    }

    fn check_filter(&self, text: &str, wanted: &str) -> Result<(), String> {
        if !self.tells_apart() {
            return Err(format!(
                "{text:?} would find the same entry for everybody: it has to name {wanted}"
            ));
        }
        ldap3::parse_filter(self.write("a@b", "cn=a", Escape::Filter)).map_err(|()| {
            format!(
                "{text:?} is not a valid LDAP filter: RFC 4515 describes the form, such as (uid={{login}})"
            )
        })?;
        Ok(())
    }

    fn read(text: &str, of_groups: bool) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            let (before, after) = rest.split_at(open);
            let Some(close) = after.find('}') else {
                return Err(format!(
                    "has `{{` without `}}` in {text:?}: write for example {{login}}"
                ));
            };
            let piece = match &after[1..close] {
                "login" | "address" => Piece::Whole,
                "local" => Piece::Local,
                "domain" => Piece::Domain,
                "dn" if of_groups => Piece::Dn,
                other => {
                    return Err(format!(
                        "has an unknown placeholder {{{other}}} in {text:?}: there are {{login}}, {{local}}, {{domain}} and, for \
                         recipients, {{address}}"
                    ));
                }
            };
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(piece);
            rest = &after[close + 1..];
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Ok(Self { pieces })
    }

    /// The filter for a login or address, with everything that could change its meaning escaped.
    pub(crate) fn fill(&self, whole: &str) -> String {
        self.write(whole, "", Escape::Filter)
    }

    /// The part of a login that this filter uses; it serves as the account's name if the entry has none. That is
    /// without the domain if the filter ignores it, since the client may have made it up.
    pub(crate) fn named<'a>(&self, whole: &'a str) -> &'a str {
        let looks_at_domain = |piece: &Piece| matches!(piece, Piece::Whole | Piece::Domain);
        match whole.rsplit_once('@') {
            Some((local, _)) if !self.pieces.iter().any(looks_at_domain) => local,
            _ => whole,
        }
    }

    /// The filter for the groups of an entry.
    pub(crate) fn fill_groups(&self, dn: &str, login: &str) -> String {
        self.write(login, dn, Escape::Filter)
    }

    /// The name to bind as: escaped as a distinguished name if the template is one, otherwise unchanged.
    pub(crate) fn fill_bind(&self, whole: &str) -> String {
        let is_dn = self
            .pieces
            .iter()
            .any(|piece| matches!(piece, Piece::Text(text) if text.contains('=')));
        self.write(whole, "", if is_dn { Escape::Dn } else { Escape::None })
    }

    fn write(&self, whole: &str, dn: &str, escape: Escape) -> String {
        let (local, domain) = whole.rsplit_once('@').unwrap_or((whole, ""));
        let escaped = |value: &str| match escape {
            Escape::Filter => ldap_escape(value).into_owned(),
            Escape::Dn => dn_escape(value).into_owned(),
            Escape::None => value.to_owned(),
        };
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Whole => out.push_str(&escaped(whole)),
                Piece::Local => out.push_str(&escaped(local)),
                Piece::Domain => out.push_str(&escaped(domain)),
                Piece::Dn => out.push_str(&escaped(dn)),
            }
        }
        out
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
            ("no filter", "uid={login})", Err("not a valid LDAP filter")),
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
    fn what_a_login_is_called() {
        let cases = [
            (
                "(uid={login})",
                "ann@a.example",
                "ann@a.example",
                "all of it is looked at",
            ),
            (
                "(&(uid={local})(o={domain}))",
                "ann@a.example",
                "ann@a.example",
                "in two parts",
            ),
            ("(uid={local})", "ann@a.example", "ann", "any domain would do"),
            ("(uid={local})", "a@b@c", "a@b", "split at the last one"),
            ("(uid={local})", "ann", "ann", "there is none"),
        ];
        for (text, login, want, shows) in cases {
            assert_eq!(Template::parse(text).unwrap().named(login), want, "{shows}");
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

    #[test]
    fn groups_and_names_to_bind_as() {
        let dn = "cn=a (b),dc=x";
        let filled = |text| Template::of_groups(text).map(|template| template.fill_groups(dn, "a@b"));
        assert_eq!(filled("(member={dn})").unwrap(), "(member=cn=a \\28b\\29,dc=x)");
        assert_eq!(filled("(memberUid={login})").unwrap(), "(memberUid=a@b)");
        let nested = filled("(member:1.2.840.113556.1.4.1941:={dn})").unwrap();
        assert!(
            nested.starts_with("(member:1.2.840.113556.1.4.1941:=cn=a"),
            "{nested}"
        );
        assert!(filled("(cn=all)").unwrap_err().contains("{dn} or {login}"));
        assert!(
            Template::parse("(member={dn})")
                .unwrap_err()
                .contains("unknown placeholder")
        );

        let name = |text, login| Template::of_bind(text).unwrap().fill_bind(login);
        assert_eq!(name("{local}@corp.example", "ann@relay.test"), "ann@corp.example");
        assert_eq!(
            name("uid={login},dc=x", "a,dc=y"),
            "uid=a\\2cdc\\3dy,dc=x",
            "it stays one name"
        );
        assert!(
            Template::of_bind("cn=all")
                .unwrap_err()
                .contains("same for everybody")
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
