//! What the tests with real peers share: openssl in a folder of its own, and a server that reports what it
//! saw.
#![allow(dead_code, reason = "each test binary uses a part")]

pub(crate) mod s_server;

use postern_net::MailStream;
use postern_net::listen;
use postern_net::tls::{HandshakeError, ServerTls, ServerTlsSettings, TlsFacts, TlsIdentityFiles};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A scratch folder with the openssl command.
pub(crate) struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        postern_net::file::write_private(&path, content.as_bytes(), postern_net::file::Existing::Replace)
            .unwrap();
        path
    }

    pub(crate) fn chmod(&self, name: &str, mode: u32) {
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Runs `openssl` with the words of `line` in the folder, ignoring failure.
    pub(crate) fn try_openssl(&self, line: &str) -> Output {
        Command::new("openssl")
            .args(words(line))
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .output()
            .expect("openssl does not start: install the Debian package openssl")
    }

    /// Runs `openssl`, which must succeed; its standard output.
    pub(crate) fn openssl(&self, line: &str) -> String {
        let output = self.try_openssl(line);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {line}: {errors}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The same at another time.
    pub(crate) fn openssl_at(&self, time: &str, line: &str) {
        let output = Command::new("faketime")
            .args([time, "openssl"])
            .args(words(line))
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .output()
            .expect("faketime does not start: install the Debian package faketime");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {line}: {errors}");
    }

    /// A CA made by openssl: `NAME.crt` and `NAME.key`.
    pub(crate) fn ca(&self, name: &str) {
        self.openssl(&format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key -out {name}.crt \
             -days 30 -subj /O=Bench/CN={name}"
        ));
    }

    /// A certificate with this subject under a CA made by [`Self::ca`]; `key` is as for `openssl req
    /// -newkey`, and `extensions` the lines of an extension file, and without any it becomes X.509 version 1.
    pub(crate) fn certificate(&self, name: &str, ca: &str, subject: &str, key: &str, extensions: &str) {
        self.openssl(&format!(
            "req -newkey {key} -nodes -keyout {name}.key -out {name}.csr -subj {subject}"
        ));
        let extfile = if extensions.is_empty() {
            String::new()
        } else {
            std::fs::write(self.path("extensions"), extensions).unwrap();
            "-extfile extensions".to_owned()
        };
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA {ca}.crt -CAkey {ca}.key -CAcreateserial -days 20 -out {name}.crt {extfile}"
        ));
    }

    /// `NAME.crl`, PEM, in which `ca` revokes these certificates; renewed after `days`.
    pub(crate) fn crl(&self, name: &str, ca: &str, revoked: &[&str], days: &str) -> PathBuf {
        let configuration = "[ca]\ndefault_ca = own\n[own]\ndatabase = index\ndefault_md = sha256\n";
        std::fs::write(self.path("ca.cnf"), configuration).unwrap();
        std::fs::write(self.path("index"), "").unwrap();
        let own = format!("ca -config ca.cnf -cert {ca}.crt -keyfile {ca}.key");
        for certificate in revoked {
            self.openssl(&format!("{own} -revoke {certificate}.crt"));
        }
        self.openssl(&format!("{own} -gencrl {days} -out {name}.crl"));
        self.path(&format!("{name}.crl"))
    }

    pub(crate) fn files(&self, name: &str) -> TlsIdentityFiles {
        TlsIdentityFiles {
            certificate: self.path(&format!("{name}.crt")),
            key: self.path(&format!("{name}.key")),
            passphrase_file: None,
        }
    }

    /// A TLS server showing these certificates.
    pub(crate) fn server(&self, names: &[&str], client_ca: Option<&str>) -> ServerTls {
        ServerTls::load(&self.settings(names, client_ca)).unwrap()
    }

    pub(crate) fn settings(&self, names: &[&str], client_ca: Option<&str>) -> ServerTlsSettings {
        ServerTlsSettings {
            identities: names.iter().map(|name| self.files(name)).collect(),
            client_ca: client_ca.map(|ca| self.path(&format!("{ca}.crt"))),
            ..ServerTlsSettings::default()
        }
    }
}

pub(crate) const EC: &str = "ec -pkeyopt ec_paramgen_curve:P-256";
pub(crate) const RSA: &str = "rsa:2048";

fn words(line: &str) -> Vec<String> {
    line.split_ascii_whitespace()
        .map(|word| word.replace('~', " "))
        .collect()
}

/// A server on a loopback port: says `hello` to everybody who gets through the handshake, and reports what it
/// saw.
pub(crate) struct Greeter {
    pub(crate) address: SocketAddr,
    seen: mpsc::UnboundedReceiver<Result<TlsFacts, HandshakeError>>,
}

impl Greeter {
    pub(crate) fn start(tls: ServerTls) -> Self {
        let listener = listen::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, seen) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listen::accept(&listener, |_| {}).await {
                let (tls, tell) = (tls.clone(), tell.clone());
                tokio::spawn(async move {
                    match MailStream::Plain(tcp).into_tls_server(&tls, PATIENCE).await {
                        Ok((mut stream, facts)) => {
                            let _ = tell.send(Ok(facts));
                            let _ = stream.write_all(b"hello\n").await;
                            let _ = stream.shutdown().await;
                            let _ = stream.read_to_end(&mut Vec::new()).await;
                        }
                        Err(error) => {
                            let _ = tell.send(Err(error));
                        }
                    }
                });
            }
        });
        Self { address, seen }
    }

    /// The result of the next handshake.
    pub(crate) async fn seen(&mut self) -> Result<TlsFacts, HandshakeError> {
        tokio::time::timeout(PATIENCE, self.seen.recv())
            .await
            .unwrap()
            .unwrap()
    }

    /// Connects `openssl s_client` with these further arguments. Returns its standard output, and what the
    /// server saw.
    pub(crate) async fn s_client(
        &mut self,
        bench: &Bench,
        line: &str,
    ) -> (String, Result<TlsFacts, HandshakeError>) {
        let output = run_s_client(bench.folder.path(), self.address, line).await;
        (output, self.seen().await)
    }
}

async fn run_s_client(folder: &Path, address: SocketAddr, line: &str) -> String {
    let child = tokio::process::Command::new("openssl")
        .args(words(&format!("s_client -connect {address} -ign_eof {line}")))
        .current_dir(folder)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, child)
        .await
        .expect("s_client does not end")
        .expect("openssl does not start: install the Debian package openssl");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
