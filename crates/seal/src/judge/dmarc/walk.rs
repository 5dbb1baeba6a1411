//! Walking up the tree from a domain (DMARCbis, "DNS Tree Walk").

use super::record::{Psd, Record};
use crate::dns::{Dns, NoAnswer};

/// Labels of the longest name queried after the first one.
const LABELS_MAX: usize = 7;

/// The records on the way up from a domain.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    /// Lower domains first; only those that have a record.
    pub(super) found: Vec<(String, Record)>,
    /// The top of the organisation that the domain belongs to.
    pub(super) organization: String,
}

/// The DMARC record of a domain. Two of them count as none; other TXT records are ignored.
pub(super) async fn record(dns: &dyn Dns, domain: &str) -> Result<Option<Record>, String> {
    let texts = match dns.txt(&format!("_dmarc.{domain}")).await {
        Ok(texts) => texts,
        Err(NoAnswer::Nothing) => return Ok(None),
        Err(NoAnswer::Temporary(reason)) => return Err(reason),
    };
    let mut records = texts.iter().filter(|text| Record::is_one(text));
    Ok(match (records.next(), records.next()) {
        (Some(text), None) => Some(Record::parse(text)),
        _ => None,
    })
}

/// Walks up from a domain: at most eight queries.
pub(super) async fn walk(dns: &dyn Dns, domain: &str) -> Result<Walk, String> {
    let mut found = Vec::new();
    let mut name = Some(domain);
    while let Some(here) = name {
        if let Some(record) = record(dns, here).await? {
            let ends = match record.psd {
                Psd::No => true,
                Psd::Yes => here != domain,
                Psd::Unsaid => false,
            };
            found.push((here.to_owned(), record));
            if ends {
                break;
            }
        }
        name = above(here);
    }
    let organization = top(domain, &found);
    Ok(Walk { found, organization })
}

/// The top of the organisation that a domain belongs to.
///
/// # Errors
///
/// A temporary failure, with the reason.
pub async fn organization(dns: &dyn Dns, domain: &str) -> Result<String, String> {
    Ok(walk(dns, domain).await?.organization)
}

/// The next name to query.
fn above(name: &str) -> Option<&str> {
    let labels = name.split('.').count();
    let mut rest = name.split_once('.').map(|(_, rest)| rest)?;
    for _ in LABELS_MAX..labels.saturating_sub(1) {
        rest = rest.split_once('.').map(|(_, rest)| rest)?;
    }
    Some(rest)
}

fn top(domain: &str, found: &[(String, Record)]) -> String {
    for (here, record) in found {
        match record.psd {
            Psd::No => return here.clone(),
            Psd::Yes if here != domain => return one_below(domain, here),
            Psd::Yes | Psd::Unsaid => {}
        }
    }
    found.last().map_or(domain, |(here, _)| here).to_owned()
}

/// The name one label below `top` on the way to `domain`.
fn one_below(domain: &str, top: &str) -> String {
    let left = domain
        .strip_suffix(top)
        .map_or("", |left| left.trim_end_matches('.'));
    let label = left.rsplit('.').next().unwrap_or_default();
    format!("{label}.{top}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_on_the_way_up() {
        let all = |name: &str| {
            let mut names = Vec::new();
            let mut next = above(name);
            while let Some(here) = next {
                names.push(here.to_owned());
                next = above(here);
            }
            names
        };
        assert_eq!(all("a.b.example"), ["b.example", "example"]);
        assert_eq!(
            all("1.2.3.4.5.6.7.example").first().map(String::as_str),
            Some("2.3.4.5.6.7.example")
        );
        let deep = all("1.2.3.4.5.6.7.8.9.10.mail.example");
        assert_eq!(deep.len(), 7, "{deep:?}");
        assert_eq!(deep[0], "6.7.8.9.10.mail.example");
        assert!(all("example").is_empty());
    }
}
