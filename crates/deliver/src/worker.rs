//! A worker: one connection to a destination, and one message after the other over it.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use postern_events::{Attempted, HandedOver, notice, shown};
use postern_mail::{Proof, Stage, Status};
use postern_policy::concurrency::{Setback, Site, pause_after};
use postern_policy::route::RouteLogin;
use postern_spool::Message;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, sleep_until};

use crate::claims::Claim;
use crate::connect::{Credentials, Dialer, NotOpened};
use crate::core::{Conclusion, Core, Held, domain_of, look_again};
use crate::destination::{Connected as Counted, Destination, Taken};
use crate::failure::{Cause, Failure};
use crate::hop::{self, HopKind};
use crate::in_line::InLine;
use crate::outcome::Fate;
use crate::post::Post;
use crate::quirks::Quirk;
use crate::relay::Relay;
use crate::sender;
use crate::session::Session;
use crate::settings::{LoginSecret, Settings};
use crate::time;
use crate::transact::{Transacted, all_failed, transact};
use crate::work::{self, Due, Work};
use crate::{maildir, nowhere, system};

/// Messages that a worker may hand over while others wait for a connection.
const SHARE: u32 = 20;

/// How long a goodbye may take when the server stops.
const HURRY: Duration = Duration::from_millis(200);

/// When to look again for mail of a message whose outcomes are being written.
const SETTLED_WITHIN: Duration = Duration::from_secs(1);

/// Works for a destination until nothing is left to do. Started by [`Core::start_worker`].
pub(crate) async fn run(core: Arc<Core>, destination: Arc<Destination>, post: Post) {
    let work = async {
        match &destination.hop.kind {
            HopKind::Maildir(folder) => maildir::serve(&core, &destination, folder, post).await,
            HopKind::System(_) | HopKind::Pipe { .. } => system::serve(&core, &destination, post).await,
            HopKind::Discard | HopKind::Refuse(_) | HopKind::Unknown(_) => {
                nowhere::serve(&core, &destination, post).await
            }
            HopKind::Mx(_) | HopKind::Literal(_) | HopKind::Hosts { .. } => {
                Worker::serve(&core, &destination, post).await
            }
        }
    };
    tokio::select! {
        biased;
        () = core.kill.cancelled() => return,
        () = work => {}
    }
    let settings = core.deps.settings.load_full();
    core.staff(&destination, &settings);
}

struct Worker<'a> {
    core: &'a Arc<Core>,
    destination: &'a Arc<Destination>,
    post: Post,
    session: Option<Session>,
    /// The count of the session's connection at the destination.
    counted: Option<Counted>,
    /// One permit for each delivery whose outcome may be unsettled.
    unsettled: Arc<Semaphore>,
    /// Messages handed over on this connection while others wait for one.
    taken: u32,
}

/// Recipients of one message being delivered.
struct Load {
    message: Arc<Message>,
    claims: Arc<Vec<Claim>>,
    look_again: Vec<Arc<str>>,
    /// Whether some of its recipients are already concluded.
    begun: bool,
    /// Hosts that could not continue with it in this attempt.
    tried: Vec<Relay>,
}

/// The result of trying to get a connection.
enum Connected {
    Yes,
    /// None for this worker: others have all that the destination allows.
    TooMany,
    /// The hosts may work, but their address or network has all the connections it may have.
    Full(Site),
    No(Failure),
    /// The server is stopping.
    Stopped,
}

impl<'a> Worker<'a> {
    async fn serve(core: &'a Arc<Core>, destination: &'a Arc<Destination>, post: Post) {
        let unsettled = core.deps.settings.load().limits.unsettled_per_connection;
        let mut worker = Self {
            core,
            destination,
            post,
            session: None,
            counted: None,
            unsettled: Arc::new(Semaphore::new(unsettled)),
            taken: 0,
        };
        worker.work().await;
        worker.close(true);
    }

