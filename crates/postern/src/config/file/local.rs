//! `[local]`.

use std::path::PathBuf;

use postern_policy::identity::SenderRule;

use crate::config::kinds::{Count, FileMode, FilePath, Line, List, OneOf};
use crate::config::read::{At, table};

table! {
    /// Mail from programs on this machine, which call `sendmail`. With this table it is accepted, through a socket whose peer the
    /// kernel identifies, and from a folder used while the server is down. No program needs a set-user-ID or set-group-ID bit for
    /// it.
    LocalTable {
        /// The socket. `sendmail` looks for it at the default place, or where the variable `POSTERN_SUBMIT` says. Next to it
        /// there is another one, with `.queue` appended to its name, for `mailq`. A change needs a restart.
        socket: PathBuf = FilePath, default "\"/run/postern/submit\"";
        /// Who may connect, as in chmod. A change needs a restart.
        mode: u64 = FileMode, default "\"0666\"";
        /// The folder into which `sendmail` puts messages that the server does not accept now. Any user can create files in it,
        /// but nobody can list it: its mode is `3733`, and it belongs to the user and group of the server. `sendmail` looks for
        /// it at the default place, or where the variable `POSTERN_DROP` says. A change needs a restart.
        drop: PathBuf = FilePath, default "\"/var/spool/postern/drop\"";
        /// Which sender addresses a user may use: `own` are those of the user's name in `local_domains` and at `hostname`, and
        /// aliases that lead to one of them alone; see `aliases` in [identity]. It applies to `MAIL` and to the header.
        senders: SenderRule = OneOf::<SenderRule>::new(), optional "\"own\"" else "as in [relay]";
        /// Accounts that may use any sender address, such as that of a web server. Where others may use any address too, these get no
        /// field `X-Authentication-Warning` (`authwarnings` in `privacy`).
        trusted_users: Vec<At<String>> = List(Line(64)), default "[\"root\"]";
        /// Accounts besides root that see the whole queue with `mailq`, and may flush it with `sendmail -q`. Others see their own
        /// mail.
        queue_users: Vec<At<String>> = List(Line(64)), default "[]";
        /// Most concurrent sessions of one user. Further messages wait in the folder.
        sessions_per_user: u64 = Count(1..=10_000), default "20";
        /// Most messages of one user within a minute; 0 for no limit. Further messages wait in the folder.
        messages_per_minute: u64 = Count(0..=1_000_000), default "600";
    }
}
