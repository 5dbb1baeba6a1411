//! What the logins of sessions are good for: `[[scope]]`, and what was written down with an app password.

pub(crate) mod place;
pub(crate) mod session;
mod settings;

pub use place::separator_of;
pub use settings::{ScopeRule, ScopeSettings, Scoped};
