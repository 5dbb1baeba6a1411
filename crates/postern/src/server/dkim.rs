//! Manages the keys with which mail is signed: loads them, and continues rotations in progress.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use postern_deliver::Settings as DeliverSettings;
use postern_events::{Observers, notice};
use postern_net::resolver::Resolver;
use postern_spool::Inspector;
use tokio_util::sync::CancellationToken;

use crate::dkim::rotate::{self, Done};
use crate::dkim::{DkimDomain, DkimSigner, Signers, signers};

/// How often to check whether keys have changed.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// How often DNS is asked for the records of keys that wait for it.
const ASK_EVERY: Duration = Duration::from_secs(120);

/// The keys of the current configuration.
pub(super) struct Keeper {
    state_dir: PathBuf,
    domains: Arc<ArcSwap<Vec<DkimDomain>>>,
    signers: Arc<ArcSwap<Signers>>,
    resolver: Resolver,
    observers: Observers,
}

impl Keeper {
    /// With the existing keys.
    pub(super) fn new(
        domains: Vec<DkimDomain>,
        state_dir: &Path,
        resolver: Resolver,
        observers: Observers,
    ) -> Arc<Self> {
        let keeper = Self {
            state_dir: state_dir.to_owned(),
            domains: Arc::default(),
            signers: Arc::default(),
            resolver,
            observers,
        };
        keeper.take(domains);
        Arc::new(keeper)
    }

    /// Switches to these domains.
    pub(super) fn take(&self, domains: Vec<DkimDomain>) {
        self.domains.store(Arc::new(domains));
        self.load();
    }

    /// The domains in use.
    pub(super) const fn domains(&self) -> &Arc<ArcSwap<Vec<DkimDomain>>> {
        &self.domains
    }

    /// Who signs; `None` if no domain is to be signed.
    pub(super) fn inspector(&self, delivery: &Arc<ArcSwap<DeliverSettings>>) -> Option<Arc<dyn Inspector>> {
        if self.domains.load().is_empty() {
            return None;
        }
        Some(Arc::new(DkimSigner {
            signers: Arc::clone(&self.signers),
            delivery: Arc::clone(delivery),
            observers: self.observers.clone(),
        }))
    }

    /// The keys that sign.
    pub(super) fn signers(&self) -> &Arc<ArcSwap<Signers>> {
        &self.signers
    }

    /// Reads the keys again.
    fn load(&self) {
        let (signers, problems) = signers(&self.domains.load(), &self.state_dir);
        for problem in problems {
            notice!(self.observers, Config Error "DKIM keys cannot be used, mail of their domain is not signed", Error = problem);
        }
        self.signers.store(Arc::new(signers));
    }

    /// Looks after the keys until `stop`.
    pub(super) async fn keep(self: Arc<Self>, stop: CancellationToken) {
        let mut seen = self.seen();
        let mut asked: HashMap<String, Instant> = HashMap::new();
        loop {
            for domain in self.domains.load_full().iter() {
                if !domain.is_managed() || !domain.automatic {
                    continue;
                }
                let is_time = asked
                    .get(&domain.domain)
                    .is_none_or(|at| at.elapsed() >= ASK_EVERY);
                if is_time {
                    asked.insert(domain.domain.clone(), Instant::now());
                    self.go_on(domain).await;
                }
            }
            let now = self.seen();
            if now != seen {
                seen = now;
                self.load();
                // Somebody who has created keys manually need not wait long.
                asked.clear();
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// When the keys of each domain were last changed.
    fn seen(&self) -> Vec<(String, Option<SystemTime>)> {
        let domains = self.domains.load();
        let managed = domains.iter().filter(|domain| domain.is_managed());
        managed
            .map(|domain| (domain.domain.clone(), domain.folder(&self.state_dir).changed()))
            .collect()
    }

    /// Takes the next step of a rotation, if there is one.
    async fn go_on(&self, domain: &DkimDomain) {
        let (name, observers) = (&domain.domain, &self.observers);
        match rotate::go_on(domain, &self.state_dir, &self.resolver, Timestamp::now()).await {
            Ok(Done::Rest | Done::Waiting(_)) => {}
            Ok(Done::Made(records)) => {
                for record in records {
                    notice!(
                        observers,
                        Config Warning "a DKIM key was made that signs once DNS shows its record: add it",
                        Domain = name,
                        Record = record.zone_line(),
                    );
                }
            }
            Ok(Done::Switched(selectors)) => notice!(
                observers,
                Config Info "DNS shows the records of new DKIM keys, which sign from now on",
                Domain = name,
                Signatures = selectors.join(" "),
            ),
            Ok(Done::Removed(selectors)) => notice!(
                observers,
                Config Info "old DKIM keys were removed, and their records can be",
                Domain = name,
                Signatures = selectors.join(" "),
            ),
            Err(error) => notice!(
                observers,
                Config Error "the rotation of DKIM keys cannot continue",
                Domain = name,
                Error = error,
            ),
        }
    }
}
