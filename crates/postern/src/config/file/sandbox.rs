//! `[mail_sandbox]`.

use std::time::Duration;

use super::words::LoginPattern;
use crate::config::kinds::{Count, List, Size, Time};
use crate::config::read::{At, table};

table! {
    /// Mail of test accounts, for developers: it is accepted with all checks and changes of other mail, answered `250`, and kept in the queue as
    /// `sandboxed`. It is never delivered: neither `postern queue release`, `retry` and `flush` nor a restart change that. Nobody
    /// gets a report about it. `sandbox` of a [[listener]] does the same for all that comes there.
    MailSandboxTable {
        /// The user names whose mail is kept; `@example.org` for all that end in it. Users of this machine that hand in mail with `sendmail`
        /// are named by the address that they have here.
        logins: Vec<At<String>> = List(LoginPattern), default "[]";
        /// How long a message is kept. Then it is removed.
        keep: Duration = Time("1m", "365d"), default "\"7d\"";
        /// Messages that are kept; further ones are told `452 4.3.1`. 0 sets no limit. Mail that is accepted at the same moment may exceed it.
        messages: u64 = Count(0..=10_000_000), default "10000";
        /// Octets that are kept, likewise.
        size: u64 = Size("0", "1 TiB"), default "\"1 GiB\"";
    }
}
