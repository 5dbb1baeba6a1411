//! What a form says: names and values.

/// Most of them in one request.
const FIELDS_MAX: usize = 2_000;

/// Names with their values, in the order of the form. A name may be there several times.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads `application/x-www-form-urlencoded`, as queries and forms have it.
    pub(super) fn parse(text: &[u8]) -> Self {
        let pairs = text.split(|octet| *octet == b'&').filter(|pair| !pair.is_empty());
        let pair = |pair: &[u8]| {
            let mut parts = pair.splitn(2, |octet| *octet == b'=');
            let mut next = || decode(parts.next().unwrap_or_default());
            let name = next();
            (name, next())
        };
        Self(pairs.take(FIELDS_MAX).map(pair).collect())
    }

    /// The first value of a name, without blanks around it; empty where there is none.
    pub(super) fn get(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// The same as it was typed.
    pub(super) fn raw(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    /// The value, if it is not empty.
    pub(super) fn some(&self, name: &str) -> Option<String> {
        Some(self.get(name).to_owned()).filter(|value| !value.is_empty())
    }

    /// Whether a box is ticked.
    pub(super) fn ticked(&self, name: &str) -> bool {
        self.get(name) == "yes"
    }

    /// All values of a name.
    pub(super) fn all(&self, name: &str) -> Vec<String> {
        let found = self.0.iter().filter(|(key, _)| key == name);
        found.map(|(_, value)| value.clone()).collect()
    }
}

fn decode(octets: &[u8]) -> String {
    let digit = |at: usize| octets.get(at).and_then(|octet| char::from(*octet).to_digit(16));
    let mut decoded = Vec::with_capacity(octets.len());
    let mut at = 0;
    while let Some(octet) = octets.get(at) {
        at += 1;
        decoded.push(match octet {
            b'+' => b' ',
            b'%' => match (digit(at), digit(at + 1)) {
                (Some(high), Some(low)) => {
                    at += 2;
                    u8::try_from(high * 16 + low).unwrap_or(b'%')
                }
                _ => b'%',
            },
            other => *other,
        });
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_forms_say() {
        let fields =
            Fields::parse(b"id=A&id=B&reason=their+host%3a+back&x=%zz%&y&all=yes&=&u=%C3%BC%ff&p=+a+");
        assert_eq!(fields.all("id"), ["A", "B"]);
        assert_eq!(fields.get("reason"), "their host: back");
        assert_eq!(fields.get("x"), "%zz%");
        assert_eq!((fields.get("y"), fields.get("nothing")), ("", ""));
        assert!(fields.ticked("all"));
        assert_eq!(fields.get("u"), "ü\u{fffd}");
        assert_eq!((fields.raw("p"), fields.get("p")), (" a ", "a"));
        assert_eq!(fields.some("y"), None);
        assert_eq!(Fields::parse(&b"a=1&".repeat(10_000)).0.len(), FIELDS_MAX);
    }
}
