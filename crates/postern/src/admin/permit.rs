//! Whether a request is permitted: one decision for tokens, logins at the page, and users of this machine.

use super::requests::{FactorRequest, TokenRequest, TraceRequest, UserRequest};
use super::role::{Role, Who};
use crate::control::protocol::{Operation, Request, Which, WhichSessions};
use crate::control::wishes::Follow;

/// The decision about a request.
#[derive(Debug)]
pub(crate) enum Permit {
    /// The server is asked; if the role is [`Role::Own`], only about the user's own objects.
    Ask(Request),
    /// The server is asked if the message is the user's own.
    IfOwn {
        /// The queue id.
        id: String,
        request: Request,
    },
    /// The request is refused.
    No(Refusal),
}

/// Why not.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Refusal {
    /// The role is too small.
    #[error("this takes the role \"{}\", and yours is \"{}\"", .needed.name(), .has.name())]
    Role {
        /// The least role that is sufficient.
        needed: Role,
        has: Role,
    },
    /// The token is for other requests.
    #[error("the token's scope does not cover \"{request}\"")]
    Scope {
        /// The name of the request.
        request: &'static str,
    },
}

/// What a request requires.
struct Needs {
    /// The role that is sufficient for all objects.
    role: Role,
    /// What [`Role::Own`] may request instead.
    own: Own,
}

/// What is left of a request for somebody who only sees their own objects.
enum Own {
    /// Nothing.
    No,
    /// It is restricted to the user's own login.
    Narrowed(fn(Request, String) -> Request),
    /// It is about a message, which must be the user's own.
    Message,
    /// It names a login, which must be the user's own.
    Login,
}

/// Decides.
pub(crate) fn permit(who: &Who, request: Request) -> Permit {
    let name = name(&request);
    if !who.covers(name) {
        return Permit::No(Refusal::Scope { request: name });
    }
    let Needs { role, own } = needs(&request);
    if who.role >= role {
        return Permit::Ask(request);
    }
    let refused = Permit::No(Refusal::Role {
        needed: role,
        has: who.role,
    });
    // Higher roles may see their own mail, too.
    let Some(login) = &who.login else { return refused };
    match own {
        Own::No => refused,
        Own::Narrowed(narrow) => Permit::Ask(narrow(request, login.clone())),
        Own::Login if about(&request).is_some_and(|about| who.is(about)) => Permit::Ask(request),
        Own::Login => refused,
        Own::Message => match &request {
            Request::Queue(Operation::Show { id } | Operation::Content { id }) => Permit::IfOwn {
                id: id.clone(),
                request,
            },
            _ => refused,
        },
    }
}

/// Whether the request is permitted at all, at least for the user's own objects.
pub(crate) fn may(who: &Who, request: &Request) -> bool {
    !matches!(permit(who, request.clone()), Permit::No(_))
}

/// The login that a request names.
fn about(request: &Request) -> Option<&str> {
    match request {
        Request::Users(asked) => asked.login(),
        Request::Factors(asked) => asked.login(),
        Request::Account { account } => Some(account),
        _ => None,
    }
}

