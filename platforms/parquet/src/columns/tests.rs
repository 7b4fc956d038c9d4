//! Files of every type, written with arrow and compared with plain vectors; errors that say what to change; hostile
//! bytes.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::types::{Int8Type, Int32Type, UInt16Type};
use arrow_array::*;
use arrow_schema::{DataType, Field as ArrowField, Schema};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use rufous_core::record::FieldType::{self, Bool, Float, Integer, Text, Timestamp};
use rufous_core::{Column, ColumnBatch, ColumnData, Error, ErrorKind, Field, Result};

use super::FileReader;

/// A value of any kind, as text: what a row holds, without the decoder.
fn values(batch: &ColumnBatch, column: usize) -> Vec<String> {
    let Column { data, valid } = &batch.columns[column];
    let show = |i: usize| match data {
        _ if valid.as_ref().is_some_and(|v| !v[i]) => "null".to_string(),
        ColumnData::Missing => "missing".into(),
        ColumnData::Bool(v) => v[i].to_string(),
        ColumnData::Integer(v) => format!("i{}", v[i]),
        ColumnData::Unsigned(v) => format!("u{}", v[i]),
        ColumnData::Float(v) => format!("f{}", v[i]),
        ColumnData::Time(v) => format!("t{}", v[i]),
        ColumnData::Text { text, ends } => text[if i == 0 { 0 } else { ends[i - 1] }..ends[i]].into(),
    };
    assert!(valid.as_ref().is_none_or(|v| v.len() == batch.rows));
    (0..batch.rows).map(show).collect()
}

fn field(name: &'static str, ty: FieldType) -> Field {
    Field {
        name,
        ty,
        optional: false,
    }
}

fn fields(fields: Vec<Field>) -> &'static [Field] {
    fields.leak()
}

/// Writes arrays as columns `c0`, `c1` ..., `group` rows a row group.
fn write(dir: &Path, arrays: Vec<ArrayRef>, group: usize) -> PathBuf {
    let field = |(i, a): (usize, &ArrayRef)| ArrowField::new(format!("c{i}"), a.data_type().clone(), true);
    let schema = Arc::new(Schema::new(arrays.iter().enumerate().map(field).collect::<Vec<_>>()));
    let path = dir.join("f.parquet");
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(group))
        .build();
    let mut writer = ArrowWriter::try_new(fs::File::create(&path).unwrap(), schema.clone(), Some(properties)).unwrap();
    writer.write(&RecordBatch::try_new(schema, arrays).unwrap()).unwrap();
    writer.close().unwrap();
    path
}

/// All values, a vector a field.
fn read(path: &Path, fields: &'static [Field]) -> Result<Vec<Vec<String>>> {
    let reader = FileReader::open(&path.into(), fields)?;
    let (mut all, mut rows) = (vec![Vec::new(); fields.len()], 0);
    for group in 0..reader.row_groups() {
        reader.read_row_group(group, &mut |batch| {
            assert!(batch.rows <= 4096);
            rows += batch.rows as u64;
            all.iter_mut()
                .enumerate()
                .for_each(|(i, all)| all.extend(values(batch, i)));
            Ok(())
        })?;
    }
    assert_eq!(rows, reader.rows());
    Ok(all)
}

fn one(array: impl Array + 'static, ty: FieldType) -> Result<Vec<String>> {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), vec![Arc::new(array)], 1000);
    read(&path, fields(vec![field("c0", ty)])).map(|mut v| v.remove(0))
}

