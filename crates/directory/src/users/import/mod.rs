//! Accounts from other programs' files: htpasswd, passwd and shadow, Dovecot's passwd-file, sasldb2.

mod apply;
mod line;
mod sasldb;

use jiff::Timestamp;
use secrecy::SecretString;
use zeroize::Zeroizing;

pub use self::line::{Entry, Line, Password, Problem};

use self::line::checked;
use crate::schemes::{SchemeRules, Stored};

/// Which program's file it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// Apache's `user:hash`.
    Htpasswd,
    /// `/etc/passwd`, from systems that keep hashes in it.
    Passwd,
    /// `/etc/shadow`. Locked and expired accounts are imported as disabled.
    Shadow,
    /// Dovecot's passwd-file.
    Dovecot,
    /// Cyrus SASL's `/etc/sasldb2` (Berkeley DB or LMDB), or the output of `db_dump` or `db_dump -p` for it. Its passwords are in
    /// cleartext and are hashed.
    Sasldb,
}

/// The outcome for an entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Imported {
    /// A new account.
    Added,
    /// An existing account has a new password now.
    Replaced,
    /// An account with this login exists and stays unchanged.
    Kept,
}

/// Reads a file of accounts. `domain` is appended to names without `@`. `today` decides whether accounts have expired.
///
/// Empty lines and comments are skipped; each other line yields an entry or a problem.
#[must_use]
pub fn read(format: Format, file: &[u8], domain: Option<&str>, today: Timestamp) -> Vec<Line> {
    if format == Format::Sasldb {
        return sasldb::read(file);
    }
    let text = Zeroizing::new(String::from_utf8_lossy(file).into_owned());
    let mut lines = Vec::new();
    for (index, text) in text.lines().enumerate() {
        let text = text.trim_end_matches('\r');
        if text.trim().is_empty() || text.starts_with('#') {
            continue;
        }
        let fields: Vec<&str> = text.split(':').collect();
        let name = fields[0].trim().to_owned();
        let entry = match format {
            Format::Htpasswd => of_htpasswd(&fields),
            Format::Passwd => of_passwd(&fields),
            Format::Shadow => of_shadow(&fields, today),
            Format::Dovecot => of_dovecot(&fields),
            Format::Sasldb => Err(Problem::NoPassword),
        };
        let entry = entry.and_then(|(stored, enabled)| {
            let login = match domain {
                Some(domain) if !name.contains('@') => format!("{name}@{domain}"),
                _ => name.clone(),
            };
            finish(login, stored, enabled)
        });
        lines.push(Line {
            number: index + 1,
            name,
            entry,
        });
    }
    lines
}

/// The stored password and whether the account may log in.
type Fields<'a> = Result<(&'a str, bool), Problem>;

fn of_htpasswd<'a>(fields: &[&'a str]) -> Fields<'a> {
    match fields {
        [_, stored] => with_password(stored, true),
        _ => Err(Problem::Form("is not user:hash")),
    }
}

fn of_passwd<'a>(fields: &[&'a str]) -> Fields<'a> {
    match fields {
        [_, "x", _, _, _, _, _] => Err(Problem::InShadow),
        [_, stored, _, _, _, _, _] => with_password(stored, true),
        _ => Err(Problem::Form("does not have the seven fields of passwd")),
    }
}

fn of_shadow<'a>(fields: &[&'a str], today: Timestamp) -> Fields<'a> {
    let [_, stored, _, _, _, _, _, expires, _] = fields else {
        return Err(Problem::Form("does not have the nine fields of shadow"));
    };
    let day = today.as_second().div_euclid(86_400);
    let expired = expires.parse::<i64>().is_ok_and(|expires| expires <= day);
    with_password(stored, !expired)
}

fn of_dovecot<'a>(fields: &[&'a str]) -> Fields<'a> {
    let Some(stored) = fields.get(1) else {
        return Err(Problem::Form("is not user:password:…"));
    };
    let extra = fields.get(7..).unwrap_or_default().join(":");
    let mut enabled = true;
    for field in extra.split_whitespace() {
        let (key, value) = field.split_once('=').unwrap_or((field, "y"));
        match key {
            "nologin" => enabled = matches!(value, "n" | "no"),
            "allow_nets" => {
                return Err(Problem::Form(
                    "may log in only from some networks (allow_nets), which only app passwords can do here",
                ));
            }
            "user" => return Err(Problem::Form("logs in as another user (user=)")),
            _ => {}
        }
    }
    with_password(stored, enabled)
}

