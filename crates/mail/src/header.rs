//! Looks at the head of a message while it streams by. Nothing is ever rewritten.

/// Scans the header fields of a message, fed in pieces of any size.
///
/// The head ends at the first empty line, or before the first line that is neither a field nor a continuation.
#[derive(Debug, Default)]
pub struct HeaderScan {
    has_date: bool,
}

impl HeaderScan {
    /// Starts at the beginning of a message.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks at the next piece. After [`is_complete`](Self::is_complete) it costs nothing.
    pub fn feed(&mut self, input: &[u8]) {
        todo!("{input:?}")
    }

    /// Says that the message ends here. Needed for messages without an empty line.
    pub fn finish(&mut self) {
        todo!()
    }

    /// Whether the end of the head was seen.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        todo!()
    }

    /// Octets of the head so far, without the empty line.
    #[must_use]
    pub fn header_len(&self) -> u64 {
        todo!()
    }

    /// Whether the head ended without an empty line before the body, at a line that is no field.
    ///
    /// If then also [`header_len`](Self::header_len) is 0, fields put before the message need an empty line after them.
    #[must_use]
    pub fn lacks_separator(&self) -> bool {
        todo!()
    }

    /// Whether there is a `Date` field.
    #[must_use]
    pub fn has_date(&self) -> bool {
        self.has_date
    }

    /// Whether there is a `Message-ID` field.
    #[must_use]
    pub fn has_message_id(&self) -> bool {
        todo!()
    }

    /// Whether there is a `From` field.
    #[must_use]
    pub fn has_from(&self) -> bool {
        todo!()
    }

    /// Whether there is a `MIME-Version` field.
    #[must_use]
    pub fn has_mime_version(&self) -> bool {
        todo!()
    }

    /// Whether an octet above 127 is in the head (RFC 6532), so that a next hop needs SMTPUTF8.
    #[must_use]
    pub fn has_non_ascii(&self) -> bool {
        todo!()
    }

    /// How many `Received` fields there are (RFC 5321 section 6.3).
    #[must_use]
    pub fn received_count(&self) -> u32 {
        todo!()
    }

    /// The value of each `From` field, unfolded and trimmed; each cut at 2,000 octets, the first four of them.
    pub fn from_values(&self) -> impl Iterator<Item = &str> {
        [].into_iter()
    }

    /// The value of the first `Message-ID` field, trimmed; cut at 998 octets.
    #[must_use]
    pub fn message_id(&self) -> Option<&str> {
        todo!()
    }
}