    /// Takes and delivers messages, until there are none or others should have the place.
    async fn work(&mut self) {
        while !self.core.stop.is_cancelled() && !self.has_had_its_share() {
            self.core.replenish(self.destination);
            match self.post.take(self.session.is_some()) {
                Taken::Work(work) => {
                    self.taken += 1;
                    if !self.deliver(*work).await {
                        return;
                    }
                }
                Taken::Idle => {
                    // Waiting mail of other classes needs a place of its own.
                    let settings = self.core.deps.settings.load();
                    self.core.staff(self.destination, &settings);
                    drop(settings);
                    if !self.wait().await {
                        return;
                    }
                    self.post.was_called();
                }
                Taken::Leave => return,
            }
        }
    }

    /// Looks for another host for recipients whose host could not continue, and takes them out of `fates`, to be tried over the
    /// new session. They stay if there is no such host.
    async fn go_elsewhere(
        &mut self,
        settings: &Settings,
        load: &mut Load,
        fates: &mut Vec<(Due, Fate)>,
    ) -> Vec<Due> {
        let relay = fates.iter().find_map(|(_, fate)| match fate {
            Fate::Failed(failure) if failure.may_go_elsewhere() => Some(failure.relay.clone()),
            _ => None,
        });
        let Some(relay) = relay else {
            return Vec::new();
        };
        load.tried.push(relay);
        if load.tried.len() >= settings.limits.addresses_per_attempt {
            return Vec::new();
        }
        if !self.is_routed(&self.core.deps.settings.load()) {
            // The caller will hand them back.
            return take_movable(fates);
        }
        let Some(Ok(session)) = self.open(settings, &load.tried).await else {
            return Vec::new();
        };
        self.close(true);
        self.begin(session);
        take_movable(fates)
    }

    /// Whether routes still lead to this destination. One with a login gets nothing if they do not: the current credentials are
    /// for other hosts.
    fn is_routed(&self, settings: &Settings) -> bool {
        hop::is_routed(&self.destination.hop, &settings.routes)
    }

    /// Gives up recipients that now belong to another destination.
    fn hand_back(&mut self, load: Load, left: Vec<Due>) {
        self.close(true);
        if load.claims.is_empty() {
            self.core.hand_out(&load.message, left);
            return;
        }
        // They are due in the spool, which hands them out again once the claims are dropped: if others of the message were
        // concluded, after their outcomes are settled.
        let mut domains: Vec<Arc<str>> = left
            .iter()
            .filter_map(|due| domain_of(&load.message, due))
            .chain(load.look_again.iter().cloned())
            .collect();
        domains.sort_unstable();
        domains.dedup();
        let begun = load.begun;
        drop(load);
        let now = self.core.now();
        for domain in domains {
            if begun {
                self.core.agenda.at(now, now + SETTLED_WITHIN, &domain);
            } else {
                self.core.agenda.look(domain);
            }
        }
    }

    /// Connects to a host of the destination that is not among those `tried`. `None` if the server is stopping.
    async fn open(&self, settings: &Settings, tried: &[Relay]) -> Option<Result<Session, NotOpened>> {
        tokio::select! {
            opened = self.open_and_log_in(settings, tried) => Some(opened),
            patience = self.post.seat.patience() => Some(Err(NotOpened::Failed(given_up(patience)))),
            // Nothing has been sent, so nothing is lost by giving up at once.
            () = self.core.stop.cancelled() => None,
        }
    }

