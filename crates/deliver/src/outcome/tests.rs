use std::time::Duration;

use super::*;
use crate::failure::Cause;

const HOUR: i64 = 3_600;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + seconds).unwrap()
}

fn settings() -> RetrySettings {
    RetrySettings {
        intervals: vec![Duration::from_secs(600)],
        expire_after: Duration::from_secs(24 * 3_600),
        warn_after: Some(Duration::from_secs(4 * 3_600)),
    }
}

fn failed(permanent: bool) -> Fate {
    let (relay, cause) = (Relay::named("mx"), Cause::Settings("no".into()));
    Fate::Failed(if permanent {
        Failure::permanent(Status(5, 1, 1), &relay, cause)
    } else {
        Failure::temporary(Status(4, 1, 1), &relay, cause)
    })
}

fn delivered(success: SuccessReport) -> Fate {
    Fate::Delivered {
        relay: Relay::Nowhere,
        attempt: Attempt::default(),
        success,
    }
}

fn on(success: bool, failure: bool, delay: bool) -> Notify {
    Notify::On {
        success,
        failure,
        delay,
    }
}

/// What the case shows, what happened, NOTIFY, hours since arrival, whether warned before; outcome, notice.
type Case = (
    &'static str,
    Fate,
    Notify,
    i64,
    bool,
    &'static str,
    Option<&'static str>,
);

#[test]
fn what_is_recorded_and_reported() {
    use Notify::{Never, Unspecified};
    use SuccessReport::{Delivered, NextHop, Relayed};
    #[rustfmt::skip]
    let cases: Vec<Case> = vec![
        ("success is not reported unasked",  delivered(Delivered), Unspecified,             0, false, "delivered", None),
        ("success in a mailbox",             delivered(Delivered), on(true, false, false),  0, false, "delivered", Some("delivered")),
        ("success handed on",                delivered(Relayed),   on(true, false, false),  0, false, "delivered", Some("relayed")),
        ("the next hop reports",             delivered(NextHop),   on(true, false, false),  0, false, "delivered", None),
        ("success was not asked for",        delivered(Relayed),   on(false, true, true),   0, false, "delivered", None),
        ("failure is reported unasked",      failed(true),         Unspecified,             0, false, "bounced",   Some("failed")),
        ("failure, asked for",               failed(true),         on(false, true, false),  0, false, "bounced",   Some("failed")),
        ("failure, only success wanted",     failed(true),         on(true, false, false),  0, false, "bounced",   None),
        ("failure, nothing wanted",          failed(true),         Never,                   0, false, "bounced",   None),
        ("for now",                          failed(false),        Unspecified,             0, false, "deferred",  None),
        ("for now, long since",              failed(false),        Unspecified,             5, false, "deferred warned", Some("delayed")),
        ("warned before",                    failed(false),        Unspecified,             5, true,  "deferred",  None),
        ("delay not wanted",                 failed(false),        on(false, true, false),  5, false, "deferred warned", None),
        ("nothing wanted",                   failed(false),        Never,                   5, false, "deferred warned", None),
        ("too long",                         failed(false),        Unspecified,            24, true,  "expired",   Some("failed")),
        ("too long, nothing wanted",         failed(false),        Never,                  24, true,  "expired",   None),
    ];
    for (shows, fate, notify, hours, warned, outcome, notice) in cases {
        let due = Due {
            index: 0,
            attempts: 3,
            warned,
        };
        let times = Times {
            queued_at: at(0),
            now: at(hours * HOUR),
            not_before: None,
            jitter: 0.5,
        };
        let decision = decide(fate, &due, notify, &times, &settings());
        let got = match &decision.outcome {
            Outcome::Delivered(_) => "delivered",
            Outcome::Bounced(_) => "bounced",
            Outcome::Expired(attempt) => {
                assert_eq!(attempt.status, Some(Status(5, 4, 7)), "{shows}");
                "expired"
            }
            Outcome::Deferred { warned: true, .. } => "deferred warned",
            Outcome::Deferred { .. } => "deferred",
            Outcome::Removed { .. } => "removed",
        };
        assert_eq!(got, outcome, "{shows}");
        let got = decision.notice.map(|notice| match notice {
            Notice::Failed => "failed",
            Notice::Delayed { until } => {
                assert_eq!(until, at(24 * HOUR), "{shows}");
                "delayed"
            }
            Notice::Relayed => "relayed",
            Notice::Delivered => "delivered",
        });
        assert_eq!(got, notice, "{shows}");
    }
}

#[test]
fn no_attempt_before_a_pause_is_over() {
    let due = Due {
        index: 0,
        attempts: 0,
        warned: false,
    };
    let until = |not_before| {
        let times = Times {
            queued_at: at(0),
            now: at(0),
            not_before,
            jitter: 0.5,
        };
        match decide(failed(false), &due, Notify::Unspecified, &times, &settings()).outcome {
            Outcome::Deferred { until, .. } => until,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(until(None), at(600));
    assert_eq!(until(Some(at(300))), at(600), "the retry is later anyway");
    assert_eq!(until(Some(at(900))), at(900));
    assert_eq!(
        until(Some(at(48 * HOUR))),
        at(24 * HOUR),
        "the last attempt is when it expires"
    );
}
