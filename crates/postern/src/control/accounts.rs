//! Accounts on hold, and what budgets have counted.

use std::net::IpAddr;
use std::time::Duration;

use postern_directory::Directories;
use postern_events::{AccountActed, Observers, Word};
use postern_mail::{QueueId, normal_login};
use postern_policy::budget::Bound;
use postern_receive::{AccountInfo, BoundInfo, Budgets, MarkInfo};
use postern_spool::{Filter, Page, Selection, Spool, SpoolError, Summary};
use serde::{Deserialize, Serialize};

use super::wishes::AccountWish;
use crate::budgets::{held_reasons, hold_queued};

/// Messages examined at once.
const PAGE: usize = 1_000;

/// How long a message that was counted when an account was released may take to reach the queue.
const UNDER_WAY: Duration = Duration::from_millis(300);

/// Accounts shown for each budget.
const TOP: usize = 10;

/// An account on hold.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct AccountLine {
    pub(crate) account: String,
    #[serde(flatten)]
    pub(crate) hold: MarkInfo,
}

/// An account that was put on hold.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct AccountHeld {
    /// Queued messages that are held with it.
    pub(crate) changed: u64,
    /// Whether it was on hold before.
    pub(crate) was_on_hold: bool,
    /// Whether there is such a user; `None` where no directory can tell.
    pub(crate) exists: Option<bool>,
}

/// An account that was let go.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct AccountReleased {
    /// Messages that were released, or removed.
    pub(crate) changed: u64,
    /// Whether they were removed.
    pub(crate) removed: bool,
}

/// A budget.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct BudgetLine {
    pub(crate) budget: String,
    pub(crate) per: String,
    /// Its bounds, in words.
    pub(crate) bounds: Vec<String>,
    /// The accounts that have used most of it.
    pub(crate) top: Vec<BudgetUse>,
}

/// An account's use of a budget.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct BudgetUse {
    pub(crate) account: String,
    /// In per cent of the bound.
    pub(crate) share: u64,
    #[serde(flatten)]
    pub(crate) bound: BoundInfo,
}

/// An account in the form used by budgets, however its login is written.
fn named(account: &str) -> String {
    normal_login(account).unwrap_or_else(|_| account.to_owned())
}

pub(crate) async fn show(
    budgets: &Budgets,
    account: &str,
    spool: &dyn Spool,
) -> Result<Option<AccountInfo>, SpoolError> {
    let Some(mut info) = budgets.account(&named(account)) else {
        return Ok(None);
    };
    if let Some(hold) = &mut info.hold {
        let mut holds = vec![(info.account.clone(), hold.clone())];
        count_held(&mut holds, spool).await?;
        info.hold = holds.pop().map(|(_, hold)| hold);
    }
    Ok(Some(info))
}

/// What is said of an account of which nothing is known.
pub(crate) fn nothing_known(account: &str) -> String {
    format!(
        "nothing is known of an account {account:?}: it has sent nothing that a budget counts, and is not on hold"
    )
}

pub(crate) async fn list(budgets: &Budgets, spool: &dyn Spool) -> Result<Vec<AccountLine>, SpoolError> {
    let mut on_hold = budgets.on_hold();
    count_held(&mut on_hold, spool).await?;
    let lines = on_hold.into_iter();
    Ok(lines
        .map(|(account, hold)| AccountLine { account, hold })
        .collect())
}

/// Counts what is held of accounts: what a release would let go.
async fn count_held(on_hold: &mut [(String, MarkInfo)], spool: &dyn Spool) -> Result<(), SpoolError> {
    let mut counted: Vec<([String; 2], u64, u64)> = on_hold
        .iter()
        .map(|(account, _)| (held_reasons(account), 0, 0))
        .collect();
    if counted.is_empty() {
        return Ok(());
    }
    let mut held = Held::of(spool);
    while let Some(page) = held.next().await? {
        for message in page {
            let hold = message.hold.as_deref().unwrap_or_default();
            let is_theirs = |reasons: &[String; 2]| reasons.iter().any(|one| hold.starts_with(one.as_str()));
            if let Some(found) = counted.iter_mut().find(|(reasons, ..)| is_theirs(reasons)) {
                found.1 += 1;
                found.2 += message.size;
            }
        }
    }
    for ((_, hold), (_, messages, octets)) in on_hold.iter_mut().zip(counted) {
        (hold.messages, hold.octets) = (messages, octets);
    }
    Ok(())
}

/// All that is held, a page at a time.
struct Held<'a> {
    spool: &'a dyn Spool,
    after: Option<QueueId>,
    is_over: bool,
}

