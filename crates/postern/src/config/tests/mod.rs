//! Mistakes in configurations: each is found, at its place, with a remedy, and none hides another.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use postern_policy::admission::{AdmissionSettings, PoolShares};
use tempfile::TempDir;

use super::document::read;
use super::problem::Problems;
use super::read::{KeyInfo, Table};
use super::sources::Sources;
use super::*;

mod fragments;
mod mistakes;
mod tables;

/// A configuration without mistakes and without TLS, to which lines are added.
const PLAIN: &str = "hostname = \"mx.example.org\"\nstate_dir = \"state\"\n";
const LISTENER: &str = "[[listener]]\naddress = \"127.0.0.1:2525\"\n";

/// A folder with a configuration.
struct Site {
    folder: TempDir,
}

impl Site {
    fn new(config: &str) -> Self {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("postern.toml"), config).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str, content: &str, mode: u32) -> &Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    /// Makes `certs/NAME.crt` and `.key` for these names, and `certs/ca.crt`.
    fn certificate(&self, name: &str, names: &[&str]) -> &Self {
        self.certificate_for(name, names, 100)
    }

    /// The same, valid for that many days.
    fn certificate_for(&self, name: &str, names: &[&str], days: u32) -> &Self {
        use postern_net::ca::{Authority, AuthorityRequest, CertificateRequest};
        use postern_net::file::Existing;
        let now = jiff::Timestamp::now();
        fs::create_dir_all(self.path("certs")).unwrap();
        let authority = Authority::create(&AuthorityRequest::new("Test"), now).unwrap();
        let save = |credentials: &postern_net::ca::Credentials, name: &str| {
            let (certificate, key) = (
                self.path(&format!("certs/{name}.crt")),
                self.path(&format!("certs/{name}.key")),
            );
            credentials
                .save(&certificate, &key, None, Existing::Replace)
                .unwrap();
        };
        save(authority.credentials(), "ca");
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let request = CertificateRequest {
            days,
            ..CertificateRequest::new(names)
        };
        save(&authority.issue(&request, now).unwrap(), name);
        self
    }

    fn load(&self) -> Result<(Config, Report), Report> {
        load(&self.path("postern.toml"))
    }

    /// All that was found, as `line: severity: title | label | remedy`, with the folder's path removed.
    fn found(&self) -> Vec<String> {
        let report = match self.load() {
            Ok((_, report)) | Err(report) => report,
        };
        let folder = format!("{}/", self.folder.path().display());
        let line = |problem: problem::JsonProblem<'_>| {
            let value = serde_json::to_value(problem).unwrap();
            let text = |name: &str| value[name].as_str().unwrap_or_default().replace(&folder, "");
            format!(
                "{}: {}: {} | {} | {}",
                value["line"],
                text("severity"),
                text("problem"),
                text("why"),
                text("remedy")
            )
        };
        report.json().into_iter().map(line).collect()
    }
}

/// The problems of a configuration made from `PLAIN`, a listener and these lines.
fn found_in(lines: &str) -> Vec<String> {
    Site::new(&format!("{PLAIN}{lines}\n{LISTENER}")).found()
}

#[test]
fn a_plain_configuration_has_no_mistakes() {
    assert_eq!(found_in(""), [""; 0]);
}

#[test]
fn a_value_that_cannot_be_read_is_not_missing_besides() {
    #[rustfmt::skip]
    let cases = [
        // what the case shows           lines                                                            the one mistake
        ("a text in place of a list",     "[[route]]\ndomains = [\"*\"]\nvia = \"mx.example\"",           "5: error: `via` in [[route]] has the wrong type"),
        ("a list in place of a text",     "[[http]]\naddress = [\"127.0.0.1:1\"]",                         "4: error: `address` in [[http]] has the wrong type"),
        ("a value that is not valid",     "[[route]]\ndomains = [\"*\"]\nto = \"smarthost\"",             "5: error: `to` in [[route]] has an invalid value"),
        ("a table that is complete else", "[[login]]\nname = \"isp\"\nlogin = \"a\"\npassword_file = 1",    "6: error: `password_file` in [[login]] has the wrong type"),
    ];
    for (shows, lines, mistake) in cases {
        let found = found_in(lines);
        let errors: Vec<&String> = found.iter().filter(|one| one.contains(" error: ")).collect();
        assert!(
            errors.len() == 1 && errors[0].starts_with(mistake),
            "{shows}: {found:?}"
        );
    }
}

