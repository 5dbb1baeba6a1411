//! Stored passwords as written by other programs. Hashes of crypt(3) are from libxcrypt 4.4, `$apr1$` from OpenSSL.

use super::*;

const RULES: SchemeRules = SchemeRules {
    allow_plain: true,
    default_scheme: None,
};

fn verify(stored: &str, password: &str) -> Result<bool, SchemeError> {
    Stored::parse(stored, &RULES)?.verify(&SecretString::from(password))
}

/// What the case shows, and a stored form of `pass word`.
#[rustfmt::skip]
const OF_PASS_WORD: &[(&str, &str)] = &[
    ("LDAP, salted",                   "{SSHA}1LroAbwxLwoAOm7TqAm1WsYV9OJOYUNsMTIzNA=="),
    ("lower case name",                "{ssha}1LroAbwxLwoAOm7TqAm1WsYV9OJOYUNsMTIzNA=="),
    ("hexadecimal, Dovecot",           "{SSHA.HEX}d4bae801bc312f0a003a6ed3a809b55ac615f4e24e61436c31323334"),
    ("SHA-1 alone",                    "{SHA}2oguq15ANCGsJCWKX31fllwpyEk="),
    ("SHA-1 in hexadecimal",           "{SHA1.hex}DA882EAB5E403421AC24258A5F7D5F965C29C849"),
    ("SHA-256, salted",                "{SSHA256}Wcq/AeWNtQ+8RMUDObUumD/eyjZo66PIDTCNz3GAjbZOYUNsMTIzNA=="),
    ("SHA-256 alone",                  "{SHA256}eJgOJX9BJDf7+TQ3h7wA7FsQY2QpvAALKQEHM1sIl4Y="),
    ("SHA-512, salted",                "{SSHA512}+nL+lYwG7sMAOJ7/gWtwt/ghnLXnVckd8O82ArbyWO5yTELF4+3M9uNDy87W4YGpBUzarZhaAWhTXDgzF03H1U5hQ2wxMjM0"),
    ("SHA-512 alone",                  "{SHA512}Nq7XWhQpjD4VwA82iHbXmY8NSz1w7/A84XtT9npPaxW+U8Dt41vjbL2JY3A7kd5cgXmFPhhROfO9ihvprNn13A=="),
    ("MD5, salted",                    "{SMD5}FMrlLbacI4+hiY/zG7btD05hQ2wxMjM0"),
    ("MD5 in base64",                  "{LDAP-MD5}SsZDChfQIVswUrFch51IvA=="),
    ("MD5 in hexadecimal",             "{PLAIN-MD5}4ac6430a17d0215b3052b15c879d48bc"),
    ("MD5, as OpenLDAP writes it",     "{MD5}SsZDChfQIVswUrFch51IvA=="),
    ("MD5, as Dovecot means it",       "{MD5}$1$saltsalt$1K7dkhtbTNVUwUicA5kOT1"),
    ("MD5-crypt",                      "$1$saltsalt$1K7dkhtbTNVUwUicA5kOT1"),
    ("MD5-crypt without salt",         "$1$$jJtdJ/Tlr.pylZQFemrPm0"),
    ("Apache",                         "$apr1$saltsalt$qYpLAVWkBvXFyDme7.oc1/"),
    ("named",                          "{CRYPT}$1$saltsalt$1K7dkhtbTNVUwUicA5kOT1"),
    ("SHA-256-crypt",                  "$5$saltstring$Pr2/FkMue4pholsRSwxlRcDhMiu2AJpqw6sz37HLBXB"),
    ("SHA-256-crypt with rounds",      "{SHA256-CRYPT}$5$rounds=1400$anotherlongsalts$ovaM8vCalR0nGbVzYGGcjEuTQD8eTmgp0y2i6NKAxWB"),
    ("SHA-512-crypt",                  "{CRYPT}$6$saltstring$BLjMLrKPyfKBxh3hSPxqEOXfTCQzk3Cc4tfCYH5UnyvNu9oxNRVffkaQZJMzoNKe9XNggyY70IqAMh4BaAXA70"),
    ("SHA-512-crypt with rounds",      "$6$rounds=10000$saltstringsaltst$SVR33AEvQY8t8.7VuT5l2oOFJobYgOb891MWW2h7sw1GkljW2xbdiRPF4cN4fkxajgq4.rNFIzVzv9K9V3bbm."),
    ("bcrypt 2a",                      "$2a$05$abcdefghijklmnopqrstuuIt/9/tGzLcigNq/.RWIDjeEVR30RSf."),
    ("bcrypt 2b",                      "{BLF-CRYPT}$2b$05$abcdefghijklmnopqrstuuIt/9/tGzLcigNq/.RWIDjeEVR30RSf."),
    ("bcrypt 2y, as htpasswd -B",      "$2y$05$abcdefghijklmnopqrstuuIt/9/tGzLcigNq/.RWIDjeEVR30RSf."),
    ("yescrypt, small",                "$y$j75$saltsaltsaltsalt$bP4ROZNNOONkXQZR4jnIZg1/XgckZkMJiQlFtpVp3W9"),
    ("yescrypt, as Debian's shadow",   "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$DcS0yCB.VY4yTlrXiTovbzS4phAxmMac1MZ2vQAHZq0"),
    ("PBKDF2, as Dovecot",             "{PBKDF2}$1$NaCl1234$1000$2c34c19db981defd5f20525f85652bd5374d8b73"),
    ("PBKDF2, as OpenLDAP",            "{PBKDF2}1000$TmFDbDEyMzQ$LDTBnbmB3v1fIFJfhWUr1TdNi3M"),
    ("PBKDF2 with SHA-256",            "{PBKDF2-SHA256}1000$TmFDbDEyMzQ$eKAWHpxzNON.bsRr/GPAB5W32kjesnSOzXeFx.SgEeg"),
    ("PBKDF2 with SHA-512, passlib",   "$pbkdf2-sha512$1000$TmFDbDEyMzQ$6hXloaGLVG98N2aC6FbTyI7COmLBP62kRuE7aPnMD2ipe5yc3A4QrY6r7VjhkaS.4o/z9rEWGx6HoI0/6ElBMA"),
    ("PBKDF2 with SHA-1, passlib",     "$pbkdf2$1000$TmFDbDEyMzQ$LDTBnbmB3v1fIFJfhWUr1TdNi3M"),
    ("SCRAM, as Dovecot",              "{SCRAM-SHA-256}4096,TmFDbDEyMzQ=,SnSc1n+GWwi0YT31QmWlTBrfdNorP7c2U7JKP8YQ4Ms=,7AOsKR6mflbQm0K5OMjrns6mF8SyIg3G2qOt+06SpaI="),
    ("SCRAM with SHA-1",               "{SCRAM-SHA-1}4096,TmFDbDEyMzQ=,ZQXj18rZ5n9qmVLXI8yPToZgSz8=,YthOalrPL33/1Ja6BpOK9PhQ1PY="),
    ("SCRAM, as PostgreSQL",           "SCRAM-SHA-256$4096:TmFDbDEyMzQ=$SnSc1n+GWwi0YT31QmWlTBrfdNorP7c2U7JKP8YQ4Ms=:7AOsKR6mflbQm0K5OMjrns6mF8SyIg3G2qOt+06SpaI="),
    ("clear text",                     "{PLAIN}pass word"),
    ("clear text, other name",         "{cleartext}pass word"),
];

