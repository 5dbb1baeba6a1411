//! Messages forwarded by a user's `.forward`: the same content with the same sender, and a mark that detects loops.

use postern_mail::{Envelope, Mailbox, Notify, ParseOptions, Recipient};
use postern_mda::wire::Done;
use postern_spool::{Body, Message, NewMessage};

use crate::core::Core;

/// The mark: the field that names the user whose `.forward` it was.
const MARK: &str = "Delivered-To";

/// Most marks on a forwarded message, which ends loops between users.
const MARKS_MAX: usize = 10;

/// The message to the addresses in the user's `.forward`. Local names are expanded by aliases.
///
/// # Errors
///
/// Why it cannot be made, as text.
pub(super) async fn make(
    core: &Core,
    message: &Message,
    recipient: &Recipient,
    user: &str,
    done: &Done,
) -> Result<NewMessage, String> {
    let mut recipients: Vec<Recipient> = Vec::new();
    for text in &done.forward {
        let address = parse(text).ok_or_else(|| format!("{text} is not an address"))?;
        let mut readers = core.deps.mailboxes.readers(&address).await;
        if readers.is_empty() {
            // It will bounce.
            readers.push(address);
        }
        for address in readers {
            if recipients
                .iter()
                .all(|other| other.address.key() != address.key())
            {
                recipients.push(forwarded(recipient, address, !done.places.is_empty()));
            }
        }
    }
    let mut prefix = format!("{MARK}: {}\r\n", mark(user, &recipient.address)).into_bytes();
    prefix.extend_from_slice(&message.prefix);
    let id = core.deps.spool.next_id();
    let body = match &message.body {
        Body::Inline(body) => Body::Inline(body.clone()),
        Body::File(_) => copy(core, message, id).await?,
    };
    let beyond_ascii = recipients.iter().any(|recipient| !recipient.address.is_ascii());
    Ok(NewMessage {
        id,
        envelope: Envelope {
            recipients,
            smtputf8: message.envelope.smtputf8 || beyond_ascii,
            ..message.envelope.clone()
        },
        received_at: message.received_at,
        prefix: prefix.into(),
        body,
        login: message.login.clone(),
        session: message.session.clone(),
        hold: None,
        origin: message.origin,
        detour: None,
        queue_only: false,
        note: None,
    })
}

/// One forwarded recipient. The address that the sender wrote to is kept, so that bounces name that one, and so that the sender
/// is rewritten as with aliases. If a copy was kept here, that is the success that is reported.
fn forwarded(recipient: &Recipient, address: Mailbox, kept: bool) -> Recipient {
    let notify = match recipient.notify {
        Notify::On { failure, delay, .. } if kept => match failure || delay {
            true => Notify::On {
                success: false,
                failure,
                delay,
            },
            false => Notify::Never,
        },
        notify => notify,
    };
    let kind = if recipient.address.is_ascii() {
        "rfc822"
    } else {
        "utf-8"
    };
    let orcpt = recipient.orcpt.clone();
    Recipient {
        address,
        notify,
        orcpt: orcpt.or_else(|| Some(format!("{kind};{}", recipient.address))),
        sender: None,
    }
}

/// A copy of the body, since each message owns its file.
async fn copy(core: &Core, message: &Message, id: postern_mail::QueueId) -> Result<Body, String> {
    let spool = &core.deps.spool;
    let mut writer = spool.body_writer(id);
    let mut reader = spool.open_body(message);
    let mut skip = message.prefix.len();
    while let Some(piece) = reader.piece().await.map_err(|error| error.to_string())? {
        let cut = skip.min(piece.len());
        skip -= cut;
        writer
            .write(&piece[cut..])
            .await
            .map_err(|error| error.to_string())?;
    }
    writer.finish().await.map_err(|error| error.to_string())
}

fn parse(text: &str) -> Option<Mailbox> {
    let options = ParseOptions {
        utf8: true,
        ..ParseOptions::default()
    };
    Mailbox::parse(text, &options).ok()
}

/// The mark of messages forwarded by a user: the address without its detail, which can vary at will.
pub(super) fn mark(user: &str, address: &Mailbox) -> Mailbox {
    parse(&format!("{user}@{}", address.domain())).unwrap_or_else(|| address.clone())
}

/// Whether a header says that this user has already forwarded the message, or that too many others have.
pub(super) fn was_sent_on(header: &[u8], address: &Mailbox) -> bool {
    let (key, lines) = (address.key(), header.split(|&octet| octet == b'\n'));
    let value = |line: &[u8]| -> Option<String> {
        let (name, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
        name.trim_end()
            .eq_ignore_ascii_case(MARK)
            .then(|| value.trim().to_owned())
    };
    let marks: Vec<Mailbox> = lines.filter_map(value).filter_map(|text| parse(&text)).collect();
    marks.len() >= MARKS_MAX || marks.iter().any(|marked| marked.key() == key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks() {
        let ann: Mailbox = "ann@mx.test".parse().unwrap();
        #[rustfmt::skip]
        let cases = [
            ("none",              "Subject: x\r\n\r\n",                              false),
            ("its own",           "A: b\r\nDelivered-To: ann@mx.test\r\n\r\n",       true),
            ("in other letters",  "delivered-TO : Ann@MX.test\r\n",                  true),
            ("another's",         "Delivered-To: bob@mx.test\r\n",                   false),
            ("further down",      "Delivered-To: bob@x.test\r\nDelivered-To: ann@mx.test\r\n", true),
            ("no address",        "Delivered-To: ann\r\n",                           false),
        ];
        for (shows, header, marked) in cases {
            assert_eq!(was_sent_on(header.as_bytes(), &ann), marked, "{shows}");
        }
        let others = |count| "Delivered-To: bob@x.test\r\n".repeat(count);
        assert!(!was_sent_on(others(MARKS_MAX - 1).as_bytes(), &ann));
        assert!(was_sent_on(others(MARKS_MAX).as_bytes(), &ann), "there is an end");
        let address = "ann+shop@mx.test".parse().unwrap();
        assert_eq!(mark("ann", &address), ann, "whatever the detail");
    }

    #[test]
    fn what_is_reported_of_those_to_whom_it_goes_on() {
        let on = |success, failure, delay| Notify::On {
            success,
            failure,
            delay,
        };
        #[rustfmt::skip]
        let cases = [
            ("nothing asked",             Notify::Unspecified,     true,  Notify::Unspecified),
            ("success, and a copy",       on(true, false, false),  true,  Notify::Never),
            ("both, and a copy",          on(true, true, false),   true,  on(false, true, false)),
            ("success, sent on alone",    on(true, false, false),  false, on(true, false, false)),
            ("never",                     Notify::Never,           false, Notify::Never),
        ];
        for (shows, notify, kept, want) in cases {
            let recipient = Recipient {
                notify,
                ..Recipient::new("ann@mx.test".parse().unwrap())
            };
            let made = forwarded(&recipient, "b@far.test".parse().unwrap(), kept);
            assert_eq!(made.notify, want, "{shows}");
            assert_eq!(made.orcpt.as_deref(), Some("rfc822;ann@mx.test"), "{shows}");
        }
    }
}
