//! The server: built, run, reloaded, drained, stopped.

mod answering;
mod api;
mod bound;
mod confinement;
mod decoy;
mod dkim;
mod files;
mod first_link;
pub(crate) mod health;
mod http;
mod listeners;
pub(crate) mod local;
mod mailboxes;
mod memory;
mod notify;
mod pages;
pub(crate) mod privileges;
mod sandbox;
mod services;
mod sockets;
mod statistics;
mod tokens;
mod usage;
mod watch;
mod web;

pub(crate) use self::api::document as api_description;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal::SIGXFSZ;
use postern_events::{
    ConfigurationProblem, History, Observers, Reloaded, Started, Stopping, Word, notice, shown,
};
use postern_history::History as Archive;
use postern_metrics::Metrics;
use postern_receive::{BudgetObserver, Budgets};
use postern_stats::Statistics;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use self::bound::AllBound;
use self::confinement::Granted;
use self::listeners::Bound;
use self::notify::Notifier;
use self::services::{Histories, Observing, Services};
use self::sockets::BoundSocket;
use self::watch::{Ended, Watch};
use crate::args::ConfigArg;
use crate::commands::{refused, version};
use crate::config::problem::Severity;
use crate::config::{Config, Libraries, Report, Source};
use crate::control::client::Client;
use crate::control::follow::{Followers, Follows};
use crate::control::history::Remembers;
use crate::control::server::ReloadWish;
use crate::exit::{Exit, Failure, chain};
use crate::log::Log;
use crate::returned::{Returns, ReturnsObserver};
use crate::rights::Account;
use crate::webhooks::{Pushes, Webhooks};
use crate::{firstrun, locate, output};

/// How much longer than the grace period shutdown may take.
const END_MARGIN: Duration = Duration::from_secs(5);

/// Most waiting reloads.
const RELOADS_MAX: usize = 4;

/// Runs until told to stop.
///
/// # Errors
///
/// The server cannot be started.
pub(crate) fn serve(arg: &ConfigArg) -> Result<(), Failure> {
    let (path, announcement) = find_or_make(arg)?;
    let source = Source::read(&path).map_err(|report| refused(&report, &path))?;
    let paths = source
        .written()
        .map_err(|report| refused(&report, &path))?
        .paths();
    let (mut config, report) = source
        .check(Libraries::Load)
        .map_err(|report| refused(&report, &path))?;
    privileges::refuse_root(&config)?;
    privileges::raise_file_limit();
    let too_few_files = files::fit(&mut config);
    let account = privileges::target_account(config.user.as_deref())?;
    privileges::prepare_state_dir(&config.state_dir, account.as_ref())?;
    let bound =
        bind_all(&config, account.as_ref()).map_err(|failure| beside_another(failure, &config.state_dir))?;
    if let Some(account) = &account {
        privileges::become_account(account)?;
    }
    // What is given up here applies to this thread and those that it starts: there are no others yet.
    let confinement = confinement::confine(&config, &paths);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build()
        .map_err(|error| Failure::io("cannot start the runtime", &error))?;
    let log = Log::start(&config.log).map_err(|error| Failure::io("cannot open the log", &error))?;
    let history = Arc::new(History::new(config.history));
    let metrics = Arc::new(Metrics::default());
    let statistics = Arc::new(Statistics::default());
    statistics.configure(config.statistics.days, config.statistics.names);
    let archive = start_archive(config.archive.clone())?;
    let remembers = Remembers {
        recent: Arc::clone(&history),
        archive: archive.clone(),
    };
    let followers = Arc::new(Followers::new(Arc::clone(&history)));
    let budgets = Arc::new(Budgets::default());
    let returns = Arc::new(Returns::default());
    let webhooks = Arc::new(Webhooks::new(&config.state_dir));
    let observers = Observers::new(vec![
        log.observer(),
        Box::new(remembers),
        // After the recorder of sessions, which is asked for earlier events of a session.
        Box::new(Follows(Arc::clone(&followers))),
        Box::new(Arc::clone(&metrics)),
        Box::new(statistics::Counts(Arc::clone(&statistics))),
        Box::new(BudgetObserver(Arc::clone(&budgets))),
        Box::new(ReturnsObserver(Arc::clone(&returns))),
        Box::new(Pushes(Arc::clone(&webhooks))),
    ]);
    if let Some(archive) = &archive {
        archive.tell_to(observers.clone());
    }
    for problem in webhooks.change(std::mem::take(&mut config.webhooks), &observers) {
        notice!(observers, Run Error "webhook not started", Reason = problem);
    }
    tell_report(&report, &observers);
    if let Some(problem) = too_few_files {
        observers.tell(ConfigurationProblem { problem: &problem });
    }
    if privileges::serves_as_root(&config) {
        eprintln!("postern: {}", privileges::ROOT_SERVES);
        notice!(observers, Run Warning "root", Reason = privileges::ROOT_SERVES);
    }
    let user = account.as_ref().map_or_else(String::new, ToString::to_string);
    confinement.tell(&user, &observers);
    let start = Start {
        config,
        bound,
        granted: confinement.granted(),
        announcement,
        observers,
        histories: Histories {
            history,
            archive: archive.clone(),
            followers,
            webhooks: Arc::clone(&webhooks),
        },
        metrics,
        statistics,
        budgets,
        returns,
    };
    let result = runtime.block_on(run(start, &user, &log));
    runtime.shutdown_timeout(Duration::from_secs(1));
    webhooks.stop();
    if let Some(archive) = archive {
        archive.stop();
    }
    drop(log);
    result
}

