//! Postern's own users: a SQLite file with argon2id hashes, app passwords, and hashes of other programs until their first
//! login.

mod accounts;
mod app_keys;
mod app_password;
mod directory;
mod error;
mod hash;
mod identity;
pub mod import;
mod key_policy;
mod keys;
mod label;
mod labelled;
mod layout;
mod proof;
mod recent;
mod record;
mod rescue;
mod source;
mod standing;
mod store;

use std::path::PathBuf;
use std::time::Duration;

pub use app_password::AppPassword;
pub(crate) use directory::Users;
pub use error::UserError;
pub use key_policy::KeyPolicy;
pub(crate) use proof::OwnProof;
pub use record::User;
pub use rescue::Rescued;
pub use store::UserStore;

/// Postern's own users as a directory.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UsersSettings {
    /// The database file. It is created if missing, readable only by its owner. Default `users.db`, which the program puts
    /// in the state directory.
    pub database: PathBuf,
    /// The local domains, lower case, no wildcards: a login without `@` owns its name at each of them. Default none.
    pub domains: Vec<String>,
    /// How long a verified password need not be hashed again. Default 60 seconds; zero disables this.
    ///
    /// A password change, and disabling or removing an account, still take effect at once.
    pub cache_ttl: Duration,
    /// Whether a hash of an older scheme, from an import, is replaced by argon2id at the next login with the right
    /// password. Default true.
    pub upgrade_hashes: bool,
    /// Most passwords hashed at the same time. Default: half the processors, at least 1, so that relaying always has some
    /// left. Each takes about 20 ms and 19 MiB.
    pub workers: usize,
    /// Longest time for one login, waiting for a worker included. Default 5 seconds.
    pub timeout: Duration,
    /// Which keys are kept for mechanisms other than PLAIN and LOGIN. Default none.
    pub keys: KeyPolicy,
    /// Whether a login that shows the password adds the keys that the account lacks. Default yes.
    pub upgrade_keys: bool,
}

impl Default for UsersSettings {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            database: PathBuf::from("users.db"),
            domains: Vec::new(),
            cache_ttl: Duration::from_secs(60),
            upgrade_hashes: true,
            workers: (processors / 2).max(1),
            timeout: Duration::from_secs(5),
            keys: KeyPolicy::default(),
            upgrade_keys: true,
        }
    }
}
