//! Bulk runs over Parquet files of records, as users have them: bounded, without a live part (P8a), in order of event
//! time.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use arrow_array::{
    ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray, UInt32Array, UInt64Array,
};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use rufous_core::testing::{Answers, Case, Reason, SourceInput, SourcePort, Subject};
use rufous_platform_parquet::{BatchOptions, BatchRun, BulkInput};
use serde_json::Value;

use super::bed::{Bed, outside, scratch};

/// Texts have no columns.
pub const TEXTS: Reason = Reason::Error("carries text");

/// Two files a source, several row groups in each; summed by this many threads.
pub struct Tables {
    /// How many.
    pub threads: usize,
}

/// The rows of a log, oldest first; or as they lie in its partitions, for jobs whose order that is.
fn rows(log: &SourceInput, by_partition: bool) -> Result<Vec<Value>> {
    if by_partition {
        let all = (0..log.partitions).flat_map(|p| log.partition(p));
        return Ok(all
            .map(|e| serde_json::from_slice(&e.payload))
            .collect::<Result<_, _>>()?);
    }
    let rows = log.events.iter().map(|e| serde_json::from_slice(&e.payload));
    let mut rows = rows.collect::<Result<Vec<Value>, _>>()?;
    rows.sort_by_key(|row| row["at"].as_i64());
    Ok(rows)
}

fn columns(port: SourcePort, rows: &[Value]) -> Result<RecordBatch> {
    let texts = |name: &str| Arc::new(StringArray::from_iter(rows.iter().map(|r| r[name].as_str()))) as ArrayRef;
    let unsigned = |name: &str| rows.iter().map(|r| r[name].as_u64()).collect::<Vec<_>>();
    let small = |name: &str| {
        let numbers = unsigned(name)
            .into_iter()
            .map(|n| n.and_then(|n| u32::try_from(n).ok()));
        Arc::new(numbers.collect::<UInt32Array>()) as ArrayRef
    };
    let large = |name: &str| Arc::new(UInt64Array::from(unsigned(name))) as ArrayRef;
    let signed = |name: &str| rows.iter().map(|r| r[name].as_i64()).collect::<Vec<_>>();
    Ok(match port {
        SourcePort::Sales(_) => RecordBatch::try_from_iter_with_nullable([
            ("buyer", large("buyer"), true),
            ("shop", texts("shop"), false),
            ("item", small("item"), false),
            ("cents", Arc::new(Int64Array::from(signed("cents"))) as ArrayRef, false),
            (
                "at",
                Arc::new(TimestampMillisecondArray::from(signed("at"))) as ArrayRef,
                false,
            ),
        ])?,
        SourcePort::Visits(_) => RecordBatch::try_from_iter_with_nullable([
            ("page", texts("page"), false),
            ("user", large("user"), false),
            ("ms", small("ms"), false),
        ])?,
        SourcePort::Pages(_) => RecordBatch::try_from_iter_with_nullable([("page", texts("page"), false)])?,
        SourcePort::Texts(_) => anyhow::bail!("texts have no columns"),
    })
}

/// Files named in their order. Records that cannot be read make files that cannot be read.
fn write(dir: &Path, port: SourcePort, log: &SourceInput, by_partition: bool) -> Result<Vec<PathBuf>> {
    std::fs::create_dir_all(dir)?;
    let Ok(rows) = rows(log, by_partition) else {
        let path = dir.join("0.parquet");
        std::fs::write(&path, "no Parquet")?;
        return Ok(vec![path]);
    };
    let (older, newer) = rows.split_at(rows.len() / 2);
    let file = |(n, rows): (usize, &[Value])| {
        let path = dir.join(format!("{n}.parquet"));
        let properties = WriterProperties::builder()
            .set_max_row_group_row_count(Some(300))
            .build();
        let batch = columns(port, rows)?;
        let mut writer = ArrowWriter::try_new(File::create(&path)?, batch.schema(), Some(properties))?;
        writer.write(&batch)?;
        writer.close()?;
        Ok(path)
    };
    [older, newer].into_iter().enumerate().map(file).collect()
}

impl Subject for Tables {
    fn name(&self) -> String {
        format!("bulk over tables, {} threads", self.threads)
    }
    fn refusals(&self) -> &'static [Reason] {
        &[super::GROUPED, super::ORDER, TEXTS]
    }
    fn can(&self, case: &Case) -> Result<(), Reason> {
        let texts = |(port, _)| matches!(port, SourcePort::Texts(_));
        if super::is_grouped(case) {
            Err(super::GROUPED)
        } else if case.in_order() && case.input().sources().count() > 1 {
            Err(super::ORDER)
        } else if case.input().sources().any(texts) {
            Err(TEXTS)
        } else {
            Ok(())
        }
    }
    fn run(&self, case: &Case) -> rufous_core::Result<Answers> {
        let dir = scratch()?;
        let mut plan = case.plan()?;
        super::written::in_bulk(case, &mut plan)?;
        let bed = Bed::new(plan);
        let files = |(port, log): (SourcePort, &SourceInput)| {
            let files = match port {
                // Some file: it must not come to reading it.
                SourcePort::Texts(_) => vec![dir.path().join("texts.parquet")],
                _ => write(
                    &dir.path().join(port.name()),
                    port,
                    log,
                    !bed.plan.operators().is_empty(),
                )
                .context(port.name())?,
            };
            Ok((port.name().to_string(), BulkInput::parquet(files)))
        };
        let inputs = case
            .input()
            .sources()
            .map(files)
            .collect::<Result<_>>()
            .map_err(outside)?;
        let run = BatchRun {
            plan: &bed.plan,
            inputs,
            manifests: &*bed.state.manifests,
            generations: &*bed.state.generations,
            options: BatchOptions {
                threads: self.threads,
                ..BatchOptions::default()
            },
        };
        run.run()?;
        super::written::answers(case, &bed, bed.answers()?)
    }
}