/// What the start has prepared.
struct Start {
    config: Config,
    bound: AllBound,
    /// The paths where files can be opened, if not everywhere.
    granted: Option<Granted>,
    announcement: Option<String>,
    observers: Observers,
    histories: Histories,
    metrics: Arc<Metrics>,
    statistics: Arc<Statistics>,
    budgets: Arc<Budgets>,
    returns: Arc<Returns>,
}

fn start_archive(settings: Option<postern_history::Settings>) -> Result<Option<Archive>, Failure> {
    let started = settings.map(Archive::start).transpose();
    started.map_err(|error| Failure::io("cannot start the history", &error))
}

/// Threads for work that blocks: body files, Maildirs, password hashes (which have a bound of their own below this).
///
/// More would not make a disk faster, and each keeps its own memory: with 512, a hundred messages of 25 MiB at once took 232 MiB,
/// with 32 they take 125 MiB.
const BLOCKING_THREADS: usize = 32;

/// The configuration, created if there is none, and what to report about it.
fn find_or_make(arg: &ConfigArg) -> Result<(PathBuf, Option<String>), Failure> {
    let made_here = PathBuf::from(firstrun::FOLDER).join(firstrun::FILE);
    match locate::configuration(arg)? {
        Some(path) if path == made_here => {
            let reminder = firstrun::reminder(&path);
            Ok((path, Some(reminder)))
        }
        Some(path) => Ok((path, None)),
        None => {
            locate::may_make_here()?;
            firstrun::check_ports()?;
            let made = firstrun::make(
                firstrun::FOLDER.as_ref(),
                firstrun::HOSTNAME,
                Ipv4Addr::LOCALHOST.into(),
            )?;
            Ok((made.configuration(), Some(made.announcement(true))))
        }
    }
}

/// Binds everything that the server listens on.
fn bind_all(config: &Config, account: Option<&Account>) -> Result<AllBound, Failure> {
    // A client that can connect to a port must find the sockets ready too.
    let sockets = bind_sockets(config, account)?;
    let http = sockets::bind_all(&config.http, account).map_err(|errors| not_bound(&errors))?;
    let local = config
        .local
        .as_ref()
        .map(|config| local::bind(config, account))
        .transpose()?;
    Ok(AllBound {
        listeners: bind(config)?,
        sockets,
        http,
        local,
    })
}

