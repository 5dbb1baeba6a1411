//! Limits how many sessions of strangers are connected to a filter, so that a flood leaves room at the filter for known clients;
//! and how many of one network, so that it cannot take all places from the others. An IPv6 site has many networks, and so a limit
//! of its own. A session without a place can wait for one, but no more sessions wait than there are places.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use parking_lot::Mutex;
use postern_policy::network::{wide, wider};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// How long strangers have shorter time limits after one of them found no place.
const SCARCE_FOR: Duration = Duration::from_secs(60);

/// One network has at most one in this many places, but at least one.
const NETWORK_PART: u32 = 8;

/// The same for all networks of a `/48` together.
const SITE_PART: u32 = 4;

/// The places that strangers have at one filter.
#[derive(Debug, Default)]
pub(crate) struct Strangers {
    state: Mutex<State>,
    /// Told whenever a place is free again.
    freed: Notify,
}

#[derive(Debug, Default)]
struct State {
    all: Tally,
    /// Networks that have any places.
    networks: HashMap<IpNet, Tally>,
}

#[derive(Debug, Default)]
struct Tally {
    seated: u32,
    /// How many wait for a place.
    waiting: u32,
    /// When a stranger last found no place.
    refused_at: Option<Instant>,
}

/// One stranger's place, until dropped.
#[derive(Debug)]
pub(super) struct Place {
    strangers: Arc<Strangers>,
    peer: IpAddr,
}

/// The turn of one stranger who waits for a place, until dropped.
#[derive(Debug)]
struct Turn {
    strangers: Arc<Strangers>,
    peer: IpAddr,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct NoPlace {
    /// The one network whose places are all taken; `None` where all are.
    pub(super) network: Option<IpNet>,
    /// How many places these are.
    pub(super) most: u32,
    /// Whether time limits were normal before: waiting sessions must be told that they are shorter now.
    pub(super) is_news: bool,
}

impl Strangers {
    /// A place for `peer`, if fewer than `most` are taken and its network has not used up its share.
    pub(super) fn place(self: &Arc<Self>, peer: IpAddr, most: u32) -> Result<Place, NoPlace> {
        let mut state = self.state.lock();
        let State { all, networks } = &mut *state;
        if all.seated >= most {
            return Err(NoPlace {
                network: None,
                most,
                is_news: all.refuse(),
            });
        }
        for (network, part) in shares(peer) {
            let most = (most / part).max(1);
            if let Some(tally) = networks.get_mut(&network).filter(|tally| tally.seated >= most) {
                return Err(NoPlace {
                    network: Some(network),
                    most,
                    is_news: tally.refuse(),
                });
            }
        }
        all.seated += 1;
        for (network, _) in shares(peer) {
            networks.entry(network).or_default().seated += 1;
        }
        drop(state);
        Ok(Place {
            strangers: Arc::clone(self),
            peer,
        })
    }

    /// The same, but who finds none waits until one is free: for so long, and if not as many wait already as there are places, for all and
    /// for those of a network.
    pub(super) async fn wait(
        self: &Arc<Self>,
        peer: IpAddr,
        most: u32,
        patience: Duration,
    ) -> Result<Place, NoPlace> {
        let none = match self.place(peer, most) {
            Err(none) if !patience.is_zero() => none,
            found => return found,
        };
        let Some(_turn) = self.line_up(peer, most) else {
            return Err(none);
        };
        let end = Instant::now() + patience;
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            // From here on it hears of each place, also of one that becomes free before it waits.
            freed.as_mut().enable();
            let none = match self.place(peer, most) {
                Ok(place) => return Ok(place),
                Err(none) => none,
            };
            if timeout_at(end, freed).await.is_err() {
                return Err(none);
            }
        }
    }

    /// A turn for who waits; `None` where too many wait already.
    fn line_up(self: &Arc<Self>, peer: IpAddr, most: u32) -> Option<Turn> {
        let mut state = self.state.lock();
        let State { all, networks } = &mut *state;
        let has_room = |(network, part): (IpNet, u32)| {
            let waiting = networks.get(&network).map_or(0, |tally: &Tally| tally.waiting);
            waiting < (most / part).max(1)
        };
        if all.waiting >= most || !shares(peer).all(has_room) {
            return None;
        }
        all.waiting += 1;
        for (network, _) in shares(peer) {
            networks.entry(network).or_default().waiting += 1;
        }
        drop(state);
        Some(Turn {
            strangers: Arc::clone(self),
            peer,
        })
    }