    async fn open_and_log_in(&self, settings: &Settings, tried: &[Relay]) -> Result<Session, NotOpened> {
        let Some(route) = &self.destination.hop.login else {
            return self.dial(settings, tried, None).await;
        };
        let mut renewed = false;
        loop {
            let credentials = match self.credentials(settings, route).await {
                Ok(credentials) => credentials,
                Err(failure) => {
                    self.note_login(route, Err(&failure));
                    return Err(NotOpened::Failed(failure));
                }
            };
            // Waiting for a token takes time, and it comes from the configuration in force by then.
            if !self.is_routed(&self.core.deps.settings.load()) {
                let text = format!("no route uses the login {:?} any more", route.name);
                let failure =
                    Failure::temporary(Status(4, 3, 5), &Relay::Nowhere, Cause::Settings(text.into()));
                return Err(NotOpened::Failed(failure));
            }
            let token = credentials.token.clone();
            match self.dial(settings, tried, Some(credentials)).await {
                Ok(session) => {
                    self.note_login(route, Ok(&session));
                    return Ok(session);
                }
                Err(other @ (NotOpened::Failed(_) | NotOpened::Full(_))) => return Err(other),
                Err(NotOpened::Login {
                    failure,
                    token: refused,
                }) => {
                    // It may have been revoked early: a new one is worth one try.
                    if let Some(token) = token.filter(|_| refused && !renewed)
                        && self.core.deps.tokens.refused(&route.name, &token)
                    {
                        renewed = true;
                        continue;
                    }
                    self.note_login(route, Err(&failure));
                    return Err(NotOpened::Failed(failure));
                }
            }
        }
    }

    async fn dial(
        &self,
        settings: &Settings,
        tried: &[Relay],
        login: Option<Credentials>,
    ) -> Result<Session, NotOpened> {
        let tls = self.core.deps.tls.load_full();
        let dialer = Dialer {
            settings,
            resolver: &self.core.deps.resolver,
            tls: &tls,
            quirks: &self.core.quirks,
            seed: rand::random(),
            avoid: tried,
            seat: &self.post.seat,
            login,
            observers: &self.core.deps.observers,
        };
        dialer.open(&self.destination.hop).await
    }

    /// The credentials in the current settings.
    async fn credentials(&self, settings: &Settings, route: &RouteLogin) -> Result<Credentials, Failure> {
        let Some(login) = settings.logins.get(&route.name) else {
            let text = format!("the configuration has no login {:?} any more", route.name);
            return Err(Failure::temporary(
                Status(4, 3, 5),
                &Relay::Nowhere,
                Cause::Settings(text.into()),
            ));
        };
        let token = match login.secret {
            LoginSecret::Token => {
                let token = self.core.deps.tokens.token(&login.name).await;
                Some(token.map_err(|error| {
                    let text = format!("no token for the login {:?}: {error}", login.name);
                    Failure::temporary(
                        Status(4, 7, 0),
                        &Relay::Nowhere,
                        Cause::Login {
                            reply: None,
                            text: text.into(),
                        },
                    )
                })?)
            }
            LoginSecret::Certificate | LoginSecret::Ticket | LoginSecret::Password(_) => None,
        };
        Ok(Credentials {
            login: login.clone(),
            route: route.clone(),
            token,
        })
    }

    /// Reports a login once for each change, in the log and in the list of destinations.
    fn note_login(&self, route: &RouteLogin, went: Result<&Session, &Failure>) {
        let destination = self.destination;
        let now = self.core.now();
        match went {
            Ok(session) => {
                let mechanism = session.mechanism.unwrap_or_default();
                if destination.note_login(now, Ok(mechanism)) {
                    notice!(
                        self.core.deps.observers,
                        Login Info "logged in",
                        Login = &*route.name,
                        Destination = shown(&destination.name),
                        Relay = shown(&session.relay),
                        Mechanism = mechanism,
                        Tls = shown(&session.tls),
                    );
                }
            }
            Err(failure) => {
                if destination.note_login(now, Err(failure)) {
                    notice!(
                        self.core.deps.observers,
                        Login Error "login fails, its mail waits",
                        Login = &*route.name,
                        Destination = shown(&destination.name),
                        Relay = shown(&failure.relay),
                        Status = shown(&failure.status),
                        Reply = &*failure.text(),
                    );
                }
            }
        }
    }

