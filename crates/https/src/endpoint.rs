//! Addresses of servers.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use hyper::Uri;

/// Longest address, in octets.
const ADDRESS_MAX: usize = 2_048;

/// An address that requests may be sent to: `https`, or `http` on this machine, without user, password and fragment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Endpoint(Uri);

/// An address that no requests are sent to.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum EndpointError {
    /// Not a URL, or a relative one.
    #[error("not an address: write it as https://host/path")]
    NoAddress,
    /// `http` to another machine, where anyone on the path could read and change what is sent.
    #[error("http works only for this machine: write https://")]
    Plain,
    /// With user, password or fragment.
    #[error("user, password and fragment do not belong in it")]
    Extras,
}

impl Endpoint {
    /// Reads an address.
    ///
    /// # Errors
    ///
    /// See [`EndpointError`].
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        let endpoint = Self::parse_any(text)?;
        match endpoint.is_plain() && !is_this_machine(endpoint.host()) {
            true => Err(EndpointError::Plain),
            false => Ok(endpoint),
        }
    }

    /// Reads an address that may be plain `http` to any machine, where the configuration says so.
    ///
    /// # Errors
    ///
    /// See [`EndpointError`].
    pub fn parse_any(text: &str) -> Result<Self, EndpointError> {
        if text.len() > ADDRESS_MAX {
            return Err(EndpointError::NoAddress);
        }
        if text.contains('#') {
            return Err(EndpointError::Extras);
        }
        let uri = Uri::from_str(text).map_err(|_| EndpointError::NoAddress)?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(EndpointError::NoAddress);
        };
        if authority.host().is_empty() {
            return Err(EndpointError::NoAddress);
        }
        if authority.as_str().contains('@') {
            return Err(EndpointError::Extras);
        }
        match scheme {
            "https" | "http" => Ok(Self(uri)),
            _ => Err(EndpointError::NoAddress),
        }
    }

    /// Whether it is without TLS.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.0.scheme_str() == Some("http")
    }

    pub(crate) fn uri(&self) -> &Uri {
        &self.0
    }

    /// The host, for the log.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host().unwrap_or_default()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn is_this_machine(host: &str) -> bool {
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    match literal.parse::<IpAddr>() {
        Ok(ip) => ip.is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        use EndpointError as E;
        #[rustfmt::skip]
        let cases = [
            ("the usual",                     "https://id.example.org/realms/a?b=c",     Ok(())),
            ("with a port",                   "https://id.example.org:8443",             Ok(())),
            ("plain on this machine",         "http://127.0.0.1:8080/x",                 Ok(())),
            ("the same by IPv6",              "http://[::1]:8080/x",                     Ok(())),
            ("the same by name",              "http://LocalHost/x",                      Ok(())),
            ("plain to elsewhere",            "http://id.example.org/",                  Err(E::Plain)),
            ("a name that begins alike",      "http://localhost.example.org/",           Err(E::Plain)),
            ("an address within a name",      "http://127.0.0.1.example.org/",           Err(E::Plain)),
            ("with a password",               "https://a:b@id.example.org/",             Err(E::Extras)),
            ("loopback as user",              "http://127.0.0.1@id.example.org/",        Err(E::Extras)),
            ("with a fragment",               "https://id.example.org/#x",               Err(E::Extras)),
            ("a file",                        "file:///etc/passwd",                      Err(E::NoAddress)),
            ("a host alone",                  "id.example.org",                          Err(E::NoAddress)),
            ("a path alone",                  "/realms/a",                               Err(E::NoAddress)),
            ("a line end",                    "https://id.example.org/\r\nHost: x",      Err(E::NoAddress)),
            ("nothing",                       "",                                        Err(E::NoAddress)),
        ];
        for (shows, text, want) in cases {
            assert_eq!(Endpoint::parse(text).map(drop), want, "{shows}");
        }
        let plain = Endpoint::parse_any("http://hooks.example.org/x").unwrap();
        assert!(plain.is_plain() && plain.host() == "hooks.example.org");
        assert_eq!(Endpoint::parse_any("http://a:b@x/"), Err(E::Extras));
        let long = format!("https://id.example.org/{}", "x".repeat(ADDRESS_MAX));
        assert_eq!(Endpoint::parse(&long), Err(EndpointError::NoAddress));
    }
}
