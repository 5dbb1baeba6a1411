//! A place for one connection, released on drop.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use postern_policy::concurrency::{Class, Site};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

/// How often a worker that waits for a silent host checks whether others want its place.
const LOOK_UP: Duration = Duration::from_millis(500);

/// The keeper of seats: counts them, and takes them back.
pub(crate) trait Keeper: Send + Sync {
    /// Takes a place back.
    fn give_back(&self, held: &mut Held);

    /// Changes a place for one of another class, if there is one.
    fn change(&self, host: u64, held: &mut Held, class: Class) -> bool;

    /// Counts a connection to an address, in place of the one counted before.
    ///
    /// # Errors
    ///
    /// The site that has all the connections it may have.
    fn enter(&self, held: &mut Held, address: IpAddr) -> Result<(), Site>;

    /// The host has shown that it works.
    fn prove(&self, host: u64, held: &mut Held);

    /// The host has timed out.
    fn doubt(&self, host: u64, held: &mut Held);

    /// Whether others could use the place of a worker of this class at once.
    fn is_crowded(&self, class: Class) -> bool;

    /// Tells one idle connection that its place is wanted.
    fn wanted(&self, class: Class) -> &Notify;

    /// How long each reply of an unproven host may take while others wait for its place.
    fn hurry(&self, class: Class) -> Option<Duration>;
}

/// A place for one connection.
pub(crate) struct Seat {
    /// `None` for local delivery, which needs no place.
    places: Option<Arc<dyn Keeper>>,
    /// The next hop.
    host: u64,
    held: Mutex<Held>,
}

/// What a seat counts as.
pub(crate) struct Held {
    pub(crate) class: Class,
    /// Whether the host has accepted mail recently.
    pub(crate) proven: bool,
    /// The host's address and network.
    pub(crate) sites: Option<[Site; 2]>,
    /// When it was given, if it was paced.
    pub(crate) paced: Option<Instant>,
    /// Whether the host has shown on this seat that it works.
    shown: bool,
}

impl Seat {
    pub(crate) fn new(places: Arc<dyn Keeper>, host: u64, held: Held) -> Self {
        Self {
            places: Some(places),
            host,
            held: Mutex::new(held),
        }
    }

    /// For delivery on this machine, which needs no place.
    pub(crate) fn local(class: Class) -> Self {
        Self {
            places: None,
            host: 0,
            held: Mutex::new(Held::new(class, true, None)),
        }
    }

    pub(crate) fn class(&self) -> Class {
        self.held.lock().class
    }

    /// Changes to a place of another class. `false` if there is none: then it stays as it is.
    pub(crate) fn change(&self, class: Class) -> bool {
        let held = &mut *self.held.lock();
        if held.class == class {
            return true;
        }
        match &self.places {
            Some(places) => {
                let changed = places.change(self.host, held, class);
                held.shown &= !changed;
                changed
            }
            None => {
                held.class = class;
                true
            }
        }
    }

    /// Counts the connection to an address that is about to be made.
    ///
    /// # Errors
    ///
    /// The address or network that has all the connections it may have.
    pub(crate) fn enter(&self, address: IpAddr) -> Result<(), Site> {
        match &self.places {
            Some(places) => places.enter(&mut self.held.lock(), address),
            None => Ok(()),
        }
    }

    /// Notes that the host works: it has answered a whole transaction.
    pub(crate) fn prove(&self) {
        let held = &mut *self.held.lock();
        if let Some(places) = &self.places
            && !held.shown
        {
            held.shown = true;
            places.prove(self.host, held);
        }
    }

    /// Notes that the host has timed out.
    pub(crate) fn doubt(&self) {
        let held = &mut *self.held.lock();
        if let Some(places) = &self.places {
            held.shown = false;
            places.doubt(self.host, held);
        }
    }

    /// Its class, if the host is unproven.
    fn unproven(&self) -> Option<Class> {
        let held = self.held.lock();
        (!held.proven).then_some(held.class)
    }

    /// How long each reply may take, if less than usual: others wait, and the host is unproven.
    pub(crate) fn hurry(&self) -> Option<Duration> {
        self.places.as_ref()?.hurry(self.unproven()?)
    }

    /// Resolves when the host has taken too long; never, if it is proven.
    pub(crate) async fn patience(&self) -> Duration {
        if let Some(places) = &self.places
            && let Some(class) = self.unproven()
        {
            let patience = patience_of(&**places, class).await;
            // Its address may have become proven.
            if self.unproven().is_some() {
                return patience;
            }
        }
        std::future::pending().await
    }

    /// Whether others could use the place at once.
    pub(crate) fn is_wanted(&self) -> bool {
        let class = self.class();
        self.places
            .as_ref()
            .is_some_and(|places| places.is_crowded(class))
    }

    /// Resolves when the place of an idle connection is wanted.
    pub(crate) async fn wanted(&self) {
        let class = self.class();
        match &self.places {
            Some(places) => places.wanted(class).notified().await,
            None => std::future::pending().await,
        }
    }
}

/// Resolves when an unproven host has taken too long and others want its place.
async fn patience_of(places: &dyn Keeper, class: Class) -> Duration {
    let began = Instant::now();
    loop {
        sleep(LOOK_UP).await;
        if let Some(patience) = places.hurry(class)
            && began.elapsed() >= patience
        {
            return patience;
        }
    }
}

impl Held {
    pub(crate) fn new(class: Class, proven: bool, paced: Option<Instant>) -> Self {
        Self {
            class,
            proven,
            sites: None,
            paced,
            shown: false,
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(places) = &self.places {
            places.give_back(self.held.get_mut());
        }
    }
}
