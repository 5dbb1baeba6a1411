//! The configuration as written: every table with its keys, their types, defaults and meaning.
//!
//! `docs/configuration.md` is made from these tables, doc comments included.

mod access;
mod administration;
mod admission;
mod alias;
mod auth;
mod budget;
mod delivery;
mod device;
mod directory;
mod dkim;
mod http;
mod identity;
mod judge;
mod kerberos;
mod limits;
mod listener;
mod local;
mod login;
mod milter;
mod pipe;
mod provider;
mod relay;
mod rewrite;
mod route;
mod sandbox;
mod scope;
mod screen;
mod service;
mod socket;
mod system;
mod tables;
mod tls;
mod webhook;
mod words;

use std::path::PathBuf;

use postern_directory::aliases::ListSender;
use postern_table::Reference;

pub(crate) use self::access::{
    AcceptEnds, Access, DESTINATIONS, FAULTS, LimitTable, Matcher, PolicyService, VerdictWord,
};
pub(crate) use self::administration::AdministrationTable;
pub(crate) use self::admission::Admission;
pub(crate) use self::alias::{AliasForm, AliasTable};
pub(crate) use self::auth::{Auth, CertificateLoginTable, LayerWord, MechanismTable, TlsWord};
pub(crate) use self::budget::{BoundTable, BudgetTable, BudgetsTable};
pub(crate) use self::delivery::{Delivery, Retry};
pub(crate) use self::device::DeviceTable;
pub(crate) use self::directory::{
    Directory, DovecotTable, FlavourWord, LdapTable, PamTable, RecipientsTable, SaslauthdTable, SqlTable,
    SystemTable, UsersTable,
};
pub(crate) use self::dkim::DkimTable;
pub(crate) use self::http::{HttpTable, Serves};
pub(crate) use self::identity::{GrantTable, Identity};
pub(crate) use self::judge::{Check, Judge};
pub(crate) use self::kerberos::{AccountWord, Kerberos};
pub(crate) use self::limits::{Limits, Timeouts};
pub(crate) use self::listener::{Extensions, Listener};
pub(crate) use self::local::LocalTable;
pub(crate) use self::login::{LoginTable, LoginToken};
pub(crate) use self::milter::{MilterTable, MilterTimeouts};
pub(crate) use self::pipe::PipeTable;
pub(crate) use self::provider::{ProviderTable, TypeWord};
pub(crate) use self::relay::{CertificateTable, Relay};
pub(crate) use self::rewrite::{
    CheckWord, CopyOfWord, CopyTable, HeaderCheckTable, RewriteForm, RewriteTable,
};
pub(crate) use self::route::{RouteTable, RouteTo};
pub(crate) use self::sandbox::MailSandboxTable;
pub(crate) use self::scope::ScopeTable;
pub(crate) use self::screen::{DnsList, Screen, Srs};
pub(crate) use self::service::{
    DigestTable, Dns, HistoryTable, LogTable, Shutdown, SpoolTable, StatisticsTable,
};
pub(crate) use self::socket::AuthSocketTable;
pub(crate) use self::system::SystemUsersTable;
pub(crate) use self::tables::{FileTable, LdapLookup, SqlLookup, TableSource, TablesTable, TextTable};
pub(crate) use self::tls::Tls;
pub(crate) use self::webhook::WebhookTable;
pub(crate) use self::words::EngineWord;

use self::directory::DirectoryKind;
use self::tables::{DomainOrTable, TableKind, TableReference};
use self::words::{DomainPattern, HostName, PrivacyFlag};
use super::kinds::{Choice, FilePath, Line, List, OneOf, OneOrList, Section, Sections, Size, Switch};
use super::read::{At, table};

