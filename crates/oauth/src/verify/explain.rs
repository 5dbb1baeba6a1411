//! What each rule finds in a token, for an administrator who wonders why a user is refused.

use super::claims::{Finding, Origin, judge};
use super::jws::{Form, Signed};
use super::outage::Trouble;
use super::provider::{Kind, Provider};
use super::verifier::{Verdict, Verifier};
use super::{Claims, Refusal};
use crate::clock::unix_now;
use secrecy::{ExposeSecret, SecretString};

/// What one rule finds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Step {
    /// The rule.
    pub rule: &'static str,
    /// What the token says about it.
    pub says: String,
    /// What is wrong with that.
    pub problem: Option<String>,
}

/// What all rules find.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Explanation {
    /// The provider that would decide.
    pub issuer: Option<String>,
    /// In the order of the rules; those after the first problem are included.
    pub steps: Vec<Step>,
    /// The outcome of a login with it.
    pub verdict: Verdict,
}

impl Verifier {
    /// Applies all rules to a token, as a login would, but does not stop at the first that refuses.
    /// `identity` is the user name that the client would give.
    pub async fn explain(&self, token: &SecretString, identity: Option<&str>) -> Explanation {
        let verdict = self.verify(token, identity).await;
        let token = token.expose_secret();
        let mut steps = Vec::new();
        let issuer = match Form::of(token) {
            Ok(Form::Signed(signed)) => self.explain_signed(token, &signed, &mut steps).await,
            Ok(Form::Opaque) => self.explain_opaque(token, identity, &mut steps).await,
            Err(refusal) => {
                steps.push(step("form", "not to be read".into(), Err(refusal)));
                None
            }
        };
        Explanation {
            issuer,
            steps,
            verdict,
        }
    }

    async fn explain_signed(
        &self,
        token: &str,
        signed: &Signed<'_>,
        steps: &mut Vec<Step>,
    ) -> Option<String> {
        steps.push(step("form", "signed".into(), Ok(())));
        let claimed = signed.claimed_issuer().unwrap_or("nothing").to_owned();
        let found = self.issuer_of(signed);
        let missing = found.as_ref().err().cloned().map_or(Ok(()), Err);
        steps.push(step("provider", claimed, missing));
        let provider = found.ok()?;
        match &provider.kind {
            Kind::Signed {
                keys,
                algorithms,
                access_token_type,
            } => {
                let typ = signed.check_type(*access_token_type);
                steps.push(step("token_type", signed.named_type().to_owned(), typ));
                let algorithm = signed.algorithm(algorithms).map(drop);
                steps.push(step("algorithms", signed.describe(), algorithm));
                let proven = provider.proven(signed, keys, algorithms).await;
                let set = keys.describe().0.unwrap_or_else(|| "no keys at hand".into());
                steps.push(troubled(
                    "signature",
                    format!("keys: {set}"),
                    proven.as_ref().err(),
                ));
                judged(signed.unproven_claims(), provider, Origin::Signed, steps);
            }
            Kind::Asked(_) => asked(provider, token, steps).await,
        }
        Some(provider.issuer().to_owned())
    }

    async fn explain_opaque(
        &self,
        token: &str,
        identity: Option<&str>,
        steps: &mut Vec<Step>,
    ) -> Option<String> {
        steps.push(step(
            "form",
            "opaque: only its provider can read it".into(),
            Ok(()),
        ));
        match self.provider_of(identity) {
            Ok(provider) => {
                asked(provider, token, steps).await;
                Some(provider.issuer().to_owned())
            }
            Err(refusal) => {
                steps.push(step("provider", "no one that can be asked".into(), Err(refusal)));
                None
            }
        }
    }
}

async fn asked(provider: &Provider, token: &str, steps: &mut Vec<Step>) {
    let answer = provider.asked(token).await;
    let says = match &answer {
        Ok(_) => format!("{}: active", provider.issuer()),
        Err(_) => provider.issuer().to_owned(),
    };
    steps.push(troubled("introspection", says, answer.as_ref().err()));
    if let Ok(claims) = &answer {
        judged(claims, provider, Origin::Introspected, steps);
    }
}

fn judged(claims: &Claims, provider: &Provider, origin: Origin, steps: &mut Vec<Step>) {
    let judgement = judge(claims, &provider.settings.rules, origin, unix_now());
    for Finding { rule, says, result } in judgement.findings {
        steps.push(step(rule, says, result));
    }
}

fn step(rule: &'static str, says: String, result: Result<(), Refusal>) -> Step {
    Step {
        rule,
        says: says
            .chars()
            .map(|c| if c.is_control() { '?' } else { c })
            .take(200)
            .collect(),
        problem: result.err().map(|refusal| refusal.to_string()),
    }
}

fn troubled(rule: &'static str, says: String, trouble: Option<&Trouble>) -> Step {
    let problem = trouble.map(|trouble| match trouble {
        Trouble::Refused(refusal) => refusal.to_string(),
        Trouble::Outage(outage) => format!("cannot be found out now: {}", outage.0),
    });
    Step {
        problem,
        ..step(rule, says, Ok(()))
    }
}
