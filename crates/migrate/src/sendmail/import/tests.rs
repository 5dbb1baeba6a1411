//! Whole sites: the result, and that no line is ignored.

mod anything;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::leftovers::UNREAD;
use super::*;
use crate::config::Section;
use crate::origin::testing::{Disk, Folder};
use crate::report::{Fate, Item};

/// A site's files, remembering which were read.
struct Recorded {
    disk: Disk,
    read: RefCell<BTreeSet<String>>,
}

impl Files for Recorded {
    fn read(&self, path: &str) -> Result<String, FileError> {
        let text = self.disk.read(path)?;
        self.read.borrow_mut().insert(path.to_owned());
        Ok(text)
    }
}

fn site(name: &str) -> (Recorded, Import) {
    let disk = Disk(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/sites")
            .join(name),
    );
    let read = RefCell::default();
    let files = Recorded { disk, read };
    let import = import("/etc/mail/sendmail.mc", &files).unwrap();
    (files, import)
}

/// Lines of a `.mc` file that call something; text in diversions and after `dnl` is a comment.
fn calls(line: &str) -> bool {
    const STARTS: &[&str] = &[
        "CLIENT_",
        "DAEMON_",
        "DOMAIN(",
        "EXPOSED_",
        "FEATURE(",
        "GENERICS_",
        "INPUT_",
        "LOCAL_",
        "MAILER(",
        "MASQUERADE_",
        "OSTYPE(",
        "TRUST_",
        "VERSIONID(",
        "VIRTUSER_",
        "define(",
        "include(",
        "undefine(",
    ];
    STARTS.iter().any(|start| line.starts_with(start))
}

/// Asserts that no line of any file that was read is ignored, and that everything is handled.
fn assert_complete(files: &Recorded, import: &Import) {
    for file in files.read.borrow().iter() {
        let text = files.disk.read(file).unwrap();
        let is_table = |line: &str| !line.trim().is_empty() && !line.starts_with('#');
        let is_active: &dyn Fn(&str) -> bool = if file.ends_with(".mc") { &calls } else { &is_table };
        assert_eq!(
            import.report.passed_over(file, &text, is_active),
            [0; 0],
            "{file}"
        );
    }
    let unread: Vec<&Item> = import
        .report
        .items()
        .iter()
        .filter(|item| matches!(&item.fate, Fate::Missing { remedy, .. } if remedy == UNREAD))
        .collect();
    assert!(unread.is_empty(), "{unread:?}");
}

fn fate<'a>(import: &'a Import, what: &str) -> Vec<&'a Fate> {
    import
        .report
        .items()
        .iter()
        .filter(|item| item.what.contains(what))
        .map(|item| &item.fate)
        .collect()
}

#[test]
fn the_report_says_which_tables_are_still_read() {
    let (_, import) = site("sendmail-office-smarthost");
    for (path, expected) in [
        ("/etc/aliases", "still read from there: bring it along"),
        ("/etc/mail/virtusertable", "still read from there: bring it along"),
        ("/etc/mail/access", "changes in it have no effect any more"),
        ("/etc/mail/mailertable", "changes in it have no effect any more"),
    ] {
        let what = format!("the file {path}");
        let said: Vec<&Item> = import
            .report
            .items()
            .iter()
            .filter(|item| item.what == what)
            .collect();
        assert!(
            matches!(said[..], [Item { fate: Fate::Changed { difference, .. }, .. }] if difference == expected),
            "{path}: {said:?}"
        );
    }
}

