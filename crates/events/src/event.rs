//! The events.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use postern_mail::FailureKind;
use postern_policy::Rule;

use crate::key::Key;
use crate::tls::{TlsReached, TlsWanted};
use crate::value::{Value, Valued};

/// What an event is about. In `tracing` terms it is the target, after `postern::`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Area {
    /// Connections and listeners.
    Connect,
    /// TLS.
    Tls,
    /// Logins.
    Login,
    /// Refusals.
    Refuse,
    /// Accepted messages.
    Accept,
    /// Delivery attempts.
    Attempt,
    /// Outcomes for recipients.
    Outcome,
    /// The queue.
    Spool,
    /// Mail filters.
    Milter,
    /// Directories.
    Directory,
    /// DNS.
    Dns,
    /// Providers of tokens.
    Oauth,
    /// The configuration.
    Config,
    /// Actions of administrators.
    Control,
    /// The server itself.
    Run,
}

impl Area {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::Connect,
        Self::Tls,
        Self::Login,
        Self::Refuse,
        Self::Accept,
        Self::Attempt,
        Self::Outcome,
        Self::Spool,
        Self::Milter,
        Self::Directory,
        Self::Dns,
        Self::Oauth,
        Self::Config,
        Self::Control,
        Self::Run,
    ];

    /// The target in the log.
    #[must_use]
    pub const fn target(self) -> &'static str {
        match self {
            Self::Connect => "postern::connect",
            Self::Tls => "postern::tls",
            Self::Login => "postern::login",
            Self::Refuse => "postern::refuse",
            Self::Accept => "postern::accept",
            Self::Attempt => "postern::attempt",
            Self::Outcome => "postern::outcome",
            Self::Spool => "postern::spool",
            Self::Milter => "postern::milter",
            Self::Directory => "postern::directory",
            Self::Dns => "postern::dns",
            Self::Oauth => "postern::oauth",
            Self::Config => "postern::config",
            Self::Control => "postern::control",
            Self::Run => "postern::run",
        }
    }
}

/// How much an event matters.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Level {
    /// Somebody must act.
    Error,
    /// Somebody should look into it.
    Warning,
    /// Normal operation.
    Info,
    /// For a closer look.
    Debug,
}

/// Who causes an event, which decides whether it is dropped when there is no room.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lane {
    /// Logins, accepted mail and its outcome, actions of administrators, the server itself. Never dropped.
    Matters,
    /// What strangers can cause at any rate: refusals, handshakes. Limited by a budget.
    Strangers,
}

/// An event's entry in the reference document.
#[derive(Clone, Copy, Debug)]
pub struct EventInfo {
    /// Its words, which begin a log line.
    pub words: &'static [&'static str],
    /// What it is about.
    pub area: Area,
    /// How much it matters.
    pub level: Level,
    /// Who causes it.
    pub lane: Lane,
    /// What it means, in one line.
    pub meaning: &'static str,
    /// Its fields.
    pub keys: &'static [Key],
}

/// One of an event's words, if it has several.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Word(pub &'static str);

