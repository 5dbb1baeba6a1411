//! The description of the API in OpenAPI, made from the table of routes.

use std::collections::BTreeMap;

use utoipa::ToSchema;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn, PathsBuilder};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{KnownFormat, Object, ObjectBuilder, Schema, SchemaFormat, SchemaType, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, LicenseBuilder, OpenApiBuilder, PathItem, Ref, RefOr,
    Required, ResponseBuilder,
};

use super::routes::{
    Code, Flush, Messages, NewAppPassword, NewPassword, NewUser, ROUTES, Release, Route, SessionsWanted,
    Unlock, Verb,
};
use crate::admin::factor::FactorLine;
use crate::admin::requests::NewToken;
use crate::admin::role::Role;
use crate::admin::tokens::Token;
use crate::control::protocol::{
    Changed, DirectoryLine, Listing, LockoutLine, MessageLine, MessageView, ProviderLine, QueueChanged,
    RecipientView, Totals,
};
use crate::control::records::CertificateLine;
use crate::control::sessions::SessionLine;
use crate::server::api::parts::{Attachment, Composed, Person, RefusedRecipient, Submitted};

/// The version of the API.
const VERSION: &str = "1";

/// Answers that are lists of a schema.
const LISTS: &[&str] = &[
    "CertificateLine",
    "DirectoryLine",
    "FactorLine",
    "LockoutLine",
    "ProviderLine",
    "SessionLine",
    "Token",
];

/// The description, as JSON.
pub(crate) fn document() -> String {
    let mut paths: BTreeMap<&str, PathItem> = BTreeMap::new();
    for route in ROUTES {
        let item = PathItem::new(method(route.method), operation(route));
        paths
            .entry(route.path)
            .and_modify(|there| there.merge_operations(item.clone()))
            .or_insert(item);
    }
    paths.insert("/messages", PathItem::new(HttpMethod::Post, submission()));
    paths.insert("/queue/{id}/content", PathItem::new(HttpMethod::Get, content()));
    let described = paths.into_iter().fold(PathsBuilder::new(), |all, (path, item)| {
        all.path(format!("/api/v1{path}"), item)
    });
    let info = InfoBuilder::new()
        .title("Postern")
        .version(VERSION)
        .description(Some(
            "Queue, sessions, users, accounts, history, state and more of what the command line of Postern does, and submission of mail. \
             A request carries a token (`postern api token create`), or comes through a Unix socket as root or the \
             user that the server runs as. \
             The header field `Postern-Reason` says why an act is done. Errors are problem details (RFC 9457).",
        ))
        .license(Some(
            LicenseBuilder::new()
                .name("MIT OR Apache-2.0")
                .identifier(Some("MIT OR Apache-2.0"))
                .build(),
        ))
        .build();
    let api = OpenApiBuilder::new()
        .info(info)
        .paths(described.build())
        .components(Some(forms().build()))
        .security(Some([SecurityRequirement::new("token", Vec::<String>::new())]))
        .build();
    let mut text = api.to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

fn method(verb: Verb) -> HttpMethod {
    match verb {
        Verb::Get => HttpMethod::Get,
        Verb::Post => HttpMethod::Post,
        Verb::Put => HttpMethod::Put,
        Verb::Delete => HttpMethod::Delete,
    }
}

/// All named schemas.
fn forms() -> ComponentsBuilder {
    fn form<T: ToSchema>(components: ComponentsBuilder) -> ComponentsBuilder {
        components.schema(T::name(), T::schema())
    }
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("A token of the API, as in `Authorization: Bearer pst_…`"))
        .build();
    let mut components = ComponentsBuilder::new().security_scheme("token", SecurityScheme::Http(token));
    for add in [
        form::<Attachment>,
        form::<CertificateLine>,
        form::<Changed>,
        form::<QueueChanged>,
        form::<Code>,
        form::<Composed>,
        form::<DirectoryLine>,
        form::<FactorLine>,
        form::<Flush>,
        form::<Listing>,
        form::<LockoutLine>,
        form::<MessageLine>,
        form::<MessageView>,
        form::<Messages>,
        form::<NewAppPassword>,
        form::<NewPassword>,
        form::<NewToken>,
        form::<NewUser>,
        form::<Person>,
        form::<ProviderLine>,
        form::<RecipientView>,
        form::<RefusedRecipient>,
        form::<Release>,
        form::<Role>,
        form::<SessionLine>,
        form::<SessionsWanted>,
        form::<Submitted>,
        form::<Token>,
        form::<Totals>,
        form::<Unlock>,
    ] {
        components = add(components);
    }
    // The name under which utoipa refers to times.
    components.schema("Problem", problem()).schema("String", time())
}

/// A time.
fn time() -> RefOr<Schema> {
    let format = SchemaFormat::KnownFormat(KnownFormat::DateTime);
    ObjectBuilder::new()
        .schema_type(SchemaType::Type(Type::String))
        .format(Some(format))
        .description(Some("A time in UTC, such as 2027-01-31T00:00:00Z."))
        .into()
}

