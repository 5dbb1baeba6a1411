//! The server of both forms.

use secrecy::SecretString;

use super::message::Form;
use crate::context::{OauthAdvice, ServerContext};
use crate::exchange::{ServerMechanism, ServerStep, authorize, granted};
use crate::question::{Answer, Question};
use crate::{SaslError, text};

/// The server's side.
pub(crate) struct TokenServer {
    form: Form,
    advice: OauthAdvice,
    state: State,
}

enum State {
    Start,
    Asked {
        identity: Option<String>,
    },
    /// The client was told why; its next message ends the exchange, whatever it is.
    Refused {
        reason: String,
    },
    Over,
}

impl TokenServer {
    pub(crate) fn new(form: Form, context: &ServerContext) -> Self {
        Self {
            form,
            advice: context.oauth.clone(),
            state: State::Start,
        }
    }

    fn read(&mut self, message: &[u8]) -> Result<ServerStep, SaslError> {
        let mechanism = self.form.name();
        let said = self
            .form
            .parse(message)
            .map_err(|what| SaslError::Malformed { mechanism, what })?;
        let identity = match said.identity {
            Some(identity) => Some(text::identity(mechanism, identity.as_bytes())?),
            None => None,
        };
        let Some(token) = said.token else {
            return Ok(self.refuse("the client has no token yet".into()));
        };
        self.state = State::Asked {
            identity: identity.clone(),
        };
        Ok(ServerStep::Ask(Question::CheckToken {
            identity,
            token: SecretString::from(token),
            host: said.host,
            port: said.port,
        }))
    }

    fn refuse(&mut self, reason: String) -> ServerStep {
        self.state = State::Refused { reason };
        ServerStep::Challenge(self.form.refusal(&self.advice).into_bytes())
    }
}

impl ServerMechanism for TokenServer {
    fn step(&mut self, input: Option<&[u8]>) -> ServerStep {
        match (std::mem::replace(&mut self.state, State::Over), input) {
            (State::Start, None) => {
                self.state = State::Start;
                ServerStep::Challenge(Vec::new())
            }
            (State::Start, Some(message)) => self.read(message).unwrap_or_else(ServerStep::Fail),
            (State::Refused { reason }, _) => ServerStep::Fail(SaslError::Denied(reason)),
            _ => ServerStep::Fail(SaslError::OutOfOrder("no message is due")),
        }
    }

    fn answer(&mut self, answer: Answer) -> ServerStep {
        let State::Asked { identity } = std::mem::replace(&mut self.state, State::Over) else {
            return ServerStep::Fail(SaslError::OutOfOrder("nothing was asked"));
        };
        match granted(answer) {
            // The user that the client names is whom it wants to act as, not necessarily the owner of the
            // token.
            Ok(login) => authorize(login, "", identity, 0),
            Err(SaslError::Denied(reason)) => self.refuse(reason),
            Err(error) => ServerStep::Fail(error),
        }
    }
}
