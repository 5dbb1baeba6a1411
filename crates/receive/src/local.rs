//! Submission by local users: the kernel says who they are, and their mail is handled like all other mail.

use std::io;
use std::sync::Arc;

use arc_swap::ArcSwap;
use postern_events::{Refused, notice, shown};
use postern_mail::Domain;
use postern_policy::local::{LocalRefusal, LocalUser};
use postern_policy::rule::Verdict;
use postern_smtp::Reply;
use postern_smtp::reply::texts;
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::io::CUT_MAX;
use crate::profile::Profile;
use crate::profile_cache::ProfileCache;
use crate::shared::Shared;
use crate::{ListenerSettings, Receiver, Settings, connection, time};

/// The accounts of this machine.
pub trait Accounts: Send + Sync {
    /// The name of an account. May wait for a name service.
    fn name(&self, uid: u32) -> Option<String>;
}

/// The socket service for local users.
///
/// Clones share it.
#[derive(Clone)]
pub struct LocalDoor {
    receiver: Receiver,
    profiles: Arc<ProfileCache>,
    accounts: Arc<dyn Accounts>,
}

impl LocalDoor {
    /// Submission into `receiver`.
    #[must_use]
    pub fn new(receiver: &Receiver, accounts: Arc<dyn Accounts>) -> Self {
        let settings = Arc::new(ArcSwap::from_pointee(ListenerSettings::local()));
        Self {
            receiver: receiver.clone(),
            profiles: Arc::new(ProfileCache::new(settings)),
            accounts,
        }
    }

    /// Accepts connections of programs, and serves each for the user that the kernel names, until `shutdown`; sessions end as
    /// those of [`Receiver::serve`] do.
    pub async fn serve(&self, listener: UnixListener, close: CancellationToken, shutdown: CancellationToken) {
        let sessions = TaskTracker::new();
        let stop_now = CancellationToken::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                () = close.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            let taken = accepted.and_then(|(stream, _)| Ok((stream.peer_cred()?.uid(), stream)));
            let (uid, stream) = match taken {
                Ok(taken) => taken,
                Err(error) => {
                    self.told(&error);
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let session = Box::pin(self.session(stream, uid, &shutdown));
            let stop_now = stop_now.clone();
            sessions.spawn(async move {
                tokio::select! {
                    biased;
                    () = stop_now.cancelled() => {}
                    () = session => {}
                }
            });
        }
        drop(listener);
        sessions.close();
        self.receiver.drain(&sessions, &shutdown, &stop_now).await;
    }

    /// One session for the user with this user id.
    pub fn session(
        &self,
        stream: UnixStream,
        uid: u32,
        shutdown: &CancellationToken,
    ) -> impl Future<Output = ()> + Send + use<> {
        let shared = Arc::clone(self.receiver.shared());
        let profile = self.profiles.get(&shared);
        let (accounts, shutdown) = (Arc::clone(&self.accounts), shutdown.clone());
        async move {
            let seat = match Seat::take(&shared, &profile, uid) {
                Ok(seat) => seat,
                Err(refusal) => return send_away(stream, uid, refusal, &shared, &profile).await,
            };
            let name = tokio::task::spawn_blocking(move || accounts.name(uid))
                .await
                .ok()
                .flatten();
            let user = Arc::new(local_user(uid, name.as_deref(), &profile.settings));
            connection::serve_local(shared, profile, stream, user, shutdown).await;
            drop(seat);
        }
    }

    fn told(&self, error: &io::Error) {
        let observers = &self.receiver.shared().deps.observers;
        notice!(observers, Connect Warning "cannot accept connections for now", Listener = crate::LOCAL, Error = shown(error));
    }
}

/// Pause when there are no file descriptors or no memory for another connection.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// The user with this id and name, under these settings.
#[must_use]
pub fn local_user(uid: u32, name: Option<&str>, settings: &Settings) -> LocalUser {
    let names = settings.relay.local_domains.exact_names();
    let mut domains: Vec<Domain> = names.into_iter().map(|name| Domain::Name(name.into())).collect();
    domains.push(settings.domain.clone());
    domains.push(settings.origin.clone());
    LocalUser::new(uid, name, &domains, &settings.local)
}

/// A session of a user in the counts, until dropped.
struct Seat {
    shared: Arc<Shared>,
    uid: u32,
}

impl Seat {
    fn take(shared: &Arc<Shared>, profile: &Profile, uid: u32) -> Result<Self, LocalRefusal> {
        let rules = &profile.settings.local;
        shared.local.lock().enter(uid, rules, time::now())?;
        Ok(Self {
            shared: Arc::clone(shared),
            uid,
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.shared.local.lock().leave(self.uid);
    }
}

/// Tells a program that its user has too many sessions.
async fn send_away(
    mut stream: UnixStream,
    uid: u32,
    refusal: LocalRefusal,
    shared: &Arc<Shared>,
    profile: &Profile,
) {
    let reply: Reply = texts::refusal(refusal.told(), "");
    let label = format!("uid {uid}");
    shared.deps.observers.tell(Refused {
        session: None,
        listener: &profile.listener.name,
        peer: std::net::Ipv4Addr::LOCALHOST.into(),
        login: Some(&label),
        acts_as: None,
        helo: "",
        from: None,
        to: None,
        recipients: None,
        rule: refusal.rule(),
        reply: Some(&reply),
        reason: &refusal,
        milter: None,
    });
    let Some(_lingering) = shared.counts.linger() else {
        return;
    };
    let mut out = bytes::BytesMut::new();
    reply.write_to(&mut out);
    let _ = timeout(CUT_MAX, stream.write_all(&out)).await;
}
