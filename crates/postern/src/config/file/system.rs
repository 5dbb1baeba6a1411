//! `[system_users]`.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::kinds::{Count, FilePath, Line, List, Switch, Time};
use crate::config::read::{At, table};

table! {
    /// Delivery to the users of this machine. The server has no privileges for that: `postern mailbox-helper`, started by root
    /// (`systemctl enable --now postern-mailbox`), takes each message, becomes the user, and does what this table says. It reads
    /// the table itself; after a change, run `systemctl reload postern-mailbox`. With Dovecot or Cyrus, `lmtp` in [delivery] is
    /// the better way: their mailboxes have indexes, quotas and Sieve.
    SystemUsersTable {
        /// The mailbox of a user. `~/` is the home folder, `{user}` the name. With `/` at the end it is a Maildir, otherwise an
        /// mbox, locked with `fcntl` and a file `.lock` as on Debian. A mailbox must belong to the user; one that is a symbolic
        /// link, or has a hard link, is not written to.
        mailbox: String = Line(1000), default "\"/var/mail/{user}\"";
        /// A delivery agent in place of `mailbox`, with its arguments: `["/usr/bin/procmail", "-Y", "-a", "{detail}", "-d",
        /// "{user}"]`. It is run as the user, without a shell, and reads the message from its standard input. Words may have
        /// `{user}`, `{detail}`, `{home}`, `{sender}`, `{recipient}`, `{local}`, `{domain}` and `{hostname}`. Exit code 0 is
        /// success; 67 and 68 mean that there is no such user, 65, 69, 76 and 77 that it refuses the message: it bounces. After
        /// any other code, a signal, or a timeout, the message is tried again.
        agent: Vec<At<String>> = List(Line(1000)), default "[]";
        /// Whether a `.forward` in the home folder says where mail goes: addresses, `\user` for a copy that stays, files,
        /// programs. It must belong to the user or root, must not be a link, and neither it nor a folder above it may be writable
        /// by group or others; otherwise the log has a warning and the mail goes to the mailbox. `.forward.HOST+DETAIL`,
        /// `.forward+DETAIL` and `.forward.HOST` take precedence over `.forward`.
        forward: bool = Switch, default "false";
        /// Whether programs in a `.forward` are run (`|/usr/bin/vacation ann`), as the user, for users whose shell is in
        /// `/etc/shells`. Anyone who can write the file, by FTP or a web form, can then run programs here.
        forward_programs: bool = Switch, default "false";
        /// Whether files in a `.forward` are written to, as the user, for users whose shell is in `/etc/shells`.
        forward_files: bool = Switch, default "true";
        /// The lowest uid with a mailbox. Root and `nobody` never have one: root's mail needs an alias that leads elsewhere.
        min_uid: u64 = Count(0..=4_294_967_294), default "1000";
        /// The longest run of an agent, and of the programs of a `.forward` all together. After that, the program and everything
        /// it started are killed.
        timeout: Duration = Time("1s", "1h"), default "\"10m\"";
        /// The longest wait for an mbox that another program has locked.
        lock_timeout: Duration = Time("0", "10m"), default "\"1m\"";
        /// Deliveries at once.
        deliveries: u64 = Count(1..=1_000), default "50";
        /// Deliveries to one user at once.
        deliveries_per_user: u64 = Count(1..=100), default "2";
        /// The helper's socket. It only accepts messages from `user`.
        socket: PathBuf = FilePath, default "\"/run/postern-mailbox/socket\"";
    }
}
