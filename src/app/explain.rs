//! `explain`: the graph, the plan, and why it is so.

use serde_json::json;

use super::cli::Explain;
use super::open::Context;
use super::out;
use crate::core::Result;

pub(super) fn explain(context: &Context<'_>, options: &Explain) -> Result<()> {
    let plan = context.plan;
    if options.dot {
        out::say(
            || plan.dot().trim_end().to_string(),
            || json!({ "job": plan.job(), "fingerprint": plan.fingerprint(), "dot": plan.dot() }),
        );
        return Ok(());
    }
    let text = plan.explain(Some(context.shares.maps));
    let platforms = platforms(context);
    out::say(
        || format!("{text}platforms\n  {}", platforms.join("\n  ")),
        || json!({ "job": plan.job(), "fingerprint": plan.fingerprint(), "plan": text, "platforms": platforms }),
    );
    Ok(())
}

/// Where ports are bound, and what each layer does.
fn platforms(context: &Context<'_>) -> Vec<String> {
    let plan = context.plan;
    let mut lines = Vec::new();
    for face in plan.sources() {
        lines.push(match context.locations.get(face.name) {
            Some(l) => format!("source {} is bound to {l}, read as {}", face.name, context.format(face)),
            None => format!("source {} is not bound", face.name),
        });
    }
    for (name, _) in plan.sinks() {
        lines.push(match context.sinks.get(name) {
            Some(binding) => format!(
                "sink {name} is bound to {}: {}",
                binding.place,
                super::sinks::promised(binding)
            ),
            None => format!("sink {name} is not bound"),
        });
    }
    lines.push(match (crate::realtime::check(plan), &context.refused_writes) {
        (Ok(()), Some(why)) => format!("live: refused: {why}"),
        (Ok(()), None) => {
            "live: decode, run the steps, combine per (key, partition, batch); one write commits cells, counters, offsets and epoch"
                .into()
        }
        (Err(e), _) => format!("live: refused: {e}"),
    });
    #[cfg(feature = "parquet")]
    lines.push(match crate::platform_parquet::check(plan) {
        Ok(()) => "in bulk: sealed batches of the archive, combined per thread, merged in key order into a new run; one manifest \
                   publishes all stores"
            .into(),
        Err(e) => format!("in bulk: refused: {e}"),
    });
    let live: Vec<_> = plan.live_sinks().map(|(_, name)| name).collect();
    if !live.is_empty() {
        lines.push(format!(
            "sinks: the live part writes {}, before its state; bulk runs and backfills write nothing to them",
            live.join(", ")
        ));
    }
    let bulk: Vec<_> = plan.bulk_sinks().iter().map(|(_, sink)| sink.name).collect();
    if !bulk.is_empty() {
        lines.push(format!(
            "sinks: bulk runs and backfills write {}, as files of each generation; the live part writes nothing to them",
            bulk.join(", ")
        ));
    }
    lines
}
