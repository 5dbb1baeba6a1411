//! Logging in: drives the exchange of a mechanism with the directories and the memory of failed logins.

mod answer;
mod offer;

use std::time::Instant;

use jiff::Timestamp;
use postern_policy::login::strength;
use postern_sasl::{Mechanism, Outcome, SaslError, SecurityLayer, ServerExchange, ServerStep};
use postern_smtp::server::{Answer, AuthFailure, AuthTurn};
use tracing::{info, warn};

pub(crate) use self::offer::apply as offer;

use self::answer::{Findings, answer};
use crate::session::{Login, Session};

/// An exchange between two lines of the client.
pub(crate) struct Exchange {
    running: ServerExchange,
    findings: Findings,
}

/// What came of one turn.
pub(crate) struct Turned {
    pub(crate) answer: Answer,
    /// The security layer that takes effect behind the reply.
    pub(crate) layer: Option<Box<dyn SecurityLayer>>,
}

impl From<Answer> for Turned {
    fn from(answer: Answer) -> Self {
        Self { answer, layer: None }
    }
}

/// Takes one turn. The exchange lies in `exchange` between turns.
pub(crate) async fn turn(
    turn: AuthTurn<'_>,
    exchange: &mut Option<Exchange>,
    session: &mut Session,
) -> Turned {
    let begun = if turn.is_first() {
        Mechanism::from_wire(turn.mechanism()).map(|mechanism| Exchange {
            running: mechanism.server(&offer::context(session)),
            findings: Findings::default(),
        })
    } else {
        exchange.take()
    };
    let Some(begun) = begun else {
        return turn.fail(AuthFailure::Malformed).into();
    };
    let Exchange {
        running,
        mut findings,
    } = begun;
    let (mut running, mut next) = match step(running, turn.input()).await {
        Ok(stepped) => stepped,
        Err(error) => return fail(turn, &error, &findings, session).into(),
    };
    loop {
        next = match next {
            ServerStep::Challenge(octets) => {
                *exchange = Some(Exchange { running, findings });
                return Answer::stay(turn.challenge(&octets)).into();
            }
            ServerStep::Ask(question) => running.answer(answer(question, &mut findings, session).await),
            ServerStep::Done(outcome) => return done(turn, outcome, Exchange { running, findings }, session),
            ServerStep::Fail(error) => return fail(turn, &error, &findings, session).into(),
        };
    }
}

/// Takes a step, on a thread of its own where it may be held up by files.
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

/// Ends an exchange in a login, if the session is as strong as the listener wants it.
fn done(turn: AuthTurn<'_>, outcome: Outcome, exchange: Exchange, session: &mut Session) -> Turned {
    let Exchange {
        mut running,
        findings,
    } = exchange;
    let settings = &session.profile.settings.auth;
    let least = session.profile.listener.least_bits.unwrap_or(settings.least_bits);
    let bits = strength(session.tls.as_ref().map(|tls| tls.bits), outcome.layer_bits);
    if bits < least {
        let answer = turn.fail(AuthFailure::TooWeak);
        let reason = format!("{bits} bits, where {least} are wanted");
        log_failure(
            &answer,
            running.mechanism(),
            "login.bits",
            &reason,
            &findings,
            session,
        );
        return answer.into();
    }
    succeed(outcome, bits, findings, running.mechanism(), session);
    Turned {
        layer: running.take_layer(),
        answer: Answer::stay(turn.succeed()),
    }
}

fn succeed(outcome: Outcome, bits: u32, findings: Findings, mechanism: Mechanism, session: &mut Session) {
    let peer = session.peer.ip();
    if let Some(tried) = findings.guessed() {
        session.shared.throttle.lock().success(peer, tried);
    }
    info!(
        target: "postern::login",
        session = %session.id,
        listener = session.listener(),
        peer = %peer,
        login = %outcome.login,
        mechanism = mechanism.name(),
        layer_bits = (outcome.layer_bits > 0).then_some(outcome.layer_bits),
        tls = session.tls.as_ref().map(|tls| tls.version),
        "login"
    );
    let now = Timestamp::now();
    session
        .shared
        .usage
        .lock()
        .count(&outcome.login, mechanism.name(), peer, now);
    session.login = Some(Login {
        trusted: session.profile.settings.auth.trust.covers(mechanism.name(), bits),
        name: outcome.login,
        addresses: findings
            .account
            .map(|account| account.addresses)
            .unwrap_or_default(),
        layer_bits: outcome.layer_bits,
    });
}

fn fail(turn: AuthTurn<'_>, error: &SaslError, findings: &Findings, session: &Session) -> Answer {
    let mechanism = turn.mechanism();
    let (failure, rule) = match error {
        _ if findings.barred => (AuthFailure::Barred, "throttle.barred"),
        SaslError::Denied(_) => (AuthFailure::Denied, "login.denied"),
        SaslError::NotAuthorized { .. } => (AuthFailure::Denied, "login.authorization"),
        SaslError::Intercepted { .. } => (AuthFailure::Denied, "login.intercepted"),
        SaslError::Unavailable(_) => (AuthFailure::Unavailable, "login.directory"),
        SaslError::Malformed { .. } => (AuthFailure::Malformed, "login.malformed"),
        SaslError::TooLong { .. } => (AuthFailure::TooLong, "login.too-long"),
        SaslError::OutOfOrder(_) => (AuthFailure::Unavailable, "login.order"),
    };
    let answer = turn.fail(failure);
    let mechanism = Mechanism::from_wire(mechanism).unwrap_or(Mechanism::Plain);
    log_failure(&answer, mechanism, rule, error, findings, session);
    if failure == AuthFailure::Denied
        && let Some(tried) = findings.guessed()
        && session
            .shared
            .throttle
            .lock()
            .failure(session.peer.ip(), tried, Instant::now())
    {
        warn!(
            target: "postern::login",
            session = %session.id,
            peer = %session.peer.ip(),
            login = tried,
            rule = "throttle.barred",
            "barred"
        );
    }
    answer
}

fn log_failure(
    answer: &Answer,
    mechanism: Mechanism,
    rule: &str,
    reason: &dyn std::fmt::Display,
    findings: &Findings,
    session: &Session,
) {
    info!(
        target: "postern::login",
        session = %session.id,
        listener = session.listener(),
        peer = %session.peer.ip(),
        login = findings.tried.as_deref(),
        mechanism = mechanism.name(),
        rule,
        reply = %answer.reply,
        reason = %reason,
        "refused"
    );
}
