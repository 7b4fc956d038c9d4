//! Jobs with sinks in bulk: the live part writes, a run evaluates nothing beyond a sink and says so (O22), and no permission to drop
//! passes what is not written yet (O25): a shard that was lost is made anew from there, and must emit it again.

use rufous_core::Frontier;
use rufous_core::rules::{Rule, kept};

use crate::options::BatchRun;

impl BatchRun<'_> {
    /// Whether every sink has what was made of all records below these cuts. It is one generation's frontier or none (O9).
    pub(crate) fn sinks_have(&self, permitted: &Frontier) -> bool {
        if self.plan.sinks().is_empty() || !kept(Rule::SinkHoldsPermission) {
            return true;
        }
        let Some(written) = &self.options.written_to else {
            return false;
        };
        let has = |p| written.get(p).copied().unwrap_or(0);
        permitted.0.iter().all(|(p, cut)| cut.cut <= has(p))
    }

    /// What the run says of the permission that it does not give.
    pub(crate) fn held_by_sinks(&self) -> String {
        let names: Vec<_> = self.plan.sinks().iter().map(|(name, _)| format!("`{name}`")).collect();
        format!(
            "cells stay: not all of what this generation covers is written to {} yet, or it is not known; the live part writes it",
            names.join(", ")
        )
    }

    pub(crate) fn said_of_sinks(&self) -> Vec<String> {
        let said =
            |(name, _): &(&str, std::any::TypeId)| format!("sink `{name}`: written by the live part, not by this run");
        self.plan.sinks().iter().map(said).collect()
    }
}
