//! A zone in memory, for tests.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt as _;
use futures_util::future::ready;

use crate::dns::{Dns, Family, Lookup, NoAnswer};

/// The zone. A name that is not in it does not exist.
#[derive(Default)]
pub(crate) struct Zone {
    records: HashMap<(String, &'static str), Vec<String>>,
    pub(crate) asked: AtomicUsize,
}

impl Zone {
    /// Lines such as `example.org TXT text`, `example.org A 192.0.2.1`, `example.org MX mx.example.org`, `192.0.2.1 PTR name`,
    /// `example.org TXT SERVFAIL`.
    pub(crate) fn new(lines: &str) -> Self {
        let mut zone = Self::default();
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let mut words = line.splitn(3, ' ');
            let (name, kind, value) = (
                words.next().unwrap(),
                words.next().unwrap(),
                words.next().unwrap_or(""),
            );
            zone.add(name, kind, value);
        }
        zone
    }

    pub(crate) fn add(&mut self, name: &str, kind: &str, value: &str) {
        let kind = ["TXT", "A", "AAAA", "MX", "PTR"]
            .into_iter()
            .find(|known| *known == kind)
            .unwrap();
        self.records
            .entry((name.to_ascii_lowercase(), kind))
            .or_default()
            .push(value.to_owned());
    }

    fn find(&self, name: &str, kind: &'static str) -> Result<Vec<String>, NoAnswer> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let values = self
            .records
            .get(&(name.to_ascii_lowercase(), kind))
            .ok_or(NoAnswer::Nothing)?;
        if values.iter().any(|value| value == "SERVFAIL") {
            return Err(NoAnswer::Temporary(
                "the name server answers: SERVFAIL".to_owned(),
            ));
        }
        Ok(values.clone())
    }

    fn addresses_of(&self, name: &str, family: Family) -> Result<Vec<IpAddr>, NoAnswer> {
        let kind = if family == Family::V4 { "A" } else { "AAAA" };
        Ok(self
            .find(name, kind)?
            .iter()
            .map(|value| value.parse().unwrap())
            .collect())
    }
}

impl Dns for Zone {
    fn txt<'a>(&'a self, name: &'a str) -> Lookup<'a, Vec<Vec<u8>>> {
        let found = self.find(name, "TXT");
        ready(found.map(|texts| texts.into_iter().map(String::into_bytes).collect())).boxed()
    }

    fn addresses<'a>(&'a self, host: &'a str, family: Family) -> Lookup<'a, Vec<IpAddr>> {
        ready(self.addresses_of(host, family)).boxed()
    }

    fn mx<'a>(&'a self, domain: &'a str) -> Lookup<'a, Vec<String>> {
        ready(self.find(domain, "MX")).boxed()
    }

    fn names(&self, address: IpAddr) -> Lookup<'_, Vec<String>> {
        ready(self.find(&address.to_string(), "PTR")).boxed()
    }
}

/// The value of a future that only waits for a [`Zone`].
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("a zone answers at once")
}
