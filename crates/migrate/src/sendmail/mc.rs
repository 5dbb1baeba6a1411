//! `sendmail.mc`: the options, features and domains that it asks for.

use std::collections::BTreeMap;

use crate::m4::{Event, Vocabulary, expand};
use crate::{Files, Located, Origin};

/// Values that sendmail's templates give to names that sites add to; quoted, as in the templates.
pub const PREDEFINED: &[(&str, &str)] = &[
    ("MAIL_SETTINGS_DIR", "/etc/mail/"),
    (
        "confMILTER_MACROS_CONNECT",
        "`j, _, {daemon_name}, {if_name}, {if_addr}'",
    ),
    (
        "confMILTER_MACROS_HELO",
        "`{tls_version}, {cipher}, {cipher_bits}, {cert_subject}, {cert_issuer}'",
    ),
    (
        "confMILTER_MACROS_ENVFROM",
        "`i, {auth_type}, {auth_authen}, {auth_ssf}, {auth_author}, {mail_mailer}, {mail_host}, {mail_addr}'",
    ),
    (
        "confMILTER_MACROS_ENVRCPT",
        "`{rcpt_mailer}, {rcpt_host}, {rcpt_addr}'",
    ),
    ("confMILTER_MACROS_EOM", "`{msg_id}'"),
];

/// Macros of sendmail's templates (cf/README) that are about a site, besides those that open a section.
const RECORDED: &[&str] = &[
    "CANONIFY_DOMAIN",
    "CANONIFY_DOMAIN_FILE",
    "CLIENT_OPTIONS",
    "DAEMON_OPTIONS",
    "DOMAIN",
    "EXPOSED_USER",
    "EXPOSED_USER_FILE",
    "FEATURE",
    "GENERICS_DOMAIN",
    "GENERICS_DOMAIN_FILE",
    "HACK",
    "INPUT_MAIL_FILTER",
    "LDAPROUTE_DOMAIN",
    "LDAPROUTE_DOMAIN_FILE",
    "LDAPROUTE_EQUIVALENT",
    "LDAPROUTE_EQUIVALENT_FILE",
    "LOCAL_DOMAIN",
    "LOCAL_USER",
    "LOCAL_USER_FILE",
    "MAILER",
    "MAIL_FILTER",
    "MASQUERADE_AS",
    "MASQUERADE_DOMAIN",
    "MASQUERADE_DOMAIN_FILE",
    "MASQUERADE_EXCEPTION",
    "MASQUERADE_EXCEPTION_FILE",
    "MODIFY_MAILER_FLAGS",
    "OSTYPE",
    "QUEUE_GROUP",
    "RELAY_DOMAIN",
    "RELAY_DOMAIN_FILE",
    "SITE",
    "SITECONFIG",
    "TRUST_AUTH_MECH",
    "UUCPSMTP",
    "VERSIONID",
    "VIRTUSER_DOMAIN",
    "VIRTUSER_DOMAIN_FILE",
];

/// Macros after which lines of `sendmail.cf` follow verbatim.
const SECTIONS: &[&str] = &[
    "LOCAL_CONFIG",
    "LOCAL_NET_CONFIG",
    "LOCAL_RULESETS",
    "LOCAL_RULE_0",
    "LOCAL_RULE_1",
    "LOCAL_RULE_2",
    "LOCAL_RULE_3",
    "LOCAL_SRV_FEATURES",
    "LOCAL_TRY_TLS",
    "LOCAL_TLS_CLIENT",
    "LOCAL_TLS_RCPT",
    "LOCAL_TLS_SERVER",
    "MAILER_DEFINITIONS",
];

/// The content of a `.mc` file.
#[derive(Clone, Debug, Default)]
pub struct Mc {
    options: BTreeMap<String, Located<String>>,
    calls: Vec<Located<Call>>,
    sections: Vec<Located<Section>>,
    notes: Vec<Located<String>>,
    replaced: Vec<Located<String>>,
    /// Parts that say nothing about the site, and why.
    idle: Vec<Located<(String, &'static str)>>,
}

/// A macro of sendmail's templates, with its arguments.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Call {
    name: String,
    arguments: Vec<String>,
}

