//! The files that the writer has open: what may be written to them, what is removed.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use postern_events::{Observers, notice, shown};

use crate::chunk::About;
use crate::error::PartError;
use crate::name::{self, Class, DAY_MS, Name, day_of};
use crate::part::{Part, files_of};
use crate::read;
use crate::rescue;
use crate::room::{self, Room};
use crate::shared::{Settings, Shared};
use crate::stories::{Done, Piece, Place};
use crate::term::Term;

/// How long a file stays open without being written to.
const CLOSE_AFTER: Duration = Duration::from_secs(120);

/// How long nothing is written to a class after a write has failed.
const PAUSE: Duration = Duration::from_secs(10);

/// A file takes at most this share of the space; then the day continues in another one.
const PARTS: u64 = 16;

/// The share of the disk that the history takes by default, as a divisor, and its maximum.
const OF_DISK: u64 = 10;
const DEFAULT_MAX: u64 = 2 << 30;

/// The share of the disk that it leaves free, as a divisor, and its maximum.
const LEAVE_OF_DISK: u64 = 20;
const LEAVE_MAX: u64 = 256 << 20;

/// How large a burst of stories strangers may cause, in seconds at the normal rate.
const BURST_SECONDS: f64 = 50.0;

/// An open file.
struct Open {
    part: Part,
    used: Instant,
    /// Pieces since the last commit.
    pieces: u64,
    sealed: bool,
}

/// The files, and what may be written to them.
pub(crate) struct Files {
    folder: PathBuf,
    open: HashMap<Name, Open>,
    /// The file in which new stories of a class begin.
    current: HashMap<Class, Name>,
    /// Files that were too large when last checked.
    full: Vec<Name>,
    /// Until when nothing is written to a class.
    paused: HashMap<Class, Instant>,
    /// Whether the disk has no space left for it.
    no_room: bool,
    tokens: f64,
    tokens_at: Instant,
    failing: bool,
    pub(crate) tidied_at: Option<Instant>,
}

