use super::*;
use crate::context::tests::{client_context, server_context};
use crate::exchange::ServerExchange;
use crate::{Mechanism, StoredKey};

/// RFC 2195 section 2.
const CHALLENGE: &str = "<1896.697170952@postoffice.reston.mci.net>";
const RESPONSE: &str = "tim b913a602c7eda7a495b4e6e7334d3890";

fn found(password: &str) -> Answer {
    Answer::Key {
        login: "tim".into(),
        key: StoredKey::Cram(CramSecret::derive(password)),
    }
}

fn server() -> ServerExchange {
    let machine = CramServer::with_challenge(CHALLENGE.into());
    let mut exchange = ServerExchange::new(Mechanism::CramMd5, Box::new(machine));
    let ServerStep::Challenge(challenge) = exchange.step(None) else {
        panic!("the server speaks first");
    };
    assert_eq!(challenge, CHALLENGE.as_bytes());
    exchange
}

#[test]
fn the_exchange_of_rfc_2195() {
    let mut exchange = server();
    let step = exchange.step(Some(RESPONSE.as_bytes()));
    assert!(
        matches!(&step, ServerStep::Ask(Question::CramSecret { authcid }) if authcid == "tim"),
        "{step:?}"
    );
    let step = exchange.answer(found("tanstaaftanstaaf"));
    assert!(
        matches!(step, ServerStep::Done(ref outcome) if outcome.login == "tim"),
        "{step:?}"
    );

    let credentials = Credentials {
        login: "tim".into(),
        password: Some("tanstaaftanstaaf".into()),
        ..Credentials::default()
    };
    let mut client = Mechanism::CramMd5
        .client(&credentials, &client_context())
        .unwrap();
    assert!(client.initial().is_none());
    assert_eq!(
        client.step(CHALLENGE.as_bytes()).unwrap().as_slice(),
        RESPONSE.as_bytes()
    );
    assert!(client.step(CHALLENGE.as_bytes()).is_err(), "only once");
}

#[test]
fn wrong_and_unknown_are_denied() {
    for (shows, answer, want) in [
        ("wrong password", found("tanstaaf"), "wrong password"),
        (
            "no such account",
            Answer::Denied {
                reason: "unknown".into(),
            },
            "unknown",
        ),
    ] {
        let mut exchange = server();
        assert!(matches!(
            exchange.step(Some(RESPONSE.as_bytes())),
            ServerStep::Ask(_)
        ));
        let step = exchange.answer(answer);
        assert!(
            matches!(step, ServerStep::Fail(SaslError::Denied(ref reason)) if reason == want),
            "{shows}: {step:?}"
        );
    }
    let mut exchange = server();
    assert!(matches!(
        exchange.step(Some(RESPONSE.as_bytes())),
        ServerStep::Ask(_)
    ));
    let step = exchange.answer(Answer::Granted { login: "tim".into() });
    assert!(
        matches!(step, ServerStep::Fail(SaslError::OutOfOrder(_))),
        "an answer without a key grants nothing: {step:?}"
    );
}

#[test]
fn malformed_responses() {
    let cases = [
        ("no blank", "tim"),
        ("no name", " b913a602c7eda7a495b4e6e7334d3890"),
        ("a digit short", "tim b913a602c7eda7a495b4e6e7334d389"),
        ("a digit too many", "tim b913a602c7eda7a495b4e6e7334d38900"),
        ("capitals", "tim B913A602C7EDA7A495B4E6E7334D3890"),
        ("a control character", "t\tim b913a602c7eda7a495b4e6e7334d3890"),
        ("nothing", ""),
    ];
    for (shows, response) in cases {
        let step = server().step(Some(response.as_bytes()));
        assert!(
            matches!(step, ServerStep::Fail(SaslError::Malformed { .. })),
            "{shows}: {step:?}"
        );
    }
    let step = server().step(Some(b"a b c b913a602c7eda7a495b4e6e7334d3890"));
    assert!(
        matches!(&step, ServerStep::Ask(Question::CramSecret { authcid }) if authcid == "a b c"),
        "blanks in a name: {step:?}"
    );
}

#[test]
fn challenges_differ_and_have_the_form_of_a_message_id() {
    let text = |context: &ServerContext| CramServer::new(context).challenge;
    let mut context = server_context();
    let first = text(&context);
    assert!(
        first.starts_with('<') && first.ends_with("@mail.fccc.example>"),
        "{first}"
    );
    context.nonce = crate::Nonce::new([9; 32]);
    assert_ne!(text(&context), first);
}

/// From Dovecot's own test of its password schemes.
#[test]
fn dovecots_form() {
    let secret = CramSecret::derive("test");
    assert_eq!(
        secret.to_text().as_str(),
        "CRAM-MD5$e02d374fde0dc75a17a557039a3a5338c7743304777dccd376f332bee68d2cf6"
    );
}

#[test]
fn a_password_longer_than_a_block() {
    use hmac::{Hmac, Mac};
    for length in [63, 64, 65, 200] {
        let password = "x".repeat(length);
        let mut mac = Hmac::<md5::Md5>::new_from_slice(password.as_bytes()).unwrap();
        mac.update(b"challenge");
        assert_eq!(
            CramSecret::derive(&password).hmac(b"challenge").as_slice(),
            mac.finalize().into_bytes().as_slice(),
            "{length}"
        );
    }
}
