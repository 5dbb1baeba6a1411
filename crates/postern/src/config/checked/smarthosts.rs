//! Credentials for smarthosts: their parts, and which routes may use them.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use postern_deliver::{Login, LoginSecret};
use postern_directory::read_secret;
use postern_oauth::acquire::{Grant, TokenSettings};
use postern_oauth::http::HttpSettings;
use postern_policy::route::{Hop, HopHost, RouteLogin, TlsLevel, UnverifiedLogin};
use postern_sasl::Layers;
use secrecy::SecretString;

use super::{Checking, files, kerberos, tls, values};
use crate::config::distance::nearest;
use crate::config::file::{LayerWord, LoginTable, LoginToken, RouteTable};
use crate::config::problem::Problems;
use crate::config::read::At;

/// All logins, by name.
pub(super) fn check(c: &mut Checking<'_>) -> HashMap<Arc<str>, Arc<Login>> {
    let mut logins = HashMap::new();
    for written in &c.file.login.value {
        let Some(name) = &written.name else { continue };
        if c.file
            .login
            .iter()
            .take_while(|earlier| !std::ptr::eq(*earlier, written))
            .any(|earlier| {
                earlier
                    .name
                    .as_ref()
                    .is_some_and(|earlier| earlier.value == name.value)
            })
        {
            c.problems.error(
                name.span.clone(),
                format!("two [[login]] tables are named {:?}", name.value),
                "which one is meant?",
                "give each its own name",
            );
        }
        warn_if_unused(name, c);
        if let Some(login) = login(written, name, c) {
            logins.insert(Arc::clone(&login.name), Arc::new(login));
        }
    }
    logins
}

fn warn_if_unused(name: &At<String>, c: &mut Checking<'_>) {
    let used = |route: &At<RouteTable>| {
        route
            .login
            .as_ref()
            .is_some_and(|login| login.value == name.value)
    };
    if !c.file.route.iter().any(used) {
        c.problems.warning(
            name.span.clone(),
            format!("no route uses the login {:?}", name.value),
            "never used",
            format!("add `login = {:?}` to a [[route]], or remove it", name.value),
        );
    }
}

fn login(written: &At<LoginTable>, name: &At<String>, c: &mut Checking<'_>) -> Option<Login> {
    let secret = secret(written, c)?;
    let kerberos = kerberos::initiator(written, c)?;
    let tls = certificate(written, c)?;
    Some(Login {
        name: name.value.as_str().into(),
        account: written.login.as_ref()?.value.clone(),
        authzid: written.act_as.as_ref().map(|at| at.value.clone()),
        domain: written.domain.as_ref().map(|at| at.value.clone()),
        secret,
        mechanisms: written.mechanisms.as_ref().map(|list| values(&list.value)),
        layers: Layers {
            integrity: written
                .layers
                .iter()
                .any(|layer| layer.value == LayerWord::Integrity),
            confidentiality: written
                .layers
                .iter()
                .any(|layer| layer.value == LayerWord::Confidentiality),
        },
        kerberos,
        tls,
    })
}

/// The secret of the login.
fn secret(written: &At<LoginTable>, c: &mut Checking<'_>) -> Option<LoginSecret> {
    if let (Some(token), Some(_)) = (&written.token, &written.password_file) {
        c.problems.error(
            token.span.clone(),
            "credentials with both a password and tokens",
            "which one is meant?",
            "remove `password_file` or [login.token]",
        );
    }
    if written.token.is_some() {
        return Some(LoginSecret::Token);
    }
    let Some(file) = &written.password_file else {
        if written.certificate.is_some() {
            return Some(LoginSecret::Certificate);
        }
        if written.keytab.is_some() || written.tickets.is_some() {
            return Some(LoginSecret::Ticket);
        }
        c.problems.error(
            written.span.clone(),
            "credentials without a secret",
            "no password, certificate, keytab or token",
            "add `password_file = \"…\"`, a file of one line that only its owner can read",
        );
        return None;
    };
    read_file(file, "the password file", c).map(LoginSecret::Password)
}

/// A secret in a file of its own.
fn read_file(file: &At<PathBuf>, what: &str, c: &mut Checking<'_>) -> Option<SecretString> {
    if !files::secret(file, what, c.problems) {
        return None;
    }
    warn_of_owner(file, c);
    match read_secret(file) {
        Ok(secret) => Some(secret),
        Err(error) => {
            let remedy = files::SECRET_REMEDY;
            c.problems
                .error(file.span.clone(), error.to_string(), "no secret", remedy);
            None
        }
    }
}

/// Where logins get their tokens.
pub(super) fn tokens(c: &mut Checking<'_>) -> Vec<TokenSettings> {
    let logins = c.file.login.value.iter();
    logins
        .filter_map(|login| token(login.name.as_ref()?, login.token.as_ref()?, c))
        .collect()
}

