//! What budgets would have caught of what has happened: the same ledger, fed from the past.

use std::collections::BTreeMap;

use super::deed::Deed;
use super::ledger::{Holding, Ledger, Refused, Terms};
use super::rules::{Action, Bound, Budget, Counted, Per, Span, Who};
use super::verdict::Exceeded;
use super::{MarkedBy, Moment};

/// What one bound has caught of one account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Caught {
    /// The budget's name.
    pub budget: Box<str>,
    /// For whom is counted.
    pub per: Per,
    /// The account.
    pub key: Box<str>,
    /// The bound, as it was the first time.
    pub bound: Bound,
    /// When it was exceeded first, and last.
    pub first: Moment,
    /// See above.
    pub last: Moment,
    /// How often something went beyond it.
    pub times: u64,
    /// The most that there was in its time.
    pub highest: u64,
    /// Messages that would have been held: the one that puts the account on hold, and all that it sent afterwards.
    pub held: u64,
    /// Messages that would have been refused for now.
    pub refused: u64,
    /// Messages that would have waited.
    pub delayed: u64,
}

/// Under what something was caught.
type Place = (usize, Box<str>, Counted, Span, Action);

/// Budgets on trial.
#[derive(Debug)]
pub struct Trial<'b> {
    terms: Terms<'b>,
    ledger: Ledger,
    caught: BTreeMap<Place, Caught>,
    /// By which of them an account was put on hold.
    holds: BTreeMap<Box<str>, Place>,
    messages: u64,
}

impl<'b> Trial<'b> {
    /// Of these, for whom nothing has happened yet.
    #[must_use]
    pub fn new(terms: Terms<'b>) -> Self {
        let mut ledger = Ledger::default();
        ledger.keep(terms.budgets, false);
        Self {
            terms,
            ledger,
            caught: BTreeMap::new(),
            holds: BTreeMap::new(),
            messages: 0,
        }
    }

    /// Whether it matters who recipients are.
    #[must_use]
    pub fn knows_recipients(&self) -> bool {
        self.ledger.knows_recipients()
    }

    /// A message was taken.
    pub fn message(&mut self, who: &Who<'_>, deed: &Deed<'_>, now: Moment) {
        self.messages += 1;
        let judged = self.ledger.judge(self.terms.budgets, who, deed, now);
        for exceeded in &judged.exceeded {
            self.note(exceeded, now);
        }
        match self.ledger.spend(&self.terms, who, deed, now) {
            Ok(spent) => {
                match &spent.hold {
                    Some(Holding::Exceeded(exceeded)) => {
                        let place = self.place(exceeded);
                        self.holds.insert(exceeded.key.clone(), place.clone());
                        self.at(&place, |caught| caught.held += 1);
                    }
                    Some(Holding::OnHold(_)) => self.held_still(who),
                    None => {}
                }
                if let Some((exceeded, 1..)) = &spent.slowed {
                    let place = self.place(exceeded);
                    self.at(&place, |caught| caught.delayed += 1);
                }
            }
            Err(Refused::Exceeded(exceeded)) => {
                // One that would wait for too long is refused by what would have it wait.
                let written = judged.exceeded.iter().find(|one| {
                    one.bound.span == exceeded.bound.span
                        && one.bound.counted == exceeded.bound.counted
                        && one.budget == exceeded.budget
                });
                let place = self.place(written.unwrap_or(&exceeded));
                self.at(&place, |caught| caught.refused += 1);
            }
            Err(Refused::Full(_)) => self.held_still(who),
        }
    }

    /// Somebody has an account: he has logged in.
    pub fn begin(&mut self, who: &Who<'_>, now: Moment) {
        self.ledger.begin(who, now);
    }

    /// Something else has happened that counts, if there is an account for it.
    pub fn happened(&mut self, who: &Who<'_>, deed: &Deed<'_>, now: Moment) {
        let news = self.ledger.happened(who, deed, self.terms.budgets, now);
        for exceeded in &news {
            self.note(exceeded, now);
        }
    }

    /// Messages that were taken.
    #[must_use]
    pub const fn messages(&self) -> u64 {
        self.messages
    }

    /// What was caught, by budgets in their order, those accounts first that were caught first.
    #[must_use]
    pub fn caught(&self) -> Vec<&Caught> {
        let mut caught: Vec<(usize, &Caught)> = self
            .caught
            .iter()
            .map(|((budget, ..), caught)| (*budget, caught))
            .collect();
        caught.sort_by_key(|(budget, caught)| (*budget, caught.first));
        caught.into_iter().map(|(_, caught)| caught).collect()
    }

    fn place(&self, exceeded: &Exceeded) -> Place {
        let budgets = self.terms.budgets;
        let budget = budgets.iter().position(|budget| budget.name == exceeded.budget);
        let bound = &exceeded.bound;
        (
            budget.unwrap_or(usize::MAX),
            exceeded.key.clone(),
            bound.counted,
            bound.span,
            bound.action,
        )
    }

