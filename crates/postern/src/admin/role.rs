//! Who makes a request, and in which role.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What somebody may do. Each role includes those before it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Role {
    /// See their own mail, sessions and app passwords, and create and revoke the latter.
    Own,
    /// See everything but the content of mail; change nothing.
    Read,
    /// Manage the queue, sessions, lockouts and accounts on hold.
    Operate,
    /// Do everything that is possible on the command line.
    Administer,
}

impl Role {
    /// All roles, the lowest first.
    pub(crate) const ALL: [Self; 4] = [Self::Own, Self::Read, Self::Operate, Self::Administer];

    /// The role's name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Administer => "administer",
        }
    }
}

/// How the identity is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum By {
    /// The control socket: the kernel identifies the user.
    Control,
    /// An API token.
    Token,
    /// A login at the page.
    Session,
    /// An API socket in the file system: the kernel identifies the user.
    Peer,
}

impl By {
    /// How an action was requested, as recorded in the history.
    pub(crate) const fn source(self) -> &'static str {
        match self {
            Self::Control => "control socket",
            Self::Token => "API token",
            Self::Session => "web session",
            Self::Peer => "API socket",
        }
    }
}

/// Who makes a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Who {
    /// The name as shown to people, in the log and in the history.
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) by: By,
    /// The login whose mail is theirs, in normal form; if there is none, nothing is theirs.
    pub(crate) login: Option<String>,
    /// The system user, if the kernel identifies one.
    pub(crate) uid: Option<u32>,
    /// The requests that it is also limited to, by name; `None` for all that the role may make.
    pub(crate) scope: Option<Vec<String>>,
}

impl Who {
    /// Whether a request of this name is in the scope: `queue` covers `queue list`.
    pub(crate) fn covers(&self, request: &str) -> bool {
        let Some(scope) = &self.scope else { return true };
        scope.iter().any(|part| {
            let rest = request.strip_prefix(part.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        })
    }

    /// Whether this login is the user's own.
    pub(crate) fn is(&self, login: &str) -> bool {
        let normal = |login: &str| postern_mail::normal_login(login).unwrap_or_else(|_| login.to_owned());
        self.login
            .as_deref()
            .is_some_and(|own| normal(own) == normal(login))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_scope_covers() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows      scope                 request        covered
            ("no scope",                None,                 "queue list",  true),
            ("the very request",        Some("queue list"),   "queue list",  true),
            ("all of a kind",           Some("queue"),        "queue hold",  true),
            ("another request",         Some("queue list"),   "queue hold",  false),
            ("a word that begins so",   Some("queue li"),     "queue list",  false),
            ("another kind",            Some("user"),         "queue list",  false),
        ];
        for (shows, scope, request, covered) in cases {
            let who = Who {
                name: "token x".into(),
                role: Role::Administer,
                by: By::Token,
                login: None,
                uid: None,
                scope: scope.map(|scope| vec![scope.to_owned()]),
            };
            assert_eq!(who.covers(request), covered, "{shows}");
        }
    }

    #[test]
    fn roles_are_in_order() {
        assert!(Role::ALL.is_sorted());
    }
}
