//! All directories, in order.

mod checks;
mod health;
mod lookup;
mod shapes;
mod spelling;
mod standing;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use postern_events::Observers;
use postern_mail::{Mailbox, normal_login};
use postern_sasl::{ScramHash, ScramShape};
use secrecy::{ExposeSecret, SecretString};

use crate::background;
use crate::dovecot::{Dovecot, DovecotSettings};
use crate::environment::Environment;
use crate::error::{DirectoryError, SetUpError};
use crate::ldap::{Ldap, LdapSettings};
use crate::pace::{Pace, WAIT_MAX, WAIT_MAX_SLOW};
use crate::pam::{PamHelper, PamSettings};
use crate::recent::RecentLogins;
use crate::saslauthd::{Saslauthd, SaslauthdSettings};
use crate::source::Source;
use crate::sql::{Sql, SqlSettings};
use crate::system::{SystemDirectory, SystemSettings};
use crate::tables::{TableDirectory, TableSettings};
use crate::users::{Users, UsersSettings};
use crate::verdict::{Checked, DenyReason, Existence, Finding, Outage, PasswordVerdict};
use crate::workers::Asker;

use self::health::Health;
pub use self::health::{DirectoryState, DirectoryStatus};
use self::shapes::Shapes;
pub use self::standing::Standing;
use crate::time::now;

/// Longest user name and longest password passed to a directory, in octets.
const TEXT_MAX: usize = 1_024;

/// One directory as configured.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DirectorySettings {
    /// Postern's own users.
    Users(UsersSettings),
    /// LDAP.
    Ldap(LdapSettings),
    /// saslauthd.
    Saslauthd(SaslauthdSettings),
    /// A SQL database.
    Sql(SqlSettings),
    /// Dovecot's auth service.
    Dovecot(DovecotSettings),
    /// PAM, through its helper.
    Pam(PamSettings),
    /// Tables of recipients.
    Table(TableSettings),
    /// The users of this machine.
    System(SystemSettings),
}

impl DirectorySettings {
    /// Whether it can tell which addresses exist.
    #[must_use]
    pub const fn knows_recipients(&self) -> bool {
        match self {
            Self::Users(_) | Self::Table(_) | Self::System(_) => true,
            Self::Ldap(settings) => settings.direct_bind.is_none() || settings.bind_dn.is_some(),
            Self::Sql(settings) => settings.recipient_query.is_some(),
            Self::Saslauthd(_) | Self::Dovecot(_) | Self::Pam(_) => false,
        }
    }

    /// Its kind, as a word for the log.
    const fn word(&self) -> &'static str {
        match self {
            Self::Users(_) => "users",
            Self::Ldap(_) => "ldap",
            Self::Saslauthd(_) => "saslauthd",
            Self::Sql(_) => "sql",
            Self::Dovecot(_) => "dovecot",
            Self::Pam(_) => "pam",
            Self::Table(_) => "table",
            Self::System(_) => "system",
        }
    }

    /// How long a granted login counts without asking again. Own users and SQL databases are asked each time, and have caches of
    /// verified hashes instead.
    fn cache_ttl(&self) -> Duration {
        match self {
            Self::Ldap(settings) => settings.cache_ttl,
            Self::Saslauthd(settings) => settings.cache_ttl,
            Self::Dovecot(settings) => settings.cache_ttl,
            Self::Pam(settings) => settings.cache_ttl,
            Self::Users(_) | Self::Sql(_) | Self::Table(_) | Self::System(_) => Duration::ZERO,
        }
    }

    /// Longest time that a denial is held back to take as long as one from this directory.
    const fn wait_max(&self) -> Duration {
        match self {
            Self::Saslauthd(_) | Self::Dovecot(_) | Self::Pam(_) => WAIT_MAX_SLOW,
            Self::Users(_) | Self::Ldap(_) | Self::Sql(_) | Self::Table(_) | Self::System(_) => WAIT_MAX,
        }
    }
}

/// The directories, in the order of the configuration.
///
/// For a login, the first directory that knows it decides. One that cannot be asked is skipped, and if no later one grants, the
/// verdict is [`PasswordVerdict::Unavailable`]: the password may well be right. Shared behind an `Arc`; a reload makes a new one.
#[derive(Debug)]
pub struct Directories {
    list: Vec<Directory>,
    check_after: Option<Duration>,
    shapes: Shapes,
    pace: Pace,
    observers: Observers,
    /// Held by the caller that runs the comparison for [`Pace`]; the others wait for it.
    comparing: tokio::sync::Mutex<()>,
}

