//! `[[dkim]]`.

use std::path::PathBuf;
use std::time::Duration;

use postern_seal::Canonicalization;

use super::words::{CanonicalForms, FieldName, HostName, SelectorName};
use crate::config::kinds::{FilePath, List, Sections, Switch, Time};
use crate::config::read::{At, table};

table! {
    /// Mail of a domain that is signed with DKIM (RFC 6376): mail from those who may send as that domain, according to the
    /// identity rules, and reports of this server; never mail of strangers. What is signed is what is sent, after filters and
    /// trace fields, and with `eight_bit = "convert"` in [delivery] in a form that every host passes on unchanged.
    ///
    /// Keys are made by `postern dkim new DOMAIN`, which also prints the records for DNS. All keys of a domain that are in use sign.
    DkimTable {
        /// The domain of the authors, and the one that signs (`d=`).
        domain: String = HostName, required "\"example.org\"";
        /// Whether mail of authors in all domains below it is signed, too, by this domain. A [[dkim]] of their own comes first.
        subdomains: bool = Switch, default "false";
        /// Whether it signs for every login where `senders` in [relay] is `"any"`. Otherwise it only signs for logins whose
        /// identity covers the author, as [identity] defines it, and mail of others is not signed. Mail from networks and
        /// certificates that may relay is signed either way.
        any_login: bool = Switch, default "false";
        /// Keys in files. With them the keys below `state_dir` are not used.
        key: Vec<At<DkimKeyTable>> = Sections::<DkimKeyTable>::new(), default "[]";
        /// Whether the server continues a rotation automatically: a new key signs once DNS shows its record, an old one is
        /// removed after `keep_old`. Only for keys below `state_dir`.
        automatic: bool = Switch, default "true";
        /// How often the server creates the next keys automatically, and says in the log which records to add.
        rotate_every: Duration = Time("7d", "3650d"), optional "\"180d\"" else "when `postern dkim rotate` is called";
        /// How long the record of an old key is still needed, for mail in transit.
        keep_old: Duration = Time("1d", "365d"), default "\"7d\"";
        /// Header fields that are signed once more than they occur, so that nobody can add one. `From` always is.
        oversign: Vec<At<String>> = List(FieldName), optional "[\"From\", \"To\", \"Subject\"]" else "`From`, `Reply-To`, `To`, `Cc`, `Subject`, `Date`, `Message-ID`, `In-Reply-To`, `References`, `MIME-Version`, `Content-Type`, `Content-Transfer-Encoding`";
        /// Header fields that are signed if present.
        headers: Vec<At<String>> = List(FieldName), optional "[\"List-Id\"]" else "`Sender`, further `Content-` fields, `Resent-` and `List-` fields, `Feedback-ID`, `Autocrypt`";
        /// The canonical forms of header and body: `relaxed/relaxed` tolerates changes of white space in transit.
        canonicalization: Canonicalization = CanonicalForms, default "\"relaxed/relaxed\"";
        /// How long a signature is valid (`x=`). It must be longer than mail may be in transit, `expire_after` in [retry].
        expire_after: Duration = Time("1h", "365d"), optional "\"14d\"" else "signatures do not expire";
    }
}

table! {
    /// A key in a file. Two keys cannot share a selector.
    DkimKeyTable {
        /// Its selector: its record is `SELECTOR._domainkey.DOMAIN`.
        selector: String = SelectorName, required "\"r202612\"";
        /// The file, in PEM form, readable only by its owner: RSA of 2048 bits or more, or Ed25519.
        file: PathBuf = FilePath, required "\"dkim/example.org.pem\"";
    }
}
