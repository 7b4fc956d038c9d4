//! One JSON object into the slots of a record, without allocation: texts are borrowed from the input, those with escapes
//! are copied into scratch space.
//!
//! A field's name may be a path into nested objects ([`Field::path`]). What is read is what the path leads to in the object
//! as a whole: of a repeated name the last counts, also of an object on the way, which replaces all that an earlier one of
//! its name held. An object on the way that is missing or null leaves its fields null; anything else in its place is an
//! error. All other content is checked and skipped: without allocation up to 64 levels, a bit a level beyond, and its depth
//! is not limited.

mod escapes;
mod nest;
mod scan;
#[cfg(test)]
mod tests;

use crate::record::{Field, Row, Value, Values};
use scan::{Raw, Scan, Scanner, Why};

/// The fields of a record type, and whether all are names of the outermost object. Known at compile time.
#[derive(Clone, Copy)]
pub(crate) struct Names {
    pub(super) fields: &'static [Field],
    plain: bool,
}

impl Names {
    pub(crate) const fn new(fields: &'static [Field]) -> Self {
        let (mut plain, mut i) = (true, 0);
        while i < fields.len() {
            let (name, mut j) = (fields[i].name.as_bytes(), 0);
            while j < name.len() {
                plain &= !matches!(name[j], b'.' | b'\\');
                j += 1;
            }
            i += 1;
        }
        Self { fields, plain }
    }
}

/// The most fields that a record may have.
pub(super) const MOST: usize = 256;

