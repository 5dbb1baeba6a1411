use super::*;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn between(source: &str, destination: &str) -> Header {
    Header::Proxied {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
    }
}

fn v2(version_command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let mut header = V2_START.to_vec();
    header.extend([version_command, family]);
    header.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    header.extend(body);
    header
}

#[test]
fn version_1() {
    let ipv4 = between("192.0.2.1:56324", "192.0.2.2:25");
    let ipv6 = between("[2001:db8::1]:1", "[2001:db8::2]:65535");
    let mapped = between("192.0.2.1:1", "192.0.2.2:2");
    #[rustfmt::skip]
    let cases = [
        // what the case shows              input                                              what it means
        ("IPv4",                            "PROXY TCP4 192.0.2.1 192.0.2.2 56324 25\r\n",     Some(ipv4)),
        ("IPv6",                            "PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n",  Some(ipv6)),
        ("IPv4 inside IPv6",                "PROXY TCP6 ::ffff:192.0.2.1 ::ffff:192.0.2.2 1 2\r\n", Some(mapped)),
        ("unknown",                         "PROXY UNKNOWN\r\n",                               Some(Header::Local)),
        ("unknown with more",               "PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n",           Some(Header::Local)),
        ("family and address differ",       "PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",      None),
        ("port too large",                  "PROXY TCP4 192.0.2.1 192.0.2.2 65536 25\r\n",     None),
        ("port with a sign",                "PROXY TCP4 192.0.2.1 192.0.2.2 +1 25\r\n",        None),
        ("port missing",                    "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",            None),
        ("one word too many",               "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n",        None),
        ("two blanks",                      "PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n",         None),
        ("unknown family",                  "PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",          None),
        ("no family",                       "PROXY \r\n",                                      None),
        ("LF alone",                        "PROXY UNKNOWN\n",                                 None),
        ("a mail client, not a proxy",      "EHLO there\r\n",                                  None),
        ("lower case",                      "proxy UNKNOWN\r\n",                               None),
    ];
    for (shows, input, expected) in cases {
        let got = match parse(input.as_bytes()) {
            Ok(Parsed::Complete { len, header }) if len == input.len() => Some(header),
            Ok(other) => panic!("{shows}: {other:?}"),
            Err(_) => None,
        };
        assert_eq!(got, expected, "{shows}");
    }
}

#[test]
fn version_2() {
    let ipv4 = [192, 0, 2, 1, 192, 0, 2, 2, 0xdc, 4, 0, 25];
    let mut extended = ipv4.to_vec();
    extended.extend([4, 0, 2, 0, 0]);
    let mut ipv6 = [0; 36];
    (ipv6[15], ipv6[31], ipv6[33], ipv6[35]) = (1, 2, 1, 25);
    let v4 = between("192.0.2.1:56324", "192.0.2.2:25");
    let v6 = between("[::1]:1", "[::2]:25");
    #[rustfmt::skip]
    let cases = [
        // what the case shows            header                          what it means
        ("IPv4",                          v2(0x21, 0x11, &ipv4),          Some(v4)),
        ("IPv6",                          v2(0x21, 0x21, &ipv6),          Some(v6)),
        ("extensions are skipped",        v2(0x21, 0x11, &extended),      Some(v4)),
        ("health check",                  v2(0x20, 0x00, &[]),            Some(Header::Local)),
        ("health check with addresses",   v2(0x20, 0x11, &ipv4),          Some(Header::Local)),
        ("unspecified",                   v2(0x21, 0x00, &[]),            Some(Header::Local)),
        ("Unix socket",                   v2(0x21, 0x31, &[0; 216]),      Some(Header::Local)),
        ("datagrams",                     v2(0x21, 0x12, &ipv4),          None),
        ("unknown family",                v2(0x21, 0x41, &ipv4),          None),
        ("unknown command",               v2(0x22, 0x11, &ipv4),          None),
        ("version 1 in binary",           v2(0x11, 0x11, &ipv4),          None),
        ("addresses cut short",           v2(0x21, 0x11, &ipv4[..11]),    None),
        ("IPv6 with room for IPv4",       v2(0x21, 0x21, &ipv4),          None),
        ("more than anybody needs",       v2(0x21, 0x11, &[0; 4_081]),    None),
        ("exactly at the limit",          v2(0x20, 0x00, &[0; 4_080]),    Some(Header::Local)),
    ];
    for (shows, input, expected) in cases {
        let got = match parse(&input) {
            Ok(Parsed::Complete { len, header }) if len == input.len() => Some(header),
            Ok(other) => panic!("{shows}: {other:?}"),
            Err(_) => None,
        };
        assert_eq!(got, expected, "{shows}");
    }
}

#[test]
fn a_line_without_end_is_given_up() {
    let mut line = b"PROXY UNKNOWN ".to_vec();
    line.resize(V1_MAX - 1, b'x');
    assert!(matches!(parse(&line), Ok(Parsed::Incomplete(_))));
    line.push(b'x');
    assert!(matches!(parse(&line), Err(ProxyError::Malformed(_))));
}

