//! The services, wired together; what a reload swaps and what it cannot.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::OptionFuture;
use jiff::Timestamp;
use postern_deliver::{Deliverer, Settings as DeliverSettings, TlsClients};
use postern_directory::aliases::Aliases;
use postern_directory::users::Rescued;
use postern_directory::{Directories, DirectorySettings, UserStore};
use postern_events::{History, Observers, notice, shown};
use postern_history::History as Archive;
use postern_metrics::Metrics;
use postern_net::resolver::{Resolver, ResolverSettings, ResolverSetupError};
use postern_net::tls::ServerTls;
use postern_oauth::verify::Verifier;
use postern_receive::{Budgets, LoadGauge, Receiver, Settings as ReceiveSettings};
use postern_sasl::DecoySecret;
use postern_seal::judge::report::Reporter;
use postern_spool::{Inspector, Inspectors, Spool, SpoolError, SpoolSettings, SqliteSpool};
use postern_stats::Statistics;
use postern_store::Store;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::answering::Answering;
use super::api::Api;
use super::bound::AllBound;
use super::confinement::Granted;
use super::dkim::Keeper;
use super::http::Http;
use super::listeners::Listeners;
use super::local::{self, Local, LocalDeps};
use super::mailboxes::{HopAsker, LocalMailboxes};
use super::sockets::{self, Sockets};
use super::statistics;
use super::tokens::TokenSources;
use super::watch::Watch;
use super::web::{Monitor, Remembered, Wanted};
use super::{decoy, files, health, memory, sandbox};
use crate::admin::{Admin, Service};
use crate::config::checked::{Digest, OwnUsers};
use crate::config::{self, Config, JudgeSettings, Refusal, Shown, Source};
use crate::control::follow::Followers;
use crate::control::server::{ControlSocket, Deps as ControlDeps, ReloadWish};
use crate::exit::{Exit, Failure, chain};
use crate::judge::{ArcSealer, Judge, Outlet, Reports};
use crate::log::{Log, Losses};
use crate::returned::{self, Returns};
use crate::webhooks::Webhooks;

/// Everything that runs.
pub(super) struct Services {
    shared: Shared,
    fixed: Fixed,
    granted: Option<Granted>,
    spool: Arc<dyn Spool>,
    deliverer: Deliverer,
    resolver: Resolver,
    own_tokens: Arc<TokenSources>,
    dkim: Arc<Keeper>,
    /// Manages signing keys until `stop_memory`.
    dkim_keeper: JoinHandle<()>,
    /// Renews those tokens until `stop_memory`.
    keeper: JoinHandle<()>,
    listeners: Listeners,
    sockets: Sockets,
    http: Http,
    monitor: Arc<Monitor>,
    admin: Arc<Admin>,
    local: Option<Local>,
    delivery: JoinHandle<()>,
    control: JoinHandle<()>,
    memory: Option<JoinHandle<()>>,
    reports: Arc<Reports>,
    reporting: Option<JoinHandle<()>>,
    statistics: Arc<Statistics>,
    /// The recipients of the digest.
    digest: Arc<ArcSwap<Digest>>,
    counting: Option<JoinHandle<()>>,
    /// Notifies about accounts on hold until `stop_memory`.
    budget_news: JoinHandle<()>,
    /// Reports about mail that come back, and who looks them up until `stop_memory`.
    returns: Arc<Returns>,
    looking_up: Option<JoinHandle<()>>,
    stop_memory: CancellationToken,
    decoy: DecoySecret,
    health: JoinHandle<()>,
    sandbox: JoinHandle<()>,
    stop_delivery: CancellationToken,
    stop_control: CancellationToken,
    receiver: Receiver,
    observers: Observers,
    histories: Histories,
}

