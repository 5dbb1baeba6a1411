//! The lane for devices: printers, scanners and old programs that send without a login, to named recipients, from named senders.
//!
//! It cannot become an open relay: nothing matches by omission, and what would let in everybody is refused where it is written
//! ([`BadDevice`]) and matches nothing here.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use postern_mail::{Mailbox, Status};

use crate::access::names::{AddressKey, AddressSet};
use crate::relay::rerouted;
use crate::rule::{Rule, Told, Verdict};

/// A lane for devices.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Device {
    /// Its name in the log.
    pub name: Box<str>,
    /// The networks that its devices are in.
    pub networks: Vec<IpNet>,
    /// The listeners that they come to; `None` for all.
    pub listeners: Option<Vec<Box<str>>>,
    /// The senders that they use.
    pub senders: AddressSet,
    /// The recipients that they may name.
    pub recipients: AddressSet,
    /// Most octets of a message; 0 for as many as others may send.
    pub size: u64,
    /// Whether a `From` that is not one of the senders becomes the sender of the envelope. Otherwise such a message is refused.
    pub rewrite_from: bool,
    /// A sender and a recipient that it is for, with which it is tried; `None` where it is for nobody.
    pub example: Option<(Mailbox, Mailbox)>,
}

impl Device {
    /// Whether a client is one of its devices.
    #[must_use]
    pub fn is_from(&self, peer: IpAddr, listener: &str) -> bool {
        let peer = peer.to_canonical();
        let mut networks = self.networks.iter();
        let comes_to = |names: &Vec<Box<str>>| names.iter().any(|name| **name == *listener);
        networks.any(|network| network.contains(&peer) && !is_wide(network))
            && self.listeners.as_ref().is_none_or(comes_to)
    }

    /// Whether an address is one of the senders.
    #[must_use]
    pub fn sends_as(&self, sender: &Mailbox) -> bool {
        self.senders.contains(Some(&AddressKey::new(sender, None)))
    }

    /// Whether a device may send from this sender to this recipient.
    ///
    /// # Errors
    ///
    /// It may not.
    pub fn judge(&self, sender: Option<&Mailbox>, recipient: &Mailbox) -> Result<(), DeviceRefusal> {
        let refused = |outside: OutsideLane, detail: String| {
            let name = self.name.clone();
            Err(DeviceRefusal {
                name,
                outside,
                detail,
            })
        };
        match sender {
            Some(sender) if self.sends_as(sender) => {}
            Some(sender) => return refused(OutsideLane::Sender, sender.to_string()),
            None => return refused(OutsideLane::Sender, "<>".to_owned()),
        }
        let is_named = self.recipients.contains(Some(&AddressKey::new(recipient, None)));
        match is_named && rerouted(recipient).is_none() {
            true => Ok(()),
            false => refused(OutsideLane::Recipient, recipient.to_string()),
        }
    }

    /// Whether a message of so many octets is small enough.
    ///
    /// # Errors
    ///
    /// It is not.
    pub fn admit_size(&self, size: u64) -> Result<(), DeviceRefusal> {
        if self.size == 0 || size <= self.size {
            return Ok(());
        }
        Err(DeviceRefusal {
            name: self.name.clone(),
            outside: OutsideLane::Size,
            detail: format!("{size} octets, at most {}", self.size),
        })
    }
}

/// Why a message is not taken over the lane.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeviceRefusal {
    /// The name of the lane.
    pub name: Box<str>,
    /// What is not for it.
    pub outside: OutsideLane,
    /// Which.
    pub detail: String,
}

/// What is not for a lane.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OutsideLane {
    /// The sender of the envelope.
    Sender,
    /// An author in the header.
    Author,
    /// The recipient.
    Recipient,
    /// The size.
    Size,
}

impl fmt::Display for DeviceRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, detail, .. } = self;
        match self.outside {
            OutsideLane::Sender => write!(f, "device {name:?} does not send as {detail}"),
            OutsideLane::Author => write!(f, "device {name:?} does not send as {detail} in From"),
            OutsideLane::Recipient => write!(f, "device {name:?} does not send to {detail}"),
            OutsideLane::Size => write!(f, "device {name:?} does not send messages of this size: {detail}"),
        }
    }
}

