//! Keys from what other programs store: columns of a database, attributes of an entry.

use std::sync::Arc;
use std::time::Instant;

use postern_sasl::{CramSecret, DecoySecret, DigestSecret, NtHash, ScramKeys, StoredKey};
use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::background;
use crate::keys::KeyKind;
use crate::schemes::{SchemeRules, Stored};
use crate::verdict::{DenyReason, Finding, KeyFinding, Outage};
use crate::workers::{Asker, Workers};

/// Most values examined.
const VALUES_MAX: usize = 64;

/// For which mechanisms a directory has keys.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ForeignKeys {
    /// The kinds of keys. Default none.
    pub kinds: Vec<KeyKind>,
    /// Whether keys are derived from a cleartext password at each login. Default false: it costs `iterations` rounds of hashing
    /// for each SCRAM attempt, also for nonexistent logins.
    pub derive: bool,
    /// Iterations of SCRAM keys derived that way: the same number that nonexistent accounts show.
    pub iterations: u32,
}

impl Default for ForeignKeys {
    fn default() -> Self {
        Self {
            kinds: Vec::new(),
            derive: false,
            iterations: postern_sasl::ITERATIONS_DEFAULT,
        }
    }
}

/// Makes keys from stored texts.
pub(crate) struct KeyMaker {
    settings: ForeignKeys,
    rules: SchemeRules,
    decoy: DecoySecret,
    workers: Arc<Workers>,
}

/// The key in a stored text, without any computation.
pub(crate) fn key_in(kind: &KeyKind, text: &str) -> Option<StoredKey> {
    match read(kind, text, &SchemeRules::default())? {
        Material::Key(key) => Some(key),
        Material::Clear => None,
    }
}

/// What a stored text gives.
#[derive(Debug, Eq, PartialEq)]
enum Material {
    Key(StoredKey),
    Clear,
}

impl KeyMaker {
    pub(crate) fn new(
        settings: &ForeignKeys,
        rules: &SchemeRules,
        decoy: DecoySecret,
        workers: usize,
    ) -> Self {
        Self {
            settings: settings.clone(),
            rules: SchemeRules {
                allow_plain: true,
                default_scheme: rules.default_scheme.clone(),
            },
            decoy,
            workers: Workers::new(workers),
        }
    }

    pub(crate) fn keeps(&self, kind: &KeyKind) -> bool {
        self.settings.kinds.contains(kind)
    }

    /// The key that the texts stored for a login yield. `login` is the name as the client typed it. For a nonexistent login, call
    /// it without texts: it takes the same time.
    async fn find(
        &self,
        kind: &KeyKind,
        login: &str,
        texts: Vec<Zeroizing<String>>,
        asker: &Asker,
    ) -> Result<Option<StoredKey>, Outage> {
        let (mut stored, mut clear) = (None, None);
        for text in texts.into_iter().take(VALUES_MAX) {
            match read(kind, &text, &self.rules) {
                Some(Material::Key(key)) => stored = stored.or(Some(key)),
                Some(Material::Clear) => clear = clear.or(Some(text)),
                None => {}
            }
        }
        if !self.settings.derive {
            return Ok(stored);
        }
        let derived = self.derive(kind, login, clear, asker).await?;
        Ok(stored.or(derived))
    }

    /// A directory's answer to a key look-up: the key of the account that was found, read from its `texts` or derived, until
    /// `end`. It takes as long if there is no account, so that the time reveals nothing.
    pub(crate) async fn answer(
        &self,
        kind: &KeyKind,
        login: &str,
        (finding, texts): (Finding, Vec<Zeroizing<String>>),
        asker: &Asker,
        end: Instant,
    ) -> Result<KeyFinding, Outage> {
        let key = tokio::time::timeout_at(end.into(), self.find(kind, login, texts, asker)).await;
        let key = key.unwrap_or_else(|_| Err(Outage::busy("no time to make a key")))?;
        Ok(match (finding, key) {
            (Finding::Denied(reason) | Finding::DeniedTo(_, reason), _) => KeyFinding::Denied(reason),
            (Finding::Granted(account), Some(key)) => KeyFinding::Found { account, key },
            (Finding::Granted(_), None) => KeyFinding::Denied(DenyReason::NoKey),
        })
    }

