//! Keys by which a client identifies repeated submissions.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use postern_http::axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::answer::Trouble;
use crate::admin::Admin;
use crate::admin::hash::hashed;
use crate::server::api::parts::Submitted;

/// How long a key is remembered.
const KEPT: SignedDuration = SignedDuration::from_hours(24);

/// Most keys at once; while there are that many, no further one is accepted.
const KEYS_MAX: usize = 100_000;

/// Longest key, in octets.
const KEY_MAX: usize = 255;

/// What is stored about a submission.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Kept {
    /// The hash of what was submitted.
    of: String,
    /// The outcome; `None` while it is in progress, or if the server stopped in the meantime.
    came: Option<Submitted>,
}

/// The keys of submissions in progress, and their number.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    known: Mutex<HashMap<String, Timestamp>>,
}

/// A submission with a key, locked against others.
#[derive(Debug)]
pub(super) struct Held {
    /// The hash of login and key.
    name: String,
    of: String,
}

/// The meaning of a key.
#[derive(Debug)]
pub(super) enum Found {
    /// It is new: submit, then record the outcome.
    New(Held),
    /// It was already accepted.
    Taken(Submitted),
}

impl Keys {
    /// Looks up a login's key, and records it if it is new.
    ///
    /// # Errors
    ///
    /// It belongs to another message, or to one in progress, or it cannot be stored.
    pub(super) async fn find(
        &self,
        admin: &Admin,
        (login, key): (&str, &str),
        content: &[&[u8]],
    ) -> Result<Found, Trouble> {
        if key.is_empty() || key.len() > KEY_MAX {
            return Err(Trouble::bad(format!(
                "an `Idempotency-Key` has 1 to {KEY_MAX} octets"
            )));
        }
        let name = hashed(&format!("{login}\n{key}"));
        let mut hash = Sha256::new();
        for part in content {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let of = hashed(&format!("{:x}", hash.finalize()));
        let now = Timestamp::now();
        self.enter(&name, now)?;
        match admin.submission(&name).await {
            Err(problem) => {
                self.leave(&name);
                Err(problem.into())
            }
            Ok(Some(kept)) => {
                // It is known for as long as the store keeps it.
                self.settle(&name, now);
                answer(kept, &of)
            }
            Ok(None) => {
                let kept = Kept {
                    of: of.clone(),
                    came: None,
                };
                if let Err(problem) = admin.keep_submission(&name, &kept, after(now)).await {
                    self.leave(&name);
                    return Err(problem.into());
                }
                Ok(Found::New(Held { name, of }))
            }
        }
    }

    /// Records the outcome of a submission; one that was not accepted may be repeated with its key.
    pub(super) async fn done(&self, admin: &Admin, held: Held, came: Option<&Submitted>) {
        let now = Timestamp::now();
        match came {
            Some(came) => {
                let kept = Kept {
                    of: held.of,
                    came: Some(came.clone()),
                };
                // If it cannot be stored, the outcome remains unknown: the message is not accepted twice.
                let _ = admin.keep_submission(&held.name, &kept, after(now)).await;
                self.settle(&held.name, now);
            }
            None => {
                let _ = admin.forget_submission(&held.name).await;
                self.leave(&held.name);
            }
        }
    }

    /// The outcome is unknown. The message is not accepted again with its key.
    pub(super) fn unknown(&self, held: &Held) {
        self.settle(&held.name, Timestamp::now());
    }

    /// Locks a key.
    fn enter(&self, name: &str, now: Timestamp) -> Result<(), Trouble> {
        let mut known = self.known.lock();
        if known.get(name) == Some(&Timestamp::MAX) {
            let told = "a submission with this `Idempotency-Key` is under way";
            return Err(Trouble::new(StatusCode::CONFLICT, told).later(1));
        }
        if known.len() >= KEYS_MAX {
            known.retain(|_, ends_at| *ends_at > now);
            if known.len() >= KEYS_MAX {
                let told = "too many keys are remembered; submit without one, or tomorrow";
                return Err(Trouble::new(StatusCode::SERVICE_UNAVAILABLE, told).later(3_600));
            }
        }
        known.insert(name.to_owned(), Timestamp::MAX);
        Ok(())
    }

    fn settle(&self, name: &str, now: Timestamp) {
        self.known.lock().insert(name.to_owned(), after(now));
    }

    fn leave(&self, name: &str) {
        self.known.lock().remove(name);
    }
}

fn after(now: Timestamp) -> Timestamp {
    now.saturating_add(KEPT).unwrap_or(Timestamp::MAX)
}

/// What follows from a known key.
fn answer(kept: Kept, of: &str) -> Result<Found, Trouble> {
    if kept.of != of {
        return Err(Trouble::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "this `Idempotency-Key` was used for another message",
        ));
    }
    match kept.came {
        Some(came) => Ok(Found::Taken(came)),
        None => Err(Trouble::new(
            StatusCode::CONFLICT,
            "the server stopped while it worked on a submission with this `Idempotency-Key`: whether the message was taken is in the history",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(of: &str, came: bool) -> Kept {
        Kept {
            of: of.into(),
            came: came.then(Submitted::default),
        }
    }

    #[test]
    fn what_a_known_key_leads_to() {
        assert!(matches!(answer(kept("x", true), "x"), Ok(Found::Taken(_))));
        assert!(answer(kept("x", true), "y").is_err(), "another message");
        assert!(answer(kept("x", false), "x").is_err(), "nobody knows");
    }

    #[test]
    fn nobody_else_works_on_it() {
        let keys = Keys::default();
        let now = Timestamp::now();
        assert!(keys.enter("a", now).is_ok());
        assert!(keys.enter("a", now).is_err());
        assert!(keys.enter("b", now).is_ok());
        keys.settle("a", now);
        assert!(keys.enter("a", now).is_ok(), "the store knows what came of it");
        keys.leave("b");
        assert!(keys.enter("b", now).is_ok());
    }
}
