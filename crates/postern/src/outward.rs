//! What changes about messages as they leave for another server: header checks and rewritten addresses with `at = "out"`.

use std::sync::Arc;

use postern_deliver::{Asked, Change, Leaving, Outward};
use postern_directory::rewriting::{Chosen, Rewriting, Rewritten, Trouble};
use postern_mail::{Header, Mailbox};
use postern_policy::Rule;
use postern_policy::header_check::{self, Check, Findings};
use postern_policy::rewrite::Class;

/// The rules and checks; only those for outgoing mail are used.
#[derive(Clone, Debug)]
pub(crate) struct OutwardRules {
    rewriting: Option<Arc<Rewriting>>,
    checks: Arc<[Check]>,
}

impl OutwardRules {
    /// The outgoing rules; `None` if there are none.
    pub(crate) fn new(rewriting: Option<Arc<Rewriting>>, checks: Arc<[Check]>) -> Option<Self> {
        let rewrites = rewriting
            .as_ref()
            .is_some_and(|rewriting| rewriting.going_out().is_some());
        let made = Self { rewriting, checks };
        (rewrites || header_check::going_out(&made.checks).is_some()).then_some(made)
    }

    async fn changes(&self, leaving: Leaving<'_>) -> Result<Option<Change>, Trouble> {
        let mut change = Change::default();
        let mut header = Header::parse(leaving.header.to_vec());
        let mut edited = self.check(&mut header, &mut change);
        if let Some(chosen) = self
            .rewriting
            .as_ref()
            .and_then(|rewriting| rewriting.going_out())
        {
            let made = chosen.header(&mut header).await?;
            edited |= made.fields > 0;
            for (from, made) in &made.addresses {
                tell(&mut change, "header", from, made);
            }
            if let Some(sender) = leaving.sender.mailbox() {
                change.sender = envelope(&chosen, Class::EnvelopeSender, sender, &mut change).await?;
            }
            for recipient in leaving.recipients {
                let to = envelope(&chosen, Class::EnvelopeRecipient, recipient, &mut change).await?;
                change.recipients.push(to);
            }
        }
        change.header = edited.then(|| header.into_text());
        let stays = change.header.is_none()
            && change.sender.is_none()
            && change.recipients.iter().all(Option::is_none);
        Ok((!stays).then_some(change))
    }

    /// Applies the checks to a header; returns whether they changed it.
    fn check(&self, header: &mut Header, change: &mut Change) -> bool {
        let Some(checks) = header_check::going_out(&self.checks) else {
            return false;
        };
        let mut findings = Findings::default();
        let all = header.len();
        // A table may demand what is no longer possible; a warning was given for the configuration.
        header_check::header(&checks, header, 0..all, &mut findings);
        for told in &findings.told {
            let rule = if told.verdict == "note" {
                Rule::CheckNoted
            } else {
                Rule::CheckEdited
            };
            change.told.push((rule, told.to_string()));
        }
        findings.edited
    }
}

impl Outward for OutwardRules {
    fn change<'a>(&'a self, leaving: Leaving<'a>) -> Asked<'a, Result<Option<Change>, String>> {
        Box::pin(async move { self.changes(leaving).await.map_err(|trouble| trouble.to_string()) })
    }
}

async fn envelope(
    chosen: &Chosen<'_>,
    class: Class,
    address: &Mailbox,
    change: &mut Change,
) -> Result<Option<Mailbox>, Trouble> {
    let Some(made) = chosen.envelope(class, address).await? else {
        return Ok(None);
    };
    tell(change, class.word(), &address.to_string(), &made);
    Ok(Some(made.to))
}

fn tell(change: &mut Change, place: &str, from: &str, made: &Rewritten) {
    change.told.push((Rule::RewriteChanged, made.told(place, from)));
}
