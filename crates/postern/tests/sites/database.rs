//! MariaDB on the server's machine, on the default port, filled from the site's dump; and logins of Cyrus SASL in its own
//! database.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use postern_testkit::process::{Server, program, wait_until};

use crate::machine::{Machine, run};
use crate::network::Space;

/// The kernel has few slots for asynchronous I/O, and each server would take several hundred of them.
const NO_AIO: &str = "--innodb-use-native-aio=0";

/// How often creating the system tables is tried: on a busy machine it sometimes fails.
const ATTEMPTS: u32 = 5;

/// Starts MariaDB with a dump.
pub(crate) fn mariadb(dump: &Path, folder: &Path, inside: &Space) -> Server {
    let data = folder.join("mariadb");
    for attempt in 1..=ATTEMPTS {
        fs::create_dir(&data).unwrap();
        let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
        std::os::unix::fs::chown(&data, Some(nobody.uid.as_raw()), Some(nobody.gid.as_raw())).unwrap();
        let mut command = Command::new(program("/usr/bin/mariadb-install-db", "mariadb-server"));
        command
            .args([
                "--no-defaults",
                "--user=nobody",
                "--auth-root-authentication-method=normal",
            ])
            .args([
                "--skip-test-db",
                "--skip-name-resolve",
                "--innodb-log-file-size=4M",
                NO_AIO,
            ])
            .arg(format!("--datadir={}", data.display()))
            // Two at once would interfere with each other's temporary tables.
            .env("TMPDIR", &data)
            .current_dir(&data);
        let output = command.output().unwrap();
        if output.status.success() {
            break;
        }
        let printed = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(attempt < ATTEMPTS, "mariadb-install-db failed:\n{printed}");
        fs::remove_dir_all(&data).unwrap();
    }
    let socket = data.join("socket");
    let mut command = inside.command(program("/usr/sbin/mariadbd", "mariadb-server"));
    command
        .args([
            "--no-defaults",
            "--user=nobody",
            "--bind-address=127.0.0.1",
            "--port=3306",
            "--skip-log-bin",
        ])
        .args([
            "--innodb-buffer-pool-size=16M",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-log-file-size=4M",
            NO_AIO,
        ])
        .arg(format!("--socket={}", socket.display()))
        .arg(format!("--datadir={}", data.display()))
        .env("TMPDIR", &data);
    let mut server = Server::start(&mut command, &folder.join("mariadb.log"));
    let client = || {
        let mut client = Command::new(program("/usr/bin/mariadb", "mariadb-client"));
        client
            .args(["--no-defaults", "-u", "root"])
            .arg(format!("--socket={}", socket.display()));
        client
    };
    wait_until("MariaDB to take connections", || {
        assert!(server.runs(), "MariaDB has ended:\n{}", server.log());
        client()
            .args(["-e", "SELECT 1"])
            .output()
            .is_ok_and(|output| output.status.success())
    });
    run(client().stdin(File::open(dump).unwrap()));
    server
}

/// Writes `/etc/sasldb2` as `saslpasswd2` does.
pub(crate) fn sasldb(logins: &[(String, String, String)], machine: &Machine) {
    let path = machine.path("/etc/sasldb2");
    for (name, realm, password) in logins {
        let mut command = Command::new(program("/usr/sbin/saslpasswd2", "sasl2-bin"));
        let mut child = command
            .args(["-p", "-c", "-u", realm, "-f"])
            .arg(&path)
            .arg(name)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(password.as_bytes())
            .unwrap();
        assert!(child.wait().unwrap().success(), "saslpasswd2 failed");
    }
}
