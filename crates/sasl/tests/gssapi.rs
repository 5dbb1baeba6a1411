//! GSSAPI (RFC 4752) with a scripted library: layers, identities, and every way in which either end can be wrong. The real
//! library is in `crates/native/tests`.

mod common;

use std::sync::Arc;

use common::scripted::{BITS, LEFT, PRINCIPAL, SERVICE, Script};
use common::{LOGIN, client_context, credentials, server_context, try_layers};
use postern_sasl::{
    Answer, ClientContext, ClientError, ClientExchange, ContextError, ContextFeatures, Credentials,
    LayerError, Layers, Mechanism, Question, SaslError, SecurityLayer, ServerContext, ServerExchange,
    ServerStep,
};

const NONE: Layers = Layers {
    integrity: false,
    confidentiality: false,
};
const INTEGRITY: Layers = Layers {
    integrity: true,
    confidentiality: false,
};
const BOTH: Layers = Layers {
    integrity: true,
    confidentiality: true,
};

/// Both sides, acting as scripted.
struct Pair {
    server: ServerContext,
    client: ClientContext,
    credentials: Credentials,
}

impl Pair {
    fn new(client: Script, server: Script, layers: Layers) -> Self {
        let mut pair = Self {
            server: server_context(2),
            client: client_context(1),
            credentials: credentials("unused"),
        };
        pair.server.kerberos = Some(Arc::new(server));
        pair.server.layers = layers;
        pair.client.layers = layers;
        pair.credentials.kerberos = Some(Arc::new(client));
        pair
    }

    fn begin(&self) -> (ClientExchange, ServerExchange) {
        let client = Mechanism::Gssapi
            .client(&self.credentials, &self.client)
            .expect("begins");
        (client, Mechanism::Gssapi.server(&self.server))
    }
}

fn good() -> Script {
    Script::new(1)
}

/// Runs both ends until the server asks for the principal's account.
fn until_asked(client: &mut ClientExchange, server: &mut ServerExchange) -> Result<Question, String> {
    let mut message = client.initial().expect("speaks first");
    loop {
        match server.step(Some(&message)) {
            ServerStep::Challenge(challenge) => {
                message = client
                    .step(&challenge)
                    .map_err(|error| format!("client: {error}"))?;
            }
            ServerStep::Ask(question) => return Ok(question),
            ServerStep::Fail(error) => return Err(format!("server: {error}")),
            ServerStep::Done(outcome) => panic!("done without a question: {outcome:?}"),
        }
    }
}

fn granted() -> Answer {
    Answer::Granted { login: LOGIN.into() }
}

type Layer = Option<Box<dyn SecurityLayer>>;

/// Logs in and returns bits and layers of both ends.
fn log_in(pair: &Pair) -> Result<(u32, Layer, Layer), String> {
    let (mut client, mut server) = pair.begin();
    until_asked(&mut client, &mut server)?;
    let ServerStep::Done(outcome) = server.answer(granted()) else {
        return Err("server: not done".into());
    };
    let layer = server.take_layer();
    let finish = client.finish().map_err(|error| format!("client: {error}"))?;
    Ok((outcome.layer_bits, finish.layer, layer))
}

#[test]
fn the_strongest_layer_that_both_allow() {
    let without = |features: ContextFeatures| Script { features, ..good() };
    let all = good().features;
    let no_sequence = without(ContextFeatures {
        sequence: false,
        ..all
    });
    let no_encryption = without(ContextFeatures {
        confidentiality: false,
        ..all
    });
    let cases = [
        ("none asked for", good(), NONE, NONE, Ok(0)),
        ("integrity", good(), INTEGRITY, INTEGRITY, Ok(1)),
        ("confidentiality", good(), BOTH, BOTH, Ok(BITS)),
        ("the client wants none", good(), NONE, BOTH, Ok(0)),
        ("the server has none", good(), BOTH, NONE, Ok(0)),
        ("the client goes less far", good(), INTEGRITY, BOTH, Ok(1)),
        (
            "a context that would not notice a replay",
            no_sequence,
            BOTH,
            BOTH,
            Ok(0),
        ),
        ("a context that cannot encrypt", no_encryption, BOTH, BOTH, Ok(1)),
    ];
    for (shows, script, client, server, want) in cases {
        let mut pair = Pair::new(script, Script { seed: 2, ..script }, server);
        pair.client.layers = client;
        let got: Result<u32, String> = log_in(&pair).map(|(bits, on_client, on_server)| {
            assert_eq!(on_client.is_some(), bits > 0, "{shows}");
            if let (Some(mut on_client), Some(mut on_server)) = (on_client, on_server) {
                assert_eq!((on_client.bits(), on_server.bits()), (bits, bits), "{shows}");
                try_layers(on_client.as_mut(), on_server.as_mut());
            }
            bits
        });
        assert_eq!(got, want, "{shows}");
    }
}

