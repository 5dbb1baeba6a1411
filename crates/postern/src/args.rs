//! The command line.

mod account;
mod api;
mod common;
mod dkim;
mod explain;
mod identity;
mod import;
mod judge;
mod milters;
mod probe;
mod sessions;
mod trace;
mod user;
mod webhook;

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueHint};
use jiff::civil::Date;
use postern_mail::{Mailbox, ReversePath};

use postern_net::ca::{CA_DAYS, CERTIFICATE_DAYS, DAYS_MAX};

use crate::commands::version;
use crate::exit;

pub(crate) use self::account::{AccountArgs, AccountCommand, BudgetsArgs, BudgetsCommand, BudgetsTryArgs};
pub(crate) use self::api::{ApiArgs, ApiCommand, FactorCommand, TokenCommand};
pub(crate) use self::common::{ConfigArg, FOLDER, HOSTNAME, JsonArg, ListingArg, ReasonArg};
pub(crate) use self::dkim::{DkimArgs, DkimCommand, NewKeyArgs, RotateArgs};
pub(crate) use self::explain::{ExplainSessionArgs, NO_DOMAIN};
pub(crate) use self::identity::{AddressCommand, DelegateCommand, ExplainArgs, GroupCommand};
pub(crate) use self::import::{
    ImportCheckArgs, ImportFrom, ImportOutputArgs, ImportPostfixArgs, ImportSendmailArgs, ImportSiteArgs,
};
pub(crate) use self::judge::JudgeArgs;
pub(crate) use self::milters::{MiltersArgs, MiltersCommand, TryArgs};
pub(crate) use self::probe::{ProbeArgs, ProbeCommand, ProbeHostArgs, ProbeLoadArgs, ProbeTls};
pub(crate) use self::sessions::{SessionFilterArgs, SessionsArgs, SessionsCommand};
pub(crate) use self::trace::{HistoryArgs, HistoryCommand, TimesArgs, TraceArgs};
pub(crate) use self::user::{AppPasswordCommand, ImportArgs};
pub(crate) use self::webhook::{WebhookArgs, WebhookCommand};

