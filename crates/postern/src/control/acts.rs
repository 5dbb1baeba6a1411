//! Actions of administrators, as recorded in the history: who asked, according to the kernel, and why.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use jiff::Timestamp;
use nix::unistd::{Uid, geteuid};
use postern_events::{Observers, notice, shown};
use postern_history::{Act, Acts};

use super::asking::Asking;
use super::protocol::{Operation, Reply, Request, Which, WhichSessions};
use super::wishes::Told;
use crate::admin::By;
use crate::admin::requests::{FactorRequest, TokenRequest};
use crate::visible;

/// Longest reason and name kept, in characters.
const TEXT_MAX: usize = 500;

/// Who runs this command, before it becomes somebody else.
struct Runs {
    uid: Uid,
    sudo_user: Option<String>,
}

static ASKING: OnceLock<Runs> = OnceLock::new();
static REASON: OnceLock<String> = OnceLock::new();

/// Remembers who runs this command. Called first.
pub(crate) fn remember_who() {
    let _ = ASKING.set(Runs {
        uid: geteuid(),
        sudo_user: std::env::var("SUDO_USER").ok().filter(|name| !name.is_empty()),
    });
}

/// Remembers why it is done.
pub(crate) fn because(reason: Option<&str>) {
    if let Some(reason) = reason {
        let _ = REASON.set(reason.to_owned());
    }
}

/// What is sent to the server with a request.
pub(crate) fn told() -> Told {
    Told {
        sudo_user: ASKING.get().and_then(|asking| asking.sudo_user.clone()),
        reason: REASON.get().cloned(),
    }
}

/// Records what this command has done itself, with its current rights. If it cannot be recorded, that is reported, but the action
/// stands.
pub(crate) fn record(
    (folder, keep): &(PathBuf, Duration),
    act: &str,
    what: Option<String>,
    changed: Option<u64>,
) {
    let uid = ASKING.get().map_or_else(geteuid, |asking| asking.uid);
    let asking = Asking {
        by: &super::administrator(uid),
        way: By::Control,
        uid: Some(uid.as_raw()),
        trusts: true,
        told: told(),
    };
    let act = Act {
        source: "command".to_owned(),
        ..made((act, what), changed, asking)
    };
    if let Err(error) = write(folder, &act, *keep) {
        eprintln!(
            "postern: not recorded in the history: {}",
            visible::line(&error.to_string())
        );
    }
}

fn made((act, what): (&str, Option<String>), changed: Option<u64>, asking: Asking<'_>) -> Act {
    let cut = |text: String| text.chars().take(TEXT_MAX).collect();
    Act {
        at: Timestamp::now(),
        by: asking.by.to_owned(),
        uid: asking.uid,
        told: asking.told.sudo_user.map(cut),
        act: act.to_owned(),
        what: what.map(cut),
        reason: asking.told.reason.map(cut),
        source: asking.way.source().to_owned(),
        changed,
    }
}

fn write(folder: &Path, act: &Act, keep: Duration) -> Result<(), postern_history::ActsError> {
    Acts::open(folder)?.record(act, keep)
}

