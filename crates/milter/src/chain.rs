//! Several filters in order: each sees what those before it let through, and the result is one decision.

use std::ops::Range;

use crate::conversation::{Event, Verdict};
use crate::negotiation::Agreement;

/// What happens to a message when a filter fails.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum OnFailure {
    /// It goes on as if the filter did not exist; none of its changes are made.
    Accept,
    /// It is deferred (451). The default: nothing passes unfiltered and nothing is lost.
    #[default]
    Tempfail,
    /// It is refused permanently (550).
    Reject,
    /// It is accepted and held.
    Hold,
}

/// The outcome for a message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// All filters let it through.
    Take,
    /// All filters let it through, or failed and had it held: the first of those.
    Hold(usize),
    /// A filter has decided. The verdict is neither "continue" nor "accept".
    Decided(usize, Verdict),
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum State {
    /// It is asked.
    Open,
    /// It lets the message through.
    Passed,
    /// It has failed, and the message is held.
    Held,
    /// It has decided on the message.
    Decided(Verdict),
    /// It lets the whole session through.
    Gone,
    /// It has ended the session.
    Ended(Verdict),
}

/// The filters of a session, in the order in which they are asked.
#[derive(Clone, Debug)]
pub struct Chain {
    states: Vec<State>,
}

impl Chain {
    /// A session with this many filters.
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self {
            states: vec![State::Open; count],
        }
    }

    /// A new message, or the old one given up: filters that were done with a message are asked again, including those that
    /// failed.
    pub fn restart(&mut self) {
        for state in &mut self.states {
            if !matches!(state, State::Gone | State::Ended(_)) {
                *state = State::Open;
            }
        }
    }

    /// The filters to tell the next step, in order. Those after one that has decided are not told.
    pub fn asked(&self) -> impl Iterator<Item = usize> {
        let decided = self
            .states
            .iter()
            .position(|state| matches!(state, State::Decided(_) | State::Ended(_)));
        let open = self.states.iter().take(decided.unwrap_or(usize::MAX)).enumerate();
        open.filter(|(_, state)| **state == State::Open)
            .map(|(filter, _)| filter)
    }

    /// Whether a filter is done with this message.
    ///
    /// # Panics
    ///
    /// If there is no such filter, as in all functions that take one.
    #[must_use]
    pub fn is_done(&self, filter: usize) -> bool {
        self.states[filter] != State::Open
    }

    /// Takes a filter's answer to a step. `Some` is what the client is told for this step instead of going on to the next
    /// filter: a refusal, the end of its connection, or [`Verdict::Discard`], for which it is told that the message was accepted.
    ///
    /// At `RCPT` a refusal is of that recipient, and for an unknown command of that command: the filter goes on. At connect it is
    /// of the session.
    pub fn answered(&mut self, filter: usize, event: Event, verdict: Verdict) -> Option<Verdict> {
        let state = &mut self.states[filter];
        match (event, &verdict) {
            (Event::End, Verdict::Continue) => *state = State::Passed,
            (_, Verdict::Continue) => {}
            (Event::Connect | Event::Helo, Verdict::Accept) => *state = State::Gone,
            (_, Verdict::Accept) => *state = State::Passed,
            (_, Verdict::ConnectionFailure | Verdict::Shutdown)
            | (Event::Connect, Verdict::Reject | Verdict::Tempfail | Verdict::Reply(_)) => {
                *state = State::Ended(verdict.clone());
                return Some(verdict);
            }
            (
                Event::Helo | Event::Rcpt | Event::RejectedRcpt | Event::Unknown,
                Verdict::Reject | Verdict::Tempfail | Verdict::Reply(_),
            ) => return Some(verdict),
            _ => {
                *state = State::Decided(verdict.clone());
                return Some(verdict);
            }
        }
        None
    }

    /// Takes a filter's failure at a step. `Some` is what the client is told.
    ///
    /// Outside of a message it has no effect: the filter is asked again at `MAIL`.
    pub fn failed(&mut self, filter: usize, event: Event, then: OnFailure) -> Option<Verdict> {
        if !event.in_message() {
            return None;
        }
        let verdict = match then {
            OnFailure::Accept => {
                self.states[filter] = State::Passed;
                return None;
            }
            OnFailure::Hold => {
                self.states[filter] = State::Held;
                return None;
            }
            OnFailure::Tempfail => Verdict::Tempfail,
            OnFailure::Reject => Verdict::Reject,
        };
        self.states[filter] = State::Decided(verdict.clone());
        Some(verdict)
    }

    /// What is already decided, before the next step is told to any filter: the answer of the first filter that has decided, if
    /// those before it let the message through. A client that goes on regardless is told the same again.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        let mut held = None;
        for (filter, state) in self.states.iter().enumerate() {
            match state {
                State::Open => return None,
                State::Passed | State::Gone => {}
                State::Held => held = held.or(Some(filter)),
                State::Decided(verdict) | State::Ended(verdict) => {
                    return Some(Outcome::Decided(filter, verdict.clone()));
                }
            }
        }
        Some(held.map_or(Outcome::Take, Outcome::Hold))
    }
}

