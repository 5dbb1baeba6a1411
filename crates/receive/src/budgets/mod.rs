//! Budgets of logins, networks and sender domains ([`postern_policy::budget`]): what all sessions share of them.

mod account;
mod countries;
mod observer;
pub(crate) mod session;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use postern_mail::Mailbox;
use postern_policy::budget::mark::HeldMost;
use postern_policy::budget::{Budget, Exceeded, Ledger, Mark, Moment};
use tokio::sync::{Notify, watch};

pub use self::account::{AccountInfo, BoundInfo, MarkInfo, MessageInfo, NetworkInfo};
pub use self::countries::{Countries, CountriesError};
pub use self::observer::BudgetObserver;

/// Most news that wait to be told.
const NEWS_MAX: usize = 1_000;

/// How long to wait for the store.
const WRITE_MAX: Duration = Duration::from_secs(10);

/// Budgets, and what is done beyond them.
#[derive(Clone, Debug)]
pub struct BudgetSettings {
    /// The budgets, in order. Default none.
    pub budgets: Vec<Budget>,
    /// Whether logins are counted where no budget is about them, for who looks at an account. Default no.
    pub learns: bool,
    /// How much of an account on hold is kept. Default 1,000 messages and 1 GiB.
    pub held: HeldMost,
    /// How much time lies between two messages that are slowed down. Default 10 s.
    pub delay: Duration,
    /// How long one of them waits at most; the next ones are refused for now. Default 60 s.
    pub delay_most: Duration,
    /// Who is told by mail that an account is on hold. Default nobody.
    pub notify: Vec<Mailbox>,
    /// Whether its user is told, too. Default no.
    pub notify_user: bool,
    /// In which countries networks are. Default unknown.
    pub countries: Option<Arc<Countries>>,
}

impl Default for BudgetSettings {
    fn default() -> Self {
        Self {
            budgets: Vec::new(),
            learns: false,
            held: HeldMost::default(),
            delay: Duration::from_secs(10),
            delay_most: Duration::from_secs(60),
            notify: Vec::new(),
            notify_user: false,
            countries: None,
        }
    }
}

/// What all sessions share of budgets. It outlives the settings, and comes back after a restart (`remember/budgets.rs`).
#[derive(Debug)]
pub struct Budgets {
    pub(crate) ledger: Mutex<Ledger>,
    settings: ArcSwap<BudgetSettings>,
    clock: Clock,
    /// What went beyond a bound without a message, and was not told yet.
    exceeded: Mutex<Vec<Exceeded>>,
    /// There is something to be told.
    news: Notify,
    /// The first address of users whose account was put on hold, until they are told.
    addresses: Mutex<HashMap<Box<str>, String>>,
    /// Who is on hold has changed, and is to be written.
    write: Notify,
    /// Up to which change that is written.
    written: watch::Sender<u64>,
}

/// Seconds of a clock that runs with the monotonic one, whatever becomes of the system's.
#[derive(Debug)]
struct Clock {
    base: AtomicU64,
    started: Instant,
}

impl Default for Budgets {
    fn default() -> Self {
        let base = u64::try_from(Timestamp::now().as_second()).unwrap_or(0);
        Self {
            ledger: Mutex::default(),
            settings: ArcSwap::default(),
            clock: Clock {
                base: AtomicU64::new(base),
                started: Instant::now(),
            },
            exceeded: Mutex::default(),
            news: Notify::new(),
            addresses: Mutex::default(),
            write: Notify::new(),
            written: watch::Sender::new(0),
        }
    }
}

impl Budgets {
    /// From now on these settings hold. What was counted stays.
    pub fn configure(&self, settings: &Arc<BudgetSettings>) {
        if Arc::ptr_eq(&self.settings.load(), settings) {
            return;
        }
        self.settings.store(Arc::clone(settings));
        self.ledger.lock().keep(&settings.budgets, settings.learns);
    }

    /// The settings that hold now.
    #[must_use]
    pub fn settings(&self) -> Arc<BudgetSettings> {
        self.settings.load_full()
    }

    /// Now, by the clock of budgets.
    pub(crate) fn now(&self) -> Moment {
        self.clock.base.load(Ordering::Relaxed) + self.clock.started.elapsed().as_secs()
    }

    /// A moment of before a restart has been seen: the clock goes on from there, even where the system's was set back.
    pub(crate) fn has_been(&self, moment: Moment) {
        let elapsed = self.clock.started.elapsed().as_secs();
        let base = moment.saturating_sub(elapsed);
        self.clock.base.fetch_max(base, Ordering::Relaxed);
    }

    /// A moment as the system's clock has it now.
    pub(crate) fn shown(&self, moment: Moment) -> Timestamp {
        let ago = i64::try_from(self.now().saturating_sub(moment)).unwrap_or(i64::MAX);
        let shown = Timestamp::now().checked_sub(SignedDuration::from_secs(ago));
        shown.unwrap_or(Timestamp::MIN)
    }

    /// What is to be told to administrators; waits until there is something.
    pub async fn next_news(&self) -> BudgetNews {
        loop {
            let news = BudgetNews {
                on_hold: self.untold(),
                exceeded: std::mem::take(&mut *self.exceeded.lock()),
            };
            if !news.on_hold.is_empty() || !news.exceeded.is_empty() {
                return news;
            }
            self.news.notified().await;
        }
    }

    fn untold(&self) -> Vec<OnHold> {
        let untold = self.ledger.lock().untold();
        let mut addresses = self.addresses.lock();
        let told = untold.into_iter().map(|(account, mark)| OnHold {
            address: addresses.remove(&account),
            account,
            mark,
        });
        told.collect()
    }

    /// A budget has put an account on hold, whose user has this address.
    pub(crate) fn is_on_hold(&self, account: &str, address: Option<String>) {
        if let Some(address) = address {
            self.addresses.lock().insert(account.into(), address);
        }
        self.news.notify_one();
        self.write.notify_one();
    }

    /// Somebody may be on hold of whom nobody was told before a restart.
    pub(crate) fn somebody_may_be_on_hold(&self) {
        self.news.notify_one();
    }

    /// Has it written who is on hold, and waits until that is done; not for ever, since there may be no store.
    pub async fn write_holds(&self) {
        let version = self.ledger.lock().marks_version();
        self.write.notify_one();
        let mut written = self.written.subscribe();
        let done = written.wait_for(|written| *written >= version);
        let _ = tokio::time::timeout(WRITE_MAX, done).await;
    }

    pub(crate) fn has_written(&self, version: u64) {
        self.written.send_if_modified(|written| {
            let is_new = version > *written;
            *written = version.max(*written);
            is_new
        });
    }

    /// Waits until it has changed who is on hold.
    pub async fn holds_change(&self) {
        self.write.notified().await;
    }

    fn add_news(&self, news: Vec<Exceeded>) {
        if !news.is_empty() {
            let mut exceeded = self.exceeded.lock();
            exceeded.extend(news);
            exceeded.truncate(NEWS_MAX);
            self.news.notify_one();
        }
    }
}

/// What administrators are told.
#[derive(Clone, Debug)]
pub struct BudgetNews {
    /// Accounts that a budget has put on hold.
    pub on_hold: Vec<OnHold>,
    /// What went beyond a bound that only warns, and was no message.
    pub exceeded: Vec<Exceeded>,
}

/// An account that a budget has put on hold.
#[derive(Clone, Debug)]
pub struct OnHold {
    /// Its login, or its network.
    pub account: Box<str>,
    /// Why.
    pub mark: Mark,
    /// The first address of its user, where it is known.
    pub address: Option<String>,
}
