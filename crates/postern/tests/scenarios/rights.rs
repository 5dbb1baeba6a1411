//! Whose rights are used for what: root's own commands, the check, and a server that has given up what it does not need.
//!
//! All of it is about root, who runs these tests in the gate; as another user there is nothing to test.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nix::unistd::geteuid;
use postern_testkit::process::{free_port, wait_until};
use postern_testkit::smtp::Client;
use tempfile::TempDir;

use crate::harness::{Site, binary, private};

/// An account that exists on every system and owns nothing.
const NOBODY: u32 = 65_534;

fn is_root() -> bool {
    geteuid().is_root()
}

fn open(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn to_nobody(path: &Path) {
    chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
}

fn postern(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(binary())
        .args(arguments)
        .current_dir(folder)
        .env_remove("POSTERN_CONFIG")
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

const CONFIG: &str = "hostname = \"mx.example.org\"\nstate_dir = \"state\"\n[[listener]]\naddress = \"127.0.0.1:0\"\n\
    [[directory]]\nkind = \"users\"\n";

#[test]
fn root_takes_only_a_configuration_of_roots() {
    if !is_root() {
        return;
    }
    // Code that runs on loading would create this file.
    let trap =
        "[auth]\nmechanisms = [\"GSSAPI\"]\n[kerberos]\nkeytab = \"k\"\nlibrary = \"/nowhere/trap.so\"\n";
    #[rustfmt::skip]
    let cases: &[(&str, u32, u32, u32, &str)] = &[
        // what the case shows        mode of folder, owner of folder and file   what is said
        ("another's file",            0o755,  0,       NOBODY,                    "belongs to"),
        ("another's folder",          0o755,  NOBODY,  0,                         "belongs to"),
        ("all may put files there",   0o777,  0,       0,                         "others may write to"),
    ];
    for (shows, mode, folder_owner, file_owner, reason) in cases {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("postern.toml");
        fs::write(&file, format!("{CONFIG}{trap}")).unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(*mode)).unwrap();
        chown(&file, Some(*file_owner), None).unwrap();
        chown(folder.path(), Some(*folder_owner), None).unwrap();
        for command in [
            &["check"] as &[&str],
            &["queue", "list"],
            &["user", "list"],
            &["serve"],
        ] {
            let output = postern(folder.path(), command);
            let text = said(&output);
            assert_eq!(output.status.code(), Some(78), "{shows}: {command:?}: {text}");
            assert!(
                text.contains("is not used") && text.contains(reason),
                "{shows}: {text}"
            );
            assert!(!text.contains("trap"), "{shows}: it was read: {text}");
        }
        let named = postern(Path::new("/"), &["check", "--config", file.to_str().unwrap()]);
        let text = said(&named);
        assert_eq!(named.status.code(), Some(78), "{shows}: {text}");
        assert!(
            text.contains("root does not use") && text.contains("\nch"),
            "with a remedy: {text}"
        );
        let made: Vec<_> = fs::read_dir(folder.path()).unwrap().flatten().collect();
        assert_eq!(made.len(), 1, "{shows}: nothing was made");
    }
    // Its owner may use it, and a command that only checks the file does not load the library.
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("postern.toml"), format!("{CONFIG}{trap}")).unwrap();
    private(&folder.path().join("k"), "");
    let text = said(&postern(folder.path(), &["check", "--offline"]));
    assert!(
        text.contains("no errors, 1 warning") && !text.contains("trap"),
        "{text}"
    );
    let text = said(&postern(folder.path(), &["check"]));
    assert!(text.contains("/nowhere/trap.so"), "{text}");
    fs::write(folder.path().join("trap.so"), "").unwrap();
    to_nobody(&folder.path().join("trap.so"));
    let there = folder.path().join("trap.so");
    let config = format!("{CONFIG}{trap}").replace("/nowhere/trap.so", there.to_str().unwrap());
    fs::write(folder.path().join("postern.toml"), config).unwrap();
    let text = said(&postern(folder.path(), &["check"]));
    assert!(
        text.contains("root does not use") && text.contains("trap.so belongs to"),
        "{text}"
    );
}

#[test]
fn a_configuration_that_cannot_be_read_is_no_missing_one() {
    if !is_root() {
        return;
    }
    let folder = TempDir::new().unwrap();
    open(folder.path());
    private(&folder.path().join("postern.toml"), CONFIG);
    for command in [&["check"] as &[&str], &["queue", "list"], &["user", "list"]] {
        let mut nobody = Command::new("setpriv");
        nobody
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(binary());
        let output = nobody
            .args(command)
            .current_dir(folder.path())
            .env_remove("POSTERN_CONFIG")
            .output()
            .unwrap();
        let text = said(&output);
        assert!(text.contains("permission denied"), "{command:?}: {text}");
        assert!(!text.contains("no configuration"), "{command:?}: {text}");
    }
}

