//! The old server itself, on the site's machine: what it does with each probe is written into `probes.json`.
//!
//! `POSTERN_RECORD=SITE cargo test -p postern --test sites -- --ignored record` does that with Debian's Postfix, or with the sendmail
//! that `scripts/fetch-sendmail` unpacks.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use postern_testkit::process::{PATIENCE, Server, program, wait_until};
use serde_json::{Value, json};

use crate::around::from;
use crate::arrived::{Copy, recorded};
use crate::dialogue::Ended;
use crate::machine::{Machine, run};
use crate::network::Space;
use crate::site::{Probe, Site};

/// For how long nothing must arrive before all has arrived that will.
const QUIET: Duration = Duration::from_secs(10);

/// Starts the old server on its machine.
pub(crate) fn serve(
    site: &Site,
    machine: &Machine,
    inside: &Space,
    outside: &Space,
    folder: &Path,
) -> Server {
    let mut server = if site.probes.program == "postfix" {
        postfix(machine, inside, folder)
    } else {
        sendmail(machine, inside, folder)
    };
    let (address, world) = (&site.probes.server[0], &site.probes.world[0]);
    for port in site.ports() {
        wait_until(&format!("a listener on port {port}"), || {
            assert!(
                server.runs(),
                "the old server ended:\n{}\n{}",
                server.log(),
                log(machine)
            );
            from(outside, world, &format!("{address}:{port}")).is_ok()
        });
    }
    server
}

/// What the old server has logged.
pub(crate) fn log(machine: &Machine) -> String {
    fs::read_to_string(machine.path("/var/log/mail.log")).unwrap_or_default()
}

fn add(machine: &Machine, file: &str, lines: &str) {
    let path = machine.path(file);
    let text = fs::read_to_string(&path).unwrap_or_default();
    fs::write(path, text + lines).unwrap();
}

fn shell(machine: &Machine, inside: &Space, script: &str) -> String {
    run(inside
        .command_at_home(&machine.root, "/bin/sh")
        .args(["-ec", script]))
}

/// Postfix as the machine of the tests has it: its program, its own files, its accounts.
fn postfix(machine: &Machine, inside: &Space, folder: &Path) -> Server {
    let own = Path::new(&program("/usr/sbin/postfix", "postfix")).exists();
    assert!(own);
    for (file, table) in [("passwd", "/etc/passwd"), ("group", "/etc/group")] {
        let all = fs::read_to_string(table).unwrap();
        let lines = all.lines().filter(|line| line.starts_with("post"));
        let lines: String = lines
            .filter(|line| line.starts_with("postfix:") || line.starts_with("postdrop:"))
            .map(|line| format!("{line}\n"))
            .collect();
        add(machine, &format!("/etc/{file}"), &lines);
    }
    for file in [
        "services",
        "protocols",
        "postfix/dynamicmaps.cf",
        "postfix/postfix-files",
    ] {
        fs::copy(
            Path::new("/etc").join(file),
            machine.path(&format!("/etc/{file}")),
        )
        .unwrap();
    }
    add(
        machine,
        "/etc/postfix/master.cf",
        "\npostlog unix-dgram n - n - 1 postlogd\n",
    );
    let script = r#"mkdir -p /var/log /var/spool/postfix /var/lib/postfix
        postconf maillog_file=/var/log/mail.log
        chown postfix /var/lib/postfix
        for file in /etc/postfix/master.cf; do sed -i -E 's/^([a-z0-9.:_-]+ +(unix|inet|fifo|pass) +[yn-]) +([yn-]) +[y-]( +)/\1 \3 n\4/' $file; done
        [ ! -d /var/spool/postfix/private ] || { chown postfix /var/spool/postfix/private; chmod 700 /var/spool/postfix/private; }
        postfix check || true
        [ ! -f /etc/aliases ] || postalias hash:/etc/aliases
        # shellcheck disable=SC2013
        for table in $(cat /etc/postfix/main.cf /etc/postfix/master.cf | grep -v '^#' | sed "s#\$config_directory#/etc/postfix#g; s#\${config_directory}#/etc/postfix#g" | grep -oE '(hash|btree|lmdb|cdb):/[^ ,}]+' | sort -u); do
            file=${table#*:}
            [ -f "$file" ] || continue
            case $file in *aliases*) postalias "$table" || true;; *) postmap "$table" || true;; esac
        done"#;
    shell(machine, inside, script);
    let mut command = inside.command_at_home(&machine.root, "/usr/sbin/postfix");
    Server::start(command.arg("start-fg"), &folder.join("old.log"))
}

