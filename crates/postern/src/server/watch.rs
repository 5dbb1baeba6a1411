//! Supervises essential tasks: if one ends or panics early, the server ends, so that it is restarted. A server that accepted
//! mail but delivered none would look healthy for days.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// A task that ended early.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Ended {
    /// Its name, such as `delivery`.
    pub(super) task: String,
    /// The message of its panic; none if it returned.
    pub(super) panic: Option<String>,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.panic {
            Some(message) => write!(f, "the task {:?} panicked: {message}", self.task),
            None => write!(f, "the task {:?} has ended by itself", self.task),
        }
    }
}

/// Starts tasks and reports the first that ends early. Clones are handles to the same watch.
#[derive(Clone)]
pub(super) struct Watch {
    ended: mpsc::UnboundedSender<Ended>,
}

/// The receiver of the watch's reports.
pub(super) struct Alarm {
    ended: mpsc::UnboundedReceiver<Ended>,
    /// Keeps the channel open while nothing is watched.
    _watch: Watch,
}

impl Watch {
    /// An empty watch, and the receiver of its reports.
    pub(super) fn new() -> (Self, Alarm) {
        let (sender, ended) = mpsc::unbounded_channel();
        let watch = Self { ended: sender };
        let alarm = Alarm {
            ended,
            _watch: watch.clone(),
        };
        (watch, alarm)
    }

    /// Starts a task. It has ended early if it panics, or returns while `may_end` says no.
    pub(super) fn spawn(
        &self,
        task: impl Into<String>,
        may_end: impl Fn() -> bool + Send + 'static,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> JoinHandle<()> {
        let (task, ended) = (task.into(), self.ended.clone());
        tokio::spawn(async move {
            // Nothing left behind by the task is used again: the server ends.
            let result = AssertUnwindSafe(work).catch_unwind().await;
            let panic = match result {
                Ok(()) if may_end() => return,
                Ok(()) => None,
                Err(panic) => Some(message(&*panic)),
            };
            // Without a receiver, the server is already ending.
            let _ = ended.send(Ended { task, panic });
        })
    }
}

impl Alarm {
    /// Waits for a task that ends early.
    pub(super) async fn ended(&mut self) -> Ended {
        match self.ended.recv().await {
            Some(ended) => ended,
            // This cannot happen while its own watch exists.
            None => std::future::pending().await,
        }
    }
}

/// The message of a panic.
fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_told_of_whenever_it_comes() {
        for stopping in [false, true] {
            let (watch, mut alarm) = Watch::new();
            let number = 7;
            let task = watch.spawn(
                "delivery",
                move || stopping,
                async move { panic!("number {number}") },
            );
            let ended = alarm.ended().await;
            assert_eq!(ended.to_string(), "the task \"delivery\" panicked: number 7");
            task.await.expect("the panic was caught");
        }
    }

    #[tokio::test]
    async fn an_end_is_told_of_before_the_stop_alone() {
        let (watch, mut alarm) = Watch::new();
        let stop = CancellationToken::new();
        let (stopped, waiting) = (stop.clone(), stop.clone());
        let orderly = watch.spawn("orderly", move || stopped.is_cancelled(), async move {
            waiting.cancelled().await;
        });
        let stopped = stop.clone();
        watch.spawn("early", move || stopped.is_cancelled(), async {});
        assert_eq!(
            alarm.ended().await.to_string(),
            "the task \"early\" has ended by itself"
        );
        stop.cancel();
        orderly.await.unwrap();
        assert!(alarm.ended.try_recv().is_err(), "the orderly one is not told of");
    }

    #[tokio::test]
    async fn a_watch_over_nothing_waits() {
        let (_, mut alarm) = Watch::new();
        assert!(alarm.ended().now_or_never().is_none());
    }

    /// The systemd unit restarts a server that ends for this reason.
    #[test]
    fn the_unit_restarts_it() {
        let unit = include_str!("../../../../packaging/postern.service");
        let value = |key: &str| unit.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        assert_eq!(value("Restart="), "on-failure");
        let code = (crate::exit::Exit::Software as u8).to_string();
        let prevented = value("RestartPreventExitStatus=");
        assert!(!prevented.split(' ').any(|other| other == code), "{prevented}");
    }
}
