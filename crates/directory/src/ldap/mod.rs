//! LDAP as a directory: search for the entry, then bind as it.

mod settings;

pub use settings::{LdapSettings, SearchScope};
