//! Tables of routes: Postfix's transport, sendmail's mailertable.

use std::sync::Arc;

use postern_deliver::{AskRoutes, Asked};
use postern_directory::tables::RouteLookup;
use postern_mail::Mailbox;
use postern_policy::route::{EntryForm, Lane, RouteMap, target_of};
use postern_table::{Format, Reference};
use tracing::debug;

use super::{Checking, clamp, lanes, tables};
use crate::config::file::RouteTable;
use crate::config::problem::Span;
use crate::config::read::At;

/// A table of routes, as queried by delivery.
#[derive(Debug)]
struct Asker(Arc<RouteLookup>);

impl AskRoutes for Asker {
    fn knows(&self, recipient: &Mailbox) -> bool {
        self.0.knows(recipient)
    }

    fn learn<'a>(&'a self, recipient: &'a Mailbox) -> Asked<'a, ()> {
        Box::pin(async move {
            if let Err(down) = self.0.learn(recipient).await {
                debug!(target: "postern::deliver", %recipient, %down, "no route is known");
            }
        })
    }
}

/// The tables that must be queried, for delivery.
pub(super) fn askers(tables: &[Arc<RouteLookup>]) -> Vec<Arc<dyn AskRoutes>> {
    let asker = |table: &Arc<RouteLookup>| Arc::new(Asker(Arc::clone(table))) as Arc<dyn AskRoutes>;
    tables
        .iter()
        .filter(|table| !table.table().is_at_hand())
        .map(asker)
        .collect()
}

/// The tables of one `[[route]]`.
pub(super) fn of_route(route: &At<RouteTable>, usual: &Lane, c: &mut Checking<'_>) -> Vec<RouteMap> {
    let Some(references) = &route.table else {
        return Vec::new();
    };
    let beside = [
        ("domains", route.domains.is_some()),
        ("recipients", route.recipients.is_some()),
        ("senders", route.senders.is_some()),
        ("logins", route.logins.is_some()),
        ("via", route.via.is_some()),
        ("to", route.to.is_some()),
        ("login", route.login.is_some()),
        ("maildir", route.maildir.is_some()),
    ];
    if let Some((key, _)) = beside.iter().find(|(_, is_there)| *is_there) {
        c.problems.error(
            references.span.clone(),
            format!("`table` in [[route]] beside `{key}`"),
            "a table says whose mail goes where",
            "write a [[route]] of its own for the other",
        );
        return Vec::new();
    }
    let lane = lanes::of_route(route, c.problems).or(usual);
    let mut maps = Vec::new();
    for reference in &references.value {
        let span = &reference.span;
        let Some(lookup) = tables::open(&reference.value, span.clone(), c) else {
            continue;
        };
        let form = route.form.as_ref().map_or_else(
            || match reference.value {
                Reference::File(Format::Sendmail, _) => EntryForm::Mailertable,
                _ => EntryForm::Transport,
            },
            |form| form.value,
        );
        let Some(entries) = lookup.in_memory().and_then(|table| table.entries()) else {
            let separator = *c.file.identity.tag_separator;
            let asked = Arc::new(RouteLookup::new(lookup, form, clamp(*route.port), separator));
            c.route_tables.push(Arc::clone(&asked));
            maps.push(RouteMap::of_asked(asked, lane.clone()).with_tls(*route.tls, route.verifies()));
            continue;
        };
        let file = lookup.file().map(|file| file.display().to_string());
        let file = file.unwrap_or_else(|| lookup.name().to_owned());
        let mut map = RouteMap::default().with_tls(*route.tls, route.verifies());
        for (key, value, line) in entries.iter() {
            let place = format!("{file}:{line}");
            add(
                &mut map,
                (key, value, &place),
                (form, clamp(*route.port)),
                &lane,
                span,
                c,
            );
        }
        maps.push(map);
    }
    maps
}

fn add(
    map: &mut RouteMap,
    (key, value, place): (&str, &str, &str),
    (form, port): (EntryForm, u16),
    lane: &Lane,
    span: &Option<Span>,
    c: &mut Checking<'_>,
) {
    let target = match target_of(value, form, port) {
        Ok(target) => target,
        Err(error) => return wrong(place, &error.to_string(), span, c),
    };
    match map.insert(key, form, target, lane, place) {
        Ok(_) => {}
        Err(error) => wrong(place, &error.to_string(), span, c),
    }
}

/// Without the entry, its mail would go where another one or DNS says.
fn wrong(place: &str, error: &str, span: &Option<Span>, c: &mut Checking<'_>) {
    let (title, remedy) = error.split_once("; ").unwrap_or((error, "correct it"));
    c.problems
        .error(span.clone(), format!("{place}: {title}"), "in this table", remedy);
}
