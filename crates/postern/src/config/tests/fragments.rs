//! Configurations of several files, and how a configuration is shown.

use std::path::Path;

use super::super::read::{KeyInfo, Table};
use super::super::{Gate, Postern, Refusal, Shown, Source};
use super::{LISTENER, PLAIN, Site};

/// The main file, with a folder of fragments.
const MAIN: &str = "include = \"conf.d\"\n";

fn site(fragments: &[(&str, &str)]) -> Site {
    let site = Site::new(&format!("{MAIN}{PLAIN}{LISTENER}"));
    std::fs::create_dir(site.path("conf.d")).unwrap();
    for (name, text) in fragments {
        site.file(name, text, 0o644);
    }
    site
}

/// What was found, as `file:line: title`.
fn found(site: &Site) -> Vec<String> {
    let report = match site.load() {
        Ok((_, report)) | Err(report) => report,
    };
    let folder = format!("{}/", site.path("").display()).replace("//", "/");
    report
        .lines()
        .map(|(_, line)| line.replace(&folder, ""))
        .collect()
}

fn shown(site: &Site) -> Shown {
    let source = Source::read(&site.path("postern.toml")).unwrap();
    source.written().unwrap().shown().clone()
}

#[test]
fn fragments_add_to_the_file() {
    let site = site(&[
        (
            "conf.d/20-more.toml",
            "[[listener]]\naddress = \"127.0.0.1:2587\"\n",
        ),
        (
            "conf.d/10-limits.toml",
            "[limits]\nrecipients = 200\n[[listener]]\naddress = \"127.0.0.1:2526\"\n",
        ),
        ("conf.d/30-folder.toml", "aliases = \"aliases\"\n"),
        ("conf.d/.hidden.toml", "nonsense"),
        ("conf.d/old.toml.bak", "nonsense"),
    ]);
    // Paths start at the main file in fragments too.
    site.file("aliases", "root: you@example.org\n", 0o644);
    assert_eq!(found(&site), [""; 0]);
    let (config, _) = site.load().unwrap();
    let ports: Vec<u16> = config.listeners.iter().map(|one| one.address.port()).collect();
    assert_eq!(ports, [2525, 2526, 2587], "in the order of the files");
    let written = Source::read(&site.path("postern.toml"))
        .unwrap()
        .written()
        .unwrap();
    assert!(
        written.paths().read.contains(&site.path("conf.d")),
        "a reload sees new ones"
    );
}

#[test]
fn a_mistake_names_its_fragment() {
    let site = site(&[
        ("conf.d/a.toml", "# a comment\n[limits]\nrecipients = 1\n"),
        ("conf.d/b.toml", "[log]\ncolour = 1\n"),
        ("conf.d/c.toml", "[dns]\n\ntimeout = x\n"),
    ]);
    let found = found(&site);
    let places: Vec<&str> = found.iter().filter_map(|line| line.split(": ").next()).collect();
    assert_eq!(
        places,
        ["conf.d/a.toml:3", "conf.d/b.toml:2", "conf.d/c.toml:3"],
        "{found:#?}"
    );
    let report = site.load().err().unwrap();
    let text = report.render(false, 100);
    assert!(text.contains("conf.d/a.toml:3:14"), "{text}");
    assert!(text.contains("3 | recipients = 1\n"), "{text}");
}

#[test]
fn what_stands_once_stands_in_one_file() {
    #[rustfmt::skip]
    let cases = [
        // what the case shows       a fragment                           found
        ("a key",                    "hostname = \"b.example.org\"\n",    "conf.d/a.toml:1: `hostname` is written in two files"),
        ("a table",                  "[limits]\nrecipients = 300\n",      "conf.d/b.toml:1: [limits] is written in two files"),
        ("single brackets",          "[listener]\naddress = \"[::]:1\"\n", "conf.d/a.toml:1: [listener] is written in two files"),
    ];
    for (shows, text, want) in cases {
        let mut fragments = vec![("conf.d/a.toml", text)];
        if text.starts_with("[limits]") {
            fragments.push(("conf.d/b.toml", "[limits]\nrecipients = 200\n"));
        }
        let found = found(&site(&fragments));
        assert_eq!(found.len(), 1, "{shows}: {found:#?}");
        assert!(found[0].starts_with(want), "{shows}: {found:#?}");
    }
}

