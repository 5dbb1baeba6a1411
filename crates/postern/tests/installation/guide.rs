//! Every command of the guide, chapter by chapter, as written.
//!
//! A comment above a block says what to do with it if it is not simply run: see [`Mark`].

use std::fs;

use crate::machine::{CHECKOUT, Machine, shown};
use crate::{package, packages};

/// What the comment above a block says.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Mark {
    /// Commands are run; anything else is only shown.
    Plain,
    /// The block is the content of a file.
    File { path: String, mode: String },
    /// The block is appended to the first configuration; the server is restarted with both.
    Configuration,
    /// The commands may exit with 1: that is their answer.
    Answers,
    /// The commands are run where the package is built.
    Build,
    /// The commands are run in the checkout on another machine.
    Another,
    /// The commands are for an engine for containers: see [`crate::container`].
    Podman,
}

impl Mark {
    fn parse(comment: &str) -> Self {
        let words: Vec<&str> = comment.split_whitespace().collect();
        match words.as_slice() {
            ["file", path, mode] => Self::File {
                path: (*path).to_owned(),
                mode: (*mode).to_owned(),
            },
            ["configuration"] => Self::Configuration,
            ["ends", "with", "0", "or", "1"] => Self::Answers,
            ["on", "the", "build", "machine"] => Self::Build,
            ["on", "another", "machine"] => Self::Another,
            ["podman"] => Self::Podman,
            _ => panic!("docs/guide.md: what is <!-- {comment} -->?"),
        }
    }
}

/// A block of the guide.
#[derive(Debug)]
struct Block {
    mark: Mark,
    /// `sh`, `toml` or none.
    language: String,
    text: String,
    /// The heading that it stands below.
    heading: String,
    line: usize,
}

fn blocks() -> Vec<Block> {
    let guide = fs::read_to_string(crate::checkout().join("docs/guide.md")).unwrap();
    let mut found = Vec::new();
    let (mut mark, mut heading) = (Mark::Plain, String::new());
    let mut lines = guide.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let inner = lines
                .by_ref()
                .map(|(_, line)| line)
                .take_while(|line| *line != "```");
            let text = inner.map(|line| format!("{line}\n")).collect();
            found.push(Block {
                mark: std::mem::replace(&mut mark, Mark::Plain),
                language: language.to_owned(),
                text,
                heading: heading.clone(),
                line: number + 1,
            });
            continue;
        }
        assert_eq!(
            mark,
            Mark::Plain,
            "docs/guide.md:{number}: the comment stands above no block"
        );
        // Tables generated from the code.
        let is_rules = line.starts_with("<!-- rules: ") || line == "<!-- end of rules -->";
        if let Some(comment) = line.strip_prefix("<!-- ").filter(|_| !is_rules) {
            mark = Mark::parse(comment.trim_end_matches(" -->"));
        } else if line.starts_with('#') {
            line.trim_start_matches(['#', ' ']).clone_into(&mut heading);
        }
    }
    found
}

/// The command that builds the package.
pub(crate) fn on_the_build_machine() -> String {
    let mut found = blocks().into_iter().filter(|block| block.mark == Mark::Build);
    let block = found.next().unwrap();
    assert!(found.next().is_none(), "one way to make it");
    block.text
}

