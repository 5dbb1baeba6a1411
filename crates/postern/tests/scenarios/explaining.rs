//! What `explain` says: each rule at its stage, the setting that decides and not another of its kind, what a route demands,
//! addresses without a domain.

use serde_json::Value;

use crate::harness::Site;

const TOP: &str = "local_domains = [\"home.example\"]\norigin = \"home.example\"\naliases = \"aliases\"\n";

const RULES: &str = r#"
[[access]]
name = "network"
at = "connect"
client = "198.51.100.0/24"
verdict = "refuse"

[[access]]
name = "greeting"
at = "helo"
helo = "spam.example"
verdict = "refuse"

[[access]]
name = "recipient"
recipient = "shut@home.example"
verdict = "refuse"

[[alias]]
from = ["other@home.example"]
to = ["ann@home.example"]

[[alias]]
from = ["gone@home.example"]
refuse = "550 5.1.6 has left"

[[login]]
name = "partner"
login = "we"
password_file = "partner.password"

[[route]]
domains = ["partner.example"]
via = ["smtp.partner.example:587"]
tls = "required"
login = "partner"

[delivery.tls]
verified = ["*.partner.example"]
"#;

fn site() -> Site {
    let site = Site::relay_with(1, TOP, "");
    let config = std::fs::read_to_string(site.path("postern.toml")).unwrap();
    std::fs::write(site.path("postern.toml"), config + RULES).unwrap();
    std::fs::write(site.path("aliases"), "ann: bert@elsewhere.example\n").unwrap();
    let secret = site.path("partner.password");
    std::fs::write(&secret, "word\n").unwrap();
    std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    site
}

/// The steps of a session.
fn steps(site: &Site, arguments: &[&str]) -> Vec<Value> {
    let (said, _) = site.explained(arguments);
    said["steps"].as_array().unwrap().clone()
}

/// The line of the configuration where a text first occurs.
fn line_of(site: &Site, text: &str) -> usize {
    let config = std::fs::read_to_string(site.path("postern.toml")).unwrap();
    1 + config.lines().position(|line| line.contains(text)).unwrap()
}

/// The client's options, and for each access rule step the command, the rule, and the beginning of the reason.
type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str, &'a str)]);

#[test]
fn each_access_rule_is_shown_at_its_stage() {
    let site = site();
    let ann = ["--from", "a@away.example", "--to", "ann@home.example"];
    #[rustfmt::skip]
    let cases: [Case<'_>; 3] = [
        (&["--peer", "198.51.100.1"], &[
            ("connection",                  "access.refused", "\"network\""),
        ]),
        (&["--peer", "203.0.113.1", "--helo", "spam.example"], &[
            ("connection",                  "access.skipped", "\"network\""),
            ("EHLO spam.example",           "access.refused", "\"greeting\""),
        ]),
        (&["--peer", "203.0.113.1", "--helo", "mx.away.example"], &[
            ("connection",                  "access.skipped", "\"network\""),
            ("EHLO mx.away.example",        "access.skipped", "\"greeting\""),
            ("RCPT TO:<ann@home.example>",  "access.skipped", "\"recipient\""),
            ("RCPT TO:<ann@home.example>",  "access.passed",  "no access rule"),
        ]),
    ];
    for (arguments, expected) in cases {
        let steps = steps(&site, &[arguments, &ann].concat());
        let of_rules: Vec<&Value> = steps
            .iter()
            .filter(|step| step["rule"].as_str().unwrap().starts_with("access."))
            .collect();
        assert_eq!(of_rules.len(), expected.len(), "{arguments:?}: {of_rules:#?}");
        for (step, (command, rule, reason)) in of_rules.into_iter().zip(expected) {
            assert_eq!(step["command"], *command, "{arguments:?}");
            assert_eq!(step["rule"], *rule, "{arguments:?}");
            assert!(step["reason"].as_str().unwrap().starts_with(reason), "{step}");
        }
    }
}

#[test]
fn the_setting_is_the_one_that_decides() {
    let site = site();
    let steps = steps(&site, &["--peer", "203.0.113.1", "--to", "gone@home.example"]);
    let refused = steps
        .iter()
        .find(|step| step["rule"] == "recipient.refused")
        .unwrap();
    let line = refused["setting"]["line"].as_u64().unwrap();
    let table = line_of(&site, "gone@home.example");
    assert!(
        (table - 1..=table + 1).contains(&usize::try_from(line).unwrap()),
        "{refused}"
    );
}

#[test]
fn the_way_says_what_the_route_and_the_host_demand() {
    let site = site();
    site.add_user("ann@home.example", "test word");
    let to_partner = ["--login", "ann@home.example", "--to", "x@partner.example"];
    let from = ["--peer", "127.0.0.1", "--listener", "submission", "--from"];
    // If addresses are completed, one without a domain gets it.
    let steps = steps(&site, &[&from[..], &["ann"], &to_partner].concat());
    let begins = |text: &str| {
        let found = steps
            .iter()
            .any(|step| step["command"].as_str().unwrap().starts_with(text));
        assert!(found, "{text}: {steps:#?}");
    };
    begins("MAIL FROM:<ann@home.example>");
    let way = steps
        .iter()
        .find(|step| step["command"] == "mail to x@partner.example")
        .unwrap();
    let reason = way["reason"].as_str().unwrap();
    for part in [
        "smtp.partner.example:587 (`verified` in [delivery.tls])",
        " tls=required verify=true login=partner",
    ] {
        assert!(reason.contains(part), "{reason}");
    }
    // A listener for other servers refuses such an address.
    let output = site.run(&[
        "explain",
        "--peer",
        "203.0.113.1",
        "--from",
        "ann",
        "--to",
        "ann@home.example",
    ]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("ann has no domain") && said.contains("bare_addresses"),
        "{said}"
    );
}
