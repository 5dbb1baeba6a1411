//! Delivery into Maildirs: written to `tmp`, synced, renamed into `new`, and the folder synced.
//!
//! The file name is made from the queue id and the recipient's index in the envelope, so a delivery that is repeated after a
//! crash replaces the first one, unless a reader has already moved that to `cur`.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};
use jiff::Timestamp;
use postern_mail::{Mailbox, QueueId, Status};
use postern_spool::{Attempt, BodyReader, Message, SpoolError};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::core::{Conclusion, Core, Held, look_again};
use crate::destination::{Destination, Taken};
use crate::failure::{Cause, Failure, shorten};
use crate::mailboxes::Residence;
use crate::outcome::{Fate, SuccessReport};
use crate::post::Post;
use crate::relay::Relay;
use crate::settings::Settings;
use crate::storage::{Promise, Storage};
use crate::unix_form::{UnixLines, head};
use crate::work::{Due, Work};

/// Most messages written before their outcomes are settled.
const BATCH: usize = 32;

/// Most concurrent questions to directories.
const QUESTIONS: usize = 16;

/// Takes messages and writes them, until there are none.
pub(crate) async fn serve(core: &Arc<Core>, destination: &Arc<Destination>, folder: &Path, mut post: Post) {
    let unsettled = Arc::new(Semaphore::new(2 * BATCH));
    while !core.stop.is_cancelled() {
        core.replenish(destination);
        match post.take(false) {
            Taken::Work(first) => {
                let mut works = vec![*first];
                works.extend(destination.take_more(post.seat.class(), BATCH - 1));
                deliver(core, destination, folder, works, &unsettled).await;
            }
            Taken::Idle | Taken::Leave => return,
        }
    }
}

/// Work with its message read.
struct Loaded {
    message: Arc<Message>,
    work: Work,
}

async fn deliver(
    core: &Arc<Core>,
    destination: &Destination,
    folder: &Path,
    works: Vec<Work>,
    unsettled: &Arc<Semaphore>,
) {
    let settings = core.deps.settings.load_full();
    let mut loaded = Vec::with_capacity(works.len());
    for work in works {
        if let Some(message) = core.message_of(&settings, &work).await {
            loaded.push(Loaded { message, work });
        }
    }
    let homes = homes(core, folder, &loaded).await;
    let home_of = |message: &Message, due: &Due| {
        let recipient = message.envelope.recipients.get(due.index as usize);
        recipient.and_then(|recipient| homes.get(&recipient.address.key()))
    };
    let mut jobs: Vec<Job> = Vec::new();
    // One copy is written however many addresses of a mailbox a message has: `user+1@`, `user+2@` and aliases take no more space.
    let mut copies: HashMap<(QueueId, &Path), usize> = HashMap::new();
    for Loaded { message, work } in &loaded {
        for due in &work.recipients {
            if let Some(Ok(mailbox)) = home_of(message, due) {
                copies.entry((message.id, mailbox)).or_insert_with(|| {
                    jobs.push(Job::new(core, &settings, message, due, mailbox));
                    jobs.len() - 1
                });
            }
        }
    }
    let (handle, storage, min_free) = (Handle::current(), core.storage.clone(), settings.limits.min_free);
    let written = tokio::task::spawn_blocking(move || write_all(jobs, &storage, min_free, &handle)).await;
    let results = written.unwrap_or_default();
    let result_of = |message: &Message, mailbox: &Path| results.get(*copies.get(&(message.id, mailbox))?);
    for Loaded { message, work } in loaded {
        let fates = work
            .recipients
            .iter()
            .map(|due| {
                let result = match home_of(&message, due) {
                    Some(Err(failure)) => return (*due, Fate::Failed(failure.clone())),
                    Some(Ok(mailbox)) => result_of(&message, mailbox),
                    None => None,
                };
                let result = match result {
                    Some(Ok(mailbox)) => Ok(mailbox.clone()),
                    Some(Err(error)) => Err(again(error)),
                    None => Err(io::Error::other("the writer failed")),
                };
                (*due, fate(result, destination, core.now()))
            })
            .collect();
        let look_again = if work.is_fresh() {
            Vec::new()
        } else {
            look_again(&message, &work.recipients)
        };
        let held = Held {
            claims: Arc::new(work.claims),
            unsettled: unsettled.clone().acquire_owned().await.ok(),
            look_again,
        };
        core.conclude(
            &settings,
            Conclusion {
                message,
                fates,
                not_before: None,
                public: false,
                held,
                sent_on: Vec::new(),
            },
        );
        destination.succeeded(&settings.limits);
    }
}

