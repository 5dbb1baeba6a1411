//! The Debian package: installed, upgraded with a full queue, removed, purged.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::machine::{Machine, shown};

/// Local mail and, from this host, mail to everywhere; no TLS.
pub(crate) const CONFIGURATION: &str = "\
hostname = \"mx.example.org\"
local_domains = [\"example.org\"]

[local]

[[listener]]
address = \"127.0.0.1:25\"

[relay]
networks = [\"127.0.0.0/8\"]

[retry]
intervals = [\"1h\"]

[log]
file = \"/var/log/postern/postern.log\"

[[directory]]
kind = \"users\"
";

/// Messages that wait while the package is upgraded.
const WAITING: usize = 300;

/// A script that sends mail to a recipient that many times, one command after the other in one session.
fn send(to: &str, count: usize) -> String {
    format!(
        "exec 3<>/dev/tcp/127.0.0.1/25
        hear() {{ while read -r line <&3; do case $line in [45]*) echo \"$line\" >&2; exit 1;; ???' '*) return;; esac; done; exit 1; }}
        say() {{ printf '%s\\r\\n' \"$@\" >&3; hear; }}
        hear; say 'EHLO mx.example.org'
        for number in $(seq {count}); do
            say 'MAIL FROM:<ann@example.org>'; say 'RCPT TO:<{to}>'; say DATA
            say \"Subject: number $number\" '' hello .
        done
        say QUIT"
    )
}

/// The same package with a later version.
fn upgrade_of(package: &Path, folder: &TempDir) -> Vec<u8> {
    let made = folder.path().join("later.deb");
    let script =
        "dpkg-deb -R \"$1\" \"$2/root\"; sed -i 's/^Version:.*/Version: 99-1/' \"$2/root/DEBIAN/control\"
        dpkg-deb -Znone -b \"$2/root\" \"$3\"";
    let output = Command::new("bash")
        .args(["-euc", script, "bash"])
        .args([package, folder.path(), &made])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", shown(&output));
    std::fs::read(made).unwrap()
}

fn waiting(machine: &Machine) -> String {
    machine
        .ok("postern status --json | sed -n 's/ *\"messages\": \\(.*\\),/\\1/p'")
        .trim()
        .to_owned()
}

#[test]
fn installed_upgraded_with_a_full_queue_removed_and_purged() {
    let packages = crate::packages();
    let machine = Machine::boot(packages);
    installed_without_a_configuration(&machine);
    first_mail(&machine);
    programs_of_the_machine(&machine);
    upgraded(&machine, &packages[0]);
    a_mistake_in_the_file(&machine);
    logs_are_rotated(&machine);
    removed_and_purged(&machine);
}

fn installed_without_a_configuration(machine: &Machine) {
    // Postfix is installed, and keeps its `mailq` and `sendmail`.
    let before = machine.ok("readlink /usr/bin/mailq");
    let said = machine.ok("apt-get install -y ./postern_*.deb 2>&1");
    assert!(said.contains("write /etc/postern/postern.toml"), "{said}");
    assert_eq!(machine.ok("readlink /usr/bin/mailq"), before);
    machine.ok("dpkg --search /usr/sbin/sendmail | grep -q postfix && test ! -L /usr/sbin/sendmail");
    // It replaces Postfix if that is requested.
    let said = machine.ok("apt-get install -y ./postern-mta_*.deb 2>&1");
    assert!(said.contains("Removing postfix"), "{said}");
    machine.ok("dpkg-query --showformat '${db:Status-Status}\n' --show postfix | grep -qv '^installed$'");
    for (name, to) in [
        ("/usr/bin/mailq", "/usr/bin/postern"),
        ("/usr/bin/newaliases", "/usr/bin/postern"),
        ("/usr/sbin/sendmail", "/usr/bin/postern"),
        ("/usr/lib/sendmail", "/usr/bin/postern"),
    ] {
        assert_eq!(machine.ok(&format!("readlink -f {name}")).trim(), to, "{name}");
    }
    for page in [
        "postern",
        "postern-queue-list",
        "mailq",
        "newaliases",
        "8 sendmail",
        "postern.toml",
        "postern-pam-helper",
        "postern-mailbox-helper",
    ] {
        machine.ok(&format!(
            "man --where {page} && man --warnings {page} > /dev/null"
        ));
    }
    let page = machine.ok("MANWIDTH=78 man 5 postern.toml | cat");
    assert!(
        page.contains("message_size_limit") && page.contains("default"),
        "{page}"
    );
    for completion in [
        "source /usr/share/bash-completion/completions/postern && complete -p postern",
        "grep -q compdef /usr/share/zsh/vendor-completions/_postern",
        "grep -q 'complete -c postern' /usr/share/fish/vendor_completions.d/postern.fish",
    ] {
        machine.ok(completion);
    }
    let folders = machine.ok("stat --format '%a %U %G %n' /etc/postern /var/lib/postern /var/log/postern");
    assert_eq!(
        folders,
        "750 root postern /etc/postern\n700 postern postern /var/lib/postern\n750 postern postern /var/log/postern\n"
    );
    // Enabled without anything to serve: not a failure, now or at the next boot.
    assert_eq!(machine.ok("systemctl is-enabled postern").trim(), "enabled");
    assert_eq!(
        machine.run("systemctl is-enabled postern-pam", "").status.code(),
        Some(1)
    );
    machine.ok("systemctl start postern");
    assert_eq!(
        machine.run("systemctl is-active postern", "").status.code(),
        Some(3)
    );
    assert_eq!(machine.failed(), "");
}

fn first_mail(machine: &Machine) {
    machine.put("/etc/postern/postern.toml", CONFIGURATION.as_bytes());
    machine.ok("chown root:postern /etc/postern/postern.toml && chmod 640 /etc/postern/postern.toml");
    machine.ok("postern user add ann@example.org --generate && systemctl start postern && postern status");
    machine.ok(&send("ann@example.org", 1));
    machine.wait_for("grep -rq 'Subject: number 1' /var/lib/postern/mail");
    // Without any capability except that for low ports, and as an unprivileged user.
    let status = machine.ok("cat /proc/$(systemctl show --property MainPID --value postern)/status");
    assert!(status.contains("CapBnd:\t0000000000000400"), "{status}");
    assert!(!status.contains("Uid:\t0"), "{status}");
    // What Postern itself gives up, even under the unit's own filter.
    machine.wait_for("grep -q ' confined ' /var/log/postern/postern.log");
    let line = machine.ok("grep -m1 ' confined ' /var/log/postern/postern.log");
    for part in ["no_new_privileges=yes", "no_dumps=yes", "syscalls=seccomp"] {
        assert!(line.contains(part), "{line}");
    }
}

/// `sendmail` as an ordinary user, while the server runs and while it does not, inside the unit's sandbox.
fn programs_of_the_machine(machine: &Machine) {
    let folders = machine.ok("stat --format '%a %U %G %n' /run/postern /run/postern/submit /var/spool/postern /var/spool/postern/drop");
    assert_eq!(
        folders,
        "755 postern postern /run/postern\n666 postern postern /run/postern/submit\n\
         755 root root /var/spool/postern\n3733 postern postern /var/spool/postern/drop\n"
    );
    let send = |subject: &str| {
        format!(
            "printf 'To: ann@example.org\\nSubject: {subject}\\n\\nhello\\n' | runuser -u nobody -- /usr/sbin/sendmail -t"
        )
    };
    machine.ok(&send("through the door"));
    machine.wait_for("grep -rq 'Subject: through the door' /var/lib/postern/mail");
    machine.ok("grep -rq 'from userid 65534' /var/lib/postern/mail");
    machine.ok("systemctl stop postern");
    machine.ok("test ! -e /run/postern/submit");
    machine.ok(&send("while it was down"));
    machine.ok("test $(find /var/spool/postern/drop -type f | wc -l) = 1");
    assert!(
        !machine
            .run("runuser -u nobody -- ls /var/spool/postern/drop", "")
            .status
            .success()
    );
    machine.ok("systemctl start postern");
    machine.wait_for("grep -rq 'Subject: while it was down' /var/lib/postern/mail");
    machine.wait_for("test -z \"$(find /var/spool/postern/drop -type f)\"");
    machine.ok("newaliases && runuser -u nobody -- mailq");
}

fn upgraded(machine: &Machine, package: &Path) {
    machine.ok(&send("someone@outside.example", WAITING));
    assert_eq!(waiting(machine), WAITING.to_string());
    let process = machine.ok("systemctl show --property MainPID --value postern");
    machine.put("/root/later.deb", &upgrade_of(package, &TempDir::new().unwrap()));
    let said = machine.ok("apt-get install -y ./later.deb 2>&1");
    assert!(said.contains("(99-1)"), "{said}");
    machine.wait_for("postern status");
    assert_ne!(
        machine.ok("systemctl show --property MainPID --value postern"),
        process
    );
    assert_eq!(waiting(machine), WAITING.to_string(), "nothing is lost");
    // Messages from before and after, by their subjects.
    machine.ok(&send("someone@outside.example", 1));
    assert_eq!(waiting(machine), (WAITING + 1).to_string());
    let listed = machine.ok("mailq --limit 1000 --json | grep -c '\"queue\"'");
    assert_eq!(listed.trim(), (WAITING + 1).to_string());
    assert_eq!(machine.failed(), "");
}

/// It is shown, the running server continues, and a newly started one does not retry for ever.
fn a_mistake_in_the_file(machine: &Machine) {
    machine.ok(
        "cp -p /etc/postern/postern.toml /root/right.toml && echo 'hostnam = 1' >> /etc/postern/postern.toml",
    );
    let process = machine.ok("systemctl show --property MainPID --value postern");
    let said = machine.ok("apt-get install -y --reinstall ./later.deb 2>&1");
    assert!(said.contains("NOT started anew"), "{said}");
    assert_eq!(
        machine.ok("systemctl show --property MainPID --value postern"),
        process
    );
    let output = machine.run("systemctl restart postern", "");
    assert!(!output.status.success(), "{}", shown(&output));
    let state = machine.ok("systemctl show postern --property NRestarts,ExecMainStatus,ActiveState | sort");
    assert_eq!(state, "ActiveState=failed\nExecMainStatus=78\nNRestarts=0\n");
    machine.wait_for("journalctl -u postern | grep -q 'unknown key'");
    machine.ok(
        "cp -p /root/right.toml /etc/postern/postern.toml && systemctl restart postern && postern status",
    );
}

fn logs_are_rotated(machine: &Machine) {
    machine.ok("logrotate --force /etc/logrotate.d/postern");
    machine
        .wait_for("test -s /var/log/postern/postern.log && grep -q accepted /var/log/postern/postern.log.1");
    machine.wait_for("tail -n 5 /var/log/postern/postern.log | grep -q reloaded");
    let owners = machine.ok("stat --format %U /var/log/postern/*");
    assert_eq!(owners, "postern\npostern\n");
}

fn removed_and_purged(machine: &Machine) {
    let said = machine.ok("apt-get remove -y postern 2>&1");
    assert!(said.contains("mail waits in the queue"), "{said}");
    assert_eq!(
        machine
            .run("test -e /usr/bin/mailq -o -L /usr/bin/mailq", "")
            .status
            .code(),
        Some(1)
    );
    assert_eq!(machine.failed(), "");
    let said = machine.ok("apt-get purge -y postern 2>&1");
    assert!(said.contains("/var/lib/postern holds mail and is kept"), "{said}");
    machine.ok("test ! -e /etc/postern -a ! -e /var/log/postern -a -s /var/lib/postern/queue.db");

    // Reinstalled: everything is still there. Then it is purged, and everything is gone.
    machine.put("/etc/postern/postern.toml", CONFIGURATION.as_bytes());
    machine.ok("apt-get install -y ./later.deb && chgrp postern /etc/postern/postern.toml && systemctl start postern");
    machine.wait_for("postern status");
    assert_eq!(waiting(machine), (WAITING + 1).to_string());
    machine.ok("postern queue remove --all && rm -r /var/lib/postern/mail");
    let said = machine.ok("apt-get purge -y postern 2>&1");
    assert!(!said.contains("holds mail"), "{said}");
    let left = machine.ok(
        "find / -xdev -path /proc -prune -o -name '*postern*' -print | grep -v '^/root/\\|^/usr/src/\\|^/var/log/journal\\|^/var/cache/man' || true",
    );
    assert_eq!(left, "", "what is left");
    assert_eq!(machine.run("systemctl cat postern", "").status.code(), Some(1));
}
