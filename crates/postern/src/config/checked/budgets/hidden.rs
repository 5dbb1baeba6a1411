//! Budgets that no client reaches.

use postern_mail::Domain;
use postern_policy::budget::Budget;

use super::Checking;
use crate::config::file::BudgetTable;
use crate::config::read::At;

/// Warns of budgets that no client reaches, since those before them are about all that they are about.
pub(super) fn warn(budgets: &[Budget], c: &mut Checking<'_>) {
    let tables = c.file.budget.iter().filter(|table| table.name.is_some());
    let tables: Vec<&At<BudgetTable>> = tables.collect();
    for (at, (budget, table)) in budgets.iter().zip(&tables).enumerate() {
        let before = || {
            let before = budgets[..at].iter().zip(&tables);
            before.filter(|(other, _)| other.per == budget.per)
        };
        let logins: Vec<&str> = table
            .logins
            .iter()
            .flat_map(|list| list.value.iter().map(|one| one.value.as_str()))
            .collect();
        let elsewhere = |(other, others): &(&Budget, &&At<BudgetTable>)| covers_rest(other, others, table);
        let hides = |entry: Option<&str>| {
            before()
                .filter(elsewhere)
                .any(|(other, others)| has_login(other, others, entry))
        };
        let is_hidden = match logins.is_empty() {
            true => hides(None),
            false => logins.iter().all(|entry| hides(Some(entry))),
        };
        if is_hidden {
            c.problems.warning(
                table.name.as_ref().and_then(|name| name.span.clone()),
                format!("the budget {:?} is never reached", budget.name),
                "budgets before it are about all of these clients",
                "move it before them, or narrow them",
            );
        }
    }
}

/// Whether a budget is about all domains and networks of another one.
fn covers_rest(budget: &Budget, table: &BudgetTable, other: &BudgetTable) -> bool {
    let domains = |list: &At<Vec<At<String>>>| -> Vec<String> {
        let all = list.value.iter();
        all.map(|one| one.value.to_lowercase()).collect()
    };
    let all_domains = match (&table.domains, &other.domains) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(mine), Some(theirs)) => {
            let mine = domains(mine);
            domains(theirs).iter().all(|one| {
                let named = || Domain::parse(one, true).ok();
                let whom = budget.whom.domains.as_ref();
                mine.contains(one)
                    || whom.is_some_and(|set| named().is_some_and(|domain| set.contains(&domain)))
            })
        }
    };
    let all_networks = match (&budget.whom.networks, &other.networks) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(mine), Some(theirs)) => theirs.value.iter().all(|network| mine.covers(network.value)),
    };
    all_domains && all_networks
}

/// Whether a budget is about all logins of an entry; `None` stands for all, and for clients without one.
fn has_login(budget: &Budget, table: &BudgetTable, entry: Option<&str>) -> bool {
    let logins = &budget.whom.logins;
    if logins.is_empty() {
        return true;
    }
    let Some(entry) = entry else { return false };
    let written = table.logins.iter().flat_map(|list| &list.value);
    let mut written = written.map(|one| one.value.as_str());
    let is_one = entry != "*" && !entry.starts_with('@');
    (is_one && logins.find(Some(entry)).is_some())
        || written.any(|one| one == "*" || one.eq_ignore_ascii_case(entry))
}
