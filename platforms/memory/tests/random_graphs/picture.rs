//! A plan as it can be seen from outside: its picture in the DOT language, read back.

use std::collections::BTreeMap;

/// A node of the picture: of the graph that was said, or of the plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Node {
    /// The step's word.
    pub(crate) word: String,
    /// The port or whatever it is about.
    pub(crate) about: String,
    pub(crate) names: Vec<String>,
    /// The numbers of what was said that it stands for.
    pub(crate) said: Vec<usize>,
    /// One for each time that it is an input.
    pub(crate) inputs: Vec<usize>,
    pub(crate) readers: Vec<usize>,
}

#[derive(Debug)]
pub(crate) struct Picture {
    /// By number.
    pub(crate) graph: BTreeMap<usize, Node>,
    pub(crate) plan: BTreeMap<usize, Node>,
}

impl Picture {
    /// # Panics
    /// When the text is no picture of a plan.
    pub(crate) fn of(dot: &str) -> Self {
        let mut picture = Self {
            graph: BTreeMap::new(),
            plan: BTreeMap::new(),
        };
        let mut edges = Vec::new();
        // The store of the counters is no step that was said; what counts points to it.
        let lines = dot.lines().filter(|line| !line.contains("counters [")).map(str::trim);
        for line in lines.map(|line| line.trim_end_matches(';')) {
            if let Some((from, to)) = line.split_once(" -> ") {
                edges.push((place(from), place(to)));
            } else if let Some((id, rest)) = line.split_once(" [label=\"") {
                let label = rest.split('"').next().expect("the end of a label");
                let (in_plan, number) = place(id);
                let part = if in_plan { &mut picture.plan } else { &mut picture.graph };
                part.insert(number, node(label, in_plan));
            }
        }
        for ((in_plan, from), (_, to)) in edges {
            let part = if in_plan { &mut picture.plan } else { &mut picture.graph };
            part.get_mut(&from).expect("an edge from a node").readers.push(to);
            part.get_mut(&to).expect("an edge to a node").inputs.push(from);
        }
        picture
    }
}

/// Whether it is of the plan, and the number.
fn place(id: &str) -> (bool, usize) {
    let (part, number) = id.split_at(1);
    (
        part == "p",
        number.parse().unwrap_or_else(|_| panic!("{id} is no node")),
    )
}

fn node(label: &str, in_plan: bool) -> Node {
    let mut node = Node::default();
    let lines: Vec<&str> = label.split("\\n").collect();
    let head = if in_plan {
        // A combiner stands for nothing that was said.
        let (head, names, said) = match &lines[..] {
            [head] => (head, &[][..], ""),
            [head, names @ .., said] => (head, names, *said),
            [] => panic!("{label}: no word"),
        };
        node.names = names.iter().map(ToString::to_string).collect();
        let numbers = said.split_whitespace().map(|n| n.trim_start_matches('#'));
        node.said = numbers.map(|n| n.parse().expect("a number")).collect();
        head
    } else {
        label.split_once(' ').expect("a number and a word").1
    };
    let (word, about) = head.split_once(' ').unwrap_or((head, ""));
    (node.word, node.about) = (word.into(), about.into());
    node
}
