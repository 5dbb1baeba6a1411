//! Notifies people of accounts put on hold by a budget, and holds their queued mail.

use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use postern_events::{AccountActed, Observers, Word, notice, shown};
use postern_mail::{BodyKind, Envelope, Mailbox, Notify, Recipient, ReversePath};
use postern_policy::budget::Exceeded;
use postern_policy::rule::Rule;
use postern_receive::{BudgetSettings, Budgets, OnHold, Settings};
use postern_spool::{Assembly, Filter, Inspectors, NoLimit, Origin, Parts, Selection, Spool};
use tokio_util::sync::CancellationToken;

/// What notification needs.
pub(crate) struct Deps {
    pub(crate) budgets: Arc<Budgets>,
    pub(crate) spool: Arc<dyn Spool>,
    pub(crate) inspectors: Arc<ArcSwap<Inspectors>>,
    pub(crate) settings: Arc<ArcSwap<Settings>>,
    pub(crate) observers: Observers,
}

/// The prefix of the hold reason for messages of an account: with it, all of them are found.
pub(crate) fn held_reasons(account: &str) -> [String; 2] {
    [Rule::BudgetHeld, Rule::AccountHeld].map(|rule| format!("{rule}: account {account}: "))
}

/// Holds an account's queued mail, and returns the number of messages.
///
/// # Errors
///
/// The queue cannot be changed.
pub(crate) async fn hold_queued(
    spool: &dyn Spool,
    account: &str,
    reason: &str,
) -> Result<u64, postern_spool::SpoolError> {
    let theirs = Filter {
        login: Some(account.to_owned()),
        held: Some(false),
        ..Filter::default()
    };
    let by = Rule::AccountHeld.name();
    let reason = format!("account {account}: {reason}");
    spool.hold(Selection::Filter(theirs), by, &reason).await
}

/// Sends notifications until `shutdown`.
pub(crate) async fn tell(deps: Deps, shutdown: CancellationToken) {
    let mut mails = Mails::default();
    loop {
        let news = tokio::select! {
            () = shutdown.cancelled() => return,
            news = deps.budgets.next_news() => news,
        };
        for exceeded in news.exceeded {
            notice!(deps.observers, Accept Warning "more than a budget allows", Reason = shown(&exceeded));
        }
        for exceeded in &news.unusual {
            if mails.may_go(&exceeded.key, Timestamp::now().as_second()) {
                deps.alarm(exceeded).await;
            }
        }
        // Nobody is notified again after a crash.
        if !news.on_hold.is_empty() {
            deps.budgets.write_holds().await;
        }
        for on_hold in news.on_hold {
            deps.contain(&on_hold).await;
        }
    }
}

/// Mail about what is more than usual: one a day for each account, and no flood where many accounts are stolen at once.
#[derive(Default)]
struct Mails {
    day: i64,
    accounts: BTreeSet<Box<str>>,
}

/// Most accounts of which administrators are told by mail in a day; the log has the others.
const MAILS_MAX: usize = 50;

impl Mails {
    fn may_go(&mut self, account: &str, now: i64) -> bool {
        let day = now.div_euclid(86_400);
        if day != self.day {
            (self.day, self.accounts) = (day, BTreeSet::new());
        }
        self.accounts.len() < MAILS_MAX && self.accounts.insert(account.into())
    }
}

impl Deps {
    async fn alarm(&self, exceeded: &Exceeded) {
        let settings = self.settings.load_full();
        for to in &settings.budgets.notify {
            self.send(to, &for_unusual(exceeded), &settings.hostname).await;
        }
    }

    async fn contain(&self, on_hold: &OnHold) {
        let OnHold {
            account,
            mark,
            address,
        } = on_hold;
        let held = hold_queued(&*self.spool, account, &mark.reason).await;
        if let Err(error) = &held {
            notice!(self.observers, Accept Error "the queued mail of an account on hold is not held", Login = **account, Reason = shown(error));
        }
        self.observers.tell(AccountActed {
            login: account,
            by: None,
            reason: Some(&mark.reason),
            changed: held.ok(),
            word: Word("account on hold"),
        });
        let settings = self.settings.load_full();
        let budgets = &settings.budgets;
        for to in &budgets.notify {
            self.send(to, &for_administrators(on_hold, budgets), &settings.hostname)
                .await;
        }
        let user = address
            .as_ref()
            .filter(|_| budgets.notify_user)
            .and_then(|address| address.parse::<Mailbox>().ok());
        if let Some(to) = user {
            self.send(&to, &for_user(on_hold), &settings.hostname).await;
        }
    }

