//! `[[budget]]` and `[budgets]`.

use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use postern_policy::budget::{Action, Counted, Per};

use super::words::{DomainPattern, LoginPattern};
use crate::config::kinds::{
    Choice, Count, FilePath, Line, List, Network, OneOf, Sections, Size, Switch, Time,
};
use crate::config::read::{At, table};

table! {
    /// How much users, networks and sender domains may send, so that a stolen password does little harm. Only clients that have
    /// authenticated or may relay count, and programs on this machine; for others there is [[limit]].
    ///
    /// Of all budgets with the same `per`, the first that matches counts; one without a `bound` is an exception from later ones.
    /// A message is counted when it is accepted, for the authenticated user, whatever addresses it uses.
    BudgetTable {
        /// Its name.
        name: String = Line(64), required "\"users\"";
        /// What is counted separately: each `login`; each `network` (an IPv4 address, a `/64` of IPv6); each `sender_domain`, by
        /// the sender of the envelope.
        per: Per = OneOf::<Per>::new(), default "\"login\"";
        /// The user names that it applies to; `@example.org` for all that end in it.
        logins: Vec<At<String>> = List(LoginPattern), optional "[\"newsletter\"]" else "all";
        /// The sender domains that it applies to.
        domains: Vec<At<String>> = List(DomainPattern), optional "[\"example.org\"]" else "all";
        /// The client networks that it applies to.
        networks: Vec<At<IpNet>> = List(Network), optional "[\"192.0.2.0/24\"]" else "all";
        /// The limits, and what is done beyond them. Several may limit the same thing, each with its own `action`.
        bound: Vec<At<BoundTable>> = Sections::<BoundTable>::new(), default "[]";
    }
}

table! {
    /// The periods slide: any minute, hour or day, whenever it begins. At least one of `minute`, `hour`, `day` and `usual` is needed.
    BoundTable {
        /// What is counted: `sent_messages` and `sent_octets` that were accepted; `sent_recipients`, as named in them;
        /// `first_time_recipients`, those to whom it has not sent before, of the last 4,096; `refused_recipients`, named and unknown;
        /// `bounces`, recipients to whom this server could not deliver its mail; `returned_bounces`, those whose server has taken it
        /// and sent it back; `complaints`, those who call it unwanted (ARF); `failed_logins`; `networks` and `countries`, the number
        /// of different ones from which it sends.
        count: Counted = OneOf::<Counted>::new(), required "\"sent_recipients\"";
        /// The limit for a minute.
        minute: u64 = Count(0..=1_000_000_000_000), optional "30" else "any number";
        /// The limit for an hour.
        hour: u64 = Count(0..=1_000_000_000_000), optional "200" else "any number";
        /// The limit for a day.
        day: u64 = Count(0..=1_000_000_000_000), optional "1000" else "any number";
        /// How many times the usual amount there may be in an hour and in a day, without a number for everybody: the server learns what
        /// is usual for each account, from its days and their busiest hours. One day can raise it by an eighth at most. Of what is
        /// sent only. It acts after `usual_after` of [budgets]; with `warn`, administrators are told by mail.
        usual: u64 = Count(2..=1_000), optional "5" else "what is usual does not matter";
        /// With `usual`: so many are always allowed.
        usual_at_least: u64 = Count(1..=1_000_000_000_000), optional "50" else "50, and 50 MiB of `sent_octets`";
        /// What is done beyond: `warn`: a warning in the log. `delay`: mail is accepted more slowly, see [budgets]. `refuse`: it
        /// is refused with `450 4.7.1` and the time after which it makes sense to try again. `hold`: it is accepted and held, and
        /// so is all that the account sends from then on, until `postern account release`; administrators and the user are
        /// notified once.
        action: Action = OneOf::<Action>::new(), required "\"hold\"";
    }
}

table! {
    /// What is done beyond a [[budget]].
    BudgetsTable {
        /// Whether what users send is counted even if no budget applies to them, for `postern account show`.
        learn: bool = Switch, default "false";
        /// How long an account is only watched before `usual` of a [[budget.bound]] acts; at least three days on which it has sent.
        usual_after: Duration = Time("3d", "60d"), default "\"7d\"";
        /// With the action `delay`: the time between two messages of the same account, over any number of connections.
        delay: Duration = Time("1s", "1h"), default "\"10s\"";
        /// With the action `delay`: the longest wait of a message, at `MAIL` or, if only its recipients or its size are too much,
        /// before its `250`. Those that would wait longer are temporarily refused.
        delay_most: Duration = Time("1s", "4m"), default "\"1m\"";
        /// Messages accepted from an account on hold; further ones are told `450 4.2.1`. 0 sets no limit.
        held_messages: u64 = Count(0..=1_000_000), default "1000";
        /// Octets accepted from an account on hold, likewise. 0 sets no limit.
        held_size: u64 = Size("0", "1 TiB"), default "\"1 GiB\"";
        /// Who is notified by mail when a budget puts an account on hold. A name without a domain is in the first domain of `local_domains`, or
        /// in `hostname`.
        notify: Vec<At<String>> = List(Line(320)), default "[\"postmaster\"]";
        /// Whether the user is also notified, at the first address of the account.
        notify_user: bool = Switch, default "true";
        /// A file with lines `network,country`, such as `192.0.2.0/24,DE`: in which country a client is. Needed to count `countries`;
        /// clients in no network of the file count for no country. Read again at every reload.
        countries: PathBuf = FilePath, optional "\"countries.csv\"" else "countries are not known";
    }
}

impl Choice for Per {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("login", Self::Login),
        ("network", Self::Network),
        ("sender_domain", Self::SenderDomain),
    ];
}

impl Choice for Counted {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("sent_messages", Self::SentMessages),
        ("sent_recipients", Self::SentRecipients),
        ("first_time_recipients", Self::FirstTimeRecipients),
        ("refused_recipients", Self::RefusedRecipients),
        ("bounces", Self::Bounces),
        ("returned_bounces", Self::ReturnedBounces),
        ("complaints", Self::Complaints),
        ("failed_logins", Self::FailedLogins),
        ("networks", Self::Networks),
        ("countries", Self::Countries),
        ("sent_octets", Self::SentOctets),
    ];
}

impl Choice for Action {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("warn", Self::Warn),
        ("delay", Self::Delay),
        ("refuse", Self::Refuse),
        ("hold", Self::Hold),
    ];
}
