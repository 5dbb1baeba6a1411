//! Whatever the files say.

use super::*;

proptest::proptest! {
    /// Whatever a site's files contain, the import terminates and reports each call and option.
    #[test]
    fn no_line_breaks_the_import(
        lines in proptest::collection::vec((proptest::sample::select(PIECES), "[ -~]{0,24}"), 0..10),
        table in "[ -~\n\t]{0,80}",
        is_cf in proptest::bool::ANY,
    ) {
        let text: String = lines.iter().map(|(piece, rest)| piece.replace('X', rest) + "\n").collect();
        let path = if is_cf { "/etc/mail/sendmail.cf" } else { "/etc/mail/sendmail.mc" };
        let files = Any { path, text: &text, table: &table };
        let import = import("/etc/mail/sendmail.mc", &files).unwrap();
        let told = |item: &Item| !matches!(&item.fate, Fate::Missing { remedy, .. } if remedy == UNREAD);
        let untold: Vec<&Item> = import.report.items().iter().filter(|item| !told(item)).collect();
        proptest::prop_assert!(untold.is_empty(), "{untold:?}\n{text}");
        let _ = import.config.text("");
    }
}

/// Lines of `.mc` and `.cf` files; X is anything.
const PIECES: &[&str] = &[
    "define(`SMART_HOST', `X')",
    "define(`LUSER_RELAY', `X')",
    "define(`confTO_COMMAND', `X')",
    "define(`confRECEIVED_HEADER', `X')",
    "define(`confAUTH_MECHANISMS', `X')",
    "define(`confLDAP_DEFAULT_SPEC', `X')",
    "define(`confMIN_FREE_BLOCKS', `X')",
    "FEATURE(`access_db')FEATURE(`delay_checks', `friend')FEATURE(`ratecontrol')FEATURE(`greet_pause', `X')",
    "FEATURE(`enhdnsbl', `X', `X', `t')",
    "FEATURE(`mailertable')FEATURE(`virtusertable')FEATURE(`domaintable')FEATURE(`genericstable')",
    "FEATURE(`authinfo')FEATURE(`blocklist_recipients')",
    "FEATURE(`local_procmail', `X', `X')MAILER(`local')",
    "FEATURE(`ldap_routing', `X', `X', `X')",
    "MASQUERADE_AS(`X')FEATURE(`allmasquerade')",
    "DAEMON_OPTIONS(`X')CLIENT_OPTIONS(`X')",
    "INPUT_MAIL_FILTER(`a', `X')",
    "LOCAL_DOMAIN(`X')VIRTUSER_DOMAIN(`X')GENERICS_DOMAIN(`X')",
    "O X",
    "O DaemonPortOptions=X",
    "DX",
    "C{X",
    "F{G}X",
    "Kaccess X",
    "XX",
    "Mlocal, P=/usr/bin/procmail, A=X",
    "R$-.$-.$-.$- $: <?> $(ednsbl $4.$3.$2.$1.X. $: OK $)",
    "##### $Id: X.m4,v",
    "X",
];

/// One main file of a site, and all other files with the same lines.
struct Any<'a> {
    path: &'a str,
    text: &'a str,
    table: &'a str,
}

impl Files for Any<'_> {
    fn read(&self, path: &str) -> Result<String, FileError> {
        match path {
            _ if path == self.path => Ok(self.text.to_owned()),
            "/etc/mail/sendmail.mc" | "/etc/mail/sendmail.cf" | "/etc/sendmail.cf" => Err(FileError::Missing),
            _ => Ok(self.table.to_owned()),
        }
    }
}
