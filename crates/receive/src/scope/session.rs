//! What a session may send, by the scope of its login.

use std::sync::Arc;

use postern_mail::header::HeaderScan;
use postern_mail::{ForwardPath, Mailbox};
use postern_policy::identity::claimed;
use postern_policy::scope::{Scope, ScopeRefusal};
use postern_smtp::Reply;
use postern_smtp::reply::texts;
use postern_smtp::server::{Answer, AskRecipient, AskSender, Transaction};

use super::place::separator_of;
use super::settings::Scoped;
use crate::Settings;
use crate::sender::claims;
use crate::session::{About, Login, Session};

/// What limits the login of a session, by the rules as they are now; `None` where nothing does.
struct Limits<'s> {
    login: &'s Login,
    own: Option<Arc<Scope>>,
    settings: Arc<Settings>,
}

impl<'s> Limits<'s> {
    fn of(session: &'s Session) -> Option<Self> {
        let login = session.login.as_ref()?;
        let settings = session.shared.deps.settings.load_full();
        let own = login.standing.scope();
        (own.is_some() || !settings.scopes.rules.is_empty()).then_some(Self { login, own, settings })
    }

    async fn scoped(&self) -> Result<Scoped<'_>, ScopeRefusal> {
        let names = [self.login.authcid(), self.login.name()];
        self.settings.scopes.about(&names, self.own.as_deref()).await
    }
}

/// The reply to a sender that is not in the scope of the login.
pub(crate) async fn refused_sender(ask: &AskSender<'_>, session: &Session) -> Option<Reply> {
    let limits = Limits::of(session)?;
    let sender = ask.sender().mailbox();
    let judged = async {
        let separator = sender.and_then(|sender| separator_of(sender, &limits.settings));
        limits.scoped().await?.sends_as(sender, separator).await
    };
    let refusal = judged.await.err()?;
    let reply = texts::refused_path(ask.sender(), refusal.told(), &session.mark());
    session.refused(&refusal, &reply, &About::sender(ask.sender()));
    Some(reply)
}

/// The reply to a recipient that is not in the scope of the login.
pub(crate) async fn refused_recipient(ask: &AskRecipient<'_>, session: &Session) -> Option<Reply> {
    let limits = Limits::of(session)?;
    let recipient = match ask.path() {
        ForwardPath::Mailbox { mailbox, .. } => mailbox.clone(),
        ForwardPath::Postmaster => {
            Mailbox::new("postmaster", session.profile.settings.main_domain().clone()).ok()?
        }
    };
    let judged = async {
        let separator = separator_of(&recipient, &limits.settings);
        limits.scoped().await?.reaches(&recipient, separator).await
    };
    let refusal = judged.await.err()?;
    let reply = texts::refused_path(ask.path(), refusal.told(), &session.mark());
    session.refused(&refusal, &reply, &About::recipient(ask.sender(), ask.path()));
    Some(reply)
}

/// The answer to a message with an author who is not among the senders in the scope of the login.
///
/// # Errors
///
/// That answer.
pub(crate) async fn judge_authors(
    scan: &HeaderScan,
    transaction: &Transaction,
    session: &Session,
) -> Result<(), Answer> {
    let Some(limits) = Limits::of(session) else {
        return Ok(());
    };
    let judged = async {
        let scoped = limits.scoped().await?;
        if !scoped.limits_senders() {
            return Ok(());
        }
        for author in claimed(&claims(scan)) {
            let separator = separator_of(&author, &limits.settings);
            scoped.sends_as(Some(&author), separator).await?;
        }
        if scan.from_is_in_doubt() {
            // What was not read may name anybody.
            scoped.sends_as(None, None).await?;
        }
        Ok::<_, ScopeRefusal>(())
    };
    judged.await.map_err(|refusal: ScopeRefusal| {
        let reply = texts::refusal(refusal.told(), &session.mark());
        session.refused(&refusal, &reply, &About::message(transaction));
        Answer::stay(reply)
    })
}
