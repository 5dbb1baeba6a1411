//! `[[budget]]` and `[budgets]`: unique names, and bounds that can be counted and do not let strangers block a user.

mod hidden;

use std::sync::Arc;

use postern_mail::Mailbox;
use postern_policy::DomainSet;
use postern_policy::budget::mark::HeldMost;
use postern_policy::budget::window::DISTINCT_MAX;
use postern_policy::budget::{Action, Bound, Budget, Counted, Multiple, Per, Span, Whom};
use postern_policy::origin::LoginSet;
use postern_receive::{BudgetSettings, Countries};

use super::{Checking, files};
use crate::config::file::{BoundTable, BudgetTable};
use crate::config::problem::Span as Place;
use crate::config::read::At;

/// Most budgets: each may be evaluated for each message.
const BUDGETS_MAX: usize = 1_000;

/// Largest country file, in octets.
const COUNTRIES_MAX: u64 = 256 << 20;

pub(super) fn check(c: &mut Checking<'_>) -> Arc<BudgetSettings> {
    let file = c.file;
    if file.budget.len() > BUDGETS_MAX {
        c.problems.error(
            file.budget.last().and_then(|last| last.span.clone()),
            format!("more than {BUDGETS_MAX} [[budget]] tables"),
            "each may be looked at for each message",
            "name several users in `logins` of one of them",
        );
    }
    let mut budgets: Vec<Budget> = Vec::new();
    for table in file.budget.iter() {
        let Some(name) = &table.name else { continue };
        if budgets.iter().any(|budget| *budget.name == *name.value) {
            c.problems.error(
                name.span.clone(),
                format!("two budgets are named {:?}", name.value),
                "used before",
                "give each its own name",
            );
        }
        let bounds = table.bound.iter().flat_map(|bound| bounds(bound, *table.per, c));
        let bounds = bounds.collect();
        budgets.push(Budget {
            name: name.value.as_str().into(),
            per: *table.per,
            whom: whom(table),
            bounds,
        });
    }
    hidden::warn(&budgets, c);
    let written = &file.budgets;
    Arc::new(BudgetSettings {
        budgets,
        learns: *written.learn,
        held: HeldMost {
            messages: *written.held_messages,
            octets: *written.held_size,
        },
        delay: *written.delay,
        delay_most: *written.delay_most,
        notify: notify(c),
        notify_user: *written.notify_user,
        countries: countries(c),
    })
}

fn whom(table: &At<BudgetTable>) -> Whom {
    let logins = table.logins.iter().flat_map(|list| &list.value);
    let domains = |list: &At<Vec<At<String>>>| DomainSet::new(list.value.iter().map(|one| &one.value)).ok();
    Whom {
        // Each was already parsed as one.
        logins: LoginSet::new(logins.map(|one| &one.value)).unwrap_or_default(),
        domains: table.domains.as_ref().and_then(domains),
        networks: table
            .networks
            .as_ref()
            .map(|list| list.value.iter().map(|network| network.value).collect()),
    }
}

/// The bounds from one table.
fn bounds(table: &At<BoundTable>, per: Per, c: &mut Checking<'_>) -> Vec<Bound> {
    let (Some(counted), Some(action)) = (&table.count, &table.action) else {
        return Vec::new();
    };
    if let Some((label, remedy)) = impossible(
        counted.value,
        action.value,
        per,
        c.file.budgets.countries.is_some(),
    ) {
        let place: Option<Place> = counted.span.clone();
        c.problems.error(
            place,
            format!(
                "a budget per {} cannot {} by `{}`",
                per.name(),
                action.value.name(),
                counted.value.name()
            ),
            label,
            remedy,
        );
    }
    let written = [
        (Span::Minute, &table.minute),
        (Span::Hour, &table.hour),
        (Span::Day, &table.day),
    ];
    if written.iter().all(|(_, most)| most.is_none()) && table.usual.is_none() {
        c.problems.error(
            table.span.clone(),
            "a bound without a number".to_owned(),
            "it bounds nothing",
            "write `minute`, `hour`, `day` or `usual`",
        );
    }
    let mut bounds = usual(table, counted.value, action.value, c);
    for (span, most) in written {
        let Some(most) = most else { continue };
        if counted.value.is_distinct() && most.value >= DISTINCT_MAX as u64 {
            c.problems.error(
                most.span.clone(),
                format!("more `{}` than can be counted", counted.value.name()),
                format!("at most {} are counted", DISTINCT_MAX - 1),
                "write a smaller number, or leave the bound out",
            );
        }
        bounds.push(Bound {
            counted: counted.value,
            span,
            most: most.value,
            usual: None,
            action: action.value,
        });
    }
    bounds
}

/// The bounds by what is usual: one of an hour, one of a day.
fn usual(table: &At<BoundTable>, counted: Counted, action: Action, c: &mut Checking<'_>) -> Vec<Bound> {
    let Some(times) = &table.usual else {
        if let Some(at_least) = &table.usual_at_least {
            c.problems.error(
                at_least.span.clone(),
                "`usual_at_least` without `usual`",
                "it says nothing",
                "write for example `usual = 5`",
            );
        }
        return Vec::new();
    };
    if !counted.is_learnt() {
        c.problems.error(
            times.span.clone(),
            format!("it is not learnt how much of `{}` is usual", counted.name()),
            "of what is sent only",
            "write `hour` or `day` here",
        );
        return Vec::new();
    }
    let at_least = match counted {
        Counted::SentOctets => 50 << 20,
        _ => 50,
    };
    let rule = Multiple {
        times: u32::try_from(times.value).unwrap_or(u32::MAX),
        at_least: table.usual_at_least.as_ref().map_or(at_least, |most| most.value),
        days: u32::try_from(c.file.budgets.usual_after.as_secs() / 86_400).unwrap_or(u32::MAX),
    };
    let bound = |span| Bound {
        counted,
        span,
        most: 0,
        usual: Some(rule),
        action,
    };
    [Span::Hour, Span::Day].map(bound).to_vec()
}

