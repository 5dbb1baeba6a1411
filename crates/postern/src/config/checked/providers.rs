//! Providers of tokens: checked as far as the file alone allows.

use postern_directory::read_secret;
use postern_oauth::http::{ClientSecret, Endpoint, HttpSettings};
use postern_oauth::verify::{
    ClaimRules, Introspection, IntrospectionStyle, KeySet, KeySource, KeyTimes, ProviderSettings, TokenCheck,
};
use postern_sasl::{Mechanism, Needs};

use super::{Checking, files, logins, values};
use crate::config::file::{ProviderTable, TypeWord};
use crate::config::problem::Span;
use crate::config::read::At;

/// Most providers.
const PROVIDERS_MAX: usize = 16;

pub(super) fn check(c: &mut Checking<'_>) -> Vec<ProviderSettings> {
    let mut settings: Vec<ProviderSettings> = Vec::new();
    let tables = &c.file.auth.provider.value;
    check_use(c);
    check_opaque(c);
    for table in tables {
        let Some(issuer) = &table.issuer else { continue };
        if settings.iter().any(|other| other.rules.issuer == issuer.value) {
            c.problems.error(
                issuer.span.clone(),
                format!("two providers with the issuer {}", issuer.value),
                "again",
                "join them: `audience`, `clients` and `domains` are lists",
            );
            continue;
        }
        if tables.len() > 1 && table.domains.is_empty() {
            c.problems.warning(
                table.span.clone(),
                format!(
                    "{} may vouch for every user, including those of other providers",
                    issuer.value
                ),
                "no `domains`, beside other providers",
                "add `domains = [\"example.org\"]` to each",
            );
        }
        check_rules(table, issuer, c);
        settings.extend(provider(table, issuer, c));
    }
    if settings.len() > PROVIDERS_MAX {
        c.problems.error(
            c.file.auth.provider.span.clone(),
            format!("more than {PROVIDERS_MAX} providers of tokens"),
            "too many",
            format!("keep up to {PROVIDERS_MAX}"),
        );
    }
    settings
}

/// Providers that no mechanism uses.
fn check_use(c: &mut Checking<'_>) {
    let is_token = |mechanism: &Mechanism| mechanism.properties().needs == Needs::Token;
    if let Some(first) = c.file.auth.provider.first()
        && !logins::all_mechanisms(c.file).iter().any(is_token)
    {
        c.problems.warning(
            first.span.clone(),
            "providers of tokens are configured, but OAUTHBEARER and XOAUTH2 are off",
            "never asked",
            "add \"OAUTHBEARER\" and \"XOAUTH2\" to `mechanisms` in [auth]",
        );
    }
}

/// Providers that could be asked about the same opaque token. Each would see tokens valid for the other.
fn check_opaque(c: &mut Checking<'_>) {
    let is_asked =
        |table: &&ProviderTable| table.introspection_url.is_some() || table.tokeninfo_url.is_some();
    let name = |table: &ProviderTable| {
        table
            .issuer
            .as_ref()
            .map_or("?", |issuer| &issuer.value)
            .to_owned()
    };
    let tables: Vec<&ProviderTable> = c
        .file
        .auth
        .provider
        .iter()
        .map(|at| &at.value)
        .filter(is_asked)
        .collect();
    for (at, table) in tables.iter().enumerate() {
        let shared = tables[..at].iter().find(|other| {
            let both = |domain: &str| {
                other
                    .domains
                    .iter()
                    .any(|theirs| theirs.eq_ignore_ascii_case(domain))
            };
            table.domains.is_empty()
                || other.domains.is_empty()
                || table.domains.iter().any(|domain| both(domain))
        });
        if let Some(other) = shared {
            c.problems.error(
                table.issuer.as_ref().and_then(|issuer| issuer.span.clone()),
                format!(
                    "{} and {} could be asked about the same tokens",
                    name(other),
                    name(table)
                ),
                "each would see the tokens of the other",
                "give each its own `domains`: a token goes to the provider of the login's domain",
            );
        }
    }
}

fn check_rules(table: &ProviderTable, issuer: &At<String>, c: &mut Checking<'_>) {
    let is_asked = table.introspection_url.is_some() || table.tokeninfo_url.is_some();
    if table.audience.is_empty() && (!is_asked || table.clients.is_empty()) {
        c.problems.error(
            table.audience.span.clone().or_else(|| issuer.span.clone()),
            format!("`audience` is missing for {}", issuer.value),
            "a token issued for any other service would be accepted",
            match is_asked {
                true => "add `audience = [\"…\"]`, or `clients = [\"…\"]` with the identifiers of the mail programs",
                false => "add `audience = [\"…\"]`: the value of `aud` in tokens for this server",
            },
        );
    }
    for (list, name, example) in [
        (table.login_claim.span.as_ref(), "login_claim", "email"),
        (table.algorithms.span.as_ref(), "algorithms", "RS256"),
    ] {
        let is_empty = match name {
            "login_claim" => table.login_claim.is_empty(),
            _ => table.algorithms.is_empty(),
        };
        if is_empty && !c.problems.are_within(list) {
            c.problems.error(
                list.cloned(),
                format!("`{name}` in [[auth.provider]] is empty"),
                "nobody could authenticate",
                format!("write for example `{name} = [\"{example}\"]`, or leave the key out"),
            );
        }
    }
}

