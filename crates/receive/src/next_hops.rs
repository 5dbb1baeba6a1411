//! Recipients in relay domains about which the next hop is asked: answers are cached, and the number of questions is limited.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use postern_mail::Mailbox;
use postern_policy::{DomainSet, TtlCache};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// How long an accepted recipient is cached.
const TAKEN: Duration = Duration::from_secs(6 * 3_600);

/// How long a refused recipient is cached.
const REFUSED: Duration = Duration::from_secs(300);

/// How long the next hop is not asked again after it gave no answer.
const UNKNOWN: Duration = Duration::from_secs(20);

/// Most recipients that are cached.
const KNOWN_MAX: usize = 20_000;

/// Most questions at once, to all next hops together.
const ASKED_MAX: usize = 20;

/// Longest time for one question. The client waits this long, and then has to try again later.
const PATIENCE: Duration = Duration::from_secs(15);

/// A future answer.
pub type Told<'a> = Pin<Box<dyn Future<Output = HopAnswer> + Send + 'a>>;

/// Asks next hops about recipients.
pub trait AskNextHop: Send + Sync {
    /// Asks whether it takes mail for a recipient.
    fn ask<'a>(&'a self, recipient: &'a Mailbox) -> Told<'a>;
}

/// What a next hop says about a recipient.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum HopAnswer {
    /// It accepts mail for the recipient.
    Taken,
    /// It refuses the recipient for good: its reply.
    Refused(String),
    /// It cannot be told now, and why.
    Unknown(String),
}

/// The domains whose recipients the next hop is asked about, and its answers. The asker is set when the services start.
pub struct NextHops {
    domains: DomainSet,
    asker: OnceLock<Arc<dyn AskNextHop>>,
    known: Mutex<TtlCache<String, HopAnswer>>,
    places: Semaphore,
}

impl NextHops {
    /// For these domains.
    #[must_use]
    pub fn new(domains: DomainSet) -> Self {
        Self {
            domains,
            asker: OnceLock::new(),
            known: Mutex::new(TtlCache::new(KNOWN_MAX)),
            places: Semaphore::new(ASKED_MAX),
        }
    }

    /// Sets the asker. Only the first call counts.
    pub fn start(&self, asker: Arc<dyn AskNextHop>) {
        let _ = self.asker.set(asker);
    }

    /// Whether the next hop is asked about recipients of this domain.
    #[must_use]
    pub fn holds(&self, recipient: &Mailbox) -> bool {
        self.domains.contains(recipient.domain())
    }

    /// What the next hop says about a recipient, or said recently.
    pub async fn ask(&self, recipient: &Mailbox) -> HopAnswer {
        let key = recipient.key();
        if let Some(known) = self.known.lock().get(&key, crate::time::now()) {
            return known.clone();
        }
        let Some(asker) = self.asker.get() else {
            return HopAnswer::Unknown("nobody can ask its next hop here".into());
        };
        let asking = async {
            let _place = self.places.acquire().await;
            asker.ask(recipient).await
        };
        let answer = timeout(PATIENCE, asking)
            .await
            .unwrap_or_else(|_| HopAnswer::Unknown(format!("no answer within {} s", PATIENCE.as_secs())));
        let time = match answer {
            HopAnswer::Taken => TAKEN,
            HopAnswer::Refused(_) => REFUSED,
            HopAnswer::Unknown(_) => UNKNOWN,
        };
        let now = crate::time::now();
        self.known.lock().insert(key, answer.clone(), now + time, now);
        answer
    }
}

impl fmt::Debug for NextHops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NextHops")
            .field("domains", &self.domains)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Default)]
    struct Counting(AtomicUsize);

    impl AskNextHop for Counting {
        fn ask<'a>(&'a self, recipient: &'a Mailbox) -> Told<'a> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Box::pin(async move {
                match recipient.local() {
                    "ann" => HopAnswer::Taken,
                    "down" => HopAnswer::Unknown("no".into()),
                    _ => HopAnswer::Refused("550 5.1.1 no".into()),
                }
            })
        }
    }

    #[tokio::test]
    async fn what_was_said_is_kept() {
        let hops = NextHops::new(DomainSet::new(["x.example"]).unwrap());
        let mailbox = |text: &str| text.parse::<Mailbox>().unwrap();
        assert!(hops.holds(&mailbox("a@x.example")) && !hops.holds(&mailbox("a@y.example")));
        assert!(matches!(
            hops.ask(&mailbox("early@x.example")).await,
            HopAnswer::Unknown(_)
        ));
        let counting = Arc::new(Counting::default());
        hops.start(Arc::clone(&counting) as Arc<dyn AskNextHop>);
        for _ in 0..3 {
            assert_eq!(hops.ask(&mailbox("ann@x.example")).await, HopAnswer::Taken);
            assert_eq!(
                hops.ask(&mailbox("bob@X.example")).await,
                HopAnswer::Refused("550 5.1.1 no".into())
            );
            assert!(matches!(
                hops.ask(&mailbox("down@x.example")).await,
                HopAnswer::Unknown(_)
            ));
        }
        assert_eq!(counting.0.load(Ordering::Relaxed), 3, "each was asked about once");
    }
}
