//! The queue compared with a plain append log with one fdatasync per batch, alternately, in one run on the same disk.
//!
//! `cargo bench -p postern-spool --bench group_commit [-- FOLDER [PRODUCERS]]`; the folder must be on the disk to be measured, by
//! default the build folder. Each producer puts a message of 4 KiB, and when that is on stable storage has its outcome recorded
//! without waiting for it, as receiving and delivering do. The figure is the number of messages put and settled per second, all
//! of them synced.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use jiff::Timestamp;
use parking_lot::{Condvar, Mutex};
use postern_mail::{BodyKind, Envelope, Recipient, ReversePath};
use postern_spool::{
    Attempt, Body, NewMessage, Origin, Outcome, RecipientOutcome, Settlement, Spool, SpoolSettings,
    SqliteSpool,
};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

const MESSAGE: usize = 4096;
const PREFIX: usize = 350;
const ROUNDS: usize = 5;

/// Something that keeps messages.
trait Engine: Send + Sync + 'static {
    /// Resolves when the message is on stable storage, with its id.
    fn put(&self) -> BoxFuture<'_, i64>;
    /// Resolves when the outcome is on stable storage.
    fn settle(self: Arc<Self>, id: i64) -> BoxFuture<'static, ()>;
}

struct Queue {
    spool: SqliteSpool,
    prefix: Bytes,
    body: Bytes,
}

impl Queue {
    fn open(directory: &Path) -> Self {
        let spool = SqliteSpool::open(SpoolSettings::new(directory)).unwrap();
        Self {
            spool,
            prefix: vec![b'h'; PREFIX].into(),
            body: vec![b'b'; MESSAGE - PREFIX].into(),
        }
    }
}

impl Engine for Queue {
    fn put(&self) -> BoxFuture<'_, i64> {
        async move {
            let id = self.spool.next_id();
            let message = NewMessage {
                id,
                envelope: Envelope {
                    sender: ReversePath::Mailbox("acaird@fccc.example".parse().unwrap()),
                    recipients: vec![Recipient::new("someone@outside.example".parse().unwrap())],
                    ret: None,
                    envid: None,
                    body: BodyKind::SevenBit,
                    smtputf8: false,
                    auth: None,
                },
                received_at: Timestamp::now(),
                prefix: self.prefix.clone(),
                body: Body::Inline(self.body.clone()),
                login: Some("acaird".into()),
                session: Some("01HJ3K8Q2M7XA".into()),
                hold: None,
                origin: Origin::Smtp,
                detour: None,
                queue_only: false,
                note: None,
            };
            self.spool.put(message).await.unwrap();
            id.as_i64()
        }
        .boxed()
    }

    fn settle(self: Arc<Self>, id: i64) -> BoxFuture<'static, ()> {
        async move {
            let attempt = Attempt {
                relay: "mx.outside.example[192.0.2.1]:25".into(),
                status: Some(postern_mail::Status(2, 0, 0)),
                reply: "250 2.0.0 Ok: queued as 4bTz6w1Yk9z".into(),
                failure: None,
            };
            let settlement = Settlement {
                id: postern_mail::QueueId::from_i64(id),
                at: Timestamp::now(),
                outcomes: vec![RecipientOutcome {
                    index: 0,
                    outcome: Outcome::Delivered(attempt),
                }],
                reports: Vec::new(),
            };
            assert!(self.spool.settle(settlement).await.unwrap().finished);
        }
        .boxed()
    }
}

/// The upper bound: one file, to which everything that came in is appended with one write and one sync.
struct Log {
    inbox: Arc<(Mutex<Pending>, Condvar)>,
}

#[derive(Default)]
struct Pending {
    octets: Vec<u8>,
    waiting: Vec<oneshot::Sender<()>>,
    puts: usize,
    settle_since: Option<Instant>,
    end: bool,
}

impl Log {
    fn open(directory: &Path) -> Self {
        let mut file = File::create(directory.join("log")).unwrap();
        let inbox = Arc::new((Mutex::new(Pending::default()), Condvar::new()));
        let shared = inbox.clone();
        std::thread::spawn(move || {
            loop {
                let batch = {
                    let mut pending = shared.0.lock();
                    loop {
                        let until = pending.settle_since.map(|since| since + Duration::from_millis(5));
                        if pending.puts > 0 || until.is_some_and(|until| until <= Instant::now()) {
                            break std::mem::take(&mut *pending);
                        }
                        if pending.end {
                            return;
                        }
                        match until {
                            Some(until) => drop(shared.1.wait_until(&mut pending, until)),
                            None => shared.1.wait(&mut pending),
                        }
                    }
                };
                file.write_all(&batch.octets).unwrap();
                file.sync_data().unwrap();
                for waiting in batch.waiting {
                    let _ = waiting.send(());
                }
            }
        });
        Self { inbox }
    }

