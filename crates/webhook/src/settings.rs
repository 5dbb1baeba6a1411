//! What the configuration says of a webhook.

use postern_https::{Endpoint, HttpSettings};

use crate::{Filter, Keys};

/// One webhook.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its name: of letters, digits, `-`, `_` and `.`, not beginning with a dot, since its buffer lies in a folder of this name.
    pub name: String,
    /// Where batches are posted.
    pub endpoint: Endpoint,
    /// Whose certificates are trusted, and how long a request may take.
    pub http: HttpSettings,
    /// The keys that sign.
    pub keys: Keys,
    /// Which events it gets.
    pub filter: Filter,
    /// Most events in a batch.
    pub batch_events: usize,
    /// Most octets of a batch; one longer event is a batch alone.
    pub batch_octets: usize,
    /// Most octets on disk. Beyond it the oldest are dropped.
    pub buffer: u64,
}
