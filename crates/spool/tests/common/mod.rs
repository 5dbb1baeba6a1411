//! Shared code of the queue's tests.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "helpers of tests, of which each file uses a part"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use postern_mail::{
    BodyKind, Envelope, FailureFact, FailureKind, QueueId, Recipient, ReversePath, Stage, Status,
};
use postern_spool::{
    Attempt, Body, DueWork, Event, Message, NewMessage, Origin, Outcome, RecipientOutcome, Settled,
    Settlement, Spool, SpoolError, SpoolSettings, SqliteSpool, Subscription,
};

pub(crate) const SENDER: &str = "acaird@fccc.example";
pub(crate) const OUTSIDE: &str = "someone@outside.example";
pub(crate) const PREFIX: &[u8] = b"Received: from helo by challenger.example\r\n";

pub(crate) fn open(directory: &Path) -> SqliteSpool {
    SqliteSpool::open(SpoolSettings::new(directory)).unwrap()
}

pub(crate) fn envelope(recipients: &[&str]) -> Envelope {
    Envelope {
        sender: ReversePath::Mailbox(SENDER.parse().unwrap()),
        recipients: recipients
            .iter()
            .map(|address| Recipient::new(address.parse().unwrap()))
            .collect(),
        ret: None,
        envid: None,
        body: BodyKind::SevenBit,
        smtputf8: false,
        auth: None,
    }
}

pub(crate) fn new_message(spool: &SqliteSpool, recipients: &[&str], body: &[u8]) -> NewMessage {
    NewMessage {
        id: spool.next_id(),
        envelope: envelope(recipients),
        received_at: now(),
        prefix: PREFIX.into(),
        body: Body::Inline(body.to_vec().into()),
        login: Some("acaird".into()),
        session: Some("s1".into()),
        hold: None,
        origin: Origin::Smtp,
        detour: None,
        queue_only: false,
        note: None,
    }
}

pub(crate) async fn put(spool: &SqliteSpool, recipients: &[&str]) -> Arc<Message> {
    spool
        .put(new_message(spool, recipients, b"Subject: x\r\n\r\nhello\r\n"))
        .await
        .unwrap()
}

/// Times are kept to the millisecond.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_millisecond(Timestamp::now().as_millisecond()).unwrap()
}

pub(crate) fn later(seconds: i64) -> Timestamp {
    now() + SignedDuration::from_secs(seconds)
}

pub(crate) fn attempt(reply: &str) -> Attempt {
    let status = reply
        .split(' ')
        .nth(1)
        .and_then(|word| word.parse::<Status>().ok());
    Attempt {
        relay: "mx.outside.example[192.0.2.1]:25".into(),
        status,
        reply: reply.into(),
        failure: (!reply.starts_with('2')).then_some(FailureFact {
            kind: FailureKind::Refused,
            stage: Some(Stage::Recipient),
        }),
    }
}

pub(crate) fn delivered() -> Outcome {
    Outcome::Delivered(attempt("250 2.0.0 queued"))
}

pub(crate) fn bounced() -> Outcome {
    Outcome::Bounced(attempt("550 5.1.1 no such user"))
}

pub(crate) fn deferred(until: Timestamp) -> Outcome {
    Outcome::Deferred {
        until,
        attempt: Some(attempt("451 4.2.0 later")),
        warned: false,
    }
}

pub(crate) fn settlement(id: QueueId, outcomes: Vec<(u32, Outcome)>) -> Settlement {
    Settlement {
        id,
        at: now(),
        outcomes: outcomes
            .into_iter()
            .map(|(index, outcome)| RecipientOutcome { index, outcome })
            .collect(),
        reports: Vec::new(),
    }
}

pub(crate) async fn settle(spool: &SqliteSpool, id: QueueId, index: u32, outcome: Outcome) -> Settled {
    spool
        .settle(settlement(id, vec![(index, outcome)]))
        .await
        .unwrap()
}

/// The readable content of a message.
pub(crate) async fn content(spool: &SqliteSpool, message: &Message) -> Result<Vec<u8>, SpoolError> {
    let mut reader = spool.open_body(message);
    let mut content = Vec::new();
    while let Some(piece) = reader.piece().await? {
        assert!(!piece.is_empty() && piece.len() <= 128 * 1024);
        content.extend_from_slice(&piece);
    }
    Ok(content)
}

/// What is due for one domain, leased and returned at once.
pub(crate) async fn take_due(
    spool: &SqliteSpool,
    domain: &str,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<DueWork>, SpoolError> {
    let leased = spool.lease(domain, now, limit).await?;
    Ok(leased.into_iter().map(|leased| leased.work).collect())
}

/// Ids due for one domain now.
pub(crate) async fn due_ids(spool: &SqliteSpool, domain: &str) -> Vec<QueueId> {
    let work = take_due(spool, domain, now(), 1000).await.unwrap();
    work.into_iter().map(|work| work.id).collect()
}

pub(crate) async fn due_domains(spool: &SqliteSpool) -> Vec<String> {
    let page = spool.due_domains(None, now(), 1000).await.unwrap();
    page.domains.into_iter().map(|due| due.domain).collect()
}

/// The next event, which must come soon.
pub(crate) async fn event(subscription: &mut Subscription) -> Event {
    tokio::time::timeout(Duration::from_secs(10), subscription.recv())
        .await
        .expect("an event")
        .expect("open")
}

/// Waits for a condition, for at most a minute: machines may be busy.
pub(crate) async fn eventually(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let give_up = Instant::now() + Duration::from_secs(60);
    while !so().await {
        assert!(Instant::now() < give_up, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Checks that the totals of all machines agree with the tables, and that nothing is left over.
pub(crate) fn check_consistency(directory: &Path) {
    let connection = rusqlite::Connection::open(directory.join("queue.db")).unwrap();
    let totals = |sql: &str| -> (i64, i64, i64, i64) {
        connection
            .query_row(sql, [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })
            .unwrap()
    };
    assert_eq!(
        totals("SELECT messages, recipients, held, bytes FROM queue_size"),
        totals(
            "SELECT (SELECT count(*) FROM message), (SELECT count(*) FROM recipient WHERE state < 3),
                    (SELECT count(*) FROM message WHERE hold IS NOT NULL), (SELECT coalesce(sum(size), 0) FROM message)"
        ),
        "totals against tables"
    );
    assert_eq!(
        totals("SELECT sandboxed, sandboxed_bytes, 0, 0 FROM queue_size"),
        totals("SELECT count(*), coalesce(sum(size), 0), 0, 0 FROM message WHERE hold_rule = 'sandbox.kept'"),
        "the sandbox against tables"
    );
    let none = |what: &str, sql: &str| {
        let count: i64 = connection
            .query_row(&format!("SELECT count(*) FROM {sql}"), [], |row| row.get(0))
            .unwrap();
        assert_eq!(count, 0, "{what}");
    };
    none(
        "a body without a message",
        "body WHERE message_id NOT IN (SELECT id FROM message)",
    );
    none(
        "a message without a body",
        "message WHERE id NOT IN (SELECT message_id FROM body)",
    );
    none(
        "an open recipient without a message",
        "recipient WHERE state < 3 AND message_id NOT IN (SELECT id FROM message)",
    );
    none(
        "a count of open recipients that is wrong",
        "message m WHERE unfinished <> (SELECT count(*) FROM recipient WHERE message_id = m.id AND state < 3)",
    );
    none("a message that should be gone", "message WHERE unfinished = 0");
    none(
        "an outcome without its name",
        "recipient WHERE (state = 3) <> (outcome IS NOT NULL)",
    );
    let verdict: String = connection
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(verdict, "ok");
}
