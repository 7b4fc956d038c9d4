//! What is in a directory of files.

use std::path::Path;
use std::sync::Arc;

use rufous_core::{Error, Result};

use super::file::InputFile;
use super::storage::Storage;

/// What Hive and its heirs write for a null.
const NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// Whether a name does not count, and nothing below it: hidden ones, those that begin with `_` (what engines note beside their
/// files: `_SUCCESS`, `_temporary`, `_delta_log`), and what is still being written: names that end in `~` or `.tmp`.
pub fn is_left_out(name: &str) -> bool {
    name.starts_with(['.', '_']) || name.ends_with('~') || name.ends_with(".tmp")
}

/// The files of an input: `path` itself, or all files below it whose names end in `ending`, but those that are
/// [left out](is_left_out); a directory may end in it, too. They come in the byte order of their paths below `path`, with `/`
/// between names: the order in which a store of objects lists them.
///
/// A directory that is called `name=value` gives the column `name` to all rows below it; `%` and two digits are a byte of the
/// value. Of two directories that name the same column, the inner one counts.
///
/// # Errors
/// When the path is not there, cannot be listed, or holds no such file.
pub fn files(storage: &Arc<dyn Storage>, path: &Path, ending: &str) -> Result<Vec<InputFile>> {
    let mut found: Vec<_> = storage.list(path)?;
    found.retain(|f| f.names.is_empty() || f.names.last().is_some_and(|n| n.ends_with(ending)));
    found.retain(|f| !f.names.iter().any(|n| is_left_out(n)));
    if found.is_empty() {
        let wanted = match ending {
            "" => "no file".into(),
            ending => format!("no file whose name ends in {ending}"),
        };
        return Err(Error::invalid(format!(
            "{} holds {wanted} (names that begin with . or _, or end in ~ or .tmp, do not count): put files there, or name \
             another directory",
            storage.show(path)
        )));
    }
    found.sort_by_cached_key(|f| f.names.join("/"));
    let file = |f: super::storage::Found| {
        let dirs = f.names.split_last().map_or(&[][..], |(_, dirs)| dirs);
        let named = columns(dirs);
        InputFile::new(storage.clone(), f.path, named).listed_as(f.version)
    };
    Ok(found.into_iter().map(file).collect())
}

/// The columns of directories' names.
fn columns(dirs: &[String]) -> Vec<(String, Option<String>)> {
    let mut columns: Vec<(String, Option<String>)> = Vec::new();
    for (name, value) in dirs.iter().filter_map(|d| d.split_once('=')) {
        if name.is_empty() {
            continue;
        }
        let (name, value) = (unescaped(name), (value != NULL).then(|| unescaped(value)));
        columns.retain(|(n, _)| *n != name);
        columns.push((name, value));
    }
    columns
}

/// With `%3A` as `:`; what is no such escape, or does not come to text, stays as it is.
fn unescaped(text: &str) -> String {
    let digit = |b: Option<&u8>| char::from(*b?).to_digit(16);
    let (bytes, mut out, mut i) = (text.as_bytes(), Vec::new(), 0);
    while let Some(&byte) = bytes.get(i) {
        match (byte, digit(bytes.get(i + 1)), digit(bytes.get(i + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                i += 3;
            }
            _ => {
                out.push(byte);
                i += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| text.into())
}
