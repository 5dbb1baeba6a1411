//! The table of routes: the request of each, and its description.

use postern_http::axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::answer::Trouble;
use super::input::Input;
use crate::admin::requests::{
    ActsRequest, FactorRequest, Hidden, NewToken, TokenRequest, TraceRequest, UserRequest,
};
use crate::control::protocol::{Operation, Request, Which, WhichSessions};
use crate::control::wishes::AccountWish;

/// A method.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verb {
    Get,
    Post,
    Put,
    Delete,
}

/// The answer of one path to one method.
pub(super) struct Route {
    pub(super) method: Verb,
    /// Below `/api/v1`.
    pub(super) path: &'static str,
    /// The section of the description.
    pub(super) about: &'static str,
    pub(super) summary: &'static str,
    /// Parameters of the query: name and meaning.
    pub(super) query: &'static [(&'static str, &'static str)],
    /// The schema of the body, by its name in the description.
    pub(super) body: Option<&'static str>,
    /// The schema of the answer; if it is not named, what `docs/json.md` says about the command.
    pub(super) answer: Option<&'static str>,
    /// The command that prints the same with `--json`.
    pub(super) command: &'static str,
    pub(super) status: StatusCode,
    pub(super) ask: fn(&Input<'_>) -> Result<Request, Trouble>,
}

/// A route that only reads.
const fn look(
    path: &'static str,
    about: &'static str,
    summary: &'static str,
    command: &'static str,
    ask: fn(&Input<'_>) -> Result<Request, Trouble>,
) -> Route {
    Route {
        method: Verb::Get,
        path,
        about,
        summary,
        query: &[],
        body: None,
        answer: None,
        command,
        status: StatusCode::OK,
        ask,
    }
}

impl Route {
    const fn asked(mut self, query: &'static [(&'static str, &'static str)]) -> Self {
        self.query = query;
        self
    }

    const fn gives(mut self, answer: &'static str) -> Self {
        self.answer = Some(answer);
        self
    }

    const fn takes(mut self, body: &'static str) -> Self {
        self.body = Some(body);
        self
    }

    const fn by(mut self, method: Verb) -> Self {
        self.method = method;
        self
    }

    /// It creates something.
    const fn makes(mut self) -> Self {
        self.method = Verb::Post;
        self.status = StatusCode::CREATED;
        self
    }
}

/// Which messages: those with these ids, or those that match all other conditions. `all` must be set for all
/// messages.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Messages {
    /// Queue ids.
    ids: Vec<String>,
    /// A recipient's domain.
    domain: Option<String>,
    /// The envelope sender.
    sender: Option<String>,
    /// The login that submitted them.
    login: Option<String>,
    /// Only held ones.
    held: bool,
    /// Only those of test accounts, which are never delivered.
    sandboxed: bool,
    /// Every message; only without other conditions.
    all: bool,
}

impl Messages {
    fn which(self) -> Result<Which, Trouble> {
        let narrowed = !self.ids.is_empty()
            || self.domain.is_some()
            || self.sender.is_some()
            || self.login.is_some()
            || self.held
            || self.sandboxed;
        if !narrowed && !self.all {
            return Err(Trouble::bad(
                "say which messages: ids, domain, sender, login, held, sandboxed, or \"all\": true",
            ));
        }
        Ok(Which {
            ids: self.ids,
            domain: self.domain,
            sender: self.sender,
            login: self.login,
            held: self.held,
            sandboxed: self.sandboxed,
        })
    }
}

/// The domain whose mail is tried now; by default all.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Flush {
    domain: Option<String>,
}

/// Which sessions.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct SessionsWanted {
    login: Option<String>,
    /// `ADDRESS/BITS`.
    network: Option<String>,
    listener: Option<String>,
    /// Every session; only without other conditions.
    all: bool,
}

/// Whose lockouts are lifted.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Unlock {
    login: Option<String>,
    /// An address of the network.
    #[schema(value_type = Option<String>)]
    network: Option<std::net::IpAddr>,
    /// Every lockout; only without other conditions.
    all: bool,
}

