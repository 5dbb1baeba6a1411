//! How many sessions of strangers are connected to a filter: so many and no more, so that whoever floods the server leaves the filter to
//! those who are known; and so many of one network, so that it does not take them from all the others.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use parking_lot::Mutex;
use postern_policy::network::wide;
use tokio::time::Instant;

/// How long strangers have less time after one of them found no place.
const SCARCE_FOR: Duration = Duration::from_secs(60);

/// One network has at most this part of all places, and at least one.
const NETWORK_PART: u32 = 8;

/// The places that strangers have at one filter.
#[derive(Debug, Default)]
pub(crate) struct Strangers(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    all: Tally,
    /// Those that have any places.
    networks: HashMap<IpNet, Tally>,
}

#[derive(Debug, Default)]
struct Tally {
    seated: u32,
    /// When one found no place last.
    refused_at: Option<Instant>,
}

/// One stranger's place, until dropped.
#[derive(Debug)]
pub(super) struct Place {
    strangers: Arc<Strangers>,
    network: IpNet,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct NoPlace {
    /// The one network whose places are all taken; `None` where all are.
    pub(super) network: Option<IpNet>,
    /// How many places those are.
    pub(super) most: u32,
    /// Whether strangers had time enough before: those who wait are to be told that there is less.
    pub(super) is_news: bool,
}

impl Strangers {
    /// A place for `peer`, if fewer than `most` are taken, and its network has not its part of them.
    pub(super) fn place(self: &Arc<Self>, peer: IpAddr, most: u32) -> Result<Place, NoPlace> {
        let network = wide(peer);
        let part = (most / NETWORK_PART).max(1);
        let mut state = self.0.lock();
        let State { all, networks } = &mut *state;
        if all.seated >= most {
            return Err(NoPlace {
                network: None,
                most,
                is_news: all.refuse(),
            });
        }
        let of_network = networks.entry(network).or_default();
        if of_network.seated >= part {
            return Err(NoPlace {
                network: Some(network),
                most: part,
                is_news: of_network.refuse(),
            });
        }
        all.seated += 1;
        of_network.seated += 1;
        drop(state);
        Ok(Place {
            strangers: Arc::clone(self),
            network,
        })
    }

    /// Whether a stranger, or one of this peer's network, found no place a short while ago. Those who have one then get less time.
    pub(crate) fn are_scarce(&self, peer: IpAddr) -> bool {
        let state = self.0.lock();
        let of_network = state.networks.get(&wide(peer));
        state.all.is_scarce() || of_network.is_some_and(Tally::is_scarce)
    }
}

impl Tally {
    /// Takes note that one found no place; tells whether that is news.
    fn refuse(&mut self) -> bool {
        let is_news = !self.is_scarce();
        self.refused_at = Some(Instant::now());
        is_news
    }

    fn is_scarce(&self) -> bool {
        self.refused_at.is_some_and(|at| at.elapsed() < SCARCE_FOR)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.strangers.0.lock();
        state.all.seated -= 1;
        if let Some(of_network) = state.networks.get_mut(&self.network) {
            of_network.seated -= 1;
            if of_network.seated == 0 {
                state.networks.remove(&self.network);
            }
        }
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
            let state = strangers.0.lock();
            assert!(state.networks.is_empty() && state.all.seated == 0, "{most}");
        }
    }

    fn peer(text: &str) -> IpAddr {
        text.parse().unwrap()
    }
}
