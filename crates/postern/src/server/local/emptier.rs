//! Empties the drop folder: each message is submitted on behalf of its owner, in the same way as if the owner's program submitted
//! it.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use postern_events::{Observers, notice, shown};
use postern_receive::{Accounts, LocalDoor, Settings};
use postern_submit::Refusal;
use postern_submit::dropped::{self, DONE, DropError, Dropped, ENVELOPE_MAX};
use postern_submit::header::Header;
use postern_submit::transfer::{Order, transfer};
use tokio_util::sync::CancellationToken;

use super::bounce::{self, Bounce};
use super::folder::{Aside, Folder, TakeError, Waiting};

/// How often to check whether there is anything new.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// When a message that was not accepted is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(60);

/// When something that is not a message and cannot be moved aside is checked again.
const STUCK: Duration = Duration::from_secs(24 * 3_600);

/// Largest header of a dropped message. Messages submitted normally are bounded by the server's own limit.
const HEADER_MAX: usize = 2 << 20;

/// Most log lines about files moved aside, in one scan of the folder.
const TOLD_MAX: usize = 20;

/// Longest silence of the server in its own sessions.
const SILENCE_MAX: Duration = Duration::from_secs(900);

/// Empties the folder.
pub(super) struct Emptier {
    path: PathBuf,
    door: LocalDoor,
    accounts: Arc<dyn Accounts>,
    settings: Arc<ArcSwap<Settings>>,
    observers: Observers,
    /// Messages that were not accepted, and when each is tried again. At most those of one scan of the folder.
    later: HashMap<String, Instant>,
    seen: Option<SystemTime>,
    warned: bool,
}

/// What to do with a file after an attempt.
enum After {
    /// It is done: remove it.
    Remove,
    /// Keep it and try again.
    Keep,
    /// It is not a message: move it aside.
    Aside(String),
}

impl Emptier {
    pub(super) fn new(
        path: &Path,
        door: LocalDoor,
        accounts: Arc<dyn Accounts>,
        settings: Arc<ArcSwap<Settings>>,
        observers: Observers,
    ) -> Self {
        Self {
            path: path.to_owned(),
            door,
            accounts,
            settings,
            observers,
            later: HashMap::new(),
            seen: None,
            warned: false,
        }
    }

