use super::compute::{message_code, proof, response_key, session_key, unseal};
use super::message::{CODE, CODE_AT};
use super::*;
use crate::client::{ClientExchange, Credentials};
use crate::context::tests::{client_context, server_context};
use crate::exchange::{ServerExchange, ServerStep};
use crate::key_text::hex;
use crate::{Answer, Mechanism, Question, SaslError, StoredKey};

/// MS-NLMP section 4.2.1.
const NONCE: [u8; 8] = [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef];
const SESSION_KEY: [u8; 16] = [0x55; 16];

fn octets(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    digits
        .chunks_exact(2)
        .map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap())
        .collect()
}

/// `CHALLENGE_MESSAGE` of section 4.2.4.3.
fn challenge() -> Vec<u8> {
    octets(
        "4e544c4d53535000 02000000 0c000c0038000000 33828ae2 0123456789abcdef 0000000000000000
         2400240044000000 060070170000000f 530065007200760065007200
         02000c0044006f006d00610069006e00 01000c00530065007200760065007200 00000000",
    )
}

/// `temp` of section 4.2.4.1.3: the blob that the proof covers.
fn blob() -> Vec<u8> {
    octets(
        "0101000000000000 0000000000000000 aaaaaaaaaaaaaaaa 00000000
         02000c0044006f006d00610069006e00 01000c00530065007200760065007200 00000000 00000000",
    )
}

/// `AUTHENTICATE_MESSAGE` of section 4.2.4.3.
fn authenticate() -> Vec<u8> {
    let mut message = octets(
        "4e544c4d53535000 03000000 180018006c000000 5400540084000000 0c000c0048000000 0800080054000000
         100010005c000000 10001000d8000000 358288e2 0501280a0000000f
         44006f006d00610069006e00 5500730065007200 43004f004d0050005500540045005200
         86c35097ac9cec102554764a57cccc19aaaaaaaaaaaaaaaa
         68cd0ab851e51c96aabc927bebef6a1c",
    );
    message.extend(blob());
    message.extend(octets("c5dad2544fc979909 4ce1ce90bc9d03e"));
    message
}

#[test]
fn the_sums_of_ms_nlmp_section_4_2_4() {
    let hash = NtHash::derive("Password");
    assert_eq!(
        hash.to_text().as_str(),
        "NT$a4f49c406510bdcab6824ee7c30fd852",
        "NTOWFv1"
    );
    let key = response_key(&hash, "User", "Domain");
    assert_eq!(
        hex(key.as_slice()).as_str(),
        "0c868a403bfd7a93a3001ef22ef02e3f",
        "NTOWFv2"
    );
    let proof = proof(&key, NONCE, &blob());
    assert_eq!(
        hex(proof.as_slice()).as_str(),
        "68cd0ab851e51c96aabc927bebef6a1c",
        "NTProofStr"
    );
    let base = session_key(&key, &proof);
    assert_eq!(
        hex(base.as_slice()).as_str(),
        "8de40ccadbc14a82f15cb0ad0de95ca3",
        "SessionBaseKey"
    );
    let sealed = [
        0xc5, 0xda, 0xd2, 0x54, 0x4f, 0xc9, 0x79, 0x90, 0x94, 0xce, 0x1c, 0xe9, 0x0b, 0xc9, 0xd0, 0x3e,
    ];
    assert_eq!(*unseal(&base, sealed), SESSION_KEY, "EncryptedRandomSessionKey");
}

fn found(password: &str) -> Answer {
    Answer::Key {
        login: "user".into(),
        key: StoredKey::Nt(NtHash::derive(password)),
    }
}

fn at_third() -> ServerExchange {
    let machine = NtlmServer::challenged(&message::negotiate(0), &challenge(), NONCE);
    ServerExchange::new(Mechanism::Ntlm, Box::new(machine))
}

#[test]
fn the_messages_of_ms_nlmp_section_4_2_4() {
    assert_eq!(authenticate().len(), 0xd8 + 16);
    let mut server = at_third();
    let step = server.step(Some(&authenticate()));
    assert!(
        matches!(&step, ServerStep::Ask(Question::NtHash { authcid, domain }) if authcid == "User" && domain == "Domain"),
        "{step:?}"
    );
    let step = server.answer(found("Password"));
    assert!(
        matches!(&step, ServerStep::Done(outcome) if outcome.login == "user"),
        "{step:?}"
    );

    for answer in [
        found("password"),
        Answer::Denied {
            reason: "unknown".into(),
        },
    ] {
        let mut server = at_third();
        assert!(matches!(server.step(Some(&authenticate())), ServerStep::Ask(_)));
        let step = server.answer(answer);
        assert!(matches!(step, ServerStep::Fail(SaslError::Denied(_))), "{step:?}");
    }
}