#[test]
fn the_driver_is_told_both_principals_and_the_identity_asked_for() {
    // Whom the client asks to act as, and whether the principal of `acaird` may.
    let cases = [
        (None, true),
        (Some(LOGIN), true),
        (Some(PRINCIPAL), true),
        (Some("postmaster"), false),
    ];
    for (wanted, good_end) in cases {
        let mut pair = Pair::new(good(), Script::new(2), NONE);
        pair.credentials.authzid = wanted.map(str::to_owned);
        let (mut client, mut server) = pair.begin();
        let question = until_asked(&mut client, &mut server).expect("asks");
        let Question::PrincipalLogin {
            principal,
            service,
            left,
            authzid,
        } = question
        else {
            panic!("{question:?}");
        };
        assert_eq!((principal.as_str(), service.as_str()), (PRINCIPAL, SERVICE));
        assert_eq!(left, Some(LEFT), "the session ends with the ticket");
        assert_eq!(authzid.as_deref(), wanted);
        let mut step = server.answer(granted());
        // Whether it may act as somebody else is a separate question.
        if let ServerStep::Ask(_) = step {
            step = server.answer(Answer::Denied {
                reason: "not a delegate".into(),
            });
        }
        assert_eq!(
            matches!(step, ServerStep::Done(_)),
            good_end,
            "{wanted:?}: {step:?}"
        );
        let refused = matches!(step, ServerStep::Fail(SaslError::NotAuthorized { .. }));
        assert_eq!(refused, !good_end, "{wanted:?}");
        assert!(server.take_layer().is_none(), "none was agreed on");
    }
}

#[test]
fn without_mutual_authentication_the_client_gives_up() {
    let silent = Script {
        silent: true,
        features: ContextFeatures {
            mutual: false,
            ..good().features
        },
        ..good()
    };
    let pair = Pair::new(silent, Script { seed: 2, ..silent }, NONE);
    let got = log_in(&pair).map(|_| ());
    assert!(
        got.as_ref().is_err_and(|error| error.contains("mutual")),
        "{got:?}"
    );
}

#[test]
fn failures_of_the_library_keep_their_kind() {
    type Kind = fn(String) -> ContextError;
    type Check = fn(&SaslError) -> bool;
    let kinds: [(Kind, Check); 3] = [
        (ContextError::Malformed, |e| {
            matches!(e, SaslError::Malformed { .. })
        }),
        (ContextError::Refused, |e| matches!(e, SaslError::Denied(_))),
        (ContextError::Unavailable, |e| {
            matches!(e, SaslError::Unavailable(_))
        }),
    ];
    for (failure, is_kind) in kinds {
        let failing = Script {
            failure: Some(failure),
            ..good()
        };
        let mut context = server_context(2);
        context.kerberos = Some(Arc::new(failing));
        let step = Mechanism::Gssapi.server(&context).step(Some(b"token"));
        let ServerStep::Fail(error) = step else {
            panic!("{step:?}");
        };
        assert!(is_kind(&error), "{error:?}");

        let mut credentials = credentials("unused");
        credentials.kerberos = Some(Arc::new(failing));
        let client = Mechanism::Gssapi.client(&credentials, &client_context(1));
        assert!(matches!(client, Err(ClientError::Context(_))), "{client:?}");
    }
    let mut nothing = server_context(2);
    nothing.kerberos = None;
    let step = Mechanism::Gssapi.server(&nothing).step(Some(b"token"));
    assert!(
        matches!(step, ServerStep::Fail(SaslError::Unavailable(_))),
        "{step:?}"
    );
    let mut nobody = credentials("unused");
    nobody.kerberos = None;
    let client = Mechanism::Gssapi.client(&nobody, &client_context(1));
    assert!(matches!(client, Err(ClientError::Missing { .. })), "{client:?}");
}

/// A client that sends arbitrary data under a valid context: its reply to the offer is the given word.
fn choose(word: &[u8], layers: Layers) -> ServerStep {
    use postern_sasl::ContextInitiator as _;
    let mut context = Script::new(1).initiate("smtp", common::HOST).expect("begins");
    let pair = Pair::new(good(), Script::new(2), layers);
    let mut server = Mechanism::Gssapi.server(&pair.server);
    let first = context.step(b"").expect("steps").token;
    let ServerStep::Challenge(reply) = server.step(Some(&first)) else {
        panic!("no token");
    };
    assert!(context.step(&reply).expect("steps").established);
    let ServerStep::Challenge(offer) = server.step(Some(b"")) else {
        panic!("no offer");
    };
    let _ = context.unwrap(&offer).expect("opens");
    let choice = context.wrap(word, false).expect("wraps");
    match server.step(Some(&choice)) {
        ServerStep::Ask(_) => server.answer(granted()),
        other => other,
    }
}

