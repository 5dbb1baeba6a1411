//! Exit statuses of `sysexits.h`, which tell programs that call `sendmail` what happened to a message.

use postern_smtp::Reply;

/// The exit status of `sendmail`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum ExitStatus {
    /// `EX_OK`: the message is on stable storage, with the server or in the drop folder.
    Ok = 0,
    /// `EX_USAGE`: the command line is invalid.
    Usage = 64,
    /// `EX_DATAERR`: an address or the message is invalid, or there is no recipient.
    Data = 65,
    /// `EX_NOINPUT`: standard input cannot be read.
    NoInput = 66,
    /// `EX_NOUSER`: a recipient does not exist.
    NoUser = 67,
    /// `EX_NOHOST`: a recipient's domain does not exist.
    NoHost = 68,
    /// `EX_UNAVAILABLE`: refused permanently for any other reason.
    Unavailable = 69,
    /// `EX_SOFTWARE`: a fault of the program.
    Software = 70,
    /// `EX_OSERR`: a system error.
    System = 71,
    /// `EX_CANTCREAT`: the drop folder cannot be written.
    CannotCreate = 73,
    /// `EX_IOERR`: the message could not be written.
    InputOutput = 74,
    /// `EX_TEMPFAIL`: not accepted now; the same call may work later.
    TryAgain = 75,
    /// `EX_NOPERM`: this user may not do that.
    NoPermission = 77,
}

impl ExitStatus {
    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The meaning of a refusal by the server: by its enhanced status (RFC 3463) if it has one, else by its code.
    #[must_use]
    pub fn of_reply(reply: &Reply) -> Self {
        if (400..500).contains(&reply.code) {
            return Self::TryAgain;
        }
        match reply.status.map(|status| (status.1, status.2)) {
            Some((1, 1 | 6)) => Self::NoUser,
            Some((1, 2) | (4, 4)) => Self::NoHost,
            Some((1, 3 | 7 | 8) | (5, 2 | 4) | (6, _)) => Self::Data,
            Some((7, 0 | 1)) => Self::NoPermission,
            Some(_) => Self::Unavailable,
            None => match reply.code {
                500..=504 => Self::Data,
                550 | 551 => Self::NoUser,
                553 => Self::Data,
                _ => Self::Unavailable,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use postern_mail::Status;

    use super::*;

    #[test]
    fn refusals_become_statuses() {
        #[rustfmt::skip]
        let cases = [
            (451, Some(Status(4, 3, 0)), ExitStatus::TryAgain),
            (421, None, ExitStatus::TryAgain),
            (550, Some(Status(5, 1, 1)), ExitStatus::NoUser),
            (551, Some(Status(5, 1, 6)), ExitStatus::NoUser),
            (550, Some(Status(5, 1, 2)), ExitStatus::NoHost),
            (553, Some(Status(5, 1, 3)), ExitStatus::Data),
            (501, Some(Status(5, 5, 4)), ExitStatus::Data),
            (554, Some(Status(5, 6, 0)), ExitStatus::Data),
            (553, Some(Status(5, 7, 1)), ExitStatus::NoPermission),
            (552, Some(Status(5, 3, 4)), ExitStatus::Unavailable),
            (550, None, ExitStatus::NoUser),
            (554, None, ExitStatus::Unavailable),
        ];
        for (code, status, expected) in cases {
            let reply = Reply::new(code, status, "x");
            assert_eq!(ExitStatus::of_reply(&reply), expected, "{code} {status:?}");
        }
    }
}
