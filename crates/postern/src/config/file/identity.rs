//! `[identity]`.

use postern_policy::identity::{AddressPattern, AliasRule, LoginPattern};

use super::words::{AddressPatternText, LoginPatternText, Separator};
use crate::config::kinds::{Choice, Line, List, OneOf, Sections};
use crate::config::read::{At, table};

table! {
    /// Whom a login is: as whom it may act, and with which addresses it may send where `senders` in [relay] is `"own"`.
    ///
    /// An address may be used because the directory names it as the login's own, as an alias of it, as an address of a user who made
    /// the login a delegate (`postern user delegate`), or by a grant. `postern auth explain` shows which, and for what is refused why.
    Identity {
        /// Which aliases count as addresses of those they lead to: those that lead to one user alone, those that lead to the user
        /// among others, or none.
        aliases: AliasRule = OneOf::<AliasRule>::new(), default "\"sole\"";
        /// The character behind which an address may have a detail, as Postfix's `recipient_delimiter`: mail for
        /// `acaird+shop@example.org` goes to `acaird@example.org`, unless the longer address is an account or an alias itself, and who
        /// owns `acaird@example.org` may send as it. `""` for none: where addresses of different users differ by a detail.
        tag_separator: Option<char> = Separator, default "\"+\"";
        /// What is granted beyond what directories say.
        grant: Vec<At<GrantTable>> = Sections::<GrantTable>::new(), default "[]";
    }
}

table! {
    /// A grant to some logins, and to the members of some groups.
    GrantTable {
        /// Its name in the log.
        name: String = Line(64), required "\"sales desk\"";
        /// Logins that it is for, `"*@example.org"` for all of a domain, or `"*"` for all.
        logins: Vec<At<LoginPattern>> = List(LoginPatternText), default "[]";
        /// Groups that it is for, as the directories name them; the case of letters does not matter.
        groups: Vec<At<String>> = List(Line(255)), default "[]";
        /// Addresses that they may send with, `"*@example.org"` for all of a domain, `"*@*.example.org"` for all of those below it, or
        /// `"*"` for all.
        addresses: Vec<At<AddressPattern>> = List(AddressPatternText), default "[]";
        /// Logins as which they may act, by naming them as authorization identity beside their own login, `"*@example.org"` for all
        /// of a domain, or `"*"` for all, as a webmail needs it. The account must be known to a directory, and its addresses count then.
        act_as: Vec<At<LoginPattern>> = List(LoginPatternText), default "[]";
    }
}

impl Choice for AliasRule {
    const WORDS: &'static [(&'static str, Self)] =
        &[("sole", Self::Sole), ("member", Self::Member), ("off", Self::Off)];
}
