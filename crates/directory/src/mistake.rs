//! What is wrong with the settings of a directory, as far as the settings alone show.

use std::fmt;

use crate::error::SetUpError;
use crate::schemes::{SchemeRules, Stored};

/// An invalid setting. The reader of the configuration file knows where the key is written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mistake {
    /// The setting's key.
    pub key: &'static str,
    /// What is wrong; continues a sentence that starts with the key.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

impl Mistake {
    pub(crate) fn new(key: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            key,
            what: what.into(),
            remedy: remedy.into(),
        }
    }

    /// From a text that says what is wrong and, after its last colon, what to do.
    pub(crate) fn of_text(key: &'static str, text: &str) -> Self {
        let (what, remedy) = text.rsplit_once(": ").unwrap_or((text, "correct it"));
        Self::new(key, what, remedy)
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.remedy)
    }
}

impl From<Mistake> for SetUpError {
    fn from(mistake: Mistake) -> Self {
        Self::setting(mistake.key, mistake.to_string())
    }
}

/// The first mistake, as an error.
pub(crate) fn refuse_first(mistakes: Vec<Mistake>) -> Result<(), SetUpError> {
    match mistakes.into_iter().next() {
        Some(first) => Err(first.into()),
        None => Ok(()),
    }
}

/// What LDAP and SQL directories have in common.
pub(crate) fn of_all(
    pool_size: usize,
    workers: usize,
    timeout: std::time::Duration,
    schemes: &SchemeRules,
) -> Vec<Mistake> {
    let mut found = Vec::new();
    if !(1..=256).contains(&pool_size) {
        found.push(Mistake::new(
            "pool_size",
            format!("is {pool_size}"),
            "from 1 to 256",
        ));
    }
    if workers == 0 {
        found.push(Mistake::new("workers", "is 0", "at least 1"));
    }
    if timeout.is_zero() {
        found.push(Mistake::new(
            "timeout",
            "is zero",
            "give it some time, such as \"5s\"",
        ));
    }
    if let Some(scheme) = &schemes.default_scheme
        && !Stored::knows(scheme)
    {
        let what = format!("{scheme:?} is not a known scheme");
        found.push(Mistake::new(
            "default_scheme",
            what,
            "write for example \"SSHA512\"",
        ));
    }
    found
}