    fn note(&mut self, exceeded: &Exceeded, now: Moment) {
        let place = self.place(exceeded);
        let caught = self.caught.entry(place).or_insert_with(|| Caught {
            budget: exceeded.budget.clone(),
            per: exceeded.per,
            key: exceeded.key.clone(),
            bound: exceeded.bound,
            first: now,
            last: now,
            times: 0,
            highest: 0,
            held: 0,
            refused: 0,
            delayed: 0,
        });
        caught.times += 1;
        caught.last = now;
        caught.highest = caught.highest.max(exceeded.total);
    }

    fn held_still(&mut self, who: &Who<'_>) {
        let account = super::ledger::account_name(who);
        let by_budget = self
            .ledger
            .mark(&account)
            .is_some_and(|mark| matches!(mark.by, MarkedBy::Budget(_)));
        if by_budget && let Some(place) = self.holds.get(&account).cloned() {
            self.at(&place, |caught| caught.held += 1);
        }
    }

    fn at(&mut self, place: &Place, change: impl FnOnce(&mut Caught)) {
        if let Some(caught) = self.caught.get_mut(place) {
            change(caught);
        }
    }
}

/// Whether budgets ask for something of this kind.
#[must_use]
pub fn count(budgets: &[Budget], kinds: &[Counted]) -> bool {
    let mut bounds = budgets.iter().flat_map(|budget| &budget.bounds);
    bounds.any(|bound| kinds.contains(&bound.counted))
}

#[cfg(test)]
mod tests {
    use super::super::rules::Whom;
    use super::*;

    const START: u64 = 1_800_000_000;

    fn bound(action: Action) -> Bound {
        Bound {
            counted: Counted::SentRecipients,
            span: Span::Hour,
            most: 10,
            usual: None,
            action,
        }
    }

    #[test]
    fn what_would_have_been_caught() {
        #[rustfmt::skip]
        let cases = [
            // the action       times, highest, held, refused, delayed
            (Action::Warn,      (3, 16, 0, 0, 0)),
            (Action::Delay,     (3, 16, 0, 0, 2)),
            (Action::Refuse,    (3, 12, 0, 3, 0)),
            (Action::Hold,      (3, 16, 4, 0, 0)),
        ];
        for (action, (times, highest, held, refused, delayed)) in cases {
            let budgets = [Budget {
                name: "users".into(),
                per: Per::Login,
                whom: Whom::default(),
                bounds: vec![bound(action)],
            }];
            let mut trial = Trial::new(Terms::new(&budgets));
            let ann = Who {
                login: Some("ann"),
                peer: None,
                sender_domain: None,
            };
            let ben = Who {
                login: Some("ben"),
                ..ann
            };
            let message = |named| Deed {
                messages: 1,
                named,
                ..Deed::default()
            };
            for second in 0..8 {
                trial.message(&ann, &message(2), START + second);
            }
            trial.message(&ben, &message(10), START + 9);
            // Two hours later nothing counts any more, but who is on hold stays so.
            trial.message(&ann, &message(1), START + 7_300);
            let caught = trial.caught();
            assert_eq!(caught.len(), 1, "{action:?}: {caught:?}");
            let got = caught[0];
            assert_eq!((&*got.key, got.first, got.last), ("ann", START + 5, START + 7));
            assert_eq!(
                (got.times, got.highest, got.held, got.refused, got.delayed),
                (times, highest, held, refused, delayed),
                "{action:?}"
            );
            assert_eq!(trial.messages(), 10);
        }
    }

    #[test]
    fn what_is_no_message() {
        let budgets = [Budget {
            name: "users".into(),
            per: Per::Login,
            whom: Whom::default(),
            bounds: vec![Bound {
                counted: Counted::Bounces,
                most: 2,
                ..bound(Action::Warn)
            }],
        }];
        assert!(count(&budgets, &[Counted::Bounces]) && !count(&budgets, &[Counted::FailedLogins]));
        let mut trial = Trial::new(Terms::new(&budgets));
        let ann = Who {
            login: Some("ann"),
            peer: None,
            sender_domain: None,
        };
        let bounced = Deed {
            bounces: 1,
            ..Deed::default()
        };
        let nobody = Who {
            login: Some("nobody"),
            ..ann
        };
        trial.begin(&ann, START);
        for second in 0..5 {
            trial.happened(&ann, &bounced, START + second);
            trial.happened(&nobody, &bounced, START + second);
        }
        let caught = trial.caught();
        assert_eq!(
            (caught.len(), &*caught[0].key, caught[0].first, caught[0].highest),
            (1, "ann", START + 2, 3)
        );
    }
}
