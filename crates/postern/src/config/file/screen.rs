//! `[screen]`, `[[dns_list]]` and `[srs]`.

use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use postern_policy::screen::finding::Act;
use postern_policy::screen::list::{AnswerRange, Subject};

use super::words::{AnswerRangeText, HostName, ListName, ListZone, ReplyText};
use crate::config::kinds::{Choice, Count, FilePath, List, Network, OneOf, Score, Time};
use crate::config::read::{At, table};

table! {
    /// How strangers that send mail from outside are checked: on listeners with the role `mx`, before their first recipient is
    /// accepted. Clients that have authenticated or may relay are never checked. For each requirement, `"mark"` adds a field
    /// `X-Postern-Screen` to the message, and `"reject"` refuses the recipients; if DNS does not answer, `"reject"` refuses
    /// temporarily (`4xx`) and `"mark"` marks nothing.
    Screen {
        /// The score from which recipients are refused with `550 5.7.1`. The scores of all `[[dns_list]]` tables that list the
        /// client, and of early talk, are added up.
        refuse: u64 = Count(1..=1_000), optional "5" else "no score refuses";
        /// The score from which messages are held in the queue until an administrator releases or removes them.
        hold: u64 = Count(1..=1_000), optional "4" else "no score holds";
        /// The score from which messages get a field `X-Postern-Screen` with the score and its parts.
        tag: u64 = Count(1..=1_000), optional "1" else "no score is written into messages";
        /// What early talk adds to the score: the client sent something before the greeting, which `greeting_delay` in `[timeouts]` holds
        /// back.
        early_talk: u64 = Count(1..=1_000), optional "3" else "such a client is refused at once with `554 5.7.1`";
        /// Networks whose clients are not checked, and are greeted without delay.
        except: Vec<At<IpNet>> = List(Network), default "[]";
        /// `HELO` or `EHLO` must have a full host name or an address literal (RFC 5321 section 4.1.1.1).
        helo_syntax: Act = OneOf::<Act>::new(), default "\"off\"";
        /// `HELO` or `EHLO` must not have a name or an address of this server: `hostname`, a domain of `local_domains`,
        /// `localhost`.
        helo_own: Act = OneOf::<Act>::new(), default "\"off\"";
        /// The name in `HELO` or `EHLO` must exist in DNS, with an address or MX records.
        helo_unknown: Act = OneOf::<Act>::new(), default "\"off\"";
        /// The client's address must have a name (a PTR record); if not, the reply is `550 5.7.25`.
        client_nameless: Act = OneOf::<Act>::new(), default "\"off\"";
        /// That name must resolve back to the address (forward-confirmed reverse DNS); if not, the reply is `550 5.7.25`.
        client_unconfirmed: Act = OneOf::<Act>::new(), default "\"off\"";
        /// The domain of the envelope sender must have MX records or an address; if not, the reply is `553 5.1.8`. With a null MX
        /// (RFC 7505), it is `550 5.7.27`. Sendmail does this unless told otherwise.
        sender_unknown: Act = OneOf::<Act>::new(), default "\"off\"";
        /// The longest wait for DNS before an answer. A list that has not answered by then does not count.
        timeout: Duration = Time("100ms", "1m"), default "\"5s\"";
        /// Most DNS queries in one session about names that the client chooses (`HELO`, domains of senders); beyond that,
        /// recipients get `451 4.7.1`.
        lookups: u64 = Count(1..=100_000), default "100";
    }
}

table! {
    /// A DNS block or allow list (RFC 5782), or some answers of one. All are queried at once as soon as a stranger connects.
    DnsList {
        /// The zone of the list.
        zone: String = ListZone, required "\"bl.example.org\"";
        /// Its name in the log, in replies and in `X-Postern-Screen`.
        name: String = ListName, optional "\"blocklist\"" else "the zone";
        /// What is looked up: the client's address, the name in `HELO` or `EHLO`, or the domain of the envelope sender.
        subject: Subject = OneOf::<Subject>::new(), default "\"client\"";
        /// The answers that count: single ones, ranges, networks. `127.255.255.0/24` never counts, as it means that the list does not
        /// answer this server, and neither does anything outside `127.0.0.0/8`; the log reports both.
        answers: Vec<At<AnswerRange>> = List(AnswerRangeText), optional "[\"127.0.0.2-127.0.0.11\"]" else "all but `127.0.0.1`";
        /// What it adds to the score. Below zero for an allow list.
        score: i32 = Score, default "1";
        /// The reply to a client that is refused and for which this list counted most. `{address}`, `{helo}`, `{sender}` and
        /// `{list}` are filled in.
        text: String = ReplyText, optional "\"{address} is blocked, see https://bl.example.org/{address}\"" else "it names the list";
    }
}

table! {
    /// Sender rewriting (SRS) for mail that an alias forwards to the outside: receivers that check SPF then accept it. The sender
    /// becomes an address of `domain`, from which bounces return to the original sender. Senders of `local_domains` and
    /// `relay_domains` stay as they are. While this table is there, local parts may have 255 octets.
    Srs {
        /// The domain of rewritten senders, one of `local_domains`. Its SPF record must allow this server.
        domain: String = HostName, required "\"example.org\"";
        /// A file whose first line is the secret, readable by Postern alone. Secrets on further lines are still accepted: to change it,
        /// write the new one above the old one, and remove that after `max_age`.
        secret_file: PathBuf = FilePath, required "\"srs.secret\"";
        /// Characters of the hash in rewritten addresses. More are harder to guess, and make addresses longer.
        hash_length: u64 = Count(4..=27), default "4";
        /// How long bounces to a rewritten address are accepted.
        max_age: Duration = Time("1d", "365d"), default "\"21d\"";
    }
}

impl Choice for Act {
    const WORDS: &'static [(&'static str, Self)] =
        &[("off", Self::Off), ("mark", Self::Mark), ("reject", Self::Reject)];
}

impl Choice for Subject {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("client", Self::Client),
        ("helo", Self::Helo),
        ("sender", Self::Sender),
    ];
}
