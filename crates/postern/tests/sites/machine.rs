//! The server's file system: a small Debian, the site's files on top, and certificates issued by its authority.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use postern_testkit::process::program;

use crate::site::Site;

/// Accounts on every system here, and the one that Postern runs as.
const ACCOUNTS: &str = "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1::/:/usr/sbin/nologin\nmail:x:8:8::/var/mail:/usr/sbin/nologin\n\
    postern:x:900:900::/var/lib/postern:/usr/sbin/nologin\nnobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n";

/// The uid of the account that Postern runs as.
const SERVER: u32 = 900;

const GROUPS: &str = "root:x:0:\ndaemon:x:1:\nmail:x:8:\npostern:x:900:\nnogroup:x:65534:\n";

/// The server's files below a folder.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) root: PathBuf,
    /// Where the authority and the certificates of others are.
    pub(crate) certificates: PathBuf,
}

impl Machine {
    /// Creates the files of a site below `folder`.
    pub(crate) fn make(folder: &Path, site: &Site) -> Self {
        let (root, certificates) = (folder.join("root"), folder.join("certificates"));
        for name in [
            "usr",
            "dev",
            "proc",
            "etc/ssl/certs",
            "etc/postern",
            "var/mail",
            "var/lib",
            "run",
            "tmp",
            "home",
        ] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        fs::create_dir(&certificates).unwrap();
        for name in ["bin", "sbin", "lib", "lib64"] {
            symlink(format!("usr/{name}"), root.join(name)).unwrap();
        }
        symlink("/run", root.join("var/run")).unwrap();
        fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
        let mailboxes = fs::Permissions::from_mode(0o2775);
        fs::set_permissions(root.join("var/mail"), mailboxes).unwrap();
        std::os::unix::fs::chown(root.join("var/mail"), None, Some(8)).unwrap();
        // As created by Postern's package: path, mode, and whether the server owns them.
        for (name, mode, is_own) in [
            ("run/postern", 0o755, true),
            ("run/postern-mailbox", 0o755, false),
            ("var/lib/postern", 0o700, true),
            ("var/spool/postern/drop", 0o3733, true),
        ] {
            let path = root.join(name);
            fs::create_dir_all(&path).unwrap();
            if is_own {
                std::os::unix::fs::chown(&path, Some(SERVER), Some(SERVER)).unwrap();
            }
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::write(root.join("postern"), "").unwrap();
        // However busy the test machine is, the site's must not be: sites refuse mail above a certain load.
        fs::write(root.join("load"), "0.10 0.10 0.10 1/100 1000\n").unwrap();
        let machine = Self { root, certificates };
        machine.system(site);
        // The files that the import reads are separate; those to which its result refers stay where they were.
        fs::create_dir_all(machine.root.join("old/etc")).unwrap();
        for part in ["etc", "var", "usr", "home"] {
            let from = site.folder.join(part);
            if from.exists() {
                copy(&from, &machine.root.join("old").join(part));
            }
            if part != "usr" && from.exists() {
                copy(&from, &machine.root.join(part));
            }
        }
        machine.put(&machine.path("/etc/hostname"), "/old/etc/hostname", 0o644);
        machine.programs(site);
        machine.authority(site);
        machine
    }

    /// The site's own programs, and the folders to which they write.
    fn programs(&self, site: &Site) {
        for (path, text) in &site.lab.programs {
            let below = path.strip_prefix("/usr/local/").unwrap();
            let path = self.root.join("local").join(below);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        for folder in &site.lab.boxes {
            let folder = self.path(folder);
            fs::create_dir_all(&folder).unwrap();
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o1777)).unwrap();
        }
    }

