//! Migrating a site: import, check, start, all probes, comparison.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use postern_testkit::process::{PATIENCE, Server, wait_until};
use serde_json::Value;
use tempfile::TempDir;

use crate::around::{Around, from};
use crate::arrived::{Copy, faults, in_mailboxes};
use crate::before;
use crate::dialogue::{Clients, Ended};
use crate::machine::{Machine, run};
use crate::network::{Space, connect};
use crate::site::{Probe, Site};

/// Concurrent dialogues.
const CLIENTS: usize = 6;

/// Log lines shown by a failed test.
const SHOWN: usize = 40;

/// Migrates a site, and compares each row.
///
/// # Panics
///
/// When a row is neither as on the old server nor as `differences.json` says, or the report does not say so.
pub(crate) fn answers_as_before(name: &str) {
    assert!(nix::unistd::geteuid().is_root(), "network namespaces need root");
    let lab = Lab::start(Site::read(name), false);
    let ended = lab.send_all();
    let copies = lab.settled(&ended);
    let mut wrong = Vec::new();
    for probe in &lab.site.probes.probes {
        let (expected, findings) = lab.site.expected(probe);
        let ended = &ended[&probe.n];
        let mut found = Vec::new();
        if ended.verdict != expected.verdict {
            found.push(format!(
                "{} ({}), not {}",
                ended.verdict, ended.reply, expected.verdict
            ));
        }
        found.extend(faults(&lab.site, &expected, &mark(probe), &copies));
        for finding in findings {
            if !lab.report_says(finding) {
                found.push(format!("the report does not say {finding:?}"));
            }
        }
        if !found.is_empty() {
            wrong.push(row(probe, &found));
        }
    }
    if !wrong.is_empty() {
        lab.show();
        let all = lab.site.probes.probes.len();
        panic!(
            "{name}: {} of {all} rows are not as before:\n{}",
            wrong.len(),
            wrong.join("\n")
        );
    }
}

/// Sends the probes to the old server itself, and records what it does.
pub(crate) fn record(name: &str) {
    assert!(nix::unistd::geteuid().is_root(), "network namespaces need root");
    let lab = Lab::start(Site::read(name), true);
    let ended = lab.send_all();
    let copies = before::settled(|| lab.copies());
    before::write(&lab.site, |probe| ended[&probe.n].clone(), &copies);
    if std::env::var_os("POSTERN_KEEP_LABS").is_some() {
        eprintln!("{}\n{}", lab.server.log(), before::log(&lab.machine));
    }
}

/// A row of the table of failures.
fn row(probe: &Probe, found: &[String]) -> String {
    let head = format!(
        "{:>3}  {} :{} <{}> -> <{}>",
        probe.n, probe.client, probe.port, probe.mail, probe.rcpt
    );
    format!("{head}\n       {}", found.join("\n       "))
}

fn mark(probe: &Probe) -> String {
    format!("row-{}", probe.n)
}

/// A migrated site, with its surroundings.
struct Lab {
    site: Site,
    around: Around,
    server: Server,
    /// The helper that delivers to system users, if configured.
    helper: Option<Server>,
    report: Value,
    inside: Space,
    outside: Space,
    machine: Machine,
    /// Kept if `POSTERN_KEEP_LABS` is set, for inspection.
    _folder: Option<TempDir>,
}

