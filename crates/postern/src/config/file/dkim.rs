//! `[[dkim]]`.

use std::path::PathBuf;
use std::time::Duration;

use postern_seal::Canonicalization;

use super::words::{CanonicalForms, FieldName, HostName, SelectorName};
use crate::config::kinds::{FilePath, List, Sections, Switch, Time};
use crate::config::read::{At, table};

table! {
    /// Mail of a domain that is signed with DKIM (RFC 6376): of those who may send as that domain, by the rule of identity that decided
    /// it, and reports of this server; never mail of strangers. What is signed is what is sent, behind filters and trace fields, and with
    /// `eight_bit = "convert"` in [delivery] in a form that every host passes on unchanged.
    ///
    /// Keys are made by `postern dkim new DOMAIN`, which also prints the records for DNS. All keys of a domain that are in use sign.
    DkimTable {
        /// The domain of the authors, and the one that signs (`d=`).
        domain: String = HostName, required "\"example.org\"";
        /// Whether mail of authors in all domains below it is signed, too, by this domain. A [[dkim]] of their own comes first.
        subdomains: bool = Switch, default "false";
        /// Whether it signs for every login where `senders` in [relay] is `"any"`. Otherwise it signs for logins alone whose identity covers
        /// the author, as [identity] defines it, and mail of others goes unsigned. Networks and certificates that may relay are signed for
        /// either way.
        any_login: bool = Switch, default "false";
        /// Keys in files. With them the keys below `state_dir` are not used.
        key: Vec<At<DkimKeyTable>> = Sections::<DkimKeyTable>::new(), default "[]";
        /// Whether the server goes on with the steps of a rotation by itself: a new key signs once DNS shows its record, an old one is
        /// removed after `keep_old`. Of keys below `state_dir` alone.
        automatic: bool = Switch, default "true";
        /// After which time the server makes the next keys by itself, and says in the log which records are to be added.
        rotate_every: Duration = Time("7d", "3650d"), optional "\"180d\"" else "when `postern dkim rotate` is called";
        /// How long the record of an old key stays needed, for mail that is under way.
        keep_old: Duration = Time("1d", "365d"), default "\"7d\"";
        /// Header fields that are signed, and signed once more than they are there, so that nobody can add one. `From` always is.
        oversign: Vec<At<String>> = List(FieldName), optional "[\"From\", \"To\", \"Subject\"]" else "`From`, `Reply-To`, `To`, `Cc`, `Subject`, `Date`, `Message-ID`, `In-Reply-To`, `References`, `MIME-Version`, `Content-Type`, `Content-Transfer-Encoding`";
        /// Header fields that are signed where they are there.
        headers: Vec<At<String>> = List(FieldName), optional "[\"List-Id\"]" else "`Sender`, further `Content-` fields, `Resent-` and `List-` fields, `Feedback-ID`, `Autocrypt`";
        /// The canonical forms of header and body: `relaxed/relaxed` bears with blanks that change on the way.
        canonicalization: Canonicalization = CanonicalForms, default "\"relaxed/relaxed\"";
        /// After which time a signature is no longer to be believed (`x=`). Longer than mail may be under way, `expire_after` in [retry].
        expire_after: Duration = Time("1h", "365d"), optional "\"14d\"" else "signatures do not expire";
    }
}

table! {
    /// A key in a file. Two keys cannot share a selector.
    DkimKeyTable {
        /// Its selector: its record is `SELECTOR._domainkey.DOMAIN`.
        selector: String = SelectorName, required "\"r202612\"";
        /// The file, in PEM form, readable by its owner alone: RSA of 2048 bits or more, or Ed25519.
        file: PathBuf = FilePath, required "\"dkim/example.org.pem\"";
    }
}
