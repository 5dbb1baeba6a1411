//! A token's claims, checked against the rules. Pure: claims, rules and the time in, findings out.

use std::time::Duration;

use serde_json::{Map, Value};

use super::refusal::{Refusal, Shown};
use super::settings::{ClaimRules, EmailRule};

/// Claims by name.
pub type Claims = Map<String, Value>;

/// Longest login, in octets.
const LOGIN_MAX: usize = 255;

/// Claims that name the client that a token was issued to; the first one present counts: OpenID Connect, Microsoft's older
/// tokens, RFC 9068 and RFC 7662, Okta.
const CLIENT_CLAIMS: [&str; 4] = ["azp", "appid", "client_id", "cid"];

/// Where claims come from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    /// From the token itself, whose signature was verified: issuer and expiry are required.
    Signed,
    /// From the provider's answer: it has those that the provider chooses, with some numbers as text.
    Introspected,
}

/// What one rule finds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// The rule, by its setting.
    pub rule: &'static str,
    /// What the token says about it.
    pub says: String,
    /// Whether that satisfies the rule.
    pub result: Result<(), Refusal>,
}

/// What all rules find.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Judgement {
    /// In the order of the rules, all of them, even if an earlier one refused.
    pub findings: Vec<Finding>,
    /// The login, if a claim has one.
    pub login: Option<String>,
    /// When the token expires, in seconds since 1970.
    pub expiry: Option<u64>,
}

impl Judgement {
    /// The login, if all rules are satisfied.
    ///
    /// # Errors
    ///
    /// The refusal of the first rule that is not.
    pub fn verdict(self) -> Result<String, Refusal> {
        for finding in self.findings {
            finding.result?;
        }
        self.login.ok_or_else(|| Refusal::NoLogin("it".into()))
    }
}

/// Checks claims against the rules.
#[must_use]
pub fn judge(claims: &Claims, rules: &ClaimRules, origin: Origin, now: u64) -> Judgement {
    let mut findings = Vec::with_capacity(10);
    let mut find = |rule, says: String, result| findings.push(Finding { rule, says, result });
    find(
        "issuer",
        text_of(claims.get("iss")),
        issuer(claims, rules, origin),
    );
    let expiry = date(claims.get("exp"));
    find(
        "exp",
        time_of(claims.get("exp"), now),
        ends(expiry, rules.skew, origin, now),
    );
    find(
        "nbf",
        time_of(claims.get("nbf"), now),
        begins(claims, rules.skew, now),
    );
    find("iat", time_of(claims.get("iat"), now), issued(claims, rules, now));
    find("audience", text_of(claims.get("aud")), audience(claims, rules));
    let client = client_of(claims);
    find(
        "clients",
        client.unwrap_or("nothing").to_owned(),
        allowed_client(client, rules),
    );
    find("scope", scopes(claims).join(" "), scope(claims, rules));
    let bound = claims.get("cnf").is_some_and(|cnf| !cnf.is_null());
    let result = if bound { Err(Refusal::Bound) } else { Ok(()) };
    find("cnf", text_of(claims.get("cnf")), result);
    let login = login(claims, rules);
    let shown = match &login {
        Ok((claim, login)) => format!("{claim} = {login}"),
        Err(_) => "nothing".to_owned(),
    };
    find(
        "login_claim",
        shown,
        login.as_ref().map(drop).map_err(Clone::clone),
    );
    if let Ok((claim, login)) = &login {
        find(
            "email_verified",
            text_of(claims.get("email_verified")),
            verified(claim, login, claims, rules),
        );
        let covered = rules.covers(login);
        let result = if covered {
            Ok(())
        } else {
            Err(Refusal::Domain(Shown::new(login)))
        };
        find("domains", login.clone(), result);
    }
    Judgement {
        findings,
        login: login.ok().map(|(_, login)| login),
        expiry,
    }
}

fn issuer(claims: &Claims, rules: &ClaimRules, origin: Origin) -> Result<(), Refusal> {
    match claims.get("iss") {
        None | Some(Value::Null) if origin == Origin::Introspected => Ok(()),
        Some(Value::String(found)) if *found == rules.issuer => Ok(()),
        other => Err(Refusal::Issuer(Shown::new(&text_of(other)))),
    }
}

/// The token is no longer valid at the second `exp` (RFC 7519 section 4.1.4).
fn ends(expiry: Option<u64>, skew: Duration, origin: Origin, now: u64) -> Result<(), Refusal> {
    match expiry {
        Some(expiry) if now >= expiry.saturating_add(skew.as_secs()) => Err(Refusal::Expired(now - expiry)),
        Some(_) => Ok(()),
        None if origin == Origin::Introspected => Ok(()),
        None => Err(Refusal::NoExpiry),
    }
}

fn begins(claims: &Claims, skew: Duration, now: u64) -> Result<(), Refusal> {
    match (claims.get("nbf"), date(claims.get("nbf"))) {
        (None | Some(Value::Null), _) => Ok(()),
        (_, Some(begin)) if begin > now.saturating_add(skew.as_secs()) => Err(Refusal::NotYet(begin - now)),
        (_, Some(_)) => Ok(()),
        (Some(_), None) => Err(Refusal::Malformed("`nbf` is not a time")),
    }
}

