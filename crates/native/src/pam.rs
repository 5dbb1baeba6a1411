//! PAM (Linux-PAM), loaded at run time: checks an account's password, and whether the account may log in now.
//!
//! Modules run in the calling process, with its rights, and may take as long as they like: call this in a separate process
//! that can be killed.

mod conversation;
mod ffi;

use std::ffi::{CStr, CString};
use std::path::Path;
use std::ptr;

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use self::conversation::Password;
use self::ffi::{Api, ConfDirApi, Conversation, Handle, code, item};
use crate::LibraryError;
use crate::library::Loaded;

/// The library's name, as the system's loader finds it.
pub const LIBRARY: &str = "libpam.so.0";

/// Its Debian package.
pub const PACKAGE: &str = "libpam0g";

/// The library, loaded.
pub struct Pam {
    api: Api,
    /// Newer than the rest: Linux-PAM 1.4.
    in_folder: Option<ConfDirApi>,
}

/// What to check.
#[derive(Clone, Copy, Debug)]
pub struct Check<'a> {
    /// The service, a file in `/etc/pam.d` or in `folder`.
    pub service: &'a str,
    /// The folder with the service's file, if not `/etc/pam.d`.
    pub folder: Option<&'a Path>,
    /// The user name.
    pub login: &'a str,
    /// Its password.
    pub password: &'a SecretString,
    /// The client's address, for modules such as `pam_access`.
    pub peer: Option<&'a str>,
}

/// What PAM says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Password and account are valid; the name is what the modules have turned the login into.
    Granted(String),
    /// There is no such account.
    UnknownUser,
    /// The password is wrong.
    WrongPassword,
    /// Too many wrong passwords.
    Locked,
    /// The account has expired.
    AccountExpired,
    /// The password must be changed first.
    PasswordExpired,
    /// A module refuses access now, or from there.
    NotNow,
    /// That cannot be determined; in PAM's words.
    Unavailable(String),
}

impl Pam {
    /// Loads the library.
    ///
    /// # Errors
    ///
    /// [`LibraryError`], which names what to install.
    pub fn load(library: &str) -> Result<Self, LibraryError> {
        let loaded = Loaded::open(library, PACKAGE)?;
        Ok(Self {
            api: Api::load(&loaded)?,
            in_folder: ConfDirApi::load(&loaded).ok(),
        })
    }

    /// Asks PAM: `pam_authenticate`, then `pam_acct_mgmt`. Prompts other than one for the password are not answered.
    pub fn check(&self, check: &Check<'_>) -> Verdict {
        let password = Password::new(check.password);
        let (Some(password), Ok(service), Ok(login)) =
            (password, CString::new(check.service), CString::new(check.login))
        else {
            return Verdict::WrongPassword;
        };
        let conversation = Conversation {
            answer: conversation::answer,
            data: ptr::from_ref(&password).cast_mut().cast(),
        };
        match self.start(check, &service, &login, &conversation) {
            Ok(mut transaction) => transaction.run(check),
            Err(verdict) => verdict,
        }
    }

    fn start<'a>(
        &'a self,
        check: &Check<'_>,
        service: &CStr,
        login: &CStr,
        conversation: &'a Conversation,
    ) -> Result<Transaction<'a>, Verdict> {
        let mut handle: Handle = ptr::null_mut();
        let status = match (check.folder, &self.in_folder) {
            // SAFETY: The texts outlive the call, which copies them; the conversation outlives the transaction, whose
            // lifetime says so. The library writes the handle.
            (None, _) => unsafe {
                (self.api.pam_start)(service.as_ptr(), login.as_ptr(), conversation, &raw mut handle)
            },
            (Some(folder), Some(api)) => {
                let folder = CString::new(folder.as_os_str().as_encoded_bytes())
                    .map_err(|_| Verdict::Unavailable("a folder with a NUL".into()))?;
                // SAFETY: As above.
                unsafe {
                    (api.pam_start_confdir)(
                        service.as_ptr(),
                        login.as_ptr(),
                        conversation,
                        folder.as_ptr(),
                        &raw mut handle,
                    )
                }
            }
            (Some(_), None) => {
                let old = "this PAM knows no folder but /etc/pam.d";
                return Err(Verdict::Unavailable(old.into()));
            }
        };
        if status != code::SUCCESS || handle.is_null() {
            return Err(Verdict::Unavailable(format!("PAM does not start, code {status}")));
        }
        Ok(Transaction {
            api: &self.api,
            handle,
            status,
            _conversation: conversation,
        })
    }
}