impl Verdict for DeviceRefusal {
    fn rule(&self) -> Rule {
        match self.outside {
            OutsideLane::Sender | OutsideLane::Author => Rule::DeviceSender,
            OutsideLane::Recipient => Rule::DeviceRecipient,
            OutsideLane::Size => Rule::DeviceSize,
        }
    }

    fn reason(&self) -> &dyn fmt::Display {
        self
    }

    fn reply(&self) -> Option<Told> {
        Some(self.told())
    }
}

impl DeviceRefusal {
    /// Code, status and words for the device, which people read on its display.
    #[must_use]
    pub const fn told(&self) -> Told {
        match self.outside {
            OutsideLane::Sender => (550, Status(5, 7, 1), "This device may not send as this address"),
            OutsideLane::Author => (
                550,
                Status(5, 7, 1),
                "This device may not send as the address in From",
            ),
            OutsideLane::Recipient => (550, Status(5, 7, 1), "This device may not send to this address"),
            OutsideLane::Size => (552, Status(5, 3, 4), "Message too large for this device"),
        }
    }
}

/// Something in a lane that would let in too many.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadDevice {
    /// A network of more than one site.
    #[error(
        "{0} is too large for devices: at most a /24 of public addresses (IPv6: /48), a /8 of private ones"
    )]
    Network(IpNet),
    /// An entry that stands for people anywhere.
    #[error("{0:?} stands for addresses of anybody: name addresses, or domains such as \"@example.org\"")]
    Address(String),
}

/// Whether a network is too large for devices, wherever it is.
fn is_wide(network: &IpNet) -> bool {
    check_network(network).is_err()
}

/// Whether devices may be in a network.
///
/// # Errors
///
/// It is larger than a site.
pub fn check_network(network: &IpNet) -> Result<(), BadDevice> {
    let first = network.network();
    let is_private = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local() || is_shared(ip),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    };
    let private = is_private(first) && is_private(network.broadcast());
    let least = match (first, private) {
        (_, true) => 8,
        (IpAddr::V4(_), false) => 24,
        (IpAddr::V6(_), false) => 48,
    };
    match network.prefix_len() >= least {
        true => Ok(()),
        false => Err(BadDevice::Network(*network)),
    }
}

/// Addresses of carriers' NAT.
const fn is_shared(ip: std::net::Ipv4Addr) -> bool {
    let octets = ip.octets();
    octets[0] == 100 && octets[1] & 0b1100_0000 == 64
}

