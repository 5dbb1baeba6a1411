//! Sockets for neighbouring services: paths that can be bound, permissions that keep strangers out, accounts that exist.

use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use nix::unistd::{Group, User, geteuid};
use postern_receive::{HomePattern, HomePatternError, MailAccounts, SocketProtocol, SocketSettings};
use postern_sasl::Mechanism;

use super::{Checking, clamp, logins, values};
use crate::config::file::AuthSocketTable;
use crate::config::problem::Span;
use crate::config::read::At;

/// Longest path of a socket: the size of the system's structure, minus the terminating NUL.
pub(super) const PATH_MAX: usize = 107;

/// One socket with where to bind it.
#[derive(Clone, Debug)]
pub(crate) struct SocketConfig {
    pub(crate) place: SocketPlace,
    pub(crate) settings: SocketSettings,
}

/// Where a socket is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum SocketPlace {
    Path(SocketFile),
    Address(SocketAddr),
}

/// A socket in the file system, and who may connect.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct SocketFile {
    pub(crate) path: PathBuf,
    pub(crate) mode: u32,
    pub(crate) owner: Option<u32>,
    pub(crate) group: Option<u32>,
}

impl SocketPlace {
    /// Whether it is bound at the same place as the other.
    pub(crate) fn is_at(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Path(one), Self::Path(other)) => one.path == other.path,
            (Self::Address(one), Self::Address(other)) => one == other,
            _ => false,
        }
    }
}

impl std::fmt::Display for SocketPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Path(file) => file.path.display().fmt(f),
            Self::Address(address) => address.fmt(f),
        }
    }
}

pub(super) fn check(c: &mut Checking<'_>) -> Vec<SocketConfig> {
    let mut sockets: Vec<SocketConfig> = Vec::new();
    let file = c.file;
    for table in &file.auth_socket.value {
        let Some(one) = socket(table, c) else { continue };
        if sockets.iter().any(|other| other.place.is_at(&one.place)) {
            c.problems.error(
                table.span.clone(),
                format!("two sockets at {}", one.place),
                "used before",
                "give one of them another path, or remove it",
            );
        }
        sockets.push(one);
    }
    if let Some(first) = file.auth_socket.value.first()
        && file.directory.is_empty()
    {
        c.problems.warning(
            first.span.clone(),
            "nobody can authenticate through [[auth_socket]]",
            "there is no directory of users",
            "add `[[directory]]` with `kind = \"users\"`, then `postern user add LOGIN`",
        );
    }
    sockets
}

fn socket(table: &At<AuthSocketTable>, c: &mut Checking<'_>) -> Option<SocketConfig> {
    let protocol = table.protocol.as_ref()?.value;
    let place = place(table, protocol, c)?;
    let name = table
        .name
        .as_ref()
        .map_or_else(|| place.to_string(), |name| name.value.clone());
    let mechanisms = table
        .mechanisms
        .as_ref()
        .map(|list| logins::mechanisms(&list.value, c));
    refuse_what_never_works(table, protocol, c);
    let accounts = accounts(table, protocol, c);
    Some(SocketConfig {
        settings: SocketSettings {
            mechanisms,
            least_bits: table.least_bits.as_ref().map(|bits| clamp(bits.value)),
            networks: values(&table.networks.value),
            trust_certificates: *table.trust_certificates,
            join_realm: *table.join_realm,
            accounts,
            connections_max: clamp(*table.connections),
            ..SocketSettings::new(&name, protocol)
        },
        place,
    })
}

fn place(table: &At<AuthSocketTable>, protocol: SocketProtocol, c: &mut Checking<'_>) -> Option<SocketPlace> {
    let words = ("a socket", "path = \"/run/postern/auth\"");
    Some(match one_place((&table.path, &table.address), table, words, c)? {
        Named::Path(path) => {
            warn_of_strangers(table, c);
            let rights = (*table.mode, &table.owner, &table.group);
            SocketPlace::Path(file_place(path, rights, c))
        }
        Named::Address(address) => {
            if protocol != SocketProtocol::Dovecot || !address.ip().is_loopback() {
                c.problems.error(
                    address.span.clone(),
                    "passwords would cross the network in the clear",
                    "not for this protocol, or not a loopback address",
                    "write `path`, or with `protocol = \"dovecot\"` an address such as `\"127.0.0.1:12345\"`",
                );
            } else {
                warn_of_neighbours(address, c);
            }
            SocketPlace::Address(address.value)
        }
    })
}

