//! What an LDAP result code (RFC 4511 appendix A.2) means for a login.

use ldap3::LdapResult;

use crate::failover::Fault;
use crate::verdict::DenyReason;

/// Longest server text put in a log line, in characters.
const TEXT_MAX: usize = 200;

/// What the result of a search means: `Ok` if its entries count.
///
/// `sizeLimitExceeded` counts: two entries were asked for at most, and more than one is already too many.
pub(crate) fn of_search(result: &LdapResult) -> Result<(), Fault> {
    match result.rc {
        0 | 4 => Ok(()),
        32 => Err(Fault::Question(format!(
            "the search base does not exist, or may not be seen: {}",
            tell(result)
        ))),
        code if is_server_fault(code) => Err(Fault::Server(tell(result))),
        _ => Err(Fault::Question(tell(result))),
    }
}

/// What the result of a bind as a user means: `Ok(None)` when the password holds.
///
/// Only codes about this account and password deny. All others may be the server's own trouble, and a client that is refused
/// forgets its password.
pub(crate) fn of_user_bind(result: &LdapResult) -> Result<Option<DenyReason>, Fault> {
    match result.rc {
        0 => Ok(None),
        // invalidCredentials; inappropriateAuthentication: the entry has no password.
        49 => Ok(Some(
            of_active_directory(&result.text).unwrap_or(DenyReason::WrongPassword),
        )),
        48 => Ok(Some(DenyReason::WrongPassword)),
        // noSuchObject: removed between search and bind.
        32 => Ok(Some(DenyReason::UnknownUser)),
        // constraintViolation: several servers lock accounts with it (389 Directory Server, eDirectory).
        19 => Ok(Some(DenyReason::Disabled)),
        code if is_server_fault(code) => Err(Fault::Server(tell(result))),
        _ => Err(Fault::Question(tell(result))),
    }
}

/// What Active Directory means by invalidCredentials: a Windows error number after `data` in the text, as in
/// `AcceptSecurityContext error, data 52e, v4563`. It reports a locked account to everybody, and the other states to those who
/// know the password.
fn of_active_directory(text: &str) -> Option<DenyReason> {
    let (_, rest) = text.split_once("AcceptSecurityContext error, data ")?;
    let code = rest.split([',', ' ']).next()?;
    Some(match u32::from_str_radix(code, 16).ok()? {
        0x525 => DenyReason::UnknownUser,
        // Not at this hour, or not from this workstation.
        0x530 | 0x531 => DenyReason::NotNow,
        // Expired, or to be changed at the first login.
        0x532 | 0x773 => DenyReason::PasswordExpired,
        0x533 => DenyReason::Disabled,
        0x701 => DenyReason::AccountExpired,
        0x775 => DenyReason::Locked,
        _ => DenyReason::WrongPassword,
    })
}

/// operationsError, protocolError, timeLimitExceeded, adminLimitExceeded, busy, unavailable, other: another server may succeed.
fn is_server_fault(code: u32) -> bool {
    matches!(code, 1 | 2 | 3 | 11 | 51 | 52 | 80)
}

/// The result, as text for the log.
pub(crate) fn tell(result: &LdapResult) -> String {
    let text = result.to_string();
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(TEXT_MAX)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(rc: u32) -> LdapResult {
        LdapResult {
            rc,
            matched: String::new(),
            text: "why\nforged".into(),
            refs: Vec::new(),
            ctrls: Vec::new(),
        }
    }

    #[test]
    fn codes_of_a_bind() {
        let cases = [
            (0, "granted", "success"),
            (49, "WrongPassword", "invalidCredentials"),
            (
                48,
                "WrongPassword",
                "inappropriateAuthentication: no password in the entry",
            ),
            (32, "UnknownUser", "noSuchObject: removed meanwhile"),
            (19, "Disabled", "constraintViolation: locked"),
            (51, "server", "busy"),
            (52, "server", "unavailable"),
            (80, "server", "other"),
            (1, "server", "operationsError"),
            (
                53,
                "question",
                "unwillingToPerform: may be the whole server's state",
            ),
            (
                13,
                "question",
                "confidentialityRequired: TLS is missing in the configuration",
            ),
            (10, "question", "referral: not followed"),
            (8, "question", "strongerAuthRequired"),
            (9_999, "question", "unknown"),
        ];
        for (code, want, shows) in cases {
            let got = match of_user_bind(&result(code)) {
                Ok(None) => "granted".to_owned(),
                Ok(Some(reason)) => format!("{reason:?}"),
                Err(Fault::Server(_)) => "server".to_owned(),
                Err(Fault::Question(_) | Fault::Busy(_) | Fault::Entry(_)) => "question".to_owned(),
            };
            assert_eq!(got, want, "{shows}");
        }
    }

    #[test]
    fn what_active_directory_means() {
        use DenyReason::*;
        let cases = [
            ("52e", WrongPassword, "wrong password"),
            ("525", UnknownUser, "no such user"),
            ("530", NotNow, "not at this hour"),
            ("531", NotNow, "not from this workstation"),
            ("532", PasswordExpired, "password expired"),
            ("533", Disabled, "switched off"),
            ("701", AccountExpired, "account expired"),
            ("773", PasswordExpired, "to be changed at the first login"),
            ("775", Locked, "locked"),
            ("57", WrongPassword, "anything else"),
            ("x", WrongPassword, "no number"),
        ];
        for (code, want, shows) in cases {
            let text = format!(
                "80090308: LdapErr: DSID-0C09056D, comment: AcceptSecurityContext error, data {code}, v4563"
            );
            let result = LdapResult { text, ..result(49) };
            assert_eq!(of_user_bind(&result), Ok(Some(want)), "{shows}");
        }
    }

    #[test]
    fn codes_of_a_search() {
        let cases = [
            (0, Some("ok"), "success"),
            (4, Some("ok"), "sizeLimitExceeded: more entries than asked for"),
            (
                32,
                None,
                "noSuchObject: the base is missing, which is nobody's wrong password",
            ),
            (52, Some("server"), "unavailable"),
            (51, Some("server"), "busy"),
            (50, None, "insufficientAccessRights"),
            (10, None, "referral: not followed"),
        ];
        for (code, want, shows) in cases {
            let got = match of_search(&result(code)) {
                Ok(()) => Some("ok"),
                Err(Fault::Server(_)) => Some("server"),
                Err(Fault::Question(_) | Fault::Busy(_) | Fault::Entry(_)) => None,
            };
            assert_eq!(got, want, "{shows}");
        }
    }

    #[test]
    fn a_servers_text_cannot_forge_log_lines() {
        let told = tell(&result(52));
        assert!(
            told.contains("unavailable") && told.contains("why forged"),
            "{told}"
        );
    }
}