/// How an account is released.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Release {
    /// Remove its held mail instead of delivering it.
    remove: bool,
}

/// A new user.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewUser {
    login: String,
    /// By default one is generated, and shown in the answer.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    password: Option<Hidden>,
    #[serde(default)]
    addresses: Vec<String>,
    #[serde(default)]
    groups: Vec<String>,
}

/// A replacement password.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct NewPassword {
    /// By default one is generated, and shown in the answer.
    #[schema(value_type = Option<String>)]
    password: Option<Hidden>,
}

/// A new app password.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewAppPassword {
    /// What it is for; this is its name.
    label: String,
    #[serde(default)]
    expires_at: Option<jiff::Timestamp>,
    /// The networks that it may be used from; by default all.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    networks: Vec<ipnet::IpNet>,
}

/// A code of a second factor.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Code {
    code: Option<String>,
}

const PAGE: u32 = 100;

const TRACE: &[(&str, &str)] = &[
    (
        "what",
        "a word as `postern trace` takes it; may be given several times, and all have to fit",
    ),
    ("login", "a login"),
    ("client", "an address or network of the client"),
    ("address", "a sender, recipient, or the alias that was written to"),
    ("outcome", "delivered, deferred, bounced, and so on"),
    ("rule", "the name of a rule"),
    ("since", "from when on, as in 2027-01-31T00:00:00Z"),
    ("until", "until when"),
    ("limit", "most stories, 100 if nothing is said, at most 1,000"),
    ("sessions", "true: sessions, too, in which nothing was refused"),
];

const TIMES: &[(&str, &str)] = &[
    ("since", "from when on, as in 2027-01-31T00:00:00Z"),
    ("until", "until when"),
    ("limit", "most acts, 100 if nothing is said, at most 1,000"),
];

const WHICH: &[(&str, &str)] = &[
    (
        "after",
        "only those after this queue id: the last one of the page before",
    ),
    (
        "limit",
        "messages in a page, 100 if nothing is said, at most 1,000",
    ),
    ("domain", "a recipient's domain"),
    ("sender", "the envelope sender"),
    ("login", "who has logged in to send them"),
    ("held", "true: only those that are held"),
    (
        "sandboxed",
        "true: only those of test accounts, which are never delivered",
    ),
];

const SESSIONS: &[(&str, &str)] = &[
    ("login", "who has logged in"),
    ("network", "an address, or a network as ADDRESS/BITS"),
    ("listener", "a listener's name"),
];

