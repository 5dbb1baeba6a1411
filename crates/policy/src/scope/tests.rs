//! Cases of scopes.

use postern_mail::{Mailbox, ParseOptions};

use super::*;

fn list(entries: &[&str]) -> Vec<String> {
    entries.iter().map(|entry| (*entry).to_owned()).collect()
}

fn scope(written: &Written) -> Scope {
    written.read("scope \"x\"", &TimeZone::UTC).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn key(address: &str, separator: Option<char>) -> AddressKey {
    AddressKey::new(
        &Mailbox::parse(address, &ParseOptions::default()).unwrap(),
        separator,
    )
}

#[test]
fn where_and_when() {
    let place = Place {
        listener: "submission",
        mechanism: Some("SCRAM-SHA-256-PLUS"),
        peer: Some("192.0.2.7".parse().unwrap()),
        now: at("2026-12-01T12:00:00Z"),
    };
    let none = Written::default;
    let mapped = "::ffff:192.0.2.7".parse().ok();
    #[rustfmt::skip]
    let cases = [
        // what the case shows               the scope                                                           the place                               what is outside
        ("it limits nothing",                none(),                                                             place,                                  None),
        ("the listener",                     Written { listeners: list(&["submission"]), ..none() },             place,                                  None),
        ("another listener",                 Written { listeners: list(&["mx", "Submission"]), ..none() },       place,                                  Some(Outside::Listener)),
        ("a mechanism stands for -PLUS",     Written { mechanisms: list(&["scram-sha-256"]), ..none() },         place,                                  None),
        ("but -PLUS not for the other",      Written { mechanisms: list(&["SCRAM-SHA-256-PLUS"]), ..none() },    Place { mechanism: Some("SCRAM-SHA-256"), ..place }, Some(Outside::Mechanism)),
        ("another mechanism",                Written { mechanisms: list(&["PLAIN"]), ..none() },                 place,                                  Some(Outside::Mechanism)),
        ("the network",                      Written { networks: list(&["192.0.2.0/24"]), ..none() },            place,                                  None),
        ("one address",                      Written { networks: list(&["192.0.2.7"]), ..none() },               place,                                  None),
        ("a token over HTTP",                Written { mechanisms: list(&["SCRAM-SHA-256"]), ..none() },         Place { mechanism: None, ..place },     None),
        ("an IPv4 address in IPv6",          Written { networks: list(&["192.0.2.0/24"]), ..none() },            Place { peer: mapped, ..place },        None),
        ("another network",                  Written { networks: list(&["198.51.100.0/24"]), ..none() },         place,                                  Some(Outside::Network)),
        ("an address that nobody knows",     Written { networks: list(&["0.0.0.0/0", "::/0"]), ..none() },       Place { peer: None, ..place },          Some(Outside::Network)),
        ("the hour",                         Written { hours: list(&["Tue 12:00-13:00"]), ..none() },            place,                                  None),
        ("its end",                          Written { hours: list(&["Tue 11:00-12:00"]), ..none() },            place,                                  Some(Outside::Hour)),
        ("one of several",                   Written { hours: list(&["Sat,Sun", "Tue 12:00-13:00"]), ..none() }, place,                                  None),
        ("all have to hold",                 Written { listeners: list(&["submission"]), hours: list(&["Sat,Sun"]), ..none() }, place,                   Some(Outside::Hour)),
    ];
    for (shows, written, place, outside) in cases {
        let got = scope(&written)
            .admits(&place)
            .err()
            .map(|refusal| refusal.outside);
        assert_eq!(got, outside, "{shows}");
    }
}

/// Clocks of Berlin went from 02:00 to 03:00 on 29 March 2026, and from 03:00 to 02:00 on 25 October.
#[test]
fn clocks_that_change() {
    let hours = |window: &str| Written {
        hours: list(&[window]),
        zone: Some("Europe/Berlin".into()),
        ..Written::default()
    };
    #[rustfmt::skip]
    let cases = [
        // what the case shows                    window                  moment                  inside
        ("winter: an hour ahead of UTC",          "08:00-09:00",          "2026-01-15T07:30:00Z", true),
        ("summer: two hours",                     "08:00-09:00",          "2026-07-15T06:30:00Z", true),
        ("and not one",                           "08:00-09:00",          "2026-07-15T07:30:00Z", false),
        ("before the hour that is left out",      "01:00-02:00",          "2026-03-29T00:59:59Z", true),
        ("the hour that is left out never comes", "02:00-03:00",          "2026-03-29T01:00:00Z", false),
        ("it is three at once",                   "03:00-04:00",          "2026-03-29T01:00:00Z", true),
        ("the hour that comes twice: first",      "02:00-03:00",          "2026-10-25T00:30:00Z", true),
        ("and again",                             "02:00-03:00",          "2026-10-25T01:30:00Z", true),
        ("then it is over",                       "02:00-03:00",          "2026-10-25T02:00:00Z", false),
        ("the day is that of the zone",           "Tue 00:00-01:00",      "2026-11-30T23:30:00Z", true),
        ("past midnight",                         "Mon 22:00-06:00",      "2026-12-01T04:59:00Z", true),
    ];
    for (shows, window, moment, inside) in cases {
        let Some(hours) = scope(&hours(window)).hours else {
            panic!("{shows}: no hours");
        };
        assert_eq!(hours.contain(at(moment)), inside, "{shows}");
    }
}

#[test]
fn whom_it_is_for() {
    let scope = scope(&Written {
        senders: list(&["Scanner@Example.org", "<>"]),
        recipients: list(&["ann@example.org", "@lab.example", ".staff.example", "postmaster@"]),
        ..Written::default()
    });
    #[rustfmt::skip]
    let recipients = [
        // what the case shows               recipient                          separator   taken
        ("an address",                       "ann@example.org",                 None,       true),
        ("in any case",                      "ANN@EXAMPLE.ORG",                 None,       true),
        ("in needless quotes",               "\"ann\"@example.org",             None,       true),
        ("with a detail, where there are",   "ann+x@example.org",               Some('+'),  true),
        ("else that is somebody else",       "ann+x@example.org",               None,       false),
        ("a name that has the address in it", "\"ann@example.org\"@x.test",      None,       false),
        ("percent in it",                    "ann%example.org@x.test",          Some('+'),  false),
        ("a domain",                         "who@lab.example",                 None,       true),
        ("not below it",                     "who@a.lab.example",               None,       false),
        ("below a domain",                   "who@a.staff.example",             None,       true),
        ("not the domain",                   "who@staff.example",               None,       false),
        ("a name anywhere",                  "postmaster@x.test",               None,       true),
        ("another",                          "bob@example.org",                 None,       false),
        ("the domain's end alone",           "ann@evil-example.org",            None,       false),
    ];
    for (shows, recipient, separator, taken) in recipients {
        assert_eq!(
            scope.reaches(&key(recipient, separator), false).is_ok(),
            taken,
            "{shows}"
        );
    }
    let another = key("bob@example.org", None);
    assert!(scope.reaches(&another, true).is_ok(), "a table has it");
    assert!(
        scope
            .sends_as(Some(&key("scanner@example.org", None)), false)
            .is_ok()
    );
    assert!(scope.sends_as(None, false).is_ok(), "<> is listed");
    assert_eq!(
        scope.sends_as(Some(&another), false).unwrap_err().to_string(),
        "scope \"x\" is not for the sender bob@example.org"
    );
    let without = Written {
        senders: list(&["@example.org"]),
        ..Written::default()
    };
    let without = without.read("x", &TimeZone::UTC).unwrap();
    assert!(without.sends_as(None, false).is_err(), "<> is not listed");
    assert!(Scope::default().sends_as(None, false).is_ok());
}

#[test]
fn as_text() {
    let written = Written {
        listeners: list(&["submission", "my phone"]),
        mechanisms: list(&["PLAIN"]),
        networks: list(&["192.0.2.0/24"]),
        hours: list(&["Mon-Fri 08:00-18:00"]),
        zone: Some("Europe/Berlin".into()),
        senders: list(&["ann@example.org"]),
        recipients: list(&["@lab.example", "<>"]),
    };
    assert_eq!(written.to_string().parse(), Ok(written.clone()));
    assert!(Written::default().is_empty() && !written.is_empty());
    assert_eq!("".parse(), Ok(Written::default()));
    for bad in ["listener", "colour blue", "listener x\nwho knows"] {
        assert!(bad.parse::<Written>().is_err(), "{bad:?}");
    }
    let none = Written::default;
    #[rustfmt::skip]
    let cases = [
        ("an hour",          Written { hours: list(&["noon"]), ..none() }),
        ("a zone",           Written { zone: Some("Middle/Earth".into()), ..none() }),
        ("a network",        Written { networks: list(&["10.0.0.0/40"]), ..none() }),
        ("an address",       Written { recipients: list(&["a b"]), ..none() }),
        ("a line end",       Written { listeners: list(&["a\nrecipient *"]), ..none() }),
        ("too many",         Written { listeners: vec!["x".into(); 201], ..none() }),
        ("too long",         Written { listeners: vec!["x".repeat(321)], ..none() }),
    ];
    for (shows, written) in cases {
        assert!(written.read("x", &TimeZone::UTC).is_err(), "{shows}");
    }
}
