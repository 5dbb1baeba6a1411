//! One authentication exchange, from whatever source: driven, counted, logged.

use std::fmt::Display;

use jiff::Timestamp;
use postern_directory::{Account, KeyKind};
use postern_events::{LoggedIn, LoginRefused};
use postern_policy::login::{Denial, strength};
use postern_policy::rule::{Rule, Verdict};
use postern_policy::standing::Credential;
use postern_sasl::{Mechanism, Outcome, SaslError, SecurityLayer, ServerExchange, ServerStep};
use postern_smtp::server::AuthFailure;

use super::answer::answer;
use super::findings::Findings;
use super::origin::Origin;

/// An exchange between two messages of the client.
pub(crate) struct Exchange {
    running: ServerExchange,
    findings: Findings,
}

/// The result of one message.
pub(crate) enum Turned {
    /// Send this, and hand the response to the same exchange.
    Challenge(Vec<u8>, Box<Exchange>),
    /// The client has authenticated. It is already counted and logged.
    Granted(Box<Granted>),
    /// Authentication failed. The caller replies, then has it counted and logged with [`Refused::note`].
    Refused(Box<Refused>),
}

/// A successful login.
pub(crate) struct Granted {
    pub(crate) outcome: Outcome,
    /// The account that the client acts as: its own, unless the outcome has an authorization identity.
    pub(crate) account: Option<Account>,
    /// The account that authenticated, if another.
    pub(crate) proved: Option<Account>,
    /// The name that a rule gives the client's certificate, if it authenticated with one.
    pub(crate) certified: Option<String>,
    /// The credential that was used, if it expires.
    pub(crate) ends: Option<(Credential, Timestamp)>,
    pub(crate) mechanism: Mechanism,
    /// Bits that protect the session, by TLS or by the layer.
    pub(crate) bits: u32,
    /// The security layer that takes effect after the reply.
    pub(crate) layer: Option<Box<dyn SecurityLayer>>,
}

/// How certain a failed guess is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Guess {
    Wrong,
    InDoubt,
}

/// A failed exchange.
#[must_use]
pub(crate) struct Refused {
    pub(crate) failure: AuthFailure,
    rule: Rule,
    reason: String,
    mechanism: Mechanism,
    /// The failed guess, if there was one.
    guess: Option<Guess>,
    findings: Findings,
}

impl Exchange {
    /// A new exchange.
    pub(crate) fn begin(mechanism: Mechanism, origin: &Origin<'_>) -> Self {
        Self {
            running: mechanism.server(&origin.context(mechanism)),
            findings: Findings::default(),
        }
    }

    /// Takes the client's message; `None` when it began without one.
    pub(crate) async fn turn(self, input: Option<&[u8]>, origin: &Origin<'_>) -> Turned {
        let Self { running, findings } = self;
        let mechanism = running.mechanism();
        let (running, mut step) = match step(running, input).await {
            Ok(stepped) => stepped,
            Err(error) => return failed(&error, mechanism, findings),
        };
        let mut this = Self { running, findings };
        loop {
            step = match step {
                ServerStep::Challenge(octets) => {
                    if let Some(attempt) = &mut this.findings.attempt {
                        attempt.challenge();
                    }
                    return Turned::Challenge(octets, Box::new(this));
                }
                ServerStep::Ask(question) => {
                    let began = tokio::time::Instant::now().into_std();
                    let answer = answer(question, &mut this.findings, origin).await;
                    let answer = this
                        .findings
                        .within_scope(answer, origin, mechanism.name(), began)
                        .await;
                    this.running.answer(answer)
                }
                ServerStep::Done(outcome) => return this.done(outcome, origin),
                ServerStep::Fail(error) => return failed(&error, mechanism, this.findings),
            };
        }
    }

    /// Ends in a login, if the session is as strong as required.
    fn done(mut self, outcome: Outcome, origin: &Origin<'_>) -> Turned {
        let mechanism = self.running.mechanism();
        let bits = strength(origin.tls.map(|tls| tls.bits), outcome.layer_bits);
        let least = origin.least_bits.unwrap_or(0);
        if bits < least {
            return Turned::Refused(Box::new(Refused {
                failure: AuthFailure::TooWeak,
                rule: Denial::TooWeak.rule(),
                reason: format!("{bits} bits, where {least} are wanted"),
                mechanism,
                guess: None,
                findings: self.findings,
            }));
        }
        if self.findings.close_if_locked_out() {
            let error = SaslError::Unavailable("the account is locked out, whatever it is called".into());
            return failed(&error, mechanism, self.findings);
        }
        if let Some(attempt) = self.findings.attempt.take() {
            attempt.succeed(&outcome.login);
            note_key(self.findings.tried.as_deref(), mechanism, origin);
        }
        let (acting, rule) = self.findings.acting.unzip();
        let directory = self
            .findings
            .account
            .as_ref()
            .and_then(|account| account.directory.clone());
        log_login(
            &outcome,
            rule,
            (mechanism, directory.as_ref().map(|name| name.as_str())),
            origin,
        );
        origin
            .shared
            .usage
            .lock()
            .count(&outcome.login, mechanism.name(), origin.peer, Timestamp::now());
        let (account, proved) = match outcome.authzid {
            Some(_) => (acting, self.findings.account),
            None => (self.findings.account, None),
        };
        Turned::Granted(Box::new(Granted {
            account,
            proved,
            certified: self.findings.certified,
            ends: self.findings.ends,
            outcome,
            mechanism,
            bits,
            layer: self.running.take_layer(),
        }))
    }
}

