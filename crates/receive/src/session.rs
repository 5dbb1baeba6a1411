//! What is known of one session.

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use postern_events::{Greeted, Refused, Suppressed};
use postern_mail::{Domain, ForwardPath, ReversePath};
use postern_net::dial;
use postern_net::tls::{TlsFacts, Verify};
use postern_policy::admission::Pool;
use postern_policy::identity::Identity;
use postern_policy::local::LocalUser;
use postern_policy::network::wide;
use postern_policy::noise::SessionNoise;
use postern_policy::relay::{CertificateFacts, RelayVerdict};
use postern_policy::room::NoRoom;
use postern_policy::rule::{Ruling, Verdict};
use postern_policy::screen::finding::ClientName;
use postern_sasl::Mechanism;
use postern_smtp::Reply;
use postern_smtp::reply::texts;
use postern_smtp::server::Transaction;

use tokio::time::{Instant, sleep};

use crate::access::Accessing;
use crate::budgets::named::Named;
use crate::content::kept::Copies;
use crate::count::Signal;
use crate::judge::Judge;
use crate::limited::Limited;
use crate::live::Entry;
use crate::login::origin::{CertificateOrigin, Origin, TlsOrigin};
use crate::profile::Profile;
use crate::room::{Held, Owner, Rework};
use crate::screen::Screening;
use crate::shared::Shared;
use crate::standing::Standing;
use crate::time;
use crate::{AuthRule, Role};

/// SASL's service name for SMTP.
const SERVICE: &str = "smtp";

/// A stranger's total time while sessions are scarce, as a multiple of the time limit for one silence.
const HURRIED_TOTAL: u32 = 6;

/// Average octets per second that a stranger must send while sessions are scarce.
const HURRIED_RATE: u64 = 500;

/// What is known of one session. Everything but the profile can change during a session.
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) peer: SocketAddr,
    /// The address it connected to; known if mail filters need it.
    pub(crate) local: Option<SocketAddr>,
    /// The host name of the peer's address; `None` until it is looked up.
    pub(crate) called: Option<ClientName>,
    pub(crate) tls: Option<TlsFacts>,
    /// The client's certificate, if it was verified.
    pub(crate) certificate: Option<CertificateFacts>,
    /// Whether a mechanism with channel binding was offered.
    pub(crate) plus_offered: bool,
    pub(crate) login: Option<Login>,
    /// The local user whose program it is.
    pub(crate) user: Option<Arc<LocalUser>>,
    /// The client's name in `HELO` or `EHLO`; empty before.
    helo: String,
    /// Whether the host may relay by its address or certificate.
    trusted_host: bool,
    /// Whether tables are asked for a stranger.
    stranger: Arc<AtomicBool>,
    /// Copies that recipients of the transaction have caused.
    pub(crate) copies: Copies,
    /// When the sender of the transaction was named.
    pub(crate) sender_at: Mutex<Option<std::time::Instant>>,
    /// What budgets know of the transaction.
    pub(crate) named: Mutex<Named>,
    /// When it began, logged in, or had its last message taken.
    useful_at: Instant,
    /// Limits what is logged about it.
    noise: Mutex<SessionNoise>,
    /// What was found out about it, if it is a screened stranger.
    pub(crate) screening: Option<Box<Screening>>,
    /// The state of access rules, if its listener has any.
    pub(crate) access: Option<Box<Accessing>>,
    /// Its count against a limit, until it ends.
    pub(crate) limited: Option<Limited>,
    /// Its entry in the list of open sessions.
    pub(crate) entry: Entry,
    pub(crate) profile: Arc<Profile>,
    pub(crate) shared: Arc<Shared>,
}

/// What a refusal is about.
#[derive(Clone, Copy, Default)]
pub(crate) struct About<'a> {
    /// The sender of the transaction.
    pub(crate) from: Option<&'a ReversePath>,
    /// The recipient in question, or the first one of a message.
    pub(crate) to: Option<&'a dyn Display>,
    /// How many recipients the message has.
    pub(crate) recipients: Option<usize>,
    /// The mail filter that decided, or whose failure did.
    pub(crate) milter: Option<&'a str>,
}

impl<'a> About<'a> {
    /// A sender.
    pub(crate) fn sender(from: &'a ReversePath) -> Self {
        Self {
            from: Some(from),
            ..Self::default()
        }
    }

    /// A recipient of a message from this sender.
    pub(crate) fn recipient(from: Option<&'a ReversePath>, to: &'a ForwardPath) -> Self {
        Self {
            from,
            to: Some(to),
            ..Self::default()
        }
    }

