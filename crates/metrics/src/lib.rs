//! Metrics made from events, for Prometheus.
//!
//! [`Metrics`] is an observer: it counts events. That costs one or two atomic additions per event, no lock and no allocation; if
//! nobody reads the metrics, it is switched off and costs a check of a flag. What can be queried at any time, such as the size of
//! the queue, is not counted but passed in with each reading, as a [`Snapshot`].
//!
//! The names of the families and of their labels are a contract ([`FAMILIES`], `docs/metrics.md`), as those of events are. No
//! label has a value that a client can choose: its values come from types or from names in the configuration, so that the number
//! of series is bounded.

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
pub use snapshot::{Places, Queue, Snapshot, WebhookNumbers};