impl Lab {
    /// `is_old`: whether the old server runs there, not Postern.
    fn start(site: Site, is_old: bool) -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().to_owned();
        let kept = std::env::var_os("POSTERN_KEEP_LABS").is_some();
        let folder = if kept {
            eprintln!("the laboratory is kept in {}", folder.keep().display());
            None
        } else {
            Some(folder)
        };
        open_for_all(&path);
        let machine = Machine::make(&path, &site);
        let probes = &site.probes;
        let binary = binary();
        let (inside, outside) = connect(
            &probes.host,
            &machine.root,
            &binary,
            &probes.server,
            &probes.world,
        );
        let around = Around::start(&site, &machine, &inside, &outside);
        let (report, helper, server) = if is_old {
            let server = before::serve(&site, &machine, &inside, &outside, &path);
            (Value::Null, None, server)
        } else {
            let report = import(&site, &machine, &inside);
            let helper = help(&machine, &inside, &path);
            let server = serve(&site, &machine, &inside, &outside, &path);
            (report, helper, server)
        };
        Self {
            site,
            around,
            server,
            helper,
            report,
            inside,
            outside,
            machine,
            _folder: folder,
        }
    }

    fn postern(&self, arguments: &[&str]) -> Command {
        postern(&self.inside, &self.machine, arguments)
    }

    /// Sends all probes; those with the same client, sender and recipient one after the other.
    fn send_all(&self) -> HashMap<u32, Ended> {
        let clients = Clients {
            site: &self.site,
            machine: &self.machine,
            inside: &self.inside,
            outside: &self.outside,
        };
        let mut groups: Vec<Vec<&Probe>> = Vec::new();
        let key = |probe: &Probe| (probe.client.clone(), probe.mail.clone(), probe.rcpt.clone());
        for probe in &self.site.probes.probes {
            match groups.iter_mut().find(|group| key(group[0]) == key(probe)) {
                Some(group) => group.push(probe),
                None => groups.push(vec![probe]),
            }
        }
        // An old server's delivery agents wait for each other's locks.
        let clients_at_once = if self.report.is_null() { 1 } else { CLIENTS };
        let ended = Mutex::new(HashMap::new());
        let waiting = Mutex::new(groups.into_iter());
        thread::scope(|scope| {
            for _ in 0..clients_at_once {
                scope.spawn(|| {
                    loop {
                        let Some(group) = waiting.lock().unwrap().next() else {
                            return;
                        };
                        for probe in group {
                            let result = one(&clients, probe);
                            ended.lock().unwrap().insert(probe.n, result);
                        }
                    }
                });
            }
        });
        ended.into_inner().unwrap()
    }

    /// All copies, once each message has arrived or waits in the queue.
    fn settled(&self, ended: &HashMap<u32, Ended>) -> Vec<Copy> {
        let end = Instant::now() + PATIENCE;
        loop {
            let is_quiet = self.is_quiet();
            let copies = self.copies();
            let is_complete = self.site.probes.probes.iter().all(|probe| {
                let (expected, _) = self.site.expected(probe);
                ended[&probe.n].verdict != expected.verdict
                    || faults(&self.site, &expected, &mark(probe), &copies).is_empty()
            });
            if is_quiet && is_complete || Instant::now() > end {
                return copies;
            }
            // A message moving between two places is briefly in neither.
            if is_quiet && self.is_quiet_for_a_while() {
                return self.copies();
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn copies(&self) -> Vec<Copy> {
        let mut copies: Vec<Copy> = self.around.hops.arrivals().iter().flat_map(Copy::of).collect();
        copies.extend(in_mailboxes(&self.machine, &self.site.lab.boxes));
        copies
    }

    /// Whether only deferred and held mail is left in the queue.
    fn is_quiet(&self) -> bool {
        let list = run(&mut self.postern(&["queue", "list", "--json"]));
        let list: Value = serde_json::from_str(&list).unwrap();
        let waits = |message: &Value| !message["hold"].is_null() || message["attempts"].as_u64() > Some(0);
        list.as_array().unwrap().iter().all(waits)
    }

    fn is_quiet_for_a_while(&self) -> bool {
        (0..20).all(|_| {
            thread::sleep(Duration::from_millis(100));
            self.is_quiet()
        })
    }

    fn report_says(&self, finding: &str) -> bool {
        ["missing", "changed"].iter().any(|part| {
            let lines = self.report[part].as_array().unwrap();
            lines.iter().any(|line| {
                let part = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
                format!("{}: {}: {}", part("what"), part("to"), part("note")).contains(finding)
            })
        })
    }

    /// Prints what helps to understand a failure.
    fn show(&self) {
        let read = |path: &str| std::fs::read_to_string(self.machine.path(path)).unwrap_or_default();
        let log = self.server.log();
        let lines: Vec<&str> = log.lines().collect();
        let tail = &lines[lines.len().saturating_sub(SHOWN)..];
        eprintln!(
            "{}\n{}\nlog:\n{}\nhelper:\n{}\naround:\n{}\nqueue:\n{}",
            read("/etc/postern/postern.toml"),
            read("/etc/postern/report.txt"),
            tail.join("\n"),
            self.helper.as_ref().map(Server::log).unwrap_or_default(),
            self.around.logs(),
            run(&mut self.postern(&["queue", "list"])),
        );
    }
}

fn one(clients: &Clients<'_>, probe: &Probe) -> Ended {
    for time in 0..probe.repeat {
        clients.send(probe, &format!("{}-before-{time}", mark(probe)));
    }
    let end = Instant::now() + PATIENCE;
    loop {
        let ended = clients.send(probe, &mark(probe));
        let is_temporary = ended.verdict.contains(" 4");
        if probe.wait.is_none() || !is_temporary || Instant::now() > end {
            return ended;
        }
        thread::sleep(Duration::from_millis(200));
    }
}

fn binary() -> PathBuf {
    std::env::var_os("POSTERN_BIN")
        .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_postern")), PathBuf::from)
}

fn postern(inside: &Space, machine: &Machine, arguments: &[&str]) -> Command {
    let mut command = inside.command_at_home(&machine.root, "/postern");
    command
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin");
    if !arguments.starts_with(&["import"]) {
        command.env("POSTERN_CONFIG", "/etc/postern/postern.toml");
    }
    command
}

/// Imports the old server's files, checks the result, and does what the report asks for.
fn import(site: &Site, machine: &Machine, inside: &Space) -> Value {
    let arguments = [
        "import",
        &site.probes.program,
        "/old",
        "--output",
        "/etc/postern",
        "--json",
    ];
    let report = run(&mut postern(inside, machine, &arguments));
    for command in &site.lab.after_import {
        let arguments: Vec<&str> = command.iter().map(String::as_str).collect();
        run(&mut postern(inside, machine, &arguments));
    }
    let checked = postern(inside, machine, &["check"]).output().unwrap();
    assert!(
        checked.status.success(),
        "postern check:\n{}{}\n{}",
        String::from_utf8_lossy(&checked.stdout),
        String::from_utf8_lossy(&checked.stderr),
        std::fs::read_to_string(machine.path("/etc/postern/postern.toml")).unwrap()
    );
    serde_json::from_str(&report).unwrap()
}

/// Starts the helper for system users' mailboxes.
fn help(machine: &Machine, inside: &Space, folder: &Path) -> Option<Server> {
    let written = std::fs::read_to_string(machine.path("/etc/postern/postern.toml")).unwrap();
    if !written.contains("[system_users]") {
        return None;
    }
    let mut command = postern(inside, machine, &["mailbox-helper", "--user", "postern"]);
    let mut helper = Server::start(&mut command, &folder.join("helper.log"));
    wait_until("the helper for mailboxes", || {
        assert!(helper.runs(), "the helper has ended:\n{}", helper.log());
        helper.log().contains("is taken at")
    });
    Some(helper)
}

fn serve(site: &Site, machine: &Machine, inside: &Space, outside: &Space, folder: &Path) -> Server {
    let mut server = Server::start(
        &mut postern(inside, machine, &["serve"]),
        &folder.join("postern.log"),
    );
    let (server_address, world) = (&site.probes.server[0], &site.probes.world[0]);
    for port in site.ports() {
        wait_until(&format!("a listener on port {port}"), || {
            assert!(server.runs(), "the server ended:\n{}", server.log());
            from(outside, world, &format!("{server_address}:{port}")).is_ok()
        });
    }
    wait_until("an answer on the control socket", || {
        let status = postern(inside, machine, &["status"]).output().unwrap();
        String::from_utf8_lossy(&status.stdout).contains(" runs as process ")
    });
    server
}

fn open_for_all(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
}
