//! Accounts on hold, and what budgets have counted.

use std::time::Duration;

use postern_events::{AccountActed, Observers, Word};
use postern_mail::{QueueId, normal_login};
use postern_receive::{AccountInfo, BoundInfo, Budgets, MarkInfo};
use postern_spool::{Filter, Page, Selection, Spool, SpoolError};
use serde::{Deserialize, Serialize};

use super::protocol::Changed;
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

/// A released account.
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

pub(crate) fn show(budgets: &Budgets, account: &str) -> Result<AccountInfo, String> {
    budgets.account(&named(account)).ok_or_else(|| {
        format!("nothing is known of an account {account:?}: it has sent nothing that a budget counts, and is not on hold")
    })
}

pub(crate) fn list(budgets: &Budgets) -> Vec<AccountLine> {
    let on_hold = budgets.on_hold().into_iter();
    on_hold
        .map(|(account, hold)| AccountLine { account, hold })
        .collect()
}

/// Puts an account on hold, with its queued mail.
pub(crate) async fn hold(
    wish: &AccountWish,
    by: &str,
    budgets: &Budgets,
    spool: &dyn Spool,
    observers: &Observers,
) -> Result<Changed, SpoolError> {
    let reason = wish.reason.as_deref().unwrap_or("by an administrator");
    let account = named(&wish.account);
    budgets.hold(&account, by, reason);
    budgets.write_holds().await;
    let changed = hold_queued(spool, &account, reason).await?;
    observers.tell(AccountActed {
        login: &account,
        by: Some(by),
        reason: Some(reason),
        changed: Some(changed),
        word: Word("account on hold"),
    });
    Ok(Changed { changed })
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
    let mut changed = clear(wish, by, spool).await?;
    // Mail that arrived just then was still held.
    tokio::time::sleep(UNDER_WAY).await;
    changed += clear(wish, by, spool).await?;
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

/// Releases or removes all held mail of an account.
async fn clear(wish: &AccountWish, by: &str, spool: &dyn Spool) -> Result<u64, SpoolError> {
    let reasons = held_reasons(&wish.account);
    let held = Filter {
        held: Some(true),
        ..Filter::default()
    };
    let (mut after, mut changed) = (None, 0);
    loop {
        let page = spool.list(&held, Page { after, limit: PAGE }).await?;
        after = page.messages.last().map(|last| last.id);
        let is_theirs = |hold: &String| reasons.iter().any(|reason| hold.starts_with(reason.as_str()));
        let theirs: Vec<QueueId> = page
            .messages
            .iter()
            .filter(|message| message.hold.as_ref().is_some_and(is_theirs))
            .map(|message| message.id)
            .collect();
        if !theirs.is_empty() {
            let which = Selection::Ids(theirs);
            changed += match wish.remove {
                true => spool.remove(which, by).await?,
                false => spool.release(which, by).await?,
            };
        }
        if !page.more || after.is_none() {
            return Ok(changed);
        }
    }
}

pub(crate) fn budgets(budgets: &Budgets) -> Vec<BudgetLine> {
    let settings = budgets.settings();
    let lines = settings.budgets.iter().map(|budget| BudgetLine {
        budget: budget.name.to_string(),
        per: budget.per.name().to_owned(),
        bounds: budget
            .bounds
            .iter()
            .map(|bound| {
                format!(
                    "{} {} in {}: {}",
                    bound.most,
                    bound.counted.words(),
                    bound.span.words(),
                    bound.action.name()
                )
            })
            .collect(),
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
