use postern_policy::route::TlsLevel;
use tokio::time::{advance, sleep};

use super::*;
use crate::hop::{HopKind, NextHop};

const PATIENCE: Duration = Duration::from_secs(8);

fn destination(name: &str) -> Arc<Destination> {
    let hop = NextHop {
        kind: HopKind::Mx(name.into()),
        tls: TlsLevel::Opportunistic,
        verify: false,
        login: None,
        lane: postern_policy::route::Lane::default(),
    };
    Arc::new(Destination::new(hop.name(), hop))
}

fn many(count: usize, stem: &str) -> Vec<Arc<Destination>> {
    (0..count)
        .map(|n| destination(&format!("{stem}{n}.test")))
        .collect()
}

/// Places for as many hosts as there are, out of a thousand; the others are in line.
fn fill(places: &Arc<Places>, class: Class, hosts: &[Arc<Destination>]) -> Vec<Seat> {
    let mut seats = Vec::new();
    for host in hosts {
        match places.take(class, host) {
            Some(seat) => seats.push(seat),
            None => places.line_up(InLine::stand(host, class).unwrap()),
        }
    }
    seats
}

fn next(places: &Arc<Places>) -> Option<(Seat, String)> {
    match places.next() {
        Next::Place(seat, in_line) => Some((seat, in_line.leave().name.clone())),
        Next::Wait(_) => None,
    }
}

#[tokio::test(start_paused = true)]
async fn silent_hosts_of_strangers_and_reports_take_nothing_from_users() {
    let places = Places::new(1_000, PATIENCE);
    let strangers = fill(&places, Class::Strangers, &many(2_000, "s"));
    let reports = fill(&places, Class::Reports, &many(2_000, "r"));
    assert_eq!(
        (strangers.len(), reports.len()),
        (51, 26),
        "half of each part, and then at a pace"
    );
    let users: Vec<Seat> = many(125, "u")
        .iter()
        .map(|host| {
            places
                .take(Class::Users, host)
                .expect("there is a place for users at once")
        })
        .collect();
    // Proven hosts have the rest of their share, and the common part.
    let known = destination("known.test");
    users[0].prove();
    places
        .take(Class::Users, &known)
        .expect("one for a new host")
        .prove();
    let busy: Vec<Seat> = (0..400)
        .map_while(|_| places.take(Class::Users, &known))
        .collect();
    assert_eq!(busy.len(), 400);
    assert!(
        places
            .status()
            .iter()
            .any(|one| one.class == "strangers" && one.in_line > 1_900)
    );
}

