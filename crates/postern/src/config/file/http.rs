//! `[[http]]`.

use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;

use crate::config::kinds::{
    Choice, Count, FileMode, FilePath, Line, List, Network, OneOf, Size, Socket, Switch, Time,
};
use crate::config::read::{At, table};

table! {
    /// Sockets on which the server answers over HTTP: monitors, with `/metrics` for Prometheus and `/health/live` and
    /// `/health/ready` for probes; programs that administer or submit mail, with the API at `/api/v1`; and people, with the page.
    /// Without one, nothing is counted. A reload opens and closes them.
    ///
    /// Metrics and health need no password: any client that can connect, and is in `networks`, can read them. They contain no
    /// logins, addresses or content of mail. The API requires tokens, the page logins ([administration]); both are only served
    /// with TLS, on loopback, or on a socket in the file system.
    HttpTable {
        /// Its name in the log.
        name: String = Line(64), optional "\"prometheus\"" else "the path or address is the name";
        /// The address and port. Use a loopback address, unless the monitor is on another host; then `networks` must name it.
        address: SocketAddr = Socket, optional "\"127.0.0.1:9325\"" else "`path` is needed";
        /// A socket in the file system instead. One that a killed server left behind is replaced.
        path: PathBuf = FilePath, optional "\"/run/postern/http\"" else "`address` is needed";
        /// Who may connect to the `path`, as in chmod.
        mode: u64 = FileMode, default "\"0660\"";
        /// The owner of the socket.
        owner: String = Line(32), optional "\"prometheus\"" else "the user that Postern runs as";
        /// The group of the socket.
        group: String = Line(32), optional "\"prometheus\"" else "the group that Postern runs as";
        /// Networks whose clients are answered at the `address`; other connections are closed without an answer.
        networks: Vec<At<IpNet>> = List(Network), default "[\"127.0.0.0/8\", \"::1/128\"]";
        /// Whether clients speak TLS at once, with the certificates of [tls].
        tls: bool = Switch, default "false";
        /// What is served: `metrics`, `health`, `api`, `web`.
        serves: Vec<At<Serves>> = List(OneOf::<Serves>::new()), default "[\"metrics\", \"health\"]";
        /// Most connections at once; further ones wait. A network (an address, or a /64) has a quarter of them, at least 8; loopback is not bounded. A change
        /// takes effect after a restart.
        connections: u64 = Count(1..=10_000), default "32";
        /// Largest header of a request; a larger one gets `431`.
        header_size: u64 = Size("1 KiB", "1 MiB"), default "\"16 KiB\"";
        /// How long a client may take for each step: the header of a request, its body and the answer, and the next request on the same connection.
        timeout: std::time::Duration = Time("1s", "10m"), default "\"10s\"";
    }
}

/// What a listener serves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Serves {
    /// `/metrics`.
    Metrics,
    /// `/health/live` and `/health/ready`.
    Health,
    /// The API, at `/api/v1`.
    Api,
    /// The page.
    Web,
}

impl Choice for Serves {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("metrics", Self::Metrics),
        ("health", Self::Health),
        ("api", Self::Api),
        ("web", Self::Web),
    ];
}