    /// Ends a session authenticated under other settings: mail is sent with the current login, or not at all.
    fn drop_foreign_session(&mut self, settings: &Settings) {
        let Some(route) = &self.destination.hop.login else {
            return;
        };
        let current = settings.logins.get(&route.name);
        let own = self.session.as_ref().is_none_or(|session| {
            matches!((&session.login, current), (Some(used), Some(current)) if Arc::ptr_eq(used, current))
        });
        if !own {
            self.close(true);
        }
    }

    /// Whether it is time to give the place to another destination.
    fn has_had_its_share(&self) -> bool {
        self.taken >= SHARE && self.post.seat.is_wanted() && self.destination.has_company()
    }

    /// Keeps the connection for the next message. `false` if this worker ends instead.
    async fn wait(&mut self) -> bool {
        let idle = self.core.deps.settings.load().timeouts.idle;
        let Some(session) = &mut self.session else {
            return !self.post.withdraw();
        };
        let mut over = false;
        tokio::select! {
            biased;
            () = self.destination.called() => return true,
            () = session.over() => over = true,
            () = sleep(idle) => {}
            () = self.post.seat.wanted() => {}
            () = self.core.stop.cancelled() => {}
        }
        if over {
            self.close(false);
        }
        if self.post.withdraw() {
            return false;
        }
        self.destination.called().await;
        true
    }

    fn begin(&mut self, session: Session) {
        self.counted = Some(self.destination.connected());
        self.session = Some(session);
        self.taken = 0;
    }

    fn close(&mut self, polite: bool) {
        if let Some(session) = self.session.take() {
            self.counted = None;
            if polite {
                let core = self.core.clone();
                let timeouts = core.deps.settings.load().timeouts.clone();
                core.workers.clone().spawn(async move {
                    let hurry = async {
                        core.stop.cancelled().await;
                        sleep(HURRY).await;
                    };
                    tokio::select! {
                        () = session.quit(&timeouts) => {}
                        () = hurry => {}
                    }
                });
            }
        }
    }

    /// Delivers one message to its recipients here. `false` if this worker must end.
    async fn deliver(&mut self, work: Work) -> bool {
        let settings = self.core.deps.settings.load_full();
        let Some(message) = self.core.message_of(&settings, &work).await else {
            return true;
        };
        let look_again = if work.is_fresh() {
            Vec::new()
        } else {
            look_again(&message, &work.recipients)
        };
        let mut left = work.recipients;
        let mut load = Load {
            message,
            claims: Arc::new(work.claims),
            look_again,
            begun: false,
            tried: Vec::new(),
        };
        while !left.is_empty() {
            // The credentials below are from these settings.
            let settings = self.core.deps.settings.load_full();
            if !self.is_routed(&settings) {
                self.hand_back(load, left);
                return true;
            }
            self.drop_foreign_session(&settings);
            if self.session.is_none() {
                match self.connect(&settings, &load.message, left.len()).await {
                    Connected::Yes => {}
                    Connected::Stopped => return false,
                    // Go to the check above: it now belongs to another destination.
                    Connected::No(_) | Connected::TooMany | Connected::Full(_)
                        if !self.is_routed(&self.core.deps.settings.load()) =>
                    {
                        continue;
                    }
                    Connected::Full(site) if !load.begun => {
                        self.put_back(load, left);
                        self.wait_for_room_at(site);
                        return false;
                    }
                    Connected::TooMany if !load.begun => {
                        self.put_back(load, left);
                        return false;
                    }
                    Connected::TooMany | Connected::Full(_) => {
                        let cause = Cause::Settings("no connection to spare".into());
                        let failure = Failure::temporary(Status(4, 4, 5), &Relay::Nowhere, cause);
                        self.fail(&settings, &load, left, &failure).await;
                        return true;
                    }
                    Connected::No(failure) => {
                        self.fail(&settings, &load, left, &failure).await;
                        return true;
                    }
                }
            }
            let Ok(unsettled) = self.unsettled.clone().acquire_owned().await else {
                return false;
            };
            if !self.wait_for_turn(&settings).await {
                return false;
            }
            let most = self.batch_len(&settings, left.len());
            let (batch, rest) = sender::batch(&settings, &load.message, left, most);
            let (mut fates, again) = self.hand_over(&settings, &load.message, batch).await;
            left = self.go_elsewhere(&settings, &mut load, &mut fates).await;
            left.extend(again);
            left.extend(rest);
            if !fates.is_empty() {
                load.begun = true;
                self.conclude(&settings, &load, fates, Some(unsettled));
            }
        }
        true
    }

