//! What holds for every address.

use postern_mail::address::split_path;
use postern_mail::{AddressLimits, Domain, ForwardPath, Mailbox, ParseOptions, ReversePath};
use proptest::prelude::*;

/// Text made of the characters that have a meaning in an address.
fn tricky() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof![
            4 => proptest::sample::select(vec![
                "a", "B", "7", ".", "@", "\"", "\\", "<", ">", "[", "]", ":", ",", "%", "!", " ", "-", "_", "IPv6:", "::1",
                "192.0.2.1", "xn--", "ä", "ß", "\u{3002}", "\u{ff20}", "\u{ad}", "\u{200d}", "\u{202e}", "\r", "\n", "\0",
                "example.org", "postmaster",
            ]).prop_map(str::to_owned),
            1 => any::<char>().prop_map(String::from),
        ],
        0..12,
    )
    .prop_map(|parts| parts.concat())
}

/// An unquoted local part.
fn local() -> impl Strategy<Value = String> {
    "[ -~ä-üα-ω]{1,20}"
}

fn lenient() -> ParseOptions<'static> {
    ParseOptions {
        utf8: true,
        limits: AddressLimits::STORED,
        default_domain: None,
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in prop_oneof![tricky(), any::<String>()], utf8: bool, with_default: bool) {
        let domain: Domain = "default.example".parse().unwrap();
        let options = ParseOptions { utf8, default_domain: with_default.then_some(&domain), ..ParseOptions::default() };
        let _ = Mailbox::parse(&text, &options);
        let _ = ReversePath::parse(&text, &options);
        let _ = ForwardPath::parse(&text, &options);
        let _ = Domain::parse(&text, utf8);
        let _ = split_path(&text);
    }

    #[test]
    fn what_is_printed_is_read_back_as_the_same(text in tricky()) {
        if let Ok(mailbox) = Mailbox::parse(&text, &lenient()) {
            prop_assert_eq!(&mailbox.to_string().parse::<Mailbox>(), &Ok(mailbox));
        }
        if let Ok(path) = ReversePath::parse(&text, &lenient()) {
            prop_assert_eq!(&ReversePath::parse(&path.to_string(), &lenient()), &Ok(path));
        }
        if let Ok(domain) = Domain::parse(&text, true) {
            prop_assert_eq!(&Domain::parse(&domain.to_string(), false), &Ok(domain));
        }
    }

    #[test]
    fn an_accepted_address_cannot_break_out_of_a_command_or_a_field(text in tricky()) {
        if let Ok(path) = ForwardPath::parse(&text, &lenient()) {
            let printed = path.to_string();
            prop_assert!(!printed.chars().any(char::is_control), "{:?}", printed);
            let with_parameter = format!("{printed} SIZE=1");
            prop_assert_eq!(split_path(&with_parameter), Ok((printed.as_str(), "SIZE=1")));
        }
    }

    #[test]
    fn without_smtputf8_everything_accepted_is_ascii(text in tricky()) {
        if let Ok(mailbox) = Mailbox::parse(&text, &ParseOptions::default()) {
            prop_assert!(mailbox.is_ascii() && mailbox.to_string().is_ascii());
        }
    }

    #[test]
    fn a_local_part_means_what_it_was_made_from(local in local()) {
        let mailbox = Mailbox::new(&local, "example.org".parse().unwrap()).unwrap();
        prop_assert_eq!(mailbox.unquoted_local(), local.as_str());
        let read: Mailbox = mailbox.to_string().parse().unwrap();
        prop_assert_eq!(read.unquoted_local(), local.as_str());
    }
}
