//! GSSAPI's server (RFC 4752 section 3.2).

use std::sync::Arc;

use super::layer::{GssapiLayer, bits};
use super::{BUFFER_MAX, NAME, Protection, split_word, word};
use crate::context::{Layers, ServerContext};
use crate::exchange::{ServerMechanism, ServerStep, authorize, granted};
use crate::layer::SecurityLayer;
use crate::question::{Answer, Question};
use crate::security_context::{ContextAcceptor, ContextError, SecurityContext};
use crate::{SaslError, text};

/// The server's side.
pub(crate) struct GssapiServer {
    acceptor: Option<Arc<dyn ContextAcceptor>>,
    layers: Layers,
    state: State,
    layer: Option<GssapiLayer>,
}

enum State {
    Start,
    Establishing(Box<dyn SecurityContext>),
    /// The last token was sent; an empty message is due.
    Established(Box<dyn SecurityContext>),
    /// The layers of this mask were offered.
    Offered(Box<dyn SecurityContext>, u8),
    Asked(Box<Chosen>),
    Over,
}

/// The client's choice, while its login is being determined.
struct Chosen {
    context: Box<dyn SecurityContext>,
    protection: Protection,
    size_max: usize,
    principal: String,
    authzid: Option<String>,
}

impl GssapiServer {
    pub(crate) fn new(context: &ServerContext) -> Self {
        Self {
            acceptor: context.kerberos.clone(),
            layers: context.layers,
            state: State::Start,
            layer: None,
        }
    }

    fn begin(&mut self, token: &[u8]) -> Result<ServerStep, SaslError> {
        let acceptor = self
            .acceptor
            .as_ref()
            .ok_or_else(|| SaslError::Unavailable("Kerberos is not available here".into()))?;
        let context = acceptor.accept().map_err(failed)?;
        self.establish(context, token)
    }

    fn establish(
        &mut self,
        mut context: Box<dyn SecurityContext>,
        token: &[u8],
    ) -> Result<ServerStep, SaslError> {
        let step = context.step(token).map_err(failed)?;
        match (step.established, step.token.is_empty()) {
            (true, true) => self.offer(context),
            (true, false) => {
                self.state = State::Established(context);
                Ok(ServerStep::Challenge(step.token))
            }
            (false, false) => {
                self.state = State::Establishing(context);
                Ok(ServerStep::Challenge(step.token))
            }
            (false, true) => Err(malformed("a token that leads nowhere")),
        }
    }

    fn offer(&mut self, mut context: Box<dyn SecurityContext>) -> Result<ServerStep, SaslError> {
        let features = context.features();
        let mask = Protection::ALL
            .into_iter()
            .filter(|protection| protection.is_open(self.layers, features))
            .fold(0, |mask, protection| mask | protection.bit());
        // Without a layer, there is no size.
        let size = if mask == Protection::None.bit() {
            0
        } else {
            BUFFER_MAX
        };
        let offer = context.wrap(&word(mask, size), false).map_err(failed)?;
        self.state = State::Offered(context, mask);
        Ok(ServerStep::Challenge(offer))
    }

    fn choose(
        &mut self,
        mut context: Box<dyn SecurityContext>,
        mask: u8,
        token: &[u8],
    ) -> Result<ServerStep, SaslError> {
        let opened = context.unwrap(token).map_err(failed)?;
        let (bit, size_max, authzid) =
            split_word(&opened.plain).ok_or_else(|| malformed("the choice of a layer is too short"))?;
        let protection = Protection::of_bit(bit)
            .filter(|protection| mask & protection.bit() != 0)
            .ok_or_else(|| malformed("a layer that was not offered"))?;
        let authzid = match authzid {
            [] => None,
            authzid => Some(text::identity(NAME, authzid)?),
        };
        let principals = context.principals().map_err(failed)?;
        let principal = text::identity(NAME, principals.initiator.as_bytes())?;
        self.state = State::Asked(Box::new(Chosen {
            context,
            protection,
            size_max,
            principal: principal.clone(),
            authzid: authzid.clone(),
        }));
        Ok(ServerStep::Ask(Question::PrincipalLogin {
            principal,
            service: principals.acceptor,
            left: principals.left,
            authzid,
        }))
    }

    fn conclude(&mut self, chosen: Chosen, answer: Answer) -> Result<ServerStep, SaslError> {
        let login = granted(answer)?;
        let bits = bits(chosen.context.as_ref(), chosen.protection);
        self.layer =
            GssapiLayer::new(chosen.context, chosen.protection, chosen.size_max).map_err(malformed)?;
        Ok(authorize(login, &chosen.principal, chosen.authzid, bits))
    }
}

impl ServerMechanism for GssapiServer {
    fn step(&mut self, input: Option<&[u8]>) -> ServerStep {
        let step = match (std::mem::replace(&mut self.state, State::Over), input) {
            // The client speaks first; it just did not do so in the command itself.
            (State::Start, None) => {
                self.state = State::Start;
                Ok(ServerStep::Challenge(Vec::new()))
            }
            (State::Start, Some([])) => Err(malformed("the first token is empty")),
            (State::Start, Some(token)) => self.begin(token),
            (State::Establishing(context), Some(token)) => self.establish(context, token),
            (State::Established(context), Some([])) => self.offer(context),
            (State::Established(_), _) => Err(malformed("something after the last token")),
            (State::Offered(context, mask), Some(token)) => self.choose(context, mask, token),
            _ => Err(SaslError::OutOfOrder("no message is due")),
        };
        step.unwrap_or_else(ServerStep::Fail)
    }

    fn answer(&mut self, answer: Answer) -> ServerStep {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Asked(chosen) => self.conclude(*chosen, answer).unwrap_or_else(ServerStep::Fail),
            _ => ServerStep::Fail(SaslError::OutOfOrder("nothing was asked")),
        }
    }

    fn layer(&mut self) -> Option<Box<dyn SecurityLayer>> {
        let layer = self.layer.take()?;
        Some(Box::new(layer))
    }
}

fn malformed(what: &'static str) -> SaslError {
    SaslError::Malformed {
        mechanism: NAME,
        what,
    }
}

fn failed(error: ContextError) -> SaslError {
    match error {
        ContextError::Malformed(_) => malformed("a defective token"),
        ContextError::Refused(reason) => SaslError::Denied(reason),
        ContextError::Unavailable(reason) => SaslError::Unavailable(reason),
    }
}
