//! A real unbound that answers from the test's own zone.

use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::process::Command;

use tempfile::TempDir;

use crate::process::{Server, program, wait_for_port};

/// An unbound on a loopback port. Its records can be replaced. Killed when dropped.
#[derive(Debug)]
pub struct Zone {
    folder: TempDir,
    address: SocketAddr,
    server: Option<Server>,
}

impl Zone {
    /// Starts one with this zone, in which only these TXT records exist: name and text.
    ///
    /// # Panics
    ///
    /// When unbound is not installed or does not start.
    #[must_use]
    pub fn start(zone: &str, texts: &[(String, String)]) -> Self {
        let mut started = Self {
            folder: TempDir::new().expect("a scratch folder"),
            address: free_for_both(),
            server: None,
        };
        started.replace(zone, texts);
        started
    }

    /// Replaces the records.
    ///
    /// # Panics
    ///
    /// As [`Zone::start`].
    pub fn replace(&mut self, zone: &str, texts: &[(String, String)]) {
        if let Some(server) = self.server.take() {
            let _ = server.terminate();
        }
        let data: Vec<String> = texts.iter().map(|(name, text)| data(name, text)).collect();
        let configuration = format!(
            "server:\n    interface: 127.0.0.1\n    port: {}\n    do-daemonize: no\n    use-syslog: no\n    chroot: \"\"\n    \
             username: \"\"\n    pidfile: \"\"\n    directory: \"{}\"\n    num-threads: 1\n    module-config: \"iterator\"\n    \
             access-control: 127.0.0.0/8 allow\n    local-zone: \"{zone}.\" static\n{}remote-control:\n    control-enable: no\n",
            self.address.port(),
            self.folder.path().display(),
            data.concat()
        );
        let file = self.folder.path().join("unbound.conf");
        fs::write(&file, configuration).expect("unbound.conf");
        let mut command = Command::new(program("/usr/sbin/unbound", "unbound"));
        command.arg("-c").arg(&file);
        self.server = Some(Server::start(&mut command, &self.folder.path().join("log")));
        wait_for_port(self.address.port());
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// A TXT record in strings of at most 255 octets, with TTL 0.
fn data(name: &str, text: &str) -> String {
    let strings: Vec<String> = text
        .as_bytes()
        .chunks(255)
        .map(|string| format!("\"{}\"", String::from_utf8_lossy(string)))
        .collect();
    format!("    local-data: '{name}. 0 IN TXT {}'\n", strings.join(" "))
}

fn free_for_both() -> SocketAddr {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = tcp.local_addr().expect("a bound socket has an address");
        if UdpSocket::bind(address).is_ok() {
            return address;
        }
    }
}
