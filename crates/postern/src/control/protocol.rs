//! The protocol of the control socket: one JSON value per line, a request and its answers.
//!
//! The types of the answers are also what `--json` prints.

use jiff::Timestamp;
use jiff::civil::Date;
use postern_deliver::PlacesStatus;
use postern_policy::rule::Rule;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::findings::{Finding, Verdict};
use super::wishes::{AccountWish, Follow, Told};
use crate::admin::requests::{ActsRequest, FactorRequest, TokenRequest, TraceRequest, UserRequest};

/// Longest line in either direction, in octets.
pub(crate) const LINE_MAX: usize = 16 << 20;

/// The name of the socket in the state directory.
pub(crate) const SOCKET: &str = "control.sock";

/// A request as sent over the socket, with additional data.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Asked {
    #[serde(flatten)]
    pub(crate) request: Request,
    #[serde(default)]
    pub(crate) told: Told,
}

/// What a client asks for.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub(crate) enum Request {
    /// Anything about the queue.
    Queue(Operation),
    /// The next hops known to delivery.
    Destinations,
    /// The server's state and load.
    Status,
    /// Statistics, a value for each day with any.
    Statistics {
        /// The first day, in UTC.
        from: Date,
        /// The last one.
        to: Date,
    },
    /// Read configuration and certificates again.
    Reload,
    /// The configuration in force.
    Configuration,
    /// Who has logged in with which mechanism.
    Logins,
    /// The open sessions.
    Sessions(WhichSessions),
    /// End sessions.
    EndSessions(WhichSessions),
    /// A session, open or ended, as far as it is remembered.
    Session {
        /// Its id.
        session: String,
    },
    /// Events from now on, as long as the client listens.
    Follow(Follow),
    /// How webhooks do.
    Webhooks,
    /// Flush the history on disk, and return its counters.
    History,
    /// The accounts on hold.
    Accounts,
    /// What is known about an account.
    Account {
        /// Its login, or its network.
        account: String,
    },
    /// Put an account on hold.
    HoldAccount(AccountWish),
    /// Release an account.
    ReleaseAccount(AccountWish),
    /// The budgets in force, with their use.
    Budgets,
    /// Accounts have changed: end the sessions whose login is no longer valid.
    RecheckLogins,
    /// The providers of tokens and their health.
    Providers,
    /// Who is locked out, or slowed.
    Lockouts,
    /// Lift lockouts: everything given must match; if nothing is given, all are lifted.
    Unlock {
        /// The login.
        login: Option<String>,
        /// An address of the network.
        network: Option<std::net::IpAddr>,
    },
    /// The directories and whether they answer.
    Directories {
        /// Whether to ask them all now.
        check: bool,
    },
    /// Postern's own users.
    Users(UserRequest),
    /// A search in the history.
    Trace(TraceRequest),
    /// Actions of administrators.
    Acts(ActsRequest),
    /// The certificates in use.
    Certificates,
    /// The signing keys, with their DNS records.
    Dkim,
    /// API tokens.
    ApiTokens(TokenRequest),
    /// Second factors of logins at the page.
    Factors(FactorRequest),
    /// A link that opens the page once, without a login.
    Link,
}

/// What can be done with the queue, by the server or on the spool itself.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "operation", rename_all = "kebab-case")]
pub(crate) enum Operation {
    /// A page of the listing.
    List {
        /// Which messages.
        filter: Which,
        /// Only those after this queue id.
        after: Option<String>,
        /// Most messages.
        limit: u32,
    },
    /// Everything about one message except its content.
    Show {
        /// The queue id.
        id: String,
    },
    /// The content of one message, in pieces.
    Content {
        /// The queue id.
        id: String,
    },
    /// Keep from delivery.
    Hold(Which),
    /// Release.
    Release(Which),
    /// Try again now.
    Retry(Which),
    /// Remove permanently.
    Remove(Which),
    /// Recover messages from files that were moved aside, or list them.
    Recover {
        /// Whether to put them into the queue.
        import: bool,
    },
    /// Try again now, all for a domain or everything.
    Flush {
        /// The recipient domain.
        domain: Option<String>,
    },
}