    /// A message.
    pub(crate) fn message(transaction: &'a Transaction) -> Self {
        let recipients = &transaction.envelope.recipients;
        Self {
            from: Some(&transaction.envelope.sender),
            to: recipients.first().map(|first| &first.address as &dyn Display),
            recipients: Some(recipients.len()),
            milter: None,
        }
    }
}

/// The login on this connection.
pub(crate) struct Login {
    /// Who the session acts as.
    pub(crate) identity: Identity,
    /// Who authenticated, if somebody else.
    pub(crate) authcid: Option<String>,
    pub(crate) mechanism: Mechanism,
    /// Whether mechanism and strength are enough to relay.
    pub(crate) trusted: bool,
    /// Strength of the SASL security layer.
    pub(crate) layer_bits: u32,
    /// Whether it is still valid.
    pub(crate) standing: Arc<Standing>,
}

impl Login {
    /// The user name of who the session acts as.
    pub(crate) fn name(&self) -> &str {
        self.identity.login()
    }

    /// The user who authenticated.
    pub(crate) fn authcid(&self) -> &str {
        self.authcid.as_deref().unwrap_or_else(|| self.name())
    }

    /// Who the session acts as, if not the user who authenticated.
    pub(crate) fn acts_as(&self) -> Option<&str> {
        self.authcid.is_some().then(|| self.name())
    }
}

impl Session {
    pub(crate) fn new(shared: Arc<Shared>, profile: Arc<Profile>, peer: SocketAddr) -> Self {
        let now = Instant::now();
        let id = shared.ids.next();
        let mut session = Self {
            entry: shared.live.enter(&id, &profile, peer),
            id,
            peer,
            local: None,
            called: None,
            tls: None,
            certificate: None,
            plus_offered: false,
            login: None,
            user: None,
            helo: String::new(),
            trusted_host: false,
            stranger: Arc::default(),
            copies: Copies::default(),
            sender_at: Mutex::new(None),
            named: Mutex::default(),
            useful_at: now,
            noise: Mutex::new(SessionNoise::new(now.into_std())),
            screening: None,
            access: None,
            limited: None,
            profile,
            shared,
        };
        session.look_at_host();
        session
    }

    /// A session of a program on this machine, with the loopback as its address, as in other servers.
    pub(crate) fn of_user(shared: Arc<Shared>, profile: Arc<Profile>, user: Arc<LocalUser>) -> Self {
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut session = Self::new(shared, profile, peer);
        session.user = Some(user);
        session.look_at_host();
        session
    }

    /// Takes the client's address from a proxy.
    pub(crate) fn came_from(&mut self, peer: SocketAddr) {
        self.peer = peer;
        self.look_at_host();
    }

    fn look_at_host(&mut self) {
        self.trusted_host = self.may_relay();
    }

    /// Whether the client has not authenticated and may not relay as a host either.
    pub(crate) fn is_stranger(&self) -> bool {
        self.login.is_none() && !self.trusted_host
    }

    /// Says to tables whether they are asked for a stranger now; shared by all that the session does.
    pub(crate) fn asks_as(&self) -> &Arc<AtomicBool> {
        self.stranger.store(self.is_stranger(), Ordering::Relaxed);
        &self.stranger
    }

    /// Whether the client may relay by its network or certificate.
    pub(crate) fn is_trusted_host(&self) -> bool {
        self.trusted_host
    }

    /// The owner of the session's messages.
    pub(crate) fn owner(&self) -> Owner {
        if let Some(user) = &self.user {
            return Owner::Known(user.label.as_str().into());
        }
        match &self.login {
            Some(login) => Owner::Known(login.name().into()),
            None if self.trusted_host => Owner::Known(self.peer.ip().to_string().into()),
            None => Owner::Stranger(wide(self.peer.ip())),
        }
    }

    /// Begins to reserve room for a message.
    pub(crate) fn hold_room(&self) -> Held {
        self.shared.room.hold(self.owner(), self.profile.settings.room)
    }