#[test]
fn every_scheme_takes_its_password_and_no_other() {
    for (shows, stored) in OF_PASS_WORD {
        assert_eq!(verify(stored, "pass word"), Ok(true), "{shows}");
        for wrong in ["pass word ", "Pass word", "", "pass"] {
            assert_eq!(verify(stored, wrong), Ok(false), "{shows}: {wrong:?}");
        }
    }
}

#[test]
fn argon2_of_every_kind() {
    use argon2::password_hash::{PasswordHasher, SaltString};
    use argon2::{Algorithm, Argon2, Params, Version};
    let salt = SaltString::encode_b64(b"saltsaltsaltsalt").unwrap();
    for algorithm in [Algorithm::Argon2d, Algorithm::Argon2i, Algorithm::Argon2id] {
        let argon2 = Argon2::new(algorithm, Version::V0x13, Params::new(64, 2, 2, None).unwrap());
        let stored = argon2.hash_password(b"pass word", &salt).unwrap().to_string();
        assert_eq!(verify(&stored, "pass word"), Ok(true), "{stored}");
        assert_eq!(verify(&stored, "password"), Ok(false), "{stored}");
        assert_eq!(
            verify(&format!("{{ARGON2ID}}{stored}"), "pass word"),
            Ok(true),
            "{stored}"
        );
    }
}