/// Parses `json` and calls `f` with the values of the fields. Unknown fields are skipped; of a repeated field the last counts.
pub(super) fn read_row<T>(
    json: &[u8],
    names: Names,
    scratch: &mut Vec<String>,
    f: impl FnOnce(&Row<'_>) -> Result<T, String>,
) -> Result<T, String> {
    // The slots live on the stack: two sizes keep small records from clearing a kilobyte each.
    match names.fields.len() {
        0..=16 => read::<16, T>(json, names, scratch, f),
        17..=MOST => read::<MOST, T>(json, names, scratch, f),
        n => Err(too_many(n)),
    }
}

#[cold]
pub(super) fn too_many(fields: usize) -> String {
    format!("a record has at most {MOST} fields, this type has {fields}")
}

fn read<const N: usize, T>(
    json: &[u8],
    names: Names,
    scratch: &mut Vec<String>,
    f: impl FnOnce(&Row<'_>) -> Result<T, String>,
) -> Result<T, String> {
    let fields = names.fields;
    let text = super::utf8(json)?;
    if scratch.len() < fields.len() {
        scratch.resize_with(fields.len(), String::new);
    }
    let mut slots = [Value::Null; N];
    let mut reader = Reader {
        scan: Scanner::new(text),
        names,
        expected: 0,
        field: None,
        slots: &mut slots,
        scratch,
        escaped: [0; MOST / 64],
    };
    if let Err(why) = reader.document() {
        return Err(reader.describe(why, text));
    }
    let escaped = reader.escaped;
    if escaped == [0; MOST / 64] {
        return f(&Row {
            fields,
            values: Values::Slots(&slots[..fields.len()]),
        });
    }
    let mut values = slots;
    for (i, (value, text)) in values.iter_mut().zip(&*scratch).enumerate() {
        if escaped[i / 64] >> (i % 64) & 1 == 1 {
            *value = Value::Text(text);
        }
    }
    f(&Row {
        fields,
        values: Values::Slots(&values[..fields.len()]),
    })
}

struct Reader<'r, 'a> {
    scan: Scanner<'a>,
    names: Names,
    /// The field that is tried first: writers repeat their order.
    expected: usize,
    /// The field that is read, for messages.
    field: Option<usize>,
    slots: &'r mut [Value<'a>],
    scratch: &'r mut [String],
    /// Which fields are in the scratch space, a bit each.
    escaped: [u64; MOST / 64],
}

/// What a key of an object is to the fields.
enum Found {
    /// The field with this index.
    Value(usize),
    /// The field with this index, and perhaps others, lies within; their names begin like this.
    Within(usize, &'static str),
    Other,
}

const OBJECT: Why = Why::Expected("a JSON object");

impl<'a> Reader<'_, 'a> {
    /// The payload: one object and nothing else.
    fn document(&mut self) -> Scan<()> {
        self.scan.space();
        if !self.scan.take(b'{') {
            return Err(OBJECT);
        }
        self.object("")?;
        self.scan.space();
        if self.scan.at_end() {
            Ok(())
        } else {
            Err(Why::Expected("the end"))
        }
    }

    /// An object behind its bracket. `prefix` is the path to it, as names begin that lead into it: nothing, or with a dot at
    /// its end. Goes as deep as the names of fields do, not as the payload does.
    fn object(&mut self, prefix: &'static str) -> Scan<()> {
        self.scan.space();
        if self.scan.take(b'}') {
            return Ok(());
        }
        loop {
            self.scan.expect(b'"', "a name in quotes")?;
            let key = self.scan.string()?;
            self.scan.expect(b':', "`:`")?;
            self.scan.space();
            match self.find(key, prefix)? {
                Found::Value(i) => {
                    self.field = Some(i);
                    self.value(i)?;
                    self.expected = i + 1;
                }
                Found::Within(i, prefix) => {
                    self.field = Some(i);
                    for (i, field) in self.names.fields.iter().enumerate() {
                        if field.name.starts_with(prefix) {
                            self.set(i, Value::Null);
                        }
                    }
                    self.expected = i;
                    if self.scan.take(b'{') {
                        self.object(prefix)?;
                    } else {
                        let on_the_way = |_| Why::Expected("an object or null on the way to a field");
                        self.scan.literal("null", ()).map_err(on_the_way)?;
                    }
                }
                Found::Other => self.scan.skip()?,
            }
            self.field = None;
            self.scan.space();
            if self.scan.take(b'}') {
                return Ok(());
            }
            if !self.scan.take(b',') {
                return Err(Why::Expected("`,` or `}`"));
            }
        }
    }

    #[inline]
    fn set(&mut self, i: usize, value: Value<'a>) {
        self.slots[i] = value;
        self.escaped[i / 64] &= !(1 << (i % 64));
    }

    #[inline]
    fn value(&mut self, i: usize) -> Scan<()> {
        let start = self.scan.at;
        match self.scan.scalar()? {
            Ok(value) => self.set(i, value),
            Err(raw) => {
                let scratch = &mut self.scratch[i];
                scratch.clear();
                if let Err(at) = escapes::resolve(raw, scratch) {
                    self.scan.at = start + 1 + at;
                    return Err(Why::Escape);
                }
                self.escaped[i / 64] |= 1 << (i % 64);
            }
        }
        Ok(())
    }

    /// Finds the field of a key.
    #[inline]
    fn find(&self, key: Raw<'a>, prefix: &'static str) -> Scan<Found> {
        if key.escaped {
            let mut spelled = String::new();
            escapes::resolve(key.text, &mut spelled).map_err(|_| Why::Escape)?;
            return Ok(self.find_spelled(&spelled, prefix));
        }
        Ok(self.find_spelled(key.text, prefix))
    }

    #[inline]
    fn find_spelled(&self, key: &str, prefix: &'static str) -> Found {
        let fields = self.names.fields;
        if self.names.plain {
            if fields.get(self.expected).is_some_and(|f| f.name == key) {
                return Found::Value(self.expected);
            }
            // Most keys are of no field: length and last byte spare the comparisons.
            let (len, last) = (key.len(), key.as_bytes().last());
            let is = |f: &Field| f.name.len() == len && f.name.as_bytes().last() == last && f.name == key;
            return fields.iter().position(is).map_or(Found::Other, Found::Value);
        }
        let first = self.expected.min(fields.len());
        (first..fields.len().min(first + 1))
            .chain(0..fields.len())
            .find_map(|i| match try_field(i, fields[i].name, key, prefix) {
                Found::Other => None,
                found => Some(found),
            })
            .unwrap_or(Found::Other)
    }

    #[cold]
    fn describe(&self, why: Why, text: &str) -> String {
        let at = self.scan.at.min(text.len());
        let rest = text.get(at..).unwrap_or_default();
        let field = match self.field.and_then(|i| self.names.fields.get(i)) {
            Some(field) => format!(", in field `{}`", field.name),
            None => String::new(),
        };
        let found = match rest.chars().next() {
            None if text.is_empty() => "the payload is empty".to_string(),
            None => "it ends".to_string(),
            Some('\u{feff}') if at == 0 => "a byte order mark".to_string(),
            Some(c) if c.is_control() => format!("character U+{:04X}", c as u32),
            Some(_) => format!(
                "`{}`",
                rest.chars()
                    .take(20)
                    .take_while(|c| !c.is_control())
                    .collect::<String>()
            ),
        };
        let what = match why {
            Why::Expected(what) => format!("{found}, where {what} is expected"),
            Why::Control => format!("{found} in a text: write it as an escape"),
            Why::Escape => format!("{found} is no escape of JSON"),
            Why::Range => format!("{found}: the number is out of range"),
            Why::Nested => format!("{found}, where a text, number, bool or null is expected"),
        };
        format!("not a JSON object of this record: {what}, at byte {at}{field}")
    }
}

/// What a key within `prefix` is to the field of this name.
fn try_field(i: usize, name: &'static str, key: &str, prefix: &str) -> Found {
    let Some(rest) = name.strip_prefix(prefix) else {
        return Found::Other;
    };
    let (mut rest, mut key) = (rest.bytes(), key.bytes());
    loop {
        let expected = match rest.next() {
            None if key.len() == 0 => return Found::Value(i),
            Some(b'.') if key.len() == 0 => return Found::Within(i, &name[..name.len() - rest.len()]),
            None | Some(b'.') => return Found::Other,
            Some(b'\\') => rest.next(),
            byte => byte,
        };
        if key.next() != expected {
            return Found::Other;
        }
    }
}
