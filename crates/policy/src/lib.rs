//! Every decision as a pure function from facts to a verdict with its explanation.
//!
//! Nothing here opens a socket or a file, reads a clock, draws a random number, or awaits: facts, the time and the seed
//! of a random choice come in as arguments.

pub mod access;
pub mod admission;
pub mod alias;
pub mod allowance;
pub mod authenticity;
pub mod body;
pub mod breadth;
pub mod budget;
pub mod concurrency;
pub mod copy;
pub mod device;
pub mod domain_set;
pub mod fair;
pub mod header_check;
pub mod identity;
pub mod limit;
pub mod local;
pub mod login;
pub mod milter;
pub mod mta_sts;
pub mod network;
pub mod noise;
pub mod origin;
pub mod patience;
pub mod principal;
pub mod privacy;
pub mod probe;
pub mod queue;
pub mod reach;
pub mod recipient;
pub mod relay;
pub mod retry;
pub mod rewrite;
pub mod room;
pub mod route;
pub mod rule;
pub mod sandbox;
pub mod scope;
pub mod screen;
pub mod signing;
pub mod srs;
pub mod standing;
pub mod system_user;
pub mod throttle;
pub mod transport;
mod ttl_cache;
pub mod units;

pub use domain_set::{AskedDomains, DomainSet};
pub use rule::{Rule, Ruling, Told, Verdict};
pub use ttl_cache::TtlCache;
