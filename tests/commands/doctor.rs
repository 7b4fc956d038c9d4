//! `doctor`: each line says what to do, and the exit code is that of the worst.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rufous::Timestamp;
use rufous::store_api::ManifestLog;

use crate::bed::{Bed, Said};

/// Where all is well every line is `ok`.
#[test]
fn all_is_well() {
    let bed = Bed::published();
    let said = bed.says(&["doctor"]);
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    for line in [
        "ok    source lines: ",
        "ok    sink long-words: files:long, exactly once; not begun",
        "ok    manifests: generation 1",
        "ok    realtime state: not begun",
        "ok    job: fingerprint ",
        "ok    store counts: 1 runs, 4 keys",
        "ok    permissions of data: ",
        "ok    permissions of sink: ",
        "ok    disk of data: ",
        "ok    clock: ",
        "ok    answers of counts: ",
    ] {
        assert!(
            said.out.lines().any(|l| l.starts_with(line)),
            "`{line}` in\n{}",
            said.out
        );
    }
    assert!(!said.out.contains("FAIL") && !said.out.contains("warn"), "{}", said.out);
    assert!(
        !bed.path("data/main")
            .read_dir()
            .unwrap()
            .any(|e| { e.unwrap().file_name().to_string_lossy().contains("doctor") })
    );
    let verbose = bed.says(&["doctor", "-v"]);
    assert!(
        verbose
            .out
            .starts_with("sources.lines.location = file:lines.txt  (main)\n"),
        "{}",
        verbose.out
    );
}

/// All files and directories below one, sorted.
fn tree(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(tree(&path));
        }
        found.push(path);
    }
    found.sort();
    found
}

/// Who looks changes nothing: no file gets a number that only those who read may give, and no directory is made.
#[test]
fn doctor_changes_nothing() {
    for bed in [Bed::new(), Bed::published()] {
        let before = tree(bed.dir());
        let said = bed.says(&["doctor"]);
        assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
        assert!(said.out.contains("1 partitions, 19 offsets"), "{}", said.out);
        assert_eq!(tree(bed.dir()), before);
    }
}

/// A sink that is at its place, and cannot be asked, is not well.
#[test]
fn a_sink_is_asked_how_far_it_is() {
    let bed = Bed::published();
    fs::write(bed.path("long"), "").unwrap();
    let listed = bed.says(&["sink", "list"]);
    assert_ne!(listed.code, Some(0), "{}", listed.out);
    let said = bed.says(&["doctor"]);
    assert_eq!(said.code, listed.code, "{}", said.out);
    assert!(said.out.contains("FAIL  sink long-words: "), "{}", said.out);
}

/// Whether files are there and as long as they were is asked of each; their bytes are read where that is wanted.
#[test]
fn every_byte_is_read_where_it_is_asked_for() {
    let bed = Bed::published();
    let runs = bed.path("data/main/jobs/words/offline/counts");
    let run = fs::read_dir(&runs).unwrap().next().unwrap().unwrap().path();
    let whole = fs::read(&run).unwrap();
    let fits = |args: &[&str]| -> String {
        let said = bed.says(args);
        let line = said.out.lines().find(|l| l.contains("store counts: "));
        line.unwrap().to_string()
    };
    assert!(fits(&["doctor"]).ends_with("every length fits (--checksums reads every byte)"));
    assert!(fits(&["doctor", "--checksums"]).ends_with("every checksum fits"));
    fs::write(&run, &whole[..whole.len() - 1]).unwrap();
    assert!(fits(&["doctor"]).starts_with("FAIL"), "{}", fits(&["doctor"]));
}

/// The status of each check, by what was looked at.
fn checks(said: &Said) -> BTreeMap<String, Vec<(String, String)>> {
    let mut all: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for line in said.objects() {
        let text = |member: &str| line[member].as_str().unwrap().to_string();
        all.entry(text("check"))
            .or_default()
            .push((text("status"), text("says")));
    }
    all
}

