//! `postern probe load`: many messages over many connections, within bounds.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use postern_net::dial;
use postern_net::resolver::{Resolver, ResolverSettings};
use serde::Serialize;

use super::named::{bracketed, resolve};
use super::wire::{Wire, WireError};
use crate::args::ProbeLoadArgs;
use crate::exit::{Exit, Failure};
use crate::output;

/// Longest wait for one answer.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// The outcome.
#[derive(Debug, Serialize)]
struct Outcome {
    taken: u64,
    refused: u64,
    /// Connections that broke.
    broken: u64,
    seconds: f64,
    per_second: f64,
    /// Milliseconds from `MAIL` to the reply to the message, as percentiles.
    median_ms: f64,
    p95_ms: f64,
    p99_ms: f64,
    /// The first refusal or fault.
    first_trouble: Option<String>,
}

/// What all connections share.
struct Shared {
    left: AtomicU64,
    times: Mutex<Vec<Duration>>,
    refused: AtomicU64,
    broken: AtomicU64,
    trouble: Mutex<Option<String>>,
    end: Instant,
    mail: String,
    rcpt: String,
    content: Vec<u8>,
}

impl Shared {
    fn note(&self, trouble: String) {
        self.trouble.lock().get_or_insert(trouble);
    }

    /// Whether one more message may be sent.
    fn next(&self) -> bool {
        let less = |left: u64| left.checked_sub(1);
        Instant::now() < self.end
            && self
                .left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
                .is_ok()
    }
}

pub(super) async fn run(args: &ProbeLoadArgs) -> Result<(), Failure> {
    let resolver = Resolver::new(&ResolverSettings::default())
        .map_err(|error| Failure::from_error(Exit::System, "cannot look up names", &error))?;
    let (_, addresses, _) = resolve(&args.host, 25, &resolver).await?;
    let Some(&address) = addresses.first() else {
        return Err(Failure::new(
            Exit::Unavailable,
            format!("{} has no address", args.host),
        ));
    };
    let is_here = address.ip().is_loopback() || dial::is_own(address.ip());
    if !args.remote && !is_here {
        return Err(Failure::new(
            Exit::Usage,
            format!(
                "{address} is another machine: load on a server that is not yours is an attack (--remote if it is yours)"
            ),
        ));
    }
    let line = "0123456789012345678901234567890123456789012345678901234567890123456789\r\n";
    let size = usize::try_from(args.size).unwrap_or(1_000);
    let mut content = b"Subject: load\r\n\r\n".to_vec();
    while content.len() + 2 < size {
        let left = (size - content.len() - 2).min(line.len() - 2);
        content.extend_from_slice(&line.as_bytes()[..left]);
        content.extend_from_slice(b"\r\n");
    }
    content.extend_from_slice(b".\r\n");
    let begun = Instant::now();
    let shared = Arc::new(Shared {
        left: AtomicU64::new(args.messages),
        times: Mutex::default(),
        refused: AtomicU64::new(0),
        broken: AtomicU64::new(0),
        trouble: Mutex::default(),
        end: begun + Duration::from_secs(args.time),
        mail: format!("MAIL FROM:{}", bracketed(&args.from)),
        rcpt: format!("RCPT TO:{}", bracketed(&args.to)),
        content,
    });
    let connections = args.connections.min(args.messages);
    let tasks: Vec<_> = (0..connections)
        .map(|_| tokio::spawn(connection(address, Arc::clone(&shared))))
        .collect();
    for task in tasks {
        let _ = task.await;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let mut times = std::mem::take(&mut *shared.times.lock());
    times.sort_unstable();
    let part = |part: f64| {
        let at = (times.len() as f64 * part) as usize;
        times
            .get(at.min(times.len().saturating_sub(1)))
            .map_or(0.0, |time| time.as_secs_f64() * 1_000.0)
    };
    let result = Outcome {
        taken: times.len() as u64,
        refused: shared.refused.load(Ordering::Relaxed),
        broken: shared.broken.load(Ordering::Relaxed),
        seconds,
        per_second: times.len() as f64 / seconds.max(0.001),
        median_ms: part(0.5),
        p95_ms: part(0.95),
        p99_ms: part(0.99),
        first_trouble: shared.trouble.lock().clone(),
    };
    if args.json.json {
        output::print_json(&result)?;
    } else {
        output::print(&format!(
            "{} messages taken in {:.1} s over {connections} connections: {:.0} a second\n\
             from MAIL to the last reply: half within {:.1} ms, 95 % within {:.1} ms, 99 % within {:.1} ms",
            result.taken, result.seconds, result.per_second, result.median_ms, result.p95_ms, result.p99_ms,
        ))?;
        if let Some(trouble) = &result.first_trouble {
            output::print(&crate::visible::line(&format!(
                "{} refused, {} connections broken; the first: {trouble}",
                result.refused, result.broken
            )))?;
        }
    }
    match result.taken {
        0 => Err(Failure::silent(Exit::No)),
        _ => Ok(()),
    }
}

async fn connection(address: SocketAddr, shared: Arc<Shared>) {
    if let Err(error) = talk(address, &shared).await {
        shared.broken.fetch_add(1, Ordering::Relaxed);
        shared.note(error.to_string());
    }
}

async fn talk(address: SocketAddr, shared: &Shared) -> Result<(), WireError> {
    let mut wire = Wire::connect(address, None, ANSWER_MAX).await?;
    let greeting = wire.reply().await?;
    if !greeting.is_success() {
        shared.note(greeting.to_string());
        return Ok(());
    }
    wire.hello("localhost").await?;
    while shared.next() {
        let begun = Instant::now();
        let mut refused = None;
        for command in [shared.mail.as_str(), shared.rcpt.as_str(), "DATA"] {
            let (reply, _) = wire.ask(command).await?;
            if reply.code >= 400 {
                refused = Some(reply);
                break;
            }
        }
        if refused.is_none() {
            wire.send(&shared.content).await?;
            let reply = wire.reply().await?;
            if reply.is_success() {
                shared.times.lock().push(begun.elapsed());
            } else {
                refused = Some(reply);
            }
        }
        if let Some(reply) = refused {
            shared.refused.fetch_add(1, Ordering::Relaxed);
            shared.note(reply.to_string());
            wire.ask("RSET").await?;
        }
    }
    wire.quit().await;
    Ok(())
}
