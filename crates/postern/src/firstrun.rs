//! The first start: a folder with certificates, a configuration and a user, created if there is no configuration.

use std::fs::DirBuilder;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use postern_directory::UserStore;
use postern_mail::Domain;
use postern_net::ca::{Authority, AuthorityRequest, CaError, CertificateRequest};
use postern_net::file::{Existing, write_public};
use postern_net::listen::ListenError;
use secrecy::{ExposeSecret, SecretString};

pub(crate) use crate::args::{FOLDER, HOSTNAME};
use crate::ca_files::{CA_CERTIFICATE, CA_KEY};
use crate::commands;
use crate::exit::{Exit, Failure, chain};
use crate::{password, rights};

/// The configuration in it.
pub(crate) const FILE: &str = "postern.toml";

/// The local part of the first user.
const USER: &str = "you";

/// The port for submissions over implicit TLS.
const SUBMISSIONS: u16 = 2465;

/// All ports of the configuration. The first start checks whether they are free on loopback.
const PORTS: [u16; 3] = [2525, 2587, SUBMISSIONS];

const CONFIGURATION: &str = include_str!("firstrun.toml");

/// Added for a server reachable by others. Such a server often runs in a container, where the log goes to standard output.
const FOR_OTHERS: &str = "
[log]
file = \"/dev/stdout\"
";

/// What was made, with the password, which is shown once.
pub(crate) struct Made {
    folder: PathBuf,
    listen: IpAddr,
    login: String,
    password: SecretString,
}

/// Creates the folder with everything a first start needs, for a server that listens on `listen`. It appears complete or not
/// at all.
///
/// # Errors
///
/// The folder already exists, the name is not a host name, or something cannot be written.
pub(crate) fn make(folder: &Path, hostname: &str, listen: IpAddr) -> Result<Made, Failure> {
    let hostname = match Domain::parse(hostname, true) {
        Ok(Domain::Name(name)) if name.contains('.') => name.to_string(),
        _ => {
            return Err(Failure::new(
                Exit::Usage,
                format!("{hostname:?} is not a full host name, such as mx.example.org"),
            ));
        }
    };
    let folder = std::path::absolute(folder).map_err(|error| cannot_make(folder, &error))?;
    if folder.exists() {
        return Err(Failure::new(
            Exit::CannotCreate,
            format!("{} exists already", folder.display()),
        ));
    }
    let parent = folder.parent().unwrap_or_else(|| Path::new("/"));
    std::fs::create_dir_all(parent).map_err(|error| cannot_make(parent, &error))?;
    let draft = tempfile::Builder::new()
        .prefix(".postern-")
        .tempdir_in(parent)
        .map_err(|error| cannot_make(&folder, &error))?;
    let login = format!("{USER}@{hostname}");
    let password = fill(draft.path(), &hostname, &login, listen)?;
    std::fs::rename(draft.keep(), &folder).map_err(|error| cannot_make(&folder, &error))?;
    Ok(Made {
        folder,
        listen,
        login,
        password,
    })
}

/// Checks whether the first start can listen: later, the password would not be shown again.
///
/// # Errors
///
/// Another program has one of the ports.
pub(crate) fn check_ports() -> Result<(), Failure> {
    let taken = |port: u16| {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let source = TcpListener::bind(address).err()?;
        Some(chain(&ListenError { address, source }))
    };
    let taken: Vec<String> = PORTS.into_iter().filter_map(taken).collect();
    if taken.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        Exit::TryAgain,
        format!(
            "{}\nnothing was made: stop that program, or run `{} init` and choose other ports in {FOLDER}/{FILE}",
            taken.join("\n"),
            program()
        ),
    ))
}

fn cannot_make(path: &Path, error: &io::Error) -> Failure {
    // The temporary name in some errors is of no use to anyone.
    let plain = error
        .raw_os_error()
        .map_or_else(|| io::Error::from(error.kind()), io::Error::from_raw_os_error);
    let exit = match error.kind() {
        io::ErrorKind::PermissionDenied => Exit::NoPermission,
        _ => Exit::CannotCreate,
    };
    let remedy = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            format!(
                "\ngo to a folder that you may write to, or name one: `{} init DIR`",
                program()
            )
        }
        _ => String::new(),
    };
    Failure::new(exit, format!("cannot make {}: {plain}{remedy}", path.display()))
}

