//! The service behind HTTP: that of the control socket, with requests by somebody with a role.

use std::sync::Arc;

use postern_receive::Receiver;
use postern_spool::BodyReader;
use serde_json::Value;

use super::permit::{Permit, permit};
use super::problem::Problem;
use super::role::{By, Who};
use super::sessions::NewSession;
use super::standing::LoginsOfTokens;
use super::state::Admin;
use crate::control::acts;
use crate::control::protocol::{MessageView, Operation, Reply, Request};
use crate::control::queue::{OperationError, content};
use crate::control::server::{Asking, Deps, carry_out};
use crate::control::wishes::Told;

/// The service. Cloning shares it.
#[derive(Clone)]
pub(crate) struct Service {
    deps: Arc<Deps>,
    logins: Arc<LoginsOfTokens>,
}

impl Service {
    /// A service that works on the same objects as the control socket.
    pub(crate) fn new(deps: Deps) -> Self {
        Self {
            deps: Arc::new(deps),
            logins: Arc::default(),
        }
    }

    pub(crate) fn admin(&self) -> &Arc<Admin> {
        &self.deps.admin
    }

    pub(crate) fn receiver(&self) -> &Receiver {
        &self.deps.receiver
    }

    /// Octets that a message may have, as the configuration in force says.
    pub(crate) fn message_size(&self) -> usize {
        let size = self.deps.settings.load().admission.message_size;
        usize::try_from(size).unwrap_or(usize::MAX / 4)
    }

    /// What the service works on.
    pub(crate) fn deps(&self) -> &Deps {
        &self.deps
    }

    /// Makes a request, as far as `who` may. The answer is that of the control socket; an action is recorded in the history with
    /// `reason`.
    ///
    /// # Errors
    ///
    /// See [`Problem`].
    pub(crate) async fn ask(
        &self,
        who: &Who,
        reason: Option<String>,
        request: Request,
    ) -> Result<Value, Problem> {
        self.stands(who).await?;
        let request = match permit(who, request) {
            Permit::Ask(request) => request,
            Permit::IfOwn { id, request } => {
                self.only_own(who, &id).await?;
                request
            }
            Permit::No(refusal) => return Err(Problem::Forbidden(refusal.to_string())),
        };
        let (service, who) = (self.clone(), who.clone());
        let done = match acts::of(&request).is_some() {
            // Once begun, an act is completed and recorded, whether or not the client waits for it.
            true => tokio::spawn(async move { service.carry_out(&who, reason, request).await })
                .await
                .map_err(|gone| Problem::Failed(gone.to_string()))?,
            false => service.carry_out(&who, reason, request).await,
        };
        match done {
            Reply::Done(value) => Ok(value),
            Reply::NotFound(message) => Err(Problem::NotFound(message)),
            Reply::Bad(message) => Err(Problem::Bad(message)),
            Reply::Failed(message) => Err(Problem::Failed(message)),
            // Those are only made of answers while they are sent to the socket.
            Reply::Piece(_) | Reply::Items(_) => Err(Problem::Failed("an answer in pieces".into())),
        }
    }

    async fn carry_out(&self, who: &Who, reason: Option<String>, request: Request) -> Reply {
        let asking = Asking {
            by: &who.name,
            way: who.by,
            uid: who.uid,
            trusts: !about_own(who, &request),
            told: Told {
                sudo_user: None,
                reason,
            },
        };
        carry_out(request, asking, &self.deps).await
    }

    /// A token is valid no longer than its login.
    async fn stands(&self, who: &Who) -> Result<(), Problem> {
        let (By::Token, Some(login)) = (who.by, &who.login) else {
            return Ok(());
        };
        let directories = self.receiver().directories();
        match self.logins.refusal(&directories, login).await {
            Some(reason) => Err(Problem::Forbidden(format!("{login} cannot log in: {reason}"))),
            None => Ok(()),
        }
    }

    /// The content of a message, to be read piece by piece.
    ///
    /// # Errors
    ///
    /// See [`Problem`].
    pub(crate) async fn content(&self, who: &Who, id: &str) -> Result<BodyReader, Problem> {
        self.stands(who).await?;
        let asked = Request::Queue(Operation::Content { id: id.to_owned() });
        match permit(who, asked) {
            Permit::Ask(_) => {}
            Permit::IfOwn { id, .. } => self.only_own(who, &id).await?,
            Permit::No(refusal) => return Err(Problem::Forbidden(refusal.to_string())),
        }
        content(&*self.deps.spool, id).await.map_err(of_operation)
    }

    /// Somebody else's message is treated as nonexistent.
    async fn only_own(&self, who: &Who, id: &str) -> Result<(), Problem> {
        let show = Operation::Show { id: id.to_owned() };
        let shown = crate::control::queue::perform(&*self.deps.spool, &show, &who.name).await;
        let view: MessageView = serde_json::from_value(shown.map_err(of_operation)?)
            .map_err(|error| Problem::Failed(error.to_string()))?;
        match view.line.login {
            Some(login) if who.is(&login) => Ok(()),
            _ => Err(Problem::NotFound(format!(
                "no message {} in the queue",
                view.line.id
            ))),
        }
    }

    /// Opens the page with a link, which cannot be used again.
    pub(crate) fn open_link(&self, secret: &str) -> Option<NewSession> {
        let (session, by) = self.admin().open_link(secret)?;
        let observers = &self.deps.observers;
        postern_events::notice!(observers, Control Warning "the page was opened with a link", By = by);
        Some(session)
    }
}

/// Whether somebody makes a request about their own second factor, which requires a code.
fn about_own(who: &Who, request: &Request) -> bool {
    match request {
        Request::Factors(asked) => asked.login().is_some_and(|login| who.is(login)),
        _ => false,
    }
}

fn of_operation(error: OperationError) -> Problem {
    match error {
        OperationError::NotFound(message) => Problem::NotFound(message),
        error => Problem::Failed(error.to_string()),
    }
}