#[test]
fn integers_of_every_width() {
    let expected = |values: &[&str]| values.iter().map(|v| v.to_string()).collect::<Vec<_>>();
    assert_eq!(
        one(Int8Array::from(vec![-128, 127]), Integer).unwrap(),
        expected(&["i-128", "i127"])
    );
    assert_eq!(
        one(Int16Array::from(vec![i16::MIN, 1]), Integer).unwrap(),
        expected(&["i-32768", "i1"])
    );
    assert_eq!(
        one(Int32Array::from(vec![Some(i32::MIN), None]), Integer).unwrap(),
        expected(&["i-2147483648", "null"])
    );
    assert_eq!(
        one(Int64Array::from(vec![i64::MIN, i64::MAX]), Integer).unwrap(),
        [format!("i{}", i64::MIN), format!("i{}", i64::MAX)]
    );
    assert_eq!(one(UInt8Array::from(vec![255]), Integer).unwrap(), ["i255"]);
    assert_eq!(one(UInt16Array::from(vec![65535]), Integer).unwrap(), ["i65535"]);
    assert_eq!(
        one(UInt32Array::from(vec![u32::MAX]), Integer).unwrap(),
        ["i4294967295"]
    );
    assert_eq!(
        one(UInt64Array::from(vec![Some(u64::MAX), None]), Integer).unwrap(),
        [format!("u{}", u64::MAX), "null".into()]
    );
    assert_eq!(one(Int32Array::from(vec![5]), Timestamp).unwrap(), ["i5"]);
    assert_eq!(one(Int32Array::from(vec![5]), Float).unwrap(), ["i5"]);
}

#[test]
fn floats_and_bools() {
    assert_eq!(
        one(Float32Array::from(vec![Some(0.5), None]), Float).unwrap(),
        ["f0.5", "null"]
    );
    assert_eq!(
        one(Float64Array::from(vec![-1.25, f64::INFINITY]), Float).unwrap(),
        ["f-1.25", "finf"]
    );
    assert_eq!(
        one(BooleanArray::from(vec![Some(true), None, Some(false)]), Bool).unwrap(),
        ["true", "null", "false"]
    );
}

/// Times are milliseconds, rounded down before 1970 too; a zone changes how an instant is shown, not which one it is.
#[test]
fn times_of_every_unit() {
    assert_eq!(
        one(TimestampSecondArray::from(vec![-1, 2]), Timestamp).unwrap(),
        ["t-1000", "t2000"]
    );
    assert_eq!(
        one(
            TimestampMillisecondArray::from(vec![-1, 2]).with_timezone("UTC"),
            Timestamp
        )
        .unwrap(),
        ["t-1", "t2"]
    );
    let us = TimestampMicrosecondArray::from(vec![Some(-1), Some(1999), None, Some(-1000)]);
    assert_eq!(one(us.clone(), Timestamp).unwrap(), ["t-1", "t1", "null", "t-1"]);
    assert_eq!(
        one(us.with_timezone("+02:00"), Timestamp).unwrap(),
        ["t-1", "t1", "null", "t-1"]
    );
    assert_eq!(
        one(
            TimestampNanosecondArray::from(vec![-1, 1_999_999, -1_000_001]),
            Timestamp
        )
        .unwrap(),
        ["t-1", "t1", "t-2"]
    );
    assert_eq!(
        one(Date32Array::from(vec![-1, 1]), Timestamp).unwrap(),
        ["t-86400000", "t86400000"]
    );
    assert_eq!(
        one(Date64Array::from(vec![-86_400_000, 86_400_000]), Timestamp).unwrap(),
        ["t-86400000", "t86400000"]
    );
    assert_eq!(
        one(StringArray::from(vec!["2001-01-01"]), Timestamp).unwrap(),
        ["2001-01-01"]
    );
}

#[test]
fn texts_in_every_form() {
    let texts = vec![
        Some("a"),
        None,
        Some(""),
        Some("schön"),
        Some("a"),
        Some("a text of more than twelve bytes, 水"),
    ];
    let expected: Vec<_> = texts.iter().map(|t| t.unwrap_or("null").to_string()).collect();
    assert_eq!(one(StringArray::from(texts.clone()), Text).unwrap(), expected);
    assert_eq!(one(LargeStringArray::from(texts.clone()), Text).unwrap(), expected);
    assert_eq!(one(StringViewArray::from(texts.clone()), Text).unwrap(), expected);
    assert_eq!(
        one(texts.iter().copied().collect::<DictionaryArray<Int8Type>>(), Text).unwrap(),
        expected
    );
    assert_eq!(
        one(texts.iter().copied().collect::<DictionaryArray<UInt16Type>>(), Text).unwrap(),
        expected
    );
    let keys = Int32Array::from(vec![Some(1), None, Some(0)]);
    let large =
        DictionaryArray::<Int32Type>::try_new(keys.clone(), Arc::new(LargeStringArray::from(vec!["x", "y"]))).unwrap();
    assert_eq!(one(large, Text).unwrap(), ["y", "null", "x"]);
    let views = DictionaryArray::<Int32Type>::try_new(keys, Arc::new(StringViewArray::from(vec!["x", "y"]))).unwrap();
    assert_eq!(one(views, Text).unwrap(), ["y", "null", "x"]);
}

