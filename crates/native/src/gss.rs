//! GSSAPI (RFC 2743, RFC 2744) over the MIT Kerberos library, safely.

mod context;
mod credential;
mod ffi;
mod name;
mod status;

pub use context::{Context, Step};
pub use credential::{Credential, Source};
pub use name::Name;
pub use status::{GssError, Status};

use std::ffi::c_void;
use std::fmt;
use std::sync::Arc;

use zeroize::Zeroize;

use self::ffi::{Api, Buffer};
use crate::LibraryError;
use crate::library::Loaded;

/// The library's name, as the system's loader finds it.
pub const LIBRARY: &str = "libgssapi_krb5.so.2";

/// Its Debian package.
pub const PACKAGE: &str = "libgssapi-krb5-2";

/// The library, loaded. Clones share it.
#[derive(Clone)]
pub struct Gss(Arc<Api>);

impl Gss {
    /// Loads the library by name, or from a path.
    ///
    /// # Errors
    ///
    /// [`LibraryError`], which names what to install.
    pub fn load(library: &str) -> Result<Self, LibraryError> {
        let loaded = Loaded::open(library, PACKAGE)?;
        Ok(Self(Arc::new(Api::load(&loaded)?)))
    }

    /// The realm that is the default in the host's Kerberos configuration.
    ///
    /// # Errors
    ///
    /// [`GssError`] if there is none.
    pub fn default_realm(&self) -> Result<String, GssError> {
        // A principal without a realm belongs to the default one, and in its canonical form the library includes it.
        let name = Name::principal(self, "postern")?.canonical()?.text()?;
        let realm = name.rsplit_once('@').map(|(_, realm)| realm.to_owned());
        realm.filter(|realm| !realm.is_empty()).ok_or(GssError::NoRealm)
    }

    fn api(&self) -> &Api {
        &self.0
    }

    /// Copies a buffer of the library, and releases it.
    fn take(&self, mut buffer: Buffer) -> Vec<u8> {
        let octets = self.copy(&buffer);
        let mut minor = 0;
        // SAFETY: The library has filled the buffer, and nobody uses it afterwards.
        unsafe { (self.api().gss_release_buffer)(&raw mut minor, &raw mut buffer) };
        octets
    }

    /// Copies a buffer that the library has filled and keeps.
    fn copy(&self, buffer: &Buffer) -> Vec<u8> {
        if buffer.value.is_null() || buffer.length == 0 {
            return Vec::new();
        }
        // SAFETY: A buffer that the library has filled has as many octets as it says, until it is released.
        unsafe { std::slice::from_raw_parts(buffer.value.cast::<u8>(), buffer.length) }.to_vec()
    }

    /// Wipes a library buffer that contains a key.
    fn wipe(&self, buffer: &Buffer) {
        if buffer.value.is_null() || buffer.length == 0 {
            return;
        }
        // SAFETY: As above; the buffers of a set belong to the caller until the set is released, and nobody else reads them.
        unsafe { std::slice::from_raw_parts_mut(buffer.value.cast::<u8>(), buffer.length) }.zeroize();
    }
}

impl fmt::Debug for Gss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gss")
    }
}

/// No channel bindings (RFC 4752 section 3.1).
const NO_BINDINGS: *const c_void = std::ptr::null();