/// What a reload swaps.
struct Shared {
    receive: Arc<ArcSwap<ReceiveSettings>>,
    deliver: Arc<ArcSwap<DeliverSettings>>,
    tls: Arc<ArcSwap<Option<ServerTls>>>,
    client_tls: Arc<ArcSwap<TlsClients>>,
    directories: Arc<ArcSwap<Directories>>,
    tokens: Arc<ArcSwap<Verifier>>,
    aliases: Arc<ArcSwap<Aliases>>,
    /// Every key with its value, for display.
    shown: Arc<ArcSwap<Shown>>,
    /// Where actions of administrators are recorded, and how long they are kept.
    acts: Arc<ArcSwap<(PathBuf, Duration)>>,
    /// Postern's own users.
    own_users: Arc<ArcSwap<OwnUsers>>,
    /// Who sends reports of DMARC.
    reporter: Arc<ArcSwap<Option<Reporter>>>,
    /// Judges, filters and signers.
    inspectors: Arc<ArcSwap<Inspectors>>,
}

/// Keys and tables that a reload does not change.
const AT_START: [&str; 3] = ["user", "sandbox", "[spool]"];

/// What happened: recent events in memory, and on disk if enabled.
pub(super) struct Histories {
    pub(super) history: Arc<History>,
    pub(super) archive: Option<Archive>,
    /// The live followers.
    pub(super) followers: Arc<Followers>,
    /// Where events are pushed to.
    pub(super) webhooks: Arc<Webhooks>,
}

/// What only a restart changes, and what shows whether name resolution has changed.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Fixed {
    path: PathBuf,
    state_dir: PathBuf,
    user: Option<String>,
    sandbox: bool,
    /// As text, for comparison.
    spool: String,
    resolver: ResolverSettings,
    /// The folder of the history on disk, if enabled.
    archive: Option<PathBuf>,
}

impl Fixed {
    fn of(config: &Config) -> Self {
        Self {
            path: config.path.clone(),
            state_dir: config.state_dir.clone(),
            user: config.user.clone(),
            sandbox: config.sandbox,
            resolver: config.resolver.clone(),
            archive: config.archive.as_ref().map(|settings| settings.folder.clone()),
            spool: format!(
                "{:?}",
                SpoolSettings {
                    directory: PathBuf::new(),
                    // Derived from [delivery], which a reload may change.
                    downtime_max: Duration::ZERO,
                    ..config.spool.clone()
                }
            ),
        }
    }

    /// What differs, as warnings.
    fn differences(&self, new: &Self) -> Vec<String> {
        let differs = [
            ("`user`", self.user != new.user),
            ("`sandbox`", self.sandbox != new.sandbox),
            ("[spool]", self.spool != new.spool),
            ("`enabled` or `path` in [history]", self.archive != new.archive),
        ];
        let changed = differs.into_iter().filter(|(_, differs)| *differs);
        changed
            .map(|(what, _)| format!("{what} has changed and takes effect after a restart"))
            .collect()
    }
}

/// The observers of events, and what is read from them later.
pub(super) struct Observing {
    pub(super) observers: Observers,
    pub(super) histories: Histories,
    pub(super) metrics: Arc<Metrics>,
    pub(super) statistics: Arc<Statistics>,
    pub(super) budgets: Arc<Budgets>,
    pub(super) returns: Arc<Returns>,
    pub(super) losses: Losses,
}