#[test]
fn a_changed_or_cut_message_is_refused() {
    let good = authenticate();
    for at in 0x84..0xd8 {
        let mut changed = good.clone();
        changed[at] ^= 1;
        let mut server = at_third();
        let step = match server.step(Some(&changed)) {
            ServerStep::Ask(_) => server.answer(found("Password")),
            other => other,
        };
        assert!(matches!(step, ServerStep::Fail(_)), "{at}: {step:?}");
    }
    for end in 0..good.len() {
        let step = at_third().step(Some(&good[..end]));
        assert!(
            matches!(step, ServerStep::Fail(SaslError::Malformed { .. })),
            "{end}: {step:?}"
        );
    }
    let mut first_version = good;
    first_version[20] = 24;
    first_version[22] = 24;
    let step = at_third().step(Some(&first_version));
    assert!(
        matches!(&step, ServerStep::Fail(SaslError::Denied(reason)) if reason.contains("first version")),
        "{step:?}"
    );
}

fn client(password: &str) -> ClientExchange {
    let credentials = Credentials {
        login: "User".into(),
        domain: Some("Domain".into()),
        password: Some(password.into()),
        ..Credentials::default()
    };
    Mechanism::Ntlm.client(&credentials, &client_context()).unwrap()
}

/// The third message of an exchange with our own server, which wants a message integrity code, and the server.
fn with_code() -> (ServerExchange, Vec<u8>) {
    let mut server = Mechanism::Ntlm.server(&server_context());
    let mut client = client("Password");
    let first = client.initial().unwrap();
    let ServerStep::Challenge(second) = server.step(Some(&first)) else {
        panic!("a challenge was due");
    };
    let third = client.step(&second).unwrap().to_vec();
    (server, third)
}

#[test]
fn the_message_integrity_code_is_made_and_checked() {
    let (mut server, third) = with_code();
    assert_ne!(third[CODE_AT..CODE_AT + CODE], [0; CODE]);
    assert!(matches!(server.step(Some(&third)), ServerStep::Ask(_)));
    let step = server.answer(found("Password"));
    assert!(matches!(step, ServerStep::Done(_)), "{step:?}");

    // In the code itself, and in what only the code covers: a flag, and the workstation at the end.
    for at in [CODE_AT, CODE_AT + CODE - 1, 62] {
        let (mut server, mut third) = with_code();
        third[at] ^= 1;
        assert!(matches!(server.step(Some(&third)), ServerStep::Ask(_)), "{at}");
        let step = server.answer(found("Password"));
        assert!(
            matches!(step, ServerStep::Fail(SaslError::Intercepted { .. })),
            "{at}: {step:?}"
        );
    }
}

#[test]
fn a_client_that_chooses_the_session_key() {
    // As Windows does it: the code is made with the key that the client sent encrypted.
    let hash = NtHash::derive("Password");
    let key = response_key(&hash, "User", "");
    let mut blob = blob();
    blob.truncate(28);
    message::push_av(
        &mut blob,
        message::av::FLAGS,
        &message::av::HAS_CODE.to_le_bytes(),
    );
    message::push_av(&mut blob, message::av::END, &[]);
    let proof = proof(&key, NONCE, &blob);
    let mut answer = proof.to_vec();
    answer.extend(&blob);
    let mut third = message::authenticate(&message::Parts {
        flags: flag::UNICODE | flag::KEY_EXCHANGE,
        answer: &answer,
        domain: "",
        user: "User",
        workstation: "",
    });
    let place = u32::try_from(third.len()).unwrap().to_le_bytes();
    third[52..56].copy_from_slice(&[16, 0, 16, 0]);
    third[56..60].copy_from_slice(&place);
    third.extend(*unseal(&session_key(&key, &proof), SESSION_KEY));
    let first = message::negotiate(0);
    let code = message_code(
        &zeroize::Zeroizing::new(SESSION_KEY),
        [&first, &challenge(), &third],
    );
    third[CODE_AT..CODE_AT + CODE].copy_from_slice(code.as_slice());

    let mut server = at_third();
    assert!(matches!(server.step(Some(&third)), ServerStep::Ask(_)));
    let step = server.answer(found("Password"));
    assert!(matches!(step, ServerStep::Done(_)), "{step:?}");
}

#[test]
fn a_replay_meets_another_challenge() {
    let (_, third) = with_code();
    let mut context = server_context();
    context.nonce = crate::Nonce::new([9; 32]);
    let mut server = Mechanism::Ntlm.server(&context);
    let first = message::negotiate(flag::UNICODE);
    assert!(matches!(server.step(Some(&first)), ServerStep::Challenge(_)));
    assert!(matches!(server.step(Some(&third)), ServerStep::Ask(_)));
    let step = server.answer(found("Password"));
    assert!(matches!(step, ServerStep::Fail(SaslError::Denied(_))), "{step:?}");
}

