//! Dovecot's protocol for clients: Postfix or `imap-login` has credentials checked, many at a time on one connection.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use postern_authwire::dovecot::{self as wire, AuthRequest, Client, Cookie, Greeting};
use postern_policy::rule::Rule;
use postern_smtp::server::AuthFailure;
use tokio::io::{AsyncWriteExt, WriteHalf};
use tokio::task::JoinSet;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::context::{Context, Ended, Stream, WRITE_MAX};
use super::lines::Lines;
use super::request::{Request, Unfit, mechanisms, told};
use super::tickets::Counter;
use crate::login::{Exchange, Step};

/// Longest wait for the other server's greeting.
const GREETING_MAX: Duration = Duration::from_secs(30);

/// Longest silence on a connection. Other servers keep theirs open, and open a new one when it is gone.
const IDLE_MAX: Duration = Duration::from_secs(3_600);

/// How often exchanges whose clients have gone silent are ended.
const SWEEP: Duration = Duration::from_secs(5);

/// Longest time for one answer. Postfix waits ten seconds and then drops the connection.
const ANSWER_MAX: Duration = Duration::from_secs(9);

/// The longest wait before a check, so that the answer comes in time.
const DELAY_MAX: Duration = Duration::from_secs(5);

/// Most exchanges at a time on one connection. Further ones are told to try later.
const EXCHANGES_MAX: usize = 1_000;

/// Numbers connections, for servers that want to tell them apart.
static CONNECTIONS: AtomicU32 = AtomicU32::new(1);

/// An exchange between two lines, or working on one.
enum Under {
    /// Waiting for the other server.
    Waiting {
        exchange: Box<Exchange>,
        request: Box<Request>,
        no_login: bool,
        since: Instant,
    },
    /// Working on a line.
    Working {
        /// The serial number of the turn: the other server may cancel an exchange and reuse its id before the result of a turn
        /// arrives.
        serial: u64,
    },
}

/// The result of a line.
struct Worked {
    id: u32,
    serial: u64,
    no_login: bool,
    request: Box<Request>,
    /// `None` if it took too long.
    step: Option<Step>,
}

/// A connection whose peer has greeted.
struct Connection<'a> {
    context: &'a Context,
    write: WriteHalf<Box<dyn Stream>>,
    tickets: Counter,
    under_way: HashMap<u32, Under>,
    work: JoinSet<Worked>,
    /// Turns begun so far.
    turns: u64,
}

/// Serves a connection to its end.
pub(super) async fn serve(stream: Box<dyn Stream>, context: &Context) -> Result<(), Ended> {
    let (read, mut write) = tokio::io::split(stream);
    let mut lines = Lines::new(read);
    let cookie: Cookie = rand::random();
    greet(&mut write, context, &cookie).await?;
    let greeted = tokio::time::timeout(GREETING_MAX, be_greeted(&mut lines));
    let Some(pid) = greeted
        .await
        .map_err(|_| Ended::Silent("no greeting in time"))??
    else {
        return Ok(());
    };
    let mut connection = Connection {
        context,
        write,
        tickets: context.shared.tickets.open(cookie, pid),
        under_way: HashMap::new(),
        work: JoinSet::new(),
        turns: 0,
    };
    let mut sweep = tokio::time::interval(SWEEP);
    let mut last = Instant::now();
    loop {
        tokio::select! {
            line = lines.next() => {
                let Some(line) = line? else { return Ok(()) };
                last = Instant::now();
                connection.take(Client::parse(&line)?).await?;
            }
            Some(worked) = connection.work.join_next() => {
                // A cancelled exchange has no result.
                if let Ok(worked) = worked {
                    connection.answer(worked).await?;
                }
            }
            _ = sweep.tick() => {
                connection.end_silent_ones().await?;
                if connection.under_way.is_empty() && last.elapsed() > IDLE_MAX {
                    return Ok(());
                }
            }
        }
    }
}

async fn greet(
    write: &mut WriteHalf<Box<dyn Stream>>,
    context: &Context,
    cookie: &Cookie,
) -> Result<(), Ended> {
    let mechanisms = mechanisms(context);
    let named: Vec<_> = mechanisms
        .iter()
        .map(|mechanism| (mechanism.name(), mechanism.is_plaintext()))
        .collect();
    let text = wire::greeting(&Greeting {
        mechanisms: &named,
        pid: std::process::id(),
        connection: CONNECTIONS.fetch_add(1, Ordering::Relaxed),
        cookie,
    });
    send(write, &text).await
}

