//! Framing of bodies, case by case and at every cut.

use super::*;
use proptest::prelude::*;

/// What the case shows, rules, input, body, octets consumed if it ended, fault.
type BodyCase = (
    &'static str,
    BodyRules,
    &'static str,
    &'static str,
    Option<usize>,
    Option<BodyFault>,
);

/// What the case shows, input, whether it is binary, treatment of bare line endings, body, fault.
type ChunkCase = (
    &'static str,
    &'static [u8],
    bool,
    BareLineEndings,
    &'static [u8],
    Option<BodyFault>,
);

/// Body, octets consumed if it ended, fault.
type Outcome = (Vec<u8>, Option<usize>, Option<BodyFault>);

fn decode(pieces: &[&[u8]], rules: BodyRules) -> Outcome {
    let mut decoder = DataDecoder::new(rules);
    let (mut body, mut total) = (Vec::new(), 0);
    for piece in pieces {
        let mut rest = *piece;
        while !rest.is_empty() {
            let decoded = decoder.decode(rest);
            body.extend_from_slice(decoded.text);
            total += decoded.consumed;
            rest = &rest[decoded.consumed..];
            if decoded.ended {
                return (body, Some(total), decoder.fault());
            }
        }
    }
    (body, None, decoder.fault())
}

fn rules(size_max: u64, line_max: usize, bare: BareLineEndings) -> BodyRules {
    BodyRules {
        size_max,
        line_max,
        bare,
    }
}

