//! One authentication exchange as server: the order of calls, and the limits for every mechanism.

use crate::layer::SecurityLayer;
use crate::mechanism::Mechanism;
use crate::question::{Answer, Question};
use crate::{SaslError, StoredKey};

/// Longest message accepted from a client, in octets after decoding.
///
/// RFC 4954 section 4 bounds the encoded line at 12,288 octets, which is 9,216 decoded.
pub const RESPONSE_MAX: usize = 9_216;

/// Most messages accepted from a client in one exchange. No mechanism needs half as many; the bound keeps a client from holding
/// a session open with an endless exchange.
pub const STEPS_MAX: usize = 16;

/// The server's side of one mechanism.
///
/// [`ServerExchange`] calls it in order: `step` until it asks, `answer` to what it asked, and never after `Done` or `Fail`.
/// Input is at most [`RESPONSE_MAX`] octets, decoded.
pub trait ServerMechanism: Send {
    /// Takes the client's next message. `None` only at the first call, if the client sent no initial response; then the first
    /// challenge is due (RFC 4422 section 3).
    fn step(&mut self, input: Option<&[u8]>) -> ServerStep;

    /// Takes the driver's answer to the question that was asked last.
    fn answer(&mut self, answer: Answer) -> ServerStep;

    /// Hands over the agreed security layer, once authentication has succeeded. `None` for most mechanisms.
    fn layer(&mut self) -> Option<Box<dyn SecurityLayer>> {
        None
    }
}

/// What the driver does next.
#[derive(Debug)]
#[must_use]
pub enum ServerStep {
    /// Send these octets as a challenge (`334` and their base64 form) and pass the client's answer to [`ServerExchange::step`].
    Challenge(Vec<u8>),
    /// Find the answer and pass it to [`ServerExchange::answer`].
    Ask(Question),
    /// The client is authenticated. The exchange is over.
    Done(Outcome),
    /// It is not, or that cannot be determined. The exchange is over.
    Fail(SaslError),
}

/// A successful authentication.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outcome {
    /// The authenticated identity, as the directory names it.
    pub login: String,
    /// The login as which the client acts, if different: as named in the driver's answer to [`Question::Authorize`].
    pub authzid: Option<String>,
    /// Strength of the security layer that the mechanism has set up, in bits; 0 without one. It is what the trace header shows
    /// as `(authenticated bits=…)`.
    pub layer_bits: u32,
}

/// One exchange with one client.
///
/// Enforces the limits and the order of calls for all mechanisms. After [`ServerStep::Done`] or [`ServerStep::Fail`] it only
/// ever fails.
pub struct ServerExchange {
    mechanism: Mechanism,
    machine: Box<dyn ServerMechanism>,
    awaits: Awaits,
    steps: usize,
    done: bool,
    /// The login, while the driver decides whether it may act as somebody else.
    proved: Option<Outcome>,
    /// Whether that was asked.
    asked_to_act: bool,
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Awaits {
    FirstMessage,
    Message,
    Answer,
    Nothing,
}

impl ServerExchange {
    /// A new exchange with `mechanism`.
    #[must_use]
    pub(crate) fn new(mechanism: Mechanism, machine: Box<dyn ServerMechanism>) -> Self {
        Self {
            mechanism,
            machine,
            awaits: Awaits::FirstMessage,
            steps: 0,
            done: false,
            proved: None,
            asked_to_act: false,
        }
    }

    /// Which mechanism this is.
    #[must_use]
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// Takes the client's next message, decoded (see [`crate::wire`]).
    ///
    /// `None` at the first call when `AUTH` came without an initial response; `Some(b"")` when it came with an empty one (`=`).
    /// Later calls always pass `Some`. A client that cancels with `*` is handled by the driver: it drops the exchange.
    pub fn step(&mut self, input: Option<&[u8]>) -> ServerStep {
        match (self.awaits, input) {
            (Awaits::FirstMessage, _) | (Awaits::Message, Some(_)) => {}
            (Awaits::Message, None) => return self.fail(SaslError::OutOfOrder("a response is due")),
            (Awaits::Answer, _) => return self.fail(SaslError::OutOfOrder("an answer is due")),
            (Awaits::Nothing, _) => return self.fail(SaslError::OutOfOrder("the exchange has ended")),
        }
        if input.is_some_and(|input| input.len() > RESPONSE_MAX) {
            return self.fail(SaslError::TooLong {
                what: "response",
                limit: RESPONSE_MAX,
            });
        }
        self.steps += 1;
        if self.steps > STEPS_MAX {
            let mechanism = self.mechanism.name();
            return self.fail(SaslError::Malformed {
                mechanism,
                what: "exchange without end",
            });
        }
        let step = self.machine.step(input);
        let step = self.ask_to_act(step);
        self.note(step)
    }