#[test]
fn listeners_collide() {
    let config = "[[listener]]\nname = \"a\"\naddress = \"0.0.0.0:2525\"\n[[listener]]\nname = \"a\"\naddress = \"127.0.0.1:2525\"\n";
    let found = Site::new(&format!("{PLAIN}{config}")).found();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].starts_with("7: error: two listeners are named \"a\""),
        "{found:?}"
    );
    assert!(
        found[1].starts_with("8: error: two listeners on 127.0.0.1:2525"),
        "{found:?}"
    );
}

#[test]
fn a_file_without_listeners_or_names_says_so() {
    let found = Site::new("hostname = \"mx.example.org\"\n").found();
    assert!(found[0].contains("`listener` is missing"), "{found:?}");
    let found = Site::new("").found();
    assert!(!found.is_empty());
}

#[test]
fn all_mistakes_are_shown_at_once() {
    let config = "\
hostname = \"mx\"
adress = 1
local_domains = [\"a..b\", \"fine.example\", 3]
[[listener]]
address = \"127.0.0.1\"
role = \"mix\"
[limits]
recipients = 1
[[directory]]
kind = \"ldap\"
[tls]
certificate = \"x\"
";
    let found = Site::new(config).found();
    let places: Vec<&str> = found.iter().filter_map(|line| line.split(": ").next()).collect();
    assert_eq!(
        places,
        ["1", "2", "3", "3", "5", "6", "8", "9", "9", "11", "12"],
        "{found:#?}"
    );
}

#[test]
fn a_mistake_hides_and_makes_no_other() {
    #[rustfmt::skip]
    let cases: &[(&str, &str, &[&str])] = &[
        // what the case shows              lines 3 and on                                             found, by line
        ("a bad one of a list",             "[retry]\nintervals = [\"2\"]",                             &["4: error: `intervals`"]),
        ("a bad hop",                       "[[route]]\ndomains = [\"*\"]\nvia = [\"a:b:c\"]",           &["5: error: `via`"]),
        ("a bad server",                    "[[directory]]\nkind = \"ldap\"\nsearch_base = \"dc=x\"\nservers = [\"x\"]", &["6: error: `servers`"]),
        ("two slips apart",                 "aliases = a\nprivacy = []\ngreeting = c",                &["3: error: not TOML", "5: error: not TOML"]),
        ("a slip and a mistake",            "colour = 1\naliases = a",                                 &["3: error: unknown key", "4: error: not TOML"]),
    ];
    for (shows, lines, want) in cases {
        let found = found_in(lines);
        assert_eq!(found.len(), want.len(), "{shows}: {found:#?}");
        for (found, want) in found.iter().zip(*want) {
            assert!(found.starts_with(want), "{shows}: {found}");
        }
    }
    // An open quote makes everything below it wrong: that is one mistake.
    let found = Site::new("hostname = \"a.b\"\nlocal_domains = [\"x\n[[listener\naddress=1\n").found();
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].starts_with("2: error: not TOML"), "{found:?}");
}

/// What an operator sees, literally.
#[test]
fn the_display_points_at_the_text() {
    let site = Site::new(
        "hostname = \"mx.example.org\"\nmesage_size_limit = \"1 MiB\"\n[[listener]]\naddress = \"127.0.0.1:2525\"\n",
    );
    let report = site.load().err().unwrap();
    let shown = report
        .render(false, 100)
        .replace(&site.path("").display().to_string(), "/etc/postern/");
    assert_eq!(
        shown,
        "\
error: unknown key `mesage_size_limit`
 --> /etc/postern/postern.toml:2:1
  |
2 | mesage_size_limit = \"1 MiB\"
  | ^^^^^^^^^^^^^^^^^ unknown in this table
  |
  = help: did you mean `message_size_limit`?

"
    );
    assert!(
        report.render(true, 100).contains("\u{1b}["),
        "coloured when asked for"
    );
    let line = report.lines().next().unwrap().1;
    assert!(
        line.ends_with(
            "postern.toml:2: unknown key `mesage_size_limit` (did you mean `message_size_limit`?)"
        ),
        "{line}"
    );
}

