//! Fills a history through real events, then looks messages up: `fill FOLDER MESSAGES LOOKUPS`. For `benches/history.py`.
//!
//! Prints one JSON object: octets per message, time per message in the emitting and the writing thread, and for each kind of
//! look-up median, 99th percentile and maximum in milliseconds, each with files opened again.

#![expect(clippy::print_stdout, reason = "prints its result")]
#![expect(clippy::unwrap_used, reason = "a measurement that fails is none")]

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use postern_events::{
    Accepted, Connected, Disconnected, Event, Greeted, Line, LoggedIn, Outcome, RecipientTaken, SenderTaken,
    TlsStarted, Word,
};
use postern_history::{Archive, History, Query, Settings, Term};
use postern_mail::QueueId;
use postern_policy::Rule;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().unwrap());
    let messages: u64 = arguments.next().unwrap().parse().unwrap();
    let lookups: u64 = arguments.next().unwrap().parse().unwrap();
    let filled = (messages > 0).then(|| fill(&folder, messages));
    let messages = if messages > 0 {
        messages
    } else {
        arguments.next().unwrap().parse().unwrap()
    };
    let mut out = String::from("{");
    if let Some((telling, all, counts)) = filled {
        let size: u64 = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .sum();
        write!(
            out,
            "\"messages\": {messages}, \"octets_a_message\": {:.0}, \"telling_us\": {:.2}, \"all_us\": {:.2}, \"dropped\": {}, ",
            size as f64 / messages as f64,
            telling.as_secs_f64() * 1e6 / messages as f64,
            all.as_secs_f64() * 1e6 / messages as f64,
            counts.dropped + counts.dropped_failed,
        )
        .unwrap();
    }
    let kinds = [
        "queue",
        "session",
        "message_id",
        "login",
        "address",
        "original",
        "domain",
        "client",
        "network",
        "rule",
        "combined",
    ];
    let results: Vec<String> = kinds
        .iter()
        .map(|kind| look_up(&folder, messages, lookups, kind))
        .collect();
    println!("{out}\"lookups\": {{{}}}}}", results.join(", "));
}

/// A pseudo-random number, deterministic.
fn chance(number: u64, most: u64) -> u64 {
    let mut state = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (state ^ (state >> 31)) % most
}

/// The time of a message: they are spread over the last 13 days.
fn at(number: u64, messages: u64) -> i64 {
    let now = Timestamp::now().as_millisecond();
    let today = now - now.rem_euclid(86_400_000);
    today - 13 * 86_400_000 + (number as i64).wrapping_mul(13 * 86_400_000) / (messages as i64)
}

struct Mail {
    queue: QueueId,
    session: String,
    peer: IpAddr,
    login: String,
    from: String,
    to: String,
    original: String,
    domain: String,
    message_id: String,
    reply: String,
}

impl Mail {
    fn new(number: u64, messages: u64) -> Self {
        // Few users send most, few domains get most.
        let user = chance(number, 100_000) * chance(number + 1, 1000) / 1000;
        let domain = chance(number + 2, 50_000) * chance(number + 3, 1000) / 1000;
        let person = chance(number + 4, 2_000_000);
        Self {
            queue: QueueId::new(at(number, messages), (number % 8192) as u32),
            session: format!("674c5a00-{number:x}"),
            peer: Ipv4Addr::from(0x0a00_0000 + chance(number + 5, 200_000) as u32).into(),
            login: format!("user{user}@company{}.example", user % 200),
            from: format!("<user{user}@company{}.example>", user % 200),
            to: format!("<person{person}@domain{domain}.example>"),
            original: format!("<alias{person}@company{}.example>", user % 200),
            domain: format!("domain{domain}.example"),
            message_id: format!(
                "<{:016x}.{number}@company{}.example>",
                chance(number + 6, u64::MAX),
                user % 200
            ),
            reply: format!("250 2.0.0 Ok: queued as {:010X}", chance(number + 7, 1 << 40)),
        }
    }
}

