//! The server side.

pub(super) mod answer;
mod status;
mod users;

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use nix::unistd::{Uid, geteuid};
use postern_directory::{DirectoryStatus, PasswordVerdict};
use postern_events::{LockoutsLifted, notice, shown};
use postern_net::listen;
use postern_oauth::verify::ProviderHealth;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, oneshot};
use tokio_util::sync::CancellationToken;

pub(crate) use self::answer::{Deps, ReloadWish};
pub(crate) use super::asking::Asking;

use self::answer::{reply, value};
use super::protocol::{
    Asked, Changed, DirectoryLine, LockoutLine, Operation, ProviderLine, Reply, Request, SOCKET,
};
use super::queue::{content, perform};
use super::writing::{IDLE_MAX, Writer, send, send_all};
use super::{accounts, acts, follow, history, people, records, sessions};
use crate::admin::requests::TokenRequest;
use crate::admin::{By, Problem};
use crate::rights;
use crate::usage::Line;

/// Most connections at once; further ones wait.
const CONNECTIONS_MAX: usize = 16;

/// Most additional connections of users at once; further ones wait.
const USERS_MAX: usize = 16;

/// Longest request. Message ids take up most of it.
const REQUEST_MAX: usize = 1 << 20;

/// The socket, removed when dropped.
pub(crate) struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl ControlSocket {
    /// Binds the socket in the state directory. Only call it while holding the spool's lock: an existing socket
    /// was then left behind by a killed server.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub(crate) fn bind(state_dir: &Path) -> io::Result<Self> {
        let path = state_dir.join(SOCKET);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let (address, _folder) = super::address(state_dir)?;
        Ok(Self {
            listener: UnixListener::from_std(rights::bind(&address)?)?,
            path,
        })
    }

    /// Answers until `shutdown`.
    pub(crate) async fn serve(self, deps: Deps, shutdown: CancellationToken) {
        let told = |error: io::Error| {
            notice!(deps.observers, Control Warning "control", Error = shown(&error));
        };
        let work = |(stream, _)| {
            let deps = deps.clone();
            async move {
                // The client may have disconnected.
                let _ = converse(stream, &deps).await;
            }
        };
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        listen::serve(|| self.listener.accept(), &places, &shutdown, told, work).await;
    }
}