fn fill(folder: &Path, hostname: &str, login: &str, listen: IpAddr) -> Result<SecretString, Failure> {
    for below in ["certs", "state"] {
        let path = folder.join(below);
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(|error| cannot_make(&path, &error))?;
    }
    certificates(&folder.join("certs"), hostname, listen)
        .map_err(|error| Failure::new(Exit::CannotCreate, chain(&error)))?;
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        write_public(&path, text.as_bytes(), Existing::Keep).map_err(|error| cannot_make(&path, &error))
    };
    // In a repository, none of this should be committed.
    write(".gitignore", "*\n")?;
    write(FILE, &configuration(hostname, listen))?;
    // With the keys that the mechanisms of this configuration need.
    let keys = commands::written(&folder.join(FILE))?.key_policy();
    let password = password::generate()?;
    UserStore::open(&folder.join("state/users.db"))
        .and_then(|store| store.with_keys(keys).add(login, &password, &[]))
        .map_err(|error| Failure::new(Exit::CannotCreate, chain(&error)))?;
    Ok(password)
}

/// The text of the configuration.
fn configuration(hostname: &str, listen: IpAddr) -> String {
    let address = SocketAddr::new(listen, 0).to_string();
    let host = address.trim_end_matches(":0");
    let text = CONFIGURATION
        .replace("HOSTNAME", hostname)
        .replace("127.0.0.1", host);
    if listen.is_loopback() {
        text
    } else {
        text + FOR_OTHERS
    }
}

fn certificates(folder: &Path, hostname: &str, listen: IpAddr) -> Result<(), CaError> {
    let now = Timestamp::now();
    let authority = Authority::create(
        &AuthorityRequest::new(
            format!("Postern CA of {hostname}")
                .chars()
                .take(64)
                .collect::<String>(),
        ),
        now,
    )?;
    authority.credentials().save(
        &folder.join(CA_CERTIFICATE),
        &folder.join(CA_KEY),
        None,
        Existing::Keep,
    )?;
    let mut names = [hostname, "localhost", "127.0.0.1", "::1"]
        .map(str::to_owned)
        .to_vec();
    if !listen.is_unspecified() && !listen.is_loopback() {
        names.push(listen.to_string());
    }
    let host = authority.issue(&CertificateRequest::new(names), now)?;
    host.save(
        &folder.join("host.crt"),
        &folder.join("host.key"),
        None,
        Existing::Keep,
    )
}

impl Made {
    /// The configuration that was made.
    pub(crate) fn configuration(&self) -> PathBuf {
        self.folder.join(FILE)
    }

    /// What exists now, and what to do next.
    pub(crate) fn announcement(&self, serving: bool) -> String {
        let folder = self.folder.display();
        let login = &self.login;
        let password = self.password.expose_secret();
        let next = if serving {
            "To send a first mail, paste this into another terminal:".to_owned()
        } else {
            format!(
                "Start it with `{} serve --config {}`, then send a first mail:",
                program(),
                shell_word(&self.configuration())
            )
        };
        format!(
            "Postern made {folder}: a configuration, certificates and a first user.\n\
             \n\
             \x20 login     {login}\n\
             \x20 password  {password}   (not shown again)\n\
             \n\
             {next}\n\
             \n\
             {}\n\
             \n\
             It arrives in {folder}/mail/{USER}/new.\n",
            self.curl()
        )
    }

    /// A command line that sends an authenticated mail.
    fn curl(&self) -> String {
        let (login, password) = (&self.login, self.password.expose_secret());
        let authority = shell_word(&self.folder.join("certs").join(CA_CERTIFICATE));
        let host = match self.listen {
            listen if listen.is_unspecified() || listen == Ipv4Addr::LOCALHOST => {
                format!("localhost:{SUBMISSIONS}")
            }
            listen => SocketAddr::new(listen, SUBMISSIONS).to_string(),
        };
        format!(
            "printf 'From: <{login}>\\r\\nTo: <{login}>\\r\\nSubject: First mail\\r\\n\\r\\nIt works.\\r\\n' | \
             curl --silent --show-error --cacert {authority} --url smtps://{host} \
             --user '{login}:{password}' --mail-from '{login}' --mail-rcpt '{login}' --upload-file -"
        )
    }
}

