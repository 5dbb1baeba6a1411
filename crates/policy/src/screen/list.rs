//! Block and allow lists in DNS (RFC 5782): which name to look up, and what an answer means.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use ipnet::Ipv4Net;

/// Longest name that DNS can hold, in octets of text.
const NAME_MAX: usize = 253;

/// A list, or a part of one: some of its answers with a score.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DnsList {
    /// Its name in the log, in replies and in the field of a message.
    pub name: String,
    /// The zone, in lower case and without a trailing dot.
    pub zone: String,
    /// What is looked up in it.
    pub subject: Subject,
    /// The answers that count. Empty: all but `127.0.0.1`, with which some lists refuse to answer.
    pub answers: Vec<AnswerRange>,
    /// What it adds to the score of a client; negative values are in favour of the client.
    pub score: i32,
    /// The text of replies to clients refused because of it, in place of the default.
    pub text: Option<String>,
}

/// What is looked up in a list.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Subject {
    /// The client's address.
    Client,
    /// The name that the client gives in `HELO` or `EHLO`.
    Helo,
    /// The domain of the envelope sender.
    Sender,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "client",
            Self::Helo => "helo",
            Self::Sender => "sender",
        })
    }
}

/// A range of answers, both ends included.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AnswerRange {
    first: Ipv4Addr,
    last: Ipv4Addr,
}

/// An invalid range of answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "answers of lists lie in 127.0.0.0/8; write \"127.0.0.2\", \"127.0.0.2-127.0.0.11\" or \"127.0.1.0/24\""
)]
pub struct BadAnswerRange;

/// Reads `127.0.0.2`, `127.0.0.2-127.0.0.11`, `127.0.0.2-11` or `127.0.1.0/24`.
impl FromStr for AnswerRange {
    type Err = BadAnswerRange;

    fn from_str(text: &str) -> Result<Self, BadAnswerRange> {
        let address = |text: &str| text.trim().parse::<Ipv4Addr>().map_err(|_| BadAnswerRange);
        let range = if let Some((first, last)) = text.split_once('-') {
            let first = address(first)?;
            let last = match last.trim().parse::<u8>() {
                Ok(octet) => {
                    let [a, b, c, _] = first.octets();
                    Ipv4Addr::new(a, b, c, octet)
                }
                Err(_) => address(last)?,
            };
            Self { first, last }
        } else if text.contains('/') {
            let net: Ipv4Net = text.parse().map_err(|_| BadAnswerRange)?;
            Self {
                first: net.network(),
                last: net.broadcast(),
            }
        } else {
            let only = address(text)?;
            Self {
                first: only,
                last: only,
            }
        };
        let is_good = range.first <= range.last && range.first.is_loopback() && range.last.is_loopback();
        is_good.then_some(range).ok_or(BadAnswerRange)
    }
}

/// What an answer means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answered {
    /// It is not listed, or only with answers that do not count.
    NotListed,
    /// It is listed, with this answer.
    Listed(Ipv4Addr),
    /// The list refuses to answer this server, with `127.255.255.x`: the question came through a public resolver, or there were
    /// too many.
    Refused(Ipv4Addr),
    /// Not an answer of a list: the zone now belongs to somebody else, or a resolver makes up answers.
    Parked(Ipv4Addr),
}

impl DnsList {
    /// Reads the addresses found. One that no list would return makes all of them invalid.
    #[must_use]
    pub fn read(&self, found: &[Ipv4Addr]) -> Answered {
        if let Some(foreign) = found.iter().find(|answer| !answer.is_loopback()) {
            return Answered::Parked(*foreign);
        }
        if let Some(refusal) = found.iter().find(|answer| answer.octets()[1..3] == [255, 255]) {
            return Answered::Refused(*refusal);
        }
        let counts = |answer: &&Ipv4Addr| match self.answers.as_slice() {
            [] => **answer != Ipv4Addr::LOCALHOST,
            ranges => ranges
                .iter()
                .any(|range| (range.first..=range.last).contains(*answer)),
        };
        found
            .iter()
            .find(counts)
            .map_or(Answered::NotListed, |answer| Answered::Listed(*answer))
    }
}

