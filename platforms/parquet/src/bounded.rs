//! What a run will do with the files of a bounded input: each is a partition, and is taken whole (P8a).

use std::sync::Arc;

use rufous_core::{Error, Format, Result, SourceFace, SourcePartition};

use crate::columns::ParquetFile;
use crate::input::InputFile;
use crate::input::lines::LinesFile;
use crate::survey::PlannedPart;
use crate::work::Piece;

/// One file.
pub(crate) struct Taken {
    pub(crate) part: PlannedPart,
    /// Its name, and what tells it from another one of its name: changed files are summed again.
    pub(crate) identity: (String, String),
    pub(crate) pieces: Vec<Piece>,
}

/// Parquet files of a source.
///
/// # Errors
/// When it carries text, or a file is missing, damaged, or lacks a column.
pub(crate) fn parquet(face: &SourceFace, source: u32, files: &[InputFile]) -> Result<Vec<Taken>> {
    let fields = face.fields.ok_or_else(|| {
        Error::invalid(format!(
            "source `{}` carries text: Parquet is read into structs that derive Record",
            face.name
        ))
    })?;
    let file = |(n, file): (usize, &InputFile)| {
        let file = Arc::new(ParquetFile::open(file, fields)?);
        let group = |group| Piece::RowGroup {
            source,
            file: file.clone(),
            group,
        };
        Ok(Taken {
            part: PlannedPart {
                partition: SourcePartition::new(face.name, n as u32),
                from: 0,
                to: file.rows,
                reach: format!("{}, whole", file.name),
                files: 1,
                rows: file.rows,
                bytes: file.bytes,
            },
            identity: (file.name.clone(), file.version.to_string()),
            pieces: (0..file.row_groups).map(group).collect(),
        })
    };
    files.iter().enumerate().map(file).collect()
}

/// Files of lines of a source. How many records they hold is known when they are read.
///
/// # Errors
/// When its records are not written so, or a file is missing.
pub(crate) fn lines(face: &SourceFace, source: u32, files: &[InputFile], format: Format) -> Result<Vec<Taken>> {
    face.decoder(format)
        .map_err(|e| e.at(format_args!("source `{}`", face.name)))?;
    let file = |(n, file): (usize, &InputFile)| {
        let file = Arc::new(LinesFile::open(file, n as u32, format)?);
        let piece = |piece| Piece::Lines {
            source,
            file: file.clone(),
            piece,
        };
        let bytes = file.version().bytes;
        Ok(Taken {
            part: PlannedPart {
                partition: SourcePartition::new(face.name, n as u32),
                from: 0,
                to: bytes,
                reach: format!("{}, whole", file.name()),
                files: 1,
                rows: 0,
                bytes,
            },
            identity: (file.name().into(), file.version().to_string()),
            pieces: file.pieces().into_iter().map(piece).collect(),
        })
    };
    files.iter().enumerate().map(file).collect()
}