impl Services {
    /// Opens the queue, then serves and delivers. Files can only be opened in the `granted` paths. Reload requests from the
    /// control socket go to `wishes`; all tasks are supervised by `watch`.
    pub(super) async fn start(
        config: Config,
        bound: AllBound,
        granted: Option<Granted>,
        (wishes, watch): (mpsc::Sender<ReloadWish>, Watch),
        observing: Observing,
    ) -> Result<Self, Failure> {
        let Observing {
            observers,
            histories,
            metrics,
            statistics,
            budgets,
            returns,
            losses,
        } = observing;
        let fixed = Fixed::of(&config);
        let resolver = open_resolver(&config, &observers)
            .map_err(|error| Failure::from_error(Exit::Config, "cannot look up names", &error))?;
        let tokens = open_providers(&config, None, &observers)
            .map_err(|message| Failure::new(Exit::Config, message))?;
        tokens.keep_fresh();
        let decoy = decoy::load(&config.state_dir)?;
        let directories = open_directories(&config, &resolver, &decoy, &observers)
            .await
            .map_err(|message| Failure::new(Exit::Config, message))?;
        config.tables.start(&health::around(&observers));
        Wanted::of(&config, &directories).count(&metrics);
        let own_tokens = TokenSources::new(&config.state_dir, &observers);
        let sources = own_tokens.prepare(config.tokens);
        own_tokens.take(sources.map_err(|message| Failure::new(Exit::Config, message))?);
        let spool = open_spool(SpoolSettings {
            observers: observers.clone(),
            ..config.spool.clone()
        })
        .await?;
        let store = memory::open(&fixed.state_dir, &observers).await;
        let reports = Arc::new(Reports::default());
        let deliver = swap(config.deliver);
        let dkim = Keeper::new(config.dkim, &fixed.state_dir, resolver.clone(), observers.clone());
        let receive = swap(config.receive);
        let others = [
            returned::watcher(&returns, &receive, fixed.archive.is_some()),
            dkim.inspector(&deliver),
            sealer(&config.judge, &dkim, &receive, &deliver, &observers),
        ];
        let shared = Shared {
            receive,
            deliver,
            tls: swap(config.tls),
            client_tls: swap(config.client_tls),
            directories: swap(directories),
            tokens: swap(tokens),
            aliases: swap(config.aliases),
            shown: swap(config.shown),
            acts: swap(config.acts),
            own_users: swap(config.own_users),
            reporter: swap(config.judge.reports.clone()),
            inspectors: swap(inspectors(config.judge, &resolver, &observers, &reports, others)),
        };
        let socket = ControlSocket::bind(&fixed.state_dir)
            .map_err(|error| Failure::io("cannot make the control socket", &error))?;

        let stop_memory = CancellationToken::new();
        let deliverer = Deliverer::new(postern_deliver::Deps {
            spool: Arc::clone(&spool),
            inspectors: Arc::clone(&shared.inspectors),
            settings: Arc::clone(&shared.deliver),
            resolver: resolver.clone(),
            tls: Arc::clone(&shared.client_tls),
            tokens: Arc::clone(&own_tokens) as Arc<dyn postern_deliver::Tokens>,
            observers: observers.clone(),
            mailboxes: Arc::new(LocalMailboxes {
                settings: Arc::clone(&shared.receive),
                directories: Arc::clone(&shared.directories),
                aliases: Arc::clone(&shared.aliases),
            }),
        });
        ask_next_hops(&shared.receive.load(), &deliverer);
        if let Some(store) = &store {
            memory::restore_hosts(&deliverer, store, &observers).await;
        }
        let until = |stop: &CancellationToken| {
            let stop = stop.clone();
            move || stop.is_cancelled()
        };
        let keeping = Arc::clone(&own_tokens).keep(stop_memory.clone());
        let keeper = watch.spawn("own tokens", until(&stop_memory), keeping);
        let keeping = Arc::clone(&dkim).keep(stop_memory.clone());
        let dkim_keeper = watch.spawn("keys of signatures", until(&stop_memory), keeping);
        let (stop_delivery, stop_control) = (CancellationToken::new(), CancellationToken::new());
        let (working, token) = (deliverer.clone(), stop_delivery.clone());
        let delivery = watch.spawn("delivery", until(&stop_delivery), async move {
            working.run(token).await;
        });

        let receiver = Receiver::new(postern_receive::Deps {
            spool: Arc::clone(&spool),
            inspectors: Arc::clone(&shared.inspectors),
            settings: Arc::clone(&shared.receive),
            tls: Arc::clone(&shared.tls),
            directories: Arc::clone(&shared.directories),
            tokens: Arc::clone(&shared.tokens),
            aliases: Arc::clone(&shared.aliases),
            resolver: resolver.clone(),
            load: LoadGauge::system(),
            observers: observers.clone(),
            budgets: Arc::clone(&budgets),
            decoy: decoy.clone(),
        });
        let reporting = store.clone().map(|store| {
            let outlet = Outlet {
                spool: Arc::clone(&spool),
                inspectors: Arc::clone(&shared.inspectors),
                resolver: resolver.clone(),
                observers: observers.clone(),
                reporter: Arc::clone(&shared.reporter),
            };
            let keeping = crate::judge::keep(Arc::clone(&reports), store, outlet, stop_memory.clone());
            watch.spawn("reports of DMARC", until(&stop_memory), keeping)
        });
        let digest = swap(config.statistics.digest.clone());
        let post = statistics::Post {
            spool: Arc::clone(&spool),
            inspectors: Arc::clone(&shared.inspectors),
            hostname: config.hostname.clone(),
            observers: observers.clone(),
            digest: Arc::clone(&digest),
            days_max: config.statistics.days,
        };
        let counting = store.clone().map(|store| {
            let keeping = statistics::keep(Arc::clone(&statistics), store, post, stop_memory.clone());
            watch.spawn("statistics", until(&stop_memory), keeping)
        });
        let memory = match store.clone() {
            Some(store) => {
                memory::restore_logins(&receiver, &store, &fixed.state_dir, &observers).await;
                memory::restore_budgets(&receiver, &store, &observers).await;
                let (receiver, deliverer) = (receiver.clone(), deliverer.clone());
                let seers = (observers.clone(), Arc::clone(&budgets));
                let keeping = memory::keep(receiver, deliverer, store, seers, stop_memory.clone());
                Some(watch.spawn("what outlives a restart", until(&stop_memory), keeping))
            }
            None => None,
        };
        let listeners = Listeners::start(
            Arc::new(receiver.clone()),
            bound.listeners,
            watch.clone(),
            observers.clone(),
        );
        let sockets = Sockets::start(receiver.clone(), bound.sockets, watch.clone(), observers.clone());

        let admin = Admin::open(
            config.administration,
            store.clone().map(|store| Arc::new(store) as Arc<dyn Store>),
            config.hostname.clone(),
            &observers,
        )
        .await;
        let admin = Arc::new(admin);
        let started_at = Timestamp::now();
        let monitor = Arc::new(Monitor {
            metrics,
            spool: Arc::clone(&spool),
            deliverer: deliverer.clone(),
            receiver: receiver.clone(),
            settings: Arc::clone(&shared.receive),
            directories: Arc::clone(&shared.directories),
            tls: Arc::clone(&shared.tls),
            tokens: Arc::clone(&own_tokens),
            losses: losses.clone(),
            archive: histories.archive.clone(),
            followers: Arc::clone(&histories.followers),
            webhooks: Arc::clone(&histories.webhooks),
            started_at,
            listeners: AtomicUsize::new(listeners.len() + usize::from(bound.local.is_some())),
            stopping: stop_delivery.clone(),
            remembered: Remembered::default(),
        });
        let told = crate::budgets::tell(
            crate::budgets::Deps {
                budgets: Arc::clone(&budgets),
                spool: Arc::clone(&spool),
                inspectors: Arc::clone(&shared.inspectors),
                settings: Arc::clone(&shared.receive),
                observers: observers.clone(),
            },
            stop_memory.clone(),
        );
        let budget_news = watch.spawn("news of budgets", until(&stop_memory), told);
        let looked_up = histories.archive.clone().zip(fixed.archive.clone());
        let looking_up = looked_up.map(|(history, folder)| {
            let deps = returned::Deps {
                returns: Arc::clone(&returns),
                history,
                folder,
                observers: observers.clone(),
            };
            let keeping = returned::keep(deps, stop_memory.clone());
            watch.spawn("reports that come back", until(&stop_memory), keeping)
        });

        let deps = ControlDeps {
            spool: Arc::clone(&spool),
            deliverer: deliverer.clone(),
            receiver: receiver.clone(),
            started_at,
            directories: Arc::clone(&shared.directories),
            tokens: Arc::clone(&shared.tokens),
            shown: Arc::clone(&shared.shown),
            settings: Arc::clone(&shared.receive),
            statistics: Arc::clone(&statistics),
            tls: Arc::clone(&shared.tls),
            config_path: fixed.path.as_path().into(),
            state_dir: fixed.state_dir.as_path().into(),
            losses,
            reload: wishes,
            history: Arc::clone(&histories.history),
            archive: histories.archive.clone(),
            followers: Arc::clone(&histories.followers),
            webhooks: Arc::clone(&histories.webhooks),
            stop: stop_control.clone(),
            acts: Arc::clone(&shared.acts),
            budgets: Arc::clone(&budgets),
            admin: Arc::clone(&admin),
            own_users: Arc::clone(&shared.own_users),
            dkim: Arc::clone(dkim.domains()),
            observers: observers.clone(),
        };
        let service = Service::new(deps.clone());
        let answering = Answering {
            monitor: Arc::clone(&monitor),
            api: Api::new(service.clone()),
            service,
            tls: Arc::clone(&shared.tls),
        };
        let http = Http::start(answering, bound.http, watch.clone(), observers.clone());
        local::warn_of_waiting(config.local.as_ref(), &observers);
        let local_deps = LocalDeps {
            receiver: receiver.clone(),
            settings: Arc::clone(&shared.receive),
            control: deps.clone(),
            watch: watch.clone(),
            observers: observers.clone(),
        };
        let local = bound
            .local
            .map(|bound| Local::start(bound, local_deps))
            .transpose()?;
        let health = health::keep(Arc::clone(&shared.directories), stop_control.clone());
        let health = watch.spawn("directory checks", until(&stop_control), health);
        let sandboxed = sandbox::keep(
            Arc::clone(&spool),
            Arc::clone(&shared.receive),
            observers.clone(),
            stop_control.clone(),
        );
        let sandbox = watch.spawn("the sandbox", until(&stop_control), sandboxed);
        let serving = socket.serve(deps, stop_control.clone());
        let control = watch.spawn("control socket", until(&stop_control), serving);
        Ok(Self {
            shared,
            fixed,
            granted,
            spool,
            deliverer,
            resolver,
            own_tokens,
            dkim,
            dkim_keeper,
            keeper,
            listeners,
            sockets,
            http,
            monitor,
            admin,
            local,
            delivery,
            control,
            memory,
            reports,
            reporting,
            statistics,
            digest,
            counting,
            budget_news,
            returns,
            looking_up,
            stop_memory,
            decoy,
            health,
            sandbox,
            stop_delivery,
            stop_control,
            receiver,
            observers,
            histories,
        })
    }