/// Which filters can be sent the content at the same time: runs of neighbours, in order. `None` is a filter that is not asked,
/// which delays no others.
///
/// A filter that has agreed to change header or body is the last of its run, if one that sees the content comes later: that one
/// must wait for the changes of the other.
#[must_use]
pub fn runs(filters: &[Option<&Agreement>]) -> Vec<Range<usize>> {
    let mut runs = Vec::new();
    let (mut start, mut changed) = (0, false);
    for (place, filter) in filters.iter().enumerate() {
        let Some(agreement) = filter else { continue };
        if changed && agreement.sees_content() {
            runs.push(start..place);
            (start, changed) = (place, false);
        }
        changed |= agreement.changes_content();
    }
    if start < filters.len() {
        runs.push(start..filters.len());
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bits::{Actions, Steps};
    use crate::negotiation::{Offer, Options, agree};

    #[test]
    fn the_first_to_decide_decides() {
        let mut chain = Chain::new(3);
        let asked = |chain: &Chain| chain.asked().collect::<Vec<_>>();
        assert_eq!(asked(&chain), [0, 1, 2]);
        // The content goes to all three at once. The second answers first.
        assert_eq!(
            chain.answered(1, Event::Body, Verdict::Reject),
            Some(Verdict::Reject)
        );
        assert_eq!(chain.outcome(), None, "the first may decide otherwise");
        assert_eq!(asked(&chain), [0], "what the third thinks does not matter");
        assert_eq!(
            chain.answered(0, Event::End, Verdict::Discard),
            Some(Verdict::Discard)
        );
        assert_eq!(chain.outcome(), Some(Outcome::Decided(0, Verdict::Discard)));
        chain.restart();
        assert_eq!(asked(&chain), [0, 1, 2]);
    }

    #[test]
    fn answers() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows              at                  answer                      done     told the client
            ("go on",                           Event::Mail,        Verdict::Continue,          false,   false),
            ("seen enough",                     Event::Header,      Verdict::Accept,            true,    false),
            ("the end",                         Event::End,         Verdict::Continue,          true,    false),
            ("a recipient refused",             Event::Rcpt,        Verdict::Reject,            false,   true),
            ("a command refused",               Event::Unknown,     Verdict::Tempfail,          false,   true),
            ("a name refused",                  Event::Helo,        Verdict::Reject,            false,   true),
            ("a sender refused",                Event::Mail,        Verdict::Reject,            true,    true),
            ("thrown away, early",              Event::Rcpt,        Verdict::Discard,           true,    true),
            ("the session refused",             Event::Connect,     Verdict::Reject,            true,    true),
            ("the connection ended",            Event::Rcpt,        Verdict::Shutdown,          true,    true),
            ("the session is fine",             Event::Helo,        Verdict::Accept,            true,    false),
        ];
        for (shows, event, verdict, done, told) in cases {
            let mut chain = Chain::new(1);
            let answer = chain.answered(0, event, verdict.clone());
            assert_eq!(answer, told.then_some(verdict), "{shows}");
            assert_eq!(chain.is_done(0), done, "{shows}");
        }
    }

    #[test]
    fn sessions_end_messages_do_not() {
        let mut chain = Chain::new(3);
        chain.answered(0, Event::Helo, Verdict::Accept);
        chain.answered(1, Event::End, Verdict::Accept);
        chain.answered(2, Event::Mail, Verdict::Shutdown);
        chain.restart();
        assert!(chain.is_done(0), "done with the session");
        assert!(!chain.is_done(1), "done with a message");
        assert!(chain.is_done(2), "ended");
    }

    #[test]
    fn failures_are_of_one_message() {
        #[rustfmt::skip]
        let cases = [
            (OnFailure::Accept,     None,                       Some(Outcome::Take)),
            (OnFailure::Hold,       None,                       Some(Outcome::Hold(0))),
            (OnFailure::Tempfail,   Some(Verdict::Tempfail),    Some(Outcome::Decided(0, Verdict::Tempfail))),
            (OnFailure::Reject,     Some(Verdict::Reject),      Some(Outcome::Decided(0, Verdict::Reject))),
        ];
        for (then, told, outcome) in cases {
            for event in Event::ALL.into_iter().filter(|event| event.in_message()) {
                let mut chain = Chain::new(2);
                assert_eq!(chain.failed(0, event, then), told, "{then:?} at {event}");
                chain.answered(1, Event::End, Verdict::Continue);
                assert_eq!(chain.outcome(), outcome, "{then:?} at {event}");
                chain.restart();
                assert_eq!(chain.asked().count(), 2, "the next message sees it again");
            }
            for event in [Event::Connect, Event::Helo, Event::Unknown] {
                let mut chain = Chain::new(1);
                assert_eq!(chain.failed(0, event, then), None, "{then:?} at {event}");
                assert_eq!(chain.asked().count(), 1, "asked again at MAIL");
            }
        }
    }

    #[test]
    fn no_filters() {
        assert_eq!(Chain::new(0).outcome(), Some(Outcome::Take));
    }

    #[test]
    fn who_waits_for_whom() {
        let filter = |actions: Actions, steps: Steps| {
            let options = Options {
                version: 6,
                actions,
                steps,
                lists: Vec::new(),
            };
            agree(Offer::default(), &options, &[]).unwrap()
        };
        let signer = filter(Actions::ADD_HEADER, Steps::NONE);
        let scanner = filter(Actions::QUARANTINE, Steps::NONE);
        let greylist = filter(Actions::ADD_HEADER, Steps::NO_HEADER | Steps::NO_BODY);
        let (sign, scan, grey) = (Some(&signer), Some(&scanner), Some(&greylist));
        #[rustfmt::skip]
        let cases: [(&str, &[Option<&Agreement>], &str); 7] = [
            // what the case shows              the filters                 who goes together
            ("nobody",                          &[],                        ""),
            ("readers together",                &[scan, scan, scan],        "0..3"),
            ("behind one that changes",         &[sign, scan],              "0..1 1..2"),
            ("before one that changes",         &[scan, sign],              "0..2"),
            ("each changes",                    &[sign, sign, sign],        "0..1 1..2 2..3"),
            ("one that looks at nothing",       &[sign, grey, scan],        "0..2 2..3"),
            ("one that is not asked",           &[sign, None, scan, None],  "0..2 2..4"),
        ];
        for (shows, filters, expected) in cases {
            let runs = runs(filters);
            let runs: Vec<_> = runs.iter().map(|run| format!("{run:?}")).collect();
            assert_eq!(runs.join(" "), expected, "{shows}");
        }
    }
}
