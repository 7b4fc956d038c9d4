//! The same-answer machine on every platform there is: each job of the catalogue gives the answer of plain collections,
//! live, in bulk and as a hybrid at every split. The model platform has its own test in `platforms/memory`.

use std::panic::resume_unwind;

use anyhow::Result;
use rufous_core::testing::{Report, Subject, catalogue, check_cases, domains, many_partitions};
use rufous_integration_tests::kafka;
use rufous_integration_tests::subjects::{Bulk, Feed, GROUPED, Hybrid, IDLE, Live, ORDER, TEXTS, Tables, Topics};

/// Cases that run, that are refused for their sinks, their order, their texts.
type Numbers = [usize; 4];

/// What streams do, and runs over archives, which write sinks with each generation.
const STREAMS: Numbers = [107, 0, 6, 0];
const ARCHIVES: Numbers = [107, 0, 6, 0];
/// What streams above generations do: of jobs with sinks they refuse those that only write, for bulk runs do.
const BOTH: Numbers = [104, 3, 6, 0];

/// Deals the cases to four threads: most of a run's time is waiting.
fn whole(subject: &(dyn Subject + Sync), numbers: Numbers) {
    const THREADS: usize = 4;
    let some = |n: usize| {
        check_cases(subject, catalogue().into_iter().skip(n).step_by(THREADS), &mut |line| {
            println!("{line}")
        })
    };
    let reports: Vec<Report> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|n| scope.spawn(move || some(n))).collect();
        threads
            .into_iter()
            .map(|t| t.join().unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    });
    let refused = |reason| reports.iter().filter_map(|r| r.refused.get(&reason)).sum();
    let ran: usize = reports.iter().map(|r| r.ran).sum();
    let got = [ran, refused(IDLE) + refused(GROUPED), refused(ORDER), refused(TEXTS)];
    println!("{}: {ran} cases ran", subject.name());
    assert_eq!(got, numbers, "{}: {reports:?}", subject.name());
}

const PLAIN: Live = Live {
    feed: Feed::Listed(64),
    small_commits: false,
    goes_back: None,
    disk: false,
};

#[test]
fn live() {
    whole(&PLAIN, STREAMS);
    whole(
        &Live {
            feed: Feed::Listed(64),
            small_commits: true,
            goes_back: Some(0x90e5_bac4),
            ..PLAIN
        },
        STREAMS,
    );
    whole(
        &Live {
            feed: Feed::Files,
            ..PLAIN
        },
        STREAMS,
    );
    whole(
        &Live {
            feed: Feed::Files,
            goes_back: Some(0xf11e),
            disk: true,
            ..PLAIN
        },
        STREAMS,
    );
}

#[test]
fn hybrid() {
    whole(&Hybrid, BOTH);
}

#[test]
fn bulk() {
    for threads in [1, 4] {
        whole(&Bulk { threads }, ARCHIVES);
        whole(&Tables { threads }, [72, 0, 1, 40]);
    }
}

#[test]
fn from_kafka() -> Result<()> {
    whole(&Topics::of(kafka::shared()?, &catalogue())?, STREAMS);
    Ok(())
}

/// O3-O5: several sources in one order, wherever they are read.
#[test]
fn domains_of_several_sources() -> Result<()> {
    let check = |subject: &dyn Subject| {
        let report = check_cases(subject, domains(), &mut |line| println!("{line}"));
        assert_eq!(report.ran, domains().len(), "{report}");
    };
    check(&PLAIN);
    for (chunk, seed) in [(1, 5), (7, 0x90e5_bac4), (500, 77)] {
        check(&Live {
            feed: Feed::Listed(chunk),
            small_commits: true,
            goes_back: Some(seed),
            disk: chunk == 7,
        });
    }
    check(&Hybrid);
    for threads in [1, 4] {
        check(&Bulk { threads });
    }
    check(&Topics::of(kafka::shared()?, &domains())?);
    Ok(())
}

/// O3-O5: 64 partitions in one order.
#[test]
fn one_order_of_many_partitions() -> Result<()> {
    let check = |subject: &dyn Subject| {
        let report = check_cases(subject, [many_partitions()], &mut |line| println!("{line}"));
        assert_eq!(report.ran, 1, "{report}");
    };
    for chunk in [1, 50] {
        check(&Live {
            feed: Feed::Listed(chunk),
            small_commits: chunk > 1,
            goes_back: None,
            disk: chunk > 1,
        });
    }
    check(&Hybrid);
    check(&Bulk { threads: 4 });
    check(&Topics::of(kafka::shared()?, &[many_partitions()])?);
    Ok(())
}