    /// Works until `stop`.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        loop {
            let more = match self.look(&stop).await {
                Ok(more) => {
                    self.warned = false;
                    more
                }
                Err(error) => {
                    if !self.warned {
                        notice!(
                            self.observers,
                            Accept Error "cannot look into the folder of dropped messages",
                            File = shown(&self.path.display()),
                            Error = shown(&error),
                        );
                    }
                    self.warned = true;
                    false
                }
            };
            if stop.is_cancelled() {
                return;
            }
            if more {
                continue;
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Scans once, and processes what is there. Returns whether there is more.
    async fn look(&mut self, stop: &CancellationToken) -> io::Result<bool> {
        let path = self.path.clone();
        let now = Instant::now();
        self.later.retain(|_, due| *due > now);
        let passed: HashSet<String> = self.later.keys().cloned().collect();
        let seen = self.seen.filter(|_| passed.is_empty());
        let looked = tokio::task::spawn_blocking(move || {
            let folder = Folder::open(&path)?;
            let changed = folder.changed_at()?;
            if seen == Some(changed) {
                return Ok(None);
            }
            let found = folder.scan(&passed)?;
            Ok::<_, io::Error>(Some((folder, found, changed)))
        });
        let Some((folder, found, changed)) = looked.await.map_err(io::Error::other)?? else {
            return Ok(false);
        };
        let folder = Arc::new(folder);
        let mut told = 0;
        let (mut tried, mut removed) = (0, 0);
        for waiting in found.waiting {
            if stop.is_cancelled() {
                return Ok(false);
            }
            tried += 1;
            match self.take(&folder, &waiting).await {
                After::Remove => match folder.remove(&waiting.name) {
                    Ok(()) => removed += 1,
                    Err(error) => self.cannot(&folder, &waiting, &error),
                },
                After::Keep => drop(
                    self.later
                        .insert(waiting.name.clone(), Instant::now() + TRY_AGAIN),
                ),
                After::Aside(reason) => {
                    told += 1;
                    self.put_aside(&folder, &waiting, &reason, told <= TOLD_MAX);
                }
            }
        }
        if removed > 0 {
            let _ = folder.sync();
        }
        // If the folder's time is as recent as the clock's resolution, it may hide a change.
        let settled = tried == 0 && changed.elapsed().is_ok_and(|age| age > Duration::from_secs(1));
        self.seen = settled.then_some(changed);
        Ok(found.more && removed > 0)
    }

    fn cannot(&self, folder: &Folder, waiting: &Waiting, error: &io::Error) {
        notice!(
            self.observers,
            Accept Error "a dropped message was taken and cannot be removed, so it is taken again",
            File = shown(&folder.path_of(&waiting.name).display()),
            Uid = waiting.uid,
            Error = shown(error),
        );
    }

    fn put_aside(&mut self, folder: &Folder, waiting: &Waiting, reason: &str, tell: bool) {
        let aside = match folder.put_aside(&waiting.name) {
            Ok(Aside::Renamed(name)) => name,
            Ok(Aside::Removed) => "removed".to_owned(),
            Err(error) => {
                self.later.insert(waiting.name.clone(), Instant::now() + STUCK);
                error.to_string()
            }
        };
        if !tell {
            return;
        }
        notice!(
            self.observers,
            Accept Warning "a file among dropped messages is not a message, and was put aside",
            File = shown(&folder.path_of(&waiting.name).display()),
            Uid = waiting.uid,
            Aside = aside,
            Reason = reason,
        );
    }

    /// Tries to submit one message.
    async fn take(&self, folder: &Arc<Folder>, waiting: &Waiting) -> After {
        let (folder, name) = (Arc::clone(folder), waiting.name.clone());
        let opened = tokio::task::spawn_blocking(move || open(&folder, &name)).await;
        let message = match opened {
            Ok(Ok(message)) => message,
            Ok(Err(OpenError::Take(TakeError::Gone))) => return After::Keep,
            Ok(Err(OpenError::Take(TakeError::System(error)) | OpenError::Read(error))) => {
                notice!(self.observers, Accept Warning "cannot read a dropped message, it is tried again", File = waiting.name, Uid = waiting.uid, Error = shown(&error));
                return After::Keep;
            }
            Ok(Err(error)) => return After::Aside(error.to_string()),
            Err(error) => return After::Aside(error.to_string()),
        };
        if message.dropped.handover.recipients.is_empty() {
            return After::Remove;
        }
        let accounts = Arc::clone(&self.accounts);
        let uid = message.uid;
        let user = tokio::task::spawn_blocking(move || accounts.name(uid))
            .await
            .ok()
            .flatten();
        let user = user.unwrap_or_else(|| format!("uid-{uid}"));
        self.hand_over(message, &user, waiting).await
    }

    async fn hand_over(&self, mut message: Opened, user: &str, waiting: &Waiting) -> After {
        let uid = message.uid;
        let sender = user.to_owned();
        let given = self
            .through_the_door(uid, move |stream| {
                let order = Order {
                    user: &sender,
                    handover: &message.dropped.handover,
                    header: &message.header,
                    body_at: message.body_at,
                    body_len: message.body_len,
                    body: &mut message.file,
                };
                let outcome = transfer(stream, order, &mut |_| {});
                (message, outcome)
            })
            .await;
        let (message, outcome) = match given {
            Ok(given) => given,
            Err(error) => {
                notice!(self.observers, Accept Warning "cannot hand in a dropped message, it is tried again", File = waiting.name, Uid = uid, Error = shown(&error));
                return After::Keep;
            }
        };
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(error) => {
                notice!(self.observers, Accept Warning "cannot hand in a dropped message, it is tried again", File = waiting.name, Uid = uid, Error = shown(&error));
                return After::Keep;
            }
        };
        let failed = outcome.failed();
        if !failed.is_empty()
            && let Err(reason) = self.bounce(&message, user, &failed, waiting).await
        {
            notice!(self.observers, Accept Warning "cannot tell a user that a dropped message was refused", File = waiting.name, Uid = uid, Reason = reason);
            if outcome.later().is_empty() && outcome.replies.is_empty() {
                return After::Aside(format!(
                    "refused, and the sender cannot be notified: {}",
                    failed[0].reply.text
                ));
            }
        }
        let later = outcome.later();
        if later.is_empty() {
            return After::Remove;
        }
        let open: HashSet<String> = later.into_iter().map(|refusal| refusal.recipient).collect();
        let done: Vec<String> = outcome
            .fates
            .into_iter()
            .map(|(recipient, _)| recipient)
            .filter(|recipient| !open.contains(recipient))
            .collect();
        if let Err(error) = cross_out(&message, &done) {
            notice!(self.observers, Accept Warning "a dropped message was taken for some of its recipients, and may come twice", File = waiting.name, Uid = uid, Error = shown(&error));
        }
        After::Keep
    }

