//! `sendmail.cf`, if there is nothing else: m4's output contains nearly everything that the `.mc` file said.

use super::mc::Mc;
use crate::Origin;

/// Options of `.cf` files, and their names in `.mc` files.
const OPTIONS: &[(&str, &str)] = &[
    ("AliasFile", "ALIAS_FILE"),
    ("AliasWait", "confALIAS_WAIT"),
    ("AuthMechanisms", "confAUTH_MECHANISMS"),
    ("AuthOptions", "confAUTH_OPTIONS"),
    ("AuthRealm", "confAUTH_REALM"),
    ("BadRcptThrottle", "confBAD_RCPT_THROTTLE"),
    ("BlankSub", "confBLANK_SUB"),
    ("CACertFile", "confCACERT"),
    ("CACertPath", "confCACERT_PATH"),
    ("CheckAliases", "confCHECK_ALIASES"),
    ("CipherList", "confCIPHER_LIST"),
    ("ClientCertFile", "confCLIENT_CERT"),
    ("ClientKeyFile", "confCLIENT_KEY"),
    ("ConnectionCacheSize", "confMCI_CACHE_SIZE"),
    ("ConnectionCacheTimeout", "confMCI_CACHE_TIMEOUT"),
    ("ConnectionRateThrottle", "confCONNECTION_RATE_THROTTLE"),
    ("ConnectionRateWindowSize", "confCONNECTION_RATE_WINDOW_SIZE"),
    ("CRLFile", "confCRL"),
    ("DefaultUser", "confDEF_USER_ID"),
    ("DelayLA", "confDELAY_LA"),
    ("DeliveryMode", "confDELIVERY_MODE"),
    ("DHParameters", "confDH_PARAMETERS"),
    ("DontProbeInterfaces", "confDONT_PROBE_INTERFACES"),
    ("DoubleBounceAddress", "confDOUBLE_BOUNCE_ADDRESS"),
    ("ForwardPath", "confFORWARD_PATH"),
    ("HelpFile", "HELP_FILE"),
    ("HoldExpensive", "confCON_EXPENSIVE"),
    ("InputMailFilters", "confINPUT_MAIL_FILTERS"),
    ("LogLevel", "confLOG_LEVEL"),
    ("MaxDaemonChildren", "confMAX_DAEMON_CHILDREN"),
    ("MaxHopCount", "confMAX_HOP"),
    ("MaxMessageSize", "confMAX_MESSAGE_SIZE"),
    ("MaxRecipientsPerMessage", "confMAX_RCPTS_PER_MESSAGE"),
    ("Milter.macros.connect", "confMILTER_MACROS_CONNECT"),
    ("Milter.macros.envfrom", "confMILTER_MACROS_ENVFROM"),
    ("Milter.macros.envrcpt", "confMILTER_MACROS_ENVRCPT"),
    ("Milter.macros.eom", "confMILTER_MACROS_EOM"),
    ("Milter.macros.helo", "confMILTER_MACROS_HELO"),
    ("MinFreeBlocks", "confMIN_FREE_BLOCKS"),
    ("NoRecipientAction", "confNO_RCPT_ACTION"),
    ("OldStyleHeaders", "confOLD_STYLE_HEADERS"),
    ("OperatorChars", "confOPERATORS"),
    ("PidFile", "confPID_FILE"),
    ("PostmasterCopy", "confCOPY_ERRORS_TO"),
    ("PrivacyOptions", "confPRIVACY_FLAGS"),
    ("QueueDirectory", "QUEUE_DIR"),
    ("QueueLA", "confQUEUE_LA"),
    ("RandFile", "confRAND_FILE"),
    ("RefuseLA", "confREFUSE_LA"),
    ("ResolverOptions", "confBIND_OPTS"),
    ("SendMimeErrors", "confMIME_FORMAT_ERRORS"),
    ("ServerCertFile", "confSERVER_CERT"),
    ("ServerKeyFile", "confSERVER_KEY"),
    ("ServerSSLOptions", "confSERVER_SSL_OPTIONS"),
    ("SevenBitInput", "confSEVEN_BIT_INPUT"),
    ("SmtpGreetingMessage", "confSMTP_LOGIN_MSG"),
    ("StatusFile", "STATUS_FILE"),
    ("SuperSafe", "confSUPERSAFE"),
    ("TempFileMode", "confTEMP_FILE_MODE"),
    ("TLSSrvOptions", "confTLS_SRV_OPTIONS"),
    ("Timeout.auth", "confTO_AUTH"),
    ("Timeout.command", "confTO_COMMAND"),
    ("Timeout.connect", "confTO_CONNECT"),
    ("Timeout.datablock", "confTO_DATABLOCK"),
    ("Timeout.datafinal", "confTO_DATAFINAL"),
    ("Timeout.datainit", "confTO_DATAINIT"),
    ("Timeout.helo", "confTO_HELO"),
    ("Timeout.iconnect", "confTO_ICONNECT"),
    ("Timeout.ident", "confTO_IDENT"),
    ("Timeout.initial", "confTO_INITIAL"),
    ("Timeout.mail", "confTO_MAIL"),
    ("Timeout.queuereturn", "confTO_QUEUERETURN"),
    ("Timeout.queuereturn.normal", "confTO_QUEUERETURN_NORMAL"),
    ("Timeout.queuewarn", "confTO_QUEUEWARN"),
    ("Timeout.queuewarn.normal", "confTO_QUEUEWARN_NORMAL"),
    ("Timeout.quit", "confTO_QUIT"),
    ("Timeout.rcpt", "confTO_RCPT"),
    ("Timeout.starttls", "confTO_STARTTLS"),
    ("TryNullMXList", "confTRY_NULL_MX_LIST"),
    ("UnixFromLine", "confFROM_LINE"),
    ("UseErrorsTo", "confUSE_ERRORS_TO"),
    ("UserDatabaseSpec", "confUSERDB_SPEC"),
];