/// Takes a step, on a thread of its own if it may block on files or other servers.
async fn step(
    mut running: ServerExchange,
    input: Option<&[u8]>,
) -> Result<(ServerExchange, ServerStep), SaslError> {
    if !running.mechanism().properties().blocking {
        let step = running.step(input);
        return Ok((running, step));
    }
    let input = input.map(<[u8]>::to_vec);
    let stepped = tokio::task::spawn_blocking(move || {
        let step = running.step(input.as_deref());
        (running, step)
    });
    stepped
        .await
        .map_err(|error| SaslError::Unavailable(error.to_string()))
}

fn failed(error: &SaslError, mechanism: Mechanism, mut findings: Findings) -> Turned {
    let mut reason = error.to_string();
    let denied = matches!(error, SaslError::Denied(_));
    if let (true, Some(outage)) = (denied, &findings.outage) {
        reason = format!("{reason}, and not all could be asked: {outage}");
        findings.wrong = true;
    }
    // Still a guess, at an account that is locked out.
    let guessed = (denied || findings.wrong) && findings.close_if_locked_out();
    let (failure, rule) = match (findings.closed, why(error, findings.outage.is_some())) {
        (Some(closed), _) => (AuthFailure::LockedOut, closed.rule()),
        (None, (failure, denial)) => (failure, denial.rule()),
    };
    let rule = match &findings.scoped {
        Some(refusal) if denied && findings.closed.is_none() => refusal.rule(),
        _ => rule,
    };
    Turned::Refused(Box::new(Refused {
        failure,
        rule,
        reason,
        mechanism,
        guess: match (findings.wrong, guessed || failure == AuthFailure::Denied) {
            (true, _) => Some(Guess::InDoubt),
            (false, true) => Some(Guess::Wrong),
            (false, false) => None,
        },
        findings,
    }))
}

/// Why an exchange failed: for the client, and for the log.
fn why(error: &SaslError, outage: bool) -> (AuthFailure, Denial) {
    match error {
        SaslError::Denied(_) if outage => (AuthFailure::Unavailable, Denial::Directory),
        SaslError::Denied(_) => (AuthFailure::Denied, Denial::Denied),
        SaslError::NotAuthorized { .. } => (AuthFailure::Denied, Denial::Authorization),
        SaslError::Intercepted { .. } => (AuthFailure::Denied, Denial::Intercepted),
        SaslError::Unavailable(_) => (AuthFailure::Unavailable, Denial::Directory),
        SaslError::Malformed { .. } => (AuthFailure::Malformed, Denial::Malformed),
        SaslError::TooLong { .. } => (AuthFailure::TooLong, Denial::TooLong),
        SaslError::OutOfOrder(_) => (AuthFailure::Unavailable, Denial::Order),
    }
}

impl Refused {
    /// The user name that was tried.
    pub(crate) fn tried(&self) -> Option<&str> {
        self.findings.tried.as_deref()
    }

    /// Logs the refusal with what the client was told, and counts it against the user name if a guess has failed.
    pub(crate) fn note(self, reply: &dyn Display, origin: &Origin<'_>) {
        origin.shared.deps.observers.tell(LoginRefused {
            session: origin.session,
            listener: origin.place,
            peer: origin.peer,
            login: self.findings.tried.as_deref(),
            mechanism: Some(self.mechanism.name()),
            neighbour: None,
            rule: self.rule,
            reply,
            reason: &self.reason,
        });
        let Some(attempt) = self.findings.attempt else {
            return;
        };
        let account = self.findings.found.as_deref();
        match (self.guess, self.failure) {
            (Some(Guess::Wrong), _) => attempt.fail(account),
            (Some(Guess::InDoubt), _) => attempt.fail_in_doubt(account),
            // A malformed response to a challenge counts as cancelling the exchange.
            (None, AuthFailure::Malformed | AuthFailure::TooLong) => drop(attempt),
            (None, _) => attempt.excuse(),
        }
    }
}

/// Has the directories record which app password was used, if the login used a key.
fn note_key(tried: Option<&str>, mechanism: Mechanism, origin: &Origin<'_>) {
    if KeyKind::needed(mechanism.properties().needs, "").is_some()
        && let Some(tried) = tried.map(str::to_owned)
    {
        let (directories, peer) = (origin.shared.deps.directories.load_full(), origin.peer);
        tokio::spawn(async move { directories.note_key_login(&tried, peer).await });
    }
}

fn log_login(
    outcome: &Outcome,
    rule: Option<Rule>,
    (mechanism, directory): (Mechanism, Option<&str>),
    origin: &Origin<'_>,
) {
    origin.shared.deps.observers.tell(LoggedIn {
        session: origin.session,
        listener: origin.place,
        peer: origin.peer,
        login: &outcome.login,
        acts_as: outcome.authzid.as_deref(),
        rule,
        mechanism: mechanism.name(),
        directory,
        layer_bits: (outcome.layer_bits > 0).then_some(outcome.layer_bits),
        tls: origin.tls.map(|tls| tls.version),
    });
}
