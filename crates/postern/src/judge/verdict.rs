//! What to do with a message according to the checks, and the fields that report it.

use postern_mail::fields::{FieldError, NewField};
use postern_mail::{Domain, Header, Mailbox};
use postern_policy::authenticity::{Action, Decided, Results, Subject, decide};
use postern_seal::judge::Judgement;
use postern_seal::judge::results::{hides_author, is_by};
use std::net::IpAddr;

use crate::config::JudgeSettings;

/// The field of messages that are marked.
const MARK: &str = "X-Postern-Judged";

/// The verdict from the checks.
pub(crate) struct Verdict {
    pub(crate) results: Results,
    pub(crate) action: Action,
    pub(crate) decided: Option<Decided>,
    /// `Authentication-Results`, and the mark if there is one.
    pub(crate) fields: Vec<NewField>,
}

/// Decides about a message.
///
/// # Errors
///
/// [`FieldError`]: the field cannot be written, which does not happen with values of bounded length.
pub(crate) fn of(
    judgement: &Judgement,
    (peer, helo, sender): (IpAddr, &str, Option<&Mailbox>),
    settings: &JudgeSettings,
) -> Result<Verdict, FieldError> {
    let results = judgement.results(|sealer| {
        sealer
            .parse::<Domain>()
            .is_ok_and(|domain| settings.arc_trusted.contains(&domain))
    });
    let subject = Subject {
        peer,
        sender: sender.map(Mailbox::domain),
        author: judgement.author.as_ref().ok(),
    };
    let decision = decide(&results, &subject, &settings.actions);
    let mut fields = vec![judgement.field(&settings.authserv_id, sender, helo)?];
    if let (Action::Mark, Some(decided)) = (decision.action, decision.decided) {
        let value = format!("{}; {}", decided.rule, decided);
        fields.push(NewField::new(MARK, value.as_bytes())?);
    }
    Ok(Verdict {
        results,
        action: decision.action,
        decided: decision.decided,
        fields,
    })
}

impl Verdict {
    /// Puts its fields below the first `own` ones, which are this server's, and removes what strangers wrote in its name.
    ///
    /// # Errors
    ///
    /// [`FieldError::TooMuchAdded`].
    pub(crate) fn apply(&self, header: &mut Header, own: usize, authserv_id: &str) -> Result<(), FieldError> {
        forget_forged(header, own, authserv_id);
        for (at, field) in self.fields.iter().enumerate() {
            header.insert(own + at, field)?;
        }
        Ok(())
    }
}

fn is_forged(field: postern_mail::fields::Field<'_>, authserv_id: &str) -> bool {
    field.is_named(MARK)
        || field.is_named("Authentication-Results")
            && (is_by(field.value(), authserv_id) || hides_author(field.value()))
}

/// Removes what claims to be from this server, from a header whose first `own` fields really are.
pub(crate) fn forget_forged(header: &mut Header, own: usize, authserv_id: &str) {
    let mut place = 0;
    header.retain(|field| {
        place += 1;
        place <= own || !is_forged(field, authserv_id)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_in_our_name_are_ours_alone() {
        let own = "Received: by us\r\n";
        let text = "Authentication-Results: mx.example.org; none\r\n\
                    Authentication-Results: mx.example.net; spf=pass\r\n\
                    ARC-Authentication-Results: i=1; mx.example.org; none\r\n\
                    AUTHENTICATION-RESULTS :\r\n\tMX.example.org (x) 1; dmarc=pass\r\n\
                    Authentication-Results: =?us-ascii?q?mx.example.org;_dmarc=3Dpass?=\r\n\
                    X-Postern-Judged: nothing to see\r\n\
                    From: a@x.example\r\n";
        let mut header = Header::parse(format!("{own}{text}").into_bytes());
        let verdict = Verdict {
            results: Results::default(),
            action: Action::Nothing,
            decided: None,
            fields: vec![NewField::new("Authentication-Results", b"mx.example.org; spf=fail").unwrap()],
        };
        verdict.apply(&mut header, 1, "mx.example.org").unwrap();
        assert_eq!(
            String::from_utf8(header.into_text()).unwrap(),
            "Received: by us\r\n\
             Authentication-Results: mx.example.org; spf=fail\r\n\
             Authentication-Results: mx.example.net; spf=pass\r\n\
             ARC-Authentication-Results: i=1; mx.example.org; none\r\n\
             From: a@x.example\r\n"
        );
    }
}