/// Several row groups and chunks: buffers are used again, and nulls in one chunk leave none in the next. Fields come in
/// their own order, columns that no field names are not read, and a missing column is a missing value.
#[test]
fn many_rows_in_the_order_of_the_fields() {
    let dir = tempfile::tempdir().unwrap();
    let n = 25_000i64;
    let number = |i: i64| (!(4096..8192).contains(&i) || i % 3 == 0).then_some(i);
    let text = |i: i64| (i % 7 != 0 || i > 15_000).then(|| format!("text {}", i % 1000));
    let arrays: Vec<ArrayRef> = vec![
        Arc::new((0..n).map(number).collect::<Int64Array>()),
        Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(
            (0..n).map(|_| Some(vec![Some(1), Some(2)])),
        )),
        Arc::new((0..n).map(text).collect::<StringArray>()),
    ];
    let path = write(dir.path(), arrays, 10_000);
    let none = Field {
        name: "none",
        ty: Bool,
        optional: true,
    };
    let read = read(
        &path,
        fields(vec![field("c2", Text), none, field("c0", Integer), field("c2", Text)]),
    )
    .unwrap();
    let texts: Vec<_> = (0..n).map(|i| text(i).unwrap_or("null".into())).collect();
    let numbers: Vec<_> = (0..n)
        .map(|i| number(i).map_or("null".into(), |i| format!("i{i}")))
        .collect();
    assert!(read[0] == texts && read[3] == texts && read[2] == numbers && read[1] == vec!["missing"; n as usize]);
}

#[test]
fn only_missing_columns_and_empty_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), vec![Arc::new(Int64Array::from(vec![1, 2, 3]))], 1000);
    assert_eq!(
        read(
            &path,
            fields(vec![Field {
                name: "x",
                ty: Text,
                optional: true
            }])
        )
        .unwrap(),
        [["missing"; 3]]
    );
    let path = write(dir.path(), vec![Arc::new(Int64Array::from(Vec::<i64>::new()))], 1000);
    let reader = FileReader::open(&(&*path).into(), fields(vec![field("c0", Integer)])).unwrap();
    assert_eq!(reader.rows(), 0);
    assert!(reader.read_row_group(reader.row_groups(), &mut |_| Ok(())).is_err());
    let nulls = NullArray::new(2);
    let path = write(dir.path(), vec![Arc::new(nulls)], 1000);
    assert_eq!(
        read(
            &path,
            fields(vec![Field {
                name: "c0",
                ty: Text,
                optional: true
            }])
        )
        .unwrap()
        .len(),
        1
    );
}

