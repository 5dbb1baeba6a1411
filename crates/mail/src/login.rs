//! The normal form of user names: spellings of the same name become one.

mod complete;
mod identifier;
mod unseen;

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

use self::identifier::{breaks_bidi, is_identifier};
use self::unseen::is_unseen;
use crate::{Mailbox, ParseOptions};

pub use self::complete::complete_login;

/// A text that cannot be a user name: it has no normal form.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a name that a user can have (RFC 8265)")]
pub struct NoNormalForm;

/// The form of a user name in which every directory is asked, whatever the mechanism.
///
/// An address is parsed first, so that quotes, a trailing dot and the spelling of the domain make no difference. Then
/// `UsernameCaseMapped` applies to the name (RFC 8265 section 3.3): widths are mapped, letters become lower case, accents are
/// composed (NFC); invisible and compatibility characters, and ambiguous mixtures of text directions, are refused. Spaces around
/// the name are removed, and several inside become one. The text after the last `#` is the label of an app password, which may
/// hold any visible character.
///
/// A user name in its normal form stays as it is.
///
/// # Errors
///
/// [`NoNormalForm`] for what cannot be a user name.
pub fn normal_login(login: &str) -> Result<String, NoNormalForm> {
    if !login.is_ascii() {
        // First of all, since a full-width `@` or `#` counts as one.
        let mapped: String = login.chars().flat_map(width_mapped).collect();
        return in_usual_width(&mapped);
    }
    in_usual_width(login)
}

fn in_usual_width(login: &str) -> Result<String, NoNormalForm> {
    let login = login.trim_matches(' ');
    if login.is_empty() {
        return Err(NoNormalForm);
    }
    let is_plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-_+=@.".contains(&octet);
    if login.bytes().all(is_plain) && !login.ends_with('.') {
        return Ok(login.to_ascii_lowercase());
    }
    match login.rsplit_once('#') {
        Some((owner, label)) if !owner.is_empty() => {
            let label: String = label.nfc().collect();
            if label.chars().any(is_unseen) {
                return Err(NoNormalForm);
            }
            // A lower-case letter may compose with an accent where its capital does not.
            let label: String = label.to_ascii_lowercase().nfc().collect();
            Ok(format!("{}#{label}", normal_owner(owner)?))
        }
        _ => normal_owner(login),
    }
}

/// The normal form of a user name without a label.
fn normal_owner(login: &str) -> Result<String, NoNormalForm> {
    match address(login) {
        // The domain is already in its normal form (RFC 5890).
        Some(mailbox) => {
            let key = mailbox.key();
            let domain = key.rsplit_once('@').map_or("", |(_, domain)| domain);
            Ok(format!("{}@{domain}", case_mapped(&mailbox.unquoted_local())?))
        }
        None => {
            let mapped = case_mapped(login)?;
            // Perhaps only its spaces kept it from being an address.
            match address(&mapped) {
                Some(_) => normal_owner(&mapped),
                None => Ok(mapped),
            }
        }
    }
}

fn address(login: &str) -> Option<Mailbox> {
    let options = ParseOptions {
        utf8: true,
        ..ParseOptions::default()
    };
    login
        .contains('@')
        .then(|| Mailbox::parse(login, &options).ok())
        .flatten()
}

/// `UsernameCaseMapped`. Mapping to lower case is not always idempotent, so it is repeated until nothing changes (RFC 8264
/// section 7).
fn case_mapped(name: &str) -> Result<String, NoNormalForm> {
    const ROUNDS: usize = 4;
    let mut mapped = name.to_owned();
    for _ in 0..ROUNDS {
        let small: String = mapped.to_lowercase().nfc().collect();
        if small == mapped {
            break;
        }
        mapped = small;
    }
    let words: Vec<&str> = mapped.split(' ').filter(|word| !word.is_empty()).collect();
    let is_good = |word: &&str| is_identifier(word) && !breaks_bidi(word);
    match words.iter().all(is_good) && !words.is_empty() {
        true => Ok(words.join(" ")),
        false => Err(NoNormalForm),
    }
}

/// The usual form of a full-width or half-width character (RFC 8265 section 3.3.1).
fn width_mapped(c: char) -> impl Iterator<Item = char> {
    let of_width = matches!(c, '\u{3000}' | '\u{ff01}'..='\u{ffee}');
    let mapped = std::iter::once(c).filter(move |_| of_width).nfkc();
    mapped.chain(std::iter::once(c).filter(move |_| !of_width))
}

