//! The context of a login, and why it failed.

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
    /// What may be sent to an unverified host.
    pub(crate) unverified: UnverifiedLogin,
    /// The token, for logins that have one.
    pub(crate) token: Option<SecretString>,
    /// The host as the route names it, and its port.
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    /// The name given in `EHLO`.
    pub(crate) helo: &'a str,
}

/// Why a login failed.
pub(crate) enum Trouble {
    /// The host does not accept the credentials, which an administrator must correct. Other hosts are not tried: they have the
    /// same accounts, which repeated failures would lock out.
    Refused {
        failure: Failure,
        /// Whether the host refused the token, which may have been revoked early.
        token: bool,
    },
    /// The host is not suitable for the login: it offers no usable mechanism, or was not verified. Another one may be. This locks
    /// out no account.
    Unfit(Failure),
    /// A temporary failure.
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

/// The mechanism cannot continue, or the host failed to prove its identity.
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