/// A line of `sendmail.cf` in a `.mc` file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Section {
    /// The macro that it follows, such as `LOCAL_CONFIG`; empty if there is none.
    pub name: String,
    /// The line.
    pub line: String,
}

impl Mc {
    /// Sets an option.
    pub(super) fn set_option(&mut self, at: Origin, name: &str, value: String) {
        if let Some(before) = self.options.insert(name.to_owned(), Located { at, what: value }) {
            self.replaced.push(Located {
                at: before.at,
                what: name.to_owned(),
            });
        }
    }

    /// Adds a call of a macro.
    pub(super) fn add_call(&mut self, at: Origin, name: &str, arguments: Vec<String>) {
        let name = name.to_owned();
        self.calls.push(Located {
            at,
            what: Call { name, arguments },
        });
    }

    /// Adds what could not be followed.
    pub(super) fn add_note(&mut self, at: Origin, what: String) {
        self.notes.push(Located { at, what });
    }

    /// Adds a part that says nothing about the site.
    pub(super) fn add_idle(&mut self, at: Origin, what: impl Into<String>, why: &'static str) {
        let what = (what.into(), why);
        self.idle.push(Located { at, what });
    }

    /// Parts that say nothing about the site, and why.
    #[must_use]
    pub fn idle(&self) -> &[Located<(String, &'static str)>] {
        &self.idle
    }

    /// Parses the text of a `.mc` file.
    #[must_use]
    pub fn of(path: &str, text: &str, files: &dyn Files) -> Self {
        let recorded: Vec<&str> = RECORDED.iter().chain(SECTIONS).copied().collect();
        let vocabulary = Vocabulary {
            recorded: &recorded,
            defined: PREDEFINED,
            known_files: &["/m4/cf.m4"],
        };
        let mut mc = Self::default();
        let mut section = String::new();
        for Located { at, what } in expand(path, text, files, &vocabulary) {
            match what {
                Event::Define { name, value } => {
                    if let Some(before) = mc.options.insert(name.clone(), Located { at, what: value }) {
                        mc.replaced.push(Located {
                            at: before.at,
                            what: name,
                        });
                    }
                }
                Event::Undefine(name) => {
                    let undefined = Located {
                        at,
                        what: format!("undefine({name})"),
                    };
                    if let Some(before) = mc.options.remove(&name) {
                        mc.replaced.push(Located {
                            at: before.at,
                            what: name,
                        });
                    }
                    mc.replaced.push(undefined);
                }
                Event::Call { name, arguments } => {
                    section.clear();
                    if SECTIONS.contains(&name.as_str()) {
                        section.clone_from(&name);
                    }
                    mc.calls.push(Located {
                        at,
                        what: Call { name, arguments },
                    });
                }
                Event::Text(line) => {
                    let name = section.clone();
                    mc.sections.push(Located {
                        at,
                        what: Section { name, line },
                    });
                }
                Event::Include { path, problem: None } => mc.replaced.push(Located {
                    at,
                    what: format!("include({path})"),
                }),
                Event::Include {
                    path,
                    problem: Some(problem),
                } => {
                    mc.notes.push(Located {
                        at,
                        what: format!("include({path}): {problem}"),
                    });
                }
                Event::CannotFollow(what) => mc.notes.push(Located { at, what }),
            }
        }
        mc
    }

    /// The value of an option, such as `confPRIVACY_FLAGS` or `SMART_HOST`, at the end.
    #[must_use]
    pub fn option(&self, name: &str) -> Option<&Located<String>> {
        self.options.get(name)
    }

    /// All options that are in force, by name.
    pub fn options(&self) -> impl Iterator<Item = (&str, &Located<String>)> {
        self.options.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Calls of a macro, such as `MASQUERADE_DOMAIN`, in order, with their arguments.
    pub fn calls<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a Origin, &'a [String])> {
        self.all_calls()
            .filter(move |(called, _, _)| *called == name)
            .map(|(_, at, arguments)| (at, arguments))
    }

    /// All calls in order: name, place, arguments.
    pub fn all_calls(&self) -> impl Iterator<Item = (&str, &Origin, &[String])> {
        self.calls
            .iter()
            .map(|call| (call.what.name.as_str(), &call.at, call.what.arguments.as_slice()))
    }

    /// A feature's arguments after its name; the last `FEATURE` of that name counts.
    #[must_use]
    pub fn feature<'a>(&'a self, name: &'a str) -> Option<(&'a Origin, &'a [String])> {
        let features = self
            .calls("FEATURE")
            .filter(|(_, arguments)| arguments.first().is_some_and(|first| first == name));
        features.last().map(|(at, arguments)| (at, &arguments[1..]))
    }

