//! Tells filters about commands, and returns the reply to the client.

use postern_mail::ForwardPath;
use postern_smtp::command::{Command, CommandError, Parameters};
use postern_smtp::server::{Answer, AskSender, Dialogue};

use super::filtering::Filtering;
use crate::recipient::Judged;
use crate::session::{About, Session};

/// A command that the dialogue has answered itself: filters are told `HELO` names and unknown commands.
pub(crate) async fn answered(
    line: &[u8],
    answer: Answer,
    dialogue: &Dialogue,
    filtering: &mut Filtering,
    session: &Session,
) -> Answer {
    let ruled = match Command::parse(line) {
        Ok(Command::Ehlo(_) | Command::Helo(_)) if answer.reply.is_success() && !answer.close => {
            if filtering.in_message() {
                filtering.abort().await;
            }
            filtering.helo(dialogue.client_name(), session).await
        }
        Err(CommandError::Unrecognized(_)) if !answer.close => {
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            filtering.unknown(line, session).await
        }
        _ => None,
    };
    ruled
        .and_then(|ruled| ruled.tell(&About::default(), session))
        .unwrap_or(answer)
}

/// `MAIL`, which the server would accept. `take` does so, and makes the reply.
pub(crate) async fn sender<'d>(
    ask: AskSender<'d>,
    take: impl FnOnce(AskSender<'d>) -> Answer,
    line: Option<&[u8]>,
    filtering: &mut Filtering,
    session: &Session,
) -> Answer {
    let parameters = words(line);
    let size = ask.declared_size().unwrap_or(0);
    let ruled = filtering.mail(ask.envelope(), size, &parameters, session).await;
    match ruled.and_then(|ruled| ruled.tell(&About::sender(ask.sender()), session)) {
        Some(answer) => Answer {
            reply: ask.refuse(answer.reply),
            ..answer
        },
        None => take(ask),
    }
}

/// `RCPT`, which the server has judged.
pub(crate) async fn recipient(
    judged: Judged<'_>,
    path: &ForwardPath,
    line: Option<&[u8]>,
    filtering: &mut Filtering,
    session: &Session,
) -> Answer {
    let parameters = words(line);
    let taken = match judged {
        Judged::Taken(taken) => taken,
        // It never becomes part of a message that a filter could see.
        Judged::Discarded(answer) => return answer,
        Judged::Refused(answer) => {
            let ruled = filtering
                .refused_rcpt(path, &parameters, &answer.reply, session)
                .await;
            let ended = ruled.and_then(|ruled| ruled.tell(&About::recipient(None, path), session));
            return ended.unwrap_or(answer);
        }
    };
    // For a repeated one there is nothing new to ask.
    if taken.recipients.is_empty() {
        return taken.accept(session);
    }
    let ruled = filtering.rcpt(path, taken.ground, &parameters, session).await;
    let about = About::recipient(taken.ask.sender(), path);
    let refused = ruled.and_then(|ruled| ruled.tell(&about, session));
    match refused {
        Some(Answer {
            close: true, reply, ..
        }) => {
            let answer = taken.ask.refuse(reply);
            Answer {
                close: true,
                ..answer
            }
        }
        Some(answer) => taken.ask.refuse(answer.reply),
        None => {
            let goes = taken.recipients.iter().map(|recipient| recipient.address.clone());
            filtering.took(path, goes.collect());
            taken.accept(session)
        }
    }
}

/// The parameters of `MAIL` or `RCPT`, as the client wrote them.
fn words(line: Option<&[u8]>) -> Vec<&str> {
    match line.map(Command::parse) {
        Some(Ok(Command::Mail(argument) | Command::Rcpt(argument))) => {
            Parameters::words(argument.parameters).collect()
        }
        _ => Vec::new(),
    }
}
