//! NTLM's server.

use subtle::ConstantTimeEq;

use super::compute::{Key, message_code, proof, response_key, session_key, unseal};
use super::message::{self, Answer as V2, Authenticate, CODE, CODE_AT, av, push_av, utf16};
use super::{NAME, NtHash, flag, target};
use crate::context::{ChannelBindings, ServerContext};
use crate::exchange::{Lookup, ServerMechanism, ServerStep, authorize, key_of};
use crate::question::{Answer, Question};
use crate::{SaslError, StoredKey, text};

/// Length of a response in NTLM version 1.
const V1_ANSWER: usize = 24;

/// The server's side.
pub(crate) struct NtlmServer {
    host: String,
    domain: String,
    service: String,
    names: Vec<String>,
    /// What the client's channel is compared with; `None` if it is unknown or not to be compared.
    channel: Option<ChannelBindings>,
    nonce: [u8; 8],
    now_unix_seconds: u64,
    state: State,
}

enum State {
    Start,
    Challenged { negotiate: Vec<u8>, challenge: Vec<u8> },
    Asked(Box<Asked>),
    Over,
}

struct Asked {
    user: String,
    domain: String,
    /// The three messages, for the message integrity code.
    messages: [Vec<u8>; 3],
}

impl NtlmServer {
    pub(crate) fn new(context: &ServerContext) -> Self {
        Self {
            host: context.host.clone(),
            domain: context.realm.clone(),
            service: context.service.clone(),
            names: context.names.clone(),
            channel: context.ntlm_binds.then(|| context.bindings.clone()),
            nonce: context.nonce.eight(),
            now_unix_seconds: context.now_unix_seconds,
            state: State::Start,
        }
    }

    /// The second message. Its timestamp makes newer clients protect the exchange with a message integrity code.
    fn challenge(&self, offered: u32) -> Vec<u8> {
        let charset = match offered & flag::UNICODE {
            0 => flag::OEM,
            _ => flag::UNICODE,
        };
        let flags = charset
            | flag::REQUEST_TARGET
            | flag::NTLM
            | flag::ALWAYS_SIGN
            | flag::TARGET_SERVER
            | flag::EXTENDED_SESSION
            | flag::TARGET_INFO
            | (offered & (flag::BITS_128 | flag::BITS_56));
        let short = |name: &str| name.split('.').next().unwrap_or_default().to_ascii_uppercase();
        let mut info = Vec::new();
        push_av(&mut info, av::DOMAIN, &utf16(&short(&self.domain)));
        push_av(&mut info, av::COMPUTER, &utf16(&short(&self.host)));
        push_av(&mut info, av::DNS_DOMAIN, &utf16(&self.domain));
        push_av(&mut info, av::DNS_COMPUTER, &utf16(&self.host));
        push_av(
            &mut info,
            av::TIMESTAMP,
            &message::file_time(self.now_unix_seconds),
        );
        push_av(&mut info, av::END, &[]);
        message::challenge(flags, self.nonce, &short(&self.host), &info)
    }

    fn ask(&mut self, negotiate: Vec<u8>, challenge: Vec<u8>, input: &[u8]) -> Result<ServerStep, SaslError> {
        let third = Authenticate::parse(input, agreed(&challenge)).map_err(malformed)?;
        if third.answer.len() == V1_ANSWER {
            return Err(SaslError::Denied(
                "the client answers in NTLM's first version, which is not taken".into(),
            ));
        }
        let answer = V2::parse(third.answer).map_err(malformed)?;
        if answer.has_code && input.len() < CODE_AT + CODE {
            return Err(malformed("no room for the message integrity code"));
        }
        let authcid = text::identity(NAME, third.user.as_bytes())?;
        let domain = match third.domain.as_str() {
            "" => String::new(),
            domain => text::identity(NAME, domain.as_bytes())?,
        };
        self.state = State::Asked(Box::new(Asked {
            user: authcid.clone(),
            domain: domain.clone(),
            messages: [negotiate, challenge, input.to_vec()],
        }));
        Ok(ServerStep::Ask(Question::NtHash { authcid, domain }))
    }

