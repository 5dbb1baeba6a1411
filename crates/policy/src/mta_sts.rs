//! MTA-STS (RFC 8461): what a domain says about the hosts that accept its mail.

/// Longest policy that is read, in octets; a sender may set a limit (RFC 8461 section 3.3).
pub const POLICY_MAX: usize = 64 * 1024;

/// Longest time that a policy is kept, in seconds: about a year (RFC 8461 section 3.2).
pub const MAX_AGE_MAX: u32 = 31_557_600;

/// What to do with hosts that do not match the policy (RFC 8461 section 5).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// They get no mail.
    Enforce,
    /// They get mail, and their domain a report.
    Testing,
    /// The domain has no policy any more.
    None,
}

impl Mode {
    /// The word in policies.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Testing => "testing",
            Self::None => "none",
        }
    }
}

/// The policy of a domain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Policy {
    /// What happens with other hosts.
    pub mode: Mode,
    /// How long it may be kept, in seconds.
    pub max_age: u32,
    /// The hosts, in lower case: `mx.example.org`, or `*.example.org` for any name directly below.
    pub mx: Vec<String>,
}

/// Why a text is not a policy.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PolicyError {
    /// It is longer than [`POLICY_MAX`].
    #[error("it is longer than {POLICY_MAX} octets")]
    TooLong,
    /// It is not UTF-8.
    #[error("it is not UTF-8")]
    NotText,
    /// A line without a colon.
    #[error("line {0} has no colon")]
    NoColon(usize),
    /// A required field is missing.
    #[error("the field {0} is missing")]
    Missing(&'static str),
    /// A field has an invalid value.
    #[error("the field {0} cannot be {1:?}")]
    Wrong(&'static str, String),
}

/// The `id` of the policy that a TXT record at `_mta-sts.DOMAIN` announces (RFC 8461 section 3.1). `None` if it is another kind of record.
#[must_use]
pub fn id_of(record: &str) -> Option<&str> {
    let mut fields = record.split(';').map(str::trim);
    if fields.next() != Some("v=STSv1") {
        return None;
    }
    let is_id =
        |id: &&str| (1..=32).contains(&id.len()) && id.bytes().all(|octet| octet.is_ascii_alphanumeric());
    fields.find_map(|field| field.strip_prefix("id=")).filter(is_id)
}

impl Policy {
    /// Reads the text at `https://mta-sts.DOMAIN/.well-known/mta-sts.txt`.
    ///
    /// If a field other than `mx` is repeated, the first counts; unknown fields are ignored (section 3.2).
    ///
    /// # Errors
    ///
    /// [`PolicyError`] if it is not a policy of version `STSv1`.
    pub fn read(text: &[u8]) -> Result<Self, PolicyError> {
        if text.len() > POLICY_MAX {
            return Err(PolicyError::TooLong);
        }
        let text = std::str::from_utf8(text).map_err(|_| PolicyError::NotText)?;
        let (mut version, mut mode, mut max_age, mut mx) = (None, None, None, Vec::new());
        for (number, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            let (key, value) = line.split_once(':').ok_or(PolicyError::NoColon(number + 1))?;
            let value = value.trim();
            match key.trim() {
                "version" => version = version.or(Some(value)),
                "mode" => mode = mode.or(Some(value)),
                "max_age" => max_age = max_age.or(Some(value)),
                "mx" => mx.push(host(value)?),
                _ => {}
            }
        }
        if version.ok_or(PolicyError::Missing("version"))? != "STSv1" {
            return Err(wrong("version", version.unwrap_or_default()));
        }
        let mode = match mode.ok_or(PolicyError::Missing("mode"))? {
            "enforce" => Mode::Enforce,
            "testing" => Mode::Testing,
            "none" => Mode::None,
            other => return Err(wrong("mode", other)),
        };
        if mx.is_empty() && mode != Mode::None {
            return Err(PolicyError::Missing("mx"));
        }
        let max_age = max_age.ok_or(PolicyError::Missing("max_age"))?;
        Ok(Self {
            mode,
            max_age: seconds(max_age)?,
            mx,
        })
    }

    /// Whether it names a host. `*` stands for one label, the first (section 4.1).
    #[must_use]
    pub fn names(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let parent = host.split_once('.').map(|(_, parent)| parent);
        self.mx.iter().any(|pattern| match pattern.strip_prefix("*.") {
            Some(below) => parent == Some(below),
            None => *pattern == host,
        })
    }
}

fn wrong(field: &'static str, value: &str) -> PolicyError {
    PolicyError::Wrong(field, value.chars().take(80).collect())
}

fn host(value: &str) -> Result<String, PolicyError> {
    let name = value.strip_prefix("*.").unwrap_or(value);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_')
    };
    if name.len() <= 253 && name.split('.').all(is_label) {
        Ok(value.to_ascii_lowercase())
    } else {
        Err(wrong("mx", value))
    }
}