#[test]
fn the_clinic_moves() {
    let (files, import) = site("sendmail-clinic-seed");
    assert_complete(&files, &import);
    let text = import.config.text("");
    for line in [
        "local_domains = [\"stellan.example\", \"challenger.stellan.example\", \"old-stellan.example\", \"localhost\"]",
        "relay_domains = [\"sister-clinic.example\", \"*.sister-clinic.example\"]",
        "aliases = \"/etc/mail/aliases\"",
        "greeting = \"{hostname} Sendmail; {date}\"",
        "privacy = [\"goaway\"]",
        "mechanisms = [\"LOGIN\", \"PLAIN\"]",
        "plaintext = \"tls-only\"",
        "networks = [\"10.4.0.0/16\", \"10.5.0.0/16\", \"127.0.0.1\", \"127.0.0.0/8\", \"::1\"]",
        "servers = [\"ldap://ldapmaster.stellan.example/\", \"ldap://ldap.stellan.example/\"]",
        "queue_only_load = 8.0",
        "connections_per_second = 5",
        "via = [\"10.4.3.1:25\"]",
        "address = \"unix:/var/spool/MIMEDefang/mimedefang.sock\"",
        "on_failure = \"tempfail\"",
    ] {
        assert!(text.contains(line), "{line}\n---\n{text}");
    }
    // The pitfalls: what has no effect gets none, and changes are reported.
    assert!(matches!(
        fate(&import, "To:pager")[..],
        [Fate::Meaningless { .. }]
    ));
    assert!(fate(&import, "confAUTH_MECHANISMS").iter().any(
        |fate| matches!(fate, Fate::Changed { difference, .. } if difference.contains("TRUST_AUTH_MECH"))
    ));
    assert!(matches!(
        fate(&import, "confRAND_FILE")[..],
        [Fate::Meaningless { .. }]
    ));
    let table = import
        .files
        .iter()
        .find(|file| file.path == "tables/access")
        .unwrap();
    assert!(
        table.text.contains("10.6.1.9\t\t\tREJECT\n") && !table.text.contains("pager"),
        "{}",
        table.text
    );
}

#[test]
fn the_office_moves_with_its_password_in_a_file() {
    let (files, import) = site("sendmail-office-smarthost");
    assert_complete(&files, &import);
    let secret = import.files.iter().find(|file| file.secret).unwrap();
    let password = secret.text.trim();
    assert!(!password.is_empty());
    let report = format!("{:?}", import.report.items());
    let text = import.config.text("");
    assert!(!report.contains(password) && !text.contains(password));
    let routes: Vec<&Section> = import.config.sections("route").collect();
    let last = routes.last().unwrap();
    assert_eq!(last.get("via"), Some(&Value::list(["smtp.provider.example:587"])));
    assert_eq!(last.get("tls"), Some(&Value::text("required")));
    assert!(text.contains("message_size_limit = \"15000000 B\""), "{text}");
}

#[test]
fn the_gateway_moves() {
    let (files, import) = site("sendmail-exchange-gateway");
    assert_complete(&files, &import);
    let text = import.config.text("");
    for line in [
        "alias_domains = [\"holding.example\", \"bramwell-trust.example\", \"shop-24.example\"]",
        "table = \"sendmail:/etc/mail/virtusertable\"",
        "via = [\"10.1.1.30:25\", \"10.1.1.31:25\"]",
        "via = [\"mx:mx2.grumpy.example:25\"]",
        "refuse = \"550 5.1.2 this company does not exist any more\"",
        "from = [\"@lab.bramwell-lab.example\"]",
        "recipient = [\"postmaster@\", \"abuse@\", \"abuse@bramwell.example\"]",
        "text = \"Mail from {address} refused - see http://lists.example/?{address}\"",
        "client = { not = [\"198.51.100.7\"] }",
        "connections = 2 ",
        "greeting_delay = \"1000ms\"",
        "recipients = 100",
    ] {
        assert!(text.contains(line), "{line}\n---\n{text}");
    }
    let table = import
        .files
        .iter()
        .find(|file| file.path == "tables/access")
        .unwrap();
    // OK only ends the search for one kind of line.
    assert!(
        table.text.contains("From:mailing@cyberspammer.example\tSKIP\n"),
        "{}",
        table.text
    );
    assert!(matches!(
        fate(&import, "confCOPY_ERRORS_TO")[..],
        [Fate::Meaningless { .. }]
    ));
}

