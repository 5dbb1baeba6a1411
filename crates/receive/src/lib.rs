//! Accepts mail: from accept to `250`.
//!
//! [`Receiver`] serves listeners. Each connection is one task that drives a
//! [`Dialogue`](postern_smtp::server::Dialogue): it reads, puts the dialogue's questions to policy and directories, streams
//! bodies into the spool, and writes the replies to pipelined commands with one call. A message answered with `250` is in the
//! spool; what takes it from there is not known here.

pub mod access;
mod budgets;
mod connection;
mod content;
mod count;
mod deps;
mod device;
mod greeting;
mod http_door;
mod identity;
mod intake;
mod io;
pub mod judge;
mod lapse;
mod limited;
mod limits;
mod live;
mod load;
mod local;
mod local_messages;
mod login;
mod milters;
mod names;
mod next_hops;
mod opening;
mod password;
mod probe;
mod profile;
mod profile_cache;
mod protocol;
mod receiver;
mod recipient;
mod remember;
mod room;
mod sandbox;
pub mod scope;
pub mod screen;
mod sender;
mod session;
mod session_id;
mod sessions;
mod settings;
mod shared;
mod sockets;
mod stamp;
mod standing;
mod time;
mod usage;

pub use access::{AccessSettings, ServiceSettings};
pub use budgets::{
    AccountInfo, BoundInfo, BudgetNews, BudgetObserver, BudgetSettings, Budgets, Countries, CountriesError,
    MarkInfo, MessageInfo, NetworkInfo, OnHold, is_unknown_recipient,
};
pub use content::{Content, ContentSettings, Copy};
pub use deps::Deps;
pub use http_door::{HttpDoor, HttpLogin};
pub use identity::{alias_targets, identity_of};
pub use live::{SessionFilter, SessionInfo};
pub use load::LoadGauge;
pub use local::{Accounts, LocalDoor, local_user};
pub use milters::FailingMilter;
pub use milters::facts::{way_of_recipient, way_of_sender};
pub use next_hops::{AskNextHop, HopAnswer, NextHops, Told};
pub use password::PasswordTry;
pub use postern_policy::probe::ProbeSettings;
pub use receiver::Receiver;
pub use remember::budgets::BudgetsError;
pub use remember::usage::login_counts;
pub use settings::{
    AuthRule, AuthSettings, BareAddresses, BareLineEndings, Extensions, HTTP, KerberosLogins, LOCAL, Limits,
    ListenerSettings, ListenerTls, MilterSettings, Plaintext, Role, Settings, Timeouts,
};
pub use sockets::{
    HomePattern, HomePatternError, MailAccounts, SocketListener, SocketProtocol, SocketSettings,
};
pub use usage::{LoginCount, OTHERS, USAGE_MAX};
