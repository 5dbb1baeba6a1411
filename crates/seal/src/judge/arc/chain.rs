//! The chain in the header: three fields for each forwarder, numbered from 1 (RFC 8617 section 4.1).

use postern_mail::Header;

use crate::TagList;
use crate::judge::dkim::{Fault, HashOf, Hashers, Kind, Signature};

/// The longest chain (section 4.2.1).
pub(super) const LINKS_MAX: u32 = 50;

/// The chain of a message.
#[derive(Debug)]
pub enum Chain {
    /// There is none.
    None,
    /// It cannot be valid, whatever the keys; with the reason.
    Broken(String),
    /// It is complete and well formed.
    Whole {
        /// From the first forwarder to the last; at least one.
        links: Vec<Link>,
        /// The hash for the last link's signature over the message.
        hash: HashOf,
    },
}

/// What one forwarder added.
#[derive(Debug)]
pub struct Link {
    /// Its `ARC-Authentication-Results`.
    pub(super) results: Vec<u8>,
    /// Its `ARC-Message-Signature`.
    pub(super) message: Vec<u8>,
    /// The parsed `ARC-Message-Signature`.
    pub(super) message_signature: Signature,
    /// Its `ARC-Seal`.
    pub(super) seal: Vec<u8>,
    /// The parsed `ARC-Seal`.
    pub(super) seal_signature: Signature,
    /// Its verdict on the chain before it.
    pub(super) validation: Validation,
}

/// A forwarder's verdict on the chain that it received, `cv=`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Validation {
    /// There was none.
    None,
    /// It was valid.
    Pass,
    /// It was not valid.
    Fail,
}

impl Link {
    /// The domain that sealed it.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.seal_signature.domain
    }

    /// Its results: the text after `i=…;` in its field.
    #[must_use]
    pub fn found(&self) -> Option<&str> {
        let colon = self.results.iter().position(|octet| *octet == b':')?;
        let text = std::str::from_utf8(&self.results[colon + 1..]).ok()?;
        text.split_once(';').map(|(_, found)| found)
    }
}

#[derive(Default)]
struct Set {
    results: Option<Vec<u8>>,
    message: Option<Vec<u8>>,
    seal: Option<Vec<u8>>,
}

impl Chain {
    /// Reads the chain of a header, and requests the hash that its last link needs.
    #[must_use]
    pub fn read(header: &Header, hashers: &mut Hashers) -> Self {
        match Self::links(header) {
            Ok(links) => match links.last() {
                None => Self::None,
                Some(last) => match hashers.want(&last.message_signature) {
                    Some(hash) => Self::Whole { links, hash },
                    None => Self::Broken("too many signatures".to_owned()),
                },
            },
            Err(reason) => Self::Broken(reason),
        }
    }

    /// How many links it has; `None` for a malformed chain.
    #[must_use]
    pub fn len(&self) -> Option<u32> {
        match self {
            Self::None => Some(0),
            Self::Broken(_) => None,
            Self::Whole { links, .. } => u32::try_from(links.len()).ok(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        matches!(self, Self::None)
    }

    fn links(header: &Header) -> Result<Vec<Link>, String> {
        let mut sets: Vec<Set> = Vec::new();
        for field in header.fields() {
            let pick: fn(&mut Set) -> &mut Option<Vec<u8>> = if field.is_named("ARC-Seal") {
                |set| &mut set.seal
            } else if field.is_named("ARC-Message-Signature") {
                |set| &mut set.message
            } else if field.is_named("ARC-Authentication-Results") {
                |set| &mut set.results
            } else {
                continue;
            };
            let instance = instance(field.value(), field.is_named("ARC-Authentication-Results"))
                .ok_or("a field of the chain has no number from 1 to 50")?;
            let place = instance as usize - 1;
            if sets.len() <= place {
                sets.resize_with(place + 1, Set::default);
            }
            if pick(&mut sets[place]).replace(field.raw().to_vec()).is_some() {
                return Err(format!("a field of link {instance} is there twice"));
            }
        }
        sets.into_iter()
            .zip(1..)
            .map(|(set, instance)| set.read(instance))
            .collect()
    }
}

impl Set {
    fn read(self, instance: u32) -> Result<Link, String> {
        let incomplete = || format!("link {instance} is not complete");
        let results = self.results.ok_or_else(incomplete)?;
        let message = self.message.ok_or_else(incomplete)?;
        let seal = self.seal.ok_or_else(incomplete)?;
        let told = |what: &str, fault: &Fault| format!("the {what} of link {instance}: {fault}");
        let message_signature =
            Signature::parse(value(&message), Kind::ArcMessage).map_err(|fault| told("signature", &fault))?;
        let seal_signature =
            Signature::parse(value(&seal), Kind::ArcSeal).map_err(|fault| told("seal", &fault))?;
        let text = std::str::from_utf8(value(&seal)).unwrap_or_default();
        let tags = TagList::parse(text).map_err(|error| error.to_string())?;
        if tags.get("h").is_some() {
            return Err(format!("the seal of link {instance} has h="));
        }
        let validation = match tags.get("cv") {
            Some(word) if word.eq_ignore_ascii_case("none") => Validation::None,
            Some(word) if word.eq_ignore_ascii_case("pass") => Validation::Pass,
            Some(word) if word.eq_ignore_ascii_case("fail") => Validation::Fail,
            _ => return Err(format!("the seal of link {instance} has no cv=")),
        };
        let sealed = tags.get("i").is_some();
        if !sealed {
            return Err(incomplete());
        }
        Ok(Link {
            results,
            message,
            message_signature,
            seal,
            seal_signature,
            validation,
        })
    }
}

/// A link's field with this name.
pub(super) fn field_of<'h>(header: &'h Header, name: &'h str, link: u32) -> Option<&'h [u8]> {
    let first = name.eq_ignore_ascii_case("ARC-Authentication-Results");
    let mut fields = header.named(name).map(|(_, field)| field);
    fields
        .find(|field| instance(field.value(), first) == Some(link))
        .map(|field| field.raw())
}

fn value(raw: &[u8]) -> &[u8] {
    raw.iter()
        .position(|octet| *octet == b':')
        .map_or(&[], |colon| &raw[colon + 1..])
}

/// The number of a field: the tag `i=`, which opens the results and may be anywhere in the others.
fn instance(value: &[u8], first: bool) -> Option<u32> {
    let text = std::str::from_utf8(value).ok()?;
    let digits = if first {
        let (tag, _) = text.split_once(';')?;
        let (name, digits) = tag.split_once('=')?;
        (name.trim() == "i").then_some(digits.trim())?
    } else {
        TagList::parse(text).ok()?.get("i")?
    };
    let plain = (1..=2).contains(&digits.len()) && digits.bytes().all(|octet| octet.is_ascii_digit());
    let number = digits.parse().ok().filter(|_| plain)?;
    (1..=LINKS_MAX).contains(&number).then_some(number)
}
