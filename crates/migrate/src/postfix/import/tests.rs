//! Whole sites: the result, and that no line is ignored.

use std::path::Path;

use super::*;
use crate::config::Value;
use crate::origin::testing::{Disk, Folder};
use crate::report::{Fate, Weight};

const SITES: [&str; 4] = [
    "postfix-office-satellite",
    "postfix-exchange-gateway",
    "postfix-hosting-mysql",
    "postfix-club-lists",
];

fn site(name: &str) -> (Disk, Import) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/sites")
        .join(name);
    let disk = Disk(folder);
    let import = import("/etc/postfix/main.cf", &disk).unwrap();
    (disk, import)
}

fn of_main(text: &'static str) -> Import {
    let files = Folder([("/etc/postfix/main.cf", text)].into_iter().collect());
    import("/etc/postfix/main.cf", &files).unwrap()
}

fn fates<'a>(import: &'a Import, what: &str) -> Vec<&'a Fate> {
    let items = import.report.items().iter();
    items
        .filter(|item| item.what.contains(what))
        .map(|item| &item.fate)
        .collect()
}

/// The files of a site that the import reads, by their paths on the site.
fn files_of(name: &str) -> Vec<String> {
    fn walk(folder: &Path, root: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, found);
            } else {
                found.push(format!("/{}", path.strip_prefix(root).unwrap().display()));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/sites")
        .join(name);
    let mut found = Vec::new();
    for folder in ["etc", "home", "usr", "var"] {
        if root.join(folder).is_dir() {
            walk(&root.join(folder), &root, &mut found);
        }
    }
    found.sort();
    found
}

#[test]
fn no_line_is_passed_over() {
    // Files to which the site does not refer, or only for others: Dovecot's own queries, a dump, a user's file.
    // A transport table in a database is in the report as a whole.
    let not_read = [
        "/etc/postfix/sql/transport.cf",
        "/etc/dovecot/dovecot-sql.conf.ext",
        "/var/backups/mailserver.sql",
        "/home/ines/.forward+plans",
    ];
    for name in SITES {
        let (disk, import) = site(name);
        for file in files_of(name) {
            if not_read.contains(&file.as_str()) {
                continue;
            }
            let text = disk.read(&file).unwrap();
            let is_active = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
            let passed_over = import.report.passed_over(&file, &text, &is_active);
            assert_eq!(passed_over, [0; 0], "{name}: {file}");
        }
        let unmade = fates(&import, "").into_iter().filter(|fate| {
            matches!(fate, Fate::Meaningless { why } if why.starts_with("it has no effect beside the other settings"))
        });
        assert_eq!(
            unmade.count(),
            0,
            "{name}: a parameter that some part should have told of"
        );
    }
}

/// The expected results are next to the sites; after an intended change, copy what the test has written.
#[test]
fn sites_move_in() {
    for name in SITES {
        let (_, import) = site(name);
        let made = import.config.text("");
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/expected");
        let path = folder.join(format!("{name}.toml"));
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        if made != expected {
            let other = std::env::temp_dir().join(format!("{name}.toml"));
            std::fs::write(&other, &made).unwrap();
            panic!(
                "{} is not what is made now: see {}",
                path.display(),
                other.display()
            );
        }
    }
}

#[test]
fn passwords_are_in_files_of_their_own_alone() {
    for (name, passwords) in [
        (
            "postfix-office-satellite",
            &["Spring-Catalogue", "key-0c9", "bridge2river"][..],
        ),
        ("postfix-hosting-mysql", &["read-only-9"][..]),
    ] {
        let (_, import) = site(name);
        let report = format!("{:?}", import.report.items());
        let text = import.config.text("");
        for password in passwords {
            assert!(
                !report.contains(password) && !text.contains(password),
                "{name}: {password}"
            );
            let files: Vec<_> = import
                .files
                .iter()
                .filter(|file| file.text.contains(password))
                .collect();
            assert!(
                !files.is_empty() && files.iter().all(|file| file.secret),
                "{name}: {password}"
            );
        }
    }
}

