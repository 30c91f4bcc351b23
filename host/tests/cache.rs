//! Compiled components on disk: what is damaged, foreign or in the way never matters.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use floe_telemetry::{Component, Policy};

const CHILD: &str = "FLOE_TEST_CHILD";
const PLACES: u64 = 24;

/// What a process does with a cache; in the tests' own process, nothing.
#[test]
fn child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let component = small();
    // A component of another world: it was compiled before that is seen.
    assert_eq!(Component::from_bytes(&component).unwrap_err().code, "FLOE-C004");
}

/// A component of which the code takes some pages.
fn small() -> Vec<u8> {
    let function =
        "(func (param i32) (result i32) local.get 0 i32.const 3 i32.mul local.get 0 i32.add)".repeat(400);
    wat::parse_str(format!("(component (core module {function}))")).unwrap()
}

fn start(cache: &Path) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child"])
        .env(CHILD, "1")
        .env("FLOE_CACHE", cache)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn compiled(cache: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(cache.join("compiled")).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn a_damaged_file_is_compiled_anew_wherever_it_is_damaged() {
    let cache = tempfile::tempdir().unwrap();
    start(cache.path());
    let files = compiled(cache.path());
    assert_eq!(files.len(), 1, "{files:?}");
    let good = fs::read(&files[0]).unwrap();
    assert!(good.len() > 10_000);
    let mut damaged = vec![Vec::new(), vec![0; good.len()], good[..good.len() - 1].to_vec()];
    for place in 0..PLACES {
        let at = usize::try_from(good.len() as u64 * place / PLACES).unwrap();
        let mut zeroed = good.clone();
        let end = good.len().min(at + 4096);
        zeroed[at..end].fill(0);
        let mut flipped = good.clone();
        flipped[at] ^= 0x40;
        damaged.extend([zeroed, flipped, good[..at].to_vec()]);
    }
    let mut longer = good.clone();
    longer.extend(b"more");
    damaged.push(longer);
    for bytes in damaged.into_iter().filter(|bytes| *bytes != good) {
        fs::write(&files[0], bytes).unwrap();
        start(cache.path());
        assert!(fs::read(&files[0]).unwrap() == good, "it is whole again");
    }
}

#[test]
fn what_is_in_the_way_does_not_matter() {
    for hostile in ["file", "unwritable", "pipe", "others", "directory"] {
        let cache = tempfile::tempdir().unwrap();
        let directory = cache.path().join("compiled");
        match hostile {
            "file" => fs::write(&directory, "no directory").unwrap(),
            "unwritable" => {
                fs::create_dir(&directory).unwrap();
                let mut permissions = fs::metadata(&directory).unwrap().permissions();
                permissions.set_readonly(true);
                fs::set_permissions(&directory, permissions).unwrap();
            }
            _ => {
                start(cache.path());
                let file = &compiled(cache.path())[0];
                let entry = fs::read(file).unwrap();
                fs::remove_file(file).unwrap();
                match hostile {
                    "pipe" => assert!(Command::new("mkfifo").arg(file).status().unwrap().success()),
                    "directory" => fs::create_dir(file).unwrap(),
                    // What was compiled of another component, under this one's name.
                    _ => {
                        let mut other = entry;
                        other[100] ^= 1;
                        fs::write(file, other).unwrap();
                    }
                }
            }
        }
        start(cache.path());
    }
}

#[test]
fn the_cache_does_not_grow_for_ever() {
    let cache = tempfile::tempdir().unwrap();
    let directory = cache.path().join("compiled");
    start(cache.path());
    let newest = compiled(cache.path());
    for number in 0..40 {
        fs::write(directory.join(format!("{number:02}.cwasm")), "old").unwrap();
        let old = std::time::SystemTime::now() - std::time::Duration::from_secs(100_000 + number);
        let file = fs::File::options()
            .append(true)
            .open(directory.join(format!("{number:02}.cwasm")))
            .unwrap();
        file.set_modified(old).unwrap();
    }
    fs::remove_file(&newest[0]).unwrap();
    start(cache.path());
    let kept = compiled(cache.path());
    assert_eq!(kept.len(), 16);
    assert!(kept.contains(&newest[0]), "{kept:?}");
}

#[test]
fn a_component_that_is_being_replaced_is_read_when_it_is_whole() {
    let ours = fs::read(env!("FLOE_POLICY_COMPONENT_FILE")).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("policy.wasm");
    fs::write(&path, &ours[..ours.len() / 2]).unwrap();
    std::thread::scope(|scope| {
        let loading = scope.spawn(|| Component::from_file(&path));
        std::thread::sleep(std::time::Duration::from_millis(300));
        fs::write(&path, &ours).unwrap();
        let component = loading.join().unwrap().unwrap();
        assert!(Policy::unconfigured(component).extract("", "", "").is_ok());
    });
}
