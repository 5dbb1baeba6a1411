//! LDAP as a directory: search for the entry, then bind as that entry.
//!
//! Searches and user binds never share a connection. A search connection is bound to the service identity when it is made
//! and never bound again; a bind connection is bound each time as the user whose password is being checked. So no search
//! ever runs with another user's rights. With `direct_bind` the user's own entry is read with its own rights, on the
//! connection that was just bound.
//!
//! Referrals are never followed: otherwise a password would go to whatever host the answer names.

mod account;
mod ask;
mod changed;
mod code;
mod fleet;
mod groups;
mod mistakes;
mod pool;
mod settings;
mod state;
mod template;

pub(crate) use ask::Ldap;
pub(crate) use code::of_search;
pub(crate) use fleet::Fleets;
pub(crate) use pool::{Identity, Search};
pub use settings::{LdapCheck, LdapSettings, SearchScope};
