//! Whether a DNS list works properly, and when to tell an administrator.

use std::fmt;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use super::list::Answered;

/// Time between two reports about one list, so that one that comes and goes does not fill the log.
const TOLD_AGAIN: Duration = Duration::from_secs(3_600);

/// What is wrong with a list.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Trouble {
    /// There is no answer. It counts as not listed.
    #[error("{0}")]
    Unanswered(String),
    /// It does not answer this server.
    #[error(
        "it answers {0}, which means that it does not answer questions from here: most lists want a name server of your own \
         instead of a public one, some an account"
    )]
    Refused(Ipv4Addr),
    /// It is no longer a list.
    #[error(
        "it answers {0}, which no list does: the zone has been given up, or the name server makes up answers"
    )]
    Parked(Ipv4Addr),
}

impl Trouble {
    /// What is wrong with an answer, if anything.
    #[must_use]
    pub const fn of(answered: Answered) -> Option<Self> {
        match answered {
            Answered::NotListed | Answered::Listed(_) => None,
            Answered::Refused(answer) => Some(Self::Refused(answer)),
            Answered::Parked(answer) => Some(Self::Parked(answer)),
        }
    }

    const fn same_kind(&self, other: &Self) -> bool {
        matches!(
            (self, other),
            (Self::Unanswered(_), Self::Unanswered(_))
                | (Self::Refused(_), Self::Refused(_))
                | (Self::Parked(_), Self::Parked(_))
        )
    }
}

/// The state of one list.
#[derive(Debug, Default)]
pub struct ListHealth {
    trouble: Option<Trouble>,
    /// What an administrator was last told, and when.
    told: Option<(Option<Trouble>, Instant)>,
}

/// What to tell an administrator.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum News {
    /// Something is wrong.
    Fails(Trouble),
    /// It answers again.
    Answers,
}

impl fmt::Display for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fails(trouble) => trouble.fmt(f),
            Self::Answers => f.write_str("answers"),
        }
    }
}

impl ListHealth {
    /// Notes the result of a question. Trouble is reported when it begins, and when it ends; a list that comes and goes is
    /// reported once an hour.
    pub fn note(&mut self, trouble: Option<Trouble>, now: Instant) -> Option<News> {
        let changed = match (&trouble, &self.told) {
            (None, None | Some((None, _))) => false,
            (Some(new), Some((Some(old), _))) => !new.same_kind(old),
            _ => true,
        };
        self.trouble = trouble;
        if !changed {
            return None;
        }
        // A recovery soon after the trouble may be reported: somebody may be waiting for it.
        let is_fresh = self
            .told
            .as_ref()
            .is_some_and(|(what, at)| what.is_none() && now.saturating_duration_since(*at) < TOLD_AGAIN);
        if is_fresh && matches!(self.trouble, Some(Trouble::Unanswered(_))) {
            return None;
        }
        self.told = Some((self.trouble.clone(), now));
        Some(match &self.trouble {
            Some(trouble) => News::Fails(trouble.clone()),
            None => News::Answers,
        })
    }

    /// What is wrong with it now.
    #[must_use]
    pub const fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_told_once() {
        let start = Instant::now();
        let down = || Some(Trouble::Unanswered("no answer".to_owned()));
        let parked = || Some(Trouble::Parked(Ipv4Addr::new(192, 0, 2, 1)));
        let mut health = ListHealth::default();
        #[rustfmt::skip]
        let cases = [
            // what the case shows                    after   trouble    told
            ("all is well",                           0,      None,      None),
            ("it begins",                             1,      down(),    Some(true)),
            ("it goes on",                            2,      down(),    None),
            ("another kind of it",                    3,      parked(),  Some(true)),
            ("it ends",                               4,      None,      Some(false)),
            ("all is well again",                     5,      None,      None),
            ("it comes and goes",                     6,      down(),    None),
            ("as before",                             7,      None,      None),
            ("what has to be seen to is told",        8,      parked(),  Some(true)),
            ("the end of that",                       9,      None,      Some(false)),
            ("an hour later",                         3_700,  down(),    Some(true)),
        ];
        for (shows, after, trouble, told) in cases {
            let news = health.note(trouble.clone(), start + Duration::from_secs(after));
            assert_eq!(news.map(|news| matches!(news, News::Fails(_))), told, "{shows}");
            assert_eq!(health.trouble().is_some(), trouble.is_some(), "{shows}");
        }
    }
}
