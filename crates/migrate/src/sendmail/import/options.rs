//! `define`: the table of sendmail's options, from which the guide's "where did my setting go" is made too.

use super::Site;
use crate::config::Value;
use crate::report::Weight;
use crate::settings;
use crate::{Located, Origin};

/// An option of `.mc` files, and where it goes.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// Where it goes.
    pub goes: Goes,
}

/// Where an option goes.
#[derive(Clone, Copy, Debug)]
pub enum Goes {
    /// Its text to a key.
    Text(&'static str, &'static str),
    /// Its number to a key.
    Number(&'static str, &'static str),
    /// Its number to a key that takes no less than this.
    AtLeast(&'static str, &'static str, u32),
    /// A load average to a key.
    Load(&'static str, &'static str),
    /// A time to a key.
    Time(&'static str, &'static str),
    /// Octets to a key.
    Octets(&'static str, &'static str),
    /// Its words to a key.
    Words(&'static str, &'static str),
    /// The greeting.
    Greeting,
    /// The options of AUTH.
    AuthOptions,
    /// Blocks of a disk that stay free.
    Blocks,
    /// The trace field.
    Received,
    /// Authorities of client certificates.
    Authorities,
    /// Read by another part of the import, which reports it: to this.
    Elsewhere(&'static str),
    /// There is nothing to carry over.
    Nothing(&'static str),
    /// Not carried over.
    Missing(Weight, &'static str),
}

impl Goes {
    /// Where it goes, for people.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Text(section, key)
            | Self::Number(section, key)
            | Self::Load(section, key)
            | Self::Time(section, key)
            | Self::Octets(section, key)
            | Self::Words(section, key) => settings::key(section, key),
            Self::AtLeast(section, key, least) => {
                format!("{}, {least} at least", settings::key(section, key))
            }
            Self::Greeting => settings::key("", "greeting"),
            Self::AuthOptions => settings::key("auth", "plaintext"),
            Self::Blocks => settings::key("admission", "min_free"),
            Self::Received => settings::key("relay", "hide_submitter"),
            Self::Authorities => settings::key("tls", "client_ca"),
            Self::Elsewhere(to) => format!("`{to}`"),
            Self::Nothing(why) => settings::nothing(why),
            Self::Missing(_, remedy) => settings::missing(remedy),
        }
    }
}

use Goes::{
    AtLeast, AuthOptions, Authorities, Blocks, Elsewhere, Greeting, Load, Missing, Nothing, Number, Octets,
    Received, Text, Time, Words,
};

const ALWAYS: &str = "Postern does so, or does not need it";
const FILES: &str = "a file or program of sendmail's own";

/// All options that are known, by name.
pub const ROWS: &[Row] = &[
    row("ALIAS_FILE", Elsewhere("aliases")),
    row("CERT_DIR", Nothing("a name that other lines use")),
    row("ESMTP_MAILER_ARGS", Elsewhere("[[route]] via")),
    row("HELP_FILE", Nothing(FILES)),
    row("LOCAL_MAILER_ARGS", Nothing(FILES)),
    row("LOCAL_MAILER_FLAGS", Nothing(FILES)),
    row("LOCAL_MAILER_PATH", Nothing(FILES)),
    row("LOCAL_RELAY", Elsewhere("origin, [[route]]")),
    row("LOCAL_SHELL_FLAGS", Nothing(FILES)),
    row("LOCAL_SHELL_PATH", Nothing(FILES)),
    row("LUSER_RELAY", Elsewhere("unknown_users")),
    row("MAIL_HUB", Elsewhere("[[route]]")),
    row("MAIL_SETTINGS_DIR", Nothing("a name that other lines use")),
    row("MSP_QUEUE_DIR", Nothing(FILES)),
    row("PROCMAIL_MAILER_ARGS", Nothing(FILES)),
    row("PROCMAIL_MAILER_FLAGS", Nothing(FILES)),
    row("PROCMAIL_MAILER_PATH", Nothing(FILES)),
    row("QUEUE_DIR", Nothing(FILES)),
    row("RELAY_MAILER_ARGS", Elsewhere("[[route]] via")),
    row("SMART_HOST", Elsewhere("[[route]]")),
    row("SMTP_MAILER_FLAGS", Nothing(FILES)),
    row("SMTP_MAILER_MAX", Nothing(FILES)),
    row("STATUS_FILE", Nothing(FILES)),
    row("USENET_MAILER_MAX", Nothing(FILES)),
    row("USENET_MAILER_PATH", Nothing(FILES)),
    row("UUCP_MAILER_MAX", Nothing("there is no UUCP")),
    row("confALIAS_WAIT", Nothing(ALWAYS)),
    row("confALLOW_BOGUS_HELO", Nothing(ALWAYS)),
    row(
        "confAUTH_MAX_BITS",
        Nothing("security layers are off unless [auth] layers asks for them"),
    ),
    row("confAUTH_MECHANISMS", Words("auth", "mechanisms")),
    row("confAUTH_OPTIONS", AuthOptions),
    row("confAUTH_REALM", Text("auth", "default_domain")),
    row("confAUTO_REBUILD", Nothing(ALWAYS)),
    row(
        "confBAD_RCPT_THROTTLE",
        Nothing(
            "[timeouts] error_delay slows clients down that are refused often; [limits] refused_recipients ends such a session",
        ),
    ),
    row("confBAD_RCPT_THROTTLE_DELAY", Nothing("as confBAD_RCPT_THROTTLE")),
    row("confBIND_OPTS", Nothing(ALWAYS)),
    row("confBLANK_SUB", Nothing(ALWAYS)),
    row("confCACERT", Authorities),
    row(
        "confCACERT_PATH",
        Nothing("certificates are verified by the file of confCACERT"),
    ),
    row("confCF_VERSION", Nothing(FILES)),
    row("confCHECKPOINT_INTERVAL", Nothing(ALWAYS)),
    row("confCHECK_ALIASES", Nothing(ALWAYS)),
    row(
        "confCIPHER_LIST",
        Missing(
            Weight::Detail,
            "[tls] min_version; the ciphers are those of TLS 1.2 and 1.3 that are safe",
        ),
    ),
    row(
        "confCLIENT_CERT",
        Missing(
            Weight::Detail,
            "Postern shows a client certificate only to hosts with a [[login]]. Nothing to do unless a partner asks for it.",
        ),
    ),
    row(
        "confCLIENT_KEY",
        Missing(
            Weight::Detail,
            "Postern shows a client certificate only to hosts with a [[login]]. Nothing to do unless a partner asks for it.",
        ),
    ),
    row(
        "confCONNECTION_RATE_THROTTLE",
        Number("admission", "connections_per_second"),
    ),
    row("confCONNECTION_RATE_WINDOW_SIZE", Elsewhere("[[limit]] window")),
    row("confCONTROL_SOCKET_NAME", Nothing(FILES)),
    row("confCON_EXPENSIVE", Nothing(ALWAYS)),
    row(
        "confCOPY_ERRORS_TO",
        Missing(
            Weight::Habit,
            "[delivery] double_bounce_to is for bounces of bounces alone",
        ),
    ),
    row("confCRL", Text("tls", "client_crl")),
    row("confCR_FILE", Elsewhere("relay_domains")),
    row("confCT_FILE", Elsewhere("[local] trusted_users")),
    row("confCW_FILE", Elsewhere("local_domains")),
    row("confDEAD_LETTER_DROP", Nothing(FILES)),
    row("confDEF_CHAR_SET", Nothing(FILES)),
    row("confDEF_USER_ID", Nothing("no program is run for a recipient")),
    row("confDELAY_LA", Load("admission", "delay_load")),
    row(
        "confDELIVERY_MODE",
        Nothing("mail is queued, then delivered at once; queue_only_load in [admission] puts that off"),
    ),
    row("confDH_PARAMETERS", Nothing("elliptic curves are used")),
    row("confDIRECT_SUBMISSION_MODIFIERS", Nothing(FILES)),
    row("confDOMAIN_NAME", Text("", "hostname")),
    row("confDONT_BLAME_SENDMAIL", Nothing(FILES)),
    row("confDONT_EXPAND_CNAMES", Nothing(ALWAYS)),
    row("confDONT_PROBE_INTERFACES", Nothing(ALWAYS)),
    row("confDONT_PRUNE_ROUTES", Nothing(ALWAYS)),
    row("confDOUBLE_BOUNCE_ADDRESS", Text("delivery", "double_bounce_to")),
    row("confEIGHT_BIT_HANDLING", Nothing(ALWAYS)),
    row("confERROR_MESSAGE", Nothing(FILES)),
    row(
        "confFALLBACK_MX",
        Missing(
            Weight::Mail,
            "a [[route]] may have several hosts in `via`; there is none for when all others fail",
        ),
    ),
    row(
        "confFALLBACK_SMARTHOST",
        Missing(
            Weight::Mail,
            "a [[route]] may have several hosts in `via`; there is none for when all others fail",
        ),
    ),
    row("confFAST_SPLIT", Nothing(ALWAYS)),
    row("confFORK_EACH_JOB", Nothing(ALWAYS)),
    row("confFORWARD_PATH", Elsewhere("[system_users] forward")),
    row("confFROM_HEADER", Nothing(FILES)),
    row("confFROM_LINE", Nothing(FILES)),
    row("confHOSTS_FILE", Nothing(FILES)),
    row("confHOST_STATUS_DIRECTORY", Nothing(FILES)),
    row("confINPUT_MAIL_FILTERS", Elsewhere("[[milter]]")),
    row("confLDAP_CLUSTER", Nothing("no table asks for it")),
    row("confLDAP_DEFAULT_SPEC", Elsewhere("[[table]] kind = \"ldap\"")),
    row("confLOCAL_MAILER", Nothing(FILES)),
    row("confLOG_LEVEL", Nothing("[log] has its own level")),
    row("confMATCH_GECOS", Nothing(ALWAYS)),
    row("confMAX_ALIAS_RECURSION", Nothing(ALWAYS)),
    row("confMAX_DAEMON_CHILDREN", Number("admission", "sessions")),
    row("confMAX_HEADERS_LENGTH", Octets("limits", "header")),
    row("confMAX_HOP", AtLeast("limits", "received_fields", 100)),
    row("confMAX_MESSAGE_SIZE", Octets("", "message_size_limit")),
    row("confMAX_MIME_HEADER_LENGTH", Nothing(ALWAYS)),
    row("confMAX_NOOP_COMMANDS", Nothing(ALWAYS)),
    row("confMAX_QUEUE_AGE", Nothing(ALWAYS)),
    row("confMAX_QUEUE_CHILDREN", Nothing(ALWAYS)),
    row("confMAX_QUEUE_RUN_SIZE", Nothing(ALWAYS)),
    row("confMAX_RCPTS_PER_MESSAGE", AtLeast("limits", "recipients", 100)),
    row("confMAX_RUNNERS_PER_QUEUE", Nothing("[delivery] connections")),
    row("confMCI_CACHE_SIZE", Nothing(ALWAYS)),
    row("confMCI_CACHE_TIMEOUT", Nothing(ALWAYS)),
    row("confMESSAGEID_HEADER", Nothing(FILES)),
    row("confME_TOO", Nothing(ALWAYS)),
    row(
        "confMILTER_MACROS_CONNECT",
        Nothing("all macros are sent that a filter asks for"),
    ),
    row(
        "confMILTER_MACROS_ENVFROM",
        Nothing("all macros are sent that a filter asks for"),
    ),
    row(
        "confMILTER_MACROS_ENVRCPT",
        Nothing("all macros are sent that a filter asks for"),
    ),
    row(
        "confMILTER_MACROS_EOM",
        Nothing("all macros are sent that a filter asks for"),
    ),
    row(
        "confMILTER_MACROS_HELO",
        Nothing("all macros are sent that a filter asks for"),
    ),
    row("confMIN_FREE_BLOCKS", Blocks),
    row("confMIN_QUEUE_AGE", Nothing(ALWAYS)),
    row("confMIME_FORMAT_ERRORS", Nothing(ALWAYS)),
    row("confSEVEN_BIT_INPUT", Nothing(ALWAYS)),
    row("confMUST_QUOTE_CHARS", Nothing(ALWAYS)),
    row("confNICE_QUEUE_RUN", Nothing(ALWAYS)),
    row("confNO_RCPT_ACTION", Nothing(ALWAYS)),
    row("confOLD_STYLE_HEADERS", Nothing(ALWAYS)),
    row("confOPERATORS", Nothing(FILES)),
    row("confPID_FILE", Nothing(FILES)),
    row("confPRIVACY_FLAGS", Words("", "privacy")),
    row("confQUEUE_FACTOR", Nothing(ALWAYS)),
    row("confQUEUE_FILE_MODE", Nothing(FILES)),
    row("confQUEUE_LA", Load("admission", "queue_only_load")),
    row("confQUEUE_SORT_ORDER", Nothing(ALWAYS)),
    row(
        "confRAND_FILE",
        Nothing("the system has its own source of random numbers"),
    ),
    row("confRECEIVED_HEADER", Received),
    row("confREFUSE_LA", Load("admission", "refuse_load")),
    row("confREJECT_LOG_INTERVAL", Nothing(ALWAYS)),
    row("confREJECT_MSG", Nothing(FILES)),
    row("confRELAY_MAILER", Nothing(FILES)),
    row("confRRT_IMPLIES_DSN", Nothing(ALWAYS)),
    row("confRUN_AS_USER", Nothing(FILES)),
    row("confSAFE_FILE_ENV", Nothing(FILES)),
    row("confSAFE_QUEUE", Nothing(ALWAYS)),
    row("confSEPARATE_PROC", Nothing(ALWAYS)),
    row("confSERVER_CERT", Text("tls", "certificate")),
    row("confSERVER_KEY", Text("tls", "key")),
    row("confSERVICE_SWITCH_FILE", Nothing(FILES)),
    row("confSERVER_SSL_OPTIONS", Nothing("[tls] min_version")),
    row("confSHARED_MEMORY_KEY", Nothing(FILES)),
    row("confSHARED_MEMORY_KEY_FILE", Nothing(FILES)),
    row("confSINGLE_LINE_FROM_HEADER", Nothing(ALWAYS)),
    row("confSMTP_LOGIN_MSG", Greeting),
    row("confSMTP_MAILER", Nothing(FILES)),
    row("confSTICKY_HOST", Nothing(FILES)),
    row("confSUPERSAFE", Nothing(ALWAYS)),
    row("confTEMP_FILE_MODE", Nothing(FILES)),
    row("confTIME_ZONE", Nothing(FILES)),
    row("confTLS_SRV_OPTIONS", Elsewhere("[tls] client_ca")),
    row("confTO_ACONNECT", Nothing("each host has its own time")),
    row("confTO_AUTH", Time("delivery.timeouts", "login")),
    row("confTO_COMMAND", Time("timeouts", "command")),
    row("confTO_CONNECT", Time("delivery.timeouts", "connect")),
    row("confTO_CONTROL", Nothing(FILES)),
    row("confTO_DATABLOCK", Time("timeouts", "data_block")),
    row("confTO_DATAFINAL", Time("delivery.timeouts", "end_of_data")),
    row("confTO_DATAINIT", Time("delivery.timeouts", "data")),
    row("confTO_FILEOPEN", Nothing(FILES)),
    row("confTO_HELO", Time("delivery.timeouts", "hello")),
    row(
        "confTO_HOSTSTATUS",
        Nothing("[delivery] dead_pause says how long a host counts as down"),
    ),
    row(
        "confTO_ICONNECT",
        Nothing("the first attempt waits as long as the others"),
    ),
    row(
        "confTO_IDENT",
        Nothing("the identification protocol is not asked"),
    ),
    row("confTO_INITIAL", Time("delivery.timeouts", "greeting")),
    row("confTO_MAIL", Time("delivery.timeouts", "mail")),
    row("confTO_MISC", Nothing("a host that does not answer is left")),
    row("confTO_QUEUERETURN", Time("retry", "expire_after")),
    row(
        "confTO_QUEUERETURN_DSN",
        Nothing("[retry] is the same for all messages"),
    ),
    row(
        "confTO_QUEUERETURN_NON_URGENT",
        Nothing("[retry] is the same for all messages"),
    ),
    row("confTO_QUEUERETURN_NORMAL", Time("retry", "expire_after")),
    row(
        "confTO_QUEUERETURN_URGENT",
        Nothing("[retry] is the same for all messages"),
    ),
    row("confTO_QUEUEWARN", Time("retry", "warn_after")),
    row(
        "confTO_QUEUEWARN_DSN",
        Nothing("[retry] is the same for all messages"),
    ),
    row(
        "confTO_QUEUEWARN_NON_URGENT",
        Nothing("[retry] is the same for all messages"),
    ),
    row("confTO_QUEUEWARN_NORMAL", Time("retry", "warn_after")),
    row(
        "confTO_QUEUEWARN_URGENT",
        Nothing("[retry] is the same for all messages"),
    ),
    row("confTO_QUIT", Time("delivery.timeouts", "quit")),
    row("confTO_RCPT", Time("delivery.timeouts", "recipient")),
    row("confTO_RESOLVER_RETRANS", Nothing("[dns] has times of its own")),
    row("confTO_RESOLVER_RETRY", Nothing("[dns] has times of its own")),
    row("confTO_RSET", Nothing("a host that does not answer is left")),
    row("confTO_STARTTLS", Time("delivery.timeouts", "tls")),
    row("confTRUSTED_USER", Nothing(FILES)),
    row("confTRY_NULL_MX_LIST", Nothing(ALWAYS)),
    row("confUNSAFE_GROUP_WRITES", Nothing(FILES)),
    row(
        "confUSERDB_SPEC",
        Nothing("This file rarely exists. Check whether yours does: Postern does not read it."),
    ),
    row("confUSE_COMPRESSED_IPV6_ADDRESSES", Nothing(ALWAYS)),
    row("confUSE_ERRORS_TO", Nothing(ALWAYS)),
    row("confUUCP_MAILER", Nothing(FILES)),
    row("confWORK_CLASS_FACTOR", Nothing(ALWAYS)),
    row("confWORK_RECIPIENT_FACTOR", Nothing(ALWAYS)),
    row("confWORK_TIME_FACTOR", Nothing(ALWAYS)),
];

const fn row(name: &'static str, goes: Goes) -> Row {
    Row { name, goes }
}

pub(super) fn carry_over(site: &mut Site<'_>) {
    for (name, value) in site.mc.options() {
        match ROWS.iter().find(|row| row.name == name) {
            Some(row) => one(site, row, value),
            None if name.starts_with("conf") => {
                site.missing(
                    &value.at,
                    name,
                    Weight::Detail,
                    "unknown here; read what cf/README says about it",
                );
            }
            None => site.meaningless(&value.at, name, "a name that other lines use"),
        }
    }
    if site.mc.option("confDOMAIN_NAME").is_none() {
        hostname(site);
    }
}

/// Without confDOMAIN_NAME sendmail has the name of its machine.
fn hostname(site: &mut Site<'_>) {
    const FILE: &str = "/etc/hostname";
    let at = Origin::line(&FILE.into(), 1);
    let name = site.files.read(FILE).unwrap_or_default();
    let name = name.trim();
    if name.contains('.') {
        site.set("", "hostname", Value::text(name), &at, "the machine's name");
    } else {
        let remedy = "Not known: set `hostname` at the top of postern.toml, or `postern check` fails.";
        site.missing(&at, "the machine's name", Weight::Mail, remedy);
    }
}

fn one(site: &mut Site<'_>, row: &Row, Located { at, what: value }: &Located<String>) {
    let name = row.name;
    let value = value.trim();
    match row.goes {
        Nothing(why) => site.meaningless(at, name, why),
        Elsewhere(_) => {}
        _ if value.is_empty() => site.meaningless(at, name, "it is empty"),
        Missing(weight, remedy) => site.missing(at, name, weight, remedy),
        Blocks => blocks(site, value, at),
        Received => received(site, value, at),
        Authorities => authorities(site, value, at),
        Greeting => greeting(site, value, at),
        AuthOptions => auth_options(site, value, at),
        Text(section, key) => site.set(section, key, Value::text(value), at, name),
        Words(section, key) => {
            let words: Vec<&str> = value.split([',', ' ']).filter(|word| !word.is_empty()).collect();
            site.set(section, key, Value::list(words), at, name);
        }
        Number(section, key) => number(site, row.name, value, at, section, key, 0),
        AtLeast(section, key, least) => number(site, row.name, value, at, section, key, least),
        Load(section, key) => match value.parse::<u32>() {
            Ok(load) => site.set(section, key, Value::Plain(format!("{load}.0")), at, name),
            Err(_) => unreadable(site, name, at),
        },
        Octets(section, key) => match value.parse::<u64>() {
            Ok(0) => site.changed(at, name, key, "no limit before; 25 MiB now, 2 GiB at most"),
            Ok(octets) => site.set(section, key, Value::text(format!("{octets} B")), at, name),
            Err(_) => unreadable(site, name, at),
        },
        Time(section, key) => time(site, name, value, at, section, key),
    }
}

fn number(site: &mut Site<'_>, name: &str, value: &str, at: &Origin, section: &str, key: &str, least: u32) {
    match value.parse::<u32>() {
        Ok(0) => site.meaningless(at, name, "0 means no limit"),
        Ok(number) if number < least => {
            site.import
                .config
                .section(section)
                .set(key, Value::Plain(least.to_string()), name);
            let difference =
                format!("{number} before, {least} now: no less can be set (RFC 5321 section 4.5.3.1)");
            site.changed(at, name, super::path(section, key), difference);
        }
        Ok(number) => site.set(section, key, Value::Plain(number.to_string()), at, name),
        Err(_) => unreadable(site, name, at),
    }
}

/// Longest times that keys of `[delivery.timeouts]` take, in seconds; those of other keys are longer than anybody sets.
const LONGEST: &[(&str, u64)] = &[("connect", 600), ("quit", 600), ("end_of_data", 7_200)];

fn time(site: &mut Site<'_>, name: &str, value: &str, at: &Origin, section: &str, key: &str) {
    let (Some(time), Some(seconds)) = (duration(value), seconds(value)) else {
        unreadable(site, name, at);
        return;
    };
    let longest = LONGEST
        .iter()
        .find(|(known, _)| *known == key)
        .map(|(_, longest)| *longest);
    let longest = longest.or_else(|| (section == "delivery.timeouts").then_some(3_600));
    match longest.filter(|longest| seconds > *longest) {
        Some(longest) => {
            let text = Value::text(format!("{longest}s"));
            site.import.config.section(section).set(key, text, name);
            let difference = format!("{value} before, {longest} seconds now: no longer time can be set");
            site.changed(at, name, super::path(section, key), difference);
        }
        None => site.set(section, key, Value::text(time), at, name),
    }
}

fn seconds(value: &str) -> Option<u64> {
    let unit = value.chars().last()?;
    let number: u64 = value.strip_suffix(unit)?.parse().ok()?;
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    number.checked_mul(factor)
}

/// Blocks of a disk, which have 4 KiB each on most.
fn blocks(site: &mut Site<'_>, value: &str, at: &Origin) {
    const NAME: &str = "confMIN_FREE_BLOCKS";
    /// Postern's own default, in MiB.
    const USUAL: u64 = 100;
    let Ok(blocks) = value.parse::<u64>() else {
        unreadable(site, NAME, at);
        return;
    };
    let size = blocks.saturating_mul(4) / 1_024;
    if size > USUAL {
        let text = Value::text(format!("{size} MiB"));
        site.import
            .config
            .section("admission")
            .set("min_free", text, NAME);
    }
    let difference = format!(
        "{blocks} blocks before, which are {size} MiB where a block has 4 KiB; {} MiB now",
        size.max(USUAL)
    );
    site.changed(at, NAME, "[admission] min_free", difference);
}

/// A field that says less of who has logged in.
fn received(site: &mut Site<'_>, value: &str, at: &Origin) {
    const NAME: &str = "confRECEIVED_HEADER";
    if value.contains("$?{auth_type}") {
        let relay = site.import.config.section("relay");
        relay.set("hide_submitter", Value::Plain("true".to_owned()), NAME);
        let difference =
            "the trace field has Postern's form, and leaves out name and address of who has logged in";
        site.changed(at, NAME, "[relay] hide_submitter", difference);
    } else {
        let remedy = "the trace field has Postern's form; hide_submitter in [relay] keeps the client's address out of it";
        site.missing(at, NAME, Weight::Habit, remedy);
    }
}

/// `V` in confTLS_SRV_OPTIONS: clients are not asked for certificates.
fn authorities(site: &mut Site<'_>, value: &str, at: &Origin) {
    let mc = site.mc;
    let options = mc.option("confTLS_SRV_OPTIONS");
    if let Some(options) = options {
        site.carried(&options.at, "confTLS_SRV_OPTIONS", "[tls] client_ca");
    }
    if options.is_some_and(|options| options.what.contains('V')) {
        site.meaningless(
            at,
            "confCACERT",
            "clients are not asked for certificates (confTLS_SRV_OPTIONS)",
        );
    } else {
        site.set("tls", "client_ca", Value::text(value), at, "confCACERT");
    }
}

fn unreadable(site: &mut Site<'_>, name: &str, at: &Origin) {
    site.missing(
        at,
        name,
        Weight::Detail,
        "its value is not understood; set the key by hand",
    );
}

/// sendmail's times: `5d`, `1h30m`, `30` in a unit that depends on the option, for which minutes are taken nowhere.
pub(super) fn duration(value: &str) -> Option<String> {
    let unit = value.chars().last()?;
    let number = value.strip_suffix(unit)?;
    let is_plain = !number.is_empty() && number.bytes().all(|octet| octet.is_ascii_digit());
    match unit {
        's' | 'm' | 'h' | 'd' if is_plain => Some(value.to_owned()),
        'w' if is_plain => Some(format!("{}d", number.parse::<u32>().ok()?.checked_mul(7)?)),
        _ => None,
    }
}

/// `$j` and `$b` have their like; of other macros only text is left.
fn greeting(site: &mut Site<'_>, value: &str, at: &Origin) {
    let text = value.replace("$j", "{hostname}").replace("$b", "{date}");
    if text.contains('$') {
        site.missing(
            at,
            "confSMTP_LOGIN_MSG",
            Weight::Detail,
            "set `greeting`; it has {hostname} and {date}",
        );
    } else {
        // ESMTP is put there by both.
        site.set(
            "",
            "greeting",
            Value::text(text.replace("{hostname} ESMTP", "{hostname}")),
            at,
            "confSMTP_LOGIN_MSG",
        );
    }
}

/// `p` forbids passwords in the clear; `y` (no anonymous), `A` and others say what is so anyway.
fn auth_options(site: &mut Site<'_>, value: &str, at: &Origin) {
    let flags: Vec<&str> = value.split([',', ' ']).filter(|flag| !flag.is_empty()).collect();
    let only_in_tls = flags.contains(&"p");
    let said = if only_in_tls { "tls-only" } else { "always" };
    site.set("auth", "plaintext", Value::text(said), at, "confAUTH_OPTIONS");
    let has_proofs = site.mc.option("confAUTH_MECHANISMS").is_some_and(|mechanisms| {
        mechanisms
            .what
            .split_whitespace()
            .any(|name| matches!(name, "CRAM-MD5" | "DIGEST-MD5" | "NTLM"))
    });
    if has_proofs {
        site.import.config.section("auth").set(
            "least_bits",
            Value::Plain("0".to_owned()),
            "CRAM-MD5 and its like outside TLS, as before",
        );
        let difference = "CRAM-MD5 and DIGEST-MD5 are offered outside TLS, as before: an eavesdropper can try passwords at leisure. \
            Without `least_bits = 0` they need TLS";
        site.changed(at, "confAUTH_OPTIONS", "[auth] least_bits", difference);
    }
    if only_in_tls {
        let difference =
            "who tries a password before STARTTLS is told 503, not 504, where nothing else is offered";
        site.changed(at, "confAUTH_OPTIONS", "[auth] plaintext", difference);
    } else {
        let remedy = "passwords may go in the clear, as before; \"tls-only\" is safer";
        site.changed(at, "confAUTH_OPTIONS", "[auth] plaintext", remedy);
    }
}