/// Which messages: those with these ids if there are any, otherwise those that match everything given.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Which {
    pub(crate) ids: Vec<String>,
    pub(crate) domain: Option<String>,
    pub(crate) sender: Option<String>,
    #[serde(default)]
    pub(crate) login: Option<String>,
    pub(crate) held: bool,
    #[serde(default)]
    pub(crate) sandboxed: bool,
}

/// One line of an answer. [`Reply::Piece`] and [`Reply::Items`] are followed by more, the others end it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Reply {
    /// A piece of content, in base64.
    Piece(String),
    /// The first elements of a long list; the result has the rest.
    Items(Vec<Value>),
    /// The result.
    Done(Value),
    /// There is nothing with that name.
    NotFound(String),
    /// The request was not valid, and why.
    Bad(String),
    /// The request failed, and why.
    Failed(String),
}

/// One message in a listing.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct MessageLine {
    #[serde(rename = "queue")]
    pub(crate) id: String,
    /// Empty for `<>`.
    #[serde(rename = "from")]
    pub(crate) sender: String,
    pub(crate) received_at: Timestamp,
    /// Octets.
    pub(crate) size: u64,
    /// Recipients in all.
    pub(crate) recipients: u32,
    /// Recipients that wait.
    pub(crate) open: u32,
    /// The first one that waits.
    pub(crate) first_recipient: String,
    pub(crate) next_due: Timestamp,
    pub(crate) attempts: u32,
    pub(crate) last_reply: String,
    /// The kind of failure, and what was being waited for; see [`postern_mail::FailureKind`].
    #[serde(default)]
    pub(crate) failure: Option<String>,
    #[serde(default)]
    pub(crate) stage: Option<String>,
    /// Why it is held, and by whom.
    pub(crate) hold: Option<String>,
    /// The rule by which it is held, and the mail filter that decided so.
    #[serde(default)]
    #[serde(rename = "rule")]
    pub(crate) hold_rule: Option<String>,
    #[serde(default)]
    #[serde(rename = "milter")]
    pub(crate) hold_milter: Option<String>,
    /// What is wrong with it, if it is damaged.
    #[serde(default)]
    pub(crate) damaged: Option<String>,
    pub(crate) login: Option<String>,
}

impl MessageLine {
    /// Whether it is in the sandbox: it is never delivered.
    pub(crate) fn is_sandboxed(&self) -> bool {
        self.hold_rule.as_deref() == Some(Rule::SandboxKept.name())
    }
}

/// A page of the listing.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
pub(crate) struct Listing {
    pub(crate) messages: Vec<MessageLine>,
    /// Whether there may be more after the last one.
    pub(crate) more: bool,
    pub(crate) totals: Totals,
}

/// The size of the whole queue.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, ToSchema)]
pub(crate) struct Totals {
    pub(crate) messages: u64,
    pub(crate) recipients: u64,
    pub(crate) held: u64,
    /// Messages held because they are damaged.
    #[serde(default)]
    pub(crate) damaged: u64,
    /// Those that are never delivered; `held` does not count them.
    #[serde(default)]
    pub(crate) sandboxed: u64,
    /// How often the queue's database could not be read since the start.
    #[serde(default)]
    pub(crate) unreadable: u64,
    /// Octets.
    pub(crate) size: u64,
}

/// Everything about one message.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct MessageView {
    #[serde(flatten)]
    pub(crate) line: MessageLine,
    pub(crate) envid: Option<String>,
    pub(crate) session: Option<String>,
    /// Header fields added on top by Postern.
    pub(crate) prefix: String,
    pub(crate) all_recipients: Vec<RecipientView>,
}

/// One recipient of a message.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct RecipientView {
    #[serde(rename = "to")]
    pub(crate) address: String,
    /// `fresh`, `queued`, `held`, or the outcome: `delivered`, `bounced`, `expired`, `removed`.
    pub(crate) state: String,
    /// When it is tried next; none once it has an outcome.
    pub(crate) due_at: Option<Timestamp>,
    pub(crate) attempts: u32,
    /// The host of the last attempt.
    pub(crate) relay: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) reply: Option<String>,
    /// The kind of failure, and what was being waited for.
    #[serde(default)]
    pub(crate) failure: Option<String>,
    #[serde(default)]
    pub(crate) stage: Option<String>,
    /// Who removed it.
    pub(crate) by: Option<String>,
}

