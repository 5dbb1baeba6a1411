//! The contract: each family of numbers with its name, type, labels and meaning.

use std::fmt;

/// The type of a metric.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// It only grows, from the start of the server on.
    Counter,
    /// A current value.
    Gauge,
    /// Durations by bucket, with their sum and count.
    Histogram,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        })
    }
}

/// A label: its name, and where its values come from, in one line of Markdown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// Its values.
    pub values: &'static str,
}

/// A metric family.
#[derive(Debug)]
pub struct Family {
    /// Its name as queried: a counter's ends in `_total`; a histogram's series add `_bucket`, `_sum` and `_count`.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Its labels, in their order.
    pub labels: &'static [Label],
    /// What it counts, in one line.
    pub meaning: &'static str,
}

const fn label(name: &'static str, values: &'static str) -> Label {
    Label { name, values }
}

const LISTENER: Label = label(
    "listener",
    "the `name` of a `[[listener]]` or `[[auth_socket]]`, `local` for programs of this machine; `other` for what has no name",
);
const RULE: Label = label("rule", "a rule, see [the log](log.md)");
const MECHANISM: Label = label(
    "mechanism",
    "the SASL mechanism, as `PLAIN`; `none` where none was begun",
);
const DIRECTORY: Label = label(
    "directory",
    "the directory's name, as `postern directories` shows it",
);
const MILTER: Label = label("milter", "the `name` of a `[[milter]]`");
const CAUSE: Label = label(
    "cause",
    "the kind of failure, see [the log](log.md); `none` for none",
);
const WEBHOOK: Label = label("webhook", "the `name` of a `[[webhook]]`");
const RESULT: Label = label("result", "`answered` or `failed`");

macro_rules! families {
    ($($constant:ident $name:literal $kind:ident [$($label:expr),*] $meaning:literal)*) => {
        $(
            pub(crate) static $constant: Family = Family {
                name: $name,
                kind: Kind::$kind,
                labels: &[$($label),*],
                meaning: $meaning,
            };
        )*

        /// All families, in the order of the document.
        pub static FAMILIES: &[&Family] = &[$(&$constant),*];
    };
}

