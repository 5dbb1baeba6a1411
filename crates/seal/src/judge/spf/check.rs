//! `check_host()` of RFC 7208 section 4.

use std::net::IpAddr;

use futures_util::future::BoxFuture;
use postern_mail::Mailbox;
use postern_policy::authenticity::SpfResult;

use super::expand::{MacroString, Place, Values};
use super::record::{Mechanism, Prefixes, Record};
use crate::dns::{Dns, Family, NoAnswer};

/// Most terms that may cause look-ups (section 4.6.4).
const LOOKUPS_MAX: u32 = 10;

/// Most look-ups that may find nothing (section 4.6.4).
const VOID_MAX: u32 = 2;

/// Most hosts of an MX record and names of an address examined (section 4.6.4).
const HOSTS_MAX: usize = 10;

/// The mail to check.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The client.
    pub ip: IpAddr,
    /// The name that it gave in `HELO` or `EHLO`.
    pub helo: &'a str,
    /// The sender; `None` for `<>`, when the name in `HELO` is checked (section 2.4).
    pub sender: Option<&'a Mailbox>,
    /// The name of this server.
    pub receiver: &'a str,
    /// Now, in seconds since 1970.
    pub time: i64,
}

/// Which identity was checked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Identity {
    /// The sender's domain.
    MailFrom,
    /// The client's name.
    Helo,
}

/// The SPF result.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outcome {
    /// The result.
    pub result: SpfResult,
    /// Which identity was checked.
    pub identity: Identity,
    /// Its domain, lower-case; empty if there is none.
    pub domain: String,
    /// The mechanism that matched, as written in the record.
    pub mechanism: Option<String>,
    /// Why it is an error, or the domain's explanation of a fail.
    pub reason: Option<String>,
}

/// Checks whether the client may send for the sender's domain.
pub async fn check(dns: &dyn Dns, asked: &Asked<'_>) -> Outcome {
    let helo = asked
        .helo
        .strip_suffix('.')
        .unwrap_or(asked.helo)
        .to_ascii_lowercase();
    let (identity, domain, sender, local) = match asked.sender {
        Some(sender) => {
            let domain = sender.domain().name().unwrap_or_default().to_owned();
            let local = sender.unquoted_local().into_owned();
            (Identity::MailFrom, domain, sender.to_string(), local)
        }
        None => (
            Identity::Helo,
            helo.clone(),
            format!("postmaster@{helo}"),
            "postmaster".to_owned(),
        ),
    };
    let mut evaluation = Evaluation {
        dns,
        ip: asked.ip.to_canonical(),
        helo: &helo,
        sender: &sender,
        local: &local,
        sender_domain: &domain,
        receiver: asked.receiver,
        time: asked.time,
        lookups: 0,
        void: 0,
        name: None,
        fail: None,
    };
    let judged = evaluation.host(&domain, false).await;
    let (result, mechanism, reason) = match judged {
        Ok(found) => {
            let reason = match found.result {
                SpfResult::Fail => evaluation.explain().await,
                _ => None,
            };
            (found.result, found.mechanism, reason)
        }
        Err(Stop::None(reason)) => (SpfResult::None, None, Some(reason)),
        Err(Stop::Temporary(reason)) => (SpfResult::TempError, None, Some(reason)),
        Err(Stop::Permanent(reason)) => (SpfResult::PermError, None, Some(reason)),
    };
    Outcome {
        result,
        identity,
        domain,
        mechanism,
        reason,
    }
}

struct Found {
    result: SpfResult,
    mechanism: Option<String>,
}

/// Why evaluation stops without an answer.
enum Stop {
    None(String),
    Temporary(String),
    Permanent(String),
}

struct Evaluation<'a> {
    dns: &'a dyn Dns,
    ip: IpAddr,
    helo: &'a str,
    sender: &'a str,
    local: &'a str,
    sender_domain: &'a str,
    receiver: &'a str,
    time: i64,
    lookups: u32,
    void: u32,
    /// The confirmed name of the client, once looked up.
    name: Option<String>,
    /// The domain whose record said fail, and where its explanation is.
    fail: Option<(String, MacroString)>,
}

impl<'a> Evaluation<'a> {
    /// Boxed, since records refer to records; the limit on look-ups bounds the depth.
    fn host<'s>(&'s mut self, domain: &'s str, included: bool) -> BoxFuture<'s, Result<Found, Stop>> {
        Box::pin(self.evaluate(domain, included))
    }