#[test]
fn the_provider_moves() {
    let (files, import) = site("sendmail-isp-submission");
    assert_complete(&files, &import);
    let text = import.config.text("");
    for line in [
        "issuer = \"CN=Lanternet CA,O=Lanternet,C=DE\"",
        "subject = \"CN=branch7.lanternet.example,O=Lanternet,C=DE\"",
        "source_address = [\"192.0.2.41\"]",
        "hide_submitter = true",
        "least_bits = 0",
        "default_domain = \"lanternet.example\"",
        "fault = \"client_nameless\"",
        "fault = [\"helo_own\", \"helo_syntax\"]",
        "sender_mx = [\"127.0.0.0/8\", \"10.0.0.0/8\", \"0.0.0.0/32\"]",
        "trusted_users = [\"root\", \"daemon\"]",
        "never = [\"mx.old-appliance.example\", \"*.mx.old-appliance.example\"]",
    ] {
        assert!(text.contains(line), "{line}\n---\n{text}");
    }
}

/// A table of a site: its path and its text.
type Table = (&'static str, &'static str);

/// Small sites, for what the whole ones do not have: the `.mc` file and its tables, and lines expected in the result or the
/// report.
#[test]
fn lines_that_whole_sites_do_not_have() {
    let virtusertable = (
        "/etc/mail/virtusertable",
        "info@a.example ann\n@other.example bob\n",
    );
    let domaintable = ("/etc/mail/domaintable", "old.example new.example\n");
    let luser = "define(`LUSER_RELAY', `relay:hub.example')\n";
    #[rustfmt::skip]
    let cases: &[(&str, &str, &[Table], &str)] = &[
        ("LUSER_RELAY: a host",      luser,                                          &[],               "unknown_users = \"@hub.example\""),
        ("LUSER_RELAY: a user",      "define(`LUSER_RELAY', `local:lost')\n",        &[],               "unknown_users = \"lost\""),
        ("MAIL_HUB",                 "define(`MAIL_HUB', `[hub.example]')\n",        &[],               "local_recipients = \"any\""),
        ("domaintable",              "FEATURE(`domaintable')\n",                     &[domaintable],    "table = \"hash:tables/domains\""),
        ("foreign virtual users",    "LOCAL_DOMAIN(`a.example')\nFEATURE(`virtusertable')\n", &[virtusertable], "table = \"sendmail:tables/virtusertable\""),
        ("no MSA but with a port",   "FEATURE(`no_default_msa')\n",                  &[],               "address = \"0.0.0.0:25\""),
        ("dnsbl",                    "FEATURE(`dnsbl', `bl.example')\n",             &[],               "text = \"Rejected: {address} listed at bl.example\""),
        ("a list that says not now", "FEATURE(`dnsbl', `bl.example', `\"450 later\"')\n", &[],              "verdict = \"defer\"\ncode = 450\nstatus = \"4.7.1\"\ntext = \"later\""),
        ("no list of the revoked",   "define(`confCRL', `/crl.pem')\ndefine(`confCACERT', `/ca.pem')\ndefine(`confTLS_SRV_OPTIONS', `V')\ndefine(`confSERVER_CERT', `/c.pem')\n", &[], "certificate = \"/c.pem\""),
        ("revoked ones",             "define(`confCRL', `/crl.pem')\ndefine(`confCACERT', `/ca.pem')\n", &[], "client_crl = \"/crl.pem\""),
        ("hub by the ESMTP mailer",  "define(`MAIL_HUB', `esmtp:[127.0.0.1]')\ndefine(`ESMTP_MAILER_ARGS', `TCP $h 10024')\n", &[], "via = [\"127.0.0.1:10024\"]"),
        ("the old way to log in",    "define(`SMART_HOST', `isp.example')\ndefine(`confDEF_AUTH_INFO', `/etc/mail/info')\n", &[("/etc/mail/info", "joe\njoe@isp\nhush\nisp\nPLAIN LOGIN\n")], "login = \"joe@isp\"\npassword_file = \"secrets/isp.example.password\"\nmechanisms = [\"PLAIN\", \"LOGIN\"]"),
        ("trusted users by an option", "define(`confTRUSTED_USERS', `www listmgr')\n", &[],                "trusted_users = [\"root\", \"daemon\", \"www\", \"listmgr\"]"),
        ("LDAP routing",             "FEATURE(`ldap_routing')\nLDAPROUTE_DOMAIN(`a.example')\ndefine(`confLDAP_DEFAULT_SPEC', `-h l.example -b dc=example')\n", &[], "table = \"table:ldap-routing\""),
        ("LDAP routing: hosts",      "FEATURE(`ldap_routing')\ndefine(`confDOMAIN_NAME', `mx.a.example')\ndefine(`confLDAP_DEFAULT_SPEC', `-h l.example -b dc=example')\n", &[], "filter = \"(&(&(objectClass=inetLocalMailRecipient)(|(mailLocalAddress={key})(mailLocalAddress=@{key})))(!(mailHost=mx.a.example)))\""),
        ("LDAP routing: no others",  "FEATURE(`ldap_routing', `', `', `bounce')\nRELAY_DOMAIN(`a.example')\nLDAPROUTE_DOMAIN(`a.example')\ndefine(`confLDAP_DEFAULT_SPEC', `-h l.example -b dc=example')\n", &[], "relay_recipients = [\"table:ldap-routing\", \"table:ldap-routing-hosts\"]"),
        ("limited masquerade",       "MASQUERADE_AS(`a.example')\nMASQUERADE_DOMAIN(`b.example')\nFEATURE(`limited_masquerade')\n", &[], "domains = [\"b.example\"]"),
        ("a time that is too long",  "define(`confTO_CONNECT', `1h')\n",             &[],               "connect = \"600s\""),
        ("no certificates asked for", "define(`confCACERT', `/ca.pem')\ndefine(`confTLS_SRV_OPTIONS', `V')\ndefine(`confSERVER_CERT', `/c.pem')\n", &[], "certificate = \"/c.pem\""),
    ];
    for (shows, mc, tables, line) in cases {
        let mut folder = Folder::default();
        folder.0.extend(tables.iter().copied());
        let mc: &'static str = Box::leak(format!("{mc}MAILER(`smtp')\n").into_boxed_str());
        folder.0.insert("/etc/mail/sendmail.mc", mc);
        let import = import("/etc/mail/sendmail.mc", &folder).unwrap();
        let text = import.config.text("");
        assert!(text.contains(line), "{shows}: {line}\n---\n{text}");
        let is_told = |item: &Item| !matches!(&item.fate, Fate::Missing { remedy, .. } if remedy == UNREAD);
        assert!(import.report.items().iter().all(is_told), "{shows}");
    }
}

