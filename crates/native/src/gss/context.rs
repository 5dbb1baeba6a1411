//! Security contexts of both sides.

use std::ptr;

use zeroize::Zeroizing;

use super::ffi::{self, Buffer, BufferSet, FAILURE_MASK, Handle, KRB5_OCTETS, Oid, flag};
use super::{Credential, Gss, GssError, NO_BINDINGS, Name};

/// Bits shown if the library does not say how long the key is: those of the oldest cipher.
const BITS_UNKNOWN: u32 = 56;

/// The result of processing a token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Step {
    /// What to send; empty for nothing.
    pub token: Vec<u8>,
    /// Whether the context is established.
    pub established: bool,
}

/// One context.
pub struct Context {
    gss: Gss,
    handle: Handle,
    side: Side,
    flags: u32,
    established: bool,
}

enum Side {
    Acceptor(Credential),
    Initiator { credential: Credential, target: Name },
}

// SAFETY: A context may be used from any thread, by one at a time: all that changes it takes `&mut self`, and it is not `Sync`.
unsafe impl Send for Context {}

impl Context {
    /// A server's context, for a client that has yet to speak.
    #[must_use]
    pub fn acceptor(credential: Credential) -> Self {
        Self::new(credential.gss(), Side::Acceptor(credential))
    }

    /// A client's context for a service. Requests mutual authentication, sequence detection, integrity and confidentiality.
    #[must_use]
    pub fn initiator(credential: Credential, target: Name) -> Self {
        Self::new(credential.gss(), Side::Initiator { credential, target })
    }

    fn new(gss: Gss, side: Side) -> Self {
        Self {
            gss,
            handle: ptr::null_mut(),
            side,
            flags: 0,
            established: false,
        }
    }

    /// Takes the peer's token; none for a client's first step.
    ///
    /// # Errors
    ///
    /// [`GssError`]; the context cannot be used any more.
    pub fn step(&mut self, token: &[u8]) -> Result<Step, GssError> {
        if self.established {
            return Err(GssError::NoContext);
        }
        let input = Buffer::reading(token);
        let mut output = Buffer::EMPTY;
        let (mut minor, mut flags) = (0, 0);
        let mut mechanism: *const Oid = ptr::null();
        let major = match &self.side {
            // SAFETY: The credential is alive, the input outlives the call; the library makes or changes the context behind
            // the handle, fills the output, and sets the mechanism to a constant of its own. Names and delegated
            // credentials are not asked for.
            Side::Acceptor(credential) => unsafe {
                (self.gss.api().gss_accept_sec_context)(
                    &raw mut minor,
                    &raw mut self.handle,
                    credential.handle(),
                    &raw const input,
                    NO_BINDINGS,
                    ptr::null_mut(),
                    &raw mut mechanism,
                    &raw mut output,
                    &raw mut flags,
                    ptr::null_mut(),
                    ptr::null_mut(),
                )
            },
            // SAFETY: As above; the target is alive, too.
            Side::Initiator { credential, target } => unsafe {
                (self.gss.api().gss_init_sec_context)(
                    &raw mut minor,
                    credential.handle(),
                    &raw mut self.handle,
                    target.handle(),
                    &raw const ffi::KRB5,
                    flag::MUTUAL | flag::REPLAY | flag::SEQUENCE | flag::CONFIDENTIALITY | flag::INTEGRITY,
                    0, // the default lifetime
                    NO_BINDINGS,
                    &raw const input,
                    &raw mut mechanism,
                    &raw mut output,
                    &raw mut flags,
                    ptr::null_mut(),
                )
            },
        };
        // A failure may come with a token for the peer, which SASL cannot carry.
        let token = self.gss.take(output);
        let left = self.gss.check(major, minor)?;
        let established = left & ffi::CONTINUE == 0;
        if established && !is_kerberos(mechanism) {
            return Err(GssError::Mechanism);
        }
        self.established = established;
        self.flags = flags;
        Ok(Step { token, established })
    }