/// A mail relay that relays for authenticated senders only, and never loses a message.
#[derive(Debug, Parser)]
#[command(name = "postern", version = version::TEXT, propagate_version = true, after_help = exit::HELP, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) json: JsonArg,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs the server until it is stopped
    ///
    /// Without any configuration file, it creates ./postern-data with a certificate authority, a host certificate, a
    /// configuration and a first user, serves on loopback, and prints a command that sends a first message.
    ///
    /// SIGHUP reloads configuration and certificates; SIGTERM and SIGINT stop the server, a second one at once.
    Serve(ConfigArg),
    /// Creates a folder with configuration, certificates and a first user
    Init(InitArgs),
    /// Checks the configuration and shows all errors at once
    Check(CheckArgs),
    /// Creates a configuration from sendmail's or Postfix's files
    ///
    /// Writes it into a folder, with its tables and secrets, and a report with the outcome for each line: carried over, with or
    /// without a difference, without meaning here, or not carried over, with what to do. Changes nothing on the old server.
    Import(ImportSiteArgs),
    /// Shows the configuration that is in force
    Config(ConfigArgs),
    /// Manages Postern's own users
    User(UserArgs),
    /// Shows authentication: users, mechanisms, lockouts, tokens
    Auth(AuthArgs),
    /// Shows what would happen in a session, rule by rule
    ///
    /// Evaluates a session as the server would: client, login, sender, recipients, size and author. It asks the directories and
    /// name servers of the configuration, accepts nothing and sends nothing, and needs no password. For each rule it names the
    /// setting with its place in the file. Ends with 1 if something is refused.
    Explain(ExplainSessionArgs),
    /// Checks whether a message is authentic
    ///
    /// Checks a message in a file as the server checks strangers' mail: SPF, DKIM, DMARC, ARC, with the name servers, actions and
    /// exceptions of `[judge]`. All four are checked, whatever `checks` lists. Accepts nothing and sends nothing. Ends with 1 if
    /// the message would be refused.
    Judge(JudgeArgs),
    /// Lists aliases, and shows where an address leads
    ///
    /// Without an address: all entries, by address and domain and from the aliases file, each with its place; those in databases
    /// are not listed. With addresses: the entries that mail for each goes through, and the final recipients: the directories and
    /// tables of the configuration are queried. Ends with 1 if an address leads to nobody.
    Aliases(AliasesArgs),
    /// Shows whether the directories of the running server answer
    Directories(DirectoriesArgs),
    /// Shows the way that mail for an address takes
    ///
    /// For each address the next hop with its hosts, how much TLS, the login, and which [[route]] or table decides, with its place. It asks
    /// the tables and name servers of the configuration, and sends nothing. Aliases are not followed: `postern aliases` does that. Ends with
    /// 1 if mail for an address is refused, thrown away or has nowhere to go, with 75 if its way cannot be found out now.
    Route(RouteArgs),
    /// Looks up keys in a table, as the server does
    ///
    /// Shows the value, the key of the plan that was found, and file and line if there are any. Files are read again, and
    /// databases are queried; nothing is cached. Ends with 1 if a key is not found, with 75 if a table cannot be queried.
    Table(TableArgs),
    /// Asks each mail filter what it wants, and runs messages through one
    ///
    /// Connects to the filters of the configuration with the rights of the server's user, and negotiates as the server does. Ends
    /// with 1 if one does not answer.
    Milters(MiltersArgs),
    /// Authorizes Postern's own credentials at smarthosts
    Login(LoginArgs),
    /// Creates and shows certificates
    Cert(CertArgs),
    /// Creates, checks and rotates DKIM keys
    Dkim(DkimArgs),
    /// Examines a mail server from outside: TLS, certificate, extensions, authentication, relaying
    ///
    /// Talks to any server as a client does and reports the result of each step, how long it took, and whether it is as it should
    /// be. Sends nothing unless told to. Ends with 1 if something is not as it should be.
    Probe(ProbeArgs),
    /// Shows and manages the queue
    Queue(QueueArgs),
    /// Shows what happened to messages and in sessions of the last days
    ///
    /// Finds them by queue id, session id, Message-ID, address (sender, recipient, or the alias that was written to), domain,
    /// login, or address or network of the client, and shows each as a time line: accepted from whom and why, what was changed,
    /// each attempt, the outcome. Works whether or not the server is running. Ends with 1 if nothing is found.
    Trace(TraceArgs),
    /// Shows and exports the history: actions of administrators, messages and sessions
    History(HistoryArgs),
    /// Submits a message as `sendmail` does
    ///
    /// Reads a message from standard input and submits it to the server; if that is not running, the message is kept until it is.
    /// Accepts sendmail's options: see sendmail(8). The names `sendmail`, `mailq` and `newaliases` do the same without `postern`.
    Sendmail {
        /// Options and recipients
        #[arg(
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "OPTION|RECIPIENT"
        )]
        arguments: Vec<OsString>,
    },
    /// Shows who is connected, and ends sessions
    Sessions(SessionsArgs),
    /// Shows what an account has sent, and puts it on hold or releases it
    Account(AccountArgs),
    /// Manages access over HTTP: tokens, second factors, the link that opens the page
    Api(ApiArgs),
    /// Shows budgets and their use
    Budgets(BudgetsArgs),
    /// Shows the state of webhooks, and tests one
    ///
    /// Asks the running server. Ends with 1 if one fails.
    Webhook(WebhookArgs),
    /// Makes the running server reload its configuration and certificates
    Reload(ReloadArgs),
    /// Delivers mail to the users of this machine on behalf of the unprivileged server
    ///
    /// Takes messages from the user that the server runs as, and delivers each in a separate process that becomes the recipient,
    /// as [system_users] says. It is started by root, and only keeps the privilege to change users. On SIGHUP it reads the
    /// configuration again.
    MailboxHelper(HelperArgs),
    /// Delivers one message for the helper
    #[command(hide = true)]
    MailboxWorker,
    /// Asks PAM on behalf of the unprivileged server
    ///
    /// Listens on the sockets of [[directory]] tables of kind "pam", answers the user that the server runs as, and checks each
    /// password in a separate process. It needs the privileges that the modules need: for pam_unix those of root.
    PamHelper(HelperArgs),
    /// Checks one password for the helper
    #[command(hide = true)]
    PamWorker(PamWorkerArgs),
    /// Shows how much mail there was, from whom and to whom
    ///
    /// By day or hour, listener, login, and the domains of senders and recipients: the most frequent, and the rest in one line.
    /// Days are in UTC. Today, unless days are named; `[statistics]` says how many are kept.
    Stats(StatsArgs),
    /// Shows on one screen whether all is well, and what is not
    ///
    /// Asks the running server. Its exit status is that of monitoring plugins: 0 all is well, 1 a warning, 2 critical (no server
    /// runs, no mail is accepted), 3 the state cannot be determined.
    Status(StatusArgs),
    /// Prints the version and the commit that was built
    Version(JsonArg),
    /// Prints a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Writes the manual pages
    Man {
        /// The folder to write into; created if missing
        #[arg(value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
        folder: PathBuf,
    },
    /// Prints docs/configuration.md, which is made from the table of keys
    #[command(hide = true)]
    ConfigurationReference,
    /// Prints docs/openapi.json, which is made from the table of routes
    #[command(hide = true)]
    ApiReference,
    /// Prints docs/settings.md, which is made from the tables of the imports
    #[command(hide = true)]
    SettingsReference,
    /// Prints docs/metrics.md, which is made from the metrics
    #[command(hide = true)]
    MetricsReference,
    /// Prints docs/log.md, which is made from the rules and events of the code
    #[command(hide = true)]
    LogReference {
        /// Print this document instead, with its tables of rules regenerated
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        tables: Option<PathBuf>,
    },
}

