//! `define`: options that become one key each, or nothing.

mod table;

use super::Site;
use crate::Origin;
use crate::config::Value;
use crate::report::Weight;
use crate::settings::{self, Goes, Line as _};

pub use table::ROWS;

/// What sendmail-specific options become.
#[derive(Clone, Copy, Debug)]
pub enum Special {
    /// A load average, to a key.
    Load(&'static str, &'static str),
    /// Its words to a key.
    Words(&'static str, &'static str),
    /// The greeting.
    Greeting,
    /// The options of AUTH.
    AuthOptions,
    /// Disk blocks that must stay free.
    Blocks,
    /// The trace field.
    Received,
    /// Authorities of client certificates.
    Authorities,
    /// Their lists of revoked ones.
    Revoked,
}

impl settings::Special for Special {
    fn shown(&self) -> String {
        match self {
            Self::Load(section, key) | Self::Words(section, key) => settings::key(section, key),
            Self::Greeting => settings::key("", "greeting"),
            Self::AuthOptions => settings::key("auth", "plaintext"),
            Self::Blocks => settings::key("admission", "min_free"),
            Self::Received => settings::key("relay", "hide_submitter"),
            Self::Authorities => settings::key("tls", "client_ca"),
            Self::Revoked => settings::key("tls", "client_crl"),
        }
    }
}

pub(super) fn carry_over(site: &mut Site<'_>) {
    for (name, value) in site.mc.options() {
        match ROWS.iter().find(|row| row.name == name) {
            Some(row) => {
                let text = value.what.trim();
                let mut line = Line {
                    site: &mut *site,
                    name: row.name,
                    at: &value.at,
                };
                // An empty `define` counts as none.
                match row.goes {
                    Goes::Missing(..) | Goes::Own(_) if text.is_empty() => line.meaningless(settings::EMPTY),
                    goes => goes.carry_over(text, &mut line),
                }
            }
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

/// Without confDOMAIN_NAME, sendmail uses the name of its machine.
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

/// An option being carried over.
struct Line<'s, 'a> {
    site: &'s mut Site<'a>,
    name: &'static str,
    at: &'s Origin,
}

impl settings::Line<Special> for Line<'_, '_> {
    fn set(&mut self, section: &str, key: &str, value: Value) {
        self.site.set(section, key, value, self.at, self.name);
    }

    fn set_else(&mut self, section: &str, key: &str, value: Value, difference: String) {
        let comment = format!("{}, {}", self.name, super::short(self.at));
        self.site.import.config.section(section).set(key, value, comment);
        let to = super::path(section, key);
        self.site.changed(self.at, self.name, to, difference);
    }

    fn meaningless(&mut self, why: &str) {
        self.site.meaningless(self.at, self.name, why);
    }

    fn missing(&mut self, weight: Weight, remedy: &str) {
        self.site.missing(self.at, self.name, weight, remedy);
    }

    fn elsewhere(&mut self, _: &'static str) {}

    fn own(&mut self, own: Special, value: &str) {
        let Self { site, at, .. } = self;
        match own {
            Special::Blocks => blocks(site, value, at),
            Special::Received => received(site, value, at),
            Special::Authorities => authorities(site, value, at),
            Special::Revoked => revoked(site, value, at),
            Special::Greeting => greeting(site, value, at),
            Special::AuthOptions => auth_options(site, value, at),
            Special::Words(section, key) => {
                let words = value.split([',', ' ']).filter(|word| !word.is_empty());
                self.set(section, key, Value::list(words));
            }
            Special::Load(section, key) => match value.parse::<u32>() {
                Ok(load) => self.set(section, key, Value::plain(format!("{load}.0"))),
                Err(_) => self.unreadable(),
            },
        }
    }
}

/// Disk blocks, usually of 4 KiB each.
fn blocks(site: &mut Site<'_>, value: &str, at: &Origin) {
    const NAME: &str = "confMIN_FREE_BLOCKS";
    /// Postern's own default, in MiB.
    const USUAL: u64 = 100;
    let Ok(blocks) = value.parse::<u64>() else {
        let name = NAME;
        return Line { site, name, at }.unreadable();
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

/// A trace field that says less about the authenticated user.
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

/// A list of revoked certificates, which says nothing where none are asked for.
fn revoked(site: &mut Site<'_>, value: &str, at: &Origin) {
    const NAME: &str = "confCRL";
    let mc = site.mc;
    let asks = mc
        .option("confCACERT")
        .is_some_and(|file| !file.what.trim().is_empty())
        && !mc
            .option("confTLS_SRV_OPTIONS")
            .is_some_and(|options| options.what.contains('V'));
    if asks {
        site.set("tls", "client_crl", Value::text(value), at, NAME);
    } else {
        site.meaningless(at, NAME, "clients are not asked for certificates");
    }
}

/// `$j` and `$b` have equivalents; other macros are dropped.
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
        // Both servers add ESMTP.
        site.set(
            "",
            "greeting",
            Value::text(text.replace("{hostname} ESMTP", "{hostname}")),
            at,
            "confSMTP_LOGIN_MSG",
        );
    }
}

/// `p` forbids cleartext passwords; `y` (no anonymous), `A` and others are always the case here.
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