macro_rules! events {
    (@word $event:ident) => { Self::INFO.words[0] };
    (@word $event:ident $told:ident) => { $event.$told.0 };
    ($(
        $meaning:literal
        $name:ident $area:ident $level:ident $lane:ident $($word:literal)|+ $(($told:ident))?
        { $($field:ident $key:ident $kind:ty,)* }
    )*) => {
        $(
            #[doc = concat!($meaning, ".")]
            #[derive(Clone, Copy)]
            pub struct $name<'a> {
                $(
                    #[doc = concat!("See [`Key::", stringify!($key), "`].")]
                    pub $field: $kind,
                )*
                $(
                    #[doc = "Which of its words."]
                    pub $told: Word,
                )?
            }

            impl<'a> From<$name<'a>> for Event<'a> {
                fn from(event: $name<'a>) -> Self {
                    Self::$name(event)
                }
            }

            impl $name<'_> {
                const INFO: EventInfo = EventInfo {
                    words: &[$($word),+],
                    area: Area::$area,
                    level: Level::$level,
                    lane: Lane::$lane,
                    meaning: $meaning,
                    keys: &[$(Key::$key),*],
                };

                fn word(&self) -> &'static str {
                    events!(@word self $($told)?)
                }

                fn fields(&self, visit: &mut dyn FnMut(Key, Value<'_>)) {
                    $(visit(Key::$key, self.$field.value());)*
                }
            }
        )*

        /// Something that happened.
        #[derive(Clone, Copy)]
        #[non_exhaustive]
        pub enum Event<'a> {
            $(
                #[doc = concat!($meaning, ".")]
                $name($name<'a>),
            )*
            /// An event without a type of its own: news for an administrator that nothing else depends on.
            Notice(Notice<'a>),
        }

        /// All events with a type of their own, in the order of the document.
        pub const EVENTS: &[EventInfo] = &[$($name::INFO),*];

        impl Event<'_> {
            /// The words that begin a log line.
            #[must_use]
            pub fn word(&self) -> &str {
                match self {
                    $(Self::$name(event) => event.word(),)*
                    Self::Notice(notice) => notice.word,
                }
            }

            /// What it is about.
            #[must_use]
            pub const fn area(&self) -> Area {
                match self {
                    $(Self::$name(_) => $name::INFO.area,)*
                    Self::Notice(notice) => notice.area,
                }
            }

            /// How much it matters.
            #[must_use]
            pub const fn level(&self) -> Level {
                match self {
                    $(Self::$name(_) => $name::INFO.level,)*
                    Self::Notice(notice) => notice.level,
                }
            }

            /// Who causes it.
            #[must_use]
            pub const fn lane(&self) -> Lane {
                match self {
                    $(Self::$name(_) => $name::INFO.lane,)*
                    Self::Notice(_) => Lane::Matters,
                }
            }

            /// Passes every field to `visit`, in order, including those absent this time.
            pub fn fields(&self, visit: &mut dyn FnMut(Key, Value<'_>)) {
                match self {
                    $(Self::$name(event) => event.fields(visit),)*
                    Self::Notice(notice) => notice.fields.iter().for_each(|(key, value)| visit(*key, *value)),
                }
            }
        }
    };
}

/// Something that can be displayed.
type Shown<'a> = &'a dyn fmt::Display;