/// Problem details.
fn problem() -> RefOr<Schema> {
    let text = || RefOr::T(Schema::Object(Object::with_type(SchemaType::Type(Type::String))));
    let number = Object::with_type(SchemaType::Type(Type::Integer));
    ObjectBuilder::new()
        .schema_type(SchemaType::Type(Type::Object))
        .property("title", text())
        .property("status", RefOr::T(Schema::Object(number)))
        .property("detail", text())
        .required("status")
        .required("detail")
        .into()
}

fn named(name: &str) -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name(name))
}

fn any_value() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(SchemaType::AnyValue).into()
}

fn operation(route: &Route) -> utoipa::openapi::path::Operation {
    let parts = route
        .path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut operation = OperationBuilder::new()
        .tag(route.about)
        .summary(Some(route.summary))
        .operation_id(Some(id(route)));
    for part in parts {
        operation = operation.parameter(parameter(part, "", ParameterIn::Path));
    }
    for (name, meaning) in route.query {
        operation = operation.parameter(parameter(name, meaning, ParameterIn::Query));
    }
    if let Some(body) = route.body {
        let content = ContentBuilder::new().schema(Some(named(body))).build();
        let body = RequestBodyBuilder::new()
            .content("application/json", content)
            .build();
        operation = operation.request_body(Some(body));
    }
    let answer = match route.answer {
        Some(name) if LISTS.contains(&name) => utoipa::openapi::schema::ArrayBuilder::new()
            .items(named(name))
            .into(),
        Some(name) => named(name),
        None => any_value(),
    };
    let answered = ResponseBuilder::new()
        .description(format!(
            "What `postern {} --json` prints; see docs/json.md.",
            route.command
        ))
        .content(
            "application/json",
            ContentBuilder::new().schema(Some(answer)).build(),
        );
    operation
        .response(route.status.as_u16().to_string(), answered)
        .response("default", troubled())
        .build()
}

/// `getUsersLogin` for `GET /users/{login}`.
fn id(route: &Route) -> String {
    let verb = match route.method {
        Verb::Get => "get",
        Verb::Post => "post",
        Verb::Put => "put",
        Verb::Delete => "delete",
    };
    let mut id = verb.to_owned();
    for part in route.path.split(['/', '-']).filter(|part| !part.is_empty()) {
        let part = part.trim_matches(['{', '}']);
        let (first, rest) = part.split_at(1);
        id.push_str(&first.to_ascii_uppercase());
        id.push_str(rest);
    }
    id
}

fn parameter(name: &str, meaning: &str, place: ParameterIn) -> utoipa::openapi::path::Parameter {
    let required = match place {
        ParameterIn::Path => Required::True,
        _ => Required::False,
    };
    let text = Object::with_type(SchemaType::Type(Type::String));
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .description(Some(meaning).filter(|meaning| !meaning.is_empty()))
        .schema(Some(RefOr::T(Schema::Object(text))))
        .build()
}

fn troubled() -> ResponseBuilder {
    ResponseBuilder::new()
        .description("Why there is no answer.")
        .content(
            "application/problem+json",
            ContentBuilder::new().schema(Some(named("Problem"))).build(),
        )
}

fn submission() -> utoipa::openapi::path::Operation {
    let octets = Object::with_type(SchemaType::Type(Type::String));
    let body = RequestBodyBuilder::new()
        .description(Some(
            "A message as it is (`message/rfc822`), or its parts (`application/json`).",
        ))
        .content(
            "message/rfc822",
            ContentBuilder::new()
                .schema(Some(RefOr::T(Schema::Object(octets))))
                .build(),
        )
        .content(
            "application/json",
            ContentBuilder::new().schema(Some(named("Composed"))).build(),
        )
        .required(Some(Required::True))
        .build();
    let taken = ResponseBuilder::new()
        .description("The message is on stable storage.")
        .content(
            "application/json",
            ContentBuilder::new().schema(Some(named("Submitted"))).build(),
        );
    OperationBuilder::new()
        .tag("messages")
        .summary(Some("Submits a message as the token's login."))
        .operation_id(Some("postMessages"))
        .parameter(parameter(
            "from",
            "the envelope sender; that of the message if nothing is said",
            ParameterIn::Query,
        ))
        .parameter(parameter(
            "to",
            "a recipient; may be given several times; those of the message (To, Cc, Bcc) if nothing is said",
            ParameterIn::Query,
        ))
        .parameter(parameter(
            "Idempotency-Key",
            "a text of the client's: with the same one the same message is taken once within a day",
            ParameterIn::Header,
        ))
        .request_body(Some(body))
        .response("201", taken)
        .response("default", troubled())
        .build()
}

fn content() -> utoipa::openapi::path::Operation {
    let octets = Object::with_type(SchemaType::Type(Type::String));
    let answered = ResponseBuilder::new()
        .description("The message as it was accepted.")
        .content(
            "message/rfc822",
            ContentBuilder::new()
                .schema(Some(RefOr::T(Schema::Object(octets))))
                .build(),
        );
    OperationBuilder::new()
        .tag("queue")
        .summary(Some("The content of one message."))
        .operation_id(Some("getQueueIdContent"))
        .parameter(parameter("id", "", ParameterIn::Path))
        .response("200", answered)
        .response("default", troubled())
        .build()
}
