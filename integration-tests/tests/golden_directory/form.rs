//! What of a data directory is the same each time that it is written: all but the time, the unique parts of names, and
//! what Parquet's own writer is free to choose.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

/// By the name of a file, without what is unique in it: its content in a form that can be compared.
pub(crate) fn forms(data: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut forms = BTreeMap::new();
    let mut dirs = vec![data.to_path_buf()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir)? {
            let path = entry?.path();
            if path.is_dir() {
                // A database chooses itself what lies where: its rows are compared.
                if !path.ends_with("realtime") {
                    dirs.push(path);
                }
                continue;
            }
            let below = path.strip_prefix(data)?.to_string_lossy().into_owned();
            let bytes = fs::read(&path)?;
            let (name, form) = match below.rsplit_once('.').map(|(_, ending)| ending) {
                Some("json") => (below, json(&bytes)?),
                // Runs are named by their checksums here, as in the manifests.
                Some("rrun") => (format!("{}/{:016x}", parent(&below), xxh3_64(&bytes)), bytes),
                Some("parquet") => (without_unique(&below), columns(bytes)?),
                _ => continue,
            };
            forms.insert(name, form);
        }
    }
    Ok(forms)
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}

/// `files/0/batch=3/0-6-<unique>.parquet` without the unique part.
fn without_unique(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or_default();
    let range: Vec<&str> = name.splitn(3, '-').take(2).collect();
    format!("{}/{}", parent(path), range.join("-"))
}

/// A text of JSON and its checksum. The text itself is exactly that of its values in their order.
fn json(bytes: &[u8]) -> Result<Vec<u8>> {
    let text = std::str::from_utf8(bytes)?;
    let (body, sum) = text.rsplit_once("xxh3 ").context("a checksum")?;
    ensure!(
        sum == format!("{:016x}\n", xxh3_64(body.as_bytes())),
        "the checksum of {text}"
    );
    let mut value: Value = serde_json::from_str(body)?;
    let written = [serde_json::to_string_pretty(&value)?, serde_json::to_string(&value)?];
    ensure!(
        written.iter().any(|w| format!("{w}\n") == body),
        "not what JSON of it is: {body}"
    );
    plain(&mut value);
    Ok(serde_json::to_vec(&value)?)
}

fn plain(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let sum = fields.get("checksum").cloned();
            let is_run = fields.contains_key("first_key");
            for (name, value) in fields.iter_mut() {
                match (name.as_str(), &*value) {
                    ("created_at", _) => *value = Value::Null,
                    ("path", Value::String(path)) => {
                        *value = if is_run {
                            sum.clone().unwrap_or_default()
                        } else {
                            without_unique(path).into()
                        }
                    }
                    // Of files of Parquet, whose writer may change.
                    ("checksum" | "bytes", _) if !is_run => *value = Value::Null,
                    // Paths of the archive and checksums of its files.
                    ("files", Value::Array(_)) => files(value),
                    _ => plain(value),
                }
            }
        }
        Value::Array(all) => all.iter_mut().for_each(plain),
        _ => {}
    }
}

/// Of a manifest: pairs of names and checksums; of an index: objects.
fn files(value: &mut Value) {
    for file in value.as_array_mut().into_iter().flatten() {
        match file {
            Value::Array(pair) => {
                if let Some(Value::String(path)) = pair.first() {
                    *file = without_unique(path).into();
                }
            }
            other => plain(other),
        }
    }
}

/// Schema, what the file says of itself, and its records.
fn columns(bytes: Vec<u8>) -> Result<Vec<u8>> {
    let reader = SerializedFileReader::new(bytes::Bytes::from(bytes.clone()))?;
    let metadata = reader.metadata().file_metadata();
    let said: Vec<_> = metadata
        .key_value_metadata()
        .into_iter()
        .flatten()
        .filter(|kv| kv.key.starts_with("rufous."))
        .collect();
    let records = rufous_integration_tests::archived::rows(bytes)?;
    Ok(format!("{:?}\n{said:?}\n{records:?}", metadata.schema()).into_bytes())
}
