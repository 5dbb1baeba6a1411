//! Accounts of a site's directories and of single devices, with the real binary and a real client.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use postern_testkit::process::program;
use postern_testkit::sink::Sink;
use postern_testkit::slapd::{PEOPLE, ROOT_DN, ROOT_PASSWORD, Slapd, SlapdOptions, person};

use crate::harness::Site;

/// `pencil` with 4,096 iterations and the salt of RFC 7677.
const SCRAM: &str = "{SCRAM-SHA-256}4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

/// Whether GNU SASL's program can log in inside TLS.
fn gsasl(site: &Site, mechanism: &str, login: &str, password: &str) -> bool {
    let output = Command::new(program("/usr/bin/gsasl", "gsasl"))
        .args(["--smtp", "--connect", &format!("localhost:{}", site.submission)])
        .arg(format!("--x509-ca-file={}", site.path("certs/ca.crt").display()))
        .args(["--mechanism", mechanism, "--authentication-id", login])
        .args(["--authorization-id", "", "--password", password, "--no-cb"])
        .args([
            "--service",
            "smtp",
            "--hostname",
            "localhost",
            "--realm",
            "mx.relay.test",
        ])
        .output()
        .unwrap();
    output.status.success()
}

#[test]
fn scram_with_keys_from_ldap_for_those_in_a_group() {
    let people = [
        person("ann", &["ann@relay.test"], SCRAM),
        person("bob", &["bob@relay.test"], SCRAM),
        format!(
            "\ndn: cn=mail users,{PEOPLE}\nobjectClass: groupOfNames\ncn: mail users\nmember: uid=ann,{PEOPLE}\n"
        ),
    ];
    let mut slapd = Slapd::start_with(&SlapdOptions {
        ldif: people.concat(),
        ..SlapdOptions::default()
    });
    let sink = Sink::start();
    let directory = format!(
        "[[directory]]\nkind = \"ldap\"\nservers = [\"{}\"]\nsearch_base = \"{PEOPLE}\"\ncheck = \"compare\"\n\
         bind_dn = \"{ROOT_DN}\"\nbind_password_file = \"ldap.pass\"\nkeys = [\"SCRAM-SHA-256\"]\n\
         group_filter = \"(&(objectClass=groupOfNames)(member={{dn}}))\"\nallowed_groups = [\"mail users\"]\n\
         [auth]\nmechanisms = [\"SCRAM-SHA-256\", \"SCRAM-SHA-1\", \"PLAIN\"]\ndirectory_check = \"1s\"\n",
        slapd.url()
    );
    let mut site = Site::relay(sink.port(), &directory);
    fs::write(site.path("ldap.pass"), ROOT_PASSWORD).unwrap();
    fs::set_permissions(site.path("ldap.pass"), fs::Permissions::from_mode(0o600)).unwrap();
    site.start();
    assert!(gsasl(&site, "SCRAM-SHA-256", "ann", "pencil"), "{}", site.log());
    assert!(
        !gsasl(&site, "SCRAM-SHA-256", "ann", "crayon"),
        "a wrong password"
    );
    assert!(!gsasl(&site, "SCRAM-SHA-256", "bob", "pencil"), "in no group");
    assert!(!gsasl(&site, "SCRAM-SHA-256", "nobody", "pencil"), "unknown");
    assert!(
        gsasl(&site, "PLAIN", "ann", "pencil"),
        "the same key serves PLAIN"
    );
    site.wait_for_log(&["in none of the groups"]);

    let listing = || {
        let output = site.run(&["directories", "--json"]);
        let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        (
            output.status.success(),
            value[1]["state"].as_str().unwrap().to_owned(),
        )
    };
    assert_eq!(listing(), (true, "up".to_owned()));
    slapd.stop();
    postern_testkit::process::wait_until("the outage to be seen without a login", || {
        listing() == (false, "down".to_owned())
    });
    slapd.restart();
    postern_testkit::process::wait_until("the recovery to be seen", || listing() == (true, "up".to_owned()));
}

#[test]
fn an_app_password_logs_in_by_scram_under_its_label() {
    let sink = Sink::start();
    let extra = "[auth]\nmechanisms = [\"SCRAM-SHA-256\", \"CRAM-MD5\", \"PLAIN\"]\n";
    let mut site = Site::relay(sink.port(), extra);
    site.start();
    let login = "tester@relay.test";
    let made = site.ok(&["user", "app-password", "add", login, "phone"]);
    let password = made
        .lines()
        .find_map(|line| line.strip_prefix("password: "))
        .unwrap();
    assert!(made.contains("tester@relay.test#phone"), "{made}");
    for mechanism in ["SCRAM-SHA-256", "CRAM-MD5", "PLAIN"] {
        assert!(
            gsasl(&site, mechanism, "tester@relay.test#phone", password),
            "{mechanism}"
        );
        assert!(
            !gsasl(&site, mechanism, "tester@relay.test#phone", "test word"),
            "{mechanism}"
        );
    }
    postern_testkit::process::wait_until("its use to be written down", || {
        let list = site.ok(&["user", "app-password", "list", login, "--json"]);
        list.contains("\"last_used_from\": \"127.0.0.1\"")
            || list.contains("\"last_used_from\":\"127.0.0.1\"")
    });
    site.ok(&["user", "app-password", "revoke", login, "phone"]);
    assert!(!gsasl(
        &site,
        "SCRAM-SHA-256",
        "tester@relay.test#phone",
        password
    ));
}
