//! Tokens against a real provider over TLS: signed by real keys, with key rollover, introspection,
//! outages.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::time::Duration;

use postern_events::Observers;
use postern_oauth::http::{ClientSecret, Endpoint, HttpSettings};
use postern_oauth::verify::{
    AccountRule, ClaimRules, Introspection, IntrospectionStyle, KeySource, KeyTimes, ProviderSettings,
    SigningAlgorithm, TokenCheck, Verdict, Verifier,
};
use postern_testkit::oauth::{AUDIENCE, Algorithm, CLIENT_ID, CLIENT_SECRET, OWNER, OauthProvider, unix_now};
use secrecy::SecretString;
use serde_json::{Value, json};

fn rules(provider: &OauthProvider) -> ClaimRules {
    ClaimRules {
        audiences: vec![AUDIENCE.into()],
        scopes: vec!["smtp".into()],
        ..ClaimRules::new(provider.issuer())
    }
}

fn settings(provider: &OauthProvider, check: TokenCheck) -> ProviderSettings {
    ProviderSettings {
        check,
        rules: rules(provider),
        account: AccountRule::Required,
        discovery: None,
        http: HttpSettings {
            ca_file: Some(provider.ca()),
            timeout: Duration::from_secs(20),
        },
    }
}

fn by_keys(keys: KeySource) -> TokenCheck {
    TokenCheck::Signature {
        keys,
        algorithms: SigningAlgorithm::ALL.to_vec(),
        access_token_type: false,
        times: KeyTimes {
            pause: Duration::ZERO,
            ..KeyTimes::default()
        },
    }
}

fn by_asking(provider: &OauthProvider, style: IntrospectionStyle, cache: Duration) -> TokenCheck {
    let service = match style {
        IntrospectionStyle::Standard => "introspect",
        IntrospectionStyle::TokenInfo => "tokeninfo",
    };
    TokenCheck::Introspection(Introspection {
        endpoint: Endpoint::parse(&provider.address(service)).unwrap(),
        style,
        client: Some(ClientSecret {
            id: CLIENT_ID.into(),
            secret: CLIENT_SECRET.into(),
        }),
        cache,
    })
}

fn open(settings: Vec<ProviderSettings>) -> Verifier {
    Verifier::open(settings, None, &Observers::nobody()).unwrap()
}

