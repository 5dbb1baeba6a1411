use super::*;
use crate::client::{ClientExchange, ClientMechanism, Credentials};
use crate::context::tests::{client_context, server_context};
use crate::exchange::{ServerExchange, ServerStep};
use crate::{Answer, ChannelBindings, ClientError, Mechanism, Question, SaslError, StoredKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// An RFC's example: hash, nonces, salt, and the four messages.
struct Example {
    hash: ScramHash,
    client_nonce: &'static str,
    server_nonce: &'static str,
    salt: &'static str,
    messages: [&'static str; 4],
}

/// RFC 5802 section 5 and RFC 7677 section 3.
const EXAMPLES: [Example; 2] = [
    Example {
        hash: ScramHash::Sha1,
        client_nonce: "fyko+d2lbbFgONRv9qkxdawL",
        server_nonce: "3rfcNHYJY1ZVvWVs7j",
        salt: "QSXCR+Q6sek8bf92",
        messages: [
            "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
            "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
            "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
            "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        ],
    },
    Example {
        hash: ScramHash::Sha256,
        client_nonce: "rOprNGfwEbeRWgbNEkqO",
        server_nonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
        salt: "W22ZaJ0SNY7soEsUEjb6gQ==",
        messages: [
            "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        ],
    },
];

fn credentials() -> Credentials {
    Credentials {
        login: "user".into(),
        password: Some("pencil".into()),
        ..Credentials::default()
    }
}

fn challenge(step: ServerStep) -> String {
    match step {
        ServerStep::Challenge(challenge) => String::from_utf8(challenge).unwrap(),
        other => panic!("a challenge was due: {other:?}"),
    }
}

fn found(hash: ScramHash, salt: &[u8]) -> Answer {
    Answer::Key {
        login: "user".into(),
        key: StoredKey::Scram(ScramKeys::derive(hash, "pencil", salt, 4096).unwrap()),
    }
}

fn server_at_second(example: &Example) -> ServerExchange {
    let machine = ScramServer::new(example.hash, false, &server_context()).with_nonce(example.server_nonce);
    let mut server = ServerExchange::new(Mechanism::Scram(example.hash), Box::new(machine));
    let step = server.step(Some(example.messages[0].as_bytes()));
    assert!(
        matches!(&step, ServerStep::Ask(Question::ScramKeys { authcid, hash }) if authcid == "user" && *hash == example.hash),
        "{step:?}"
    );
    let salt = STANDARD.decode(example.salt).unwrap();
    assert_eq!(
        challenge(server.answer(found(example.hash, &salt))),
        example.messages[1]
    );
    server
}

#[test]
fn the_exchanges_of_rfc_5802_and_rfc_7677() {
    for example in &EXAMPLES {
        let mut server = server_at_second(example);
        let mut client = ScramClient::new(example.hash, false, &credentials(), &client_context())
            .unwrap()
            .with_nonce(example.client_nonce);
        let [first, second, third, fourth] = example.messages;

        assert_eq!(client.initial().unwrap().as_slice(), first.as_bytes());
        assert_eq!(
            client.step(second.as_bytes()).unwrap().as_slice(),
            third.as_bytes()
        );
        assert!(client.step(fourth.as_bytes()).unwrap().is_empty());
        assert!(client.finish().is_ok());

        assert_eq!(challenge(server.step(Some(third.as_bytes()))), fourth);
        let step = server.step(Some(b""));
        assert!(
            matches!(&step, ServerStep::Done(outcome) if outcome.login == "user"),
            "{step:?}"
        );
    }
}

#[test]
fn a_wrong_proof_is_denied_and_a_changed_message_too() {
    for example in &EXAMPLES {
        let third = example.messages[2];
        let step = server_at_second(example).step(Some(third.replace("p=", "p=AAAA").as_bytes()));
        assert!(matches!(step, ServerStep::Fail(SaslError::Denied(_))), "{step:?}");
        let (without, _) = third.split_once(",p=").unwrap();
        let zeros = STANDARD.encode(vec![0; example.hash.octets()]);
        for proof in ["", "AAAA", &zeros] {
            let message = format!("{without},p={proof}");
            let step = server_at_second(example).step(Some(message.as_bytes()));
            assert!(
                matches!(step, ServerStep::Fail(SaslError::Denied(_))),
                "{proof}: {step:?}"
            );
        }
        let extended = third.replacen(",p=", ",x=extension,p=", 1);
        let step = server_at_second(example).step(Some(extended.as_bytes()));
        assert!(
            matches!(step, ServerStep::Fail(SaslError::Denied(_))),
            "the proof is for all of it: {step:?}"
        );
        // Truncated anywhere, it grants nothing.
        for end in 0..third.len() {
            let step = server_at_second(example).step(Some(&third.as_bytes()[..end]));
            assert!(matches!(step, ServerStep::Fail(_)), "{end}: {step:?}");
        }
    }
}

#[test]
fn a_replay_meets_another_nonce() {
    let example = &EXAMPLES[0];
    let mut server = Mechanism::Scram(example.hash).server(&server_context());
    assert!(matches!(
        server.step(Some(example.messages[0].as_bytes())),
        ServerStep::Ask(_)
    ));
    let salt = STANDARD.decode(example.salt).unwrap();
    let _ = challenge(server.answer(found(example.hash, &salt)));
    let step = server.step(Some(example.messages[2].as_bytes()));
    assert!(
        matches!(step, ServerStep::Fail(SaslError::Malformed { .. })),
        "{step:?}"
    );
}

#[test]
fn malformed_first_messages() {
    let long = format!("n,,n=user,r={}", "x".repeat(300));
    let cases = [
        ("nothing at all", ""),
        ("no header", "n=user,r=abc"),
        ("an unknown flag", "x,,n=user,r=abc"),
        ("a mandatory extension", "n,,m=x,n=user,r=abc"),
        ("no name", "n,,n=,r=abc"),
        ("no nonce", "n,,n=user"),
        ("an empty nonce", "n,,n=user,r="),
        ("out of order", "n,,r=abc,n=user"),
        ("a stray equals sign", "n,,n=us=er,r=abc"),
        ("a cut escape", "n,,n=us=2,r=abc"),
        ("a nonce with a blank", "n,,n=user,r=a b"),
        ("a long nonce", &long),
        ("a line break in the name", "n,,n=us\ner,r=abc"),
        ("channel binding without", "p=tls-exporter,,n=user,r=abc"),
        ("authorization identity without a=", "n,root,n=user,r=abc"),
    ];
    for (shows, message) in cases {
        let mut server = Mechanism::Scram(ScramHash::Sha256).server(&server_context());
        let step = server.step(Some(message.as_bytes()));
        assert!(
            matches!(step, ServerStep::Fail(SaslError::Malformed { .. })),
            "{shows}: {step:?}"
        );
    }
}

#[test]
fn channel_binding_flags() {
    let bound = ChannelBindings {
        exporter: Some([1; 32]),
        server_end_point: Some(vec![2; 32]),
    };
    #[rustfmt::skip]
    let cases = [
        // what it shows             plus   offered  first part of the header  how it goes
        ("cannot, none offered",     false, false,   "n,,",                    "ask"),
        ("cannot, though offered",   false, true,    "n,,",                    "ask"),
        ("none offered, it is right",false, false,   "y,,",                    "ask"),
        ("a downgrade",              false, true,    "y,,",                    "intercepted"),
        ("exporter",                 true,  true,    "p=tls-exporter,,",       "ask"),
        ("end point",                true,  true,    "p=tls-server-end-point,,","ask"),
        ("tls-unique",               true,  true,    "p=tls-unique,,",         "malformed"),
        ("no binding in -PLUS",      true,  true,    "n,,",                    "malformed"),
        ("none offered in -PLUS",    true,  true,    "y,,",                    "malformed"),
        ("an empty type",            true,  true,    "p=,,",                   "malformed"),
    ];
    for (shows, plus, plus_offered, header, want) in cases {
        let mut context = server_context();
        context.plus_offered = plus_offered;
        context.bindings = bound.clone();
        let mechanism = if plus {
            Mechanism::ScramPlus
        } else {
            Mechanism::Scram
        };
        let mut server = mechanism(ScramHash::Sha256).server(&context);
        let got = match server.step(Some(format!("{header}n=user,r=abc").as_bytes())) {
            ServerStep::Ask(_) => "ask",
            ServerStep::Fail(SaslError::Intercepted { .. }) => "intercepted",
            ServerStep::Fail(SaslError::Malformed { .. }) => "malformed",
            other => panic!("{other:?}"),
        };
        assert_eq!(got, want, "{shows}");
    }
}

#[test]
fn another_channel_on_the_way_is_noticed() {
    let mut context = server_context();
    context.plus_offered = true;
    context.bindings.exporter = Some([1; 32]);
    let mut client_side = client_context();
    client_side.plus_offered = true;
    for (exporter, intercepted) in [([1; 32], false), ([2; 32], true)] {
        client_side.bindings.exporter = Some(exporter);
        let mechanism = Mechanism::ScramPlus(ScramHash::Sha256);
        let mut server = mechanism.server(&context);
        let mut client: ClientExchange = mechanism.client(&credentials(), &client_side).unwrap();
        let first = client.initial().unwrap();
        assert!(first.starts_with(b"p=tls-exporter,,n=user,r="));
        assert!(matches!(server.step(Some(&first)), ServerStep::Ask(_)));
        let second = challenge(server.answer(found(ScramHash::Sha256, b"salt of sixteen!")));
        let third = client.step(second.as_bytes()).unwrap();
        let step = server.step(Some(&third));
        assert_eq!(
            matches!(step, ServerStep::Fail(SaslError::Intercepted { .. })),
            intercepted,
            "{step:?}"
        );
    }
}

#[test]
fn the_clients_flag_tells_what_it_saw() {
    let first = |bound: bool, plus_offered| {
        let mut context = client_context();
        context.plus_offered = plus_offered;
        context.bindings.exporter = Some([1; 32]).filter(|_| bound);
        let mut client = Mechanism::Scram(ScramHash::Sha1)
            .client(&credentials(), &context)
            .unwrap();
        client.initial().unwrap()[0]
    };
    assert_eq!(first(false, false), b'n');
    assert_eq!(first(true, false), b'y');
    assert_eq!(first(true, true), b'n', "the route forbids -PLUS");
    assert_eq!(
        Mechanism::ScramPlus(ScramHash::Sha1)
            .client(&credentials(), &client_context())
            .err(),
        Some(ClientError::Missing {
            mechanism: "SCRAM-SHA-1-PLUS",
            what: "channel binding"
        })
    );
}

#[test]
fn an_account_that_does_not_exist_looks_like_one_that_does() {
    let second = |name: &str, nonce: u8| {
        let mut context = server_context();
        context.nonce = crate::Nonce::new([nonce; 32]);
        let mut server = Mechanism::Scram(ScramHash::Sha256).server(&context);
        let first = format!("n,,n={name},r=abc");
        assert!(matches!(server.step(Some(first.as_bytes())), ServerStep::Ask(_)));
        let reason = "unknown user".into();
        let second = challenge(server.answer(Answer::Denied { reason }));
        let (nonce, rest) = second.split_once(",s=").unwrap();
        let proof = STANDARD.encode([0; 32]);
        let step = server.step(Some(format!("c=biws,{nonce},p={proof}").as_bytes()));
        assert!(
            matches!(&step, ServerStep::Fail(SaslError::Denied(reason)) if reason == "unknown user"),
            "{step:?}"
        );
        rest.to_owned()
    };
    let once = second("nobody", 1);
    assert!(once.ends_with(&format!(",i={ITERATIONS_DEFAULT}")), "{once}");
    assert_eq!(
        STANDARD.decode(once.split_once(",i=").unwrap().0).unwrap().len(),
        16
    );
    assert_eq!(once, second("nobody", 2), "the same salt each time");
    assert_eq!(
        once,
        second("NoBody", 3),
        "as of an account whose name has no case"
    );
    assert_ne!(once, second("somebody", 4));
}

#[test]
fn a_server_that_is_not_the_real_one() {
    let example = &EXAMPLES[0];
    let at_second = || {
        let mut client = ScramClient::new(example.hash, false, &credentials(), &client_context())
            .unwrap()
            .with_nonce(example.client_nonce);
        let _ = client.initial();
        client
    };
    let seconds = [
        ("another nonce", "r=fyko,s=QSXCR+Q6sek8bf92,i=4096"),
        (
            "nothing of its own",
            "r=fyko+d2lbbFgONRv9qkxdawL,s=QSXCR+Q6sek8bf92,i=4096",
        ),
        (
            "so few iterations that guessing is cheap",
            "r=fyko+d2lbbFgONRv9qkxdawLx,s=QSXCR+Q6sek8bf92,i=1",
        ),
        (
            "so many that we would be busy for hours",
            "r=fyko+d2lbbFgONRv9qkxdawLx,s=QSXCR+Q6sek8bf92,i=4294967295",
        ),
        ("a sign", "r=fyko+d2lbbFgONRv9qkxdawLx,s=QSXCR+Q6sek8bf92,i=+4096"),
        ("no salt", "r=fyko+d2lbbFgONRv9qkxdawLx,s=,i=4096"),
        (
            "a mandatory extension",
            "m=x,r=fyko+d2lbbFgONRv9qkxdawLx,s=QSXCR+Q6sek8bf92,i=4096",
        ),
    ];
    for (shows, second) in seconds {
        let got = at_second().step(second.as_bytes());
        assert!(
            matches!(got, Err(ClientError::Malformed { .. })),
            "{shows}: {got:?}"
        );
    }

    let at_fourth = || {
        let mut client = at_second();
        client.step(example.messages[1].as_bytes()).unwrap();
        client
    };
    let wrong = at_fourth().step(b"v=AAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    assert!(
        matches!(wrong, Err(ClientError::ServerNotProven { .. })),
        "{wrong:?}"
    );
    let early = at_fourth().finish();
    assert!(
        matches!(early, Err(ClientError::ServerNotProven { .. })),
        "{early:?}"
    );
    let refused = at_fourth().step(b"e=invalid-proof,x=y");
    assert_eq!(refused.err(), Some(ClientError::Refused("invalid-proof".into())));
}

#[test]
fn names_with_commas() {
    let mut server = Mechanism::Scram(ScramHash::Sha1).server(&server_context());
    let step = server.step(Some("n,a=x=2Cy,n=a=2Cb=3Dc,r=abc".as_bytes()));
    assert!(
        matches!(&step, ServerStep::Ask(Question::ScramKeys { authcid, .. }) if authcid == "a,b=c"),
        "{step:?}"
    );
}

#[test]
fn key_texts() {
    let keys = ScramKeys::derive(
        ScramHash::Sha256,
        "pencil",
        &STANDARD.decode(EXAMPLES[1].salt).unwrap(),
        4096,
    );
    // As PostgreSQL stores it.
    let text = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
    assert_eq!(keys.unwrap().to_text().as_str(), text);
    let cases = [
        ("another name", text.replace("SHA-256", "SHA-3")),
        ("few iterations", text.replace("4096", "100")),
        ("many iterations", text.replace("4096", "99999999")),
        ("no iterations", text.replace("4096:", ":")),
        (
            "a short key",
            text.replace("WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=", "WG5d"),
        ),
        ("no salt", text.replace("W22ZaJ0SNY7soEsUEjb6gQ==", "")),
        ("more behind it", format!("{text}$")),
        ("long", format!("{text}{}", "x".repeat(5000))),
    ];
    for (shows, text) in cases {
        assert!(text.parse::<ScramKeys>().is_err(), "{shows}");
    }
}
