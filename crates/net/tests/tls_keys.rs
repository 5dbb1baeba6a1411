//! Keys and certificates as the openssl command makes them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use postern_net::tls::{ServerTls, TlsError, TlsIdentityFiles, TlsWarning};
use postern_trust::TrustError;
use support::{Bench, EC, RSA};

/// Makes `k.crt` for the key in `made.key`, so that both can be loaded together.
fn load(bench: &Bench, key: &str, passphrase: Option<&str>) -> Result<ServerTls, TlsError> {
    let passphrase_file = passphrase.map(|text| bench.write("phrase", &format!("{text}\n")));
    let files = TlsIdentityFiles {
        certificate: bench.path("k.crt"),
        key: bench.path(key),
        passphrase_file,
    };
    let settings = postern_net::tls::ServerTlsSettings {
        identities: vec![files],
        ..Default::default()
    };
    ServerTls::load(&settings)
}

fn self_signed(bench: &Bench, key: &str) {
    bench.openssl(&format!(
        "req -x509 -key {key} -out k.crt -subj /CN=k.test -days 9 -passin pass:open~sesame"
    ));
    bench.chmod(key, 0o600);
}

#[test]
fn key_forms() {
    #[rustfmt::skip]
    let cases = [
        // what the case shows               how openssl makes it
        ("PKCS #8, RSA",                     "genrsa -out made.key 2048"),
        ("PKCS #1",                          "genrsa -traditional -out made.key 2048"),
        ("PKCS #8, P-256",                   "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out made.key"),
        ("SEC 1 with its parameters before", "ecparam -name prime256v1 -genkey -out made.key"),
        ("SEC 1, P-384",                     "ecparam -name secp384r1 -genkey -noout -out made.key"),
        ("Ed25519",                          "genpkey -algorithm ED25519 -out made.key"),
        ("encrypted by genrsa",              "genrsa -aes256 -passout pass:open~sesame -out made.key 2048"),
        ("encrypted by genpkey",             "genpkey -algorithm RSA -aes-128-cbc -pass pass:open~sesame -out made.key"),
    ];
    for (shows, line) in cases {
        let bench = Bench::new();
        bench.openssl(line);
        self_signed(&bench, "made.key");
        let loaded = load(&bench, "made.key", Some("open sesame"));
        assert!(loaded.is_ok(), "{shows}: {}", loaded.unwrap_err());
        assert_eq!(
            loaded.unwrap().identities().first().unwrap().names,
            ["k.test"],
            "{shows}"
        );
    }
}

#[test]
fn encryption_methods_of_pkcs8() {
    let bench = Bench::new();
    bench.openssl("genrsa -out plain.key 2048");
    self_signed(&bench, "plain.key");
    #[rustfmt::skip]
    let cases = [
        // what the case shows               how openssl pkcs8 -topk8 is told      outcome
        ("default (AES-256, SHA-256)",       "",                                   "ok"),
        ("AES-128",                          "-v2 aes-128-cbc",                    "ok"),
        ("SHA-1 as in old versions",         "-v2 aes-256-cbc -v2prf hmacWithSHA1", "ok"),
        ("SHA-512",                          "-v2 aes-256-cbc -v2prf hmacWithSHA512", "ok"),
        ("triple DES",                       "-v2 des3",                           "ok"),
        ("scrypt",                           "-scrypt",                            "ok"),
        ("PKCS #12's method",                "-v1 PBE-SHA1-3DES",                  "outdated"),
    ];
    for (shows, line, outcome) in cases {
        bench.openssl(&format!(
            "pkcs8 -topk8 -in plain.key -out made.key -passout pass:open~sesame {line}"
        ));
        bench.chmod("made.key", 0o600);
        let right = match load(&bench, "made.key", Some("open sesame")) {
            Ok(_) => "ok",
            Err(TlsError::OutdatedEncryption { .. }) => "outdated",
            Err(other) => panic!("{shows}: {other}"),
        };
        assert_eq!(right, outcome, "{shows}");
        if outcome == "ok" {
            let wrong = load(&bench, "made.key", Some("guess")).unwrap_err();
            assert!(
                matches!(wrong, TlsError::PassphraseWrong { .. }),
                "{shows}: {wrong}"
            );
            let none = load(&bench, "made.key", None).unwrap_err();
            assert!(
                matches!(none, TlsError::PassphraseMissing { .. }),
                "{shows}: {none}"
            );
        }
    }
}

