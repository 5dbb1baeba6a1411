//! Which sender addresses a login may use.

use postern_mail::{Mailbox, ReversePath, Status};
use serde::Deserialize;

/// The rule for senders of a login.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SenderRule {
    /// Any address, as in the seed procedure.
    #[default]
    Any,
    /// Only addresses that the login owns.
    Own,
}

/// Who has logged in.
#[derive(Clone, Copy, Debug)]
pub struct LoginIdentity<'a> {
    /// The canonical login. Where it is an address itself, the login owns that address.
    pub name: &'a str,
    /// The addresses that the directory gives the login.
    pub addresses: &'a [String],
}

/// Whether a sender may be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SenderVerdict {
    /// It may.
    Allowed,
    /// It may not: rule `sender.own`, `553 5.7.1`.
    NotOwned,
}

impl SenderVerdict {
    /// The name of the rule that decided.
    #[must_use]
    pub fn rule(self) -> &'static str {
        match self {
            Self::Allowed => "sender.allowed",
            Self::NotOwned => "sender.own",
        }
    }

    /// The reply of a refusal; `None` if allowed.
    #[must_use]
    pub fn reply(self) -> Option<(u16, Status, &'static str)> {
        match self {
            Self::Allowed => None,
            Self::NotOwned => Some((553, Status(5, 7, 1), "Sender address not owned by this login")),
        }
    }
}

/// Decides whether `login` may send as `sender`.
///
/// `<>` is always allowed: a user's program answers with it to requests for receipts (RFC 8098 section 3).
#[must_use]
pub fn sender(rule: SenderRule, login: &LoginIdentity<'_>, sender: &ReversePath) -> SenderVerdict {
    let (SenderRule::Own, Some(mailbox)) = (rule, sender.mailbox()) else {
        return SenderVerdict::Allowed;
    };
    let key = mailbox.key();
    let owns = |address: &str| address.parse::<Mailbox>().is_ok_and(|owned| owned.key() == key);
    if owns(login.name) || login.addresses.iter().any(|address| owns(address)) {
        SenderVerdict::Allowed
    } else {
        SenderVerdict::NotOwned
    }
}

#[cfg(test)]
mod tests {
    use SenderVerdict::{Allowed, NotOwned};
    use postern_mail::ParseOptions;

    use super::*;

    #[test]
    fn senders() {
        let addresses = [
            "acaird@fccc.example".to_owned(),
            "\"A Caird\"@fccc.example".to_owned(),
            "no address".to_owned(),
        ];
        let by_uid = LoginIdentity {
            name: "acaird",
            addresses: &addresses,
        };
        let by_address = LoginIdentity {
            name: "acaird@fccc.example",
            addresses: &[],
        };
        #[rustfmt::skip]
        let cases = [
            // what the case shows              rule             login        sender                          verdict
            ("anything goes",                   SenderRule::Any, by_uid,      "<boss@other.example>",         Allowed),
            ("an own address",                  SenderRule::Own, by_uid,      "<acaird@fccc.example>",        Allowed),
            ("in another case",                 SenderRule::Own, by_uid,      "<ACaird@FCCC.example>",        Allowed),
            ("in needless quotes",              SenderRule::Own, by_uid,      "<\"acaird\"@fccc.example>",    Allowed),
            ("one that needs quotes",           SenderRule::Own, by_uid,      "<\"a caird\"@fccc.example>",   Allowed),
            ("the login is the address",        SenderRule::Own, by_address,  "<acaird@fccc.example>",        Allowed),
            ("reports and receipts",            SenderRule::Own, by_uid,      "<>",                           Allowed),
            ("somebody else's",                 SenderRule::Own, by_uid,      "<boss@fccc.example>",          NotOwned),
            ("the login in another domain",     SenderRule::Own, by_address,  "<acaird@other.example>",       NotOwned),
            ("an own address as a local part",  SenderRule::Own, by_uid,      "<\"acaird@fccc.example\"@x>",  NotOwned),
            ("a percent hack",                  SenderRule::Own, by_uid,      "<acaird%fccc.example@x>",      NotOwned),
        ];
        for (shows, rule, login, path, verdict) in cases {
            let path = ReversePath::parse(path, &ParseOptions::default()).unwrap();
            assert_eq!(sender(rule, &login, &path), verdict, "{shows}");
        }
        assert_eq!(NotOwned.reply().map(|(code, ..)| code), Some(553));
        assert_eq!((Allowed.reply(), NotOwned.rule()), (None, "sender.own"));
    }
}
