//! saslauthd's protocol: one password per connection.
//!
//! It does not tell the client's address, so failed logins are counted for the socket only. A user name is slowed down there but
//! never locked out ([`Source::Place`](postern_policy::throttle::Source::Place)): guessing through a Cyrus server can keep nobody
//! from their mail.

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

/// Longest time for the answer. The client libraries wait as long as it takes.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// The mechanism that a question stands for: if PLAIN is off or has ended, so is this protocol.
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

/// Runs the question as a PLAIN exchange, so that it is slowed down, counted and logged like any other.
async fn check(question: &Question, context: &Context) -> (bool, &'static str) {
    let mut request = Request::new(context, ANSWER_MAX / 2);
    // The asking program already has the password, and the socket is on this machine.
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