/// `c0.a` and `c0.b.x` are leaves of struct columns: read beside plain columns, without their neighbours, null where they or
/// a struct around them is null.
#[test]
fn leaves_of_structs() {
    let n = 5_000usize;
    // What a row holds, from the outside: the structs on the way, then the leaf.
    let (outer, inner) = (|i: usize| !i.is_multiple_of(7), |i: usize| !i.is_multiple_of(5));
    let text = |i: usize| (!i.is_multiple_of(3)).then(|| format!("t{}", i % 40));
    let number = |i: usize| (!i.is_multiple_of(2)).then_some(i as i64);
    let texts: DictionaryArray<Int32Type> = (0..n)
        .map(text)
        .collect::<Vec<_>>()
        .iter()
        .map(|t| t.as_deref())
        .collect();
    let numbers = Int64Array::from((0..n).map(number).collect::<Vec<_>>());
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>((0..n).map(|i| Some(vec![Some(i as i32); i % 3])));
    let nullable = |name: &str, a: &ArrayRef| ArrowField::new(name, a.data_type().clone(), true);
    let structure = |children: Vec<(&str, ArrayRef)>, valid: Vec<bool>| -> ArrayRef {
        let fields: Vec<_> = children.iter().map(|(name, a)| nullable(name, a)).collect();
        let arrays = children.into_iter().map(|(_, a)| a).collect();
        Arc::new(StructArray::new(fields.into(), arrays, Some(valid.into())))
    };
    let b = structure(
        vec![("skipped", Arc::new(list)), ("x", Arc::new(numbers))],
        (0..n).map(inner).collect(),
    );
    let c0 = structure(vec![("a", Arc::new(texts)), ("b", b)], (0..n).map(outer).collect());
    let dir = tempfile::tempdir().unwrap();
    let plain = Arc::new(Int64Array::from_iter_values(0..n as i64));
    let path = write(dir.path(), vec![c0, plain], 1_500);

    let missing = Field {
        name: "c0.b.y",
        ty: Text,
        optional: true,
    };
    let names = vec![
        field("c1", Integer),
        field("c0.b.x", Integer),
        missing,
        field("c0.a", Text),
    ];
    let all = read(&path, fields(names)).unwrap();
    assert_eq!(all[0], (0..n).map(|i| format!("i{i}")).collect::<Vec<_>>());
    let null = || "null".to_string();
    let numbers = (0..n).map(|i| {
        number(i)
            .filter(|_| outer(i) && inner(i))
            .map_or_else(null, |x| format!("i{x}"))
    });
    assert_eq!(all[1], numbers.collect::<Vec<_>>());
    assert!(all[2].iter().all(|v| v == "missing"));
    let texts = (0..n).map(|i| text(i).filter(|_| outer(i)).unwrap_or_else(null));
    assert_eq!(all[3], texts.collect::<Vec<_>>());
    // Rows of a dictionary are only counted where no struct may be null around them.
    let leaf = FileReader::open(&(&*path).into(), fields(vec![field("c0.a", Text)])).unwrap();
    assert!(!leaf.repeats(0));
}

/// Errors of paths say what is there, before anything is read.
#[test]
fn paths_that_lead_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let x: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let c0 = StructArray::from(vec![(Arc::new(ArrowField::new("x", DataType::Int64, true)), x.clone())]);
    let path = write(dir.path(), vec![Arc::new(c0), x], 1000);
    let refused = |name: &'static str, words: &[&str]| {
        let e = FileReader::open(&(&*path).into(), fields(vec![field(name, Integer)])).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InvalidRequest, "{e}");
        for word in words {
            assert!(e.to_string().contains(word), "`{word}` is not in: {e}");
        }
    };
    refused("c0.y", &["has no column `c0.y`", "`c0` has: x", "make it an Option"]);
    refused("c1.y", &["column `c1.y`: `c1` is of type Int64", "no field `y`"]);
    refused("c0", &["column `c0` is of type Struct"]);
    refused("c2.x", &["it has: c0, c1"]);
    // Not even an optional field may lie within a number.
    let optional = Field {
        optional: true,
        ..field("c1.y", Text)
    };
    assert!(FileReader::open(&(&*path).into(), fields(vec![optional])).is_err());
}

/// A dot of a column's own name is written behind a backslash; the error of who forgot it says so.
#[test]
fn dots_in_names_of_columns() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f.parquet");
    let array: ArrayRef = Arc::new(Int64Array::from(vec![7]));
    let batch = RecordBatch::try_from_iter([("repo.name", array)]).unwrap();
    let mut writer = ArrowWriter::try_new(fs::File::create(&path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    assert_eq!(
        read(&path, fields(vec![field(r"repo\.name", Integer)])).unwrap(),
        [["i7"]]
    );
    let e = FileReader::open(&(&*path).into(), fields(vec![field("repo.name", Integer)])).unwrap_err();
    assert!(e.to_string().contains(r"`repo.name` is written `repo\.name`"), "{e}");
}

#[test]
fn a_missing_column_names_those_that_exist() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(
        dir.path(),
        vec![Arc::new(Int64Array::from(vec![1])), Arc::new(Int64Array::from(vec![1]))],
        1000,
    );
    let e = FileReader::open(
        &(&*path).into(),
        fields(vec![field("c1", Integer), field("origin", Text)]),
    )
    .unwrap_err();
    assert_eq!(e.kind(), ErrorKind::InvalidRequest);
    let expected = format!(
        "file {} has no column `origin` (it has: c0, c1): name the column with #[record(name = ...)] or make it an Option",
        path.display()
    );
    assert_eq!(e.to_string(), expected);
}

