//! What the driver saw, beside what is so.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::world::{Counted, HOSTILE, World, key};

type Counts = BTreeMap<(&'static str, u32), Counted>;

/// A number as the page writes it.
fn grouped(n: impl Into<i128>) -> String {
    let n: i128 = n.into();
    let digits = n.unsigned_abs().to_string();
    let mut out = String::from(if n < 0 { "-" } else { "" });
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
/// A number in a text that ends or begins with it.
fn number(value: &Value) -> u64 {
    let digits: String = text(value).chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("no number in {value}"))
}

/// Of the page as a whole.
pub(crate) fn page(seen: &Value) {
    assert_eq!(seen["errors"], json!([]), "mistakes of the page");
    assert_eq!(seen["hosts"], json!([]), "it asks other hosts");
    let weight = &seen["job"]["weigh"];
    assert!(
        weight["bytes"].as_u64().unwrap() < 300_000 && weight["files"].as_u64().unwrap() > 5,
        "{weight}"
    );
    println!("the first view was there after {} ms; {weight}", seen["first"]);
    let looked = list(&seen["axe"]);
    // Four views in two schemes, two dialogs, and a hand-over whose archive is silent in two schemes.
    assert_eq!(looked.len(), 12, "{looked:?}");
    for one in looked {
        assert_eq!(one["grave"], json!([]), "{}", one["name"]);
        assert!(one["rules"].as_u64().unwrap() > 10, "{one}");
    }
}

/// The graph, and what flows.
pub(crate) fn job(seen: &Value, world: &World, late: &str) {
    let kinds: Vec<&str> = list(&seen["steps"]).iter().map(|s| text(&s["kind"])).collect();
    assert!(
        kinds.contains(&"source") && kinds.iter().any(|k| k.starts_with("sum")),
        "{kinds:?}"
    );
    assert_eq!(seen["wires"].as_u64().unwrap() as usize, kinds.len() - 1, "a chain");
    assert_eq!(seen["flowed"], true);
    // Numbers have room for what they become.
    let moved: f64 = list(&seen["shifts"]).iter().filter_map(|s| s["value"].as_f64()).sum();
    assert!(moved < 0.001, "{}", seen["shifts"]);
    assert_eq!(number(&seen["before"]["Bad"][0]), 1);
    assert_eq!(number(&seen["before"]["Late"][0]), 1);
    assert_eq!(
        number(&seen["after"]["Records"][1]),
        502,
        "300 flights, a late one and one that is none, and 200 while it was looked at"
    );
    assert!(world.live > 500);
    let sources = list(&seen["sources"]);
    assert_eq!(sources.len(), 3, "a source with two partitions: {sources:?}");
    assert!(
        text(&sources[0][0]).starts_with("flights") && text(&sources[2][0]).ends_with("partition 1"),
        "{sources:?}"
    );
    let samples = list(&seen["samples"]);
    assert_eq!(samples.len(), 1, "{samples:?}");
    assert!(
        text(&samples[0]["text"]).contains("<script>window.pwned=true</script>"),
        "{samples:?}"
    );
    assert!(text(&samples[0]["where"]).starts_with("flights/1 @ "), "{samples:?}");
    assert_eq!(list(&seen["late"]), [json!(late)]);
    assert!(!list(&seen["memory"]).is_empty());
    assert_eq!(list(&seen["processes"]).len(), 1);
    assert_eq!(seen["processes"][0][1], "stream", "{}", seen["processes"]);
    assert!(!text(&seen["looked"]["step"]).is_empty());
}

/// Days 1 to 4 are published, day 5 is over, day 6 runs.
pub(crate) fn handover(seen: &Value) {
    for partition in 0..2 {
        let runs: Vec<&Value> = { list(&seen["runs"]).iter() }
            .filter(|r| r[0] == format!("flights/{partition}"))
            .collect();
        let first = runs.first().expect("runs of each partition");
        assert_eq!(first[1], "2001-01-01", "{runs:?}");
        assert!(
            runs.windows(2).all(|pair| pair[0][2] == pair[1][1]),
            "a batch twice, or none: {runs:?}"
        );
        let until = runs
            .iter()
            .rev()
            .find(|r| ["published", "dropped"].contains(&text(&r[4])));
        assert_eq!(until.expect("published")[2], "2001-01-05", "{runs:?}");
        let last = runs.last().expect("runs");
        assert_eq!((text(&last[1]), text(&last[4])), ("2001-01-06", "open"), "{runs:?}");
        let before = runs[runs.len() - 2];
        assert!(["sealed", "archived"].contains(&text(&before[4])), "{runs:?}");
    }
    assert_eq!(seen["linked"], "#/handover?as=table", "the table can be linked");
    assert_eq!(seen["tiles"]["Running batch"][0], "2001-01-06");
    assert_eq!(seen["tiles"]["Offline until"][0], "2001-01-05");
    let generations = list(&seen["generations"]);
    assert!(generations.len() >= 2, "{generations:?}");
    assert!(text(&generations[0][0]).ends_with("current"), "{generations:?}");
    assert!(text(&generations[0][2]).contains("flights"), "{generations:?}");
    assert!(text(&seen["drift"]).contains("compared"), "{}", seen["drift"]);
    // Reached by keys alone: the sum, two partitions, the first batch, the last one.
    let said: Vec<&str> = list(&seen["said"]).iter().map(text).collect();
    assert!(said[0].starts_with("All partitions, 2001-01-06"), "{said:?}");
    assert!(said[1].starts_with("Partition 0, 2001-01-06"), "{said:?}");
    assert!(said[2].starts_with("Partition 0, 2001-01-05"), "{said:?}");
    assert!(
        said[3].starts_with("Partition 0, 2001-01-01") && said[3].contains("dropped"),
        "{said:?}"
    );
    assert!(said[4].contains("open"), "{said:?}");
    assert!(
        seen["drawn"].as_u64().unwrap() >= 3,
        "states are drawn in colours of their own"
    );
}

/// What is refused for a while is shown as of before, with why; afterwards nothing is left of that.
pub(crate) fn again(seen: &Value) {
    let said = text(&seen["said"]);
    assert!(
        said.contains("All of this is as it was at") && said.contains("the bucket does not answer"),
        "{said}"
    );
    assert_eq!(seen["after"], seen["before"]);
}

/// Without an archive that answers: it is named, with what is therefore not known; what others say stays, and no batch is told to be less far than it
/// may be.
pub(crate) fn far(seen: &Value, whole: &Value) {
    let said = text(&seen["said"]);
    for words in [
        "The archive of flights does not answer",
        "which batches are archived",
        "is not known",
        "are shown as unknown",
        "no answer since",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(!said.contains("generations do"), "{said}");
    assert_eq!(
        seen["tiles"]["Batches live"],
        json!(["not known", "the archive does not answer"])
    );
    let running = &seen["tiles"]["Running batch"];
    assert_eq!(running[0], "2001-01-06");
    assert!(text(&running[1]).contains("or a later one"), "{running}");
    assert_eq!(seen["tiles"]["Offline until"], whole["tiles"]["Offline until"]);
    assert_eq!(seen["generations"], whole["generations"]);
    for partition in 0..2 {
        let runs: Vec<&Value> = { list(&seen["runs"]).iter() }
            .filter(|r| r[0] == format!("flights/{partition}"))
            .collect();
        let state = |day: &str| {
            let of_it = runs.iter().find(|r| text(&r[1]) <= day && day < text(&r[2]));
            of_it.map_or("none", |r| text(&r[4]))
        };
        // Known by the generation and by the live part, however silent the archive is; the day between is over, and perhaps in the archive.
        assert_eq!(state("2001-01-04"), "published", "{runs:?}");
        assert_eq!(state("2001-01-05"), "unknown", "{runs:?}");
    }
}

/// Values, completion, coverage, the parts of a number, all as a plain count says.
pub(crate) fn answers(seen: &Value, counts: &[Counts]) {
    let (before, after) = (&counts[0], &counts[1]);
    let mut begins: Vec<String> = { before.keys() }
        .filter(|(origin, _)| origin.starts_with("AT"))
        .map(|(origin, day)| key(origin, *day))
        .collect();
    begins.sort();
    assert_eq!(list(&seen["options"]), begins, "what begins with AT");
    let passed = list(&seen["passed"]);
    let at = begins.iter().position(|k| *k == key("ATL", 6)).expect("arrived");
    assert_eq!(passed, &begins[..=at], "what the arrow keys pass");
    let first = &before[&("ATL", 6)];
    assert_eq!(text(&seen["first"]["flights"]), grouped(first.flights));
    assert_eq!(text(&seen["first"]["distance"]), grouped(first.distance));
    assert_eq!(text(&seen["first"]["delay"]), grouped(first.delay));
    let about = text(&seen["first"]["destinations"]);
    let exact = first.destinations.len();
    assert!(about.starts_with('\u{2248}') && about.contains("between"), "{about}");
    let bounds: Vec<usize> = { about.split(|c: char| !c.is_ascii_digit()).filter(|n| !n.is_empty()) }
        .map(|n| n.parse().unwrap())
        .collect();
    assert!(bounds[1] <= exact && exact <= bounds[2], "{exact} in {about}");
    assert!(text(&seen["first"]["delays"]).contains(&format!("{} values", grouped(first.flights))));
    assert_eq!(list(&seen["coverage"]).len(), 2);
    assert!(
        text(&seen["linked"]).contains("key=ATL%2C2001-01-06"),
        "{}",
        seen["linked"]
    );
    // Each value that was merged: flights of all parts are those of the answer.
    let sum = |why: &Value| -> u64 { list(why).iter().map(|row| number(&row[3])).sum() };
    assert_eq!(sum(&seen["why"]), first.flights, "{}", seen["why"]);
    let mixed = after[&("ORD", 2)].flights;
    assert_eq!(text(&seen["mixed"]["flights"]), grouped(mixed));
    assert_eq!(sum(&seen["mixed"]["why"]), mixed, "{}", seen["mixed"]);
    for layer in ["offline", "live"] {
        assert!(
            list(&seen["mixed"]["why"]).iter().any(|row| row[1] == layer),
            "{layer}: {}",
            seen["mixed"]
        );
    }
    assert_eq!(seen["then"]["flights"], grouped(after[&("ATL", 6)].flights).as_str());
    assert_eq!(seen["again"], seen["then"]["flights"], "a link repeats the query");
    let hostile = &seen["hostile"];
    assert_eq!(hostile["title"], key(HOSTILE, 1).as_str());
    assert_eq!(hostile["value"], grouped(after[&(HOSTILE, 1)].flights).as_str());
    assert_eq!(
        (&hostile["scripts"], &hostile["ran"]),
        (&json!(0), &json!(false)),
        "a key is a text"
    );
    let mut all: Vec<String> = after.keys().map(|(origin, day)| key(origin, *day)).collect();
    all.sort();
    let mut listed: Vec<&str> = list(&seen["listed"]).iter().map(text).collect();
    listed.sort_unstable();
    assert_eq!(listed, all);
    let mut largest: Vec<u64> = after.values().map(|c| c.flights).collect();
    largest.sort_unstable_by(|a, b| b.cmp(a));
    let top: Vec<u64> = { list(&seen["top"]).iter() }
        .map(|row| number(&json!(text(&row[1]).split('\u{b7}').next().unwrap())))
        .collect();
    assert_eq!(top, largest[..3]);
    assert!(text(&seen["refused"]).contains("(text,"), "{}", seen["refused"]);
    assert!(text(&seen["absent"]).starts_with("absent"), "{}", seen["absent"]);
}

/// A bar a window, as many as were counted.
pub(crate) fn windows(seen: &Value, views: &BTreeMap<String, u64>) {
    let found: BTreeMap<String, u64> = { list(&seen["rows"]).iter() }
        .map(|row| {
            let value = text(&row[2]);
            let views = if value == "absent" {
                0
            } else {
                number(&json!(value.split('\u{b7}').next().unwrap()))
            };
            (text(&row[0]).to_string(), views)
        })
        .collect();
    assert_eq!(&found, views);
    assert_eq!(
        seen["bars"].as_u64().unwrap() as usize,
        views.values().filter(|n| **n > 0).count()
    );
    assert_eq!(seen["none"], 1, "a window without a record is no bar of height 0");
    let last = views.last_key_value().expect("views");
    assert!(
        text(&seen["said"]).starts_with(last.0.as_str()) && text(&seen["said"]).ends_with(&format!(": {}", last.1)),
        "{}",
        seen["said"]
    );
}

pub(crate) fn health(seen: &Value) {
    let checks = list(&seen["checks"]);
    assert!(checks.len() > 2, "{checks:?}");
    assert!(
        checks
            .iter()
            .all(|c| ["good", "look at it", "wrong"].contains(&text(&c[0]))),
        "{checks:?}"
    );
    assert!(!list(&seen["metrics"]).is_empty());
    assert!(!list(&seen["lines"]).is_empty());
    assert_eq!(seen["sifted"], 0);
}

/// Integers to the last digit, keys as they are typed, and a time line that does not grow with its batches.
pub(crate) fn parts(seen: &Value) {
    assert_eq!(
        seen["numbers"],
        json!([
            [
                "18,446,744,073,709,551,615",
                "9007199254740993",
                "-9,223,372,036,854,775,808",
                "number",
                0.300_000_000_000_000_04
            ],
            "\"1234567890123456789\""
        ])
    );
    assert_eq!(
        seen["keys"],
        json!(["a\\,b,c\\\\d,7", "a,b", "{\"before\":[\"a,b\"],\"last\":\"c\"}"])
    );
    assert_eq!(
        seen["schema"],
        json!(["a u64", "b map<text,(u64,i64)>", "c hll/12/xxh3"])
    );
    assert_eq!(seen["plotted"], json!([2, 1, 1]));
    println!(
        "10,000 batches of 256 partitions, 86 of which change at each batch: {} ms (shown, all, zoomed)",
        seen["times"]
    );
    assert!(text(&seen["said"]).starts_with("Partition 0, 0"), "{}", seen["said"]);
    // Bounds of runs, not runs: what changes at each batch has 10,000 of them, however many partitions do.
    assert_eq!(seen["bounds"], 10_000);
    assert_eq!(list(&seen["last"]).iter().filter_map(Value::as_u64).sum::<u64>(), 256);
}

pub(crate) fn gone(seen: &Value) {
    assert!(text(&seen["banner"]).contains("does not answer"), "{seen}");
    assert_eq!(seen["link"], "connected");
    assert_ne!(seen["tiles"]["Records"][0], "\u{2013}");
}

/// Nothing without a token, and no record, no plan and nothing done without the other one.
pub(crate) fn guarded(seen: &Value) {
    assert!(text(&seen["asked"]).contains("asks for a token"), "{seen}");
    assert!(text(&seen["before"][0][0]).ends_with("current"), "{seen}");
    let plan = list(&seen["plan"]);
    assert!(!plan.is_empty(), "{seen}");
    assert!(text(&seen["refused"]).contains("may not change anything"), "{seen}");
    assert_eq!(seen["planned"], 0, "who may not act is told no plan");
    assert_eq!(
        seen["same"].as_array().map(Vec::len),
        seen["before"].as_array().map(Vec::len),
        "a plan does nothing"
    );
    assert_eq!(seen["locked"]["shown"], 0);
    assert!(
        text(&seen["locked"]["said"]).contains("who may change something"),
        "{seen}"
    );
    assert_eq!(seen["opened"], 1);
    assert!(!text(&seen["done"]).is_empty());
    let number = |row: &Value| text(&row[0]).trim_end_matches("current").to_string();
    let (before, after) = (list(&seen["before"]), list(&seen["after"]));
    assert!(
        after.len() > before.len(),
        "a rollback is a manifest of its own: {after:?}"
    );
    assert!(
        text(&after[0][0]).ends_with("current") && number(&after[0]) != number(&before[0]),
        "{after:?}"
    );
}
