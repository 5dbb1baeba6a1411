//! The dependencies of delivery.

use std::sync::Arc;

use arc_swap::ArcSwap;
use postern_events::Observers;
use postern_net::resolver::Resolver;
use postern_spool::{Inspectors, Spool};

use crate::mailboxes::Mailboxes;
use crate::settings::Settings;
use crate::tls::TlsClients;
use crate::tokens::Tokens;

/// The dependencies of delivery.
#[derive(Clone)]
pub struct Deps {
    /// The queue.
    pub spool: Arc<dyn Spool>,
    /// The inspectors of reports before they are queued.
    pub inspectors: Arc<ArcSwap<Inspectors>>,
    /// How to deliver; swapped by a reload.
    pub settings: Arc<ArcSwap<Settings>>,
    /// The resolver for names.
    pub resolver: Resolver,
    /// TLS towards next hops; swapped by a reload.
    pub tls: Arc<ArcSwap<TlsClients>>,
    /// The source of OAuth tokens for logins.
    pub tokens: Arc<dyn Tokens>,
    /// Knows who has a mailbox here.
    pub mailboxes: Arc<dyn Mailboxes>,
    /// The observers of events.
    pub observers: Observers,
}