    /// Makes the destination wait until there is room at its hosts' address or network.
    fn wait_for_room_at(&self, site: Site) {
        let class = self.post.seat.class();
        if let Some(in_line) = InLine::stand(self.destination, class) {
            self.core.places.park(site, in_line);
        }
    }

    /// Waits as the rate of the destination demands. `false` if the server is stopping.
    async fn wait_for_turn(&self, settings: &Settings) -> bool {
        let Some(rate) = self.destination.bounds(&settings.limits).rate_per_destination else {
            return true;
        };
        tokio::select! {
            () = sleep_until(self.destination.sending_time(rate).into()) => true,
            () = self.core.stop.cancelled() => false,
        }
    }

    fn put_back(&self, load: Load, recipients: Vec<Due>) {
        let Load { message, claims, .. } = load;
        let fresh = claims.is_empty();
        self.destination.put_back(Work {
            id: message.id,
            queued_at: message.queued_at,
            recipients,
            class: message.origin.class(),
            submitter: work::submitter(message.login.as_deref()),
            message: fresh.then_some(message),
            claims: Arc::into_inner(claims).unwrap_or_default(),
        });
    }

    fn batch_len(&self, settings: &Settings, recipients: usize) -> usize {
        let peer_max = self
            .session
            .as_ref()
            .and_then(|session| session.peer.recipients_max);
        let most = self
            .destination
            .bounds(&settings.limits)
            .recipients_per_transaction
            .min(peer_max.unwrap_or(usize::MAX));
        recipients.min(most.max(1))
    }

    async fn connect(&mut self, settings: &Settings, message: &Message, recipients: usize) -> Connected {
        if let Some(pause) = self.destination.paused(self.core.now()) {
            return Connected::No(pause.cause);
        }
        let Some(opened) = self.open(settings, &[]).await else {
            return Connected::Stopped;
        };
        let failure = match opened {
            Ok(session) => {
                self.destination.note_way(session.way);
                self.begin(session);
                return Connected::Yes;
            }
            Err(NotOpened::Full(site)) => return Connected::Full(site),
            Err(NotOpened::Failed(failure) | NotOpened::Login { failure, .. }) => failure,
        };
        self.destination.note_way(failure.way);
        let (words, is_reply, fact) = (failure.text(), failure.is_reply(), failure.fact());
        self.core.deps.observers.tell(Attempted {
            queue: &message.id,
            session: message.session.as_deref(),
            destination: Some(&self.destination.name),
            relay: &failure.relay,
            proof: failure.way.whole().map(Proof::name),
            tls: None,
            recipients,
            taken: None,
            status: Some(&failure.status),
            failure: Some(fact.kind),
            stage: fact.stage.map(Stage::name),
            reply: is_reply.then_some(&words as &dyn Display),
            error: (!is_reply).then_some(&*words),
        });
        if !failure.permanent {
            let pause = |failures| pause_for(settings, failures);
            if self.destination.connect_failed(self.core.now(), &failure, pause) == Setback::Fewer {
                return Connected::TooMany;
            }
        }
        Connected::No(failure)
    }

