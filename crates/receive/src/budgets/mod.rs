//! Budgets of users, networks and sender domains ([`postern_policy::budget`]): the state that all sessions share.

mod account;
mod countries;
pub(crate) mod named;
mod observer;
pub(crate) mod session;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use postern_mail::{ForwardPath, Mailbox};
use postern_policy::budget::mark::HeldMost;
use postern_policy::budget::{Budget, Exceeded, Ledger, Mark, Moment, RecipientKey};
use tokio::sync::{Notify, watch};

pub use self::account::{AccountInfo, BoundInfo, MarkInfo, MessageInfo, NetworkInfo};
pub use self::countries::{Countries, CountriesError};
pub use self::observer::{BudgetObserver, is_unknown_recipient};

/// Most news items that wait to be sent.
const NEWS_MAX: usize = 1_000;

/// How long to wait for the store.
const WRITE_MAX: Duration = Duration::from_secs(10);

/// Budgets, and what happens beyond them.
#[derive(Clone, Debug)]
pub struct BudgetSettings {
    /// The budgets, in order. Default none.
    pub budgets: Vec<Budget>,
    /// Whether users without a budget are counted too, so that administrators can look at their accounts. Default no.
    pub learns: bool,
    /// How much mail of an account on hold is kept. Default 1,000 messages and 1 GiB.
    pub held: HeldMost,
    /// The time between two messages that are slowed down. Default 10 s.
    pub delay: Duration,
    /// The longest that one of them waits; further ones are deferred. Default 60 s.
    pub delay_most: Duration,
    /// Who is notified by mail that an account is on hold. Default nobody.
    pub notify: Vec<Mailbox>,
    /// Whether its user is notified too. Default no.
    pub notify_user: bool,
    /// The countries of networks. Default unknown.
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

/// The budget state that all sessions share. It outlives the settings, and is restored after a restart (`remember/budgets.rs`).
#[derive(Debug)]
pub struct Budgets {
    pub(crate) ledger: Mutex<Ledger>,
    settings: ArcSwap<BudgetSettings>,
    /// Whether anything counts or anybody is on hold: what every session looks at first.
    in_use: AtomicBool,
    /// By which recipients are told apart. It comes from the store, or is made of chance.
    key: OnceLock<RecipientKey>,
    clock: Clock,
    /// Limits exceeded without a message, not yet reported.
    exceeded: Mutex<Vec<Exceeded>>,
    /// What is more than usual, and was not told yet.
    unusual: Mutex<Vec<Exceeded>>,
    /// There is something to be told.
    news: Notify,
    /// The first address of users whose account was put on hold, until they are notified.
    addresses: Mutex<HashMap<Box<str>, String>>,
    /// Signals that the accounts on hold have changed and must be written.
    write: Notify,
    /// The last change that has been written.
    written: watch::Sender<u64>,
}

/// A clock in seconds that follows the monotonic clock, even if the system clock is set.
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
            in_use: AtomicBool::new(false),
            key: OnceLock::new(),
            clock: Clock {
                base: AtomicU64::new(base),
                started: Instant::now(),
            },
            exceeded: Mutex::default(),
            unusual: Mutex::default(),
            news: Notify::new(),
            addresses: Mutex::default(),
            write: Notify::new(),
            written: watch::Sender::new(0),
        }
    }
}

impl Budgets {
    /// Puts these settings into force. Counts are kept.
    pub fn configure(&self, settings: &Arc<BudgetSettings>) {
        if Arc::ptr_eq(&self.settings.load(), settings) {
            return;
        }
        self.settings.store(Arc::clone(settings));
        self.change(|ledger| ledger.keep(&settings.budgets, settings.learns));
    }

    /// Whether there is anything to count, or anybody is on hold.
    pub(crate) fn is_in_use(&self) -> bool {
        self.in_use.load(Ordering::Relaxed)
    }

