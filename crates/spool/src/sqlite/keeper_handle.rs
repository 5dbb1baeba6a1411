//! The channel to the keeper.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

/// A task for the keeper.
pub(super) enum Duty {
    Checkpoint,
    Remove(Arc<str>),
    Stop,
}

/// The sending end of the channel to the keeper.
#[derive(Clone)]
pub(super) struct KeeperHandle(Sender<Duty>);

/// The keeper's receiving end.
pub(super) struct KeeperInbox(pub(super) Receiver<Duty>);

pub(super) fn keeper_channel() -> (KeeperHandle, KeeperInbox) {
    let (sender, receiver) = channel();
    (KeeperHandle(sender), KeeperInbox(receiver))
}

impl KeeperHandle {
    pub(super) fn checkpoint(&self) {
        let _ = self.0.send(Duty::Checkpoint);
    }

    pub(super) fn remove(&self, name: Arc<str>) {
        let _ = self.0.send(Duty::Remove(name));
    }

    pub(super) fn stop(&self) {
        let _ = self.0.send(Duty::Stop);
    }
}
