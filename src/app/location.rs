//! Where a source is: `file:PATH`, `dir:PATH`, `kafka://HOST:PORT/TOPIC`, `parquet:PATH`.

use std::path::PathBuf;

use crate::core::{Error, Format, Result};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Location {
    pub(super) place: Place,
    /// By `+text` or `+jsonl`, or by the file's ending.
    pub(super) format: Option<Format>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    File(PathBuf),
    Dir(PathBuf),
    Kafka { brokers: String, topic: String },
    Parquet(PathBuf),
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.place {
            Place::File(path) => write!(f, "file:{}", path.display()),
            Place::Dir(path) => write!(f, "dir:{}", path.display()),
            Place::Kafka { brokers, topic } => write!(f, "kafka://{brokers}/{topic}"),
            Place::Parquet(path) => write!(f, "parquet:{}", path.display()),
        }
    }
}

impl Location {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let bad = |why: &str| {
            Error::invalid(format!(
                "location `{text}`: {why}: write file:PATH, dir:PATH, kafka://HOST:PORT/TOPIC or parquet:PATH, with +text or +jsonl for the format"
            ))
        };
        let (rest, format) = match text.rsplit_once('+') {
            Some((rest, "text")) => (rest, Some(Format::Text)),
            Some((rest, "jsonl")) => (rest, Some(Format::JsonLines)),
            _ => (text, None),
        };
        let path = |p: &str| {
            if p.is_empty() {
                Err(bad("the path is empty"))
            } else {
                Ok(PathBuf::from(p))
            }
        };
        let (place, ending) = if let Some(p) = rest.strip_prefix("file:") {
            (Place::File(path(p)?), by_ending(p))
        } else if let Some(p) = rest.strip_prefix("dir:") {
            (Place::Dir(path(p)?), None)
        } else if let Some(p) = rest.strip_prefix("parquet:") {
            (Place::Parquet(path(p)?), None)
        } else if let Some(p) = rest.strip_prefix("kafka://") {
            match p.rsplit_once('/') {
                Some((brokers, topic)) if !brokers.is_empty() && !topic.is_empty() => (
                    Place::Kafka {
                        brokers: brokers.into(),
                        topic: topic.into(),
                    },
                    None,
                ),
                _ => return Err(bad("brokers or topic are missing")),
            }
        } else {
            return Err(bad("unknown kind"));
        };
        Ok(Self {
            place,
            format: format.or(ending),
        })
    }
}

fn by_ending(path: &str) -> Option<Format> {
    let name = path
        .strip_suffix(".gz")
        .or_else(|| path.strip_suffix(".zst"))
        .unwrap_or(path);
    match name.rsplit_once('.')?.1 {
        "jsonl" | "ndjson" | "json" => Some(Format::JsonLines),
        "txt" | "log" | "text" => Some(Format::Text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations() {
        let at = |t: &str| Location::parse(t).unwrap();
        assert_eq!(
            at("file:a.jsonl.gz"),
            Location {
                place: Place::File("a.jsonl.gz".into()),
                format: Some(Format::JsonLines)
            }
        );
        assert_eq!(
            at("dir:logs+text"),
            Location {
                place: Place::Dir("logs".into()),
                format: Some(Format::Text)
            }
        );
        assert_eq!(
            at("kafka://h:9092,i:9092/t"),
            Location {
                place: Place::Kafka {
                    brokers: "h:9092,i:9092".into(),
                    topic: "t".into()
                },
                format: None
            }
        );
        assert_eq!(at("file:a+b.txt").place, Place::File("a+b.txt".into()));
        for bad in ["a.txt", "file:", "kafka://h", "s3://x"] {
            assert!(Location::parse(bad).unwrap_err().to_string().contains(bad));
        }
    }
}
