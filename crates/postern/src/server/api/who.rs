//! Who asks: by token, or by the kernel's word on a socket of the file system.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use nix::unistd::{Uid, geteuid};
use parking_lot::Mutex;
use postern_events::{notice, shown};
use postern_http::Peer;
use postern_http::axum::http::{HeaderMap, StatusCode, header};
use postern_policy::network::wide;

use super::Api;
use super::answer::Trouble;
use crate::admin::{By, Role, Who};
use crate::control;

/// Wrong tokens from a network before it has to wait.
const FAILURES_MAX: u32 = 20;

/// How long they count, and the wait.
const SPAN: Duration = Duration::from_secs(60);

/// Networks that are remembered.
const NETWORKS_MAX: usize = 10_000;

/// Wrong tokens of late, by network. Nobody can guess one; this is for the log, and for who tries.
#[derive(Debug, Default)]
pub(super) struct Failures {
    all: Mutex<HashMap<Option<IpNet>, (u32, Instant)>>,
}

impl Failures {
    /// Seconds that a network has to wait.
    fn wait(&self, from: Option<IpNet>, now: Instant) -> Option<u64> {
        let all = self.all.lock();
        let (count, since) = all.get(&from)?;
        let left = SPAN.checked_sub(now.duration_since(*since))?;
        (*count >= FAILURES_MAX).then(|| left.as_secs() + 1)
    }

    /// One more; says whether it is to be logged.
    fn count(&self, from: Option<IpNet>, now: Instant) -> bool {
        let mut all = self.all.lock();
        if all.len() >= NETWORKS_MAX {
            all.retain(|_, (_, since)| now.duration_since(*since) < SPAN);
            if all.len() >= NETWORKS_MAX {
                all.clear();
            }
        }
        let (count, since) = all.entry(from).or_insert((0, now));
        if now.duration_since(*since) >= SPAN {
            (*count, *since) = (0, now);
        }
        *count += 1;
        *count <= FAILURES_MAX
    }
}

/// Finds out who asks.
///
/// # Errors
///
/// Nobody is known by what was shown: `401`, or `429` after too much of it.
pub(super) fn who(api: &Api, peer: Peer, fields: &HeaderMap) -> Result<Who, Trouble> {
    let shown_field = fields.get(header::AUTHORIZATION);
    if let (None, Some(uid)) = (shown_field, peer.uid) {
        let uid = Uid::from_raw(uid);
        if uid.is_root() || uid == geteuid() {
            return Ok(Who {
                name: control::administrator(uid),
                role: Role::Administer,
                by: By::Peer,
                login: None,
                uid: Some(uid.as_raw()),
                scope: None,
            });
        }
    }
    let (from, now) = (peer.address.map(wide), Instant::now());
    if let Some(seconds) = api.failures.wait(from, now) {
        let told = "too many requests with a wrong token from this network";
        return Err(Trouble::new(StatusCode::TOO_MANY_REQUESTS, told).later(seconds));
    }
    let Some(field) = shown_field else {
        return Err(Trouble::new(
            StatusCode::UNAUTHORIZED,
            "a token is needed: `Authorization: Bearer pst_…`; `postern api token create` makes one",
        ));
    };
    let token = field.to_str().ok().and_then(bearer).unwrap_or_default();
    api.service.admin().by_token(token, peer.address).map_err(|reason| {
        if api.failures.count(from, now) {
            let observers = &api.service.deps().observers;
            let address = peer.address.map_or_else(|| "unix".to_owned(), |address| address.to_string());
            notice!(observers, Control Warning "a token was not taken", Peer = address, Reason = shown(&reason));
        }
        Trouble::new(StatusCode::UNAUTHORIZED, "the token is not valid here")
    })
}

/// The token of a field (RFC 6750 section 2.1); the scheme is written in any case.
fn bearer(field: &str) -> Option<&str> {
    let (scheme, token) = field.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_shows_wrong_tokens_waits_alone() {
        let failures = Failures::default();
        let (one, other) = ("192.0.2.0/24".parse().ok(), "198.51.100.0/24".parse().ok());
        let begun = Instant::now();
        for _ in 0..FAILURES_MAX {
            assert_eq!(failures.wait(one, begun), None);
            assert!(failures.count(one, begun));
        }
        assert!(failures.wait(one, begun).is_some());
        assert!(!failures.count(one, begun), "the log has enough of it");
        assert_eq!(failures.wait(other, begun), None);
        assert_eq!(failures.wait(None, begun), None);
        assert_eq!(failures.wait(one, begun + SPAN + Duration::from_secs(1)), None);
    }

    #[test]
    fn tokens_in_fields() {
        for (field, token) in [
            ("Bearer pst_x", Some("pst_x")),
            ("bearer  pst_x ", Some("pst_x")),
            ("Basic pst_x", None),
            ("pst_x", None),
            ("", None),
        ] {
            assert_eq!(bearer(field), token, "{field:?}");
        }
    }
}
