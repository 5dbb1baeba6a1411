//! Enhanced status codes (RFC 3463).

use std::fmt;
use std::str::FromStr;

/// An enhanced status code: class, subject, detail (RFC 3463 section 2).
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash)]
pub struct Status(pub u8, pub u16, pub u16);

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// A text that is not an enhanced status code.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not an enhanced status code such as 5.1.1")]
pub struct BadStatus;

/// Reads `5.1.1`: class 2, 4 or 5; subject and detail of one to three digits without leading zeros.
impl FromStr for Status {
    type Err = BadStatus;

    fn from_str(text: &str) -> Result<Self, BadStatus> {
        let mut parts = text.split('.');
        let class = match parts.next() {
            Some("2") => 2,
            Some("4") => 4,
            Some("5") => 5,
            _ => return Err(BadStatus),
        };
        let (Some(subject), Some(detail), None) = (parts.next(), parts.next(), parts.next()) else {
            return Err(BadStatus);
        };
        Ok(Self(class, number(subject)?, number(detail)?))
    }
}

fn number(text: &str) -> Result<u16, BadStatus> {
    let digits = (1..=3).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_digit());
    if !digits || (text.len() > 1 && text.starts_with('0')) {
        return Err(BadStatus);
    }
    text.parse().map_err(|_| BadStatus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_strictly() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows      text         code
            ("success",                 "2.0.0",     Ok(Status(2, 0, 0))),
            ("three digits",            "5.999.110", Ok(Status(5, 999, 110))),
            ("class 3 does not exist",  "3.0.0",     Err(BadStatus)),
            ("a part too few",          "5.1",       Err(BadStatus)),
            ("a part too many",         "5.1.1.1",   Err(BadStatus)),
            ("four digits",             "5.1000.1",  Err(BadStatus)),
            ("leading zero",            "5.01.1",    Err(BadStatus)),
            ("a sign",                  "5.+1.1",    Err(BadStatus)),
            ("an empty part",           "5..1",      Err(BadStatus)),
            ("a blank",                 "5.1.1 ",    Err(BadStatus)),
            ("nothing",                 "",          Err(BadStatus)),
        ];
        for (shows, text, code) in cases {
            assert_eq!(text.parse(), code, "{shows}");
            if let Ok(code) = code {
                assert_eq!(code.to_string(), text, "{shows}");
            }
        }
    }
}
