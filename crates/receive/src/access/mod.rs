//! Access rules in a session: facts are gathered, rules are judged at each stage ([`postern_policy::access`]), missing facts are
//! looked up, and the actions are carried out. A session whose listener has no rules has none of this.

mod end;
pub mod facts;
pub mod find;
mod noted;
mod notes;
pub mod service;
mod services_asked;
mod settings;
mod stages;
mod state;

use postern_policy::access::{Outcome, Question, judge_again, judge_on};

use self::find::Finding;
pub use self::settings::{AccessSettings, ServiceSettings};
use self::state::Matter;
use crate::io::{End, Io};
use crate::session::Session;

pub(crate) use self::end::end;
pub(crate) use self::service::Services;
pub(crate) use self::stages::{AtRecipient, Judged};
pub(crate) use self::stages::{connect, helo, recipient, sender};
pub(crate) use self::state::Accessing;

/// Most questions for one judgement: more than can arise, unless tables refer to each other in a loop.
const QUESTIONS_MAX: usize = 1_000;

impl Accessing {
    /// For a session whose listener has rules; else `None`.
    pub(crate) fn of(session: &Session) -> Option<Box<Self>> {
        (!session.profile.access.rules.is_empty()).then(|| {
            let mut access = Box::<Self>::default();
            access.helo_faults = facts::faults_in(&access.helo, session);
            access
        })
    }

    /// Looks up what the rules need, until they have decided all that they can at a stage. Pending replies are sent before
    /// waiting for a look-up.
    async fn settle(
        &mut self,
        matter: &Matter<'_>,
        io: Option<&mut Io>,
        session: &Session,
    ) -> Result<(), End> {
        let mut io = io;
        for _ in 0..QUESTIONS_MAX {
            let Some(question) = self.question(matter, session) else {
                return Ok(());
            };
            if let Some(io) = io.take() {
                io.flush().await?;
            }
            Finding { matter, session }.find(question, self).await;
        }
        Ok(())
    }

    /// What the rules still need to know.
    fn question(&mut self, matter: &Matter<'_>, session: &Session) -> Option<Question> {
        let mut ruled_out = std::mem::take(&mut self.ruled_out);
        let rules = &session.profile.access.rules;
        let facts = facts::facts(self, matter, session);
        let question = match judge_on(rules, &facts, &self.answers, &mut ruled_out) {
            Outcome::Ask(question) => Some(question),
            _ => None,
        };
        self.ruled_out = ruled_out;
        question
    }

    /// The outcome of the rules with what is known now. To be called when no questions are left.
    fn outcome<'a>(&'a self, matter: &'a Matter<'_>, session: &'a Session) -> Outcome<'a> {
        let facts = facts::facts(self, matter, session);
        judge_again(
            &session.profile.access.rules,
            &facts,
            &self.answers,
            &self.ruled_out,
        )
    }
}
