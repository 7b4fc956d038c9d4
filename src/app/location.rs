//! Where a source is: live `file:PATH`, `dir:PATH`, `kafka://HOST:PORT/TOPIC`; given once and whole `bulk:PLACE`,
//! `parquet:PLACE`, where a place is a path or `s3://BUCKET/PREFIX`.

use std::path::PathBuf;

use crate::core::{Csv, Error, Format, Result};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Location {
    pub(super) place: Place,
    /// By `+text`, `+jsonl`, `+csv` and so on, or by the file's ending.
    pub(super) format: Option<Format>,
    /// Whether the format was said, not guessed.
    pub(super) said: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    File(PathBuf),
    Dir(PathBuf),
    Kafka {
        brokers: String,
        topic: String,
    },
    /// A file of lines, or a directory of such files, to be taken whole.
    Bulk(Files),
    Parquet(Files),
}

/// Where the files of a bounded input are: one file, or a directory of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Files {
    Local(PathBuf),
    /// Of a bucket the objects of this name, or below it.
    S3 {
        bucket: String,
        name: String,
    },
}

impl Files {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let Some(rest) = text.strip_prefix("s3://") else {
            return match text {
                "" => Err("the path is empty"),
                _ if text.contains("://") => Err("only s3:// is known among stores of objects"),
                _ => Ok(Self::Local(text.into())),
            };
        };
        let (bucket, name) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err("the bucket is missing");
        }
        if bucket.contains(['?', '#', '@', ':']) {
            return Err("options do not belong into it, but into [sources.NAME.options] of the settings");
        }
        Ok(Self::S3 {
            bucket: bucket.into(),
            name: name.trim_matches('/').into(),
        })
    }
}

impl std::fmt::Display for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Local(path) => write!(f, "{}", path.display()),
            Self::S3 { bucket, name } if name.is_empty() => write!(f, "s3://{bucket}"),
            Self::S3 { bucket, name } => write!(f, "s3://{bucket}/{name}"),
        }
    }
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.place {
            Place::File(path) => write!(f, "file:{}", path.display()),
            Place::Dir(path) => write!(f, "dir:{}", path.display()),
            Place::Kafka { brokers, topic } => write!(f, "kafka://{brokers}/{topic}"),
            Place::Bulk(files) => write!(f, "bulk:{files}"),
            Place::Parquet(files) => write!(f, "parquet:{files}"),
        }
    }
}

impl Location {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let bad = |why: &str| {
            Error::invalid(format!(
                "location `{text}`: {why}: write file:PATH, dir:PATH, kafka://HOST:PORT/TOPIC, bulk:PLACE or parquet:PLACE \
                 (a path, or s3://BUCKET/PREFIX), with +text, +jsonl, +csv or +tsv for the format"
            ))
        };
        let (rest, format) = match text.rsplit_once('+') {
            Some((rest, suffix)) if is_format(suffix) => {
                let format = suffix
                    .parse::<Format>()
                    .map_err(|e| e.at(format_args!("location `{text}`")))?;
                (rest, Some(format))
            }
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
        } else if let Some(p) = rest.strip_prefix("bulk:") {
            (Place::Bulk(Files::parse(p).map_err(bad)?), by_ending(p))
        } else if let Some(p) = rest.strip_prefix("parquet:") {
            (Place::Parquet(Files::parse(p).map_err(bad)?), None)
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
        if matches!((&place, format), (Place::Kafka { .. }, Some(Format::Csv(csv))) if csv.has_header()) {
            return Err(bad(
                "the payloads of a topic have no header line, so the columns are named here, as in +csv(a,b)",
            ));
        }
        Ok(Self {
            place,
            format: format.or(ending),
            said: format.is_some(),
        })
    }

    /// The format for records with fields, or for lines. A table is lines too: its ending alone asks for no columns.
    pub(super) fn format_of(&self, fields: bool) -> Option<Format> {
        self.format
            .filter(|format| fields || !matches!(format, Format::Csv(_)) || self.said)
    }
}

/// Whether what stands behind a plus means a format; else it is a part of a path.
fn is_format(suffix: &str) -> bool {
    let word = suffix.split('(').next().unwrap_or(suffix);
    matches!(
        word.strip_suffix("-header").unwrap_or(word),
        "text" | "jsonl" | "csv" | "tsv"
    )
}

/// Where archives or generations are, if not below the data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ArchivePlace {
    Dir(PathBuf),
    /// A URL without a `/` at its end.
    S3(String),
}

