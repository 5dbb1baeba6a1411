//! Logins by bearer tokens at the real binary, with tokens signed by a real provider: valid ones, all kinds of invalid ones, key
//! rollover, a provider that is down.

use std::process::Output;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postern_testkit::oauth::{AUDIENCE, Algorithm, CLIENT_ID, OWNER, OauthProvider, unix_now};
use postern_testkit::process::wait_until;
use postern_testkit::sink::Sink;
use postern_testkit::smtp::Client;
use serde_json::{Value, json};

use crate::harness::{Site, private};

/// A relay that accepts the provider's tokens; `check` says how, `more` is added to the provider's table.
fn site(provider: &OauthProvider, hop: u16, more: &str) -> Site {
    let extra = format!(
        "[auth]\nmechanisms = [\"PLAIN\", \"OAUTHBEARER\", \"XOAUTH2\"]\nplaintext = \"always\"\n\
         network_failures = 1000000\n\
         [[auth.provider]]\nissuer = \"{}\"\naudience = [\"{AUDIENCE}\"]\nscope = [\"smtp\"]\nca_file = \"{}\"\n\
         refetch_pause = \"100ms\"\ntimeout = \"20s\"\n{more}\n",
        provider.issuer(),
        provider.ca().display(),
    );
    let mut site = Site::relay(hop, &extra);
    site.add_user("other@relay.test", "another word");
    site.add_user("gone@relay.test", "a third word");
    site.ok(&["user", "disable", "gone@relay.test"]);
    site.start();
    site
}

/// What a client of either mechanism sends first.
fn message(mechanism: &str, identity: Option<&str>, token: &str) -> String {
    let message = match (mechanism, identity) {
        ("XOAUTH2", identity) => {
            format!(
                "user={}\u{1}auth=Bearer {token}\u{1}\u{1}",
                identity.unwrap_or_default()
            )
        }
        (_, Some(identity)) => format!("n,a={identity},\u{1}auth=Bearer {token}\u{1}\u{1}"),
        (_, None) => format!("n,,\u{1}auth=Bearer {token}\u{1}\u{1}"),
    };
    STANDARD.encode(message)
}

/// Logs in; a challenge is answered with the dummy response. Returns the last reply, and the challenge.
fn log_in(
    client: &mut Client,
    mechanism: &str,
    identity: Option<&str>,
    token: &str,
) -> (String, Option<Value>) {
    let reply = client
        .say(&format!(
            "AUTH {mechanism} {}",
            message(mechanism, identity, token)
        ))
        .unwrap();
    let Some(challenge) = reply.strip_prefix("334 ") else {
        return (reply, None);
    };
    let told = serde_json::from_slice(&STANDARD.decode(challenge.trim()).unwrap()).unwrap();
    let dummy = match mechanism {
        "XOAUTH2" => "",
        _ => "AQ==",
    };
    (client.say(dummy).unwrap(), Some(told))
}

/// The reply to one login on a separate connection.
fn reply(site: &Site, mechanism: &str, identity: Option<&str>, token: &str) -> String {
    log_in(&mut site.tls_client(site.submission), mechanism, identity, token).0
}

