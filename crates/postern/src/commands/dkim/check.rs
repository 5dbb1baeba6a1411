//! `postern dkim check`: whether receivers can verify what is signed here.

use postern_net::resolver::Resolver;
use postern_seal::rotation::Stage;
use postern_seal::{KeyRecord, Published, SigningKey};
use serde::Serialize;

use super::common::{enter, failed, resolver, runtime, the_domain};
use crate::args::{ConfigArg, JsonArg};
use crate::config::Config;
use crate::dkim::DkimDomain;
use crate::dkim::rotate::{Record, published};
use crate::exit::{Exit, Failure};
use crate::output;

/// One key.
#[derive(Debug, Serialize)]
pub(crate) struct KeyLine {
    pub(crate) domain: String,
    pub(crate) selector: String,
    pub(crate) algorithm: &'static str,
    pub(crate) bits: usize,
    /// `next`, `active`, `retired`; `null` for a key named in the configuration, which signs.
    pub(crate) stage: Option<Stage>,
    /// `good`, or a word for what is wrong.
    pub(crate) dns: &'static str,
    pub(crate) finding: String,
    pub(crate) remedy: String,
    /// The record that should be there.
    pub(crate) record: String,
}

impl KeyLine {
    /// Whether mail is signed with it although nobody can verify that.
    pub(crate) fn is_amiss(&self) -> bool {
        matches!(self.stage, None | Some(Stage::Active)) && self.dns != "good"
    }

    fn is_good(&self) -> bool {
        self.dns == "good"
    }
}

pub(super) fn run(config: &ConfigArg, domain: Option<&str>, json: JsonArg) -> Result<(), Failure> {
    let (config, _) = enter(config)?;
    let domains: Vec<&DkimDomain> = match domain {
        Some(name) => vec![the_domain(&config, name)?],
        None => config.dkim.iter().collect(),
    };
    let resolver = resolver(&config)?;
    let mut lines = Vec::new();
    let mut keyless = Vec::new();
    let runtime = runtime()?;
    for domain in domains {
        let found = runtime
            .block_on(look(&config, domain, &resolver))
            .map_err(failed)?;
        if !found
            .iter()
            .any(|line| matches!(line.stage, None | Some(Stage::Active)))
        {
            keyless.push(&domain.domain);
        }
        lines.extend(found);
    }
    if json.json {
        output::print_json(&lines)?;
    } else {
        show(&lines, &keyless)?;
    }
    if lines.iter().any(KeyLine::is_amiss) || !keyless.is_empty() {
        return Err(Failure::silent(Exit::No));
    }
    Ok(())
}

fn show(lines: &[KeyLine], keyless: &[&String]) -> Result<(), Failure> {
    if lines.is_empty() && keyless.is_empty() {
        return output::print("no [[dkim]]: no mail is signed");
    }
    let rows = lines.iter().map(|line| {
        let stage = match line.stage {
            None | Some(Stage::Active) => "signs",
            Some(Stage::Next) => "is next",
            Some(Stage::Retired) => "signed before",
        };
        vec![
            line.domain.clone(),
            line.selector.clone(),
            format!("{} {}", line.algorithm, line.bits),
            stage.to_owned(),
            line.dns.to_owned(),
            line.finding.clone(),
        ]
    });
    output::print_table(
        &["domain", "selector", "key", "use", "dns", "finding"],
        &[],
        &[1],
        rows.collect(),
    )?;
    for line in lines.iter().filter(|line| !line.is_good()) {
        let text = format!("{} of {}: {}", line.selector, line.domain, line.remedy);
        let text = format!("\n{}", output::wrapped(&text, output::terminal_width()));
        output::print(&match line.stage {
            Some(Stage::Retired) => text,
            _ => format!("{text}\n{}", line.record),
        })?;
    }
    for domain in keyless {
        let text = format!(
            "no key signs for {domain}: `postern dkim new {domain}` makes keys, `postern dkim rotate {domain} --continue` goes on with those \
             that wait for DNS"
        );
        output::print(&format!("\n{}", output::wrapped(&text, output::terminal_width())))?;
    }
    Ok(())
}

/// Compares all keys of a domain with DNS.
///
/// # Errors
///
/// The keys cannot be read, in words.
pub(crate) async fn look(
    config: &Config,
    domain: &DkimDomain,
    resolver: &Resolver,
) -> Result<Vec<KeyLine>, String> {
    let mut lines = Vec::new();
    for given in &domain.given {
        lines.push(line(domain, &given.selector, None, &given.key, resolver).await);
    }
    if domain.is_managed() {
        let folder = domain.folder(&config.state_dir);
        for entry in folder.ring()?.keys {
            let key = folder.key(&entry.selector)?;
            lines.push(line(domain, &entry.selector, Some(entry.stage), &key, resolver).await);
        }
    }
    Ok(lines)
}

async fn line(
    domain: &DkimDomain,
    selector: &str,
    stage: Option<Stage>,
    key: &SigningKey,
    resolver: &Resolver,
) -> KeyLine {
    let name = &domain.domain;
    let (dns, finding, remedy) = match published(resolver, name, selector, key).await {
        Ok(Published::Missing) if stage == Some(Stage::Retired) => (
            "missing",
            "the record is gone already".to_owned(),
            "mail that it has signed and that is under way cannot be verified".to_owned(),
        ),
        Ok(found) => (found.word(), found.finding(), found.remedy().to_owned()),
        Err(error) => (
            "no-answer",
            format!("{}: {error}", KeyRecord::name(selector, name)),
            "look at the name servers of the domain, and at [dns]; then check again".to_owned(),
        ),
    };
    KeyLine {
        domain: name.clone(),
        selector: selector.to_owned(),
        algorithm: key.algorithm().key_type(),
        bits: key.bits(),
        stage,
        dns,
        finding,
        remedy,
        record: Record::of(name, selector, key).zone_line(),
    }
}
