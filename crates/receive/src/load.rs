//! The load average, read at most once a second.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// How long a reading is used. The kernel itself updates it every five seconds.
const FRESH: Duration = Duration::from_secs(1);

/// The load average of the last minute. Cloning shares the reading.
#[derive(Clone)]
pub struct LoadGauge {
    inner: Arc<Inner>,
}

struct Inner {
    /// The last reading, as bits of an `f64`.
    last: AtomicU64,
    read_at: Mutex<Option<Instant>>,
    source: Box<dyn Fn() -> f64 + Send + Sync>,
}

impl LoadGauge {
    /// Reads `/proc/loadavg`. If that cannot be read, the load counts as zero.
    #[must_use]
    pub fn system() -> Self {
        Self::from_source(|| {
            fs::read_to_string("/proc/loadavg")
                .ok()
                .as_deref()
                .and_then(first_number)
                .unwrap_or(0.0)
        })
    }

    /// Asks `source`, at most once a second.
    #[must_use]
    pub fn from_source(source: impl Fn() -> f64 + Send + Sync + 'static) -> Self {
        Self {
            inner: Arc::new(Inner {
                last: AtomicU64::new(0.0_f64.to_bits()),
                read_at: Mutex::new(None),
                source: Box::new(source),
            }),
        }
    }

    /// The load average, up to a second old.
    #[must_use]
    pub fn get(&self) -> f64 {
        // If the lock is taken, the last reading is used: the holder is about to renew it.
        if let Some(mut read_at) = self.inner.read_at.try_lock()
            && read_at.is_none_or(|at| at.elapsed() >= FRESH)
        {
            *read_at = Some(Instant::now());
            self.inner
                .last
                .store((self.inner.source)().to_bits(), Ordering::Relaxed);
        }
        f64::from_bits(self.inner.last.load(Ordering::Relaxed))
    }
}

impl std::fmt::Debug for LoadGauge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadGauge").field("load", &self.get()).finish()
    }
}

fn first_number(text: &str) -> Option<f64> {
    text.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    #[test]
    fn many_questions_are_one_reading() {
        let readings = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&readings);
        let gauge = LoadGauge::from_source(move || {
            count.fetch_add(1, Ordering::Relaxed);
            3.5
        });
        for _ in 0..1_000 {
            assert!((gauge.get() - 3.5).abs() < f64::EPSILON);
        }
        assert_eq!(readings.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn the_kernels_file() {
        assert_eq!(first_number("0.52 0.41 0.30 1/234 5678\n"), Some(0.52));
        assert_eq!(first_number(""), None);
        assert!(LoadGauge::system().get() >= 0.0);
    }
}
