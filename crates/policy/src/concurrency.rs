//! Who may have a connection to another host, and who waits: shares of scarce resources, by class of mail.
//!
//! Connections and memory are limited, and a silent host holds both for minutes. So each class of mail has a share that no other
//! class can take, and hosts that have accepted no mail recently only get a part of that share: however many silent hosts a
//! stranger names, there is room for users' mail, and for mail to hosts that work.
//!
//! How many connections one next hop may have is decided by [`HopState`].

mod hop;

use std::net::IpAddr;
use std::time::Duration;

pub use hop::{HopState, LIMIT_FIRST, Pause, Setback, pause_after};

use crate::network::NetworkPrefix;

/// The class of a message.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Class {
    /// From clients that may relay: authenticated users, listed networks, certificates.
    Users,
    /// From anybody else, for own domains, wherever aliases send it.
    Strangers,
    /// Reports of this server; strangers cause most of them.
    Reports,
}

impl Class {
    /// All of them, in the default order.
    pub const ALL: [Self; 3] = [Self::Users, Self::Strangers, Self::Reports];

    /// Its index in tables.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Its name in logs and listings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Strangers => "strangers",
            Self::Reports => "reports",
        }
    }

    /// Which class is first for the `turn`-th message of a next hop. The others follow in the order of [`Class::ALL`].
    ///
    /// Users have five turns of eight, strangers two, reports one; a turn that its class does not need goes to the next.
    #[must_use]
    pub const fn of_turn(turn: u8) -> Self {
        match turn % 8 {
            1 | 5 => Self::Strangers,
            3 => Self::Reports,
            _ => Self::Users,
        }
    }
}

/// How a total is shared out: half is reserved for users, a fifth for strangers, a tenth for reports; the rest is first come,
/// first served.
///
/// Of fewer than four nothing is reserved.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Shares {
    total: usize,
}

/// How much each class holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Usage {
    held: [usize; 3],
    unproven: [usize; 3],
}

impl Shares {
    /// Shares of this total.
    #[must_use]
    pub const fn of(total: usize) -> Self {
        Self { total }
    }

    /// What no other class can take.
    #[must_use]
    pub const fn reserved(self, class: Class) -> usize {
        if self.total < 4 {
            return 0;
        }
        let part = match class {
            Class::Users => self.total / 2,
            Class::Strangers => self.total / 5,
            Class::Reports => self.total / 10,
        };
        if part == 0 { 1 } else { part }
    }

    /// What is not reserved.
    #[must_use]
    pub fn common(self) -> usize {
        let reserved: usize = Class::ALL.iter().map(|class| self.reserved(*class)).sum();
        self.total - reserved
    }

    /// The most that a class can hold.
    #[must_use]
    pub fn most(self, class: Class) -> usize {
        self.reserved(class) + self.common()
    }

    /// The most that a class can hold for hosts that have accepted no mail recently: half of its reserved share.
    #[must_use]
    pub fn unproven(self, class: Class) -> usize {
        match self.reserved(class) {
            0 => self.total,
            reserved => reserved.div_ceil(2),
        }
    }

    /// How much more a class may take.
    #[must_use]
    pub fn room(self, usage: &Usage, class: Class, proven: bool) -> usize {
        let own = self.reserved(class).saturating_sub(usage.held(class));
        let borrowed: usize = Class::ALL
            .iter()
            .map(|class| usage.held(*class).saturating_sub(self.reserved(*class)))
            .sum();
        let room = own + self.common().saturating_sub(borrowed);
        if proven {
            room
        } else {
            room.min(self.unproven(class).saturating_sub(usage.unproven(class)))
        }
    }

