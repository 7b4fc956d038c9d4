//! What is kept of comparisons (section 9 of the protocol, "reconciled": job state, report only). Nothing rests on
//! it: a report that is missing or of another format is made again while the cells exist.

use rufous_core::{Error, Result, Timestamp};
use serde::{Deserialize, Serialize};

use super::Reconciled;

/// The version of [`Report`]'s form.
pub const REPORT_FORMAT: u32 = 1;

/// All stores of a job over one published run, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// [`REPORT_FORMAT`].
    pub format: u32,
    /// The manifest whose run was compared.
    pub manifest: u64,
    /// The batches of the run, as people name them.
    pub batches: String,
    /// When.
    pub at: Timestamp,
    /// What each store came to.
    pub stores: Vec<Reconciled>,
}

impl Report {
    /// Of these comparisons, all of one run.
    pub fn new(manifest: u64, batches: String, at: Timestamp, stores: Vec<Reconciled>) -> Self {
        Self {
            format: REPORT_FORMAT,
            manifest,
            batches,
            at,
            stores,
        }
    }
    /// Whether a later comparison of the same run may know more.
    pub fn may_change(&self) -> bool {
        self.stores.iter().any(Reconciled::may_change)
    }
    /// The stores in which the layers do not agree.
    pub fn drifted(&self) -> impl Iterator<Item = &Reconciled> {
        self.stores.iter().filter(|s| s.agrees() == Some(false))
    }
    /// The bytes of its file.
    ///
    /// # Errors
    /// Only for a bug of ours.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec_pretty(self)
            .map_err(|e| Error::bug(format!("a report cannot be written as JSON: {e}")))?;
        bytes.push(b'\n');
        Ok(bytes)
    }
    /// Reads a file; `None`: it is none of this format, so that it is made again.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let report: Self = serde_json::from_slice(bytes).ok()?;
        (report.format == REPORT_FORMAT).then_some(report)
    }
}

/// Bytes as lower-case hexadecimal digits.
pub(super) mod hex {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(in super::super) fn text(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }
    pub(in super::super) fn bytes(text: &str) -> Option<Vec<u8>> {
        let pairs = text.as_bytes().chunks(2);
        pairs
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok().filter(|p| p.len() == 2)?, 16).ok())
            .collect()
    }
    pub(in super::super) fn serialize<S: Serializer>(bytes: &[u8], s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&text(bytes))
    }
    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(d)?;
        bytes(&text).ok_or_else(|| D::Error::custom("no hexadecimal digits"))
    }
}

/// The same, or nothing.
pub(super) mod some_hex {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    use super::hex;

    pub(in super::super) fn serialize<S: Serializer>(bytes: &Option<Vec<u8>>, s: S) -> Result<S::Ok, S::Error> {
        bytes.as_deref().map(hex::text).serialize(s)
    }
    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Vec<u8>>, D::Error> {
        let text = Option::<String>::deserialize(d)?;
        let bytes = text.map(|text| hex::bytes(&text).ok_or_else(|| D::Error::custom("no hexadecimal digits")));
        bytes.transpose()
    }
}
