//! Files whose names say that they hold something else than the lines they are to be read as.

use std::path::Path;

use rufous_core::{Error, Format, Result};

use super::InputFile;

/// Endings of what holds no lines, or is packed in a way that nobody here unpacks.
const NO_LINES: [&str; 22] = [
    "arrow", "avro", "br", "bz2", "db", "feather", "lz4", "lzo", "orc", "parquet", "rar", "snappy", "sqlite", "sz",
    "tar", "tgz", "xls", "xlsx", "xz", "z", "zip", "7z",
];

/// Looks at the names alone, `.gz` and `.zst` aside: lines of text may be called anything, rows of a table are in no `.jsonl`,
/// objects in no `.csv`, and no lines at all in what is a Parquet file by its name.
///
/// # Errors
/// `InvalidRequest` that names the first file that contradicts the format.
pub fn check(files: &[InputFile], format: Format) -> Result<()> {
    files.iter().try_for_each(|file| match holds(file.path(), format) {
        None => Ok(()),
        Some(why) => Err(Error::invalid(format!(
            "file {}: its name says that {why}, and it is to be read as {format}: say another format behind the location (+text, \
             +jsonl, +csv, +tsv), name another directory, or rename the file",
            file.show()
        ))),
    })
}

/// What a name says, when it contradicts the format.
fn holds(path: &Path, format: Format) -> Option<&'static str> {
    let name = path.file_name()?.to_str()?.to_ascii_lowercase();
    let plain = name
        .strip_suffix(".gz")
        .or_else(|| name.strip_suffix(".zst"))
        .unwrap_or(&name);
    let (_, ending) = plain.rsplit_once('.')?;
    if NO_LINES.contains(&ending) {
        return Some(match ending {
            "parquet" => "it is a Parquet file (`parquet:` reads those)",
            _ => "it holds no plain, gzip or zstd lines",
        });
    }
    let said = format.to_string();
    match (format, ending) {
        (Format::Csv(_), "jsonl" | "ndjson" | "json") => Some("it holds JSON"),
        (Format::Csv(_), "tsv") if said.starts_with("csv") && !said.contains("delimiter") => {
            Some("its columns are separated by tabs")
        }
        (Format::JsonLines, "csv" | "tsv") => Some("it holds a table"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_formats() {
        for (name, format, good) in [
            ("a.jsonl.gz", "jsonl", true),
            ("a.jsonl", "text", true),
            ("a.csv", "text", true),
            ("a", "csv", true),
            ("part-0.2024", "jsonl", true),
            ("a.txt", "tsv", true),
            ("a.csv", "tsv", true),
            ("a.tsv.zst", "tsv-header", true),
            ("a.tsv", "csv(delimiter=;)", true),
            ("a.tsv", "csv-header", false),
            ("a.json", "csv", false),
            ("a.CSV.gz", "jsonl", false),
            ("a.parquet", "text", false),
            ("a.jsonl.bz2", "jsonl", false),
        ] {
            let e = check(&[Path::new(name).into()], format.parse().unwrap()).err();
            assert_eq!(e.is_none(), good, "{name} {format}");
            assert!(e.is_none_or(|e| e.to_string().contains(&format!("file {name}: "))));
        }
    }
}
