//! Workers for scarce work (hashing, processes of other programs), shared fairly between client networks.

use std::fmt::Display;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use postern_policy::fair::{FairQueue, Standing};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::verdict::Outage;

/// Most waiting askers from one network. Askers without a known network may be many.
const NETWORK_MAX: usize = 32;

/// Most waiting askers per worker and standing: about as many as can be served before they time out.
const WAITING_PER_PLACE: usize = 128;

/// Who asks, as far as that decides whose turn it is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Asker {
    /// The client's address, if known.
    pub peer: Option<IpAddr>,
    /// Its network, by which turns are shared: the address without its last bits. Askers without one share one queue.
    pub network: Option<IpAddr>,
    /// How well the network is known: better known ones go first.
    pub standing: Standing,
}

impl Asker {
    /// An asker at this address, about whom nothing else is known.
    #[must_use]
    pub fn at(peer: Option<IpAddr>) -> Self {
        Self {
            peer,
            network: peer,
            standing: Standing::Stranger,
        }
    }
}

/// A number of workers.
pub(crate) struct Workers {
    state: Mutex<State>,
}

struct State {
    free: usize,
    waiting: FairQueue<Option<IpAddr>, oneshot::Sender<Turn>>,
}

/// A worker's turn. It is released when this is dropped.
pub(crate) struct Turn {
    workers: Option<Arc<Workers>>,
}

impl Workers {
    /// That many workers, at least one.
    pub(crate) fn new(places: usize) -> Arc<Self> {
        let places = places.max(1);
        Arc::new(Self {
            state: Mutex::new(State {
                free: places,
                waiting: FairQueue::new(places.saturating_mul(WAITING_PER_PLACE)),
            }),
        })
    }

    /// Waits for a turn.
    ///
    /// # Errors
    ///
    /// Too many wait already.
    pub(crate) async fn turn(self: &Arc<Self>, asker: &Asker) -> Result<Turn, Outage> {
        let full = || Outage::busy("too many logins wait to be checked");
        let receiver = {
            let mut state = self.state.lock();
            if state.free > 0 {
                state.free -= 1;
                return Ok(self.place());
            }
            if state.waiting.len() >= NETWORK_MAX {
                // Askers that have left meanwhile do not take up room.
                state.waiting.retain(|waiting| !waiting.is_closed());
            }
            let (sender, receiver) = oneshot::channel();
            // Dropping the sender of an asker without room notifies that asker.
            let most = asker.network.map_or(usize::MAX, |_| NETWORK_MAX);
            drop(state.waiting.push(asker.network, most, asker.standing, sender));
            receiver
        };
        receiver.await.map_err(|_| full())
    }

