//! Submission over HTTP: a message, or its parts, goes through a session like any other message of its login.

use std::io::Cursor;
use std::time::Duration;

use postern_directory::PasswordVerdict;
use postern_http::Peer;
use postern_http::axum::body::Bytes;
use postern_http::axum::extract::{Extension, RawQuery, Request, State};
use postern_http::axum::http::{HeaderMap, StatusCode, header};
use postern_http::axum::response::{IntoResponse as _, Response};
use postern_mail::QueueId;
use postern_receive::{HttpDoor, HttpLogin};
use postern_smtp::Reply;
use postern_submit::handover::Handover;
use postern_submit::header::Header;
use postern_submit::transfer::{Fate, Order, Outcome, transfer};
use serde_json::json;

use super::answer::{Trouble, ended};
use super::input::{media_type, pairs};
use super::keys::{Found, Held};
use super::parts::{Composed, RefusedRecipient, Submitted};
use super::shared::{Api, MEMORY, body_of};
use super::who::who;

/// The header field with the client's key.
const KEY: &str = "idempotency-key";

/// The name of this request in scopes.
const SEND: &str = "send";

/// How long the session may be silent.
const SILENCE_MAX: Duration = Duration::from_secs(100);

/// A message with its envelope.
struct Ready {
    handover: Handover,
    header: Header,
    body: Bytes,
    body_at: usize,
}

/// Accepts a message.
pub(super) async fn take(
    State(api): State<Api>,
    Extension(peer): Extension<Peer>,
    RawQuery(query): RawQuery,
    fields: HeaderMap,
    request: Request,
) -> Response {
    // Once begun, the work is completed whether or not the client waits for it.
    let done = tokio::spawn(async move { answer(&api, peer, query.as_deref(), &fields, request).await });
    ended(
        done.await
            .unwrap_or_else(|gone| Err(Trouble::new(StatusCode::INTERNAL_SERVER_ERROR, gone.to_string()))),
    )
}

async fn answer(
    api: &Api,
    peer: Peer,
    query: Option<&str>,
    fields: &HeaderMap,
    request: Request,
) -> Result<Response, Trouble> {
    let who = who(api, peer, fields)?;
    if !who.covers(SEND) {
        return Err(Trouble::new(
            StatusCode::FORBIDDEN,
            "the token's scope does not cover \"send\"",
        ));
    }
    let Some(login) = who.login else {
        let told = "mail is submitted as a login; make a token with `--login`";
        return Err(Trouble::new(StatusCode::FORBIDDEN, told));
    };
    let _place = api.submissions.try_acquire().map_err(|_| Trouble::busy())?;
    let _memory = api
        .memory
        .try_acquire_many(room(fields))
        .map_err(|_| Trouble::busy())?;
    let body = body_of(request).await?;
    let account = match api.service.receiver().directories().find_account(&login).await {
        PasswordVerdict::Granted(account) => account,
        PasswordVerdict::Denied(reason) => {
            return Err(Trouble::new(
                StatusCode::FORBIDDEN,
                format!("{login} cannot log in: {reason}"),
            ));
        }
        PasswordVerdict::Unavailable { .. } => {
            let told = "the directory of this login does not answer";
            return Err(Trouble::new(StatusCode::SERVICE_UNAVAILABLE, told).later(30));
        }
    };
    let key = fields.get(KEY).map(|key| key.to_str().unwrap_or_default());
    let kind = media_type(fields).unwrap_or_default();
    let held = match key {
        Some(key) => {
            let content = [
                kind.as_bytes(),
                query.unwrap_or_default().as_bytes(),
                body.as_ref(),
            ];
            match api
                .keys
                .find(api.service.admin(), (&login, key), &content)
                .await?
            {
                Found::New(held) => Some(held),
                Found::Taken(taken) => return Ok(created(&taken)),
            }
        }
        None => None,
    };
    let result = match ready(api, &kind, query, body) {
        Ok(ready) => {
            hand_in(
                api,
                HttpLogin {
                    account,
                    peer: peer.address,
                },
                ready,
            )
            .await
        }
        Err(trouble) => Ok(Err(trouble)),
    };
    settle(api, held, result).await
}

