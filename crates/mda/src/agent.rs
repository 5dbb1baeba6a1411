//! Delivery agents and programs: run as the user, in a clean environment, never longer than allowed.

mod exit;
mod words;

use std::io::{self, BufWriter, Read, Write};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

pub use self::exit::judge;
pub use self::words::{PIPE_PLACEHOLDERS, PLACEHOLDERS, environment, expand, expand_pipe};
use crate::content::Content;
use crate::rights::Account;
use crate::trouble::{Kind, Trouble, clean};
use crate::wire::{PipeRequest, Request};

/// Most octets of a program's output that are kept for the log.
const OUTPUT_MAX: usize = 500;

/// How long a program may take to end after it was told to.
const GOODBYE: Duration = Duration::from_secs(2);

/// The longest time between two checks whether it has ended.
const LOOK_MAX: Duration = Duration::from_millis(100);

/// For whom a program runs, and how long.
#[derive(Debug)]
pub struct Run<'a> {
    /// The user; the process is that already.
    pub account: &'a Account,
    /// The request.
    pub request: &'a Request,
    /// The `From ` line of the message.
    pub from_line: &'a str,
    /// The message.
    pub content: &'a Content,
    /// The longest time for all programs of one delivery.
    pub timeout: Duration,
    /// When that is over.
    pub until: Instant,
}

impl Run<'_> {
    /// Runs the configured agent, without a shell.
    ///
    /// # Errors
    ///
    /// It refuses the message, or fails.
    pub fn agent(&self, words: &[String], hostname: &str) -> Result<(), Trouble> {
        let words = expand(words, self.request, self.account, hostname);
        let Some((program, arguments)) = words.split_first() else {
            return Err(Trouble::new(Kind::Helper, "no agent is named"));
        };
        let mut command = Command::new(program);
        command.args(arguments);
        self.run(command, program)
    }

    /// Runs a program that takes all mail of a route, without a shell.
    ///
    /// # Errors
    ///
    /// It refuses the message, or fails.
    pub fn pipe(
        &self,
        words: &[String],
        hostname: &str,
        asked: &PipeRequest,
        size: u64,
    ) -> Result<(), Trouble> {
        let words = expand_pipe(words, (self.request, asked, size), self.account, hostname);
        let Some((program, arguments)) = words.split_first() else {
            return Err(Trouble::new(Kind::Helper, "no program is named"));
        };
        let mut command = Command::new(program);
        command.args(arguments);
        self.run(command, program)
    }

    /// Runs a command of the user's `.forward`, with the shell.
    ///
    /// # Errors
    ///
    /// It refuses the message, or fails.
    pub fn program(&self, text: &str) -> Result<(), Trouble> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", text]);
        self.run(command, text)
    }

    fn run(&self, mut command: Command, name: &str) -> Result<(), Trouble> {
        command
            .env_clear()
            .envs(environment(self.request, self.account))
            .current_dir(if self.account.home.is_dir() {
                &self.account.home
            } else {
                Path::new("/")
            })
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // So that processes it starts end with it.
            .process_group(0);
        let mut child = command
            .spawn()
            .map_err(|error| Trouble::new(Kind::Agent, format_args!("cannot start {name}: {error}")))?;
        let (ended, output) = self.watch(&mut child);
        let said = clean(&String::from_utf8_lossy(&output));
        match ended {
            Ok(Some(status)) => judge(name, status, &said),
            Ok(None) => Err(Trouble::new(
                Kind::Agent,
                format_args!(
                    "{name} was ended: the programs of one delivery took longer than {} s",
                    self.timeout.as_secs()
                ),
            )),
            Err(error) => Err(Trouble::new(
                Kind::Agent,
                format_args!("cannot wait for {name}: {error}"),
            )),
        }
    }

    /// Feeds a program, and reads its output. The user's limit may allow no more threads.
    fn attend(&self, child: &mut Child, told: &mpsc::Sender<Vec<u8>>) -> io::Result<()> {
        if let Some(input) = child.stdin.take() {
            let (from_line, content) = (self.from_line.to_owned(), self.content.clone());
            // A program that does not read its input may know enough; its exit status is what counts.
            thread::Builder::new().spawn(move || feed(&from_line, &content, input))?;
        }
        if let Some(output) = child.stdout.take() {
            let told = told.clone();
            thread::Builder::new().spawn(move || listen(output, &told))?;
        }
        if let Some(output) = child.stderr.take() {
            let told = told.clone();
            thread::Builder::new().spawn(move || listen(output, &told))?;
        }
        Ok(())
    }

    /// Feeds a program and waits for its end; returns its status, or `None` if it had to be killed, and the beginning of its
    /// output.
    fn watch(&self, child: &mut Child) -> (io::Result<Option<ExitStatus>>, Vec<u8>) {
        // These threads are not joined: processes left running by a program may hold its input and output open.
        let (told, heard) = mpsc::channel();
        let ended = self.attend(child, &told).and_then(|()| wait(child, self.until));
        drop(told);
        if !matches!(ended, Ok(Some(_))) {
            end(child);
        }
        let mut output = Vec::new();
        while output.len() < OUTPUT_MAX
            && let Ok(piece) = heard.recv_timeout(LOOK_MAX)
        {
            output.extend_from_slice(&piece);
        }
        output.truncate(OUTPUT_MAX);
        (ended, output)
    }
}