/// A state directory owned by `nobody`, in a folder owned by root, and a folder owned by root next to it.
fn site_of_nobody(top: &str) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    open(folder.path());
    fs::write(folder.path().join("postern.toml"), format!("{top}{CONFIG}")).unwrap();
    let state = folder.path().join("state");
    fs::create_dir(&state).unwrap();
    to_nobody(&state);
    fs::create_dir(folder.path().join("roots")).unwrap();
    (folder, state)
}

#[test]
fn links_in_the_folder_of_state_lead_root_nowhere() {
    if !is_root() {
        return;
    }
    let names = [
        "users.db",
        "queue.db",
        "spool.lock",
        "state.db",
        "logins.json",
        "tokens",
        "bodies",
    ];
    for name in names {
        let (folder, state) = site_of_nobody("");
        let secret = folder.path().join("roots/secret");
        private(&secret, "root's own");
        symlink(&secret, state.join(name)).unwrap();
        let new = folder.path().join("roots/new");
        symlink(&new, state.join(format!("{name}-wal"))).unwrap();
        for command in [
            &["user", "add", "ann@example.org", "--generate"] as &[&str],
            &["user", "list"],
            &["queue", "list"],
            &["queue", "flush"],
            &["auth", "report"],
            &["auth", "explain", "ann@example.org"],
            &["check"],
        ] {
            let output = postern(folder.path(), command);
            let text = said(&output);
            assert!(!text.contains("own\n"), "{name}: {command:?} shows it: {text}");
            let found = fs::metadata(&secret).unwrap();
            assert_eq!(
                (found.uid(), found.mode() & 0o777),
                (0, 0o600),
                "{name}: {command:?}"
            );
            assert_eq!(
                fs::read_to_string(&secret).unwrap(),
                "root's own",
                "{name}: {command:?}"
            );
            let made = fs::read_dir(folder.path().join("roots")).unwrap().count();
            assert_eq!(made, 1, "{name}: {command:?} made a file of root's");
        }
    }
}

#[test]
fn what_root_makes_is_the_servers_and_another_socket_hears_nothing() {
    if !is_root() {
        return;
    }
    let (folder, state) = site_of_nobody("");
    let text = said(&postern(
        folder.path(),
        &["user", "add", "ann@example.org", "--generate"],
    ));
    assert!(text.contains("added"), "{text}");
    let text = said(&postern(folder.path(), &["queue", "list"]));
    assert!(text.contains("empty"), "{text}");
    for made in fs::read_dir(&state).unwrap().flatten() {
        assert_eq!(made.metadata().unwrap().uid(), NOBODY, "{:?}", made.path());
    }
    // A link to a socket owned by root, and a hard link to it.
    let heard = UnixListener::bind(folder.path().join("roots/socket")).unwrap();
    heard.set_nonblocking(true).unwrap();
    for hard in [false, true] {
        let at = state.join("control.sock");
        let _ = fs::remove_file(&at);
        match hard {
            true => fs::hard_link(folder.path().join("roots/socket"), &at).unwrap(),
            false => symlink(folder.path().join("roots/socket"), &at).unwrap(),
        }
        let output = postern(folder.path(), &["queue", "list"]);
        assert!(!output.status.success(), "{}", said(&output));
        assert!(
            said(&output).contains("not a socket of the owner"),
            "{}",
            said(&output)
        );
        assert!(heard.accept().is_err(), "it was talked to");
    }
    // If the configuration names the user, a first `user add` creates the folder for it.
    let folder = TempDir::new().unwrap();
    open(folder.path());
    fs::write(
        folder.path().join("postern.toml"),
        format!("user = \"nobody\"\n{CONFIG}"),
    )
    .unwrap();
    let text = said(&postern(
        folder.path(),
        &["user", "add", "ann@example.org", "--generate"],
    ));
    assert!(text.contains("added"), "{text}");
    for made in ["state", "state/users.db"] {
        assert_eq!(
            fs::metadata(folder.path().join(made)).unwrap().uid(),
            NOBODY,
            "{made}"
        );
    }
}

/// Makes one thing wrong for the server's user.
type Spoil = fn(&Path);

