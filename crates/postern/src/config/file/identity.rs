//! `[identity]`.

use postern_policy::identity::{AddressPattern, AliasRule, LoginPattern, StrangerRule};
use postern_table::Reference;

use super::tables::TableReference;
use super::words::{AddressPatternText, LoginPatternText, Separator};
use crate::config::kinds::{Choice, Line, List, OneOf, OneOrList, Sections};
use crate::config::read::{At, table};

table! {
    /// What a user may do: act as other users, and send with which addresses, if `senders` in [relay] is `"own"`.
    ///
    /// An address may be used because the directory lists it for the user, as an alias that leads to the user, as an address of a user
    /// who made this one a delegate (`postern user delegate`), or by a grant. `postern auth explain` shows which of them applies, or
    /// why the address is refused.
    Identity {
        /// Which aliases count as addresses of the users they lead to: those that lead to a single user, those that lead to the
        /// user among others, or none.
        aliases: AliasRule = OneOf::<AliasRule>::new(), default "\"sole\"";
        /// The character after which an address may have a detail, as Postfix's `recipient_delimiter`: mail for
        /// `acaird+shop@example.org` goes to `acaird@example.org`, unless the longer address is an account or an alias itself,
        /// and the owner of `acaird@example.org` may send as it. `""` for none: needed if addresses of different users differ
        /// only in a detail.
        tag_separator: Option<char> = Separator, default "\"+\"";
        /// Tables with the owners of sender addresses, as Postfix's `smtpd_sender_login_maps`: the key is `user@domain`, or
        /// `@domain` for all of a domain; the value names the users who may send with it, separated by commas or blanks. They add
        /// to what directories and grants say. While one cannot be queried, the reply to `MAIL` is `451 4.4.3`.
        owners: Vec<At<Reference>> = OneOrList(TableReference), default "[]";
        /// Which sender addresses require authentication or permission to relay, so that nobody outside can send mail to this
        /// server with them (`553 5.7.1`): none (`"any"`), those in `owners` (`"owned"`), or those and all in `local_domains`
        /// (`"domains"`). Users who send through other servers, and some forwarders and lists, then cannot send here.
        strangers: StrangerRule = OneOf::<StrangerRule>::new(), default "\"any\"";
        /// Permissions beyond those in directories.
        grant: Vec<At<GrantTable>> = Sections::<GrantTable>::new(), default "[]";
    }
}

table! {
    /// A permission for some users, and for the members of some groups.
    GrantTable {
        /// Its name in the log.
        name: String = Line(64), required "\"sales desk\"";
        /// User names that it applies to, `"*@example.org"` for all of a domain, or `"*"` for all.
        logins: Vec<At<LoginPattern>> = List(LoginPatternText), default "[]";
        /// Groups that it applies to, as the directories name them; case does not matter.
        groups: Vec<At<String>> = List(Line(255)), default "[]";
        /// Addresses that they may send with, `"*@example.org"` for all of a domain, `"*@*.example.org"` for all of those below it, or
        /// `"*"` for all.
        addresses: Vec<At<AddressPattern>> = List(AddressPatternText), default "[]";
        /// Users as whom they may act, by naming them as authorization identity, `"*@example.org"` for all of a domain, or `"*"`
        /// for all, as needed by a webmail. The account must be known to a directory, and its addresses count then.
        act_as: Vec<At<LoginPattern>> = List(LoginPatternText), default "[]";
    }
}

impl Choice for StrangerRule {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("any", Self::Any),
        ("owned", Self::Owned),
        ("domains", Self::Domains),
    ];
}

impl Choice for AliasRule {
    const WORDS: &'static [(&'static str, Self)] =
        &[("sole", Self::Sole), ("member", Self::Member), ("off", Self::Off)];
}
