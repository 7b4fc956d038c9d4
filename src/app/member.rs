//! Who a data directory is in a consumer group: a member id that stays the same from start to start, and that no other
//! directory has (P10a). Two processes with one id would throw each other out.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::path::Path;

use crate::core::{Error, Result};

/// The version of the file's form.
const VERSION: &str = "1";

/// The mark of a source's directory: 16 hexadecimal digits, drawn when it is asked for first.
///
/// # Errors
/// When the file cannot be read or made; `CorruptData` when it holds something else.
pub(super) fn mark(dir: &Path) -> Result<String> {
    let path = dir.join("member");
    match std::fs::read_to_string(&path) {
        Ok(text) => parse(&text).ok_or_else(|| {
            Error::corrupt(format!(
                "{}: no mark of a group member: delete the file, and a new one is drawn",
                path.display()
            ))
        }),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            draw(dir, &path).map_err(|e| Error::io("cannot write", &path, e))?;
            mark(dir)
        }
        Err(e) => Err(Error::io("cannot read", &path, e)),
    }
}

fn parse(text: &str) -> Option<String> {
    let (version, mark) = text.trim_end().split_once(' ')?;
    let good = version == VERSION && mark.len() == 16 && mark.bytes().all(|b| b.is_ascii_hexdigit());
    good.then(|| mark.to_string())
}

/// Written whole under another name, then linked: of two that race, one wins, and both read the same.
fn draw(dir: &Path, path: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    // Each state is keyed at random.
    let number = RandomState::new().hash_one(std::process::id());
    let new = dir.join(format!("member.{number:016x}"));
    let mut file = File::create_new(&new)?;
    writeln!(file, "{VERSION} {number:016x}")?;
    file.sync_all()?;
    let linked = match std::fs::hard_link(&new, path) {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    };
    std::fs::remove_file(&new)?;
    linked
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden: the bytes are on disks.
    #[test]
    fn the_mark_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        let first = mark(&a).unwrap();
        assert_eq!(mark(&a).unwrap(), first);
        assert_ne!(mark(&b).unwrap(), first);
        assert_eq!(std::fs::read_dir(&a).unwrap().count(), 1, "nothing is left over");
        std::fs::write(a.join("member"), "1 0123456789abcdef\n").unwrap();
        assert_eq!(mark(&a).unwrap(), "0123456789abcdef");
        for bad in ["", "2 0123456789abcdef\n", "1 0123\n"] {
            std::fs::write(a.join("member"), bad).unwrap();
            assert!(mark(&a).unwrap_err().to_string().contains("delete the file"), "{bad:?}");
        }
    }
}