    async fn append(&self, octets: &[u8], put: bool) {
        let (reply, done) = oneshot::channel();
        {
            let mut pending = self.inbox.0.lock();
            pending.octets.extend_from_slice(octets);
            pending.waiting.push(reply);
            if put {
                pending.puts += 1;
            } else if pending.settle_since.is_none() {
                pending.settle_since = Some(Instant::now());
            }
        }
        self.inbox.1.notify_one();
        done.await.unwrap();
    }
}

impl Engine for Log {
    fn put(&self) -> BoxFuture<'_, i64> {
        async move {
            self.append(&[b'x'; MESSAGE + 100], true).await;
            0
        }
        .boxed()
    }

    fn settle(self: Arc<Self>, _: i64) -> BoxFuture<'static, ()> {
        async move { self.append(&[b'd'; 100], false).await }.boxed()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.inbox.0.lock().end = true;
        self.inbox.1.notify_one();
    }
}

struct Figures {
    /// Messages per second.
    rate: f64,
    /// Median time of a put.
    put: Duration,
}

fn measure<E: Engine>(runtime: &Runtime, engine: E, producers: usize, messages: usize) -> Figures {
    let engine = Arc::new(engine);
    let start = Instant::now();
    let tasks: Vec<_> = (0..producers)
        .map(|_| {
            let engine = engine.clone();
            runtime.spawn(async move {
                let mut settles = FuturesUnordered::new();
                let mut times = Vec::with_capacity(messages / producers);
                for _ in 0..messages / producers {
                    let begun = Instant::now();
                    let id = engine.put().await;
                    times.push(begun.elapsed());
                    settles.push(tokio::spawn(engine.clone().settle(id)));
                    while let Some(Some(done)) = settles.next().now_or_never() {
                        done.unwrap();
                    }
                }
                while let Some(done) = settles.next().await {
                    done.unwrap();
                }
                times
            })
        })
        .collect();
    let mut times: Vec<_> = tasks
        .into_iter()
        .flat_map(|task| runtime.block_on(task).unwrap())
        .collect();
    let rate = times.len() as f64 / start.elapsed().as_secs_f64();
    times.sort_unstable();
    Figures {
        rate,
        put: times[times.len() / 2],
    }
}

fn sync_time(directory: &Path) -> Duration {
    let mut file = File::create(directory.join("sync")).unwrap();
    let mut times: Vec<_> = (0..200)
        .map(|_| {
            file.write_all(&[b'x'; MESSAGE + 100]).unwrap();
            let begun = Instant::now();
            file.sync_data().unwrap();
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'));
    let folder = arguments.next();
    let only: Option<usize> = arguments.next().map(|number| number.parse().unwrap());
    let folder = folder.unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/../../target").into());
    fs::create_dir_all(&folder).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let fresh = || tempfile::tempdir_in(&folder).unwrap();
    println!(
        "one fdatasync after an append of 4 KiB: {:?}",
        sync_time(fresh().path())
    );
    println!("producers      log/s    queue/s   ratio     log put   queue put");
    for (producers, messages) in [(1, 2_000), (20, 40_000), (100, 60_000)] {
        if only.is_some_and(|only| only != producers) {
            continue;
        }
        let (mut log, mut queue, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        let (mut log_put, mut queue_put) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let directory = fresh();
            let bare = measure(&runtime, Log::open(directory.path()), producers, messages);
            let directory = fresh();
            let ours = measure(&runtime, Queue::open(directory.path()), producers, messages);
            log.push(bare.rate);
            queue.push(ours.rate);
            ratios.push(ours.rate / bare.rate);
            log_put.push(bare.put.as_secs_f64() * 1e6);
            queue_put.push(ours.put.as_secs_f64() * 1e6);
        }
        println!(
            "{producers:9} {:10.0} {:10.0} {:6.0}% {:8.0} us {:8.0} us",
            median(log),
            median(queue),
            median(ratios) * 100.0,
            median(log_put),
            median(queue_put),
        );
    }
}
