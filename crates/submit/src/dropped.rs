//! The form in which a message waits in the drop folder: an envelope of lines, then the message. Such a file may be written by
//! any user of the machine, so nothing in it is trusted.
//!
//! ```text
//! POSTERN DROP 1
//! sender anna@x.example
//! recipient bea
//! notify NEVER
//! size 1234
//!
//! From: anna
//!
//! Hello!
//! ```
//!
//! A file is complete if exactly `size` octets follow the empty line.

use std::fmt::Write as _;

use postern_mail::Ret;

use crate::handover::{Handover, fits};
use crate::message::RECIPIENTS_MAX;

/// The first line.
const FIRST: &str = "POSTERN DROP 1";

/// Replaces the word `recipient` for one that is done. It has the same length, so that it can be written over it.
pub const DONE: &str = "delivered";

/// Most octets of the envelope in a file.
pub const ENVELOPE_MAX: usize = 8 << 20;

/// The envelope of a dropped message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Dropped {
    /// The envelope.
    pub handover: Handover,
    /// Size of the message in octets.
    pub size: u64,
    /// Where the message begins in the file.
    pub at: u64,
}

/// Why a file is not a dropped message.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DropError {
    /// Its first line is different.
    #[error("it does not begin as a dropped message does")]
    NotDropped,
    /// The envelope does not end.
    #[error("the envelope does not end within {} MiB", ENVELOPE_MAX >> 20)]
    Endless,
    /// An invalid line in the envelope.
    #[error("line {0} of the envelope makes no sense")]
    Line(usize),
    /// Something is missing.
    #[error("the envelope has no {0}")]
    Missing(&'static str),
    /// More recipients than a message can have.
    #[error("more than {RECIPIENTS_MAX} recipients")]
    TooManyRecipients,
    /// The file is shorter or longer than its message.
    #[error("the message should have {expected} octets and has {found}")]
    Size {
        /// The size in the envelope.
        expected: u64,
        /// The size found.
        found: u64,
    },
}

/// The envelope of a message of `size` octets, to be written before it.
#[must_use]
pub fn envelope(handover: &Handover, size: u64) -> String {
    let mut text = format!("{FIRST}\n");
    let mut line = |key: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{key} {value}");
    };
    if let Some(sender) = &handover.sender {
        line("sender", sender);
    }
    for recipient in &handover.recipients {
        line("recipient", recipient);
    }
    let notify = handover.notify.to_string();
    if !notify.is_empty() {
        line("notify", &notify);
    }
    match handover.ret {
        Some(Ret::Full) => line("ret", "full"),
        Some(Ret::Headers) => line("ret", "hdrs"),
        None => {}
    }
    if let Some(envid) = &handover.envid {
        line("envid", envid);
    }
    line("size", &size.to_string());
    text.push('\n');
    text
}

/// The offset of the word before this recipient, in the envelope at the beginning of a file; to be overwritten with [`DONE`].
#[must_use]
pub fn place_of(start: &[u8], recipient: &str) -> Option<u64> {
    let end = memchr::memmem::find(start, b"\n\n")?;
    let line = format!("\nrecipient {recipient}\n");
    memchr::memmem::find(&start[..=end], line.as_bytes()).map(|at| at as u64 + 1)
}

/// Reads the envelope at the beginning of a file of `len` octets, of which `start` is at least [`ENVELOPE_MAX`] octets, or all.
///
/// # Errors
///
/// [`DropError`].
pub fn parse(start: &[u8], len: u64) -> Result<Dropped, DropError> {
    let rest = start
        .strip_prefix(FIRST.as_bytes())
        .and_then(|rest| rest.strip_prefix(b"\n"))
        .ok_or(DropError::NotDropped)?;
    let within = &rest[..rest.len().min(ENVELOPE_MAX)];
    let end = memchr::memmem::find(within, b"\n\n").ok_or(DropError::Endless)?;
    let at = (FIRST.len() + 1 + end + 2) as u64;
    let mut handover = Handover::default();
    let (mut size, mut done) = (None, 0);
    for (number, line) in within[..end].split(|octet| *octet == b'\n').enumerate() {
        let bad = || DropError::Line(number + 2);
        let line = std::str::from_utf8(line).map_err(|_| bad())?;
        let (key, value) = line.split_once(' ').ok_or_else(bad)?;
        if !fits(value) {
            return Err(bad());
        }
        match key {
            "sender" if handover.sender.is_none() => handover.sender = Some(value.to_owned()),
            "recipient" | DONE if handover.recipients.len() + done == RECIPIENTS_MAX => {
                return Err(DropError::TooManyRecipients);
            }
            "recipient" if !value.is_empty() => handover.recipients.push(value.to_owned()),
            DONE => done += 1,
            "notify" => handover.notify = value.parse().map_err(|_| bad())?,
            "ret" if value == "full" => handover.ret = Some(Ret::Full),
            "ret" if value == "hdrs" => handover.ret = Some(Ret::Headers),
            "envid" => handover.envid = Some(value.to_owned()),
            "size" if size.is_none() => size = Some(value.parse().map_err(|_| bad())?),
            _ => return Err(bad()),
        }
    }
    if handover.recipients.is_empty() && done == 0 {
        return Err(DropError::Missing("recipient"));
    }
    let size: u64 = size.ok_or(DropError::Missing("size"))?;
    let found = len.saturating_sub(at);
    if found != size {
        return Err(DropError::Size {
            expected: size,
            found,
        });
    }
    Ok(Dropped { handover, size, at })
}

