//! Programs that take users' mail: real ones, and those that hang, talk, and fail.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Instant;

use postern_testkit::process::{program, wait_until};
use postern_testkit::sink::Sink;

use super::{Town, in_town, mail_group, mbox, text, uid_of, user_file, wait_for};

/// The test's own agent, which everybody may run.
fn script(content: &str) -> String {
    let path = "/home/agent";
    fs::write(path, format!("#!/bin/sh\n{content}")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_owned()
}

#[test]
fn procmail_and_maildrop() {
    in_town("agents::procmail_and_maildrop", || {
        let sink = Sink::start();
        let _ = program("/usr/bin/procmail", "procmail");
        let _ = program("/usr/bin/maildrop", "maildrop");
        let agent = "agent = [\"/usr/bin/procmail\", \"-Y\", \"-a\", \"{detail}\", \"-d\", \"{user}\"]\n";
        let mut town = Town::new(&sink, agent);
        town.start();
        user_file(
            "ann",
            ".procmailrc",
            "ARG=$1\n:0:\n* ^Subject: for the list\n$HOME/list\n:0:\n* ARG ?? ^shop$\n$HOME/shop\n\
             :0\n* ^Subject: unwanted\n{\n EXITCODE=77\n :0\n /dev/null\n}\n",
        );
        town.take("ann@town.test", "for the list");
        wait_for(Path::new("/home/ann/list"), "for the list");
        town.take("ann+shop@town.test", "with a detail");
        wait_for(Path::new("/home/ann/shop"), "with a detail");
        // Its own access to the mail folder: it is set-group-ID, and that works.
        town.take("ann@town.test", "else");
        wait_for(&mbox("ann"), "else");
        town.take("bob@town.test", "without a recipe");
        wait_for(&mbox("bob"), "without a recipe");
        town.take("ann@town.test", "unwanted");
        let report = sink.wait_for("Action: failed");
        assert!(report.content.contains("5.7.1"), "{}", report.content);
        drop(town);

        let mut town = Town::new(&sink, "agent = [\"/usr/bin/maildrop\"]\n");
        town.start();
        let filter = user_file(
            "dora",
            ".mailfilter",
            "if (/^Subject: sorted/)\n{\n  to \"sorted\"\n}\nto \"rest\"\n",
        );
        fs::set_permissions(filter, fs::Permissions::from_mode(0o600)).unwrap();
        town.take("dora@town.test", "sorted");
        wait_for(Path::new("/home/dora/sorted"), "sorted");
        town.take("dora@town.test", "unsorted");
        wait_for(Path::new("/home/dora/rest"), "unsorted");
    });
}

#[test]
fn dovecots_own_agent() {
    in_town("agents::dovecots_own_agent", || {
        let sink = Sink::start();
        let lda = program("/usr/lib/dovecot/dovecot-lda", "dovecot-core");
        let config = "/home/dovecot.conf";
        fs::write(
            config,
            "mail_location = maildir:~/Maildir\nprotocols =\nlog_path = /dev/stderr\n",
        )
        .unwrap();
        fs::set_permissions(config, fs::Permissions::from_mode(0o644)).unwrap();
        let agent = format!(
            "agent = [\"{}\", \"-c\", \"{config}\", \"-f\", \"{{sender}}\", \"-a\", \"{{recipient}}\"]\n",
            lda.display()
        );
        let mut town = Town::new(&sink, &agent);
        town.start();
        town.take("ann@town.test", "by dovecot-lda");
        let new = Path::new("/home/ann/Maildir/new");
        wait_until("its mail", || {
            let log = text(&town.site.path("log"));
            assert!(!log.contains("exit code"), "{log}");
            fs::read_dir(new).is_ok_and(|found| found.count() == 1)
        });
    });
}

#[test]
fn what_an_agent_is_and_has() {
    in_town("agents::what_an_agent_is_and_has", || {
        let sink = Sink::start();
        let agent = script(
            "cat > /dev/null\n(id -u; id -G; pwd; umask; env | sort; grep -E '^(Cap|Groups|Uid|Gid)' /proc/self/status; ls /proc/self/fd) \
             > \"$HOME/seen.new\"\nmv \"$HOME/seen.new\" \"$HOME/seen\"\n",
        );
        let mut town = Town::new(&sink, &format!("agent = [\"{agent}\", \"{{sender}}\"]\n"));
        town.start();
        town.take("ann+x@town.test", "look round");
        let path = Path::new("/home/ann/seen");
        wait_until("what it saw", || path.exists());
        let seen = text(path);
        let uid = uid_of("ann");
        for line in [
            format!("Uid:\t{uid}\t{uid}\t{uid}\t{uid}"),
            format!("Gid:\t{uid}\t{uid}\t{uid}\t{uid}"),
            "CapEff:\t0000000000000000".into(),
            "CapPrm:\t0000000000000000".into(),
            "CapBnd:\t0000000000000000".into(),
            "EXTENSION=x".into(),
            "SENDER=x@far.test".into(),
            "RECIPIENT=ann+x@town.test".into(),
            "HOME=/home/ann".into(),
            "0077".into(),
        ] {
            assert!(seen.lines().any(|seen| seen == line), "{line}: {seen}");
        }
        let groups = seen.lines().nth(1).unwrap();
        let mail = mail_group().to_string();
        assert!(groups.split(' ').all(|group| group != mail), "{seen}");
        assert!(!seen.contains("POSTERN") && !seen.contains("TOWN"), "{seen}");
    });
}

#[test]
fn agents_that_hang_talk_and_fail() {
    in_town("agents::agents_that_hang_talk_and_fail", || {
        let sink = Sink::start();
        let agent = script(
            "case $USER in\n\
             ann) trap '' TERM; sleep 600 & echo $! >> \"$HOME/pids\"; wait; sleep 600;;\n\
             bob) yes | head -c 5000000; exit 75;;\n\
             carl) exit 67;;\n\
             *) cat > \"$HOME/box\";;\nesac\n",
        );
        let mut town = Town::new(&sink, &format!("agent = [\"{agent}\"]\ntimeout = \"3s\"\n"));
        town.start();
        let begun = Instant::now();
        for number in 0..4 {
            town.take("ann@town.test", &format!("hangs {number}"));
        }
        town.take("bob@town.test", "talks");
        town.take("carl@town.test", "no such user");
        // One user's programs delay nobody else.
        town.take("dora@town.test", "passes");
        wait_for(Path::new("/home/dora/box"), "passes");
        println!("passed after {:?}", begun.elapsed());
        let report = sink.wait_for("Action: failed");
        assert!(report.content.contains("5.1.1"), "{}", report.content);
        town.waits(&["longer than 3 s", "exit code 75", "\"agent\"", "y y y"]);
        let listing = town.site.ok(&["queue", "list", "--destinations"]);
        assert!(listing.contains("system:ann"), "{listing}");
        let is_gone = |pid: &str| {
            let stat = text(&Path::new("/proc").join(pid).join("stat"));
            stat.is_empty() || stat.contains(") Z")
        };
        let first = text(Path::new("/home/ann/pids"));
        let first = first.lines().next().unwrap();
        wait_until("the end of what it started", || is_gone(first));
    });
}
