//! What administrators see of an account, and what they can do with it.

use jiff::Timestamp;
use postern_policy::budget::account::Window;
use postern_policy::budget::rules::{Bound, Counted, Per, Span, Who, budget_of};
use postern_policy::budget::{Account, Budget, Mark, MarkedBy, Moment};
use serde::{Deserialize, Serialize};

use super::Budgets;

/// Days after which it is shown what is usual, where no bound says how many.
const LEARNT_AFTER: u32 = 7;

/// What is known of an account.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct AccountInfo {
    /// Its user name, or its network.
    pub account: String,
    /// Whether and why it is on hold.
    pub hold: Option<MarkInfo>,
    /// The budget that applies to it.
    pub budget: Option<String>,
    /// Its current counts and their limits.
    pub counts: Vec<BoundInfo>,
    /// The networks from which it has sent within a day.
    pub networks: Vec<NetworkInfo>,
    /// Its last messages, the newest first.
    pub recent: Vec<MessageInfo>,
}

/// Why an account is on hold.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct MarkInfo {
    /// When it was put on hold.
    pub since: Timestamp,
    /// The budget, if one put it on hold.
    pub budget: Option<String>,
    /// The administrator, if one put it on hold.
    pub by: Option<String>,
    /// The reason.
    pub reason: String,
    /// Messages that are held: those that came since, and those that were queued before.
    pub messages: u64,
    /// Their total size in octets.
    pub octets: u64,
}

/// One count with its limit.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct BoundInfo {
    /// What is counted.
    pub counted: String,
    /// In which time span.
    pub span: String,
    /// The current count.
    pub total: u64,
    /// How much there may be; `None` where nothing bounds it, or it is not known yet what is usual.
    pub most: Option<u64>,
    /// How much is usual, where that is learnt and known.
    pub usual: Option<u64>,
    /// What is done beyond.
    pub action: Option<String>,
}

/// A network.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct NetworkInfo {
    /// The network.
    pub network: String,
    /// When it was seen last.
    pub last_at: Timestamp,
}

/// A message.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct MessageInfo {
    /// Its queue id.
    pub queue: String,
    /// When it was accepted.
    pub at: Timestamp,
    /// The client's network; empty for programs on this machine.
    pub network: String,
    /// Number of recipients.
    pub recipients: u64,
    /// Size in octets.
    pub octets: u64,
}

impl Budgets {
    /// What is known of an account; `None` if nothing is.
    #[must_use]
    pub fn account(&self, name: &str) -> Option<AccountInfo> {
        let settings = self.settings();
        let ledger = self.ledger.lock();
        let now = ledger.now(self.now());
        let (per, who) = match name.parse() {
            Ok(peer) => (Per::Network, who(None, Some(peer))),
            Err(_) => (Per::Login, who(Some(name), None)),
        };
        let account = ledger.account_of(per, name);
        let mark = ledger.mark(name);
        if account.is_none() && mark.is_none() {
            return None;
        }
        let empty = Account::default();
        let account = account.unwrap_or(&empty);
        let budget = budget_of(&settings.budgets, per, &who);
        Some(AccountInfo {
            account: name.to_owned(),
            hold: mark.map(|mark| self.mark_info(mark)),
            budget: budget.map(|budget| budget.name.to_string()),
            counts: counts(account, budget, now),
            networks: account
                .names((Counted::Networks, Span::Day), now)
                .into_iter()
                .map(|(network, ago)| NetworkInfo {
                    network: network.into(),
                    last_at: self.shown(now - ago.min(now)),
                })
                .collect(),
            recent: self.recent(account),
        })
    }

    fn recent(&self, account: &Account) -> Vec<MessageInfo> {
        let mut recent: Vec<MessageInfo> = account
            .recent()
            .map(|one| MessageInfo {
                queue: one.queue.to_string(),
                at: self.shown(one.at),
                network: one.network.to_string(),
                recipients: one.recipients,
                octets: one.octets,
            })
            .collect();
        recent.reverse();
        recent
    }

    /// The accounts on hold, by name.
    #[must_use]
    pub fn on_hold(&self) -> Vec<(String, MarkInfo)> {
        let ledger = self.ledger.lock();
        let marks = ledger.marks();
        marks
            .map(|(name, mark)| (name.to_owned(), self.mark_info(mark)))
            .collect()
    }

