//! Other programs that judge mail, for comparison: rspamd, dkimpy, opendkim, pyspf. They use the test's name server.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::process::{Server, program, wait_until};

/// The client that delivers a message.
#[derive(Clone, Copy, Debug)]
pub struct Bringer<'a> {
    /// The address of the client.
    pub ip: &'a str,
    /// Its `HELO` name.
    pub helo: &'a str,
    /// The sender of the envelope.
    pub sender: &'a str,
}

/// rspamd with only its SPF, DKIM, DMARC and ARC modules. Stopped when dropped.
#[derive(Debug)]
pub struct RspamdJudge {
    folder: TempDir,
    server: Option<Server>,
}

impl Drop for RspamdJudge {
    fn drop(&mut self) {
        // Its workers only end with it if it is asked to end.
        if let Some(server) = self.server.take().filter(|_| !std::thread::panicking()) {
            let _ = server.terminate();
        }
    }
}

const RSPAMD: &str = r#"
options {
  url_tld = "FOLDER/tld"; tempdir = "FOLDER"; hs_cache_dir = "FOLDER"; pidfile = "FOLDER/pid"; filters = "dkim"; local_addrs = [];
  dns { nameserver = ["127.0.0.1:DNS:1"]; timeout = 5s; retransmits = 2; }
  history_rows = 1; control_socket = "FOLDER/control mode=0600";
}
logging { type = "console"; level = "info"; }
lua = "/usr/share/rspamd/rules/rspamd.lua";
actions { reject = 1000; }
modules {
  path = "/usr/share/rspamd/plugins/arc.lua"; path = "/usr/share/rspamd/plugins/spf.lua";
  path = "/usr/share/rspamd/plugins/dmarc.lua";
}
dkim { dkim_cache_size = 1; time_jitter = 6h; trusted_only = false; skip_multi = false; }
arc {} spf {} dmarc {}
metric { name = "default"; }
worker "normal" { bind_socket = "FOLDER/socket mode=0666"; count = 1; timeout = 60s; }
"#;

impl RspamdJudge {
    /// Starts it, using the name server on this port of 127.0.0.1.
    ///
    /// # Panics
    ///
    /// When rspamd is not installed, or does not start.
    #[must_use]
    pub fn start(dns: u16) -> Self {
        let folder = TempDir::new().expect("a scratch folder");
        let place = folder.path().display().to_string();
        let text = RSPAMD.replace("FOLDER", &place).replace("DNS", &dns.to_string());
        fs::write(folder.path().join("rspamd.conf"), text).expect("rspamd.conf");
        // With the list of all top-level domains, it takes a minute to start.
        fs::write(folder.path().join("tld"), "com\norg\nexample\n").expect("a list of domains");
        let mut command = Command::new(program("/usr/bin/rspamd", "rspamd"));
        command
            .args(["-f", "-i", "-c"])
            .arg(folder.path().join("rspamd.conf"));
        let mut server = Server::start(&mut command, &folder.path().join("log"));
        let socket = folder.path().join("socket");
        wait_until("rspamd's socket", || {
            assert!(server.runs(), "rspamd has ended:\n{}", server.log());
            UnixStream::connect(&socket).is_ok()
        });
        Self {
            folder,
            server: Some(server),
        }
    }

