//! API tokens: who has which, and what each may do. Postern stores their hashes.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use postern_mail::normal_login;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::hash::hashed;
use super::requests::NewToken;
use super::role::{By, Role, Who};

/// The prefix of every token, by which programs recognize leaked secrets.
pub(crate) const PREFIX: &str = "pst_";

/// Most tokens.
const TOKENS_MAX: usize = 1_000;

/// Longest name, in characters.
const NAME_MAX: usize = 64;

/// A token as stored and listed, without its secret.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub(crate) struct Token {
    pub(crate) name: String,
    pub(crate) role: Role,
    /// The login that it sends as, and whose mail is its own.
    pub(crate) login: Option<String>,
    #[schema(value_type = Vec<String>)]
    pub(crate) networks: Vec<IpNet>,
    /// Names of the requests that it is limited to; empty for all that the role may make.
    pub(crate) scope: Vec<String>,
    pub(crate) created_at: Timestamp,
    /// Who created it.
    pub(crate) created_by: String,
    pub(crate) expires_at: Option<Timestamp>,
    /// The day of its last use, in UTC, and the address it was used from.
    #[schema(value_type = Option<String>)]
    pub(crate) used_on: Option<Date>,
    #[schema(value_type = Option<String>)]
    pub(crate) used_from: Option<IpAddr>,
}

/// Why a token is not accepted. Its user is told the same for each reason.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum NotTaken {
    /// There is no such token.
    #[error("no such token")]
    Unknown,
    /// It has expired.
    #[error("the token has expired")]
    Expired,
    /// It may not be used from that address.
    #[error("the token is not for this network")]
    Network,
}

/// Why a token cannot be created.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum NotMade {
    /// The name is not valid.
    #[error("the name of a token has 1 to {NAME_MAX} characters, none of them a control character")]
    Name,
    /// There is already one with that name.
    #[error("there is a token {0:?} already; revoke it first, or choose another name")]
    Exists(String),
    /// It has the role `own` but no login, so nothing is its own.
    #[error("a token with the role \"own\" needs a login, whose mail it sees")]
    OwnOfNobody,
    /// The login is not valid.
    #[error("{0:?} cannot be a login")]
    Login(String),
    /// It would already have expired.
    #[error("the token would have expired already")]
    Expired,
    /// A word of the scope names no request.
    #[error(
        "there is no request {0:?}; their names are those of commands, such as \"queue list\", or \"queue\" for all of a kind, and \"send\""
    )]
    Scope(String),
    /// There are too many.
    #[error("there are {TOKENS_MAX} tokens, which is as many as may be; revoke some")]
    Many,
}

/// All tokens, by their hashes.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    all: HashMap<String, Token>,
}

impl Tokens {
    /// The stored ones: hash and token.
    pub(crate) fn of(kept: impl IntoIterator<Item = (String, Token)>) -> Self {
        Self {
            all: kept.into_iter().collect(),
        }
    }

    /// All tokens, by name.
    pub(crate) fn list(&self) -> Vec<Token> {
        let mut all: Vec<Token> = self.all.values().cloned().collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }

    /// Whether any token allows administration.
    pub(crate) fn administers(&self, now: Timestamp) -> bool {
        let lives = |token: &Token| token.expires_at.is_none_or(|end| end > now);
        self.all
            .values()
            .any(|token| token.role == Role::Administer && token.scope.is_empty() && lives(token))
    }

    /// Checks a token to create.
    ///
    /// # Errors
    ///
    /// See [`NotMade`].
    pub(crate) fn prepare(&self, wanted: NewToken, by: &str, now: Timestamp) -> Result<Token, NotMade> {
        let name = wanted.name.trim().to_owned();
        let length = name.chars().count();
        if !(1..=NAME_MAX).contains(&length) || name.chars().any(char::is_control) {
            return Err(NotMade::Name);
        }
        if self.all.values().any(|token| token.name == name) {
            return Err(NotMade::Exists(name));
        }
        if self.all.len() >= TOKENS_MAX {
            return Err(NotMade::Many);
        }
        let login = wanted.login;
        if let Some(wrong) = login.as_ref().filter(|login| normal_login(login).is_err()) {
            return Err(NotMade::Login(wrong.clone()));
        }
        if login.is_none() && wanted.role == Role::Own {
            return Err(NotMade::OwnOfNobody);
        }
        if wanted.expires_at.is_some_and(|end| end <= now) {
            return Err(NotMade::Expired);
        }
        if let Some(wrong) = wanted.scope.iter().find(|part| !is_request(part)) {
            return Err(NotMade::Scope(wrong.clone()));
        }
        Ok(Token {
            name,
            role: wanted.role,
            login,
            networks: wanted.networks,
            scope: wanted.scope,
            created_at: now,
            created_by: by.to_owned(),
            expires_at: wanted.expires_at,
            used_on: None,
            used_from: None,
        })
    }

