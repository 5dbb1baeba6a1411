//! `VRFY` and `EXPN`, where privacy allows them (RFC 5321 section 3.5).

use postern_directory::Lead;
use postern_mail::{Mailbox, ParseOptions, ReversePath};
use postern_policy::recipient::RecipientRefusal;
use postern_smtp::Reply;
use postern_smtp::reply::texts;

use crate::identity::address_of;
use crate::io::{End, Io};
use crate::probe;
use crate::recipient::lead;
use crate::session::{About, Session};

/// Says whether a name or address is a local user. Remote addresses are not confirmed.
pub(crate) async fn verify(name: &str, io: &mut Io, session: &Session) -> Result<Reply, End> {
    let Some(mailbox) = local_mailbox(name, session) else {
        return Ok(texts::VRFY_SILENT);
    };
    probe::wait(io, session).await?;
    Ok(match lead(&mailbox, session).await {
        Lead::Itself | Lead::Alias(_) => texts::verified(&mailbox),
        Lead::Broken | Lead::Refused(_) | Lead::Nobody => {
            probe::found_nobody(session);
            texts::user_unknown(&format_args!("<{mailbox}>"))
        }
        Lead::Unknown(reason) => {
            let refusal = RecipientRefusal::Directory(reason);
            session.refused(&refusal, &texts::VRFY_TEMPORARY, &About::default());
            texts::VRFY_TEMPORARY
        }
    })
}

/// Says who is on a list: the final targets of an alias.
pub(crate) fn expand(name: &str, session: &Session) -> Reply {
    let Some(mailbox) = local_mailbox(name, session) else {
        return texts::EXPN_NONE;
    };
    let Some(targets) = session
        .shared
        .deps
        .aliases
        .load()
        .lookup(&mailbox.unquoted_local())
    else {
        return texts::EXPN_NONE;
    };
    let members: Vec<String> = targets
        .into_iter()
        .filter_map(|target| address_of(target, &mailbox))
        .map(|member| member.to_string())
        .collect();
    if members.is_empty() {
        texts::EXPN_NONE
    } else {
        texts::expanded(&members)
    }
}

/// Reads a name or address, with or without angle brackets; `None` unless it is local.
fn local_mailbox(name: &str, session: &Session) -> Option<Mailbox> {
    let settings = &session.profile.settings;
    let options = ParseOptions {
        utf8: true,
        default_domain: Some(&settings.domain),
        limits: settings.limits.address,
    };
    let ReversePath::Mailbox(mailbox) = ReversePath::parse(name, &options).ok()? else {
        return None;
    };
    let domain = mailbox.domain();
    let relay = &settings.relay;
    let local = *domain == settings.domain || relay.local_domains.contains(domain) || relay.is_here(domain);
    local.then_some(mailbox)
}
