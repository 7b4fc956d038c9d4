//! What can be done from the console: planned first, and done only while what was planned with stands. The work itself is that of the
//! commands.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, RandomState};
#[cfg(feature = "parquet")]
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

#[cfg(feature = "parquet")]
use crate::app::backfill::{Behind, ToSwitch};
use crate::app::gc;
use crate::app::generations::{back_to, go_back};
use crate::app::open::Context;
use crate::app::views;
use crate::core::{Error, Result};
use crate::server::console::{Action, Planned, Undone};
#[cfg(feature = "parquet")]
use crate::store_api::Published;
use crate::store_api::{Manifest, ManifestLog};

/// How long a plan may be confirmed.
const GOOD_FOR: Duration = Duration::from_secs(600);
/// Plans of one who may act that wait for a confirmation.
const MOST: usize = 8;
/// Files that a plan names.
const NAMED: usize = 8;

/// Plans by what confirms them.
#[derive(Default)]
pub(super) struct Plans(Mutex<HashMap<String, Waiting>>);

struct Waiting {
    at: Instant,
    /// The number of his token.
    whose: usize,
    action: Action,
    rests_on: RestsOn,
}

/// The state that a plan was made of.
#[derive(Debug, PartialEq, Eq)]
enum RestsOn {
    #[cfg_attr(
        not(feature = "parquet"),
        expect(dead_code, reason = "without it there are no lines")
    )]
    Switch {
        line: String,
        staged: Option<u64>,
        current: Option<u64>,
    },
    Rollback {
        to: u64,
        current: u64,
    },
    /// Of the files their number and a hash: there may be very many.
    Gc {
        current: Option<u64>,
        files: usize,
        names: u64,
    },
}

/// What an action works with: what the state that it rests on was read from.
enum Work {
    #[cfg(feature = "parquet")]
    Switch {
        staged: Box<ToSwitch>,
        base: Box<Option<Manifest>>,
    },
    Rollback {
        target: Box<Manifest>,
        current: Box<Manifest>,
    },
    Gc {
        files: BTreeSet<String>,
    },
}

impl Plans {
    fn put(&self, action: Action, rests_on: RestsOn, whose: usize) -> String {
        // It is no secret: who confirms shows a token beside it. It is only never the same.
        let random = || RandomState::new().hash_one(Instant::now());
        let confirm = format!("{:016x}{:016x}", random(), random());
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, plan| plan.at.elapsed() < GOOD_FOR);
        let own = || all.iter().filter(|(_, plan)| plan.whose == whose);
        if own().count() >= MOST
            && let Some(oldest) = own()
                .min_by_key(|(_, plan)| plan.at)
                .map(|(confirm, _)| confirm.clone())
        {
            all.remove(&oldest);
        }
        let waiting = Waiting {
            at: Instant::now(),
            whose,
            action,
            rests_on,
        };
        all.insert(confirm.clone(), waiting);
        confirm
    }

    /// A plan is confirmed once.
    fn take(&self, confirm: &str) -> Option<Waiting> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(confirm).filter(|plan| plan.at.elapsed() < GOOD_FOR)
    }
}

pub(super) fn plan(context: &Context<'_>, plans: &Plans, action: &Action, whose: usize) -> Result<Planned> {
    let (says, rests_on, _) = look(context, action)?;
    Ok(Planned::new(says, plans.put(action.clone(), rests_on, whose)))
}

/// Does what was planned.
///
/// # Errors
/// [`Undone::Moved`] when the plan is not known any more, or would be another one now.
pub(super) fn act(context: &Context<'_>, plans: &Plans, confirm: &str) -> Result<String, Undone> {
    let Some(plan) = plans.take(confirm) else {
        return Err(Undone::Moved(format!(
            "there is no such plan: it was confirmed already, or is older than {} minutes, or another server made it",
            GOOD_FOR.as_secs() / 60
        )));
    };
    let (_, now, work) = look(context, &plan.action)?;
    if now != plan.rests_on {
        return Err(Undone::Moved(format!(
            "nothing was done: {}",
            moved(&plan.rests_on, &now)
        )));
    }
    tracing::warn!(action = ?plan.action, "confirmed at the console");
    // What was compared is what is done: nothing is read again that could be another one by now.
    match work {
        #[cfg(feature = "parquet")]
        Work::Switch { staged, base } => switch(context, &staged, *base),
        Work::Rollback { target, current } => rollback(context, &target, &current),
        Work::Gc { files } => {
            let deleted = gc::collect(context, false, false, Some(&files))?;
            Ok(gc::summary(&deleted, false))
        }
    }
}

