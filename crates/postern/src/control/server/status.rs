//! The answer to `postern status`.

use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use postern_deliver::LoginState;
use postern_directory::DirectoryState;
use postern_spool::{Ages, SpoolState};
use tokio::sync::Mutex;

use super::answer::Deps;
use crate::commands::version;
use crate::control::findings::{self, Facts};
use crate::control::protocol::{Status, StatusDirectory};
use crate::control::queue::totals;

/// The last computed ages of the queue: computing them reads part of every message.
static AGES: Mutex<Option<(Instant, Ages)>> = Mutex::const_new(None);

/// How long the helper for mailboxes may take to answer.
const HELPER_TIME: std::time::Duration = std::time::Duration::from_secs(1);

/// How long they are remembered.
const AGES_LAST: std::time::Duration = std::time::Duration::from_secs(30);

/// The server's state, load, and findings.
pub(super) async fn status(deps: &Deps) -> Status {
    let now = Timestamp::now();
    let problem = match deps.spool.state() {
        SpoolState::Ready => None,
        SpoolState::Full(reason) => Some(format!("the disk is full: {reason}")),
        SpoolState::Unavailable(reason) => Some(format!("the queue cannot be written: {reason}")),
        SpoolState::Closed => Some("the server is stopping".to_owned()),
    };
    let (old, oldest) = ages(deps).await;
    let queue = totals(&*deps.spool);
    let connections = deps.deliverer.places();
    let directories = deps.directories.load().status();
    let sessions = deps.receiver.sessions();
    let facts = Facts {
        no_mail: problem.clone(),
        state_dir: deps.state_dir.display().to_string(),
        sessions: sessions.into(),
        sessions_max: deps.settings.load().admission.sessions.into(),
        damaged: queue.damaged,
        old,
        disk_free: deps.spool.free_bytes(),
        directories: directories.len(),
        down: directories
            .iter()
            .filter(|one| one.state == DirectoryState::Down)
            .map(|one| {
                let why = one.last_error.as_ref().map(|(_, why)| why.clone());
                (one.name.clone(), why.unwrap_or_default())
            })
            .collect(),
        providers: deps
            .tokens
            .load()
            .health()
            .into_iter()
            .filter_map(|one| Some((one.issuer, one.problem?)))
            .collect(),
        certificates: certificates(deps, now),
        logins: failing_logins(deps),
        short: connections
            .iter()
            .filter(|one| one.short)
            .map(|one| one.class.clone())
            .collect(),
        on_hold: deps
            .budgets
            .on_hold()
            .into_iter()
            .map(|(account, _)| account)
            .collect(),
        lost_lines: deps.losses.lines().0,
        milters: deps.receiver.failing_milters(),
        helper: helper(deps).await,
        webhooks: deps.webhooks.status(),
        now: now.as_second(),
    };
    let findings = findings::judge(&facts);
    Status {
        version: version::TEXT.to_owned(),
        process: std::process::id(),
        started_at: deps.started_at,
        verdict: findings::verdict(&findings),
        findings,
        sessions,
        sessions_max: facts.sessions_max,
        queue,
        oldest_s: oldest,
        disk_free: facts.disk_free,
        connections,
        directories: directories
            .into_iter()
            .map(|one| StatusDirectory {
                state: match one.state {
                    DirectoryState::Up => "up",
                    DirectoryState::Down => "down",
                    DirectoryState::Unknown => "unknown",
                }
                .to_owned(),
                directory: one.name,
            })
            .collect(),
        problem,
    }
}

/// Why the helper that delivers to users of this machine does not answer, where mail goes there. A connection is all that is asked for.
async fn helper(deps: &Deps) -> Option<String> {
    let socket = deps.deliverer.helper()?;
    let shown = socket.display();
    match tokio::time::timeout(HELPER_TIME, tokio::net::UnixStream::connect(&socket)).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(format!("the helper at {shown} does not answer: {error}")),
        Err(_) => Some(format!("the helper at {shown} takes no connection")),
    }
}

/// How many messages are old, and the age of the oldest in seconds.
async fn ages(deps: &Deps) -> (u64, Option<u64>) {
    if deps.spool.counts().messages == 0 {
        return (0, None);
    }
    let mut known = AGES.lock().await;
    let fresh = known.as_ref().filter(|(at, _)| at.elapsed() < AGES_LAST);
    if fresh.is_none() {
        let now = deps.spool.now();
        let old = now - SignedDuration::try_from(findings::OLD).unwrap_or_default();
        *known = match deps.spool.ages(vec![old]).await {
            Ok(ages) => Some((Instant::now(), ages)),
            Err(_) => None,
        };
    }
    let Some((_, ages)) = &*known else {
        return (0, None);
    };
    let now = deps.spool.now();
    let age = |oldest: Timestamp| u64::try_from(now.duration_since(oldest).as_secs()).unwrap_or(0);
    (ages.older.first().copied().unwrap_or(0), ages.oldest.map(age))
}

fn certificates(deps: &Deps, now: Timestamp) -> Vec<(String, i64)> {
    let tls = deps.tls.load();
    let identities = tls.as_ref().as_ref().map_or(&[][..], |tls| tls.identities());
    identities
        .iter()
        .map(|one| {
            let left = one.not_after.as_second() - now.as_second();
            (one.certificate.display().to_string(), left)
        })
        .collect()
}

/// Each login that fails, once.
fn failing_logins(deps: &Deps) -> Vec<(String, String)> {
    let mut failing: Vec<(String, String)> = Vec::new();
    for login in deps
        .deliverer
        .destinations()
        .into_iter()
        .filter_map(|one| one.login)
    {
        if let LoginState::Fails { reason, .. } = login.state
            && !failing.iter().any(|(name, _)| *name == login.name)
        {
            failing.push((login.name, reason));
        }
    }
    failing
}
