//! Mail of test accounts: accepted like any other, and never delivered.

use std::fmt;
use std::time::Duration;

use postern_mail::Status;

use crate::origin::LoginSet;
use crate::rule::{Rule, Told, Verdict};

/// Whose mail is kept, and how much of it.
#[derive(Clone, Debug)]
pub struct SandboxRules {
    /// The logins, and the users of this machine, whose mail is kept. Default nobody.
    pub logins: LoginSet,
    /// How long it is kept. Default 7 days.
    pub keep: Duration,
    /// Most messages that are kept; 0 for no limit. Default 10,000.
    pub messages: u64,
    /// Most octets of them; 0 for no limit. Default 1 GiB.
    pub octets: u64,
}

impl Default for SandboxRules {
    fn default() -> Self {
        Self {
            logins: LoginSet::default(),
            keep: Duration::from_secs(7 * 86_400),
            messages: 10_000,
            octets: 1 << 30,
        }
    }
}

/// What is in the sandbox.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Kept {
    /// Messages.
    pub messages: u64,
    /// Their octets.
    pub octets: u64,
}

/// Why a message goes into the sandbox.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sandboxed<'a> {
    /// Its login, or the user of this machine who hands it in, is in the list.
    Login(&'a str),
    /// It came to a listener with `sandbox = true`.
    Listener(&'a str),
}

impl SandboxRules {
    /// Why a message is kept, if it is: by one of the names under which its client is known, or by its listener, which is given where it is
    /// one of the sandbox.
    #[must_use]
    pub fn judge<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
        listener: Option<&'a str>,
    ) -> Option<Sandboxed<'a>> {
        let listed = |name: &&str| !self.logins.is_empty() && self.logins.find(Some(name)).is_some();
        let login = names.into_iter().find(listed).map(Sandboxed::Login);
        login.or_else(|| listener.map(Sandboxed::Listener))
    }

    /// Whether there is room for one more message of this size.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn admit(&self, size: u64, kept: Kept) -> Result<(), SandboxFull> {
        let is_over = |number: u64, most: u64| most > 0 && number > most;
        if is_over(kept.messages.saturating_add(1), self.messages) {
            return Err(SandboxFull::Messages(self.messages));
        }
        if is_over(kept.octets.saturating_add(size), self.octets) {
            return Err(SandboxFull::Octets(self.octets));
        }
        Ok(())
    }
}

impl fmt::Display for Sandboxed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Login(login) => write!(f, "mail of {login} is never delivered"),
            Self::Listener(name) => write!(f, "mail that comes to the listener {name} is never delivered"),
        }
    }
}

impl Verdict for Sandboxed<'_> {
    fn rule(&self) -> Rule {
        Rule::SandboxKept
    }

    fn reason(&self) -> &dyn fmt::Display {
        self
    }

    fn reply(&self) -> Option<Told> {
        None
    }
}

/// The sandbox is full.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SandboxFull {
    /// It has as many messages as it may.
    #[error("{0} messages are in the sandbox, the most that `messages` allows")]
    Messages(u64),
    /// With this one it would have more octets than it may.
    #[error("more than {0} octets would be in the sandbox, the most that `size` allows")]
    Octets(u64),
}

impl Verdict for SandboxFull {
    fn rule(&self) -> Rule {
        Rule::SandboxFull
    }

    fn reason(&self) -> &dyn fmt::Display {
        self
    }

    fn reply(&self) -> Option<Told> {
        Some((
            452,
            Status(4, 3, 1),
            "The sandbox for test mail is full, try again later",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_mail_is_kept() {
        let rules = SandboxRules {
            logins: LoginSet::new(["Tester", "@dev.example"]).unwrap(),
            ..SandboxRules::default()
        };
        let nobody = SandboxRules::default();
        #[rustfmt::skip]
        let cases = [
            // what the case shows             rules     names                       listener     why
            ("a login, in any case",           &rules,  &["tESTER"][..],             None,        Some(Sandboxed::Login("tESTER"))),
            ("all of a domain",                &rules,  &["ann@Dev.Example"],        None,        Some(Sandboxed::Login("ann@Dev.Example"))),
            ("whoever it acts as",             &rules,  &["tester", "boss"],         None,        Some(Sandboxed::Login("tester"))),
            ("or who acts as it",              &rules,  &["boss", "tester"],         None,        Some(Sandboxed::Login("tester"))),
            ("another login",                  &rules,  &["boss"],                   None,        None),
            ("a name that only begins so",     &rules,  &["tester2"],                None,        None),
            ("nobody has logged in",           &rules,  &[],                         None,        None),
            ("the listener, whoever it is",    &rules,  &["boss"],                   Some("dev"), Some(Sandboxed::Listener("dev"))),
            ("a stranger at the listener",     &rules,  &[],                         Some("dev"), Some(Sandboxed::Listener("dev"))),
            ("an empty list has nobody",       &nobody, &["boss"],                   None,        None),
        ];
        for (shows, rules, names, listener, why) in cases {
            assert_eq!(rules.judge(names.iter().copied(), listener), why, "{shows}");
        }
    }

    #[test]
    fn how_much_is_kept() {
        let rules = SandboxRules {
            messages: 2,
            octets: 1_000,
            ..SandboxRules::default()
        };
        let endless = SandboxRules {
            messages: 0,
            octets: 0,
            ..SandboxRules::default()
        };
        #[rustfmt::skip]
        let cases = [
            // what the case shows        rules      size      messages  octets    verdict
            ("an empty one",              &rules,    1_000,    0,        0,        Ok(())),
            ("the last place",            &rules,    10,       1,        990,      Ok(())),
            ("no place",                  &rules,    0,        2,        0,        Err(SandboxFull::Messages(2))),
            ("too large",                 &rules,    11,       1,        990,      Err(SandboxFull::Octets(1_000))),
            ("without end",               &endless,  u64::MAX, u64::MAX, u64::MAX, Ok(())),
        ];
        for (shows, rules, size, messages, octets, verdict) in cases {
            assert_eq!(rules.admit(size, Kept { messages, octets }), verdict, "{shows}");
        }
    }
}
