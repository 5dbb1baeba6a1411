//! SCRAM's client.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::hash::{ScramHash, xor};
use super::keys::{client_key, server_key};
use super::message::{self, Flag, ServerFinal, ServerFirst};
use crate::ClientError;
use crate::client::{ClientMechanism, Credentials, Finish, Response};
use crate::context::ClientContext;
use crate::prep::prepare;

/// The client's side.
pub(crate) struct ScramClient {
    hash: ScramHash,
    plus: bool,
    password: SecretString,
    header: String,
    /// The content of `c=`: the header and the channel binding data.
    binding: Vec<u8>,
    bare: String,
    nonce: String,
    state: State,
}

enum State {
    Start,
    Greeted,
    /// The expected signature of the server.
    Proved(Zeroizing<Vec<u8>>),
    ServerProven,
    Over,
}

impl ScramClient {
    pub(crate) fn new(
        hash: ScramHash,
        plus: bool,
        credentials: &Credentials,
        context: &ClientContext,
    ) -> Result<Self, ClientError> {
        let mechanism = super::name(hash, plus);
        let password = credentials.password(mechanism)?;
        let unfit = |what| ClientError::Unfit { mechanism, what };
        let login = prepare(&credentials.login).map_err(|_| unfit("SASLprep refuses the login"))?;
        let (flag, data) = match context.bindings.best() {
            Some((name, data)) if plus => (Flag::Binds(name.to_owned()), data),
            None if plus => {
                let what = "channel binding";
                return Err(ClientError::Missing { mechanism, what });
            }
            Some(_) if !context.plus_offered => (Flag::ServerCannot, [].as_slice()),
            _ => (Flag::Cannot, [].as_slice()),
        };
        let header = message::header(&flag, credentials.authzid.as_deref());
        let mut binding = header.clone().into_bytes();
        binding.extend(data);
        let nonce = context.nonce.text();
        Ok(Self {
            hash,
            plus,
            password,
            header,
            binding,
            bare: format!("n={},r={nonce}", message::escape(&login)),
            nonce,
            state: State::Start,
        })
    }

    fn malformed(&self, what: &'static str) -> ClientError {
        let mechanism = super::name(self.hash, self.plus);
        ClientError::Malformed { mechanism, what }
    }

    fn not_proven(&self, what: &'static str) -> ClientError {
        let mechanism = super::name(self.hash, self.plus);
        ClientError::ServerNotProven { mechanism, what }
    }

    fn prove(&mut self, challenge: &[u8]) -> Result<Response, ClientError> {
        let first = ServerFirst::parse(challenge).map_err(|what| self.malformed(what))?;
        if !first.nonce.starts_with(&self.nonce) || first.nonce.len() == self.nonce.len() {
            return Err(self.malformed("the nonce does not go on from ours"));
        }
        let hash = self.hash;
        let password = prepare(self.password.expose_secret()).map_err(|_| ClientError::Unfit {
            mechanism: super::name(hash, self.plus),
            what: "SASLprep refuses the password",
        })?;
        let salted = hash.salted_password(&password, &first.salt, first.iterations);
        let without_proof = format!("c={},r={}", STANDARD.encode(&self.binding), first.nonce);
        let auth_message: [&[u8]; 5] = [
            self.bare.as_bytes(),
            b",",
            challenge,
            b",",
            without_proof.as_bytes(),
        ];
        let client_key = client_key(hash, &salted);
        let signature = hash.hmac(&hash.digest(&client_key), &auth_message);
        let proof = STANDARD.encode(xor(&client_key, &signature));
        self.state = State::Proved(hash.hmac(&server_key(hash, &salted), &auth_message));
        Ok(Zeroizing::new(format!("{without_proof},p={proof}").into_bytes()))
    }

    fn check_server(&mut self, want: &[u8], challenge: &[u8]) -> Result<Response, ClientError> {
        match ServerFinal::parse(challenge).map_err(|what| self.malformed(what))? {
            ServerFinal::Error(error) => Err(ClientError::Refused(
                error.chars().filter(|c| c.is_ascii_graphic()).take(64).collect(),
            )),
            ServerFinal::Verifier(verifier) if bool::from(verifier.ct_eq(want)) => {
                self.state = State::ServerProven;
                Ok(Response::default())
            }
            ServerFinal::Verifier(_) => Err(self.not_proven("its signature is wrong")),
        }
    }
}

impl ClientMechanism for ScramClient {
    fn initial(&mut self) -> Option<Response> {
        self.state = State::Greeted;
        Some(Zeroizing::new(
            format!("{}{}", self.header, self.bare).into_bytes(),
        ))
    }

    fn step(&mut self, challenge: &[u8]) -> Result<Response, ClientError> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Greeted => self.prove(challenge),
            State::Proved(want) => self.check_server(&want, challenge),
            State::Start | State::ServerProven | State::Over => Err(self.malformed("a challenge too many")),
        }
    }

    fn finish(&mut self) -> Result<Finish, ClientError> {
        match self.state {
            State::ServerProven => Ok(Finish::default()),
            _ => Err(self.not_proven("it granted the login before its signature")),
        }
    }
}

#[cfg(test)]
impl ScramClient {
    /// With the nonce of an RFC's example.
    pub(crate) fn with_nonce(mut self, nonce: &str) -> Self {
        self.bare = self.bare.replace(&self.nonce, nonce);
        self.nonce = nonce.to_owned();
        self
    }
}
