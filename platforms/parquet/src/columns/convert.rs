//! Arrow arrays into columns: a loop a column, never an allocation a row.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Date64Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, GenericStringArray, OffsetSizeTrait};
use arrow_schema::{DataType, TimeUnit};
use rufous_core::record::FieldType;
use rufous_core::{Column, ColumnData, Field};

const DAY_MS: i64 = 86_400_000;

/// What columns of a type become; `None`: they cannot be read. The one list of types that [`column()`] knows.
fn kind(ty: &DataType) -> Option<FieldType> {
    use DataType as D;
    Some(match ty {
        D::Boolean => FieldType::Bool,
        D::Int8 | D::Int16 | D::Int32 | D::Int64 | D::UInt8 | D::UInt16 | D::UInt32 | D::UInt64 => FieldType::Integer,
        D::Float32 | D::Float64 => FieldType::Float,
        D::Utf8 | D::LargeUtf8 | D::Utf8View => FieldType::Text,
        D::Timestamp(..) | D::Date32 | D::Date64 => FieldType::Timestamp,
        D::Dictionary(_, of) => return kind(of),
        _ => return None,
    })
}

/// Whether a field can be read from columns of a type; an error says what to do.
pub(super) fn check(ty: &DataType, field: &Field) -> Result<(), String> {
    use FieldType as F;
    if *ty == DataType::Null && field.optional {
        return Ok(());
    }
    let read = match (kind(ty), field.ty) {
        (Some(found), wanted) if found == wanted => true,
        // Milliseconds since 1970, which no unsigned 64-bit column holds.
        (Some(F::Integer), F::Timestamp) => *ty != DataType::UInt64,
        (Some(F::Integer), F::Float) | (Some(F::Text), F::Timestamp) => true,
        _ => false,
    };
    if read {
        return Ok(());
    }
    let columns = match field.ty {
        F::Bool => "Boolean",
        F::Integer => "Int8 to Int64 or UInt8 to UInt64",
        F::Float => "Float32, Float64 or an integer",
        F::Text => "Utf8",
        F::Timestamp => "Timestamp, Date32, Date64, Utf8 or an integer of milliseconds",
    };
    let wanted = field.ty;
    Err(format!(
        "is of type {ty}, but the field holds {wanted}, which is read from {columns}: change the field's type, or write the column as one of these"
    ))
}

/// Fills `column` with the leaf of a column that `inner` leads to; below a null struct it is null.
pub(super) fn leaf(array: &ArrayRef, inner: &[String], into: &mut Column) -> Result<(), String> {
    let Some((name, inner)) = inner.split_first() else {
        return column(array, into);
    };
    let outer = array.as_struct_opt().ok_or_else(mislabelled)?;
    leaf(outer.column_by_name(name).ok_or_else(mislabelled)?, inner, into)?;
    if let Some(nulls) = outer.nulls().filter(|n| n.null_count() > 0) {
        let valid = into.valid.get_or_insert_with(|| vec![true; outer.len()]);
        valid
            .iter_mut()
            .zip(nulls.iter())
            .for_each(|(valid, outer)| *valid &= outer);
    }
    Ok(())
}

