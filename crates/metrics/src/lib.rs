//! Numbers made of events, as Prometheus reads them.
//!
//! [`Metrics`] is an observer: it counts what it is told of. That costs an atomic addition or two an event, no lock and no
//! memory; where nobody reads the numbers it is switched off and costs a look at a flag. What can be asked at any time, such as
//! the size of the queue, is not counted but handed in with each reading, as a [`Snapshot`].
//!
//! The names of the families and of their labels are a contract ([`FAMILIES`], `docs/metrics.md`), as those of events are. No label holds
//! what a client can choose: its values come from types or from names in the configuration, so that the number of series is bounded.

mod atoms;
mod contract;
mod exposition;
mod metrics;
mod names;
mod observer;
mod page;
mod process;
mod reference;
mod snapshot;

pub use contract::{FAMILIES, Family, Kind, Label};
pub use exposition::Format;
pub use metrics::{ConfiguredNames, Metrics};
pub use process::Process;
pub use reference::reference;
pub use snapshot::{Places, Queue, Snapshot};
