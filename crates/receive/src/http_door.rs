//! Submission over HTTP: clients have already authenticated there, and their mail is handled like all other mail of that user.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use arc_swap::ArcSwap;
use postern_directory::Account;
use postern_sasl::Mechanism;
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;

use crate::connection;
use crate::identity::identity_of;
use crate::judge::is_trusted;
use crate::profile_cache::ProfileCache;
use crate::session::{Login, Session};
use crate::standing::{Grant, Place, Standing};
use crate::{ListenerSettings, Receiver};

/// Bits that protect a session with TLS, or on this machine.
const BITS: u32 = 256;

/// The user who submits over HTTP.
pub struct HttpLogin {
    /// The account, as the directories know it.
    pub account: Account,
    /// The client's address; `None` for a Unix socket.
    pub peer: Option<IpAddr>,
}

/// The service for submission over HTTP.
///
/// Clones share it.
#[derive(Clone)]
pub struct HttpDoor {
    receiver: Receiver,
    profiles: Arc<ProfileCache>,
}

impl HttpDoor {
    /// Submission into `receiver`.
    #[must_use]
    pub fn new(receiver: &Receiver) -> Self {
        let settings = Arc::new(ArcSwap::from_pointee(ListenerSettings::http()));
        Self {
            receiver: receiver.clone(),
            profiles: Arc::new(ProfileCache::new(settings)),
        }
    }

    /// One session of an authenticated user, which speaks SMTP on the stream. Identity rules, budgets, access rules, limits,
    /// filters and signatures apply as to a session at a submission port; the client needs no `AUTH`.
    pub fn session(
        &self,
        stream: UnixStream,
        who: HttpLogin,
        shutdown: &CancellationToken,
    ) -> impl Future<Output = ()> + Send + use<> {
        let shared = Arc::clone(self.receiver.shared());
        let profile = self.profiles.get(&shared);
        let shutdown = shutdown.clone();
        async move {
            let HttpLogin { account, peer } = who;
            let peer = SocketAddr::new(peer.unwrap_or_else(|| Ipv4Addr::LOCALHOST.into()), 0);
            let grant = Grant {
                names: vec![account.login.clone()],
                mechanism: Mechanism::Plain,
                token: true,
                bits: BITS,
                proved: Some(&account),
                acting: None,
                certified: None,
                ends: None,
            };
            let place = Place {
                deps: &shared.deps,
                profile: &profile,
                peer: peer.ip(),
                tls: None,
                certificate: None,
            };
            let standing = Arc::new(Standing::new(&grant, &place));
            let login = Login {
                standing: Arc::clone(&standing),
                mechanism: Mechanism::Plain,
                trusted: is_trusted(&profile.settings, Mechanism::Plain, BITS),
                identity: identity_of(&account),
                authcid: None,
                layer_bits: 0,
            };
            let mut session = Session::new(shared, profile, peer);
            session
                .entry
                .live()
                .has_logged_in(&account.login, None, &standing);
            session.login = Some(login);
            connection::serve_login(session, stream, shutdown).await;
        }
    }
}
