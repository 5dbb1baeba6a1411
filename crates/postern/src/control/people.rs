//! Postern's own users, managed while the server runs.

use postern_directory::UserStore;
use postern_directory::users::UserError;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::protocol::Reply;
use super::server::answer::Deps;
use super::sessions;
use crate::admin::requests::{Hidden, UserRequest};
use crate::config::checked::OwnUsers;
use crate::exit::chain;
use crate::password;
use crate::people::{Mechanisms, app_password_view, view};

/// Answers a request, and ends the sessions of logins that are no longer valid.
pub(super) async fn answer(asked: UserRequest, by: &str, deps: &Deps) -> Reply {
    let takes_away = takes_away(&asked);
    let removed = match &asked {
        UserRequest::Remove { login } => Some(login.clone()),
        _ => None,
    };
    let own_users = deps.own_users.load_full();
    let done = tokio::task::spawn_blocking(move || perform(asked, &own_users)).await;
    let mut reply = match done {
        Ok(Ok(value)) => Reply::Done(value),
        Ok(Err(problem)) => problem.into(),
        Err(gone) => Reply::Failed(gone.to_string()),
    };
    let is_done = matches!(reply, Reply::Done(_));
    if let Some(login) = removed
        && is_done
        && let Err(problem) = deps.admin.forget_login(&login).await
    {
        reply = Reply::Failed(format!(
            "{login} is removed, but the tokens and the second factor of that login are not: {problem}"
        ));
    }
    if takes_away && is_done {
        sessions::recheck(by, &deps.receiver, &deps.observers).await;
    }
    reply
}

/// Whether a login may do less after this.
const fn takes_away(asked: &UserRequest) -> bool {
    match asked {
        UserRequest::Passwd { .. }
        | UserRequest::Disable { .. }
        | UserRequest::Remove { .. }
        | UserRequest::RemoveGroup { .. }
        | UserRequest::RemoveDelegate { .. }
        | UserRequest::RevokeAppPassword { .. } => true,
        UserRequest::List
        | UserRequest::Show { .. }
        | UserRequest::Add { .. }
        | UserRequest::Enable { .. }
        | UserRequest::AddAddress { .. }
        | UserRequest::RemoveAddress { .. }
        | UserRequest::AddGroup { .. }
        | UserRequest::AddDelegate { .. }
        | UserRequest::AppPasswords { .. }
        | UserRequest::AddAppPassword { .. } => false,
    }
}

/// Why there is no result.
enum Problem {
    Users(UserError),
    Bad(String),
    Failed(String),
}

impl From<UserError> for Problem {
    fn from(error: UserError) -> Self {
        Self::Users(error)
    }
}

impl From<serde_json::Error> for Problem {
    fn from(error: serde_json::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<Problem> for Reply {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::Bad(message) => Self::Bad(message),
            Problem::Failed(message) => Self::Failed(message),
            Problem::Users(error) => {
                let message = chain(&error);
                match error {
                    UserError::NoSuchUser(_) | UserError::NoSuchAppPassword { .. } => Self::NotFound(message),
                    UserError::Exists(_)
                    | UserError::AddressTaken(_)
                    | UserError::NotTheirs { .. }
                    | UserError::LabelTaken { .. }
                    | UserError::TooManyAppPasswords { .. }
                    | UserError::BadLogin(_)
                    | UserError::BadAddress(_)
                    | UserError::BadPassword
                    | UserError::BadLabel(_)
                    | UserError::BadGroup(_)
                    | UserError::OwnDelegate(_)
                    | UserError::ExpiryPast => Self::Bad(message),
                    _ => Self::Failed(message),
                }
            }
        }
    }
}

/// Blocks the thread.
fn perform(asked: UserRequest, own_users: &OwnUsers) -> Result<Value, Problem> {
    if asked.looks() && !own_users.database.exists() {
        return match asked.login() {
            Some(login) => Err(UserError::NoSuchUser(login.to_owned()).into()),
            None => Ok(json!([])),
        };
    }
    let store = UserStore::open(&own_users.database)?.with_keys(own_users.keys.clone());
    let mechanisms = || Mechanisms::new(own_users.mechanisms.clone(), own_users.keys.kinds.clone());
    match asked {
        UserRequest::List => {
            let (users, mechanisms) = (store.list()?, mechanisms());
            let views: Vec<_> = users.iter().map(|user| view(user, &mechanisms)).collect();
            Ok(serde_json::to_value(views)?)
        }
        UserRequest::Show { login } => {
            let user = store.get(&login)?.ok_or(UserError::NoSuchUser(login))?;
            Ok(serde_json::to_value(view(&user, &mechanisms()))?)
        }
        UserRequest::Add {
            login,
            password,
            addresses,
            groups,
        } => {
            let (secret, shown) = obtain(password, own_users.password_length)?;
            store.add_in_groups(&login, &secret, &addresses, &groups)?;
            Ok(with_password(&login, &secret, shown))
        }
        UserRequest::Passwd { login, password } => {
            if store.get(&login)?.is_none() {
                return Err(UserError::NoSuchUser(login).into());
            }
            let (secret, shown) = obtain(password, own_users.password_length)?;
            store.set_password(&login, &secret)?;
            Ok(with_password(&login, &secret, shown))
        }
        UserRequest::Disable { login } => changed(store.disable(&login)),
        UserRequest::Enable { login } => changed(store.enable(&login)),
        UserRequest::Remove { login } => changed(store.remove(&login)),
        UserRequest::AddAddress { login, address } => changed(store.add_address(&login, &address)),
        UserRequest::RemoveAddress { login, address } => changed(store.remove_address(&login, &address)),
        UserRequest::AddGroup { login, group } => changed(store.add_group(&login, &group)),
        UserRequest::RemoveGroup { login, group } => changed(store.remove_group(&login, &group)),
        UserRequest::AddDelegate { login, delegate } => changed(store.add_delegate(&login, &delegate)),
        UserRequest::RemoveDelegate { login, delegate } => changed(store.remove_delegate(&login, &delegate)),
        UserRequest::AppPasswords { login } => {
            let all = store.app_passwords(&login)?;
            let views: Vec<_> = all.iter().map(app_password_view).collect();
            Ok(serde_json::to_value(views)?)
        }
        UserRequest::AddAppPassword {
            login,
            label,
            expires_at,
            networks,
        } => {
            let made = store.add_app_password(&login, &label, expires_at, &networks)?;
            let label = label.trim();
            Ok(json!({ "login": login, "label": label, "password": made.expose_secret(), "changed": 1 }))
        }
        UserRequest::RevokeAppPassword { login, label } => changed(store.revoke_app_password(&login, &label)),
    }
}

fn changed(result: Result<(), UserError>) -> Result<Value, Problem> {
    result?;
    Ok(json!({ "changed": 1 }))
}

/// The given password, or a generated one, which must be shown.
fn obtain(wanted: Option<Hidden>, least: usize) -> Result<(SecretString, bool), Problem> {
    let Some(wanted) = wanted else {
        let made = password::generate().map_err(|failure| Problem::Failed(failure.message))?;
        return Ok((made, true));
    };
    let secret = SecretString::from(wanted.0.clone());
    password::long_enough(&secret, least).map_err(Problem::Bad)?;
    Ok((secret, false))
}

fn with_password(login: &str, secret: &SecretString, shown: bool) -> Value {
    let mut value = json!({ "login": login, "changed": 1 });
    if shown && let Value::Object(fields) = &mut value {
        fields.insert("password".to_owned(), json!(secret.expose_secret()));
    }
    value
}
