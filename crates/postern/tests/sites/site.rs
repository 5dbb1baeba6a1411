//! A site in the test tree: its probes, what its lab needs, and where it may differ.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A site: the old server's files, and what it answered.
#[derive(Debug)]
pub(crate) struct Site {
    /// The folder with its files.
    pub(crate) folder: PathBuf,
    pub(crate) probes: Probes,
    pub(crate) lab: LabNeeds,
    pub(crate) differences: Vec<Difference>,
}

/// `probes.json`: a network, and what the old server did with each message.
#[derive(Debug, Deserialize)]
pub(crate) struct Probes {
    /// `sendmail` or `postfix`.
    pub(crate) program: String,
    /// The server's name.
    pub(crate) host: String,
    /// The server's addresses.
    pub(crate) server: Vec<String>,
    /// All other addresses.
    pub(crate) world: Vec<String>,
    /// Accounts of the server's system.
    #[serde(default)]
    pub(crate) users: Vec<String>,
    pub(crate) dns: BTreeMap<String, BTreeMap<String, Vec<serde_json::Value>>>,
    pub(crate) probes: Vec<Probe>,
}

/// One message, and what happened to it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Probe {
    pub(crate) n: u32,
    pub(crate) client: String,
    #[serde(default = "smtp_port")]
    pub(crate) port: u16,
    /// `starttls`, or `implicit` and the like for implicit TLS.
    pub(crate) tls: Option<String>,
    /// The name of a client certificate.
    pub(crate) cert: Option<String>,
    pub(crate) login: Option<(String, String)>,
    pub(crate) mech: Option<String>,
    pub(crate) helo: Option<String>,
    pub(crate) mail: String,
    /// Parameters of `MAIL`.
    #[serde(default)]
    pub(crate) mailargs: String,
    pub(crate) rcpt: String,
    pub(crate) from: Option<String>,
    pub(crate) hto: Option<String>,
    pub(crate) subject: Option<String>,
    #[serde(default)]
    pub(crate) headers: Vec<String>,
    pub(crate) body: Option<String>,
    /// How often the same message is sent before.
    #[serde(default)]
    pub(crate) repeat: u32,
    /// Whether it is sent again while the answer is temporary.
    pub(crate) wait: Option<serde_json::Value>,
    /// Whether the client talks before the greeting.
    pub(crate) pregreet: Option<serde_json::Value>,
    /// Where the dialogue ended, and the code.
    #[serde(default)]
    pub(crate) verdict: String,
    /// Where it went: place, sender, recipient.
    #[serde(default)]
    pub(crate) goes: Vec<(String, String, String)>,
    #[serde(default)]
    pub(crate) with: With,
    /// Header fields that it arrives with, and a part of what they say.
    #[serde(default)]
    pub(crate) has: BTreeMap<String, String>,
    /// Header fields that it arrives without.
    #[serde(default)]
    pub(crate) hasnot: Vec<String>,
    /// The author as it arrives.
    pub(crate) hfrom: Option<String>,
}

/// How it arrives at the next hop.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct With {
    pub(crate) tls: Option<bool>,
    pub(crate) login: Option<String>,
}

/// `lab.json`: what must be around the server, besides what the probes say.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LabNeeds {
    /// The distinguished name of the authority that issues all certificates, in OpenSSL's form.
    pub(crate) authority: Option<String>,
    /// Where the server expects the authority's certificate.
    pub(crate) authority_files: Vec<String>,
    /// Certificates of the server.
    pub(crate) certificates: Vec<Certificate>,
    /// Client certificates: name and distinguished name.
    pub(crate) client_certificates: BTreeMap<String, String>,
    pub(crate) milters: Vec<Milter>,
    /// Names of hosts without TLS.
    pub(crate) without_tls: Vec<String>,
    /// Recipients that next hops do not know.
    pub(crate) unknown: Vec<String>,
    pub(crate) ldap: Option<Ldap>,
    /// Logins in `/etc/sasldb2`: name, realm, password.
    pub(crate) sasldb: Vec<(String, String, String)>,
    /// Where a greylisting policy service listens.
    pub(crate) greylist: Option<String>,
    /// Where an after-queue filter listens, and where it returns mail.
    pub(crate) behind_the_queue: Option<(String, String)>,
    /// LMTP servers on Unix sockets: name and path.
    pub(crate) lmtp: BTreeMap<String, String>,
    /// A dump loaded into MariaDB on 127.0.0.1:3306.
    pub(crate) mariadb: Option<String>,
    /// The site's programs below `/usr/local`: path and text.
    pub(crate) programs: BTreeMap<String, String>,
    /// Folders to which programs write, containing mboxes.
    pub(crate) boxes: Vec<String>,
    /// A Dovecot that checks passwords for the server.
    pub(crate) dovecot: Option<DovecotAuth>,
    /// Postern commands that the report asks for, run before the start.
    pub(crate) after_import: Vec<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Certificate {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// Dovecot's auth service: its socket, and `user:{PLAIN}password` of each user.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DovecotAuth {
    pub(crate) socket: String,
    pub(crate) users: Vec<String>,
}

