//! Search terms of stories, and their hashes in the index.

use std::net::IpAddr;

use ipnet::IpNet;
use postern_events::Key;

/// Bits of a term's hash in the index. Two terms may share a hash: a story found by it must be checked.
pub(crate) const HASH_BITS: u32 = 38;

/// Prefix lengths of the networks by which each client is found, besides its address.
const NETWORKS_V4: [u8; 2] = [24, 16];
const NETWORKS_V6: [u8; 3] = [64, 48, 32];

/// Most indexed networks that are combined for a network that is asked for.
const UNION_MAX: u32 = 4096;

/// A term by which a story can be found. Case-insensitive where case does not matter.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Term {
    /// A session, by its id.
    Session(String),
    /// A message, by its queue id; also the report about it, or the message it reports on.
    Queue(String),
    /// A message, by its `Message-ID`, with or without angle brackets.
    MessageId(String),
    /// A login that succeeded or was tried, and the identity it acts as.
    Login(String),
    /// A sender or recipient, also before alias expansion; empty for `<>`.
    Address(String),
    /// The domain of a sender or recipient.
    Domain(String),
    /// Where clients come from.
    Client(IpNet),
    /// An outcome: the event's word, such as `bounced`.
    Outcome(String),
    /// The rule that decided.
    Rule(String),
}

/// The words of events that are outcomes of a message or a session.
pub const OUTCOMES: [&str; 10] = [
    "delivered",
    "deferred",
    "bounced",
    "expired",
    "held",
    "released",
    "removed",
    "discarded",
    "refused",
    "accepted",
];

#[derive(Clone, Copy)]
#[repr(u8)]
enum Kind {
    Session,
    Queue,
    MessageId,
    Login,
    Address,
    Domain,
    Client,
    Outcome,
    Rule,
}

/// The hash of a text of a kind, case-insensitively.
fn hash(kind: Kind, text: &[u8]) -> u64 {
    let mut state = 0xcbf2_9ce4_8422_2325_u64 ^ (kind as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for octet in text {
        state = (state ^ u64::from(octet.to_ascii_lowercase())).wrapping_mul(0x0000_0100_0000_01b3);
    }
    state ^= state >> 33;
    state = state.wrapping_mul(0xff51_afd7_ed55_8ccd);
    state ^= state >> 29;
    state & ((1 << HASH_BITS) - 1)
}

fn network(network: IpNet) -> u64 {
    let mut octets = [0; 18];
    match network {
        IpNet::V4(v4) => octets[..4].copy_from_slice(&v4.network().octets()),
        IpNet::V6(v6) => {
            octets[..16].copy_from_slice(&v6.network().octets());
            octets[17] = 1;
        }
    }
    octets[16] = network.prefix_len();
    // Octets of an IP address are not letters: those that look like capitals would be changed.
    let shown: Vec<u8> = octets.iter().flat_map(|octet| [octet >> 4, octet & 15]).collect();
    hash(Kind::Client, &shown)
}

/// An address without angle brackets.
pub(crate) fn bare(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix('<')
        .and_then(|text| text.strip_suffix('>'))
        .unwrap_or(text)
}

/// The name of a login; one of a local user is followed by its uid.
pub(crate) fn bare_login(text: &str) -> &str {
    text.split_once(" (uid ").map_or(text, |(name, _)| name)
}

fn domain(address: &str) -> Option<&str> {
    address.rsplit_once('@').map(|(_, domain)| domain)
}

/// Passes on the hashes of a field's terms.
pub(crate) fn of_field(key: Key, text: &str, show: &mut impl FnMut(u64)) {
    match key {
        Key::Session => show(hash(Kind::Session, text.as_bytes())),
        Key::Queue | Key::About => show(hash(Kind::Queue, text.as_bytes())),
        Key::Report if text != "no" => show(hash(Kind::Queue, text.as_bytes())),
        Key::MessageId => show(hash(Kind::MessageId, bare(text).as_bytes())),
        Key::Login | Key::ActsAs => show(hash(Kind::Login, bare_login(text).as_bytes())),
        Key::Rule | Key::SenderRule => show(hash(Kind::Rule, text.as_bytes())),
        Key::Author => show(hash(Kind::Domain, text.as_bytes())),
        Key::From | Key::To | Key::Original => {
            let address = bare(text);
            show(hash(Kind::Address, address.as_bytes()));
            if let Some(domain) = domain(address) {
                show(hash(Kind::Domain, domain.as_bytes()));
            }
        }
        Key::Peer => {
            let Ok(peer) = text.parse::<IpAddr>() else { return };
            let peer = peer.to_canonical();
            show(network(IpNet::from(peer)));
            for length in lengths(peer) {
                show(network(IpNet::new_assert(peer, *length)));
            }
        }
        _ => {}
    }
}

/// Passes on the hash of an event's word, if that is an outcome.
pub(crate) fn of_word(word: &str, show: &mut impl FnMut(u64)) {
    if OUTCOMES.contains(&word) {
        show(hash(Kind::Outcome, word.as_bytes()));
    }
}

fn lengths(address: IpAddr) -> &'static [u8] {
    match address {
        IpAddr::V4(_) => &NETWORKS_V4,
        IpAddr::V6(_) => &NETWORKS_V6,
    }
}