fn issued(claims: &Claims, rules: &ClaimRules, now: u64) -> Result<(), Refusal> {
    let skew = rules.skew.as_secs();
    match (claims.get("iat"), date(claims.get("iat")), rules.age_max) {
        (None | Some(Value::Null), _, None) => Ok(()),
        (None | Some(Value::Null), _, Some(_)) => Err(Refusal::NoIssueTime),
        (_, Some(at), _) if at > now.saturating_add(skew) => Err(Refusal::IssuedLater(at - now)),
        (_, Some(at), Some(most)) if now > at.saturating_add(most.as_secs()).saturating_add(skew) => {
            Err(Refusal::TooOld(now - at))
        }
        (_, Some(_), _) => Ok(()),
        (Some(_), None, _) => Err(Refusal::Malformed("`iat` is not a time")),
    }
}

fn audience(claims: &Claims, rules: &ClaimRules) -> Result<(), Refusal> {
    let meant = |name: &str| rules.audiences.iter().any(|ours| ours == name);
    let held = match claims.get("aud") {
        _ if rules.audiences.is_empty() => true,
        Some(Value::String(one)) => meant(one),
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).any(meant),
        _ => false,
    };
    if held {
        Ok(())
    } else {
        Err(Refusal::Audience(Shown::new(&text_of(claims.get("aud")))))
    }
}

fn client_of(claims: &Claims) -> Option<&str> {
    CLIENT_CLAIMS
        .into_iter()
        .find_map(|name| claims.get(name).and_then(Value::as_str))
}

fn allowed_client(client: Option<&str>, rules: &ClaimRules) -> Result<(), Refusal> {
    let listed = |client: &str| rules.clients.iter().any(|ours| ours == client);
    if rules.clients.is_empty() || client.is_some_and(listed) {
        Ok(())
    } else {
        Err(Refusal::Client(Shown::new(client.unwrap_or("nothing"))))
    }
}

/// `scope` separated by blanks (RFC 8693 section 4.2), or the `scp` of Microsoft and Okta, either also as a list.
fn scopes(claims: &Claims) -> Vec<&str> {
    ["scope", "scp"]
        .into_iter()
        .filter_map(|name| claims.get(name))
        .flat_map(|value| match value {
            Value::String(text) => text.split(' ').collect::<Vec<_>>(),
            Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        })
        .filter(|scope| !scope.is_empty())
        .collect()
}

fn scope(claims: &Claims, rules: &ClaimRules) -> Result<(), Refusal> {
    let found = scopes(claims);
    match rules
        .scopes
        .iter()
        .find(|wanted| !found.contains(&wanted.as_str()))
    {
        Some(lacking) => Err(Refusal::Scope(lacking.clone())),
        None => Ok(()),
    }
}

/// The claim that holds the login, and the login.
fn login<'a>(claims: &Claims, rules: &'a ClaimRules) -> Result<(&'a str, String), Refusal> {
    let present = |name: &&String| claims.get(*name).is_some_and(|value| !value.is_null());
    let Some(claim) = rules.login_claims.iter().find(present) else {
        return Err(Refusal::NoLogin(rules.login_claims.join(", ")));
    };
    let bad = || Refusal::BadLogin(claim.clone());
    let text = claims.get(claim).and_then(Value::as_str).ok_or_else(bad)?;
    if text.is_empty() || text.trim() != text || text.chars().any(char::is_control) {
        return Err(bad());
    }
    let login = match &rules.append_domain {
        Some(domain) if !text.contains('@') => format!("{text}@{domain}"),
        _ => text.to_owned(),
    };
    if login.len() > LOGIN_MAX {
        return Err(bad());
    }
    Ok((claim, login))
}

fn verified(claim: &str, login: &str, claims: &Claims, rules: &ClaimRules) -> Result<(), Refusal> {
    if claim != "email" || rules.email == EmailRule::Ignored {
        return Ok(());
    }
    let is_verified = match claims.get("email_verified") {
        None | Some(Value::Null) => rules.email == EmailRule::IfPresent,
        Some(Value::Bool(verified)) => *verified,
        Some(Value::String(text)) => text == "true",
        Some(_) => false,
    };
    if is_verified {
        Ok(())
    } else {
        Err(Refusal::Unverified(Shown::new(login)))
    }
}

/// A `NumericDate` (RFC 7519 section 2), ignoring fractions. Some providers write it as text.
fn date(value: Option<&Value>) -> Option<u64> {
    match value? {
        Value::Number(number) => number.as_u64().or_else(|| {
            let seconds = number.as_f64()?;
            // No clock will ever get beyond that.
            (0.0..1e15).contains(&seconds).then_some(seconds as u64)
        }),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// A time as text, for display: with its distance from now.
fn time_of(value: Option<&Value>, now: u64) -> String {
    let text = text_of(value);
    match date(value) {
        Some(at) if at > now => format!("{text}, in {} s", at - now),
        Some(at) => format!("{text}, {} s ago", now - at),
        None => text,
    }
}

/// A claim as text, for display.
fn text_of(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "nothing".into(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
