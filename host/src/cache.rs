//! Compiled components on disk. A compiled component is native code, which wasmtime trusts: only a directory that nobody else can write is used,
//! and nothing of it runs that does not have the digest with which it was written.

use std::fs::{self, File, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::platform;

const EXTENSION: &str = "cwasm";
/// What a file's name starts with until it is whole.
const PARTIAL: &str = ".partial-";
/// Most files that are kept; the least recently used make room.
const MOST: usize = 16;
/// Largest file that is read, in bytes.
const LARGEST: u64 = 512 * 1024 * 1024;
/// Bytes of the digest at a file's end.
const DIGEST: usize = 32;
/// Files that are used look no older than this, and what is partial for longer was left behind.
const HOUR: Duration = Duration::from_secs(3600);

/// The compiled form of a component, from disk if it is there. Trouble with the disk costs no more than the time of a compile.
pub(crate) fn compiled(engine: &Engine, wasm: &[u8], digest: &str) -> wasmtime::Result<Component> {
    let Ok(directory) = directory() else {
        return Component::new(engine, wasm);
    };
    let mut compatibility = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut compatibility);
    let name = format!("{digest}-{:016x}.{EXTENSION}", compatibility.finish());
    let file = directory.join(&name);
    if let Ok(code) = load(&file, &name) {
        // SAFETY: the bytes are those that this function wrote under this name: their digest was verified, in a directory that only this user
        // can write. wasmtime works on this copy in memory, whatever becomes of the file.
        #[expect(unsafe_code, reason = "wasmtime cannot verify compiled code")]
        if let Ok(component) = unsafe { Component::deserialize(engine, &code) } {
            return Ok(component);
        }
    }
    let component = Component::new(engine, wasm)?;
    if let Ok(code) = component.serialize() {
        // A cache that cannot be written is no reason to fail.
        let _ = store(&directory, &name, &code);
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
    platform::private_directory(base.join("compiled"))
}

/// The digest of a file's content, which belongs to no other name.
fn seal(name: &str, code: &[u8]) -> [u8; DIGEST] {
    let digest = Sha256::new().chain_update(name.as_bytes()).chain_update(code);
    digest.finalize().into()
}

/// The code in a file that is what was once written under this name.
fn load(path: &Path, name: &str) -> io::Result<Vec<u8>> {
    let usable = |about: &Metadata| about.is_file() && platform::is_ours(about) && about.len() <= LARGEST;
    // Before it is opened as well: to open a pipe would wait for a writer.
    if !usable(&fs::symlink_metadata(path)?) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let file = File::open(path)?;
    let about = file.metadata()?;
    let mut bytes = Vec::with_capacity(usize::try_from(about.len()).unwrap_or_default());
    (&file).take(LARGEST).read_to_end(&mut bytes)?;
    let code = bytes.len().saturating_sub(DIGEST);
    if !usable(&about)
        || bytes.get(code..) != Some(seal(name, bytes.get(..code).unwrap_or_default()).as_slice())
    {
        return Err(io::ErrorKind::InvalidData.into());
    }
    bytes.truncate(code);
    if age(&about).is_some_and(|age| age > HOUR) {
        // The cache may be read-only.
        let _ = file.set_modified(SystemTime::now());
    }
    Ok(bytes)
}

/// Writes aside and renames: a reader sees all or nothing, and after a crash of the machine as well.
fn store(directory: &Path, name: &str, code: &[u8]) -> io::Result<()> {
    let mut partial = tempfile::Builder::new().prefix(PARTIAL).tempfile_in(directory)?;
    partial.write_all(code)?;
    partial.write_all(&seal(name, code))?;
    partial.as_file().sync_all()?;
    partial.persist(directory.join(name))?;
    platform::sync_directory(directory)?;
    evict(directory)
}

/// Removes what was left behind, and the files that were not used for the longest time, down to [`MOST`].
fn evict(directory: &Path) -> io::Result<()> {
    let mut compiled = Vec::new();
    for entry in fs::read_dir(directory)?.filter_map(Result::ok) {
        let Ok(about) = entry.metadata() else { continue };
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION) {
            compiled.push((about.modified()?, path));
        } else if entry.file_name().to_string_lossy().starts_with(PARTIAL)
            && age(&about).is_some_and(|age| age > HOUR)
        {
            fs::remove_file(path)?;
        }
    }
    compiled.sort();
    for (_, path) in compiled.iter().rev().skip(MOST) {
        // Somebody else may have been faster.
        let _ = fs::remove_file(path);
    }
    Ok(())
}

fn age(about: &Metadata) -> Option<Duration> {
    about.modified().ok()?.elapsed().ok()
}
