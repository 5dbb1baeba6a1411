//! Connections to one server: up to a number, of which unused ones are kept for later.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::failover::Fault;

/// How long an unused connection is kept. Servers and firewalls drop idle ones unseen.
const IDLE_MAX: Duration = Duration::from_secs(240);

pub(super) struct Pool<C> {
    idle: Mutex<Vec<(C, Instant)>>,
    permits: Semaphore,
}

/// The right to one connection, and one of those that are left over, if any. Unless given back it is closed with the
/// lease: after a timeout its state is not known.
pub(super) struct Lease<'a, C> {
    pub(super) left_over: Option<C>,
    pool: &'a Pool<C>,
    _permit: SemaphorePermit<'a>,
}

impl<C> Pool<C> {
    pub(super) fn new(size: usize) -> Self {
        Self {
            idle: Mutex::new(Vec::new()),
            permits: Semaphore::new(size),
        }
    }

    /// Waits for a place until a little before the deadline: that all connections are in use is no fault of the server.
    pub(super) async fn lease(&self, deadline: Instant) -> Result<Lease<'_, C>, Fault> {
        let busy = || Fault::Busy("all connections are in use".into());
        let margin = deadline.saturating_duration_since(Instant::now()) / 20;
        let permit = tokio::time::timeout_at((deadline - margin).into(), self.permits.acquire())
            .await
            .map_err(|_| busy())?
            .map_err(|_| busy())?;
        let now = Instant::now();
        let left_over = {
            let mut idle = self.idle.lock();
            idle.retain(|(_, since)| now.saturating_duration_since(*since) < IDLE_MAX);
            idle.pop().map(|(connection, _)| connection)
        };
        Ok(Lease {
            left_over,
            pool: self,
            _permit: permit,
        })
    }
}

impl<C> Lease<'_, C> {
    /// Keeps the connection for later.
    pub(super) fn give_back(self, connection: C) {
        self.pool.idle.lock().push((connection, Instant::now()));
    }
}
