//! What a request contains, read with errors that say what is wrong and where.

use std::str::FromStr;

use postern_http::axum::extract::{Query, RawPathParams};
use postern_http::axum::http::{HeaderMap, Uri, header};
use serde::de::DeserializeOwned;

use super::answer::Trouble;

/// What a request contains.
pub(super) struct Input<'a> {
    path: Vec<(&'a str, &'a str)>,
    query: Vec<(String, String)>,
    body: &'a [u8],
}

impl<'a> Input<'a> {
    /// Reads a request. If it has a body, it must be JSON.
    ///
    /// # Errors
    ///
    /// The query is malformed, or the body is not JSON.
    pub(super) fn new(
        path: &'a RawPathParams,
        query: Option<&str>,
        fields: &HeaderMap,
        body: &'a [u8],
    ) -> Result<Self, Trouble> {
        if !body.is_empty() && !is_json(fields) {
            return Err(Trouble::new(
                postern_http::axum::http::StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "write the body as application/json",
            ));
        }
        Ok(Self {
            path: path.iter().collect(),
            query: pairs(query)?,
            body,
        })
    }

    /// A segment of the path.
    pub(super) fn part(&self, name: &str) -> String {
        let found = self.path.iter().find(|(part, _)| *part == name);
        found.map_or_else(String::new, |(_, value)| (*value).to_owned())
    }

    /// A parameter of the query.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.all(name).into_iter().next_back()
    }

    /// All parameters with that name.
    pub(super) fn all(&self, name: &str) -> Vec<String> {
        let found = self
            .query
            .iter()
            .filter(|(key, value)| key == name && !value.is_empty());
        found.map(|(_, value)| value.clone()).collect()
    }

    /// A parameter, converted to a type.
    ///
    /// # Errors
    ///
    /// It is not of that type.
    pub(super) fn parsed<T: FromStr>(&self, name: &str, what: &str) -> Result<Option<T>, Trouble> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        match text.parse() {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(Trouble::bad(format!(
                "`{name}` is {text:?}, and has to be {what}"
            ))),
        }
    }

    /// `true` or `false`; by default `false`.
    ///
    /// # Errors
    ///
    /// Any other value.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Trouble> {
        Ok(self.parsed(name, "true or false")?.unwrap_or(false))
    }

    /// The body.
    ///
    /// # Errors
    ///
    /// It is not JSON, or does not match the schema.
    pub(super) fn body<T: DeserializeOwned>(&self) -> Result<T, Trouble> {
        let body: &[u8] = if self.body.is_empty() { b"{}" } else { self.body };
        serde_json::from_slice(body).map_err(|error| Trouble::bad(format!("cannot read the body: {error}")))
    }
}

/// The parameters of a query.
pub(super) fn pairs(query: Option<&str>) -> Result<Vec<(String, String)>, Trouble> {
    let uri = Uri::builder()
        .path_and_query(format!("/?{}", query.unwrap_or_default()))
        .build();
    let uri = uri.map_err(|error| Trouble::bad(format!("cannot read the query: {error}")))?;
    match Query::try_from_uri(&uri) {
        Ok(Query(pairs)) => Ok(pairs),
        Err(error) => Err(Trouble::bad(format!("cannot read the query: {error}"))),
    }
}

/// Whether the body is declared as JSON, which a form on somebody else's page cannot do.
fn is_json(fields: &HeaderMap) -> bool {
    media_type(fields).is_some_and(|kind| kind == "application/json")
}

/// The media type of the body, without its parameters, in lower case.
pub(super) fn media_type(fields: &HeaderMap) -> Option<String> {
    let field = fields.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let kind = field.split(';').next().unwrap_or_default();
    Some(kind.trim().to_ascii_lowercase())
}
