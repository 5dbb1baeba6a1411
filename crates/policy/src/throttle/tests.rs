use std::net::Ipv4Addr;

use super::ThrottleVerdict::{Busy, Check, Full, LockedOut};
use super::*;

const HOME: Source = Source::Peer(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
const AWAY: Source = Source::Peer(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)));

fn settings() -> ThrottleSettings {
    ThrottleSettings {
        free_failures: 2,
        first_delay: Duration::from_secs(1),
        delay_max: Duration::from_secs(6),
        failures_max: 7,
        window: Duration::from_secs(600),
        lockout_time: Duration::from_secs(300),
        lockout_time_max: Duration::from_secs(1_000),
        network_failures_max: 12,
        network_lockout_failures: 60,
        login_failures_max: 1_000,
        entries_max: 100,
        network: NetworkPrefix::default(),
    }
}

fn wait(seconds: u64) -> ThrottleVerdict {
    Check(Duration::from_secs(seconds))
}

/// Asks, and cancels the check.
fn check(throttle: &mut LoginThrottle, source: &Source, login: &str, now: Instant) -> ThrottleVerdict {
    let (verdict, ticket) = throttle.begin(source, login, now);
    throttle.end(&ticket);
    verdict
}

/// A wrong password.
fn fail(throttle: &mut LoginThrottle, source: &Source, login: &str, now: Instant) -> Vec<Alarm> {
    throttle.failure(source, login, None, Weight::Wrong, now)
}

/// The right one.
fn succeed(throttle: &mut LoginThrottle, source: &Source, login: &str, now: Instant) {
    throttle.success(source, login, login, now);
}

fn is_lockout(alarms: &[Alarm]) -> bool {
    alarms.iter().any(|alarm| matches!(alarm, Alarm::Pair { .. }))
}

fn peer(number: usize) -> Source {
    Source::Peer(IpAddr::V4(Ipv4Addr::from(
        0x0a00_0000 + u32::try_from(number).unwrap(),
    )))
}

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

#[test]
fn a_check_ends_as_it_began_whatever_a_reload_changed() {
    let now = Instant::now();
    let mut throttle = LoginThrottle::new(settings());
    let (_, ticket) = throttle.begin(&HOME, "acaird", now);
    throttle.configure(ThrottleSettings {
        network: NetworkPrefix {
            v4: 24,
            ..NetworkPrefix::default()
        },
        ..settings()
    });
    succeed(&mut throttle, &HOME, "acaird", now);
    throttle.end(&ticket);
    assert!(throttle.under_way.is_empty());
}

#[test]
fn many_guesses_at_once_get_no_further_than_one_after_the_other() {
    let now = Instant::now();
    let mut throttle = LoginThrottle::new(settings());
    let mut tickets = Vec::new();
    let mut at_once = |throttle: &mut LoginThrottle, login: &dyn Fn(usize) -> String| {
        (0..100)
            .take_while(|number| {
                let (verdict, ticket) = throttle.begin(&HOME, &login(*number), now);
                let began = matches!(verdict, Check(_));
                match began {
                    true => tickets.push(ticket),
                    false => throttle.end(&ticket),
                }
                began
            })
            .count()
    };
    let one = |_| "acaird".to_owned();
    assert_eq!(
        at_once(&mut throttle, &one),
        7,
        "as many as may fail until the lockout"
    );
    let many = |number| format!("user{number}");
    assert_eq!(
        at_once(&mut throttle, &many),
        5,
        "and as many of a network as may fail until it is slow"
    );
    assert_eq!(
        check(&mut throttle, &AWAY, "acaird", now),
        wait(0),
        "from elsewhere"
    );
    assert_eq!(tickets.len(), 12);
    for ticket in &tickets {
        throttle.end(ticket);
    }
    assert!(throttle.under_way.is_empty(), "nothing is kept of what is over");
    for _ in 0..7 {
        fail(&mut throttle, &HOME, "acaird", now);
    }
    let later = now + settings().lockout_time;
    let (verdict, first) = throttle.begin(&HOME, "acaird", later);
    assert_eq!(verdict, wait(6), "after the lockout, one");
    assert_eq!(
        check(&mut throttle, &HOME, "acaird", later),
        Busy,
        "and no second one beside it"
    );
    throttle.end(&first);
    assert!(throttle.under_way.is_empty());
}

