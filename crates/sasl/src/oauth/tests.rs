use super::*;
use crate::client::Credentials;
use crate::context::tests::{client_context, server_context};
use crate::exchange::{ServerExchange, ServerStep};
use crate::{Answer, ClientError, Mechanism, Question, SaslError};
use secrecy::ExposeSecret;

/// RFC 7628 section 4.1, except for the port.
const BEARER: &str = "n,a=user@example.com,\u{1}host=server.example.com\u{1}port=587\u{1}\
                      auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\u{1}\u{1}";
/// Google's documentation of XOAUTH2.
const GOOGLE: &str =
    "user=someuser@example.com\u{1}auth=Bearer ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg\u{1}\u{1}";

fn start(mechanism: Mechanism, message: &str) -> (ServerExchange, ServerStep) {
    let mut context = server_context();
    context.oauth.scope = Some("mail \"send\"".into());
    context.oauth.openid_configuration = Some("https://id.example/.well-known/openid-configuration".into());
    let mut exchange = mechanism.server(&context);
    let step = exchange.step(Some(message.as_bytes()));
    (exchange, step)
}

#[test]
fn the_messages_of_rfc_7628_and_of_google() {
    let (mut exchange, step) = start(Mechanism::OauthBearer, BEARER);
    let ServerStep::Ask(Question::CheckToken {
        identity,
        token,
        host,
        port,
    }) = step
    else {
        panic!("a question was due: {step:?}");
    };
    assert_eq!(identity.as_deref(), Some("user@example.com"));
    assert_eq!(
        token.expose_secret(),
        "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="
    );
    assert_eq!((host.as_deref(), port), (Some("server.example.com"), Some(587)));
    let step = exchange.answer(Answer::Granted { login: "user".into() });
    assert!(
        matches!(&step, ServerStep::Ask(Question::Authorize { authzid, .. }) if authzid == "user@example.com"),
        "whose token it is need not be whom the client names: {step:?}"
    );
    let step = exchange.answer(Answer::Granted { login: "user".into() });
    assert!(
        matches!(&step, ServerStep::Done(outcome) if outcome.login == "user" && outcome.authzid.is_none()),
        "{step:?}"
    );

    let (_, step) = start(Mechanism::Xoauth2, GOOGLE);
    assert!(
        matches!(&step, ServerStep::Ask(Question::CheckToken { identity: Some(user), .. }) if user == "someuser@example.com"),
        "{step:?}"
    );
}

#[test]
fn the_client_writes_them() {
    let credentials = |login: &str, token: &str| Credentials {
        login: login.into(),
        token: Some(token.into()),
        ..Credentials::default()
    };
    let mut context = client_context();
    context.host = "server.example.com".into();
    let bearer = credentials("user@example.com", "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==");
    let mut client = Mechanism::OauthBearer.client(&bearer, &context).unwrap();
    assert_eq!(client.initial().unwrap().as_slice(), BEARER.as_bytes());
    let google = credentials(
        "someuser@example.com",
        "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg",
    );
    let mut client = Mechanism::Xoauth2.client(&google, &context).unwrap();
    assert_eq!(client.initial().unwrap().as_slice(), GOOGLE.as_bytes());
    assert!(client.step(b"{\"status\":\"401\"}\r\n").unwrap().is_empty());
    assert_eq!(client.refusal(), Some("{\"status\":\"401\"}"));
    assert!(matches!(client.finish(), Err(ClientError::Refused(_))));

    let broken = credentials("a", "two words");
    let error = Mechanism::Xoauth2.client(&broken, &context).err();
    assert!(matches!(error, Some(ClientError::Unfit { .. })), "{error:?}");
}

