//! Covers against plain search: what is covered, that it is covered once, and that no fewer hops do it.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;

use super::*;
use crate::time::{DAY_MS, HOUR_MS, Timestamp};

const HOUR: i64 = HOUR_MS as i64;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

const PLAIN: Windows = Windows::new(&[HopSize::minutes(5), HopSize::hours(1), HopSize::days(1)]);
const UNEVEN: Windows = Windows::new(&[HopSize::minutes(6), HopSize::minutes(15), HopSize::minutes(90)]);
const PARIS: Windows =
    Windows::new(&[HopSize::hours(1), HopSize::calendar_day(), HopSize::month()]).zone("Europe/Paris");
const KATHMANDU: Windows = Windows::new(&[
    HopSize::hours(1),
    HopSize::calendar_day(),
    HopSize::week(),
    HopSize::month(),
])
.zone("Asia/Kathmandu");
const KEPT: Windows = Windows::new(&[
    HopSize::minutes(5).keep_hours(2),
    HopSize::hours(1).keep_days(3),
    HopSize::days(1).keep_days(30),
]);

/// The fewest hops from start to end by breadth-first search over every hop of the span, knowing nothing of how covers are
/// made.
fn fewest(grid: &Grid, covered: &std::ops::Range<Timestamp>) -> usize {
    let mut from: BTreeMap<Timestamp, Vec<Timestamp>> = BTreeMap::new();
    for size in grid.sizes() {
        let mut hop = grid.hop(size, covered.start);
        while grid.span_of(hop).start < covered.end {
            let span = grid.span_of(hop);
            if span.start >= covered.start && span.end <= covered.end {
                from.entry(span.start).or_default().push(span.end);
            }
            hop = grid.hop(size, span.end);
        }
    }
    let mut queue = VecDeque::from([(covered.start, 0)]);
    let mut seen = std::collections::BTreeSet::new();
    while let Some((at, n)) = queue.pop_front() {
        if at == covered.end {
            return n;
        }
        if seen.insert(at) {
            queue.extend(from.get(&at).into_iter().flatten().map(|end| (*end, n + 1)));
        }
    }
    panic!("no way from {} to {}", covered.start, covered.end)
}

fn follows(grid: &Grid, cover: &Cover) {
    let mut at = cover.covered.start;
    for hop in cover.hops() {
        let span = grid.span_of(hop);
        assert_eq!(span.start, at, "{hop} of {cover:?}");
        at = span.end;
    }
    assert_eq!(at, cover.covered.end);
    assert_eq!(cover.hops().count(), cover.len());
}

#[test]
fn days_and_hours() {
    let grid = PLAIN.grid().unwrap();
    let want = at("2001-01-01T22:00:00")..at("2001-01-04T01:05:00");
    let cover = grid.cover(want.clone(), &[]).unwrap();
    assert_eq!(cover.covered, want);
    let hops: Vec<String> = cover.hops().map(|h| h.to_string()).collect();
    assert_eq!(
        hops,
        [
            "2001-01-01T22",
            "2001-01-01T23",
            "2001-01-02",
            "2001-01-03",
            "2001-01-04T00",
            "2001-01-04T01:00:00Z/300000"
        ]
    );
}

/// Rounded outwards, by less than a hop of the size it says.
#[test]
fn what_is_truly_covered() {
    let grid = KEPT.grid().unwrap();
    let end = at("2001-01-31T12:02:30");
    let last = |hours: i64| grid.cover(Timestamp(end.0 - hours * HOUR)..end, &[]);
    let hour = last(1).unwrap();
    assert_eq!(hour.covered, at("2001-01-31T11:00:00")..at("2001-01-31T12:05:00"));
    assert_eq!(hour.resolution.0.to_string(), "5m");
    let day = last(24).unwrap();
    assert_eq!(day.covered, at("2001-01-30T12:00:00")..at("2001-01-31T12:05:00"));
    assert_eq!(
        (day.resolution.0.to_string(), day.resolution.1.to_string()),
        ("1h".into(), "5m".into())
    );
    let month = last(30 * 24).unwrap();
    assert_eq!(month.covered.start, at("2001-01-01"));
    assert_eq!(month.resolution.0.to_string(), "1d");
    let e = last(31 * 24).unwrap_err().to_string();
    assert!(
        e.contains("2000-12-31T12:02:30Z") && e.contains("2001-01-01T12:02:30Z"),
        "{e}"
    );
    let e = grid.cover(end..end, &[]).unwrap_err().to_string();
    assert!(e.contains("not after its start"), "{e}");
    // The edge is exclusive: at midnight the next day has no part in it.
    let cover = grid.cover(at("2001-01-30")..at("2001-01-31"), &[]).unwrap();
    assert_eq!((cover.len(), cover.covered), (1, at("2001-01-30")..at("2001-01-31")));
}

/// What was dropped is not read, whatever the declaration keeps.
#[test]
fn dropped_hops_are_not_used() {
    let grid = PLAIN.grid().unwrap();
    let gone = [(HopSize::minutes(5), at("2001-01-02T07:30:00"))];
    let cover = grid
        .cover(at("2001-01-02T05:20:00")..at("2001-01-02T08:10:00"), &gone)
        .unwrap();
    assert_eq!(cover.covered, at("2001-01-02T05:00:00")..at("2001-01-02T08:10:00"));
    assert_eq!(cover.len(), 5);
    let gone = PLAIN.sizes().iter().map(|s| (*s, at("2001-01-02"))).collect::<Vec<_>>();
    assert!(grid.cover(at("2001-01-01T05:00:00")..at("2001-01-03"), &gone).is_err());
}

