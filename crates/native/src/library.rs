//! Shared libraries: found, opened permanently, their functions looked up.

use std::ffi::CStr;

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

/// Keeps a library in memory for the life of the process, so that a function once looked up stays callable. The value is the
/// same in the GNU C library and in musl.
const RTLD_NODELETE: std::ffi::c_int = 0x1000;

/// A library that cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LibraryError {
    /// It does not exist, or cannot be loaded.
    #[error("the library {library} cannot be loaded ({reason}); install the package {package}")]
    Absent {
        /// The file's name or path.
        library: String,
        /// Debian's package.
        package: &'static str,
        /// What the system's loader says.
        reason: String,
    },
    /// It is another library, or an old one.
    #[error("the library {library} has no function {function}; {package} has it")]
    Foreign {
        /// The file's name or path.
        library: String,
        /// The package whose library has it.
        package: &'static str,
        /// The function.
        function: String,
    },
}

/// A library that stays loaded.
pub(crate) struct Loaded {
    library: Library,
    name: String,
    package: &'static str,
}

impl Loaded {
    /// Opens a library by its name, as the system's loader finds it, or by its path.
    pub(crate) fn open(name: &str, package: &'static str) -> Result<Self, LibraryError> {
        // SAFETY: Loading runs the library's initialisers. The name is a well-known system library's, or one that the
        // administrator has named; whoever can replace either owns the process already.
        let opened = unsafe { Library::open(Some(name), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) };
        let library = opened.map_err(|error| LibraryError::Absent {
            library: name.to_owned(),
            package,
            reason: said(&error),
        })?;
        Ok(Self {
            library,
            name: name.to_owned(),
            package,
        })
    }

    /// Looks a function up.
    ///
    /// # Safety
    ///
    /// `F` is a pointer to a function of the type that the library documents for this name.
    pub(crate) unsafe fn function<F: Copy>(&self, name: &CStr) -> Result<F, LibraryError> {
        // SAFETY: The caller vouches for the type. The library is never unloaded, so the pointer stays valid.
        let found = unsafe { self.library.get::<F>(name.to_bytes_with_nul()) };
        found.map(|symbol| *symbol).map_err(|_| LibraryError::Foreign {
            library: self.name.clone(),
            package: self.package,
            function: name.to_string_lossy().into_owned(),
        })
    }
}

/// What the loader says, in one line.
fn said(error: &dyn std::error::Error) -> String {
    let text = error
        .source()
        .map_or_else(|| error.to_string(), ToString::to_string);
    text.chars().filter(|c| !c.is_control()).collect()
}

/// Makes a table of functions of one library, and the code that fills it.
macro_rules! functions {
    ($(#[$meta:meta])* $table:ident { $($(#[$about:meta])* $name:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy)]
        pub(crate) struct $table {
            $($(#[$about])* pub(crate) $name: $type,)*
        }

        impl $table {
            /// Looks all functions up.
            pub(crate) fn load(library: &$crate::library::Loaded) -> Result<Self, $crate::LibraryError> {
                Ok(Self {
                    $(
                        // SAFETY: The type is the one that the library's header declares.
                        $name: unsafe {
                            library.function::<$type>(
                                std::ffi::CStr::from_bytes_with_nul(concat!(stringify!($name), "\0").as_bytes())
                                    .unwrap_or_default(),
                            )
                        }?,
                    )*
                })
            }
        }
    };
}
pub(crate) use functions;
