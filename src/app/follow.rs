//! Comparisons as the live process shows them (P36). `batch` compares behind its publish and keeps a report; but it
//! ends, and nothing can scrape a process that ended. So the live process reads the reports. It compares by itself
//! where a report could not know yet, because this process had not read so far, and where none comes: the run was
//! killed. So each run is compared once in the usual case, and by the one who can in every other.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::open::Context;
use super::reconcile::{agree, compare, keep};
use super::reports::Reports;
use crate::client::reconcile::obstacle::Obstacle;
use crate::client::reconcile::report::Report;
use crate::client::{Client, ClientParts, Comparison, ReconcileOptions, Reconciled};
use crate::core::{ErrorKind, Result, Timestamp};
use crate::store_api::{GenerationStore, RealtimeReader, RealtimeStore, Until};

/// How often it looks.
const POLL: Duration = Duration::from_secs(5);
/// How long the run that published may take for its own comparison.
const PATIENCE: Duration = Duration::from_secs(60);
/// So many reports are looked through for the newest run that was compared, at the start.
const BACK: usize = 8;

/// What is shown of a store.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Compared {
    pub(super) batches: String,
    pub(super) at: Timestamp,
    pub(super) keys: u64,
    pub(super) drifted: u64,
}

/// The newest comparison that could be made, and what stands in the way of one of the newest run. By store.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Shown {
    pub(super) compared: BTreeMap<String, Compared>,
    pub(super) obstacles: BTreeMap<String, Obstacle>,
}

/// [`Shown`], for the metrics.
#[derive(Debug, Default)]
pub(super) struct Latest(Mutex<Shown>);

impl Latest {
    fn lock(&self) -> MutexGuard<'_, Shown> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    pub(super) fn get(&self) -> Shown {
        self.lock().clone()
    }
    /// Shows a report; an older one only where nothing newer is known.
    pub(super) fn show(&self, report: &Report, is_newest: bool) {
        let mut shown = self.lock();
        for found in &report.stores {
            match &found.outcome {
                Comparison::Compared { keys, drifted, .. } => {
                    let compared = Compared {
                        batches: report.batches.clone(),
                        at: report.at,
                        keys: *keys,
                        drifted: *drifted,
                    };
                    if is_newest {
                        shown.obstacles.remove(&found.store);
                        shown.compared.insert(found.store.clone(), compared);
                    } else {
                        shown.compared.entry(found.store.clone()).or_insert(compared);
                    }
                }
                Comparison::NotComparable { obstacle, .. } if is_newest => {
                    shown.obstacles.insert(found.store.clone(), *obstacle);
                }
                _ => {}
            }
        }
    }
}

/// Follows the runs of a job while it streams.
pub(super) struct Follower<'a> {
    context: &'a Context<'a>,
    client: Client,
    namespace: String,
    latest: Arc<Latest>,
    /// The run that was met last, since when, and whether there is nothing more to know of it.
    met: Option<(u64, Instant, bool)>,
}

impl<'a> Follower<'a> {
    /// Over the state that this process keeps.
    pub(super) fn new(
        context: &'a Context<'a>,
        namespace: &str,
        store: Arc<dyn RealtimeStore>,
        latest: Arc<Latest>,
    ) -> Self {
        let parts = ClientParts {
            job: context.plan.job().to_string(),
            manifests: context.manifests.clone(),
            generations: context.generations.clone() as Arc<dyn GenerationStore>,
            realtime: Arc::new(move |_: &str, _: &Until| Ok(Some(store.clone() as Arc<dyn RealtimeReader>))),
        };
        Self {
            context,
            client: Client::new(parts),
            namespace: namespace.into(),
            latest,
            met: None,
        }
    }

