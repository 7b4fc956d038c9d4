//! A job graph as a list of steps, each with the numbers of its inputs: what is drawn, shrunk and shown.

use std::collections::BTreeSet;
use std::fmt;

use super::word::{Kind, Word};

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) word: Word,
    /// Which of the functions.
    pub(crate) f: u8,
    /// Earlier steps.
    pub(crate) inputs: Vec<usize>,
}

/// A graph in which every end is a store or a sink.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Spec {
    pub(crate) steps: Vec<Step>,
}

/// A step as it is drawn: its inputs are counted backwards among the steps of the kind that it takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drawn {
    pub(crate) word: Word,
    pub(crate) f: u8,
    pub(crate) inputs: [usize; 2],
}

/// At most so many records of a step for one of a source.
const WIDEST: usize = 64;
/// At most so many sums, as many aggregates, and as many writes: a job's tuples are no longer.
pub(crate) const ENDS: usize = 6;

impl Spec {
    /// The graph of what was drawn. A step without input, or beyond a bound, is left out; what goes nowhere is merged
    /// and ends in a store or a sink.
    pub(crate) fn of(drawn: &[Drawn]) -> Self {
        let mut spec = Self { steps: Vec::new() };
        let source = Drawn {
            word: Word::Source,
            f: 0,
            inputs: [0, 0],
        };
        for drawn in [source].iter().chain(drawn) {
            spec.draw(drawn);
        }
        spec.end(Kind::Deltas, Word::MergeDeltas, Word::SumDeltas);
        spec.end(Kind::Records, Word::MergeRecords, Word::Write);
        spec.end(Kind::Pairs, Word::MergePairs, Word::SumByKey);
        spec
    }

    fn draw(&mut self, drawn: &Drawn) {
        let mut inputs = Vec::new();
        for (kind, back) in drawn.word.inputs().iter().zip(drawn.inputs) {
            let candidates: Vec<usize> = (0..self.steps.len())
                .filter(|&i| self.steps[i].word.output() == *kind)
                .collect();
            let Some(last) = candidates.len().checked_sub(1) else {
                return;
            };
            inputs.push(candidates[last - back % candidates.len()]);
        }
        // The last end of each kind is kept for what goes nowhere.
        let full = |word: &dyn Fn(Word) -> bool| self.steps.iter().filter(|s| word(s.word)).count() >= ENDS - 2;
        let beyond = match drawn.word {
            Word::Write => full(&|w| w == Word::Write),
            Word::Aggregate => full(&|w| w == Word::Aggregate),
            Word::SumByKey | Word::SumDeltas => full(&|w| matches!(w, Word::SumByKey | Word::SumDeltas)),
            // A second name for a step is refused.
            word if word.names() => self.named().contains(&self.nameable(inputs[0])),
            _ => false,
        };
        let step = Step {
            word: drawn.word,
            f: drawn.f,
            inputs,
        };
        if !beyond && self.width_of(&step) <= WIDEST {
            self.steps.push(step);
        }
    }

    /// The step that a name after this one is for.
    pub(crate) fn nameable(&self, mut step: usize) -> usize {
        while self.steps[step].word.names() || self.steps[step].word == Word::TakeDeltas {
            step = self.steps[step].inputs[0];
        }
        step
    }

    /// The steps that have a name.
    fn named(&self) -> BTreeSet<usize> {
        let names = self.steps.iter().filter(|s| s.word.names());
        names.map(|s| self.nameable(s.inputs[0])).collect()
    }

    fn width_of(&self, step: &Step) -> usize {
        let inputs: usize = step.inputs.iter().map(|&i| self.width_of(&self.steps[i])).sum();
        inputs.max(1) * step.word.times()
    }

