//! Both layers: the log is archived, and at every place where a batch begins the archive is published below it and the
//! stream has the rest (equation 2). At each of them the layers are compared over what both hold (I6).

use std::sync::Arc;
use std::time::Duration;

use rufous_core::testing::{Answers, Case, Reason, Subject};
use rufous_core::{BatchId, Error, Result};

use super::bed::{Archives, Bed, input, listed, splits, waits};
use super::kept::Kept;
use super::listed::Listed;
use crate::run::State;

const POLL: usize = 37;
const COMMIT: Duration = Duration::from_millis(5);

/// Every split of each case.
pub struct Hybrid;

impl Subject for Hybrid {
    fn name(&self) -> String {
        "hybrid at every split".into()
    }
    fn refusals(&self) -> &'static [Reason] {
        super::ABOVE
    }
    fn can(&self, case: &Case) -> Result<(), Reason> {
        super::can_above(case)
    }
    fn run(&self, case: &Case) -> Result<Answers> {
        let live = Bed::new(case.plan()?).writing(case)?;
        // Before anything is read: what one of the layers refuses is no hybrid.
        rufous_platform_parquet::check(&live.plan)?;
        live.live(listed(case, &live.plan, POLL, None)?, COMMIT)?;
        let archives = archived(case, &live)?;
        for split in splits(&archives)? {
            same_at(
                case,
                &format!("published below {}", split.0),
                &over_one_stream(case, &live, &archives, split)?,
            )?;
            same_at(
                case,
                &format!("streamed from {}", split.0),
                &published_first(case, &archives, split)?,
            )?;
        }
        let grown = batch_by_batch(case, &archives)?;
        same_at(case, "published batch by batch", &grown)?;
        // All the same: any of them is the subject's answer.
        live.answers()
    }
}

fn archived(case: &Case, bed: &Bed) -> Result<Archives> {
    let mut archives = Archives::new();
    for face in bed.plan.sources() {
        let log = input(case, face.name)?;
        let kept = Arc::new(Kept::new(face.name));
        let listed = Listed::new(face.name, log, POLL);
        let listed = if waits(&bed.plan) { listed.sealed() } else { listed };
        bed.archive(face.name, Box::new(listed), kept.clone())?;
        archives.insert(face.name.to_string(), (kept, log.format));
    }
    Ok(archives)
}

/// A difference at one split is the failure of the case, and names the split.
fn same_at(case: &Case, at: &str, got: &Answers) -> Result<()> {
    match case.differences(got)?.as_str() {
        "" => Ok(()),
        differences => Err(Error::bug(format!("{at}:\n{differences}"))),
    }
}

/// The stream has all batches already; those below the split are published, and the client leaves its cells of them
/// out.
fn over_one_stream(case: &Case, live: &Bed, archives: &Archives, split: BatchId) -> Result<Answers> {
    let plan = case.plan()?;
    let state = State {
        realtime: live.state.realtime.clone(),
        ..State::memory(&plan)
    };
    let bed = Bed {
        plan,
        state,
        places: live.places.clone(),
    };
    let genesis = live
        .state
        .manifests
        .get(0)?
        .ok_or_else(|| Error::bug("no genesis manifest"))?;
    bed.state.manifests.publish(&genesis)?;
    bed.publish(archives, Some(split), 1)?;
    bed.agree()?;
    bed.answers()
}

/// Published before anything is streamed: the stream begins where the generation ends.
fn published_first(case: &Case, archives: &Archives, split: BatchId) -> Result<Answers> {
    let bed = Bed::new(case.plan()?).writing(case)?;
    bed.genesis(listed(case, &bed.plan, POLL, None)?)?;
    bed.publish(archives, Some(split), 2)?;
    bed.live(listed(case, &bed.plan, POLL, None)?, COMMIT)?;
    bed.agree()?;
    bed.answers()
}

/// One generation after the other, each a batch further; then the stream.
fn batch_by_batch(case: &Case, archives: &Archives) -> Result<Answers> {
    let bed = Bed::new(case.plan()?).writing(case)?;
    bed.genesis(listed(case, &bed.plan, POLL, None)?)?;
    for split in splits(archives)? {
        bed.publish(archives, Some(split), 1)?;
    }
    bed.live(listed(case, &bed.plan, POLL, None)?, COMMIT)?;
    bed.agree()?;
    bed.answers()
}