#[test]
fn passwords_at_the_borders() {
    let long = "x".repeat(80);
    let cut = "x".repeat(72);
    let bcrypt = "$2y$05$abcdefghijklmnopqrstuujf8SX2ahXLwp9w/B.Y5XdysS6yR576q";
    #[rustfmt::skip]
    let cases = [
        ("above ASCII",                     "$y$j75$saltsaltsaltsalt$G/GSSyHFKoodBtWQYzJGE1QYFTtKC2kDaKxOl/97sX0", "größe", true),
        ("the empty one",                   "$6$x$QSmr1Bx2g4O6BzKvdkgOcyU6H91X6I/XBv5pSalMhSPkwdH6Beo3F455xZJg0v//bxVK5F4OE5k1.0xuR26MK0", "", true),
        ("the empty one, by Apache",        "$apr1$x$tMwYqBfQwi3FYAr0aJc8M/", "", true),
        ("bcrypt counts 72 octets",         bcrypt, &long, true),
        ("so these are the same",           bcrypt, &cut, true),
        ("and this is not",                 bcrypt, &cut[..71], false),
        ("SCRAM prepares: a soft hyphen",   "{SCRAM-SHA-1}4096,TmFDbDEyMzQ=,ZQXj18rZ5n9qmVLXI8yPToZgSz8=,YthOalrPL33/1Ja6BpOK9PhQ1PY=", "pass\u{ad} word", true),
    ];
    for (shows, stored, password, want) in cases {
        assert_eq!(verify(stored, password), Ok(want), "{shows}");
    }
    let longer = "x".repeat(600);
    let sha512 = OF_PASS_WORD
        .iter()
        .find(|(shows, _)| *shows == "SHA-512-crypt")
        .unwrap()
        .1;
    assert_eq!(verify(sha512, &longer), Ok(false));
}

#[test]
fn what_cannot_be_used_and_what_is_said_of_it() {
    let long = format!("{{PLAIN}}{}", "x".repeat(1_024));
    #[rustfmt::skip]
    let cases = [
        ("nothing",                          "",                              "names no scheme"),
        ("no scheme",                        "secret",                        "names no scheme"),
        ("DES crypt",                        "abJnggxhB/yWI",                 "DES crypt is not supported"),
        ("an unknown name",                  "{NTLM}abcdef",                  "{NTLM} is not known"),
        ("an unknown form",                  "{SHA.XML}abcdef",               "{SHA.XML} is not known"),
        ("an unknown id",                    "$7$CU..../....saltsalt$LRT",    "$7$ is not known"),
        ("a secret that looks like an id",   "$my secret$x",                  "names no scheme"),
        ("bcrypt with the sign error",       "$2x$05$abcdefghijklmnopqrstuuIt/9/tGzLcigNq/.RWIDjeEVR30RSf.", "$2x$ is not known"),
        ("an open brace",                    "{SSHA",                         "without a closing one"),
        ("a blank in the name",              "{my secret}x",                  "not a known scheme"),
        ("no base64",                        "{SSHA}!!!",                     "encoding"),
        ("a salt missing",                   "{SSHA}2oguq15ANCGsJCWKX31fllwpyEk=", "length"),
        ("a digest cut off",                 "{SHA}2oguq15A",                 "length"),
        ("an empty digest",                  "{SHA}",                         "length"),
        ("a yescrypt without hash",          "$y$j75$saltsaltsaltsalt$",      "yescrypt"),
        ("a yescrypt without salt",          "$y$j75$",                       "yescrypt"),
        ("a SHA-crypt without hash",         "$6$saltstring$",                "SHA-crypt"),
        ("an MD5-crypt without hash",        "$1$saltsalt$",                  "MD5-crypt"),
        ("a bcrypt cut off",                 "$2y$05$abcdefghijklmnopqrstuu", "bcrypt"),
        ("a bcrypt of umlauts",              "$2y$05$äääääääääääääääääääääääää", "bcrypt"),
        ("a PBKDF2 without key",             "{PBKDF2}1000$TmFDbDEyMzQ$",     "length"),
        ("a PBKDF2 of zero rounds",          "{PBKDF2}0$TmFDbDEyMzQ$LDTBnbmB3v1fIFJfhWUr1TdNi3M", "rounds"),
        ("a SCRAM without keys",             "{SCRAM-SHA-256}4096,TmFDbDEyMzQ=,,", "length"),
        ("an argon2 cut off",                "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ", "cut off"),
        ("too long a text",                  &long,                           "1,024"),
        ("few rounds, as crypt(3) refuses",  "$5$rounds=10$salt$Pr2/FkMue4pholsRSwxlRcDhMiu2AJpqw6sz37HLBXB", "SHA-crypt"),
    ];
    for (shows, stored, want) in cases {
        let error = verify(stored, "x").expect_err(shows).to_string();
        assert!(error.contains(want), "{shows}: {error}");
        assert!(!error.contains("secret"), "{shows}: {error}");
    }
}