    async fn evaluate(&mut self, domain: &str, included: bool) -> Result<Found, Stop> {
        let record = self.record(domain).await?;
        for directive in &record.directives {
            if self.matches(&directive.mechanism, domain).await? {
                if directive.result == SpfResult::Fail && !included {
                    self.fail = record.explanation.clone().map(|exp| (domain.to_owned(), exp));
                }
                let mechanism = Some(directive.text.clone());
                return Ok(Found {
                    result: directive.result,
                    mechanism,
                });
            }
        }
        let Some(redirect) = record.redirect.as_ref().filter(|_| !record.has_all()) else {
            return Ok(Found {
                result: SpfResult::Neutral,
                mechanism: None,
            });
        };
        self.count()?;
        let target = self.fill(redirect, domain).await;
        match self.host(&target, included).await {
            Err(Stop::None(_)) => Err(Stop::Permanent(format!(
                "redirect points to {target:?}, which has no record"
            ))),
            other => other,
        }
    }

    /// The SPF record of a domain.
    async fn record(&mut self, domain: &str) -> Result<Record, Stop> {
        if !is_domain(domain) {
            return Err(Stop::None(format!("{domain:?} is not a domain")));
        }
        let texts = match self.dns.txt(domain).await {
            Ok(texts) => texts,
            Err(NoAnswer::Nothing) => return Err(Stop::None("no record".to_owned())),
            Err(NoAnswer::Temporary(reason)) => return Err(Stop::Temporary(reason)),
        };
        let mut records = texts.iter().filter(|text| Record::is_one(text));
        match (records.next(), records.next()) {
            (None, _) => Err(Stop::None("no record".to_owned())),
            (Some(_), Some(_)) => Err(Stop::Permanent(format!("{domain} has more than one SPF record"))),
            (Some(text), None) => {
                Record::parse(text).map_err(|error| Stop::Permanent(format!("{domain}: {error}")))
            }
        }
    }

    async fn matches(&mut self, mechanism: &Mechanism, domain: &str) -> Result<bool, Stop> {
        match mechanism {
            Mechanism::All => Ok(true),
            Mechanism::Ip4(network, bits) => Ok(covers((*network).into(), *bits, self.ip)),
            Mechanism::Ip6(network, bits) => Ok(covers((*network).into(), *bits, self.ip)),
            Mechanism::Include(target) => {
                self.count()?;
                let target = self.fill(target, domain).await;
                match self.host(&target, true).await {
                    Ok(found) => Ok(found.result == SpfResult::Pass),
                    Err(Stop::None(_)) => Err(Stop::Permanent(format!(
                        "include points to {target:?}, which has no record"
                    ))),
                    Err(stop) => Err(stop),
                }
            }
            Mechanism::A(target, prefixes) => {
                self.count()?;
                let target = self.target(target.as_ref(), domain).await;
                let addresses = self.addresses(&target).await?;
                Ok(addresses.iter().any(|address| self.is_near(*address, *prefixes)))
            }
            Mechanism::Mx(target, prefixes) => {
                self.count()?;
                let target = self.target(target.as_ref(), domain).await;
                self.mx(&target, *prefixes).await
            }
            Mechanism::Ptr(target) => {
                self.count()?;
                let target = self.target(target.as_ref(), domain).await;
                Ok(!self.confirmed(&target).await?.is_empty())
            }
            Mechanism::Exists(target) => {
                self.count()?;
                let target = self.fill(target, domain).await;
                if !is_name(&target) {
                    return Ok(false);
                }
                let found = self.dns.addresses(&target, Family::V4).await;
                Ok(!self.none_if_void(found)?.is_empty())
            }
        }
    }