#[test]
fn certificates_are_tried() {
    let config = format!(
        "{PLAIN}{LISTENER}[tls]\ncertificate = \"certs/mx.crt\"\nkey = \"certs/mx.key\"\nclient_ca = \"certs/ca.crt\"\n"
    );
    let site = Site::new(&config);
    site.certificate("mx", &["mx.example.org"]);
    assert_eq!(site.found(), [""; 0]);

    // Accessible to others: refused, with the command that fixes it.
    fs::set_permissions(site.path("certs/mx.key"), fs::Permissions::from_mode(0o660)).unwrap();
    let found = site.found();
    assert_eq!(
        found,
        [
            "7: error: the key certs/mx.key is open to others (mode 660) | a secret that others may read | chmod 600 certs/mx.key"
        ]
    );

    // Another key.
    site.certificate("other", &["other.example.org"]);
    fs::copy(site.path("certs/other.key"), site.path("certs/mx.key")).unwrap();
    fs::set_permissions(site.path("certs/mx.key"), fs::Permissions::from_mode(0o600)).unwrap();
    let found = site.found();
    assert!(
        found[0].starts_with("7: error: the key in certs/mx.key does not belong"),
        "{found:?}"
    );

    // An invalid certificate, and one for another name.
    site.file("certs/mx.crt", "nothing", 0o644);
    assert!(
        site.found()[0].starts_with("6: error: no certificate in"),
        "{:?}",
        site.found()
    );
    site.certificate("mx", &["other.example.org"]);
    assert!(
        site.found()[0].starts_with("6: warning: no certificate is valid for mx.example.org"),
        "{:?}",
        site.found()
    );
}

#[test]
fn certificates_that_end_soon_are_warned_of() {
    let config = format!("{PLAIN}{LISTENER}[tls]\ncertificate = \"certs/mx.crt\"\nkey = \"certs/mx.key\"\n");
    let site = Site::new(&config);
    site.certificate_for("mx", &["mx.example.org"], 5);
    let found = site.found();
    assert!(
        found[0].contains("warning: the certificate certs/mx.crt expires in 4d"),
        "{found:?}"
    );
    assert!(site.load().is_ok(), "a warning does not keep it from running");
}

#[test]
fn the_aliases_file_is_read() {
    let site = Site::new(&format!("{PLAIN}aliases = \"aliases\"\n{LISTENER}"));
    site.file("aliases", "root: postmaster\npostmaster root\n", 0o644);
    let found = site.found();
    assert!(found[0].starts_with("3: error: aliases:2:"), "{found:?}");
    site.file("aliases", "root: you@example.org\n", 0o644);
    assert_eq!(site.found(), [""; 0]);
}

#[test]
fn the_acceptance_files_work_unchanged() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/acceptance");
    for (name, stem, host) in [
        ("seed.toml", "challenger", "challenger.example"),
        ("relay.toml", "relay", "mx.relay.test"),
    ] {
        let site = Site::new(&fs::read_to_string(folder.join(name)).unwrap());
        site.certificate(stem, &[host, "localhost"]);
        let (config, report) = site.load().map_err(|report| report.render(false, 100)).unwrap();
        assert!(report.is_empty(), "{}", report.render(false, 100));
        assert_eq!(config.hostname, host);
        assert_eq!(config.listeners.len(), 3);
        assert_eq!(config.directories.len(), 1);
        assert!(config.tls.is_some());
    }
}