/// Maps of features: their names in `.cf` files.
const MAPS: &[(&str, &str)] = &[
    ("access", "access_db"),
    ("authinfo", "authinfo"),
    ("domaintable", "domaintable"),
    ("generics", "genericstable"),
    ("mailertable", "mailertable"),
    ("virtuser", "virtusertable"),
];

/// Classes filled by a macro in `.mc` files, and the macro that names a file with them.
const CLASSES: &[(&str, &str, &str)] = &[
    ("E", "EXPOSED_USER", "EXPOSED_USER_FILE"),
    ("G", "GENERICS_DOMAIN", "GENERICS_DOMAIN_FILE"),
    ("M", "MASQUERADE_DOMAIN", "MASQUERADE_DOMAIN_FILE"),
    ("N", "MASQUERADE_EXCEPTION", "MASQUERADE_EXCEPTION_FILE"),
    ("R", "RELAY_DOMAIN", ""),
    ("TrustAuthMech", "TRUST_AUTH_MECH", ""),
    ("VirtHost", "VIRTUSER_DOMAIN", "VIRTUSER_DOMAIN_FILE"),
    ("w", "LOCAL_DOMAIN", ""),
];

/// Macros, by their letter.
const MACROS: &[(&str, &str)] = &[
    ("H", "MAIL_HUB"),
    ("L", "LUSER_RELAY"),
    ("R", "LOCAL_RELAY"),
    ("S", "SMART_HOST"),
    ("j", "confDOMAIN_NAME"),
];

/// How sendmail's own trace field begins.
const USUAL_TRACE: &str = "$?sfrom $s";

/// Parses a `.cf` file into what the original `.mc` file would say.
pub(super) fn read(path: &str, text: &str) -> Mc {
    let mut cf = Cf::default();
    for (at, line) in lines(path, text) {
        cf.line(at, &line);
    }
    cf.finish()
}