impl<'a> Held<'a> {
    const fn of(spool: &'a dyn Spool) -> Self {
        Self {
            spool,
            after: None,
            is_over: false,
        }
    }

    async fn next(&mut self) -> Result<Option<Vec<Summary>>, SpoolError> {
        if self.is_over {
            return Ok(None);
        }
        let held = Filter {
            held: Some(true),
            ..Filter::default()
        };
        let which = Page {
            after: self.after,
            limit: PAGE,
        };
        let page = self.spool.list(&held, which).await?;
        self.after = page.messages.last().map(|last| last.id);
        self.is_over = !page.more || self.after.is_none();
        Ok(Some(page.messages))
    }
}

/// Puts an account on hold, with its queued mail.
pub(crate) async fn hold(
    wish: &AccountWish,
    by: &str,
    (budgets, directories): (&Budgets, &Directories),
    spool: &dyn Spool,
    observers: &Observers,
) -> Result<AccountHeld, SpoolError> {
    let reason = wish.reason.as_deref().unwrap_or("by an administrator");
    let account = named(&wish.account);
    // One that is only known because somebody has put it on hold need not exist.
    let has_sent = |known: AccountInfo| known.hold.is_none() || !known.recent.is_empty();
    let is_known = account.parse::<IpAddr>().is_ok() || budgets.account(&account).is_some_and(has_sent);
    let exists = match is_known {
        true => Some(true),
        false => directories.login_exists(&account).await,
    };
    let was_on_hold = !budgets.hold(&account, by, reason);
    budgets.write_holds().await;
    let changed = hold_queued(spool, &account, reason).await?;
    observers.tell(AccountActed {
        login: &account,
        by: Some(by),
        reason: Some(reason),
        changed: Some(changed),
        word: Word("account on hold"),
    });
    Ok(AccountHeld {
        changed,
        was_on_hold,
        exists,
    })
}

/// Releases an account and its held mail, or removes that mail; `None` if it was not on hold and nothing was held.
pub(crate) async fn release(
    wish: &AccountWish,
    by: &str,
    budgets: &Budgets,
    spool: &dyn Spool,
    observers: &Observers,
) -> Result<Option<AccountReleased>, SpoolError> {
    let account = named(&wish.account);
    let was_held = budgets.release(&account).is_some();
    budgets.write_holds().await;
    let mut changed = clear(&account, wish.remove, by, spool).await?;
    // What came in just then was held still.
    tokio::time::sleep(UNDER_WAY).await;
    changed += clear(&account, wish.remove, by, spool).await?;
    if !was_held && changed == 0 {
        return Ok(None);
    }
    observers.tell(AccountActed {
        login: &account,
        by: Some(by),
        reason: wish.reason.as_deref(),
        changed: Some(changed),
        word: Word("account released"),
    });
    Ok(Some(AccountReleased {
        changed,
        removed: wish.remove,
    }))
}

/// Lets all go, or removes all, that is held of an account.
async fn clear(account: &str, remove: bool, by: &str, spool: &dyn Spool) -> Result<u64, SpoolError> {
    let reasons = held_reasons(account);
    let (mut held, mut changed) = (Held::of(spool), 0);
    while let Some(page) = held.next().await? {
        let is_theirs = |hold: &String| reasons.iter().any(|reason| hold.starts_with(reason.as_str()));
        let theirs: Vec<QueueId> = page
            .iter()
            .filter(|message| message.hold.as_ref().is_some_and(is_theirs))
            .map(|message| message.id)
            .collect();
        if !theirs.is_empty() {
            let which = Selection::Ids(theirs);
            changed += match remove {
                true => spool.remove(which, by).await?,
                false => spool.release(which, by).await?,
            };
        }
    }
    Ok(changed)
}

pub(crate) fn budgets(budgets: &Budgets) -> Vec<BudgetLine> {
    let settings = budgets.settings();
    let lines = settings.budgets.iter().map(|budget| BudgetLine {
        budget: budget.name.to_string(),
        per: budget.per.name().to_owned(),
        bounds: budget.bounds.iter().map(in_words).collect(),
        top: budgets
            .top(budget, TOP)
            .into_iter()
            .map(|(account, share, bound)| BudgetUse {
                account,
                share,
                bound,
            })
            .collect(),
    });
    lines.collect()
}

/// A bound as people read it.
pub(crate) fn in_words(bound: &Bound) -> String {
    let (counted, span, action) = (bound.counted, bound.span.words(), bound.action.name());
    match &bound.usual {
        None => format!("{} {} in {span}: {action}", bound.most, counted.words(bound.most)),
        Some(rule) => format!(
            "{} times the usual {} in {span}, at least {}: {action}",
            rule.times,
            counted.words(0),
            rule.at_least
        ),
    }
}
