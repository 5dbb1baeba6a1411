use std::net::IpAddr;

use super::account::Account;
use super::deed::{Deed, Note};
use super::ledger::{Holding, Ledger, Refused, Terms};
use super::mark::HeldMost;
use super::recipients::RecipientKey;
use super::rules::{Action, Bound, Budget, Counted, Per, Span, Who, Whom, budget_of};
use crate::origin::LoginSet;

mod full;
mod learnt;
mod windows;
mod words;

const START: u64 = 1_800_000_000;

const KEY: RecipientKey = RecipientKey::new([7; 16]);

fn bound(counted: Counted, span: Span, most: u64, action: Action) -> Bound {
    Bound {
        counted,
        span,
        most,
        usual: None,
        action,
    }
}

fn budget(per: Per, bounds: &[Bound]) -> Budget {
    Budget {
        name: "users".into(),
        per,
        whom: Whom::default(),
        bounds: bounds.to_vec(),
    }
}

fn ledger(budgets: &[Budget]) -> Ledger {
    let mut ledger = Ledger::new(100);
    ledger.keep(budgets, false);
    ledger
}

fn peer(number: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, number])
}

fn ann() -> Who<'static> {
    Who {
        login: Some("ann"),
        peer: Some(peer(1)),
        sender_domain: Some("example.org"),
    }
}

fn message(recipients: u64) -> Deed<'static> {
    Deed {
        queue: "A1",
        messages: 1,
        named: recipients,
        octets: 1_000,
        network: Some("192.0.2.1"),
        ..Deed::default()
    }
}

fn spend(ledger: &mut Ledger, budgets: &[Budget], who: &Who<'_>, deed: &Deed<'_>, now: u64) -> &'static str {
    match ledger.spend(&Terms::new(budgets), who, deed, now) {
        Ok(spent) if spent.hold.is_some() => "held",
        Ok(spent) if spent.slowed.as_ref().is_some_and(|(_, wait)| *wait > 0) => "slowed",
        Ok(spent) if !spent.news.is_empty() => "warned",
        Ok(_) => "taken",
        Err(Refused::Exceeded(_)) => "refused",
        Err(Refused::Full(_)) => "full",
    }
}

#[test]
fn what_is_done_beyond_a_bound() {
    use Counted::{SentMessages, SentOctets, SentRecipients};
    #[rustfmt::skip]
    let cases = [
        // what the case shows         bound                                                     recipients each   three messages
        ("refused",                    bound(SentMessages, Span::Hour, 2, Action::Refuse),       1,   ["taken", "taken", "refused"]),
        ("recipients count",           bound(SentRecipients, Span::Day, 5, Action::Refuse),      3,   ["taken", "refused", "refused"]),
        ("exactly as many",            bound(SentRecipients, Span::Day, 6, Action::Refuse),      3,   ["taken", "taken", "refused"]),
        ("more at once than ever",     bound(SentRecipients, Span::Day, 2, Action::Refuse),      3,   ["refused", "refused", "refused"]),
        ("octets",                     bound(SentOctets, Span::Minute, 2_999, Action::Refuse),   1,   ["taken", "taken", "refused"]),
        ("told once",                  bound(SentMessages, Span::Hour, 1, Action::Warn),         1,   ["taken", "warned", "taken"]),
        ("held, and what follows",     bound(SentMessages, Span::Hour, 1, Action::Hold),         1,   ["taken", "held", "held"]),
        ("each waits for its turn",    bound(SentMessages, Span::Hour, 1, Action::Delay),        1,   ["taken", "taken", "slowed"]),
        ("slowed by its recipients",   bound(SentRecipients, Span::Hour, 2, Action::Delay),      3,   ["taken", "slowed", "slowed"]),
    ];
    for (shows, bound, recipients, want) in cases {
        let budgets = [budget(Per::Login, &[bound])];
        let mut ledger = ledger(&budgets);
        let got = [0, 1, 2].map(|second| {
            spend(
                &mut ledger,
                &budgets,
                &ann(),
                &message(recipients),
                START + second,
            )
        });
        assert_eq!(got, want, "{shows}");
    }
}

