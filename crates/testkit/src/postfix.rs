//! A real Postfix on a loopback port, with its queue in a scratch folder.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::process::{free_port, program, wait_for_port};

/// A running Postfix that accepts mail for all given domains and writes it to one mailbox file.
#[derive(Debug)]
pub struct Postfix {
    folder: TempDir,
    /// The folder of its accounts, kept while it runs.
    sasl: Option<TempDir>,
    port: u16,
}

const MASTER_CF: &str = "\
127.0.0.1:PORT inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
";

impl Postfix {
    /// Starts it for these domains: any recipient in them is accepted. `extra` is added to `main.cf`.
    ///
    /// # Panics
    ///
    /// When Postfix is not installed, does not start, or the test does not run as root, which Postfix demands.
    #[must_use]
    pub fn start(domains: &[&str], extra: &str) -> Self {
        Self::start_with_sasl(domains, extra, None)
    }

    /// As [`Postfix::start`], with this `smtpd.conf` for Cyrus SASL.
    ///
    /// # Panics
    ///
    /// As [`Postfix::start`].
    #[must_use]
    pub fn start_with_sasl(domains: &[&str], extra: &str, smtpd_conf: Option<&str>) -> Self {
        let postfix = program("/usr/sbin/postfix", "postfix");
        assert!(
            nix::unistd::geteuid().is_root(),
            "Postfix starts as root only: run the tests as root"
        );
        let folder = TempDir::new().expect("a scratch folder");
        let port = free_port();
        let at = |name: &str| folder.path().join(name);
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("the scratch folder");
        for name in ["conf", "queue", "data", "mail"] {
            fs::create_dir(at(name)).expect("a folder");
        }
        if let Some(smtpd_conf) = smtpd_conf {
            // This is where Debian's Postfix looks for it.
            fs::create_dir(at("conf/sasl")).expect("a folder");
            fs::write(at("conf/sasl/smtpd.conf"), smtpd_conf).expect("smtpd.conf");
        }
        let user = nix::unistd::User::from_name("postfix")
            .ok()
            .flatten()
            .expect("the postfix user");
        for name in ["data", "mail"] {
            nix::unistd::chown(&at(name), Some(user.uid), Some(user.gid)).expect("chown");
        }
        let main_cf = format!(
            "compatibility_level = 3.6\n\
             queue_directory = {queue}\n\
             data_directory = {data}\n\
             command_directory = /usr/sbin\n\
             daemon_directory = /usr/lib/postfix/sbin\n\
             mail_owner = postfix\n\
             setgid_group = postdrop\n\
             myhostname = postfix.test\n\
             mydestination =\n\
             mynetworks =\n\
             inet_interfaces = 127.0.0.1\n\
             inet_protocols = ipv4\n\
             virtual_mailbox_domains = {domains}\n\
             virtual_mailbox_base = {mail}\n\
             virtual_mailbox_maps = static:all\n\
             virtual_uid_maps = static:{uid}\n\
             virtual_gid_maps = static:{gid}\n\
             virtual_minimum_uid = 1\n\
             alias_maps =\n\
             alias_database =\n\
             smtpd_client_connection_count_limit = 0\n\
             maillog_file_prefixes = {folder}\n\
             maillog_file = {folder}/log\n\
             {extra}\n",
            queue = at("queue").display(),
            data = at("data").display(),
            mail = at("mail").display(),
            domains = domains.join(" "),
            uid = user.uid,
            gid = user.gid,
            folder = folder.path().display(),
        );
        fs::write(at("conf/main.cf"), main_cf).expect("main.cf");
        fs::write(at("conf/master.cf"), MASTER_CF.replace("PORT", &port.to_string())).expect("master.cf");
        let done = Command::new(postfix)
            .arg("-c")
            .arg(at("conf"))
            .arg("start")
            .output()
            .expect("postfix start");
        assert!(
            done.status.success(),
            "postfix start: {}",
            String::from_utf8_lossy(&done.stderr)
        );
        wait_for_port(port);
        Self {
            folder,
            sasl: None,
            port,
        }
    }

    /// Starts it with Cyrus SASL, which offers these mechanisms inside TLS and has these users in a sasldb. Only
    /// authenticated users may send.
    ///
    /// # Panics
    ///
    /// As [`Postfix::start`], and when sasl2-bin is not installed.
    #[must_use]
    pub fn start_with_accounts(
        domains: &[&str],
        certificate: &Path,
        key: &Path,
        mechanisms: &[&str],
        users: &[(&str, &str)],
    ) -> Self {
        use std::io::Write as _;
        let saslpasswd2 = program("/usr/sbin/saslpasswd2", "sasl2-bin");
        let sasl = TempDir::new().expect("a scratch folder");
        fs::set_permissions(sasl.path(), fs::Permissions::from_mode(0o755)).expect("the scratch folder");
        let database = sasl.path().join("sasldb2");
        for (user, password) in users {
            let mut child = Command::new(&saslpasswd2)
                .args(["-p", "-c", "-u", "postfix.test", "-f"])
                .arg(&database)
                .arg(user)
                .stdin(std::process::Stdio::piped())
                .spawn()
                .expect("saslpasswd2");
            let mut input = child.stdin.take().expect("its input");
            input.write_all(password.as_bytes()).expect("its input");
            drop(input);
            assert!(child.wait().expect("saslpasswd2").success(), "saslpasswd2");
        }
        fs::set_permissions(&database, fs::Permissions::from_mode(0o644)).expect("sasldb2");
        let conf = format!(
            "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: {}\nmech_list: {}\n",
            database.display(),
            mechanisms.join(" ")
        );
        let mut postfix = Self::start_with_sasl(
            domains,
            &format!(
                "smtpd_tls_security_level = may\nsmtpd_tls_cert_file = {}\nsmtpd_tls_key_file = {}\nsmtpd_tls_auth_only = yes\n\
                 smtpd_sasl_auth_enable = yes\nsmtpd_sasl_local_domain = postfix.test\n\
                 smtpd_sasl_security_options = noanonymous\n\
                 smtpd_relay_restrictions = permit_sasl_authenticated, reject\n\
                 smtpd_recipient_restrictions = permit_sasl_authenticated, reject",
                certificate.display(),
                key.display(),
            ),
            Some(&conf),
        );
        postfix.sasl = Some(sasl);
        postfix
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The mailbox, in mbox form, with all mail delivered so far.
    #[must_use]
    pub fn mailbox(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.path("mail/all")).unwrap_or_default()).into_owned()
    }

    /// Its log so far.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.path("log")).unwrap_or_default()).into_owned()
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("log of Postfix:\n{}", self.log());
        }
        let _ = Command::new("/usr/sbin/postfix")
            .arg("-c")
            .arg(self.path("conf"))
            .arg("stop")
            .output();
    }
}