/// One directory, and whether it answered when it was asked last.
struct Directory {
    name: String,
    source: Arc<dyn Source>,
    /// The same, if these are own users, which can answer more questions.
    own_users: Option<Arc<Users>>,
    health: Health,
    observers: Observers,
    recent: RecentLogins,
}

impl Directories {
    /// Checks the settings, reads the files they name, and connects to nothing yet. Having no directory is allowed: then no user
    /// is known.
    ///
    /// # Errors
    ///
    /// The first directory that cannot be set up.
    pub async fn open(settings: Vec<DirectorySettings>) -> Result<Self, DirectoryError> {
        Self::open_in(settings, Environment::default()).await
    }

    /// The same with an environment from the program.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub async fn open_in(
        settings: Vec<DirectorySettings>,
        environment: Environment,
    ) -> Result<Self, DirectoryError> {
        let check_after = environment.check_after;
        let longest = settings.iter().map(DirectorySettings::wait_max).max();
        let pace = Pace::new(longest.unwrap_or(WAIT_MAX));
        let observers = environment.observers.clone();
        let set_up = move || -> Result<Vec<Directory>, DirectoryError> {
            if !settings.is_empty() {
                background::look(&environment.observers);
            }
            settings
                .into_iter()
                .enumerate()
                .map(|(index, settings)| Directory::new(index, settings, &environment))
                .collect()
        };
        let list = tokio::task::spawn_blocking(set_up)
            .await
            .map_err(|_| DirectoryError::Interrupted)??;
        Ok(Self {
            list,
            check_after,
            shapes: Shapes::default(),
            pace,
            observers,
            comparing: tokio::sync::Mutex::new(()),
        })
    }

    /// Who is notified of their state changes.
    pub(crate) fn observers(&self) -> &Observers {
        &self.observers
    }

    /// Finds out whether this is the login's password, without a client address: an app password limited to certain networks is
    /// then refused.
    pub async fn check_password(&self, login: &str, password: &SecretString) -> PasswordVerdict {
        self.check_password_from(login, password, None).await
    }

    /// The same for a client at `peer`.
    pub async fn check_password_from(
        &self,
        login: &str,
        password: &SecretString,
        peer: Option<IpAddr>,
    ) -> PasswordVerdict {
        self.check(login, password, &Asker::at(peer)).await.verdict
    }

    /// Finds out whether this is the login's password, and which account it is. The directories are asked in the login's normal
    /// form ([`normal_login`]); a name without one is unknown.
    ///
    /// A denial takes the same time whatever its reason, so that nobody learns from it who exists; so does a temporary failure
    /// because another directory is down. Only an empty or malformed login or password is refused at once, which reveals nothing.
    pub async fn check(&self, login: &str, password: &SecretString, asker: &Asker) -> Checked {
        let login = match refuse_unasked(login, password) {
            None => normal_login(login).map_err(|_| DenyReason::Malformed),
            Some(reason) => Err(reason),
        };
        let login = match login {
            Ok(login) => login,
            Err(reason) => {
                return Checked {
                    verdict: PasswordVerdict::Denied(reason),
                    account: None,
                    busy: false,
                };
            }
        };
        // Before the check, not in parallel: they would wait for each other's hashes, the longer the more there are.
        self.compare().await;
        let start = now();
        let checked = self.ask_all(&login, password, asker).await;
        match checked.verdict {
            PasswordVerdict::Granted(_) => self.pace.note(now().saturating_duration_since(start)),
            PasswordVerdict::Denied(_) | PasswordVerdict::Unavailable { wrong: true, .. } => {
                let wait = self.pace.wait(now().saturating_duration_since(start));
                tokio::time::sleep(wait).await;
            }
            PasswordVerdict::Unavailable { wrong: false, .. } => {}
        }
        checked
    }

    /// Waits until a check that began then has taken as long as a denial takes: for answers that are made into denials later.
    pub async fn hold_back(&self, began: Instant) {
        let wait = self.pace.wait(now().saturating_duration_since(began));
        tokio::time::sleep(wait).await;
    }

    /// Measures, unless that was done recently, how long a check of a nonexistent login takes: every directory is asked. A single
    /// directory is always asked.
    async fn compare(&self) {
        if !self.pace.is_blank(now()) {
            return;
        }
        let _one = self.comparing.lock().await;
        if !self.pace.is_blank(now()) {
            return;
        }
        let start = now();
        if self.list.len() > 1 {
            let login = format!("{:016x}", rand::random::<u64>());
            let password = SecretString::from(format!("{:032x}", rand::random::<u128>()));
            let _ = self.ask_all(&login, &password, &Asker::default()).await;
        }
        self.pace.begin(now().saturating_duration_since(start), now());
    }

    async fn ask_all(&self, login: &str, password: &SecretString, asker: &Asker) -> Checked {
        let mut denied: Option<DenyReason> = None;
        let mut account = None;
        let mut outage = None;
        let mut busy = false;
        for directory in &self.list {
            let found = match directory.may_be_asked() {
                Ok(()) => directory.check_password(login, password, asker).await,
                Err(down) => Err(down),
            };
            let reason = match found {
                Ok(Finding::Granted(granted)) => {
                    return Checked {
                        account: Some(granted.login.clone()),
                        verdict: PasswordVerdict::Granted(granted),
                        busy: false,
                    };
                }
                Ok(Finding::Denied(reason)) => reason,
                Ok(Finding::DeniedTo(login, reason)) => {
                    account = account.or(Some(login));
                    reason
                }
                Err(error) => {
                    busy |= error.is_busy();
                    outage = outage.or(Some(error.reason));
                    continue;
                }
            };
            denied = denied.max(Some(reason));
            if reason.decides() {
                break;
            }
        }
        let verdict = match outage {
            Some(reason) => PasswordVerdict::Unavailable {
                reason,
                wrong: denied.is_some(),
            },
            None => PasswordVerdict::Denied(denied.unwrap_or(DenyReason::UnknownUser)),
        };
        Checked {
            verdict,
            account,
            busy,
        }
    }

    /// Whether one of them is known to hang: until it answers again, logins that need it get a temporary failure at once.
    #[must_use]
    pub fn any_hangs(&self) -> bool {
        self.list.iter().any(Directory::hangs)
    }

    /// Whether one of them knows which addresses exist.
    #[must_use]
    pub fn knows_recipients(&self) -> bool {
        self.list
            .iter()
            .any(|directory| directory.source.knows_recipients())
    }

    /// Finds out whether an address in a local domain belongs to an account. saslauthd and Dovecot know no addresses and are not
    /// asked.
    pub async fn recipient_exists(&self, address: &Mailbox) -> Existence {
        let mut outage = None;
        for directory in &self.list {
            let found = match directory.may_be_asked() {
                Ok(()) => directory.recipient_exists(address).await,
                Err(down) => Err(down),
            };
            match found {
                Ok(true) => return Existence::Yes,
                Ok(false) => {}
                Err(error) => outage = outage.or(Some(error.reason)),
            }
        }
        outage.map_or(Existence::No, Existence::Unknown)
    }
}