#[test]
fn the_first_budget_that_is_about_somebody_counts() {
    let of = |name: &str, whom: Whom, bounds: &[Bound]| Budget {
        name: name.into(),
        whom,
        ..budget(Per::Login, bounds)
    };
    let logins = |names: &[&str]| Whom {
        logins: LoginSet::new(names).unwrap(),
        ..Whom::default()
    };
    let bounds = [bound(Counted::SentMessages, Span::Hour, 1, Action::Refuse)];
    let budgets = [
        of("newsletter", logins(&["news"]), &[]),
        of("heads", logins(&["ann", "ben"]), &bounds),
        of("org", logins(&["@example.org"]), &bounds),
        of("all", Whom::default(), &bounds),
    ];
    #[rustfmt::skip]
    let cases = [
        ("an exception",          Some("news"),            None),
        ("by login",              Some("ben"),             Some("heads")),
        ("by the login's domain", Some("eve@example.org"), Some("org")),
        ("of another domain",     Some("eve@example.net"), Some("all")),
        ("the rest",              Some("eve"),             Some("all")),
    ];
    for (shows, login, want) in cases {
        let who = Who { login, ..ann() };
        let found = budget_of(&budgets, Per::Login, &who).map(|budget| &*budget.name);
        assert_eq!(found, want, "{shows}");
    }
}

#[test]
fn each_of_two_bounds_on_one_window_is_news() {
    let warn = |most| bound(Counted::SentMessages, Span::Hour, most, Action::Warn);
    let budgets = [budget(Per::Login, &[warn(1), warn(3)])];
    let mut ledger = ledger(&budgets);
    let got = [(); 5].map(|()| spend(&mut ledger, &budgets, &ann(), &message(1), START));
    assert_eq!(got, ["taken", "warned", "taken", "warned", "taken"]);
}

#[test]
fn networks_and_new_recipients() {
    let budgets = [budget(
        Per::Login,
        &[
            bound(Counted::Networks, Span::Day, 2, Action::Refuse),
            bound(Counted::FirstTimeRecipients, Span::Day, 3, Action::Refuse),
        ],
    )];
    let mut ledger = ledger(&budgets);
    assert!(ledger.knows_recipients());
    assert_eq!(KEY.hash("B@x.test"), KEY.hash("b@X.test"));
    let recipients: Vec<u64> = ["a@x.test", "b@x.test", "c@x.test", "d@x.test"]
        .map(|address| KEY.hash(address))
        .to_vec();
    #[rustfmt::skip]
    let cases = [
        // what the case shows          network   recipients        seconds later   what comes of it
        ("three new ones",              "1",      &recipients[..3],      0,         "taken"),
        ("known ones",                  "1",      &recipients[..3],      1,         "taken"),
        ("one more",                    "2",      &recipients[..4],      2,         "refused"),
        ("a second network",            "2",      &recipients[..1],      3,         "taken"),
        ("a third",                     "3",      &recipients[..1],      4,         "refused"),
        ("the second once more",        "2",      &recipients[..1],      5,         "taken"),
        ("a day later",                 "3",      &recipients[3..],      90_000,    "taken"),
    ];
    for (shows, network, recipients, later, want) in cases {
        let deed = Deed {
            recipients,
            named: recipients.len() as u64,
            network: Some(network),
            ..message(1)
        };
        assert_eq!(
            spend(&mut ledger, &budgets, &ann(), &deed, START + later),
            want,
            "{shows}"
        );
    }
}