fn fill(folder: &Path, messages: u64) -> (Duration, Duration, postern_history::Counts) {
    let mut telling = Duration::ZERO;
    let begun = Instant::now();
    let mut history = None;
    let mut day = i64::MIN;
    let settings = Settings {
        folder: folder.to_owned(),
        keep: Duration::from_secs(15 * 86_400),
        max_size: Some(1 << 40),
        strangers_per_second: 100,
    };
    for number in 0..messages {
        let mail = Mail::new(number, messages);
        let time = at(number, messages);
        if time.div_euclid(86_400_000) != day || history.is_none() {
            // The writer takes the day from the clock; here it is given one.
            day = time.div_euclid(86_400_000);
            if let Some(history) = history.take() {
                stop(&history);
            }
            history = Some(History::start_on(settings.clone(), day as i32).unwrap());
        }
        let Some(history) = &history else { continue };
        let told = Instant::now();
        tell(history, &mail, time);
        telling += told.elapsed();
        if number % 1000 == 999 {
            // No faster than it can write: this measures the cost, not what is dropped.
            while history.waiting() > 2 << 20 {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
    let counts = history.as_ref().map(History::counts).unwrap_or_default();
    history.iter().for_each(stop);
    (telling, begun.elapsed(), counts)
}

fn stop(history: &History) {
    history.flush(Duration::from_secs(600));
    history.stop();
}

#[rustfmt::skip]
fn tell(history: &History, mail: &Mail, at: i64) {
    let (session, listener, peer) = (mail.session.as_str(), "submission", mail.peer);
    let put = |event: Event<'_>| Line::with(&event, at, |line| history.put(&event, line));
    put(Connected { session, listener, peer }.into());
    put(Greeted { session, peer, helo: "client.example" }.into());
    put(TlsStarted { session, peer, version: "TLSv1.3", cipher: "TLS_AES_256_GCM_SHA384", bits: 256, verify: "NO", certificate: None, sni: Some("mail.example.org"), resumed: false }.into());
    put(LoggedIn { session, listener, peer: Some(peer), login: &mail.login, acts_as: None, rule: Some(Rule::RelayLogin), mechanism: "PLAIN", directory: None, layer_bits: None, tls: Some("TLSv1.3") }.into());
    put(SenderTaken { session, from: &mail.from, size: Some(20_000), sender_rule: Some(Rule::IdentityOwn), reason: None }.into());
    put(RecipientTaken { session, from: Some(&mail.from), to: &mail.original, rule: Rule::RelayLogin, reason: &"logged in" }.into());
    put(Accepted { session, queue: &mail.queue, listener, peer, login: Some(&mail.login), acts_as: None, rule: Rule::RelayLogin, reason: None, sender_rule: Some(Rule::IdentityOwn), from: &mail.from, recipients: 1, size: 20_000, message_id: Some(&mail.message_id), milter: None, took: None }.into());
    put(Disconnected { session, peer, reason: &"QUIT", seconds: 1 }.into());
    let relay = format!("mx.{}[203.0.113.9]:25", mail.domain);
    put(Outcome { queue: &mail.queue, session: Some(session), login: None, from: &mail.from, to: &mail.to, original: Some(&mail.original), relay: &relay, status: Some(&"2.0.0"), failure: None, stage: None, reply: Some(&mail.reply), reason: None, delay_ms: 120, attempts: Some(1), until: None, report: None, word: Word("delivered") }.into());
}

fn look_up(folder: &Path, messages: u64, lookups: u64, kind: &str) -> String {
    let mut times = Vec::new();
    let mut missing = 0;
    for turn in 0..lookups {
        let number = chance(turn * 7 + kind.len() as u64, messages);
        let mail = Mail::new(number, messages);
        let text = str::to_owned;
        let group = |term| vec![term];
        let login = || Term::Login(mail.login.clone());
        let groups = match kind {
            "queue" => vec![group(Term::Queue(mail.queue.to_string()))],
            "session" => vec![group(Term::Session(mail.session.clone()))],
            "message_id" => vec![group(Term::MessageId(mail.message_id.clone()))],
            "login" => vec![group(login())],
            "address" => vec![group(Term::Address(mail.to.clone()))],
            "original" => vec![group(Term::Address(mail.original.clone()))],
            "domain" => vec![group(Term::Domain(mail.domain.clone()))],
            "client" => vec![group(Term::Client(mail.peer.into()))],
            "network" => vec![group(Term::Client(format!("{}/24", mail.peer).parse().unwrap()))],
            "rule" => vec![group(Term::Rule(text("relay.login")))],
            _ => vec![
                group(login()),
                group(Term::Outcome(text("delivered"))),
                group(Term::Address(mail.to.clone())),
            ],
        };
        let query = Query {
            groups,
            limit: 20,
            ..Query::default()
        };
        let begun = Instant::now();
        let found = Archive::new(folder).find(&query).unwrap();
        times.push(begun.elapsed());
        missing += u64::from(found.stories.is_empty());
    }
    times.sort_unstable();
    let of = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
    format!(
        "\"{kind}\": {{\"median_ms\": {:.1}, \"p99_ms\": {:.1}, \"max_ms\": {:.1}, \"missing\": {missing}}}",
        of(0.5),
        of(0.99),
        of(1.0)
    )
}
