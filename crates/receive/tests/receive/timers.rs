//! The time limits of sessions, in virtual time: the clock of server and client is advanced between messages.
//!
//! Messages take real time, and time is paused only while the clock is advanced, so that no timer goes off before a reply has
//! arrived.

use std::time::Duration;

use postern_filter::Filter;
use postern_policy::milter::{Conditions, OnFailure};
use postern_receive::{AuthRule, MilterSettings, Plaintext, Timeouts};
use postern_testkit::milter::{ScriptedMilter, content};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::harness::{Options, Server};

const SECOND: Duration = Duration::from_secs(1);

/// A client on the server's own thread.
struct Guest(BufReader<TcpStream>);

impl Guest {
    async fn connect(server: &Server) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
        let mut guest = Self(BufReader::new(stream));
        assert!(guest.reply().await.starts_with("220 "));
        guest
    }

    /// The last line of the next reply; empty at the end of the connection.
    async fn reply(&mut self) -> String {
        loop {
            let mut line = String::new();
            let _ = self.0.read_line(&mut line).await;
            if line.as_bytes().get(3) != Some(&b'-') {
                return line.trim_end().to_owned();
            }
        }
    }

    async fn say(&mut self, line: &str) -> String {
        let text = format!("{line}\r\n");
        self.0.write_all(text.as_bytes()).await.unwrap();
        self.reply().await
    }

    async fn does(&mut self, step: Do, shows: &str) {
        match step {
            Do::Pass(time) => pass(time).await,
            Do::Say(line, code) => {
                let reply = self.say(line).await;
                assert!(reply.starts_with(code), "{shows}: {line}: {reply:?}");
            }
            Do::Gone(code) => {
                let reply = self.reply().await;
                assert!(reply.starts_with(code), "{shows}: {reply:?}");
                assert_eq!(self.reply().await, "", "{shows}");
            }
        }
    }
}