events! {
    "a client came"
    Connected Connect Debug Strangers "connect" {
        session Session &'a str, listener Listener &'a str, peer Peer IpAddr,
    }
    "a client went"
    Disconnected Connect Debug Strangers "disconnect" {
        session Session &'a str, peer Peer IpAddr, reason Reason Shown<'a>, seconds Seconds u64,
    }
    "`HELO`, `EHLO`: what the client calls itself"
    Greeted Connect Debug Strangers "helo" {
        session Session &'a str, peer Peer IpAddr, helo Helo &'a str,
    }
    "a handshake succeeded"
    TlsStarted Tls Info Strangers "tls" {
        session Session &'a str, peer Peer IpAddr, version Version &'a str, cipher Cipher &'a str, bits Bits u32,
        verify Verify &'a str, certificate Certificate Option<&'a str>, sni Sni Option<&'a str>, resumed Resumed bool,
    }
    "a handshake failed"
    TlsFailed Tls Info Strangers "refused" {
        session Session &'a str, peer Peer IpAddr, rule Rule Rule, reason Reason Shown<'a>, cause Cause Option<Shown<'a>>,
    }
    "what came before a handshake was dropped"
    TlsInjected Tls Warning Strangers "dropped what came before the handshake" {
        session Session &'a str, peer Peer IpAddr, octets Octets u64, rule Rule Rule,
    }
    "a login succeeded"
    LoggedIn Login Info Matters "login" {
        session Session &'a str, listener Listener &'a str, peer Peer Option<IpAddr>, login Login &'a str,
        acts_as ActsAs Option<&'a str>, rule Rule Option<Rule>, mechanism Mechanism &'a str,
        directory Directory Option<&'a str>, layer_bits LayerBits Option<u32>, tls Tls Option<&'a str>,
    }
    "a login was refused"
    LoginRefused Login Info Strangers "refused" {
        session Session &'a str, listener Listener &'a str, peer Peer Option<IpAddr>, login Login Option<&'a str>,
        mechanism Mechanism Option<&'a str>, neighbour Neighbour Option<&'a str>, rule Rule Rule, reply Reply Shown<'a>,
        reason Reason Shown<'a>,
    }
    "a client that guesses passwords is locked out or slowed"
    LockedOut Login Warning Matters
    "locked out" | "network locked out, except for logins that have succeeded from there"
    | "guessed at from many networks: slow from those that it has not logged in from" (word) {
        session Session &'a str, peer Peer Option<IpAddr>, login Login Option<&'a str>, failures Failures u32,
        seconds Seconds Option<u64>, rule Rule Rule,
    }
    "`AUTH=` names somebody whom the client may not name"
    SubmitterForgotten Login Info Strangers "AUTH= taken for <>" {
        session Session &'a str, login Login Option<&'a str>, rule Rule Rule, reason Reason Shown<'a>,
        submitter Submitter &'a str,
    }
    "the server said no"
    Refused Refuse Info Strangers "refused" {
        session Session Option<&'a str>, listener Listener &'a str, peer Peer IpAddr, login Login Option<&'a str>,
        acts_as ActsAs Option<&'a str>, helo Helo &'a str, from From Option<Shown<'a>>, to To Option<Shown<'a>>,
        recipients Recipients Option<usize>, rule Rule Rule, milter Milter Option<&'a str>, reply Reply Option<Shown<'a>>,
        reason Reason Shown<'a>,
    }
    "a network has tried too many names, and waits for each further answer"
    AnswersDelayed Refuse Info Strangers "answers delayed" {
        session Session &'a str, rule Rule Rule, peer Peer IpAddr, network Network Shown<'a>, reason Reason Shown<'a>,
    }
    "so many lines `refused` and `tls` of one session or network were not written"
    Suppressed Refuse Info Strangers "suppressed" {
        session Session &'a str, listener Listener &'a str, peer Peer IpAddr, login Login Option<&'a str>,
        suppressed Suppressed u64, rules Rules Shown<'a>,
    }
    "`MAIL`: the sender is accepted, by the filters too; `sender_rule` says by which rule a login may use it"
    SenderTaken Accept Debug Strangers "sender" {
        session Session &'a str, from From Shown<'a>, size Size Option<u64>, sender_rule SenderRule Option<Rule>,
        reason Reason Option<Shown<'a>>,
    }
    "`RCPT`: the recipient is accepted, by the filters too"
    RecipientTaken Accept Debug Strangers "recipient" {
        session Session &'a str, from From Option<Shown<'a>>, to To Shown<'a>, rule Rule Rule, reason Reason Shown<'a>,
    }
    "`250`: the message is on disk"
    Accepted Accept Info Matters "accepted" {
        session Session &'a str, queue Queue Shown<'a>, listener Listener &'a str, peer Peer IpAddr,
        login Login Option<&'a str>, acts_as ActsAs Option<&'a str>, rule Rule Rule, reason Reason Option<Shown<'a>>,
        sender_rule SenderRule Option<Rule>, from From Shown<'a>, recipients Recipients usize, size Size u64,
        message_id MessageId Option<&'a str>, milter Milter Option<&'a str>, took TookMs Option<Duration>,
    }
    "a message that was accepted is held, and by which rule or filter; `postern queue release` lets it go"
    HeldOnArrival Accept Info Matters "held" {
        queue Queue Shown<'a>, session Session Option<&'a str>, rule Rule Option<Rule>, milter Milter Option<&'a str>,
        reason Reason Shown<'a>,
    }
    "a stranger's message was judged: what SPF, DKIM, DMARC and ARC say of it"
    Judged Accept Info Strangers "judged" {
        session Session &'a str, queue Queue Shown<'a>, listener Listener &'a str, peer Peer IpAddr, from From Shown<'a>,
        author Author Option<&'a str>, spf Spf Option<&'a str>, dkim Dkim Option<&'a str>, dmarc Dmarc Option<&'a str>,
        arc Arc Option<&'a str>, rule Rule Option<Rule>, action Action &'a str, reason Reason Option<Shown<'a>>,
    }
    "a filter has changed a message that was taken, or had it held, or failed and was passed by"
    Filtered Milter Info Matters "filtered" {
        session Session &'a str, queue Queue Shown<'a>, milter Milter &'a str, rule Rule Rule, reason Reason Shown<'a>,
    }
    "a filter or an access rule has had a message thrown away; its client was told that it was accepted"
    Discarded Milter Info Matters "discarded" {
        session Session &'a str, queue Queue Shown<'a>, listener Listener &'a str, peer Peer IpAddr,
        login Login Option<&'a str>, milter Milter Option<&'a str>, rule Rule Rule, reason Reason Shown<'a>, from From Shown<'a>,
        to To Option<Shown<'a>>, recipients Recipients usize, message_id MessageId Option<&'a str>,
    }
    "a filter cannot be asked, or has failed; logged once, until it answers again"
    FilterDown Milter Warning Matters "filter fails" {
        milter Milter &'a str, address Address Shown<'a>, reason Reason Shown<'a>,
    }
    "a filter answers again"
    FilterUp Milter Info Matters "filter answers again" {
        milter Milter &'a str, address Address Shown<'a>, failures Failures u64, seconds Seconds u64,
    }
    "a filter was asked, and has answered or failed; `stage` says at which step"
    FilterAsked Milter Debug Matters "filter asked" {
        milter Milter &'a str, stage Stage &'a str, took TookMs Duration, failed Failed bool,
    }
    "a message was signed with DKIM keys of a domain"
    Signed Accept Info Matters "signed" {
        queue Queue Shown<'a>, session Session Option<&'a str>, rule Rule Rule, domain Domain &'a str,
        signatures Signatures Shown<'a>,
    }
    "a message from a permitted sender was not signed, although there is a key for its domain or its author is in doubt"
    NotSigned Accept Info Matters "not signed" {
        queue Queue Shown<'a>, session Session Option<&'a str>, rule Rule Rule, reason Reason Shown<'a>,
    }
    "a stranger's message was taken with something to note: it is held, or marked"
    Screened Accept Info Strangers "screened" {
        session Session &'a str, queue Queue Shown<'a>, peer Peer IpAddr, helo Helo &'a str, from From Shown<'a>, rule Rule Rule,
        reason Reason Shown<'a>,
    }
    "an access rule acts on a message or recipient that is accepted: it is held, marked, redirected, discarded, noted"
    Ruled Accept Info Matters "ruled" {
        session Session &'a str, queue Queue Option<Shown<'a>>, listener Listener &'a str, peer Peer IpAddr, rule Rule Rule,
        reason Reason Shown<'a>, from From Option<Shown<'a>>, to To Option<Shown<'a>>,
    }
    "something about a message has changed on its way in or out, or was noted: an address rewritten, a field or line checked, a copy added"
    Reworked Accept Info Matters "reworked" {
        queue Queue Shown<'a>, session Session Option<&'a str>, rule Rule Rule, reason Reason Shown<'a>,
    }
    "a policy service cannot be asked, or has failed; logged once, until it answers again"
    ServiceDown Refuse Warning Matters "policy service fails" {
        service Service &'a str, address Address Shown<'a>, reason Reason Shown<'a>,
    }
    "a policy service answers again"
    ServiceUp Refuse Info Matters "policy service answers again" {
        service Service &'a str, address Address Shown<'a>, failures Failures u64, seconds Seconds u64,
    }
    "a next hop was tried and did not take all"
    Attempted Attempt Info Matters "attempt" {
        queue Queue Shown<'a>, session Session Option<&'a str>, destination Destination Option<Shown<'a>>,
        relay Relay Shown<'a>, proof Proof Option<&'a str>, tls Tls Option<Shown<'a>>, recipients Recipients usize, taken Taken Option<usize>,
        status Status Option<Shown<'a>>, failure Failure Option<FailureKind>, stage Stage Option<&'a str>,
        reply Reply Option<Shown<'a>>, error Error Option<&'a str>,
    }
    "a connection to a next hop was made and is ready for mail"
    HopReached Attempt Debug Matters "next hop ready" {
        relay Relay Shown<'a>, tls_wanted TlsWanted TlsWanted, tls_reached TlsReached TlsReached, took TookMs Duration,
    }
    "a next hop has accepted a message, for so many of its recipients"
    HandedOver Attempt Debug Matters "handed over" {
        queue Queue Shown<'a>, session Session Option<&'a str>, relay Relay Shown<'a>, recipients Recipients usize,
        taken Taken usize, took TookMs Duration,
    }
    "a message was converted for a next hop that takes 7 bits only"
    Converted Attempt Info Matters "converted" {
        queue Queue Shown<'a>, session Session Option<&'a str>, relay Relay Shown<'a>, broken Broken usize,
    }
    "a recipient is done, will be tried again, or has failed for good"
    Outcome Outcome Info Matters "delivered" | "deferred" | "bounced" | "expired" (word) {
        queue Queue Shown<'a>, session Session Option<&'a str>, login Login Option<&'a str>, from From Shown<'a>, to To Shown<'a>,
        original Original Option<&'a str>, relay Relay Shown<'a>, status Status Option<Shown<'a>>,
        failure Failure Option<FailureKind>, stage Stage Option<&'a str>,
        reply Reply Option<Shown<'a>>, reason Reason Option<Shown<'a>>, delay_ms DelayMs u64,
        attempts Attempts Option<u32>, until Until Option<Shown<'a>>, report Report Option<Shown<'a>>,
    }
    "a report was made, to the sender of a message or to the postmaster"
    Reported Outcome Info Matters "report" {
        queue Queue Shown<'a>, about About Shown<'a>, to To Shown<'a>,
    }
    "a report came back about mail of a login: another server has taken it and could not deliver it, or its recipient calls it unwanted"
    ReportReturned Outcome Info Matters "bounce returned" | "complaint" (word) {
        queue Queue Shown<'a>, about About Shown<'a>, login Login &'a str, to To Shown<'a>, status Status Option<Shown<'a>>,
    }
    "the queue was synced, with so many new messages, or could not be"
    Committed Spool Debug Matters "commit" {
        messages Messages usize, took TookMs Duration, error Error Option<Shown<'a>>,
    }
    "an administrator's action on one message, or on all that were due"
    Administered Spool Info Matters "held" | "released" | "retried" | "flushed" | "removed" | "recovered" (word) {
        queue Queue Option<Shown<'a>>, session Session Option<&'a str>, by By &'a str, reason Reason Option<&'a str>,
        changed Changed Option<u64>,
    }
    "an account was put on hold, by a budget or an administrator, or let go; `changed` is the number of queued messages"
    AccountActed Control Warning Matters "account on hold" | "account released" (word) {
        login Login &'a str, by By Option<&'a str>, reason Reason Option<&'a str>, changed Changed Option<u64>,
    }
    "an administrator's action on sessions"
    SessionsEnded Control Info Matters "sessions ended" | "sessions ended whose login is no longer valid" (word) {
        by By &'a str, login Login Option<&'a str>, network Network Option<Shown<'a>>, listener Listener Option<&'a str>,
        ended Ended usize,
    }
    "an administrator has ended lockouts"
    LockoutsLifted Control Info Matters "lockouts lifted" {
        by By &'a str, login Login Option<&'a str>, network Network Option<Shown<'a>>, lifted Lifted usize,
    }
    "a directory was asked, and has answered or failed"
    DirectoryAsked Directory Debug Matters "directory asked" {
        directory Directory &'a str, took TookMs Duration, failed Failed bool,
    }
    "a directory cannot be asked"
    SourceDown Directory Warning Matters "directory fails" {
        directory Directory &'a str, reason Reason &'a str,
    }
    "a directory can be asked again"
    SourceUp Directory Info Matters "directory answers again" {
        directory Directory &'a str,
    }
    "a mistake or a warning of the configuration that was read"
    ConfigurationProblem Config Warning Matters "configuration" {
        problem Problem Shown<'a>,
    }
    "the configuration was read again and is in force"
    Reloaded Run Info Matters "reloaded" {
        file File Shown<'a>, listeners Listeners usize,
    }
    "the server serves"
    Started Run Info Matters "started" {
        version Version &'a str, hostname Hostname &'a str, user User &'a str, listeners Listeners usize, queued Queued u64,
    }
    "the server begins to stop, or has stopped"
    Stopping Run Info Matters "stopping" | "stopped" (word) {
        signal Signal Option<&'a str>,
    }
}

