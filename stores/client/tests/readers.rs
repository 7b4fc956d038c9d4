//! The realtime state is opened once and not once a read; what was deleted and made anew is noticed.

mod support;

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rufous_core::ErrorKind;
use support::*;

fn world() -> World {
    let w = World::default();
    w.publish(manifest(1, Some("n1"), &[(0, cut(5, 10))]), &[("a", 1)]);
    w.put("n1", 0, shard(row(&[(5, 10)], 14), &[("a", 5, 4)]));
    w
}

#[test]
fn a_reader_is_opened_once() {
    let w = world();
    let client = w.client();
    let counts = client.store(COUNTS).unwrap();
    for _ in 0..10 {
        assert_eq!(counts.get("a").unwrap().value, Some(5));
        assert_eq!(
            client
                .snapshot()
                .unwrap()
                .store(COUNTS)
                .unwrap()
                .get("a")
                .unwrap()
                .value,
            Some(5)
        );
    }
    assert_eq!(w.state().opened, 1);
    // One that falls silent stays, and answers again.
    w.state().silent = true;
    assert_eq!(counts.get("a").unwrap_err().kind(), ErrorKind::TryAgain);
    w.state().silent = false;
    assert_eq!((counts.get("a").unwrap().value, w.state().opened), (Some(5), 1));
    // Another namespace is another one.
    w.put("n2", 0, shard(row(&[(5, 10)], 12), &[("a", 5, 2)]));
    w.publish(manifest(2, Some("n2"), &[(0, cut(5, 10))]), &[("a", 1)]);
    let counts = client.refresh_after(Duration::ZERO).store(COUNTS).unwrap();
    assert_eq!((counts.get("a").unwrap().value, w.state().opened), (Some(3), 2));
}

#[test]
fn what_is_not_there_yet_is_looked_for_at_every_read() {
    let w = World::default();
    w.publish(manifest(1, Some("n1"), &[(0, cut(5, 10))]), &[("a", 1)]);
    let counts = w.client().store(COUNTS).unwrap();
    assert_eq!(counts.get("a").unwrap().value, Some(1));
    w.put("n1", 0, shard(row(&[(5, 10)], 14), &[("a", 5, 4)]));
    assert_eq!((counts.get("a").unwrap().value, w.state().opened), (Some(5), 2));
}

#[test]
fn a_namespace_that_was_deleted_is_opened_again() {
    let w = world();
    let counts = w.client().store(COUNTS).unwrap();
    assert_eq!(counts.get("a").unwrap().value, Some(5));
    w.state().deleted = true;
    w.put("n1", 0, shard(row(&[(5, 10)], 12), &[("a", 5, 2)]));
    assert_eq!(
        (counts.get("a").unwrap().value, w.state().opened),
        (Some(3), 2),
        "made anew"
    );
    w.state().deleted = true;
    w.state().shards.clear();
    assert_eq!((counts.get("a").unwrap().value, w.state().opened), (Some(1), 3), "gone");
}

/// One read waits for an owner that hangs; those that come right after it do not, and are told the same.
#[test]
fn who_hangs_is_waited_for_by_one() {
    let w = world();
    let counts = w.client().store(COUNTS).unwrap();
    assert_eq!(counts.get("a").unwrap().value, Some(5));
    let hangs = Duration::from_millis(800);
    let rest = Duration::from_millis(300);
    w.state().hangs = hangs;
    w.state().silent = true;
    let asked = || w.state().sought;
    let before = asked();
    let began = Instant::now();
    assert_eq!(counts.get_partial("a").unwrap().so_far, Some(1));
    assert!(began.elapsed() >= hangs);
    assert_eq!(asked(), before + 1);
    for _ in 0..20 {
        let partial = counts.get_partial("a").unwrap();
        assert_eq!((partial.so_far, partial.missing.len()), (Some(1), 1));
    }
    // On a machine that is busy so long that it may be asked again, it is, in between.
    let periods = began.elapsed().as_millis() / (hangs + Duration::from_millis(250)).as_millis();
    let more = asked() - before;
    assert!(more as u128 <= periods + 1, "{more} in {periods} periods");
    let e = counts.get("a").unwrap_err();
    assert!(e.to_string().contains("asked for 2.0 s"), "{e}");
    // When it is asked again, one asks for all: the others are told at once, while he waits.
    std::thread::sleep(rest);
    w.state().hangs = Duration::from_secs(30);
    let before = asked();
    let (told, start) = (AtomicUsize::new(0), Barrier::new(8));
    let one = || {
        start.wait();
        drop(counts.get_partial("a").unwrap());
        told.fetch_add(1, Relaxed);
    };
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..8).map(|_| scope.spawn(one)).collect();
        let began = Instant::now();
        while told.load(Relaxed) < 7 && began.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let found = (told.load(Relaxed), asked() - before);
        w.state().hangs = Duration::ZERO;
        all.into_iter().for_each(|one| one.join().unwrap());
        assert_eq!(found, (7, 1), "told, asked");
    });
    w.state().silent = false;
    std::thread::sleep(rest);
    assert_eq!(counts.get("a").unwrap().value, Some(5));
    assert_eq!(counts.get("a").unwrap().value, Some(5));
}
