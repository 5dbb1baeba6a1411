//! `[[webhook]]`.

use std::path::PathBuf;
use std::time::Duration;

use postern_events::Level;

use super::words::ListName;
use crate::config::kinds::{Choice, Count, FilePath, Line, List, OneOf, Size, Switch, Time};
use crate::config::read::{At, table};

table! {
    /// Addresses to which events are posted, as the JSON lines that the log has with `format = "json"` (see [log.md](log.md)).
    ///
    /// A request is a `POST` of type `application/x-ndjson`, signed according to Standard Webhooks: `webhook-id`, `webhook-timestamp` and
    /// `webhook-signature` (HMAC-SHA256 over id, timestamp and body). A receiver accepts it with any 2xx status. Otherwise the same request is
    /// repeated with the same id, after 1 s at first and 5 minutes at most, or later if `Retry-After` asks for it. Redirects are not followed.
    /// Meanwhile events are stored on disk, also across restarts. Mail never waits for a webhook. `postern webhook test NAME` sends a test event.
    WebhookTable {
        /// Its name in the log and in commands. Its events are stored in `webhooks/NAME` in `state_dir`.
        name: String = ListName, required "\"alerts\"";
        /// Where events are posted: an `https` address, or an `http` address on this machine.
        url: String = Line(2048), required "\"https://hooks.example.org/postern\"";
        /// A file with the signing key: `whsec_` followed by 24 to 64 octets in base64. A second line may have the previous key; requests then
        /// have both signatures. Only its owner may read the file. Make one with `(umask 077; echo whsec_$(head -c 32 /dev/urandom | base64) > webhook.key)`.
        secret_file: PathBuf = FilePath, required "\"webhook.key\"";
        /// The events that are sent, by name.
        events: Vec<At<String>> = List(Line(200)), optional "[\"bounced\", \"account on hold\"]" else "all";
        /// The rules whose events are sent. A name that ends in a dot stands for all rules that begin with it.
        rules: Vec<At<String>> = List(Line(64)), optional "[\"budget.\", \"relay.denied\"]" else "all events, also those without a rule";
        /// The minimum level that is sent.
        level: Level = OneOf::<Level>::new(), default "\"info\"";
        /// Whether `url` may be plain `http` to another machine. Others on the network can then read the events, but not forge them.
        allow_http: bool = Switch, default "false";
        /// The certificate authorities that the receiver's certificate is verified against.
        ca_file: PathBuf = FilePath, optional "\"ca.crt\"" else "those that the system trusts";
        /// The time limit for one request.
        timeout: Duration = Time("1s", "1m"), default "\"10s\"";
        /// Most events in a request.
        batch_events: u64 = Count(1..=10_000), default "100";
        /// Largest request. A longer event is sent alone.
        batch_size: u64 = Size("1 KiB", "16 MiB"), default "\"256 KiB\"";
        /// Most disk space for stored events. When it is full, the oldest are dropped and counted. Events caused by strangers get at most half of it.
        buffer: u64 = Size("1 MiB", "64 GiB"), default "\"64 MiB\"";
    }
}

impl Choice for Level {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("info", Self::Info),
        ("error", Self::Error),
        ("warning", Self::Warning),
        ("debug", Self::Debug),
    ];
}
