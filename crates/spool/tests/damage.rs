//! Invalid rows and changed octets: each holds its own message, and nothing else.

#![allow(clippy::unwrap_used, reason = "a test program")]

mod common;

use std::fs;
use std::path::Path;

use common::*;
use postern_mail::QueueId;
use postern_spool::{
    Filter, Message, Page, RecipientState, Selection, Spool, SpoolError, SqliteSpool, Summary,
};

/// Changes the database directly, as nobody should.
fn change(folder: &Path, sql: &str) {
    let database = rusqlite::Connection::open(folder.join("queue.db")).unwrap();
    database.execute_batch(sql).unwrap();
}

async fn put_queued(spool: &SqliteSpool, recipients: &[&str], body: &[u8]) -> QueueId {
    let mut message = new_message(spool, recipients, body);
    let mut writer = spool.body_writer(message.id);
    writer.write(body).await.unwrap();
    message.body = writer.finish().await.unwrap();
    message.queue_only = true;
    spool.put(message).await.unwrap().id
}

async fn listed(spool: &SqliteSpool) -> Vec<Summary> {
    spool
        .list(&Filter::default(), Page::default())
        .await
        .unwrap()
        .messages
}

async fn line(spool: &SqliteSpool, id: QueueId) -> Summary {
    let line = listed(spool).await.into_iter().find(|line| line.id == id);
    line.expect("it is listed")
}

/// Does what delivery does with due mail for a domain; returns the octets that it would send.
async fn read_due(spool: &SqliteSpool, domain: &str) -> Vec<(QueueId, Vec<u8>)> {
    let mut read = Vec::new();
    for work in take_due(spool, domain, spool.now(), 100).await.unwrap() {
        if let Ok(Some(message)) = spool.load(work.id).await
            && let Ok(octets) = content(spool, &message).await
        {
            read.push((work.id, octets));
        }
    }
    read
}

