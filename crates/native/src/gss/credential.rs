//! Credentials: a server's keytab, a client's keytab or tickets.

use std::ffi::CString;
use std::path::Path;
use std::ptr;

use super::ffi::{self, Handle, KeyValue, KeyValueSet, OidSet};
use super::{Gss, GssError, Name};

/// Where credentials come from. For what is named here, the process's environment is ignored.
#[derive(Clone, Debug, Default)]
pub struct Source {
    pairs: Vec<(&'static str, String)>,
}

impl Source {
    /// A server's keytab, and its replay cache file, so that nothing can be used twice.
    #[must_use]
    pub fn acceptor(keytab: &Path, replay_cache: &Path) -> Self {
        Self::default()
            .with("keytab", format!("FILE:{}", keytab.display()))
            .with("rcache", format!("file2:{}", replay_cache.display()))
    }

    /// A client's tickets: a credential cache as the library names it, such as `FILE:/run/krb5cc` or `MEMORY:name`.
    #[must_use]
    pub fn tickets(cache: &str) -> Self {
        Self::default().with("ccache", cache.to_owned())
    }

    /// In addition to [`tickets`](Self::tickets): the keytab with which tickets are fetched if the cache has no valid
    /// ones.
    #[must_use]
    pub fn with_client_keytab(self, keytab: &Path) -> Self {
        self.with("client_keytab", format!("FILE:{}", keytab.display()))
    }

    fn with(mut self, key: &'static str, value: String) -> Self {
        self.pairs.push((key, value));
        self
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (number, (key, value)) in self.pairs.iter().enumerate() {
            let comma = if number > 0 { ", " } else { "" };
            write!(f, "{comma}{key} {value}")?;
        }
        Ok(())
    }
}

/// Credentials for Kerberos 5 only, held until dropped.
pub struct Credential {
    gss: Gss,
    handle: Handle,
}

// SAFETY: The library's handles of credentials may be used from any thread; it locks them itself.
unsafe impl Send for Credential {}

impl Credential {
    /// A server's credentials: any key in the keytab.
    ///
    /// # Errors
    ///
    /// [`GssError`]: the keytab does not exist, or has no key.
    pub fn acceptor(gss: &Gss, source: &Source) -> Result<Self, GssError> {
        Self::acquire(gss, None, ffi::ACCEPT, source)
    }

    /// A client's credentials, for `name` or for the source's own principal. May contact the Kerberos servers.
    ///
    /// # Errors
    ///
    /// [`GssError`]: no ticket can be obtained.
    pub fn initiator(gss: &Gss, name: Option<&Name>, source: &Source) -> Result<Self, GssError> {
        Self::acquire(gss, name, ffi::INITIATE, source)
    }

    fn acquire(
        gss: &Gss,
        name: Option<&Name>,
        usage: std::ffi::c_int,
        source: &Source,
    ) -> Result<Self, GssError> {
        let text = |text: &str| CString::new(text).map_err(|_| GssError::Nul("a path"));
        let mut pairs = Vec::with_capacity(source.pairs.len());
        for (key, value) in &source.pairs {
            pairs.push((text(key)?, text(value)?));
        }
        let elements: Vec<KeyValue> = pairs
            .iter()
            .map(|(key, value)| KeyValue {
                key: key.as_ptr(),
                value: value.as_ptr(),
            })
            .collect();
        let store = KeyValueSet {
            count: u32::try_from(elements.len()).unwrap_or_default(),
            elements: elements.as_ptr(),
        };
        let mechanisms = OidSet {
            count: 1,
            elements: &raw const ffi::KRB5,
        };
        let (mut minor, mut handle) = (0, ptr::null_mut());
        // SAFETY: The texts, the set of them and the name outlive the call, which reads them and writes the handle.
        let major = unsafe {
            (gss.api().gss_acquire_cred_from)(
                &raw mut minor,
                name.map_or(ptr::null_mut(), Name::handle),
                0, // the default lifetime
                &raw const mechanisms,
                usage,
                &raw const store,
                &raw mut handle,
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        gss.check(major, minor)?;
        Ok(Self {
            gss: gss.clone(),
            handle,
        })
    }

    pub(super) fn handle(&self) -> Handle {
        self.handle
    }

    pub(super) fn gss(&self) -> Gss {
        self.gss.clone()
    }
}

impl Drop for Credential {
    fn drop(&mut self) {
        if !self.handle.is_null() {
            let mut minor = 0;
            // SAFETY: The handle is alive and used by nobody else.
            unsafe { (self.gss.api().gss_release_cred)(&raw mut minor, &raw mut self.handle) };
        }
    }
}