    async fn derive(
        &self,
        kind: &KeyKind,
        login: &str,
        text: Option<Zeroizing<String>>,
        asker: &Asker,
    ) -> Result<Option<StoredKey>, Outage> {
        let worker = self.workers.turn(asker).await?;
        let (kind, login, decoy, rules) = (
            kind.clone(),
            login.to_owned(),
            self.decoy.clone(),
            self.rules.clone(),
        );
        let iterations = self.settings.iterations;
        let work = move || {
            let _worker = worker;
            let stored = text.as_ref().and_then(|text| Stored::parse(text, &rules).ok());
            let password = stored.as_ref().and_then(Stored::plain);
            let password = password.map(SecretString::from);
            // The same time must be spent when there is no account.
            let given = password.clone().unwrap_or_else(|| SecretString::from("nobody's"));
            let key = background::compute(|| of_password(&kind, &login, &given, &decoy, iterations));
            key.map(|key| password.and(key))
        };
        let derived = tokio::task::spawn_blocking(work).await;
        let failed = |error: &dyn std::fmt::Display| Outage::new(error.to_string());
        derived
            .map_err(|error| failed(&error))?
            .map_err(|error| failed(&error))
    }
}

fn of_password(
    kind: &KeyKind,
    login: &str,
    password: &SecretString,
    decoy: &DecoySecret,
    iterations: u32,
) -> Option<StoredKey> {
    use secrecy::ExposeSecret;
    match kind {
        KeyKind::Scram(hash) => {
            let keys =
                ScramKeys::derive_like_decoy(*hash, password.expose_secret(), decoy, login, iterations);
            keys.ok().map(StoredKey::Scram)
        }
        other => other.derive(login, password, iterations).ok(),
    }
}

/// Reads a stored text: a key of this kind in the forms of RFC 5803, PostgreSQL, Dovecot, Samba and our own, or a cleartext
/// password. Everything else is ignored, such as a hash beside it.
fn read(kind: &KeyKind, text: &str, rules: &SchemeRules) -> Option<Material> {
    let (name, rest) = match text.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
        Some((name, rest)) => (name.to_ascii_uppercase(), rest),
        None => (String::new(), text),
    };
    let key = match kind {
        KeyKind::Scram(_) => scram(kind, &name, rest).map(StoredKey::Scram),
        KeyKind::Cram => prefixed(&name, rest, &["CRAM-MD5"], "CRAM-MD5$")
            .and_then(|text| text.parse::<CramSecret>().ok())
            .map(StoredKey::Cram),
        KeyKind::Digest { realm } => prefixed(&name, rest, &["DIGEST-MD5"], "DIGEST-MD5$")
            .map(|text| match text.matches('$').count() {
                1 => Zeroizing::new(format!("{}${realm}", text.as_str())),
                _ => text,
            })
            .and_then(|text| text.parse::<DigestSecret>().ok())
            .filter(|secret| secret.realm() == realm)
            .map(StoredKey::Digest),
        KeyKind::Nt => {
            let bare = name.is_empty() && rest.len() == 32;
            let text = match bare {
                true => Some(Zeroizing::new(format!("NT${rest}"))),
                false => prefixed(&name, rest, &["NTLM", "NT"], "NT$"),
            };
            text.and_then(|text| text.parse::<NtHash>().ok())
                .map(StoredKey::Nt)
        }
    };
    if key.is_some() {
        return key.map(Material::Key);
    }
    // A digest accepted in place of the cleartext password would become one more password.
    let stored = Stored::parse(text, rules).ok()?;
    stored.plain().map(|_| Material::Clear)
}

/// Our own form of a text that has it, or the name of another program in braces.
fn prefixed(name: &str, rest: &str, names: &[&str], prefix: &str) -> Option<Zeroizing<String>> {
    if names.contains(&name) {
        Some(Zeroizing::new(format!("{prefix}{}", rest.trim())))
    } else if name.is_empty() && rest.starts_with(prefix) {
        Some(Zeroizing::new(rest.trim().to_owned()))
    } else {
        None
    }
}

