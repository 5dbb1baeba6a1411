//! A report for sending: XML (RFC 7489 appendix C), compressed, in a message (section 7.2.1.1).

use std::fmt::Write as _;
use std::io::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use postern_mail::{Mailbox, date};

use super::gather::{Day, Row, Tally};

/// Seconds of a day.
const DAY: i64 = 24 * 3_600;

/// Characters of a line of Base64.
const LINE: usize = 76;

/// The reporting organisation.
#[derive(Clone, Debug)]
pub struct Reporter {
    /// The name of the organisation.
    pub organization: String,
    /// The sender address of reports.
    pub from: Mailbox,
    /// The domain of this server, in file names.
    pub receiver: String,
}

/// A complete report.
#[derive(Clone, Debug)]
pub struct Report {
    /// Its unique id.
    pub id: String,
    /// The compressed XML.
    pub compressed: Vec<u8>,
}

impl Report {
    /// Writes and compresses what was gathered.
    #[must_use]
    pub fn new(tally: &Tally, reporter: &Reporter) -> Self {
        let id = format!("{}.{}@{}", tally.day, tally.policy.domain, reporter.receiver);
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        // Writing to memory cannot fail.
        let _ = encoder.write_all(xml(tally, reporter, &id).as_bytes());
        Self {
            id,
            compressed: encoder.finish().unwrap_or_default(),
        }
    }
}

/// The name of the file: `receiver!domain!begin!end.xml.gz`.
#[must_use]
pub fn attachment_name(tally: &Tally, reporter: &Reporter) -> String {
    let (begin, end) = bounds(tally.day);
    format!(
        "{}!{}!{begin}!{end}.xml.gz",
        reporter.receiver, tally.policy.domain
    )
}

/// The whole message that carries a report to an address.
#[must_use]
pub fn message(
    tally: &Tally,
    report: &Report,
    reporter: &Reporter,
    to: &str,
    message_id: &str,
    now: Timestamp,
) -> Vec<u8> {
    let domain = &tally.policy.domain;
    let boundary = format!("=_{message_id}").replace(['@', '<', '>'], "_");
    let name = attachment_name(tally, reporter);
    let (begin, end) = bounds(tally.day);
    let mut text = format!(
        "From: {from}\r\nTo: {to}\r\nDate: {date}\r\nMessage-ID: <{message_id}>\r\n\
         Subject: Report Domain: {domain}\r\n Submitter: {receiver}\r\n Report-ID: <{id}>\r\n\
         Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed;\r\n boundary=\"{boundary}\"\r\n\r\n\
         --{boundary}\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n\
         This is an aggregate report of DMARC about {domain}, as {receiver} saw\r\nit from {begin} to {end} (seconds since 1970).\r\n\
         \r\n--{boundary}\r\nContent-Type: application/gzip;\r\n name=\"{name}\"\r\nContent-Transfer-Encoding: base64\r\n\
         Content-Disposition: attachment;\r\n filename=\"{name}\"\r\n\r\n",
        from = reporter.from,
        date = date::rfc5322(now),
        receiver = reporter.receiver,
        id = report.id,
    );
    let encoded = BASE64_STANDARD.encode(&report.compressed);
    for line in encoded.as_bytes().chunks(LINE) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push_str("\r\n");
    }
    text.push_str(&format!("\r\n--{boundary}--\r\n"));
    text.into_bytes()
}

/// First and last second of a day.
const fn bounds(day: Day) -> (i64, i64) {
    (day * DAY, (day + 1) * DAY - 1)
}

fn xml(tally: &Tally, reporter: &Reporter, id: &str) -> String {
    let policy = &tally.policy;
    let (begin, end) = bounds(tally.day);
    let strictness = |strict: bool| if strict { "s" } else { "r" };
    let mut out = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<feedback>\n<version>1.0</version>\n<report_metadata>",
    );
    element(&mut out, "org_name", &reporter.organization);
    element(&mut out, "email", &reporter.from.to_string());
    element(&mut out, "report_id", id);
    out.push_str("<date_range>");
    element(&mut out, "begin", &begin.to_string());
    element(&mut out, "end", &end.to_string());
    out.push_str("</date_range>");
    if tally.left_out > 0 {
        let left_out = tally.left_out;
        let text = format!("{left_out} messages are not in the rows: there were too many kinds");
        element(&mut out, "error", &text);
    }
    out.push_str("</report_metadata>\n<policy_published>");
    element(&mut out, "domain", &policy.domain);
    element(&mut out, "adkim", strictness(policy.strict_dkim));
    element(&mut out, "aspf", strictness(policy.strict_spf));
    element(&mut out, "p", &policy.policy);
    element(&mut out, "sp", &policy.below);
    element(&mut out, "pct", &policy.percent.to_string());
    let options = &policy.failure_options;
    element(&mut out, "fo", if options.is_empty() { "0" } else { options });
    out.push_str("</policy_published>\n");
    for (row, count) in &tally.rows {
        record(&mut out, row, *count);
    }
    out.push_str("</feedback>\n");
    out
}

fn record(out: &mut String, row: &Row, count: u64) {
    let passes = |aligned: bool| if aligned { "pass" } else { "fail" };
    out.push_str("<record><row>");
    element(out, "source_ip", &row.source.to_string());
    element(out, "count", &count.to_string());
    out.push_str("<policy_evaluated>");
    element(out, "disposition", &row.disposition);
    element(out, "dkim", passes(row.dkim_aligned));
    element(out, "spf", passes(row.spf_aligned));
    if let Some(reason) = &row.reason {
        out.push_str("<reason>");
        element(out, "type", reason);
        out.push_str("</reason>");
    }
    out.push_str("</policy_evaluated></row><identifiers>");
    element(out, "envelope_from", &row.envelope_from);
    element(out, "header_from", &row.header_from);
    out.push_str("</identifiers><auth_results>");
    for (domain, selector, result) in &row.signatures {
        out.push_str("<dkim>");
        element(out, "domain", domain);
        if !selector.is_empty() {
            element(out, "selector", selector);
        }
        element(out, "result", result);
        out.push_str("</dkim>");
    }
    let (domain, scope, result) = &row.spf;
    out.push_str("<spf>");
    element(out, "domain", domain);
    element(out, "scope", scope);
    element(out, "result", result);
    out.push_str("</spf></auth_results></record>\n");
}

fn element(out: &mut String, name: &str, text: &str) {
    // Writing to a string cannot fail.
    let _ = write!(out, "<{name}>");
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            // Not a character of XML 1.0.
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    let _ = write!(out, "</{name}>");
}
