//! Delivery to local users, by a helper that assumes the identity of each: the server itself cannot.
//!
//! Each user is a destination, so that one whose programs hang does not delay others. Mail forwarded by the user's `.forward` is
//! queued as a message of its own, in one transaction with the outcome.

mod helper;
mod sent_on;

use std::collections::HashMap;
use std::sync::Arc;

use postern_events::{notice, shown};
use postern_mail::{Mailbox, Recipient, Status};
use postern_mda::wire::{Done, PipeRequest, Reply, Request};
use postern_mda::{Kind, Trouble};
use postern_spool::{Attempt, Message, NewMessage};
use tokio::sync::Semaphore;

use crate::claims::Claim;
use crate::core::{Conclusion, Core, Held, look_again};
use crate::destination::{Destination, Taken};
use crate::failure::{Cause, Failure, MailboxFact, shorten};
use crate::hop::HopKind;
use crate::mailboxes::Residence;
use crate::outcome::{Fate, SuccessReport};
use crate::post::Post;
use crate::relay::Relay;
use crate::settings::{Settings, SystemUsers};
use crate::work::{Due, Work};

/// Most messages whose outcomes may be unsettled.
const UNSETTLED: usize = 4;

/// Takes messages and hands them over, until there are none.
pub(crate) async fn serve(core: &Arc<Core>, destination: &Arc<Destination>, mut post: Post) {
    let unsettled = Arc::new(Semaphore::new(UNSETTLED));
    while !core.stop.is_cancelled() {
        core.replenish(destination);
        match post.take(false) {
            Taken::Work(work) => deliver(core, destination, *work, &unsettled).await,
            Taken::Idle | Taken::Leave => return,
        }
    }
}

async fn deliver(core: &Arc<Core>, destination: &Destination, work: Work, unsettled: &Arc<Semaphore>) {
    let settings = core.deps.settings.load_full();
    let Some(message) = core.message_of(&settings, &work).await else {
        return;
    };
    let look_again = match work.is_fresh() {
        true => Vec::new(),
        false => look_again(&message, &work.recipients),
    };
    let claims = Arc::new(work.claims);
    let pipe = Program::of(&destination.hop.kind);
    let copies = match pipe {
        Some(_) => for_program(&message, &work.recipients, settings.routes.separator),
        None => copies(core, &message, &work.recipients).await,
    };
    for copy in copies {
        let made = copy_to(core, &settings, &message, &copy, pipe).await;
        if let Fate::Failed(failure) = &made.fate {
            destination.note_error(core.now(), failure.line());
        }
        let held = Held {
            claims: Arc::<Vec<Claim>>::clone(&claims),
            unsettled: unsettled.clone().acquire_owned().await.ok(),
            look_again: look_again.clone(),
        };
        let conclusion = Conclusion {
            message: message.clone(),
            fates: copy.dues.iter().map(|due| (*due, made.fate.clone())).collect(),
            not_before: None,
            public: false,
            held,
            sent_on: made.sent_on.into_iter().collect(),
        };
        core.conclude(&settings, conclusion);
    }
    destination.succeeded(&settings.limits);
}

/// A configured program, with its route's additional argument.
#[derive(Clone, Copy)]
struct Program<'a> {
    name: &'a str,
    next_hop: &'a str,
}

impl<'a> Program<'a> {
    fn of(kind: &'a HopKind) -> Option<Self> {
        match kind {
            HopKind::Pipe { name, next_hop } => Some(Self { name, next_hop }),
            _ => None,
        }
    }

    fn request(self, recipient: &Recipient) -> PipeRequest {
        let original = recipient
            .orcpt
            .as_deref()
            .and_then(|orcpt| orcpt.strip_prefix("rfc822;"));
        PipeRequest {
            name: self.name.to_owned(),
            next_hop: match self.next_hop {
                "" => recipient.address.domain().to_string(),
                next_hop => next_hop.to_owned(),
            },
            original: original.map_or_else(|| recipient.address.to_string(), str::to_owned),
        }
    }
}

/// A program gets one copy for each recipient.
fn for_program(message: &Message, dues: &[Due], separator: Option<char>) -> Vec<Copy> {
    let copy = |due: &Due| {
        let recipient = message.envelope.recipients.get(due.index as usize)?;
        let local = recipient.address.unquoted_local();
        let parts = separator.and_then(|separator| local.split_once(separator));
        let (user, detail) = parts.unwrap_or((&*local, ""));
        Some(Copy {
            to: Ok(Resident {
                user: user.to_owned(),
                detail: detail.to_owned(),
            }),
            dues: vec![*due],
        })
    };
    dues.iter().filter_map(copy).collect()
}

/// Recipients that get one copy.
struct Copy {
    to: Result<Resident, Failure>,
    dues: Vec<Due>,
}

/// The owner of a mailbox.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Resident {
    user: String,
    detail: String,
}