/// Arguments of `mailbox-helper` and `pam-helper`.
#[derive(Args, Debug)]
pub(crate) struct HelperArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    /// The user that the server runs as, if the configuration has no `user`
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,
}

/// Arguments of `pam-worker`.
#[derive(Args, Debug)]
pub(crate) struct PamWorkerArgs {
    /// The service
    #[arg(long)]
    pub(crate) service: String,
    /// The folder of services
    #[arg(long, value_name = "DIR")]
    pub(crate) service_folder: Option<PathBuf>,
}

/// Arguments of `reload`.
#[derive(Args, Debug)]
pub(crate) struct ReloadArgs {
    #[command(flatten)]
    pub(crate) listing: ListingArg,
    #[command(flatten)]
    pub(crate) reason: ReasonArg,
}

/// Arguments of `init`.
#[derive(Args, Debug)]
pub(crate) struct InitArgs {
    /// The folder to create
    #[arg(value_name = "DIR", default_value = FOLDER, value_hint = ValueHint::DirPath)]
    pub(crate) folder: PathBuf,
    /// The full name of this host; its mail is delivered here
    #[arg(long, value_name = "NAME", default_value = HOSTNAME)]
    pub(crate) hostname: String,
    /// The IP address to listen on; 0.0.0.0 is every IPv4 address of this host, :: every address
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub(crate) listen: IpAddr,
}

/// Arguments of `stats`.
#[derive(Args, Debug)]
pub(crate) struct StatsArgs {
    #[command(flatten)]
    pub(crate) listing: ListingArg,
    /// The last N days, including today
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=400), conflicts_with_all = ["from", "to"])]
    pub(crate) days: Option<u32>,
    /// The first day, such as 2026-12-01
    #[arg(long, value_name = "DATE", value_parser = day)]
    pub(crate) from: Option<Date>,
    /// The last day; by default the first one
    #[arg(long, value_name = "DATE", requires = "from", value_parser = day)]
    pub(crate) to: Option<Date>,
    /// How many names of each kind
    #[arg(long, value_name = "NUMBER", default_value_t = 10)]
    pub(crate) top: usize,
}