#[test]
fn the_seed_file_means_what_it_says() {
    use postern_directory::DirectorySettings;
    use postern_policy::route::{Target, TlsLevel};
    use postern_receive::{AuthRule, ListenerTls, Plaintext, Role};

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/acceptance/seed.toml");
    let site = Site::new(&fs::read_to_string(path).unwrap());
    site.certificate("challenger", &["challenger.example"]);
    let (config, _) = site.load().map_err(|report| report.render(false, 100)).unwrap();
    let listeners: Vec<_> = config
        .listeners
        .iter()
        .map(|one| {
            (
                one.settings.name.as_str(),
                one.address.port(),
                one.settings.role,
                one.settings.auth,
                one.settings.tls,
            )
        })
        .collect();
    assert_eq!(
        listeners,
        [
            ("mta", 2525, Role::Mx, AuthRule::Offer, ListenerTls::StartTls),
            (
                "submission",
                2587,
                Role::Submission,
                AuthRule::Require,
                ListenerTls::StartTls
            ),
            (
                "submissions",
                2465,
                Role::Submission,
                AuthRule::Require,
                ListenerTls::Implicit
            ),
        ]
    );
    assert_eq!(config.state_dir, site.path("state"));
    assert_eq!(config.receive.greeting, "{hostname} Sendmail; {date}");
    assert!(
        config.receive.privacy.no_expn
            && config.receive.privacy.need_mail_helo
            && !config.receive.privacy.no_etrn
    );
    assert_eq!(config.receive.auth.plaintext, Plaintext::TlsOnly);
    assert_eq!(config.receive.admission.connections_per_second, Some(500));
    assert_eq!(config.receive.admission.refuse_load, Some(12.0));
    let DirectorySettings::Ldap(ldap) = &config.directories[0] else {
        panic!("LDAP")
    };
    assert_eq!(ldap.servers.len(), 2);
    assert_eq!(ldap.filter, "(uid={login})");
    let rule = &config.deliver.routes.rules[0];
    assert_eq!((rule.tls, rule.verify), (TlsLevel::None, false));
    assert!(matches!(&rule.target, Target::Hosts { via, .. } if via.len() == 1 && via[0].port == 2626));
}

/// Required TLS also verifies the host, unless the file says otherwise.
#[test]
fn required_tls_is_verified_unless_the_file_says_otherwise() {
    #[rustfmt::skip]
    let cases = [
        // what the case shows         lines of the route                       verified
        ("nothing said",               "",                                      false),
        ("opportunistic",              "tls = \"opportunistic\"",               false),
        ("none",                       "tls = \"none\"",                        false),
        ("required",                   "tls = \"required\"",                    true),
        ("required, said twice",       "tls = \"required\"\nverify = true",     true),
        ("required, taken from anyone", "tls = \"required\"\nverify = false",   false),
        ("needless, but true",         "tls = \"none\"\nverify = false",        false),
    ];
    for (shows, lines, verified) in cases {
        let scratch = Site::new(&format!(
            "hostname = \"mx.example.org\"\nstate_dir = \"state\"\n[[listener]]\naddress = \"127.0.0.1:2525\"\n[[route]]\ndomains = [\"*\"]\nvia = [\"a.example\"]\n{lines}\n[delivery.tls]\nca_file = \"certs/ca.crt\"\n"
        ));
        scratch.certificate("mx", &["mx.example.org"]);
        let (config, _) = scratch.load().unwrap();
        assert_eq!(config.deliver.routes.rules[0].verify, verified, "{shows}");
    }
}