/// Answers users of this machine about their mail, and `queue_users` about all, until `shutdown`.
pub(crate) async fn serve_users(
    listener: UnixListener,
    deps: Deps,
    queue_users: Arc<ArcSwap<Vec<String>>>,
    shutdown: CancellationToken,
) {
    let told = |error: io::Error| {
        notice!(deps.observers, Control Warning "control", Error = shown(&error));
    };
    let work = |(stream, _)| {
        let (deps, queue_users) = (deps.clone(), Arc::clone(&queue_users));
        async move {
            // The client may have disconnected.
            let _ = users::converse(stream, &deps, &queue_users).await;
        }
    };
    let places = Arc::new(Semaphore::new(USERS_MAX));
    listen::serve(|| listener.accept(), &places, &shutdown, told, work).await;
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Serves one client until it disconnects, is silent for too long, or sends an invalid request.
async fn converse(stream: UnixStream, deps: &Deps) -> io::Result<()> {
    let uid = Uid::from_raw(stream.peer_cred()?.uid());
    let (read, mut write) = stream.into_split();
    if !uid.is_root() && uid != geteuid() {
        notice!(deps.observers, Control Warning "refused", Uid = uid.as_raw());
        return send(
            &mut write,
            &Reply::Failed("only root and the user of the server may do this".into()),
        )
        .await;
    }
    let by = super::administrator(uid);
    let mut read = BufReader::new(read);
    loop {
        let mut line = Vec::new();
        let mut bounded = (&mut read).take(REQUEST_MAX as u64 + 1);
        let got = tokio::time::timeout(IDLE_MAX, bounded.read_until(b'\n', &mut line)).await;
        match got {
            Ok(Ok(1..)) if line.len() <= REQUEST_MAX => {}
            Ok(Ok(1..)) => return send(&mut write, &Reply::Failed("the request is too long".into())).await,
            _ => return Ok(()),
        }
        match serde_json::from_slice(&line) {
            Ok(Asked {
                request: Request::Follow(follow),
                ..
            }) => {
                let mut read = read.into_inner();
                return follow::serve(follow, &deps.followers, (&mut read, &mut write), &deps.stop).await;
            }
            Ok(Asked { request, told }) => {
                let asking = Asking {
                    by: &by,
                    way: By::Control,
                    uid: Some(uid.as_raw()),
                    trusts: true,
                    told,
                };
                answer(request, asking, deps, &mut write).await?;
            }
            Err(error) => {
                return send(
                    &mut write,
                    &Reply::Failed(format!("cannot understand the request: {error}")),
                )
                .await;
            }
        }
    }
}

async fn answer(request: Request, asking: Asking<'_>, deps: &Deps, to: &mut Writer) -> io::Result<()> {
    let reply = match request {
        Request::Queue(Operation::Content { id }) => send_content(&id, deps, to).await?,
        request => carry_out(request, asking, deps).await,
    };
    send_all(to, reply).await
}

/// Carries out a request, and records it if it is an action. Answers in pieces (content, and what is followed) are sent
/// elsewhere.
pub(crate) async fn carry_out(request: Request, asking: Asking<'_>, deps: &Deps) -> Reply {
    let by = asking.by;
    let act = acts::of(&request);
    let reply = match request {
        // The spool itself logs what was changed, and by whom.
        Request::Queue(operation) => reply(perform(&*deps.spool, &operation, by).await),
        Request::Destinations => match serde_json::to_value(deps.deliverer.destinations()) {
            Ok(value) => Reply::Done(value),
            Err(error) => Reply::Failed(error.to_string()),
        },
        Request::Status => value(&status::status(deps).await),
        Request::Statistics { from, to } => value(&deps.statistics.days(from, to)),
        Request::Reload => reload(deps).await,
        Request::Configuration => value(&**deps.shown.load()),
        Request::Directories { check } => directories(check, deps).await,
        Request::Providers => providers(deps),
        Request::Lockouts => lockouts(deps),
        Request::Unlock { login, network } => {
            let lifted = deps.receiver.unlock(network, login.as_deref());
            deps.observers.tell(LockoutsLifted {
                by,
                login: login.as_deref(),
                network: network.as_ref().map(|network| network as &dyn Display),
                lifted,
            });
            value(&Changed {
                changed: lifted as u64,
            })
        }
        Request::Sessions(which) => value_or_bad(sessions::list(which, &deps.receiver)),
        Request::EndSessions(which) => {
            value_or_bad(sessions::end(which, by, &deps.receiver, &deps.observers))
        }
        Request::Session { session } => match history::find(&deps.history, &session, deps.started_at) {
            Ok(past) => value(&past),
            Err(missing) => Reply::NotFound(missing),
        },
        Request::Follow(_) => Reply::Failed("not among other requests".to_owned()),
        Request::Users(asked) => people::answer(asked, by, deps).await,
        Request::Trace(asked) => records::trace(asked, deps).await,
        Request::Acts(asked) => records::acts(asked, deps).await,
        Request::Certificates => value(&records::certificates(deps)),
        Request::Dkim => records::dkim(deps).await,
        Request::ApiTokens(asked) => tokens(asked, by, deps).await,
        Request::Factors(asked) => of_problem(deps.admin.factors(asked, asking.trusts).await),
        Request::Link => records::link(by, deps),
        Request::History => history::flush(deps.archive.clone()).await,
        Request::Webhooks => value(&deps.webhooks.status()),
        Request::Accounts => {
            let listed = accounts::list(&deps.budgets, &*deps.spool).await;
            value_or(listed.map_err(|error| error.to_string()))
        }
        Request::Account { account } => match accounts::show(&deps.budgets, &account, &*deps.spool).await {
            Ok(Some(info)) => value(&info),
            Ok(None) => Reply::NotFound(accounts::nothing_known(&account)),
            Err(error) => Reply::Failed(error.to_string()),
        },
        Request::HoldAccount(wish) => {
            let directories = deps.directories.load_full();
            let known = (&*deps.budgets, &*directories);
            let done = accounts::hold(&wish, by, known, &*deps.spool, &deps.observers).await;
            value_or(done.map_err(|error| error.to_string()))
        }
        Request::ReleaseAccount(wish) => {
            match accounts::release(&wish, by, &deps.budgets, &*deps.spool, &deps.observers).await {
                Ok(Some(released)) => value(&released),
                Ok(None) => Reply::NotFound(format!(
                    "{} is not on hold; `postern account list` shows who is",
                    wish.account
                )),
                Err(error) => Reply::Failed(error.to_string()),
            }
        }
        Request::Budgets => value(&accounts::budgets(&deps.budgets)),
        Request::RecheckLogins => value(&sessions::recheck(by, &deps.receiver, &deps.observers).await),
        Request::Logins => {
            let counts = deps.receiver.usage().into_iter().map(Line::from);
            value(&counts.collect::<Vec<_>>())
        }
    };
    let acts = deps.acts.load().as_ref().clone();
    acts::record_answer(act, &reply, asking, acts, &deps.observers).await;
    reply
}

/// Handles requests about API tokens. The login of a token is stored as the directories spell it.
async fn tokens(mut asked: TokenRequest, by: &str, deps: &Deps) -> Reply {
    if let TokenRequest::Create(wanted) = &mut asked
        && let Some(login) = &mut wanted.login
    {
        let directories = deps.directories.load_full();
        match directories.find_account(login).await {
            PasswordVerdict::Granted(account) => *login = account.login,
            PasswordVerdict::Denied(reason) => {
                return Reply::Bad(format!("{login:?} is no login: {reason}"));
            }
            // A directory that cannot look up a login without its password.
            PasswordVerdict::Unavailable { .. } => {}
        }
    }
    of_problem(deps.admin.tokens(asked, by).await)
}

fn of_problem(result: Result<serde_json::Value, Problem>) -> Reply {
    match result {
        Ok(value) => Reply::Done(value),
        Err(Problem::NotFound(message)) => Reply::NotFound(message),
        Err(Problem::Bad(message) | Problem::Forbidden(message)) => Reply::Bad(message),
        Err(Problem::Failed(message)) => Reply::Failed(message),
    }
}

async fn directories(check: bool, deps: &Deps) -> Reply {
    let directories = deps.directories.load_full();
    if check {
        directories.check_all().await;
    }
    let lines: Vec<DirectoryLine> = directories.status().into_iter().map(line).collect();
    match serde_json::to_value(lines) {
        Ok(value) => Reply::Done(value),
        Err(error) => Reply::Failed(error.to_string()),
    }
}

fn lockouts(deps: &Deps) -> Reply {
    let now = Timestamp::now();
    let lines: Vec<LockoutLine> = deps
        .receiver
        .lockouts()
        .into_iter()
        .map(|(network, lockout)| LockoutLine {
            network: network.map(|network| network.to_string()),
            login: lockout.login,
            failures: lockout.failures,
            lockouts: lockout.lockouts,
            until: lockout.left.and_then(|left| now.checked_add(left).ok()),
        })
        .collect();
    value(&lines)
}

/// A value, or what is wrong with the request.
fn value_or_bad(result: Result<impl serde::Serialize, String>) -> Reply {
    match result {
        Ok(result) => value(&result),
        Err(message) => Reply::Bad(message),
    }
}

fn value_or(result: Result<impl serde::Serialize, String>) -> Reply {
    match result {
        Ok(result) => value(&result),
        Err(message) => Reply::Failed(message),
    }
}

fn providers(deps: &Deps) -> Reply {
    let lines: Vec<ProviderLine> = deps
        .tokens
        .load()
        .health()
        .into_iter()
        .map(provider_line)
        .collect();
    match serde_json::to_value(lines) {
        Ok(value) => Reply::Done(value),
        Err(error) => Reply::Failed(error.to_string()),
    }
}

fn provider_line(health: ProviderHealth) -> ProviderLine {
    ProviderLine {
        issuer: health.issuer,
        check: health.check.to_owned(),
        problem: health.problem,
        keys: health.keys,
        age: health.age.map(|age| age.as_secs()),
    }
}

fn line(status: DirectoryStatus) -> DirectoryLine {
    let (failed_at, last_error) = status.last_error.unzip();
    DirectoryLine {
        directory: status.name,
        state: status.state.as_str().to_owned(),
        since: status.since,
        asked_at: status.asked_at,
        failed_at,
        last_error,
    }
}

async fn send_content(id: &str, deps: &Deps, to: &mut Writer) -> io::Result<Reply> {
    let mut body = match content(&*deps.spool, id).await {
        Ok(body) => body,
        Err(error) => return Ok(reply(Err(error))),
    };
    loop {
        match body.piece().await {
            Ok(Some(octets)) => send(to, &Reply::Piece(STANDARD.encode(&octets))).await?,
            Ok(None) => return Ok(Reply::Done(serde_json::Value::Null)),
            Err(error) => return Ok(Reply::Failed(error.to_string())),
        }
    }
}

async fn reload(deps: &Deps) -> Reply {
    let (wish, result) = oneshot::channel();
    if deps.reload.send(wish).await.is_err() {
        return Reply::Failed("the server is stopping".into());
    }
    match result.await {
        Ok(Ok(value)) => Reply::Done(value),
        Ok(Err(message)) => Reply::Failed(message),
        Err(_) => Reply::Failed("the server is stopping".into()),
    }
}
