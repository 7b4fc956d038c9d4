//! The plan for people, and the text that identifies the job.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::Identity;
use super::graph::{Id, Kind, PlanGraph, PlanNode};
use super::layout::Layout;
use super::normal::Said;
use crate::graph::{AsOf, Domain, Node, NodeKind};

pub(super) fn head(identity: &Identity<'_>, said: &Said) -> String {
    format!(
        "job {} (version {}, fingerprint {})\n",
        identity.job,
        identity.version,
        fingerprint(identity, said)
    )
}

/// What is said of many things at once names the first few and the last.
const FEW: usize = 8;

fn few(mut all: impl ExactSizeIterator<Item = String>) -> String {
    let n = all.len();
    if n <= FEW {
        return all.collect::<Vec<_>>().join(" ");
    }
    let first = all.by_ref().take(FEW - 2).collect::<Vec<_>>().join(" ");
    let last = all.last().unwrap_or_default();
    format!("{first} .. {last} ({n})")
}

pub(super) fn numbers(all: &[usize]) -> String {
    few(all.iter().map(|n| format!("#{n}")))
}

/// Rows with their cells below each other. A cell that is longer than most moves its own row only; a column in which nothing
/// stands takes no space.
fn table<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    const WIDE: usize = 36;
    let chars = |cell: &String| cell.chars().count();
    let width = |column: usize| rows.iter().map(|row| chars(&row[column])).filter(|n| *n <= WIDE).max();
    let widths: [usize; N] = std::array::from_fn(|column| width(column).unwrap_or(0));
    let line = |row: &[String; N]| {
        let mut line = String::new();
        for (cell, &width) in row
            .iter()
            .zip(&widths)
            .filter(|(cell, width)| **width > 0 || !cell.is_empty())
        {
            let _ = write!(line, "  {cell:<width$}");
        }
        line.truncate(line.trim_end().len());
        line
    };
    rows.iter().map(line).collect()
}

