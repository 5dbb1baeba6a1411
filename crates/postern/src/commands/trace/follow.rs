//! `postern trace --follow`: sessions and messages as they happen.

use jiff::tz::TimeZone;
use serde_json::Value;

use super::show::sentence;
use crate::args::TraceArgs;
use crate::config::Written;
use crate::control::protocol::{PastStep, Request};
use crate::control::wishes::Follow;
use crate::exit::{Exit, Failure};
use crate::{output, visible};

/// Shows what happens until it is interrupted, or the server stops.
pub(super) fn run(args: &TraceArgs, written: &Written) -> Result<(), Failure> {
    if !args.what.is_empty() {
        let text = "--follow takes --login, --client and --address; what else is looked for is not known before it has happened";
        return Err(Failure::new(Exit::Usage, text));
    }
    let Some(mut client) = crate::commands::reach(written)? else {
        let text = format!("no server runs on {}", written.state_dir().display());
        return Err(Failure::new(Exit::Unavailable, text));
    };
    end_when_interrupted()?;
    let follow = Follow {
        login: args.login.clone(),
        client: args.client.map(|network| network.to_string()),
        address: args.address.clone(),
    };
    client.follow(&Request::Follow(follow), |value| show(value, args.json.json))?;
    eprintln!("postern: the server has stopped");
    Ok(())
}

fn show(value: Value, json: bool) -> Result<(), Failure> {
    if json {
        return output::print(&visible::json(&value.to_string()));
    }
    let step: PastStep = serde_json::from_value(value).map_err(|error| {
        Failure::from_error(Exit::Software, "cannot understand the server's answer", &error)
    })?;
    output::print(&line(&step))
}

/// The time, the session or message, and what happened.
fn line(step: &PastStep) -> String {
    let at = step.at.to_zoned(TimeZone::system());
    let text = |key: &str| step.fields.get(key).and_then(Value::as_str);
    let id = text("session").or_else(|| text("queue")).unwrap_or("-");
    let queue = text("queue").filter(|queue| *queue != id);
    let queue = queue.map_or_else(String::new, |queue| format!("{queue} "));
    let line = format!("{} {id} {queue}{}", at.strftime("%H:%M:%S"), sentence(step));
    visible::line(&line).into_owned()
}

/// Ends the command with 0 at Ctrl-C: that is the normal way to end it.
fn end_when_interrupted() -> Result<(), Failure> {
    let failed = |error| Failure::io("cannot listen to signals", &error);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    let listening = runtime.block_on(async {
        use tokio::signal::unix::{SignalKind, signal};
        signal(SignalKind::interrupt())
    });
    let mut interrupt = listening.map_err(failed)?;
    std::thread::spawn(move || {
        runtime.block_on(interrupt.recv());
        std::process::exit(Exit::Ok as i32);
    });
    Ok(())
}
