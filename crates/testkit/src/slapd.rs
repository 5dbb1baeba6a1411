//! A real OpenLDAP server on loopback ports, with its data in a scratch folder.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::process::{Server, free_port, program, wait_for_port, wait_until};

/// The suffix of the tree.
pub const SUFFIX: &str = "o=Fox Chase Cancer Center,c=US";

/// Where the people are.
pub const PEOPLE: &str = "ou=People,o=Fox Chase Cancer Center,c=US";

/// The administrator's name; its password is [`ROOT_PASSWORD`]. It reads and writes everything.
pub const ROOT_DN: &str = "cn=Manager,o=Fox Chase Cancer Center,c=US";

/// The administrator's password.
pub const ROOT_PASSWORD: &str = "manager password";

/// The tree of the acceptance procedure: one person, `acaird`, whose password has a space.
const TREE: &str = "\
dn: o=Fox Chase Cancer Center,c=US
objectClass: organization
o: Fox Chase Cancer Center

dn: ou=People,o=Fox Chase Cancer Center,c=US
objectClass: organizationalUnit
ou: People

dn: uid=acaird,ou=People,o=Fox Chase Cancer Center,c=US
objectClass: inetOrgPerson
uid: acaird
cn: Andrew Caird
sn: Caird
mail: acaird@fccc.example
userPassword: pass word
";

/// Options for tests.
#[derive(Clone, Debug, Default)]
pub struct SlapdOptions {
    /// The port for `ldap://`; a free one if `None`.
    pub port: Option<u16>,
    /// Entries added to the tree of the acceptance procedure, as LDIF.
    pub ldif: String,
    /// Lines for `slapd.conf`, before the database (access rules, `security`, `idletimeout`).
    pub global: String,
    /// Lines for `slapd.conf`, within the database.
    pub database: String,
    /// Whether it has no certificate: neither `ldaps://` nor StartTLS.
    pub without_tls: bool,
}

/// A running slapd: `ldap://` (where StartTLS works too) and `ldaps://`, with a certificate for `localhost` and
/// 127.0.0.1 that a test CA signed. Killed when dropped.
#[derive(Debug)]
pub struct Slapd {
    folder: TempDir,
    port: u16,
    ldaps_port: Option<u16>,
    server: Option<Server>,
}

impl Slapd {
    /// Starts it with the tree of the acceptance procedure, on free ports.
    ///
    /// # Panics
    ///
    /// When slapd or openssl is not installed, or slapd does not start; the panic names the Debian package or shows the log.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&SlapdOptions::default())
    }

    /// Starts it with these options.
    ///
    /// # Panics
    ///
    /// As [`Slapd::start`].
    #[must_use]
    pub fn start_with(options: &SlapdOptions) -> Self {
        let folder = TempDir::new().expect("a scratch folder");
        fs::create_dir(folder.path().join("data")).expect("a folder");
        make_certificate(folder.path());
        fs::write(
            folder.path().join("slapd.conf"),
            configuration(folder.path(), options),
        )
        .expect("slapd.conf");
        fill(folder.path(), &format!("{TREE}\n{}", options.ldif));
        let port = options.port.unwrap_or_else(free_port);
        let mut slapd = Self {
            folder,
            port,
            ldaps_port: (!options.without_tls).then(free_port),
            server: None,
        };
        slapd.restart();
        slapd
    }

    /// Its port for `ldap://`.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its port for `ldaps://`.
    ///
    /// # Panics
    ///
    /// When it was started without TLS.
    #[must_use]
    pub fn ldaps_port(&self) -> u16 {
        self.ldaps_port.expect("a slapd with TLS")
    }

    /// `ldap://127.0.0.1:PORT/`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("ldap://127.0.0.1:{}/", self.port)
    }

    /// `ldaps://localhost:PORT/`.
    ///
    /// # Panics
    ///
    /// When it was started without TLS.
    #[must_use]
    pub fn ldaps_url(&self) -> String {
        format!("ldaps://localhost:{}/", self.ldaps_port())
    }

    /// The certificate of the CA that signed the server's.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }

    /// What it has logged since its first start: each connection, bind and search.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_file()).unwrap_or_default()).into_owned()
    }

    /// Stops it; its data and ports are kept for [`Slapd::restart`].
    pub fn stop(&mut self) {
        self.resume();
        if let Some(server) = self.server.take() {
            server.terminate();
        }
    }

    /// Suspends its process, like a server that hangs: ports open, no answers. [`Slapd::resume`] resumes it.
    pub fn freeze(&self) {
        if let Some(server) = &self.server {
            freeze(server);
        }
    }

    /// Resumes a server that [`Slapd::freeze`] suspended.
    pub fn resume(&self) {
        if let Some(server) = &self.server {
            server.signal(nix::sys::signal::Signal::SIGCONT);
        }
    }

    /// Starts it again on the same ports, with the data it had.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn restart(&mut self) {
        self.stop();
        let mut urls = self.url();
        if let Some(port) = self.ldaps_port {
            let _ = write!(urls, " ldaps://127.0.0.1:{port}/");
        }
        let mut command = Command::new(program("/usr/sbin/slapd", "slapd"));
        // With a debug level it stays in the foreground; 256 logs connections and operations.
        command
            .args(["-d", "256", "-h", &urls, "-f"])
            .arg(self.folder.path().join("slapd.conf"));
        self.server = Some(Server::start(&mut command, &self.log_file()));
        wait_for_port(self.port);
        if let Some(port) = self.ldaps_port {
            wait_for_port(port);
        }
        let runs = self.server.as_mut().is_some_and(Server::runs);
        assert!(
            runs,
            "slapd ended at once; somebody else has its port? Its log:\n{}",
            self.log()
        );
    }

    /// Changes the tree with an LDIF change file, as the administrator.
    ///
    /// # Panics
    ///
    /// When `ldapmodify` is missing or the change is refused.
    pub fn modify(&self, ldif: &str) {
        let file = self.folder.path().join("change.ldif");
        fs::write(&file, ldif).expect("the change");
        let mut command = Command::new(program("/usr/bin/ldapmodify", "ldap-utils"));
        command
            .args(["-x", "-H", &self.url(), "-D", ROOT_DN, "-w", ROOT_PASSWORD, "-f"])
            .arg(&file);
        run(&mut command);
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("slapd.log")
    }
}

