//! Where test data is.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A file of the sample in the repository.
pub fn sample(name: &str) -> PathBuf {
    // Not the path at compile time: clones that share build output share binaries, too.
    let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&here).join("../examples/data").join(name)
}

/// The larger data sets, if `RUFOUS_DATA` names them; says so if not.
pub fn large() -> Option<PathBuf> {
    match std::env::var_os("RUFOUS_DATA") {
        Some(dir) => Some(PathBuf::from(dir)),
        None => {
            eprintln!("RUFOUS_DATA is not set: this part of the test passes by");
            None
        }
    }
}

/// A file's bytes, decompressed if it ends in `.gz`.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let raw = std::fs::read(path).with_context(|| path.display().to_string())?;
    if path.extension().is_none_or(|e| e != "gz") {
        return Ok(raw);
    }
    let mut bytes = Vec::new();
    flate2::read::MultiGzDecoder::new(&raw[..]).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The sample's events as JSON lines.
pub fn sample_lines() -> Result<Vec<String>> {
    let bytes = read(&sample("flights-sample.jsonl.gz"))?;
    Ok(std::str::from_utf8(&bytes)?.lines().map(str::to_string).collect())
}