    /// The file of the configuration.
    pub(super) fn configuration(&self) -> &Path {
        &self.fixed.path
    }

    /// Shows how to open the page, where nobody can administer yet.
    pub(super) fn offer_first_link(&self) {
        super::first_link::offer(&self.admin, &self.fixed.state_dir, &self.observers);
    }

    /// How many listeners there are.
    pub(super) fn listeners(&self) -> usize {
        self.listeners.len()
    }

    /// How many messages are queued.
    pub(super) fn queued(&self) -> u64 {
        self.spool.counts().messages
    }

    /// Reads the configuration again and switches to it, completely or not at all. Returns warnings.
    ///
    /// Sessions and attempts in progress finish with the settings they started with.
    ///
    /// # Errors
    ///
    /// All mistakes; nothing was changed.
    pub(super) async fn reload(&mut self, log: &Log) -> Result<Vec<String>, Vec<String>> {
        let lines = |report: &config::Report| report.lines().map(|(_, line)| line).collect::<Vec<_>>();
        // Paths that can no longer be opened would look unreadable.
        let granted = self.granted.as_ref();
        let in_reach = |fragment: &Path| match granted {
            Some(granted) if !granted.reads(fragment) => Err(Refusal {
                title: out_of_reach(fragment),
                remedy: "restart the server".to_owned(),
            }),
            _ => config::believed(fragment),
        };
        let source = Source::read_by(&self.fixed.path, &in_reach).map_err(|report| lines(&report))?;
        let written = source.written().map_err(|report| lines(&report))?;
        if written.state_dir() != self.fixed.state_dir {
            // Users and mailboxes are below it: a partial move would be worse than none.
            return Err(vec![format!(
                "`state_dir` has changed, which takes a restart; this server works in {}",
                self.fixed.state_dir.display()
            )]);
        }
        let beyond = granted.map(|granted| granted.beyond(&written.paths()));
        if let Some(beyond) = beyond.filter(|beyond| !beyond.is_empty()) {
            return Err(beyond.iter().map(|path| out_of_reach(path)).collect());
        }
        let loaded = tokio::task::spawn_blocking(move || source.check(config::Libraries::Load)).await;
        let loaded = loaded.map_err(|error| vec![error.to_string()])?;
        let (mut config, report) = loaded.map_err(|report| lines(&report))?;
        let too_few_files = files::fit(&mut config);

        // What can fail comes first.
        let mut errors = Vec::new();
        let fixed = Fixed::of(&config);
        let resolver = open_resolver(&config, &self.observers)
            .map_err(|error| errors.push(chain(&error)))
            .ok();
        let directories = open_directories(&config, &self.resolver, &self.decoy, &self.observers)
            .await
            .map_err(|error| errors.push(error))
            .ok();
        let tokens = open_providers(&config, Some(&self.shared.tokens.load()), &self.observers)
            .map_err(|error| errors.push(error))
            .ok();
        let bound = self
            .listeners
            .bind(&config.listeners)
            .map_err(|failed| errors.extend(failed.iter().map(|error| chain(error))))
            .ok();
        let sockets = sockets::bind_all(self.sockets.missing(&config.sockets), None)
            .map_err(|failed| errors.extend(failed.iter().map(|error| chain(error))))
            .ok();
        let http = sockets::bind_all(self.http.missing(&config.http), None)
            .map_err(|failed| errors.extend(failed.iter().map(|error| chain(error))))
            .ok();
        let (Some(resolver), Some(directories), Some(tokens), Some(bound), Some(sockets), Some(http)) =
            (resolver, directories, tokens, bound, sockets, http)
        else {
            return Err(errors);
        };
        let wanted = Wanted::of(&config, &directories);
        let sources = self
            .own_tokens
            .prepare(config.tokens)
            .map_err(|error| vec![error])?;
        log.change(&config.log)
            .map_err(|error| vec![format!("cannot open the log: {error}")])?;

        let mut warnings = lines(&report);
        warnings.extend(too_few_files);
        warnings.extend(self.fixed.differences(&fixed));
        // The system's name servers and the trust anchors may have changed without a change in the file.
        let elsewhere = fixed.resolver.nameservers.is_empty() || fixed.resolver.trust_anchors.is_some();
        if fixed.resolver != self.fixed.resolver || elsewhere {
            self.resolver.become_like(&resolver);
            self.fixed.resolver = fixed.resolver;
        }
        self.own_tokens.take(sources);
        config.tables.start(&health::around(&self.observers));
        ask_next_hops(&config.receive, &self.deliverer);
        self.histories.history.configure(config.history);
        if let (Some(archive), Some(settings)) = (&self.histories.archive, config.archive) {
            archive.configure(settings);
        }
        self.shared.acts.store(Arc::new(config.acts));
        self.shared.own_users.store(Arc::new(config.own_users));
        self.admin.configure(config.administration);
        let (webhooks, observers) = (Arc::clone(&self.histories.webhooks), self.observers.clone());
        let wanted_hooks = std::mem::take(&mut config.webhooks);
        let changed = tokio::task::spawn_blocking(move || webhooks.change(wanted_hooks, &observers));
        warnings.extend(changed.await.unwrap_or_default());
        wanted.count(&self.monitor.metrics);
        self.statistics
            .configure(config.statistics.days, config.statistics.names);
        self.digest.store(Arc::new(config.statistics.digest));
        self.shared.receive.store(Arc::new(config.receive));
        self.shared.deliver.store(Arc::new(config.deliver));
        self.dkim.take(config.dkim);
        let others = [
            returned::watcher(
                &self.returns,
                &self.shared.receive,
                self.histories.archive.is_some(),
            ),
            self.dkim.inspector(&self.shared.deliver),
            sealer(
                &config.judge,
                &self.dkim,
                &self.shared.receive,
                &self.shared.deliver,
                &self.observers,
            ),
        ];
        self.shared.tls.store(Arc::new(config.tls));
        self.shared.client_tls.store(Arc::new(config.client_tls));
        self.shared.directories.store(Arc::new(directories));
        tokens.keep_fresh();
        self.shared.tokens.store(Arc::new(tokens));
        self.shared.aliases.store(Arc::new(config.aliases));
        self.shared.reporter.store(Arc::new(config.judge.reports.clone()));
        let inspectors = inspectors(
            config.judge,
            &self.resolver,
            &self.observers,
            &self.reports,
            others,
        );
        self.shared.inspectors.store(Arc::new(inspectors));
        config.shown.keep(&AT_START, &self.shared.shown.load());
        self.shared.shown.store(Arc::new(config.shown));
        self.listeners.change(&config.listeners, bound);
        self.monitor.listeners.store(
            self.listeners.len() + usize::from(self.local.is_some()),
            Ordering::Relaxed,
        );
        warnings.extend(self.sockets.change(&config.sockets, sockets));
        warnings.extend(self.http.change(&config.http, http));
        warnings.extend(Local::change(self.local.as_ref(), config.local.as_ref()));
        self.deliverer.reloaded();
        // Sessions whose logins are no longer valid under the new configuration end. This requires asking directories, and the
        // reload does not wait for that.
        let receiver = self.receiver.clone();
        tokio::spawn(async move { receiver.recheck_logins().await });
        Ok(warnings)
    }

