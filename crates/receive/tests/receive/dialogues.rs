//! Plays the dialogues of `tests/dialogues/*.txt`. A bug report becomes a test by pasting it there.
//!
//! One line each:
//!
//! | line | meaning |
//! | --- | --- |
//! | `# text` | a remark |
//! | `! key value` | a setting, before the first line of the dialogue: see [`set`] |
//! | `C: text` | the client sends the text and CRLF; `{a*300}` stands for 300 times `a` |
//! | `c: text` | the client sends the text alone, with `\r`, `\n`, `\0` and `\\` for those octets |
//! | `S: pattern` | a line of a reply; `*` stands for anything, `?` for one character, `{?*9}` for nine |
//! | `C64: text` | the client sends what `c:` would, in base64 and with CRLF |
//! | `S64: pattern` | a reply `334` with a challenge whose text, decoded, fits the pattern |
//! | `AS: MECHANISM login password` | from here on `{first}` in what the client sends is this mechanism's initial response, `{next}` its response to the last challenge; both are base64 |
//! | `TLS` | the client performs the TLS handshake |
//! | `CLOSED` | the server has closed the connection |
//!
//! Each is played three times: as it is, octet by octet, and in pieces of seven octets.

use std::fs;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use postern_policy::identity::SenderRule;
use postern_policy::privacy::Privacy;
use postern_receive::{AuthRule, BareLineEndings, ListenerTls, Plaintext};
use postern_sasl::{ClientExchange, Layers, Mechanism};
use postern_testkit::smtp::{Client, TlsOptions};

use crate::harness::{HOST, Options, Server};
use crate::mechanisms::exchange;

#[derive(Clone, Debug)]
enum Line {
    Send(Vec<u8>),
    Expect(String),
    /// A pattern for the decoded text of a challenge.
    Challenge(String),
    As {
        mechanism: Mechanism,
        login: String,
        password: String,
    },
    Tls,
    Closed,
}

/// How the client cuts what it sends.
#[derive(Clone, Copy, Debug)]
enum Cut {
    Nowhere,
    Pieces(usize),
}

#[test]
fn every_dialogue() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialogues");
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(paths.len() > 10, "the dialogues are there");
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        play_file(&name, &text);
    }
}

fn play_file(name: &str, text: &str) {
    let (options, lines) = read(name, text);
    let server = options.start();
    for cut in [Cut::Nowhere, Cut::Pieces(7), Cut::Pieces(1)] {
        // Where a message's id or size does not matter, one server serves all runs.
        play(&format!("{name}, {cut:?}"), &lines, &server, cut);
    }
}

fn read(name: &str, text: &str) -> (Options, Vec<Line>) {
    let mut options = Options::mx();
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let number = number + 1;
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = if let Some(setting) = line.strip_prefix("! ") {
            assert!(lines.is_empty(), "{name}:{number}: settings come first");
            let (key, value) = setting.split_once(' ').unwrap_or((setting, ""));
            options = set(options, key, value);
            continue;
        } else if let Some(text) = line.strip_prefix("C: ").or_else(|| (line == "C:").then_some("")) {
            Line::Send(format!("{}\r\n", expand(text)).into_bytes())
        } else if let Some(text) = line.strip_prefix("c: ") {
            Line::Send(unescape(&expand(text)))
        } else if let Some(text) = line.strip_prefix("C64: ") {
            Line::Send(format!("{}\r\n", BASE64.encode(unescape(&expand(text)))).into_bytes())
        } else if let Some(pattern) = line.strip_prefix("S: ") {
            Line::Expect(expand(pattern))
        } else if let Some(pattern) = line.strip_prefix("S64: ") {
            Line::Challenge(expand(pattern))
        } else if let Some(text) = line.strip_prefix("AS: ") {
            let words: Vec<&str> = text.splitn(3, ' ').collect();
            let [mechanism, login, password] = words[..] else {
                panic!("{name}:{number}: who is {text:?}?")
            };
            Line::As {
                mechanism: Mechanism::from_wire(mechanism).unwrap(),
                login: login.to_owned(),
                password: password.to_owned(),
            }
        } else if line == "TLS" {
            Line::Tls
        } else if line == "CLOSED" {
            Line::Closed
        } else {
            panic!("{name}:{number}: what is {line:?}?");
        };
        lines.push(line);
    }
    (options, lines)
}

