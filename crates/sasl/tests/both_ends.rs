//! Every mechanism's client against its own server: right and wrong password, an account that does not exist, replays,
//! truncated and changed messages, and nonsense input.

mod common;

use common::{
    Directory, LOGIN, PASSWORD, Said, Server, client_context, credentials, server_context, try_layers,
};
use postern_sasl::{
    ClientError, ClientExchange, Credentials, Layers, Mechanism, Needs, Outcome, RESPONSE_MAX, SaslError,
};
use proptest::prelude::*;

/// Runs an exchange to its end; `change` may inspect and change what the client sends.
fn run(
    client: &mut ClientExchange,
    server: &mut Server,
    mut change: impl FnMut(usize, &mut Vec<u8>),
) -> Result<Outcome, SaslError> {
    let mut number = 0;
    let mut message = client.initial().map(|first| first.to_vec());
    loop {
        if let Some(message) = &mut message {
            change(number, message);
            number += 1;
        }
        match server.say(message.as_deref()) {
            Said::Done(outcome) => return Ok(outcome),
            Said::Fail(error) => return Err(error),
            Said::Challenge(challenge) => match client.step(&challenge) {
                Ok(response) => message = Some(response.to_vec()),
                // The driver sends `*`.
                Err(error) => return Err(SaslError::Denied(format!("the client gives up: {error}"))),
            },
        }
    }
}

fn pair(mechanism: Mechanism, directory: Directory, credentials: &Credentials) -> (ClientExchange, Server) {
    let client = mechanism.client(credentials, &client_context(1)).expect("fits");
    let server = Server::new(mechanism, &server_context(2), directory);
    (client, server)
}

/// The messages of a good exchange.
fn recorded(mechanism: Mechanism) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    let (mut client, mut server) = pair(mechanism, Directory::REAL, &credentials(PASSWORD));
    run(&mut client, &mut server, |_, message| {
        messages.push(message.clone())
    })
    .expect("logs in");
    messages
}

#[test]
fn the_right_password_logs_in() {
    for &mechanism in Mechanism::ALL {
        let (mut client, mut server) = pair(mechanism, Directory::REAL, &credentials(PASSWORD));
        let outcome = run(&mut client, &mut server, |_, _| {}).unwrap_or_else(|e| panic!("{mechanism}: {e}"));
        assert_eq!(outcome.login, LOGIN, "{mechanism}");
        assert_eq!(outcome.layer_bits, 0, "{mechanism}");
        assert!(server.exchange.take_layer().is_none(), "{mechanism}");
        assert!(client.finish().expect("proven").layer.is_none(), "{mechanism}");
    }
}

#[test]
fn the_wrong_password_and_an_account_that_does_not_exist_fail_alike() {
    for &mechanism in Mechanism::ALL {
        let uses_password = !matches!(
            mechanism.properties().needs,
            Needs::Certificate | Needs::Token | Needs::Kerberos
        );
        if !uses_password {
            continue;
        }
        let mut steps = Vec::new();
        for (name, password) in [(LOGIN, "pass word"), ("nobody", PASSWORD)] {
            let mut credentials = credentials(password);
            credentials.login = name.into();
            let (mut client, mut server) = pair(mechanism, Directory::REAL, &credentials);
            let mut count = 0;
            let error = run(&mut client, &mut server, |_, _| count += 1).expect_err("denied");
            assert!(matches!(error, SaslError::Denied(_)), "{mechanism}: {error}");
            steps.push(count);
        }
        assert_eq!(
            steps[0], steps[1],
            "{mechanism} tells who exists by when it fails"
        );
    }
}

#[test]
fn an_authorization_identity_other_than_the_login_is_refused() {
    for &mechanism in Mechanism::ALL {
        for (authzid, good) in [(LOGIN, true), ("postmaster", false)] {
            let mut credentials = credentials(PASSWORD);
            credentials.authzid = Some(authzid.into());
            let (mut client, mut server) = pair(mechanism, Directory::REAL, &credentials);
            let got = run(&mut client, &mut server, |_, _| {});
            // LOGIN, CRAM-MD5 and NTLM cannot express it, so it is not requested.
            let cannot = matches!(mechanism, Mechanism::Login | Mechanism::CramMd5 | Mechanism::Ntlm);
            assert_eq!(got.is_ok(), good || cannot, "{mechanism} as {authzid}: {got:?}");
        }
    }
}

#[test]
fn security_layers_fit_each_other() {
    for (integrity, confidentiality, bits) in [(true, false, 1), (true, true, 128), (false, true, 128)] {
        let layers = Layers {
            integrity,
            confidentiality,
        };
        let (mut client_side, mut server_side) = (client_context(1), server_context(2));
        client_side.layers = layers;
        server_side.layers = layers;
        let mechanism = Mechanism::DigestMd5;
        let mut client = mechanism
            .client(&credentials(PASSWORD), &client_side)
            .expect("fits");
        let mut server = Server::new(mechanism, &server_side, Directory::REAL);
        let outcome = run(&mut client, &mut server, |_, _| {}).expect("logs in");
        assert_eq!(outcome.layer_bits, bits);
        let mut on_server = server.exchange.take_layer().expect("agreed on");
        assert!(server.exchange.take_layer().is_none(), "given away once");
        let mut on_client = client.finish().expect("proven").layer.expect("agreed on");
        assert_eq!((on_server.bits(), on_client.bits()), (bits, bits));
        try_layers(on_client.as_mut(), on_server.as_mut());
    }
}