impl Files {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            folder: settings.folder.clone(),
            open: HashMap::new(),
            current: HashMap::new(),
            full: Vec::new(),
            paused: HashMap::new(),
            no_room: false,
            tokens: f64::from(settings.strangers_per_second) * BURST_SECONDS,
            tokens_at: Instant::now(),
            failing: false,
            tidied_at: None,
        }
    }

    pub(crate) fn fill_tokens(&mut self, settings: &Settings) {
        let rate = f64::from(settings.strangers_per_second);
        let passed = self.tokens_at.elapsed().as_secs_f64();
        self.tokens_at = Instant::now();
        self.tokens = (self.tokens + passed * rate).min(rate * BURST_SECONDS);
    }

    /// Adds a piece of a story.
    pub(crate) fn add(&mut self, piece: &Piece<'_>, now: i64, shared: &Shared) -> Done {
        let counters = &shared.counters;
        let lost = |count: &AtomicU64| {
            count.fetch_add(1, Ordering::Relaxed);
            Done::Lost
        };
        let place = piece.place.or_else(|| self.look_up(piece));
        let class = place.map_or(piece.class, |place| place.name.class);
        if self.no_room
            || self
                .paused
                .get(&class)
                .is_some_and(|until| Instant::now() < *until)
        {
            return lost(&counters.failed);
        }
        if place.is_none() && class == Class::Strangers {
            if self.tokens < 1.0 {
                return lost(&counters.strangers);
            }
            self.tokens -= 1.0;
        }
        let name = match place {
            Some(place) => place.name,
            None => self.current(class, day_of(now)),
        };
        let story = place.map(|place| place.story);
        let added = self.part(name).and_then(|open| {
            open.pieces += 1;
            open.part.add(name.begin(), piece.about, story, piece.lines)
        });
        match added {
            Ok(number) => {
                counters
                    .stories
                    .fetch_add(u64::from(story.is_none()), Ordering::Relaxed);
                Done::At(Place { name, story: number })
            }
            Err(error) => {
                self.failed(name, &error, shared);
                lost(&counters.failed)
            }
        }
    }

    /// The place of a message whose story may have begun long ago: the day is in its queue id.
    fn look_up(&mut self, piece: &Piece<'_>) -> Option<Place> {
        let About::Message(queue, _) = piece.about else {
            return None;
        };
        if !piece.is_old {
            return None;
        }
        let term = Term::Queue(queue.to_string()).hashes()?;
        let day = day_of(queue.unix_ms());
        let names = name::list(&self.folder).ok()?;
        let near = |name: &&Name| name.class != Class::Strangers && (day..=day + 1).contains(&name.day);
        names.iter().filter(near).find_map(|name| {
            let open = self.part(*name).ok()?;
            let found = read::postings(open.part.connection(), &term).ok()?;
            let is_its = |story: &u32| {
                let about = read::about(open.part.connection(), *story);
                matches!(about, Ok(Some(About::Message(one, _))) if one == *queue)
            };
            let story = found.into_iter().find(is_its)?;
            Some(Place { name: *name, story })
        })
    }

    /// The file in which new stories of a class begin today.
    fn current(&mut self, class: Class, day: i32) -> Name {
        let known = self.current.get(&class).copied().filter(|name| name.day == day);
        let mut name = known.unwrap_or_else(|| {
            let there = name::list(&self.folder).unwrap_or_default();
            let last = there
                .into_iter()
                .rfind(|name| name.day == day && name.class == class);
            last.unwrap_or(Name { day, class, part: 1 })
        });
        let is_full = |files: &Self, name: &Name| {
            files.full.contains(name) || files.open.get(name).is_some_and(|open| open.part.is_full())
        };
        while is_full(self, &name) {
            name.part = name.part.saturating_add(1);
        }
        self.current.insert(class, name);
        name
    }

    fn part(&mut self, name: Name) -> Result<&mut Open, PartError> {
        if !self.open.contains_key(&name) {
            make_folder(&self.folder)?;
            let part = Part::open(&self.folder, name)?;
            let open = Open {
                part,
                used: Instant::now(),
                pieces: 0,
                sealed: false,
            };
            self.open.insert(name, open);
        }
        let open = self
            .open
            .get_mut(&name)
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        open.used = Instant::now();
        open.sealed = false;
        Ok(open)
    }

    /// Commits everything; returns the files for which that failed.
    pub(crate) fn commit(&mut self, shared: &Shared) -> Vec<Name> {
        let mut failed = Vec::new();
        let mut written = false;
        for (name, open) in &mut self.open {
            let pieces = open.pieces;
            match open.part.commit() {
                Ok(()) => written |= pieces > 0,
                Err(error) => {
                    shared.counters.failed.fetch_add(pieces, Ordering::Relaxed);
                    failed.push((*name, error));
                }
            }
            open.pieces = 0;
        }
        for (name, error) in &failed {
            self.failed(*name, error, shared);
        }
        if written
            && failed.is_empty()
            && self.failing
            && self.paused.values().all(|until| Instant::now() >= *until)
        {
            self.failing = false;
            if let Some(observers) = shared.observers.get() {
                notice!(observers, Run Info "history written again", File = shown(&self.folder.display()));
            }
        }
        failed.into_iter().map(|(name, _)| name).collect()
    }

    /// Gives up on a file for now; a damaged one is moved aside, and created again from what can be read.
    fn failed(&mut self, name: Name, error: &PartError, shared: &Shared) {
        self.open.remove(&name);
        let tell = |what: &dyn Fn(&Observers)| shared.observers.get().map(what);
        let path = name.path(&self.folder);
        if error.is_damage() {
            match rescue::rescue(&self.folder, name) {
                Ok(rescued) => {
                    tell(&|observers| {
                        notice!(
                            observers,
                            Run Warning "history damaged: a file was put aside, and rebuilt from what could be read",
                            File = shown(&path.display()),
                            Aside = shown(&rescued.aside.display()),
                            Sessions = rescued.stories,
                            Error = shown(error),
                        );
                    });
                    return;
                }
                Err(again) => {
                    tell(&|observers| {
                        notice!(
                            observers,
                            Run Warning "history damaged, and nothing can be read of a file",
                            File = shown(&path.display()),
                            Error = shown(&again),
                        );
                    });
                }
            }
        }
        self.paused.insert(name.class, Instant::now() + PAUSE);
        self.complain(&path, error, shared);
    }

    /// Reports that it cannot be written, once until it can again.
    fn complain(&mut self, path: &Path, error: &dyn std::fmt::Display, shared: &Shared) {
        if std::mem::replace(&mut self.failing, true) {
            return;
        }
        if let Some(observers) = shared.observers.get() {
            notice!(
                observers,
                Run Warning "history not written: what happens now will be missing in it; mail is not affected",
                File = shown(&path.display()),
                Error = shown(error),
            );
        }
    }

    /// Removes what is too old or too much; returns what was removed.
    pub(crate) fn tidy(&mut self, settings: &Settings, today: i32, shared: &Shared) -> Vec<Name> {
        let Ok(names) = name::list(&self.folder) else {
            return Vec::new();
        };
        let sizes: Vec<(Name, u64)> = names
            .into_iter()
            .map(|name| (name, size(&name.path(&self.folder))))
            .collect();
        let disk = disk(&self.folder);
        let most = settings.max_size.unwrap_or_else(|| match disk {
            Some((total, _)) => DEFAULT_MAX.min(total / OF_DISK),
            None => DEFAULT_MAX,
        });
        self.full = sizes
            .iter()
            .filter(|(_, size)| *size > most / PARTS)
            .map(|(name, _)| *name)
            .collect();
        let days = i32::try_from(settings.keep.as_millis() as i64 / DAY_MS).unwrap_or(i32::MAX);
        let in_use: Vec<Name> = self
            .current
            .values()
            .copied()
            .filter(|name| name.day == today && !self.full.contains(name))
            .collect();
        let mut room = Room {
            since: today.saturating_sub(days),
            most,
        };
        let taken: u64 = sizes.iter().map(|(_, size)| size).sum();
        // If others have filled the disk, the oldest day is removed.
        let needed = disk.map_or(0, |(total, free)| {
            (total / LEAVE_OF_DISK).min(LEAVE_MAX).saturating_sub(free)
        });
        room.most = room.most.min(taken.saturating_sub(needed));
        let gone = room::to_remove(&sizes, &in_use, room);
        for name in &gone {
            self.open.remove(name);
            self.full.retain(|one| one != name);
            for file in files_of(&name.path(&self.folder)) {
                let _ = std::fs::remove_file(file);
            }
        }
        let freed: u64 = sizes
            .iter()
            .filter(|(name, _)| gone.contains(name))
            .map(|(_, size)| size)
            .sum();
        self.no_room = needed > freed;
        if self.no_room {
            let text = "the disk is nearly full, and what is free is left to the queue";
            let folder = self.folder.clone();
            self.complain(&folder, &text, shared);
        }
        gone
    }

    /// Closes files that were not written to for a while; one of an earlier day is sealed first.
    pub(crate) fn close_unused(&mut self, today: i32, shared: &Shared) {
        let idle: Vec<Name> = self
            .open
            .iter()
            .filter(|(_, open)| open.used.elapsed() >= CLOSE_AFTER)
            .map(|(name, _)| *name)
            .collect();
        for name in idle {
            let Some(mut open) = self.open.remove(&name) else {
                continue;
            };
            let is_over = name.day != today || self.full.contains(&name);
            if is_over && let Err(error) = open.part.seal() {
                self.failed(name, &error, shared);
            }
        }
    }
}

fn make_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
}

/// Octets of a file including its log.
pub(crate) fn size(path: &Path) -> u64 {
    let [database, log, _] = files_of(path);
    let length = |path: &Path| path.metadata().map_or(0, |metadata| metadata.len());
    length(&database) + length(&log)
}

/// The size of the disk, and what is free for this user, in octets.
fn disk(folder: &Path) -> Option<(u64, u64)> {
    let disk = nix::sys::statvfs::statvfs(folder).ok()?;
    let unit = disk.fragment_size();
    Some((disk.blocks() * unit, disk.blocks_available() * unit))
}
