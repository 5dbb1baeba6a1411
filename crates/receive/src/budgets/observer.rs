//! Counts against budgets what is not a message, from the events that report it.

use std::net::IpAddr;
use std::sync::Arc;

use postern_events::{Event, Observer};
use postern_mail::normal_login;
use postern_policy::budget::Deed;
use postern_policy::budget::rules::Who;
use postern_policy::rule::Rule;

use super::Budgets;

/// Counts logins, refused recipients and bounces.
pub struct BudgetObserver(pub Arc<Budgets>);

impl Observer for BudgetObserver {
    fn observe(&self, event: &Event<'_>) {
        if !self.0.is_in_use() {
            return;
        }
        match event {
            Event::LoggedIn(event) => {
                let who = who(Some(event.login), event.peer);
                self.0.ledger.lock().begin(&who, self.0.now());
            }
            Event::LoginRefused(event) => {
                let failed = Deed {
                    failed_logins: 1,
                    ..Deed::default()
                };
                let login = event
                    .login
                    .map(|login| normal_login(login).unwrap_or_else(|_| login.into()));
                self.happened(&who(login.as_deref(), event.peer), &failed);
            }
            Event::Refused(event) if is_unknown_recipient(event.rule) => {
                let refused = Deed {
                    refused_recipients: 1,
                    ..Deed::default()
                };
                self.happened(&who(event.login, Some(event.peer)), &refused);
            }
            Event::Outcome(event) if event.word.0 == "bounced" && event.login.is_some() => {
                let bounced = Deed {
                    bounces: 1,
                    ..Deed::default()
                };
                self.happened(&who(event.login, None), &bounced);
            }
            Event::ReportReturned(event) => {
                let is_complaint = u64::from(event.word.0 == "complaint");
                let returned = Deed {
                    complaints: is_complaint,
                    returned_bounces: 1 - is_complaint,
                    ..Deed::default()
                };
                self.happened(&who(Some(event.login), None), &returned);
            }
            _ => {}
        }
    }
}

impl BudgetObserver {
    fn happened(&self, who: &Who<'_>, deed: &Deed<'_>) {
        let settings = self.0.settings();
        let news = {
            let mut ledger = self.0.ledger.lock();
            ledger.happened(who, deed, &settings.budgets, self.0.now())
        };
        self.0.add_news(news);
    }
}

fn who(login: Option<&str>, peer: Option<IpAddr>) -> Who<'_> {
    Who {
        login,
        peer,
        sender_domain: None,
    }
}

/// Whether a rule says that there is no such recipient.
#[must_use]
pub const fn is_unknown_recipient(rule: Rule) -> bool {
    matches!(
        rule,
        Rule::RecipientUnknown | Rule::RecipientUnlisted | Rule::RecipientNextHop
    )
}
