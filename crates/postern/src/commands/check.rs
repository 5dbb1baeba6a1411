//! `postern check`.

use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::geteuid;
use postern_directory::{
    Directories, DirectoryError, DirectorySettings, DovecotPlace, Environment, FindServers, UserStore,
};
use postern_events::Observers;
use postern_net::resolver::Resolver;
use postern_oauth::acquire::{TokenSource, TokenStore};
use postern_oauth::verify::Verifier;
use postern_spool::Aside;
use serde::Serialize;

use crate::args::CheckArgs;
use crate::config::checked::ListenerConfig;
use crate::config::checked::directories::NOBODY_TELLS;
use crate::config::problem::{JsonProblem, Problems, Span};
use crate::config::{Config, Libraries, Report, Source};
use crate::exit::{Exit, Failure, chain};
use crate::server::health::Services;
use crate::server::privileges::{ROOT_SERVES, serves_as_root};
use crate::{locate, output};

use super::{check_access, check_devices, check_dkim, check_hosts, check_local, check_milters, check_tables};

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Most broken alias targets reported individually.
const BROKEN_SHOWN: usize = 20;

#[derive(Serialize)]
struct Verdict<'a> {
    file: String,
    ok: bool,
    problems: Vec<JsonProblem<'a>>,
    /// What was tried and refused: each lane for devices, with strangers.
    proven: &'a [String],
}

/// Checks the configuration and, unless told otherwise, the servers it names.
pub(crate) fn run(args: &CheckArgs) -> Result<(), Failure> {
    let path = locate::existing(&args.listing.config)?;
    let mut proven = Vec::new();
    let report = match Source::read(&path) {
        Err(report) => report,
        Ok(source) => check(&source, args.offline, &mut proven)?,
    };
    if args.listing.json.json {
        let result = Verdict {
            file: path.display().to_string(),
            ok: !report.has_errors(),
            problems: report.json(),
            proven: &proven,
        };
        output::print_json(&result)?;
    } else {
        for line in &proven {
            output::print(line)?;
        }
        print_report(&path.display().to_string(), &report)?;
    }
    if report.has_errors() {
        // As `serve` would end.
        Err(Failure::silent(Exit::Config))
    } else {
        Ok(())
    }
}

/// Checks with the rights of the server's user. If the file names one, root reads its files first, as it does at start.
fn check(source: &Source, offline: bool, proven: &mut Vec<String>) -> Result<Report, Failure> {
    let libraries = match offline {
        true => Libraries::Leave,
        false => Libraries::Load,
    };
    let Ok(written) = source.written() else {
        return source
            .check(Libraries::Leave)
            .err()
            .ok_or_else(|| Failure::silent(Exit::Config));
    };
    let named =
        super::named_account(&written).filter(|account| geteuid().is_root() && !account.uid.is_root());
    let at_start = named.is_some().then(|| source.check(libraries));
    super::become_server(&written)?;
    let (config, mut report) = match at_start {
        None => match source.check(libraries) {
            Ok(checked) => checked,
            Err(report) => return Ok(report),
        },
        Some(Err(report)) => return Ok(report),
        Some(Ok((config, mut report))) => {
            if let (Err(later), Some(account)) = (source.check(libraries), &named) {
                report.foresee(later, &format!("at a reload, as {account}"));
            }
            (config, report)
        }
    };
    let mut found = Problems::default();
    let is_public = |listener: &ListenerConfig| !listener.address.ip().is_loopback();
    if serves_as_root(&config) && config.listeners.iter().any(is_public) {
        let title = "a fault in the server would give an attacker root";
        found.warning(config.places.user(), title, "serves as root", ROOT_SERVES);
    }
    proven.extend(check_devices::look(&config, &mut found));
    check_access::look(&config, named.is_some(), offline, &mut found);
    check_directories(&config, offline, &mut found);
    check_providers(&config, offline, &mut found);
    check_tokens(&config, &mut found);
    if !offline {
        check_hosts::check(&config, &mut found);
    }
    if !offline {
        check_milters::look(&config, &mut found);
        check_tables::look(&config, &mut found);
    }
    check_dkim::check(&config, offline, &mut found);
    check_local::look(&config, &mut found);
    check_aliases(&config, offline, &mut found);
    check_aside(&config, &mut found);
    report.extend(found);
    report.insist(NOBODY_TELLS);
    Ok(report)
}

