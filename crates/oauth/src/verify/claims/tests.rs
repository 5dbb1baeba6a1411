use serde_json::json;

use super::*;

const NOW: u64 = 1_795_000_000;

fn rules() -> ClaimRules {
    ClaimRules {
        audiences: vec!["https://mail.example.org".into(), "postern".into()],
        clients: vec!["thunderbird".into()],
        scopes: vec!["smtp".into(), "openid".into()],
        domains: vec!["example.org".into()],
        ..ClaimRules::new("https://id.example")
    }
}

/// Claims that satisfy all rules, except for what a case changes; `null` removes a claim.
fn claims(changes: Value) -> Claims {
    let all = json!({
        "iss": "https://id.example", "aud": "postern", "azp": "thunderbird", "scope": "openid smtp", "sub": "1",
        "exp": NOW + 300, "nbf": NOW - 10, "iat": NOW - 10, "email": "acaird@example.org", "email_verified": true,
    });
    let mut all = all.as_object().cloned().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(all.remove(name)),
            value => drop(all.insert(name.clone(), value.clone())),
        }
    }
    all
}

fn shown(text: &str) -> Shown {
    Shown::new(text)
}

#[test]
fn what_a_signed_token_has_to_say() {
    use Refusal as R;
    #[rustfmt::skip]
    let cases = [
        // what the case shows                  what is different                                        refused for
        ("all is well",                         json!({}),                                               None),
        ("another issuer",                      json!({"iss": "https://evil.example"}),                  Some(R::Issuer(shown("https://evil.example")))),
        ("the issuer with a slash more",        json!({"iss": "https://id.example/"}),                   Some(R::Issuer(shown("https://id.example/")))),
        ("no issuer",                           json!({"iss": null}),                                    Some(R::Issuer(shown("nothing")))),
        ("a list is no issuer",                 json!({"iss": ["https://id.example"]}),                  Some(R::Issuer(shown("[\"https://id.example\"]")))),
        ("no end",                              json!({"exp": null}),                                    Some(R::NoExpiry)),
        ("an end that is no time",              json!({"exp": "soon"}),                                  Some(R::NoExpiry)),
        ("an end before all time",              json!({"exp": -1}),                                      Some(R::NoExpiry)),
        ("ended, but the clocks may differ",    json!({"exp": NOW - 59}),                                None),
        ("ended",                               json!({"exp": NOW - 60}),                                Some(R::Expired(60))),
        ("an end with a fraction",              json!({"exp": (NOW + 300) as f64 + 0.5}),                None),
        ("an end beyond numbers",               json!({"exp": 1e300}),                                   Some(R::NoExpiry)),
        ("begins soon, clocks may differ",      json!({"nbf": NOW + 60}),                                None),
        ("begins later",                        json!({"nbf": NOW + 61}),                                Some(R::NotYet(61))),
        ("a beginning that is no time",         json!({"nbf": "now"}),                                   Some(R::Malformed("`nbf` is not a time"))),
        ("no beginning",                        json!({"nbf": null}),                                    None),
        ("issued in the future",                json!({"iat": NOW + 61}),                                Some(R::IssuedLater(61))),
        ("no time of issue",                    json!({"iat": null}),                                    None),
        ("for another service",                 json!({"aud": "account"}),                               Some(R::Audience(shown("account")))),
        ("for many, this one too",              json!({"aud": ["account", "https://mail.example.org"]}), None),
        ("for many, not this one",              json!({"aud": ["account", 7]}),                          Some(R::Audience(shown("[\"account\",7]")))),
        ("for nobody",                          json!({"aud": null}),                                    Some(R::Audience(shown("nothing")))),
        ("for nobody in a list",                json!({"aud": []}),                                      Some(R::Audience(shown("[]")))),
        ("a name that begins alike",            json!({"aud": "postern2"}),                              Some(R::Audience(shown("postern2")))),
        ("another client",                      json!({"azp": "evil"}),                                  Some(R::Client(shown("evil")))),
        ("no client",                           json!({"azp": null}),                                    Some(R::Client(shown("nothing")))),
        ("the client by its other name",        json!({"azp": null, "client_id": "thunderbird"}),        None),
        ("Microsoft's older name",              json!({"azp": null, "appid": "thunderbird"}),            None),
        ("`azp` goes before the others",        json!({"azp": "evil", "client_id": "thunderbird"}),      Some(R::Client(shown("evil")))),
        ("one scope lacks",                     json!({"scope": "openid"}),                              Some(R::Scope("smtp".into()))),
        ("a scope that begins alike",           json!({"scope": "openid smtp.read"}),                    Some(R::Scope("smtp".into()))),
        ("scopes as a list",                    json!({"scope": ["smtp", "openid"]}),                    None),
        ("scopes by Microsoft's name",          json!({"scope": null, "scp": "smtp openid"}),            None),
        ("scopes by Okta's list",               json!({"scope": null, "scp": ["smtp", "openid"]}),       None),
        ("bound to a key",                      json!({"cnf": {"jkt": "x"}}),                            Some(R::Bound)),
        ("no address",                          json!({"email": null}),                                  Some(R::NoLogin("email".into()))),
        ("an empty address",                    json!({"email": ""}),                                    Some(R::BadLogin("email".into()))),
        ("an address that is a list",           json!({"email": ["a@example.org"]}),                     Some(R::BadLogin("email".into()))),
        ("a line end in it",                    json!({"email": "a@example.org\n"}),                     Some(R::BadLogin("email".into()))),
        ("a NUL in it",                         json!({"email": "root\u{0}@example.org"}),               Some(R::BadLogin("email".into()))),
        ("a blank before it",                   json!({"email": " a@example.org"}),                      Some(R::BadLogin("email".into()))),
        ("a long one",                          json!({"email": "x".repeat(300)}),                       Some(R::BadLogin("email".into()))),
        ("not verified",                        json!({"email_verified": false}),                        Some(R::Unverified(shown("acaird@example.org")))),
        ("not a word of verification",          json!({"email_verified": null}),                         Some(R::Unverified(shown("acaird@example.org")))),
        ("verified, as text",                   json!({"email_verified": "true"}),                       None),
        ("1 is not true",                       json!({"email_verified": 1}),                            Some(R::Unverified(shown("acaird@example.org")))),
        ("another's domain",                    json!({"email": "a@other.example"}),                     Some(R::Domain(shown("a@other.example")))),
        ("a domain below",                      json!({"email": "a@sub.example.org"}),                   Some(R::Domain(shown("a@sub.example.org")))),
        ("the last at counts",                  json!({"email": "\"a@example.org\"@other.example"}),     Some(R::Domain(shown("\"a@example.org\"@other.example")))),
        ("case of a domain",                    json!({"email": "a@Example.ORG"}),                       None),
        ("a name without a domain",             json!({"email": "root"}),                                Some(R::Domain(shown("root")))),
    ];
    for (shows, changes, want) in cases {
        let verdict = judge(&claims(changes), &rules(), Origin::Signed, NOW).verdict();
        assert_eq!(verdict.err(), want, "{shows}");
    }
}