    /// The symbols that a message gets, each with its options.
    ///
    /// # Panics
    ///
    /// If there is no answer.
    #[must_use]
    pub fn symbols(&self, content: &[u8], bringer: Bringer<'_>) -> BTreeMap<String, Vec<String>> {
        let mut stream = UnixStream::connect(self.folder.path().join("socket")).expect("rspamd listens");
        let Bringer { ip, helo, sender } = bringer;
        let head = format!(
            "POST /checkv2 HTTP/1.0\r\nIP: {ip}\r\nHelo: {helo}\r\nFrom: {sender}\r\nContent-Length: {}\r\n\r\n",
            content.len()
        );
        stream
            .write_all(head.as_bytes())
            .expect("rspamd takes the message");
        stream.write_all(content).expect("rspamd takes the message");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("rspamd answers");
        let at = answer.windows(4).position(|four| four == b"\r\n\r\n");
        let body = &answer[at.map_or(0, |at| at + 4)..];
        let said: serde_json::Value = serde_json::from_slice(body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&answer)));
        let symbols = said["symbols"].as_object().cloned().unwrap_or_default();
        let options = |value: &serde_json::Value| {
            let list = value["options"].as_array().cloned().unwrap_or_default();
            list.iter()
                .filter_map(|one| one.as_str().map(str::to_owned))
                .collect()
        };
        symbols
            .iter()
            .map(|(name, value)| (name.clone(), options(value)))
            .collect()
    }
}

/// Prints dkimpy's results for the signatures of each file: `pass`, `fail` or `error`, a word for each signature.
const DKIMPY: &str = r#"
import sys, dkim, dns.resolver
resolver = dns.resolver.Resolver(configure=False)
resolver.nameservers, resolver.port = ["127.0.0.1"], int(sys.argv[1])
dns.resolver.default_resolver = resolver
def told(check):
    try:
        return "pass" if check() else "fail"
    except Exception:
        return "error"
for path in sys.argv[2:]:
    message = open(path, "rb").read()
    count = sum(1 for name, _ in dkim.DKIM(message).headers if name.lower() == b"dkim-signature")
    words = [told(lambda: dkim.DKIM(message).verify(idx=index)) for index in range(count)]
    try:
        arc = dkim.ARC(message).verify()[0].decode()
    except Exception:
        arc = "error"
    print(" ".join(words) or "none", arc, sep="\t")
"#;

/// Prints pyspf's result for each line `IP SENDER HELO` that it reads.
const PYSPF: &str = r#"
import sys, dns.resolver, spf
resolver = dns.resolver.Resolver(configure=False)
resolver.nameservers, resolver.port = ["127.0.0.1"], int(sys.argv[1])
dns.resolver.default_resolver = resolver
for line in sys.stdin:
    ip, sender, helo = line.split()
    print(spf.check2(i=ip, s=sender, h=helo)[0])
"#;

/// Prints what authres parses from each value of a JSON list.
const AUTHRES: &str = r#"
import sys, json, authres
for value in json.load(sys.stdin):
    header = authres.AuthenticationResultsHeader.parse("Authentication-Results: " + value)
    print(header.authserv_id, *[one.method + "=" + one.result for one in header.results])
"#;

/// What an `Authentication-Results` parser finds in each value: the name of the host, and `METHOD=RESULT` for each.
///
/// # Panics
///
/// When python3-authres is not installed, or a value cannot be read.
#[must_use]
pub fn authres(values: &[String]) -> Vec<String> {
    let input = serde_json::to_vec(values).expect("texts");
    python(AUTHRES, &[], &input)
}

fn python(script: &str, arguments: &[String], input: &[u8]) -> Vec<String> {
    let mut child = Command::new(program("/usr/bin/python3", "python3"))
        .args(["-c", script])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python3");
    let mut stdin = child.stdin.take().expect("it was piped");
    stdin.write_all(input).expect("python3 reads");
    drop(stdin);
    let done = child.wait_with_output().expect("python3 ends");
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(
        done.status.success(),
        "install python3-dkim, python3-spf, python3-dnspython and python3-authres? {errors}"
    );
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    said.lines().map(str::to_owned).collect()
}