#[cfg(test)]
mod tests {
    use postern_mail::Notify;

    use super::*;
    use crate::handover::WORD_MAX;

    fn handover() -> Handover {
        Handover {
            sender: Some(String::new()),
            recipients: vec!["bea".into(), "carl d@x.example".into()],
            notify: Notify::Never,
            ret: Some(Ret::Full),
            envid: Some("id 1".into()),
        }
    }

    #[test]
    fn what_was_written_is_read() {
        for handover in [
            handover(),
            Handover {
                recipients: vec!["bea".into()],
                ..Handover::default()
            },
        ] {
            let file = format!("{}Hello!", envelope(&handover, 6));
            let dropped = parse(file.as_bytes(), file.len() as u64).unwrap();
            assert_eq!((dropped.handover, dropped.size), (handover, 6));
            assert_eq!(&file[usize::try_from(dropped.at).unwrap()..], "Hello!");
        }
    }

    #[test]
    fn who_has_it_is_crossed_out() {
        assert_eq!(DONE.len(), "recipient".len());
        let mut file = format!("{}Hello!", envelope(&handover(), 6)).into_bytes();
        for (recipient, left) in [
            ("bea", vec!["carl d@x.example".to_owned()]),
            ("carl d@x.example", vec![]),
        ] {
            let at = usize::try_from(place_of(&file, recipient).unwrap()).unwrap();
            file[at..at + DONE.len()].copy_from_slice(DONE.as_bytes());
            assert_eq!(place_of(&file, recipient), None);
            let dropped = parse(&file, file.len() as u64).unwrap();
            assert_eq!(dropped.handover.recipients, left);
        }
        let forged = [file.as_slice(), b"\nrecipient body\n\n"].concat();
        assert_eq!(place_of(&forged, "body"), None, "the message is not the envelope");
    }

    #[test]
    fn half_of_a_file_is_none() {
        let file = format!("{}Hello!", envelope(&handover(), 6));
        for len in 0..file.len() {
            assert!(parse(&file.as_bytes()[..len], len as u64).is_err(), "{len}");
        }
        let longer = format!("{file}\n");
        assert!(matches!(
            parse(longer.as_bytes(), longer.len() as u64),
            Err(DropError::Size { .. })
        ));
    }

    #[test]
    fn files_of_attackers() {
        #[rustfmt::skip]
        let cases = [
            ("root:x:0:0:root:/root:/bin/sh\n",                                        DropError::NotDropped),
            ("",                                                                       DropError::NotDropped),
            ("POSTERN DROP 1\nsize 0\n\n",                                             DropError::Missing("recipient")),
            ("POSTERN DROP 1\nrecipient a\n\n",                                        DropError::Missing("size")),
            ("POSTERN DROP 1\nrecipient a\nsize 1\nsize 0\n\n",                        DropError::Line(4)),
            ("POSTERN DROP 1\nsender a\nsender b\nrecipient c\nsize 0\n\n",            DropError::Line(3)),
            ("POSTERN DROP 1\nrecipient a> NOTIFY=NEVER\nsize 0\n\n",                  DropError::Line(2)),
            ("POSTERN DROP 1\nrecipient a\rb\nsize 0\n\n",                             DropError::Line(2)),
            ("POSTERN DROP 1\nrecipient \nsize 0\n\n",                                 DropError::Line(2)),
            ("POSTERN DROP 1\nuid 0\nrecipient a\nsize 0\n\n",                         DropError::Line(2)),
            ("POSTERN DROP 1\nrecipient a\nsize -1\n\n",                               DropError::Line(3)),
            ("POSTERN DROP 1\nrecipient a\nsize 18446744073709551615\n\n",             DropError::Size { expected: u64::MAX, found: 0 }),
            ("POSTERN DROP 1\nrecipient a\nsize 0\n",                                  DropError::Endless),
        ];
        for (file, expected) in cases {
            assert_eq!(
                parse(file.as_bytes(), file.len() as u64),
                Err(expected),
                "{file:?}"
            );
        }
        let long = format!(
            "POSTERN DROP 1\nrecipient {}\nsize 0\n\n",
            "a".repeat(WORD_MAX + 1)
        );
        assert_eq!(parse(long.as_bytes(), long.len() as u64), Err(DropError::Line(2)));
        let many = format!(
            "POSTERN DROP 1\n{}size 0\n\n",
            "recipient a\n".repeat(RECIPIENTS_MAX + 1)
        );
        assert_eq!(
            parse(many.as_bytes(), many.len() as u64),
            Err(DropError::TooManyRecipients)
        );
    }

    proptest::proptest! {
        #[test]
        fn nothing_is_too_strange(rest in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let file = [b"POSTERN DROP 1\n".as_slice(), &rest].concat();
            let _ = parse(&file, file.len() as u64);
            let _ = parse(&rest, rest.len() as u64);
        }
    }
}