impl Term {
    /// Its hash in the index; several if they must be combined, `None` if the index cannot be used.
    pub(crate) fn hashes(&self) -> Option<Vec<u64>> {
        Some(vec![match self {
            Self::Session(text) => hash(Kind::Session, text.as_bytes()),
            Self::Queue(text) => hash(Kind::Queue, text.as_bytes()),
            Self::MessageId(text) => hash(Kind::MessageId, bare(text).as_bytes()),
            Self::Login(text) => hash(Kind::Login, text.as_bytes()),
            Self::Address(text) => hash(Kind::Address, bare(text).as_bytes()),
            Self::Domain(text) => hash(Kind::Domain, text.as_bytes()),
            Self::Outcome(text) => hash(Kind::Outcome, text.as_bytes()),
            Self::Rule(text) => hash(Kind::Rule, text.as_bytes()),
            Self::Client(asked) => return client(*asked),
        }])
    }

    /// How common it is likely to be, relative to others.
    pub(crate) const fn commonness(&self) -> u8 {
        match self {
            Self::Queue(_) | Self::Session(_) | Self::MessageId(_) => 0,
            Self::Address(_) => 1,
            Self::Login(_) => 2,
            Self::Client(_) => 3,
            Self::Domain(_) => 4,
            Self::Rule(_) | Self::Outcome(_) => 5,
        }
    }

    /// Whether a field matches it.
    #[must_use]
    pub fn holds(&self, key: Key, text: &str) -> bool {
        match (self, key) {
            (Self::Session(wanted), Key::Session)
            | (Self::Queue(wanted), Key::Queue | Key::About | Key::Report)
            | (Self::Domain(wanted), Key::Author) => text.eq_ignore_ascii_case(wanted),
            (Self::MessageId(wanted), Key::MessageId) => bare(text).eq_ignore_ascii_case(bare(wanted)),
            (Self::Login(wanted), Key::Login | Key::ActsAs) => bare_login(text).eq_ignore_ascii_case(wanted),
            (Self::Address(wanted), Key::From | Key::To | Key::Original) => {
                bare(text).eq_ignore_ascii_case(bare(wanted))
            }
            (Self::Domain(wanted), Key::From | Key::To | Key::Original) => {
                domain(bare(text)).is_some_and(|domain| domain.eq_ignore_ascii_case(wanted))
            }
            (Self::Rule(wanted), Key::Rule | Key::SenderRule) => text == wanted,
            (Self::Client(wanted), Key::Peer) => {
                let peer = text.parse::<IpAddr>();
                peer.is_ok_and(|peer| wanted.contains(&peer.to_canonical()))
            }
            _ => false,
        }
    }

    /// Whether an event's word matches it.
    pub(crate) fn holds_word(&self, word: &str) -> bool {
        matches!(self, Self::Outcome(wanted) if wanted == word)
    }
}