fn moved(then: &RestsOn, now: &RestsOn) -> String {
    let at = |of: &RestsOn| match of {
        RestsOn::Switch { line, staged, current } => {
            format!(
                "line {line} at part {}, generation {} current",
                number(*staged),
                number(*current)
            )
        }
        RestsOn::Rollback { to, current } => format!("generation {current} current, {to} before it"),
        RestsOn::Gc { current, files, .. } => {
            format!("{files} files to delete, generation {} current", number(*current))
        }
    };
    format!("it was planned with {}, and now there is {}", at(then), at(now))
}

fn number(of: Option<u64>) -> String {
    of.map_or_else(|| "none".into(), |n| n.to_string())
}

fn until(m: &Manifest) -> &str {
    match m.covered_until.as_str() {
        "" => "nothing",
        until => until,
    }
}

/// What would happen, what that rests on, and what does it.
fn look(context: &Context<'_>, action: &Action) -> Result<(Vec<String>, RestsOn, Work)> {
    match action {
        Action::Switch { behind } => look_switch(context, *behind),
        Action::Rollback { to } => {
            let (target, current) = back_to(context, *to)?;
            let says = vec![
                format!(
                    "Generation {} becomes current: it is what generation {} was, covered until {}.",
                    current.number + 1,
                    target.number,
                    until(&target)
                ),
                format!(
                    "Generation {}, covered until {}, stays for as long as `gc` keeps it; a rollback to it is possible.",
                    current.number,
                    until(&current)
                ),
                "Answers change with the next read: the live part adds what this generation does not cover. The live part is not stopped.".into(),
            ];
            let rests_on = RestsOn::Rollback {
                to: target.number,
                current: current.number,
            };
            let (target, current) = (Box::new(target), Box::new(current));
            Ok((says, rests_on, Work::Rollback { target, current }))
        }
        Action::Gc => {
            let found = gc::collect(context, false, true, None)?;
            let bytes: u64 = found.iter().map(|d| d.bytes).sum();
            let mut says = vec![match found.len() {
                0 => "Nothing is deleted: there is nothing that nobody can read any more.".into(),
                n => format!(
                    "{n} files of {bytes} bytes are deleted, which no reader and no rollback can reach any more."
                ),
            }];
            says.extend(
                found
                    .iter()
                    .take(NAMED)
                    .map(|d| format!("Deleted is {} ({} bytes).", d.name, d.bytes)),
            );
            if found.len() > NAMED {
                says.push(format!("And {} more.", found.len() - NAMED));
            }
            says.push("Reports on comparisons of generations that are not there any more go as well.".into());
            let current = context.manifests.newest(0)?.map(|m| m.number);
            let files: BTreeSet<String> = found.into_iter().map(|d| d.name).collect();
            let rests_on = RestsOn::Gc {
                current,
                files: files.len(),
                names: BuildHasherDefault::<DefaultHasher>::new().hash_one(&files),
            };
            Ok((says, rests_on, Work::Gc { files }))
        }
        _ => Err(Error::bug("the console was asked for an action that it does not know")),
    }
}

fn rollback(context: &Context<'_>, target: &Manifest, current: &Manifest) -> Result<String, Undone> {
    let Some(manifest) = go_back(context, target, current)? else {
        return Err(Undone::Moved(format!(
            "nothing was done: a generation was published after {}",
            current.number
        )));
    };
    views::follow(context);
    Ok(format!(
        "generation {} is generation {} again: covered until {}",
        manifest.number,
        target.number,
        until(&manifest)
    ))
}