#[test]
fn a_refusal_is_told_in_json_and_ended_by_the_dummy() {
    #[rustfmt::skip]
    let cases = [
        (Mechanism::OauthBearer, BEARER, "\u{1}",
         r#"{"status":"invalid_token","scope":"mail \"send\"","openid-configuration":"https://id.example/.well-known/openid-configuration"}"#),
        (Mechanism::Xoauth2, GOOGLE, "",
         r#"{"status":"401","schemes":"bearer","scope":"mail \"send\""}"#),
    ];
    for (mechanism, message, dummy, json) in cases {
        let (mut exchange, step) = start(mechanism, message);
        assert!(matches!(step, ServerStep::Ask(_)), "{step:?}");
        let reason = "expired".into();
        let step = exchange.answer(Answer::Denied { reason });
        assert!(
            matches!(&step, ServerStep::Challenge(told) if told == json.as_bytes()),
            "{step:?}"
        );
        let step = exchange.step(Some(dummy.as_bytes()));
        assert!(
            matches!(&step, ServerStep::Fail(SaslError::Denied(reason)) if reason == "expired"),
            "{step:?}"
        );
    }
}

#[test]
fn asking_which_token_is_needed() {
    let (mut exchange, step) = start(Mechanism::OauthBearer, "n,,\u{1}auth=\u{1}\u{1}");
    assert!(matches!(step, ServerStep::Challenge(_)), "{step:?}");
    assert!(matches!(
        exchange.step(Some(b"\x01")),
        ServerStep::Fail(SaslError::Denied(_))
    ));
}

#[test]
fn an_outage_is_no_refusal() {
    let (mut exchange, _) = start(Mechanism::OauthBearer, BEARER);
    let reason = "no keys".into();
    let step = exchange.answer(Answer::Unavailable { reason });
    assert!(
        matches!(step, ServerStep::Fail(SaslError::Unavailable(_))),
        "{step:?}"
    );
}

#[test]
fn malformed_messages() {
    let long = format!("n,,\u{1}auth=Bearer {}\u{1}\u{1}", "x".repeat(TOKEN_MAX + 1));
    let cases = [
        ("nothing", ""),
        ("no header", "\u{1}auth=Bearer x\u{1}\u{1}"),
        ("channel binding", "p=tls-exporter,,\u{1}auth=Bearer x\u{1}\u{1}"),
        ("no auth", "n,,\u{1}host=x\u{1}\u{1}"),
        ("no end", "n,,\u{1}auth=Bearer x"),
        ("another scheme", "n,,\u{1}auth=Basic x\u{1}\u{1}"),
        ("no token", "n,,\u{1}auth=Bearer \u{1}\u{1}"),
        ("two tokens", "n,,\u{1}auth=Bearer x\u{1}auth=Bearer y\u{1}\u{1}"),
        ("a token of two words", "n,,\u{1}auth=Bearer x y\u{1}\u{1}"),
        ("a long token", &long),
        (
            "a port that is none",
            "n,,\u{1}port=x\u{1}auth=Bearer x\u{1}\u{1}",
        ),
        ("a name with a comma", "n,a=x,y,\u{1}auth=Bearer x\u{1}\u{1}"),
        ("a name with a line break", "n,a=x\n,\u{1}auth=Bearer x\u{1}\u{1}"),
    ];
    for (shows, message) in cases {
        let (_, step) = start(Mechanism::OauthBearer, message);
        assert!(
            matches!(step, ServerStep::Fail(SaslError::Malformed { .. })),
            "{shows}: {step:?}"
        );
    }
    let (_, step) = start(Mechanism::Xoauth2, "user=\u{1}auth=Bearer x\u{1}\u{1}");
    assert!(matches!(step, ServerStep::Fail(_)), "{step:?}");
    for end in 0..GOOGLE.len() {
        let (_, step) = start(Mechanism::Xoauth2, &GOOGLE[..end]);
        assert!(
            matches!(step, ServerStep::Fail(SaslError::Malformed { .. })) || end + 1 == GOOGLE.len(),
            "{end}: {step:?}"
        );
    }
}