/// `SCRAM-SHA-256$ITERATIONS:SALT$STORED:SERVER`, where blanks may stand around `$` (RFC 3112 section 4.2), or the rest of
/// it, or Dovecot's `ITERATIONS,SALT,STORED,SERVER`, behind `{SCRAM-SHA-256}`.
fn scram(kind: &KeyKind, name: &str, rest: &str) -> Option<ScramKeys> {
    let mut text = Zeroizing::new(String::with_capacity(rest.len() + 20));
    text.extend(rest.chars().filter(|c| !c.is_ascii_whitespace()));
    let wanted = kind.name();
    if !name.is_empty() {
        if name != wanted {
            return None;
        }
        let fields: Vec<&str> = text.split(',').collect();
        let whole = match fields[..] {
            [iterations, salt, stored, server] => format!("{wanted}${iterations}:{salt}${stored}:{server}"),
            _ => format!("{wanted}${}", text.as_str()),
        };
        text = Zeroizing::new(whole);
    }
    let keys: ScramKeys = text.parse().ok()?;
    (KeyKind::Scram(keys.hash()) == *kind).then_some(keys)
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_sasl::ScramHash;
    use proptest::prelude::*;

    fn scram_kinds() -> impl Iterator<Item = KeyKind> {
        ScramHash::ALL.into_iter().map(KeyKind::Scram)
    }

    fn rules(default_scheme: Option<&str>) -> SchemeRules {
        SchemeRules {
            allow_plain: true,
            default_scheme: default_scheme.map(str::to_owned),
        }
    }

    #[test]
    fn stored_texts() {
        let scram = ScramKeys::derive(ScramHash::Sha256, "pencil", b"0123456789abcdef", 4_096).unwrap();
        let text = scram.to_text().to_string();
        let rest = text.strip_prefix("SCRAM-SHA-256$").unwrap();
        let dovecot = format!("{{SCRAM-SHA-256}}{}", rest.replace([':', '$'], ","));
        let cram = CramSecret::derive("pencil");
        let digest = DigestSecret::derive("chris", "relay.test", "pencil");
        let nt = NtHash::derive("pencil");
        let hex = |text: &str| text.split('$').nth(1).unwrap().to_owned();
        let (cram_hex, digest_hex, nt_hex) =
            (hex(&cram.to_text()), hex(&digest.to_text()), hex(&nt.to_text()));
        let (sha256, sha1) = (KeyKind::Scram(ScramHash::Sha256), KeyKind::Scram(ScramHash::Sha1));
        let realm = |realm: &str| KeyKind::Digest { realm: realm.into() };
        let key = |key: StoredKey| Some(Material::Key(key));
        let scram = || key(StoredKey::Scram(scram.clone()));
        #[rustfmt::skip]
        let cases = [
            ("RFC 5803",                     &sha256, text.clone(), scram()),
            ("with blanks, as RFC 3112 has", &sha256, text.replace('$', " $ "), scram()),
            ("behind a name in braces",      &sha256, format!("{{SCRAM-SHA-256}}{rest}"), scram()),
            ("in small letters",             &sha256, format!("{{scram-sha-256}}{rest}"), scram()),
            ("Dovecot's",                    &sha256, dovecot, scram()),
            ("of another hash",              &sha1,   text.clone(), None),
            ("of another hash in braces",    &sha1,   format!("{{SCRAM-SHA-256}}{rest}"), None),
            ("a name that is not its own",   &sha256, format!("{{SCRAM-SHA-1}}{rest}"), None),
            ("cut off",                      &sha256, text[..text.len() - 4].to_owned(), None),
            ("CRAM-MD5 of Dovecot",          &KeyKind::Cram, format!("{{CRAM-MD5}}{cram_hex}"), key(StoredKey::Cram(cram.clone()))),
            ("our own",                      &KeyKind::Cram, cram.to_text().to_string(), key(StoredKey::Cram(cram))),
            ("DIGEST-MD5 of Dovecot",        &realm("relay.test"), format!("{{DIGEST-MD5}}{digest_hex}"), key(StoredKey::Digest(digest.clone()))),
            ("our own",                      &realm("relay.test"), digest.to_text().to_string(), key(StoredKey::Digest(digest.clone()))),
            ("of another realm",             &realm("else.test"), digest.to_text().to_string(), None),
            ("an NT hash",                   &KeyKind::Nt, nt_hex.to_uppercase(), key(StoredKey::Nt(nt.clone()))),
            ("of Dovecot",                   &KeyKind::Nt, format!("{{NTLM}}{nt_hex}"), key(StoredKey::Nt(nt.clone()))),
            ("an NT hash is no SCRAM key",   &sha256, nt_hex, None),
            ("what Samba writes for none",   &KeyKind::Nt, "NO PASSWORDXXXXXXXXXXXXXXXXXXXXX".into(), None),
            ("in the clear",                 &sha256, "{CLEAR}pencil".into(), Some(Material::Clear)),
            ("for any mechanism",            &KeyKind::Nt, "{PLAIN}pencil".into(), Some(Material::Clear)),
            ("a hash is of no use",          &sha256, "{SSHA}AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".into(), None),
            ("nothing",                      &sha256, String::new(), None),
            ("no scheme",                    &sha256, "pencil".into(), None),
        ];
        for (shows, kind, text, want) in cases {
            assert_eq!(read(kind, &text, &rules(None)), want, "{shows}");
        }
        assert_eq!(
            read(&sha256, "pencil", &rules(Some("PLAIN"))),
            Some(Material::Clear),
            "where the administrator says so"
        );
    }

    #[tokio::test]
    async fn derived_keys_look_like_those_of_nobody() {
        let settings = ForeignKeys {
            kinds: scram_kinds().collect(),
            derive: true,
            iterations: 4_096,
        };
        let decoy = DecoySecret::new([7; 32]);
        let maker = KeyMaker::new(&settings, &SchemeRules::default(), decoy.clone(), 1);
        let nobody = Asker::default();
        let kind = KeyKind::Scram(ScramHash::Sha256);
        let clear = |text: &str| vec![Zeroizing::new(text.to_owned())];
        let one = maker
            .find(&kind, "chris", clear("{CLEAR}pencil"), &nobody)
            .await
            .unwrap();
        let again = maker
            .find(&kind, "Chris", clear("{PLAIN}pencil"), &nobody)
            .await
            .unwrap();
        assert!(one.is_some());
        assert_eq!(one, again, "the same salt each time");
        assert_eq!(
            maker.find(&kind, "nobody", Vec::new(), &nobody).await.unwrap(),
            None
        );

        let stored = ScramKeys::derive(ScramHash::Sha256, "pencil", b"0123456789abcdef", 5_000).unwrap();
        let both = vec![
            Zeroizing::new("{CLEAR}pencil".to_owned()),
            Zeroizing::new(stored.to_text().to_string()),
        ];
        let found = maker.find(&kind, "chris", both, &nobody).await.unwrap();
        assert_eq!(found, Some(StoredKey::Scram(stored)), "a stored key goes first");

        let off = ForeignKeys {
            derive: false,
            ..settings
        };
        let off = KeyMaker::new(&off, &SchemeRules::default(), decoy, 1);
        assert_eq!(
            off.find(&kind, "chris", clear("{CLEAR}pencil"), &nobody)
                .await
                .unwrap(),
            None,
            "if wanted"
        );
    }

    proptest! {
        #[test]
        fn any_text(text in "(\\{(SCRAM-SHA-256|NT|CRAM-MD5|DIGEST-MD5|CLEAR)\\}|SCRAM-SHA-1\\$|)[ -~é]{0,60}") {
            for kind in scram_kinds().chain([KeyKind::Cram, KeyKind::Nt, KeyKind::Digest { realm: "r".into() }]) {
                if let Some(Material::Key(key)) = read(&kind, &text, &rules(Some("PLAIN"))) {
                    prop_assert_eq!(KeyKind::of(&key), kind);
                }
            }
        }
    }
}
