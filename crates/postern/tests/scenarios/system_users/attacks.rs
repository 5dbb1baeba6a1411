//! How a user could interfere with another's mail, or with the helper.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use postern_testkit::process::wait_until;
use postern_testkit::sink::Sink;

use super::{Town, in_town, mbox, text, uid_of, user_file, wait_for};

/// What the case shows, its setup, and the words that report it.
type Trap<'a> = (&'a str, Box<dyn Fn() + 'a>, &'a str);

#[test]
fn traps_in_the_mail_folder() {
    in_town("attacks::traps_in_the_mail_folder", || {
        let sink = Sink::start();
        let mut town = Town::new(&sink, "");
        town.start();
        let prey = Path::new("/home/bob/prey");
        fs::write(prey, "bob's").unwrap();
        chown(prey, Some(uid_of("bob")), None).unwrap();
        let traps: [Trap<'_>; 5] = [
            (
                "a link to a file of bob's",
                Box::new(|| symlink(prey, mbox("ann")).unwrap()),
                "is a link",
            ),
            (
                "a link to nothing",
                Box::new(|| symlink("/home/ann/new", mbox("ann")).unwrap()),
                "is a link",
            ),
            (
                "a file of bob's, open to all",
                Box::new(|| {
                    fs::write(mbox("ann"), "").unwrap();
                    fs::set_permissions(mbox("ann"), fs::Permissions::from_mode(0o666)).unwrap();
                    chown(mbox("ann"), Some(uid_of("bob")), None).unwrap();
                }),
                "belongs to another user",
            ),
            (
                "a second name of ann's own file",
                Box::new(|| {
                    fs::write(mbox("other"), "").unwrap();
                    chown(mbox("other"), Some(uid_of("ann")), None).unwrap();
                    fs::hard_link(mbox("other"), mbox("ann")).unwrap();
                }),
                "second name",
            ),
            (
                "a pipe",
                Box::new(|| mkfifo(&mbox("ann"), Mode::S_IRWXU | Mode::S_IRWXO).unwrap()),
                "mailbox.unusable",
            ),
        ];
        for (number, (shows, set, words)) in traps.iter().enumerate() {
            set();
            let subject = format!("into a trap {number}");
            town.take("ann@town.test", &subject);
            town.waits(&["mailbox.unusable", words]);
            assert_eq!(text(prey), "bob's", "{shows}");
            assert!(!Path::new("/home/ann/new").exists(), "{shows}");
            fs::remove_file(mbox("ann")).unwrap();
            wait_for(&mbox("ann"), &subject);
            wait_until("an empty queue", || town.site.queue_is_empty());
            fs::remove_file(mbox("ann")).unwrap();
        }
        assert!(!mbox("ann.lock").exists());
    });
}

#[test]
fn a_forward_that_is_not_the_users_word() {
    in_town("attacks::a_forward_that_is_not_the_users_word", || {
        let sink = Sink::start();
        let mut town = Town::new(&sink, "forward = true\nforward_programs = true\n");
        town.start();
        let path = Path::new("/home/ann/.forward");
        let mode = |path: &str, mode: u32| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        let own = || {
            let _ = fs::remove_file(path);
            user_file("ann", ".forward", "thief@far.test\n");
        };
        let traps: [Trap<'_>; 6] = [
            (
                "another's file",
                Box::new(|| chown(path, Some(uid_of("bob")), None).unwrap()),
                "belongs to another",
            ),
            (
                "writable by the group",
                Box::new(|| mode("/home/ann/.forward", 0o664)),
                "its group may write",
            ),
            (
                "a home for the group",
                Box::new(|| mode("/home/ann", 0o775)),
                "folder /home/ann",
            ),
            (
                "a link to another's",
                Box::new(|| {
                    fs::remove_file(path).unwrap();
                    symlink("/home/bob/.forward", path).unwrap();
                }),
                "it is a link",
            ),
            (
                "a link to what the user may not read",
                Box::new(|| {
                    fs::remove_file(path).unwrap();
                    symlink("/etc/shadow", path).unwrap();
                }),
                "it is a link",
            ),
            (
                "a pipe that nobody writes to",
                Box::new(|| {
                    fs::remove_file(path).unwrap();
                    mkfifo(path, Mode::S_IRWXU).unwrap();
                    chown(path, Some(uid_of("ann")), None).unwrap();
                }),
                "it is not a file",
            ),
        ];
        user_file("bob", ".forward", "thief@far.test\n");
        for (number, (shows, set, words)) in traps.iter().enumerate() {
            own();
            set();
            let subject = format!("passed by {number}");
            town.take("ann@town.test", &subject);
            wait_for(&mbox("ann"), &subject);
            town.site.wait_for_log(&["does not count", words]);
            mode("/home/ann", 0o755);
            assert!(sink.taken().is_empty(), "{shows}");
        }
        // A detail is part of a name, never of a path.
        own();
        fs::create_dir("/home/ann/.forward+x").unwrap();
        user_file("ann", ".forward+x/y", "thief@far.test\n");
        fs::remove_file(path).unwrap();
        town.take("\"ann+x/y\"@town.test", "a path");
        wait_for(&mbox("ann"), "a path");
        assert!(sink.taken().is_empty());
    });
}