fn seconds(value: &str) -> Result<u32, PolicyError> {
    let digits = (1..=10).contains(&value.len()) && value.bytes().all(|octet| octet.is_ascii_digit());
    match value.parse::<u64>() {
        Ok(number) if digits => {
            Ok(u32::try_from(number).map_or(MAX_AGE_MAX, |number| number.min(MAX_AGE_MAX)))
        }
        _ => Err(wrong("max_age", value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: &str = "version: STSv1\r\nmode: enforce\r\nmx: MX1.example.org\r\nmx: *.backup.example.org\r\nmax_age: 604800\r\n";

    #[test]
    fn policies() {
        let policy = Policy::read(USUAL.as_bytes()).unwrap();
        assert_eq!(policy.mode, Mode::Enforce);
        assert_eq!(policy.max_age, 604_800);
        #[rustfmt::skip]
        let hosts = [
            ("mx1.example.org",            true),
            ("MX1.example.org.",           true),
            ("a.backup.example.org",       true),
            ("backup.example.org",         false),
            ("a.b.backup.example.org",     false),
            ("mx2.example.org",            false),
            ("example.org",                false),
            ("",                           false),
        ];
        for (host, named) in hosts {
            assert_eq!(policy.names(host), named, "{host}");
        }
    }

    #[test]
    fn texts() {
        let with = |from: &str, to: &str| USUAL.replace(from, to);
        #[rustfmt::skip]
        let cases: [(&str, String, Result<Mode, PolicyError>); 16] = [
            ("bare line feeds",        with("\r\n", "\n"),                       Ok(Mode::Enforce)),
            ("blanks around",          with("mode: enforce", "mode :\tenforce  "), Ok(Mode::Enforce)),
            ("an unknown field",       format!("{USUAL}later: x\r\n"),           Ok(Mode::Enforce)),
            ("an empty line",          format!("{USUAL}\r\n"),                   Ok(Mode::Enforce)),
            ("the first mode counts",  format!("{USUAL}mode: none\r\n"),         Ok(Mode::Enforce)),
            ("testing",                with("enforce", "testing"),               Ok(Mode::Testing)),
            ("none, without hosts",    "version: STSv1\nmode: none\nmax_age: 0\n".to_owned(), Ok(Mode::None)),
            ("a far end",              with("604800", "4294967296"),             Ok(Mode::Enforce)),
            ("another version",        with("STSv1", "STSv2"),                   Err(wrong("version", "STSv2"))),
            ("no version",             with("version: STSv1\r\n", ""),           Err(PolicyError::Missing("version"))),
            ("an unknown mode",        with("enforce", "strict"),                Err(wrong("mode", "strict"))),
            ("hosts are missing",      "version: STSv1\nmode: enforce\nmax_age: 1\n".to_owned(), Err(PolicyError::Missing("mx"))),
            ("a star in the middle",   with("*.backup", "a.*.backup"),           Err(wrong("mx", "a.*.backup.example.org"))),
            ("a negative age",         with("604800", "-1"),                     Err(wrong("max_age", "-1"))),
            ("no colon",               format!("{USUAL}<html>\r\n"),             Err(PolicyError::NoColon(6))),
            ("too long",               format!("{USUAL}{}", "later: x\n".repeat(8_000)), Err(PolicyError::TooLong)),
        ];
        for (shows, text, expected) in cases {
            assert_eq!(
                Policy::read(text.as_bytes()).map(|policy| policy.mode),
                expected,
                "{shows}"
            );
        }
        assert_eq!(Policy::read(b"version: \xff"), Err(PolicyError::NotText));
    }

    #[test]
    fn records() {
        #[rustfmt::skip]
        let cases = [
            ("v=STSv1; id=20160831085700Z;", Some("20160831085700Z")),
            ("v=STSv1;id=1",                 Some("1")),
            ("v=STSv1; more=x; id=1",        Some("1")),
            ("v=STSv1;",                     None),
            ("v=STSv1; id=a-b",              None),
            ("v=STSv2; id=1",                None),
            ("id=1; v=STSv1",                None),
            ("v=spf1 -all",                  None),
        ];
        for (record, id) in cases {
            assert_eq!(id_of(record), id, "{record}");
        }
    }
}
