//! Postern, the mail relay: arguments, configuration, wiring, control socket.

mod admin;
mod args;
mod budgets;
mod ca_files;
mod commands;
mod config;
mod control;
mod dkim;
mod exit;
mod firstrun;
mod judge;
mod locate;
mod log;
mod output;
mod outward;
mod password;
mod people;
mod returned;
mod rights;
mod server;
mod stories;
mod usage;
mod webhooks;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
pub(crate) use postern_mail::visible;
use postern_submit::Name;

use crate::args::{Cli, Command};
use crate::exit::{Exit, Failure};

/// Many threads allocate and free messages; this allocator handles that better than the C library's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    control::acts::remember_who();
    let given: Vec<OsString> = std::env::args_os().collect();
    if let Some((name, arguments)) = classic(&given) {
        return commands::sendmail::run(name, arguments.iter().cloned());
    }
    let given = arguments(given);
    let cli = match Cli::try_parse_from(&given) {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() && wants_json(&given) => {
            let failure = Failure::new(Exit::Usage, error.to_string().trim_end());
            let _ = output::print_json(&failure.as_json());
            return Exit::Usage.into();
        }
        Err(error) => {
            // Help and version also come this way; clap knows the right stream.
            let _ = error.print();
            return if error.use_stderr() {
                Exit::Usage.into()
            } else {
                Exit::Ok.into()
            };
        }
    };
    if cli.json.json {
        output::use_json();
    }
    match run(cli.command) {
        Ok(()) => Exit::Ok.into(),
        Err(failure) => {
            if !failure.message.is_empty() && output::is_json() {
                let _ = output::print_json(&failure.as_json());
            } else if !failure.message.is_empty() {
                eprintln!("postern: {}", visible::lines(&failure.to_string()));
            }
            failure.exit.into()
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(config) => server::serve(&config),
        Command::Init(args) => {
            rights::enter(&args.folder)?;
            let made = firstrun::make(&args.folder, &args.hostname, args.listen)?;
            output::say(&made.announcement(false))
        }
        Command::Check(args) => commands::check::run(&args),
        Command::Config(args) => commands::config::run(&args.command),
        Command::User(args) => commands::user::run(args),
        Command::Auth(args) => commands::auth::run(args),
        Command::Explain(args) => commands::explain::run(&args),
        Command::Import(args) => commands::import::run(&args),
        Command::Judge(args) => commands::judge::run(&args),
        Command::Aliases(args) => commands::aliases::run(&args),
        Command::Directories(args) => commands::directories::run(&args),
        Command::Route(args) => commands::route::run(&args),
        Command::Table(args) => commands::table::run(&args),
        Command::Milters(args) => commands::milters::run(&args),
        Command::Login(args) => commands::login::run(args),
        Command::Cert(args) => commands::cert::run(args),
        Command::Dkim(args) => commands::dkim::run(args),
        Command::Probe(args) => commands::probe::run(&args),
        Command::Queue(args) => commands::queue::run(args),
        Command::Sendmail { arguments } => {
            // It is recognised before options are parsed; this handles options written before the command.
            let _ = commands::sendmail::run(Name::Sendmail, arguments);
            Ok(())
        }
        Command::Sessions(args) => commands::sessions::run(args),
        Command::Trace(args) => commands::trace::run(&args),
        Command::History(args) => commands::history::run(&args),
        Command::Account(args) => commands::account::run(args),
        Command::Api(args) => commands::api::run(args),
        Command::Budgets(args) => commands::account::budgets(args),
        Command::Reload(args) => commands::reload::run(&args),
        Command::MailboxHelper(args) => commands::mailbox_helper::serve(&args),
        Command::MailboxWorker => commands::mailbox_helper::work_once(),
        Command::PamHelper(args) => commands::pam_helper::serve(&args),
        Command::PamWorker(args) => commands::pam_helper::work_once(&args),
        Command::Webhook(args) => commands::webhook::run(&args),
        Command::Stats(args) => commands::stats::run(&args),
        Command::Status(args) => commands::status::run(&args),
        Command::Version(json) => commands::version::run(json),
        Command::Completions { shell } => commands::generate::completions(shell),
        Command::Man { folder } => commands::generate::manual(&folder),
        Command::ApiReference => commands::generate::api_reference(),
        Command::ConfigurationReference => commands::generate::configuration_reference(),
        Command::SettingsReference => commands::generate::settings_reference(),
        Command::MetricsReference => commands::generate::metrics_reference(),
        Command::LogReference { tables } => commands::generate::log_reference(tables.as_deref()),
    }
}

/// Whether an invalid command line asks for JSON.
fn wants_json(given: &[OsString]) -> bool {
    let options = given.iter().take_while(|argument| *argument != "--");
    options.into_iter().any(|argument| argument == "--json")
}

/// The arguments after one of the classic names, or after `postern sendmail`. `mailq` with long options is `postern queue list`.
fn classic(given: &[OsString]) -> Option<(Name, &[OsString])> {
    let called = Path::new(given.first()?).file_name()?.to_str()?;
    let arguments = &given[1..];
    let is_long = |argument: &OsString| argument.as_encoded_bytes().starts_with(b"--") && argument != "--";
    match Name::of(called) {
        Some(Name::Mailq) if arguments.iter().any(is_long) => None,
        Some(name) => Some((name, arguments)),
        None if arguments.first()? == "sendmail" && arguments.get(1).is_none_or(|next| next != "--help") => {
            Some((Name::Sendmail, &arguments[1..]))
        }
        None => None,
    }
}

/// The arguments, with the classic name `mailq` replaced by `postern queue list`.
fn arguments(mut given: Vec<OsString>) -> Vec<OsString> {
    let called = given.first().and_then(|name| Path::new(name).file_name());
    if called.is_some_and(|name| name == "mailq") {
        given.splice(0..1, ["postern", "queue", "list"].map(OsString::from));
    }
    given
}