    /// Puts an account on hold; false if it already was.
    pub fn hold(&self, name: &str, by: &str, reason: &str) -> bool {
        let is_new = self.change(|ledger| {
            let is_new = ledger.mark(name).is_none();
            ledger.hold(name, by, reason, self.now());
            is_new
        });
        self.write.notify_one();
        is_new
    }

    /// Releases an account, whose counts start from zero; `None` if it was not on hold.
    pub fn release(&self, name: &str) -> Option<MarkInfo> {
        let mark = self.change(|ledger| ledger.release(name, self.now()))?;
        self.write.notify_one();
        Some(self.mark_info(&mark))
    }

    /// The accounts of one kind that have used most of their budget, at most `limit`: name, percentage used, and of which count.
    #[must_use]
    pub fn top(&self, budget: &Budget, limit: usize) -> Vec<(String, u64, BoundInfo)> {
        let settings = self.settings();
        let ledger = self.ledger.lock();
        let now = ledger.now(self.now());
        let mut top: Vec<(String, u64, BoundInfo)> = ledger
            .accounts(budget.per)
            .filter(|(name, _)| {
                let who = key_as_who(budget.per, name);
                budget_of(&settings.budgets, budget.per, &who).is_some_and(|found| found.name == budget.name)
            })
            .filter_map(|(name, account)| {
                let fullest = budget.bounds.iter().map(|bound| share(account, bound, now));
                let (share, bound) = fullest.max_by_key(|(share, _)| *share)?;
                (bound.total > 0).then(|| (name.to_owned(), share, bound))
            })
            .collect();
        top.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        top.truncate(limit);
        top
    }

    fn mark_info(&self, mark: &Mark) -> MarkInfo {
        let (budget, by) = match &mark.by {
            MarkedBy::Budget(budget) => (Some(budget.to_string()), None),
            MarkedBy::Administrator(by) => (None, Some(by.to_string())),
        };
        MarkInfo {
            since: self.shown(mark.since),
            budget,
            by,
            reason: mark.reason.to_string(),
            messages: mark.messages,
            octets: mark.octets,
        }
    }
}

const fn who(login: Option<&str>, peer: Option<std::net::IpAddr>) -> Who<'_> {
    Who {
        login,
        peer,
        sender_domain: None,
    }
}

/// The key of the account with this name.
fn key_as_who(per: Per, name: &str) -> Who<'_> {
    let address = || name.split('/').next().and_then(|address| address.parse().ok());
    match per {
        Per::Login => who(Some(name), None),
        Per::Network => who(None, address()),
        Per::SenderDomain => Who {
            sender_domain: Some(name),
            ..who(None, None)
        },
    }
}

fn share(account: &Account, bound: &Bound, now: Moment) -> (u64, BoundInfo) {
    let window = (bound.counted, bound.span);
    let total = account.total(window, now);
    let most = account.most(bound, now);
    let share = most.map_or(0, |most| total.saturating_mul(100) / most.max(1));
    let usual = bound.usual.and_then(|rule| account.usual(window, rule.days, now));
    let info = BoundInfo {
        most,
        usual,
        action: Some(bound.action.name().to_owned()),
        ..counted(window, total)
    };
    (share, info)
}

fn counted((counted, span): Window, total: u64) -> BoundInfo {
    BoundInfo {
        counted: counted.name().to_owned(),
        span: span.name().to_owned(),
        total,
        most: None,
        usual: None,
        action: None,
    }
}

/// The counts that a budget limits, and the others.
fn counts(account: &Account, budget: Option<&Budget>, now: Moment) -> Vec<BoundInfo> {
    let bounds = budget.map(|budget| &budget.bounds[..]).unwrap_or_default();
    let mut counts: Vec<BoundInfo> = bounds.iter().map(|bound| share(account, bound, now).1).collect();
    for counted_too in [Counted::SentMessages, Counted::SentRecipients] {
        for span in [Span::Hour, Span::Day] {
            let window = (counted_too, span);
            let is_there = |bound: &Bound| (bound.counted, bound.span) == window;
            if !bounds.iter().any(is_there) {
                counts.push(BoundInfo {
                    usual: account.usual(window, LEARNT_AFTER, now),
                    ..counted(window, account.total(window, now))
                });
            }
        }
    }
    counts
}
