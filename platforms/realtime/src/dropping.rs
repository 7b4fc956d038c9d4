//! Cells that no reader needs any more: those below the newest manifest's drop permission (P26).

use rufous_core::rules::{Rule, kept};
use rufous_core::{Cut, ErrorKind, Frontier, Result};

use crate::engine::Engine;
use crate::partition::Partition;

impl Engine<'_> {
    /// Drops what the current manifest allows, of the partitions that are aligned with the permission; the others are looked at
    /// again with the next manifest check, when they have read further or were repaired. Not on the hot path: at the start, and
    /// when manifests are compared.
    pub(crate) fn drop_covered(&mut self) -> Result<()> {
        let nothing = Frontier::default();
        let manifest = self.manifest.as_ref();
        let permitted = if kept(Rule::DropPermission) {
            manifest.and_then(|m| m.drop_before.get(self.plan.fingerprint()))
        } else {
            manifest.map(|m| &m.frontier)
        };
        let permitted = permitted.unwrap_or(&nothing);
        let mut due = Vec::new();
        for (i, b) in self.bound.iter().enumerate() {
            for (number, partition) in &b.partitions {
                let cut = permitted.of(&partition.id);
                if droppable(partition, cut) {
                    due.push((i, *number, cut));
                }
            }
        }
        self.level(&mut due, permitted);
        if due.is_empty() {
            return Ok(());
        }
        // The maps may hold values of batches that are dropped now: they are committed before, or they would be written below
        // `retained_from`.
        self.settle()?;
        for (i, number, cut) in due {
            let partition = self.bound[i].partitions.get_mut(&number);
            let Some(partition) = partition.filter(|p| droppable(p, cut) && p.next == p.row.next) else {
                continue;
            };
            match self.store.drop_below(&partition.id, cut.batch) {
                Ok(()) => {
                    // As the store does it.
                    partition.row.retained_from = cut.batch;
                    partition.row.cuts.retain(|(b, _)| *b >= cut.batch);
                    tracing::debug!(partition = %partition.id, below = cut.batch.0, "cells were dropped: published generations hold them");
                }
                Err(e) if e.kind() == ErrorKind::TryAgain => {
                    tracing::warn!(partition = %partition.id, error = %e, "cells could not be dropped: tried again later");
                }
                Err(e) => return Err(e.at(format_args!("dropping cells of {}", partition.id))),
            }
        }
        Ok(())
    }
}

impl Engine<'_> {
    /// O5: of a domain all are dropped, or none: what is passed over in one is in the state of the others.
    fn level(&self, due: &mut Vec<(usize, u32, Cut)>, permitted: &Frontier) {
        due.retain(|&(i, number, _)| {
            self.members_with(i, number).into_iter().all(|(j, n)| {
                let partition = self.bound[j].partitions.get(&n);
                partition.is_some_and(|p| {
                    let cut = permitted.of(&p.id);
                    droppable(p, cut) || p.row.retained_from >= cut.batch
                })
            })
        });
    }
}

fn droppable(partition: &Partition, cut: Cut) -> bool {
    cut.batch > partition.row.retained_from && partition.row.aligned(cut).is_ok()
}