#[test]
fn what_the_providers_answer_may_leave_out() {
    #[rustfmt::skip]
    let cases = [
        ("no issuer",            json!({"iss": null}),                          true),
        ("another issuer",       json!({"iss": "https://evil.example"}),        false),
        ("no end",               json!({"exp": null}),                          true),
        ("an end as text",       json!({"exp": (NOW + 5).to_string()}),         true),
        ("ended, as text",       json!({"exp": (NOW - 100).to_string()}),       false),
        ("for another service",  json!({"aud": "account"}),                     false),
        ("for nobody",           json!({"aud": null}),                          false),
    ];
    for (shows, changes, want) in cases {
        let verdict = judge(&claims(changes), &rules(), Origin::Introspected, NOW).verdict();
        assert_eq!(verdict.is_ok(), want, "{shows}: {verdict:?}");
    }
}

#[test]
fn whose_login_it_is() {
    let of = |login_claims: &[&str]| ClaimRules {
        login_claims: login_claims.iter().map(|&name| name.to_owned()).collect(),
        domains: Vec::new(),
        ..rules()
    };
    let appended = ClaimRules {
        append_domain: Some("example.org".into()),
        ..of(&["preferred_username"])
    };
    let lenient = |email| ClaimRules {
        email,
        ..of(&["email"])
    };
    #[rustfmt::skip]
    let cases = [
        ("the first that is there",            of(&["upn", "sub"]),           json!({}),                                          Some("1")),
        ("the first goes before the others",   of(&["upn", "sub"]),           json!({"upn": "b@example.org"}),                    Some("b@example.org")),
        ("one that is there and bad stays so", of(&["upn", "sub"]),           json!({"upn": 7}),                                  None),
        ("other claims need no verification",  of(&["upn"]),                  json!({"upn": "b@x.example", "email_verified": false}), Some("b@x.example")),
        ("a domain is appended",               appended.clone(),              json!({"preferred_username": "acaird"}),            Some("acaird@example.org")),
        ("where there is none",                appended,                      json!({"preferred_username": "a@b.example"}),       Some("a@b.example")),
        ("silence is enough",                  lenient(EmailRule::IfPresent), json!({"email_verified": null}),                    Some("acaird@example.org")),
        ("but no is no",                       lenient(EmailRule::IfPresent), json!({"email_verified": false}),                   None),
        ("unless nobody cares",                lenient(EmailRule::Ignored),   json!({"email_verified": false}),                   Some("acaird@example.org")),
    ];
    for (shows, rules, changes, want) in cases {
        let verdict = judge(&claims(changes), &rules, Origin::Signed, NOW).verdict();
        assert_eq!(verdict.ok().as_deref(), want, "{shows}");
    }
}

#[test]
fn how_old_a_token_may_be() {
    let rules = ClaimRules {
        age_max: Some(Duration::from_secs(3_600)),
        ..rules()
    };
    #[rustfmt::skip]
    let cases = [
        ("young",                        json!({"iat": NOW - 3_600}),  None),
        ("old, but the clocks may differ", json!({"iat": NOW - 3_660}),  None),
        ("too old",                      json!({"iat": NOW - 3_661}),  Some(Refusal::TooOld(3_661))),
        ("nobody knows",                 json!({"iat": null}),         Some(Refusal::NoIssueTime)),
    ];
    for (shows, changes, want) in cases {
        let verdict = judge(&claims(changes), &rules, Origin::Signed, NOW).verdict();
        assert_eq!(verdict.err(), want, "{shows}");
    }
}

#[test]
fn all_rules_are_told_even_behind_one_that_refuses() {
    let judgement = judge(
        &claims(json!({"iss": "x", "aud": "y"})),
        &rules(),
        Origin::Signed,
        NOW,
    );
    let failed: Vec<&str> = judgement
        .findings
        .iter()
        .filter(|finding| finding.result.is_err())
        .map(|finding| finding.rule)
        .collect();
    assert_eq!(failed, ["issuer", "audience"]);
    assert_eq!(judgement.findings.len(), 11, "{judgement:?}");
}
