//! By what a login was granted, as far as its directory can be asked about it again.

use jiff::Timestamp;
use postern_sasl::StoredKey;

use crate::keys::KeyKind;
use crate::mark::Mark;
use crate::users::OwnProof;

/// By what a directory granted a login, so that it can be asked about it again. There is no secret in it.
///
/// It tells how an account was come by, not which one it is: as parts of accounts, any two are equal.
#[derive(Clone, Debug, Default)]
pub struct Proof {
    pub(crate) by: By,
}

/// What has proved a login in a directory of somebody else's, as far as it can be recognised.
#[derive(Clone, Debug, Default)]
pub(crate) enum Evidence {
    /// A certificate, a ticket, a token; or a password of which nothing can be read.
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
    /// The name to ask about; `None` for one that cannot be asked about.
    pub(crate) login: Option<Box<str>>,
    pub(crate) evidence: Evidence,
}

#[derive(Clone, Debug, Default)]
pub(crate) enum By {
    /// A directory that says nothing without a password: saslauthd, PAM, Dovecot, LDAP without a search.
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
    /// Of one of the own users.
    pub(crate) fn own(proof: OwnProof) -> Self {
        Self {
            by: By::Own(Box::new(proof)),
        }
    }

    /// Of a password with this mark, if there is one.
    pub(crate) fn of_password(mark: Option<Mark>) -> Self {
        Self::of(Foreign {
            login: None,
            evidence: mark.map_or(Evidence::Unseen, Evidence::Password),
        })
    }

    /// The same of a directory that can be asked about this login again.
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

    /// The same, proved by no password and by no key. Own users have said so themselves.
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

    /// Whether the password of an account is another one now. Where nothing can be read any more, nothing is known.
    pub(crate) fn differs(&self, now: &Self) -> bool {
        matches!((self.password(), now.password()), (Some(then), Some(now)) if then != now)
    }

    /// Whether it is about an own user.
    #[must_use]
    pub const fn is_own(&self) -> bool {
        matches!(self.by, By::Own(_))
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
