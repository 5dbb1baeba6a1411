//! Messages to systemd about the state of the service (`sd_notify(3)`).

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// The way to the service manager, if there is one.
pub(super) struct Notifier {
    socket: Option<(UnixDatagram, SocketAddr)>,
}

impl Notifier {
    /// Takes the address from `NOTIFY_SOCKET`. Without one, or with one that is no good, nothing is ever sent.
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
            // A manager that does not listen is no reason to fail.
            let _ = socket.send_to_addr(message.as_bytes(), address);
        }
    }
}
