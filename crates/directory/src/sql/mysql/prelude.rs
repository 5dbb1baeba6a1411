//! What comes before TLS in MySQL's protocol, and the numbers of its packets: pure functions on octets.
//!
//! A packet is three octets of length, one of number, and a payload. Numbers count up within one exchange, and each command
//! starts again at 0. The login is one exchange: the server's greeting is 0, a request for TLS is 1, the client's response
//! comes next. A client without TLS sends its response as 1, so each number of that exchange differs by one.

/// Octets before a payload.
pub(super) const HEADER: usize = 4;

/// Longest payload before TLS, in octets. A greeting has less than 200, a response is little longer than the names in it.
pub(super) const PAYLOAD_MAX: usize = 4_096;

/// From the server: TLS is supported. From the client: TLS is wanted.
const CLIENT_SSL: u16 = 0x0800;

/// How much of a response makes up the request for TLS: capabilities, packet size, character set, filler.
const SSL_REQUEST: usize = 32;

/// The only version of the greeting since MySQL 3.21.
const PROTOCOL: u8 = 10;

/// What a server sends instead of its greeting when it accepts no connections.
const REFUSAL: u8 = 0xff;

/// The payload of the server's greeting as for a client without TLS.
///
/// # Errors
///
/// A server without TLS, one that refuses, or something that is not a greeting; the text says which.
pub(super) fn greeting_in_the_clear(mut payload: Vec<u8>) -> Result<Vec<u8>, String> {
    match payload.first() {
        Some(&PROTOCOL) => {}
        Some(&REFUSAL) if payload.len() > 2 => {
            let code = u16::from_le_bytes([payload[1], payload[2]]);
            let text = String::from_utf8_lossy(&payload[3..]);
            return Err(format!("the server refuses the connection: {code} {text}"));
        }
        _ => return Err("the server does not speak MySQL's protocol".to_owned()),
    }
    // The version of the server ends with a zero; then come the connection's number, 8 octets of salt and a zero.
    let version = payload[1..].iter().position(|&octet| octet == 0);
    let at = version.map_or(usize::MAX, |length| 1 + length + 1 + 4 + 8 + 1);
    let Some([low, high]) = payload.get_mut(at..at.saturating_add(2)) else {
        return Err("the server's greeting is cut short".to_owned());
    };
    let capabilities = u16::from_le_bytes([*low, *high]);
    let without = capabilities & !CLIENT_SSL;
    if without == capabilities {
        return Err("the server offers no TLS (CLIENT_SSL), and it is required".to_owned());
    }
    [*low, *high] = without.to_le_bytes();
    Ok(payload)
}

/// The request for TLS, and the response that follows it within TLS, both as whole packets, made from the payload of the
/// response of a client without TLS.
///
/// # Errors
///
/// Something that is not a response in the current protocol.
pub(super) fn request_and_response(mut payload: Vec<u8>) -> Result<(Vec<u8>, Vec<u8>), String> {
    let Some(capabilities) = payload.first_chunk_mut::<4>() else {
        return Err("the response to the greeting is cut short".to_owned());
    };
    *capabilities = (u32::from_le_bytes(*capabilities) | u32::from(CLIENT_SSL)).to_le_bytes();
    let Some(request) = payload.get(..SSL_REQUEST) else {
        return Err("the response to the greeting is cut short".to_owned());
    };
    Ok((packet(1, request), packet(2, &payload)))
}

/// A whole packet; `payload` is shorter than 2^24 − 1 octets.
pub(super) fn packet(number: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes();
    let mut packet = Vec::with_capacity(HEADER + payload.len());
    packet.extend_from_slice(&length[..3]);
    packet.push(number);
    packet.extend_from_slice(payload);
    packet
}

/// The length of the payload that follows a header, in octets.
pub(super) const fn payload_length(header: [u8; HEADER]) -> usize {
    u32::from_le_bytes([header[0], header[1], header[2], 0]) as usize
}

/// Renumbers the packets of one direction, as their octets pass in pieces of any size.
#[derive(Debug)]
pub(super) struct Renumber {
    /// Added to each number, modulo 256.
    by: u8,
    /// The octets of the header seen so far.
    header: [u8; HEADER],
    have: usize,
    /// Octets of payload still to pass.
    payload: usize,
}

impl Renumber {
    /// For what goes to the server: one more, for the request for TLS.
    pub(super) const fn up() -> Self {
        Self::new(1)
    }

