//! All directories, in order.

use postern_mail::Mailbox;
use secrecy::SecretString;

use crate::ldap::LdapSettings;
use crate::saslauthd::{Saslauthd, SaslauthdSettings};
use crate::secret_file::SecretFileError;
use crate::users::{UserError, UsersSettings};
use crate::verdict::{Existence, PasswordVerdict};

/// One directory as configured.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DirectorySettings {
    /// Postern's own users.
    Users(UsersSettings),
    /// LDAP.
    Ldap(LdapSettings),
    /// saslauthd.
    Saslauthd(SaslauthdSettings),
}

/// A directory cannot be set up. Nothing was connected to yet: a server that is down is no error here.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// A setting is wrong.
    #[error("directory {name}: {key}: {message}")]
    Setting {
        /// The directory, by kind and place: `ldap (2nd directory)`.
        name: String,
        /// The setting's key.
        key: &'static str,
        /// What is wrong, with the remedy.
        message: String,
    },
    /// The password file cannot be used.
    #[error("directory {name}: {source}")]
    SecretFile {
        /// The directory.
        name: String,
        /// What is wrong.
        source: SecretFileError,
    },
    /// The file of own users cannot be used.
    #[error("directory {name}: {source}")]
    Users {
        /// The directory.
        name: String,
        /// What is wrong.
        source: UserError,
    },
}

/// The directories, in the order of the configuration.
///
/// For a login, the first directory that knows it decides. One that cannot be asked is passed over, and if no later one
/// grants, the verdict is [`PasswordVerdict::Unavailable`]: the password may well be right. Cheap to share behind an `Arc`;
/// a reload makes a new one.
#[derive(Debug)]
pub struct Directories {}

impl Directories {
    /// Checks the settings, reads the files they name, and connects to nothing yet. No directory at all is allowed: then
    /// nobody is known.
    ///
    /// # Errors
    ///
    /// The first directory that cannot be set up.
    pub async fn open(settings: Vec<DirectorySettings>) -> Result<Self, DirectoryError> {
        let _ = settings.into_iter().map(|s| match s {
            DirectorySettings::Saslauthd(s) => Some(Saslauthd::new(s)),
            _ => None,
        });
        todo!()
    }

    /// Finds out whether this is the login's password.
    pub async fn check_password(&self, _login: &str, _password: &SecretString) -> PasswordVerdict {
        todo!()
    }

    /// Finds out whether an address in an own domain is an account's.
    pub async fn recipient_exists(&self, _address: &Mailbox) -> Existence {
        todo!()
    }
}
