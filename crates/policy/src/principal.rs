//! Which user a Kerberos principal is.

/// How principals are mapped to user names.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PrincipalRules {
    /// The services whose tickets are accepted, such as `smtp`: a ticket for another service in the same keytab is not.
    pub services: Vec<String>,
    /// Realms whose principals are users, exactly as written. Principals of the first, the home realm, become their name only,
    /// those of the others have `@REALM` appended.
    pub realms: Vec<String>,
    /// The mail domain, if user names are addresses: appended to names of the first realm, as `name@domain`.
    pub domain: Option<String>,
}

/// Why a principal is refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PrincipalRefused {
    /// It is not of the form `name@REALM`.
    #[error("{principal} is not a principal of the form name@REALM")]
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
    /// The ticket was issued by a realm without authority over the principal's: the keytab has keys of several realms, and the
    /// operator of one could make up principals of the others.
    #[error("{principal} has a ticket from the realm {issuer}, which does not speak for its own")]
    Issuer {
        /// The principal.
        principal: String,
        /// The realm that the ticket is from.
        issuer: String,
    },
    /// The ticket is for another service.
    #[error("the ticket is for {acceptor}, and not for {services}, which `services` in [kerberos] names")]
    Service {
        /// The service that the ticket is for.
        acceptor: String,
        /// The services that it may be for.
        services: String,
    },
}

/// The user name of a principal that has presented a ticket for the service `acceptor`.
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
    let (instance, issuer) = parts(acceptor).ok_or_else(wrong_service)?;
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
    let is_home = |realm: &str| rules.realms.first().is_some_and(|home| home == realm);
    if !rules.realms.iter().any(|known| known == realm) {
        return Err(PrincipalRefused::Realm {
            principal: principal.to_owned(),
            realm: realm.to_owned(),
        });
    }
    if issuer != realm && !is_home(issuer) {
        return Err(PrincipalRefused::Issuer {
            principal: principal.to_owned(),
            issuer: issuer.to_owned(),
        });
    }
    match &rules.domain {
        _ if !is_home(realm) => Ok(principal.to_owned()),
        Some(domain) => Ok(format!("{name}@{domain}")),
        None => Ok(name.to_owned()),
    }
}

/// Name and realm. A principal with a backslash-escaped special character is refused: it could be read in two ways, and no person
/// has one.
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
        let one: &[&str] = &["EXAMPLE.ORG"];
        let two: &[&str] = &["EXAMPLE.ORG", "PARTNER.TEST"];
        let partner = "smtp/mx.example.org@PARTNER.TEST";
        #[rustfmt::skip]
        let cases: [Case<'_>; 18] = [
            ("a person", "acaird@EXAMPLE.ORG", SERVICE, one, Some("acaird")),
            ("of another realm", "acaird@PARTNER.TEST", SERVICE, one, None),
            ("no realm at all", "acaird@EXAMPLE.ORG", SERVICE, &[], None),
            ("of the first realm", "acaird@EXAMPLE.ORG", SERVICE, two, Some("acaird")),
            ("of the second, never taken for the first's", "acaird@PARTNER.TEST", SERVICE, two, Some("acaird@PARTNER.TEST")),
            ("of the second, by a key of its own", "acaird@PARTNER.TEST", partner, two, Some("acaird@PARTNER.TEST")),
            ("the second speaks for the first", "acaird@EXAMPLE.ORG", partner, two, None),
            ("a key of a realm that is not named", "acaird@EXAMPLE.ORG", partner, one, None),
            ("realms have a case", "acaird@example.org", SERVICE, two, None),
            ("a machine", "host/pc.example.org@EXAMPLE.ORG", SERVICE, one, None),
            ("an administrator", "acaird/admin@EXAMPLE.ORG", SERVICE, one, None),
            ("an @ in the name", "acaird\\@EXAMPLE.ORG@PARTNER.TEST", SERVICE, two, None),
            ("a slash in the name", "host\\/pc@EXAMPLE.ORG", SERVICE, one, None),
            ("no name", "@EXAMPLE.ORG", SERVICE, one, None),
            ("no realm in it", "acaird", SERVICE, one, None),
            ("two realms in it", "acaird@EXAMPLE.ORG@EXAMPLE.ORG", SERVICE, one, None),
            ("a ticket for the machine, passed on", "acaird@EXAMPLE.ORG", "host/mx.example.org@EXAMPLE.ORG", one, None),
            ("a ticket for a person", "acaird@EXAMPLE.ORG", "smtp@EXAMPLE.ORG", one, None),
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