    fn check(&self, asked: &Asked, answer: Answer) -> Result<ServerStep, SaslError> {
        let found = key_of(answer, |key| match key {
            StoredKey::Nt(hash) => Some(hash),
            _ => None,
        })?;
        let (login, hash) = match found {
            Lookup::Found { login, key } => (Ok(login), key),
            Lookup::Denied(reason) => (Err(SaslError::Denied(reason)), NtHash::decoy()),
        };
        let third = Authenticate::parse(&asked.messages[2], agreed(&asked.messages[1])).map_err(malformed)?;
        let v2 = V2::parse(third.answer).map_err(malformed)?;
        let key = response_key(&hash, &asked.user, &asked.domain);
        let want = proof(&key, self.nonce, v2.blob);
        let right = bool::from(want.ct_eq(v2.proof));
        let unchanged = !v2.has_code || {
            let base = session_key(&key, &want);
            let session = third
                .sealed_key
                .map_or_else(|| base.clone(), |sealed| unseal(&base, sealed));
            code_holds(&session, &asked.messages)
        };
        let login = login?;
        if !right {
            return Err(SaslError::Denied("wrong password".into()));
        }
        if !unchanged {
            return Err(SaslError::Intercepted {
                mechanism: NAME,
                what: "the messages were changed on their way",
            });
        }
        let channel = self.channel.as_ref();
        channel
            .map_or(Ok(()), |channel| target::check_channel(v2.channel, channel))
            .and_then(|()| target::check_server(v2.target.as_deref(), &self.service, &self.names))
            .map_err(|what| SaslError::Intercepted {
                mechanism: NAME,
                what,
            })?;
        Ok(authorize(login, &asked.user, None, 0))
    }
}

/// The flags of the second message, as the server wrote them.
fn agreed(challenge: &[u8]) -> u32 {
    message::Challenge::parse(challenge).map_or(0, |challenge| challenge.flags)
}

/// Whether the third message's code is right for all three messages.
fn code_holds(session: &Key, messages: &[Vec<u8>; 3]) -> bool {
    let [first, second, third] = messages;
    let Some(code) = third.get(CODE_AT..CODE_AT + CODE) else {
        return false;
    };
    let mut blank = third.clone();
    blank[CODE_AT..CODE_AT + CODE].fill(0);
    message_code(session, [first, second, &blank]).ct_eq(code).into()
}

impl ServerMechanism for NtlmServer {
    fn step(&mut self, input: Option<&[u8]>) -> ServerStep {
        match (std::mem::replace(&mut self.state, State::Over), input) {
            (State::Start, None | Some([])) => {
                self.state = State::Start;
                ServerStep::Challenge(Vec::new())
            }
            (State::Start, Some(first)) => match message::parse_negotiate(first) {
                Ok(offered) => {
                    let challenge = self.challenge(offered);
                    self.state = State::Challenged {
                        negotiate: first.to_vec(),
                        challenge: challenge.clone(),
                    };
                    ServerStep::Challenge(challenge)
                }
                Err(what) => ServerStep::Fail(malformed(what)),
            },
            (State::Challenged { negotiate, challenge }, Some(third)) => self
                .ask(negotiate, challenge, third)
                .unwrap_or_else(ServerStep::Fail),
            _ => ServerStep::Fail(SaslError::OutOfOrder("no message is due")),
        }
    }

    fn answer(&mut self, answer: Answer) -> ServerStep {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Asked(asked) => self.check(&asked, answer).unwrap_or_else(ServerStep::Fail),
            _ => ServerStep::Fail(SaslError::OutOfOrder("nothing was asked")),
        }
    }
}

fn malformed(what: &'static str) -> SaslError {
    let mechanism = NAME;
    SaslError::Malformed { mechanism, what }
}

#[cfg(test)]
impl NtlmServer {
    /// In the middle of MS-NLMP's example: the challenge was sent.
    pub(crate) fn challenged(negotiate: &[u8], challenge: &[u8], nonce: [u8; 8]) -> Self {
        let context = crate::context::tests::server_context();
        Self {
            nonce,
            state: State::Challenged {
                negotiate: negotiate.to_vec(),
                challenge: challenge.to_vec(),
            },
            ..Self::new(&context)
        }
    }
}