#[test]
fn what_costs_too_much_is_refused_before_it_is_computed() {
    #[rustfmt::skip]
    let cases = [
        ("bcrypt",              "$2y$31$abcdefghijklmnopqrstuuIt/9/tGzLcigNq/.RWIDjeEVR30RSf.", "cost 31"),
        ("SHA-256-crypt",       "$5$rounds=999999999$saltsalt$Pr2/FkMue4pholsRSwxlRcDhMiu2AJpqw6sz37HLBXB", "rounds 999999999"),
        ("PBKDF2",              "{PBKDF2}$1$NaCl1234$4294967295$2c34c19db981defd5f20525f85652bd5374d8b73", "rounds"),
        ("PBKDF2 by the key",   "{PBKDF2}2000000$TmFDbDEyMzQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "rounds 4000000"),
        ("SCRAM",               "{SCRAM-SHA-256}4000000000,TmFDbDEyMzQ=,SnSc1n+GWwi0YT31QmWlTBrfdNorP7c2U7JKP8YQ4Ms=,x", "rounds"),
        ("argon2 by memory",    "$argon2id$v=19$m=4194304,t=1,p=1$c2FsdHNhbHQ$c2FsdHNhbHRzYWx0c2FsdA", "memory"),
        ("argon2 by time",      "$argon2id$v=19$m=65536,t=4000000,p=1$c2FsdHNhbHQ$c2FsdHNhbHRzYWx0c2FsdA", "memory times passes"),
        ("argon2 by lanes",     "$argon2id$v=19$m=65536,t=1,p=255$c2FsdHNhbHQ$c2FsdHNhbHRzYWx0c2FsdA", "lanes"),
        ("yescrypt",            "$y$jLT$saltsaltsaltsalt$bP4ROZNNOONkXQZR4jnIZg1/XgckZkMJiQlFtpVp3W9", "memory"),
    ];
    for (shows, stored, want) in cases {
        let error = verify(stored, "x").expect_err(shows);
        assert!(matches!(error, SchemeError::TooCostly { .. }), "{shows}: {error}");
        assert!(error.to_string().contains(want), "{shows}: {error}");
    }
}

#[test]
fn rules() {
    let strict = SchemeRules::default();
    for name in ["PLAIN", "clear", "ClearText"] {
        let stored = format!("{{{name}}}secret");
        assert_eq!(
            Stored::parse(&stored, &strict).err(),
            Some(SchemeError::Plain),
            "{name}"
        );
    }
    let md5 = SchemeRules {
        default_scheme: Some("plain-md5".into()),
        ..strict
    };
    let verify = |stored: &str| Stored::parse(stored, &md5)?.verify(&SecretString::from("pass word"));
    assert_eq!(
        verify("4ac6430a17d0215b3052b15c879d48bc"),
        Ok(true),
        "the default scheme"
    );
    assert_eq!(
        verify("$1$saltsalt$1K7dkhtbTNVUwUicA5kOT1"),
        Ok(true),
        "crypt(3) names itself"
    );
    assert_eq!(
        verify("{SHA}2oguq15ANCGsJCWKX31fllwpyEk="),
        Ok(true),
        "a name goes before"
    );
    for (name, known) in [
        ("plain-md5", true),
        ("CRYPT", true),
        ("plain", true),
        ("SSHA.hex", true),
        ("DES", false),
        ("", false),
    ] {
        assert_eq!(Stored::knows(name), known, "{name}");
    }
    let shown = format!("{:?}", Stored::parse("{PLAIN}secret", &RULES).unwrap());
    assert_eq!(shown, "Stored(\"PLAIN\")");
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever is in the database is read or refused, and nothing in it passes for the hash of an empty password.
        #[test]
        fn any_text(text in "[{$]?(SSHA|SHA|PBKDF2|SCRAM-SHA-256|y|5|6|1|2y|argon2id)?[}$]?[\\PC]{0,40}") {
            let rules = SchemeRules { allow_plain: false, default_scheme: None };
            if let Ok(stored) = Stored::parse(&text, &rules) {
                prop_assert!(!stored.scheme().is_empty());
                prop_assert!(stored.plain().is_none());
            }
        }

        /// A hash with one letter changed is no longer of this password.
        #[test]
        fn one_letter_changed(
            case in prop::sample::select(vec!["MD5-crypt", "Apache", "SHA-256-crypt", "SHA-1 alone"]),
            from_end in 5_usize..20,
            letter in "[a-zA-Z0-9./]",
        ) {
            let (_, stored) = OF_PASS_WORD.iter().find(|(shows, _)| *shows == case).unwrap();
            let at = stored.len() - from_end;
            let mut changed = (*stored).to_owned();
            changed.replace_range(at..=at, &letter);
            if changed != *stored {
                prop_assert_ne!(verify(&changed, "pass word"), Ok(true), "{}", changed);
            }
        }
    }
}