/// A filter that adds `X-Milter-NAME: seen`, and refuses a subject.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Milter {
    pub(crate) name: String,
    /// As sendmail writes it.
    pub(crate) socket: String,
    #[serde(default)]
    pub(crate) refuses: String,
}

/// A directory of people.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ldap {
    pub(crate) address: String,
    pub(crate) suffix: String,
    /// A file next to `lab.json`.
    pub(crate) ldif: String,
}

/// A row of `differences.json`: where Postern answers differently, and what says so.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Difference {
    /// The rows that it is about.
    pub(crate) rows: Vec<u32>,
    /// Words from the import's report about what is not carried over or changed.
    pub(crate) finding: String,
    /// The differences: fields of the probe that replace those of the old server.
    pub(crate) now: serde_json::Map<String, serde_json::Value>,
}

fn smtp_port() -> u16 {
    25
}

impl Site {
    /// Reads a site from the test tree.
    pub(crate) fn read(name: &str) -> Self {
        let sites = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrate/tests/sites");
        let folder = sites.canonicalize().unwrap().join(name);
        let about = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/sites/labs")
            .join(name);
        Self {
            probes: json(&folder.join("probes.json")),
            lab: json_or_default(&about.join("lab.json")),
            differences: json_or_default(&about.join("differences.json")),
            folder,
        }
    }

    /// A file next to `lab.json`.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        let site = self.folder.file_name().unwrap();
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/sites/labs")
            .join(site)
            .join(name)
    }

    /// The ports that clients connect to.
    pub(crate) fn ports(&self) -> Vec<u16> {
        let mut ports: Vec<u16> = self.probes.probes.iter().map(|probe| probe.port).collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }

    /// The first address of a host.
    pub(crate) fn address_of(&self, host: &str) -> Option<&str> {
        self.probes.dns.get(host)?.get("A")?.first()?.as_str()
    }

    /// The expected result of the probe now, and the finding that allows for it.
    pub(crate) fn expected(&self, probe: &Probe) -> (Probe, Vec<&str>) {
        let mut expected = probe.clone();
        let mut findings = Vec::new();
        for difference in self.differences.iter().filter(|it| it.rows.contains(&probe.n)) {
            findings.push(difference.finding.as_str());
            for (key, value) in &difference.now {
                replace(&mut expected, key, value.clone());
            }
        }
        (expected, findings)
    }
}

/// Replaces what a difference is about.
fn replace(probe: &mut Probe, key: &str, value: serde_json::Value) {
    match key {
        "verdict" => probe.verdict = serde_json::from_value(value).unwrap(),
        "goes" => probe.goes = serde_json::from_value(value).unwrap(),
        "with" => probe.with = serde_json::from_value(value).unwrap(),
        "has" => probe.has = serde_json::from_value(value).unwrap(),
        "hasnot" => probe.hasnot = serde_json::from_value(value).unwrap(),
        "hfrom" => probe.hfrom = serde_json::from_value(value).unwrap(),
        _ => panic!("differences.json: {key} is nothing that can differ"),
    }
}

fn json<T: DeserializeOwned>(path: &Path) -> T {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn json_or_default<T: DeserializeOwned + Default>(path: &Path) -> T {
    if path.exists() { json(path) } else { T::default() }
}
