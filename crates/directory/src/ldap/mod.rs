//! LDAP as a directory: search for the entry, then bind as it.
//!
//! Searches and user binds never share a connection. A search connection is bound to the service identity when it is
//! made and never bound again; a bind connection is only ever bound, each time as the user whose password is being
//! checked, and never searched on. So no search is ever made with a user's rights.
//!
//! Referrals are never followed: a password would go to whatever host the answer names.

mod ask;
mod code;
mod pool;
mod settings;
mod template;

pub(crate) use ask::Ldap;
pub use settings::{LdapSettings, SearchScope};
