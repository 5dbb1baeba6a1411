//! `postern user`: Postern's own users.

use std::path::Path;

use postern_directory::UserStore;
use postern_directory::users::UserError;
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use super::user_outcome::{done, failure};
use crate::args::{JsonArg, UserArgs, UserCommand};
use crate::config::Written;
use crate::control::acts;
use crate::exit::Failure;
use crate::people::{Mechanisms, UserView, view};
use crate::{locate, output, password, rights};

/// Does what was asked, on the file of users named in the configuration. The server need not run; it
/// notices changes at once.
pub(crate) fn run(args: UserArgs) -> Result<(), Failure> {
    acts::because(args.reason.reason.as_deref());
    let written = super::written(&locate::existing(&args.config)?)?;
    // First comes what only the caller may read.
    let imported = match &args.command {
        UserCommand::Import(import) => Some(super::user_import::read(&import.file)?),
        _ => None,
    };
    let store = open(&written)?.with_keys(written.key_policy());
    let takes_away = takes_away(&args.command);
    let act = super::user_acts::of(&args.command);
    perform(args.command, &store, &written, imported)?;
    if let Some((act, what)) = act {
        acts::record(&written.acts(), act, what, None);
    }
    if takes_away {
        super::sessions::recheck(&written)?;
    }
    Ok(())
}

/// Whether it can reduce what a login may do, so that open sessions must be checked.
const fn takes_away(command: &UserCommand) -> bool {
    match command {
        UserCommand::Passwd { .. }
        | UserCommand::Disable { .. }
        | UserCommand::Remove { .. }
        | UserCommand::Import(_)
        | UserCommand::Group { .. }
        | UserCommand::Delegate { .. }
        | UserCommand::AppPassword { .. } => true,
        UserCommand::Add { .. }
        | UserCommand::Enable { .. }
        | UserCommand::List(_)
        | UserCommand::Show { .. }
        | UserCommand::Address { .. }
        | UserCommand::Complete => false,
    }
}

fn perform(
    command: UserCommand,
    store: &UserStore,
    written: &Written,
    imported: Option<Zeroizing<Vec<u8>>>,
) -> Result<(), Failure> {
    match command {
        UserCommand::Add {
            login,
            addresses,
            groups,
            password,
        } => {
            let password = password::obtain(password, &login, written.password_length())?;
            store
                .add_in_groups(&login, &password.secret, &addresses, &groups)
                .map_err(|error| failure(&error))?;
            announce(&format!("added {login}"), &password)
        }
        UserCommand::Passwd { login, password } => {
            if store.get(&login).map_err(|error| failure(&error))?.is_none() {
                return Err(failure(&UserError::NoSuchUser(login)));
            }
            let password = password::obtain(password, &login, written.password_length())?;
            store
                .set_password(&login, &password.secret)
                .map_err(|error| failure(&error))?;
            announce(&format!("changed the password of {login}"), &password)
        }
        UserCommand::Disable { login } => {
            done(store.disable(&login), &format!("{login} can no longer log in"))
        }
        UserCommand::Enable { login } => done(store.enable(&login), &format!("{login} can log in again")),
        UserCommand::Remove { login } => done(store.remove(&login), &format!("removed {login}")),
        UserCommand::List(json) => list(store, written, json),
        UserCommand::Show { login, json } => show(store, written, &login, json),
        UserCommand::Import(args) => super::user_import::run(store, &args, &imported.unwrap_or_default()),
        UserCommand::Address { command } => super::user_identity::address(store, &command),
        UserCommand::Group { command } => super::user_identity::group(store, &command),
        UserCommand::Delegate { command } => super::user_identity::delegate(store, &command),
        UserCommand::AppPassword { command } => super::user_app_password::run(store, command),
        UserCommand::Complete => done(
            store.declare_complete(),
            "users who are not in the file do not exist",
        ),
    }
}

/// Opens the file of users as the owner of its folder, which is created if missing.
fn open(written: &Written) -> Result<UserStore, Failure> {
    let database = written.users_database();
    let folder = database.parent().unwrap_or_else(|| Path::new("/"));
    rights::enter_or_make(folder, super::named_account(written).as_ref())?;
    UserStore::open(&database).map_err(|error| failure(&error))
}

/// Reports what was done; a generated password is shown once.
fn announce(message: &str, password: &password::Password) -> Result<(), Failure> {
    if password.made_up && output::is_json() {
        let secret = password.secret.expose_secret();
        output::print_json(&serde_json::json!({ "done": message, "password": secret }))
    } else if password.made_up {
        output::print(&format!(
            "{message}\npassword: {}",
            password.secret.expose_secret()
        ))
    } else {
        output::say(message)
    }
}

/// Shows one user, and for each enabled mechanism whether it works.
fn show(store: &UserStore, written: &Written, login: &str, json: JsonArg) -> Result<(), Failure> {
    let user = store.get(login).map_err(|error| failure(&error))?;
    let user = user.ok_or_else(|| failure(&UserError::NoSuchUser(login.to_owned())))?;
    let mechanisms = Mechanisms::new(written.mechanisms(), written.key_policy().kinds);
    if json.json {
        return output::print_json(&view(&user, &mechanisms));
    }
    let state = if user.enabled { "enabled" } else { "disabled" };
    let or_none = |list: &[String]| match list {
        [] => "none".to_owned(),
        list => list.join(" "),
    };
    let mut text = format!(
        "{}\n  state: {state}\n  made: {}\n  password set: {}\n  further addresses: {}\n  groups: {}\n  \
         delegates: {}\n  delegate of: {}\n",
        user.login,
        user.created_at,
        user.password_set_at,
        or_none(&user.addresses),
        or_none(&user.groups),
        or_none(&user.delegates),
        or_none(&user.acts_for),
    );
    for &mechanism in &mechanisms.on {
        let verdict = if mechanisms.works(mechanism, &user) {
            "works"
        } else {
            "has no key yet: log in once with PLAIN or LOGIN, or set the password again"
        };
        text.push_str(&format!("  {mechanism}: {verdict}\n"));
    }
    output::print(&text)
}

fn list(store: &UserStore, written: &Written, json: JsonArg) -> Result<(), Failure> {
    let users = store.list().map_err(|error| failure(&error))?;
    let mechanisms = Mechanisms::new(written.mechanisms(), written.key_policy().kinds);
    if json.json {
        let views: Vec<UserView<'_>> = users.iter().map(|user| view(user, &mechanisms)).collect();
        return output::print_json(&views);
    }
    if users.is_empty() {
        return output::print("no users; `postern user add LOGIN` makes one");
    }
    let now = jiff::Timestamp::now();
    let age = |at: jiff::Timestamp| output::span(now.as_second() - at.as_second());
    let rows = users.iter().map(|user| {
        let state = if user.enabled { "enabled" } else { "disabled" };
        vec![
            user.login.clone(),
            state.into(),
            age(user.password_set_at),
            mechanisms.working(user).join(" "),
            user.scheme.to_lowercase(),
            user.addresses.join(" "),
            user.groups.join(" "),
            user.acts_for.join(" "),
        ]
    });
    output::print_table(
        &[
            "login",
            "state",
            "password age",
            "mechanisms",
            "scheme",
            "further addresses",
            "groups",
            "delegate of",
        ],
        &[2],
        &[1, 2],
        rows.collect(),
    )
}