    async fn mx(&mut self, domain: &str, prefixes: Prefixes) -> Result<bool, Stop> {
        if !is_name(domain) {
            return Ok(false);
        }
        let hosts = self.dns.mx(domain).await;
        let hosts = self.none_if_void(hosts)?;
        if hosts.len() > HOSTS_MAX {
            return Err(Stop::Permanent(format!(
                "{domain} has more than {HOSTS_MAX} MX records"
            )));
        }
        for host in hosts.iter().filter(|host| !host.is_empty()) {
            let addresses = self.addresses(host).await?;
            if addresses.iter().any(|address| self.is_near(*address, prefixes)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The client's names that resolve back to it and are in `domain` (section 5.5). DNS errors are ignored.
    async fn confirmed(&mut self, domain: &str) -> Result<Vec<String>, Stop> {
        let names = match self.dns.names(self.ip).await {
            Err(NoAnswer::Temporary(_)) => Vec::new(),
            answer => self.none_if_void(answer)?,
        };
        let mut confirmed = Vec::new();
        for name in names.into_iter().take(HOSTS_MAX) {
            let within = domain.is_empty() || is_within(&name, domain);
            if !within || !is_name(&name) {
                continue;
            }
            if let Ok(addresses) = self.dns.addresses(&name, Family::of(self.ip)).await
                && addresses.iter().any(|address| address.to_canonical() == self.ip)
            {
                confirmed.push(name.to_ascii_lowercase());
            }
        }
        Ok(confirmed)
    }

    async fn addresses(&mut self, host: &str) -> Result<Vec<IpAddr>, Stop> {
        if !is_name(host) {
            return Ok(Vec::new());
        }
        let found = self.dns.addresses(host, Family::of(self.ip)).await;
        self.none_if_void(found)
    }

    fn is_near(&self, address: IpAddr, prefixes: Prefixes) -> bool {
        let bits = if address.is_ipv4() {
            prefixes.v4
        } else {
            prefixes.v6
        };
        covers(address, bits, self.ip)
    }

    async fn target(&mut self, target: Option<&MacroString>, domain: &str) -> String {
        match target {
            Some(target) => self.fill(target, domain).await,
            None => domain.to_owned(),
        }
    }

    async fn fill(&mut self, text: &MacroString, domain: &str) -> String {
        if text.wants_name() {
            self.find_name(domain).await;
        }
        text.domain(&self.values(domain))
    }

    /// The name that `%{p}` stands for: one in the domain, one below it, or any (section 7.3).
    async fn find_name(&mut self, domain: &str) {
        if self.name.is_none() {
            let names = self.confirmed("").await.unwrap_or_default();
            let best = names
                .iter()
                .find(|name| *name == domain)
                .or_else(|| names.iter().find(|name| is_within(name, domain)))
                .or_else(|| names.first());
            self.name = Some(best.cloned().unwrap_or_else(|| "unknown".to_owned()));
        }
    }

    fn values<'v>(&'v self, domain: &'v str) -> Values<'v> {
        Values {
            sender: self.sender,
            local: self.local,
            sender_domain: self.sender_domain,
            domain,
            ip: self.ip,
            helo: self.helo,
            name: self.name.as_deref().unwrap_or("unknown"),
            receiver: self.receiver,
            time: self.time,
        }
    }

    /// The domain's explanation of a fail (section 6.2). A missing one is not an error.
    async fn explain(&mut self) -> Option<String> {
        let (domain, place) = self.fail.take()?;
        let name = self.fill(&place, &domain).await;
        if !is_name(&name) {
            return None;
        }
        let texts = self.dns.txt(&name).await.ok()?;
        let [text] = texts.as_slice() else { return None };
        let text = MacroString::parse(std::str::from_utf8(text).ok()?, Place::Explanation).ok()?;
        if text.wants_name() {
            self.find_name(&domain).await;
        }
        Some(text.explanation(&self.values(&domain))).filter(|text| !text.is_empty())
    }

    fn count(&mut self) -> Result<(), Stop> {
        self.lookups += 1;
        if self.lookups > LOOKUPS_MAX {
            return Err(Stop::Permanent(format!("more than {LOOKUPS_MAX} look-ups")));
        }
        Ok(())
    }

    /// "Nothing" is an answer, of which only a few are allowed.
    fn none_if_void<T>(&mut self, found: Result<Vec<T>, NoAnswer>) -> Result<Vec<T>, Stop> {
        match found {
            Ok(found) => Ok(found),
            Err(NoAnswer::Temporary(reason)) => Err(Stop::Temporary(reason)),
            Err(NoAnswer::Nothing) => {
                self.void += 1;
                if self.void > VOID_MAX {
                    return Err(Stop::Permanent(format!(
                        "more than {VOID_MAX} look-ups find nothing"
                    )));
                }
                Ok(Vec::new())
            }
        }
    }
}

/// Whether an address is in a network with this prefix length. Address families do not match each other.
fn covers(network: IpAddr, bits: u8, address: IpAddr) -> bool {
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits.min(32))).unwrap_or(0);
            u32::from(network) & mask == u32::from(address) & mask
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits.min(128))).unwrap_or(0);
            u128::from(network) & mask == u128::from(address) & mask
        }
        _ => false,
    }
}

fn is_within(name: &str, domain: &str) -> bool {
    let (name, domain) = (name.to_ascii_lowercase(), domain.to_ascii_lowercase());
    name == domain || name.strip_suffix(&domain).is_some_and(|left| left.ends_with('.'))
}

/// A name that can be looked up: labels of 1 to 63 octets, 253 in all.
fn is_name(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(|label| (1..=63).contains(&label.len()))
}

/// A name of several labels (section 4.3).
fn is_domain(name: &str) -> bool {
    is_name(name) && name.contains('.')
}
