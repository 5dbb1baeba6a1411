//! How long a webhook waits after its receiver has not taken a batch.

use std::time::Duration;

/// The first wait.
const FIRST: Duration = Duration::from_secs(1);

/// The longest one that we choose.
const LONGEST: Duration = Duration::from_secs(300);

/// The longest one that a receiver may ask for.
const ASKED_LONGEST: Duration = Duration::from_secs(3_600);

/// The wait after so many failures in a row: twice as long each time. `chance` is in 0..=1 and makes it up to a fifth longer, so that many
/// senders do not come back at once. A receiver that asks for more time gets it, up to an hour.
pub(crate) fn wait(failures: u32, chance: f64, asked: Option<Duration>) -> Duration {
    let doubled = FIRST
        .saturating_mul(1 << failures.saturating_sub(1).min(16))
        .min(LONGEST);
    let ours = doubled.mul_f64(1.0 + chance.clamp(0.0, 1.0) / 5.0);
    ours.max(asked.unwrap_or_default().min(ASKED_LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits() {
        let s = Duration::from_secs;
        #[rustfmt::skip]
        let cases = [
            // what the case shows       failures   chance  asked            wait
            ("the first",                1,         0.0,    None,            s(1)),
            ("the second",               2,         0.0,    None,            s(2)),
            ("the ninth",                9,         0.0,    None,            s(256)),
            ("no longer",                10,        0.0,    None,            s(300)),
            ("however often",            u32::MAX,  0.0,    None,            s(300)),
            ("a fifth by chance",        10,        1.0,    None,            s(360)),
            ("as the receiver asks",     1,         0.0,    Some(s(90)),     s(90)),
            ("not sooner for it",        10,        0.0,    Some(s(1)),      s(300)),
            ("not as long as it likes",  1,         0.0,    Some(s(99_999)), s(3_600)),
        ];
        for (shows, failures, chance, asked, expected) in cases {
            assert_eq!(wait(failures, chance, asked), expected, "{shows}");
        }
    }
}
