//! One exchange: `AUTH`, challenges and responses, the host's verdict.

use std::time::Duration;

use postern_sasl::{
    ClientContext, ClientError, ClientExchange, ContextError, Credentials, Mechanism, Response,
    SecurityLayer, wire,
};
use postern_smtp::Reply;
use postern_smtp::client::Stage;
use zeroize::{Zeroize as _, Zeroizing};

use super::call::{Call, Trouble, context, credentials, failed};
use crate::failure::Failure;
use crate::relay::Relay;
use crate::session::{Session, SessionError, limit};
use crate::settings::Settings;

/// Longest `AUTH` command with an initial response, in octets with CRLF: what every server accepts (RFC 5321 section 4.5.3.1.4).
/// RFC 4954 allows more, but Postfix among others does not. A longer response, such as a token or ticket, follows an empty
/// challenge.
const COMMAND_MAX: usize = 512;

/// The host's verdict.
pub(super) enum Ended {
    /// Authenticated, perhaps with a security layer.
    Granted(Option<Box<dyn SecurityLayer>>),
    /// Refused; with the mechanism's own error message, if any.
    Refused(Reply, Option<String>),
}

/// Runs one mechanism from `AUTH` to the verdict.
pub(super) async fn run(
    session: &mut Session,
    call: &Call<'_>,
    settings: &Settings,
    mechanism: Mechanism,
) -> Result<Ended, Trouble> {
    let context = context(session, call, settings);
    let wait = limit(&settings.timeouts, Stage::Auth);
    let exchange = client(mechanism, credentials(call), context, wait).await;
    let exchange = exchange.map_err(|error| failed(session, call, &error))?;
    let mut running = Running {
        exchange,
        initial: None,
        error: None,
    };
    running.begin(mechanism, &mut session.output);
    loop {
        let asked = session.ask(Stage::Auth, wait).await;
        // The output may have held a password.
        session.output.zeroize();
        let reply = asked.map_err(|error| broken(&error, &session.relay))?;
        if reply.code == 334 && running.error.is_none() {
            let answered = running.answer(&reply, &mut session.output).await;
            running = answered.map_err(|error| failed(session, call, &error))?;
            continue;
        }
        if let Some(error) = running.error {
            return Err(failed(session, call, &error));
        }
        if !reply.is_success() {
            let words = running.exchange.refusal().map(str::to_owned);
            return Ok(Ended::Refused(reply, words));
        }
        let finish = running.exchange.finish();
        let finish = finish.map_err(|error| failed(session, call, &error))?;
        return Ok(Ended::Granted(finish.layer));
    }
}

/// Starts the client, on a thread of its own if other servers must be asked: Kerberos fetches its tickets here, before the first
/// message.
async fn client(
    mechanism: Mechanism,
    credentials: Credentials,
    context: ClientContext,
    wait: Duration,
) -> Result<ClientExchange, ClientError> {
    if !mechanism.properties().blocking {
        return mechanism.client(&credentials, &context);
    }
    let begun = tokio::task::spawn_blocking(move || mechanism.client(&credentials, &context));
    let unavailable = |reason: String| ClientError::Context(ContextError::Unavailable(reason));
    match tokio::time::timeout(wait, begun).await {
        Ok(Ok(begun)) => begun,
        Ok(Err(error)) => Err(unavailable(error.to_string())),
        Err(_) => Err(unavailable(format!("no ticket within {} s", wait.as_secs()))),
    }
}

/// The host's challenge. LOGIN has two prompts, whose text is irrelevant: some hosts do not even encode them.
fn challenge(mechanism: Mechanism, reply: &Reply) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    match wire::decode(reply.text.trim_end().as_bytes()) {
        Err(_) if mechanism == Mechanism::Login => Ok(Zeroizing::default()),
        decoded => decoded.map_err(|_| "not base64"),
    }
}

struct Running {
    exchange: ClientExchange,
    /// The first message, if it did not fit into the command.
    initial: Option<Response>,
    /// Why `*` was sent.
    error: Option<ClientError>,
}

impl Running {
    fn begin(&mut self, mechanism: Mechanism, out: &mut Vec<u8>) {
        out.extend_from_slice(b"AUTH ");
        out.extend_from_slice(mechanism.name().as_bytes());
        if let Some(initial) = self.exchange.initial() {
            let encoded = wire::encode_secret(&initial);
            let text = if encoded.is_empty() { "=" } else { encoded.as_str() };
            if out.len() + 1 + text.len() + 2 <= COMMAND_MAX {
                out.push(b' ');
                out.extend_from_slice(text.as_bytes());
            } else {
                self.initial = Some(initial);
            }
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Writes the response to a challenge, or `*` if there is none.
    async fn answer(mut self, reply: &Reply, out: &mut Vec<u8>) -> Result<Self, ClientError> {
        let mechanism = self.exchange.mechanism().name();
        let response = match self.initial.take() {
            // The empty challenge that asks for it. Some servers write a text here.
            Some(initial) => Ok(initial),
            None => match challenge(self.exchange.mechanism(), reply) {
                Ok(challenge) => {
                    let response;
                    (self.exchange, response) = step(self.exchange, challenge).await?;
                    response
                }
                Err(what) => Err(ClientError::Malformed { mechanism, what }),
            },
        };
        let encoded = response.map(|response| wire::encode_secret(&response));
        match encoded {
            Ok(encoded) if encoded.len() <= wire::LINE_MAX => {
                out.extend_from_slice(encoded.as_bytes());
                out.extend_from_slice(b"\r\n");
            }
            Ok(_) => {
                let what = "the response is longer than a line may be";
                self.give_up(ClientError::Unfit { mechanism, what }, out);
            }
            Err(error) => self.give_up(error, out),
        }
        Ok(self)
    }

    fn give_up(&mut self, error: ClientError, out: &mut Vec<u8>) {
        self.error = Some(error);
        out.extend_from_slice(b"*\r\n");
    }
}

/// Takes a challenge, on a thread of its own if the host determines the cost of the response: up to a second, with the iterations
/// that SCRAM allows it to demand.
async fn step(
    mut exchange: ClientExchange,
    challenge: Zeroizing<Vec<u8>>,
) -> Result<(ClientExchange, Result<Response, ClientError>), ClientError> {
    if !matches!(
        exchange.mechanism(),
        Mechanism::Scram(_) | Mechanism::ScramPlus(_)
    ) {
        let response = exchange.step(&challenge);
        return Ok((exchange, response));
    }
    let stepped = tokio::task::spawn_blocking(move || {
        let response = exchange.step(&challenge);
        (exchange, response)
    });
    stepped
        .await
        .map_err(|error| ClientError::Context(ContextError::Unavailable(error.to_string())))
}

fn broken(error: &SessionError, relay: &Relay) -> Trouble {
    Trouble::Passing(Failure::lost(relay, error.stage(), error.to_string()))
}
