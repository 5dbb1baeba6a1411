//! PLAIN (RFC 4616): `[authzid] NUL authcid NUL passwd` in one message.

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::client::{ClientMechanism, Credentials, Response};
use crate::exchange::{ServerMechanism, ServerStep, conclude};
use crate::mechanism::Mechanism;
use crate::question::{Answer, Question};
use crate::{ClientError, SaslError, text};

const NAME: &str = Mechanism::Plain.name();

/// The server's side.
#[derive(Debug, Default)]
pub(crate) struct PlainServer {
    authzid: Option<String>,
    authcid: String,
}

impl ServerMechanism for PlainServer {
    fn step(&mut self, input: Option<&[u8]>) -> ServerStep {
        // Without an initial response the challenge is empty, and the message comes next (section 2).
        let Some(message) = input else {
            return ServerStep::Challenge(Vec::new());
        };
        match self.read(message) {
            Ok(question) => ServerStep::Ask(question),
            Err(error) => ServerStep::Fail(error),
        }
    }

    fn answer(&mut self, answer: Answer) -> ServerStep {
        conclude(&self.authcid, self.authzid.take(), answer)
    }
}

impl PlainServer {
    fn read(&mut self, message: &[u8]) -> Result<Question, SaslError> {
        let malformed = |what| SaslError::Malformed {
            mechanism: NAME,
            what,
        };
        let mut fields = message.split(|&octet| octet == 0);
        let (Some(authzid), Some(authcid), Some(password), None) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(malformed("not three fields with a NUL between them"));
        };
        self.authzid = if authzid.is_empty() {
            None
        } else {
            Some(text::identity(NAME, authzid)?)
        };
        self.authcid = text::identity(NAME, authcid)?;
        Ok(Question::CheckPassword {
            authzid: self.authzid.clone(),
            authcid: self.authcid.clone(),
            password: text::password(NAME, password)?,
        })
    }
}

/// The client's side.
pub(crate) struct PlainClient {
    authzid: String,
    login: String,
    password: SecretString,
}

impl PlainClient {
    pub(crate) fn new(credentials: &Credentials) -> Result<Self, ClientError> {
        let password = credentials.password(NAME)?;
        if password.expose_secret().contains('\0') {
            let what = "NUL in the password";
            return Err(ClientError::Unfit {
                mechanism: NAME,
                what,
            });
        }
        Ok(Self {
            authzid: credentials.authzid.clone().unwrap_or_default(),
            login: credentials.login.clone(),
            password,
        })
    }
}

