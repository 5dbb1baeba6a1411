//! `[[auth.provider]]`.

use std::path::PathBuf;
use std::time::Duration;

use postern_oauth::http::Endpoint;
use postern_oauth::verify::{AccountRule, EmailRule, SigningAlgorithm};
use toml::Spanned;
use toml::de::DeValue;

use crate::config::kinds::{Choice, FilePath, Line, List, OneOf, Time, split, text};
use crate::config::read::{At, Kind, Place, Reader, table};

table! {
    /// A provider whose bearer tokens are accepted, for OAUTHBEARER and XOAUTH2. Tokens are accepted inside TLS only.
    ///
    /// A signed token (JWT) is verified with the keys of the provider in its `iss`; with `introspection_url` or `tokeninfo_url`
    /// the provider is asked about it, as about tokens that only it can read. `postern auth explain-token` says what each rule
    /// finds in a token.
    ProviderTable {
        /// The issuer, exactly as in `iss` of its tokens and in its discovery document.
        issuer: String = Line(1_024), required "\"https://id.example.org/realms/mail\"";
        /// Who the tokens are meant for: one of these must be in `aud`. Without it a token issued for any other service
        /// would be accepted too, so `clients` alone is enough only for tokens that the provider is asked about.
        audience: Vec<At<String>> = List(Line(1_024)), default "[]";
        /// The clients that tokens may have been issued to (`azp`, `appid`, `client_id` or `cid`).
        clients: Vec<At<String>> = List(Line(1_024)), default "[]";
        /// Scopes that a token must have, all of them (`scope` or `scp`). Clients that lack one are told which.
        scope: Vec<At<String>> = List(Line(255)), default "[]";
        /// The claim that holds the user name; the first that is present counts. Choose one that users cannot change themselves.
        login_claim: Vec<At<String>> = List(Line(128)), default "[\"email\"]";
        /// Whether a user name from `email` counts only if `email_verified` is true: `required`, `if-present` (unless it is present
        /// and false), `ignored`.
        email_verified: EmailRule = OneOf::<EmailRule>::new(), default "\"required\"";
        /// Appended to user names without a domain.
        append_domain: String = Line(253), optional "\"example.org\"" else "logins stay as they are";
        /// Domains whose users this provider may authenticate. A user name in another domain, or without a domain, is refused.
        domains: Vec<At<String>> = List(Line(253)), default "[]";
        /// Whether the user must exist in a directory. With `optional` an unknown user is accepted as the token names
        /// it, and owns the address that is its user name.
        account: AccountRule = OneOf::<AccountRule>::new(), default "\"required\"";
        /// The address of the provider's description.
        discovery_url: Endpoint = Address, optional "\"https://id.example.org/.well-known/openid-configuration\"" else "at the usual addresses below `issuer`";
        /// Where its keys are, as a JWK set.
        jwks_url: Endpoint = Address, optional "\"https://id.example.org/keys\"" else "where its description says";
        /// A file with its keys, as a JWK set, in place of an address. It is read as often as the address would be asked.
        jwks_file: PathBuf = FilePath, optional "\"provider-keys.json\"" else "they are fetched";
        /// The introspection endpoint (RFC 7662); tokens then need not be signed.
        introspection_url: Endpoint = Address, optional "\"https://id.example.org/introspect\"" else "signatures are checked";
        /// The same in Google's variant: the claims themselves, or status 400.
        tokeninfo_url: Endpoint = Address, optional "\"https://oauth2.googleapis.com/tokeninfo\"" else "signatures are checked";
        /// The client id for `introspection_url`.
        client_id: String = Line(1_024), optional "\"postern\"" else "needed with `client_secret_file`";
        /// A file whose first line is the secret of `client_id`, readable only by its owner.
        client_secret_file: PathBuf = FilePath, optional "\"oauth.secret\"" else "there is no secret";
        /// How long an introspection result is cached, never beyond the token's expiry. `"0"` asks each time.
        cache_time: Duration = Time("0", "1h"), default "\"1m\"";
        /// Accepted signature algorithms.
        algorithms: Vec<At<SigningAlgorithm>> = List(AlgorithmName), default "[\"RS256\", \"PS256\", \"ES256\", \"ES384\", \"EdDSA\"]";
        /// Whether signed tokens must say that they are access tokens (`typ` is `at+jwt`, RFC 9068): `any` also accepts those
        /// that say `JWT` or nothing, as most providers write them.
        token_type: TypeWord = OneOf::<TypeWord>::new(), default "\"any\"";
        /// The allowed clock skew.
        skew: Duration = Time("0", "10m"), default "\"1m\"";
        /// The longest time since a token was issued.
        longest_age: Duration = Time("1s", "365d"), optional "\"12h\"" else "until the end of the token";
        /// How often keys are refreshed, in the background.
        refresh: Duration = Time("1s", "7d"), default "\"1h\"";
        /// How long keys are used while the provider does not answer. A withdrawn key is also used for that long.
        keep: Duration = Time("1m", "30d"), default "\"24h\"";
        /// The shortest time between two fetches caused by tokens with unknown keys.
        refetch_pause: Duration = Time("100ms", "1h"), default "\"30s\"";
        /// Authorities that must have issued the provider's certificate, in PEM form.
        ca_file: PathBuf = FilePath, optional "\"certs/id-ca.crt\"" else "those that the system trusts";
        /// The longest time for one request. After it clients are told `454 4.7.0`.
        timeout: Duration = Time("100ms", "1m"), default "\"5s\"";
    }
}

/// Which types of tokens are taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum TypeWord {
    Any,
    AccessToken,
}

impl Choice for TypeWord {
    const WORDS: &'static [(&'static str, Self)] = &[("any", Self::Any), ("at+jwt", Self::AccessToken)];
}

impl Choice for EmailRule {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("required", Self::Required),
        ("if-present", Self::IfPresent),
        ("ignored", Self::Ignored),
    ];
}

impl Choice for AccountRule {
    const WORDS: &'static [(&'static str, Self)] =
        &[("required", Self::Required), ("optional", Self::Optional)];
}

/// An address of a provider.
pub(crate) struct Address;

impl Kind for Address {
    type Value = Endpoint;

    fn describe(&self) -> String {
        "https address".into()
    }

    fn read(&self, value: &Spanned<DeValue<'_>>, place: &Place, reader: &mut Reader<'_>) -> Option<Endpoint> {
        text(value, place, reader, "an address in quotes", |written| {
            Endpoint::parse(written).map_err(|error| {
                let (label, remedy) = split(&error, place);
                (label, remedy)
            })
        })
    }
}

/// A signature algorithm.
pub(crate) struct AlgorithmName;

impl Kind for AlgorithmName {
    type Value = SigningAlgorithm;

    fn describe(&self) -> String {
        "signature algorithm".into()
    }

    fn sample(&self) -> String {
        "\"RS256\"".into()
    }

    fn read(
        &self,
        value: &Spanned<DeValue<'_>>,
        place: &Place,
        reader: &mut Reader<'_>,
    ) -> Option<SigningAlgorithm> {
        text(value, place, reader, "an algorithm in quotes", |written| {
            SigningAlgorithm::from_name(written).ok_or_else(|| {
                let label = match written {
                    "none" | "HS256" | "HS384" | "HS512" => "anybody could sign with it",
                    _ => "not an algorithm of this version",
                };
                let known: Vec<&str> = SigningAlgorithm::ALL
                    .iter()
                    .map(|algorithm| algorithm.name())
                    .collect();
                (label.to_owned(), format!("there are {}", known.join(", ")))
            })
        })
    }
}