/// m4's output for a site yields the same import as the site's own file: the templates of a real sendmail, by the real m4.
#[test]
fn a_cf_says_what_its_mc_says() {
    for name in [
        "clinic-seed",
        "exchange-gateway",
        "isp-submission",
        "office-smarthost",
    ] {
        let (files, by_mc) = site(&format!("sendmail-{name}"));
        let text = made(&files.disk.read("/etc/mail/sendmail.mc").unwrap());
        let with_cf = Replaced {
            disk: &files.disk,
            cf: &text,
        };
        let by_cf = import("/etc/mail/sendmail.mc", &with_cf).unwrap();
        let plain = |import: &Import| -> Vec<String> {
            let text = import.config.text("");
            // The origins differ, and with them the order.
            let lines = text
                .lines()
                .map(|line| line.split(" #").next().unwrap_or_default().trim_end().to_owned());
            let mut lines: Vec<String> = lines
                .filter(|line| !line.is_empty() && !line.starts_with('#'))
                .collect();
            lines.sort();
            lines
        };
        let (by_mc, by_cf_lines) = (plain(&by_mc), plain(&by_cf));
        let lost: Vec<&String> = by_mc.iter().filter(|line| !by_cf_lines.contains(line)).collect();
        let more: Vec<&String> = by_cf_lines.iter().filter(|line| !by_mc.contains(line)).collect();
        // A .cf contains sendmail's own defaults.
        let usual = ["[retry]", "expire_after = \"5d\"", "warn_after = \"4h\""];
        let allowed = [allowed(name), &usual].concat();
        assert!(
            lost.iter()
                .all(|line| allowed.iter().any(|start| line.starts_with(start))),
            "{name}: lost {lost:#?}"
        );
        assert!(
            more.iter()
                .all(|line| allowed.iter().any(|start| line.starts_with(start))),
            "{name}: more {more:#?}"
        );
    }
}