/// A leading `!` locks an account; `*` and `!` alone mean no password.
fn with_password(stored: &str, enabled: bool) -> Fields<'_> {
    let unlocked = stored.trim_start_matches('!');
    if unlocked.is_empty() || unlocked.starts_with('*') {
        return Err(Problem::NoPassword);
    }
    Ok((unlocked, enabled && unlocked.len() == stored.len()))
}

fn finish(login: String, stored: &str, enabled: bool) -> Result<Entry, Problem> {
    let rules = SchemeRules {
        allow_plain: true,
        default_scheme: None,
    };
    let parsed = Stored::parse(stored, &rules).map_err(Problem::Scheme)?;
    let password = match parsed.plain() {
        Some(clear) => Password::Clear(SecretString::from(clear)),
        None => Password::Hash(stored.to_owned()),
    };
    checked(Entry {
        login,
        password,
        enabled,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use secrecy::ExposeSecret;

    /// Number, name and outcome.
    fn told(format: Format, text: &str) -> Vec<String> {
        let today = Timestamp::from_second(20_000 * 86_400 + 5).unwrap();
        read(format, text.as_bytes(), Some("relay.test"), today)
            .into_iter()
            .map(|line| match line.entry {
                Ok(entry) => {
                    let password = match entry.password {
                        Password::Hash(hash) => hash,
                        Password::Clear(clear) => format!("clear {}", clear.expose_secret()),
                    };
                    let state = if entry.enabled { "" } else { " disabled" };
                    format!("{} {} {password}{state}", line.number, entry.login)
                }
                Err(problem) => format!("{} {}: {problem}", line.number, line.name),
            })
            .collect()
    }

    #[track_caller]
    fn assert_told(format: Format, text: &str, want: &[&str]) {
        let got = told(format, text);
        assert_eq!(got.len(), want.len(), "{got:#?}");
        for (got, want) in got.iter().zip(want) {
            assert!(got.starts_with(want), "{got:?}, not {want:?}");
        }
    }

    const MD5: &str = "$1$saltsalt$1K7dkhtbTNVUwUicA5kOT1";

    #[test]
    fn htpasswd() {
        let text = format!(
            "# a comment\n\nmyrta:$apr1$saltsalt$qYpLAVWkBvXFyDme7.oc1/\nbob@else.test:{{SHA}}2oguq15ANCGsJCWKX31fllwpyEk=\r\n\
             des:abJnggxhB/yWI\nalone\n:{MD5}\na b:{MD5}\nmany:{MD5}:x\nold:$7$CU..../....salt$x\n"
        );
        assert_told(
            Format::Htpasswd,
            &text,
            &[
                "3 myrta@relay.test $apr1$",
                "4 bob@else.test {SHA}",
                "5 des: its stored password cannot be used: it names no scheme",
                "6 alone: is not user:hash",
                "7 : its name cannot be a login",
                "8 a b: its name cannot be a login",
                "9 many: is not user:hash",
                "10 old: its stored password cannot be used: the scheme $7$ is not known",
            ],
        );
    }

    #[test]
    fn passwd_and_shadow() {
        let passwd = format!(
            "root:x:0:0:root:/root:/bin/sh\nold:{MD5}:1000:1000:Old User:/home/old:/bin/sh\ndaemon:*:1:1:::\nshort:{MD5}\n"
        );
        assert_told(
            Format::Passwd,
            &passwd,
            &[
                "1 root: has its password in the shadow file",
                &format!("2 old@relay.test {MD5}"),
                "3 daemon: has no password",
                "4 short: does not have the seven fields",
            ],
        );
        let shadow = format!(
            "root:*:19000:0:99999:7:::\nann:{MD5}:19000:0:99999:7:::\nlocked:!{MD5}:19000:0:99999:7:::\n\
             never:!:19000::::::\nnone::19000::::::\ngone:{MD5}:19000:0:99999:7::20000:\nstays:{MD5}:19000:0:99999:7::20001:\nbad:{MD5}:1\n"
        );
        assert_told(
            Format::Shadow,
            &shadow,
            &[
                "1 root: has no password",
                &format!("2 ann@relay.test {MD5}"),
                &format!("3 locked@relay.test {MD5} disabled"),
                "4 never: has no password",
                "5 none: has no password",
                &format!("6 gone@relay.test {MD5} disabled"),
                &format!("7 stays@relay.test {MD5}"),
                "8 bad: does not have the nine fields",
            ],
        );
        assert!(
            !told(Format::Shadow, &shadow)[6].contains("disabled"),
            "until tomorrow"
        );
    }

    #[test]
    fn dovecot() {
        let text = format!(
            "ann:{{SHA}}2oguq15ANCGsJCWKX31fllwpyEk=\nbob:{{PLAIN}}pass word:1000:1000::/home/bob::userdb_quota_rule=*:bytes=1G\n\
             off:{{CRYPT}}{MD5}:1000:1000::/home/off::nologin=y\non:{MD5}::::::nologin=no\nnets:{MD5}::::::allow_nets=10.0.0.0/8\n\
             as:{MD5}::::::user=ann\nempty:\nntlm:{{NTLM}}abc\n"
        );
        assert_told(
            Format::Dovecot,
            &text,
            &[
                "1 ann@relay.test {SHA}",
                "2 bob@relay.test clear pass word",
                &format!("3 off@relay.test {{CRYPT}}{MD5} disabled"),
                &format!("4 on@relay.test {MD5}"),
                "5 nets: may log in only from some networks",
                "6 as: logs in as another",
                "7 empty: has no password",
                "8 ntlm: its stored password cannot be used: the scheme {NTLM} is not known",
            ],
        );
    }

    #[test]
    fn sasldb() {
        let printed = "VERSION=3\nformat=print\ntype=hash\nh_nelem=4\nHEADER=END\n ann\\00relay.test\\00userPassword\n pass word\n \
            ann\\00relay.test\\00cmusaslsecretOTP\n \\00\\01\n b\\5cc\\00\\00userPassword\n gr\\c3\\b6\\c3\\9fe \\\\ x\n odd\n x\n \
            bad\\00relay.test\\00userPassword\n \\ff\n ann\\00relay.test\\00userPassword\nDATA=END\n";
        assert_told(
            Format::Sasldb,
            printed,
            &[
                "6 ann@relay.test clear pass word",
                "10 b\\c clear größe \\ x",
                "12 : is not a record of sasldb2",
                "14 bad@relay.test: has a password that is not UTF-8",
                "16 : is a key without a value",
            ],
        );
        let hexadecimal = "VERSION=3\nformat=bytevalue\nHEADER=END\n 616e6e0072656c61792e74657374007573657250617373776f7264\n \
            7061737320776f7264\n 61zz\n 61\nDATA=END\n";
        assert_told(
            Format::Sasldb,
            hexadecimal,
            &[
                "4 ann@relay.test clear pass word",
                "6 : is not in the form of db_dump",
            ],
        );
    }

    /// An empty file of either kind, followed by a page.
    fn database(kind: usize) -> Vec<u8> {
        let mut file = vec![0; 3 * 512];
        if kind == 0 {
            file[12..16].copy_from_slice(&0x0006_1561_u32.to_le_bytes());
            file[16..20].copy_from_slice(&9_u32.to_le_bytes());
            file[20..24].copy_from_slice(&512_u32.to_le_bytes());
            file[512 + 25] = 13;
        } else {
            file[16..20].copy_from_slice(&0xBEEF_C0DE_u32.to_le_bytes());
            file[20..24].copy_from_slice(&1_u32.to_le_bytes());
            file[40..44].copy_from_slice(&512_u32.to_le_bytes());
            file[128..136].copy_from_slice(&1_u64.to_le_bytes());
            file[512 + 10] = 2;
            file[512 + 12] = 16;
        }
        file
    }

    proptest! {
        #[test]
        fn any_damage_of_a_database(kind in 0_usize..2, damage in proptest::collection::vec((0_usize..3 * 512, any::<u8>()), 0..40)) {
            let mut file = database(kind);
            prop_assert!(read(Format::Sasldb, &file, None, Timestamp::UNIX_EPOCH).is_empty());
            for (at, octet) in damage {
                file[at] = octet;
            }
            let _ = read(Format::Sasldb, &file, None, Timestamp::UNIX_EPOCH);
        }

        #[test]
        fn any_text(text in "([a-z:!*$ \\\\{}=\\x000-9]{0,20}\n){0,5}") {
            for format in [Format::Htpasswd, Format::Passwd, Format::Shadow, Format::Dovecot, Format::Sasldb] {
                for line in read(format, text.as_bytes(), None, Timestamp::UNIX_EPOCH) {
                    if let Ok(entry) = line.entry {
                        prop_assert!(crate::users::store::check_login(&entry.login).is_ok());
                    }
                }
            }
        }
    }
}
