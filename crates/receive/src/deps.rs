//! The dependencies of receiving.

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

/// The dependencies of a receiver. The content of an [`ArcSwap`] may be swapped at any time; sessions that begin later use the
/// new one.
#[derive(Clone)]
pub struct Deps {
    /// Where accepted mail goes.
    pub spool: Arc<dyn Spool>,
    /// The inspectors of messages before they are queued.
    pub inspectors: Arc<ArcSwap<Inspectors>>,
    /// The settings of all listeners.
    pub settings: Arc<ArcSwap<Settings>>,
    /// Certificates; `None` if there are none, and so no TLS.
    pub tls: Arc<ArcSwap<Option<ServerTls>>>,
    /// Who may log in, and which users exist.
    pub directories: Arc<ArcSwap<Directories>>,
    /// Verifies bearer tokens.
    pub tokens: Arc<ArcSwap<Verifier>>,
    /// The aliases of local names.
    pub aliases: Arc<ArcSwap<Aliases>>,
    /// Looks up the names of clients.
    pub resolver: Resolver,
    /// The load average.
    pub load: LoadGauge,
    /// Who is told what happens.
    pub observers: Observers,
    /// Counts against budgets, and accounts on hold.
    pub budgets: Arc<Budgets>,
    /// Derives the salts for SCRAM accounts that do not exist. Must be kept across restarts.
    pub decoy: DecoySecret,
}
