//! What the system says about the server's process.

use std::time::Duration;

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use nix::sys::time::TimeValLike as _;

/// What the system says about the server's process.
#[derive(Clone, Debug, Default)]
pub struct Process {
    /// CPU time, user and system.
    pub cpu: Duration,
    /// Octets of memory in use.
    pub memory: Option<u64>,
    /// Open files and sockets. Not every kernel tells a process that cannot be dumped.
    pub files: Option<u64>,
    /// Most of them.
    pub files_max: Option<u64>,
}

impl Process {
    /// Reads it for this process, now.
    #[must_use]
    pub fn now() -> Self {
        let cpu = getrusage(UsageWho::RUSAGE_SELF).map_or(Duration::ZERO, |usage| {
            let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
            Duration::from_micros(u64::try_from(micros).unwrap_or(0))
        });
        Self {
            cpu,
            memory: memory(),
            files: std::fs::read_dir("/proc/self/fd")
                .ok()
                .map(|files| files.count() as u64),
            files_max: getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(soft, _)| soft),
        }
    }
}

fn memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_tells() {
        let process = Process::now();
        assert!(
            process.memory.is_some_and(|octets| octets > 100_000),
            "{process:?}"
        );
        assert!(process.files_max.is_some_and(|files| files > 3), "{process:?}");
    }
}