impl ArchivePlace {
    pub(super) fn parse(text: &str, section: &str) -> Result<Self> {
        if text.starts_with("s3://") {
            return Ok(Self::S3(text.trim_end_matches('/').into()));
        }
        match text.strip_prefix("dir:").unwrap_or(text) {
            path if path.is_empty() || path.contains("://") => Err(Error::invalid(format!(
                "settings [{section}] location `{text}`: write a directory, or s3://BUCKET/PREFIX"
            ))),
            path => Ok(Self::Dir(path.into())),
        }
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
        "csv" => Some(Format::Csv(Csv::COMMA.header())),
        "tsv" => Some(Format::Csv(Csv::TAB.header())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Location {
        Location::parse(text).unwrap()
    }

    #[test]
    fn archives() {
        let at = |t: &str| ArchivePlace::parse(t, "archive").unwrap();
        assert_eq!(at("s3://b/p/"), ArchivePlace::S3("s3://b/p".into()));
        assert_eq!(at("/mnt/a"), ArchivePlace::Dir("/mnt/a".into()));
        assert_eq!(at("dir:a"), ArchivePlace::Dir("a".into()));
        for bad in ["", "dir:", "gs://b/p"] {
            assert!(
                ArchivePlace::parse(bad, "archive")
                    .unwrap_err()
                    .to_string()
                    .contains("s3://BUCKET")
            );
        }
    }

    #[test]
    fn places() {
        assert_eq!(at("file:a.jsonl.gz").place, Place::File("a.jsonl.gz".into()));
        assert_eq!(at("dir:logs+text").place, Place::Dir("logs".into()));
        let local = |path: &str| Files::Local(path.into());
        let s3 = |bucket: &str, name: &str| Files::S3 {
            bucket: bucket.into(),
            name: name.into(),
        };
        assert_eq!(at("bulk:logs/2024+csv").place, Place::Bulk(local("logs/2024")));
        assert_eq!(at("bulk:a.jsonl.zst").to_string(), "bulk:a.jsonl.zst");
        assert_eq!(at("bulk:s3://b/x/y/+tsv").place, Place::Bulk(s3("b", "x/y")));
        assert_eq!(at("parquet:s3://b").place, Place::Parquet(s3("b", "")));
        for text in ["parquet:s3://b", "bulk:s3://b/x y?z"] {
            assert_eq!(at(text).to_string(), text);
        }
        assert_eq!(at("file:a+b.txt").place, Place::File("a+b.txt".into()));
        assert_eq!(at("file:a+csvs").place, Place::File("a+csvs".into()));
        let kafka = Place::Kafka {
            brokers: "h:9092,i:9092".into(),
            topic: "t".into(),
        };
        assert_eq!(at("kafka://h:9092,i:9092/t").place, kafka);
        assert_eq!(at("kafka://h:9092,i:9092/t+csv(a,,b)").place, kafka);
        for bad in [
            "a.txt",
            "file:",
            "kafka://h",
            "s3://x",
            "file:a+csv(b",
            "kafka://h:1/t+csv-header",
            "bulk:",
            "parquet:s3://",
            "parquet:s3:///x",
            "bulk:s3://b?versionId=1/x",
            "bulk:gs://b/x",
        ] {
            assert!(Location::parse(bad).unwrap_err().to_string().contains(bad), "{bad}");
        }
    }

    /// What is said counts before the ending; an ending that means columns is none of a source of lines.
    #[test]
    fn formats() {
        let csv = |text: &str| Some(text.parse::<Format>().unwrap());
        for (location, of_records, of_lines) in [
            ("file:a.jsonl.gz", Some(Format::JsonLines), Some(Format::JsonLines)),
            ("file:a.log.zst", Some(Format::Text), Some(Format::Text)),
            ("dir:logs+text", Some(Format::Text), Some(Format::Text)),
            ("bulk:a.csv.gz", csv("csv-header"), None),
            ("bulk:logs", None, None),
            ("bulk:s3://b/logs.d/a.tsv.gz", csv("tsv-header"), None),
            ("file:a.csv", csv("csv-header"), None),
            ("file:a.tsv.gz", csv("tsv-header"), None),
            ("file:a.csv+text", Some(Format::Text), Some(Format::Text)),
            ("file:a.csv+csv", csv("csv"), csv("csv")),
            ("file:a.txt+tsv-header", csv("tsv-header"), csv("tsv-header")),
            (
                "dir:a+csv(delimiter=;,user,,page)",
                csv("csv(delimiter=;,user,,page)"),
                csv("csv(delimiter=;,user,,page)"),
            ),
            ("kafka://h:9092/t", None, None),
        ] {
            let location_of = at(location);
            assert_eq!(location_of.format_of(true), of_records, "{location}");
            assert_eq!(location_of.format_of(false), of_lines, "{location}");
        }
    }
}
