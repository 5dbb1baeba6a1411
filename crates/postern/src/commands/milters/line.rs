//! The findings about one filter.

use serde::Serialize;

use super::wants::Wants;

/// A filter and its state.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    pub(super) milter: String,
    pub(super) address: String,
    pub(super) reachable: bool,
    /// Why it does not answer.
    pub(super) error: Option<String>,
    /// From the attempt to connect to the end of the negotiation.
    pub(super) latency_ms: Option<f64>,
    #[serde(flatten)]
    pub(super) wants: Option<Wants>,
    /// The listeners that it serves; none for all.
    pub(super) listeners: Option<Vec<String>>,
    /// What skips it.
    pub(super) passed_by: Vec<String>,
    pub(super) on_failure: &'static str,
}