#[test]
fn tables_keep_what_they_can_say() {
    let (_, import) = site("postfix-exchange-gateway");
    let text = |path: &str| {
        let file = import.files.iter().find(|file| file.path == path);
        file.unwrap_or_else(|| panic!("no {path}")).text.clone()
    };
    let transport = text("tables/transport");
    assert!(
        transport.contains("\ndead.example\t\terror:5.1.2 out of business\n"),
        "{transport}"
    );
    assert!(transport.contains("# touchy.example\t\tslow:"), "{transport}");
    let recipients = text("tables/recipient_access");
    assert!(
        recipients.contains("\noffice@calderon.example\t\tgreylist_only_dialup, permit\n"),
        "{recipients}"
    );
    let (_, club) = site("postfix-club-lists");
    let aliases = &club
        .files
        .iter()
        .find(|file| file.path == "aliases")
        .unwrap()
        .text;
    assert!(
        aliases.contains("newsletter: :include:lists/newsletter.txt\n"),
        "{aliases}"
    );
    assert!(
        aliases.contains("# observatory: \"|/usr/local/bin/dome --mail\"\n"),
        "{aliases}"
    );
    assert_eq!(club.new_secrets, ["secrets/srs.secret"]);
}

/// Pitfalls that occur in none of the sites.
#[test]
fn traps() {
    let main = "compatibility_level = 3.6\nmyhostname = mx.example.org\nmynetworks = 127.0.0.0/8\n\
        smtpd_sender_restrictions = check_sender_access inline:{ friend@a.example=OK }, reject_unknown_sender_domain\n\
        smtpd_recipient_restrictions = warn_if_reject reject_rbl_client bl.example, reject_unverified_sender\n\
        policy = 1\nsoft_bounce = yes\nsmtp_fallback_relay = [other.example]\n";
    let import = of_main(main);
    let text = import.config.text("");
    for line in [
        // What one list accepts, the next one may still refuse.
        "judge = \"sender restrictions\"\naccept_ends = \"class\"",
        "class = \"sender restrictions\"\nverdict = \"table\"",
        "dns_list = [\"bl.example\"]\nverdict = \"note\"",
        "status = \"4.1.8\"",
    ] {
        assert!(text.contains(line), "{line}\n---\n{text}");
    }
    for what in ["reject_unverified_sender", "soft_bounce", "master.cf"] {
        let fates = fates(&import, what);
        assert!(
            fates.iter().any(|fate| matches!(
                fate,
                Fate::Missing {
                    weight: Weight::Mail,
                    ..
                }
            )),
            "{what}: {fates:?}"
        );
    }
    assert!(matches!(
        fates(&import, "policy")[..],
        [Fate::Missing {
            weight: Weight::Detail,
            ..
        }]
    ));
}

#[test]
fn passwords_classes_and_defaults_of_old() {
    let import = of_main(
        "myhostname = mx.example.org\nmynetworks = 10.0.0.0/8\nsmtpd_relay_restrictions =\nrelayhost = [relay.example]\n\
         smtp_sasl_auth_enable = yes\nsmtp_sasl_password_maps = static:joe:s3cret\nsmtp_tls_security_level = secure\n\
         smtpd_tls_security_level = encrypt\nsmtpd_restriction_classes = lax, unused, unusedtoo\nlax = PERMIT\n\
         unused = reject\nunusedtoo = unused\nsmtpd_recipient_restrictions = permit_mynetworks, lax, REJECT_unknown_recipient_domain\n",
    );
    let text = import.config.text("");
    for line in [
        "tls = \"required\"\nlogin = \"relay host\"\n",
        "login = \"joe\"\n",
        "tls = \"none\"\nverdict = \"refuse\"\ncode = 530\n",
        "class = \"lax\"\nverdict = \"accept\"\n",
        "fault = \"recipient_unknown\"\n",
        "networks = [\"10.0.0.0/8\"]",
    ] {
        assert!(text.contains(line), "{line}\n---\n{text}");
    }
    assert!(
        !text.contains("networks = []")
            && !text.contains("login_to_unverified_host")
            && !text.contains("unused"),
        "{text}"
    );
    assert!(!text.contains("s3cret") && !format!("{:?}", import.report.items()).contains("s3cret"));
}

#[test]
fn a_table_of_a_kind_that_is_not_asked_is_in_the_report() {
    let import = of_main(
        "myhostname = mx.example.org\nvirtual_alias_maps = memcache:/etc/postfix/cache.cf, hash:/etc/postfix/none\nalias_maps = nis:mail.aliases\n",
    );
    for what in [
        "virtual_alias_maps: memcache",
        "alias_maps: nis",
        "virtual_alias_maps",
    ] {
        assert!(
            fates(&import, what)
                .iter()
                .any(|fate| matches!(fate, Fate::Missing { .. })),
            "{what}"
        );
    }
}

