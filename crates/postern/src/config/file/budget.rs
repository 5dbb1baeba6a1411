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
    /// How much users, networks and sender domains may send, so that a stolen password does little harm. Only clients count that have
    /// authenticated or may relay, and programs of this machine; for others there is [[limit]].
    ///
    /// Of all budgets with the same `per`, the first that is about somebody counts; one without a `bound` is an exception from those
    /// behind it. A message is counted when it is accepted, under the name of whoever has proved a password, whatever addresses it uses.
    BudgetTable {
        /// Its name.
        name: String = Line(64), required "\"users\"";
        /// For whom is counted: each `login`; each `network` (an IPv4 address, a `/64` of IPv6); each `sender_domain`, by the sender of
        /// the envelope.
        per: Per = OneOf::<Per>::new(), default "\"login\"";
        /// The user names that it is about; `@example.org` for all that end in it.
        logins: Vec<At<String>> = List(LoginPattern), optional "[\"newsletter\"]" else "all";
        /// The domains of senders that it is about.
        domains: Vec<At<String>> = List(DomainPattern), optional "[\"example.org\"]" else "all";
        /// The networks of clients that it is about.
        networks: Vec<At<IpNet>> = List(Network), optional "[\"192.0.2.0/24\"]" else "all";
        /// What may be, and what is done beyond. Several may bound the same thing, each with its own `action`.
        bound: Vec<At<BoundTable>> = Sections::<BoundTable>::new(), default "[]";
    }
}

table! {
    /// The times slide: any minute, hour or day, wherever it begins. At least one of `minute`, `hour` and `day` is needed.
    BoundTable {
        /// What is counted: `sent_messages` and `sent_octets` that were accepted; `sent_recipients`, as named in them;
        /// `first_time_recipients`, those to whom it has not sent before, of the last 4,096; `refused_recipients`, named and unknown;
        /// `bounces`, recipients to whom its mail could not be delivered; `failed_logins`; `networks` and `countries`, different ones
        /// from which it sends.
        count: Counted = OneOf::<Counted>::new(), required "\"sent_recipients\"";
        /// How much there may be in a minute.
        minute: u64 = Count(0..=1_000_000_000_000), optional "30" else "any number";
        /// How much there may be in an hour.
        hour: u64 = Count(0..=1_000_000_000_000), optional "200" else "any number";
        /// How much there may be in a day.
        day: u64 = Count(0..=1_000_000_000_000), optional "1000" else "any number";
        /// What is done beyond: `warn`: the log says so. `delay`: mail is taken more slowly, see [budgets]. `refuse`: it is refused
        /// with `450 4.7.1` and the time after which it makes sense to try again. `hold`: it is accepted and held, and so is all that the
        /// account sends from then on, until `postern account release`; administrators and the user hear of it once.
        action: Action = OneOf::<Action>::new(), required "\"hold\"";
    }
}

table! {
    /// What is done beyond a [[budget]].
    BudgetsTable {
        /// Whether what users send is counted where no budget is about them, too, for `postern account show`.
        learn: bool = Switch, default "false";
        /// With the action `delay`: the time between two messages of the same account, over however many connections they come.
        delay: Duration = Time("1s", "1h"), default "\"10s\"";
        /// With the action `delay`: how long a message waits at most. Those that would wait longer are refused for now.
        delay_most: Duration = Time("1s", "4m"), default "\"1m\"";
        /// Messages that are accepted of an account on hold; further ones are told `450 4.2.1`. 0 sets no limit.
        held_messages: u64 = Count(0..=1_000_000), default "1000";
        /// Octets that are accepted of an account on hold, likewise. 0 sets no limit.
        held_size: u64 = Size("0", "1 TiB"), default "\"1 GiB\"";
        /// Who is told by mail that a budget has put an account on hold.
        notify: Vec<At<String>> = List(Line(320)), default "[\"postmaster\"]";
        /// Whether the user is told so, too, at the first address of the account.
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
