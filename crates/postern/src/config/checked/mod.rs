//! The configuration as meant: what was written, checked for consistency and against the system, in the types of the services.

mod access;
mod administration;
mod aliases;
mod budgets;
mod checking;
mod delivery;
mod devices;
pub(crate) mod directories;
mod directory_mistakes;
mod dkim;
mod dns;
mod domain_sets;
mod dovecot;
mod files;
mod hostname;
mod http;
mod identity;
mod judge;
mod kerberos;
mod lanes;
mod ldap;
mod listeners;
mod local;
mod logins;
mod maps;
mod milters;
mod networks;
mod paths;
mod places;
mod providers;
mod receiving;
mod rewrite;
mod sandbox;
mod scopes;
mod screen;
mod smarthosts;
mod sockets;
mod sql;
mod statistics;
mod system;
mod tables;
mod tls;
mod webhooks;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::{User, geteuid};
use postern_deliver::{Settings as DeliverSettings, TlsClients};
use postern_directory::DirectorySettings;
use postern_directory::aliases::Aliases;
use postern_directory::tables::Tables;
use postern_events::HistoryLimits;
use postern_net::resolver::ResolverSettings;
use postern_net::tls::ServerTls;
use postern_oauth::acquire::TokenSettings;
use postern_oauth::verify::ProviderSettings;
use postern_policy::DomainSet;
use postern_receive::Settings as ReceiveSettings;
use postern_spool::SpoolSettings;

pub(crate) use self::directories::{OwnUsers, pam_directories, password_length, users_database};
pub(super) use self::hostname::name_of_host;
pub(crate) use self::http::HttpConfig;
pub(crate) use self::judge::JudgeSettings;
pub(crate) use self::listeners::ListenerConfig;
pub(crate) use self::local::LocalConfig;
pub(crate) use self::logins::{all_mechanisms, key_policy};
pub(crate) use self::paths::{Paths, before_placeholders};
pub(crate) use self::places::Places;
pub(crate) use self::sockets::{SocketConfig, SocketFile, SocketPlace};
pub(crate) use self::statistics::{Digest, StatisticsConfig};
pub(crate) use self::system::system_users;

use self::checking::{Checking, clamp, domain_set, values};
use self::domain_sets::domains_and_tables;
use self::hostname::hostname;
use super::document::Document;
use super::file::Postern;
use super::problem::Problems;
use super::{Libraries, Shown};
use crate::admin::Administration;
use crate::dkim::DkimDomain;
use crate::log::{LogSettings, Target};

/// Everything that the program needs to run. A value of this type has been checked.
pub(crate) struct Config {
    /// The file it came from.
    pub(crate) path: PathBuf,
    /// Where its settings are written.
    pub(crate) places: Places,
    /// Every key with its value, for display.
    pub(crate) shown: Shown,
    pub(crate) hostname: String,
    pub(crate) state_dir: PathBuf,
    pub(crate) user: Option<String>,
    /// Whether the server drops privileges that it does not need.
    pub(crate) sandbox: bool,
    pub(crate) listeners: Vec<ListenerConfig>,
    /// Sockets for neighbouring services.
    pub(crate) sockets: Vec<SocketConfig>,
    /// Where monitors are answered.
    pub(crate) http: Vec<HttpConfig>,
    /// Who may administer over HTTP.
    pub(crate) administration: Administration,
    /// Postern's own users.
    pub(crate) own_users: OwnUsers,
    /// The listener for users of this machine.
    pub(crate) local: Option<LocalConfig>,
    pub(crate) receive: ReceiveSettings,
    pub(crate) deliver: DeliverSettings,
    pub(crate) tls: Option<ServerTls>,
    /// How mail of strangers is judged.
    pub(crate) judge: JudgeSettings,
    /// TLS to next hops.
    pub(crate) client_tls: TlsClients,
    pub(crate) directories: Vec<DirectorySettings>,
    /// How long a directory may go unused before its health is checked.
    pub(crate) directory_check: Option<Duration>,
    /// The providers whose bearer tokens are accepted.
    pub(crate) providers: Vec<ProviderSettings>,
    pub(crate) aliases: Aliases,
    /// Look-up tables, named ones and direct references.
    pub(crate) tables: Tables,
    /// Domains whose mail is signed.
    pub(crate) dkim: Vec<DkimDomain>,
    /// Where logins at smarthosts get their tokens.
    pub(crate) tokens: Vec<TokenSettings>,
    pub(crate) spool: SpoolSettings,
    pub(crate) resolver: ResolverSettings,
    pub(crate) log: LogSettings,
    /// How much is remembered about recent sessions.
    pub(crate) history: HistoryLimits,
    /// What is counted, and who is notified.
    pub(crate) statistics: StatisticsConfig,
    /// Where events are pushed to.
    pub(crate) webhooks: Vec<postern_webhook::Settings>,
    /// The history on disk; none if that is off.
    pub(crate) archive: Option<postern_history::Settings>,
    /// Where actions of administrators are recorded, and how long they are kept.
    pub(crate) acts: (PathBuf, Duration),
    /// How long current transactions and deliveries may continue at shutdown.
    pub(crate) grace: Duration,
}

