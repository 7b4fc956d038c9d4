//! The plan for people, and the text that identifies the job.

use std::collections::HashMap;
use std::fmt::Write as _;

use xxhash_rust::xxh3::xxh3_64;

use super::Identity;
use super::graph::{Id, Kind, PlanGraph};
use super::layout::Layout;
use super::normal::Said;
use crate::graph::NodeKind;

pub(super) fn head(identity: &Identity<'_>, said: &Said) -> String {
    format!(
        "job {} (version {}, fingerprint {})\n",
        identity.job,
        identity.version,
        fingerprint(identity, said)
    )
}

fn numbers(all: impl Iterator<Item = usize>) -> String {
    all.map(|n| format!("#{n}")).collect::<Vec<_>>().join(" ")
}

/// The graph as it was said.
pub(super) fn said(said: &Said) -> String {
    let mut text = String::from("graph\n");
    for (i, node) in said.nodes.iter().enumerate() {
        let (word, about) = node.kind.label();
        let note = match &node.kind {
            NodeKind::Source(s) => format!("batches of {}", s.batcher()),
            NodeKind::Sum(sum) => {
                let how = if sum.in_order { "in order" } else { "commutative" };
                format!("{}, {how}", sum.store.schema())
            }
            NodeKind::Counting(counters) => counters.join(" "),
            _ => String::new(),
        };
        let line = format!(
            "  #{i:<3} {word:<17} {about:<18} {:<10} -> {:<28} {note}",
            numbers(said.inputs(node)),
            node.output
        );
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// The steps in running order.
pub(super) fn planned(graph: &PlanGraph, layout: &Layout) -> Vec<String> {
    let mut lines = Vec::new();
    let places: HashMap<Id, usize> = layout
        .order
        .iter()
        .enumerate()
        .map(|(place, &id)| (id, place))
        .collect();
    for (place, &id) in layout.order.iter().enumerate() {
        let node = &graph.nodes[id];
        let (word, about) = node.kind.label();
        let from = node.inputs.iter().filter_map(|i| places.get(i));
        let from = from.map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
        let mut notes = vec![format!("[{}]", numbers(node.said.iter().copied()))];
        notes.extend(node.names.iter().map(|n| format!("named {n}")));
        match &node.kind {
            Kind::Sum(sum) if sum.in_order => notes.push("in order".into()),
            Kind::Sum(_) | Kind::Combine { .. } => notes.push("combined per (key, partition, batch)".into()),
            _ => {}
        }
        if !node.counts.is_empty() {
            notes.push(format!("counts {}", node.counts.join(" ")));
        }
        let line = format!("  {place:<4} {word:<17} {about:<18} {from:<10} {}", notes.join("  "));
        lines.push(line.trim_end().to_string());
    }
    if !layout.counters.is_empty() {
        lines.push(format!(
            "  {:<4} {:<17} {:<18} {}",
            layout.order.len(),
            "sum-by-key",
            "counters",
            layout.counters.join(" ")
        ));
    }
    lines
}

/// What the rules did.
pub(super) fn why(reasons: &[(&'static str, String)]) -> String {
    if reasons.is_empty() {
        return String::new();
    }
    let mut text = String::from("why\n");
    for (rule, reason) in reasons {
        let _ = writeln!(text, "  {rule}: {reason}");
    }
    text
}

/// What two processes compare before they take part in one job. Rust type names are not stable, so they are left out.
pub(super) fn fingerprint(identity: &Identity<'_>, said: &Said) -> String {
    let Identity {
        job,
        version,
        arguments,
    } = identity;
    let mut text = format!("rufous-job/1\n{job}\nversion {version}\narguments {arguments}\n");
    for node in &said.nodes {
        let (word, about) = node.kind.label();
        let _ = write!(text, "{word} {about}");
        for input in said.inputs(node) {
            let _ = write!(text, " #{input}");
        }
        let _ = match &node.kind {
            NodeKind::Source(s) => writeln!(text, " {}", s.describe()),
            NodeKind::Sum(sum) if sum.in_order => writeln!(text, " {} in order", sum.store.schema()),
            NodeKind::Sum(sum) => writeln!(text, " {}", sum.store.schema()),
            NodeKind::Counting(counters) => writeln!(text, " {}", counters.join(" ")),
            _ => writeln!(text),
        };
    }
    format!("{:016x}", xxh3_64(text.as_bytes()))
}
