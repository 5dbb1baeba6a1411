//! `postern mailbox-helper`: delivers to the users of this machine for the unprivileged server.
//!
//! It listens on the socket of `[system_users]`, answers only the server's user, puts each message into an unnamed file, and has
//! a separate process deliver it, which becomes the user. What to do is taken from the configuration, which only root can have
//! written; the server names the user and the envelope. A process that crashes or hangs affects nothing else, and the message is
//! tried again.

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::{Uid, alarm, geteuid};
use postern_mda::content::Content;
use postern_mda::wire::{PIECE_MAX, REPLY_MAX, REQUEST_MAX};
use postern_mda::worker::{JOB_MAX, Job, work};
use postern_mda::{Kind, Reply, Request, Settings, Trouble};
use postern_net::listen;
use rustix::thread::{CapabilitySet, CapabilitySets, remove_capability_from_bounding_set, set_capabilities};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::helper::{Program, RUNNING, bind, client};
use crate::args::HelperArgs;
use crate::exit::{Exit, Failure};
use crate::locate;

/// Longest wait for the next piece of a request or message.
const PIECE_TIME: Duration = Duration::from_secs(60);

/// Most concurrent connections, waiting ones included.
const CONNECTIONS_MAX: usize = 256;

/// How much longer than its own limit a process may take to answer.
const MARGIN: Duration = Duration::from_secs(10);

/// The capabilities that the helper keeps: to change users, to give its socket to the server, and to drop capabilities in its
/// child processes.
const KEPT: CapabilitySet = CapabilitySet::SETUID
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::CHOWN)
    .union(CapabilitySet::SETPCAP);

/// What a delivery needs to know.
struct Helper {
    settings: ArcSwap<Settings>,
    size_max: u64,
    client: Uid,
    deliveries: Semaphore,
}

/// Listens until it is killed.
pub(crate) fn serve(args: &HelperArgs) -> Result<(), Failure> {
    let path = locate::existing(&args.config)?;
    let written = super::written(&path)?;
    let (settings, socket, deliveries, size_max) = written.system_users();
    let client = client(args.user.as_deref().or_else(|| written.user()))?;
    let program = Program::running("postern-mailbox")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::from_error(Exit::System, "cannot start", &error))?;
    let helper = Arc::new(Helper {
        settings: ArcSwap::from_pointee(settings),
        // The fields that final delivery adds come on top.
        size_max: size_max.saturating_add(64 << 10),
        client,
        deliveries: Semaphore::new(usize::try_from(deliveries).unwrap_or(1)),
    });
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    runtime.block_on(async {
        let listener = bind(socket, client)?;
        if geteuid().is_root() {
            keep_little()?;
        } else {
            eprintln!("postern: warning: not started by root: there is no mail for others than this user");
        }
        eprintln!(
            "postern: mail for users of this machine is taken at {}",
            socket.display()
        );
        tokio::select! {
            () = accept(listener, &helper, &connections) => {}
            () = follow(&helper, path) => {}
            // One permit is held for the next connection.
            () = program.replaced(&connections, CONNECTIONS_MAX - 1) => {}
        }
        Ok(())
    })?;
    drop(runtime);
    program.start_anew()
}

/// Gives up all other root privileges, for itself and for everything it starts. There is still only one thread.
fn keep_little() -> Result<(), Failure> {
    let failed =
        |error: rustix::io::Errno| Failure::from_error(Exit::System, "cannot give up rights", &error);
    for capability in CapabilitySet::all().difference(KEPT).iter() {
        // A capability that the kernel does not know, or that is already dropped.
        let _ = remove_capability_from_bounding_set(capability);
    }
    let sets = rustix::thread::capabilities(None).map_err(failed)?;
    let kept = sets.permitted & KEPT;
    set_capabilities(
        None,
        CapabilitySets {
            effective: kept,
            permitted: kept,
            inheritable: CapabilitySet::empty(),
        },
    )
    .map_err(failed)
}

/// Reads the configuration again on SIGHUP. One with mistakes changes nothing.
async fn follow(helper: &Helper, path: PathBuf) {
    let Ok(mut asked) = signal(SignalKind::hangup()) else {
        return std::future::pending().await;
    };
    while asked.recv().await.is_some() {
        match super::written(&path) {
            Ok(written) => {
                helper.settings.store(Arc::new(written.system_users().0));
                eprintln!("postern: the configuration was read again");
            }
            Err(failure) => eprintln!("postern: the configuration is as before: {failure}"),
        }
    }
}

