//! What it costs to receive a message: sessions in one thread, the client in another, the spool's writer in a third.
//!
//! `cargo bench -p postern-receive --bench intake [-- MESSAGES [OCTETS]]`, or for counts that do not depend on the machine's
//! load, per thread: `valgrind --tool=callgrind --separate-threads=yes target/release/deps/intake-… 2000 4096`. Run it with two
//! numbers of messages and take the difference, which leaves out start and stop.
//!
//! `-- MESSAGES OCTETS rewriting` has each header checked by 20 patterns, and its addresses masqueraded and looked up in a table of 10,000.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use postern_directory::Directories;
use postern_directory::aliases::Aliases;
use postern_directory::rewriting::{Rewriting, TableTexts};
use postern_directory::tables::Lookup;
use postern_net::listen;
use postern_net::resolver::{Resolver, ResolverSettings};
use postern_policy::DomainSet;
use postern_policy::access::names::AddressSet;
use postern_policy::header_check::{By, Check, Part};
use postern_policy::rewrite::{Class, MasqueradeList, Rule, Tables, Way, When, Whose};
use postern_receive::{ContentSettings, Deps, ListenerSettings, LoadGauge, Receiver, Role, Settings};
use postern_sasl::DecoySecret;
use postern_spool::{SpoolSettings, SqliteSpool};
use postern_table::{Format, parse};
use tokio_util::sync::CancellationToken;

const HOST: &str = "mx.example";

/// A typical header.
const HEADER: &str = "Received: from a.example ([192.0.2.7]) by b.example with ESMTPS id 4gY7XQ0k1gz9\r\n\
     \tfor <bob@relay.example>; Mon, 30 Nov 2026 10:00:00 +0000\r\n\
     DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=a.example; s=s1;\r\n\
     \tt=1796000000; h=from:to:subject:date:message-id:mime-version:content-type;\r\n\
     \tbh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\r\n\
     \tb=Zm9vYmFyYmF6Zm9vYmFyYmF6Zm9vYmFyYmF6Zm9vYmFyYmF6Zm9vYmFyYmF6Zm9vYmFy\r\n\
     \t Zm9vYmFyYmF6Zm9vYmFyYmF6Zm9vYmFyYmF6Zm9vYmFyYmF6Zm9vYmFyYmF6Zm9vYmFy==\r\n\
     Date: Mon, 30 Nov 2026 10:00:00 +0000\r\n\
     From: Alice <alice@a.example>\r\n\
     To: Bob <bob@relay.example>\r\n\
     Subject: The minutes of the meeting of last Thursday, with the figures asked for\r\n\
     Message-ID: <4gY7XQ0k1gz9@a.example>\r\n\
     MIME-Version: 1.0\r\n\
     Content-Type: text/plain; charset=utf-8\r\n\
     Content-Transfer-Encoding: 7bit\r\n\
     User-Agent: Some Mail Client 128.4\r\n\
     X-Priority: 3\r\n\
     \r\n";

fn main() {
    let numbers: Vec<usize> = std::env::args().filter_map(|word| word.parse().ok()).collect();
    let messages = numbers.first().copied().unwrap_or(2_000);
    let octets = numbers.get(1).copied().unwrap_or(4_096);
    let folder = tempfile::tempdir_in(if std::path::Path::new("/dev/shm").is_dir() {
        "/dev/shm"
    } else {
        "."
    })
    .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (socket, stop) = (CancellationToken::new(), CancellationToken::new());
    runtime.block_on(async {
        let listener = listen::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let port = listener.local_addr().unwrap().port();
        let receiver = Receiver::new(deps(&folder).await);
        let client = std::thread::spawn({
            let stop = stop.clone();
            move || {
                let began = Instant::now();
                send(port, messages, octets);
                println!(
                    "{messages} messages of {octets} octets: {:.0}/s",
                    messages as f64 / began.elapsed().as_secs_f64()
                );
                stop.cancel();
            }
        });
        let settings = Arc::new(ArcSwap::from_pointee(ListenerSettings::new("bench", Role::Mx)));
        receiver.serve(listener, settings, socket, stop).await;
        client.join().unwrap();
    });
}