/// If something is in use by a server on the same state directory, says so, whichever port or socket was tried first.
fn beside_another(mut failure: Failure, state_dir: &Path) -> Failure {
    let in_use = matches!(failure.exit, Exit::TryAgain);
    if in_use && let Ok(Some(_)) = Client::connect(state_dir) {
        let hint = "`postern reload` has it read its configuration again";
        failure.message = format!(
            "{}\na server works in {} already: {hint}",
            failure.message,
            state_dir.display()
        );
    }
    failure
}

fn bind(config: &Config) -> Result<Vec<Bound>, Failure> {
    listeners::bind_all(&config.listeners).map_err(|errors| {
        let in_use = errors
            .iter()
            .any(|error| error.source.kind() == std::io::ErrorKind::AddrInUse);
        let exit = if in_use {
            Exit::TryAgain
        } else {
            Exit::NoPermission
        };
        let texts: Vec<String> = errors.iter().map(|error| chain(error)).collect();
        Failure::new(exit, texts.join("\n"))
    })
}

/// The sockets for neighbouring services. Those without a configured owner belong to the user that the server becomes.
fn bind_sockets(config: &Config, user: Option<&Account>) -> Result<Vec<BoundSocket>, Failure> {
    sockets::bind_all(&config.sockets, user).map_err(|errors| not_bound(&errors))
}

/// Sockets that cannot be bound.
fn not_bound(errors: &[sockets::SocketError]) -> Failure {
    let in_use = errors.iter().any(sockets::SocketError::in_use);
    let exit = if in_use {
        Exit::TryAgain
    } else {
        Exit::NoPermission
    };
    let texts: Vec<String> = errors.iter().map(|error| chain(error)).collect();
    Failure::new(exit, texts.join("\n"))
}

fn tell_report(report: &Report, observers: &Observers) {
    for (severity, line) in report.lines() {
        match severity {
            Severity::Error => notice!(observers, Config Error "configuration", Problem = line),
            Severity::Warning => observers.tell(ConfigurationProblem { problem: &line }),
        }
    }
}

