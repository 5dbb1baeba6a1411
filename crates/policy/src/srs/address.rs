//! The form of rewritten addresses: `SRS0=hash=day=domain=name`, and `SRS1=hash=domain==hash=day=domain=name` for an address
//! already rewritten by another forwarder.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use jiff::Timestamp;
use postern_mail::{Domain, Mailbox};
use secrecy::{ExposeSecret, SecretString};
use sha1::Sha1;

use super::{LOCAL_MAX, Srs, SrsRefusal};

/// The digits of a day, of which two can count up to [`DAYS`].
const DIGITS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The number of days after which the count starts again.
const DAYS: i64 = 1_024;

const DAY_SECONDS: i64 = 86_400;

/// A rewritten local part after its tag.
enum Tagged<'a> {
    /// `SRS0`: what follows, with the separator.
    First(&'a str),
    /// `SRS1`: what follows, without the separator.
    Further(&'a str),
}

impl<'a> Tagged<'a> {
    fn of(local: &'a str) -> Option<Self> {
        let (tag, rest) = local.split_at_checked(4)?;
        let inner = rest.strip_prefix(['=', '+', '-'])?;
        if tag.eq_ignore_ascii_case("SRS0") {
            Some(Self::First(rest))
        } else {
            tag.eq_ignore_ascii_case("SRS1").then_some(Self::Further(inner))
        }
    }
}

impl Srs {
    /// The rewritten address of this sender on the day of `now`; `None` if it would be too long.
    #[must_use]
    pub fn rewrite(&self, sender: &Mailbox, now: Timestamp) -> Option<Mailbox> {
        let host = sender.domain().name()?;
        let user = sender.unquoted_local();
        let secret = self.secrets.first()?;
        let local = match Tagged::of(&user) {
            Some(Tagged::First(rest)) => {
                let hash = self.hash(secret, &[host, rest]);
                format!("SRS1={hash}={host}={rest}")
            }
            // The report goes straight back to the first forwarder, so those in between can be left out.
            Some(Tagged::Further(rest)) => {
                let (_, rest) = rest.split_once('=')?;
                let (first, rest) = rest.split_once('=')?;
                let hash = self.hash(secret, &[first, rest]);
                format!("SRS1={hash}={first}={rest}")
            }
            None => {
                let day = day_of(now);
                let hash = self.hash(secret, &[&day, host, &user]);
                format!("SRS0={hash}={day}={host}={user}")
            }
        };
        let rewritten = Mailbox::new(&local, self.domain.clone()).ok()?;
        (rewritten.local().len() <= LOCAL_MAX).then_some(rewritten)
    }

    /// Where a report to a rewritten address goes: to the original sender, or to the first forwarder.
    ///
    /// # Errors
    ///
    /// Why the address is refused.
    pub fn lead_back(&self, address: &Mailbox, now: Timestamp) -> Result<Mailbox, SrsRefusal> {
        let local = address.unquoted_local();
        let (host, user) = match Tagged::of(&local).ok_or(SrsRefusal::Malformed)? {
            Tagged::First(rest) => {
                let mut parts = rest[1..].splitn(4, '=');
                let mut next = || parts.next().ok_or(SrsRefusal::Malformed);
                let (hash, day, host, user) = (next()?, next()?, next()?, next()?);
                self.check(hash, &[day, host, user])?;
                self.check_day(day, now)?;
                (host, user.to_owned())
            }
            Tagged::Further(rest) => {
                let mut parts = rest.splitn(3, '=');
                let mut next = || parts.next().ok_or(SrsRefusal::Malformed);
                let (hash, host, user) = (next()?, next()?, next()?);
                self.check(hash, &[host, user])?;
                (host, format!("SRS0{user}"))
            }
        };
        let domain = Domain::parse(host, true).map_err(|_| SrsRefusal::Malformed)?;
        match domain {
            Domain::Name(_) => Mailbox::new(&user, domain).map_err(|_| SrsRefusal::Malformed),
            Domain::Literal(_) => Err(SrsRefusal::Malformed),
        }
    }

    fn hash(&self, secret: &SecretString, parts: &[&str]) -> String {
        // A key may have any length.
        let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(secret.expose_secret().as_bytes()) else {
            return String::new();
        };
        for part in parts {
            mac.update(part.to_ascii_lowercase().as_bytes());
        }
        let mut text = STANDARD.encode(mac.finalize().into_bytes());
        text.truncate(self.hash_length);
        text
    }

    /// Whether a hash is ours. Hosts on the way may have changed it to lower case, so case is ignored, as in all SRS
    /// implementations.
    fn check(&self, hash: &str, parts: &[&str]) -> Result<(), SrsRefusal> {
        let fits = |secret: &SecretString| {
            let right = self.hash(secret, parts);
            // A longer one with the right beginning was made when hashes were longer.
            !right.is_empty()
                && hash
                    .get(..right.len())
                    .is_some_and(|start| start.eq_ignore_ascii_case(&right))
        };
        let known = self.secrets.iter().any(fits);
        known.then_some(()).ok_or(SrsRefusal::Forged)
    }

    fn check_day(&self, day: &str, now: Timestamp) -> Result<(), SrsRefusal> {
        let mut made = 0;
        for digit in day.bytes() {
            let value = DIGITS
                .iter()
                .position(|known| *known == digit.to_ascii_uppercase())
                .ok_or(SrsRefusal::Malformed)?;
            made = (made * 32 + value as i64) % DAYS;
        }
        let age = (days_of(now) - made).rem_euclid(DAYS);
        // A clock that is a day behind does not invalidate the address.
        if age <= i64::from(self.max_age_days) || age == DAYS - 1 {
            Ok(())
        } else {
            Err(SrsRefusal::Expired)
        }
    }
}

fn days_of(now: Timestamp) -> i64 {
    now.as_second().div_euclid(DAY_SECONDS).rem_euclid(DAYS)
}

fn day_of(now: Timestamp) -> String {
    let days = days_of(now);
    [days / 32, days % 32]
        .into_iter()
        .filter_map(|digit| usize::try_from(digit).ok())
        .filter_map(|digit| DIGITS.get(digit))
        .map(|digit| char::from(*digit))
        .collect()
}

#[cfg(test)]
mod tests {
    use postern_mail::is_rewritten;

    use super::super::{HASH_LENGTH, MAX_AGE_DAYS};
    use super::*;
    use crate::DomainSet;

    fn srs(secrets: &[&str]) -> Srs {
        Srs {
            domain: "fwd.example".parse().unwrap(),
            secrets: secrets.iter().map(|secret| SecretString::from(*secret)).collect(),
            hash_length: HASH_LENGTH,
            max_age_days: MAX_AGE_DAYS,
            own: DomainSet::default(),
        }
    }

    fn at(day: i64) -> Timestamp {
        Timestamp::from_second(day * DAY_SECONDS + 5).unwrap()
    }

    fn mailbox(text: &str) -> Mailbox {
        text.parse().unwrap()
    }

    #[test]
    fn as_others_write_it() {
        // Made by Mail::SRS 0.31 (`Mail::SRS::Guarded->forward`) with its clock set to that day.
        #[rustfmt::skip]
        let cases = [
            ("secret",       4, 20_000, "ann@away.example",         "SRS0=jNjT=RA=away.example=ann"),
            ("secret",       4, 20_000, "Ann.Example@away.example", "SRS0=ydV8=RA=away.example=Ann.Example"),
            ("other secret", 8, 20_500, "a+b=c@x.example",          "SRS0=I0vyPBTu=AU=x.example=a+b=c"),
            ("secret",       4, 20_000, "SRS0=abcd=AA=orig.example=user@first.example",
             "SRS1=SpaK=first.example==abcd=AA=orig.example=user"),
            ("secret",       4, 20_000, "SRS1=abcd=first.example==wxyz=AA=orig.example=user@second.example",
             "SRS1=2Nmx=first.example==wxyz=AA=orig.example=user"),
            ("secret",       4, 20_000, "SRS0+abcd=AA=orig.example=user@first.example",
             "SRS1=fY0E=first.example=+abcd=AA=orig.example=user"),
        ];
        for (secret, hash_length, day, address, expected) in cases {
            let srs = Srs {
                hash_length,
                ..srs(&[secret])
            };
            let rewritten = srs.rewrite(&mailbox(address), at(day)).unwrap();
            assert_eq!(rewritten.local(), expected);
        }
    }
    #[test]
    fn what_was_rewritten_leads_back() {
        let srs = srs(&["secret"]);
        for address in [
            "ann@away.example",
            "Ann.Example+x=y@away.example",
            "\"a b\"@away.example",
            "grün@away.example",
            "SRS@away.example",
            "SRS0@away.example",
        ] {
            let rewritten = srs.rewrite(&mailbox(address), at(20_000)).unwrap();
            assert!(is_rewritten(&rewritten.unquoted_local()), "{rewritten}");
            assert_eq!(rewritten.domain().name(), Some("fwd.example"));
            assert_eq!(srs.lead_back(&rewritten, at(20_000)), Ok(mailbox(address)));
        }
    }

    #[test]
    fn forwarders_in_a_row() {
        let (first, second, third) = (srs(&["one"]), srs(&["two"]), srs(&["three"]));
        let of = |srs: &Srs, domain: &str| Srs {
            domain: domain.parse().unwrap(),
            ..srs.clone()
        };
        let (first, second, third) = (
            of(&first, "first.example"),
            of(&second, "second.example"),
            of(&third, "third.example"),
        );
        let sender = mailbox("ann@away.example");
        let now = at(20_000);
        let once = first.rewrite(&sender, now).unwrap();
        let twice = second.rewrite(&once, now).unwrap();
        let thrice = third.rewrite(&twice, now).unwrap();
        assert!(
            thrice.local().starts_with("SRS1=")
                && thrice.local().contains("=first.example==")
                && !thrice.local().contains("second"),
            "{thrice}"
        );
        for (forwarder, address) in [(&second, &twice), (&third, &thrice)] {
            assert_eq!(forwarder.lead_back(address, now).unwrap(), once);
        }
        assert_eq!(first.lead_back(&once, now), Ok(sender));
    }

    #[test]
    fn what_leads_nowhere() {
        let srs = srs(&["secret"]);
        let good = srs
            .rewrite(&mailbox("ann@away.example"), at(20_000))
            .unwrap()
            .to_string();
        let (hash, rest) = good.strip_prefix("SRS0=").unwrap().split_once('=').unwrap();
        let swapped = format!("SRS0={hash}={}", rest.replace("ann", "bob"));
        let again = srs
            .rewrite(&mailbox(&good.replace("fwd", "other")), at(20_000))
            .unwrap()
            .to_string();
        #[rustfmt::skip]
        let cases: &[(&str, String, i64, Result<(), SrsRefusal>)] = &[
            // what the case shows          address                                              day       found
            ("as it was made",              good.clone(),                                        20_000,   Ok(())),
            ("in small letters",            good.to_ascii_lowercase(),                           20_000,   Ok(())),
            ("in capitals",                 good.to_ascii_uppercase(),                           20_000,   Ok(())),
            ("with another separator",      good.replacen("SRS0=", "SRS0+", 1),                  20_000,   Ok(())),
            ("on its last day",             good.clone(),                                        20_021,   Ok(())),
            ("a day later",                 good.clone(),                                        20_022,   Err(SrsRefusal::Expired)),
            ("by a clock behind",           good.clone(),                                        19_999,   Ok(())),
            ("from the future",             good.clone(),                                        19_998,   Err(SrsRefusal::Expired)),
            ("for another user",            swapped,                                             20_000,   Err(SrsRefusal::Forged)),
            ("another hash",                good.replacen(hash, "AAAA", 1),                      20_000,   Err(SrsRefusal::Forged)),
            ("a shorter hash",              good.replacen(hash, &hash[..3], 1),                  20_000,   Err(SrsRefusal::Forged)),
            ("no hash",                     good.replacen(hash, "", 1),                          20_000,   Err(SrsRefusal::Forged)),
            ("a longer hash",               good.replacen(hash, &format!("{hash}x"), 1),         20_000,   Ok(())),
            ("parts missing",               "SRS0=abcd=AA=x@fwd.example".to_owned(),             20_000,   Err(SrsRefusal::Malformed)),
            ("nothing",                     "SRS0=@fwd.example".to_owned(),                      20_000,   Err(SrsRefusal::Malformed)),
            ("SRS1",                        again.clone(),                                       20_000,   Ok(())),
            ("SRS1 years later",            again.clone(),                                       29_000,   Ok(())),
            ("SRS1 with another host",      again.replace("=other", "=elsewhere"),               20_000,   Err(SrsRefusal::Forged)),
            ("SRS1 without a user",         "SRS1=abcd=x.example@fwd.example".to_owned(),        20_000,   Err(SrsRefusal::Malformed)),
        ];
        for (shows, address, day, found) in cases {
            let led = srs.lead_back(&mailbox(address), at(*day)).map(|_| ());
            assert_eq!(led, *found, "{shows}: {address}");
        }
    }

    #[test]
    fn secrets_are_changed_without_a_gap() {
        let (old, new) = (srs(&["old"]), srs(&["new", "old"]));
        let sender = mailbox("ann@away.example");
        let before = old.rewrite(&sender, at(20_000)).unwrap();
        let after = new.rewrite(&sender, at(20_000)).unwrap();
        assert_ne!(before, after);
        assert_eq!(new.lead_back(&before, at(20_001)).as_ref(), Ok(&sender));
        assert_eq!(new.lead_back(&after, at(20_001)), Ok(sender));
        let forgotten = srs(&["new"]).lead_back(&before, at(20_001));
        assert_eq!(forgotten, Err(SrsRefusal::Forged));
    }

    #[test]
    fn what_would_be_too_long_stays() {
        let of_length = |length| Mailbox::new(&"a".repeat(length), "away.example".parse().unwrap()).unwrap();
        let rewritten = |length| srs(&["secret"]).rewrite(&of_length(length), at(20_000));
        let around = LOCAL_MAX - "SRS0=jNjT=RA=away.example=".len();
        assert_eq!(
            rewritten(around).map(|address| address.local().len()),
            Some(LOCAL_MAX)
        );
        assert_eq!(rewritten(around + 1), None);
    }

    #[test]
    fn what_looks_rewritten_is_read() {
        for local in [
            "SRS0=a", "srs1-a", "SRS0+", "SRS0", "SRS2=a", "SRS", "srs€=a", "ann",
        ] {
            assert_eq!(Tagged::of(local).is_some(), is_rewritten(local), "{local}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_comes_panics(local in "(SRS[01][=+-])?[A-Za-z0-9=+/.\\PC-]{0,40}", day in -3_000_i64..40_000) {
            if let Ok(mailbox) = Mailbox::new(&local, "fwd.example".parse().unwrap()) {
                let _ = srs(&["secret"]).lead_back(&mailbox, at(day));
                let _ = srs(&["secret"]).rewrite(&mailbox, at(day));
            }
        }
    }
}
