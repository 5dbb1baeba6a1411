use super::layer::{DigestLayer, Side};
use super::*;
use crate::client::{ClientMechanism, Credentials};
use crate::context::tests::{client_context, server_context};
use crate::exchange::{ServerExchange, ServerStep};
use crate::layer::{LayerError, SecurityLayer};
use crate::{Answer, ClientError, Layers, Mechanism, Question, SaslError, ServerContext, StoredKey};
use proptest::prelude::*;

/// RFC 2831 section 4: service, nonces, the client's proof, the server's.
const EXAMPLES: [[&str; 5]; 2] = [
    [
        "imap",
        "OA6MG9tEQGm2hh",
        "OA6MHXh6VqTrRk",
        "d388dad90d4bbd760a152321f2143af7",
        "ea40f60335c427b5527b84dbabcdfffd",
    ],
    [
        "acap",
        "OA9BSXrbuRhWay",
        "OA9BSuZWMSpW8m",
        "6084c6db3fede7352c551284490fd0fc",
        "2f0b3d7c3c2e486600ef710726aa2eae",
    ],
];

const HOST: &str = "elwood.innosoft.com";

fn credentials() -> Credentials {
    Credentials {
        login: "chris".into(),
        password: Some("secret".into()),
        ..Credentials::default()
    }
}

fn found(password: &str) -> Answer {
    Answer::Key {
        login: "chris".into(),
        key: StoredKey::Digest(DigestSecret::derive("chris", HOST, password)),
    }
}

fn context() -> ServerContext {
    let mut context = server_context();
    context.host = HOST.into();
    context.realm = HOST.into();
    context.names = vec![HOST.into()];
    context
}

fn server(context: &ServerContext, nonce: &str) -> (ServerExchange, String) {
    let machine = DigestServer::new(context).with_nonce(nonce);
    let mut server = ServerExchange::new(Mechanism::DigestMd5, Box::new(machine));
    match server.step(None) {
        ServerStep::Challenge(challenge) => (server, String::from_utf8(challenge).unwrap()),
        other => panic!("the server speaks first: {other:?}"),
    }
}

#[test]
fn the_exchanges_of_rfc_2831() {
    for [service, nonce, cnonce, proof, rspauth] in EXAMPLES {
        let mut client = DigestClient::new(&credentials(), &client_context())
            .unwrap()
            .with_nonce(cnonce, &format!("{service}/{HOST}"));
        let challenge =
            format!("realm=\"{HOST}\",nonce=\"{nonce}\",qop=\"auth\",algorithm=md5-sess,charset=utf-8");
        assert_eq!(server(&context(), nonce).1, challenge);
        let response = format!(
            "charset=utf-8,username=\"chris\",realm=\"{HOST}\",nonce=\"{nonce}\",nc=00000001,cnonce=\"{cnonce}\",\
             digest-uri=\"{service}/{HOST}\",response={proof},qop=auth"
        );
        let got = client.step(challenge.as_bytes()).unwrap();
        assert_eq!(std::str::from_utf8(&got).unwrap(), response);
        assert!(
            client
                .step(format!("rspauth={rspauth}").as_bytes())
                .unwrap()
                .is_empty()
        );
        assert!(client.finish().unwrap().layer.is_none());
    }
}

/// The same with the service that this server accepts: what the RFC's example would be for SMTP.
fn smtp_response(nonce: &str) -> String {
    let mut client = DigestClient::new(&credentials(), &client_context())
        .unwrap()
        .with_nonce("OA6MHXh6VqTrRk", &format!("smtp/{HOST}"));
    let challenge =
        format!("realm=\"{HOST}\",nonce=\"{nonce}\",qop=\"auth\",algorithm=md5-sess,charset=utf-8");
    String::from_utf8(client.step(challenge.as_bytes()).unwrap().to_vec()).unwrap()
}