fn provider(table: &ProviderTable, issuer: &At<String>, c: &mut Checking<'_>) -> Option<ProviderSettings> {
    if let Some(ca) = &table.ca_file {
        files::readable(ca, "the authorities", c.problems);
    }
    let client = client(table, c);
    let check = token_check(table, issuer, client, c)?;
    Some(ProviderSettings {
        check,
        rules: ClaimRules {
            issuer: issuer.value.clone(),
            audiences: values(&table.audience.value),
            clients: values(&table.clients.value),
            scopes: values(&table.scope.value),
            skew: *table.skew,
            age_max: table.longest_age.as_ref().map(|age| age.value),
            login_claims: values(&table.login_claim.value),
            email: *table.email_verified,
            append_domain: table.append_domain.as_ref().map(|domain| domain.value.clone()),
            domains: table
                .domains
                .iter()
                .map(|domain| domain.value.to_lowercase())
                .collect(),
        },
        account: *table.account,
        discovery: table.discovery_url.as_ref().map(|url| url.value.clone()),
        http: HttpSettings {
            ca_file: table.ca_file.as_ref().map(|file| file.value.clone()),
            timeout: *table.timeout,
        },
    })
}

/// How tokens are checked.
fn token_check(
    table: &ProviderTable,
    issuer: &At<String>,
    client: Option<ClientSecret>,
    c: &mut Checking<'_>,
) -> Option<TokenCheck> {
    let span = |at: &Option<At<Endpoint>>| at.as_ref().map(|at| at.span.clone());
    let ways: Vec<(&str, Option<Span>)> = [
        ("jwks_url", span(&table.jwks_url)),
        ("jwks_file", table.jwks_file.as_ref().map(|at| at.span.clone())),
        ("introspection_url", span(&table.introspection_url)),
        ("tokeninfo_url", span(&table.tokeninfo_url)),
    ]
    .into_iter()
    .filter_map(|(name, span)| Some((name, span?)))
    .collect();
    if let [(first, _), (second, span), ..] = ways.as_slice() {
        c.problems.error(
            span.clone(),
            format!("both `{first}` and `{second}` for one provider"),
            "two ways to check a token",
            "keep one of them; without either, keys are found through the provider's discovery document",
        );
        return None;
    }
    let introspection = |endpoint: &At<Endpoint>, style, client| {
        TokenCheck::Introspection(Introspection {
            endpoint: endpoint.value.clone(),
            style,
            client,
            cache: *table.cache_time,
        })
    };
    if let Some(endpoint) = &table.introspection_url {
        return Some(introspection(endpoint, IntrospectionStyle::Standard, client));
    }
    if let Some(endpoint) = &table.tokeninfo_url {
        return Some(introspection(endpoint, IntrospectionStyle::TokenInfo, None));
    }
    Some(TokenCheck::Signature {
        keys: keys(table, issuer, c)?,
        algorithms: values(&table.algorithms.value),
        access_token_type: *table.token_type == TypeWord::AccessToken,
        times: KeyTimes {
            refresh: *table.refresh,
            keep: *table.keep,
            pause: *table.refetch_pause,
        },
    })
}

fn keys(table: &ProviderTable, issuer: &At<String>, c: &mut Checking<'_>) -> Option<KeySource> {
    if let Some(file) = &table.jwks_file {
        if files::readable(file, "the keys", c.problems)
            && let Ok(json) = std::fs::read(&file.value)
            && let Err(error) = KeySet::parse(&json)
        {
            c.problems.error(
                file.span.clone(),
                format!("{} has no keys: {error}", file.display()),
                "nobody could authenticate",
                "save the document at the provider's `jwks_uri`",
            );
        }
        return Some(KeySource::File(file.value.clone()));
    }
    if let Some(url) = &table.jwks_url {
        return Some(KeySource::Url(url.value.clone()));
    }
    if table.discovery_url.is_none()
        && let Err(error) = Endpoint::parse(&issuer.value)
    {
        c.problems.error(
            issuer.span.clone(),
            format!("cannot find the keys of {}: {error}", issuer.value),
            "not an address of a discovery document",
            "correct it, or add `discovery_url`, `jwks_url` or `jwks_file`",
        );
        return None;
    }
    Some(KeySource::Discovery)
}

fn client(table: &ProviderTable, c: &mut Checking<'_>) -> Option<ClientSecret> {
    let (id, file) = match (&table.client_id, &table.client_secret_file) {
        (Some(id), Some(file)) => (id, file),
        (None, Some(file)) => {
            c.problems.error(
                file.span.clone(),
                "`client_secret_file` without `client_id`",
                "the secret of which client?",
                "add `client_id = \"…\"`",
            );
            return None;
        }
        (id, None) => {
            if let Some(url) = &table.introspection_url {
                c.problems.warning(
                    id.as_ref().map_or_else(|| url.span.clone(), |id| id.span.clone()),
                    "the provider is asked about tokens without a secret",
                    "most providers refuse that",
                    "add `client_id` and `client_secret_file`",
                );
            }
            return None;
        }
    };
    if table.introspection_url.is_none() {
        c.problems.warning(
            file.span.clone(),
            "`client_id` and `client_secret_file` without `introspection_url`",
            "never used",
            "remove them",
        );
    }
    if !files::secret(file, "the client's secret", c.problems) {
        return None;
    }
    match read_secret(&file.value) {
        Ok(secret) => Some(ClientSecret {
            id: id.value.clone(),
            secret,
        }),
        Err(error) => {
            c.problems.error(
                file.span.clone(),
                error.to_string(),
                "no secret",
                files::SECRET_REMEDY,
            );
            None
        }
    }
}
