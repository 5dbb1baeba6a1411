//! unbound as the authoritative server for a test's zones.
//!
//! Names belong below `.example`, or another top-level domain that unbound does not answer itself, as it does `.test`.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use tempfile::TempDir;

use crate::process::{Server, free_port, program, wait_for_port};

/// Octets of one string of a TXT record.
const STRING_MAX: usize = 255;

/// A running unbound. It is stopped when dropped.
#[derive(Debug)]
pub struct Unbound {
    port: u16,
    _server: Server,
    _folder: TempDir,
}

impl Unbound {
    /// Starts one with exactly these records in `.example`: `site.example TXT text`, `site.example A 192.0.2.1`, `site.example MX
    /// 10 mx.site.example.`, and `busy.example SERVFAIL` for names at and below which no query is answered.
    ///
    /// # Panics
    ///
    /// When it does not start.
    #[must_use]
    pub fn start(lines: &str) -> Self {
        let mut data = String::from("    local-zone: \"example.\" static\n");
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let written = match line.splitn(3, ' ').collect::<Vec<_>>()[..] {
                [name, "SERVFAIL"] => writeln!(data, "    local-zone: \"{name}.\" refuse"),
                [name, "TXT", text] => {
                    let strings: Vec<String> = text
                        .as_bytes()
                        .chunks(STRING_MAX)
                        .map(|string| format!("\"{}\"", String::from_utf8_lossy(string)))
                        .collect();
                    writeln!(data, "    local-data: '{name}. 60 TXT {}'", strings.join(" "))
                }
                [name, kind, value] => writeln!(data, "    local-data: '{name}. 60 {kind} {value}'"),
                _ => panic!("not a line of a zone: {line:?}"),
            };
            written.expect("a string takes all");
        }
        Self::start_with(&data)
    }

    /// Starts one with these lines in its `server:` clause, such as `local-zone: "silent.example." deny`.
    ///
    /// # Panics
    ///
    /// When it does not start.
    #[must_use]
    pub fn start_with(data: &str) -> Self {
        let folder = TempDir::new().expect("no scratch folder");
        let port = free_port();
        let file = folder.path().join("unbound.conf");
        let configuration = format!(
            "server:\n    interface: 127.0.0.1\n    port: {port}\n    do-daemonize: no\n    use-syslog: no\n    \
             chroot: \"\"\n    username: \"\"\n    pidfile: \"\"\n    directory: \"{}\"\n    num-threads: 1\n    \
             module-config: \"iterator\"\n    access-control: 127.0.0.0/8 allow\n{data}\nremote-control:\n    \
             control-enable: no\n",
            folder.path().display()
        );
        fs::write(&file, configuration).expect("the scratch folder can be written");
        let mut command = Command::new(program("/usr/sbin/unbound", "unbound"));
        command.arg("-c").arg(&file);
        let server = Server::start(&mut command, &folder.path().join("log"));
        wait_for_port(port);
        Self {
            port,
            _server: server,
            _folder: folder,
        }
    }

    /// Its port on 127.0.0.1, UDP and TCP.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The configuration lines that make a server use it.
    #[must_use]
    pub fn configuration(&self) -> String {
        format!("[dns]\nnameservers = [\"127.0.0.1:{}\"]\n", self.port)
    }
}
