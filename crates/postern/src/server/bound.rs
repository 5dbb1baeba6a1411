//! What was bound while the process had the privileges.

use super::http::BoundHttp;
use super::listeners::Bound;
use super::local::BoundLocal;
use super::sockets::BoundSocket;

/// What was bound while the process had the privileges.
pub(super) struct AllBound {
    pub(super) listeners: Vec<Bound>,
    pub(super) sockets: Vec<BoundSocket>,
    pub(super) http: Vec<BoundHttp>,
    pub(super) local: Option<BoundLocal>,
}
