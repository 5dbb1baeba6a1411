//! What is asked besides queue and server: users, history, tokens, second factors. As it goes over the control socket.

use std::fmt;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroize as _;

use super::role::Role;

/// A secret on its way: it is wiped, and never shown by `{:?}`.
#[derive(Clone, Deserialize, Serialize)]
#[serde(transparent)]
pub(crate) struct Hidden(pub(crate) String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// What is asked about Postern's own users.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "user", rename_all = "kebab-case")]
pub(crate) enum UserRequest {
    /// All of them.
    List,
    /// One.
    Show { login: String },
    /// Makes one; without a password one is made up, and shown in the answer.
    Add {
        login: String,
        #[serde(default)]
        password: Option<Hidden>,
        #[serde(default)]
        addresses: Vec<String>,
        #[serde(default)]
        groups: Vec<String>,
    },
    /// Sets another password; without one it is made up, and shown in the answer.
    Passwd {
        login: String,
        #[serde(default)]
        password: Option<Hidden>,
    },
    /// Keeps from logging in.
    Disable { login: String },
    /// Lets log in again.
    Enable { login: String },
    /// Removes.
    Remove { login: String },
    /// Adds a further address.
    AddAddress { login: String, address: String },
    /// Takes one away.
    RemoveAddress { login: String, address: String },
    /// Puts into a group.
    AddGroup { login: String, group: String },
    /// Takes out of one.
    RemoveGroup { login: String, group: String },
    /// Lets another send in its name.
    AddDelegate { login: String, delegate: String },
    /// Ends that.
    RemoveDelegate { login: String, delegate: String },
    /// The app passwords of one.
    AppPasswords { login: String },
    /// Makes an app password, which the answer shows.
    AddAppPassword {
        login: String,
        label: String,
        #[serde(default)]
        expires_at: Option<Timestamp>,
        #[serde(default)]
        networks: Vec<IpNet>,
    },
    /// Revokes one.
    RevokeAppPassword { login: String, label: String },
}

impl UserRequest {
    /// On whom.
    pub(crate) fn login(&self) -> Option<&str> {
        match self {
            Self::List => None,
            Self::Show { login }
            | Self::Add { login, .. }
            | Self::Passwd { login, .. }
            | Self::Disable { login }
            | Self::Enable { login }
            | Self::Remove { login }
            | Self::AddAddress { login, .. }
            | Self::RemoveAddress { login, .. }
            | Self::AddGroup { login, .. }
            | Self::RemoveGroup { login, .. }
            | Self::AddDelegate { login, .. }
            | Self::RemoveDelegate { login, .. }
            | Self::AppPasswords { login }
            | Self::AddAppPassword { login, .. }
            | Self::RevokeAppPassword { login, .. } => Some(login),
        }
    }

    /// Its name, as the command line has it.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::List => "user list",
            Self::Show { .. } => "user show",
            Self::Add { .. } => "user add",
            Self::Passwd { .. } => "user passwd",
            Self::Disable { .. } => "user disable",
            Self::Enable { .. } => "user enable",
            Self::Remove { .. } => "user remove",
            Self::AddAddress { .. } => "user address add",
            Self::RemoveAddress { .. } => "user address remove",
            Self::AddGroup { .. } => "user group add",
            Self::RemoveGroup { .. } => "user group remove",
            Self::AddDelegate { .. } => "user delegate add",
            Self::RemoveDelegate { .. } => "user delegate remove",
            Self::AppPasswords { .. } => "user app-password list",
            Self::AddAppPassword { .. } => "user app-password add",
            Self::RevokeAppPassword { .. } => "user app-password revoke",
        }
    }

    /// Whether it changes nothing.
    pub(crate) const fn looks(&self) -> bool {
        matches!(self, Self::List | Self::Show { .. } | Self::AppPasswords { .. })
    }

    /// What it is done on, for the history: the login, and what of it.
    pub(crate) fn what(&self) -> Option<String> {
        let login = self.login()?;
        Some(match self {
            Self::AddAddress { address: other, .. }
            | Self::RemoveAddress { address: other, .. }
            | Self::AddGroup { group: other, .. }
            | Self::RemoveGroup { group: other, .. }
            | Self::AddDelegate { delegate: other, .. }
            | Self::RemoveDelegate { delegate: other, .. }
            | Self::AddAppPassword { label: other, .. }
            | Self::RevokeAppPassword { label: other, .. } => format!("{login}: {other}"),
            _ => login.to_owned(),
        })
    }
}

/// What is searched in the history.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct TraceRequest {
    /// Words as `postern trace` takes them; all have to fit.
    pub(crate) what: Vec<String>,
    pub(crate) login: Option<String>,
    pub(crate) client: Option<IpNet>,
    pub(crate) address: Option<String>,
    pub(crate) outcome: Option<String>,
    pub(crate) rule: Option<String>,
    pub(crate) since: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
    /// Most stories.
    pub(crate) limit: Option<u32>,
    /// Sessions, too, in which nothing was refused.
    pub(crate) sessions: bool,
}

/// Acts of administrators.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct ActsRequest {
    pub(crate) since: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
    /// Most acts.
    pub(crate) limit: Option<u32>,
}

/// What is asked about tokens of the API.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "token", rename_all = "kebab-case")]
pub(crate) enum TokenRequest {
    /// All of them, without their secrets.
    List,
    /// Makes one, which the answer shows.
    Create(NewToken),
    /// Ends one.
    Revoke { name: String },
}

/// A token that is wanted.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct NewToken {
    /// What it is for; unique.
    pub(crate) name: String,
    pub(crate) role: Role,
    /// As whom it sends, and whose mail is its own.
    #[serde(default)]
    pub(crate) login: Option<String>,
    /// When it ends.
    #[serde(default)]
    pub(crate) expires_at: Option<Timestamp>,
    /// From where it may be used; from everywhere where none is named.
    #[serde(default)]
    pub(crate) networks: Vec<IpNet>,
    /// Names of requests that it is limited to.
    #[serde(default)]
    pub(crate) scope: Vec<String>,
}

/// What is asked about second factors.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "factor", rename_all = "kebab-case")]
pub(crate) enum FactorRequest {
    /// Whose logins have one.
    List,
    /// Makes a secret, which counts once a code of it was given.
    Begin { login: String },
    /// Gives the first code.
    Confirm { login: String, code: String },
    /// Removes it. Who removes the own one gives a code of it.
    Remove {
        login: String,
        #[serde(default)]
        code: Option<String>,
    },
}

impl FactorRequest {
    /// On whom.
    pub(crate) fn login(&self) -> Option<&str> {
        match self {
            Self::List => None,
            Self::Begin { login } | Self::Confirm { login, .. } | Self::Remove { login, .. } => Some(login),
        }
    }
}
