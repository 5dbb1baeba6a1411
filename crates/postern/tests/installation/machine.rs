//! A separate Debian, booted by systemd in a container without a network. What it writes is discarded.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use postern_testkit::process::{program, wait_until};
use tempfile::TempDir;

use crate::cgroup::Group;
use crate::{binary, checkout};

/// Where the checkout is mounted in a machine, read-only.
pub(crate) const CHECKOUT: &str = "/usr/src/postern";

/// Where the binary is mounted.
const BINARY: &str = "/usr/src/postern-binary";

/// A running machine.
pub(crate) struct Machine {
    container: Child,
    /// The pid of its first process on this host.
    first: Pid,
    _folder: TempDir,
    _group: Group,
}

impl Machine {
    /// Boots one as `mx.example.org`. `packages` become `/root/NAME`.
    pub(crate) fn boot(packages: &[PathBuf]) -> Self {
        assert!(
            geteuid().is_root(),
            "a machine is booted by root alone: run the tests as root"
        );
        let nspawn = program("/usr/bin/systemd-nspawn", "systemd-container");
        let folder = TempDir::new().unwrap();
        let console = File::create(folder.path().join("console")).unwrap();
        let group = Group::new();
        let mut command = Command::new("/bin/sh");
        command
            .args([
                "-euc",
                "until [ \"$1\" = -- ]; do echo $$ > \"$1/cgroup.procs\"; shift; done; shift; exec \"$@\"",
                "sh",
            ])
            .args(group.folders())
            .arg("--")
            .arg(nspawn)
            .args(["--quiet", "--register=no", "--keep-unit", "--private-network"])
            .args([
                "--volatile=overlay",
                "--console=read-only",
                "--resolv-conf=off",
                "--boot",
            ])
            .arg("--machine")
            .arg(
                folder
                    .path()
                    .file_name()
                    .unwrap()
                    .to_string_lossy()
                    .replace('.', ""),
            )
            .arg("--hostname=mx.example.org")
            .arg("--directory")
            .arg(root())
            .arg(format!("--bind-ro={}:{CHECKOUT}", checkout().display()))
            .arg(format!(
                "--bind-ro={}:{BINARY}",
                binary().canonicalize().unwrap().display()
            ))
            .stdin(Stdio::null())
            .stdout(console.try_clone().unwrap())
            .stderr(console);
        let mut container = command.spawn().unwrap();
        let mut first = None;
        let own = container.id();
        wait_until("the machine's first process", || {
            let ended = container.try_wait().unwrap();
            assert!(ended.is_none(), "systemd-nspawn ended: {}", said(&folder));
            first = first_below(own);
            first.is_some()
        });
        let machine = Self {
            container,
            first: first.unwrap(),
            _folder: folder,
            _group: group,
        };
        wait_until("the machine to be up", || {
            let output = machine.run("systemctl is-system-running", "");
            // "degraded" is checked elsewhere: see `failed`.
            matches!(
                String::from_utf8_lossy(&output.stdout).trim(),
                "running" | "degraded"
            )
        });
        machine.ok("printf '127.0.0.1 localhost mx.example.org\\n' > /etc/hosts; echo mx.example.org > /etc/hostname");
        for package in packages {
            let name = package.file_name().unwrap().to_str().unwrap();
            machine.put(&format!("/root/{name}"), &fs::read(package).unwrap());
        }
        machine
    }

    /// Writes a file in the machine.
    pub(crate) fn put(&self, path: &str, content: &[u8]) {
        let output = self.with_input(
            &format!("mkdir -p \"$(dirname '{path}')\" && cat > '{path}'"),
            content,
        );
        assert!(output.status.success(), "{path}: {output:?}");
    }

    /// Runs a script as root in `/root`.
    pub(crate) fn run(&self, script: &str, input: &str) -> Output {
        self.with_input(script, input.as_bytes())
    }

    fn with_input(&self, script: &str, input: &[u8]) -> Output {
        let mut child = Command::new(program("/usr/bin/nsenter", "util-linux"))
            .args(["--target", &self.first.to_string(), "--all", "--"])
            .args([
                "env",
                "-i",
                "HOME=/root",
                "LC_ALL=C.UTF-8",
                "TERM=dumb",
                "DEBIAN_FRONTEND=noninteractive",
            ])
            .args([
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "SYSTEMD_COLORS=0",
            ])
            .arg(format!("POSTERN_BIN={BINARY}"))
            .args(["bash", "-euc", &format!("cd /root; {script}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A program that does not read its input may have ended.
        let _ = child.stdin.take().unwrap().write_all(input);
        child.wait_with_output().unwrap()
    }

    /// Runs a script that must succeed, and returns what it printed.
    pub(crate) fn ok(&self, script: &str) -> String {
        let output = self.run(script, "");
        assert!(output.status.success(), "{script}\n{}", shown(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Waits until a script succeeds.
    pub(crate) fn wait_for(&self, script: &str) {
        wait_until(script, || self.run(script, "").status.success());
    }

    /// The failed units, except the nameless one that Debian's Postfix leaves behind when removed.
    pub(crate) fn failed(&self) -> String {
        self.ok("systemctl list-units --failed --no-legend --plain | grep -v '^postfix@-[.]service ' || true")
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let journal = self.run("journalctl --no-pager --lines 60", "");
            eprintln!(
                "the machine's journal:\n{}",
                String::from_utf8_lossy(&journal.stdout)
            );
        }
        // When the first process of its namespace ends, all others do, and systemd-nspawn removes its folders.
        if kill(self.first, Signal::SIGKILL).is_err() {
            let _ = self.container.kill();
        }
        let _ = self.container.wait();
    }
}

/// The output of a command.
pub(crate) fn shown(output: &Output) -> String {
    format!(
        "{}: {}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// The Debian from which machines are made.
fn root() -> PathBuf {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| checkout().join("target"), PathBuf::from);
    let folder = target.join("machine");
    assert!(
        folder.join("made").exists(),
        "there is no Debian to boot: make it with scripts/debian-root"
    );
    folder.join("root")
}

fn said(folder: &TempDir) -> String {
    fs::read_to_string(folder.path().join("console")).unwrap_or_default()
}

/// The first process of the namespace created by a process. Before it, there are short-lived others.
fn first_below(process: u32) -> Option<Pid> {
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).ok()?;
    let is_first = |child: &&str| {
        let status = fs::read_to_string(format!("/proc/{child}/status")).unwrap_or_default();
        let inside = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        let name = fs::read_to_string(format!("/proc/{child}/comm")).unwrap_or_default();
        inside.is_some_and(|ids| ids.split_whitespace().next_back() == Some("1")) && name.trim() == "systemd"
    };
    let first = children.split_whitespace().find(is_first)?;
    Some(Pid::from_raw(first.parse().ok()?))
}