const fn news(
    area: Area,
    level: Level,
    words: &'static [&'static str],
    meaning: &'static str,
    keys: &'static [Key],
) -> EventInfo {
    EventInfo {
        words,
        area,
        level,
        lane: Lane::Matters,
        meaning,
        keys,
    }
}

/// News for administrators that has no type of its own.
#[rustfmt::skip]
pub const NEWS: &[EventInfo] = &[
    news(Area::Run, Level::Info, &["confined"], "which rights the server has given up", &[Key::User, Key::NoNewPrivileges, Key::NoDumps, Key::Files, Key::Syscalls]),
    news(Area::Connect, Level::Info, &["listening", "listener removed"], "a listener was added or removed", &[Key::Listener, Key::Address, Key::Error]),
    news(Area::Run, Level::Warning, &["sessions are scarce", "sessions enough again"], "strangers have most of the sessions that they can have", &[Key::Pool, Key::Sessions, Key::Most, Key::Networks]),
    news(Area::Run, Level::Error, &["not reloaded: the configuration stays as it was"], "the configuration was read again, and a mistake found; the lines before it say which", &[]),
    news(Area::Spool, Level::Info, &["queue open", "store open again", "room on the disk again"], "mail is taken", &[Key::Messages, Key::Recipients, Key::Requeued]),
    news(Area::Spool, Level::Error, &["disk full", "store failed"], "no mail is taken: clients are told `452` or `451`", &[Key::Error]),
    news(Area::Accept, Level::Info, &["sealed", "not sealed"], "a message that an alias forwards to the outside was sealed with ARC, or why not", &[Key::Queue, Key::Domain, Key::Reason]),
    news(Area::Outcome, Level::Info, &["report of DMARC", "report of DMARC not sent"], "a daily DMARC report was queued for a domain, or why not", &[Key::Queue, Key::To, Key::Domain, Key::Reason]),
    news(Area::Attempt, Level::Warning, &["connections are short, hosts wait in line", "connections are enough again"], "next hops have waited for a connection for 5 s; hosts that took no mail recently get less time", &[Key::Class, Key::Connections, Key::Silent, Key::Waiting]),
    news(Area::Login, Level::Error, &["login fails, its mail waits"], "a smarthost does not take Postern's own login", &[Key::Login, Key::Destination, Key::Relay, Key::Status, Key::Reply]),
    news(Area::Run, Level::Warning, &["history not written: what happens now will be missing in it; mail is not affected", "history written again"], "the history cannot be written, told once; or it can be again", &[Key::File, Key::Error]),
    news(Area::Run, Level::Warning, &["history damaged: a file was put aside, and rebuilt from what could be read", "history damaged, and nothing can be read of a file"], "a file of the history was damaged", &[Key::File, Key::Aside, Key::Sessions, Key::Error]),
    news(Area::Run, Level::Warning, &["webhook fails", "webhook works again"], "the receiver of a webhook does not accept events, told once, or accepts them again; they are stored on disk meanwhile", &[Key::Webhook, Key::Reason, Key::Failures, Key::Seconds]),
    news(Area::Run, Level::Warning, &["webhook events dropped"], "events were dropped because the buffer of a webhook is full; `left_out` says how many", &[Key::Webhook, Key::LeftOut]),
    news(Area::Oauth, Level::Warning, &["provider fails", "provider answers again"], "a provider of tokens cannot be asked, or can be again", &[Key::Provider, Key::Reason]),
    news(Area::Dns, Level::Warning, &["dns list fails", "dns list answers again"], "a DNS list does not answer, or answers what no list would, and counts for nothing; or it answers again", &[Key::List, Key::Reason]),
    news(Area::Oauth, Level::Info, &["provider keys"], "a provider's keys were fetched, or have changed", &[Key::Provider, Key::Keys]),
    news(Area::Control, Level::Warning, &["a code of a second factor was not accepted"], "somebody who has the password of a login gave a wrong code at the page", &[Key::Login, Key::Peer, Key::Reason]),
    news(Area::Login, Level::Error, &["token not fetched", "token fetched"], "a token for a smarthost could not be fetched, or was", &[Key::Login, Key::ExpiresInS]),
];

