//! Compiled components on disk. A compiled component is native code: only a directory that nobody else can write is used.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use wasmtime::Engine;
use wasmtime::component::Component;

/// The compiled form of a component, from disk where it is there. Trouble with the disk only costs the time of a compile.
pub(crate) fn compiled(engine: &Engine, wasm: &[u8], digest: &str) -> wasmtime::Result<Component> {
    let Ok(directory) = directory() else {
        return Component::new(engine, wasm);
    };
    let mut compatibility = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut compatibility);
    let file = directory.join(format!("{digest}-{:016x}.cwasm", compatibility.finish()));
    if file.is_file() {
        // SAFETY: the file was written by this function, in a directory that only this user can write.
        #[expect(unsafe_code, reason = "wasmtime cannot verify compiled code")]
        if let Ok(component) = unsafe { Component::deserialize_file(engine, &file) } {
            return Ok(component);
        }
    }
    let component = Component::new(engine, wasm)?;
    if let Ok(bytes) = component.serialize() {
        // A cache that cannot be written is no reason to fail.
        let _ = store(&directory, &file, &bytes);
    }
    Ok(component)
}

/// `$FLOE_CACHE/compiled`, or else in the user's cache directory.
fn directory() -> io::Result<PathBuf> {
    let base = std::env::var_os("FLOE_CACHE")
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
        .or_else(|| dirs::cache_dir().map(|cache| cache.join("floe-telemetry")))
        .ok_or(io::ErrorKind::NotFound)?;
    private(base.join("compiled"))
}

/// A directory that nobody but this user can write; it is made if it is not there.
pub(crate) fn private(directory: PathBuf) -> io::Result<PathBuf> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&directory)?;
    let metadata = fs::symlink_metadata(&directory)?;
    // A file that this process makes belongs to its user; so must the directory.
    let ours = tempfile::tempfile()?.metadata()?.uid();
    if metadata.is_dir() && metadata.uid() == ours && metadata.mode() & 0o022 == 0 {
        Ok(directory)
    } else {
        Err(io::ErrorKind::PermissionDenied.into())
    }
}

/// Whole or not at all, whoever else writes it at the same time.
fn store(directory: &Path, file: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut temporary = tempfile::NamedTempFile::new_in(directory)?;
    temporary.write_all(bytes)?;
    temporary.persist(file)?;
    Ok(())
}
