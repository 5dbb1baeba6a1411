//! The record of a domain (RFC 7489 section 6.3).

use postern_mail::{Mailbox, ParseOptions};
use postern_policy::authenticity::Requested;

/// Most report addresses of one domain.
const URIS_MAX: usize = 4;

/// A record. Missing tags have their defaults.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// `p=`; `None` if it is missing or unknown.
    pub policy: Option<Requested>,
    /// `sp=`: for what is below the domain.
    pub below: Option<Requested>,
    /// `np=`: for names below it that do not exist (RFC 9091).
    pub nonexistent: Option<Requested>,
    /// `adkim=s`.
    pub strict_dkim: bool,
    /// `aspf=s`.
    pub strict_spf: bool,
    /// `pct=`: percentage of the mail to which the policy applies.
    pub percent: u8,
    /// `t=y`: the policy is being tested (DMARCbis).
    pub testing: bool,
    /// `psd=`.
    pub psd: Psd,
    /// `fo=`: for which failures the domain wants failure reports; `0` if absent. Repeated in aggregate reports.
    pub failure_options: String,
    /// `rua=`: where reports go.
    pub reports: Vec<ReportUri>,
}

/// Whether names below a domain belong to others, `psd=`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Psd {
    /// They do, as below `co.uk`.
    Yes,
    /// They do not: the domain is the top of its organisation.
    No,
    /// Not specified.
    Unsaid,
}

/// Where reports go (RFC 7489 section 6.2).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReportUri {
    /// The address.
    pub to: Mailbox,
    /// The largest report that it accepts, in octets.
    pub size_max: Option<u64>,
}

impl Record {
    /// Whether a TXT record is a DMARC record: `v=DMARC1` comes first.
    #[must_use]
    pub fn is_one(text: &[u8]) -> bool {
        let end = text.iter().position(|octet| *octet == b';').unwrap_or(text.len());
        let Some(equals) = text[..end].iter().position(|octet| *octet == b'=') else {
            return false;
        };
        text[..equals].trim_ascii() == b"v" && text[equals + 1..end].trim_ascii() == b"DMARC1"
    }

    /// Parses a DMARC record. Invalid values count as absent (section 6.3); of a repeated tag, the first counts.
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        let text = String::from_utf8_lossy(text);
        let tag = |wanted: &str| {
            text.split(';')
                .filter_map(|part| part.split_once('='))
                .find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted))
                .map(|(_, value)| value.trim())
        };
        let requested = |name: &str| Requested::from_word(&tag(name)?.to_ascii_lowercase());
        let is = |name: &str, word: &str| tag(name).is_some_and(|value| value.eq_ignore_ascii_case(word));
        let percent = tag("pct")
            .and_then(|value| value.parse().ok())
            .filter(|percent| *percent <= 100);
        let uris = tag("rua").unwrap_or_default();
        Self {
            policy: requested("p"),
            below: requested("sp"),
            nonexistent: requested("np"),
            strict_dkim: is("adkim", "s"),
            strict_spf: is("aspf", "s"),
            percent: percent.unwrap_or(100),
            testing: is("t", "y"),
            failure_options: tag("fo")
                .filter(|options| options.split(':').all(is_failure_option))
                .unwrap_or("0")
                .to_owned(),
            psd: match tag("psd") {
                Some("y" | "Y") => Psd::Yes,
                Some("n" | "N") => Psd::No,
                _ => Psd::Unsaid,
            },
            reports: uris
                .split(',')
                .filter_map(ReportUri::parse)
                .take(URIS_MAX)
                .collect(),
        }
    }

    /// The policy in `p=`. A record without a valid one, but with a report address, means `none` (section 6.6.3); any other is
    /// ignored.
    #[must_use]
    pub fn requested(&self) -> Option<Requested> {
        self.policy
            .or_else(|| (!self.reports.is_empty()).then_some(Requested::None))
    }
}

impl ReportUri {
    /// Reads `mailto:address!10m`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.trim().split_once(':')?;
        if !scheme.eq_ignore_ascii_case("mailto") {
            return None;
        }
        let (address, size_max) = match rest.rsplit_once('!') {
            Some((address, size)) => (address, Some(octets(size)?)),
            None => (rest, None),
        };
        let address = address.split('?').next().unwrap_or_default();
        let to = Mailbox::parse(&decoded(address)?, &ParseOptions::default()).ok()?;
        to.domain().name()?;
        Some(Self { to, size_max })
    }
}

fn is_failure_option(word: &str) -> bool {
    matches!(word, "0" | "1" | "d" | "s")
}

/// `10m`: a number, and a unit: 1024, its square, and so on.
fn octets(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" => 0,
        "k" | "K" => 10,
        "m" | "M" => 20,
        "g" | "G" => 30,
        "t" | "T" => 40,
        _ => return None,
    };
    let number: u64 = digits.parse().ok()?;
    Some(number.saturating_mul(1 << unit))
}

/// `%21` in URLs.
fn decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut octets = text.bytes();
    while let Some(octet) = octets.next() {
        if octet == b'%' {
            let pair = [octets.next()?, octets.next()?];
            out.push(u8::from_str_radix(std::str::from_utf8(&pair).ok()?, 16).ok()?);
        } else {
            out.push(octet);
        }
    }
    String::from_utf8(out).ok()
}
