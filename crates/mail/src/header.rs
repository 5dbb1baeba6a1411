//! Examines the header of a message while it streams through. Nothing is ever rewritten.

use memchr::memchr;

/// Most octets kept of one `From` or `Message-ID` value.
const VALUE_MAX: usize = 2_000;

/// Most `From` fields whose values are kept. RFC 5322 section 3.6 allows one.
const FROM_FIELDS_MAX: usize = 4;

/// Most `Sender` fields whose values are kept. RFC 5322 section 3.6 allows one.
const SENDER_FIELDS_MAX: usize = 2;

/// Most `Resent-From` and `Resent-Sender` fields whose values are kept.
const RESENT_FIELDS_MAX: usize = 8;

/// Length of the longest field name that is looked for, `resent-sender`.
const NAME_MAX: usize = 13;

/// Scans the header fields of a message, fed in pieces of any size.
///
/// The header ends at the first empty line, or before the first line that is neither a field nor a continuation. Memory does not
/// grow with the message.
#[derive(Debug, Default)]
pub struct HeaderScan {
    state: State,
    /// Octets examined.
    position: u64,
    /// Where the current line begins.
    line_start: u64,
    /// The beginning of the current field name, in lower case.
    name: [u8; NAME_MAX],
    name_len: usize,
    /// The current field, if its value is kept.
    kept: Kept,
    value: Vec<u8>,
    found: Found,
}

/// What was found so far.
#[derive(Debug, Default)]
struct Found {
    date: bool,
    message_id: bool,
    from: bool,
    mime_version: bool,
    non_ascii: bool,
    lacks_separator: bool,
    from_cut: bool,
    received: u32,
    from_values: Vec<String>,
    sender_values: Vec<String>,
    resent_values: Vec<String>,
    message_id_value: Option<String>,
}

/// Where in the header the next octet is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum State {
    /// At the very beginning, where a line cannot be a continuation.
    #[default]
    First,
    /// At the beginning of a line after a field.
    LineStart,
    /// After a CR at the beginning of a line.
    Cr,
    /// In a field name.
    Name,
    /// In blanks between name and colon (RFC 5322 section 4.5).
    NameEnd,
    /// In a field value.
    Value,
    /// The header has ended.
    Complete,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Kept {
    #[default]
    Nothing,
    From,
    Sender,
    Resent,
    MessageId,
}

impl HeaderScan {
    /// Starts at the beginning of a message.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Examines the next piece. After [`is_complete`](Self::is_complete) it costs nothing.
    pub fn feed(&mut self, input: &[u8]) {
        let mut rest = input;
        while self.state != State::Complete {
            if self.state == State::Value {
                rest = self.value(rest);
            }
            let Some((&octet, after)) = rest.split_first() else {
                return;
            };
            self.step(octet);
            self.position += 1;
            rest = after;
        }
    }

    /// Says that the message ends here. Needed for messages without an empty line.
    pub fn finish(&mut self) {
        match self.state {
            State::Complete => {}
            // A line that could have become a field, but did not.
            State::Name | State::NameEnd | State::Cr => self.end_without_separator(),
            State::First | State::LineStart | State::Value => {
                self.keep_value();
                self.line_start = self.position;
                self.state = State::Complete;
            }
        }
    }