/// The place for a socket, as written.
pub(super) enum Named<'a> {
    Path(&'a At<PathBuf>),
    Address(&'a At<SocketAddr>),
}

/// The place in a table that may have either kind; `what` it is for, and an example, are used in the errors about none or
/// both.
pub(super) fn one_place<'a, T>(
    (path, address): (&'a Option<At<PathBuf>>, &'a Option<At<SocketAddr>>),
    table: &At<T>,
    (what, example): (&str, &str),
    c: &mut Checking<'_>,
) -> Option<Named<'a>> {
    match (path, address) {
        (Some(path), None) => return Some(Named::Path(path)),
        (None, Some(address)) => return Some(Named::Address(address)),
        (Some(_), Some(address)) => c.problems.error(
            address.span.clone(),
            format!("{what} with both `path` and `address`"),
            "where?",
            "remove one of them",
        ),
        (None, None) => c.problems.error(
            table.span.clone(),
            format!("{what} without a place"),
            "neither `path` nor `address`",
            format!("add for example `{example}`"),
        ),
    }
    None
}

/// A socket in the file system, with mode, owner and group.
pub(super) fn file_place(
    path: &At<PathBuf>,
    (mode, owner, of_group): (u64, &Option<At<String>>, &Option<At<String>>),
    c: &mut Checking<'_>,
) -> SocketFile {
    check_path(path, c);
    let owner = owner.as_ref().and_then(|owner| user(owner, c));
    SocketFile {
        path: path.value.clone(),
        mode: clamp(mode),
        owner: owner.map(|user| user.uid.as_raw()),
        group: of_group.as_ref().and_then(|name| group(name, c)),
    }
}

fn check_path(path: &At<PathBuf>, c: &mut Checking<'_>) {
    let folder = path.parent().unwrap_or_else(|| Path::new("/"));
    let is_other = |path: &Path| {
        let found = std::fs::symlink_metadata(path).ok();
        found.is_some_and(|found| !found.file_type().is_socket())
    };
    if path.as_os_str().as_bytes().len() > PATH_MAX {
        c.problems.error(
            path.span.clone(),
            format!("the path of a socket has at most {PATH_MAX} octets"),
            "too long",
            "choose a shorter one",
        );
    } else if !folder.is_dir() {
        c.problems.error(
            path.span.clone(),
            format!("the folder {} of the socket does not exist", folder.display()),
            "cannot be made",
            format!("mkdir -p {}, and let the other server enter it", folder.display()),
        );
    } else if is_other(path) {
        c.problems.error(
            path.span.clone(),
            format!("{} exists and is not a socket", path.display()),
            "would be replaced",
            "choose another path, or move it away",
        );
    }
}

fn warn_of_strangers(table: &AuthSocketTable, c: &mut Checking<'_>) {
    if *table.mode & 0o006 != 0 {
        c.problems.warning(
            table.mode.span.clone(),
            "anyone on this machine can try passwords on this socket",
            "open to all",
            "write `mode = \"0660\"`, and `group` for the group of the other server",
        );
    }
}

/// A port has no mode: every local program can connect and claim any address.
fn warn_of_neighbours(address: &At<SocketAddr>, c: &mut Checking<'_>) {
    c.problems.warning(
        address.span.clone(),
        "anyone on this machine can try passwords on this port, and get other networks locked out",
        "open to all",
        "write `path`, with `mode = \"0660\"` and `group` for the group of the other server, unless it runs elsewhere",
    );
}

fn user(name: &At<String>, c: &mut Checking<'_>) -> Option<User> {
    let found = User::from_name(&name.value).ok().flatten();
    if found.is_none() {
        unknown(name.span.clone(), "user", &name.value, c);
    }
    found
}

fn group(name: &At<String>, c: &mut Checking<'_>) -> Option<u32> {
    let found = Group::from_name(&name.value).ok().flatten();
    if found.is_none() {
        unknown(name.span.clone(), "group", &name.value, c);
    }
    found.map(|group| group.gid.as_raw())
}

