//! Who makes a request: identified by token, or by the kernel on a socket in the file system.

use std::time::Instant;

use nix::unistd::{Uid, geteuid};
use postern_events::{notice, shown};
use postern_http::Peer;
use postern_http::axum::http::{HeaderMap, StatusCode, header};
use postern_policy::network::wide;

use super::answer::Trouble;
use super::shared::Api;
use crate::admin::{By, Role, Who};
use crate::control;

/// Determines who makes a request.
///
/// # Errors
///
/// Not authenticated: `401`, or `429` after too many failures.
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
    let Some(field) = shown_field else {
        return Err(Trouble::new(
            StatusCode::UNAUTHORIZED,
            "a token is needed: `Authorization: Bearer pst_…`; `postern api token create` makes one",
        ));
    };
    let token = field.to_str().ok().and_then(bearer).unwrap_or_default();
    api.service.admin().by_token(token, peer.address).map_err(|reason| {
        // Who shares a network with somebody who guesses is not kept out: a right token is always taken.
        let (from, now) = (peer.address.map(wide), Instant::now());
        if let Some(seconds) = api.failures.wait(from, now) {
            let told = "too many requests with a wrong token from this network";
            return Trouble::new(StatusCode::TOO_MANY_REQUESTS, told).later(seconds);
        }
        if api.failures.count(from, now) {
            let observers = &api.service.deps().observers;
            let address = peer.address.map_or_else(|| "unix".to_owned(), |address| address.to_string());
            notice!(observers, Control Warning "a token was not taken", Peer = address, Reason = shown(&reason));
        }
        Trouble::new(StatusCode::UNAUTHORIZED, "the token is not valid here")
    })
}

/// The token in a header field (RFC 6750 section 2.1); the scheme is case-insensitive.
fn bearer(field: &str) -> Option<&str> {
    let (scheme, token) = field.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

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