/// The documented defaults are those of the crates that own the settings.
#[test]
fn defaults_are_those_of_the_services() {
    let site = Site::new(&format!("{PLAIN}{LISTENER}[[directory]]\nkind = \"users\"\n"));
    let (config, _) = site.load().map_err(|report| report.render(false, 100)).unwrap();
    let grace = config.grace;

    let receive = &config.receive;
    let usual = postern_receive::Settings::new("x.example", receive.domain.clone());
    assert_eq!(receive.limits, usual.limits);
    assert_eq!(
        receive.timeouts,
        postern_receive::Timeouts {
            shutdown: grace,
            ..usual.timeouts
        }
    );
    assert_eq!(receive.extensions, usual.extensions);
    let shares = PoolShares {
        mx: usual.admission.shares.mx,
        submission: 0,
        known: 0,
    };
    assert_eq!(receive.admission.shares, shares, "nobody logs in here");
    assert_eq!(
        receive.admission,
        AdmissionSettings {
            shares,
            ..usual.admission
        }
    );
    assert_eq!(receive.room, usual.room);
    assert_eq!(receive.patience, usual.patience);
    assert_eq!(receive.throttle, usual.throttle);
    assert_eq!(receive.auth.mechanisms, usual.auth.mechanisms);
    assert_eq!(receive.received_max, usual.received_max);
    assert!(receive.milters.is_empty());

    let deliver = &config.deliver;
    let usual = postern_deliver::Settings::new("x.example", deliver.routes.clone());
    assert_eq!(deliver.limits, usual.limits);
    assert_eq!(
        deliver.timeouts,
        postern_deliver::Timeouts {
            shutdown: grace,
            ..usual.timeouts
        }
    );
    assert_eq!(deliver.retry, usual.retry);
    assert_eq!(deliver.reports.double_bounce_to, None);
    assert_eq!(
        (deliver.mx_port, deliver.chunking, deliver.eight_bit),
        (usual.mx_port, usual.chunking, usual.eight_bit)
    );

    let spool = postern_spool::SpoolSettings::new(&config.state_dir);
    assert_eq!(format!("{:?}", config.spool), format!("{spool:?}"));
    assert_eq!(
        config.resolver,
        postern_net::resolver::ResolverSettings::default()
    );
    let users = postern_directory::UsersSettings {
        database: config.state_dir.join("users.db"),
        ..Default::default()
    };
    assert_eq!(
        config.directories,
        [postern_directory::DirectorySettings::Users(users)]
    );
}

