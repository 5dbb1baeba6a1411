//! `postern pam-helper`: asks PAM for the relay, which has no rights of its own.
//!
//! It listens on the sockets of `[[directory]]` of kind `pam`, answers the relay's user alone, and runs each login in a
//! process of its own: one that hangs is killed, one that crashes takes nothing with it.

use std::ffi::CString;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::{Uid, User, geteuid};
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

use crate::args::{PamHelperArgs, PamWorkerArgs};
use crate::exit::{Exit, Failure};
use crate::locate;
use crate::rights::{self, Rights, Steps};

/// Longest wait for a request, once somebody has connected.
const REQUEST_TIME: Duration = Duration::from_secs(5);

/// Connections that are held at once, waiting ones included.
const CONNECTIONS_MAX: usize = 256;

/// The program that runs, even when another one stands in its place by now, or none.
const RUNNING: &str = "/proc/self/exe";

/// How often it is looked whether another program stands in its place.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Longest wait for a quiet moment to go over to it.
const QUIET_MAX: Duration = Duration::from_secs(30);

/// Listens until it is killed.
pub(crate) fn serve(args: &PamHelperArgs) -> Result<(), Failure> {
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
        // Modules that are named there work with the rights of the helper.
        rights::believe(folder)?;
    }
    let client = client(args.user.as_deref().or_else(|| written.user()))?;
    let program = Program::running()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::from_error(Exit::System, "cannot start", &error))?;
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    // One each is held for the next connection.
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

/// The program that runs, and the place it was started from.
///
/// An upgrade puts another program there. The helper goes over to that one: what the new server asks it may not understand, and the
/// old one may be what the upgrade mends.
struct Program {
    path: PathBuf,
    file: (u64, u64),
}

impl Program {
    fn running() -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::io("cannot find the program that runs", &error);
        Ok(Self {
            path: fs::read_link(RUNNING).map_err(failed)?,
            file: Self::file(Path::new(RUNNING)).map_err(failed)?,
        })
    }

    fn file(path: &Path) -> std::io::Result<(u64, u64)> {
        fs::metadata(path).map(|found| (found.dev(), found.ino()))
    }

    /// One that was only removed is no reason to stop: it goes on from memory.
    fn is_replaced(&self) -> bool {
        Self::file(&self.path).is_ok_and(|file| file != self.file)
    }

    /// Waits until another program is there and no login is being checked, since `quiet` places are free, or for long enough.
    async fn replaced(&self, connections: &Semaphore, quiet: usize) {
        while !self.is_replaced() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let idle = async {
            while connections.available_permits() < quiet {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        // Without a quiet moment, those whose check is cut off are told to try again.
        let _ = tokio::time::timeout(QUIET_MAX, idle).await;
    }

    /// Becomes the program that is there now, with the same arguments.
    fn start_anew(&self) -> Result<(), Failure> {
        eprintln!(
            "postern: {} was replaced; going over to the new one",
            self.path.display()
        );
        let failed = |error: &dyn std::error::Error| {
            let text = format!(
                "{} was replaced, and cannot be started: {error}",
                self.path.display()
            );
            Failure::new(Exit::TryAgain, format!("{text}\nsystemctl restart postern-pam"))
        };
        let path = CString::new(self.path.as_os_str().as_bytes()).map_err(|error| failed(&error))?;
        let arguments = std::env::args_os().map(|argument| CString::new(argument.into_vec()));
        let arguments: Vec<CString> = arguments
            .collect::<Result<_, _>>()
            .map_err(|error| failed(&error))?;
        match nix::unistd::execv(&path, &arguments) {
            Ok(never) => match never {},
            Err(error) => Err(failed(&error)),
        }
    }
}

fn println_listening(socket: &Path) {
    eprintln!(
        "postern: PAM is asked for logins that come to {}",
        socket.display()
    );
}

/// Whose questions are answered: the user that the relay becomes.
fn client(user: Option<&str>) -> Result<Uid, Failure> {
    if !geteuid().is_root() {
        return Ok(geteuid());
    }
    let Some(name) = user else {
        eprintln!(
            "postern: warning: the configuration has no `user`, so root alone may ask: name the user that the server \
             runs as with --user"
        );
        return Ok(geteuid());
    };
    match User::from_name(name) {
        Ok(Some(user)) => Ok(user.uid),
        _ => Err(Failure::new(
            Exit::Config,
            format!(
                "there is no user {name}: `user` in the configuration, or --user, names who the server runs as"
            ),
        )),
    }
}

/// Makes the socket, for the client alone. One that is left over goes.
fn bind(socket: &Path, client: Uid) -> Result<UnixListener, Failure> {
    let failed = |error: std::io::Error| {
        Failure::from_error(
            Exit::CannotCreate,
            &format!("cannot listen on {}", socket.display()),
            &error,
        )
    };
    if let Some(folder) = socket.parent().filter(|folder| !folder.exists()) {
        fs::DirBuilder::new().mode(0o755).create(folder).map_err(failed)?;
    }
    if geteuid().is_root() {
        let folder = socket.parent().filter(|folder| !folder.as_os_str().is_empty());
        check_folder(folder.unwrap_or_else(|| Path::new(".")))?;
    }
    if std::os::unix::net::UnixStream::connect(socket).is_ok() {
        let text = format!("another helper listens on {}", socket.display());
        return Err(Failure::new(Exit::TryAgain, text));
    }
    let is_socket = fs::symlink_metadata(socket)
        .is_ok_and(|metadata| std::os::unix::fs::FileTypeExt::is_socket(&metadata.file_type()));
    if is_socket {
        fs::remove_file(socket).map_err(failed)?;
    }
    let listener = UnixListener::bind(socket).map_err(failed)?;
    let rights = Rights {
        owner: geteuid().is_root().then_some(client.as_raw()),
        group: None,
        mode: 0o600,
    };
    rights::give(socket, rights).map_err(failed)?;
    Ok(listener)
}

/// Root puts its socket where nobody else can put another in its place.
fn check_folder(folder: &Path) -> Result<(), Failure> {
    let shown = folder.display();
    let steps = Steps::walk(folder).map_err(|error| {
        Failure::from_error(
            Exit::CannotCreate,
            &format!("cannot look at the folder {shown}"),
            &error,
        )
    })?;
    // In a folder such as /tmp, others could be there first.
    let is_shared = fs::metadata(folder).is_ok_and(|found| found.mode() & 0o022 != 0);
    match steps.stranger(&[Uid::from_raw(0)]) {
        None if !is_shared => Ok(()),
        _ => Err(Failure::new(
            Exit::NoPermission,
            format!(
                "others than root can write to the folder {shown} of the socket, and could put their own socket there: \
                 chown root {shown} && chmod go-w {shown}, or choose another `socket`"
            ),
        )),
    }
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
        eprintln!("cannot take connections for now: {error}");
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

/// Asks PAM in a process of its own, which is killed when nobody waits for it any more.
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

/// One login: the request is standard input, the reply standard output.
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, chown};

    use super::*;

    #[test]
    fn root_keeps_to_folders_of_its_own() {
        if !geteuid().is_root() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let cases = [
            ("root's", 0, 0o755, true),
            ("others may write", 0, 0o757, false),
            ("the group may write", 0, 0o775, false),
            ("everybody may, as in /tmp", 0, 0o1777, false),
            ("another's", 65_534, 0o755, false),
        ];
        for (shows, owner, mode, fit) in cases {
            chown(folder.path(), Some(owner), None).unwrap();
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
            let made = check_folder(folder.path());
            assert_eq!(made.is_ok(), fit, "{shows}");
        }
    }
}
