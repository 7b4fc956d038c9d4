//! What plans say of themselves, compared with files under `golden/`: `NAME.txt` is `Plan::explain` with 128 MiB, `NAME.dot`
//! is `Plan::dot`. Lines of code stand as `N`, so that a job may move. After a change of wording:
//! `UPDATE_GOLDEN=1 cargo test -p rufous-core --test explain`, and read the diff.

use std::path::Path;

use rufous_algebra::Additive;
use rufous_core::*;

const LINES: Source<str> = Source::new("lines");
const COUNTS: Store<String, u64> = Store::new("counts");
const BY_LENGTH: Store<u64, u64> = Store::new("by-length");
const LETTERS: Store<String, u64> = Store::new("letters");
const LONG_LINES: Sink<String> = Sink::new("long-lines");
const LONG: Counter = Counter::new("long");
const BYTES: Counter = Counter::new("bytes");
const EMPTY: Counter = Counter::new("empty");

fn words(lines: Producer<str>) -> KeyedProducer<String, u64> {
    lines.keyed(|line, out| line.split_whitespace().for_each(|word| out.emit(word, 1)))
}

/// The text with the lines of this file as `N`.
fn without_lines(text: &str) -> String {
    let mut parts = text.split(concat!(file!(), ":"));
    let mut out = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        // As wide as before: columns stay where they are.
        out += concat!(file!(), ":");
        out += &"N".repeat(part.len() - rest.len());
        out += rest;
    }
    out
}

fn same_as_file(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, text).expect("a golden file is written");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        expected == text,
        "{} is another text now; `UPDATE_GOLDEN=1` rewrites it:\n{text}",
        path.display()
    );
}

/// Compares both forms. No line ends in spaces.
fn golden(name: &str, job: Job) {
    let plan = job.plan().expect("a good job");
    let text = without_lines(&plan.explain(Some(128 << 20)));
    for line in text.lines() {
        assert!(line.trim_end() == line, "`{line}` ends in spaces");
    }
    same_as_file(&format!("{name}.txt"), &text);
    same_as_file(&format!("{name}.dot"), &without_lines(plan.dot()));
}

#[test]
fn word_count() {
    golden(
        "word-count",
        Job::new("word-count", words(LINES.read()).sum_by_key(COUNTS)),
    );
}

/// A fork runs once: three readers of one step, two stores and a sink.
#[test]
fn diamond() {
    let lines = LINES.read().filter(|line| !line.is_empty());
    let words = words(lines.clone());
    let lengths = words.clone().map_keys(|word| word.len() as u64);
    let long = lines.map(|line| line.to_string()).filter(|line| line.len() > 80);
    let ends = (
        words.sum_by_key(COUNTS),
        lengths.sum_by_key(BY_LENGTH),
        long.write(LONG_LINES),
    );
    golden("diamond", Job::new("diamond", ends));
}

/// Two reads of one port.
#[test]
fn share_sources() {
    let both = words(LINES.read()).merge(LINES.read().keyed(|line, out| out.emit(line, 1)));
    golden("share-sources", Job::new("share-sources", both.sum_by_key(COUNTS)));
}

#[test]
fn filter_keys_first() {
    let doubled = words(LINES.read()).map_values(|n| n * 2).map_values(|n| n + 1);
    let long = doubled.filter_keys(|word| word.len() > 3);
    golden(
        "filter-keys-first",
        Job::new("filter-keys-first", long.sum_by_key(COUNTS)),
    );
}

#[test]
fn filter_values_first() {
    let lengths = words(LINES.read()).map_keys(|word| word.len() as u64);
    let odd = lengths.filter_values(|n| n % 2 == 1);
    golden(
        "filter-values-first",
        Job::new("filter-values-first", odd.sum_by_key(BY_LENGTH)),
    );
}

fn letters(words: KeyedProducer<String, u64>) -> KeyedProducer<String, u64> {
    words.flat_map_keys(|word, out| word.split("").for_each(|letter| out.emit(letter)))
}

#[test]
fn combine_before_keys() {
    let letters = letters(words(LINES.read())).named("letters-of-words");
    golden(
        "combine-before-keys",
        Job::new("combine-before-keys", letters.sum_by_key(LETTERS)),
    );
}

/// A record of one field, so that equal ones may run once.
#[derive(Clone)]
struct Carrier(Text);

impl Record for Carrier {
    const FIELDS: &'static [Field] = &[Field {
        name: "carrier",
        ty: FieldType::Text,
        optional: false,
    }];
    fn from_row(row: &Row<'_>) -> Result<Self, RecordError> {
        Ok(Self(row.get(0)?))
    }
}

const FLIGHTS: Source<Carrier> = Source::new("flights").batches(Batcher::of_hours(24));

#[test]
fn times() {
    let carriers = FLIGHTS.read().keyed(|flight, out| out.emit(flight.0.as_str(), 1));
    golden("times", Job::new("times", carriers.sum_by_key(COUNTS)));
}

