use std::path::PathBuf;

use postern_mail::Status;
use postern_policy::route::TlsLevel;

use super::*;
use crate::failure::Cause;
use crate::hop::HopKind;
use crate::relay::Relay;

impl Destination {
    /// A plain Maildir destination.
    pub(crate) fn for_tests() -> Arc<Self> {
        let hop = NextHop {
            kind: HopKind::Maildir(PathBuf::from("/x")),
            tls: TlsLevel::None,
            verify: false,
            login: None,
            lane: postern_policy::route::Lane::default(),
        };
        Arc::new(Self::new(hop.name(), hop))
    }
}

fn work(id: i64) -> Work {
    Work::for_tests(id)
}

fn work_of(class: Class, id: i64) -> Work {
    Work {
        class,
        ..Work::for_tests(id)
    }
}

fn taken(destination: &Destination, may_wait: bool, arriving: bool) -> Option<i64> {
    match destination.take(Class::Users, |_| true, may_wait, arriving) {
        Taken::Work(work) => Some(work.id.as_i64()),
        Taken::Idle | Taken::Leave => None,
    }
}

fn hired(destination: &Destination, limits: &Limits, free: usize) -> bool {
    destination.hire(Class::Users, limits, free)
}

fn failure() -> Failure {
    Failure::temporary(
        Status(4, 4, 1),
        &Relay::named("mx"),
        Cause::Unreached("down".into()),
    )
}

#[test]
fn workers_are_hired_for_work_within_bounds() {
    let destination = Destination::for_tests();
    let limits = Limits {
        connections_per_destination: 3,
        ..Limits::default()
    };
    assert!(!hired(&destination, &limits, 100), "nothing to do");
    for id in 1..=9 {
        assert!(destination.offer(work(id), &limits).is_ok());
    }
    assert!(hired(&destination, &limits, 100) && hired(&destination, &limits, 100));
    assert!(
        !hired(&destination, &limits, 100),
        "two until it has shown that it works"
    );
    destination.succeeded(&limits);
    destination.succeeded(&limits);
    assert!(hired(&destination, &limits, 100));
    assert!(!hired(&destination, &limits, 100), "no more than the setting");
    destination.leave(Class::Users, true);
    assert!(
        !hired(&destination, &limits, 3),
        "few connections are left for others"
    );
    destination.leave(Class::Users, true);
    destination.leave(Class::Users, true);
    assert!(
        hired(&destination, &limits, 0),
        "one is always started, and waits its turn"
    );
}

#[tokio::test]
async fn each_message_gets_one_worker() {
    let destination = Destination::for_tests();
    let limits = Limits::default();
    for id in 1..=2 {
        destination.offer(work(id), &limits).ok();
        assert!(hired(&destination, &limits, 9));
        assert!(!hired(&destination, &limits, 9), "one is on its way");
    }
    assert_eq!(
        (taken(&destination, true, true), taken(&destination, true, true)),
        (Some(1), Some(2))
    );
    assert_eq!(
        (taken(&destination, true, false), taken(&destination, true, false)),
        (None, None)
    );
    assert_eq!(destination.status(Timestamp::UNIX_EPOCH, |time| time).idle, 2);
    destination.succeeded(&limits);
    destination.offer(work(3), &limits).ok();
    destination.offer(work(4), &limits).ok();
    assert_eq!(destination.status(Timestamp::UNIX_EPOCH, |time| time).idle, 0);
    assert!(!hired(&destination, &limits, 9), "both idle ones were called");
    destination.offer(work(5), &limits).ok();
    assert!(hired(&destination, &limits, 9), "a third one is needed");
    assert!(!destination.withdraw(Class::Users), "called: it cannot end");
    destination.called().await;
    destination.called().await;
    assert_eq!(
        (taken(&destination, true, true), taken(&destination, true, true)),
        (Some(3), Some(4))
    );
    assert_eq!(taken(&destination, true, true), Some(5));
    assert_eq!(taken(&destination, true, false), None);
    assert!(destination.withdraw(Class::Users));
    assert_eq!(
        destination.status(Timestamp::UNIX_EPOCH, |time| time).connections,
        2
    );
}