#[test]
fn the_remedies_work() {
    let bench = Bench::new();
    bench.openssl("genrsa -traditional -aes256 -passout pass:open~sesame -out old.key 2048");
    self_signed(&bench, "old.key");
    let legacy = load(&bench, "old.key", Some("open sesame")).unwrap_err();
    assert!(matches!(legacy, TlsError::LegacyEncryption { .. }), "{legacy}");
    let remedy = legacy.to_string();
    let (_, command) = remedy.split_once("convert it with: openssl ").unwrap();
    let command = command.replace("NEW", "new.key");
    bench.openssl(&format!(
        "{command} -passin pass:open~sesame -passout pass:open~sesame"
    ));
    assert!(load(&bench, "new.key", Some("open sesame")).is_ok());

    bench.chmod("new.key", 0o660);
    let exposed = load(&bench, "new.key", Some("open sesame"))
        .unwrap_err()
        .to_string();
    let key = bench.path("new.key").display().to_string();
    assert!(exposed.ends_with(&format!("chmod 600 {key}")), "{exposed}");
    assert!(exposed.contains("0660"), "{exposed}");
    bench.chmod("new.key", 0o600);
    bench.write("phrase", "open sesame\n");
    bench.chmod("phrase", 0o644);
    let files = TlsIdentityFiles {
        certificate: bench.path("k.crt"),
        key: bench.path("new.key"),
        passphrase_file: Some(bench.path("phrase")),
    };
    let settings = postern_net::tls::ServerTlsSettings {
        identities: vec![files],
        ..Default::default()
    };
    let exposed = ServerTls::load(&settings).unwrap_err().to_string();
    assert!(
        exposed.contains("phrase") && exposed.contains("chmod 600"),
        "{exposed}"
    );
}

#[test]
fn files_that_do_not_fit() {
    let bench = Bench::new();
    bench.openssl("genrsa -out good.key 2048");
    self_signed(&bench, "good.key");
    bench.openssl("genrsa -out weak.key 1024");
    bench.openssl("pkey -in good.key -outform DER -out der.key");
    bench.openssl("genrsa -out other.key 2048");
    bench.write("empty.key", "");
    bench.write(
        "text.key",
        "-----BEGIN PRIVATE KEY-----\nnot base64!\n-----END PRIVATE KEY-----\n",
    );
    bench.write("blank-phrase", "\n");
    for key in ["weak.key", "der.key", "other.key"] {
        bench.chmod(key, 0o600);
    }
    #[rustfmt::skip]
    let cases = [
        // what the case shows      key file        words of the error
        ("another key",             "other.key",    "does not belong to the first certificate"),
        ("DER",                     "der.key",      "openssl pkey -inform DER"),
        ("empty",                   "empty.key",    "no private key"),
        ("no base64",               "text.key",     "cannot use the private key"),
        ("missing",                 "missing.key",  "cannot read"),
        ("a certificate instead",   "k.crt",        "can be read or changed by others"),
        ("1,024 bits",              "weak.key",     "RSA of 2048 to 8192 bits"),
    ];
    for (shows, key, text) in cases {
        let error = load(&bench, key, None).unwrap_err().to_string();
        assert!(error.contains(text), "{shows}: {error}");
    }

    let mut files = bench.files("good");
    files.certificate = bench.path("good.key");
    let settings = |files| postern_net::tls::ServerTlsSettings {
        identities: vec![files],
        ..Default::default()
    };
    let error = ServerTls::load(&settings(files)).unwrap_err();
    assert!(
        matches!(error, TlsError::Trust(TrustError::NoCertificate { .. })),
        "{error}"
    );
    let error = ServerTls::load(&Default::default()).unwrap_err();
    assert!(matches!(error, TlsError::NoIdentity), "{error}");
    let error = load(&bench, "good.key", Some("")).unwrap_err();
    assert!(error.to_string().contains("passphrase is empty"), "{error}");
}

#[test]
fn a_certificate_out_of_its_time_is_a_warning() {
    let bench = Bench::new();
    bench.ca("ca");
    bench.certificate("host", "ca", "/CN=host.test", RSA, "subjectAltName=DNS:host.test");
    bench.certificate("more", "ca", "/CN=more.test", EC, "subjectAltName=DNS:more.test");
    let tls = bench.server(&["host", "more"], None);
    let now = jiff::Timestamp::now();
    let days = |count: i64| jiff::SignedDuration::from_hours(24 * count);
    assert_eq!(tls.warnings(now), []);
    let later = tls.warnings(now + days(21));
    assert!(
        matches!(
            later.as_slice(),
            [TlsWarning::Expired { .. }, TlsWarning::Expired { .. }]
        ),
        "{later:?}"
    );
    assert!(
        later.first().unwrap().to_string().contains("host.crt"),
        "{later:?}"
    );
    let earlier = tls.warnings(now - days(1));
    assert!(
        matches!(earlier.first(), Some(TlsWarning::NotYetValid { .. })),
        "{earlier:?}"
    );
}