    /// Waits for a turn and then for an answer to `question`, each for at most `limit`. `outage` says whose answer is missing.
    ///
    /// # Errors
    ///
    /// There was no turn in time, or no answer.
    pub(crate) async fn answer<T, E: Display>(
        self: &Arc<Self>,
        asker: &Asker,
        limit: Duration,
        question: impl Future<Output = Result<T, E>>,
        outage: impl Fn(&str) -> Outage,
    ) -> Result<T, Outage> {
        let turn = timeout(limit, self.turn(asker)).await;
        let _turn = turn.unwrap_or_else(|_| Err(Outage::busy("all connections are in use")))?;
        match timeout(limit, question).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(outage(&error.to_string())),
            Err(_) => Err(outage(&format!("no answer within {} ms", limit.as_millis()))),
        }
    }

    fn place(self: &Arc<Self>) -> Turn {
        Turn {
            workers: Some(Arc::clone(self)),
        }
    }

    /// Passes a turn on to the next asker that still waits.
    fn free(self: Arc<Self>) {
        let mut place = self.place();
        loop {
            let next = {
                let mut state = self.state.lock();
                let next = state.waiting.pop();
                if next.is_none() {
                    state.free += 1;
                }
                next
            };
            let Some(next) = next else {
                place.workers = None;
                return;
            };
            match next.send(place) {
                Ok(()) => return,
                Err(back) => place = back,
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(workers) = self.workers.take() {
            workers.free();
        }
    }
}

impl std::fmt::Debug for Workers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state.lock();
        f.debug_struct("Workers")
            .field("free", &state.free)
            .field("waiting", &state.waiting.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn from(number: u32, standing: Standing) -> Asker {
        let peer = Some(IpAddr::V4(Ipv4Addr::from(number)));
        Asker {
            standing,
            ..Asker::at(peer)
        }
    }

    /// Waits in separate tasks, in this order, and returns the order of their turns.
    async fn order(workers: &Arc<Workers>, askers: &[(&'static str, Asker)]) -> Vec<&'static str> {
        let taken = workers.turn(&from(0, Standing::Suspect)).await.unwrap();
        let (sender, mut turns) = tokio::sync::mpsc::unbounded_channel();
        let mut tasks = Vec::new();
        for (name, asker) in askers.iter().copied() {
            let (workers, sender) = (Arc::clone(workers), sender.clone());
            tasks.push(tokio::spawn(async move {
                let turn = workers.turn(&asker).await;
                if turn.is_ok() {
                    sender.send(name).unwrap();
                }
            }));
            tokio::task::yield_now().await;
        }
        drop((taken, sender));
        for task in tasks {
            task.await.unwrap();
        }
        let mut all = Vec::new();
        while let Some(name) = turns.recv().await {
            all.push(name);
        }
        all
    }

    #[tokio::test]
    async fn an_honest_login_waits_for_a_few_and_not_for_all() {
        let workers = Workers::new(1);
        let mut askers = vec![("guess", from(1, Standing::Suspect)); 30];
        askers.extend([
            ("stranger", from(2, Standing::Stranger)),
            ("user", from(3, Standing::Known)),
        ]);
        let order = order(&workers, &askers).await;
        let place = |name| order.iter().position(|one| *one == name).unwrap();
        assert_eq!(order.len(), 32);
        assert_eq!(place("user"), 0, "{order:?}");
        assert_eq!(place("stranger"), 1, "{order:?}");
        assert_eq!(workers.state.lock().free, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_and_an_answer_are_waited_for_so_long() {
        let limit = Duration::from_secs(5);
        let down = |text: &str| Outage::busy(text);
        let workers = Workers::new(1);
        let asker = from(1, Standing::Known);
        #[rustfmt::skip]
        let cases = [
            // what the case shows      the place is free after   the answer takes   comes
            ("both at once",            0,                        0,                 true),
            ("both in time",            4,                        4,                 true),
            ("no place",                6,                        0,                 false),
            ("no answer",               0,                        6,                 false),
        ];
        for (shows, free_after, takes, comes) in cases {
            let taken = workers.turn(&asker).await.unwrap();
            let giving = tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(free_after)).await;
                drop(taken);
            });
            let question = async {
                tokio::time::sleep(Duration::from_secs(takes)).await;
                Ok::<_, String>(())
            };
            let answer = workers.answer(&asker, limit, question, down).await;
            assert_eq!(answer.is_ok(), comes, "{shows}");
            giving.await.unwrap();
        }
    }

    #[tokio::test]
    async fn one_network_has_so_much_room_and_no_more() {
        let workers = Workers::new(1);
        let mut askers = vec![("guess", from(1, Standing::Suspect)); NETWORK_MAX + 5];
        askers.push(("stranger", from(2, Standing::Suspect)));
        let order = order(&workers, &askers).await;
        assert_eq!(order.len(), NETWORK_MAX + 1);
    }

    #[tokio::test]
    async fn who_has_gone_away_takes_no_turn_and_no_room() {
        let workers = Workers::new(1);
        let taken = workers.turn(&from(1, Standing::Suspect)).await.unwrap();
        let gone: Vec<_> = (0..NETWORK_MAX)
            .map(|_| {
                let workers = Arc::clone(&workers);
                tokio::spawn(async move { workers.turn(&from(1, Standing::Suspect)).await.map(drop) })
            })
            .collect();
        tokio::task::yield_now().await;
        assert_eq!(workers.state.lock().waiting.len(), NETWORK_MAX);
        for task in gone {
            task.abort();
            let _ = task.await;
        }
        let waiting = {
            let workers = Arc::clone(&workers);
            tokio::spawn(async move { workers.turn(&from(1, Standing::Suspect)).await.is_ok() })
        };
        tokio::task::yield_now().await;
        assert_eq!(workers.state.lock().waiting.len(), 1);
        drop(taken);
        assert!(waiting.await.unwrap());
        assert_eq!(workers.state.lock().free, 1);
    }
}
