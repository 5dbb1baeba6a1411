//! Conversions, case by case and at every cut.

use proptest::prelude::*;

use super::scan::{Part, Reader, Scan};
use super::*;

fn planned(pieces: &[&[u8]]) -> Result<Plan, Obstacle> {
    let mut survey = Survey::new();
    for piece in pieces {
        survey.feed(piece);
    }
    survey.finish()
}

fn converted(plan: &Plan, pieces: &[&[u8]]) -> Vec<u8> {
    let mut converter = Converter::new(plan);
    let mut whole = Vec::new();
    for piece in pieces {
        // As a sender that writes what it has.
        let mut out = Vec::new();
        converter.feed(piece, &mut out);
        whole.extend_from_slice(&out);
    }
    converter.finish(&mut whole);
    whole
}

/// What a message becomes, the same wherever it is cut.
fn convert(message: &[u8]) -> Result<String, Obstacle> {
    let whole = planned(&[message]);
    for cut in 0..=message.len() {
        let (first, second) = message.split_at(cut);
        assert_eq!(planned(&[first, second]), whole, "cut at {cut}");
    }
    let plan = whole?;
    let out = converted(&plan, &[message]);
    for cut in 0..=message.len() {
        let (first, second) = message.split_at(cut);
        let parts = converted(&plan, &[first, second]);
        assert_eq!(
            String::from_utf8_lossy(&parts),
            String::from_utf8_lossy(&out),
            "cut at {cut}"
        );
    }
    assert_eq!(
        contents(message, false),
        contents(&out, true),
        "what is decoded is what was sent"
    );
    Ok(String::from_utf8(out).expect("7 bits"))
}

/// The contents of all parts, decoded.
fn contents(message: &[u8], strict: bool) -> Vec<Vec<u8>> {
    struct Contents {
        all: Vec<Vec<u8>>,
        encoding: String,
        fields: String,
    }
    impl Reader for Contents {
        fn field(&mut self, _: usize, text: &[u8], is_encoding: bool) {
            if is_encoding {
                self.fields.push_str(&String::from_utf8_lossy(text));
            }
        }
        fn header_end(&mut self, _: &Part, _: &[u8]) {
            let value = self
                .fields
                .split_once(':')
                .map(|(_, value)| value.trim().to_ascii_lowercase());
            (self.encoding, self.fields) = (value.unwrap_or_default(), String::new());
            self.all.push(Vec::new());
        }
        fn text(&mut self, text: &[u8]) {
            self.all.last_mut().unwrap().extend_from_slice(text);
        }
        fn line_end(&mut self, end: &[u8]) {
            self.text(end);
        }
        fn content_end(&mut self) {
            let content = self.all.last_mut().unwrap();
            *content = match self.encoding.as_str() {
                "quoted-printable" => unquoted(content),
                "base64" => unbased(content),
                _ => std::mem::take(content),
            };
        }
        fn between(&mut self, _: &[u8], _: bool) {}
    }
    let mut reader = Contents {
        all: Vec::new(),
        encoding: String::new(),
        fields: String::new(),
    };
    let mut scan = Scan::new();
    scan.feed(message, &mut reader);
    scan.finish(&mut reader);
    assert!(!strict || message.is_ascii());
    reader.all
}

fn unquoted(text: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(text.to_vec()).unwrap().replace("=\r\n", "");
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&octet, behind)) = rest.split_first() {
        rest = behind;
        if octet == b'=' {
            let digits = std::str::from_utf8(&behind[..2]).unwrap();
            out.push(u8::from_str_radix(digits, 16).unwrap());
            rest = &behind[2..];
        } else {
            out.push(octet);
        }
    }
    out
}

fn unbased(text: &[u8]) -> Vec<u8> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut out, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for octet in text {
        let Some(value) = ALPHABET.find(char::from(*octet)) else {
            continue;
        };
        (bits, count) = (bits << 6 | u32::try_from(value).unwrap(), count + 6);
        if count >= 8 {
            count -= 8;
            out.push((bits >> count & 255) as u8);
        }
    }
    out
}