#[tokio::test(flavor = "multi_thread")]
async fn one_row_that_is_not_understood_holds_its_message_alone() {
    let domain = "outside.example";
    #[rustfmt::skip]
    let cases = [
        ("a state of a later version",   "UPDATE recipient SET state = 9 WHERE message_id = ID AND idx = 0"),
        ("a state that is a text",       "UPDATE recipient SET state = 'x' WHERE message_id = ID AND idx = 0"),
        ("done without an outcome",      "UPDATE recipient SET state = 3 WHERE message_id = ID AND idx = 0"),
        ("an outcome, not done",         "UPDATE recipient SET outcome = 'delivered' WHERE message_id = ID AND idx = 1"),
        ("a NOTIFY of a later version",  "UPDATE recipient SET notify = 64 WHERE message_id = ID AND idx = 1"),
        ("an address that is none",      "UPDATE recipient SET address = 'no @@ address' WHERE message_id = ID AND idx = 0"),
        ("an address in Latin-1",        "UPDATE recipient SET address = CAST(x'E440' || 'outside.example' AS TEXT) WHERE message_id = ID AND idx = 0"),
        ("another address",              "UPDATE recipient SET address = 'c@outside.example' WHERE message_id = ID AND idx = 0"),
        ("another domain",               "UPDATE recipient SET domain = 'outsidf.example' WHERE message_id = ID AND idx = 0"),
        ("a domain that is no text",     "UPDATE recipient SET domain = CAST(x'FF41' AS TEXT) WHERE message_id = ID AND idx = 0"),
        ("a due time that is a text",    "UPDATE recipient SET due_at = 'soon' WHERE message_id = ID AND idx = 0"),
        ("a recipient is gone",          "DELETE FROM recipient WHERE message_id = ID AND idx = 1"),
        ("all recipients are gone",      "DELETE FROM recipient WHERE message_id = ID"),
        ("another sender",               "UPDATE message SET sender = 'b' || sender WHERE id = ID"),
        ("a sender that is none",        "UPDATE message SET sender = '@@' WHERE id = ID"),
        ("a sender in Latin-1",          "UPDATE message SET sender = CAST(x'E4' || '@x.example' AS TEXT) WHERE id = ID"),
        ("a body kind of later",         "UPDATE message SET body_kind = 7 WHERE id = ID"),
        ("an origin of later",           "UPDATE message SET origin = 9 WHERE id = ID"),
        ("a size that is a text",        "UPDATE message SET size = 'large' WHERE id = ID"),
        ("a RET of later",               "UPDATE message SET ret = 5 WHERE id = ID"),
        ("a flipped bit in the content", "UPDATE body SET content = CAST('Subject: y' || substr(content, 11) AS BLOB) WHERE message_id = ID"),
        ("a flipped bit in the prefix",  "UPDATE body SET prefix = CAST('X' || substr(prefix, 2) AS BLOB) WHERE message_id = ID"),
        ("the content is gone",          "UPDATE body SET content = NULL WHERE message_id = ID"),
        ("the body's row is gone",       "DELETE FROM body WHERE message_id = ID"),
        ("the message's row is gone",    "DELETE FROM message WHERE id = ID"),
        ("one sum is gone",              "UPDATE message SET content_sum = NULL WHERE id = ID"),
        ("another sum",                  "UPDATE message SET seal = seal + 1 WHERE id = ID"),
    ];
    for (shows, sql) in cases {
        let folder = tempfile::tempdir().unwrap();
        let spool = open(folder.path());
        let body = b"Subject: x\r\n\r\nhello\r\n";
        let before = put_queued(&spool, &["a@outside.example"], body).await;
        let bad = put_queued(&spool, &["b@outside.example", "c@inside.example"], body).await;
        let after = put_queued(&spool, &["d@outside.example"], body).await;
        change(folder.path(), &sql.replace("ID", &bad.as_i64().to_string()));

        // Whatever comes first: the check of the queue, delivery, or an administrator.
        spool.inspect().await.unwrap();
        let page = spool.due_domains(None, spool.now(), 100).await.unwrap();
        let found: Vec<&str> = page.domains.iter().map(|due| &*due.domain).collect();
        assert!(found.contains(&domain), "{shows}: {found:?}");
        let ids: Vec<QueueId> = read_due(&spool, domain)
            .await
            .into_iter()
            .map(|(id, _)| id)
            .collect();
        assert_eq!(ids, [before, after], "{shows}");
        assert!(read_due(&spool, "inside.example").await.is_empty(), "{shows}");
        assert_eq!(listed(&spool).await.len(), 3, "{shows}");
        let damaged = line(&spool, bad).await;
        assert!(damaged.damaged.is_some(), "{shows}: {damaged:?}");
        assert!(
            damaged.hold.is_some_and(|hold| hold.starts_with("damaged: ")),
            "{shows}"
        );
        let counts = spool.counts();
        assert_eq!(
            (counts.messages, counts.damaged, counts.held),
            (3, 1, 1),
            "{shows}"
        );
        let detail = spool.show(bad).await.unwrap().unwrap();
        let open = |state| matches!(state, RecipientState::Fresh | RecipientState::Queued);
        assert!(detail.recipients.iter().all(|one| !open(one.state)), "{shows}");
        spool.history(bad).await.unwrap();

        // If the release does not help, it is held again; if it does, it has everything that was accepted. Either can be removed.
        spool.release(Selection::Ids(vec![bad]), "root").await.unwrap();
        spool.inspect().await.unwrap();
        match spool.load(bad).await {
            Ok(message) => {
                let message = message.unwrap();
                assert_eq!(
                    content(&spool, &message).await.unwrap(),
                    [PREFIX, body].concat(),
                    "{shows}"
                );
                assert_eq!(message.envelope.recipients.len(), 2, "{shows}");
            }
            Err(_) => assert!(line(&spool, bad).await.damaged.is_some(), "{shows}: released"),
        }
        assert_eq!(
            spool.remove(Selection::Ids(vec![bad]), "root").await.unwrap(),
            1,
            "{shows}"
        );
        for id in [before, after] {
            assert!(settle(&spool, id, 0, delivered()).await.finished, "{shows}");
        }
        let counts = spool.counts();
        assert_eq!(
            (counts.messages, counts.recipients, counts.bytes),
            (0, 0, 0),
            "{shows}"
        );
        assert_eq!((counts.damaged, counts.held), (0, 0), "{shows}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_mended_goes_its_way() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let id = put_queued(&spool, &["a@outside.example"], &[b'x'; 300_000]).await;
    let message = spool.load(id).await.unwrap().unwrap();
    let path = body_path(folder.path(), &message);
    let whole = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    assert!(read_due(&spool, "outside.example").await.is_empty());
    eventually("it is held", async || spool.counts().damaged == 1).await;
    fs::write(&path, &whole).unwrap();
    spool.release(Selection::Ids(vec![id]), "root").await.unwrap();
    let read = read_due(&spool, "outside.example").await;
    assert_eq!(read[0].1, [PREFIX, &whole].concat());
    assert_eq!(spool.counts().damaged, 0);
}

fn body_path(folder: &Path, message: &Message) -> std::path::PathBuf {
    let postern_spool::Body::File(file) = &message.body else {
        panic!("no file");
    };
    folder.join("bodies").join(file.name())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_body_file_is_never_read_to_its_end() {
    let body: Vec<u8> = (0..300_000_u32).map(|i| (i % 251) as u8).collect();
    for place in [0, 1, 131_071, 131_072, 262_143, 262_144, 299_999] {
        for bit in [0, 7] {
            let folder = tempfile::tempdir().unwrap();
            let spool = open(folder.path());
            let id = put_queued(&spool, &["a@outside.example"], &body).await;
            let message = spool.load(id).await.unwrap().unwrap();
            assert_eq!(content(&spool, &message).await.unwrap(), [PREFIX, &body].concat());
            let path = body_path(folder.path(), &message);
            let mut octets = fs::read(&path).unwrap();
            octets[place] ^= 1 << bit;
            fs::write(&path, octets).unwrap();
            let error = content(&spool, &message).await.unwrap_err();
            assert!(matches!(error, SpoolError::Damaged { .. }), "{error}");
            eventually("it is held", async || spool.counts().damaged == 1).await;
            assert!(due_ids(&spool, "outside.example").await.is_empty());
            assert!(line(&spool, id).await.damaged.is_some());
            // The envelope is intact, so the sender can be told.
            let envelope = spool.load_envelope(id).await.unwrap().unwrap();
            assert_eq!(envelope.envelope.recipients.len(), 1);
            let late = spool.now() + jiff::SignedDuration::from_secs(1);
            assert_eq!(
                spool.damaged_before(late, 10).await.unwrap()[0].recipients.len(),
                1
            );
        }
    }
}
