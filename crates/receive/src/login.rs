//! Logging in: drives the exchange of a mechanism with the directories and the memory of failed logins.

use std::time::Instant;

use postern_directory::{Account, PasswordVerdict};
use postern_policy::throttle::ThrottleVerdict;
use postern_sasl::{
    Answer as SaslAnswer, Mechanism, Outcome, Question, SaslError, ServerExchange, ServerStep,
};
use postern_smtp::server::{Answer, AuthFailure, AuthTurn};
use tracing::{info, warn};

use crate::session::{Login, Session};

/// What the directories found out in this exchange.
#[derive(Default)]
struct Findings {
    tried: Option<String>,
    account: Option<Account>,
    barred: bool,
}

/// Takes one turn. The exchange lies in `exchange` between turns.
pub(crate) async fn turn(
    turn: AuthTurn<'_>,
    exchange: &mut Option<ServerExchange>,
    session: &mut Session,
) -> Answer {
    let begun = if turn.is_first() {
        Mechanism::from_wire(turn.mechanism()).map(Mechanism::server)
    } else {
        exchange.take()
    };
    let Some(mut running) = begun else {
        return turn.fail(AuthFailure::Malformed);
    };
    let mut findings = Findings::default();
    let mut step = running.step(turn.input());
    loop {
        step = match step {
            ServerStep::Challenge(octets) => {
                *exchange = Some(running);
                return Answer::stay(turn.challenge(&octets));
            }
            ServerStep::Ask(question) => {
                let answer = answer(question, &mut findings, session).await;
                running.answer(answer)
            }
            ServerStep::Done(outcome) => {
                succeed(outcome, findings, turn.mechanism(), session);
                return Answer::stay(turn.succeed());
            }
            ServerStep::Fail(error) => return fail(turn, &error, &findings, session),
        };
    }
}

async fn answer(question: Question, findings: &mut Findings, session: &Session) -> SaslAnswer {
    let Question::CheckPassword {
        authcid, password, ..
    } = question;
    let verdict = session
        .shared
        .throttle
        .lock()
        .check(session.peer.ip(), &authcid, Instant::now());
    findings.tried = Some(authcid.clone());
    match verdict {
        ThrottleVerdict::Check(delay) if delay.is_zero() => {}
        ThrottleVerdict::Check(delay) => tokio::time::sleep(delay).await,
        ThrottleVerdict::Barred(left) => {
            findings.barred = true;
            return SaslAnswer::Unavailable {
                reason: format!("barred for {} s", left.as_secs()),
            };
        }
    }
    let directories = session.shared.deps.directories.load_full();
    match directories.check_password(&authcid, &password).await {
        PasswordVerdict::Granted(account) => {
            let login = account.login.clone();
            findings.account = Some(account);
            SaslAnswer::Granted { login }
        }
        PasswordVerdict::Denied(reason) => SaslAnswer::Denied {
            reason: reason.to_string(),
        },
        PasswordVerdict::Unavailable(reason) => SaslAnswer::Unavailable { reason },
    }
}

fn succeed(outcome: Outcome, findings: Findings, mechanism: &str, session: &mut Session) {
    if let Some(tried) = &findings.tried {
        session.shared.throttle.lock().success(session.peer.ip(), tried);
    }
    info!(
        target: "postern::login",
        session = %session.id,
        listener = session.listener(),
        peer = %session.peer.ip(),
        login = %outcome.login,
        mechanism,
        tls = session.tls.as_ref().map(|tls| tls.version),
        "login"
    );
    session.login = Some(Login {
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
        SaslError::Unavailable(_) => (AuthFailure::Unavailable, "login.directory"),
        SaslError::Malformed { .. } => (AuthFailure::Malformed, "login.malformed"),
        SaslError::TooLong { .. } => (AuthFailure::TooLong, "login.too-long"),
        SaslError::OutOfOrder(_) => (AuthFailure::Unavailable, "login.order"),
    };
    let answer = turn.fail(failure);
    info!(
        target: "postern::login",
        session = %session.id,
        listener = session.listener(),
        peer = %session.peer.ip(),
        login = findings.tried.as_deref(),
        mechanism,
        rule,
        reply = %answer.reply,
        reason = %error,
        "refused"
    );
    if failure == AuthFailure::Denied
        && let Some(tried) = &findings.tried
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
            login = tried.as_str(),
            rule = "throttle.barred",
            "barred"
        );
    }
    answer
}