/// Records what the server has done on request; nothing if that was not an action, or had no effect.
pub(super) async fn record_answer(
    asked: Option<(&'static str, Option<String>)>,
    reply: &Reply,
    asking: Asking<'_>,
    (folder, keep): (PathBuf, Duration),
    observers: &Observers,
) {
    let (Some((act, what)), Reply::Done(done)) = (asked, reply) else {
        return;
    };
    let changed = done.get("changed").and_then(serde_json::Value::as_u64);
    // An account is put on hold, or released, whether or not it had queued mail.
    if changed == Some(0) && !act.starts_with("account ") {
        return;
    }
    let act = made((act, what), changed, asking);
    let written = tokio::task::spawn_blocking(move || write(&folder, &act, keep)).await;
    let problem = match written {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(gone) => gone.to_string(),
    };
    notice!(observers, Control Warning "act not recorded in the history", Error = shown(&problem));
}

/// What a request does, and to what, if it changes something.
pub(crate) fn of(request: &Request) -> Option<(&'static str, Option<String>)> {
    Some(match request {
        Request::Queue(operation) => return of_queue(operation),
        Request::Reload => ("reload", None),
        Request::RecheckLogins => ("sessions recheck", None),
        Request::EndSessions(which) => ("sessions end", Some(sessions(which))),
        Request::Unlock { login, network } => {
            let network = network.map(|network| network.to_string());
            (
                "auth unlock",
                Some(joined([("login", login.clone()), ("network", network)])),
            )
        }
        Request::HoldAccount(wish) => ("account hold", Some(wish.account.clone())),
        Request::ReleaseAccount(wish) if wish.remove => {
            ("account release --remove", Some(wish.account.clone()))
        }
        Request::ReleaseAccount(wish) => ("account release", Some(wish.account.clone())),
        Request::Users(asked) if !asked.looks() => (asked.name(), asked.what()),
        Request::ApiTokens(TokenRequest::Create(wanted)) => (
            "api token create",
            Some(format!("{}: {}", wanted.name, wanted.role.name())),
        ),
        Request::ApiTokens(TokenRequest::Revoke { name }) => ("api token revoke", Some(name.clone())),
        Request::Factors(FactorRequest::Confirm { login, .. }) => ("api factor add", Some(login.clone())),
        Request::Factors(FactorRequest::Remove { login, .. }) => ("api factor remove", Some(login.clone())),
        Request::Link => ("api link", None),
        _ => return None,
    })
}

/// The same for queue operations.
pub(crate) fn of_queue(operation: &Operation) -> Option<(&'static str, Option<String>)> {
    Some(match operation {
        Operation::Hold(which) => ("queue hold", Some(messages(which))),
        Operation::Release(which) => ("queue release", Some(messages(which))),
        Operation::Retry(which) => ("queue retry", Some(messages(which))),
        Operation::Remove(which) => ("queue remove", Some(messages(which))),
        Operation::Flush { domain } => ("queue flush", domain.clone()),
        Operation::Recover { import: true } => ("queue recover", None),
        Operation::Recover { import: false }
        | Operation::List { .. }
        | Operation::Show { .. }
        | Operation::Content { .. } => return None,
    })
}

fn messages(which: &Which) -> String {
    if !which.ids.is_empty() {
        return which.ids.join(" ");
    }
    joined([
        ("domain", which.domain.clone()),
        ("sender", which.sender.clone()),
        ("login", which.login.clone()),
        ("held", which.held.then(|| "yes".to_owned())),
        ("sandboxed", which.sandboxed.then(|| "yes".to_owned())),
    ])
}

fn sessions(which: &WhichSessions) -> String {
    joined([
        ("login", which.login.clone()),
        ("network", which.network.clone()),
        ("listener", which.listener.clone()),
    ])
}

/// All given values, each with its name; `all` if there are none.
fn joined<const N: usize>(parts: [(&str, Option<String>); N]) -> String {
    let given = parts.into_iter();
    let given: Vec<String> = given
        .filter_map(|(name, value)| Some(format!("{name}={}", value?)))
        .collect();
    match given.is_empty() {
        true => "all".to_owned(),
        false => given.join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_administrator_does() {
        let which = |ids: &[&str], domain: Option<&str>| Which {
            ids: ids.iter().map(|id| (*id).to_owned()).collect(),
            domain: domain.map(str::to_owned),
            ..Which::default()
        };
        let unlock = Request::Unlock {
            login: Some("anna".into()),
            network: None,
        };
        #[rustfmt::skip]
        let cases = [
            // what the case shows    the request                                                     the act
            ("by ids",                Request::Queue(Operation::Hold(which(&["A", "B"], None))),      Some(("queue hold", Some("A B"))) ),
            ("by a domain",           Request::Queue(Operation::Remove(which(&[], Some("d.example")))), Some(("queue remove", Some("domain=d.example")))),
            ("everything",            Request::Queue(Operation::Retry(which(&[], None))),             Some(("queue retry", Some("all")))),
            ("a flush",               Request::Queue(Operation::Flush { domain: None }),              Some(("queue flush", None))),
            ("a look",                Request::Queue(Operation::Show { id: "A".into() }),             None),
            ("a dry run",             Request::Queue(Operation::Recover { import: false }),           None),
            ("a reload",              Request::Reload,                                                Some(("reload", None))),
            ("sessions",              Request::EndSessions(WhichSessions::default()),                 Some(("sessions end", Some("all")))),
            ("logins are rechecked",  Request::RecheckLogins,                                         Some(("sessions recheck", None))),
            ("a lockout",             unlock,                                                         Some(("auth unlock", Some("login=anna")))),
            ("a status",              Request::Status,                                                None),
        ];
        for (shows, request, wanted) in cases {
            let wanted = wanted.map(|(act, what)| (act, what.map(str::to_owned)));
            assert_eq!(of(&request), wanted, "{shows}");
        }
    }

    #[test]
    fn a_request_says_why_and_older_programs_say_nothing() {
        let said = super::super::protocol::Asked {
            request: Request::Queue(Operation::Flush {
                domain: Some("d.example".into()),
            }),
            told: Told {
                sudo_user: Some("anna".into()),
                reason: Some("their host is back".into()),
            },
        };
        let text = serde_json::to_string(&said).unwrap();
        let read: super::super::protocol::Asked = serde_json::from_str(&text).unwrap();
        assert!(
            matches!(read.request, Request::Queue(Operation::Flush { domain: Some(_) })),
            "{text}"
        );
        assert_eq!(read.told.reason.as_deref(), Some("their host is back"));
        for old in [
            r#"{"do":"status"}"#,
            r#"{"do":"queue","operation":"show","id":"A"}"#,
        ] {
            let read: super::super::protocol::Asked = serde_json::from_str(old).unwrap();
            assert!(read.told.reason.is_none(), "{old}");
        }
    }
}
