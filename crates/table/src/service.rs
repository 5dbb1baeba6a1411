//! Table services on sockets: their requests and answers (socketmap_table(5), tcp_table(5)).

use std::path::PathBuf;

/// Longest answer, in octets.
pub const ANSWER_MAX: usize = 100_000;

/// Where a service listens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ServicePlace {
    /// A host with a port, as `host:port`.
    Inet(String),
    /// A Unix socket.
    Unix(PathBuf),
}

/// The protocol.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Talk {
    /// sendmail's socketmap, with the name of one of its maps.
    Socketmap(String),
    /// Postfix's tcp_table.
    Tcp,
}

/// A service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Service {
    /// Where it listens.
    pub place: ServicePlace,
    /// The protocol.
    pub talk: Talk,
}

/// A service's answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Said {
    /// It has this value.
    Value(String),
    /// It has none.
    Nothing,
    /// The look-up failed.
    Failed(String),
}

impl Service {
    /// Reads `inet:host:port:name`, `unix:/path:name`; for `tcp` `host:port`.
    pub(crate) fn parse(word: &str, text: &str) -> Result<Self, String> {
        let bad = || {
            let examples = match word {
                "tcp" => "\"tcp:127.0.0.1:10001\"",
                _ => "\"socketmap:unix:/run/map.sock:name\" or \"socketmap:inet:127.0.0.1:8461:name\"",
            };
            format!("names no service: write for example {examples}")
        };
        let clean =
            |text: &str| !text.is_empty() && !text.chars().any(|c| c.is_control() || c.is_whitespace());
        if word == "tcp" {
            let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
            port.parse::<u16>().map_err(|_| bad())?;
            let is_host = clean(host);
            return is_host
                .then(|| Self {
                    place: ServicePlace::Inet(text.to_owned()),
                    talk: Talk::Tcp,
                })
                .ok_or_else(bad);
        }
        let (kind, rest) = text.split_once(':').ok_or_else(bad)?;
        let (address, name) = rest.rsplit_once(':').ok_or_else(bad)?;
        if !clean(address) || !clean(name) {
            return Err(bad());
        }
        let place = match kind {
            "inet" => {
                let (_, port) = address.rsplit_once(':').ok_or_else(bad)?;
                port.parse::<u16>().map_err(|_| bad())?;
                ServicePlace::Inet(address.to_owned())
            }
            "unix" => ServicePlace::Unix(address.into()),
            _ => return Err(bad()),
        };
        Ok(Self {
            place,
            talk: Talk::Socketmap(name.to_owned()),
        })
    }

    /// The request for a key.
    #[must_use]
    pub fn question(&self, key: &str) -> Vec<u8> {
        match &self.talk {
            Talk::Socketmap(name) => {
                let text = format!("{name} {key}");
                format!("{}:{text},", text.len()).into_bytes()
            }
            Talk::Tcp => format!("get {}\n", encoded(key)).into_bytes(),
        }
    }

    /// Reads an answer: its length in octets, and its content. `None` while it is incomplete.
    ///
    /// # Errors
    ///
    /// It is invalid or too long.
    pub fn answer(&self, octets: &[u8]) -> Result<Option<(usize, Said)>, String> {
        match &self.talk {
            Talk::Socketmap(_) => netstring(octets),
            Talk::Tcp => line(octets),
        }
    }
}

impl std::fmt::Display for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.talk, &self.place) {
            (Talk::Tcp, ServicePlace::Inet(address)) => write!(f, "tcp:{address}"),
            (Talk::Tcp, ServicePlace::Unix(path)) => write!(f, "tcp:{}", path.display()),
            (Talk::Socketmap(name), ServicePlace::Inet(address)) => {
                write!(f, "socketmap:inet:{address}:{name}")
            }
            (Talk::Socketmap(name), ServicePlace::Unix(path)) => {
                write!(f, "socketmap:unix:{}:{name}", path.display())
            }
        }
    }
}

fn netstring(octets: &[u8]) -> Result<Option<(usize, Said)>, String> {
    let bad = || "it answers without a netstring".to_owned();
    let Some(colon) = octets.iter().position(|octet| *octet == b':') else {
        return if octets.len() > 6 || !octets.iter().all(u8::is_ascii_digit) {
            Err(bad())
        } else {
            Ok(None)
        };
    };
    let digits = std::str::from_utf8(&octets[..colon]).map_err(|_| bad())?;
    let length: usize = digits.parse().map_err(|_| bad())?;
    if length > ANSWER_MAX {
        return Err(format!("its answer is longer than {ANSWER_MAX} octets"));
    }
    let end = colon + 1 + length;
    match octets.get(end) {
        None => return Ok(None),
        Some(b',') => {}
        Some(_) => return Err(bad()),
    }
    let text = std::str::from_utf8(&octets[colon + 1..end]).map_err(|_| "its answer is not UTF-8")?;
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let said = match word {
        "OK" if rest.is_empty() => Said::Nothing,
        "OK" => Said::Value(rest.to_owned()),
        "NOTFOUND" => Said::Nothing,
        "TEMP" | "TIMEOUT" | "PERM" => Said::Failed(format!("it says {text}")),
        _ => {
            return Err(format!(
                "it answers {word:?}, which is not a status of a socketmap"
            ));
        }
    };
    Ok(Some((end + 1, said)))
}

