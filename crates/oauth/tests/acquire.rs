//! Tokens for own logins from a real provider: which refresh token counts, how long failures are remembered, what a
//! device sends.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use postern_oauth::acquire::{
    ClientAuthentication, Device, Fetched, Grant, Poll, TokenSettings, TokenSource, TokenStore,
};
use postern_oauth::http::HttpSettings;
use postern_testkit::oauth::{CLIENT_ID, CLIENT_SECRET, OauthProvider};
use secrecy::ExposeSecret;

fn settings(provider: &OauthProvider, refresh_token: Option<String>) -> TokenSettings {
    TokenSettings {
        login: "isp".into(),
        grant: Grant::RefreshToken,
        issuer: Some(provider.issuer().into()),
        token_endpoint: None,
        device_endpoint: None,
        client_id: CLIENT_ID.into(),
        client_secret: Some(CLIENT_SECRET.into()),
        client_authentication: ClientAuthentication::Basic,
        scope: Some("smtp".into()),
        audience: None,
        refresh_token: refresh_token.map(Into::into),
        http: HttpSettings {
            ca_file: Some(provider.ca()),
            timeout: Duration::from_secs(20),
        },
    }
}

/// As the server after a start.
fn source(settings: TokenSettings, state_dir: &Path) -> Arc<TokenSource> {
    Arc::new(TokenSource::new(settings, TokenStore::new(state_dir)).unwrap())
}

#[tokio::test]
async fn the_newest_refresh_token_counts() {
    let provider = OauthProvider::start();
    // So short that each start fetches again.
    provider.set_lifetime(1);
    let state = tempfile::tempdir().unwrap();
    let asked = |refresh_token: &str| settings(&provider, Some(refresh_token.to_owned()));
    let first = provider.refresh_token();
    source(asked(&first), state.path()).token().await.unwrap();
    // The provider accepts each once: only the stored one works the second time.
    source(asked(&first), state.path()).token().await.unwrap();

    provider.revoke_refresh_tokens();
    let error = source(asked(&first), state.path()).token().await.unwrap_err();
    assert!(
        error.to_string().contains("postern login authorize isp"),
        "{error}"
    );
    let second = provider.refresh_token();
    source(asked(&second), state.path()).token().await.unwrap();
    source(asked(&second), state.path()).token().await.unwrap();

    // What a person grants is newer than the configuration of that time, in a running server and after a start.
    let running = source(asked(&second), state.path());
    let old = running.token().await.unwrap();
    provider.revoke_refresh_tokens();
    let grant = || Fetched {
        access_token: "granted".into(),
        lifetime: 300,
        refresh_token: Some(provider.refresh_token().into()),
    };
    let store = TokenStore::new(state.path());
    store.authorized(&asked(&second), grant()).unwrap();
    let started = source(asked(&second), state.path()).token().await.unwrap();
    assert_eq!(started.expose_secret(), "granted");
    assert!(running.refused(&old));
    running.token().await.unwrap();
    store.authorized(&asked(&second), grant()).unwrap();
    // And a token added to the configuration after that is newer again; the access token is discarded with the old one.
    let third = provider.refresh_token();
    let started = source(asked(&third), state.path()).token().await.unwrap();
    assert_ne!(started.expose_secret(), "granted");
}

#[tokio::test]
async fn a_reload_tries_again_what_has_failed() {
    let provider = OauthProvider::start();
    let state = tempfile::tempdir().unwrap();
    let token = provider.refresh_token();
    provider.revoke_refresh_tokens();
    let source = source(settings(&provider, Some(token)), state.path());
    for _ in 0..3 {
        assert!(source.token().await.unwrap_err().is_lasting());
    }
    let asked = || provider.requests("token");
    assert_eq!(asked(), 1, "the provider is left alone");
    source.retry();
    for _ in 0..3 {
        assert!(source.token().await.is_err());
    }
    assert_eq!(asked(), 2, "once more after a reload");
}

#[tokio::test]
async fn a_refused_token_is_renewed_for_every_worker() {
    let provider = OauthProvider::start();
    let state = tempfile::tempdir().unwrap();
    let client = TokenSettings {
        grant: Grant::ClientCredentials,
        ..settings(&provider, None)
    };
    let source = source(client, state.path());
    let old = source.token().await.unwrap();
    assert!(source.refused(&old), "the first worker");
    assert!(source.refused(&old), "the second, before there is another token");
    let new = source.token().await.unwrap();
    assert_ne!(old.expose_secret(), new.expose_secret());
    assert!(source.refused(&old), "one that was slow");
    assert!(!source.refused(&new), "the next one was refused at once as well");
    assert_eq!(provider.requests("token"), 2);
}

#[tokio::test]
async fn a_device_without_a_secret_names_itself_once() {
    let provider = OauthProvider::start();
    let public = TokenSettings {
        client_secret: None,
        ..settings(&provider, None)
    };
    let mut device = Device::begin(public).await.unwrap();
    assert!(matches!(device.poll().await.unwrap(), Poll::Pending));
    assert!(provider.decide(&device.user_code, true));
    let Poll::Granted(fetched) = device.poll().await.unwrap() else {
        panic!("agreed, and yet pending");
    };
    assert!(fetched.refresh_token.is_some());
}
