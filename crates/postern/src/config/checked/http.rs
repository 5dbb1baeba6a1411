//! Where monitors are answered: places that can be bound, and who may connect.

use postern_http::{Limits, Peers};

use super::sockets::{Named, SocketPlace, file_place, one_place};
use super::{Checking, clamp, values};
use crate::config::file::{HttpTable, Serves};
use crate::config::read::At;

/// One listener for HTTP with where to bind it.
#[derive(Clone, Debug)]
pub(crate) struct HttpConfig {
    /// Its name in the log.
    pub(crate) name: String,
    pub(crate) place: SocketPlace,
    pub(crate) serves: Vec<Serves>,
    /// Whether clients speak TLS.
    pub(crate) tls: bool,
    pub(crate) limits: Limits,
}

impl HttpConfig {
    /// Whether the listener serves this.
    pub(crate) fn serves(&self, what: Serves) -> bool {
        self.serves.contains(&what)
    }

    /// The URL prefix of its pages in a browser; `None` for a socket in the file system. The host name is only used if the
    /// listener has TLS.
    pub(crate) fn url(&self, hostname: &str) -> Option<String> {
        match &self.place {
            SocketPlace::Path(_) => None,
            SocketPlace::Address(address) if self.tls && !address.ip().is_loopback() => {
                Some(format!("https://{hostname}:{}", address.port()))
            }
            SocketPlace::Address(address) if self.tls => Some(format!("https://{address}")),
            SocketPlace::Address(address) => Some(format!("http://{address}")),
        }
    }
}

pub(super) fn check(c: &mut Checking<'_>) -> Vec<HttpConfig> {
    let mut all: Vec<HttpConfig> = Vec::new();
    let file = c.file;
    for table in &file.http.value {
        let Some(one) = listener(table, c) else { continue };
        if all.iter().any(|other| other.place.is_at(&one.place)) {
            c.problems.error(
                table.span.clone(),
                format!("two [[http]] at {}", one.place),
                "used before",
                "give one of them another address, or remove it",
            );
        }
        all.push(one);
    }
    all
}

fn listener(table: &At<HttpTable>, c: &mut Checking<'_>) -> Option<HttpConfig> {
    let place = place(table, c)?;
    let name = table
        .name
        .as_ref()
        .map_or_else(|| place.to_string(), |name| name.value.clone());
    if table.serves.is_empty() {
        c.problems.warning(
            table.serves.span.clone(),
            format!("[[http]] {name} serves nothing"),
            "an empty list",
            "write `serves = [\"metrics\", \"health\"]`, or remove the listener",
        );
    }
    may_be_open(table, &name, &place, c);
    if *table.tls && c.file.tls.is_none() {
        c.problems.error(
            table.tls.span.clone(),
            format!("[[http]] {name} wants TLS, and there is no certificate"),
            "cannot be served",
            "name `certificate` and `key` in [tls]",
        );
    }
    Some(HttpConfig {
        name,
        place,
        serves: values(&table.serves.value),
        tls: *table.tls,
        limits: Limits {
            connections_max: clamp(*table.connections),
            header_max: clamp(*table.header_size),
            time: *table.timeout,
            peers: Peers(values(&table.networks.value)),
            ..Limits::default()
        },
    })
}

/// Tokens and passwords must not cross a network unencrypted.
fn may_be_open(table: &At<HttpTable>, name: &str, place: &SocketPlace, c: &mut Checking<'_>) {
    let open = table
        .serves
        .iter()
        .find(|what| matches!(what.value, Serves::Api | Serves::Web));
    let (Some(what), SocketPlace::Address(address)) = (open, place) else {
        return;
    };
    if !*table.tls && !address.ip().is_loopback() {
        c.problems.error(
            what.span.clone().or_else(|| table.serves.span.clone()),
            format!("[[http]] {name} would take tokens and passwords over the network without TLS"),
            "anybody on the way could read them",
            "write `tls = true`, or listen on 127.0.0.1, [::1] or a `path`",
        );
    }
}

fn place(table: &At<HttpTable>, c: &mut Checking<'_>) -> Option<SocketPlace> {
    let words = ("[[http]]", "address = \"127.0.0.1:9325\"");
    Some(match one_place((&table.path, &table.address), table, words, c)? {
        Named::Path(path) => {
            if *table.mode & 0o006 != 0 {
                c.problems.warning(
                    table.mode.span.clone(),
                    "anyone on this machine can read the numbers of this server",
                    "open to all",
                    "write `mode = \"0660\"`, and `group` for the group of the monitor",
                );
            }
            let rights = (*table.mode, &table.owner, &table.group);
            SocketPlace::Path(file_place(path, rights, c))
        }
        Named::Address(address) => {
            let is_reached = |network: &ipnet::IpNet| network.addr().is_loopback();
            if !address.ip().is_loopback() && table.networks.iter().all(|network| is_reached(&network.value))
            {
                c.problems.warning(
                    table.networks.span.clone().or_else(|| address.span.clone()),
                    format!("nobody but this host is answered at {}", address.value),
                    "only loopback networks",
                    "add the network of the monitor to `networks`, or listen on a loopback address",
                );
            }
            SocketPlace::Address(address.value)
        }
    })
}