/// Fills `column` with an array; its buffers are used again when the kind is the same.
fn column(array: &ArrayRef, column: &mut Column) -> Result<(), String> {
    use DataType as D;
    let Column { data, valid } = column;
    match array.nulls().filter(|n| n.null_count() > 0) {
        Some(nulls) => {
            let valid = valid.get_or_insert_default();
            valid.clear();
            valid.extend(nulls.iter());
        }
        None => *valid = None,
    }
    match array.data_type() {
        D::Null => {
            *data = ColumnData::Missing;
            Ok(())
        }
        D::Boolean => {
            let bools = array.as_boolean_opt().ok_or_else(mislabelled)?;
            if !matches!(data, ColumnData::Bool(_)) {
                *data = ColumnData::Bool(Vec::new());
            }
            if let ColumnData::Bool(v) = data {
                v.clear();
                v.extend(bools.values().iter());
            }
            Ok(())
        }
        D::Int8 => integers::<Int8Type>(array, data),
        D::Int16 => integers::<Int16Type>(array, data),
        D::Int32 => integers::<Int32Type>(array, data),
        D::Int64 => integers::<Int64Type>(array, data),
        D::UInt8 => integers::<UInt8Type>(array, data),
        D::UInt16 => integers::<UInt16Type>(array, data),
        D::UInt32 => integers::<UInt32Type>(array, data),
        D::UInt64 => {
            if !matches!(data, ColumnData::Unsigned(_)) {
                *data = ColumnData::Unsigned(Vec::new());
            }
            if let ColumnData::Unsigned(v) = data {
                values::<UInt64Type, _>(array, v, |n| n)
            } else {
                Ok(())
            }
        }
        D::Float32 => floats::<Float32Type>(array, data),
        D::Float64 => floats::<Float64Type>(array, data),
        D::Timestamp(TimeUnit::Second, _) => times::<TimestampSecondType>(array, data, |s| s.saturating_mul(1000)),
        D::Timestamp(TimeUnit::Millisecond, _) => times::<TimestampMillisecondType>(array, data, |ms| ms),
        D::Timestamp(TimeUnit::Microsecond, _) => {
            times::<TimestampMicrosecondType>(array, data, |us| us.div_euclid(1000))
        }
        D::Timestamp(TimeUnit::Nanosecond, _) => {
            times::<TimestampNanosecondType>(array, data, |ns| ns.div_euclid(1_000_000))
        }
        D::Date32 => times::<Date32Type>(array, data, |days| i64::from(days) * DAY_MS),
        D::Date64 => times::<Date64Type>(array, data, |ms| ms),
        D::Utf8 => texts(array.as_string_opt::<i32>().ok_or_else(mislabelled)?, data),
        D::LargeUtf8 => texts(array.as_string_opt::<i64>().ok_or_else(mislabelled)?, data),
        other => Err(format!("is of type {other}, which cannot be read")),
    }
}

fn mislabelled() -> String {
    "holds another type than it says".into()
}

fn values<A: ArrowPrimitiveType, T>(
    array: &ArrayRef,
    out: &mut Vec<T>,
    f: impl Fn(A::Native) -> T,
) -> Result<(), String> {
    let array = array.as_primitive_opt::<A>().ok_or_else(mislabelled)?;
    out.clear();
    out.extend(array.values().iter().map(|v| f(*v)));
    Ok(())
}

fn integers<A: ArrowPrimitiveType<Native: Into<i64>>>(array: &ArrayRef, data: &mut ColumnData) -> Result<(), String> {
    if !matches!(data, ColumnData::Integer(_)) {
        *data = ColumnData::Integer(Vec::new());
    }
    if let ColumnData::Integer(v) = data {
        values::<A, _>(array, v, Into::into)
    } else {
        Ok(())
    }
}

fn floats<A: ArrowPrimitiveType<Native: Into<f64>>>(array: &ArrayRef, data: &mut ColumnData) -> Result<(), String> {
    if !matches!(data, ColumnData::Float(_)) {
        *data = ColumnData::Float(Vec::new());
    }
    if let ColumnData::Float(v) = data {
        values::<A, _>(array, v, Into::into)
    } else {
        Ok(())
    }
}

/// To milliseconds, rounded down.
fn times<A: ArrowPrimitiveType>(
    array: &ArrayRef,
    data: &mut ColumnData,
    f: impl Fn(A::Native) -> i64,
) -> Result<(), String> {
    if !matches!(data, ColumnData::Time(_)) {
        *data = ColumnData::Time(Vec::new());
    }
    if let ColumnData::Time(v) = data {
        values::<A, _>(array, v, f)
    } else {
        Ok(())
    }
}

/// All texts are copied at once: they lie end to end in an array too.
fn texts<O: OffsetSizeTrait>(array: &GenericStringArray<O>, data: &mut ColumnData) -> Result<(), String> {
    if !matches!(data, ColumnData::Text { .. }) {
        *data = ColumnData::Text {
            text: String::new(),
            ends: Vec::new(),
        };
    }
    let ColumnData::Text { text, ends } = data else {
        return Ok(());
    };
    text.clear();
    ends.clear();
    let offsets = array.value_offsets();
    let (first, last) = (
        offsets.first().map_or(0, |o| o.as_usize()),
        offsets.last().map_or(0, |o| o.as_usize()),
    );
    let bytes = array
        .value_data()
        .get(first..last)
        .ok_or("has texts that leave its data")?;
    let all = std::str::from_utf8(bytes).map_err(|e| format!("has a text that is no UTF-8 ({e})"))?;
    text.push_str(all);
    ends.extend(offsets.iter().skip(1).map(|o| o.as_usize() - first));
    // Valid as a whole, but a character may be split between two texts.
    if !all.is_ascii() && ends.iter().any(|end| !all.is_char_boundary(*end)) {
        return Err("has a text that is no UTF-8".into());
    }
    Ok(())
}