/// News for an administrator that has no type of its own: the state of the disk, a listener that broke.
#[derive(Clone, Copy)]
pub struct Notice<'a> {
    /// What it is about.
    pub area: Area,
    /// How much it matters.
    pub level: Level,
    /// The words.
    pub word: &'a str,
    /// Its fields.
    pub fields: &'a [(Key, Value<'a>)],
}

impl<'a> From<Notice<'a>> for Event<'a> {
    fn from(notice: Notice<'a>) -> Self {
        Self::Notice(notice)
    }
}

impl fmt::Debug for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())?;
        let mut shown = Ok(());
        self.fields(&mut |key, value| {
            if !matches!(value, Value::Absent) && shown.is_ok() {
                shown = write!(f, " {key}={value:?}");
            }
        });
        shown
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::{Kind, Observer, Observers};

    #[test]
    fn names_of_fields_are_told_apart_and_each_is_used_once_in_an_event() {
        let names: HashSet<&str> = Key::ALL.iter().map(|key| key.name()).collect();
        assert_eq!(names.len(), Key::ALL.len());
        for (place, area) in Area::ALL.iter().enumerate() {
            assert_eq!(*area as usize, place, "all areas are listed, in their order");
        }
        assert_eq!(Area::ALL.last(), Some(&Area::Run));
        for key in Key::ALL {
            assert_eq!(Key::from_name(key.name()), Some(*key));
            assert!(!key.meaning().is_empty() && !key.meaning().contains('|'), "{key}");
        }
        for info in EVENTS {
            let keys: HashSet<&Key> = info.keys.iter().collect();
            assert_eq!(keys.len(), info.keys.len(), "{:?}", info.words);
        }
    }

    #[test]
    fn fields_hold_what_the_dictionary_says() {
        let event = Event::from(Refused {
            session: Some("1-2"),
            listener: "mx",
            peer: "192.0.2.1".parse().unwrap(),
            login: None,
            acts_as: None,
            helo: "client.example",
            from: Some(&"<a@b.example>"),
            to: None,
            recipients: Some(3),
            rule: Rule::RelayDenied,
            milter: None,
            reply: None,
            reason: &"relaying denied",
        });
        let mut seen = Vec::new();
        event.fields(&mut |key, value| {
            let fits = match value {
                Value::Absent => true,
                Value::Text(_) | Value::Shown(_) | Value::Address(_) | Value::Rule(_) => {
                    key.kind() == Kind::Text
                }
                Value::Number(_) => key.kind() == Kind::Number,
                Value::Flag(_) => key.kind() == Kind::Flag,
            };
            assert!(fits, "{key}: {value:?}");
            seen.push(key);
        });
        let info = EVENTS.iter().find(|info| info.area == Area::Refuse).unwrap();
        assert_eq!(seen, info.keys);
        assert_eq!(
            format!("{event:?}"),
            "refused session=\"1-2\" listener=\"mx\" peer=192.0.2.1 helo=\"client.example\" from=<a@b.example> \
             recipients=3 rule=relay.denied reason=relaying denied"
        );
    }

    #[test]
    fn all_observers_are_told_in_order() {
        struct Notes(u32, Arc<Mutex<Vec<String>>>);
        impl Observer for Notes {
            fn observe(&self, event: &Event<'_>) {
                self.1.lock().unwrap().push(format!("{} {event:?}", self.0));
            }
        }
        let notes = Arc::default();
        let observers = Observers::new(vec![
            Box::new(Notes(1, Arc::clone(&notes))),
            Box::new(Notes(2, Arc::clone(&notes))),
        ]);
        observers.tell(Stopping {
            signal: Some("SIGTERM"),
            word: Word("stopping"),
        });
        Observers::nobody().tell(Stopping {
            signal: None,
            word: Word("stopped"),
        });
        let told = notes.lock().unwrap();
        assert_eq!(
            *told,
            ["1 stopping signal=\"SIGTERM\"", "2 stopping signal=\"SIGTERM\""]
        );
    }
}
