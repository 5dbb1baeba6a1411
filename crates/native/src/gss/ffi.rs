//! The types and functions of `gssapi/gssapi.h` and `gssapi/gssapi_ext.h` (RFC 2744) that are used here.

use std::ffi::{c_char, c_int, c_void};
use std::ptr;

use crate::library::functions;

/// `gss_buffer_desc`.
#[repr(C)]
pub(crate) struct Buffer {
    pub(crate) length: usize,
    pub(crate) value: *mut c_void,
}

impl Buffer {
    pub(crate) const EMPTY: Self = Self {
        length: 0,
        value: ptr::null_mut(),
    };

    /// A buffer for reading. The library does not change its input, whatever the pointer's type says.
    pub(crate) fn reading(octets: &[u8]) -> Self {
        Self {
            length: octets.len(),
            value: octets.as_ptr().cast_mut().cast(),
        }
    }
}

/// `gss_OID_desc`.
#[repr(C)]
pub(crate) struct Oid {
    pub(crate) length: u32,
    pub(crate) elements: *const c_void,
}

// SAFETY: It is only read, and points to octets that are never changed.
unsafe impl Sync for Oid {}

impl Oid {
    const fn of(octets: &'static [u8]) -> Self {
        Self {
            // Object identifiers here are a dozen octets long.
            length: octets.len() as u32,
            elements: octets.as_ptr().cast(),
        }
    }
}

/// `GSS_C_INDEFINITE`: no expiry.
pub(crate) const INDEFINITE: u32 = u32::MAX;

/// Kerberos 5 (1.2.840.113554.1.2.2).
pub(crate) static KRB5: Oid = Oid::of(b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02");
/// The same in octets.
pub(crate) const KRB5_OCTETS: &[u8] = b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02";
/// `GSS_C_NT_HOSTBASED_SERVICE`: `service@host`.
pub(crate) static HOST_SERVICE: Oid = Oid::of(b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x01\x04");
/// `GSS_KRB5_NT_PRINCIPAL_NAME`: a principal as Kerberos writes it.
pub(crate) static PRINCIPAL: Oid = Oid::of(b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x01");
/// `GSS_C_SEC_CONTEXT_SASL_SSF`: effective bits of the key.
pub(crate) static SASL_SSF: Oid = Oid::of(b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x05\x0f");
/// `GSS_C_INQ_SSPI_SESSION_KEY`: the key, and its kind.
pub(crate) static SESSION_KEY: Oid = Oid::of(b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x05\x05");

/// `gss_OID_set_desc`.
#[repr(C)]
pub(crate) struct OidSet {
    pub(crate) count: usize,
    pub(crate) elements: *const Oid,
}

/// `gss_buffer_set_desc`.
#[repr(C)]
pub(crate) struct BufferSet {
    pub(crate) count: usize,
    pub(crate) elements: *mut Buffer,
}

/// `gss_key_value_element_desc`.
#[repr(C)]
pub(crate) struct KeyValue {
    pub(crate) key: *const c_char,
    pub(crate) value: *const c_char,
}

/// `gss_key_value_set_desc`.
#[repr(C)]
pub(crate) struct KeyValueSet {
    pub(crate) count: u32,
    pub(crate) elements: *const KeyValue,
}

/// `gss_cred_id_t`, `gss_ctx_id_t` and `gss_name_t`: pointers to what only the library knows.
pub(crate) type Handle = *mut c_void;

/// `GSS_C_INITIATE` and `GSS_C_ACCEPT`.
pub(crate) const INITIATE: c_int = 1;
pub(crate) const ACCEPT: c_int = 2;

/// `GSS_C_GSS_CODE` and `GSS_C_MECH_CODE`, which number to turn into text.
pub(crate) const GSS_CODE: c_int = 1;
pub(crate) const MECH_CODE: c_int = 2;

/// `GSS_S_CONTINUE_NEEDED`.
pub(crate) const CONTINUE: u32 = 1;

/// Bits of a status that mean failure.
pub(crate) const FAILURE_MASK: u32 = 0xffff_0000;

/// Routine errors, in bits 16 to 23.
pub(crate) mod routine {
    pub(crate) const NO_CRED: u32 = 7;
    pub(crate) const DEFECTIVE_TOKEN: u32 = 9;
    pub(crate) const CREDENTIALS_EXPIRED: u32 = 11;
}

/// Flags of a context.
pub(crate) mod flag {
    pub(crate) const MUTUAL: u32 = 2;
    pub(crate) const REPLAY: u32 = 4;
    pub(crate) const SEQUENCE: u32 = 8;
    pub(crate) const CONFIDENTIALITY: u32 = 16;
    pub(crate) const INTEGRITY: u32 = 32;
}

type Status = u32;
type Minor = *mut u32;

functions! {
    /// Functions of the library.
    Api {
        gss_acquire_cred_from: unsafe extern "C" fn(
            Minor, Handle, u32, *const OidSet, c_int, *const KeyValueSet, *mut Handle, *mut *mut OidSet, *mut u32,
        ) -> Status,
        gss_release_cred: unsafe extern "C" fn(Minor, *mut Handle) -> Status,
        gss_import_name: unsafe extern "C" fn(Minor, *const Buffer, *const Oid, *mut Handle) -> Status,
        gss_canonicalize_name: unsafe extern "C" fn(Minor, Handle, *const Oid, *mut Handle) -> Status,
        gss_release_name: unsafe extern "C" fn(Minor, *mut Handle) -> Status,
        gss_display_name: unsafe extern "C" fn(Minor, Handle, *mut Buffer, *mut *const Oid) -> Status,
        gss_accept_sec_context: unsafe extern "C" fn(
            Minor, *mut Handle, Handle, *const Buffer, *const c_void, *mut Handle, *mut *const Oid, *mut Buffer,
            *mut u32, *mut u32, *mut Handle,
        ) -> Status,
        gss_init_sec_context: unsafe extern "C" fn(
            Minor, Handle, *mut Handle, Handle, *const Oid, u32, u32, *const c_void, *const Buffer,
            *mut *const Oid, *mut Buffer, *mut u32, *mut u32,
        ) -> Status,
        gss_delete_sec_context: unsafe extern "C" fn(Minor, *mut Handle, *mut Buffer) -> Status,
        gss_inquire_context: unsafe extern "C" fn(
            Minor, Handle, *mut Handle, *mut Handle, *mut u32, *mut *const Oid, *mut u32, *mut c_int, *mut c_int,
        ) -> Status,
        gss_inquire_sec_context_by_oid: unsafe extern "C" fn(
            Minor, Handle, *const Oid, *mut *mut BufferSet,
        ) -> Status,
        gss_release_buffer_set: unsafe extern "C" fn(Minor, *mut *mut BufferSet) -> Status,
        gss_wrap: unsafe extern "C" fn(
            Minor, Handle, c_int, u32, *const Buffer, *mut c_int, *mut Buffer,
        ) -> Status,
        gss_unwrap: unsafe extern "C" fn(
            Minor, Handle, *const Buffer, *mut Buffer, *mut c_int, *mut u32,
        ) -> Status,
        gss_wrap_size_limit: unsafe extern "C" fn(Minor, Handle, c_int, u32, u32, *mut u32) -> Status,
        gss_release_buffer: unsafe extern "C" fn(Minor, *mut Buffer) -> Status,
        gss_display_status: unsafe extern "C" fn(
            Minor, u32, c_int, *const Oid, *mut u32, *mut Buffer,
        ) -> Status,
    }
}
