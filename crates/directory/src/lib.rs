//! Accounts and their authentication, which addresses exist, and where local names lead.
//!
//! A *directory* is a source of accounts: Postern's own users ([`users`]), LDAP ([`ldap`]), SQL databases ([`sql`]), saslauthd
//! ([`saslauthd`]), Dovecot's auth service ([`dovecot`]). [`schemes`] reads stored passwords of other programs. [`Directories`]
//! asks them in order and gives one typed verdict. A directory that cannot be asked never turns into a refusal, which would make
//! a client forget its password, and never into a pass.
//!
//! [`aliases`] reads the aliases file, [`addresses`] keeps the aliases by address and domain; [`tables`] look up a text by its
//! key, wherever they are stored.
//!
//! # To add a directory
//!
//! 1. A module with its settings and a type that implements the private trait `Source`: `check_password`, and whatever else it
//!    supports, each returning a [`Finding`] or an [`Outage`].
//! 2. A variant of [`DirectorySettings`], and the lines that the compiler then asks for in `directories.rs`.
//!
//! Its time limit, the log of its outages and the order among directories are kept by [`Directories`].

pub mod addresses;
pub mod aliases;
mod background;
mod directories;
mod discover;
pub mod dovecot;
mod environment;
mod error;
mod failover;
mod foreign;
mod hashing;
mod keys;
pub mod ldap;
mod mark;
mod mistake;
mod pace;
pub mod pam;
mod pool;
mod proof;
mod recent;
mod residents;
pub mod rewriting;
mod rota;
pub mod saslauthd;
pub mod schemes;
mod secret_file;
mod source;
pub mod sql;
mod system;
pub mod tables;
mod time;
pub mod users;
mod verdict;
mod verified;
mod workers;

pub use directories::{Directories, DirectorySettings, DirectoryState, DirectoryStatus, Standing};
pub use discover::{FindServers, FoundServers, ServiceRecord};
pub use dovecot::{DovecotPlace, DovecotSettings};
pub use environment::Environment;
pub use error::DirectoryError;
pub use foreign::ForeignKeys;
pub use keys::KeyKind;
pub use ldap::{LdapCheck, LdapSettings, SearchScope};
pub use mistake::Mistake;
pub use pam::PamSettings;
pub use proof::Proof;
pub use residents::{Lead, Member, Residence, Residents, TARGETS_ASKED_MAX, is_postmaster};
pub use saslauthd::SaslauthdSettings;
pub use schemes::{SchemeError, SchemeRules};
pub use secret_file::{SecretFileError, read_secret};
pub use sql::{SqlEngine, SqlPlace, SqlServers, SqlSettings, SqlTls};
pub use system::SystemSettings;
pub use tables::TableSettings;
pub use users::{KeyPolicy, UserStore, UsersSettings};
pub use verdict::{
    Account, Checked, DenyReason, Existence, Finding, KeyVerdict, Outage, Owner, PasswordVerdict,
};
pub use workers::Asker;