impl ClientMechanism for PlainClient {
    fn initial(&mut self) -> Option<Response> {
        let fields = [&self.authzid, &self.login, self.password.expose_secret()];
        let length = fields.iter().map(|field| field.len() + 1).sum();
        // Memory is reserved first, so that growing leaves no copy behind.
        let mut message = Zeroizing::new(Vec::with_capacity(length));
        for (index, field) in fields.into_iter().enumerate() {
            if index > 0 {
                message.push(0);
            }
            message.extend(field.as_bytes());
        }
        Some(message)
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
    use crate::{Mechanism, Outcome};
    use proptest::prelude::*;

    /// What the mechanism asks, as (authzid, authcid, password); `None` when it fails.
    fn ask(message: &[u8]) -> Option<(Option<String>, String, String)> {
        match Mechanism::Plain.server(&server_context()).step(Some(message)) {
            ServerStep::Ask(Question::CheckPassword {
                authzid,
                authcid,
                password,
            }) => Some((authzid, authcid, password.expose_secret().to_owned())),
            ServerStep::Fail(_) => None,
            other => panic!("PLAIN neither challenges nor grants on a message: {other:?}"),
        }
    }

    /// What it shows, the message, and what is asked.
    type Case<'a> = (&'a str, &'a [u8], Option<(Option<&'a str>, &'a str, &'a str)>);

    #[test]
    fn messages() {
        let cases: [Case<'_>; 14] = [
            (
                "RFC 4616 section 4, first example",
                b"\0tim\0tanstaaftanstaaf",
                Some((None, "tim", "tanstaaftanstaaf")),
            ),
            (
                "RFC 4616 section 4, second example",
                b"Ursel\0Kurt\0xipj3plmq",
                Some((Some("Ursel"), "Kurt", "xipj3plmq")),
            ),
            (
                "a password with a space",
                b"\0acaird\0pass word",
                Some((None, "acaird", "pass word")),
            ),
            (
                "an empty password is the directory's to refuse",
                b"\0acaird\0",
                Some((None, "acaird", "")),
            ),
            (
                "UTF-8",
                "\0jürgen\0größe".as_bytes(),
                Some((None, "jürgen", "größe")),
            ),
            ("empty", b"", None),
            ("no NUL", b"acaird", None),
            ("one NUL", b"acaird\0pass word", None),
            ("three NULs", b"\0acaird\0pass\0word", None),
            ("a NUL at the end", b"\0acaird\0pass word\0", None),
            ("no authentication identity", b"acaird\0\0pass word", None),
            ("not UTF-8 in the login", b"\0\xff\0x", None),
            ("not UTF-8 in the authorization identity", b"\xff\0a\0x", None),
            ("a line feed in the login", b"\0a\nb\0x", None),
        ];
        for (shows, message, want) in cases {
            let want = want.map(|(z, c, p)| (z.map(str::to_owned), c.to_owned(), p.to_owned()));
            assert_eq!(ask(message), want, "{shows}");
        }
    }

    #[test]
    fn without_an_initial_response_the_challenge_is_empty() {
        let mut exchange = Mechanism::Plain.server(&server_context());
        assert!(matches!(exchange.step(None), ServerStep::Challenge(challenge) if challenge.is_empty()));
        assert!(matches!(exchange.step(Some(b"\0a\0b")), ServerStep::Ask(_)));
    }

    #[test]
    fn answers() {
        let start = |message: &[u8]| {
            let mut exchange = Mechanism::Plain.server(&server_context());
            assert!(matches!(exchange.step(Some(message)), ServerStep::Ask(_)));
            exchange
        };
        let granted = || Answer::Granted {
            login: "acaird".into(),
        };

        let ServerStep::Done(outcome) = start(b"\0ACaird\0x").answer(granted()) else {
            panic!("granted")
        };
        assert_eq!(
            outcome,
            Outcome {
                login: "acaird".into(),
                authzid: None,
                layer_bits: 0
            }
        );

        let ServerStep::Done(outcome) = start(b"acaird\0acaird\0x").answer(granted()) else {
            panic!("itself")
        };
        assert_eq!(outcome.authzid, None);

        let step = start(b"root\0acaird\0x").answer(granted());
        assert!(
            matches!(&step, ServerStep::Ask(Question::Authorize { authzid, .. }) if authzid == "root"),
            "{step:?}"
        );

        let step = start(b"\0acaird\0x").answer(Answer::Denied {
            reason: "wrong password".into(),
        });
        assert!(matches!(step, ServerStep::Fail(SaslError::Denied(_))), "{step:?}");

        let step = start(b"\0acaird\0x").answer(Answer::Unavailable {
            reason: "LDAP is down".into(),
        });
        assert!(
            matches!(step, ServerStep::Fail(SaslError::Unavailable(_))),
            "{step:?}"
        );
    }

    proptest! {
        /// For any input, the machine neither panics nor asks about fields that it should have refused.
        #[test]
        fn any_message_is_refused_or_asked_about(message in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some((authzid, authcid, password)) = ask(&message) {
                prop_assert!(!authcid.is_empty());
                prop_assert!(!authcid.chars().any(char::is_control));
                let mut again = authzid.unwrap_or_default().into_bytes();
                again.push(0);
                again.extend(authcid.as_bytes());
                again.push(0);
                again.extend(password.as_bytes());
                prop_assert_eq!(again, message);
            }
        }

        /// What a client means is what is asked.
        #[test]
        fn fields_come_out_as_they_went_in(
            authzid in "\\PC{0,40}", authcid in "\\PC{1,40}", password in "[^\\x00]{0,40}",
        ) {
            let message = format!("{authzid}\0{authcid}\0{password}");
            let want = (Some(authzid).filter(|authzid| !authzid.is_empty()), authcid, password);
            prop_assert_eq!(ask(message.as_bytes()), Some(want));
        }
    }
}