#[test]
fn columns_of_another_kind() {
    let refused = |array: ArrayRef, ty: FieldType, words: [&str; 2]| {
        let dir = tempfile::tempdir().unwrap();
        let path = write(dir.path(), vec![array], 1000);
        let e = FileReader::open(&(&*path).into(), fields(vec![field("c0", ty)])).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InvalidRequest, "{e}");
        for word in [
            words[0],
            words[1],
            "f.parquet",
            "column `c0`",
            "change the field's type",
        ] {
            assert!(e.to_string().contains(word), "`{word}` is not in: {e}");
        }
    };
    let int = || Arc::new(Int64Array::from(vec![1])) as ArrayRef;
    let text = || Arc::new(StringArray::from(vec!["x"])) as ArrayRef;
    refused(int(), Text, ["of type Int64", "holds text, which is read from Utf8"]);
    refused(int(), Bool, ["of type Int64", "holds bool"]);
    refused(text(), Integer, ["of type Utf8", "holds integer"]);
    refused(text(), Float, ["of type Utf8", "holds float"]);
    refused(
        Arc::new(Float64Array::from(vec![1.0])),
        Integer,
        ["of type Float64", "holds integer"],
    );
    refused(
        Arc::new(UInt64Array::from(vec![1])),
        Timestamp,
        ["of type UInt64", "holds timestamp"],
    );
    refused(
        Arc::new(TimestampSecondArray::from(vec![1])),
        Integer,
        ["of type Timestamp", "holds integer"],
    );
    refused(
        Arc::new(BinaryArray::from_vec(vec![b"x"])),
        Text,
        ["of type Binary", "holds text"],
    );
    refused(
        Arc::new(Decimal128Array::from(vec![1])),
        Float,
        ["of type Decimal128", "holds float"],
    );
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1)])]);
    refused(Arc::new(list), Integer, ["of type List", "holds integer"]);
    let numbers =
        DictionaryArray::<Int32Type>::try_new(Int32Array::from(vec![0]), Arc::new(Int64Array::from(vec![9]))).unwrap();
    assert_eq!(one(numbers, Integer).unwrap(), ["i9"]);
    assert_eq!(
        DataType::Utf8.to_string(),
        "Utf8",
        "types are named as arrow names them"
    );
}

fn flights_like(dir: &Path) -> (PathBuf, &'static [Field]) {
    let n = 3000;
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(TimestampMicrosecondArray::from((0..n).collect::<Vec<_>>())),
        Arc::new((0..n).map(|i| (i % 5 != 0).then_some(i)).collect::<Int64Array>()),
        Arc::new(
            (0..n)
                .map(|i| Some(["FRA", "JFK", "NRT"][i as usize % 3]))
                .collect::<StringArray>(),
        ),
        Arc::new(BooleanArray::from(vec![true; n as usize])),
    ];
    let of = vec![
        field("c0", Timestamp),
        field("c1", Integer),
        field("c2", Text),
        field("c3", Bool),
    ];
    (write(dir, arrays, 1000), fields(of))
}

/// Whatever the bytes: rows or an error that names the file, never a panic. (Parquet has no checksum: changed data may
/// pass.)
#[test]
fn hostile_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let (path, fields) = flights_like(dir.path());
    let good = fs::read(&path).unwrap();
    let check = |e: Error| {
        assert!(
            matches!(e.kind(), ErrorKind::CorruptData | ErrorKind::InvalidRequest),
            "{e:?}"
        );
        assert!(e.to_string().contains("f.parquet"), "{e}");
    };
    for n in [0, 3, 8, 12, good.len() / 2, good.len() - 1] {
        fs::write(&path, &good[..n]).unwrap();
        let e = read(&path, fields).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::CorruptData);
        check(e);
    }
    let (mut state, mut failed) = (7u64, 0);
    let mut below = |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % n as u64) as usize
    };
    for round in 0..3000 {
        let mut bytes = good.clone();
        for _ in 0..=below(3) {
            let i = if round % 2 == 0 {
                below(bytes.len())
            } else {
                bytes.len() - 1 - below(bytes.len().min(2000))
            };
            bytes[i] = if below(2) == 0 {
                bytes[i] ^ (1 << below(8))
            } else {
                below(256) as u8
            };
        }
        fs::write(&path, &bytes).unwrap();
        if let Err(e) = read(&path, fields) {
            failed += 1;
            check(e);
        }
    }
    assert!(failed > 500, "{failed}");
}