    async fn send(&self, to: &Mailbox, text: &str, hostname: &str) {
        let (id, now) = (self.spool.next_id(), Timestamp::now());
        let date = now.strftime("%a, %d %b %Y %H:%M:%S +0000");
        let content = format!(
            "Date: {date}\r\nFrom: Mail server <postmaster@{hostname}>\r\nTo: <{to}>\r\nMessage-ID: <{id}@{hostname}>\r\n\
             Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Transfer-Encoding: 8bit\r\n{}",
            text.replace('\n', "\r\n")
        );
        let envelope = Envelope {
            sender: ReversePath::Null,
            recipients: vec![Recipient {
                // Nobody reads bounces of it.
                notify: Notify::Never,
                ..Recipient::new(to.clone())
            }],
            ret: None,
            envid: None,
            body: BodyKind::EightBitMime,
            smtputf8: !to.is_ascii(),
            auth: None,
        };
        let plain = Assembly::new(id, envelope, now, Origin::Report, Parts::of(content.into_bytes()));
        let mut assembly = plain.clone();
        let inspectors = self.inspectors.load_full();
        let mut limit = NoLimit;
        let inspected = inspectors.inspect(&mut assembly, self.spool.as_ref(), &mut limit);
        let message = match inspected.await {
            Ok(()) => assembly.into_message(),
            Err(_) => plain.into_message(),
        };
        match self.spool.put(message).await {
            Ok(_) => {
                notice!(self.observers, Accept Info "notified about an account", Queue = shown(&id), To = shown(to))
            }
            Err(error) => {
                notice!(self.observers, Accept Error "cannot notify anyone about an account", To = shown(to), Reason = shown(&error));
            }
        }
    }
}

/// Subject, empty line and text about what is more than usual.
fn for_unusual(exceeded: &Exceeded) -> String {
    let account = &exceeded.key;
    format!(
        "Subject: Account {account} sends more than usual\n\n\
         {exceeded}\n\n\
         Nothing is held or refused. Look at what it has sent:\n\n  postern account show '{account}'\n\n\
         If its password may be stolen, put it on hold:\n\n  postern account hold '{account}'\n",
    )
}

/// Subject, empty line and text for administrators.
fn for_administrators(OnHold { account, mark, .. }: &OnHold, settings: &BudgetSettings) -> String {
    let kept = match settings.held.messages {
        0 => "without limit".to_owned(),
        most => format!("up to {most} messages"),
    };
    format!(
        "Subject: Account {account} is on hold\n\n\
         The account {account} has sent more than its budget allows:\n\n  {}\n\n\
         Its mail is accepted and held, {kept}. Nothing of it is delivered until you decide.\n\n\
         Look at what it has sent:\n\n  postern account show '{account}'\n\n\
         If its password is stolen, change the password first. Then remove what is held:\n\n  postern account release '{account}' --remove\n\n\
         If all is well, let its mail go:\n\n  postern account release '{account}'\n",
        mark.reason
    )
}

/// The same for the user.
fn for_user(OnHold { account, .. }: &OnHold) -> String {
    format!(
        "Subject: Your account may not send mail for now\n\n\
         Your account {account} has sent more mail than it may. Mail that you send is kept, and not delivered, until an\n\
         administrator of this server has looked at it. Mail to you still arrives.\n\n\
         If you have not sent that mail, somebody else may know your password: change it now, and tell the administrator.\n"
    )
}

#[cfg(test)]
mod tests {
    use postern_policy::budget::{Mark, MarkedBy};

    use super::*;

    #[test]
    fn mail_about_what_is_unusual_is_no_flood() {
        let mut mails = Mails::default();
        assert!(mails.may_go("ann", 86_400) && !mails.may_go("ann", 86_401));
        let others = (0..100).filter(|number| mails.may_go(&number.to_string(), 86_402));
        assert_eq!(others.count(), MAILS_MAX - 1);
        assert!(mails.may_go("ann", 2 * 86_400));
    }

    #[test]
    fn what_people_are_told() {
        let reason = "budget \"users\": 201 recipients in an hour for login ann, 200 allowed";
        let on_hold = OnHold {
            account: "ann".into(),
            mark: Mark::new(MarkedBy::Budget("users".into()), reason, 0),
            address: None,
        };
        let text = for_administrators(&on_hold, &BudgetSettings::default());
        for part in [
            reason,
            "postern account release 'ann' --remove",
            "up to 1000 messages",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(
            text.lines()
                .chain(for_user(&on_hold).lines())
                .all(|line| line.len() < 130)
        );
    }
}
