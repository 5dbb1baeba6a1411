//! A fair queue for a scarce resource: each requester gets its turn, however many others ask and however often.
//!
//! Those in better standing go first, except in some turns, so that nobody starves; within a standing, keys such as networks take
//! turns. When there is no more room, the key with the most waiting loses one first.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// The standing of a requester.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Standing {
    /// The user name has recently succeeded from this network.
    Known,
    /// Nothing is known.
    #[default]
    Stranger,
    /// Logins from this network have recently failed.
    Suspect,
}

/// Who goes first in each turn: known ones in half of the turns, suspects in one of eight.
const FIRST: [Standing; 8] = [
    Standing::Known,
    Standing::Stranger,
    Standing::Known,
    Standing::Stranger,
    Standing::Known,
    Standing::Stranger,
    Standing::Known,
    Standing::Suspect,
];

/// What waits, by key.
#[derive(Debug)]
pub struct FairQueue<K, T> {
    /// Most that may wait of each standing.
    standing_max: usize,
    /// By standing, the best first.
    lanes: [Lane<K, T>; 3],
    turns: usize,
}

#[derive(Debug)]
struct Lane<K, T> {
    /// Keys with something waiting, the next one first.
    order: VecDeque<K>,
    waiting: HashMap<K, VecDeque<T>>,
    len: usize,
}

impl<K: Clone + Eq + Hash, T> FairQueue<K, T> {
    /// An empty queue for up to this many of each standing.
    #[must_use]
    pub fn new(standing_max: usize) -> Self {
        let lane = || Lane {
            order: VecDeque::new(),
            waiting: HashMap::new(),
            len: 0,
        };
        Self {
            standing_max,
            lanes: [lane(), lane(), lane()],
            turns: 0,
        }
    }

    /// Adds something to the queue of its key, which may have up to `key_max`. Returns what has no room: the same, or, if only
    /// the whole is full, the last of the key with the most.
    pub fn push(&mut self, key: K, key_max: usize, standing: Standing, item: T) -> Option<T> {
        let lane = &mut self.lanes[standing as usize];
        let own = lane.waiting.get(&key).map_or(0, VecDeque::len);
        if own >= key_max {
            return Some(item);
        }
        let mut dropped = None;
        if lane.len >= self.standing_max {
            let longest = lane.waiting.iter().max_by_key(|(_, waiting)| waiting.len());
            match longest.map(|(key, waiting)| (key.clone(), waiting.len())) {
                Some((longest, len)) if len > own + 1 => dropped = lane.take_last(&longest),
                _ => return Some(item),
            }
        }
        lane.push(key, item);
        dropped
    }

    /// Takes out the one whose turn it is.
    pub fn pop(&mut self) -> Option<T> {
        let first = FIRST[self.turns % FIRST.len()];
        self.turns = (self.turns + 1) % FIRST.len();
        let item = self.lanes[first as usize].pop();
        item.or_else(|| self.lanes.iter_mut().find_map(Lane::pop))
    }

