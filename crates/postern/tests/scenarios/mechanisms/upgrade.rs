//! From PLAIN to SCRAM without a new password: the first login with PLAIN creates the keys.

use postern_testkit::sink::Sink;

use super::clients::msmtp;
use super::{Bench, LOGIN, Login, RIGHT, Tls, Try, WRONG};
use crate::harness::Site;

fn log_in(bench: &Bench, mechanism: &str, secret: &str) -> Try {
    msmtp(
        bench,
        &Login {
            mechanism,
            tls: Tls::V13,
            right: secret == RIGHT,
            secret,
        },
    )
}

#[test]
fn a_site_moves_to_scram_without_new_passwords() {
    let sink = Sink::start();
    let mut site = Site::relay(sink.port(), "");
    let moved = std::fs::read_to_string(site.path("postern.toml")).unwrap()
        + "\n[auth]\nmechanisms = [\"SCRAM-SHA-256\", \"PLAIN\"]\n[[auth.mechanism]]\nname = \"PLAIN\"\ntls = \"required\"\n";
    std::fs::write(site.path("postern.toml"), moved).unwrap();
    site.start();
    let works = |site: &Site| site.ok(&["user", "list", "--json"]).contains("SCRAM-SHA-256");
    assert!(!works(&site));
    assert!(
        site.ok(&["user", "show", LOGIN])
            .contains("SCRAM-SHA-256: has no key yet")
    );
    let bench = Bench {
        kdc: None,
        ca: site.path("certs/ca.crt"),
        site,
        provider: None,
    };
    assert!(!log_in(&bench, "SCRAM-SHA-256", RIGHT).success);
    let plain = log_in(&bench, "PLAIN", RIGHT);
    assert!(plain.success, "{}", plain.said);
    assert!(works(&bench.site));
    assert!(
        bench
            .site
            .ok(&["user", "show", LOGIN])
            .contains("SCRAM-SHA-256: works")
    );
    let scram = log_in(&bench, "SCRAM-SHA-256", RIGHT);
    assert!(scram.success, "{}", scram.said);
    assert!(!log_in(&bench, "SCRAM-SHA-256", WRONG).success);
    let mut bench = bench;
    assert!(bench.site.take_server().terminate().success());
    let report = bench.site.ok(&["auth", "report", "--json"]);
    assert!(
        report.contains("\"SCRAM-SHA-256\""),
        "kept after the end: {report}"
    );
    takes_over_the_old_file(&mut bench.site, &report);
}

/// Counts of an earlier version, in a separate file, are taken over once.
fn takes_over_the_old_file(site: &mut Site, told: &str) {
    let (old, store) = (site.path("state/logins.json"), site.path("state/state.db"));
    std::fs::remove_file(store).unwrap();
    std::fs::write(&old, told).unwrap();
    let report = |site: &Site| site.ok(&["auth", "report", "--json"]);
    assert_eq!(report(site), told, "before a server has taken it over");
    for round in ["taken over", "and not once more"] {
        site.start();
        assert!(!old.exists(), "{round}");
        assert_eq!(report(site), told, "{round}");
        assert!(site.take_server().terminate().success());
        assert_eq!(report(site), told, "{round}, without the server");
    }
    std::fs::write(&old, told).unwrap();
    site.start();
    site.wait_for_log(&["counts of logins not taken over", "remove the file"]);
    assert_eq!(report(site), told, "what is counted in the store stays");
}
