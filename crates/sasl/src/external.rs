//! EXTERNAL (RFC 4422 appendix A): the certificate of the TLS session is the proof; the message says whom to act
//! as.

use zeroize::Zeroizing;

use crate::client::{ClientMechanism, Credentials, Response};
use crate::exchange::{ServerMechanism, ServerStep, conclude};
use crate::mechanism::Mechanism;
use crate::question::{Answer, Question};
use crate::{ClientError, text};

const NAME: &str = Mechanism::External.name();

/// The server's side.
#[derive(Debug, Default)]
pub(crate) struct ExternalServer {
    authzid: Option<String>,
}

impl ServerMechanism for ExternalServer {
    fn step(&mut self, input: Option<&[u8]>) -> ServerStep {
        self.authzid = match input {
            None => return ServerStep::Challenge(Vec::new()),
            Some([]) => None,
            Some(authzid) => match text::identity(NAME, authzid) {
                Ok(authzid) => Some(authzid),
                Err(error) => return ServerStep::Fail(error),
            },
        };
        ServerStep::Ask(Question::CertificateLogin {
            authzid: self.authzid.clone(),
        })
    }

    fn answer(&mut self, answer: Answer) -> ServerStep {
        conclude("", self.authzid.take(), answer)
    }
}

/// The client's side.
pub(crate) struct ExternalClient {
    authzid: String,
}

impl ExternalClient {
    pub(crate) fn new(credentials: &Credentials) -> Result<Self, ClientError> {
        if !credentials.certificate {
            return Err(ClientError::Missing {
                mechanism: NAME,
                what: "a certificate",
            });
        }
        let authzid = credentials.authzid.clone().unwrap_or_default();
        Ok(Self { authzid })
    }
}

impl ClientMechanism for ExternalClient {
    fn initial(&mut self) -> Option<Response> {
        Some(Zeroizing::new(self.authzid.as_bytes().to_vec()))
    }

    fn step(&mut self, _challenge: &[u8]) -> Result<Response, ClientError> {
        Err(ClientError::Malformed {
            mechanism: NAME,
            what: "a challenge too many",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::tests::server_context;
    use crate::{Mechanism, SaslError};

    #[test]
    fn the_certificate_says_who_and_the_message_may_say_it_too() {
        // What the client says, what the certificate says, who gets logged in.
        let cases: [(&str, &[u8], &str, Option<&str>); 5] = [
            ("only the certificate", b"", "acaird", Some("acaird")),
            ("both the same", b"ACaird", "acaird", Some("acaird")),
            ("somebody else", b"root", "acaird", None),
            ("a NUL", b"a\0b", "acaird", None),
            ("not UTF-8", b"\xff", "acaird", None),
        ];
        for (shows, message, login, want) in cases {
            let mut exchange = Mechanism::External.server(&server_context());
            let got = match exchange.step(Some(message)) {
                ServerStep::Ask(Question::CertificateLogin { .. }) => {
                    match exchange.answer(Answer::Granted { login: login.into() }) {
                        ServerStep::Done(outcome) => Some(outcome.login),
                        ServerStep::Ask(Question::Authorize { .. }) => None,
                        other => panic!("{shows}: {other:?}"),
                    }
                }
                ServerStep::Fail(SaslError::Malformed { .. } | SaslError::Denied(_)) => None,
                other => panic!("{shows}: {other:?}"),
            };
            assert_eq!(got.as_deref(), want, "{shows}");
        }
    }
}
