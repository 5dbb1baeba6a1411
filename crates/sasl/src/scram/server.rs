//! SCRAM's server.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postern_mail::complete_login;
use subtle::ConstantTimeEq;

use super::hash::ScramHash;
use super::keys::{ScramKeys, ScramShape};
use super::message::{ClientFinal, ClientFirst, Flag, NONCE_MAX};
use crate::context::{ChannelBindings, ServerContext};
use crate::decoy::DecoySecret;
use crate::exchange::{Lookup, Outcome, ServerMechanism, ServerStep, authorized, key_of, own_or_other};
use crate::question::{Answer, Question};
use crate::{SaslError, StoredKey, text};

/// The server's side.
pub(crate) struct ScramServer {
    hash: ScramHash,
    plus: bool,
    plus_offered: bool,
    bindings: ChannelBindings,
    decoy: DecoySecret,
    decoy_shape: ScramShape,
    default_domain: Option<String>,
    /// The server's part of the nonce.
    nonce: String,
    state: State,
}

enum State {
    Start,
    Asked(First),
    Challenged(Box<Challenged>),
    /// The proof is right, and the driver is being asked whether the login may act as somebody else.
    Acting {
        outcome: Outcome,
        /// What is sent if it may.
        last: Vec<u8>,
    },
    /// The server's own proof was sent; an empty message ends it.
    Proven(Outcome),
    Over,
}

/// What is kept from the client's first message.
struct First {
    authcid: String,
    authzid: Option<String>,
    /// The expected `c=`.
    binding: Vec<u8>,
    /// The nonces of both sides.
    nonce: String,
    bare: String,
}

struct Challenged {
    first: First,
    found: Lookup<ScramKeys>,
    keys: ScramKeys,
    server_first: String,
}

impl ScramServer {
    pub(crate) fn new(hash: ScramHash, plus: bool, context: &ServerContext) -> Self {
        Self {
            hash,
            plus,
            plus_offered: context.plus_offered,
            bindings: context.bindings.clone(),
            decoy: context.decoy.clone(),
            decoy_shape: ScramShape {
                iterations: context.decoy_iterations,
                salt_octets: context.decoy_salt_octets,
            },
            default_domain: context.default_domain.clone(),
            nonce: context.nonce.text(),
            state: State::Start,
        }
    }