    /// The most connections of one class to one address or network, as [`Site`]s are counted.
    ///
    /// A host that has accepted mail recently may have a quarter of all that the class can hold at one address, and half of it at
    /// one network; others, an eighth and a quarter of the share for such hosts.
    #[must_use]
    pub fn most_at(self, class: Class, width: Width, proven: bool) -> usize {
        let (share, parts, least) = match (proven, width) {
            (true, Width::Address) => (self.most(class), 4, 4),
            (true, Width::Network) => (self.most(class), 2, 8),
            (false, Width::Address) => (self.unproven(class), 8, 2),
            (false, Width::Network) => (self.unproven(class), 4, 4),
        };
        (share / parts).max(least)
    }

    /// The shortest interval between two places for hosts that have accepted no mail recently, once half of those places are
    /// taken.
    ///
    /// Each is released within `patience`, so at this pace they never run out: the next one waits one interval, not until a
    /// silent host is given up.
    #[must_use]
    pub fn pace(self, class: Class, patience: Duration) -> Duration {
        let half = self.unproven(class) / 2;
        patience / u32::try_from(half.max(1)).unwrap_or(u32::MAX)
    }

    /// Whether places for such hosts are paced.
    #[must_use]
    pub fn is_paced(self, usage: &Usage, class: Class) -> bool {
        let most = self.unproven(class);
        most > 1 && usage.unproven(class) >= most.div_ceil(2)
    }
}

impl Usage {
    /// What a class holds.
    #[must_use]
    pub const fn held(&self, class: Class) -> usize {
        self.held[class.index()]
    }

    /// What it holds for hosts that have accepted no mail recently.
    #[must_use]
    pub const fn unproven(&self, class: Class) -> usize {
        self.unproven[class.index()]
    }

    /// Takes this amount.
    pub const fn take(&mut self, class: Class, proven: bool, amount: usize) {
        self.held[class.index()] += amount;
        if !proven {
            self.unproven[class.index()] += amount;
        }
    }

    /// Gives this amount back, taken with the same arguments.
    pub const fn give_back(&mut self, class: Class, proven: bool, amount: usize) {
        let place = class.index();
        self.held[place] = self.held[place].saturating_sub(amount);
        if !proven {
            self.unproven[place] = self.unproven[place].saturating_sub(amount);
        }
    }
}

/// The size of a [`Site`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Width {
    /// An IPv4 address, an IPv6 /64.
    Address,
    /// An IPv4 /24, an IPv6 /48.
    Network,
}

/// An address or network for which connections are counted.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Site {
    /// Its size.
    pub width: Width,
    /// Its first address.
    pub first: IpAddr,
}

impl Site {
    /// The sites that an address belongs to.
    #[must_use]
    pub fn of(address: IpAddr) -> [Self; 2] {
        [(Width::Address, 32, 64), (Width::Network, 24, 48)].map(|(width, v4, v6)| Self {
            width,
            first: NetworkPrefix { v4, v6 }.of(address),
        })
    }
}

impl std::fmt::Display for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bits = match (self.width, self.first) {
            (Width::Address, IpAddr::V4(_)) => return self.first.fmt(f),
            (Width::Address, IpAddr::V6(_)) => 64,
            (Width::Network, IpAddr::V4(_)) => 24,
            (Width::Network, IpAddr::V6(_)) => 48,
        };
        write!(f, "{}/{bits}", self.first)
    }
}

/// How long next hops must have waited in line before a warning.
const BEGINS_AFTER: Duration = Duration::from_secs(5);

/// How long none must have waited before the warning is withdrawn.
const ENDS_AFTER: Duration = Duration::from_secs(30);

/// Whether connections are scarce, for administrators: not every second in which something waits.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Pressure {
    told: bool,
    /// For how long the opposite of the last report has been true.
    against: Duration,
}

/// What to report.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PressureNews {
    /// Next hops have waited for some seconds.
    Begins,
    /// None has waited for a while.
    Ends,
}

