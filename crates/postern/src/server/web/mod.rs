//! The routes that are served over HTTP: metrics and health for monitors, the API, the page.

mod health;
mod monitor;
mod numbers;

use std::sync::Arc;

use postern_directory::Directories;
use postern_http::axum::Router;
use postern_http::axum::routing::get;
use postern_metrics::{ConfiguredNames, Metrics};

pub(super) use self::monitor::{Monitor, Remembered};

use super::answering::Answering;
use super::{api, pages};
use crate::config::Config;
use crate::config::checked::HttpConfig;
use crate::config::file::Serves;

/// The pages of one listener.
pub(super) fn router(config: &HttpConfig, answering: &Answering) -> Router {
    let mut router = Router::new();
    if config.serves(Serves::Metrics) {
        router = router.route("/metrics", get(numbers::metrics));
    }
    if config.serves(Serves::Health) {
        router = router
            .route("/health/live", get(health::live))
            .route("/health/ready", get(health::ready));
    }
    let mut router = router.with_state(Arc::clone(&answering.monitor));
    if config.serves(Serves::Api) {
        let message_max = answering.service.message_size();
        router = router.merge(api::router(&answering.api, message_max));
    }
    if config.serves(Serves::Web) {
        router = router.merge(pages::router(answering.service.clone()));
    }
    router
}

/// What a configuration wants counted.
pub(super) struct Wanted {
    names: ConfiguredNames,
    /// Whether metrics are served anywhere.
    on: bool,
}

impl Wanted {
    /// From this configuration, with these directories.
    pub(super) fn of(config: &Config, directories: &Directories) -> Self {
        let listeners = config.listeners.iter().map(|one| one.settings.name.clone());
        let sockets = config.sockets.iter().map(|one| one.settings.name.clone());
        let local = config.local.iter().map(|_| postern_receive::LOCAL.to_owned());
        let api = config.http.iter().any(|one| one.serves(Serves::Api));
        let local = local.chain(api.then(|| postern_receive::HTTP.to_owned()));
        let milters = config.receive.milters.iter().map(|one| one.filter.name.clone());
        Self {
            names: ConfiguredNames {
                listeners: listeners.chain(sockets).chain(local).collect(),
                directories: directories.status().into_iter().map(|one| one.name).collect(),
                milters: milters.collect(),
            },
            on: config.http.iter().any(|one| one.serves(Serves::Metrics)),
        }
    }

    /// Starts counting it.
    pub(super) fn count(&self, metrics: &Metrics) {
        metrics.expect(&self.names);
        metrics.switch(self.on);
    }
}