#[test]
fn failures_slow_then_bar_the_pair_and_nobody_else() {
    let now = Instant::now();
    let mut throttle = LoginThrottle::new(settings());
    for expected in [0, 0, 0, 1, 2, 4, 6] {
        assert_eq!(check(&mut throttle, &HOME, "acaird", now), wait(expected));
        fail(&mut throttle, &HOME, "acaird", now);
    }
    #[rustfmt::skip]
    let cases = [
        // what the case shows                       peer   login       seconds later  verdict
        ("the pair is locked out",                       HOME,  "acaird",   0,             LockedOut(seconds(300))),
        ("in another case too",                      HOME,  " ACaird ", 0,             LockedOut(seconds(300))),
        ("and spelled otherwise",                    HOME,  "ac\u{e1}ird\u{ad}", 0,    LockedOut(seconds(300))),
        ("for a time",                               HOME,  "acaird",   299,           LockedOut(seconds(1))),
        ("then slow, as the failures still count",   HOME,  "acaird",   300,           wait(6)),
        ("until they do not",                        HOME,  "acaird",   600,           wait(0)),
        ("the login elsewhere is not",               AWAY,  "acaird",   0,             wait(0)),
        ("nor are others from there",                HOME,  "boss",     0,             wait(0)),
    ];
    for (shows, peer, login, later, verdict) in cases {
        assert_eq!(
            check(&mut throttle, &peer, login, now + seconds(later)),
            verdict,
            "{shows}"
        );
    }
}

#[test]
fn each_bar_is_twice_as_long_up_to_a_limit() {
    let mut now = Instant::now();
    let mut throttle = LoginThrottle::new(settings());
    let mut lengths = Vec::new();
    for _ in 0..4 {
        let alarms: Vec<Alarm> = (0..7)
            .flat_map(|_| fail(&mut throttle, &HOME, "acaird", now))
            .collect();
        let Some(Alarm::Pair { locked_out, .. }) =
            alarms.iter().find(|alarm| is_lockout(&[(*alarm).clone()]))
        else {
            panic!("{alarms:?}");
        };
        lengths.push(locked_out.as_secs());
        now += *locked_out;
    }
    assert_eq!(lengths, [300, 600, 1_000, 1_000]);
    now += seconds(2_000);
    for _ in 0..7 {
        fail(&mut throttle, &HOME, "acaird", now);
    }
    let verdict = check(&mut throttle, &HOME, "acaird", now);
    assert_eq!(
        verdict,
        LockedOut(seconds(300)),
        "after a long pause it begins anew"
    );
}

#[test]
fn a_phone_with_an_old_password_does_not_lock_its_owner_out_for_ever_longer() {
    let mut now = Instant::now();
    let mut throttle = LoginThrottle::new(settings());
    succeed(&mut throttle, &HOME, "acaird", now);
    for _ in 0..3 {
        for _ in 0..7 {
            fail(&mut throttle, &HOME, "acaird", now);
        }
        assert_eq!(
            check(&mut throttle, &HOME, "acaird", now),
            LockedOut(seconds(300))
        );
        now += seconds(300);
    }
}

#[test]
fn what_is_given_up_counts_half() {
    let now = Instant::now();
    let mut throttle = LoginThrottle::new(settings());
    let give_up =
        |throttle: &mut LoginThrottle| throttle.failure(&HOME, "acaird", None, Weight::GivenUp, now);
    for _ in 0..13 {
        assert_eq!(give_up(&mut throttle), []);
    }
    assert!(is_lockout(&give_up(&mut throttle)), "fourteen are seven");
}

#[test]
fn spellings_of_one_account_share_its_lockout() {
    let now = Instant::now();
    let mut throttle = LoginThrottle::new(settings());
    for number in 0..6 {
        let typed = format!("alias{number}");
        let alarms = throttle.failure(&HOME, &typed, Some("acaird"), Weight::Wrong, now);
        assert!(!is_lockout(&alarms));
    }
    assert_eq!(throttle.account_locked_out(&HOME, "acaird", now), None);
    let alarms = throttle.failure(&HOME, "ACAIRD", Some("acaird"), Weight::Wrong, now);
    assert!(is_lockout(&alarms), "its own name counts with them");
    assert_eq!(
        throttle.account_locked_out(&HOME, "acaird", now),
        Some(seconds(300))
    );
    assert_eq!(throttle.account_locked_out(&AWAY, "acaird", now), None);
    assert_eq!(
        throttle.networks.halves(&HOME, now, settings().window),
        14,
        "each counts once for the network"
    );
}

