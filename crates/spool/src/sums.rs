//! Checksums that detect damage: a flipped bit must neither reach a mailbox nor change the recipient.
//!
//! A message has two. The *content sum* covers all octets that are sent: prefix, then body. The *seal* covers the envelope,
//! everything else that never changes, and the content sum. Both are CRC-32, which detects every single flipped bit and every
//! burst up to 32 bits, and costs less than a copy. What changes (states, due times, counts) is checked for consistency, not by a
//! checksum.

use crc32fast::Hasher;

/// The sum of a message's content. `body` is the sum of the body alone, `len` its size in octets.
pub(crate) fn of_content(prefix: &[u8], body: u32, len: u64) -> u32 {
    let mut sum = Hasher::new();
    sum.update(prefix);
    sum.combine(&Hasher::new_with_initial_len(body, len));
    sum.finalize()
}

/// Everything of a message that never changes, as stored in the database.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Constant<'m> {
    pub(crate) id: i64,
    pub(crate) sender: &'m str,
    pub(crate) received_at: i64,
    pub(crate) queued_at: i64,
    pub(crate) size: i64,
    pub(crate) recipients: i64,
    pub(crate) body_kind: i64,
    pub(crate) smtputf8: i64,
    pub(crate) ret: Option<i64>,
    pub(crate) envid: Option<&'m str>,
    pub(crate) auth: Option<&'m str>,
    pub(crate) login: Option<&'m str>,
    pub(crate) session: Option<&'m str>,
    pub(crate) origin: i64,
    pub(crate) body_file: Option<&'m str>,
    pub(crate) body_size: Option<i64>,
    pub(crate) content_sum: u32,
    pub(crate) detour: Option<&'m str>,
}

/// A seal being computed: the message first, then its recipients in order.
pub(crate) struct Seal(Hasher);

impl Seal {
    pub(crate) fn begin(message: &Constant<'_>) -> Self {
        let mut seal = Self(Hasher::new());
        let numbers = [
            message.id,
            message.received_at,
            message.queued_at,
            message.size,
            message.recipients,
            message.body_kind,
            message.smtputf8,
            message.origin,
            i64::from(message.content_sum),
        ];
        for number in numbers {
            seal.number(Some(number));
        }
        seal.number(message.ret);
        seal.number(message.body_size);
        seal.text(Some(message.sender));
        for text in [
            message.envid,
            message.auth,
            message.login,
            message.session,
            message.body_file,
        ] {
            seal.text(text);
        }
        // Older rows have none, and do not include it in their seals.
        if message.detour.is_some() {
            seal.text(message.detour);
        }
        seal
    }

    pub(crate) fn recipient(&mut self, address: &str, notify: i64, orcpt: Option<&str>) {
        self.text(Some(address));
        self.number(Some(notify));
        self.text(orcpt);
    }

    pub(crate) fn finish(self) -> u32 {
        self.0.finalize()
    }

    fn number(&mut self, number: Option<i64>) {
        self.0.update(&[u8::from(number.is_some())]);
        self.0.update(&number.unwrap_or_default().to_le_bytes());
    }

    /// With its length, so that different rows never give the same octets.
    fn text(&mut self, text: Option<&str>) {
        self.number(text.map(|text| text.len() as i64));
        self.0.update(text.unwrap_or_default().as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MESSAGE: Constant<'static> = Constant {
        id: 7,
        sender: "a@one.example",
        received_at: 1,
        queued_at: 2,
        size: 3,
        recipients: 1,
        body_kind: 0,
        smtputf8: 0,
        ret: None,
        envid: None,
        auth: None,
        login: Some("ann"),
        session: None,
        origin: 0,
        body_file: None,
        body_size: None,
        content_sum: 99,
        detour: None,
    };

    fn sealed(message: &Constant<'_>) -> u32 {
        let mut seal = Seal::begin(message);
        seal.recipient("b@two.example", 0, None);
        seal.finish()
    }

    #[test]
    fn every_part_is_sealed() {
        let all = sealed(&MESSAGE);
        #[rustfmt::skip]
        let cases = [
            ("id",                   Constant { id: 8, ..MESSAGE }),
            ("sender",               Constant { sender: "a@One.example", ..MESSAGE }),
            ("received_at",          Constant { received_at: 0, ..MESSAGE }),
            ("queued_at",            Constant { queued_at: 0, ..MESSAGE }),
            ("size",                 Constant { size: 0, ..MESSAGE }),
            ("recipients",           Constant { recipients: 2, ..MESSAGE }),
            ("body_kind",            Constant { body_kind: 1, ..MESSAGE }),
            ("smtputf8",             Constant { smtputf8: 1, ..MESSAGE }),
            ("ret",                  Constant { ret: Some(0), ..MESSAGE }),
            ("envid",                Constant { envid: Some(""), ..MESSAGE }),
            ("auth",                 Constant { auth: Some(""), ..MESSAGE }),
            ("detour",               Constant { detour: Some("smtp:[10.0.0.1]"), ..MESSAGE }),
            ("login",                Constant { login: None, ..MESSAGE }),
            ("login in other place", Constant { login: None, session: Some("ann"), ..MESSAGE }),
            ("session",              Constant { session: Some("s"), ..MESSAGE }),
            ("origin",               Constant { origin: 1, ..MESSAGE }),
            ("body_file",            Constant { body_file: Some("0/0"), ..MESSAGE }),
            ("body_size",            Constant { body_size: Some(0), ..MESSAGE }),
            ("content_sum",          Constant { content_sum: 98, ..MESSAGE }),
        ];
        for (part, changed) in cases {
            assert_ne!(sealed(&changed), all, "{part}");
        }
        let recipient = |address, notify, orcpt| {
            let mut seal = Seal::begin(&MESSAGE);
            seal.recipient(address, notify, orcpt);
            seal.finish()
        };
        assert_eq!(recipient("b@two.example", 0, None), all);
        assert_ne!(recipient("c@two.example", 0, None), all, "address");
        assert_ne!(recipient("b@two.example", 2, None), all, "notify");
        assert_ne!(recipient("b@two.example", 0, Some("")), all, "orcpt");
    }

    proptest! {
        #[test]
        fn content_in_pieces_sums_up_as_a_whole(prefix: Vec<u8>, body: Vec<u8>) {
            let whole: Vec<u8> = prefix.iter().chain(&body).copied().collect();
            let sum = of_content(&prefix, crc32fast::hash(&body), body.len() as u64);
            prop_assert_eq!(sum, crc32fast::hash(&whole));
        }

        #[test]
        fn a_flipped_bit_of_the_content_shows(mut body in prop::collection::vec(any::<u8>(), 1..2_000), place: prop::sample::Index, bit in 0..8) {
            let before = of_content(b"X: y\r\n", crc32fast::hash(&body), body.len() as u64);
            let place = place.index(body.len());
            body[place] ^= 1_u8 << bit;
            prop_assert_ne!(of_content(b"X: y\r\n", crc32fast::hash(&body), body.len() as u64), before);
        }
    }
}