    /// Stops accepting, lets sessions and deliveries end, and closes the queue.
    pub(super) async fn stop(self) {
        self.stop_delivery.cancel();
        let local = OptionFuture::from(self.local.map(Local::stop));
        let _ = tokio::join!(self.listeners.stop(), self.sockets.stop(), local, self.delivery);
        self.stop_control.cancel();
        let _ = tokio::join!(self.control, self.health, self.sandbox, self.http.stop());
        self.stop_memory.cancel();
        let _ = tokio::join!(
            self.keeper,
            OptionFuture::from(self.memory),
            OptionFuture::from(self.reporting),
            OptionFuture::from(self.counting),
            OptionFuture::from(self.looking_up),
            self.dkim_keeper,
            self.budget_news
        );
        self.own_tokens.settled().await;
        if let Err(error) = self.spool.close().await {
            notice!(self.observers, Spool Error "closed", Error = chain(&error));
        }
    }
}

/// Delivery asks the next hops about recipients.
fn ask_next_hops(settings: &ReceiveSettings, deliverer: &Deliverer) {
    if let Some(hops) = &settings.next_hops {
        hops.start(Arc::new(HopAsker(deliverer.clone())));
    }
}

/// Why a reload cannot use a path that was not configured at start.
fn out_of_reach(path: &Path) -> String {
    format!(
        "{} is new to this server, which has closed all other places to itself at its start: restart it \
         (`sandbox = false` keeps them open)",
        path.display()
    )
}