proptest::proptest! {
    /// Whatever the files say, the import terminates, and each line of main.cf is reported.
    #[test]
    fn whatever_main_cf_says_is_told_of(lines in proptest::collection::vec(
        (proptest::sample::select(ROWS).prop_map(|row| row.name), "[ -~]{0,40}"), 0..12)) {
        let text: String = lines.iter().map(|(name, value)| format!("{name} = {}\n", value.trim())).collect();
        let text: &'static str = Box::leak(text.into_boxed_str());
        let import = of_main(text);
        let is_active = |line: &str| !line.trim().is_empty() && !line.starts_with('#');
        let passed_over = import.report.passed_over("/etc/postfix/main.cf", text, &is_active);
        proptest::prop_assert_eq!(passed_over, Vec::<u32>::new());
    }
}

use proptest::strategy::Strategy as _;

#[test]
fn mail_of_programs_is_taken() {
    let import = of_main("myhostname = mx.example.org\n");
    assert!(import.config.text("").contains("[local]\nmode = \"0666\""));
    let import = of_main("myhostname = mx.example.org\nauthorized_submit_users =\n");
    assert!(!import.config.text("").contains("[local]"));
    assert!(matches!(
        fates(&import, "authorized_submit_users")[..],
        [Fate::Missing {
            weight: Weight::Mail,
            ..
        }]
    ));
    let import = of_main("myhostname = mx.example.org\nauthorized_submit_users = static:anyone\n");
    assert!(import.config.text("").contains("[local]"));
    assert!(matches!(
        fates(&import, "authorized_submit_users")[..],
        [Fate::Carried { .. }]
    ));
    let (_, import) = site("postfix-office-satellite");
    assert!(matches!(fates(&import, "pickup")[..], [Fate::Carried { .. }]));
}

#[test]
fn programs_in_aliases_have_senders_try_again() {
    let files = Folder(
        [
            (
                "/etc/postfix/main.cf",
                "myhostname = mx.example.org\nmydestination = example.org\nalias_maps = hash:/etc/aliases\n",
            ),
            (
                "/etc/aliases",
                "list: |/bin/list\nboth: ann, |/bin/x\nfile: /var/x\ngone: /dev/null\n\"a b\": |/bin/x\n",
            ),
        ]
        .into_iter()
        .collect(),
    );
    let import = import("/etc/postfix/main.cf", &files).unwrap();
    let text = import.config.text("");
    assert!(
        text.contains("from = [\"list@example.org\", \"file@example.org\"]\nrefuse = \"450 4.3.0"),
        "{text}"
    );
    let remedy = |what: &str| match fates(&import, what)[..] {
        [Fate::Missing { remedy, .. }] => remedy.contains("hear 450"),
        _ => panic!("{what}"),
    };
    assert!(remedy("alias list"));
    assert!(!remedy("alias both"));
    assert!(!remedy("alias a b"));
}

#[test]
fn the_greeting_does_not_name_postfix() {
    for (banner, greeting) in [
        ("$myhostname ESMTP $mail_name", "{hostname}"),
        ("$myhostname ESMTP ${mail_name} (Debian)", "{hostname} (Debian)"),
        ("$myhostname ESMTP ready", "{hostname} ready"),
    ] {
        let text = format!("myhostname = mx.example.org\nsmtpd_banner = {banner}\n");
        let import = of_main(text.leak());
        let set = import
            .config
            .sections("")
            .find_map(|top| top.get("greeting").cloned());
        assert_eq!(set, Some(Value::text(greeting)), "{banner}");
    }
}

/// Tables whose results refer to further tables, which lead back to the first.
#[test]
fn a_table_that_leads_back_to_itself_ends() {
    let main = "myhostname = a.example\nsmtpd_recipient_restrictions = check_recipient_access hash:/etc/postfix/one, reject\n";
    let files = [
        ("/etc/postfix/main.cf", main),
        (
            "/etc/postfix/one",
            "a.example check_sender_access hash:/etc/postfix/two\n",
        ),
        (
            "/etc/postfix/two",
            "b.example check_recipient_access hash:/etc/postfix/one\n",
        ),
    ];
    let import = import("/etc/postfix/main.cf", &Folder(files.into_iter().collect())).unwrap();
    let told = fates(&import, "check_recipient_access hash:/etc/postfix/one");
    let leads_back =
        |fate: &&&Fate| matches!(fate, Fate::Missing { remedy, .. } if remedy.contains("leads back"));
    assert_eq!(told.iter().filter(leads_back).count(), 1, "{told:?}");
}

