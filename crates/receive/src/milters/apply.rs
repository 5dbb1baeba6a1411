//! A filter's changes, prepared as a whole before any of them is made.

use postern_directory::Lead;
use postern_mail::{Envelope, ForwardPath, Mailbox, Notify, ParseOptions, Recipient, Ret, ReversePath};
use postern_milter::Change;
use postern_policy::relay::RelayVerdict;
use postern_smtp::server::{requests_of_recipient, requests_of_sender};
use postern_spool::Assembly;

use super::envelope::{self, Named, Slot};
use super::filtering::Filtering;
use super::header::{self, Seen};
use crate::recipient::{behind_alias, lead, mailbox_of};
use crate::session::Session;

/// Changes that can be made.
pub(super) struct Plan {
    pub(super) header: Option<Seen>,
    pub(super) envelope: EnvelopePlan,
    /// Why the message must be held.
    pub(super) quarantine: Option<String>,
}

/// Changes to the envelope.
#[derive(Default)]
pub(super) struct EnvelopePlan {
    sender: Option<Sender>,
    recipients: Option<(Vec<Recipient>, Vec<Named>)>,
}

/// A new sender.
struct Sender {
    path: ReversePath,
    ret: Option<Ret>,
    envid: Option<String>,
}

/// Why a change cannot be made, for the log.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unfit {
    #[error("it wants a field that cannot be sent: {0}")]
    Field(#[from] postern_mail::fields::FieldError),
    #[error("it wants mail to {0}, which is not an address: {1}")]
    Address(String, postern_mail::AddressError),
    #[error("it wants parameters that make no sense: {0}")]
    Parameters(String),
    #[error("it wants mail to {0}, an unknown address")]
    Nobody(String),
    #[error("it wants mail to {0}, and the directory cannot be asked: {1}")]
    Directory(String, String),
}

impl Filtering {
    /// Prepares changes.
    pub(super) async fn plan(
        &self,
        changes: &[Change],
        assembly: &mut Assembly,
        own: &[bool],
        session: &Session,
    ) -> Result<Plan, Unfit> {
        let header = if header::concerns_header(changes) {
            Some(header::edit(assembly.header_mut(), own, changes)?)
        } else {
            None
        };
        let mut plan = Plan {
            header,
            envelope: EnvelopePlan::default(),
            quarantine: None,
        };
        for change in changes {
            match change {
                Change::ChangeSender { sender, parameters } => {
                    plan.envelope.sender = Some(another_sender(sender, parameters, session)?);
                }
                Change::Quarantine(reason) => plan.quarantine = Some(reason.clone()),
                _ => {}
            }
        }
        if envelope::concerns_recipients(changes) {
            let slots = envelope::edit(&self.named, changes);
            plan.envelope.recipients = Some(recipients(slots, &assembly.envelope, session).await?);
        }
        Ok(plan)
    }
}

impl EnvelopePlan {
    /// Makes the changes; returns whether no recipient is left.
    pub(super) fn make(self, envelope: &mut Envelope, named: &mut Vec<Named>) -> bool {
        if let Some(Sender { path, ret, envid }) = self.sender {
            envelope.smtputf8 |= path.mailbox().is_some_and(|mailbox| !mailbox.is_ascii());
            envelope.sender = path;
            envelope.ret = ret.or(envelope.ret);
            envelope.envid = envid.or_else(|| envelope.envid.take());
        }
        if let Some((recipients, names)) = self.recipients {
            // Nobody is left, but the recipients must still be logged.
            if recipients.is_empty() {
                return true;
            }
            envelope.smtputf8 |= recipients.iter().any(|recipient| !recipient.address.is_ascii());
            envelope.recipients = recipients;
            *named = names;
        }
        false
    }
}