fn line(octets: &[u8]) -> Result<Option<(usize, Said)>, String> {
    let Some(end) = octets.iter().position(|octet| *octet == b'\n') else {
        return if octets.len() > ANSWER_MAX {
            Err(format!("its answer is longer than {ANSWER_MAX} octets"))
        } else {
            Ok(None)
        };
    };
    let text = std::str::from_utf8(&octets[..end]).map_err(|_| "its answer is not UTF-8")?;
    let text = text.trim_end_matches('\r');
    let (code, rest) = text.split_once(' ').unwrap_or((text, ""));
    let rest = decoded(rest).ok_or("its answer is not encoded as tcp_table(5) says")?;
    let said = match code {
        "200" if rest.is_empty() => Said::Nothing,
        "200" => Said::Value(rest),
        "500" => Said::Nothing,
        "400" => Said::Failed(format!("it says 400 {rest}")),
        _ => return Err("it answers with a code that tcp_table(5) does not have".into()),
    };
    Ok(Some((end + 1, said)))
}

/// With blanks, control characters, `%` and non-ASCII octets as `%XX`.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for octet in text.bytes() {
        match octet {
            b'!'..=b'~' if octet != b'%' => out.push(char::from(octet)),
            _ => out.push_str(&format!("%{octet:02X}")),
        }
    }
    out
}

fn decoded(text: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'%' {
            let pair = std::str::from_utf8(after.get(..2)?).ok()?;
            octets.push(u8::from_str_radix(pair, 16).ok()?);
            rest = &after[2..];
        } else {
            octets.push(*first);
            rest = after;
        }
    }
    String::from_utf8(octets).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn places() {
        #[rustfmt::skip]
        let cases = [
            ("socketmap", "unix:/run/map.sock:virtual",   Ok("socketmap:unix:/run/map.sock:virtual")),
            ("socketmap", "inet:127.0.0.1:8461:postfix",  Ok("socketmap:inet:127.0.0.1:8461:postfix")),
            ("socketmap", "inet:[::1]:8461:postfix",      Ok("socketmap:inet:[::1]:8461:postfix")),
            ("tcp",       "127.0.0.1:10001",              Ok("tcp:127.0.0.1:10001")),
            ("socketmap", "inet:127.0.0.1:name",          Err(())),
            ("socketmap", "pipe:/x:name",                 Err(())),
            ("socketmap", "unix:/run/map.sock:",          Err(())),
            ("socketmap", "unix:/run/map.sock",           Err(())),
            ("tcp",       "127.0.0.1",                    Err(())),
            ("tcp",       "a b:1",                        Err(())),
        ];
        for (word, text, want) in cases {
            let got = Service::parse(word, text)
                .map(|service| service.to_string())
                .map_err(|_| ());
            assert_eq!(got, want.map(str::to_owned), "{text}");
        }
    }

    #[test]
    fn questions_and_answers() {
        let map = Service::parse("socketmap", "unix:/s:virtual").unwrap();
        assert_eq!(map.question("a@b.test"), b"16:virtual a@b.test,");
        let tcp = Service::parse("tcp", "h:1").unwrap();
        assert_eq!(tcp.question("a b%"), b"get a%20b%25\n");
        let value = |text: &str| Said::Value(text.into());
        let failed = |text: &str| Said::Failed(text.into());
        #[rustfmt::skip]
        let cases = [
            (&map, "8:OK x, yz,",            Ok(Some((11, value("x, yz"))))),
            (&map, "9:NOTFOUND ,5:OK",       Ok(Some((12, Said::Nothing)))),
            (&map, "3:OK ,",                 Ok(Some((6, Said::Nothing)))),
            (&map, "9:TEMP busy,",           Ok(Some((12, failed("it says TEMP busy"))))),
            (&map, "8:OK x",                 Ok(None)),
            (&map, "8",                      Ok(None)),
            (&map, "",                       Ok(None)),
            (&map, "x:OK x,",                Err(())),
            (&map, "4:OK x;",                Err(())),
            (&map, "999999:OK",              Err(())),
            (&map, "99999999",               Err(())),
            (&map, "2:NO,",                  Err(())),
            (&tcp, "200 a%20b\n",            Ok(Some((10, value("a b"))))),
            (&tcp, "500 none\n",             Ok(Some((9, Said::Nothing)))),
            (&tcp, "400 down\n",             Ok(Some((9, failed("it says 400 down"))))),
            (&tcp, "200 a",                  Ok(None)),
            (&tcp, "200 %zz\n",              Err(())),
            (&tcp, "hello\n",                Err(())),
        ];
        for (service, octets, want) in cases {
            let got = service.answer(octets.as_bytes()).map_err(|_| ());
            assert_eq!(got, want, "{octets:?}");
        }
    }

    proptest! {
        #[test]
        fn any_octets(octets in proptest::collection::vec(any::<u8>(), 0..64), key in "\\PC{0,30}") {
            for service in [Service::parse("socketmap", "unix:/s:m").unwrap(), Service::parse("tcp", "h:1").unwrap()] {
                if let Ok(Some((taken, _))) = service.answer(&octets) {
                    prop_assert!(taken <= octets.len());
                }
                prop_assert!(service.question(&key).len() >= key.len());
            }
            prop_assert_eq!(decoded(&encoded(&key)), Some(key));
        }
    }
}
