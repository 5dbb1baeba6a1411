//! `MAIL`, `RCPT`, `DATA` and `BDAT`.

use postern_mail::address::PathKind;
use postern_mail::{BodyKind, ForwardPath, ParseOptions, ReversePath};

use super::parameters::{mail_parameters, rcpt_parameters};
use super::{AskData, AskRecipient, AskSender, Cause, Chunk, Dialogue, Rules, Step, Transaction};
use crate::command::PathArgument;
use crate::reply::{Reply, texts};

impl Dialogue {
    pub(super) fn mail(&mut self, argument: PathArgument<'_>) -> Step<'_> {
        let mut cause = None;
        let refusal = if self.rules.commands.mail_needs_helo && self.client.is_none() {
            cause = Some(Cause::MailBeforeHelo);
            texts::HELO_FIRST
        } else if self.in_chunks() {
            texts::IN_CHUNKS
        } else if self.transaction.is_some() {
            texts::SENDER_ALREADY
        } else if self.rules.auth.required && !self.authenticated {
            cause = Some(Cause::LoginWanted);
            self.login_wanted()
        } else {
            match begin(argument, &self.rules, self.authenticated) {
                Ok(transaction) => {
                    return Step::Sender(AskSender {
                        dialogue: self,
                        transaction: Box::new(transaction),
                    });
                }
                Err(refusal) => refusal,
            }
        };
        self.mistake(refusal).because(cause).into()
    }

    pub(super) fn rcpt(&mut self, argument: PathArgument<'_>) -> Step<'_> {
        let Some(transaction) = self.transaction.as_deref() else {
            return self.mistake(texts::MAIL_FIRST).into();
        };
        if transaction.in_chunks {
            return self.mistake(texts::IN_CHUNKS).into();
        }
        let options = ParseOptions {
            utf8: transaction.envelope.smtputf8,
            default_domain: self.rules.qualify_recipients.as_ref(),
            limits: self.rules.limits.address,
        };
        let parsed = ForwardPath::parse(argument.path, &options)
            .map_err(|error| texts::bad_address(error, PathKind::Forward))
            .and_then(|path| {
                Ok((
                    path,
                    rcpt_parameters(argument.parameters, self.rules.extensions.dsn)?,
                ))
            });
        match parsed {
            Ok((path, (notify, orcpt))) => Step::Recipient(AskRecipient {
                dialogue: self,
                path,
                notify,
                orcpt,
            }),
            Err(refusal) => self.mistake(refusal).into(),
        }
    }

    /// Whether a message may be sent now, with `DATA` or `BDAT`.
    fn ready_for_message(&self) -> Result<&Transaction, Reply> {
        match self.transaction.as_deref() {
            None => Err(texts::DATA_WITHOUT_MAIL),
            Some(transaction) if transaction.envelope.recipients.is_empty() && transaction.discarded == 0 => {
                Err(texts::DATA_WITHOUT_RCPT)
            }
            Some(transaction) => Ok(transaction),
        }
    }

    pub(super) fn data(&mut self) -> Step<'_> {
        let refusal = match self.ready_for_message() {
            Err(refusal) => refusal,
            Ok(transaction) if transaction.in_chunks => texts::IN_CHUNKS,
            Ok(transaction) if transaction.envelope.body == BodyKind::BinaryMime => texts::DATA_BINARY,
            Ok(_) => match self.transaction.take() {
                Some(transaction) => {
                    return Step::Data(AskData {
                        dialogue: self,
                        transaction,
                    });
                }
                None => texts::DATA_WITHOUT_MAIL,
            },
        };
        self.mistake(refusal).into()
    }

    pub(super) fn bdat(&mut self, size: u64, last: bool) -> Step<'_> {
        let refusal = if self.rules.extensions.chunking {
            self.ready_for_message().err()
        } else {
            Some(texts::unrecognized(b"BDAT"))
        };
        if let Some(reply) = refusal {
            let answer = self.mistake(reply);
            if answer.close {
                return answer.into();
            }
            return Step::Discard {
                size,
                reply: answer.reply,
            };
        }
        // An empty chunk makes no progress.
        if size == 0
            && !last
            && let Some(answer) = self.out_of_patience()
        {
            return answer.into();
        }
        let first = match &mut self.transaction {
            Some(transaction) => !std::mem::replace(&mut transaction.in_chunks, true),
            None => false,
        };
        Step::Chunk(Chunk { size, first, last })
    }
}

/// Reads the arguments of `MAIL`.
fn begin(argument: PathArgument<'_>, rules: &Rules, authenticated: bool) -> Result<Transaction, Reply> {
    let mut transaction = mail_parameters(argument.parameters, rules, authenticated)?;
    let options = ParseOptions {
        utf8: transaction.envelope.smtputf8,
        default_domain: rules.qualify.as_ref(),
        limits: rules.limits.address,
    };
    transaction.envelope.sender = ReversePath::parse(argument.path, &options)
        .map_err(|error| texts::bad_address(error, PathKind::Reverse))?;
    Ok(transaction)
}