#[test]
fn fragments_that_cannot_be_read() {
    let with = |include: &str| {
        let site = Site::new(&format!("include = {include}\n{PLAIN}{LISTENER}"));
        site.file("loop.toml", "include = [\"other.toml\"]\n", 0o644);
        site.file("other.toml", "# first\ninclude = [\"loop.toml\"]\n", 0o644);
        site.file("self.toml", "include = \"self.toml\"\n", 0o644);
        site.file("plain.toml", "", 0o644);
        site.file("empty/none.txt", "", 0o644);
        site
    };
    #[rustfmt::skip]
    let cases = [
        // what the case shows       include                              found
        ("one that is not there",    "[\"no.toml\", \"plain.toml\"]",      "postern.toml:1: cannot read the configuration no.toml: not found"),
        ("a circle",                 "\"loop.toml\"",                     "other.toml:2: `include` loop: loop.toml includes other.toml, which includes loop.toml"),
        ("one that includes itself", "\"self.toml\"",                     "self.toml:1: `include` loop: self.toml includes self.toml"),
        ("the main file",            "\"postern.toml\"",                  "postern.toml:1: `include` loop"),
        ("one twice",                "[\"plain.toml\", \"./plain.toml\"]", "postern.toml:1: ./plain.toml is included twice"),
        ("no path",                  "[1]",                               "postern.toml:1: `include` has the wrong type"),
        ("an empty folder",          "\"empty\"",                         ""),
    ];
    for (shows, include, want) in cases {
        let found = found(&with(include));
        if want.is_empty() {
            assert_eq!(found, [""; 0], "{shows}");
        } else {
            assert_eq!(found.len(), 1, "{shows}: {found:#?}");
            assert!(found[0].starts_with(want), "{shows}: {found:#?}");
        }
    }
}

#[test]
fn the_gate_is_asked_for_folders_and_files() {
    let site = site(&[("conf.d/a.toml", "greeting = \"{hostname}\"\n")]);
    for refused in ["conf.d", "a.toml"] {
        let gate: Gate<'_> = &|path: &Path| match path.ends_with(refused) {
            true => Err(Refusal {
                title: format!("{refused} is open to strangers"),
                remedy: "close it".into(),
            }),
            false => Ok(()),
        };
        let source = Source::read_by(&site.path("postern.toml"), gate).unwrap();
        let report = source.written().err().unwrap();
        let lines: Vec<String> = report.lines().map(|(_, line)| line).collect();
        assert_eq!(lines.len(), 1, "{lines:#?}");
        assert!(
            lines[0].ends_with(&format!(
                "postern.toml:1: {refused} is open to strangers (close it)"
            )),
            "{lines:#?}"
        );
    }
}

#[test]
fn what_is_in_force_is_shown() {
    let site = site(&[
        (
            "conf.d/a.toml",
            "[limits]\nrecipients = 200\n[delivery.timeouts]\nquit = \"5000ms\"\nmail = \"2m\"\n",
        ),
        ("conf.d/b.toml", "[[directory]]\nkind = \"users\"\n"),
    ]);
    let folder = site.path("").display().to_string();
    let main = site.path("postern.toml").display().to_string();
    let shown = shown(&site);
    assert_eq!(
        shown.as_toml(true, &main).replace(&folder, ""),
        "\
include = \"conf.d\"
hostname = \"mx.example.org\"
state_dir = \"state\"

[[listener]]
address = \"127.0.0.1:2525\"

[[directory]]
kind = \"users\" # conf.d/b.toml:2

[limits]
recipients = 200 # conf.d/a.toml:2

[delivery.timeouts]
mail = \"2m\" # conf.d/a.toml:5
"
    );
    let all = shown.as_toml(false, &main);
    for line in [
        "message_size_limit = \"25 MiB\"",
        "[retry]",
        "# maildir is not set: ",
        "quit = \"5000ms\" # ",
    ] {
        assert!(all.contains(line), "{line}: {all}");
    }
    let json = shown.as_json(true);
    let list = json.as_array().unwrap();
    let of = |key: &str| list.iter().find(|entry| entry["key"] == key).unwrap();
    assert_eq!(of("recipients")["value"], 200);
    assert_eq!(of("recipients")["table"], "limits");
    assert_eq!(of("recipients")["line"], 2);
    assert_eq!(
        (&of("kind")["table"], &of("kind")["number"]),
        (&"directory".into(), &1.into())
    );
}

