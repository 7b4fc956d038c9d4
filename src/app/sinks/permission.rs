//! What sinks hold: the permission to drop cells does not pass what is not written (O25).

use std::collections::BTreeMap;
use std::sync::Arc;

#[cfg(feature = "parquet")]
use rufous_place::Place;
use rufous_store_offline::Manifests;

use crate::app::open::Context;
use crate::app::state::StatePlace;
#[cfg(feature = "parquet")]
use crate::core::ErrorKind;
use crate::core::{Result, SourcePartition, StoreFace};
#[cfg(feature = "parquet")]
use crate::platform_parquet::WrittenTo;
#[cfg(feature = "parquet")]
use crate::store_api::Manifest;
use crate::store_api::{ManifestLog, Until};

type Positions = BTreeMap<SourcePartition, u64>;

/// Whom to ask what sinks have: it outlives the command that asks.
struct Live {
    stores: Vec<StoreFace>,
    state: Arc<dyn StatePlace>,
    #[cfg(feature = "parquet")]
    sinks: Vec<&'static str>,
    manifests: Arc<Manifests>,
    #[cfg(feature = "parquet")]
    offline: Arc<dyn Place>,
}

impl Live {
    fn of(context: &Context<'_>) -> Self {
        Self {
            stores: context.plan.live_stores(),
            state: context.state.clone(),
            #[cfg(feature = "parquet")]
            sinks: context.plan.live_sinks().map(|(_, name)| name).collect(),
            manifests: context.manifests.clone(),
            #[cfg(feature = "parquet")]
            offline: context.offline.clone(),
        }
    }

    fn stands(&self) -> Result<Option<Positions>> {
        let Some(face) = self.stores.first() else {
            return Ok(None);
        };
        let Some(namespace) = self.manifests.newest(0)?.and_then(|m| m.realtime_namespace) else {
            return Ok(None);
        };
        let Some(reader) = self.state.read(&namespace, &Until::default())? else {
            return Ok(None);
        };
        let rows = reader.snapshot()?.partitions(face.name)?;
        Ok(Some(rows.iter().map(|(p, row)| (p.clone(), row.next)).collect()))
    }

    #[cfg(feature = "parquet")]
    fn read(&self) -> Result<Option<Positions>> {
        let Some(mut written) = self.stands()? else {
            return Ok(None);
        };
        let mut is_written = false;
        for name in &self.sinks {
            let turn = super::turns::newest(&self.offline, name)?;
            if turn.as_ref().is_some_and(|turn| turn.released) {
                continue;
            }
            is_written = true;
            let Some(turn) = turn else { continue };
            // Where it was taken up again its mark may be anywhere, until the live part has met it.
            for (p, to) in &mut written {
                if !super::turns::is_met(&self.offline, name, &turn, p)? {
                    *to = 0;
                }
            }
        }
        if !is_written {
            written.values_mut().for_each(|to| *to = u64::MAX);
        }
        Ok(Some(written))
    }

    #[cfg(feature = "parquet")]
    fn written_to(&self) -> Option<Positions> {
        self.read().unwrap_or_else(|e| {
            let again = if e.kind() == ErrorKind::TryAgain {
                ", this time"
            } else {
                ""
            };
            tracing::warn!(error = %e, "what is written to sinks is not known: nothing is let go of{again}");
            None
        })
    }
}

/// Where the live part stands, by partition; `None`: it never ran here.
///
/// # Errors
/// When its state cannot be read.
pub(super) fn stands(context: &Context<'_>) -> Result<Option<Positions>> {
    Live::of(context).stands()
}

/// Up to where every sink that the live part writes, and that is not given up, has what was made of the records, whenever it is asked.
/// `None`: there are no such sinks.
#[cfg(feature = "parquet")]
pub(in crate::app) fn written_to(context: &Context<'_>) -> Option<WrittenTo> {
    context.plan.live_sinks().next()?;
    let live = Live::of(context);
    Some(WrittenTo::asking(move || live.written_to()))
}

/// Whose sinks hold the permission to drop cells, and rebuild from there.
#[cfg(feature = "parquet")]
pub(in crate::app) fn held(context: &Context<'_>, manifest: &Manifest) -> String {
    let Some(written) = Live::of(context).written_to() else {
        return "held: how far sinks are written is not known, for there is no live state that can be read".into();
    };
    let behind = manifest.frontier.0.iter().filter_map(|(p, cut)| {
        let at = written.get(p).copied().unwrap_or(0);
        (at < cut.cut).then(|| {
            format!(
                "{p} is written up to offset {at}, generation {} ends at {}",
                manifest.number, cut.cut
            )
        })
    });
    match behind.collect::<Vec<_>>() {
        none if none.is_empty() => "no sink holds it".into(),
        some => format!(
            "held by the live part that writes the sinks: {}{}",
            some.join(", "),
            resumed(context)
        ),
    }
}

/// Which sinks were taken up again and hold all until the live part has met them.
#[cfg(feature = "parquet")]
fn resumed(context: &Context<'_>) -> String {
    let names = context.plan.live_sinks().filter_map(|(_, name)| {
        let turn = super::turns::newest(&context.offline, name).ok()??;
        (!turn.released).then(|| format!("`{name}` ({turn})"))
    });
    match names.collect::<Vec<_>>() {
        none if none.is_empty() => String::new(),
        some => format!(
            "; a sink that was resumed holds all until the live part has written to it: {}",
            some.join(", ")
        ),
    }
}
