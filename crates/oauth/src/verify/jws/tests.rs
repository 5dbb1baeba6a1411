use super::*;

/// RFC 7515 appendix A.3.
const ES256: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt\
                     cGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8I\
                     SlSApmWQxfKTUJqPP3-Kg6NU1Q";
const ES256_KEY: &str = r#""kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0""#;

fn key_set(keys: &[&str]) -> Result<KeySet, crate::verify::KeySetError> {
    let keys: Vec<String> = keys.iter().map(|key| format!("{{{key}}}")).collect();
    KeySet::parse(format!("{{\"keys\":[{}]}}", keys.join(",")).as_bytes())
}

fn signed(token: &str) -> Signed<'_> {
    match Form::of(token) {
        Ok(Form::Signed(signed)) => signed,
        other => panic!("a signed token was due: {other:?}"),
    }
}

fn with_header(header: &str) -> String {
    let (_, rest) = ES256.split_once('.').unwrap();
    format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header))
}

#[test]
fn the_example_of_the_rfc() {
    let keys = key_set(&[ES256_KEY]).unwrap();
    let token = signed(ES256);
    assert_eq!(token.claimed_issuer(), Some("joe"));
    let claims = token.check(&keys, SigningAlgorithm::ALL).unwrap();
    assert_eq!(claims["exp"], 1_300_819_380);
    assert_eq!(
        token.check(&keys, &[SigningAlgorithm::Rs256]),
        Err(Refusal::Algorithm(Shown::new("ES256"))),
        "not on the list"
    );
    let changed = ES256.replace("eyJpc3MiOiJqb2Ui", "eyJpc3MiOiJqb2Yi");
    assert!(
        signed(&changed).check(&keys, SigningAlgorithm::ALL).is_err(),
        "a letter changed"
    );
}

