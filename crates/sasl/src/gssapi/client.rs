//! GSSAPI's client (RFC 4752 section 3.1).

use super::layer::GssapiLayer;
use super::{BUFFER_MAX, NAME, Protection, SERVICE, WORD, split_word, word};
use crate::ClientError;
use crate::client::{ClientMechanism, Credentials, Finish, Response};
use crate::context::{ClientContext, Layers};
use crate::security_context::{ContextError, SecurityContext};

/// The client's side.
pub(crate) struct GssapiClient {
    authzid: Option<String>,
    layers: Layers,
    first: Vec<u8>,
    state: State,
}

enum State {
    Establishing(Box<dyn SecurityContext>),
    /// The offer of layers is due.
    Established(Box<dyn SecurityContext>),
    /// A layer was chosen; the server's reply is due.
    Chosen(Option<GssapiLayer>),
    Over,
}

impl GssapiClient {
    /// Makes the first token, for which a ticket may have to be fetched.
    pub(crate) fn new(credentials: &Credentials, context: &ClientContext) -> Result<Self, ClientError> {
        let initiator = credentials.kerberos.as_ref().ok_or(ClientError::Missing {
            mechanism: NAME,
            what: "a keytab or a ticket",
        })?;
        let mut begun = initiator.initiate(SERVICE, &context.host).map_err(failed)?;
        let step = begun.step(&[]).map_err(failed)?;
        Ok(Self {
            authzid: credentials.authzid.clone(),
            layers: context.layers,
            first: step.token,
            state: state(begun, step.established),
        })
    }

    fn choose(
        &mut self,
        mut context: Box<dyn SecurityContext>,
        token: &[u8],
    ) -> Result<Response, ClientError> {
        let features = context.features();
        if !features.mutual {
            return Err(not_proven("there was no mutual authentication"));
        }
        let opened = context
            .unwrap(token)
            .map_err(|_| not_proven("its offer of layers does not hold"))?;
        let (mask, size_max, _) = split_word(&opened.plain)
            .filter(|(.., rest)| rest.is_empty())
            .ok_or_else(|| malformed("an offer of layers that is not four octets long"))?;
        let all = Protection::ALL
            .map(Protection::bit)
            .iter()
            .fold(0, |all, bit| all | bit);
        if mask & all == Protection::None.bit() && size_max != 0 {
            return Err(malformed("a size without a layer"));
        }
        let protection = Protection::ALL
            .into_iter()
            .filter(|protection| mask & protection.bit() != 0)
            .find(|protection| protection.is_open(self.layers, features))
            .ok_or_else(|| malformed("the server insists on a security layer that is not allowed here"))?;
        let own_max = if protection == Protection::None {
            0
        } else {
            BUFFER_MAX
        };
        let mut choice = Vec::with_capacity(WORD);
        choice.extend(word(protection.bit(), own_max));
        choice.extend(self.authzid.as_deref().unwrap_or_default().as_bytes());
        let response = context.wrap(&choice, false).map_err(failed)?;
        let layer = GssapiLayer::new(context, protection, size_max).map_err(malformed)?;
        self.state = State::Chosen(layer);
        Ok(Response::new(response))
    }
}

/// The state of a context.
fn state(context: Box<dyn SecurityContext>, established: bool) -> State {
    if established {
        State::Established(context)
    } else {
        State::Establishing(context)
    }
}

impl ClientMechanism for GssapiClient {
    fn initial(&mut self) -> Option<Response> {
        Some(Response::new(std::mem::take(&mut self.first)))
    }

    fn step(&mut self, challenge: &[u8]) -> Result<Response, ClientError> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Establishing(mut context) => {
                let step = context.step(challenge).map_err(|error| match error {
                    ContextError::Unavailable(_) => failed(error),
                    _ => not_proven("its token does not hold"),
                })?;
                self.state = state(context, step.established);
                Ok(Response::new(step.token))
            }
            State::Established(context) => self.choose(context, challenge),
            State::Chosen(_) | State::Over => Err(malformed("a challenge too many")),
        }
    }

    fn finish(&mut self) -> Result<Finish, ClientError> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Chosen(None) => Ok(Finish::default()),
            State::Chosen(Some(layer)) => Ok(Finish {
                layer: Some(Box::new(layer)),
            }),
            _ => Err(not_proven("it granted the login before the exchange was over")),
        }
    }
}

fn malformed(what: &'static str) -> ClientError {
    let mechanism = NAME;
    ClientError::Malformed { mechanism, what }
}

fn not_proven(what: &'static str) -> ClientError {
    let mechanism = NAME;
    ClientError::ServerNotProven { mechanism, what }
}

fn failed(error: ContextError) -> ClientError {
    ClientError::Context(error)
}
