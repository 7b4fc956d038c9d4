//! `read(P), read(P) = s, s` with `s = read(P)`.
//!
//! Precondition: the same port, which the check of ports makes sure is declared alike. Decoding happens once; a merge of
//! both still gives every record twice.

use std::collections::HashMap;

use super::Rule;
use crate::planner::graph::{Kind, PlanGraph};

pub(super) struct ShareSources;

impl Rule for ShareSources {
    fn name(&self) -> &'static str {
        "share-sources"
    }
    fn apply(&self, graph: &mut PlanGraph) -> Vec<String> {
        let mut first: HashMap<&'static str, usize> = HashMap::new();
        let mut instead: HashMap<usize, usize> = HashMap::new();
        let mut changes = Vec::new();
        for id in graph.ids().collect::<Vec<_>>() {
            let Kind::Source { face, .. } = &graph.nodes[id].kind else {
                continue;
            };
            let name = face.name;
            let kept = *first.entry(name).or_insert(id);
            if kept == id {
                continue;
            }
            let node = &mut graph.nodes[id];
            node.gone = true;
            let (said, names) = (std::mem::take(&mut node.said), std::mem::take(&mut node.names));
            changes.push(format!("source `{name}` is read once, for #{} too", said[0]));
            graph.nodes[kept].said.extend(said);
            graph.nodes[kept].names.extend(names);
            instead.insert(id, kept);
        }
        for node in &mut graph.nodes {
            for input in &mut node.inputs {
                *input = instead.get(input).copied().unwrap_or(*input);
            }
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use crate::planner::rules::bench::*;
    use crate::*;

    #[test]
    fn a_port_read_twice_is_decoded_once_and_still_counts_twice() {
        let job = Job::new("j", pairs().merge(pairs()).sum_by_key(TOTALS));
        assert_eq!(fires("share-sources", &job), 1);
    }
    #[test]
    fn two_ports_stay_two() {
        const MORE: Source<str> = Source::new("more");
        let more = MORE.read().keyed(|line, out| out.emit(line.len() as u64, 1));
        let job = Job::new("j", pairs().merge(more).sum_by_key(TOTALS));
        assert_eq!(fires("share-sources", &job), 0);
    }
}