/// The graph as it was said: number, word, port or name, inputs, what comes out, what holds of it, line of code.
pub(super) fn said(said: &Said) -> String {
    let row = |(i, node): (usize, &Arc<Node>)| {
        let (word, about) = node.kind.label();
        let note = match &node.kind {
            NodeKind::Source(s) => format!("batches of {}", s.batcher()),
            NodeKind::Sum(sum) => {
                let how = if sum.in_order { "in order" } else { "commutative" };
                format!("{}, {how}", sum.store.schema())
            }
            NodeKind::Counting(counters) => counters.join(" "),
            NodeKind::Scan(scan) => record_by_record(&scan.note),
            NodeKind::AsOf(join) => as_of(join),
            _ => String::new(),
        };
        [
            format!("#{i}"),
            word.into(),
            about.into(),
            numbers(&said.inputs(node).collect::<Vec<_>>()),
            format!("-> {}", node.output),
            note,
            format!("{}:{}", node.at.file(), node.at.line()),
        ]
    };
    let rows: Vec<_> = said.nodes.iter().enumerate().map(row).collect();
    let mut text = String::from("graph\n");
    for line in table(&rows) {
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// The steps in running order: number, word, port, the steps that it reads, what it was in the graph, what holds of it.
pub(super) fn planned(graph: &PlanGraph, layout: &Layout) -> Vec<String> {
    let places: HashMap<Id, usize> = layout
        .order
        .iter()
        .enumerate()
        .map(|(place, &id)| (id, place))
        .collect();
    let from = |ids: &[Id]| {
        let places: Vec<_> = ids.iter().filter_map(|i| places.get(i)).collect();
        few(places.into_iter().map(usize::to_string))
    };
    let row = |(place, &id): (usize, &Id)| {
        let node = &graph.nodes[id];
        let (word, about) = node.kind.label();
        let was = match &node.said[..] {
            [] => String::new(),
            said => format!("[{}]", numbers(said)),
        };
        let named = node.names.iter().map(|n| format!("named {n}"));
        let notes: Vec<_> = named.chain(notes(graph, node)).collect();
        let (word, about) = (word.into(), about.into());
        [
            place.to_string(),
            word,
            about,
            from(&node.inputs),
            was,
            notes.join("; "),
        ]
    };
    let mut rows: Vec<_> = layout.order.iter().enumerate().map(row).collect();
    if !layout.counters.is_empty() {
        let counts = |id: &Id| !graph.nodes[*id].counts.is_empty();
        let counting: Vec<Id> = layout.order.iter().copied().filter(counts).collect();
        rows.push([
            layout.order.len().to_string(),
            "sum-by-key".into(),
            "counters".into(),
            from(&counting),
            String::new(),
            format!("{COMBINED}; holds {}", layout.counters.join(" ")),
        ]);
    }
    table(&rows)
}

/// What holds of a node of the plan, beside its names.
pub(super) fn notes(graph: &PlanGraph, node: &PlanNode) -> Vec<String> {
    let mut notes = Vec::new();
    match &node.kind {
        Kind::Sum(sum) if sum.in_order => notes.push("in order".into()),
        Kind::Sum(_) | Kind::Combine { .. } => notes.push(COMBINED.into()),
        Kind::Tap(_) => notes.push("for joins".into()),
        Kind::Scan { domain, .. } | Kind::AsOf { domain, .. } => {
            notes.push(match &node.kind {
                Kind::AsOf { join, .. } => as_of(join),
                Kind::Scan { scan, .. } => record_by_record(&scan.note),
                _ => String::new(),
            });
            notes.push(match domain {
                Some(Domain::Partition) => "a key stays in its partition".into(),
                Some(Domain::Log) => "in one order of all partitions".into(),
                Some(Domain::Broadcast) => {
                    "each left partition with all right ones, run in one order of all partitions".into()
                }
                None => "a source of one partition".into(),
            });
            if graph.one_by_one {
                notes.push("branches of one source meet above: records run one by one".into());
            }
        }
        _ => {}
    }
    if !node.counts.is_empty() {
        notes.push(format!("counts {}", node.counts.join(" ")));
    }
    notes
}

fn record_by_record(note: &str) -> String {
    match note {
        "" => "record by record".into(),
        note => format!("record by record, {note}"),
    }
}

fn as_of(join: &AsOf) -> String {
    let batches = match join.reading.horizon {
        1 => "1 batch".to_string(),
        n => format!("{n} batches"),
    };
    let valid = join
        .reading
        .valid_ms
        .map_or_else(String::new, |ms| format!(", valid for {ms} ms"));
    format!(
        "as of event time, {batches} back{valid}; versions in `{}`",
        join.versions.name
    )
}

const COMBINED: &str = "combined per (key, partition, batch)";

/// What the rules did.
pub(super) fn why(reasons: &[(&'static str, String)]) -> String {
    const WIDE: usize = 116;
    if reasons.is_empty() {
        return String::new();
    }
    let mut text = String::from("why\n");
    for (rule, reason) in reasons {
        let mut line = format!("  {rule}:");
        for word in reason.split(' ') {
            if line.len() + 1 + word.len() > WIDE {
                let _ = writeln!(text, "{line}");
                line = String::from("   ");
            }
            line.push(' ');
            line.push_str(word);
        }
        let _ = writeln!(text, "{line}");
    }
    text
}

/// What two processes compare before they take part in one job. Rust type names are not stable, so they are left out.
pub(super) fn fingerprint(identity: &Identity<'_>, said: &Said) -> String {
    let Identity {
        job,
        version,
        arguments,
        ..
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
            NodeKind::Scan(scan) if !scan.note.is_empty() => writeln!(text, " {}", scan.note),
            NodeKind::AsOf(join) => writeln!(text, " {} {}", join.versions.schema(), as_of(join)),
            _ => writeln!(text),
        };
    }
    format!("{:016x}", xxh3_64(text.as_bytes()))
}
