//! Whole sites: what comes out, and that no line is passed over.

use std::path::Path;

use super::*;
use crate::config::Section;
use crate::origin::testing::Disk;

fn site(name: &str) -> (Disk, Import) {
    let disk = Disk(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/sites")
            .join(name),
    );
    let import = import("/etc/mail/sendmail.mc", &disk).unwrap();
    (disk, import)
}

fn assert_complete(disk: &Disk, import: &Import, files: &[&str]) {
    for file in files {
        let text = disk.read(file).unwrap();
        let is_active = |line: &str| !line.trim().is_empty() && !line.starts_with('#');
        assert_eq!(
            import.report.passed_over(file, &text, &is_active),
            [0; 0],
            "{file}"
        );
    }
    // Lines of the .mc file that call something; text in diversions and behind dnl is a comment.
    let text = disk.read("/etc/mail/sendmail.mc").unwrap();
    let is_active = |line: &str| {
        [
            "define(", "FEATURE(", "MAILER(", "INPUT_", "DAEMON_", "MASQ", "OSTYPE(",
        ]
        .iter()
        .any(|start| line.starts_with(start))
    };
    assert_eq!(
        import
            .report
            .passed_over("/etc/mail/sendmail.mc", &text, &is_active),
        [0; 0]
    );
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
fn the_clinic_moves() {
    let (disk, import) = site("sendmail-clinic-seed");
    let tables =
        ["access", "aliases", "local-host-names", "mailertable"].map(|name| format!("/etc/mail/{name}"));
    let mut files: Vec<&str> = tables.iter().map(String::as_str).collect();
    files.extend([
        "/etc/saslauthd.conf",
        "/etc/default/saslauthd",
        "/usr/lib/sasl2/Sendmail.conf",
    ]);
    assert_complete(&disk, &import, &files);
    let text = import.config.text("");
    for line in [
        "local_domains = [\"stellan.example\", \"challenger.stellan.example\", \"old-stellan.example\"]",
        "relay_domains = [\"sister-clinic.example\"]",
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
    // The traps: what has no effect gets none, what changes is told.
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
    assert_eq!(import.files[0].text, "10.6.1.9\t\t\tREJECT\n");
}

#[test]
fn the_office_moves_with_its_password_in_a_file() {
    let (disk, import) = site("sendmail-office-smarthost");
    assert_complete(
        &disk,
        &import,
        &[
            "/etc/mail/access",
            "/etc/mail/local-host-names",
            "/etc/mail/authinfo",
            "/etc/mail/mailertable",
            "/etc/aliases",
        ],
    );
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
