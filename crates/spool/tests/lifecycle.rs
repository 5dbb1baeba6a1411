//! From put to outcome.

#![allow(clippy::unwrap_used, reason = "a test program")]

mod common;

use common::*;
use postern_mail::{Notify, Ret, ReversePath};
use postern_policy::rule::Rule;
use postern_spool::{
    Change, Duplicate, Event, Hold, Note, Origin, Outcome, OutcomeKind, RecipientState, Selection, Spool,
    SpoolError, SpoolSettings, SqliteSpool,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_message_is_handed_over_and_not_due_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let mut subscription = spool.subscribe();
    let message = put(&spool, &[OUTSIDE]).await;
    let Event::Fresh(handed) = event(&mut subscription).await else {
        panic!("not fresh")
    };
    assert_eq!((handed.id, handed.is_fresh()), (message.id, true));
    assert!(due_domains(&spool).await.is_empty());
    assert_eq!((spool.counts().messages, spool.counts().fresh), (1, 1));

    let settled = settle(&spool, message.id, 0, delivered()).await;
    assert!(settled.finished && settled.duplicates.is_empty());
    let id = message.id;
    drop((message, handed));
    assert_eq!(spool.counts(), postern_spool::Counts::default());
    let history = spool.history(id).await.unwrap();
    assert_eq!(
        (history[0].kind, history[0].attempts),
        (OutcomeKind::Delivered, 1)
    );
    assert_eq!(history[0].address, OUTSIDE);
    assert_eq!(history[0].attempt, attempt("250 2.0.0 queued"));
    spool.close().await.unwrap();
    check_consistency(folder.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_a_message_is_read_back_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let mut new = new_message(
        &spool,
        &[OUTSIDE, "\"a @ b\"@[192.0.2.7]", "c@[IPv6:2001:db8::1]"],
        b"body\r\n",
    );
    new.envelope.sender = ReversePath::Null;
    new.envelope.ret = Some(Ret::Headers);
    new.envelope.envid = Some("QQ314159".into());
    new.envelope.auth = Some(String::new());
    new.envelope.smtputf8 = true;
    new.envelope.body = postern_mail::BodyKind::BinaryMime;
    new.envelope.recipients[1].notify = Notify::On {
        success: true,
        failure: false,
        delay: true,
    };
    new.envelope.recipients[2].notify = Notify::Never;
    new.envelope.recipients[2].orcpt = Some("rfc822;c@d.example".into());
    new.origin = Origin::Report;
    let (id, envelope, received_at) = (new.id, new.envelope.clone(), new.received_at);
    drop(spool.put(new).await.unwrap());
    spool.close().await.unwrap();

    let spool = open(folder.path());
    let message = spool.load(id).await.unwrap().unwrap();
    assert_eq!(message.envelope, envelope);
    assert_eq!(
        (message.received_at, message.origin),
        (received_at, Origin::Report)
    );
    assert_eq!(
        (message.login.as_deref(), message.session.as_deref()),
        (Some("acaird"), Some("s1"))
    );
    assert_eq!(
        content(&spool, &message).await.unwrap(),
        [PREFIX, b"body\r\n"].concat()
    );
    assert_eq!(
        due_domains(&spool).await,
        ["[192.0.2.7]", "[IPv6:2001:db8::1]", "outside.example"]
    );
    assert_eq!(due_ids(&spool, "[192.0.2.7]").await, [id]);
    assert!(spool.load(spool.next_id()).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deferred_recipient_is_due_at_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let message = put(&spool, &[OUTSIDE, "b@inside.example", "c@outside.example"]).await;
    let until = later(3600);
    spool
        .settle(settlement(
            message.id,
            vec![(0, deferred(until)), (1, deferred(later(7200)))],
        ))
        .await
        .unwrap();

    // The third has not been tried.
    let work = take_due(&spool, "outside.example", now(), 10).await.unwrap();
    assert_eq!(
        work[0].recipients.iter().map(|one| one.index).collect::<Vec<_>>(),
        [2]
    );
    let page = spool.due_domains(None, now(), 10).await.unwrap();
    assert_eq!(page.domains.len(), 1);
    assert_eq!(page.next_due.map(|at| at > until), Some(true));

    let work = take_due(&spool, "outside.example", until, 10).await.unwrap();
    let first = &work[0].recipients[0];
    assert_eq!(
        (first.index, first.attempts, first.due_at, first.warned),
        (0, 1, until, false)
    );
    assert_eq!(first.last.as_deref(), Some(&attempt("451 4.2.0 later")));
    // Nobody else gets it while it is leased.
    let held = spool.lease("outside.example", until, 10).await.unwrap();
    assert_eq!(held[0].lease.key().id, message.id);
    let others = take_due(&spool, "outside.example", until, 10).await.unwrap();
    assert!(others.is_empty());
    drop(held);

    // Returned without an attempt: the count and the last reply stay; a warning stays once it was sent.
    let back = |warned| Outcome::Deferred {
        until,
        attempt: None,
        warned,
    };
    settle(&spool, message.id, 0, back(true)).await;
    settle(&spool, message.id, 0, back(false)).await;
    let work = take_due(&spool, "outside.example", until, 10).await.unwrap();
    let first = &work[0].recipients[0];
    assert_eq!(
        (first.attempts, first.warned, first.last.is_some()),
        (1, true, true)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_outcome_stands() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let message = put(&spool, &[OUTSIDE, "b@inside.example"]).await;
    assert!(!settle(&spool, message.id, 0, delivered()).await.finished);

    #[rustfmt::skip]
    let cases = [
        // what the case shows              index  outcome              what was first
        ("another final outcome",           0,     bounced(),           Some(OutcomeKind::Delivered)),
        ("a deferral after it",             0,     deferred(later(9)),  Some(OutcomeKind::Delivered)),
        ("the same again",                  0,     delivered(),         Some(OutcomeKind::Delivered)),
        ("a recipient that never was",      7,     delivered(),         None),
    ];
    for (shows, index, outcome, first) in cases {
        let mut again = settlement(message.id, vec![(index, outcome)]);
        again.reports.push(new_message(&spool, &[SENDER], b"report"));
        let settled = spool.settle(again).await.unwrap();
        assert_eq!(settled.duplicates, [Duplicate { index, first }], "{shows}");
        assert!(settled.reports.is_empty() && !settled.finished, "{shows}");
        assert_eq!(spool.counts().messages, 1, "{shows}");
    }

    // Twice in one settlement, and after the whole message is gone.
    let settled = spool
        .settle(settlement(message.id, vec![(1, bounced()), (1, delivered())]))
        .await
        .unwrap();
    assert_eq!(
        settled.duplicates,
        [Duplicate {
            index: 1,
            first: Some(OutcomeKind::Bounced)
        }]
    );
    assert!(settled.finished);
    let settled = settle(&spool, message.id, 1, delivered()).await;
    assert_eq!(
        settled.duplicates,
        [Duplicate {
            index: 1,
            first: Some(OutcomeKind::Bounced)
        }]
    );
    let kinds: Vec<_> = spool
        .history(message.id)
        .await
        .unwrap()
        .into_iter()
        .map(|entry| entry.kind)
        .collect();
    assert_eq!(kinds, [OutcomeKind::Delivered, OutcomeKind::Bounced]);
    spool.close().await.unwrap();
    check_consistency(folder.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_are_queued_with_the_outcome_that_causes_them() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let mut subscription = spool.subscribe();
    let message = put(&spool, &[OUTSIDE]).await;
    assert!(matches!(event(&mut subscription).await, Event::Fresh(_)));
    let mut bounce = settlement(message.id, vec![(0, bounced())]);
    let mut report = new_message(&spool, &[SENDER], b"it bounced");
    report.envelope.sender = ReversePath::Null;
    report.origin = Origin::Report;
    bounce.reports.push(report);
    let settled = spool.settle(bounce).await.unwrap();
    let Event::Fresh(report) = event(&mut subscription).await else {
        panic!("not fresh")
    };
    assert_eq!(settled.reports[0].id, report.id);
    assert_eq!(spool.counts().messages, 1);
    assert!(spool.load(message.id).await.unwrap().is_none());
    assert!(spool.load(report.id).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_in_memory_is_left_to_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let settings = SpoolSettings {
        fresh_count_max: 2,
        ..SpoolSettings::new(folder.path())
    };
    let spool = SqliteSpool::open(settings).unwrap();
    let mut subscription = spool.subscribe();
    for _ in 0..4 {
        put(&spool, &[OUTSIDE]).await;
    }
    // The last put is answered before delivery is told.
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let Event::Fresh(message) = event(&mut subscription).await else {
            panic!("not fresh")
        };
        held.push(message);
    }
    assert!(matches!(event(&mut subscription).await, Event::Backlog));
    assert!(subscription.try_recv().is_none(), "told once, however many");
    assert_eq!(due_ids(&spool, "outside.example").await.len(), 2);

    // With one settled and dropped there is room again.
    let first = held.remove(0);
    settle(&spool, first.id, 0, delivered()).await;
    drop(first);
    put(&spool, &[OUTSIDE]).await;
    assert!(matches!(event(&mut subscription).await, Event::Fresh(_)));
}

/// Whatever strangers send, users' mail and reports have the room reserved for them.
#[tokio::test(flavor = "multi_thread")]
async fn memory_is_kept_for_each_kind_of_mail() {
    #[rustfmt::skip]
    let bounds = [
        ("messages",  SpoolSettings { fresh_count_max: 20, ..SpoolSettings::new("") }),
        ("octets",    SpoolSettings { fresh_bytes_max: 20 * 1_300, ..SpoolSettings::new("") }),
    ];
    for (shows, settings) in bounds {
        let folder = tempfile::tempdir().unwrap();
        let spool = SqliteSpool::open(SpoolSettings {
            directory: folder.path().to_owned(),
            ..settings
        })
        .unwrap();
        let mut subscription = spool.subscribe();
        let put = async |origin, count| {
            let mut fresh = Vec::new();
            for _ in 0..count {
                let mut new = new_message(&spool, &[OUTSIDE], &[b'x'; 1_000]);
                new.origin = origin;
                fresh.push(spool.put(new).await.unwrap());
            }
            fresh.retain(|message| message.is_fresh());
            fresh
        };
        let strangers = put(Origin::Stranger, 20).await;
        let users = put(Origin::Smtp, 20).await;
        let reports = put(Origin::Report, 20).await;
        assert_eq!(
            [strangers.len(), users.len(), reports.len()],
            [8, 10, 2],
            "{shows}"
        );
        drop((strangers, users, reports));
        while subscription.try_recv().is_some() {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bound_on_octets_holds_too() {
    let folder = tempfile::tempdir().unwrap();
    let settings = SpoolSettings {
        fresh_bytes_max: 10_000,
        ..SpoolSettings::new(folder.path())
    };
    let spool = SqliteSpool::open(settings).unwrap();
    let mut subscription = spool.subscribe();
    for _ in 0..2 {
        let message = new_message(&spool, &[OUTSIDE], &[b'x'; 8000]);
        spool.put(message).await.unwrap();
    }
    let Event::Fresh(_first) = event(&mut subscription).await else {
        panic!("not fresh")
    };
    assert!(matches!(event(&mut subscription).await, Event::Backlog));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_dropped_unsettled_is_due_again() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let mut subscription = spool.subscribe();
    let id = put(&spool, &[OUTSIDE, "b@inside.example"]).await.id;
    let Event::Fresh(message) = event(&mut subscription).await else {
        panic!("not fresh")
    };
    settle(&spool, id, 0, delivered()).await;
    assert!(due_domains(&spool).await.is_empty());
    drop(message);
    assert!(matches!(event(&mut subscription).await, Event::Backlog));
    assert_eq!(due_domains(&spool).await, ["inside.example"]);

    // So is one that waits in the channel of a subscriber that leaves.
    put(&spool, &["c@other.example"]).await;
    drop(subscription);
    eventually("the message is due", async || {
        due_domains(&spool).await == ["inside.example", "other.example"]
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_only_message_is_left_to_the_queue_run() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let mut subscription = spool.subscribe();
    let mut message = new_message(&spool, &[OUTSIDE], b"x");
    message.queue_only = true;
    let id = spool.put(message).await.unwrap().id;
    assert_eq!(due_ids(&spool, "outside.example").await, [id]);
    assert!(subscription.try_recv().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_put_on_hold_waits_for_its_release() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let mut subscription = spool.subscribe();
    let mut message = new_message(&spool, &[OUTSIDE], b"x");
    message.hold = Some(Hold::by_milter("scan", Rule::MilterHold, "looks odd"));
    let id = spool.put(message).await.unwrap().id;
    let held = async || {
        let summary = spool.show(id).await.unwrap().unwrap().summary;
        [summary.hold, summary.hold_rule, summary.hold_milter].map(Option::unwrap_or_default)
    };
    assert_eq!(held().await, ["milter: looks odd", "milter.hold", "scan"]);
    assert!(due_domains(&spool).await.is_empty() && subscription.try_recv().is_none());
    assert_eq!(spool.counts().held, 1);
    assert_eq!(spool.release(Selection::Ids(vec![id]), "root").await.unwrap(), 1);
    let Event::Changed(Change::Due(ids)) = event(&mut subscription).await else {
        panic!("not told")
    };
    assert_eq!(*ids, [id]);
    assert_eq!(due_ids(&spool, "outside.example").await, [id]);
    // When an administrator holds it, it is no longer held by a rule.
    let ids = Selection::Ids(vec![id]);
    assert_eq!(spool.hold(ids, "root", "by hand").await.unwrap(), 1);
    assert_eq!(held().await, ["root: by hand", "", ""]);
}

#[tokio::test(flavor = "multi_thread")]
async fn misuse_fails_alone() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let first = put(&spool, &[OUTSIDE]).await;
    let mut twin = new_message(&spool, &["other@outside.example"], b"twin");
    twin.id = first.id;
    let good = new_message(&spool, &[OUTSIDE], b"good");
    let (twin, good) = tokio::join!(spool.put(twin), spool.put(good));
    assert_eq!(twin.unwrap_err(), SpoolError::DuplicateId(first.id));
    good.unwrap();
    let nobody = new_message(&spool, &[], b"x");
    assert_eq!(spool.put(nobody).await.unwrap_err(), SpoolError::NoRecipients);
    let kept = spool.load(first.id).await.unwrap().unwrap();
    assert_eq!(kept.envelope, first.envelope);
    let states: Vec<_> = spool
        .show(first.id)
        .await
        .unwrap()
        .unwrap()
        .recipients
        .iter()
        .map(|r| r.state)
        .collect();
    assert_eq!(states, [RecipientState::Queued]);
    spool.close().await.unwrap();
    check_consistency(folder.path());
    let late = new_message(&spool, &[OUTSIDE], b"late");
    assert_eq!(spool.put(late).await.unwrap_err(), SpoolError::Closed);
    assert_eq!(spool.load(first.id).await.unwrap_err(), SpoolError::Closed);
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_only_grow() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let ids: Vec<_> = (0..10_000).map(|_| spool.next_id()).collect();
    assert!(ids.is_sorted_by(|one, next| one < next));

    // One from the future, from a clock that was set wrong.
    let mut ahead = new_message(&spool, &[OUTSIDE], b"x");
    ahead.id = postern_mail::QueueId::new(later(86_400).as_millisecond(), 5);
    let ahead = spool.put(ahead).await.unwrap().id;
    settle(&spool, ahead, 0, delivered()).await;
    spool.close().await.unwrap();
    assert!(open(folder.path()).next_id() > ahead);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loose_scan_visits_each_domain_once() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let addresses: Vec<String> = (0..300)
        .map(|number| format!("u{number}@d{:03}.example", number % 100))
        .collect();
    let recipients: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let message = put(&spool, &recipients).await;
    let not_due = (0..300)
        .filter(|n| n % 100 >= 50)
        .map(|index| (index, deferred(later(60))))
        .collect();
    spool.settle(settlement(message.id, not_due)).await.unwrap();

    let (mut after, mut domains, mut next_due) = (None::<String>, Vec::new(), None);
    loop {
        let page = spool.due_domains(after.as_deref(), now(), 3).await.unwrap();
        assert!(page.domains.len() <= 3);
        domains.extend(page.domains.into_iter().map(|due| due.domain));
        next_due = next_due.max(page.next_due);
        match page.resume {
            Some(resume) => after = Some(resume),
            None => break,
        }
    }
    let expected: Vec<_> = (0..50).map(|number| format!("d{number:03}.example")).collect();
    assert_eq!(domains, expected);
    assert!(next_due.is_some());
    assert_eq!(
        take_due(&spool, "d007.example", now(), 10).await.unwrap()[0]
            .recipients
            .len(),
        3
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn notes_outlive_their_messages_until_they_are_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let note = |number: i64| Note {
        number,
        text: format!("note {number}"),
    };
    for number in [1, 2, 10] {
        let mut new = new_message(&spool, &[OUTSIDE], b"body\r\n");
        new.note = Some(note(number));
        let put = spool.put(new).await.unwrap();
        settle(&spool, put.id, 0, delivered()).await;
    }
    let mut refused = new_message(&spool, &[OUTSIDE], b"body\r\n");
    refused.envelope.recipients.clear();
    refused.note = Some(note(11));
    assert!(spool.put(refused).await.is_err(), "nothing is noted of it");
    spool.close().await.unwrap();
    drop(spool);

    let spool = open(folder.path());
    assert_eq!(spool.counts().messages, 0);
    assert_eq!(spool.notes().await.unwrap(), [1, 2, 10].map(note));
    assert_eq!(spool.forget_notes(2).await.unwrap(), 2);
    assert_eq!(spool.notes().await.unwrap(), [note(10)]);
    spool.close().await.unwrap();
    check_consistency(folder.path());
}
