//! What is said on the control socket: one JSON value a line, a request and its answers.
//!
//! The types that answers are made of are also what `--json` prints.

use jiff::Timestamp;
use jiff::civil::Date;
use postern_deliver::PlacesStatus;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::findings::{Finding, Verdict};
use super::wishes::{AccountWish, Follow, Told};

/// Longest line in either direction, in octets.
pub(crate) const LINE_MAX: usize = 16 << 20;

/// The name of the socket in the state directory.
pub(crate) const SOCKET: &str = "control.sock";

/// A request as it goes over the socket, with what is told besides.
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
    /// The next hops that delivery knows of.
    Destinations,
    /// What the server is and how much it has to do.
    Status,
    /// Statistics, a value for each day that has any.
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
    /// Who has logged in by which mechanism.
    Logins,
    /// The open sessions.
    Sessions(WhichSessions),
    /// End sessions.
    EndSessions(WhichSessions),
    /// A session, over or not, as far as it is remembered.
    Session {
        /// Its id.
        session: String,
    },
    /// What happens from now on, as long as the client listens.
    Follow(Follow),
    /// Write what has happened so far to the history on disk, and what was counted there.
    History,
    /// The accounts on hold.
    Accounts,
    /// What is known of an account.
    Account {
        /// Its login, or its network.
        account: String,
    },
    /// Put an account on hold.
    HoldAccount(AccountWish),
    /// Let an account go.
    ReleaseAccount(AccountWish),
    /// The budgets in force, with their use.
    Budgets,
    /// Accounts have changed: end the sessions whose login is no longer valid.
    RecheckLogins,
    /// The providers of tokens and how they do.
    Providers,
    /// Who is locked out, or slowed.
    Lockouts,
    /// Let somebody in again: all that is given has to match, and nothing given is everybody.
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
}

/// What can be done with the queue, by the server or on the spool itself.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "operation", rename_all = "kebab-case")]
pub(crate) enum Operation {
    /// A piece of the listing.
    List {
        /// Which messages.
        filter: Which,
        /// Only those after this queue id.
        after: Option<String>,
        /// Most messages.
        limit: u32,
    },
    /// Everything about one message but its content.
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
    /// Let go.
    Release(Which),
    /// Try again now.
    Retry(Which),
    /// Remove for good.
    Remove(Which),
    /// Take messages out of what was put aside, or show which those are.
    Recover {
        /// Whether they come into the queue.
        import: bool,
    },
    /// Try again now, all for a domain or all.
    Flush {
        /// The recipient domain.
        domain: Option<String>,
    },
}

/// Which messages: those with these ids if there are any, else those that match all that is given.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Which {
    pub(crate) ids: Vec<String>,
    pub(crate) domain: Option<String>,
    pub(crate) sender: Option<String>,
    #[serde(default)]
    pub(crate) login: Option<String>,
    pub(crate) held: bool,
}

/// One line of an answer. [`Reply::Piece`] and [`Reply::Items`] are followed by others, the rest ends it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Reply {
    /// A piece of content, in base64.
    Piece(String),
    /// The first elements of a long list; the result has the others.
    Items(Vec<Value>),
    /// The result.
    Done(Value),
    /// Nothing of that name.
    NotFound(String),
    /// It did not work, and why.
    Failed(String),
}

/// One message in a listing.
#[derive(Clone, Debug, Deserialize, Serialize)]
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
    /// What kind of failure that was, and what the host was waited for; see [`postern_mail::FailureKind`].
    #[serde(default)]
    pub(crate) failure: Option<String>,
    #[serde(default)]
    pub(crate) stage: Option<String>,
    /// Why it is held, and by whom.
    pub(crate) hold: Option<String>,
    /// The rule by which it is held, and the mail filter that has decided so.
    #[serde(default)]
    #[serde(rename = "rule")]
    pub(crate) hold_rule: Option<String>,
    #[serde(default)]
    #[serde(rename = "milter")]
    pub(crate) hold_milter: Option<String>,
    /// What is wrong with it, where it is damaged.
    #[serde(default)]
    pub(crate) damaged: Option<String>,
    pub(crate) login: Option<String>,
}

/// A piece of the listing.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Listing {
    pub(crate) messages: Vec<MessageLine>,
    /// Whether there may be more behind the last one.
    pub(crate) more: bool,
    pub(crate) totals: Totals,
}

/// The size of the whole queue.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Totals {
    pub(crate) messages: u64,
    pub(crate) recipients: u64,
    pub(crate) held: u64,
    /// Those held because they are damaged.
    #[serde(default)]
    pub(crate) damaged: u64,
    /// How often the queue's database could not be read since the start.
    #[serde(default)]
    pub(crate) unreadable: u64,
    /// Octets.
    pub(crate) size: u64,
}

