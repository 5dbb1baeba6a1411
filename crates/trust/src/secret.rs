//! Which files may hold a secret.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

/// Root's user id.
const ROOT: u32 = 0;

/// Whether a file is private enough for a key or a password: nobody but its owner may read or write it. A file owned by root
/// may also be read by its group, which is how container platforms mount secrets (`root:GROUP`, mode 0440 or 0640).
#[must_use]
pub fn is_private(metadata: &Metadata) -> bool {
    is_private_mode(metadata.mode(), metadata.uid())
}

/// The rule of [`is_private`], for permission bits and an owner.
#[must_use]
pub const fn is_private_mode(mode: u32, owner: u32) -> bool {
    let open = mode & 0o066;
    open == 0 || owner == ROOT && open == 0o040
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_read_a_secret() {
        #[rustfmt::skip]
        let cases = [
            (0o600, 1000, true,  "its owner alone"),
            (0o400, 1000, true,  "its owner alone, to read"),
            (0o700, 1000, true,  "executable, which tells nothing"),
            (0o640, 1000, false, "the group of a user"),
            (0o604, 1000, false, "everybody"),
            (0o440, ROOT, true,  "root's file, read by a group"),
            (0o640, ROOT, true,  "root's file, read by a group"),
            (0o660, ROOT, false, "written by a group"),
            (0o644, ROOT, false, "root's file, read by everybody"),
            (0o642, ROOT, false, "written by everybody"),
        ];
        for (mode, owner, want, shows) in cases {
            assert_eq!(is_private_mode(mode, owner), want, "{shows} ({mode:o})");
        }
    }
}
