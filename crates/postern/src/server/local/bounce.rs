//! The report to a user that a message in the drop folder was refused: there is no longer a caller to get an exit
//! status.

use jiff::Timestamp;
use postern_mail::report::{Action, Original, RETURN_WHOLE_MAX, Report, ReportKind, ReportRecipient};
use postern_mail::{Domain, Mailbox, ParseOptions, Status};
use postern_submit::header::Header;
use postern_submit::{Handover, Refusal};

/// The data of a report.
pub(super) struct Bounce<'a> {
    pub(super) hostname: &'a str,
    /// The domain of addresses without one.
    pub(super) domain: &'a Domain,
    /// The user who submitted it.
    pub(super) user: &'a str,
    pub(super) handover: &'a Handover,
    pub(super) header: &'a Header,
    pub(super) failed: &'a [Refusal],
    /// The name of the dropped message.
    pub(super) id: &'a str,
}

/// A report, ready to be submitted.
pub(super) struct Written {
    pub(super) handover: Handover,
    pub(super) header: Header,
    pub(super) body: Vec<u8>,
}

/// Writes a report; `None` if there is no sender, or the sender does not want one.
///
/// # Errors
///
/// Nobody can be notified: the sender is not an address.
pub(super) fn write(bounce: &Bounce<'_>) -> Result<Option<Written>, String> {
    let sender = bounce.handover.sender.as_deref().unwrap_or(bounce.user);
    if sender.is_empty() || !bounce.handover.notify.failure() {
        return Ok(None);
    }
    let to = parse(sender, bounce.domain).ok_or_else(|| format!("{sender:?} is not an address"))?;
    let host = Domain::parse(bounce.hostname, true).map_err(|error| error.to_string())?;
    let from = Mailbox::new("MAILER-DAEMON", host.clone()).map_err(|error| error.to_string())?;
    let now = Timestamp::now();
    let addresses: Vec<(Mailbox, &Refusal)> = bounce
        .failed
        .iter()
        .filter_map(|refusal| {
            let unreadable = || Mailbox::new("invalid-address", host.clone()).ok();
            let address = parse(&refusal.recipient, bounce.domain).or_else(unreadable)?;
            Some((address, refusal))
        })
        .collect();
    let reasons: Vec<String> = addresses
        .iter()
        .map(|(_, refusal)| {
            format!(
                "{}: {} {}",
                refusal.recipient, refusal.reply.code, refusal.reply.text
            )
        })
        .collect();
    let recipients = addresses
        .iter()
        .zip(&reasons)
        .map(|((address, refusal), reason)| ReportRecipient {
            address,
            orcpt: None,
            action: Action::Failed,
            status: refusal.reply.status.unwrap_or(Status(5, 0, 0)),
            remote_mta: None,
            diagnostic: None,
            reason: Some(reason),
            last_attempt: None,
            will_retry_until: None,
        });
    let report = Report {
        kind: ReportKind::Failure,
        reporting_mta: bounce.hostname,
        from: &from,
        to: &to,
        id: &format!("drop-{}", bounce.id),
        original_id: bounce.id,
        date: now,
        arrival: now,
        envid: bounce.handover.envid.as_deref(),
        ret: bounce.handover.ret,
        smtputf8: !to.is_ascii(),
        recipients: recipients.collect(),
        original: Original {
            head: bounce.header.octets(),
            rest: b"",
            // Larger than the header alone: so only the header is returned.
            len: bounce.header.octets().len() as u64 + 1,
        },
        return_whole_max: RETURN_WHOLE_MAX,
    };
    let message = report.build();
    let (header, at) = Header::split(&message.content);
    Ok(Some(Written {
        handover: Handover {
            sender: Some(String::new()),
            recipients: vec![to.to_string()],
            notify: postern_mail::Notify::Never,
            ..Handover::default()
        },
        header,
        body: message.content[at..].to_vec(),
    }))
}

fn parse(address: &str, domain: &Domain) -> Option<Mailbox> {
    let options = ParseOptions {
        utf8: true,
        default_domain: Some(domain),
        ..ParseOptions::default()
    };
    Mailbox::parse(address, &options).ok()
}

#[cfg(test)]
mod tests {
    use postern_smtp::Reply;

    use super::*;

    fn report(sender: Option<&str>, recipient: &str) -> Option<String> {
        let domain = Domain::Name("h.example".into());
        let handover = Handover {
            sender: sender.map(str::to_owned),
            recipients: vec![recipient.to_owned()],
            ..Handover::default()
        };
        let failed = [Refusal {
            recipient: recipient.to_owned(),
            reply: Reply::new(550, Some(Status(5, 1, 1)), "nobody here"),
        }];
        let bounce = Bounce {
            hostname: "mx.h.example",
            domain: &domain,
            user: "anna",
            handover: &handover,
            header: &Header::from_octets(b"Subject: lost\r\n".to_vec()),
            failed: &failed,
            id: "0123456789abcdef0123456789abcdef",
        };
        let written = write(&bounce).unwrap()?;
        assert_eq!(
            written.handover.sender.as_deref(),
            Some(""),
            "no report tells of a report"
        );
        let text = [written.header.octets(), b"\r\n", &written.body].concat();
        Some(format!(
            "{:?}\n{}",
            written.handover.recipients,
            String::from_utf8(text).unwrap()
        ))
    }

    #[test]
    fn who_hears_of_it() {
        #[rustfmt::skip]
        let cases = [
            (None,                    "bea",             Some("[\"anna@h.example\"]")),
            (Some("carl@x.example"),  "bea@y.example",   Some("[\"carl@x.example\"]")),
            (Some(""),                "bea",             None),
        ];
        for (sender, recipient, to) in cases {
            let text = report(sender, recipient);
            match to {
                None => assert_eq!(text, None),
                Some(to) => {
                    let text = text.unwrap();
                    assert!(text.starts_with(to), "{text}");
                    for part in [
                        "Subject: lost",
                        "nobody here",
                        "Status: 5.1.1",
                        "multipart/report",
                    ] {
                        assert!(text.contains(part), "{part} in {text}");
                    }
                }
            }
        }
        let text = report(None, "no address at all").unwrap();
        assert!(text.contains("no address at all"), "{text}");
    }
}