fn headers() -> impl Strategy<Value = (Vec<u8>, Header)> {
    let ipv4 = (any::<[u8; 4]>(), any::<[u8; 4]>()).prop_map(|(a, b)| (IpAddr::from(a), IpAddr::from(b)));
    let ipv6 = (any::<[u8; 16]>(), any::<[u8; 16]>()).prop_map(|(a, b)| (IpAddr::from(a), IpAddr::from(b)));
    let addresses = prop_oneof![ipv4, ipv6];
    let extensions = proptest::collection::vec(any::<u8>(), 0..64);
    (addresses, any::<u16>(), any::<u16>(), any::<bool>(), extensions).prop_map(
        |((from, to), from_port, to_port, text, extensions)| {
            let header = proxied((from, from_port), (to, to_port));
            let written = if text {
                let family = if from.is_ipv4() { "TCP4" } else { "TCP6" };
                format!("PROXY {family} {from} {to} {from_port} {to_port}\r\n").into_bytes()
            } else {
                let mut body = Vec::new();
                for address in [from, to] {
                    match address {
                        IpAddr::V4(ip) => body.extend(ip.octets()),
                        IpAddr::V6(ip) => body.extend(ip.octets()),
                    }
                }
                body.extend(from_port.to_be_bytes());
                body.extend(to_port.to_be_bytes());
                body.extend(extensions);
                v2(0x21, if from.is_ipv4() { 0x11 } else { 0x21 }, &body)
            };
            (written, header)
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read_and_no_more((written, header) in headers(), rest: Vec<u8>) {
        let mut input = written.clone();
        input.extend(rest);
        let parsed = parse(&input).unwrap();
        prop_assert_eq!(parsed, Parsed::Complete { len: written.len(), header });
    }

    #[test]
    fn a_cut_header_asks_for_more_but_not_too_much((written, _) in headers(), cut: prop::sample::Index) {
        let cut = cut.index(written.len());
        match parse(written.get(..cut).unwrap()).unwrap() {
            Parsed::Incomplete(least) => prop_assert!(least > cut && least <= written.len()),
            complete => prop_assert!(false, "{complete:?} after {cut} octets"),
        }
    }

    #[test]
    fn no_input_is_too_odd(start in 0..3_usize, mut input: Vec<u8>) {
        let start = [&b""[..], V1_START, V2_START][start];
        input.splice(..0, start.iter().copied());
        match parse(&input) {
            Ok(Parsed::Complete { len, .. }) => prop_assert!(len <= input.len()),
            Ok(Parsed::Incomplete(least)) => prop_assert!(least > input.len() && least <= HEADER_MAX),
            Err(_) => {}
        }
    }
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = crate::listen::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let (client, server) = tokio::join!(
        TcpStream::connect(address),
        crate::listen::accept(&listener, |_| {})
    );
    let client = client.unwrap();
    client.set_nodelay(true).unwrap();
    (client, server.unwrap().0)
}

const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn not_one_octet_beyond_the_header() {
    let long = v2(0x20, 0, &[7; 1_000]);
    for header in [
        &b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 25\r\n"[..],
        b"PROXY UNKNOWN\r\n",
        &long,
    ] {
        let (mut client, mut server) = pair().await;
        client.write_all(header).await.unwrap();
        client.write_all(b"EHLO me\r\n").await.unwrap();
        read_header(&server, PATIENCE).await.unwrap();
        let mut rest = [0; 9];
        server.read_exact(&mut rest).await.unwrap();
        assert_eq!(&rest, b"EHLO me\r\n");
    }
}

#[tokio::test]
async fn a_header_in_pieces() {
    let (mut client, mut server) = pair().await;
    let feeder = tokio::spawn(async move {
        for octet in b"PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\nQ" {
            client.write_all(&[*octet]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        client
    });
    let header = read_header(&server, PATIENCE).await.unwrap();
    assert_eq!(header, between("[2001:db8::1]:1", "[2001:db8::2]:65535"));
    assert_eq!(server.read_u8().await.unwrap(), b'Q');
    drop(feeder.await.unwrap());
}

#[tokio::test]
async fn silence_and_departure_end_the_wait() {
    let (_client, server) = pair().await;
    tokio::time::pause();
    let begun = tokio::time::Instant::now();
    let silent = read_header(&server, PATIENCE).await;
    assert!(matches!(silent, Err(ProxyError::Timeout(_))));
    let took = begun.elapsed();
    assert!(
        PATIENCE <= took && took < PATIENCE + Duration::from_millis(2),
        "{took:?}"
    );
    tokio::time::resume();

    let (mut client, server) = pair().await;
    client.write_all(b"PROXY TC").await.unwrap();
    drop(client);
    let gone = read_header(&server, PATIENCE).await;
    assert!(matches!(gone, Err(ProxyError::Lost(_))));
}