/// What each request requires.
fn needs(request: &Request) -> Needs {
    let of = |role, own| Needs { role, own };
    match request {
        Request::Queue(operation) => match operation {
            Operation::List { .. } => of(Role::Read, Own::Narrowed(own_mail)),
            Operation::Show { .. } => of(Role::Read, Own::Message),
            // Not everybody who manages the queue may read what people write to each other.
            Operation::Content { .. } => of(Role::Operate, Own::Message),
            Operation::Hold(_)
            | Operation::Release(_)
            | Operation::Retry(_)
            | Operation::Remove(_)
            | Operation::Flush { .. } => of(Role::Operate, Own::No),
            Operation::Recover { import: false } => of(Role::Read, Own::No),
            Operation::Recover { import: true } => of(Role::Administer, Own::No),
        },
        Request::Destinations
        | Request::Status
        | Request::Statistics { .. }
        | Request::Configuration
        | Request::Logins
        | Request::Session { .. }
        | Request::History
        | Request::Accounts
        | Request::Webhooks
        | Request::Budgets
        | Request::Providers
        | Request::Lockouts
        | Request::Directories { check: false }
        | Request::Acts(_)
        | Request::Certificates
        | Request::Dkim => of(Role::Read, Own::No),
        Request::Account { .. } => of(Role::Read, Own::Login),
        Request::Sessions(_) => of(Role::Read, Own::Narrowed(own_sessions)),
        Request::EndSessions(_) => of(Role::Operate, Own::Narrowed(own_sessions)),
        Request::Follow(_) => of(Role::Read, Own::Narrowed(own_events)),
        Request::Trace(_) => of(Role::Read, Own::Narrowed(own_stories)),
        Request::HoldAccount(_)
        | Request::ReleaseAccount(_)
        | Request::Unlock { .. }
        | Request::RecheckLogins
        | Request::Directories { check: true } => of(Role::Operate, Own::No),
        Request::Reload | Request::Link => of(Role::Administer, Own::No),
        Request::Users(asked) => match asked {
            UserRequest::List => of(Role::Read, Own::No),
            UserRequest::Show { .. } | UserRequest::AppPasswords { .. } => of(Role::Read, Own::Login),
            UserRequest::AddAppPassword { .. } | UserRequest::RevokeAppPassword { .. } => {
                of(Role::Administer, Own::Login)
            }
            UserRequest::Add { .. }
            | UserRequest::Passwd { .. }
            | UserRequest::Disable { .. }
            | UserRequest::Enable { .. }
            | UserRequest::Remove { .. }
            | UserRequest::AddAddress { .. }
            | UserRequest::RemoveAddress { .. }
            | UserRequest::AddGroup { .. }
            | UserRequest::RemoveGroup { .. }
            | UserRequest::AddDelegate { .. }
            | UserRequest::RemoveDelegate { .. } => of(Role::Administer, Own::No),
        },
        Request::ApiTokens(asked) => match asked {
            TokenRequest::List | TokenRequest::Create(_) | TokenRequest::Revoke { .. } => {
                of(Role::Administer, Own::No)
            }
        },
        Request::Factors(asked) => match asked {
            FactorRequest::List => of(Role::Administer, Own::No),
            FactorRequest::Begin { .. } | FactorRequest::Confirm { .. } | FactorRequest::Remove { .. } => {
                of(Role::Administer, Own::Login)
            }
        },
    }
}

fn own_mail(request: Request, login: String) -> Request {
    let Request::Queue(Operation::List { filter, after, limit }) = request else {
        return request;
    };
    Request::Queue(Operation::List {
        filter: Which {
            login: Some(login),
            // Otherwise, the ids would be looked up and the filter ignored.
            ids: Vec::new(),
            ..filter
        },
        after,
        limit,
    })
}

fn own_sessions(request: Request, login: String) -> Request {
    let own = |which: WhichSessions| WhichSessions {
        login: Some(login),
        ..which
    };
    match request {
        Request::Sessions(which) => Request::Sessions(own(which)),
        Request::EndSessions(which) => Request::EndSessions(own(which)),
        other => other,
    }
}

fn own_events(request: Request, login: String) -> Request {
    match request {
        Request::Follow(follow) => Request::Follow(Follow {
            login: Some(login),
            ..follow
        }),
        other => other,
    }
}

fn own_stories(request: Request, login: String) -> Request {
    match request {
        Request::Trace(trace) => Request::Trace(TraceRequest {
            login: Some(login),
            ..trace
        }),
        other => other,
    }
}

/// The name of a request, as in scopes and on the command line.
pub(crate) const fn name(request: &Request) -> &'static str {
    match request {
        Request::Queue(operation) => match operation {
            Operation::List { .. } => "queue list",
            Operation::Show { .. } => "queue show",
            Operation::Content { .. } => "queue content",
            Operation::Hold(_) => "queue hold",
            Operation::Release(_) => "queue release",
            Operation::Retry(_) => "queue retry",
            Operation::Remove(_) => "queue remove",
            Operation::Recover { .. } => "queue recover",
            Operation::Flush { .. } => "queue flush",
        },
        Request::Destinations => "destinations",
        Request::Status => "status",
        Request::Statistics { .. } => "stats",
        Request::Reload => "reload",
        Request::Configuration => "config",
        Request::Logins => "auth logins",
        Request::Sessions(_) => "sessions list",
        Request::EndSessions(_) => "sessions end",
        Request::Session { .. } => "sessions show",
        Request::Follow(_) => "trace follow",
        Request::History => "history",
        Request::Accounts => "account list",
        Request::Webhooks => "webhook",
        Request::Account { .. } => "account show",
        Request::HoldAccount(_) => "account hold",
        Request::ReleaseAccount(_) => "account release",
        Request::Budgets => "budgets",
        Request::RecheckLogins => "sessions recheck",
        Request::Providers => "auth providers",
        Request::Lockouts => "auth lockouts",
        Request::Unlock { .. } => "auth unlock",
        Request::Directories { .. } => "directories",
        Request::Users(asked) => asked.name(),
        Request::Trace(_) => "trace",
        Request::Acts(_) => "history acts",
        Request::Certificates => "cert",
        Request::Dkim => "dkim",
        Request::ApiTokens(_) => "api token",
        Request::Factors(_) => "api factor",
        Request::Link => "api link",
    }
}

#[cfg(test)]
mod tests;