#[test]
fn what_others_do_leaves_nothing_behind() {
    let budgets = [budget(
        Per::Login,
        &[bound(Counted::FailedLogins, Span::Hour, 2, Action::Warn)],
    )];
    let mut ledger = ledger(&budgets);
    let failed = Deed {
        failed_logins: 1,
        ..Deed::default()
    };
    for _ in 0..10 {
        let news = ledger.happened(&ann(), &failed, &budgets, START);
        assert!(news.is_empty(), "nobody by that name has logged in");
    }
    assert_eq!(ledger.accounts(Per::Login).count(), 0);
    ledger.begin(&ann(), START);
    let told: Vec<usize> = (0..5)
        .map(|_| ledger.happened(&ann(), &failed, &budgets, START).len())
        .collect();
    assert_eq!(told, [0, 0, 1, 0, 0]);
    assert_eq!(
        spend(&mut ledger, &budgets, &ann(), &message(1), START),
        "taken",
        "ann still sends"
    );
}

#[test]
fn an_account_on_hold_until_it_is_released() {
    let budgets = [budget(
        Per::Login,
        &[bound(Counted::SentRecipients, Span::Hour, 10, Action::Hold)],
    )];
    let mut ledger = ledger(&budgets);
    let most = HeldMost {
        messages: 2,
        octets: 0,
    };
    let send = |ledger: &mut Ledger, recipients| {
        let terms = Terms {
            held: most,
            ..Terms::new(&budgets)
        };
        let outcome = ledger.spend(&terms, &ann(), &message(recipients), START);
        match outcome {
            Ok(spent) => match spent.hold {
                Some(Holding::Exceeded(_)) => "puts on hold",
                Some(Holding::OnHold(_)) => "on hold",
                None => "taken",
            },
            Err(_) => "refused",
        }
    };
    let got = [9, 2, 1, 1].map(|recipients| send(&mut ledger, recipients));
    assert_eq!(got, ["taken", "puts on hold", "on hold", "refused"]);
    let mark = ledger.mark("ann").unwrap();
    assert_eq!(
        &*mark.reason,
        "budget \"users\": 11 recipients in an hour for login ann, 10 allowed"
    );
    assert_eq!(ledger.untold().len(), 1);
    assert_eq!(ledger.untold().len(), 0, "told once");
    assert!(ledger.release("ann", START).is_some());
    assert_eq!(send(&mut ledger, 9), "taken", "it begins afresh");
    assert!(ledger.release("ann", START).is_none());
    ledger.hold("ann", "root", "left the company", START);
    assert_eq!(send(&mut ledger, 1), "on hold");
}

#[test]
fn what_was_not_taken_does_not_count() {
    let budgets = [budget(
        Per::Login,
        &[
            bound(Counted::SentMessages, Span::Hour, 1, Action::Refuse),
            bound(Counted::Networks, Span::Hour, 1, Action::Refuse),
        ],
    )];
    let mut ledger = ledger(&budgets);
    let terms = Terms::new(&budgets);
    let spent = ledger.spend(&terms, &ann(), &message(1), START).unwrap();
    assert!(ledger.spend(&terms, &ann(), &message(1), START).is_err());
    ledger.take_back(&spent);
    let elsewhere = Deed {
        network: Some("another"),
        ..message(1)
    };
    assert!(ledger.spend(&terms, &ann(), &elsewhere, START).is_ok());
}

#[test]
fn recipients_are_told_apart_by_a_secret() {
    let other = RecipientKey::new([8; 16]);
    assert_eq!(KEY.hash("A@x.test"), KEY.hash("a@X.test"));
    assert_ne!(KEY.hash("a@x.test"), KEY.hash("b@x.test"));
    assert_ne!(KEY.hash("a@x.test"), other.hash("a@x.test"));
    let read = RecipientKey::parse(&KEY.kept()).unwrap();
    assert_eq!(read.hash("a@x.test"), KEY.hash("a@x.test"));
    assert!(RecipientKey::parse("7").is_none());
    assert!(!format!("{KEY:?}").contains('7'));
}