/// Every rule in one job.
#[test]
fn every_rule() {
    let carriers = FLIGHTS.read().keyed(|flight, out| out.emit(flight.0.as_str(), 1));
    let again = FLIGHTS
        .read()
        .key_by(|flight| flight.0.to_string())
        .map_values(|_| 1_u64);
    let some = carriers
        .merge(again)
        .map_values(|n| n * 2)
        .map_values(|n| n + 1)
        .filter_keys(|carrier| carrier != "XX");
    let odd = some
        .clone()
        .map_keys(|carrier| carrier.len() as u64)
        .filter_values(|n| n % 2 == 1);
    let ends = (letters(some).sum_by_key(LETTERS), odd.sum_by_key(BY_LENGTH));
    let job = Job::new("every-rule", ends);
    let text = job.plan().expect("a good job").explain(None);
    for rule in Rules::names() {
        assert!(text.contains(&format!("\n  {rule}: ")), "rule {rule} does nothing");
    }
    golden("every-rule", job);
}

/// Counters of three kinds; their store comes last.
#[test]
fn counters() {
    let lines = LINES.read().counted_by(BYTES, |line| line.len() as u64);
    let words = lines.keyed(|line, out| {
        if line.is_empty() {
            out.count(EMPTY, 1);
        }
        out.emit(line, 1);
    });
    let words = words.counting([EMPTY, LONG]).named("words").counted(LONG);
    golden("counters", Job::new("counters", words.sum_by_key(COUNTS)));
}

/// What a sum emits, summed again by fewer keys.
#[test]
fn deltas() {
    let counts = words(LINES.read()).sum_by_key(COUNTS);
    let lengths = counts.deltas().map_keys(|word| word.len() as u64).named("lengths");
    let doubled = lengths.map_values_by(Additive(|n: &u64| n * 2));
    golden("deltas", Job::new("deltas", doubled.sum_by_key(BY_LENGTH)));
}

/// Merges with one reader vanish; one that is read twice stays, and so does a producer merged with itself.
#[test]
fn merges() {
    const MORE: Source<str> = Source::new("more-lines").batches(Batcher::all_in_one());
    let one = words(LINES.read()).merge(words(MORE.read()));
    let twice = one.clone().merge(one.clone());
    let all = twice.merge(words(LINES.read().filter(|line| line.len() > 80)));
    let ends = (
        all.sum_by_key(COUNTS),
        one.map_keys(|w| w.len() as u64).sum_by_key(BY_LENGTH),
    );
    golden("merges", Job::new("merges", ends));
}

/// A name on every step; a named merge too.
#[test]
fn names() {
    let lines = LINES
        .read()
        .named("all-lines")
        .filter(|line| !line.is_empty())
        .named("lines-with-text");
    let words = words(lines.clone()).named("words");
    let whole = lines.keyed(|line, out| out.emit(line, 1)).named("whole-lines");
    let both = words.merge(whole).named("words-and-lines");
    let written = both.clone().pairs().named("pairs-to-write").write(Sink::new("pairs"));
    let letters = letters(both).named("letters-of-words");
    golden("names", Job::new("names", (letters.sum_by_key(LETTERS), written)));
}

/// Options belong to one thing: what has memory of its own says so.
#[test]
fn memory() {
    let letters = letters(words(LINES.read())).named("letters-of-words");
    let mut plan = Job::<Anywhere>::new("memory", letters.sum_by_key(LETTERS))
        .plan()
        .expect("a good job");
    plan.limit_memory("letters", 64 << 20).expect("a store");
    plan.limit_memory("letters-of-words", 1000)
        .expect("a step with a combiner");
    same_as_file("memory.txt", &without_lines(&plan.explain(None)));
}

/// A job in order: no combiner, no record that runs once for many.
#[test]
fn in_order() {
    const HISTORY: Store<String, Vec<u64>> = Store::new("history");
    let flights = FLIGHTS
        .read()
        .in_order()
        .keyed(|flight, out| out.emit(flight.0.as_str(), vec![1]));
    let job = Job::new("in-order", flights.sum_by_key(HISTORY));
    let plan = job.plan().expect("a good job");
    same_as_file("in-order.txt", &without_lines(&plan.explain(Some(128 << 20))));
}

/// Operators with memory: the words for the graph and the plan; branches of one record that meet above one.
#[test]
fn operators() {
    const RUNNING: Store<String, u64> = Store::new("running");
    let words = || words(LINES.read());
    let pairs = words().within_partition();
    let short = pairs.clone().filter_keys(|word: &String| word.len() < 3);
    let sum = pairs.merge(short).sum_by_key(RUNNING);
    let changes = sum
        .clone()
        .changes()
        .named("steps-of-words")
        .map_values(|(before, after)| after - before.unwrap_or(0))
        .sum_by_key(COUNTS);
    let with = sum.totals(|_, n, out| out.emit(*n, 1_u64)).sum_by_key(BY_LENGTH);
    let tenth = words().scan_by_key(LETTERS).values().map(|n| n.to_string());
    golden(
        "operators",
        Job::new("operators", (changes, with, tenth.write(LONG_LINES))),
    );
}
