//! Logins to a probed server: each mechanism with the right password, and with a wrong one, on separate connections.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use postern_net::tls::ClientTlsFacts;
use postern_sasl::{ChannelBindings, ClientContext, Credentials, Mechanism, Nonce};
use postern_smtp::Reply;
use secrecy::SecretString;

use super::wire::{Wire, WireError};

/// Most challenges in one exchange.
const CHALLENGES_MAX: usize = 16;

/// The result of a login.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Ended {
    /// The server granted it, and proved itself if the mechanism requires that.
    Granted(Reply),
    /// The server refused it.
    Refused(Reply),
    /// This side ended it, and why.
    Broken(String),
}

/// Whether a mechanism uses a password.
pub(super) fn takes_password(mechanism: Mechanism) -> bool {
    matches!(
        mechanism,
        Mechanism::Plain
            | Mechanism::Login
            | Mechanism::CramMd5
            | Mechanism::DigestMd5
            | Mechanism::Ntlm
            | Mechanism::Scram(_)
            | Mechanism::ScramPlus(_)
    )
}

/// The credentials and the server.
pub(super) struct Attempt<'a> {
    pub(super) mechanism: Mechanism,
    pub(super) login: &'a str,
    pub(super) password: SecretString,
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) tls: Option<&'a ClientTlsFacts>,
    pub(super) offered: &'a [Box<str>],
}

/// Tries to log in.
pub(super) async fn log_in(wire: &mut Wire, attempt: Attempt<'_>) -> Result<Ended, WireError> {
    let credentials = Credentials {
        login: attempt.login.to_owned(),
        password: Some(attempt.password),
        ..Credentials::default()
    };
    let now = u64::try_from(Timestamp::now().as_second()).unwrap_or(0);
    let mut context = ClientContext::new(attempt.host, attempt.port, Nonce::new(rand::random()), now);
    context.plus_offered = attempt.offered.iter().any(|name| name.ends_with("-PLUS"));
    if let Some(facts) = attempt.tls {
        context.bindings = ChannelBindings {
            exporter: facts.bindings.exporter,
            server_end_point: facts.bindings.server_end_point.clone(),
        };
    }
    let mut exchange = match attempt.mechanism.client(&credentials, &context) {
        Ok(exchange) => exchange,
        Err(error) => return Ok(Ended::Broken(error.to_string())),
    };
    let name = attempt.mechanism.name();
    let command = match exchange.initial() {
        None => format!("AUTH {name}"),
        Some(first) if first.is_empty() => format!("AUTH {name} ="),
        Some(first) => format!("AUTH {name} {}", STANDARD.encode(&*first)),
    };
    let (mut reply, _) = wire.ask(&command).await?;
    for _ in 0..CHALLENGES_MAX {
        if reply.code != 334 {
            return Ok(match reply.is_success() {
                false => Ended::Refused(reply),
                true => match exchange.finish() {
                    Ok(_) => Ended::Granted(reply),
                    Err(error) => Ended::Broken(error.to_string()),
                },
            });
        }
        let challenge = STANDARD.decode(reply.text.trim()).unwrap_or_default();
        let answer = match exchange.step(&challenge) {
            Ok(answer) => STANDARD.encode(&*answer),
            Err(error) => {
                let _ = wire.ask("*").await?;
                return Ok(Ended::Broken(error.to_string()));
            }
        };
        (reply, _) = wire.ask(&answer).await?;
    }
    Ok(Ended::Broken("the server asks again and again".to_owned()))
}
