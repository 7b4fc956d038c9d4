//! The plan as a picture, in the DOT language.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::Identity;
use super::explain::numbers;
use super::graph::{Kind, PlanGraph};
use super::layout::Layout;
use super::normal::Said;
use crate::graph::NodeKind;

pub(super) fn dot(identity: &Identity<'_>, said: &Said, graph: &PlanGraph, layout: &Layout) -> String {
    let mut text = format!("digraph \"{}\" {{\n  rankdir=LR;\n  node [shape=box];\n", identity.job);
    text.push_str("  subgraph cluster_graph {\n    label=\"graph\";\n");
    for (i, node) in said.nodes.iter().enumerate() {
        let (word, about) = node.kind.label();
        let shape = match node.kind {
            NodeKind::Source(_) => ", shape=cds",
            NodeKind::Sum(_) => ", shape=cylinder",
            NodeKind::Write(_) => ", shape=note",
            NodeKind::Scan(_) | NodeKind::AsOf(_) => ", shape=component",
            _ => "",
        };
        let _ = writeln!(text, "    g{i} [label=\"#{i} {}\"{shape}];", escape(&join(word, about)));
        for input in said.inputs(node) {
            let _ = writeln!(text, "    g{input} -> g{i};");
        }
    }
    text.push_str("  }\n  subgraph cluster_plan {\n    label=\"plan\";\n");
    let place: HashMap<_, _> = layout
        .order
        .iter()
        .enumerate()
        .map(|(place, id)| (*id, place))
        .collect();
    for (i, id) in layout.order.iter().enumerate() {
        let node = &graph.nodes[*id];
        let (word, about) = node.kind.label();
        let shape = match node.kind {
            Kind::Source { .. } => ", shape=cds",
            Kind::Sum(_) => ", shape=cylinder",
            Kind::Write(_) => ", shape=note",
            Kind::Combine { .. } => ", style=rounded",
            Kind::Scan { .. } | Kind::AsOf { .. } | Kind::Tap(_) => ", shape=component",
            _ => "",
        };
        let mut label = join(word, about);
        for more in node.names.iter().cloned().chain([numbers(&node.said)]) {
            if !more.is_empty() {
                label = format!("{label}\\n{more}");
            }
        }
        let _ = writeln!(text, "    p{i} [label=\"{}\"{shape}];", escape(&label));
        for input in node.inputs.iter().filter_map(|i| place.get(i)) {
            let _ = writeln!(text, "    p{input} -> p{i};");
        }
        if !node.counts.is_empty() {
            let _ = writeln!(
                text,
                "    p{i} -> counters [style=dashed, label=\"{}\"];",
                node.counts.join(" ")
            );
        }
    }
    if !layout.counters.is_empty() {
        text.push_str("    counters [label=\"sum-by-key counters\", shape=cylinder];\n");
    }
    text.push_str("  }\n}\n");
    text
}

fn join(word: &str, about: &str) -> String {
    if about.is_empty() {
        word.into()
    } else {
        format!("{word} {about}")
    }
}

fn escape(text: &str) -> String {
    text.replace('"', "\\\"")
}
