//! Hosts that take only 7 bits: what they get decodes to what was sent, as read by another program, or the sender is told why
//! not.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{Bench, Host, envelope, shown, to_ports};
use postern_mail::sevenbit::{Converter, Survey};
use postern_mail::{BodyKind, Envelope};
use postern_smtp::client::needs::EightBit;
use postern_testkit::process::{free_port, program, wait_for_port};

/// Compares pairs of messages, sent and received, as read by Python's own parser.
const JUDGE: &str = r#"
import email, glob, os, sys

sent, arrived = sys.argv[1:]

def lines(octets):
    return octets.replace(b"\r\n", b"\n")

def tree(message):
    """Each part with its type, its fields and its decoded content."""
    parts = []
    for part in message.walk():
        fields = [(name.lower(), " ".join(value.split())) for name, value in part.items()
                  if name.lower() not in ("content-transfer-encoding", "mime-version", "received")
                  and not name.lower().startswith("x-") or name == "X-Id"]
        plain = part.get_content_maintype() in ("text", "message")
        content = None if part.is_multipart() else part.get_payload(decode=True)
        if content is not None and plain:
            content = lines(content)
        parts.append((part.get_content_type(), fields, content))
    return parts

def parsed(octets):
    message = email.message_from_bytes(octets)
    return message["X-Id"], message

# What the sink writes down has lines that end in LF; it also adds what it knows of the session.
found = {}
for path in glob.glob(os.path.join(arrived, "*")):
    octets = open(path, "rb").read()
    octets.decode("ascii")
    assert max(map(len, octets.split(b"\n"))) <= 999, path
    name, message = parsed(octets)
    assert name not in found, f"{name} arrived twice"
    found[name] = message

for path in sorted(glob.glob(os.path.join(sent, "*"))):
    name, message = parsed(open(path, "rb").read())
    was, now = tree(message), tree(found.pop(name))
    assert len(was) == len(now), f"{name}: {len(was)} parts became {len(now)}"
    for number, (one, two) in enumerate(zip(was, now)):
        if not message.get("Content-Type") and number == 0:
            # Nothing was said of it, so something had to be.
            two = (two[0], [field for field in two[1] if field[0] != "content-type"], two[2])
        last = number == len(was) - 1
        if last and one[2] is not None and one[2].strip() and one[2] != two[2]:
            # The last line end is the sink's.
            assert one[2].rstrip(b"\r\n") == two[2].rstrip(b"\r\n"), f"{name}, part {number}: {one[2][-80:]!r} {two[2][-80:]!r}"
            continue
        assert one == two, f"{name}, part {number}:\n{one!r:.2000}\n{two!r:.2000}"
assert not found, found
print("ok")
"#;