/// The copies to make. Directories are asked at each attempt, since users come and go while mail waits. Addresses of one user
/// with the same detail share a copy, since only the detail makes a difference.
async fn copies(core: &Core, message: &Message, dues: &[Due]) -> Vec<Copy> {
    let mut copies: Vec<Copy> = Vec::new();
    let mut known: HashMap<Resident, usize> = HashMap::new();
    for due in dues {
        let Some(recipient) = message.envelope.recipients.get(due.index as usize) else {
            continue;
        };
        let to = resident(core, &recipient.address).await;
        let place = to.as_ref().ok().and_then(|to| known.get(to).copied());
        if let Some(copy) = place.and_then(|place| copies.get_mut(place)) {
            copy.dues.push(*due);
            continue;
        }
        if let Ok(to) = &to {
            known.insert(to.clone(), copies.len());
        }
        copies.push(Copy { to, dues: vec![*due] });
    }
    copies
}

async fn resident(core: &Core, address: &Mailbox) -> Result<Resident, Failure> {
    match core.deps.mailboxes.residence(address).await {
        Residence::Mailbox(mailbox) => {
            let (user, local) = (mailbox.unquoted_local(), address.unquoted_local());
            // The rest after the name and the separator.
            let detail = local.strip_prefix(&*user).and_then(|rest| rest.get(1..));
            Ok(Resident {
                detail: detail.unwrap_or_default().to_owned(),
                user: user.into_owned(),
            })
        }
        Residence::Nobody => Err(Failure::permanent(
            Status(5, 1, 1),
            &Relay::System,
            Cause::NoMailbox("No such mailbox here".into()),
        )),
        Residence::Unknown(reason) => Err(Failure::temporary(
            Status(4, 4, 3),
            &Relay::System,
            Cause::Local(format!("Cannot determine now whether the mailbox exists: {reason}").into()),
        )),
    }
}

/// The result of one copy.
struct Made {
    fate: Fate,
    sent_on: Option<NewMessage>,
}

impl From<Failure> for Made {
    fn from(failure: Failure) -> Self {
        Self {
            fate: Fate::Failed(failure),
            sent_on: None,
        }
    }
}

async fn copy_to(
    core: &Core,
    settings: &Settings,
    message: &Message,
    copy: &Copy,
    program: Option<Program<'_>>,
) -> Made {
    let resident = match &copy.to {
        Ok(resident) => resident,
        Err(failure) => return failure.clone().into(),
    };
    let Some(due) = copy.dues.first() else {
        return nowhere().into();
    };
    let Some(recipient) = message.envelope.recipients.get(due.index as usize) else {
        return nowhere().into();
    };
    let Some(system) = &settings.system else {
        return nowhere().into();
    };
    let address = &recipient.address;
    let pipe = program.map(|program| program.request(recipient));
    let request = Request {
        pipe,
        ..request(message, address, due, resident)
    };
    let done = match ask(core, system, message, due, &request).await {
        Ok(done) => done,
        Err(failure) if program.is_some() => return failure.into(),
        Err(failure) => return not_without_reader(failure, address).into(),
    };
    for reason in &done.warnings {
        let observers = &core.deps.observers;
        notice!(observers, Outcome Warning "not as the user's settings say", Queue = shown(&message.id), To = shown(address), Reason = reason.as_str());
    }
    if done.forward.is_empty() {
        return delivered(&done, SuccessReport::Delivered).into();
    }
    match sent_on::make(core, message, recipient, &resident.user, &done).await {
        Ok(made) => {
            let observers = &core.deps.observers;
            notice!(observers, Outcome Info "sent on by .forward", Queue = shown(&message.id), To = shown(address), Again = shown(&made.id), Recipients = made.envelope.recipients.len());
            // The forwarded copies report success, unless a copy was delivered here.
            let success = match done.places.is_empty() {
                true => SuccessReport::NextHop,
                false => SuccessReport::Delivered,
            };
            Made {
                sent_on: Some(made),
                ..delivered(&done, success).into()
            }
        }
        Err(reason) => {
            let text = format!("it cannot be sent on: {reason}");
            Failure::temporary(Status(4, 3, 0), &Relay::System, Cause::Local(text.into())).into()
        }
    }
}

/// The postmaster always exists (RFC 5321 section 4.5.1): mail for one without a reader waits until somebody is appointed.
fn not_without_reader(failure: Failure, address: &Mailbox) -> Failure {
    let is_postmaster = address.unquoted_local().eq_ignore_ascii_case("postmaster");
    match &*failure.cause {
        Cause::NoMailbox(_) if is_postmaster => {
            let text =
                "no user of this machine is called postmaster; name who reads this mail in the aliases file";
            Failure::temporary(Status(4, 2, 1), &Relay::System, Cause::Settings(text.into()))
        }
        _ => failure,
    }
}

