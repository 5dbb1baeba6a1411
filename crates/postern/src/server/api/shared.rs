//! What all handlers of the API share.

use std::sync::Arc;

use postern_http::axum::body::Bytes;
use postern_http::axum::extract::{FromRequest as _, Request};
use postern_receive::HttpDoor;
use tokio::sync::Semaphore;

use super::answer::Trouble;
use super::failures::Failures;
use super::keys::Keys;
use crate::admin::Service;

/// Requests that are worked on at once; further ones are told `503`.
const AT_ONCE: usize = 64;

/// Messages that are taken at once; further ones are told `503`.
const SUBMISSIONS: usize = 12;

/// KiB of messages in memory at once. A larger one is taken alone.
pub(super) const MEMORY: u32 = 64 << 10;

/// What all handlers share.
#[derive(Clone)]
pub(in crate::server) struct Api {
    pub(super) service: Service,
    pub(super) failures: Arc<Failures>,
    pub(super) places: Arc<Semaphore>,
    pub(super) keys: Arc<Keys>,
    /// The way into the queue.
    pub(super) door: HttpDoor,
    /// Messages that are taken at once. Each holds a thread, of which others have need.
    pub(super) submissions: Arc<Semaphore>,
    /// KiB of messages that are in memory at once.
    pub(super) memory: Arc<Semaphore>,
}

impl Api {
    /// For all listeners of a server.
    pub(in crate::server) fn new(service: Service) -> Self {
        Self {
            door: HttpDoor::new(service.receiver()),
            submissions: Arc::new(Semaphore::new(SUBMISSIONS)),
            memory: Arc::new(Semaphore::new(MEMORY as usize)),
            service,
            failures: Arc::default(),
            places: Arc::new(Semaphore::new(AT_ONCE)),
            keys: Arc::default(),
        }
    }
}

/// The body, as far as the path allows.
pub(super) async fn body_of(request: Request) -> Result<Bytes, Trouble> {
    let read = Bytes::from_request(request, &()).await;
    read.map_err(|rejected| Trouble::body(&rejected))
}
