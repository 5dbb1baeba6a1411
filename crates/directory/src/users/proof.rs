//! What proved a login of an own user, as kept with the login.

use std::sync::Arc;

use jiff::Timestamp;
use postern_policy::scope::Scope;

/// What proved a login of an own user.
#[derive(Clone, Debug)]
pub(crate) struct OwnProof {
    pub(super) login: Box<str>,
    pub(super) by: By,
}

#[derive(Clone, Debug)]
pub(super) enum By {
    /// Something outside the file: a certificate, a ticket, a token.
    Otherwise,
    /// The password.
    Password(Mark),
    /// An app password.
    AppPassword {
        id: i64,
        ends: Option<Timestamp>,
        /// What it is good for; `None` for anything.
        scope: Option<Arc<Scope>>,
    },
}

/// A mark by which a password is recognised.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Mark {
    pub(super) set_at: i64,
    pub(super) digest: [u8; 32],
    /// Whether a login may replace the hash with a stronger one of the same password.
    pub(super) may_be_upgraded: bool,
}

impl OwnProof {
    /// Whether it was an app password.
    pub(crate) const fn is_app_password(&self) -> bool {
        matches!(self.by, By::AppPassword { .. })
    }

    pub(crate) const fn ends(&self) -> Option<Timestamp> {
        match &self.by {
            By::AppPassword { ends, .. } => *ends,
            By::Otherwise | By::Password(_) => None,
        }
    }

    pub(crate) const fn scope(&self) -> Option<&Arc<Scope>> {
        match &self.by {
            By::AppPassword { scope, .. } => scope.as_ref(),
            By::Otherwise | By::Password(_) => None,
        }
    }
}
