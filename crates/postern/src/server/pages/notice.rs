//! What is said of an act on the page that follows it. The address says which act it was and how much it was about, never the words:
//! a link of somebody else's can make the page say nothing else.

use postern_web::{Notice, Tone};

/// The words for `done` and `changed` of an address.
pub(super) fn of(done: &str, changed: &str) -> Option<Notice> {
    let many = changed.parse::<u64>().ok();
    let messages = || match many {
        Some(1) => "1 message".to_owned(),
        Some(many) => format!("{many} messages"),
        None => "Messages".to_owned(),
    };
    let text = match done {
        "hold" => format!("{} held.", messages()),
        "release" => format!("{} released.", messages()),
        "retry" => format!("{} will be tried again now.", messages()),
        "remove" => format!("{} removed.", messages()),
        "none" => "Nothing was chosen.".to_owned(),
        "sessions" => format!("Sessions ended: {}.", many.unwrap_or_default()),
        "account-hold" => format!("The account is on hold, and {} of it with it.", messages()),
        "account-release" => format!("The account is released; {} of it went on.", messages()),
        "account-remove" => format!("The account is released; {} of it removed.", messages()),
        "unlock" => format!("Lockouts lifted: {}.", many.unwrap_or_default()),
        "reload" => "The configuration was read again and is in force.".to_owned(),
        "disable" => "The user can no longer log in.".to_owned(),
        "enable" => "The user can log in again.".to_owned(),
        "revoke" => "The app password is revoked.".to_owned(),
        "token-revoke" => "The token is revoked.".to_owned(),
        "factor-remove" => "The second factor is removed.".to_owned(),
        "checked" => "All directories were asked.".to_owned(),
        _ => return None,
    };
    let tone = if done == "none" { Tone::Warn } else { Tone::Good };
    Some(Notice { tone, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_chooses_words_and_brings_none() {
        assert_eq!(of("hold", "3").unwrap().text, "3 messages held.");
        assert_eq!(of("remove", "1").unwrap().text, "1 message removed.");
        assert_eq!(
            of("hold", "your password has expired").unwrap().text,
            "Messages held."
        );
        assert!(of("log in at evil.example", "1").is_none());
        assert_eq!(of("none", "").unwrap().tone, Tone::Warn);
    }
}
