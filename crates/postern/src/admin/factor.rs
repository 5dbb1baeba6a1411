//! Second factors: secrets of authenticator programs, recovery codes, and limits on wrong codes.

use std::collections::HashMap;

use data_encoding::BASE32_NOPAD;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::hash::hashed;
use super::totp;

/// Recovery codes created at once.
pub(crate) const RECOVERY_CODES: usize = 10;

/// Random octets in a recovery code.
pub(crate) const RECOVERY: usize = 10;

/// Consecutive wrong codes that a login may give before it has to wait.
const FREE_TRIES: u32 = 5;

/// The first wait; each further wrong code doubles it.
const WAIT: SignedDuration = SignedDuration::from_secs(30);

/// The longest wait.
const WAIT_MAX: SignedDuration = SignedDuration::from_hours(1);

/// How long a new secret waits for its first code.
const BEGUN: SignedDuration = SignedDuration::from_mins(15);

/// Most logins whose new secrets or wrong codes are remembered.
const REMEMBERED_MAX: usize = 10_000;

/// A second factor as stored. The secret has to be stored as it is, since codes are computed from it; recovery
/// codes are hashed.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct Factor {
    /// In Base32.
    secret: String,
    /// The step of the last accepted code.
    last: Option<u64>,
    recovery: Vec<String>,
    since: Timestamp,
}

/// A second factor as listed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub(crate) struct FactorLine {
    pub(crate) login: String,
    pub(crate) since: Timestamp,
    /// Number of unused recovery codes.
    pub(crate) recovery_codes: usize,
}

/// Why a code is not accepted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum NotTaken {
    /// It is wrong, or was used before.
    #[error("the code is wrong, or was used before")]
    Wrong,
    /// Too many codes were wrong.
    #[error("too many wrong codes; try again in {} seconds", .0.as_secs())]
    Wait(SignedDuration),
    /// That the code was used cannot be stored, so it might be used again after a restart.
    #[error("the code cannot be accepted now: the server cannot store that it was used, see the log")]
    NotStored,
    /// The login has no second factor.
    #[error("there is no second factor to give a code of; begin its set-up again")]
    None,
}

/// All second factors, by login in normal form. Time and random octets are arguments.
#[derive(Default)]
pub(crate) struct Factors {
    all: HashMap<String, Factor>,
    begun: HashMap<String, (Vec<u8>, Timestamp)>,
    wrong: HashMap<String, (u32, Timestamp)>,
}

impl Factors {
    /// The stored ones.
    pub(crate) fn of(kept: impl IntoIterator<Item = (String, Factor)>) -> Self {
        Self {
            all: kept.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Whether this login has a second factor.
    pub(crate) fn has(&self, login: &str) -> bool {
        self.all.contains_key(login)
    }

    /// All of them, by login.
    pub(crate) fn list(&self) -> Vec<FactorLine> {
        let lines = self.all.iter().map(|(login, factor)| FactorLine {
            login: login.clone(),
            since: factor.since,
            recovery_codes: factor.recovery.len(),
        });
        let mut lines: Vec<FactorLine> = lines.collect();
        lines.sort_by(|one, other| one.login.cmp(&other.login));
        lines
    }

    /// Begins the set-up with a new secret.
    pub(crate) fn begin(&mut self, login: &str, secret: [u8; totp::SECRET], now: Timestamp) {
        self.begun.retain(|_, (_, at)| is_begun(*at, now));
        if self.begun.len() < REMEMBERED_MAX || self.begun.contains_key(login) {
            self.begun.insert(login.to_owned(), (secret.to_vec(), now));
        }
    }

    /// Accepts the first code of a new secret, which is valid from then on. The recovery codes to show are made
    /// from `chance`.
    ///
    /// # Errors
    ///
    /// See [`NotTaken`].
    pub(crate) fn confirm(
        &mut self,
        login: &str,
        code: &str,
        chance: &[[u8; RECOVERY]; RECOVERY_CODES],
        now: Timestamp,
    ) -> Result<(Factor, Vec<String>), NotTaken> {
        self.may_try(login, now)?;
        let in_time = |begun: &&(Vec<u8>, Timestamp)| is_begun(begun.1, now);
        let Some((secret, _)) = self.begun.get(login).filter(in_time) else {
            return Err(NotTaken::None);
        };
        let Some(step) = totp::check(secret, code, seconds(now), None) else {
            self.was_wrong(login, now);
            return Err(NotTaken::Wrong);
        };
        let codes: Vec<String> = chance.iter().map(|octets| recovery_code(octets)).collect();
        let factor = Factor {
            secret: totp::base32(secret),
            last: Some(step),
            recovery: codes.iter().map(|code| hashed(&typed(code))).collect(),
            since: now,
        };
        self.begun.remove(login);
        self.wrong.remove(login);
        self.all.insert(login.to_owned(), factor.clone());
        Ok((factor, codes))
    }

    /// Accepts a code, or a recovery code, which cannot be used again. Returns what has to be stored.
    ///
    /// # Errors
    ///
    /// See [`NotTaken`].
    pub(crate) fn take(&mut self, login: &str, code: &str, now: Timestamp) -> Result<Factor, NotTaken> {
        self.may_try(login, now)?;
        let factor = self.all.get_mut(login).ok_or(NotTaken::None)?;
        let secret = totp::from_base32(&factor.secret).unwrap_or_default();
        if let Some(step) = totp::check(&secret, code, seconds(now), factor.last) {
            factor.last = Some(step);
        } else {
            let hash = hashed(&typed(code));
            let Some(place) = factor.recovery.iter().position(|kept| *kept == hash) else {
                self.was_wrong(login, now);
                return Err(NotTaken::Wrong);
            };
            factor.recovery.remove(place);
        }
        let taken = factor.clone();
        self.wrong.remove(login);
        Ok(taken)
    }

    /// Removes a second factor; returns whether there was one.
    pub(crate) fn remove(&mut self, login: &str) -> bool {
        self.begun.remove(login);
        self.wrong.remove(login);
        self.all.remove(login).is_some()
    }

    fn may_try(&self, login: &str, now: Timestamp) -> Result<(), NotTaken> {
        let Some((_, until)) = self.wrong.get(login) else {
            return Ok(());
        };
        match until.duration_since(now) {
            left if left > SignedDuration::ZERO => Err(NotTaken::Wait(left)),
            _ => Ok(()),
        }
    }

    fn was_wrong(&mut self, login: &str, now: Timestamp) {
        if self.wrong.len() >= REMEMBERED_MAX && !self.wrong.contains_key(login) {
            // Logins that have to wait are kept: forgetting them would allow more tries.
            self.wrong.retain(|_, (_, until)| *until > now);
        }
        let (count, until) = self.wrong.entry(login.to_owned()).or_insert((0, now));
        *count += 1;
        if let Some(over) = count.checked_sub(FREE_TRIES) {
            let wait = WAIT
                .checked_mul(1 << over.min(10))
                .unwrap_or(WAIT_MAX)
                .min(WAIT_MAX);
            *until = now.saturating_add(wait).unwrap_or(Timestamp::MAX);
        }
    }
}

/// Whether a secret of that time still waits for its first code.
fn is_begun(at: Timestamp, now: Timestamp) -> bool {
    at.saturating_add(BEGUN).is_ok_and(|end| end > now)
}

fn seconds(now: Timestamp) -> u64 {
    u64::try_from(now.as_second()).unwrap_or_default()
}

/// In groups of four, which are easier to copy by hand.
fn recovery_code(octets: &[u8]) -> String {
    let text = BASE32_NOPAD.encode(octets).to_ascii_lowercase();
    let groups: Vec<&str> = (0..text.len())
        .step_by(4)
        .filter_map(|start| text.get(start..(start + 4).min(text.len())))
        .collect();
    groups.join("-")
}

/// Normalizes a recovery code as typed.
fn typed(code: &str) -> String {
    let kept = code.chars().filter(char::is_ascii_alphanumeric);
    kept.map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: [u8; 20] = *b"12345678901234567890";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_234_567_890 + seconds).unwrap()
    }

