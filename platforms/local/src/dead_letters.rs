//! Dead letters into a file: one JSON object a line.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rufous_core::{Error, Result};
use rufous_realtime::{DeadLetters, Letter, bad};
use serde_json::{Map, Value, json};

/// Lines that wait to be written, in bytes.
const WAITING: usize = 1 << 20;

/// A file of dead letters. Each line is an object with `version` (1), `source`, `partition`, `offset`, `time_ms` (or null),
/// `reason`, `key`, `headers` (pairs of name and value, in order) and `payload`. Bytes are `{"text": ...}` where they are
/// UTF-8, else `{"base64": ...}`, and null where there are none.
///
/// Lines are only appended. What a crash tore is ended with a newline when the file is opened again: its letter comes again.
pub struct FileDeadLetters {
    path: PathBuf,
    file: File,
    waiting: Vec<u8>,
    /// Something was written that no sync confirmed.
    unsynced: bool,
}

impl FileDeadLetters {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// When it cannot be opened for writing.
    pub fn open(path: &Path) -> Result<Self> {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .read(true)
            .open(path)
            .map_err(|e| Error::io("cannot open the dead letters", path, e))?;
        let waiting = end_line(&mut file).map_err(|e| Error::io("cannot read the dead letters", path, e))?;
        Ok(Self {
            path: path.to_path_buf(),
            file,
            waiting: waiting.into(),
            unsynced: false,
        })
    }

    fn write(&mut self) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        self.unsynced = true;
        let mut written = 0;
        while let Some(rest) = self.waiting.get(written..).filter(|rest| !rest.is_empty()) {
            let failed = match self.file.write(rest) {
                Ok(0) => io::ErrorKind::WriteZero.into(),
                Ok(n) => {
                    written += n;
                    continue;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => e,
            };
            // A part may be there (a full disk). It stays, as another process may have appended behind it: whole lines are done, and
            // a torn one is ended before its letter comes again.
            let done = { self.waiting.get(..written) }.and_then(|part| part.iter().rposition(|b| *b == b'\n'));
            self.waiting.drain(..done.map_or(0, |at| at + 1));
            // Once is enough, however often this fails.
            if self.waiting.first() != Some(&b'\n')
                && let Ok(end) = end_line(&mut self.file)
            {
                self.waiting.splice(..0, end.iter().copied());
            }
            return Err(Error::try_again(format!("cannot write {}: {failed}", self.path.display())).caused_by(failed));
        }
        self.waiting.clear();
        Ok(())
    }
}

/// What ends the last line of a file, if it is torn.
fn end_line(file: &mut File) -> io::Result<&'static [u8]> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(b"");
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(if last == *b"\n" { b"" } else { b"\n" })
}

fn bytes(bytes: Option<&[u8]>) -> Value {
    match bytes.map(|b| (b, std::str::from_utf8(b))) {
        None => Value::Null,
        Some((_, Ok(text))) => json!({ "text": text }),
        Some((bytes, Err(_))) => json!({ "base64": BASE64_STANDARD.encode(bytes) }),
    }
}

impl DeadLetters for FileDeadLetters {
    fn location(&self) -> String {
        format!("file:{}", self.path.display())
    }

    fn send(&mut self, letter: &Letter<'_>) -> Result<()> {
        if self.waiting.len() >= WAITING {
            self.write()?;
        }
        let headers: Vec<Value> = bad::headers(letter.headers)?
            .into_iter()
            .map(|(name, value)| json!([name, bytes(value)]))
            .collect();
        let mut line = Map::new();
        for (name, value) in [
            ("version", json!(1)),
            ("source", json!(letter.source)),
            ("partition", json!(letter.partition)),
            ("offset", json!(letter.offset)),
            ("time_ms", json!(letter.time.map(|t| t.0))),
            ("reason", json!(letter.reason)),
            ("key", bytes(letter.key)),
            ("headers", Value::Array(headers)),
            ("payload", bytes(letter.payload)),
        ] {
            line.insert(name.to_owned(), value);
        }
        self.waiting
            .extend_from_slice(Value::Object(line).to_string().as_bytes());
        self.waiting.push(b'\n');
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.write()?;
        if self.unsynced {
            self.file
                .sync_data()
                .map_err(|e| Error::try_again(format!("cannot sync {}: {e}", self.path.display())).caused_by(e))?;
            self.unsynced = false;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rufous_core::{RecordBatch, Timestamp};

    fn letter(offset: u64) -> Letter<'static> {
        Letter {
            source: "lines",
            partition: 3,
            offset,
            time: Some(Timestamp(7)),
            reason: "no \"JSON\"",
            key: Some(b"k"),
            headers: None,
            payload: Some(b"\xff\x00"),
        }
    }

    /// Row 15, golden: the lines are read by people's tools. A torn line is ended, and nothing of it is lost or joined.
    #[test]
    fn lines_are_whole_after_a_torn_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("letters.jsonl");
        let mut records = RecordBatch::default();
        let given: [(&str, Option<&[u8]>); 2] = [("h", Some(b"v")), ("n", None)];
        records.push_headers(given.into_iter());
        let mut letters = FileDeadLetters::open(&path).unwrap();
        letters
            .send(&Letter {
                headers: Some(&records.bytes),
                ..letter(8)
            })
            .unwrap();
        letters.flush().unwrap();
        let first = concat!(
            r#"{"version":1,"source":"lines","partition":3,"offset":8,"time_ms":7,"reason":"no \"JSON\"","key":{"text":"k"},"#,
            r#""headers":[["h",{"text":"v"}],["n",null]],"payload":{"base64":"/wA="}}"#,
            "\n"
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap(), first);
        std::fs::write(&path, format!("{first}{}", &first[..20])).unwrap();
        let mut letters = FileDeadLetters::open(&path).unwrap();
        letters.send(&letter(9)).unwrap();
        letters.flush().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        let last: Value = serde_json::from_str(lines[2]).unwrap();
        assert_eq!((&last["offset"], &last["headers"]), (&json!(9), &json!([])));
    }
}
