//! Which of the partitions of a domain goes next (O3, O4).

use rufous_core::rules::{Rule, kept};
use rufous_core::{BatchId, LogTime};

use super::Queue;

/// Where a partition comes among others at equal times: the place of its source by name (their numbers depend on how the job is
/// written), and its number.
pub(super) type Turn = (u32, u32);

/// Which member of a domain goes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    Run(usize),
    Nothing,
    /// What goes next stands before what was taken.
    Apart,
}

/// What is looked at of the members of a domain, one after the other.
#[derive(Default)]
pub(super) struct Heads {
    /// The two that stand before all others, with their places among the members.
    first: Option<(LogTime, Turn, usize)>,
    second: Option<(LogTime, Turn, usize)>,
    /// The last that was taken.
    last: Option<(LogTime, Turn)>,
    /// Whether one has shown nothing that was not taken.
    silent: bool,
}

impl Heads {
    pub(super) fn see(&mut self, at: usize, turn: Turn, queue: &Queue) {
        // At the beginning of a log nothing was taken, and what has no time stands there, too.
        let some = queue.taken
            > LogTime {
                batch: BatchId::MIN,
                time: None,
            };
        self.last = self.last.max(some.then_some((queue.taken, turn)));
        let Some(head) = queue.head() else {
            self.silent = true;
            return;
        };
        let seen = Some((head, turn, at));
        if self.first.is_none() || seen < self.first {
            self.second = std::mem::replace(&mut self.first, seen);
        } else if self.second.is_none() || seen < self.second {
            self.second = seen;
        }
    }
    /// The first record of all, if every partition has shown one (O4).
    pub(super) fn choose(&self) -> Choice {
        let waits = kept(Rule::WaitForOthers);
        match self.first {
            None => Choice::Nothing,
            Some((head, turn, _)) if waits && Some((head, turn)) < self.last => Choice::Apart,
            Some(_) if self.silent && waits => Choice::Nothing,
            Some((.., at)) => Choice::Run(at),
        }
    }
    /// How many records of the first one stand before all others.
    pub(super) fn run(&self, queue: &Queue) -> usize {
        let first = self.first.map(|(_, turn, _)| turn) < self.second.map(|(_, turn, _)| turn);
        queue.run(self.second.map(|(time, ..)| time), first)
    }
}
