//! A real MIT Kerberos server, with its database in a scratch folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::process::{Server, free_port, program, wait_for_port};

/// A running KDC for one realm. Killed when dropped.
#[derive(Debug)]
pub struct Kdc {
    folder: TempDir,
    realm: String,
    server: Server,
}

/// A ticket to be fetched with a password.
#[derive(Clone, Copy, Debug)]
pub struct Login<'a> {
    /// The principal, without its realm.
    pub name: &'a str,
    /// Its password.
    pub password: &'a str,
    /// The ticket's lifetime, as for `kinit -l`: `10m`.
    pub lifetime: &'a str,
}

impl Kdc {
    /// Starts a KDC for `realm` on a free port. The hosts `localhost` and `mx.relay.test` are in the realm.
    ///
    /// # Panics
    ///
    /// When it is not installed (the panic names the Debian package) or does not start.
    #[must_use]
    pub fn start(realm: &str) -> Self {
        Self::start_with(realm, "aes256-cts aes128-cts")
    }

    /// The same with only these encryption types, for the KDC and its clients.
    ///
    /// # Panics
    ///
    /// As [`Kdc::start`].
    #[must_use]
    pub fn start_with(realm: &str, kinds: &str) -> Self {
        let folder = TempDir::new().expect("a scratch folder");
        let port = free_port();
        let at = folder.path().display();
        let master = kinds.split(' ').next().unwrap_or_default();
        let client = format!(
            "[libdefaults]\n default_realm = {realm}\n dns_lookup_kdc = false\n dns_lookup_realm = false\n\
             dns_canonicalize_hostname = false\n rdns = false\n udp_preference_limit = 1\n permitted_enctypes = {kinds}\n\
             [realms]\n {realm} = {{\n  kdc = 127.0.0.1:{port}\n }}\n\
             [domain_realm]\n localhost = {realm}\n mx.relay.test = {realm}\n"
        );
        let server = format!(
            "[kdcdefaults]\n kdc_listen = 127.0.0.1:{port}\n kdc_tcp_listen = 127.0.0.1:{port}\n\
             [realms]\n {realm} = {{\n  database_name = {at}/principal\n  key_stash_file = {at}/stash\n\
             acl_file = {at}/acl\n  max_life = 10h\n\
             master_key_type = {master}\n supported_enctypes = {kinds}\n }}\n\
             [logging]\n kdc = FILE:{at}/kdc.log\n"
        );
        fs::write(folder.path().join("krb5.conf"), client).expect("krb5.conf");
        fs::write(folder.path().join("kdc.conf"), server).expect("kdc.conf");
        let command = |path: &str, package: &str| {
            let mut command = Command::new(program(path, package));
            command
                .env("KRB5_CONFIG", folder.path().join("krb5.conf"))
                .env("KRB5_KDC_PROFILE", folder.path().join("kdc.conf"));
            command
        };
        run(command("/usr/sbin/kdb5_util", "krb5-kdc").args(["create", "-s", "-r", realm, "-P", "master"]));
        let mut daemon = command("/usr/sbin/krb5kdc", "krb5-kdc");
        let server = Server::start(daemon.args(["-n", "-r", realm]), &folder.path().join("log"));
        wait_for_port(port);
        Self {
            realm: realm.to_owned(),
            server,
            folder,
        }
    }

    /// The configuration that its clients and services need, as `KRB5_CONFIG`.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("krb5.conf")
    }

    /// Sets the allowed clock skew in seconds, for clients and services started after this. Default 300.
    ///
    /// # Panics
    ///
    /// When the file cannot be written.
    pub fn set_skew(&self, seconds: u32) {
        let text = fs::read_to_string(self.config()).expect("krb5.conf");
        let text = text.replacen(
            "[libdefaults]\n",
            &format!("[libdefaults]\n clockskew = {seconds}\n"),
            1,
        );
        fs::write(self.config(), text).expect("krb5.conf");
    }

    /// Its realm.
    #[must_use]
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// Adds a principal with a password.
    ///
    /// # Panics
    ///
    /// When the database refuses it.
    pub fn add(&self, name: &str, password: &str) {
        self.admin(&format!("addprinc -pw {password} {name}"));
    }

    /// Adds principals with random keys, if they do not exist, and writes their keys to a keytab. The keys are new each time.
    ///
    /// # Panics
    ///
    /// When the database refuses it.
    pub fn keytab(&self, keytab: &Path, principals: &[&str]) {
        for principal in principals {
            let there = self.admin(&format!("listprincs {principal}"));
            if !there.contains(&format!("{principal}@")) {
                self.admin(&format!("addprinc -randkey {principal}"));
            }
            self.admin(&format!("ktadd -k {} {principal}", keytab.display()));
        }
    }

    /// Fetches a ticket into a new cache with this name, and returns the cache's file.
    ///
    /// # Panics
    ///
    /// When the KDC refuses it.
    #[must_use]
    pub fn ticket(&self, cache: &str, login: Login<'_>) -> PathBuf {
        let file = self.folder.path().join(cache);
        let mut command = self.command("/usr/bin/kinit", "krb5-user");
        command
            .args(["-l", login.lifetime, "-c"])
            .arg(&file)
            .arg(login.name)
            .stdin(Stdio::piped());
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("kinit");
        let mut input = child.stdin.take().expect("piped");
        std::io::Write::write_all(&mut input, format!("{}\n", login.password).as_bytes())
            .expect("a password");
        drop(input);
        let output = child.wait_with_output().expect("kinit");
        assert!(output.status.success(), "kinit {}: {}", login.name, said(&output));
        file
    }

    /// A command with an environment that points to this KDC.
    ///
    /// # Panics
    ///
    /// When the program is missing; the panic names the Debian package.
    #[must_use]
    pub fn command(&self, path: &str, package: &str) -> Command {
        let mut command = Command::new(program(path, package));
        command
            .env("KRB5_CONFIG", self.config())
            .env("KRB5_KDC_PROFILE", self.folder.path().join("kdc.conf"));
        command
    }

    /// Its log.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("kdc.log")).unwrap_or_else(|_| self.server.log())
    }

    fn admin(&self, query: &str) -> String {
        let mut command = self.command("/usr/sbin/kadmin.local", "krb5-admin-server");
        run(command.args(["-r", &self.realm, "-q", query]))
    }
}

fn run(command: &mut Command) -> String {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", said(&output));
    said(&output)
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
