//! PAM through its helper: a real service with real modules, each kind of refusal, a module that
//! hangs.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use postern_testkit::process::{Server, program, wait_until};
use postern_testkit::sink::Sink;

use crate::harness::{Site, binary};

/// Login, password, and the service's list that contains it.
const PEOPLE: [(&str, &str); 5] = [
    ("paula", "paula-word"),
    ("expired", "expired-word"),
    ("stale", "stale-word"),
    ("barred", "barred-word"),
    ("slow", "slow-word"),
];

/// A service whose modules check passwords against a file, and refuse accounts by lists.
fn service(folder: &Path) {
    let modules = Path::new("/usr/share/doc/libpam-pwdfile");
    assert!(modules.exists(), "install libpam-pwdfile");
    let at = folder.display();
    let mut passwords = String::new();
    for (login, password) in PEOPLE {
        let output = Command::new(program("/usr/bin/openssl", "openssl"))
            .args(["passwd", "-6", password])
            .output()
            .unwrap();
        let _ = writeln!(
            passwords,
            "{login}:{}",
            String::from_utf8(output.stdout).unwrap().trim()
        );
        fs::write(folder.join(login), login).unwrap();
    }
    fs::write(folder.join("passwords"), passwords).unwrap();
    let unless = |kind: &str, login: &str, module: &str| {
        format!(
            "{kind} [success=1 default=ignore] pam_listfile.so item=user sense=deny file={at}/{login} onerr=fail\n\
             {kind} required {module}\n"
        )
    };
    let text = [
        unless("auth", "slow", "pam_exec.so quiet /bin/sleep 600"),
        format!("auth required pam_pwdfile.so pwdfile={at}/passwords nodelay\n"),
        unless("account", "expired", "pam_debug.so acct=acct_expired"),
        unless("account", "stale", "pam_debug.so acct=new_authtok_reqd"),
        unless("account", "barred", "pam_debug.so acct=perm_denied"),
        "account required pam_permit.so\n".to_owned(),
    ];
    fs::write(folder.join("smtp"), text.concat()).unwrap();
    // Prompts twice, as for a second factor.
    let twice = format!(
        "auth required pam_pwdfile.so pwdfile={at}/passwords nodelay\nauth required pam_stress.so\n\
         account required pam_permit.so\n"
    );
    fs::write(folder.join("twice"), twice).unwrap();
}

/// A relay whose only directory besides its own users is PAM.
fn relay(hop: u16, service_name: &str) -> Site {
    let extra = format!(
        "[[directory]]\nkind = \"pam\"\nsocket = \"pam.sock\"\nservice = \"{service_name}\"\nservice_folder = \"pam.d\"\n\
         timeout = \"20s\"\n[auth]\nfree_failures = 1000\n"
    );
    let site = Site::relay(hop, &extra);
    fs::create_dir(site.path("pam.d")).unwrap();
    service(&site.path("pam.d"));
    site
}

fn helper(site: &Site) -> Server {
    let mut command = Command::new(binary());
    command
        .args(["pam-helper", "--config"])
        .arg(site.path("postern.toml"));
    let server = Server::start(&mut command, &site.path("pam-helper.log"));
    let socket = site.path("pam.sock");
    wait_until("the helper's socket", || socket.exists());
    server
}

fn log_in(site: &Site, login: &str, password: &str) -> String {
    let mut client = site.tls_client(site.submission);
    client.login(login, password).unwrap()
}

fn reason_in_log(site: &Site, login: &str, reason: &str) {
    wait_until(&format!("{reason:?} for {login} in the log"), || {
        site.log()
            .lines()
            .any(|line| line.contains("refused") && line.contains(login) && line.contains(reason))
    });
}