    /// Tells the sender which recipients will not get the message.
    async fn bounce(
        &self,
        message: &Opened,
        user: &str,
        failed: &[Refusal],
        waiting: &Waiting,
    ) -> Result<(), String> {
        let settings = self.settings.load_full();
        let bounce = Bounce {
            hostname: &settings.hostname,
            domain: &settings.origin,
            user,
            handover: &message.dropped.handover,
            header: &message.header,
            failed,
            id: &waiting.name,
        };
        let Some(report) = bounce::write(&bounce)? else {
            return Err("there is no sender".to_owned());
        };
        let us = nix::unistd::geteuid().as_raw();
        let sent = self
            .through_the_door(us, move |stream| {
                let mut body = io::Cursor::new(report.body);
                let order = Order {
                    user: "",
                    handover: &report.handover,
                    header: &report.header,
                    body_at: 0,
                    body_len: body.get_ref().len() as u64,
                    body: &mut body,
                };
                transfer(stream, order, &mut |_| {})
            })
            .await;
        let outcome = sent
            .map_err(|error| error.to_string())?
            .map_err(|error| error.to_string())?;
        match outcome.failed().into_iter().chain(outcome.later()).next() {
            None => Ok(()),
            Some(refusal) => Err(refusal.reply.text.into_owned()),
        }
    }

    /// Opens a session as if a program of this user had connected.
    async fn through_the_door<T: Send + 'static>(
        &self,
        uid: u32,
        work: impl FnOnce(&mut UnixStream) -> T + Send + 'static,
    ) -> io::Result<T> {
        let (mut ours, theirs) = UnixStream::pair()?;
        theirs.set_nonblocking(true)?;
        ours.set_read_timeout(Some(SILENCE_MAX))?;
        ours.set_write_timeout(Some(SILENCE_MAX))?;
        let theirs = tokio::net::UnixStream::from_std(theirs)?;
        // It ends when the other end is closed.
        let session = tokio::spawn(self.door.session(theirs, uid, &CancellationToken::new()));
        let result = tokio::task::spawn_blocking(move || work(&mut ours)).await;
        let _ = session.await;
        result.map_err(io::Error::other)
    }
}

/// An opened message.
struct Opened {
    file: File,
    uid: u32,
    dropped: Dropped,
    header: Header,
    body_at: u64,
    body_len: u64,
}

/// Why there is no message to submit.
#[derive(Debug, thiserror::Error)]
enum OpenError {
    /// The file cannot be taken.
    #[error(transparent)]
    Take(#[from] TakeError),
    /// Its content is not a valid message.
    #[error(transparent)]
    Drop(#[from] DropError),
    /// The header has no end.
    #[error("the header is larger than {} MiB", HEADER_MAX >> 20)]
    Header,
    /// It cannot be read.
    #[error("{0}")]
    Read(io::Error),
}

fn open(folder: &Folder, name: &str) -> Result<Opened, OpenError> {
    let (mut file, uid) = folder.take(name)?;
    let len = file.metadata().map_err(OpenError::Read)?.len();
    let start = envelope_of(&mut file)?;
    let dropped = dropped::parse(&start, len)?;
    let wanted = dropped.size.min(HEADER_MAX as u64 + 4);
    let mut content = vec![0; usize::try_from(wanted).unwrap_or(HEADER_MAX)];
    file.read_exact_at(&mut content, dropped.at)
        .map_err(OpenError::Read)?;
    let (header, at) = Header::split(&content);
    if at as u64 == wanted && wanted < dropped.size || at > HEADER_MAX {
        return Err(OpenError::Header);
    }
    Ok(Opened {
        body_at: dropped.at + at as u64,
        body_len: dropped.size - at as u64,
        file,
        uid,
        dropped,
        header,
    })
}

/// The beginning of a file, as far as the envelope can go.
fn envelope_of(file: &mut File) -> Result<Vec<u8>, OpenError> {
    let mut start = Vec::new();
    file.seek(SeekFrom::Start(0)).map_err(OpenError::Read)?;
    file.by_ref()
        .take(ENVELOPE_MAX as u64)
        .read_to_end(&mut start)
        .map_err(OpenError::Read)?;
    Ok(start)
}

/// Marks finished recipients in the file.
fn cross_out(message: &Opened, done: &[String]) -> io::Result<()> {
    if done.is_empty() {
        return Ok(());
    }
    let mut start = vec![0; usize::try_from(message.dropped.at).unwrap_or(ENVELOPE_MAX)];
    message.file.read_exact_at(&mut start, 0)?;
    for recipient in done {
        if let Some(at) = dropped::place_of(&start, recipient) {
            message.file.write_all_at(DONE.as_bytes(), at)?;
        }
    }
    message.file.sync_all()
}
