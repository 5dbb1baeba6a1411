//! What local users may see of the queue: only their own mail.

use std::io;
use std::time::Duration;

use arc_swap::ArcSwap;
use nix::unistd::{Uid, User, geteuid};
use postern_policy::local::label;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::UnixStream;

use super::answer::{Deps, reply};
use crate::admin::permit::{Permit, permit};
use crate::admin::{By, Role, Who};
use crate::control::protocol::{Asked, Listing, Operation, Reply, Request, Totals};
use crate::control::queue::perform;
use crate::control::wishes::Told;
use crate::control::writing::{send, send_all};
use crate::control::{self, acts};

/// Longest silence of a user's program.
const IDLE_MAX: Duration = Duration::from_secs(10);

/// Longest request.
const REQUEST_MAX: u64 = 4_096;

/// The asking user.
struct Asking {
    /// Name and uid.
    label: String,
    uid: Uid,
    /// Whether the user may see the whole queue.
    all: bool,
}

/// Serves one program until it disconnects, is silent, or sends an invalid request.
pub(super) async fn converse(
    stream: UnixStream,
    deps: &Deps,
    queue_users: &ArcSwap<Vec<String>>,
) -> io::Result<()> {
    let uid = Uid::from_raw(stream.peer_cred()?.uid());
    let name = tokio::task::spawn_blocking(move || User::from_uid(uid).ok().flatten().map(|user| user.name));
    let name = name.await.ok().flatten();
    let listed = name
        .as_ref()
        .is_some_and(|name| queue_users.load().iter().any(|user| user == name));
    let asking = Asking {
        label: label(uid.as_raw(), name.as_deref()),
        uid,
        all: uid.is_root() || uid == geteuid() || listed,
    };
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    loop {
        let mut line = Vec::new();
        let mut bounded = (&mut read).take(REQUEST_MAX);
        match tokio::time::timeout(IDLE_MAX, bounded.read_until(b'\n', &mut line)).await {
            Ok(Ok(1..)) if line.ends_with(b"\n") => {}
            _ => return Ok(()),
        }
        let reply = match serde_json::from_slice(&line) {
            Ok(Asked {
                request: Request::Queue(operation),
                told,
            }) => answer(operation, told.reason, &asking, deps).await,
            _ => return send(&mut write, &Reply::Failed("only the queue is shown here".into())).await,
        };
        send_all(&mut write, reply).await?;
    }
}

impl Asking {
    /// The request to the queue: unchanged for listings and flushes by those who may see the whole queue; otherwise restricted to
    /// the user's own mail, by the rule that holds for every kind of access.
    fn permit(&self, operation: Operation) -> Option<Operation> {
        match (self.all, &operation) {
            (true, Operation::List { .. } | Operation::Flush { .. }) => return Some(operation),
            (false, Operation::List { .. }) => {}
            _ => return None,
        }
        let who = Who {
            name: self.label.clone(),
            role: Role::Own,
            by: By::Peer,
            login: Some(self.label.clone()),
            uid: None,
            scope: None,
        };
        match permit(&who, Request::Queue(operation)) {
            Permit::Ask(Request::Queue(operation)) => Some(operation),
            _ => None,
        }
    }
}

async fn answer(operation: Operation, reason: Option<String>, asking: &Asking, deps: &Deps) -> Reply {
    let Some(operation) = asking.permit(operation) else {
        return Reply::Failed(
            "only root and the accounts of `queue_users` in [local] may do this".to_owned(),
        );
    };
    let act = acts::of_queue(&operation);
    let reply = reply(perform(&*deps.spool, &operation, &asking.label).await);
    let who = control::asking::Asking {
        by: &asking.label,
        way: By::Control,
        uid: Some(asking.uid.as_raw()),
        trusts: false,
        // Through whom this user asks would be their own word.
        told: Told {
            sudo_user: None,
            reason,
        },
    };
    let acts = deps.acts.load().as_ref().clone();
    acts::record_answer(act, &reply, who, acts, &deps.observers).await;
    match reply {
        Reply::Done(listing) if !asking.all => Reply::Done(own_totals(listing)),
        reply => reply,
    }
}

/// The totals of what is listed, instead of those of the whole queue.
fn own_totals(listing: Value) -> Value {
    let Ok(mut listing) = serde_json::from_value::<Listing>(listing) else {
        return Value::Null;
    };
    listing.totals = Totals {
        messages: listing.messages.len() as u64,
        recipients: listing
            .messages
            .iter()
            .map(|message| u64::from(message.open))
            .sum(),
        held: listing
            .messages
            .iter()
            .filter(|message| message.hold.is_some())
            .count() as u64,
        size: listing.messages.iter().map(|message| message.size).sum(),
        ..Totals::default()
    };
    serde_json::to_value(listing).unwrap_or_default()
}
