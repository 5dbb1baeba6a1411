//! `define`: the table of sendmail's options, from which the guide's "where did my setting go" is made too.

use super::Site;
use crate::config::Value;
use crate::report::Weight;
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
    /// Read by another part of the import, which reports it: to this.
    Elsewhere(&'static str),
    /// There is nothing to carry over.
    Nothing(&'static str),
    /// Not carried over.
    Missing(Weight, &'static str),
}

use Goes::{
    AtLeast, AuthOptions, Elsewhere, Greeting, Load, Missing, Nothing, Number, Octets, Text, Time, Words,
};

const ALWAYS: &str = "Postern does so, or does not need it";
const FILES: &str = "a file or program of sendmail's own";

/// All options that are known, by name.
pub const ROWS: &[Row] = &[
    row("ALIAS_FILE", Elsewhere("aliases")),
    row("CERT_DIR", Nothing("a name that other lines use")),
    row("ESMTP_MAILER_ARGS", Elsewhere("[[route]] via")),
    row(
        "LOCAL_RELAY",
        Missing(Weight::Mail, "[[route]] for the local domains"),
    ),
    row(
        "LUSER_RELAY",
        Missing(Weight::Mail, "mail for unknown users is refused"),
    ),
    row(
        "MAIL_HUB",
        Missing(Weight::Mail, "[[route]] for the local domains"),
    ),
    row("MAIL_SETTINGS_DIR", Nothing("a name that other lines use")),
    row("PROCMAIL_MAILER_PATH", Nothing(FILES)),
    row("RELAY_MAILER_ARGS", Elsewhere("[[route]] via")),
    row("SMART_HOST", Elsewhere("[[route]]")),
    row("STATUS_FILE", Nothing(FILES)),
    row("UUCP_MAILER_MAX", Nothing("there is no UUCP")),
    row("confAUTH_MECHANISMS", Words("auth", "mechanisms")),
    row("confAUTH_OPTIONS", AuthOptions),
    row("confAUTH_REALM", Text("auth", "default_domain")),
    row("confAUTO_REBUILD", Nothing(ALWAYS)),
    row(
        "confBAD_RCPT_THROTTLE",
        Missing(Weight::Detail, "[limits] refused_recipients ends such a session"),
    ),
    row("confBIND_OPTS", Nothing(ALWAYS)),
    row("confCACERT", Text("tls", "client_ca")),
    row(
        "confCACERT_PATH",
        Nothing("certificates are verified by the file of confCACERT"),
    ),
    row(
        "confCLIENT_CERT",
        Missing(
            Weight::Detail,
            "a certificate is shown to hosts with a [[login]] alone",
        ),
    ),
    row(
        "confCLIENT_KEY",
        Missing(
            Weight::Detail,
            "a certificate is shown to hosts with a [[login]] alone",
        ),
    ),
    row(
        "confCONNECTION_RATE_THROTTLE",
        Number("admission", "connections_per_second"),
    ),
    row(
        "confCOPY_ERRORS_TO",
        Missing(
            Weight::Habit,
            "[delivery] double_bounce_to is for bounces of bounces alone",
        ),
    ),
    row("confCR_FILE", Elsewhere("relay_domains")),
    row("confCW_FILE", Elsewhere("local_domains")),
    row("confDEF_USER_ID", Nothing("no program is run for a recipient")),
    row("confDELAY_LA", Load("admission", "delay_load")),
    row("confDOMAIN_NAME", Text("", "hostname")),
    row("confDONT_PROBE_INTERFACES", Nothing(ALWAYS)),
    row("confDOUBLE_BOUNCE_ADDRESS", Text("delivery", "double_bounce_to")),
    row("confINPUT_MAIL_FILTERS", Elsewhere("[[milter]]")),
    row("confLOG_LEVEL", Nothing("[log] has its own level")),
    row("confMAX_DAEMON_CHILDREN", Number("admission", "sessions")),
    row("confMAX_HOP", AtLeast("limits", "received_fields", 100)),
    row("confMAX_MESSAGE_SIZE", Octets("", "message_size_limit")),
    row("confMAX_RCPTS_PER_MESSAGE", AtLeast("limits", "recipients", 100)),
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
    row(
        "confMIN_FREE_BLOCKS",
        Missing(
            Weight::Detail,
            "[admission] min_free is a size, not a number of blocks",
        ),
    ),
    row("confNO_RCPT_ACTION", Nothing(ALWAYS)),
    row("confPID_FILE", Nothing(FILES)),
    row("confPRIVACY_FLAGS", Words("", "privacy")),
    row("confQUEUE_LA", Load("admission", "queue_only_load")),
    row(
        "confRAND_FILE",
        Nothing("the system has its own source of random numbers"),
    ),
    row(
        "confRECEIVED_HEADER",
        Missing(
            Weight::Habit,
            "[relay] hide_submitter keeps the client's address out of the field",
        ),
    ),
    row("confREFUSE_LA", Load("admission", "refuse_load")),
    row("confSERVER_CERT", Text("tls", "certificate")),
    row("confSERVER_KEY", Text("tls", "key")),
    row("confSMTP_LOGIN_MSG", Greeting),
    row("confTO_COMMAND", Time("timeouts", "command")),
    row("confTO_CONNECT", Time("delivery.timeouts", "connect")),
    row("confTO_DATABLOCK", Time("timeouts", "data_block")),
    row(
        "confTO_IDENT",
        Nothing("the identification protocol is not asked"),
    ),
    row("confTO_QUEUERETURN", Time("retry", "expire_after")),
    row("confTO_QUEUEWARN", Time("retry", "warn_after")),
    row("confTO_QUEUEWARN_NORMAL", Time("retry", "warn_after")),
    row("confTRY_NULL_MX_LIST", Nothing(ALWAYS)),
    row(
        "confUSERDB_SPEC",
        Nothing("only where the file exists, which is rare: look for it"),
    ),
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
        let remedy = "set `hostname` to the full name of the old machine";
        site.missing(&at, "the machine's name", Weight::Habit, remedy);
    }
}

fn one(site: &mut Site<'_>, row: &Row, Located { at, what: value }: &Located<String>) {
    let name = row.name;
    let value = value.trim();
    match row.goes {
        Nothing(why) => site.meaningless(at, name, why),
        Elsewhere(_) => {}
        Missing(weight, remedy) => site.missing(at, name, weight, remedy),
        Greeting => greeting(site, value, at),
        AuthOptions => auth_options(site, value, at),
        _ if value.is_empty() => site.meaningless(at, name, "it is empty"),
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
        Time(section, key) => match duration(value) {
            Some(time) => site.set(section, key, Value::text(time), at, name),
            None => unreadable(site, name, at),
        },
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

fn unreadable(site: &mut Site<'_>, name: &str, at: &Origin) {
    site.missing(
        at,
        name,
        Weight::Detail,
        "its value is not understood; set the key by hand",
    );
}

/// sendmail's times: `5d`, `1h30m`, `30` in a unit that depends on the option, for which minutes are taken nowhere.
fn duration(value: &str) -> Option<String> {
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
    if only_in_tls {
        let difference =
            "who tries a password before STARTTLS is told 503, not 504, where nothing else is offered";
        site.changed(at, "confAUTH_OPTIONS", "[auth] plaintext", difference);
    } else {
        let remedy = "passwords may go in the clear, as before; \"tls-only\" is safer";
        site.changed(at, "confAUTH_OPTIONS", "[auth] plaintext", remedy);
    }
}
