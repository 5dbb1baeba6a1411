//! Steps of a rotation, taken by the server or by hand.

use std::collections::HashSet;
use std::path::Path;

use jiff::Timestamp;
use postern_net::resolver::{ResolveError, Resolver};
use postern_seal::rotation::{Act, KeyRing, Stage};
use postern_seal::{Algorithm, KeyRecord, Published, RsaBits, SigningKey, zone_line};
use serde::Serialize;

use super::DkimDomain;
use super::folder::KeyFolder;

/// What was done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Done {
    /// Nothing, and there was nothing to do.
    Rest,
    /// Nothing: DNS does not show the records of these selectors.
    Waiting(Vec<String>),
    /// Keys were created, whose records must be added.
    Made(Vec<Record>),
    /// These sign from now on.
    Switched(Vec<String>),
    /// These were removed.
    Removed(Vec<String>),
}

/// A record to add to DNS.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Record {
    pub(crate) selector: String,
    pub(crate) algorithm: Algorithm,
    /// Its full name.
    pub(crate) name: String,
    /// Its text.
    pub(crate) text: String,
}

impl Record {
    /// The record of a key.
    pub(crate) fn of(domain: &str, selector: &str, key: &SigningKey) -> Self {
        Self {
            selector: selector.to_owned(),
            algorithm: key.algorithm(),
            name: KeyRecord::name(selector, domain),
            text: KeyRecord::of(key).to_string(),
        }
    }

    /// In zone file format.
    pub(crate) fn zone_line(&self) -> String {
        zone_line(&self.name, &self.text)
    }
}

/// What DNS has for a key.
///
/// # Errors
///
/// DNS cannot be queried now.
pub(crate) async fn published(
    resolver: &Resolver,
    domain: &str,
    selector: &str,
    key: &SigningKey,
) -> Result<Published, ResolveError> {
    let records = match resolver.txt(&KeyRecord::name(selector, domain)).await {
        Ok(records) => records,
        Err(error) if error.is_temporary() => return Err(error),
        Err(_) => Vec::new(),
    };
    let texts: Vec<_> = records
        .iter()
        .map(|record| String::from_utf8_lossy(record))
        .collect();
    Ok(Published::of(key, &texts))
}

/// The selectors of the next keys that DNS shows. A look-up that fails shows nothing.
pub(crate) async fn shown(
    resolver: &Resolver,
    domain: &str,
    folder: &KeyFolder,
    ring: &KeyRing,
) -> Result<HashSet<String>, String> {
    let mut shown = HashSet::new();
    for entry in ring.at(Stage::Next) {
        let key = folder.key(&entry.selector)?;
        let found = published(resolver, domain, &entry.selector, &key).await;
        if found.is_ok_and(|found| found.verifies()) {
            shown.insert(entry.selector.clone());
        }
    }
    Ok(shown)
}

/// Takes the next step, if its time has come.
///
/// # Errors
///
/// The keys cannot be read or written, as text.
pub(crate) async fn go_on(
    domain: &DkimDomain,
    state_dir: &Path,
    resolver: &Resolver,
    now: Timestamp,
) -> Result<Done, String> {
    let folder = domain.folder(state_dir);
    let ring = folder.ring()?;
    let shown = shown(resolver, &domain.domain, &folder, &ring).await?;
    let act = ring.act(&domain.rotation, |selector| shown.contains(selector), now);
    let (name, ring) = (domain.domain.clone(), ring);
    match act {
        Act::Rest => Ok(Done::Rest),
        Act::Await(selectors) => Ok(Done::Waiting(selectors)),
        act => {
            let step = move || take(&folder, &name, &ring, act, now);
            let taken = tokio::task::spawn_blocking(step).await;
            taken.unwrap_or_else(|error| Err(error.to_string()))
        }
    }
}

/// Takes a step, unless the keys have been changed meanwhile.
fn take(folder: &KeyFolder, domain: &str, seen: &KeyRing, act: Act, now: Timestamp) -> Result<Done, String> {
    let locked = folder.lock()?;
    let mut ring = folder.ring()?;
    if ring != *seen {
        return Ok(Done::Rest);
    }
    match act {
        Act::Make(algorithms) => {
            let made = locked.make(&algorithms, RsaBits::default(), None, now)?;
            let record = |selector: &String| Ok(Record::of(domain, selector, &folder.key(selector)?));
            Ok(Done::Made(
                made.iter().map(record).collect::<Result<_, String>>()?,
            ))
        }
        Act::Switch => {
            ring.switch(now);
            locked.save(&ring)?;
            Ok(Done::Switched(selectors(&ring, Stage::Active)))
        }
        Act::Remove(old) => {
            locked.remove(&old)?;
            Ok(Done::Removed(old))
        }
        Act::Await(_) | Act::Rest => Ok(Done::Rest),
    }
}

/// The selectors of the keys in this stage.
pub(crate) fn selectors(ring: &KeyRing, stage: Stage) -> Vec<String> {
    ring.at(stage).map(|entry| entry.selector.clone()).collect()
}