/// One transaction, ended when dropped.
struct Transaction<'a> {
    api: &'a Api,
    handle: Handle,
    status: std::ffi::c_int,
    _conversation: &'a Conversation,
}

impl Transaction<'_> {
    fn run(&mut self, check: &Check<'_>) -> Verdict {
        if let Some(peer) = check.peer.and_then(|peer| CString::new(peer).ok()) {
            // SAFETY: The handle is alive; the library copies the text.
            self.status =
                unsafe { (self.api.pam_set_item)(self.handle, item::REMOTE_HOST, peer.as_ptr().cast()) };
        }
        let flags = ffi::SILENT | ffi::NO_EMPTY_PASSWORD;
        // SAFETY: The handle is alive, and so is the conversation that it calls.
        self.status = unsafe { (self.api.pam_authenticate)(self.handle, flags) };
        if self.status != code::SUCCESS {
            return self.refused();
        }
        // SAFETY: As above.
        self.status = unsafe { (self.api.pam_acct_mgmt)(self.handle, flags) };
        if self.status != code::SUCCESS {
            return self.refused();
        }
        Verdict::Granted(self.user().unwrap_or_else(|| check.login.to_owned()))
    }

    /// The login as the modules have it.
    fn user(&self) -> Option<String> {
        let mut value = ptr::null();
        // SAFETY: The handle is alive; the library writes a pointer to a text of its own.
        let status = unsafe { (self.api.pam_get_item)(self.handle, item::USER, &raw mut value) };
        if status != code::SUCCESS || value.is_null() {
            return None;
        }
        // SAFETY: The item is a NUL-terminated text, and lives until the handle is used again.
        let text = unsafe { CStr::from_ptr(value.cast()) };
        text.to_str().ok().map(str::to_owned)
    }

    fn refused(&self) -> Verdict {
        match self.status {
            code::USER_UNKNOWN => Verdict::UnknownUser,
            code::AUTH_ERR => Verdict::WrongPassword,
            code::MAX_TRIES => Verdict::Locked,
            code::ACCOUNT_EXPIRED => Verdict::AccountExpired,
            code::NEW_PASSWORD | code::CREDENTIALS_EXPIRED | code::PASSWORD_EXPIRED => {
                Verdict::PasswordExpired
            }
            code::PERMISSION_DENIED => Verdict::NotNow,
            code::CONVERSATION => {
                Verdict::Unavailable("the service asks for something else than one password".into())
            }
            other => Verdict::Unavailable(self.text(other)),
        }
    }

    fn text(&self, status: std::ffi::c_int) -> String {
        // SAFETY: The handle is alive; the text is a constant of the library.
        let text = unsafe { (self.api.pam_strerror)(self.handle, status) };
        if text.is_null() {
            return format!("PAM code {status}");
        }
        // SAFETY: It is NUL-terminated.
        let text = unsafe { CStr::from_ptr(text) };
        text.to_string_lossy()
            .chars()
            .filter(|c| !c.is_control())
            .take(200)
            .collect()
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        // SAFETY: The handle is alive, and used no more.
        unsafe { (self.api.pam_end)(self.handle, self.status) };
    }
}

impl Password {
    /// `None` for one containing NUL, where C would truncate it.
    fn new(password: &SecretString) -> Option<Self> {
        let octets = password.expose_secret().as_bytes();
        if octets.contains(&0) {
            return None;
        }
        let mut text = Zeroizing::new(Vec::with_capacity(octets.len() + 1));
        text.extend_from_slice(octets);
        text.push(0);
        Some(Self::with_nul(text))
    }
}
