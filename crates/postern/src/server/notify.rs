//! Messages to systemd about the state of the service (`sd_notify(3)`).

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// The connection to the service manager, if there is one.
pub(super) struct Notifier {
    socket: Option<(UnixDatagram, SocketAddr)>,
}

impl Notifier {
    /// Takes the address from `NOTIFY_SOCKET`. Without one, or with an invalid one, nothing is ever sent.
    pub(super) fn from_environment() -> Self {
        let address = std::env::var("NOTIFY_SOCKET")
            .ok()
            .and_then(|name| match name.strip_prefix('@') {
                Some(hidden) => SocketAddr::from_abstract_name(hidden).ok(),
                None if name.starts_with('/') => SocketAddr::from_pathname(name).ok(),
                None => None,
            });
        Self {
            socket: address.and_then(|address| Some((UnixDatagram::unbound().ok()?, address))),
        }
    }

    /// The server accepts connections, or a reload is over.
    pub(super) fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={status}"));
    }

    /// Tells the manager twice in each of its intervals that the server is alive, as long as tasks are running; never ends. Does
    /// nothing if the manager does not ask for it (`WatchdogSec=`).
    pub(super) async fn keep_alive(self: Arc<Self>) {
        let variable = |name| std::env::var(name).ok();
        let own = std::process::id();
        let Some(every) = interval(variable("WATCHDOG_USEC"), variable("WATCHDOG_PID"), own) else {
            return;
        };
        loop {
            tokio::time::sleep(every / 2).await;
            self.send("WATCHDOG=1");
        }
    }

    /// A reload begins.
    pub(super) fn reloading(&self) {
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from);
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={}", now.as_micros()));
    }

    /// The server stops.
    pub(super) fn stopping(&self) {
        self.send("STOPPING=1\nSTATUS=waiting for sessions and deliveries to end");
    }

    fn send(&self, message: &str) {
        if let Some((socket, address)) = &self.socket {
            // A manager that does not listen is not a reason to fail.
            let _ = socket.send_to_addr(message.as_bytes(), address);
        }
    }
}

/// The interval in which the manager expects a sign of life (`sd_watchdog_enabled(3)`).
fn interval(micros: Option<String>, process: Option<String>, own: u32) -> Option<Duration> {
    if process.is_some_and(|process| process.parse() != Ok(own)) {
        return None;
    }
    let micros: u64 = micros?.parse().ok()?;
    (micros > 0).then(|| Duration::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manager_says_how_often_and_to_whom() {
        let text = |text: &str| Some(text.to_owned());
        let minute = Some(Duration::from_secs(60));
        for (micros, process, expected, why) in [
            (None, None, None, "nobody asks"),
            (text("60000000"), None, minute, "any process"),
            (text("60000000"), text("7"), minute, "this one"),
            (text("60000000"), text("8"), None, "another one"),
            (text("0"), None, None, "no time"),
            (text("x"), None, None, "no number"),
        ] {
            assert_eq!(interval(micros, process, 7), expected, "{why}");
        }
    }
}