#[test]
fn body_framing() {
    use BareLineEndings::{Normalise, Refuse};
    use BodyFault::{BareLineEnding, LineTooLong, TooLarge};
    let strict = rules(0, 0, Refuse);
    let small = rules(6, 0, Refuse);
    let narrow = rules(0, 4, Refuse);
    let mended = rules(0, 0, Normalise);
    #[rustfmt::skip]
    let cases: [BodyCase; 35] = [
        // what the case shows          rules   input                   body            ends      fault
        ("empty body",                  strict, ".\r\n",                "",             Some(3),  None),
        ("one line",                    strict, "a\r\n.\r\n",           "a\r\n",        Some(6),  None),
        ("empty line",                  strict, "\r\n.\r\n",            "\r\n",         Some(5),  None),
        ("stuffed dot",                 strict, "..a\r\n.\r\n",         ".a\r\n",       Some(8),  None),
        ("stuffed dot alone",           strict, "..\r\n.\r\n",          ".\r\n",        Some(7),  None),
        ("dot that was not stuffed",    strict, ".a\r\n.\r\n",          "a\r\n",        Some(7),  None),
        ("dot inside a line",           strict, "a.\r\n.\r\n",          "a.\r\n",       Some(7),  None),
        ("next command is left",        strict, "a\r\n.\r\nQUIT\r\n",   "a\r\n",        Some(6),  None),
        ("final dot cut short",         strict, "a\r\n.\r",             "a\r\n",        None,     None),
        ("no end",                      strict, "a\r\nb",               "a\r\nb",       None,     None),

        ("exactly at the limit",        small,  "abcd\r\n.\r\n",        "abcd\r\n",     Some(9),  None),
        ("one octet over",              small,  "abcde\r\n.\r\n",       "",             Some(10), Some(TooLarge)),
        ("over, and read to the end",   small,  "a\r\nb\r\nc\r\n.\r\nX","",             Some(12), Some(TooLarge)),
        ("line at its limit",           narrow, "ab\r\n.\r\n",          "ab\r\n",       Some(7),  None),
        ("line over its limit",         narrow, "abc\r\n.\r\n",         "",             Some(8),  Some(LineTooLong)),
        ("line over without end",       narrow, "abcdef",               "",             None,     Some(LineTooLong)),

        ("LF dot CRLF",                 strict, "a\n.\r\nb\r\n.\r\n",   "a",            Some(11), Some(BareLineEnding)),
        ("CR dot CRLF",                 strict, "a\r.\r\nb\r\n.\r\n",   "a",            Some(11), Some(BareLineEnding)),
        ("LF dot LF",                   strict, "a\n.\nb\r\n.\r\n",     "a",            Some(10), Some(BareLineEnding)),
        ("CR dot CR",                   strict, "a\r.\rb\r\n.\r\n",     "a",            Some(10), Some(BareLineEnding)),
        ("CRLF dot LF",                 strict, "a\r\n.\nb\r\n.\r\n",   "a\r\n",        Some(11), Some(BareLineEnding)),
        ("CRLF dot CR",                 strict, "a\r\n.\rb\r\n.\r\n",   "a\r\n",        Some(11), Some(BareLineEnding)),
        ("CRLF dot CR CR LF",           strict, "a\r\n.\r\r\n.\r\n",    "a\r\n",        Some(10), Some(BareLineEnding)),
        ("CR CR LF dot CRLF",           strict, "a\r\r\n.\r\n",         "a",            Some(7),  Some(BareLineEnding)),
        ("LF LF dot CRLF",              strict, "a\n\n.\r\nb\r\n.\r\n", "a",            Some(12), Some(BareLineEnding)),
        ("bare CR at the first octet",  strict, "\ra\r\n.\r\n",         "",             Some(7),  Some(BareLineEnding)),

        ("LF dot CRLF mended",          mended, "a\n.\r\nb\r\n.\r\n",   "a\r\n.\r\nb\r\n", Some(11), None),
        ("CR dot CRLF mended",          mended, "a\r.\r\nb\r\n.\r\n",   "a\r\n.\r\nb\r\n", Some(11), None),
        ("LF dot LF mended",            mended, "a\n.\nb\r\n.\r\n",     "a\r\n.\r\nb\r\n", Some(10), None),
        ("CRLF dot LF mended",          mended, "a\r\n.\nb\r\n.\r\n",   "a\r\n\r\nb\r\n",  Some(11), None),
        ("CRLF dot CR mended",          mended, "a\r\n.\rb\r\n.\r\n",   "a\r\n\r\nb\r\n",  Some(11), None),
        ("CR CR LF mended",             mended, "a\r\r\n.\r\n",         "a\r\n\r\n",    Some(7),  None),
        ("a lone LF mended",            mended, "\n\r\n.\r\n",          "\r\n\r\n",     Some(6),  None),
        ("dots behind a bare LF stay",  mended, "a\n..\r\n.\r\n",       "a\r\n..\r\n",  Some(9),  None),
        ("a CR as last octet is held",  mended, "a\r",                  "a",            None,     None),
    ];
    // The peer chooses where a packet ends, so each case runs once for every place to cut it.
    for (shows, rules, input, body, ends, fault) in cases {
        for cut in 0..=input.len() {
            let (head, tail) = input.as_bytes().split_at(cut);
            let (got, consumed, blamed) = decode(&[head, tail], rules);
            assert_eq!((consumed, blamed), (ends, fault), "{shows}, cut at {cut}");
            if fault.is_none() {
                assert_eq!(String::from_utf8_lossy(&got), body, "{shows}, cut at {cut}");
            }
        }
    }
}

fn chunks(pieces: &[&[u8]], binary: bool, bare: BareLineEndings) -> (Vec<u8>, Option<BodyFault>) {
    let mut decoder = ChunkDecoder::new(rules(0, 0, bare), binary);
    let mut body = Vec::new();
    for piece in pieces {
        decoder.begin(piece.len() as u64);
        let mut input = piece.to_vec();
        input.extend_from_slice(b"QUIT\r\n");
        let (mut rest, mut ended) = (&input[..], piece.is_empty());
        while !ended {
            let decoded = decoder.decode(rest);
            body.extend_from_slice(decoded.text);
            rest = &rest[decoded.consumed..];
            ended = decoded.ended;
        }
        assert_eq!(rest, b"QUIT\r\n", "what follows a chunk is left");
    }
    body.extend_from_slice(decoder.finish());
    (body, decoder.fault())
}