fn set(mut options: Options, key: &str, value: &str) -> Options {
    let (settings, listener) = (&mut options.settings, &mut options.listener);
    match key {
        "submission" => return Options::submission(),
        "auth" => {
            listener.auth = match value {
                "off" => AuthRule::Off,
                "offer" => AuthRule::Offer,
                "require" => AuthRule::Require,
                _ => panic!("auth {value}"),
            }
        }
        "tls" if value == "implicit" => listener.tls = ListenerTls::Implicit,
        "tls" if value == "off" => listener.tls = ListenerTls::Off,
        "certificates" if value == "none" => options.tls = false,
        "plaintext" if value == "always" => settings.auth.plaintext = Plaintext::Always,
        "privacy" => settings.privacy = Privacy::parse(value.split(' ')).unwrap(),
        "senders" if value == "own" => settings.identity.senders = SenderRule::Own,
        "network" => settings.relay.networks = vec![value.parse().unwrap()],
        "idle_commands" => settings.limits.idle_commands_max = value.parse().unwrap(),
        "greeting" => settings.greeting = value.to_owned(),
        "normalise" => listener.bare_line_endings = BareLineEndings::Normalise,
        "message_size" => settings.admission.message_size = value.parse().unwrap(),
        "recipients" => settings.admission.recipients = value.parse().unwrap(),
        "mistakes_max" => settings.limits.mistakes_max = value.parse().unwrap(),
        "header_max" => settings.limits.header_max = value.parse().unwrap(),
        "text_line_max" => settings.limits.text_line_max = value.parse().unwrap(),
        "received_max" => settings.received_max = value.parse().unwrap(),
        "mechanisms" => {
            settings.auth.mechanisms = value
                .split(' ')
                .map(|name| Mechanism::from_wire(name).unwrap())
                .collect();
            settings.auth.scram_iterations = 4_096;
            settings.throttle.free_failures = 1_000;
            settings.throttle.failures_max = 1_000;
        }
        "failed_logins_free" => settings.throttle.free_failures = value.parse().unwrap(),
        _ => panic!("no setting {key} {value}"),
    }
    options
}

/// `{a*300}`: 300 times `a`.
fn expand(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('{') {
        let Some((what, end)) = rest[start..]
            .find('}')
            .map(|end| (&rest[start + 1..start + end], start + end + 1))
        else {
            break;
        };
        let Some((piece, count)) = what
            .split_once('*')
            .and_then(|(piece, count)| Some((piece, count.parse().ok()?)))
        else {
            break;
        };
        out.push_str(&rest[..start]);
        out.push_str(&piece.repeat(count));
        rest = &rest[end..];
    }
    out + rest
}

fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut octets = text.bytes();
    while let Some(octet) = octets.next() {
        out.push(match octet {
            b'\\' => match octets.next() {
                Some(b'r') => b'\r',
                Some(b'n') => b'\n',
                Some(b'0') => 0,
                Some(b'\\') => b'\\',
                other => panic!("no escape {other:?} in {text}"),
            },
            octet => octet,
        });
    }
    out
}