/// The same error for another recipient of the copy.
fn again(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

/// The Maildir of each address, by its key, or why it has none. Directories are asked at each attempt, since users come and go
/// while mail waits.
async fn homes(core: &Core, folder: &Path, loaded: &[Loaded]) -> HashMap<String, Result<PathBuf, Failure>> {
    let mut addresses: HashMap<String, Mailbox> = HashMap::new();
    for Loaded { message, work } in loaded {
        for due in &work.recipients {
            if let Some(recipient) = message.envelope.recipients.get(due.index as usize) {
                let address = &recipient.address;
                addresses.entry(address.key()).or_insert_with(|| address.clone());
            }
        }
    }
    let ask = |(key, address): (String, Mailbox)| {
        let mailboxes = Arc::clone(&core.deps.mailboxes);
        async move {
            let residence = mailboxes.residence(&address).await;
            (key, home(folder, &residence))
        }
    };
    stream::iter(addresses)
        .map(ask)
        .buffer_unordered(QUESTIONS)
        .collect()
        .await
}

/// The Maildir that mail goes to, or why there is none.
fn home(folder: &Path, residence: &Residence) -> Result<PathBuf, Failure> {
    match residence {
        Residence::Mailbox(mailbox) => Ok(place(folder, mailbox)),
        Residence::Nobody => Err(Failure::permanent(
            Status(5, 1, 1),
            &Relay::Maildir,
            Cause::NoMailbox("No such mailbox here".into()),
        )),
        Residence::Unknown(reason) => Err(Failure::temporary(
            Status(4, 4, 3),
            &Relay::Maildir,
            Cause::Local(format!("Cannot determine now whether the mailbox exists: {reason}").into()),
        )),
    }
}

fn fate(result: io::Result<PathBuf>, destination: &Destination, now: Timestamp) -> Fate {
    let error = match result {
        Ok(mailbox) => {
            let reply = shorten(format!("delivered to {}", mailbox.display()));
            let attempt = Attempt {
                relay: Relay::Maildir.to_string(),
                status: Some(Status(2, 0, 0)),
                reply,
                failure: None,
            };
            return Fate::Delivered {
                relay: Relay::Maildir,
                attempt,
                success: SuccessReport::Delivered,
            };
        }
        Err(error) => error,
    };
    let status = match error.kind() {
        io::ErrorKind::QuotaExceeded => Status(4, 2, 2),
        io::ErrorKind::StorageFull => Status(4, 3, 1),
        _ => Status(4, 3, 0),
    };
    let failure = Failure::temporary(status, &Relay::Maildir, Cause::Local(error.to_string().into()));
    destination.note_error(now, failure.line());
    Fate::Failed(failure)
}

/// One copy to be written.
struct Job {
    mailbox: PathBuf,
    name: String,
    head: Vec<u8>,
    /// Octets of the message.
    size: u64,
    content: BodyReader,
}

impl Job {
    fn new(core: &Core, settings: &Settings, message: &Message, due: &Due, mailbox: &Path) -> Self {
        Self {
            mailbox: mailbox.to_owned(),
            name: format!(
                "{}.Q{}R{}.{}",
                message.received_at.as_second(),
                message.id,
                due.index,
                settings.hostname
            ),
            head: head(message, due),
            size: message.size(),
            content: core.deps.spool.open_body(message),
        }
    }

    fn promise(&self, storage: &Storage, min_free: u64) -> io::Result<Promise> {
        storage.promise(&self.mailbox, self.size + self.head.len() as u64, min_free)
    }
}

/// Writes all copies, then renames all, then syncs each folder once. Returns a result for each job: the mailbox, or the error. A
/// copy for which there is no room is not begun.
fn write_all(jobs: Vec<Job>, storage: &Storage, min_free: u64, handle: &Handle) -> Vec<io::Result<PathBuf>> {
    // Checked before the first is written, so that all of them count.
    let jobs: Vec<_> = jobs
        .into_iter()
        .map(|job| (job.promise(storage, min_free), job))
        .collect();
    let written: Vec<io::Result<(PathBuf, String)>> = jobs
        .into_iter()
        .map(|(promise, mut job)| {
            let named = |error: io::Error| at(&job.mailbox, error);
            let _until_written = promise.map_err(named)?;
            make_maildir(&job.mailbox).map_err(named)?;
            write_one(&mut job, handle).map_err(|error| at(&job.mailbox, error))?;
            Ok((job.mailbox, job.name))
        })
        .collect();
    let renamed: Vec<io::Result<PathBuf>> = written
        .into_iter()
        .map(|written| {
            let (mailbox, name) = written?;
            let (from, to) = (mailbox.join("tmp").join(&name), mailbox.join("new").join(&name));
            fs::rename(&from, &to).map_err(|error| at(&to, error))?;
            Ok(mailbox)
        })
        .collect();
    let mut synced: Vec<(PathBuf, Option<(io::ErrorKind, String)>)> = Vec::new();
    for mailbox in renamed.iter().flatten() {
        if synced.iter().all(|(known, _)| known != mailbox) {
            let result = sync_folder(&mailbox.join("new"))
                .err()
                .map(|error| (error.kind(), error.to_string()));
            synced.push((mailbox.clone(), result));
        }
    }
    let check = |mailbox: PathBuf| match synced.iter().find(|(known, _)| *known == mailbox) {
        Some((_, Some((kind, text)))) => Err(at(&mailbox, io::Error::new(*kind, text.clone()))),
        _ => Ok(mailbox),
    };
    renamed
        .into_iter()
        .map(|renamed| renamed.and_then(check))
        .collect()
}

fn at(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn write_one(job: &mut Job, handle: &Handle) -> io::Result<()> {
    let path = job.mailbox.join("tmp").join(&job.name);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    let mut lines = UnixLines::default();
    let mut out = Vec::new();
    lines.feed(&job.head, &mut out);
    loop {
        match handle.block_on(job.content.piece()) {
            Ok(Some(piece)) => lines.feed(&piece, &mut out),
            Ok(None) => break,
            Err(error @ SpoolError::Full(_)) => {
                return Err(io::Error::new(io::ErrorKind::StorageFull, error));
            }
            Err(error) => return Err(io::Error::other(error)),
        }
        file.write_all(&out)?;
        out.clear();
    }
    lines.finish(&mut out);
    file.write_all(&out)?;
    file.sync_data()
}

/// Makes a Maildir with all its parents, each for its owner only, and each synced into the folder above it.
fn make_maildir(mailbox: &Path) -> io::Result<()> {
    if mailbox.join("new").is_dir() {
        return Ok(());
    }
    // `new` comes last, since it is what is checked for above.
    for part in ["cur", "tmp", "new"] {
        make_folder(&mailbox.join(part))?;
    }
    Ok(())
}

fn make_folder(folder: &Path) -> io::Result<()> {
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent
        && !parent.is_dir()
    {
        make_folder(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => parent.map_or(Ok(()), sync_folder),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The Maildir of a recipient: below `folder` by its local part, or where `{local}` and `{domain}` in the path put it.
fn place(folder: &Path, address: &Mailbox) -> PathBuf {
    let local = harmless(&address.unquoted_local());
    match folder.to_str() {
        Some(pattern) if pattern.contains("{local}") => {
            let domain = harmless(&address.domain().to_string());
            PathBuf::from(pattern.replace("{local}", &local).replace("{domain}", &domain))
        }
        _ => folder.join(local),
    }
}

/// A name as a single path component: in lower case, with special characters as `%XX`.
fn harmless(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars().flat_map(char::to_lowercase) {
        let plain =
            c.is_alphanumeric() || matches!(c, '-' | '_' | '+' | '=') || (c == '.' && !out.is_empty());
        if plain {
            out.push(c);
        } else {
            let mut octets = [0; 4];
            for octet in c.encode_utf8(&mut octets).bytes() {
                out.push_str(&format!("%{octet:02X}"));
            }
        }
    }
    if out.is_empty() {
        out.push('%');
    }
    out
}

#[cfg(test)]
mod tests {
    use postern_mail::address::ParseOptions;

    use super::*;

    #[test]
    fn places_of_mailboxes() {
        #[rustfmt::skip]
        let cases = [
            ("plain",                 "/m",                   "anna",           "/m/anna"),
            ("case does not matter",  "/m",                   "Anna.B",         "/m/anna.b"),
            ("no way up",             "/m",                   "\"..\"",         "/m/%2E."),
            ("no way anywhere",       "/m",                   "\"../../etc\"",  "/m/%2E.%2F..%2Fetc"),
            ("no hidden folder",      "/m",                   "\".x\"",         "/m/%2Ex"),
            ("no percent trick",      "/m",                   "a%2Fb",          "/m/a%252fb"),
            ("subaddress",            "/m",                   "a+b",            "/m/a+b"),
            ("beyond ASCII",          "/m",                   "jürgen",         "/m/jürgen"),
            ("pattern",               "/m/{domain}/{local}",  "anna",           "/m/example.org/anna"),
        ];
        for (shows, folder, local, expected) in cases {
            let options = ParseOptions {
                utf8: true,
                ..ParseOptions::default()
            };
            let mailbox = Mailbox::parse(&format!("{local}@example.org"), &options).unwrap();
            assert_eq!(
                place(Path::new(folder), &mailbox),
                PathBuf::from(expected),
                "{shows}"
            );
        }
    }
}
