//! Whether somebody wants reports about others (RFC 7489 section 7.1): without that, anybody could have them sent to a victim.

use crate::dns::{Dns, NoAnswer};
use crate::judge::dmarc::{Record, organization};

/// Whether reports about `about` may be sent to an address in `to`. Both are in their one form.
///
/// # Errors
///
/// Nobody can say for now; with the reason.
pub async fn may_receive(dns: &dyn Dns, about: &str, to: &str) -> Result<bool, String> {
    if about == to || organization(dns, about).await? == organization(dns, to).await? {
        return Ok(true);
    }
    match dns.txt(&format!("{about}._report._dmarc.{to}")).await {
        Ok(texts) => Ok(texts.iter().any(|text| Record::is_one(text))),
        Err(NoAnswer::Nothing) => Ok(false),
        Err(NoAnswer::Temporary(reason)) => Err(reason),
    }
}