/// A file that is cut off or gone after it was opened.
#[test]
fn a_file_that_changes() {
    let dir = tempfile::tempdir().unwrap();
    let (path, fields) = flights_like(dir.path());
    let reader = FileReader::open(&(&*path).into(), fields).unwrap();
    fs::write(&path, b"PAR1").unwrap();
    let e = reader.read_row_group(0, &mut |_| Ok(())).unwrap_err();
    assert!(
        e.kind() == ErrorKind::TryAgain && e.to_string().contains("f.parquet: it was written to"),
        "{e}"
    );
    // As long, and other bytes: its time tells.
    let reader = FileReader::open(&(&*flights_like(dir.path()).0).into(), fields).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    bytes[100] ^= 1;
    let mut rows = 0;
    let e = reader.read_row_group(0, &mut |columns| {
        rows += columns.rows;
        fs::write(&path, &bytes).map_err(|e| Error::io("cannot write", &path, e))
    });
    let e = e.unwrap_err();
    assert!(rows > 0 && e.kind() == ErrorKind::TryAgain, "{rows} {e}");
    fs::remove_file(&path).unwrap();
    assert_eq!(
        reader.read_row_group(0, &mut |_| Ok(())).unwrap_err().kind(),
        ErrorKind::InvalidRequest
    );
    assert_eq!(
        FileReader::open(&(&*path).into(), fields).unwrap_err().kind(),
        ErrorKind::InvalidRequest
    );
}

#[test]
fn the_readers_own_error_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let (path, fields) = flights_like(dir.path());
    let e = FileReader::open(&(&*path).into(), fields)
        .unwrap()
        .read_row_group(2, &mut |_| Err(Error::closed("stop")))
        .unwrap_err();
    assert_eq!((e.kind(), e.to_string().as_str()), (ErrorKind::Closed, "stop"));
}

/// The rule `times`: every value as often as rows hold it, nulls too, and no more calls than bits and pieces.
#[test]
fn a_dictionary_coded_column_comes_once_a_value() {
    let dir = tempfile::tempdir().unwrap();
    let rows: Vec<Option<String>> = (0..10_000_usize)
        .map(|i| (i % 17 != 3).then(|| format!("v{}", i * i % 101)))
        .collect();
    let array: ArrayRef = Arc::new(StringArray::from(rows.clone()));
    let path = write(
        dir.path(),
        vec![Arc::new(Int32Array::from(vec![1; 10_000])), array],
        7_000,
    );
    let c1 = Field {
        optional: true,
        ..field("c1", Text)
    };
    let reader = FileReader::open(&(&*path).into(), fields(vec![c1])).unwrap();
    let mut expected = std::collections::BTreeMap::<String, u64>::new();
    for row in rows {
        *expected.entry(row.unwrap_or("null".into())).or_default() += 1;
    }
    let (mut found, mut shown) = (std::collections::BTreeMap::<String, u64>::new(), 0);
    for group in 0..reader.row_groups() {
        assert!(reader.repeats(group));
        let mut add = |batch: &ColumnBatch, times: std::num::NonZeroU64| {
            shown += batch.rows;
            for value in values(batch, 0) {
                *found.entry(value).or_default() += times.get();
            }
            Ok(())
        };
        reader.read_repeated(group, &mut add).unwrap();
    }
    assert_eq!(found, expected);
    assert!(shown < 1_000, "{shown} records instead of 10,000");
    let both = FileReader::open(&(&*path).into(), fields(vec![field("c0", Integer), field("c1", Text)])).unwrap();
    assert!(
        !both.repeats(0),
        "a record of two columns is no entry of one dictionary"
    );
    let number = FileReader::open(&(&*path).into(), fields(vec![field("c0", Integer)])).unwrap();
    assert!(!number.repeats(0), "numbers are read as they are");
}

