//! Which budgets apply to the client.

use postern_policy::budget::Budget;
use postern_policy::budget::rules::{Per, Who, budget_of};
use postern_policy::rule::{Rule, Ruling};
use postern_receive::judge::Judge;

use super::Course;
use crate::args::ExplainSessionArgs;
use crate::control::accounts::in_words;

/// Lists the budgets that apply to a client whose mail counts. Only the server knows how much of them is used.
pub(super) fn about(
    course: &mut Course<'_>,
    judge: &Judge<'_>,
    login: Option<&str>,
    args: &ExplainSessionArgs,
) {
    if judge.relay_reason().is_none() && login.is_none() {
        return;
    }
    let user = judge.local_user.map(|user| user.label.as_str());
    let domain = args.from.mailbox().map(|mailbox| mailbox.domain().to_string());
    let who = Who {
        login: login.or(user),
        peer: user.is_none().then(|| args.peer()),
        sender_domain: domain.as_deref(),
    };
    for per in Per::ALL {
        if let Some(budget) = budget_of(&judge.settings.budgets.budgets, per, &who) {
            let ruling = Ruling {
                rule: Rule::BudgetApplies,
                reason: &described(budget),
            };
            course.add("end of data", &ruling);
        }
    }
}

fn described(budget: &Budget) -> String {
    let bounds: Vec<String> = budget.bounds.iter().map(in_words).collect();
    format!(
        "budget {:?} for each {}: {}",
        budget.name,
        budget.per.words(),
        bounds.join("; ")
    )
}