#[test]
fn a_place_without_addresses_slows_and_never_locks_out() {
    let now = Instant::now();
    let mut throttle = LoginThrottle::new(settings());
    let (socket, other) = (Source::Place("imap".into()), Source::Place("web".into()));
    for number in 0..50 {
        assert_eq!(
            fail(&mut throttle, &socket, "acaird", now),
            [],
            "never locked out"
        );
        fail(&mut throttle, &socket, &format!("user{number}"), now);
    }
    #[rustfmt::skip]
    let cases = [
        // what the case shows                       source    login     verdict
        ("the login is slow there",                  &socket,  "acaird", wait(6)),
        ("a stranger to it is not",                  &socket,  "boss",   wait(0)),
        ("nor is the login at another place",        &other,   "acaird", wait(0)),
        ("nor from an address",                      &HOME,    "acaird", wait(0)),
    ];
    for (shows, source, login, verdict) in cases {
        assert_eq!(check(&mut throttle, source, login, now), verdict, "{shows}");
    }
    for _ in 0..7 {
        let (verdict, _) = throttle.begin(&socket, "acaird", now);
        assert_eq!(verdict, wait(6), "some at once");
    }
    assert_eq!(check(&mut throttle, &socket, "acaird", now), Busy, "and not more");
    assert_eq!(throttle.networks.len() + throttle.logins.len(), 0);
}

#[test]
fn a_failure_says_when_it_bars_and_says_it_once() {
    let now = Instant::now();
    let mut throttle = LoginThrottle::new(settings());
    let said: Vec<_> = (0..8)
        .map(|_| is_lockout(&fail(&mut throttle, &HOME, "acaird", now)))
        .collect();
    assert_eq!(said, [false, false, false, false, false, false, true, false]);
}

#[test]
fn a_login_forgets_the_failures_before_it() {
    let now = Instant::now();
    let mut throttle = LoginThrottle::new(settings());
    for _ in 0..6 {
        fail(&mut throttle, &HOME, "acaird", now);
    }
    succeed(&mut throttle, &HOME, "ACAIRD", now);
    assert_eq!(check(&mut throttle, &HOME, "acaird", now), wait(0));
    assert!(!is_lockout(&fail(&mut throttle, &HOME, "acaird", now)));
}

#[test]
fn a_network_that_tries_many_logins_is_slowed_then_barred_and_its_users_are_not() {
    let now = Instant::now();
    let mut throttle = LoginThrottle::new(settings());
    succeed(&mut throttle, &HOME, "acaird", now);
    for number in 0..12 {
        fail(&mut throttle, &HOME, &format!("user{number}"), now);
    }
    let (verdict, one) = throttle.begin(&HOME, "boss", now);
    assert_eq!(verdict, wait(1), "slow, and each failure makes it slower");
    assert_eq!(check(&mut throttle, &HOME, "other", now), Busy, "one at a time");
    assert_eq!(
        check(&mut throttle, &HOME, "acaird", now),
        wait(0),
        "who is known there"
    );
    assert_eq!(
        check(&mut throttle, &AWAY, "boss", now),
        wait(0),
        "from elsewhere"
    );
    throttle.end(&one);
    let alarms: Vec<Alarm> = (12..60)
        .flat_map(|number| fail(&mut throttle, &HOME, &format!("user{number}"), now))
        .collect();
    let locked_out = seconds(300);
    assert_eq!(
        alarms,
        [Alarm::Network {
            failures: 60,
            locked_out
        }],
        "said once, with the count"
    );
    assert_eq!(check(&mut throttle, &HOME, "boss", now), LockedOut(locked_out));
    assert_eq!(
        check(&mut throttle, &HOME, "acaird", now),
        wait(0),
        "who is known there"
    );
    assert_eq!(check(&mut throttle, &HOME, "boss", now + locked_out), wait(6));
}

