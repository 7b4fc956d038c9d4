//! What a caller demands of a read: which holes he takes, how much must have been applied, and when it must be done.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rufous_core::{Error, ErrorKind, Result, SourcePartition};
use rufous_store_api::{GivenUp, Manifest, Until};

use crate::answer::Coverage;
use crate::missing::place;

/// Rows that are passed between two looks at the clock.
const ROWS_A_LOOK: u32 = 256;

/// The demands of one client of a store.
#[derive(Clone, Default)]
pub(crate) struct Terms {
    /// Answers without ranges that were lost (P31).
    pub(crate) accept_holes: bool,
    /// Per partition the offset below which all must be in the answer.
    at_least: Option<Arc<BTreeMap<SourcePartition, u64>>>,
    until: Option<Instant>,
    given_up: Option<GivenUp>,
}

impl Terms {
    /// Demands these offsets besides those that are demanded already.
    pub(crate) fn demand(&mut self, offsets: &BTreeMap<SourcePartition, u64>) {
        let mut all = self.at_least.take().map_or_else(BTreeMap::new, Arc::unwrap_or_clone);
        for (p, offset) in offsets {
            let least = all.entry(p.clone()).or_default();
            *least = (*least).max(*offset);
        }
        self.at_least = Some(Arc::new(all)).filter(|all| !all.is_empty());
    }

    /// Demands to be done by then; the earlier of two counts.
    pub(crate) fn end(&mut self, until: Instant) {
        self.until = Some(self.until.map_or(until, |before| before.min(until)));
    }

    /// Ends a read once this is true.
    pub(crate) fn give_up(&mut self, when: GivenUp) {
        self.given_up = Some(when);
    }

    /// A read begins.
    ///
    /// # Errors
    /// `TryAgain` when it would be too late already.
    pub(crate) fn begin(&self) -> Result<Clock> {
        Clock::start(Until::from(self.until).unless(self.given_up.clone()))
    }

    /// What an answer of this coverage lacks of what is demanded: more time passes, or the demand is not of this job.
    pub(crate) fn behind(&self, coverage: &Coverage, m: &Manifest) -> Option<Error> {
        let all = self.at_least.as_ref()?;
        let short: Vec<(&SourcePartition, u64)> = all
            .iter()
            .filter(|(p, asked)| coverage.applied(p) < **asked)
            .map(|(p, asked)| (p, *asked))
            .collect();
        let seen = coverage.partitions().keys().map(|p| &p.source);
        let known: BTreeSet<&String> = seen.chain(m.cut_specs.keys()).collect();
        if let Some((p, _)) = short
            .iter()
            .find(|(p, _)| !known.is_empty() && !known.contains(&p.source))
        {
            let known: Vec<&str> = known.iter().map(|s| s.as_str()).collect();
            return Some(Error::invalid(format!(
                "offsets of `{}` are demanded, and the job has no such source (it has: {}): use a token of this job",
                p.source,
                known.join(", ")
            )));
        }
        let clause = |(p, asked): &(&SourcePartition, u64)| {
            let applied = coverage.applied(p);
            format!(
                "{} is demanded up to offset {asked} and has been applied up to {applied}",
                place(p)
            )
        };
        let clauses: Vec<String> = short.iter().map(clause).collect();
        (!short.is_empty()).then(|| {
            Error::try_again(format!(
                "{}; try again when `stream` has read further, or ask without `at_least`",
                clauses.join(", ")
            ))
        })
    }
}

/// The time of one read.
#[derive(Clone)]
pub(crate) struct Clock {
    began: Instant,
    until: Until,
    rows: Cell<u32>,
    /// An error said so.
    told: Cell<bool>,
}

impl Clock {
    /// From now on.
    ///
    /// # Errors
    /// `TryAgain` when it is too late already.
    pub(crate) fn start(until: Until) -> Result<Self> {
        let began = Instant::now();
        if until.deadline().is_some_and(|deadline| deadline <= began) {
            return Err(Error::try_again(
                "the deadline had passed before the read began; try again with a later one",
            ));
        }
        Ok(Self {
            began,
            until,
            rows: Cell::new(0),
            told: Cell::new(false),
        })
    }

    /// For how long somebody waits, as those are told who wait for somebody else.
    pub(crate) fn until(&self) -> &Until {
        &self.until
    }

    /// Whether it may end before it is done.
    pub(crate) fn is_looked_at(&self) -> bool {
        self.until.may_end()
    }

    /// Whether it is too late, or nobody waits for the answer any more.
    pub(crate) fn is_over(&self) -> bool {
        self.told.get() || self.until.is_over()
    }

    /// Goes on, unless it is too late.
    ///
    /// # Errors
    /// `TryAgain` that says what was done at that moment.
    pub(crate) fn check(&self, doing: &str) -> Result<()> {
        if self.is_over() { Err(self.over(doing)) } else { Ok(()) }
    }

    /// A row was passed: looks at the clock now and then.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub(crate) fn row(&self, doing: &str) -> Result<()> {
        if !self.is_looked_at() {
            return Ok(());
        }
        self.rows.set(self.rows.get().wrapping_add(1));
        if self.rows.get().is_multiple_of(ROWS_A_LOOK) {
            self.check(doing)
        } else {
            Ok(())
        }
    }

    /// Waits a moment for something, not longer than the read may take.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub(crate) fn pause(&self, pause: Duration, waiting_for: &str) -> Result<()> {
        self.check(waiting_for)?;
        std::thread::sleep(self.until.left(pause));
        Ok(())
    }

    /// The error of a read that is too late. Once it was told, it is too late whatever follows.
    pub(crate) fn over(&self, doing: impl fmt::Display) -> Error {
        self.told.set(true);
        if self.until.is_given_up() {
            return Error::try_again(format!("the read was given up by who asked, during this: {doing}"));
        }
        let given = self.until.deadline().map_or(Duration::ZERO, |deadline| {
            deadline.saturating_duration_since(self.began)
        });
        Error::try_again(format!(
            "the deadline, {} ms after the read began, passed during this: {doing}; try again with a later one, or ask for less",
            given.as_millis()
        ))
    }

    /// What a failure of something that this read waited for means: that the read is too late, if it is.
    pub(crate) fn late(&self, e: Error, doing: &str) -> Error {
        if e.kind() == ErrorKind::TryAgain && !self.was_told() && self.is_over() {
            self.over(format_args!("{doing} ({e})")).caused_by(e)
        } else {
            e
        }
    }

    /// Whether an error said already that it is too late.
    pub(crate) fn was_told(&self) -> bool {
        self.told.get()
    }
}