/// A new host does not wait for silent ones, though two thousand new hosts came before it.
#[tokio::test(start_paused = true)]
async fn a_new_host_is_tried_soon_behind_two_thousand_silent_ones() {
    let places = Places::new(1_000, PATIENCE);
    let mut held: VecDeque<(Instant, Seat)> = fill(&places, Class::Users, &many(2_000, "silent"))
        .into_iter()
        .map(|seat| (Instant::now(), seat))
        .collect();
    let mut waited = Vec::new();
    for round in 0..40 {
        let live = destination(&format!("live{round}.test"));
        let came = Instant::now();
        let mut mine = None;
        match places.take(Class::Users, &live) {
            Some(seat) => mine = Some(seat),
            None => places.line_up(InLine::stand(&live, Class::Users).unwrap()),
        }
        while mine.is_none() {
            while held.front().is_some_and(|(since, _)| since.elapsed() >= PATIENCE) {
                held.pop_front();
            }
            match places.next() {
                Next::Place(seat, host) if host.destination().name == live.name => mine = Some(seat),
                Next::Place(seat, _) => held.push_back((Instant::now(), seat)),
                Next::Wait(_) => advance(Duration::from_millis(1)).await,
            }
        }
        waited.push(came.elapsed());
        assert!(places.hurry(Class::Users).is_some(), "silent hosts get less time");
        drop(mine);
        advance(Duration::from_millis(731)).await;
    }
    let longest = waited.iter().max().unwrap();
    assert!(*longest <= Duration::from_millis(66), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_host_that_took_mail_of_late_keeps_its_places() {
    let places = Places::new(100, PATIENCE);
    let known = destination("known.test");
    let seat = places.take(Class::Users, &known).unwrap();
    seat.enter("192.0.2.1".parse().unwrap()).unwrap();
    seat.prove();
    assert!(places.is_proven(Class::Users, &known));
    assert!(
        !places.is_proven(Class::Strangers, &known),
        "strangers' mail proves nothing to users, nor theirs to them"
    );
    let mut silent: Vec<Seat> = Vec::new();
    let hosts = many(100, "silent");
    silent.extend(fill(&places, Class::Users, &hosts));
    while silent.len() < 25 {
        advance(PATIENCE / 12).await;
        silent.push(next(&places).expect("at a pace").0);
    }
    advance(PATIENCE).await;
    assert!(next(&places).is_none(), "all that silent hosts may have");
    let more: Vec<Seat> = (0..60).map_while(|_| places.take(Class::Users, &known)).collect();
    assert_eq!(more.len(), 44, "seventy for users, one and 25 of them taken");
    // Another domain at that address is proven once the address is.
    let cousin = destination("cousin.test");
    let places = Places::new(100, PATIENCE);
    let first = places.take(Class::Users, &known).unwrap();
    first.enter("192.0.2.1".parse().unwrap()).unwrap();
    first.prove();
    let second = places.take(Class::Users, &cousin).unwrap();
    second.enter("192.0.2.1".parse().unwrap()).unwrap();
    let users = &places.status()[0];
    assert_eq!((users.connections, users.unproven), (2, 0));
    // One that times out must prove itself again.
    first.doubt();
    assert!(!places.is_proven(Class::Users, &known));
    assert_eq!(places.status()[0].unproven, 1);
}

#[tokio::test(start_paused = true)]
async fn one_address_and_one_network_have_a_part() {
    let places = Places::new(1_000, PATIENCE);
    let enter = |host: usize, address: &str| {
        let seat = places
            .take(Class::Users, &destination(&format!("d{host}.test")))
            .unwrap();
        let entered = seat.enter(address.parse().unwrap());
        (seat, entered.map_err(|site| site.to_string()))
    };
    let mut seats = Vec::new();
    for host in 0..31 {
        let (seat, entered) = enter(host, "192.0.2.1");
        assert_eq!(entered, Ok(()));
        seats.push(seat);
    }
    assert_eq!(enter(31, "192.0.2.1").1, Err("192.0.2.1".into()));
    for host in 32..63 {
        let (seat, entered) = enter(host, "192.0.2.2");
        assert_eq!(entered, Ok(()));
        seats.push(seat);
    }
    assert_eq!(enter(63, "192.0.2.3").1, Err("192.0.2.0/24".into()));
    assert_eq!(enter(64, "198.51.100.1").1, Ok(()));

    // An entry that had to wait for it is next when there is room.
    let waiting = destination("waits.test");
    let site = Site::of("192.0.2.1".parse().unwrap())[0];
    let stand = |host: &Arc<Destination>| InLine::stand(host, Class::Users).unwrap();
    places.park(site, stand(&waiting));
    assert!(next(&places).is_none());
    drop(seats.pop());
    assert!(next(&places).is_none(), "that was another address");
    drop(seats.remove(0));
    assert_eq!(next(&places).expect("there is room").1, "mx:waits.test");
    // Nothing to wait for: it is put in line.
    places.park(Site::of("203.0.113.1".parse().unwrap())[0], stand(&waiting));
    assert!(next(&places).is_some());
    drop(seats);
    assert!(places.state.lock().sites.is_empty());
}

/// Hosts that are down fail at once, and those after them are not paced.
#[tokio::test(start_paused = true)]
async fn hosts_that_fail_at_once_cost_no_time() {
    let places = Places::new(12, PATIENCE);
    let silent = fill(&places, Class::Users, &many(2, "silent"));
    assert_eq!(silent.len(), 2);
    for host in many(1_000, "down") {
        drop(
            places
                .take(Class::Users, &host)
                .expect("the one before was given back"),
        );
    }
    let _third = places.take(Class::Users, &destination("slow.test")).unwrap();
    assert!(places.take(Class::Users, &destination("new.test")).is_none());
}

#[tokio::test]
async fn a_place_comes_back_however_its_worker_ends() {
    let places = Places::new(4, PATIENCE);
    let host = destination("a.test");
    let seat = places.take(Class::Reports, &host).unwrap();
    let ended = tokio::spawn(async move {
        let _seat = seat;
        panic!("as a worker may");
    });
    assert!(ended.await.is_err());
    assert_eq!(places.status()[2].connections, 0);
}

#[tokio::test(start_paused = true)]
async fn a_place_can_change_its_class_where_there_is_one() {
    let places = Places::new(4, PATIENCE);
    let host = destination("a.test");
    let seat = places.take(Class::Strangers, &host).unwrap();
    seat.enter("192.0.2.1".parse().unwrap()).unwrap();
    assert!(seat.change(Class::Users));
    let held = |places: &Places| {
        places
            .status()
            .iter()
            .map(|one| one.connections)
            .collect::<Vec<_>>()
    };
    assert_eq!(held(&places), [1, 0, 0]);
    let _other = places.take(Class::Strangers, &destination("b.test")).unwrap();
    assert!(!seat.change(Class::Strangers), "the only one is taken");
    assert_eq!(held(&places), [1, 1, 0]);
    drop(seat);
    assert_eq!(held(&places), [0, 1, 0]);
    assert!(places.state.lock().sites.is_empty());
}

/// Nothing is polled in vain, and no connection is asked for its place needlessly.
#[tokio::test(start_paused = true)]
async fn idle_connections_are_asked_for_their_places_when_those_are_all_taken() {
    let places = Places::new(4, PATIENCE);
    let known = destination("known.test");
    let first = places.take(Class::Users, &known).unwrap();
    first.prove();
    let _second = places.take(Class::Users, &known).unwrap();
    assert!(!places.is_crowded(Class::Users));
    places.line_up(InLine::stand(&known, Class::Users).unwrap());
    assert!(places.is_crowded(Class::Users));
    first.wanted().await;
    drop(first);
    assert!(next(&places).is_some());
    assert!(!places.is_crowded(Class::Users));
}

#[tokio::test(start_paused = true)]
async fn a_silent_host_is_waited_for_until_others_want_its_place() {
    let places = Places::new(4, PATIENCE);
    let seat = places.take(Class::Users, &destination("silent.test")).unwrap();
    let began = Instant::now();
    tokio::select! {
        _ = seat.patience() => panic!("nobody else is there"),
        () = sleep(Duration::from_secs(60)) => {}
    }
    places.line_up(InLine::stand(&destination("other.test"), Class::Users).unwrap());
    assert_eq!(seat.patience().await, PATIENCE);
    assert!(began.elapsed() >= Duration::from_secs(60));
    assert_eq!(seat.hurry(), Some(PATIENCE));
    seat.prove();
    assert_eq!(seat.hurry(), None, "one that works has its time");
}