#[test]
fn which_key_may_have_signed() {
    let named = |kid: &str, more: &str| format!("{ES256_KEY},\"kid\":\"{kid}\"{more}");
    let by_kid = |header: &str, keys: &[&str]| {
        let token = with_header(header);
        let keys = key_set(keys).unwrap();
        signed(&token).check(&keys, SigningAlgorithm::ALL).map(drop)
    };
    let a = named("a", "");
    let unknown = |kid: &str| Err(Refusal::UnknownKey(Shown::new(kid)));
    // The header is signed too, so none of these can be valid: what matters is how far each gets.
    #[rustfmt::skip]
    let cases = [
        ("the key of that name",              r#"{"alg":"ES256","kid":"a"}"#, vec![a.as_str()],                 Err(Refusal::Signature)),
        ("no key of that name",               r#"{"alg":"ES256","kid":"b"}"#, vec![a.as_str()],                 unknown("b")),
        ("a provider that names none",        r#"{"alg":"ES256","kid":"b"}"#, vec![ES256_KEY],                  Err(Refusal::Signature)),
        ("a nameless one is not meant",       r#"{"alg":"ES256","kid":"b"}"#, vec![ES256_KEY, a.as_str()],      unknown("b")),
        ("no name: any may be meant",         r#"{"alg": "ES256"}"#,          vec![a.as_str()],                 unknown("without a name")),
        ("a key for another algorithm",       r#"{"alg":"RS256","kid":"a"}"#, vec![a.as_str()],                 Err(Refusal::UnfitKey { kid: Shown::new("a"), algorithm: "RS256" })),
        ("a curve for another algorithm",     r#"{"alg":"ES384","kid":"a"}"#, vec![a.as_str()],                 Err(Refusal::UnfitKey { kid: Shown::new("a"), algorithm: "ES384" })),
        ("no signature",                      r#"{"alg":"none","kid":"a"}"#,  vec![a.as_str()],                 Err(Refusal::Algorithm(Shown::new("none")))),
        ("a secret key in a public place",    r#"{"alg":"HS256","kid":"a"}"#, vec![a.as_str()],                 Err(Refusal::Algorithm(Shown::new("HS256")))),
        ("an extension",                      r#"{"alg":"ES256","kid":"a","crit":["b64"],"b64":false}"#, vec![a.as_str()], Err(Refusal::Critical)),
        ("a key that it brings along",        r#"{"alg":"ES256","kid":"z","jwk":{"kty":"EC"},"jku":"https://evil.example/"}"#, vec![a.as_str()], unknown("z")),
    ];
    for (shows, header, keys, want) in cases {
        let got = by_kid(header, &keys);
        // In the RFC's example the header has no name: with the same one it would be valid.
        assert_eq!(got, want, "{shows}");
    }
}

#[test]
fn which_keys_are_taken_from_a_provider() {
    let ec = |more: &str| format!("{ES256_KEY}{more}");
    #[rustfmt::skip]
    let cases = [
        ("a key for signatures",          ec(r#","use":"sig","alg":"ES256""#),              true),
        ("which checks",                  ec(r#","key_ops":["verify"]"#),                   true),
        ("a key for encryption",          ec(r#","use":"enc""#),                            false),
        ("a key that only wraps",         ec(r#","key_ops":["wrapKey"]"#),                  false),
        ("a secret key",                  r#""kty":"oct","k":"AAAA""#.into(),               false),
        ("a weak RSA key",                format!(r#""kty":"RSA","e":"AQAB","n":"{}""#, "A".repeat(171)), false),
        ("an unknown kind",               r#""kty":"PQ","x":"AA""#.into(),                  false),
        ("a point cut short",             r#""kty":"EC","crv":"P-256","x":"AA","y":"AA""#.into(), false),
        ("a curve that is not built in",  r#""kty":"EC","crv":"P-521","x":"AA","y":"AA""#.into(), false),
        ("for key agreement",             r#""kty":"OKP","crv":"X25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#.into(), false),
        ("a long name",                   ec(&format!(r#","kid":"{}""#, "x".repeat(2_000))), false),
    ];
    for (shows, key, want) in cases {
        assert_eq!(key_set(&[&key]).is_ok(), want, "{shows}");
        if !want {
            let beside = key_set(&[&key, ES256_KEY]).map(|keys| keys.len());
            assert_eq!(beside, Ok(1), "{shows}: the others count all the same");
        }
    }
    let many = vec![ES256_KEY; 101];
    assert!(key_set(&many).is_err(), "too many");
    assert!(
        KeySet::parse(b"{}").is_err() && KeySet::parse(b"<html>").is_err(),
        "no set"
    );
}

#[test]
fn forms_of_tokens() {
    let (head, rest) = ES256.split_once('.').unwrap();
    let encrypted = format!(
        "{}.a.b.c.d",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"RSA-OAEP","enc":"A256GCM"}"#)
    );
    #[rustfmt::skip]
    let cases = [
        ("signed",                    ES256.to_owned(),                     Ok(true)),
        ("Google's access tokens",    "ya29.a0AfB_byC-x".into(),            Ok(false)),
        ("one word",                  "opaque".into(),                      Ok(false)),
        ("parts that are no JSON",    "aaaa.bbbb.cccc".into(),              Ok(false)),
        ("encrypted",                 encrypted,                            Err(Refusal::Encrypted)),
        ("two parts",                 rest_less(ES256),                     Err(Refusal::Malformed("not three parts"))),
        ("four parts",                format!("{ES256}.x"),                 Err(Refusal::Malformed("not three parts"))),
        ("claims that are a list",    format!("{head}.W10.x"),              Err(Refusal::Malformed("its claims are not a JSON object"))),
        ("claims in plain base64",    format!("{head}.e30=.x"),             Err(Refusal::Malformed("its claims are not base64url"))),
        ("a header without `alg`",    format!("e30.{rest}"),                Err(Refusal::Malformed("its header is not valid"))),
        ("`alg` twice",               with_header(r#"{"alg":"ES256","alg":"none"}"#), Err(Refusal::Malformed("its header is not valid"))),
        ("too long",                  "x".repeat(TOKEN_MAX + 1),            Err(Refusal::Malformed("too long"))),
    ];
    for (shows, token, want) in cases {
        let form = Form::of(&token).map(|form| matches!(form, Form::Signed(_)));
        assert_eq!(form, want, "{shows}");
    }
}

fn rest_less(token: &str) -> String {
    token.rsplit_once('.').unwrap().0.to_owned()
}

#[test]
fn types_of_tokens() {
    #[rustfmt::skip]
    let cases = [
        // what the case shows          header                                      taken   if one is needed
        ("an access token",             r#"{"alg":"ES256","typ":"at+jwt"}"#,             true,  true),
        ("in full and capitals",        r#"{"alg":"ES256","typ":"Application/AT+JWT"}"#, true,  true),
        ("what most write",             r#"{"alg":"ES256","typ":"JWT"}"#,                true,  false),
        ("nothing",                     r#"{"alg":"ES256"}"#,                            true,  false),
        ("a logout token",              r#"{"alg":"ES256","typ":"logout+jwt"}"#,         false, false),
        ("a proof of possession",       r#"{"alg":"ES256","typ":"dpop+jwt"}"#,           false, false),
    ];
    for (shows, header, open, needed) in cases {
        let token = with_header(header);
        assert_eq!(signed(&token).check_type(false).is_ok(), open, "{shows}");
        assert_eq!(signed(&token).check_type(true).is_ok(), needed, "{shows}");
    }
}