async fn accept(listener: UnixListener, helper: &Arc<Helper>, connections: &Arc<Semaphore>) {
    let work = |(stream, _): (UnixStream, _)| {
        let helper = Arc::clone(helper);
        async move {
            let may_ask = stream
                .peer_cred()
                .is_ok_and(|peer| peer.uid() == helper.client.as_raw() || peer.uid() == 0);
            if may_ask {
                answer(stream, &helper).await;
            }
        }
    };
    let told = |error: std::io::Error| {
        eprintln!("cannot accept connections for now: {error}");
    };
    // It ends with its process.
    let shutdown = CancellationToken::new();
    listen::serve(|| listener.accept(), connections, &shutdown, told, work).await;
}

async fn answer(stream: UnixStream, helper: &Helper) {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::with_capacity(PIECE_MAX, read);
    let reply = match take(&mut read, helper).await {
        Taken::Whole(file) => deliver(helper, file).await,
        Taken::Refused(trouble) => Reply::Failed(trouble),
        // The server has disconnected, and will try again.
        Taken::CutOff => return,
    };
    let _ = write.write_all(&reply.encode()).await;
    let _ = write.shutdown().await;
}

/// What was received over a connection.
enum Taken {
    /// A request with its message, as the delivery process reads them.
    Whole(File),
    Refused(Trouble),
    CutOff,
}

async fn take<R: tokio::io::AsyncRead + Unpin>(read: &mut BufReader<R>, helper: &Helper) -> Taken {
    let mut line = Vec::new();
    let mut limited = (&mut *read).take(REQUEST_MAX as u64);
    if !matches!(
        timeout(PIECE_TIME, limited.read_until(b'\n', &mut line)).await,
        Ok(Ok(_))
    ) {
        return Taken::CutOff;
    }
    let Some(request) = line.strip_suffix(b"\n").and_then(Request::decode) else {
        return Taken::Refused(Trouble::new(Kind::Helper, "a request that cannot be understood"));
    };
    let settings = Settings::clone(&helper.settings.load());
    let job = Job { settings, request };
    let aside = |error: std::io::Error| {
        let kind = match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Kind::DiskFull,
            _ => Kind::Helper,
        };
        Taken::Refused(Trouble::new(
            kind,
            format_args!("the helper cannot put the message aside: {error}"),
        ))
    };
    let begun = tempfile::tempfile().and_then(|mut file| {
        file.write_all(&job.encode()?)?;
        Ok(file)
    });
    let mut file = match begun {
        Ok(file) => file,
        Err(error) => return aside(error),
    };
    let (mut size, mut piece) = (0_u64, Vec::new());
    loop {
        match timeout(PIECE_TIME, next(read, &mut piece)).await {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => return Taken::Whole(file),
            Ok(Err(_)) | Err(_) => return Taken::CutOff,
        }
        size += piece.len() as u64;
        if size > helper.size_max {
            let text = format!("the message is larger than {} octets", helper.size_max);
            return Taken::Refused(Trouble::new(Kind::Helper, text));
        }
        if let Err(error) = file.write_all(&piece) {
            return aside(error);
        }
    }
}

/// The next piece of a message; false at its end.
async fn next<R: tokio::io::AsyncRead + Unpin>(
    read: &mut BufReader<R>,
    piece: &mut Vec<u8>,
) -> std::io::Result<bool> {
    let length = usize::try_from(read.read_u32().await?).unwrap_or(usize::MAX);
    if length > PIECE_MAX {
        return Err(std::io::ErrorKind::InvalidData.into());
    }
    piece.resize(length, 0);
    read.read_exact(piece).await?;
    Ok(length > 0)
}

/// Has a separate process deliver it.
async fn deliver(helper: &Helper, file: File) -> Reply {
    let failed = |text: String| Reply::Failed(Trouble::new(Kind::Helper, text));
    let Ok(_delivery) = helper.deliveries.acquire().await else {
        return failed("the helper ends".to_owned());
    };
    let limit = helper.settings.load().longest() + MARGIN;
    let held = match file.try_clone() {
        Ok(held) => held,
        Err(error) => return failed(format!("the message cannot be kept: {error}")),
    };
    match timeout(limit, run(file)).await {
        Ok(Ok(reply)) => reply,
        Ok(Err(error)) => failed(format!("the process that delivers: {error}")),
        // It ends itself first, unless its user suspends it. Then what it holds no longer takes a permit.
        Err(_) => {
            let _ = held.set_len(0);
            failed(format!("the delivery took longer than {} s", limit.as_secs()))
        }
    }
}

