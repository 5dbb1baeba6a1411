//! `mailq` and `sendmail -q`: the queue, of which each user sees their own part.

use postern_submit::ExitStatus;
use postern_submit::options::Flush;

use super::common::{Places, complain, is_administrator};
use crate::args::{ConfigArg, FilterArgs, JsonArg, QueueArgs, QueueCommand, ReasonArg, SelectArgs};
use crate::commands::queue;
use crate::control::client::Client;
use crate::control::protocol::{Changed, Operation, Request};
use crate::exit::{Exit, Failure};
use crate::output;

/// Lists the queue: all of it for root, for others what they submitted.
pub(super) fn list(places: &Places) -> Result<ExitStatus, Failure> {
    if !is_administrator() {
        if let Some(client) = Client::connect_as_user(&places.queue)? {
            queue::list_for_user(client)?;
            return Ok(ExitStatus::Ok);
        }
        if places.drop.exists() && !places.socket.exists() {
            complain("the server is not running: its queue cannot be shown");
            return Ok(ExitStatus::Unavailable);
        }
    }
    queue::run(QueueArgs {
        reason: ReasonArg::default(),
        config: from_environment(),
        command: QueueCommand::List {
            filter: FilterArgs {
                domain: None,
                sender: None,
                login: None,
                held: false,
                sandboxed: false,
            },
            limit: None,
            destinations: false,
            json: JsonArg { json: false },
        },
    })?;
    Ok(ExitStatus::Ok)
}

/// Starts delivery of waiting mail now.
pub(super) fn flush(what: &Flush, places: &Places) -> Result<ExitStatus, Failure> {
    let domain = match what {
        Flush::Domain(domain) => Some(domain.clone()),
        _ => None,
    };
    if !is_administrator()
        && let Some(mut client) = Client::connect_as_user(&places.queue)?
    {
        let changed = client
            .ask(&Request::Queue(Operation::Flush { domain }))
            .map_err(|failure| Failure::new(Exit::NoPermission, failure.message))?;
        let changed: Changed = serde_json::from_value(changed)
            .map_err(|error| Failure::from_error(Exit::Software, "cannot understand the answer", &error))?;
        output::print(&format!("due now: {} recipients", changed.changed))?;
        return Ok(ExitStatus::Ok);
    }
    let select = |ids: Vec<String>, sender: Option<String>| {
        QueueCommand::Retry(SelectArgs {
            ids,
            filter: FilterArgs {
                domain: None,
                sender,
                login: None,
                held: false,
                sandboxed: false,
            },
            all: false,
            json: JsonArg { json: false },
        })
    };
    let command = match what {
        Flush::All | Flush::Domain(_) => QueueCommand::Flush {
            domain,
            json: JsonArg { json: false },
        },
        Flush::Message(id) => select(vec![id.clone()], None),
        Flush::Sender(sender) => select(Vec::new(), Some(sender.clone())),
    };
    queue::run(QueueArgs {
        reason: ReasonArg::default(),
        config: from_environment(),
        command,
    })?;
    Ok(ExitStatus::Ok)
}

/// The configuration at its usual place, or where the environment variable says.
pub(super) fn from_environment() -> ConfigArg {
    ConfigArg {
        config: std::env::var_os("POSTERN_CONFIG").map(Into::into),
    }
}
