//! Dovecot's auth service as a source of accounts.

use postern_directory::{DovecotPlace, DovecotSettings};

use super::Checking;
use crate::config::file::DovecotTable;
use crate::config::problem::Span;

pub(super) fn check(
    table: &DovecotTable,
    span: Option<Span>,
    c: &mut Checking<'_>,
) -> Option<DovecotSettings> {
    let place = match (&table.socket, &table.server) {
        (Some(socket), None) => DovecotPlace::Path(socket.value.clone()),
        (None, Some(server)) => {
            let port = server
                .rsplit_once(':')
                .and_then(|(_, port)| port.parse::<u16>().ok());
            if port.is_none_or(|port| port == 0) {
                c.problems.error(
                    server.span.clone(),
                    "`server` in [[directory]] names no port",
                    "where?",
                    "write for example `server = \"127.0.0.1:12345\"`",
                );
            } else if !is_here(server) {
                c.problems.warning(
                    server.span.clone(),
                    format!("passwords cross the network in the clear to {}", server.value),
                    "the protocol has no TLS",
                    "use `socket`, or an address of the loopback",
                );
            }
            DovecotPlace::Server(server.value.clone())
        }
        (Some(_), Some(server)) => {
            c.problems.error(
                server.span.clone(),
                "both `socket` and `server` for Dovecot",
                "where?",
                "remove one of them",
            );
            return None;
        }
        (None, None) => {
            c.problems.error(
                span,
                "neither a socket nor a server for Dovecot",
                "neither `socket` nor `server`",
                "add for example `socket = \"/run/dovecot/auth-client\"`",
            );
            return None;
        }
    };
    Some(DovecotSettings {
        place,
        service: table.service.value.clone(),
        timeout: *table.timeout,
        cache_ttl: *table.cache_time,
    })
}

/// Whether the server is on this machine.
fn is_here(server: &str) -> bool {
    let host = server.rsplit_once(':').map_or(server, |(host, _)| host);
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<std::net::IpAddr>() {
        Ok(ip) => ip.is_loopback(),
        Err(_) => bare == "localhost",
    }
}
