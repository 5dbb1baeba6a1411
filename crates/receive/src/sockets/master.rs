//! Dovecot's protocol for masters: a mail process asks which user its login process authenticated, and where the mail is.

use std::time::Duration;

use postern_authwire::dovecot::{Master, master_greeting};
use postern_directory::PasswordVerdict;
use postern_events::notice;
use postern_mail::complete_login;
use postern_policy::rule::Rule;
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use super::context::{Context, Ended, Stream, WRITE_MAX};
use super::lines::Lines;

/// Longest silence on a connection. A mail process keeps its own connection for its whole life.
const IDLE_MAX: Duration = Duration::from_secs(3_600);

/// Serves a connection to its end.
pub(super) async fn serve(stream: Box<dyn Stream>, context: &Context) -> Result<(), Ended> {
    let (read, mut write) = tokio::io::split(stream);
    let mut lines = Lines::new(read);
    write
        .write_all(master_greeting(std::process::id()).as_bytes())
        .await?;
    let mut understood = false;
    loop {
        let next = tokio::time::timeout(IDLE_MAX, lines.next());
        let Ok(line) = next.await else { return Ok(()) };
        let Some(line) = line? else { return Ok(()) };
        let answer = match Master::parse(&line)? {
            Master::Version(postern_authwire::dovecot::MAJOR, _) => {
                understood = true;
                continue;
            }
            Master::Version(..) => return Err(Ended::Order("another version of the protocol")),
            Master::Other => continue,
            _ if !understood => return Err(Ended::Order("a question before the greeting")),
            Master::Request {
                id,
                client_pid,
                client_id,
                cookie,
            } => {
                let login = context
                    .shared
                    .tickets
                    .take(&cookie, client_pid, client_id, Instant::now());
                match login {
                    Some(login) => account(id, &login, context),
                    None => {
                        let name = &context.socket.load().name;
                        let observers = &context.shared.deps.observers;
                        notice!(observers, Login Warning "asked for a login that was not granted", Listener = name, Rule = Rule::SocketTicket);
                        format!("FAIL\t{id}\n")
                    }
                }
            }
            Master::User { id, user } => find(id, &user, context).await,
            Master::Refused { id, list: true } => format!("DONE\t{id}\tfail\n"),
            Master::Refused { id, list: false } => format!("FAIL\t{id}\n"),
        };
        tokio::time::timeout(WRITE_MAX, write.write_all(answer.as_bytes()))
            .await
            .map_err(|_| Ended::Silent("takes no answers"))??;
    }
}

/// The account of a granted login.
fn account(id: u32, login: &str, context: &Context) -> String {
    let socket = context.socket.load();
    match socket.accounts.as_ref().and_then(|accounts| accounts.of(login)) {
        Some(account) => account.line(id),
        None => {
            let observers = &context.shared.deps.observers;
            notice!(observers, Login Info "no home folder can be made of this login", Listener = socket.name, Login = login, Rule = Rule::SocketHome);
            format!("NOTFOUND\t{id}\n")
        }
    }
}

/// The account of a user, for a delivery agent.
async fn find(id: u32, user: &str, context: &Context) -> String {
    let directories = context.shared.deps.directories.load_full();
    let settings = context.shared.deps.settings.load_full();
    let user = complete_login(user, settings.auth.default_domain.as_deref());
    match directories.find_account(&user).await {
        PasswordVerdict::Granted(found) => account(id, &found.login, context),
        PasswordVerdict::Denied(_) => format!("NOTFOUND\t{id}\n"),
        PasswordVerdict::Unavailable { .. } => format!("FAIL\t{id}\n"),
    }
}