/// Lines joined with their continuations.
fn lines(path: &str, text: &str) -> Vec<(Origin, String)> {
    let file = path.into();
    let mut lines: Vec<(Origin, String)> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        match lines.last_mut() {
            Some((at, before)) if line.starts_with([' ', '\t']) && !line.trim().is_empty() => {
                at.last = number;
                before.push('\n');
                before.push_str(line);
            }
            _ => lines.push((Origin::line(&file, number), line.to_owned())),
        }
    }
    lines
}

#[derive(Default)]
struct Cf {
    mc: Mc,
    /// Features by the names of their templates, which appear in comments.
    features: Vec<(Origin, String)>,
    /// Feature arguments found in the rules.
    arguments: Vec<(&'static str, Vec<String>)>,
    /// The lists of DNS, in the order in which they are asked.
    lists: Vec<List>,
    rules: Option<Origin>,
    has_listener: bool,
}

impl Cf {
    fn line(&mut self, at: Origin, line: &str) {
        let rest = line.get(1..).unwrap_or_default();
        match line.chars().next() {
            Some('#') => self.template(at, line),
            Some('O') => self.option(at, rest.trim()),
            Some('D') => self.define(at, rest),
            Some('C') => self.class(at, rest),
            Some('F') => self.file(at, rest),
            Some('K') => self.map(at, rest),
            Some('X') => {
                let (name, options) = rest.split_once(',').unwrap_or((rest, ""));
                let arguments = vec![name.trim().to_owned(), options.trim().to_owned()];
                self.mc.add_call(at, "INPUT_MAIL_FILTER", arguments);
            }
            Some('M') => self.mailer(at, rest),
            Some('H') => self.header(at, rest),
            Some('S' | 'R') => self.rule(at, line),
            Some('V' | 'P' | 'T') => self.mc.add_idle(at, first(line), "sendmail's own ways"),
            _ => {}
        }
    }

    /// `#####  $Id: use_cw_file.m4,v 8.12 … $`.
    fn template(&mut self, at: Origin, line: &str) {
        let name = line
            .split_once("$Id: ")
            .and_then(|(_, rest)| rest.split_once(".m4"));
        if let Some((name, _)) = name {
            self.features.push((at, name.to_owned()));
        }
    }

    fn option(&mut self, at: Origin, option: &str) {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let (name, value) = (name.trim(), value.trim().to_owned());
        match name {
            "DaemonPortOptions" => {
                self.has_listener = true;
                self.mc.add_call(at, "DAEMON_OPTIONS", vec![value]);
            }
            "ClientPortOptions" => self.mc.add_call(at, "CLIENT_OPTIONS", vec![value]),
            _ => {
                let known = OPTIONS.iter().find(|(cf, _)| cf.eq_ignore_ascii_case(name));
                let name = known.map_or_else(|| format!("conf{name}"), |(_, mc)| (*mc).to_owned());
                self.mc.set_option(at, &name, value);
            }
        }
    }

    fn define(&mut self, at: Origin, rest: &str) {
        let (name, value) = named(rest);
        let value = value.trim().to_owned();
        match (name, MACROS.iter().find(|(letter, _)| *letter == name)) {
            // `$w.$m` is the machine's name anyway.
            (_, Some((_, option))) if !value.is_empty() && !value.contains('$') => {
                self.mc.set_option(at, option, value);
            }
            ("M", _) if !value.is_empty() => self.mc.add_call(at, "MASQUERADE_AS", vec![value]),
            _ => self
                .mc
                .add_idle(at, format!("D{name}"), "a name that other lines use"),
        }
    }