    /// Adds a token by its hash.
    pub(crate) fn put(&mut self, hash: String, token: Token) {
        self.all.insert(hash, token);
    }

    /// The hash of the token with this name.
    pub(crate) fn named(&self, name: &str) -> Option<String> {
        let found = self.all.iter().find(|(_, token)| token.name == name.trim());
        found.map(|(hash, _)| hash.clone())
    }

    /// The token with this hash.
    pub(super) fn get(&self, hash: &str) -> Option<Token> {
        self.all.get(hash).cloned()
    }

    /// The hashes of the tokens of a login in normal form.
    pub(super) fn of_login(&self, login: &str) -> Vec<String> {
        let normal = |own: &String| normal_login(own).is_ok_and(|own| own == login);
        let theirs = self
            .all
            .iter()
            .filter(|(_, token)| token.login.as_ref().is_some_and(normal));
        theirs.map(|(hash, _)| hash.clone()).collect()
    }

    /// Removes a token.
    pub(crate) fn remove(&mut self, hash: &str) {
        self.all.remove(hash);
    }

    /// The owner of a token, and its hash if its last use has to be stored.
    ///
    /// # Errors
    ///
    /// See [`NotTaken`].
    pub(crate) fn check(
        &mut self,
        shown: &str,
        from: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<(Who, Option<String>), NotTaken> {
        let hash = hashed(shown);
        let token = self.all.get_mut(&hash).ok_or(NotTaken::Unknown)?;
        if token.expires_at.is_some_and(|end| end <= now) {
            return Err(NotTaken::Expired);
        }
        let is_there = |network: &IpNet| from.is_some_and(|from| network.contains(&from.to_canonical()));
        if !token.networks.is_empty() && !token.networks.iter().any(is_there) {
            return Err(NotTaken::Network);
        }
        let today = TimeZone::UTC.to_datetime(now).date();
        let noted = token.used_on == Some(today);
        token.used_on = Some(today);
        token.used_from = from;
        let who = Who {
            name: format!("token {}", token.name),
            role: token.role,
            by: By::Token,
            login: token.login.clone(),
            uid: None,
            scope: Some(token.scope.clone()).filter(|scope| !scope.is_empty()),
        };
        Ok((who, (!noted).then_some(hash)))
    }
}

/// The names of requests and groups of them that a scope may contain.
pub(crate) const REQUESTS: &[&str] = &[
    "account hold",
    "account list",
    "account release",
    "account show",
    "api factor",
    "api link",
    "api token",
    "auth lockouts",
    "auth logins",
    "auth providers",
    "auth unlock",
    "budgets",
    "cert",
    "config",
    "destinations",
    "directories",
    "dkim",
    "history",
    "history acts",
    "queue content",
    "queue flush",
    "queue hold",
    "queue list",
    "queue recover",
    "queue release",
    "queue remove",
    "queue retry",
    "queue show",
    "reload",
    "send",
    "sessions end",
    "sessions list",
    "sessions recheck",
    "sessions show",
    "stats",
    "status",
    "trace",
    "trace follow",
    "user add",
    "user address add",
    "user address remove",
    "user app-password add",
    "user app-password list",
    "user app-password revoke",
    "user delegate add",
    "user delegate remove",
    "user disable",
    "user enable",
    "user group add",
    "user group remove",
    "user list",
    "user passwd",
    "user remove",
    "user show",
    "webhook",
];

fn is_request(part: &str) -> bool {
    REQUESTS.iter().any(|request| {
        let rest = request.strip_prefix(part);
        rest.is_some_and(|rest| rest.is_empty() || (!part.is_empty() && rest.starts_with(' ')))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn wanted(name: &str, role: Role) -> NewToken {
        NewToken {
            name: name.into(),
            role,
            login: Some("Anna".into()),
            expires_at: Some(at(1_000)),
            networks: vec!["192.0.2.0/24".parse().unwrap()],
            scope: Vec::new(),
        }
    }

    #[test]
    fn which_tokens_are_made() {
        let mut tokens = Tokens::default();
        let first = tokens
            .prepare(wanted("there", Role::Read), "root", at(0))
            .unwrap();
        assert_eq!(first.login.as_deref(), Some("Anna"), "as the directory names it");
        tokens.put("hash".into(), first);
        let scoped = |scope: &str| NewToken {
            scope: vec![scope.into()],
            ..wanted("x", Role::Read)
        };
        #[rustfmt::skip]
        let cases = [
            // what the case shows    wanted                                                    made
            ("a usual one",           wanted("backup", Role::Operate),                          Ok(())),
            ("no name",               wanted(" ", Role::Own),                                   Err(NotMade::Name)),
            ("a name of two lines",   wanted("a\nb", Role::Own),                                Err(NotMade::Name)),
            ("one that is there",     wanted("there", Role::Own),                               Err(NotMade::Exists("there".into()))),
            ("own of nobody",         NewToken { login: None, ..wanted("x", Role::Own) },       Err(NotMade::OwnOfNobody)),
            ("over already",          NewToken { expires_at: Some(at(0)), ..wanted("x", Role::Read) }, Err(NotMade::Expired)),
            ("a scope",               scoped("queue list"),                                     Ok(())),
            ("a kind of requests",    scoped("queue"),                                          Ok(())),
            ("an unknown one",        scoped("queue lis"),                                      Err(NotMade::Scope("queue lis".into()))),
            ("an empty one",          scoped(""),                                               Err(NotMade::Scope(String::new()))),
        ];
        for (shows, wanted, made) in cases {
            assert_eq!(tokens.prepare(wanted, "root", at(0)).map(drop), made, "{shows}");
        }
    }

    #[test]
    fn which_tokens_are_taken() {
        let mut tokens = Tokens::default();
        let token = tokens
            .prepare(wanted("backup", Role::Operate), "root", at(0))
            .unwrap();
        tokens.put(hashed("pst_secret"), token);
        let from = |text: &str| Some(text.parse().unwrap());
        #[rustfmt::skip]
        let cases = [
            // what the case shows     shown          from                    at          taken
            ("as it should be",        "pst_secret",  from("192.0.2.7"),      at(1),      Ok(())),
            ("both families",          "pst_secret",  from("::ffff:192.0.2.7"), at(1),    Ok(())),
            ("another one",            "pst_secre",   from("192.0.2.7"),      at(1),      Err(NotTaken::Unknown)),
            ("its hash",               &hashed("pst_secret"), from("192.0.2.7"), at(1),   Err(NotTaken::Unknown)),
            ("nothing",                "",            from("192.0.2.7"),      at(1),      Err(NotTaken::Unknown)),
            ("from elsewhere",         "pst_secret",  from("198.51.100.7"),   at(1),      Err(NotTaken::Network)),
            ("from a Unix socket",     "pst_secret",  None,                   at(1),      Err(NotTaken::Network)),
            ("at its end",             "pst_secret",  from("192.0.2.7"),      at(1_000),  Err(NotTaken::Expired)),
        ];
        for (shows, shown, from, now, taken) in cases {
            assert_eq!(tokens.check(shown, from, now).map(drop), taken, "{shows}");
        }
    }

    #[test]
    fn the_last_use_is_noted_once_a_day() {
        let mut tokens = Tokens::default();
        let token = tokens
            .prepare(wanted("backup", Role::Operate), "root", at(0))
            .unwrap();
        let day = 86_400;
        let token = Token {
            expires_at: None,
            ..token
        };
        tokens.put(hashed("pst_secret"), token);
        let mut noted = |now| {
            let checked = tokens.check("pst_secret", Some("192.0.2.7".parse().unwrap()), now);
            checked.unwrap().1.is_some()
        };
        assert!(noted(at(0)));
        assert!(!noted(at(1)));
        assert!(noted(at(day)));
    }
}
