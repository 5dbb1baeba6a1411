//! Local programs submit mail with `sendmail`: through the socket, into the folder while the server is down, and as the programs
//! that people really use do.

mod door;
mod folder;
mod programs;
mod rewritten;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use nix::unistd::geteuid;
use tempfile::TempDir;

use crate::harness::{Site, binary};

/// Accounts that every system has.
const NOBODY: u32 = 65_534;
const DAEMON: u32 = 1;

/// A site with local submission, and a folder that every user can enter, with the classic names in it.
struct Desk {
    site: Site,
    /// `sendmail`, `mailq`, `newaliases`, and the socket and drop folder.
    place: TempDir,
}

impl Desk {
    /// `keys` are for `[local]`, `top` for the top of the file. All mail goes to `hop`.
    fn new(hop: u16, top: &str, keys: &str) -> Self {
        let place = TempDir::new().unwrap();
        let at = |name: &str| place.path().join(name).display().to_string();
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let program = place.path().join("postern");
        if fs::hard_link(binary(), &program).is_err() {
            fs::copy(binary(), &program).unwrap();
        }
        for name in ["sendmail", "mailq", "newaliases"] {
            symlink("postern", place.path().join(name)).unwrap();
        }
        let local = format!(
            "[local]\nsocket = \"{}\"\ndrop = \"{}\"\n{keys}\n",
            at("submit"),
            at("drop")
        );
        let site = Site::relay_with(hop, top, &local);
        Self { site, place }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// One of the classic names, for a user who is not root if these tests are.
    fn command(&self, name: &str, uid: u32) -> Command {
        let mut command = Command::new(self.path(name));
        command
            .env("POSTERN_SUBMIT", self.path("submit"))
            .env("POSTERN_DROP", self.path("drop"))
            .env_remove("POSTERN_CONFIG")
            .current_dir("/");
        if geteuid().is_root() {
            command.gid(uid).uid(uid);
        }
        command
    }

    fn run(&self, name: &str, uid: u32, arguments: &[&str], input: &str) -> Output {
        let mut command = self.command(name, uid);
        output(command.args(arguments), input)
    }

    fn sendmail(&self, uid: u32, arguments: &[&str], input: &str) -> Output {
        self.run("sendmail", uid, arguments, input)
    }

    /// Names of files in the drop folder.
    fn dropped(&self) -> Vec<String> {
        let found = fs::read_dir(self.path("drop")).unwrap();
        let mut names: Vec<String> = found
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn output(command: &mut Command, input: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that does not read all of it may already have ended.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// Its output, and its status.
fn said(output: &Output) -> String {
    format!(
        "{}{}status {:?}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
        output.status.code()
    )
}

/// Tests with several users need root.
fn is_root() -> bool {
    geteuid().is_root()
}

/// The uid with which [`Desk::command`] runs programs.
fn number(uid: u32) -> u32 {
    if is_root() { uid } else { geteuid().as_raw() }
}