/// Debian's sendmail, unpacked, with the site's configuration made by m4 as its package does.
fn sendmail(machine: &Machine, inside: &Space, folder: &Path) -> Server {
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/sendmail");
    assert!(unpacked.exists(), "run scripts/fetch-sendmail");
    run(Command::new("/bin/cp")
        .arg("-a")
        .arg(unpacked)
        .arg(machine.path("/sendmail")));
    add(
        machine,
        "/etc/passwd",
        "smmta:x:901:901::/var/lib/sendmail:/usr/sbin/nologin\nsmmsp:x:902:902::/var/lib/sendmail:/usr/sbin/nologin\n",
    );
    add(machine, "/etc/group", "smmta:x:901:\nsmmsp:x:902:\n");
    fs::copy("/etc/services", machine.path("/etc/services")).unwrap();
    let script = r#"mkdir -p /var/log /var/spool/mqueue /var/run/sendmail/mta /var/lib/sendmail /etc/mail /etc/sasl2
        chmod 700 /var/spool/mqueue
        cd /etc/mail
        find /etc/mail -type f -exec chmod 644 {} +
        CF=/sendmail/usr/share/sendmail/cf
        if [ ! -f sendmail.cf ] || [ -f sendmail.mc ]; then
            grep -q 'm4/cf.m4' sendmail.mc && base= || base=$CF/m4/cf.m4
            sed -E "s#/usr/share/sendmail(-cf|/cf)#$CF#g; s#^(MAILER_DEFINITIONS)#\1#" sendmail.mc > /tmp/site.mc
            m4 -D_CF_DIR_=$CF/ $base /tmp/site.mc > sendmail.cf
        fi
        sed -i -E 's#/usr/(sbin|lib|libexec/sendmail)/(mail.local|smrsh|makemap)#/sendmail/usr/libexec/sendmail/\2#g' sendmail.cf
        sed -nE 's#^K[^ ]+ (hash|btree|dbm) (.* )?(/[^ ]+)$#\1 \3#p' sendmail.cf | sort -u | while read -r kind file; do
            file=${file%.db}
            [ -f "$file" ] || : > "$file"
            /sendmail/usr/libexec/sendmail/makemap "$kind" "$file" < "$file"
        done
        sed -nE 's#^O AliasFile=(.*)$#\1#p' sendmail.cf | tr , '\n' | sed -E 's#^[a-z]+:##' | while read -r file; do
            case $file in /*) [ -f "$file" ] || : > "$file";; esac
        done
        chmod 755 /etc/mail
        /sendmail/usr/libexec/sendmail/sendmail -bi -C/etc/mail/sendmail.cf >/var/log/newaliases 2>&1 || true"#;
    shell(machine, inside, script);
    let mut command = inside.command_at_home(&machine.root, "/sendmail/usr/libexec/sendmail/sendmail");
    command.args(["-bD", "-q1h", "-C/etc/mail/sendmail.cf", "-X/var/log/mail.log"]);
    Server::start(&mut command, &folder.join("old.log"))
}

/// Waits until nothing arrives any more.
pub(crate) fn settled(copies: impl Fn() -> Vec<Copy>) -> Vec<Copy> {
    let end = Instant::now() + PATIENCE;
    let (mut last, mut since) = (copies(), Instant::now());
    while since.elapsed() < QUIET && Instant::now() < end {
        thread::sleep(Duration::from_millis(200));
        let now = copies();
        if now.len() != last.len() {
            since = Instant::now();
        }
        last = now;
    }
    last
}

/// Writes what became of each probe into `probes.json`, a line each.
pub(crate) fn write(site: &Site, ended: impl Fn(&Probe) -> Ended, copies: &[Copy]) {
    let file = site.folder.join("probes.json");
    let mut whole: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    for (probe, row) in site
        .probes
        .probes
        .iter()
        .zip(whole["probes"].as_array_mut().unwrap())
    {
        let row = row.as_object_mut().unwrap();
        let ended = ended(probe);
        eprintln!(
            "{:>3} <{}> -> <{}>: {} ({})",
            probe.n, probe.mail, probe.rcpt, ended.verdict, ended.reply
        );
        for key in ["goes", "with", "hfrom"] {
            row.remove(key);
        }
        row.insert("verdict".to_owned(), json!(ended.verdict));
        for (key, value) in recorded(site, &format!("row-{}", probe.n), copies) {
            eprintln!("      {key}: {value}");
            row.insert(key.to_owned(), value);
        }
    }
    let mut text = String::from("{\n");
    for (key, value) in whole.as_object().unwrap() {
        if key != "probes" && key != "dns" {
            writeln!(text, "  {}: {value},", json!(key)).unwrap();
        }
    }
    let dns = whole["dns"].as_object().unwrap().iter();
    let dns: Vec<String> = dns
        .map(|(name, records)| format!("    {}: {records}", json!(name)))
        .collect();
    let rows: Vec<String> = whole["probes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| format!("    {row}"))
        .collect();
    writeln!(
        text,
        "  \"dns\": {{\n{}\n  }},\n  \"probes\": [\n{}\n  ]\n}}",
        dns.join(",\n"),
        rows.join(",\n")
    )
    .unwrap();
    fs::write(file, text).unwrap();
}
