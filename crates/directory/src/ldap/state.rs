//! Whether an entry says that its account is locked, disabled or expired.
//!
//! A bind detects that by itself. This is for logins without one: by certificate, key or stored password.

use ldap3::SearchEntry;

use super::account::values;
use crate::verdict::DenyReason;

/// The attributes read for it. Servers omit those that they do not know.
pub(super) const ATTRIBUTES: &[&str] = &[
    // Active Directory
    "userAccountControl",
    "msDS-User-Account-Control-Computed",
    "accountExpires",
    // OpenLDAP's ppolicy and 389 Directory Server
    "pwdAccountLockedTime",
    "nsAccountLock",
    // eDirectory
    "loginDisabled",
    // RFC 2307 and Samba 3
    "shadowExpire",
    "sambaAcctFlags",
];

/// `ACCOUNTDISABLE` of `userAccountControl`.
const DISABLED: u32 = 0x2;

/// `LOCKOUT` of the computed attribute.
const LOCKED: u32 = 0x10;

/// `PASSWORD_EXPIRED` of the computed attribute.
const PASSWORD_EXPIRED: u32 = 0x80_0000;

/// Seconds from 1601 to 1970, from which Windows counts.
const WINDOWS_EPOCH: i64 = 11_644_473_600;

/// Hundreds of nanoseconds in a second.
const TICKS: i64 = 10_000_000;

const DAY: i64 = 86_400;

/// Why the account may not log in. `now` is seconds since 1970.
///
/// `pwdAccountLockedTime` locks as long as it is present: OpenLDAP removes it at the first bind after the policy's lock-out
/// time, which is not known here.
pub(super) fn refusal(entry: &SearchEntry, now: i64) -> Option<DenyReason> {
    let flags = |name| {
        values(entry, name)
            .first()
            .and_then(|text| text.parse::<i64>().ok())
    };
    // Written as a signed number; only the lower 32 bits count.
    let has = |name, bit: u32| flags(name).is_some_and(|value| value & i64::from(bit) != 0);
    let is_true = |name| {
        values(entry, name)
            .iter()
            .any(|text| text.eq_ignore_ascii_case("true"))
    };
    let samba = |letter| {
        values(entry, "sambaAcctFlags")
            .iter()
            .any(|text| text.contains(letter))
    };
    let computed = "msDS-User-Account-Control-Computed";
    if has("userAccountControl", DISABLED)
        || is_true("nsAccountLock")
        || is_true("loginDisabled")
        || samba('D')
    {
        return Some(DenyReason::Disabled);
    }
    if has(computed, LOCKED) || !values(entry, "pwdAccountLockedTime").is_empty() || samba('L') {
        return Some(DenyReason::Locked);
    }
    let expires = flags("accountExpires").filter(|ticks| *ticks > 0 && *ticks < i64::MAX);
    let expired = expires.is_some_and(|ticks| ticks / TICKS - WINDOWS_EPOCH <= now);
    let shadow = flags("shadowExpire").filter(|day| *day >= 0);
    if expired || shadow.is_some_and(|day| day <= now.div_euclid(DAY)) {
        return Some(DenyReason::AccountExpired);
    }
    has(computed, PASSWORD_EXPIRED).then_some(DenyReason::PasswordExpired)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn what_an_entry_says() {
        let (disabled, locked) = (Some(DenyReason::Disabled), Some(DenyReason::Locked));
        let (over, old) = (
            Some(DenyReason::AccountExpired),
            Some(DenyReason::PasswordExpired),
        );
        // 2026-11-22 12:00 UTC
        let now = 1_795_348_800;
        let ticks = |at: i64| ((at + WINDOWS_EPOCH) * TICKS).to_string();
        let (past, future) = (ticks(now - 1), ticks(now + 1));
        let computed = "msDS-User-Account-Control-Computed";
        #[rustfmt::skip]
        let cases = [
            ("nothing",                         "uid",                  "ann",                 None),
            ("an ordinary account",             "userAccountControl",   "512",                 None),
            ("password never expires",          "useraccountcontrol",   "66048",               None),
            ("switched off",                    "userAccountControl",   "514",                 disabled),
            ("the name in another case",        "useraccountcontrol",   "514",                 disabled),
            ("a negative number is bits too",   "userAccountControl",   "-2147483134",         disabled),
            ("no number",                       "userAccountControl",   "x",                   None),
            ("locked after guessing",           computed,               "16",                  locked),
            ("the password is too old",         computed,               "8388608",             old),
            ("never expires",                   "accountExpires",       "9223372036854775807", None),
            ("nor this one",                    "accountExpires",       "0",                   None),
            ("over",                            "accountExpires",       &past,                 over),
            ("not over yet",                    "accountExpires",       &future,               None),
            ("locked for good by ppolicy",      "pwdAccountLockedTime", "000001010000Z",       locked),
            ("locked after guessing",           "pwdAccountLockedTime", "20261122110000Z",     locked),
            ("389 Directory Server",            "nsAccountLock",        "TRUE",                disabled),
            ("and not",                         "nsAccountLock",        "false",               None),
            ("eDirectory",                      "loginDisabled",        "TRUE",                disabled),
            ("until yesterday",                 "shadowExpire",         "20778",               over),
            ("until tomorrow",                  "shadowExpire",         "20780",               None),
            ("no end",                          "shadowExpire",         "-1",                  None),
            ("Samba 3, switched off",           "sambaAcctFlags",       "[UD         ]",       disabled),
            ("Samba 3, locked",                 "sambaAcctFlags",       "[UL         ]",       locked),
            ("Samba 3",                         "sambaAcctFlags",       "[U          ]",       None),
        ];
        for (shows, name, value, want) in cases {
            let entry = SearchEntry {
                dn: String::new(),
                attrs: HashMap::from([(name.to_owned(), vec![value.to_owned()])]),
                bin_attrs: HashMap::new(),
            };
            assert_eq!(refusal(&entry, now), want, "{shows}");
        }
    }
}