#[cfg(feature = "parquet")]
fn look_switch(context: &Context<'_>, behind: bool) -> Result<(Vec<String>, RestsOn, Work)> {
    let staged = crate::app::backfill::to_switch(context, behind)?;
    let current = context.manifests.newest(0)?;
    let mut says = vec![format!(
        "Line {} becomes current: covered until {}, made by code {}.",
        staged.line,
        until(&staged.newest),
        staged.newest.fingerprint
    )];
    if let Some(m) = &current {
        says.push(format!(
            "Generation {}, covered until {} and made by code {}, stays for a rollback.",
            m.number,
            until(m),
            m.fingerprint
        ));
    }
    if behind {
        says.push(back_in_time(&crate::app::backfill::behind(context, &staged.manifests)?));
    }
    says.push("Answers change with the next read. The live part is not stopped.".into());
    let rests_on = RestsOn::Switch {
        line: staged.line.clone(),
        staged: Some(staged.newest.number),
        current: current.as_ref().map(|m| m.number),
    };
    let work = Work::Switch {
        staged: Box::new(staged),
        base: Box::new(current),
    };
    Ok((says, rests_on, work))
}

/// How far the new code is behind the one before it.
#[cfg(feature = "parquet")]
fn back_in_time((behind, all): &(Vec<Behind>, usize)) -> String {
    let Some(most) = behind.iter().max_by_key(|b| b.applied.saturating_sub(b.reached)) else {
        return "The new code has read as far as the one before it: no answer goes back in time.".into();
    };
    let sum = behind
        .iter()
        .fold(0, |sum: u64, b| sum.saturating_add(b.applied.saturating_sub(b.reached)));
    format!(
        "The new code has read less than the one before it in {} of {all} partitions, {sum} offsets in all; most in {}, up to offset {} of \
         {}. Answers go back in time by that until it has caught up.",
        behind.len(),
        most.p,
        most.reached,
        most.applied
    )
}

#[cfg(feature = "parquet")]
fn switch(context: &Context<'_>, staged: &ToSwitch, base: Option<Manifest>) -> Result<String, Undone> {
    let passed = AtomicBool::new(false);
    let over = Over {
        log: &*context.manifests,
        base,
        passed: &passed,
    };
    let still = Still {
        log: &staged.manifests,
        planned: staged.newest.number,
        passed: &passed,
    };
    match crate::app::backfill::make_current(context, &over, &still) {
        Ok(m) => {
            views::follow(context);
            Ok(format!(
                "generation {}: line {} is current, covered until {}",
                m.number,
                staged.line,
                until(&m)
            ))
        }
        Err(e) if passed.load(Relaxed) => Err(Undone::Moved(format!("nothing was done: {e}"))),
        Err(e) => Err(e.into()),
    }
}

#[cfg(not(feature = "parquet"))]
fn look_switch(_: &Context<'_>, _: bool) -> Result<(Vec<String>, RestsOn, Work)> {
    Err(Error::invalid(
        "this binary was built without the feature `parquet`: there are no lines to switch to",
    ))
}

/// The job's manifests as they were planned with: whoever publishes over another one is told.
#[cfg(feature = "parquet")]
struct Over<'a> {
    log: &'a dyn ManifestLog,
    base: Option<Manifest>,
    passed: &'a AtomicBool,
}

#[cfg(feature = "parquet")]
impl ManifestLog for Over<'_> {
    fn get(&self, number: u64) -> Result<Option<Manifest>> {
        self.log.get(number)
    }
    fn newest(&self, _: u64) -> Result<Option<Manifest>> {
        Ok(self.base.clone())
    }
    fn publish(&self, manifest: &Manifest) -> Result<Published> {
        match self.log.publish(manifest)? {
            Published::Done => Ok(Published::Done),
            Published::Conflict => {
                self.passed.store(true, Relaxed);
                Err(Error::try_again("another generation was published meanwhile"))
            }
        }
    }
}

/// The manifests of a staged line, while the newest is the one that was planned with: who extended it in between may have let the live
/// part drop what the older one does not cover.
#[cfg(feature = "parquet")]
struct Still<'a> {
    log: &'a dyn ManifestLog,
    planned: u64,
    passed: &'a AtomicBool,
}

#[cfg(feature = "parquet")]
impl ManifestLog for Still<'_> {
    fn get(&self, number: u64) -> Result<Option<Manifest>> {
        self.log.get(number)
    }
    fn newest(&self, at_least: u64) -> Result<Option<Manifest>> {
        let newest = self.log.newest(at_least)?;
        if newest.as_ref().map(|m| m.number) == Some(self.planned) {
            return Ok(newest);
        }
        self.passed.store(true, Relaxed);
        Err(Error::try_again("the staged line was extended meanwhile"))
    }
    fn publish(&self, manifest: &Manifest) -> Result<Published> {
        self.log.publish(manifest)
    }
}

#[cfg(test)]
mod tests;