/// Memory that a message takes, in KiB: three times its length, since its parts are read, decoded and combined.
fn room(fields: &HeaderMap) -> u32 {
    let length = fields
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok());
    let octets = length.and_then(|length| length.parse::<u64>().ok());
    let wanted = octets.map_or_else(
        || u64::from(MEMORY),
        |octets| octets.saturating_mul(3).div_ceil(1024),
    );
    u32::try_from(wanted).unwrap_or(MEMORY).clamp(1, MEMORY)
}

/// Answers, and records the outcome for the key. If the outcome is unknown, it remains so for the key, which is dropped.
async fn settle(
    api: &Api,
    held: Option<Held>,
    result: Result<Result<Submitted, Trouble>, Trouble>,
) -> Result<Response, Trouble> {
    let came = result?;
    if let Some(held) = held {
        held.done(api.service.admin(), came.as_ref().ok()).await;
    }
    came.map(|taken| created(&taken))
}

fn created(taken: &Submitted) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (StatusCode::CREATED, kind, json!(taken).to_string()).into_response()
}

/// The message and its envelope, in either form.
fn ready(api: &Api, kind: &str, query: Option<&str>, body: Bytes) -> Result<Ready, Trouble> {
    let (mut from, mut to) = (None, Vec::new());
    for (name, value) in pairs(query)? {
        match name.as_str() {
            "from" => from = Some(value),
            "to" => to.push(value),
            other => {
                return Err(Trouble::bad(format!(
                    "there is no parameter {other:?}; \"from\" and \"to\" are known"
                )));
            }
        }
    }
    let (content, own_from, own_to) = match kind {
        "message/rfc822" => (in_lines(body), None, None),
        "application/json" => {
            let parts: Composed = serde_json::from_slice(&body)
                .map_err(|error| Trouble::bad(format!("cannot read the body: {error}")))?;
            let random: u128 = rand::random();
            let hostname = api.service.deps().settings.load().hostname.clone();
            let message = parts.message(format!("{random:032x}@{hostname}"))?;
            let from = parts.from.address().to_owned();
            (Bytes::from(message), Some(from), Some(parts.recipients()))
        }
        _ => {
            return Err(Trouble::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "write the message as message/rfc822, or its parts as application/json",
            ));
        }
    };
    let (mut header, body_at) = Header::split(&content);
    let recipients = match (to.is_empty(), own_to) {
        (false, _) => to,
        (true, Some(own)) => own,
        (true, None) => header.recipients(),
    };
    if recipients.is_empty() {
        return Err(Trouble::bad("the message has no recipients"));
    }
    let sender = from.or(own_from).or_else(|| author(&header));
    header.drop_private_fields();
    Ok(Ready {
        handover: Handover {
            sender: Some(sender.ok_or_else(|| Trouble::bad("the message has no sender: give `from`"))?),
            recipients,
            ..Handover::default()
        },
        header,
        body: content,
        body_at,
    })
}

/// With lines that end in CRLF: clients that read a file send it unchanged.
fn in_lines(content: Bytes) -> Bytes {
    let lone = |at: usize| match content[at] {
        b'\n' => at == 0 || content[at - 1] != b'\r',
        b'\r' => content.get(at + 1) != Some(&b'\n'),
        _ => false,
    };
    if !(0..content.len()).any(lone) {
        return content;
    }
    let mut lines = Vec::with_capacity(content.len() + content.len() / 32);
    for (at, octet) in content.iter().enumerate() {
        match lone(at) {
            true => lines.extend_from_slice(b"\r\n"),
            false => lines.push(*octet),
        }
    }
    lines.into()
}

/// The address of the author.
fn author(header: &Header) -> Option<String> {
    let octets = header.octets();
    let text = String::from_utf8_lossy(octets);
    let mut value = String::new();
    let mut inside = false;
    for line in text.lines() {
        let continues = line.starts_with([' ', '\t']);
        inside = match line.split_once(':') {
            _ if continues => inside,
            Some((name, _)) => name.trim_end().eq_ignore_ascii_case("from"),
            None => false,
        };
        if inside {
            value.push_str(match continues {
                true => line,
                false => line.split_once(':').map_or("", |(_, value)| value),
            });
        }
    }
    let found = postern_submit::addresses::scan(value.as_bytes());
    found.into_iter().next().map(|found| found.text)
}

