//! The webhooks of the server: who pushes events, started, changed and ended with the configuration.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use parking_lot::Mutex;
use postern_events::{Event, Observer, Observers, notice};
use postern_metrics::WebhookNumbers;
use postern_webhook::{Failing, Settings, Status, Webhook};

use crate::exit::chain;
use crate::log;

/// The folder of buffers, in the state directory.
const FOLDER: &str = "webhooks";

/// How long the end of the server waits for receivers.
const LAST: Duration = Duration::from_secs(3);

/// All webhooks.
pub(crate) struct Webhooks {
    folder: PathBuf,
    all: ArcSwap<Vec<Arc<Webhook>>>,
    /// Those that could not be started, with why.
    failed: Mutex<Vec<Status>>,
}

impl Webhooks {
    /// None yet.
    pub(crate) fn new(state_dir: &Path) -> Self {
        Self {
            folder: state_dir.join(FOLDER),
            all: ArcSwap::default(),
            failed: Mutex::default(),
        }
    }

    /// Goes over to other settings: starts, changes and ends webhooks. One that cannot be started keeps no mail from the server. Blocks
    /// while one ends.
    pub(crate) fn change(&self, wanted: Vec<Settings>, observers: &Observers) -> Vec<String> {
        let mut warnings = Vec::new();
        let before = self.all.load_full();
        let names: Vec<String> = wanted.iter().map(|settings| settings.name.clone()).collect();
        let (mut all, mut failed) = (Vec::new(), Vec::new());
        for settings in wanted {
            let (name, host) = (settings.name.clone(), settings.endpoint.host().to_owned());
            let running = before.iter().find(|one| one.name() == name);
            let result = match running {
                Some(running) => running.configure(settings).map(|()| Arc::clone(running)),
                None => Webhook::start(settings, &self.folder, observers.clone()).map(Arc::new),
            };
            match result {
                Ok(webhook) => all.push(webhook),
                Err(error) => {
                    let reason = chain(&error);
                    warnings.push(format!(
                        "the webhook {name} cannot be started or changed: {reason}"
                    ));
                    match running {
                        Some(running) => all.push(Arc::clone(running)),
                        None => failed.push(not_started(name, host, reason)),
                    }
                }
            }
        }
        self.all.store(Arc::new(all));
        *self.failed.lock() = failed;
        for gone in before.iter().filter(|one| !names.contains(&one.name())) {
            gone.stop(Duration::ZERO);
        }
        self.forget_others(&names, observers);
        warnings
    }

    /// Removes the buffers of webhooks that are no longer configured.
    fn forget_others(&self, names: &[String], observers: &Observers) {
        let Ok(entries) = std::fs::read_dir(&self.folder) else {
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if !names.contains(&name) && std::fs::remove_dir_all(entry.path()).is_ok() {
                notice!(observers, Run Info "webhook removed, with the events that waited for it", Webhook = name);
            }
        }
    }

    /// Ends all, at the same time. What their receivers do not take now is sent after the next start.
    pub(crate) fn stop(&self) {
        let all = self.all.swap(Arc::default());
        std::thread::scope(|scope| {
            for webhook in all.iter() {
                scope.spawn(|| webhook.stop(LAST));
            }
        });
    }

    /// How they do.
    pub(crate) fn status(&self) -> Vec<Status> {
        let mut all: Vec<Status> = self.all.load().iter().map(|one| one.status()).collect();
        all.extend(self.failed.lock().iter().cloned());
        all
    }

    /// The same as numbers.
    pub(crate) fn numbers(&self) -> Vec<WebhookNumbers> {
        let numbers = |status: Status| WebhookNumbers {
            name: status.webhook,
            delivered: status.delivered,
            dropped: status.dropped,
            waiting: status.waiting,
            taken: status.taken,
            failed: status.failed,
            up: status.failing.is_none(),
        };
        self.status().into_iter().map(numbers).collect()
    }
}

fn not_started(webhook: String, host: String, reason: String) -> Status {
    Status {
        webhook,
        host,
        failing: Some(Failing {
            since: Timestamp::now(),
            failures: 1,
            reason,
        }),
        ..Status::default()
    }
}

/// Hands events to the webhooks that want them.
pub(crate) struct Pushes(pub(crate) Arc<Webhooks>);

impl Observer for Pushes {
    fn observe(&self, event: &Event<'_>) {
        thread_local! {
            static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
        }
        let all = self.0.all.load();
        let mut wanting = all.iter().filter(|webhook| webhook.wants(event)).peekable();
        if wanting.peek().is_none() {
            return;
        }
        let mut push = |line: &mut Vec<u8>| {
            line.clear();
            log::json_line(event, Timestamp::now(), line);
            for webhook in wanting.by_ref() {
                webhook.put(event.lane(), line);
            }
        };
        LINE.with(|line| match line.try_borrow_mut() {
            Ok(mut line) => push(&mut line),
            // A value whose formatting tells of an event by itself.
            Err(_) => push(&mut Vec::new()),
        });
    }
}