/// Weeks and months do not nest, nor do 6 and 15 minutes: the fewest are found all the same.
#[test]
fn sizes_that_do_not_divide_each_other() {
    let grid = KATHMANDU.grid().unwrap();
    let want = at("2001-01-01T00:00:00+05:45")..at("2001-03-05T00:00:00+05:45");
    let cover = grid.cover(want.clone(), &[]).unwrap();
    follows(&grid, &cover);
    assert_eq!(
        (cover.covered.clone(), cover.len()),
        (want, fewest(&grid, &cover.covered))
    );
    let grid = UNEVEN.grid().unwrap();
    let cover = grid.cover(Timestamp(0)..Timestamp(3 * HOUR), &[]).unwrap();
    assert_eq!(cover.len(), 2);
    // From 0:06 to 0:15 there is no way; to 0:18 there is.
    let cover = grid.cover(Timestamp(6 * 60_000)..Timestamp(15 * 60_000), &[]).unwrap();
    assert_eq!(
        (cover.covered, cover.runs.len()),
        (Timestamp(6 * 60_000)..Timestamp(18 * 60_000), 1)
    );
}

#[test]
fn a_month_of_a_zone() {
    let grid = PARIS.grid().unwrap();
    let march = at("2001-03-01T00:00:00+01:00")..at("2001-04-01T00:00:00+02:00");
    let cover = grid.cover(march.clone(), &[]).unwrap();
    assert_eq!(cover.hops().map(|h| h.to_string()).collect::<Vec<_>>(), ["2001-03"]);
    let hours = grid.cover(march.start..Timestamp(march.end.0 - HOUR), &[]).unwrap();
    // Thirty days, and the last one but for an hour.
    assert_eq!(hours.len(), 30 + 23);
    follows(&grid, &hours);
}

#[test]
fn too_much_is_refused() {
    const SECONDS: Windows = Windows::new(&[HopSize::seconds(1)]);
    let e = SECONDS
        .grid()
        .unwrap()
        .cover(at("2001-01-01")..at("2002-01-01"), &[])
        .unwrap_err();
    assert!(e.to_string().contains("a million hops"), "{e}");
    for windows in [PLAIN, PARIS] {
        let grid = windows.grid().unwrap();
        let all = grid.cover(Timestamp(i64::MIN)..Timestamp(i64::MAX), &[]);
        assert!(all.is_err());
        let _ = grid.cover(Timestamp(i64::MAX - 1)..Timestamp(i64::MAX), &[]);
        let _ = grid.cover(Timestamp(i64::MIN)..Timestamp(i64::MIN + 1), &[]);
    }
}

#[test]
fn no_such_zone() {
    let e = PLAIN.zone("Mars/Olympus").grid().unwrap_err();
    assert!(e.to_string().contains("Mars/Olympus"), "{e}");
}

proptest! {
    /// Covered once, outwards by less than a hop, and by no more hops than a plain search needs.
    #[test]
    fn covers(start in 0i64..90 * 24 * 60, minutes in 1i64..40 * 24 * 60, which in 0usize..4) {
        let grid = [PLAIN, UNEVEN, PARIS, KATHMANDU][which].grid().unwrap();
        let zero = at("2001-01-30").0;
        let (from, to) = (Timestamp(zero + start * 60_000), Timestamp(zero + (start + minutes) * 60_000));
        // The finest positions of three months are many for the plain search.
        prop_assume!(which != 1 || minutes < 4 * 24 * 60);
        let cover = grid.cover(from..to, &[]).unwrap();
        {
            follows(&grid, &cover);
            prop_assert!(cover.covered.start <= from && to <= cover.covered.end);
            for (t, size) in [(from, cover.resolution.0), (Timestamp(to.0 - 1), cover.resolution.1)] {
                let span = grid.span_of(grid.hop(size, t));
                prop_assert!(span.start >= cover.covered.start || span.end <= cover.covered.end);
            }
            prop_assert_eq!(cover.len(), fewest(&grid, &cover.covered));
        }
    }

    /// All instants of an atom are in the same hops, and the one before it and behind it are not.
    #[test]
    fn atoms(t in -40i64 * 365 * DAY_MS as i64..40 * 365 * DAY_MS as i64, which in 0usize..4) {
        let grid = [PLAIN, UNEVEN, PARIS, KATHMANDU][which].grid().unwrap();
        let hops = |t: i64| grid.hops(Timestamp(t)).collect::<Vec<_>>();
        let atom = grid.atom(Timestamp(t));
        prop_assert!(atom.start.0 <= t && t < atom.end.0);
        prop_assert_eq!(hops(atom.start.0), hops(t));
        prop_assert_eq!(hops(atom.end.0 - 1), hops(t));
        prop_assert_ne!(hops(atom.start.0 - 1), hops(t));
        prop_assert_ne!(hops(atom.end.0), hops(t));
    }
}
