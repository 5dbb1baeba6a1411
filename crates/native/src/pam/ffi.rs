//! The types and functions of `security/pam_appl.h` that are used here.

use std::ffi::{c_char, c_int, c_void};

use crate::library::functions;

/// `pam_handle_t`.
pub(crate) type Handle = *mut c_void;

/// `struct pam_message`.
#[repr(C)]
pub(crate) struct Message {
    pub(crate) style: c_int,
    /// Not read: modules may say anything, in any language.
    _text: *const c_char,
}

/// `struct pam_response`. The library frees the text, and the array of them.
#[repr(C)]
pub(crate) struct Response {
    pub(crate) text: *mut c_char,
    pub(crate) code: c_int,
}

/// The function that answers prompts.
pub(crate) type Answer =
    unsafe extern "C" fn(c_int, *mut *const Message, *mut *mut Response, *mut c_void) -> c_int;

/// `struct pam_conv`.
#[repr(C)]
pub(crate) struct Conversation {
    pub(crate) answer: Answer,
    pub(crate) data: *mut c_void,
}

/// `PAM_SILENT` and `PAM_DISALLOW_NULL_AUTHTOK`.
pub(crate) const SILENT: c_int = 0x8000;
pub(crate) const NO_EMPTY_PASSWORD: c_int = 1;

/// Items of a transaction.
pub(crate) mod item {
    use std::ffi::c_int;

    pub(crate) const USER: c_int = 2;
    pub(crate) const REMOTE_HOST: c_int = 4;
}

/// Kinds of prompts.
pub(crate) mod style {
    use std::ffi::c_int;

    pub(crate) const PROMPT_HIDDEN: c_int = 1;
    pub(crate) const ERROR: c_int = 3;
    pub(crate) const INFORMATION: c_int = 4;
}

/// What functions return.
pub(crate) mod code {
    use std::ffi::c_int;

    pub(crate) const SUCCESS: c_int = 0;
    pub(crate) const NO_MEMORY: c_int = 5;
    pub(crate) const PERMISSION_DENIED: c_int = 6;
    pub(crate) const AUTH_ERR: c_int = 7;
    pub(crate) const USER_UNKNOWN: c_int = 10;
    pub(crate) const MAX_TRIES: c_int = 11;
    pub(crate) const NEW_PASSWORD: c_int = 12;
    pub(crate) const ACCOUNT_EXPIRED: c_int = 13;
    pub(crate) const CREDENTIALS_EXPIRED: c_int = 16;
    pub(crate) const CONVERSATION: c_int = 19;
    pub(crate) const PASSWORD_EXPIRED: c_int = 27;
}

functions! {
    /// Functions of the library.
    Api {
        pam_start: unsafe extern "C" fn(*const c_char, *const c_char, *const Conversation, *mut Handle) -> c_int,
        pam_end: unsafe extern "C" fn(Handle, c_int) -> c_int,
        pam_set_item: unsafe extern "C" fn(Handle, c_int, *const c_void) -> c_int,
        pam_get_item: unsafe extern "C" fn(Handle, c_int, *mut *const c_void) -> c_int,
        pam_authenticate: unsafe extern "C" fn(Handle, c_int) -> c_int,
        pam_acct_mgmt: unsafe extern "C" fn(Handle, c_int) -> c_int,
        pam_strerror: unsafe extern "C" fn(Handle, c_int) -> *const c_char,
    }
}

functions! {
    /// What only newer libraries have.
    ConfDirApi {
        pam_start_confdir: unsafe extern "C" fn(
            *const c_char, *const c_char, *const Conversation, *const c_char, *mut Handle,
        ) -> c_int,
    }
}