    /// Whether a stranger, or one in this peer's network, recently found no place. Those who have one then get less time.
    pub(crate) fn are_scarce(&self, peer: IpAddr) -> bool {
        let state = self.state.lock();
        let is_scarce = |network| state.networks.get(&network).is_some_and(Tally::is_scarce);
        state.all.is_scarce() || shares(peer).any(|(network, _)| is_scarce(network))
    }
}

/// The networks of a peer that have shares, the smaller first, each with the divisor of its share.
fn shares(peer: IpAddr) -> impl Iterator<Item = (IpNet, u32)> {
    let site = wider(peer).map(|site| (site, SITE_PART));
    [Some((wide(peer), NETWORK_PART)), site].into_iter().flatten()
}

impl Tally {
    /// Notes that a stranger found no place; returns whether that is news.
    fn refuse(&mut self) -> bool {
        let is_news = !self.is_scarce();
        self.refused_at = Some(Instant::now());
        is_news
    }

    fn is_scarce(&self) -> bool {
        self.refused_at.is_some_and(|at| at.elapsed() < SCARCE_FOR)
    }
}

impl State {
    /// Changes the tallies of a peer's networks, and forgets those in which nobody is.
    fn leave(&mut self, peer: IpAddr, leave: impl Fn(&mut Tally)) {
        leave(&mut self.all);
        for (network, _) in shares(peer) {
            if let Some(tally) = self.networks.get_mut(&network) {
                leave(tally);
                if tally.seated == 0 && tally.waiting == 0 {
                    self.networks.remove(&network);
                }
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.strangers
            .state
            .lock()
            .leave(self.peer, |tally| tally.seated -= 1);
        self.strangers.freed.notify_waiters();
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.strangers
            .state
            .lock()
            .leave(self.peer, |tally| tally.waiting -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn as_many_as_there_may_be() {
        let strangers = Arc::new(Strangers::default());
        let [one, other, third] = ["192.0.2.1", "198.51.100.1", "203.0.113.1"].map(peer);
        let first = strangers.place(one, 2);
        let second = strangers.place(other, 2);
        assert!(first.is_ok() && second.is_ok() && !strangers.are_scarce(one));
        assert!(strangers.place(third, 2).is_err() && strangers.are_scarce(one));
        assert!(strangers.place(third, 3).is_ok(), "a reload that allows more");
        drop(first);
        assert!(strangers.place(third, 2).is_ok());
        tokio::time::advance(SCARCE_FOR).await;
        assert!(!strangers.are_scarce(one));
    }

    #[tokio::test(start_paused = true)]
    async fn a_network_leaves_places_to_others() {
        #[rustfmt::skip]
        let cases = [
            // most  of a network   its peers                        another
            (1,      1,   ["192.0.2.1", "192.0.2.2"],                None),
            (7,      1,   ["192.0.2.1", "192.0.2.255"],              Some("192.0.3.1")),
            (200,    25,  ["192.0.2.1", "::ffff:192.0.2.2"],         Some("192.0.3.1")),
            (200,    25,  ["2001:db8:0:1::1", "2001:db8:0:ff::1"],   Some("2001:db8:0:100::1")),
        ];
        for (most, part, peers, another) in cases {
            let peers = peers.map(peer);
            let strangers = Arc::new(Strangers::default());
            let mut turns = peers.iter().cycle();
            let mut place = || strangers.place(*turns.next().unwrap(), most);
            let mut flood: Vec<Place> = (0..part).map(|_| place().unwrap()).collect();
            let refused = place().unwrap_err();
            let network = another.is_some().then(|| wide(peers[0]));
            let first = NoPlace {
                network,
                most: part,
                is_news: true,
            };
            assert_eq!(refused, first, "{most}");
            assert!(!place().unwrap_err().is_news, "{most}");
            assert!(strangers.are_scarce(peers[0]), "{most}");
            if let Some(another) = another.map(peer) {
                assert!(!strangers.are_scarce(another), "others have their time");
                assert!(strangers.place(another, most).is_ok(), "{most}");
            }
            flood.pop();
            flood.push(place().unwrap());
            tokio::time::advance(SCARCE_FOR).await;
            assert!(place().unwrap_err().is_news, "after a while it is news again");
            flood.clear();
            let state = strangers.state.lock();
            assert!(state.networks.is_empty() && state.all.seated == 0, "{most}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_site_of_many_networks_leaves_places_to_others() {
        let strangers = Arc::new(Strangers::default());
        let place = |text: &str| strangers.place(peer(text), 200);
        let mut flood = Vec::new();
        // Each /56 of a /48 in turn: eight of them would have taken all places.
        let refused = (0..200).find_map(|number| {
            let network = (number % 16) << 8;
            match place(&format!("2001:db8:1:{network:x}::{number:x}")) {
                Ok(place) => {
                    flood.push(place);
                    None
                }
                Err(none) => Some(none),
            }
        });
        let site = "2001:db8:1::/48".parse().ok();
        let refused = refused.map(|none| (none.network, none.most));
        assert_eq!((flood.len(), refused), (50, Some((site, 50))));
        assert!(strangers.are_scarce(peer("2001:db8:1:ffff::1")));
        assert!(!strangers.are_scarce(peer("2001:db8:2::1")));
        assert!(place("2001:db8:2::1").is_ok() && place("192.0.2.1").is_ok());
        flood.pop();
        assert!(place("2001:db8:1::1").is_ok());
        flood.clear();
        let state = strangers.state.lock();
        assert!(state.networks.is_empty() && state.all.seated == 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_place_waits_for_one() {
        let strangers = Arc::new(Strangers::default());
        let patience = Duration::from_secs(10);
        let [one, other] = ["192.0.2.1", "198.51.100.1"].map(peer);
        let began = Instant::now();
        let first = strangers.place(one, 1).unwrap();
        let none = strangers.wait(other, 1, Duration::ZERO).await.unwrap_err();
        assert_eq!(
            (none.most, began.elapsed()),
            (1, Duration::ZERO),
            "who may not wait"
        );
        let none = strangers.wait(other, 1, patience).await.unwrap_err();
        assert_eq!((none.most, began.elapsed()), (1, patience), "in vain");

        let waiting = tokio::spawn({
            let strangers = Arc::clone(&strangers);
            async move { strangers.wait(other, 1, patience).await }
        });
        tokio::task::yield_now().await;
        assert_eq!(strangers.state.lock().all.waiting, 1);
        let began = Instant::now();
        let none = strangers.wait(one, 1, patience).await;
        assert!(
            none.is_err() && began.elapsed().is_zero(),
            "no more wait than there are places"
        );
        tokio::time::advance(patience / 2).await;
        drop(first);
        let second = waiting.await.unwrap();
        assert!(second.is_ok(), "it was free in time");
        assert!(strangers.place(one, 1).is_err());
        drop(second);
        let state = strangers.state.lock();
        assert!(state.networks.is_empty() && state.all.seated == 0 && state.all.waiting == 0);
    }

    #[tokio::test(start_paused = true)]
    async fn one_network_does_not_take_the_turns_of_others() {
        let strangers = Arc::new(Strangers::default());
        let _all: Vec<Place> = (0..16)
            .map(|number| strangers.place(peer(&format!("203.0.{number}.1")), 16).unwrap())
            .collect();
        // An eighth of 16.
        let turns: Vec<Turn> = (1..=2)
            .map(|number| strangers.line_up(peer(&format!("192.0.2.{number}")), 16).unwrap())
            .collect();
        assert!(strangers.line_up(peer("192.0.2.3"), 16).is_none());
        assert!(strangers.line_up(peer("192.0.3.3"), 16).is_some());
        drop(turns);
        assert!(strangers.line_up(peer("192.0.2.3"), 16).is_some());
    }

    fn peer(text: &str) -> IpAddr {
        text.parse().unwrap()
    }
}
