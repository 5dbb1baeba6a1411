//! The paths that the server uses according to a configuration.

use std::path::{Component, Path, PathBuf};

use crate::config::file::{Directory, Postern, TableSource};

/// Folders, each with everything below it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Paths {
    /// Paths to read.
    pub(crate) read: Vec<PathBuf>,
    /// Paths to write, too: files are created, renamed and removed there.
    pub(crate) write: Vec<PathBuf>,
}

impl Paths {
    /// From a configuration at `path` that contains all of `named`.
    ///
    /// A file stands for its folder: a certificate is renewed by replacing the file, and a database has a log next to it.
    pub(crate) fn of(path: &Path, file: &Postern, named: &[PathBuf]) -> Self {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let library = Path::new(&file.kerberos.library.value);
        // Those are folders themselves.
        let is_file = |named: &&PathBuf| {
            **named != file.state_dir.value
                && !file.history.path.iter().any(|folder| folder.value == **named)
                // For those, it is known what is read.
                && !file.include.iter().any(|included| included.value == **named)
                && before_placeholders(named.as_path()) == named.as_path()
        };
        let read = named.iter().filter(is_file).map(|file| folder_of(file));
        let read = read.chain([folder_of(&path)]);
        let library = library.is_absolute().then(|| folder_of(library));
        Self {
            read: read.chain(library).collect(),
            write: written(file),
        }
    }
}

fn written(file: &Postern) -> Vec<PathBuf> {
    let state_dir = file.state_dir.value.clone();
    let log = file.log.file.iter().map(|log| folder_of(log));
    let sockets = file.auth_socket.iter().filter_map(|socket| socket.path.as_ref());
    let sockets = sockets.chain(file.http.iter().filter_map(|http| http.path.as_ref()));
    let local = file.local.iter().flat_map(|local| {
        let folder = local.socket.parent().unwrap_or_else(|| Path::new("/"));
        [folder.to_owned(), local.drop.value.clone()]
    });
    let databases = file
        .directory
        .iter()
        .filter_map(|directory| match &directory.value {
            Directory::Users(table) => table.database.as_ref(),
            // SQLite: even a reader may have to recover its log.
            Directory::Sql(table) => table.file.as_ref(),
            _ => None,
        });
    let tables = file.table.iter().filter_map(|table| match &table.value {
        TableSource::Sql(table) => table.file.as_ref(),
        _ => None,
    });
    let databases = databases.chain(tables);
    let tickets = file.login.iter().filter_map(|login| login.tickets.as_ref());
    let maildirs = file.route.iter().filter_map(|route| route.maildir.as_ref());
    let maildirs = maildirs.chain(&file.delivery.maildir);
    [state_dir]
        .into_iter()
        .chain(file.history.path.iter().map(|path| path.value.clone()))
        .chain(log)
        .chain(sockets.map(|path| folder_of(path)))
        .chain(local)
        .chain(databases.map(|path| folder_of(path)))
        .chain(tickets.map(|path| folder_of(path)))
        .chain(maildirs.map(|pattern| before_placeholders(pattern)))
        .collect()
}

fn folder_of(path: &Path) -> PathBuf {
    path.parent().unwrap_or_else(|| Path::new("/")).to_owned()
}

/// The fixed part of a pattern: `/var/mail` of `/var/mail/{domain}/{local}`.
pub(crate) fn before_placeholders(pattern: &Path) -> PathBuf {
    let is_fixed = |part: &Component<'_>| !part.as_os_str().as_encoded_bytes().contains(&b'{');
    pattern.components().take_while(is_fixed).collect()
}
