//! The plan of a delivery, in tables.

use super::*;

fn facts<'a>() -> Facts<'a> {
    Facts {
        way: Way::default(),
        tlsa: Tlsa::Unasked,
        tls: TlsLevel::Opportunistic,
        verify: false,
        pinned: false,
        host: HostDemand::Nothing,
        login: false,
        outside: true,
        listeners: &[],
        exempt: &[],
        is_own: &|_| false,
        breaks_by_tls: &|_| false,
        is_tried: &|_| false,
    }
}

#[test]
fn what_the_name_of_a_host_demands() {
    use Certificate::{Any, Valid};
    use HostDemand::{Always, Never, Verified};
    use TlsLevel::{Implicit, None as No, Opportunistic, Required};
    #[rustfmt::skip]
    let cases = [
        // what the case shows                    level          the name   login  how TLS begins   certificate  by whose demand
        ("no mail without it",                    Opportunistic, Always,    false, Tls::StartTls,   Any,         Demand::Host),
        ("nor with another's certificate",        Opportunistic, Verified,  false, Tls::StartTls,   Valid,       Demand::Host),
        ("whatever the route thinks of it",       No,            Always,    false, Tls::StartTls,   Any,         Demand::Host),
        ("a route that demands more",             Required,      Verified,  false, Tls::StartTls,   Valid,       Demand::Route),
        ("from the first octet on",               Implicit,      Verified,  false, Tls::Implicit,   Valid,       Demand::Route),
        ("never",                                 Opportunistic, Never,     false, Tls::Never,      Any,         Demand::Host),
        ("but where the route demands it",        Required,      Never,     false, Tls::StartTls,   Any,         Demand::Route),
        ("nor for a login",                       Opportunistic, Never,     true,  Tls::IfOffered,  Any,         Demand::Login),
    ];
    for (shows, tls, host, login, begins, certificate, demand) in cases {
        let facts = Facts {
            tls,
            host,
            login,
            ..facts()
        };
        let first = Try {
            tls: begins,
            certificate,
            demand,
        };
        assert_eq!(tries(&facts, false, false), Ok((first, None)), "{shows}");
    }
}

#[test]
fn how_much_tls_and_by_whose_demand() {
    use Certificate::{Any, Valid};
    use TlsLevel::{Implicit, None as No, Opportunistic, Required};
    let one = |tls, certificate, demand| {
        (
            Try {
                tls,
                certificate,
                demand,
            },
            None,
        )
    };
    let clear = Try {
        tls: Tls::Never,
        certificate: Any,
        demand: Demand::Failure,
    };
    let both = (
        Try {
            tls: Tls::IfOffered,
            certificate: Any,
            demand: Demand::Nobody,
        },
        Some(clear),
    );
    #[rustfmt::skip]
    let cases = [
        // what the case shows                        level          verify  login  socket breaks  the tries
        ("a wish",                                    Opportunistic, false,  false, false, false,  both),
        ("a wish verifies nothing",                   Opportunistic, true,   false, false, false,  both),
        ("not with a host that breaks by it",         Opportunistic, false,  false, false, true,   one(Tls::Never, Any, Demand::Memory)),
        ("a login is not given away",                 Opportunistic, false,  true,  false, false,  one(Tls::IfOffered, Any, Demand::Login)),
        ("nor where the host breaks",                 Opportunistic, false,  true,  false, true,   one(Tls::IfOffered, Any, Demand::Login)),
        ("never",                                     No,            false,  false, false, false,  one(Tls::Never, Any, Demand::Route)),
        ("required",                                  Required,      false,  false, false, false,  one(Tls::StartTls, Any, Demand::Route)),
        ("required of a host that breaks by it",      Required,      false,  false, false, true,   one(Tls::StartTls, Any, Demand::Route)),
        ("required and verified",                     Required,      true,   false, false, false,  one(Tls::StartTls, Valid, Demand::Route)),
        ("from the first octet on",                   Implicit,      true,   false, false, false,  one(Tls::Implicit, Valid, Demand::Route)),
        ("a socket has need of none",                 Required,      true,   false, true,  false,  one(Tls::Never, Any, Demand::Socket)),
    ];
    for (shows, tls, verify, login, socket, breaks, expected) in cases {
        let facts = Facts {
            tls,
            verify,
            login,
            ..facts()
        };
        assert_eq!(tries(&facts, socket, breaks), Ok(expected), "{shows}");
    }
}

