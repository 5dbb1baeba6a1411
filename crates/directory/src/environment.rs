//! What directories need from the program around them.

use std::sync::Arc;
use std::time::Duration;

use postern_events::Observers;
use postern_sasl::DecoySecret;

use crate::discover::FindServers;

/// What directories need from the program around them.
#[derive(Clone, Default)]
pub struct Environment {
    /// Looks up the servers of a domain. Without it none can be discovered.
    pub find_servers: Option<Arc<dyn FindServers>>,
    /// The secret from which the salts of SCRAM keys derived on the fly are made: the same as for nonexistent accounts,
    /// so that nobody can tell them apart. If missing, a random one is used for the life of the process.
    pub decoy: Option<DecoySecret>,
    /// How long a directory may go unused until [`Directories::check_health`] probes it; `None` for never.
    pub check_after: Option<Duration>,
    /// Who is told when a directory fails, and when it answers again.
    pub observers: Observers,
}

impl Environment {
    pub(crate) fn decoy(&self) -> DecoySecret {
        let drawn = || DecoySecret::new(rand::random());
        self.decoy.clone().unwrap_or_else(drawn)
    }
}
