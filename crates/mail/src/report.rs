//! Delivery status notifications (RFC 3461, 3464, 6522, 6533).
//!
//! A report is kept in memory while it is written, so it is bounded: by its recipients, by [`RETURN_WHOLE_MAX`] octets of the
//! original, and by 2,000 octets of each reply.

mod reduce;
mod returned;
mod write;

use jiff::Timestamp;

pub use self::reduce::reduced;
use crate::address::Mailbox;
use crate::envelope::{Envelope, Ret};
use crate::status::Status;

/// Octets of an original message that are returned whole by default; a larger one is returned as its header fields.
pub const RETURN_WHOLE_MAX: usize = 64 * 1024;

/// What a report is about. One report is of one kind.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReportKind {
    /// Recipients that will not get the message.
    Failure,
    /// Recipients that have not got it yet.
    Delay,
    /// Recipients whose message was delivered, or passed on to a host that sends no report.
    Success,
}

/// What happened to one recipient (RFC 3464 section 2.3.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// `failed`.
    Failed,
    /// `delayed`.
    Delayed,
    /// `delivered`: it is in the mailbox.
    Delivered,
    /// `relayed`: passed to a host that will not report.
    Relayed,
    /// `expanded`: an alias passed it on to several others.
    Expanded,
}

/// One recipient in a report.
#[derive(Clone, Debug)]
pub struct ReportRecipient<'a> {
    /// Where delivery was tried.
    pub address: &'a Mailbox,
    /// `ORCPT=`, decoded: `rfc822;user@example.org`.
    pub orcpt: Option<&'a str>,
    /// What happened to it.
    pub action: Action,
    /// Its status.
    pub status: Status,
    /// The host that replied, if one did.
    pub remote_mta: Option<&'a str>,
    /// The reply of that host with its code, lines joined by blanks; `None` when our own server decided.
    pub diagnostic: Option<&'a str>,
    /// A sentence for people when there is no reply: "no host could be reached in 5 days".
    pub reason: Option<&'a str>,
    /// The last attempt, if there was one.
    pub last_attempt: Option<Timestamp>,
    /// For delays: until when further attempts are made.
    pub will_retry_until: Option<Timestamp>,
}

/// The message that a report is about.
#[derive(Clone, Copy, Debug)]
pub struct Original<'a> {
    /// The beginning of the message: together with `rest` at least its header section, as far as available.
    pub head: &'a [u8],
    /// What follows `head`, empty if `head` is all that was read; the header section may go on in it.
    pub rest: &'a [u8],
    /// Octets of the whole message. It is returned whole only when `head` and `rest` hold this many.
    pub len: u64,
}

/// Everything that a report is made of.
#[derive(Clone, Debug)]
pub struct Report<'a> {
    /// What it is about.
    pub kind: ReportKind,
    /// Our host name, for `Reporting-MTA` and the human text.
    pub reporting_mta: &'a str,
    /// The address in `From:`: `MAILER-DAEMON@host`.
    pub from: &'a Mailbox,
    /// The sender of the original, to whom the report goes.
    pub to: &'a Mailbox,
    /// The report's own queue id; its Message-ID and its boundary are made from it.
    pub id: &'a str,
    /// The queue id of the original.
    pub original_id: &'a str,
    /// When the report is made.
    pub date: Timestamp,
    /// When the original arrived.
    pub arrival: Timestamp,
    /// `ENVID=` of the original, decoded.
    pub envid: Option<&'a str>,
    /// `RET=` of the original. Delay and success reports always return the header only.
    pub ret: Option<Ret>,
    /// Whether the original came with `SMTPUTF8`.
    pub smtputf8: bool,
    /// The recipients, at least one.
    pub recipients: Vec<ReportRecipient<'a>>,
    /// The original.
    pub original: Original<'a>,
    /// Most octets of an original that are returned whole; [`RETURN_WHOLE_MAX`].
    pub return_whole_max: usize,
}

/// A report ready to be queued.
#[derive(Clone, Debug)]
pub struct ReportMessage {
    /// From `<>` to the sender of the original.
    pub envelope: Envelope,
    /// The message, lines ending in CRLF.
    pub content: Vec<u8>,
}