#[test]
fn single_parts() {
    let cyrillic = "привет всем".repeat(8);
    let encoded = "0L/RgNC40LLQtdGCINCy0YHQtdC80L/RgNC40LLQtdGCINCy0YHQtdC80L/RgNC40LLQtdGCINCy\r\n\
                   0YHQtdC80L/RgNC40LLQtdGCINCy0YHQtdC80L/RgNC40LLQtdGCINCy0YHQtdC80L/RgNC40LLQ\r\n\
                   tdGCINCy0YHQtdC80L/RgNC40LLQtdGCINCy0YHQtdC80L/RgNC40LLQtdGCINCy0YHQtdC8DQo=\r\n";
    let russian =
        format!("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{cyrillic}\r\n");
    let in_base64 = format!(
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n{encoded}"
    );
    #[rustfmt::skip]
    let cases = [
        ("a text",
            "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\nSubject: x\r\n\r\nGrüße = 1 \r\n\r\nä",
            "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nSubject: x\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=C3=9Fe =3D 1=20\r\n\r\n=C3=A4"),
        ("nothing said of it",
            "Subject: x\r\n\r\nä\r\n",
            "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A4\r\n"),
        ("no header",
            "\r\nä\r\n",
            "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A4\r\n"),
        ("a wrong declaration",
            "MIME-Version: 1.0\r\nContent-Transfer-Encoding: 7bit\r\ncontent-TRANSFER-encoding :\r\n 8bit\r\n\r\nä\r\n",
            "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A4\r\n"),
        ("in ASCII",
            "Content-Transfer-Encoding: 7bit\r\n\r\na \r\n=\r\n",
            "Content-Transfer-Encoding: 7bit\r\n\r\na \r\n=\r\n"),
        ("in ASCII, declared as more",
            "Content-Transfer-Encoding: 8bit\r\nMIME-Version: 1.0\r\n\r\na\r\n",
            "MIME-Version: 1.0\r\nContent-Transfer-Encoding: 7bit\r\n\r\na\r\n"),
        ("octets",
            "MIME-Version: 1.0\r\nContent-Type: application/x\r\n\r\nä\r\n",
            "MIME-Version: 1.0\r\nContent-Type: application/x\r\nContent-Transfer-Encoding: base64\r\n\r\nw6QNCg==\r\n"),
        ("octets without a line end",
            "MIME-Version: 1.0\r\nContent-Type: application/x\r\n\r\nä",
            "MIME-Version: 1.0\r\nContent-Type: application/x\r\nContent-Transfer-Encoding: base64\r\n\r\nw6Q=\r\n"),
        ("hardly any ASCII", &russian, &in_base64),
        ("a header alone", "Content-Transfer-Encoding: 8bit\r\n", "Content-Transfer-Encoding: 7bit\r\n\r\n"),
        ("a message that is none", "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n--b\r\n", "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n--b\r\n"),
        ("encoded already", "Content-Transfer-Encoding: base64\r\n\r\nw6Q=\r\n", "Content-Transfer-Encoding: base64\r\n\r\nw6Q=\r\n"),
    ];
    for (shows, message, expected) in cases {
        assert_eq!(convert(message.as_bytes()).as_deref(), Ok(expected), "{shows}");
    }
    let latin = convert(b"\r\n\xe4\r\n").unwrap();
    assert!(
        latin.contains("charset=unknown-8bit") && latin.ends_with("=E4\r\n"),
        "{latin}"
    );
}

#[test]
fn lines() {
    let head = "MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n";
    let converted = |text: &str| {
        let whole = convert(format!("{head}{text}").as_bytes()).unwrap();
        whole.split_once("\r\n\r\n").unwrap().1.to_owned()
    };
    let long = format!("ä{}\r\n", "x".repeat(2_000));
    let encoded = converted(&long);
    assert!(encoded.split("\r\n").all(|line| line.len() <= 76), "{encoded}");
    assert!(
        !encoded.contains('='),
        "a line of over 998 octets is for base64: {encoded}"
    );

    let many = format!("ä {} end \r\n", "word ".repeat(190));
    let encoded = converted(&many);
    assert!(encoded.split("\r\n").all(|line| line.len() <= 76), "{encoded}");
    assert!(encoded.ends_with("end=20\r\n"), "{encoded}");

    // A line that is broken must not make a delimiter.
    let boundary = format!("ä{}--b", "x".repeat(69));
    assert!(converted(&format!("{boundary}\r\n")).ends_with("=\r\n=2D-b\r\n"));
}

const MIXED: &str = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n";

const MIXED_SEVEN: &str = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 7bit\r\n\r\n";

const CTE_QP: &str = "Content-Transfer-Encoding: quoted-printable";

