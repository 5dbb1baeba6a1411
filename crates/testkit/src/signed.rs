//! A test's own DNS with DNSSEC: zones signed by ldns, and an unbound that resolves and validates them.
//!
//! The root and `lab.` are signed. Below it are zones for the other cases: `hashed.lab.` is signed with NSEC3, `plain.lab.` is
//! unsigned, the signatures of `forged.lab.` are wrong, those of `stale.lab.` have expired, and `dead.lab.` does not answer.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::process::{Server, free_port, program, wait_for_port};

/// The zones below `lab.` that are served, and whether they are signed.
const BELOW: [(&str, bool); 4] = [
    ("hashed.lab.", true),
    ("forged.lab.", true),
    ("stale.lab.", true),
    ("plain.lab.", false),
];

/// A running unbound with signed zones. It is stopped when dropped.
#[derive(Debug)]
pub struct SignedZones {
    port: u16,
    anchors: PathBuf,
    _server: Server,
    _folder: TempDir,
}

impl SignedZones {
    /// Starts one with exactly these records in `lab.`: `site.lab MX 10 mx.site.lab.`, `site.lab A 192.0.2.1`. Each line goes
    /// into the zone that contains its name.
    ///
    /// # Panics
    ///
    /// When a zone cannot be signed, or unbound does not start.
    #[must_use]
    pub fn start(lines: &str) -> Self {
        let folder = TempDir::new().expect("no scratch folder");
        let signer = Signer {
            folder: folder.path(),
        };
        let mut delegated = String::from("dead.lab. 60 IN NS ns.dead.lab.\n");
        let mut served = Vec::new();
        for (zone, signed) in BELOW {
            let text = records(lines, |name| name == zone || name.ends_with(&format!(".{zone}")));
            let _ = writeln!(delegated, "{zone} 60 IN NS ns.lab.");
            if signed {
                let (file, ds) = signer.sign(zone, &text);
                delegated.push_str(&ds);
                served.push((zone, file));
            } else {
                served.push((zone, signer.write(zone, &text)));
            }
        }
        let own = |name: &str| {
            BELOW
                .iter()
                .all(|(zone, _)| name != *zone && !name.ends_with(&format!(".{zone}")))
        };
        let text = format!("ns.lab. 60 IN A 127.0.0.1\n{delegated}{}", records(lines, own));
        let (file, ds) = signer.sign("lab.", &text);
        served.push(("lab.", file));
        let text = format!("lab. 60 IN NS ns.lab.\nns.lab. 60 IN A 127.0.0.1\n{ds}");
        let (file, _) = signer.sign(".", &text);
        served.push((".", file));
        let anchors = folder.path().join("anchors");
        let (port, server) = unbound(folder.path(), &anchors, &served);
        Self {
            port,
            anchors,
            _server: server,
            _folder: folder,
        }
    }

    /// Its address, UDP and TCP.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// A file with the keys of its root.
    #[must_use]
    pub fn anchors(&self) -> &Path {
        &self.anchors
    }

    /// The configuration lines that make a server use it, with this value of `dnssec`.
    #[must_use]
    pub fn configuration(&self, dnssec: &str) -> String {
        let anchors = if dnssec == "validate" {
            format!("trust_anchors = {:?}\n", self.anchors)
        } else {
            String::new()
        };
        format!(
            "[dns]\nnameservers = [\"127.0.0.1:{}\"]\ndnssec = {dnssec:?}\n{anchors}",
            self.port
        )
    }
}

/// The lines selected by name, in zone file format.
fn records(lines: &str, is_meant: impl Fn(&str) -> bool) -> String {
    let mut text = String::new();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (name, rest) = line.split_once(' ').expect("a name and its record");
        let name = format!("{}.", name.trim_end_matches('.'));
        if is_meant(&name) {
            let _ = writeln!(text, "{name} 60 IN {rest}");
        }
    }
    text
}

/// Generates keys and signs with them.
struct Signer<'a> {
    folder: &'a Path,
}