    fn system(&self, site: &Site) {
        let (mut accounts, mut groups) = (ACCOUNTS.to_owned(), GROUPS.to_owned());
        for (id, name) in (1_001..).zip(&site.probes.users) {
            accounts += &format!("{name}:x:{id}:{id}::/home/{name}:/bin/sh\n");
            groups += &format!("{name}:x:{id}:\n");
            let home = self.root.join("home").join(name);
            fs::create_dir_all(&home).unwrap();
            std::os::unix::fs::chown(&home, Some(id), Some(id)).unwrap();
        }
        let host = &site.probes.host;
        let files = [
            ("etc/passwd", accounts),
            ("etc/group", groups),
            (
                "etc/nsswitch.conf",
                "passwd: files\ngroup: files\nhosts: files dns\n".to_owned(),
            ),
            ("etc/hostname", format!("{host}\n")),
            (
                "etc/hosts",
                format!("127.0.0.1 localhost\n{} {host}\n", site.probes.server[0]),
            ),
            ("etc/resolv.conf", "nameserver 127.0.0.1\n".to_owned()),
        ];
        for (name, text) in files {
            fs::write(self.root.join(name), text).unwrap();
        }
    }

    /// Creates the authority, the certificate shared by all hosts in the world, and those that the site needs.
    fn authority(&self, site: &Site) {
        let subject = site.lab.authority.as_deref().unwrap_or("/CN=Laboratory CA");
        let (key, certificate) = (self.certificates.join("ca.key"), self.certificates.join("ca.crt"));
        let mut command = request(subject);
        command
            .args(["-x509", "-days", "30", "-addext", "keyUsage=critical,keyCertSign"])
            .args([Path::new("-keyout"), &key, Path::new("-out"), &certificate]);
        run(&mut command);
        let trusted = [String::from("/etc/ssl/certs/ca-certificates.crt")];
        for path in trusted.iter().chain(&site.lab.authority_files) {
            self.put(&certificate, path, 0o644);
        }
        let names = site.probes.dns.iter().filter(|(name, records)| {
            records.contains_key("A") && !name.starts_with(|letter: char| letter.is_ascii_digit())
        });
        let names: Vec<String> = names.map(|(name, _)| format!("DNS:{name}")).collect();
        self.issue("world", "/CN=world.example", Some(&names.join(",")));
        for (name, subject) in &site.lab.client_certificates {
            self.issue(name, subject, None);
        }
        for wanted in &site.lab.certificates {
            self.put(&self.certificates.join("world.crt"), &wanted.certificate, 0o644);
            self.put(&self.certificates.join("world.key"), &wanted.key, 0o600);
        }
    }

    /// Issues a certificate from the authority, `NAME.crt` with `NAME.key`.
    fn issue(&self, name: &str, subject: &str, names: Option<&str>) {
        let at = |ending: &str| self.certificates.join(format!("{name}.{ending}"));
        let mut command = request(subject);
        command.args([
            "-x509",
            "-days",
            "30",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ]);
        if let Some(names) = names {
            command.args(["-addext", &format!("subjectAltName={names}")]);
        }
        command.arg("-CA").arg(self.certificates.join("ca.crt"));
        command.arg("-CAkey").arg(self.certificates.join("ca.key"));
        run(command.arg("-keyout").arg(at("key")).arg("-out").arg(at("crt")));
    }

    /// Copies a file to a path on the server.
    fn put(&self, from: &Path, to: &str, mode: u32) {
        let to = self.path(to);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, &to).unwrap();
        fs::set_permissions(to, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// The path of a server's file on this host.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        // A link inside leads to another path here.
        let path = path
            .strip_prefix("/var/run/")
            .map_or_else(|| path.to_owned(), |rest| format!("/run/{rest}"));
        self.root.join(path.trim_start_matches('/'))
    }
}

fn request(subject: &str) -> Command {
    let mut command = Command::new(program("/usr/bin/openssl", "openssl"));
    command
        .args([
            "req",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
        ])
        .args(["-subj", subject]);
    command
}

/// Runs a program that must succeed, and returns its output.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    let said = [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy);
    assert!(
        output.status.success(),
        "{command:?} failed:\n{}{}",
        said[0],
        said[1]
    );
    said[0].clone().into_owned()
}

/// Copies a folder and everything below it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), &to).unwrap();
        }
    }
}