    fn class(&mut self, at: Origin, rest: &str) {
        let (name, words) = named(rest);
        // Values set by templates, and references to other classes.
        let own = |word: &str| {
            word.starts_with(['[', '$'])
                || word.starts_with("IPv6:")
                || matches!(word, "localhost" | "127.0.0.1")
        };
        let words: Vec<&str> = words.split_whitespace().filter(|word| !own(word)).collect();
        match CLASSES.iter().find(|(class, _, _)| *class == name) {
            Some((_, call, _)) if !words.is_empty() => self.mc.add_call(at, call, vec![words.join(" ")]),
            _ => self
                .mc
                .add_idle(at, format!("C{{{name}}}"), "a class of sendmail's own rules"),
        }
    }

    fn file(&mut self, at: Origin, rest: &str) {
        let (name, path) = named(rest);
        let path = path.trim().to_owned();
        match (name, CLASSES.iter().find(|(class, _, _)| *class == name)) {
            ("w", _) => self.mc.set_option(at, "confCW_FILE", path),
            ("R", _) => self.mc.set_option(at, "confCR_FILE", path),
            ("t", _) => self.mc.set_option(at, "confCT_FILE", path),
            (_, Some((_, _, call))) if !call.is_empty() => self.mc.add_call(at, call, vec![path]),
            _ => self.mc.add_note(at, format!("F{{{name}}} {path}")),
        }
    }

    fn map(&mut self, at: Origin, rest: &str) {
        let (name, definition) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
        match MAPS.iter().find(|(map, _)| *map == name) {
            Some((_, feature)) => {
                let arguments = vec![(*feature).to_owned(), definition.trim().to_owned()];
                self.mc.add_call(at, "FEATURE", arguments);
            }
            None => self.mc.add_idle(
                at,
                format!("K{name}"),
                "a map of sendmail's own rules, or of a feature that is named",
            ),
        }
    }

    /// `A=TCP $h 587` is the only part that sites change.
    fn mailer(&mut self, at: Origin, rest: &str) {
        let (name, definition) = rest.split_once(',').unwrap_or((rest, ""));
        let call = definition
            .split("A=")
            .nth(1)
            .and_then(|call| call.split(',').next());
        let call = call.unwrap_or_default().trim().to_owned();
        let program = definition
            .split("P=")
            .nth(1)
            .and_then(|path| path.split(',').next());
        if let Some(path) =
            program.filter(|path| name.trim() == "local" && path.trim().ends_with("/procmail"))
        {
            let words = vec![path.trim().to_owned(), call.clone()];
            self.arguments.push(("local_procmail", words));
        }
        let option = match name.trim() {
            "relay" => "RELAY_MAILER_ARGS",
            "esmtp" => "ESMTP_MAILER_ARGS",
            name => {
                self.mc
                    .add_idle(at, format!("M{name}"), "a mailer of sendmail's templates");
                return;
            }
        };
        if call == "TCP $h" {
            self.mc
                .add_idle(at, first(rest), "a mailer as sendmail's templates have it");
        } else {
            self.mc.set_option(at, option, call);
        }
    }

    fn header(&mut self, at: Origin, rest: &str) {
        match rest.strip_prefix("Received:") {
            Some(trace) if !trace.trim().starts_with(USUAL_TRACE) => {
                self.mc
                    .set_option(at, "confRECEIVED_HEADER", trace.trim().to_owned());
            }
            _ => self.mc.add_idle(at, first(rest), "a field of sendmail's own"),
        }
    }

    /// Rules come from the templates; what features add to them is read.
    fn rule(&mut self, at: Origin, line: &str) {
        match List::begins(line) {
            Some(list) => self.lists.push(list),
            None => {
                if let Some(list) = self.lists.last_mut() {
                    list.line(line);
                }
            }
        }
        if line.contains("SPAMFRIEND") {
            self.arguments.push(("delay_checks", vec!["friend".to_owned()]));
        }
        if let Some(pause) = line
            .strip_prefix("R<?> <$*>")
            .and_then(|rest| rest.trim().strip_prefix("$# "))
        {
            self.arguments
                .push(("greet_pause", vec![pause.trim().to_owned()]));
        }
        match &mut self.rules {
            Some(rules) => rules.last = at.last,
            None => self.rules = Some(at),
        }
    }

