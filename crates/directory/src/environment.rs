//! What directories need of the program around them.

use std::sync::Arc;
use std::time::Duration;

use postern_events::Observers;
use postern_sasl::DecoySecret;

use crate::discover::FindServers;

/// What directories need of the program around them.
#[derive(Clone, Default)]
pub struct Environment {
    /// Looks up the servers of a domain. Without it none can be discovered.
    pub find_servers: Option<Arc<dyn FindServers>>,
    /// From what the salts of SCRAM keys that are made on the fly are made: the same secret as for accounts that do not
    /// exist, so that nobody can tell them apart. Without it one is drawn, which lasts as long as the process.
    pub decoy: Option<DecoySecret>,
    /// How long nobody may have asked a directory until [`Directories::check_health`] does; `None` for never.
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
