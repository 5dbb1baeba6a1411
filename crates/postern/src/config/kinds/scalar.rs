//! Single values: switches, numbers, times, sizes, texts, words.

use std::fmt::Debug;
use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use jiff::civil::Date;
use postern_policy::{breadth, units};
use toml::Spanned;
use toml::de::DeValue;

use super::{split, text};
use crate::config::distance::nearest;
use crate::config::read::{Kind, Place, Reader};

/// `true` or `false`.
pub(crate) struct Switch;

impl Kind for Switch {
    type Value = bool;

    fn describe(&self) -> String {
        "true or false".into()
    }

    fn read(&self, value: &Spanned<DeValue<'_>>, place: &Place, reader: &mut Reader<'_>) -> Option<bool> {
        match value.get_ref().as_bool() {
            Some(set) => Some(set),
            None => {
                reader.wrong_type(value, place, "true or false, without quotes");
                None
            }
        }
    }
}

/// A whole number within bounds.
pub(crate) struct Count(pub(crate) RangeInclusive<u64>);

impl Kind for Count {
    type Value = u64;

    fn describe(&self) -> String {
        format!("whole number, {} to {}", self.0.start(), self.0.end())
    }

    fn read(&self, value: &Spanned<DeValue<'_>>, place: &Place, reader: &mut Reader<'_>) -> Option<u64> {
        let Some(written) = value.get_ref().as_integer() else {
            reader.wrong_type(value, place, &self.describe());
            return None;
        };
        match u64::from_str_radix(written.as_str(), written.radix()) {
            Ok(number) if self.0.contains(&number) => Some(number),
            _ => {
                let (least, most) = (self.0.start(), self.0.end());
                let nearer = if written.as_str().starts_with('-') {
                    least
                } else {
                    most
                };
                let nearer = match u64::from_str_radix(written.as_str(), written.radix()) {
                    Ok(number) if number < *least => least,
                    _ => nearer,
                };
                reader.bad_value(
                    value.span(),
                    place,
                    format!("out of range: {least} to {most}"),
                    format!("the nearest that is allowed: `{} = {nearer}`", place.key),
                );
                None
            }
        }
    }
}

/// A number that may have a fraction, within bounds.
pub(crate) struct Number(pub(crate) RangeInclusive<f64>);

impl Kind for Number {
    type Value = f64;

    fn describe(&self) -> String {
        format!("number, {} to {}", self.0.start(), self.0.end())
    }

    fn read(&self, value: &Spanned<DeValue<'_>>, place: &Place, reader: &mut Reader<'_>) -> Option<f64> {
        let written = match value.get_ref() {
            DeValue::Float(float) => float.as_str().parse::<f64>().ok(),
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str().parse::<f64>().ok(),
            _ => None,
        };
        match written {
            Some(number) if self.0.contains(&number) => Some(number),
            Some(_) => {
                let (least, most) = (self.0.start(), self.0.end());
                reader.bad_value(
                    value.span(),
                    place,
                    format!("out of range: {least} to {most}"),
                    place.remedy(),
                );
                None
            }
            None => {
                reader.wrong_type(value, place, &self.describe());
                None
            }
        }
    }
}

/// A length of time such as `"2s"`, within bounds.
pub(crate) struct Time(pub(crate) &'static str, pub(crate) &'static str);

impl Kind for Time {
    type Value = Duration;

    fn describe(&self) -> String {
        format!("duration, {} to {}", self.0, self.1)
    }

    fn read(&self, value: &Spanned<DeValue<'_>>, place: &Place, reader: &mut Reader<'_>) -> Option<Duration> {
        text(
            value,
            place,
            reader,
            "a duration in quotes, such as \"30s\" or \"4h\"",
            |written| {
                let bound = |text| units::duration(text).unwrap_or_default();
                let (least, most) = (bound(self.0), bound(self.1));
                let read = units::duration(written).map_err(|error| split(&error, place))?;
                if (least..=most).contains(&read) {
                    return Ok(read);
                }
                let nearer = if read < least { self.0 } else { self.1 };
                Err((
                    format!("out of range: {} to {}", self.0, self.1),
                    format!("the nearest that is allowed: `{} = \"{nearer}\"`", place.key),
                ))
            },
        )
    }
}

/// A score within bounds, which may be negative but not zero.
pub(crate) struct Score;