/// Lets this much time pass, for all at once.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// A step of a case, after `EHLO`.
enum Do {
    /// Lets time pass.
    Pass(Duration),
    /// Sends a line, and gets a reply with this code.
    Say(&'static str, &'static str),
    /// Is told this code without asking, and disconnected.
    Gone(&'static str),
}

#[test]
fn limits_end_sessions_and_not_before_their_time() {
    use Do::{Gone, Pass, Say};
    let timeouts = |set: fn(&mut Timeouts)| {
        let mut options = Options::mx();
        let timeouts = &mut options.settings.timeouts;
        timeouts.command = SECOND * 300;
        timeouts.idle = SECOND * 600;
        timeouts.data_block = SECOND * 180;
        timeouts.data_total = SECOND * 400;
        set(timeouts);
        options
    };
    let needs_login = || {
        let mut options = Options::submission();
        options.listener.auth = AuthRule::Require;
        options.settings.timeouts.login = SECOND * 100;
        options
    };
    let mail = || {
        vec![
            Say("MAIL FROM:<a@away.example>", "250"),
            Say("RCPT TO:<acaird@challenger.example>", "250"),
        ]
    };
    // In chunks, since each of them gets a reply: nothing is in transit while time passes.
    let slow = |end: [Do; 2]| {
        let mut steps = mail();
        steps.extend([Say("BDAT 14\r\nSubject: x\r\n", "250"), Pass(SECOND * 170)]);
        steps.extend([Say("BDAT 8\r\na line", "250"), Pass(SECOND * 170)]);
        steps.extend(end);
        steps
    };
    let mut silent = mail();
    silent.extend([Say("DATA", "354"), Pass(SECOND * 181), Gone("421")]);
    let in_time = slow([Pass(SECOND * 50), Say("BDAT 0 LAST", "250")]);
    let too_long = slow([Pass(SECOND * 61), Say("BDAT 0 LAST", "421")]);
    #[rustfmt::skip]
    let cases: Vec<(&str, Options, Vec<Do>)> = vec![
        ("silence",                             timeouts(|_| {}),                        vec![Pass(SECOND * 301), Gone("421")]),
        ("silence is counted from a command",   timeouts(|_| {}),                        vec![Pass(SECOND * 290), Say("NOOP", "250"), Pass(SECOND * 290), Say("NOOP", "250")]),
        ("talk that leads to nothing",          timeouts(|_| {}),                        vec![Pass(SECOND * 290), Say("NOOP", "250"), Pass(SECOND * 290), Say("NOOP", "250"), Pass(SECOND * 21), Gone("421")]),
        ("whoever shall log in has less",       needs_login(),                           vec![Pass(SECOND * 60), Say("NOOP", "250"), Pass(SECOND * 41), Gone("421")]),
        ("a slow message in time",              timeouts(|_| {}),                        in_time),
        ("a message without an end",            timeouts(|_| {}),                        too_long),
        ("silence in a message",                timeouts(|_| {}),                        silent),
    ];
    for (shows, options, steps) in cases {
        let server = options.start_on_one_thread();
        server.runtime().block_on(async {
            let mut guest = Guest::connect(&server).await;
            assert!(
                guest.say("EHLO client.example").await.starts_with("250"),
                "{shows}"
            );
            for (number, step) in steps.into_iter().enumerate() {
                guest.does(step, &format!("{shows}, step {number}")).await;
            }
        });
    }
}

/// A client that has guessed too often is locked out for the time in the settings, whatever the password, and no longer.
#[test]
fn a_lock_out_ends() {
    let mut options = Options::mx();
    options.listener.auth = AuthRule::Offer;
    options.settings.auth.plaintext = Plaintext::Always;
    let throttle = &mut options.settings.throttle;
    throttle.free_failures = 3;
    throttle.failures_max = 3;
    throttle.lockout_time = SECOND * 900;
    let wrong = "AUTH PLAIN AGFjYWlyZAB3cm9uZyBndWVzcw==";
    let right = "AUTH PLAIN AGFjYWlyZABwYXNzIHdvcmQ=";
    let server = options.start_on_one_thread();
    server.runtime().block_on(async {
        #[rustfmt::skip]
        let steps = [
            // what the step shows           passes before   password  answer
            ("a mistake",                    0,              wrong,    "535"),
            ("another one",                  0,              wrong,    "535"),
            ("one too many",                 0,              wrong,    "535"),
            ("locked out",                   0,              right,    "454"),
            ("still locked out",             880,            right,    "454"),
            ("open again",                   30,             right,    "235"),
        ];
        for (shows, seconds, password, answer) in steps {
            pass(SECOND * seconds).await;
            // Each on a connection of its own, so that the lock-out is tested and not the failure limit of a session.
            let mut guest = Guest::connect(&server).await;
            guest.does(Do::Say("EHLO client.example", "250"), shows).await;
            guest.does(Do::Say(password, answer), shows).await;
        }
    });
}

#[test]
fn silent_strangers_do_not_keep_the_places_at_a_filter() {
    let filter = ScriptedMilter::start(|_, letter, _| content(letter));
    let mut options = Options::mx();
    options.settings.timeouts.command = SECOND * 300;
    options.settings.milters = vec![MilterSettings {
        filter: Filter::new("scan", filter.address().parse().unwrap()),
        conditions: Conditions::default(),
        on_failure: OnFailure::Tempfail,
        strangers_max: 1,
        strangers_wait: Duration::ZERO,
    }];
    let stress = options.settings.timeouts.stress;
    let server = options.start_on_one_thread();
    server.runtime().block_on(async {
        let mut silent = Guest::connect(&server).await;
        silent.does(Do::Say("EHLO client.example", "250"), "greets").await;
        // It is already waiting, with the normal time limit, when the next one finds no place.
        let mut second = Guest::connect(&server).await;
        second.does(Do::Say("EHLO client.example", "250"), "greets").await;
        second
            .does(Do::Say("MAIL FROM:<a@a.example>", "451"), "no place")
            .await;
        pass(stress - SECOND * 2).await;
        second
            .does(Do::Say("NOOP", "250"), "who is not silent stays")
            .await;
        pass(SECOND * 3).await;
        let shows = "who is silent is sent away";
        let gone = silent.does(Do::Gone("421"), shows);
        tokio::time::timeout(SECOND * 5, gone).await.expect(shows);
        // Its place is free when the session is over, slightly after the connection closes.
        while second.say("MAIL FROM:<b@a.example>").await.starts_with("451") {}
        second.does(Do::Say("RSET", "250"), "a place").await;
        second
            .does(Do::Say("MAIL FROM:<a@a.example>", "250"), "a place")
            .await;
    });
}
