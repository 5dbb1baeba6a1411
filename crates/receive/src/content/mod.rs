//! What this server itself changes in a message that it accepts: header and body checks, rewritten addresses, copies.
//!
//! One place for every way in: `DATA` and `BDAT`, the network and local submission. A message to which no rule applies has no
//! [`Content`], and costs nothing. The order, and why, is in `docs/decisions/0016-rewriting.md`:
//!
//! 1. judges see the header as received;
//! 2. checks run on it, then its addresses are rewritten;
//! 3. mail filters and signers see the result.

mod body;
mod copies;
mod followed;
pub(crate) mod kept;
mod notes;
mod recipient;
mod refusal;
pub(crate) mod settings;
mod telling;

use std::net::IpAddr;
use std::sync::Arc;

use postern_directory::rewriting::Chosen;
use postern_mail::{Envelope, Header, Mailbox, Recipient, ReversePath};
use postern_policy::copy;
use postern_policy::header_check::{self, Findings};
use postern_policy::rewrite::{Class, Client};
use postern_policy::route::Detour;
use postern_policy::rule::Rule;
use postern_spool::{Hold, Refusal};

pub(crate) use self::followed::{Named, members};
pub use self::kept::Copy;
use self::notes::Notes;
pub(crate) use self::recipient::{copies, rewritten};
use self::refusal::{in_words, unsure};
pub use self::settings::ContentSettings;
use crate::session::Session;

/// One incoming message, for a session and for `postern explain` alike.
#[derive(Debug)]
pub struct Content {
    settings: Arc<ContentSettings>,
    client: Client,
    listener: Box<str>,
    /// Largest message in octets after its body was edited.
    size_max: u64,
    findings: Findings,
    notes: Notes,
}

/// What is known about the client of a session.
pub(crate) fn client(session: &Session) -> Client {
    let own = |ip: IpAddr| {
        let local = session.local.map(|local| local.ip().to_canonical());
        ip.is_loopback() || local == Some(ip)
    };
    let login = session.login.is_some();
    Client {
        local: session.user.is_some() || own(session.peer.ip().to_canonical()),
        login,
        relays: session.is_trusted_host() || (!login && session.may_relay()),
        address: session.user.is_none().then(|| session.peer.ip()),
    }
}

impl Content {
    /// For a message of this session; `None` if nothing is changed in it.
    pub(crate) fn of(session: &Session) -> Option<Box<Self>> {
        let settings = Arc::clone(session.profile.settings.content.as_ref()?);
        if session.is_filtered() {
            return None;
        }
        let size_max = session.profile.settings.admission.message_size;
        Self::new(settings, client(session), session.listener(), size_max)
    }

    /// For a message of this client at this listener, with this size limit; `None` if nothing is changed in it.
    #[must_use]
    pub fn new(
        settings: Arc<ContentSettings>,
        client: Client,
        listener: &str,
        size_max: u64,
    ) -> Option<Box<Self>> {
        let any = settings.rewriting(&client, listener).is_some()
            || header_check::coming_in(&settings.checks, &client, listener).is_some()
            || settings.copies.iter().any(|rule| rule.is_for(&client, listener));
        any.then(|| {
            Box::new(Self {
                listener: listener.into(),
                settings,
                client,
                size_max,
                findings: Findings::default(),
                notes: Notes::default(),
            })
        })
    }