/// Lines that may differ: what the templates of Debian's sendmail add, or what the rules of a `.cf` express in a form that is not
/// parsed.
fn allowed(name: &str) -> &'static [&'static str] {
    match name {
        // The text of the refusal is in the rules.
        "exchange-gateway" => &["text = \"Mail from", "text = \"Rejected"],
        _ => &[],
    }
}

/// A site whose `.mc` file is lost.
struct Replaced<'a> {
    disk: &'a Disk,
    cf: &'a str,
}

impl Files for Replaced<'_> {
    fn read(&self, path: &str) -> Result<String, FileError> {
        match path {
            "/etc/mail/sendmail.mc" => Err(FileError::Missing),
            "/etc/mail/sendmail.cf" => Ok(self.cf.to_owned()),
            _ => self.disk.read(path),
        }
    }
}

/// m4's output for a `.mc` file with the templates that `scripts/fetch-sendmail` unpacks.
fn made(mc: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |target| root.join(target));
    let templates = target.join("sendmail/usr/share/sendmail/cf");
    assert!(
        templates.exists(),
        "{} is missing: run scripts/fetch-sendmail",
        templates.display()
    );
    let templates = templates.canonicalize().unwrap().display().to_string();
    let mc = mc
        .replace("/usr/share/sendmail/cf", &templates)
        .replace("/usr/share/sendmail-cf", &templates);
    let mut child = Command::new("m4")
        .arg(format!("-D_CF_DIR_={templates}/"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(mc.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn passwords_of_access_and_sasl_are_not_told() {
    let mc = "FEATURE(`access_db')dnl\ndefine(`confAUTH_MECHANISMS', `PLAIN')dnl\nMAILER(`smtp')dnl\n";
    let access = "AuthInfo:relay.example \"U:x\" \"P:hush1\"\nauthinfo:two.example\t\"P:hush2\"\n\
                  AuthInfo:three.example\"P:hush3\"\nOther:host hush4\nConnect:192.0.2.1 REJECT\nIPv6:2001:db8 REJECT\n";
    let sasl = "pwcheck_method: auxprop\nsql_passwd: hush5\nldapdb_pw hush6\n";
    let files = [
        ("/etc/mail/sendmail.mc", mc),
        ("/etc/mail/access", access),
        ("/etc/sasl2/Sendmail.conf", sasl),
    ];
    let import = import("/etc/mail/sendmail.mc", &Folder(files.into_iter().collect())).unwrap();
    assert!(!format!("{import:?}").contains("hush"), "{import:?}");
    for what in [
        "AuthInfo of relay.example",
        "AuthInfo of two.example",
        "Other:host",
        "sql_passwd",
    ] {
        assert!(
            matches!(fate(&import, what)[..], [Fate::Missing { .. }]),
            "{what}"
        );
    }
    let table = import
        .files
        .iter()
        .find(|file| file.path == "tables/access")
        .unwrap();
    assert_eq!(table.text, "Connect:192.0.2.1 REJECT\nIPv6:2001:db8 REJECT\n");
}
