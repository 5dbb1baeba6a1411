//! What receiving works with.

use std::sync::Arc;

use arc_swap::ArcSwap;
use postern_directory::Directories;
use postern_directory::aliases::Aliases;
use postern_events::Observers;
use postern_net::resolver::Resolver;
use postern_net::tls::ServerTls;
use postern_oauth::verify::Verifier;
use postern_sasl::DecoySecret;
use postern_spool::{Inspectors, Spool};

use crate::budgets::Budgets;
use crate::load::LoadGauge;
use crate::settings::Settings;

/// What a receiver works with. What stands in an [`ArcSwap`] may be swapped at any time; sessions that begin later use it.
#[derive(Clone)]
pub struct Deps {
    /// Where accepted mail goes.
    pub spool: Arc<dyn Spool>,
    /// Who looks at messages before they go there.
    pub inspectors: Arc<ArcSwap<Inspectors>>,
    /// What holds for all listeners.
    pub settings: Arc<ArcSwap<Settings>>,
    /// Certificates; `None` where there are none, and then no TLS.
    pub tls: Arc<ArcSwap<Option<ServerTls>>>,
    /// Who may log in, and who lives here.
    pub directories: Arc<ArcSwap<Directories>>,
    /// Whose bearer tokens are.
    pub tokens: Arc<ArcSwap<Verifier>>,
    /// Where local names lead.
    pub aliases: Arc<ArcSwap<Aliases>>,
    /// Names of clients.
    pub resolver: Resolver,
    /// The load average.
    pub load: LoadGauge,
    /// Who is told what happens.
    pub observers: Observers,
    /// What was counted against budgets, and who is on hold.
    pub budgets: Arc<Budgets>,
    /// Makes the salts of SCRAM accounts that do not exist. To be kept across restarts.
    pub decoy: DecoySecret,
}
