//! What proved a login, as far as its directory can be asked about it again.

use std::sync::Arc;

use jiff::Timestamp;
use postern_policy::scope::Scope;
use postern_sasl::StoredKey;

use crate::keys::KeyKind;
use crate::mark::Mark;
use crate::users::OwnProof;

/// What made a directory grant a login, so that it can be asked again. It contains no secret.
///
/// It tells how an account was proved, not which one it is: as parts of accounts, any two are equal.
#[derive(Clone, Debug, Default)]
pub struct Proof {
    pub(crate) by: By,
}

/// What proved a login in a foreign directory, as far as it can be recognised.
#[derive(Clone, Debug, Default)]
pub(crate) enum Evidence {
    /// A certificate, a ticket, a token; or a password of which nothing stored can be read.
    #[default]
    Unseen,
    /// The password.
    Password(Mark),
    /// A key.
    Key(KeyKind, Mark),
}

/// What is known of a login in LDAP or SQL.
#[derive(Clone, Debug, Default)]
pub(crate) struct Foreign {
    /// The name to ask about; `None` if there is none.
    pub(crate) login: Option<Box<str>>,
    pub(crate) evidence: Evidence,
}

#[derive(Clone, Debug, Default)]
pub(crate) enum By {
    /// A directory that answers nothing without a password: saslauthd, PAM, Dovecot, LDAP without a search.
    #[default]
    Silent,
    /// LDAP or SQL.
    Foreign(Box<Foreign>),
    /// Own users.
    Own(Box<OwnProof>),
}

impl PartialEq for Proof {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Proof {}

impl Proof {
    /// The proof of an own user.
    pub(crate) fn own(proof: OwnProof) -> Self {
        Self {
            by: By::Own(Box::new(proof)),
        }
    }

    /// The proof by a password with this mark, if there is one.
    pub(crate) fn of_password(mark: Option<Mark>) -> Self {
        Self::of(Foreign {
            login: None,
            evidence: mark.map_or(Evidence::Unseen, Evidence::Password),
        })
    }

    /// The same for a directory that can be asked about this login again.
    pub(crate) fn asked_about(self, login: &str) -> Self {
        Self::of(Foreign {
            login: Some(login.into()),
            ..self.foreign()
        })
    }

    /// The same, proved by a key.
    pub(crate) fn by_key(self, kind: &KeyKind, key: &StoredKey) -> Self {
        Self::of(Foreign {
            evidence: Evidence::Key(kind.clone(), mark_of(key)),
            ..self.foreign()
        })
    }

    /// The same, proved by neither a password nor a key. Own users set this themselves.
    pub(crate) fn otherwise(self) -> Self {
        match self.by {
            By::Foreign(foreign) => Self::of(Foreign {
                evidence: Evidence::Unseen,
                ..*foreign
            }),
            by => Self { by },
        }
    }

    fn of(foreign: Foreign) -> Self {
        Self {
            by: By::Foreign(Box::new(foreign)),
        }
    }

    fn foreign(self) -> Foreign {
        match self.by {
            By::Foreign(foreign) => *foreign,
            By::Silent | By::Own(_) => Foreign::default(),
        }
    }

    /// The mark of the password that has proved it, if there is one.
    fn password(&self) -> Option<&Mark> {
        match &self.by {
            By::Foreign(foreign) => match &foreign.evidence {
                Evidence::Password(mark) => Some(mark),
                Evidence::Key(..) | Evidence::Unseen => None,
            },
            By::Silent | By::Own(_) => None,
        }
    }

    /// Whether the password of an account has changed. If nothing can be read any more, that is unknown.
    pub(crate) fn differs(&self, now: &Self) -> bool {
        matches!((self.password(), now.password()), (Some(then), Some(now)) if then != now)
    }

    /// Whether it is an own user's.
    #[must_use]
    pub const fn is_own(&self) -> bool {
        matches!(self.by, By::Own(_))
    }

    /// What the app password that has proved it is good for, if it was one and that is limited.
    #[must_use]
    pub fn scope(&self) -> Option<Arc<Scope>> {
        match &self.by {
            By::Own(proof) => proof.scope().cloned(),
            By::Silent | By::Foreign(_) => None,
        }
    }

    /// Whether it was an app password, which is for one device or program.
    #[must_use]
    pub fn is_app_password(&self) -> bool {
        match &self.by {
            By::Own(proof) => proof.is_app_password(),
            By::Silent | By::Foreign(_) => false,
        }
    }

    /// When it ends by itself: the expiry of an app password.
    #[must_use]
    pub fn ends(&self) -> Option<Timestamp> {
        match &self.by {
            By::Own(proof) => proof.ends(),
            By::Silent | By::Foreign(_) => None,
        }
    }
}

/// The mark of a key.
pub(crate) fn mark_of(key: &StoredKey) -> Mark {
    let text = key.to_text();
    Mark::of([text.as_bytes()])
}