/// One more person below [`PEOPLE`], as LDIF for [`SlapdOptions::ldif`].
#[must_use]
pub fn person(uid: &str, mail: &[&str], password: &str) -> String {
    let mut ldif = format!(
        "\ndn: uid={uid},{PEOPLE}\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: {uid}\nsn: {uid}\n\
         userPassword: {password}\n"
    );
    for address in mail {
        let _ = writeln!(ldif, "mail: {address}");
    }
    ldif
}

fn configuration(folder: &Path, options: &SlapdOptions) -> String {
    let folder = folder.display();
    let SlapdOptions { global, database, .. } = options;
    let tls = if options.without_tls {
        String::new()
    } else {
        format!(
            "TLSCACertificateFile {folder}/ca.crt\nTLSCertificateFile {folder}/server.crt\n\
             TLSCertificateKeyFile {folder}/server.key"
        )
    };
    format!(
        "include /etc/ldap/schema/core.schema\n\
         include /etc/ldap/schema/cosine.schema\n\
         include /etc/ldap/schema/inetorgperson.schema\n\
         pidfile {folder}/slapd.pid\n\
         modulepath /usr/lib/ldap\n\
         moduleload back_mdb\n\
         {tls}\n\
         {global}\n\
         database mdb\n\
         maxsize 67108864\n\
         suffix \"{SUFFIX}\"\n\
         rootdn \"{ROOT_DN}\"\n\
         rootpw \"{ROOT_PASSWORD}\"\n\
         directory {folder}/data\n\
         index objectClass,uid,mail eq\n\
         {database}\n"
    )
}

fn fill(folder: &Path, ldif: &str) {
    let file = folder.join("tree.ldif");
    fs::write(&file, ldif).expect("the tree");
    let mut command = Command::new(program("/usr/sbin/slapadd", "slapd"));
    command
        .arg("-f")
        .arg(folder.join("slapd.conf"))
        .arg("-l")
        .arg(&file);
    run(&mut command);
}

/// Makes `ca.crt`, and `server.crt` with `server.key` for `localhost` and 127.0.0.1, signed by it.
pub(crate) fn make_certificate(folder: &Path) {
    let openssl = program("/usr/bin/openssl", "openssl");
    let at = |name: &str| folder.join(name);
    let key = [
        "req",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "30",
    ];
    let mut ca = Command::new(&openssl);
    ca.args(key)
        .args(["-x509", "-subj", "/CN=Postern test CA"])
        .args(["-addext", "keyUsage=critical,keyCertSign"]);
    run(ca.arg("-keyout").arg(at("ca.key")).arg("-out").arg(at("ca.crt")));
    let mut host = Command::new(&openssl);
    host.args(key).args(["-x509", "-subj", "/CN=localhost"]);
    host.args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]);
    host.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    host.arg("-CA").arg(at("ca.crt")).arg("-CAkey").arg(at("ca.key"));
    run(host
        .arg("-keyout")
        .arg(at("server.key"))
        .arg("-out")
        .arg(at("server.crt")));
}

/// A server's key and certificate for `localhost`, signed by itself and marked as an authority, as `openssl req -x509` does.
pub(crate) fn make_own_certificate(folder: &Path) {
    let mut own = Command::new(program("/usr/bin/openssl", "openssl"));
    own.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
    ])
    .args(["-nodes", "-days", "30", "-subj", "/CN=localhost"])
    .args(["-addext", "subjectAltName=DNS:localhost"]);
    run(own
        .arg("-keyout")
        .arg(folder.join("server.key"))
        .arg("-out")
        .arg(folder.join("server.crt")));
}

/// Suspends a process and waits until all its threads are stopped.
pub(crate) fn freeze(server: &Server) {
    server.signal(nix::sys::signal::Signal::SIGSTOP);
    let tasks = format!("/proc/{}/task", server.pid());
    wait_until("a process to stand still", || {
        let mut tasks = fs::read_dir(&tasks).expect("the threads of a process");
        tasks.all(|task| {
            let stat = fs::read_to_string(task.expect("a thread").path().join("stat")).unwrap_or_default();
            // The state follows the name, which is in parentheses.
            stat.rsplit_once(") ")
                .is_none_or(|(_, rest)| rest.starts_with('T'))
        })
    });
}

/// Runs a program that must succeed, and returns its output.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?} failed:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
