//! Whether a domain accepts reports about others (RFC 7489 section 7.1): without that, anybody could have them sent to a
//! victim.

use crate::dns::{Dns, NoAnswer};
use crate::judge::dmarc::{Record, ReportUri, organization};

/// A domain's answer about reports on another one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Permission {
    /// It does not accept them.
    Refused,
    /// It accepts them.
    Granted,
    /// It accepts them at these addresses of its own, in place of the one that the other domain names.
    Instead(Vec<ReportUri>),
}

/// Whether reports about `about` may be sent to an address in `to`. Both are normalised.
///
/// # Errors
///
/// A temporary failure, with the reason.
pub async fn may_receive(dns: &dyn Dns, about: &str, to: &str) -> Result<Permission, String> {
    if about == to || organization(dns, about).await? == organization(dns, to).await? {
        return Ok(Permission::Granted);
    }
    let texts = match dns.txt(&format!("{about}._report._dmarc.{to}")).await {
        Ok(texts) => texts,
        Err(NoAnswer::Nothing) => return Ok(Permission::Refused),
        Err(NoAnswer::Temporary(reason)) => return Err(reason),
    };
    let mut records = texts.iter().filter(|text| Record::is_one(text)).peekable();
    if records.peek().is_none() {
        return Ok(Permission::Refused);
    }
    // Addresses in other domains do not count: those have not been asked.
    let here = |uri: &ReportUri| uri.to.domain().name() == Some(to);
    let uris: Vec<_> = records
        .flat_map(|text| Record::parse(text).reports)
        .filter(here)
        .take(INSTEAD_MAX)
        .collect();
    Ok(if uris.is_empty() {
        Permission::Granted
    } else {
        Permission::Instead(uris)
    })
}

/// Most addresses that a domain can name in place of another.
const INSTEAD_MAX: usize = 2;