#[test]
fn a_choice_that_was_not_offered_or_makes_no_sense_is_refused() {
    let cases: [(&str, &[u8], Layers, bool); 10] = [
        ("no layer", b"\x01\0\0\0", NONE, true),
        (
            "no layer, with a size: libraries differ",
            b"\x01\x01\0\0",
            NONE,
            true,
        ),
        ("integrity", b"\x02\0\x10\0", BOTH, true),
        ("integrity, not offered", b"\x02\0\x10\0", NONE, false),
        ("confidentiality, not offered", b"\x04\0\x10\0", INTEGRITY, false),
        ("two layers", b"\x06\0\x10\0", BOTH, false),
        ("none of the three", b"\0\0\x10\0", BOTH, false),
        ("a layer that does not exist", b"\x08\0\x10\0", BOTH, false),
        (
            "no room for text, which would only make work",
            b"\x04\0\0\x20",
            BOTH,
            false,
        ),
        ("three octets", b"\x01\0\0", NONE, false),
    ];
    for (shows, word, layers, is_good) in cases {
        let step = choose(word, layers);
        assert_eq!(matches!(step, ServerStep::Done(_)), is_good, "{shows}: {step:?}");
        let malformed = matches!(step, ServerStep::Fail(SaslError::Malformed { .. }));
        assert_eq!(malformed, !is_good, "{shows}: {step:?}");
    }
    let hostile = choose(b"\x01\0\0\0a\nb", NONE);
    assert!(
        matches!(hostile, ServerStep::Fail(SaslError::Malformed { .. })),
        "a line feed would forge a log line: {hostile:?}"
    );
}

/// A server that makes an arbitrary offer.
fn offer(word: &[u8], layers: Layers) -> Result<(), ClientError> {
    use postern_sasl::ContextAcceptor as _;
    let mut context = Script::new(2).accept().expect("begins");
    let mut pair = Pair::new(good(), Script::new(2), layers);
    pair.client.layers = layers;
    let (mut client, _) = pair.begin();
    let reply = context
        .step(&client.initial().expect("first"))
        .expect("steps")
        .token;
    assert!(client.step(&reply).expect("token").is_empty());
    let offer = context.wrap(word, false).expect("wraps");
    client.step(&offer).map(|_| ())
}

#[test]
fn an_offer_that_makes_no_sense_is_refused() {
    let cases: [(&str, &[u8], Layers, bool); 7] = [
        ("no layer", b"\x01\0\0\0", NONE, true),
        ("all layers", b"\x07\x01\0\0", BOTH, true),
        (
            "no layer, with a size (RFC 4752 section 3.1)",
            b"\x01\0\x10\0",
            NONE,
            false,
        ),
        ("a layer that is not allowed", b"\x04\x01\0\0", NONE, false),
        ("nothing", b"\0\0\0\0", BOTH, false),
        ("five octets", b"\x01\0\0\0\0", NONE, false),
        ("a layer without room", b"\x04\0\0\x01", BOTH, false),
    ];
    for (shows, word, layers, is_good) in cases {
        let got = offer(word, layers);
        assert_eq!(got.is_ok(), is_good, "{shows}: {got:?}");
    }
}

#[test]
fn a_layer_notices_what_was_done_to_it() {
    let pair = Pair::new(good(), Script::new(2), BOTH);
    let layers = || {
        let (_, client, server) = log_in(&pair).expect("logs in");
        (client.expect("agreed on"), server.expect("agreed on"))
    };
    let (mut client, mut server) = layers();
    let (mut first, mut second, mut got) = (Vec::new(), Vec::new(), Vec::new());
    client.wrap(b"MAIL FROM:<>\r\n", &mut first).expect("wraps");
    client.wrap(b"QUIT\r\n", &mut second).expect("wraps");
    assert_eq!(server.unwrap(&first[..9], &mut got), Ok(0), "half a token waits");
    assert_eq!(server.unwrap(&first, &mut got), Ok(first.len()));
    assert_eq!(
        server.unwrap(&first, &mut got),
        Err(LayerError::Forged),
        "repeated"
    );

    let (_, mut server) = layers();
    assert_eq!(
        server.unwrap(&second, &mut got),
        Err(LayerError::Forged),
        "left out"
    );

    let (_, mut server) = layers();
    let mut changed = first.clone();
    *changed.last_mut().expect("not empty") ^= 1;
    assert_eq!(
        server.unwrap(&changed, &mut got),
        Err(LayerError::Forged),
        "changed"
    );

    let (_, mut server) = layers();
    let too_long = LayerError::TooLong { limit: 65_536 };
    assert_eq!(server.unwrap(&[0, 1, 0, 1], &mut got), Err(too_long), "too long");

    // Agreed to be encrypted, but sent unencrypted by someone who can only change the code.
    let weak = Pair::new(good(), Script::new(2), INTEGRITY);
    let (_, in_clear, _) = log_in(&weak).expect("logs in");
    let (_, mut server) = layers();
    let mut clear = Vec::new();
    in_clear
        .expect("agreed on")
        .wrap(b"QUIT\r\n", &mut clear)
        .expect("wraps");
    assert_eq!(
        server.unwrap(&clear, &mut got),
        Err(LayerError::Forged),
        "not encrypted"
    );
}