/// The remaining and the new recipients, each once, in order.
async fn recipients(
    slots: Vec<Slot<'_>>,
    envelope: &Envelope,
    session: &Session,
) -> Result<(Vec<Recipient>, Vec<Named>), Unfit> {
    let (mut all, mut names): (Vec<Recipient>, Vec<Named>) = (Vec::new(), Vec::new());
    let mut add = |recipient: Recipient| {
        if !all.iter().any(|known| known.address == recipient.address) {
            all.push(recipient);
        }
    };
    for slot in slots {
        match slot {
            Slot::Kept(named) => {
                let there = envelope.recipients.iter();
                there
                    .filter(|recipient| named.goes.contains(&recipient.address))
                    .cloned()
                    .for_each(&mut add);
                names.push(named);
            }
            Slot::New {
                recipient,
                parameters,
            } => {
                let (path, found) = another_recipient(recipient, parameters, session).await?;
                names.push(Named {
                    path: path.to_string(),
                    goes: found.iter().map(|recipient| recipient.address.clone()).collect(),
                });
                found.into_iter().for_each(&mut add);
            }
        }
    }
    Ok((all, names))
}

/// Where mail for a recipient added by a filter goes. The filter is the administrator's, so it may relay; local recipients must
/// exist.
async fn another_recipient(
    written: &str,
    parameters: &str,
    session: &Session,
) -> Result<(ForwardPath, Vec<Recipient>), Unfit> {
    let path = ForwardPath::parse(&in_angles(written), &options(session))
        .map_err(|error| Unfit::Address(written.to_owned(), error))?;
    let (notify, orcpt) =
        requests_of_recipient(parameters).map_err(|_| Unfit::Parameters(parameters.to_owned()))?;
    let one = |address: Mailbox| {
        vec![Recipient {
            notify,
            orcpt: orcpt.clone(),
            ..Recipient::new(address)
        }]
    };
    let local = match session.relay(&path) {
        RelayVerdict::RelayDomain { recipient } | RelayVerdict::Relay { recipient, .. } => {
            return Ok((path, one(recipient)));
        }
        RelayVerdict::Refuse(_) => match &path {
            ForwardPath::Mailbox { mailbox, .. } => {
                let found = one(mailbox.clone());
                return Ok((path, found));
            }
            ForwardPath::Postmaster => path.clone(),
        },
        RelayVerdict::Local { recipient } => recipient,
    };
    let mailbox = mailbox_of(local, session).ok_or_else(|| Unfit::Nobody(written.to_owned()))?;
    let found = found(&mailbox, notify, orcpt.clone(), session)
        .await
        .map_err(|reason| match reason {
            Some(reason) => Unfit::Directory(written.to_owned(), reason),
            None => Unfit::Nobody(written.to_owned()),
        })?;
    Ok((path, found))
}

/// The targets of a local address; `Err` says why a directory cannot tell.
async fn found(
    mailbox: &Mailbox,
    notify: Notify,
    orcpt: Option<String>,
    session: &Session,
) -> Result<Vec<Recipient>, Option<String>> {
    match lead(mailbox, session).await {
        Lead::Itself => Ok(vec![Recipient {
            notify,
            orcpt,
            ..Recipient::new(mailbox.clone())
        }]),
        Lead::Alias(members) => Ok(behind_alias((notify, orcpt), mailbox, members)),
        Lead::Broken | Lead::Refused(_) | Lead::Nobody => Err(None),
        Lead::Unknown(reason) => Err(Some(reason)),
    }
}

fn another_sender(written: &str, parameters: &str, session: &Session) -> Result<Sender, Unfit> {
    let path = ReversePath::parse(&in_angles(written), &options(session))
        .map_err(|error| Unfit::Address(written.to_owned(), error))?;
    let (ret, envid) =
        requests_of_sender(parameters).map_err(|_| Unfit::Parameters(parameters.to_owned()))?;
    Ok(Sender { path, ret, envid })
}

fn options(session: &Session) -> ParseOptions<'_> {
    ParseOptions {
        utf8: true,
        default_domain: Some(session.profile.settings.main_domain()),
        ..ParseOptions::default()
    }
}

/// An address in angle brackets.
fn in_angles(written: &str) -> String {
    let written = written.trim();
    if written.starts_with('<') {
        written.to_owned()
    } else {
        format!("<{written}>")
    }
}
