//! SMTP authentication. The exchange itself is the same for every way to log in.

mod answer;
mod exchange;
mod findings;
mod guess;
mod offer;
pub(crate) mod origin;
mod token;

use std::sync::Arc;

use postern_directory::Account;
use postern_policy::limit::Counted;
use postern_sasl::{Mechanism, Outcome, SecurityLayer};
use postern_smtp::server::{Answer, AuthFailure, AuthTurn};

pub(crate) use self::exchange::{Exchange, Turned as Step};
pub(crate) use self::offer::{apply as offer, workable};

use self::exchange::Granted;
use crate::identity::identity_of;
use crate::judge::is_trusted;
use crate::limits;
use crate::session::{About, Login, Session};
use crate::standing::{Grant, Place, Standing};

/// The result of one turn.
pub(crate) struct Turned {
    pub(crate) answer: Answer,
    /// The security layer that takes effect after the reply.
    pub(crate) layer: Option<Box<dyn SecurityLayer>>,
}

impl From<Answer> for Turned {
    fn from(answer: Answer) -> Self {
        Self { answer, layer: None }
    }
}

/// Takes one turn. Between turns, `exchange` holds the exchange.
pub(crate) async fn turn(
    turn: AuthTurn<'_>,
    exchange: &mut Option<Exchange>,
    session: &mut Session,
) -> Turned {
    if turn.is_first()
        && let Some(reply) = limits::count(Counted::Login, &About::default(), session)
    {
        let answer = turn.fail(AuthFailure::Unavailable);
        return Answer { reply, ..answer }.into();
    }
    let origin = session.origin();
    let begun = if turn.is_first() {
        Mechanism::from_wire(turn.mechanism()).map(|mechanism| Exchange::begin(mechanism, &origin))
    } else {
        exchange.take()
    };
    let Some(begun) = begun else {
        return turn.fail(AuthFailure::Malformed).into();
    };
    match begun.turn(turn.input(), &origin).await {
        Step::Challenge(octets, begun) => {
            *exchange = Some(*begun);
            Answer::stay(turn.challenge(&octets)).into()
        }
        Step::Granted(granted) => {
            let Granted {
                outcome,
                account,
                proved,
                certified,
                ends,
                mechanism,
                bits,
                layer,
            } = *granted;
            let grant = Grant {
                names: std::iter::once(outcome.login.clone())
                    .chain(outcome.authzid.clone())
                    .collect(),
                mechanism,
                token: false,
                bits,
                proved: proved.as_ref().or(account.as_ref()),
                acting: account.as_ref().filter(|_| outcome.authzid.is_some()),
                certified,
                ends,
            };
            let place = Place {
                deps: &session.shared.deps,
                profile: &session.profile,
                peer: session.peer.ip(),
                tls: session.tls.as_ref(),
                certificate: session.certificate.as_ref(),
            };
            let standing = Arc::new(Standing::new(&grant, &place));
            let live = session.entry.live();
            live.has_logged_in(&outcome.login, outcome.authzid.as_deref(), &standing);
            session.login = Some(Login {
                standing,
                mechanism,
                trusted: is_trusted(&session.profile.settings, mechanism, bits),
                identity: identity_of(&account.unwrap_or_else(|| nothing_but(&outcome))),
                authcid: outcome.authzid.is_some().then_some(outcome.login),
                layer_bits: outcome.layer_bits,
            });
            Turned {
                layer,
                answer: Answer::stay(turn.succeed()),
            }
        }
        Step::Refused(refused) => {
            let answer = turn.fail(refused.failure);
            refused.note(&answer.reply, &origin);
            answer.into()
        }
    }
}

/// An account of which only the user name is known.
fn nothing_but(outcome: &Outcome) -> Account {
    Account {
        login: outcome.authzid.as_ref().unwrap_or(&outcome.login).clone(),
        ..Account::default()
    }
}
