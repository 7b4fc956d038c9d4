//! Contests: each contender does the same work, in turns, in one process; thread CPU time, medians over the rounds.
//!
//! A bar is printed as met or missed, never asserted: a noisy machine is no failed test. Inputs are seeded.
#![allow(dead_code, reason = "each benchmark uses a part")]

use std::hint::black_box;

use cpu_time::ThreadTime;

/// Rounds for each contender.
const ROUNDS: usize = 15;

type Work<'a> = Box<dyn FnMut() + 'a>;

/// One table of contenders.
pub(crate) struct Contest<'a> {
    title: String,
    /// Operations in one call of a contender.
    operations: u64,
    contenders: Vec<(String, Work<'a>)>,
    bars: Vec<Bar>,
    exact: Option<bool>,
}

enum Bar {
    Nanoseconds(f64),
    Ratio(String, f64),
}

/// Every contender's closure does `operations` operations.
pub(crate) fn contest<'a>(title: impl ToString, operations: u64) -> Contest<'a> {
    Contest {
        title: title.to_string(),
        operations,
        contenders: Vec::new(),
        bars: Vec::new(),
        exact: None,
    }
}

impl<'a> Contest<'a> {
    /// The first contender is ours.
    pub(crate) fn contender<R>(mut self, name: impl ToString, mut work: impl FnMut() -> R + 'a) -> Self {
        let work: Work<'a> = Box::new(move || {
            black_box(work());
        });
        self.contenders.push((name.to_string(), work));
        self
    }

    /// Ours should take at most so many nanoseconds for an operation.
    pub(crate) fn at_most_ns(mut self, ns: f64) -> Self {
        self.bars.push(Bar::Nanoseconds(ns));
        self
    }

    /// Ours should take at most this part of that contender's time.
    pub(crate) fn at_most_of(mut self, rival: &str, ratio: f64) -> Self {
        self.bars.push(Bar::Ratio(rival.to_string(), ratio));
        self
    }

    /// Whether the answers of this work were compared with plain collections and found right.
    pub(crate) fn exact(mut self, exact: bool) -> Self {
        self.exact = Some(exact);
        self
    }

    /// Runs all and prints the table.
    pub(crate) fn run(mut self) {
        // `cargo bench -- name` runs the contests with `name` in the title.
        let wanted = std::env::args().skip(1).find(|a| !a.starts_with('-'));
        if wanted.is_some_and(|w| !self.title.contains(&w)) {
            return;
        }
        let mut rounds = vec![Vec::with_capacity(ROUNDS); self.contenders.len()];
        for round in 0..=ROUNDS {
            for ((_, work), times) in self.contenders.iter_mut().zip(&mut rounds) {
                let start = ThreadTime::now();
                work();
                let ns = start.elapsed().as_nanos() as f64 / self.operations as f64;
                // The first round only warms up.
                if round > 0 {
                    times.push(ns);
                }
            }
        }
        // Ratios of the same round: what slows one down slows its neighbours down, too.
        let ratios = |i: usize| {
            let pairs = rounds[0].iter().zip(&rounds[i]).map(|(ours, theirs)| ours / theirs);
            median(pairs.collect())
        };
        let exact = match self.exact {
            None => "",
            Some(true) => ", exact: yes",
            Some(false) => ", exact: NO",
        };
        println!("\n{}{exact}", self.title);
        let ours = median(rounds[0].clone());
        for (i, (name, _)) in self.contenders.iter().enumerate() {
            let ratio = if i == 0 {
                String::new()
            } else {
                format!("   ours is {:.2} x", ratios(i))
            };
            println!("  {name:<44} {:>12.2} ns{ratio}", median(rounds[i].clone()));
        }
        for bar in &self.bars {
            let (text, found, limit) = match bar {
                Bar::Nanoseconds(limit) => (format!("at most {limit} ns"), ours, *limit),
                Bar::Ratio(rival, limit) => {
                    let i = self
                        .contenders
                        .iter()
                        .position(|(name, _)| name == rival)
                        .expect("a contender");
                    (format!("at most {limit} x {rival}"), ratios(i), *limit)
                }
            };
            println!("  bar: {text}: {}", if found <= limit { "met" } else { "MISSED" });
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}
