//! The faults of a soak, one after the other in a seeded order; all four have come before one comes again.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::{On, Run};
use crate::run::Random;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// kill -9 of the stream, which is started at once.
    Kill,
    /// SIGSTOP and SIGCONT of the broker.
    Hang,
    /// kill -9 of the broker, which is started again.
    Broker,
    /// A second process joins the group, and leaves it.
    Join,
}

const ALL: [(Fault, Duration); 4] = [
    (Fault::Kill, Duration::ZERO),
    (Fault::Hang, Duration::from_secs(5)),
    (Fault::Broker, Duration::from_secs(1)),
    (Fault::Join, Duration::from_secs(3)),
];

pub(super) struct Faults {
    random: Random,
    calm: Duration,
    /// Of the next.
    at: Instant,
    /// Those of this round that have not come.
    left: Vec<(Fault, Duration)>,
    on: Option<On>,
    counts: [u64; 4],
}

impl Faults {
    pub(super) fn new(random: Random, calm: Duration) -> Self {
        Self {
            random,
            calm,
            at: Instant::now() + calm,
            left: Vec::new(),
            on: None,
            counts: [0; 4],
        }
    }
    /// Begins or ends a fault when its time has come.
    pub(super) fn tick(&mut self, run: &mut Run<'_>, program: &Path) -> Result<()> {
        if let Some((since, time, ..)) = &self.on {
            return if since.elapsed() >= *time {
                self.end(run)
            } else {
                Ok(())
            };
        }
        if Instant::now() < self.at {
            return Ok(());
        }
        if self.left.is_empty() {
            self.left = ALL.to_vec();
        }
        let (fault, time) = self
            .left
            .swap_remove(self.random.below(self.left.len() as u64) as usize);
        self.counts[fault as usize] += 1;
        let second = match fault {
            Fault::Kill => {
                run.stop_stream_hard()?;
                run.start_stream()?;
                None
            }
            Fault::Hang => {
                run.broker.pause()?;
                None
            }
            Fault::Broker => {
                run.broker.kill9()?;
                None
            }
            Fault::Join => Some(run.second(program)?),
        };
        self.on = Some((Instant::now(), time, fault, second));
        Ok(())
    }
    /// Ends the fault that is on.
    pub(super) fn end(&mut self, run: &Run<'_>) -> Result<()> {
        let Some((_, _, fault, second)) = self.on.take() else {
            return Ok(());
        };
        match fault {
            Fault::Hang => run.broker.resume()?,
            Fault::Broker => run.broker.restart()?,
            Fault::Kill | Fault::Join => {}
        }
        if let Some((place, child)) = second {
            // It leaves the group as it ends, or is thrown out soon after.
            if self.random.below(2) == 0 {
                place.stop(child)?;
            } else {
                place.kill("the second stream", child, false)?;
            }
        }
        self.at = Instant::now() + self.calm;
        Ok(())
    }
    pub(super) fn each(&self) -> bool {
        self.counts.iter().all(|n| *n > 0)
    }
    pub(super) fn counted(&self) -> String {
        let [kills, hangs, brokers, joins] = self.counts;
        format!("{kills} kills, {hangs} hangs, {brokers} broker kills, {joins} joins")
    }
}
