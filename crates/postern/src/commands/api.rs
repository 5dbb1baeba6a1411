//! `postern api`: tokens, second factors, and the link that opens the page.

use ipnet::IpNet;
use jiff::Timestamp;
use serde_json::Value;

use crate::admin::factor::FactorLine;
use crate::admin::requests::{FactorRequest, NewToken, TokenRequest};
use crate::admin::tokens::Token;
use crate::args::{ApiArgs, ApiCommand, ConfigArg, FactorCommand, TokenCommand};
use crate::control::acts;
use crate::control::protocol::Request;
use crate::exit::{Exit, Failure};
use crate::{locate, output};

/// Does what was asked, in the running server.
pub(crate) fn run(args: ApiArgs) -> Result<(), Failure> {
    acts::because(args.reason.reason.as_deref());
    match args.command {
        ApiCommand::Token { command } => token(command, &args.config),
        ApiCommand::Factor { command } => factor(command, &args.config),
        ApiCommand::Link { json } => {
            let made = ask(&Request::Link, &args.config)?;
            if json.json {
                return output::print_json(&made);
            }
            let text = |name: &str| made.get(name).and_then(Value::as_str).unwrap_or_default();
            output::print(&format!(
                "{}\nopens the page once, until {}",
                text("link"),
                text("ends_at")
            ))
        }
    }
}

fn token(command: TokenCommand, config: &ConfigArg) -> Result<(), Failure> {
    match command {
        TokenCommand::Create {
            name,
            role,
            login,
            expires,
            networks,
            scope,
            json,
        } => {
            let wanted = NewToken {
                name,
                role: role.into(),
                login,
                expires_at: expires,
                networks,
                scope,
            };
            let made = ask(&Request::ApiTokens(TokenRequest::Create(wanted)), config)?;
            if json.json {
                return output::print_json(&made);
            }
            let text = |name: &str| made.get(name).and_then(Value::as_str).unwrap_or_default();
            output::print(&format!(
                "made the token {:?}; it is not shown again\ntoken: {}",
                text("name"),
                text("token")
            ))
        }
        TokenCommand::List { json } => {
            let all = ask(&Request::ApiTokens(TokenRequest::List), config)?;
            if json.json {
                return output::print_json(&all);
            }
            show_tokens(&read::<Vec<Token>>(all)?)
        }
        TokenCommand::Revoke { name } => {
            let _ = ask(
                &Request::ApiTokens(TokenRequest::Revoke { name: name.clone() }),
                config,
            )?;
            output::say(&format!("revoked the token {:?}", name.trim()))
        }
    }
}

fn factor(command: FactorCommand, config: &ConfigArg) -> Result<(), Failure> {
    match command {
        FactorCommand::List { json } => {
            let all = ask(&Request::Factors(FactorRequest::List), config)?;
            if json.json {
                return output::print_json(&all);
            }
            show_factors(&read::<Vec<FactorLine>>(all)?)
        }
        FactorCommand::Remove { login } => {
            let asked = FactorRequest::Remove {
                login: login.clone(),
                code: None,
            };
            let _ = ask(&Request::Factors(asked), config)?;
            output::say(&format!("{login} has no second factor any more"))
        }
    }
}

fn show_tokens(all: &[Token]) -> Result<(), Failure> {
    if all.is_empty() {
        return output::print("no tokens; `postern api token create NAME --role read` makes one");
    }
    let now = Timestamp::now().as_second();
    let rows = all.iter().map(|token| {
        let expires = match token.expires_at {
            None => "never".to_owned(),
            Some(at) if at.as_second() <= now => "expired".to_owned(),
            Some(at) => format!("in {}", output::span(at.as_second() - now)),
        };
        let used = match (token.used_on, token.used_from) {
            (None, _) => "never".to_owned(),
            (Some(day), None) => day.to_string(),
            (Some(day), Some(from)) => format!("{day} from {from}"),
        };
        let networks: Vec<String> = token.networks.iter().map(IpNet::to_string).collect();
        vec![
            token.name.clone(),
            token.role.name().to_owned(),
            token.login.clone().unwrap_or_default(),
            token.scope.join(", "),
            expires,
            networks.join(" "),
            used,
        ]
    });
    output::print_table(
        &[
            "name", "role", "login", "scope", "expires", "networks", "last use",
        ],
        &[],
        &[0],
        rows.collect(),
    )
}

fn show_factors(all: &[FactorLine]) -> Result<(), Failure> {
    if all.is_empty() {
        return output::print("no login has a second factor");
    }
    let rows = all.iter().map(|one| {
        vec![
            one.login.clone(),
            one.since.to_string(),
            one.recovery_codes.to_string(),
        ]
    });
    output::print_table(&["login", "since", "recovery codes"], &[2], &[0], rows.collect())
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, Failure> {
    serde_json::from_value(value)
        .map_err(|error| Failure::from_error(Exit::Software, "cannot understand the server's answer", &error))
}

fn ask(request: &Request, config: &ConfigArg) -> Result<Value, Failure> {
    let written = super::written(&locate::existing(config)?)?;
    let Some(mut client) = super::reach(&written)? else {
        return Err(Failure::new(
            Exit::TryAgain,
            "no server runs here; tokens, second factors and links are the running server's",
        ));
    };
    client.ask(request)
}