/// The output is a configuration that means the same.
#[test]
fn what_is_shown_can_be_read() {
    for name in ["seed.toml", "relay.toml"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/acceptance")
            .join(name);
        let first = Site::new(&std::fs::read_to_string(path).unwrap());
        let main = first.path("postern.toml").display().to_string();
        for changed in [true, false] {
            let text = shown(&first).as_toml(changed, &main);
            let second = Site::new(&text);
            assert_eq!(shown(&second).differences(&shown(&first)), [""; 0], "{text}");
        }
    }
}

#[test]
fn differences_are_named() {
    let old = Site::new(&format!("{PLAIN}{LISTENER}[limits]\nrecipients = 200\n"));
    let new = Site::new(&format!(
        "{PLAIN}greeting = \"x\"\n{LISTENER}[[listener]]\naddress = \"127.0.0.1:26\"\n"
    ));
    let (old, new) = (shown(&old), shown(&new));
    let found = old.differences(&new);
    for line in [
        "+ greeting = \"x\"",
        "- greeting = \"{hostname} Postern\"",
        "- [limits] recipients = 200",
        "+ [[listener]] 2: address = \"127.0.0.1:26\"",
    ] {
        assert!(found.contains(&line.to_owned()), "{line}: {found:#?}");
    }
    let mut kept = new.clone();
    kept.keep(&["greeting", "[limits]"], &old);
    assert!(
        !old.differences(&kept)
            .iter()
            .any(|line| line.contains("greeting") || line.contains("limits"))
    );
}

/// No key contains a secret: keys named like one have the path of a file, or say how one is
/// handled.
#[test]
fn no_key_is_a_secret() {
    fn walk(keys: Vec<KeyInfo>, found: &mut Vec<String>) {
        for key in keys {
            let named = ["password", "secret", "passphrase", "token"]
                .iter()
                .any(|word| key.name.contains(word));
            if named && key.below.is_none() && key.kind != "path" {
                found.push(key.name.to_owned());
            }
            let below = key.below.into_iter().flat_map(|below| below.shapes);
            below.for_each(|shape| walk(shape.keys, found));
        }
    }
    let mut found = Vec::new();
    walk(Postern::keys(), &mut found);
    found.sort();
    found.dedup();
    assert_eq!(
        found,
        [
            "password_attribute",
            "password_length",
            "password_query",
            "token_endpoint",
            "token_type",
            "tokeninfo_url"
        ],
        "a new key with a secret belongs in a file"
    );
}

#[test]
fn settings_are_found_in_their_files_by_table_and_name() {
    let site = site(&[
        (
            "conf.d/10-listeners.toml",
            "\n[[listener]]\nname = \"in\"\naddress = \"127.0.0.1:2526\"\nrole = \"mx\"\n\n\
             [[listener]]\naddress = \"127.0.0.1:2527\"\nrole = \"submission\"\n",
        ),
        (
            "conf.d/20-relay.toml",
            "relay_domains = [\"b.example\"]\n\n[relay]\nnetworks = [\n  \"192.0.2.0/24\",\n]\nsenders = \"own\"\n\n\
             [[relay.certificate]]\nname = \"branch\"\nsubject = \"CN=branch\"\n",
        ),
    ]);
    let shown = shown(&site);
    let (main, listeners, relay) = ("postern.toml", "conf.d/10-listeners.toml", "conf.d/20-relay.toml");
    #[rustfmt::skip]
    let cases = [
        // what the case shows             setting               table                    where
        ("of the top level",               "hostname",           None,                    Some((main, 2))),
        ("of the top level of a fragment", "relay_domains",      None,                    Some((relay, 1))),
        ("a default",                      "aliases",            None,                    None),
        ("a table by its name",            "listener.role",      Some("in"),              Some((listeners, 5))),
        ("a table by its address",         "listener.role",      Some("127.0.0.1:2527"),  Some((listeners, 9))),
        ("no such table",                  "listener.role",      Some("other"),           None),
        ("a default of a table",           "listener.tls",       Some("in"),              None),
        ("a list over several lines",      "relay.networks",     None,                    Some((relay, 4))),
        ("a table that stands once",       "relay.senders",      Some("in"),              Some((relay, 7))),
        ("a whole table by its name",      "relay.certificate",  Some("branch"),          Some((relay, 9))),
        ("a whole table of another name",  "relay.certificate",  Some("other"),           None),
        ("no setting",                     "relay.senders.own",  None,                    None),
    ];
    for (shows, setting, name, place) in cases {
        let found = super::super::place::of_setting(&shown, setting, name);
        let place = place.map(|(file, line): (&str, usize)| (site.path(file).display().to_string(), line));
        assert_eq!(found, place.as_ref(), "{shows}");
    }
}