table! {
    /// Keys above the first table.
    Postern {
        /// Files with further parts of the configuration, or folders of such files: from a folder, all files whose names end in
        /// `.toml`, in order of their names. Each may contain any tables and keys. Tables in double brackets add up, in the order
        /// in which the files are read; every other table and key may be in one file only. A fragment may include others. Paths
        /// in fragments also start at the folder of the main file. Rules on who may write to the main file also apply to
        /// fragments and their folders. A reload reads all of them again.
        include: Vec<At<PathBuf>> = OneOrList(FilePath), default "[]";
        /// The fully qualified name of this host. It is used in the greeting, in trace fields, and for addresses
        /// without a domain. The reverse look-up of the host's address should give this name.
        hostname: String = HostName, optional "\"mx.example.org\"" else "the name of the machine, if that is a full one";
        /// The domain of addresses without one, as Postfix's `myorigin`: from programs on this machine, from clients on listeners
        /// that accept such addresses (`bare_addresses`), and in the values of tables.
        origin: String = HostName, optional "\"example.org\"" else "`hostname`";
        /// The folder of everything that must survive: queue, bodies of large messages, own users, control socket.
        /// Created if missing, readable by Postern alone. Two servers cannot share one. A change needs a restart.
        state_dir: PathBuf = FilePath, default "\"/var/lib/postern\"";
        /// The user that Postern becomes after it has opened its listeners and read its keys, when it was
        /// started by root. A change needs a restart. Running as root without this key gives a warning, and is refused if a port below 1024
        /// is open to the network; `"root"` says that it is intended.
        user: String = Line(32), optional "\"postern\"" else "Postern stays who it was started as";
        /// Whether Postern, once it has started, drops the privileges that it does not need, so that a vulnerability in it is of
        /// little use to an attacker: with Landlock it can only open the files in this configuration (and read those of the
        /// system), with seccomp it cannot start programs or use administrative system calls. If the kernel does not support one
        /// of them, the log says so. A reload cannot use new paths: that takes a restart, and so does a change of this key.
        sandbox: bool = Switch, default "true";
        /// Domains whose mailboxes are here. Mail for them is accepted from anyone, if the recipient exists in a directory or is
        /// an alias; `postmaster` always exists, and has the Maildir with this name unless an alias leads elsewhere.
        /// `"*.example.org"` stands for all names below it. A table stands for all its keys: `"table:NAME"`,
        /// `"list:/etc/mail/local-host-names"`, `"hash:/etc/postfix/domains"`.
        local_domains: Vec<At<String>> = List(DomainOrTable), default "[]";
        /// Which recipients in `local_domains` exist: those that are `"known"` to a directory or the aliases, or `"any"`. The latter is for
        /// a server behind this one that knows the mailboxes (`lmtp` in `[delivery]`): it refuses unknown recipients, and the sender
        /// then gets a bounce. With Maildirs, every name that receives mail gets one.
        local_recipients: LocalRecipients = OneOf::<LocalRecipients>::new(), default "\"known\"";
        /// Domains of servers behind this one. Mail for them is accepted from anyone and follows its route; whether the recipient
        /// exists is not checked here. Tables may be used as in `local_domains`.
        relay_domains: Vec<At<String>> = List(DomainOrTable), default "[]";
        /// Tables with the recipients in `relay_domains` that exist, as Postfix's `relay_recipient_maps`: `user@domain`, and
        /// `@domain` for all of a domain; values do not matter. A recipient that is in none of them is refused with `550 5.1.1`,
        /// or with `451 4.4.3` while one cannot be queried.
        relay_recipients: Vec<At<Reference>> = OneOrList(TableReference), default "[]";
        /// Domains in `relay_domains` whose server is asked whether a recipient exists, as with Postfix's
        /// `reject_unverified_recipient`: with `RCPT`, over a separate connection, if no table in `relay_recipients` has the
        /// recipient. `["*"]` for all of them. What it refuses is refused (`550 5.1.1`), and while it does not answer, the reply
        /// is `451 4.4.1`. An accepted recipient is remembered for six hours, a refused one for five minutes; at most 20 queries
        /// run at once.
        ask_next_hop: Vec<At<String>> = List(DomainPattern), default "[]";
        /// Domains that only have aliases by address, as Postfix's `virtual_alias_domains`: mail for them is accepted from
        /// anyone, if there is an [[alias]] for the recipient. Their `postmaster` is this server's unless an alias leads
        /// elsewhere. Tables may be used as in `local_domains`.
        alias_domains: Vec<At<String>> = List(DomainOrTable), default "[]";
        /// Aliases for local parts in `local_domains`, a file in sendmail's format (`name: target, target`). Programs and files
        /// in it are skipped with a warning. Read again at every reload.
        aliases: PathBuf = FilePath, optional "\"aliases\"" else "there are no aliases";
        /// The envelope sender of mail to a list `x` in the aliases file, if there is an alias `owner-x`: that alias, as with
        /// Postfix; its target, if that is a single address, as with sendmail; or the original sender. It receives the bounces.
        /// Reports keep the empty sender.
        list_sender: ListSender = OneOf::<ListSender>::new(), default "\"owner-alias\"";
        /// Where mail for unknown local users goes (sendmail's LUSER_RELAY, Postfix's `luser_relay`): an address, or
        /// `"@hub.example.org"` for the same name on another host; `%1`, `%2` and `%3` as in [[alias]].
        unknown_users: String = Line(300), optional "\"@hub.example.org\"" else "it is refused";
        /// The greeting. `{hostname}` and `{date}` are filled in; `ESMTP` is inserted after the host name.
        greeting: String = Line(400), default "\"{hostname} Postern\"";
        /// What is hidden from strangers: sendmail's PrivacyOptions with the same names. `goaway` stands for needmailhelo,
        /// needexpnhelo, needvrfyhelo, noexpn, novrfy, noverb, authwarnings and noactualrecipient; `public` for none.
        ///
        /// - `needmailhelo`, `needvrfyhelo`, `needexpnhelo`: `MAIL`, `VRFY`, `EXPN` only after `HELO` or `EHLO`.
        /// - `novrfy`, `noexpn`, `noverb`, `noetrn`: the command reveals nothing, or is disabled.
        /// - `noreceipts`: `DSN` is not offered. `nobodyreturn`: bounces return header fields only.
        /// - `authwarnings`: mail of a client that has not said `HELO` or `EHLO` gets a field `X-Authentication-Warning`.
        /// - `restrictmailq`, `restrictqrun`, `restrictexpand`: always in effect; queue and aliases are for administrators only,
        ///   but local users see their own mail in the queue.
        /// - `noactualrecipient`: without effect. There is no `X-Actual-Recipient` here, but reports name the mailbox behind
        ///   an alias in `Final-Recipient`, as RFC 3464 asks.
        privacy: Vec<At<String>> = List(PrivacyFlag), default "[\"goaway\"]";
        /// Maximum message size, announced as `SIZE` (RFC 1870); a larger message is told `552 5.3.4`. Bodies go to disk as
        /// they arrive, so memory does not grow with it.
        message_size_limit: u64 = Size("64 KiB", "2 GiB"), default "\"25 MiB\"";
        /// Whether access rules are evaluated at `RCPT` even if everything is known earlier: the client then gets a refusal at
        /// `RCPT`, may authenticate before, and the log has sender and recipient. Otherwise they are evaluated as soon as
        /// everything is known. A rule's `at` takes precedence. Sendmail's `delay_checks`, Postfix's `smtpd_delay_reject`.
        delay_checks: bool = Switch, default "true";
        /// Local parts of recipients in `local_domains` and `relay_domains` that strangers always reach, whatever [[access]] and
        /// [screen] say (RFC 5321 section 4.5.1, RFC 2142). This applies where rules are evaluated at the recipient.
        exempt_recipients: Vec<At<String>> = List(Line(64)), default "[\"postmaster\", \"abuse\"]";
        /// Addresses and ports to listen on, each with its role. At least one. A reload opens and closes them; sessions of a
        /// closed one continue.
        listener: Vec<At<Listener>> = Sections::<Listener>::new(), required "[{ address = \"0.0.0.0:25\", role = \"mx\" }]";
        /// Certificates of this server. Without it there is no TLS, and therefore no authentication with passwords.
        tls: Tls = Section::<Tls>::new(), optional "{ certificate = \"mx.crt\", key = \"mx.key\" }" else "there is no TLS";
        /// Authentication of clients.
        auth: Auth = Section::<Auth>::new(), default "{}";
        /// Kerberos, for the mechanism GSSAPI.
        kerberos: Kerberos = Section::<Kerberos>::new(), default "{}";
        /// Aliases by address and domain.
        alias: Vec<At<AliasTable>> = Sections::<AliasTable>::new(), default "[]";
        /// Rules that rewrite addresses, in the order in which they are applied.
        rewrite: Vec<At<RewriteTable>> = Sections::<RewriteTable>::new(), default "[]";
        /// Header and body checks, in order.
        header_check: Vec<At<HeaderCheckTable>> = Sections::<HeaderCheckTable>::new(), default "[]";
        /// Copies of mail for somebody else.
        copy: Vec<At<CopyTable>> = Sections::<CopyTable>::new(), default "[]";
        /// Sources of accounts, asked in this order: the first that knows a user name decides.
        directory: Vec<At<Directory>> = DirectoryKind, default "[]";
        /// Tables that other keys refer to by name. Wherever a table is allowed, a file or database can also be named directly,
        /// as in Postfix: `"hash:/etc/postfix/virtual"` (and `btree`, `lmdb`, `dbm`, `cdb`, `texthash`: the text is read, not the
        /// output of `postmap`), `"cidr:…"`, `"pcre:…"`, `"regexp:…"`, `"mysql:/etc/postfix/x.cf"`, `"pgsql:…"`, `"sqlite:…"`,
        /// `"ldap:…"`, each with or without the prefix `proxy:`, `"inline:{ key=value }"`, `"static:value"`, `"unionmap:{…}"`,
        /// `"pipemap:{…}"`; and `"sendmail:/etc/mail/access"` and `"list:/etc/mail/relay-domains"` for sendmail's text files and
        /// for lists of words.
        table: Vec<At<TableSource>> = TableKind, default "[]";
        /// Sockets on which other servers authenticate users.
        auth_socket: Vec<At<AuthSocketTable>> = Sections::<AuthSocketTable>::new(), default "[]";
        /// Sockets on which the server answers over HTTP.
        http: Vec<At<HttpTable>> = Sections::<HttpTable>::new(), default "[]";
        /// Who administers over HTTP.
        administration: AdministrationTable = Section::<AdministrationTable>::new(), default "{}";
        /// Mail from programs on this machine.
        local: LocalTable = Section::<LocalTable>::new(), optional "{}" else "`sendmail` hands in nothing";
        /// How mail is delivered to the users of this machine, if `system_users` in [delivery] or a route says so.
        system_users: SystemUsersTable = Section::<SystemUsersTable>::new(), default "{}";
        /// Who may send to any domain, besides authenticated users.
        relay: Relay = Section::<Relay>::new(), default "{}";
        /// As whom users may act, and with which addresses they may send.
        identity: Identity = Section::<Identity>::new(), default "{}";
        /// Access rules, in the order in which they are evaluated.
        access: Vec<At<Access>> = Sections::<Access>::new(), default "[]";
        /// Policy services for access rules.
        policy_service: Vec<At<PolicyService>> = Sections::<PolicyService>::new(), default "[]";
        /// Rate limits for clients.
        limit: Vec<At<LimitTable>> = Sections::<LimitTable>::new(), default "[]";
        /// How much users and networks may send.
        budget: Vec<At<BudgetTable>> = Sections::<BudgetTable>::new(), default "[]";
        /// What is done beyond a budget.
        budgets: BudgetsTable = Section::<BudgetsTable>::new(), default "{}";
        /// Devices that send without a login, to named recipients.
        device: Vec<At<DeviceTable>> = Sections::<DeviceTable>::new(), default "[]";
        /// What users may do with their logins, in order.
        scope: Vec<At<ScopeTable>> = Sections::<ScopeTable>::new(), default "[]";
        /// Mail that is accepted and never delivered.
        mail_sandbox: MailSandboxTable = Section::<MailSandboxTable>::new(), default "{}";
        /// Mail filters, in the order in which they are asked.
        milter: Vec<At<MilterTable>> = Sections::<MilterTable>::new(), default "[]";
        /// Whether strangers' mail is authentic.
        judge: Judge = Section::<Judge>::new(), default "{}";
        /// Limits for clients.
        limits: Limits = Section::<Limits>::new(), default "{}";
        /// Time limits for clients.
        timeouts: Timeouts = Section::<Timeouts>::new(), default "{}";
        /// SMTP extensions that can be disabled.
        extensions: Extensions = Section::<Extensions>::new(), default "{}";
        /// How strangers that send mail from outside are checked.
        screen: Screen = Section::<Screen>::new(), default "{}";
        /// DNS block and allow lists.
        dns_list: Vec<At<DnsList>> = Sections::<DnsList>::new(), default "[]";
        /// Sender rewriting for mail that aliases forward to the outside.
        srs: Srs = Section::<Srs>::new(), optional "{ domain = \"example.org\", secret_file = \"srs.secret\" }" else "senders are not rewritten";
        /// When new connections wait or are refused.
        admission: Admission = Section::<Admission>::new(), default "{}";
        /// Where mail goes, by the domain of the recipient. Of the rules whose conditions hold, the one with the most specific
        /// domain wins; among those, the one with the most specific login, then sender, then the earlier one. Local domains come
        /// before a rule for `"*"`; without any rule MX records decide.
        route: Vec<At<RouteTable>> = Sections::<RouteTable>::new(), default "[]";
        /// Programs that receive all mail of a route.
        pipe: Vec<At<PipeTable>> = Sections::<PipeTable>::new(), default "[]";
        /// Credentials for smarthosts.
        login: Vec<At<LoginTable>> = Sections::<LoginTable>::new(), default "[]";
        /// Domains whose mail is signed.
        dkim: Vec<At<DkimTable>> = Sections::<DkimTable>::new(), default "[]";
        /// When to try again, when to warn, when to give up.
        retry: Retry = Section::<Retry>::new(), default "{}";
        /// Outgoing mail.
        delivery: Delivery = Section::<Delivery>::new(), default "{}";
        /// The queue on disk.
        spool: SpoolTable = Section::<SpoolTable>::new(), default "{}";
        /// What is logged, and where to.
        log: LogTable = Section::<LogTable>::new(), default "{}";
        /// Recent sessions that are remembered.
        history: HistoryTable = Section::<HistoryTable>::new(), default "{}";
        /// Statistics of mail.
        statistics: StatisticsTable = Section::<StatisticsTable>::new(), default "{}";
        /// Statistics by mail.
        digest: DigestTable = Section::<DigestTable>::new(), default "{}";
        /// Addresses that events are pushed to.
        webhook: Vec<At<WebhookTable>> = Sections::<WebhookTable>::new(), default "[]";
        /// DNS look-ups.
        dns: Dns = Section::<Dns>::new(), default "{}";
        /// How the server stops.
        shutdown: Shutdown = Section::<Shutdown>::new(), default "{}";
    }
}

impl Choice for ListSender {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("owner-alias", Self::OwnerAlias),
        ("owner", Self::Owner),
        ("unchanged", Self::Unchanged),
    ];
}

/// Which recipients in local domains exist.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum LocalRecipients {
    Known,
    Any,
}

impl Choice for LocalRecipients {
    const WORDS: &'static [(&'static str, Self)] = &[("known", Self::Known), ("any", Self::Any)];
}
