//! Whether a `.forward` can be trusted as the user's: facts in, the reason against it out.

use std::path::PathBuf;

/// Writable by the group.
const GROUP: u32 = 0o020;

/// Writable by all.
const OTHERS: u32 = 0o002;

/// Only owners can rename files in such a folder.
const STICKY: u32 = 0o1000;

/// What is known about a file.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) user: u32,
    pub(super) is_file: bool,
    pub(super) owner: u32,
    pub(super) mode: u32,
    pub(super) links: u64,
    /// The folders above it, up to the root, with owner and mode.
    pub(super) folders: Vec<(PathBuf, u32, u32)>,
}

/// Why the file does not count; `None` if it does.
pub(super) fn distrust(facts: &Facts) -> Option<String> {
    if !facts.is_file {
        return Some("it is not a file".into());
    }
    if facts.owner != facts.user && facts.owner != 0 {
        return Some("it belongs to another user: chown it".into());
    }
    if facts.links != 1 {
        return Some("it has a second name, by a hard link".into());
    }
    if let Some(who) = writers(facts.mode) {
        return Some(format!("{who} may write to it: chmod go-w"));
    }
    for (folder, owner, mode) in &facts.folders {
        let shown = folder.display();
        if *owner != facts.user && *owner != 0 {
            return Some(format!("the folder {shown} belongs to another user"));
        }
        if let Some(who) = writers(*mode).filter(|_| mode & STICKY == 0) {
            return Some(format!("{who} may write to the folder {shown}: chmod go-w"));
        }
    }
    None
}

/// Who may write, besides the owner.
fn writers(mode: u32) -> Option<&'static str> {
    match (mode & OTHERS != 0, mode & GROUP != 0) {
        (true, _) => Some("everybody"),
        (false, true) => Some("its group"),
        (false, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What it shows, what is changed, and words of the reason.
    type Case<'a> = (&'a str, &'a dyn Fn(&mut Facts), &'a str);

    #[test]
    fn whose_word_it_is() {
        let good = Facts {
            user: 7,
            is_file: true,
            owner: 7,
            mode: 0o644,
            links: 1,
            folders: vec![
                ("/home/ann".into(), 7, 0o755),
                ("/home".into(), 0, 0o755),
                ("/".into(), 0, 0o755),
            ],
        };
        assert_eq!(distrust(&good), None);
        let change = |change: &dyn Fn(&mut Facts)| {
            let mut facts = good.clone();
            change(&mut facts);
            distrust(&facts).unwrap_or_default()
        };
        #[rustfmt::skip]
        let cases: [Case<'_>; 11] = [
            ("root's word",               &|f| f.owner = 0,                 ""),
            ("another's file",            &|f| f.owner = 8,                 "belongs to another"),
            ("a second name",             &|f| f.links = 2,                 "hard link"),
            ("no file",                   &|f| f.is_file = false,           "not a file"),
            ("the group may write",       &|f| f.mode = 0o664,              "its group"),
            ("all may write",             &|f| f.mode = 0o646,              "everybody"),
            ("the home for the group",    &|f| f.folders[0].2 = 0o775,      "/home/ann"),
            ("a folder above for all",    &|f| f.folders[1].2 = 0o777,      "everybody may write to the folder /home"),
            ("sticky, as /tmp",           &|f| f.folders[1].2 = 0o1777,     ""),
            ("the home of another",       &|f| f.folders[0].1 = 8,          "/home/ann belongs"),
            ("a home of root's",          &|f| f.folders[0].1 = 0,          ""),
        ];
        for (shows, by, words) in cases {
            let why = change(by);
            assert!(
                why.contains(words) && why.is_empty() == words.is_empty(),
                "{shows}: {why}"
            );
        }
    }
}