#[test]
fn multiparts() {
    #[rustfmt::skip]
    let cases = [
        ("part by part",
            "--b\r\nContent-Type: text/plain\r\n\r\nä\r\n--b\r\nContent-Type: text/plain\r\n\r\nplain \r\n--b\r\nContent-Type: x/y\r\n\r\nä\r\n--b--\r\n",
            format!("--b\r\nContent-Type: text/plain\r\n{CTE_QP}\r\n\r\n=C3=A4\r\n--b\r\nContent-Type: text/plain\r\n\r\nplain \r\n--b\r\nContent-Type: x/y\r\nContent-Transfer-Encoding: base64\r\n\r\nw6Q=\r\n--b--\r\n")),
        ("what is for nobody",
            "préamble\r\n--b\r\n\r\nä\r\n--b--  \r\népilogue\r\n",
            format!("pr??amble\r\n--b\r\n{CTE_QP}\r\n\r\n=C3=A4\r\n--b--  \r\n??pilogue\r\n")),
        ("empty parts",
            "--b\r\n\r\n--b\r\n\r\n\r\n--b\r\nContent-Type: x/y\r\n--b\r\n\r\nä\r\n--b--",
            format!("--b\r\n\r\n--b\r\n\r\n\r\n--b\r\nContent-Type: x/y\r\n--b\r\n{CTE_QP}\r\n\r\n=C3=A4\r\n--b--")),
        ("no empty line before the content",
            "--b\r\nhello ä\r\n--b--\r\n",
            format!("--b\r\n{CTE_QP}\r\n\r\nhello =C3=A4\r\n--b--\r\n")),
        ("no empty line before the parts of a part",
            "--b\r\nContent-Type: multipart/mixed; boundary=c\r\nContent-Transfer-Encoding: 8bit\r\n--c\r\n\r\nä\r\n--c--\r\n--b--\r\n",
            format!("--b\r\nContent-Type: multipart/mixed; boundary=c\r\nContent-Transfer-Encoding: 7bit\r\n\r\n--c\r\n{CTE_QP}\r\n\r\n=C3=A4\r\n--c--\r\n--b--\r\n")),
        ("nor with the boundary of the part around it",
            "--b\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n--b\r\n\r\nä\r\n--b--\r\n--b\r\n\r\nö\r\n--b--\r\n",
            format!("--b\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 7bit\r\n\r\n--b\r\n{CTE_QP}\r\n\r\n=C3=A4\r\n--b--\r\n--b\r\n{CTE_QP}\r\n\r\n=C3=B6\r\n--b--\r\n")),
        ("the end is missing",
            "--b\r\nContent-Type: x/y\r\n\r\nä\r\n",
            "--b\r\nContent-Type: x/y\r\nContent-Transfer-Encoding: base64\r\n\r\nw6QNCg==\r\n".to_owned()),
        ("no delimiter of this one",
            "--b\r\n\r\nä\r\n--bb\r\n--b x\r\n --b\r\n--b--\r\n",
            format!("--b\r\n{CTE_QP}\r\n\r\n=C3=A4\r\n--bb\r\n--b x\r\n --b\r\n--b--\r\n")),
        ("one within the other",
            "--b\r\nContent-Type: multipart/alternative; boundary=bb\r\nContent-Transfer-Encoding: binary\r\n\r\n--bb\r\n\r\nä\r\n--b\r\n\r\nö\r\n--b--\r\n",
            format!("--b\r\nContent-Type: multipart/alternative; boundary=bb\r\nContent-Transfer-Encoding: 7bit\r\n\r\n--bb\r\n{CTE_QP}\r\n\r\n=C3=A4\r\n--b\r\n{CTE_QP}\r\n\r\n=C3=B6\r\n--b--\r\n")),
        ("a message within",
            "--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: x\r\n\r\nä\r\n--b--\r\n",
            format!("--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n{CTE_QP}\r\n\r\n=C3=A4\r\n--b--\r\n")),
        ("a message within that has parts",
            "--b\r\nContent-Type: message/rfc822\r\n\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nä\r\n--c--\r\n\r\n--b--\r\n",
            format!("--b\r\nContent-Type: message/rfc822\r\n\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n{CTE_QP}\r\n\r\n=C3=A4\r\n--c--\r\n\r\n--b--\r\n")),
        ("a signed part in ASCII stays",
            "--b\r\nContent-Type: multipart/signed; boundary=s\r\n\r\n--s\r\nContent-Transfer-Encoding: 8bit\r\n\r\na \r\n--s\r\n\r\nsig\r\n--s--\r\n--b\r\n\r\nä\r\n--b--\r\n",
            format!("--b\r\nContent-Type: multipart/signed; boundary=s\r\n\r\n--s\r\nContent-Transfer-Encoding: 8bit\r\n\r\na \r\n--s\r\n\r\nsig\r\n--s--\r\n--b\r\n{CTE_QP}\r\n\r\n=C3=A4\r\n--b--\r\n")),
    ];
    for (shows, body, expected) in cases {
        let message = format!("{MIXED}{body}");
        assert_eq!(
            convert(message.as_bytes()),
            Ok(format!("{MIXED_SEVEN}{expected}")),
            "{shows}"
        );
    }
    let digest = "MIME-Version: 1.0\r\nContent-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nä\r\n--b--\r\n";
    assert!(
        convert(digest.as_bytes())
            .unwrap()
            .contains("Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3")
    );
}