    fn end(&mut self, kind: Kind, merge: Word, end: Word) {
        let mut loose = self.loose(kind).into_iter();
        let Some(mut last) = loose.next() else { return };
        for next in loose {
            self.steps.push(Step {
                word: merge,
                f: 0,
                inputs: vec![last, next],
            });
            last = self.steps.len() - 1;
        }
        self.steps.push(Step {
            word: end,
            f: 0,
            inputs: vec![last],
        });
    }

    /// The same graph for platforms that keep sums alone: a write only counts what it would write, an aggregate is a sum.
    /// `None` when a job cannot have so many ends.
    #[allow(dead_code, reason = "for the tests of other platforms")]
    pub(crate) fn of_sums(mut self) -> Option<Self> {
        for step in &mut self.steps {
            step.word = match step.word {
                Word::Write => Word::CountRecords,
                Word::Aggregate => Word::SumByKey,
                word => word,
            };
        }
        self.end(Kind::Records, Word::MergeRecords, Word::KeyBy);
        self.end(Kind::Pairs, Word::MergePairs, Word::SumByKey);
        let sums = self
            .steps
            .iter()
            .filter(|s| matches!(s.word, Word::SumByKey | Word::SumDeltas));
        (sums.count() <= ENDS && self.steps.len() <= 64).then_some(self)
    }

    /// The steps of a kind that nothing reads. A write is an end itself.
    fn loose(&self, kind: Kind) -> Vec<usize> {
        let read: BTreeSet<usize> = self.steps.iter().flat_map(|s| s.inputs.iter().copied()).collect();
        let loose = |i: &usize| {
            let word = self.steps[*i].word;
            word.output() == kind && word != Word::Write && !read.contains(i)
        };
        (0..self.steps.len()).filter(loose).collect()
    }

    /// Whether a step that is an end is also read by others. Then the job need not name it as a tail.
    pub(crate) fn goes_on(&self, step: usize) -> bool {
        self.steps.iter().any(|s| s.inputs.contains(&step))
    }

    /// The graph for Graphviz.
    pub(crate) fn dot(&self) -> String {
        let mut text = String::from("digraph spec {\n");
        for (i, step) in self.steps.iter().enumerate() {
            text += &format!("  n{i} [label=\"#{i} {}/{}\"];\n", step.word.text(), step.f);
            for input in &step.inputs {
                text += &format!("  n{input} -> n{i};\n");
            }
        }
        text + "}"
    }

    /// Reads what [`Display`](fmt::Display) writes: steps with `;` between, each `word/f` and the numbers of its
    /// inputs.
    pub(crate) fn parse(text: &str) -> Self {
        let step = |text: &str| {
            let mut parts = text.split_whitespace();
            let (word, f) = parts.next().and_then(|head| head.split_once('/')).expect("word/f");
            let inputs: Vec<usize> = parts.map(|i| i.parse().expect("a step's number")).collect();
            let found = Word::ALL.iter().find(|w| w.text() == word);
            let word = *found.unwrap_or_else(|| panic!("no word {word}"));
            assert_eq!(inputs.len(), word.inputs().len(), "inputs of {}", word.text());
            Step {
                word,
                f: f.parse().expect("a number of a function"),
                inputs,
            }
        };
        let spec = Self {
            steps: text.split(';').map(step).collect(),
        };
        for (i, step) in spec.steps.iter().enumerate() {
            for (&input, kind) in step.inputs.iter().zip(step.word.inputs()) {
                assert!(input < i, "step {i} reads step {input}, which is not before it");
                assert_eq!(spec.steps[input].word.output(), *kind, "step {i} reads step {input}");
            }
        }
        spec
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let step = |s: &Step| {
            let inputs = s.inputs.iter().map(|i| format!(" {i}"));
            format!("{}/{}{}", s.word.text(), s.f, inputs.collect::<String>())
        };
        f.write_str(&self.steps.iter().map(step).collect::<Vec<_>>().join("; "))
    }
}

/// What a failing property prints: the line for the list of kept graphs, and the graph as DOT.
impl fmt::Debug for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}\n{}", self.dot())
    }
}
