//! What is stored besides the queue: history, actions, certificates, signing keys; and the link that opens the page.

use jiff::Timestamp;
use postern_history::{Acts, Archive};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::protocol::Reply;
use super::server::answer::{Deps, value};
use crate::admin::requests::{ActsRequest, TraceRequest};
use crate::dkim::records;
use crate::stories::{Stories, query};

/// Most results and actions in one answer.
const LIMIT_MAX: u32 = 1_000;

/// Actions in one answer if the request does not say how many.
const ACTS: u32 = 100;

/// A certificate in use.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct CertificateLine {
    pub(crate) file: String,
    pub(crate) names: Vec<String>,
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
    /// Whole days until it expires; negative once it has.
    pub(crate) days_left: i64,
}

/// Searches the history, including the most recent events.
pub(super) async fn trace(mut asked: TraceRequest, deps: &Deps) -> Reply {
    asked.limit = asked.limit.map(|limit| limit.clamp(1, LIMIT_MAX));
    let query = match query::of(asked) {
        Ok(query) => query,
        Err(problem) => return Reply::Bad(problem),
    };
    super::history::flush(deps.archive.clone()).await;
    let folder = deps.acts.load().0.clone();
    let found = tokio::task::spawn_blocking(move || Archive::new(&folder).find(&query)).await;
    match found {
        Ok(Ok(found)) => value(&Stories::from(found)),
        Ok(Err(error)) => Reply::Failed(error.to_string()),
        Err(gone) => Reply::Failed(gone.to_string()),
    }
}

/// Actions of administrators.
pub(super) async fn acts(asked: ActsRequest, deps: &Deps) -> Reply {
    let folder = deps.acts.load().0.clone();
    let limit = asked.limit.unwrap_or(ACTS).clamp(1, LIMIT_MAX);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let found = tokio::task::spawn_blocking(move || match Acts::read(&folder)? {
        Some(acts) => acts.between(asked.since, asked.until, limit),
        None => Ok(Vec::new()),
    });
    match found.await {
        Ok(Ok(found)) => value(&found),
        Ok(Err(error)) => Reply::Failed(error.to_string()),
        Err(gone) => Reply::Failed(gone.to_string()),
    }
}

/// The certificates in use.
pub(super) fn certificates(deps: &Deps) -> Vec<CertificateLine> {
    let now = Timestamp::now().as_second();
    let tls = deps.tls.load();
    let identities = tls.as_ref().as_ref().map_or(&[][..], |tls| tls.identities());
    let lines = identities.iter().map(|one| CertificateLine {
        file: one.certificate.display().to_string(),
        names: one.names.clone(),
        not_before: one.not_before,
        not_after: one.not_after,
        days_left: (one.not_after.as_second() - now).div_euclid(86_400),
    });
    lines.collect()
}

/// The domains with signing keys, each with the DNS records of its keys.
pub(super) async fn dkim(deps: &Deps) -> Reply {
    let (domains, state_dir) = (deps.dkim.load_full(), deps.state_dir.clone());
    let read = tokio::task::spawn_blocking(move || {
        let all = domains.iter().map(|domain| {
            let found = records::lines(&state_dir, domain)?;
            Ok(json!({ "domain": domain.domain, "records": found }))
        });
        all.collect::<Result<Vec<_>, String>>()
    });
    match read.await {
        Ok(Ok(all)) => value(&all),
        Ok(Err(problem)) => Reply::Failed(problem),
        Err(gone) => Reply::Failed(gone.to_string()),
    }
}

/// A link that opens the page once.
pub(super) fn link(by: &str, deps: &Deps) -> Reply {
    let settings = deps.admin.settings.load();
    let Some(page) = settings.pages.first() else {
        return Reply::Bad(
            "no page is served: write `serves = [\"web\"]` in an [[http]] of the configuration".to_owned(),
        );
    };
    let (secret, ends_at) = deps.admin.make_link(by);
    Reply::Done(json!({ "link": format!("{page}/login/link/{secret}"), "ends_at": ends_at }))
}
