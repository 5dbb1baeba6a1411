//! Tests.

use crate::control::protocol::{StatusDirectory, Totals};

use super::*;

fn status() -> Status {
    Status {
        version: "1.0.0 (0123456789ab)".into(),
        process: 42,
        started_at: "2026-11-22T09:30:20Z".parse().unwrap(),
        verdict: Verdict::Ok,
        findings: Vec::new(),
        sessions: 3,
        sessions_max: 10_000,
        queue: Totals {
            messages: 2,
            recipients: 5,
            held: 1,
            size: 2048,
            ..Totals::default()
        },
        oldest_s: Some(3_700),
        disk_free: Some(5 << 30),
        connections: vec![PlacesStatus {
            class: "strangers".into(),
            connections: 104,
            reserved: 200,
            most: 400,
            unproven: 100,
            unproven_most: 100,
            in_line: 900,
            in_line_for_address: 12,
            short: true,
        }],
        directories: ["users (directory 1)", "ldap (directory 2)"]
            .map(|directory| StatusDirectory {
                directory: directory.to_owned(),
                state: "up".to_owned(),
            })
            .to_vec(),
        problem: None,
    }
}

#[test]
fn all_is_on_one_screen() {
    let now = "2026-11-22T10:30:20Z".parse().unwrap();
    let mut status = status();
    assert_eq!(
        text(&status, now),
        "OK: all is well\n\
         postern 1.0.0 (0123456789ab) runs as process 42 for 1h\n\
         sessions     3 of 10000\n\
         queue        2 messages, 5 recipients, 1 held, 2.0 KiB, oldest 1h 1m\n\
         disk         5.0 GiB free\n\
         connections  strangers: 104 of 400, new hosts 100 of 100, 912 hosts overdue\n\
         directories  users (directory 1): up\n\
         \x20            ldap (directory 2): up\n"
    );
    status.verdict = Verdict::Critical;
    status.findings = vec![
        Finding {
            verdict: Verdict::Critical,
            brief: "no mail is taken".into(),
            problem:
                "no mail is taken: the disk is full: there is no room left on the device that the queue is on"
                    .into(),
            remedy: "make room".into(),
        },
        Finding {
            verdict: Verdict::Warning,
            brief: "certificate mx.crt expires in 9d".into(),
            problem: "the certificate mx.crt expires in 9d".into(),
            remedy: "renew it, then postern reload".into(),
        },
    ];
    let shown = text(&status, now);
    assert!(
        shown.starts_with(
            "CRITICAL: 1 critical, 1 warning: no mail is taken and 1 more\n\
             postern 1.0.0 (0123456789ab) runs as process 42 for 1h\n\
             \n\
             critical  no mail is taken: the disk is full: there is no room left on the\n\
             \x20         device that the queue is on\n\
             \x20         make room\n\
             warning   the certificate mx.crt expires in 9d\n\
             \x20         renew it, then postern reload\n\
             \n\
             sessions     3 of 10000\n"
        ),
        "{shown}"
    );
    assert!(shown.lines().all(|line| line.len() <= 80), "{shown}");
}

#[test]
fn monitors_go_by_how_it_ends() {
    for (verdict, exit) in [(Verdict::Warning, 1), (Verdict::Critical, 2)] {
        let seen = Seen::Runs(Box::new(Status { verdict, ..status() }));
        assert_eq!(seen.end().unwrap_err().exit as i32, exit);
    }
    assert!(Seen::Runs(Box::new(status())).end().is_ok());
    let nothing = Seen::Nothing("/var/lib/postern".into());
    assert_eq!(nothing.end().unwrap_err().exit as i32, 2);
    assert!(
        nothing
            .text()
            .starts_with("CRITICAL: 1 critical: no server runs\n\ncritical  no server runs"),
        "{}",
        nothing.text()
    );
    assert_eq!(nothing.json()["findings"][0]["verdict"], "critical");
    assert_eq!(Exit::Unknown as i32, 3);
}
