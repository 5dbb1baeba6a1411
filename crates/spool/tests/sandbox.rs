//! Mail of test accounts: kept, and never delivered, whatever happens to the queue.

#![allow(clippy::unwrap_used, reason = "a test program")]

mod common;

use common::*;
use postern_mail::QueueId;
use postern_policy::rule::Rule;
use postern_spool::{Filter, Hold, Page, RecipientState, Selection, Spool, SqliteSpool};

async fn put_kept(spool: &SqliteSpool, recipients: &[&str]) -> QueueId {
    let mut message = new_message(spool, recipients, b"Subject: x\r\n\r\nhello\r\n");
    message.hold = Some(Hold::by_rule(
        Rule::SandboxKept,
        "mail of tester is never delivered",
    ));
    spool.put(message).await.unwrap().id
}

async fn state(spool: &SqliteSpool, id: QueueId) -> RecipientState {
    spool.show(id).await.unwrap().unwrap().recipients[0].state
}

async fn listed(spool: &SqliteSpool, filter: &Filter) -> Vec<QueueId> {
    let page = spool.list(filter, Page::default()).await.unwrap();
    page.messages.into_iter().map(|summary| summary.id).collect()
}

#[test]
fn the_schema_names_the_rule() {
    assert_eq!(Rule::SandboxKept.name(), "sandbox.kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_removal_takes_it_away() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(folder.path());
    let kept = put_kept(&spool, &[OUTSIDE, "b@inside.example"]).await;
    let held = put(&spool, &[OUTSIDE]).await.id;
    let all = || Selection::Filter(Filter::default());
    assert_eq!(
        spool.hold(all(), "root", "looks odd").await.unwrap(),
        1,
        "it is held already"
    );
    for round in ["at once", "after a restart"] {
        assert_eq!(spool.counts().sandboxed, 1, "{round}");
        assert_eq!(spool.counts().held, 1, "{round}");
        let sandboxed = |sandboxed| Filter {
            sandboxed: Some(sandboxed),
            ..Filter::default()
        };
        assert_eq!(listed(&spool, &sandboxed(true)).await, [kept], "{round}");
        assert_eq!(listed(&spool, &sandboxed(false)).await, [held], "{round}");
        let waiting = Filter {
            held: Some(true),
            ..Filter::default()
        };
        assert_eq!(listed(&spool, &waiting).await, [held], "{round}");
        assert_eq!(
            spool.release(Selection::Ids(vec![kept]), "root").await.unwrap(),
            0,
            "{round}"
        );
        assert_eq!(
            spool.retry_now(Selection::Ids(vec![kept]), "root").await.unwrap(),
            0,
            "{round}"
        );
        assert_eq!(spool.flush(None, "root").await.unwrap(), 0, "{round}");
        assert_eq!(state(&spool, kept).await, RecipientState::Held, "{round}");
        let ages = spool.ages(vec![later(3600)]).await.unwrap();
        assert_eq!(ages.older, [1], "it does not make the queue old");
        spool.close().await.unwrap();
        drop(spool);
        check_consistency(folder.path());
        spool = open(folder.path());
    }
    assert_eq!(
        spool.release(all(), "root").await.unwrap(),
        1,
        "the other goes its way"
    );
    assert_eq!(spool.remove(Selection::Ids(vec![kept]), "root").await.unwrap(), 1);
    assert_eq!((spool.counts().sandboxed, spool.counts().sandboxed_bytes), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn its_time_ends_without_a_report() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let kept = put_kept(&spool, &[OUTSIDE]).await;
    let other = put(&spool, &[OUTSIDE]).await.id;
    assert_eq!(
        spool.expire_sandboxed(later(-60)).await.unwrap(),
        0,
        "it is young"
    );
    assert_eq!(spool.expire_sandboxed(later(60)).await.unwrap(), 1);
    assert!(spool.show(kept).await.unwrap().is_none());
    let history = spool.history(kept).await.unwrap();
    assert_eq!(
        history[0].by.as_deref(),
        Some("Postern: its time in the sandbox is over")
    );
    assert!(spool.show(other).await.unwrap().is_some());
    assert_eq!(spool.counts().messages, 1, "and no report");
}
