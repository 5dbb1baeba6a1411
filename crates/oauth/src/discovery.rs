//! A provider's description of itself: OpenID Connect Discovery 1.0 section 4, and RFC 8414.

use serde::Deserialize;

use crate::http::{Endpoint, EndpointError, HttpClient, HttpError};

/// A provider's description of itself, as far as it is used here. Addresses are as written: [`Endpoint::parse`] says
/// whether they may be used.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Metadata {
    /// The issuer. [`discover`] has checked that it is the expected one.
    #[serde(default, deserialize_with = "crate::lenient::or_default")]
    pub issuer: String,
    /// Where the keys are.
    pub jwks_uri: Option<String>,
    /// Where tokens are fetched.
    pub token_endpoint: Option<String>,
    /// Where a device authorization starts (RFC 8628 section 4).
    pub device_authorization_endpoint: Option<String>,
    /// The introspection endpoint (RFC 7662).
    pub introspection_endpoint: Option<String>,
}

/// No description, or not the expected one.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DiscoveryError {
    /// No usable answer.
    #[error("{address}: {source}")]
    Http {
        /// The address that was asked.
        address: String,
        /// What went wrong.
        source: HttpError,
    },
    /// The issuer does not yield a valid address.
    #[error("{address}: {source}")]
    Address {
        /// The address it would yield.
        address: String,
        /// What is wrong with it.
        source: EndpointError,
    },
    /// The description belongs to another issuer (RFC 8414 section 3.3: it must not be used).
    #[error("{address} describes the issuer {found:?}, not {wanted:?}: write the issuer as it is there")]
    OtherIssuer {
        /// The address that was asked.
        address: String,
        /// The issuer there.
        found: String,
        /// The expected one.
        wanted: String,
    },
}

/// The addresses at which an issuer may be described, the usual one first.
///
/// OpenID Connect appends to the whole issuer; RFC 8414 section 3.1 inserts between host and path.
#[must_use]
pub fn addresses(issuer: &str) -> Vec<String> {
    let bare = issuer.trim_end_matches('/');
    let mut list = vec![format!("{bare}/.well-known/openid-configuration")];
    if let Some((scheme, rest)) = bare.split_once("://") {
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        list.push(format!(
            "{scheme}://{host}/.well-known/oauth-authorization-server{path}"
        ));
    }
    list
}

/// Finds the description of an issuer, at `address` if given, otherwise at its usual addresses.
///
/// # Errors
///
/// The error for the first address.
pub async fn discover(
    http: &HttpClient,
    issuer: &str,
    address: Option<&Endpoint>,
) -> Result<Metadata, DiscoveryError> {
    let list = match address {
        Some(address) => vec![address.to_string()],
        None => addresses(issuer),
    };
    let mut first = None;
    for address in list {
        match describe(http, issuer, &address).await {
            Ok(metadata) => return Ok(metadata),
            Err(error) => {
                // Only "not found" is a reason to look elsewhere.
                let elsewhere = matches!(
                    error,
                    DiscoveryError::Http {
                        source: HttpError::Status(404 | 405),
                        ..
                    }
                );
                let error = first.get_or_insert(error);
                if !elsewhere {
                    return Err(error.clone());
                }
            }
        }
    }
    Err(first.unwrap_or_else(|| DiscoveryError::Address {
        address: issuer.to_owned(),
        source: EndpointError::NoAddress,
    }))
}

async fn describe(http: &HttpClient, issuer: &str, address: &str) -> Result<Metadata, DiscoveryError> {
    let failed = |source| DiscoveryError::Http {
        address: address.to_owned(),
        source,
    };
    let endpoint = Endpoint::parse(address).map_err(|source| DiscoveryError::Address {
        address: address.to_owned(),
        source,
    })?;
    let answer = http.get(&endpoint).await.map_err(failed)?;
    let metadata: Metadata = answer.ok_json().map_err(failed)?;
    if metadata.issuer != issuer {
        return Err(DiscoveryError::OtherIssuer {
            address: address.to_owned(),
            found: metadata
                .issuer
                .chars()
                .filter(|c| !c.is_control())
                .take(200)
                .collect(),
            wanted: issuer.to_owned(),
        });
    }
    Ok(metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_an_issuer_is_described() {
        #[rustfmt::skip]
        let cases = [
            ("https://id.example", ["https://id.example/.well-known/openid-configuration",
                                    "https://id.example/.well-known/oauth-authorization-server"]),
            ("https://id.example/", ["https://id.example/.well-known/openid-configuration",
                                     "https://id.example/.well-known/oauth-authorization-server"]),
            ("https://id.example/realms/a", ["https://id.example/realms/a/.well-known/openid-configuration",
                                             "https://id.example/.well-known/oauth-authorization-server/realms/a"]),
        ];
        for (issuer, want) in cases {
            assert_eq!(addresses(issuer), want, "{issuer}");
        }
    }
}