#[test]
fn a_replayed_exchange_fails() {
    for &mechanism in Mechanism::ALL {
        if mechanism.is_plaintext() || mechanism == Mechanism::External {
            continue; // Its messages are the same each time; only TLS protects them.
        }
        let messages = recorded(mechanism);
        let mut server = Server::new(mechanism, &server_context(3), Directory::REAL);
        let mut said = match mechanism.properties().server_first {
            true => server.say(None),
            false => Said::Challenge(Vec::new()),
        };
        for message in &messages {
            if let Said::Challenge(_) = said {
                said = server.say(Some(message));
            }
        }
        assert!(matches!(said, Said::Fail(_)), "{mechanism}");
    }
}

#[test]
fn a_message_cut_short_grants_nothing_to_another_login() {
    for &mechanism in Mechanism::ALL {
        for (number, message) in recorded(mechanism).into_iter().enumerate() {
            // SCRAM's client runs 4,096 iterations each time.
            let stride = if message.starts_with(b"c=") { 7 } else { 1 };
            for end in (0..message.len()).step_by(stride) {
                let (mut client, mut server) = pair(mechanism, Directory::REAL, &credentials(PASSWORD));
                let got = run(&mut client, &mut server, |this, message| {
                    if this == number {
                        message.truncate(end);
                    }
                });
                // The rest may still be a complete message for its mechanism: but the account is the same.
                if let Ok(outcome) = got {
                    assert_eq!(outcome.login, LOGIN, "{mechanism} message {number} cut at {end}");
                    assert!(
                        end == 0 || !matches!(mechanism, Mechanism::Plain | Mechanism::Login),
                        "{mechanism} message {number} cut at {end}"
                    );
                }
            }
        }
    }
}

#[test]
fn messages_over_the_limit_are_refused() {
    for &mechanism in Mechanism::ALL {
        for number in 0..recorded(mechanism).len() {
            let (mut client, mut server) = pair(mechanism, Directory::REAL, &credentials(PASSWORD));
            let got = run(&mut client, &mut server, |this, message| {
                if this == number {
                    message.resize(RESPONSE_MAX + 1, b'a');
                }
            });
            assert!(
                matches!(got, Err(SaslError::TooLong { .. })),
                "{mechanism} message {number}: {got:?}"
            );
        }
    }
}

#[test]
fn a_server_that_grants_without_proof_is_not_believed() {
    for &mechanism in Mechanism::ALL {
        let mut client = mechanism
            .client(&credentials(PASSWORD), &client_context(1))
            .expect("fits");
        let _ = client.initial();
        let got = client.finish();
        let proves = matches!(
            mechanism,
            Mechanism::Scram(_) | Mechanism::ScramPlus(_) | Mechanism::DigestMd5 | Mechanism::Gssapi
        );
        assert_eq!(
            matches!(got, Err(ClientError::ServerNotProven { .. })),
            proves,
            "{mechanism}: {got:?}"
        );
        assert!(
            matches!(client.step(b""), Err(ClientError::OutOfOrder(_))),
            "{mechanism}: it is over"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever a client sends, the server neither panics nor grants.
    #[test]
    fn no_messages_upset_a_server(
        which in 0..Mechanism::ALL.len(),
        messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..120), 1..4),
    ) {
        let mechanism = Mechanism::ALL[which];
        let mut server = Server::new(mechanism, &server_context(2), Directory::REAL);
        for message in &messages {
            let said = server.say(Some(message));
            let granted = matches!(said, Said::Done(_));
            prop_assert!(!granted || mechanism == Mechanism::External);
        }
    }

    /// A good exchange with one octet changed: the server does not panic, and no other account is logged in.
    #[test]
    fn no_changed_message_upsets_a_server(
        which in 0..Mechanism::ALL.len(), number in 0..4_usize, at in any::<prop::sample::Index>(), to in any::<u8>(),
    ) {
        let mechanism = Mechanism::ALL[which];
        let (mut client, mut server) = pair(mechanism, Directory::REAL, &credentials(PASSWORD));
        let got = run(&mut client, &mut server, |this, message| {
            if this == number && !message.is_empty() {
                let at = at.index(message.len());
                message[at] = to;
            }
        });
        if let Ok(outcome) = got {
            prop_assert_eq!(outcome.login, LOGIN);
        }
    }

    /// Whatever a server sends, the client neither panics nor, if the server must prove itself, accepts it.
    #[test]
    fn no_challenges_upset_a_client(
        which in 0..Mechanism::ALL.len(),
        challenges in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..120), 1..4),
        start in prop::sample::select(vec![&b""[..], b"NTLMSSP\0\x02\0\0\0", b"r=", b"nonce=\"x\",algorithm=md5-sess,"]),
    ) {
        let mechanism = Mechanism::ALL[which];
        let mut client = mechanism.client(&credentials(PASSWORD), &client_context(1)).expect("fits");
        let _ = client.initial();
        for challenge in &challenges {
            let _ = client.step(&[start, challenge].concat());
        }
        if matches!(mechanism, Mechanism::Scram(_) | Mechanism::ScramPlus(_) | Mechanism::DigestMd5 | Mechanism::Gssapi) {
            prop_assert!(client.finish().is_err());
        }
    }

    /// NTLM messages with arbitrary data after their beginning.
    #[test]
    fn no_ntlm_message_upsets_a_server(
        kind in 1..4_u8, rest in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut server = Server::new(Mechanism::Ntlm, &server_context(2), Directory::REAL);
        if kind == 3 {
            let _ = server.say(Some(b"NTLMSSP\0\x01\0\0\0\x01\0\0\0"));
        }
        let message = [b"NTLMSSP\0", [kind, 0, 0, 0].as_slice(), &rest].concat();
        prop_assert!(!matches!(server.say(Some(&message)), Said::Done(_)));
    }
}