#[test]
fn five_guesses_a_second_from_one_address_end_in_a_lockout() {
    let start = Instant::now();
    let settings = ThrottleSettings::default();
    let mut throttle = LoginThrottle::new(settings);
    let (mut running, mut checked, mut locked_out) = (Vec::<(Instant, Ticket, String)>::new(), 0, None);
    for number in 0..1_500_u32 {
        let now = start + Duration::from_millis(200) * number;
        for (_, ticket, login) in running.extract_if(.., |(due, ..)| *due <= now) {
            fail(&mut throttle, &HOME, &login, now);
            throttle.end(&ticket);
        }
        let login = format!("user{number}");
        let (verdict, ticket) = throttle.begin(&HOME, &login, now);
        match verdict {
            Check(delay) => {
                checked += 1;
                running.push((now + delay + Duration::from_millis(50), ticket, login));
                continue;
            }
            // As the driver does when the wait is too long.
            Busy | Full => drop(throttle.turned_away(&ticket, now)),
            LockedOut(_) => locked_out = locked_out.or(Some(now - start)),
        }
        throttle.end(&ticket);
    }
    let locked_out = locked_out.expect("a lockout");
    assert!(locked_out < seconds(60), "{locked_out:?}");
    assert!(checked < 60, "{checked} guesses were checked in five minutes");
}

#[test]
fn a_login_under_attack_from_everywhere_is_slow_for_strangers_alone() {
    let now = Instant::now();
    let mut throttle = LoginThrottle::new(ThrottleSettings {
        login_failures_max: 20,
        ..settings()
    });
    succeed(&mut throttle, &HOME, "acaird", now);
    let alarms: Vec<Alarm> = (0..50)
        .flat_map(|number| fail(&mut throttle, &peer(number), "acaird", now))
        .collect();
    let alarm = |failures| Alarm::Login {
        login: "acaird".into(),
        failures,
    };
    assert_eq!(
        alarms,
        [alarm(20), alarm(40)],
        "said once, and when it has doubled"
    );
    let (verdict, mut one) = throttle.begin(&peer(100), "acaird", now);
    assert_eq!(verdict, wait(6), "slow from a network that it has not been at");
    assert_eq!(
        check(&mut throttle, &peer(101), "acaird", now),
        Busy,
        "one at a time"
    );
    for _ in 0..50 {
        assert_eq!(
            check(&mut throttle, &HOME, "acaird", now),
            wait(0),
            "never at home"
        );
    }
    assert_eq!(
        check(&mut throttle, &peer(101), "boss", now),
        wait(0),
        "another login"
    );
    throttle.challenged(&mut one);
    assert_eq!(
        check(&mut throttle, &peer(101), "acaird", now),
        wait(6),
        "who has a challenge and takes his time holds nobody up"
    );
    throttle.end(&one);
    let waiting: Vec<_> = (0..40)
        .map(|number| throttle.begin(&peer(200 + number), "acaird", now))
        .collect();
    let count = |wanted| waiting.iter().filter(|(verdict, _)| *verdict == wanted).count();
    assert_eq!((count(wait(6)), count(Busy), count(Full)), (1, 20, 19));
    for (_, ticket) in &waiting {
        throttle.end(ticket);
    }
    assert!(throttle.under_way.is_empty());
    fail(&mut throttle, &HOME, "acaird", now);
    let month = now + KNOWN_FOR;
    assert!(
        !throttle.begin(&HOME, "acaird", month).1.is_known(),
        "known for a month"
    );
}

#[test]
fn one_customer_of_ipv6_has_one_count() {
    let now = Instant::now();
    let mut throttle = LoginThrottle::new(settings());
    for host in 0..7_u16 {
        let peer = Source::Peer(format!("2001:db8:0:1::{host:x}").parse().unwrap());
        fail(&mut throttle, &peer, "acaird", now);
    }
    let mut verdict = |peer: &str| check(&mut throttle, &Source::Peer(peer.parse().unwrap()), "acaird", now);
    assert!(matches!(verdict("2001:db8:0:1::99"), LockedOut(_)));
    assert_eq!(verdict("2001:db8:0:2::99"), wait(0));
}