    fn name(&self) -> &'static str {
        super::name(self.hash, self.plus)
    }

    fn malformed(&self, what: &'static str) -> SaslError {
        let mechanism = self.name();
        SaslError::Malformed { mechanism, what }
    }

    fn first(&self, message: &[u8]) -> Result<First, SaslError> {
        let first = ClientFirst::parse(message).map_err(|what| self.malformed(what))?;
        if first.nonce.len() > NONCE_MAX {
            return Err(self.malformed("the nonce is too long"));
        }
        let mut binding = first.header.as_bytes().to_vec();
        if let Some(data) = self.binding(&first.flag)? {
            binding.extend(data);
        }
        // The driver normalises names, for all mechanisms alike (RFC 8265).
        let authcid = text::identity(self.name(), first.username.as_bytes())?;
        let authzid = match &first.authzid {
            Some(authzid) => Some(text::identity(self.name(), authzid.as_bytes())?),
            None => None,
        };
        Ok(First {
            authcid,
            authzid,
            binding,
            nonce: format!("{}{}", first.nonce, self.nonce),
            bare: first.bare.to_owned(),
        })
    }

    /// The channel binding data for the client's flag (RFC 5802 section 6).
    fn binding(&self, flag: &Flag) -> Result<Option<&[u8]>, SaslError> {
        match flag {
            Flag::Binds(name) if self.plus => match self.bindings.by_name(name) {
                Some(data) => Ok(Some(data)),
                None => Err(self.malformed("a channel binding type that this session does not have")),
            },
            Flag::Binds(_) => Err(self.malformed("channel binding in a mechanism without")),
            _ if self.plus => Err(self.malformed("no channel binding in a mechanism with")),
            Flag::ServerCannot if self.plus_offered => Err(SaslError::Intercepted {
                mechanism: self.name(),
                what: "the client was not shown the -PLUS mechanisms that were offered",
            }),
            Flag::ServerCannot | Flag::Cannot => Ok(None),
        }
    }

    fn challenge(&mut self, first: First, answer: Answer) -> Result<ServerStep, SaslError> {
        let hash = self.hash;
        let found = key_of(answer, |key| match key {
            StoredKey::Scram(keys) if keys.hash() == hash => Some(keys),
            _ => None,
        })?;
        let keys = match &found {
            Lookup::Found { key, .. } => key.clone(),
            Lookup::Denied(_) => {
                let name = complete_login(&first.authcid, self.default_domain.as_deref());
                ScramKeys::decoy(hash, self.decoy.expose(), &name, self.decoy_shape)
            }
        };
        let server_first = format!(
            "r={},s={},i={}",
            first.nonce,
            STANDARD.encode(keys.salt()),
            keys.iterations()
        );
        let challenge = server_first.clone().into_bytes();
        self.state = State::Challenged(Box::new(Challenged {
            first,
            found,
            keys,
            server_first,
        }));
        Ok(ServerStep::Challenge(challenge))
    }

    fn verify(&mut self, challenged: Challenged, message: &[u8]) -> Result<ServerStep, SaslError> {
        let Challenged {
            first,
            found,
            keys,
            server_first,
        } = challenged;
        let last = ClientFinal::parse(message).map_err(|what| self.malformed(what))?;
        if last.nonce != first.nonce {
            return Err(self.malformed("the nonce is not the one of this exchange"));
        }
        if !bool::from(last.binding.ct_eq(&first.binding)) {
            return Err(SaslError::Intercepted {
                mechanism: self.name(),
                what: "the client is bound to another channel",
            });
        }
        let auth_message: [&[u8]; 5] = [
            first.bare.as_bytes(),
            b",",
            server_first.as_bytes(),
            b",",
            last.without_proof.as_bytes(),
        ];
        let proven = keys.proves(&last.proof, &auth_message);
        match found {
            Lookup::Found { login, .. } if proven => {
                let verifier = STANDARD.encode(keys.server_signature(&auth_message));
                let last = format!("v={verifier}").into_bytes();
                let outcome = own_or_other(login, &first.authcid, first.authzid);
                Ok(match &outcome.authzid {
                    None => self.confirm(outcome, last),
                    // `v=` confirms the login, including whom it wants to act as (RFC 5802 section 7).
                    Some(authzid) => {
                        let question = Question::Authorize {
                            login: outcome.login.clone(),
                            authzid: authzid.clone(),
                        };
                        self.state = State::Acting { outcome, last };
                        ServerStep::Ask(question)
                    }
                })
            }
            Lookup::Found { .. } => Err(SaslError::Denied("wrong password".into())),
            Lookup::Denied(reason) => Err(SaslError::Denied(reason)),
        }
    }
}

impl ScramServer {
    /// Sends the server's own proof; an empty response ends the exchange.
    fn confirm(&mut self, outcome: Outcome, last: Vec<u8>) -> ServerStep {
        self.state = State::Proven(outcome);
        ServerStep::Challenge(last)
    }
}

impl ServerMechanism for ScramServer {
    fn step(&mut self, input: Option<&[u8]>) -> ServerStep {
        let Some(message) = input else {
            return ServerStep::Challenge(Vec::new());
        };
        let step = match std::mem::replace(&mut self.state, State::Over) {
            State::Start => self.first(message).map(|first| {
                let authcid = first.authcid.clone();
                self.state = State::Asked(first);
                let hash = self.hash;
                ServerStep::Ask(Question::ScramKeys { authcid, hash })
            }),
            State::Challenged(challenged) => self.verify(*challenged, message),
            State::Proven(outcome) if message.is_empty() => Ok(ServerStep::Done(outcome)),
            State::Proven(_) => Err(self.malformed("something after the end")),
            State::Asked(_) | State::Acting { .. } | State::Over => {
                Err(SaslError::OutOfOrder("no message is due"))
            }
        };
        step.unwrap_or_else(ServerStep::Fail)
    }

    fn answer(&mut self, answer: Answer) -> ServerStep {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Asked(first) => self.challenge(first, answer).unwrap_or_else(ServerStep::Fail),
            State::Acting { outcome, last } => match authorized(outcome, answer) {
                ServerStep::Done(outcome) => self.confirm(outcome, last),
                failed => failed,
            },
            _ => ServerStep::Fail(SaslError::OutOfOrder("nothing was asked")),
        }
    }
}

#[cfg(test)]
impl ScramServer {
    /// With the nonce of an RFC's example.
    pub(crate) fn with_nonce(mut self, nonce: &str) -> Self {
        self.nonce = nonce.to_owned();
        self
    }
}