#[test]
fn a_full_queue_gives_work_back() {
    let destination = Destination::for_tests();
    let limits = Limits {
        waiting_per_destination: 2,
        ..Limits::default()
    };
    assert!(destination.offer(work(1), &limits).is_ok());
    assert_eq!(
        destination.room(&limits),
        [1, 2, 2],
        "each kind of mail has its own"
    );
    assert!(destination.offer(work(2), &limits).is_ok());
    assert_eq!(
        destination.offer(work(3), &limits).err().map(|work| work.id),
        Some(QueueId::from_i64(3))
    );
    destination.note_backlog(&"example.org".into());
    let shortage = destination.shortage().expect("few are waiting");
    assert_eq!(shortage.domains.len(), 1);
    assert!(destination.shortage().is_none(), "asked for once");
    destination.forget(&[QueueId::from_i64(1)]);
    hired(&destination, &limits, 9);
    assert_eq!(taken(&destination, false, true), Some(2));
}

#[test]
fn a_dead_destination_pauses_longer_each_time() {
    let destination = Destination::for_tests();
    let limits = Limits::default();
    let at = |second| Timestamp::from_second(second).unwrap();
    let pause = |failures: u32| Duration::from_secs(u64::from(failures) * 10);
    assert_eq!(
        destination.connect_failed(at(0), &failure(), pause),
        Setback::Paused
    );
    assert_eq!(destination.paused(at(9)).map(|pause| pause.until), Some(at(10)));
    assert_eq!(destination.paused(at(10)), None);
    assert_eq!(
        destination.connect_failed(at(5), &failure(), pause),
        Setback::Paused
    );
    assert_eq!(
        destination.paused(at(9)).map(|pause| pause.until),
        Some(at(10)),
        "failures of one moment count once"
    );
    destination.connect_failed(at(12), &failure(), pause);
    assert_eq!(destination.paused(at(13)).map(|pause| pause.until), Some(at(32)));
    for id in 1..=3 {
        destination.offer(work(id), &limits).ok();
    }
    assert!(hired(&destination, &limits, 100));
    assert!(
        !hired(&destination, &limits, 100),
        "one worker is enough to find out"
    );
    let _connection = destination.connected();
    assert_eq!(destination.paused(at(13)), None);
    assert!(hired(&destination, &limits, 100));
}

#[test]
fn one_connection_too_many_is_no_pause() {
    let destination = Destination::for_tests();
    let limits = Limits::default();
    let connection = destination.connected();
    let never = |_| -> Duration { panic!("no pause") };
    assert_eq!(
        destination.connect_failed(Timestamp::UNIX_EPOCH, &failure(), never),
        Setback::Fewer
    );
    assert_eq!(destination.status(Timestamp::UNIX_EPOCH, |time| time).window, 1);
    destination.succeeded(&limits);
    assert_eq!(
        destination.status(Timestamp::UNIX_EPOCH, |time| time).window,
        1,
        "not asked for more for a while"
    );
    drop(connection);
    let pause = |_| Duration::from_secs(1);
    assert_eq!(
        destination.connect_failed(Timestamp::UNIX_EPOCH, &failure(), pause),
        Setback::Paused,
        "the connection is gone"
    );
}

#[test]
fn mail_of_a_pausing_destination_is_read_in_small_steps() {
    let destination = Destination::for_tests();
    let now = Timestamp::now();
    assert_eq!(destination.allowance(now), usize::MAX);
    destination.connect_failed(now, &failure(), |_| Duration::from_secs(60));
    assert_eq!(destination.allowance(now), SLOW_READ);
    destination.note_read(SLOW_READ - 1);
    assert_eq!(destination.allowance(now), 1);
    destination.note_read(5);
    assert_eq!(destination.allowance(now), 0);
    std::thread::sleep(SLOW_PERIOD);
    assert_eq!(destination.allowance(now), SLOW_READ);
    destination.end_pause();
    assert_eq!(destination.allowance(now), usize::MAX);
}

