//! What a login knows of itself, and why there is none.

use postern_mail::Status;
use postern_policy::route::UnverifiedLogin;
use postern_sasl::{ClientContext, ClientError, Credentials, Nonce};
use secrecy::SecretString;

use crate::failure::{Cause, Failure};
use crate::session::{Session, Tls};
use crate::settings::{Login, LoginSecret, Settings};

/// What a login needs to know besides the session.
pub(crate) struct Call<'a> {
    pub(crate) login: &'a Login,
    /// What may go to a host that was not verified.
    pub(crate) unverified: UnverifiedLogin,
    /// The token, for logins that have one.
    pub(crate) token: Option<SecretString>,
    /// The host as the route names it, and its port.
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    /// The name given in `EHLO`.
    pub(crate) helo: &'a str,
}

/// Why there was no login.
pub(crate) enum Trouble {
    /// The host does not take the credentials, and an administrator has to look. Other hosts are not asked: they have the same
    /// accounts, which one refusal after the other would lock.
    Refused {
        failure: Failure,
        /// Whether the host has refused the token, which may have been taken back before its time.
        token: bool,
    },
    /// The host is not one to log in to: it offers nothing that fits, or does not prove itself. Another one may be. No account
    /// is locked by it.
    Unfit(Failure),
    /// It may pass.
    Passing(Failure),
}

pub(super) fn credentials(call: &Call<'_>) -> Credentials {
    let login = call.login;
    let password = match &login.secret {
        LoginSecret::Password(password) => Some(password.clone()),
        LoginSecret::Certificate | LoginSecret::Ticket | LoginSecret::Token => None,
    };
    Credentials {
        login: login.account.clone(),
        authzid: login.authzid.clone(),
        domain: login.domain.clone(),
        password,
        token: call.token.clone(),
        certificate: login.tls.is_some(),
        kerberos: login.kerberos.clone(),
    }
}

pub(super) fn context(session: &Session, call: &Call<'_>, settings: &Settings) -> ClientContext {
    let now = jiff::Timestamp::now().as_second();
    let mut context = ClientContext::new(
        call.host,
        call.port,
        Nonce::new(rand::random()),
        u64::try_from(now).unwrap_or(0),
    );
    context.workstation.clone_from(&settings.hostname);
    context.bindings = session.bindings.clone();
    context.plus_offered = session
        .peer
        .auth_mechanisms
        .iter()
        .any(|name| name.ends_with("-PLUS"));
    if session.tls == Tls::Clear {
        context.layers = call.login.layers;
    }
    context
}

/// The mechanism cannot go on, or the host is not who it should be.
pub(super) fn failed(session: &Session, call: &Call<'_>, error: &ClientError) -> Trouble {
    let status = match error {
        ClientError::ServerNotProven { .. } => Status(4, 7, 5),
        _ => Status(4, 7, 0),
    };
    let text = format!("cannot log in as {:?}: {error}", call.login.name);
    let cause = Cause::Login {
        reply: None,
        text: text.into(),
    };
    Trouble::Unfit(Failure::temporary(status, &session.relay, cause))
}