/// The commands for containers.
pub(crate) fn with_podman() -> Vec<String> {
    let blocks = blocks().into_iter().filter(|block| block.mark == Mark::Podman);
    blocks
        .flat_map(|block| block.text.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

/// A reader working through the guide.
struct Reader {
    machine: Machine,
    first_configuration: String,
    /// The password of ann@example.org, as shown.
    password: String,
}

impl Reader {
    fn run(&mut self, block: &Block) {
        let at = format!("docs/guide.md:{}, {:?}", block.line, block.heading);
        match &block.mark {
            Mark::File { path, mode } => {
                self.machine.put(path, block.text.as_bytes());
                self.machine.ok(&format!("chmod {mode} {path}"));
                if block.language == "toml" {
                    self.first_configuration.clone_from(&block.text);
                }
            }
            Mark::Configuration => self.configure(&block.text, &at),
            Mark::Plain if block.language == "sh" => self.command(&block.text, &[0], &at),
            Mark::Answers => {
                for line in block.text.lines() {
                    self.command(line, &[0, 1], &at);
                }
            }
            Mark::Plain | Mark::Build | Mark::Another | Mark::Podman => {}
        }
    }

    fn command(&mut self, text: &str, codes: &[i32], at: &str) {
        let (before, input) = self.given(text);
        let script = format!(
            "set -o pipefail; PASSWORD='{}'; ID={}; {before}\n{text}",
            self.password,
            self.waiting_id(text)
        );
        let output = self.machine.run(&script, &input);
        assert!(
            output.status.code().is_some_and(|code| codes.contains(&code)),
            "{at}:\n{text}\n{}",
            shown(&output)
        );
        if text.contains("user add ann@example.org") {
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            self.password = generated(&said);
        }
    }

    /// The context in which a command is run, besides the guide's own work: a line of shell before it, and its typed
    /// input.
    fn given(&self, text: &str) -> (&'static str, String) {
        let password = format!("{}\n", self.password);
        match text {
            _ if text.contains("swaks") => ("", password),
            // Whether another mailer may go.
            _ if text.contains("apt install ./postern-mta_") => ("", "y\n".to_owned()),
            _ if text.contains("kadmin -q") => (
                // Each asks for the administrator's password.
                "kadmin() { echo 'admin word' | command kadmin -p root/admin \"$@\"; }",
                String::new(),
            ),
            _ => ("", String::new()),
        }
    }

    /// The queue id of the waiting message, if a command needs one.
    fn waiting_id(&self, text: &str) -> String {
        if !text.contains("$ID") {
            return String::new();
        }
        let list = self.machine.ok("postern queue list --json");
        let list: serde_json::Value = serde_json::from_str(&list).unwrap();
        list[0]["queue"].as_str().unwrap().to_owned()
    }

    fn configure(&self, more: &str, at: &str) {
        let text = format!("{}\n{more}", self.first_configuration);
        self.machine.put("/etc/postern/postern.toml", text.as_bytes());
        let output = self
            .machine
            .run("postern check --offline && systemctl restart postern", "");
        assert!(output.status.success(), "{at}:\n{more}\n{}", shown(&output));
        self.machine.wait_for("postern status --ready");
    }

    /// Logs in by SMTP, and returns whether that succeeds.
    fn log_in(&self, login: &str, password: &str) -> bool {
        let output = self.machine.run(
            &format!(
                "swaks --server mx.example.org:587 --tls --auth PLAIN --auth-user '{login}' --auth-password '{password}' \
                 --quit-after AUTH"
            ),
            "",
        );
        output.status.success()
    }

    fn has_logins(&self, what: &str, login: &str, password: &str) {
        assert!(self.log_in(login, password), "{what}: {login}");
        assert!(!self.log_in(login, "another word"), "{what}: a wrong password");
    }

    fn reads_by_imap(&self, subject: &str) {
        self.machine.wait_for(&format!(
            "curl --silent --insecure --user 'ann@example.org:{}' \
             'imap://127.0.0.1/INBOX/;MAILINDEX=1;SECTION=HEADER.FIELDS%20(SUBJECT)' | grep -q '{subject}'",
            self.password
        ));
    }
}

/// The password shown by `--generate`.
fn generated(said: &str) -> String {
    let word = |word: &&str| word.len() > 15 && word.matches('-').count() >= 3;
    said.split_whitespace().find(word).unwrap().to_owned()
}

/// What exists on a host before a reader reaches this heading: other servers, and files of other programs.
fn before(heading: &str, machine: &Machine) {
    match heading {
        "4. Who may log in" => {
            machine.ok(
                "useradd --create-home carl && echo 'carl:unix word' | chpasswd
                 printf 'hella:%s\\n' \"$(openssl passwd -apr1 'word')\" > htpasswd
                 printf 'dora@example.org:{SHA512-CRYPT}%s\\n' \"$(openssl passwd -6 'word')\" > users
                 echo 'cyrus word' | saslpasswd2 -p -c -u example.org emil
                 sed -i 's/^START=.*/START=yes/; s/^MECHANISMS=.*/MECHANISMS=pam/' /etc/default/saslauthd
                 printf 'auth required pam_unix.so nodelay\\naccount required pam_unix.so\\n' > /etc/pam.d/smtp
                 systemctl start saslauthd",
            );
        }
        "Kerberos" => {
            // The supplied configuration has no PAM, and a helper without work exits.
            machine.ok("systemctl disable --now postern-pam");
            machine.ok(
                "printf '[libdefaults]\\ndefault_realm = EXAMPLE.ORG\\n[realms]\\nEXAMPLE.ORG = {\\nkdc = 127.0.0.1\\n\
                 admin_server = 127.0.0.1\\n}\\n[domain_realm]\\nmx.example.org = EXAMPLE.ORG\\n' > /etc/krb5.conf
                 kdb5_util create -s -P master -r EXAMPLE.ORG && echo '*/admin@EXAMPLE.ORG *' > /etc/krb5kdc/kadm5.acl
                 kadmin.local -q 'addprinc -pw \"admin word\" root/admin'
                 systemctl start krb5-kdc krb5-admin-server",
            );
            // Its unit counts as started before it accepts requests.
            machine.wait_for("echo 'admin word' | kadmin -p root/admin -q listprincs");
        }
        "Bearer tokens (OAuth)" => {
            machine.ok("printf '%s' eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4ifQ. > token.txt");
        }
        "Sharing your accounts with Postfix, Dovecot and Cyrus" => {
            // Port 25 is Postern's here.
            machine.ok(
                "postconf -MX smtp/inet && postconf -Me '2526/inet=2526 inet n - y - - smtpd'
                 cp /root/postern-ca/mx.example.org.crt /root/postern-ca/mx.example.org.key /etc/postfix/
                 postconf -e smtpd_tls_cert_file=/etc/postfix/mx.example.org.crt \
                 smtpd_tls_key_file=/etc/postfix/mx.example.org.key maillog_file=/var/log/postfix.log inet_protocols=ipv4
                 systemctl start postfix",
            );
        }
        "7. The queue" => {
            machine.ok("postern check --offline; systemctl restart postern");
            machine.wait_for("postern status --ready");
        }
        _ => {}
    }
}

/// What must work after a block, identified by a part of its text.
fn after(block: &Block, reader: &Reader) {
    let machine = &reader.machine;
    let did = |part: &str| block.text.contains(part);
    if did("apt install ./postern_") && block.heading == "As a Debian package" {
        assert_eq!(machine.failed(), "");
    } else if did("swaks --server") {
        machine.wait_for("grep -rq 'test .*swaks\\|This is a test' /var/lib/postern/mail");
        hook_of_certbot(machine);
    } else if did("usermod -a -G sasl") {
        machine.wait_for("postern status --ready");
        reader.has_logins("saslauthd", "carl@example.org", "unix word");
    } else if did("socket = \"/run/dovecot/auth-postern\"") {
        reader.has_logins("Dovecot", "carl", "unix word");
    } else if did("--now postern-pam") {
        machine.wait_for("test -S /run/postern-pam/socket");
        assert_eq!(
            machine.ok("stat --format '%a %U' /run/postern-pam/socket"),
            "600 postern\n"
        );
        reader.has_logins("PAM", "carl", "unix word");
        // Nobody else gets an answer, and the helper cannot reach the network.
        let output = machine.run(
            "setpriv --reuid carl --clear-groups bash -c 'exec 3<>/run/postern-pam/socket'",
            "",
        );
        assert!(!output.status.success(), "{}", shown(&output));
    } else if did("--now postern-mailbox") {
        machine.wait_for("test -S /run/postern-mailbox/socket");
        machine.ok(
            "swaks --server mx.example.org:25 --from x@far.example --to carl@example.org --header 'Subject: for a user'",
        );
        machine.wait_for("grep -q 'Subject: for a user' /home/carl/Maildir/new/*");
        machine.ok("test \"$(stat --format '%U %a' /home/carl/Maildir/new)\" = 'carl 700'");
        // The root privileges that the unit leaves.
        machine.ok(
            "grep -q 'CapBnd:.00000000000001c1' /proc/$(systemctl show --property MainPID --value postern-mailbox)/status",
        );
        machine.ok("systemctl reload postern-mailbox");
        machine.wait_for("journalctl -u postern-mailbox | grep -q 'read again'");
    } else if did("keytab = \"smtp.keytab\"") {
        machine.ok("swaks --server mx.example.org:587 --tls --quit-after EHLO | grep -q 'AUTH.* GSSAPI'");
    } else if did("postfix reload") {
        machine.wait_for(&format!(
            "swaks --server 127.0.0.1:2526 --tls --auth PLAIN --auth-user ann@example.org --auth-password '{}' --quit-after AUTH",
            reader.password
        ));
    } else if did("doveadm user") {
        machine.wait_for("postern status --ready");
        machine.ok(&format!(
            "swaks --server mx.example.org:465 --tlsc --auth PLAIN --auth-user ann@example.org --auth-password '{}' \
             --from ann@example.org --to ann@example.org --header 'Subject: over LMTP'",
            reader.password
        ));
        reader.reads_by_imap("over LMTP");
        machine.ok("test \"$(stat --format %U /var/vmail/ann@example.org/Maildir)\" = vmail");
    } else if did("queue flush") {
        machine.ok(&format!(
            "swaks --server mx.example.org:587 --tls --auth PLAIN --auth-user ann@example.org --auth-password '{}' \
             --from ann@example.org --to someone@outside.example",
            reader.password
        ));
        machine.wait_for("postern queue list --json | grep -q outside.example");
    } else if did("users.db /var/lib/postern/users.db") {
        machine.wait_for("postern status --ready");
        assert!(
            reader.log_in("ann@example.org", &reader.password),
            "after the restore"
        );
        machine.ok("grep -rq 'This is a test' /var/lib/postern/mail");
    }
}

/// The hook puts a new certificate where the server finds it.
fn hook_of_certbot(machine: &Machine) {
    machine.ok(
        "mkdir lineage && postern cert issue mx.example.org --dir /root/postern-ca --out renewed
         cp postern-ca/renewed.crt lineage/fullchain.pem && cp postern-ca/renewed.key lineage/privkey.pem
         RENEWED_LINEAGE=/root/lineage /etc/letsencrypt/renewal-hooks/deploy/postern
         cmp lineage/fullchain.pem /etc/postern/certs/mx.example.org.crt",
    );
}

#[test]
fn every_command_of_the_guide() {
    let machine = Machine::boot(packages());
    let mut reader = Reader {
        machine,
        first_configuration: String::new(),
        password: String::new(),
    };
    let mut heading = String::new();
    for block in blocks() {
        if block.heading != heading {
            heading.clone_from(&block.heading);
            before(&heading, &reader.machine);
        }
        // Everything is lost except the backup.
        if block.text.contains("files.tar.gz") && block.text.contains("-xzf") {
            reader
                .machine
                .ok("systemctl stop postern && rm -rf /etc/postern/* /var/lib/postern/*");
        }
        reader.run(&block);
        after(&block, &reader);
    }
    assert_eq!(reader.machine.failed(), "");
}

#[test]
fn installed_from_the_checkout() {
    let machine = Machine::boot(&[]);
    let all: Vec<Block> = blocks()
        .into_iter()
        .filter(|block| block.mark == Mark::Another)
        .collect();
    assert_eq!(all.len(), 4, "install, upgrade, and two sites that move in");
    for (number, block) in all.iter().enumerate() {
        machine.ok(&format!("cd {CHECKOUT}\n{}", block.text));
        if number == 0 {
            machine.put("/etc/postern/postern.toml", package::CONFIGURATION.as_bytes());
            machine.ok("chgrp postern /etc/postern/postern.toml && systemctl enable --now postern");
        }
        machine.wait_for("postern status --ready");
    }
    machine.ok("man --where postern.toml && test ! -e /usr/share/man/man1/mailq.1.gz -o -L /usr/bin/mailq");
    assert_eq!(machine.failed(), "");
}