async fn run(mut file: File) -> std::io::Result<Reply> {
    file.rewind()?;
    let mut child = Command::new(RUNNING)
        .arg0("postern")
        .arg("mailbox-worker")
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(file))
        .stdout(Stdio::piped())
        .spawn()?;
    let mut reply = Vec::new();
    if let Some(output) = child.stdout.take() {
        output.take(REPLY_MAX as u64 + 1).read_to_end(&mut reply).await?;
    }
    let status = child.wait().await?;
    Reply::decode(&reply).ok_or_else(|| std::io::Error::other(format!("it ended with {status}")))
}

/// One delivery: the job and its message on standard input, which is a file, the reply on standard output.
pub(crate) fn work_once() -> Result<(), Failure> {
    let failed =
        |error: std::io::Error| Failure::from_error(Exit::InputOutput, "the helper's worker", &error);
    let input = std::io::stdin().as_fd().try_clone_to_owned().map_err(failed)?;
    let (job, content) = read_job(File::from(input)).map_err(failed)?;
    // Even if it hangs in the kernel, it ends after that; the helper may not signal a process that has become a user.
    let _ = alarm::set(u32::try_from(job.settings.longest().as_secs()).unwrap_or(u32::MAX));
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    for capability in CapabilitySet::all().iter() {
        // Setuid programs gain no privileges from here.
        let _ = remove_capability_from_bounding_set(capability);
    }
    let reply = work(&job, &content);
    std::io::stdout().write_all(&reply.encode()).map_err(failed)
}

fn read_job(file: File) -> std::io::Result<(Job, Content)> {
    let bad = || std::io::Error::other("there is no job on standard input");
    let mut head = vec![0; JOB_MAX];
    let mut filled = 0;
    while filled < head.len() {
        match file.read_at(&mut head[filled..], filled as u64)? {
            0 => break,
            count => filled += count,
        }
    }
    let end = memchr::memchr(b'\n', &head[..filled]).ok_or_else(bad)?;
    let job = Job::decode(&head[..end]).ok_or_else(bad)?;
    Ok((job, Content::new(file, end as u64 + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_comes_over_a_connection() {
        let settings = Settings {
            mailbox: "~/Mailbox".into(),
            agent: Vec::new(),
            forward: false,
            forward_programs: false,
            forward_files: false,
            min_uid: 1_000,
            timeout: Duration::from_secs(1),
            lock_timeout: Duration::ZERO,
            min_free: 0,
            hostname: "mx.test".into(),
            pipes: Vec::new(),
        };
        let helper = Helper {
            settings: ArcSwap::from_pointee(settings),
            size_max: 100,
            client: geteuid(),
            deliveries: Semaphore::new(1),
        };
        let request = Request {
            user: "ann".into(),
            detail: String::new(),
            sender: String::new(),
            recipient: "ann@mx.test".into(),
            local: "ann".into(),
            domain: "mx.test".into(),
            queue: "1A".into(),
            index: 0,
            received: 0,
            forwarded_before: false,
            pipe: None,
        };
        let line = request.encode().unwrap();
        let piece = |text: &[u8]| [&u32::try_from(text.len()).unwrap().to_be_bytes(), text].concat();
        let end = piece(b"");
        let long = piece(&[b'x'; 101]);
        #[rustfmt::skip]
        let cases: [(&str, Vec<u8>, &str); 8] = [
            ("whole",             [&line[..], &piece(b"S: x\n\n"), &piece(b"y\n"), &end].concat(), "whole"),
            ("an empty one",      [&line[..], &end].concat(),                                      "whole"),
            ("without its end",   [&line[..], &piece(b"S: x\n")].concat(),                         "cut off"),
            ("within a piece",    [&line[..], &piece(b"S: x\n")[..6]].concat(),                    "cut off"),
            ("too large",         [&line[..], &long, &end].concat(),                               "larger than 100"),
            ("a huge piece",      [&line[..], &[0xff; 8][..]].concat(),                            "cut off"),
            ("no request",        b"GET / HTTP/1.1\n".to_vec(),                                    "cannot be understood"),
            ("an endless line",   vec![b'x'; 2 * REQUEST_MAX],                                     "cannot be understood"),
        ];
        for (shows, sent, want) in cases {
            let said = match take(&mut BufReader::new(&sent[..]), &helper).await {
                Taken::Whole(file) => {
                    let (job, content) = read_job(file).unwrap();
                    assert_eq!(job.request, request, "{shows}");
                    assert!(content.size().unwrap() <= 8, "{shows}");
                    "whole".to_owned()
                }
                Taken::Refused(trouble) => trouble.text,
                Taken::CutOff => "cut off".to_owned(),
            };
            assert!(said.contains(want), "{shows}: {said}");
        }
    }
}