#[test]
fn what_says_nothing_is_not_written() {
    let files = |auth: &'static str| {
        let main = format!(
            "myhostname = mx.example.org\nmydestination = example.org\nsmtpd_sasl_auth_enable = yes\n{auth}\
             smtpd_recipient_restrictions = check_recipient_access hash:/etc/postfix/none, reject_unauth_destination\n"
        );
        let main: &'static str = main.leak();
        let files = [
            ("/etc/postfix/main.cf", main),
            ("/etc/postfix/none", "# no rows\n"),
        ];
        import("/etc/postfix/main.cf", &Folder(files.into_iter().collect())).unwrap()
    };
    let with = files("smtpd_sasl_type = dovecot\nsmtpd_sasl_path = /run/dovecot/auth\n");
    let text = with.config.text("");
    assert!(text.contains("plaintext = \"always\""), "{text}");
    assert!(with.files.iter().all(|file| file.path != "tables/none"));
    // Cyrus SASL without its settings: nothing knows passwords.
    let without = files("");
    let text = without.config.text("");
    assert!(!text.contains("plaintext"), "{text}");
}

/// The text of the report and of all files that are not secret.
fn said(import: &Import) -> String {
    let files = import.files.iter().filter(|file| !file.secret);
    let texts = files.map(|file| file.text.clone());
    format!("{:?}{:?}", import.report.items(), texts.collect::<Vec<_>>())
}

/// A site where `/home/bob/members` is a link, and `/etc/aliases` is not world-readable.
struct Linked(Folder);

impl Files for Linked {
    fn read(&self, path: &str) -> Result<String, FileError> {
        self.0.read(path)
    }

    fn read_unlinked(&self, path: &str) -> Result<String, FileError> {
        match path {
            "/home/bob/members" => Err(FileError::Unreadable("a link".to_owned())),
            _ => self.0.read(path),
        }
    }

    fn is_private(&self, path: &str) -> bool {
        path == "/etc/aliases"
    }
}

#[test]
fn lists_are_not_read_through_links_nor_repeated() {
    let files = [
        ("/etc/postfix/main.cf", "alias_maps = hash:/etc/aliases\n"),
        (
            "/etc/aliases",
            "club: :include:/home/bob/members\nband: :include:/home/ann/band\n",
        ),
        ("/home/bob/members", "root:$6$hash:19000\n"),
        ("/home/ann/band", "# us\nhoney@example.net\nbea@example.net\n"),
    ];
    let import = import(
        "/etc/postfix/main.cf",
        &Linked(Folder(files.into_iter().collect())),
    )
    .unwrap();
    assert!(!format!("{import:?}").contains("$6$"), "{import:?}");
    assert!(matches!(fates(&import, "alias club")[..], [Fate::Missing { .. }]));
    assert!(matches!(
        fates(&import, "list band, 3 lines")[..],
        [Fate::Carried { .. }]
    ));
    assert!(!format!("{:?}", import.report.items()).contains("honey"));
    let secret = |path: &str| import.files.iter().find(|file| file.path == path).unwrap().secret;
    assert!(secret("aliases"));
    assert!(!secret("lists/band"));
}

#[test]
fn files_of_one_name_are_kept_apart() {
    let files = [
        (
            "/etc/postfix/main.cf",
            "alias_maps = hash:/etc/aliases\nmynetworks = 10.0.0.0/8 10.1.0.0/16 192.0.2.0/24 198.51.100.0/24 203.0.113.0/24\n\
             smtpd_sasl_auth_enable = yes\nsmtpd_client_restrictions = permit_mynetworks, check_client_access hash:/etc/postfix/mynetworks\n\
             smtpd_sender_restrictions = permit_mynetworks\n",
        ),
        ("/etc/postfix/mynetworks", "bad.example REJECT\n"),
        (
            "/etc/aliases",
            "club: :include:/srv/club/members\nband: :include:/srv/band/members\nboth: :include:/srv/club/members\n",
        ),
        ("/srv/club/members", "ann@example.net\n"),
        ("/srv/band/members", "bea@example.net\n"),
    ];
    let import = import("/etc/postfix/main.cf", &Folder(files.into_iter().collect())).unwrap();
    let text = |path: &str| {
        let file = import.files.iter().find(|file| file.path == path);
        file.map(|file| (file.text.as_str(), file.secret))
    };
    let aliases = text("aliases").unwrap().0;
    for line in [
        "club: :include:lists/members\n",
        "band: :include:lists/2-members\n",
        "both: :include:lists/members\n",
    ] {
        assert!(aliases.contains(line), "{aliases}");
    }
    assert_eq!(text("lists/members"), Some(("ann@example.net\n", false)));
    assert_eq!(text("lists/2-members"), Some(("bea@example.net\n", false)));
    // What main.cf says goes to the readers of the configuration; a separate table keeps its permissions.
    let networks: Vec<_> = import
        .files
        .iter()
        .filter(|file| file.path.contains("mynetworks"))
        .collect();
    assert_eq!(networks.len(), 2, "{}", import.config.text(""));
    for file in networks {
        assert_eq!(file.secret, file.text.contains("192.0.2.0/24"), "{file:?}");
    }
}