#[test]
fn slowed_in_turn() {
    let budgets = [budget(
        Per::Login,
        &[bound(Counted::SentMessages, Span::Hour, 1, Action::Delay)],
    )];
    let mut ledger = ledger(&budgets);
    assert_eq!(spend(&mut ledger, &budgets, &ann(), &message(1), START), "taken");
    let judged = ledger.judge(&budgets, &ann(), &message(1), START);
    let exceeded = judged.with(Action::Delay).unwrap();
    let wait = |ledger: &mut Ledger| {
        ledger
            .slowed(exceeded, (10, 20), START)
            .ok()
            .map(|(_, wait)| wait)
    };
    let waits: Vec<Option<u64>> = (0..4).map(|_| wait(&mut ledger)).collect();
    assert_eq!(
        waits,
        [Some(0), Some(10), Some(20), None],
        "however many connections there are"
    );
}

#[test]
fn counted_again_after_a_crash() {
    let budgets = [budget(
        Per::Login,
        &[bound(Counted::SentRecipients, Span::Day, 5, Action::Hold)],
    )];
    let note = |number, named, hold: Option<&str>| Note {
        number,
        at: START + number,
        login: Some("ann".into()),
        peer: Some(peer(1)),
        domain: None,
        queue: format!("Q{number}").into(),
        named,
        recipients: Vec::new(),
        octets: 10,
        country: None,
        hold: hold.map(|why| ("users".into(), why.into())),
    };
    let mut after = ledger(&budgets);
    after.replay(&note(7, 3, None));
    assert_eq!(state_of_ann(&after), (7, 3, None));
    after.replay(&note(8, 3, Some("too much")));
    assert_eq!(state_of_ann(&after), (8, 6, Some(1)));
}

fn state_of_ann(ledger: &Ledger) -> (u64, u64, Option<u64>) {
    let account = ledger.account_of(Per::Login, "ann").unwrap();
    let total = account.total((Counted::SentRecipients, Span::Day), ledger.latest());
    (
        ledger.number(),
        total,
        ledger.mark("ann").map(|mark| mark.messages),
    )
}

#[test]
fn what_is_written_down_is_read_back() {
    let budgets = [budget(
        Per::Login,
        &[
            bound(Counted::Networks, Span::Day, 9, Action::Refuse),
            bound(Counted::FirstTimeRecipients, Span::Hour, 9, Action::Refuse),
        ],
    )];
    let mut before = ledger(&budgets);
    let hashes = [1, 2, 3];
    let deed = Deed {
        recipients: &hashes,
        ..message(3)
    };
    spend(&mut before, &budgets, &ann(), &deed, START);
    let number = before.number();
    let changed = before.take_changed();
    let kept: Vec<_> = changed
        .into_iter()
        .map(|(per, key, account)| (per, key, Account::restored(account.unwrap().kept(START))))
        .collect();
    let mut after = ledger(&budgets);
    after.restore((number, START), kept, Vec::new());
    let window = |counted, span| {
        let total = |ledger: &Ledger| {
            ledger
                .account_of(Per::Login, "ann")
                .unwrap()
                .total((counted, span), START)
        };
        (total(&before), total(&after))
    };
    assert_eq!(window(Counted::Networks, Span::Day), (1, 1));
    assert_eq!(window(Counted::FirstTimeRecipients, Span::Hour), (3, 3));
    spend(&mut after, &budgets, &ann(), &deed, START + 1);
    let account = after.account_of(Per::Login, "ann").unwrap();
    assert_eq!(
        account.total((Counted::FirstTimeRecipients, Span::Hour), START + 1),
        3,
        "known still"
    );
}

#[test]
fn a_clock_that_is_set_back_gives_nothing_back() {
    let budgets = [budget(
        Per::Login,
        &[bound(Counted::SentMessages, Span::Hour, 1, Action::Refuse)],
    )];
    let mut ledger = ledger(&budgets);
    let times = [START, START - 90_000, START + 3_500, START + 3_700];
    let got = times.map(|now| spend(&mut ledger, &budgets, &ann(), &message(1), now));
    assert_eq!(got, ["taken", "refused", "refused", "taken"]);
}
