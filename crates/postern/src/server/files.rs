//! Whether as many files may be open at once as the configuration can ask for.

use std::sync::OnceLock;

use nix::sys::resource::{Resource, getrlimit};

use crate::config::Config;

/// Files besides those of sessions, bodies, deliveries and sockets: the queue, directories, the log, and connections that are
/// refused with a reason.
const FIXED: u64 = 512;

/// What the configuration can ask for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Wanted {
    sessions: u64,
    bodies: u64,
    /// Connections to other servers. Each may also have a body open.
    deliveries: u64,
    /// Connections of neighbouring services, and listeners.
    neighbours: u64,
}

impl Wanted {
    fn sum(&self) -> u64 {
        [
            self.sessions,
            self.bodies,
            2 * self.deliveries,
            self.neighbours,
            FIXED,
        ]
        .into_iter()
        .fold(0, u64::saturating_add)
    }

    /// What fits in `limit`: of what remains, sessions get 60 percent, bodies 15, deliveries the rest.
    fn within(self, limit: u64) -> Self {
        if self.sum() <= limit {
            return self;
        }
        let left = limit
            .saturating_sub(FIXED)
            .saturating_sub(self.neighbours)
            .max(64);
        Self {
            sessions: self.sessions.min(left * 60 / 100),
            bodies: self.bodies.min(left * 15 / 100),
            deliveries: self.deliveries.min(left * 12 / 100),
            ..self
        }
    }
}

/// Reduces the configured limits if fewer files may be open at once than they require, and reports that.
pub(super) fn fit(config: &mut Config) -> Option<String> {
    // The value at start: later the system cannot be asked any more.
    static LIMIT: OnceLock<Option<u64>> = OnceLock::new();
    let limit = (*LIMIT.get_or_init(|| Some(getrlimit(Resource::RLIMIT_NOFILE).ok()?.0)))?;
    let neighbours = config
        .sockets
        .iter()
        .map(|socket| socket.settings.connections_max);
    let monitors = config.http.iter().map(|one| one.limits.connections_max);
    let wanted = Wanted {
        sessions: config.receive.admission.sessions.into(),
        bodies: config.receive.room.bodies.into(),
        deliveries: config.deliver.limits.connections as u64,
        neighbours: (neighbours.sum::<usize>()
            + monitors.sum::<usize>()
            + config.http.len()
            + config.sockets.len()
            + config.listeners.len()) as u64,
    };
    let fitting = wanted.within(limit);
    if fitting == wanted {
        return None;
    }
    let number = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
    config.receive.admission.sessions = number(fitting.sessions);
    config.receive.room.bodies = number(fitting.bodies);
    config.deliver.limits.connections = usize::try_from(fitting.deliveries).unwrap_or(usize::MAX);
    Some(format!(
        "only {limit} files may be open at once, and the configuration can ask for {}: it goes on with {} sessions, {} messages \
         under way and {} deliveries. Raise LimitNOFILE= of the unit, or `ulimit -n`",
        wanted.sum(),
        fitting.sessions,
        fitting.bodies,
        fitting.deliveries
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_fits() {
        let defaults = Wanted {
            sessions: 10_000,
            bodies: 2_000,
            deliveries: 1_000,
            neighbours: 3,
        };
        assert_eq!(defaults.within(65_536), defaults);
        for limit in [1_024, 4_096, 14_000] {
            let fitting = defaults.within(limit);
            assert!(fitting.sum() <= limit, "{limit}: {fitting:?}");
            assert!(
                fitting.sessions >= 300 && fitting.bodies >= 50 && fitting.deliveries >= 50,
                "{fitting:?}"
            );
        }
    }
}