    fn chance() -> [[u8; RECOVERY]; RECOVERY_CODES] {
        let mut all = [[0; RECOVERY]; RECOVERY_CODES];
        for (number, one) in all.iter_mut().enumerate() {
            one.fill(u8::try_from(number).unwrap());
        }
        all
    }

    fn set_up() -> (Factors, Vec<String>) {
        let mut factors = Factors::default();
        factors.begin("anna", SECRET, at(0));
        let (_, codes) = factors.confirm("anna", "005924", &chance(), at(0)).unwrap();
        (factors, codes)
    }

    #[test]
    fn it_counts_once_a_code_was_given() {
        let mut factors = Factors::default();
        factors.begin("anna", SECRET, at(0));
        assert!(!factors.has("anna"));
        assert!(factors.confirm("anna", "005925", &chance(), at(0)).is_err());
        assert!(!factors.has("anna"));
        factors.confirm("anna", "005924", &chance(), at(0)).unwrap();
        assert!(factors.has("anna"));
        assert!(factors.confirm("bert", "005924", &chance(), at(0)).is_err());
    }

    #[test]
    fn a_secret_waits_for_its_first_code_for_a_quarter_of_an_hour() {
        for (waited, confirmed) in [(899, true), (900, false)] {
            let mut factors = Factors::default();
            factors.begin("anna", SECRET, at(-waited));
            let done = factors.confirm("anna", "005924", &chance(), at(0));
            assert_eq!(done.is_ok(), confirmed, "{waited} s");
        }
    }

    #[test]
    fn no_code_counts_twice() {
        let (mut factors, codes) = set_up();
        assert_eq!(
            factors.take("anna", "005924", at(0)).err(),
            Some(NotTaken::Wrong),
            "seen at the set-up"
        );
        let shouted = codes[3].to_uppercase().replace('-', " ");
        assert!(factors.take("anna", &shouted, at(0)).is_ok());
        assert_eq!(
            factors.take("anna", &codes[3], at(0)).err(),
            Some(NotTaken::Wrong)
        );
        assert_eq!(factors.list()[0].recovery_codes, RECOVERY_CODES - 1);
    }

    #[test]
    fn who_guesses_waits_and_others_do_not() {
        let (mut factors, codes) = set_up();
        for _ in 0..FREE_TRIES {
            assert_eq!(factors.take("anna", "000000", at(0)).err(), Some(NotTaken::Wrong));
        }
        assert!(matches!(
            factors.take("anna", &codes[0], at(1)).err(),
            Some(NotTaken::Wait(_))
        ));
        assert_eq!(
            factors.take("anna", "000000", at(30)).err(),
            Some(NotTaken::Wrong)
        );
        assert!(
            matches!(
                factors.take("anna", &codes[0], at(89)).err(),
                Some(NotTaken::Wait(_))
            ),
            "twice as long"
        );
        assert!(factors.take("anna", &codes[0], at(90)).is_ok());
        assert_eq!(factors.take("bert", "000000", at(0)).err(), Some(NotTaken::None));
    }

    #[test]
    fn recovery_codes_are_long_enough() {
        let (_, codes) = set_up();
        assert_eq!(codes.len(), RECOVERY_CODES);
        assert!(codes.iter().all(|code| code.len() == 19), "{codes:?}");
    }
}
