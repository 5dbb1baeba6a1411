//! `[kerberos]`.

use std::path::PathBuf;

use super::words::HostName;
use crate::config::kinds::{Choice, FilePath, Line, List, OneOf};
use crate::config::read::{At, table};

table! {
    /// Kerberos 5, for the mechanism GSSAPI. The library is MIT's, found when the server starts; without GSSAPI it is not needed.
    Kerberos {
        /// The keytab with the key of the service, `smtp/HOST@REALM`, readable by Postern alone. It is read each time, so
        /// that a new key works at once.
        keytab: PathBuf = FilePath, optional "\"smtp.keytab\"" else "GSSAPI cannot be switched on";
        /// The services whose tickets are accepted. Tickets for another one that has a key in the keytab are refused. A mail server that
        /// authenticates users through a socket of Postern's needs its own, such as `"imap"`.
        services: Vec<At<String>> = List(Line(60)), default "[\"smtp\"]";
        /// Realms whose principals are users. Principals of the first, the home realm, have just their name as user name, those
        /// of the others `name@REALM`. Principals of other realms, of machines and services, and such as `name/admin` are
        /// refused.
        realms: Vec<At<String>> = List(Line(255)), optional "[\"EXAMPLE.ORG\"]" else "the default realm of the host's Kerberos configuration";
        /// The mail domain, if user names are addresses: the principal `acaird@EXAMPLE.ORG` is then the user
        /// `acaird@example.org`.
        domain: String = HostName, optional "\"example.org\"" else "the login is the name alone";
        /// Whether the user must exist in a directory. With `"optional"` any principal of `realms` is accepted, unless a directory has
        /// disabled the account; a user in no directory owns no addresses.
        account: AccountWord = OneOf::<AccountWord>::new(), default "\"required\"";
        /// The library: a name for the system's loader, or a path.
        library: String = Line(4_096), default "\"libgssapi_krb5.so.2\"";
    }
}

/// Whether a directory has to know the login.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum AccountWord {
    Required,
    Optional,
}

impl Choice for AccountWord {
    const WORDS: &'static [(&'static str, Self)] =
        &[("required", Self::Required), ("optional", Self::Optional)];
}