    /// Takes the answer to the question that the last step asked.
    pub fn answer(&mut self, answer: Answer) -> ServerStep {
        if self.awaits != Awaits::Answer {
            return self.fail(SaslError::OutOfOrder("nothing was asked"));
        }
        let step = match self.proved.take() {
            Some(outcome) => authorized(outcome, answer),
            None => {
                let step = self.machine.answer(answer);
                self.ask_to_act(step)
            }
        };
        self.note(step)
    }

    /// Hands over the agreed security layer: `Some` once, after a [`ServerStep::Done`] whose outcome has `layer_bits`. It takes
    /// effect right after the reply `235`.
    pub fn take_layer(&mut self) -> Option<Box<dyn SecurityLayer>> {
        if self.done { self.machine.layer() } else { None }
    }

    /// Before a login that wants to act as somebody else succeeds, asks whether it may: here for all mechanisms, after the
    /// proof, so that an unauthenticated client does not learn who may act as whom. A mechanism whose last message already
    /// reports success asks by itself before sending it.
    fn ask_to_act(&mut self, step: ServerStep) -> ServerStep {
        match step {
            ServerStep::Done(outcome @ Outcome { authzid: Some(_), .. }) if !self.asked_to_act => {
                let question = Question::Authorize {
                    login: outcome.login.clone(),
                    authzid: outcome.authzid.clone().unwrap_or_default(),
                };
                self.proved = Some(outcome);
                ServerStep::Ask(question)
            }
            other => other,
        }
    }

    fn note(&mut self, step: ServerStep) -> ServerStep {
        self.done = matches!(step, ServerStep::Done(_));
        self.asked_to_act |= matches!(step, ServerStep::Ask(Question::Authorize { .. }));
        self.awaits = match &step {
            ServerStep::Challenge(_) => Awaits::Message,
            ServerStep::Ask(_) => Awaits::Answer,
            ServerStep::Done(_) | ServerStep::Fail(_) => Awaits::Nothing,
        };
        step
    }

    fn fail(&mut self, error: SaslError) -> ServerStep {
        self.done = false;
        self.awaits = Awaits::Nothing;
        ServerStep::Fail(error)
    }
}

impl std::fmt::Debug for ServerExchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerExchange")
            .field("mechanism", &self.mechanism)
            .field("awaits", &self.awaits)
            .finish_non_exhaustive()
    }
}

/// Turns the answer to a yes-or-no question into the end of the exchange: shared by PLAIN, LOGIN and EXTERNAL.
pub(crate) fn conclude(authcid: &str, authzid: Option<String>, answer: Answer) -> ServerStep {
    match granted(answer) {
        Ok(login) => authorize(login, authcid, authzid, 0),
        Err(error) => ServerStep::Fail(error),
    }
}

/// The login that was granted, or why none was.
pub(crate) fn granted(answer: Answer) -> Result<String, SaslError> {
    match answer {
        Answer::Granted { login } => Ok(login),
        Answer::Denied { reason } => Err(SaslError::Denied(reason)),
        Answer::Unavailable { reason } => Err(SaslError::Unavailable(reason)),
        Answer::Key { .. } => Err(SaslError::OutOfOrder("no key was asked for")),
    }
}

/// Ends an exchange whose credentials are right. [`ServerExchange`] then asks whether the login may act as somebody else; an
/// authorization identity that equals the login, in its canonical or typed form, ignoring ASCII case, needs no question.
pub(crate) fn authorize(
    login: String,
    authcid: &str,
    authzid: Option<String>,
    layer_bits: u32,
) -> ServerStep {
    ServerStep::Done(Outcome {
        layer_bits,
        ..own_or_other(login, authcid, authzid)
    })
}