async fn deps(folder: &tempfile::TempDir) -> Deps {
    let mut settings = Settings::new(HOST, HOST.parse().unwrap());
    settings.relay.relay_domains = DomainSet::new(["relay.example"]).unwrap();
    settings.room.min_free = 0;
    if std::env::args().any(|word| word == "rewriting") {
        settings.content = Some(Arc::new(content()));
    }
    let aliases = folder.path().join("aliases");
    std::fs::write(&aliases, "").unwrap();
    Deps {
        spool: Arc::new(SqliteSpool::open(SpoolSettings::new(folder.path().join("queue"))).unwrap()),
        inspectors: Arc::default(),
        observers: postern_events::Observers::nobody(),
        settings: Arc::new(ArcSwap::from_pointee(settings)),
        tls: Arc::new(ArcSwap::from_pointee(None)),
        directories: Arc::new(ArcSwap::from_pointee(
            Directories::open(Vec::new()).await.unwrap(),
        )),
        tokens: Arc::default(),
        aliases: Arc::new(ArcSwap::from_pointee(
            Aliases::load(&aliases, &|_| false).unwrap(),
        )),
        resolver: Resolver::new(&ResolverSettings {
            nameservers: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 1))],
            ..ResolverSettings::default()
        })
        .unwrap(),
        load: LoadGauge::system(),
        budgets: Arc::default(),
        decoy: DecoySecret::new([7; 32]),
    }
}

/// Rules of a site that rewrites all mail that comes in.
fn content() -> ContentSettings {
    let table =
        |text: &str, format| Lookup::of_table("bench", parse(text.as_bytes(), format).unwrap().table, None);
    let people: String = (0..10_000)
        .map(|n| format!("user{n}@a.example person.{n}@a.example\n"))
        .collect();
    let patterns: String = (0..20)
        .map(|n| format!("/^X-Odd-{n}: .*word{n}/ IGNORE\n"))
        .collect();
    let mut domains = MasqueradeList::default();
    domains.push("a.example").unwrap();
    let rule = |name: &str, way| Rule {
        name: name.into(),
        when: When::In,
        classes: [Class::EnvelopeSender, Class::HeaderSender].into_iter().collect(),
        whose: Whose::everybody(),
        listeners: Vec::new(),
        domains: None,
        exceptions: AddressSet::default(),
        way,
        signed: true,
    };
    let look_up = Tables {
        number: 0,
        sendmail: false,
        keep_detail: true,
        repeat: true,
    };
    ContentSettings {
        rewriting: Some(Arc::new(Rewriting {
            rules: vec![
                rule("people", Way::Tables(look_up)),
                rule("hosts", Way::Masquerade(domains)),
            ],
            tables: vec![vec![table(&people, Format::Postfix)]],
            origin: HOST.parse().unwrap(),
            local: DomainSet::default(),
            separator: Some('+'),
            domain_tables: Vec::new(),
        })),
        checks: Arc::new([Check {
            name: "bench".into(),
            when: When::In,
            whose: Whose::everybody(),
            listeners: Vec::new(),
            parts: [Part::Header].into_iter().collect(),
            by: By::Table(Arc::new(TableTexts(table(&patterns, Format::Regexp)))),
        }]),
        ..ContentSettings::default()
    }
}

/// Sends this many messages over one connection.
fn send(port: u16, messages: usize, octets: usize) {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut replies = BufReader::new(stream.try_clone().unwrap());
    let mut output = stream;
    let mut expect = |code: &str| {
        let mut line = String::new();
        loop {
            line.clear();
            replies.read_line(&mut line).unwrap();
            assert!(line.starts_with(code), "{line}");
            if line.as_bytes().get(3) == Some(&b' ') {
                return;
            }
        }
    };
    expect("220");
    output.write_all(b"EHLO client.example\r\n").unwrap();
    expect("250");
    let line = "All work and no play makes Jack a dull boy, as somebody once wrote.\r\n";
    let text = line.repeat(octets.saturating_sub(HEADER.len()) / line.len());
    let message = format!("{HEADER}{text}.\r\n");
    for _ in 0..messages {
        output
            .write_all(b"MAIL FROM:<alice@a.example>\r\nRCPT TO:<bob@relay.example>\r\nDATA\r\n")
            .unwrap();
        expect("250");
        expect("250");
        expect("354");
        output.write_all(message.as_bytes()).unwrap();
        expect("250");
    }
    output.write_all(b"QUIT\r\n").unwrap();
    expect("221");
}
