//! NTLM's client.

use secrecy::{ExposeSecret, SecretString};

use super::compute::{message_code, proof, response_key, session_key};
use super::message::{self, CODE, CODE_AT, Challenge, Parts, av, av_pairs, find_av, push_av};
use super::{NAME, NtHash, flag};
use crate::ClientError;
use crate::client::{ClientMechanism, Credentials, Response};
use crate::context::ClientContext;

/// What the client asks for. No signing and no session key of its own: nothing is protected after
/// authentication.
const FLAGS: u32 = flag::UNICODE
    | flag::REQUEST_TARGET
    | flag::NTLM
    | flag::ALWAYS_SIGN
    | flag::EXTENDED_SESSION
    | flag::BITS_128
    | flag::BITS_56;

/// The client's side.
pub(crate) struct NtlmClient {
    login: String,
    domain: String,
    workstation: String,
    password: SecretString,
    nonce: [u8; 8],
    now_unix_seconds: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Start,
    Greeted,
    Over,
}

impl NtlmClient {
    pub(crate) fn new(credentials: &Credentials, context: &ClientContext) -> Result<Self, ClientError> {
        Ok(Self {
            login: credentials.login.clone(),
            domain: credentials.domain.clone().unwrap_or_default(),
            workstation: context.workstation.clone(),
            password: credentials.password(NAME)?,
            nonce: context.nonce.eight(),
            now_unix_seconds: context.now_unix_seconds,
            state: State::Start,
        })
    }

    fn prove(&self, challenge: &[u8]) -> Result<Response, &'static str> {
        let second = Challenge::parse(challenge)?;
        // A server that sends the time wants a message integrity code (section 3.1.5.1.2).
        let server_time = find_av(second.target_info, av::TIMESTAMP)?;
        let has_code = server_time.is_some();
        let time = match server_time {
            Some(time) => time.try_into().map_err(|_| "the time has the wrong length")?,
            None => message::file_time(self.now_unix_seconds),
        };
        let mut blob = vec![1, 1, 0, 0, 0, 0, 0, 0];
        blob.extend(time);
        blob.extend(self.nonce);
        blob.extend([0; 4]);
        blob.extend(own_target_info(second.target_info, has_code)?);
        blob.extend([0; 4]);

        let key = response_key(
            &NtHash::derive(self.password.expose_secret()),
            &self.login,
            &self.domain,
        );
        let proof = proof(&key, second.nonce, &blob);
        let mut answer = proof.to_vec();
        answer.extend(blob);
        let mut third = message::authenticate(&Parts {
            flags: second.flags & (FLAGS | flag::OEM | flag::TARGET_INFO) & !flag::KEY_EXCHANGE,
            answer: &answer,
            domain: &self.domain,
            user: &self.login,
            workstation: &self.workstation,
        });
        if has_code {
            let session = session_key(&key, &proof);
            let code = message_code(&session, [&message::negotiate(FLAGS), challenge, &third]);
            third[CODE_AT..CODE_AT + CODE].copy_from_slice(code.as_slice());
        }
        Ok(Response::new(third))
    }
}

/// The server's target information, with a note that the third message has a message integrity code.
fn own_target_info(info: &[u8], has_code: bool) -> Result<Vec<u8>, &'static str> {
    let mut own = Vec::with_capacity(info.len() + 12);
    for pair in av_pairs(info) {
        let (kind, value) = pair?;
        if kind != av::FLAGS {
            push_av(&mut own, kind, value);
        }
    }
    if has_code {
        push_av(&mut own, av::FLAGS, &av::HAS_CODE.to_le_bytes());
    }
    push_av(&mut own, av::END, &[]);
    Ok(own)
}

impl ClientMechanism for NtlmClient {
    fn initial(&mut self) -> Option<Response> {
        self.state = State::Greeted;
        Some(Response::new(message::negotiate(FLAGS)))
    }

    fn step(&mut self, challenge: &[u8]) -> Result<Response, ClientError> {
        let mechanism = NAME;
        let state = std::mem::replace(&mut self.state, State::Over);
        if state != State::Greeted {
            let what = "a challenge too many";
            return Err(ClientError::Malformed { mechanism, what });
        }
        self.prove(challenge)
            .map_err(|what| ClientError::Malformed { mechanism, what })
    }
}
