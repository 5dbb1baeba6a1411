//! A try at a login that can be guessed at: when it may be made, and what it counts for.

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

/// How long a try waits for its turn.
const BUSY_MAX: Duration = Duration::from_secs(10);

/// A try, from before its delay until its outcome was told, over all turns of the exchange. However it ends, it is not under way
/// any more.
pub(super) struct Attempt {
    shared: Arc<Shared>,
    source: Source,
    peer: Option<IpAddr>,
    /// The session's name in the log.
    session: String,
    /// The login, in its normal form if it has one.
    login: String,
    ticket: Ticket,
    /// Whether the client has learned something of the account and its answer is awaited.
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
    /// Waits as long as this login from this network has to.
    ///
    /// # Errors
    ///
    /// It is locked out, or too many wait.
    pub(super) async fn begin(login: &str, origin: &Origin<'_>) -> Result<Self, Closed> {
        let source = origin.source();
        // As the directories are asked, so that it counts as one.
        let login = normal_login(login).unwrap_or_else(|_| login.to_owned());
        let begun = tokio::time::Instant::now();
        let (mut verdict, ticket) = origin.shared.throttle.lock().begin(&source, &login, time::now());
        // Held from here on: a client that hangs up while it waits ends its try.
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
                    // Who is told to come later in any case is told so at once.
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

    /// Who asks the directories.
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

    /// The client is shown a challenge that depends on the account. From now on its silence counts.
    pub(super) fn challenge(&mut self) {
        self.challenged = true;
        self.shared.throttle.lock().challenged(&mut self.ticket);
    }

    /// How long the account is locked out that a directory has found, whatever was typed.
    pub(super) fn account_locked_out(&self, account: &str) -> Option<Duration> {
        let throttle = self.shared.throttle.lock();
        throttle.account_locked_out(&self.source, account, time::now())
    }

    /// A proof was wrong.
    pub(super) fn fail(mut self, account: Option<&str>) {
        self.challenged = false;
        self.count(account, Weight::Wrong);
    }

    /// A proof was wrong for all that can be known while a directory is down. The login may be one of those that this one knows: so
    /// it weighs less, and nothing where the login has succeeded from there before and nobody else knows it.
    pub(super) fn fail_in_doubt(mut self, account: Option<&str>) {
        self.challenged = false;
        if account.is_some() || !self.ticket.is_known() {
            self.count(account, Weight::InDoubt);
        }
    }

    /// The client has proved itself.
    pub(super) fn succeed(mut self, account: &str) {
        self.challenged = false;
        let mut throttle = self.shared.throttle.lock();
        throttle.success(&self.source, &self.login, account, time::now());
    }

    /// There was no room for it: who guesses goes on asking.
    pub(super) fn turn_away(&self) {
        let alarms = {
            let mut throttle = self.shared.throttle.lock();
            throttle.turned_away(&self.ticket, time::now())
        };
        self.raise(alarms);
    }

    /// The end of the exchange is none of the client's.
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

/// Tells the administrator, once each, with how much it took.
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
        // A login that many guess at is not about one of them.
        peer: peer.filter(|_| locked_out.is_some()),
        login,
        failures,
        seconds: locked_out.map(|locked_out| locked_out.as_secs()),
        rule: alarm.rule(),
        word: Word(alarm.words()),
    });
}
