//! Real verifiers of DKIM signatures: dkimpy and opendkim, with keys from a file in place of DNS.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::process::program;

/// A verifier's result for one signature.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Verified {
    /// The selector.
    pub selector: String,
    /// Whether it is valid.
    pub holds: bool,
}

/// Prints for each signature, from the top, whether it is valid.
const DKIMPY: &str = "
import sys, dkim
message = open(sys.argv[1], 'rb').read()
records = {}
for line in open(sys.argv[2]):
    name, text = line.rstrip('\\n').split(' ', 1)
    records[name + '.'] = text
def look_up(name, timeout=5):
    name = name.decode() if isinstance(name, bytes) else name
    return records.get(name, '').encode()
count = sum(1 for name, _ in dkim.DKIM(message).headers if name.lower() == b'dkim-signature')
for index in range(count):
    one = dkim.DKIM(message)
    try:
        holds = one.verify(idx=index, dnsfunc=look_up)
    except dkim.DKIMException as error:
        print(error, file=sys.stderr)
        holds = False
    print(one.signature_fields[b's'].decode(), 'yes' if holds else 'no')
";

/// Keys, and a message to be verified.
struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new(content: &[u8], records: &[(String, String)]) -> Self {
        let folder = TempDir::new().expect("a scratch folder");
        let lines: Vec<String> = records
            .iter()
            .map(|(name, text)| format!("{name} {text}\n"))
            .collect();
        fs::write(folder.path().join("message"), content).expect("the message");
        fs::write(folder.path().join("keys"), lines.concat()).expect("the keys");
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// dkimpy's result for each signature of a message, from the top. `records` are names without a trailing dot, and the texts of
/// their records.
///
/// # Panics
///
/// When python3-dkim is not installed, or fails.
#[must_use]
pub fn dkimpy(content: &[u8], records: &[(String, String)]) -> Vec<Verified> {
    let _ = program("/usr/bin/dkimverify", "python3-dkim");
    let bench = Bench::new(content, records);
    let done = Command::new(program("/usr/bin/python3", "python3"))
        .args(["-c", DKIMPY])
        .args([bench.path("message"), bench.path("keys")])
        .output()
        .expect("python3");
    let (said, errors) = (
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr),
    );
    assert!(
        done.status.success(),
        "dkimpy (python3-dkim, python3-nacl): {errors}"
    );
    let line = |line: &str| {
        let (selector, holds) = line.split_once(' ').expect("a selector and a verdict");
        Verified {
            selector: selector.to_owned(),
            holds: holds == "yes",
        }
    };
    said.lines().map(line).collect()
}

/// opendkim's result for a message as a whole: the first signature that it can verify counts; not every build supports Ed25519.
///
/// # Panics
///
/// When opendkim is not installed, or fails.
#[must_use]
pub fn opendkim(content: &[u8], records: &[(String, String)]) -> Verified {
    let bench = Bench::new(content, records);
    let configuration = format!(
        "Mode v\nSyslog no\nUserID root\nTestPublicKeys {}\n",
        Path::new(&bench.path("keys")).display()
    );
    fs::write(bench.path("opendkim.conf"), configuration).expect("opendkim.conf");
    let done = Command::new(program("/usr/sbin/opendkim", "opendkim"))
        .arg("-x")
        .arg(bench.path("opendkim.conf"))
        .arg("-t")
        .arg(bench.path("message"))
        .arg("-v")
        .output()
        .expect("opendkim");
    let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    let verdict = said.lines().find(|line| line.contains("verification (s="));
    let verdict = verdict.unwrap_or_else(|| panic!("opendkim says no more than: {said}"));
    let (_, behind) = verdict.split_once("(s=").expect("a selector");
    let selector = behind.split([' ', ',']).next().unwrap_or_default();
    Verified {
        selector: selector.to_owned(),
        holds: verdict.contains("succeeded"),
    }
}
