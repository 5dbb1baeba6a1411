//! What delivery works with.

use std::sync::Arc;

use arc_swap::ArcSwap;
use postern_events::Observers;
use postern_net::resolver::Resolver;
use postern_spool::{Inspectors, Spool};

use crate::mailboxes::Mailboxes;
use crate::settings::Settings;
use crate::tls::TlsClients;
use crate::tokens::Tokens;

/// What delivery works with.
#[derive(Clone)]
pub struct Deps {
    /// Where the mail is.
    pub spool: Arc<dyn Spool>,
    /// Who looks at reports before they are queued.
    pub inspectors: Arc<ArcSwap<Inspectors>>,
    /// How to deliver; swapped by a reload.
    pub settings: Arc<ArcSwap<Settings>>,
    /// Where names are looked up.
    pub resolver: Resolver,
    /// TLS towards next hops; swapped by a reload.
    pub tls: Arc<ArcSwap<TlsClients>>,
    /// Where logins get OAuth tokens from.
    pub tokens: Arc<dyn Tokens>,
    /// Who has a mailbox here.
    pub mailboxes: Arc<dyn Mailboxes>,
    /// Who is told what becomes of the mail.
    pub observers: Observers,
}