/// All of them.
pub(super) static ROUTES: &[Route] = &[
    look(
        "/queue",
        "queue",
        "Messages in the queue, page by page.",
        "queue list",
        list,
    )
    .asked(WHICH)
    .gives("Listing"),
    look(
        "/queue/{id}",
        "queue",
        "One message, with its recipients.",
        "queue show",
        |input| Ok(Request::Queue(Operation::Show { id: input.part("id") })),
    )
    .gives("MessageView"),
    look(
        "/queue/{id}",
        "queue",
        "Removes one message for good.",
        "queue remove",
        |input| Ok(Request::Queue(Operation::Remove(one(input)))),
    )
    .by(Verb::Delete)
    .gives("QueueChanged"),
    look(
        "/queue/hold",
        "queue",
        "Keeps messages from delivery.",
        "queue hold",
        |input| Ok(Request::Queue(Operation::Hold(which(input)?))),
    )
    .by(Verb::Post)
    .takes("Messages")
    .gives("QueueChanged"),
    look(
        "/queue/release",
        "queue",
        "Lets held messages go.",
        "queue release",
        |input| Ok(Request::Queue(Operation::Release(which(input)?))),
    )
    .by(Verb::Post)
    .takes("Messages")
    .gives("QueueChanged"),
    look(
        "/queue/retry",
        "queue",
        "Tries messages again now.",
        "queue retry",
        |input| Ok(Request::Queue(Operation::Retry(which(input)?))),
    )
    .by(Verb::Post)
    .takes("Messages")
    .gives("QueueChanged"),
    look(
        "/queue/remove",
        "queue",
        "Removes messages for good.",
        "queue remove",
        |input| Ok(Request::Queue(Operation::Remove(which(input)?))),
    )
    .by(Verb::Post)
    .takes("Messages")
    .gives("QueueChanged"),
    look(
        "/queue/flush",
        "queue",
        "Tries all mail for a domain now, or all mail.",
        "queue flush",
        |input| {
            let Flush { domain } = input.body()?;
            Ok(Request::Queue(Operation::Flush { domain }))
        },
    )
    .by(Verb::Post)
    .takes("Flush")
    .gives("QueueChanged"),
    look(
        "/queue/aside",
        "queue",
        "Messages in what was put aside as damaged.",
        "queue recover",
        |_| Ok(Request::Queue(Operation::Recover { import: false })),
    ),
    look(
        "/queue/recover",
        "queue",
        "Takes those into the queue.",
        "queue recover --import",
        |_| Ok(Request::Queue(Operation::Recover { import: true })),
    )
    .by(Verb::Post),
    look(
        "/destinations",
        "queue",
        "The next hops that delivery knows of.",
        "queue list --destinations",
        |_| Ok(Request::Destinations),
    ),
    look(
        "/status",
        "server",
        "Whether all is well, and what is not.",
        "status",
        |_| Ok(Request::Status),
    ),
    look(
        "/statistics",
        "server",
        "How much mail there was, by day.",
        "stats",
        statistics,
    )
    .asked(&[
        (
            "from",
            "the first day, as in 2027-01-31; today if nothing is said",
        ),
        ("to", "the last day"),
    ]),
    look(
        "/configuration",
        "server",
        "The configuration in force.",
        "config",
        |_| Ok(Request::Configuration),
    ),
    look(
        "/reload",
        "server",
        "Reads configuration and certificates again.",
        "reload",
        |_| Ok(Request::Reload),
    )
    .by(Verb::Post),
    look(
        "/certificates",
        "server",
        "The certificates in force.",
        "cert show",
        |_| Ok(Request::Certificates),
    )
    .gives("CertificateLine"),
    look(
        "/dkim",
        "server",
        "The keys of signatures, with their records.",
        "dkim records",
        |_| Ok(Request::Dkim),
    ),
    look(
        "/sessions",
        "sessions",
        "The open sessions.",
        "sessions list",
        |input| {
            Ok(Request::Sessions(WhichSessions {
                login: input.text("login"),
                network: input.text("network"),
                listener: input.text("listener"),
            }))
        },
    )
    .asked(SESSIONS)
    .gives("SessionLine"),
    look(
        "/sessions/{id}",
        "sessions",
        "A recent session, as far as it is remembered.",
        "explain --session",
        |input| {
            Ok(Request::Session {
                session: input.part("id"),
            })
        },
    ),
    look(
        "/sessions/end",
        "sessions",
        "Ends sessions.",
        "sessions end",
        |input| {
            let wanted: SessionsWanted = input.body()?;
            let which = WhichSessions {
                login: wanted.login,
                network: wanted.network,
                listener: wanted.listener,
            };
            let narrowed = which.login.is_some() || which.network.is_some() || which.listener.is_some();
            match narrowed || wanted.all {
                true => Ok(Request::EndSessions(which)),
                false => Err(Trouble::bad(
                    "say which sessions: login, network, listener, or \"all\": true",
                )),
            }
        },
    )
    .by(Verb::Post)
    .takes("SessionsWanted")
    .gives("Changed"),
    look(
        "/sessions/recheck",
        "sessions",
        "Ends sessions whose login is no longer valid.",
        "reload",
        |_| Ok(Request::RecheckLogins),
    )
    .by(Verb::Post)
    .gives("Changed"),
    look(
        "/logins",
        "logins",
        "Who has logged in by which mechanism.",
        "auth mechanisms",
        |_| Ok(Request::Logins),
    ),
    look(
        "/lockouts",
        "logins",
        "Who is locked out, or slowed.",
        "auth lockouts",
        |_| Ok(Request::Lockouts),
    )
    .gives("LockoutLine"),
    look(
        "/lockouts/lift",
        "logins",
        "Lets somebody in again.",
        "auth unlock",
        |input| {
            let Unlock { login, network, all } = input.body()?;
            match login.is_some() || network.is_some() || all {
                true => Ok(Request::Unlock { login, network }),
                false => Err(Trouble::bad(
                    "say whose lockouts: login, network, or \"all\": true",
                )),
            }
        },
    )
    .by(Verb::Post)
    .takes("Unlock")
    .gives("Changed"),
    look(
        "/directories",
        "logins",
        "The directories, and whether they answer.",
        "directories",
        |input| {
            Ok(Request::Directories {
                check: input.flag("check")?,
            })
        },
    )
    .asked(&[("check", "true: all are asked now")])
    .gives("DirectoryLine"),
    look(
        "/providers",
        "logins",
        "The providers of tokens, and how they do.",
        "auth providers",
        |_| Ok(Request::Providers),
    )
    .gives("ProviderLine"),
    look(
        "/accounts",
        "accounts",
        "The accounts on hold.",
        "account list",
        |_| Ok(Request::Accounts),
    ),
    look(
        "/accounts/{account}",
        "accounts",
        "What an account has sent.",
        "account show",
        |input| {
            Ok(Request::Account {
                account: input.part("account"),
            })
        },
    ),
    look(
        "/accounts/{account}/hold",
        "accounts",
        "Puts an account on hold.",
        "account hold",
        |input| Ok(Request::HoldAccount(wish(input, false))),
    )
    .by(Verb::Post)
    .gives("Changed"),
    look(
        "/accounts/{account}/release",
        "accounts",
        "Lets an account go.",
        "account release",
        |input| {
            let Release { remove } = input.body()?;
            Ok(Request::ReleaseAccount(wish(input, remove)))
        },
    )
    .by(Verb::Post)
    .takes("Release"),
    look(
        "/budgets",
        "accounts",
        "The budgets in force, with their use.",
        "budgets show",
        |_| Ok(Request::Budgets),
    ),
    look("/webhooks", "server", "The state of webhooks.", "webhook", |_| {
        Ok(Request::Webhooks)
    }),
    look("/users", "users", "Postern's own users.", "user list", |_| {
        users(UserRequest::List)
    }),
    look("/users", "users", "Makes a user.", "user add", |input| {
        let new: NewUser = input.body()?;
        users(UserRequest::Add {
            login: new.login,
            password: new.password,
            addresses: new.addresses,
            groups: new.groups,
        })
    })
    .makes()
    .takes("NewUser"),
    look("/users/{login}", "users", "One user.", "user show", |input| {
        users(UserRequest::Show {
            login: input.part("login"),
        })
    }),
    look(
        "/users/{login}",
        "users",
        "Removes a user.",
        "user remove",
        |input| {
            users(UserRequest::Remove {
                login: input.part("login"),
            })
        },
    )
    .by(Verb::Delete)
    .gives("Changed"),
    look(
        "/users/{login}/password",
        "users",
        "Sets another password.",
        "user passwd",
        |input| {
            let NewPassword { password } = input.body()?;
            users(UserRequest::Passwd {
                login: input.part("login"),
                password,
            })
        },
    )
    .by(Verb::Put)
    .takes("NewPassword"),
    look(
        "/users/{login}/disable",
        "users",
        "Keeps a user from logging in.",
        "user disable",
        |input| {
            users(UserRequest::Disable {
                login: input.part("login"),
            })
        },
    )
    .by(Verb::Post)
    .gives("Changed"),
    look(
        "/users/{login}/enable",
        "users",
        "Lets a user log in again.",
        "user enable",
        |input| {
            users(UserRequest::Enable {
                login: input.part("login"),
            })
        },
    )
    .by(Verb::Post)
    .gives("Changed"),
    look(
        "/users/{login}/addresses/{address}",
        "users",
        "Adds a further address.",
        "user address add",
        |input| {
            let (login, address) = (input.part("login"), input.part("address"));
            users(UserRequest::AddAddress { login, address })
        },
    )
    .by(Verb::Put)
    .gives("Changed"),
    look(
        "/users/{login}/addresses/{address}",
        "users",
        "Takes an address away.",
        "user address remove",
        |input| {
            let (login, address) = (input.part("login"), input.part("address"));
            users(UserRequest::RemoveAddress { login, address })
        },
    )
    .by(Verb::Delete)
    .gives("Changed"),
    look(
        "/users/{login}/groups/{group}",
        "users",
        "Puts a user into a group.",
        "user group add",
        |input| {
            let (login, group) = (input.part("login"), input.part("group"));
            users(UserRequest::AddGroup { login, group })
        },
    )
    .by(Verb::Put)
    .gives("Changed"),
    look(
        "/users/{login}/groups/{group}",
        "users",
        "Takes a user out of a group.",
        "user group remove",
        |input| {
            let (login, group) = (input.part("login"), input.part("group"));
            users(UserRequest::RemoveGroup { login, group })
        },
    )
    .by(Verb::Delete)
    .gives("Changed"),
    look(
        "/users/{login}/delegates/{delegate}",
        "users",
        "Lets another send in a user's name.",
        "user delegate add",
        |input| {
            let (login, delegate) = (input.part("login"), input.part("delegate"));
            users(UserRequest::AddDelegate { login, delegate })
        },
    )
    .by(Verb::Put)
    .gives("Changed"),
    look(
        "/users/{login}/delegates/{delegate}",
        "users",
        "Ends that.",
        "user delegate remove",
        |input| {
            let (login, delegate) = (input.part("login"), input.part("delegate"));
            users(UserRequest::RemoveDelegate { login, delegate })
        },
    )
    .by(Verb::Delete)
    .gives("Changed"),
    look(
        "/users/{login}/app-passwords",
        "users",
        "A user's app passwords.",
        "user app-password list",
        |input| {
            users(UserRequest::AppPasswords {
                login: input.part("login"),
            })
        },
    ),
    look(
        "/users/{login}/app-passwords",
        "users",
        "Makes an app password, which is shown once.",
        "user app-password add",
        |input| {
            let new: NewAppPassword = input.body()?;
            users(UserRequest::AddAppPassword {
                login: input.part("login"),
                label: new.label,
                expires_at: new.expires_at,
                networks: new.networks,
            })
        },
    )
    .makes()
    .takes("NewAppPassword"),
    look(
        "/users/{login}/app-passwords/{label}",
        "users",
        "Revokes an app password.",
        "user app-password revoke",
        |input| {
            let (login, label) = (input.part("login"), input.part("label"));
            users(UserRequest::RevokeAppPassword { login, label })
        },
    )
    .by(Verb::Delete)
    .gives("Changed"),
    look(
        "/trace",
        "history",
        "What happened to messages and in sessions.",
        "trace",
        trace,
    )
    .asked(TRACE),
    look(
        "/acts",
        "history",
        "What administrators did.",
        "history acts",
        |input| {
            Ok(Request::Acts(ActsRequest {
                since: input.parsed("since", "a time")?,
                until: input.parsed("until", "a time")?,
                limit: input.parsed("limit", "a number")?,
            }))
        },
    )
    .asked(TIMES),
    look(
        "/history",
        "history",
        "Writes what has happened so far, and says what was counted.",
        "history status",
        |_| Ok(Request::History),
    ),
    look(
        "/tokens",
        "administration",
        "The tokens of the API, without their secrets.",
        "api token list",
        |_| Ok(Request::ApiTokens(TokenRequest::List)),
    )
    .gives("Token"),
    look(
        "/tokens",
        "administration",
        "Makes a token, which is shown once.",
        "api token create",
        |input| {
            let wanted: NewToken = input.body()?;
            Ok(Request::ApiTokens(TokenRequest::Create(wanted)))
        },
    )
    .makes()
    .takes("NewToken"),
    look(
        "/tokens/{name}",
        "administration",
        "Revokes a token.",
        "api token revoke",
        |input| {
            Ok(Request::ApiTokens(TokenRequest::Revoke {
                name: input.part("name"),
            }))
        },
    )
    .by(Verb::Delete)
    .gives("Changed"),
    look(
        "/factors",
        "administration",
        "Whose logins have a second factor.",
        "api factor list",
        |_| Ok(Request::Factors(FactorRequest::List)),
    )
    .gives("FactorLine"),
    look(
        "/factors/{login}",
        "administration",
        "Removes a second factor.",
        "api factor remove",
        |input| {
            let Code { code } = input.body()?;
            let login = input.part("login");
            Ok(Request::Factors(FactorRequest::Remove { login, code }))
        },
    )
    .by(Verb::Delete)
    .takes("Code")
    .gives("Changed"),
    look(
        "/link",
        "administration",
        "Makes a link that opens the page once.",
        "api link",
        |_| Ok(Request::Link),
    )
    .makes(),
];