/// Which sessions: everything given must match; if nothing is given, every session does.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct WhichSessions {
    pub(crate) login: Option<String>,
    /// `ADDRESS` or `ADDRESS/BITS`.
    pub(crate) network: Option<String>,
    pub(crate) listener: Option<String>,
}

/// A session that is remembered.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct PastSession {
    pub(crate) session: String,
    /// Events dropped for lack of room.
    pub(crate) left_out: u32,
    /// Outcomes dropped in favour of later ones.
    pub(crate) outcomes_left_out: u32,
    pub(crate) steps: Vec<PastStep>,
}

/// One event in it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct PastStep {
    pub(crate) at: Timestamp,
    /// The words of the event, as in the log.
    pub(crate) event: String,
    /// Its fields, by their names in the log.
    #[serde(flatten)]
    pub(crate) fields: Map<String, Value>,
}

/// The server as a whole.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Status {
    pub(crate) version: String,
    /// The server's process id.
    pub(crate) process: u32,
    pub(crate) started_at: Timestamp,
    /// The most severe verdict of the findings.
    pub(crate) verdict: Verdict,
    /// What is not well, the most severe first.
    pub(crate) findings: Vec<Finding>,
    /// Open sessions.
    pub(crate) sessions: u32,
    /// The limit on open sessions.
    pub(crate) sessions_max: u64,
    pub(crate) queue: Totals,
    /// Age of the oldest message in seconds; none in an empty queue.
    pub(crate) oldest_s: Option<u64>,
    /// Free octets on the queue's disk, if the system tells.
    pub(crate) disk_free: Option<u64>,
    /// The connections for each kind of mail.
    pub(crate) connections: Vec<PlacesStatus>,
    /// Those that know logins or recipients.
    pub(crate) directories: Vec<StatusDirectory>,
    /// Why no mail is currently accepted; none if it is.
    pub(crate) problem: Option<String>,
}

/// A directory, in short.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct StatusDirectory {
    pub(crate) directory: String,
    /// `up`, `down`, or `unknown` if it was not asked yet.
    pub(crate) state: String,
}

/// A message in files that were moved aside.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct RecoveredLine {
    #[serde(rename = "queue")]
    pub(crate) id: String,
    /// Empty for `<>`, and if it cannot be read.
    #[serde(rename = "from")]
    pub(crate) sender: String,
    /// Those without an outcome.
    pub(crate) recipients: Vec<String>,
    /// Octets.
    pub(crate) size: u64,
    /// The folder that it was in, below `aside` in the state directory.
    pub(crate) found_in: String,
}

/// One directory.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct DirectoryLine {
    /// Its kind and its place in the configuration, from 1.
    pub(crate) directory: String,
    /// `up`, `down`, or `unknown` if it was not asked yet.
    pub(crate) state: String,
    pub(crate) since: Option<Timestamp>,
    pub(crate) asked_at: Option<Timestamp>,
    /// When it last failed to answer, and why.
    pub(crate) failed_at: Option<Timestamp>,
    pub(crate) last_error: Option<String>,
}

/// A lockout, or a slowed login.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct LockoutLine {
    /// The network; none for a login that is slowed from all networks from which it has not logged in.
    pub(crate) network: Option<String>,
    /// The login, in normalised form; none for all logins from a network, except those that have succeeded from there.
    pub(crate) login: Option<String>,
    /// Failed logins that count.
    pub(crate) failures: u32,
    /// The number of consecutive lockouts.
    pub(crate) lockouts: u32,
    /// Until when; none for a login that is only slowed.
    pub(crate) until: Option<Timestamp>,
}

/// One provider of tokens.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct ProviderLine {
    pub(crate) issuer: String,
    /// `keys` or `introspection`.
    pub(crate) check: String,
    /// Why it did not answer the last time it was asked; none if it did.
    pub(crate) problem: Option<String>,
    /// Names and kinds of its keys.
    pub(crate) keys: Option<String>,
    /// Their age in seconds.
    pub(crate) age: Option<u64>,
}

/// How many messages or recipients an operation has changed.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct Changed {
    pub(crate) changed: u64,
}

/// The same of the queue.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct QueueChanged {
    pub(crate) changed: u64,
    /// Messages that were meant, and stay as they are because they are in the sandbox.
    #[serde(default)]
    pub(crate) sandboxed: u64,
}