    /// One transaction, and what it means for session and destination. Returns the fates of recipients, and those to be tried at
    /// once in another transaction.
    async fn hand_over(
        &mut self,
        settings: &Settings,
        message: &Message,
        batch: Vec<Due>,
    ) -> (Vec<(Due, Fate)>, Vec<Due>) {
        let Some(session) = &mut self.session else {
            return (Vec::new(), batch);
        };
        session.hurry = self.post.seat.hurry();
        let deps = &self.core.deps;
        let (begun, recipients) = (time::now(), batch.len());
        let Transacted {
            fates,
            again,
            reusable,
            timed_out,
            broke_by_bdat,
        } = transact(session, settings, deps, message, batch).await;
        if broke_by_bdat {
            self.core.quirks.note(&session.relay, Quirk::Bdat, time::now());
        }
        let is_delivered = |(_, fate): &&(Due, Fate)| matches!(fate, Fate::Delivered { .. });
        let taken = fates.iter().filter(is_delivered).count();
        deps.observers.tell(HandedOver {
            queue: &message.id,
            session: message.session.as_deref(),
            relay: &session.relay,
            recipients,
            taken,
            took: time::now().saturating_duration_since(begun),
        });
        let delivered = taken > 0;
        if delivered && session.gave_up_tls {
            // Only now is it known that the host accepts cleartext mail.
            self.core.quirks.note(&session.relay, Quirk::Tls, time::now());
        }
        let peer_max = session.peer.transactions_max.unwrap_or(u32::MAX);
        let worn = session.transactions
            >= self
                .destination
                .bounds(&settings.limits)
                .messages_per_connection
                .min(peer_max);
        // It has given its verdict on the message, whatever it is.
        let answered = reusable && again.is_empty();
        if !reusable || worn {
            self.close(reusable);
        }
        for (_, fate) in &fates {
            if let Fate::Failed(failure) = fate {
                self.destination.note_error(self.core.now(), failure.line());
            }
        }
        if timed_out {
            self.post.seat.doubt();
        } else if answered {
            self.post.seat.prove();
        }
        if delivered {
            self.destination.succeeded(&settings.limits);
            // It may have earned one more connection for mail that is already waiting.
            self.core.staff(self.destination, settings);
        } else if timed_out && let Some((_, Fate::Failed(failure))) = fates.first() {
            self.destination
                .stalled(self.core.now(), failure, |failures| pause_for(settings, failures));
        }
        (fates, again)
    }

    async fn fail(&self, settings: &Settings, load: &Load, recipients: Vec<Due>, failure: &Failure) {
        let Ok(unsettled) = self.unsettled.clone().acquire_owned().await else {
            return;
        };
        self.conclude(settings, load, all_failed(recipients, failure), Some(unsettled));
    }

    fn conclude(
        &self,
        settings: &Settings,
        load: &Load,
        fates: Vec<(Due, Fate)>,
        unsettled: Option<OwnedSemaphorePermit>,
    ) {
        let held = Held {
            claims: load.claims.clone(),
            unsettled,
            look_again: load.look_again.clone(),
        };
        let not_before = self.destination.paused(self.core.now()).map(|pause| pause.until);
        let conclusion = Conclusion {
            message: load.message.clone(),
            fates,
            not_before,
            public: matches!(self.destination.hop.kind, HopKind::Mx(_)),
            held,
            sent_on: Vec::new(),
        };
        self.core.conclude(settings, conclusion);
    }
}

/// The failure for a host that is too slow while others wait for the place.
fn given_up(patience: Duration) -> Failure {
    let text = format!(
        "not ready for mail within {} s; hosts that have not taken mail recently get no more time while others wait",
        patience.as_secs()
    );
    Failure::temporary(Status(4, 4, 5), &Relay::Nowhere, Cause::Settings(text.into()))
}

/// Takes out the recipients for whom another host may be tried.
fn take_movable(fates: &mut Vec<(Due, Fate)>) -> Vec<Due> {
    let movable = |fate: &Fate| matches!(fate, Fate::Failed(failure) if failure.may_go_elsewhere());
    let (moving, staying): (Vec<_>, Vec<_>) = std::mem::take(fates)
        .into_iter()
        .partition(|(_, fate)| movable(fate));
    *fates = staying;
    moving.into_iter().map(|(due, _)| due).collect()
}

fn pause_for(settings: &Settings, failures: u32) -> Duration {
    pause_after(failures, &settings.retry, settings.limits.dead_pause_max)
}
