//! Joins the routes of two data directories by key: by a map of the smaller side, or by merging both sides bucket by bucket.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::iter::Peekable;

use clap::ValueEnum;
use rufous::client::Client;
use rufous::core::key::decode_all;
use rufous::prelude::*;
use rufous::{Error, Result};

use super::{ORIGINS, ROUTES, Route};

/// How the two sides are brought together. Both ways find the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Way {
    /// A map of the side with fewer routes, through which the other is read
    Hash,
    /// Both sides sorted, one origin after the other: memory of the largest origin
    Merge,
}

/// A route that was flown in both months.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Where from and where to.
    pub route: (String, String),
    /// The first month.
    pub before: Route,
    /// The second.
    pub after: Route,
}

impl Change {
    /// How many minutes the mean delay grew; zero where nobody flew.
    pub fn minutes(&self) -> f64 {
        self.after.mean().unwrap_or(0.0) - self.before.mean().unwrap_or(0.0)
    }
    /// The largest change comes first, and equal ones by route.
    fn order(&self, other: &Self) -> Ordering {
        let size = |change: &Self| change.minutes().abs();
        let by_size = size(other).total_cmp(&size(self));
        by_size.then_with(|| self.route.cmp(&other.route))
    }
}

/// What a join finds: the largest changes, and how many routes there were.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The largest first.
    pub changes: Vec<Change>,
    /// Routes of both months.
    pub both: u64,
    /// Routes of the first month alone.
    pub only_before: u64,
    /// Routes of the second month alone.
    pub only_after: u64,
    n: usize,
    flights: u64,
}

impl Found {
    fn of(n: usize, flights: u64) -> Self {
        Self {
            changes: Vec::new(),
            both: 0,
            only_before: 0,
            only_after: 0,
            n,
            flights,
        }
    }
    fn pair(&mut self, route: (String, String), before: Option<Route>, after: Option<Route>) {
        match (before, after) {
            (Some(before), Some(after)) => {
                self.both += 1;
                if before.flights.min(after.flights) < self.flights {
                    return;
                }
                self.changes.push(Change { route, before, after });
                // Never more than about twice of what is asked for.
                if self.changes.len() > self.n.saturating_mul(2).saturating_add(1_000) {
                    self.cut();
                }
            }
            (Some(_), None) => self.only_before += 1,
            (None, Some(_)) => self.only_after += 1,
            (None, None) => {}
        }
    }
    fn cut(&mut self) {
        self.changes.sort_unstable_by(Change::order);
        self.changes.truncate(self.n);
    }
    /// A table.
    pub fn table(&self) -> String {
        let head = ["route", "flights", "then", "mean delay", "then", "change"];
        let mut out = format!(
            "{:<10}{:>8}{:>8}{:>12}{:>8}{:>9}\n",
            head[0], head[1], head[2], head[3], head[4], head[5]
        );
        for change in &self.changes {
            let (before, after) = (&change.before, &change.after);
            // Writing to a string does not fail.
            let _ = writeln!(
                out,
                "{:<10}{:>8}{:>8}{:>12.1}{:>8.1}{:>+9.1}",
                format!("{}-{}", change.route.0, change.route.1),
                before.flights,
                after.flights,
                before.mean().unwrap_or(0.0),
                after.mean().unwrap_or(0.0),
                change.minutes(),
            );
        }
        let _ = writeln!(
            out,
            "{} routes in both, {} only before, {} only after",
            self.both, self.only_before, self.only_after
        );
        out
    }
}

/// The `n` largest changes among routes with at least so many flights in each month.
///
/// # Errors
/// When the answers of one side cannot be had whole.
pub fn join(before: &Client, after: &Client, way: Way, n: usize, flights: u64) -> Result<Found> {
    let mut found = Found::of(n, flights);
    match way {
        Way::Hash if count(before)? <= count(after)? => {
            hash(before, after, &mut |route, one, other| found.pair(route, one, other))?;
        }
        Way::Hash => hash(after, before, &mut |route, one, other| found.pair(route, other, one))?,
        Way::Merge => merge(before, after, &mut found)?,
    }
    found.cut();
    Ok(found)
}

/// How many routes there are; the keys are read through, and nothing is kept.
fn count(side: &Client) -> Result<u64> {
    let mut n = 0;
    side.store(ROUTES)?.raw().scan(&[], &mut |_, _| {
        n += 1;
        Ok(())
    })?;
    Ok(n)
}

/// Shows every route, ascending, without holding them: a typed read gives a list, so this one decodes what the raw one shows.
fn each(side: &Client, f: &mut dyn FnMut((String, String), Route)) -> Result<()> {
    let bad = |e: &dyn std::fmt::Display| Error::corrupt(format!("a row of store `routes` cannot be read: {e}"));
    side.store(ROUTES)?.raw().scan(&[], &mut |key, value| {
        let key = decode_all::<(String, String)>(key).map_err(|e| bad(&e))?;
        let route = Route::decode(value).map_err(|e| bad(&e))?;
        f(key, route);
        Ok(())
    })?;
    Ok(())
}

type Pair<'a> = dyn FnMut((String, String), Option<Route>, Option<Route>) + 'a;

/// The small side is held, the large one is read through once.
fn hash(small: &Client, large: &Client, pair: &mut Pair<'_>) -> Result<()> {
    let mut held = HashMap::new();
    each(small, &mut |key, route| {
        held.insert(key, route);
    })?;
    each(large, &mut |key, route| {
        let other = held.remove(&key);
        pair(key, other, Some(route));
    })?;
    held.into_iter().for_each(|(key, route)| pair(key, Some(route), None));
    Ok(())
}

/// One origin after the other: keys that begin with it lie together, sorted, in both.
fn merge(before: &Client, after: &Client, found: &mut Found) -> Result<()> {
    let origins = |side: &Client| -> Result<Vec<String>> {
        let rows = side.store(ORIGINS)?.under(())?;
        Ok(rows.into_iter().map(|(origin, _)| origin).collect())
    };
    let buckets: BTreeSet<String> = origins(before)?.into_iter().chain(origins(after)?).collect();
    let (before, after) = (before.store(ROUTES)?, after.store(ROUTES)?);
    for origin in &buckets {
        let mut left = before.under((origin.as_str(),))?.into_iter().peekable();
        let mut right = after.under((origin.as_str(),))?.into_iter().peekable();
        while let Some(side) = smaller(&mut left, &mut right) {
            let one = if side.is_le() { left.next() } else { None };
            let other = if side.is_ge() { right.next() } else { None };
            let key = one.as_ref().or(other.as_ref()).map(|(key, _)| key.clone());
            if let Some(key) = key {
                let value = |row: Option<(_, rufous::client::Answer<Route>)>| row.and_then(|(_, answer)| answer.value);
                found.pair(key, value(one), value(other));
            }
        }
    }
    Ok(())
}

/// On which side the smaller key is next; `None` at the end of both.
fn smaller<K: Ord, V>(
    left: &mut Peekable<impl Iterator<Item = (K, V)>>,
    right: &mut Peekable<impl Iterator<Item = (K, V)>>,
) -> Option<Ordering> {
    match (left.peek(), right.peek()) {
        (Some((one, _)), Some((other, _))) => Some(one.cmp(other)),
        (Some(_), None) => Some(Ordering::Less),
        (None, Some(_)) => Some(Ordering::Greater),
        (None, None) => None,
    }
}