/// The name under which an address is looked up in a zone (RFC 5782 sections 2.1 and 2.4).
#[must_use]
pub fn address_question(address: IpAddr, zone: &str) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.{zone}")
        }
        IpAddr::V6(address) => {
            let mut name = String::with_capacity(64 + zone.len());
            for octet in address.octets().iter().rev() {
                for nibble in [octet & 15, octet >> 4] {
                    name.extend(char::from_digit(u32::from(nibble), 16));
                    name.push('.');
                }
            }
            name.push_str(zone);
            name
        }
    }
}

/// The name under which a domain is looked up in a zone (RFC 5782 section 2.2); `None` if it is too long for DNS.
#[must_use]
pub fn domain_question(domain: &str, zone: &str) -> Option<String> {
    (domain.len() + 1 + zone.len() <= NAME_MAX).then(|| format!("{domain}.{zone}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(answers: &[&str]) -> DnsList {
        DnsList {
            name: "list".to_owned(),
            zone: "bl.example".to_owned(),
            subject: Subject::Client,
            answers: answers.iter().map(|text| text.parse().unwrap()).collect(),
            score: 1,
            text: None,
        }
    }

    #[test]
    fn what_is_asked() {
        #[rustfmt::skip]
        let cases = [
            ("192.0.2.99",        "99.2.0.192.bl.example"),
            ("::ffff:192.0.2.99", "99.2.0.192.bl.example"),
            ("2001:db8:1:2:3:4:567:89ab",
             "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.bl.example"),
        ];
        for (address, question) in cases {
            assert_eq!(address_question(address.parse().unwrap(), "bl.example"), question);
        }
        assert_eq!(
            domain_question("a.example", "bl.example").as_deref(),
            Some("a.example.bl.example")
        );
        let long = "a.".repeat(122);
        assert_eq!(domain_question(&long, "bl.example"), None);
    }

    #[test]
    fn what_answers_mean() {
        use Answered::{Listed, NotListed, Parked, Refused};
        let ip = |last| Ipv4Addr::new(127, 0, 0, last);
        let foreign = Ipv4Addr::new(192, 0, 2, 1);
        let refusal = Ipv4Addr::new(127, 255, 255, 254);
        #[rustfmt::skip]
        let cases: &[(&str, &[&str], &[Ipv4Addr], Answered)] = &[
            // what the case shows             counts                        found               means
            ("nothing found",                  &[],                          &[],                NotListed),
            ("the usual answer",               &[],                          &[ip(2)],           Listed(ip(2))),
            ("not one of a list, unless named",&[],                          &[ip(1)],           NotListed),
            ("it is named",                    &["127.0.0.1"],               &[ip(1)],           Listed(ip(1))),
            ("another than the one that counts",&["127.0.0.2"],              &[ip(4)],           NotListed),
            ("one of several",                 &["127.0.0.2"],               &[ip(4), ip(2)],    Listed(ip(2))),
            ("at the end of a range",          &["127.0.0.4-127.0.0.7"],     &[ip(7)],           Listed(ip(7))),
            ("behind it",                      &["127.0.0.4-7"],             &[ip(8)],           NotListed),
            ("in a network",                   &["127.0.0.0/29"],            &[ip(7)],           Listed(ip(7))),
            ("a parked zone",                  &[],                          &[foreign],         Parked(foreign)),
            ("a parked zone with a good look", &[],                          &[ip(2), foreign],  Parked(foreign)),
            ("asked by a public resolver",     &[],                          &[refusal],         Refused(refusal)),
            ("whatever counts",                &["127.0.0.0/8"],             &[refusal, ip(2)],  Refused(refusal)),
        ];
        for (shows, counts, found, means) in cases {
            assert_eq!(list(counts).read(found), *means, "{shows}");
        }
    }

    #[test]
    fn ranges_of_answers() {
        for (text, good) in [
            ("127.0.0.2", true),
            ("127.0.0.2-127.0.0.2", true),
            ("127.0.0.9-2", false),
            ("127.0.0.0/8", true),
            ("127.0.0.0/7", false),
            ("192.0.2.1", false),
            ("127.0.0.2-128.0.0.1", false),
            ("::1", false),
            ("", false),
            ("-", false),
        ] {
            assert_eq!(text.parse::<AnswerRange>().is_ok(), good, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_written_is_read_or_refused(text in "[0-9./ -]{0,40}|\\PC{0,20}") {
            let _ = text.parse::<AnswerRange>();
        }
    }
}