    /// Room for bodies that replace the received one.
    pub(crate) fn rework(&self) -> Rework<'_> {
        let room = Arc::clone(&self.shared.room);
        let settings = self.profile.settings.room;
        Rework::new(room, self.owner(), settings, &*self.shared.deps.spool)
    }

    /// Whether there is room on disk for a message of this size now.
    pub(crate) fn would_fit(&self, size: u64) -> Result<(), NoRoom> {
        let free = self.shared.deps.spool.free_bytes();
        self.shared
            .room
            .would_fit(size, &self.owner(), free, &self.profile.settings.room)
    }

    /// The reply to a message or recipient for which there is no room.
    pub(crate) fn no_room(&self, refusal: NoRoom, about: &About<'_>) -> Reply {
        let reply = texts::refusal(refusal.told(), "");
        self.refused(&refusal, &reply, about);
        reply
    }

    /// Takes the client's `HELO` name.
    pub(crate) fn calls_itself(&mut self, helo: &str) {
        if self.helo != helo {
            self.shared.deps.observers.tell(Greeted {
                session: &self.id,
                peer: self.peer.ip(),
                helo,
            });
            helo.clone_into(&mut self.helo);
        }
    }

    /// The client's `HELO` name; empty before it gave one.
    pub(crate) fn helo(&self) -> &str {
        &self.helo
    }

    /// The name under which the session counts as known, if it does.
    pub(crate) fn known_as(&self) -> Option<Box<str>> {
        match self.owner() {
            Owner::Known(name) => Some(name),
            Owner::Stranger(_) => None,
        }
    }

    /// The pool in which it is counted while it is unknown.
    pub(crate) fn pool(&self) -> Pool {
        match self.profile.listener.role {
            Role::Mx => Pool::Mx,
            Role::Submission => Pool::Submission,
        }
    }

    /// Whether it has shorter time limits, because it is unknown and sessions or room for messages are scarce.
    pub(crate) fn is_hurried(&self) -> bool {
        let shared = &self.shared;
        let filters = &self.profile.milters;
        self.is_stranger()
            && (shared.counts.is_crowded(self.pool())
                || shared.room.is_scarce()
                || filters
                    .iter()
                    .any(|filter| filter.strangers.are_scarce(self.peer.ip())))
    }

    /// How long to wait where the limit is normally `usual`.
    pub(crate) fn patience_for(&self, usual: Duration) -> Duration {
        if self.is_hurried() {
            usual.min(self.profile.settings.timeouts.stress)
        } else {
            usual
        }
    }

    /// Waits until time limits are shorter and the wait that began at `begun` has exceeded them, which may never happen.
    pub(crate) async fn is_out_of_patience(&self, begun: Instant, signal: &Signal) {
        let stress = self.profile.settings.timeouts.stress;
        loop {
            let hurried = self.is_hurried();
            let left = stress.saturating_sub(begun.elapsed());
            if hurried && left.is_zero() {
                return;
            }
            // Check now and then whether time limits have become shorter.
            let look = if hurried { left } else { stress };
            tokio::select! {
                () = sleep(look) => {}
                () = signal.is_hurried() => {}
            }
        }
    }

    /// How long it may still go on without authentication or a message.
    pub(crate) fn life_left(&self) -> Duration {
        let timeouts = &self.profile.settings.timeouts;
        let needs_login = self.login.is_none() && self.profile.listener.auth == AuthRule::Require;
        let usual = if needs_login {
            timeouts.login
        } else {
            timeouts.idle
        };
        let limit = if self.is_hurried() {
            usual.min(timeouts.stress * HURRIED_TOTAL)
        } else {
            usual
        };
        limit.saturating_sub(self.useful_at.elapsed())
    }

    /// How long a body of which `arrived` octets have come since `since` may still take while sessions are scarce. A slow one is
    /// given up, however steadily it comes.
    pub(crate) fn body_left(&self, since: Instant, arrived: u64) -> Duration {
        if !self.is_hurried() {
            return Duration::MAX;
        }
        let stress = self.profile.settings.timeouts.stress;
        let limit = (stress * HURRIED_TOTAL).saturating_add(Duration::from_secs(arrived / HURRIED_RATE));
        limit.saturating_sub(since.elapsed())
    }

    /// Notes that it has authenticated, or that a message was accepted.
    pub(crate) fn was_useful(&mut self) {
        self.useful_at = Instant::now();
    }

    /// Takes the facts of a handshake.
    pub(crate) fn secured(&mut self, facts: TlsFacts) {
        self.login = None;
        self.entry.live().is_secured(facts.version);
        self.certificate = match (&facts.verify, &facts.client_certificate) {
            (Verify::Ok, Some(certificate)) => Some(CertificateFacts {
                subject: certificate.subject.clone(),
                issuer: certificate.issuer.clone(),
                fingerprint: certificate.fingerprint_sha256.clone(),
            }),
            _ => None,
        };
        self.tls = Some(facts);
        self.look_at_host();
    }

    /// Its origin, for authentication.
    pub(crate) fn origin(&self) -> Origin<'_> {
        let profile = &self.profile;
        let shown = self.tls.as_ref().and_then(|tls| tls.client_certificate.as_ref());
        Origin {
            shared: &self.shared,
            settings: &profile.settings,
            mechanisms: profile.mechanisms(),
            least_bits: profile
                .listener
                .least_bits
                .or_else(|| profile.settings.auth.least_bits()),
            service: SERVICE,
            session: &self.id,
            place: self.listener(),
            peer: Some(self.peer.ip()),
            tls: self.tls.as_ref().map(|tls| TlsOrigin {
                version: tls.version,
                bits: tls.bits,
                bindings: Some(&tls.bindings),
            }),
            certificate: self.certificate.as_ref().map(|facts| CertificateOrigin::Shown {
                facts,
                emails: shown.map_or(&[], |certificate| &certificate.emails),
            }),
            plus_offered: self.plus_offered,
            ends_here: true,
            layers_possible: true,
            may_act: true,
            delay_max: None,
        }
    }

    /// The judge of this session.
    pub(crate) fn judge(&self) -> Judge<'_> {
        Judge {
            settings: &self.profile.settings,
            listener: &self.profile.listener,
            peer: self.peer.ip(),
            certificate: self.certificate.as_ref(),
            identity: self.login.as_ref().map(|login| &login.identity),
            trusted: self.login.as_ref().is_some_and(|login| login.trusted),
            local_user: self.user.as_deref(),
        }
    }

    /// The relay verdict on a recipient, before checking that it exists.
    pub(crate) fn relay(&self, recipient: &ForwardPath) -> RelayVerdict {
        self.judge().relay(recipient, is_own_literal(recipient))
    }

    /// Whether it may relay at all, whatever the recipient.
    pub(crate) fn may_relay(&self) -> bool {
        self.judge().relay_reason().is_some()
    }

    /// Whether the after-queue filter hands back mail in this session, whose recipients were already decided.
    pub(crate) fn is_filtered(&self) -> bool {
        self.profile.listener.filtered && self.may_relay()
    }

    /// The forward-confirmed name of the peer's address.
    pub(crate) fn peer_name(&self) -> Option<&str> {
        self.called.as_ref().and_then(ClientName::confirmed)
    }

    /// The user who authenticated, or the local user.
    pub(crate) fn account(&self) -> Option<&str> {
        let user = || self.user.as_ref().map(|user| user.label.as_str());
        self.login.as_ref().map(Login::authcid).or_else(user)
    }

    /// The client's label in the reply to `EHLO`: `name [address]`, or the address of a local user.
    pub(crate) fn peer_label(&self) -> String {
        if let Some(user) = &self.user {
            return format!("{}@{}", user.name, self.profile.settings.origin);
        }
        let address = literal(self.peer.ip());
        match self.peer_name() {
            Some(name) => format!("{name} {address}"),
            None => address,
        }
    }

    /// What a refused client may quote to the administrator; it reveals nothing else.
    pub(crate) fn mark(&self) -> String {
        format!(" (session {})", self.id)
    }

    pub(crate) fn listener(&self) -> &str {
        &self.profile.listener.name
    }

    /// Logs a refusal that is not about a message.
    pub(crate) fn ruled(&self, ruling: Ruling<'_>, reply: &Reply) {
        self.refused(&ruling, reply, &About::default());
    }

    /// Logs a refusal with the rule that decided, up to a number for each session; further ones are counted.
    pub(crate) fn refused(&self, verdict: &dyn Verdict, reply: &Reply, about: &About<'_>) {
        if !self.noise.lock().admit(verdict.rule().name(), time::now()) {
            self.tell_suppressed(false);
            return;
        }
        self.shared.deps.observers.tell(Refused {
            session: Some(&self.id),
            listener: self.listener(),
            peer: self.peer.ip(),
            login: self.account(),
            acts_as: self.login.as_ref().and_then(Login::acts_as),
            helo: &self.helo,
            from: about.from.map(|from| from as &dyn Display),
            to: about.to,
            recipients: about.recipients,
            rule: verdict.rule(),
            milter: about.milter,
            reply: Some(reply),
            reason: verdict.reason(),
        });
    }

    /// Logs how many refusals were not logged: from time to time, and when the session is `over`.
    pub(crate) fn tell_suppressed(&self, over: bool) {
        let Some(tally) = self.noise.lock().untold(over, time::now()) else {
            return;
        };
        self.shared.deps.observers.tell(Suppressed {
            session: &self.id,
            listener: self.listener(),
            peer: self.peer.ip(),
            login: self.account(),
            suppressed: tally.total(),
            rules: &tally,
        });
    }
}

/// Whether the domain of a path is an address literal of this host.
pub(crate) fn is_own_literal(path: &ForwardPath) -> bool {
    match path {
        ForwardPath::Mailbox { mailbox, .. } => match mailbox.domain() {
            Domain::Literal(ip) => dial::is_own(*ip),
            Domain::Name(_) => false,
        },
        ForwardPath::Postmaster => false,
    }
}

/// An address as SMTP writes it: `[192.0.2.1]`, `[IPv6:2001:db8::1]`.
pub(crate) fn literal(address: IpAddr) -> String {
    match address {
        IpAddr::V4(ip) => format!("[{ip}]"),
        IpAddr::V6(ip) => format!("[IPv6:{ip}]"),
    }
}
