//! `postern pam-helper`: asks PAM for the unprivileged relay.
//!
//! It listens on the sockets of `[[directory]]` of kind `pam`, answers only the relay's user, and runs each login in a
//! separate process: one that hangs is killed, one that crashes affects nothing else.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::Uid;
use postern_directory::pam::wire::{REPLY_MAX, REQUEST_MAX, Reply, Request};
use postern_directory::{DenyReason, PamSettings};
use postern_native::pam::{Check, LIBRARY, Pam, Verdict};
use postern_net::listen;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::process::Command;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::helper::{Program, RUNNING, bind, client};
use crate::args::{HelperArgs, PamWorkerArgs};
use crate::exit::{Exit, Failure};
use crate::{locate, rights};

/// Longest wait for a request, after a connection.
const REQUEST_TIME: Duration = Duration::from_secs(5);

/// Most concurrent connections, waiting ones included.
const CONNECTIONS_MAX: usize = 256;

/// Listens until it is killed.
pub(crate) fn serve(args: &HelperArgs) -> Result<(), Failure> {
    let written = super::written(&locate::existing(&args.config)?)?;
    let directories = written.pam_directories();
    if directories.is_empty() {
        let text =
            "the configuration has no [[directory]] of `kind = \"pam\"`: there is nothing to help with";
        return Err(Failure::new(Exit::Config, text.to_owned()));
    }
    Pam::load(LIBRARY)
        .map_err(|error| Failure::from_error(Exit::Unavailable, "PAM cannot be asked", &error))?;
    for folder in directories.iter().filter_map(|one| one.service_folder.as_deref()) {
        // Modules named there run with the helper's rights.
        rights::believe(folder)?;
    }
    let client = client(args.user.as_deref().or_else(|| written.user()))?;
    let program = Program::running("postern-pam")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::from_error(Exit::System, "cannot start", &error))?;
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    // One permit each is held for the next connection.
    let quiet = CONNECTIONS_MAX.saturating_sub(directories.len());
    runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for settings in directories {
            let listener = bind(&settings.socket, client)?;
            println_listening(&settings.socket);
            tasks.spawn(accept(
                listener,
                Arc::new(settings),
                client,
                Arc::clone(&connections),
            ));
        }
        let all = async { while tasks.join_next().await.is_some() {} };
        tokio::select! {
            () = all => {}
            () = program.replaced(&connections, quiet) => {}
        }
        Ok(())
    })?;
    drop(runtime);
    program.start_anew()
}

fn println_listening(socket: &Path) {
    eprintln!(
        "postern: PAM is asked for logins that come to {}",
        socket.display()
    );
}

async fn accept(
    listener: UnixListener,
    settings: Arc<PamSettings>,
    client: Uid,
    connections: Arc<Semaphore>,
) {
    let workers = Arc::new(Semaphore::new(settings.workers));
    let work = |(stream, _): (UnixStream, _)| {
        let (settings, workers) = (Arc::clone(&settings), Arc::clone(&workers));
        async move {
            let may_ask = stream
                .peer_cred()
                .is_ok_and(|peer| peer.uid() == client.as_raw() || peer.uid() == 0);
            if may_ask {
                answer(stream, &settings, &workers).await;
            }
        }
    };
    let told = |error: std::io::Error| {
        eprintln!("cannot accept connections for now: {error}");
    };
    // It ends with its process.
    let shutdown = CancellationToken::new();
    listen::serve(|| listener.accept(), &connections, &shutdown, told, work).await;
}

async fn answer(mut stream: UnixStream, settings: &PamSettings, workers: &Semaphore) {
    let mut request = Zeroizing::new(Vec::with_capacity(
        usize::try_from(REQUEST_MAX).unwrap_or_default(),
    ));
    let mut limited = (&mut stream).take(REQUEST_MAX);
    let reading = limited.read_to_end(&mut request);
    let Ok(Ok(_)) = tokio::time::timeout(REQUEST_TIME, reading).await else {
        return;
    };
    let Ok(_worker) = workers.acquire().await else {
        return;
    };
    let reply = match tokio::time::timeout(settings.timeout, work(settings, &request)).await {
        Ok(Ok(reply)) => reply,
        Ok(Err(error)) => Reply::Unavailable(format!("the process that asks PAM: {error}")),
        Err(_) => Reply::Unavailable(format!("PAM took longer than {} s", settings.timeout.as_secs())),
    };
    let _ = stream.write_all(&reply.encode()).await;
    let _ = stream.shutdown().await;
}

/// Asks PAM in a separate process, which is killed when nobody waits for it any more.
async fn work(settings: &PamSettings, request: &[u8]) -> std::io::Result<Reply> {
    let mut command = Command::new(RUNNING);
    command
        .arg0("postern")
        .args(["pam-worker", "--service", &settings.service]);
    if let Some(folder) = &settings.service_folder {
        command.arg("--service-folder").arg(folder);
    }
    let mut child = command
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(request).await?;
    }
    let mut reply = Vec::new();
    if let Some(output) = child.stdout.take() {
        output.take(REPLY_MAX + 1).read_to_end(&mut reply).await?;
    }
    let status = child.wait().await?;
    Reply::decode(&reply)
        .filter(|_| status.success())
        .ok_or_else(|| std::io::Error::other(format!("it ended with {status}")))
}

/// One login: the request on standard input, the reply on standard output.
pub(crate) fn work_once(args: &PamWorkerArgs) -> Result<(), Failure> {
    let failed =
        |error: std::io::Error| Failure::from_error(Exit::InputOutput, "the helper's worker", &error);
    let mut octets = Zeroizing::new(Vec::with_capacity(
        usize::try_from(REQUEST_MAX).unwrap_or_default(),
    ));
    std::io::stdin()
        .take(REQUEST_MAX)
        .read_to_end(&mut octets)
        .map_err(failed)?;
    let reply = match Request::decode(&octets) {
        Some(request) => ask(args, &request),
        None => Reply::Unavailable("a request that cannot be understood".into()),
    };
    std::io::stdout().write_all(&reply.encode()).map_err(failed)
}

fn ask(args: &PamWorkerArgs, request: &Request) -> Reply {
    let pam = match Pam::load(LIBRARY) {
        Ok(pam) => pam,
        Err(error) => return Reply::Unavailable(error.to_string()),
    };
    let verdict = pam.check(&Check {
        service: &args.service,
        folder: args.service_folder.as_deref(),
        login: &request.login,
        password: &request.password,
        peer: request.peer.as_deref(),
    });
    match verdict {
        Verdict::Granted(login) => Reply::Granted(login),
        Verdict::UnknownUser => Reply::Denied(DenyReason::UnknownUser),
        Verdict::WrongPassword => Reply::Denied(DenyReason::WrongPassword),
        Verdict::Locked => Reply::Denied(DenyReason::Locked),
        Verdict::AccountExpired => Reply::Denied(DenyReason::AccountExpired),
        Verdict::PasswordExpired => Reply::Denied(DenyReason::PasswordExpired),
        Verdict::NotNow => Reply::Denied(DenyReason::NotNow),
        Verdict::Unavailable(reason) => Reply::Unavailable(reason),
    }
}