fn swap<T>(value: T) -> Arc<ArcSwap<T>> {
    Arc::new(ArcSwap::from_pointee(value))
}

/// The inspectors of messages.
fn inspectors(
    judge: JudgeSettings,
    resolver: &Resolver,
    observers: &Observers,
    reports: &Arc<Reports>,
    others: [Option<Arc<dyn Inspector>>; 3],
) -> Inspectors {
    let mut all: Vec<Arc<dyn Inspector>> = Vec::new();
    if let Some(judge) = Judge::new(judge, resolver.clone(), observers.clone(), Arc::clone(reports)) {
        all.push(Arc::new(judge));
    }
    all.extend(others.into_iter().flatten());
    Inspectors::new(all)
}

/// The sealer of judged mail that is forwarded to the outside.
fn sealer(
    settings: &JudgeSettings,
    dkim: &Keeper,
    receive: &Arc<ArcSwap<ReceiveSettings>>,
    delivery: &Arc<ArcSwap<DeliverSettings>>,
    observers: &Observers,
) -> Option<Arc<dyn Inspector>> {
    let domain = settings.arc_seal.clone()?;
    Some(Arc::new(ArcSealer {
        domain,
        authserv_id: settings.authserv_id.as_str().into(),
        signers: Arc::clone(dkim.signers()),
        receive: Arc::clone(receive),
        delivery: Arc::clone(delivery),
        observers: observers.clone(),
    }))
}