fn day(text: &str) -> Result<Date, String> {
    text.parse()
        .map_err(|_| "expected a date such as 2026-12-01".to_owned())
}

/// Arguments of `status`.
#[derive(Args, Debug)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) listing: ListingArg,
    /// Only whether mail is accepted: ends with 0 if it is, otherwise with 1, regardless of warnings. For health checks that
    /// restart a server
    #[arg(long, conflicts_with = "watch")]
    pub(crate) ready: bool,
    /// Repeat every N seconds until interrupted; with --json, one line each time
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2", value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub(crate) watch: Option<u32>,
}

/// Arguments of `check`.
#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) listing: ListingArg,
    /// Do not ask directories and other servers
    #[arg(long)]
    pub(crate) offline: bool,
}

/// Arguments of `config`.
#[derive(Args, Debug)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) command: ConfigCommand,
}

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Shows every key with its value, in the form of a configuration file
    ///
    /// Asks the running server; if none is running, reads the file. Differences between the file and the running server are
    /// listed on standard error. Passwords and other secrets are in separate files and never shown.
    Show(ConfigShowArgs),
}

/// Arguments of `config show`.
#[derive(Args, Debug)]
pub(crate) struct ConfigShowArgs {
    #[command(flatten)]
    pub(crate) listing: ListingArg,
    /// Only what differs from the defaults
    #[arg(long)]
    pub(crate) changed: bool,
    /// Read the file, even if a server runs
    #[arg(long)]
    pub(crate) file: bool,
}

/// Arguments of `user`.
#[derive(Args, Debug)]
pub(crate) struct UserArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    #[command(flatten)]
    pub(crate) reason: ReasonArg,
    #[command(subcommand)]
    pub(crate) command: UserCommand,
}