#[test]
fn the_client_answers_the_servers_of_ms_nlmp() {
    let mut client = client("Password");
    let _ = client.initial();
    let third = client.step(&challenge()).unwrap();
    // No time in the challenge, so no message integrity code; and no key exchange, though it was offered.
    assert_eq!(third[CODE_AT..CODE_AT + CODE], [0; CODE]);
    let mut server = at_third();
    assert!(matches!(server.step(Some(&third)), ServerStep::Ask(_)));
    assert!(matches!(server.answer(found("Password")), ServerStep::Done(_)));
    assert!(client.step(&challenge()).is_err(), "only once");
}

#[test]
fn the_challenge_speaks_the_clients_character_set() {
    for (offered, want) in [(flag::UNICODE | flag::OEM, flag::UNICODE), (flag::OEM, flag::OEM)] {
        let mut server = Mechanism::Ntlm.server(&server_context());
        assert!(matches!(server.step(None), ServerStep::Challenge(empty) if empty.is_empty()));
        let ServerStep::Challenge(second) = server.step(Some(&message::negotiate(offered))) else {
            panic!("a challenge was due");
        };
        let parsed = message::Challenge::parse(&second).unwrap();
        assert_eq!(parsed.flags & (flag::UNICODE | flag::OEM), want);
        assert_eq!(
            parsed.flags & flag::KEY_EXCHANGE,
            0,
            "no session key: nothing is protected by it"
        );
    }
}

/// The verdict on a response with additional target information, made by somebody who knows the password.
fn said(pairs: &[(u16, Vec<u8>)], context: &crate::ServerContext) -> ServerStep {
    let mut server = Mechanism::Ntlm.server(context);
    let first = message::negotiate(flag::UNICODE);
    let ServerStep::Challenge(second) = server.step(Some(&first)) else {
        panic!("a challenge was due");
    };
    let second = message::Challenge::parse(&second).unwrap();
    let mut blob = blob();
    blob.truncate(28);
    for (kind, value) in pairs {
        message::push_av(&mut blob, *kind, value);
    }
    message::push_av(&mut blob, message::av::END, &[]);
    let key = response_key(&NtHash::derive("Password"), "User", "");
    let mut answer = proof(&key, second.nonce, &blob).to_vec();
    answer.extend(&blob);
    let third = message::authenticate(&message::Parts {
        flags: flag::UNICODE,
        answer: &answer,
        domain: "",
        user: "User",
        workstation: "",
    });
    match server.step(Some(&third)) {
        ServerStep::Ask(_) => server.answer(found("Password")),
        step => step,
    }
}

#[test]
fn an_answer_for_another_channel_or_server_is_refused() {
    use message::av::{CHANNEL, TARGET_NAME};
    let mut context = server_context();
    context.bindings.server_end_point = Some(vec![7; 32]);
    let ours = || (CHANNEL, target::sum("tls-server-end-point", &[7; 32]).to_vec());
    let theirs = || (CHANNEL, target::sum("tls-server-end-point", &[8; 32]).to_vec());
    let server = |name: &str| (TARGET_NAME, message::utf16(name));
    let host = server(&format!("SMTPSVC/{}", context.host));
    #[rustfmt::skip]
    let cases = [
        ("nothing said",       vec![],                                   true),
        ("no channel",         vec![(CHANNEL, vec![0; 16])],             true),
        ("this session",       vec![ours(), host.clone()],               true),
        ("another session",    vec![theirs(), host],                     false),
        ("another server",     vec![ours(), server("smtp/evil.test")],   false),
        ("the first counts",   vec![theirs(), ours()],                   false),
    ];
    for (shows, pairs, taken) in cases {
        let step = said(&pairs, &context);
        match taken {
            true => assert!(matches!(step, ServerStep::Done(_)), "{shows}: {step:?}"),
            false => assert!(
                matches!(step, ServerStep::Fail(SaslError::Intercepted { .. })),
                "{shows}: {step:?}"
            ),
        }
    }
    let half = vec![(TARGET_NAME, vec![b's'])];
    let step = said(&half, &context);
    assert!(
        matches!(step, ServerStep::Fail(SaslError::Malformed { .. })),
        "{step:?}"
    );
    context.ntlm_binds = false;
    let step = said(&[theirs()], &context);
    assert!(
        matches!(step, ServerStep::Done(_)),
        "where TLS ends elsewhere: {step:?}"
    );
}