impl Signer<'_> {
    fn write(&self, zone: &str, text: &str) -> PathBuf {
        let head =
            format!("{zone} 60 IN SOA ns.lab. root.lab. 1 3600 600 86400 60\n{zone} 60 IN NS ns.lab.\n");
        let path = self.folder.join(format!("zone-{zone}"));
        fs::write(&path, head + text).expect("the zone");
        path
    }

    /// Signs a zone. Returns the file and its DS record.
    fn sign(&self, zone: &str, text: &str) -> (PathBuf, String) {
        let unsigned = self.write(zone, text);
        let own = self.run("ldns-keygen", &["-a", "ECDSAP256SHA256", "-k", zone]);
        let other = self.run("ldns-keygen", &["-a", "ECDSAP256SHA256", zone]);
        let (own, other) = (own.trim(), other.trim());
        let signed = self.folder.join(format!("signed-{zone}"));
        let mut arguments = vec!["-f", path(&signed)];
        if zone.starts_with("hashed.") {
            arguments.push("-n");
        }
        if zone.starts_with("stale.") {
            arguments.extend(["-i", "20200101000000", "-e", "20200201000000"]);
        }
        arguments.extend([path(&unsigned), own, other]);
        self.run("ldns-signzone", &arguments);
        if zone.starts_with("forged.") {
            let text = fs::read_to_string(&signed).expect("the signed zone");
            fs::write(&signed, text.lines().map(forged).collect::<String>()).expect("the signed zone");
        }
        let key = format!("{own}.key");
        if zone == "." {
            fs::copy(self.folder.join(&key), self.folder.join("anchors")).expect("the anchors");
        }
        (signed, self.run("ldns-key2ds", &["-n", "-2", &key]))
    }

    fn run(&self, name: &str, arguments: &[&str]) -> String {
        let output = Command::new(program(&format!("/usr/bin/{name}"), "ldnsutils"))
            .args(arguments)
            .current_dir(self.folder)
            .stdin(Stdio::null())
            .output()
            .expect("ldns runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name} {arguments:?}: {errors}");
        String::from_utf8(output.stdout).expect("text")
    }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a scratch folder with a plain name")
}

/// The line with a wrong signature; signatures of keys are kept.
fn forged(line: &str) -> String {
    let mut words: Vec<String> = line.split_ascii_whitespace().map(str::to_owned).collect();
    let is_signature = words.get(3).is_some_and(|kind| kind == "RRSIG");
    if let Some(signature) = words
        .last_mut()
        .filter(|_| is_signature && !line.contains("DNSKEY"))
    {
        let other = if signature.starts_with('A') { "B" } else { "A" };
        signature.replace_range(..1, other);
        return words.join(" ") + "\n";
    }
    format!("{line}\n")
}

fn unbound(folder: &Path, anchors: &Path, zones: &[(&str, PathBuf)]) -> (u16, Server) {
    let port = free_port();
    let mut configuration = format!(
        "server:\n    interface: 127.0.0.1\n    port: {port}\n    do-daemonize: no\n    use-syslog: no\n    chroot: \"\"\n    \
         username: \"\"\n    pidfile: \"\"\n    directory: \"{}\"\n    num-threads: 1\n    module-config: \"validator iterator\"\n    \
         access-control: 127.0.0.0/8 allow\n    trust-anchor-file: \"{}\"\n    val-log-level: 2\n\
         remote-control:\n    control-enable: no\n",
        folder.display(),
        anchors.display()
    );
    for (zone, file) in zones {
        let _ = writeln!(
            configuration,
            "auth-zone:\n    name: \"{zone}\"\n    zonefile: \"{}\"\n    for-downstream: no\n    for-upstream: yes\n    \
             fallback-enabled: no",
            file.display()
        );
    }
    let file = folder.join("unbound.conf");
    fs::write(&file, configuration).expect("the scratch folder can be written");
    let mut command = Command::new(program("/usr/sbin/unbound", "unbound"));
    command.arg("-c").arg(&file);
    let server = Server::start(&mut command, &folder.join("log"));
    wait_for_port(port);
    (port, server)
}
