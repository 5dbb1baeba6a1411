//! What was found out in one exchange.

use jiff::Timestamp;
use postern_directory::{Account, PasswordVerdict};
use postern_policy::rule::Rule;
use postern_policy::standing::Credential;
use postern_policy::throttle::Closed;
use postern_sasl::Answer;

use super::guess::Attempt;

/// What was found out in this exchange.
#[derive(Default)]
pub(crate) struct Findings {
    /// The login that was tried, as the client typed it, with the domain that is meant where it has none.
    pub(super) tried: Option<String>,
    /// Whose it is. Proved only when the exchange is done.
    pub(super) account: Option<Account>,
    /// Another name of the same account, beside those that the directory knows: that in its token.
    pub(super) same: Option<String>,
    /// Whose the client's certificate is, as a rule names it.
    pub(super) certified: Option<String>,
    /// What has proved the login and ends by itself.
    pub(super) ends: Option<(Credential, Timestamp)>,
    /// As whom it acts, where that is somebody else, and by which rule it may.
    pub(super) acting: Option<(Account, Rule)>,
    /// Why the try was not allowed.
    pub(super) closed: Option<Closed>,
    /// The account that a directory has found, as that one names it, whether or not the proof holds.
    pub(super) found: Option<String>,
    /// Why a directory could not be asked, where another one could: then a proof that fails ends like a login that nobody
    /// knows, with the word to try again.
    pub(super) outage: Option<String>,
    /// Whether a directory has denied the login while another one was down: a guess, though the reply is to try again.
    pub(super) wrong: bool,
    /// There if the login can be guessed at, and so counts for the throttle.
    pub(super) attempt: Option<Attempt>,
}

impl Findings {
    /// Closes the login if the account that was found is locked out, by whatever names it was tried.
    pub(super) fn close_if_locked_out(&mut self) -> bool {
        let locked_out = self.attempt.as_ref().zip(self.found.as_deref());
        let left = locked_out.and_then(|(attempt, account)| attempt.account_locked_out(account));
        self.closed = self.closed.or_else(|| left.map(Closed::LockedOut));
        left.is_some()
    }

    /// Keeps the account and gives its name.
    pub(super) fn keep(&mut self, account: Account) -> String {
        let login = account.login.clone();
        self.account = Some(account);
        login
    }

    /// Answers a question of yes or no.
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
