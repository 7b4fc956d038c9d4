//! A column of values as one array parameter, written in the protocol's binary form as the values come: no allocation a value.

use std::error::Error;

use bytes::{BufMut, BytesMut};
use tokio_postgres::types::{IsNull, ToSql, Type};

use crate::decimal::Decimal;

/// Values of one type.
#[derive(Debug)]
pub(crate) struct Column {
    array: Type,
    element: Type,
    values: Vec<u8>,
    count: usize,
    nulls: bool,
}

impl Column {
    /// Of a type that columns have here.
    pub(crate) fn new(element: Type) -> Self {
        let array = match element {
            Type::BOOL => Type::BOOL_ARRAY,
            Type::INT4 => Type::INT4_ARRAY,
            Type::INT8 => Type::INT8_ARRAY,
            Type::NUMERIC => Type::NUMERIC_ARRAY,
            Type::TEXT => Type::TEXT_ARRAY,
            Type::TIMESTAMPTZ => Type::TIMESTAMPTZ_ARRAY,
            _ => Type::BYTEA_ARRAY,
        };
        Self {
            array,
            element,
            values: Vec::new(),
            count: 0,
            nulls: false,
        }
    }
    /// How many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.values.len()
    }
    pub(crate) fn null(&mut self) {
        self.values.put_i32(-1);
        self.nulls = true;
        self.count += 1;
    }
    pub(crate) fn raw(&mut self, value: &[u8]) {
        self.values.put_i32(value.len() as i32);
        self.values.put_slice(value);
        self.count += 1;
    }
    pub(crate) fn int4(&mut self, n: i32) {
        self.raw(&n.to_be_bytes());
    }
    pub(crate) fn int8(&mut self, n: i64) {
        self.raw(&n.to_be_bytes());
    }
    pub(crate) fn bool(&mut self, b: bool) {
        self.raw(&[u8::from(b)]);
    }
    pub(crate) fn decimal(&mut self, n: i128) {
        let at = self.values.len();
        self.values.put_i32(0);
        Decimal(n).put(&mut self.values);
        let length = (self.values.len() - at - 4) as i32;
        self.values[at..at + 4].copy_from_slice(&length.to_be_bytes());
        self.count += 1;
    }
    /// Moves what was put last to the end of a row of `COPY`, whose fields have the form of an array's elements.
    pub(crate) fn drain_into(&mut self, row: &mut Vec<u8>) {
        row.append(&mut self.values);
        self.count = 0;
        self.nulls = false;
    }
    /// An integer as the column's own type has it.
    pub(crate) fn integer(&mut self, n: i128) {
        match (&self.element, i64::try_from(n)) {
            (&Type::INT8, Ok(n)) => self.int8(n),
            (&Type::INT8, Err(_)) => self.null(),
            _ => self.decimal(n),
        }
    }
}

impl ToSql for Column {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_i32(i32::from(self.count > 0));
        out.put_i32(i32::from(self.nulls));
        out.put_u32(self.element.oid());
        if self.count > 0 {
            out.put_i32(i32::try_from(self.count)?);
            out.put_i32(1);
            out.put_slice(&self.values);
        }
        Ok(IsNull::No)
    }
    fn accepts(_: &Type) -> bool {
        true
    }
    fn to_sql_checked(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        if *ty != self.array {
            return Err(format!("a column of {} where the statement wants {ty}", self.array).into());
        }
        self.to_sql(ty, out)
    }
}
