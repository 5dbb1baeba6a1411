//! saslauthd's protocol: one password a connection.
//!
//! It tells no address of who logs in, so the memory of failed logins knows the socket alone. It slows a login there and never
//! locks it out ([`Source::Place`](postern_policy::throttle::Source::Place)): who guesses at a Cyrus next door can keep nobody from his mail.

use std::time::Duration;

use postern_authwire::saslauthd::{QUESTION_MAX, Question, answer};
use postern_sasl::{IDENTITY_MAX, PASSWORD_MAX};
use secrecy::ExposeSecret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zeroize::Zeroizing;

use super::context::{Context, Ended, Stream, WRITE_MAX};
use super::request::{Request, told};
use crate::login::Step;

/// Longest wait for the question.
const QUESTION_WAIT: Duration = Duration::from_secs(30);

/// Longest time for the answer. The libraries that ask wait for as long as it takes.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// The mechanism that a question stands for: where PLAIN is off or over, so is this protocol.
const PLAIN: &str = "PLAIN";

/// Serves a connection to its end.
pub(super) async fn serve(mut stream: Box<dyn Stream>, context: &Context) -> Result<(), Ended> {
    let asked = tokio::time::timeout(QUESTION_WAIT, question(&mut stream)).await;
    let Some(question) = asked.map_err(|_| Ended::Silent("no question in time"))?? else {
        return Ok(());
    };
    let checked = tokio::time::timeout(ANSWER_MAX, check(&question, context)).await;
    let (granted, words) = checked.unwrap_or((false, "temporary failure"));
    let answer = answer(granted, words);
    tokio::time::timeout(WRITE_MAX, async {
        stream.write_all(&answer).await?;
        stream.shutdown().await
    })
    .await
    .map_err(|_| Ended::Silent("takes no answer"))??;
    Ok(())
}

async fn question(stream: &mut Box<dyn Stream>) -> Result<Option<Question>, Ended> {
    let mut room = Zeroizing::new(vec![0; QUESTION_MAX]);
    let mut filled = 0;
    loop {
        if let Some(question) = Question::parse(&room[..filled])? {
            return Ok(Some(question));
        }
        match stream.read(&mut room[filled..]).await? {
            0 => return Ok(None),
            count => filled += count,
        }
    }
}

/// Runs the question as an exchange of PLAIN, so that it is slowed, counted and logged like any other.
async fn check(question: &Question, context: &Context) -> (bool, &'static str) {
    let mut request = Request::new(context, ANSWER_MAX / 2);
    // The password was in the asking program's memory already, and the socket is this machine's.
    request.secured(Some("socket".to_owned()), None);
    let login = if request.socket.join_realm {
        question.full_login()
    } else {
        question.login.clone()
    };
    let password = question.password.expose_secret();
    if login.len() > IDENTITY_MAX || password.len() > PASSWORD_MAX {
        return (false, "authentication failed");
    }
    let mut message = Zeroizing::new(Vec::with_capacity(login.len() + password.len() + 2));
    message.push(0);
    message.extend_from_slice(login.as_bytes());
    message.push(0);
    message.extend_from_slice(password.as_bytes());
    let exchange = match request.begin(PLAIN) {
        Ok(exchange) => exchange,
        Err(unfit) => {
            request.note_unfit(unfit.noted(), PLAIN, None, "NO");
            return (false, "authentication failed");
        }
    };
    let origin = request.origin();
    match exchange.turn(Some(&message), &origin).await {
        Step::Granted(_) => (true, "success"),
        Step::Challenge(..) => (false, "authentication failed"),
        Step::Refused(refused) => {
            let (temporary, _) = told(refused.failure);
            let words = if temporary {
                "temporary failure"
            } else {
                "authentication failed"
            };
            refused.note(&"NO", &origin);
            (false, words)
        }
    }
}