/// Reads up to the process id of the other server; `None` if it closes the connection.
async fn be_greeted<R: tokio::io::AsyncRead + Unpin>(lines: &mut Lines<R>) -> Result<Option<u32>, Ended> {
    let mut understood = false;
    while let Some(line) = lines.next().await? {
        match Client::parse(&line)? {
            Client::Version(wire::MAJOR, _) => understood = true,
            Client::Version(..) => return Err(Ended::Order("another version of the protocol")),
            Client::Pid(pid) if understood => return Ok(Some(pid)),
            Client::Other => {}
            _ => return Err(Ended::Order("a question before the greeting")),
        }
    }
    Ok(None)
}

async fn send(write: &mut WriteHalf<Box<dyn Stream>>, text: &str) -> Result<(), Ended> {
    tokio::time::timeout(WRITE_MAX, async {
        write.write_all(text.as_bytes()).await?;
        write.flush().await
    })
    .await
    .map_err(|_| Ended::Silent("takes no answers"))??;
    Ok(())
}

/// Removes the exchange whose turn has ended from the table. False if it was cancelled meanwhile, even if another one has its id
/// by now.
fn finish(under_way: &mut HashMap<u32, Under>, id: u32, ended: u64) -> bool {
    let is_it = matches!(under_way.get(&id), Some(Under::Working { serial }) if *serial == ended);
    if is_it {
        under_way.remove(&id);
    }
    is_it
}

