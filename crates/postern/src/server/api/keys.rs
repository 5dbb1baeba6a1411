//! Keys by which a client identifies repeated submissions.

use std::collections::HashMap;
use std::sync::Arc;

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

/// Most keys of one login, so that nobody uses up those of others.
const KEYS_OF_ONE_MAX: usize = 10_000;

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

/// The keys by login, and when each is forgotten; [`Timestamp::MAX`] while its submission is in progress.
type Known = HashMap<String, HashMap<String, Timestamp>>;

/// The keys that are remembered.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    known: Mutex<Known>,
}

/// A submission with a key, locked against others until it is dropped, however that comes about.
#[derive(Debug)]
pub(super) struct Held {
    keys: Arc<Keys>,
    login: String,
    /// The hash of login and key.
    name: String,
    of: String,
    /// Whether the key may be used again as a new one.
    taken_back: bool,
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
        self: &Arc<Self>,
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
        let held = self.enter(login, name, of, now)?;
        match admin.submission(&held.name).await {
            Err(problem) => {
                held.leave();
                Err(problem.into())
            }
            Ok(Some(kept)) => {
                // It is known for as long as the store keeps it.
                let of = held.of.clone();
                drop(held);
                answer(kept, &of)
            }
            Ok(None) => {
                let kept = Kept {
                    of: held.of.clone(),
                    came: None,
                };
                if let Err(problem) = admin.keep_submission(&held.name, &kept, after(now)).await {
                    held.leave();
                    return Err(problem.into());
                }
                Ok(Found::New(held))
            }
        }
    }

    /// Locks a key.
    fn enter(
        self: &Arc<Self>,
        login: &str,
        name: String,
        of: String,
        now: Timestamp,
    ) -> Result<Held, Trouble> {
        let mut known = self.known.lock();
        match known.get(login).and_then(|theirs| theirs.get(&name)) {
            Some(ends_at) if *ends_at == Timestamp::MAX => {
                let told = "a submission with this `Idempotency-Key` is under way";
                return Err(Trouble::new(StatusCode::CONFLICT, told).later(1));
            }
            // Who asks what came of a submission adds nothing.
            Some(_) => {}
            None => has_room(&mut known, login, now)?,
        }
        let theirs = known.entry(login.to_owned()).or_default();
        theirs.insert(name.clone(), Timestamp::MAX);
        Ok(Held {
            keys: Arc::clone(self),
            login: login.to_owned(),
            name,
            of,
            taken_back: false,
        })
    }
}

/// Whether one more key of a login can be remembered.
fn has_room(known: &mut Known, login: &str, now: Timestamp) -> Result<(), Trouble> {
    let is_full = |known: &Known| {
        let theirs = known.get(login).map_or(0, HashMap::len);
        theirs >= KEYS_OF_ONE_MAX || known.values().map(HashMap::len).sum::<usize>() >= KEYS_MAX
    };
    if !is_full(known) {
        return Ok(());
    }
    known.retain(|_, theirs| {
        theirs.retain(|_, ends_at| *ends_at > now);
        !theirs.is_empty()
    });
    if is_full(known) {
        let told = "too many keys are remembered; submit without one, or tomorrow";
        return Err(Trouble::new(StatusCode::SERVICE_UNAVAILABLE, told).later(3_600));
    }
    Ok(())
}

impl Held {
    /// Records the outcome of a submission; one that was not accepted may be repeated with its key. A key that is dropped instead
    /// stands for an unknown outcome: the message is not accepted again with it.
    pub(super) async fn done(self, admin: &Admin, came: Option<&Submitted>) {
        let Some(came) = came else {
            let _ = admin.forget_submission(&self.name).await;
            self.leave();
            return;
        };
        let kept = Kept {
            of: self.of.clone(),
            came: Some(came.clone()),
        };
        // If it cannot be stored, the outcome remains unknown: the message is not accepted twice.
        let _ = admin
            .keep_submission(&self.name, &kept, after(Timestamp::now()))
            .await;
    }

    /// As if it had not been given.
    fn leave(mut self) {
        self.taken_back = true;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut known = self.keys.known.lock();
        let Some(theirs) = known.get_mut(&self.login) else {
            return;
        };
        if !self.taken_back {
            theirs.insert(std::mem::take(&mut self.name), after(Timestamp::now()));
            return;
        }
        theirs.remove(&self.name);
        if theirs.is_empty() {
            known.remove(&self.login);
        }
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

    fn enter(keys: &Arc<Keys>, login: &str, name: &str) -> Result<Held, Trouble> {
        keys.enter(login, name.to_owned(), "x".to_owned(), Timestamp::now())
    }

    #[test]
    fn nobody_else_works_on_it() {
        let keys = Arc::<Keys>::default();
        let held = enter(&keys, "anna", "a").unwrap();
        assert!(enter(&keys, "anna", "a").is_err());
        let other = enter(&keys, "anna", "b").unwrap();
        // As after a panic, too.
        drop(held);
        assert!(
            enter(&keys, "anna", "a").is_ok(),
            "the store knows what came of it"
        );
        other.leave();
        assert!(enter(&keys, "anna", "b").is_ok());
    }

    #[test]
    fn nobody_uses_up_the_keys_of_others() {
        let keys = Arc::<Keys>::default();
        for number in 0..KEYS_OF_ONE_MAX {
            drop(enter(&keys, "anna", &number.to_string()).unwrap());
        }
        assert!(enter(&keys, "anna", "one more").is_err());
        assert!(enter(&keys, "anna", "0").is_ok(), "it is known");
        assert!(enter(&keys, "bert", "0 of bert").is_ok());
    }
}
