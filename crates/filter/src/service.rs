//! One filter, shared by all sessions: its settings, idle connections, and outages.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use postern_mail::chain;
use postern_milter::outage::{Ask, Ended, Kind, Proof};
use postern_milter::{Agreement, Command, Outage};
use tokio::time::Instant;

use crate::failure::{Cause, During, Failure};
use crate::link::Link;
use crate::settings::Filter;

/// What is logged about a filter, once each.
#[derive(Debug)]
pub enum Notice<'a> {
    /// An outage begins with this failure.
    Down(&'a Failure),
    /// The outage has ended.
    Up(Ended),
}

type Tell = Box<dyn Fn(&Filter, Notice<'_>) + Send + Sync>;

/// A filter that is used by many sessions at once.
pub struct Service {
    filter: Filter,
    tell: Tell,
    outage: Mutex<Outage>,
    /// The last failure, in words.
    trouble: Mutex<String>,
    idle: Mutex<Vec<Idle>>,
    /// Whether it has turned out not to accept a second session on a connection.
    reuse_refused: AtomicBool,
    /// Whether it is sent the fields of a header one at a time.
    one_by_one: AtomicBool,
}

struct Idle {
    link: Link,
    since: Instant,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Service")
            .field("filter", &self.filter)
            .finish_non_exhaustive()
    }
}

impl Service {
    /// A new filter. `tell` is called when an outage begins and when it ends; it must not block.
    #[must_use]
    pub fn new(filter: Filter, tell: impl Fn(&Filter, Notice<'_>) + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            filter,
            tell: Box::new(tell),
            outage: Mutex::default(),
            trouble: Mutex::default(),
            idle: Mutex::default(),
            reuse_refused: AtomicBool::new(false),
            one_by_one: AtomicBool::new(false),
        })
    }

    /// Its settings.
    #[must_use]
    pub const fn filter(&self) -> &Filter {
        &self.filter
    }

    /// Connects, negotiates and quits; returns what the filter wants. Pauses are ignored, outages not counted.
    ///
    /// # Errors
    ///
    /// [`Failure`].
    pub async fn negotiate(&self) -> Result<Agreement, Failure> {
        let mut link = Link::open(&self.filter).await?;
        let _ = link.send(&Command::Quit, self.filter.timeouts.command).await;
        Ok(link.conversation.agreement().clone())
    }

    /// Whether it is known to be down.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.outage.lock().is_down()
    }

    /// For how long it has been down, and the last failure; `None` while it works, or was not asked.
    #[must_use]
    pub fn trouble(&self) -> Option<(std::time::Duration, String)> {
        let since = self.outage.lock().since()?;
        Some((since.elapsed(), self.trouble.lock().clone()))
    }

    /// The number of idle connections.
    #[must_use]
    pub fn idle(&self) -> usize {
        self.idle.lock().len()
    }

    /// Closes connections that have been idle longer than the settings allow. To be called now and then.
    pub fn close_idle(&self) {
        self.idle
            .lock()
            .retain(|idle| idle.since.elapsed() < self.filter.idle_time);
    }

    /// A new connection, unless the filter is down.
    pub(crate) async fn open(&self) -> Result<Link, Failure> {
        if let Ask::In(left) = self.outage.lock().ask(std::time::Instant::now()) {
            return Err(Failure {
                during: During::Opening,
                cause: Cause::Paused(left),
            });
        }
        let link = Link::open(&self.filter)
            .await
            .inspect_err(|failure| self.note(failure))?;
        self.worked(Proof::Agreed);
        Ok(link)
    }

    /// An idle connection, if there is one.
    pub(crate) fn reuse(&self) -> Option<Link> {
        loop {
            let mut idle = self.idle.lock().pop()?;
            let fresh = idle.since.elapsed() < self.filter.idle_time;
            if fresh && idle.link.check_quiet().is_ok() {
                return Some(idle.link);
            }
        }
    }

    /// Keeps a connection for the next session, or quits it.
    pub(crate) async fn give_back(&self, mut link: Link) {
        let limit = self.filter.timeouts.command;
        let kept = link.conversation.is_reusable()
            && self.filter.idle_max > 0
            && !self.reuse_refused.load(Ordering::Relaxed)
            && link.check_quiet().is_ok();
        if !kept {
            let _ = link.send(&Command::Quit, limit).await;
            return;
        }
        if link.send(&Command::QuitNewConnection, limit).await.is_err() {
            return;
        }
        link.conversation.restart();
        let mut idle = self.idle.lock();
        idle.push(Idle {
            link,
            since: Instant::now(),
        });
        if idle.len() > self.filter.idle_max {
            idle.remove(0);
        }
    }

    /// From now on each session has its own connection.
    pub(crate) fn refuse_reuse(&self) {
        self.reuse_refused.store(true, Ordering::Relaxed);
        self.idle.lock().clear();
    }

    /// Whether it may be sent the next field before it has answered the last one.
    pub(crate) fn may_be_told_ahead(&self) -> bool {
        !self.one_by_one.load(Ordering::Relaxed)
    }

    /// From now on it is only sent a field when it has answered the last one.
    pub(crate) fn tell_one_by_one(&self) {
        self.one_by_one.store(true, Ordering::Relaxed);
    }

    pub(crate) fn note(&self, failure: &Failure) {
        let Some(kind) = failure.kind() else { return };
        *self.trouble.lock() = chain(failure);
        let begins = self.outage.lock().failed(std::time::Instant::now(), kind);
        if kind == Kind::Unreachable {
            self.idle.lock().clear();
        }
        if begins {
            (self.tell)(&self.filter, Notice::Down(failure));
        }
    }

    pub(crate) fn worked(&self, proof: Proof) {
        let ended = self.outage.lock().worked(std::time::Instant::now(), proof);
        if let Some(ended) = ended {
            (self.tell)(&self.filter, Notice::Up(ended));
        }
    }
}