    /// Does what may begin or end that budgets are in use.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Ledger) -> T) -> T {
        let mut ledger = self.ledger.lock();
        let changed = change(&mut ledger);
        self.in_use.store(ledger.is_in_use(), Ordering::Relaxed);
        changed
    }

    /// What stands for a recipient.
    pub(crate) fn recipient(&self, to: &ForwardPath) -> u64 {
        self.key().hash(&to.to_string())
    }

    /// By which recipients are told apart.
    pub(crate) fn key(&self) -> &RecipientKey {
        self.key.get_or_init(|| RecipientKey::new(rand::random()))
    }

    /// They are told apart as before the restart.
    pub(crate) fn has_key(&self, key: RecipientKey) {
        let _ = self.key.set(key);
    }

    /// How many accounts are on hold.
    #[must_use]
    pub fn count_on_hold(&self) -> usize {
        match self.is_in_use() {
            true => self.ledger.lock().marks().count(),
            false => 0,
        }
    }

    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> Arc<BudgetSettings> {
        self.settings.load_full()
    }

    /// Now, by the clock of budgets.
    pub(crate) fn now(&self) -> Moment {
        self.clock.base.load(Ordering::Relaxed) + self.clock.started.elapsed().as_secs()
    }

    /// Takes a moment from before a restart: the clock continues from there, even if the system clock was set back.
    pub(crate) fn has_been(&self, moment: Moment) {
        let elapsed = self.clock.started.elapsed().as_secs();
        let base = moment.saturating_sub(elapsed);
        self.clock.base.fetch_max(base, Ordering::Relaxed);
    }

    /// A moment in terms of the current system clock.
    pub(crate) fn shown(&self, moment: Moment) -> Timestamp {
        let ago = i64::try_from(self.now().saturating_sub(moment)).unwrap_or(i64::MAX);
        let shown = Timestamp::now().checked_sub(SignedDuration::from_secs(ago));
        shown.unwrap_or(Timestamp::MIN)
    }

    /// The next news for administrators; waits until there is some.
    pub async fn next_news(&self) -> BudgetNews {
        loop {
            let news = BudgetNews {
                on_hold: self.untold(),
                exceeded: std::mem::take(&mut *self.exceeded.lock()),
                unusual: std::mem::take(&mut *self.unusual.lock()),
            };
            if !news.is_empty() {
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

    /// Notes that a budget has put an account on hold, whose user has this address.
    pub(crate) fn is_on_hold(&self, account: &str, address: Option<String>) {
        if let Some(address) = address {
            self.addresses.lock().insert(account.into(), address);
        }
        self.news.notify_one();
        self.write.notify_one();
    }

    /// Notes that an account may be on hold for which nobody was notified before a restart.
    pub(crate) fn somebody_may_be_on_hold(&self) {
        self.news.notify_one();
    }

    /// Has the accounts on hold written, and waits until that is done; not for ever, since there may be no store.
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

    /// Waits until the accounts on hold have changed.
    pub async fn holds_change(&self) {
        self.write.notified().await;
    }

    fn add_news(&self, news: Vec<Exceeded>) {
        self.add_to(&self.exceeded, news);
    }

    /// Administrators hear by mail of what is more than usual.
    pub(crate) fn add_unusual(&self, unusual: Vec<Exceeded>) {
        self.add_to(&self.unusual, unusual);
    }

    fn add_to(&self, to: &Mutex<Vec<Exceeded>>, news: Vec<Exceeded>) {
        if !news.is_empty() {
            let mut told = to.lock();
            told.extend(news);
            told.truncate(NEWS_MAX);
            self.news.notify_one();
        }
    }
}

/// News for administrators.
#[derive(Clone, Debug)]
pub struct BudgetNews {
    /// Accounts that a budget has put on hold.
    pub on_hold: Vec<OnHold>,
    /// Limits with action `warn` that were exceeded by something other than a message.
    pub exceeded: Vec<Exceeded>,
    /// What is more than usual, and was only warned of.
    pub unusual: Vec<Exceeded>,
}

impl BudgetNews {
    fn is_empty(&self) -> bool {
        self.on_hold.is_empty() && self.exceeded.is_empty() && self.unusual.is_empty()
    }
}

/// An account that a budget has put on hold.
#[derive(Clone, Debug)]
pub struct OnHold {
    /// Its user name, or its network.
    pub account: Box<str>,
    /// The reason.
    pub mark: Mark,
    /// The first address of its user, if known.
    pub address: Option<String>,
}