/// What to do with users.
#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Adds a user
    Add {
        /// The user name, usually the mail address
        login: String,
        /// An address of the user besides the login; may be given several times
        #[arg(long = "address", value_name = "ADDRESS")]
        addresses: Vec<String>,
        /// A group that the user is in; may be given several times
        #[arg(long = "group", value_name = "GROUP")]
        groups: Vec<String>,
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// Changes a user's password
    Passwd {
        /// The user name
        login: String,
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// Disables a user, keeping password and addresses
    Disable {
        /// The user name
        login: String,
    },
    /// Enables a user again
    Enable {
        /// The user name
        login: String,
    },
    /// Removes a user permanently
    Remove {
        /// The user name
        login: String,
    },
    /// Lists the users
    List(JsonArg),
    /// Shows one user, and for each mechanism whether it works
    Show {
        /// The user name
        login: String,
        #[command(flatten)]
        json: JsonArg,
    },
    /// Imports users from another program's file
    ///
    /// Hashes are imported unchanged, and replaced by argon2id when their user next authenticates; cleartext passwords are
    /// hashed. Lines that cannot be imported are reported, and the rest are still imported.
    Import(ImportArgs),
    /// Manages a user's further addresses
    Address {
        #[command(subcommand)]
        command: AddressCommand,
    },
    /// Manages the groups that a user is in
    Group {
        #[command(subcommand)]
        command: GroupCommand,
    },
    /// Manages who may send on a user's behalf
    Delegate {
        #[command(subcommand)]
        command: DelegateCommand,
    },
    /// Manages passwords for single devices and programs
    AppPassword {
        #[command(subcommand)]
        command: AppPasswordCommand,
    },
    /// Declares that no users are missing any more after the file of users was damaged
    ///
    /// Until then, logins and recipients missing from what could be read of the file get a temporary failure.
    Complete,
}

/// Arguments of `table`.
#[derive(Args, Debug)]
pub(crate) struct TableArgs {
    #[command(flatten)]
    pub(crate) listing: ListingArg,
    /// The name of a [[table]], or a table such as hash:/etc/postfix/virtual
    #[arg(value_name = "TABLE")]
    pub(crate) table: String,
    /// What to look up: an address, a domain, a host, a client's address. Without any, the table's entries are counted
    #[arg(value_name = "KEY")]
    pub(crate) keys: Vec<String>,
    /// The order in which parts of the key are looked up: exact, address, access, transport, domain, subdomain, virtuser,
    /// generics, mailertable
    #[arg(long, value_name = "ORDER", default_value = "exact")]
    pub(crate) plan: String,
    /// The characters that separate user name and detail in an address
    #[arg(long, value_name = "CHARACTERS", default_value = "+")]
    pub(crate) separators: String,
    /// The address is local, so that a user name alone counts as a key
    #[arg(long)]
    pub(crate) local: bool,
}

/// Arguments of `route`.
#[derive(Args, Debug)]
pub(crate) struct RouteArgs {
    #[command(flatten)]
    pub(crate) listing: ListingArg,
    /// The recipients
    #[arg(value_name = "ADDRESS", required = true, value_parser = explain::recipient)]
    pub(crate) addresses: Vec<Mailbox>,
    /// The sender of the envelope; <> for none
    #[arg(long, value_name = "ADDRESS", value_parser = identity::sender, default_value = "<>")]
    pub(crate) from: ReversePath,
    /// The login that hands the mail in; without it nobody has logged in
    #[arg(long)]
    pub(crate) login: Option<String>,
    /// The mail has been through the filter behind the queue
    #[arg(long)]
    pub(crate) filtered: bool,
}

/// Arguments of `aliases`.
#[derive(Args, Debug)]
pub(crate) struct AliasesArgs {
    #[command(flatten)]
    pub(crate) listing: ListingArg,
    /// The addresses to follow
    #[arg(value_name = "ADDRESS", value_parser = explain::recipient)]
    pub(crate) addresses: Vec<Mailbox>,
}

/// Arguments of `directories`.
#[derive(Args, Debug)]
pub(crate) struct DirectoriesArgs {
    #[command(flatten)]
    pub(crate) listing: ListingArg,
    /// Ask each of them now; saslauthd and the like log a failed attempt for it
    #[arg(long)]
    pub(crate) check: bool,
}

/// Arguments of `auth`.
#[derive(Args, Debug)]
pub(crate) struct AuthArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    #[command(flatten)]
    pub(crate) reason: ReasonArg,
    #[command(subcommand)]
    pub(crate) command: AuthCommand,
}

/// What to do about logins.
#[derive(Debug, Subcommand)]
pub(crate) enum AuthCommand {
    /// Shows how each rule judges a bearer token, and the result
    ///
    /// The provider's keys are fetched, or it is asked, as during authentication. The token itself is never printed.
    ExplainToken {
        /// The file with the token; - is standard input
        #[arg(value_name = "FILE", default_value = "-", value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// The user name that the client would give: it selects the provider that is asked about an opaque token
        #[arg(long, value_name = "LOGIN")]
        login: Option<String>,
        #[command(flatten)]
        json: JsonArg,
    },
    /// Shows the providers of tokens that the running server knows: whether they answer, and their keys
    Providers(JsonArg),
    /// Lists who is locked out or slowed because of failed authentication
    ///
    /// Asks the running server. Lockouts outlive a restart.
    Lockouts(JsonArg),
    /// Unlocks user names and networks, and forgets their failures
    ///
    /// With both options, the lockout of this user name from this network; with one, all lockouts of it. Ends with 1 if there is none.
    #[command(group = clap::ArgGroup::new("whom").required(true).multiple(true))]
    Unlock {
        /// The user name
        #[arg(long, value_name = "LOGIN", group = "whom")]
        login: Option<String>,
        /// An address of the network
        #[arg(long, value_name = "ADDRESS", group = "whom")]
        network: Option<IpAddr>,
        /// All lockouts
        #[arg(long, group = "whom", conflicts_with_all = ["login", "network"])]
        all: bool,
    },
    /// The old name of `lockouts`
    #[command(hide = true, disable_help_flag = true)]
    Bars(OldArgs),
    /// The old name of `unlock`
    #[command(hide = true, disable_help_flag = true)]
    Unbar(OldArgs),
    /// Shows who has authenticated with which mechanism, how often and when last
    Report {
        /// Only this mechanism
        #[arg(long, value_name = "NAME")]
        mechanism: Option<String>,
        #[command(flatten)]
        json: JsonArg,
    },
    /// Shows what a user may do, and which rule decides
    ///
    /// Asks the directories and rules of the configuration as the server does: which user the user may act as, which addresses
    /// the user may send with, whether a mechanism is offered and allows relaying. No password is needed. Ends with 1 if
    /// something is refused.
    Explain(ExplainArgs),
}

