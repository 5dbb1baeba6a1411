//! Members of JSON answers as providers write them: numbers as text, and `null` for a missing value.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

/// A count of seconds: a number, whole or not, or the same as text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Seconds(f64);

impl Seconds {
    /// The duration, if the number is positive, and `most` at most.
    pub(crate) fn up_to(self, most: Duration) -> Option<Duration> {
        (self.0 > 0.0).then(|| Duration::from_secs_f64(self.0.min(most.as_secs_f64())))
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(f64),
            Text(String),
        }
        Ok(Self(match Written::deserialize(deserializer)? {
            Written::Number(number) => number,
            // Text that is not a number counts as a missing member.
            Written::Text(text) => text.trim().parse().unwrap_or(0.0),
        }))
    }
}

/// A member that takes its default if it is `null`.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_as_providers_write_them() {
        const HOUR: Duration = Duration::from_secs(3_600);
        #[rustfmt::skip]
        let cases = [
            ("900",      Some(900.0),    "a whole number"),
            ("900.0",    Some(900.0),    "with a fraction"),
            ("\"900\"",  Some(900.0),    "as text"),
            ("\" 900 \"", Some(900.0),   "as text with blanks"),
            ("1e99",     Some(3_600.0),  "beyond belief"),
            ("\"inf\"",  Some(3_600.0),  "without an end"),
            ("\"nan\"",  None,           "not a number"),
            ("-5",       None,           "negative"),
            ("0",        None,           "none at all"),
            ("\"soon\"", None,           "no number"),
        ];
        for (written, want, shows) in cases {
            let got: Seconds = serde_json::from_str(written).unwrap();
            assert_eq!(got.up_to(HOUR), want.map(Duration::from_secs_f64), "{shows}");
        }
        assert!(serde_json::from_str::<Option<Seconds>>("null").unwrap().is_none());
    }
}
