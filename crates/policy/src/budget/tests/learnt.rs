//! What is more than usual.

use super::super::rules::Multiple;
use super::*;

#[test]
fn more_than_is_usual() {
    let usual = |action| Bound {
        usual: Some(Multiple {
            times: 5,
            at_least: 20,
            days: 7,
        }),
        ..bound(Counted::SentRecipients, Span::Day, 0, action)
    };
    for (action, want) in [
        (Action::Warn, "warned"),
        (Action::Delay, "slowed"),
        (Action::Refuse, "refused"),
        (Action::Hold, "held"),
    ] {
        let budgets = [budget(Per::Login, &[usual(action)])];
        let mut ledger = ledger(&budgets);
        let mut send = |recipients, day: u64, second| {
            let now = START + day * 86_400 + second;
            spend(&mut ledger, &budgets, &ann(), &message(recipients), now)
        };
        for day in 0..10 {
            assert_eq!(send(10, day, 0), "taken", "nothing unusual");
        }
        assert_eq!(send(40, 12, 0), "taken", "fifty are allowed");
        assert_eq!(send(10, 12, 1), "taken");
        let mut got = send(1, 12, 2);
        if action == Action::Delay {
            // The first one begins the line.
            got = send(1, 12, 3);
        }
        assert_eq!(got, want);
        let exceeded = ledger.judge(&budgets, &ann(), &message(1), START + 12 * 86_400 + 4);
        if let Some(first) = exceeded.exceeded.first() {
            let text = first.to_string();
            assert!(text.ends_with("50 allowed, 10 usual"), "{text}");
        }
    }
    // Who has not been there for long is not stopped.
    let budgets = [budget(Per::Login, &[usual(Action::Hold)])];
    let mut new = ledger(&budgets);
    for day in 0..4 {
        let now = START + day * 86_400;
        let got = spend(&mut new, &budgets, &ann(), &message(1_000), now);
        assert_eq!(got, "taken");
    }
}

#[test]
fn what_is_usual_outlives_a_holiday_and_a_restart() {
    let rule = Multiple {
        times: 5,
        at_least: 1,
        days: 7,
    };
    let bound = Bound {
        usual: Some(rule),
        ..bound(Counted::SentRecipients, Span::Day, 0, Action::Warn)
    };
    let budgets = [budget(Per::Login, &[bound])];
    let mut before = ledger(&budgets);
    for day in 0..10 {
        spend(&mut before, &budgets, &ann(), &message(10), START + day * 86_400);
    }
    let later = START + 40 * 86_400;
    // Somebody else is there, so that time goes on.
    let ben = Who {
        login: Some("ben"),
        ..ann()
    };
    spend(&mut before, &budgets, &ben, &message(1), later);
    let changed = before.take_changed();
    let kept: Vec<_> = changed
        .into_iter()
        .filter_map(|(per, key, account)| {
            let text = serde_json::to_string(&account?.kept(later)).unwrap();
            Some((per, key, Account::restored(serde_json::from_str(&text).unwrap())))
        })
        .collect();
    let mut after = ledger(&budgets);
    after.restore((1, later), kept, Vec::new());
    for ledger in [&before, &after] {
        let ann = ledger.account_of(Per::Login, "ann").unwrap();
        assert_eq!(ann.most(&bound, later), Some(50));
    }
}

#[test]
fn what_is_held_is_not_learnt() {
    let rule = Multiple {
        times: 2,
        at_least: 1,
        days: 3,
    };
    let usual = Bound {
        usual: Some(rule),
        ..bound(Counted::SentRecipients, Span::Day, 0, Action::Hold)
    };
    let budgets = [budget(Per::Login, &[usual])];
    let mut ledger = ledger(&budgets);
    let day = |day: u64| START + day * 86_400;
    for number in 0..6 {
        spend(&mut ledger, &budgets, &ann(), &message(10), day(number));
    }
    for _ in 0..9 {
        let got = spend(&mut ledger, &budgets, &ann(), &message(1_000), day(6));
        assert_eq!(got, "held");
    }
    ledger.release("ann", day(6));
    let account = ledger.account_of(Per::Login, "ann").unwrap();
    assert_eq!(account.most(&usual, day(7)), Some(20));
}