/// Whether an entry names senders or recipients: an address, or a domain of more than one label.
///
/// # Errors
///
/// It stands for people anywhere: `*`, a name in any domain, a top-level domain.
pub fn check_address(entry: &str) -> Result<(), BadDevice> {
    let domain = entry.rsplit_once('@').map_or(entry, |(_, domain)| domain);
    let domain = domain.trim_start_matches("*.").trim_start_matches('.');
    match domain.contains('.') && !domain.contains('*') && !domain.ends_with('.') {
        true => Ok(()),
        false => Err(BadDevice::Address(entry.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(entries: &[&str]) -> AddressSet {
        let mut set = AddressSet::default();
        for entry in entries {
            set.insert(entry).unwrap();
        }
        set
    }

    fn device() -> Device {
        Device {
            name: "scanner".into(),
            networks: vec!["192.0.2.0/28".parse().unwrap(), "10.0.0.0/8".parse().unwrap()],
            listeners: Some(vec!["devices".into()]),
            senders: set(&["scanner@example.org"]),
            recipients: set(&["@example.org", "tax@office.example"]),
            size: 1_000,
            rewrite_from: false,
            example: None,
        }
    }

    #[test]
    fn who_is_a_device() {
        let wide = Device {
            networks: vec!["0.0.0.0/0".parse().unwrap(), "192.0.2.0/23".parse().unwrap()],
            ..device()
        };
        #[rustfmt::skip]
        let cases = [
            // what the case shows           device      peer                 listener    is one
            ("in a network",                 device(),   "192.0.2.15",        "devices",  true),
            ("in another one",               device(),   "10.9.8.7",          "devices",  true),
            ("an IPv4 address in IPv6",      device(),   "::ffff:10.9.8.7",   "devices",  true),
            ("beside it",                    device(),   "192.0.2.16",        "devices",  false),
            ("at another listener",          device(),   "192.0.2.15",        "mx",       false),
            ("networks that are too large match nobody", wide, "192.0.2.15",  "devices",  false),
            ("nor do none",                  Device { networks: Vec::new(), ..device() }, "192.0.2.15", "devices", false),
            ("a lane for all listeners",     Device { listeners: None, ..device() },      "192.0.2.15", "mx",      true),
        ];
        for (shows, device, peer, listener, is_one) in cases {
            assert_eq!(device.is_from(peer.parse().unwrap(), listener), is_one, "{shows}");
        }
    }

    #[test]
    fn from_whom_to_whom() {
        let nobody = Device {
            senders: AddressSet::default(),
            ..device()
        };
        let nowhere = Device {
            recipients: AddressSet::default(),
            ..device()
        };
        #[rustfmt::skip]
        let cases = [
            // what the case shows           device     sender                        recipient                       what is not for it
            ("both are named",               device(),  Some("scanner@example.org"),  "ann@example.org",              None),
            ("in any case",                  device(),  Some("Scanner@EXAMPLE.org"),  "TAX@office.EXAMPLE",           None),
            ("another sender",               device(),  Some("boss@example.org"),     "ann@example.org",              Some(OutsideLane::Sender)),
            ("a detail is another sender",   device(),  Some("scanner+x@example.org"), "ann@example.org",             Some(OutsideLane::Sender)),
            ("no sender",                    device(),  None,                         "ann@example.org",              Some(OutsideLane::Sender)),
            ("another recipient",            device(),  Some("scanner@example.org"),  "ann@office.example",           Some(OutsideLane::Recipient)),
            ("below the domain",             device(),  Some("scanner@example.org"),  "ann@sub.example.org",          Some(OutsideLane::Recipient)),
            ("the address in quotes",        device(),  Some("scanner@example.org"),  "\"tax@office.example\"@x.test", Some(OutsideLane::Recipient)),
            ("percent",                      device(),  Some("scanner@example.org"),  "tax%office.example@x.test",    Some(OutsideLane::Recipient)),
            ("percent at a named domain",    device(),  Some("scanner@example.org"),  "a%x.test@example.org",         Some(OutsideLane::Recipient)),
            ("a bang path there",            device(),  Some("scanner@example.org"),  "x.test!a@example.org",         Some(OutsideLane::Recipient)),
            ("quotes there",                 device(),  Some("scanner@example.org"),  "\"a@x.test\"@example.org",     Some(OutsideLane::Recipient)),
            ("empty lists let nobody in",    nobody,    Some("scanner@example.org"),  "ann@example.org",              Some(OutsideLane::Sender)),
            ("nor to anybody",               nowhere,   Some("scanner@example.org"),  "ann@example.org",              Some(OutsideLane::Recipient)),
        ];
        for (shows, device, sender, recipient, outside) in cases {
            let sender: Option<Mailbox> = sender.map(|sender| sender.parse().unwrap());
            let judged = device.judge(sender.as_ref(), &recipient.parse().unwrap());
            assert_eq!(judged.err().map(|refusal| refusal.outside), outside, "{shows}");
        }
        assert!(device().admit_size(1_000).is_ok() && device().admit_size(1_001).is_err());
        let any = Device { size: 0, ..device() };
        assert!(any.admit_size(u64::MAX).is_ok());
    }

    #[test]
    fn what_would_let_in_too_many() {
        let bad = [
            "0.0.0.0/0",
            "::/0",
            "192.0.2.0/23",
            "10.0.0.0/7",
            "2001:db8::/47",
            "100.64.0.0/7",
            "fc00::/7",
            "192.168.0.0/15",
        ];
        for network in bad {
            assert!(check_network(&network.parse().unwrap()).is_err(), "{network}");
        }
        let good = [
            "192.0.2.0/24",
            "10.0.0.0/8",
            "127.0.0.0/8",
            "2001:db8::/48",
            "fd00::/8",
            "100.64.0.0/10",
            "::1/128",
        ];
        for network in good {
            assert!(check_network(&network.parse().unwrap()).is_ok(), "{network}");
        }
        for entry in [
            "*", "<>", "ann@", "@com", ".com", "com", "@*", "@*.com", "*.org", "",
        ] {
            assert!(check_address(entry).is_err(), "{entry:?}");
        }
        for entry in [
            "ann@example.org",
            "@example.org",
            "example.org",
            ".example.org",
            "@*.example.org",
        ] {
            assert!(check_address(entry).is_ok(), "{entry:?}");
        }
    }
}