impl Score {
    const MOST: i32 = 1_000;
}

impl Kind for Score {
    type Value = i32;

    fn describe(&self) -> String {
        format!("whole number, -{0} to {0}, not 0", Self::MOST)
    }

    fn read(&self, value: &Spanned<DeValue<'_>>, place: &Place, reader: &mut Reader<'_>) -> Option<i32> {
        let Some(written) = value.get_ref().as_integer() else {
            reader.wrong_type(value, place, &self.describe());
            return None;
        };
        match i32::from_str_radix(written.as_str(), written.radix()) {
            Ok(score) if score != 0 && (-Self::MOST..=Self::MOST).contains(&score) => Some(score),
            _ => {
                reader.bad_value(value.span(), place, "out of range", place.remedy());
                None
            }
        }
    }
}

/// A number of octets such as `"25 MiB"`, within bounds.
pub(crate) struct Size(pub(crate) &'static str, pub(crate) &'static str);

impl Kind for Size {
    type Value = u64;

    fn describe(&self) -> String {
        format!("size, {} to {}", self.0, self.1)
    }

    fn read(&self, value: &Spanned<DeValue<'_>>, place: &Place, reader: &mut Reader<'_>) -> Option<u64> {
        text(
            value,
            place,
            reader,
            "a size in quotes, such as \"25 MiB\"",
            |written| {
                let bound = |text| units::size(text).unwrap_or_default();
                let read = units::size(written).map_err(|error| split(&error, place))?;
                if (bound(self.0)..=bound(self.1)).contains(&read) {
                    return Ok(read);
                }
                let nearer = if read < bound(self.0) { self.0 } else { self.1 };
                Err((
                    format!("out of range: {} to {}", self.0, self.1),
                    format!("the nearest that is allowed: `{} = \"{nearer}\"`", place.key),
                ))
            },
        )
    }
}

/// A text on one line, up to a number of octets, not empty.
pub(crate) struct Line(pub(crate) usize);

impl Kind for Line {
    type Value = String;

    fn describe(&self) -> String {
        format!("text, up to {} octets", self.0)
    }

    fn read(&self, value: &Spanned<DeValue<'_>>, place: &Place, reader: &mut Reader<'_>) -> Option<String> {
        text(value, place, reader, "a text in quotes", |written| {
            let remedy = place.remedy();
            if written.is_empty() {
                Err(("empty".into(), format!("{remedy}, or leave the key out")))
            } else if written.len() > self.0 {
                Err((format!("longer than {} octets", self.0), remedy))
            } else if written.chars().any(char::is_control) {
                Err(("holds a control character".into(), remedy))
            } else {
                Ok(written.to_owned())
            }
        })
    }
}

/// The path of a file or folder; relative ones start at the folder of the configuration file.
pub(crate) struct FilePath;

impl Kind for FilePath {
    type Value = PathBuf;

    fn describe(&self) -> String {
        "path".into()
    }

    fn read(&self, value: &Spanned<DeValue<'_>>, place: &Place, reader: &mut Reader<'_>) -> Option<PathBuf> {
        let written = Line(4096).read(value, place, reader)?;
        Some(reader.resolve(&written, value.span()))
    }
}

/// File permissions, in octal digits.
pub(crate) struct FileMode;

impl Kind for FileMode {
    type Value = u64;

    fn describe(&self) -> String {
        "rights in octal digits".into()
    }

    fn sample(&self) -> String {
        "\"0660\"".into()
    }

    fn read(&self, value: &Spanned<DeValue<'_>>, place: &Place, reader: &mut Reader<'_>) -> Option<u64> {
        let what = "rights in octal digits in quotes, such as \"0660\"";
        text(value, place, reader, what, |written| {
            let digits =
                (3..=4).contains(&written.len()) && written.bytes().all(|octet| octet.is_ascii_digit());
            match u64::from_str_radix(written, 8) {
                Ok(mode) if digits && mode <= 0o777 => Ok(mode),
                _ => Err(("not three octal digits".to_owned(), place.remedy())),
            }
        })
    }
}

/// `address:port`.
pub(crate) struct Socket;

impl Kind for Socket {
    type Value = SocketAddr;

    fn describe(&self) -> String {
        "IP address with port".into()
    }

