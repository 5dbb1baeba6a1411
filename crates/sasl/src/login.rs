//! LOGIN (draft-murchison-sasl-login): two prompts, two answers.

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::client::{ClientMechanism, Credentials, Response};
use crate::exchange::{ServerMechanism, ServerStep, conclude};
use crate::mechanism::Mechanism;
use crate::question::{Answer, Question};
use crate::{ClientError, text};

const NAME: &str = Mechanism::Login.name();

/// The prompts, which clients compare byte for byte: `VXNlcm5hbWU6` and `UGFzc3dvcmQ6` on the wire.
const ASK_NAME: &[u8] = b"Username:";
const ASK_PASSWORD: &[u8] = b"Password:";

/// The server's side.
#[derive(Debug, Default)]
pub(crate) struct LoginServer {
    /// Whether the user name was asked for.
    prompted: bool,
    /// The user name once known; the next message is then the password.
    authcid: Option<String>,
}

impl ServerMechanism for LoginServer {
    fn step(&mut self, input: Option<&[u8]>) -> ServerStep {
        match (&self.authcid, input) {
            // Some clients send the user name with `AUTH LOGIN`; an empty initial response means
            // nothing.
            (None, None | Some([])) if !self.prompted => {
                self.prompted = true;
                ServerStep::Challenge(ASK_NAME.to_vec())
            }
            (None, name) => match text::identity(NAME, name.unwrap_or_default()) {
                Ok(name) => {
                    self.authcid = Some(name);
                    ServerStep::Challenge(ASK_PASSWORD.to_vec())
                }
                Err(error) => ServerStep::Fail(error),
            },
            (Some(authcid), input) => match text::password(NAME, input.unwrap_or_default()) {
                Ok(password) => ServerStep::Ask(Question::CheckPassword {
                    authzid: None,
                    authcid: authcid.clone(),
                    password,
                }),
                Err(error) => ServerStep::Fail(error),
            },
        }
    }

    fn answer(&mut self, answer: Answer) -> ServerStep {
        conclude(self.authcid.as_deref().unwrap_or_default(), None, answer)
    }
}

/// The client's side. It counts prompts, whose words differ from server to server.
pub(crate) struct LoginClient {
    login: String,
    password: SecretString,
    prompts: u32,
}

impl LoginClient {
    pub(crate) fn new(credentials: &Credentials) -> Result<Self, ClientError> {
        Ok(Self {
            login: credentials.login.clone(),
            password: credentials.password(NAME)?,
            prompts: 0,
        })
    }
}

impl ClientMechanism for LoginClient {
    fn initial(&mut self) -> Option<Response> {
        None
    }

    fn step(&mut self, _challenge: &[u8]) -> Result<Response, ClientError> {
        self.prompts += 1;
        let text = match self.prompts {
            1 => self.login.as_str(),
            2 => self.password.expose_secret(),
            _ => {
                return Err(ClientError::Malformed {
                    mechanism: NAME,
                    what: "a challenge too many",
                });
            }
        };
        Ok(Zeroizing::new(text.as_bytes().to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::tests::server_context;
    use crate::{Mechanism, SaslError, ServerExchange, wire};
    use proptest::prelude::*;

    fn challenge(step: ServerStep) -> String {
        match step {
            ServerStep::Challenge(challenge) => wire::encode(&challenge),
            other => panic!("a challenge was due: {other:?}"),
        }
    }

    fn asked(step: ServerStep) -> (String, String) {
        match step {
            ServerStep::Ask(Question::CheckPassword {
                authzid: None,
                authcid,
                password,
            }) => (authcid, password.expose_secret().to_owned()),
            other => panic!("a question was due: {other:?}"),
        }
    }

    fn say(exchange: &mut ServerExchange, encoded: &str) -> ServerStep {
        exchange.step(Some(&wire::decode(encoded.as_bytes()).unwrap()))
    }

    /// The telnet session of the acceptance procedure, byte for byte.
    #[test]
    fn the_exchange_of_the_procedure() {
        let mut exchange = Mechanism::Login.server(&server_context());
        assert_eq!(challenge(exchange.step(None)), "VXNlcm5hbWU6");
        assert_eq!(challenge(say(&mut exchange, "YWNhaXJk")), "UGFzc3dvcmQ6");
        assert_eq!(
            asked(say(&mut exchange, "cGFzcyB3b3Jk")),
            ("acaird".into(), "pass word".into())
        );
        let step = exchange.answer(Answer::Granted {
            login: "acaird".into(),
        });
        assert!(
            matches!(step, ServerStep::Done(outcome) if outcome.login == "acaird" && outcome.layer_bits == 0)
        );
    }

    #[test]
    fn the_user_name_may_come_with_the_command() {
        let mut exchange = Mechanism::Login.server(&server_context());
        assert_eq!(challenge(say(&mut exchange, "YWNhaXJk")), "UGFzc3dvcmQ6");
        assert_eq!(
            asked(say(&mut exchange, "cGFzcyB3b3Jk")),
            ("acaird".into(), "pass word".into())
        );
    }

    #[test]
    fn an_empty_initial_response_is_answered_with_the_first_prompt() {
        let mut exchange = Mechanism::Login.server(&server_context());
        assert_eq!(challenge(exchange.step(Some(b""))), "VXNlcm5hbWU6");
        let step = exchange.step(Some(b""));
        assert!(
            matches!(step, ServerStep::Fail(SaslError::Malformed { .. })),
            "but only once: {step:?}"
        );
    }

    #[test]
    fn an_empty_password_is_the_directorys_to_refuse() {
        let mut exchange = Mechanism::Login.server(&server_context());
        assert_eq!(challenge(exchange.step(Some(b"acaird"))), "UGFzc3dvcmQ6");
        assert_eq!(asked(exchange.step(Some(b""))), ("acaird".into(), String::new()));
    }

    proptest! {
        /// For any input, only the two given fields are ever asked about.
        #[test]
        fn any_two_messages(
            name in prop::collection::vec(any::<u8>(), 0..60), password in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            let mut exchange = Mechanism::Login.server(&server_context());
            prop_assert!(matches!(exchange.step(None), ServerStep::Challenge(_)));
            match exchange.step(Some(&name)) {
                ServerStep::Fail(_) => return Ok(()),
                step => prop_assert_eq!(challenge(step), "UGFzc3dvcmQ6"),
            }
            match exchange.step(Some(&password)) {
                ServerStep::Fail(_) => {}
                step => {
                    let (asked_name, asked_password) = asked(step);
                    prop_assert_eq!(asked_name.as_bytes(), name);
                    prop_assert_eq!(asked_password.as_bytes(), password);
                }
            }
        }
    }
}
