//! For whom an NTLM response was made: the channel and the server that the client has seen (MS-NLMP section 3.2.5.1.2). Someone
//! who relays a client's response to another server can change neither.

use md5::{Digest, Md5};
use subtle::ConstantTimeEq;

use crate::context::{ChannelBindings, END_POINT, EXPORTER};

/// What Windows clients write for SMTP, besides the registered name.
const SERVICE_OF_WINDOWS: &str = "smtpsvc";

/// The service name that stands for a whole machine.
const SERVICE_OF_HOST: &str = "host";

/// Why a response was not made for this session. Each text is for the log.
pub(super) type Elsewhere = &'static str;

/// Checks the channel that a client has seen. It reported none if `said` is `None` or all zero.
///
/// The value is the MD5 hash of a `gss_channel_bindings_struct` without addresses (RFC 2744 section 3.11, in Windows' byte
/// order), whose data are those of RFC 5929 or RFC 9266.
pub(super) fn check_channel(said: Option<&[u8]>, channel: &ChannelBindings) -> Result<(), Elsewhere> {
    let Some(said) = said.filter(|said| said.iter().any(|&octet| octet != 0)) else {
        return Ok(());
    };
    let is_ours = [END_POINT, EXPORTER]
        .into_iter()
        .filter_map(|name| Some(sum(name, channel.by_name(name)?)))
        .any(|ours| bool::from(ours.as_slice().ct_eq(said)));
    match (is_ours, channel.is_empty()) {
        (true, _) => Ok(()),
        (false, true) => Err("the client has TLS with somebody else, and there is none here"),
        (false, false) => Err(
            "the client has TLS with somebody else, or binds in a way of its own; see `ntlm_channel_binding` in [auth]",
        ),
    }
}

/// The hash of the channel's data.
pub(super) fn sum(name: &str, data: &[u8]) -> [u8; 16] {
    // Kinds and lengths of the two addresses, all zero, then the data preceded by its length.
    let mut sum = Md5::new_with_prefix([0; 16]);
    let length = name.len() + 1 + data.len();
    sum.update(u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    sum.update(name);
    sum.update(":");
    sum.update(data);
    sum.finalize().into()
}

/// Checks the server that a client intended: `SERVICE/HOST`, which a port or more may follow. If `names` is empty, any host is
/// accepted.
pub(super) fn check_server(said: Option<&str>, service: &str, names: &[String]) -> Result<(), Elsewhere> {
    let Some(said) = said.filter(|said| !said.is_empty()) else {
        return Ok(());
    };
    let Some((for_service, rest)) = said.split_once('/') else {
        return Err("the client's target names no host");
    };
    let is_smtp = service.eq_ignore_ascii_case("smtp");
    let is_service = [service, SERVICE_OF_HOST, SERVICE_OF_WINDOWS]
        .into_iter()
        .filter(|name| is_smtp || *name != SERVICE_OF_WINDOWS)
        .any(|name| name.eq_ignore_ascii_case(for_service));
    if !is_service {
        return Err("the client's target is another service");
    }
    let whole = rest.split('/').next().unwrap_or_default();
    // A port follows a name, an IPv4 address, or an address in brackets.
    let host = match whole.rsplit_once(':') {
        Some((host, port))
            if port.bytes().all(|octet| octet.is_ascii_digit())
                && (host.ends_with(']') || !host.contains(':')) =>
        {
            host
        }
        _ => whole,
    };
    let bare = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .trim_end_matches('.');
    let is_ours = |name: &String| {
        [whole, host, bare]
            .iter()
            .any(|host| name.eq_ignore_ascii_case(host))
    };
    if names.is_empty() || names.iter().any(is_ours) {
        Ok(())
    } else {
        Err("the client's target is another server; `service_names` may list it")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels() {
        let end_point = ChannelBindings {
            server_end_point: Some(vec![7; 32]),
            exporter: None,
        };
        let both = ChannelBindings {
            exporter: Some([9; 32]),
            ..end_point.clone()
        };
        let none = ChannelBindings::default();
        let of_end_point = sum(END_POINT, &[7; 32]);
        let of_exporter = sum(EXPORTER, &[9; 32]);
        let unique = sum("tls-unique", &[7; 12]);
        #[rustfmt::skip]
        let cases = [
            // what the case shows              said                        channel      taken
            ("nothing, in TLS",                 None,                       &both,       true),
            ("nothing, outside TLS",            None,                       &none,       true),
            ("zeros, as Windows says nothing",  Some([0; 16].as_slice()),   &both,       true),
            ("the certificate's",               Some(&of_end_point),        &both,       true),
            ("the session's",                   Some(&of_exporter),         &both,       true),
            ("a session that has no exporter",  Some(&of_exporter),         &end_point,  false),
            ("what cannot be known here",       Some(&unique),              &both,       false),
            ("TLS with somebody in between",    Some(&of_end_point),        &none,       false),
            ("cut short",                       Some(&of_end_point[..15]),  &both,       false),
        ];
        for (shows, said, channel, taken) in cases {
            assert_eq!(check_channel(said, channel).is_ok(), taken, "{shows}");
        }
    }

    #[test]
    fn the_sum_of_a_known_channel() {
        // Two empty addresses, the length of the data, the data.
        let hash: Vec<u8> = (0..32).collect();
        let mut whole = vec![0; 16];
        whole.extend([53, 0, 0, 0]);
        whole.extend(b"tls-server-end-point:");
        whole.extend(&hash);
        assert_eq!(sum(END_POINT, &hash).as_slice(), Md5::digest(&whole).as_slice());
    }

    #[test]
    fn servers() {
        let names = [
            "mail.example".to_owned(),
            "192.0.2.1".to_owned(),
            "2001:db8::1".to_owned(),
        ];
        #[rustfmt::skip]
        let cases = [
            // what the case shows        said                            service  taken
            ("nothing",                   None,                           "smtp",  true),
            ("nothing, as Windows says",  Some(""),                       "smtp",  true),
            ("the registered service",    Some("smtp/mail.example"),      "smtp",  true),
            ("in capitals",               Some("SMTP/Mail.Example"),      "smtp",  true),
            ("that of Windows",           Some("SMTPSVC/mail.example"),   "smtp",  true),
            ("the machine",               Some("HOST/mail.example"),      "smtp",  true),
            ("with a port",               Some("smtp/mail.example:587"),  "smtp",  true),
            ("with a name behind",        Some("smtp/mail.example/x"),    "smtp",  true),
            ("with a dot",                Some("smtp/mail.example."),     "smtp",  true),
            ("an address",                Some("smtp/192.0.2.1:25"),      "smtp",  true),
            ("one of IPv6",               Some("smtp/2001:db8::1"),       "smtp",  true),
            ("in brackets, with a port",  Some("smtp/[2001:db8::1]:25"),  "smtp",  true),
            ("another server",            Some("smtp/evil.example"),      "smtp",  false),
            ("a name that begins alike",  Some("smtp/mail.example.evil"), "smtp",  false),
            ("another service",           Some("http/mail.example"),      "smtp",  false),
            ("no service",                Some("mail.example"),           "smtp",  false),
            ("no host",                   Some("smtp/"),                  "smtp",  false),
            ("a neighbour's service",     Some("imap/mail.example"),      "imap",  true),
            ("not by Windows' name",      Some("smtpsvc/mail.example"),   "imap",  false),
        ];
        for (shows, said, service, taken) in cases {
            assert_eq!(check_server(said, service, &names).is_ok(), taken, "{shows}");
        }
        assert!(
            check_server(Some("smtp/evil.example"), "smtp", &[]).is_ok(),
            "any name"
        );
    }
}
