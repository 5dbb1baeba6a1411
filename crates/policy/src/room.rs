//! Whether there is room for incoming messages: on disk, in memory, in files.
//!
//! Room is reserved before octets are read, so that many concurrent messages cannot all count on the same free space. Strangers
//! get at most half of it.

use std::fmt;

use postern_mail::Status;

use crate::rule::{Rule, Told, Verdict};

/// How much incoming messages may take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RoomSettings {
    /// Octets to be left free on the spool's disk. Default 100 MiB. For strangers, half as much again.
    pub min_free: u64,
    /// Most memory for bodies and recipients of incoming messages, in octets. Default 128 MiB.
    pub memory: u64,
    /// Most bodies in files at once: the large ones, and all for which there is no memory. Default 2,000.
    pub bodies: u32,
    /// Most of them from one wide network of strangers, or of one user. Default 100.
    pub bodies_per_network: u32,
}

/// What incoming messages have already reserved.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Taken {
    /// Octets of disk reserved.
    pub disk: u64,
    /// Octets of them already written, which are included in the disk's own figure.
    pub written: u64,
    /// Octets of disk reserved for strangers.
    pub disk_of_strangers: u64,
    /// Octets of memory.
    pub memory: u64,
    /// Octets of memory taken by strangers.
    pub memory_of_strangers: u64,
    /// Bodies in files.
    pub bodies: u32,
    /// Bodies of strangers in files.
    pub bodies_of_strangers: u32,
}

/// Why there is no room.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NoRoom {
    /// Too little free disk space.
    #[error("{free} octets free, {needed} are needed")]
    Disk {
        /// Free octets, without those reserved for others.
        free: u64,
        /// Octets needed: those to be left free, and the message.
        needed: u64,
    },
    /// Strangers already have half of the free space.
    #[error("messages of strangers under way have {taken} octets, half of what is free")]
    Share {
        /// Octets reserved for strangers.
        taken: u64,
    },
    /// Too much memory in use for incoming messages.
    #[error("messages under way have {taken} octets of memory")]
    Memory {
        /// Octets in use, by all or by strangers.
        taken: u64,
    },
    /// Too many bodies in files.
    #[error("{limit} messages are under way already")]
    Bodies {
        /// The limit.
        limit: u32,
    },
    /// Too many bodies in files from one network.
    #[error("{limit} messages of this network are under way already")]
    Network {
        /// The limit.
        limit: u32,
    },
}

impl Verdict for NoRoom {
    fn rule(&self) -> Rule {
        match self {
            Self::Disk { .. } => Rule::AdmissionDisk,
            Self::Share { .. } => Rule::AdmissionDiskShare,
            Self::Memory { .. } => Rule::AdmissionMemory,
            Self::Bodies { .. } => Rule::AdmissionBodies,
            Self::Network { .. } => Rule::AdmissionBodiesNetwork,
        }
    }

    fn reason(&self) -> &dyn fmt::Display {
        self
    }

    fn reply(&self) -> Option<Told> {
        Some(self.told())
    }
}

impl NoRoom {
    /// Reply code, status and text for the peer, without our figures.
    #[must_use]
    pub fn told(self) -> Told {
        match self {
            Self::Disk { .. } | Self::Share { .. } => {
                (452, Status(4, 3, 1), "Insufficient storage, try again later")
            }
            Self::Memory { .. } | Self::Bodies { .. } => {
                (452, Status(4, 3, 1), "Too many messages at once, try again later")
            }
            Self::Network { .. } => (
                452,
                Status(4, 7, 0),
                "Too many messages at once from your network, try again later",
            ),
        }
    }
}

impl Default for RoomSettings {
    fn default() -> Self {
        Self {
            min_free: 100 * 1024 * 1024,
            memory: 128 * 1024 * 1024,
            bodies: 2_000,
            bodies_per_network: 100,
        }
    }
}

/// Decides whether `wanted` more octets of disk may be reserved, with `free` octets on it; `None` if unknown.
///
/// # Errors
///
/// [`NoRoom::Disk`], [`NoRoom::Share`].
pub fn disk(
    wanted: u64,
    stranger: bool,
    free: Option<u64>,
    taken: &Taken,
    settings: &RoomSettings,
) -> Result<(), NoRoom> {
    let Some(free) = free else {
        return Ok(());
    };
    let free = free.saturating_sub(taken.disk.saturating_sub(taken.written));
    let kept = settings
        .min_free
        .saturating_add(if stranger { settings.min_free / 2 } else { 0 });
    let needed = kept.saturating_add(wanted);
    if free < needed {
        return Err(NoRoom::Disk { free, needed });
    }
    let all = (free - kept).saturating_add(taken.disk_of_strangers);
    if stranger && taken.disk_of_strangers.saturating_add(wanted) > all / 2 {
        return Err(NoRoom::Share {
            taken: taken.disk_of_strangers,
        });
    }
    Ok(())
}

/// Decides whether a message may take `wanted` more octets of memory.
///
/// # Errors
///
/// [`NoRoom::Memory`].
pub fn memory(wanted: u64, stranger: bool, taken: &Taken, settings: &RoomSettings) -> Result<(), NoRoom> {
    let fits = |taken: u64, most: u64| {
        if taken.saturating_add(wanted) > most {
            Err(NoRoom::Memory { taken })
        } else {
            Ok(())
        }
    };
    if stranger {
        fits(taken.memory_of_strangers, settings.memory / 2)?;
    }
    fits(taken.memory, settings.memory)
}