fn print_report(path: &str, report: &Report) -> Result<(), Failure> {
    super::show_report(report);
    if report.has_errors() {
        eprintln!("{} in {path}", super::count_problems(report));
        Ok(())
    } else if report.is_empty() {
        output::print(&format!("{path} is fine"))
    } else {
        output::print(&format!("no errors, {} in {path}", super::count_problems(report)))
    }
}

/// Aliases with targets that match no user. What cannot be queried now is reported elsewhere.
fn check_aliases(config: &Config, offline: bool, found: &mut Problems) {
    let relay = &config.receive.relay;
    let nobody = config.directories.is_empty() && config.aliases.is_empty() && !config.receive.accept_unknown;
    if nobody && !relay.local_domains.is_empty() {
        found.warning(
            config.places.local_domains(),
            "there are local domains, but neither a directory nor aliases list mailboxes",
            "no list of mailboxes",
            "add a [[directory]] or `aliases`; until then all mail for them but the postmaster's is refused",
        );
    }
    check_readers(config, found);
    if offline || config.aliases.is_empty() {
        return;
    }
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return;
    };
    let broken = runtime.block_on(async {
        let directories = Directories::open_in(config.directories.clone(), environment(config));
        let directories = directories.await.ok()?;
        let residents = config.receive.residents(&directories, &config.aliases);
        residents.broken_aliases().await.ok()
    });
    let mut broken = broken.unwrap_or_default();
    let more = broken.len().saturating_sub(BROKEN_SHOWN);
    broken.truncate(BROKEN_SHOWN);
    for (alias, target) in broken {
        found.warning(
            config.places.aliases(),
            format!("the alias {alias:?} points to {target}, which does not exist"),
            "in this file",
            "add the user, or correct the aliases; until then mail goes to the other targets, or is refused if there are none",
        );
    }
    if more > 0 {
        let title = format!("{more} more targets of aliases do not exist");
        let remedy = "correct those above, and check again";
        found.warning(config.places.aliases(), title, "in this file", remedy);
    }
}

/// If mail is delivered to system users, aliases must say who reads the mail of system accounts that are not people.
fn check_readers(config: &Config, found: &mut Problems) {
    if !config.deliver.routes.reaches_users() {
        return;
    }
    let readers = [
        ("postmaster", "its mail waits in the queue"),
        ("root", "its mail is refused"),
    ];
    for (name, what) in readers {
        if !config.aliases.contains(name) {
            found.warning(
                config.places.aliases().or_else(|| config.places.local_domains()),
                format!("no alias says who reads the mail of {name}, and {name} has no mailbox: {what}"),
                "in `aliases`",
                format!("add a line to the aliases file, such as `{name}: ann`"),
            );
        }
    }
}

/// Fetches the providers' keys. One that does not answer now may answer later, so that is a warning.
fn check_providers(config: &Config, offline: bool, found: &mut Problems) {
    let verifier = match Verifier::open(config.providers.clone(), None, &Observers::nobody()) {
        Ok(verifier) => verifier,
        Err(error) => {
            let at = config.places.provider(&error.issuer);
            let title = format!(
                "the provider of tokens {}: {}",
                error.issuer,
                chain(&error.source)
            );
            return found.error(at, title, "this provider", "correct the file that it names");
        }
    };
    if offline || verifier.is_empty() {
        return;
    }
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return;
    };
    for health in runtime.block_on(verifier.look()) {
        if let Some(problem) = health.problem {
            found.warning(
                config.places.provider(&health.issuer),
                format!(
                    "the provider of tokens {} cannot be used now: {problem}",
                    health.issuer
                ),
                "asked just now",
                "until it can, logins by its tokens are told to try again later",
            );
        }
    }
}