/// The hashes of indexed lengths that stand for a network: of the next shorter prefix length, or of all networks that make it up.
fn client(asked: IpNet) -> Option<Vec<u64>> {
    let asked = asked.trunc();
    if asked.prefix_len() == asked.max_prefix_len() {
        return Some(vec![network(asked)]);
    }
    let lengths = lengths(asked.addr());
    if let Some(length) = lengths.iter().find(|length| **length <= asked.prefix_len()) {
        return Some(vec![network(IpNet::new_assert(asked.addr(), *length).trunc())]);
    }
    let shortest = *lengths.last()?;
    let many = 1_u32.checked_shl(u32::from(shortest - asked.prefix_len()))?;
    if many > UNION_MAX {
        return None;
    }
    Some(asked.subnets(shortest).ok()?.map(network).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(key: Key, text: &str) -> Vec<u64> {
        let mut seen = Vec::new();
        of_field(key, text, &mut |hash| seen.push(hash));
        seen
    }

    #[test]
    fn what_is_asked_for_finds_what_was_said() {
        let net = |text: &str| Term::Client(text.parse().unwrap());
        let text = str::to_owned;
        #[rustfmt::skip]
        let cases = [
            // what the case shows            the field                              asked for                              found
            ("an address",                    (Key::To, "<A@Example.org>"),          Term::Address(text("a@example.ORG")),  true),
            ("an alias's original",           (Key::Original, "<a@b.example>"),      Term::Address(text("<a@b.example>")),  true),
            ("another address",               (Key::To, "<a@b.example>"),            Term::Address(text("b@b.example")),    false),
            ("nobody",                        (Key::From, "<>"),                     Term::Address(text("<>")),             true),
            ("its domain",                    (Key::From, "<a@b.example>"),          Term::Domain(text("B.example")),       true),
            ("a domain above it",             (Key::From, "<a@b.example>"),          Term::Domain(text("example")),         false),
            ("a login",                       (Key::Login, "Anna"),                  Term::Login(text("anna")),             true),
            ("a login of this machine",       (Key::Login, "anna (uid 1000)"),       Term::Login(text("anna")),             true),
            ("whom it acts as",               (Key::ActsAs, "info"),                 Term::Login(text("info")),             true),
            ("a Message-ID",                  (Key::MessageId, "<x@y>"),             Term::MessageId(text("x@y")),          true),
            ("a message's report",            (Key::Report, "01HJ3K8Q2M7XA"),        Term::Queue(text("01HJ3K8Q2M7XA")),    true),
            ("a client",                      (Key::Peer, "192.0.2.77"),             net("192.0.2.77/32"),                  true),
            ("its /24",                       (Key::Peer, "192.0.2.77"),             net("192.0.2.0/24"),                   true),
            ("a part of that",                (Key::Peer, "192.0.2.77"),             net("192.0.2.64/27"),                  true),
            ("a network of many",             (Key::Peer, "192.0.2.77"),             net("192.0.0.0/18"),                   true),
            ("a larger one",                  (Key::Peer, "192.0.2.77"),             net("192.0.0.0/12"),                   true),
            ("another one",                   (Key::Peer, "192.0.2.77"),             net("198.0.0.0/12"),                   false),
            ("of version 6",                  (Key::Peer, "2001:db8:1:2::3"),        net("2001:db8:1::/48"),                true),
            ("between two lengths",           (Key::Peer, "2001:db8:1:2::3"),        net("2001:db8:1::/44"),                true),
            ("of version 4 within 6",         (Key::Peer, "::ffff:192.0.2.77"),      net("192.0.2.77/32"),                  true),
            ("a rule",                        (Key::Rule, "relay.denied"),           Term::Rule(text("relay.denied")),      true),
        ];
        for (shows, (key, said), asked, found) in cases {
            let hashes = asked.hashes().unwrap();
            let indexed = of(key, said).iter().any(|one| hashes.contains(one));
            assert_eq!((indexed, asked.holds(key, said)), (found, found), "{shows}");
        }
        assert_eq!(net("0.0.0.0/0").hashes(), None);
    }

    #[test]
    fn a_network_between_the_lengths_is_found_by_the_shorter_and_looked_at() {
        let asked = Term::Client("192.0.2.0/26".parse().unwrap());
        assert!(
            of(Key::Peer, "192.0.2.77")
                .iter()
                .any(|one| asked.hashes().unwrap().contains(one))
        );
        assert!(!asked.holds(Key::Peer, "192.0.2.77"));
    }
}