/// A damaged file of own users does not keep the server from starting.
fn rescue_users(database: &Path, observers: &Observers) {
    let file = database.display();
    match UserStore::rescue(database) {
        Ok(None) => {}
        Ok(Some(Rescued {
            users,
            left_out,
            aside,
        })) => notice!(
            observers,
            Directory Error "the file of own users was damaged: it has the users that could be read, all others are told to try again; \
             compare it with a backup, add who is missing, look whether somebody has to be disabled again, and run \
             `postern user complete`",
            File = shown(&file),
            Users = users,
            LeftOut = left_out,
            Aside = shown(&aside.display()),
        ),
        Err(error) => notice!(
            observers,
            Directory Error "the file of own users cannot be looked at, or is damaged and cannot be replaced",
            File = shown(&file),
            Error = shown(&error),
        ),
    }
}

async fn open_directories(
    config: &Config,
    resolver: &Resolver,
    decoy: &DecoySecret,
    observers: &Observers,
) -> Result<Directories, String> {
    let environment = health::environment(resolver, decoy, config.directory_check, observers);
    for directory in &config.directories {
        if let DirectorySettings::Users(users) = directory {
            let (database, observers) = (users.database.clone(), observers.clone());
            let _ = tokio::task::spawn_blocking(move || rescue_users(&database, &observers)).await;
        }
    }
    Directories::open_in(config.directories.clone(), environment)
        .await
        .map_err(|error| chain(&error))
}

