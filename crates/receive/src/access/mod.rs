//! Access rules in a session: facts are gathered, rules are judged at each stage ([`postern_policy::access`]), what they lack is found
//! out, and what they want done is done. A session whose listener has no rules has nothing of this.

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

use jiff::Zoned;
use postern_policy::access::{Outcome, judge};

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

/// Questions that one judgement may take: more than there are, unless tables lead in circles.
const QUESTIONS_MAX: usize = 1_000;

impl Accessing {
    /// Of a session whose listener has rules.
    pub(crate) fn of(session: &Session) -> Option<Box<Self>> {
        (!session.profile.access.rules.is_empty()).then(|| {
            let mut access = Box::<Self>::default();
            access.helo_faults = facts::faults_in(&access.helo, session);
            access
        })
    }

    /// Finds out what the rules lack, until they have said all that can be said at a stage. What was said to the client before is sent
    /// before anybody is waited for.
    async fn settle(
        &mut self,
        matter: &Matter<'_>,
        io: Option<&mut Io>,
        session: &Session,
    ) -> Result<(), End> {
        let access = &session.profile.access;
        let now = Zoned::now().datetime();
        let mut io = io;
        for _ in 0..QUESTIONS_MAX {
            let question = {
                let facts = facts::facts(self, matter, now, session);
                match judge(&access.rules, &facts, &self.answers, |_, _| {}) {
                    Outcome::Ask(question) => question,
                    _ => return Ok(()),
                }
            };
            if let Some(io) = io.take() {
                io.flush().await?;
            }
            Finding { matter, now, session }.find(question, self).await;
        }
        Ok(())
    }

    /// Says what comes of the rules, by what is known now.
    fn outcome<'a>(&'a self, matter: &Matter<'_>, session: &'a Session) -> Outcome<'a> {
        let facts = facts::facts(self, matter, Zoned::now().datetime(), session);
        judge(&session.profile.access.rules, &facts, &self.answers, |_, _| {})
    }
}
