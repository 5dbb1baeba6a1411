//! Which sender addresses a login may use, in the envelope and in the message.

use postern_mail::{Mailbox, ReversePath, Status, mailbox_list};
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
    /// The message names another author in `From`: rule `sender.own-header`, `550 5.7.1`.
    HeaderNotOwned,
}

impl SenderVerdict {
    /// The name of the rule that decided.
    #[must_use]
    pub fn rule(self) -> &'static str {
        match self {
            Self::Allowed => "sender.allowed",
            Self::NotOwned => "sender.own",
            Self::HeaderNotOwned => "sender.own-header",
        }
    }

    /// The reply of a refusal; `None` if allowed.
    #[must_use]
    pub fn reply(self) -> Option<(u16, Status, &'static str)> {
        match self {
            Self::Allowed => None,
            Self::NotOwned => Some((553, Status(5, 7, 1), "Sender address not owned by this login")),
            Self::HeaderNotOwned => Some((550, Status(5, 7, 1), "Address in From not owned by this login")),
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
    if login.owns(mailbox) {
        SenderVerdict::Allowed
    } else {
        SenderVerdict::NotOwned
    }
}

/// Decides whether `login` may send a message with these `From` fields, each given by its value.
///
/// All addresses have to be its own. More than one field, and one that cannot be read without doubt, is taken for somebody
/// else's: which of them is shown is the reader's choice. So is a message of which not all was read (`in_doubt`). No field at
/// all is allowed, since the server adds one.
pub fn header_from<'a>(
    rule: SenderRule,
    login: &LoginIdentity<'_>,
    mut fields: impl Iterator<Item = &'a str>,
    in_doubt: bool,
) -> SenderVerdict {
    if rule == SenderRule::Any {
        return SenderVerdict::Allowed;
    }
    let owned = match (fields.next(), fields.next()) {
        _ if in_doubt => false,
        (None, _) => true,
        (Some(value), None) => {
            mailbox_list(value).is_some_and(|list| list.iter().all(|mailbox| login.owns(mailbox)))
        }
        (Some(_), Some(_)) => false,
    };
    if owned {
        SenderVerdict::Allowed
    } else {
        SenderVerdict::HeaderNotOwned
    }
}

impl LoginIdentity<'_> {
    fn owns(&self, mailbox: &Mailbox) -> bool {
        let key = mailbox.key();
        let is_it = |address: &str| address.parse::<Mailbox>().is_ok_and(|owned| owned.key() == key);
        is_it(self.name) || self.addresses.iter().any(|address| is_it(address))
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

    #[test]
    fn authors() {
        let addresses = ["acaird@fccc.example".to_owned(), "caird@fccc.example".to_owned()];
        let login = LoginIdentity {
            name: "acaird",
            addresses: &addresses,
        };
        #[rustfmt::skip]
        let cases: [(&str, &[&str], bool); 7] = [
            ("an own address",           &["A <acaird@fccc.example>"],                      true),
            ("two own ones",             &["acaird@fccc.example, CAIRD@fccc.example"],      true),
            ("none, one is added",       &[],                                               true),
            ("somebody else's",          &["boss@fccc.example"],                            false),
            ("one of two",               &["acaird@fccc.example, boss@fccc.example"],       false),
            ("a second field",           &["acaird@fccc.example", "acaird@fccc.example"],   false),
            ("one that is no list",      &["<acaird@fccc.example> boss@fccc.example"],      false),
        ];
        for (shows, fields, allowed) in cases {
            let verdict = header_from(SenderRule::Own, &login, fields.iter().copied(), false);
            assert_eq!(verdict == Allowed, allowed, "{shows}");
            let any = header_from(SenderRule::Any, &login, fields.iter().copied(), false);
            assert_eq!(any, Allowed, "{shows}, where any is allowed");
        }
        assert_eq!(
            SenderVerdict::HeaderNotOwned.reply().map(|(code, ..)| code),
            Some(550)
        );
    }
}