/// The outcome of right credentials; the authorization identity is set only if it is somebody else's.
pub(crate) fn own_or_other(login: String, authcid: &str, authzid: Option<String>) -> Outcome {
    let is_itself =
        |authzid: &String| authzid.eq_ignore_ascii_case(&login) || authzid.eq_ignore_ascii_case(authcid);
    Outcome {
        authzid: authzid.filter(|authzid| !is_itself(authzid)),
        login,
        layer_bits: 0,
    }
}

/// Ends an exchange after the question whether the login may act as somebody else.
///
/// RFC 4616 section 2: the server must verify that the authentication identity may act as the authorization identity.
pub(crate) fn authorized(proved: Outcome, answer: Answer) -> ServerStep {
    match granted(answer) {
        Ok(other) => ServerStep::Done(Outcome {
            authzid: Some(other).filter(|other| *other != proved.login),
            ..proved
        }),
        Err(SaslError::Denied(reason)) => ServerStep::Fail(SaslError::NotAuthorized {
            login: proved.login,
            authzid: proved.authzid.unwrap_or_default(),
            reason,
        }),
        Err(error) => ServerStep::Fail(error),
    }
}

/// The result of asking for a key.
pub(crate) enum Lookup<K> {
    /// The account has one.
    Found { login: String, key: K },
    /// It has none. The exchange goes on with a decoy and finally fails, with this reason for the log.
    Denied(String),
}