/// A fault of the settings, or of one place, hides none of the others: each is a line, all else is looked at, and what cannot be looked
/// at for want of it is named.
#[test]
fn no_fault_hides_another() {
    let bed = Bed::published();
    bed.settings(
        "memry = '1GiB'\nmemory = 'much'\n[sources.lines]\nlocatoin = 'file:x'\n[realtime]\nlocation = { env = 'NOT_SET' }\n\
         [log]\nlevel = 'rufous=nonsense'\n",
    );
    let said = bed.says(&["doctor", "--json"]);
    assert_eq!(said.code, Some(1), "{}{}", said.out, said.err);
    let found = checks(&said);
    let settings: Vec<&str> = found["settings"].iter().map(|(status, _)| status.as_str()).collect();
    assert_eq!(settings, ["fail", "fail", "fail", "warn"], "{found:?}");
    for (n, part) in ["locatoin`", "`memry`", "`log.level`"].iter().enumerate() {
        assert!(
            found["settings"].iter().any(|(_, says)| says.contains(part)),
            "{n}: {part} in {found:?}"
        );
    }
    for (check, status, part) in [
        ("memory", "fail", "much"),
        ("source lines", "ok", "file:lines.txt"),
        ("retention of lines", "skip", "not looked at: the realtime state"),
        ("manifests", "ok", "generation 1"),
        (
            "realtime state",
            "fail",
            "the variable NOT_SET, which is to hold it, is not set",
        ),
        ("job", "ok", "fingerprint"),
        ("store counts", "ok", "1 runs, 4 keys"),
        ("permissions of data", "ok", ""),
        ("clock", "ok", "and nothing is more than 2 s ahead of it"),
        ("answers of counts", "fail", "NOT_SET"),
    ] {
        let (is, says) = &found[check][0];
        assert!(is == status && says.contains(part), "{check}: {is} {says}");
    }

    // Manifests that cannot be read.
    let bed = Bed::published();
    let newest = bed.path("data/main/jobs/words/manifests/1.json");
    fs::write(&newest, "{").unwrap();
    let said = bed.says(&["doctor", "--json"]);
    assert_eq!(said.code, Some(4), "{}{}", said.out, said.err);
    let found = checks(&said);
    for (check, status) in [
        ("manifests", "fail"),
        ("source lines", "ok"),
        ("retention of lines", "skip"),
        ("realtime state", "skip"),
        ("store counts", "skip"),
        ("answers of counts", "skip"),
        ("disk of data", "ok"),
        ("clock", "ok"),
    ] {
        assert_eq!(found[check][0].0, status, "{check}: {found:?}");
    }

    // A log that is not there, and a location that is none.
    let bed = Bed::published();
    fs::remove_file(bed.path("lines.txt")).unwrap();
    let found = checks(&bed.says(&["doctor", "--json"]));
    assert_eq!(found["source lines"][0].0, "fail", "{found:?}");
    assert_eq!(found["retention of lines"][0].0, "skip", "{found:?}");
    assert_eq!(found["answers of counts"][0].0, "ok", "{found:?}");
    bed.settings("[sources.lines]\nlocation = 'nowhere'\n");
    let found = checks(&bed.says(&["doctor", "--json"]));
    assert_eq!(found["source lines"].len(), 1, "{found:?}");
    assert!(found["source lines"][0].1.contains("location `nowhere`"), "{found:?}");
    assert_eq!(found["answers of counts"][0].0, "ok", "{found:?}");

    // An instance that cannot be one: nothing has its name.
    let said = Bed::published().says(&["doctor", "--json", "--instance", "Main_1"]);
    let found = checks(&said);
    assert_eq!(found["instance"][0].0, "fail", "{found:?}");
    assert_eq!(found["everything else"][0].0, "skip", "{found:?}");
}

/// A server that takes connections and says nothing is waited for as long as it is told, and named; all else is looked at.
#[cfg(feature = "redis")]
#[test]
fn a_silent_server_is_waited_for_as_long_as_it_is_told() {
    let bed = Bed::published();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = format!("redis://{}/0", silent.local_addr().unwrap());
    let began = std::time::Instant::now();
    let said = bed.says(&["doctor", "--json", "--realtime", &at, "--timeout-ms", "200"]);
    let took = began.elapsed();
    let found = checks(&said);
    assert_eq!(found["realtime state"][0].0, "fail", "{found:?}");
    assert_eq!(found["retention of lines"][0].0, "skip", "{found:?}");
    assert_eq!(found["source lines"][0].0, "ok", "{found:?}");
    // Each question is asked anew; unless it is told it waits for each ten seconds and more.
    assert!(took < std::time::Duration::from_secs(8), "{took:?}: {found:?}");
}

