//! `master.cf` (master(5)): services, and the parameters that each overrides.

use super::main_cf::{Parameter, assignment};
use super::text::{logical_lines, words};
use crate::{Located, Origin};

/// The content of `master.cf`.
#[derive(Clone, Debug, Default)]
pub struct MasterCf {
    services: Vec<Service>,
    overrides: Vec<Located<String>>,
    unread: Vec<Located<String>>,
}

/// A service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Service {
    /// Its line.
    pub at: Origin,
    /// Its name: for `inet`, the port, with an address before it if wanted (`127.0.0.1:10025`).
    pub name: String,
    /// `inet`, `unix`, `unix-dgram`, `fifo` or `pass`.
    pub kind: String,
    /// Most processes; `None` for the default.
    pub processes: Option<u32>,
    /// The program, such as `smtpd` or `pipe`.
    pub command: String,
    /// Parameters that it overrides: `-o name=value`.
    pub overrides: Vec<(String, Parameter)>,
    /// All other arguments.
    pub arguments: Vec<String>,
}

impl MasterCf {
    /// Parses the text of a `master.cf`.
    #[must_use]
    pub fn of(file: &str, text: &str) -> Self {
        let mut master = Self::default();
        for line in logical_lines(file, text) {
            match service(&line) {
                Some(service) => master.services.push(service),
                // `name/type/parameter = value` sets a parameter of an earlier service.
                None if assignment_of_service(&line.what).is_some() => master.overrides.push(line),
                None => master.unread.push(line),
            }
        }
        for line in std::mem::take(&mut master.overrides) {
            if !master.set(&line) {
                master.unread.push(line);
            }
        }
        master
    }

    /// All services, in order.
    #[must_use]
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// A service by its name and type; the last one counts.
    #[must_use]
    pub fn service(&self, name: &str, kind: &str) -> Option<&Service> {
        self.services
            .iter()
            .rev()
            .find(|service| service.name == name && service.kind == kind)
    }

    /// Lines that are not services.
    #[must_use]
    pub fn unread(&self) -> &[Located<String>] {
        &self.unread
    }

    fn set(&mut self, line: &Located<String>) -> bool {
        let Some((name, kind, parameter, value)) = assignment_of_service(&line.what) else {
            return false;
        };
        let found = self
            .services
            .iter_mut()
            .find(|service| service.name == name && service.kind == kind);
        let Some(service) = found else {
            return false;
        };
        let value = Located {
            at: line.at.clone(),
            what: value.to_owned(),
        };
        service.overrides.push((parameter.to_owned(), value));
        true
    }
}

/// Columns before the command.
const COLUMNS: usize = 7;

fn service(line: &Located<String>) -> Option<Service> {
    let words = words_of(&line.what);
    let (columns, command) = words.split_at_checked(COLUMNS)?;
    let (command, rest) = command.split_first()?;
    let kinds = ["inet", "unix", "unix-dgram", "fifo", "pass"];
    if !kinds.contains(&columns[1].as_str()) {
        return None;
    }
    let (overrides, arguments) = parted(rest, &line.at);
    Some(Service {
        at: line.at.clone(),
        name: columns[0].clone(),
        kind: columns[1].clone(),
        processes: columns[6].parse().ok(),
        command: command.clone(),
        overrides,
        arguments,
    })
}

/// Arguments, split into overrides and others.
fn parted(arguments: &[String], at: &Origin) -> (Vec<(String, Parameter)>, Vec<String>) {
    let (mut overrides, mut others) = (Vec::new(), Vec::new());
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let setting = match argument.strip_prefix("-o") {
            Some("") => rest.next().map(String::as_str),
            Some(attached) => Some(attached),
            None => None,
        };
        match setting.and_then(assignment) {
            Some((name, value)) => {
                let value = Located {
                    at: at.clone(),
                    what: value.to_owned(),
                };
                overrides.push((name.to_owned(), value));
            }
            None => others.push(argument.clone()),
        }
    }
    (overrides, others)
}

/// Words separated by blanks only: in a `-o`, a comma belongs to the value.
fn words_of(line: &str) -> Vec<String> {
    const COMMA: &str = "\u{1}";
    let words = words(&line.replace(',', COMMA));
    words.iter().map(|word| word.replace(COMMA, ",")).collect()
}

fn assignment_of_service(line: &str) -> Option<(&str, &str, &str, &str)> {
    let (path, value) = line.split_once('=')?;
    let mut parts = path.trim().splitn(3, '/');
    let (name, kind, parameter) = (parts.next()?, parts.next()?, parts.next()?);
    let is_plain = !path.trim().contains(char::is_whitespace);
    is_plain.then(|| (name, kind, parameter, value.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# service type  private unpriv  chroot  wakeup  maxproc command + args
smtp      inet  n       -       n       -       1       postscreen
submission inet n       -       n       -       -       smtpd
  -o syslog_name=postfix/submission
#  -o smtpd_tls_wrappermode=yes
  -o { smtpd_client_restrictions = permit_sasl_authenticated, reject }
  -o smtpd_recipient_restrictions=permit_mynetworks,reject
  -v
smtp-amavis unix -      -       n       -       4       smtp
mailman   unix  -       n       n       -       -       pipe
  flags=FRX user=list argv=/usr/lib/mailman/bin/to-list ${nexthop} ${user}
not a service
submission/inet/smtpd_tls_security_level = encrypt
none/inet/x = y
";

    #[test]
    fn services_have_their_overrides() {
        let master = MasterCf::of("master.cf", TEXT);
        assert_eq!(master.services().len(), 4);
        let submission = master.service("submission", "inet").unwrap();
        let overrides: Vec<(&str, &str)> = submission
            .overrides
            .iter()
            .map(|(name, value)| (name.as_str(), value.what.as_str()))
            .collect();
        let expected = [
            ("syslog_name", "postfix/submission"),
            ("smtpd_client_restrictions", "permit_sasl_authenticated, reject"),
            ("smtpd_recipient_restrictions", "permit_mynetworks,reject"),
            ("smtpd_tls_security_level", "encrypt"),
        ];
        assert_eq!(overrides, expected);
        assert_eq!(
            (
                submission.arguments.as_slice(),
                submission.at.to_string().as_str()
            ),
            (&["-v".to_owned()][..], "master.cf:3-8")
        );
        assert_eq!(master.service("smtp-amavis", "unix").unwrap().processes, Some(4));
        let pipe = master.service("mailman", "unix").unwrap();
        assert_eq!(pipe.arguments[2], "argv=/usr/lib/mailman/bin/to-list");
        let unread: Vec<&str> = master.unread().iter().map(|line| line.what.as_str()).collect();
        assert_eq!(unread, ["not a service", "none/inet/x = y"]);
    }
}