/// Reads the answer to a question for a key; `pick` extracts the requested kind.
pub(crate) fn key_of<K>(
    answer: Answer,
    pick: impl FnOnce(StoredKey) -> Option<K>,
) -> Result<Lookup<K>, SaslError> {
    match answer {
        Answer::Key { login, key } => match pick(key) {
            Some(key) => Ok(Lookup::Found { login, key }),
            None => Err(SaslError::OutOfOrder("a key of another kind was asked for")),
        },
        Answer::Denied { reason } => Ok(Lookup::Denied(reason)),
        Answer::Unavailable { reason } => Err(SaslError::Unavailable(reason)),
        Answer::Granted { .. } => Err(SaslError::OutOfOrder("a key was asked for")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::tests::server_context;

    fn granted() -> Answer {
        Answer::Granted {
            login: "acaird".into(),
        }
    }

    fn out_of_order(step: &ServerStep) -> bool {
        matches!(step, ServerStep::Fail(SaslError::OutOfOrder(_)))
    }

    #[test]
    fn calls_out_of_order_fail_and_end_the_exchange() {
        let mut early_answer = Mechanism::Plain.server(&server_context());
        assert!(out_of_order(&early_answer.answer(granted())), "nothing was asked");
        assert!(
            out_of_order(&early_answer.step(Some(b"\0a\0b"))),
            "and it stays over"
        );

        let mut two_messages = Mechanism::Plain.server(&server_context());
        assert!(matches!(two_messages.step(Some(b"\0a\0b")), ServerStep::Ask(_)));
        assert!(
            out_of_order(&two_messages.step(Some(b"\0a\0b"))),
            "an answer was due"
        );
        assert!(
            out_of_order(&two_messages.answer(granted())),
            "no login after a failure"
        );

        let mut no_response = Mechanism::Login.server(&server_context());
        assert!(matches!(no_response.step(None), ServerStep::Challenge(_)));
        assert!(
            out_of_order(&no_response.step(None)),
            "only the first message may be missing"
        );

        let mut twice = Mechanism::Plain.server(&server_context());
        assert!(matches!(twice.step(Some(b"\0a\0b")), ServerStep::Ask(_)));
        assert!(matches!(twice.answer(granted()), ServerStep::Done(_)));
        assert!(out_of_order(&twice.answer(granted())), "the exchange has ended");
    }

    #[test]
    fn a_response_over_the_limit_is_refused_by_every_mechanism() {
        for &mechanism in Mechanism::ALL {
            let long = vec![b'a'; RESPONSE_MAX + 1];
            let step = mechanism.server(&server_context()).step(Some(&long));
            assert!(
                matches!(
                    step,
                    ServerStep::Fail(SaslError::TooLong { what: "response", .. })
                ),
                "{}: {step:?}",
                mechanism.name()
            );
        }
    }

    #[test]
    fn an_exchange_without_end_is_cut() {
        struct Endless;
        impl ServerMechanism for Endless {
            fn step(&mut self, _: Option<&[u8]>) -> ServerStep {
                ServerStep::Challenge(Vec::new())
            }
            fn answer(&mut self, _: Answer) -> ServerStep {
                ServerStep::Challenge(Vec::new())
            }
        }
        let mut exchange = ServerExchange::new(Mechanism::Plain, Box::new(Endless));
        for _ in 0..STEPS_MAX {
            assert!(matches!(exchange.step(Some(b"")), ServerStep::Challenge(_)));
        }
        assert!(matches!(
            exchange.step(Some(b"")),
            ServerStep::Fail(SaslError::Malformed { .. })
        ));
    }

    /// Runs PLAIN up to the password check.
    fn plain(message: &[u8]) -> (ServerExchange, ServerStep) {
        let mut exchange = Mechanism::Plain.server(&server_context());
        assert!(matches!(exchange.step(Some(message)), ServerStep::Ask(_)));
        let step = exchange.answer(granted());
        (exchange, step)
    }

    #[test]
    fn who_names_himself_is_not_asked_about() {
        let cases: [(&str, &[u8]); 4] = [
            ("none named", b"\0acaird@fccc.example\0x"),
            ("the canonical name", b"acaird\0acaird@fccc.example\0x"),
            (
                "the name as typed",
                b"acaird@fccc.example\0acaird@fccc.example\0x",
            ),
            ("another case", b"ACaird\0acaird@fccc.example\0x"),
        ];
        for (shows, message) in cases {
            let ServerStep::Done(outcome) = plain(message).1 else {
                panic!("{shows}");
            };
            assert_eq!(
                (outcome.login.as_str(), outcome.authzid),
                ("acaird", None),
                "{shows}"
            );
        }
    }

    #[test]
    fn to_act_as_somebody_else_is_the_drivers_to_grant() {
        let login = |name: &str| Answer::Granted { login: name.into() };
        let denied = Answer::Denied {
            reason: "no grant".into(),
        };
        let unavailable = Answer::Unavailable {
            reason: "no directory".into(),
        };
        let refused = SaslError::NotAuthorized {
            login: "acaird".into(),
            authzid: "Boss".into(),
            reason: "no grant".into(),
        };
        let cases = [
            (
                "it may, and is called so",
                login("boss"),
                Ok(Some("boss".to_owned())),
            ),
            ("it has named itself in another way", login("acaird"), Ok(None)),
            ("it may not", denied, Err(refused)),
            (
                "nobody can tell",
                unavailable,
                Err(SaslError::Unavailable("no directory".into())),
            ),
        ];
        for (shows, answer, want) in cases {
            let (mut exchange, step) = plain(b"Boss\0acaird@fccc.example\0x");
            match step {
                ServerStep::Ask(Question::Authorize { login, authzid }) => {
                    assert_eq!((login.as_str(), authzid.as_str()), ("acaird", "Boss"), "{shows}");
                }
                other => panic!("{shows}: {other:?}"),
            }
            let found = match exchange.answer(answer) {
                ServerStep::Done(outcome) => Ok(outcome.authzid),
                ServerStep::Fail(error) => Err(error),
                other => panic!("{shows}: {other:?}"),
            };
            assert_eq!(found, want, "{shows}");
            assert!(
                out_of_order(&exchange.answer(granted())),
                "{shows}, and it is over"
            );
        }
    }

    #[test]
    fn a_wrong_password_is_not_asked_about() {
        let mut exchange = Mechanism::Plain.server(&server_context());
        let _ = exchange.step(Some(b"boss\0acaird\0x"));
        let denied = Answer::Denied {
            reason: "wrong password".into(),
        };
        assert!(matches!(
            exchange.answer(denied),
            ServerStep::Fail(SaslError::Denied(_))
        ));
    }
}