impl Directories {
    /// The most frequent shape of the SCRAM keys looked up so far for this hash function; `None` before the first one.
    #[must_use]
    pub fn scram_shape(&self, hash: ScramHash) -> Option<ScramShape> {
        self.shapes.usual(hash)
    }
}

impl Directory {
    fn new(
        index: usize,
        settings: DirectorySettings,
        environment: &Environment,
    ) -> Result<Self, DirectoryError> {
        let cache_ttl = settings.cache_ttl();
        let name = format!("{} (directory {})", settings.word(), index + 1);
        let (source, own_users) = match set_up(settings, environment) {
            Ok(made) => made,
            Err(error) => return Err(error.of(name)),
        };
        Ok(Self {
            name,
            source,
            own_users,
            health: Health::default(),
            observers: environment.observers.clone(),
            recent: RecentLogins::new(cache_ttl),
        })
    }

    async fn check_password(
        &self,
        login: &str,
        password: &SecretString,
        asker: &Asker,
    ) -> Result<Finding, Outage> {
        let now = now();
        let place = self.place_of(asker.peer);
        if let Some(account) = self.recent.find(login, password, place, now) {
            return Ok(Finding::Granted(account));
        }
        let found = self.source.check_password(login, password, asker).await;
        let found = self.proved(found, login);
        if let Ok(Finding::Granted(account)) = &found {
            // The time counts from the start of the query, so that a change made meanwhile is not noticed later than promised.
            self.recent.note(login, password, place, account, now);
        }
        self.watch(found, now)
    }

    /// Where the client is, if the directory's answer depends on it in ways that only the directory knows: `allow_nets` of
    /// Dovecot, `rhost` of PAM.
    fn place_of(&self, peer: Option<IpAddr>) -> Option<IpAddr> {
        peer.filter(|_| self.source.looks_at_peers())
    }

    async fn recipient_exists(&self, address: &Mailbox) -> Result<bool, Outage> {
        if !self.source.knows_recipients() {
            return Ok(false);
        }
        let begun = now();
        let found = self.source.recipient_exists(address).await;
        self.watch(found, begun)
    }
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Directory")
            .field("name", &self.name)
            .field("health", &self.health)
            .finish_non_exhaustive()
    }
}