impl Config {
    /// Records where each access rule is written.
    pub(super) fn locate_rules(&mut self) {
        let shown = &self.shown;
        let place_of = |name: &str| {
            let (file, line) = crate::config::place::of_setting(shown, "access", Some(name))?;
            Some(format!("{file}:{line}"))
        };
        Arc::make_mut(&mut self.receive.access).rules.locate(place_of);
        let own = self
            .listeners
            .iter_mut()
            .filter_map(|listener| listener.settings.access.as_mut());
        own.for_each(|access| Arc::make_mut(access).rules.locate(place_of));
    }
}

/// The budgets of what is written, without what else there is.
pub(super) fn budgets_alone(
    base: &Path,
    document: &Document,
    problems: &mut Problems,
) -> Arc<postern_receive::BudgetSettings> {
    let file = &document.file;
    // Nobody is told, so it does not matter what the host is called.
    let host = hostname(file, &mut Problems::default());
    budgets::check(&mut checking((file, base), host, Libraries::Leave, problems))
}

fn checking<'a>(
    (file, base): (&'a Postern, &'a Path),
    (hostname, domain): (String, postern_mail::Domain),
    libraries: Libraries,
    problems: &'a mut Problems,
) -> Checking<'a> {
    Checking {
        file,
        base,
        hostname,
        domain,
        local_domains: DomainSet::default(),
        relay_domains: DomainSet::default(),
        tables: Tables::default(),
        domain_tables: Vec::new(),
        route_tables: Vec::new(),
        alias_domains: DomainSet::default(),
        libraries,
        problems,
    }
}

/// Gives the written configuration its meaning. Without one the problems say why; warnings may come with one, too.
pub(super) fn check(
    (path, base): (&Path, &Path),
    document: &Document,
    shown: &Shown,
    libraries: Libraries,
    problems: &mut Problems,
) -> Option<Config> {
    let file = &document.file;
    let (hostname, domain) = hostname(file, problems);
    let mut checking = checking((file, base), (hostname, domain), libraries, problems);
    let c = &mut checking;
    tables::check(c);
    c.local_domains = domains_and_tables(&file.local_domains, "local_domains", c);
    c.relay_domains = relay_domains(c);
    c.alias_domains = aliases::alias_domains(c);
    let access = access::check(c);
    let listeners = listeners::check(&access, c);
    let sockets = sockets::check(c);
    let http = http::check(c);
    let administration = administration::check(&http, c);
    let local = local::check(c);
    let tls = tls::check(c);
    let (directories, directory_places) = directories::check(c).into_iter().unzip();
    let providers = providers::check(c);
    let aliases = aliases::check(c, shown);
    let mut receive = receiving::check(c, tls.as_ref());
    let judge = judge::check(c);
    let mut deliver = delivery::check(c, shown);
    let content = rewrite::check(c);
    receive.srs.clone_from(&deliver.srs);
    receive.origin = rewrite::origin(c);
    receive.access = access.general;
    let (devices, mut limits) = devices::check(&listeners, c);
    limits.extend(access.limits);
    receive.devices = devices;
    receive.limits_of_clients = limits;
    receive.budgets = budgets::check(c);
    receive.scopes = scopes::check(c);
    receive.sandbox = sandbox::check(c);
    receive.content = content.coming_in;
    deliver.outward = content.going_out;
    receive.route_tables.clone_from(&c.route_tables);
    receive.routes = deliver.routes.refuses().then(|| Arc::new(deliver.routes.clone()));
    let statistics = statistics::check(c);
    let webhooks = webhooks::check(c);
    let tokens = smarthosts::tokens(c);
    let dkim = dkim::check(c);
    let client_tls = tls::check_client(c);
    let resolver = dns::check(c);
    check_user(file, c.problems);
    check_log(file, c.problems);
    check_reserve(file, c.problems);
    let state_dir = file.state_dir.value.clone();
    Some(Config {
        path: path.to_path_buf(),
        places: Places::of(document, directory_places),
        shown: document.shown.clone(),
        own_users: directories::own_users(file, &checking.hostname),
        hostname: checking.hostname,
        user: file.user.as_ref().map(|user| user.value.clone()),
        sandbox: *file.sandbox,
        listeners,
        sockets,
        http,
        administration,
        local,
        receive,
        deliver,
        judge,
        tls,
        client_tls: client_tls?,
        directories,
        directory_check: Some(*file.auth.directory_check).filter(|time| !time.is_zero()),
        providers,
        aliases,
        tables: checking.tables,
        dkim,
        tokens,
        spool: spool(file),
        resolver,
        log: log(file),
        history: HistoryLimits {
            sessions: clamp(*file.history.sessions),
            memory: clamp(*file.history.memory),
        },
        statistics,
        webhooks,
        archive: file.history.enabled.then(|| archive(file)),
        acts: acts(file),
        grace: *file.shutdown.grace,
        state_dir,
    })
}

