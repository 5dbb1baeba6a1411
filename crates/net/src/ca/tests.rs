use super::*;

fn now() -> Timestamp {
    Timestamp::now()
}

#[test]
fn names_by_kind() {
    let long = format!("{}.test", "a".repeat(64));
    #[rustfmt::skip]
    let cases = [
        // what the case shows            name                    kind
        ("host",                          "mx.example.org",       "dns mx.example.org"),
        ("one label",                     "localhost",            "dns localhost"),
        ("upper case",                    "MX.Example.ORG",       "dns mx.example.org"),
        ("wildcard",                      "*.example.org",        "dns *.example.org"),
        ("IPv4",                          "192.0.2.1",            "ip 192.0.2.1"),
        ("IPv6",                          "2001:db8::1",          "ip 2001:db8::1"),
        ("mail address",                  "acaird@fccc.example",  "email acaird@fccc.example"),
        ("wildcard not in front",         "a.*.example.org",      "none"),
        ("almost IPv4",                   "192.0.2.256",          "none"),
        ("blank",                         "mx example",           "none"),
        ("empty",                         "",                     "none"),
        ("empty label",                   "mx..example",          "none"),
        ("hyphen in front",               "-mx.example",          "none"),
        ("beyond ASCII",                  "bücher.example",       "none"),
        ("label too long",                long.as_str(),          "none"),
        ("mail address without a local",  "@example.org",         "none"),
        ("line end",                      "mx.example\n",         "none"),
    ];
    for (shows, name, expected) in cases {
        let got = match alternative_name(name) {
            Some(SanType::DnsName(name)) => format!("dns {}", name.as_str()),
            Some(SanType::IpAddress(ip)) => format!("ip {ip}"),
            Some(SanType::Rfc822Name(name)) => format!("email {}", name.as_str()),
            _ => "none".to_owned(),
        };
        assert_eq!(got, expected, "{shows}");
    }
}

#[test]
fn what_is_issued_is_what_was_asked() {
    let now = now();
    let authority = Authority::create(&AuthorityRequest::new("Test CA, first"), now).unwrap();
    let request = CertificateRequest::new(vec!["mx.test".into(), "*.mx.test".into(), "192.0.2.1".into()]);
    let host = authority.issue(&request, now).unwrap();

    let ca = CertificateInfo::from_der(authority.credentials().certificate_der()).unwrap();
    assert_eq!(ca.subject, "CN=Test CA\\, first");
    assert_eq!(ca.issuer, ca.subject);
    assert!(ca.is_ca);
    assert_eq!(
        ca.not_after.as_second() - ca.not_before.as_second(),
        3_650 * 86_400 - 1
    );

    let host = CertificateInfo::from_der(host.certificate_der()).unwrap();
    assert_eq!(host.subject, "CN=mx.test");
    assert_eq!(host.issuer, ca.subject);
    assert_eq!(host.names, ["mx.test", "*.mx.test", "192.0.2.1"]);
    assert_eq!(host.key_type, "ECDSA P-256");
    assert!(!host.is_ca);
    assert_eq!(
        host.not_after.as_second() - host.not_before.as_second(),
        825 * 86_400 - 1
    );
    assert_ne!(host.serial, ca.serial);
}

#[test]
fn nothing_outlasts_its_authority() {
    let now = now();
    let brief = AuthorityRequest {
        days: 30,
        ..AuthorityRequest::new("Brief CA")
    };
    let authority = Authority::create(&brief, now).unwrap();
    let host = authority
        .issue(&CertificateRequest::new(vec!["mx.test".into()]), now)
        .unwrap();
    let host = CertificateInfo::from_der(host.certificate_der()).unwrap();
    assert_eq!(host.not_after.as_second(), authority.not_after().as_second());

    let later = Timestamp::from_second(now.as_second() + 31 * 86_400).unwrap();
    let refused = authority.issue(&CertificateRequest::new(vec!["mx.test".into()]), later);
    assert!(matches!(refused, Err(CaError::Expired(_))));
}

#[test]
fn requests_that_make_no_sense() {
    let authority = Authority::create(&AuthorityRequest::new("Test CA"), now()).unwrap();
    let refused = |request: CertificateRequest| authority.issue(&request, now()).unwrap_err();
    let named = |name: &str| CertificateRequest::new(vec![name.into()]);
    assert!(matches!(
        refused(CertificateRequest::new(Vec::new())),
        CaError::NameCount
    ));
    assert!(matches!(
        refused(CertificateRequest::new(vec!["a.test".into(); 101])),
        CaError::NameCount
    ));
    assert!(matches!(refused(named("no name")), CaError::BadName(_)));
    assert!(matches!(
        refused(CertificateRequest {
            days: 0,
            ..named("a.test")
        }),
        CaError::BadDays
    ));
    assert!(matches!(
        refused(CertificateRequest {
            days: 36_501,
            ..named("a.test")
        }),
        CaError::BadDays
    ));
    for name in ["", &"a".repeat(65)] {
        let refused = Authority::create(&AuthorityRequest::new(name), now()).unwrap_err();
        assert!(matches!(refused, CaError::BadCommonName), "{name:?}");
    }
}

#[test]
fn an_authority_comes_back_from_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("ca.crt"), folder.path().join("ca.key"));
    let authority = Authority::create(&AuthorityRequest::new("Test CA"), now()).unwrap();
    let passphrase = SecretString::from("correct horse");
    authority
        .credentials()
        .save(&certificate, &key, Some(&passphrase), Existing::Keep)
        .unwrap();

    let phrase_file = folder.path().join("phrase");
    file::write_private(&phrase_file, b"correct horse\n", Existing::Keep).unwrap();
    let again = Authority::load(&certificate, &key, Some(&phrase_file)).unwrap();
    assert_eq!(
        again.credentials().certificate_der(),
        authority.credentials().certificate_der()
    );
    again
        .issue(&CertificateRequest::new(vec!["mx.test".into()]), now())
        .unwrap();

    let without = Authority::load(&certificate, &key, None).unwrap_err();
    assert!(
        matches!(without, CaError::Load(TlsError::PassphraseMissing { .. })),
        "{without}"
    );
    file::write_private(&phrase_file, b"wrong\n", Existing::Replace).unwrap();
    let wrong = Authority::load(&certificate, &key, Some(&phrase_file)).unwrap_err();
    assert!(
        matches!(wrong, CaError::Load(TlsError::PassphraseWrong { .. })),
        "{wrong}"
    );

    let kept = authority
        .credentials()
        .save(&certificate, &key, None, Existing::Keep)
        .unwrap_err();
    assert!(kept.to_string().contains("not overwritten"), "{kept}");
}

#[test]
fn only_an_authority_issues() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let authority = Authority::create(&AuthorityRequest::new("Test CA"), now()).unwrap();
    authority
        .credentials()
        .save(&path("ca.crt"), &path("ca.key"), None, Existing::Keep)
        .unwrap();
    let host = authority
        .issue(&CertificateRequest::new(vec!["mx.test".into()]), now())
        .unwrap();
    host.save(&path("host.crt"), &path("host.key"), None, Existing::Keep)
        .unwrap();

    let host = Authority::load(&path("host.crt"), &path("host.key"), None).unwrap_err();
    assert!(matches!(host, CaError::NotAnAuthority(_)), "{host}");
    let mixed = Authority::load(&path("ca.crt"), &path("host.key"), None).unwrap_err();
    assert!(matches!(mixed, CaError::Mismatch), "{mixed}");
}