/// A writer whose dictionary becomes too large goes on without one: such a row group is read row by row, as its rows are.
#[test]
fn a_dictionary_that_was_given_up_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let rows: Vec<String> = (0..5_000).map(|i| format!("value {}", i % 4_000)).collect();
    let array: ArrayRef = Arc::new(StringArray::from(rows.clone()));
    let schema = Arc::new(Schema::new(vec![ArrowField::new("c0", DataType::Utf8, true)]));
    let path = dir.path().join("f.parquet");
    let properties = WriterProperties::builder()
        .set_dictionary_page_size_limit(10_000)
        .set_data_page_row_count_limit(500)
        .set_write_batch_size(500)
        .build();
    let mut writer = ArrowWriter::try_new(fs::File::create(&path).unwrap(), schema.clone(), Some(properties)).unwrap();
    writer
        .write(&RecordBatch::try_new(schema, vec![array]).unwrap())
        .unwrap();
    writer.close().unwrap();
    let reader = FileReader::open(&(&*path).into(), fields(vec![field("c0", Text)])).unwrap();
    let column = reader.metadata.metadata().row_group(0).column(0).clone();
    assert!(column.dictionary_page_offset().is_some(), "it began with a dictionary");
    assert!(!reader.repeats(0));
    let mut found = Vec::new();
    let mut add = |batch: &ColumnBatch| {
        found.extend(values(batch, 0));
        Ok(())
    };
    reader.read_row_group(0, &mut add).unwrap();
    assert_eq!(found, rows);
}

/// A column chunk of more than 4 MiB is fetched by windows and pages; smaller ones at once. Nothing is fetched that is not read.
#[test]
fn large_columns_are_fetched_piece_by_piece() {
    use crate::input::InputFile;
    use crate::input::local::LocalFiles;
    use crate::input::storage::{Found, Opened, Storage, Version};
    use std::sync::Mutex;

    /// Notes the length of every fetch.
    #[derive(Debug, Default)]
    struct Counted(Arc<Mutex<Vec<usize>>>);
    #[derive(Debug)]
    struct CountedFile(Box<dyn Opened>, Arc<Mutex<Vec<usize>>>);
    impl Storage for Counted {
        fn list(&self, path: &Path) -> Result<Vec<Found>> {
            LocalFiles.list(path)
        }
        fn open(&self, path: &Path) -> Result<Box<dyn Opened>> {
            Ok(Box::new(CountedFile(LocalFiles.open(path)?, self.0.clone())))
        }
    }
    impl Opened for CountedFile {
        fn version(&self) -> Result<Version> {
            self.0.version()
        }
        fn read_range(&self, at: u64, into: &mut [u8]) -> Result<()> {
            self.1.lock().unwrap().push(into.len());
            self.0.read_range(at, into)
        }
    }

    let dir = tempfile::tempdir().unwrap();
    let n = 400_000_i64;
    let text = |i: i64| format!("{:040}", i * 7919);
    let arrays: Vec<ArrayRef> = vec![
        Arc::new((0..n).map(|i| i % 100).collect::<Int64Array>()),
        Arc::new((0..n).map(|i| Some(text(i))).collect::<StringArray>()),
    ];
    let path = write(dir.path(), arrays, n as usize);
    let counted = Counted::default();
    let fetched = counted.0.clone();
    let input = InputFile::new(Arc::new(counted), path.clone(), Vec::new());
    for (of, most) in [
        (vec![field("c1", Text)], 2 << 20),
        (vec![field("c0", Integer)], 4 << 20),
        (vec![field("c0", Integer), field("c1", Text)], 4 << 20),
    ] {
        let reader = FileReader::open(&input, fields(of.clone())).unwrap();
        fetched.lock().unwrap().clear();
        let (mut row, bytes) = (0, reader.bytes());
        reader
            .read_row_group(0, &mut |batch| {
                if let Some(at) = of.iter().position(|f| f.name == "c1") {
                    for (i, value) in values(batch, at).into_iter().enumerate() {
                        assert_eq!(value, text(row + i as i64));
                    }
                }
                row += batch.rows as i64;
                Ok(())
            })
            .unwrap();
        assert_eq!(row, n);
        let fetched = fetched.lock().unwrap();
        let all: usize = fetched.iter().sum();
        assert!(*fetched.iter().max().unwrap() <= most, "{fetched:?}");
        assert!(
            all as u64 <= bytes * 5 / 4 + (1 << 20),
            "{all} bytes were fetched of {bytes}"
        );
        assert!(bytes < 4 << 20 || fetched.len() > 8, "{fetched:?}");
    }
}

