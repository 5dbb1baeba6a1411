//! Why a directory cannot be set up.

use crate::secret_file::SecretFileError;
use crate::users::UserError;

/// A directory cannot be set up. No connection is made at this point: a server that is down is not an
/// error here.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// A setting is wrong.
    #[error("directory {name}: {key} {message}")]
    Setting {
        /// The directory, by kind and place, from 1: `ldap (directory 2)`.
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
    /// The program is ending.
    #[error("interrupted while setting up the directories")]
    Interrupted,
}

/// A [`DirectoryError`] before it is known which directory it is.
#[derive(Debug)]
pub(crate) enum SetUpError {
    Setting { key: &'static str, message: String },
    SecretFile(SecretFileError),
    Users(UserError),
}

impl SetUpError {
    pub(crate) fn setting(key: &'static str, message: impl Into<String>) -> Self {
        Self::Setting {
            key,
            message: message.into(),
        }
    }

    /// The error text for something that is not a directory.
    pub(crate) fn text(self) -> String {
        match self {
            Self::Setting { key, message } => format!("`{key}` {message}"),
            Self::SecretFile(source) => source.to_string(),
            Self::Users(source) => source.to_string(),
        }
    }

    pub(crate) fn of(self, name: String) -> DirectoryError {
        match self {
            Self::Setting { key, message } => DirectoryError::Setting { name, key, message },
            Self::SecretFile(source) => DirectoryError::SecretFile { name, source },
            Self::Users(source) => DirectoryError::Users { name, source },
        }
    }
}