/// Sets up the token sources for smarthosts, as `serve` does; nothing is fetched.
fn check_tokens(config: &Config, found: &mut Problems) {
    let store = TokenStore::new(&config.state_dir);
    for settings in &config.tokens {
        if let Err(error) = TokenSource::new(settings.clone(), store.clone()) {
            let file = settings.http.ca_file.as_deref();
            let at = file.and_then(|file| config.places.path(file));
            found.error(
                at.or_else(|| config.places.login(&settings.login)),
                format!("the tokens of the login {:?}: {error}", settings.login),
                "its provider cannot be verified",
                "correct the file, or leave `ca_file` out if the provider's certificate is from an authority that the system trusts",
            );
        }
    }
}

/// Damaged queue files that were moved aside: somebody must check the disk, and what was in them.
fn check_aside(config: &Config, found: &mut Problems) {
    let aside = Aside::of(&config.state_dir);
    for find in &aside.finds {
        found.warning(
            None,
            format!("damaged files of the queue lie in {}: {}", find.folder.display(), find.reason),
            "",
            "look at the disk; `postern queue recover` takes in what the queue does not have; remove the folder then",
        );
    }
    if aside.bodies > 0 {
        found.warning(
            None,
            format!(
                "{} without a message {} in {}",
                if aside.bodies == 1 {
                    "a body".to_owned()
                } else {
                    format!("{} bodies", aside.bodies)
                },
                if aside.bodies == 1 { "lies" } else { "lie" },
                config.state_dir.join("aside/bodies").display()
            ),
            "",
            "after a crash they are mail that was not accepted yet; they are removed after 14 days",
        );
    }
}

/// Checks what the directories refer to. What does not answer now may answer later, so that is a warning.
fn check_directories(config: &Config, offline: bool, found: &mut Problems) {
    for (number, directory) in config.directories.iter().enumerate() {
        let table = config.places.directory(number);
        let place = |path: &Path| config.places.path(path).or_else(|| table.clone());
        set_up(number, directory, config, found);
        match directory {
            DirectorySettings::Users(users) => check_users(&users.database, place(&users.database), found),
            _ if offline => {}
            DirectorySettings::Ldap(ldap) => {
                for url in &ldap.servers {
                    check_ldap(url, config.places.server(url), found);
                }
                ask(directory, table, config, found);
            }
            DirectorySettings::Sql(_) => ask(directory, table, config, found),
            DirectorySettings::Dovecot(dovecot) => {
                let at = match &dovecot.place {
                    DovecotPlace::Path(path) => place(path),
                    DovecotPlace::Server(server) => config.places.server(server).or(table),
                };
                check_dovecot(&dovecot.place, at, found);
            }
            // Its tables are checked separately, and the name service is always available.
            DirectorySettings::Table(_) | DirectorySettings::System(_) => {}
            DirectorySettings::Pam(pam) => {
                if let Err(error) = UnixStream::connect(&pam.socket) {
                    let title = format!(
                        "PAM's helper does not answer at {}: {error}",
                        pam.socket.display()
                    );
                    let remedy = "start `postern pam-helper`, or correct `socket`";
                    found.warning(place(&pam.socket), title, UNANSWERED, remedy);
                }
            }
            DirectorySettings::Saslauthd(saslauthd) => {
                if let Err(error) = UnixStream::connect(&saslauthd.socket) {
                    let title = format!(
                        "saslauthd does not answer at {}: {error}",
                        saslauthd.socket.display()
                    );
                    found.warning(
                        place(&saslauthd.socket),
                        title,
                        UNANSWERED,
                        "start saslauthd, or correct `socket`; its folder is given to it with -m",
                    );
                }
            }
        }
    }
}

/// Sets a directory up, to find mistakes that only its own crate knows.
fn set_up(number: usize, directory: &DirectorySettings, config: &Config, found: &mut Problems) {
    // Opening own users would create their file.
    if matches!(directory, DirectorySettings::Users(_)) {
        return;
    }
    let opened = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map(|runtime| runtime.block_on(Directories::open_in(vec![directory.clone()], environment(config))));
    let Ok(Err(error)) = opened else { return };
    let (key, title) = match &error {
        DirectoryError::Setting { key, message, .. } => (Some(*key), format!("`{key}` {message}")),
        DirectoryError::SecretFile { source, .. } => (None, chain(source)),
        other => (None, chain(other)),
    };
    let place = config.places.directory_key(number, key);
    found.error(place, title, "cannot be used", "correct this [[directory]]");
}