/// The names of directories are columns, of the field's type; a column of the file counts before them.
#[test]
fn columns_from_the_names_of_directories() {
    use crate::input::InputFile;
    use crate::input::local::LocalFiles;
    let dir = tempfile::tempdir().unwrap();
    let path = write(
        dir.path(),
        vec![Arc::new(Int64Array::from_iter_values(0..5_000))],
        5_000,
    );
    let named = |pairs: &[(&str, Option<&str>)]| {
        let pairs = pairs.iter().map(|(n, v)| (n.to_string(), v.map(str::to_string)));
        InputFile::new(Arc::new(LocalFiles), path.clone(), pairs.collect())
    };
    let read = |file: &InputFile, of: Field| -> Result<Vec<String>> {
        let reader = FileReader::open(file, fields(vec![of, field("c0", Integer)]))?;
        let mut all = Vec::new();
        reader.read_row_group(0, &mut |batch| {
            all.extend(values(batch, 0));
            Ok(())
        })?;
        assert_eq!(all.len(), 5_000);
        all.dedup();
        Ok(all)
    };
    let optional = |name, ty| Field {
        optional: true,
        ..field(name, ty)
    };
    for (value, ty, expected) in [
        ("2024-01-01", Text, "2024-01-01"),
        ("", Text, ""),
        ("007", Integer, "i7"),
        ("18446744073709551615", Integer, "u18446744073709551615"),
        ("2.5", Float, "f2.5"),
        ("true", Bool, "true"),
        ("1970-01-02", Timestamp, "t86400000"),
        ("86400000", Timestamp, "t86400000"),
    ] {
        assert_eq!(
            read(&named(&[("dt", Some(value))]), field("dt", ty)).unwrap(),
            [expected]
        );
    }
    assert_eq!(
        read(&named(&[("dt", None)]), optional("dt", Text)).unwrap(),
        ["missing"]
    );
    let kept = read(&named(&[("c0", Some("9"))]), field("c0", Integer)).unwrap();
    assert_eq!(kept.len(), 5_000, "the file's own column");
    let e = read(&named(&[("h", Some("noon"))]), field("h", Integer)).unwrap_err();
    for word in ["f.parquet", "`h=noon`", "is no integer", "rename the directory"] {
        assert!(e.to_string().contains(word), "`{word}` is not in: {e}");
    }
    assert!(read(&named(&[("h", Some("inf"))]), field("h", Float)).is_err());
}

/// A footer is in memory while somebody reads the file, once for all threads; a file that is another one by then is refused.
#[test]
fn footers_are_read_when_they_are_needed() {
    let dir = tempfile::tempdir().unwrap();
    let (path, fields) = flights_like(dir.path());
    let (file, footer) = super::ParquetFile::open(&(&*path).into(), fields).unwrap();
    drop(footer);
    assert_eq!((file.rows, file.row_groups), (3_000, 3));
    let held = file.reader().unwrap();
    assert!(Arc::ptr_eq(&held, &file.reader().unwrap()));
    let weak = Arc::downgrade(&held);
    drop(held);
    assert!(weak.upgrade().is_none(), "nobody reads it");
    assert_eq!(file.reader().unwrap().rows(), 3_000);
    fs::write(&path, fs::read(&path).unwrap()).unwrap();
    assert_eq!(file.reader().unwrap_err().kind(), ErrorKind::TryAgain);
}
