//! Names: of services, and of principals.

use std::ptr;

use super::ffi::{Buffer, HOST_SERVICE, Handle, KRB5, Oid, PRINCIPAL};
use super::{Gss, GssError};

/// A name, in the library's own form.
pub struct Name {
    gss: Gss,
    handle: Handle,
}

// SAFETY: A name is a value without ties to the thread that made it; the library locks what its calls share.
unsafe impl Send for Name {}

impl Name {
    /// A service on a host. The Kerberos configuration determines its principal.
    ///
    /// # Errors
    ///
    /// [`GssError`] if the library does not accept it.
    pub fn service(gss: &Gss, service: &str, host: &str) -> Result<Self, GssError> {
        Self::import(gss, &format!("{service}@{host}"), &HOST_SERVICE)
    }

    /// A principal, as `name@REALM`.
    ///
    /// # Errors
    ///
    /// [`GssError`] if the library does not accept it.
    pub fn principal(gss: &Gss, principal: &str) -> Result<Self, GssError> {
        Self::import(gss, principal, &PRINCIPAL)
    }

    fn import(gss: &Gss, text: &str, kind: &'static Oid) -> Result<Self, GssError> {
        if text.contains('\0') {
            return Err(GssError::Nul("a name"));
        }
        let buffer = Buffer::reading(text.as_bytes());
        let (mut minor, mut handle) = (0, ptr::null_mut());
        // SAFETY: The buffer points to `text`, which lives on; the library reads it and writes the handle.
        let major = unsafe {
            (gss.api().gss_import_name)(
                &raw mut minor,
                &raw const buffer,
                ptr::from_ref(kind),
                &raw mut handle,
            )
        };
        gss.check(major, minor)?;
        Ok(Self::own(gss, handle))
    }

    /// The name as Kerberos has it: a principal without a realm gets the default one, a service its principal.
    ///
    /// # Errors
    ///
    /// [`GssError`] when there is none.
    pub fn canonical(&self) -> Result<Self, GssError> {
        let (mut minor, mut handle) = (0, ptr::null_mut());
        // SAFETY: The name is alive, the mechanism a constant; the library writes a new name, which is owned from here on.
        let major = unsafe {
            (self.gss.api().gss_canonicalize_name)(
                &raw mut minor,
                self.handle,
                &raw const KRB5,
                &raw mut handle,
            )
        };
        self.gss.check(major, minor)?;
        Ok(Self::own(&self.gss, handle))
    }

    /// Takes ownership of a name from the library.
    pub(super) fn own(gss: &Gss, handle: Handle) -> Self {
        Self {
            gss: gss.clone(),
            handle,
        }
    }

    pub(super) fn handle(&self) -> Handle {
        self.handle
    }

    /// The name as text; special characters are escaped with a backslash.
    ///
    /// # Errors
    ///
    /// [`GssError`] if the library cannot convert it.
    pub fn text(&self) -> Result<String, GssError> {
        if self.handle.is_null() {
            return Err(GssError::NoContext);
        }
        let (mut minor, mut buffer) = (0, Buffer::EMPTY);
        // SAFETY: The handle is a name that is alive; the library fills the buffer, and `take` releases it.
        let major = unsafe {
            (self.gss.api().gss_display_name)(&raw mut minor, self.handle, &raw mut buffer, ptr::null_mut())
        };
        self.gss.check(major, minor)?;
        Ok(String::from_utf8_lossy(&self.gss.take(buffer)).into_owned())
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        if !self.handle.is_null() {
            let mut minor = 0;
            // SAFETY: The handle is a name that is alive and used by nobody else.
            unsafe { (self.gss.api().gss_release_name)(&raw mut minor, &raw mut self.handle) };
        }
    }
}
