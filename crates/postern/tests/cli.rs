//! The command line as scripts use it: exit codes, and JSON that can be read.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use postern_testkit::unbound::Unbound;
use serde_json::{Value, json};
use tempfile::TempDir;

const CONFIG: &str = "hostname = \"mx.example.org\"\nstate_dir = \"state\"\nlocal_domains = [\"example.org\"]\n\
    [[listener]]\naddress = \"127.0.0.1:0\"\n[[directory]]\nkind = \"users\"\n";

struct Site {
    folder: TempDir,
}

impl Site {
    fn new(config: &str) -> Self {
        let folder = TempDir::new().unwrap();
        if !config.is_empty() {
            fs::write(folder.path().join("postern.toml"), config).unwrap();
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run_as(&self, program: PathBuf, arguments: &[&str], input: &str) -> Output {
        let mut child = Command::new(program)
            .args(arguments)
            .current_dir(self.folder.path())
            .env_remove("POSTERN_CONFIG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.run_as(binary(), arguments, "")
    }

    fn code(&self, arguments: &[&str]) -> i32 {
        self.run(arguments).status.code().unwrap()
    }

    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.ok(arguments)).unwrap()
    }
}

fn binary() -> PathBuf {
    std::env::var_os("POSTERN_BIN")
        .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_postern")), PathBuf::from)
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn exit_codes() {
    let (good, bad, none) = (Site::new(CONFIG), Site::new("hostnam = 1\n"), Site::new(""));
    #[rustfmt::skip]
    let cases: &[(&str, &Site, &[&str], i32)] = &[
        // what the case shows              where   command                                   exit code
        ("help",                            &none,  &["--help"],                              0),
        ("help of a command",               &none,  &["queue", "list", "--help"],             0),
        ("version",                         &none,  &["--version"],                           0),
        ("no command",                      &none,  &[],                                      64),
        ("no such command",                 &none,  &["sevre"],                               64),
        ("an argument too many",            &none,  &["version", "x"],                        64),
        ("no configuration",                &none,  &["check"],                               78),
        ("a configuration named wrongly",   &none,  &["check", "--config", "nowhere.toml"],   78),
        ("a good configuration",            &good,  &["check"],                               0),
        ("a bad configuration",             &bad,   &["check"],                               78),
        ("to serve a bad one",              &bad,   &["serve"],                               78),
        ("a queue of a bad one",            &bad,   &["queue", "list"],                       78),
        ("a user without configuration",    &none,  &["user", "list"],                        78),
        ("an unknown user",                 &good,  &["user", "remove", "nobody"],            1),
        ("no server to reload",             &good,  &["reload"],                              69),
        ("no authority to issue",           &none,  &["cert", "issue", "mx.example.org"],     74),
        ("no certificate to show",          &none,  &["cert", "show", "nowhere.crt"],         74),
        ("a name that is none",             &none,  &["init", "x", "--hostname", "nodot"],    64),
        ("an id or a filter is needed",     &good,  &["queue", "hold"],                       64),
    ];
    for (shows, site, arguments, code) in cases {
        let output = site.run(arguments);
        assert_eq!(output.status.code(), Some(*code), "{shows}: {output:?}");
    }
}

#[test]
fn check_shows_everything_and_prints_json() {
    let site = Site::new("hostnam = 1\n[limits]\nrecipients = 3\n");
    let output = site.run(&["check"]);
    let text = stderr(&output);
    for part in [
        "unknown key `hostnam`",
        "did you mean `hostname`?",
        "postern.toml:1:1",
        "postern.toml:3:14",
        "errors in",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "no colour off a terminal");
    let output = site.run(&["check", "--json"]);
    assert_eq!(output.status.code(), Some(78));
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["ok"], false);
    let lines: Vec<_> = value["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["line"].clone())
        .collect();
    assert_eq!(lines[..2], [1, 3]);
}

#[test]
fn check_warns_of_what_does_not_answer() {
    let site = Site::new(&format!(
        "{CONFIG}[[directory]]\nkind = \"ldap\"\nservers = [\"ldap://127.0.0.1:1/\"]\nsearch_base = \"dc=x\"\n\
         [[directory]]\nkind = \"saslauthd\"\nsocket = \"nowhere/mux\"\n"
    ));
    let value = site.json(&["check", "--json"]);
    assert_eq!(value["ok"], true);
    let text = value["problems"].to_string();
    assert!(
        text.contains("ldap://127.0.0.1:1/ does not answer") && text.contains("saslauthd does not answer"),
        "{text}"
    );
    let config = fs::read_to_string(site.path("postern.toml")).unwrap();
    for (problem, key) in [("the LDAP server", "servers = "), ("saslauthd", "socket = ")] {
        let problems = value["problems"].as_array().unwrap();
        let found = problems
            .iter()
            .find(|one| one["problem"].as_str().unwrap().starts_with(problem))
            .unwrap();
        let line = usize::try_from(found["line"].as_u64().unwrap()).unwrap();
        assert!(config.lines().nth(line - 1).unwrap().starts_with(key), "{found}");
    }
    let value = site.json(&["check", "--offline", "--json"]);
    assert!(!value["problems"].to_string().contains("does not answer"));
}

/// A host unknown to DNS is reported where it is configured: in a route, in `fallback`, and through MX records.
#[test]
fn check_warns_of_hosts_that_dns_does_not_know() {
    let zone = Unbound::start(
        "host.example A 192.0.2.1\nbare.example A 192.0.2.2\nsome.example MX 10 gone.example.\nsome.example MX 20 host.example.\n\
         none.example MX 10 gone.example.\nnull.example MX 0 .\n",
    );
    #[rustfmt::skip]
    let cases = [
        // what the case shows              the host                  complaint
        ("a host with an address",          "host.example",           None),
        ("a host without",                  "gone.example:2525",      Some("the name gone.example has no address: gone.example: no such domain")),
        ("an address",                      "192.0.2.7",              None),
        ("MX records",                      "mx:some.example",        None),
        ("MX records of hosts without",     "mx:none.example",        Some("no host of the MX records of none.example can be reached: the name gone.example has no")),
        ("a domain that takes no mail",     "mx:null.example",        Some("the domain null.example takes no mail")),
        ("a domain that is its own host",   "mx:bare.example",        None),
        ("a domain that is not there",      "mx:gone.example",        Some("the domain gone.example has no MX records: gone.example: no such domain")),
    ];
    for (shows, host, complaint) in cases {
        let named = format!("[\"{host}\"]");
        for written in [
            format!("[[route]]\ndomains = [\"far.example\"]\nvia = {named}\n"),
            format!("[delivery]\nfallback = {named}\n"),
        ] {
            let site = Site::new(&format!("{CONFIG}{}{written}", zone.configuration()));
            let value = site.json(&["check", "--json"]);
            let problems = value["problems"].as_array().unwrap();
            let found = problems.iter().find(|one| one["why"] == "asked just now");
            assert_eq!(found.is_some(), complaint.is_some(), "{shows}: {value}");
            if let (Some(found), Some(complaint)) = (found, complaint) {
                assert!(
                    found["problem"].as_str().unwrap().starts_with(complaint),
                    "{shows}: {found}"
                );
                let config = fs::read_to_string(site.path("postern.toml")).unwrap();
                let line = usize::try_from(found["line"].as_u64().unwrap()).unwrap();
                assert!(
                    config.lines().nth(line - 1).unwrap().contains(host),
                    "{shows}: {found}"
                );
            }
        }
    }
}

/// What cannot be set up, or does not answer, is reported with its place in the file: providers of tokens, and token sources of
/// logins.
#[test]
fn check_places_providers_and_tokens() {
    let provider =
        "[[auth.provider]]\nissuer = \"https://localhost:1\"\naudience = [\"postern\"]\nca_file = \"CA\"\n";
    let login = "[[login]]\nname = \"hub\"\nlogin = \"relay\"\n[login.token]\ngrant = \"refresh-token\"\n\
        issuer = \"https://localhost:1\"\nclient_id = \"postern\"\nca_file = \"CA\"\n";
    let authority = || {
        let folder = TempDir::new().unwrap();
        let made = Command::new(binary())
            .args(["cert", "ca", "--dir"])
            .arg(folder.path())
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        fs::read(folder.path().join("ca.crt")).unwrap()
    };
    #[rustfmt::skip]
    let cases = [
        // what the case shows                the table   what is in the file  arguments                         ok     problem                                  its line begins with
        ("a provider nobody can verify",       provider,   false,               &["check", "--offline", "--json"][..], false, "the provider of tokens https://localhost:1", "issuer = "),
        ("a provider that does not answer",    provider,   true,                &["check", "--json"],             true,  "the provider of tokens https://localhost:1 cannot be used now", "issuer = "),
        ("a provider that nobody asks now",    provider,   true,                &["check", "--offline", "--json"], true, "",                                      ""),
        ("tokens from nobody can verify whom", login,      false,               &["check", "--offline", "--json"], false, "the tokens of the login \"hub\"",     "ca_file = "),
        ("tokens that can be fetched",         login,      true,                &["check", "--offline", "--json"], true, "",                                      ""),
    ];
    for (shows, table, good, arguments, ok, problem, key) in cases {
        let site = Site::new(&format!(
            "{CONFIG}[auth]\nmechanisms = [{}\"PLAIN\"]\n{table}",
            if table == provider {
                "\"OAUTHBEARER\", "
            } else {
                ""
            }
        ));
        let authorities = if good {
            authority()
        } else {
            b"no certificate\n".to_vec()
        };
        fs::write(site.path("CA"), authorities).unwrap();
        let output = site.run(arguments);
        let value: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(value["ok"], ok, "{shows}: {value}");
        let problems = value["problems"].as_array().unwrap();
        let about = |one: &&Value| one["problem"].as_str().unwrap().starts_with(problem);
        if problem.is_empty() {
            assert!(
                !value["problems"].to_string().contains("tokens of"),
                "{shows}: {value}"
            );
            continue;
        }
        let found = problems.iter().find(about);
        let found = found.unwrap_or_else(|| panic!("{shows}: {value}"));
        let line = usize::try_from(found["line"].as_u64().unwrap()).unwrap();
        let config = fs::read_to_string(site.path("postern.toml")).unwrap();
        assert!(
            config.lines().nth(line - 1).unwrap().starts_with(key),
            "{shows}: {found}"
        );
    }
}

#[test]
fn users_are_managed() {
    let site = Site::new(CONFIG);
    let add = |login: &str, password: &str| {
        site.run_as(
            binary(),
            &[
                "user",
                "add",
                login,
                "--password-stdin",
                "--address",
                "Info@example.org",
            ],
            password,
        )
    };
    assert!(add("ann@example.org", "pass word\n").status.success());
    let again = add("ann@example.org", "other word\n");
    assert_eq!(again.status.code(), Some(1), "{again:?}");
    assert!(stderr(&again).contains("already"), "{again:?}");
    assert_eq!(add("empty@example.org", "\n").status.code(), Some(1));
    assert!(
        site.ok(&["user", "passwd", "ann@example.org", "--generate"])
            .contains("password: ")
    );
    assert_eq!(site.code(&["user", "passwd", "bob@example.org", "--generate"]), 1);
    site.ok(&["user", "disable", "ann@example.org"]);
    let users = site.json(&["user", "list", "--json"]);
    assert_eq!(users[0]["login"], "ann@example.org");
    assert_eq!(users[0]["enabled"], false);
    assert_eq!(users[0]["addresses"][0], "info@example.org");
    assert!(!users.to_string().contains("argon2"), "no hashes are shown");
    site.ok(&["user", "enable", "ann@example.org"]);
    assert!(site.ok(&["user", "list"]).contains("enabled"));
    site.ok(&["user", "remove", "ann@example.org"]);
    assert_eq!(site.json(&["user", "list", "--json"]), Value::Array(Vec::new()));
    let mode = fs::metadata(site.path("state/users.db"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o077, 0);
}

#[test]
fn certificates_are_made_renewed_and_shown() {
    let site = Site::new("");
    site.ok(&["cert", "ca", "--name", "Test CA"]);
    assert_eq!(
        site.code(&["cert", "ca"]),
        73,
        "an authority is never overwritten"
    );
    site.ok(&["cert", "issue", "mx.example.org", "localhost", "--out", "mx"]);
    let first = site.json(&["cert", "show", "certs/mx.crt", "--json"]);
    assert_eq!(first[0]["issuer"], "CN=Test CA");
    assert_eq!(
        first[0]["names"],
        serde_json::json!(["mx.example.org", "localhost"])
    );
    site.ok(&["cert", "issue", "mx.example.org", "--out", "mx"]);
    let renewed = site.json(&["cert", "show", "certs/mx.crt", "--json"]);
    assert_ne!(first[0]["serial"], renewed[0]["serial"]);
    assert!(site.ok(&["cert", "show", "certs/ca.crt"]).contains("authority"));
    let mode = fs::metadata(site.path("certs/mx.key"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);

    // A certificate from elsewhere is kept, unless told otherwise.
    site.ok(&["cert", "ca", "--dir", "other", "--name", "Other CA"]);
    fs::copy(site.path("other/ca.crt"), site.path("certs/bought.crt")).unwrap();
    assert_eq!(
        site.code(&["cert", "issue", "x.example.org", "--out", "bought"]),
        73
    );
    site.ok(&["cert", "issue", "x.example.org", "--out", "bought", "--replace"]);

    // Passphrases.
    let passphrase = site.path("pass");
    fs::write(&passphrase, "open sesame\n").unwrap();
    fs::set_permissions(&passphrase, fs::Permissions::from_mode(0o600)).unwrap();
    site.ok(&["cert", "ca", "--dir", "safe", "--passphrase-file", "pass"]);
    assert!(
        fs::read_to_string(site.path("safe/ca.key"))
            .unwrap()
            .contains("ENCRYPTED")
    );
    assert_ne!(site.code(&["cert", "issue", "a.example.org", "--dir", "safe"]), 0);
    site.ok(&[
        "cert",
        "issue",
        "a.example.org",
        "--dir",
        "safe",
        "--ca-passphrase-file",
        "pass",
    ]);
    fs::set_permissions(&passphrase, fs::Permissions::from_mode(0o644)).unwrap();
    let open = site.run(&[
        "cert",
        "issue",
        "b.example.org",
        "--dir",
        "safe",
        "--ca-passphrase-file",
        "pass",
    ]);
    assert!(stderr(&open).contains("chmod 600"), "{open:?}");
}

#[test]
fn an_empty_queue_can_be_asked_in_every_way() {
    let site = Site::new(CONFIG);
    fs::create_dir(site.path("state")).unwrap();
    assert_eq!(site.json(&["queue", "list", "--json"]), Value::Array(Vec::new()));
    assert!(site.ok(&["queue", "list"]).contains("the queue is empty"));
    assert_eq!(site.json(&["queue", "flush", "--json"])["changed"], 0);
    assert_eq!(site.code(&["queue", "show", "01HJ3K8Q2M7XA"]), 1);
    assert_eq!(site.code(&["queue", "show", "nonsense"]), 1);
    assert_eq!(site.code(&["queue", "remove", "01HJ3K8Q2M7XA"]), 1);
    assert_eq!(site.json(&["queue", "hold", "--all", "--json"])["changed"], 0);
    assert_eq!(site.code(&["queue", "list", "--destinations"]), 69);
    assert_eq!(site.code(&["queue", "flush", "no domain"]), 1);
    assert_eq!(site.code(&["queue", "list", "--domain", "a..b"]), 1);
    let mailq = site.path("mailq");
    symlink(binary(), &mailq).unwrap();
    let output = site.run_as(mailq, &[], "");
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("the queue is empty"),
        "{output:?}"
    );
}

#[test]
fn errors_are_json_where_that_is_asked_for() {
    let site = Site::new(CONFIG);
    #[rustfmt::skip]
    let cases: &[(&str, &[&str], u64)] = &[
        ("no server",              &["directories", "--json"],                           69),
        ("no such user",           &["user", "show", "nobody@example.org", "--json"],    1),
        ("a wrong command line",   &["queue", "lits", "--json"],                         64),
        ("before the subcommand",  &["--json", "reload"],                                69),
        ("no configuration",       &["--json", "check", "--config", "nowhere.toml"],     78),
    ];
    for (shows, arguments, exit) in cases {
        let output = site.run(arguments);
        assert_eq!(
            u64::try_from(output.status.code().unwrap()).unwrap(),
            *exit,
            "{shows}"
        );
        let value: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{shows}: {output:?}"));
        if value["problems"].is_null() {
            assert_eq!(value["exit"], *exit, "{shows}: {value}");
            assert!(
                value["error"].as_str().is_some_and(|text| !text.is_empty()),
                "{shows}: {value}"
            );
        }
    }
    let added = site.json(&["user", "add", "ann@example.org", "--generate", "--json"]);
    assert!(
        added["password"]
            .as_str()
            .is_some_and(|password| password.len() >= 8),
        "{added}"
    );
    assert!(site.json(&["user", "disable", "ann@example.org", "--json"])["done"].is_string());
}

#[test]
fn the_configuration_is_shown() {
    let site = Site::new(&format!("include = \"conf.d\"\n{CONFIG}"));
    fs::create_dir(site.path("conf.d")).unwrap();
    fs::write(site.path("conf.d/limits.toml"), "[limits]\nrecipients = 200\n").unwrap();
    let changed = site.ok(&["config", "show", "--changed"]);
    assert!(
        changed.starts_with("# as written in ") && changed.contains("no server runs"),
        "{changed}"
    );
    assert!(changed.contains("[limits]\nrecipients = 200 # "), "{changed}");
    assert!(!changed.contains("message_size_limit"), "{changed}");
    assert!(
        site.ok(&["config", "show"])
            .contains("message_size_limit = \"25 MiB\"")
    );
    let list = site.json(&["config", "show", "--changed", "--json"]);
    let of = |key: &str| {
        list.as_array()
            .unwrap()
            .iter()
            .find(|one| one["key"] == key)
            .cloned()
    };
    let recipients = of("recipients").unwrap();
    assert!(
        recipients["file"]
            .as_str()
            .unwrap()
            .ends_with("conf.d/limits.toml"),
        "{recipients}"
    );
    assert_eq!(
        (&recipients["value"], &recipients["line"]),
        (&200.into(), &2.into())
    );
    assert_eq!(of("message_size_limit"), None);
}

#[test]
fn init_makes_what_check_finds_fine() {
    let site = Site::new("");
    let text = site.ok(&["init", "data", "--hostname", "mx.example.org"]);
    assert!(
        text.contains("you@mx.example.org") && text.contains("curl"),
        "{text}"
    );
    assert_eq!(site.code(&["init", "data"]), 73);
    let value = site.json(&["check", "--config", "data/postern.toml", "--json"]);
    assert_eq!(value["problems"], Value::Array(Vec::new()));
    assert!(
        site.ok(&["user", "list", "--config", "data/postern.toml"])
            .contains("you@mx.example.org")
    );
    assert_eq!(site.code(&["init", "other", "--listen", "everywhere"]), 64);
    site.ok(&["init", "other", "--listen", "::"]);
    // Root is warned that it would serve the network; nothing else is wrong.
    let value = site.json(&["check", "--config", "other/postern.toml", "--json"]);
    let problems = value["problems"].as_array().unwrap();
    let about_root = |problem: &Value| problem["remedy"].to_string().contains("runs as root");
    assert!(problems.iter().all(about_root), "{value}");
    assert_eq!(
        site.code(&["status", "--config", "other/postern.toml"]),
        2,
        "nothing runs: critical"
    );
    assert_eq!(
        site.code(&["status", "--config", "nowhere.toml"]),
        3,
        "nobody knows"
    );
    assert_eq!(
        site.code(&["status", "--ready", "--config", "other/postern.toml"]),
        1
    );
}

#[test]
fn completions_and_manual_are_generated() {
    let site = Site::new("");
    for shell in ["bash", "zsh", "fish"] {
        let script = site.ok(&["completions", shell]);
        assert!(script.contains("queue") && script.contains("flush"), "{shell}");
    }
    site.ok(&["man", "man1"]);
    let page = fs::read_to_string(site.path("man1/postern-queue-list.1")).unwrap();
    assert!(
        page.contains(".TH postern-queue-list 1") && page.contains("destinations"),
        "{page}"
    );
    assert!(site.path("man1/postern.1").exists());
    let page = fs::read_to_string(site.path("man1/mailq.1")).unwrap();
    assert!(
        page.contains(".TH mailq 1") && page.contains("oldest first"),
        "{page}"
    );
    let page = fs::read_to_string(site.path("man1/postern.toml.5")).unwrap();
    assert!(
        page.contains(".TH postern.toml 5") && page.contains(".SS message_size_limit"),
        "{page}"
    );
}

#[test]
fn the_version_names_the_commit() {
    let site = Site::new("");
    let version = site.json(&["version", "--json"]);
    assert_eq!(version["name"], "postern");
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let head = Command::new("git")
        .args(["-C", root, "rev-parse", "HEAD"])
        .output();
    let checked_out = fs::exists(format!("{root}/.git")).unwrap();
    let commit = match head {
        Ok(head) if checked_out && head.status.success() => {
            let head = String::from_utf8(head.stdout).unwrap();
            let commit = version["commit"].as_str().unwrap_or_default().to_owned();
            assert!(
                commit.len() == 12 && head.starts_with(&commit),
                "{commit}, and the commit is {head}"
            );
            format!(" ({commit})")
        }
        // No git, or no checkout: an archive may still name it.
        _ => version["commit"]
            .as_str()
            .map(|commit| format!(" ({commit})"))
            .unwrap_or_default(),
    };
    let text = site.ok(&["version"]);
    assert_eq!(text, format!("postern {}{commit}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(site.ok(&["--version"]), text);
}

#[test]
fn users_are_imported() {
    let site = Site::new(CONFIG);
    let md5 = "$1$saltsalt$1K7dkhtbTNVUwUicA5kOT1";
    let shadow = format!(
        "root:*:19000::::::\nann:{md5}:19000::::::\nbob:!{md5}:19000::::::\nodd:abJnggxhB/yWI:19000::::::\n"
    );
    fs::write(site.path("shadow"), shadow).unwrap();
    let arguments = [
        "user",
        "import",
        "--format",
        "shadow",
        "--domain",
        "example.org",
        "shadow",
    ];
    let foreseen = site.run(&[&arguments[..], &["--dry-run"]].concat());
    assert_eq!(
        site.json(&["user", "list", "--json"]),
        Value::Array(Vec::new()),
        "{foreseen:?}"
    );
    let output = site.run(&arguments);
    assert_eq!(output.status.code(), Some(1), "one line is not imported");
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(
        told.starts_with("line 4: odd: its stored password cannot be used"),
        "{told}"
    );
    let summary = "2 added, 1 of them disabled, 1 without a password left out, 1 not imported";
    assert!(told.trim_end().ends_with(summary), "{told}");
    assert!(!told.contains("$1$") && !told.contains("abJn"), "{told}");
    let users = site.json(&["user", "list", "--json"]);
    assert_eq!(
        (&users[0]["login"], &users[0]["scheme"]),
        (&"ann@example.org".into(), &"MD5-CRYPT".into())
    );
    assert_eq!(users[1]["enabled"], false);

    let dump =
        "VERSION=3\nformat=print\nHEADER=END\n ann\\00example.org\\00userPassword\n pass word\nDATA=END\n";
    let from_stdin = ["user", "import", "--format", "sasldb", "--json", "-"];
    let again = site.run_as(binary(), &from_stdin, dump);
    let summary: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!((&summary["kept"], &summary["added"]), (&1.into(), &0.into()));
    let replaced = site.run_as(binary(), &[&from_stdin[..], &["--replace"]].concat(), dump);
    let summary: Value = serde_json::from_slice(&replaced.stdout).unwrap();
    assert_eq!(summary["replaced"], 1);
    assert_eq!(site.json(&["user", "list", "--json"])[0]["scheme"], "ARGON2ID");
    fs::write(site.path("empty"), "# nobody\n").unwrap();
    assert_eq!(site.code(&["user", "import", "--format", "htpasswd", "empty"]), 1);
    assert_eq!(site.code(&["user", "import", "--format", "htpasswd", "none"]), 74);
    assert_eq!(site.code(&["user", "import", "--format", "nis", "shadow"]), 64);
}

#[test]
fn app_passwords_are_managed() {
    let site = Site::new(CONFIG);
    site.ok(&["user", "add", "ann@example.org", "--generate"]);
    let add = ["user", "app-password", "add", "ann@example.org"];
    let told = site.ok(&[&add[..], &["phone"]].concat());
    let password = told.lines().last().unwrap().strip_prefix("password: ").unwrap();
    assert_eq!(password.len(), 29, "{told}");
    let printer = [
        "printer",
        "--network",
        "192.0.2.7/24",
        "--expires",
        "2099-12-31",
        "--json",
    ];
    let made = site.json(&[&add[..], &printer].concat());
    assert_eq!(made["label"], "printer");
    let list = ["user", "app-password", "list", "ann@example.org"];
    let shown = site.json(&[&list[..], &["--json"]].concat());
    assert_eq!(shown[1]["networks"][0], "192.0.2.0/24");
    assert_eq!(shown[0]["last_used_at"], Value::Null);
    assert!(!shown.to_string().contains(password));
    let table = site.ok(&list);
    assert!(
        table.contains("phone") && table.contains("never") && !table.contains(password),
        "{table}"
    );
    site.ok(&["user", "app-password", "revoke", "ann@example.org", "phone"]);
    #[rustfmt::skip]
    let cases: [(&str, &[&str], i32); 6] = [
        ("revoked twice",    &["user", "app-password", "revoke", "ann@example.org", "phone"],                         1),
        ("the same label",   &["user", "app-password", "add", "ann@example.org", "printer"],                          1),
        ("nobody's",         &["user", "app-password", "list", "bob@example.org"],                                    1),
        ("expired",          &["user", "app-password", "add", "ann@example.org", "x", "--expires", "2001-01-01"],     64),
        ("no time",          &["user", "app-password", "add", "ann@example.org", "x", "--expires", "soon"],           64),
        ("no network",       &["user", "app-password", "add", "ann@example.org", "x", "--network", "home"],           64),
    ];
    for (shows, arguments, want) in cases {
        assert_eq!(site.code(arguments), want, "{shows}");
    }
}

#[test]
fn a_sendmail_site_is_imported() {
    let site = Site::new("");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrate/tests/sites/sendmail-office-smarthost");
    let root = root.to_str().unwrap();
    let import = ["import", "sendmail", root, "--output", "moved"];
    let summary = site.ok(&import);
    for part in [
        "Not carried over (",
        "/etc/mail/sendmail.mc:",
        "MASQUERADE_AS(oakfield.example)",
        "Carried over, with a difference (",
        "Next: postern check --config moved/postern.toml",
    ] {
        assert!(summary.contains(part), "{part} is not in\n{summary}");
    }
    assert!(
        summary.lines().all(|line| line.chars().count() <= 120),
        "{summary}"
    );
    let moved = site.folder.path().join("moved");
    let secret = moved.join("secrets/smtp.provider.example.password");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&secret), mode(secret.parent().unwrap())), (0o600, 0o700));
    let password = fs::read_to_string(&secret).unwrap();
    let report = fs::read_to_string(moved.join("report.txt")).unwrap();
    assert!(
        report.contains("Carried over (") && !report.contains(password.trim()),
        "{report}"
    );
    let again = site.run(&import);
    assert_eq!(again.status.code(), Some(73), "{again:?}");
    let forced = site.json(&[
        "import", "sendmail", root, "--output", "moved", "--force", "--json",
    ]);
    let missing = forced["missing"].as_array().unwrap();
    assert_eq!(missing[0]["weight"], "mail", "the gravest first: {forced}");
    // The result is a configuration: `check` only finds files that this machine does not have.
    let check = site.run(&["check", "--config", "moved/postern.toml", "--json"]);
    let value: Value = serde_json::from_slice(&check.stdout).unwrap();
    for problem in value["problems"].as_array().unwrap() {
        let message = problem["problem"].as_str().unwrap();
        let is_about_this_machine = [
            "cannot read",
            "does not exist",
            "no such",
            "No such",
            "root",
            "port",
            "`hostname` is missing",
            "there is no user",
            "does not exist",
        ]
        .iter()
        .any(|part| message.contains(part));
        assert!(
            problem["severity"] != "error" || is_about_this_machine,
            "{problem}"
        );
    }
}

#[test]
fn a_postfix_site_is_imported() {
    let site = Site::new("");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrate/tests/sites/postfix-club-lists");
    let import = ["import", "postfix", root.to_str().unwrap(), "--output", "moved"];
    let summary = site.ok(&import);
    for part in [
        "Not carried over (",
        "/etc/aliases:8  mail: alias observatory:",
        "Carried over, with a difference (",
        "Next: postern check --config moved/postern.toml",
    ] {
        assert!(summary.contains(part), "{part} is not in\n{summary}");
    }
    let moved = site.folder.path().join("moved");
    for file in [
        "aliases",
        "lists/newsletter.txt",
        "tables/sender.pcre",
        "tables/virtual_regexp",
    ] {
        assert!(moved.join(file).is_file(), "{file}");
    }
    // A secret that the old server did not have is generated again each time.
    let secret = moved.join("secrets/srs.secret");
    let read = || fs::read_to_string(&secret).unwrap();
    assert_eq!(fs::metadata(&secret).unwrap().permissions().mode() & 0o777, 0o600);
    let first = read();
    assert!(first.trim().len() >= 40, "{first}");
    assert_eq!(site.run(&import).status.code(), Some(73));
    site.json(&[&import[..], &["--force", "--json"]].concat());
    assert_ne!(read(), first);
    // Files from an earlier import are listed, and kept.
    fs::write(moved.join("tables/old.pcre"), "x").unwrap();
    let again = site.run(&[&import[..], &["--force"]].concat());
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(
        again.status.success() && said.contains("has left as they are: tables/old.pcre. Remove"),
        "{said}"
    );
    assert!(moved.join("tables/old.pcre").is_file());
    assert_eq!(site.code(&["import", "postfix", "none", "--output", "other"]), 74);
}

/// Decisions logged by real servers are repeated: the same if the rules agree, and reported if not.
#[test]
fn logs_of_old_servers_are_decided_again() {
    let site = Site::new(
        "hostname = \"mx.example.org\"\nstate_dir = \"state\"\nlocal_domains = [\"calderon.example\"]\nrelay_domains = [\"sister.example\"]\n\
         [[listener]]\naddress = \"127.0.0.1:2500\"\nname = \"smtp\"\n\
         [[listener]]\naddress = \"127.0.0.1:2501\"\nname = \"submission\"\n\
         [[directory]]\nkind = \"table\"\nrecipients = \"inline:{ vera@calderon.example=x }\"\n\
         [[alias]]\nfrom = [\"support@calderon.example\"]\nto = [\"vera@calderon.example\"]\n\
         [relay]\nnetworks = [\"127.0.0.2\"]\n\
         [[access]]\nname = \"spammers\"\nsender = \"@spammer.example\"\nverdict = \"refuse\"\n",
    );
    let logs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrate/tests/logs");
    let postfix = logs.join("postfix.log");
    let packed = site.folder.path().join("mail.log.2.gz");
    let output = Command::new("gzip").arg("-c").arg(&postfix).output().unwrap();
    fs::write(&packed, output.stdout).unwrap();
    let check = [
        "import",
        "check",
        "--json",
        "--log",
        postfix.to_str().unwrap(),
        packed.to_str().unwrap(),
    ];
    let output = site.run(&check);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&shown["same"], &shown["different"]),
        (&json!(22), &json!(2)),
        "{shown:#}"
    );
    let difference = &shown["differences"][0];
    assert_eq!(difference["kind"], "was put off, would be taken");
    assert_eq!(
        difference["before"],
        "450 4.7.1 <…>: Sender address rejected: come back later"
    );
    assert_eq!(difference["count"], 2);
    // Its example can be tried.
    let explain = difference["example"]["explain"].as_str().unwrap();
    let words: Vec<&str> = explain.split(' ').skip(1).collect();
    assert!(
        site.ok(&words).contains("The message would be taken"),
        "{explain}"
    );
    let sendmail = logs.join("sendmail.log");
    let output = site.run(&["import", "check", "--log", sendmail.to_str().unwrap()]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for part in [
        "4 recipients decided as before, 2 otherwise.",
        "2x was taken, would be refused: relay.denied",
        "3x taken by way of an alias",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert_eq!(site.code(&["import", "check", "--log", "postern.toml"]), 1);
    assert_eq!(site.code(&["import", "check", "--log", "none"]), 74);
}

/// What `explain` says about a session is what the session would do, with the setting responsible.
#[test]
fn explain_says_what_a_session_would_hear() {
    let site = Site::new(
        r#"hostname = "mx.example.org"
state_dir = "state"
local_domains = ["example.org"]
aliases = "aliases"
[[listener]]
address = "127.0.0.1:0"
name = "mx"
[[directory]]
kind = "table"
recipients = "inline:{ vera@example.org=x }"
[relay]
networks = ["127.0.0.2"]
[[route]]
domains = ["one.example"]
via = ["192.0.2.1"]
[[route]]
domains = ["two.example"]
via = ["192.0.2.2"]
[[access]]
name = "table"
table = "inline:{ bad.example=REJECT }"
look_up = "sender"
verdict = "table"
[[access]]
name = "told"
sender = "@spammer.example"
verdict = "refuse"
text = "Mail from {address} refused"
[[access]]
name = "later"
sender = "@later.example"
verdict = "defer"
[[access]]
name = "gone"
sender = "@gone.example"
verdict = "discard"
[[header_check]]
name = "first"
fields = ["X-First"]
verdict = "refuse"
[[header_check]]
name = "second"
fields = ["Subject"]
verdict = "refuse"
[srs]
domain = "example.org"
secret_file = "srs.secret"
"#,
    );
    let aliases = "list: vera, guest@two.example\nowner-list: vera\nboth: vera, guest@two.example\n\
                   tickets: \"|/usr/local/bin/ticket\"\n";
    fs::write(site.path("aliases"), aliases).unwrap();
    let secret = site.path("srs.secret");
    fs::write(&secret, "a secret that is long enough for this\n").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let peer_of = |to: &str| {
        if to == "a@two.example" {
            "127.0.0.2"
        } else {
            "192.0.2.7"
        }
    };
    let explain = |from: &str, to: &str| {
        let output = site.run(&["explain", "--peer", peer_of(to), "--from", from, "--to", to]);
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        said.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let (two, vera, list) = ("a@two.example", "vera@example.org", "list@example.org");
    #[rustfmt::skip]
    let cases = [
        // what the case shows     from                  to      said                                                       not said
        ("words are filled in",    "a@spammer.example",  vera,   "550 5.7.1 Mail from 192.0.2.7 refused",                   "{address}"),
        ("for good",               "a@spammer.example",  vera,   "would be refused by access.refused",                      "put off"),
        ("for now",                "a@later.example",    vera,   "would be put off by access.refused",                      "would be refused"),
        ("thrown away",            "a@gone.example",     vera,   "would be taken, and thrown away, by access.discarded.",   "`reason`"),
        ("a table without it",     "a@good.example",     vera,   "its table has no entry for it",                            "thrown away"),
        ("the route that is meant","a@good.example",     two,    "route in postern.toml:16",                                "route in postern.toml:13"),
        ("the aliases file",       "a@good.example",     list,   "/aliases:1 aliases in /",                                     "alias,"),
        ("the owner of a list",    "a@good.example",     list,   "MAIL FROM:<owner-list@example.org>, the owner of the list", "srs.rewritten"),
        ("a list without one",     "a@good.example",     "both@example.org",    "srs.rewritten",                            "the owner of"),
        ("a program",              "a@good.example",     "tickets@example.org", "tickets is refused: 550",                  "leads to refused"),
        ("the column by its name", "a@good.example",     "tickets@example.org", "WHY has the words",                        "`reason`"),
    ];
    let mut wrong = Vec::new();
    for (shows, from, to, part, other) in cases {
        let said = explain(from, to);
        if !said.contains(part) || said.contains(other) {
            wrong.push(format!("{shows}: {part}, not {other}\n{said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    let message = "From: a@good.example\r\nSubject: x\r\n\r\nx\r\n";
    let asked = [
        "explain",
        "--json",
        "--peer",
        "192.0.2.7",
        "--to",
        vera,
        "--message",
        "-",
    ];
    let said = site.run_as(binary(), &asked, message);
    let said: Value = serde_json::from_slice(&said.stdout).unwrap();
    let steps = said["steps"].as_array().unwrap();
    let refused = steps.iter().find(|step| step["rule"] == "check.refused").unwrap();
    assert_eq!(refused["setting"]["line"], 41, "the second check: {refused}");
    let said = site.run(&["explain", "--local", "root", "--to", vera]);
    assert_eq!(said.status.code(), Some(1));
    assert!(
        stderr(&said).contains("`[local]` is missing"),
        "{}",
        stderr(&said)
    );
    // Warnings alone change neither result.
    let said = site.ok(&["check", "--offline"]);
    assert!(
        said.contains("no errors, ") || said.contains("is fine\n"),
        "{said}"
    );
}

/// Answers that differ in more than yes and no, with the setting responsible; and sources that are not asked again.
#[test]
fn answers_of_old_servers_are_told_apart() {
    let site = Site::new(
        r#"hostname = "mx.example.org"
state_dir = "state"
local_domains = ["calderon.example"]
[[listener]]
address = "127.0.0.1:2500"
name = "smtp"
[[directory]]
kind = "table"
recipients = "inline:{ vera@calderon.example=x }"
[[policy_service]]
name = "grey"
address = "inet:127.0.0.1:1"
[[access]]
name = "one"
sender = "@one.example"
verdict = "refuse"
[[access]]
name = "two"
sender = "@two.example"
verdict = "refuse"
[[access]]
name = "grey"
verdict = "policy"
service = "grey"
"#,
    );
    let mut log = String::new();
    for (from, said) in [
        (
            "one.example",
            "450 4.2.0 <vera@calderon.example>: Recipient address rejected: Greylisted",
        ),
        (
            "two.example",
            "450 4.2.0 <vera@calderon.example>: Recipient address rejected: Greylisted",
        ),
        (
            "two.example",
            "554 5.7.1 <vera@calderon.example>: Recipient address rejected: no",
        ),
        (
            "far.example",
            "450 4.2.0 <vera@calderon.example>: Recipient address rejected: Greylisted",
        ),
    ] {
        log.push_str(&format!(
            "Nov 30 08:00:00 mx postfix/smtpd[77]: NOQUEUE: reject: RCPT from mail.{from}[192.0.2.7]: {said}; \
             from=<a@{from}> to=<vera@calderon.example> proto=ESMTP helo=<[192.0.2.7]>\n"
        ));
    }
    fs::write(site.path("mail.log"), log).unwrap();
    let check = ["import", "check", "--config", "postern.toml", "--log", "mail.log"];
    let output = site.run(&check);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for part in [
        "1 recipient decided as before, 2 otherwise.",
        "1x was put off, would be refused: access.refused, access in postern.toml:13; it was 450",
        "1x was put off, would be refused: access.refused, access in postern.toml:17; it was 450",
        "1x put off, and the policy service was not asked",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    // The command is valid for a shell.
    let command = text
        .lines()
        .find(|line| line.contains("postern explain"))
        .unwrap();
    let command = command.trim().replacen("postern", binary().to_str().unwrap(), 1);
    let output = Command::new("sh")
        .args(["-c", &command])
        .current_dir(site.folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        command.contains("--helo '[192.0.2.7]'") && said.contains("would be refused by"),
        "{command}\n{said}"
    );
}
