//! `[[login]]`.

use std::path::PathBuf;

use postern_policy::route::UnverifiedLogin;
use postern_sasl::Mechanism;

use super::auth::LayerWord;
use super::words::MechanismName;
use crate::config::kinds::{Choice, FilePath, Line, List, OneOf};
use crate::config::read::{At, table};

table! {
    /// An account at a smarthost, for routes that name it by `login`. Of the mechanisms that the host offers the strongest is
    /// taken; a refusal keeps the mail waiting, and is shown by `postern queue list --destinations` and in the log.
    LoginTable {
        /// What routes call it.
        name: String = Line(64), required "\"isp\"";
        /// The account, as the host knows it.
        login: String = Line(255), required "\"acaird@isp.example\"";
        /// A file whose first line is the password, readable by its owner alone. Read again at every reload.
        password_file: PathBuf = FilePath, optional "\"isp.pass\"" else "there is no password";
        /// A keytab with the key of the account, for GSSAPI: tickets are fetched with it as they are needed. Readable by Postern alone.
        keytab: PathBuf = FilePath, optional "\"relay.keytab\"" else "there is no key";
        /// Tickets that something else keeps fresh, such as k5start, for GSSAPI.
        tickets: PathBuf = FilePath, optional "\"/run/postern/tickets\"" else "there are none";
        /// The principal of the keytab or the tickets.
        principal: String = Line(255), optional "\"relay/mx.example.org@EXAMPLE.ORG\"" else "`login`";
        /// A certificate that is shown to the host, in PEM form, for EXTERNAL.
        certificate: PathBuf = FilePath, optional "\"certs/isp.crt\"" else "no certificate is shown";
        /// Its key, in PEM form, readable by its owner alone.
        key: PathBuf = FilePath, optional "\"certs/isp.key\"" else "needed with `certificate`";
        /// A file whose first line decrypts the key, readable by its owner alone.
        passphrase_file: PathBuf = FilePath, optional "\"certs/isp.pass\"" else "the key is not encrypted";
        /// The mechanisms that may be used. Naming one keeps to it, where the host offers what it does not have for the account.
        mechanisms: Vec<At<Mechanism>> = List(MechanismName), optional "[\"SCRAM-SHA-256\", \"PLAIN\"]" else "all, strongest first";
        /// Whom to act as, where that is somebody else than the account (the authorization identity).
        act_as: String = Line(255), optional "\"team@isp.example\"" else "the account itself";
        /// The Windows domain, for NTLM.
        domain: String = Line(255), optional "\"EXAMPLE\"" else "the host's own";
        /// Security layers that DIGEST-MD5 and GSSAPI may agree on where there is no TLS: `"auth-int"` shows changes, `"auth-conf"` encrypts.
        layers: Vec<At<LayerWord>> = List(OneOf::<LayerWord>::new()), default "[]";
    }
}

impl Choice for UnverifiedLogin {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("refuse", Self::Nothing),
        ("prove-to-anyone", Self::Proofs),
        ("send-password-to-anyone", Self::Password),
    ];
}
