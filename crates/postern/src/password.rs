//! Obtaining passwords: generated, read from standard input, or prompted for.

use std::io::{self, BufRead, BufReader, Read, Write};

use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
use rand::TryRngCore;
use rand::rngs::OsRng;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::args::PasswordArgs;
use crate::exit::{Exit, Failure};

/// Longest password that is read, in octets.
const LENGTH_MAX: u64 = 1_024;

/// Letters and digits that cannot be confused.
const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";

/// A password, and whether it must be shown because nobody knows it yet.
pub(crate) struct Password {
    pub(crate) secret: SecretString,
    pub(crate) made_up: bool,
}

/// Gets a password in the way given by the arguments.
///
/// # Errors
///
/// Nothing can be read, there is no terminal to prompt on, the two entries differ, or the password has fewer than `least`
/// characters.
pub(crate) fn obtain(args: PasswordArgs, login: &str, least: usize) -> Result<Password, Failure> {
    if args.generate {
        return Ok(Password {
            secret: generate()?,
            made_up: true,
        });
    }
    let secret = if args.password_stdin {
        first_line(&mut io::stdin().lock())
            .map_err(|error| Failure::io("cannot read the password", &error))?
    } else {
        ask_twice(login)?
    };
    if secret.expose_secret().is_empty() {
        return Err(Failure::new(Exit::No, "the password is empty"));
    }
    long_enough(&secret, least).map_err(|problem| Failure::new(Exit::No, problem))?;
    Ok(Password {
        secret,
        made_up: false,
    })
}

/// Whether a password has at least this many characters.
///
/// # Errors
///
/// The password is too short; the message says what to do.
pub(crate) fn long_enough(secret: &SecretString, least: usize) -> Result<(), String> {
    let length = secret.expose_secret().chars().count();
    if length >= least {
        return Ok(());
    }
    Err(format!(
        "the password has {length} characters and needs at least {least}: take a longer one, or let --generate make \
         one up (`password_length` of the [[directory]] of kind \"users\")"
    ))
}

/// Generates a password of 100 random bits: four groups of five letters and digits.
///
/// # Errors
///
/// The system has no random numbers.
pub(crate) fn generate() -> Result<SecretString, Failure> {
    let mut random = Zeroizing::new([0_u8; 20]);
    OsRng
        .try_fill_bytes(random.as_mut_slice())
        .map_err(|error| Failure::from_error(Exit::System, "no random numbers", &error))?;
    let mut text = String::with_capacity(23);
    for (index, octet) in random.iter().enumerate() {
        if index > 0 && index % 5 == 0 {
            text.push('-');
        }
        text.push(char::from(ALPHABET[usize::from(octet & 31)]));
    }
    Ok(SecretString::from(text))
}

/// The first line, without its line end.
fn first_line(from: &mut impl BufRead) -> io::Result<SecretString> {
    // Allocated in full at once: growing would leave copies behind.
    let mut line = Zeroizing::new(String::with_capacity(LENGTH_MAX as usize + 2));
    from.take(LENGTH_MAX + 2).read_line(&mut line)?;
    let text = line.trim_end_matches('\n').trim_end_matches('\r');
    Ok(SecretString::from(text))
}

fn ask_twice(login: &str) -> Result<SecretString, Failure> {
    let first = ask(&format!("Password for {login}: "))?;
    let second = ask("The same again: ")?;
    if first.expose_secret() == second.expose_secret() {
        Ok(first)
    } else {
        Err(Failure::new(
            Exit::No,
            "the two passwords differ; nothing was changed",
        ))
    }
}

/// Prompts on the terminal without echo.
fn ask(question: &str) -> Result<SecretString, Failure> {
    let terminal = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/tty")
        .map_err(|_| {
            Failure::new(
                Exit::Usage,
                "no terminal to ask for the password; use --password-stdin or --generate",
            )
        })?;
    let failed = |error: io::Error| Failure::io("cannot ask for the password", &error);
    (&terminal).write_all(question.as_bytes()).map_err(failed)?;
    let before = tcgetattr(&terminal).map_err(|error| failed(error.into()))?;
    let mut silent = before.clone();
    silent.local_flags.remove(LocalFlags::ECHO);
    tcsetattr(&terminal, SetArg::TCSAFLUSH, &silent).map_err(|error| failed(error.into()))?;
    let line = first_line(&mut BufReader::with_capacity(1, &terminal));
    let restored = tcsetattr(&terminal, SetArg::TCSAFLUSH, &before);
    let _ = (&terminal).write_all(b"\n");
    restored.map_err(|error| failed(error.into()))?;
    line.map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_passwords_differ_and_have_their_form() {
        let (one, other) = (generate().unwrap(), generate().unwrap());
        assert_ne!(one.expose_secret(), other.expose_secret());
        assert_eq!(
            one.expose_secret().split('-').map(str::len).collect::<Vec<_>>(),
            [5, 5, 5, 5]
        );
        let plain = |c: char| c == '-' || ALPHABET.contains(&(c as u8));
        assert!(one.expose_secret().chars().all(plain));
    }

    #[test]
    fn a_password_is_the_first_line() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows    input                password
            ("a blank inside",        "pass word\n",       "pass word"),
            ("blanks around stay",    " x \n",             " x "),
            ("CRLF",                  "secret\r\n",        "secret"),
            ("no line end",           "secret",            "secret"),
            ("only the first line",   "one\ntwo\n",        "one"),
            ("nothing",               "",                  ""),
        ];
        for (shows, input, want) in cases {
            let read = first_line(&mut input.as_bytes()).unwrap();
            assert_eq!(read.expose_secret(), want, "{shows}");
        }
    }
}