fn shown(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn a_token_opens_the_account_of_its_owner_and_no_other() {
    let sink = Sink::start();
    let provider = OauthProvider::start();
    let site = site(&provider, sink.port(), "");
    let right = || provider.token(json!({}));
    let of = |owner: &str| provider.token(json!({"email": owner}));
    let none = || json!({});
    #[rustfmt::skip]
    let cases = [
        // what the case shows         says it is                    token                                                 reply         reason in the log
        ("right",                      Some(OWNER),                  right(),                                              "235 2.0.0",  ""),
        ("right, in other letters",    Some("Tester@Relay.TEST"),    right(),                                              "235 2.0.0",  ""),
        ("says nothing of itself",     None,                         right(),                                              "235 2.0.0",  ""),
        ("somebody else's token",      Some(OWNER),                  of("other@relay.test"),                               "535 5.7.0",  "the token is of other@relay.test, and the client says it is tester@relay.test"),
        ("nobody's token",             Some("new@relay.test"),       of("new@relay.test"),                                 "535 5.7.0",  "the token is of new@relay.test: unknown user"),
        ("of a user who was locked",   Some("gone@relay.test"),      of("gone@relay.test"),                                "535 5.7.0",  "the token is of gone@relay.test: account disabled"),
        ("expired",                    Some(OWNER),                  provider.token(json!({"exp": unix_now() - 9_000})), "535 5.7.0", "expired 90"),
        ("not valid yet",              Some(OWNER),                  provider.token(json!({"nbf": unix_now() + 999})),     "535 5.7.0",  "not valid before"),
        ("for another service",        Some(OWNER),                  provider.token(json!({"aud": "account"})),            "535 5.7.0",  "meant for \\\"account\\\", not for this server"),
        ("of another issuer",          Some(OWNER),                  provider.token(json!({"iss": "https://evil.test"})),  "535 5.7.0",  "no provider is configured for the issuer"),
        ("without the scope",          Some(OWNER),                  provider.token(json!({"scope": "openid"})),           "535 5.7.0",  "the scope smtp is not in it"),
        ("an address not verified",    Some(OWNER),                  provider.token(json!({"email_verified": false})),     "535 5.7.0",  "is not verified"),
        ("bound to a key",             Some(OWNER),                  provider.token(json!({"cnf": {"jkt": "x"}})),         "535 5.7.0",  "bound to a key"),
        ("signed by a stranger",       Some(OWNER),                  provider.forged(None, none()),                        "535 5.7.0",  "the signature is wrong"),
        ("by a key nobody has",        Some(OWNER),                  provider.forged(Some("key-9"), none()),               "535 5.7.0",  "signed by a key that the provider does not have"),
        ("not signed",                 Some(OWNER),                  provider.unsigned(none()),                            "535 5.7.0",  "the algorithm \\\"none\\\" is not accepted"),
        ("the public key as secret",   Some(OWNER),                  provider.confused(none()),                            "535 5.7.0",  "the algorithm \\\"HS256\\\" is not accepted"),
        ("opaque",                     Some(OWNER),                  "opaque".to_owned(),                                  "535 5.7.0",  "the token is opaque"),
    ];
    for mechanism in ["OAUTHBEARER", "XOAUTH2"] {
        for (shows, identity, token, want, reason) in &cases {
            if mechanism == "XOAUTH2" && identity.is_none() {
                continue;
            }
            let mut client = site.tls_client(site.submission);
            let (reply, told) = log_in(&mut client, mechanism, *identity, token);
            assert!(reply.starts_with(want), "{mechanism}, {shows}: {reply}");
            assert_eq!(told.is_some(), !reason.is_empty(), "{mechanism}, {shows}");
            if let Some(told) = told {
                // Whatever the reason, the client gets the same reply.
                let status = if mechanism == "XOAUTH2" {
                    "401"
                } else {
                    "invalid_token"
                };
                assert_eq!(told["status"], status, "{mechanism}, {shows}");
                assert_eq!(told["scope"], "smtp", "{mechanism}, {shows}");
            }
            wait_until(&format!("{mechanism}, {shows}: {reason:?} in the log"), || {
                let log = site.log();
                log.contains(reason) || log.contains(&reason.replace('\\', ""))
            });
        }
    }
    let log = site.log();
    for (shows, _, token, ..) in cases.iter().filter(|(_, _, token, ..)| token.contains('.')) {
        assert!(!log.contains(token.as_str()), "{shows}: a token in the log");
    }
    let mut client = site.tls_client(site.submission);
    let (_, told) = log_in(&mut client, "OAUTHBEARER", Some(OWNER), "opaque");
    let address = format!("{}/.well-known/openid-configuration", provider.issuer());
    assert_eq!(told.unwrap()["openid-configuration"], address.as_str());
    // The same connection may try again with a valid one, and then send.
    let (reply, _) = log_in(&mut client, "OAUTHBEARER", Some(OWNER), &right());
    assert!(reply.starts_with("235"), "{reply}");
    for line in [
        &format!("MAIL FROM:<{OWNER}>"),
        "RCPT TO:<someone@outside.example>",
        "DATA",
    ] {
        let reply = client.say(line).unwrap();
        assert!(
            reply.starts_with('2') || reply.starts_with("354"),
            "{line}: {reply}"
        );
    }
    assert!(
        client
            .say("Subject: by token\r\n\r\nhello\r\n.")
            .unwrap()
            .starts_with("250")
    );
    let _ = sink.wait_for("Subject: by token");
    assert!(site.ok(&["auth", "report"]).contains("OAUTHBEARER"));
}

#[test]
fn tokens_are_taken_inside_tls_alone() {
    let provider = OauthProvider::start();
    let site = site(&provider, Sink::start().port(), "");
    let mut client = Client::connect(site.submission).unwrap().0;
    let hello = client.say("EHLO helo").unwrap();
    assert!(
        hello.contains("PLAIN") && !hello.contains("OAUTHBEARER") && !hello.contains("XOAUTH2"),
        "{hello}"
    );
    let (reply, _) = log_in(
        &mut client,
        "OAUTHBEARER",
        Some(OWNER),
        &provider.token(json!({})),
    );
    assert!(reply.starts_with('5'), "{reply}");
    let hello = site.tls_client(site.submission).say("EHLO helo").unwrap();
    assert!(
        hello.contains("OAUTHBEARER") && hello.contains("XOAUTH2"),
        "{hello}"
    );
}

#[test]
fn keys_roll_over_and_providers_fail() {
    let provider = OauthProvider::start_with(Algorithm::Es256);
    let site = site(&provider, Sink::start().port(), "");
    let login = |token: &str| reply(&site, "OAUTHBEARER", Some(OWNER), token);
    let first = provider.token(json!({}));
    assert!(login(&first).starts_with("235"));
    provider.rollover(Algorithm::Rs256);
    let second = provider.token(json!({}));
    wait_until("the new key", || login(&second).starts_with("235"));
    assert!(login(&first).starts_with("235"), "the old key is still there");
    provider.retire();
    provider.rollover(Algorithm::EdDsa);
    wait_until("the third key", || {
        login(&provider.token(json!({}))).starts_with("235")
    });
    assert!(login(&first).starts_with("535"), "a key that was withdrawn");

    provider.stop();
    assert!(login(&second).starts_with("235"), "the keys at hand count on");
    let unknown = provider.forged(Some("key-9"), json!({}));
    wait_until("a reply that says later", || {
        login(&unknown).starts_with("454 4.7.0")
    });
    for _ in 0..5 {
        assert!(login(&unknown).starts_with("454 4.7.0"));
    }
    wait_until("the log to say so", || site.log().contains("provider fails"));
    let log = site.log();
    assert_eq!(log.matches("provider fails").count(), 1, "{log}");
    let output = site.run(&["auth", "providers", "--json"]);
    assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
    let lines: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(lines[0]["issuer"], provider.issuer());
    assert!(lines[0]["problem"].is_string(), "{lines}");
    // The configuration is still valid, and a reload keeps the keys.
    let check = site.run(&["check"]);
    assert!(
        check.status.success() && shown(&check).contains("cannot be used now"),
        "{}",
        shown(&check)
    );
    site.ok(&["reload"]);
    assert!(login(&second).starts_with("235"), "after a reload");

    provider.restart();
    wait_until("the provider to be known as well", || {
        site.run(&["auth", "providers"]).status.success() || {
            let _ = login(&unknown);
            false
        }
    });
    wait_until("the end of the outage in the log", || {
        site.log().contains("provider answers again")
    });
    assert!(login(&unknown).starts_with("535"));
}

#[test]
fn providers_that_are_asked() {
    let provider = OauthProvider::start();
    let more = format!(
        "introspection_url = \"{}\"\nclient_id = \"{CLIENT_ID}\"\nclient_secret_file = \"{}\"\ncache_time = \"0\"\n\
         account = \"optional\"\n",
        provider.address("introspect"),
        provider.secret_file().display(),
    );
    let site = site(&provider, Sink::start().port(), &more);
    let token = provider.opaque(json!({}));
    let login = |token: &str| reply(&site, "XOAUTH2", Some(OWNER), token);
    assert!(login(&token).starts_with("235"));
    let wrong = provider.opaque(json!({"aud": "account"}));
    assert!(login(&wrong).starts_with("535"));
    let other = provider.opaque(json!({"email": "other@relay.test"}));
    assert!(login(&other).starts_with("535"), "somebody else's");
    // No directory knows this one, and none has to; the disabled one stays disabled.
    let new = provider.opaque(json!({"email": "new@relay.test"}));
    assert!(reply(&site, "XOAUTH2", Some("new@relay.test"), &new).starts_with("235"));
    let gone = provider.opaque(json!({"email": "gone@relay.test"}));
    assert!(reply(&site, "XOAUTH2", Some("gone@relay.test"), &gone).starts_with("535"));
    provider.revoke(&token);
    assert!(login(&token).starts_with("535"));
    wait_until("the reason in the log", || {
        site.log()
            .contains("the provider says that the token is not active")
    });
    provider.break_with(Some(503));
    assert!(login(&token).starts_with("454 4.7.0"));
    provider.stop();
    assert!(login(&token).starts_with("454 4.7.0"));
    assert!(login("whatever").starts_with("454 4.7.0"));
}

#[test]
fn the_administrator_learns_why() {
    let provider = OauthProvider::start();
    let site = site(&provider, Sink::start().port(), "");
    let explain = |token: &str, arguments: &[&str]| {
        let file = site.path("token");
        private(&file, &format!("Bearer {token}\n"));
        let mut all = vec!["auth", "explain-token", "token"];
        all.extend(arguments);
        site.run(&all)
    };
    let right = explain(&provider.token(json!({})), &[]);
    let text = shown(&right);
    assert!(
        right.status.success() && text.contains(&format!("taken: the login is {OWNER}")),
        "{text}"
    );
    let token = provider.token(json!({"aud": "account", "exp": unix_now() - 999}));
    let wrong = explain(&token, &["--json"]);
    assert_eq!(wrong.status.code(), Some(1), "{}", shown(&wrong));
    let told: Value = serde_json::from_slice(&wrong.stdout).unwrap();
    assert_eq!(told["verdict"], "refused");
    let failed: Vec<&str> = told["steps"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|step| step["ok"] == false)
        .map(|step| step["rule"].as_str().unwrap())
        .collect();
    assert_eq!(failed, ["exp", "audience"], "{told:#}");
    assert!(
        !shown(&wrong).contains(token.rsplit('.').next().unwrap()),
        "the token is not printed"
    );
    let unknown = explain(&provider.token(json!({"email": "new@relay.test"})), &[]);
    let text = shown(&unknown);
    assert_eq!(unknown.status.code(), Some(1), "{text}");
    assert!(text.contains("refused: new@relay.test: unknown user"), "{text}");
    let none = explain("two words", &[]);
    assert!(shown(&none).contains("holds no token"), "{}", shown(&none));
}

/// A token that expires while its session is open.
#[test]
fn a_session_ends_with_its_token() {
    let sink = Sink::start();
    let provider = OauthProvider::start();
    let site = site(&provider, sink.port(), "skew = \"0\"");
    // The machine may be so slow that one has expired before its login.
    let (mut client, end) = (1..7)
        .find_map(|round| {
            let end = unix_now() + (2 << round);
            let token = provider.token(json!({"exp": end}));
            let mut client = site.tls_client(site.submission);
            let (reply, _) = log_in(&mut client, "OAUTHBEARER", Some(OWNER), &token);
            reply.starts_with("235").then_some((client, end))
        })
        .unwrap();
    wait_until("the token to expire", || unix_now() > end);
    let reply = client.say(&format!("MAIL FROM:<{OWNER}>")).unwrap();
    assert_eq!(reply, "421 4.7.0 Login no longer valid, log in again");
    site.wait_for_log(&["login.expired", OWNER]);
}