/// How the server handles a response for an existing account.
fn taken(nonce: &str, response: &str) -> &'static str {
    let (mut server, _) = server(&context(), nonce);
    let step = match server.step(Some(response.as_bytes())) {
        ServerStep::Ask(Question::DigestSecret { realm, .. }) => {
            assert_eq!(realm, HOST);
            server.answer(found("secret"))
        }
        other => other,
    };
    match step {
        ServerStep::Challenge(rspauth) => {
            assert!(rspauth.starts_with(b"rspauth="));
            let end = server.step(Some(b""));
            assert!(matches!(end, ServerStep::Done(_)), "{end:?}");
            "done"
        }
        ServerStep::Fail(SaslError::Malformed { .. }) => "malformed",
        ServerStep::Fail(SaslError::Denied(_)) => "denied",
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_server_checks_every_field() {
    let nonce = EXAMPLES[0][1];
    let good = smtp_response(nonce);
    let cases = [
        ("as it should be", good.clone(), "done"),
        ("latin-1", good.replace("charset=utf-8,", ""), "done"),
        ("a directive of no meaning", good.clone() + ",x-new=\"y\"", "done"),
        ("an IMAP login", good.replace("smtp/", "imap/"), "malformed"),
        (
            "a login for another server",
            good.replace("smtp/elwood", "smtp/evil"),
            "malformed",
        ),
        (
            "another nonce",
            good.replace(nonce, "OA6MG9tEQGm2hx"),
            "malformed",
        ),
        (
            "a replay",
            good.replace("nc=00000001", "nc=00000002"),
            "malformed",
        ),
        (
            "another realm",
            good.replace("realm=\"elwood", "realm=\"x"),
            "malformed",
        ),
        (
            "a layer that was not offered",
            good.replace("qop=auth", "qop=auth-int"),
            "malformed",
        ),
        (
            "another client nonce",
            good.replace("OA6MHXh6VqTrRk", "OA6MHXh6VqTrRj"),
            "denied",
        ),
        ("two names", good.clone() + ",username=\"root\"", "malformed"),
        (
            "an authorization identity that the proof is not for",
            good.clone() + ",authzid=\"root\"",
            "denied",
        ),
        ("no proof", good.replace("response=", "x="), "malformed"),
        ("too long", good.clone() + &",".repeat(5000), "malformed"),
    ];
    for (shows, response, want) in cases {
        assert_eq!(taken(nonce, &response), want, "{shows}");
    }
}

#[test]
fn a_response_cut_short_is_refused() {
    let nonce = EXAMPLES[0][1];
    let good = smtp_response(nonce);
    for end in 0..good.len() {
        // A missing `qop` means `auth`.
        let whole = end + ",qop=auth".len() == good.len() || end + "qop=auth".len() == good.len();
        assert_eq!(taken(nonce, &good[..end]) == "done", whole, "{end}");
    }
}

#[test]
fn wrong_and_unknown_are_denied() {
    for answer in [
        found("Secret"),
        Answer::Denied {
            reason: "unknown".into(),
        },
    ] {
        let nonce = EXAMPLES[0][1];
        let (mut server, _) = server(&context(), nonce);
        assert!(matches!(
            server.step(Some(smtp_response(nonce).as_bytes())),
            ServerStep::Ask(_)
        ));
        let step = server.answer(answer);
        assert!(matches!(step, ServerStep::Fail(SaslError::Denied(_))), "{step:?}");
        assert!(server.take_layer().is_none());
    }
}

#[test]
fn the_client_checks_the_server() {
    let cases = [
        ("no nonce", "qop=\"auth\",algorithm=md5-sess"),
        ("no algorithm", "nonce=\"x\",qop=\"auth\""),
        (
            "a layer we do not want",
            "nonce=\"x\",qop=\"auth-int\",algorithm=md5-sess",
        ),
        ("nothing", ""),
    ];
    for (shows, challenge) in cases {
        let mut client = DigestClient::new(&credentials(), &client_context()).unwrap();
        let got = client.step(challenge.as_bytes());
        assert!(
            matches!(got, Err(ClientError::Malformed { .. })),
            "{shows}: {got:?}"
        );
    }
    let at_proof = || {
        let mut client = DigestClient::new(&credentials(), &client_context()).unwrap();
        client.step(b"nonce=\"x\",algorithm=md5-sess").unwrap();
        client
    };
    let got = at_proof().step(format!("rspauth={}", EXAMPLES[0][4]).as_bytes());
    assert!(matches!(got, Err(ClientError::ServerNotProven { .. })), "{got:?}");
    let got = at_proof().finish();
    assert!(matches!(got, Err(ClientError::ServerNotProven { .. })), "{got:?}");
}

fn pair(protection: Protection) -> (DigestLayer, DigestLayer) {
    let key = hash::md5(&[b"a session"]);
    let layer = |side| DigestLayer::new(side, &key, protection, 200).unwrap();
    (layer(Side::Client), layer(Side::Server))
}

const LAYERS: [Protection; 3] = [
    Protection::Integrity,
    Protection::Confidentiality(Cipher::Rc4),
    Protection::Confidentiality(Cipher::TripleDes),
];

#[test]
fn a_buffer_that_was_changed_repeated_or_left_out_is_noticed() {
    for protection in LAYERS {
        let (mut client, _) = pair(protection);
        let mut wire = Vec::new();
        client.wrap(b"MAIL FROM:<>\r\n", &mut wire).unwrap();
        let first = wire.len();
        client.wrap(b"QUIT\r\n", &mut wire).unwrap();
        for at in LENGTH_FIELD..first {
            let mut changed = wire.clone();
            changed[at] ^= 1;
            let got = pair(protection).1.unwrap(&changed, &mut Vec::new());
            assert_eq!(got, Err(LayerError::Forged), "{protection:?} {at}");
        }
        let (_, mut server) = pair(protection);
        server.unwrap(&wire[..first], &mut Vec::new()).unwrap();
        let again = server.unwrap(&wire[..first], &mut Vec::new());
        assert_eq!(again, Err(LayerError::Forged), "{protection:?} repeated");
        let (_, mut server) = pair(protection);
        let second = server.unwrap(&wire[first..], &mut Vec::new());
        assert_eq!(second, Err(LayerError::Forged), "{protection:?} left out");
        let (mut client, _) = pair(protection);
        let back = client.unwrap(&wire, &mut Vec::new());
        assert_eq!(back, Err(LayerError::Forged), "{protection:?} sent back");
    }
}

const LENGTH_FIELD: usize = 4;

#[test]
fn a_buffer_over_the_limit_is_refused_before_it_is_here() {
    let (_, mut server) = pair(Protection::Integrity);
    assert_eq!(
        server.unwrap(&[0, 1, 0, 1], &mut Vec::new()),
        Err(LayerError::TooLong { limit: 65_536 })
    );
    assert_eq!(server.unwrap(&[0, 1, 0], &mut Vec::new()), Ok(0), "not whole yet");
}

#[test]
fn old_characters_hash_alike_in_both_sets() {
    // RFC 2831 section 2.1.2.1: text that ISO 8859-1 can represent is hashed in it.
    let narrow = hash::md5(&[b"j\xfcrgen:r:p"]);
    assert_eq!(
        DigestSecret::derive("jürgen", "r", "p").to_text().as_str(),
        format!(
            "DIGEST-MD5${}$r",
            crate::key_text::hex(narrow.as_slice()).as_str()
        )
    );
    let wide = hash::md5(&["ł:r:p".as_bytes()]);
    assert!(
        DigestSecret::derive("ł", "r", "p")
            .to_text()
            .contains(crate::key_text::hex(wide.as_slice()).as_str())
    );
}

#[test]
fn what_is_offered_is_what_is_configured() {
    let mut context = context();
    context.layers = Layers {
        integrity: true,
        confidentiality: true,
    };
    assert_eq!(
        server(&context, "n").1,
        format!(
            "realm=\"{HOST}\",nonce=\"n\",qop=\"auth,auth-int,auth-conf\",algorithm=md5-sess,charset=utf-8,maxbuf=65536,\
             cipher=\"rc4,3des\""
        )
    );
}

proptest! {
    /// What goes in comes out, however the network splits it, in both directions.
    #[test]
    fn layers_carry_anything(
        which in 0..3_usize, texts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..500), 1..4), cut in any::<prop::sample::Index>(),
    ) {
        let (mut client, mut server) = pair(LAYERS[which]);
        let (mut wire, mut back) = (Vec::new(), Vec::new());
        for text in &texts {
            client.wrap(text, &mut wire).unwrap();
            server.wrap(text, &mut back).unwrap();
        }
        let cut = cut.index(wire.len() + 1);
        let (mut got, mut got_back) = (Vec::new(), Vec::new());
        let used = server.unwrap(&wire[..cut], &mut got).unwrap();
        prop_assert!(used <= cut);
        prop_assert_eq!(server.unwrap(&wire[used..], &mut got), Ok(wire.len() - used));
        prop_assert_eq!(client.unwrap(&back, &mut got_back), Ok(back.len()));
        prop_assert_eq!(&got, &texts.concat());
        prop_assert_eq!(got_back, got);
    }

    #[test]
    fn no_input_upsets_a_layer(which in 0..3_usize, body in prop::collection::vec(any::<u8>(), 0..100)) {
        let mut wire = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
        wire.extend(body);
        prop_assert_eq!(pair(LAYERS[which]).1.unwrap(&wire, &mut Vec::new()), Err(LayerError::Forged));
    }
}
