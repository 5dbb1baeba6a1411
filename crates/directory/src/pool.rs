//! A bounded number of connections to one server; unused ones are kept for later. For LDAP and SQL alike.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::failover::Fault;
use crate::time::now;

/// How long an unused connection is kept. Servers and firewalls silently drop idle ones, often after 5 minutes or more.
const IDLE_MAX: Duration = Duration::from_secs(240);

/// A bounded number of connections `C`.
pub(crate) struct Pool<C> {
    /// The server, as messages name it.
    server: String,
    idle: Mutex<Vec<(C, Instant)>>,
    permits: Semaphore,
}

/// The right to one connection, and an idle one if there is any. Unless given back, it is closed with the lease: after
/// a timeout its state is unknown.
pub(crate) struct Lease<'a, C> {
    pub(crate) left_over: Option<C>,
    pool: &'a Pool<C>,
    _permit: SemaphorePermit<'a>,
}

impl<C> Pool<C> {
    /// For `size` connections to this server.
    pub(crate) fn new(server: impl Into<String>, size: usize) -> Self {
        Self {
            server: server.into(),
            idle: Mutex::new(Vec::new()),
            permits: Semaphore::new(size),
        }
    }

    /// The server, as messages name it.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    /// Waits for a free connection until a little before the deadline: that all are in use is not the server's fault.
    /// Idle connections that are not `alive` are closed.
    pub(crate) async fn lease(
        &self,
        deadline: Instant,
        mut alive: impl FnMut(&mut C) -> bool,
    ) -> Result<Lease<'_, C>, Fault> {
        let busy = || Fault::Busy(format!("all connections to {} are in use", self.server));
        let margin = deadline.saturating_duration_since(now()) / 20;
        let permit = tokio::time::timeout_at((deadline - margin).into(), self.permits.acquire())
            .await
            .map_err(|_| busy())?
            .map_err(|_| busy())?;
        let now = now();
        let left_over = {
            let mut idle = self.idle.lock();
            idle.retain_mut(|(connection, since)| {
                now.saturating_duration_since(*since) < IDLE_MAX && alive(connection)
            });
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
    /// Closes all idle connections: one of them turned out dead, and most likely the others are too.
    pub(crate) fn close_others(&self) {
        self.pool.idle.lock().clear();
    }

    /// Keeps the connection for later.
    pub(crate) fn give_back(self, connection: C) {
        self.pool.idle.lock().push((connection, now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_time() -> Instant {
        Instant::now() + Duration::from_secs(3_600)
    }

    #[tokio::test]
    async fn what_is_given_back_is_used_again() {
        let pool = Pool::new("a.test", 2);
        let lease = pool.lease(in_time(), |_| true).await.unwrap();
        assert_eq!(lease.left_over, None);
        lease.give_back(1);
        let mut lease = pool.lease(in_time(), |_| true).await.unwrap();
        assert_eq!(lease.left_over.take(), Some(1));
        drop(lease);
        let lease = pool.lease(in_time(), |_| true).await.unwrap();
        assert_eq!(lease.left_over, None, "it was not given back");
        lease.give_back(2);
        let lease = pool
            .lease(in_time(), |connection| *connection != 2)
            .await
            .unwrap();
        assert_eq!(lease.left_over, None, "dead ones are not given out");
        lease.give_back(3);
        let lease = pool.lease(in_time(), |_| true).await.unwrap();
        let other = pool.lease(in_time(), |_| true).await.unwrap();
        other.give_back(4);
        lease.close_others();
        drop(lease);
        assert_eq!(pool.lease(in_time(), |_| true).await.unwrap().left_over, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_is_waited_for() {
        let pool = Pool::<u8>::new("a.test", 1);
        let lease = pool.lease(in_time(), |_| true).await.unwrap();
        let Err(Fault::Busy(reason)) = pool.lease(Instant::now(), |_| true).await else {
            panic!("there is no place");
        };
        assert_eq!(reason, "all connections to a.test are in use");
        drop(lease);
        assert!(pool.lease(in_time(), |_| true).await.is_ok());
    }
}