    fn finish(mut self) -> Mc {
        let had_lists = !self.lists.is_empty();
        let first = self.mc.calls("DAEMON_OPTIONS").next().map(|(at, _)| at.clone());
        if let Some(at) = first.filter(|_| self.has_listener) {
            self.mc.add_call(at, "FEATURE", vec!["no_default_msa".to_owned()]);
        }
        for (at, name) in std::mem::take(&mut self.features) {
            match name.as_str() {
                "local" | "smtp" | "procmail" => self.mc.add_call(at, "MAILER", vec![name]),
                "cfhead" | "cf" | "proto" | "version" | "generic" | "linux" => {
                    self.mc.add_idle(at, name, "a template of sendmail's");
                }
                _ if MAPS.iter().any(|(_, feature)| *feature == name) || name == "no_default_msa" => {
                    self.mc.add_idle(at, name, "another line says what it does");
                }
                // The template stands there once; each list has rules of its own.
                "dnsbl" | "enhdnsbl" if !self.lists.is_empty() => {
                    self.mc
                        .add_idle(at.clone(), name, "another line says what it does");
                    for list in std::mem::take(&mut self.lists) {
                        self.mc.add_call(at.clone(), "FEATURE", list.arguments());
                    }
                }
                "dnsbl" | "enhdnsbl" if had_lists => {
                    self.mc.add_idle(at, name, "another line says what it does");
                }
                _ => {
                    let given = self.arguments.iter().find(|(feature, _)| *feature == name);
                    let more = given.map(|(_, more)| more.clone());
                    let mut arguments = vec![name];
                    arguments.extend(more.unwrap_or_default());
                    self.mc.add_call(at, "FEATURE", arguments);
                }
            }
        }
        if let Some(rules) = self.rules {
            self.mc.add_note(
                rules,
                "rules of sendmail.cf, which are taken for those of sendmail's templates".to_owned(),
            );
        }
        self.mc
    }
}

/// A list of DNS, as its rules tell of it.
#[derive(Debug, Default, Eq, PartialEq)]
struct List {
    /// `dnsbl` or `enhdnsbl`.
    feature: &'static str,
    zone: String,
    /// What is said, as `.mc` files write it.
    message: String,
    /// Whether mail waits while the list does not answer.
    defers: bool,
    /// The answers that count; all where there are none.
    answers: Vec<String>,
}

impl List {
    /// `R$-.$-.$-.$-  $: <?> $(dnsbl $4.$3.$2.$1.bl.example. $: OK $)`.
    fn begins(line: &str) -> Option<Self> {
        let (before, zone) = line.split_once("dnsbl $4.$3.$2.$1.")?;
        let (zone, _) = zone.split_once(". ")?;
        let feature = if before.ends_with("$(e") {
            "enhdnsbl"
        } else {
            "dnsbl"
        };
        Some(Self {
            feature,
            zone: zone.to_owned(),
            ..Self::default()
        })
    }

    /// `R<?>$+<TMP>  $#error $@ 4.4.3 $: …`, `R<?>127.0.0.2.  $#error $@ 5.7.1 $: "550 no"`, `R<?>$+  $#error $@ quarantine $: …`.
    fn line(&mut self, line: &str) {
        let Some((answer, action)) = line
            .strip_prefix("R<?>")
            .and_then(|rest| rest.split_once([' ', '\t']))
        else {
            return;
        };
        let Some(said) = action.trim().strip_prefix("$#error $@ ") else {
            return;
        };
        match answer.trim() {
            "$+<TMP>" => self.defers = true,
            "$+" => {}
            answer => self.answers.push(answer.to_owned()),
        }
        if answer.trim() != "$+<TMP>" {
            let (status, message) = said.split_once("$:").unwrap_or((said, ""));
            let is_held = status.trim() == "quarantine";
            self.message = if is_held { "quarantine" } else { message.trim() }.to_owned();
        }
    }