/// A directory, and also as the directory of own users if it is that one.
type SetUp = (Arc<dyn Source>, Option<Arc<Users>>);

/// A directory of the kind given by the settings; own users also as their own type.
fn set_up(settings: DirectorySettings, environment: &Environment) -> Result<SetUp, SetUpError> {
    let source: Arc<dyn Source> = match settings {
        DirectorySettings::Users(settings) => {
            let users = Arc::new(Users::new(settings, &environment.observers)?);
            return Ok((users.clone(), Some(users)));
        }
        DirectorySettings::Ldap(settings) => Arc::new(Ldap::new(settings, environment)?),
        DirectorySettings::Saslauthd(settings) => Arc::new(Saslauthd::new(settings)?),
        DirectorySettings::Dovecot(settings) => Arc::new(Dovecot::new(settings)?),
        DirectorySettings::Sql(settings) => Arc::new(Sql::new(settings, environment)?),
        DirectorySettings::Pam(settings) => Arc::new(PamHelper::new(settings)?),
        DirectorySettings::Table(settings) => Arc::new(TableDirectory::new(settings)),
        DirectorySettings::System(settings) => Arc::new(SystemDirectory::new(settings)),
    };
    Ok((source, None))
}

/// Refuses what no directory is asked about.
fn refuse_unasked(login: &str, password: &SecretString) -> Option<DenyReason> {
    let password = password.expose_secret();
    if login.is_empty()
        || login.len() > TEXT_MAX
        || login.chars().any(char::is_control)
        || password.len() > TEXT_MAX
        || password.contains('\0')
    {
        return Some(DenyReason::Malformed);
    }
    password.is_empty().then_some(DenyReason::EmptyPassword)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn what_no_directory_is_asked_about() {
        let long = "x".repeat(TEXT_MAX + 1);
        let cases = [
            ("an ordinary login", "acaird", "pass word", None),
            (
                "an empty password binds anonymously in LDAP",
                "acaird",
                "",
                Some(DenyReason::EmptyPassword),
            ),
            ("blanks are a password", "acaird", " ", None),
            ("no login", "", "x", Some(DenyReason::Malformed)),
            (
                "a NUL, at which C would cut the login",
                "root\0x",
                "x",
                Some(DenyReason::Malformed),
            ),
            ("a NUL in the password", "a", "x\0y", Some(DenyReason::Malformed)),
            (
                "a line feed, which forges a log line",
                "a\nb",
                "x",
                Some(DenyReason::Malformed),
            ),
            ("a long login", &long, "x", Some(DenyReason::Malformed)),
            ("a long password", "a", &long, Some(DenyReason::Malformed)),
        ];
        for (shows, login, password, want) in cases {
            assert_eq!(
                refuse_unasked(login, &SecretString::from(password)),
                want,
                "{shows}"
            );
        }
    }

    /// A login that the first directory knows is denied by that directory alone. So that the time reveals nothing, all
    /// directories are first asked about a nonexistent login, and the denial comes no sooner than that took.
    #[tokio::test]
    async fn the_first_denial_tells_nothing_by_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let own = |name: &str, login: &str| {
            let database = folder.path().join(name);
            let store = crate::UserStore::open(&database).unwrap();
            store.add(login, &SecretString::from("pass word"), &[]).unwrap();
            DirectorySettings::Users(UsersSettings {
                database,
                ..UsersSettings::default()
            })
        };
        let directories = Directories::open(vec![own("one", "acaird"), own("other", "boss")])
            .await
            .unwrap();
        let asked = || -> Vec<bool> {
            let states = directories
                .list
                .iter()
                .map(|directory| directory.health.was_asked());
            states.collect()
        };
        assert!(directories.pace.is_blank(Instant::now()));
        assert_eq!(asked(), [false, false]);
        let begun = Instant::now();
        let verdict = directories
            .check_password("acaird", &SecretString::from("wrong"))
            .await;
        let took = begun.elapsed();
        assert_eq!(verdict, PasswordVerdict::Denied(DenyReason::WrongPassword));
        assert_eq!(asked(), [true, true], "the second one for comparison alone");
        assert!(!directories.pace.is_blank(Instant::now()));
        // A check that takes no time waits as long as the comparison took, or longer.
        let held_back = directories.pace.wait(Duration::ZERO);
        assert!(held_back > Duration::ZERO);
        assert!(took >= held_back, "{took:?} {held_back:?}");

        // With one directory alone, nothing could be learned.
        let alone = Directories::open(vec![own("alone", "acaird")]).await.unwrap();
        alone.compare().await;
        assert!(!alone.list[0].health.was_asked());
    }
}