/// Arguments of a command that is called otherwise now. They are not looked at.
#[derive(Args, Debug)]
pub(crate) struct OldArgs {
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    _given: Vec<OsString>,
}

/// Where a password comes from; without either it is asked for on the terminal.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct PasswordArgs {
    /// Read the password from the first line of standard input
    #[arg(long, conflicts_with = "generate")]
    pub(crate) password_stdin: bool,
    /// Generate a password and print it
    #[arg(long)]
    pub(crate) generate: bool,
}

/// Arguments of `cert`.
#[derive(Args, Debug)]
pub(crate) struct CertArgs {
    #[command(flatten)]
    pub(crate) reason: ReasonArg,
    #[command(subcommand)]
    pub(crate) command: CertCommand,
}

/// What to do with certificates.
#[derive(Debug, Subcommand)]
pub(crate) enum CertCommand {
    /// Makes a certificate authority: ca.crt and ca.key
    Ca {
        /// The folder to write into; created if missing
        #[arg(long = "dir", value_name = "DIR", default_value = "certs", value_hint = ValueHint::DirPath)]
        folder: PathBuf,
        /// The name of the authority
        #[arg(long, value_name = "NAME", default_value = "Postern CA")]
        name: String,
        /// How long it is valid
        #[arg(long, value_name = "DAYS", default_value_t = CA_DAYS, value_parser = clap::value_parser!(u32).range(1..=i64::from(DAYS_MAX)))]
        days: u32,
        /// A file whose first line encrypts the key
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        passphrase_file: Option<PathBuf>,
    },
    /// Makes a certificate signed by the authority: NAME.crt and NAME.key
    ///
    /// An earlier one from this authority is replaced: that is how it is renewed.
    Issue {
        /// Host names, IP addresses or, with --client, mail addresses
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        /// The folder of ca.crt and ca.key, and of the new files
        #[arg(long = "dir", value_name = "DIR", default_value = "certs", value_hint = ValueHint::DirPath)]
        folder: PathBuf,
        /// For a client that authenticates with it, not for a server
        #[arg(long)]
        client: bool,
        /// How long it is valid
        #[arg(long, value_name = "DAYS", default_value_t = CERTIFICATE_DAYS, value_parser = clap::value_parser!(u32).range(1..=i64::from(DAYS_MAX)))]
        days: u32,
        /// A file whose first line encrypts the new key
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        passphrase_file: Option<PathBuf>,
        /// A file whose first line decrypts the key of the authority
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        ca_passphrase_file: Option<PathBuf>,
        /// The name of the files, without .crt and .key; by default the first NAME
        #[arg(long, value_name = "STEM")]
        out: Option<String>,
        /// Replace files of that name even if they are not from this authority
        #[arg(long)]
        replace: bool,
    },
    /// Shows what a certificate says
    Show {
        /// Certificates in PEM form
        #[arg(required = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
        files: Vec<PathBuf>,
        #[command(flatten)]
        json: JsonArg,
    },
}