impl Pressure {
    /// Notes whether next hops wait; `since` is the time since the last note.
    pub fn note(&mut self, waiting: bool, since: Duration) -> Option<PressureNews> {
        if waiting == self.told {
            self.against = Duration::ZERO;
            return None;
        }
        self.against += since;
        let (after, news) = if waiting {
            (BEGINS_AFTER, PressureNews::Begins)
        } else {
            (ENDS_AFTER, PressureNews::Ends)
        };
        if self.against < after {
            return None;
        }
        *self = Self {
            told: waiting,
            against: Duration::ZERO,
        };
        Some(news)
    }

    /// Whether a beginning was reported but no end.
    #[must_use]
    pub const fn is_told(&self) -> bool {
        self.told
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use Class::{Reports, Strangers, Users};

    fn usage(held: [usize; 3], unproven: [usize; 3]) -> Usage {
        Usage { held, unproven }
    }

    #[test]
    fn shares() {
        #[rustfmt::skip]
        let cases = [
            // total   users: kept, most, unproven   strangers          reports
            (1_000,    [500, 700, 250],              [200, 400, 100],   [100, 300, 50]),
            (20,       [10, 14, 5],                  [4, 8, 2],         [2, 6, 1]),
            (4,        [2, 2, 1],                    [1, 1, 1],         [1, 1, 1]),
            (3,        [0, 3, 3],                    [0, 3, 3],         [0, 3, 3]),
            (1,        [0, 1, 1],                    [0, 1, 1],         [0, 1, 1]),
        ];
        for (total, users, strangers, reports) in cases {
            let shares = Shares::of(total);
            for (class, expected) in Class::ALL.into_iter().zip([users, strangers, reports]) {
                assert_eq!(
                    [shares.reserved(class), shares.most(class), shares.unproven(class)],
                    expected,
                    "{} of {total}",
                    class.name()
                );
            }
        }
    }

    #[test]
    fn who_gets_a_place() {
        let shares = Shares::of(1_000);
        #[rustfmt::skip]
        let cases = [
            // what the case shows                         held             unproven         class      proven  room
            ("nobody is there",                            [0, 0, 0],       [0, 0, 0],       Users,     true,   700),
            ("nobody is there, a host not known",          [0, 0, 0],       [0, 0, 0],       Users,     false,  250),
            ("strangers' silent hosts are many",           [0, 100, 0],     [0, 100, 0],     Strangers, false,  0),
            ("their hosts that work have room",            [0, 100, 0],     [0, 100, 0],     Strangers, true,   300),
            ("users do not feel it",                       [0, 400, 300],   [0, 100, 50],    Users,     true,   500),
            ("nor do users' hosts that are new",           [0, 400, 300],   [0, 100, 50],    Users,     false,  250),
            ("reports to silent hosts",                    [0, 0, 50],      [0, 0, 50],      Reports,   false,  0),
            ("strangers have all that is for anybody",     [0, 400, 0],     [0, 0, 0],       Reports,   true,   100),
            ("nothing is left for them",                   [0, 400, 0],     [0, 0, 0],       Strangers, true,   0),
            ("users' silent hosts leave half",             [250, 0, 0],     [250, 0, 0],     Users,     true,   450),
            ("a new host while all else is busy",          [600, 0, 0],     [10, 0, 0],      Users,     false,  100),
        ];
        for (shows, held, unproven, class, proven, room) in cases {
            assert_eq!(
                shares.room(&usage(held, unproven), class, proven),
                room,
                "{shows}"
            );
        }
    }

    proptest! {
        /// Whoever takes what, in whatever order, each class can get what is reserved for it.
        #[test]
        fn nobody_takes_what_is_kept_for_others(
            total in 4_usize..2_000,
            steps in proptest::collection::vec((0_usize..3, any::<bool>(), any::<bool>()), 0..4_000),
        ) {
            let shares = Shares::of(total);
            let mut now = Usage::default();
            for (class, proven, back) in steps {
                let class = Class::ALL[class];
                let holds = if proven { now.held(class) - now.unproven(class) } else { now.unproven(class) };
                if back && holds > 0 {
                    now.give_back(class, proven, 1);
                } else if shares.room(&now, class, proven) > 0 {
                    now.take(class, proven, 1);
                }
                prop_assert!(Class::ALL.iter().map(|class| now.held(*class)).sum::<usize>() <= total);
                for class in Class::ALL {
                    prop_assert!(now.unproven(class) <= shares.unproven(class));
                    prop_assert!(shares.room(&now, class, true) >= shares.reserved(class).saturating_sub(now.held(class)));
                }
            }
        }
    }

    #[test]
    fn one_part_of_the_network_has_a_part() {
        let shares = Shares::of(1_000);
        #[rustfmt::skip]
        let cases = [
            (Users,     Width::Address, false, 31),
            (Users,     Width::Network, false, 62),
            (Users,     Width::Address, true,  175),
            (Users,     Width::Network, true,  350),
            (Strangers, Width::Address, false, 12),
            (Strangers, Width::Network, false, 25),
            (Reports,   Width::Address, false, 6),
        ];
        for (class, width, proven, most) in cases {
            assert_eq!(
                shares.most_at(class, width, proven),
                most,
                "{} {width:?}",
                class.name()
            );
        }
        assert_eq!(Shares::of(4).most_at(Users, Width::Address, false), 2);
    }

    #[test]
    fn sites() {
        #[rustfmt::skip]
        let cases = [
            ("192.0.2.77",            ["192.0.2.77", "192.0.2.0/24"]),
            ("2001:db8:1:2:3:4:5:6",  ["2001:db8:1:2::/64", "2001:db8:1::/48"]),
            ("::ffff:192.0.2.77",     ["192.0.2.77", "192.0.2.0/24"]),
        ];
        for (address, expected) in cases {
            let sites = Site::of(address.parse().unwrap()).map(|site| site.to_string());
            assert_eq!(sites, expected, "{address}");
        }
    }

    #[test]
    fn turns() {
        let turns: Vec<Class> = (0..8).map(Class::of_turn).collect();
        let of = |class| turns.iter().filter(|turn| **turn == class).count();
        assert_eq!(Class::ALL.map(of), [5, 2, 1]);
    }

    #[test]
    fn places_for_hosts_not_known_last_for_as_long_as_a_silent_one_is_waited_for() {
        let patience = Duration::from_secs(8);
        for total in [4, 20, 1_000, 100_000] {
            for class in Class::ALL {
                let shares = Shares::of(total);
                let most = shares.unproven(class);
                let at_once = most.div_ceil(2);
                let within = patience.as_secs_f64() / shares.pace(class, patience).as_secs_f64();
                assert!(
                    at_once + within.floor() as usize <= most.max(2),
                    "{} of {total}: {at_once} + {within} > {most}",
                    class.name()
                );
            }
        }
        let shares = Shares::of(1_000);
        assert!(!shares.is_paced(&usage([124, 0, 0], [124, 0, 0]), Users));
        assert!(shares.is_paced(&usage([125, 0, 0], [125, 0, 0]), Users));
        assert!(!Shares::of(4).is_paced(&usage([1, 0, 0], [1, 0, 0]), Users));
    }

    #[test]
    fn a_beginning_and_an_end_are_told_once() {
        let mut pressure = Pressure::default();
        let second = Duration::from_secs(1);
        let mut told = Vec::new();
        // Three seconds of waiting are not reported, nor is a moment without waiting in between.
        let waiting = [
            (false, 10),
            (true, 3),
            (false, 1),
            (true, 20),
            (false, 20),
            (true, 5),
            (false, 60),
        ];
        let mut at = 0;
        for (waits, seconds) in waiting {
            for _ in 0..seconds {
                at += 1;
                told.extend(pressure.note(waits, second).map(|news| (at, news)));
            }
        }
        assert_eq!(told, [(19, PressureNews::Begins), (89, PressureNews::Ends)]);
        assert!(!pressure.is_told());
    }
}
