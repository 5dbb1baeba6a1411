//! Requests besides those about queue and server: users, history, tokens, second factors. In the form used on the
//! control socket.

use std::fmt;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroize as _;

use super::role::Role;

/// A secret in transit: wiped from memory, and never shown by `{:?}`.
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

/// Requests about Postern's own users.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "user", rename_all = "kebab-case")]
pub(crate) enum UserRequest {
    /// All of them.
    List,
    /// One.
    Show { login: String },
    /// Creates one; without a password one is generated, and shown in the answer.
    Add {
        login: String,
        #[serde(default)]
        password: Option<Hidden>,
        #[serde(default)]
        addresses: Vec<String>,
        #[serde(default)]
        groups: Vec<String>,
    },
    /// Sets another password; without one it is generated, and shown in the answer.
    Passwd {
        login: String,
        #[serde(default)]
        password: Option<Hidden>,
    },
    /// Disables logging in.
    Disable { login: String },
    /// Enables it again.
    Enable { login: String },
    /// Removes.
    Remove { login: String },
    /// Adds a further address.
    AddAddress { login: String, address: String },
    /// Removes an address.
    RemoveAddress { login: String, address: String },
    /// Adds it to a group.
    AddGroup { login: String, group: String },
    /// Removes it from a group.
    RemoveGroup { login: String, group: String },
    /// Lets another user send on its behalf.
    AddDelegate { login: String, delegate: String },
    /// Ends that.
    RemoveDelegate { login: String, delegate: String },
    /// Lists the app passwords of one.
    AppPasswords { login: String },
    /// Creates an app password, which the answer shows.
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
    /// The login concerned.
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

    /// The request's name, as on the command line.
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

    /// Whether it only reads.
    pub(crate) const fn looks(&self) -> bool {
        matches!(self, Self::List | Self::Show { .. } | Self::AppPasswords { .. })
    }

    /// What it concerns, for the history: the login, and what of it.
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

/// A search in the history.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct TraceRequest {
    /// Terms as for `postern trace`; all must match.
    pub(crate) what: Vec<String>,
    pub(crate) login: Option<String>,
    pub(crate) client: Option<IpNet>,
    pub(crate) address: Option<String>,
    pub(crate) outcome: Option<String>,
    pub(crate) rule: Option<String>,
    pub(crate) since: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
    /// The maximum number of results.
    pub(crate) limit: Option<u32>,
    /// Include sessions in which nothing was refused.
    pub(crate) sessions: bool,
}

/// A request for actions of administrators.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct ActsRequest {
    pub(crate) since: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
    /// The maximum number of actions.
    pub(crate) limit: Option<u32>,
}

/// Requests about API tokens.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "token", rename_all = "kebab-case")]
pub(crate) enum TokenRequest {
    /// All of them, without their secrets.
    List,
    /// Creates one, which the answer shows.
    Create(NewToken),
    /// Revokes one.
    Revoke { name: String },
}

/// A token to create.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewToken {
    /// What it is for; unique.
    pub(crate) name: String,
    pub(crate) role: Role,
    /// The login that it sends as, and whose mail is its own.
    #[serde(default)]
    pub(crate) login: Option<String>,
    /// When it expires.
    #[serde(default)]
    pub(crate) expires_at: Option<Timestamp>,
    /// The networks that it may be used from; by default all.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub(crate) networks: Vec<IpNet>,
    /// Names of the requests that it is limited to.
    #[serde(default)]
    pub(crate) scope: Vec<String>,
}

/// Requests about second factors.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "factor", rename_all = "kebab-case")]
pub(crate) enum FactorRequest {
    /// Which logins have one.
    List,
    /// Creates a secret, which is valid once its first code was given.
    Begin { login: String },
    /// Gives the first code.
    Confirm { login: String, code: String },
    /// Removes it. Users who remove their own give a code of it.
    Remove {
        login: String,
        #[serde(default)]
        code: Option<String>,
    },
}

impl FactorRequest {
    /// The login concerned.
    pub(crate) fn login(&self) -> Option<&str> {
        match self {
            Self::List => None,
            Self::Begin { login } | Self::Confirm { login, .. } | Self::Remove { login, .. } => Some(login),
        }
    }
}
