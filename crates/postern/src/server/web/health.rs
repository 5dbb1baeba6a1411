//! `/health/live` and `/health/ready`.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use postern_directory::DirectoryState;
use postern_http::axum::extract::State;
use postern_http::axum::http::StatusCode;
use postern_http::axum::http::header::CONTENT_TYPE;
use postern_http::axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::monitor::{Monitor, Probed};
use crate::exit::chain;

/// How long a successful write test of the queue counts: a probe costs a sync.
const PROBE_LASTS: Duration = Duration::from_secs(5);

/// How long a write may take.
const PROBE_MAX: Duration = Duration::from_secs(5);

/// The input for judging readiness.
#[derive(Clone, Debug)]
struct Facts {
    stopping: bool,
    /// Active mail listeners, including the entry point for local programs.
    listeners: usize,
    sessions: u64,
    sessions_max: u64,
    wrote: Probed,
    disk_free: Option<u64>,
    /// The largest message that may arrive.
    message_max: u64,
    /// Directories that do not answer.
    down: Vec<String>,
}

/// The answer.
#[derive(Debug, Eq, PartialEq, Serialize)]
struct Health {
    /// Whether a session would be served and a message queued.
    ready: bool,
    /// Why not.
    reasons: Vec<String>,
    /// Other problems, which do not keep mail from being accepted.
    notes: Vec<String>,
    /// Milliseconds taken by the last write to the queue.
    write_ms: Option<u64>,
}

/// Whether a session could be served, and a message queued.
fn judge(facts: Facts) -> Health {
    let (mut reasons, mut notes) = (Vec::new(), Vec::new());
    if facts.stopping {
        reasons.push("the server is stopping".to_owned());
    }
    if facts.listeners == 0 {
        reasons.push("no listener accepts connections".to_owned());
    }
    if facts.sessions >= facts.sessions_max {
        reasons.push(format!(
            "all {} sessions are taken (`sessions` in [admission])",
            facts.sessions_max
        ));
    }
    if let Err(why) = &facts.wrote {
        reasons.push(format!("the queue cannot be written: {why}"));
    }
    match facts.disk_free {
        Some(0) => reasons.push("there is no room on the queue's disk".to_owned()),
        Some(free) if free < facts.message_max => notes.push(format!(
            "the queue's disk has {free} octets left, less than the largest message may have"
        )),
        _ => {}
    }
    let down = facts.down.iter();
    notes.extend(down.map(|name| format!("the directory {name} does not answer")));
    Health {
        ready: reasons.is_empty(),
        reasons,
        notes,
        write_ms: facts.wrote.ok().map(|took| took.as_millis() as u64),
    }
}

/// The server runs: it answers.
pub(super) async fn live() -> Response {
    json(StatusCode::OK, &serde_json::json!({ "live": true }))
}

/// Whether mail would be accepted; `503` with the reasons if not.
pub(super) async fn ready(State(monitor): State<Arc<Monitor>>) -> Response {
    let health = judge(monitor.facts().await);
    let status = if health.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    json(status, &health)
}

fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let mut text = serde_json::to_string(value).unwrap_or_default();
    text.push('\n');
    (status, [(CONTENT_TYPE, "application/json")], text).into_response()
}

impl Monitor {
    async fn facts(&self) -> Facts {
        let directories = self.directories.load_full();
        let status = directories.status().into_iter();
        let down = status.filter(|one| one.state == DirectoryState::Down);
        let settings = self.settings.load_full();
        Facts {
            stopping: self.stopping.is_cancelled(),
            listeners: self.listeners.load(Ordering::Relaxed),
            sessions: self.receiver.sessions().into(),
            sessions_max: settings.admission.sessions.into(),
            wrote: self.probe().await,
            disk_free: self.spool.free_bytes(),
            message_max: settings.admission.message_size,
            down: down.map(|one| one.name).collect(),
        }
    }

    /// Tests writing to the queue, unless that was done a moment ago. Concurrent callers share one write.
    async fn probe(&self) -> Probed {
        let mut remembered = self.remembered.probe.lock().await;
        if let Some((at, probed)) = &*remembered
            && at.elapsed() < PROBE_LASTS
            && probed.is_ok()
        {
            return probed.clone();
        }
        let begun = Instant::now();
        let probed = match tokio::time::timeout(PROBE_MAX, self.spool.probe()).await {
            Ok(Ok(())) => Ok(begun.elapsed()),
            Ok(Err(error)) => Err(chain(&error)),
            Err(_) => Err(format!("no answer within {} s", PROBE_MAX.as_secs())),
        };
        *remembered = Some((Instant::now(), probed.clone()));
        probed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn well() -> Facts {
        Facts {
            stopping: false,
            listeners: 2,
            sessions: 10,
            sessions_max: 100,
            wrote: Ok(Duration::from_millis(3)),
            disk_free: Some(10 << 30),
            message_max: 25 << 20,
            down: Vec::new(),
        }
    }

    #[test]
    fn what_keeps_mail_from_being_taken_and_what_does_not() {
        assert_eq!(
            judge(well()),
            Health {
                ready: true,
                reasons: Vec::new(),
                notes: Vec::new(),
                write_ms: Some(3),
            }
        );
        #[rustfmt::skip]
        let cases = [
            // what is the matter, whether mail is taken, what is said
            (Facts { stopping: true, ..well() },                      false, "stopping"),
            (Facts { listeners: 0, ..well() },                        false, "no listener"),
            (Facts { sessions: 100, ..well() },                       false, "all 100 sessions"),
            (Facts { wrote: Err("disk full".into()), ..well() },      false, "cannot be written: disk full"),
            (Facts { disk_free: Some(0), ..well() },                  false, "no room"),
            (Facts { disk_free: Some(1 << 20), ..well() },            true,  "less than the largest"),
            (Facts { disk_free: None, ..well() },                     true,  ""),
            (Facts { down: vec!["ldap".into()], ..well() },           true,  "directory ldap"),
        ];
        for (facts, ready, said) in cases {
            let health = judge(facts.clone());
            assert_eq!(health.ready, ready, "{facts:?}");
            let list = if ready { &health.notes } else { &health.reasons };
            assert!(
                (said.is_empty() && list.is_empty()) || list.iter().any(|text| text.contains(said)),
                "{health:?}"
            );
        }
    }
}