    /// Removes what need not wait any more.
    pub fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        self.lanes.iter_mut().for_each(|lane| lane.retain(&keep));
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lanes.iter().map(|lane| lane.len).sum()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K: Clone + Eq + Hash, T> Lane<K, T> {
    fn push(&mut self, key: K, item: T) {
        let waiting = self.waiting.entry(key.clone()).or_default();
        if waiting.is_empty() {
            self.order.push_back(key);
        }
        waiting.push_back(item);
        self.len += 1;
    }

    fn pop(&mut self) -> Option<T> {
        let key = self.order.pop_front()?;
        let waiting = self.waiting.get_mut(&key)?;
        let item = waiting.pop_front();
        self.len -= usize::from(item.is_some());
        match waiting.is_empty() {
            true => drop(self.waiting.remove(&key)),
            false => self.order.push_back(key),
        }
        item
    }

    fn take_last(&mut self, key: &K) -> Option<T> {
        let item = self.waiting.get_mut(key)?.pop_back()?;
        self.len -= 1;
        self.tidy();
        Some(item)
    }

    fn retain(&mut self, keep: &impl Fn(&T) -> bool) {
        self.waiting.values_mut().for_each(|waiting| waiting.retain(keep));
        self.len = self.waiting.values().map(VecDeque::len).sum();
        self.tidy();
    }

    fn tidy(&mut self) {
        self.waiting.retain(|_, waiting| !waiting.is_empty());
        self.order.retain(|key| self.waiting.contains_key(key));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Standing::{Known, Stranger, Suspect};
    use super::*;

    const KEY_MAX: usize = 4;
    const STANDING_MAX: usize = 8;

    fn drain(queue: &mut FairQueue<&'static str, String>) -> String {
        let all: Vec<String> = std::iter::from_fn(|| queue.pop()).collect();
        all.join(" ")
    }

    #[test]
    fn the_turn_goes_round() {
        let mut queue = FairQueue::new(STANDING_MAX);
        for (key, item) in [
            ("a", "a1"),
            ("a", "a2"),
            ("a", "a3"),
            ("b", "b1"),
            ("c", "c1"),
            ("b", "b2"),
        ] {
            assert_eq!(queue.push(key, KEY_MAX, Stranger, item.to_owned()), None);
        }
        assert_eq!(drain(&mut queue), "a1 b1 c1 a2 b2 a3");
        assert!(queue.is_empty() && queue.lanes[1].waiting.is_empty());
    }

    #[test]
    fn who_is_known_goes_first_and_leaves_nobody_out() {
        let mut queue = FairQueue::new(STANDING_MAX);
        for number in 0..4 {
            queue.push("attacker", KEY_MAX, Suspect, format!("x{number}"));
            queue.push("home", KEY_MAX, Known, format!("h{number}"));
            queue.push("office", KEY_MAX, Known, format!("o{number}"));
            queue.push("abroad", KEY_MAX, Stranger, format!("s{number}"));
        }
        assert_eq!(
            drain(&mut queue),
            "h0 s0 o0 s1 h1 s2 o1 x0 h2 s3 o2 h3 o3 x1 x2 x3"
        );
    }

    #[test]
    fn who_has_most_gives_way() {
        let mut queue = FairQueue::new(STANDING_MAX);
        let push = |queue: &mut FairQueue<&'static str, String>, key, item: &str| {
            queue.push(key, KEY_MAX, Stranger, item.to_owned())
        };
        for number in 0..4 {
            assert_eq!(push(&mut queue, "a", &format!("a{number}")), None);
            assert_eq!(push(&mut queue, "b", &format!("b{number}")), None);
        }
        assert_eq!(
            push(&mut queue, "a", "a4").as_deref(),
            Some("a4"),
            "no room for the key"
        );
        let dropped = push(&mut queue, "c", "c0").unwrap();
        assert!(dropped == "a3" || dropped == "b3", "{dropped}");
        assert_eq!(
            queue.push("h", KEY_MAX, Known, "h0".into()),
            None,
            "the known have room of their own"
        );
        assert_eq!(queue.len(), 9);
        queue.retain(|item| item.starts_with('c'));
        assert_eq!(drain(&mut queue), "c0");
        let mut alone = FairQueue::new(2);
        for key in ["a", "b"] {
            assert_eq!(alone.push(key, KEY_MAX, Stranger, String::new()), None);
        }
        assert_eq!(
            alone.push("c", KEY_MAX, Stranger, "c".to_owned()).as_deref(),
            Some("c"),
            "nobody has more"
        );
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_doubled(pushes in proptest::collection::vec((0_u8..6, 0_usize..3, any::<bool>()), 0..80)) {
            let mut queue = FairQueue::new(STANDING_MAX);
            let (mut inside, mut out) = (0_usize, 0_usize);
            for (number, (key, standing, pops)) in pushes.iter().enumerate() {
                inside += 1;
                out += usize::from(queue.push(*key, KEY_MAX, [Known, Stranger, Suspect][*standing], number).is_some());
                if *pops {
                    out += usize::from(queue.pop().is_some());
                }
                prop_assert_eq!(queue.len(), inside - out);
                prop_assert!(queue.lanes.iter().all(|lane| lane.len <= STANDING_MAX));
            }
            while queue.pop().is_some() {
                out += 1;
            }
            prop_assert_eq!(inside, out);
        }
    }
}
