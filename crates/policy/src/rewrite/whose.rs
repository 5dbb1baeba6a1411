//! Whose mail a rule applies to.

use std::net::IpAddr;

use ipnet::IpNet;

/// Whose mail is meant: everybody's, or that of any kind of client set here.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Whose {
    /// Everybody.
    pub all: bool,
    /// Programs on this machine, and connections from one of its own addresses.
    pub local: bool,
    /// Clients that have authenticated.
    pub logins: bool,
    /// Clients that may relay by their network or certificate.
    pub relays: bool,
    /// Clients in these networks.
    pub networks: Vec<IpNet>,
}

/// What is known about a client.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Client {
    /// A program on this machine, or a connection from one of its own addresses.
    pub local: bool,
    /// It has authenticated.
    pub login: bool,
    /// It may relay by network or certificate.
    pub relays: bool,
    /// Its address; `None` for mail made on this machine.
    pub address: Option<IpAddr>,
}

impl Whose {
    /// Mail from inside: from this machine, authenticated users, and clients that may relay.
    #[must_use]
    pub const fn inside() -> Self {
        Self {
            all: false,
            local: true,
            logins: true,
            relays: true,
            networks: Vec::new(),
        }
    }

    /// Everybody's mail.
    #[must_use]
    pub const fn everybody() -> Self {
        Self {
            all: true,
            local: false,
            logins: false,
            relays: false,
            networks: Vec::new(),
        }
    }

    /// Whether a client's mail is meant.
    #[must_use]
    pub fn holds(&self, client: &Client) -> bool {
        let address = client.address.map(|address| address.to_canonical());
        self.all
            || (self.local && client.local)
            || (self.logins && client.login)
            || (self.relays && client.relays)
            || address.is_some_and(|address| self.networks.iter().any(|network| network.contains(&address)))
    }
}

impl Client {
    /// This machine itself.
    pub const THIS_MACHINE: Self = Self {
        local: true,
        login: false,
        relays: true,
        address: None,
    };

    /// Whether it is inside: on this machine, authenticated, or allowed to relay.
    #[must_use]
    pub const fn is_inside(&self) -> bool {
        self.local || self.login || self.relays
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_mail_is_meant() {
        let at = |address: &str| Client {
            address: Some(address.parse().unwrap()),
            ..Client::default()
        };
        let login = Client {
            login: true,
            ..at("198.51.100.7")
        };
        let local = Client {
            local: true,
            ..at("127.0.0.1")
        };
        let networks = Whose {
            networks: vec!["10.8.0.0/24".parse().unwrap()],
            ..Whose::default()
        };
        #[rustfmt::skip]
        let cases = [
            ("everybody",            Whose::everybody(),                                at("198.51.100.7"),     true),
            ("nobody",               Whose::default(),                                  local,                  false),
            ("inside",               Whose::inside(),                                   login,                  true),
            ("from outside",         Whose::inside(),                                   at("198.51.100.7"),     false),
            ("this machine alone",   Whose { local: true, ..Whose::default() },         local,                  true),
            ("not a login",          Whose { local: true, ..Whose::default() },         login,                  false),
            ("a network",            networks.clone(),                                  at("::ffff:10.8.0.3"),  true),
            ("another",              networks,                                          at("10.8.1.3"),         false),
        ];
        for (shows, whose, client, expected) in cases {
            assert_eq!(whose.holds(&client), expected, "{shows}");
        }
        assert!(Whose::inside().holds(&Client::THIS_MACHINE));
    }
}
