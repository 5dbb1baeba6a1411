//! `sendmail -bs`: SMTP on standard input and output, passed through to the server unchanged.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::thread;

use postern_submit::ExitStatus;

use super::common::Places;

/// Carries octets between the caller and the server until either has gone.
pub(super) fn run(places: &Places) -> ExitStatus {
    let Ok(stream) = places.connect() else {
        let _ = io::stdout().write_all(b"421 4.3.2 The server is not running, try again later\r\n");
        return ExitStatus::TryAgain;
    };
    let Ok(mut up) = stream.try_clone() else {
        return ExitStatus::System;
    };
    // No time limit here: the server has its own.
    let _ = stream.set_read_timeout(None);
    thread::spawn(move || {
        let mut input = io::stdin().lock();
        let mut piece = [0; 8_192];
        let mut after_cr = false;
        while let Ok(read @ 1..) = input.read(&mut piece) {
            if up.write_all(&with_crlf(&piece[..read], &mut after_cr)).is_err() {
                return;
            }
        }
        let _ = up.shutdown(Shutdown::Write);
    });
    let mut down = stream;
    let mut output = io::stdout().lock();
    let mut piece = [0; 8_192];
    loop {
        match down.read(&mut piece) {
            Ok(0) => return ExitStatus::Ok,
            Ok(read) => {
                if output
                    .write_all(&piece[..read])
                    .and_then(|()| output.flush())
                    .is_err()
                {
                    return ExitStatus::InputOutput;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return ExitStatus::InputOutput,
        }
    }
}

/// Typed lines end in LF only: adds the CR.
fn with_crlf(piece: &[u8], after_cr: &mut bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(piece.len() + 16);
    for &octet in piece {
        if octet == b'\n' && !*after_cr {
            out.push(b'\r');
        }
        *after_cr = octet == b'\r';
        out.push(octet);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_people_and_programs() {
        let mut after_cr = false;
        let mut whole = Vec::new();
        for piece in ["EHLO a\n", "MAIL\r", "\nRCPT\r\n", "\n"] {
            whole.extend(with_crlf(piece.as_bytes(), &mut after_cr));
        }
        assert_eq!(whole, b"EHLO a\r\nMAIL\r\nRCPT\r\n\r\n");
    }
}