/// A form in which all spellings of one user name are equal, for counting failed attempts.
///
/// Directories are more lenient than the [normal form](normal_login): databases fold accents and letters as their collation says.
/// An attacker who could vary a name in these ways would never be slowed down. So this form folds more than most of them do; two
/// accounts that share one have their failures counted together, and nothing else. It identifies nobody: never look up an account
/// by it, and never show it to a client.
#[must_use]
pub fn fold_login(login: &str) -> String {
    let login = login.trim();
    let is_plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-_+#=@.".contains(&octet);
    if login.bytes().all(is_plain) && !login.ends_with('.') {
        return login.to_ascii_lowercase();
    }
    let key = address(login).map(|mailbox| mailbox.key());
    let mut folded = String::with_capacity(login.len());
    let letters = key
        .as_deref()
        .unwrap_or(login)
        .nfkd()
        .flat_map(char::to_lowercase);
    for c in letters.filter(|c| !is_combining_mark(*c) && !is_unseen(*c)) {
        match plain_letters(c) {
            Some(plain) => folded.push_str(plain),
            None => folded.push(c),
        }
    }
    let words: Vec<&str> = folded.split_whitespace().collect();
    words.join(" ").trim_end_matches('.').to_owned()
}

/// What collations fold a letter to that Unicode does not decompose.
fn plain_letters(c: char) -> Option<&'static str> {
    Some(match c {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'ø' => "o",
        'ł' => "l",
        'đ' | 'ð' => "d",
        'þ' => "th",
        'ħ' => "h",
        'ŧ' => "t",
        'ı' => "i",
        'ς' => "σ",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spellings_of_one_login() {
        #[rustfmt::skip]
        let cases = [
            ("as it is",                 "you@relay.test"),
            ("case",                     "YOU@Relay.TEST"),
            ("blanks around",            " you@relay.test "),
            ("quoted",                   "\"you\"@relay.test"),
            ("quoted, with backslash",   "\"y\\ou\"@relay.test"),
            ("a domain with its dot",    "you@relay.test."),
            ("a wide letter",            "you@r\u{ff45}lay.test"),
            ("a full stop of China",     "you@relay\u{3002}test"),
            ("a soft hyphen",            "you@re\u{ad}lay.test"),
            ("a blank of no width",      "you@re\u{200b}lay.test"),
            ("the same before the @",    "y\u{200b}ou@relay.test"),
            ("a long s",                 "you@relay.te\u{17f}t"),
            ("an accent for MySQL",      "yo\u{fa}@relay.test"),
            ("wide, before the @",       "\u{ff59}ou@relay.test"),
            ("a letter with a stroke",   "y\u{f8}u@relay.test"),
        ];
        for (shows, login) in cases {
            assert_eq!(fold_login(login), "you@relay.test", "{shows}");
        }
        #[rustfmt::skip]
        let cases = [
            ("a bare name",              "ACaird",            "acaird"),
            ("blanks inside, for LDAP",  "ann  \u{a0} mann",  "ann mann"),
            ("a label is part of it",    "you@relay.test#a",  "you@relay.test#a"),
            ("another one",              "yu@relay.test",     "yu@relay.test"),
            ("nothing to be seen",       "\u{200b}",          ""),
        ];
        for (shows, login, want) in cases {
            assert_eq!(fold_login(login), want, "{shows}");
        }
    }

    #[test]
    fn the_normal_form() {
        let same = |login: &'static str| (login, Ok(login));
        let none = Err(NoNormalForm);
        #[rustfmt::skip]
        let cases = [
            // what the case shows              typed                        asked
            ("a name",                          same("acaird")),
            ("capitals",                        ("ACaird",                   Ok("acaird"))),
            ("an address",                      ("ACaird@FCCC.Example",      Ok("acaird@fccc.example"))),
            ("quoted",                          ("\"ACaird\"@fccc.example",  Ok("acaird@fccc.example"))),
            ("a trailing dot",                  ("acaird@fccc.example.",     Ok("acaird@fccc.example"))),
            ("a domain of other letters",       ("a@b\u{fc}cher.example",    Ok("a@xn--bcher-kva.example"))),
            ("the same in ASCII",               ("a@XN--bcher-kva.example",  Ok("a@xn--bcher-kva.example"))),
            ("blanks around",                   (" acaird ",                 Ok("acaird"))),
            ("blanks inside",                   ("ann  mann",                Ok("ann mann"))),
            ("a wide letter",                   ("\u{ff21}nn",               Ok("ann"))),
            ("a wide at sign",                  ("Ann\u{ff20}Relay.test.",   Ok("ann@relay.test"))),
            ("a wide number sign",              ("ann\u{ff03}B",             Ok("ann#b"))),
            ("a narrow letter",                 ("\u{ff76}",                 Ok("\u{30ab}"))),
            ("accents in two parts",            ("jo\u{308}rg",              Ok("j\u{f6}rg"))),
            ("an accent is a letter's own",     same("j\u{f6}rg")),
            ("a sharp s is no double s",        same("wei\u{df}")),
            ("the final sigma",                 ("\u{39f}\u{3a3}",           Ok("\u{3bf}\u{3c2}"))),
            ("of a Windows domain",             ("FCCC\\ACaird",             Ok("fccc\\acaird"))),
            ("an accent for small letters",     ("ann@relay.test#T\u{308}", Ok("ann@relay.test#\u{1e97}"))),
            ("blanks before the label",         ("Ann@Relay.test.  #A", Ok("ann@relay.test#a"))),
            ("a label keeps its letters",       ("Ann@relay.test#B\u{fc}ro \u{2013} 2", Ok("ann@relay.test#b\u{fc}ro \u{2013} 2"))),
            ("Hebrew before a Latin domain",    same("\u{5d0}\u{5d1}@relay.test")),
            ("Arabic digits",                   same("\u{627}\u{661}")),
            ("a ligature",                      ("\u{fb01}nn",               none)),
            ("a long s",                        ("te\u{17f}t",               none)),
            ("a soft hyphen",                   ("an\u{ad}n",                none)),
            ("a blank without width",           ("ann\u{200b}@relay.test",   none)),
            ("one in the label",                ("ann@relay.test#a\u{200b}", none)),
            ("a joiner between Latin letters",  ("an\u{200d}n",              none)),
            ("the joiner of a script",          same("\u{915}\u{94d}\u{200d}\u{937}")),
            ("a symbol",                        ("ann\u{2122}",              none)),
            ("a smile",                         ("ann\u{1f600}",             none)),
            ("a wide blank inside",             ("ann\u{3000}mann",          Ok("ann mann"))),
            ("a blank of another width",        ("ann\u{2003}mann",          none)),
            ("both directions",                 ("ann\u{5d0}",               none)),
            ("two kinds of Arabic digits",      ("\u{627}\u{661}\u{6f1}",    none)),
            ("a character yet to come",         ("ann\u{378}",               none)),
            ("a control character",             ("ann\u{7}",                 none)),
            ("blanks alone",                    ("  ",                       none)),
            ("nothing",                         ("",                         none)),
        ];
        for (shows, (typed, want)) in cases {
            let got = normal_login(typed);
            assert_eq!(got.as_deref().map_err(|error| *error), want, "{shows}");
        }
    }

    proptest! {
        #[test]
        fn a_normal_form_stays_as_it_is(login in "\\PC{0,12}(@[a-z]{1,4}\\.test)?(#\\PC{0,4})?") {
            if let Ok(once) = normal_login(&login) {
                prop_assert_eq!(normal_login(&once), Ok(once));
            }
        }

        /// Case makes no difference.
        #[test]
        fn case_is_folded(login in "[ -~]{0,20}(@[ -~]{0,20})?") {
            prop_assert_eq!(fold_login(&login), fold_login(&login.to_ascii_uppercase()));
        }

        /// Addresses that a directory takes for the same are the same here.
        #[test]
        fn addresses_with_one_key_are_one(login in "[a-zA-Z\"\\\\.\u{ad}\u{17f}]{1,8}@[a-zA-Z\u{ad}\u{ff41}-\u{ff5a}]{1,8}\\.(test|TEST)\\.?") {
            let options = ParseOptions { utf8: true, ..ParseOptions::default() };
            if let Ok(mailbox) = Mailbox::parse(&login, &options) {
                prop_assert_eq!(fold_login(&login), fold_login(&mailbox.key()));
            }
        }
    }
}
