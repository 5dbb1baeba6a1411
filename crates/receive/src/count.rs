//! Counts open sessions, in all and by network.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;

/// Open sessions. Holds one entry for each network that has any.
#[derive(Debug, Default)]
pub(crate) struct SessionCounts {
    total: AtomicU32,
    networks: Mutex<HashMap<IpAddr, u32>>,
}

/// One session in the counts, until dropped.
pub(crate) struct Counted {
    counts: Arc<SessionCounts>,
    network: IpAddr,
}

impl SessionCounts {
    /// Sessions open now.
    pub(crate) fn total(&self) -> u32 {
        self.total.load(Ordering::Relaxed)
    }

    /// Counts a session, and says how many others there are: in all, and in its network.
    pub(crate) fn enter(self: &Arc<Self>, network: IpAddr) -> (Counted, u32, u32) {
        let total = self.total.fetch_add(1, Ordering::Relaxed);
        let mut networks = self.networks.lock();
        let here = networks.entry(network).or_insert(0);
        let others = *here;
        *here += 1;
        drop(networks);
        (
            Counted {
                counts: Arc::clone(self),
                network,
            },
            total,
            others,
        )
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.counts.total.fetch_sub(1, Ordering::Relaxed);
        let mut networks = self.counts.networks.lock();
        if let Some(count) = networks.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                networks.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_come_and_go() {
        let counts = Arc::new(SessionCounts::default());
        let (a, b): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let (first, total, others) = counts.enter(a);
        assert_eq!((total, others), (0, 0));
        let (second, total, others) = counts.enter(b);
        assert_eq!((total, others), (1, 0));
        let (third, total, others) = counts.enter(a);
        assert_eq!((total, others), (2, 1));
        drop((first, second));
        assert_eq!(counts.total(), 1);
        drop(third);
        assert!(
            counts.networks.lock().is_empty(),
            "nothing is kept of who has gone"
        );
    }
}