#[test]
fn what_pam_says_is_the_verdict() {
    let sink = Sink::start();
    let mut site = relay(sink.port(), "smtp");
    let _helper = helper(&site);
    site.start();
    assert!(
        log_in(&site, "paula", "paula-word").starts_with("235"),
        "{}",
        site.log()
    );
    let cases = [
        ("paula", "pola-word", "wrong password"),
        ("nobody", "paula-word", ""),
        ("expired", "expired-word", "account expired"),
        ("stale", "stale-word", "password expired"),
        ("barred", "barred-word", "not at this hour"),
    ];
    for (login, password, reason) in cases {
        let reply = log_in(&site, login, password);
        assert!(reply.starts_with("535"), "{login}: {reply}");
        reason_in_log(&site, login, reason);
    }
    // Own users come first, and still work.
    let _ = site.tester();
}

#[test]
fn a_module_that_hangs_is_cut_off_and_holds_up_nobody() {
    let sink = Sink::start();
    let mut site = relay(sink.port(), "smtp");
    let short = fs::read_to_string(site.path("postern.toml"))
        .unwrap()
        .replace("\"20s\"", "\"3s\"");
    fs::write(site.path("postern.toml"), short).unwrap();
    let _helper = helper(&site);
    site.start();
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| log_in(&site, "slow", "slow-word"));
        assert!(log_in(&site, "paula", "paula-word").starts_with("235"));
        let reply = slow.join().unwrap();
        assert!(reply.starts_with("454"), "{reply}");
    });
}

#[test]
fn a_second_prompt_is_no_login() {
    let sink = Sink::start();
    let mut site = relay(sink.port(), "twice");
    let _helper = helper(&site);
    site.start();
    let reply = log_in(&site, "paula", "paula-word");
    assert!(reply.starts_with("454"), "{reply}");
    reason_in_log(&site, "paula", "asks for something else");
}

#[test]
fn without_its_helper_the_login_waits() {
    let sink = Sink::start();
    let mut site = relay(sink.port(), "smtp");
    site.start();
    let reply = log_in(&site, "paula", "paula-word");
    assert!(reply.starts_with("454"), "{reply}");
    let running = helper(&site);
    assert!(
        log_in(&site, "paula", "paula-word").starts_with("235"),
        "{}",
        site.log()
    );
    drop(running);
    assert!(log_in(&site, "paula", "paula-word").starts_with("454"));
    // A stale socket does no harm.
    let _again = helper(&site);
    wait_until("the next helper", || {
        log_in(&site, "paula", "paula-word").starts_with("235")
    });
}

#[test]
fn an_upgrade_under_the_helper_costs_no_login() {
    let sink = Sink::start();
    let mut site = relay(sink.port(), "smtp");
    let program = site.path("postern");
    fs::copy(binary(), &program).unwrap();
    let mut command = Command::new(&program);
    command
        .args(["pam-helper", "--config"])
        .arg(site.path("postern.toml"));
    let helper = Server::start(&mut command, &site.path("pam-helper.log"));
    let socket = site.path("pam.sock");
    wait_until("the helper's socket", || socket.exists());
    site.start();

    // Removed, as in the middle of an upgrade: it continues from memory.
    let running = fs::metadata(&program).unwrap().ino();
    fs::rename(&program, site.path("aside")).unwrap();
    fs::remove_file(site.path("aside")).unwrap();
    assert!(log_in(&site, "paula", "paula-word").starts_with("235"));

    // A new program is there: the helper switches to it, as the same process.
    fs::copy(binary(), site.path("fresh")).unwrap();
    fs::rename(site.path("fresh"), &program).unwrap();
    let file_of = |pid: u32| {
        fs::metadata(format!("/proc/{pid}/exe"))
            .map(|found| found.ino())
            .ok()
    };
    let fresh = fs::metadata(&program).unwrap().ino();
    assert_ne!(fresh, running);
    wait_until("the new program", || file_of(helper.pid()) == Some(fresh));
    wait_until("its socket", || helper.log().matches("PAM is asked").count() == 2);
    wait_until("the reason", || helper.log().contains("was replaced"));
    assert!(log_in(&site, "barred", "barred-word").starts_with("535"));
    assert!(log_in(&site, "paula", "paula-word").starts_with("235"));
}
