//! Where the fields of a record type are in a file, by name.

use std::sync::Arc;

use arrow_schema::{DataType, FieldRef, Fields, Schema};
use rufous_core::{Error, Field, Result};

use super::convert;
use super::given::Given;
use crate::input::InputFile;

/// Where a field's values come from.
#[derive(Debug)]
pub(super) enum Place {
    /// A column of the file, by its number in the file's schema, and the names from it to a leaf.
    Column { root: usize, names: Vec<String> },
    /// The name of a directory.
    Given(Given),
    /// Nowhere: every row is null.
    Missing,
}

/// The place of a field. A column of the file counts before the name of a directory.
///
/// # Errors
/// `InvalidRequest` when it has none and needs one, or when that is of another kind; the message names the repair.
pub(super) fn place(file: &InputFile, schema: &Schema, field: &Field) -> Result<Place> {
    let names = field.path();
    let at = |why: String| Error::invalid(format!("file {}: column `{}`{why}", file.show(), field.name));
    match find(schema, &names) {
        Ok((root, ty)) => {
            convert::check(ty, field).map_err(|why| at(format!(" {why}")))?;
            Ok(Place::Column { root, names })
        }
        Err(Absent::NoStruct(why)) => Err(at(format!(": {why}"))),
        Err(Absent::Missing(has)) => {
            let dotted = names.join(".");
            if let Some((_, value)) = file.named.iter().find(|(name, _)| *name == dotted) {
                let given = Given::new(value.as_deref(), field.ty).map_err(|why| {
                    let dir = format!("{dotted}={}", value.as_deref().unwrap_or_default());
                    Error::invalid(format!(
                        "file {}: its directory `{dir}` gives column `{dotted}` a value that {why}: rename the directory, or \
                         change the field's type",
                        file.show(),
                    ))
                })?;
                return Ok(Place::Given(given));
            }
            if field.optional {
                return Ok(Place::Missing);
            }
            Err(Error::invalid(format!(
                "file {} has no column `{}` ({has}): name the column with #[record(name = ...)] or make it an Option",
                file.show(),
                field.name,
            )))
        }
    }
}

/// Why a file has no such column.
enum Absent {
    /// What it has where the path ends.
    Missing(String),
    /// Something on the way has no fields.
    NoStruct(String),
}

/// The top column of a path and the type of its leaf.
fn find<'a>(schema: &'a Schema, names: &[String]) -> Result<(usize, &'a DataType), Absent> {
    let has = |fields: &Fields| fields.iter().map(|f| f.name().as_str()).collect::<Vec<_>>().join(", ");
    let (first, inner) = names.split_first().ok_or_else(|| Absent::Missing(String::new()))?;
    let Some((root, column)) = schema.fields().find(first) else {
        let dotted = names.join(".");
        let hint = match schema.fields().find(&dotted) {
            Some(_) if !inner.is_empty() => format!("; `{dotted}` is written `{}`", dotted.replace('.', "\\.")),
            _ => String::new(),
        };
        return Err(Absent::Missing(format!("it has: {}{hint}", has(schema.fields()))));
    };
    let (mut ty, mut outer) = (column.data_type(), first);
    for name in inner {
        let DataType::Struct(fields) = ty else {
            return Err(Absent::NoStruct(format!(
                "`{outer}` is of type {ty}, which has no field `{name}`: only struct columns have fields"
            )));
        };
        let Some((_, field)) = fields.find(name) else {
            return Err(Absent::Missing(format!("`{outer}` has: {}", has(fields))));
        };
        (ty, outer) = (field.data_type(), name);
    }
    Ok((root, ty))
}

/// The file's schema with the columns that are read as plain texts: how arrow once held them in memory (dictionaries,
/// views) is nothing to us, and reading them as such costs more.
pub(super) fn plain(schema: &Schema, read: &[usize]) -> Schema {
    let fields = schema
        .fields()
        .iter()
        .enumerate()
        .map(|(i, f)| match read.contains(&i) {
            true => plain_field(f),
            false => f.clone(),
        });
    Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone())
}

fn plain_field(field: &FieldRef) -> FieldRef {
    let ty = match field.data_type() {
        DataType::Dictionary(_, of) => match **of {
            DataType::Utf8View => DataType::Utf8,
            ref of => of.clone(),
        },
        DataType::Utf8View => DataType::Utf8,
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(plain_field).collect()),
        _ => return field.clone(),
    };
    Arc::new(field.as_ref().clone().with_data_type(ty))
}
