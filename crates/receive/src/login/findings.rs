//! What one exchange has found out.

use std::time::Instant;

use jiff::Timestamp;
use postern_directory::{Account, PasswordVerdict};
use postern_policy::rule::Rule;
use postern_policy::scope::{Outside, ScopeRefusal};
use postern_policy::standing::Credential;
use postern_policy::throttle::Closed;
use postern_sasl::Answer;

use super::guess::Attempt;
use super::origin::Origin;
use crate::scope::place as scope;

/// What this exchange has found out.
#[derive(Default)]
pub(crate) struct Findings {
    /// The user name that was tried, as typed, completed with the default domain if it has none.
    pub(super) tried: Option<String>,
    /// Its account. Authenticated only when the exchange is done.
    pub(super) account: Option<Account>,
    /// Another name of the same account, besides those that the directory knows: the one in its token.
    pub(super) same: Option<String>,
    /// The name that a rule gives the client's certificate.
    pub(super) certified: Option<String>,
    /// The credential that was used, if it expires.
    pub(super) ends: Option<(Credential, Timestamp)>,
    /// The account that it acts as, if another, and the rule that allows it.
    pub(super) acting: Option<(Account, Rule)>,
    /// Why the login is outside its scope, whether or not the credentials are right.
    pub(super) scoped: Option<ScopeRefusal>,
    /// Why the attempt was not allowed.
    pub(super) closed: Option<Closed>,
    /// The account that a directory found, by the directory's name for it, whether or not the credentials are right.
    pub(super) found: Option<String>,
    /// Why one directory could not be asked while another could: then wrong credentials are treated like an unknown user name,
    /// with a temporary failure.
    pub(super) outage: Option<String>,
    /// Whether a directory denied the login while another was down: this counts as a guess, though the reply is a temporary
    /// failure.
    pub(super) wrong: bool,
    /// The attempt, if the credentials can be guessed, so that it counts for the throttle.
    pub(super) attempt: Option<Attempt>,
}

impl Findings {
    /// Refuses the login if the account found is locked out, whatever names were tried.
    pub(super) fn close_if_locked_out(&mut self) -> bool {
        let locked_out = self.attempt.as_ref().zip(self.found.as_deref());
        let left = locked_out.and_then(|(attempt, account)| attempt.account_locked_out(account));
        self.closed = self.closed.or_else(|| left.map(Closed::LockedOut));
        left.is_some()
    }

    /// Asks whether an account may log in here. A login that is not good for this ends like one with a wrong password, in the same exchange and with
    /// the same count: whoever guesses does not learn that a guess was right.
    pub(super) async fn within_scope(
        &mut self,
        answer: Answer,
        origin: &Origin<'_>,
        mechanism: &str,
        began: Instant,
    ) -> Answer {
        let (Some(account), true) = (
            &self.account,
            matches!(answer, Answer::Granted { .. } | Answer::Key { .. }),
        ) else {
            return answer;
        };
        let settings = origin.shared.deps.settings.load_full();
        let acting = self.acting.as_ref().map(|(acting, _)| acting);
        let place = (origin.place, mechanism, origin.peer);
        match scope::admits(account, acting, &settings, place).await {
            Ok(()) => answer,
            Err(refusal) if refusal.outside == Outside::Unsure => Answer::Unavailable {
                reason: refusal.to_string(),
            },
            Err(refusal) => {
                // As long as a wrong password takes, or the time would tell that this one is right.
                origin.shared.deps.directories.load().hold_back(began).await;
                let reason = refusal.to_string();
                self.scoped = Some(refusal);
                Answer::Denied { reason }
            }
        }
    }

    /// Keeps the account and returns its name.
    pub(super) fn keep(&mut self, account: Account) -> String {
        let login = account.login.clone();
        self.account = Some(account);
        login
    }

    /// Answers a yes-or-no question.
    pub(super) fn settle(&mut self, verdict: PasswordVerdict) -> Answer {
        match verdict {
            PasswordVerdict::Granted(account) => Answer::Granted {
                login: self.keep(account),
            },
            PasswordVerdict::Denied(reason) => Answer::Denied {
                reason: reason.to_string(),
            },
            PasswordVerdict::Unavailable { reason, wrong } => {
                self.wrong = wrong;
                Answer::Unavailable { reason }
            }
        }
    }
}