fn feed(from_line: &str, content: &Content, input: impl Write) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(64 << 10, input);
    out.write_all(from_line.as_bytes())?;
    io::copy(&mut content.reader(), &mut out)?;
    out.flush()
}

/// Reads all output, and passes on the beginning.
fn listen(mut output: impl Read, told: &mpsc::Sender<Vec<u8>>) {
    let mut buffer = [0; 4 << 10];
    let mut kept = 0;
    while let Ok(count @ 1..) = output.read(&mut buffer) {
        if kept < OUTPUT_MAX {
            kept += count;
            let _ = told.send(buffer[..count].to_vec());
        }
    }
}

/// Waits until then for a program to end.
fn wait(child: &mut Child, until: Instant) -> io::Result<Option<ExitStatus>> {
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= until {
            return Ok(None);
        }
        thread::sleep(pause);
        pause = (2 * pause).min(LOOK_MAX);
    }
}

/// Ends a program with everything that it has started, first with SIGTERM.
fn end(child: &mut Child) {
    let Ok(group) = i32::try_from(child.id()).map(Pid::from_raw) else {
        return;
    };
    let _ = killpg(group, Signal::SIGTERM);
    let _ = wait(child, Instant::now() + GOODBYE);
    let _ = killpg(group, Signal::SIGKILL);
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use nix::unistd::{getegid, geteuid};

    use super::*;

    fn run(command: &str, timeout: u64) -> Result<(), Trouble> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"Subject: x\n\nhello\n").unwrap();
        let account = Account {
            name: "ann".into(),
            uid: geteuid(),
            gid: getegid(),
            home: "/".into(),
            shell: "/bin/sh".into(),
        };
        Run {
            account: &account,
            request: &crate::wire::testing::request(),
            from_line: "From x\n",
            content: &Content::new(file, 0),
            timeout: Duration::from_secs(timeout),
            until: Instant::now() + Duration::from_secs(timeout),
        }
        .program(command)
    }

    #[test]
    fn programs_and_what_becomes_of_them() {
        #[rustfmt::skip]
        let cases = [
            ("takes it",            "grep -q '^hello$'",                 None,                  ""),
            ("reads nothing",       "exit 0",                            None,                  ""),
            ("the sender's line",   "head -n1 | grep -qx 'From x'",      None,                  ""),
            ("no such user",        "exit 67",                           Some(Kind::NoUser),    "67"),
            ("refuses",             "echo no room for you; exit 77",     Some(Kind::Refused),   "no room for you"),
            ("later",               "exit 75",                           Some(Kind::Agent),     "75"),
            ("broken",              "exit 3",                            Some(Kind::Agent),     "3"),
            ("no such program",     "/nonexistent/agent",                Some(Kind::Agent),     "127"),
            ("killed",              "kill -9 $$",                        Some(Kind::Agent),     "signal 9"),
            ("prints a lot",        "yes | head -c 3000000; exit 75",    Some(Kind::Agent),     "y y y"),
            ("leaves one behind",   "sleep 600 & exit 0",                None,                  ""),
            ("the environment",     "test \"$USER $SENDER $EXTENSION $RECIPIENT\" = 'ann x@y.test shop ann+shop@example.org'", None, ""),
            ("nothing else in it",  "test -z \"$CARGO_MANIFEST_DIR\"",   None,                  ""),
        ];
        for (shows, command, kind, words) in cases {
            let ended = run(command, 60);
            assert_eq!(
                ended.as_ref().err().map(|trouble| trouble.kind),
                kind,
                "{shows}: {ended:?}"
            );
            let text = ended.err().map(|trouble| trouble.text).unwrap_or_default();
            assert!(text.contains(words) && text.len() < 1_000, "{shows}: {text}");
        }
    }

    #[test]
    fn one_that_hangs_is_ended_with_all_that_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        let command = format!(
            "trap '' TERM; sleep 600 & echo $! > {}; wait; wait",
            pid.display()
        );
        let trouble = run(&command, 1).unwrap_err();
        assert_eq!(trouble.kind, Kind::Agent);
        assert!(trouble.text.contains("longer than 1 s"), "{trouble}");
        let child: i32 = std::fs::read_to_string(pid).unwrap().trim().parse().unwrap();
        let is_gone = || {
            let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
            stat.is_empty() || stat.contains(") Z")
        };
        while !is_gone() {
            thread::sleep(Duration::from_millis(20));
        }
    }
}