    /// Whether the server is authenticated too.
    #[must_use]
    pub fn is_mutual(&self) -> bool {
        self.flags & flag::MUTUAL != 0
    }

    /// Whether repeated, missing or reordered messages are detected.
    #[must_use]
    pub fn keeps_sequence(&self) -> bool {
        self.flags & flag::SEQUENCE != 0
    }

    /// Whether messages can be protected against changes.
    #[must_use]
    pub fn has_integrity(&self) -> bool {
        self.flags & flag::INTEGRITY != 0
    }

    /// Whether messages can be encrypted.
    #[must_use]
    pub fn has_confidentiality(&self) -> bool {
        self.flags & flag::CONFIDENTIALITY != 0
    }

    fn established(&self) -> Result<Handle, GssError> {
        if self.established {
            Ok(self.handle)
        } else {
            Err(GssError::NoContext)
        }
    }

    /// The principals of the initiator and of the acceptor, and how many seconds the ticket is still valid; `None` if it does not
    /// expire.
    ///
    /// # Errors
    ///
    /// [`GssError`] before the context is established, or if the ticket has expired.
    pub fn principals(&self) -> Result<(String, String, Option<u32>), GssError> {
        let context = self.established()?;
        let (mut minor, mut source, mut target) = (0, ptr::null_mut(), ptr::null_mut());
        let mut lifetime = 0;
        // SAFETY: The context is alive; the library writes two names, which are owned from here on, and a number. Outputs that
        // are not wanted are null.
        let major = unsafe {
            (self.gss.api().gss_inquire_context)(
                &raw mut minor,
                context,
                &raw mut source,
                &raw mut target,
                &raw mut lifetime,
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        let (source, target) = (Name::own(&self.gss, source), Name::own(&self.gss, target));
        self.gss.check(major, minor)?;
        let left = Some(lifetime).filter(|lifetime| *lifetime != ffi::INDEFINITE);
        Ok((source.text()?, target.text()?, left))
    }

    /// Effective bits of the key that encrypts.
    #[must_use]
    pub fn bits(&self) -> u32 {
        let told = self.inquire(&ffi::SASL_SSF).and_then(|parts| {
            let octets = parts.first()?.as_slice().try_into().ok()?;
            Some(u32::from_be_bytes(octets))
        });
        told.filter(|bits| (1..=4_096).contains(bits))
            .or_else(|| self.bits_of_key())
            .unwrap_or(BITS_UNKNOWN)
    }

    /// The same for a library that does not tell: from the length of the key.
    fn bits_of_key(&self) -> Option<u32> {
        let parts = self.inquire(&ffi::SESSION_KEY)?;
        match parts.first()?.len() {
            8 => Some(56),
            // Triple DES has three keys of 56 bits, and is as strong as two of them.
            24 => Some(112),
            length => u32::try_from(length * 8).ok().filter(|bits| *bits > 0),
        }
    }

    /// Asks for a property of the context.
    fn inquire(&self, property: &'static Oid) -> Option<Vec<Zeroizing<Vec<u8>>>> {
        let context = self.established().ok()?;
        let mut minor = 0;
        let mut set: *mut BufferSet = ptr::null_mut();
        // SAFETY: The context is alive, and the property is a constant; the library makes the set.
        let major = unsafe {
            (self.gss.api().gss_inquire_sec_context_by_oid)(
                &raw mut minor,
                context,
                ptr::from_ref(property),
                &raw mut set,
            )
        };
        if set.is_null() {
            return None;
        }
        // SAFETY: The library has made the set, and keeps it until it is released.
        let made = unsafe { &*set };
        let buffers = if major & FAILURE_MASK != 0 || made.elements.is_null() {
            &[]
        } else {
            // SAFETY: A set has as many buffers as it says.
            unsafe { std::slice::from_raw_parts(made.elements, made.count) }
        };
        let parts: Vec<_> = buffers
            .iter()
            .map(|buffer| Zeroizing::new(self.gss.copy(buffer)))
            .collect();
        for buffer in buffers {
            self.gss.wipe(buffer);
        }
        // SAFETY: The set is released once, and not used again.
        unsafe { (self.gss.api().gss_release_buffer_set)(&raw mut minor, &raw mut set) };
        Some(parts)
    }

    /// Most octets that fit into a token of at most `token_max`.
    ///
    /// # Errors
    ///
    /// [`GssError`] before the context is established, or without such protection.
    pub fn wrap_size_max(&self, confidential: bool, token_max: usize) -> Result<usize, GssError> {
        let context = self.established()?;
        let token_max = u32::try_from(token_max).unwrap_or(u32::MAX);
        let (mut minor, mut size) = (0, 0);
        // SAFETY: The context is alive; the library writes a number.
        let major = unsafe {
            (self.gss.api().gss_wrap_size_limit)(
                &raw mut minor,
                context,
                i32::from(confidential),
                0, // the default quality
                token_max,
                &raw mut size,
            )
        };
        self.gss.check(major, minor)?;
        Ok(usize::try_from(size).unwrap_or_default())
    }

    /// Protects a message; with `confidential`, it is encrypted or an error is returned.
    ///
    /// # Errors
    ///
    /// [`GssError`] before the context is established, or if the library cannot.
    pub fn wrap(&mut self, plain: &[u8], confidential: bool) -> Result<Vec<u8>, GssError> {
        let context = self.established()?;
        let input = Buffer::reading(plain);
        let mut output = Buffer::EMPTY;
        let (mut minor, mut encrypted) = (0, 0);
        // SAFETY: The context is alive, the input outlives the call; the library fills the output, which `take` releases.
        let major = unsafe {
            (self.gss.api().gss_wrap)(
                &raw mut minor,
                context,
                i32::from(confidential),
                0, // the default quality
                &raw const input,
                &raw mut encrypted,
                &raw mut output,
            )
        };
        let token = self.gss.take(output);
        self.gss.check(major, minor)?;
        if confidential && encrypted == 0 {
            return Err(GssError::NoContext);
        }
        Ok(token)
    }

    /// Opens the peer's next message, and says whether it was encrypted. A repeated, missing or reordered one is an error.
    ///
    /// # Errors
    ///
    /// [`GssError`]; nothing that follows can be trusted.
    pub fn unwrap(&mut self, token: &[u8]) -> Result<(Vec<u8>, bool), GssError> {
        let context = self.established()?;
        let input = Buffer::reading(token);
        let mut output = Buffer::EMPTY;
        let (mut minor, mut encrypted) = (0, 0);
        // SAFETY: As in `wrap`.
        let major = unsafe {
            (self.gss.api().gss_unwrap)(
                &raw mut minor,
                context,
                &raw const input,
                &raw mut output,
                &raw mut encrypted,
                ptr::null_mut(),
            )
        };
        let plain = self.gss.take(output);
        if major != 0 {
            return Err(self.gss.status(major, minor).into());
        }
        Ok((plain, encrypted != 0))
    }
}

/// Whether the mechanism that the library names is Kerberos 5.
fn is_kerberos(mechanism: *const Oid) -> bool {
    if mechanism.is_null() {
        return false;
    }
    // SAFETY: The library has set the pointer to an identifier of its own that lives as long as the process.
    let oid = unsafe { &*mechanism };
    let length = usize::try_from(oid.length).unwrap_or_default();
    if oid.elements.is_null() {
        return false;
    }
    // SAFETY: An identifier has as many octets as it says.
    unsafe { std::slice::from_raw_parts(oid.elements.cast::<u8>(), length) == KRB5_OCTETS }
}

impl Drop for Context {
    fn drop(&mut self) {
        if !self.handle.is_null() {
            let mut minor = 0;
            // SAFETY: The context is alive and used by nobody else; no output token is wanted.
            unsafe {
                (self.gss.api().gss_delete_sec_context)(
                    &raw mut minor,
                    &raw mut self.handle,
                    ptr::null_mut(),
                );
            };
        }
    }
}
