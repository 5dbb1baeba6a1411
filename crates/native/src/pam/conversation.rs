//! What modules may ask: only the password, once.

use std::cell::Cell;
use std::ffi::{c_char, c_int, c_void};
use std::ptr;

use zeroize::Zeroizing;

use super::ffi::{Message, Response, code, style};

/// Most prompts in one call: the library's own bound.
const PROMPTS_MAX: usize = 32;

unsafe extern "C" {
    /// From the C library, since PAM frees what it is given with `free`.
    fn calloc(count: usize, size: usize) -> *mut c_void;
    fn free(pointer: *mut c_void);
}

/// The only answer.
pub(super) struct Password {
    /// NUL-terminated.
    text: Zeroizing<Vec<u8>>,
    given: Cell<bool>,
}

impl Password {
    pub(super) fn with_nul(text: Zeroizing<Vec<u8>>) -> Self {
        Self {
            text,
            given: Cell::new(false),
        }
    }

    /// A copy that the library frees. `None` if it was already given, or if there is no memory.
    fn give(&self) -> Option<*mut c_char> {
        if self.given.replace(true) {
            return None;
        }
        // SAFETY: `calloc` gives null or room for as many octets as it was asked for.
        let copy = unsafe { calloc(self.text.len(), 1) }.cast::<u8>();
        if copy.is_null() {
            return None;
        }
        // SAFETY: Both have room for the text, and do not overlap.
        unsafe { ptr::copy_nonoverlapping(self.text.as_ptr(), copy, self.text.len()) };
        Some(copy.cast())
    }
}

/// `conv` of `struct pam_conv`. A prompt for anything but a hidden text (a name, a new password, a second factor) ends
/// the login, and never hangs.
///
/// # Safety
///
/// Only to be called by PAM, with the transaction's [`Password`] as data.
pub(super) unsafe extern "C" fn answer(
    count: c_int,
    messages: *mut *const Message,
    responses: *mut *mut Response,
    data: *mut c_void,
) -> c_int {
    let count = usize::try_from(count).unwrap_or(0);
    if count == 0 || count > PROMPTS_MAX || messages.is_null() || responses.is_null() || data.is_null() {
        return code::CONVERSATION;
    }
    // SAFETY: The data is the password of this transaction, which outlives it.
    let password = unsafe { &*data.cast::<Password>() };
    // SAFETY: Linux-PAM gives an array of as many pointers as it says.
    let prompts = unsafe { std::slice::from_raw_parts(messages, count) };
    // SAFETY: `calloc` gives null or room for that many responses, all zero, which is a response without text.
    let answers = unsafe { calloc(count, size_of::<Response>()) }.cast::<Response>();
    if answers.is_null() {
        return code::NO_MEMORY;
    }
    // SAFETY: The room is there, zeroed, aligned for any type, and not shared.
    let made = unsafe { std::slice::from_raw_parts_mut(answers, count) };
    if fill(prompts, made, password).is_none() {
        for answer in made {
            release(answer);
        }
        // SAFETY: It came from `calloc`, and nothing points to it any more.
        unsafe { free(answers.cast()) };
        return code::CONVERSATION;
    }
    // SAFETY: The library has given a place for the array, and frees it.
    unsafe { *responses = answers };
    code::SUCCESS
}

fn fill(prompts: &[*const Message], answers: &mut [Response], password: &Password) -> Option<()> {
    for (&prompt, answer) in prompts.iter().zip(answers) {
        if prompt.is_null() {
            return None;
        }
        // SAFETY: The library's messages live for the call.
        let prompt = unsafe { &*prompt };
        match prompt.style {
            style::PROMPT_HIDDEN => answer.text = password.give()?,
            style::ERROR | style::INFORMATION => {}
            _ => return None,
        }
        answer.code = 0;
    }
    Some(())
}

/// Wipes and frees an answer that is not used after all.
fn release(answer: &mut Response) {
    if answer.text.is_null() {
        return;
    }
    let mut at = answer.text;
    // SAFETY: The text is NUL-terminated, and not shared.
    while unsafe { *at } != 0 {
        // SAFETY: As above.
        unsafe { ptr::write_volatile(at, 0) };
        at = at.wrapping_add(1);
    }
    // SAFETY: It came from `calloc`, and nothing points to it any more.
    unsafe { free(answer.text.cast()) };
    answer.text = ptr::null_mut();
}