    /// Until the other end of `stopped` is gone; `stop` ends a comparison at once.
    pub(super) fn run(&mut self, stopped: Receiver<()>, stop: &Arc<AtomicBool>) {
        if let Err(e) = self.recall() {
            tracing::warn!(error = %e, "former comparisons of the layers cannot be read");
        }
        loop {
            self.look(stop);
            if stopped.recv_timeout(POLL) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    }

    /// The newest run that was compared, before the newest run itself is looked at.
    fn recall(&self) -> Result<()> {
        let reports = Reports::of(&self.context.offline);
        for number in reports.numbers()?.into_iter().take(BACK) {
            if let Some(report) = reports.get(number)? {
                self.latest.show(&report, false);
            }
        }
        Ok(())
    }

    /// One look.
    pub(super) fn look(&mut self, stop: &Arc<AtomicBool>) {
        match self.try_look(stop) {
            Ok(()) => {}
            Err(e) if matches!(e.kind(), ErrorKind::Closed | ErrorKind::TryAgain) => {
                tracing::debug!(error = %e, "the layers were not compared: tried again later");
            }
            Err(e) => {
                tracing::warn!(error = %e, "the layers cannot be compared");
                // Not every few seconds.
                self.met = self.met.map(|(number, since, _)| (number, since, true));
            }
        }
    }

    fn try_look(&mut self, stop: &Arc<AtomicBool>) -> Result<()> {
        let run = self.client.newest_run()?;
        if run.realtime_namespace.as_deref() != Some(&self.namespace) || run.number == 0 {
            return Ok(());
        }
        let since = match self.met {
            Some((number, _, true)) if number == run.number => return Ok(()),
            Some((number, since, false)) if number == run.number => since,
            _ => Instant::now(),
        };
        self.met = Some((run.number, since, false));
        let reports = Reports::of(&self.context.offline);
        let known = reports.get(run.number)?;
        if known.is_none() && since.elapsed() < PATIENCE {
            return Ok(());
        }
        let report = match known {
            // What differed may have been repaired since.
            Some(report) if !report.may_change() && report.drifted().next().is_none() => report,
            known => {
                // Beside the stream it has to make do with little.
                let options = ReconcileOptions {
                    memory: self.context.budget.bytes() / 32,
                    stop: stop.clone(),
                };
                let stores = self.context.plan.stores();
                let report = compare(self.context, &self.client, stores, run.number, &options)?;
                if known.is_none_or(|known| says_other(&known, &report)) {
                    keep(self.context, &report);
                }
                report
            }
        };
        self.latest.show(&report, true);
        if !report.may_change() {
            self.met = Some((run.number, since, true));
            say(&report);
        }
        Ok(())
    }
}

/// Whether a report says more than another: how far a partition is behind changes all the time.
fn says_other(known: &Report, report: &Report) -> bool {
    let outcomes = |r: &Report| -> Vec<_> {
        let outcome = |found: &Reconciled| match &found.outcome {
            Comparison::NotComparable { obstacle, .. } => Err(*obstacle),
            compared => Ok(compared.clone()),
        };
        r.stores.iter().map(|s| (s.store.clone(), outcome(s))).collect()
    };
    outcomes(known) != outcomes(report)
}

/// A line of the log a run.
fn say(report: &Report) {
    if let Err(e) = agree(report) {
        tracing::error!(generation = report.manifest, batches = report.batches, "{e}");
        return;
    }
    for found in &report.stores {
        match &found.outcome {
            Comparison::Compared { keys, .. } => tracing::info!(
                store = found.store,
                generation = report.manifest,
                batches = report.batches,
                keys,
                "the layers agree"
            ),
            Comparison::NotComparable { why, .. } => tracing::warn!(
                store = found.store,
                generation = report.manifest,
                "the layers cannot be compared: {why}"
            ),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(n: u64, drifted: Option<u64>) -> Report {
        let outcome = match drifted {
            Some(drifted) => serde_json::json!({"compared": {"keys": 9, "within": 0, "drifted": drifted, "first": []}}),
            None => serde_json::json!({"not-comparable": {"obstacle": "behind", "why": "w"}}),
        };
        let store = serde_json::json!({"store": "s", "manifest": n, "from": {}, "to": {}, "outcome": outcome});
        let found: Reconciled = serde_json::from_value(store).unwrap();
        Report::new(n, format!("batch {n}"), Timestamp(n as i64), vec![found])
    }

    /// What cannot be compared is its own state beside the last comparison, never a drift of zero; it goes when the
    /// run is compared after all.
    #[test]
    fn the_last_comparison_stays_while_a_newer_one_cannot_be_made() {
        let latest = Latest::default();
        latest.show(&report(4, Some(2)), false);
        latest.show(&report(3, Some(0)), false);
        latest.show(&report(5, None), false);
        assert_eq!(latest.get().compared["s"].drifted, 2);
        assert!(latest.get().obstacles.is_empty());
        latest.show(&report(5, None), true);
        let shown = latest.get();
        assert_eq!(shown.obstacles["s"], Obstacle::Behind);
        assert_eq!(
            (shown.compared["s"].drifted, &*shown.compared["s"].batches),
            (2, "batch 4")
        );
        latest.show(&report(5, Some(0)), true);
        let shown = latest.get();
        assert!(shown.obstacles.is_empty());
        assert_eq!(
            (shown.compared["s"].drifted, &*shown.compared["s"].batches),
            (0, "batch 5")
        );
    }
}
