//! Whose login a Kerberos principal is.

/// How principals become logins.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PrincipalRules {
    /// The services whose tickets are taken, such as `smtp`: a ticket for another one of the same keytab is not.
    pub services: Vec<String>,
    /// Realms whose principals are logins, exactly as written. Those of the first are logins by their name alone, those of
    /// the others with `@REALM` behind it. Empty stands for the one realm that the service is in.
    pub realms: Vec<String>,
    /// The mail domain of logins that are addresses: put behind the names of the first realm, as `name@domain`.
    pub domain: Option<String>,
}

/// Why a principal is nobody's login.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PrincipalRefused {
    /// It is no `name@REALM`.
    #[error("{principal} is no principal of the form name@REALM")]
    Form {
        /// The principal.
        principal: String,
    },
    /// It is a service's or an administrator's.
    #[error("{principal} has an instance, and only persons log in")]
    Instance {
        /// The principal.
        principal: String,
    },
    /// Its realm is not one of ours.
    #[error("{principal} is of the realm {realm}, which `realms` in [kerberos] does not name")]
    Realm {
        /// The principal.
        principal: String,
        /// Its realm.
        realm: String,
    },
    /// The ticket is for another service.
    #[error("the ticket is for {acceptor}, and not for {services}, which `services` in [kerberos] names")]
    Service {
        /// Whom the ticket is for.
        acceptor: String,
        /// The services that it may be for.
        services: String,
    },
}

/// Whose login a principal is that has shown a ticket for the service `acceptor`.
///
/// # Errors
///
/// [`PrincipalRefused`], for the log.
pub fn login_of_principal(
    principal: &str,
    acceptor: &str,
    rules: &PrincipalRules,
) -> Result<String, PrincipalRefused> {
    let wrong_service = || PrincipalRefused::Service {
        acceptor: acceptor.to_owned(),
        services: rules.services.join(" or "),
    };
    let (instance, own_realm) = parts(acceptor).ok_or_else(wrong_service)?;
    let (service, _host) = instance.split_once('/').ok_or_else(wrong_service)?;
    if !rules.services.iter().any(|known| known == service) {
        return Err(wrong_service());
    }
    let (name, realm) = parts(principal).ok_or_else(|| PrincipalRefused::Form {
        principal: principal.to_owned(),
    })?;
    if name.contains('/') {
        return Err(PrincipalRefused::Instance {
            principal: principal.to_owned(),
        });
    }
    let place = match rules.realms.as_slice() {
        [] => (realm == own_realm).then_some(0),
        realms => realms.iter().position(|known| known == realm),
    };
    match place {
        Some(0) => Ok(match &rules.domain {
            Some(domain) => format!("{name}@{domain}"),
            None => name.to_owned(),
        }),
        Some(_) => Ok(principal.to_owned()),
        None => Err(PrincipalRefused::Realm {
            principal: principal.to_owned(),
            realm: realm.to_owned(),
        }),
    }
}

/// Name and realm. A principal with a special character in it, which stands behind a backslash, is none that a person has:
/// it could be read in two ways.
fn parts(principal: &str) -> Option<(&str, &str)> {
    let (name, realm) = principal.split_once('@')?;
    let is_plain = |part: &str| {
        !part.is_empty()
            && !part
                .chars()
                .any(|c| c == '\\' || c == '@' || c.is_control() || c.is_whitespace())
    };
    (is_plain(name) && is_plain(realm) && !realm.contains('/')).then_some((name, realm))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: &str = "smtp/mx.example.org@EXAMPLE.ORG";

    type Case<'a> = (&'a str, &'a str, &'a str, &'a [&'a str], Option<&'a str>);

    #[test]
    fn whose_login_a_principal_is() {
        let own: &[&str] = &[];
        let two: &[&str] = &["EXAMPLE.ORG", "PARTNER.TEST"];
        let other: &[&str] = &["PARTNER.TEST"];
        #[rustfmt::skip]
        let cases: [Case<'_>; 16] = [
            ("a person of the service's realm", "acaird@EXAMPLE.ORG", SERVICE, own, Some("acaird")),
            ("of another realm, and none is named", "acaird@PARTNER.TEST", SERVICE, own, None),
            ("of the first realm", "acaird@EXAMPLE.ORG", SERVICE, two, Some("acaird")),
            ("of the second, never taken for the first's", "acaird@PARTNER.TEST", SERVICE, two, Some("acaird@PARTNER.TEST")),
            ("the service's realm is not named", "acaird@EXAMPLE.ORG", SERVICE, other, None),
            ("realms have a case", "acaird@example.org", SERVICE, two, None),
            ("a machine", "host/pc.example.org@EXAMPLE.ORG", SERVICE, own, None),
            ("an administrator", "acaird/admin@EXAMPLE.ORG", SERVICE, own, None),
            ("an @ in the name", "acaird\\@EXAMPLE.ORG@PARTNER.TEST", SERVICE, two, None),
            ("a slash in the name", "host\\/pc@EXAMPLE.ORG", SERVICE, own, None),
            ("a line feed", "acaird\\nroot@EXAMPLE.ORG", SERVICE, own, None),
            ("no name", "@EXAMPLE.ORG", SERVICE, own, None),
            ("no realm", "acaird", SERVICE, own, None),
            ("two realms", "acaird@EXAMPLE.ORG@EXAMPLE.ORG", SERVICE, own, None),
            ("a ticket for the machine, passed on", "acaird@EXAMPLE.ORG", "host/mx.example.org@EXAMPLE.ORG", own, None),
            ("a ticket for a person", "acaird@EXAMPLE.ORG", "smtp@EXAMPLE.ORG", own, None),
        ];
        for (shows, principal, acceptor, realms, want) in cases {
            let rules = PrincipalRules {
                services: vec!["smtp".into()],
                realms: realms.iter().map(|&realm| realm.to_owned()).collect(),
                domain: None,
            };
            let got = login_of_principal(principal, acceptor, &rules);
            assert_eq!(got.as_deref().ok(), want, "{shows}: {got:?}");
        }
    }

    #[test]
    fn logins_may_be_addresses() {
        let rules = PrincipalRules {
            services: vec!["smtp".into()],
            realms: vec!["EXAMPLE.ORG".into(), "PARTNER.TEST".into()],
            domain: Some("example.org".into()),
        };
        let login = |principal| login_of_principal(principal, SERVICE, &rules);
        assert_eq!(login("acaird@EXAMPLE.ORG"), Ok("acaird@example.org".into()));
        assert_eq!(login("acaird@PARTNER.TEST"), Ok("acaird@PARTNER.TEST".into()));
    }
}