    /// Whether the header has ended.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.state == State::Complete
    }

    /// Octets of the header, without the empty line. Before [`is_complete`](Self::is_complete): of its lines so far.
    #[must_use]
    pub fn header_len(&self) -> u64 {
        self.line_start
    }

    /// Whether the header ended without an empty line before the body, at a line that is not a field.
    ///
    /// If [`header_len`](Self::header_len) is then 0 too, fields put before the message need an empty line after them.
    #[must_use]
    pub fn lacks_separator(&self) -> bool {
        self.found.lacks_separator
    }

    /// Whether there is a `Date` field.
    #[must_use]
    pub fn has_date(&self) -> bool {
        self.found.date
    }

    /// Whether there is a `Message-ID` field.
    #[must_use]
    pub fn has_message_id(&self) -> bool {
        self.found.message_id
    }

    /// Whether there is a `From` field.
    #[must_use]
    pub fn has_from(&self) -> bool {
        self.found.from
    }

    /// Whether there is a `MIME-Version` field.
    #[must_use]
    pub fn has_mime_version(&self) -> bool {
        self.found.mime_version
    }

    /// Whether an octet above 127 is in the header (RFC 6532), so that a next hop needs SMTPUTF8.
    #[must_use]
    pub fn has_non_ascii(&self) -> bool {
        self.found.non_ascii
    }

    /// How many `Received` fields there are (RFC 5321 section 6.3).
    #[must_use]
    pub fn received_count(&self) -> u32 {
        self.found.received
    }

    /// The value of each `From` field, unfolded and trimmed; each cut at 2,000 octets, the first four of them.
    pub fn from_values(&self) -> impl Iterator<Item = &str> {
        self.found.from_values.iter().map(String::as_str)
    }

    /// The value of each `Sender` field, unfolded and trimmed; each cut at 2,000 octets, the first two of them.
    pub fn sender_values(&self) -> impl Iterator<Item = &str> {
        self.found.sender_values.iter().map(String::as_str)
    }

    /// The value of each `Resent-From` and `Resent-Sender` field, unfolded and trimmed; each cut at 2,000 octets, the first
    /// eight of them.
    pub fn resent_values(&self) -> impl Iterator<Item = &str> {
        self.found.resent_values.iter().map(String::as_str)
    }

    /// Whether [`from_values`](Self::from_values), [`sender_values`](Self::sender_values) and
    /// [`resent_values`](Self::resent_values) hold less than the message: a value was cut, there are more resent fields than
    /// are kept, or the header ended at a line that is not a field, after which other readers may find another.
    #[must_use]
    pub fn from_is_in_doubt(&self) -> bool {
        self.found.from_cut || (self.found.lacks_separator && self.header_len() > 0)
    }

    /// The value of the first `Message-ID` field, unfolded and trimmed; cut at 2,000 octets.
    #[must_use]
    pub fn message_id(&self) -> Option<&str> {
        self.found.message_id_value.as_deref()
    }

    /// Takes one octet anywhere but in a value.
    fn step(&mut self, octet: u8) {
        self.state = match (self.state, octet) {
            (State::First | State::LineStart, b'\r') => State::Cr,
            (State::First | State::LineStart | State::Cr, b'\n') => return self.end(),
            (State::LineStart, b' ' | b'\t') => {
                self.keep(&[octet]);
                State::Value
            }
            (State::First | State::LineStart, b'!'..=b'9' | b';'..=b'~') => {
                self.keep_value();
                self.name_len = 0;
                self.extend_name(octet);
                State::Name
            }
            (State::Name, b'!'..=b'9' | b';'..=b'~') => {
                self.extend_name(octet);
                State::Name
            }
            (State::Name | State::NameEnd, b' ' | b'\t') => State::NameEnd,
            (State::Name | State::NameEnd, b':') => {
                self.classify();
                State::Value
            }
            _ => return self.end_without_separator(),
        };
    }

    /// Takes as much of a value as there is, and returns what follows its line.
    fn value<'i>(&mut self, input: &'i [u8]) -> &'i [u8] {
        let end = memchr(b'\n', input);
        let line = &input[..end.unwrap_or(input.len())];
        self.found.non_ascii |= !line.is_ascii();
        self.keep(line);
        self.position += line.len() as u64;
        let Some(end) = end else {
            return &[];
        };
        self.position += 1;
        self.line_start = self.position;
        self.state = State::LineStart;
        &input[end + 1..]
    }

    fn extend_name(&mut self, octet: u8) {
        if let Some(place) = self.name.get_mut(self.name_len) {
            *place = octet.to_ascii_lowercase();
        }
        // One more than the maximum means that the name is longer than any that is looked for.
        self.name_len = (self.name_len + 1).min(NAME_MAX + 1);
    }

    fn classify(&mut self) {
        let found = &mut self.found;
        self.kept = Kept::Nothing;
        match self.name.get(..self.name_len) {
            Some(b"received") => found.received = found.received.saturating_add(1),
            Some(b"date") => found.date = true,
            Some(b"mime-version") => found.mime_version = true,
            Some(b"from") => {
                found.from = true;
                if found.from_values.len() < FROM_FIELDS_MAX {
                    self.kept = Kept::From;
                }
            }
            Some(b"sender") if found.sender_values.len() < SENDER_FIELDS_MAX => self.kept = Kept::Sender,
            Some(b"resent-from" | b"resent-sender") => {
                if found.resent_values.len() < RESENT_FIELDS_MAX {
                    self.kept = Kept::Resent;
                } else {
                    found.from_cut = true;
                }
            }
            Some(b"message-id") => {
                found.message_id = true;
                if found.message_id_value.is_none() {
                    self.kept = Kept::MessageId;
                }
            }
            _ => {}
        }
    }

    fn keep(&mut self, part: &[u8]) {
        if self.kept != Kept::Nothing {
            let room = VALUE_MAX.saturating_sub(self.value.len());
            self.found.from_cut |= self.kept != Kept::MessageId && part.len() > room;
            self.value
                .extend(part.iter().filter(|&&octet| octet != b'\r').take(room));
        }
    }

    /// Stores the value that has ended.
    fn keep_value(&mut self) {
        if self.kept == Kept::Nothing {
            return;
        }
        let value = String::from_utf8_lossy(&self.value).trim().to_owned();
        match self.kept {
            Kept::From => self.found.from_values.push(value),
            Kept::Sender => self.found.sender_values.push(value),
            Kept::Resent => self.found.resent_values.push(value),
            _ => self.found.message_id_value = Some(value),
        }
        self.value.clear();
        self.kept = Kept::Nothing;
    }

    fn end(&mut self) {
        self.keep_value();
        self.state = State::Complete;
    }

    fn end_without_separator(&mut self) {
        self.found.lacks_separator = true;
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The result of a scan: header length, separator missing, Received count, flags, From values, Message-ID.
    fn scan(pieces: &[&[u8]]) -> (u64, bool, u32, String, Vec<String>, Option<String>) {
        let mut scan = HeaderScan::new();
        for piece in pieces {
            scan.feed(piece);
        }
        scan.finish();
        assert!(scan.is_complete());
        let flags = [
            (scan.has_date(), "d"),
            (scan.has_message_id(), "m"),
            (scan.has_from(), "f"),
            (scan.has_mime_version(), "v"),
            (scan.has_non_ascii(), "8"),
        ];
        let flags = flags
            .iter()
            .filter(|(set, _)| *set)
            .map(|(_, letter)| *letter)
            .collect();
        let from = scan.from_values().map(str::to_owned).collect();
        (
            scan.header_len(),
            scan.lacks_separator(),
            scan.received_count(),
            flags,
            from,
            scan.message_id().map(str::to_owned),
        )
    }

    #[test]
    fn authors_in_doubt() {
        let long = format!("From: a@x.example ({})\r\n\r\n", "c".repeat(VALUE_MAX));
        let folded = format!("From: a@x.example (\r\n {})\r\n\r\n", "c\r\n ".repeat(VALUE_MAX));
        #[rustfmt::skip]
        let cases = [
            ("an author",                        "From: a@x.example\r\n\r\n",                        false),
            ("none, and no head",                "text\r\n",                                          false),
            ("longer than what is kept",         long.as_str(),                                       true),
            ("so in many lines",                 folded.as_str(),                                     true),
            ("a second one behind a wrong line", "From: a@x\r\nno field\r\nFrom: b@x\r\n\r\n",      true),
        ];
        for (shows, head, doubt) in cases {
            let mut scan = HeaderScan::new();
            scan.feed(head.as_bytes());
            scan.finish();
            assert_eq!(scan.from_is_in_doubt(), doubt, "{shows}");
        }
    }

    #[test]
    fn who_sent_it() {
        let head = "Sender: a@x.example\r\nResent-From: b@x.example\r\nSENDER : c@x.example\r\nSender: d@x.example\r\n\
             resent-sender: e@x.example,\r\n f@x.example\r\nResent-Sender-Not: g@x.example\r\nSenders: h\r\n\r\n";
        let mut scan = HeaderScan::new();
        for octet in head.as_bytes() {
            scan.feed(&[*octet]);
        }
        let sender: Vec<&str> = scan.sender_values().collect();
        assert_eq!(
            sender,
            ["a@x.example", "c@x.example"],
            "a third cannot make two right"
        );
        let resent: Vec<&str> = scan.resent_values().collect();
        assert_eq!(resent, ["b@x.example", "e@x.example, f@x.example"]);
        assert!(!scan.from_is_in_doubt());

        let mut many = HeaderScan::new();
        many.feed(
            "Resent-From: a@x.example\r\n"
                .repeat(RESENT_FIELDS_MAX + 1)
                .as_bytes(),
        );
        many.finish();
        assert!(many.from_is_in_doubt(), "not all were kept");
    }

    #[test]
    fn heads() {
        type Case = (
            &'static str,
            &'static str,
            u64,
            bool,
            u32,
            &'static str,
            &'static [&'static str],
            Option<&'static str>,
        );
        #[rustfmt::skip]
        let cases: &[Case] = &[
            // what the case shows          message                                head  no separator  Received  flags  From  Message-ID
            ("nothing",                     "",                                    0,    false,        0,  "",   &[],              None),
            ("empty head",                  "\r\nDate: x\r\n",                     0,    false,        0,  "",   &[],              None),
            ("one field",                   "Date: x\r\n\r\nbody",                 9,    false,        0,  "d",  &[],              None),
            ("field without body",          "Date: x\r\n",                         9,    false,        0,  "d",  &[],              None),
            ("field without line end",      "Date: x",                             7,    false,        0,  "d",  &[],              None),
            ("names in any case",           "dATE:x\r\nMESSAGE-id:<a>\r\n\r\n",    24,   false,        0,  "dm", &[],              Some("<a>")),
            ("blank before the colon",      "Date : x\r\n\r\n",                    10,   false,        0,  "d",  &[],              None),
            ("names that begin alike",      "Dates: x\r\nMIME-Versions: 1\r\n\r\n", 28,  false,        0,  "",   &[],              None),
            ("field name in a value",       "Subject: Date: x\r\n\r\n",            18,   false,        0,  "",   &[],              None),
            ("field name in a fold",        "Subject: a\r\n Date: x\r\n\r\n",      22,   false,        0,  "",   &[],              None),
            ("field name in the body",      "A: b\r\n\r\nDate: x\r\n",             6,    false,        0,  "",   &[],              None),
            ("Received is counted",         "Received: a\r\nReceived: b\r\n\r\n",  26,   false,        2,  "",   &[],              None),
            ("folded From",                 "From: A\r\n <a@b>\r\n\tx \r\n\r\n",   22,   false,        0,  "f",  &["A <a@b>\tx"],  None),
            ("two From fields",             "From: a\r\nFrom: b\r\n\r\n",          18,   false,        0,  "f",  &["a", "b"],      None),
            ("empty From",                  "From:\r\n\r\n",                       7,    false,        0,  "f",  &[""],            None),
            ("From without line end",       "From: a@b",                           9,    false,        0,  "f",  &["a@b"],         None),
            ("MIME",                        "MIME-Version: 1.0\r\n\r\n",           19,   false,        0,  "v",  &[],              None),
            ("UTF-8 in the head",           "Subject: ä\r\n\r\n",                  13,   false,        0,  "8",  &[],              None),
            ("UTF-8 in the body",           "Subject: a\r\n\r\nä",                 12,   false,        0,  "",   &[],              None),
            ("a text and no head",          "Hello, world\r\n",                    0,    true,         0,  "",   &[],              None),
            ("a text of one word",          "Hello",                               0,    true,         0,  "",   &[],              None),
            ("body follows at once",        "Date: x\r\nHello, world\r\n",         9,    true,         0,  "d",  &[],              None),
            ("continuation of nothing",     " Date: x\r\n\r\n",                    0,    true,         0,  "",   &[],              None),
            ("mailbox separator",           "From a@b Sun\r\nDate: x\r\n\r\n",     0,    true,         0,  "",   &[],              None),
            ("UTF-8 in a name",             "Däte: x\r\n\r\n",                     0,    true,         0,  "",   &[],              None),
            ("no name",                     ": x\r\n\r\n",                         0,    true,         0,  "",   &[],              None),
            ("CR that ends no line",        "A: b\r\n\rDate: x\r\n",               6,    true,         0,  "",   &[],              None),
            ("bare LF, where let through",  "Date: x\n\nbody",                     8,    false,        0,  "d",  &[],              None),
        ];
        for &(shows, message, head, separator, received, flags, from, id) in cases {
            let from = from.iter().map(|value| (*value).to_owned()).collect();
            let expected = (
                head,
                separator,
                received,
                flags.to_owned(),
                from,
                id.map(str::to_owned),
            );
            for cut in 0..=message.len() {
                let (before, after) = message.as_bytes().split_at(cut);
                assert_eq!(scan(&[before, after]), expected, "{shows}, cut at {cut}");
            }
        }
    }

    #[test]
    fn values_are_bounded() {
        let mut message = format!("From: {}\r\n", "a".repeat(10_000)).repeat(10);
        message.push_str("\r\n");
        let mut scan = HeaderScan::new();
        scan.feed(message.as_bytes());
        let lengths: Vec<_> = scan.from_values().map(str::len).collect();
        assert_eq!(
            lengths,
            [VALUE_MAX - 1; FROM_FIELDS_MAX],
            "the blank after the colon counts"
        );
    }

    proptest! {
        #[test]
        fn the_result_does_not_depend_on_the_cuts(
            lines in proptest::collection::vec("(From|Date|Received|X|Message-ID|) ?[: ] ?[a-c\u{e4}\r]{0,5}(\r\n|\n)?", 0..6),
            cuts in proptest::collection::vec(0_usize..60, 0..4),
        ) {
            let message = lines.concat().into_bytes();
            let whole = scan(&[&message]);
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(message.len())).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut from = 0;
            for cut in cuts {
                pieces.push(&message[from..cut]);
                from = cut;
            }
            pieces.push(&message[from..]);
            prop_assert_eq!(scan(&pieces), whole);
        }
    }
}