    fn rewriting(&self) -> Option<Chosen<'_>> {
        self.settings.rewriting(&self.client, &self.listener)
    }

    fn checks(&self) -> Option<header_check::Chosen<'_>> {
        header_check::coming_in(&self.settings.checks, &self.client, &self.listener)
    }

    /// Whether the body may be changed.
    pub(crate) fn may_edit_body(&self) -> bool {
        self.checks().is_some_and(|checks| checks.may_edit_body())
    }

    /// Why the message is discarded: the check, and the reason.
    #[must_use]
    pub fn discarded(&self) -> Option<String> {
        let (check, reason) = self.findings.discarded.as_ref()?;
        Some(format!("{check}: {reason}"))
    }

    /// Applies the rules to the header as received.
    ///
    /// # Errors
    ///
    /// The message is not to be taken.
    pub async fn header(&mut self, fields: Vec<u8>) -> Result<Vec<u8>, Refusal> {
        let mut header = Header::parse(fields);
        let all = header.len();
        self.check(&mut header, 0..all)?;
        if self.findings.discarded.is_none() {
            self.addresses(&mut header).await?;
        }
        Ok(header.into_text())
    }

    /// Applies the rules to the fields that this server adds on top: trace, and those missing in a submission.
    ///
    /// # Errors
    ///
    /// The message is not to be taken.
    pub(crate) async fn own_fields(&mut self, fields: Vec<u8>) -> Result<Vec<u8>, Refusal> {
        self.header(fields).await
    }

    /// Rewrites the addresses in fields.
    async fn addresses(&mut self, header: &mut Header) -> Result<(), Refusal> {
        let Some(rewriting) = self.rewriting() else {
            return Ok(());
        };
        let changed = rewriting
            .header(header)
            .await
            .map_err(|trouble| unsure(&trouble))?;
        for (from, made) in changed.addresses {
            self.notes.rewritten("header", &from, &made);
        }
        Ok(())
    }

    fn check(&mut self, header: &mut Header, fields: std::ops::Range<usize>) -> Result<(), Refusal> {
        let mut findings = std::mem::take(&mut self.findings);
        if let Some(checks) = self.checks() {
            header_check::header(&checks, header, fields, &mut findings);
        }
        self.findings = findings;
        self.refused()
    }

    fn refused(&self) -> Result<(), Refusal> {
        match &self.findings.refused {
            Some((check, words)) => Err(in_words(check, words)),
            None => Ok(()),
        }
    }

    /// Rewrites the senders of the envelope: its own, and those of lists, whose owners are local.
    ///
    /// # Errors
    ///
    /// A table cannot be asked.
    pub async fn senders(&mut self, envelope: &mut Envelope) -> Result<(), Refusal> {
        if let ReversePath::Mailbox(sender) = &envelope.sender
            && let Some(to) = self.sender(sender, self.client).await?
        {
            envelope.smtputf8 |= !to.is_ascii();
            envelope.sender = ReversePath::Mailbox(to);
        }
        for recipient in &mut envelope.recipients {
            if let Some(owner) = &recipient.sender
                && let Some(to) = self.sender(owner, Client::THIS_MACHINE).await?
            {
                recipient.sender = Some(to);
            }
        }
        Ok(())
    }

    async fn sender(&mut self, sender: &Mailbox, client: Client) -> Result<Option<Mailbox>, Refusal> {
        let Some(rewriting) = self.settings.rewriting(&client, &self.listener) else {
            return Ok(None);
        };
        let made = rewriting.envelope(Class::EnvelopeSender, sender).await;
        let Some(made) = made.map_err(|trouble| unsure(&trouble))? else {
            return Ok(None);
        };
        self.notes
            .rewritten(Class::EnvelopeSender.word(), &sender.to_string(), &made);
        Ok(Some(made.to))
    }

    /// The last steps for an accepted message: redirection and copies. Returns why it is held, if it is. `copies` are those that
    /// its recipients have caused.
    ///
    /// # Errors
    ///
    /// A table cannot be asked.
    pub async fn conclude(
        &mut self,
        envelope: &mut Envelope,
        copies: Vec<Copy>,
    ) -> Result<Option<Hold>, Refusal> {
        let mut hold = None;
        if let Some((check, reason)) = &self.findings.held {
            hold = Some(Hold::by_rule(Rule::CheckHeld, format_args!("{check}: {reason}")));
            self.notes.tell(Rule::CheckHeld, format!("{check}: {reason}"));
        }
        if let Some((check, detour)) = &self.findings.detour {
            self.notes.tell(Rule::CheckDetoured, format!("{check}: {detour}"));
        }
        if let Some((check, to)) = &self.findings.redirected {
            self.notes
                .tell(Rule::CheckRedirected, format!("{check}: to {to}"));
            // It goes nowhere else: a redirected message must not reach its recipients.
            redirect(envelope, to);
        } else {
            let mut copies = copies;
            let by_check = self.findings.copies.iter();
            copies.extend(by_check.map(|(rule, to)| (rule.clone(), to.clone())));
            copies.extend(self.copies_by_sender(&envelope.sender).await?);
            self.add_copies(envelope, copies);
        }
        for told in &self.findings.told {
            self.notes.checked(told);
        }
        Ok(hold)
    }

    /// The route that checks have set for the message.
    #[must_use]
    pub fn detour(&self) -> Option<Arc<Detour>> {
        self.findings.detour.as_ref().map(|(_, detour)| detour.clone())
    }

    /// Adds copies, without duplicates of each other or of existing recipients.
    fn add_copies(&mut self, envelope: &mut Envelope, copies: Vec<Copy>) {
        let mut added = 0;
        for (rule, to) in copies {
            if added < copy::COPIES_MAX && copy::add(envelope, &to) {
                added += 1;
                self.notes.tell(Rule::CopyAdded, format!("{rule}: to {to}"));
            }
        }
    }
}

/// Replaces all recipients with one address.
fn redirect(envelope: &mut Envelope, to: &Mailbox) {
    let first = envelope.recipients.first().cloned();
    envelope.smtputf8 |= !to.is_ascii();
    let new = match first {
        Some(first) => Recipient {
            orcpt: first
                .orcpt
                .or_else(|| Some(format!("rfc822;{}", first.address)).filter(|_| first.address.is_ascii())),
            notify: first.notify,
            ..Recipient::new(to.clone())
        },
        None => Recipient::new(to.clone()),
    };
    envelope.recipients = vec![new];
}
