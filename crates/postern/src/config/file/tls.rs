//! `[tls]` and `[delivery.tls]`.

use std::path::PathBuf;

use postern_net::tls::TlsVersion;

use super::words::{DomainPattern, Fingerprint};
use crate::config::kinds::{Choice, FilePath, List, OneOf, OneOrList, Sections};
use crate::config::read::{At, table};

table! {
    /// They are read again at every reload.
    Tls {
        /// The certificate with the names of this host, followed by the intermediate certificates, in PEM form.
        certificate: PathBuf = FilePath, required "\"certs/mx.crt\"";
        /// Its key, in PEM form (PKCS #8, PKCS #1 or SEC 1). It must be readable only by its owner.
        key: PathBuf = FilePath, required "\"certs/mx.key\"";
        /// A file whose first line decrypts the key, readable only by its owner.
        passphrase_file: PathBuf = FilePath, optional "\"certs/mx.pass\"" else "the key is not encrypted";
        /// Authorities of client certificates, in PEM form. A certificate issued by one of them is recorded as `verify=OK`, any
        /// other as `verify=FAIL`; neither ends the connection.
        client_ca: PathBuf = FilePath, optional "\"certs/ca.crt\"" else "clients are not asked for certificates";
        /// Lists of client certificates that their authorities have revoked, in PEM or DER form: a file, or a list of files. Each
        /// must be signed by an authority in `client_ca`. A revoked certificate is recorded as `verify=FAIL`. A list whose next
        /// update is overdue still counts, and `postern check` warns.
        client_crl: Vec<At<PathBuf>> = OneOrList(FilePath), default "[]";
        /// SHA-256 fingerprints of client certificates that are recorded as `verify=FAIL` whoever issued them, for example
        /// because a key was lost. An authority's fingerprint denies all certificates issued by it.
        client_denied: Vec<At<String>> = List(Fingerprint), default "[]";
        /// The oldest TLS version allowed.
        min_version: TlsVersion = OneOf::<TlsVersion>::new(), default "\"1.2\"";
        /// Further certificates, chosen by the name that the client asks for (SNI).
        identity: Vec<At<Identity>> = Sections::<Identity>::new(), default "[]";
    }
}

table! {
    /// Each is used for the names in it.
    Identity {
        /// The certificate, followed by the intermediate certificates, in PEM form.
        certificate: PathBuf = FilePath, required "\"certs/other.crt\"";
        /// Its key, in PEM form, readable only by its owner.
        key: PathBuf = FilePath, required "\"certs/other.key\"";
        /// A file whose first line decrypts the key, readable only by its owner.
        passphrase_file: PathBuf = FilePath, optional "\"certs/other.pass\"" else "the key is not encrypted";
    }
}

table! {
    /// TLS to next hops.
    ClientTlsTable {
        /// Authorities that must have issued a verified next hop's certificate, in PEM form.
        ca_file: PathBuf = FilePath, optional "\"certs/partners.crt\"" else "those that the system trusts";
        /// The oldest TLS version allowed.
        min_version: TlsVersion = OneOf::<TlsVersion>::new(), default "\"1.2\"";
        /// Hosts that get no mail without TLS, whatever their certificate, by the names in MX records or `via`; `"*.example.org"`
        /// for all names below it. Sendmail's `TLS_Srv:` with `ENCR`. A [[route]] and TLSA records may demand more.
        always: Vec<At<String>> = List(DomainPattern), default "[]";
        /// Hosts that get no mail without TLS and a certificate that is valid for their name. Sendmail's `TLS_Srv:` with `VERIFY`.
        verified: Vec<At<String>> = List(DomainPattern), default "[]";
        /// Hosts with which TLS is not used, such as those that fail with it, unless a [[route]] demands it or logs in.
        /// Sendmail's `Try_TLS:` with `NO`.
        never: Vec<At<String>> = List(DomainPattern), default "[]";
    }
}

impl Choice for TlsVersion {
    const WORDS: &'static [(&'static str, Self)] = &[("1.2", Self::Tls12), ("1.3", Self::Tls13)];
}
