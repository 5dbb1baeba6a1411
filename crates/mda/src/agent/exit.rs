//! What a program's exit status says about the message.
//!
//! Only codes of `sysexits.h` about the recipient or the message are permanent; all others may be a fault of the program, and a
//! broken script should delay mail, not return it.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use crate::trouble::{Kind, Trouble};

/// Success, or what keeps the message from being delivered. `said` is the beginning of the program's output.
///
/// # Errors
///
/// The failure that the status means.
pub fn judge(name: &str, status: ExitStatus, said: &str) -> Result<(), Trouble> {
    let (kind, what) = match (status.code(), status.signal()) {
        (Some(0), _) => return Ok(()),
        (Some(code), _) => (
            kind_of(code),
            format!("ended with exit code {code}{}", meaning(code)),
        ),
        (None, Some(signal)) => (Kind::Agent, format!("was ended by signal {signal}")),
        (None, None) => (Kind::Agent, "ended in an unknown way".to_owned()),
    };
    let said = if said.is_empty() {
        String::new()
    } else {
        format!(": {said}")
    };
    Err(Trouble::new(kind, format_args!("{name} {what}{said}")))
}

fn kind_of(code: i32) -> Kind {
    match code {
        // EX_NOUSER, EX_NOHOST
        67 | 68 => Kind::NoUser,
        // EX_DATAERR, EX_UNAVAILABLE, EX_PROTOCOL, EX_NOPERM
        65 | 69 | 76 | 77 => Kind::Refused,
        _ => Kind::Agent,
    }
}

fn meaning(code: i32) -> &'static str {
    match code {
        65 => " (data error)",
        67 => " (no such user)",
        68 => " (no such host)",
        69 => " (unavailable)",
        73 => " (cannot create a file)",
        75 => " (try again)",
        77 => " (not permitted)",
        78 => " (its configuration is wrong)",
        126 => " (the program may not be run)",
        127 => " (there is no such program)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_what_follows() {
        let permanent: Vec<i32> = (1..=255)
            .filter(|code| {
                let ended = judge("p", ExitStatus::from_raw(code << 8), "");
                ended.unwrap_err().kind.is_permanent()
            })
            .collect();
        assert_eq!(permanent, [65, 67, 68, 69, 76, 77]);
        assert_eq!(judge("p", ExitStatus::from_raw(0), "hello"), Ok(()));
        let killed = judge("p", ExitStatus::from_raw(11), "").unwrap_err();
        assert_eq!(
            (killed.kind, killed.text.as_str()),
            (Kind::Agent, "p was ended by signal 11")
        );
    }
}
