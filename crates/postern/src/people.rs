//! Postern's own users and their app passwords, as `--json` and the API show them.

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use postern_directory::KeyKind;
use postern_directory::users::{AppPassword, User};
use postern_sasl::{Mechanism, Needs};
use serde::Serialize;

/// A user, as printed with `--json`.
#[derive(Serialize)]
pub(crate) struct UserView<'a> {
    login: &'a str,
    addresses: &'a [String],
    groups: &'a [String],
    /// Who may send on its behalf.
    delegates: &'a [String],
    /// On whose behalf it may send.
    acts_for: &'a [String],
    enabled: bool,
    /// The enabled mechanisms that work for the user.
    mechanisms: Vec<&'static str>,
    created_at: Timestamp,
    password_set_at: Timestamp,
    scheme: &'static str,
}

/// A user, with the mechanisms available to it.
pub(crate) fn view<'a>(user: &'a User, mechanisms: &Mechanisms) -> UserView<'a> {
    UserView {
        login: &user.login,
        addresses: &user.addresses,
        groups: &user.groups,
        delegates: &user.delegates,
        acts_for: &user.acts_for,
        enabled: user.enabled,
        mechanisms: mechanisms.working(user),
        created_at: user.created_at,
        password_set_at: user.password_set_at,
        scheme: user.scheme,
    }
}

/// The enabled mechanisms that use passwords.
pub(crate) struct Mechanisms {
    pub(crate) on: Vec<Mechanism>,
    kinds: Vec<KeyKind>,
}

impl Mechanisms {
    /// Selects them from the enabled ones; `kinds` are the keys that users get with their password.
    pub(crate) fn new(on: Vec<Mechanism>, kinds: Vec<KeyKind>) -> Self {
        let about_passwords = |mechanism: &Mechanism| {
            !matches!(
                mechanism.properties().needs,
                Needs::Certificate | Needs::Token | Needs::Kerberos
            )
        };
        Self {
            on: on.into_iter().filter(about_passwords).collect(),
            kinds,
        }
    }

    pub(crate) fn works(&self, mechanism: Mechanism, user: &User) -> bool {
        let needed = KeyKind::needed(mechanism.properties().needs, "");
        needed.is_none_or(|needed| {
            let kind = self.kinds.iter().find(|kind| kind.name() == needed.name());
            kind.is_some_and(|kind| user.keys.contains(kind))
        })
    }

    pub(crate) fn working(&self, user: &User) -> Vec<&'static str> {
        let working = self.on.iter().filter(|mechanism| self.works(**mechanism, user));
        working.map(|mechanism| mechanism.name()).collect()
    }
}

/// An app password, as printed with `--json`.
#[derive(Serialize)]
pub(crate) struct AppPasswordView<'a> {
    label: &'a str,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    networks: &'a [IpNet],
    last_used_at: Option<Timestamp>,
    last_used_from: Option<IpAddr>,
    /// Mechanisms besides PLAIN and LOGIN with which it works; the login is then `LOGIN#LABEL`.
    keys: &'a [String],
    /// What it may be used for, besides its networks. An empty list is for anything.
    scope: ScopeView<'a>,
}

#[derive(Serialize)]
struct ScopeView<'a> {
    listeners: &'a [String],
    mechanisms: &'a [String],
    hours: &'a [String],
    zone: Option<&'a str>,
    senders: &'a [String],
    recipients: &'a [String],
}

/// One of them.
pub(crate) fn app_password_view(one: &AppPassword) -> AppPasswordView<'_> {
    AppPasswordView {
        label: &one.label,
        created_at: one.created_at,
        expires_at: one.expires_at,
        networks: &one.networks,
        last_used_at: one.last_used_at,
        last_used_from: one.last_used_from,
        keys: &one.keys,
        scope: ScopeView {
            listeners: &one.scope.listeners,
            mechanisms: &one.scope.mechanisms,
            hours: &one.scope.hours,
            zone: one.scope.zone.as_deref(),
            senders: &one.scope.senders,
            recipients: &one.scope.recipients,
        },
    }
}