    fn arguments(self) -> Vec<String> {
        // What is said without words of one's own.
        let usual = format!(
            "\"550 Rejected: \" $&{{client_addr}} \" listed at {}\"",
            self.zone
        );
        let message = if self.message == usual {
            String::new()
        } else {
            self.message
        };
        let defers = if self.defers { "t" } else { "" };
        let mut arguments = vec![self.feature.to_owned(), self.zone, message, defers.to_owned()];
        arguments.extend(self.answers);
        arguments
    }
}

/// A name of one letter or in braces, and what follows it.
fn named(rest: &str) -> (&str, &str) {
    if let Some((name, rest)) = rest.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
        return (name, rest);
    }
    let end = rest.chars().next().map_or(0, char::len_utf8);
    rest.split_at(end)
}

/// The first line, in short.
fn first(line: &str) -> String {
    line.lines()
        .next()
        .unwrap_or_default()
        .trim()
        .chars()
        .take(60)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rules as m4 makes them of `FEATURE(dnsbl)` and `FEATURE(enhdnsbl)` of sendmail 8.17.
    #[test]
    fn lists_keep_their_words_and_answers() {
        let text = "#####  $Id: dnsbl.m4,v 8.34 2013-11-22 20:51:11 ca Exp $  #####\n\
                    #####  $Id: enhdnsbl.m4,v 1.13 2013-11-22 20:51:11 ca Exp $  #####\n\
                    R$*\t\t\t$: $&{client_addr}\n\
                    R$-.$-.$-.$-\t\t$: <?> $(dnsbl $4.$3.$2.$1.bl.example. $: OK $)\n\
                    R<?>OK\t\t\t$: OKSOFAR\n\
                    R<?>$+<TMP>\t\t$#error $@ 4.4.3 $: \"451 Temporary lookup failure of \" $&{client_addr} \" at bl.example\"\n\
                    R<?>$+\t\t$#error $@ 5.7.1 $: \"550 5.7.9 Mail from \" $&{client_addr} \" refused see bl\"\n\
                    R$-.$-.$-.$-\t\t$: <?> $(dnsbl $4.$3.$2.$1.q.example. $: OK $)\n\
                    R<?>$+<TMP>\t\t$: TMPOK\n\
                    R<?>$+\t\t$#error $@ quarantine $: q.example\n\
                    R$-.$-.$-.$-\t\t$: <?> $(ednsbl $4.$3.$2.$1.zen.example. $: OK $)\n\
                    R<?>127.0.0.2.\t$#error $@ 5.7.1 $: \"550 no\"\n\
                    R<?>127.0.0.4.\t\t$#error $@ 5.7.1 $: \"550 no\"\n\
                    R$-.$-.$-.$-\t\t$: <?> $(ednsbl $4.$3.$2.$1.plain.example. $: OK $)\n\
                    R<?>$+\t$#error $@ 5.7.1 $: \"550 Rejected: \" $&{client_addr} \" listed at plain.example\"\n";
        let mc = read("/etc/mail/sendmail.cf", text);
        let calls: Vec<Vec<String>> = mc
            .calls("FEATURE")
            .map(|(_, arguments)| arguments.to_vec())
            .collect();
        let own = "\"550 5.7.9 Mail from \" $&{client_addr} \" refused see bl\"";
        let expected: [&[&str]; 4] = [
            &["dnsbl", "bl.example", own, "t"],
            &["dnsbl", "q.example", "quarantine", ""],
            &[
                "enhdnsbl",
                "zen.example",
                "\"550 no\"",
                "",
                "127.0.0.2.",
                "127.0.0.4.",
            ],
            &["enhdnsbl", "plain.example", "", ""],
        ];
        assert_eq!(calls, expected);
    }
}