/// Decides whether one more body may be in a file, if its network or user already has `of_network`.
///
/// # Errors
///
/// [`NoRoom::Bodies`], [`NoRoom::Network`].
pub fn body(stranger: bool, of_network: u32, taken: &Taken, settings: &RoomSettings) -> Result<(), NoRoom> {
    if of_network >= settings.bodies_per_network {
        return Err(NoRoom::Network {
            limit: settings.bodies_per_network,
        });
    }
    let half = settings.bodies / 2;
    if stranger && taken.bodies_of_strangers >= half {
        return Err(NoRoom::Bodies { limit: half });
    }
    if taken.bodies >= settings.bodies {
        return Err(NoRoom::Bodies {
            limit: settings.bodies,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: RoomSettings = RoomSettings {
        min_free: 1_000,
        memory: 1_000,
        bodies: 10,
        bodies_per_network: 3,
    };

    fn outcome(verdict: Result<(), NoRoom>) -> Option<(&'static str, u16)> {
        verdict
            .err()
            .map(|refusal| (refusal.rule().name(), refusal.told().0))
    }

    #[test]
    fn room_on_the_disk() {
        let taken = |disk, written, disk_of_strangers| Taken {
            disk,
            written,
            disk_of_strangers,
            ..Taken::default()
        };
        let (none, full, share) = (
            None,
            Some(("admission.disk", 452)),
            Some(("admission.disk-share", 452)),
        );
        #[rustfmt::skip]
        let cases = [
            // what the case shows                      wanted    stranger  free         taken                    refused by
            ("just room enough",                        500,      false,    Some(1_500), taken(0, 0, 0),          none),
            ("the reserve would be touched",            500,      false,    Some(1_499), taken(0, 0, 0),          full),
            ("free space unknown",                      500,      true,     None,        taken(0, 0, 0),          none),
            ("promised to others",                      500,      false,    Some(2_000), taken(501, 0, 0),        full),
            ("what they wrote is no longer free",       500,      false,    Some(1_500), taken(501, 501, 0),      none),
            ("more for users than for strangers",       1,        true,     Some(1_500), taken(0, 0, 0),          full),
            ("strangers get half",                      500,      true,     Some(2_500), taken(0, 0, 0),          none),
            ("and no more",                             501,      true,     Some(2_500), taken(0, 0, 0),          share),
            ("what they have is theirs already",        1,        true,     Some(2_500), taken(500, 0, 500),      share),
            ("also when it is written",                 1,        true,     Some(2_000), taken(500, 500, 500),    share),
            ("users get the other half",                900,      false,    Some(2_500), taken(500, 0, 500),      none),
            ("a size that overflows",                   u64::MAX, false,    Some(2_500), taken(0, 0, 0),          full),
        ];
        for (shows, wanted, stranger, free, taken, refused) in cases {
            let verdict = disk(wanted, stranger, free, &taken, &SETTINGS);
            assert_eq!(outcome(verdict), refused, "{shows}");
        }
    }

    #[test]
    fn room_in_memory() {
        let taken = |memory, memory_of_strangers| Taken {
            memory,
            memory_of_strangers,
            ..Taken::default()
        };
        let full = Some(("admission.memory", 452));
        #[rustfmt::skip]
        let cases = [
            // what the case shows             wanted  stranger  taken              refused by
            ("all of it for users",            1_000,  false,    taken(0, 0),       None),
            ("and no more",                    1,      false,    taken(1_000, 0),   full),
            ("half of it for strangers",       500,    true,     taken(0, 0),       None),
            ("and no more",                    501,    true,     taken(0, 0),       full),
            ("users have it all",              1,      true,     taken(1_000, 0),   full),
            ("strangers have their half",      500,    false,    taken(500, 500),   None),
        ];
        for (shows, wanted, stranger, taken, refused) in cases {
            assert_eq!(
                outcome(memory(wanted, stranger, &taken, &SETTINGS)),
                refused,
                "{shows}"
            );
        }
    }

    #[test]
    fn bodies_in_files() {
        let taken = |bodies, bodies_of_strangers| Taken {
            bodies,
            bodies_of_strangers,
            ..Taken::default()
        };
        let (all, network) = (
            Some(("admission.bodies", 452)),
            Some(("admission.bodies-network", 452)),
        );
        #[rustfmt::skip]
        let cases = [
            // what the case shows            stranger  of network  taken         refused by
            ("one more",                      true,     2,          taken(4, 4),  None),
            ("too many of one network",       true,     3,          taken(3, 3),  network),
            ("or of one login",               false,    3,          taken(3, 0),  network),
            ("half of them for strangers",    true,     0,          taken(5, 5),  all),
            ("the other half for users",      false,    0,          taken(9, 5),  None),
            ("none left",                     false,    0,          taken(10, 5), all),
        ];
        for (shows, stranger, of_network, taken, refused) in cases {
            assert_eq!(
                outcome(body(stranger, of_network, &taken, &SETTINGS)),
                refused,
                "{shows}"
            );
        }
    }
}