#[test]
fn fingerprints_of_a_route_count_in_place_of_all_else() {
    use TlsLevel::{Implicit, Required};
    #[rustfmt::skip]
    let cases = [
        // what the case shows                  level     verify  the name of the host   how TLS begins
        ("by STARTTLS",                         Required, true,   HostDemand::Nothing,   Tls::StartTls),
        ("from the first octet on",             Implicit, true,   HostDemand::Nothing,   Tls::Implicit),
        ("without a name that could be valid",  Required, false,  HostDemand::Nothing,   Tls::StartTls),
        ("stricter than a valid name",          Required, true,   HostDemand::Verified,  Tls::StartTls),
        ("whatever the name demands",           Required, true,   HostDemand::Never,     Tls::StartTls),
    ];
    for (shows, tls, verify, host, begins) in cases {
        let facts = Facts {
            tls,
            verify,
            pinned: true,
            host,
            ..facts()
        };
        let first = Try {
            tls: begins,
            certificate: Certificate::Pinned,
            demand: Demand::Route,
        };
        assert_eq!(tries(&facts, false, true), Ok((first, None)), "{shows}");
    }
}

#[test]
fn which_addresses_are_tried() {
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let own = |address: IpAddr| address == "198.51.100.9".parse::<IpAddr>().unwrap();
    let tried = |endpoint: &Endpoint| *endpoint == Endpoint::Tcp("192.0.2.2:25".parse().unwrap());
    let listeners = ["127.0.0.1:25".parse().unwrap(), "0.0.0.0:587".parse().unwrap()];
    let exempt = ["10.0.0.0/8".parse().unwrap(), "198.51.100.8/29".parse().unwrap()];
    let here = |text: &str| Err(text.to_owned());
    #[rustfmt::skip]
    let cases = [
        // what the case shows                    hop                 addresses found                     outside exempt  what is tried
        ("in the order of DNS",                   "mx.test:25",       vec!["192.0.2.1", "192.0.2.3"],     true,   false,  Ok(vec!["192.0.2.1:25", "192.0.2.3:25"])),
        ("not once more",                         "mx.test:25",       vec!["192.0.2.2", "192.0.2.3"],     true,   false,  Ok(vec!["192.0.2.3:25"])),
        ("its own address",                       "mx.test:25",       vec!["192.0.2.1", "198.51.100.9"],  true,   false,  here("198.51.100.9 is its own address")),
        ("which a route may name",                "mx.test:25",       vec!["198.51.100.9"],               false,  false,  Ok(vec!["198.51.100.9:25"])),
        ("or a laboratory",                       "mx.test:25",       vec!["198.51.100.9"],               true,   true,   Ok(vec!["198.51.100.9:25"])),
        ("where it listens",                      "mx.test:25",       vec!["127.0.0.1"],                  false,  false,  here("it listens on 127.0.0.1:25")),
        ("where it listens on all addresses",     "mx.test:587",      vec!["198.51.100.9"],               false,  false,  here("it listens on 198.51.100.9:587")),
        ("another port of this host",             "127.0.0.1:2525",   vec!["127.0.0.1"],                  false,  false,  Ok(vec!["127.0.0.1:2525"])),
        ("loopback by DNS",                       "mx.test:2525",     vec!["127.0.0.1"],                  true,   false,  here("unreachable")),
        ("loopback among others",                 "mx.test:2525",     vec!["127.0.0.1", "192.0.2.1"],     true,   false,  Ok(vec!["192.0.2.1:2525"])),
        ("nothing found",                         "mx.test:25",       vec![],                             true,   false,  Ok(vec![])),
        ("a socket",                              "unix:/run/lmtp",   vec![],                             false,  false,  Ok(vec!["/run/lmtp"])),
    ];
    for (shows, hop, found, outside, laboratory, expected) in cases {
        let found: Vec<IpAddr> = found.into_iter().map(ip).collect();
        let facts = Facts {
            outside,
            listeners: &listeners,
            exempt: if laboratory { &exempt } else { &[] },
            is_own: &own,
            is_tried: &tried,
            ..facts()
        };
        let planned = candidates(&Hop::parse(hop, 25).unwrap(), &found, &facts);
        let shown = match planned {
            Ok(candidates) => Ok(candidates
                .into_iter()
                .map(|candidate| match candidate.to {
                    Endpoint::Tcp(address) => address.to_string(),
                    Endpoint::Unix(path) => path.display().to_string(),
                })
                .collect::<Vec<_>>()),
            Err(NoWay::Ourselves(why)) => Err(why),
            Err(NoWay::Unreachable(_)) => Err("unreachable".to_owned()),
            Err(other) => panic!("{shows}: {other:?}"),
        };
        let expected = expected.map(|list| list.into_iter().map(str::to_owned).collect());
        assert_eq!(shown, expected, "{shows}");
    }
}