#[test]
fn bars_can_be_read_and_lifted() {
    let now = Instant::now();
    let mut throttle = LoginThrottle::new(ThrottleSettings {
        login_failures_max: 10,
        network_lockout_failures: 16,
        ..settings()
    });
    for _ in 0..7 {
        fail(&mut throttle, &HOME, "acaird", now);
    }
    for _ in 0..9 {
        fail(&mut throttle, &HOME, "boss", now);
    }
    for number in 0..10 {
        fail(&mut throttle, &peer(number), "acaird", now);
    }
    let told = |throttle: &LoginThrottle| -> Vec<(bool, Option<String>, u32, Option<u64>)> {
        let lockouts = throttle.lockouts(now + seconds(1)).into_iter();
        lockouts
            .map(|lockout| {
                let left = lockout.left.map(|left| left.as_secs());
                (lockout.source.is_some(), lockout.login, lockout.failures, left)
            })
            .collect()
    };
    let (acaird, boss) = (Some("acaird".to_owned()), Some("boss".to_owned()));
    let (network, pair, other, login) = (
        (true, None, 16, Some(299)),
        (true, acaird.clone(), 7, Some(299)),
        (true, boss, 9, Some(299)),
        (false, acaird, 17, None),
    );
    assert_eq!(told(&throttle), [network.clone(), pair, other.clone(), login]);
    #[rustfmt::skip]
    let cases = [
        // what the case shows            network       login            lifted  left
        ("nobody's",                      Some(&HOME),  Some("nobody"),  0,      4),
        ("of another network",            Some(&AWAY),  None,            0,      4),
        ("all of a login, as typed",      None,         Some("ACaird"),  2,      2),
        ("one login of a network",        Some(&HOME),  Some("boss"),    1,      1),
        ("all of a network",              Some(&HOME),  None,            1,      0),
    ];
    for (shows, source, login, lifted, left) in cases {
        assert_eq!(throttle.unlock(source, login, now), lifted, "{shows}");
        assert_eq!(throttle.lockouts(now).len(), left, "{shows}");
    }
    assert_eq!(
        check(&mut throttle, &HOME, "acaird", now),
        wait(0),
        "and all is forgotten"
    );
    assert_eq!(check(&mut throttle, &HOME, "boss", now), wait(0));
}

#[test]
fn memory_is_bounded_and_forgets_the_longest_untouched() {
    let now = Instant::now();
    let mut throttle = LoginThrottle::new(ThrottleSettings {
        network_failures_max: u32::MAX,
        network_lockout_failures: u32::MAX,
        ..settings()
    });
    for _ in 0..7 {
        fail(&mut throttle, &HOME, "old", now);
        fail(&mut throttle, &HOME, "touched", now);
    }
    for number in 0..99 {
        fail(&mut throttle, &HOME, &format!("user{number}"), now);
        fail(&mut throttle, &HOME, "touched", now);
        succeed(&mut throttle, &peer(number), "somebody", now);
        succeed(&mut throttle, &peer(number), "another", now);
    }
    assert_eq!((throttle.pairs.len(), throttle.known.len()), (100, 100));
    assert_eq!(check(&mut throttle, &HOME, "old", now), wait(0));
    assert!(matches!(
        check(&mut throttle, &HOME, "touched", now),
        LockedOut(_)
    ));
    throttle.configure(ThrottleSettings {
        entries_max: 10,
        ..settings()
    });
    fail(&mut throttle, &HOME, "another", now);
    assert_eq!(throttle.pairs.len(), 10);
}

#[test]
fn no_count_overflows_a_delay_or_a_lockout() {
    let settings = ThrottleSettings {
        first_delay: Duration::MAX,
        lockout_time: Duration::MAX,
        ..settings()
    };
    for failures in [3, 34, 35, 36, u32::MAX / 2] {
        assert_eq!(settings.delay(failures * WHOLE), settings.delay_max);
    }
    let mut throttle = LoginThrottle::new(settings);
    for _ in 0..100 {
        fail(&mut throttle, &HOME, "acaird", Instant::now());
    }
}

#[test]
fn logins_that_cannot_be_guessed_wait_for_their_network_alone() {
    let start = Instant::now();
    let mut throttle = LoginThrottle::new(settings());
    for _ in 0..11 {
        assert_eq!(throttle.network_failure(&HOME, start), None);
    }
    assert_eq!(
        throttle.network_wait(&HOME, start),
        Duration::ZERO,
        "not many yet"
    );
    throttle.network_failure(&HOME, start);
    let longest = seconds(6);
    assert_eq!(throttle.network_wait(&HOME, start), longest, "many");
    assert_eq!(
        throttle.network_wait(&AWAY, start),
        Duration::ZERO,
        "from elsewhere"
    );
    let later = start + seconds(601);
    assert_eq!(throttle.network_wait(&HOME, later), Duration::ZERO, "long ago");
}
