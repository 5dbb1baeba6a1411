//! All filters: one service each, which outlives a reload that does not change it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use postern_events::{FilterAsked, FilterDown, FilterUp, Observers};
use postern_filter::{Filter, Notice, Service};
use postern_policy::milter::{Conditions, OnFailure};

use super::strangers::Strangers;
use crate::{MilterSettings, Settings, time};

/// A filter, as a session sees it.
pub(crate) struct Milter {
    pub(crate) service: Arc<Service>,
    pub(crate) conditions: Conditions,
    pub(crate) on_failure: OnFailure,
    /// Strangers' sessions that are connected to it, of all listeners.
    pub(crate) strangers: Arc<Strangers>,
    /// How many of them are allowed.
    pub(crate) strangers_max: u32,
    /// How long one that finds no place waits for one.
    pub(crate) strangers_wait: Duration,
}

impl Milter {
    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.service.filter().name
    }
}

/// A filter that is down.
#[derive(Clone, Debug)]
pub struct FailingMilter {
    /// Its name.
    pub name: String,
    /// For how long it has been down.
    pub lasts: Duration,
    /// Its last failure, in words.
    pub reason: String,
    /// What becomes of mail meanwhile.
    pub on_failure: OnFailure,
}

/// All filters of the settings in force.
#[derive(Default)]
pub(crate) struct Services(Mutex<Vec<Known>>);

/// One of them.
#[derive(Clone)]
struct Known {
    service: Arc<Service>,
    strangers: Arc<Strangers>,
}

impl Services {
    /// The filters that serve a listener, in order. Services no longer in the settings are dropped; sessions that began with them
    /// keep them.
    pub(crate) fn of_listener(
        &self,
        settings: &Settings,
        listener: &str,
        observers: &Observers,
    ) -> Vec<Arc<Milter>> {
        let mut services = self.0.lock();
        let known = std::mem::take(&mut *services);
        *services = settings
            .milters
            .iter()
            .map(|milter| {
                let same = known
                    .iter()
                    .find(|known| *known.service.filter() == milter.filter);
                same.cloned().unwrap_or_else(|| Known {
                    service: serve(&milter.filter, observers),
                    strangers: Arc::default(),
                })
            })
            .collect();
        let serves = |milter: &MilterSettings| match &milter.conditions.listeners {
            Some(names) => names.iter().any(|name| name == listener),
            None => true,
        };
        let all = settings.milters.iter().zip(&*services);
        all.filter(|(milter, _)| serves(milter))
            .map(|(milter, known)| {
                Arc::new(Milter {
                    service: Arc::clone(&known.service),
                    conditions: milter.conditions.clone(),
                    on_failure: milter.on_failure,
                    strangers: Arc::clone(&known.strangers),
                    strangers_max: milter.strangers_max,
                    strangers_wait: milter.strangers_wait,
                })
            })
            .collect()
    }

    /// Those that are down.
    pub(crate) fn failing(&self, settings: &Settings) -> Vec<FailingMilter> {
        let services = self.0.lock();
        let failing = services.iter().filter_map(|known| {
            let (lasts, reason) = known.service.trouble()?;
            let filter = known.service.filter();
            let milter = settings.milters.iter().find(|milter| milter.filter == *filter)?;
            Some(FailingMilter {
                name: filter.name.clone(),
                lasts,
                reason,
                on_failure: milter.on_failure,
            })
        });
        failing.collect()
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }

    /// Closes connections that have waited too long for another session.
    pub(crate) fn close_idle(&self) {
        self.0.lock().iter().for_each(|known| known.service.close_idle());
    }

    /// Drops all of them; their connections close once no session uses them any more.
    pub(crate) fn let_go(&self) {
        self.0.lock().clear();
    }
}

fn serve(filter: &Filter, observers: &Observers) -> Arc<Service> {
    let observers = observers.clone();
    Service::new(filter.clone(), move |filter, notice| match notice {
        Notice::Down(failure) => observers.tell(FilterDown {
            milter: &filter.name,
            address: &filter.address,
            reason: &Chain(failure),
        }),
        Notice::Up(ended) => observers.tell(FilterUp {
            milter: &filter.name,
            address: &filter.address,
            failures: ended.failures,
            seconds: ended.lasted.as_secs(),
        }),
    })
}

/// Reports that a filter was asked at `begun`, and whether it failed.
pub(super) fn tell_asked(milter: &Milter, stage: &str, begun: Instant, failed: bool, observers: &Observers) {
    let took = time::now().saturating_duration_since(begun);
    tell_took(milter, stage, took, failed, observers);
}

/// The same, when it is known how long it took.
pub(super) fn tell_took(milter: &Milter, stage: &str, took: Duration, failed: bool, observers: &Observers) {
    observers.tell(FilterAsked {
        milter: milter.name(),
        stage,
        took,
        failed,
    });
}

/// An error with its causes.
pub(super) struct Chain<'a>(pub(super) &'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(out, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}
