//! Answers as Apache Arrow: a stream of record batches, with what they rest on in the metadata of their schema.
//!
//! - `columns`: keys and values as columns;
//! - `stream`: a list that is sent while it is read.

mod columns;
mod stream;

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, Schema};
use axum::http::{HeaderMap, HeaderValue, header};
use rufous_client::{Answer, RawStoreClient};
use rufous_core::{Error, Result};

use crate::problem::Problem;
use crate::reply::{FAILED, Reply, Rests};
use columns::Columns;
pub(crate) use stream::list;

/// How the form is called.
pub(crate) const ARROW: &str = "application/vnd.apache.arrow.stream";

/// Rows of a record batch.
const ROWS: usize = 1024;
/// Bytes of keys and values after which a record batch ends: sketches are large.
const BYTES: usize = 1 << 20;

/// Whether the client asks for it.
pub(crate) fn wanted(headers: &HeaderMap) -> bool {
    crate::ask::accepts(headers, ARROW)
}

fn failed(e: ArrowError) -> Error {
    Error::bug(format!("an answer cannot be written as Arrow: {e}")).caused_by(e)
}

/// What answers of a store rest on, as metadata.
fn metadata<V>(store: &str, answer: &Answer<V>) -> Result<HashMap<String, String>> {
    let coverage = serde_json::to_string(&answer.coverage);
    let coverage = coverage.map_err(|e| Error::bug(format!("a coverage cannot be written: {e}")))?;
    let mut all = HashMap::from([
        ("rufous.store".to_string(), store.to_string()),
        (
            "rufous.covered_until".to_string(),
            answer.coverage.covered_until().to_string(),
        ),
        ("rufous.coverage".to_string(), coverage),
        ("rufous.token".to_string(), answer.token.to_string()),
    ]);
    all.extend(
        answer
            .freshness
            .map(|t| ("rufous.freshness".to_string(), t.to_string())),
    );
    Ok(all)
}

/// Record batches, which are taken away as they are written.
struct Writer {
    columns: Columns,
    schema: Arc<Schema>,
    to: StreamWriter<Vec<u8>>,
}

impl Writer {
    fn new(columns: Columns, metadata: HashMap<String, String>) -> Result<Self> {
        let schema = Schema::new_with_metadata(columns.fields(), metadata);
        let to = StreamWriter::try_new(Vec::new(), &schema).map_err(failed)?;
        Ok(Self {
            columns,
            schema: Arc::new(schema),
            to,
        })
    }
    /// Writes the rows that are there as a batch.
    fn batch(&mut self) -> Result<()> {
        if self.columns.rows() == 0 {
            return Ok(());
        }
        let batch = RecordBatch::try_new(self.schema.clone(), self.columns.take()).map_err(failed)?;
        self.to.write(&batch).map_err(failed)
    }
    fn is_full(&self) -> bool {
        self.columns.rows() >= ROWS || self.columns.bytes() >= BYTES
    }
    /// What was written since it was asked last.
    fn written(&mut self) -> Vec<u8> {
        std::mem::take(self.to.get_mut())
    }
    /// The last batch, and the mark that says that nothing is missing.
    fn end(mut self) -> Result<Vec<u8>> {
        self.batch()?;
        self.to.finish().map_err(failed)?;
        Ok(self.written())
    }
}

/// Answers for many keys, in order.
pub(crate) fn answers(raw: &RawStoreClient, keys: &[Vec<u8>]) -> Result<Reply, Problem> {
    let face = raw.face();
    let found = raw.multi_get(keys);
    let Some(whole) = found.iter().find_map(|a| a.as_ref().ok()) else {
        let first = found.into_iter().find_map(Result::err);
        return Err(first.map_or_else(|| Problem::bug("keys were asked, none was answered"), Problem::from));
    };
    let rests = Rests::of(whole)?;
    let mut writer = Writer::new(Columns::new(face, true), metadata(face.name, whole)?)?;
    let mut wrong = 0u64;
    for (key, answer) in keys.iter().zip(&found) {
        let put = match answer {
            Ok(answer) => writer.columns.put(face, key, answer.value.as_deref()),
            Err(e) => Err(Error::new(e.kind(), e.to_string())),
        };
        if let Err(e) = put {
            wrong += 1;
            writer.columns.put_error(face, key, &e)?;
        }
        if writer.is_full() {
            writer.batch()?;
        }
    }
    let mut reply = rests.bytes(writer.end()?);
    reply.say(header::CONTENT_TYPE, HeaderValue::from_static(ARROW));
    if wrong > 0 {
        reply.say(FAILED, wrong.into());
    }
    Ok(reply)
}