families! {
    CONNECTIONS "postern_connections_total" Counter [LISTENER]
        "clients that connected and were let in"
    SESSIONS "postern_sessions" Gauge []
        "sessions that are open"
    LOGINS "postern_logins_total" Counter [
        MECHANISM,
        label("directory", "the directory that has granted the login; `none` for one that was not granted, or by a certificate or token alone"),
        label("outcome", "`accepted`, `refused`, `locked-out`, or `unavailable`: a directory could not be asked")
    ]
        "logins that clients tried"
    LOCKOUTS "postern_lockouts_total" Counter []
        "how often a login or network was locked out or slowed because of failed logins"
    RETURNED "postern_reports_returned_total" Counter [label("kind", "`bounce` or `complaint`")]
        "reports about mail of a login that came back: bounces of other servers, and complaints of recipients"
    REFUSALS "postern_refusals_total" Counter [LISTENER, RULE]
        "refusals: of clients, senders, recipients, messages, logins and handshakes, as far as the log lists them one by one"
    SUPPRESSED "postern_refusals_suppressed_total" Counter [LISTENER]
        "further refusals of sessions that had many; the log has them as `suppressed`"
    ACCEPTED "postern_messages_accepted_total" Counter [LISTENER, label("rule", "the rule by which the first recipient was accepted, see [the log](log.md)")]
        "messages that were accepted and are on disk"
    RECIPIENTS "postern_recipients_accepted_total" Counter [LISTENER]
        "recipients of accepted messages"
    OCTETS "postern_accepted_bytes_total" Counter [LISTENER]
        "octets of accepted messages"
    DISCARDED "postern_messages_discarded_total" Counter [LISTENER]
        "messages that a filter or a rule had thrown away"
    ACCEPT_TIME "postern_accept_duration_seconds" Histogram [LISTENER]
        "time from the sender (`MAIL`) to the `250` of an accepted message; the client's own time is in it"
    TLS "postern_tls_handshakes_total" Counter [label("version", "`TLSv1.2`, `TLSv1.3`, or `other`")]
        "TLS handshakes with clients that succeeded"
    QUEUE "postern_queue_messages" Gauge [label("state", "`waiting`, `held`, `damaged`, or `sandboxed`")]
        "messages in the queue"
    QUEUE_AGE "postern_queue_messages_older" Gauge [label("than", "`1h`, `4h`, `1d` or `3d`")]
        "messages in the queue that were accepted longer ago than that"
    QUEUE_RECIPIENTS "postern_queue_recipients" Gauge []
        "recipients in the queue that wait for their outcome"
    QUEUE_OCTETS "postern_queue_size_bytes" Gauge []
        "octets of the messages in the queue"
    QUEUE_OLDEST "postern_queue_oldest_age_seconds" Gauge []
        "age of the oldest message in the queue; 0 when it is empty"
    QUEUE_READY "postern_queue_ready" Gauge []
        "1 if mail can be taken, 0 if the disk is full or the queue cannot be written"
    ACCOUNTS_ON_HOLD "postern_accounts_on_hold" Gauge []
        "accounts whose mail is accepted and waits for an administrator, see `postern account list`"
    DISK_FREE "postern_queue_disk_free_bytes" Gauge []
        "octets that the server may still write on the queue's disk"
    SYNC_TIME "postern_sync_duration_seconds" Histogram [label("result", "`done` or `failed`")]
        "time of each sync of the queue; several messages share one"
    ATTEMPTS "postern_attempts_total" Counter [label("outcome", "`taken`: for all recipients; `partly`; `refused`: for none, or the dialogue broke; `unreached`: no connection was made"), CAUSE]
        "messages handed to a next hop, and tries to reach one"
    OUTCOMES "postern_outcomes_total" Counter [label("outcome", "`delivered`, `deferred`, `bounced`, or `expired`"), CAUSE]
        "outcomes of recipients, with each deferral"
    DELAY_TIME "postern_delivery_delay_seconds" Histogram []
        "time from `250` to the delivery, a value for each recipient"
    HANDOVER_TIME "postern_handover_duration_seconds" Histogram []
        "time to hand a message to a next hop, `MAIL` to the answer"
    HOP_TIME "postern_next_hop_connect_duration_seconds" Histogram []
        "time to connect to a next hop: address, greeting, TLS and login"
    HOP_TLS "postern_next_hop_connections_total" Counter [
        label("wanted", "how much TLS was wanted: `none`, `opportunistic`, `required`, `verified`, or `dane`"),
        label("reached", "how much there was: `clear`, `encrypted`, `verified`, or `dane`")
    ]
        "connections to next hops"
    HOP_OPEN "postern_next_hop_connections_open" Gauge [label("class", "the kind of mail: `users`, `strangers`, `reports`")]
        "connections to next hops, as they are now"
    HOP_WAITING "postern_next_hop_waiting" Gauge [label("class", "as above")]
        "hosts that wait for a connection"
    DIRECTORY_TIME "postern_directory_answer_duration_seconds" Histogram [DIRECTORY]
        "time of each question to a directory"
    DIRECTORY_ASKED "postern_directory_questions_total" Counter [DIRECTORY, RESULT]
        "questions to directories"
    DIRECTORY_UP "postern_directory_up" Gauge [DIRECTORY]
        "1 if the directory has answered when it was asked last, 0 if not; no value until it has been asked"
    MILTER_TIME "postern_milter_answer_duration_seconds" Histogram [MILTER, label("stage", "`envelope`: connection to `DATA`; `content`: header and body of a message in all; `end`: the end of a message")]
        "time of each question to a filter"
    MILTER_ASKED "postern_milter_questions_total" Counter [MILTER, RESULT]
        "questions to filters"
    CERTIFICATE_END "postern_certificate_expiry_timestamp_seconds" Gauge [label("certificate", "its file")]
        "when a certificate of this server expires, in seconds since 1970"
    TOKEN_END "postern_token_expiry_timestamp_seconds" Gauge [label("credential", "the `name` of a `[[login]]`")]
        "when the token for a smarthost expires, in seconds since 1970; it is renewed before"
    EVENTS "postern_events_total" Counter [
        label("area", "what it is about: `connect`, `tls`, `login`, `refuse`, `accept`, `attempt`, `outcome`, `spool`, `milter`, `directory`, `dns`, `oauth`, `config`, `control`, `run`"),
        label("level", "`error`, `warning`, or `info`")
    ]
        "events, as the log has them"
    DROPPED "postern_events_dropped_total" Counter [label("observer", "who had no room for them: `log` (lines that matter), `log-strangers` (lines that strangers cause), `history` and `history-strangers` (the history on disk), `followers` (`postern trace --follow`), `webhooks`")]
        "events that were not kept"
    WEBHOOK_EVENTS "postern_webhook_events_total" Counter [WEBHOOK, label("result", "`delivered`: the receiver accepted it; `dropped`: the buffer was full")]
        "events for webhooks"
    WEBHOOK_REQUESTS "postern_webhook_requests_total" Counter [WEBHOOK, RESULT]
        "requests to the receivers of webhooks; `answered` are those that were accepted"
    WEBHOOK_WAITING "postern_webhook_waiting_events" Gauge [WEBHOOK]
        "events stored on disk for the receiver"
    WEBHOOK_UP "postern_webhook_up" Gauge [WEBHOOK]
        "0 if the last request was not accepted or the webhook could not be started, otherwise 1"
    RELOADS "postern_reloads_total" Counter []
        "reloads of the configuration that took effect"
    BUILD "postern_build_info" Gauge [label("version", "the version with its commit")]
        "always 1"
    CPU "process_cpu_seconds_total" Counter []
        "processor time that the server has used"
    MEMORY "process_resident_memory_bytes" Gauge []
        "memory of the server"
    FILES "process_open_fds" Gauge []
        "files and sockets that the server has open; nothing where the system does not say"
    FILES_MAX "process_max_fds" Gauge []
        "most files and sockets that it can have open"
    START "process_start_time_seconds" Gauge []
        "when the server started, in seconds since 1970"
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_as_prometheus_wants_them() {
        let names: HashSet<&str> = FAMILIES.iter().map(|family| family.name).collect();
        assert_eq!(names.len(), FAMILIES.len());
        // In OpenMetrics, the name of a counter family lacks the suffix of its series.
        let bases: HashSet<&str> = names.iter().map(|name| name.trim_end_matches("_total")).collect();
        assert_eq!(bases.len(), FAMILIES.len());
        for family in FAMILIES {
            let name = family.name;
            assert!(
                name.starts_with("postern_") || name.starts_with("process_"),
                "{name}"
            );
            assert_eq!(name.ends_with("_total"), family.kind == Kind::Counter, "{name}");
            assert!(
                family.kind != Kind::Histogram || name.ends_with("_seconds"),
                "{name}: base units"
            );
            assert!(
                name.bytes()
                    .all(|octet| octet.is_ascii_lowercase() || octet == b'_'),
                "{name}"
            );
            let labels: HashSet<&str> = family.labels.iter().map(|label| label.name).collect();
            assert_eq!(labels.len(), family.labels.len(), "{name}");
            assert!(
                !family.meaning.contains('|') && !family.meaning.ends_with('.'),
                "{name}"
            );
            for never in [
                "login",
                "address",
                "peer",
                "sender",
                "recipient",
                "domain",
                "session",
            ] {
                assert!(!labels.contains(never), "{name}: what clients choose is no label");
            }
        }
    }
}