/// dkimpy's results for messages: for all signatures of each together (`pass` if one is valid, `none`, `fail`, `error`), and for
/// the chain.
///
/// # Panics
///
/// When python3-dkim or python3-dnspython is not installed.
#[must_use]
pub fn dkimpy(dns: u16, messages: &[&[u8]]) -> Vec<(String, String)> {
    let folder = TempDir::new().expect("a scratch folder");
    let mut arguments = vec![dns.to_string()];
    for (number, message) in messages.iter().enumerate() {
        let path = folder.path().join(number.to_string());
        fs::write(&path, message).expect("a message");
        arguments.push(path.display().to_string());
    }
    let told = |line: String| {
        let (signatures, chain) = line.split_once('\t').expect("two columns");
        let words: Vec<&str> = signatures.split(' ').collect();
        let best = ["pass", "fail", "error"]
            .into_iter()
            .find(|word| words.contains(word));
        (best.unwrap_or("none").to_owned(), chain.to_owned())
    };
    python(DKIMPY, &arguments, b"").into_iter().map(told).collect()
}

/// pyspf's results for clients.
///
/// # Panics
///
/// When python3-spf or python3-dnspython is not installed.
#[must_use]
pub fn pyspf(dns: u16, bringers: &[Bringer<'_>]) -> Vec<String> {
    let line = |Bringer { ip, helo, sender }: &Bringer<'_>| format!("{ip} {sender} {helo}\n");
    let input: String = bringers.iter().map(line).collect();
    python(PYSPF, &[dns.to_string()], input.as_bytes())
}

/// opendkim's result for a message: `pass`, `fail`, `temperror`, or `none` if it finds no signature. It gets keys from the name
/// server on this port of 127.0.0.1.
///
/// # Panics
///
/// When opendkim is not installed.
#[must_use]
pub fn opendkim(message: &[u8], dns: u16) -> &'static str {
    let folder = TempDir::new().expect("a scratch folder");
    let at = |name: &str| folder.path().join(name);
    fs::write(at("message"), message).expect("the message");
    // Its resolver is libunbound.
    let resolver = format!(
        "server:\n    do-not-query-localhost: no\n    module-config: \"iterator\"\n\
         forward-zone:\n    name: \".\"\n    forward-addr: 127.0.0.1@{dns}\n"
    );
    fs::write(at("resolver.conf"), resolver).expect("resolver.conf");
    let configuration = format!(
        "Mode v\nSyslog no\nUserID root\nResolverConfiguration {}\n",
        at("resolver.conf").display()
    );
    fs::write(at("opendkim.conf"), configuration).expect("opendkim.conf");
    let done = Command::new(program("/usr/sbin/opendkim", "opendkim"))
        .arg("-x")
        .arg(at("opendkim.conf"))
        .arg("-t")
        .arg(at("message"))
        .arg("-v")
        .output()
        .expect("opendkim");
    let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    match said.lines().find(|line| line.contains("verification (s=")) {
        Some(line) if line.contains("succeeded") => "pass",
        Some(line) if line.contains("key DNS query failed") => "temperror",
        Some(_) => "fail",
        None if said.contains("not signed") => "none",
        None => "error",
    }
}

/// Signs in a way nobody should any more (RFC 8301 section 3.1); the second argument is the selector, the third the key's file.
const RSA_SHA1: &str = r#"
import sys, dkim
domain, selector, file = sys.argv[1:4]
field = dkim.sign(sys.stdin.buffer.read(), selector.encode(), domain.encode(), open(file, "rb").read(),
                  include_headers=[b"from", b"to", b"subject", b"date"], signature_algorithm=b"rsa-sha1")
sys.stdout.buffer.write(field)
"#;

/// A field `DKIM-Signature` of algorithm rsa-sha1 over a message, made by dkimpy with a key in PEM form.
///
/// # Panics
///
/// When python3-dkim is not installed.
#[must_use]
pub fn rsa_sha1(message: &[u8], domain: &str, selector: &str, key: &str) -> String {
    let folder = TempDir::new().expect("a scratch folder");
    let file = folder.path().join("key");
    fs::write(&file, key).expect("the key");
    let arguments = [domain.to_owned(), selector.to_owned(), file.display().to_string()];
    let lines = python(RSA_SHA1, &arguments, message);
    lines
        .iter()
        .map(|line| format!("{}\r\n", line.trim_end_matches('\r')))
        .collect()
}