/// The user to become must exist if it matters: for a server started by root.
fn check_user(file: &Postern, problems: &mut Problems) {
    let Some(user) = &file.user else { return };
    if let Ok(None) = User::from_name(&user.value) {
        let (title, remedy) = (
            format!("there is no user {:?} on this machine", user.value),
            format!("useradd --system --home-dir /var/lib/postern {}", user.value),
        );
        if geteuid().is_root() {
            problems.error(user.span.clone(), title, "unknown", remedy);
        } else {
            problems.warning(
                user.span.clone(),
                title,
                "matters when root starts the server",
                remedy,
            );
        }
    }
}

fn check_log(file: &Postern, problems: &mut Problems) {
    let Some(log) = &file.log.file else { return };
    let folder = log.value.parent().unwrap_or_else(|| Path::new("/"));
    if !folder.is_dir() {
        problems.error(
            log.span.clone(),
            format!("the folder {} of the log does not exist", folder.display()),
            "cannot be opened",
            format!(
                "mkdir -p {}, and give it to the user that Postern runs as",
                folder.display()
            ),
        );
    } else if log.value.is_dir() {
        problems.error(
            log.span.clone(),
            format!("the log {} is a folder", log.display()),
            "cannot be opened",
            "name a file in it",
        );
    }
}

/// On a full disk, the whole log may have to be written to the database before anything can leave the queue.
fn check_reserve(file: &Postern, problems: &mut Problems) {
    let (reserve, log) = (&file.spool.reserve, &file.spool.log_size);
    let least = 2 * **log + (16 << 20);
    if **reserve > 0 && **reserve < least {
        problems.warning(
            reserve.span.clone().or_else(|| log.span.clone()),
            "`reserve` in [spool] may be too small to empty the queue of a full disk",
            "less than twice `log_size` and 16 MiB",
            format!(
                "write `reserve = \"{} MiB\"`, or \"0\" for none",
                least.div_ceil(1 << 20)
            ),
        );
    }
}

fn relay_domains(c: &mut Checking<'_>) -> DomainSet {
    let file = c.file;
    for pattern in &file.relay_domains.value {
        if pattern.value == "*" {
            c.problems.error(
                pattern.span.clone(),
                "`relay_domains` with \"*\" would relay for anyone to anywhere",
                "an open relay",
                "list the domains of the servers behind this one",
            );
        } else if file
            .local_domains
            .iter()
            .any(|local| local.eq_ignore_ascii_case(pattern))
        {
            c.problems.warning(
                pattern.span.clone(),
                format!("{:?} is in `local_domains` as well", pattern.value),
                "has no effect: local domains come first",
                "keep it in one of the two lists",
            );
        }
    }
    domains_and_tables(&file.relay_domains, "relay_domains", c)
}

/// The settings of the queue.
pub(super) fn spool(file: &Postern) -> SpoolSettings {
    let written = &file.spool;
    SpoolSettings {
        outcome_wait: *written.outcome_wait,
        history_retention: *written.history,
        inline_max: clamp(*written.inline),
        fresh_count_max: clamp(*written.fresh),
        fresh_bytes_max: clamp(*written.fresh_bytes),
        log_bytes: *written.log_size,
        log_max: *written.log_max,
        history_max: *written.history_max,
        reserve_bytes: *written.reserve,
        readers: clamp(*written.readers),
        node: clamp(*written.node),
        downtime_max: downtime_max(file),
        ..SpoolSettings::new(&file.state_dir.value)
    }
}

/// The folder of the history.
pub(super) fn history_folder(file: &Postern) -> PathBuf {
    match &file.history.path {
        Some(path) => path.to_path_buf(),
        None => file.state_dir.join("history"),
    }
}

fn archive(file: &Postern) -> postern_history::Settings {
    postern_history::Settings {
        folder: history_folder(file),
        keep: *file.history.keep,
        max_size: file.history.max_size.as_deref().copied(),
        strangers_per_second: clamp(*file.history.strangers_per_second),
    }
}

/// Where actions of administrators are recorded, and how long they are kept.
pub(super) fn acts(file: &Postern) -> (PathBuf, Duration) {
    (history_folder(file), *file.history.keep_acts)
}

/// How much of the downtime between two runs counts: at most the longest wait between two attempts, and little enough of a
/// message's lifetime that none expires without attempts.
fn downtime_max(file: &Postern) -> Duration {
    let longest = values(&file.retry.intervals.value).into_iter().max();
    longest.unwrap_or_default().min(*file.retry.expire_after / 4)
}

fn log(file: &Postern) -> LogSettings {
    let written = &file.log;
    LogSettings {
        format: *written.format,
        level: *written.level,
        target: match &written.file {
            // Opening it by name would fail for a server that runs as a different user than the one who started it.
            Some(path) if path.value == Path::new("/dev/stdout") => Target::Stdout,
            Some(path) => Target::File(path.value.clone()),
            None => Target::Stderr,
        },
        refusals_per_second: clamp(*written.refusals_per_second),
    }
}