fn one(input: &Input<'_>) -> Which {
    Which {
        ids: vec![input.part("id")],
        ..Which::default()
    }
}

fn which(input: &Input<'_>) -> Result<Which, Trouble> {
    input.body::<Messages>()?.which()
}

fn wish(input: &Input<'_>, remove: bool) -> AccountWish {
    AccountWish {
        account: input.part("account"),
        reason: None,
        remove,
    }
}

fn users(asked: UserRequest) -> Result<Request, Trouble> {
    Ok(Request::Users(asked))
}

fn list(input: &Input<'_>) -> Result<Request, Trouble> {
    Ok(Request::Queue(Operation::List {
        filter: Which {
            ids: Vec::new(),
            domain: input.text("domain"),
            sender: input.text("sender"),
            login: input.text("login"),
            held: input.flag("held")?,
            sandboxed: input.flag("sandboxed")?,
        },
        after: input.text("after"),
        limit: input.parsed("limit", "a number")?.unwrap_or(PAGE),
    }))
}

fn statistics(input: &Input<'_>) -> Result<Request, Trouble> {
    let today = jiff::tz::TimeZone::UTC.to_datetime(jiff::Timestamp::now()).date();
    let what = "a day such as 2027-01-31";
    let from = input.parsed("from", what)?.unwrap_or(today);
    Ok(Request::Statistics {
        from,
        to: input.parsed("to", what)?.unwrap_or(today),
    })
}

fn trace(input: &Input<'_>) -> Result<Request, Trouble> {
    Ok(Request::Trace(TraceRequest {
        what: input.all("what"),
        login: input.text("login"),
        client: network(input)?,
        address: input.text("address"),
        outcome: input.text("outcome"),
        rule: input.text("rule"),
        since: input.parsed("since", "a time")?,
        until: input.parsed("until", "a time")?,
        limit: input.parsed("limit", "a number")?,
        sessions: input.flag("sessions")?,
    }))
}

/// A network, or an address.
fn network(input: &Input<'_>) -> Result<Option<ipnet::IpNet>, Trouble> {
    let text = input.text("client").map(|text| match text.contains('/') {
        true => text,
        false if text.contains(':') => format!("{text}/128"),
        false => format!("{text}/32"),
    });
    let read = text.map(|text| {
        let wrong = || {
            Trouble::bad(format!(
                "`client` is {text:?}, and has to be an address or a network"
            ))
        };
        text.parse().map_err(|_| wrong())
    });
    read.transpose()
}