/// The label of what did not answer.
const UNANSWERED: &str = "asked just now";

fn check_dovecot(place: &DovecotPlace, at: Option<Span>, found: &mut Problems) {
    let answers = match place {
        DovecotPlace::Path(path) => UnixStream::connect(path).map(drop),
        DovecotPlace::Server(server) => TcpStream::connect(server).map(drop),
    };
    if let Err(error) = answers {
        found.warning(
            at,
            format!("Dovecot does not answer at {place}: {error}"),
            UNANSWERED,
            "start Dovecot, or correct the place: a `unix_listener` of its `service auth` that Postern may connect to",
        );
    }
}

fn check_users(database: &Path, at: Option<Span>, found: &mut Problems) {
    let none = "`postern user add LOGIN` makes the first one";
    if !database.exists() {
        found.warning(
            at,
            format!("there are no users yet: {} does not exist", database.display()),
            "nobody can log in",
            none,
        );
        return;
    }
    let opened = UserStore::open(database);
    if let Ok(store) = &opened
        && let Ok(Some(since)) = store.incomplete_since()
    {
        found.warning(
            None,
            format!(
                "{} was damaged at {since}, and may lack users",
                database.display()
            ),
            "logins and recipients that are not in it are told to try again",
            "add who is missing, then run `postern user complete`",
        );
    }
    match opened.and_then(|store| store.list()) {
        Ok(users) if users.is_empty() => {
            let title = format!("there are no users in {}", database.display());
            found.warning(at, title, "nobody can log in", none);
        }
        Ok(_) => {}
        Err(error) if error.is_damage() => found.error(
            at,
            format!("{} is damaged: {error}", database.display()),
            "until it is replaced, logins of own users are answered 454",
            "start the server again, which keeps what can be read, or put a backup in its place while it is stopped",
        ),
        Err(error) => found.error(
            at,
            chain(&error),
            "cannot be used",
            "correct the path, or the rights to the file",
        ),
    }
}

/// An environment with the resolver, which finds the servers of a domain. If it cannot be made, that is reported elsewhere.
fn environment(config: &Config) -> Environment {
    let resolver = Resolver::new(&config.resolver).ok();
    Environment {
        find_servers: resolver.map(|resolver| Arc::new(Services(resolver)) as Arc<dyn FindServers>),
        ..Environment::default()
    }
}

/// Asks for a nonexistent login, which also reveals mistakes in queries, names and passwords.
fn ask(directory: &DirectorySettings, table: Option<Span>, config: &Config, found: &mut Problems) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return;
    };
    let status = runtime.block_on(async {
        // What cannot be set up has been reported.
        let directories = Directories::open_in(vec![directory.clone()], environment(config));
        let directories = directories.await.ok()?;
        directories.check_all().await;
        directories.status().into_iter().next()
    });
    if let Some((_, reason)) = status.and_then(|status| status.last_error) {
        found.warning(
            table,
            format!("this directory cannot be asked: {reason}"),
            UNANSWERED,
            "start it, or correct the [[directory]]; until then logins are told to try again later",
        );
    }
}

fn check_ldap(url: &str, at: Option<Span>, found: &mut Problems) {
    let (port, rest) = match (url.strip_prefix("ldap://"), url.strip_prefix("ldaps://")) {
        (Some(rest), _) => (389, rest),
        (_, Some(rest)) => (636, rest),
        _ => return,
    };
    let host = rest.trim_end_matches('/');
    let has_port = host
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let target = if has_port {
        host.to_owned()
    } else {
        format!("{host}:{port}")
    };
    let reached = target.to_socket_addrs().and_then(|addresses| {
        let mut last = std::io::Error::new(std::io::ErrorKind::NotFound, "no address");
        for address in addresses {
            match TcpStream::connect_timeout(&address, PATIENCE) {
                Ok(_) => return Ok(()),
                Err(error) => last = error,
            }
        }
        Err(last)
    });
    if let Err(error) = reached {
        found.warning(
            at,
            format!("the LDAP server {url} does not answer: {error}"),
            UNANSWERED,
            "logins go to the next server meanwhile; without any they are told to try again later",
        );
    }
}
