//! Times as sendmail and Postfix write them.

/// A time, as in the new configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Time {
    /// Its text: `5d`.
    pub(crate) text: String,
    /// How long it is.
    pub(crate) seconds: u64,
}

impl Time {
    /// Reads `5d`, `300s`, `1h30m`, or a number in `unit`.
    pub(crate) fn read(value: &str, unit: &str) -> Option<Self> {
        let (mut text, mut seconds, mut parts) = (String::new(), 0_u64, 0);
        let mut rest = value.trim();
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, after) = rest.split_at(digits);
            let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
            let (own, next) = after.split_at(letters);
            let number: u32 = number.parse().ok()?;
            let own = if own.is_empty() { unit } else { own };
            let part = u64::from(number).checked_mul(length(own)?)?;
            seconds = seconds.checked_add(part)?;
            text = format!("{number}{own}");
            parts += 1;
            rest = next;
        }
        if parts == 0 {
            return None;
        }
        if seconds == 0 {
            "0".clone_into(&mut text);
        } else if parts > 1 || text.ends_with('w') {
            // In a single unit, as the new server expects.
            let units = [("d", 86_400), ("h", 3_600), ("m", 60)];
            let whole = units.into_iter().find(|(_, unit)| seconds.is_multiple_of(*unit));
            let (name, unit) = whole.unwrap_or(("s", 1));
            text = format!("{}{name}", seconds / unit);
        }
        Some(Self { text, seconds })
    }
}

/// The seconds of a unit.
fn length(unit: &str) -> Option<u64> {
    Some(match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        let table = [
            ("5d", "s", Some(("5d", 432_000))),
            ("300", "s", Some(("300s", 300))),
            ("6", "h", Some(("6h", 21_600))),
            ("0h", "h", Some(("0", 0))),
            ("2w", "s", Some(("14d", 1_209_600))),
            ("1h30m", "m", Some(("90m", 5_400))),
            ("1d12h", "m", Some(("36h", 129_600))),
            ("x", "s", None),
            ("", "s", None),
            ("5y", "s", None),
            ("99999999999", "s", None),
        ];
        for (value, unit, expected) in table {
            let expected = expected.map(|(text, seconds)| Time {
                text: text.to_owned(),
                seconds,
            });
            assert_eq!(Time::read(value, unit), expected, "{value}");
        }
    }
}