#[test]
fn passwords_of_dovecot_are_not_told() {
    let dovecot = "doveadm_password = hush1\nssl_key_password=hush2\npassdb {\n  driver = static\n  args = password=hush3\n}\n";
    let files = [
        (
            "/etc/postfix/main.cf",
            "smtpd_sasl_auth_enable = yes\nsmtpd_sasl_type = dovecot\nsmtpd_sasl_path = private/auth\n",
        ),
        ("/etc/dovecot/dovecot.conf", dovecot),
    ];
    let import = import("/etc/postfix/main.cf", &Folder(files.into_iter().collect())).unwrap();
    assert_eq!(fates(&import, "doveadm_password").len(), 1);
    assert!(!said(&import).contains("hush"), "{}", said(&import));
}

#[test]
fn programs_take_mail_of_domains_that_are_names() {
    let master = "vdeliver unix - n n - - pipe\n  flags=R user=vmail argv=/usr/bin/deliver ${recipient}\n";
    for (domains, is_routed) in [("a.example, b.example", true), ("a.example, !b.example", false)] {
        let main = format!(
            "myhostname = mx.example.org\nmydestination = example.org\nvirtual_transport = vdeliver\nvirtual_mailbox_domains = {domains}\n"
        );
        let main: &'static str = main.leak();
        let files = [("/etc/postfix/main.cf", main), ("/etc/postfix/master.cf", master)];
        let import = import("/etc/postfix/main.cf", &Folder(files.into_iter().collect())).unwrap();
        let text = import.config.text("");
        let route = "domains = [\"a.example\", \"b.example\"]\nto = \"pipe\"";
        assert_eq!(text.contains(route), is_routed, "{text}");
        assert!(!text.contains("!b.example"), "{text}");
    }
}

#[test]
fn hosts_known_by_fingerprints() {
    let pin = "3d".repeat(32);
    let policy: &'static str =
        format!("a.example fingerprint match={pin}\nb.example fingerprint match=00:11\n").leak();
    let main = "myhostname = mx.example.org\nsmtp_tls_fingerprint_digest = sha256\nsmtp_tls_policy_maps = hash:/etc/postfix/policy\n";
    let files = [("/etc/postfix/main.cf", main), ("/etc/postfix/policy", policy)];
    let import = import("/etc/postfix/main.cf", &Folder(files.into_iter().collect())).unwrap();
    let text = import.config.text("");
    let route =
        format!("domains = [\"a.example\"]\nto = \"mx\"\ntls = \"required\"\nfingerprints = [\"{pin}\"]");
    assert!(text.contains(&route), "{text}");
    assert_eq!(text.matches("fingerprints =").count(), 1, "{text}");
    let told = fates(&import, "fingerprint");
    let is_missing =
        |fate: &&&Fate| matches!(fate, Fate::Missing { remedy, .. } if remedy.contains("postern probe"));
    assert_eq!(told.iter().filter(is_missing).count(), 1, "{told:?}");
}

#[test]
fn senders_that_canonical_maps_have_exist() {
    let main = "myhostname = mx.example.org\nmydestination = example.org\nsmtpd_reject_unlisted_sender = yes\n\
        sender_canonical_maps = hash:/etc/postfix/canonical\n";
    let files = [
        ("/etc/postfix/main.cf", main),
        ("/etc/postfix/canonical", "old@example.org new@example.org\n"),
    ];
    let import = import("/etc/postfix/main.cf", &Folder(files.into_iter().collect())).unwrap();
    let text = import.config.text("");
    let rule = "fault = \"sender_unlisted\"\nsender = { not = [\"hash:tables/canonical\"] }";
    assert!(text.contains(rule), "{text}");
}

#[test]
fn users_without_an_account_are_told_of_beside_an_agent() {
    let import = of_main(
        "myhostname = mx.example.org\nmydestination = example.org\nmailbox_command = procmail -a \"$EXTENSION\"\n\
         fallback_transport = smtp:[old.example.org]\n",
    );
    assert!(
        import
            .config
            .text("")
            .contains("agent = [\"/usr/bin/procmail\", \"-a\", \"{detail}\"]")
    );
    let told = fates(&import, "fallback_transport");
    assert!(
        matches!(told[..], [Fate::Missing { remedy, .. }] if remedy.contains("unknown_users")),
        "{told:?}"
    );
}
