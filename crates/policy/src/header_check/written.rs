//! Verdicts as tables of Postfix's have them (header_checks(5)).

use postern_mail::Status;

use super::Verdict;
use crate::access::Words;
use crate::access::written::{mailbox, status};

/// A value that says nothing that can be done.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadVerdict {
    /// Nobody knows the word.
    #[error(
        "{0:?} is no verdict of header checks; write for example \"REJECT text\", \"IGNORE\" or \"REPLACE Name: value\""
    )]
    Unknown(String),
    /// What is behind the word makes no sense.
    #[error(
        "{0:?} does not say what it needs; write for example \"REDIRECT address\" or \"PREPEND Name: value\""
    )]
    Incomplete(String),
}

/// Reads a verdict.
///
/// # Errors
///
/// [`BadVerdict`].
pub fn postfix(text: &str) -> Result<Verdict, BadVerdict> {
    let text = text.trim();
    let (word, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
    let rest = rest.trim();
    let short = || text.chars().take(200).collect::<String>();
    let or = |text: &str, otherwise: &str| -> Box<str> {
        if text.is_empty() {
            otherwise.into()
        } else {
            text.into()
        }
    };
    let needed = || {
        if rest.is_empty() {
            Err(BadVerdict::Incomplete(short()))
        } else {
            Ok(rest.into())
        }
    };
    let to = || mailbox(rest).ok_or_else(|| BadVerdict::Incomplete(short()));
    Ok(match word.to_ascii_uppercase().as_str() {
        "DUNNO" | "OK" | "PASS" => Verdict::Keep,
        "WARN" => Verdict::Note(or(rest, "a table says WARN")),
        "INFO" => Verdict::Note(or(rest, "a table says INFO")),
        "FILTER" => Verdict::Note(format!("FILTER is not done by header checks: {rest}").into()),
        "IGNORE" => Verdict::Remove,
        // As IGNORE, and logged; removals always are.
        "STRIP" => Verdict::Remove,
        "REPLACE" => Verdict::Replace(needed()?),
        "PREPEND" => Verdict::Prepend(needed()?),
        "REJECT" => Verdict::Refuse(words(rest)),
        "DISCARD" => Verdict::Discard(or(rest, "a table says DISCARD")),
        "HOLD" => Verdict::Hold(or(rest, "a table says HOLD")),
        "REDIRECT" => Verdict::Redirect(to()?),
        "BCC" => Verdict::Copy(to()?),
        _ => return Err(BadVerdict::Unknown(short())),
    })
}

/// `5.7.1 text`, `4.7.1 text`, or a text alone.
fn words(text: &str) -> Words {
    let (usual_code, usual, usual_text) = Verdict::USUAL;
    let (first, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
    let (own, said) = match status(first) {
        Some(own) => (own, rest.trim()),
        None => (usual, text),
    };
    let code = if own.0 == 4 { 450 } else { usual_code };
    let clean: String = said
        .chars()
        .map(|c| if matches!(c, ' '..='~') { c } else { '?' })
        .take(400)
        .collect();
    let said = if clean.is_empty() { usual_text } else { &clean };
    Words::new(code, own, said).unwrap_or_else(|_| Words::fixed((usual_code, Status(5, 7, 1), usual_text)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn verdicts_of_postfix() {
        let refuse = |code, status: (u8, u16, u16), text: &str| {
            Verdict::Refuse(Words::new(code, Status(status.0, status.1, status.2), text).unwrap())
        };
        #[rustfmt::skip]
        let cases = [
            ("DUNNO",                        Verdict::Keep),
            ("pass",                         Verdict::Keep),
            ("IGNORE",                       Verdict::Remove),
            ("STRIP no trackers",            Verdict::Remove),
            ("REPLACE X-Client: hidden",     Verdict::Replace("X-Client: hidden".into())),
            ("PREPEND X-Bulk: yes",          Verdict::Prepend("X-Bulk: yes".into())),
            ("REJECT",                       refuse(550, (5, 7, 1), "message content rejected")),
            ("REJECT attachment of type exe", refuse(550, (5, 7, 1), "attachment of type exe")),
            ("REJECT 5.6.1 no",              refuse(550, (5, 6, 1), "no")),
            ("REJECT 4.7.1 later",           refuse(450, (4, 7, 1), "later")),
            ("DISCARD test mail",            Verdict::Discard("test mail".into())),
            ("HOLD",                         Verdict::Hold("a table says HOLD".into())),
            ("REDIRECT a@b.example",         Verdict::Redirect("a@b.example".parse().unwrap())),
            ("BCC <a@b.example>",            Verdict::Copy("a@b.example".parse().unwrap())),
            ("WARN look",                    Verdict::Note("look".into())),
            ("FILTER slow:",                 Verdict::Note("FILTER is not done by header checks: slow:".into())),
        ];
        for (text, verdict) in cases {
            assert_eq!(postfix(text), Ok(verdict), "{text}");
        }
        for bad in [
            "",
            "REPLACE",
            "PREPEND ",
            "REDIRECT nowhere at all",
            "550 no",
            "whatever",
        ] {
            assert!(postfix(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_read_can_be_said(text in "\\PC{0,120}") {
            if let Ok(Verdict::Refuse(words)) = postfix(&format!("REJECT {text}")) {
                prop_assert_eq!(Words::new(words.code, words.status, &words.text), Ok(words));
            }
        }
    }
}
