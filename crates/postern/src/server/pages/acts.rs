//! What administrators did.

use postern_history::Act;
use postern_http::axum::response::Response;
use postern_web::{Cell, Section, Table};

use super::shown;
use super::visit::{Content, Failed, Visit};
use crate::admin::requests::ActsRequest;
use crate::control::protocol::Request;

/// Acts that are shown.
const ACTS: u32 = 200;

pub(super) async fn page(visit: Visit) -> Response {
    visit.answer(list(&visit).await)
}

async fn list(visit: &Visit) -> Result<Content, Failed> {
    let asked = Request::Acts(ActsRequest {
        limit: Some(ACTS),
        ..ActsRequest::default()
    });
    let acts: Vec<Act> = visit.ask(asked).await?;
    let columns = ["act", "time", "who", "on", "#changed", "reason", "by way of"];
    let mut table = Table::new("acts", "Acts of administrators, newest first", &columns);
    table.empty = "No act is recorded.".to_owned();
    for act in &acts {
        let who = match &act.told {
            Some(told) => format!("{} (says {told})", act.by),
            None => act.by.clone(),
        };
        table.row(vec![
            act.act.as_str().into(),
            shown::when(act.at),
            who.into(),
            act.what.clone().into(),
            act.changed.map_or(Cell::None, Cell::from),
            act.reason.clone().into(),
            act.source.as_str().into(),
        ]);
    }
    Ok(Content::new("Acts", "/acts", vec![Section::Table(table)]))
}