fn token(name: &At<String>, written: &At<LoginToken>, c: &mut Checking<'_>) -> Option<TokenSettings> {
    let mut secret = |file: &Option<At<PathBuf>>, what| match file {
        // A mistake in it has been reported; then nothing runs.
        Some(file) => read_file(file, what, c).map(Some),
        None => Some(None),
    };
    let client_secret = secret(&written.client_secret_file, "the client's secret")?;
    let refresh_token = secret(&written.refresh_token_file, "the refresh token")?;
    if written.issuer.is_none() && written.token_endpoint.is_none() {
        c.problems.error(
            written.span.clone(),
            "tokens without a provider",
            "neither `issuer` nor `token_endpoint`",
            "add for example `issuer = \"https://id.example.org\"`",
        );
    }
    let grant = *written.grant.as_deref()?;
    if grant == Grant::ClientCredentials && client_secret.is_none() {
        c.problems.error(
            written.span.clone(),
            "client credentials without a secret",
            "nothing proves the client",
            "add `client_secret_file = \"…\"`",
        );
    }
    if let Some(ca) = &written.ca_file {
        files::readable(ca, "the authorities", c.problems);
    }
    let value = |at: &Option<At<String>>| at.as_ref().map(|at| at.value.clone());
    Some(TokenSettings {
        login: name.value.clone(),
        grant,
        issuer: value(&written.issuer),
        token_endpoint: written.token_endpoint.as_ref().map(|at| at.value.clone()),
        device_endpoint: written.device_endpoint.as_ref().map(|at| at.value.clone()),
        client_id: value(&written.client_id)?,
        client_secret,
        client_authentication: *written.client_authentication,
        scope: value(&written.scope),
        audience: value(&written.audience),
        refresh_token,
        http: HttpSettings {
            ca_file: written.ca_file.as_ref().map(|at| at.value.clone()),
            timeout: *written.timeout,
        },
    })
}

/// A file that only root can read is read at start, but cannot be read on reload, when the process has become another
/// user.
pub(super) fn warn_of_owner(file: &At<PathBuf>, c: &mut Checking<'_>) {
    use std::os::unix::fs::MetadataExt as _;
    let Some(user) = &c.file.user else { return };
    let Ok(Some(owner)) = nix::unistd::User::from_name(user) else {
        return;
    };
    if std::fs::metadata(&file.value).is_ok_and(|metadata| metadata.uid() != owner.uid.as_raw()) {
        c.problems.warning(
            file.span.clone(),
            format!("{} cannot read {} at a reload", user.value, file.display()),
            "belongs to another user",
            format!("chown {} {}", user.value, file.display()),
        );
    }
}

/// TLS with the login's certificate; `None` after a mistake.
#[expect(clippy::option_option, reason = "a mistake, no certificate, a certificate")]
fn certificate(
    written: &At<LoginTable>,
    c: &mut Checking<'_>,
) -> Option<Option<postern_deliver::TlsClients>> {
    match (&written.certificate, &written.key) {
        (None, None) => Some(None),
        (certificate @ Some(_), key @ Some(_)) => {
            let passphrase = written.passphrase_file.as_ref();
            tls::check_own(certificate.as_ref(), key.as_ref(), passphrase, c).map(Some)
        }
        (certificate, key) => {
            let (there, missing) = match certificate {
                Some(_) => ("certificate", "key"),
                None => ("key", "certificate"),
            };
            let span = certificate
                .as_ref()
                .or(key.as_ref())
                .and_then(|at| at.span.clone());
            c.problems.error(
                span,
                format!("`{there}` in [[login]] without `{missing}`"),
                "one of two keys",
                format!("add `{missing} = \"…\"`"),
            );
            None
        }
    }
}

/// The login of a route, if a password may be sent over that route.
pub(super) fn of_route(
    route: &At<RouteTable>,
    logins: &[At<LoginTable>],
    problems: &mut Problems,
) -> Option<RouteLogin> {
    let exception = &route.login_to_unverified_host;
    let Some(login) = &route.login else {
        if exception.span.is_some() {
            problems.warning(
                exception.span.clone(),
                "`login_to_unverified_host` on a route without `login`",
                "without effect",
                "add `login = \"…\"`, or remove it",
            );
        }
        return None;
    };
    let names: Vec<&str> = logins
        .iter()
        .filter_map(|login| login.name.as_ref())
        .map(|name| name.value.as_str())
        .collect();
    if !names.contains(&login.value.as_str()) {
        let remedy = match nearest(&login.value, names.iter().copied()) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("add [[login]] with `name = {:?}`", login.value),
        };
        problems.error(
            login.span.clone(),
            format!("there is no [[login]] {:?}", login.value),
            "unknown",
            remedy,
        );
    }
    let by_mx = |hop: &At<Hop>| matches!(hop.host, HopHost::Mx(_));
    if route.via.as_ref().is_none_or(|via| via.iter().any(by_mx)) {
        problems.error(
            login.span.clone(),
            "credentials on a route without hosts",
            "DNS would decide who receives them",
            "name the hosts by `via`",
        );
    }
    check_exception(route, login, problems);
    Some(RouteLogin {
        name: login.value.as_str().into(),
        unverified: exception.value,
    })
}

/// A password is only sent to verified hosts, unless the route explicitly says otherwise.
fn check_exception(route: &At<RouteTable>, login: &At<String>, problems: &mut Problems) {
    let exception = &route.login_to_unverified_host;
    let verified = route.tls.is_always() && route.verifies();
    match (verified, exception.value) {
        (false, UnverifiedLogin::Nothing) => {
            let label = match *route.tls {
                TlsLevel::None => "`tls = \"none\"`: anyone may listen and answer",
                TlsLevel::Opportunistic => "`tls = \"opportunistic\"`: anyone may answer",
                TlsLevel::Dane => "`tls = \"dane\"`: without TLSA records anyone may answer",
                TlsLevel::DaneOnly | TlsLevel::Required | TlsLevel::Implicit => {
                    "`verify = false`: anyone may answer"
                }
            };
            problems.error(
                login.span.clone(),
                format!("the credentials {:?} would be sent to a host that is not verified", login.value),
                label,
                "add `tls = \"required\"` (`\"implicit\"` for port 465) and leave out `verify`; or, if it has to be, \
                 `login_to_unverified_host = \"send-password-to-anyone\"`",
            );
        }
        (true, UnverifiedLogin::Proofs | UnverifiedLogin::Password) => problems.warning(
            exception.span.clone(),
            "`login_to_unverified_host` on a route whose hosts are verified",
            "without effect",
            "remove it",
        ),
        _ => {}
    }
}
