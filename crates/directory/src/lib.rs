//! Who may log in: own users, LDAP, saslauthd; each with its time limit and fail-over.