    /// Lines of `sendmail.cf` in it.
    #[must_use]
    pub fn sections(&self) -> &[Located<Section>] {
        &self.sections
    }

    /// What could not be followed, and why.
    #[must_use]
    pub fn notes(&self) -> &[Located<String>] {
        &self.notes
    }

    /// What has no effect by itself: definitions that a later line replaces or undefines, and included files.
    #[must_use]
    pub fn replaced(&self) -> &[Located<String>] {
        &self.replaced
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin::testing::Folder;

    fn mc(text: &str) -> Mc {
        let folder = Folder(
            [(
                "/etc/mail/tls/starttls.m4",
                "define(`confTLS_SRV_OPTIONS', `V')dnl\n",
            )]
            .into(),
        );
        Mc::of("/etc/mail/sendmail.mc", text, &folder)
    }

    #[test]
    fn options_features_and_sections_are_found() {
        let mc = mc(concat!(
            "divert(-1)\n# a comment\ndivert(0)dnl\n",
            "include(`/usr/share/sendmail/cf/m4/cf.m4')dnl\n",
            "include(`/etc/mail/tls/starttls.m4')dnl\n",
            "define(`confTO_IDENT', `0')dnl\n",
            "dnl define(`SMART_HOST', `no')dnl\n",
            "define(`SMART_HOST', `[smtp.provider.example]')dnl\n",
            "define(`confTO_IDENT', `5s')dnl\n",
            "FEATURE(`access_db', `hash -T<TMPF> -o /etc/mail/access.db')dnl\n",
            "FEATURE(redirect)dnl\nFEATURE(`genericstable')\nundefine(`confNONE')dnl\n",
            "MASQUERADE_AS(`oakfield.example')dnl\nEXPOSED_USER(`root')dnl\n",
            "define(`confMILTER_MACROS_ENVFROM', confMILTER_MACROS_ENVFROM`, {x}')dnl\n",
            "LOCAL_CONFIG\nO CipherList=HIGH\nMAILER(`smtp')dnl\n",
        ));
        assert_eq!(mc.option("SMART_HOST").unwrap().what, "[smtp.provider.example]");
        assert_eq!(
            mc.option("SMART_HOST").unwrap().at.to_string(),
            "/etc/mail/sendmail.mc:8"
        );
        assert_eq!(mc.option("confTO_IDENT").unwrap().what, "5s");
        assert_eq!(
            mc.option("confTLS_SRV_OPTIONS").unwrap().at.file.as_ref(),
            "/etc/mail/tls/starttls.m4"
        );
        assert!(
            mc.option("confMILTER_MACROS_ENVFROM")
                .unwrap()
                .what
                .ends_with("{mail_addr}, {x}")
        );
        assert_eq!(
            mc.feature("access_db").unwrap().1,
            ["hash -T<TMPF> -o /etc/mail/access.db"]
        );
        assert!(mc.feature("redirect").unwrap().1.is_empty());
        assert!(mc.feature("virtusertable").is_none());
        assert_eq!(mc.calls("EXPOSED_USER").count(), 1);
        assert_eq!(
            mc.sections()[0].what,
            Section {
                name: "LOCAL_CONFIG".to_owned(),
                line: "O CipherList=HIGH".to_owned()
            }
        );
        assert_eq!(mc.notes(), []);
        let replaced: Vec<&str> = mc.replaced().iter().map(|one| one.what.as_str()).collect();
        let includes = [
            "include(/usr/share/sendmail/cf/m4/cf.m4)",
            "include(/etc/mail/tls/starttls.m4)",
        ];
        assert_eq!(
            replaced,
            [includes[0], includes[1], "confTO_IDENT", "undefine(confNONE)"]
        );
    }
}