#[test]
fn check_looks_as_the_user_that_serves() {
    if !is_root() {
        return;
    }
    let tls = "[tls]\ncertificate = \"certs/mx.crt\"\nkey = \"certs/mx.key\"\n";
    let lmtp = "[delivery]\nlmtp = [\"unix:LMTP\"]\n";
    let maildir = "[delivery]\nmaildir = \"boxes/{local}\"\n";
    let socket = "[[auth_socket]]\nprotocol = \"saslauthd\"\npath = \"run/mux\"\nmechanisms = [\"PLAIN\"]\n";
    let nothing: Spoil = |_| {};
    #[rustfmt::skip]
    let cases: &[(&str, &str, Spoil, i32, &str)] = &[
        // what the case shows        added to the file                     what is wrong                                                        code   said
        ("all is well",               tls,                                  |at| to_nobody(&at.join("certs/mx.key")),                            0,     "no errors, 1 warning"),
        ("a key of root's alone",     tls,                                  nothing,                                                             78,    "cannot read the key"),
        ("a state that is a file",    "",                                   |at| { fs::remove_dir_all(at.join("state")).unwrap(); fs::write(at.join("state"), "").unwrap(); to_nobody(&at.join("state")); }, 78, "is not a folder"),
        ("a file that root left",     "",                                   |at| private(&at.join("state/queue.db"), ""),                        78,    "belongs to root"),
        ("mailboxes of root's",       maildir,                              |at| fs::create_dir(at.join("boxes")).unwrap(),                      78,    "may not make mailboxes"),
        ("mailboxes of its own",      maildir,                              |at| { fs::create_dir(at.join("boxes")).unwrap(); to_nobody(&at.join("boxes")); }, 0, "no errors, 1 warning"),
        ("a log of root's",           "[log]\nfile = \"log/postern\"\n",    |at| fs::create_dir(at.join("log")).unwrap(),                        78,    "may not write to the log"),
        ("a socket in root's folder", socket,                               |at| fs::create_dir(at.join("run")).unwrap(),                        78,    "may not make the socket"),
        ("a password of root's",      "[[directory]]\nkind = \"ldap\"\nservers = [\"ldap://127.0.0.1:1/\"]\nsearch_base = \"dc=x\"\nbind_dn = \"cn=x\"\nbind_password_file = \"pass\"\n",
                                                                            |at| private(&at.join("pass"), "x"),                                 78,    "permission denied"),
        ("nobody takes mail by LMTP", lmtp,                                 nothing,                                                             0,     "does not answer"),
        ("LMTP for root alone",       lmtp,                                 |at| { UnixListener::bind(at.join("LMTP")).unwrap(); fs::set_permissions(at.join("LMTP"), fs::Permissions::from_mode(0o600)).unwrap(); }, 0, "Permission denied"),
    ];
    for (shows, extra, spoil, code, text) in cases {
        let (folder, _) = site_of_nobody("");
        let at = folder.path();
        assert!(postern(at, &["cert", "ca"]).status.success());
        let issued = postern(at, &["cert", "issue", "mx.example.org", "--out", "mx"]);
        assert!(issued.status.success(), "{}", said(&issued));
        open(&at.join("certs"));
        let extra = extra.replace("unix:LMTP", &format!("unix:{}", at.join("LMTP").display()));
        fs::write(at.join("postern.toml"), format!("{CONFIG}{extra}")).unwrap();
        spoil(at);
        let output = postern(at, &["check"]);
        let told = said(&output);
        assert_eq!(output.status.code(), Some(*code), "{shows}: {told}");
        assert!(told.contains(text), "{shows}: {told}");
    }
}

/// Starts the server, and waits until it has dropped its privileges: its ports are open before that.
fn start(site: &mut Site) {
    site.start();
    wait_until("the server to have started", || site.log().contains(" started "));
}

/// A server started by root that becomes `nobody`.
fn dropped(extra: &str) -> Site {
    let (mx, submission, submissions) = (free_port(), free_port(), free_port());
    let config = format!(
        "hostname = \"mx.relay.test\"\nstate_dir = \"state\"\nuser = \"nobody\"\nlocal_domains = [\"relay.test\"]\n\
         [[listener]]\naddress = \"127.0.0.1:{mx}\"\n\
         [[listener]]\naddress = \"127.0.0.1:{submission}\"\nrole = \"submission\"\n\
         [[listener]]\naddress = \"127.0.0.1:{submissions}\"\nrole = \"submission\"\ntls = \"implicit\"\n\
         [tls]\ncertificate = \"certs/relay.crt\"\nkey = \"certs/relay.key\"\n[[directory]]\nkind = \"users\"\n{extra}"
    );
    let mut site = Site::new(&config, "relay", &["mx.relay.test", "localhost"]);
    (site.mx, site.submission, site.submissions) = (mx, submission, submissions);
    for folder in ["", "certs"] {
        open(&site.path(folder));
    }
    to_nobody(&site.path("certs/relay.key"));
    site.add_user("tester@relay.test", "test word");
    site
}

fn status_of(pid: u32, name: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{name}:")));
    line.unwrap_or_default().trim().to_owned()
}

