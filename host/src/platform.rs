//! What operating systems do in ways of their own: owners and modes of files, the identity of a file, the limits of a process. Everything else of
//! this crate is the same everywhere.

pub(crate) use system::{address_space, identity, is_ours, private_directory, refused, sync_directory};

#[cfg(unix)]
mod system {
    use std::error::Error;
    use std::fs::{self, DirBuilder, File, Metadata};
    use std::io;
    use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
    use std::path::{Path, PathBuf};

    use rustix::io::Errno;
    use rustix::process::{Resource, geteuid, getrlimit};

    /// Whether nobody but this user can write it.
    pub(crate) fn is_ours(about: &Metadata) -> bool {
        about.uid() == geteuid().as_raw() && about.mode() & 0o022 == 0
    }

    /// A directory that nobody but this user can write. It is created if it does not exist.
    pub(crate) fn private_directory(directory: PathBuf) -> io::Result<PathBuf> {
        DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        let about = fs::symlink_metadata(&directory)?;
        if about.is_dir() && is_ours(&about) {
            Ok(directory)
        } else {
            Err(io::ErrorKind::PermissionDenied.into())
        }
    }

    /// Makes the names in a directory durable.
    pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
        File::open(directory)?.sync_all()
    }

    /// What tells a file from another one of the same name.
    pub(crate) fn identity(about: &Metadata) -> Option<(u64, u64)> {
        Some((about.dev(), about.ino()))
    }

    /// Whether the operating system refused something.
    pub(crate) fn refused(error: &(dyn Error + 'static)) -> bool {
        error.is::<Errno>() || error.is::<io::Error>()
    }

    /// How many bytes of address space this process may use, if that is limited.
    pub(crate) fn address_space() -> Option<u64> {
        getrlimit(Resource::As).current
    }
}

/// Directories of a user's profile are private to the user, and address space is not limited.
#[cfg(not(unix))]
mod system {
    use std::error::Error;
    use std::fs::{self, Metadata};
    use std::io;
    use std::path::{Path, PathBuf};

    pub(crate) fn is_ours(_: &Metadata) -> bool {
        true
    }

    pub(crate) fn private_directory(directory: PathBuf) -> io::Result<PathBuf> {
        fs::create_dir_all(&directory)?;
        Ok(directory)
    }

    pub(crate) fn sync_directory(_: &Path) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn identity(_: &Metadata) -> Option<(u64, u64)> {
        None
    }

    pub(crate) fn refused(error: &(dyn Error + 'static)) -> bool {
        error.is::<io::Error>()
    }

    pub(crate) fn address_space() -> Option<u64> {
        None
    }
}