#[test]
fn chunk_bodies() {
    use BareLineEndings::{Normalise, Refuse};
    let broken = Some(BodyFault::BareLineEnding);
    #[rustfmt::skip]
    let cases: [ChunkCase; 9] = [
        ("a text",                      b"a\r\nb\r\n",   false, Refuse,    b"a\r\nb\r\n",     None),
        ("dots mean nothing",           b".\r\n..a\r\n", false, Refuse,    b".\r\n..a\r\n",   None),
        ("an end that is no line's",    b"a\r\nb",       false, Refuse,    b"a\r\nb",         None),
        ("a bare LF",                   b"a\nb\r\n",     false, Refuse,    b"",               broken),
        ("a CR that nothing follows",   b"a\r",          false, Refuse,    b"",               broken),
        ("a CR at the end, mended",     b"a\r",          false, Normalise, b"a\r\n",          None),
        ("a bare LF, mended",           b"a\n.\r\n",     false, Normalise, b"a\r\n.\r\n",     None),
        ("binary is taken as it is",    b"\0\n\r\r\n.",  true,  Refuse,    b"\0\n\r\r\n.",    None),
        ("nothing at all",              b"",             false, Refuse,    b"",               None),
    ];
    for (shows, input, binary, bare, body, fault) in cases {
        for cut in 0..=input.len() {
            let (head, tail) = input.split_at(cut);
            let (got, blamed) = chunks(&[head, tail], binary, bare);
            assert_eq!(blamed, fault, "{shows}, cut at {cut}");
            if fault.is_none() {
                assert_eq!(got, body, "{shows}, cut at {cut}");
            }
        }
    }
}

#[test]
fn a_chunk_over_the_limit_is_read_to_its_end() {
    let mut decoder = ChunkDecoder::new(rules(4, 0, BareLineEndings::Refuse), true);
    decoder.begin(6);
    assert_eq!(decoder.decode(b"abc").text, b"abc");
    let rest = decoder.decode(b"defQUIT");
    assert_eq!((rest.consumed, rest.text, rest.ended), (3, &b""[..], true));
    assert_eq!(decoder.fault(), Some(BodyFault::TooLarge));
}

fn octets() -> impl Strategy<Value = Vec<u8>> {
    let octet =
        prop_oneof![3 => Just(b'\r'), 3 => Just(b'\n'), 3 => Just(b'.'), 2 => Just(b'a'), 1 => any::<u8>()];
    proptest::collection::vec(octet, 0..60)
}

fn cut<'a>(input: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|&cut| cut.min(input.len())).collect();
    places.extend([0, input.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &input[pair[0]..pair[1]]).collect()
}

proptest! {
    #[test]
    fn the_body_does_not_depend_on_the_pieces(
        input in octets(),
        cuts in proptest::collection::vec(0_usize..60, 0..5),
        normalise: bool,
    ) {
        let bare = if normalise { BareLineEndings::Normalise } else { BareLineEndings::Refuse };
        let rules = rules(20, 12, bare);
        let (body, ends, fault) = decode(&cut(&input, &cuts), rules);
        let (whole, whole_ends, whole_fault) = decode(&[&input], rules);
        prop_assert_eq!(ends, whole_ends);
        // Which of two faults in one packet is reported may differ, but not whether there is one.
        prop_assert_eq!(fault.is_some(), whole_fault.is_some());
        if fault.is_none() {
            prop_assert_eq!(body, whole);
        }
    }

    #[test]
    fn no_bare_line_ending_gets_through(input in octets(), normalise: bool) {
        let bare = if normalise { BareLineEndings::Normalise } else { BareLineEndings::Refuse };
        let (mut body, ends, fault) = decode(&[&input], rules(0, 0, bare));
        if fault.is_none() {
            if ends.is_none() && body.last() == Some(&b'\r') {
                body.pop();
            }
            let text = String::from_utf8_lossy(&body).replace("\r\n", "");
            prop_assert!(!text.contains(['\r', '\n']), "{:?}", body);
        }
    }

    #[test]
    fn the_end_is_the_first_dot_between_two_crlf(input in octets(), normalise: bool) {
        let bare = if normalise { BareLineEndings::Normalise } else { BareLineEndings::Refuse };
        let (_, ends, _) = decode(&[&input], rules(0, 0, bare));
        let mut framed = b"\r\n".to_vec();
        framed.extend_from_slice(&input);
        let expected = framed.windows(5).position(|window| window == b"\r\n.\r\n").map(|at| at + 3);
        prop_assert_eq!(ends, expected);
    }
}