fn play(name: &str, lines: &[Line], server: &Server, cut: Cut) {
    let ca = server.ca();
    let tls = TlsOptions {
        name: HOST,
        ca: &ca,
        identity: None,
    };
    let implicit = server.listener.load().tls == ListenerTls::Implicit;
    let (client, greeting) = if implicit {
        Client::connect_tls(server.port, tls)
    } else {
        Client::connect(server.port)
    }
    .unwrap();
    let mut client = Some(client);
    let mut reply = Some(greeting);
    let mut acting: Option<Acting> = None;
    let mut at = 0;
    while at < lines.len() {
        let Some(talking) = &mut client else {
            panic!("{name}: no connection")
        };
        match &lines[at] {
            Line::Send(octets) => {
                let octets = match &mut acting {
                    Some(acting) => &acting.fill_in(octets),
                    None => octets,
                };
                send(talking, octets, cut)
                    .unwrap_or_else(|error| panic!("{name}: sending {octets:?}: {error}"));
                at += 1;
            }
            Line::Expect(_) => {
                let got = match reply.take() {
                    Some(greeting) => greeting,
                    None => talking
                        .reply()
                        .unwrap_or_else(|error| panic!("{name}: at {:?}: {error}", lines[at])),
                };
                at += compare(name, &lines[at..], &got);
            }
            Line::Challenge(pattern) => {
                let got = talking.reply().unwrap();
                let challenge = got.strip_prefix("334 ").and_then(|text| BASE64.decode(text).ok());
                let challenge = challenge.unwrap_or_else(|| panic!("{name}: no challenge {pattern}: {got}"));
                let text: String = challenge.iter().map(|&octet| char::from(octet)).collect();
                assert!(matches(pattern, &text), "{name}:\n want {pattern}\n  got {text}");
                if let Some(acting) = &mut acting {
                    acting.challenge = challenge;
                }
                at += 1;
            }
            Line::As {
                mechanism,
                login,
                password,
            } => {
                acting = Some(Acting::new(*mechanism, login, password, talking));
                at += 1;
            }
            Line::Tls => {
                client = client.take().map(|client| client.after_starttls(tls).unwrap());
                at += 1;
            }
            Line::Closed => {
                let got = talking.reply();
                assert!(got.is_err(), "{name}: still open, and says {got:?}");
                at += 1;
            }
        }
    }
}

/// The client side of a mechanism, for the dialogue.
struct Acting {
    exchange: ClientExchange,
    initial: Option<Vec<u8>>,
    challenge: Vec<u8>,
}

impl Acting {
    fn new(mechanism: Mechanism, login: &str, password: &str, client: &Client) -> Self {
        let mut exchange = exchange(mechanism, login, password, client, Layers::default());
        Self {
            initial: exchange.initial().map(|initial| initial.as_slice().to_vec()),
            exchange,
            challenge: Vec::new(),
        }
    }

    fn fill_in(&mut self, octets: &[u8]) -> Vec<u8> {
        let mut text: String = octets.iter().map(|&octet| char::from(octet)).collect();
        if let Some(initial) = &self.initial {
            text = text.replace("{first}", &BASE64.encode(initial));
        }
        if text.contains("{next}") {
            let response = self.exchange.step(&self.challenge).unwrap();
            text = text.replace("{next}", &BASE64.encode(response.as_slice()));
        }
        text.chars().map(|c| u8::try_from(c).unwrap()).collect()
    }
}

fn send(client: &mut Client, octets: &[u8], cut: Cut) -> std::io::Result<()> {
    match cut {
        Cut::Nowhere => client.send(octets),
        // Long texts are cut at their ends only: each piece is a packet of its own.
        Cut::Pieces(size) => {
            let fine = octets.len().min(400);
            for piece in octets[..fine].chunks(size) {
                client.send(piece)?;
                if fine < 60 {
                    std::thread::sleep(Duration::from_micros(200));
                }
            }
            client.send(&octets[fine..])
        }
    }
}

/// Compares one reply with the lines expected for it, and returns how many those are.
fn compare(name: &str, lines: &[Line], got: &str) -> usize {
    let mut count = 0;
    for got_line in got.split('\n') {
        let Some(Line::Expect(pattern)) = lines.get(count) else {
            panic!("{name}: nothing expected where the server says {got_line:?} in\n{got}");
        };
        assert!(
            matches(pattern, got_line),
            "{name}:\n want {pattern}\n  got {got_line}\nof {got}"
        );
        count += 1;
    }
    count
}

/// Whether a line fits a pattern in which `*` stands for anything and `?` for one character.
fn matches(pattern: &str, line: &str) -> bool {
    let (mut wanted, mut got) = (pattern.chars(), line.chars());
    match wanted.next() {
        None => line.is_empty(),
        Some('*') => {
            let rest = wanted.as_str();
            let mut ends = line.char_indices().map(|(at, _)| at).chain([line.len()]);
            ends.any(|at| matches(rest, &line[at..]))
        }
        Some(first) => {
            got.next().is_some_and(|c| first == '?' || c == first) && matches(wanted.as_str(), got.as_str())
        }
    }
}
