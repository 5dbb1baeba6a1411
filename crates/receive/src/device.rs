//! The lane for devices, in a session.

use std::sync::Arc;

use postern_mail::header::HeaderScan;
use postern_mail::{Envelope, Mailbox, NewField, Recipient, ReversePath};
use postern_policy::device::{Device, DeviceRefusal, OutsideLane};
use postern_policy::identity::claimed;
use postern_policy::relay::RelayVerdict;
use postern_smtp::Reply;
use postern_smtp::reply::texts;
use postern_smtp::server::{Answer, AskRecipient, Ground, Transaction};
use postern_spool::Assembly;

use crate::judge::Judge;
use crate::sender::claims;
use crate::session::{About, Session};

/// Calls `judged` with what the client is judged by now: a reload counts at once.
fn now<T>(session: &Session, judged: impl FnOnce(&Judge<'_>) -> T) -> T {
    let settings = session.shared.deps.settings.load_full();
    let listener = session.profile.listener_now.load();
    let settings = settings.at(&listener);
    judged(&Judge {
        settings: &settings,
        listener: &listener,
        ..session.judge()
    })
}

/// Whether the client comes from where devices are.
fn may_be(session: &Session) -> bool {
    let settings = session.shared.deps.settings.load();
    let (peer, listener) = (session.peer.ip(), session.listener());
    settings
        .devices
        .iter()
        .any(|device| device.is_from(peer, listener))
}

/// The lane of the client's device, if it is one.
pub(crate) fn of(session: &Session) -> Option<Arc<Device>> {
    if !may_be(session) {
        return None;
    }
    now(session, |judge| judge.device().cloned())
}

/// The verdict on a recipient of a device.
///
/// # Errors
///
/// The reply: neither its lane nor anything else is for this.
pub(crate) fn judge(
    verdict: RelayVerdict,
    ask: &AskRecipient<'_>,
    session: &Session,
) -> Result<RelayVerdict, Reply> {
    let refused = matches!(verdict, RelayVerdict::Refuse(_));
    if !refused || !may_be(session) {
        return Ok(verdict);
    }
    let sender = ask.sender().unwrap_or(&ReversePath::Null);
    now(session, |judge| judge.by_lane(verdict, sender, ask.path())).map_err(|refusal| {
        let reply = texts::refused_path(ask.path(), refusal.told(), &session.mark());
        session.refused(&refusal, &reply, &About::recipient(ask.sender(), ask.path()));
        reply
    })
}

/// The lane over which a message goes that is complete: one of its recipients needs it.
///
/// # Errors
///
/// The answer to one that is too large, or whose author the lane is not for.
pub(crate) fn admit(
    scan: &HeaderScan,
    size: u64,
    transaction: &Transaction,
    session: &Session,
) -> Result<Option<Arc<Device>>, Answer> {
    if transaction.ground != Ground::Relayed {
        return Ok(None);
    }
    let Some(device) = of(session) else {
        return Ok(None);
    };
    let judged = device.admit_size(size).and_then(|()| authors(&device, scan));
    match judged {
        Ok(()) => Ok(Some(device)),
        Err(refusal) => {
            let reply = texts::refusal(refusal.told(), &session.mark());
            session.refused(&refusal, &reply, &About::message(transaction));
            Err(Answer::stay(reply))
        }
    }
}

/// The lane that says what `From` becomes: the one over which the message goes, or, in mail for domains of this server, that of the
/// client if it is for the sender and one of the recipients.
pub(crate) fn of_author(
    lane: Option<&Arc<Device>>,
    transaction: &Transaction,
    session: &Session,
) -> Option<Arc<Device>> {
    if let Some(device) = lane {
        return Some(Arc::clone(device));
    }
    of(session).filter(|device| device.rewrite_from && is_for(device, &transaction.envelope))
}

/// Whether a lane is for a message: for its sender and one of its recipients, as the client named them or as aliases have it.
fn is_for(device: &Device, envelope: &Envelope) -> bool {
    let sender = envelope.sender.mailbox();
    let named = |recipient: &Recipient| {
        let (_, address) = recipient.orcpt.as_deref()?.split_once(';')?;
        address.parse::<Mailbox>().ok()
    };
    envelope.recipients.iter().any(|recipient| {
        let as_named = named(recipient);
        let mut addresses = as_named.iter().chain([&recipient.address]);
        addresses.any(|address| device.judge(sender, address).is_ok())
    })
}

fn authors(device: &Device, scan: &HeaderScan) -> Result<(), DeviceRefusal> {
    if device.rewrite_from {
        return Ok(());
    }
    let refused = |detail: String| DeviceRefusal {
        name: device.name.clone(),
        outside: OutsideLane::Author,
        detail,
    };
    if scan.from_is_in_doubt() {
        return Err(refused("a header that cannot be read whole".to_owned()));
    }
    match claimed(&claims(scan))
        .iter()
        .find(|author| !device.sends_as(author))
    {
        Some(author) => Err(refused(author.to_string())),
        None => Ok(()),
    }
}

/// Has a message say that it is from the sender of the envelope, where its `From` is not one of the lane's senders: what it said stays
/// in `X-Original-From`, and in `Reply-To` where there is none, so that answers reach whom they would have reached.
pub(crate) fn rewrite(device: &Device, assembly: &mut Assembly) {
    let Some(sender) = assembly.envelope.sender.mailbox().cloned() else {
        return;
    };
    if !device.rewrite_from {
        return;
    }
    let is_own = |author: &Mailbox| device.sends_as(author);
    let header = assembly.header_mut();
    let authors: Vec<String> = header
        .named("From")
        .map(|(_, field)| String::from_utf8_lossy(&field.unfolded()).trim().to_owned())
        .collect();
    let read = |text: &String| postern_mail::mailbox_list(text).unwrap_or_default();
    let is_fine = authors.len() == 1
        && authors.iter().all(|text| {
            let named = read(text);
            !named.is_empty() && named.iter().all(is_own)
        });
    if !is_fine {
        let answers = header.named("Reply-To").next().is_some();
        header.retain(|field| !field.is_named("From"));
        let new = |name: &str, value: &str| NewField::new(name, value.as_bytes()).ok();
        let original = authors
            .first()
            .map(String::as_str)
            .filter(|text| !text.is_empty());
        let addressed = original.filter(|text| !answers && !read(&(*text).to_owned()).is_empty());
        let fields = [
            new("From", &sender.to_string()),
            original.and_then(|text| new("X-Original-From", text)),
            addressed.and_then(|text| new("Reply-To", text)),
        ];
        for field in fields.into_iter().flatten() {
            let _ = header.push(&field);
        }
    }
    header.retain(|field| {
        !field.is_named("Sender") || {
            let text = String::from_utf8_lossy(&field.unfolded()).trim().to_owned();
            let named = read(&text);
            !named.is_empty() && named.iter().all(is_own)
        }
    });
}

#[cfg(test)]
mod tests {
    use postern_mail::BodyKind;
    use postern_policy::access::names::AddressSet;

    use super::*;

    #[test]
    fn which_mail_a_lane_is_for() {
        let set = |entry: &str| {
            let mut set = AddressSet::default();
            set.insert(entry).unwrap();
            set
        };
        let device = Device {
            senders: set("scanner@example.org"),
            recipients: set("@example.org"),
            rewrite_from: true,
            ..Device::default()
        };
        #[rustfmt::skip]
        let cases = [
            // what the case shows       sender                  recipients                              for it
            ("an own domain",            "scanner@example.org",  &["ann@example.org"][..],               true),
            ("one of two",               "scanner@example.org",  &["x@far.example", "ann@example.org"],  true),
            ("another sender",           "bob@example.org",      &["ann@example.org"],                   false),
            ("another recipient",        "scanner@example.org",  &["x@far.example"],                     false),
        ];
        let sent = |sender: &str, recipients: Vec<Recipient>| Envelope {
            sender: ReversePath::Mailbox(sender.parse().unwrap()),
            recipients,
            ret: None,
            envid: None,
            body: BodyKind::default(),
            smtputf8: false,
            auth: None,
        };
        for (shows, sender, recipients, wanted) in cases {
            let recipients = recipients.iter().map(|one| Recipient::new(one.parse().unwrap()));
            let envelope = sent(sender, recipients.collect());
            assert_eq!(is_for(&device, &envelope), wanted, "{shows}");
        }
        let mut aliased = Recipient::new("ann@far.example".parse().unwrap());
        aliased.orcpt = Some("rfc822;ann@example.org".to_owned());
        assert!(is_for(&device, &sent("scanner@example.org", vec![aliased])));
    }
}
