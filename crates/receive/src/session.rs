//! What is known of one session.

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
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

/// The name of SMTP among services of SASL.
const SERVICE: &str = "smtp";

/// How many times the time for one silence a stranger has in all while sessions are scarce.
const HURRIED_TOTAL: u32 = 6;

/// Octets a second in the long run that a stranger has to send while sessions are scarce.
const HURRIED_RATE: u64 = 500;

/// What is known of one session. Everything but the profile can change while it lasts.
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) peer: SocketAddr,
    /// Where it has connected to; known where mail filters are told.
    pub(crate) local: Option<SocketAddr>,
    /// What the peer's address is called; `None` as long as nobody has asked.
    pub(crate) called: Option<ClientName>,
    pub(crate) tls: Option<TlsFacts>,
    /// The client's certificate, if it was verified.
    pub(crate) certificate: Option<CertificateFacts>,
    /// Whether a mechanism that binds to the channel was offered.
    pub(crate) plus_offered: bool,
    pub(crate) login: Option<Login>,
    /// The user of this machine whose program it is.
    pub(crate) user: Option<Arc<LocalUser>>,
    /// What the client calls itself in `HELO` or `EHLO`; empty before.
    helo: String,
    /// Whether the host may relay by its address or certificate.
    trusted_host: bool,
    /// Copies that recipients of the transaction have caused.
    pub(crate) copies: Copies,
    /// When the sender of the transaction was named.
    pub(crate) sender_at: Mutex<Option<std::time::Instant>>,
    /// Recipients that the transaction has named, by the hash under which budgets know them; empty where nothing counts.
    pub(crate) named: Mutex<Vec<u64>>,
    /// When it began, logged in, or had its last message taken.
    useful_at: Instant,
    /// What is written of it into the log.
    noise: Mutex<SessionNoise>,
    /// What was found of it, if it is a stranger that is looked at.
    pub(crate) screening: Option<Box<Screening>>,
    /// What is known for access rules, where its listener has some.
    pub(crate) access: Option<Box<Accessing>>,
    /// How it is counted against a limit, until it ends.
    pub(crate) limited: Option<Limited>,
    /// How it is seen from outside.
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
    /// The mail filter that has decided, or whose failure has.
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

/// Who has logged in on this connection.
pub(crate) struct Login {
    /// Whom the session acts as.
    pub(crate) identity: Identity,
    /// Who has proved himself, where that is somebody else.
    pub(crate) authcid: Option<String>,
    pub(crate) mechanism: Mechanism,
    /// Whether it may relay, by mechanism and strength.
    pub(crate) trusted: bool,
    /// Strength of the SASL security layer.
    pub(crate) layer_bits: u32,
    /// Whether it still holds.
    pub(crate) standing: Arc<Standing>,
}

impl Login {
    /// The login of whom the session acts as.
    pub(crate) fn name(&self) -> &str {
        self.identity.login()
    }

    /// Who has proved himself.
    pub(crate) fn authcid(&self) -> &str {
        self.authcid.as_deref().unwrap_or_else(|| self.name())
    }

    /// Whom the session acts as, where that is somebody else than who has proved himself.
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

    /// One of a program of this machine, which stands at the loopback as with other servers.
    pub(crate) fn of_user(shared: Arc<Shared>, profile: Arc<Profile>, user: Arc<LocalUser>) -> Self {
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut session = Self::new(shared, profile, peer);
        session.user = Some(user);
        session.look_at_host();
        session
    }

    /// A proxy has told where the client is.
    pub(crate) fn came_from(&mut self, peer: SocketAddr) {
        self.peer = peer;
        self.look_at_host();
    }

    fn look_at_host(&mut self) {
        self.trusted_host = self.may_relay();
    }

    /// Whether the client has neither logged in nor may relay as a host.
    pub(crate) fn is_stranger(&self) -> bool {
        self.login.is_none() && !self.trusted_host
    }

    /// Whether the client may relay by its network or certificate.
    pub(crate) fn is_trusted_host(&self) -> bool {
        self.trusted_host
    }

    /// Whom the session belongs to.
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

    /// Begins to take room for a message.
    pub(crate) fn hold_room(&self) -> Held {
        self.shared.room.hold(self.owner(), self.profile.settings.room)
    }