/// Arguments of `login`.
#[derive(Args, Debug)]
pub(crate) struct LoginArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    #[command(flatten)]
    pub(crate) reason: ReasonArg,
    #[command(subcommand)]
    pub(crate) command: LoginCommand,
}

/// What to do with a login.
#[derive(Debug, Subcommand)]
pub(crate) enum LoginCommand {
    /// Gets the first refresh token of a login, with the help of a browser
    ///
    /// Shows an address and a code. The owner of the account opens the address in any browser, enters the code, and consents; the
    /// token is then stored encrypted in the state directory, where a running server finds it automatically (RFC 8628).
    Authorize {
        /// The name of the [[login]]
        name: String,
    },
}

/// Arguments of `queue`.
#[derive(Args, Debug)]
pub(crate) struct QueueArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    #[command(flatten)]
    pub(crate) reason: ReasonArg,
    #[command(subcommand)]
    pub(crate) command: QueueCommand,
}

/// What to do with the queue.
#[derive(Debug, Subcommand)]
pub(crate) enum QueueCommand {
    /// Lists the queue, oldest message first
    List {
        #[command(flatten)]
        filter: FilterArgs,
        /// List at most this many messages, and say if there are more
        #[arg(long, value_name = "NUMBER")]
        limit: Option<u32>,
        /// List recent next hops instead, with their connections and last errors
        #[arg(long, conflicts_with_all = ["domain", "sender", "login", "held", "sandboxed", "limit"])]
        destinations: bool,
        #[command(flatten)]
        json: JsonArg,
    },
    /// Shows one message: envelope, recipients, what has happened so far
    Show {
        /// The queue id
        id: String,
        /// Print the message itself instead: unchanged into a file or pipe; on a terminal, control characters are shown as numbers
        #[arg(long)]
        message: bool,
        #[command(flatten)]
        json: JsonArg,
    },
    /// Holds messages until they are released
    Hold(SelectArgs),
    /// Releases held messages
    Release(SelectArgs),
    /// Retries messages now
    Retry(SelectArgs),
    /// Removes messages permanently; nobody is notified
    Remove(SelectArgs),
    /// Recovers messages from damaged files that were moved aside, and holds them
    ///
    /// The queue moves damaged files aside, and immediately recovers what is certain. This looks for the rest: it only recovers
    /// messages that the queue does not have and has not finished, with their ids, and none twice.
    Recover {
        /// Show what would be recovered, and change nothing
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        json: JsonArg,
    },
    /// Retries all messages now, or all for one domain
    Flush {
        /// A recipient domain; by default everything
        domain: Option<String>,
        #[command(flatten)]
        json: JsonArg,
    },
}

/// Which messages.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct FilterArgs {
    /// Those with a recipient in this domain
    #[arg(long, value_name = "DOMAIN")]
    pub(crate) domain: Option<String>,
    /// Those from this sender; <> for reports
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) sender: Option<String>,
    /// Those submitted by this user, ignoring case
    #[arg(long, value_name = "LOGIN")]
    pub(crate) login: Option<String>,
    /// Those that are held
    #[arg(long)]
    pub(crate) held: bool,
    /// Those of test accounts, which are never delivered
    #[arg(long)]
    pub(crate) sandboxed: bool,
}

/// Messages by id or by what they have in common.
#[derive(Args, Clone, Debug)]
#[command(group(
    ArgGroup::new("which").required(true).multiple(true).args(["ids", "domain", "sender", "login", "held", "sandboxed", "all"])
))]
pub(crate) struct SelectArgs {
    /// Queue ids
    #[arg(value_name = "ID")]
    pub(crate) ids: Vec<String>,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// Every message
    #[arg(long, conflicts_with_all = ["ids", "domain", "sender", "login", "held", "sandboxed"])]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) json: JsonArg,
}