/// Messages of all kinds, each with a name.
fn messages() -> Vec<(&'static str, Vec<u8>)> {
    let mixed = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"=_b 1\"\r\nContent-Transfer-Encoding: 8bit\r\n";
    let text = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n";
    let prose = "Größe, Süßigkeiten = teuer; 100 % für dich. \t\r\n.\r\n..\r\n\r\nFrom here on\r\n";
    let russian = "Съешь же ещё этих мягких французских булок, да выпей чаю.\r\n";
    let octets: Vec<u8> = (0..5_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .filter(|octet| !matches!(octet, 0 | b'\r' | b'\n'))
        .collect();
    let attachment: Vec<u8> = octets
        .chunks(300)
        .flat_map(|line| [line, b"\r\n"].concat())
        .collect();
    let part =
        |head: &str, content: &[u8]| [b"--=_b 1\r\n", head.as_bytes(), b"\r\n", content, b"\r\n"].concat();
    let whole = |parts: &[Vec<u8>]| {
        [
            b"for nobody: \xc3\xa4\r\n".to_vec(),
            parts.concat(),
            b"--=_b 1--\r\nnor this\r\n".to_vec(),
        ]
        .concat()
    };
    let message = |head: &str, body: &[u8]| [head.as_bytes(), b"\r\n", body].concat();
    let alternative = format!(
        "--inner\r\n{text}\r\n{prose}\r\n--inner\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Größe</p>\r\n--inner--\r\n"
    );
    let forwarded = message(
        "From: c@example.org\r\nSubject: inner\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=iso-8859-1\r\n",
        b"Gr\xfc\xdfe\r\n",
    );
    let big = [prose.repeat(20_000).as_bytes(), russian.repeat(5_000).as_bytes()].concat();
    let signed = "--s\r\nContent-Type: text/plain\r\n\r\nAs it is  \r\n--s\r\nContent-Type: application/pgp-signature\r\n\r\nabc\r\n--s--\r\n";
    vec![
        ("plain", message("Subject: x\r\n", b"only ASCII\r\n")),
        (
            "text",
            message(&format!("MIME-Version: 1.0\r\n{text}"), prose.as_bytes()),
        ),
        (
            "latin",
            message(
                "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=iso-8859-1\r\n",
                b"Gr\xfc\xdfe \xa4\r\n\r\n",
            ),
        ),
        ("nothing said", message("Subject: x\r\n", prose.as_bytes())),
        (
            "nothing said, no UTF-8",
            message("Subject: x\r\n", b"\xe4\xf6\xfc\r\n"),
        ),
        (
            "russian",
            message(
                &format!("MIME-Version: 1.0\r\n{text}"),
                russian.repeat(30).as_bytes(),
            ),
        ),
        (
            "octets",
            message(
                "MIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\n",
                &attachment,
            ),
        ),
        (
            "mixed",
            message(
                mixed,
                &whole(&[
                    part(text, prose.as_bytes()),
                    part(
                        "Content-Type: application/octet-stream; name=\"a b\"\r\nContent-Disposition: attachment\r\n",
                        &attachment,
                    ),
                    part(
                        "Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n",
                        b"=C3=A4=20\r\n",
                    ),
                    part(
                        "Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n",
                        b"iVBORw0KGgo=\r\n",
                    ),
                    part("Content-Type: text/plain\r\n", b""),
                ]),
            ),
        ),
        (
            "alternative",
            message(
                mixed,
                &whole(&[
                    part(
                        "Content-Type: multipart/alternative; boundary=inner\r\n",
                        alternative.as_bytes(),
                    ),
                    part(text, russian.repeat(3).as_bytes()),
                ]),
            ),
        ),
        (
            "forwarded",
            message(
                mixed,
                &whole(&[
                    part(text, prose.as_bytes()),
                    part(
                        "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n",
                        &forwarded,
                    ),
                ]),
            ),
        ),
        (
            "digest",
            message(
                &mixed.replace("multipart/mixed", "multipart/digest"),
                &whole(&[
                    part("", &forwarded),
                    part("Content-Type: message/rfc822\r\n", &forwarded),
                ]),
            ),
        ),
        (
            "signed in ASCII",
            message(
                mixed,
                &whole(&[
                    part(
                        "Content-Type: multipart/signed; boundary=s; protocol=\"application/pgp-signature\"; micalg=pgp-sha256\r\n",
                        signed.as_bytes(),
                    ),
                    part(text, prose.as_bytes()),
                ]),
            ),
        ),
        (
            "large",
            message(
                mixed,
                &whole(&[
                    part(text, &big),
                    part("Content-Type: application/x\r\n", &attachment.repeat(100)),
                ]),
            ),
        ),
    ]
}

fn eight_bit(to: &str) -> Envelope {
    Envelope {
        body: BodyKind::EightBitMime,
        ..envelope("a@example.org", &[to])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_decoded_is_what_was_sent() {
    let sink = program("/usr/sbin/smtp-sink", "postfix");
    let port = free_port();
    let folder = tempfile::tempdir().unwrap();
    let (sent, arrived) = (folder.path().join("sent"), folder.path().join("arrived"));
    fs::create_dir(&sent).unwrap();
    fs::create_dir(&arrived).unwrap();
    let mut command = Command::new(sink);
    command.args(["-8", "-u", "root", "-d"]);
    command.arg(arrived.join("m."));
    command.arg(format!("127.0.0.1:{port}")).arg("100");
    let running = postern_testkit::process::Server::start(&mut command, &folder.path().join("sink.log"));
    wait_for_port(port);
    let bench = Bench::start(to_ports(&[port]));
    for (name, content) in messages() {
        let content = [format!("X-Id: {name}\r\n").as_bytes(), &content].concat();
        fs::write(sent.join(name), &content).unwrap();
        let id = bench.put_envelope(eight_bit("b@x.test"), &content).await;
        let shown = shown(&bench.outcomes(id, 1).await);
        assert!(shown[0].starts_with("b@x.test delivered"), "{name}: {shown:?}");
    }
    bench.stop().await;
    judge(&sent, &arrived);
    drop(running);
}

fn judge(sent: &Path, arrived: &Path) {
    let output = Command::new("python3")
        .args(["-c", JUDGE])
        .arg(sent)
        .arg(arrived)
        .output()
        .unwrap();
    assert!(
        output.status.success() && output.stdout == b"ok\n",
        "{}",
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_and_sizes_are_those_of_what_is_sent() {
    for (name, content) in messages()
        .into_iter()
        .filter(|(name, _)| ["mixed", "large"].contains(name))
    {
        let trace = b"Received: from test by relay.test; Sun, 22 Nov 2026 09:30:20 +0000\r\n";
        let whole = [&trace[..], &content].concat();
        let mut survey = Survey::new();
        survey.feed(&whole);
        let plan = survey.finish().unwrap();
        let (mut converter, mut expected) = (Converter::new(&plan), Vec::new());
        converter.feed(&whole, &mut expected);
        converter.finish(&mut expected);
        let size = expected.len();
        let host = Host::start(&[&format!(
            "S 220 hi\nC EHLO\nS 250-mx.test\nS 250-CHUNKING\nS 250 SIZE 0\nC MAIL FROM:<a@example.org> SIZE={size}\nS 250 ok\n\
             C RCPT\nS 250 ok\nC BDAT {size} LAST\nCHUNK {size}\nS 250 2.6.0 done\nEOF"
        )])
        .await;
        let bench = Bench::start(to_ports(&[host.port]));
        let id = bench.put_envelope(eight_bit("b@x.test"), &content).await;
        let shown = shown(&bench.outcomes(id, 1).await);
        assert_eq!(shown, ["b@x.test delivered 2.6.0 250 2.6.0 done"], "{name}");
        assert!(host.bodies()[0] == expected, "{name}");
        bench.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn binary_content_is_encoded_for_a_host_without_binarymime() {
    let host = Host::start(&[
        "S 220 hi\nC EHLO\nS 250-mx.test\nS 250 8BITMIME\nC MAIL\nS 250 ok\nC RCPT\nS 250 ok\nC DATA\nS 354 go\nBODY\nS 250 2.6.0 done\nEOF",
    ])
    .await;
    let bench = Bench::start(to_ports(&[host.port]));
    let binary = Envelope {
        body: BodyKind::BinaryMime,
        ..envelope("", &["b@x.test"])
    };
    let content = b"MIME-Version: 1.0\r\nContent-Type: application/x\r\nContent-Transfer-Encoding: binary\r\n\r\n\0\n\xe4\r";
    let id = bench.put_envelope(binary, content).await;
    let shown = shown(&bench.outcomes(id, 1).await);
    assert_eq!(shown, ["b@x.test delivered 2.6.0 250 2.6.0 done"]);
    let body = String::from_utf8(host.bodies().remove(0)).unwrap();
    assert!(
        body.contains("\r\nContent-Transfer-Encoding: base64\r\n\r\nAArkDQ==\r\n"),
        "{body}"
    );
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_converted_bounces_with_the_reason() {
    let signed =
        "Content-Type: multipart/signed; boundary=s\r\n\r\n--s\r\n\r\nä\r\n--s\r\n\r\nx\r\n--s--\r\n";
    #[rustfmt::skip]
    let cases = [
        ("a signed part", EightBit::Convert,    signed,                           Some("a signed part has 8-bit content")),
        ("a header",      EightBit::Convert,    "Subject: ä\r\n\r\nx\r\n",        Some("a header field has octets beyond ASCII")),
        ("an encoding",   EightBit::Convert,    "Content-Transfer-Encoding: base64\r\n\r\nä\r\n", Some("a part with an encoding of its own")),
        ("as it is set",  EightBit::Bounce,     "Subject: x\r\n\r\nä\r\n",        Some("does not offer 8BITMIME")),
        ("sent anyway",   EightBit::SendAnyway, signed,                           None),
    ];
    let host = "S 220 hi\nC EHLO\nS 250 mx.test\nC MAIL\nS 250 ok\nC RCPT\nS 250 ok\nC DATA\nS 354 go\nBODY\nS 250 2.6.0 done\nEOF";
    for (shows, eight_bit, content, reason) in cases {
        let host = Host::start(&[host]).await;
        let mut settings = to_ports(&[host.port]);
        settings.eight_bit = eight_bit;
        let bench = Bench::start(settings);
        let id = bench
            .put_envelope(envelope("", &["b@x.test"]), content.as_bytes())
            .await;
        let shown = shown(&bench.outcomes(id, 1).await);
        match reason {
            Some(reason) => assert!(
                shown[0].starts_with("b@x.test bounced 5.6.3 ") && shown[0].contains(reason),
                "{shows}: {shown:?}"
            ),
            None => assert!(shown[0].contains("delivered"), "{shows}: {shown:?}"),
        }
        bench.stop().await;
    }
}