/// Runs a session. The outer error means that the outcome is unknown.
async fn hand_in(api: &Api, who: HttpLogin, ready: Ready) -> Result<Result<Submitted, Trouble>, Trouble> {
    let failed = |error: std::io::Error| {
        Trouble::new(StatusCode::SERVICE_UNAVAILABLE, format!("cannot submit: {error}"))
    };
    let (ours, theirs) = match tokio::net::UnixStream::pair() {
        Ok(pair) => pair,
        Err(error) => return Ok(Err(failed(error))),
    };
    let stop = &api.service.deps().stop;
    tokio::spawn(HttpDoor::session(&api.door, theirs, who, stop));
    let spoken = async {
        let mut ours = ours.into_std()?;
        ours.set_nonblocking(false)?;
        ours.set_read_timeout(Some(SILENCE_MAX))?;
        ours.set_write_timeout(Some(SILENCE_MAX))?;
        let sent = tokio::task::spawn_blocking(move || {
            let mut body = Cursor::new(ready.body);
            let body_len = (body.get_ref().len() - ready.body_at) as u64;
            let order = Order {
                user: "",
                handover: &ready.handover,
                header: &ready.header,
                body_at: ready.body_at as u64,
                body_len,
                body: &mut body,
            };
            transfer(&mut ours, order, &mut |_| {})
        });
        sent.await.map_err(std::io::Error::other)
    };
    match spoken.await.map_err(failed)? {
        Ok(outcome) => Ok(came(outcome)),
        Err(postern_submit::transfer::TransferError::Word(word)) => Ok(Err(Trouble::bad(word.to_string()))),
        Err(error) => Err(Trouble::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("whether the message was taken is not known: {error}"),
        )),
    }
}

/// The answer: the message was accepted for at least one recipient, or refused as a whole.
fn came(outcome: Outcome) -> Result<Submitted, Trouble> {
    let mut submitted = Submitted {
        queue: outcome.replies.iter().filter_map(queue_id).collect(),
        ..Submitted::default()
    };
    let mut worst: Option<Reply> = None;
    for (to, fate) in outcome.fates {
        match fate {
            Fate::Taken => submitted.accepted.push(to),
            Fate::Later(reply) | Fate::Failed(reply) => {
                submitted.refused.push(RefusedRecipient {
                    to,
                    code: reply.code,
                    status: reply.status.map(|status| status.to_string()),
                    reply: reply.text.clone().into_owned(),
                });
                // Temporary refusals take precedence.
                if worst.as_ref().is_none_or(|worst| reply.code < worst.code) {
                    worst = Some(reply);
                }
            }
        }
    }
    match worst {
        Some(reply) if submitted.accepted.is_empty() => Err(refused(&reply, &submitted)),
        _ => Ok(submitted),
    }
}

fn refused(reply: &Reply, submitted: &Submitted) -> Trouble {
    let status = match reply.code {
        452 | 450 | 451 | 421 | 454 => StatusCode::SERVICE_UNAVAILABLE,
        552 => StatusCode::PAYLOAD_TOO_LARGE,
        code if code < 500 => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let trouble = Trouble::new(status, reply.text.clone().into_owned())
        .with("code", json!(reply.code))
        .with(
            "enhanced_status",
            json!(reply.status.map(|status| status.to_string())),
        )
        .with("refused", json!(submitted.refused));
    match status {
        StatusCode::SERVICE_UNAVAILABLE => trouble.later(60),
        _ => trouble,
    }
}

/// The queue id in the reply to a message.
fn queue_id(reply: &Reply) -> Option<String> {
    let mut words = reply.text.split_whitespace();
    words.find_map(|word| Some(word.parse::<QueueId>().ok()?.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_in_crlf() {
        for (given, wanted) in [
            ("", ""),
            ("a\r\nb\r\n", "a\r\nb\r\n"),
            ("a\nb\n", "a\r\nb\r\n"),
            ("\na\rb", "\r\na\r\nb"),
            ("a\r\n.\n", "a\r\n.\r\n"),
        ] {
            assert_eq!(in_lines(Bytes::from(given)), wanted.as_bytes(), "{given:?}");
        }
    }

    #[test]
    fn who_has_written_it() {
        for (header, wanted) in [
            ("From: anna@a.example\r\n", Some("anna@a.example")),
            (
                "Subject: x\r\nfrom : Anna\r\n <anna@a.example>\r\nTo: b@b.example\r\n",
                Some("anna@a.example"),
            ),
            ("Subject: From: x@y.example\r\n", None),
            ("", None),
        ] {
            let header = Header::from_octets(header.as_bytes().to_vec());
            assert_eq!(author(&header).as_deref(), wanted);
        }
    }
}
