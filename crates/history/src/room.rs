//! Which files to remove: those that are too old, and if there is too much, the oldest of the class furthest over its share. No
//! file is touched here.

use crate::name::{Class, Name};

/// How much space the files may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// The first day that is kept.
    pub(crate) since: i32,
    /// Most octets in all files.
    pub(crate) most: u64,
}

/// The files to remove, in order. Those `in_use` stay, whatever their size.
pub(crate) fn to_remove(files: &[(Name, u64)], in_use: &[Name], room: Room) -> Vec<Name> {
    let (old, mut kept): (Vec<_>, Vec<_>) = files.iter().partition(|(name, _)| name.day < room.since);
    let mut gone: Vec<Name> = old.into_iter().map(|(name, _)| name).collect();
    kept.sort_unstable();
    loop {
        let total: u64 = kept.iter().map(|(_, size)| size).sum();
        if total <= room.most {
            return gone;
        }
        let of = |class: Class| -> u64 {
            let sizes = kept.iter().filter(|(name, _)| name.class == class);
            sizes.map(|(_, size)| size).sum()
        };
        let free = |name: &Name| !in_use.contains(name);
        let mut classes = Class::ALL;
        // The class that uses most of its share goes first.
        classes.sort_by_key(|class| std::cmp::Reverse(of(*class).saturating_mul(class.share())));
        let oldest = classes.into_iter().find_map(|class| {
            kept.iter()
                .position(|(name, _)| name.class == class && free(name))
        });
        let Some(oldest) = oldest else { return gone };
        gone.push(kept.remove(oldest).0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Case = (
        &'static str,
        &'static [(i32, Class, u64)],
        &'static [Day],
        u64,
        &'static [Day],
    );
    type Day = (i32, Class);

    #[test]
    fn who_has_more_than_its_share_gives_way() {
        use Class::{Strangers, Users};
        let name = |day, class| Name { day, class, part: 1 };
        #[rustfmt::skip]
        let cases: [Case; 6] = [
            // what the case shows        day, class, size                                         in use           room   what goes
            ("there is room",             &[(3, Users, 50), (3, Strangers, 50)],                   &[],             100,   &[]),
            ("a day is over",             &[(1, Users, 1), (3, Users, 1)],                         &[],             100,   &[(1, Users)]),
            ("strangers have too much",   &[(2, Users, 50), (2, Strangers, 30), (3, Strangers, 30)], &[],           100,   &[(2, Strangers)]),
            ("users alone",               &[(2, Users, 60), (3, Users, 60)],                       &[(3, Users)],   100,   &[(2, Users)]),
            ("what is in use stays",      &[(3, Users, 60), (3, Strangers, 60)],                   &[(3, Users), (3, Strangers)], 100, &[]),
            ("then another gives way",    &[(2, Users, 30), (3, Users, 30), (3, Strangers, 60)],   &[(3, Users), (3, Strangers)], 100, &[(2, Users)]),
        ];
        for (shows, files, in_use, most, gone) in cases {
            let files: Vec<_> = files
                .iter()
                .map(|(day, class, size)| (name(*day, *class), *size))
                .collect();
            let in_use: Vec<_> = in_use.iter().map(|(day, class)| name(*day, *class)).collect();
            let wanted: Vec<_> = gone.iter().map(|(day, class)| name(*day, *class)).collect();
            assert_eq!(
                to_remove(&files, &in_use, Room { since: 2, most }),
                wanted,
                "{shows}"
            );
        }
    }
}
