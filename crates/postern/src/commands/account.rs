//! `postern account` and `postern budgets`: who has sent how much, who is on hold, and releasing
//! accounts.

use jiff::Timestamp;
use postern_policy::budget::{Counted, Span};
use postern_receive::{AccountInfo, BoundInfo, MarkInfo};
use serde::de::DeserializeOwned;

use crate::args::{AccountArgs, AccountCommand, BudgetsArgs, BudgetsCommand, ConfigArg};
use crate::control::accounts::{AccountHeld, AccountLine, AccountReleased, BudgetLine};
use crate::control::acts;
use crate::control::protocol::Request;
use crate::control::wishes::AccountWish;
use crate::exit::{Exit, Failure};
use crate::{locate, output};

/// Does what was asked, in the running server.
pub(crate) fn run(args: AccountArgs) -> Result<(), Failure> {
    let config = &args.config;
    let reason = args.reason.reason;
    acts::because(reason.as_deref());
    match args.command {
        AccountCommand::List { json } => {
            let lines: Vec<AccountLine> = ask(&Request::Accounts, config)?;
            if json.json {
                return output::print_json(&lines);
            }
            show_list(&lines)
        }
        AccountCommand::Show { account, json } => {
            let info: AccountInfo = ask(&Request::Account { account }, config)?;
            if json.json {
                return output::print_json(&info);
            }
            show(&info)
        }
        AccountCommand::Hold { account, json } => {
            let wish = AccountWish {
                account,
                reason,
                remove: false,
            };
            let held: AccountHeld = ask(&Request::HoldAccount(wish.clone()), config)?;
            if json.json {
                return output::print_json(&held);
            }
            if held.exists == Some(false) {
                eprintln!(
                    "postern: warning: no directory knows a user {:?}; `postern account release` undoes this",
                    wish.account
                );
            }
            let already = if held.was_on_hold { " already" } else { "" };
            output::print(&format!(
                "{} is on hold{already}{}",
                wish.account,
                with(held.changed, "held")
            ))
        }
        AccountCommand::Release {
            account,
            remove,
            json,
        } => {
            let wish = AccountWish {
                account,
                reason,
                remove,
            };
            let released: AccountReleased = ask(&Request::ReleaseAccount(wish.clone()), config)?;
            if json.json {
                return output::print_json(&released);
            }
            let done = if remove { "removed" } else { "released" };
            output::print(&format!(
                "{} may send again{}",
                wish.account,
                with(released.changed, done)
            ))
        }
    }
}

/// Shows the budgets in force.
pub(crate) fn budgets(args: BudgetsArgs) -> Result<(), Failure> {
    let json = match args.command {
        BudgetsCommand::Show { json } => json,
        BudgetsCommand::Try(wanted) => return super::budgets::run(&wanted, &args.config),
    };
    let lines: Vec<BudgetLine> = ask(&Request::Budgets, &args.config)?;
    if json.json {
        return output::print_json(&lines);
    }
    if lines.is_empty() {
        return output::print("there are no budgets; see [[budget]] in the configuration");
    }
    for line in lines {
        output::print(&format!("{} (per {})", line.budget, line.per))?;
        if line.bounds.is_empty() {
            output::print("  no bounds: an exception")?;
        }
        for bound in &line.bounds {
            output::print(&format!("  {bound}"))?;
        }
        for used in &line.top {
            output::print(&format!(
                "    {:>3} %  {}  {}",
                used.share,
                used.account,
                amount(&used.bound)
            ))?;
        }
    }
    Ok(())
}

fn with(messages: u64, done: &str) -> String {
    match messages {
        0 => String::new(),
        many => format!("; {done} {}", several(many, "message")),
    }
}

fn show_list(lines: &[AccountLine]) -> Result<(), Failure> {
    if lines.is_empty() {
        return output::print("no account is on hold");
    }
    let now = Timestamp::now();
    let rows = lines.iter().map(|line| {
        vec![
            line.account.clone(),
            output::span(now.as_second() - line.hold.since.as_second()),
            line.hold.messages.to_string(),
            whose(&line.hold),
            line.hold.reason.clone(),
        ]
    });
    output::print_table(
        &["account", "since", "messages", "by", "reason"],
        &[2],
        &[4],
        rows.collect(),
    )
}

fn whose(hold: &MarkInfo) -> String {
    match (&hold.budget, &hold.by) {
        (Some(budget), _) => format!("budget {budget}"),
        (None, Some(by)) => by.clone(),
        (None, None) => String::new(),
    }
}

fn amount(bound: &BoundInfo) -> String {
    let most = bound.most.map(|most| format!(" of {most}")).unwrap_or_default();
    let usual = bound
        .usual
        .map(|usual| format!(", {usual} usual"))
        .unwrap_or_default();
    let counted =
        Counted::by_name(&bound.counted).map(|counted| counted.words(bound.most.unwrap_or(bound.total)));
    let span = Span::by_name(&bound.span).map(Span::words);
    format!(
        "{}{most} {} in {}{usual}",
        bound.total,
        counted.unwrap_or(&bound.counted),
        span.unwrap_or(&bound.span)
    )
}

fn show(info: &AccountInfo) -> Result<(), Failure> {
    let now = Timestamp::now();
    let ago = |then: Timestamp| output::span(now.as_second() - then.as_second());
    output::print(&format!("account   {}", info.account))?;
    match &info.hold {
        Some(hold) => {
            output::print(&format!("on hold   for {}, by {}", ago(hold.since), whose(hold)))?;
            output::print(&format!("reason    {}", hold.reason))?;
            output::print(&format!(
                "held      {}, {}",
                several(hold.messages, "message"),
                output::size(hold.octets)
            ))?;
        }
        None => output::print("on hold   no")?,
    }
    output::print(&format!("budget    {}", info.budget.as_deref().unwrap_or("none")))?;
    for bound in &info.counts {
        let action = bound.action.as_deref();
        let action = action
            .map(|action| format!(", then {action}"))
            .unwrap_or_default();
        output::print(&format!("used      {}{action}", amount(bound)))?;
    }
    for network in &info.networks {
        output::print(&format!(
            "network   {}, {} ago",
            network.network,
            ago(network.last_at)
        ))?;
    }
    for message in &info.recent {
        output::print(&format!(
            "message   {}, {} ago, {}, {}, from {}",
            message.queue,
            ago(message.at),
            several(message.recipients, "recipient"),
            output::size(message.octets),
            match message.network.as_str() {
                "" => "this machine",
                network => network,
            }
        ))?;
    }
    Ok(())
}

fn several(amount: u64, one: &str) -> String {
    let plural = if amount == 1 { "" } else { "s" };
    format!("{amount} {one}{plural}")
}

fn ask<T: DeserializeOwned>(request: &Request, config: &ConfigArg) -> Result<T, Failure> {
    let written = super::written(&locate::existing(config)?)?;
    let Some(mut client) = super::reach(&written)? else {
        return Err(Failure::new(
            Exit::Unavailable,
            format!("no server runs on {}", written.state_dir().display()),
        ));
    };
    serde_json::from_value(client.ask(request)?)
        .map_err(|error| Failure::from_error(Exit::Software, "cannot understand the server's answer", &error))
}
