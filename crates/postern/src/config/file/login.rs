//! `[[login]]`.

use std::path::PathBuf;
use std::time::Duration;

use postern_oauth::acquire::{ClientAuthentication, Grant};
use postern_oauth::http::Endpoint;
use postern_policy::route::UnverifiedLogin;
use postern_sasl::Mechanism;

use super::auth::LayerWord;
use super::words::{MechanismName, ProviderAddress};
use crate::config::kinds::{Choice, FilePath, Line, List, OneOf, Section, Time};
use crate::config::read::{At, table};

table! {
    /// Credentials for a smarthost, for routes that name them by `login`. The strongest mechanism that the host offers is
    /// used; if the host refuses, the mail waits, and `postern queue list --destinations` and the log say so.
    LoginTable {
        /// The name that routes refer to.
        name: String = Line(64), required "\"isp\"";
        /// The user name at the host.
        login: String = Line(255), required "\"acaird@isp.example\"";
        /// A file whose first line is the password, readable only by its owner. Read again at every reload.
        password_file: PathBuf = FilePath, optional "\"isp.pass\"" else "there is no password";
        /// A keytab with the key of the account, for GSSAPI: tickets are fetched with it when needed. Readable by Postern alone.
        keytab: PathBuf = FilePath, optional "\"relay.keytab\"" else "there is no key";
        /// Tickets that something else keeps fresh, such as k5start, for GSSAPI.
        tickets: PathBuf = FilePath, optional "\"/run/postern/tickets\"" else "there are none";
        /// The principal of the keytab or the tickets.
        principal: String = Line(255), optional "\"relay/mx.example.org@EXAMPLE.ORG\"" else "`login`";
        /// A certificate that is presented to the host, in PEM form, for EXTERNAL.
        certificate: PathBuf = FilePath, optional "\"certs/isp.crt\"" else "no certificate is shown";
        /// Its key, in PEM form, readable only by its owner.
        key: PathBuf = FilePath, optional "\"certs/isp.key\"" else "needed with `certificate`";
        /// A file whose first line decrypts the key, readable only by its owner.
        passphrase_file: PathBuf = FilePath, optional "\"certs/isp.pass\"" else "the key is not encrypted";
        /// Tokens instead of a password, for OAUTHBEARER and XOAUTH2.
        token: LoginToken = Section::<LoginToken>::new(), optional "{ grant = \"client-credentials\", issuer = \"https://id.example.org\", client_id = \"postern\" }" else "no tokens are used";
        /// The mechanisms that may be used, in case the host offers some that do not work for this account.
        mechanisms: Vec<At<Mechanism>> = List(MechanismName), optional "[\"SCRAM-SHA-256\", \"PLAIN\"]" else "all, strongest first";
        /// The authorization identity, if it is not the user name.
        act_as: String = Line(255), optional "\"team@isp.example\"" else "the account itself";
        /// The Windows domain, for NTLM.
        domain: String = Line(255), optional "\"EXAMPLE\"" else "the host's own";
        /// Security layers that DIGEST-MD5 and GSSAPI may agree on without TLS: `"auth-int"` shows changes, `"auth-conf"`
        /// encrypts.
        layers: Vec<At<LayerWord>> = List(OneOf::<LayerWord>::new()), default "[]";
    }
}

table! {
    /// Where the tokens come from (OAuth 2.0). They are fetched when needed, renewed before they expire, shared by
    /// all connections, and stored encrypted in `tokens` below `state_dir`.
    LoginToken {
        /// The grant: `client-credentials`, where the client itself is the account, or `refresh-token`, where a person has authorized
        /// it once: `postern login authorize NAME` shows where and how.
        grant: Grant = OneOf::<Grant>::new(), required "\"refresh-token\"";
        /// The provider, which describes its addresses itself (OpenID Connect Discovery, RFC 8414).
        issuer: String = Line(2_048), optional "\"https://login.microsoftonline.com/TENANT/v2.0\"" else "needed unless the addresses are given";
        /// Where tokens are fetched.
        token_endpoint: Endpoint = ProviderAddress, optional "\"https://oauth2.googleapis.com/token\"" else "as the issuer says";
        /// Where `postern login authorize` begins.
        device_endpoint: Endpoint = ProviderAddress, optional "\"https://oauth2.googleapis.com/device/code\"" else "as the issuer says";
        /// The client, as it is registered at the provider.
        client_id: String = Line(1_024), required "\"postern\"";
        /// A file whose first line is the client's secret, readable only by its owner.
        client_secret_file: PathBuf = FilePath, optional "\"client.secret\"" else "the client has none (a public client)";
        /// Where the secret is sent in requests: in the header (`basic`) or in the form (`post`).
        client_authentication: ClientAuthentication = OneOf::<ClientAuthentication>::new(), default "\"basic\"";
        /// The scope of the tokens, as the provider writes it.
        scope: String = Line(2_048), optional "\"https://outlook.office365.com/.default\"" else "what the provider thinks fit";
        /// The audience of the tokens, if the provider asks for `audience`.
        audience: String = Line(2_048), optional "\"https://smtp.example.org\"" else "not said";
        /// A file whose first line is a refresh token obtained elsewhere. It is used until the provider replaces it; from
        /// then on the stored one is used.
        refresh_token_file: PathBuf = FilePath, optional "\"isp.refresh\"" else "`postern login authorize` gets one";
        /// Authorities that must have issued the provider's certificate, in PEM form.
        ca_file: PathBuf = FilePath, optional "\"certs/id-ca.crt\"" else "those that the system trusts";
        /// The longest time for one request.
        timeout: Duration = Time("100ms", "1m"), default "\"10s\"";
    }
}

impl Choice for Grant {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("client-credentials", Self::ClientCredentials),
        ("refresh-token", Self::RefreshToken),
    ];
}

impl Choice for ClientAuthentication {
    const WORDS: &'static [(&'static str, Self)] = &[("basic", Self::Basic), ("post", Self::Post)];
}

impl Choice for UnverifiedLogin {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("refuse", Self::Nothing),
        ("prove-to-anyone", Self::Proofs),
        ("send-password-to-anyone", Self::Password),
    ];
}