/// The signals that are handled.
struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
    /// Nothing waits for it. But unhandled, it would kill the server when a file reaches the limit of `ulimit -f`; this way the
    /// write fails instead, and the spool reports it.
    _file_size: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            _file_size: signal(SignalKind::from_raw(SIGXFSZ as i32))?,
        })
    }

    /// Waits for any of them; `None` is `SIGHUP`.
    async fn any(&mut self) -> Option<&'static str> {
        tokio::select! {
            _ = self.hangup.recv() => None,
            _ = self.terminate.recv() => Some("SIGTERM"),
            _ = self.interrupt.recv() => Some("SIGINT"),
        }
    }

    /// Waits for `SIGTERM` or `SIGINT`; returns which.
    async fn stop(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Starts the services, then waits for signals and requests.
async fn run(start: Start, user: &str, log: &Log) -> Result<(), Failure> {
    let Start {
        config,
        bound,
        granted,
        announcement,
        observers,
        histories,
        metrics,
        statistics,
        budgets,
        returns,
    } = start;
    let mut signals = Signals::listen().map_err(|error| Failure::io("cannot listen to signals", &error))?;
    let notifier = Arc::new(Notifier::from_environment());
    let grace = config.grace;
    let hostname = config.hostname.clone();
    let (wishes, mut wished) = mpsc::channel::<ReloadWish>(RELOADS_MAX);
    let (watch, mut alarm) = Watch::new();
    let mut services = Services::start(
        config,
        bound,
        granted,
        (wishes, watch),
        Observing {
            observers: observers.clone(),
            histories,
            metrics,
            statistics,
            budgets,
            returns,
            losses: log.losses(),
        },
    )
    .await?;
    observers.tell(Started {
        version: version::TEXT,
        hostname: &hostname,
        user,
        listeners: services.listeners(),
        queued: services.queued(),
    });
    services.offer_first_link();
    notifier.ready("accepting mail");
    tokio::spawn(Arc::clone(&notifier).keep_alive());
    if let Some(text) = announcement {
        // Without a reader there is nobody to tell.
        let _ = output::print(&text);
    }
    let cause = loop {
        tokio::select! {
            ended = alarm.ended() => break Cause::Ended(ended),
            signal = signals.any() => match signal {
                Some(signal) => break Cause::Signal(signal),
                None => drop(reload(&mut services, log, &notifier, &observers).await),
            },
            Some(wish) = wished.recv() => {
                let result = reload(&mut services, log, &notifier, &observers).await;
                // The client may have disconnected.
                let _ = wish.send(result);
            }
        }
    };
    tell_end(&cause, "stopping", &observers);
    notifier.stopping();
    tokio::select! {
        ended = tokio::time::timeout(grace + END_MARGIN, services.stop()) => {
            if ended.is_err() {
                notice!(observers, Run Warning "not all sessions and deliveries ended in time");
            }
        }
        again = signals.stop() => {
            notice!(observers, Run Warning "stopped at once", Signal = again);
            log.finish();
            // What was accepted is on disk: so this is also an orderly end.
            std::process::exit(cause.exit() as i32);
        }
    }
    tell_end(&cause, "stopped", &observers);
    cause.result()
}

/// Reports that the server is stopping, or has stopped. The signal is named once.
fn tell_end(cause: &Cause, word: &'static str, observers: &Observers) {
    match cause {
        Cause::Signal(signal) => observers.tell(Stopping {
            signal: (word == "stopping").then_some(*signal),
            word: Word(word),
        }),
        Cause::Ended(ended) => notice!(observers, Run Error word, Reason = shown(ended)),
    }
}

/// Why the server stops.
enum Cause {
    /// It was told to.
    Signal(&'static str),
    /// One of its tasks ended.
    Ended(Ended),
}

impl Cause {
    fn exit(&self) -> Exit {
        match self {
            Self::Signal(_) => Exit::Ok,
            Self::Ended(_) => Exit::Software,
        }
    }

    /// The exit of `serve`, and its last message.
    fn result(self) -> Result<(), Failure> {
        let exit = self.exit();
        match self {
            Self::Signal(_) => Ok(()),
            Self::Ended(ended) => Err(Failure::new(
                exit,
                format!(
                    "{ended}; the server has stopped, since it cannot work without it (a fault of Postern)"
                ),
            )),
        }
    }
}

/// Reloads everything. The result is for the caller; the log gets it in any case.
async fn reload(
    services: &mut Services,
    log: &Log,
    notifier: &Notifier,
    observers: &Observers,
) -> Result<serde_json::Value, String> {
    notifier.reloading();
    let result = services.reload(log).await;
    notifier.ready("accepting mail");
    match result {
        Ok(warnings) => {
            for warning in &warnings {
                observers.tell(ConfigurationProblem { problem: warning });
            }
            observers.tell(Reloaded {
                file: &services.configuration().display(),
                listeners: services.listeners(),
            });
            Ok(serde_json::json!({ "warnings": warnings }))
        }
        Err(errors) => {
            for problem in &errors {
                notice!(observers, Config Error "configuration", Problem = problem);
            }
            notice!(observers, Run Error "not reloaded: the configuration stays as it was");
            Err(format!("nothing was changed:\n{}", errors.join("\n")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Together with the tests of `watch`, which check that a task's end or panic is reported, this covers the whole way from a
    /// task to the exit code.
    #[test]
    fn a_server_without_one_of_its_tasks_ends_with_70() {
        let ended = Ended {
            task: "delivery".into(),
            panic: Some("no".into()),
        };
        let failure = Cause::Ended(ended).result().unwrap_err();
        assert_eq!((failure.exit, failure.exit as i32), (Exit::Software, 70));
        assert!(
            failure.message.starts_with("the task \"delivery\" panicked: no;"),
            "{failure}"
        );
        assert!(Cause::Signal("SIGTERM").result().is_ok());
    }
}
