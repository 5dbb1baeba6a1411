//! Bodies as files in a folder.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use postern_mail::QueueId;

use super::bodies::{Bodies, NewBody};
use crate::rescue::aside;

/// Folders below `bodies/`, named by the last character of a queue id, so that none grows too large.
const SHARDS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The folder `bodies/` of a queue.
#[derive(Debug)]
pub(crate) struct BodyFolder {
    /// The queue's folder.
    directory: PathBuf,
    root: PathBuf,
}

/// A file that is being written, and the folder that contains it.
struct NewFile {
    file: File,
    folder: PathBuf,
}

impl BodyFolder {
    /// Opens the folder, creating what is missing.
    pub(crate) fn open(directory: &Path) -> io::Result<Self> {
        let root = directory.join("bodies");
        make_folder(&root)?;
        for shard in SHARDS {
            make_folder(&root.join(char::from(*shard).to_string()))?;
        }
        sync_folder(&root)?;
        sync_folder(directory)?;
        Ok(Self {
            directory: directory.to_owned(),
            root,
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }
}

impl Bodies for BodyFolder {
    fn name(&self, id: QueueId, replacement: Option<u64>) -> String {
        file_name(id, replacement)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn NewBody>> {
        let path = self.path(name);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        let folder = path.parent().unwrap_or(&self.root).to_owned();
        Ok(Box::new(NewFile { file, folder }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(File::open(self.path(name))?))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.path(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn each(&self, visit: &mut dyn FnMut(&str, QueueId)) -> io::Result<()> {
        // One folder at a time.
        for shard in SHARDS {
            for entry in fs::read_dir(self.root.join(char::from(*shard).to_string()))? {
                let file = entry?.file_name();
                if let Some((id, replacement)) = file.to_str().and_then(parse_name) {
                    visit(&file_name(id, replacement), id);
                }
            }
        }
        Ok(())
    }

    fn put_aside(&self, name: &str) -> io::Result<()> {
        aside::take_body(&self.directory, &self.path(name))
    }
}

impl Write for NewFile {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.file.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl NewBody for NewFile {
    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        sync_folder(&self.folder)
    }
}

/// `C/000000000ABC` for the first body of a message, `C/000000000ABC.7` for one that replaces it.
fn file_name(id: QueueId, replacement: Option<u64>) -> String {
    let text = id.to_string();
    let shard = &text[text.len() - 1..];
    match replacement {
        None => format!("{shard}/{text}"),
        Some(number) => format!("{shard}/{text}.{number}"),
    }
}

/// The reverse, without the folder.
fn parse_name(text: &str) -> Option<(QueueId, Option<u64>)> {
    match text.split_once('.') {
        None => Some((text.parse().ok()?, None)),
        Some((id, text)) => {
            // Only one spelling, so that the name maps back to this file.
            let number: u64 = text.parse().ok()?;
            (number.to_string() == text).then_some((id.parse().ok()?, Some(number)))
        }
    }
}

fn make_folder(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let id = QueueId::new(1_234_567, 1);
        for replacement in [None, Some(0), Some(u64::MAX)] {
            let name = file_name(id, replacement);
            let (shard, file) = name.split_once('/').unwrap();
            assert!(id.to_string().ends_with(shard), "{name}");
            assert_eq!(parse_name(file), Some((id, replacement)), "{name}");
        }
        for strange in ["", ".", ".7", "x.7", "lost+found"] {
            assert_eq!(parse_name(strange), None, "{strange}");
        }
        let text = id.to_string();
        for strange in [".", ".x", ".-1", ".+7", ".07", ".7.7"] {
            assert_eq!(parse_name(&format!("{text}{strange}")), None, "{strange}");
        }
    }
}