/// Every default and example of the tables is a value of its kind, so that what the documentation shows works.
#[test]
fn defaults_and_examples_can_be_read() {
    fn texts(keys: Vec<KeyInfo>, header: &str, all: &mut Vec<(String, &'static str, String)>) {
        for key in keys {
            all.push((header.to_owned(), key.name, key.presence.example().to_owned()));
            assert!(
                !key.about.is_empty(),
                "{header} {} has no documentation",
                key.name
            );
            for shape in key.below.into_iter().flat_map(|below| below.shapes) {
                texts(shape.keys, &format!("{header}.{}", key.name), all);
            }
        }
    }
    let mut all = Vec::new();
    texts(Postern::keys(), "", &mut all);
    assert!(all.len() > 120, "all keys are there");
    for (header, name, text) in all {
        let mut problems = Problems::default();
        let document = format!(
            "{}{name} = {text}\n",
            if header.is_empty() {
                String::new()
            } else {
                format!("[{}]\n", &header[1..])
            }
        );
        let sources = Sources::of(Path::new("x"), &document);
        let stumbles = read(&sources, Path::new("/"), &mut problems).stumbles;
        assert!(stumbles.is_empty(), "{document}");
        let report = problems.into_report(&sources);
        // In a separate document other keys are missing, but this one must be valid.
        let about_it = |line: &String| {
            line.contains(&format!("`{name}`")) && line.contains("wrong type")
                || line.contains(&format!("`{name}`")) && line.contains("has an invalid value")
        };
        let bad: Vec<String> = report.lines().map(|(_, line)| line).filter(about_it).collect();
        assert!(bad.is_empty(), "{header}.{name}: {bad:?}");
    }
}

proptest::proptest! {
    /// Whatever is in the file, reading and showing it never panics.
    #[test]
    fn any_text_is_survived(text in "[a-z\\[\\]=\"'#{},.0-9 \n]{0,200}") {
        let mut problems = Problems::default();
        let sources = Sources::of(Path::new("postern.toml"), &text);
        let document = read(&sources, Path::new("/"), &mut problems);
        stumbles::explain(sources.whole(), &document.stumbles, &mut problems);
        let report = problems.into_report(&sources);
        report.render(false, 80);
        report.json();
    }

    /// Likewise when a good file is damaged in one place.
    #[test]
    fn a_damaged_file_is_survived(at in 0_usize..2000, with in "\\PC{0,3}") {
        let mut text = include_str!("../../../tests/acceptance/seed.toml").to_owned();
        let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.insert_str(at, &with);
        let mut problems = Problems::default();
        let sources = Sources::of(Path::new("postern.toml"), &text);
        let document = read(&sources, Path::new("/"), &mut problems);
        stumbles::explain(sources.whole(), &document.stumbles, &mut problems);
        problems.into_report(&sources).render(false, 80);
    }
}

/// The defaults of a table are those of the crate that uses it.
#[test]
fn a_filter_has_the_defaults_of_filters() {
    let milter = "[[milter]]\nname = \"x\"\naddress = \"inet:8891@localhost\"\n";
    let Ok((config, _)) = Site::new(&format!("{PLAIN}{milter}{LISTENER}")).load() else {
        panic!("it is fine");
    };
    let [milter] = config.receive.milters.as_slice() else {
        panic!("one filter");
    };
    let usual = postern_filter::Filter::new("x", "inet:localhost:8891".parse().unwrap());
    let filter = &milter.filter;
    assert_eq!((&filter.name, &filter.address), (&usual.name, &usual.address));
    assert_eq!(filter.timeouts, usual.timeouts);
    assert_eq!(filter.on_failure, usual.on_failure);
    assert_eq!(
        (filter.version, filter.data_size),
        (usual.version, usual.data_size)
    );
    assert_eq!(
        (filter.changes_size_max, filter.body_size_max),
        (usual.changes_size_max, usual.body_size_max)
    );
    assert_eq!(
        (filter.idle_max, filter.idle_time),
        (usual.idle_max, usual.idle_time)
    );
    assert_eq!(milter.conditions, postern_policy::milter::Conditions::default());
    assert_eq!(milter.on_failure, postern_policy::milter::OnFailure::default());
}

#[test]
fn filters_are_asked_in_the_order_of_the_file_under_their_conditions() {
    let milters = "
[[milter]]
name = \"b\"
address = \"/run/b.sock\"
listeners = [\"127.0.0.1:2525\"]
skip_logins = true
skip_strangers = true
skip_networks = [\"192.0.2.0/24\"]
skip_above = \"1 MiB\"
on_failure = \"hold\"
version = 2
packet = \"1 MiB\"
[milter.timeouts]
connect = \"1s\"
command = \"2s\"
end_of_message = \"3s\"
progress = \"4s\"
[[milter]]
name = \"a\"
address = \"inet:[::1]:8891\"
on_failure = \"accept\"
";
    let Ok((config, _)) = Site::new(&format!("{PLAIN}{milters}{LISTENER}")).load() else {
        panic!("it is fine");
    };
    let [b, a] = config.receive.milters.as_slice() else {
        panic!("two filters");
    };
    assert_eq!((b.filter.name.as_str(), a.filter.name.as_str()), ("b", "a"));
    assert_eq!(b.filter.address.to_string(), "unix:/run/b.sock");
    assert_eq!(a.filter.address.to_string(), "inet:[::1]:8891");
    let conditions = postern_policy::milter::Conditions {
        listeners: Some(vec!["127.0.0.1:2525".into()]),
        skip_logins: true,
        skip_strangers: true,
        skip_networks: vec!["192.0.2.0/24".parse().unwrap()],
        skip_above: Some(1 << 20),
    };
    assert_eq!(b.conditions, conditions);
    assert_eq!(b.on_failure, postern_policy::milter::OnFailure::Hold);
    assert_eq!(b.filter.on_failure, postern_milter::chain::OnFailure::Hold);
    assert_eq!(a.filter.on_failure, postern_milter::chain::OnFailure::Accept);
    assert_eq!(b.filter.version.number(), 2);
    assert_eq!(b.filter.data_size, postern_milter::DataSize::Huge);
    let seconds = |time: std::time::Duration| time.as_secs();
    let times = b.filter.timeouts;
    assert_eq!(
        [times.connect, times.command, times.end_of_message, times.progress].map(seconds),
        [1, 2, 3, 4]
    );
}
