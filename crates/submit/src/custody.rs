//! Which files in the drop folder are accepted. Any user can put things there, so the name proves nothing, and only the file
//! itself counts: its owner has written it.
//!
//! The folder has mode `3733`. Everybody can create files in it, nobody can list it, only the owners of a file and of the folder
//! can rename or remove one, and a file created there gets the folder's group, with which the server can read it and nobody else.
//! That group also proves that a file was created there: a hard link to a file of another user has another group.

/// The mode of the folder.
pub const FOLDER_MODE: u32 = 0o3733;

/// The mode of a file in it.
pub const FILE_MODE: u32 = 0o660;

/// Prefix of a name while its file is being written.
pub const UNFINISHED: &str = "new-";

/// Prefix of a name whose file is never accepted.
pub const ASIDE: &str = "aside-";

/// Hexadecimal digits of a name: too many to guess.
pub const DIGITS: usize = 32;

/// Whether a name may be that of a complete message.
#[must_use]
pub fn is_message(name: &str) -> bool {
    name.len() == DIGITS
        && name
            .bytes()
            .all(|octet| matches!(octet, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether a name is that of a message that is still being written, or whose writer has died.
#[must_use]
pub fn is_unfinished(name: &str) -> bool {
    name.strip_prefix(UNFINISHED).is_some_and(is_message)
}

/// What is known about an open file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FileFacts {
    /// Whether it is a regular file.
    pub regular: bool,
    /// Number of hard links.
    pub links: u64,
    /// Its mode, including the bits beyond read, write and execute.
    pub mode: u32,
    /// Whether its group is that of the folder.
    pub group_of_folder: bool,
}

/// Why a file is not accepted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotTaken {
    /// A link, a folder, a pipe.
    #[error("it is not a regular file")]
    NotRegular,
    /// It has another name (a hard link).
    #[error("it has more than one name")]
    Links,
    /// It was not created in the folder.
    #[error("its group is not that of the folder, so it was not made there")]
    Group,
    /// Others can write to it, or it is executable.
    #[error("its rights are not 660")]
    Mode,
}

/// Whether a file is accepted as a message of its owner.
///
/// # Errors
///
/// Why not.
pub fn judge(file: FileFacts) -> Result<(), NotTaken> {
    if !file.regular {
        return Err(NotTaken::NotRegular);
    }
    if file.links != 1 {
        return Err(NotTaken::Links);
    }
    if !file.group_of_folder {
        return Err(NotTaken::Group);
    }
    if file.mode != FILE_MODE {
        return Err(NotTaken::Mode);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files() {
        let good = FileFacts {
            regular: true,
            links: 1,
            mode: FILE_MODE,
            group_of_folder: true,
        };
        #[rustfmt::skip]
        let cases = [
            // what the case shows                   file                                              taken
            ("as sendmail makes it",                 good,                                             Ok(())),
            ("a link",                               FileFacts { regular: false, ..good },             Err(NotTaken::NotRegular)),
            ("a second name for it",                 FileFacts { links: 2, ..good },                   Err(NotTaken::Links)),
            ("no name any more",                     FileFacts { links: 0, ..good },                   Err(NotTaken::Links)),
            ("another user's file, linked here",     FileFacts { group_of_folder: false, ..good },     Err(NotTaken::Group)),
            ("everybody can write it",               FileFacts { mode: 0o666, ..good },                Err(NotTaken::Mode)),
            ("set-user-ID",                          FileFacts { mode: 0o4660, ..good },               Err(NotTaken::Mode)),
        ];
        for (shows, file, taken) in cases {
            assert_eq!(judge(file), taken, "{shows}");
        }
    }

    #[test]
    fn names() {
        let digits = "0123456789abcdef0123456789abcdef";
        assert!(is_message(digits) && is_unfinished(&format!("new-{digits}")));
        for other in [
            "",
            "x",
            "../../etc/passwd",
            "0123456789ABCDEF0123456789ABCDEF",
            "aside-0123456789abcdef0123456789",
        ] {
            assert!(!is_message(other) && !is_unfinished(other), "{other}");
        }
        assert!(!is_message(&format!("new-{digits}")) && !is_unfinished(digits));
    }
}
