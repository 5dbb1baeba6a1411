//! Who administers over HTTP.

use postern_mail::normal_login;

use super::Checking;
use super::http::HttpConfig;
use crate::admin::Administration;
use crate::config::file::Serves;
use crate::config::read::At;

pub(super) fn check(http: &[HttpConfig], c: &mut Checking<'_>) -> Administration {
    let written = &c.file.administration;
    let lists = [&written.administer, &written.operate, &written.read];
    let [administer, operate, read] = lists.map(|list| logins(&list.value, c));
    let pages = http.iter().filter(|one| one.serves(Serves::Web));
    Administration {
        administer,
        operate,
        read,
        own: *written.own,
        second_factor: *written.second_factor,
        idle: *written.idle,
        longest: *written.longest,
        pages: pages.filter_map(|one| one.url(&c.hostname)).collect(),
    }
}

fn logins(list: &[At<String>], c: &mut Checking<'_>) -> Vec<String> {
    let mut logins = Vec::new();
    for written in list {
        match normal_login(&written.value) {
            Ok(login) => logins.push(login),
            Err(_) => c.problems.error(
                written.span.clone(),
                format!("{:?} cannot be a login", written.value),
                "no directory has it",
                "write the user name as it is typed at a login",
            ),
        }
    }
    logins
}