    /// For what goes to the client: one less.
    pub(super) const fn down() -> Self {
        Self::new(u8::MAX)
    }

    const fn new(by: u8) -> Self {
        Self {
            by,
            header: [0; HEADER],
            have: 0,
            payload: 0,
        }
    }

    /// Changes the numbers in the next octets. True at a packet numbered 0 before the change: that is a command, so the login
    /// is over; it and everything after it stay unchanged.
    pub(super) fn pass(&mut self, octets: &mut [u8]) -> bool {
        let mut at = 0;
        while at < octets.len() {
            if self.payload > 0 {
                let skipped = self.payload.min(octets.len() - at);
                self.payload -= skipped;
                at += skipped;
                continue;
            }
            self.header[self.have] = octets[at];
            self.have += 1;
            if self.have == HEADER {
                if octets[at] == 0 {
                    return true;
                }
                octets[at] = octets[at].wrapping_add(self.by);
                self.payload = payload_length(self.header);
                self.have = 0;
            }
            at += 1;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greeting(capabilities: u16) -> Vec<u8> {
        let mut payload = b"\x0a11.8.3-MariaDB\0\x07\0\0\0abcdefgh\0".to_vec();
        payload.extend_from_slice(&capabilities.to_le_bytes());
        payload.extend_from_slice(b"\x2d\x02\0\xff\x81\x15");
        payload
    }

    #[test]
    fn greetings() {
        #[rustfmt::skip]
        let cases = [
            (greeting(0xffff),               Ok(greeting(0xf7ff)),     "TLS is taken out, all else stays"),
            (greeting(0x0800),               Ok(greeting(0)),          "nothing but TLS"),
            (greeting(0xf7ff),               Err("offers no TLS"),     "a server without TLS, or a stranger between"),
            (greeting(0xffff)[..28].into(),  Err("cut short"),         "ends before the capabilities"),
            (b"\x0a11".to_vec(),             Err("cut short"),         "ends in the version"),
            (b"\xff\x10\x04Too many".into(), Err("1040 Too many"),     "refused"),
            (b"220 hi\r\n".to_vec(),         Err("does not speak"),    "another protocol"),
            (Vec::new(),                     Err("does not speak"),    "nothing"),
        ];
        for (payload, want, shows) in cases {
            match (greeting_in_the_clear(payload), want) {
                (Ok(got), Ok(want)) => assert_eq!(got, want, "{shows}"),
                (Err(got), Err(want)) => assert!(got.contains(want), "{shows}: {got}"),
                (got, _) => panic!("{shows}: {got:?}"),
            }
        }
    }

    #[test]
    fn the_request_is_the_begin_of_the_response() {
        let mut response = vec![0x85, 0xa2, 0, 0];
        response.extend(1..60_u8);
        let (request, whole) = request_and_response(response.clone()).unwrap();
        response[1] |= 0x08;
        assert_eq!(request[..4], [32, 0, 0, 1]);
        assert_eq!(request[4..], response[..32]);
        assert_eq!(whole[..4], [63, 0, 0, 2]);
        assert_eq!(whole[4..], response);
        for short in [0, 3, 31] {
            assert!(
                request_and_response(response[..short].to_vec()).is_err(),
                "{short}"
            );
        }
    }

    #[test]
    fn numbers_change_whatever_the_pieces() {
        let login = |add: u8| {
            let mut octets = packet(3 + add, b"first");
            octets.extend(packet(4 + add, b""));
            octets.extend(packet(5 + add, &[0; 300]));
            octets
        };
        for size in [1, 2, 3, 5, 7, 1_000] {
            let (mut up, mut octets) = (Renumber::up(), login(0));
            assert!(!octets.chunks_mut(size).any(|piece| up.pass(piece)), "{size}");
            assert_eq!(octets, login(1), "{size}");
            let mut down = Renumber::down();
            assert!(!octets.chunks_mut(size).any(|piece| down.pass(piece)), "{size}");
            assert_eq!(octets, login(0), "{size}");
        }
    }

    #[test]
    fn a_command_ends_the_login() {
        let command = packet(0, b"\x03SELECT 1");
        for size in [1, 4, 100] {
            let (mut up, mut octets) = (Renumber::up(), command.clone());
            assert!(octets.chunks_mut(size).any(|piece| up.pass(piece)), "{size}");
            assert_eq!(octets, command, "{size}");
        }
    }
}
