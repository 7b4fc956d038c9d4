//! Jobs with sinks in bulk. One layer writes a sink (O22): of those that the live part writes a run evaluates nothing and says so, and no
//! permission to drop passes what is not written yet (O25): a shard that was lost is made anew from there, and must emit it
//! again. Those that are bound to generations are files of the run beside its sums: the new generation has the records of the base, and
//! those of what the run reads.

use std::collections::BTreeMap;

use rufous_core::rules::{Rule, kept};
use rufous_core::{BatchId, Error, Frontier, Result};
use rufous_store_api::{Manifest, SinkGeneration};

use crate::options::BatchRun;

impl BatchRun<'_> {
    /// Whether every sink that the live part writes has what was made of all records below these cuts. It is one generation's
    /// frontier or none (O9).
    pub(crate) fn sinks_have(&self, permitted: &Frontier) -> bool {
        if self.plan.live_sinks().next().is_none() || !kept(Rule::SinkHoldsPermission) {
            return true;
        }
        let Some(written) = self.options.written_to.as_ref().and_then(|written| written.now()) else {
            return false;
        };
        let has = |p| written.get(p).copied().unwrap_or(0);
        permitted.0.iter().all(|(p, cut)| cut.cut <= has(p))
    }

    /// What the run says of the permission that it does not give.
    pub(crate) fn held_by_sinks(&self) -> String {
        let names: Vec<_> = self.plan.live_sinks().map(|(_, name)| format!("`{name}`")).collect();
        format!(
            "cells stay: not all of what this generation covers is written to {} yet, or it is not known; the live part writes it",
            names.join(", ")
        )
    }

    /// What the run says of sinks; `base`: the generation that it extends.
    pub(crate) fn said_of_sinks(&self, base: &Manifest) -> Vec<String> {
        let mut said: Vec<_> = { self.plan.live_sinks() }
            .map(|(_, name)| format!("sink `{name}`: written by the live part, not by this run"))
            .collect();
        let held = base.sinks.iter().filter(|(name, _)| !self.is_in_bulk(name));
        said.extend(held.map(|(name, sink)| {
            format!(
                "sink `{name}`: generation {} has {} records of it; it is not bound to generations any more, and later ones have none",
                base.number,
                sink.records()
            )
        }));
        said
    }

    fn is_in_bulk(&self, name: &str) -> bool {
        self.plan.bulk_sinks().iter().any(|(_, sink)| sink.name == name)
    }

    /// What a generation has of each sink before its first run.
    pub(crate) fn no_records(&self) -> BTreeMap<String, SinkGeneration> {
        let none = |schema: &str| SinkGeneration {
            schema: schema.into(),
            files: Vec::new(),
        };
        let sinks = self.plan.bulk_sinks().iter();
        sinks
            .map(|(_, sink)| (sink.name.to_string(), none(&sink.schema)))
            .collect()
    }

    /// What a generation that extends `base` has of each sink before its own files.
    ///
    /// # Errors
    /// `InvalidRequest` when the base does not have all records below its frontier, or has others.
    pub(crate) fn records_of(&self, base: &Manifest) -> Result<BTreeMap<String, SinkGeneration>> {
        if let Some(why) = self.lacks_records(base) {
            return Err(Error::invalid(format!(
                "{why}: `backfill --new` makes a line of generations that have all; or use another --instance"
            )));
        }
        let mut sinks = self.no_records();
        for (name, generation) in &mut sinks {
            if let Some(before) = base.sinks.get(name) {
                generation.files.clone_from(&before.files);
            }
        }
        Ok(sinks)
    }

    /// Why a generation on top of `base` would not have the records of a sink from the beginning on; `None`: it would.
    pub(crate) fn lacks_records(&self, base: &Manifest) -> Option<String> {
        let begun = base.frontier.0.values().any(|cut| cut.batch != BatchId::MIN);
        self.plan
            .bulk_sinks()
            .iter()
            .find_map(|(_, sink)| match base.sinks.get(sink.name) {
                None if begun => Some(format!(
                    "sink `{}` is written with each generation, and generation {} was made without it",
                    sink.name, base.number
                )),
                Some(before) if !sink.reads(&before.schema) => Some(format!(
                    "sink `{}` holds `{}` in generation {}, and the job writes `{}`",
                    sink.name, before.schema, base.number, sink.schema
                )),
                _ => None,
            })
    }
}
