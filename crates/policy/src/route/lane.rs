//! How mail is sent over a route: from which address, with which name, how much at once, and which certificate the host must present.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use serde::Deserialize;

use super::Pins;

/// A route's settings for connections. By default none, so that the server's settings apply.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Lane {
    /// The source address for hosts with IPv4 addresses.
    pub source_v4: Option<Ipv4Addr>,
    /// The same for IPv6.
    pub source_v6: Option<Ipv6Addr>,
    /// The name given in `EHLO`.
    pub helo: Option<Arc<str>>,
    /// Which addresses of hosts are tried, and in which order.
    pub family: Family,
    /// Most concurrent connections to one next hop.
    pub connections: Option<usize>,
    /// Most messages over one connection.
    pub messages_per_connection: Option<u32>,
    /// Most recipients in one transaction.
    pub recipients: Option<usize>,
    /// Most messages per second to one next hop.
    pub rate: Option<Rate>,
    /// The certificates of which hosts must show one.
    pub pins: Pins,
}

/// Messages per second; above zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate(f64);

/// A rate is never NaN, since none can be constructed.
impl Eq for Rate {}

impl Rate {
    /// A rate in messages per second; `None` unless it is above zero.
    #[must_use]
    pub fn per_second(messages: f64) -> Option<Self> {
        (messages.is_finite() && messages > 0.0).then_some(Self(messages))
    }

    /// Messages per second.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

/// Which addresses of a host are tried.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// All, in the order of the DNS answer.
    #[default]
    Any,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
    /// All, IPv4 first.
    PreferV4,
    /// All, IPv6 first.
    PreferV6,
}

impl Family {
    /// The addresses that are tried, in order.
    #[must_use]
    pub fn arrange(self, mut found: Vec<IpAddr>) -> Vec<IpAddr> {
        match self {
            Self::Any => {}
            Self::V4 => found.retain(IpAddr::is_ipv4),
            Self::V6 => found.retain(IpAddr::is_ipv6),
            // Stable: the order within a family is kept.
            Self::PreferV4 => found.sort_by_key(IpAddr::is_ipv6),
            Self::PreferV6 => found.sort_by_key(IpAddr::is_ipv4),
        }
        found
    }

    /// As it is written in the configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::V4 => "v4",
            Self::V6 => "v6",
            Self::PreferV4 => "prefer-v4",
            Self::PreferV6 => "prefer-v6",
        }
    }
}

impl Lane {
    /// Whether it sets nothing.
    #[must_use]
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }

    /// The source address for `to`; `None` if the system chooses.
    #[must_use]
    pub fn source(&self, to: IpAddr) -> Option<IpAddr> {
        match to.to_canonical() {
            IpAddr::V4(_) => self.source_v4.map(IpAddr::V4),
            IpAddr::V6(_) => self.source_v6.map(IpAddr::V6),
        }
    }

    /// This, with the settings of `usual` where it sets nothing.
    #[must_use]
    pub fn or(self, usual: &Self) -> Self {
        Self {
            source_v4: self.source_v4.or(usual.source_v4),
            source_v6: self.source_v6.or(usual.source_v6),
            helo: self.helo.or_else(|| usual.helo.clone()),
            family: match self.family {
                Family::Any => usual.family,
                family => family,
            },
            connections: self.connections.or(usual.connections),
            messages_per_connection: self.messages_per_connection.or(usual.messages_per_connection),
            recipients: self.recipients.or(usual.recipients),
            rate: self.rate.or(usual.rate),
            pins: if self.pins.is_empty() {
                usual.pins.clone()
            } else {
                self.pins
            },
        }
    }
}

/// Its differences from the default, each with a space before it: ` from=192.0.2.1 connections=2`.
impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut part = |name: &str, value: Option<&dyn fmt::Display>| match value {
            Some(value) => write!(f, " {name}={value}"),
            None => Ok(()),
        };
        part("from", self.source_v4.as_ref().map(|value| value as _))?;
        part("from", self.source_v6.as_ref().map(|value| value as _))?;
        part("helo", self.helo.as_ref().map(|value| value as _))?;
        let family = self.family.word();
        part("ip", (self.family != Family::Any).then_some(&family as _))?;
        part("connections", self.connections.as_ref().map(|value| value as _))?;
        part(
            "messages",
            self.messages_per_connection.as_ref().map(|value| value as _),
        )?;
        part("recipients", self.recipients.as_ref().map(|value| value as _))?;
        part("rate", self.rate.as_ref().map(|rate| &rate.0 as _))?;
        part("fingerprint", (!self.pins.is_empty()).then_some(&self.pins as _))?;
        f.write_str("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_arranged() {
        let found = || -> Vec<IpAddr> {
            ["192.0.2.1", "2001:db8::1", "192.0.2.2", "2001:db8::2"]
                .map(|text| text.parse().unwrap())
                .to_vec()
        };
        for (family, wanted) in [
            (Family::Any, "192.0.2.1 2001:db8::1 192.0.2.2 2001:db8::2"),
            (Family::V4, "192.0.2.1 192.0.2.2"),
            (Family::V6, "2001:db8::1 2001:db8::2"),
            (Family::PreferV4, "192.0.2.1 192.0.2.2 2001:db8::1 2001:db8::2"),
            (Family::PreferV6, "2001:db8::1 2001:db8::2 192.0.2.1 192.0.2.2"),
        ] {
            let arranged: Vec<String> = family.arrange(found()).iter().map(ToString::to_string).collect();
            assert_eq!(arranged.join(" "), wanted, "{family:?}");
        }
    }

    #[test]
    fn a_lane_says_what_is_not_usual() {
        let lane = Lane {
            source_v4: Some(Ipv4Addr::new(192, 0, 2, 1)),
            helo: Some("out.example".into()),
            family: Family::V4,
            connections: Some(2),
            rate: Rate::per_second(0.5),
            pins: Pins::new(vec![[7; 32]]),
            ..Lane::default()
        };
        assert_eq!(
            lane.to_string(),
            " from=192.0.2.1 helo=out.example ip=v4 connections=2 rate=0.5 fingerprint=0707070707070707"
        );
        assert_eq!(Lane::default().to_string(), "");
        assert_eq!(
            lane.source("198.51.100.1".parse().unwrap()),
            Some("192.0.2.1".parse().unwrap())
        );
        assert_eq!(
            lane.source("2001:db8::1".parse().unwrap()),
            None,
            "the other kind"
        );
        let usual = Lane {
            connections: Some(9),
            recipients: Some(5),
            ..Lane::default()
        };
        let both = lane.or(&usual);
        assert_eq!((both.connections, both.recipients), (Some(2), Some(5)));
        assert_eq!(Rate::per_second(0.0), None);
        assert_eq!(Rate::per_second(f64::NAN), None);
    }
}
