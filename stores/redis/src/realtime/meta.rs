//! What a namespace says of itself, and the check against the job that opens it.

use std::collections::BTreeMap;

use redis::Value;
use rufous_core::{Error, Result, StoreFace};

use super::layout::{FORMAT, REPAIR};
use crate::names;
use crate::server::{list, text};

/// The fields of `meta`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) data: String,
    namespace: String,
    schemas: BTreeMap<String, String>,
}

impl Meta {
    /// Of what HGETALL answers; `None`: there is none.
    pub(super) fn parse(answer: &Value, place: &str) -> Result<Option<Self>> {
        let unreadable = |what: &str| Error::corrupt(format!("{place}: the key `meta` {what}; {REPAIR}"));
        let fields = list(answer).ok_or_else(|| unreadable("is no list"))?;
        if fields.is_empty() {
            return Ok(None);
        }
        let mut all = BTreeMap::new();
        for pair in fields.chunks(2) {
            match (pair.first().and_then(text), pair.get(1).and_then(text)) {
                (Some(field), Some(value)) => all.insert(field, value),
                _ => return Err(unreadable("is no text")),
            };
        }
        // First: what another format says besides is not known.
        match all.get("format") {
            Some(&FORMAT) => {}
            Some(other) => {
                return Err(Error::invalid(format!(
                    "{place} has format {other}, this build reads {FORMAT}: use the build that wrote it"
                )));
            }
            None => return Err(unreadable("names no format")),
        }
        let of = |field: &str| {
            let value = all.get(field).map(|v| v.to_string());
            value.ok_or_else(|| unreadable(&format!("has no `{field}`")))
        };
        let mut schemas = BTreeMap::new();
        for (field, schema) in &all {
            if let Some(store) = field.strip_prefix("schema/") {
                let store = names::unescaped(store).ok_or_else(|| unreadable(&format!("has a field `{field}`")))?;
                schemas.insert(store, schema.to_string());
            }
        }
        Ok(Some(Self {
            data: of("data")?,
            namespace: of("namespace")?,
            schemas,
        }))
    }

    /// Refuses what was written for something else. `exact`: stores that the job does not have are refused, too.
    pub(super) fn check(&self, place: &str, namespace: &str, stores: &[StoreFace], exact: bool) -> Result<()> {
        if self.namespace != namespace {
            return Err(Error::invalid(format!(
                "{place} holds namespace {}, not {namespace}: its keys were renamed or copied",
                self.namespace
            )));
        }
        if let Some(name) = self
            .schemas
            .keys()
            .find(|n| exact && !stores.iter().any(|s| s.name == n.as_str()))
        {
            return Err(Error::invalid(format!(
                "{place} holds store `{name}`, which this job does not have: use the job that wrote it, or another namespace"
            )));
        }
        for store in stores {
            if let Some(schema) = self.schemas.get(store.name).filter(|s| !store.reads(s)) {
                return Err(Error::invalid(format!(
                    "{place}: store `{}` was written as `{schema}`, and this job declares `{}`: give the changed job a new version, so that it gets a namespace of its own",
                    store.name,
                    store.schema()
                )));
            }
        }
        Ok(())
    }

    /// Fields that an opening job adds: stores that are new, and schemas whose fields grew.
    pub(super) fn missing(&self, stores: &[StoreFace]) -> Vec<(String, String)> {
        let differs = |s: &&StoreFace| self.schemas.get(s.name) != Some(&s.schema());
        let field = |s: &StoreFace| (format!("schema/{}", names::escaped(s.name)), s.schema());
        stores.iter().filter(differs).map(field).collect()
    }
}
