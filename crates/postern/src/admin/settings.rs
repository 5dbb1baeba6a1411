//! Who may administer, according to the configuration.

use std::time::Duration;

use super::role::Role;

/// When a login at the page requires a second factor.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum FactorRule {
    /// Never, and none can be set up.
    Off,
    /// For users who have set one up.
    #[default]
    Optional,
    /// For everybody who may do more than see their own mail; those without one set it up at the
    /// first login.
    Required,
}

/// Who has which role, and how long logins at the page last.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Administration {
    /// Logins in normal form.
    pub(crate) administer: Vec<String>,
    pub(crate) operate: Vec<String>,
    pub(crate) read: Vec<String>,
    /// Whether all others may see what is their own.
    pub(crate) own: bool,
    pub(crate) second_factor: FactorRule,
    /// How long a session may be unused before it ends.
    pub(crate) idle: Duration,
    /// The maximum duration of a session.
    pub(crate) longest: Duration,
    /// The URL of the page, as in a browser's address bar.
    pub(crate) pages: Vec<String>,
}

impl Default for Administration {
    fn default() -> Self {
        Self {
            administer: Vec::new(),
            operate: Vec::new(),
            read: Vec::new(),
            own: false,
            second_factor: FactorRule::default(),
            idle: Duration::from_secs(1_800),
            longest: Duration::from_secs(12 * 3_600),
            pages: Vec::new(),
        }
    }
}

impl Administration {
    /// The role of a login, in normal form; `None` if it may not log in here.
    pub(crate) fn role_of(&self, login: &str) -> Option<Role> {
        let is_in = |list: &[String]| list.iter().any(|one| one == login);
        let lists = [
            (&self.administer, Role::Administer),
            (&self.operate, Role::Operate),
            (&self.read, Role::Read),
        ];
        let listed = lists.into_iter().find(|(list, _)| is_in(list));
        listed
            .map(|(_, role)| role)
            .or_else(|| self.own.then_some(Role::Own))
    }

    /// Whether this role requires a second factor.
    pub(crate) fn demands_factor(&self, role: Role) -> bool {
        self.second_factor == FactorRule::Required && role > Role::Own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_which_role() {
        let listed = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let settings = |own| Administration {
            administer: listed(&["anna"]),
            operate: listed(&["bert"]),
            read: listed(&["carl", "anna"]),
            own,
            ..Administration::default()
        };
        #[rustfmt::skip]
        let cases = [
            // login    own mail?  role
            ("anna",    false,     Some(Role::Administer)),
            ("bert",    true,      Some(Role::Operate)),
            ("carl",    true,      Some(Role::Read)),
            ("dora",    true,      Some(Role::Own)),
            ("dora",    false,     None),
            ("",        false,     None),
        ];
        for (login, own, role) in cases {
            assert_eq!(settings(own).role_of(login), role, "{login}, {own}");
        }
    }
}