/// A broker that takes connections and says nothing, the same way.
#[cfg(feature = "kafka")]
#[test]
fn a_silent_broker_is_waited_for_as_long_as_it_is_told() {
    let bed = Bed::published();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let source = format!("lines=kafka://{}/lines", silent.local_addr().unwrap());
    let began = std::time::Instant::now();
    let said = bed.says(&["doctor", "--json", "--source", &source, "--timeout-ms", "300"]);
    let took = began.elapsed();
    let found = checks(&said);
    assert_eq!(found["source lines"][0].0, "fail", "{found:?}");
    assert_eq!(found["answers of counts"][0].0, "ok", "{found:?}");
    assert!(took < std::time::Duration::from_secs(8), "{took:?}: {found:?}");
}

/// Every fault is found, said with the repair, and the worst of them is the exit code.
#[test]
fn each_fault_is_found() {
    // A file that was damaged.
    let bed = Bed::published();
    let runs = bed.path("data/main/jobs/words/offline/counts");
    let run = fs::read_dir(&runs).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&run).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&run, bytes).unwrap();
    fs::remove_file(bed.path("lines.txt")).unwrap();
    let said = bed.says(&["doctor", "--json", "--checksums"]);
    assert_eq!(
        said.code,
        Some(4),
        "damage is worse than a file that is missing: {}{}",
        said.out,
        said.err
    );
    let objects = said.objects();
    let failed = |check: &str| objects.iter().find(|o| o["status"] == "fail" && o["check"] == check);
    assert_eq!(failed("store counts").unwrap()["kind"], "corrupt_data");
    assert_eq!(said.error()["kind"], "corrupt_data");

    // Room that is asked for.
    let bed = Bed::published();
    let said = bed.says(&["doctor", "--min-free", "900000TiB"]);
    assert_eq!(said.code, Some(3), "{}", said.err);
    assert!(
        said.out.contains("FAIL  disk of data: ") && said.out.contains("`gc`, `sweep`"),
        "{}",
        said.out
    );
    let wrong = bed.says(&["doctor", "--min-free", "much"]);
    assert!(wrong.code == Some(2) && wrong.err.contains("10GiB"), "{}", wrong.err);

    // A directory that is none, and one that nobody can write.
    let bed = Bed::new();
    fs::write(bed.path("data"), "").unwrap();
    let said = bed.says(&["doctor"]);
    assert_eq!(said.code, Some(1), "{}", said.out);
    assert!(
        said.err
            .contains("data is no directory: name another one (--data), or move that away"),
        "{}",
        said.err
    );
    assert!(said.out.contains("ok    permissions of sink: "), "{}", said.out);
    let bed = Bed::new();
    let said = bed.says(&["doctor", "--data", "/proc/no-such"]);
    assert!(
        said.out.contains("warn  permissions of data: cannot write /proc"),
        "{}",
        said.out
    );

    // Other code than the data's.
    let bed = Bed::published();
    let said = bed.says(&["doctor", "--min-len", "3"]);
    assert!(
        said.out.contains("FAIL  job: ") && said.out.contains("`backfill` and `switch`"),
        "{}",
        said.out
    );

    // Published by a clock that is ahead.
    let bed = Bed::published();
    let manifests = bed.manifests();
    let mut ahead = manifests.newest(0).unwrap().unwrap();
    ahead.number += 1;
    ahead.created_at = Timestamp(32_503_680_000_000);
    manifests.publish(&ahead).unwrap();
    let said = bed.says(&["doctor"]);
    assert!(
        said.out
            .contains("warn  clock: generation 2 was published at 3000-01-01")
            && said.code == Some(0),
        "{}{}",
        said.out,
        said.err
    );
}