#[test]
fn a_login_that_fails_as_before_is_no_news() {
    use postern_smtp::Reply;
    use postern_smtp::client::Stage;

    let refused = |code, status, text: &'static str| {
        Failure::refused(
            Stage::Auth,
            &Reply::fixed(code, status, text),
            &Relay::named("mx"),
        )
        .passing()
    };
    let own = |text: &str| {
        let text = text.to_owned();
        Failure::temporary(
            Status(4, 7, 0),
            &Relay::Nowhere,
            Cause::Login {
                reply: None,
                text: text.into(),
            },
        )
    };
    #[rustfmt::skip]
    let steps = [
        ("the first time",         Err(refused(535, Status(5, 7, 8), "no, id 1")),   true),
        ("another id, no more",    Err(refused(535, Status(5, 7, 8), "no, id 2")),   false),
        ("another status",         Err(refused(535, Status(5, 7, 9), "no, id 3")),   true),
        ("another code",           Err(refused(534, Status(5, 7, 9), "no, id 4")),   true),
        ("our own words",          Err(own("no token")),                             true),
        ("the same",               Err(own("no token")),                             false),
        ("other words",            Err(own("not offered")),                          true),
        ("it works",               Ok("PLAIN"),                                      true),
        ("it goes on working",     Ok("PLAIN"),                                      false),
        ("it fails again",         Err(own("not offered")),                          true),
    ];
    let destination = Destination::for_tests();
    for (shows, went, news) in steps {
        let noted = destination.note_login(Timestamp::UNIX_EPOCH, went.as_ref().map(|mechanism| *mechanism));
        assert_eq!(noted, news, "{shows}");
    }
}

#[test]
fn kinds_of_mail_take_turns_as_far_as_there_are_places() {
    let destination = Destination::for_tests();
    let limits = Limits::default();
    for id in 0..20 {
        destination
            .offer(work_of(Class::Strangers, 100 + id), &limits)
            .ok();
        destination.offer(work_of(Class::Reports, 200 + id), &limits).ok();
    }
    for id in 0..5 {
        destination.offer(work_of(Class::Users, id), &limits).ok();
    }
    assert!(destination.hire(Class::Strangers, &limits, 9));
    let mut own = Class::Strangers;
    let mut order = Vec::new();
    let mut arriving = true;
    // Reports get no place.
    let may = |class| class != Class::Reports;
    for _ in 0..10 {
        if let Taken::Work(work) = destination.take(own, may, false, std::mem::take(&mut arriving)) {
            own = work.class;
            order.push(work.id.as_i64());
        }
    }
    assert_eq!(order, [0, 100, 1, 2, 3, 101, 4, 102, 103, 104]);
    destination.leave(own, false);
    assert_eq!(
        destination.status(Timestamp::UNIX_EPOCH, |time| time).connections,
        0
    );
    let waiting = destination
        .status(Timestamp::UNIX_EPOCH, |time| time)
        .waiting_by_class;
    assert_eq!((waiting.users, waiting.strangers, waiting.reports), (0, 15, 20));
}

#[test]
fn each_kind_of_mail_gets_a_first_worker_and_stands_in_line_once() {
    let destination = Destination::for_tests();
    let limits = Limits::default();
    destination.offer(work_of(Class::Strangers, 1), &limits).ok();
    destination.offer(work_of(Class::Users, 2), &limits).ok();
    assert!(destination.wants(Class::Strangers, &limits, 0) && destination.enter_line(Class::Strangers));
    assert!(
        !destination.wants(Class::Strangers, &limits, 9),
        "it waits already"
    );
    assert!(!destination.enter_line(Class::Strangers));
    assert!(
        destination.hire(Class::Users, &limits, 0),
        "one is always started"
    );
    assert!(
        !destination.wants(Class::Users, &limits, 0),
        "few places are left for others"
    );
    destination.leave_line(Class::Strangers);
    assert!(destination.wants(Class::Strangers, &limits, 0));
    assert!(!destination.wants(Class::Reports, &limits, 9), "there is nothing");
}
