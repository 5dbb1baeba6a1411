//! Expansion of the kinds of lines found in `.mc` files.

use proptest::prelude::*;

use super::*;
use crate::origin::testing::Folder;

const VOCABULARY: Vocabulary<'_> = Vocabulary {
    recorded: &["FEATURE", "MAILER", "OSTYPE", "LOCAL_CONFIG"],
    defined: &[("MAIL_SETTINGS_DIR", "/etc/mail/"), ("confLIST", "`i, j'")],
    known_files: &["/m4/cf.m4"],
};

fn told(text: &str) -> Vec<String> {
    let folder = Folder(
        [(
            "/etc/mail/tls.m4",
            "define(`confTLS', `yes')dnl\nFEATURE(`tls')\n",
        )]
        .into(),
    );
    let events = expand("x.mc", text, &folder, &VOCABULARY);
    events
        .iter()
        .map(|event| {
            format!(
                "{} {}",
                event.at.to_string().replace("x.mc:", ""),
                said(&event.what)
            )
        })
        .collect()
}

fn said(event: &Event) -> String {
    match event {
        Event::Define { name, value } => format!("{name}={value}"),
        Event::Undefine(name) => format!("-{name}"),
        Event::Call { name, arguments } => format!("{name}({})", arguments.join("|")),
        Event::Include { path, problem } => format!(
            "<{path}{}",
            problem.as_deref().map(|it| format!(" {it}")).unwrap_or_default()
        ),
        Event::Text(text) => format!("'{text}"),
        Event::CannotFollow(what) => format!("?{what}"),
    }
}

#[test]
fn lines_mean_what_m4_takes_them_for() {
    let table: &[(&str, &[&str])] = &[
        ("", &[]),
        ("dnl FEATURE(`no')\n", &[]),
        ("# FEATURE(`no')\n", &[]),
        (
            "divert(-1)\n words OSTYPE(`linux')\ndivert(0)dnl\nmore\n",
            &["2 OSTYPE(linux)", "4 'more"],
        ),
        ("define(`confA', `b')dnl\n", &["1 confA=b"]),
        ("define(`confA', ``8:12'')dnl\n", &["1 confA=8:12"]),
        ("define(confA, b)dnl\n", &["1 confA=b"]),
        ("define(`confA')dnl\n", &["1 confA="]),
        ("undefine(`confA', `confB')dnl\n", &["1 -confA", "1 -confB"]),
        ("FEATURE(redirect)dnl\n", &["1 FEATURE(redirect)"]),
        ("FEATURE(`a', `b, c', `')dnl\n", &["1 FEATURE(a|b, c|)"]),
        ("FEATURE(`a',\n  `b')dnl\n", &["1-2 FEATURE(a|b)"]),
        ("FEATURE(`a', (b, c))\n", &["1 FEATURE(a|(b, c))"]),
        (
            "FEATURE(`t', `hash MAIL_SETTINGS_DIR`'virtusertable')\n",
            &["1 FEATURE(t|hash /etc/mail/virtusertable)"],
        ),
        (
            "define(`D', `/pki')dnl\ndefine(`confCA', `D/ca.pem')dnl\n",
            &["1 D=/pki", "2 confCA=/pki/ca.pem"],
        ),
        (
            "define(`confCA', `D/ca.pem')dnl\ndefine(`D', `/pki')dnl\n",
            &["1 confCA=/pki/ca.pem", "2 D=/pki"],
        ),
        ("define(`confLIST', confLIST`, k')dnl\n", &["1 confLIST=i, j, k"]),
        ("define(`confX', confX`, k')dnl\n", &["1 confX=confX, k"]),
        (
            "ifdef(`confLIST', `FEATURE(`yes')', `FEATURE(`no')')\n",
            &["1 FEATURE(yes)"],
        ),
        (
            "ifelse(a, b, `FEATURE(`no')', c, c, `FEATURE(`yes')')\n",
            &["1 FEATURE(yes)"],
        ),
        (
            "ifelse(a, b, `FEATURE(`no')', `FEATURE(`else')')\n",
            &["1 FEATURE(else)"],
        ),
        (
            "define(`f', `FEATURE(`$1')')f(`x')\n",
            &["1 f=FEATURE($1)", "1 FEATURE(x)"],
        ),
        (
            "include(`/usr/share/sendmail/cf/m4/cf.m4')\n#FEATURE(`on')\n",
            &["1 </usr/share/sendmail/cf/m4/cf.m4", "2 FEATURE(on)", "2 '#"],
        ),
        (
            "include(`/etc/mail/tls.m4')dnl\nOSTYPE(x)\n",
            &[
                "1 </etc/mail/tls.m4",
                "/etc/mail/tls.m4:1 confTLS=yes",
                "/etc/mail/tls.m4:2 FEATURE(tls)",
                "2 OSTYPE(x)",
            ],
        ),
        ("include(`/etc/none')\n", &["1 </etc/none no such file"]),
        ("sinclude(`/etc/none')\n", &[]),
        (
            "LOCAL_CONFIG\nKstorage macro\n",
            &["1 LOCAL_CONFIG()", "2 'Kstorage macro"],
        ),
        ("changequote([, ])FEATURE([a])\n", &["1 FEATURE(a)"]),
        ("define(`a', `x", &["1 ?a quote ` without its end", "1 a="]),
        ("esyscmd(`date')\n", &["1 ?the m4 macro esyscmd(date)"]),
        (
            "an index and a define in words\n",
            &["1 'an index and a define in words"],
        ),
        (
            "define(`loop', `loop loop')loop\n",
            &[
                "1 ?the file expands without end; the rest of it was not read",
                "1 loop=loop loop",
            ],
        ),
    ];
    for (text, expected) in table {
        let mut found = told(text);
        let mut expected: Vec<String> = expected.iter().map(|one| (*one).to_owned()).collect();
        if text.starts_with("define(`loop'") {
            found.sort();
            expected.sort();
        }
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn files_that_include_each_other_end() {
    let folder = Folder([("/a", "include(`/a')dnl\n")].into());
    let events = expand("/a", "include(`/a')dnl\n", &folder, &VOCABULARY);
    assert!(
        matches!(&events.last().unwrap().what, Event::CannotFollow(what) if what.contains("without end"))
    );
}

proptest! {
    #[test]
    fn whatever_a_file_says_the_reader_ends(text in "(define|FEATURE|ifdef|ifelse|dnl|divert|[(),`'$1-9# \n\\-]|[a-z]{1,3}){0,60}") {
        let events = expand("x.mc", &text, &Folder::default(), &VOCABULARY);
        prop_assert!(events.iter().all(|event| event.at.first <= event.at.last));
    }
}