/// It matters if root starts the server; otherwise the file may be meant for another machine.
fn unknown(span: Option<Span>, what: &str, name: &str, c: &mut Checking<'_>) {
    let title = format!("there is no {what} {name:?} on this machine");
    let database = if what == "user" { "passwd" } else { "group" };
    let remedy = format!("name one of those that `getent {database}` lists");
    if geteuid().is_root() {
        c.problems.error(span, title, "unknown", remedy);
    } else {
        c.problems.warning(span, title, "unknown", remedy);
    }
}

/// Settings that have no meaning for the protocol.
fn refuse_what_never_works(table: &At<AuthSocketTable>, protocol: SocketProtocol, c: &mut Checking<'_>) {
    if protocol == SocketProtocol::Saslauthd && !table.networks.is_empty() {
        c.problems.error(
            table.networks.span.clone(),
            "saslauthd's protocol gives no client addresses, so nobody would match `networks`",
            "can never match",
            "remove it, or use `protocol = \"dovecot\"`",
        );
    }
    let effective = table.mechanisms.as_ref().unwrap_or(&c.file.auth.mechanisms);
    let has_plain = effective
        .iter()
        .any(|mechanism| mechanism.value == Mechanism::Plain);
    if protocol == SocketProtocol::Saslauthd && !has_plain {
        let span = effective.span.clone().filter(|_| table.mechanisms.is_some());
        c.problems.error(
            span.or_else(|| table.span.clone()),
            "nobody can authenticate through this socket",
            "saslauthd's protocol is for passwords only, but PLAIN is off here",
            "add `mechanisms = [\"PLAIN\"]` to the socket, or remove it",
        );
    }
    if protocol == SocketProtocol::Dovecot
        && let Some(list) = &table.mechanisms
        && list.iter().all(|mechanism| mechanism.binds_channel())
    {
        c.problems.error(
            list.span.clone(),
            "nobody can authenticate through this socket",
            "no mechanism that works where TLS ends elsewhere",
            "list mechanisms, for example `mechanisms = [\"PLAIN\", \"SCRAM-SHA-256\"]`",
        );
    }
    let master_only = [
        table.mail_user.as_ref().map(|at| at.span.clone()),
        table.home.as_ref().map(|at| at.span.clone()),
    ];
    if protocol != SocketProtocol::DovecotMaster
        && let Some(span) = master_only.into_iter().flatten().next()
    {
        c.problems.error(
            span,
            "`mail_user` and `home` are for `protocol = \"dovecot-master\"`",
            "not used here",
            "remove them, or add a second socket with that protocol",
        );
    }
}

/// The account for mail processes.
fn accounts(
    table: &At<AuthSocketTable>,
    protocol: SocketProtocol,
    c: &mut Checking<'_>,
) -> Option<MailAccounts> {
    if protocol != SocketProtocol::DovecotMaster {
        return None;
    }
    let (Some(name), Some(home)) = (&table.mail_user, &table.home) else {
        c.problems.error(
            table.span.clone(),
            "a `dovecot-master` socket without `mail_user` or `home`",
            "where is the mail?",
            "add for example `mail_user = \"vmail\"` and `home = \"/var/vmail/{login}\"`",
        );
        return None;
    };
    let pattern = HomePattern::new(&home.value)
        .map_err(|error| bad_home(home.span.clone(), error, c))
        .ok();
    let user = user(name, c)?;
    if user.uid.is_root() {
        c.problems.error(
            name.span.clone(),
            "mail processes would work as root",
            "root",
            "use a separate user: useradd --system --home-dir /var/vmail vmail",
        );
    }
    Some(MailAccounts {
        uid: user.uid.as_raw(),
        gid: user.gid.as_raw(),
        home: pattern?,
    })
}

fn bad_home(span: Option<Span>, error: HomePatternError, c: &mut Checking<'_>) {
    c.problems.error(
        span,
        format!("`home` in [[auth_socket]] is not a valid pattern: {error}"),
        "neither {login}, {local} nor {domain}",
        "write for example `home = \"/var/vmail/{login}\"`",
    );
}
