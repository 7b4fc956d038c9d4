//! Directories of Parquet files whose schemas differ: columns by name, missing ones none, names of directories as columns, and
//! the file's own column before them (issue 7, item 1).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, DictionaryArray, Int16Array, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use rufous::prelude::*;
use rufous_integration_tests::run::State;
use rufous_platform_parquet::BulkInput;
use rufous_platform_parquet::input::listing::files;
use rufous_platform_parquet::input::local::LocalFiles;
use rufous_platform_parquet::input::storage::Storage;

#[derive(Clone, Record)]
struct Sale {
    shop: String,
    cents: i64,
    note: Option<String>,
    #[record(name = "dt")]
    day: Timestamp,
    hour: Option<u8>,
}

const SALES: Source<Sale> = Source::new("sales");
const TOTALS: Store<String, i64> = Store::new("totals");

fn write(path: &Path, columns: Vec<(&str, ArrayRef)>) -> Result<()> {
    fs::create_dir_all(path.parent().context("a parent")?)?;
    let batch = RecordBatch::try_from_iter(columns)?;
    let mut writer = ArrowWriter::try_new(fs::File::create(path)?, batch.schema(), None)?;
    writer.write(&batch)?;
    writer.close()?;
    Ok(())
}

#[test]
fn schemas_differ() -> Result<()> {
    const DAY: i64 = 86_400_000;
    let dir = tempfile::tempdir()?;
    let shops = || -> ArrayRef { Arc::new(StringArray::from(vec!["a", "b", "a"])) };
    let cents = || -> ArrayRef { Arc::new(Int64Array::from(vec![1, 2, 3])) };
    let coded: DictionaryArray<Int32Type> = ["b", "b", "c"].into_iter().collect();
    let at = |path: &str| dir.path().join(path);
    write(
        &at("dt=1970-01-02/h.parquet"),
        vec![("shop", shops()), ("cents", cents())],
    )?;
    write(
        &at("dt=1970-01-03/hour=7/part.parquet/0.parquet"),
        vec![
            ("other", Arc::new(Int64Array::from(vec![0; 3]))),
            ("cents", Arc::new(Int16Array::from(vec![10, 20, 30]))),
            ("note", Arc::new(StringArray::from(vec![Some("n"), None, None]))),
            ("shop", Arc::new(coded)),
        ],
    )?;
    // Its own days, and an hour that nobody knows.
    write(
        &at("dt=1970-01-04/hour=__HIVE_DEFAULT_PARTITION__/1.parquet"),
        vec![
            ("dt", Arc::new(Int64Array::from(vec![0, 5 * DAY, 5 * DAY]))),
            ("shop", shops()),
            ("cents", cents()),
        ],
    )?;
    fs::write(at("_SUCCESS"), "")?;
    fs::create_dir(at("_delta_log"))?;
    fs::write(at("_delta_log/0.parquet"), "none")?;

    let keyed = SALES.read().keyed(|s, out| {
        let key = format!("{} {} {:?} {:?}", s.shop, s.day.0, s.hour, s.note);
        out.emit(key.as_str(), s.cents);
    });
    let plan = Job::new("sales", keyed.sum_by_key(TOTALS)).plan()?;
    let storage: Arc<dyn Storage> = Arc::new(LocalFiles);
    let state = State::memory(&plan);
    let report = state.bulk(
        &plan,
        BulkInput::Parquet(files(&storage, dir.path(), ".parquet")?),
        None,
    )?;
    ensure!(report.records == 9 && report.bad == 0, "{report:?}");
    let (day2, day5) = (2 * DAY, 5 * DAY);
    let expected: BTreeMap<String, i64> = [
        (format!("a {DAY} None None"), 4),
        (format!("b {DAY} None None"), 2),
        (format!("b {day2} Some(7) Some(\"n\")"), 10),
        (format!("b {day2} Some(7) None"), 20),
        (format!("c {day2} Some(7) None"), 30),
        ("a 0 None None".into(), 1),
        (format!("b {day5} None None"), 2),
        (format!("a {day5} None None"), 3),
    ]
    .into();
    let client = state.client(&plan).store(TOTALS)?;
    for (key, cents) in &expected {
        ensure!(
            client.get(key.as_str())?.value == Some(*cents),
            "{key:?}: {:?}",
            client.get(key.as_str())?.value
        );
    }
    ensure!(state.answers(&plan)?.len() == expected.len());

    // A value that is no hour names its directory; a directory without the column names the file.
    for (name, words) in [("dt=1/hour=noon", "`hour=noon`"), ("day=1", "no column `dt`")] {
        write(&at(name).join("x.parquet"), vec![("shop", shops()), ("cents", cents())])?;
        let input = BulkInput::Parquet(files(&storage, dir.path(), ".parquet")?);
        let e = State::memory(&plan).bulk(&plan, input, None).unwrap_err().to_string();
        ensure!(e.contains(words) && e.contains(&format!("{name}/x.parquet")), "{e}");
        fs::remove_dir_all(at(name))?;
    }
    Ok(())
}
