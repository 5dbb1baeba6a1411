//! Administration over HTTP: who may request what, logins at the page, tokens, second factors. Requests are passed on to the
//! service that answers the control socket.

pub(crate) mod factor;
pub(crate) mod hash;
pub(crate) mod login;
pub(crate) mod permit;
pub(crate) mod problem;
pub(crate) mod requests;
pub(crate) mod role;
pub(crate) mod service;
pub(crate) mod sessions;
pub(crate) mod settings;
mod standing;
pub(crate) mod state;
pub(crate) mod tokens;
pub(crate) mod totp;

pub(crate) use self::permit::may;
pub(crate) use self::problem::Problem;
pub(crate) use self::role::{By, Role, Who};
pub(crate) use self::service::Service;
pub(crate) use self::settings::{Administration, FactorRule};
pub(crate) use self::state::Admin;
