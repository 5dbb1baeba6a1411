//! One authentication exchange as client: credentials, the order of calls, and the limits of every mechanism.

use std::sync::Arc;

use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::ClientError;
use crate::exchange::STEPS_MAX;
use crate::layer::SecurityLayer;
use crate::mechanism::Mechanism;
use crate::security_context::ContextInitiator;

/// Longest challenge accepted from a server, in octets after decoding.
pub const CHALLENGE_MAX: usize = 9_216;

/// A message for the server, decoded. It may hold a password, and is wiped when dropped.
pub type Response = Zeroizing<Vec<u8>>;

/// What a client logs in with.
///
/// Which mechanisms they suit is decided by [`crate::choose`].
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// The account: UTF-8 without NUL.
    pub login: String,
    /// Whom to act as, if that is somebody else.
    pub authzid: Option<String>,
    /// The Windows domain, for NTLM; may be left out.
    pub domain: Option<String>,
    /// The password.
    pub password: Option<SecretString>,
    /// The OAuth token, fresh enough to be accepted.
    pub token: Option<SecretString>,
    /// Whether a client certificate was shown in the TLS handshake.
    pub certificate: bool,
    /// The source of Kerberos tickets for the account.
    pub kerberos: Option<Arc<dyn ContextInitiator>>,
}

impl Credentials {
    pub(crate) fn password(&self, mechanism: &'static str) -> Result<SecretString, ClientError> {
        let what = "a password";
        self.password
            .clone()
            .ok_or(ClientError::Missing { mechanism, what })
    }

    pub(crate) fn token(&self, mechanism: &'static str) -> Result<SecretString, ClientError> {
        let what = "a token";
        self.token.clone().ok_or(ClientError::Missing { mechanism, what })
    }

    /// Checks that the identity fields contain nothing that ends a field in any mechanism.
    pub(crate) fn check(&self, mechanism: &'static str) -> Result<(), ClientError> {
        let fields = [Some(&self.login), self.authzid.as_ref(), self.domain.as_ref()];
        if fields
            .into_iter()
            .flatten()
            .any(|text| text.chars().any(char::is_control))
        {
            let what = "control character in a name";
            return Err(ClientError::Unfit { mechanism, what });
        }
        Ok(())
    }
}

/// How an exchange ended for the client.
#[derive(Default)]
pub struct Finish {
    /// The security layer that was agreed on; it takes effect right after the server's reply.
    pub layer: Option<Box<dyn SecurityLayer>>,
}

impl std::fmt::Debug for Finish {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bits = self.layer.as_ref().map(|layer| layer.bits());
        f.debug_struct("Finish").field("layer_bits", &bits).finish()
    }
}

/// The client's side of one mechanism.
///
/// [`ClientExchange`] calls it in order: `initial` once, then `step` for each challenge, then `finish`.
pub trait ClientMechanism: Send {
    /// The first message; `None` if the server speaks first.
    fn initial(&mut self) -> Option<Response>;

    /// Answers a challenge of at most [`CHALLENGE_MAX`] octets.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; the exchange has ended.
    fn step(&mut self, challenge: &[u8]) -> Result<Response, ClientError>;

    /// Why the server is about to refuse, if it said so within the mechanism.
    fn refusal(&self) -> Option<&str> {
        None
    }

    /// Called when the server has granted the login: checks that it has proved what the mechanism promises.
    ///
    /// # Errors
    ///
    /// [`ClientError::ServerNotProven`] if the server had to prove itself and did not.
    fn finish(&mut self) -> Result<Finish, ClientError> {
        Ok(Finish::default())
    }
}

/// One exchange with one server.
pub struct ClientExchange {
    mechanism: Mechanism,
    machine: Box<dyn ClientMechanism>,
    state: State,
    steps: usize,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    New,
    Running,
    Over,
}

impl ClientExchange {
    /// An exchange that `machine` carries on, whose credentials have been checked.
    pub(crate) fn new(mechanism: Mechanism, machine: Box<dyn ClientMechanism>) -> Self {
        Self {
            mechanism,
            machine,
            state: State::New,
            steps: 0,
        }
    }

    /// Which mechanism this is.
    #[must_use]
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// The first message, to be called first and once. `Some` goes with the `AUTH` command, as `=` when empty (RFC 4954
    /// section 4), or, if the line would be too long, after the server's empty challenge. `None` if the server speaks
    /// first.
    pub fn initial(&mut self) -> Option<Response> {
        if self.state != State::New {
            self.state = State::Over;
            return None;
        }
        self.state = State::Running;
        self.machine.initial()
    }

    /// Answers the server's challenge (`334`), decoded.
    ///
    /// # Errors
    ///
    /// [`ClientError`]: send `*`, and consider the exchange failed whatever the server says.
    pub fn step(&mut self, challenge: &[u8]) -> Result<Response, ClientError> {
        if self.state != State::Running {
            return Err(ClientError::OutOfOrder("no challenge is due"));
        }
        let answer = self.answer(challenge);
        if answer.is_err() {
            self.state = State::Over;
        }
        answer
    }

    fn answer(&mut self, challenge: &[u8]) -> Result<Response, ClientError> {
        if challenge.len() > CHALLENGE_MAX {
            return Err(ClientError::TooLong { limit: CHALLENGE_MAX });
        }
        self.steps += 1;
        if self.steps > STEPS_MAX {
            let mechanism = self.mechanism.name();
            let what = "exchange without end";
            return Err(ClientError::Malformed { mechanism, what });
        }
        self.machine.step(challenge)
    }

    /// Why the server is about to refuse, if it said so within the mechanism (as OAuth does): for the log, along with its
    /// reply. It is arbitrary text from the server, without control characters.
    #[must_use]
    pub fn refusal(&self) -> Option<&str> {
        self.machine.refusal()
    }

    /// To be called when the server has granted the login (`235`), before anything is sent over the connection.
    ///
    /// # Errors
    ///
    /// [`ClientError::ServerNotProven`] if the server had to prove that it knows the account and did not: close the
    /// connection.
    pub fn finish(&mut self) -> Result<Finish, ClientError> {
        let state = std::mem::replace(&mut self.state, State::Over);
        if state != State::Running {
            return Err(ClientError::OutOfOrder("the exchange is not under way"));
        }
        self.machine.finish()
    }
}

impl std::fmt::Debug for ClientExchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientExchange")
            .field("mechanism", &self.mechanism)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
