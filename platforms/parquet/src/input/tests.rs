//! Lines and directories against plain code: every way to cut a file into pieces, blocks and batches gives its lines.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rufous_core::{CSV_HEADER, Csv, ErrorKind, Format, Result};

use super::InputFile;
use super::lines::LinesFile;
use super::listing::files;
use super::local::LocalFiles;
use super::storage::Storage;

/// (offset, record, place) of all records, read piece by piece.
fn read(path: &Path, format: Format) -> Result<Vec<(u64, Vec<u8>, String)>> {
    let file = LinesFile::open(&path.into(), 3, format)?;
    let mut all = Vec::new();
    for piece in file.pieces() {
        file.read(&piece, &mut |lines| {
            let batch = lines.batch;
            assert!(batch.entries.len() <= 4096 && batch.partition == 3);
            for (i, e) in batch.entries.iter().enumerate() {
                // The name of each place counts the lines before it: asked for now and then.
                let place = if i % 1000 == 7 { lines.place(i) } else { String::new() };
                all.push((e.offset, batch.value(e).unwrap().to_vec(), place));
            }
            Ok(())
        })?;
    }
    Ok(all)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn zstd_of(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

/// Lines of 0 to 60 bytes, some very long, some with a carriage return: 20 MB, so three pieces.
fn many() -> Vec<Vec<u8>> {
    let mut state = 99u64;
    let mut below = |n: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % n
    };
    let mut lines = Vec::new();
    let mut bytes = 0;
    while bytes < 20 << 20 {
        let n = match below(5_000) {
            0 => 300_000 + below(1 << 20),
            1 => 9 << 20,
            _ => below(60),
        };
        bytes += n as usize;
        let mut line: Vec<u8> = (0..n).map(|i| b'a' + ((i * 7 + n) % 26) as u8).collect();
        if below(10) == 0 {
            line.push(b'\r');
        }
        lines.push(line);
    }
    lines
}

/// Every line once, at its offset, with the line's number: plain, packed, in members and frames, with and without a newline at
/// the end.
#[test]
fn every_line_of_every_packing() {
    let dir = tempfile::tempdir().unwrap();
    let lines = many();
    let mut expected = Vec::new();
    let mut offset = 0;
    for line in &lines {
        expected.push((offset, line.strip_suffix(b"\r").unwrap_or(line).to_vec()));
        offset += line.len() as u64 + 1;
    }
    let all = lines.join(&b'\n');
    let ended = [&all[..], b"\n"].concat();
    let half = ended.len() / 2;
    let members = [gzip(&ended[..half]), gzip(&ended[half..])].concat();
    let frames = [zstd_of(&ended[..half]), zstd_of(&ended[half..])].concat();
    for (name, bytes) in [
        ("a.txt", &all),
        ("b.txt", &ended),
        ("c.txt.gz", &gzip(&all)),
        ("d.gz", &members),
        ("e.txt.zst", &zstd_of(&all)),
        ("f.zst", &frames),
    ] {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        let read = read(&path, Format::Text).unwrap();
        assert_eq!(read.len(), expected.len(), "{name}");
        for (n, ((offset, line, place), wanted)) in read.iter().zip(&expected).enumerate() {
            assert!(*offset == wanted.0 && *line == wanted.1, "{name}, line {}", n + 1);
            assert!(
                place.is_empty() || place.ends_with(&format!("{name}, line {}", n + 1)),
                "line {} is called {place}",
                n + 1
            );
        }
    }
}

/// UTF-8's mark is none of the first record; blank lines count for text, and not where records have fields; a header line is no
/// record, and every record carries it.
#[test]
fn marks_blank_lines_and_headers() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.csv");
    let rows = |text: &str, format| -> Vec<(u64, String)> {
        fs::write(&path, text).unwrap();
        let read = read(&path, format).unwrap();
        read.into_iter()
            .map(|(at, line, _)| (at, String::from_utf8(line).unwrap()))
            .collect()
    };
    let row = |at, text: &str| (at, text.to_string());
    assert_eq!(
        rows("\u{feff}a\r\n\r\n \nb", Format::Text),
        [row(0, "a"), row(6, ""), row(8, " "), row(10, "b")]
    );
    assert_eq!(
        rows("\u{feff}{}\r\n\r\n \n{1}", Format::JsonLines),
        [row(0, "{}"), row(11, "{1}")]
    );
    assert_eq!(rows("", Format::Text), []);
    assert_eq!(rows("\n", Format::Text), [row(0, "")]);
    assert_eq!(rows("\n\n", Format::JsonLines), []);
    let csv = Format::Csv(Csv::COMMA.header());
    assert_eq!(rows("\u{feff}x,y\r\n1,2\n", csv), [row(8, "1,2")]);
    assert_eq!(rows("x,y", csv), []);
    let file = LinesFile::open(&(&*path).into(), 0, csv).unwrap();
    fs::write(&path, "x,y\n1,2\n3,4").unwrap();
    assert_eq!(
        file.read(&(0..1), &mut |_| Ok(())).unwrap_err().kind(),
        ErrorKind::TryAgain
    );
    let file = LinesFile::open(&(&*path).into(), 0, csv).unwrap();
    let mut seen = 0;
    file.read(&(0..11), &mut |lines| {
        for e in &lines.batch.entries {
            assert_eq!(lines.batch.header(e, CSV_HEADER), Some(Some(&b"x,y"[..])));
            seen += 1;
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(seen, 2);
}

/// Bytes that were packed and are cut off, changed, or not there: an error that names the file, no panic, no missing lines.
#[test]
fn torn_and_damaged_packed_files() {
    let dir = tempfile::tempdir().unwrap();
    let text: Vec<u8> = (0..4_000)
        .flat_map(|i| format!("line {}\n", i * i).into_bytes())
        .collect();
    for (name, good) in [("a.gz", gzip(&text)), ("a.zst", zstd_of(&text))] {
        let path = dir.path().join(name);
        for cut in (0..good.len()).step_by(701).chain([1, 2, good.len() - 1]) {
            fs::write(&path, &good[..cut]).unwrap();
            let e = read(&path, Format::Text).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::CorruptData, "{name} {cut}: {e}");
            assert!(
                e.to_string().contains(name) && e.to_string().contains("write it again"),
                "{e}"
            );
        }
        for at in (0..good.len()).step_by(97) {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << (at % 8);
            fs::write(&path, &bytes).unwrap();
            if let Err(e) = read(&path, Format::Text) {
                assert!(e.to_string().contains(name), "{e}");
            }
        }
    }
    let path = dir.path().join("long.txt");
    fs::write(&path, vec![b'x'; (64 << 20) + 1]).unwrap();
    let e = read(&path, Format::Text).unwrap_err();
    assert!(
        e.to_string().contains("long.txt: the line at byte 0 is longer than"),
        "{e}"
    );
    fs::write(&path, vec![b'x'; 64 << 20]).unwrap();
    assert_eq!(read(&path, Format::Text).unwrap().len(), 1);
}

fn tree(dir: &Path, paths: &[&str]) {
    for path in paths {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }
}

fn found(dir: &Path, ending: &str) -> Result<Vec<(String, Vec<(String, Option<String>)>)>> {
    let storage: Arc<dyn Storage> = Arc::new(LocalFiles);
    let below = |f: InputFile| {
        let path: PathBuf = f.path().strip_prefix(dir).unwrap().into();
        (path.to_string_lossy().into_owned(), f.named)
    };
    Ok(files(&storage, dir, ending)?.into_iter().map(below).collect())
}

/// Nested directories in the byte order of paths, without what does not count; names of directories are columns.
#[test]
fn directories() {
    let dir = tempfile::tempdir().unwrap();
    tree(
        dir.path(),
        &[
            "b.parquet",
            "a/z.parquet",
            "a-b/y.parquet",
            "t.parquet/part-0.parquet",
            "_delta_log/0.parquet",
            ".hidden/0.parquet",
            "_temporary.parquet",
            "c.parquet.tmp",
            "d.parquet~",
            "notes.txt",
            "dt=2024-01-01/h=07/x.parquet",
            "dt=__HIVE_DEFAULT_PARTITION__/x.parquet",
            "dt=1/dt=a%3Ab%zz/x.parquet",
        ],
    );
    let named = |pairs: &[(&str, Option<&str>)]| -> Vec<(String, Option<String>)> {
        pairs
            .iter()
            .map(|(n, v)| (n.to_string(), v.map(str::to_string)))
            .collect()
    };
    let expected = [
        ("a-b/y.parquet", named(&[])),
        ("a/z.parquet", named(&[])),
        ("b.parquet", named(&[])),
        ("dt=1/dt=a%3Ab%zz/x.parquet", named(&[("dt", Some("a:b%zz"))])),
        (
            "dt=2024-01-01/h=07/x.parquet",
            named(&[("dt", Some("2024-01-01")), ("h", Some("07"))]),
        ),
        ("dt=__HIVE_DEFAULT_PARTITION__/x.parquet", named(&[("dt", None)])),
        ("t.parquet/part-0.parquet", named(&[])),
    ];
    assert_eq!(
        found(dir.path(), ".parquet").unwrap(),
        expected.map(|(p, n)| (p.to_string(), n))
    );
    assert_eq!(
        found(&dir.path().join("notes.txt"), ".parquet").unwrap().len(),
        1,
        "a file that is named counts"
    );
    let e = found(&dir.path().join("a"), ".jsonl").unwrap_err();
    assert!(
        e.to_string().contains("/a holds no file whose name ends in .jsonl"),
        "{e}"
    );
    let e = found(&dir.path().join("none"), "").unwrap_err();
    assert!(
        e.kind() == ErrorKind::InvalidRequest && e.to_string().contains("/none"),
        "{e}"
    );
}

/// Links lead to files and directories, and a circle of them is named.
#[test]
fn links() {
    let dir = tempfile::tempdir().unwrap();
    tree(dir.path(), &["real/a.parquet", "in/b.parquet"]);
    std::os::unix::fs::symlink(dir.path().join("real"), dir.path().join("in/linked")).unwrap();
    assert_eq!(found(&dir.path().join("in"), ".parquet").unwrap().len(), 2);
    std::os::unix::fs::symlink(dir.path().join("in"), dir.path().join("in/circle")).unwrap();
    let e = found(&dir.path().join("in"), ".parquet").unwrap_err();
    assert!(
        e.to_string().contains("circle links to a directory that it lies in"),
        "{e}"
    );
    fs::remove_file(dir.path().join("in/circle")).unwrap();
    std::os::unix::fs::symlink(dir.path().join("gone"), dir.path().join("in/broken")).unwrap();
    let e = found(&dir.path().join("in"), ".parquet").unwrap_err();
    assert!(e.to_string().contains("in/broken"), "{e}");
}

/// A directory, and a pipe that nobody writes to, in place of a file.
#[test]
fn no_files() {
    let dir = tempfile::tempdir().unwrap();
    let e = read(dir.path(), Format::Text).unwrap_err();
    assert!(e.to_string().contains("is a directory"), "{e}");
    let pipe = dir.path().join("pipe");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let e = read(&pipe, Format::Text).unwrap_err();
    assert!(e.to_string().contains("is no file"), "{e}");
}