/// The resolver; name servers that it cannot ask are reported.
fn open_resolver(config: &Config, observers: &Observers) -> Result<Resolver, ResolverSetupError> {
    let resolver = Resolver::new(&config.resolver)?;
    for server in resolver.passed_over() {
        notice!(
            observers,
            Run Warning "a name server with a link-local address is not asked; name another one in [dns] or /etc/resolv.conf",
            Server = shown(&server),
        );
    }
    Ok(resolver)
}

fn open_providers(
    config: &Config,
    before: Option<&Verifier>,
    observers: &Observers,
) -> Result<Verifier, String> {
    Verifier::open(config.providers.clone(), before, observers).map_err(|error| chain(&error))
}

async fn open_spool(settings: SpoolSettings) -> Result<Arc<dyn Spool>, Failure> {
    let opened = tokio::task::spawn_blocking(move || SqliteSpool::open(settings)).await;
    let opened =
        opened.map_err(|error| Failure::from_error(Exit::Software, "cannot open the queue", &error))?;
    match opened {
        Ok(spool) => Ok(Arc::new(spool)),
        Err(error) => {
            let exit = match &error {
                SpoolError::Locked { .. } => Exit::TryAgain,
                _ => Exit::InputOutput,
            };
            Err(Failure::from_error(exit, "cannot open the queue", &error))
        }
    }
}