fn request(message: &Message, address: &Mailbox, due: &Due, resident: &Resident) -> Request {
    Request {
        user: resident.user.clone(),
        detail: resident.detail.clone(),
        sender: message
            .envelope
            .sender
            .mailbox()
            .map(ToString::to_string)
            .unwrap_or_default(),
        recipient: address.to_string(),
        local: address.unquoted_local().into_owned(),
        domain: address.domain().to_string(),
        queue: message.id.to_string(),
        index: due.index,
        received: message.received_at.as_second(),
        forwarded_before: sent_on::was_sent_on(&message.prefix, &sent_on::mark(&resident.user, address)),
        pipe: None,
    }
}

/// Hands a copy to the helper.
async fn ask(
    core: &Core,
    system: &SystemUsers,
    message: &Message,
    due: &Due,
    request: &Request,
) -> Result<Done, Failure> {
    match helper::ask(&core.deps, system, message, due, request).await {
        Ok(Reply::Done(done)) => Ok(done),
        Ok(Reply::Failed(trouble)) => Err(failure(&trouble)),
        Err(text) => Err(Failure::temporary(
            Status(4, 3, 0),
            &Relay::System,
            Cause::Local(text.into()),
        )),
    }
}

/// The failure for the helper's reply.
fn failure(trouble: &Trouble) -> Failure {
    let text = || trouble.text.clone().into();
    let cause = match trouble.kind {
        Kind::NoUser => Cause::NoMailbox(text()),
        Kind::Refused | Kind::Agent => Cause::Mailbox(MailboxFact::Agent, text()),
        Kind::Quota => Cause::Mailbox(MailboxFact::Full, text()),
        Kind::Locked => Cause::Mailbox(MailboxFact::Locked, text()),
        Kind::Mailbox => Cause::Mailbox(MailboxFact::Unusable, text()),
        Kind::DiskFull | Kind::Helper => Cause::Local(text()),
    };
    let status = trouble.kind.status();
    match trouble.kind.is_permanent() {
        true => Failure::permanent(status, &Relay::System, cause),
        false => Failure::temporary(status, &Relay::System, cause),
    }
}

fn delivered(done: &Done, success: SuccessReport) -> Fate {
    let mut words = Vec::new();
    if !done.places.is_empty() {
        words.push(format!("delivered to {}", done.places.join(", ")));
    }
    if !done.forward.is_empty() {
        words.push(format!("sent on to {}", done.forward.join(", ")));
    }
    Fate::Delivered {
        relay: Relay::System,
        attempt: Attempt {
            relay: Relay::System.to_string(),
            status: Some(Status(2, 0, 0)),
            reply: shorten(words.join(", ")),
            failure: None,
        },
        success,
    }
}

impl From<Fate> for Made {
    fn from(fate: Fate) -> Self {
        Self { fate, sent_on: None }
    }
}

/// The settings have changed meanwhile.
fn nowhere() -> Failure {
    let text = "the configuration has no [system_users] any more";
    Failure::temporary(Status(4, 3, 5), &Relay::System, Cause::Settings(text.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_mail::FailureKind;

    #[test]
    fn the_postmasters_mail_waits_for_a_reader() {
        let nobody = || failure(&Trouble::new(Kind::NoUser, "no user"));
        for (address, permanent) in [("Postmaster@mx.test", false), ("ann@mx.test", true)] {
            let failure = not_without_reader(nobody(), &address.parse().unwrap());
            assert_eq!(failure.permanent, permanent, "{address}");
        }
        let locked = failure(&Trouble::new(Kind::Locked, "locked"));
        let same = not_without_reader(locked.clone(), &"postmaster@mx.test".parse().unwrap());
        assert_eq!(same, locked);
    }

    #[test]
    fn what_the_helper_says_and_what_follows() {
        #[rustfmt::skip]
        let cases = [
            (Kind::NoUser,   true,  "5.1.1", FailureKind::MailboxUnknown),
            (Kind::Refused,  true,  "5.7.1", FailureKind::Agent),
            (Kind::Agent,    false, "4.3.0", FailureKind::Agent),
            (Kind::Quota,    false, "4.2.2", FailureKind::MailboxFull),
            (Kind::DiskFull, false, "4.3.1", FailureKind::Local),
            (Kind::Locked,   false, "4.2.0", FailureKind::MailboxLocked),
            (Kind::Mailbox,  false, "4.2.1", FailureKind::MailboxUnusable),
            (Kind::Helper,   false, "4.3.0", FailureKind::Local),
        ];
        for (kind, permanent, status, fact) in cases {
            let failure = failure(&Trouble::new(kind, "why"));
            assert_eq!(failure.permanent, permanent, "{kind:?}");
            assert_eq!(failure.status.to_string(), status, "{kind:?}");
            assert_eq!(failure.fact().kind, fact, "{kind:?}");
            assert_eq!(failure.line(), "system: why", "{kind:?}");
        }
    }
}
