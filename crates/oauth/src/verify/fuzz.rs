//! The path of a token without its network, for the fuzzer.

use super::claims::{Origin, judge};
use super::jwks::KeySet;
use super::jws::Form;
use super::settings::ClaimRules;
use super::{Claims, SigningAlgorithm};

/// Parses a token, verifies it with keys, and checks claims against rules. No input may yield a login: the private halves of
/// the keys are not available to it.
///
/// # Panics
///
/// If a token was accepted, or a rule accepted claims that lack what it requires.
pub fn token(token: &str, keys: &[u8], claims: &[u8]) {
    let own = KeySet::parse(OWN_KEYS.as_bytes());
    if let Ok(Form::Signed(signed)) = Form::of(token)
        && let Ok(own) = &own
    {
        assert!(
            signed.check(own, SigningAlgorithm::ALL).is_err(),
            "taken: {token}"
        );
    }
    if let Ok(keys) = KeySet::parse(keys)
        && let Ok(Form::Signed(signed)) = Form::of(token)
    {
        let _ = signed.check(&keys, SigningAlgorithm::ALL);
    }
    let Ok(claims) = serde_json::from_slice::<Claims>(claims) else {
        return;
    };
    let mut rules = ClaimRules::new("https://id.example");
    rules.audiences = vec!["postern".into()];
    rules.scopes = vec!["smtp".into()];
    rules.domains = vec!["example.org".into()];
    for origin in [Origin::Signed, Origin::Introspected] {
        if let Ok(login) = judge(&claims, &rules, origin, 1_795_000_000).verdict() {
            assert!(rules.covers(&login), "{login}");
            assert!(!login.chars().any(char::is_control), "{login:?}");
            assert!(claims.contains_key("aud") && claims.contains_key("email_verified"));
            assert!(claims.contains_key("exp") || origin == Origin::Introspected);
        }
    }
}

/// RFC 8037 appendix A.2 and RFC 7515 appendix A.3: public halves.
const OWN_KEYS: &str = r#"{"keys":[
    {"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
    {"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}
]}"#;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    /// JSON that looks like claims, with values of all kinds.
    fn claims() -> impl Strategy<Value = String> {
        let name = prop::sample::select(vec![
            "iss",
            "aud",
            "exp",
            "nbf",
            "iat",
            "email",
            "email_verified",
            "scope",
            "scp",
            "azp",
            "cnf",
        ]);
        let value = prop_oneof![
            Just("true".to_owned()),
            Just("null".to_owned()),
            Just("\"https://id.example\"".to_owned()),
            Just("\"postern\"".to_owned()),
            Just("\"smtp\"".to_owned()),
            Just("[\"postern\",1]".to_owned()),
            Just("\"a@example.org\"".to_owned()),
            any::<f64>().prop_map(|number| serde_json::json!(number).to_string()),
            any::<u64>().prop_map(|number| number.to_string()),
            any::<String>().prop_map(|text| serde_json::json!(text).to_string()),
        ];
        prop::collection::vec((name, value), 0..14).prop_map(|members| {
            let members: Vec<String> = members
                .iter()
                .map(|(name, value)| format!("\"{name}\":{value}"))
                .collect();
            format!("{{{}}}", members.join(","))
        })
    }

    proptest! {
        #[test]
        fn no_token_is_taken_and_no_claim_passes_that_should_not(
            token in "(e30|eyJhbGciOiJub25lIn0|eyJhbGciOiJFUzI1NiJ9|[A-Za-z0-9_-]{0,20})(\\.[A-Za-z0-9_=-]{0,40}){0,5}",
            claims in claims(),
        ) {
            super::token(&token, super::OWN_KEYS.as_bytes(), claims.as_bytes());
        }

        #[test]
        fn whatever_comes(token in any::<String>(), keys in any::<Vec<u8>>(), claims in any::<Vec<u8>>()) {
            super::token(&token, &keys, &claims);
        }
    }
}
