//! Requests of administrators.

#![allow(clippy::unwrap_used, reason = "a test program")]

mod common;

use std::time::Duration;

use common::*;
use postern_mail::{FailureFact, FailureKind, QueueId, ReversePath};
use postern_spool::{
    Change, Event, Filter, Outcome, OutcomeKind, Page, RecipientState, Selection, Spool, SpoolError,
    SpoolSettings, SqliteSpool,
};

async fn listed(spool: &SqliteSpool, filter: &Filter) -> Vec<QueueId> {
    let page = spool.list(filter, Page::default()).await.unwrap();
    page.messages.into_iter().map(|summary| summary.id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_find_what_they_say() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let plain = put(&spool, &[OUTSIDE]).await.id;
    let two = put(&spool, &["B@Inside.example", "c@outside.example"]).await.id;
    let mut report = new_message(&spool, &["d@inside.example"], b"x");
    report.envelope.sender = ReversePath::Null;
    report.login = None;
    report.received_at = later(-3600);
    let report = spool.put(report).await.unwrap().id;
    settle(&spool, two, 1, delivered()).await;
    spool
        .hold(Selection::Ids(vec![plain]), "root", "looks odd")
        .await
        .unwrap();

    let text = |text: &str| Some(text.to_owned());
    let none = Filter::default;
    #[rustfmt::skip]
    let cases = [
        // what the case shows                 filter                                                     finds
        ("nothing asked finds all",            none(),                                                    vec![plain, two, report]),
        ("sender in any case",                 Filter { sender: text("ACaird@fccc.example"), ..none() },  vec![plain, two]),
        ("the null sender",                    Filter { sender: text(""), ..none() },                     vec![report]),
        ("an unknown sender",                  Filter { sender: text("x@y.example"), ..none() },          vec![]),
        ("recipient in any case",              Filter { recipient: text("b@inside.EXAMPLE"), ..none() },  vec![two]),
        ("a finished recipient is not found",  Filter { recipient: text("c@outside.example"), ..none() }, vec![]),
        ("domain in any case",                 Filter { domain: text("Inside.Example"), ..none() },       vec![two, report]),
        ("a finished recipient's domain",      Filter { domain: text("outside.example"), ..none() },      vec![plain]),
        ("login",                              Filter { login: text("acaird"), ..none() },                vec![plain, two]),
        ("held",                               Filter { held: Some(true), ..none() },                     vec![plain]),
        ("not held",                           Filter { held: Some(false), ..none() },                    vec![two, report]),
        ("from a time on",                     Filter { received_from: Some(later(-60)), ..none() },      vec![plain, two]),
        ("before a time",                      Filter { received_before: Some(later(-60)), ..none() },    vec![report]),
        ("all conditions must hold",           Filter { held: Some(true), sender: text(""), ..none() },   vec![]),
    ];
    for (shows, filter, finds) in cases {
        assert_eq!(listed(&spool, &filter).await, finds, "{shows}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_comes_in_pages() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let mut ids = Vec::new();
    for _ in 0..7 {
        ids.push(put(&spool, &[OUTSIDE]).await.id);
    }
    let (mut seen, mut page) = (
        Vec::new(),
        Page {
            after: None,
            limit: 3,
        },
    );
    loop {
        let found = spool.list(&Filter::default(), page).await.unwrap();
        assert!(found.messages.len() <= 3);
        seen.extend(found.messages.iter().map(|summary| summary.id));
        page.after = seen.last().copied();
        if !found.more {
            break;
        }
    }
    assert_eq!(seen, ids);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_shown_with_its_outcomes_so_far() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let id = put(&spool, &[OUTSIDE, "b@inside.example", "c@other.example"])
        .await
        .id;
    let until = later(600);
    spool
        .settle(settlement(id, vec![(0, bounced()), (1, deferred(until))]))
        .await
        .unwrap();
    let detail = spool.show(id).await.unwrap().unwrap();
    let summary = &detail.summary;
    assert_eq!((summary.recipients, summary.open, summary.attempts), (3, 2, 1));
    assert_eq!(
        (&*summary.first_recipient, &*summary.last_reply),
        ("b@inside.example", "451 4.2.0 later")
    );
    assert_eq!(summary.last_failure, attempt("451 4.2.0 later").failure);
    assert_eq!(
        *detail.recipients[1].last.clone().unwrap(),
        attempt("451 4.2.0 later")
    );
    assert_eq!(detail.prefix.as_bytes(), PREFIX);
    let states: Vec<_> = detail.recipients.iter().map(|one| one.state).collect();
    assert_eq!(
        states,
        [
            RecipientState::Done,
            RecipientState::Queued,
            RecipientState::Queued
        ]
    );
    assert_eq!(detail.history.len(), 1);
    assert_eq!(detail.history[0].attempt, attempt("550 5.1.1 no such user"));
    assert!(spool.show(spool.next_id()).await.unwrap().is_none());
    // Without an attempt the last one stays; a new one replaces it completely.
    let none = Outcome::Deferred {
        until,
        attempt: None,
        warned: false,
    };
    settle(&spool, id, 1, none).await;
    let last = async || spool.show(id).await.unwrap().unwrap().summary.last_failure;
    assert_eq!(last().await, attempt("451 4.2.0 later").failure);
    let mut lost = attempt("gone");
    lost.failure = Some(FailureFact {
        kind: FailureKind::Unreachable,
        stage: None,
    });
    let unreachable = Outcome::Deferred {
        until,
        attempt: Some(lost.clone()),
        warned: false,
    };
    settle(&spool, id, 1, unreachable).await;
    assert_eq!(last().await, lost.failure);
}

/// A kind written by a later version, or by a faulty disk: it is not shown, and no mail is held because of it.
#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_kind_of_failure_holds_no_mail() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let id = put(&spool, &[OUTSIDE]).await.id;
    settle(&spool, id, 0, deferred(later(-1))).await;
    drop(spool);
    let database = rusqlite::Connection::open(folder.path().join("queue.db")).unwrap();
    database
        .execute("UPDATE recipient SET failure = 'of tomorrow', stage = x'ff'", [])
        .unwrap();
    drop(database);
    let spool = open(folder.path());
    let detail = spool.show(id).await.unwrap().unwrap();
    assert_eq!(
        (detail.summary.last_failure, detail.summary.damaged),
        (None, None)
    );
    let last = detail.recipients[0].last.clone().unwrap();
    assert_eq!((&*last.reply, last.failure), ("451 4.2.0 later", None));
    assert_eq!(due_ids(&spool, "outside.example").await, [id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn hold_and_release_stop_and_start_what_is_in_memory_too() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    // Not reported, so that the fresh one comes first.
    let mut queued = new_message(&spool, &[OUTSIDE], b"x");
    queued.queue_only = true;
    let queued = spool.put(queued).await.unwrap().id;
    let mut subscription = spool.subscribe();
    let fresh = put(&spool, &[OUTSIDE, "b@inside.example"]).await;
    assert!(matches!(event(&mut subscription).await, Event::Fresh(_)));

    assert_eq!(
        spool
            .hold(Selection::Filter(Filter::default()), "root", "storm")
            .await
            .unwrap(),
        2
    );
    let Event::Changed(Change::Held(ids)) = event(&mut subscription).await else {
        panic!("not told")
    };
    assert_eq!(*ids, [queued, fresh.id]);
    assert_eq!(
        spool
            .hold(Selection::Ids(vec![queued]), "root", "again")
            .await
            .unwrap(),
        0
    );
    assert_eq!(
        spool.show(queued).await.unwrap().unwrap().summary.hold.as_deref(),
        Some("root: storm")
    );
    assert!(due_domains(&spool).await.is_empty());

    // An attempt in progress counts; a deferral does not release what is held.
    spool
        .settle(settlement(fresh.id, vec![(0, delivered()), (1, deferred(now()))]))
        .await
        .unwrap();
    assert!(due_domains(&spool).await.is_empty());

    assert_eq!(
        spool
            .release(Selection::Filter(Filter::default()), "root")
            .await
            .unwrap(),
        2
    );
    assert_eq!(due_domains(&spool).await, ["inside.example", "outside.example"]);
    assert_eq!(spool.counts().held, 0);
    drop(fresh);
    spool.close().await.unwrap();
    check_consistency(folder.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_and_flush_make_due_what_was_deferred() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let mut ids = Vec::new();
    for domain in ["a.example", "b.example", "b.example", "c.example"] {
        let id = put(&spool, &[&format!("x@{domain}")]).await.id;
        settle(&spool, id, 0, deferred(later(3600))).await;
        ids.push(id);
    }
    let mut subscription = spool.subscribe();
    assert_eq!(
        spool
            .retry_now(Selection::Ids(vec![ids[0]]), "root")
            .await
            .unwrap(),
        1
    );
    assert!(matches!(event(&mut subscription).await, Event::Changed(Change::Due(due)) if *due == [ids[0]]));
    assert_eq!(due_domains(&spool).await, ["a.example"]);
    let again = spool.retry_now(Selection::Ids(vec![ids[0]]), "root").await;
    assert_eq!(again.unwrap(), 1, "it is due");
    assert_eq!(spool.flush(Some("B.example"), "root").await.unwrap(), 2);
    let told = event(&mut subscription).await;
    assert!(matches!(told, Event::Changed(Change::Flushed(Some(domain))) if domain == "b.example"));
    assert_eq!(due_domains(&spool).await, ["a.example", "b.example"]);
    assert_eq!(spool.flush(None, "root").await.unwrap(), 1);
    assert_eq!(due_domains(&spool).await, ["a.example", "b.example", "c.example"]);
    assert_eq!(spool.flush(None, "root").await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_of_many_reaches_all() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let addresses: Vec<String> = (0..2500)
        .map(|number| format!("u{number}@d{}.example", number % 7))
        .collect();
    let recipients: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let id = put(&spool, &recipients).await.id;
    let all = (0..2500)
        .map(|index| (index, deferred(later(i64::from(60 + index)))))
        .collect();
    spool.settle(settlement(id, all)).await.unwrap();
    assert_eq!(spool.flush(None, "root").await.unwrap(), 2500);
    let mut due = 0;
    for number in 0..7 {
        due += take_due(&spool, &format!("d{number}.example"), now(), 10)
            .await
            .unwrap()[0]
            .recipients
            .len();
    }
    assert_eq!(due, 2500);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_is_the_outcome_and_names_who_did_it() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let mut subscription = spool.subscribe();
    let message = put(&spool, &[OUTSIDE, "b@inside.example"]).await;
    assert!(matches!(event(&mut subscription).await, Event::Fresh(_)));
    settle(&spool, message.id, 0, delivered()).await;
    let domain = Filter {
        domain: Some("inside.example".into()),
        ..Filter::default()
    };
    assert_eq!(spool.remove(Selection::Filter(domain), "alice").await.unwrap(), 1);
    let Event::Changed(Change::Removed(ids)) = event(&mut subscription).await else {
        panic!("not told")
    };
    assert_eq!(*ids, [message.id]);
    let history = spool.history(message.id).await.unwrap();
    assert_eq!(
        (history[0].kind, history[0].by.as_deref()),
        (OutcomeKind::Delivered, None)
    );
    assert_eq!(
        (history[1].kind, history[1].by.as_deref()),
        (OutcomeKind::Removed, Some("alice"))
    );

    // The attempt in progress comes too late.
    let late = settle(&spool, message.id, 1, delivered()).await;
    assert_eq!(late.duplicates[0].first, Some(OutcomeKind::Removed));
    assert_eq!(
        spool
            .remove(Selection::Ids(vec![message.id]), "bob")
            .await
            .unwrap(),
        0
    );
    drop(message);
    assert_eq!(spool.counts(), postern_spool::Counts::default());
    spool.close().await.unwrap();
    check_consistency(folder.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_has_one_owner() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let second = SqliteSpool::open(SpoolSettings::new(folder.path())).unwrap_err();
    let pid = Some(std::process::id());
    assert_eq!(
        second,
        SpoolError::Locked {
            directory: folder.path().to_owned(),
            pid
        }
    );
    assert!(
        second
            .to_string()
            .ends_with(&format!("is in use by process {}", std::process::id()))
    );
    drop(spool);
    open(folder.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_schema_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let database = rusqlite::Connection::open(folder.path().join("queue.db")).unwrap();
    database
        .execute("INSERT INTO schema_version VALUES (99, 0)", [])
        .unwrap();
    let error = SqliteSpool::open(SpoolSettings::new(folder.path())).unwrap_err();
    assert_eq!(error, SpoolError::SchemaTooNew { found: 99, known: 8 });
}

#[tokio::test(flavor = "multi_thread")]
async fn free_space_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    assert!(spool.free_bytes().unwrap() > 0);
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(spool.free_bytes().unwrap() > 0);
}

/// Keeps events as texts.
#[derive(Clone, Default)]
struct Notes(std::sync::Arc<std::sync::Mutex<Vec<String>>>);

impl postern_events::Observer for Notes {
    fn observe(&self, event: &postern_events::Event<'_>) {
        self.0.lock().unwrap().push(format!("{event:?}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_act_is_told_with_the_messages_that_it_changed_and_who_did_it() {
    let folder = tempfile::tempdir().unwrap();
    let notes = Notes::default();
    let spool = SqliteSpool::open(SpoolSettings {
        observers: postern_events::Observers::new(vec![Box::new(notes.clone())]),
        ..SpoolSettings::new(folder.path())
    })
    .unwrap();
    let message = put(&spool, &[OUTSIDE]).await;
    let (one, other) = (message.id, put(&spool, &[OUTSIDE]).await.id);
    let those = |ids: &[QueueId]| Selection::Ids(ids.to_vec());
    spool.hold(those(&[one, other]), "anna", "odd").await.unwrap();
    spool.hold(those(&[one]), "anna", "again").await.unwrap();
    spool.release(those(&[one]), "bert").await.unwrap();
    spool.remove(those(&[other]), "carl").await.unwrap();
    drop(message);
    spool.close().await.unwrap();
    let mut told = notes.0.lock().unwrap().clone();
    told.retain(|note| !note.starts_with("queue open") && !note.starts_with("commit "));
    // Events of an act as a whole come from its caller, those of single messages from the writer.
    told.sort();
    let mut want = vec![
        format!("held queue={one} session=\"s1\" by=\"anna\""),
        format!("held queue={other} session=\"s1\" by=\"anna\""),
        "held by=\"anna\" changed=2".to_owned(),
        "held by=\"anna\" changed=0".to_owned(),
        format!("released queue={one} session=\"s1\" by=\"bert\""),
        "released by=\"bert\" changed=1".to_owned(),
        format!("removed queue={other} session=\"s1\" by=\"carl\""),
    ];
    want.sort();
    assert_eq!(told, want);
}

#[tokio::test]
async fn the_age_of_the_queue_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let now = spool.now();
    let none = spool.ages(vec![now]).await.unwrap();
    assert_eq!((none.older, none.oldest), (vec![0], None));
    let first = put(&spool, &["a@example.org"]).await;
    put(&spool, &["b@example.org"]).await;
    let hour = jiff::SignedDuration::from_hours(1);
    let ages = spool.ages(vec![now - hour, now + hour]).await.unwrap();
    assert_eq!(ages.older, [0, 2]);
    assert_eq!(
        ages.oldest.map(|time| time.as_millisecond()),
        Some(first.queued_at.as_millisecond())
    );
    spool.probe().await.unwrap();
    spool.close().await.unwrap();
    assert!(
        matches!(spool.probe().await, Err(SpoolError::Closed)),
        "it proves that something was written"
    );
}