/// The login, or `refused: …`, or `unavailable: …`.
async fn verdict(verifier: &Verifier, token: &str) -> String {
    match verifier.verify(&SecretString::from(token), None).await {
        Verdict::Owner(owner) => owner.login,
        Verdict::Refused(refusal) => format!("refused: {refusal}"),
        Verdict::Unavailable(reason) => format!("unavailable: {reason}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn right_and_wrong_tokens_of_each_algorithm() {
    for algorithm in [
        Algorithm::Rs256,
        Algorithm::Ps256,
        Algorithm::Es256,
        Algorithm::EdDsa,
    ] {
        let provider = OauthProvider::start_with(algorithm);
        let verifier = open(vec![settings(&provider, by_keys(KeySource::Discovery))]);
        let none = || json!({});
        #[rustfmt::skip]
        let cases = [
            ("right",                          provider.token(none()),                                        OWNER),
            ("expired",                        provider.token(json!({"exp": unix_now() - 3_600})),            "refused: expired 36"),
            ("for another service",            provider.token(json!({"aud": "account"})),                     "refused: meant for \"account\""),
            ("of another issuer",              provider.token(json!({"iss": "https://evil.example"})),        "refused: no provider is configured for the issuer \"https://evil.example\""),
            ("without the scope",              provider.token(json!({"scope": "openid"})),                    "refused: the scope smtp is not in it"),
            ("signed by a stranger",           provider.forged(None, none()),                                 "refused: the signature is wrong"),
            ("with a key of a stranger",       provider.forged(Some("key-9"), none()),                        "refused: signed by a key that the provider does not have (\"key-9\")"),
            ("not signed",                     provider.unsigned(none()),                                     "refused: the algorithm \"none\" is not accepted"),
            ("the public key as secret",       provider.confused(none()),                                     "refused: the algorithm \"HS256\" is not accepted"),
            ("the key's name alone changed",   provider.token_with_header(json!({"kid": "key-2"}), none()),   "refused: signed by a key that the provider does not have (\"key-2\")"),
            ("no name of a key",               provider.token_with_header(json!({"kid": null}), none()),      OWNER),
            ("an access token by type",        provider.token_with_header(json!({"typ": "at+jwt"}), none()),  OWNER),
            ("a logout token",                 provider.token_with_header(json!({"typ": "logout+jwt"}), none()), "refused: its type is \"logout+jwt\""),
            ("a key brought along",            provider.forged(Some("x"), none()),                            "refused: signed by a key"),
            ("opaque",                         "opaque".into(),                                               "refused: the token is opaque, and no configured provider"),
        ];
        for (shows, token, want) in cases {
            let got = verdict(&verifier, &token).await;
            assert!(got.starts_with(want), "{algorithm:?}, {shows}: {got}");
        }
        let changed = {
            let token = provider.token(none());
            let (message, signature) = token.rsplit_once('.').unwrap();
            let swapped: String = signature.chars().rev().collect();
            format!("{message}.{swapped}")
        };
        let got = verdict(&verifier, &changed).await;
        assert!(
            got.starts_with("refused: the signature is wrong"),
            "{algorithm:?}: {got}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn algorithms_that_are_not_on_the_list() {
    let provider = OauthProvider::start();
    let check = TokenCheck::Signature {
        keys: KeySource::Discovery,
        algorithms: vec![SigningAlgorithm::Es256],
        access_token_type: true,
        times: KeyTimes::default(),
    };
    let verifier = open(vec![settings(&provider, check)]);
    let typed = provider.token_with_header(json!({"typ": "at+jwt"}), json!({}));
    assert_eq!(
        verdict(&verifier, &typed).await,
        "refused: the algorithm \"RS256\" is not accepted"
    );
    let plain = verdict(&verifier, &provider.token(json!({}))).await;
    assert!(plain.starts_with("refused: its type is \"JWT\""), "{plain}");
    assert_eq!(
        provider.requests("jwks"),
        0,
        "such tokens cost the provider nothing"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_roll_over_and_random_names_cause_no_flood() {
    let provider = OauthProvider::start();
    let verifier = open(vec![settings(&provider, by_keys(KeySource::Discovery))]);
    let old = provider.token(json!({}));
    assert_eq!(verdict(&verifier, &old).await, OWNER);
    assert_eq!(provider.requests("jwks"), 1);
    assert_eq!(verdict(&verifier, &old).await, OWNER);
    assert_eq!(provider.requests("jwks"), 1, "keys at hand are not fetched again");

    provider.rollover(Algorithm::Es256);
    assert_eq!(
        verdict(&verifier, &provider.token(json!({}))).await,
        OWNER,
        "fetched for the new key"
    );
    assert_eq!(provider.requests("jwks"), 2);
    assert_eq!(
        verdict(&verifier, &old).await,
        OWNER,
        "the old key is still published"
    );
    provider.retire();
    provider.rollover(Algorithm::EdDsa);
    assert_eq!(verdict(&verifier, &provider.token(json!({}))).await, OWNER);
    let got = verdict(&verifier, &old).await;
    assert!(
        got.starts_with("refused: signed by a key that the provider does not have"),
        "{got}"
    );

    // With the usual pause, whatever key names strangers make up.
    let provider = OauthProvider::start_with(Algorithm::EdDsa);
    let check = TokenCheck::Signature {
        keys: KeySource::Url(Endpoint::parse(&provider.address("jwks")).unwrap()),
        algorithms: SigningAlgorithm::ALL.to_vec(),
        access_token_type: false,
        times: KeyTimes {
            pause: Duration::from_secs(3_600),
            ..KeyTimes::default()
        },
    };
    let verifier = open(vec![settings(&provider, check)]);
    for number in 0..50 {
        let token = provider.forged(Some(&format!("random-{number}")), json!({}));
        assert!(
            verdict(&verifier, &token)
                .await
                .starts_with("refused: signed by a key")
        );
    }
    assert_eq!(provider.requests("jwks"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_is_down() {
    let provider = OauthProvider::start_with(Algorithm::Es256);
    let one = settings(&provider, by_keys(KeySource::Discovery));
    let verifier = open(vec![one.clone()]);
    let token = provider.token(json!({}));
    assert_eq!(verdict(&verifier, &token).await, OWNER);
    provider.stop();
    assert_eq!(
        verdict(&verifier, &token).await,
        OWNER,
        "the keys at hand count on"
    );
    let unknown = provider.forged(Some("key-2"), json!({}));
    let got = verdict(&verifier, &unknown).await;
    assert!(
        got.starts_with("unavailable: an unknown key, and no newer keys"),
        "{got}"
    );
    assert!(verifier.health()[0].problem.is_some());

    // A reload keeps the keys, a change of settings does not.
    let reloaded = Verifier::open(vec![one.clone()], Some(&verifier), &Observers::nobody()).unwrap();
    assert_eq!(verdict(&reloaded, &token).await, OWNER);
    let mut other = one.clone();
    other.rules.skew = Duration::from_secs(1);
    let changed = Verifier::open(vec![other], Some(&verifier), &Observers::nobody()).unwrap();
    let got = verdict(&changed, &token).await;
    assert!(
        got.starts_with("unavailable: no keys: https://localhost:"),
        "{got}"
    );

    provider.restart();
    provider.rollover(Algorithm::Es256);
    assert_eq!(
        verdict(&verifier, &provider.token(json!({}))).await,
        OWNER,
        "up again"
    );
    assert_eq!(verifier.health()[0].problem, None);
    provider.break_with(Some(503));
    let got = verdict(&open(vec![one]), &token).await;
    assert!(
        got.starts_with("unavailable: ") && got.contains("status 503"),
        "{got}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_are_too_old_do_not_count() {
    let provider = OauthProvider::start_with(Algorithm::Es256);
    let check = TokenCheck::Signature {
        keys: KeySource::Discovery,
        algorithms: SigningAlgorithm::ALL.to_vec(),
        access_token_type: false,
        times: KeyTimes {
            keep: Duration::ZERO,
            pause: Duration::ZERO,
            ..KeyTimes::default()
        },
    };
    let verifier = open(vec![settings(&provider, check)]);
    let token = provider.token(json!({}));
    // Whether or not the very first check counts: afterwards they are too old.
    let _ = verdict(&verifier, &token).await;
    provider.stop();
    let got = verdict(&verifier, &token).await;
    assert!(got.starts_with("unavailable: no keys"), "{got}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_in_a_file() {
    let provider = OauthProvider::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    let verifier = open(vec![settings(&provider, by_keys(KeySource::File(file.clone())))]);
    let token = provider.token(json!({}));
    let got = verdict(&verifier, &token).await;
    assert!(got.starts_with("unavailable: no keys: cannot read"), "{got}");
    std::fs::write(&file, provider.jwks()).unwrap();
    assert_eq!(verdict(&verifier, &token).await, OWNER);
    provider.rollover(Algorithm::Ps256);
    std::fs::write(&file, provider.jwks()).unwrap();
    assert_eq!(verdict(&verifier, &provider.token(json!({}))).await, OWNER);
    assert_eq!(provider.requests("jwks"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_who_the_certificate_names_is_believed() {
    let provider = OauthProvider::start();
    let stranger = OauthProvider::start();
    let mut one = settings(&provider, by_keys(KeySource::Discovery));
    one.http.ca_file = Some(stranger.ca());
    let got = verdict(&open(vec![one]), &provider.token(json!({}))).await;
    assert!(
        got.starts_with("unavailable: ") && got.contains("certificate"),
        "{got}"
    );
    assert_eq!(provider.requests(".well-known/openid-configuration"), 0);

    // Somebody else's description.
    let mut other = settings(&provider, by_keys(KeySource::Discovery));
    other.rules.issuer = format!("{}/", provider.issuer());
    let token = provider.token(json!({"iss": other.rules.issuer}));
    let got = verdict(&open(vec![other]), &token).await;
    assert!(got.contains("describes the issuer"), "{got}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asking_the_provider() {
    for style in [IntrospectionStyle::Standard, IntrospectionStyle::TokenInfo] {
        let provider = OauthProvider::start();
        let service = match style {
            IntrospectionStyle::Standard => "introspect",
            IntrospectionStyle::TokenInfo => "tokeninfo",
        };
        let minute = Duration::from_secs(60);
        let verifier = open(vec![settings(&provider, by_asking(&provider, style, minute))]);
        let token = provider.opaque(json!({}));
        assert_eq!(verdict(&verifier, &token).await, OWNER);
        assert_eq!(verdict(&verifier, &token).await, OWNER);
        assert_eq!(provider.requests(service), 1, "the answer is remembered");
        let wrong = provider.opaque(json!({"aud": "account"}));
        let got = verdict(&verifier, &wrong).await;
        assert!(got.starts_with("refused: meant for \"account\""), "{got}");
        let ended = provider.opaque(json!({"exp": unix_now() - 3_600}));
        assert!(verdict(&verifier, &ended).await.starts_with("refused: expired"));
        let inactive = "refused: the provider says that the token is not active";
        assert_eq!(verdict(&verifier, "unknown").await, inactive);
        let asked = provider.requests(service);
        assert_eq!(verdict(&verifier, "unknown").await, inactive);
        assert_eq!(provider.requests(service), asked, "that too is remembered");

        let fresh = open(vec![settings(
            &provider,
            by_asking(&provider, style, Duration::ZERO),
        )]);
        assert_eq!(verdict(&fresh, &token).await, OWNER);
        provider.revoke(&token);
        assert_eq!(verdict(&fresh, &token).await, inactive, "asked each time");
        provider.break_with(Some(500));
        let got = verdict(&fresh, &token).await;
        assert!(
            got.starts_with("unavailable: ") && got.contains("status 500"),
            "{got}"
        );
        provider.break_with(None);
        provider.stop();
        let got = verdict(&fresh, &token).await;
        assert!(got.starts_with("unavailable: "), "{got}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_secret_is_the_administrators_affair() {
    let provider = OauthProvider::start();
    let mut check = by_asking(&provider, IntrospectionStyle::Standard, Duration::ZERO);
    if let TokenCheck::Introspection(introspection) = &mut check {
        introspection.client = Some(ClientSecret {
            id: CLIENT_ID.into(),
            secret: "wrong".into(),
        });
    }
    let verifier = open(vec![settings(&provider, check)]);
    let got = verdict(&verifier, &provider.opaque(json!({}))).await;
    assert!(got.contains("does not take our client_id"), "{got}");
    let health = verifier.look().await;
    assert!(
        health[0]
            .problem
            .as_ref()
            .is_some_and(|problem| problem.contains("client_id")),
        "{health:?}"
    );
    let right = by_asking(&provider, IntrospectionStyle::Standard, Duration::ZERO);
    assert_eq!(
        open(vec![settings(&provider, right)]).look().await[0].problem,
        None
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_providers_each_sees_its_own_tokens() {
    let (one, two) = (OauthProvider::start(), OauthProvider::start());
    let asked = by_asking(&two, IntrospectionStyle::Standard, Duration::ZERO);
    let mut second = settings(&two, asked);
    second.rules.domains = vec!["relay.test".into()];
    let verifier = open(vec![settings(&one, by_keys(KeySource::Discovery)), second]);
    assert_eq!(verdict(&verifier, &one.token(json!({}))).await, OWNER);
    assert_eq!(verdict(&verifier, &two.opaque(json!({}))).await, OWNER);
    let foreign = two.opaque(json!({"email": "root@elsewhere.test"}));
    let got = verdict(&verifier, &foreign).await;
    assert_eq!(
        got,
        "refused: this provider does not vouch for \"root@elsewhere.test\""
    );
    // The issuer of one, the key of the other.
    let crossed = two.token(json!({"iss": one.issuer()}));
    assert!(
        verdict(&verifier, &crossed)
            .await
            .starts_with("refused: the signature is wrong")
    );
    let asked = two.requests("introspect");
    let token = SecretString::from("opaque");
    let got = verifier.verify(&token, Some("somebody@elsewhere.test")).await;
    assert!(matches!(got, Verdict::Refused(_)), "{got:?}");
    assert_eq!(
        two.requests("introspect"),
        asked,
        "not shown the token of a domain that is not its own"
    );
    let _ = verdict(&verifier, "a.b.c").await;
    assert_eq!(one.requests("introspect"), 0);
}

/// Anyone who has an opaque token can use it: it is shown to one provider only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_opaque_token_is_shown_to_the_provider_of_the_login_alone() {
    let (one, two) = (OauthProvider::start(), OauthProvider::start());
    let of = |provider: &OauthProvider, domain: &str| {
        let asked = by_asking(provider, IntrospectionStyle::Standard, Duration::ZERO);
        let mut settings = settings(provider, asked);
        settings.rules.domains = vec![domain.into()];
        settings
    };
    let verifier = open(vec![of(&one, "elsewhere.test"), of(&two, "relay.test")]);
    let token = SecretString::from(two.opaque(json!({})));
    #[rustfmt::skip]
    let cases = [
        // who the client says it is         whether it is taken  questions of the one, of the other
        (Some("you@relay.test"),             true,                0, 1),
        (Some("you@RELAY.test"),             true,                0, 2),
        (Some("you@elsewhere.test"),         false,               1, 2),
        (Some("you@third.test"),             false,               1, 2),
        (Some("you"),                        false,               1, 2),
        (None,                               false,               1, 2),
    ];
    for (identity, taken, of_one, of_two) in cases {
        let got = verifier.verify(&token, identity).await;
        assert_eq!(matches!(got, Verdict::Owner(_)), taken, "{identity:?}: {got:?}");
        assert_eq!(one.requests("introspect"), of_one, "{identity:?}");
        assert_eq!(two.requests("introspect"), of_two, "{identity:?}");
    }
    let got = verdict(&verifier, "opaque").await;
    assert!(got.contains("`domains`"), "{got}");
    // A single provider is asked whatever the client says or omits.
    let alone = open(vec![of(&two, "relay.test")]);
    assert_eq!(verdict(&alone, &two.opaque(json!({}))).await, OWNER);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn why_a_token_is_refused() {
    let provider = OauthProvider::start();
    let verifier = open(vec![settings(&provider, by_keys(KeySource::Discovery))]);
    let changes = json!({"aud": "account", "exp": unix_now() - 3_600});
    let explanation = verifier
        .explain(&SecretString::from(provider.token(changes)), None)
        .await;
    let failed: Vec<&str> = explanation
        .steps
        .iter()
        .filter(|step| step.problem.is_some())
        .map(|step| step.rule)
        .collect();
    assert_eq!(failed, ["exp", "audience"], "{explanation:#?}");
    let right = verifier
        .explain(&SecretString::from(provider.token(Value::Null)), None)
        .await;
    assert!(matches!(right.verdict, Verdict::Owner(_)), "{right:#?}");
    assert!(
        right.steps.iter().all(|step| step.problem.is_none()),
        "{right:#?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_fetched_in_the_background() {
    let provider = OauthProvider::start_with(Algorithm::EdDsa);
    let check = TokenCheck::Signature {
        keys: KeySource::Discovery,
        algorithms: SigningAlgorithm::ALL.to_vec(),
        access_token_type: false,
        times: KeyTimes {
            refresh: Duration::from_millis(200),
            ..KeyTimes::default()
        },
    };
    let verifier = open(vec![settings(&provider, check)]);
    verifier.keep_fresh();
    postern_testkit::process::wait_until("keys that nobody asked for", || provider.requests("jwks") >= 3);
    assert_eq!(verifier.health()[0].problem, None);
    drop(verifier);
    // Whatever was in progress ends, and nothing new starts.
    let mut before = usize::MAX;
    postern_testkit::process::wait_until("an end of the questions", || {
        let now = provider.requests("jwks");
        let still = now == before;
        before = now;
        std::thread::sleep(Duration::from_secs(1));
        still
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_hangs_up_does_not_keep_the_others_without_keys() {
    let provider = OauthProvider::start_with(Algorithm::EdDsa);
    let check = TokenCheck::Signature {
        keys: KeySource::Discovery,
        algorithms: SigningAlgorithm::ALL.to_vec(),
        access_token_type: false,
        times: KeyTimes {
            pause: Duration::from_secs(600),
            ..KeyTimes::default()
        },
    };
    let verifier = open(vec![settings(&provider, check)]);
    let token = provider.token(Value::Null);
    // Polled once, which starts the fetch, then dropped.
    let hung_up = tokio::time::timeout(Duration::ZERO, verdict(&verifier, &token)).await;
    assert!(hung_up.is_err(), "{hung_up:?}");
    assert_eq!(verdict(&verifier, &token).await, OWNER);
    assert_eq!(provider.requests("jwks"), 1, "fetched once, within the pause");
}
