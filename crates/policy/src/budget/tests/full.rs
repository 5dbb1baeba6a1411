//! Where there is no room for one more.

use super::super::ledger::OTHERS;
use super::*;

#[test]
fn newcomers_push_nobody_out() {
    let budgets = [budget(
        Per::Login,
        &[bound(Counted::SentMessages, Span::Day, 1, Action::Refuse)],
    )];
    let mut ledger = Ledger::new(3);
    ledger.keep(&budgets, false);
    let names = ["ann", "ben", "cat", "dan", "eve"];
    let who = |name: &'static str| Who {
        login: Some(name),
        ..ann()
    };
    let got = names.map(|name| spend(&mut ledger, &budgets, &who(name), &message(1), START));
    assert_eq!(
        got,
        ["taken", "taken", "taken", "taken", "refused"],
        "two share one"
    );
    assert!(ledger.account_of(Per::Login, OTHERS).is_some());
    assert_eq!(
        spend(&mut ledger, &budgets, &who("ann"), &message(1), START),
        "refused"
    );
    let later = START + 2 * 86_400;
    assert_eq!(
        spend(&mut ledger, &budgets, &who("eve"), &message(1), later),
        "taken"
    );
    assert!(
        ledger.account_of(Per::Login, "eve").is_some(),
        "there is room again"
    );
}

#[test]
fn networks_push_no_login_out_and_a_shared_account_holds_nobody() {
    let most = |per, action| budget(per, &[bound(Counted::SentMessages, Span::Day, 3, action)]);
    let budgets = [most(Per::Network, Action::Warn), most(Per::Login, Action::Hold)];
    let mut ledger = Ledger::new(2);
    ledger.keep(&budgets, false);
    for number in 0..9 {
        let who = Who {
            login: None,
            peer: Some(peer(number)),
            sender_domain: None,
        };
        spend(&mut ledger, &budgets, &who, &message(1), START);
    }
    assert_eq!(
        ledger.accounts(Per::Network).count(),
        3,
        "two, and all others as one"
    );
    let who = |name: &'static str| Who {
        login: Some(name),
        peer: None,
        sender_domain: None,
    };
    for name in ["ann", "ben"] {
        spend(&mut ledger, &budgets, &who(name), &message(1), START);
        assert!(ledger.account_of(Per::Login, name).is_some(), "{name}");
    }
    let names = ["cat", "dan", "eve", "fay"];
    let got = names.map(|name| spend(&mut ledger, &budgets, &who(name), &message(1), START));
    assert_eq!(got, ["taken", "taken", "taken", "refused"]);
    assert_eq!(ledger.marks().count(), 0, "nobody is on hold for what others did");
    let got = [(); 3].map(|()| spend(&mut ledger, &budgets, &who("ann"), &message(1), START));
    assert_eq!(
        got,
        ["taken", "taken", "held"],
        "who has an account of his own is"
    );
}
