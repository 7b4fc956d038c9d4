//! Which column is which field.

use crate::record::Field;

/// The columns of rows, as they were declared or as a header line names them.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Per column: its field.
    pub(super) fields: Vec<Option<usize>>,
    /// What the columns are called, for messages.
    pub(super) names: String,
}

impl Places {
    /// The columns are the fields in their order.
    pub(super) fn of_fields(fields: &[Field]) -> Self {
        let names: Vec<String> = fields.iter().map(column).collect();
        Self {
            fields: (0..fields.len()).map(Some).collect(),
            names: names.join(", "),
        }
    }

    /// # Errors
    /// When two columns are the same field, or a field that must be there has none.
    pub(super) fn named<'n>(fields: &[Field], names: impl Iterator<Item = &'n str>) -> Result<Self, String> {
        let known: Vec<String> = fields.iter().map(column).collect();
        let mut places = Self::default();
        for name in names {
            let field = known.iter().position(|k| k == name).filter(|_| !name.is_empty());
            if field.is_some() && places.fields.contains(&field) {
                return Err(format!("two columns are called `{name}`"));
            }
            places.fields.push(field);
            if !places.names.is_empty() {
                places.names.push_str(", ");
            }
            places.names.push_str(name);
        }
        for (i, (field, name)) in fields.iter().zip(&known).enumerate() {
            if !field.optional && !places.fields.contains(&Some(i)) {
                return Err(format!(
                    "there is no column `{name}`; the columns are: {}",
                    places.names
                ));
            }
        }
        Ok(places)
    }
}

/// The column of a field: its name without backslashes. A dot is a dot: columns do not nest.
fn column(field: &Field) -> String {
    field.path().join(".")
}