#[test]
fn what_cannot_be_converted() {
    let deep = (0..60).fold(String::new(), |deep, n| {
        format!("{deep}Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n")
    }) + "\r\nä\r\n";
    let many = format!("{MIXED}--b\r\n\r\nä\r\n{}", "--b\r\n\r\n".repeat(10_000));
    #[rustfmt::skip]
    let cases = [
        ("a field",                      "Subject: ä\r\n\r\nä\r\n",                                                            Obstacle::Header),
        ("the name of a field",          "Söbject: x\r\n\r\nä\r\n",                                                            Obstacle::Header),
        ("a field of a part",            "Content-Type: multipart/x; boundary=b\r\n\r\n--b\r\nContent-Disposition: ä\r\n\r\n--b--", Obstacle::Header),
        ("a field of a message within",  "Content-Type: message/rfc822\r\n\r\nSubject: ä\r\n\r\n",                             Obstacle::Header),
        ("a signed part",                "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\nä\r\n--b--",            Obstacle::Signed),
        ("a part of a signed part",      "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\nä\r\n--c\r\n", Obstacle::Signed),
        ("a message in a signed part",   "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n\r\nä\r\n--b--", Obstacle::Signed),
        ("content in base64",            "Content-Transfer-Encoding: base64\r\n\r\nä\r\n",                                     Obstacle::Encoded),
        ("content in quoted-printable",  "Content-Transfer-Encoding: quoted-printable\r\n\r\nä\r\n",                           Obstacle::Encoded),
        ("an unknown encoding",          "Content-Transfer-Encoding: x-y\r\n\r\nä\r\n",                                        Obstacle::Encoded),
        ("an encoded multipart",         "Content-Type: multipart/x; boundary=b\r\nContent-Transfer-Encoding: base64\r\n\r\n--b\r\n\r\nä\r\n", Obstacle::Encoded),
        ("a multipart without boundary", "Content-Type: multipart/x\r\n\r\nä\r\n",                                             Obstacle::Structure),
        ("a message in pieces",          "Content-Type: message/partial\r\n\r\nä\r\n",                                         Obstacle::Structure),
        ("a message that is none",       "Content-Type: multipart/x; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\nhä\r\n--b--", Obstacle::Structure),
    ];
    for (shows, message, expected) in cases {
        assert_eq!(convert(message.as_bytes()), Err(expected), "{shows}");
    }
    for (shows, message) in [("too deep", &deep), ("too many", &many)] {
        assert_eq!(
            planned(&[message.as_bytes()]),
            Err(Obstacle::Structure),
            "{shows}"
        );
    }
}

/// Lines to make messages of that cover every case.
fn line() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(b"\r\n".to_vec()),
        Just(b"--b\r\n".to_vec()),
        Just(b"--b--\r\n".to_vec()),
        Just(b"--c\r\n".to_vec()),
        Just(b"--c--\r\n".to_vec()),
        Just(b"Content-Type: text/plain\r\n".to_vec()),
        Just(b"Content-Type: application/x\r\n".to_vec()),
        Just(b"Content-Type: message/rfc822\r\n".to_vec()),
        Just(b"Content-Type: multipart/mixed;\r\n boundary=b\r\n".to_vec()),
        Just(b"Content-Type: multipart/mixed; boundary=\"c\"\r\n".to_vec()),
        Just(b"Content-Transfer-Encoding: 8bit\r\n".to_vec()),
        "[a-d\u{e4} =\r-]{0,90}(\r\n|\n)?".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..6),
    ]
}

proptest! {
    #[test]
    fn whatever_it_is_made_of(lines in proptest::collection::vec(line(), 0..16), cuts in proptest::collection::vec(0_usize..300, 0..3)) {
        let message = lines.concat();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(message.len())).collect();
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut from = 0;
        for cut in cuts {
            pieces.push(&message[from..cut]);
            from = cut;
        }
        pieces.push(&message[from..]);
        let plan = planned(&pieces);
        prop_assert_eq!(&plan, &planned(&[&message]));
        if let Ok(plan) = plan {
            let out = converted(&plan, &pieces);
            prop_assert_eq!(&out, &converted(&plan, &[&message]));
            prop_assert!(out.is_ascii());
            prop_assert_eq!(contents(&message, false), contents(&out, true));
            // Converted once, there is nothing left to convert.
            let again = planned(&[&out]).unwrap();
            prop_assert_eq!(converted(&again, &[&out]), out);
        }
    }
}