/// The message when a later start finds the folder of the first one.
pub(crate) fn reminder(configuration: &Path) -> String {
    let program = program();
    let hint = match configuration.parent().map(|folder| folder.join("state/users.db")) {
        Some(users) if users.exists() => first_login(&users),
        _ => None,
    };
    let login = hint.as_deref().unwrap_or("LOGIN");
    format!(
        "Postern uses the existing configuration {}.\n\
         Passwords are kept as hashes; `{program} user passwd {login} --generate` makes a new one.\n",
        configuration.display()
    )
}

fn first_login(users: &Path) -> Option<String> {
    // A server started by root opens nothing in somebody else's folder.
    if !matches!(rights::owner_of(users), Ok(None)) {
        return None;
    }
    UserStore::open(users)
        .ok()?
        .list()
        .ok()?
        .into_iter()
        .next()
        .map(|user| user.login)
}

/// The program as invoked, so that it can be invoked again.
fn program() -> String {
    std::env::args_os()
        .next()
        .map_or_else(|| "postern".to_owned(), |name| shell_word(Path::new(&name)))
}

/// A path as one word of a shell command.
fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%:=,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_one_word() {
        for (path, word) in [
            ("/a/b.c", "/a/b.c"),
            ("/a b", "'/a b'"),
            ("it's", "'it'\\''s'"),
            ("$HOME", "'$HOME'"),
        ] {
            assert_eq!(shell_word(Path::new(path)), word);
        }
    }

    #[test]
    fn what_is_made_has_no_mistakes_and_is_made_once() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("data");
        let made = make(&folder, "mx.example.org", Ipv4Addr::LOCALHOST.into()).unwrap();
        let (config, report) = crate::config::load(&made.configuration())
            .map_err(|report| report.render(false, 100))
            .unwrap();
        assert!(report.is_empty(), "{}", report.render(false, 100));
        assert_eq!(config.hostname, "mx.example.org");
        let ports: Vec<u16> = config.listeners.iter().map(|one| one.address.port()).collect();
        assert_eq!(ports, PORTS, "those that are looked at before the folder is made");
        let text = made.announcement(true);
        assert!(text.contains("--user 'you@mx.example.org:"), "{text}");
        let again = make(&folder, "mx.example.org", Ipv4Addr::LOCALHOST.into()).map(|made| made.login);
        assert_eq!(again.unwrap_err().exit, Exit::CannotCreate);
        assert!(
            make(
                &scratch.path().join("other"),
                "no-dot",
                Ipv4Addr::LOCALHOST.into()
            )
            .is_err()
        );
        assert_eq!(
            std::fs::read_dir(scratch.path()).unwrap().count(),
            1,
            "nothing is left behind"
        );
    }

    #[test]
    fn others_are_listened_to_where_that_was_asked_for() {
        for (listen, address, url) in [
            ("0.0.0.0", "0.0.0.0:2525", "smtps://localhost:2465"),
            ("::", "[::]:2525", "smtps://localhost:2465"),
            ("192.0.2.7", "192.0.2.7:2525", "smtps://192.0.2.7:2465"),
            ("2001:db8::7", "[2001:db8::7]:2525", "smtps://[2001:db8::7]:2465"),
        ] {
            let scratch = tempfile::tempdir().unwrap();
            let made = make(
                &scratch.path().join("data"),
                "mx.example.org",
                listen.parse().unwrap(),
            )
            .unwrap();
            let (config, report) = crate::config::load(&made.configuration())
                .map_err(|report| report.render(false, 100))
                .unwrap();
            assert!(report.is_empty(), "{}", report.render(false, 100));
            let addresses: Vec<String> = config
                .listeners
                .iter()
                .map(|one| one.address.to_string())
                .collect();
            assert_eq!(addresses[0], address);
            assert!(
                made.announcement(false).contains(url),
                "{}",
                made.announcement(false)
            );
            assert_eq!(config.log.target, crate::log::Target::Stdout);
        }
    }
}
