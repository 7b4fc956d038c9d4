//! The planner's rule `times` in bulk: the entries of a dictionary-coded column instead of its rows, and the same bytes.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use anyhow::Result;
use rufous::core::{Rules, record::RecordError};
use rufous::prelude::*;
use rufous_core::{Field, FieldType, Row};
use rufous_integration_tests::data;
use rufous_integration_tests::run::{Bytes, State};
use rufous_platform_parquet::BulkInput;

#[derive(Clone)]
struct Flight {
    origin: Text,
}

impl rufous::core::Record for Flight {
    const FIELDS: &'static [Field] = &[Field {
        name: "origin",
        ty: FieldType::Text,
        optional: false,
    }];
    fn from_row(row: &Row<'_>) -> Result<Self, RecordError> {
        Ok(Self { origin: row.get(0)? })
    }
}

const FLIGHTS: Source<Flight> = Source::new("flights");
const BY_LETTER: Store<(String, String), (u64, Max<u64>)> = Store::new("by-letter");

/// Totals per airport, under each of its letters; counts how often the closure runs.
fn job(calls: &Arc<AtomicU64>) -> Job {
    let calls = calls.clone();
    let letters = FLIGHTS.read().keyed(move |f, out| {
        calls.fetch_add(1, Relaxed);
        for i in 0..f.origin.len() {
            out.emit((&f.origin[i..i + 1], f.origin.as_str()), (1, Max::of(i as u64)));
        }
    });
    Job::new("letters", letters.sum_by_key(BY_LETTER))
}

fn answers(job: &Job, rules: &Rules, files: &[std::path::PathBuf], threads: usize) -> Result<Bytes> {
    let plan = job.plan_with(rules)?;
    let state = State::memory(&plan);
    let run = rufous_platform_parquet::BatchRun {
        plan: &plan,
        inputs: [("flights".to_string(), BulkInput::parquet(files.to_vec()))].into(),
        manifests: &*state.manifests,
        generations: &*state.generations,
        options: rufous_platform_parquet::BatchOptions {
            threads,
            ..Default::default()
        },
    };
    run.run()?;
    state.answers(&plan)
}

#[test]
fn entries_instead_of_rows() -> Result<()> {
    let dir = data::large().map_or_else(|| data::sample(""), |d| d.join("flights"));
    let mut files: Vec<_> = std::fs::read_dir(Path::new(&dir))?
        .map(|e| Ok(e?.path()))
        .collect::<Result<Vec<_>>>()?;
    files.retain(|f| f.extension().is_some_and(|e| e == "parquet"));
    files.sort();
    let calls = Arc::new(AtomicU64::new(0));
    let job = job(&calls);
    let plain = answers(&job, &Rules::none(), &files, 1)?;
    let rows = calls.swap(0, Relaxed);
    for threads in [1, 3] {
        assert!(answers(&job, &Rules::all(), &files, threads)? == plain);
        let entries = calls.swap(0, Relaxed);
        println!("{rows} rows, {entries} calls with {threads} threads");
        assert!(entries * 4 < rows, "{entries} calls for {rows} rows");
    }
    Ok(())
}
