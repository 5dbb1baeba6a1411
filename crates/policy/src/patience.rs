//! How many errors a session may make before it is slowed down, and before it ends.
//!
//! Every `4xx` or `5xx` reply counts, whatever it is about and wherever it comes from.

use std::time::Duration;

/// The cost of one error.
const ERROR: u32 = 10;

/// The cost of a recipient beyond the limit of a transaction: a client that reads the replies only after sending all (RFC 2920)
/// cannot know the limit (RFC 5321 section 4.5.3.1.10).
const SURPLUS_RECIPIENT: u32 = 1;

/// Errors that are not delayed.
const FREE: u32 = 20;

/// Longest wait before the reply to an error.
const DELAY_MAX: Duration = Duration::from_secs(1);

/// The factor by which known clients may make more errors.
const KNOWN: u32 = 10;

/// Errors that one accepted message makes up for.
const AMENDS: u32 = 10;

/// Limits on errors.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PatienceSettings {
    /// Errors in one session of a stranger; the next one ends it with `421 4.7.0`. Known clients may make ten times as many, and
    /// an accepted message makes up for ten. Default 100.
    pub errors: u32,
    /// From the 21st error of a stranger, each reply is delayed this much longer than the one before, up to a second; for known
    /// clients from the 201st. Default 10 ms.
    pub delay: Duration,
}

/// The errors of one session.
#[derive(Clone, Copy, Debug, Default)]
pub struct Patience {
    spent: u32,
}

/// What to do with a reply.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Send it.
    Send,
    /// Send it after this wait.
    Wait(Duration),
    /// Send `421 4.7.0` in its place, and close.
    End,
}

impl Default for PatienceSettings {
    fn default() -> Self {
        Self {
            errors: 100,
            delay: Duration::from_millis(10),
        }
    }
}

impl Patience {
    /// Counts a reply with this code. `surplus` says that it is about a recipient beyond the limit of a transaction, `known` that
    /// the client has authenticated or may relay as a host.
    pub fn reply(&mut self, code: u16, surplus: bool, known: bool, settings: &PatienceSettings) -> Verdict {
        if code < 400 {
            return Verdict::Send;
        }
        let cost = if surplus { SURPLUS_RECIPIENT } else { ERROR };
        self.spent = self.spent.saturating_add(cost);
        let times = if known { KNOWN } else { 1 };
        if self.spent > settings.errors.saturating_mul(times * ERROR) {
            return Verdict::End;
        }
        let beyond = (self.spent / ERROR).saturating_sub(FREE * times);
        match settings.delay.saturating_mul(beyond).min(DELAY_MAX) {
            Duration::ZERO => Verdict::Send,
            delay => Verdict::Wait(delay),
        }
    }

    /// A message was accepted.
    pub fn amends(&mut self) {
        self.spent = self.spent.saturating_sub(AMENDS * ERROR);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: PatienceSettings = PatienceSettings {
        errors: 30,
        delay: Duration::from_millis(100),
    };

    /// The verdict after this many equal replies.
    fn after(count: u32, code: u16, surplus: bool, known: bool) -> Verdict {
        let mut patience = Patience::default();
        for _ in 1..count {
            patience.reply(code, surplus, known, &SETTINGS);
        }
        patience.reply(code, surplus, known, &SETTINGS)
    }

    #[test]
    fn replies() {
        let wait = |millis| Verdict::Wait(Duration::from_millis(millis));
        #[rustfmt::skip]
        let cases = [
            // what the case shows              count   code  surplus  known  verdict
            ("success costs nothing",           10_000, 250,  false,   false, Verdict::Send),
            ("nor does a challenge",            10_000, 334,  false,   false, Verdict::Send),
            ("the first errors",                20,     550,  false,   false, Verdict::Send),
            ("then they take time",             21,     550,  false,   false, wait(100)),
            ("more and more",                   25,     450,  false,   false, wait(500)),
            ("up to a second",                  30,     550,  false,   false, wait(1_000)),
            ("then it is over",                 31,     550,  false,   false, Verdict::End),
            ("for failures of ours as well",    31,     451,  false,   false, Verdict::End),
            ("there is more for a login",       300,    550,  false,   true,  wait(1_000)),
            ("and not without end",             301,    550,  false,   true,  Verdict::End),
            ("recipients over the limit",       209,    452,  true,    false, Verdict::Send),
            ("they do have an end",             301,    452,  true,    false, Verdict::End),
        ];
        for (shows, count, code, surplus, known, expected) in cases {
            assert_eq!(after(count, code, surplus, known), expected, "{shows}");
        }
    }

    #[test]
    fn a_message_makes_up_for_some() {
        let mut patience = Patience::default();
        for _ in 0..30 {
            patience.reply(550, false, false, &SETTINGS);
        }
        patience.amends();
        for _ in 0..10 {
            assert_ne!(patience.reply(550, false, false, &SETTINGS), Verdict::End);
        }
        assert_eq!(patience.reply(550, false, false, &SETTINGS), Verdict::End);
        let mut patience = Patience::default();
        patience.amends();
        assert_eq!(patience.spent, 0, "nothing is saved up");
    }
}