    /// Room for bodies that take the place of the one that came.
    pub(crate) fn rework(&self) -> Rework<'_> {
        let room = Arc::clone(&self.shared.room);
        let settings = self.profile.settings.room;
        Rework::new(room, self.owner(), settings, &*self.shared.deps.spool)
    }

    /// Whether a message of this size would find room on the disk now.
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

    /// Takes note of what the client calls itself.
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

    /// What the client calls itself; empty before it has.
    pub(crate) fn helo(&self) -> &str {
        &self.helo
    }

    /// Under what the session counts as known, if it does.
    pub(crate) fn known_as(&self) -> Option<Box<str>> {
        match self.owner() {
            Owner::Known(name) => Some(name),
            Owner::Stranger(_) => None,
        }
    }

    /// Where its sessions are counted as long as nobody knows who it is.
    pub(crate) fn pool(&self) -> Pool {
        match self.profile.listener.role {
            Role::Mx => Pool::Mx,
            Role::Submission => Pool::Submission,
        }
    }

    /// Whether there is less time for it, since nobody knows who it is, and sessions are scarce or room for messages is.
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

    /// How long to wait for what has `usual` time.
    pub(crate) fn patience_for(&self, usual: Duration) -> Duration {
        if self.is_hurried() {
            usual.min(self.profile.settings.timeouts.stress)
        } else {
            usual
        }
    }

    /// Waits until there is less time than usual, and what was begun then has had it. It may never come to that.
    pub(crate) async fn is_out_of_patience(&self, begun: Instant, signal: &Signal) {
        let stress = self.profile.settings.timeouts.stress;
        loop {
            let hurried = self.is_hurried();
            let left = stress.saturating_sub(begun.elapsed());
            if hurried && left.is_zero() {
                return;
            }
            // From time to time it is looked whether there is less time now.
            let look = if hurried { left } else { stress };
            tokio::select! {
                () = sleep(look) => {}
                () = signal.is_hurried() => {}
            }
        }
    }

    /// How long it may still go on without a login or a message.
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

    /// How long a body of which so many octets have come since then may still take while sessions are scarce. A slow one is
    /// given up, however steadily it comes.
    pub(crate) fn body_left(&self, since: Instant, arrived: u64) -> Duration {
        if !self.is_hurried() {
            return Duration::MAX;
        }
        let stress = self.profile.settings.timeouts.stress;
        let limit = (stress * HURRIED_TOTAL).saturating_add(Duration::from_secs(arrived / HURRIED_RATE));
        limit.saturating_sub(since.elapsed())
    }

    /// It has logged in, or a message was taken.
    pub(crate) fn was_useful(&mut self) {
        self.useful_at = Instant::now();
    }

    /// Takes over what a handshake has shown.
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

    /// As the ways to log in see it.
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

    /// What it is judged by.
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

    /// What becomes of a recipient, before it is asked whether it exists.
    pub(crate) fn relay(&self, recipient: &ForwardPath) -> RelayVerdict {
        self.judge().relay(recipient, is_own_literal(recipient))
    }

    /// Whether it may relay at all; the recipient makes no difference to that.
    pub(crate) fn may_relay(&self) -> bool {
        self.judge().relay_reason().is_some()
    }

    /// Whether the filter behind the queue hands its mail back in this session: to whom it goes has been decided.
    pub(crate) fn is_filtered(&self) -> bool {
        self.profile.listener.filtered && self.may_relay()
    }

    /// The forward-confirmed name of the peer's address.
    pub(crate) fn peer_name(&self) -> Option<&str> {
        self.called.as_ref().and_then(ClientName::confirmed)
    }

    /// Who has proved himself, or the user of this machine.
    pub(crate) fn account(&self) -> Option<&str> {
        let user = || self.user.as_ref().map(|user| user.label.as_str());
        self.login.as_ref().map(Login::authcid).or_else(user)
    }

    /// What the client is called in the answer to `EHLO`: `name [address]`, for a user of this machine his address.
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

    /// What a refused client may quote to the administrator; it tells nothing else.
    pub(crate) fn mark(&self) -> String {
        format!(" (session {})", self.id)
    }

    pub(crate) fn listener(&self) -> &str {
        &self.profile.listener.name
    }

    /// The same for what the session alone has seen, and which is about no message.
    pub(crate) fn ruled(&self, ruling: Ruling<'_>, reply: &Reply) {
        self.refused(&ruling, reply, &About::default());
    }

    /// Logs a refusal with the rule that decided, as long as the session has a budget for that; further ones are counted.
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

/// Whether a path leads to an address literal of this host.
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