#[test]
fn a_server_gives_up_what_it_has_no_need_of() {
    if !is_root() {
        return;
    }
    let mut site = dropped("");
    fs::create_dir(site.path("run")).unwrap();
    to_nobody(&site.path("run"));
    start(&mut site);
    let pid = site.server().pid();
    assert!(
        status_of(pid, "Uid")
            .split_whitespace()
            .all(|uid| uid == NOBODY.to_string())
    );
    for (name, want) in [("NoNewPrivs", "1"), ("Seccomp", "2"), ("Groups", "65534")] {
        assert_eq!(status_of(pid, name), want, "{name}");
    }
    for name in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(status_of(pid, name).trim_matches('0'), "", "{name}");
    }
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let cores = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    assert_eq!(cores.split_whitespace().nth(4), Some("0"), "{cores}");
    // Only root may inspect it: the files of a process that can be dumped belong to its user.
    assert_eq!(fs::metadata(format!("/proc/{pid}/environ")).unwrap().uid(), 0);
    site.wait_for_log(&[" confined "]);
    let log = site.log();
    let line = log.lines().find(|line| line.contains(" confined ")).unwrap();
    for part in [
        "user=nobody",
        "no_new_privileges=yes",
        "no_dumps=yes",
        "files=Landlock",
        "syscalls=seccomp",
    ] {
        assert!(line.contains(part), "{line}");
    }

    // It still works: mail into a Maildir, with its renames, as a separate user.
    let mut client = site.tester();
    let reply = client
        .mail("tester@relay.test", &["tester@relay.test"], "Subject: a\r\n\r\na")
        .unwrap();
    assert!(reply.starts_with("250"), "{reply}");
    let new = site.path("state/mail/tester/new");
    wait_until("the mail", || {
        fs::read_dir(&new).is_ok_and(|mut mail| mail.next().is_some())
    });

    // A reload with a new path reports that this is impossible, and changes nothing.
    let config = fs::read_to_string(site.path("postern.toml")).unwrap();
    let socket = "[[auth_socket]]\nprotocol = \"saslauthd\"\npath = \"run/mux\"\nmechanisms = [\"PLAIN\"]\n";
    fs::write(site.path("postern.toml"), format!("{config}{socket}")).unwrap();
    let output = site.run(&["reload"]);
    let text = said(&output);
    assert!(
        !output.status.success() && text.contains("run is new to this server"),
        "{text}"
    );
    assert!(
        text.contains("restart") && text.contains("sandbox = false"),
        "{text}"
    );
    assert!(!site.path("run/mux").exists());
    let mut client = Client::connect(site.mx).unwrap().0;
    assert!(client.say("EHLO helo").unwrap().starts_with("250"), "it goes on");
}

#[test]
fn without_the_sandbox_a_reload_opens_new_places_and_leaves_the_umask_alone() {
    if !is_root() {
        return;
    }
    let mut site = dropped("");
    let config = fs::read_to_string(site.path("postern.toml")).unwrap();
    let config = format!("sandbox = false\n{config}");
    fs::write(site.path("postern.toml"), &config).unwrap();
    fs::create_dir(site.path("run")).unwrap();
    to_nobody(&site.path("run"));
    start(&mut site);
    let pid = site.server().pid();
    let before = status_of(pid, "Umask");
    assert_eq!(status_of(pid, "NoNewPrivs"), "1", "this much needs no sandbox");
    site.wait_for_log(&["switched off by `sandbox`"]);
    let socket = "[[auth_socket]]\nprotocol = \"saslauthd\"\npath = \"run/mux\"\nmechanisms = [\"PLAIN\"]\n";
    fs::write(site.path("postern.toml"), format!("{config}{socket}")).unwrap();
    site.ok(&["reload"]);
    assert!(site.path("run/mux").exists());
    assert_eq!(status_of(pid, "Umask"), before);
}

#[test]
fn root_without_a_user_is_told_and_does_not_serve_the_network() {
    if !is_root() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let config = |top: &str| format!("{top}{CONFIG}").replace("127.0.0.1:0", "0.0.0.0:25");
    let file = folder.path().join("postern.toml");
    fs::write(&file, config("")).unwrap();
    let output = postern(folder.path(), &["serve"]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(78), "{text}");
    assert!(
        text.contains("0.0.0.0:25") && text.contains("user = \"postern\""),
        "{text}"
    );
    let text = said(&postern(folder.path(), &["check"]));
    assert!(text.contains("would give an attacker root"), "{text}");
    fs::write(&file, config("user = \"root\"\n")).unwrap();
    let text = said(&postern(folder.path(), &["check"]));
    assert!(
        !text.contains("would give an attacker root"),
        "it is meant: {text}"
    );

    let sink = postern_testkit::sink::Sink::start();
    let mut site = Site::relay(sink.port(), "");
    start(&mut site);
    site.wait_for_log(&[" root level=warning "]);
}