impl Connection<'_> {
    async fn take(&mut self, line: Client) -> Result<(), Ended> {
        match line {
            Client::Auth(request) => self.begin(*request).await,
            Client::Continue { id, response } => self.go_on(id, response).await,
            Client::Cancel(id) => {
                self.tickets.forget(id);
                // A check in progress goes on, and counts: cancelling it does not undo the guess.
                self.under_way.remove(&id);
                Ok(())
            }
            Client::Version(..) | Client::Pid(_) => Err(Ended::Order("a second greeting")),
            Client::Other => Ok(()),
        }
    }

    /// Begins an exchange.
    async fn begin(&mut self, auth: AuthRequest) -> Result<(), Ended> {
        let id = auth.id;
        if self.under_way.contains_key(&id) {
            return Err(Ended::Order("the number of an exchange that is under way"));
        }
        self.tickets.forget(id);
        if self.under_way.len().max(self.work.len()) >= EXCHANGES_MAX {
            let (temporary, words) = told(AuthFailure::Unavailable);
            return self.send(&wire::failure(id, None, temporary, words)).await;
        }
        let mut request = Request::new(self.context, DELAY_MAX);
        request.serves(&auth.service);
        let address = auth.remote.map(|remote| request.remote = remote);
        if auth.secured {
            request.secured(auth.tls_version, auth.tls_bits);
        }
        if request.socket.trust_certificates && auth.valid_client_cert {
            request.certificate = auth.cert_username.filter(|name| !name.is_empty());
        }
        let begun = address
            .map_err(|_| Unfit::Address)
            .and_then(|()| request.begin(&auth.mechanism));
        let exchange = match begun {
            Ok(exchange) => Box::new(exchange),
            Err(unfit) => {
                request.note_unfit(unfit.noted(), &auth.mechanism, auth.session.as_deref(), "FAIL");
                return self
                    .send(&wire::failure(id, None, false, Some(unfit.words())))
                    .await;
            }
        };
        let input = match auth.response {
            None => None,
            Some(Some(response)) => Some(response),
            Some(None) => return self.refuse_response(id).await,
        };
        self.work_on(id, auth.no_login, exchange, Box::new(request), input);
        Ok(())
    }

    async fn go_on(&mut self, id: u32, response: Option<Zeroizing<Vec<u8>>>) -> Result<(), Ended> {
        match self.under_way.remove(&id) {
            Some(Under::Waiting {
                exchange,
                request,
                no_login,
                ..
            }) => match response {
                Some(response) => {
                    self.work_on(id, no_login, exchange, request, Some(response));
                    Ok(())
                }
                None => self.refuse_response(id).await,
            },
            Some(Under::Working { .. }) => Err(Ended::Order("a response that was not asked for")),
            // It timed out meanwhile.
            None => Ok(()),
        }
    }

    async fn refuse_response(&mut self, id: u32) -> Result<(), Ended> {
        let (temporary, words) = told(AuthFailure::Malformed);
        self.send(&wire::failure(id, None, temporary, words)).await
    }

    /// Takes a turn, concurrently with all others.
    fn work_on(
        &mut self,
        id: u32,
        no_login: bool,
        exchange: Box<Exchange>,
        request: Box<Request>,
        input: Option<Zeroizing<Vec<u8>>>,
    ) {
        self.turns += 1;
        let serial = self.turns;
        self.work.spawn(async move {
            let step = {
                let origin = request.origin();
                let turn = exchange.turn(input.as_ref().map(|octets| octets.as_slice()), &origin);
                tokio::time::timeout(ANSWER_MAX, turn).await.ok()
            };
            Worked {
                id,
                serial,
                no_login,
                request,
                step,
            }
        });
        self.under_way.insert(id, Under::Working { serial });
    }

    /// Sends the result of a turn.
    async fn answer(&mut self, worked: Worked) -> Result<(), Ended> {
        let Worked {
            id,
            serial,
            no_login,
            request,
            step,
        } = worked;
        if !finish(&mut self.under_way, id, serial) {
            if let Some(Step::Refused(refused)) = step {
                refused.note(&"given up", &request.origin());
            }
            return Ok(());
        }
        match step {
            Some(Step::Challenge(octets, exchange)) => {
                let waiting = Under::Waiting {
                    exchange,
                    request,
                    no_login,
                    since: Instant::now(),
                };
                self.under_way.insert(id, waiting);
                self.send(&wire::challenge(id, &octets)).await
            }
            Some(Step::Granted(granted)) => {
                let login = granted.outcome.login;
                // The right to send in another's name is not the right to read that mail.
                if granted.outcome.authzid.is_some() {
                    let words = "Only in one's own name";
                    let noted = (Rule::SocketAuthorization, words);
                    request.note_unfit(noted, granted.mechanism.name(), None, "FAIL");
                    return self
                        .send(&wire::failure(id, Some(&login), false, Some(words)))
                        .await;
                }
                if !no_login {
                    self.tickets.keep(id, login.clone(), Instant::now());
                }
                self.send(&wire::ok(id, &login)).await
            }
            Some(Step::Refused(refused)) => {
                let (temporary, words) = told(refused.failure);
                let line = wire::failure(id, refused.tried(), temporary, words);
                refused.note(&if temporary { "FAIL temp" } else { "FAIL" }, &request.origin());
                self.send(&line).await
            }
            None => {
                let (temporary, words) = told(AuthFailure::Unavailable);
                self.send(&wire::failure(id, None, temporary, words)).await
            }
        }
    }

    /// Ends exchanges whose clients have been silent for too long: Postfix does not report when one has gone.
    async fn end_silent_ones(&mut self) -> Result<(), Ended> {
        let limit = self.context.shared.deps.settings.load().timeouts.auth;
        let is_silent =
            |under: &Under| matches!(under, Under::Waiting { since, .. } if since.elapsed() > limit);
        let silent: Vec<u32> = self
            .under_way
            .iter()
            .filter(|(_, under)| is_silent(under))
            .map(|(id, _)| *id)
            .collect();
        for id in silent {
            self.under_way.remove(&id);
            self.send(&wire::failure(id, None, true, None)).await?;
        }
        Ok(())
    }

    async fn send(&mut self, text: &str) -> Result<(), Ended> {
        send(&mut self.write, text).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_turn_is_told_for_its_own_exchange_alone() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows                    under way    ended   told
            ("its exchange",                          Some((7, 1)), (7, 1), true),
            ("given up",                              None,         (7, 1), false),
            ("given up, and its number used again",   Some((7, 2)), (7, 1), false),
            ("another exchange",                      Some((8, 1)), (7, 1), false),
        ];
        for (shows, under, (id, ended), told) in cases {
            let working = |(id, serial)| (id, Under::Working { serial });
            let mut under_way: HashMap<u32, Under> = under.map(working).into_iter().collect();
            assert_eq!(finish(&mut under_way, id, ended), told, "{shows}");
            assert_eq!(under_way.is_empty(), told || under.is_none(), "{shows}");
        }
    }
}
