//! Whether the login that a token belongs to may still log in. Tokens are made once and used for years: who has left keeps none.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use postern_directory::{DenyReason, Directories, PasswordVerdict};

/// How long an answer of the directories is used.
const KEPT: SignedDuration = SignedDuration::from_secs(60);

/// Answers that are kept at once; there are no more tokens than that.
const ANSWERS_MAX: usize = 1_000;

/// An answer: why the login is refused, the state of Postern's own users then, and when.
type Answer = (Option<DenyReason>, Option<u64>, Timestamp);

/// What the directories said of late about logins that have tokens.
#[derive(Debug, Default)]
pub(super) struct LoginsOfTokens {
    answers: Mutex<HashMap<String, Answer>>,
}

impl LoginsOfTokens {
    /// Why the directories would refuse a login; `None` if they would not, or cannot tell.
    pub(super) async fn refusal(&self, directories: &Directories, login: &str) -> Option<DenyReason> {
        let (state, now) = (directories.users_state(), Timestamp::now());
        let known = self.answers.lock().get(login).copied();
        if let Some((refusal, then, at)) = known
            && is_fresh(then, at, state, now)
        {
            return refusal;
        }
        let refusal = match directories.find_account(login).await {
            PasswordVerdict::Granted(_) => None,
            // saslauthd and Dovecot cannot be asked about a login: nothing is known of theirs.
            PasswordVerdict::Denied(reason @ (DenyReason::UnknownUser | DenyReason::Malformed)) => {
                (directories.login_exists(login).await == Some(false)).then_some(reason)
            }
            PasswordVerdict::Denied(reason) => Some(reason),
            PasswordVerdict::Unavailable { .. } => return None,
        };
        let mut answers = self.answers.lock();
        if answers.len() >= ANSWERS_MAX {
            answers.retain(|_, (_, then, at)| is_fresh(*then, *at, state, now));
        }
        if answers.len() < ANSWERS_MAX || answers.contains_key(login) {
            answers.insert(login.to_owned(), (refusal, state, now));
        }
        refusal
    }
}

/// Whether an answer still holds: it is young, and Postern's own users are what they were.
fn is_fresh(then: Option<u64>, at: Timestamp, state: Option<u64>, now: Timestamp) -> bool {
    then.is_some() && then == state && at.saturating_add(KEPT).is_ok_and(|end| now < end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_an_answer_holds() {
        let at = |seconds: i64| Timestamp::from_second(1_800_000_000 + seconds).unwrap();
        #[rustfmt::skip]
        let cases = [
            // what the case shows          then     state    after  holds
            ("the same users",              Some(1), Some(1), 59,    true),
            ("a minute later",              Some(1), Some(1), 60,    false),
            ("other users",                 Some(1), Some(2), 1,     false),
            ("nobody knows what changed",   None,    None,    1,     false),
        ];
        for (shows, then, state, after, holds) in cases {
            assert_eq!(is_fresh(then, at(0), state, at(after)), holds, "{shows}");
        }
    }
}