#[test]
fn what_tlsa_records_demand() {
    use Proof::{Bogus, Indeterminate, Insecure, Secure};
    use TlsLevel::{Dane, DaneOnly, Opportunistic};
    let try_of = |tls, certificate, demand| Try {
        tls,
        certificate,
        demand,
    };
    let wish = || {
        let clear = try_of(Tls::Never, Certificate::Any, Demand::Failure);
        Ok((
            try_of(Tls::IfOffered, Certificate::Any, Demand::Nobody),
            Some(clear),
        ))
    };
    let dane = |certificate| Ok((try_of(Tls::StartTls, certificate, Demand::Dane), None));
    let (named, any) = (|| dane(Certificate::Named), || dane(Certificate::Any));
    let none = |why| Err(NoWay::NoDane(why));
    let unknown = || Tlsa::Unknown("no answer".to_owned());
    let delayed = || Err(NoWay::TlsaUnknown("no answer".to_owned()));
    let (proven, by_hand) = ((Some(Secure), Some(Secure)), (None, Some(Secure)));
    #[rustfmt::skip]
    let cases = [
        // what the case shows                        level          MX and addresses                       TLSA              the tries
        ("a name that can be held to",                Dane,          proven,                                Tlsa::Usable,     named()),
        ("a host of a route",                         Dane,          by_hand,                               Tlsa::Usable,     named()),
        ("MX records that may be forged",             Dane,          (Some(Insecure), Some(Secure)),        Tlsa::Usable,     named()),
        ("TLS for sure, and anybody's",               Dane,          proven,                                Tlsa::Unusable,   any()),
        ("no records",                                Dane,          proven,                                Tlsa::None,       wish()),
        ("an unsigned host",                          Dane,          (Some(Secure), Some(Insecure)),        Tlsa::Unasked,    wish()),
        ("no DNS",                                    Dane,          (None, None),                          Tlsa::Unasked,    wish()),
        ("records that cannot be had: never without", Dane,          proven,                                unknown(),        delayed()),
        ("only with a name",                          DaneOnly,      proven,                                Tlsa::Usable,     named()),
        ("only by proven MX records",                 DaneOnly,      (Some(Insecure), Some(Secure)),        Tlsa::Usable,     none(NoDane::Mx(Insecure))),
        ("only by MX records of the DNS",             DaneOnly,      (Some(Indeterminate), Some(Secure)),   Tlsa::Usable,     none(NoDane::Mx(Indeterminate))),
        ("only by proven addresses",                  DaneOnly,      (Some(Secure), Some(Insecure)),        Tlsa::Unasked,    none(NoDane::Addresses(Insecure))),
        ("not by an address",                         DaneOnly,      (None, None),                          Tlsa::Unasked,    none(NoDane::Nameless)),
        ("only with records",                         DaneOnly,      proven,                                Tlsa::None,       none(NoDane::NoRecords)),
        ("only with records that can be used",        DaneOnly,      proven,                                Tlsa::Unusable,   none(NoDane::Unusable)),
        ("cannot be had",                             DaneOnly,      by_hand,                               unknown(),        delayed()),
        ("a route without DANE",                      Opportunistic, proven,                                Tlsa::Usable,     wish()),
    ];
    for (shows, tls, (mx, addresses), tlsa, expected) in cases {
        let way = Way { mx, addresses };
        let facts = Facts {
            tls,
            way,
            tlsa,
            ..facts()
        };
        assert_eq!(tries(&facts, false, false), expected, "{shows}");
        let socket = try_of(Tls::Never, Certificate::Any, Demand::Socket);
        assert_eq!(
            tries(&facts, true, false),
            Ok((socket, None)),
            "{shows}: a socket of this host"
        );
    }
    for (shows, tls, addresses, wanted) in [
        ("proven", Dane, Some(Secure), true),
        ("demanded", DaneOnly, Some(Secure), true),
        ("unsigned", Dane, Some(Insecure), false),
        ("nobody has looked", Dane, Some(Indeterminate), false),
        ("contradicted", Dane, Some(Bogus), false),
        ("an address", Dane, None, false),
        ("no DANE", Opportunistic, Some(Secure), false),
    ] {
        let way = Way { mx: None, addresses };
        assert_eq!(wants_tlsa(tls, way), wanted, "{shows}");
    }
}

#[test]
fn how_far_a_way_is_proven() {
    use Proof::{Insecure, Secure};
    #[rustfmt::skip]
    let cases = [
        (None,           None,           None),
        (None,           Some(Secure),   Some(Secure)),
        (Some(Secure),   None,           Some(Secure)),
        (Some(Secure),   Some(Insecure), Some(Insecure)),
        (Some(Insecure), Some(Secure),   Some(Insecure)),
    ];
    for (mx, addresses, whole) in cases {
        assert_eq!(Way { mx, addresses }.whole(), whole, "{mx:?} {addresses:?}");
    }
}
