//! An attempt with credentials that can be guessed: when it may be made, and how it counts.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use postern_directory::Asker;
use postern_events::{LockedOut, Observers, Word};
use postern_mail::normal_login;
use postern_policy::rule::Verdict;
use postern_policy::throttle::{Alarm, Closed, Source, ThrottleVerdict, Ticket, Weight};

use super::origin::Origin;
use crate::shared::Shared;
use crate::time;

/// How long to wait before asking again whether a check may begin.
const BUSY_PAUSE: Duration = Duration::from_millis(50);

/// How long an attempt waits for its turn.
const BUSY_MAX: Duration = Duration::from_secs(10);

/// An attempt, from before its delay until its outcome is known, over all turns of the exchange. Dropping it ends it.
pub(super) struct Attempt {
    shared: Arc<Shared>,
    source: Source,
    peer: Option<IpAddr>,
    /// The session id in the log.
    session: String,
    /// The user name, in its normal form if it has one.
    login: String,
    ticket: Ticket,
    /// Whether the client was sent something that depends on the account, and its response is awaited.
    challenged: bool,
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if self.challenged {
            self.count(None, Weight::GivenUp);
        }
        self.shared.throttle.lock().end(&self.ticket);
    }
}

impl Attempt {
    /// Waits as long as the throttle demands for this user name from this network.
    ///
    /// # Errors
    ///
    /// It is locked out, or too many attempts are waiting.
    pub(super) async fn begin(login: &str, origin: &Origin<'_>) -> Result<Self, Closed> {
        let source = origin.source();
        // In the form used with directories, so that all spellings count together.
        let login = normal_login(login).unwrap_or_else(|_| login.to_owned());
        let begun = tokio::time::Instant::now();
        let (mut verdict, ticket) = origin.shared.throttle.lock().begin(&source, &login, time::now());
        // Held from here on: if the client hangs up while it waits, the attempt ends.
        let mut attempt = Self {
            shared: Arc::clone(origin.shared),
            source,
            peer: origin.peer,
            session: origin.session.to_owned(),
            login,
            ticket,
            challenged: false,
        };
        let patience = origin.delay_max.map_or(BUSY_MAX, |max| max.min(BUSY_MAX));
        loop {
            match verdict {
                ThrottleVerdict::Check(delay) => {
                    let delay = origin.delay_max.map_or(delay, |max| delay.min(max));
                    // If the reply will be a temporary failure in any case, it is given at once.
                    if !delay.is_zero() && !origin.shared.deps.directories.load().any_hangs() {
                        tokio::time::sleep(delay).await;
                    }
                    return Ok(attempt);
                }
                ThrottleVerdict::LockedOut(left) => return Err(Closed::LockedOut(left)),
                ThrottleVerdict::Busy if begun.elapsed() < patience => {
                    tokio::time::sleep(BUSY_PAUSE).await;
                    let now = time::now();
                    verdict = attempt.shared.throttle.lock().retry(&mut attempt.ticket, now);
                }
                ThrottleVerdict::Busy | ThrottleVerdict::Full => {
                    attempt.turn_away();
                    return Err(Closed::Busy);
                }
            }
        }
    }

    /// The asker, for the directories.
    pub(super) fn asker(&self) -> Asker {
        let network = match &self.source {
            Source::Peer(peer) => {
                let settings = self.shared.deps.settings.load();
                Some(settings.throttle.network.of(*peer))
            }
            Source::Place(_) => None,
        };
        Asker {
            peer: self.peer,
            network,
            standing: self.ticket.standing(),
        }
    }

    /// The client is sent a challenge that depends on the account. From now on giving up counts too.
    pub(super) fn challenge(&mut self) {
        self.challenged = true;
        self.shared.throttle.lock().challenged(&mut self.ticket);
    }

    /// How long the account that a directory found is locked out, whatever was typed.
    pub(super) fn account_locked_out(&self, account: &str) -> Option<Duration> {
        let throttle = self.shared.throttle.lock();
        throttle.account_locked_out(&self.source, account, time::now())
    }

    /// The credentials were wrong.
    pub(super) fn fail(mut self, account: Option<&str>) {
        self.challenged = false;
        self.count(account, Weight::Wrong);
    }

    /// The credentials were wrong as far as can be known while a directory is down. That directory may know the user: so this
    /// weighs less, and nothing if the user name has succeeded from there before and no other directory knows it.
    pub(super) fn fail_in_doubt(mut self, account: Option<&str>) {
        self.challenged = false;
        if account.is_some() || !self.ticket.is_known() {
            self.count(account, Weight::InDoubt);
        }
    }

    /// The credentials were right.
    pub(super) fn succeed(mut self, account: &str) {
        self.challenged = false;
        let mut throttle = self.shared.throttle.lock();
        throttle.success(&self.source, &self.login, account, time::now());
    }

    /// There was no room for the attempt, which counts since guessers keep asking.
    pub(super) fn turn_away(&self) {
        let alarms = {
            let mut throttle = self.shared.throttle.lock();
            throttle.turned_away(&self.ticket, time::now())
        };
        self.raise(alarms);
    }

    /// The exchange ended through no fault of the client.
    pub(super) fn excuse(mut self) {
        self.challenged = false;
    }

    fn count(&self, account: Option<&str>, weight: Weight) {
        let alarms = {
            let mut throttle = self.shared.throttle.lock();
            throttle.failure(&self.source, &self.login, account, weight, time::now())
        };
        self.raise(alarms);
    }

    fn raise(&self, alarms: Vec<Alarm>) {
        for alarm in alarms {
            raise(&alarm, &self.source, &self.session, &self.shared.deps.observers);
        }
    }
}

/// Reports an alarm once, with the number of attempts.
pub(super) fn raise(alarm: &Alarm, source: &Source, session: &str, observers: &Observers) {
    let peer = match source {
        Source::Peer(peer) => Some(*peer),
        Source::Place(_) => None,
    };
    let (login, failures, locked_out) = match alarm {
        Alarm::Pair {
            login,
            failures,
            locked_out,
        } => (Some(login.as_str()), *failures, Some(*locked_out)),
        Alarm::Network { failures, locked_out } => (None, *failures, Some(*locked_out)),
        Alarm::Login { login, failures } => (Some(login.as_str()), *failures, None),
    };
    observers.tell(LockedOut {
        session,
        // For a user name that is attacked from many networks, no single one is named.
        peer: peer.filter(|_| locked_out.is_some()),
        login,
        failures,
        seconds: locked_out.map(|locked_out| locked_out.as_secs()),
        rule: alarm.rule(),
        word: Word(alarm.words()),
    });
}