/// Why something cannot be bounded so, and what can be written.
fn impossible(
    counted: Counted,
    action: Action,
    per: Per,
    countries: bool,
) -> Option<(&'static str, &'static str)> {
    match (counted, per) {
        (_, Per::Network | Per::SenderDomain) if action == Action::Hold => Some((
            "many accounts share it, and whoever sends next would be put on hold for what another has done",
            "write `action = \"refuse\"` here, and `hold` into a budget per \"login\"",
        )),
        (Counted::FailedLogins | Counted::RefusedRecipients, Per::Network) if action != Action::Warn => {
            Some((
                "strangers behind the same address could stop its users",
                "write `action = \"warn\"`; [[limit]] is for what strangers do",
            ))
        }
        (Counted::ReturnedBounces | Counted::Complaints, Per::Network | Per::SenderDomain) => Some((
            "reports are counted for the login that has sent",
            "write it into a budget per \"login\"",
        )),
        (Counted::ReturnedBounces | Counted::Complaints, Per::Login) if action != Action::Warn => Some((
            "reports come from strangers, and whoever has got mail of a user could stop that user",
            "write `action = \"warn\"`; `bounces`, which this server has seen itself, may have more done",
        )),
        (Counted::FailedLogins, Per::Login) if action != Action::Warn => Some((
            "anybody can make logins fail, and so stop a user",
            "write `action = \"warn\"`; wrong passwords are slowed down and locked out in any case, see [auth]",
        )),
        (Counted::FailedLogins | Counted::RefusedRecipients, Per::SenderDomain) => Some((
            "it has no sender",
            "write it into a budget per \"login\" or \"network\"",
        )),
        (Counted::Bounces, Per::Network | Per::SenderDomain) => Some((
            "bounces are counted for the login that has sent",
            "write it into a budget per \"login\"",
        )),
        (Counted::Networks | Counted::Countries, Per::Network) => Some((
            "a network is in one place",
            "write it into a budget per \"login\"",
        )),
        (Counted::Countries, _) if !countries => Some((
            "it is not known in which country a client is",
            "name a file in `countries` of [budgets]",
        )),
        _ => None,
    }
}

/// Who is notified; a name without a domain is of the first domain of this server.
fn notify(c: &mut Checking<'_>) -> Vec<Mailbox> {
    let written = &c.file.budgets.notify.value;
    let local = c.file.local_domains.value.iter().map(|one| one.value.as_str());
    let domain = first_domain(local).map_or_else(|| c.domain.to_string(), str::to_owned);
    let mut told = Vec::new();
    for one in written {
        let address = match one.value.contains('@') {
            true => one.value.clone(),
            false => format!("{}@{domain}", one.value),
        };
        match address.parse() {
            Ok(mailbox) => told.push(mailbox),
            Err(_) => c.problems.error(
                one.span.clone(),
                format!("{:?} is not an address", one.value),
                "cannot be notified",
                "write \"postmaster\" or \"admin@example.org\"",
            ),
        }
    }
    told
}

/// The first that is one domain, and neither a pattern nor a table.
fn first_domain<'a>(mut written: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    written.find(|one| postern_mail::Domain::parse(one, true).is_ok_and(|domain| domain.name().is_some()))
}

fn countries(c: &mut Checking<'_>) -> Option<Arc<Countries>> {
    let path = c.file.budgets.countries.as_ref()?;
    if !files::readable(path, "the file of countries", c.problems) {
        return None;
    }
    let read = std::fs::metadata(&path.value).and_then(|found| {
        if found.len() > COUNTRIES_MAX {
            return Err(std::io::Error::other(format!(
                "it is larger than {} MiB",
                COUNTRIES_MAX >> 20
            )));
        }
        std::fs::read_to_string(&path.value)
    });
    let parsed = read
        .map_err(|error| error.to_string())
        .and_then(|text| Countries::parse(&text).map_err(|error| error.to_string()));
    match parsed {
        Ok(countries) => Some(Arc::new(countries)),
        Err(error) => {
            c.problems.error(
                path.span.clone(),
                format!("cannot use the file of countries {}", path.display()),
                error,
                "write a line for each network: `192.0.2.0/24,DE`",
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::first_domain;

    #[test]
    fn whose_domain_a_bare_name_is_in() {
        #[rustfmt::skip]
        let cases: [(&str, &[&str], Option<&str>); 5] = [
            // what the case shows   `local_domains`                                first domain
            ("none",                 &[],                                           None),
            ("one",                  &["example.org"],                              Some("example.org")),
            ("the first",            &["b.example", "a.example"],                   Some("b.example")),
            ("a pattern before",     &[".example.org", "*.example.org", "a.example"], Some("a.example")),
            ("a table before",       &["file:domains", "a.example"],                Some("a.example")),
        ];
        for (shows, written, wanted) in cases {
            assert_eq!(first_domain(written.iter().copied()), wanted, "{shows}");
        }
    }
}
