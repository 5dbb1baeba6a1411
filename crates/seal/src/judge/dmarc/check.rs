//! The check (RFC 7489 section 6.6).

use postern_policy::authenticity::{DkimResult, DmarcResult, Requested, SpfResult};

use super::record::Record;
use super::walk::{Walk, record, walk};
use crate::dns::{Dns, Family, NoAnswer};
use crate::judge::domain::is_within;
use crate::judge::{dkim, spf};

/// The DMARC result.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outcome {
    /// The result.
    pub result: DmarcResult,
    /// What the domain asks for; none unless it is a fail.
    pub requested: Requested,
    /// The author's domain; empty if there is no single one.
    pub author: String,
    /// The applicable record.
    pub published: Option<Published>,
    /// Whether SPF passes for the author's domain.
    pub spf_aligned: bool,
    /// Whether a signature of the author's domain is valid.
    pub dkim_aligned: bool,
    /// Whether less is done than the policy asks for, because of `pct=` or `t=y`.
    pub sampled_out: bool,
    /// Why it is an error.
    pub reason: Option<String>,
}

/// A record, and where it was found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Published {
    /// The domain that has it.
    pub domain: String,
    /// The record.
    pub record: Record,
    /// The policy for mail of this author, before `pct=`.
    pub policy: Requested,
}

impl Outcome {
    /// The result for a message without a single author domain, or whose record cannot be determined.
    #[must_use]
    pub fn error(result: DmarcResult, author: &str, reason: String) -> Self {
        Self {
            result,
            requested: Requested::None,
            author: author.to_owned(),
            published: None,
            spf_aligned: false,
            dkim_aligned: false,
            sampled_out: false,
            reason: Some(reason),
        }
    }
}

/// Checks a message. `chance` is from 0 to 99, drawn for each message, for `pct=`.
pub async fn check(
    dns: &dyn Dns,
    author: &str,
    spf: Option<&spf::Outcome>,
    dkim: &[dkim::Outcome],
    chance: u8,
) -> Outcome {
    let error = |result, reason| Outcome::error(result, author, reason);
    let published = match published(dns, author).await {
        Ok(Some(published)) => published,
        Ok(None) => {
            return Outcome {
                reason: None,
                ..error(DmarcResult::None, String::new())
            };
        }
        Err(Trouble::Temporary(reason)) => return error(DmarcResult::TempError, reason),
        Err(Trouble::Worthless(domain)) => {
            let reason = format!("the record of {domain} has neither a valid p= nor a valid rua=");
            return error(DmarcResult::PermError, reason);
        }
    };
    let mut aligning = Aligning {
        dns,
        author,
        organization: None,
        trouble: None,
    };
    let mut outcome = Outcome {
        reason: None,
        ..error(DmarcResult::Fail, String::new())
    };
    let mut unknown = None;
    if let Some(spf) = spf {
        let aligned = aligning
            .is_aligned(&spf.domain, published.record.strict_spf)
            .await;
        match spf.result {
            SpfResult::Pass => outcome.spf_aligned = aligned,
            SpfResult::TempError if aligned => unknown = spf.reason.clone(),
            _ => {}
        }
    }
    for signature in dkim {
        let Some(domain) = &signature.domain else { continue };
        if !matches!(signature.result, DkimResult::Pass | DkimResult::TempError) {
            continue;
        }
        let aligned = aligning.is_aligned(domain, published.record.strict_dkim).await;
        match signature.result {
            DkimResult::Pass => outcome.dkim_aligned |= aligned,
            _ if aligned => unknown = signature.fault.as_ref().map(ToString::to_string),
            _ => {}
        }
    }
    if outcome.spf_aligned || outcome.dkim_aligned {
        outcome.result = DmarcResult::Pass;
    } else if let Some(reason) = unknown.or(aligning.trouble) {
        // It could have passed.
        outcome.result = DmarcResult::TempError;
        outcome.reason = Some(reason);
    } else {
        outcome.sampled_out = published.record.testing || chance >= published.record.percent;
        outcome.requested = if outcome.sampled_out {
            one_less(published.policy)
        } else {
            published.policy
        };
    }
    outcome.published = Some(published);
    outcome
}

/// The next weaker policy, for mail to which the policy is not applied (section 6.6.4).
const fn one_less(requested: Requested) -> Requested {
    match requested {
        Requested::Reject => Requested::Quarantine,
        Requested::Quarantine | Requested::None => Requested::None,
    }
}

/// Why there is no applicable record.
enum Trouble {
    Temporary(String),
    Worthless(String),
}

/// The record that counts for an author: its own, or that of the top of its organisation.
async fn published(dns: &dyn Dns, author: &str) -> Result<Option<Published>, Trouble> {
    let own = record(dns, author).await.map_err(Trouble::Temporary)?;
    if let Some(record) = own {
        let policy = record
            .requested()
            .ok_or_else(|| Trouble::Worthless(author.to_owned()))?;
        return Ok(Some(Published {
            domain: author.to_owned(),
            record,
            policy,
        }));
    }
    let walk = walk(dns, author).await.map_err(Trouble::Temporary)?;
    let Some((domain, record)) = above(walk) else {
        return Ok(None);
    };
    let policy = record
        .requested()
        .ok_or_else(|| Trouble::Worthless(domain.clone()))?;
    let below = record.below.unwrap_or(policy);
    let policy = match record.nonexistent {
        Some(nonexistent) if !exists(dns, author).await => nonexistent,
        _ => below,
    };
    Ok(Some(Published {
        domain,
        record,
        policy,
    }))
}

/// The record of the organisation, or of the suffix above it.
fn above(walk: Walk) -> Option<(String, Record)> {
    let Walk {
        mut found,
        organization,
    } = walk;
    let place = found.iter().position(|(domain, _)| *domain == organization);
    match place {
        Some(place) => Some(found.swap_remove(place)),
        None => found.pop(),
    }
}

/// Whether a name has any records relevant to mail (RFC 9091 section 2.7). If it cannot be queried, the answer is yes.
async fn exists(dns: &dyn Dns, domain: &str) -> bool {
    for family in [Family::V4, Family::V6] {
        if !matches!(dns.addresses(domain, family).await, Err(NoAnswer::Nothing)) {
            return true;
        }
    }
    !matches!(dns.mx(domain).await, Err(NoAnswer::Nothing))
}

/// Domain alignment.
struct Aligning<'a> {
    dns: &'a dyn Dns,
    author: &'a str,
    /// The top of the author's organisation, once it has been determined.
    organization: Option<String>,
    /// Why it could not be determined for some domain.
    trouble: Option<String>,
}

impl Aligning<'_> {
    /// Whether a domain is aligned with the author's (section 3.1).
    async fn is_aligned(&mut self, domain: &str, strict: bool) -> bool {
        if domain == self.author {
            return true;
        }
        if strict || domain.is_empty() {
            return false;
        }
        match self.is_of_one_organization(domain).await {
            Ok(aligned) => aligned,
            Err(reason) => {
                self.trouble = Some(reason);
                false
            }
        }
    }

    async fn is_of_one_organization(&mut self, domain: &str) -> Result<bool, String> {
        if self.organization.is_none() {
            self.organization = Some(walk(self.dns, self.author).await?.organization);
        }
        let organization = self.organization.as_deref().unwrap_or_default();
        // The top of an organisation is above all of its domains.
        if !is_within(domain, organization) {
            return Ok(false);
        }
        Ok(walk(self.dns, domain).await?.organization == organization)
    }
}
