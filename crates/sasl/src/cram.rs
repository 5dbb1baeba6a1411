//! CRAM-MD5 (RFC 2195): a challenge, and its HMAC-MD5 with the password as key.

mod md5_state;
mod secret;

use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::client::{ClientMechanism, Credentials, Response};
use crate::context::ServerContext;
use crate::exchange::{Lookup, ServerMechanism, ServerStep, authorize, key_of};
use crate::key_text::hex;
use crate::mechanism::Mechanism;
use crate::question::{Answer, Question};
use crate::{ClientError, SaslError, StoredKey, text};

pub use secret::CramSecret;
pub(crate) use secret::SECRET_PREFIX;

const NAME: &str = Mechanism::CramMd5.name();

/// Longest challenge that a client answers, in octets.
const CHALLENGE_MAX: usize = 1_024;

/// The server's side.
pub(crate) struct CramServer {
    challenge: String,
    state: State,
}

enum State {
    Start,
    Challenged,
    Asked { authcid: String, digest: String },
    Over,
}

impl CramServer {
    pub(crate) fn new(context: &ServerContext) -> Self {
        Self::with_challenge(format!(
            "<{}.{}@{}>",
            context.nonce.text(),
            context.now_unix_seconds,
            context.host
        ))
    }

    fn with_challenge(challenge: String) -> Self {
        let state = State::Start;
        Self { challenge, state }
    }

    fn read(&mut self, message: &[u8]) -> Result<Question, SaslError> {
        let malformed = |what| SaslError::Malformed {
            mechanism: NAME,
            what,
        };
        // The name may contain blanks; the digest follows the last one.
        let blank = message
            .iter()
            .rposition(|&octet| octet == b' ')
            .ok_or_else(|| malformed("no blank before the digest"))?;
        let (name, digest) = (&message[..blank], &message[blank + 1..]);
        let lower_hex = |b: &u8| b.is_ascii_digit() || (b'a'..=b'f').contains(b);
        let digest = match std::str::from_utf8(digest) {
            Ok(text) if text.len() == 32 && digest.iter().all(lower_hex) => text.to_owned(),
            _ => return Err(malformed("the digest is not 32 lower-case hexadecimal digits")),
        };
        let authcid = text::identity(NAME, name)?;
        self.state = State::Asked {
            authcid: authcid.clone(),
            digest,
        };
        Ok(Question::CramSecret { authcid })
    }

    fn check(&self, authcid: &str, digest: &str, answer: Answer) -> Result<ServerStep, SaslError> {
        let found = key_of(answer, |key| match key {
            StoredKey::Cram(key) => Some(key),
            _ => None,
        })?;
        let (login, key) = match found {
            Lookup::Found { login, key } => (Ok(login), key),
            Lookup::Denied(reason) => (Err(SaslError::Denied(reason)), CramSecret::decoy()),
        };
        let want = hex(key.hmac(self.challenge.as_bytes()).as_slice());
        let right = bool::from(want.as_bytes().ct_eq(digest.as_bytes()));
        let login = login?;
        if !right {
            return Err(SaslError::Denied("wrong password".into()));
        }
        Ok(authorize(login, authcid, None, 0))
    }
}

impl ServerMechanism for CramServer {
    fn step(&mut self, input: Option<&[u8]>) -> ServerStep {
        match (&self.state, input) {
            // The server speaks first; a client that nevertheless sends an empty initial response is tolerated.
            (State::Start, None | Some([])) => {
                self.state = State::Challenged;
                ServerStep::Challenge(self.challenge.clone().into_bytes())
            }
            (State::Challenged, Some(message)) => match self.read(message) {
                Ok(question) => ServerStep::Ask(question),
                Err(error) => ServerStep::Fail(error),
            },
            _ => ServerStep::Fail(SaslError::Malformed {
                mechanism: NAME,
                what: "a response before the challenge",
            }),
        }
    }

    fn answer(&mut self, answer: Answer) -> ServerStep {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Asked { authcid, digest } => self
                .check(&authcid, &digest, answer)
                .unwrap_or_else(ServerStep::Fail),
            _ => ServerStep::Fail(SaslError::OutOfOrder("nothing was asked")),
        }
    }
}

/// The client's side.
pub(crate) struct CramClient {
    login: String,
    password: SecretString,
    answered: bool,
}

impl CramClient {
    pub(crate) fn new(credentials: &Credentials) -> Result<Self, ClientError> {
        Ok(Self {
            login: credentials.login.clone(),
            password: credentials.password(NAME)?,
            answered: false,
        })
    }
}

impl ClientMechanism for CramClient {
    fn initial(&mut self) -> Option<Response> {
        None
    }

    fn step(&mut self, challenge: &[u8]) -> Result<Response, ClientError> {
        let malformed = |what| ClientError::Malformed {
            mechanism: NAME,
            what,
        };
        if std::mem::replace(&mut self.answered, true) {
            return Err(malformed("a challenge too many"));
        }
        if challenge.is_empty() || challenge.len() > CHALLENGE_MAX {
            return Err(malformed("the challenge is empty or too long"));
        }
        let secret = CramSecret::derive(self.password.expose_secret());
        let digest = hex(secret.hmac(challenge).as_slice());
        Ok(Zeroizing::new(
            format!("{} {}", self.login, digest.as_str()).into_bytes(),
        ))
    }
}

#[cfg(test)]
mod tests;