/// Everything about one message.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct MessageView {
    #[serde(flatten)]
    pub(crate) line: MessageLine,
    pub(crate) envid: Option<String>,
    pub(crate) session: Option<String>,
    /// Header fields that Postern has put in front.
    pub(crate) prefix: String,
    pub(crate) all_recipients: Vec<RecipientView>,
}

/// One recipient of a message.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct RecipientView {
    #[serde(rename = "to")]
    pub(crate) address: String,
    /// `fresh`, `queued`, `held`, or the outcome: `delivered`, `bounced`, `expired`, `removed`.
    pub(crate) state: String,
    /// When it is tried next; none once it has its outcome.
    pub(crate) due_at: Option<Timestamp>,
    pub(crate) attempts: u32,
    /// The host of the last attempt.
    pub(crate) relay: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) reply: Option<String>,
    /// What kind of failure it was, and what the host was waited for.
    #[serde(default)]
    pub(crate) failure: Option<String>,
    #[serde(default)]
    pub(crate) stage: Option<String>,
    /// Who removed it.
    pub(crate) by: Option<String>,
}

/// Which sessions: all that is given has to match, and nothing given is every session.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct WhichSessions {
    pub(crate) login: Option<String>,
    /// `ADDRESS/BITS`.
    pub(crate) network: Option<String>,
    pub(crate) listener: Option<String>,
}

/// A session that is remembered.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct PastSession {
    pub(crate) session: String,
    /// Events that had no room.
    pub(crate) left_out: u32,
    /// Outcomes that have made room for later ones.
    pub(crate) outcomes_left_out: u32,
    pub(crate) steps: Vec<PastStep>,
}

/// One thing that happened in it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct PastStep {
    pub(crate) at: Timestamp,
    /// The words of the event, as the log has them.
    pub(crate) event: String,
    /// Its fields, by their names in the log.
    #[serde(flatten)]
    pub(crate) fields: Map<String, Value>,
}

/// The server as a whole.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Status {
    pub(crate) version: String,
    /// Of the server.
    pub(crate) process: u32,
    pub(crate) started_at: Timestamp,
    /// The gravest of the findings.
    pub(crate) verdict: Verdict,
    /// What is not well, the gravest first.
    pub(crate) findings: Vec<Finding>,
    /// Sessions under way.
    pub(crate) sessions: u32,
    /// The most that there may be.
    pub(crate) sessions_max: u64,
    pub(crate) queue: Totals,
    /// Age of the oldest message in seconds; none in an empty queue.
    pub(crate) oldest_s: Option<u64>,
    /// Octets that may still be written on the queue's disk, where the system says.
    pub(crate) disk_free: Option<u64>,
    /// The places for connections of each kind of mail.
    pub(crate) connections: Vec<PlacesStatus>,
    /// Those that know logins or recipients.
    pub(crate) directories: Vec<StatusDirectory>,
    /// Why no mail is taken just now; none if it is.
    pub(crate) problem: Option<String>,
}

/// A directory, in few words.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct StatusDirectory {
    pub(crate) directory: String,
    /// `up`, `down`, or `unknown` when it was not asked yet.
    pub(crate) state: String,
}

/// A message in what was put aside.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct RecoveredLine {
    #[serde(rename = "queue")]
    pub(crate) id: String,
    /// Empty for `<>`, and where it cannot be read.
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
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct DirectoryLine {
    /// Its kind and its place in the configuration, from 1.
    pub(crate) directory: String,
    /// `up`, `down`, or `unknown` when it was not asked yet.
    pub(crate) state: String,
    pub(crate) since: Option<Timestamp>,
    pub(crate) asked_at: Option<Timestamp>,
    /// When it did not answer last, and why.
    pub(crate) failed_at: Option<Timestamp>,
    pub(crate) last_error: Option<String>,
}

/// A lockout, or a login that is slowed.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct LockoutLine {
    /// The network; none for a login that is slow from all networks that it has not logged in from.
    pub(crate) network: Option<String>,
    /// The login, in the form in which spellings of it are one; none for all logins of a network, but those that have succeeded
    /// from there.
    pub(crate) login: Option<String>,
    /// Failed logins that count.
    pub(crate) failures: u32,
    /// How many lockouts in a row this is.
    pub(crate) lockouts: u32,
    /// Until when; none for a login that is only slow.
    pub(crate) until: Option<Timestamp>,
}

/// One provider of tokens.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct ProviderLine {
    pub(crate) issuer: String,
    /// `keys` or `introspection`.
    pub(crate) check: String,
    /// Why it did not answer when it was asked last; none if it did.
    pub(crate) problem: Option<String>,
    /// Names and kinds of its keys.
    pub(crate) keys: Option<String>,
    /// How old they are, in seconds.
    pub(crate) age: Option<u64>,
}

/// How many messages or recipients an operation has changed.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Changed {
    pub(crate) changed: u64,
}