    fn read(
        &self,
        value: &Spanned<DeValue<'_>>,
        place: &Place,
        reader: &mut Reader<'_>,
    ) -> Option<SocketAddr> {
        text(
            value,
            place,
            reader,
            "an IP address with port in quotes",
            |written| {
                let canonical = |at: SocketAddr| SocketAddr::new(at.ip().to_canonical(), at.port());
                let plain = written.parse::<SocketAddr>().map(|at| match at {
                    // An interface (`%eth0`) is part of its address.
                    SocketAddr::V6(v6) if v6.scope_id() != 0 => at,
                    _ => canonical(at),
                });
                plain.map_err(|_| (
                "not an IP address with a port".to_owned(),
                "write it as \"192.0.2.1:25\" or \"[2001:db8::1]:25\"; \"0.0.0.0:25\" and \"[::]:25\" mean all addresses".to_owned(),
            ))
            },
        )
    }
}

/// A day, written without quotes.
pub(crate) struct Day;

impl Kind for Day {
    type Value = Date;

    fn describe(&self) -> String {
        "day without quotes".into()
    }

    fn read(&self, value: &Spanned<DeValue<'_>>, place: &Place, reader: &mut Reader<'_>) -> Option<Date> {
        let DeValue::Datetime(written) = value.get_ref() else {
            reader.wrong_type(value, place, "a day without quotes, such as 2027-03-31");
            return None;
        };
        let read = match (written.date, written.time) {
            (Some(day), None) => i16::try_from(day.year).ok().and_then(|year| {
                Date::new(year, i8::try_from(day.month).ok()?, i8::try_from(day.day).ok()?).ok()
            }),
            _ => None,
        };
        if read.is_none() {
            reader.bad_value(value.span(), place, "not a day alone", place.remedy());
        }
        read
    }
}

/// A network such as `192.0.2.0/24`, or one address.
pub(crate) struct Network;

impl Kind for Network {
    type Value = IpNet;

    fn describe(&self) -> String {
        "network".into()
    }

    fn sample(&self) -> String {
        "\"192.0.2.0/24\"".into()
    }

    fn read(&self, value: &Spanned<DeValue<'_>>, place: &Place, reader: &mut Reader<'_>) -> Option<IpNet> {
        text(value, place, reader, "a network in quotes", |written| {
            if let Ok(one) = written.parse::<IpAddr>() {
                return Ok(one.to_canonical().into());
            }
            let net: IpNet = written.parse().map_err(|_| {
                (
                    "not a network".to_owned(),
                    "write it as \"192.0.2.0/24\", \"2001:db8::/32\" or as one address".to_owned(),
                )
            })?;
            if net.trunc() == net {
                Ok(breadth::canonical(net))
            } else {
                Err((
                    format!("has bits set behind /{}", net.prefix_len()),
                    format!(
                        "write \"{}\" for the network, or \"{}\" for the one address",
                        net.trunc(),
                        net.addr()
                    ),
                ))
            }
        })
    }
}

/// A type with a fixed set of words.
pub(crate) trait Choice: Copy + Debug + PartialEq + 'static {
    /// The words and what they stand for, the default first.
    const WORDS: &'static [(&'static str, Self)];
}

/// One word out of a few.
pub(crate) struct OneOf<T>(PhantomData<T>);

impl<T: Choice> OneOf<T> {
    /// The kind for the words of `T`.
    pub(crate) const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T: Choice> Kind for OneOf<T> {
    type Value = T;

    fn describe(&self) -> String {
        let words: Vec<String> = T::WORDS.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        match words.as_slice() {
            [head @ .., last] if !head.is_empty() => format!("{} or {last}", head.join(", ")),
            _ => words.concat(),
        }
    }

    fn read(&self, value: &Spanned<DeValue<'_>>, place: &Place, reader: &mut Reader<'_>) -> Option<T> {
        text(value, place, reader, &self.describe(), |written| {
            let found = T::WORDS.iter().find(|(word, _)| *word == written);
            found.map(|(_, choice)| *choice).ok_or_else(|| {
                let remedy = match nearest(written, T::WORDS.iter().map(|(word, _)| *word)) {
                    Some(near) => format!("did you mean \"{near}\"?"),
                    None => format!("choose {}", self.describe()),
                };
                (format!("expected {}", self.describe()), remedy)
            })
        })
    }
}
