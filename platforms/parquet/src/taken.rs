//! One file of a bounded input: a partition that is taken whole (P8a).

use std::fmt;
use std::sync::Arc;

use rufous_core::{Format, Result, SourceFace, SourcePartition};
use rufous_store_api::Window;

use crate::columns::{Left, ParquetFile};
use crate::input::InputFile;
use crate::input::lines::LinesFile;
use crate::survey::PlannedPart;
use crate::work::Piece;

/// One file.
pub(crate) struct Taken {
    pub(crate) part: PlannedPart,
    /// Its name, and what tells it from another one of its name.
    pub(crate) identity: (String, String),
    pub(crate) pieces: Vec<Piece>,
    pub(crate) spared: Spared,
}

/// What a window leaves out without reading it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spared {
    files: u64,
    groups: u64,
    rows: u64,
    bytes: u64,
}

impl Spared {
    pub(crate) fn add(&mut self, other: Self) {
        self.files += other.files;
        self.groups += other.groups;
        self.rows += other.rows;
        self.bytes += other.bytes;
    }
}

impl fmt::Display for Spared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} files, {} row groups, {} rows, {} bytes",
            self.files, self.groups, self.rows, self.bytes
        )
    }
}

/// A Parquet file of a source.
///
/// # Errors
/// When it is missing, damaged, or lacks a column.
pub(crate) fn parquet(
    face: &SourceFace,
    source: u32,
    partition: u32,
    file: &InputFile,
    window: Option<&Window>,
) -> Result<Taken> {
    let listed = file;
    let (file, footer) = ParquetFile::open(file, face.fields.unwrap_or_default())?;
    let file = Arc::new(file);
    let left = match window {
        None => Left {
            groups: (0..file.row_groups).collect(),
            rows: file.rows,
            bytes: file.bytes,
        },
        Some(window) => footer.left(face.time_field, window),
    };
    let reach = match window {
        None => format!("{}, whole", file.name),
        Some(_) if left.groups.is_empty() => format!("{}, not read: it notes other event times", file.name),
        Some(_) if left.groups.len() == file.row_groups => format!("{}, all row groups", file.name),
        Some(_) => format!("{}, {} of {} row groups", file.name, left.groups.len(), file.row_groups),
    };
    let group = |group| Piece::RowGroup {
        source,
        partition,
        file: file.clone(),
        group,
    };
    Ok(Taken {
        part: PlannedPart {
            partition: SourcePartition::new(face.name, partition),
            from: 0,
            to: file.rows,
            reach,
            files: u64::from(!left.groups.is_empty()),
            rows: left.rows,
            bytes: left.bytes,
        },
        identity: (file.name.clone(), listed.identity(&file.version)),
        spared: Spared {
            files: u64::from(left.groups.is_empty() && file.row_groups > 0),
            groups: (file.row_groups - left.groups.len()) as u64,
            rows: file.rows.saturating_sub(left.rows),
            bytes: file.bytes.saturating_sub(left.bytes),
        },
        pieces: left.groups.into_iter().map(group).collect(),
    })
}

/// A file of lines of a source. How many records it holds is known when it is read.
///
/// # Errors
/// When it is missing, or torn in a way that shows at once.
pub(crate) fn lines(face: &SourceFace, source: u32, partition: u32, file: &InputFile, format: Format) -> Result<Taken> {
    let listed = file;
    let file = Arc::new(LinesFile::open(file, partition, format)?);
    let piece = |piece| Piece::Lines {
        source,
        file: file.clone(),
        piece,
    };
    let bytes = file.version().bytes;
    Ok(Taken {
        part: PlannedPart {
            partition: SourcePartition::new(face.name, partition),
            from: 0,
            to: bytes,
            reach: format!("{}, whole", file.name()),
            files: 1,
            rows: 0,
            bytes,
        },
        identity: (file.name().into(), listed.identity(file.version())),
        spared: Spared::default(),
        pieces: file.pieces().into_iter().map(piece).collect(),
    })
}
